"""Confidence intervals in closed form, from counts and moments."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from custseg.errors import DataError, check_number


def wilson(successes: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> tuple[Any, Any]:
    """Return the Wilson score interval of a proportion.

    Parameters
    ----------
    successes, n
        Counts of successes and of trials, broadcast against each other.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    tuple of (float or numpy.ndarray)
        Lower and upper bound; NaN where there are no trials or a count is missing.

    Raises
    ------
    DataError
        If a count is negative, or there are more successes than trials.

    References
    ----------
    Wilson, E. B. (1927), JASA 22, 209-212.

    Examples
    --------
    >>> low, high = wilson([5, 0], [10, 10])
    >>> low.round(4), high.round(4)
    (array([0.2366, 0.    ]), array([0.7634, 0.2775]))
    """
    x, n = counts(successes, n)
    check_number(level, "level", gt=0, lt=1)
    z = stats.norm.isf((1 - level) / 2)
    n = np.where(n > 0, n, np.nan)
    centre = (x + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(x * (n - x) / n + z**2 / 4)
    low = np.where(x == 0, 0 * n, centre - half)
    high = np.where(x == n, 1.0, centre + half)
    return low[()], high[()]


def newcombe(
    successes_1: ArrayLike,
    n_1: ArrayLike,
    successes_2: ArrayLike,
    n_2: ArrayLike,
    *,
    level: float = 0.95,
) -> tuple[Any, Any]:
    """Return Newcombe's hybrid score interval of the difference of two proportions.

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
    Newcombe, R. G. (1998), Statistics in Medicine 17, 873-890, method 10.

    Examples
    --------
    >>> low, high = newcombe(56, 70, 48, 80)
    >>> round(float(low), 4), round(float(high), 4)
    (0.0524, 0.3339)
    """
    x_1, n_1 = counts(successes_1, n_1)
    x_2, n_2 = counts(successes_2, n_2)
    low_1, high_1 = wilson(x_1, n_1, level=level)
    low_2, high_2 = wilson(x_2, n_2, level=level)
    p_1 = x_1 / np.where(n_1 > 0, n_1, np.nan)
    p_2 = x_2 / np.where(n_2 > 0, n_2, np.nan)
    low = p_1 - p_2 - np.hypot(p_1 - low_1, high_2 - p_2)
    high = p_1 - p_2 + np.hypot(high_1 - p_1, p_2 - low_2)
    return low, high


def mean_interval(
    mean: ArrayLike, sd: ArrayLike, n: ArrayLike, *, level: float = 0.95
) -> tuple[Any, Any]:
    """Return Student's t interval of a mean.

    Parameters
    ----------
    mean, sd, n
        Sample mean, sample standard deviation (divisor n - 1) and sample size, broadcast.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    tuple of (float or numpy.ndarray)
        Lower and upper bound; NaN where `n` is below 2 or an input is missing.

    Raises
    ------
    DataError
        If a standard deviation is negative.

    Examples
    --------
    >>> low, high = mean_interval(10.0, 2.0, 16)
    >>> round(float(low), 4), round(float(high), 4)
    (8.9343, 11.0657)
    """
    check_number(level, "level", gt=0, lt=1)
    mean, sd, n = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (mean, sd, n)))
    if (sd < 0).any():
        raise DataError(f"sd is {sd[sd < 0][0]:g}, but a standard deviation is never below 0.")
    n = np.where(n >= 2, n, np.nan)
    half = stats.t.isf((1 - level) / 2, n - 1) * sd / np.sqrt(n)
    return mean - half, mean + half


def counts(successes: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return successes and trials as floats of one shape.

    Raises
    ------
    DataError
        If a count is negative, or there are more successes than trials.
    """
    x, n = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(n, dtype=float))
    wrong = (x < 0) | (n < 0) | (x > n)
    if wrong.any():
        raise DataError(
            f"successes is {x[wrong][0]:g} of n = {n[wrong][0]:g}, "
            "but must lie between 0 and the number of trials."
        )
    return x, n
