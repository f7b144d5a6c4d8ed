"""FasterPAM, compiled, without the interpreter's lock: starts run in threads.

Schubert & Rousseeuw (2021) evaluate the swaps of a candidate with all medoids in one pass over its
dissimilarities. Here `SLAB` candidates at a time share the pass, each row of the square being read
in order: a processor works on several candidates at once, and the best swap of a slab is made.
Sums are in double precision and in one fixed order, so that no swap is made for rounding errors.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Square = NDArray[np.floating]
Places = NDArray[np.int64]
SLAB = 64
SLIGHT = 1e-11
"""A swap has to gain more than this share of the loss."""


def trials(n_clusters: int) -> int:
    """Return the number of candidates that a start tries for each medoid."""
    return 2 + int(np.log(n_clusters))


@njit(cache=True, nogil=True)
def count_faults(square: Square, low: int, high: int) -> tuple[int, int]:
    """Return how many values of rows `low` to `high` are not finite, and how many are negative."""
    unknown, negative = 0, 0
    for i in range(low, high):
        for j in range(square.shape[1]):
            unknown += not abs(square[i, j]) < np.inf
            negative += square[i, j] < 0
    return unknown, negative


@njit(cache=True, nogil=True)
def find_twins(square: Square, low: int, high: int, twins: Places) -> None:
    """Put the first row at dissimilarity 0 from each of rows `low` to `high` into `twins`.

    That is the row itself if there is none before it.
    """
    for i in range(low, high):
        zeros = 0
        for j in range(i):
            zeros += square[i, j] == 0
        twins[i] = i
        if zeros:
            twins[i] = np.argmax(square[i, :i] == 0)


@njit(cache=True, nogil=True)
def _draw(mass: Matrix, uniform: float) -> int:
    """Return a position drawn with probability proportional to `mass`."""
    total = 0.0
    for i in range(len(mass)):
        total += mass[i]
    running, last = 0.0, 0
    for i in range(len(mass)):
        if mass[i] > 0:
            last = i
            running += mass[i]
            if running > uniform * total:
                break
    return last


@njit(cache=True, nogil=True)
def begin(square: Square, weights: Matrix, uniforms: Matrix) -> Places:
    """Return medoids to begin with, each the best of a few drawn by how far they are from others.

    This is greedy k-means++ (Arthur & Vassilvitskii 2007) with dissimilarities instead of squares.

    Parameters
    ----------
    square
        Rows x candidates, which are the rows first.
    weights
        A weight per row.
    uniforms
        Medoids x `trials` numbers in [0, 1).
    """
    n = len(square)
    medoids = np.empty(len(uniforms), np.int64)
    closest, trial, best, mass = np.empty(n), np.empty(n), np.empty(n), weights.copy()
    closest[:] = np.inf
    for m in range(len(medoids)):
        least = np.inf
        for t in range(uniforms.shape[1] if m > 0 else 1):
            candidate = _draw(mass, uniforms[m, t])
            loss = 0.0
            for o in range(n):
                trial[o] = min(closest[o], np.float64(square[o, candidate]))
                loss += weights[o] * trial[o]
            if loss < least:
                least = loss
                medoids[m] = candidate
                best, trial = trial, best
        closest, best = best, closest
        for o in range(n):
            mass[o] = weights[o] * closest[o]
    return medoids


@njit(cache=True, nogil=True)
def _two_nearest(apart: Square, o: int, labels: Places, near: Matrix, far: Matrix) -> None:
    """Find the nearest two medoids of a row; `near` and `far` say how far they are."""
    labels[0, o], labels[1, o] = 0, -1
    near[o], far[o] = np.inf, np.inf
    for m in range(apart.shape[1]):
        value = np.float64(apart[o, m])
        if value < near[o]:
            far[o], labels[1, o] = near[o], labels[0, o]
            near[o], labels[0, o] = value, m
        elif value < far[o]:
            far[o], labels[1, o] = value, m


@njit(cache=True, nogil=True)
def _replace(
    apart: Square, m: int, square: Square, c: int, labels: Places, near: Matrix, far: Matrix
) -> None:
    """Make row `c` medoid `m`, and find the nearest two of every row again."""
    for o in range(len(apart)):
        apart[o, m] = square[o, c]
        value = np.float64(apart[o, m])
        if labels[0, o] == m or labels[1, o] == m:
            _two_nearest(apart, o, labels, near, far)
        elif value < near[o]:
            far[o], labels[1, o] = near[o], labels[0, o]
            near[o], labels[0, o] = value, m
        elif value < far[o]:
            far[o], labels[1, o] = value, m


@njit(cache=True, nogil=True)
def _evaluate(
    square: Square,
    low: int,
    weights: Matrix,
    labels: Places,
    near: Matrix,
    far: Matrix,
    gains: Matrix,
    losses: Matrix,
) -> None:
    """Evaluate all swaps with the candidates `low` to ``low + SLAB``.

    A row goes to candidate `c` where that is nearer: what the loss changes by then is in
    ``gains[c]``. If its own medoid `m` goes, it may have to go elsewhere: what this adds is in
    ``losses[m, c]``.
    """
    gains[:] = 0.0
    losses[:] = 0.0
    for o in range(len(near)):
        values, lost = square[o, low : low + SLAB], losses[labels[0, o]]
        first, second, weight = near[o], far[o], weights[o]
        for c in range(SLAB):
            value = np.float64(values[c])
            kept = min(value, first)
            gains[c] += weight * (kept - first)
            lost[c] += weight * (min(value, second) - kept)


@njit(cache=True, nogil=True)
def _best_swap(
    gains: Matrix, losses: Matrix, eligible: Matrix, low: int, bound: float
) -> tuple[int, int]:
    """Return the medoid and the row of the swap that changes the loss most, -1 if none does."""
    least, medoid, row = -bound, -1, -1
    for m in range(len(losses)):
        for c in range(SLAB):
            change = gains[c] + losses[m, c]
            if change < least and eligible[low + c] > 0:
                least, medoid, row = change, m, low + c
    return medoid, row


@njit(cache=True, nogil=True)
def improve(
    square: Square, weights: Matrix, eligible: Matrix, medoids: Places, max_iter: int
) -> tuple[float, float, bool]:
    """Swap medoids for candidates while the loss falls.

    Parameters
    ----------
    square
        Rows x candidates: the dissimilarity of each row if the candidate were its medoid; `SLAB`
        candidates at least.
    weights
        A weight per row.
    eligible
        A weight per candidate; those of weight 0 are not made medoids. Candidates that have none
        are at an infinite dissimilarity from all rows.
    medoids
        The positions of candidates to begin with; what is found is put here.
    max_iter
        The most passes over all candidates.

    Returns
    -------
    tuple
        The loss, the number of passes, and whether no swap is left.
    """
    n, n_candidates = square.shape
    k = len(medoids)
    apart = np.empty((n, k), square.dtype)
    labels = np.empty((2, n), np.int64)
    near, far = np.empty(n), np.empty(n)
    loss = 0.0
    for o in range(n):
        for m in range(k):
            apart[o, m] = square[o, medoids[m]]
        _two_nearest(apart, o, labels, near, far)
        loss += weights[o] * near[o]

    gains, losses = np.empty(SLAB), np.empty((k, SLAB))
    low, idle, evaluated = 0, 0, 0
    while idle < n_candidates and evaluated < max_iter * n_candidates:
        size = min(SLAB, n_candidates - low)
        low -= SLAB - size
        _evaluate(square, low, weights, labels, near, far, gains, losses)
        m, c = _best_swap(gains, losses, eligible, low, SLIGHT * loss)
        evaluated += size
        idle += size
        if m >= 0:
            medoids[m] = c
            _replace(apart, m, square, c, labels, near, far)
            loss = 0.0
            for o in range(n):
                loss += weights[o] * near[o]
            idle = 0
        low = (low + SLAB) % n_candidates
    return loss, evaluated / n_candidates, idle >= n_candidates
