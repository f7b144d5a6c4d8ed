"""Two proportions: score intervals and tests, Wald, Agresti-Caffo."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from custseg.errors import DataError, check_number
from custseg.stats.intervals import counts


def miettinen_nurminen(
    successes_1: ArrayLike,
    n_1: ArrayLike,
    successes_2: ArrayLike,
    n_2: ArrayLike,
    *,
    level: float = 0.95,
) -> tuple[Any, Any]:
    """Return Miettinen and Nurminen's score interval of the difference of two proportions.

    It holds the differences that `score_statistic` does not reject.

    Parameters
    ----------
    successes_1, n_1, successes_2, n_2
        Counts of successes and of trials in two independent groups, broadcast.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    tuple of (float or numpy.ndarray)
        Lower and upper bound of the first proportion minus the second; NaN where a group is empty.

    Raises
    ------
    DataError
        If a count is negative, or there are more successes than trials.

    References
    ----------
    Miettinen, O. and Nurminen, M. (1985), Statistics in Medicine 4, 213-226.

    Examples
    --------
    >>> low, high = miettinen_nurminen(56, 70, 48, 80)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0528, 0.3382)
    """
    check_number(level, "level", gt=0, lt=1)
    x_1, n_1, x_2, n_2 = tables(successes_1, n_1, successes_2, n_2)
    z = stats.norm.isf((1 - level) / 2)
    difference = x_1 / n_1 - x_2 / n_2
    bounds = []
    for edge, sign in ((-1.0, 1.0), (1.0, -1.0)):
        inner, outer = difference, np.full(difference.shape, edge)
        for _ in range(60):
            middle = (inner + outer) / 2
            outside = sign * _score(x_1, n_1, x_2, n_2, middle) > z
            inner, outer = np.where(outside, inner, middle), np.where(outside, middle, outer)
        bounds.append(((inner + outer) / 2)[()])
    return bounds[0], bounds[1]


def koopman(
    successes_1: ArrayLike,
    n_1: ArrayLike,
    successes_2: ArrayLike,
    n_2: ArrayLike,
    *,
    level: float = 0.95,
) -> tuple[Any, Any]:
    """Return Koopman's score interval of the ratio of two proportions.

    It holds the ratios that Pearson's chi-square does not reject when the proportions are the
    likeliest ones with that ratio.

    Parameters
    ----------
    successes_1, n_1, successes_2, n_2
        Counts of successes and of trials in two independent groups, broadcast.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    tuple of (float or numpy.ndarray)
        Lower and upper bound of the first proportion over the second: 0 where the first group has
        no success, infinite where the second has none; NaN where a group is empty.

    Raises
    ------
    DataError
        If a count is negative, or there are more successes than trials.

    References
    ----------
    Koopman, P. A. R. (1984), Confidence intervals for the ratio of two binomial proportions,
    Biometrics 40, 513-517.

    Examples
    --------
    >>> low, high = koopman(36, 40, 16, 80)
    >>> round(float(low), 3), round(float(high), 3)
    (2.94, 7.152)
    """
    check_number(level, "level", gt=0, lt=1)
    x_1, n_1, x_2, n_2 = tables(successes_1, n_1, successes_2, n_2)
    z = stats.norm.isf((1 - level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.where(x_1 + x_2 > 0, x_1 / n_1 / (x_1 / n_1 + x_2 / n_2), 0.5)
        bounds = []
        for edge, sign in ((0.0, 1.0), (1.0, -1.0)):  # of the ratio over one plus the ratio
            inner, outer = observed, np.full(observed.shape, edge)
            for _ in range(60):
                middle = (inner + outer) / 2
                outside = sign * _ratio_score(x_1, n_1, x_2, n_2, middle / (1 - middle)) > z
                inner, outer = np.where(outside, inner, middle), np.where(outside, middle, outer)
            middle = (inner + outer) / 2
            bounds.append(middle / (1 - middle))
    empty = np.isnan(n_1 * n_2 * x_1 * x_2)
    low = np.where(empty, np.nan, np.where(x_1 == 0, 0.0, bounds[0]))
    high = np.where(empty, np.nan, np.where(x_2 == 0, np.inf, bounds[1]))
    return low[()], high[()]


def score_statistic(
    successes_1: ArrayLike,
    n_1: ArrayLike,
    successes_2: ArrayLike,
    n_2: ArrayLike,
    difference: ArrayLike = 0.0,
) -> Any:
    """Return Miettinen and Nurminen's z against a difference of two proportions other than 0 too.

    Parameters
    ----------
    successes_1, n_1, successes_2, n_2
        Counts of successes and of trials in two independent groups, broadcast.
    difference
        The first proportion minus the second under the hypothesis, between -1 and 1.

    Returns
    -------
    float or numpy.ndarray
        The observed difference minus the supposed one, over its standard error when the
        proportions are the most likely ones that far apart (times (n_1 + n_2) / (n_1 + n_2 - 1));
        NaN where a group is empty.

    Raises
    ------
    DataError
        If a count is negative, there are more successes than trials, or `difference` is no
        difference of proportions.

    References
    ----------
    Miettinen, O. and Nurminen, M. (1985), Statistics in Medicine 4, 213-226. Farrington, C. P. and
    Manning, G. (1990), Statistics in Medicine 9, 1447-1454.

    Examples
    --------
    >>> round(float(score_statistic(56, 70, 48, 80, -0.05)), 3)  # at least as good, but for .05?
    3.281
    """
    delta = np.asarray(difference, dtype=float)
    if (np.abs(delta) >= 1).any():
        raise DataError(
            f"difference is {delta[np.abs(delta) >= 1].flat[0]:g}, but must lie between -1 and 1."
        )
    x_1, n_1, x_2, n_2 = tables(successes_1, n_1, successes_2, n_2)
    return _score(x_1, n_1, x_2, n_2, delta)[()]


def wald(
    successes_1: ArrayLike,
    n_1: ArrayLike,
    successes_2: ArrayLike,
    n_2: ArrayLike,
    *,
    pseudo: float = 0.0,
    level: float = 0.95,
) -> tuple[Any, Any]:
    """Return the Wald interval of the difference of two proportions.

    Parameters
    ----------
    successes_1, n_1, successes_2, n_2
        Counts of successes and of trials in two independent groups, broadcast.
    pseudo
        Successes and failures to add to each group: 1 gives the interval of Agresti and Caffo.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    tuple of (float or numpy.ndarray)
        Lower and upper bound of the first proportion minus the second, with unpooled variances;
        NaN where a group is empty.

    Raises
    ------
    DataError
        If a count is negative, or there are more successes than trials.

    References
    ----------
    Agresti, A. and Caffo, B. (2000), The American Statistician 54, 280-288.

    Examples
    --------
    >>> low, high = wald(56, 70, 48, 80)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0575, 0.3425)
    """
    check_number(level, "level", gt=0, lt=1)
    check_number(pseudo, "pseudo", ge=0)
    x_1, n_1, x_2, n_2 = tables(successes_1, n_1, successes_2, n_2)
    n_1, n_2 = n_1 + 2 * pseudo, n_2 + 2 * pseudo
    p_1, p_2 = (x_1 + pseudo) / n_1, (x_2 + pseudo) / n_2
    half = stats.norm.isf((1 - level) / 2) * np.sqrt(p_1 * (1 - p_1) / n_1 + p_2 * (1 - p_2) / n_2)
    return np.maximum(p_1 - p_2 - half, -1)[()], np.minimum(p_1 - p_2 + half, 1)[()]


def tables(*given: ArrayLike) -> tuple[np.ndarray, ...]:
    """Return successes and trials of two groups, broadcast; trials of an empty group are NaN."""
    x_1, n_1 = counts(given[0], given[1])
    x_2, n_2 = counts(given[2], given[3])
    n_1, n_2 = np.where(n_1 > 0, n_1, np.nan), np.where(n_2 > 0, n_2, np.nan)
    return tuple(np.broadcast_arrays(x_1, n_1, x_2, n_2))


def _score(
    x_1: np.ndarray, n_1: np.ndarray, x_2: np.ndarray, n_2: np.ndarray, delta: np.ndarray
) -> np.ndarray:
    """Return the score statistic; 1e-8 of it is right down to proportions of one in a million."""
    away = x_1 / n_1 - x_2 / n_2 - delta
    swap = delta > 0
    lower = np.where(swap, x_2, x_1), np.where(swap, n_2, n_1)
    upper = np.where(swap, x_1, x_2), np.where(swap, n_1, n_2)
    variance = _likeliest_variance(*lower, *upper, -np.abs(delta))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = away / np.sqrt(variance * (n_1 + n_2) / (n_1 + n_2 - 1))
    return np.where(away == 0, 0 * variance, z)


def _ratio_score(
    x_1: np.ndarray, n_1: np.ndarray, x_2: np.ndarray, n_2: np.ndarray, ratio: np.ndarray
) -> np.ndarray:
    """Return the score statistic against a ratio; the likeliest share is the root of a square."""
    a, c = ratio * (n_1 + n_2), x_1 + x_2
    b = ratio * (n_1 + x_2) + x_1 + n_2
    p_2 = 2 * c / (b + np.sqrt(np.maximum(b**2 - 4 * a * c, 0)))
    p_1 = np.minimum(ratio * p_2, 1)
    variance = p_1 * (1 - p_1) / n_1 + ratio**2 * p_2 * (1 - p_2) / n_2
    away = x_1 / n_1 - ratio * x_2 / n_2
    return np.where(away == 0, 0.0, away / np.sqrt(variance))


def _likeliest_variance(
    x_1: np.ndarray, n_1: np.ndarray, x_2: np.ndarray, n_2: np.ndarray, delta: np.ndarray
) -> np.ndarray:
    """Return the variance at the likeliest proportions `delta` <= 0 apart, the root of a cubic."""
    # failures for successes where those are rare: the unknown, which is the smaller, keeps digits
    turn = x_1 / n_1 + x_2 / n_2 > 1
    p_1, p_2 = np.where(turn, 1 - x_2 / n_2, x_1 / n_1), np.where(turn, 1 - x_1 / n_1, x_2 / n_2)
    n_1, n_2 = np.where(turn, n_2, n_1), np.where(turn, n_1, n_2)
    ratio, room = n_2 / n_1, 1 + delta
    a = 1 + ratio
    b = -(1 + ratio + p_1 + ratio * p_2 + delta * (ratio + 2))
    c = delta * (delta + 2 * p_1 + ratio + 1) + p_1 + ratio * p_2
    d = -p_1 * delta * room
    with np.errstate(divide="ignore", invalid="ignore"):
        v = (b / (3 * a)) ** 3 - b * c / (6 * a**2) + d / (2 * a)
        u = np.where(v < 0, -1.0, 1.0) * np.sqrt(np.maximum((b / (3 * a)) ** 2 - c / (3 * a), 0))
        angle = (np.pi + np.arccos(np.clip(np.where(u == 0, 0, v / u**3), -1, 1))) / 3
        low = np.clip(2 * u * np.cos(angle) - b / (3 * a), 0, room)
        for _ in range(3):  # Newton's steps give back the digits that the cosine loses
            step = (((a * low + b) * low + c) * low + d) / ((3 * a * low + 2 * b) * low + c)
            low = np.where(np.isfinite(step), np.clip(low - step, 0, room), low)
    return low * (1 - low) / n_1 + (low - delta) * (room - low) / n_2
