"""The difference of two segments, given that the clustering found exactly these two."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from custseg.profiling._clusterings import Codes, Matrix, cluster
from custseg.profiling._variation import Vector

FINE, ROUGH, HALVINGS = 0.02, 24, 14
REACH = 6.0


class Selective(NamedTuple):
    """An observed difference, what it is expected to be without groups, and its p-value."""

    difference: float
    expected: float
    p_value: float


def compare_pair(
    matrix: Matrix,
    codes: Codes,
    pair: tuple[int, int],
    *,
    clusterer: Any,
    covariance: Matrix,
    columns: list[int],
) -> list[Selective]:
    """Return the selective test of all columns together, then of each of `columns`.

    Parameters
    ----------
    matrix
        Customers x columns.
    codes
        The segment of each customer.
    pair
        The codes of two segments.
    clusterer
        What made the segments; it makes them again for every place that is tried.
    covariance
        Of the customers about their means.
    columns
        Positions of the columns that are tested alone.

    References
    ----------
    Gao, L. L., Bien, J. and Witten, D. (2024), JASA 119(545), 332-342; Chen, Y. T. and Witten,
    D. M. (2023), JMLR 24(152); Chen, Y. T. and Gao, L. L. (2023), arXiv:2311.16375, for single
    columns.
    """
    members = [np.flatnonzero(codes == code) for code in pair]
    sizes = np.array([len(part) for part in members])
    difference = matrix[members[0]].mean(axis=0) - matrix[members[1]].mean(axis=0)
    shares = sizes[::-1] / sizes.sum()
    noise = (1 / sizes).sum()

    def keeps(shift: Vector) -> bool:
        moved = matrix.copy()
        moved[members[0]] += shares[0] * shift
        moved[members[1]] -= shares[1] * shift
        return _same(cluster(clusterer, moved), members)

    inverse = np.linalg.pinv(covariance, hermitian=True, rcond=1e-10)
    length = float(np.sqrt(difference @ inverse @ difference))
    rank = int(np.linalg.matrix_rank(covariance, hermitian=True, tol=1e-10 * covariance.max()))
    scale = float(np.sqrt(noise))
    found = [_test(length, difference / (length or 1.0), keeps, scale, df=rank)]
    for place in columns:
        variance = covariance[place, place]
        own = float(np.sqrt(noise * variance))
        found.append(_test(difference[place], covariance[place] / variance, keeps, own, df=1))
    return found


def _same(codes: Codes, members: list[Codes]) -> bool:
    """Return whether each set of customers is one whole cluster."""
    for own in members:
        code = codes[own[0]]
        if code < 0 or (codes[own] != code).any() or np.count_nonzero(codes == code) != len(own):
            return False
    return True


def _test(
    observed: float, direction: Vector, keeps: Callable[[Vector], bool], scale: float, *, df: int
) -> Selective:
    """Return the test of a length (chi with `df`) or, with one, of a signed difference."""
    signed = df == 1
    at = observed / scale
    intervals = truncation_set(
        lambda place: keeps((place * scale - observed) * direction), at, signed=signed
    )
    sides = [part for low, high in intervals for part in _halves(low, high)]
    whole, beyond = _log_mass(sides, df), _log_mass(_beyond(sides, abs(at)), df)
    p_value = float(np.exp(min(beyond - whole, 0)))
    factor = np.sqrt(2) * np.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2))
    expected = scale * factor * np.exp(_log_mass(sides, df + 1) - whole)
    return Selective(observed, float(expected), p_value)


def truncation_set(
    keeps: Callable[[float], bool], at: float, *, signed: bool
) -> list[tuple[float, float]]:
    """Return the places, in standard errors, where the segments are found again.

    The line is searched on a grid that is finest around what was observed, where the mass of a
    null distribution that reaches so far lies, and every change is found by halving. The last
    interval on either side is taken to go on. A stretch that the grid misses below what was
    observed makes the p-value larger.

    Parameters
    ----------
    keeps
        Whether the segments are found again at a place.
    at
        The place that was observed.
    signed
        Whether places below 0 exist.
    """
    top = abs(at) + REACH
    bottom = -top if signed else 0.0
    steps = FINE / max(abs(at), 1) * 2.0 ** np.arange(40)
    near = np.concatenate([at - steps, at + steps])
    grid = np.concatenate([np.linspace(bottom, top, ROUGH), near[(near > bottom) & (near < top)]])
    grid = np.unique(np.append(grid, at))
    kept = np.array([True if place == at else keeps(place) for place in grid])
    edges = []
    for left in np.flatnonzero(kept[1:] != kept[:-1]):
        low, high = grid[left], grid[left + 1]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if keeps(middle) == kept[left] else (low, middle)
        edges.append((low + high) / 2)
    starts = [-np.inf if signed else 0.0] if kept[0] else []
    ends = [np.inf] if kept[-1] else []
    bounds = np.sort([*starts, *edges, *ends])
    return list(zip(bounds[::2].tolist(), bounds[1::2].tolist(), strict=True))


def _halves(low: float, high: float) -> list[tuple[float, float]]:
    """Return an interval of signed places as intervals of their size."""
    if low >= 0:
        return [(low, high)]
    if high <= 0:
        return [(-high, -low)]
    return [(0.0, -low), (0.0, high)]


def _beyond(intervals: list[tuple[float, float]], size: float) -> list[tuple[float, float]]:
    return [(max(low, size), high) for low, high in intervals if high > size]


def _log_mass(intervals: list[tuple[float, float]], df: int) -> float:
    """Return the logarithm of the probability that a chi variable lies in the intervals."""
    if not intervals:
        return -np.inf
    low, high = (log_tail(np.array(bounds), df) for bounds in zip(*intervals, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = low + np.log1p(-np.exp(np.where(high > -np.inf, high - low, -np.inf)))
    return float(special.logsumexp(parts))


def log_tail(x: Vector, df: int) -> Vector:
    """Return the logarithm of the probability that a chi variable exceeds `x`, however small.

    Parameters
    ----------
    x
        Places of at least 0.
    df
        Degrees of freedom.
    """
    half, shape = x**2 / 2, df / 2
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        near = np.log(special.gammaincc(shape, half))
        series, term = np.ones_like(half), np.ones_like(half)
        for step in range(1, 8):
            term = term * (shape - step) / half
            series = series + term
        far = (shape - 1) * np.log(half) - half - special.gammaln(shape) + np.log(series)
    answer = np.where((near > -500) | (half < 4 * shape), near, far)
    return np.asarray(np.where(np.isinf(x), -np.inf, answer))
