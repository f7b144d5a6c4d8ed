"""Squares of dissimilarities: that they are whole, and which rows they cannot tell apart."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import validate_data

from custseg._kernels.medoids import count_faults, find_twins
from custseg.clustering._spaces import MetricSpace, Space, parts
from custseg.errors import DataError
from custseg.features.gower import check_memory

Square = NDArray[np.floating]
Places = NDArray[np.int64]

ROUNDING = 1e-6
"""Values below 0 that are smaller than this share of the largest are taken for rounding errors."""


def open_square(estimator: Any, X: Any, *, n_medoids: int | None = None) -> Square:
    """Return dissimilarities as floats, row after row; not copied where they are that already.

    Parameters
    ----------
    estimator
        Learns the number of rows in `fit`.
    X
        Rows x rows in `fit`; afterwards rows x medoids, or rows x the rows of the fit.
    n_medoids
        The number of medoids; ``None`` in `fit`.

    Raises
    ------
    DataError
        If it has another shape, or holds no real numbers.
    """
    if sparse.issparse(X):
        raise DataError("sparse input is not supported: give X.toarray().")
    values = X.to_numpy() if isinstance(X, pd.DataFrame) else np.asarray(X)
    if values.ndim != 2:
        raise DataError(
            f"dissimilarities need 2 dimensions, not {values.ndim}. Reshape your data, for example "
            "with X.reshape(1, -1) for one row."
        )
    if values.dtype.kind == "c":
        raise DataError("Complex data not supported: dissimilarities are real numbers.")
    if values.dtype not in (np.float32, np.float64):
        try:
            values = values.astype(float)
        except (TypeError, ValueError) as error:
            raise DataError(f"dissimilarities must be numbers: {error}.") from error
    if not values.size:
        raise DataError(
            f"X is empty: {values.shape[0]} sample(s), {values.shape[1]} feature(s) (shape="
            f"{values.shape}) while a minimum of 1 is required."
        )
    if n_medoids is None and values.shape[0] != values.shape[1]:
        raise DataError(
            f"X has {values.shape[0]:,} rows and {values.shape[1]:,} columns, but "
            "metric='precomputed' needs the square of the dissimilarities of all rows; for a table "
            "of rows x variables give metric='euclidean' or 'gower'."
        )
    if n_medoids is None or values.shape[1] != n_medoids:
        validate_data(estimator, values, reset=n_medoids is None, skip_check_array=True)
    return np.ascontiguousarray(values)


def read_square(square: Square) -> Places:
    """Return the first row at dissimilarity 0 from each row, itself if there is none before it.

    Raises
    ------
    DataError
        If a value is missing, infinite or negative, or rows are more unlike themselves than others.
    """
    unknown, negative = _faults(square)
    if unknown:
        raise DataError(
            f"X has {unknown:,} missing (NaN) or infinite dissimilarities. Set these rows aside, "
            "or say how unlike they are."
        )
    if negative and square.min() < -ROUNDING * square.max():
        raise DataError(
            f"Negative values in data: {negative:,} of X, the lowest {square.min():g}, but "
            "dissimilarities are 0 or more."
        )
    if len(square) > 1 and square.diagonal().mean() > square[:100].mean():
        raise DataError(
            f"X has {square.diagonal().mean():.3g} on its diagonal, more than elsewhere: it looks "
            "like similarities. Give dissimilarities, for example X.max() - X."
        )
    twins = np.empty(len(square), np.int64)
    _in_bands(find_twins, square, twins)
    return twins


def whole_square(space: Space, rows: Any) -> Square:
    """Return the dissimilarities of all rows, in single precision.

    Raises
    ------
    DataError
        If the square would not fit into memory, or a pair has no dissimilarity.
    """
    check_memory(space.count(rows), np.dtype(np.float32).itemsize)
    square = space.square(rows)
    _refuse_gaps(space, _faults(square)[0] // 2)
    return square


def whole_part(space: Space, rows: Any, medoids: Any) -> Square:
    """Return the dissimilarities of rows from medoids, in single precision.

    Raises
    ------
    DataError
        If a pair has none.
    """
    out = np.empty((space.count(rows), space.count(medoids)), np.float32)
    for part in parts(*out.shape):
        out[part] = space.apart(space.take(rows, part), medoids)
    _refuse_gaps(space, _faults(out)[0])
    return out


def _refuse_gaps(space: Space, pairs: int) -> None:
    if not pairs:
        return
    if isinstance(space, MetricSpace):
        raise DataError(
            f"metric={space.metric!r} has no finite value for {pairs:,} pairs of rows, such as "
            "rows that do not vary or are all zero, or numbers that are too large. Set these rows "
            "aside, or choose another metric."
        )
    raise DataError(
        f"{pairs:,} pairs of rows have no variable that both have. Add a variable that everybody "
        "has, or set aside rows with few values."
    )


def _faults(square: Square) -> tuple[int, int]:
    """Return how many values are not finite, and how many are negative."""
    unknown, negative = np.sum(_in_bands(count_faults, square), axis=0).tolist()
    return unknown, negative


def _in_bands(function: Callable[..., Any], square: Square, *arguments: Any) -> list[Any]:
    """Return the answers of a function of bands of rows, which run in threads."""
    bounds = np.linspace(0, len(square), 4 * cpu_count() + 1).astype(int).tolist()
    with ThreadPoolExecutor(cpu_count()) as pool:
        parts = [pool.submit(function, square, *band, *arguments) for band in pairwise(bounds)]
    return [part.result() for part in parts]
