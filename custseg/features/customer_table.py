"""The customer table: all that is known of each customer, joined on the customer's id."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import reduce
from typing import Any, NamedTuple

import narwhals as nw
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_string_dtype

from custseg._engine import collect, from_day, to_day
from custseg.audit import DAY
from custseg.errors import DataError, ParameterError, check_columns
from custseg.features._levels import in_order, look_ordered, without_order
from custseg.features.dictionary import (
    Column,
    Dictionary,
    attach,
    infer_kind,
    read_entries,
)
from custseg.features.journeys import journey_features
from custseg.features.purchases import purchase_features
from custseg.features.survey import survey_features
from custseg.joins import audit_join
from custseg.tables import Customers, Survey, Touchpoints, Transactions, plain_ids

_ANCHOR = "customers"

_WORDS = {
    "demographic": "age birth birthday born gender sex income salary household marital married "
    "children kids education occupation nationality language",
    "geographic": "region country city town state province county district zip postcode postal "
    "location latitude longitude urban",
    "firmographic": "account company firm industry sector employees headcount turnover",
    "behavioural": "sign signup registered registration joined since acquisition acquired channel "
    "member membership newsletter",
}
"""Words in the name of a customer attribute that tell its family."""


def build_customer_table(
    *,
    as_of: Any,
    transactions: Any = None,
    touchpoints: Any = None,
    survey: Any = None,
    customers: Any = None,
    dictionary: Dictionary | None = None,
) -> pd.DataFrame:
    """Join what is known of each customer into one table, with its data dictionary.

    Parameters
    ----------
    as_of
        A calendar date in the data's own time zone. Everything up to the end of that day counts,
        nothing later; every source gets it.
    transactions, touchpoints, survey, customers
        A raw table (`Transactions`, `Touchpoints`, `Survey`, `Customers`), which becomes
        `purchase_features`, `journey_features`, `survey_features` or attributes with their
        defaults; or a frame of features with the unique index `customer_id`; or a list of these.
    dictionary
        What columns are, in addition to what their sources say: column to kind, or to any of
        family, kind, definition and source.

    Returns
    -------
    pandas.DataFrame
        One row per customer, sorted by the unique index `customer_id`. With `customers`, exactly
        those customers: ids that only other sources have are left out and counted by
        `describe_sources`. Without, every customer of any source. Columns in the order of
        `customers`, `transactions`, `touchpoints`, `survey`. Who is not in a source has missing
        values in its columns, never 0. Dates among the attributes become `days_since_...`.
        ``attrs`` has the date, the data dictionary, the sources and the notes.

    Raises
    ------
    DataError
        If a source is of another kind, or its ids are missing, repeated, or text where another
        source has numbers; if two sources have different columns of one name; and what the
        feature functions raise.
    ParameterError
        If no source is given, `as_of` is no date, or a frame was built for another date.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> lines = pd.DataFrame({"who": ["ann", "ann", "eve"], "paid": [20.0, 35.0, 8.0],
    ...                       "when": pd.to_datetime(["2024-01-05", "2024-02-01", "2024-02-03"])})
    >>> tx = cs.Transactions(lines, customer_id="who", timestamp="when", amount="paid")
    >>> people = pd.DataFrame({"who": ["ann", "bob"], "age": [31, 40], "region": ["North", "West"]})
    >>> table = build_customer_table(
    ...     as_of="2024-02-29",
    ...     transactions=cs.features.rfm(tx, as_of="2024-02-29"),
    ...     customers=cs.Customers(people, customer_id="who"),
    ... )
    >>> table
                 age region  recency  frequency  monetary  tenure
    customer_id
    ann           31  North     28.0        2.0      55.0    55.0
    bob           40   West      NaN        NaN       NaN     NaN
    >>> describe_sources(table)[["source", "ids", "matched", "only_here", "left_out"]]
             source  ids  matched  only_here  left_out
    0     customers    2        1          1         0
    1  transactions    2        1          1         1
    """
    day = from_day(to_day(as_of, "as_of"))
    given = {
        "customers": customers,
        "transactions": transactions,
        "touchpoints": touchpoints,
        "survey": survey,
    }
    said = read_entries(dictionary)
    sources = {
        name: _read(name, table, day, said) for name, table in given.items() if table is not None
    }
    if not sources:
        raise ParameterError(f"no source is given. Name at least one of {', '.join(given)}.")
    anchored = _ANCHOR in sources
    everybody = _union(sources)
    index = sources[_ANCHOR].table.index if anchored else everybody
    joined = _join(sources, index)
    check_columns(list(joined.table), said, where="the customer table")
    table = attach(joined.table, joined.columns, as_of=day)
    reports, notes = _match(sources, index)
    table.attrs["sources"] = reports
    table.attrs["notes"] = [*joined.notes, *notes]
    return table


def describe_sources(table: pd.DataFrame) -> pd.DataFrame:
    """Return how the sources of a customer table matched.

    Parameters
    ----------
    table
        What `build_customer_table` returned; merges and files lose the account.

    Returns
    -------
    pandas.DataFrame
        One row per source: `source`, `ids` (customers in it), `matched` (those that are among
        `customers` too; for `customers`, or where these are not given, in another source),
        `match_rate` (missing for a single source), `only_here`, `in_table`, `left_out` and
        `columns`. ids = matched + only_here = in_table + left_out.

    Raises
    ------
    DataError
        If the table carries no account.

    Examples
    --------
    >>> import pandas as pd
    >>> visits = pd.DataFrame({"visits": [3]}, index=pd.Index([7], name="customer_id"))
    >>> table = build_customer_table(as_of="2024-12-31", touchpoints=visits)
    >>> describe_sources(table)[["source", "ids", "only_here", "in_table", "columns"]]
            source  ids  only_here  in_table  columns
    0  touchpoints    1          1         1        1
    """
    if "sources" not in table.attrs:
        raise DataError(
            "the table does not say where it comes from: build_customer_table writes it into "
            "attrs, which merges and files lose. Ask the table that it returned."
        )
    return pd.DataFrame(table.attrs["sources"])


class _Source(NamedTuple):
    """Features of one source: one row per customer, entries of the dictionary, and notes."""

    table: pd.DataFrame
    columns: dict[Any, Column]
    notes: list[str]


_RAW: dict[str, tuple[type, Callable[[Any, date], pd.DataFrame]]] = {
    "customers": (Customers, lambda raw, _: _attributes(raw)),
    "transactions": (Transactions, lambda raw, day: purchase_features(raw, as_of=day)),
    "touchpoints": (Touchpoints, lambda raw, day: journey_features(raw, as_of=day)),
    "survey": (Survey, lambda raw, day: survey_features(raw, as_of=day)),
}
_FAMILY = {"transactions": "behavioural", "touchpoints": "journey"}


Entries = Mapping[Any, Mapping[str, Any]]


def _read(name: str, given: Any, day: date, said: Entries) -> _Source:
    """Return the features of a source, joined if it is a list of them."""
    listed = list(given) if isinstance(given, list | tuple) else [given]
    if not listed:
        raise ParameterError(f"{name} is an empty list. Leave it out, or name its tables.")
    parts = {f"{name}[{i}]": _part(name, one, day, said) for i, one in enumerate(listed)}
    joined = _join(parts, _union(parts))
    return joined._replace(notes=[f"{name}: {note}" for note in joined.notes])


def _part(name: str, given: Any, day: date, said: Entries) -> _Source:
    kind, features = _RAW[name]
    if isinstance(given, kind):
        table = features(given, day)
    elif isinstance(given, pd.DataFrame):
        table = _check_frame(name, given, day)
    else:
        raise DataError(
            f"{name} is a {type(given).__name__}, but must be cs.{kind.__name__}(...), a frame of "
            "features indexed by customer_id, or a list of these."
        )
    notes = [str(note) for note in table.attrs.get("notes", ())]
    if isinstance(given, pd.DataFrame) and name != _ANCHOR and "as_of" not in given.attrs:
        notes.append("a frame came without its date; that nothing is later was taken on trust.")
    known = dict(read_entries(table.attrs.get("dictionary")))
    if name == _ANCHOR:
        table, more = _dates_to_days(table, day, known)
        notes += more
    columns: dict[Any, Column] = {}
    for column in table:
        stated = {part: value for part, value in said.get(column, {}).items() if value is not None}
        columns[column], more = _entry(name, table[column], {**known.get(column, {}), **stated})
        notes += more
    unknown = [str(column) for column, entry in columns.items() if entry.family is None]
    if unknown:
        notes.append(f"the family of {', '.join(unknown)} is not known; dictionary= states it.")
    return _Source(table, columns, notes)


def _check_frame(name: str, table: pd.DataFrame, day: date) -> pd.DataFrame:
    kind = _RAW[name][0].__name__
    if table.index.name != "customer_id":
        raise DataError(
            f"the {name} frame has the index {table.index.name!r}, but a frame of features has the "
            f"index 'customer_id'. Use table.set_index('customer_id'), or, for raw rows, "
            f"cs.{kind}(table, customer_id=...)."
        )
    if table.empty:
        raise DataError(f"the {name} frame is empty: {len(table)} rows, {table.shape[1]} columns.")
    missing, twice = int(table.index.isna().sum()), int(table.index.duplicated().sum())
    if missing or twice:
        raise DataError(
            f"the {name} frame has {missing:,} rows without customer_id and {twice:,} rows that "
            "repeat a customer, which would multiply rows in the join. Keep one row per customer."
        )
    built = table.attrs.get("as_of")
    if built is not None and built != day.isoformat():
        raise ParameterError(
            f"the {name} frame counts up to {built}, but as_of is {day.isoformat()}. Build it "
            "again for that date."
        )
    plain = table.set_axis(plain_ids(pd.Series(table.index.astype(_id_type(table.index)))))
    return plain.sort_index()


def _id_type(index: pd.Index) -> Any:
    """Return the type of ids as they are compared: categories as what they stand for."""
    return index.categories.dtype if isinstance(index, pd.CategoricalIndex) else index.dtype


def _attributes(customers: Customers) -> pd.DataFrame:
    frame = customers.frame.drop(DAY, strict=False)
    schema = frame.collect_schema()
    plain = [
        nw.col(name).cast(nw.Float64() if isinstance(kind, nw.Decimal) else nw.Datetime("us"))
        for name, kind in schema.items()
        if isinstance(kind, nw.Decimal | nw.Date)
    ]
    rows = collect(frame.with_columns(*plain) if plain else frame)
    gaps = [name for name, kind in schema.items() if kind == nw.Boolean and rows[name].hasnans]
    rows = rows.astype(dict.fromkeys(gaps, "boolean"))
    for name, levels in customers.levels.items():
        rows[name] = pd.Categorical(rows[name], categories=levels, ordered=True)
    missing = int(rows["customer_id"].isna().sum())
    twice = int(rows["customer_id"].dropna().duplicated().sum())
    if missing or twice:
        raise DataError(
            f"customers have {missing:,} rows without customer_id and {twice:,} rows that repeat a "
            "customer, which would multiply rows in the join. Keep one row per customer first: "
            "customers = customers.clean()."
        )
    return rows.set_index(plain_ids(rows.pop("customer_id"))).sort_index()


def _dates_to_days(
    table: pd.DataFrame, day: date, known: dict[Any, Any]
) -> tuple[pd.DataFrame, list[str]]:
    """Return dates as whole days before `day`; later ones, not known then, are missing.

    The new columns get their entry in `known`.
    """
    notes, columns = [], {}
    for name in table:
        values = table[name]
        if not is_datetime64_any_dtype(values):
            columns[name] = values
            continue
        local = values if values.dt.tz is None else values.dt.tz_localize(None)
        days = (pd.Timestamp(day) - local.dt.normalize()).dt.days
        later = int((days < 0).sum())
        if later:
            notes.append(f"{later:,} dates of {name} lie after as_of and are missing.")
        days = days.where(days >= 0)
        columns[f"days_since_{name}"] = days if days.isna().any() else days.astype("int64")
        known[f"days_since_{name}"] = {
            "kind": "count",
            "definition": f"days from {name} to as_of",
            "family": known.get(name, {}).get("family") or _family(name),
        }
    return pd.DataFrame(columns, index=table.index), notes


def _entry(source: str, values: pd.Series, known: Mapping[str, Any]) -> tuple[Column, list[str]]:
    """Return the entry of a column: what is known of it, and by its type what is not."""
    notes = []
    kind, definition = known.get("kind"), known.get("definition") or f"{values.name} as given"
    if kind is None:
        kind = infer_kind(values)
        definition += " (kind by its type)"
        if kind == "nominal" and look_ordered(without_order(values)):
            notes.append(
                f"{values.name} holds text that looks like bands with an order and is taken as "
                "nominal; make it an ordered pandas.Categorical."
            )
    if kind == "ordinal" and isinstance(values.dtype, pd.CategoricalDtype):
        definition += f": {' < '.join(str(level) for level in in_order(values))}"
    family = known.get("family") or (
        _family(values.name) if source == _ANCHOR else _FAMILY.get(source)
    )
    return Column(family, kind, definition, known.get("source") or source), notes


def _family(name: Any) -> str | None:
    """Return the family that the words of a column's name tell."""
    words = set(re.split(r"[^a-z]+", str(name).lower()))
    return next((family for family, told in _WORDS.items() if words & set(told.split())), None)


