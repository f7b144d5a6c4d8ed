"""Exact tests of two proportions: given the successes of both together, or whatever they were."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from custseg.stats.proportions import tables

_GRID, _PEAKS = 512, 4
_ROUNDING = 1e-9

Reaches = Callable[[np.ndarray, np.ndarray], np.ndarray]


def fisher(successes_1: ArrayLike, n_1: ArrayLike, successes_2: ArrayLike, n_2: ArrayLike) -> Any:
    """Return the two-sided p-value of Fisher's exact test of two proportions.

    Parameters
    ----------
    successes_1, n_1, successes_2, n_2
        Counts of successes and of trials in two independent groups, broadcast.

    Returns
    -------
    float or numpy.ndarray
        The probability, given all successes, of tables that are no more likely than this one; NaN
        where a group is empty.

    Raises
    ------
    DataError
        If a count is negative, or there are more successes than trials.

    References
    ----------
    Fisher, R. A. (1935), Journal of the Royal Statistical Society 98, 39-82.

    Examples
    --------
    >>> round(float(fisher(7, 9, 1, 8)), 4)
    0.0152
    """

    def of_table(a: int, m: int, b: int, k: int) -> float:
        return float(stats.fisher_exact([[a, m - a], [b, k - b]]).pvalue)

    return _by_table(of_table, successes_1, n_1, successes_2, n_2)


def boschloo(successes_1: ArrayLike, n_1: ArrayLike, successes_2: ArrayLike, n_2: ArrayLike) -> Any:
    """Return the two-sided p-value of Boschloo's exact test of two proportions.

    It is unconditional: tables are ordered by Fisher's one-sided p-value, and the most unfavourable
    common proportion counts. It is never above twice Fisher's one-sided p-value, and so mostly, if
    not always in unequal groups, below his two-sided one.

    Parameters
    ----------
    successes_1, n_1, successes_2, n_2
        Counts of successes and of trials in two independent groups, broadcast.

    Returns
    -------
    float or numpy.ndarray
        Twice the smaller of the two one-sided p-values, 1 at most; NaN where a group is empty.

    Raises
    ------
    DataError
        If a count is negative, or there are more successes than trials.

    References
    ----------
    Boschloo, R. D. (1970), Raised conditional level of significance for the 2 x 2-table when
    testing the equality of two probabilities, Statistica Neerlandica 24, 1-9.

    Examples
    --------
    >>> round(float(boschloo(7, 9, 1, 8)), 4), round(float(fisher(7, 9, 1, 8)), 4)
    (0.009, 0.0152)
    """

    def of_table(a: int, m: int, b: int, k: int) -> float:
        if a + b in (0, m + k):
            return 1.0
        sides = [(a, m, b, k), (b, k, a, m)]  # the first group has the fewer successes
        return min(1.0, 2 * min(_boschloo_below(*side) for side in sides))

    return _by_table(of_table, successes_1, n_1, successes_2, n_2)


def barnard(successes_1: ArrayLike, n_1: ArrayLike, successes_2: ArrayLike, n_2: ArrayLike) -> Any:
    """Return the two-sided p-value of Barnard's exact test of two proportions.

    It is unconditional: tables are ordered by the absolute pooled score statistic, and the most
    unfavourable common proportion counts.

    Parameters
    ----------
    successes_1, n_1, successes_2, n_2
        Counts of successes and of trials in two independent groups, broadcast.

    Returns
    -------
    float or numpy.ndarray
        The largest chance, over common proportions, of a statistic at least as far from 0; NaN
        where a group is empty.

    Raises
    ------
    DataError
        If a count is negative, or there are more successes than trials.

    References
    ----------
    Barnard, G. A. (1947), Significance tests for 2 x 2 tables, Biometrika 34, 123-138; Suissa, S.
    and Shuster, J. J. (1985), JRSS A 148, 317-327.

    Examples
    --------
    >>> round(float(barnard(7, 9, 1, 8)), 4)
    0.0089
    """

    def of_table(a: int, m: int, b: int, k: int) -> float:
        least = abs(_pooled_z(np.array(a), m, np.array(b), k)) * (1 - _ROUNDING)
        if least == 0:
            return 1.0
        x = np.arange(m + 1)
        below = _most(x, k, lambda a, b: _pooled_z(a, m, b, k) <= -least)
        above = _most(x, k, lambda a, b: _pooled_z(a, m, k - b, k) >= least)
        return _largest_chance(m, k, below, above)

    return _by_table(of_table, successes_1, n_1, successes_2, n_2)


def _by_table(of_table: Callable[[int, int, int, int], float], *given: ArrayLike) -> Any:
    x_1, n_1, x_2, n_2 = tables(*given)
    p_value = np.full(x_1.shape, np.nan)
    for place in np.argwhere(~np.isnan(n_1 * n_2 * x_1 * x_2)).tolist():
        p_value[tuple(place)] = of_table(*(int(x[tuple(place)]) for x in (x_1, n_1, x_2, n_2)))
    return p_value[()]


def _pooled_z(a: np.ndarray, m: int, b: np.ndarray, k: int) -> np.ndarray:
    """Return the score statistic of the second group's share less the first one's."""
    pooled = (a + b) / (m + k)
    error = np.sqrt(pooled * (1 - pooled) * (1 / m + 1 / k))
    return np.divide(b / k - a / m, error, out=np.zeros(np.shape(error)), where=error > 0)


def _boschloo_below(a: int, m: int, b: int, k: int) -> float:
    """Return the one-sided p-value against fewer successes in the first group."""
    if m > k:  # the same as fewer failures in the second, with fewer rows to go through
        a, m, b, k = k - b, k, m - a, m

    def p_below(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(stats.hypergeom.cdf(a, m + k, a + b, m))

    most = p_below(np.array(a), np.array(b)) * (1 + _ROUNDING)
    above = _most(np.arange(m + 1), k, lambda a, b: p_below(a, k - b) <= most)
    return _largest_chance(m, k, np.full(m + 1, -1), above)


def _most(x: np.ndarray, k: int, inside: Reaches) -> np.ndarray:
    """Return for each x the largest of 0 to k that is inside, as all below are; -1 if none is."""
    low, high = np.full(x.shape, -1), np.full(x.shape, k + 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        at = np.clip(middle, 0, k)
        yes = inside(x, at) & (high - low > 1)
        low, high = np.where(yes, at, low), np.where(yes | (high - low <= 1), high, at)
    return low


def _largest_chance(m: int, k: int, below: np.ndarray, above: np.ndarray) -> float:
    """Return the largest chance, over common proportions, of the tables of an ordering.

    For each number of successes of m these hold up to `below` successes of k, and up to `above`
    failures.
    """
    x = np.arange(m + 1)

    def chance(angle: Any) -> np.ndarray:
        p = np.sin(np.asarray(angle)[..., None]) ** 2
        inside = stats.binom.cdf(below, k, p) + stats.binom.cdf(above, k, 1 - p)
        return np.asarray((stats.binom.pmf(x, m, p) * inside).sum(axis=-1))

    # evenly on the scale on which shares vary alike, and down to a tenth in all customers
    edge = np.arcsin(np.sqrt(0.1 / (m + k)))
    angles = np.linspace(edge, np.pi / 2 - edge, _GRID)
    found = np.concatenate([chance(part) for part in np.array_split(angles, 1 + m // 2_000)])
    inner = np.flatnonzero((found >= np.roll(found, 1)) & (found >= np.roll(found, -1)))
    best = found.max()
    for i in inner[np.argsort(-found[inner], kind="stable")][:_PEAKS]:
        between = angles[max(i - 1, 0)], angles[min(i + 1, _GRID - 1)]
        refined = optimize.minimize_scalar(
            lambda angle: -float(chance(angle)), bounds=between, method="bounded"
        )
        best = max(best, -refined.fun)
    return float(min(best, 1.0))
