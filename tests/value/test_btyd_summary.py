"""Repeat purchases against counting in pandas by calendar periods, and a published summary."""

import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.value import btyd_summary

FREQ = {"D": "D", "W": "W-SUN", "M": "M"}


def order_lines(seed: int = 0, n: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("1969-11-20 08:00")
    return pd.DataFrame(
        {
            "who": rng.integers(0, 90, n),
            "when": start + pd.to_timedelta(rng.integers(0, 24 * 200, n), "h"),
            "paid": rng.gamma(2, 20, n).round(2),
        }
    )


def read(lines, **roles) -> cs.Transactions:
    return cs.Transactions(lines, customer_id="who", timestamp="when", amount="paid", **roles)


def by_hand(lines: pd.DataFrame, as_of: str | None, unit: str) -> pd.DataFrame:
    """Count as the definitions say: one purchase per period, the first one left out."""
    end = lines["when"].max() if as_of is None else pd.Timestamp(as_of)
    known = lines[lines["when"].dt.normalize() <= end.normalize()]
    rows = {}
    for who, own in known.groupby("who"):
        spent = own.groupby(own["when"].dt.to_period(FREQ[unit]))["paid"].sum()
        first, last = spent.index[0], spent.index[-1]
        repeats = spent.iloc[1:]
        rows[who] = {
            "frequency": float(len(repeats)),
            "recency": float((last - first).n),
            "T": float((end.to_period(FREQ[unit]) - first).n),
            "monetary_value": repeats.mean() if len(repeats) else 0.0,
        }
    return pd.DataFrame(rows).T.rename_axis("customer_id")


@pytest.mark.parametrize("unit", list(FREQ))
@pytest.mark.parametrize("as_of", [None, "1970-01-01", "1970-03-04"])
def test_it_equals_counting_in_pandas(unit, as_of):
    lines = order_lines()
    found = btyd_summary(read(lines), as_of, unit)
    pd.testing.assert_frame_equal(found, by_hand(lines, as_of, unit), check_index_type=False)
    assert found.attrs == {"as_of": as_of or str(lines["when"].max().date()), "unit": unit}


def test_a_day_with_several_orders_is_one_purchase_and_the_first_day_counts_for_nothing():
    lines = pd.DataFrame(
        {
            "who": ["ann"] * 4 + ["bob"] * 2,
            "when": ["2024-01-01", "2024-01-03", "2024-01-03", "2024-01-09", *["2024-01-05"] * 2],
            "paid": [1000.0, 10, 20, 50, 7, 8],
            "order": list("abcdef"),
        }
    )
    found = btyd_summary(read(lines, order_id="order"), "2024-01-31")
    assert found.loc["ann"].to_list() == [2, 8, 30, 40]
    assert found.loc["bob"].to_list() == [0, 0, 26, 0]


def test_later_rows_change_nothing():
    lines = order_lines()
    early = lines[lines["when"] < "1970-02-01"]
    for unit in FREQ:
        whole = btyd_summary(read(lines), "1970-01-31", unit)
        pd.testing.assert_frame_equal(whole, btyd_summary(read(early), "1970-01-31", unit))


def test_without_amounts_there_is_no_spend():
    lines = order_lines()
    tx = cs.Transactions(lines, customer_id="who", timestamp="when")
    found = btyd_summary(tx)
    want = btyd_summary(read(lines)).drop(columns="monetary_value")
    pd.testing.assert_frame_equal(found, want)


def test_netted_returns_are_no_purchases_and_lower_the_mean_spend():
    lines = pd.DataFrame(
        {
            "who": ["ann"] * 4,
            "when": ["2024-01-01", "2024-01-10", "2024-01-20", "2024-01-25"],
            "paid": [100.0, 60.0, 40.0, -50.0],
            "what": ["x", "y", "z", "x"],
        }
    )
    tx = read(lines, product="what").clean(returns="net")
    before = btyd_summary(tx, "2024-01-24").loc["ann"]
    after = btyd_summary(tx, "2024-01-31").loc["ann"]
    assert before.to_list() == [2, 19, 23, 50]
    assert after.to_list() == [2, 19, 30, 50 * 0.75]  # a quarter of 200 came back


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"unit": "Y"}, ParameterError, "unit is 'Y', but must be one of 'D', 'W', 'M'"),
        ({"as_of": "soon"}, ParameterError, "as_of must be a date"),
        ({"as_of": "1960-01-01"}, DataError, "nobody bought by 1960-01-01"),
    ],
)
def test_a_wrong_question_is_refused(kwargs, error, words):
    with pytest.raises(error, match=words):
        btyd_summary(read(order_lines()), **kwargs)


def test_a_table_without_roles_is_refused():
    with pytest.raises(DataError, match=r"tx is a DataFrame, but must be cs\.Transactions"):
        btyd_summary(order_lines())


def test_rows_without_a_customer_are_refused():
    lines = order_lines().astype({"who": "float"})
    lines.loc[3, "who"] = np.nan
    with pytest.raises(DataError, match=r"1 rows without customer_id.*clean"):
        btyd_summary(read(lines))
    with pytest.raises(ColumnError, match="no column"):
        cs.Transactions(lines, customer_id="nobody", timestamp="when")


@pytest.mark.realdata("cdnow_sample", "cdnow_sample_summary")
def test_cdnow_equals_the_published_summary():
    lines = cs.datasets.load_cdnow()
    tx = cs.Transactions(lines, customer_id="sample_id", timestamp="date", amount="dollar_value")
    found = btyd_summary(tx, "1997-09-30")
    published = cs.datasets.load_dataset("cdnow_sample_summary").set_index("ID")
    assert found["frequency"].tolist() == published["frequency"].tolist()
    assert (found["recency"] / 7).tolist() == pytest.approx(published["recency"], abs=0.0051)
    assert (found["T"] / 7).tolist() == pytest.approx(published["T"], abs=0.0051)
