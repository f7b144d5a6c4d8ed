"""k-modes and k-prototypes, compiled, without the interpreter's lock.

Huang's iteration in the order of the rows: a row moves to its nearest prototype, and both
prototypes concerned follow at once. Sums are taken in the order in which NumPy takes them, so that
a row that is equally near to two prototypes falls alike. k-modes is the case without numbers.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Codes = NDArray[np.int32]
Integers = NDArray[np.int64]


class Rows(NamedTuple):
    """Rows of numbers and levels.

    Parameters
    ----------
    numbers
        Rows x numeric columns, NaN where missing.
    codes
        Rows x categorical columns: the position of the level in its column, -1 where missing.
    weights
        A positive weight per row.
    offsets
        The place of each column's first level among the levels of all columns, then their number.
    mean, mode
        The prototype of all rows, which fills in what a prototype does not know.
    gamma
        What a level that differs counts, in squared units of the numbers.
    """

    numbers: Matrix
    codes: Codes
    weights: Matrix
    offsets: Integers
    mean: Matrix
    mode: Codes
    gamma: float


@njit(cache=True, nogil=True)
def _squares(numbers: Matrix, i: int, means: Matrix, c: int, end: int) -> float:
    """Return the squared distance in the first `end` numbers, which are a multiple of eight.

    NumPy adds in eight lanes and puts these together in pairs.
    """
    total = 0.0
    for half in range(0, 8, 4):
        quarters = 0.0
        for quarter in range(half, half + 4, 2):
            lanes = 0.0
            for lane in range(quarter, quarter + 2):
                added = 0.0
                for v in range(lane, end, 8):
                    difference = numbers[i, v] - means[c, v]
                    added += difference * difference if difference == difference else 0.0
                lanes += added
            quarters += lanes
        total += quarters
    return total


@njit(cache=True, nogil=True)
def _measure(
    numbers: Matrix, codes: Codes, gamma: float, i: int, means: Matrix, modes: Codes, out: Matrix
) -> None:
    """Put squared distance plus gamma times the levels that differ, to every prototype, in `out`.

    What a row lacks counts nothing; a code beyond the levels of its column agrees with no mode.
    """
    d = numbers.shape[1]
    end = d - d % 8
    for c in range(len(means)):
        squares = _squares(numbers, i, means, c, end) if end else 0.0
        for v in range(end, d):
            difference = numbers[i, v] - means[c, v]
            squares += difference * difference if difference == difference else 0.0
        different = 0
        for j in range(codes.shape[1]):
            different += (codes[i, j] != modes[c, j]) & (codes[i, j] >= 0)
        out[c] = squares + gamma * different


@njit(cache=True, nogil=True)
def _nearest(
    numbers: Matrix, codes: Codes, gamma: float, i: int, means: Matrix, modes: Codes, out: Matrix
) -> int:
    """Return the nearest prototype of a row, the first of equal ones; `out` has all of them."""
    _measure(numbers, codes, gamma, i, means, modes, out)
    best = 0
    for c in range(1, len(out)):
        if out[c] < out[best]:
            best = c
    return best


@njit(cache=True, nogil=True)
def dissimilarities(
    numbers: Matrix, codes: Codes, gamma: float, means: Matrix, modes: Codes
) -> Matrix:
    """Return the dissimilarity of every row from every prototype, rows x prototypes."""
    out = np.empty((len(numbers), len(means)))
    for i in range(len(out)):
        _measure(numbers, codes, gamma, i, means, modes, out[i])
    return out


@njit(cache=True, nogil=True)
def assign(
    numbers: Matrix,
    codes: Codes,
    weights: Matrix,
    gamma: float,
    means: Matrix,
    modes: Codes,
    labels: Integers,
    apart: Matrix,
) -> float:
    """Put the nearest prototype of every row, and how far it is, in place; return the cost."""
    out = np.empty(len(means))
    cost = 0.0
    for i in range(len(labels)):
        labels[i] = _nearest(numbers, codes, gamma, i, means, modes, out)
        apart[i] = out[labels[i]]
        cost += apart[i] * weights[i]
    return cost


@njit(cache=True, nogil=True)
def _commonest(counts: Matrix, c: int, low: int, high: int, floor: float, otherwise: int) -> int:
    """Return the most frequent level of a column, the first of equal ones."""
    most = floor
    answer = otherwise
    for level in range(low, high):
        if counts[c, level] > most:
            most = counts[c, level]
            answer = level - low
    return answer


@njit(cache=True, nogil=True)
def _move_numbers(
    numbers: Matrix,
    i: int,
    weight: float,
    old: int,
    new: int,
    sums: Matrix,
    mass: Matrix,
    floor: float,
    mean: Matrix,
    means: Matrix,
) -> None:
    """Let two means follow a row that moves."""
    for v in range(numbers.shape[1]):
        if numbers[i, v] == numbers[i, v]:
            sums[new, v] += numbers[i, v] * weight
            mass[new, v] += weight
            means[new, v] = sums[new, v] / mass[new, v]
            sums[old, v] -= numbers[i, v] * weight
            mass[old, v] -= weight
            means[old, v] = sums[old, v] / mass[old, v] if mass[old, v] > floor else mean[v]


@njit(cache=True, nogil=True)
def _move_levels(
    codes: Codes,
    i: int,
    weight: float,
    old: int,
    new: int,
    offsets: Integers,
    counts: Matrix,
    floor: float,
    mode: Codes,
    modes: Codes,
) -> None:
    """Let two modes follow a row that moves; a mode gives way only to a more frequent level."""
    for j in range(codes.shape[1]):
        level = codes[i, j]
        if level >= 0:
            low, high = offsets[j], offsets[j + 1]
            counts[new, low + level] += weight
            if counts[new, low + level] > counts[new, low + modes[new, j]]:
                modes[new, j] = level
            counts[old, low + level] -= weight
            if modes[old, j] == level:
                modes[old, j] = _commonest(counts, old, low, high, floor, mode[j])


@njit(cache=True, nogil=True)
def _gather(
    numbers: Matrix,
    codes: Codes,
    weights: Matrix,
    offsets: Integers,
    labels: Integers,
    sums: Matrix,
    mass: Matrix,
    counts: Matrix,
) -> None:
    """Add up the numbers and count the levels of the rows of every prototype."""
    for i in range(len(labels)):
        c, weight = labels[i], weights[i]
        for v in range(numbers.shape[1]):
            if numbers[i, v] == numbers[i, v]:
                sums[c, v] += numbers[i, v] * weight
                mass[c, v] += weight
        for j in range(codes.shape[1]):
            if codes[i, j] >= 0:
                counts[c, offsets[j] + codes[i, j]] += weight


@njit(cache=True, nogil=True)
def descend(rows: Rows, means: Matrix, modes: Codes, labels: Integers, max_iter: int) -> int:
    """Move rows and prototypes until no row moves or the cost falls no more.

    The last row of a prototype stays.

    Parameters
    ----------
    rows
        The rows.
    means, modes
        Become the prototypes, k x numeric and k x categorical columns.
    labels
        The prototype of every row at first, each with a row at least; spoilt.
    max_iter
        The most passes over the rows.

    Returns
    -------
    int
        The number of passes.
    """
    numbers, codes, weights, offsets, mean, mode, gamma = rows
    k, n = len(means), len(labels)
    sums, mass, counts = (
        np.zeros((k, len(mean))),
        np.zeros((k, len(mean))),
        np.zeros((k, offsets[-1])),
    )
    floor = weights.min() / 2  # less than that is what rounding left of a sum of weights
    _gather(numbers, codes, weights, offsets, labels, sums, mass, counts)
    for c in range(k):
        for v in range(len(mean)):
            means[c, v] = sums[c, v] / mass[c, v] if mass[c, v] > floor else mean[v]
        for j in range(len(mode)):
            modes[c, j] = _commonest(counts, c, offsets[j], offsets[j + 1], floor, mode[j])
    size, out = np.zeros(k, np.int64), np.empty(k)
    for i in range(n):
        size[labels[i]] += 1
    nearest, apart = np.empty(n, np.int64), np.empty(n)
    cost = np.inf
    passes = 0
    while True:
        before = cost
        cost = assign(numbers, codes, weights, gamma, means, modes, nearest, apart)
        if cost >= before or passes == max_iter:
            return passes
        passes += 1
        moves = 0
        for i in range(n):
            old = labels[i]
            new = _nearest(numbers, codes, gamma, i, means, modes, out)
            if new != old and size[old] > 1:
                _move_numbers(numbers, i, weights[i], old, new, sums, mass, floor, mean, means)
                _move_levels(codes, i, weights[i], old, new, offsets, counts, floor, mode, modes)
                labels[i] = new
                size[old] -= 1
                size[new] += 1
                moves += 1
        if moves == 0:
            return passes
