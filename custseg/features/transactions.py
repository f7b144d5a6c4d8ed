"""Features of what and when customers bought."""

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._engine import collect, from_day, to_day
from custseg.audit import DAY
from custseg.errors import DataError
from custseg.features.dictionary import Column, attach
from custseg.tables import Transactions, last_day, nets_returns, plain_ids, require_roles

_LARGE = 200_000
_DAY_IN = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_TIMES = [np.dtype(f"datetime64[{unit}]") for unit in _DAY_IN]

RFM = {
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
    day, counted = _count_in_memory(tx, as_of) or _count(tx, as_of)
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
    return attach(table.sort_index(), RFM, as_of=from_day(day))


def _count(tx: Transactions, as_of: Any) -> tuple[int, pd.DataFrame]:
    """Count on any engine, and return the last day that counts with the totals."""
    day = last_day(tx, as_of)
    lines = tx.frame.filter(nw.col(DAY) <= day)
    bought = lines.filter(nw.col("amount") >= 0) if nets_returns(tx) else lines
    first, last, value = (nw.col(name) for name in ("first", "last", "value"))
    orders = bought.with_columns(first=nw.col(DAY), last=nw.col(DAY), value=nw.col("amount"))
    if tx.order_id:  # counting distinct orders in one step casts truth to numbers elsewhere
        orders = orders.group_by("customer_id", "order_id").agg(
            first.min(), last.max(), value.sum()
        )
    by_customer = orders.group_by("customer_id").agg(
        first.min(), last.max(), nw.len().alias("frequency"), value.sum().alias("monetary")
    )
    if nets_returns(tx):
        returned = lines.filter(nw.col("amount") < 0).group_by("customer_id")
        by_customer = by_customer.join(
            returned.agg(nw.col("amount").sum().alias("returned")), on="customer_id", how="left"
        ).with_columns(monetary=nw.col("monetary") + nw.col("returned").fill_null(0.0))
    counted = collect(by_customer)
    return day, counted.set_index(plain_ids(counted["customer_id"]))


def _count_in_memory(tx: Transactions, as_of: Any) -> tuple[int, pd.DataFrame] | None:
    """Count rows in memory in one compiled pass; ``None`` where the engine has to do it.

    The pass takes a large pandas frame of purchases of which no row was set aside, with times
    without a zone.
    It gives up at a missing value, and where the order numbers of a customer fall.
    """
    rows = tx.rows
    if rows is None or len(rows) < _LARGE or rows[tx.timestamp].dtype not in _TIMES:
        return None
    if nets_returns(tx):
        return None
    numbered = _numbered(rows[tx.customer_id])
    orders = _order_numbers(rows[tx.order_id]) if tx.order_id else np.empty(0, np.int64)
    if numbered is None or orders is None:
        return None
    from custseg._kernels.rfm import LATEST, count_orders

    money = rows[tx.amount] if tx.amount else rows[tx.quantity] * rows[tx.unit_price]
    times = rows[tx.timestamp].to_numpy()
    ticks, a_day = times.view("int64"), _DAY_IN[np.datetime_data(times.dtype)[0]]
    day = int(ticks.max()) // a_day if as_of is None else to_day(as_of, "as_of")
    ids, names = numbered
    lowest, highest = int(ids.min()), int(ids.max())
    totals, exact = count_orders(
        _column(ids),
        lowest,
        highest - lowest + 1,
        _column(ticks),
        _column(orders),
        _column(money.to_numpy(dtype="float64", na_value=np.nan)),
        LATEST if as_of is None else (day + 1) * a_day - 1,
    )
    if not exact:
        return None
    bought = np.flatnonzero(totals["orders"])
    counted = pd.DataFrame(
        {
            "first": totals["first"][bought] // a_day,
            "last": totals["last"][bought] // a_day,
            "frequency": totals["orders"][bought],
            "monetary": totals["amount"][bought],
        },
        index=plain_ids(pd.Series(bought + lowest if names is None else names[bought])),
    )
    return day, counted


def _numbered(ids: pd.Series) -> tuple[NDArray[np.int64], pd.Index | None] | None:
    """Return ids as whole numbers near each other, and what they stand for if not themselves."""
    kind = ids.dtype.kind
    if kind == "i" and int(ids.max()) - int(ids.min()) < 4 * len(ids):
        return ids.to_numpy().astype("int64", copy=False), None
    if kind not in "if" and not pd.api.types.is_string_dtype(ids):
        return None
    codes, names = pd.factorize(ids)
    return None if codes.min() < 0 else (codes, names)


def _order_numbers(orders: pd.Series) -> NDArray[np.int64] | None:
    if orders.dtype.kind == "i":
        return orders.to_numpy().astype("int64", copy=False)
    return pd.factorize(orders)[0] if pd.api.types.is_string_dtype(orders) else None


def _column(values: NDArray[Any]) -> NDArray[Any]:
    """Return values side by side and read-only, so that one compiled version serves all frames."""
    column = np.ascontiguousarray(values).view()
    column.flags.writeable = False
    return column
