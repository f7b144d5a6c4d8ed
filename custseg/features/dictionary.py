"""The data dictionary: what every column of a customer table is, and where it comes from."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

import pandas as pd

from custseg.errors import ParameterError, check_option

FAMILIES = (
    *("demographic", "geographic", "firmographic", "behavioural", "psychographic", "benefits"),
    *("journey", "value", "satisfaction"),
)
"""The bases on which customers are segmented."""

KINDS = ("numeric", "count", "share", "ordinal", "binary", "nominal")
"""How the values of a column may be read."""

INFERRED = "inferred from the values"


class Column(NamedTuple):
    """One entry of the dictionary: the family, kind, definition and source of a column."""

    family: str
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
        check_option(column.family, f"the family of {name!r}", FAMILIES)
        check_option(column.kind, f"the kind of {name!r}", KINDS)
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
    dictionary: Mapping[str, Mapping[str, str]] | pd.DataFrame | None = None,
    as_of: Any = None,
) -> pd.DataFrame:
    """Return the data dictionary of a customer table.

    Parameters
    ----------
    table
        A customer table; its columns may be any.
    dictionary
        Column to family, kind, definition and source, or a frame that this function returned.
        When ``None``, the one that the table carries in ``attrs``; merges and files lose it.
    as_of
        The date up to which rows counted; when ``None``, the one that the table carries.

    Returns
    -------
    pandas.DataFrame
        One row per column of `table`: `column`, `family`, `kind`, `definition`, `source` and
        `as_of`. For a column without an entry the kind is inferred from its values, the family
        and the definition are missing, and `source` says so.

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
    known = _entries(table.attrs.get("dictionary") if dictionary is None else dictionary)
    day = table.attrs.get("as_of") if as_of is None else str(as_of)
    rows = []
    for name in table.columns:
        entry = known.get(name)
        if entry is None:
            rows.append((name, None, infer_kind(table[name]), None, INFERRED, day))
            continue
        if entry["family"] is not None:
            check_option(entry["family"], f"the family of {name!r}", FAMILIES)
        check_option(entry["kind"], f"the kind of {name!r}", KINDS)
        rows.append((name, *(entry[part] for part in Column._fields), day))
    return pd.DataFrame(rows, columns=["column", *Column._fields, "as_of"])


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
        categories, ``"nominal"`` for text and other categories, else ``"numeric"``.

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
    if not pd.api.types.is_numeric_dtype(values):
        return "nominal"
    return "binary" if values.dropna().isin([0, 1]).all() and values.notna().any() else "numeric"


def _entries(dictionary: Any) -> dict[Any, Mapping[str, Any]]:
    if dictionary is None:
        return {}
    if isinstance(dictionary, pd.DataFrame):
        parts = dictionary.set_index("column")[list(Column._fields)].astype(object)
        known = parts.where(parts.notna(), None).to_dict(orient="index")
        return {name: entry for name, entry in known.items() if entry["source"] != INFERRED}
    return dict(dictionary)
