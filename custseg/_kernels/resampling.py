"""Bootstrap and permutation sums, compiled, without the interpreter's lock.

Draws are exact: positions come from xoshiro256++ by Lemire's rejection, so that each has the same
probability. A bootstrap resample has a stream of its own and a permutation shares that of its
block, whichever thread does it.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Vector = NDArray[np.float64]
States = NDArray[np.uint64]
HALF = np.uint64(0xFFFFFFFF)
S17, S19, S23, S32, S41, S45 = (np.uint64(s) for s in (17, 19, 23, 32, 41, 45))


@njit(cache=True, nogil=True)
def bootstrap_sums(
    values: Vector, states: States, low: int, high: int, sums: Vector, squares: Vector
) -> None:
    """Put sums and sums of squares of resamples `low` to `high` into `sums` and `squares`.

    Parameters
    ----------
    values
        What is drawn from, fewer than 2**32 values, with replacement, as often as there are values.
    states
        Resamples x 4: where the stream of each begins.
    low, high
        The resamples to do.
    sums, squares
        One place per resample.
    """
    n = np.uint64(len(values))
    reject = (HALF - n + np.uint64(1)) % n
    for r in range(low, high):
        a, b, c, d = states[r, 0], states[r, 1], states[r, 2], states[r, 3]
        total, square = 0.0, 0.0
        left = len(values)
        while left > 0:
            t = a + d
            word = ((t << S23) | (t >> S41)) + a
            t = b << S17
            c ^= a
            d ^= b
            b ^= c
            a ^= d
            c ^= t
            d = (d << S45) | (d >> S19)
            first = (word & HALF) * n
            second = (word >> S32) * n
            if (first & HALF) >= reject:
                value = values[np.int64(first >> S32)]
                total += value
                square += value * value
                left -= 1
            if left > 0 and (second & HALF) >= reject:
                value = values[np.int64(second >> S32)]
                total += value
                square += value * value
                left -= 1
        sums[r] = total
        squares[r] = square


@njit(cache=True, nogil=True)
def permutation_sums(
    values: Vector, size: int, state: States, sums: Vector, squares: Vector
) -> None:
    """Put sums and sums of squares of random subsets of `size` values into `sums` and `squares`.

    Parameters
    ----------
    values
        What is drawn from, without replacement; shuffled on the way.
    size
        How many are drawn each time.
    state
        Where the stream begins: four words.
    sums, squares
        One place per subset.
    """
    a, b, c, d = state[0], state[1], state[2], state[3]
    for r in range(len(sums)):
        total, square = 0.0, 0.0
        i = 0
        while i < size:
            t = a + d
            word = ((t << S23) | (t >> S41)) + a
            t = b << S17
            c ^= a
            d ^= b
            b ^= c
            a ^= d
            c ^= t
            d = (d << S45) | (d >> S19)
            left = np.uint64(len(values) - i)
            drawn = (word >> S32) * left
            rest = drawn & HALF
            if rest < left and rest < (HALF - left + np.uint64(1)) % left:
                continue
            j = i + np.int64(drawn >> S32)
            value = values[j]
            values[j] = values[i]
            values[i] = value
            total += value
            square += value * value
            i += 1
        sums[r] = total
        squares[r] = square
