"""Equal values pulled apart: how far a customer may really lie from the value that is written."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

HEAVY, FEWEST_LEVELS, THIN = 0.1, 10, 0.5


def spreading(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Return for every value the interval in which it may lie: its lower end and its width.

    A value that several customers share stands for the gap halfway to its neighbours, so that a
    yes/no answer is a flat block without a hole; a value of its own stays where it is. A heap at
    the end of a column (at least a tenth of the customers, such as those who spent nothing) that
    the others keep away from is spread as far as their median: the heap alone makes no groups.

    Parameters
    ----------
    matrix
        Customers x variables.

    Returns
    -------
    low, width : numpy.ndarray
        Customers x variables each; the width is 0 for a value that occurs once.
    """
    low, width = matrix.copy(), np.zeros_like(matrix)
    for v, column in enumerate(matrix.T):
        values, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        if len(values) in (1, len(column)):
            continue
        halves = np.diff(values) / 2
        below = values - np.append(halves[0], halves)
        above = values + np.append(halves, halves[-1])
        top = -_reach(-below[::-1], counts[::-1])
        above[0], below[-1] = _reach(above, counts), top
        tied = counts > 1
        low[:, v] = np.where(tied, below, values)[place]
        width[:, v] = np.where(tied, above - below, 0.0)[place]
    return low, width


def _reach(above: Matrix, counts: NDArray[np.integer]) -> float:
    """Return how far up the customers with the lowest value are spread.

    They are a heap that the others keep away from when the lowest tenth of the others lies less
    than half as dense as those from there to their median.
    """
    if counts[0] < HEAVY * counts.sum() or len(counts) <= FEWEST_LEVELS:
        return float(above[0])
    shares = np.append(0, np.cumsum(counts[1:])) / counts[1:].sum()
    tenth, middle = np.interp([0.1, 0.5], shares, above)
    near, far = 0.1 / (tenth - above[0]), 0.4 / (middle - tenth)
    return float(middle if near < THIN * far else above[0])
