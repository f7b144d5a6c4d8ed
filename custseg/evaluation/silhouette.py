"""Silhouette widths of many labelings in one pass over the distances."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from custseg.clustering.algorithms import as_seed
from custseg.errors import DataError, check_number
from custseg.evaluation._distances import check_space, distance_sums
from custseg.results import Result, format_number

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

EXACT_UP_TO = 50_000
SAMPLE = 5_000
FEWEST = 30


def widths(X: Any, labelings: Sequence[Labels], metric: str = "euclidean") -> Matrix:
    """Return the silhouette width of each customer in each labelling.

    Parameters
    ----------
    X
        Customers x variables; customers x customers for ``metric="precomputed"``.
    labelings
        Codes 0, 1, … of the segments in each labelling, -1 for a customer in none.
    metric
        As in `silhouettes`.

    Returns
    -------
    numpy.ndarray
        Customers x labelings; NaN for a customer in no segment, 0 for one alone in a segment.
    """
    sums = distance_sums(X, labelings, metric=metric)
    return np.column_stack(
        [
            widths_of(part, codes, np.bincount(codes[codes >= 0]))
            for part, codes in zip(sums, labelings, strict=True)
        ]
    )


def widths_of(sums: Matrix, codes: Labels, size: NDArray[np.integer]) -> Matrix:
    """Return the widths of customers from the sums of their distances to each segment.

    Parameters
    ----------
    sums
        Segments x customers.
    codes
        The segment of each of these customers, -1 for none.
    size
        The number of customers in each segment.
    """
    rows = np.flatnonzero(codes >= 0)
    own = codes[rows]
    means = sums[:, rows] / size[:, None]
    means[own, np.arange(len(rows))] = np.inf
    between = means.min(axis=0)
    within = sums[own, rows] / np.maximum(size[own] - 1, 1)
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
        segment) to 1. Missing where a customer is in no segment, or not in the sample.
    overall
        The mean width by labelling.
    standard_error
        The standard error of that mean by labelling that comes from sampling; 0 where all
        customers were measured.
    by_segment
        ``labelling``, ``segment``, ``n`` and the mean ``silhouette``.
    labelings
        The labelings, as they were given.
    notes
        Caveats.
    """

    samples: pd.DataFrame
    overall: pd.Series
    standard_error: pd.Series
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
        if self.standard_error[best] > 0:
            width += f" (standard error {format_number(self.standard_error[best])})"
        if len(self.overall) == 1:
            return f"{len(self.samples):,} customers, {width}"
        return (
            f"of {len(self.overall)} labelings of {len(self.samples):,} customers, {best} has the "
            f"largest {width}"
        )


def silhouettes(
    X: "pd.DataFrame | ArrayLike",
    labelings: "pd.DataFrame | pd.Series",
    metric: str = "euclidean",
    *,
    exact_up_to: int = EXACT_UP_TO,
    random_state: int | np.random.Generator | None = 0,
) -> Silhouettes:
    """Measure how much nearer customers are to their own segment than to the next one.

    The width of a customer is ``(b - a) / max(a, b)``: `a` is the mean distance to the others of
    the own segment, `b` the smallest mean distance to another segment; alone in a segment it is 0.
    All labelings share one pass over the distances, exact, in memory of customers x segments.

    Above `exact_up_to` customers the widths of a sample are measured, each exactly, against all
    customers. The sample is stratified by segment: 5,000 in proportion to their sizes, at least 30
    of each; labelings share it as far as they can.

    Parameters
    ----------
    X
        Customers x numeric variables on a comparable scale; a table of mixed kinds for
        ``metric="gower"``; a square of distances for ``"precomputed"``.
    labelings
        One column per labelling, a row per row of `X` in the same order; missing where a customer
        is in no segment.
    metric
        ``"euclidean"``, ``"gower"``, ``"precomputed"`` or another metric of
        ``sklearn.metrics.pairwise_distances``.
    exact_up_to
        The number of customers up to which all are measured.
    random_state
        The seed of the sample.

    Returns
    -------
    Silhouettes
        With ``overall``, ``standard_error``, ``by_segment`` and ``samples``.

    Raises
    ------
    DataError
        If rows do not match, a labelling has fewer than two segments, or `X` has text, missing or
        infinite values.
    ParameterError
        If there is no such metric.

    References
    ----------
    Rousseeuw (1987), Journal of Computational and Applied Mathematics 20, 53-65. Samples of
    several labelings are coordinated by permanent random numbers (Ohlsson 1995, in Business Survey
    Methods, Wiley).

    Examples
    --------
    >>> X = pd.DataFrame({"recency": [1.0, 2.0, 9.0, 10.0]})
    >>> labelings = pd.DataFrame({"halves": list("aabb"), "mixed": list("abab")})
    >>> silhouettes(X, labelings).overall.round(3).to_dict()
    {'halves': 0.875, 'mixed': -0.438}
    """
    check_number(exact_up_to, "exact_up_to", ge=1, integer=True)
    index, table, codes, names = check_labelings(X, labelings)
    found = measure(check_space(X, metric), codes, metric, exact_up_to, as_seed(random_state))
    tables = [
        pd.DataFrame(
            {
                "labelling": labelling,
                "segment": list(segments),
                "n": np.bincount(labels[labels >= 0]),
                "silhouette": means,
            }
        )
        for labelling, segments, labels, means in zip(
            table.columns, names, codes, found.by_segment, strict=True
        )
    ]
    overall, errors = (
        pd.Series(values, index=table.columns, name=name)
        for values, name in ((found.overall, "silhouette"), (found.errors, "standard_error"))
    )
    return Silhouettes(
        samples=pd.DataFrame(found.samples, index=index, columns=table.columns),
        overall=overall,
        standard_error=errors,
        by_segment=pd.concat(tables, ignore_index=True),
        labelings=table,
        notes=found.notes,
    )


