"""Gower's dissimilarity, compiled, without the interpreter's lock: bands of rows run in threads.

Rows are columns here (variables x customers), so that a processor works on several neighbouring
customers at once. A pair adds up its variables in one fixed order, whichever thread it falls to.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Codes = NDArray[np.int32]
BLOCK = 128


@njit(cache=True, nogil=True)
def _compare_complete(
    number: Matrix,
    code: Codes,
    numbers: Matrix,
    codes: Codes,
    weights: Matrix,
    start: int,
    out: Matrix,
) -> None:
    """Do as `_compare` does where nobody lacks anything."""
    size, end = len(out), start + len(out)
    for j in range(size):
        out[j] = 0.0
    for v in range(len(number)):
        value, row = number[v], numbers[v, start:end]
        for j in range(size):
            out[j] += abs(row[j] - value)
    for v in range(len(code)):
        level, weight, levels = code[v], weights[len(number) + v], codes[v, start:end]
        for j in range(size):
            out[j] += weight if levels[j] != level else 0.0
    total = weights.sum()
    for j in range(size):
        out[j] /= total


@njit(cache=True, nogil=True)
def _compare(
    number: Matrix,
    code: Codes,
    numbers: Matrix,
    codes: Codes,
    weights: Matrix,
    start: int,
    out: Matrix,
    shared: Matrix,
) -> None:
    """Put the dissimilarities of one customer from others, beginning at `start`, into `out`.

    Numbers carry their weight already and are NaN where missing; codes are negative there.
    `weights` has those of the numbers first. Without a common variable the result is NaN.
    """
    size, end = len(out), start + len(out)
    for j in range(size):
        out[j] = 0.0
        shared[j] = 0.0
    for v in range(len(number)):
        value, weight, row = number[v], weights[v], numbers[v, start:end]
        for j in range(size):
            difference = abs(row[j] - value)
            both = difference == difference
            out[j] += difference if both else 0.0
            shared[j] += weight if both else 0.0
    for v in range(len(code)):
        level, weight, levels = code[v], weights[len(number) + v], codes[v, start:end]
        for j in range(size):
            both = levels[j] >= 0 and level >= 0
            out[j] += weight if both and levels[j] != level else 0.0
            shared[j] += weight if both else 0.0
    for j in range(size):
        out[j] = out[j] / shared[j] if shared[j] > 0 else np.nan


@njit(cache=True, nogil=True)
def between(
    left_numbers: Matrix,
    left_codes: Codes,
    numbers: Matrix,
    codes: Codes,
    weights: Matrix,
    complete: int,
    out: Matrix,
) -> None:
    """Put the dissimilarities of the customers on the left from the others into `out`."""
    n = out.shape[1]
    shared = np.empty(BLOCK)
    for start in range(0, n, BLOCK):
        end = min(start + BLOCK, n)
        for i in range(len(out)):
            number, code, part = left_numbers[:, i], left_codes[:, i], out[i, start:end]
            if complete:
                _compare_complete(number, code, numbers, codes, weights, start, part)
            else:
                _compare(number, code, numbers, codes, weights, start, part, shared)


@njit(cache=True, nogil=True)
def square_band(
    numbers: Matrix,
    codes: Codes,
    weights: Matrix,
    complete: int,
    low: int,
    high: int,
    out: Matrix,
) -> None:
    """Put rows `low` to `high` into the square `out`, right of its diagonal and mirrored below."""
    n = len(out)
    shared = np.empty(BLOCK)
    tile = np.empty((high - low, BLOCK))
    for start in range(low, n, BLOCK):
        end = min(start + BLOCK, n)
        for i in range(low, high):
            number, code, part = numbers[:, i], codes[:, i], tile[i - low, : end - start]
            if complete:
                _compare_complete(number, code, numbers, codes, weights, start, part)
            else:
                _compare(number, code, numbers, codes, weights, start, part, shared)
            out[i, start:end] = part
        if start > low:
            for j in range(start, end):
                for i in range(low, high):
                    out[j, i] = tile[i - low, j - start]
