"""Columns of a customer table as numbers: quantities, places in an order, codes of levels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from custseg.errors import DataError, ParameterError, check_columns
from custseg.profiling._measures import MAX_LEVELS
from custseg.profiling._words import listed

Vector = NDArray[np.float64]
YES_NO = ("no", "yes")


class Column(NamedTuple):
    """A column as numbers.

    ``kind`` is ``"number"``, ``"order"`` (places among ordered levels) or ``"level"`` (codes of
    levels without order, yes/no values among them); ``values`` has NaN where a value is missing,
    ``levels`` is empty for numbers.
    """

    name: str
    kind: str
    values: Vector
    levels: tuple[Any, ...] = ()

    @property
    def gaps(self) -> bool:
        """Whether somebody lacks the column."""
        return bool(np.isnan(self.values).any())

    def words(self, value: float) -> str:
        """Return a value as it is shown, empty where it is missing."""
        if np.isnan(value):
            return ""
        return str(self.levels[int(value)]) if self.levels else f"{value:g}"


def column_names(customers: pd.DataFrame, variables: Sequence[str] | None) -> list[str]:
    """Return the columns to use: those named, or all but dates and identifiers."""
    if isinstance(variables, str):
        raise ParameterError(f"variables is {variables!r}, but must be a list: [{variables!r}].")
    if variables is not None:
        names = list(variables)
        check_columns(list(customers.columns), names, where="the customer table")
        twice = [name for name in names if names.count(name) > 1]
        if twice or not names:
            raise ParameterError(
                f"variables names {twice[0]!r} more than once: keep one."
                if twice
                else "variables is empty, but must name at least one column."
            )
        return names
    names = [name for name in customers.columns if _can_be_read(customers[name])]
    if not names:
        raise DataError(
            f"the customer table has no number and no column of up to {MAX_LEVELS} categories."
        )
    return names


def _can_be_read(values: pd.Series) -> bool:
    if types.is_object_dtype(values) or types.is_string_dtype(values):
        return bool(values.nunique() <= MAX_LEVELS)
    return types.is_numeric_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype)


def read_columns(
    customers: pd.DataFrame,
    names: Sequence[str],
    *,
    learned: Sequence[Column] = (),
) -> list[Column]:
    """Return columns as numbers.

    Parameters
    ----------
    customers
        One row per customer.
    names
        The columns to read.
    learned
        The same columns as they were read before: new values take the places of their levels, and
        a level that was not there is missing.

    Raises
    ------
    DataError
        If a column has no values, infinite ones, too many levels, or a kind without a number.
    """
    twice = [name for name in names if list(customers.columns).count(name) > 1]
    if twice:
        raise DataError(
            f"the customer table has more than one column named {listed(twice[:1])}: rename them."
        )
    if learned:
        return [_again(customers[column.name], column) for column in learned]
    return [_column(name, customers[name]) for name in names]


def _column(name: str, values: pd.Series) -> Column:
    if types.is_object_dtype(values.dtype):
        values = values.convert_dtypes()
    if values.isna().all():
        raise DataError(f"the column {name!r} has no value for any customer: leave it out.")
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.remove_unused_categories()
        kind = "order" if values.cat.ordered else "level"
        codes, levels = values.cat.codes.to_numpy(), tuple(values.cat.categories)
    elif types.is_numeric_dtype(values) and not types.is_complex_dtype(values):
        return _number(name, values)
    elif types.is_string_dtype(values):
        kind, levels = "level", tuple(sorted(values.dropna().unique()))
        codes = pd.Index(levels).get_indexer(pd.Index(values))
    else:
        raise DataError(
            f"the column {name!r} is of type {values.dtype}, but must hold numbers, yes/no values, "
            "categories or text. Make it a number first (a date, for example, the days since it)."
        )
    if len(levels) > MAX_LEVELS:
        raise DataError(
            f"the column {name!r} has {len(levels):,} different values, more than {MAX_LEVELS}: "
            "group the rare ones, or leave it out."
        )
    return Column(name, kind, np.where(codes < 0, np.nan, codes), levels)


def _number(name: str, values: pd.Series) -> Column:
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(numbers).any():
        raise DataError(
            f"the column {name!r} has {int(np.isinf(numbers).sum()):,} infinite values: replace "
            "them with a number, or with NaN to have them counted as missing."
        )
    if np.isin(numbers[~np.isnan(numbers)], (0.0, 1.0)).all():
        return Column(name, "level", numbers, YES_NO)
    return Column(name, "number", numbers)


def _again(values: pd.Series, column: Column) -> Column:
    """Return new values of a column that was read before."""
    numeric = types.is_numeric_dtype(values)
    if column.kind != "number" and not (numeric and column.levels == YES_NO):
        codes = pd.Index(column.levels, dtype=object).get_indexer(pd.Index(values.astype(object)))
        return column._replace(values=np.where(codes < 0, np.nan, codes))
    if not numeric:
        raise DataError(
            f"the column {column.name!r} was a number when the questions were learned, and is now "
            f"of type {values.dtype}: convert it with pandas.to_numeric."
        )
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    if column.levels:
        numbers = np.where(np.isin(numbers, (0.0, 1.0)), numbers, np.nan)
    return column._replace(values=numbers)
