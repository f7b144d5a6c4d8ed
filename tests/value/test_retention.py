"""The cohort triangle against counts by hand, pandas and what is known of a public data set."""

from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

import custseg as cs
from custseg.errors import DataError, ParameterError
from custseg.value import retention

FREQ = {"D": "D", "W": "W-SUN", "M": "M", "Q": "Q", "Y": "Y"}


def order_lines(seed: int = 0, n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "who": rng.integers(0, 60, n),
            "when": pd.Timestamp("2022-12-20") + pd.to_timedelta(rng.integers(0, 500, n), "D"),
            "paid": rng.gamma(2, 20, n).round(2) * np.where(rng.random(n) < 0.1, -1, 1),
        }
    )


def read(lines) -> cs.Transactions:
    return cs.Transactions(lines, customer_id="who", timestamp="when", amount="paid")


def in_pandas(lines: pd.DataFrame, period: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return counts and money by cohort and age, made by grouping in pandas."""
    rows = lines.assign(period=lines["when"].dt.to_period(FREQ[period]))
    bought = rows[rows["paid"] >= 0]
    first = bought.groupby("who")["period"].min()
    age = {}
    for name, part in (("bought", bought), ("all", rows[rows["who"].isin(first.index)])):
        cohort = part["who"].map(first)
        steps = [(p - c).n for p, c in zip(part["period"], cohort, strict=True)]
        age[name] = part.assign(cohort=cohort.to_numpy(), age=steps)
    counts = age["bought"].groupby(["cohort", "age"])["who"].nunique().unstack()
    money = age["all"][age["all"]["age"] >= 0].groupby(["cohort", "age"])["paid"].sum().unstack()
    return counts, money


@pytest.mark.parametrize("period", list(FREQ))
def test_the_triangle_equals_grouping_in_pandas(period):
    lines = order_lines()
    found = retention(read(lines), period)
    counts, money = in_pandas(lines, period)
    last = lines["when"].max().to_period(FREQ[period])
    assert found.counts.index.equals(pd.PeriodIndex(counts.index, name="cohort"))
    for cohort in counts.index:
        ages = (last - cohort).n + 1
        want = counts.loc[cohort].reindex(range(ages)).fillna(0)
        assert found.counts.loc[cohort].iloc[:ages].tolist() == want.tolist()
        assert found.counts.loc[cohort].iloc[ages:].isna().all()
        spent = money.loc[cohort].reindex(range(ages)).fillna(0)
        np.testing.assert_allclose(found.revenue.loc[cohort].iloc[:ages], spent, atol=1e-9)
    assert found.counts[0].sum() == lines.loc[lines["paid"] >= 0, "who"].nunique()


def test_rates_intervals_and_the_curve_are_those_of_the_counts():
    found = retention(read(order_lines()), "Q", as_of="2024-04-15", level=0.9)
    table = found.to_frame()
    later = table[table["age"] > 0]
    oracle = proportion_confint(later["active"], later["customers"], alpha=0.1, method="wilson")
    np.testing.assert_allclose(later["rate"], later["active"] / later["customers"])
    np.testing.assert_allclose(later[["ci_low", "ci_high"]].T, oracle, rtol=1e-9, atol=1e-12)
    assert table.loc[table["age"] == 0, ["ci_low", "ci_high"]].isna().all(axis=None)
    whole = table[table["whole"]].groupby("age")[["customers", "active"]].sum()
    pd.testing.assert_frame_equal(
        found.curve[["customers", "active"]], whole, check_names=False, check_index_type=False
    )
    np.testing.assert_allclose(found.curve["rate"], whole["active"] / whole["customers"])


def test_a_period_that_has_not_ended_is_marked_and_left_out_of_the_curve():
    lines = pd.DataFrame(
        {"who": [1, 1, 2], "when": ["2024-01-05", "2024-02-10", "2024-01-20"], "paid": 5.0}
    )
    part = retention(read(lines))
    assert not part.last_is_whole
    assert part.to_frame()["whole"].tolist() == [True, False]
    assert part.curve.index.tolist() == [0]
    assert any("2024-02 was seen up to 2024-02-10 only" in note for note in part.notes)
    full = retention(read(lines), as_of=date(2024, 2, 29))
    assert full.last_is_whole
    assert full.curve.loc[1, ["customers", "active"]].tolist() == [2, 1]
    assert not any("only" in note for note in full.notes)


def test_nothing_after_as_of_counts():
    lines = order_lines()
    early = lines[lines["when"] <= "2023-10-31"]
    found, want = retention(read(lines), as_of="2023-10-31"), retention(read(early))
    pd.testing.assert_frame_equal(found.counts, want.counts.reindex(columns=found.counts.columns))
    pd.testing.assert_frame_equal(found.revenue, want.revenue.reindex(columns=found.counts.columns))


def test_money_given_back_makes_nobody_active_and_is_accounted_for():
    lines = pd.DataFrame(
        {
            "who": [1, 1, 1, 2],
            "when": ["2024-01-05", "2024-02-10", "2024-02-12", "2024-02-29"],
            "paid": [30.0, -10.0, -5.0, -7.0],
        }
    )
    found = retention(read(lines))
    assert found.counts.iloc[0].tolist() == [1, 0]
    assert found.revenue.iloc[0].tolist() == [30.0, -15.0]
    assert any("7.00 was given back" in note for note in found.notes)


def test_cohorts_without_customers_have_no_row_and_ages_no_gap():
    lines = pd.DataFrame({"who": [1, 2], "when": ["2023-11-05", "2024-02-10"], "paid": 1.0})
    found = retention(read(lines))
    assert [str(cohort) for cohort in found.counts.index] == ["2023-11", "2024-02"]
    assert found.counts.columns.tolist() == [0, 1, 2, 3]
    assert found.counts.iloc[0].tolist() == [1, 0, 0, 0]


def test_without_amounts_there_is_no_revenue():
    tx = cs.Transactions(order_lines(), customer_id="who", timestamp="when")
    found = retention(tx)
    assert found.revenue is None
    assert "revenue" not in found.to_frame()
    assert any("no amount" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["polars", "relation", "parquet"])
def test_the_engine_does_not_matter(kind, tmp_path):
    lines = order_lines(seed=3)
    if kind == "polars":
        source = pytest.importorskip("polars").from_pandas(lines)
    elif kind == "relation":
        source = duckdb.connect().from_df(lines)
    else:
        source = tmp_path / "lines.parquet"
        duckdb.from_df(lines).write_parquet(str(source))
    found, want = retention(read(source)), retention(read(lines.sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(found.to_frame(), want.to_frame())


def test_bad_input_is_refused_with_a_remedy():
    lines = order_lines()
    with pytest.raises(ParameterError, match="'D', 'W', 'M', 'Q', 'Y'"):
        retention(read(lines), "month")
    with pytest.raises(DataError, match=r"cs\.Transactions\(data"):
        retention(lines)
    with pytest.raises(DataError, match="1 rows without customer_id"):
        retention(read(lines.assign(who=lines["who"].astype(float).where(lines.index != 3))))
    with pytest.raises(DataError, match="Choose a later as_of"):
        retention(read(lines), as_of="2001-01-01")


def test_words_and_display_follow_the_numbers():
    found = retention(read(order_lines()), "Q")
    first = found.curve.loc[1]
    assert f"Bought again: {first['rate']:.0%} [{first['ci_low']:.0%}" in found.summary()
    assert repr(found).startswith("Retention: 60 customers")
    assert found.plot().get_xlabel() == "quarters since the first purchase"


@pytest.mark.realdata
def test_online_retail_has_the_cohort_that_is_known_of_it():
    tx = cs.Transactions(
        cs.datasets.load_online_retail(),
        customer_id="CustomerID",
        timestamp="InvoiceDate",
        order_id="InvoiceNo",
        quantity="Quantity",
        unit_price="UnitPrice",
    )
    found = retention(tx.clean())
    assert found.counts.loc["2010-12"].iloc[:4].tolist() == [885, 324, 286, 340]
    assert found.counts[0].sum() == 4338
