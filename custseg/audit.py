"""The account of every row of a raw table: what each check marks, and what is set aside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, ClassVar, NamedTuple

import narwhals as nw
import pandas as pd

from custseg._engine import collect, one_if
from custseg.results import Result

DAY = "_day"
"""The column that holds the calendar day of a row's time, in days since 1970-01-01."""

ASIDE = "_aside"
"""While rows are examined: whether a check before this one sets the row aside."""


class Check(NamedTuple):
    """A rule that marks rows, and what is done with them.

    `marks` may read the columns that `prepare` adds, and `prepare` may read `ASIDE`. The action
    ``"drop"`` sets the marked rows aside; `repairs` are the columns that the rows which stay get.
    """

    reason: str
    marks: nw.Expr
    action: str
    remedy: str
    prepare: Callable[[nw.LazyFrame], nw.LazyFrame] | None = None
    repairs: Mapping[str, nw.Expr] = {}


class Rules(NamedTuple):
    """The rows to examine and the checks in the order in which they set rows aside.

    `example` is the column of the ids shown as examples, `columns` those that rows have.
    """

    frame: nw.LazyFrame
    checks: Sequence[Check]
    columns: Sequence[str]
    example: str | None


@dataclass(frozen=True, repr=False, eq=False)
class Audit(Result):
    """The account of a raw table's rows: rows in = rows used + rows set aside, by reason.

    Parameters
    ----------
    rows_in
        Number of rows that came in.
    rows_set_aside
        Number of rows by the first reason that set them aside (Series on `reason`); each row
        counts once, so the numbers add up.
    checks
        One row per check: `check`, `rows` (all rows that it marks; checks may overlap), `share`
        of the rows in, `action` and `examples` (a tuple of ids). The action is ``"drop"`` (set
        aside), ``"keep"``, or how the values of the rows change: ``"net"``, ``"unify"``,
        ``"blank"``.
    remedies
        What to do about each check (Series on `check`).
    notes
        What to know and what to do about the checks that mark any row.
    """

    rows_in: int
    rows_set_aside: pd.Series
    checks: pd.DataFrame
    remedies: pd.Series
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "tables.audit"

    @property
    def rows_used(self) -> int:
        """Number of rows that remain."""
        return self.rows_in - int(self.rows_set_aside.sum())

    def to_frame(self) -> pd.DataFrame:
        """Return one row per check: `check`, `rows`, `share`, `action`, `examples`."""
        return self.checks.copy()

    def summary(self) -> str:
        """Return the account in one sentence."""
        reasons = [f"{n:,} {reason}" for reason, n in self.rows_set_aside.items() if n]
        aside = f" ({', '.join(reasons)})" if reasons else ""
        return (
            f"{self.rows_in:,} rows in = {self.rows_used:,} used + "
            f"{self.rows_in - self.rows_used:,} set aside{aside}."
        )

    def _shown(self) -> pd.DataFrame:
        return self.checks.drop(columns="examples").set_index("check")


def account_for(rules: Rules) -> Audit:
    """Count, in one pass over the rows, what each check marks and what is set aside first."""
    frame, checks, _, example = rules
    ids = [nw.col(example).alias("_id")] if example else [nw.lit(None).alias("_id")]
    code = sum((one_if(nw.col(f"_mark{n}")) * 2**n for n in range(len(checks))), start=nw.lit(0))
    counted = collect(
        _mark(frame, checks)
        .select(code.alias("_code"), *ids)
        .group_by("_code")
        .agg(
            nw.len().alias("rows"),
            nw.col("_id").min().alias("low"),
            nw.col("_id").max().alias("high"),
        )
    )
    by_code = counted.set_index("_code").sort_index()
    rows = by_code["rows"].astype("int64")
    marked = {check.reason: (by_code.index // 2**n) % 2 == 1 for n, check in enumerate(checks)}

    aside, left = {}, rows
    for check in checks:
        hit = marked[check.reason] & (check.action == "drop")
        aside[check.reason] = int(left[hit].sum())
        left = left.where(~hit, 0)
    found = {reason: int(rows[hit].sum()) for reason, hit in marked.items()}
    rows_in = int(rows.sum())
    table = pd.DataFrame(
        {
            "check": list(found),
            "rows": list(found.values()),
            "share": [count / rows_in for count in found.values()],
            "action": [check.action for check in checks],
            "examples": [_examples(by_code[hit]) for hit in marked.values()],
        }
    )
    remedies = {check.reason: check.remedy for check in checks}
    notes = tuple(
        f"{check.reason} ({found[check.reason]:,} rows, {check.action}): {check.remedy}."
        for check in checks
        if found[check.reason]
    )
    return Audit(
        rows_in=rows_in,
        rows_set_aside=pd.Series(aside, dtype="int64", name="rows").rename_axis("reason"),
        checks=table,
        remedies=pd.Series(remedies, name="remedy").rename_axis("check"),
        notes=notes,
    )


def set_aside(rules: Rules) -> nw.LazyFrame:
    """Return the rows that no dropping check marks, repaired."""
    acting = [check for check in rules.checks if check.action == "drop" or check.repairs]
    rest = _mark(rules.frame, acting).filter(~nw.col(ASIDE))
    repairs = {name: value for check in acting for name, value in check.repairs.items()}
    rest = rest.with_columns(**repairs) if repairs else rest
    return rest.select(*rules.columns)


def _mark(frame: nw.LazyFrame, checks: Sequence[Check]) -> nw.LazyFrame:
    """Add a column per check, and `ASIDE`; what is prepared sees what went before it."""
    frame = frame.with_columns(nw.lit(False).alias(ASIDE))
    waiting: dict[str, Check] = {}
    last: dict[str, Check] = {}
    for n, check in enumerate(checks):
        if check.prepare:
            frame = check.prepare(_add_marks(frame, waiting))
            waiting = {}
        (waiting if check.prepare or check.action == "drop" else last)[f"_mark{n}"] = check
    return _add_marks(frame, waiting | last)


def _add_marks(frame: nw.LazyFrame, checks: Mapping[str, Check]) -> nw.LazyFrame:
    if not checks:
        return frame
    frame = frame.with_columns(
        **{name: check.marks.fill_null(False) for name, check in checks.items()}
    )
    dropping = (nw.col(name) for name, check in checks.items() if check.action == "drop")
    return frame.with_columns(reduce(or_, dropping, nw.col(ASIDE)).alias(ASIDE))


def _examples(marked: pd.DataFrame) -> tuple[Any, ...]:
    """Return up to three ids: the lowest and the highest of each combination of marks."""
    ids = pd.concat([marked["low"], marked["high"]]).dropna()
    ids = ids[ids.astype(str).str.strip() != ""].drop_duplicates().sort_values()
    if pd.api.types.is_float_dtype(ids) and (ids % 1 == 0).all():
        ids = ids.astype("int64")
    return tuple(ids.iloc[:3].tolist())
