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
BLOCK = 64


class Rows(NamedTuple):
    """Rows of numbers and levels.

    Parameters
    ----------
    numbers
        Numeric columns x rows, NaN where missing.
    codes
        Categorical columns x rows: the position of the level in its column, -1 where missing.
    weights
        A positive weight per row.
    offsets
        The place of each column's first level among the levels of all columns, then their number.
    mean, mode
        The prototype of all rows, which fills in what a prototype does not know.
    gamma
        What a level that differs counts, in squared units of the numbers.
    floor
        Half the smallest weight: less than that is what rounding left of a sum of weights.
    """

    numbers: Matrix
    codes: Codes
    weights: Matrix
    offsets: Integers
    mean: Matrix
    mode: Codes
    gamma: float
    floor: float


@njit(cache=True, nogil=True)
def _add_lanes(numbers: Matrix, first: int, means: Matrix, c: int, end: int, out: Matrix) -> None:
    """Add the squares of the first `end` differences, a multiple of eight, as NumPy adds them.

    Up to 128 numbers, it adds up eight lanes and puts these together in pairs.
    """
    size = len(out)
    lanes = np.zeros((8, size))
    for v in range(end):
        mean = means[c, v]
        row, lane = numbers[v, first : first + size], lanes[v % 8]
        for i in range(size):
            difference = row[i] - mean
            lane[i] += difference * difference if difference == difference else 0.0
    for i in range(size):
        left = (lanes[0, i] + lanes[1, i]) + (lanes[2, i] + lanes[3, i])
        out[i] += left + ((lanes[4, i] + lanes[5, i]) + (lanes[6, i] + lanes[7, i]))


@njit(cache=True, nogil=True)
def _measure(
    numbers: Matrix,
    codes: Codes,
    gamma: float,
    first: int,
    means: Matrix,
    modes: Codes,
    c: int,
    different: Codes,
    out: Matrix,
) -> None:
    """Put the dissimilarity of rows from `first` on from a prototype into `out`.

    It is the squared distance plus gamma times the levels that differ. What a row lacks counts
    nothing; a code beyond the levels of its column agrees with no mode.
    """
    size, d = len(out), len(numbers)
    end = d - d % 8
    for i in range(size):
        out[i] = 0.0
        different[i] = 0
    if end:
        _add_lanes(numbers, first, means, c, end, out)
    for v in range(end, d):
        mean = means[c, v]
        row = numbers[v, first : first + size]
        for i in range(size):
            difference = row[i] - mean
            out[i] += difference * difference if difference == difference else 0.0
    for j in range(len(codes)):
        mode = modes[c, j]
        code = codes[j, first : first + size]
        for i in range(size):
            different[i] += (code[i] != mode) & (code[i] >= 0)
    for i in range(size):
        out[i] += gamma * different[i]


@njit(cache=True, nogil=True)
def dissimilarities(
    numbers: Matrix, codes: Codes, gamma: float, means: Matrix, modes: Codes
) -> Matrix:
    """Return the dissimilarity of every row from every prototype, prototypes x rows."""
    n = max(numbers.shape[1], codes.shape[1])
    out = np.empty((len(means), n))
    different = np.empty(BLOCK, np.int32)
    for first in range(0, n, BLOCK):
        last = min(first + BLOCK, n)
        for c in range(len(means)):
            _measure(numbers, codes, gamma, first, means, modes, c, different, out[c, first:last])
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
    """Put the nearest prototype of every row, the first of equal ones, and how far it is in place.

    Returns
    -------
    float
        The cost.
    """
    n = len(labels)
    out, different = np.empty(BLOCK), np.empty(BLOCK, np.int32)
    cost = 0.0
    for first in range(0, n, BLOCK):
        last = min(first + BLOCK, n)
        label, least, measured = labels[first:last], apart[first:last], out[: last - first]
        for i in range(last - first):
            least[i] = np.inf
            label[i] = 0
        for c in range(len(means)):
            _measure(numbers, codes, gamma, first, means, modes, c, different, measured)
            for i in range(last - first):
                closer = measured[i] < least[i]
                least[i] = measured[i] if closer else least[i]
                label[i] = c if closer else label[i]
    for i in range(n):
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
    for v in range(len(numbers)):
        if numbers[v, i] == numbers[v, i]:
            sums[new, v] += numbers[v, i] * weight
            mass[new, v] += weight
            means[new, v] = sums[new, v] / mass[new, v]
            sums[old, v] -= numbers[v, i] * weight
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
) -> bool:
    """Let two modes follow a row that moves; return whether one changed.

    A mode gives way only to a more frequent level, or where it loses a row to the first of the
    most frequent ones.
    """
    changed = False
    for j in range(len(codes)):
        level = codes[j, i]
        if level >= 0:
            low, high = offsets[j], offsets[j + 1]
            counts[new, low + level] += weight
            if counts[new, low + level] > counts[new, low + modes[new, j]]:
                modes[new, j] = level
                changed = True
            counts[old, low + level] -= weight
            if modes[old, j] == level:
                modes[old, j] = _commonest(counts, old, low, high, floor, mode[j])
                changed |= modes[old, j] != level
    return changed


