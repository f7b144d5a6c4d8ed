"""What a join would match, lose and multiply, held to the join itself."""

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import custseg as cs
from custseg import errors
from custseg.joins import audit_join

PEOPLE = pd.DataFrame(
    {
        "customer_id": ["ann", "bob", "bob", "cat", None, " "],
        "age": [31, 40, 41, 52, 60, 61],
    }
)
ORDERS = pd.DataFrame(
    {
        "customer_id": ["ann", "ann", "bob", "dan", "dan", None],
        "when": pd.Timestamp("2024-01-05"),
        "paid": [5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
    }
)


def test_every_row_of_both_tables_is_accounted_for() -> None:
    found = audit_join(PEOPLE, ORDERS, expect="one-to-many", names=("people", "orders"))
    expected = pd.DataFrame(
        {
            "table": ["people"] * 3 + ["orders"] * 2,
            "check": ["missing_id", "unmatched", "repeated_id", "missing_id", "unmatched"],
            "ids": [0, 1, 1, 0, 1],
            "rows": [2, 1, 1, 1, 2],
            "share": [2 / 6, 1 / 6, 1 / 6, 1 / 6, 2 / 6],
            "examples": [(), ("cat",), ("bob",), (), ("dan",)],
        }
    )
    pd.testing.assert_frame_equal(found.to_frame(), expected)
    account = found.account
    parts = account[["rows_matched", "unmatched", "missing_id"]].sum(axis=1)
    assert parts.tolist() == account["rows_in"].tolist() == [6, 6]
    assert account["match_rate"].tolist() == [2 / 3, 2 / 3]
    assert found.rows_joined == 4


@given(
    left=st.lists(st.sampled_from([1, 2, 3, 4, None]), max_size=12),
    right=st.lists(st.sampled_from([2, 3, 4, 5, None]), max_size=12),
)
@settings(max_examples=40)
def test_the_numbers_are_those_of_the_join(left: list[Any], right: list[Any]) -> None:
    one = pd.DataFrame({"customer_id": pd.array([*left, 1], dtype="Int64")})
    other = pd.DataFrame({"customer_id": pd.array([*right, 5], dtype="Int64")})
    found = audit_join(one, other)
    known = [frame.dropna() for frame in (one, other)]
    assert found.rows_joined == len(known[0].merge(known[1], on="customer_id"))
    rows = found.to_frame().set_index(["table", "check"])["rows"]
    for side, mine, others in (("left", *known), ("right", *known[::-1])):
        alone = ~mine["customer_id"].isin(others["customer_id"])
        assert rows[side, "unmatched"] == alone.sum()
        assert rows[side, "repeated_id"] == mine["customer_id"].duplicated().sum()
    account = found.account
    assert (
        account["rows_in"] == account[["rows_matched", "unmatched", "missing_id"]].sum(axis=1)
    ).all()
    assert account["rows_in"].tolist() == [len(one), len(other)]


@pytest.mark.parametrize(
    ("expect", "marked"),
    [
        ("one-to-one", {"left", "right"}),
        ("one-to-many", {"left"}),
        ("many-to-one", {"right"}),
        ("many-to-many", set()),
    ],
)
def test_fan_out_is_marked_where_one_row_was_meant(expect: str, marked: set[str]) -> None:
    frame = audit_join(PEOPLE, ORDERS, expect=expect).to_frame()
    assert set(frame.loc[frame["check"] == "repeated_id", "table"]) == marked


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
def test_the_two_tables_may_live_in_different_engines(tmp_path: Path) -> None:
    ibis = pytest.importorskip("ibis")
    want = audit_join(PEOPLE, ORDERS)
    path = tmp_path / "people.parquet"
    duckdb.from_df(PEOPLE).write_parquet(str(path))
    private = duckdb.connect()
    relation = private.from_df(ORDERS)
    elsewhere = ibis.duckdb.connect().create_table("orders", ORDERS)
    for left, right in ((path, relation), (PEOPLE, elsewhere), (path, elsewhere)):
        found = audit_join(left, right)
        pd.testing.assert_frame_equal(found.to_frame(), want.to_frame())
        pd.testing.assert_frame_equal(found.account, want.account)


def test_tables_with_roles_and_customer_tables_are_read_by_their_id(
    shop: "cs.datasets.Shop",
) -> None:
    tx = cs.Transactions(
        shop.transactions.rename(columns={"customer_id": "who"}),
        customer_id="who",
        timestamp="timestamp",
        amount="amount",
    )
    people = cs.Customers(shop.customers, customer_id="customer_id")
    sent = cs.Experiment(
        shop.campaign.rename(columns={"customer_id": "who"}), arm="arm", customer_id="who"
    )
    bought = shop.transactions["customer_id"].nunique()
    found = audit_join(people, tx, expect="one-to-many")
    assert found.account["match_rate"].to_dict() == {
        "customers": bought / 5_000,
        "transactions": 1.0,
    }
    assert found.rows_joined == len(shop.transactions)
    assert audit_join(people, sent).rows_joined == 5_000
    bought_table = shop.transactions.groupby("customer_id")["amount"].agg(["sum"])
    assert audit_join(bought_table, sent).rows_joined == bought


def test_ids_that_differ_only_in_writing_are_named() -> None:
    left = pd.DataFrame({"customer_id": ["C1 ", "c2", "C3"]})
    right = pd.DataFrame({"customer_id": ["C1", "C2", "C3"]})
    found = audit_join(left, right)
    assert found.rows_joined == 1
    assert "2 unmatched ids of left would match" in found.notes[-1]


def test_bad_joins_are_named() -> None:
    numbers = pd.DataFrame({"customer_id": [1, 2]})
    with pytest.raises(errors.DataError, match="ids of left are text and those of right are not"):
        audit_join(PEOPLE, numbers)
    with pytest.raises(
        errors.ColumnError, match=r"'right' has no column 'customer_id'.*'customer'"
    ):
        audit_join(PEOPLE, numbers.rename(columns={"customer_id": "customer"}))
    with pytest.raises(errors.ParameterError, match=r"expect is 'one_to_one'.*'one-to-one'"):
        audit_join(PEOPLE, ORDERS, expect="one_to_one")


def test_displays_show_no_ids() -> None:
    found = audit_join(PEOPLE, ORDERS)
    assert not any(name in repr(found) + found._repr_html_() for name in ("ann", "bob", "dan"))


def test_the_picture_shares_each_table_out() -> None:
    ax = audit_join(PEOPLE, ORDERS).plot()
    widths = [bar.get_width() for bars in ax.containers for bar in bars]
    assert sum(widths) == pytest.approx(200)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["right", "left"]
