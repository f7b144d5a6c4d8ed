"""Where every customer did the same there is no effect, no interval, and no warning."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import custseg as cs
from custseg.errors import DataError
from custseg.stats import mann_whitney, permutation_test


def analyze(metric, values):
    table = pd.DataFrame({"arm": ["control", "email"] * 20, "y": values})
    table["tier"] = ["basic"] * 20 + ["gold"] * 20
    test = cs.CampaignTest(arm="arm", control="control", metrics={"y": metric}, segments="tier")
    return test.analyze(table)


@pytest.mark.parametrize(
    "metric",
    [
        cs.Rank("y"),
        cs.Mean("y"),
        cs.Mean("y", test="permutation"),
        cs.Mean("y", test="bootstrap"),
        cs.Quantile("y"),
    ],
)
def test_metrics_agree_that_equal_outcomes_are_no_effect(metric):
    found = analyze(metric, 3.0).to_frame()
    assert found["segment"].tolist() == ["(all)", "basic", "gold"]
    assert (found["effect"] == 0).all()
    assert (found["se"] == 0).all()
    assert found[["ci_low", "ci_high"]].isna().all(axis=None)


def test_ranks_of_equal_outcomes_are_even():
    found = analyze(cs.Rank("y"), 0.0).to_frame()
    assert (found[["control", "treatment"]] == 0.5).all(axis=None)
    assert (found["p_value"] == 1).all()  # as scipy
    assert stats.mannwhitneyu([0] * 20, [0] * 20).pvalue == 1


def test_a_segment_of_equal_outcomes_leaves_the_others_alone():
    rng = np.random.default_rng(1)
    values = np.append(np.zeros(20), rng.normal(size=20))
    found = analyze(cs.Rank("y"), values).to_frame().set_index("segment")
    alone = mann_whitney(values[20::2], values[21::2])
    assert found.loc["gold", "ci_low"] == pytest.approx(alone.ci_low - 0.5)
    assert found.loc["gold", "p_value"] == alone.p_value
    assert np.isnan(found.loc["basic", "ci_low"])


@pytest.mark.parametrize("sizes", [(1, 1), (1, 5), (2, 2), (30, 7)])
def test_mann_whitney_of_equal_values(sizes):
    found = mann_whitney(*(np.full(n, 2.5) for n in sizes))
    assert found.estimate == 0.5
    assert found.p_value == 1
    assert np.isnan([found.ci_low, found.ci_high]).all()


def test_the_permutation_p_value_is_of_the_absolute_t_not_twice_a_tail():
    few, many = [9.0, 1.0, 2.0], [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 2.0]

    def t(x, y, axis):
        spread = x.var(axis, ddof=1) / x.shape[axis] + y.var(axis, ddof=1) / y.shape[axis]
        return (y.mean(axis) - x.mean(axis)) / np.sqrt(spread)

    def scipy(statistic, alternative):
        given = {"vectorized": True, "n_resamples": np.inf, "alternative": alternative}
        return stats.permutation_test((few, many), statistic, **given).pvalue

    found = permutation_test(few, many).p_value
    assert found == pytest.approx(scipy(lambda x, y, axis: np.abs(t(x, y, axis)), "greater"))
    assert abs(found - scipy(t, "two-sided")) > 0.01


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([np.inf, 1.0], "control holds 1 infinite value. Replace or drop it."),
        ([np.inf, -np.inf, 1.0], "control holds 2 infinite values. Replace or drop them."),
    ],
)
def test_infinite_values_are_counted_in_words_that_agree(values, words):
    with pytest.raises(DataError, match=words):
        mann_whitney(values, [1.0, 2.0])
