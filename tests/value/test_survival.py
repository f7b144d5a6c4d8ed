"""Survival against published data, statsmodels, hand work and simulation."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.value import churn_by_silence, survival

REMISSION = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


@pytest.fixture
def leukemia() -> tuple[pd.DataFrame, pd.Series]:
    """Return the trial of Freireich et al. (1963), weeks in remission."""
    table = pd.DataFrame(
        {"duration": REMISSION + PLACEBO, "churned": [1] * 9 + [0] * 12 + [1] * 21}
    )
    return table, pd.Series(["6-MP"] * 21 + ["placebo"] * 21)


def read(lines: pd.DataFrame) -> cs.Transactions:
    return cs.Transactions(lines, customer_id="who", timestamp="when")


def test_the_published_trial_comes_out_as_published(leukemia):
    found = survival(*leukemia, horizons=[6, 10, 23])
    table = found.to_frame().set_index(["segment", "horizon"])
    want = [0.857, 0.753, 0.448]
    np.testing.assert_allclose(table.loc["6-MP", "survival"], want, atol=0.0005)
    # R: survfit(..., conf.type = "log-log")
    bounds = table.loc["6-MP", ["ci_low", "ci_high"]].to_numpy()
    np.testing.assert_allclose(bounds[0], [0.620, 0.952], atol=0.0006)
    medians = found.lengths.loc["6-MP", ["median", "median_low", "median_high"]]
    np.testing.assert_array_equal(medians, [23, 13, np.nan])
    assert found.lengths.loc["placebo", "median"] == 8
    assert found.log_rank["chi2"] == pytest.approx(16.79, abs=0.005)
    assert found.log_rank["df"] == 1
    assert table.loc[("6-MP", 10), "at_risk"] == 15


def test_curves_are_products_of_what_stays(leukemia):
    table, segments = leukemia
    found = survival(table, segments)
    for name in ("6-MP", "placebo"):
        own = table[segments == name]
        s, variance = 1.0, 0.0
        for time in np.unique(own.loc[own["churned"] == 1, "duration"]):
            n = (own["duration"] >= time).sum()
            d = ((own["duration"] == time) & (own["churned"] == 1)).sum()
            s *= 1 - d / n
            variance += d / (n * (n - d)) if n > d else 0
            rows = found.curves.query("segment == @name and time == @time").iloc[0]
            assert (rows["at_risk"], rows["events"]) == (n, d)
            assert rows["survival"] == pytest.approx(s)
            if 0 < s < 1:
                half = 1.959964 * np.sqrt(variance) / abs(np.log(s))
                np.testing.assert_allclose(
                    [rows["ci_low"], rows["ci_high"]],
                    [s ** np.exp(half), s ** np.exp(-half)],
                    rtol=1e-6,
                )


def test_the_mean_is_the_area_under_the_curve_until_all_are_known(leukemia):
    found = survival(*leukemia)
    assert found.until == 23
    placebo = found.lengths.loc["placebo"]
    assert placebo["mean"] == pytest.approx(np.mean(PLACEBO))
    # without censoring the variance is that of a mean, divisor n
    assert placebo["mean_se"] == pytest.approx(np.std(PLACEBO) / np.sqrt(21))


def test_beyond_what_was_seen_nothing_is_said():
    table = pd.DataFrame({"duration": [5, 8, 9], "churned": [0, 1, 0]})
    found = survival(table, horizons=[2, 9, 10]).to_frame()
    assert found["survival"].tolist()[:2] == [1.0, 0.5]
    assert found["at_risk"].tolist() == [3, 1, 0]
    assert 0 < found["ci_low"].iloc[0] < 1
    assert found.iloc[2][["survival", "churn"]].isna().all()


def test_order_does_not_matter_and_pairs_are_adjusted():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"duration": rng.integers(1, 60, 150), "churned": rng.random(150) < 0.6})
    segments = pd.Series(rng.choice(["A", "B", "C"], 150))
    found, mixed = survival(table, segments), survival(table[::-1], segments)
    pd.testing.assert_frame_equal(found.curves, mixed.curves)
    assert len(found.pairs) == 3
    assert (found.pairs["p_holm"] >= found.pairs["p_value"]).all()
    assert found.log_rank["df"] == 2


def test_the_first_silence_counts_and_later_rows_change_nothing():
    lines = pd.DataFrame(
        {
            "who": ["back", "back", "gone", "here", "here"],
            "when": ["2024-01-01", "2024-05-01", "2024-01-01", "2024-01-01", "2024-02-10"],
        }
    )
    found = churn_by_silence(read(lines), 60, as_of="2024-05-10")
    assert found.loc["back"].tolist() == [60, True, True]
    assert found.loc["gone"].tolist() == [60, True, False]
    assert found.loc["here"].tolist() == [100, True, False]
    early = churn_by_silence(read(lines), 60, as_of="2024-03-15")
    assert early["duration"].tolist() == [60, 60, 74]
    assert early["churned"].tolist() == [True, True, False]


def test_silences_equal_a_loop_over_customers():
    rng = np.random.default_rng(2)
    lines = pd.DataFrame(
        {
            "who": rng.integers(0, 80, 400),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, 400), "D"),
        }
    )
    found = churn_by_silence(read(lines), 45)
    last = lines["when"].max()
    for who, own in lines.groupby("who")["when"]:
        days = [*sorted(own.unique()), last + pd.Timedelta(days=1)]
        steps = [(b - a).days for a, b in pairwise(days)]
        steps[-1] -= 1
        long = [i for i, step in enumerate(steps) if step > 45]
        want = (days[long[0]] - days[0]).days + 45 if long else (last - days[0]).days
        assert found.loc[who, "duration"] == want
        assert found.loc[who, "churned"] == bool(long)
        assert found.loc[who, "came_back"] == any(i < len(steps) - 1 for i in long)


def test_intervals_cover_the_share_that_stays():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(150):
        stays, seen = rng.exponential(100, 80), rng.uniform(20, 200, 80)
        table = pd.DataFrame({"duration": np.minimum(stays, seen), "churned": stays <= seen})
        row = survival(table, horizons=[60]).to_frame().iloc[0]
        covered.append(row["ci_low"] <= np.exp(-0.6) <= row["ci_high"])
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 150)


def test_bad_input_is_refused_with_a_remedy(leukemia):
    table, segments = leukemia
    with pytest.raises(ColumnError, match="Did you mean 'duration'"):
        survival(table, duration="durations")
    with pytest.raises(DataError, match="1 customers have a 'duration' that is missing"):
        survival(table.astype(float).replace(35.0, -1.0))
    with pytest.raises(DataError, match="neither true nor false"):
        survival(table.assign(churned=2))
    with pytest.raises(DataError, match="not numbers"):
        survival(table.astype({"duration": str}))
    for nothing in (None, table.head(0)):
        with pytest.raises(DataError, match="must be a frame with one row per customer"):
            survival(nothing)
    with pytest.raises(ParameterError, match="horizons is empty"):
        survival(table, horizons=[])
    with pytest.raises(ParameterError, match="silence is 0"):
        churn_by_silence(None, 0)
    words = survival(table, segments, horizons=[10]).summary()
    assert words.startswith("30 of 42 customers left. Churn by 10: (all)")
