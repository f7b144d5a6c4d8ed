import pandas as pd
import pytest

from custseg.datasets import Shop, make_shop
from custseg.datasets._planted import ITEMS

TABLES = ("customers", "transactions", "touchpoints", "survey", "campaign", "truth")
END = pd.Timestamp("2025-01-01")


@pytest.fixture(scope="module")
def faulty() -> Shop:
    return make_shop(2_000, defects=True, random_state=5)


@pytest.fixture(scope="module")
def clean() -> Shop:
    return make_shop(2_000, random_state=5)


def found(shop: Shop) -> dict[tuple[str, str], list]:
    """Find the faults by their definition, knowing nothing of how they were planted."""
    lines = shop.transactions
    usual = lines["category"].str.title().mode()
    odd_case = lines["category"] != lines["category"].str.title()
    assert usual.isin(lines["category"]).all()
    straight = shop.survey[list(ITEMS)].nunique(axis=1) == 1
    impossible = ~shop.customers["age"].between(1, 120)
    faults = {
        ("transactions", "duplicate_line"): lines.loc[lines.duplicated(), "line_id"],
        ("transactions", "missing_customer_id"): lines.loc[lines["customer_id"].isna(), "line_id"],
        ("transactions", "future_timestamp"): lines.loc[lines["timestamp"] >= END, "line_id"],
        ("transactions", "negative_quantity_without_order"): lines.loc[
            lines["order_id"].isna() & (lines["quantity"] < 0), "line_id"
        ],
        ("transactions", "mixed_case_category"): lines.loc[odd_case, "line_id"],
        ("customers", "impossible_age"): shop.customers.loc[impossible, "customer_id"],
        ("survey", "straight_lining"): shop.survey.loc[straight, "customer_id"],
    }
    return {key: sorted(values) for key, values in faults.items()}


def test_the_list_is_exactly_what_can_be_found(faulty):
    listed = faulty.planted_defects.set_index(["table", "defect"])
    assert {key: list(keys) for key, keys in listed["keys"].items()} == found(faulty)
    assert listed["rows"].to_list() == [len(keys) for keys in listed["keys"]]
    assert listed["rows"].ge(5).all()
    keys = listed.loc["transactions", "keys"].explode()
    assert keys.is_unique, "a line has two faults"


def test_nothing_can_be_found_in_the_clean_shop(clean, big):
    for shop in (clean, big):
        assert shop.planted_defects.empty
        assert not any(found(shop).values())


def test_rows_without_a_fault_are_unchanged(clean, faulty, same_tables):
    same_tables(clean, faulty, ("touchpoints", "campaign", "truth"))
    listed = faulty.planted_defects.set_index(["table", "defect"])["keys"]
    for table, key in (("customers", "customer_id"), ("survey", "customer_id")):
        touched = listed.loc[table].explode()
        before, after = getattr(clean, table), getattr(faulty, table)
        keep = ~before[key].isin(touched)
        pd.testing.assert_frame_equal(before[keep], after[keep])
    touched = listed.loc["transactions"].explode()
    before, after = (
        shop.transactions[~shop.transactions["line_id"].isin(touched)].reset_index(drop=True)
        for shop in (clean, faulty)
    )
    pd.testing.assert_frame_equal(before, after)


def test_a_fault_changes_the_column_it_names_and_no_other(clean, faulty):
    listed = faulty.planted_defects.query("table == 'transactions'").set_index("defect")
    before = clean.transactions.set_index("line_id")
    after = faulty.transactions.set_index("line_id")
    for defect in ("missing_customer_id", "future_timestamp", "mixed_case_category"):
        column, keys = listed.loc[defect, ["column", "keys"]]
        one, other = before.loc[list(keys)], after.loc[list(keys)]
        pd.testing.assert_frame_equal(one.drop(columns=column), other.drop(columns=column))
        assert (one[column] != other[column]).all()
    added = len(faulty.transactions) - len(clean.transactions)
    rows = listed["rows"]
    assert added == rows["duplicate_line"] + rows["negative_quantity_without_order"]


def test_dtypes_are_those_of_the_clean_shop(clean, faulty):
    for table in (*TABLES, "planted_defects"):
        pd.testing.assert_series_equal(
            getattr(clean, table).dtypes, getattr(faulty, table).dtypes, obj=table
        )
