"""How many customers each row stands for."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from custseg.errors import DataError


def read_weights(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Return a weight per row, 1 where none are given.

    Parameters
    ----------
    sample_weight
        Numbers of 0 or more, not all 0, one per row; or one number for all of them.
    n
        The number of rows.

    Raises
    ------
    DataError
        If there are more or fewer weights than rows, one is missing, infinite or negative, or all
        are 0.

    Examples
    --------
    >>> read_weights(None, 2), read_weights([1, 3], 2)
    (array([1., 1.]), array([1., 3.]))
    """
    if sample_weight is None:
        return np.ones(n)
    try:
        weights = np.asarray(sample_weight, dtype=float)
    except (TypeError, ValueError):
        raise DataError("sample_weight must hold numbers, one per row.") from None
    if weights.ndim > 1:
        raise DataError("Sample weights must be 1D array or scalar.")
    if weights.ndim == 1 and len(weights) != n:
        raise DataError(f"sample_weight has {len(weights):,} values for {n:,} rows.")
    weights = np.broadcast_to(weights, n).copy()
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise DataError(
            "sample_weight must hold finite numbers of 0 or more, not all of them zero."
        )
    return weights
