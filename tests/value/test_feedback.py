"""Themes and complaints by segment against statsmodels, exact tests and simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, poisson
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

from custseg import stats
from custseg.errors import DataError, ParameterError
from custseg.value import complaint_rates, feedback_themes


def comments(seed: int = 0, n: int = 200) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(seed)
    index = pd.Index(rng.permutation(3 * n)[:n], name="customer_id")
    weights = pd.DataFrame(rng.dirichlet([0.3, 0.2, 0.5], n)[:, :2], index, ["theme_a", "theme_b"])
    weights[rng.random(n) < 0.3] = np.nan
    return weights, pd.Series(rng.choice(["A", "B", "C"], n), index)


def test_rates_are_of_those_who_commented():
    weights, segments = comments()
    found = feedback_themes(weights, segments, level=0.9)
    for row in found.to_frame().itertuples():
        column = weights[f"theme_{row.theme}"]
        inside = slice(None) if row.segment == "(all)" else segments == row.segment
        own = column[inside].dropna()
        x = int((own >= 0.25).sum())
        assert (row.commented, row.about) == (len(own), x)
        want = proportion_confint(x, len(own), alpha=0.1, method="wilson")
        np.testing.assert_allclose([row.ci_low, row.ci_high], want)
        if row.segment != "(all)":
            others = column[segments != row.segment].dropna()
            y = int((others >= 0.25).sum())
            test = proportions_ztest([x, y], [len(own), len(others)])
            assert row.p_value == pytest.approx(test[1])
            low, high = stats.newcombe(x, len(own), y, len(others), level=0.9)
            np.testing.assert_allclose([row.difference_low, row.difference_high], [low, high])
    assert found.voices["commented"].iloc[0] == weights["theme_a"].notna().sum()
    assert (found.voices["customers"].iloc[1:].sum()) == 200


def test_a_theme_of_one_segment_is_told():
    weights = pd.DataFrame({"theme_price": [1.0] * 30 + [0.0] * 60, "theme_staff": [0.0, 1] * 45})
    found = feedback_themes(weights, ["A"] * 30 + ["B"] * 60)
    assert found.summary() == (
        "Most comments are about staff 50%, price 33%. More than the others: A on price (100%). "
        "Less than the others: B on price (0%)."
    )
    two = {"theme_price": [1.0] * 30 + [0.0] * 60, "theme_staff": [1.0] * 55 + [0] * 5 + [1] * 30}
    found = feedback_themes(pd.DataFrame(two), ["A"] * 30 + ["B"] * 30 + ["C"] * 30)
    more, less = found.summary().split(" Less than the others: ")
    assert more.endswith("More than the others: A on price (100%).")
    assert less == "B on price (0%), C on price (0%), B on staff (83%)."
    alike = feedback_themes(weights[["theme_staff"]], ["A"] * 30 + ["B"] * 60)
    assert alike.summary() == (
        "Most comments are about staff 50%. "
        "No segment clearly differs from the others on any theme."
    )
    assert feedback_themes(weights).summary() == "Most comments are about staff 50%, price 33%."
    assert found.to_frame().query("theme == 'price' and segment == 'A'")["lift"].item() == 3
    with pytest.raises(DataError, match="between 0 and 1"):
        feedback_themes(weights * 5)
    with pytest.raises(DataError, match="nobody in a segment commented"):
        feedback_themes(weights * np.nan)
    with pytest.raises(ParameterError, match="about is 0"):
        feedback_themes(weights, about=0)


def test_rates_have_customers_as_clusters():
    rng = np.random.default_rng(1)
    counts = pd.DataFrame({"tickets": rng.poisson(rng.gamma(0.4, 2, 300))})
    orders = pd.Series(rng.integers(1, 20, 300))
    segments = pd.Series(rng.choice(["A", "B"], 300))
    table = complaint_rates(counts, segments, exposure=orders).to_frame().set_index("segment")
    for name in ("A", "B"):
        x, e = counts.loc[segments == name, "tickets"], orders[segments == name]
        rate = x.sum() / e.sum()
        off = x - rate * e
        error = np.sqrt(len(x) / (len(x) - 1) * (off**2).sum()) / x.sum()
        bounds = rate * np.exp(np.array([-1, 1]) * 1.959964 * error)
        got = table.loc[name]
        assert (got["complaints"], got["exposure"]) == (x.sum(), e.sum())
        np.testing.assert_allclose([got["ci_low"], got["ci_high"]], bounds, rtol=1e-6)
        assert got["touched"] == pytest.approx((x > 0).mean())
    a, b = table.loc["A"], table.loc["B"]
    assert a["ratio"] == pytest.approx(a["rate"] / b["rate"])
    assert a["ratio"] == pytest.approx(1 / b["ratio"])
    assert a["p_value"] == pytest.approx(b["p_value"])


def test_no_complaint_at_all_has_exact_bounds():
    counts = pd.DataFrame({"tickets": [0] * 40 + [1, 2] * 20})
    table = complaint_rates(counts, ["A"] * 40 + ["B"] * 40).to_frame().set_index("segment")
    high = table.loc["A", "ci_high"]
    assert table.loc["A", "ci_low"] == 0
    assert poisson.cdf(0, 40 * high) == pytest.approx(0.025)
    assert table.loc["A", "p_value"] == pytest.approx(binomtest(0, 60, 0.5).pvalue)
    assert table.loc["A", "ratio"] == 0 < table.loc["A", "ratio_high"] < 0.1
    assert np.isinf(table.loc["B", "ratio"])
    silent = complaint_rates(counts * 0, ["A"] * 40 + ["B"] * 40).to_frame()
    assert silent["p_value"].isna().all()


@pytest.mark.parametrize("dispersion", [0.3, 50])
def test_equal_segments_are_told_apart_as_seldom_as_they_should(dispersion):
    rng = np.random.default_rng(3)
    segments = np.repeat(["A", "B"], [80, 200])
    rejected, covered = [], []
    for _ in range(250):
        drawn = rng.poisson(rng.gamma(dispersion, 0.8 / dispersion, 280))
        table = complaint_rates(pd.DataFrame({"x": drawn}), segments).to_frame()
        rejected.append(table["p_value"].iloc[1] < 0.05)
        covered.append(table["ci_low"].iloc[2] <= 0.8 <= table["ci_high"].iloc[2])
    error = np.sqrt(0.05 * 0.95 / 250)
    assert np.mean(rejected) <= 0.05 + 2.5 * error
    assert np.mean(covered) >= 0.95 - 3 * error


def test_bad_counts_and_exposures_are_refused():
    counts = pd.DataFrame({"tickets": [1, 0, 2.5]})
    with pytest.raises(DataError, match="whole numbers"):
        complaint_rates(counts)
    with pytest.raises(DataError, match="not above 0 for 1 customers"):
        complaint_rates(counts.round(), exposure=pd.Series([1, 0, 2]))
