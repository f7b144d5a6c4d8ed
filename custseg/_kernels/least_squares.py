"""k-means to an optimum that no single row can improve, compiled, without the interpreter's lock.

Lloyd's iteration in single precision, then in double the exchange of Hartigan (1975): a row goes
where the sum of squares falls, counting how both means move. One thread per start: the same
uniforms give the same centres. Rows are columns here (variables x rows).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from custseg._kernels.kmeans import BLOCK, _descend, _move, _squared, _start

Matrix = NDArray[np.floating]
Labels = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _total(XT: Matrix, weights: Matrix, labels: Labels, sums: Matrix, mass: Matrix) -> None:
    """Put the weighted sums and the weights of every cluster into place."""
    sums[:] = 0.0
    mass[:] = 0.0
    for i in range(len(labels)):
        mass[labels[i]] += weights[i]
    for v in range(len(XT)):
        for i in range(len(labels)):
            sums[labels[i], v] += weights[i] * XT[v, i]


@njit(cache=True, nogil=True)
def _better(squares: Matrix, weight: float, own: int, mass: Matrix) -> int:
    """Return the cluster in which a row costs least, its own unless another saves something."""
    least = squares[own] * mass[own] * weight / (mass[own] - weight) * (1 - 1e-9)
    best = own
    for j in range(len(squares)):
        cost = squares[j] * mass[j] * weight / (mass[j] + weight)
        if j != own and cost < least:
            best, least = j, cost
    return best


@njit(cache=True, nogil=True)
def _exchange(
    XT: Matrix,
    weights: Matrix,
    centers: Matrix,
    labels: Labels,
    sums: Matrix,
    mass: Matrix,
    passes: int,
) -> None:
    """Move single rows as long as the sum of squares falls by more than rounding.

    A block of rows is compared with the centres as they are before it; a row that would move is
    compared again with the centres as they are then. The last pass moves nothing.
    """
    k = len(centers)
    members = np.bincount(labels, minlength=k)
    squares = np.empty((k, BLOCK))
    own = np.empty(k)
    for _ in range(passes):
        moved = 0
        for low in range(0, len(labels), BLOCK):
            high = min(low + BLOCK, len(labels))
            for j in range(k):
                _squared(XT, low, high, centers[j], squares[j])
            fresh = True
            for i in range(low, high):
                old, weight = labels[i], weights[i]
                if members[old] < 2:
                    continue
                own[:] = squares[:, i - low]
                new = _better(own, weight, old, mass)
                if new != old and not fresh:
                    for j in range(k):
                        _squared(XT, i, i + 1, centers[j], own[j : j + 1])
                    new = _better(own, weight, old, mass)
                if new == old:
                    continue
                _move(XT, i, weight, old, new, sums, mass)
                members[old] -= 1
                members[new] += 1
                labels[i] = new
                centers[old] = sums[old] / mass[old]
                centers[new] = sums[new] / mass[new]
                fresh = False
                moved += 1
        if moved == 0:
            return


@njit(cache=True, nogil=True)
def descend(
    XT: Matrix,
    single: Matrix,
    weights: Matrix,
    uniforms: Matrix,
    max_iter: int,
    tol: float,
    passes: int,
) -> tuple[float, Matrix, int]:
    """Return the sum of squares of one start, its centres and the iterations of Lloyd.

    Parameters
    ----------
    XT, single
        Variables x rows, C-contiguous, centred, and the same in single precision; at least as many
        distinct rows as centres.
    weights
        A positive weight per row.
    uniforms
        Centres x `trials` numbers in [0, 1).
    max_iter, tol
        The most iterations of Lloyd, and the squared shift of all centres at which it ends.
    passes
        The most passes of the exchange; 0 leaves it out.
    """
    d, n = XT.shape
    centers = np.empty((len(uniforms), d))
    labels = np.empty(n, np.int64)
    _start(single, weights, uniforms, centers)
    _, iterations = _descend(single, weights, centers, labels, max_iter, tol)
    sums, mass = np.empty(centers.shape), np.empty(len(centers))
    _total(XT, weights, labels, sums, mass)
    if passes:
        for j in range(len(centers)):
            centers[j] = sums[j] / mass[j]
        _exchange(XT, weights, centers, labels, sums, mass, passes)
        _total(XT, weights, labels, sums, mass)
    for j in range(len(centers)):
        centers[j] = sums[j] / mass[j] if mass[j] > 0 else centers[j]
    inertia = 0.0
    for v in range(d):
        for i in range(n):
            inertia += weights[i] * (XT[v, i] - centers[labels[i], v]) ** 2
    return inertia, centers, iterations
