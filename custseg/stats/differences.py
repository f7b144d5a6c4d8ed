"""The difference of two independent estimates, and its size relative to the first."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from custseg.errors import check_number, check_option


class Difference(NamedTuple):
    """A difference with its standard error, interval and two-sided p-value, as arrays."""

    effect: Any
    se: Any
    ci_low: Any
    ci_high: Any
    p_value: Any


def welch(
    control: ArrayLike,
    treatment: ArrayLike,
    var_control: ArrayLike,
    var_treatment: ArrayLike,
    df_control: ArrayLike = np.inf,
    df_treatment: ArrayLike = np.inf,
    *,
    level: float = 0.95,
) -> Difference:
    """Return treatment minus control with Welch's t interval and test.

    Parameters
    ----------
    control, treatment
        Two independent estimates, broadcast.
    var_control, var_treatment
        Their squared standard errors.
    df_control, df_treatment
        The degrees of freedom of those; infinite ones give the normal distribution.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    Difference
        Effect, standard error, bounds and p-value; the last three are NaN where the standard
        error is 0.

    References
    ----------
    Welch, B. L. (1947), Biometrika 34, 28-35; Satterthwaite, F. E. (1946), Biometrics Bulletin 2,
    110-114.

    Examples
    --------
    >>> found = welch(10.0, 12.0, 0.4, 0.6, 9, 9)
    >>> [round(float(x), 4) for x in found]
    [2.0, 1.0, -0.107, 4.107, 0.0614]
    """
    check_number(level, "level", gt=0, lt=1)
    control, treatment, a, b, df_a, df_b = (
        np.asarray(x, dtype=float)
        for x in (control, treatment, var_control, var_treatment, df_control, df_treatment)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        effect, se = treatment - control, np.sqrt(a + b)
        df = (a + b) ** 2 / (a**2 / df_a + b**2 / df_b)
        statistic = np.where(se > 0, effect / se, np.nan)
        half = np.where(se > 0, stats.t.isf((1 - level) / 2, df) * se, np.nan)
        p_value = 2 * stats.t.sf(np.abs(statistic), df)
    return Difference(effect, se, effect - half, effect + half, p_value)


def relative_difference(
    control: ArrayLike,
    treatment: ArrayLike,
    var_control: ArrayLike,
    var_treatment: ArrayLike,
    df_control: ArrayLike = np.inf,
    df_treatment: ArrayLike = np.inf,
    *,
    method: str = "delta",
    level: float = 0.95,
) -> Difference:
    """Return treatment over control minus one, with a delta-method, log or Fieller interval.

    The ratio is linearised: its variance is ``var_treatment / control**2`` plus
    ``treatment**2 * var_control / control**4``, and those two parts enter Welch's interval.
    On the logarithm of the ratio the delta method treats both groups alike, which keeps its
    coverage where the estimates are uncertain, or skewed as amounts of money are. Fieller's
    interval holds the ratios that Welch's t, with the degrees of freedom of those parts, does not
    reject. Neither of these two is symmetric.

    Parameters
    ----------
    control, treatment, var_control, var_treatment, df_control, df_treatment, level
        As in `welch`.
    method
        ``"delta"``, ``"log"`` or ``"fieller"``.

    Returns
    -------
    Difference
        The relative effect and its bounds; NaN where `control` is 0, those of the logarithm where
        the ratio is not above 0. Fieller's bounds are infinite where control cannot be told from 0:
        then the data exclude no ratio, or only some between two others. `se` is the linearised one;
        `p_value` tests a ratio of 1 by the interval's own statistic.

    Raises
    ------
    ParameterError
        If `method` or `level` is outside its options.

    References
    ----------
    Deng, A., Knoblich, U. and Lu, J. (2018), Applying the delta method in metric analytics, KDD,
    section 3.1. Fieller, E. C. (1954), JRSS B 16, 175-185.

    Examples
    --------
    >>> found = relative_difference(10.0, 12.0, 0.4, 0.6, 99, 99)
    >>> [round(float(x), 4) for x in found[:4]]
    [0.2, 0.1084, -0.0139, 0.4139]
    >>> found = relative_difference(10.0, 12.0, 0.4, 0.6, 99, 99, method="log")
    >>> [round(float(x), 4) for x in found[:4]]
    [0.2, 0.1084, 0.0041, 0.4341]
    >>> found = relative_difference(10.0, 12.0, 0.4, 0.6, 99, 99, method="fieller")
    >>> [round(float(x), 4) for x in found[:4]]
    [0.2, 0.1084, 0.0026, 0.4353]
    """
    check_option(method, "method", ("delta", "log", "fieller"))
    control, treatment = np.asarray(control, dtype=float), np.asarray(treatment, dtype=float)
    base = np.where(control == 0, np.nan, control)
    ratio = treatment / base
    parts = (ratio / base) ** 2 * np.asarray(var_control), np.asarray(var_treatment) / base**2
    linear = welch(1.0, ratio, *parts, df_control, df_treatment, level=level)
    if method == "delta":
        return linear
    if method == "log":
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(np.where(ratio > 0, ratio, np.nan))
            own = np.asarray(var_control) / base**2, parts[1] / ratio**2
        found = welch(0.0, log, *own, df_control, df_treatment, level=level)
        with np.errstate(over="ignore"):
            low, high = np.expm1(found.ci_low), np.expm1(found.ci_high)
        return Difference(linear.effect, linear.se, low, high, found.p_value)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = sum(parts) ** 2 / (parts[0] ** 2 / df_control + parts[1] ** 2 / df_treatment)
        t = stats.t.isf((1 - level) / 2, df)
        g = t**2 * np.asarray(var_control) / base**2
        half = t * np.sqrt(parts[0] + parts[1] * (1 - g))
        low, high = (ratio - half) / (1 - g) - 1, (ratio + half) / (1 - g) - 1
    unknown, bounded = np.isnan(t), g < 1
    low = np.where(unknown, np.nan, np.where(bounded, low, -np.inf))
    high = np.where(unknown, np.nan, np.where(bounded, high, np.inf))
    tested = welch(control, treatment, var_control, var_treatment, df_control, df_treatment)
    p_value = np.where(np.isnan(base), np.nan, tested.p_value)
    return Difference(linear.effect, linear.se, low, high, p_value)


class Margins(NamedTuple):
    """One-sided p-values against a margin: no worse, no better, and both (equivalent)."""

    p_not_below: Any
    p_not_above: Any
    p_equivalent: Any


def margin_test(effect: ArrayLike, se: ArrayLike, margin: float, df: ArrayLike = np.inf) -> Margins:
    """Test whether an effect lies above -margin, below margin, and between (two one-sided tests).

    Parameters
    ----------
    effect, se
        Estimates and their standard errors, broadcast.
    margin
        The largest difference that does not matter, above 0, in the unit of the effect.
    df
        Degrees of freedom; infinite ones give the normal distribution.

    Returns
    -------
    Margins
        `p_not_below` is small where the effect is above -margin (not inferior, if more is better),
        `p_not_above` where it is below margin, `p_equivalent` (the larger) where it is between.
        NaN where the standard error is 0.

    Raises
    ------
    ParameterError
        If `margin` is not above 0.

    References
    ----------
    Schuirmann, D. J. (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.

    Examples
    --------
    >>> found = margin_test(0.2, 0.1, margin=0.5, df=30)
    >>> [round(float(p), 5) for p in found]
    [0.0, 0.00269, 0.00269]
    """
    check_number(margin, "margin", gt=0)
    effect, se = np.asarray(effect, dtype=float), np.asarray(se, dtype=float)
    known = np.where(se > 0, se, np.nan)
    below = stats.t.sf((effect + margin) / known, df)
    above = stats.t.cdf((effect - margin) / known, df)
    return Margins(below, above, np.maximum(below, above))
