"""What a model reads of a table: customers and their variables, as its algorithm takes them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.clustering._inputs import (
    apply_encoder,
    check_customers,
    check_distinct,
    count_distinct,
    fit_encoder,
)
from custseg.clustering.algorithms import (
    ENCODERS,
    last_step,
    own_variables,
    prepare,
    stated_kinds,
    takes,
)
from custseg.errors import DataError, ParameterError, check_columns
from custseg.features.dictionary import Dictionary
from custseg.features.encoder import numeric_matrix

Matrix = NDArray[np.float64]


class Reading(NamedTuple):
    """Customers sorted by id, as they came and as the algorithm takes them.

    ``frame`` has the variables, ``data`` is what the clusterer is fitted on, ``matrix`` the same as
    numbers, by which equal segments are ordered; ``order_by`` what orders the others, if anything;
    ``dictionary`` what is known of the columns.
    """

    frame: pd.DataFrame
    data: Any
    matrix: Matrix
    encoder: Any = None
    order_by: Matrix | None = None
    dictionary: Dictionary | None = None


def takes_square(estimator: Any) -> bool:
    """Return whether a clusterer takes a square of dissimilarities instead of variables.

    Raises
    ------
    ParameterError
        If it takes similarities, in which no medoid is nearest.
    """
    last = last_step(estimator)
    if getattr(last, "affinity", None) == "precomputed":
        raise ParameterError(
            f"{type(last).__name__} takes similarities, by which no new customer can be assigned. "
            "Give dissimilarities to an algorithm with metric='precomputed', such as "
            "KMedoids(metric='precomputed')."
        )
    return bool(getattr(last, "metric", None) == "precomputed")


def read_square(table: pd.DataFrame, variables: Any, encoder: Any, order_by: Any) -> Reading:
    """Return a square of dissimilarities between customers, sorted by id both ways.

    Parameters
    ----------
    table
        Customers x customers, the same ids as index and as columns.
    variables, encoder, order_by
        What the model was given, which has no meaning here.

    Raises
    ------
    DataError
        If the square is not symmetric, or has missing, infinite or negative values, or customers at
        a distance from themselves.
    ParameterError
        If there is what has no meaning.
    """
    automatic = encoder is None or (isinstance(encoder, str) and encoder == "auto")
    given = {
        "variables": variables,
        "order_by": order_by,
        "encoder": None if automatic else encoder,
    }
    strange = [name for name, value in given.items() if value is not None]
    if strange:
        raise ParameterError(
            f"{strange[0]} is given, but the table holds dissimilarities between customers and no "
            "variables. Leave it out."
        )
    ids = _ids_of(table)
    if set(table.columns) != set(ids) or table.shape[1] != len(ids):
        raise DataError(
            "a square of dissimilarities is needed, with the same customer ids as index and as "
            f"columns, and the table has {len(table):,} rows and {table.shape[1]:,} columns"
            f"{'' if len(table) != table.shape[1] else ' of other names'}."
        )
    square = _numbers(table.loc[ids, ids])
    if (square < 0).any() or np.diag(square).any():
        raise DataError(
            "dissimilarities must be 0 between a customer and himself, and never negative."
        )
    gap = np.abs(square - square.T).max()
    if gap > 1e-9 * square.max():
        raise DataError(
            f"the square is not symmetric: the two values of a pair differ by up to {gap:.3g}. "
            "Take their mean: (square + square.T) / 2."
        )
    empty = pd.DataFrame(index=ids)
    return Reading(empty, square, np.empty((len(ids), 0)))


def read_rows_of_square(table: pd.DataFrame, medoids: Sequence[Any]) -> tuple[pd.Index, Matrix]:
    """Return new customers, sorted by id, and their dissimilarities from the medoids."""
    ids = _ids_of(table)
    check_columns(table.columns, medoids, where="the table of dissimilarities from the medoids")
    distances = _numbers(table.loc[ids, list(medoids)])
    if (distances < 0).any():
        raise DataError("dissimilarities must never be negative.")
    return ids, distances


def _ids_of(table: pd.DataFrame) -> pd.Index:
    """Return the sorted ids of a table whose columns are customers too."""
    if not isinstance(table, pd.DataFrame):
        raise DataError(
            f"a pandas DataFrame of dissimilarities is needed, with customer ids as index and "
            f"columns, not a {type(table).__name__}."
        )
    without = pd.DataFrame({"dissimilarities": 0.0}, index=table.index)
    return check_customers(without, ["dissimilarities"])[0].index


def _numbers(table: pd.DataFrame) -> Matrix:
    try:
        numbers = table.to_numpy(dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"dissimilarities must be numbers: {error}.") from None
    if not np.isfinite(numbers).all():
        wrong = int((~np.isfinite(numbers)).sum())
        raise DataError(f"{wrong:,} dissimilarities are missing or infinite. Fill them.")
    return np.ascontiguousarray(numbers)


def read_customers(
    customers: pd.DataFrame,
    algorithm: Any,
    estimator: Any,
    *,
    n_segments: int | None,
    variables: Sequence[str] | None,
    encoder: Any,
    dictionary: Dictionary | None,
    order_by: str | None,
) -> Reading:
    """Return customers as an algorithm takes them, and tell it what the columns hold.

    Parameters
    ----------
    customers, n_segments, variables, encoder, dictionary, order_by
        As in `SegmentationModel`.
    algorithm, estimator
        The algorithm as it was named, and the unfitted clusterer.
    """
    if takes_square(estimator):
        return read_square(customers, variables, encoder, order_by)
    form = takes(estimator)
    automatic = isinstance(encoder, str) and encoder == "auto"
    target = getattr(estimator, "target", None) if form == "raw" else None
    frame, names = check_customers(
        customers,
        own_variables(estimator) if variables is None else variables,
        categories=automatic and form != "numbers",
    )
    names = [name for name in names if name != target]
    first = None
    if order_by is not None:
        check_columns(frame.columns, [order_by], where="the customer table")
        first = numeric_matrix(frame[[order_by]])[:, 0]
    known = stated_kinds(estimator, names) if dictionary is None else dictionary
    if form == "raw" and (automatic or encoder is None):
        check_columns(frame.columns, [] if target is None else [target], where="the customer table")
        data = frame[names if target is None else [*names, target]]
        return Reading(frame[names], data, _numeric(frame[names]), None, first, known)
    fitted, matrix = fit_encoder(frame[names], ENCODERS[form](known) if automatic else encoder)
    prepare(algorithm, estimator, fitted, matrix)
    distinct = count_distinct(matrix, names)
    if n_segments is not None:
        check_distinct(n_segments, distinct)
    stated = getattr(fitted, "dictionary", known)
    return Reading(frame[names], matrix, matrix, fitted, first, stated)


def _numeric(frame: pd.DataFrame) -> Matrix:
    return frame.select_dtypes(["number", "bool"]).to_numpy(dtype=float, na_value=np.nan)


def read_new(frame: pd.DataFrame, encoder: Any, estimator: Any) -> Any:
    """Return new customers as a fitted clusterer takes them."""
    names = getattr(estimator, "feature_names_in_", None)
    if encoder is None and takes(estimator) == "raw" and names is not None:
        return frame
    return apply_encoder(frame, encoder)
