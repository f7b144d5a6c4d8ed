"""What is odd in the rows of a raw table, and the account of every row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import narwhals as nw
import pandas as pd

from custseg._engine import collect, from_day, to_day
from custseg.results import Result

DAY = "_day"
"""The column that holds the calendar day of a row's timestamp, in days since 1970-01-01."""

TRANSACTION_POLICIES = {
    "duplicates": "keep",
    "returns": "drop",
    "nonpositive": "drop",
    "missing_id": "drop",
    "future": "drop",
    "non_products": "keep",
}

NON_PRODUCTS = (
    *("adjust", "adjust2", "amazonfee", "b", "bank charges", "c2", "c3", "carriage", "cruk", "d"),
    *("discount", "dot", "fee", "m", "manual", "post", "postage", "s", "samples", "shipping"),
    *("test001", "test002", "tip"),
)
"""Product codes, in lower case, that stand for postage, fees, adjustments and tests."""

_SILENCE = 366
_STRAY_SHARE = 0.01


class Check(NamedTuple):
    """A rule that marks rows: its reason, the rows, what is done with them and the remedy."""

    reason: str
    marks: nw.Expr
    action: str
    remedy: str


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
        of the rows in, `action` (``"drop"`` or ``"keep"``) and `examples` (a tuple of ids).
    notes
        What to know and what to do.
    """

    rows_in: int
    rows_set_aside: pd.Series
    checks: pd.DataFrame
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


def common_checks(
    frame: nw.LazyFrame, policies: Mapping[str, str], *, as_of: Any = None
) -> list[Check]:
    """Return the checks that hold for every raw table with a customer or a time."""
    schema = frame.collect_schema()
    checks = []
    if "customer_id" in schema.names():
        customer = nw.col("customer_id")
        missing = customer.is_null()
        if schema["customer_id"] == nw.String:
            missing = missing | (customer.str.strip_chars() == "").fill_null(False)
        remedy = "rows without a customer describe nobody"
        checks.append(Check("missing_id", missing, policies["missing_id"], remedy))
    if DAY in schema.names():
        last = _last_day(frame, as_of)
        after = (nw.col(DAY) > last).fill_null(False)
        remedy = f"dates after {from_day(last)} are taken for mistakes; as_of= sets another bound"
        checks += [
            Check("missing_timestamp", nw.col(DAY).is_null(), "drop", "find out when it was"),
            Check("future", after, policies["future"], remedy),
        ]
    return checks


def transaction_checks(frame: nw.LazyFrame, policies: Mapping[str, str]) -> list[Check]:
    """Return the checks on money and products of order lines."""
    names = frame.collect_schema().names()
    checks = []
    if "amount" in names:
        amount = nw.col("amount")
        sign = nw.col("quantity" if "quantity" in names else "amount") < 0
        returned = (sign & (amount < 0)).fill_null(False)
        nonpositive = (amount <= 0).fill_null(False) & ~returned
        unknown = ~amount.is_finite().fill_null(False)
        checks += [
            Check(
                "returns", returned, policies["returns"], "kept, their amounts count as negative"
            ),
            Check(
                "nonpositive",
                nonpositive,
                policies["nonpositive"],
                "gifts, write-offs and corrections; keep them where they are real orders",
            ),
            Check("missing_amount", unknown, "drop", "fill in the amount in the source"),
        ]
    if "product" in names:
        code = nw.col("product").cast(nw.String).str.strip_chars().str.to_lowercase()
        listed = code.is_in(NON_PRODUCTS).fill_null(False)
        remedy = "postage, fees and tests are no purchases; drop them where products matter"
        checks.append(Check("non_products", listed, policies["non_products"], remedy))
    return checks


def _last_day(frame: nw.LazyFrame, as_of: Any) -> int:
    """Return the last day that can be true: `as_of`, or the last before a year of silence."""
    if as_of is not None:
        return to_day(as_of, "as_of")
    dated = frame.select(nw.col(DAY)).filter(~nw.col(DAY).is_null())
    by_day = collect(dated.group_by(DAY).agg(nw.len().alias("rows")))
    if by_day.empty:
        return 0
    by_day = by_day.sort_values(DAY, ignore_index=True).astype("int64")
    rows_after = by_day["rows"][::-1].cumsum()[::-1].shift(-1, fill_value=0)
    silent_after = by_day[DAY].shift(-1) - by_day[DAY] > _SILENCE
    stray = silent_after & (rows_after < _STRAY_SHARE * by_day["rows"].sum())
    last = by_day[DAY].iloc[stray.idxmax()] if stray.any() else by_day[DAY].iloc[-1]
    return int(last)


def examine_kept(frame: nw.LazyFrame, *, as_of: Any = None, more: Sequence[Check] = ()) -> Audit:
    """Count what the common checks, and `more`, mark in a table whose rows are all kept."""
    checks = [*common_checks(frame, {"missing_id": "keep", "future": "keep"}, as_of=as_of), *more]
    kept = [check._replace(action="keep") for check in checks]
    example = "customer_id" if "customer_id" in frame.collect_schema().names() else None
    return examine(frame, kept, duplicates="keep", example=example)[0]


def examine(
    frame: nw.LazyFrame,
    checks: Sequence[Check],
    *,
    duplicates: str,
    line: str | None = None,
    example: str | None = None,
) -> tuple[Audit, nw.LazyFrame]:
    """Count what each check marks and what is set aside first, and return the rest of the rows.

    Parameters
    ----------
    frame
        The rows.
    checks
        The rules, in the order in which they set rows aside.
    duplicates
        ``"drop"`` or ``"keep"`` further copies of a line; dropped, they go first.
    line
        The column that makes a line unique; without it a copy is equal in every column.
    example
        The column of the ids shown as examples.

    Returns
    -------
    Audit, narwhals.LazyFrame
        The account, and the rows that no dropping check marks.
    """
    rows_in = _count(frame)
    single = _without_copies(frame, line)
    copies = rows_in - _count(single)
    rest = single if duplicates == "drop" else frame

    first, earlier = {}, nw.lit(False)
    for check in checks:
        if check.action == "drop":
            first[check.reason] = check.marks & ~earlier
            earlier = earlier | check.marks
    aside = dict.fromkeys(("duplicates", *(check.reason for check in checks)), 0)
    aside |= {"duplicates": copies if duplicates == "drop" else 0} | _sums(rest, first)

    repeated = Check(
        "duplicates", _repeats(frame, line), duplicates, "two equal lines may be two sales"
    )
    found = {"duplicates": copies} | _sums(frame, {c.reason: c.marks for c in checks})
    every = [repeated, *checks]
    table = pd.DataFrame(
        {
            "check": [check.reason for check in every],
            "rows": [found[check.reason] for check in every],
            "share": [found[check.reason] / rows_in for check in every],
            "action": [check.action for check in every],
            "examples": [
                _ids(frame, check.marks, example) if found[check.reason] else () for check in every
            ],
        }
    )
    notes = tuple(
        f"{check.reason} ({found[check.reason]:,} rows, {check.action}): {check.remedy}."
        for check in every
        if found[check.reason]
    )
    set_aside = pd.Series(aside, dtype="int64", name="rows").rename_axis("reason")
    return Audit(rows_in, set_aside, table, notes), rest.filter(~earlier) if first else rest


def _sums(frame: nw.LazyFrame, marks: dict[str, nw.Expr]) -> dict[str, int]:
    if not marks:
        return {}
    numbers = frame.select(**{name: mark.cast(nw.Int64) for name, mark in marks.items()})
    sums = collect(numbers.select(nw.all().sum()))
    return {name: int(sums[name].iloc[0]) for name in marks}


def _count(frame: nw.LazyFrame) -> int:
    return int(collect(frame.select(nw.len().alias("n")))["n"].iloc[0])


def _without_copies(frame: nw.LazyFrame, line: str | None) -> nw.LazyFrame:
    columns = frame.collect_schema().names()
    if line is None:
        return frame.unique(subset=columns, keep="any")
    known = ~nw.col(line).is_null()
    order = [name for name in columns if name != line]
    first = frame.filter(known).unique(subset=[line], keep="first", order_by=order)
    return nw.concat([first, frame.filter(~known)], how="vertical")


def _repeats(frame: nw.LazyFrame, line: str | None) -> nw.Expr:
    if line is None:
        return nw.len().over(*frame.collect_schema().names()) > 1
    return (nw.len().over(line) > 1) & ~nw.col(line).is_null()


def _ids(frame: nw.LazyFrame, marks: nw.Expr, example: str | None) -> tuple[Any, ...]:
    if example is None:
        return ()
    marked = frame.with_columns(marks.alias("_marked")).filter(nw.col("_marked"))
    ids = marked.select(example).filter(~nw.col(example).is_null()).unique()
    return tuple(collect(ids.sort(example).head(3))[example].tolist())
