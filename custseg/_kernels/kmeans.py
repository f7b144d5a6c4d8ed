"""k-means on weighted rows, compiled, without the interpreter's lock: replicates run in threads.

Greedy k-means++ starts (Arthur & Vassilvitskii 2007) and Lloyd's iteration. One thread per call:
the same uniforms give the same centres. Rows are columns here (variables x rows), so that a
processor works on several neighbouring customers at once.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
BLOCK = 512


def trials(n_clusters: int) -> int:
    """Return the number of candidates that greedy k-means++ tries for each centre."""
    return 2 + int(np.log(n_clusters))


@njit(cache=True, nogil=True)
def _squared(XT: Matrix, low: int, high: int, center: Matrix, out: Matrix) -> None:
    """Put the squared distances of rows `low` to `high` from a centre into `out`."""
    size = high - low
    for i in range(size):
        out[i] = 0.0
    for v in range(len(XT)):
        value = center[v]
        row = XT[v, low:high]
        for i in range(size):
            difference = row[i] - value
            out[i] += difference * difference


@njit(cache=True, nogil=True)
def _assign(XT: Matrix, centers: Matrix, labels: NDArray[np.int64], distances: Matrix) -> int:
    """Put every row to its nearest centre, the first of equal ones; return how many moved."""
    n = XT.shape[1]
    out = np.empty(BLOCK)
    nearest = np.empty(BLOCK, np.int64)
    moved = 0
    for low in range(0, n, BLOCK):
        high = min(low + BLOCK, n)
        best = distances[low:high]
        for i in range(high - low):
            best[i] = np.inf
            nearest[i] = 0
        for j in range(len(centers)):
            _squared(XT, low, high, centers[j], out)
            for i in range(high - low):
                closer = out[i] < best[i]
                best[i] = out[i] if closer else best[i]
                nearest[i] = j if closer else nearest[i]
        for i in range(high - low):
            moved += labels[low + i] != nearest[i]
            labels[low + i] = nearest[i]
    return moved


@njit(cache=True, nogil=True)
def _draw(mass: Matrix, uniform: float) -> int:
    """Return a position drawn with probability proportional to `mass`."""
    total = 0.0
    for i in range(len(mass)):
        total += mass[i]
    target = uniform * total
    running = 0.0
    last = 0
    for i in range(len(mass)):
        if mass[i] > 0:
            last = i
            running += mass[i]
            if running > target:
                break
    return last


@njit(cache=True, nogil=True)
def _start(XT: Matrix, weights: Matrix, uniforms: Matrix, centers: Matrix) -> None:
    """Put greedy k-means++ starts into `centers`."""
    n = XT.shape[1]
    closest = np.empty(n)
    mass = np.empty(n)
    trial = np.empty(n)
    best = np.empty(n)
    centers[0] = XT[:, _draw(weights, uniforms[0, 0])]
    _squared(XT, 0, n, centers[0], closest)
    for j in range(1, len(centers)):
        for i in range(n):
            mass[i] = weights[i] * closest[i]
        least = np.inf
        for t in range(uniforms.shape[1]):
            candidate = _draw(mass, uniforms[j, t])
            _squared(XT, 0, n, XT[:, candidate], trial)
            potential = 0.0
            for i in range(n):
                trial[i] = min(trial[i], closest[i])
                potential += weights[i] * trial[i]
            if potential < least:
                least = potential
                best, trial = trial, best
                centers[j] = XT[:, candidate]
        closest, best = best, closest


@njit(cache=True, nogil=True)
def _fill_empty(
    XT: Matrix,
    weights: Matrix,
    labels: NDArray[np.int64],
    distances: Matrix,
    mass: Matrix,
    sums: Matrix,
) -> None:
    """Give every empty cluster the row farthest from its centre, where one can be spared."""
    for j in range(len(mass)):
        if mass[j] > 0:
            continue
        far = -1
        worst = 0.0
        for i in range(len(labels)):
            if distances[i] > worst and mass[labels[i]] > weights[i]:
                worst = distances[i]
                far = i
        if far >= 0:
            old = labels[far]
            labels[far] = j
            distances[far] = 0.0
            mass[old] -= weights[far]
            mass[j] = weights[far]
            for v in range(len(XT)):
                sums[old, v] -= weights[far] * XT[v, far]
                sums[j, v] = weights[far] * XT[v, far]


@njit(cache=True, nogil=True)
def _update(
    XT: Matrix, weights: Matrix, labels: NDArray[np.int64], distances: Matrix, centers: Matrix
) -> float:
    """Move the centres to the weighted means of their rows; return the squared shift of all."""
    k, d = centers.shape
    sums = np.zeros((k, d))
    mass = np.zeros(k)
    for i in range(len(labels)):
        mass[labels[i]] += weights[i]
    for v in range(d):
        for i in range(len(labels)):
            sums[labels[i], v] += weights[i] * XT[v, i]
    _fill_empty(XT, weights, labels, distances, mass, sums)
    shift = 0.0
    for j in range(k):
        for v in range(d):
            mean = sums[j, v] / mass[j] if mass[j] > 0 else centers[j, v]
            shift += (mean - centers[j, v]) ** 2
            centers[j, v] = mean
    return shift


@njit(cache=True, nogil=True)
def kmeans(
    XT: Matrix, weights: Matrix, k: int, max_iter: int, tol: float, uniforms: Matrix
) -> tuple[Matrix, float]:
    """Return the centres with the least weighted sum of squares over several starts, and that sum.

    Parameters
    ----------
    XT
        Variables x rows, C-contiguous.
    weights
        A positive weight per row.
    k
        The number of clusters.
    max_iter
        The most iterations of a start.
    tol
        The squared shift of all centres at which a start ends.
    uniforms
        Starts x `k` x `trials` numbers in [0, 1).
    """
    d, n = XT.shape
    best = np.empty((k, d))
    least = np.inf
    labels = np.zeros(n, np.int64)
    distances = np.empty(n)
    for start in range(len(uniforms)):
        centers = np.empty((k, d))
        _start(XT, weights, uniforms[start], centers)
        for _ in range(max_iter):
            moved = _assign(XT, centers, labels, distances)
            if _ > 0 and moved == 0:
                break
            if _update(XT, weights, labels, distances, centers) <= tol:
                break
        _assign(XT, centers, labels, distances)
        inertia = 0.0
        for i in range(n):
            inertia += weights[i] * distances[i]
        if inertia < least:
            least = inertia
            best = centers
    return best, least


@njit(cache=True, nogil=True)
def nearest(XT: Matrix, centers: Matrix) -> NDArray[np.int64]:
    """Return the position of the nearest centre of each row, the first of equal ones."""
    labels = np.zeros(XT.shape[1], np.int64)
    _assign(XT, centers, labels, np.empty(XT.shape[1]))
    return labels
