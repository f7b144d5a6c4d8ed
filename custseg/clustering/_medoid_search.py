"""The search for medoids: many starts, then the best of what they found together."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray

from custseg._kernels.medoids import SLAB, begin, improve, trials
from custseg.clustering._spaces import Space
from custseg.clustering._squares import whole_part, whole_square

Matrix = NDArray[np.float64]
Square = NDArray[np.floating]
Places = NDArray[np.int64]

COMBINATIONS = 5
"""How many random combinations of the medoids found are tried for every start."""

FEWEST_JUDGES = 20_000
"""How many rows judge the medoids of samples at least, if there are as many."""

NEARBY = 640
"""How many rows near the medoids of samples are tried in their place, for all medoids together."""


class Medoids(NamedTuple):
    """Positions of medoids, the loss with them, passes of the search, and whether it came to rest.

    The loss is the sum of the weighted dissimilarities of rows from their nearest medoid.
    """

    places: Places
    loss: float
    n_iter: float
    converged: bool


def search(
    square: Square,
    weights: Matrix,
    n_clusters: int,
    *,
    n_init: int,
    max_iter: int,
    rng: np.random.Generator,
) -> Medoids:
    """Return the medoids with the least loss that several starts, and then all together, find.

    Parameters
    ----------
    square
        Rows x rows: how unlike each row (first) is from each medoid (second).
    weights
        A weight per row; rows of weight 0 are not made medoids.
    n_clusters, n_init, max_iter
        The number of medoids, of starts, and of the most passes over all rows from a start.
    rng
        The source of chance. The answer does not depend on the number of threads.
    """
    square = _widened(square)
    uniforms = rng.random((n_init, n_clusters, trials(n_clusters)))

    def descend(numbers: Matrix) -> Medoids:
        return _improved(square, weights, weights, begin(square, weights, numbers), max_iter)

    with ThreadPoolExecutor(cpu_count()) as pool:
        found = list(pool.map(descend, uniforms))
    best = min(found, key=lambda one: one.loss)
    sets = np.array([one.places for one in found])
    candidates = np.unique(sets)
    if len(candidates) == n_clusters:
        return best
    few = combine(
        square[:, candidates],
        weights,
        np.searchsorted(candidates, sets),
        max_iter=max_iter,
        rng=rng,
    )
    combined = _improved(square, weights, weights, candidates[few.places], max_iter)
    return combined if combined.loss < best.loss else best


def sample_size(n_clusters: int, exact_up_to: int) -> int:
    """Return how many rows the samples of `search_samples` have."""
    return min(max(4_000, 100 * n_clusters), exact_up_to)


def search_samples(
    space: Space,
    rows: Any,
    weights: Matrix,
    n_clusters: int,
    *,
    exact_up_to: int,
    n_init: int,
    max_iter: int,
    rng: np.random.Generator,
) -> Medoids:
    """Return medoids that are sought in samples, combined, and moved to better rows nearby.

    Every start has a sample of its own, as in CLARA. What follows is judged by all rows, or by a
    sample of as many as fit into the memory of the square of `exact_up_to` rows.

    Parameters
    ----------
    space
        How rows are compared.
    rows
        The rows, as the space reads them.
    weights
        A positive weight per row.
    exact_up_to
        The number of rows whose square fits into memory; there are more.
    n_clusters, n_init, max_iter, rng
        As in `search`.
    """
    size = sample_size(n_clusters, exact_up_to)

    def search_one(chance: np.random.Generator) -> Medoids:
        places, mass = draw_sample(weights, size, n_clusters, chance)
        square = whole_square(space, space.take(rows, places))
        one = search(square, mass, n_clusters, n_init=1, max_iter=max_iter, rng=chance)
        return one._replace(places=places[one.places])

    with ThreadPoolExecutor(min(cpu_count(), exact_up_to**2 // size**2)) as pool:
        found = list(pool.map(search_one, rng.spawn(n_init)))
    sets = np.array([one.places for one in found])
    most = max(FEWEST_JUDGES, exact_up_to**2 // (sets.size + NEARBY + 9 * n_clusters))
    judges, mass = rows, weights
    if most < len(weights):
        places, mass = draw_sample(weights, most, n_clusters, rng)
        judges = space.take(rows, places)
    candidates = np.unique(sets)
    apart = whole_part(space, judges, space.take(rows, candidates))
    best = combine(apart, mass, np.searchsorted(candidates, sets), max_iter=max_iter, rng=rng)
    places, converged = _moved(
        space, rows, judges, mass, np.sort(candidates[best.places]), max_iter
    )
    passes = max(one.n_iter for one in found)
    return Medoids(places, best.loss, passes, converged and all(one.converged for one in found))


def _moved(
    space: Space, rows: Any, judges: Any, mass: Matrix, places: Places, max_iter: int
) -> tuple[Places, bool]:
    """Swap medoids for the rows nearest to them while that lowers the loss of the judges."""
    for _ in range(max_iter):
        moved = _moved_once(space, rows, judges, mass, places, max_iter)
        if np.array_equal(moved, places):
            return places, True
        places = moved
    return places, False


def _moved_once(
    space: Space, rows: Any, judges: Any, mass: Matrix, places: Places, max_iter: int
) -> Places:
    apart = whole_part(space, rows, space.take(rows, places))
    count = min(max(8, NEARBY // len(places)), len(apart) - 1)
    candidates = np.union1d(places, np.argpartition(apart, count, axis=0)[:count])
    near = _widened(whole_part(space, judges, space.take(rows, candidates)))
    start = np.searchsorted(candidates, places)
    best = _improved(near, mass, np.ones(near.shape[1]), start, max_iter)
    return np.sort(candidates[best.places])


def draw_sample(
    weights: Matrix, size: int, n_least: int, rng: np.random.Generator
) -> tuple[Places, Matrix]:
    """Return the places of rows drawn in proportion to their weights, and how often each counts.

    Parameters
    ----------
    weights
        A positive weight per row.
    size
        The number of draws, evenly spaced in a random order of the rows: rows are drawn once, save
        those of large weight.
    n_least
        The number of distinct rows that are needed at least.
    rng
        The source of chance.
    """
    order = rng.permutation(len(weights))
    edges = np.cumsum(weights[order])
    share = edges[-1] / size
    drawn = np.searchsorted(edges, (rng.random() + np.arange(size)) * share, side="right")
    counts = np.bincount(np.minimum(drawn, len(order) - 1), minlength=len(order)).astype(float)
    first = slice(0, n_least)
    counts[first] = np.maximum(counts[first], weights[order[first]] / share)
    kept = np.flatnonzero(counts)
    rank = np.argsort(order[kept])
    return order[kept][rank], counts[kept][rank]


def combine(
    apart: Square, weights: Matrix, sets: Places, *, max_iter: int, rng: np.random.Generator
) -> Medoids:
    """Return the best medoids among few candidates: heuristic concentration.

    Parameters
    ----------
    apart
        Rows x candidates.
    weights
        A weight per row.
    sets
        Starts x medoids: positions of candidates. For each, `COMBINATIONS` random sets are tried
        besides.
    max_iter, rng
        As in `search`.

    References
    ----------
    Rosing, K. E. & ReVelle, C. S. (1997). Heuristic concentration: Two stage solution construction.
    European Journal of Operational Research 97, 75-86.
    """
    n_candidates, (n_sets, n_clusters) = apart.shape[1], sets.shape
    apart = _widened(apart)
    eligible = np.ones(apart.shape[1])
    shuffled = np.tile(np.arange(n_candidates), (COMBINATIONS * n_sets, 1))
    starts = np.vstack([sets, rng.permuted(shuffled, axis=1)[:, :n_clusters]])

    def descend(start: Places) -> Medoids:
        return _improved(apart, weights, eligible, start, max_iter)

    with ThreadPoolExecutor(cpu_count()) as pool:
        return min(pool.map(descend, starts), key=lambda one: one.loss)


def _improved(
    square: Square, weights: Matrix, eligible: Matrix, start: Places, max_iter: int
) -> Medoids:
    places = start.copy()
    return Medoids(places, *improve(square, weights, eligible, places, max_iter))


def _widened(square: Square) -> Square:
    """Return rows x candidates as the kernel reads it: in rows, with `SLAB` candidates at least."""
    lacking = max(0, SLAB - square.shape[1])
    if lacking:
        return np.pad(square, ((0, 0), (0, lacking)), constant_values=np.inf)
    return np.ascontiguousarray(square)
