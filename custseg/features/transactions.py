"""Features of what and when customers bought."""

from typing import Any

import narwhals as nw
import pandas as pd

from custseg._engine import collect, from_day, to_day
from custseg.audit import DAY
from custseg.errors import DataError
from custseg.features.dictionary import Column, attach
from custseg.tables import Transactions, require_roles

_RFM = {
    "recency": Column(
        "behavioural", "count", "days from the last purchase to as_of", "transactions"
    ),
    "frequency": Column("behavioural", "count", "number of orders", "transactions"),
    "monetary": Column("value", "numeric", "sum of amounts", "transactions"),
    "tenure": Column(
        "behavioural", "count", "days from the first purchase to as_of", "transactions"
    ),
}


def rfm(tx: Transactions, as_of: Any = None) -> pd.DataFrame:
    """Turn order lines into recency, frequency, monetary value and tenure per customer.

    Parameters
    ----------
    tx
        Cleaned order lines with an `amount`, or `quantity` with `unit_price`; columns in:
        customer_id, timestamp, amount and, where it is named, order_id.
    as_of
        A calendar date in the data's own time zone. Everything up to the end of that day counts,
        nothing later. ``None`` is the last date present.

    Returns
    -------
    pandas.DataFrame
        One row per customer who bought by `as_of`, sorted by the unique index `customer_id`.
        `recency` (whole days from the last purchase to `as_of`; the same day is 0), `frequency`
        (number of orders), `monetary` (sum of amounts, in the data's currency) and `tenure`
        (whole days from the first purchase to `as_of`). ``attrs`` has the date and
        the data dictionary.

    Raises
    ------
    ColumnError
        If the role `amount` is not named.
    DataError
        If ids or times are missing, or nobody bought by `as_of`.
    ParameterError
        If `as_of` is no date.

    References
    ----------
    Hughes, A. M. (1994). Strategic Database Marketing. Probus.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> lines = pd.DataFrame({
    ...     "customer": [7, 7, 7, 9],
    ...     "date": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-11", "2024-01-05"]),
    ...     "order": ["a", "a", "b", "c"],
    ...     "paid": [5.0, 10.0, 20.0, 8.0],
    ... })
    >>> tx = cs.Transactions(lines, customer_id="customer", timestamp="date", order_id="order",
    ...                      amount="paid")
    >>> cs.features.rfm(tx, as_of="2024-01-31")
                 recency  frequency  monetary  tenure
    customer_id
    7                 20          2      35.0      30
    9                 26          1       8.0      26
    """
    require_roles(tx, ["amount"], what="rfm")
    day = last_day(tx, as_of)
    lines = tx.frame.filter(nw.col(DAY) <= day)
    orders = nw.col("order_id").n_unique() if tx.order_id else nw.len()
    by_customer = lines.group_by("customer_id").agg(
        nw.col(DAY).min().alias("first"),
        nw.col(DAY).max().alias("last"),
        orders.alias("frequency"),
        nw.col("amount").sum().alias("monetary"),
    )
    counted = collect(by_customer)
    if counted.empty:
        raise DataError(f"nobody bought by {from_day(day)}. Choose a later as_of.")
    table = pd.DataFrame(
        {
            "recency": day - counted["last"].astype("int64"),
            "frequency": counted["frequency"].astype("int64"),
            "monetary": counted["monetary"].astype("float64"),
            "tenure": day - counted["first"].astype("int64"),
        }
    )
    table = table.set_index(plain_ids(counted["customer_id"])).sort_index()
    return attach(table, _RFM, as_of=from_day(day))


def last_day(table: Transactions, as_of: Any) -> int:
    """Return the last day that counts; refuse rows without a customer, a time or an amount."""
    needed = [name for name in ("customer_id", DAY, "amount") if name in table.frame.columns]
    missing = table.frame.select(
        nw.col(DAY), **{f"no_{name}": nw.col(name).is_null().cast(nw.Int64) for name in needed}
    )
    found = collect(missing.select(nw.col(DAY).max(), *(nw.col(f"no_{n}").sum() for n in needed)))
    words = {"customer_id": "customer_id", DAY: "timestamp", "amount": "amount"}
    rows = {words[name]: int(found[f"no_{name}"].iloc[0]) for name in needed}
    if any(rows.values()):
        shown = ", ".join(f"{n:,} rows without {role}" for role, n in rows.items() if n)
        raise DataError(f"{shown}. Set them aside first: tx = tx.clean().")
    return int(found[DAY].iloc[0]) if as_of is None else to_day(as_of, "as_of")


def plain_ids(ids: pd.Series) -> pd.Index:
    """Return ids as an index named `customer_id`; whole numbers kept as floats become integers."""
    if pd.api.types.is_float_dtype(ids) and (ids % 1 == 0).all():
        ids = ids.astype("int64")
    return pd.Index(ids, name="customer_id")
