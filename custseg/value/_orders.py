"""Read order lines up to a date, each with the period it falls in and the segment of its buyer."""

from typing import Any

import narwhals as nw
import pandas as pd

from custseg._engine import beside, day_number
from custseg.audit import DAY
from custseg.errors import DataError
from custseg.tables import Transactions, last_day

PERIODS = {"D": "D", "W": "W-SUN", "M": "M", "Q": "Q-DEC", "Y": "Y-DEC"}
"""What a period is called, and its frequency in pandas; weeks begin on Monday."""

_EPOCH_YEAR = 1970


def read_orders(tx: Transactions, as_of: Any) -> tuple[nw.LazyFrame, int]:
    """Return the order lines up to a day, and that day as a number.

    Every line has `purchase`, 1 unless its amount is negative: money given back is no purchase.

    Raises
    ------
    DataError
        If `tx` has no roles, or customers, times or amounts are missing.
    """
    check_orders(tx)
    day = last_day(tx, as_of)
    priced = "amount" in tx.frame.collect_schema().names()
    buys = nw.when(nw.col("amount") >= 0).then(nw.lit(1)) if priced else nw.lit(1)
    return tx.frame.filter(nw.col(DAY) <= day).with_columns(purchase=buys), day


def check_orders(tx: Any) -> None:
    """Raise `DataError` unless `tx` has roles."""
    if not isinstance(tx, Transactions):
        raise DataError(
            f"tx is a {type(tx).__name__}, but must be cs.Transactions(data, customer_id=..., "
            "timestamp=...), which says which column is what."
        )


def period_number(period: str) -> nw.Expr:
    """Return the period of a line as the number that `pandas.Period` gives it."""
    time = nw.col("timestamp").dt
    year = time.year().cast(nw.Int64) - _EPOCH_YEAR
    month = time.month().cast(nw.Int64) - 1
    return {
        "D": day_number("timestamp"),
        "W": (day_number("timestamp") + 3) // 7 + 1,
        "M": year * 12 + month,
        "Q": year * 4 + month // 3,
        "Y": year,
    }[period]


def with_segments(lines: nw.LazyFrame, segments: pd.Series) -> nw.LazyFrame:
    """Return the lines with the code of the segment of their customer, as `segment`.

    Parameters
    ----------
    lines
        Lines with a `customer_id`.
    segments
        Categorical of names, indexed by customer id.

    Returns
    -------
    narwhals.LazyFrame
        The code is missing where the customer is in no segment.

    Raises
    ------
    DataError
        If the ids are numbers on one side and text on the other.
    """
    kind = lines.collect_schema()["customer_id"]
    if kind.is_numeric() != pd.api.types.is_numeric_dtype(segments.index):
        raise DataError(
            f"the customer ids are of type {kind} in the orders, but of type "
            f"{segments.index.dtype} in segments. Give both the same type."
        )
    known = segments.dropna()
    codes = pd.DataFrame({"_id": known.index, "segment": known.cat.codes.astype("int64")})
    return lines.join(beside(codes, lines), left_on="customer_id", right_on="_id", how="left")
