"""A netted return counts from its own date, as far as there was something to give back."""

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import custseg as cs
from custseg import errors

FIRST = pd.Timestamp("2024-01-01")


def order_lines(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer", "day", "order", "product", "pieces", "price"])
    frame["when"] = FIRST + pd.to_timedelta(frame["day"], unit="D")
    return frame


def transactions(frame: pd.DataFrame, **roles: Any) -> cs.Transactions:
    named: dict[str, Any] = {
        "customer_id": "customer",
        "timestamp": "when",
        "order_id": "order",
        "product": "product",
        "quantity": "pieces",
        "unit_price": "price",
    }
    return cs.Transactions(frame, **(named | roles))


def rows_of(tx: cs.Transactions) -> pd.DataFrame:
    columns = ["day", "product", "quantity", "amount"]
    rows = tx.frame.select(*columns).collect(backend="pandas").to_native()
    return rows.sort_values(columns, ignore_index=True)


LINES = order_lines(
    [
        ("ann", 0, "1", "vase", 3, 10.0),
        ("ann", 5, "1", "vase", -1, 10.0),  # of the same order
        ("ann", 9, "9", "vase", -4, 10.0),  # two are left
        ("ann", 9, "8", "lamp", -1, 30.0),  # never bought
        ("ann", 20, "2", "lamp", 1, 30.0),
        ("ann", 30, None, "lamp", -1, 30.0),  # without an order
        ("bob", 3, "3", "vase", 1, 10.0),
        ("bob", 3, "3", "vase", -1, 10.0),  # on the same day
        ("bob", 4, "4", "vase", -1, 10.0),  # a second time
    ]
)


def test_returns_are_netted_as_far_as_there_was_something_to_give_back() -> None:
    audit = transactions(LINES).audit(returns="net")
    rows = audit.to_frame().set_index("check")
    assert rows.loc[["unmatched_returns", "partial_returns", "returns"], "rows"].tolist() == [
        *(3, 1, 6),
    ]
    assert rows.loc[["unmatched_returns", "partial_returns", "returns"], "action"].tolist() == [
        *("drop", "net", "net"),
    ]
    assert audit.rows_set_aside[lambda n: n > 0].to_dict() == {"unmatched_returns": 3}
    expected = pd.DataFrame(
        {
            "day": [0, 3, 3, 5, 9, 20],
            "product": ["vase", "vase", "vase", "vase", "vase", "lamp"],
            "quantity": [3.0, -1.0, 1.0, -1.0, -2.0, 1.0],
            "amount": [30.0, -10.0, 10.0, -10.0, -20.0, 30.0],
        }
    )
    cleaned = transactions(LINES).clean(returns="net")
    pd.testing.assert_frame_equal(rows_of(cleaned), expected)


def test_before_its_return_an_order_stands_in_full() -> None:
    tx = transactions(LINES).clean(returns="net")
    money = [
        cs.features.rfm(tx, as_of=FIRST + pd.Timedelta(day, "D")).loc["ann", "monetary"]
        for day in (0, 4, 5, 8, 9, 19, 20, 30)
    ]
    assert money == [30.0, 30.0, 20.0, 20.0, 0.0, 0.0, 30.0, 30.0]


def test_a_return_is_no_purchase_and_moves_no_date() -> None:
    expected = pd.DataFrame(
        {
            "recency": [15, 32],
            "frequency": [2, 1],
            "monetary": [30.0, 0.0],
            "tenure": [35, 32],
        },
        index=pd.Index(["ann", "bob"], name="customer_id"),
    )
    found = cs.features.rfm(transactions(LINES).clean(returns="net"), as_of="2024-02-05")
    pd.testing.assert_frame_equal(found, expected, check_index_type=False)


@pytest.mark.parametrize(("policy", "rows"), [("drop", 3), ("keep", 9), ("net", 6)])
def test_each_policy_accounts_for_every_row(policy: str, rows: int) -> None:
    audit = transactions(LINES).audit(returns=policy)
    assert (audit.rows_in, audit.rows_used) == (9, rows)
    assert audit.rows_in == audit.rows_used + audit.rows_set_aside.sum()
    assert transactions(LINES).clean(returns=policy).frame.collect().shape[0] == rows


def oracle(frame: pd.DataFrame) -> pd.DataFrame:
    """Give back line by line, in the order of time: what is owned is never less than nothing."""
    owned: dict[tuple[str, str], float] = defaultdict(float)
    kept = []
    order = frame.assign(first=-frame["pieces"]).sort_values(["when", "first", "price"])
    for row in order.itertuples():
        item = (row.customer, row.product.strip().lower())
        amount, share = row.pieces * row.price, 1.0
        if row.pieces < 0 and amount < 0:
            share = min(1.0, owned[item] / -row.pieces) if isinstance(row.order, str) else 0.0
            owned[item] += share * row.pieces
            if share == 0:
                continue
        elif amount > 0:
            owned[item] += row.pieces
        else:
            continue
        kept.append((row.day, row.product, row.pieces * share, amount * share))
    columns = ["day", "product", "quantity", "amount"]
    return pd.DataFrame(kept, columns=columns).sort_values(columns, ignore_index=True)


LINE = st.tuples(
    st.sampled_from(["ann", "bob"]),
    st.integers(0, 40),
    st.sampled_from(["1", "2", "3", None]),
    st.sampled_from(["vase", "lamp", "Vase "]),
    st.integers(-4, 4).map(float),
    st.sampled_from([10.0, 0.0]),
)
BOUGHT = ("ann", 0, "0", "vase", 2.0, 10.0)


@given(rows=st.lists(LINE, max_size=30))
@settings(max_examples=25)
def test_netting_equals_giving_back_line_by_line(rows: list[tuple[Any, ...]]) -> None:
    frame = order_lines([BOUGHT, *rows])
    tx = transactions(frame).clean(returns="net")
    pd.testing.assert_frame_equal(rows_of(tx), oracle(frame), check_dtype=False, rtol=1e-9)
    assert tx.account.rows_used == len(oracle(frame))
    amounts = rows_of(tx)["amount"]
    assert amounts.sum() >= -1e-9


@given(
    rows=st.lists(LINE, min_size=5, max_size=30),
    day=st.integers(0, 40),
    policy=st.sampled_from(["net", "net", "keep", "drop"]),
)
@settings(max_examples=15)
def test_later_rows_change_nothing(rows: list[tuple[Any, ...]], day: int, policy: str) -> None:
    frame = order_lines([BOUGHT, *rows])
    as_of = FIRST + pd.Timedelta(day, "D")
    whole = cs.features.rfm(transactions(frame).clean(returns=policy), as_of=as_of)
    known = transactions(frame[frame["day"] <= day]).clean(returns=policy)
    pd.testing.assert_frame_equal(whole, cs.features.rfm(known, as_of=as_of))


@given(rows=st.lists(LINE, max_size=25), seed=st.integers(0, 99))
@settings(max_examples=8)
def test_the_order_of_rows_changes_nothing(rows: list[tuple[Any, ...]], seed: int) -> None:
    frame = order_lines([BOUGHT, *rows])
    shuffled = frame.sample(frac=1, random_state=seed)
    one, other = (transactions(data).clean(returns="net") for data in (frame, shuffled))
    pd.testing.assert_frame_equal(rows_of(one), rows_of(other), rtol=1e-12)


def test_weights_and_money_are_netted_without_rounding_errors() -> None:
    lines = order_lines(
        [
            ("ann", 0, "1", "tea", 0.1, 1.0),
            ("ann", 1, "2", "tea", 0.2, 1.0),
            ("ann", 2, "3", "tea", -0.3, 1.0),
            ("ann", 3, "4", "tea", -0.1, 1.0),
        ]
    )
    rows = transactions(lines).audit(returns="net").to_frame().set_index("check")["rows"]
    assert rows[["unmatched_returns", "partial_returns"]].tolist() == [1, 0]
    paid = lines.assign(paid=lines["pieces"] * lines["price"])
    tx = transactions(paid, quantity=None, unit_price=None, amount="paid").clean(returns="net")
    assert tx.account.rows_set_aside["unmatched_returns"] == 1


def test_lines_that_are_set_aside_give_nothing_to_return() -> None:
    lines = order_lines(
        [
            ("ann", 0, "0", "lamp", 1, 10.0),
            (None, 0, "1", "vase", 1, 10.0),
            (None, 1, "2", "vase", -1, 10.0),
            ("ann", 2, "3", "vase", 1, np.inf),
            ("ann", 3, "4", "vase", -1, 10.0),
        ]
    )
    account = transactions(lines).clean(returns="net").account
    assert account.rows_set_aside[lambda n: n > 0].to_dict() == {
        "missing_id": 2,
        "unmatched_returns": 1,
        "missing_amount": 1,
    }


def test_netting_needs_products_and_money() -> None:
    with pytest.raises(errors.ColumnError, match='returns="net" needs the role product: name'):
        transactions(LINES, product=None).clean(returns="net")
    with pytest.raises(errors.ColumnError, match="needs the role amount"):
        transactions(LINES, quantity=None, unit_price=None).clean(returns="net")


@pytest.mark.realdata("online_retail")
def test_the_cancellations_of_a_real_retailer_are_netted_line_by_line() -> None:
    retail = cs.datasets.load_online_retail()
    tx = cs.Transactions(
        retail,
        customer_id="CustomerID",
        timestamp="InvoiceDate",
        order_id="InvoiceNo",
        product="StockCode",
        quantity="Quantity",
        unit_price="UnitPrice",
    )
    cleaned = tx.clean(returns="net")
    account = cleaned.account
    assert account.rows_in == account.rows_used + account.rows_set_aside.sum() == 541_909
    known = retail.dropna(subset="CustomerID")
    frame = pd.DataFrame(
        {
            "customer": known["CustomerID"].astype(str),
            "when": known["InvoiceDate"],
            "day": (known["InvoiceDate"].dt.normalize() - pd.Timestamp("2010-12-01")).dt.days,
            "order": known["InvoiceNo"].astype(str),
            "product": known["StockCode"].astype(str),
            "pieces": known["Quantity"].astype(float),
            "price": known["UnitPrice"],
        }
    )
    want = oracle(frame)
    assert account.rows_used == len(want)
    found = account.to_frame().set_index("check")["rows"]
    assert found[["unmatched_returns", "partial_returns"]].tolist() == [1_334, 54]
    assert (want["amount"] < 0).sum() == 8_905 - account.rows_set_aside["unmatched_returns"]
    customers = cs.features.rfm(cleaned, as_of="2011-12-10")
    assert (len(customers), customers["frequency"].sum()) == (4_338, 18_532)
    assert customers["monetary"].sum() == pytest.approx(want["amount"].sum(), abs=0.005)
    assert customers["monetary"].min() >= -1e-6
