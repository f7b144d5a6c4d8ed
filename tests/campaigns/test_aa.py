"""Baselines read from a history, and simulated campaigns on it, against planted truth."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import custseg as cs
from custseg.campaigns import aa_simulation, baselines, sample_size
from custseg.errors import ColumnError, DataError, ParameterError


@pytest.fixture(scope="module")
def history():
    rng = np.random.default_rng(14)
    n = 3_000
    before = rng.gamma(2, 10, n)
    region = rng.choice(["north", "south"], n, p=[0.7, 0.3])
    spend = before + 20 * (region == "south") + rng.gamma(2, 10, n)
    return pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "before": before,
            "region": region,
            "tier": rng.choice(["gold", "basic"], n, p=[0.2, 0.8]),
            "spend": spend,
            "visit": rng.random(n) < np.where(region == "south", 0.6, 0.2),
            "orders": rng.poisson(2, n) + 1.0,
        }
    )


def declare(metrics=None, **options):
    metrics = metrics or {
        "spend": cs.Mean("spend", covariate="before"),
        "visit": cs.Proportion("visit"),
    }
    return cs.CampaignTest(arm="arm", control="control", metrics=metrics, **options)


def test_baselines_are_the_moments_of_the_history(history):
    found = baselines(history, declare(segments="tier"), strata=["region"]).to_frame()
    whole = found[found["segment"] == "(all)"].set_index("metric")
    assert whole.loc["spend", "baseline"] == pytest.approx(history["spend"].mean())
    assert whole.loc["spend", "sd"] == pytest.approx(history["spend"].std(), rel=1e-9)
    rho = np.corrcoef(history["spend"], history["before"])[0, 1]
    assert whole.loc["spend", "r_squared"] == pytest.approx(rho**2, rel=1e-9)
    assert whole.loc["spend", "skewness"] == pytest.approx(stats.skew(history["spend"]))
    p = history["visit"].mean()
    assert whole.loc["visit", ["baseline", "sd"]].tolist() == pytest.approx(
        [p, np.sqrt(p * (1 - p))]
    )
    gold = history[history["tier"] == "gold"]
    row = found[(found["segment"] == "gold") & (found["metric"] == "spend")].iloc[0]
    assert (row["n"], row["share"]) == (len(gold), len(gold) / len(history))
    assert row["sd"] == pytest.approx(gold["spend"].std())


def test_what_lies_between_strata_is_the_share_of_an_analysis_of_variance(history):
    found = baselines(history, declare(segments="tier"), strata=["region"]).to_frame()
    found = found.set_index(["metric", "segment"])["balanced"]

    def between(y, region):
        groups = [y[region == name] for name in np.unique(region)]
        inner = sum(((g - g.mean()) ** 2).sum() for g in groups) / (len(y) - len(groups))
        return 1 - inner / y.var(ddof=1)

    visit = history["visit"].to_numpy(dtype=float)
    region = history["region"].to_numpy()
    assert found["visit", "(all)"] == pytest.approx(between(visit, region), rel=1e-9)
    gold = (history["tier"] == "gold").to_numpy()
    assert found["visit", "gold"] == pytest.approx(between(visit[gold], region[gold]), rel=1e-9)
    # after the covariate: residuals of spend on what was spent before
    rest = stats.linregress(history["before"], history["spend"])
    rest = (history["spend"] - rest.slope * history["before"]).to_numpy()
    assert found["spend", "(all)"] == pytest.approx(between(rest, region), abs=0.002)
    assert baselines(history, declare()).to_frame()["balanced"].tolist() == [0, 0]


def test_a_ratio_is_planned_by_its_linearised_values(history):
    ratio = cs.Ratio("spend", "orders")
    (row,) = baselines(history, declare({"basket": ratio})).to_frame().to_dict("records")
    r = history["spend"].sum() / history["orders"].sum()
    linear = (history["spend"] - r * history["orders"]) / history["orders"].mean()
    assert row["baseline"] == pytest.approx(r)
    assert row["sd"] == pytest.approx(linear.std(), rel=1e-9)
    assert not row["binary"]


def test_metrics_of_the_whole_distribution_have_an_effective_spread():
    rng = np.random.default_rng(16)
    frame = pd.DataFrame({"spend": rng.exponential(10, 4_000)})
    metrics = {"median": cs.Quantile("spend"), "rank": cs.Rank("spend")}
    found = baselines(frame, declare(metrics)).to_frame().set_index("metric")
    assert found.loc["median", "baseline"] == pytest.approx(frame["spend"].median())
    drawn = rng.choice(frame["spend"].to_numpy(), (2_000, len(frame)))
    error = np.median(drawn, axis=1).std()  # of the bootstrap
    assert found.loc["median", "sd"] == pytest.approx(error * np.sqrt(len(frame)), rel=0.05)
    assert found.loc["rank", "sd"] == pytest.approx(1 / np.sqrt(12), rel=0.01)


def test_baselines_make_sizes_by_metric_and_segment(history):
    found = baselines(history, declare(segments="tier"))
    table = sample_size(relative_effect=0.1, baseline=found).to_frame()
    assert table["segment"].tolist() == ["(all)", "basic", "gold"] * 2
    row = found.table.iloc[2]
    alone = sample_size(
        0.1 * row["baseline"], sd=row["sd"], r_squared=row["r_squared"], alpha=0.05 / 2
    )
    assert table["n"][2] == alone.n
    family = "spend: the 2 tests of segments and arms are one family, each planned at alpha 0.0250."
    assert family in sample_size(relative_effect=0.1, baseline=found).notes
    uncorrected = sample_size(relative_effect=0.1, baseline=found, correction="none")
    assert not any("one family" in note for note in uncorrected.notes)
    assert uncorrected.to_frame()["n"][2] < table["n"][2]
    assert table["n_campaign"][2] == np.ceil(alone.n / row["share"])
    by_metric = sample_size({"spend": 2.0, "visit": 0.03}, baseline=found).to_frame()
    assert by_metric.groupby("metric")["effect"].max().to_dict() == {"spend": 2.0, "visit": 0.03}
    with pytest.raises(ParameterError, match="must be one of 'spend'"):
        sample_size({"spend": 2.0}, baseline=found)
    with pytest.raises(ParameterError, match="are read from the Baselines"):
        sample_size(2.0, baseline=found, sd=3)
    with pytest.raises(ParameterError, match="which is no proportion"):
        sample_size(relative_effect=3, baseline=found)


def test_segments_that_do_not_vary_are_left_out_and_named(history):
    flat = history.assign(visit=np.where(history["tier"] == "gold", True, history["visit"]))
    found = baselines(flat, declare({"visit": cs.Proportion("visit")}, segments="tier"))
    analysis = sample_size(0.05, baseline=found)
    assert analysis.to_frame()["segment"].tolist() == ["(all)", "basic"]
    assert "visit: the history has no spread in gold: left out." in analysis.notes


def test_segments_may_be_a_series_and_missing_values_are_counted(history):
    segments = pd.Series(["A"] * 1_000 + ["B"] * 1_500, index=range(2_500))
    gaps = history.assign(spend=history["spend"].where(history.index >= 40))
    test = declare({"spend": cs.Mean("spend")}, segments=segments, customer_id="customer_id")
    found = baselines(gaps, test)
    assert found.to_frame()["n"].tolist() == [2_960, 960, 1_500]
    assert "spend: 40 customers without a value are left out." in found.notes
    assert any("500 customers have no segment" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"spend": np.inf}, DataError, "3,000 infinite values"),
        ({"visit": 2}, DataError, "must hold 0 and 1 only"),
        ({"spend": "x"}, DataError, "must hold numbers"),
        ({"spend": np.nan}, DataError, "no value at all"),
        ({"customer_id": 1}, DataError, "2,999 rows of the history repeat a customer"),
    ],
)
def test_a_history_that_cannot_be_read_is_refused(history, changes, error, message):
    test = declare(customer_id="customer_id")
    with pytest.raises(error, match=message):
        baselines(history.assign(**changes), test)


def test_missing_columns_and_too_many_strata_are_refused(history):
    with pytest.raises(ColumnError, match="no column 'spend'"):
        baselines(history.drop(columns="spend"), declare())
    many = pd.concat([history] * 4, ignore_index=True).assign(x=np.arange(12_000))
    with pytest.raises(DataError, match="make 12,000 strata"):
        baselines(many, declare(), strata=["x"])
    with pytest.raises(ParameterError, match="test is a dict, but must be a CampaignTest"):
        baselines(history, {"spend": cs.Mean("spend")})
    with pytest.raises(DataError, match="has no rows"):
        baselines(history.head(0), declare())


def test_sound_tests_keep_level_and_coverage(history):
    test = declare(segments="tier")
    found = aa_simulation(history, test, n_simulations=1_000, random_state=3)
    table = found.to_frame()
    assert (table["status"] == "ok").all()
    assert table["simulations"].eq(1_000).all()
    error = 2 * np.sqrt(0.05 * 0.95 / 1_000)
    assert (table["false_positive_rate"] <= 0.05 + 1.5 * error).all()
    mean = table[table["metric"] == "spend"]
    assert np.allclose(mean["coverage"], 1 - mean["false_positive_rate"])
    family = found.familywise[found.familywise["family"] == "segments"]
    assert (family["rate"] <= 0.05 + error).all()
    assert (family["tests"] == 2).all()


def test_each_simulation_is_what_the_test_would_have_said(history):
    """The p-values are those of `CampaignTest.analyze` on the same arms."""
    from custseg.campaigns._history import grid_moments, read_history

    metrics = {
        "spend": cs.Mean("spend", covariate=["before", "orders"]),
        "capped": cs.Mean("spend", winsorize=0.95),
        "visit": cs.Proportion("visit", covariate="before"),
        "rare": cs.Proportion("visit"),
        "basket": cs.Ratio("spend", "orders"),
        "rank": cs.Rank("spend"),
    }
    test = declare(metrics, segments="tier", customer_id="customer_id")
    rows = read_history(history, test)
    rng = np.random.default_rng(5)
    arm = rng.integers(0, 2, (2, len(history)))
    for name, metric in test.metrics.items():
        columns, known = rows.numbers(metric)
        moments = grid_moments(columns, rows.segment[known], arm[:, known], (2, 2), metric)
        p = metric.compare(moments).difference.p_value.reshape(2, 3)
        for i in range(2):
            data = history.assign(arm=np.where(arm[i] == 1, "treated", "control"))
            effects = test.analyze(data).to_frame()
            expected = effects.loc[effects["metric"] == name, "p_value"]
            np.testing.assert_allclose(p[i], expected, rtol=1e-9)


def test_a_test_that_does_not_hold_is_called_liberal():
    # 20 customers, one of whom spends almost everything: Welch's t is far from its level there
    rng = np.random.default_rng(15)
    frame = pd.DataFrame({"spend": rng.lognormal(0, 3, 60)})
    test = declare({"spend": cs.Mean("spend")}, allocation={"control": 0.85, "treatment": 0.15})
    found = aa_simulation(frame, test, n_simulations=1_500)
    (row,) = found.to_frame().to_dict("records")
    assert row["status"] == "liberal"
    assert row["coverage_high"] < 0.95
    assert "do not trust this test here" in found.summary()
    assert found.notes[0].startswith("spend: more false alarms than promised in (all)")


def test_a_stratified_design_makes_an_unadjusted_test_conservative(history):
    design = cs.CampaignDesign(arms={"control": 0.5, "email": 0.5}, strata=["region"], holdout=0.1)
    wide = history.assign(spend=history["spend"] + 200 * (history["region"] == "south"))
    test = design.test({"spend": cs.Mean("spend")})
    found = aa_simulation(wide, test, design=design, n_simulations=400)
    (row,) = found.to_frame().to_dict("records")
    assert row["status"] == "conservative"
    assert row["arm"] == "email"
    assert row["n_control"] == pytest.approx(1_350, abs=1)
    assert aa_simulation(wide, test, n_simulations=400).to_frame()["status"][0] == "ok"


def test_simulations_depend_on_the_seed_and_not_on_the_order_of_rows(history):
    test = declare(customer_id="customer_id")
    first = aa_simulation(history, test, n_simulations=60).to_frame()
    again = aa_simulation(history.sample(frac=1, random_state=1), test, n_simulations=60).to_frame()
    pd.testing.assert_frame_equal(first, again)
    other = aa_simulation(history, test, n_simulations=60, random_state=1).to_frame()
    assert not first["n_control"].equals(other["n_control"])


def test_history_may_live_in_another_engine(history):
    pl = pytest.importorskip("polars")
    test = declare(segments="tier", customer_id="customer_id")
    here = aa_simulation(history, test, n_simulations=40).to_frame()
    there = aa_simulation(pl.from_pandas(history), test, n_simulations=40).to_frame()
    pd.testing.assert_frame_equal(here, there)


def test_numbers_of_the_simulation_are_checked(history):
    with pytest.raises(ParameterError, match="n_simulations is 5"):
        aa_simulation(history, declare(), n_simulations=5)
    with pytest.raises(ParameterError, match="alpha is 0"):
        aa_simulation(history, declare(), alpha=0)


@pytest.mark.realdata
def test_the_hillstrom_customers_get_what_the_metrics_promise():
    path = Path(os.environ["CUSTSEG_DATA"]) / "hillstrom.parquet"
    test = declare(
        {"visit": cs.Proportion("visit"), "spend": cs.Mean("spend", covariate="history")},
        segments="zip_code",
        allocation={"control": 0.5, "mail": 0.5},
    )
    found = aa_simulation(path, test, n_simulations=150)
    assert (found.to_frame()["status"] == "ok").all()
    level = baselines(path, test).to_frame().set_index(["metric", "segment"])
    # history gains next to nothing there
    assert level.loc[("spend", "(all)"), "r_squared"] == pytest.approx(0.0005, abs=5e-5)
    assert level.loc[("visit", "(all)"), "baseline"] == pytest.approx(0.14678, abs=1e-5)
