"""Which rows count until a date, which of them are purchases, and whose they are."""

from typing import Any

import narwhals as nw
import pandas as pd

from custseg._engine import collect, day_number, to_day
from custseg.errors import DataError
from custseg.tables.transactions import Transactions


def last_day(table: Transactions, as_of: Any) -> int:
    """Return the last day that counts; refuse rows without a customer, a time or an amount."""
    names = table.frame.collect_schema().names()
    needed = [name for name in ("customer_id", "timestamp", "amount") if name in names]
    seen = table.frame.select(
        nw.len().alias("rows"),
        nw.col("timestamp").max().alias("last"),
        *(nw.col(name).count() for name in needed),
    )
    found = collect(seen.with_columns(day_number("last").alias("last"))).iloc[0]
    missing = {name: int(found["rows"] - found[name]) for name in needed}
    if any(missing.values()):
        shown = ", ".join(f"{n:,} rows without {role}" for role, n in missing.items() if n)
        raise DataError(f"{shown}. Set them aside first: tx = tx.clean().")
    return int(found["last"]) if as_of is None else to_day(as_of, "as_of")


def nets_returns(tx: Transactions) -> bool:
    """Return whether rows with a negative amount are returns: money back, not purchases."""
    if tx.account is None:
        return False
    actions = tx.account.checks.set_index("check")["action"]
    return bool(actions.get("returns") == "net")


def plain_ids(ids: pd.Series) -> pd.Index:
    """Return ids as an index named `customer_id`; whole numbers kept as floats become integers."""
    if pd.api.types.is_float_dtype(ids) and (ids % 1 == 0).all():
        ids = ids.astype("int64")
    return pd.Index(ids, name="customer_id")
