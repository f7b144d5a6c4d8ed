"""How large differences between groups are, and whether they are more than chance."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from custseg.errors import DataError, check_number


class GroupTest(NamedTuple):
    """A test of no difference between groups: statistic, degrees of freedom, p-value."""

    statistic: float
    df_1: float
    df_2: float
    p_value: float


class EffectSize(NamedTuple):
    """A share or coefficient between 0 and 1, with its interval."""

    estimate: float
    ci_low: float
    ci_high: float


def welch_anova(means: ArrayLike, variances: ArrayLike, df: ArrayLike) -> GroupTest:
    """Return Welch's analysis of variance, which lets every group have its own variance.

    Parameters
    ----------
    means
        One independent estimate per group.
    variances
        Their squared standard errors, above 0.
    df
        The degrees of freedom of those.

    Returns
    -------
    GroupTest
        F with ``df_1`` = groups - 1 and Welch's ``df_2``; NaN with fewer than two groups.

    Raises
    ------
    DataError
        If a variance is not above 0.

    References
    ----------
    Welch, B. L. (1951), Biometrika 38, 330-336.

    Examples
    --------
    >>> [round(x, 4) for x in welch_anova([10.0, 12.0, 11.0], [0.4, 0.6, 0.5], [9, 9, 19])]
    [1.9668, 2.0, 21.7726, 0.164]
    """
    means, variances, df = (np.asarray(x, dtype=float) for x in (means, variances, df))
    if not (variances > 0).all():
        raise DataError("a variance is not above 0: a group in which all are equal has no test.")
    k = len(means)
    if k < 2:
        return GroupTest(np.nan, np.nan, np.nan, np.nan)
    weights = 1 / variances
    shares = weights / weights.sum()
    unsure = ((1 - shares) ** 2 / df).sum()
    between = (weights * (means - shares @ means) ** 2).sum() / (k - 1)
    statistic = between / (1 + 2 * (k - 2) / (k**2 - 1) * unsure)
    df_2 = (k**2 - 1) / (3 * unsure)
    p_value = stats.f.sf(statistic, k - 1, df_2)
    return GroupTest(float(statistic), float(k - 1), float(df_2), float(p_value))


def eta_squared(eta2: float, df_1: float, df_2: float, *, level: float = 0.95) -> EffectSize:
    """Return the interval of a share of variation between groups.

    Parameters
    ----------
    eta2
        The observed share: sum of squares between groups over the whole one.
    df_1, df_2
        Groups - 1, and observations - groups.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    EffectSize
        The interval holds the shares for which the observed F is neither too large nor too small
        (noncentral F; equal variances, normal values). It may lie below the estimate, which is
        above 0 by chance alone.

    References
    ----------
    Steiger, J. H. (2004), Psychological Methods 9, 164-182.

    Examples
    --------
    >>> [round(x, 4) for x in eta_squared(0.2, 2, 57)]
    [0.2, 0.0344, 0.354]
    """
    check_number(level, "level", gt=0, lt=1)
    if not (0 <= eta2 < 1 and df_1 > 0 and df_2 > 0):
        return EffectSize(eta2, np.nan, np.nan)
    statistic = eta2 / (1 - eta2) * df_2 / df_1
    low, high = _noncentralities(
        lambda noncentrality: special.ncfdtr(df_1, df_2, noncentrality, statistic),
        statistic * df_1,
        level,
    )
    n = df_1 + df_2 + 1
    return EffectSize(eta2, low / (low + n), high / (high + n))


def cramers_v(
    statistic: float, n: float, rows: int, columns: int, *, level: float = 0.95
) -> EffectSize:
    """Return Cramér's V, the strength of association in a table, with its interval.

    Parameters
    ----------
    statistic
        Pearson's chi-square of the table.
    n
        The number of observations.
    rows, columns
        The shape of the table.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    EffectSize
        sqrt(statistic / n / (smaller side - 1)). The interval holds the strengths for which the
        observed chi-square is neither too large nor too small (noncentral chi-square). It may lie
        below the estimate, which is above 0 by chance alone.

    References
    ----------
    Cramér, H. (1946), Mathematical Methods of Statistics, section 21.9. Smithson, M. (2003),
    Confidence Intervals, chapter 4.

    Examples
    --------
    >>> [round(x, 4) for x in cramers_v(9.0, 100, 2, 3)]
    [0.3, 0.0695, 0.4828]
    """
    check_number(level, "level", gt=0, lt=1)
    side, df = min(rows, columns) - 1, (rows - 1) * (columns - 1)
    if side < 1 or not n > 0 or not statistic >= 0:
        return EffectSize(np.nan, np.nan, np.nan)
    low, high = _noncentralities(
        lambda noncentrality: special.chndtr(statistic, df, noncentrality), statistic, level
    )
    found = np.sqrt(np.array([statistic, low, high]) / (n * side))
    return EffectSize(*np.minimum(found, 1).tolist())


def _noncentralities(
    below: Callable[[float], Any], size: float, level: float
) -> tuple[float, float]:
    """Return the noncentralities at which what was observed is at either end of its range."""
    bounds = []
    for tail in ((1 + level) / 2, (1 - level) / 2):
        if below(0.0) <= tail:
            bounds.append(0.0)
            continue
        top = size + 10 * np.sqrt(size) + 10
        while below(top) > tail:
            top *= 2
        bounds.append(optimize.brentq(lambda x, tail=tail: below(x) - tail, 0.0, top, xtol=1e-9))
    return bounds[0], bounds[1]
