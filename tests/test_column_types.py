"""How a source stores text and whole numbers changes no table."""

import pandas as pd
import pytest

import custseg as cs

LINES = pd.DataFrame(
    {
        "who": [7, 7, 300, 7],
        "when": ["2024-01-05", "2024-02-29", "2024-02-29", "2024-03-01"],
        "order": ["a", "b", "c", "c"],
        "where": ["app", " ", "store", None],
        "paid": [20.0, 35.0, 10.0, 1.0],
    }
)


def count(lines: object) -> pd.DataFrame:
    tx = cs.Transactions(
        lines,
        customer_id="who",
        timestamp="when",
        order_id="order",
        channel="where",
        amount="paid",
    ).clean()
    return cs.features.rfm(tx, as_of="2024-03-31")


@pytest.mark.parametrize("columns", [["order", "where"], ["when"], ["who", "order"]])
def test_categories_count_as_their_text(columns: list[str]) -> None:
    plain = LINES.astype({"who": "str"}) if "who" in columns else LINES
    pd.testing.assert_frame_equal(
        count(plain.astype(dict.fromkeys(columns, "category"))), count(plain)
    )


@pytest.mark.parametrize("kind", ["int16", "int32", "uint16", "uint32", "Int32", "float64"])
def test_whole_number_ids_are_of_one_type(kind: str) -> None:
    pd.testing.assert_frame_equal(count(LINES.astype({"who": kind})), count(LINES))


def test_blank_text_in_a_category_is_missing_too() -> None:
    who = pd.Series(["ann", "", None, "ann"], dtype="category")
    tx = cs.Transactions(LINES.assign(who=who), customer_id="who", timestamp="when", amount="paid")
    assert tx.audit().rows_set_aside["missing_id"] == 2