class Measured(NamedTuple):
    """Widths of labelings: customers x labelings, and means; with the sums of distances.

    ``targets`` are the rows of the customers who were measured, ``sums`` segments x targets.
    """

    samples: Matrix
    by_segment: list[Matrix]
    overall: list[float]
    errors: list[float]
    targets: Labels
    sums: list[Matrix]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of a sample."""
        n, measured = len(self.samples), len(self.targets)
        note = (
            f"widths were measured for {measured:,} of {n:,} customers, a sample stratified by "
            "segment, each against all customers; standard_error says what sampling leaves open."
        )
        return (note,) if measured < n else ()


def measure(
    space: Any, labelings: Sequence[Labels], metric: str, exact_up_to: int, seed: int
) -> Measured:
    """Return what `silhouettes` shows, from codes of the segments."""
    drawn: list[Labels] = [np.arange(len(space))] * len(labelings)
    if len(space) > exact_up_to:
        drawn = _stratified(labelings, seed)
    targets = np.unique(np.concatenate(drawn))
    sums = distance_sums(space, labelings, metric=metric, targets=targets)
    samples = np.full((len(space), len(labelings)), np.nan)
    by_segment, overall, errors = [], [], []
    for position, (codes, rows, part) in enumerate(zip(labelings, drawn, sums, strict=True)):
        size = np.bincount(codes[codes >= 0])
        own = part[:, np.searchsorted(targets, rows)]
        samples[rows, position] = widths_of(own, codes[rows], size)
        means, error = _summarised(samples[rows, position], codes[rows], size)
        by_segment.append(means)
        overall.append(float(np.average(means, weights=size)))
        errors.append(error)
    return Measured(samples, by_segment, overall, errors, targets, sums)


def check_labelings(
    X: "pd.DataFrame | ArrayLike", labelings: "pd.DataFrame | pd.Series"
) -> tuple[pd.Index, pd.DataFrame, list[Labels], list[pd.Index]]:
    """Return the index of the customers, the labelings, and codes and names of their segments.

    Raises
    ------
    DataError
        If there are other customers in `X` and `labelings`, or a labelling has fewer than two
        segments.
    """
    if isinstance(labelings, pd.Series):
        labelings = labelings.to_frame(labelings.name if labelings.name is not None else "segment")
    table = pd.DataFrame(labelings)
    index = X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(np.asarray(X)))
    if len(index) != len(table) or len(index) == 0:
        raise DataError(
            f"X has {len(index):,} rows and labelings {len(table):,}; they must be the same "
            "customers in the same order."
        )
    by_position = isinstance(table.index, pd.RangeIndex)
    if isinstance(X, pd.DataFrame) and not by_position and not table.index.equals(index):
        raise DataError(
            "X and labelings hold different customers or another order. Align them: "
            "labelings.reindex(X.index)."
        )
    codes, names = [], []
    for name, column in table.items():
        labels, segments = pd.factorize(column, sort=True)
        if len(segments) < 2:
            raise DataError(
                f"the labelling {name!r} has {len(segments)} segment; silhouettes need at least 2."
            )
        codes.append(labels)
        names.append(segments)
    return index, table.set_axis(index), codes, names


def _stratified(labelings: Sequence[Labels], seed: int) -> list[Labels]:
    """Return a sample for each labelling, in proportion to its segments, alike where it can be."""
    rank = np.random.default_rng(seed).permutation(len(labelings[0]))
    samples: list[Labels] = []
    for codes in labelings:
        size = np.bincount(codes[codes >= 0])
        wanted = np.maximum(np.ceil(SAMPLE * size / size.sum()), FEWEST).astype(int)
        order = np.lexsort((rank, codes))
        starts = np.searchsorted(codes[order], np.arange(len(size)))
        kept = [
            order[start : start + min(n, whole)]
            for start, n, whole in zip(starts, wanted, size, strict=True)
        ]
        samples.append(np.sort(np.concatenate(kept)))
    return samples


def _summarised(widths: Matrix, codes: Labels, size: NDArray[np.integer]) -> tuple[Matrix, float]:
    """Return the mean width by segment, and the standard error of the mean over segments."""
    kept = codes >= 0
    widths, codes = widths[kept], codes[kept]
    drawn = np.bincount(codes, minlength=len(size))
    means = np.bincount(codes, weights=widths, minlength=len(size)) / drawn
    squares = np.bincount(codes, weights=(widths - means[codes]) ** 2, minlength=len(size))
    share = size / size.sum()
    variance = squares / np.maximum(drawn - 1, 1) / drawn * (1 - drawn / size)
    return means, float(np.sqrt((share**2 * variance).sum()))
