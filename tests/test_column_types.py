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


BANDS = {
    "intervals": pd.Series(pd.arrays.IntervalArray.from_breaks([0, 10, 20, 30, 100])),
    "bands": pd.cut(pd.Series([20.0, 5.0, 15.0, 70.0]), [0, 10, 20, 100]),
    "months": pd.Series(pd.period_range("2024-01", periods=4, freq="M")),
    "months as categories": pd.Series(pd.period_range("2024-01", periods=4, freq="M")).astype(
        "category"
    ),
    "sparse": pd.Series(pd.arrays.SparseArray([0.0, 0.0, 1.0, 0.0])),
}


@pytest.mark.parametrize("kind", BANDS)
def test_columns_that_nobody_asked_for_may_be_of_any_kind(kind: str) -> None:
    pd.testing.assert_frame_equal(count(LINES.assign(band=BANDS[kind])), count(LINES))


def test_bands_of_a_campaign_keep_their_order() -> None:
    sent = pd.DataFrame({"arm": ["c", "t"] * 60, "y": range(120)})
    sent["band"] = pd.cut(sent["y"], [-1, 8, 100, 200])
    metrics = {"y": cs.Mean("y")}
    test = cs.CampaignTest(arm="arm", control="c", metrics=metrics, segments="band")
    segments = test.analyze(sent).to_frame()["segment"]
    assert segments.tolist() == ["(all)", "(-1, 8]", "(8, 100]", "(100, 200]"]


def test_complex_numbers_are_refused_by_name() -> None:
    with pytest.raises(cs.errors.DataError, match="column 'phase' holds complex numbers"):
        count(LINES.assign(phase=[1j, 2, 3, 4]))
