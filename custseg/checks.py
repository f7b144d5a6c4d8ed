"""The rules by which rows of raw tables are found odd; each is one expression for every engine."""

from collections.abc import Collection, Mapping, Sequence
from math import exp
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import beside, collect, from_day, to_day
from custseg.audit import ASIDE, DAY, Check

NON_PRODUCTS = (
    *("adjust", "adjust2", "amazonfee", "b", "bank charges", "c2", "c3", "carriage", "cruk", "d"),
    *("discount", "dot", "fee", "m", "manual", "post", "postage", "s", "samples", "shipping"),
    *("test001", "test002", "tip"),
)
"""Product codes, in lower case, that stand for postage, fees, adjustments and tests."""

SILENCE = 366
"""A gap of more days than this, with few rows beyond it, separates dates from mistakes."""

STRAY_SHARE = 0.01
PLACEHOLDERS = [to_day(day, "day") for day in ("1899-12-30", "1900-01-01", "1970-01-01")]
"""Dates that systems write where they know none."""

FENCE = 3.0
"""Outliers lie more interquartile ranges than this above the upper quartile of the logarithm."""


def is_blank(frame: nw.LazyFrame, column: str) -> nw.Expr:
    """Return whether a value is missing, or text without a letter."""
    missing = nw.col(column).is_null()
    if frame.collect_schema()[column] == nw.String:
        missing = missing | (nw.col(column).str.strip_chars() == "").fill_null(False)
    return missing


def is_return(roles: Collection[str]) -> nw.Expr:
    """Return whether an order line gives back: negative amount and, if named, quantity."""
    sign = "quantity" if "quantity" in roles else "amount"
    return ((nw.col(sign) < 0) & (nw.col("amount") < 0)).fill_null(False)


def plausible_days(frame: nw.LazyFrame, as_of: Any) -> tuple[int, int]:
    """Return the first and the last day that can be true.

    The last is `as_of`, or the last before a silence of more than a year with few rows after it.
    The first is the first after such a silence with few rows before it, placeholders aside.
    """
    dated = frame.select(DAY).filter(~nw.col(DAY).is_null())
    by_day = collect(dated.group_by(DAY).agg(nw.len().alias("rows")))
    rows = by_day.astype("int64").set_index(DAY)["rows"].sort_index()
    last = None if as_of is None else to_day(as_of, "as_of")
    rows = rows if last is None else rows[rows.index <= last]
    if rows.empty:
        return (last or 0), (last or 0)
    days = rows.index.to_series()
    silent_after = days.shift(-1) - days > SILENCE
    few = STRAY_SHARE * rows.sum()
    if last is None:
        stray = silent_after & (rows.sum() - rows.cumsum() < few)
        last = int(stray.idxmax() if stray.any() else days.iloc[-1])
    early = silent_after & (rows.where(~days.isin(PLACEHOLDERS), 0).cumsum() < few)
    first = days[days > days[early].max()].iloc[0] if early.any() else days.iloc[0]
    return min(int(first), last), last


def duplicates(columns: Sequence[str], policy: str, *, line: str | None = None) -> Check:
    """Mark further copies of a row: equal in every column, or with the same `line`."""
    if line is None:
        nth = nw.col(ASIDE).cum_count().over(*columns, order_by=columns[0])
        return Check("duplicates", nth > 1, policy, "two equal lines may be two sales")
    order = [name for name in ("timestamp", *columns) if name in columns and name != line]
    nth = nw.col(ASIDE).cum_count().over(line, order_by=list(dict.fromkeys(order)))
    marks = (nth > 1) & ~nw.col(line).is_null()
    return Check("duplicates", marks, policy, "lines that share a number are one line")


def missing(frame: nw.LazyFrame, column: str, policy: str, remedy: str, *, role: str) -> Check:
    """Mark rows without a value, or with a blank one."""
    return Check(f"missing_{role}", is_blank(frame, column), policy, remedy)


def dates(
    span: tuple[int, int], policies: Mapping[str, str], *, role: str, missing: str
) -> list[Check]:
    """Mark rows without a date, before the first and after the last day that can be true."""
    first, last = span
    return [
        Check(f"missing_{role}", nw.col(DAY).is_null(), missing, "find out when it was"),
        Check(
            "impossible_date",
            nw.col(DAY) < first,
            policies["impossible_date"],
            f"dates before {from_day(first)} stand apart from all others, as placeholders do: "
            "find out when it was, or drop them",
        ),
        Check(
            "future",
            nw.col(DAY) > last,
            policies["future"],
            f"dates after {from_day(last)} are taken for mistakes; as_of= sets another bound",
        ),
    ]


