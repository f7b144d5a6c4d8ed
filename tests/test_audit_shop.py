"""Every fault planted into the shop is found, with the exact count; in the clean shop, nothing."""

import pytest

import custseg as cs
from custseg.datasets._planted import ITEMS
from custseg.joins import audit_join

FOUND_AS = {
    "duplicate_line": "duplicates",
    "missing_customer_id": "missing_id",
    "future_timestamp": "future",
    "negative_quantity_without_order": "missing_order_id",
    "mixed_case_category": "inconsistent_labels",
    "impossible_age": "impossible_age",
    "straight_lining": "straight_lining",
}
SEEDS = (0, 1, 2, 3)


def raw_tables(shop: "cs.datasets.Shop") -> dict[str, object]:
    return {
        "transactions": cs.Transactions(
            shop.transactions,
            customer_id="customer_id",
            timestamp="timestamp",
            order_id="order_id",
            line_id="line_id",
            product="product",
            category="category",
            channel="channel",
            quantity="quantity",
            unit_price="unit_price",
            discount="discount",
            amount="amount",
        ),
        "touchpoints": cs.Touchpoints(
            shop.touchpoints,
            customer_id="customer_id",
            timestamp="timestamp",
            touchpoint="touchpoint",
            channel="channel",
            stage="stage",
        ),
        "survey": cs.Survey(
            shop.survey,
            customer_id="customer_id",
            timestamp="responded",
            duration="duration_seconds",
            items=ITEMS,
            nps="nps",
            csat="csat",
            ces="ces",
            comment="comment",
        ),
        "customers": cs.Customers(
            shop.customers,
            customer_id="customer_id",
            age="age",
            sign_up="sign_up",
            income="income_band",
            region="region",
            categories=["gender", "household", "acquisition_channel"],
        ),
        "campaign": cs.Experiment(
            shop.campaign,
            arm="arm",
            customer_id="customer_id",
            timestamp="exposed",
            outcomes=["visit", "conversion", "spend"],
        ),
    }


def marked(audit: cs.Audit) -> dict[str, int]:
    frame = audit.to_frame()
    return {row.check: row.rows for row in frame[frame["rows"] > 0].itertuples()}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_planted_fault_is_found_and_nothing_else(seed: int) -> None:
    shop = cs.datasets.make_shop(600, defects=True, random_state=seed)
    planted = shop.planted_defects
    for name, table in raw_tables(shop).items():
        expected = {
            FOUND_AS[row.defect]: row.rows for row in planted[planted["table"] == name].itertuples()
        }
        if name == "transactions":
            loose = expected["missing_order_id"]
            expected["unmatched_returns"] = loose
            expected["returns"] = int((shop.transactions["quantity"] < 0).sum())
        audit = table.audit()
        assert marked(audit) == expected, name
        assert audit.rows_in == audit.rows_used + audit.rows_set_aside.sum()
        assert audit.rows_in == len(getattr(shop, name))


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_found_in_the_clean_shop(seed: int) -> None:
    shop = cs.datasets.make_shop(600, random_state=seed)
    returned = int((shop.transactions["quantity"] < 0).sum())
    for name, table in raw_tables(shop).items():
        assert marked(table.audit()) == ({"returns": returned} if name == "transactions" else {})


def test_nothing_is_found_in_the_shop_that_ships(shop: "cs.datasets.Shop") -> None:
    tables = raw_tables(shop)
    assert {name: marked(table.audit()) for name, table in tables.items()} == {
        "transactions": {"returns": 6_651},
        "touchpoints": {},
        "survey": {},
        "customers": {},
        "campaign": {},
    }
    for name in ("transactions", "touchpoints", "survey", "campaign"):
        found = audit_join(tables["customers"], tables[name], expect="one-to-many")
        assert found.account.loc[found.account.index[1], "match_rate"] == 1
        assert (
            found.checks.set_index(["table", "check"])["rows"].get(("customers", "repeated_id"))
            == 0
        )


def test_examples_are_planted_rows_and_cleaning_takes_exactly_these() -> None:
    shop = cs.datasets.make_shop(600, defects=True, random_state=7)
    tables = raw_tables(shop)
    keys = shop.planted_defects.set_index("defect")["keys"].map(set)
    for defect, name in shop.planted_defects.set_index("defect")["table"].items():
        found = tables[name].audit().to_frame().set_index("check").loc[FOUND_AS[defect], "examples"]
        assert 1 <= len(found) <= 3
        assert set(found) <= keys[defect]

    lines = shop.transactions
    kept = tables["transactions"].clean(duplicates="drop", returns="net").frame
    gone = keys[["missing_customer_id", "future_timestamp", "negative_quantity_without_order"]]
    expected = set(lines["line_id"]) - set.union(*gone)
    remaining = kept.select("line_id").collect(backend="pandas").to_native()["line_id"]
    assert sorted(remaining) == sorted(expected)

    careful = tables["survey"].clean(straight_lining="drop").frame
    answered = careful.select("customer_id").collect(backend="pandas").to_native()["customer_id"]
    assert set(answered) == set(shop.survey["customer_id"]) - keys["straight_lining"]

    ages = tables["customers"].clean().frame.select("customer_id", "age")
    blank = ages.collect(backend="pandas").to_native().set_index("customer_id")["age"].isna()
    assert set(blank[blank].index) == keys["impossible_age"]


def test_unified_labels_are_those_of_the_clean_shop() -> None:
    clean = cs.datasets.make_shop(600, random_state=7)
    faulty = cs.datasets.make_shop(600, defects=True, random_state=7)
    tx = raw_tables(faulty)["transactions"].clean(inconsistent_labels="unify", duplicates="drop")
    found = tx.frame.select("line_id", "category").collect(backend="pandas").to_native()
    want = clean.transactions.set_index("line_id")["category"]
    assert found["category"].tolist() == want[found["line_id"]].tolist()
