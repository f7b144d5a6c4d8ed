"""Gower's dissimilarity, compiled, without the interpreter's lock: bands of rows run in threads.

Rows are columns here (variables x customers), so that a processor works on several neighbouring
customers at once: on whole blocks, to which `whole_blocks` fills up. A pair adds up its variables
in one fixed order, whichever thread it falls to.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Codes = NDArray[np.int32]
BLOCK = 256
STRIP = 8


def whole_blocks(values: NDArray) -> NDArray:
    """Return variables x customers, filled with zeros up to a multiple of `BLOCK` customers."""
    return np.pad(values, ((0, 0), (0, -values.shape[1] % BLOCK)))


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
    for j in range(BLOCK):
        out[j] = 0.0
    for v in range(1, len(number), 2):
        first, second = number[v - 1], number[v]
        one, two = numbers[v - 1, start : start + BLOCK], numbers[v, start : start + BLOCK]
        for j in range(BLOCK):
            out[j] = out[j] + abs(one[j] - first) + abs(two[j] - second)
    if len(number) % 2:
        value, row = number[-1], numbers[-1, start : start + BLOCK]
        for j in range(BLOCK):
            out[j] += abs(row[j] - value)
    for v in range(len(code)):
        level, weight = code[v], weights[len(number) + v]
        levels = codes[v, start : start + BLOCK]
        for j in range(BLOCK):
            out[j] += weight if levels[j] != level else 0.0
    total = weights.sum()
    for j in range(BLOCK):
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
    """Put the dissimilarities of one customer from a block, beginning at `start`, into `out`.

    Numbers carry their weight already and are NaN where missing; codes are negative there.
    `weights` has those of the numbers first. Without a common variable the result is NaN.
    """
    for j in range(BLOCK):
        out[j] = 0.0
        shared[j] = 0.0
    for v in range(len(number)):
        value, weight, row = number[v], weights[v], numbers[v, start : start + BLOCK]
        for j in range(BLOCK):
            difference = abs(row[j] - value)
            both = difference == difference
            out[j] += difference if both else 0.0
            shared[j] += weight if both else 0.0
    for v in range(len(code)):
        level, weight = code[v], weights[len(number) + v]
        levels = codes[v, start : start + BLOCK]
        for j in range(BLOCK):
            both = levels[j] >= 0 and level >= 0
            out[j] += weight if both and levels[j] != level else 0.0
            shared[j] += weight if both else 0.0
    for j in range(BLOCK):
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
    """Put the dissimilarities of the customers on the left from the others into `out`.

    `numbers` and `codes` are in whole blocks, of which `out` has the first columns.
    """
    n = out.shape[1]
    tile = np.empty(BLOCK)
    shared = np.empty(BLOCK)
    for start in range(0, n, BLOCK):
        end = min(start + BLOCK, n)
        for i in range(len(out)):
            number, code = left_numbers[:, i], left_codes[:, i]
            if complete:
                _compare_complete(number, code, numbers, codes, weights, start, tile)
            else:
                _compare(number, code, numbers, codes, weights, start, tile, shared)
            out[i, start:end] = tile[: end - start]


@njit(cache=True, nogil=True)
def _mirror(tile: Matrix, low: int, high: int, start: int, end: int, out: Matrix) -> None:
    """Put `tile`, rows `low` to `high` of columns `start` to `end`, into `out` with both swapped.

    `STRIP` columns are read at a time: written one by one, they would be read from far apart.
    """
    whole = end - (end - start) % STRIP
    for j in range(start, whole, STRIP):
        for i in range(low, high):
            for s in range(STRIP):
                out[j + s, i] = tile[i - low, j + s - start]
    for j in range(whole, end):
        for i in range(low, high):
            out[j, i] = tile[i - low, j - start]


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
    """Put rows `low` to `high`, of one block, into the square `out` from there on, and mirrored.

    `numbers` and `codes` are in whole blocks, of which `out` has the first.
    """
    n = len(out)
    shared = np.empty(BLOCK)
    tile = np.empty((high - low, BLOCK))
    for start in range(low, n, BLOCK):
        end = min(start + BLOCK, n)
        for i in range(low, high):
            number, code, part = numbers[:, i], codes[:, i], tile[i - low]
            if complete:
                _compare_complete(number, code, numbers, codes, weights, start, part)
            else:
                _compare(number, code, numbers, codes, weights, start, part, shared)
            out[i, start:end] = part[: end - start]
        if start > low:
            _mirror(tile, low, high, start, end, out)
