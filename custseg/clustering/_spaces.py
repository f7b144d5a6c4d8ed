"""How unlike rows are: Gower's dissimilarity and scikit-learn's metrics, behind the same methods.

A space learns what it needs from the rows of a fit, reads tables into the form that it compares,
and gives the square of all dissimilarities (single precision) or those from a few rows (double).
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import PAIRWISE_BOOLEAN_FUNCTIONS, distance_metrics
from sklearn.neighbors import VALID_METRICS

from custseg.errors import DataError, ParameterError
from custseg.features._treatments import numbers_of
from custseg.features.dictionary import Dictionary
from custseg.features.gower import Comparison, Placed, learn, place, rows_between, rows_of, square

Matrix = NDArray[np.float64]
Square = NDArray[np.floating]
Places = NDArray[np.int64]

METRICS = tuple(sorted({*VALID_METRICS["brute"], *distance_metrics(), "gower"}))
"""The names that a metric may have."""

CELLS = 1_000_000
"""How many dissimilarities are computed at a time."""


@dataclass(frozen=True)
class GowerSpace:
    """Customers with variables of mixed kinds, compared by what both have."""

    comparisons: list[Comparison]

    def read(self, frame: pd.DataFrame) -> Placed:
        """Return a table as it is compared."""
        rows = place(frame, self.comparisons)
        nothing = len(frame) - int(rows.known.sum())
        if nothing:
            raise DataError(
                f"{nothing:,} of {len(frame):,} rows have no value in any variable. Set those "
                "aside."
            )
        return rows

    def columns(self, rows: Any) -> pd.DataFrame:
        """Return what makes rows distinct."""
        return pd.DataFrame(dict(enumerate([*rows.numbers, *rows.codes])))

    def count(self, rows: Any) -> int:
        """Return the number of rows."""
        return rows.numbers.shape[1]

    def take(self, rows: Any, places: "Places | slice") -> Placed:
        """Return some of the rows."""
        return rows_of(rows, places)

    def square(self, rows: Any) -> Square:
        """Return the dissimilarities of all rows, in single precision."""
        return square(rows, dtype=np.float32)

    def apart(self, rows: Any, medoids: Any) -> Matrix:
        """Return rows x medoids."""
        return rows_between(medoids, rows).T


@dataclass(frozen=True)
class MetricSpace:
    """Rows of numbers, compared by a metric of scikit-learn with its parameters."""

    metric: str
    parameters: Mapping[str, Any]

    def read(self, frame: pd.DataFrame) -> Matrix:
        """Return a table as it is compared."""
        columns = [self._column(frame.iloc[:, position]) for position in range(frame.shape[1])]
        rows = np.column_stack(columns)
        return rows != 0 if self.metric in PAIRWISE_BOOLEAN_FUNCTIONS else rows

    def _column(self, values: pd.Series) -> Matrix:
        numbers = numbers_of(values)
        missing = int(np.isnan(numbers).sum())
        if missing and self.metric != "nan_euclidean":
            raise DataError(
                f"column {values.name!r} has {missing:,} missing (NaN) of {len(values):,} values. "
                "Fill them with a value you can defend, set these rows aside, leave the column "
                "out, or use metric='gower', which compares two rows by what both have."
            )
        return numbers

    def columns(self, rows: Any) -> pd.DataFrame:
        """Return what makes rows distinct."""
        return pd.DataFrame(rows)

    def count(self, rows: Any) -> int:
        """Return the number of rows."""
        return len(rows)

    def take(self, rows: Any, places: "Places | slice") -> Matrix:
        """Return some of the rows."""
        return rows[places]

    def square(self, rows: Any) -> Square:
        """Return the dissimilarities of all rows, in single precision."""
        out = np.empty((len(rows), len(rows)), np.float32)
        step = max(1, CELLS // len(rows))

        def band(low: int) -> None:
            out[low : low + step] = self.apart(rows[low : low + step], rows)

        with ThreadPoolExecutor(cpu_count()) as pool:
            for _ in pool.map(band, range(0, len(rows), step)):
                pass
        return out

    def apart(self, rows: Any, medoids: Any) -> Matrix:
        """Return rows x medoids."""
        if self.metric in ("euclidean", "l2") and not self.parameters:  # exact, row by row
            return np.asarray(cdist(rows, medoids))
        found = pairwise_distances(rows, medoids, metric=self.metric, **self.parameters)
        return np.maximum(found, 0.0)


Space: TypeAlias = GowerSpace | MetricSpace


def learn_space(
    metric: str,
    frame: pd.DataFrame,
    weights: Matrix,
    *,
    dictionary: Dictionary | None,
    metric_params: Mapping[str, Any] | None,
) -> Space:
    """Return the space of a metric, with what it takes from the rows of a fit.

    Parameters
    ----------
    metric
        One of `METRICS`.
    frame
        Rows x columns.
    weights
        A positive weight per row.
    dictionary
        What the columns are to Gower's dissimilarity.
    metric_params
        Further parameters of the metric.

    Raises
    ------
    DataError
        If the metric cannot compare these rows.
    ParameterError
        If a parameter is not one of the metric.
    """
    parameters = dict(metric_params or {})
    if metric == "gower":
        strange = sorted(set(parameters) - {"weights"}, key=str)
        if strange:
            raise ParameterError(
                f"metric_params has {strange[0]!r}, but metric='gower' takes only 'weights'."
            )
        return GowerSpace(learn(frame, dictionary=dictionary, weights=parameters.get("weights")))
    if dictionary is not None:
        raise ParameterError(
            f"dictionary says what columns are to metric='gower'; metric={metric!r} takes numbers "
            "as they are. Leave it out."
        )
    rows = MetricSpace(metric, parameters).read(frame)
    if metric == "seuclidean" and "V" not in parameters:
        parameters["V"] = np.diag(_covariance(rows, weights)).copy()
        constant = frame.columns[parameters["V"] == 0]
        if len(constant):
            raise DataError(
                f"column {constant[0]!r} has one value only, and metric='seuclidean' divides by "
                "its variance. Leave it out."
            )
    if metric == "mahalanobis" and not {"V", "VI"} & set(parameters):
        covariance = _covariance(rows, weights)
        if np.linalg.matrix_rank(covariance) < len(covariance):
            raise DataError(
                "a column is a linear combination of others, and metric='mahalanobis' divides by "
                "the covariances. Leave one of them out."
            )
        parameters["VI"] = np.linalg.inv(covariance)
    space = MetricSpace(metric, parameters)
    try:
        space.apart(rows[:2], rows[:1])
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"metric={metric!r} with metric_params={metric_params!r} does not compare rows of "
            f"{rows.shape[1]} columns: {error}"
        ) from error
    return space


def _covariance(rows: Matrix, weights: Matrix) -> Matrix:
    if weights.sum() <= 1:
        raise DataError("variances need more than one row.")
    centred = rows - weights @ rows / weights.sum()
    return np.asarray((centred.T * weights) @ centred / (weights.sum() - 1))


def distinct_rows(space: Space, rows: Any, weights: Matrix) -> tuple[Places, Matrix]:
    """Return the places of the first of equal rows, and the sums of their weights.

    They are sorted by their values, so that what is done with them does not depend on the order of
    the rows.
    """
    columns = space.columns(rows)
    groups = columns.groupby(list(columns), dropna=False).ngroup().to_numpy()
    first = np.unique(groups, return_index=True)[1]
    return first.astype(np.int64), np.bincount(groups, weights=weights).astype(float)


def parts(n: int, width: int) -> Iterator[slice]:
    """Yield consecutive ones of `n` rows, about `CELLS` values at a time."""
    step = max(1, CELLS // width)
    for low in range(0, n, step):
        yield slice(low, low + step)


def nearest(space: Space, rows: Any, medoids: Any) -> tuple[Places, Matrix]:
    """Return the position of the nearest medoid of each row, the first of equal ones, and how far.

    A medoid from which a row has no dissimilarity is not its nearest.

    Raises
    ------
    DataError
        If a row has no dissimilarity from any medoid.
    """
    n = space.count(rows)
    labels, distances = np.empty(n, np.int64), np.empty(n)
    for part in parts(n, space.count(medoids)):
        apart = space.apart(space.take(rows, part), medoids)
        apart = np.where(np.isnan(apart), np.inf, apart)
        labels[part] = apart.argmin(axis=1)
        distances[part] = apart.min(axis=1)
    lost = np.flatnonzero(np.isinf(distances))
    if len(lost):
        raise DataError(
            f"{len(lost):,} of {n:,} rows have no dissimilarity from any medoid, the first at "
            f"position {lost[0]}: they have no value where medoids have one, or are what the "
            "metric is not defined for. Set them aside."
        )
    return labels, distances
