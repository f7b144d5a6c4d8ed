"""Customers along the line between two centres, compiled."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

BINS, REACH = 40, 0.5
"""Bins from one centre to the other, and how far the line is followed beyond each of them."""


@njit(cache=True, nogil=True)
def _between(point: Matrix, centers: Matrix, further: Matrix, numbers: int, i: int, j: int) -> bool:
    """Return whether a point is nearer to the midpoint of two centres than to any third.

    `numbers` columns count as they are, the others by what they add to the squared distances.
    """
    own = further[i]
    for v in range(numbers):
        own += (point[v] - (centers[i, v] + centers[j, v]) / 2) ** 2
    for other in range(len(centers)):
        if other in (i, j):
            continue
        distance = further[other]
        for v in range(numbers):
            distance += (point[v] - centers[other, v]) ** 2
        if distance < own:
            return False
    return True


@njit(cache=True, nogil=True)
def along(
    low: Matrix,
    width: Matrix,
    uniforms: Matrix,
    codes: NDArray[np.int64],
    sizes: NDArray[np.int64],
    centers: Matrix,
    further: Matrix,
    numbers: int,
    i: int,
    j: int,
) -> NDArray[np.int64]:
    """Count the customers between two segments in narrow bins of the line through their centres.

    Counted are those who are nearer to the midpoint of the two centres than to any third centre,
    wherever they belong. Each is projected on a line through centres computed without the customer.

    Parameters
    ----------
    low, width
        Customers x variables: where the interval of each value begins, and its width.
    uniforms
        Customers x variables in [0, 1): the places within the intervals; empty where all are 0.
    codes
        The segment of each customer, -1 for none.
    sizes, centers
        Customers and mean of every segment, the middles of the intervals taken.
    further
        Customers x segments: what categories add to the squared distance from each centre, that
        from the midpoint in column `i`.
    numbers
        How many columns, the first, are numbers.
    i, j
        The two segments.

    Returns
    -------
    numpy.ndarray
        `BINS` counts for every unit of the line, 0 being centre `i` and 1 centre `j`, from
        ``-REACH`` to ``1 + REACH``.
    """
    n, d = low.shape
    counts = np.zeros(int(BINS * (1 + 2 * REACH)), np.int64)
    point, start, line = np.empty(d), np.empty(d), np.empty(d)
    spread = len(uniforms) > 0
    for r in range(n):
        for v in range(d):
            point[v] = low[r, v] + (width[r, v] * uniforms[r, v] if spread else 0.0)
        if not _between(point, centers, further[r], numbers, i, j):
            continue
        start[:] = centers[i]
        line[:] = centers[j]
        code = codes[r]
        if code in (i, j) and sizes[code] > 1:
            moved = start if code == i else line
            for v in range(d):
                value = low[r, v] + width[r, v] / 2
                moved[v] += (moved[v] - value) / (sizes[code] - 1)
        along_line, length = 0.0, 0.0
        for v in range(d):
            line[v] -= start[v]
            along_line += (point[v] - start[v]) * line[v]
            length += line[v] * line[v]
        if length > 0:
            place = int(np.floor((along_line / length + REACH) * BINS))
            if 0 <= place < len(counts):
                counts[place] += 1
    return counts
