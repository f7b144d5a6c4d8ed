"""Was a lifetime model right? Expected purchases beside those of a period it has not seen."""

from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, from_day, to_day
from custseg.errors import DataError, ParameterError, check_number
from custseg.results import Result, format_number
from custseg.stats import mean_interval
from custseg.tables import Transactions, last_day
from custseg.value._orders import check_orders
from custseg.value._purchases import PurchaseModel
from custseg.value.btyd import UNITS, btyd_summary, purchase_units, unit_of

MOST = 7
"""Frequencies from here on share a row."""


@dataclass(frozen=True, repr=False, eq=False)
class Holdout(Result):
    """Expected and actual purchases in a period after the one that was learned from.

    Attributes
    ----------
    model : PurchaseModel
        Fitted to the purchases up to `split`.
    customers : pandas.DataFrame
        By customer who bought by `split`: ``frequency``, ``recency`` and ``T`` then, ``actual`` and
        ``expected`` purchases in the hold-out period, and ``as_before``, what the own rate of
        repeat purchases so far, frequency / T, would give.
    tracking : pandas.DataFrame
        Index ``unit``, counted from the first purchase of all: ``actual`` and ``expected``
        cumulative repeat purchases of these customers, and whether the unit is in the ``holdout``.
    split, as_of : datetime.date
        The last day that was learned from, and the last one that was held out.
    units : float
        The length of the hold-out period.
    level : float
        The confidence level of the intervals.
    notes : tuple of str
        Caveats.
    """

    model: PurchaseModel
    customers: pd.DataFrame
    tracking: pd.DataFrame
    split: date
    as_of: date
    unit: str
    units: float
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value.holdout"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per number of repeat purchases by `split`.

        Returns
        -------
        pandas.DataFrame
            ``frequency`` (``"7+"`` holds all from 7), ``n`` customers, mean ``actual`` purchases
            in the hold-out period with ``ci_low`` and ``ci_high`` (Student's t), mean ``expected``
            ones, and mean ``as_before``, the forecast that everybody goes on as so far.
        """
        group = np.minimum(self.customers["frequency"], MOST).rename("group")
        by = self.customers.groupby(group)
        actual = by["actual"]
        n = actual.size()
        low, high = mean_interval(actual.mean(), actual.std(), n, level=self.level)
        names = [f"{MOST}+" if value == MOST else f"{value:.0f}" for value in n.index]
        return pd.DataFrame(
            {
                "frequency": names,
                "n": n.to_numpy(),
                "actual": actual.mean().to_numpy(),
                "ci_low": low,
                "ci_high": high,
                "expected": by["expected"].mean().to_numpy(),
                "as_before": by["as_before"].mean().to_numpy(),
            }
        )

    def scores(self) -> pd.DataFrame:
        """Return how far the forecasts were off.

        Returns
        -------
        pandas.DataFrame
            Index ``forecast`` (``expected``, ``as_before``): ``total`` purchases, ``error`` of the
            total as a share of the actual one, ``correlation`` with the actual purchases of
            customers, ``mse`` and ``mae``, the mean squared and absolute error by customer.
        """
        actual = self.customers["actual"]
        rows = {}
        for name in ("expected", "as_before"):
            forecast = self.customers[name]
            off = forecast - actual
            varied = min(np.ptp(forecast), np.ptp(actual)) > 0
            rows[name] = {
                "total": forecast.sum(),
                "error": off.sum() / actual.sum() if actual.sum() else np.nan,
                "correlation": np.corrcoef(forecast, actual)[0, 1] if varied else np.nan,
                "mse": (off**2).mean(),
                "mae": off.abs().mean(),
            }
        return pd.DataFrame(rows).T.rename_axis("forecast")

    def summary(self) -> str:
        """Return the total, the rows outside their interval, and the plain forecast beside it."""
        scores, table = self.scores(), self.to_frame()
        actual = self.customers["actual"].sum()
        outside = (table["expected"] < table["ci_low"]) | (table["expected"] > table["ci_high"])
        off = ", ".join(table["frequency"][outside]) or "none"
        own, plain = scores.loc["expected"], scores.loc["as_before"]
        return (
            f"{type(self.model).__name__}, fitted up to {self.split}, expects {own['total']:,.0f} "
            f"purchases until {self.as_of}; {actual:,.0f} came ({_signed(own['error'])}). "
            f"Had everybody gone on as before: {plain['total']:,.0f} ({_signed(plain['error'])}). "
            f"Correlation by customer {format_number(own['correlation'])} (as before "
            f"{format_number(plain['correlation'])}). Frequencies whose mean is outside the "
            f"interval of the actual one: {off}."
        )


def btyd_holdout(
    tx: Transactions,
    model: PurchaseModel,
    *,
    split: Any,
    as_of: Any = None,
    unit: str = "D",
    level: float = 0.95,
) -> Holdout:
    """Fit a model up to a date and hold its expectations against what customers did after it.

    Parameters
    ----------
    tx
        Cleaned order lines; columns in: customer_id, timestamp.
    model
        A model to fit, such as ``BetaGeo()``; the one given is not changed.
    split
        The last date that is learned from.
    as_of
        The last date that is held out; ``None`` is the last one present.
    unit
        ``"D"``, ``"W"`` or ``"M"``, as in `btyd_summary`.
    level
        Confidence level of the intervals of the actual means.

    Returns
    -------
    Holdout
        Its `to_frame` has expected and actual means by frequency, `scores` the errors.

    Raises
    ------
    ParameterError
        If `split` is no date, or not before `as_of` by one unit at least.
    DataError
        If rows lack an id or a time, or nobody bought by `split`.
    ConvergenceError
        If the model cannot be fitted.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), "Counting your customers" the easy way: an
    alternative to the Pareto/NBD model, Marketing Science 24, 275-284 (figures 2 to 4).

    Examples
    --------
    >>> import custseg as cs
    >>> shop = cs.datasets.make_shop(600, random_state=0)
    >>> tx = cs.Transactions(shop.transactions, customer_id="customer_id", timestamp="timestamp")
    >>> checked = btyd_holdout(tx, cs.value.BetaGeo(), split="2024-06-30", unit="W")
    >>> checked.to_frame()[["frequency", "n", "actual", "expected"]].round(1).tail(2)
      frequency    n  actual  expected
    6         6   21     1.6       2.5
    7        7+  185     4.1       4.3
    """
    if not isinstance(model, PurchaseModel):
        raise ParameterError(
            f"model is {model!r}, but must be a model of purchases, such as cs.value.BetaGeo()."
        )
    check_number(level, "level", gt=0, lt=1)
    check_orders(tx)
    end, start = last_day(tx, as_of), to_day(split, "split")
    units = unit_of(end, unit) - unit_of(start, unit)
    if units < 1:
        raise ParameterError(
            f"split is {from_day(start)} and the last day {from_day(end)}: there must be one of "
            f"the {UNITS[unit]} between them at least. Choose an earlier split."
        )
    before = btyd_summary(tx, from_day(start), unit)
    after = btyd_summary(tx, from_day(end), unit).reindex(before.index)
    fitted = type(model)().fit(before)
    customers = before[["frequency", "recency", "T"]].assign(
        actual=after["frequency"] - before["frequency"],
        expected=fitted.expected_purchases(units, before),
        as_before=units * before["frequency"] / before["T"].where(before["T"] > 0, np.inf),
    )
    notes = [
        "the intervals are those of the actual means alone.",
        f"{len(before):,} customers who first bought by the split are followed; new ones are not.",
    ]
    if unit != "D" and unit_of(start + 1, unit) == unit_of(start, unit):
        notes.append(
            f"the split is not at the end of one of the {UNITS[unit]}: the rest of it is in "
            "neither period."
        )
    return Holdout(
        model=fitted,
        customers=customers,
        tracking=_track(tx, fitted, start, end, unit),
        split=from_day(start),
        as_of=from_day(end),
        unit=unit,
        units=float(units),
        level=level,
        notes=tuple(notes),
    )


def _track(tx: Transactions, model: PurchaseModel, start: int, end: int, unit: str) -> pd.DataFrame:
    """Count repeat purchases by unit, and what the model expects of customers since their first."""
    rows = purchase_units(tx, end, unit).filter(nw.col("first") <= unit_of(start, unit))
    counts = collect(rows.group_by("_unit", "first").agg(nw.len().alias("customers")))
    if counts.empty:
        raise DataError(f"nobody bought by {from_day(start)}. Choose a later split.")
    since = int(counts["first"].min())
    length = unit_of(end, unit) - since + 1
    opening = counts["_unit"] == counts["first"]
    births = np.bincount(
        counts["first"][opening] - since, counts["customers"][opening], minlength=length
    )
    repeats = np.bincount(
        counts["_unit"][~opening] - since, counts["customers"][~opening], minlength=length
    )
    expected = np.convolve(births, model.expected_of_new(length - 1))[:length]
    return pd.DataFrame(
        {
            "actual": repeats.cumsum(),
            "expected": expected,
            "holdout": np.arange(length) > unit_of(start, unit) - since,
        },
        index=pd.RangeIndex(length, name="unit"),
    )


def _signed(share: float) -> str:
    return "" if np.isnan(share) else f"{share:+.1%}"