def _union(sources: Mapping[str, _Source]) -> pd.Index:
    """Return every customer of any source."""
    text = {name: is_string_dtype(source.table.index) for name, source in sources.items()}
    if len(set(text.values())) > 1:
        names = sorted(text, key=lambda name: not text[name])
        raise DataError(
            f"the ids of {names[0]} are text and those of {names[-1]} are not, so that nothing "
            "would match. Write them the same way first, for example with .astype(str) in both."
        )
    indexes = [source.table.index for source in sources.values()]
    return reduce(pd.Index.union, indexes).sort_values().rename("customer_id")


def _join(parts: Mapping[str, _Source], index: pd.Index) -> _Source:
    """Return the columns of all parts for the customers of the index; equal columns are one."""
    tables: list[pd.DataFrame] = []
    columns: dict[Any, Column] = {}
    owner: dict[Any, str] = {}
    for name, part in parts.items():
        for column in part.columns:
            first = owner.setdefault(column, name)
            if not part.table[column].equals(parts[first].table[column]):
                raise DataError(
                    f"{first} and {name} both have a column {column!r}, with different values. "
                    f"Rename one: table.rename(columns={{{column!r}: ...}})."
                )
        fresh = [column for column in part.columns if owner[column] == name]
        tables.append(_onto(part.table[fresh], index))
        columns |= {column: part.columns[column] for column in fresh}
    table = pd.concat(tables, axis=1)
    table.attrs = {}
    return _Source(table, columns, [note for part in parts.values() for note in part.notes])


