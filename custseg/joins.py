"""Do two tables speak of the same customers: what a join would match, lose and multiply."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import narwhals as nw
import pandas as pd

from custseg._engine import collect, to_lazy
from custseg.errors import DataError, check_columns, check_option
from custseg.results import Result

_ONE = {
    "one-to-one": (True, True),
    "one-to-many": (True, False),
    "many-to-one": (False, True),
    "many-to-many": (False, False),
}

_REMEDIES = {
    "missing_id": "rows without an id match nobody: clean() sets them aside",
    "unmatched": "ids that the other table does not have: compare where both come from, and when",
    "repeated_id": "one row per id was meant; further ones repeat the other table's rows "
    "in a join: keep one per id first",
}


@dataclass(frozen=True, repr=False, eq=False)
class JoinAudit(Result):
    """What a join of two tables would match, lose and multiply.

    Parameters
    ----------
    account
        One row per table: `rows_in` = `rows_matched` + `unmatched` + `missing_id` (all in rows),
        `ids`, `ids_matched` and `match_rate`, the share of its ids that the other table has.
    checks
        One row per table and check: `table`, `check` (``"missing_id"``, ``"unmatched"``, and
        ``"repeated_id"`` for tables meant to have one row per id), `ids`, `rows`, `share` of the
        table's rows, and `examples` (a tuple of ids).
    rows_joined
        Number of rows of the inner join.
    notes
        What to know and what to do.
    """

    account: pd.DataFrame
    checks: pd.DataFrame
    rows_joined: int
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "tables.join"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per table and check."""
        return self.checks.copy()

    def summary(self) -> str:
        """Return the match rates and the size of the join in one sentence."""
        left, right = self.account.index
        rates = [
            f"{row['ids_matched']:,.0f} of {row['ids']:,.0f} ids of {table} "
            f"({row['match_rate']:.1%}) are in {other}"
            for (table, row), other in zip(self.account.iterrows(), (right, left), strict=True)
        ]
        return f"{'; '.join(rates)}. A join has {self.rows_joined:,} rows."

    def _shown(self) -> pd.DataFrame:
        return self.checks.drop(columns="examples").set_index(["table", "check"])


def audit_join(
    left: Any,
    right: Any,
    *,
    on: str = "customer_id",
    expect: str = "one-to-one",
    names: tuple[str, str] | None = None,
) -> JoinAudit:
    """Say what a join of two tables would match, lose and multiply, without joining them.

    Parameters
    ----------
    left, right
        Raw tables with roles, customer tables (the index may hold the id), or any table that
        `Transactions` takes. The two may live in different engines.
    on
        The column of ids in both.
    expect
        How many rows an id should have on each side: ``"one-to-one"``, ``"one-to-many"``,
        ``"many-to-one"`` or ``"many-to-many"``. Further rows of an id where one is meant are
        marked: they fan out.
    names
        What to call the tables; by default the kind of table, or ``"left"`` and ``"right"``.

    Returns
    -------
    JoinAudit
        The account per table, and one row per table and check.

    Raises
    ------
    ColumnError
        If a table has no column `on`.
    DataError
        If one table holds text ids and the other numbers: nothing could match.
    ParameterError
        If `expect` is not one of the options.

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"customer_id": ["ann", "bob", "bob"]})
    >>> orders = pd.DataFrame({"customer_id": ["ann", "ann", "cat", None]})
    >>> found = audit_join(people, orders, expect="one-to-many", names=("people", "orders"))
    >>> found.to_frame()[["table", "check", "ids", "rows"]]
        table        check  ids  rows
    0  people   missing_id    0     0
    1  people    unmatched    1     2
    2  people  repeated_id    1     1
    3  orders   missing_id    0     1
    4  orders    unmatched    1     1
    >>> print(found.summary())
    1 of 2 ids of people (50.0%) are in orders; 1 of 2 ids of orders (50.0%) are in people. \
A join has 2 rows.
    """
    check_option(expect, "expect", _ONE)
    first, second = names or _names(left, right)
    sides = [_count_ids(left, on, first), _count_ids(right, on, second)]
    _refuse_mixed(*sides)
    both = sides[0].rows.index.intersection(sides[1].rows.index)
    found = [
        (side, check, len(ids), rows, rows / max(side.rows_in, 1), tuple(ids[:3].tolist()))
        for side, single in zip(sides, _ONE[expect], strict=True)
        for check, (ids, rows) in _marked(side, both, single=single).items()
    ]
    notes = [
        f"{side.name}, {check} ({rows:,} rows): {_REMEDIES[check]}."
        for side, check, _, rows, *_ in found
        if rows
    ]
    near = _nearly(*(side.rows.index.difference(both) for side in sides))
    if near:
        notes.append(
            f"{near:,} unmatched ids of {first} would match if case and outer blanks were "
            "ignored: write them the same way in both tables."
        )
    return JoinAudit(
        account=pd.DataFrame([_account(side, both) for side in sides]).set_index("table"),
        checks=pd.DataFrame(
            [(row[0].name, *row[1:]) for row in found],
            columns=["table", "check", "ids", "rows", "share", "examples"],
        ),
        rows_joined=int((sides[0].rows[both] * sides[1].rows[both]).sum()),
        notes=tuple(notes),
    )


