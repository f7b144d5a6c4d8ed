"""The door of every clustering question: what a customer table must be before work starts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from custseg.errors import DataError, ParameterError, check_columns
from custseg.features.encoder import Encoder, numeric_matrix
from custseg.features.mixed_encoder import MixedEncoder

Matrix = NDArray[np.float64]


def check_customers(
    customers: pd.DataFrame, variables: Sequence[str] | None, *, categories: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """Return the customers sorted by id, and the names of their variables.

    Parameters
    ----------
    customers
        One row per customer, the customer id as its unique index.
    variables
        The columns to segment by; ``None`` takes every numeric and boolean column.
    categories
        Whether ``None`` takes text and categorical columns too.

    Raises
    ------
    DataError
        If the table is not a frame, is empty, or its index is not a unique customer id.
    ColumnError
        If a variable is missing.
    ParameterError
        If `variables` is text, empty or names a column twice.
    """
    if not isinstance(customers, pd.DataFrame):
        raise DataError(
            f"customers is a {type(customers).__name__}, but must be a pandas DataFrame with one "
            "row per customer and the customer id as its index."
        )
    if customers.empty:
        raise DataError(
            f"the customer table is empty: {len(customers)} rows, {customers.shape[1]} columns. "
            "Check the filter or the join that made it."
        )
    names = _variables(customers, variables, categories=categories)
    _check_index(customers.index)
    try:
        return customers.sort_index(), names
    except TypeError as error:
        raise DataError(
            "the customer ids mix types that cannot be sorted, such as numbers and text. Make them "
            "one type: customers.index = customers.index.astype(str)."
        ) from error


def _variables(
    customers: pd.DataFrame, variables: Sequence[str] | None, *, categories: bool
) -> list[str]:
    if isinstance(variables, str):
        raise ParameterError(f"variables is {variables!r}, but must be a list: [{variables!r}].")
    if variables is None:
        numbers = customers.select_dtypes(["number", "bool"])
        dates = customers.select_dtypes(["datetime", "datetimetz", "timedelta"])
        names = list((customers.drop(columns=dates.columns) if categories else numbers).columns)
        if not names:
            raise DataError("the customer table has no numeric column to segment by.")
    else:
        names = list(variables)
        if not names:
            raise ParameterError("variables is empty, but must name at least one column.")
        check_columns(customers.columns, names, where="the customer table")
    twice = [name for name in names if list(customers.columns).count(name) * names.count(name) > 1]
    if twice:
        raise ParameterError(f"the variable {twice[0]!r} appears twice; name each column once.")
    ids = [name for name in names if str(name).lower().replace("_", "") == "customerid"]
    if ids:
        raise DataError(
            f"{ids[0]!r} would be a variable, but names customers. Make it the index: "
            f"customers.set_index({ids[0]!r})."
        )
    return names


def _check_index(index: pd.Index) -> None:
    if isinstance(index, pd.MultiIndex):
        raise DataError(
            "the customer table has an index of several levels, but needs one customer id: "
            "customers.reset_index().set_index('customer_id')."
        )
    if index.hasnans:
        raise DataError(
            f"the index has {int(index.isna().sum()):,} missing customer ids. Set these rows aside."
        )
    if not index.is_unique:
        twice = index[index.duplicated()].unique()
        shown = ", ".join(repr(value) for value in twice[:3].tolist())
        raise DataError(
            f"the customer table has {len(twice):,} duplicate customer ids, for example {shown}. "
            "One row per customer is needed: aggregate or drop the others first."
        )


def fit_encoder(frame: pd.DataFrame, encoder: Any) -> tuple[Any, Matrix]:
    """Return the fitted encoder (``None`` stays) and the encoded matrix.

    Parameters
    ----------
    frame
        Customers x variables.
    encoder
        ``"auto"`` for `Encoder`, ``None`` to take the numbers as they are, or a scikit-learn
        transformer, which is cloned.
    """
    if isinstance(encoder, str) and encoder == "auto":
        encoder = Encoder()
    if encoder is None:
        return None, numeric_matrix(frame)
    if isinstance(encoder, type) or not hasattr(encoder, "transform"):
        raise ParameterError(
            f"encoder is {encoder!r}, but must be 'auto', None or a scikit-learn transformer."
        )
    fitted = clone(encoder).fit(frame)
    return fitted, apply_encoder(frame, fitted)


def apply_encoder(frame: pd.DataFrame, encoder: Any) -> Matrix:
    """Return the encoded matrix of new customers."""
    if encoder is None:
        return numeric_matrix(frame)
    encoded = encoder.transform(frame)
    if isinstance(encoder, MixedEncoder):
        return np.asarray(encoded)
    dense = encoded.toarray() if sparse.issparse(encoded) else encoded
    return numeric_matrix(pd.DataFrame(dense))


def count_distinct(matrix: Matrix, variables: Sequence[str]) -> int:
    """Return the number of distinct customers, an error if all are identical."""
    distinct = int((~pd.DataFrame(matrix).duplicated()).sum())
    if distinct == 1:
        names = ", ".join(repr(name) for name in variables)
        raise DataError(
            f"all {len(matrix):,} customers have the same values in {names}: there is nothing to "
            "segment. Choose variables in which customers differ."
        )
    return distinct


def check_distinct(n_segments: int, distinct: int, *, name: str = "n_segments") -> None:
    """Raise `ParameterError` unless there are as many distinct customers as segments."""
    if n_segments > distinct:
        raise ParameterError(
            f"{name} is {n_segments}, but must be at most {distinct}: the customers have only "
            f"{distinct} distinct rows in these variables."
        )
