"""Sums of Euclidean distances to groups of rows, compiled, without the interpreter's lock.

Rows are columns here (variables x rows), so that a processor works on several neighbouring rows at
once. Every sum adds up in the order of the rows, whichever thread it falls to.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
BLOCK = 128


@njit(cache=True, nogil=True)
def _squared(XT: Matrix, point: Matrix, block: Matrix, squares: Matrix) -> None:
    """Put the squared distances of one row from a block of rows into `squares`."""
    size = len(squares)
    for i in range(size):
        squares[i] = 0.0
    for v in range(len(XT)):
        value, row = point[v], block[v]
        for i in range(size):
            difference = row[i] - value
            squares[i] += difference * difference


@njit(cache=True, nogil=True)
def group_sums(
    XT: Matrix, codes: NDArray[np.int64], targets: Matrix, low: int, high: int, sums: Matrix
) -> None:
    """Add the distances of `targets` from the rows of each group to ``sums[:, low:high]``.

    Parameters
    ----------
    XT
        Variables x rows.
    codes
        Labelings x rows: the line of `sums` that a row counts for, -1 for none.
    targets
        Variables x targets.
    low, high
        The targets to do.
    sums
        Groups x targets, added to.
    """
    squares = np.empty(BLOCK)
    block = np.empty((len(XT), BLOCK))
    for start in range(low, high, BLOCK):
        size = min(BLOCK, high - start)
        block[:, :size] = targets[:, start : start + size]
        for row in range(XT.shape[1]):
            part = squares[:size]
            _squared(XT, XT[:, row], block, part)
            for i in range(size):
                part[i] = np.sqrt(part[i])
            for labelling in range(len(codes)):
                group = codes[labelling, row]
                if group >= 0:
                    total = sums[group, start : start + size]
                    for i in range(size):
                        total[i] += part[i]
