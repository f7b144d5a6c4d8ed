"""Repeat purchases, recency and age of each customer, as models of customer lifetime read them."""

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, from_day
from custseg.audit import DAY
from custseg.errors import DataError, check_option
from custseg.tables import Transactions, last_day, nets_returns, plain_ids
from custseg.value._orders import check_orders

UNITS = {"D": "days", "W": "weeks", "M": "months"}
MONDAY = -700_003
"""A Monday before all records, in days since 1970-01-01: numbers of weeks are positive."""


def btyd_summary(tx: Transactions, as_of: Any = None, unit: str = "D") -> pd.DataFrame:
    """Turn order lines into repeat purchases, recency, age and mean spend per customer.

    All that a customer buys in one calendar day (week, month) is one purchase. The first purchase
    makes a customer; only the later ones are counted and averaged.

    Parameters
    ----------
    tx
        Cleaned order lines; columns in: customer_id, timestamp and, for the spend, amount.
    as_of
        A calendar date in the data's own time zone. Everything up to the end of that day counts,
        nothing later. ``None`` is the last date present.
    unit
        ``"D"``, ``"W"`` (weeks begin on Monday) or ``"M"``.

    Returns
    -------
    pandas.DataFrame
        One row per customer who bought by `as_of`, sorted by the unique index `customer_id`; all
        floats. `frequency`: repeat purchases, the units in which the customer bought less one.
        `recency`: units from the first purchase to the last, 0 without a repeat purchase. `T`:
        units from the first purchase to `as_of`. `monetary_value`, where there is an amount: mean
        spend of the repeat purchases, 0 without one. ``attrs`` has `as_of` and `unit`.

    Raises
    ------
    DataError
        If `tx` has no roles, ids or times are missing, or nobody bought by `as_of`.
    ParameterError
        If `as_of` is no date, or `unit` is none of the three.

    Notes
    -----
    `frequency` and `recency` are not those of `custseg.features.rfm`: there `frequency` counts all
    orders and `recency` is the time since the last one. Returns that ``clean(returns="net")``
    keeps are no purchases; the money given back lowers the mean spend of its customer by the share
    of all spend that it is.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), RFM and CLV: using iso-value curves for
    customer base analysis, Journal of Marketing Research 42, 415-430.

    Examples
    --------
    >>> import custseg as cs
    >>> lines = pd.DataFrame({
    ...     "customer": [7, 7, 7, 7, 9],
    ...     "date": ["2024-01-01", "2024-01-11", "2024-01-11", "2024-01-21", "2024-01-05"],
    ...     "paid": [99.0, 10.0, 20.0, 50.0, 8.0],
    ... })
    >>> tx = cs.Transactions(lines, customer_id="customer", timestamp="date", amount="paid")
    >>> btyd_summary(tx, as_of="2024-01-31")
                 frequency  recency     T  monetary_value
    customer_id
    7                  2.0     20.0  30.0            40.0
    9                  0.0      0.0  26.0             0.0
    """
    check_orders(tx)
    check_option(unit, "unit", UNITS)
    day = last_day(tx, as_of)
    table = collect(_count(purchase_units(tx, day, unit)))
    if table.empty:
        raise DataError(f"nobody bought by {from_day(day)}. Choose a later as_of.")
    table = table.set_index(plain_ids(table["customer_id"])).sort_index()
    summary = pd.DataFrame(
        {
            "frequency": table["units"] - 1.0,
            "recency": (table["last"] - table["first"]).astype("float64"),
            "T": (unit_of(day, unit) - table["first"]).astype("float64"),
        }
    )
    if "amount" in tx.frame.collect_schema().names():
        repeats = summary["frequency"].where(summary["frequency"] > 0)
        spend = (table["spend"] - table["first_spend"]) / repeats
        kept = _kept_share(tx, day, table["spend"]) if nets_returns(tx) else 1.0
        summary["monetary_value"] = (spend * kept).fillna(0.0)
    summary.attrs = {"as_of": from_day(day).isoformat(), "unit": unit}
    return summary


def unit_of(day: int, unit: str) -> int:
    """Return the number of the calendar day, week or month of a day since 1970-01-01."""
    if unit == "M":
        return from_day(day).year * 12 + from_day(day).month
    return (day - MONDAY) // 7 if unit == "W" else day


def purchase_units(tx: Transactions, day: int, unit: str) -> nw.LazyFrame:
    """Return one row per customer and unit with purchases, up to a day.

    Returns
    -------
    narwhals.LazyFrame
        `customer_id`, `_unit` as `unit_of` numbers it, `spend` in it, and `first`, the unit of the
        first purchase.
    """
    time = nw.col("timestamp").dt
    number = {
        "D": nw.col(DAY),
        "W": (nw.col(DAY) - MONDAY) // 7,
        "M": time.year().cast(nw.Int64) * 12 + time.month().cast(nw.Int64),
    }[unit]
    priced = "amount" in tx.frame.collect_schema().names()
    spend = nw.col("amount") if priced else nw.lit(0.0)
    lines = tx.frame.filter(nw.col(DAY) <= day).with_columns(_unit=number, spend=spend)
    bought = lines.filter(nw.col("amount") >= 0) if nets_returns(tx) else lines
    units = bought.group_by("customer_id", "_unit").agg(nw.col("spend").sum())
    return units.with_columns(first=nw.col("_unit").min().over("customer_id"))


def _count(purchases: nw.LazyFrame) -> nw.LazyFrame:
    """Return first and last unit, number of units and spend of each customer."""
    opening = nw.when(nw.col("_unit") == nw.col("first")).then(nw.col("spend")).otherwise(0.0)
    return (
        purchases.with_columns(first_spend=opening, last=nw.col("_unit"))
        .group_by("customer_id")
        .agg(
            nw.col("first").min(),
            nw.col("last").max(),
            nw.len().alias("units"),
            nw.col("spend").sum(),
            nw.col("first_spend").sum(),
        )
    )


def _kept_share(tx: Transactions, day: int, spend: pd.Series) -> pd.Series:
    """Return the share of each customer's spend that was not given back."""
    returned = tx.frame.filter((nw.col(DAY) <= day) & (nw.col("amount") < 0))
    back = collect(returned.group_by("customer_id").agg(nw.col("amount").sum()))
    back = back.set_index(plain_ids(back["customer_id"]))["amount"].reindex(spend.index)
    return 1.0 + back.fillna(0.0) / spend.where(spend > 0, np.inf)
