"""Sums of distances from customers to segments: one pass serves every labelling."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import distance_metrics
from sklearn.neighbors import VALID_METRICS
from threadpoolctl import threadpool_limits

from custseg._kernels.silhouette import BLOCK, group_sums
from custseg.errors import DataError, check_option
from custseg.features.encoder import as_frame, numeric_matrix
from custseg.features.gower import learn, place, rows_between, rows_of

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

CELLS = 2_000_000

_RELATIVE = {"seuclidean", "mahalanobis"}
"""Metrics that depend on the rows they are given, so that blocks of rows would disagree."""

METRICS = (
    *("precomputed", "gower"),
    *sorted({*VALID_METRICS["brute"], *distance_metrics()} - {"precomputed", *_RELATIVE}),
)


def distance_sums(
    X: Any, labelings: Sequence[Labels], *, metric: str = "euclidean", targets: Labels | None = None
) -> list[Matrix]:
    """Return for each labelling the sums of the distances of customers to its segments.

    Parameters
    ----------
    X
        Customers x variables; customers x customers for ``metric="precomputed"``.
    labelings
        Codes 0, 1, … of the segments in each labelling, -1 for a customer in none.
    metric
        A metric of scikit-learn, ``"gower"`` or ``"precomputed"``.
    targets
        The rows of the customers who are asked for; ``None`` for all.

    Returns
    -------
    list of numpy.ndarray
        Segments x customers, one per labelling. The numbers do not depend on the number of threads.
    """
    sizes = [int(codes.max(initial=-1)) + 1 for codes in labelings]
    starts = np.cumsum([0, *sizes])
    asked = np.arange(len(X)) if targets is None else targets
    if metric in ("euclidean", "l2"):
        groups = np.array(
            [
                np.where(codes >= 0, codes + start, -1)
                for codes, start in zip(labelings, starts[:-1], strict=True)
            ]
        )
        sums = _euclidean(np.asarray(X), groups, asked, int(starts[-1]))
    else:
        members = np.concatenate(
            [
                np.arange(size)[:, None] == codes
                for codes, size in zip(labelings, sizes, strict=True)
            ]
        ).astype(float)
        sums = _blockwise(_rows(X, metric), members, asked)
    return [sums[low:high] for low, high in pairwise(starts)]


def _euclidean(X: Matrix, groups: NDArray[np.int64], asked: Labels, n_groups: int) -> Matrix:
    columns = np.ascontiguousarray(X.T, dtype=float)
    targets = np.ascontiguousarray(columns[:, asked])
    sums = np.zeros((n_groups, len(asked)))
    step = BLOCK * max(1, -(-len(asked) // (BLOCK * 8 * cpu_count())))
    with ThreadPoolExecutor(cpu_count()) as pool:
        parts = [
            pool.submit(
                group_sums, columns, groups, targets, low, min(low + step, len(asked)), sums
            )
            for low in range(0, len(asked), step)
        ]
    for part in parts:
        part.result()
    return sums


def _blockwise(rows: Callable[[Labels], Matrix], members: Matrix, asked: Labels) -> Matrix:
    sums = np.empty((len(members), len(asked)))
    step = max(1, CELLS // members.shape[1])
    with threadpool_limits(limits=1):
        for low in range(0, len(asked), step):
            part = slice(low, low + step)
            sums[:, part] = members @ rows(asked[part]).T
    return sums


def _rows(X: Any, metric: str) -> Callable[[Labels], Matrix]:
    """Return the function from rows to their distances from all customers."""
    if metric == "precomputed":
        square = np.asarray(X)
        return lambda rows: square[rows]
    if metric == "gower":
        frame = as_frame(X)
        table = place(frame, learn(frame))
        return lambda rows: rows_between(rows_of(table, rows), table)
    matrix = np.asarray(X)
    return lambda rows: np.asarray(pairwise_distances(matrix[rows], matrix, metric=metric))


def check_space(X: Any, metric: str) -> "Matrix | pd.DataFrame":
    """Return `X` as its metric needs it: mixed columns for Gower, else a matrix of numbers.

    Raises
    ------
    DataError
        If `X` has text, missing or infinite values where numbers belong, or is no square for
        ``"precomputed"``.
    ParameterError
        If there is no such metric.
    """
    check_option(metric, "metric", METRICS)
    frame = as_frame(X)
    if metric == "precomputed" and len(frame) != frame.shape[1]:
        raise DataError(
            f"X has {len(frame):,} rows and {frame.shape[1]:,} columns, but metric='precomputed' "
            "needs the square of the distances of all customers."
        )
    return frame if metric == "gower" else numeric_matrix(frame)
