"""The difference of two independent estimates, and its size relative to the first."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from custseg.errors import check_number


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
    level: float = 0.95,
) -> Difference:
    """Return treatment over control minus one, with a delta-method interval.

    The ratio is linearised: its variance is ``var_treatment / control**2`` plus
    ``treatment**2 * var_control / control**4``, and those two parts enter Welch's interval.

    Parameters
    ----------
    control, treatment, var_control, var_treatment, df_control, df_treatment, level
        As in `welch`.

    Returns
    -------
    Difference
        The relative effect and its bounds; NaN where `control` is 0.

    References
    ----------
    Deng, A., Knoblich, U. and Lu, J. (2018), Applying the delta method in metric analytics, KDD,
    section 3.1.

    Examples
    --------
    >>> found = relative_difference(10.0, 12.0, 0.4, 0.6, 99, 99)
    >>> [round(float(x), 4) for x in found[:4]]
    [0.2, 0.1084, -0.0139, 0.4139]
    """
    control, treatment = np.asarray(control, dtype=float), np.asarray(treatment, dtype=float)
    base = np.where(control == 0, np.nan, control)
    return welch(
        1.0,
        treatment / base,
        (treatment / base**2) ** 2 * np.asarray(var_control),
        np.asarray(var_treatment) / base**2,
        df_control,
        df_treatment,
        level=level,
    )
