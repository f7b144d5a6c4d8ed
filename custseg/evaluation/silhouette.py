"""Silhouette widths of many labelings in one pass over the distances."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from custseg.errors import DataError
from custseg.features.encoder import numeric_matrix
from custseg.results import Result, format_number

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

CELLS = 2_000_000


def widths(matrix: Matrix, labelings: Sequence[Labels], metric: str = "euclidean") -> Matrix:
    """Return the silhouette width of each customer in each labelling.

    Parameters
    ----------
    matrix
        Customers x variables; customers x customers for ``metric="precomputed"``.
    labelings
        Codes 0, 1, … of the segments in each labelling, -1 for a customer in none.
    metric
        A metric of ``scipy.spatial.distance.cdist``, or ``"precomputed"``.

    Returns
    -------
    numpy.ndarray
        Customers x labelings; NaN for a customer in no segment, 0 for one alone in a segment.
    """
    counts = [np.bincount(codes[codes >= 0]) for codes in labelings]
    members = np.concatenate(
        [
            codes[:, None] == np.arange(len(size))
            for codes, size in zip(labelings, counts, strict=True)
        ],
        axis=1,
    ).astype(float)
    answers = np.full((len(matrix), len(labelings)), np.nan)
    step = max(1, CELLS // len(matrix))
    for low in range(0, len(matrix), step):
        rows = slice(low, low + step)
        block = matrix[rows]
        distances = block if metric == "precomputed" else cdist(block, matrix, metric)
        sums = distances @ members
        start = 0
        for position, (codes, size) in enumerate(zip(labelings, counts, strict=True)):
            part = sums[:, start : start + len(size)]
            answers[rows, position] = _widths(part, codes[rows], size)
            start += len(size)
    return answers


def _widths(sums: Matrix, codes: Labels, size: NDArray[np.integer]) -> Matrix:
    rows = np.flatnonzero(codes >= 0)
    own = codes[rows]
    means = sums[rows] / size
    means[np.arange(len(rows)), own] = np.inf
    between = means.min(axis=1)
    within = sums[rows, own] / np.maximum(size[own] - 1, 1)
    larger = np.maximum(within, between)
    known = (size[own] > 1) & (larger > 0)
    answer = np.full(len(codes), np.nan)
    answer[rows] = np.where(known, (between - within) / np.where(known, larger, 1.0), 0.0)
    return answer


@dataclass(frozen=True, repr=False, eq=False)
class Silhouettes(Result):
    """Silhouette widths by customer, segment and labelling; made by `silhouettes`.

    Parameters
    ----------
    samples
        One row per customer, one column per labelling: the width, from -1 (nearer to another
        segment) to 1.
    overall
        The mean width by labelling.
    by_segment
        ``labelling``, ``segment``, ``n`` and the mean ``silhouette``.
    labelings
        The labelings, as they were given.
    notes
        Caveats.
    """

    samples: pd.DataFrame
    overall: pd.Series
    by_segment: pd.DataFrame
    labelings: pd.DataFrame
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "evaluation.silhouettes"

    def to_frame(self) -> pd.DataFrame:
        """Return the mean width by labelling and segment."""
        return self.by_segment

    def summary(self) -> str:
        """Return which labelling has the largest mean width."""
        best = self.overall.idxmax()
        width = f"mean silhouette width {format_number(self.overall[best])}"
        if len(self.overall) == 1:
            return f"{len(self.samples):,} customers, {width}"
        return (
            f"of {len(self.overall)} labelings of {len(self.samples):,} customers, {best} has the "
            f"largest {width}"
        )


def silhouettes(
    X: "pd.DataFrame | ArrayLike", labelings: "pd.DataFrame | pd.Series", metric: str = "euclidean"
) -> Silhouettes:
    """Measure how much nearer customers are to their own segment than to the next one.

    The width of a customer is ``(b - a) / max(a, b)``: `a` is the mean distance to the others of
    the own segment, `b` the smallest mean distance to another segment; alone in a segment it is 0.
    All labelings share one pass over the distances, exact, in memory of customers x segments.

    Parameters
    ----------
    X
        Customers x numeric variables on a comparable scale, or a square of distances.
    labelings
        One column per labelling, a row per row of `X` in the same order; missing where a customer
        is in no segment.
    metric
        A metric of ``scipy.spatial.distance.cdist``, or ``"precomputed"``.

    Returns
    -------
    Silhouettes
        With ``overall``, ``by_segment`` and ``samples``.

    Raises
    ------
    DataError
        If rows do not match, a labelling has fewer than two segments, or `X` has text, missing or
        infinite values.

    References
    ----------
    Rousseeuw (1987), Journal of Computational and Applied Mathematics 20, 53-65.

    Examples
    --------
    >>> X = pd.DataFrame({"recency": [1.0, 2.0, 9.0, 10.0]})
    >>> labelings = pd.DataFrame({"halves": list("aabb"), "mixed": list("abab")})
    >>> silhouettes(X, labelings).overall.round(3).to_dict()
    {'halves': 0.875, 'mixed': -0.438}
    """
    if isinstance(labelings, pd.Series):
        labelings = labelings.to_frame(labelings.name if labelings.name is not None else "segment")
    labelings = pd.DataFrame(labelings)
    frame = pd.DataFrame(X)
    if len(frame) != len(labelings) or len(frame) == 0:
        raise DataError(
            f"X has {len(frame):,} rows and labelings {len(labelings):,}; they must be the same "
            "customers in the same order."
        )
    by_position = isinstance(labelings.index, pd.RangeIndex)
    if isinstance(X, pd.DataFrame) and not by_position and not labelings.index.equals(X.index):
        raise DataError(
            "X and labelings hold different customers or another order. Align them: "
            "labelings.reindex(X.index)."
        )
    codes, names = [], []
    for name, column in labelings.items():
        labels, segments = pd.factorize(column, sort=True)
        if len(segments) < 2:
            raise DataError(
                f"the labelling {name!r} has {len(segments)} segment; silhouettes need at least 2."
            )
        codes.append(labels)
        names.append(segments)
    samples = pd.DataFrame(
        widths(numeric_matrix(frame), codes, metric), index=frame.index, columns=labelings.columns
    )
    tables = [
        pd.DataFrame(
            {
                "labelling": labelling,
                "segment": list(segments),
                "n": np.bincount(labels[labels >= 0]),
                "silhouette": samples[labelling].groupby(labels).mean().drop(-1, errors="ignore"),
            }
        )
        for labelling, labels, segments in zip(samples.columns, codes, names, strict=True)
    ]
    return Silhouettes(
        samples=samples,
        overall=samples.mean().rename("silhouette"),
        by_segment=pd.concat(tables, ignore_index=True),
        labelings=labelings.set_axis(frame.index),
        notes=(),
    )
