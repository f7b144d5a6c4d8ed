"""Two segmentations against scikit-learn, statsmodels, hand-worked numbers and simulation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association
from sklearn.metrics import adjusted_rand_score
from statsmodels.stats.contingency_tables import Table

import custseg as cs
from custseg.profiling import cross_classify
from custseg.profiling.cross import _agreement, _measures

DEPENDENT = np.array([[0.25, 0.05, 0.02], [0.05, 0.25, 0.05], [0.03, 0.05, 0.25]])


def labels(n: int = 300, seed: int = 0) -> tuple[pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    cell = rng.choice(9, n, p=DEPENDENT.ravel())
    index = pd.Index(rng.permutation(5 * n)[:n], name="customer_id")
    needs = pd.Series(np.array(["price", "service", "range"])[cell // 3], index, name="needs")
    usage = pd.Series(np.array(["daily", "weekly", "rare"])[cell % 3], index, name="usage")
    return needs, usage


@given(seed=st.integers(0, 10_000), n=st.sampled_from([30, 300]))
@settings(max_examples=25, deadline=None)
def test_measures_equal_scikit_learn_and_scipy(seed, n):
    needs, usage = labels(n, seed)
    found = cross_classify(needs, usage)
    assert found.ari == pytest.approx(adjusted_rand_score(needs, usage), abs=1e-12)
    table = found.table.to_numpy()
    assert found.p_value == pytest.approx(chi2_contingency(table, correction=False).pvalue)
    plain = association(table, method="cramer")
    assert found.cramers_v == pytest.approx(plain, abs=1e-12)
    r, c = table.shape
    corrected = plain**2 * (min(r, c) - 1) - (r - 1) * (c - 1) / (n - 1)
    k = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    assert _measures(table.astype(float))[0] == pytest.approx(corrected / k, abs=1e-12)


def test_joint_segments_are_counted_by_hand():
    needs = pd.Series(["price"] * 40 + ["service"] * 60, name="needs")
    usage = pd.Series(["often"] * 30 + ["rare"] * 10 + ["often"] * 2 + ["rare"] * 58, name="usage")
    found = cross_classify(needs, usage, min_share=0.08)
    frame = found.to_frame()
    assert frame[["needs", "usage", "n"]].values.tolist() == [
        ["price", "often", 30],
        ["price", "rare", 10],
        ["service", "often", 2],
        ["service", "rare", 58],
    ]
    assert frame["share"].tolist() == [0.3, 0.1, 0.02, 0.58]
    assert frame["share_of_first"].tolist() == [0.75, 0.25, 2 / 60, 58 / 60]
    assert frame["share_of_second"].tolist() == [30 / 32, 10 / 68, 2 / 32, 58 / 68]
    assert frame["expected"].tolist() == pytest.approx([12.8, 27.2, 19.2, 40.8])
    residuals = Table(found.table.to_numpy(), shift_zeros=False).standardized_resids
    np.testing.assert_allclose(frame["residual"], residuals.ravel(), rtol=1e-12)
    low, high = cs.stats.wilson([30, 10, 2, 58], 100)
    np.testing.assert_allclose(frame[["ci_low", "ci_high"]], np.column_stack([low, high]))
    assert frame["large_enough"].tolist() == [True, True, False, True]
    assert frame["sure"].tolist() == [True, False, True, True]
    assert found.combined.value_counts().to_dict() == {
        "service x rare": 58, "price x often": 30, "price x rare": 10, "service x often": 2,
    }  # fmt: skip


def test_the_same_segmentation_agrees_whatever_its_names():
    needs, _ = labels()
    found = cross_classify(needs, needs.map({"price": 1, "service": 2, "range": 3}))
    assert found.ari == 1
    np.testing.assert_allclose(found.agreement, 1, rtol=1e-12)
    assert len(found.combined.cat.categories) == 3


@pytest.mark.parametrize(
    "truth", [np.outer([0.5, 0.3, 0.2], [0.4, 0.4, 0.2]), DEPENDENT], ids=["none", "some"]
)
def test_intervals_cover_the_truth(truth):
    rng = np.random.default_rng(0)
    squared, ari = _measures(truth * 1e12)
    expected = np.array([np.sqrt(max(squared, 0)), ari])
    hits = np.zeros(2)
    for draw in range(200):
        counts = rng.multinomial(500, truth.ravel()).reshape(truth.shape).astype(float)
        found = _agreement(counts, 0.95, draw)
        hits += (found["ci_low"] <= expected + 1e-5) & (found["ci_high"] >= expected - 1e-5)
    assert (hits / 200 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)).all()


def test_customers_who_are_in_one_only_are_accounted_for():
    needs, usage = labels(100)
    one = needs.iloc[:80].copy()
    one.iloc[0] = None
    two = usage.iloc[20:]
    found = cross_classify(one, two)
    assert found.account == {
        "customers": 100, "used": 60, "only_first": 19, "only_second": 20, "neither": 1,
    }  # fmt: skip
    assert found.table.to_numpy().sum() == 60
    assert found.combined.isna().sum() == 40
    assert found.combined.index.is_unique
    assert any("40 customers not in both" in note for note in found.notes)
    shuffled = cross_classify(one.sample(frac=1, random_state=0), two.sample(frac=1))
    pd.testing.assert_frame_equal(found.to_frame(), shuffled.to_frame())
    pd.testing.assert_frame_equal(found.agreement, shuffled.agreement)


def test_orders_of_categories_are_kept_and_arrays_are_matched_by_position():
    needs, usage = labels(50)
    kinds = pd.CategoricalDtype(["weekly", "rare", "daily"], ordered=True)
    found = cross_classify(needs.to_numpy(), usage.astype(kinds).reset_index(drop=True))
    assert found.table.columns.tolist() == ["weekly", "rare", "daily"]
    assert found.table.index.name == "first"
    named = cross_classify(needs, usage, names=("what", "how"))
    assert named.to_frame().columns[:2].tolist() == ["what", "how"]
    text = repr(named)
    assert "what \\ how" in text
    assert named.summary() in text


def test_wrong_input_says_what_to_do():
    needs, usage = labels(50)
    with pytest.raises(cs.errors.DataError, match="no customer is in both"):
        cross_classify(needs, usage.set_axis(usage.index + 10_000))
    with pytest.raises(cs.errors.DataError, match="'usage' has one segment only"):
        cross_classify(needs, usage.map(lambda _: "x"))
    with pytest.raises(cs.errors.DataError, match="ids occur twice"):
        cross_classify(pd.concat([needs, needs.iloc[:1]]), usage)
    with pytest.raises(cs.errors.DataError, match="49 labels"):
        cross_classify(list(needs), list(usage)[:49])
    with pytest.raises(cs.errors.ParameterError, match="two different names"):
        cross_classify(needs, usage, names=("a", "a"))
    with pytest.raises(cs.errors.ParameterError, match="names is 5"):
        cross_classify(needs, usage, names=5)
    with pytest.raises(cs.errors.ParameterError, match="min_share is 5"):
        cross_classify(needs, usage, min_share=5)
    with pytest.raises(cs.errors.ParameterError, match="level is 95"):
        cross_classify(needs, usage, level=95)