@njit(cache=True, nogil=True)
def gather(
    rows: Rows, labels: Integers, means: Matrix, modes: Codes
) -> tuple[Matrix, Matrix, Matrix]:
    """Put the prototypes of the rows of each label in place.

    Returns
    -------
    tuple of three numpy.ndarray
        What they are made of: sums and weights, k x numeric columns, and counts, k x levels.
    """
    numbers, codes, weights, offsets, mean, mode, _, floor = rows
    k = len(means)
    sums, mass, counts = np.zeros(means.shape), np.zeros(means.shape), np.zeros((k, offsets[-1]))
    for i in range(len(labels)):
        c, weight = labels[i], weights[i]
        for v in range(len(numbers)):
            if numbers[v, i] == numbers[v, i]:
                sums[c, v] += numbers[v, i] * weight
                mass[c, v] += weight
        for j in range(len(codes)):
            if codes[j, i] >= 0:
                counts[c, offsets[j] + codes[j, i]] += weight
    for c in range(k):
        for v in range(len(mean)):
            means[c, v] = sums[c, v] / mass[c, v] if mass[c, v] > floor else mean[v]
        for j in range(len(mode)):
            modes[c, j] = _commonest(counts, c, offsets[j], offsets[j + 1], floor, mode[j])
    return sums, mass, counts


@njit(cache=True, nogil=True)
def sweep(
    rows: Rows,
    labels: Integers,
    members: Integers,
    means: Matrix,
    modes: Codes,
    sums: Matrix,
    mass: Matrix,
    counts: Matrix,
) -> int:
    """Move each row in turn to its nearest prototype, and both prototypes concerned with it.

    The last row of a prototype stays.

    Parameters
    ----------
    rows
        The rows.
    labels, members
        The prototype that each row belongs to, and how many rows each prototype has.
    means, modes, sums, mass, counts
        The prototypes, and what `gather` returned for these labels.

    Returns
    -------
    int
        How many rows moved.
    """
    numbers, codes, weights, offsets, mean, mode, gamma, floor = rows
    n, k, d = len(labels), len(means), len(mean)
    out, different, stale = np.empty((k, BLOCK)), np.empty(BLOCK, np.int32), np.ones(k, np.int8)
    moves = 0
    for i in range(n):
        place = i % BLOCK
        if place == 0:
            stale[:] = 1
        old, new = labels[i], 0
        for c in range(k):
            if stale[c]:
                measured = out[c, place : min(BLOCK, place + n - i)]
                _measure(numbers, codes, gamma, i, means, modes, c, different, measured)
                stale[c] = 0
            if out[c, place] < out[new, place]:
                new = c
        if new != old and members[old] > 1:
            _move_numbers(numbers, i, weights[i], old, new, sums, mass, floor, mean, means)
            changed = _move_levels(
                codes, i, weights[i], old, new, offsets, counts, floor, mode, modes
            )
            stale[old] = stale[new] = changed or d > 0
            labels[i] = new
            members[old] -= 1
            members[new] += 1
            moves += 1
    return moves
