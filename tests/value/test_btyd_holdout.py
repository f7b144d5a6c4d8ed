"""Forecasts held against what came: counts by hand, planted customers, a published case."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import custseg as cs
from custseg.errors import DataError, ParameterError
from custseg.value import BetaGeo, ParetoNBD, btyd_holdout, btyd_summary


def order_lines(n: int = 1_500, seed: int = 0) -> pd.DataFrame:
    """Draw orders of customers who leave at any time, as the Pareto/NBD model has it."""
    rng = np.random.default_rng(seed)
    join = rng.integers(0, 120, n)
    rate, leave = rng.gamma(1.0, 1 / 40, n), rng.gamma(1.5, 1 / 300, n)
    active = rng.exponential(1 / leave)
    count = rng.poisson(rate * np.minimum(active, 730 - join))
    who = np.repeat(np.arange(n), count)
    later = join[who] + rng.random(len(who)) * np.minimum(active, 730 - join)[who]
    days = np.concatenate([join, later.astype(int)])
    when = pd.Timestamp("2022-01-03") + pd.to_timedelta(days, "D")
    return pd.DataFrame({"who": np.concatenate([np.arange(n), who]), "when": when})


@pytest.fixture(scope="module")
def lines():
    return order_lines()


@pytest.fixture(scope="module")
def tx(lines):
    return cs.Transactions(lines, customer_id="who", timestamp="when")


@pytest.fixture(scope="module")
def found(tx):
    return btyd_holdout(tx, ParetoNBD(), split="2023-01-01", as_of="2023-12-31", unit="W")


def test_actual_purchases_are_those_after_the_split(found, lines):
    lines = lines[lines["when"] <= "2023-12-31"]
    weeks = lines["when"].dt.to_period("W-SUN")
    split = pd.Period("2023-01-01", "W-SUN")
    known = lines[(weeks <= split).to_numpy()]["who"].unique()
    later = lines[(weeks > split).to_numpy()].assign(week=weeks)
    want = later.groupby("who")["week"].nunique().reindex(np.sort(known)).fillna(0)
    assert found.customers.index.tolist() == want.index.tolist()
    assert found.customers["actual"].tolist() == want.tolist()
    assert found.units == 52


def test_the_model_has_seen_nothing_after_the_split(found, tx):
    before = btyd_summary(tx, "2023-01-01", "W")
    again = ParetoNBD().fit(before)
    pd.testing.assert_series_equal(found.model.params_, again.params_)
    expected = again.expected_purchases(52, before)
    assert found.customers["expected"].tolist() == expected.tolist()
    as_before = 52 * before["frequency"] / before["T"].where(before["T"] > 0, np.inf)
    assert found.customers["as_before"].tolist() == as_before.tolist()


def test_the_table_is_made_of_the_customers(found):
    table, customers = found.to_frame(), found.customers
    assert table["n"].sum() == len(customers)
    assert table["frequency"].tolist() == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    for name in ("actual", "expected", "as_before"):
        assert table["n"] @ table[name] == pytest.approx(customers[name].sum())
    three = customers[customers["frequency"] == 3]["actual"]
    interval = stats.t.interval(0.95, len(three) - 1, three.mean(), stats.sem(three))
    row = table.iloc[3]
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(interval)
    many = customers[customers["frequency"] >= 7]
    assert table["expected"].iloc[7] == pytest.approx(many["expected"].mean())


def test_a_true_model_forecasts_what_comes_and_the_plain_forecast_does_not(found):
    scores, actual = found.scores(), found.customers["actual"]
    assert abs(scores.loc["expected", "error"]) < 0.1
    assert scores.loc["as_before", "error"] > 0.3
    assert scores.loc["expected", "mse"] < scores.loc["as_before", "mse"]
    want = np.corrcoef(found.customers["expected"], actual)[0, 1]
    assert scores.loc["expected", "correlation"] == pytest.approx(want)
    off = found.customers["expected"] - actual
    assert scores.loc["expected", "mae"] == pytest.approx(off.abs().mean())


def test_tracking_counts_repeat_purchases_week_by_week(found, lines, tx):
    table = found.tracking
    for week in (10, 51, 80, len(table) - 1):
        day = pd.Timestamp("2022-01-09") + pd.Timedelta(weeks=week)
        summary = btyd_summary(tx, day.date(), "W")
        cohort = summary.reindex(found.customers.index)
        assert table["actual"][week] == cohort["frequency"].sum()
    new = pd.DataFrame({"frequency": [0.0], "recency": [0.0], "T": [0.0]})
    age = btyd_summary(tx, "2023-12-31", "W")["T"].reindex(found.customers.index)
    want = sum(found.model.expected_purchases(t, new)[0] * n for t, n in age.value_counts().items())
    assert table["expected"].iloc[-1] == pytest.approx(want, rel=1e-9)
    assert table["holdout"].sum() == 52
    assert table["holdout"].tolist() == sorted(table["holdout"])


def test_the_words_are_the_numbers(found):
    words = found.summary()
    total = found.customers["expected"].sum()
    assert f"ParetoNBD, fitted up to 2023-01-01, expects {total:,.0f} purchases" in words
    assert f"{found.customers['actual'].sum():,.0f} came" in words
    assert "new ones are not" in repr(found)
    assert repr(found) == repr(found)


def test_a_split_within_a_week_is_said(tx):
    found = btyd_holdout(tx, BetaGeo(), split="2023-01-04", as_of="2023-12-31", unit="W")
    assert "the split is not at the end of one of the weeks" in found.notes[-1]


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"split": "2024-05-01"}, "split is 2024-05-01 and the last day 2023-12-31"),
        ({"split": "2023-12-31"}, "Choose an earlier split"),
        ({"split": "then"}, "split must be a date"),
        ({"split": "2023-01-01", "unit": "Q"}, "unit is 'Q'"),
        ({"split": "2023-01-01", "level": 2}, "level is 2"),
    ],
)
def test_wrong_questions_are_refused(tx, kwargs, words):
    with pytest.raises(ParameterError, match=words):
        btyd_holdout(tx, BetaGeo(), as_of="2023-12-31", **kwargs)


def test_what_is_no_model_or_has_no_customers_is_refused(tx):
    with pytest.raises(ParameterError, match=r"must be a model of purchases.*BetaGeo\(\)"):
        btyd_holdout(tx, "BetaGeo", split="2023-01-01")
    with pytest.raises(DataError, match=r"tx is a DataFrame, but must be cs\.Transactions"):
        btyd_holdout(pd.DataFrame(), BetaGeo(), split="2023-01-01")
    with pytest.raises(DataError, match="nobody bought by 2020-01-01"):
        btyd_holdout(tx, BetaGeo(), split="2020-01-01")


def test_the_picture_by_frequency_shows_the_table(found):
    ax = found.plot()
    table = found.to_frame()
    actual, expected, plain = ax.get_lines()
    assert actual.get_ydata().tolist() == table["actual"].tolist()
    assert expected.get_ydata().tolist() == table["expected"].tolist()
    assert plain.get_ydata().tolist() == table["as_before"].tolist()
    (bars,) = ax.collections
    ends = np.array(bars.get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, table[["ci_low", "ci_high"]])
    assert [text.get_text() for text in ax.get_xticklabels()] == table["frequency"].tolist()


def test_the_tracking_picture_shows_both_periods(found):
    _, ax = plt.subplots()
    assert found.plot(what="tracking", ax=ax) is ax
    actual, expected, split = ax.get_lines()
    assert actual.get_ydata().tolist() == found.tracking["actual"].tolist()
    assert expected.get_ydata().tolist() == found.tracking["expected"].tolist()
    assert split.get_xdata()[0] == (~found.tracking["holdout"]).sum() - 1
    with pytest.raises(ParameterError, match="Did you mean 'tracking'"):
        found.plot(what="track")


@pytest.mark.realdata("cdnow_sample")
@pytest.mark.parametrize(
    ("kind", "total", "correlation"), [(BetaGeo, 1_653, 0.626), (ParetoNBD, 1_666, 0.630)]
)
def test_cdnow_equals_the_published_correlations(kind, total, correlation):
    """Fader, Hardie & Lee (2005): weeks 40 to 78 of the 2,357 customers, learned on 1 to 39."""
    lines = cs.datasets.load_cdnow()
    tx = cs.Transactions(lines, customer_id="sample_id", timestamp="date")
    found = btyd_holdout(tx, kind(), split="1997-09-30")
    assert found.as_of.isoformat() == "1998-06-30"
    assert found.customers["actual"].sum() == 1_882
    scores = found.scores().loc["expected"]
    assert scores["total"] == pytest.approx(total, abs=1)
    assert scores["correlation"] == pytest.approx(correlation, abs=5e-4)