def labels(frame: nw.LazyFrame, columns: Sequence[str], policy: str) -> Check:
    """Mark labels that differ from a more frequent one only by case or outer blanks."""
    schema = frame.collect_schema()
    found = {name: _usual_spelling(frame, name) for name in columns if schema[name] == nw.String}
    usual = {name: table for name, table in found.items() if len(table)}

    def prepare(frame: nw.LazyFrame) -> nw.LazyFrame:
        for name, table in usual.items():
            small = beside(table.set_axis([name, f"_usual_{name}"], axis=1), frame)
            frame = frame.join(small, on=name, how="left")
        return frame

    marks = nw.lit(False)
    for name in usual:
        marks = marks | ~nw.col(f"_usual_{name}").is_null()
    repairs = {name: nw.coalesce(f"_usual_{name}", name) for name in usual}
    remedy = "one label is written in several ways; 'unify' writes each as it is written most often"
    return Check(
        "inconsistent_labels",
        marks,
        policy,
        remedy,
        prepare=prepare if usual else None,
        repairs=repairs if policy == "unify" else {},
    )


def _usual_spelling(frame: nw.LazyFrame, column: str) -> pd.DataFrame:
    """Return each spelling that is not the most frequent of its label, with the one that is."""
    text = frame.select(label=nw.col(column))
    counted = text.filter(~nw.col("label").is_null()).group_by("label").agg(nw.len().alias("rows"))
    counted = counted.with_columns(key=plain(nw.col("label"))).filter(nw.col("key") != "")
    several = counted.with_columns(forms=nw.len().over("key")).filter(nw.col("forms") > 1)
    found = collect(several).sort_values(["rows", "label"], ascending=[False, True])
    best = found.drop_duplicates("key").set_index("key")["label"]
    usual = found["key"].map(best)
    return pd.DataFrame({"label": found["label"], "usual": usual})[found["label"] != usual]


def plain(text: nw.Expr) -> nw.Expr:
    """Return text without outer blanks, in lower case."""
    return text.str.strip_chars().str.to_lowercase()


def outliers(frame: nw.LazyFrame, columns: Sequence[str]) -> Check:
    """Mark values so far above the upper quartile of the logarithm that few rows move a mean."""
    marks = nw.lit(False)
    for column in columns:
        low, high = _log_quartiles(frame, column)
        if high > low:
            value = nw.col(column)
            far = value.is_finite() & (value > exp(high + FENCE * (high - low)))
            marks = marks | far.fill_null(False)
    return Check(
        "outliers",
        marks,
        "keep",
        "look at the largest; where they are real, take logarithms or winsorise rather than drop",
    )


def _log_quartiles(frame: nw.LazyFrame, column: str) -> tuple[float, float]:
    """Return the quartiles of the logarithm to a thousandth; not every database has quantiles."""
    value = nw.col(column)
    logs = frame.select(log=nw.when((value > 0) & value.is_finite()).then(value).log())
    binned = logs.filter(~nw.col("log").is_null()).select(bin=nw.col("log") * 1000 // 1)
    counted = collect(binned.group_by("bin").agg(nw.len().alias("rows"))).sort_values("bin")
    below = counted["rows"].cumsum().to_numpy()
    if not len(below):
        return 0.0, 0.0
    low, high = counted["bin"].iloc[np.searchsorted(below, [below[-1] / 4, below[-1] * 3 / 4])]
    return float(low) / 1000, float(high) / 1000


def repeated_id(
    columns: Sequence[str], policy: str, *, time: str | None, customer: str = "customer_id"
) -> Check:
    """Mark the rows of a customer but for the first or the latest, where one row was meant."""
    order = list(dict.fromkeys(name for name in (time, *columns) if name and name != customer))

    def prepare(frame: nw.LazyFrame) -> nw.LazyFrame:
        return frame.with_columns(
            nw.col(ASIDE).cum_count().over(customer, ASIDE, order_by=order).alias("_nth"),
            nw.len().over(customer, ASIDE).alias("_rows"),
            (~nw.col(ASIDE) & ~nw.col(customer).is_null()).alias("_known"),
        )

    further = nw.col("_nth") < nw.col("_rows") if policy == "latest" else nw.col("_nth") > 1
    kept = "latest" if policy == "latest" else "first"
    by = f"by {time.strip('_')}, then by value" if time else "in the order of their values"
    return Check(
        "repeated_id",
        further & nw.col("_known"),
        "keep" if policy == "keep" else "drop",
        f"one row per customer was meant: dropped, the {kept} {by} stays",
        prepare=prepare,
    )
