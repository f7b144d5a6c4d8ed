"""The data dictionary: what every column of a customer table is, and where it comes from."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from custseg.errors import ParameterError, check_columns, check_option

FAMILIES = (
    *("demographic", "geographic", "firmographic", "behavioural", "psychographic", "benefits"),
    *("journey", "value", "satisfaction"),
)
"""The bases on which customers are segmented."""

KINDS = ("numeric", "count", "share", "ordinal", "binary", "nominal")
"""How the values of a column may be read."""

INFERRED = "inferred from the values"

Dictionary: TypeAlias = Mapping[str, str | Mapping[str, Any]] | pd.DataFrame
"""Column to its kind or to its entry, or the frame that `describe_columns` returns."""


class Column(NamedTuple):
    """One entry of the dictionary: the family, kind, definition and source of a column."""

    family: str | None
    kind: str
    definition: str
    source: str


def attach(
    table: pd.DataFrame, columns: Mapping[str, Column], *, as_of: date | None
) -> pd.DataFrame:
    """Return `table` with its dictionary and date in ``attrs``, as plain text.

    Parameters
    ----------
    table
        A customer table.
    columns
        One entry per column.
    as_of
        The last day that counted, where there is one.

    Raises
    ------
    ParameterError
        If a family or a kind does not exist, or an entry has no column.
    """
    for name, column in columns.items():
        _check_entry(name, column.family, column.kind)
    without = [name for name in columns if name not in table.columns]
    if without:
        raise ParameterError(f"the dictionary names {without}, which the table does not have.")
    table = table.copy(deep=False)
    table.attrs["dictionary"] = {name: column._asdict() for name, column in columns.items()}
    if as_of is not None:
        table.attrs["as_of"] = as_of.isoformat()
    return table


def describe_columns(
    table: pd.DataFrame,
    *,
    dictionary: Dictionary | None = None,
    as_of: Any = None,
) -> pd.DataFrame:
    """Return the data dictionary of a customer table.

    Parameters
    ----------
    table
        A customer table; its columns may be any.
    dictionary
        Column to its kind, or to any of family, kind, definition and source; or a frame that this
        function returned, also one that went through a file. When ``None``, the one that the table
        carries in ``attrs``; merges and files lose it.
    as_of
        The date up to which rows counted; when ``None``, the one that the table carries.

    Returns
    -------
    pandas.DataFrame
        One row per column of `table`: `column`, `family`, `kind`, `definition`, `source` and
        `as_of`. What an entry does not say is missing; for a column without a kind it is inferred
        from the values, and `source` says so.

    Raises
    ------
    ParameterError
        If an entry has a family or a kind that does not exist.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"frequency": [2, 5], "region": ["North", "South"]})
    >>> known = {"frequency": {"family": "behavioural", "kind": "count",
    ...                        "definition": "number of orders", "source": "transactions"}}
    >>> describe_columns(table, dictionary=known)[["column", "kind", "source"]]
          column     kind                    source
    0  frequency    count              transactions
    1     region  nominal  inferred from the values
    """
    known = read_entries(table.attrs.get("dictionary") if dictionary is None else dictionary)
    day = table.attrs.get("as_of") if as_of is None else str(as_of)
    rows = []
    for name in table.columns:
        entry = known.get(name, {})
        if entry.get("kind") is None:
            entry = {**entry, "kind": infer_kind(table[name]), "source": INFERRED}
        _check_entry(name, entry.get("family"), entry["kind"])
        rows.append((name, *(entry.get(part) for part in Column._fields), day))
    return pd.DataFrame(rows, columns=["column", *Column._fields, "as_of"])


class Known(NamedTuple):
    """What a door knows of a column: its kind, whether somebody said so, and its family."""

    kind: str
    given: bool
    family: str | None


def read_kinds(table: pd.DataFrame, dictionary: Dictionary | None) -> dict[Any, Known]:
    """Return what is known of every column, from `dictionary` or from the values alone.

    What the table carries in ``attrs`` is not read: a merge or a file would lose it, and a number
    would change in silence.

    Parameters
    ----------
    table
        A customer table.
    dictionary
        As in `describe_columns`.
    """
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise ParameterError(f"the column {twice[0]!r} appears twice; name each column once.")
    described = describe_columns(table, dictionary={} if dictionary is None else dictionary)
    rows = described[["kind", "source", "family"]].itertuples(index=False, name=None)
    return {
        name: Known(kind, source != INFERRED, family if isinstance(family, str) else None)
        for name, (kind, source, family) in zip(table.columns, rows, strict=True)
    }


def infer_kind(values: pd.Series) -> str:
    """Return the kind that the values of a column suggest.

    Parameters
    ----------
    values
        A column of a customer table.

    Returns
    -------
    str
        ``"binary"`` for booleans and for numbers that are all 0 or 1, ``"ordinal"`` for ordered
        categories, ``"nominal"`` for text and other categories, else ``"numeric"``, dates included.

    Examples
    --------
    >>> import pandas as pd
    >>> [infer_kind(pd.Series(v)) for v in ([0, 1], [0, 2], ["a", "b"])]
    ['binary', 'numeric', 'nominal']
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "ordinal" if values.dtype.ordered else "nominal"
    if pd.api.types.is_bool_dtype(values):
        return "binary"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "numeric"
    if not pd.api.types.is_numeric_dtype(values):
        return "nominal"
    return "binary" if values.dropna().isin([0, 1]).all() and values.notna().any() else "numeric"


def _check_entry(name: object, family: str | None, kind: str) -> None:
    if family is not None:
        check_option(family, f"the family of {name!r}", FAMILIES)
    check_option(kind, f"the kind of {name!r}", KINDS)


def read_entries(dictionary: Dictionary | None) -> dict[Any, Mapping[str, Any]]:
    """Return column to entry; what was inferred, from a table that may look different now, goes."""
    if dictionary is None:
        return {}
    if isinstance(dictionary, pd.DataFrame):
        check_columns(dictionary.columns, ["column", "kind"], where="the dictionary")
        twice = dictionary["column"][dictionary["column"].duplicated()]
        if len(twice):
            raise ParameterError(f"the dictionary has two entries for {twice.iloc[0]!r}.")
        parts = dictionary.set_index("column").filter(Column._fields).astype(object)
        if "source" in parts:
            parts["kind"] = parts["kind"].where(parts["source"] != INFERRED)
        return parts.where(parts.notna(), None).to_dict(orient="index")
    if not isinstance(dictionary, Mapping):
        raise ParameterError(
            f"dictionary is a {type(dictionary).__name__}, but must say of each column what it is, "
            "as in {'region': 'nominal'}, or be the frame that describe_columns(table) returns."
        )
    entries: dict[Any, Mapping[str, Any]] = {
        name: {"kind": entry} if isinstance(entry, str) else _parts(entry)
        for name, entry in dictionary.items()
    }
    for name, entry in entries.items():
        for part in entry:
            check_option(part, f"a part of the entry of {name!r}", Column._fields)
    return entries


def _parts(entry: Any) -> dict[str, Any]:
    return entry._asdict() if isinstance(entry, Column) else dict(entry)
