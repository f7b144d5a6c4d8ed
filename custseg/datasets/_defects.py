"""Known faults to plant into clean tables, so that an audit can be held to them."""

from math import ceil

import numpy as np
import pandas as pd

from custseg.datasets._planted import ITEMS

SHARE = 0.003  # of the rows of a table, for each kind of fault; at least one row
IMPOSSIBLE_AGES = (-3, -1, 142, 199)

Frames = dict[str, pd.DataFrame]
EMPTY = pd.DataFrame(
    {"table": [], "defect": [], "column": [], "rows": [], "key": [], "keys": []}
).astype({"table": str, "defect": str, "column": str, "rows": "int64", "key": str, "keys": object})


def _draw(pool: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Draw positions from a pool, in order; at least one, at most all."""
    size = min(max(ceil(SHARE * rows), 1), len(pool))
    return np.sort(rng.choice(pool, size, replace=False))


def _plant_in_transactions(clean: pd.DataFrame, rng: np.random.Generator) -> tuple[Frames, list]:
    """Plant one fault at most in a line, and only in orders of one line that stays bought."""
    alone = ~clean["order_id"].duplicated(keep=False).to_numpy()
    pool = rng.permutation(np.flatnonzero(alone))
    size = min(max(ceil(SHARE * len(clean)), 1), len(pool) // 5)
    missing, future, mixed, twice, loose = pool[: 5 * size].reshape(5, size)
    lines = clean.copy()
    lines.loc[missing, "customer_id"] = None
    years = rng.integers(5, 30, size)
    lines.loc[future, "timestamp"] += pd.to_timedelta(365 * years, unit="D").as_unit("us")
    category = lines.loc[mixed, "category"]
    upper = rng.random(size) < 0.5
    lines.loc[mixed, "category"] = category.str.upper().where(upper, category.str.lower())

    # A refund that nobody can match: no order, an own line, a later moment.
    refund = clean.iloc[np.sort(loose)].copy()
    refund.loc[:, "order_id"] = None
    refund["line_id"] = clean["line_id"].max() + 1 + np.arange(size)
    refund["quantity"] = -refund["quantity"]
    refund["amount"] = -refund["amount"]
    again = clean.iloc[np.sort(twice)]
    lines = pd.concat([lines, again, refund], ignore_index=True)
    lines = lines.sort_values(["timestamp", "line_id"], ignore_index=True, kind="stable")

    planted = [
        ("duplicate_line", "line_id", again["line_id"]),
        ("missing_customer_id", "customer_id", clean["line_id"].iloc[missing]),
        ("future_timestamp", "timestamp", clean["line_id"].iloc[future]),
        ("negative_quantity_without_order", "order_id", refund["line_id"]),
        ("mixed_case_category", "category", clean["line_id"].iloc[mixed]),
    ]
    return lines, [("transactions", *fault[:2], "line_id", fault[2]) for fault in planted]


def plant_defects(frames: Frames, rng: np.random.Generator) -> tuple[Frames, pd.DataFrame]:
    """Return the frames with faults planted, and the list of what was planted where."""
    transactions, planted = _plant_in_transactions(frames["transactions"], rng)
    customers, survey = frames["customers"].copy(), frames["survey"].copy()

    odd = _draw(np.arange(len(customers)), len(customers), rng)
    customers.loc[odd, "age"] = rng.choice(IMPOSSIBLE_AGES, len(odd))
    planted.append(
        ("customers", "impossible_age", "age", "customer_id", customers["customer_id"].iloc[odd])
    )
    if len(survey):
        straight = _draw(np.arange(len(survey)), 5 * len(survey), rng)
        survey.loc[straight, list(ITEMS)] = np.repeat(
            rng.integers(1, 8, (len(straight), 1)), len(ITEMS), axis=1
        )
        keys = survey["customer_id"].iloc[straight]
        planted.append(("survey", "straight_lining", "12 attitude items", "customer_id", keys))
    listed = pd.DataFrame(
        [(*fault[:3], len(fault[4]), fault[3], tuple(sorted(fault[4]))) for fault in planted],
        columns=EMPTY.columns,
    )
    changed = {"customers": customers, "transactions": transactions, "survey": survey}
    return frames | changed, listed[listed["rows"] > 0].reset_index(drop=True)
