"""How the values of each column may be read: as the dictionary says, else as they look."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from pandas.api import types

from custseg.errors import ParameterError, check_columns, check_option
from custseg.profiling._words import listed

KINDS = ("numeric", "count", "share", "ordinal", "binary", "nominal")


def read_kinds(
    customers: pd.DataFrame, names: Iterable[str], dictionary: Any
) -> tuple[dict[str, str], list[str]]:
    """Return the kind of every column to profile, and a note on those that nobody stated.

    Parameters
    ----------
    customers
        The customer table.
    names
        The columns.
    dictionary
        Column to its kind or to an entry with one, or the frame that ``describe_columns`` returns.

    Raises
    ------
    ParameterError
        If a kind does not exist, or the dictionary is none.
    """
    stated = _stated(dictionary)
    kinds = {name: stated.get(name) or infer_kind(customers[name]) for name in names}
    for name, kind in kinds.items():
        check_option(kind, f"the kind of {name!r}", KINDS)
    guessed = [name for name in kinds if not stated.get(name)]
    if dictionary is None or not guessed:
        return kinds, []
    return kinds, [f"not in the dictionary, so read by their type: {listed(guessed)}."]


def infer_kind(column: pd.Series) -> str:
    """Return the kind that the values of a column suggest."""
    if types.is_object_dtype(column.dtype):
        column = column.convert_dtypes()
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "ordinal" if column.dtype.ordered else "nominal"
    if not types.is_numeric_dtype(column.dtype):
        return "nominal" if types.is_string_dtype(column.dtype) else "numeric"
    return "binary" if column.dropna().isin([0, 1]).all() else "numeric"


def _stated(dictionary: Any) -> Mapping[Any, Any]:
    if dictionary is None:
        return {}
    if isinstance(dictionary, pd.DataFrame):
        check_columns(dictionary.columns, ["column", "kind"], where="the dictionary")
        known = dictionary.dropna(subset="kind")
        return dict(zip(known["column"], known["kind"], strict=True))
    if not isinstance(dictionary, Mapping):
        raise ParameterError(
            f"dictionary is a {type(dictionary).__name__}, but must say of each column what it is, "
            "as in {'region': 'nominal'}, or be the frame that describe_columns(table) returns."
        )
    return {
        name: entry if isinstance(entry, str) else _kind_of(entry)
        for name, entry in dictionary.items()
    }


def _kind_of(entry: Any) -> Any:
    return entry.get("kind") if isinstance(entry, Mapping) else getattr(entry, "kind", None)
