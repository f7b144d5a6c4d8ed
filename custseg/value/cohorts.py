"""Who comes back: the cohort triangle of counts, retention rates and revenue."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, from_day, one_if
from custseg.errors import DataError, check_number, check_option
from custseg.results import Result
from custseg.stats import wilson
from custseg.tables import Transactions
from custseg.value._orders import PERIODS, period_number, read_orders

NAMES = {"D": "day", "W": "week", "M": "month", "Q": "quarter", "Y": "year"}
_SHOWN_AGES = 12


@dataclass(frozen=True, repr=False, eq=False)
class Retention(Result):
    """Cohorts of new customers, and how many of each bought again, period by period.

    Attributes
    ----------
    counts : pandas.DataFrame
        Cohort (the period of the first purchase) x age (periods since): customers who bought.
        ``<NA>`` where that period lies after `as_of`.
    rates : pandas.DataFrame
        `counts` over the size of the cohort, which is its count at age 0.
    ci_low, ci_high : pandas.DataFrame
        Wilson intervals of `rates`; age 0 has none.
    revenue : pandas.DataFrame or None
        The money of each cohort and age, less what was given back; ``None`` without amounts.
    curve : pandas.DataFrame
        Index ``age``: ``customers``, ``active``, ``rate``, ``ci_low``, ``ci_high`` over all
        cohorts whose period of that age was seen in full.
    period : str
        The length of a period, as asked.
    as_of : datetime.date
        The last day that counts.
    last_is_whole : bool
        Whether the period of `as_of` ended with it.
    notes : tuple of str
        What to know before quoting a number.
    """

    counts: pd.DataFrame
    rates: pd.DataFrame
    ci_low: pd.DataFrame
    ci_high: pd.DataFrame
    revenue: pd.DataFrame | None
    curve: pd.DataFrame
    period: str
    as_of: date
    last_is_whole: bool
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_segments.retention_heatmap"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per cohort and age that was seen.

        Returns
        -------
        pandas.DataFrame
            ``cohort``, ``age``, ``period``, ``customers`` (the size of the cohort), ``active``,
            ``rate``, ``ci_low``, ``ci_high``, ``revenue`` (where there are amounts) and ``whole``,
            whether the period was seen to its end.
        """
        seen = self.counts.notna().to_numpy()
        row, age = np.nonzero(seen)
        cohorts = self.counts.index[row]
        periods = cohorts + age
        values = {
            "cohort": cohorts,
            "age": age,
            "period": periods,
            "customers": self.counts[0].to_numpy(dtype="int64")[row],
            "active": self.counts.to_numpy(dtype=float, na_value=np.nan)[seen].astype("int64"),
        }
        parts = {"rate": self.rates, "ci_low": self.ci_low, "ci_high": self.ci_high}
        if self.revenue is not None:
            parts["revenue"] = self.revenue
        values |= {name: frame.to_numpy()[seen] for name, frame in parts.items()}
        last = pd.Period(pd.Timestamp(self.as_of), freq=PERIODS[self.period])
        return pd.DataFrame(values | {"whole": (periods < last) | self.last_is_whole})

    def summary(self) -> str:
        """Return the number of customers, and how many came back after one period and later."""
        sizes = self.counts[0].astype("int64")
        unit = NAMES[self.period]
        head = (
            f"{sizes.sum():,} customers in {len(sizes):,} cohorts "
            f"({sizes.index[0]} to {sizes.index[-1]})."
        )
        later = self.curve.loc[1:]
        if later.empty:
            return f"{head} No {unit} after a first purchase was seen in full."
        many = later.index[2 * later["customers"] >= sizes.sum()]
        ages = [age for age in sorted({1, 3, many.max() if len(many) else 1}) if age in later.index]
        told = [
            f"{row.rate:.0%} [{row.ci_low:.0%}, {row.ci_high:.0%}] after {age:,} "
            f"{unit}{'s' if age > 1 else ''}"
            for age, row in zip(ages, later.loc[ages].itertuples(), strict=True)
        ]
        return f"{head} Bought again: {', '.join(told)}."

    def _shown(self) -> pd.DataFrame:
        rates = self.rates.iloc[:, 1 : _SHOWN_AGES + 1]
        shown = rates.map(lambda rate: "" if np.isnan(rate) else f"{rate:.0%}")
        shown.insert(0, "customers", self.counts[0].astype("int64"))
        shown.index = shown.index.astype(str)
        return shown.rename_axis(None, axis=1)


