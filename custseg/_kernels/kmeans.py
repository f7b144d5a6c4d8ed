"""k-means on weighted rows, compiled, without the interpreter's lock: replicates run in threads.

Greedy k-means++ starts (Arthur & Vassilvitskii 2007) and Lloyd's iteration, whose sums follow the
rows that move. One thread per call: the same uniforms give the same centres. Rows are columns here
(variables x rows), so that a processor works on several neighbouring customers at once; single
precision doubles their number, and only decides which centre is nearest: sums are in double.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.floating]
Labels = NDArray[np.int64]
BLOCK = 256


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
def _sum_blocks(mass: Matrix, sums: Matrix) -> None:
    """Put the sum of every block of `mass` into `sums`; four sums at a time do not wait."""
    n = len(mass)
    for block in range(len(sums)):
        low = block * BLOCK
        high = min(low + BLOCK, n)
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        even = low + (high - low) // 4 * 4
        for i in range(low, even, 4):
            a += mass[i]
            b += mass[i + 1]
            c += mass[i + 2]
            d += mass[i + 3]
        for i in range(even, high):
            a += mass[i]
        sums[block] = (a + b) + (c + d)


@njit(cache=True, nogil=True)
def _draw(mass: Matrix, sums: Matrix, uniform: float) -> int:
    """Return a position drawn with probability proportional to `mass`, whose blocks have `sums`."""
    target = uniform * sums.sum()
    running = 0.0
    before = 0.0
    found = 0
    for block in range(len(sums)):
        if sums[block] > 0:
            found = block
            before = running
            running += sums[block]
            if running > target:
                break
    last = found * BLOCK
    for i in range(found * BLOCK, min((found + 1) * BLOCK, len(mass))):
        if mass[i] > 0:
            last = i
            before += mass[i]
            if before > target:
                break
    return last


@njit(cache=True, nogil=True)
def _start(XT: Matrix, weights: Matrix, uniforms: Matrix, centers: Matrix) -> None:
    """Put greedy k-means++ starts into `centers`."""
    n = XT.shape[1]
    closest = np.empty(n, XT.dtype)
    mass = np.empty(n)
    sums = np.empty((n + BLOCK - 1) // BLOCK)
    potential = np.empty(BLOCK)
    trial = np.empty(n, XT.dtype)
    best = np.empty(n, XT.dtype)
    _sum_blocks(weights, sums)
    point = XT[:, _draw(weights, sums, uniforms[0, 0])].copy()
    centers[0] = point
    _squared(XT, 0, n, point, closest)
    for j in range(1, len(centers)):
        for i in range(n):
            mass[i] = weights[i] * closest[i]
        _sum_blocks(mass, sums)
        least = np.inf
        for t in range(uniforms.shape[1]):
            point[:] = XT[:, _draw(mass, sums, uniforms[j, t])]
            potential[:] = 0.0
            for low in range(0, n, BLOCK):
                high = min(low + BLOCK, n)
                part, before, heavy = trial[low:high], closest[low:high], weights[low:high]
                _squared(XT, low, high, point, part)
                for i in range(high - low):
                    part[i] = min(part[i], before[i])
                    potential[i] += heavy[i] * part[i]
            reached = potential.sum()
            if reached < least:
                least = reached
                best, trial = trial, best
                centers[j] = point
        closest, best = best, closest


@njit(cache=True, nogil=True)
def _score(
    XT: Matrix, low: int, high: int, centers: Matrix, halves: Matrix, scores: Matrix
) -> None:
    """Put half the squared distances less what all centres share into `scores`, centre by centre.

    Two centres and four variables at a time, so that rows are read from memory less often.
    """
    k, d = centers.shape
    size = high - low
    for j in range(0, k - 1, 2):
        one, other = scores[j, :size], scores[j + 1, :size]
        one[:] = halves[j]
        other[:] = halves[j + 1]
        for v in range(0, d - 3, 4):
            r0, r1 = XT[v, low:high], XT[v + 1, low:high]
            r2, r3 = XT[v + 2, low:high], XT[v + 3, low:high]
            a0, a1, a2, a3 = (
                centers[j, v + 0],
                centers[j, v + 1],
                centers[j, v + 2],
                centers[j, v + 3],
            )
            b0, b1, b2, b3 = (
                centers[j + 1, v + 0],
                centers[j + 1, v + 1],
                centers[j + 1, v + 2],
                centers[j + 1, v + 3],
            )
            for i in range(size):
                one[i] -= r0[i] * a0 + r1[i] * a1 + r2[i] * a2 + r3[i] * a3
                other[i] -= r0[i] * b0 + r1[i] * b1 + r2[i] * b2 + r3[i] * b3
        for v in range(d - d % 4, d):
            row = XT[v, low:high]
            a0, b0 = centers[j, v], centers[j + 1, v]
            for i in range(size):
                one[i] -= row[i] * a0
                other[i] -= row[i] * b0
    if k % 2:
        last = scores[k - 1, :size]
        last[:] = halves[k - 1]
        for v in range(d):
            row, a0 = XT[v, low:high], centers[k - 1, v]
            for i in range(size):
                last[i] -= row[i] * a0


@njit(cache=True, nogil=True)
def _move(
    XT: Matrix, row: int, weight: float, old: int, new: int, sums: Matrix, mass: Matrix
) -> None:
    """Take a row from one cluster (none below 0) to another."""
    mass[new] += weight
    for v in range(len(XT)):
        sums[new, v] += weight * XT[v, row]
    if old >= 0:
        mass[old] -= weight
        for v in range(len(XT)):
            sums[old, v] -= weight * XT[v, row]


@njit(cache=True, nogil=True)
def _reassign(
    XT: Matrix,
    weights: Matrix,
    centers: Matrix,
    halves: Matrix,
    labels: Labels,
    sums: Matrix,
    mass: Matrix,
    scores: Matrix,
) -> int:
    """Put every row to its nearest centre, the first of equal ones; return how many moved."""
    n = XT.shape[1]
    best = np.empty(BLOCK, XT.dtype)
    nearest = np.empty(BLOCK, np.int64)
    moved = 0
    for low in range(0, n, BLOCK):
        high = min(low + BLOCK, n)
        _score(XT, low, high, centers, halves, scores)
        best[:] = scores[0]
        nearest[:] = 0
        for j in range(1, len(centers)):
            score = scores[j]
            for i in range(high - low):
                closer = score[i] < best[i]
                best[i] = score[i] if closer else best[i]
                nearest[i] = j if closer else nearest[i]
        for i in range(high - low):
            old = labels[low + i]
            if nearest[i] != old:
                _move(XT, low + i, weights[low + i], old, nearest[i], sums, mass)
                labels[low + i] = nearest[i]
                moved += 1
    return moved


@njit(cache=True, nogil=True)
def _fill_empty(
    XT: Matrix, weights: Matrix, centers: Matrix, labels: Labels, sums: Matrix, mass: Matrix
) -> None:
    """Give every empty cluster the row farthest from its centre, where one can be spared."""
    members = np.bincount(labels, minlength=len(mass))
    for j in range(len(mass)):
        if members[j] > 0:
            continue
        mass[j] = 0.0
        sums[j] = 0.0
        far = -1
        worst = 0.0
        for i in range(len(labels)):
            distance = 0.0
            for v in range(len(XT)):
                distance += (XT[v, i] - centers[labels[i], v]) ** 2
            if distance > worst and members[labels[i]] > 1:
                worst = distance
                far = i
        if far >= 0:
            members[labels[far]] -= 1
            members[j] = 1
            _move(XT, far, weights[far], labels[far], j, sums, mass)
            labels[far] = j
            centers[j] = XT[:, far]


@njit(cache=True, nogil=True)
def _descend(
    XT: Matrix, weights: Matrix, centers: Matrix, labels: Labels, max_iter: int, tol: float
) -> tuple[float, int]:
    """Move the centres until they rest; return the sum of squares between them, and iterations.

    The total sum of squares less that between is the sum of squares within clusters.
    """
    k, d = centers.shape
    sums, mass = np.zeros((k, d)), np.zeros(k)
    scores = np.empty((k, BLOCK), XT.dtype)
    halves = np.empty(k, XT.dtype)
    rounded = np.empty((k, d), XT.dtype)
    labels[:] = -1
    iterations = 0
    for _ in range(max_iter):
        iterations += 1
        for j in range(k):
            length = 0.0
            for v in range(d):
                rounded[j, v] = centers[j, v]
                length += centers[j, v] ** 2
            halves[j] = length / 2
        moved = _reassign(XT, weights, rounded, halves, labels, sums, mass, scores)
        _fill_empty(XT, weights, centers, labels, sums, mass)
        if moved == 0:
            break
        shift = 0.0
        for j in range(k):
            for v in range(d):
                mean = sums[j, v] / mass[j] if mass[j] > 0 else centers[j, v]
                shift += (mean - centers[j, v]) ** 2
                centers[j, v] = mean
        if shift <= tol:
            break
    explained = 0.0
    for j in range(k):
        for v in range(d):
            explained += sums[j, v] ** 2 / mass[j] if mass[j] > 0 else 0.0
    return explained, iterations


@njit(cache=True, nogil=True)
def kmeans(
    XT: Matrix, weights: Matrix, k: int, max_iter: int, tol: float, uniforms: Matrix
) -> tuple[Matrix, float]:
    """Return the centres with the least weighted sum of squares over several starts, and that sum.

    Parameters
    ----------
    XT
        Variables x rows, C-contiguous, centred; in single precision they are compared faster.
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
    total = 0.0
    for v in range(d):
        for i in range(n):
            total += weights[i] * XT[v, i] * XT[v, i]
    best = np.empty((k, d))
    most = -np.inf
    labels = np.empty(n, np.int64)
    for start in range(len(uniforms)):
        centers = np.empty((k, d))
        _start(XT, weights, uniforms[start], centers)
        explained, _ = _descend(XT, weights, centers, labels, max_iter, tol)
        if explained > most:
            most = explained
            best = centers
    return best, max(total - most, 0.0)


@njit(cache=True, nogil=True)
def nearest(XT: Matrix, centers: Matrix) -> Labels:
    """Return the position of the nearest centre of each row, the first of equal ones."""
    n = XT.shape[1]
    labels = np.zeros(n, np.int64)
    distances = np.empty(BLOCK)
    best = np.empty(BLOCK)
    for low in range(0, n, BLOCK):
        high = min(low + BLOCK, n)
        best[:] = np.inf
        for j in range(len(centers)):
            _squared(XT, low, high, centers[j], distances)
            for i in range(high - low):
                if distances[i] < best[i]:
                    best[i] = distances[i]
                    labels[low + i] = j
    return labels
