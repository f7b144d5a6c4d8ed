"""Tables in which some columns are categories: numbers, and codes of levels, with gaps in both."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data

from custseg.errors import DataError, ParameterError, check_columns
from custseg.features._treatments import numbers_of
from custseg.features.encoder import as_frame

Matrix = NDArray[np.float64]
Codes = NDArray[np.int32]
Levels = NDArray[Any]


def open_table(estimator: Any, X: "pd.DataFrame | ArrayLike", *, reset: bool) -> pd.DataFrame:
    """Return a table as a frame with one row at least, its columns checked against those of `fit`.

    Parameters
    ----------
    estimator
        Learns the number and the names of the columns with `reset`, else they must be the same.
    X
        Rows x columns of any type.
    reset
        Whether this is `fit`.

    Raises
    ------
    DataError
        If there is no row or no column, a name twice, or complex numbers.
    """
    table = np.array(X, dtype=object) if isinstance(X, list | tuple) else X
    if isinstance(table, np.ndarray) and table.ndim == 2 and table.dtype.kind in "OSU":
        names = [f"x{position}" for position in range(table.shape[1])]
        table = pd.DataFrame(table, columns=names, dtype=object)  # text need not become Arrow's
    frame = as_frame(table).reset_index(drop=True)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"the column {twice!r} appears twice. Drop or rename one of them.")
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if frame.shape[1] == 0 or len(frame) == 0:
        raise DataError(
            f"the table is empty: {len(frame)} sample(s), {frame.shape[1]} feature(s) "
            f"(shape={frame.shape}) while a minimum of 1 is required."
        )
    if any(pd.api.types.is_complex_dtype(dtype) for dtype in frame.dtypes):
        raise DataError("Complex data not supported: give real and imaginary parts as two columns.")
    return frame


def split_columns(
    frame: pd.DataFrame, categorical: list[int]
) -> tuple[list[pd.Series], list[pd.Series]]:
    """Return the numeric and the categorical columns of a table."""
    columns = [values for _, values in frame.items()]
    numeric = [values for position, values in enumerate(columns) if position not in categorical]
    return numeric, [columns[position] for position in categorical]


def stack_columns(
    numbers: list[Matrix], codes: list[NDArray[np.intp]], n: int
) -> tuple[Matrix, Codes]:
    """Return columns as numeric columns x rows and categorical columns x rows.

    Raises
    ------
    DataError
        If a row has no value in any column.
    """
    matrix, levels = np.empty((len(numbers), n)), np.empty((len(codes), n), np.int32)
    for v, number in enumerate(numbers):
        matrix[v] = number
    for j, code in enumerate(codes):
        levels[j] = code
    nothing = np.isnan(matrix).all(axis=0) & (levels < 0).all(axis=0)
    if nothing.any():
        raise DataError(
            f"{int(nothing.sum()):,} of {n:,} rows have no value in any column, the first at "
            f"position {int(nothing.argmax())}. Set those aside."
        )
    return matrix, levels


def find_levels(values: pd.Series) -> tuple[Levels, NDArray[np.intp]]:
    """Return the levels of a column, and the position of each value's, -1 where missing.

    Levels are sorted; those of several types by the names of the types, then as text.
    """
    codes, occurring = pd.factorize(_without_categories(values))
    levels = np.asarray(occurring)
    if len(levels) == 0:
        raise DataError(f"column {values.name!r} has no value at all. Leave it out.")
    try:
        order = np.argsort(levels)
    except TypeError:
        order = np.array(sorted(range(len(levels)), key=lambda i: _as_text(levels[i])))
    return levels[order], np.append(np.argsort(order), -1)[codes]


def _as_text(level: Any) -> tuple[str, str]:
    return type(level).__name__, str(level)


def code_levels(values: pd.Series, levels: Levels) -> NDArray[np.intp]:
    """Return the position of each value's level, -1 where missing, ``len(levels)`` if unseen."""
    codes, occurring = pd.factorize(_without_categories(values))
    found = pd.Index(levels).get_indexer(pd.Index(occurring))
    places = np.append(np.where(found < 0, len(levels), found), -1)  # a missing value is the last
    return places[codes]


def _without_categories(values: pd.Series) -> "pd.Series | NDArray[Any]":
    """Return the values of categories, whose own order and unused levels do not count here."""
    return np.asarray(values) if isinstance(values.dtype, pd.CategoricalDtype) else values


def as_numbers(values: pd.Series) -> Matrix:
    """Return a numeric column as floats, NaN where missing.

    Raises
    ------
    DataError
        If it holds text, dates or infinite values.
    """
    if values.dtype == object:
        values = values.dropna().infer_objects().reindex(values.index)
    if values.isna().all():
        return np.full(len(values), np.nan)
    if not pd.api.types.is_numeric_dtype(values):
        raise DataError(
            f"column {values.name!r} holds {values.dtype} values (for example "
            f"{values.dropna().iloc[0]!r}), but is not among the categorical columns. Name it in "
            "categorical=, or turn it into numbers."
        )
    return numbers_of(values)


def find_categorical(frame: pd.DataFrame, categorical: Any) -> list[int]:
    """Return the positions of the categorical columns.

    Parameters
    ----------
    frame
        The table.
    categorical
        Names or positions, or one of them; ``None`` for text, categories and booleans.

    Raises
    ------
    ColumnError
        If a name is not a column.
    ParameterError
        If it is neither, a position is out of bounds, or a column named twice.
    """
    if categorical is None:
        frame = frame.infer_objects()
        return [position for position in range(frame.shape[1]) if _holds_levels(frame, position)]
    named = [categorical] if isinstance(categorical, str | Integral) else categorical
    if not isinstance(named, Iterable):
        raise ParameterError(
            f"categorical is {categorical!r}, but must be names or positions of columns."
        )
    named = list(named)
    check_columns(
        frame.columns,
        [name for name in named if not isinstance(name, Integral)],
        where="the table",
    )
    columns = list(frame.columns)
    found = [int(n) if isinstance(n, Integral) else columns.index(n) for n in named]
    beyond = [position for position in found if not 0 <= position < len(columns)]
    if beyond:
        raise ParameterError(
            f"categorical has the position {beyond[0]}, but the {len(columns)} columns have "
            f"positions 0 to {len(columns) - 1}."
        )
    if len(set(found)) < len(found):
        twice = next(position for position in found if found.count(position) > 1)
        raise ParameterError(f"categorical names the column {columns[twice]!r} twice.")
    return sorted(found)


def _holds_levels(frame: pd.DataFrame, position: int) -> bool:
    dtype = frame.dtypes.iloc[position]
    number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    return not number and dtype.kind not in "mM"