class _Side(NamedTuple):
    """One table of a join: the number of rows of each id, and of those without one."""

    name: str
    rows: "pd.Series[int]"
    missing: int

    @property
    def rows_in(self) -> int:
        return int(self.rows.sum()) + self.missing


def _names(left: Any, right: Any) -> tuple[str, str]:
    found = [
        type(table).__name__.lower() if hasattr(table, "frame") else side
        for table, side in ((left, "left"), (right, "right"))
    ]
    return (found[0], found[1]) if found[0] != found[1] else ("left", "right")


def _count_ids(table: Any, on: str, name: str) -> _Side:
    column = on
    if hasattr(table, "frame"):
        named, table = getattr(table, on, None), table.frame
        column = on if on in table.collect_schema().names() or named is None else named
    elif isinstance(table, pd.DataFrame) and table.index.name == on and on not in table.columns:
        table = pd.DataFrame({on: table.index})
    frame = to_lazy(table)
    check_columns(frame.collect_schema().names(), [column], where=f"the table {name!r}")
    counted = collect(frame.group_by(column).agg(nw.len().alias("rows")))
    ids, rows = counted[column].astype(object), counted["rows"].astype("int64")
    blank = ids.map(lambda value: not value.strip() if isinstance(value, str) else False)
    blank = ids.isna() | blank.astype(bool)
    ids = ids[~blank].infer_objects()
    if pd.api.types.is_float_dtype(ids) and (ids % 1 == 0).all():
        ids = ids.astype("int64")
    known = pd.Series(rows[~blank].to_numpy(), index=pd.Index(ids, name=on)).sort_index()
    return _Side(name, known, int(rows[blank].sum()))


def _refuse_mixed(one: _Side, other: _Side) -> None:
    text = [pd.api.types.is_string_dtype(side.rows.index) for side in (one, other)]
    if len(one.rows) and len(other.rows) and text[0] != text[1]:
        names = (one.name, other.name) if text[0] else (other.name, one.name)
        raise DataError(
            f"the ids of {names[0]} are text and those of {names[1]} are not, so that nothing "
            "would match. Write them the same way first, for example with .astype(str) in both."
        )


def _marked(side: _Side, both: pd.Index, *, single: bool) -> dict[str, tuple[pd.Index, int]]:
    alone = side.rows[~side.rows.index.isin(both)]
    repeated = side.rows[side.rows > 1]
    marked = {
        "missing_id": (alone.index[:0], side.missing),
        "unmatched": (alone.index, int(alone.sum())),
    }
    if single:
        marked["repeated_id"] = (repeated.index, int((repeated - 1).sum()))
    return marked


def _account(side: _Side, both: pd.Index) -> dict[str, Any]:
    matched = int(side.rows[both].sum())
    return {
        "table": side.name,
        "rows_in": side.rows_in,
        "missing_id": side.missing,
        "unmatched": int(side.rows.sum()) - matched,
        "rows_matched": matched,
        "ids": len(side.rows),
        "ids_matched": len(both),
        "match_rate": len(both) / len(side.rows) if len(side.rows) else float("nan"),
    }


def _nearly(one: pd.Index, other: pd.Index) -> int:
    """Return how many ids differ from an id of the other side only by case or outer blanks."""
    if not pd.api.types.is_string_dtype(one) or not len(other):
        return 0
    plain = {value.strip().casefold() for value in other}
    return sum(value.strip().casefold() in plain for value in one)
