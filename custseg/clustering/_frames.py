"""Tables as plain arrays and back, so that a model can be stored without pickle."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.cluster import Birch

from custseg.errors import check_option

_DTYPES = ("object", "str", "string", "boolean", "Int64", "Float64")
"""The types of columns that are kept as lists."""

_OWNERS = ("custseg", "sklearn")
"""Whose objects may hold something of every customer of the fit."""


@dataclass(frozen=True)
class StoredColumn:
    """A column: its name, its values as an array or a list, and what its levels are."""

    name: Any
    values: Any
    dtype: str | None = None
    levels: "StoredColumn | None" = None
    ordered: bool = False


@dataclass(frozen=True)
class StoredTable:
    """A frame, or a series as its only column, with its index."""

    index: StoredColumn
    columns: list[StoredColumn]
    is_series: bool = False


@dataclass(frozen=True)
class StoredBirch:
    """What a Birch knows; it holds its tree in a form that only pickle stores, and needs it not."""

    parts: dict[str, Any]


def pack(value: Any, *, without: Collection[str] = ()) -> Any:
    """Return a value with every table in it as plain arrays.

    Parameters
    ----------
    value
        Anything; tables are sought in estimators and what they hold.
    without
        The attributes of estimators, and of what they hold, to leave out.
    """
    if isinstance(value, pd.DataFrame):
        columns = [_pack_column(name, values) for name, values in value.items()]
        return StoredTable(_pack_column(value.index.name, value.index), columns)
    if isinstance(value, pd.Series):
        column = _pack_column(value.name, value)
        return StoredTable(_pack_column(value.index.name, value.index), [column], is_series=True)
    packed = _rebuilt(value, lambda part: pack(part, without=without), without)
    return StoredBirch(dict(vars(packed))) if isinstance(packed, Birch) else packed


def unpack(value: Any) -> Any:
    """Return a value with every table in it as pandas has it."""
    if isinstance(value, StoredTable):
        index = pd.Index(_unpack_column(value.index), name=value.index.name)
        columns = [pd.Series(_unpack_column(c), index, name=c.name) for c in value.columns]
        if value.is_series:
            return columns[0]
        table = pd.DataFrame(dict(enumerate(columns)), index=index)
        return table.set_axis([c.name for c in value.columns], axis=1)
    if isinstance(value, StoredBirch):
        birch = Birch()
        vars(birch).update(unpack(value.parts))
        return birch
    return _rebuilt(value, unpack)


def parts_of(value: Any) -> Iterator[Any]:
    """Yield a value and all that its containers, estimators and objects hold."""
    yield value
    inside: Collection[Any] = ()
    if type(value) in (list, tuple):
        inside = value
    elif type(value) is dict:
        inside = value.values()
    elif _is_ours(value):
        inside = vars(value).values()
    for part in inside:
        yield from parts_of(part)


def _is_ours(value: Any) -> bool:
    """Return whether an object may hold something of every customer of the fit."""
    kind = type(value)
    ours = isinstance(value, BaseEstimator) or kind.__module__.split(".")[0] in _OWNERS
    return ours and hasattr(value, "__dict__") and not isinstance(value, type)


def _rebuilt(value: Any, change: Any, without: Collection[str] = ()) -> Any:
    """Return a copy of a container, an estimator or an object of it with its parts changed."""
    kind = type(value)
    if _is_ours(value):
        copy = object.__new__(kind)
        parts = {name: change(part) for name, part in vars(value).items() if name not in without}
        vars(copy).update(parts)
        return copy
    if kind is dict:
        return {key: change(part) for key, part in value.items()}
    if kind in (list, tuple):
        return kind(change(part) for part in value)
    return value


def _pack_column(name: Any, values: pd.Series | pd.Index) -> StoredColumn:
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = _pack_column(None, dtype.categories)
        codes = pd.Categorical(values).codes
        return StoredColumn(name, codes, levels=levels, ordered=bool(dtype.ordered))
    if isinstance(dtype, np.dtype) and not dtype.hasobject:
        return StoredColumn(name, values.to_numpy())
    check_option(str(dtype), f"the type of column {name!r}", _DTYPES)
    plain = values.astype(object).tolist()
    if plain and all(type(part) is str for part in plain):
        return StoredColumn(name, np.array(plain), str(dtype))
    missing = pd.isna(values)
    plain = [None if gap else part for part, gap in zip(plain, missing, strict=True)]
    return StoredColumn(name, plain, str(dtype))


def _unpack_column(column: StoredColumn) -> Any:
    if column.levels is not None:
        levels = pd.Index(_unpack_column(column.levels))
        return pd.Categorical.from_codes(column.values, levels, ordered=column.ordered)
    if column.dtype is None:
        return column.values
    check_option(column.dtype, "the type of a stored column", _DTYPES)
    plain = np.empty(len(column.values), dtype=object)
    plain[:] = list(column.values)
    return plain if column.dtype == "object" else pd.array(plain, dtype=column.dtype)
