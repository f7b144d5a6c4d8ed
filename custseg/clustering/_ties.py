"""Ties: to which segment a customer belongs who is equally near to several.

Two engines may compute one distance with a last digit that differs, so a tie is not left to it:
what differs by less than a billionth is equal, and goes to the first segment. The rule stands here
for arrays and for expressions, so that the two cannot part.
"""

from collections.abc import Sequence

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from custseg.errors import DataError

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

TIE = 1e-9
"""Relative for distances and probabilities, and therefore absolute for log probabilities."""


def first_nearest(distances: Matrix) -> Labels:
    """Return the first of the columns that are nearest, for every row.

    Parameters
    ----------
    distances
        Customers x segments, none negative; NaN where a customer cannot be compared.

    Raises
    ------
    DataError
        If a customer cannot be compared with any segment.

    Examples
    --------
    >>> first_nearest(np.array([[0.1 + 0.2, 0.3], [np.nan, 0.4]]))
    array([0, 1])
    """
    nearest = np.fmin.reduce(distances, axis=1, keepdims=True)
    lost = np.isnan(nearest)
    if lost.any():
        raise DataError(
            f"{int(lost.sum()):,} of {len(distances):,} customers have no value in common with any "
            "segment's centre. Set them aside, or add a variable that everybody has."
        )
    return np.asarray((distances <= nearest * (1 + TIE)).argmax(axis=1))


def first_likeliest(probabilities: Matrix) -> Labels:
    """Return the first of the columns that are likeliest, for every row.

    Parameters
    ----------
    probabilities
        Customers x segments.

    Examples
    --------
    >>> first_likeliest(np.array([[0.3, 0.1 + 0.2, 0.4], [0.3, 0.3, 0.1]]))
    array([2, 0])
    """
    likeliest = probabilities.max(axis=1, keepdims=True)
    return np.asarray((probabilities >= likeliest * (1 - TIE)).argmax(axis=1))


def nearest_bound(distances: Sequence[nw.Expr]) -> nw.Expr:
    """Return the distance up to which a segment counts as nearest, as `first_nearest` has it."""
    return nw.min_horizontal(*distances) * (1 + TIE)


def likeliest_bound(log_probabilities: Sequence[nw.Expr]) -> nw.Expr:
    """Return the log probability from which a segment counts as likeliest."""
    return nw.max_horizontal(*log_probabilities) - TIE