def retention(
    tx: Transactions, period: str = "M", *, as_of: Any = None, level: float = 0.95
) -> Retention:
    """Follow cohorts of new customers: who of them bought again, and for how much.

    A customer belongs to the cohort of the period of the first purchase, and is active in every
    period with a purchase. Lines that give money back are no purchases; they count in `revenue`,
    on their own date.

    Parameters
    ----------
    tx
        Cleaned order lines; columns in: customer_id, timestamp and, where it is named, amount (or
        quantity with unit_price).
    period
        The length of a period: ``"D"``, ``"W"`` (from Monday), ``"M"``, ``"Q"`` or ``"Y"``.
    as_of
        A calendar date: everything up to the end of that day counts, nothing later. ``None`` is
        the last date present.
    level
        Confidence level of the intervals.

    Returns
    -------
    Retention
        The triangle as frames of cohort x age, intervals, and the curve over all cohorts. The
        triangle is counted where the rows live; only its cells come back.

    Raises
    ------
    DataError
        If ids, times or amounts are missing, or nobody bought by `as_of`.
    ParameterError
        If `period` or `level` is outside its bounds, or `as_of` is no date.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2007), How to project customer retention, Journal of
    Interactive Marketing 21(1), 76-90 (why rates of a cohort rise with its age).

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> lines = pd.DataFrame({
    ...     "who": ["ann", "ann", "bob", "cem", "cem", "dia"],
    ...     "when": ["2024-01-05", "2024-02-10", "2024-01-20", "2024-02-01", "2024-03-31",
    ...              "2024-03-02"],
    ...     "paid": [20.0, 30.0, 10.0, 40.0, 5.0, 8.0],
    ... })
    >>> tx = cs.Transactions(lines, customer_id="who", timestamp="when", amount="paid")
    >>> found = retention(tx)
    >>> found.counts
    age      0     1     2
    cohort
    2024-01  2     1     0
    2024-02  1     1  <NA>
    2024-03  1  <NA>  <NA>
    >>> found.revenue.loc["2024-01"].tolist()
    [30.0, 30.0, 0.0]
    """
    check_option(period, "period", PERIODS)
    check_number(level, "level", gt=0, lt=1)
    lines, day = read_orders(tx, as_of)
    cells, outside = _count(lines, period)
    if cells.empty:
        raise DataError(f"nobody bought by {from_day(day)}. Choose a later as_of.")
    last = pd.Period(pd.Timestamp(from_day(day)), freq=PERIODS[period])
    whole = bool(last.end_time.date() == from_day(day))
    counts = _triangle(cells, "active", last)
    active = counts.to_numpy()
    seen, size = ~np.isnan(active), active[:, :1]
    low, high = wilson(np.where(seen, active, 0), np.where(seen, size, 0), level=level)
    low[:, 0] = high[:, 0] = np.nan
    rates, low, high = (
        pd.DataFrame(x, counts.index, counts.columns) for x in (active / size, low, high)
    )
    ended = counts.index.asi8[:, None] + counts.columns.to_numpy() < last.ordinal + whole
    found = Retention(
        counts=counts.astype("Int64"),
        rates=rates,
        ci_low=low,
        ci_high=high,
        revenue=_triangle(cells, "value", last) if "value" in cells else None,
        curve=_curve(active, ended, level),
        period=period,
        as_of=from_day(day),
        last_is_whole=whole,
        level=level,
        notes=(),
    )
    return replace(found, notes=_notes(found, outside))


def _count(lines: nw.LazyFrame, period: str) -> tuple[pd.DataFrame, float]:
    """Return customers who bought and their money by cohort and age, and the money of no cell."""
    priced = "amount" in lines.collect_schema().names()
    money = [nw.col("amount").sum().alias("value")] if priced else []
    cells = (
        lines.with_columns(period=period_number(period))
        .group_by("customer_id", "period")
        .agg(nw.col("purchase").sum(), *money)
    )
    active = nw.col("purchase").fill_null(0) > 0
    cells = cells.with_columns(active=one_if(active), bought=nw.when(active).then(nw.col("period")))
    cells = cells.with_columns(cohort=nw.col("bought").min().over("customer_id"))
    cells = cells.with_columns(age=nw.col("period") - nw.col("cohort"))
    sums = ["active", *(["value"] if priced else [])]
    found = collect(cells.group_by("cohort", "age").agg(*(nw.col(name).sum() for name in sums)))
    outside = found["cohort"].isna() | (found["age"] < 0)
    inside = found[~outside].astype({"cohort": "int64", "age": "int64", "active": "int64"})
    return inside, float(found.loc[outside, "value"].sum()) if priced else 0.0


def _triangle(cells: pd.DataFrame, column: str, last: pd.Period) -> pd.DataFrame:
    """Return cohort x age; missing after the last period, 0 where nothing was bought before."""
    wide = cells.pivot(index="cohort", columns="age", values=column).astype(float)
    ages = pd.RangeIndex(last.ordinal - wide.index.min() + 1, name="age")
    seen = ages.to_numpy() + wide.index.to_numpy()[:, None] <= last.ordinal
    wide = wide.reindex(columns=ages).fillna(0.0).where(seen)
    cohorts = pd.PeriodIndex.from_ordinals(wide.index, freq=last.freq, name="cohort")
    return wide.set_axis(cohorts, axis=0)


def _curve(active: np.ndarray, whole: np.ndarray, level: float) -> pd.DataFrame:
    """Pool the cohorts whose period of an age was seen to its end; customers count once per age."""
    customers = (active[:, :1] * whole).sum(axis=0).astype("int64")
    again = np.where(whole, active, 0).sum(axis=0).astype("int64")
    low, high = wilson(again, customers, level=level)
    curve = pd.DataFrame(
        {"customers": customers, "active": again, "rate": 1.0, "ci_low": low, "ci_high": high},
        index=pd.RangeIndex(len(customers), name="age"),
    )[customers > 0]
    curve["rate"] = curve["active"] / curve["customers"]
    if len(curve):
        curve.loc[0, ["ci_low", "ci_high"]] = np.nan
    return curve


def _notes(found: Retention, outside: float) -> tuple[str, ...]:
    unit = NAMES[found.period]
    truncated = (
        f"the cohort {found.counts.index[0]} holds everybody whose first purchase in the data lies "
        "there: who bought before the data begin is in it too, and comes back more often."
    )
    drop_out = (
        "rates of a cohort rise with age where those who seldom buy drop out first: compare "
        "cohorts at equal age."
    )
    notes = [truncated, drop_out]
    if not found.last_is_whole:
        last = pd.Period(pd.Timestamp(found.as_of), freq=PERIODS[found.period])
        notes.append(
            f"the {unit} {last} was seen up to {found.as_of} only: the last number of every cohort "
            "is too low, and left out of the curve over all cohorts."
        )
    if found.revenue is None:
        notes.append("no amount: revenue is left out.")
    if outside:
        notes.append(
            f"{-outside:,.2f} was given back before a first purchase or without one, in no cell of "
            "revenue."
        )
    return tuple(notes)