def _onto(table: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """Return the rows of the index; flags that some do not have stay flags."""
    flags = table.select_dtypes("bool").columns
    if len(flags) and not index.isin(table.index).all():
        table = table.astype(dict.fromkeys(flags, "boolean"))
    return table.reindex(index)


def _match(
    sources: Mapping[str, _Source], index: pd.Index
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the account of each source, and what to know about how they match."""
    reports, notes = [], []
    for name, source in sources.items():
        others = [_ANCHOR] if name != _ANCHOR and _ANCHOR in sources else [*sources]
        others = [other for other in others if other != name]
        ids, matched = source.table.index, 0
        if others:
            what = others[0] if len(others) == 1 else "the other sources"
            against = _union({other: sources[other] for other in others})
            found = audit_join(
                pd.DataFrame(index=against), pd.DataFrame(index=ids), names=(what, name)
            )
            matched = int(found.account.loc[name, "ids_matched"])
            notes += [note for note in found.notes if "would match" in note]
        inside = int(ids.isin(index).sum())
        reports.append(
            {
                "source": name,
                "ids": len(ids),
                "matched": matched,
                "match_rate": matched / len(ids) if others else float("nan"),
                "only_here": len(ids) - matched,
                "in_table": inside,
                "left_out": len(ids) - inside,
                "columns": len(source.columns),
            }
        )
        if inside < len(ids):
            notes.append(
                f"{len(ids) - inside:,} of {len(ids):,} ids of {name} are not among {_ANCHOR} and "
                "are left out."
            )
        if inside < len(index):
            notes.append(
                f"{len(index) - inside:,} of {len(index):,} customers are not in {name}: its "
                "columns are missing for them, not 0."
            )
    return reports, notes
