"""Survey scores against robust regression, brute force, published numbers and simulation."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.special import xlogy

from custseg.errors import DataError, ParameterError
from custseg.stats.scores import (
    ces,
    cronbach_alpha,
    csat,
    effective_sample_size,
    nps,
)

ANSWERS = st.lists(st.integers(0, 10), min_size=2, max_size=40)


def weighted_sample(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 11, n).astype(float), rng.gamma(2.0, 1.0, n)


def test_nps_of_the_textbook():
    found = nps([10] * 50 + [7] * 30 + [0] * 20)
    assert found.estimate == 30
    assert found.se == pytest.approx(7.81, abs=0.005)
    assert found.n == 100


def test_weighted_nps_and_csat_equal_a_regression_on_a_constant():
    x, w = weighted_sample()
    side = (x >= 9).astype(float) - (x <= 6)
    fit = sm.WLS(side, np.ones(len(x)), weights=w).fit(cov_type="HC0")
    found = nps(x, w)
    assert found.estimate == pytest.approx(100 * fit.params[0], rel=1e-12)
    assert found.se == pytest.approx(100 * fit.bse[0], rel=1e-12)
    fit = sm.WLS((x >= 8).astype(float), np.ones(len(x)), weights=w).fit(cov_type="HC0")
    found = csat(x, w, satisfied=8, scale=(0, 10))
    assert found.estimate == pytest.approx(100 * fit.params[0], rel=1e-12)
    assert found.se == pytest.approx(100 * fit.bse[0], rel=1e-12)


def test_weighted_ces_equals_a_regression_on_a_constant():
    x, w = weighted_sample()
    fit = sm.WLS(x, np.ones(len(x)), weights=w).fit(cov_type="HC1", use_t=True)
    found = ces(x, w, scale=(0, 10))
    want = (fit.params[0], fit.bse[0], *fit.conf_int()[0])
    np.testing.assert_allclose(found[:4], want, rtol=1e-10)


def profile_log_likelihood(delta: float, b: float, c: float, n: float) -> tuple[float, float]:
    """Return the best share of detractors for a given difference, by brute force."""

    def loss(q: float) -> float:
        rest = 1 - 2 * q - delta
        return -(xlogy(b, q + delta) + xlogy(c, q) + xlogy(n - b - c, rest))

    low, high = max(0.0, -delta), (1 - delta) / 2
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13})
    return found.x, found.fun


@pytest.mark.parametrize(("b", "c", "n"), [(50, 20, 100), (3, 1, 12), (0, 4, 9), (7, 0, 10)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_of_nps_inverts_the_score_test(b, c, n, level):
    from scipy import stats

    z = stats.norm.isf((1 - level) / 2)

    def statistic(delta: float) -> float:
        q, _ = profile_log_likelihood(delta, b, c, n)
        return (b - c - n * delta) / np.sqrt(n * (2 * q + delta - delta**2))

    low = brentq(lambda delta: statistic(delta) - z, -1 + 1e-9, (b - c) / n)
    high = brentq(lambda delta: statistic(delta) + z, (b - c) / n, 1 - 1e-9)
    found = nps([10] * b + [0] * c + [8] * (n - b - c), level=level)
    assert found.ci_low == pytest.approx(100 * low, abs=1e-4)
    assert found.ci_high == pytest.approx(100 * high, abs=1e-4)


def test_the_interval_of_nps_is_the_published_one():
    # Fagerland, Lydersen & Laake (2014), Statistics in Medicine 33, 2850-2875, score interval of
    # the data of Bentur et al.: of 21 children 1 changed one way and 7 the other.
    found = nps([10] * 1 + [0] * 7 + [8] * 13)
    assert (found.ci_low / 100, found.ci_high / 100) == pytest.approx((-0.517, -0.026), abs=5e-4)


def coverage(promoters: float, detractors: float, n: int) -> float:
    rng = np.random.default_rng(1)
    shares = [promoters, detractors, 1 - promoters - detractors]
    counts, times = np.unique(rng.multinomial(n, shares, 4_000), axis=0, return_counts=True)
    truth = 100 * (promoters - detractors)
    found = [nps([10] * b + [0] * c + [8] * p) for b, c, p in counts]
    inside = np.array([score.ci_low <= truth <= score.ci_high for score in found])
    return times @ inside / times.sum()


def test_the_interval_of_nps_covers():
    shares = [(0.5, 0.2), (0.9, 0.05), (0.1, 0.1), (0.97, 0.0), (0.3, 0.6)]
    covered = [coverage(*pair, n) for pair in shares for n in (15, 80)]
    assert 0.945 <= np.mean(covered) <= 0.97
    assert min(covered) >= 0.92  # counts are whole numbers: no interval is exact for every share


@pytest.mark.parametrize(("answer", "bound"), [(10, 100), (3, -100)])
def test_agreement_of_all_is_not_certainty(answer, bound):
    found = nps([answer] * 10)
    assert found.estimate == bound
    assert found.se == 0
    assert sorted(np.abs(found[2:4]))[1] == 100
    assert found.ci_high - found.ci_low > 20


def test_the_interval_of_nps_of_passives_is_open_on_both_sides():
    found = nps([8] * 10)
    assert found.ci_low == pytest.approx(-found.ci_high)
    assert found.ci_high > 20


def test_csat_has_the_interval_of_wilson():
    from statsmodels.stats.proportion import proportion_confint

    found = csat([5] * 8 + [2] * 4)
    want = proportion_confint(8, 12, method="wilson")
    np.testing.assert_allclose(found[2:4], 100 * np.array(want), rtol=1e-12)


def test_weighted_intervals_cover_a_population_that_answers_unevenly():
    rng = np.random.default_rng(5)
    happy_by_region = np.array([0.8, 0.3])
    truth = 100 * happy_by_region.mean()
    inside = 0
    for _ in range(1_000):
        region = (rng.random(150) < 0.2).astype(int)
        happy = rng.random(150) < happy_by_region[region]
        weights = np.where(region == 1, 0.5 / 0.2, 0.5 / 0.8)
        found = csat(np.where(happy, 5, 1), weights)
        inside += found.ci_low <= truth <= found.ci_high
    assert 0.93 <= inside / 1_000 <= 0.985


@given(ANSWERS, st.floats(0.01, 100))
def test_equal_weights_change_nothing(answers, weight):
    same = [weight] * len(answers)
    for score in (nps, lambda x, w=None: ces(x, w, scale=(0, 10))):
        np.testing.assert_allclose(score(answers, same), score(answers), rtol=1e-9, atol=1e-9)


@given(ANSWERS)
def test_order_and_missing_answers_change_nothing(answers):
    shuffled = [None, *answers[::-1]]
    np.testing.assert_allclose(nps(shuffled), nps(answers), rtol=1e-9, atol=1e-9)


@given(ANSWERS, st.integers(2, 5))
def test_weights_that_count_give_the_estimate_of_repeated_answers(answers, times):
    weights = [times] + [1] * (len(answers) - 1)
    repeated = [answers[0]] * (times - 1) + answers
    assert nps(answers, weights).estimate == pytest.approx(nps(repeated).estimate, abs=1e-9)


def test_series_are_matched_by_index():
    scores = pd.Series([10, 0, 8], index=["ann", "bob", "eve"])
    weights = pd.Series([1.0, 2.0, 4.0], index=["eve", "ann", "bob"])
    assert nps(scores, weights).estimate == pytest.approx(100 * (2 - 4) / 7)


def test_nullable_integers_are_read():
    assert nps(pd.Series([10, None, 0], dtype="Int64")) == nps([10, 0])


def test_nobody_answered():
    for score in (nps, csat, ces):
        found = score([None, None])
        assert found.n == 0
        assert np.isnan(found[:4]).all()
    assert ces([3]).estimate == 3
    assert np.isnan(ces([3])[1:4]).all()
    assert np.isnan(nps([], [])[:4]).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nps([9, 11, 99]), "score is 11 in 2 answers, outside 0 to 10.*missing first"),
        (lambda: csat([0, 5]), "score is 0 in 1 answers, outside 1 to 5"),
        (lambda: nps([9, 8], [1]), "2 scores and 1 weights"),
        (lambda: nps([9, 8], [1, -1]), "weight is -1 in 1 places"),
        (lambda: nps([9, 8], [1, None]), "weight is nan in 1 places"),
        (lambda: nps([9, 8], [0, 0]), "weights sum to 0"),
        (lambda: nps([9, None], [0, 1]), "weights of all answers are 0"),
        (lambda: nps(["very", "no"]), "score holds text"),
        (lambda: nps(pd.Series([9], index=["a"]), pd.Series([1.0], index=["b"])), "weight is nan"),
        (lambda: cronbach_alpha([1, 2, 3]), "1 dimensions"),
    ],
)
def test_bad_answers_are_refused(call, words):
    with pytest.raises(DataError, match=words):
        call()


def test_bad_parameters_are_refused():
    with pytest.raises(ParameterError, match="level is 95"):
        nps([9, 8], level=95)
    with pytest.raises(ParameterError, match="satisfied is 7"):
        csat([5], satisfied=7)


# Ten questions to fifteen people of the Real Statistics site, which pingouin ships and documents
# with alpha .5917188 and the interval (.195, .840).
QUIZ = """
3 2 2 4 1 4 5 1 4 3
5 5 4 6 3 5 1 2 5 5
7 5 3 5 5 6 4 3 3 6
2 3 4 3 3 2 2 2 6 6
6 5 5 6 5 4 4 4 6 7
1 2 2 3 4 2 5 2 3 5
4 3 3 5 3 5 2 1 2 4
2 5 4 4 3 7 2 2 4 6
6 2 5 5 5 1 6 5 2 3
5 2 4 6 4 3 5 3 1 7
4 1 3 5 2 5 3 2 3 4
4 4 2 3 2 5 3 4 2 3
5 5 5 6 2 3 3 2 4 4
6 5 5 5 4 2 2 1 4 6
4 4 3 5 5 3 1 3 2 3
"""


def test_alpha_is_the_published_one():
    rows = [[float(cell) for cell in row.split()] for row in QUIZ.strip().splitlines()]
    found = cronbach_alpha([*rows, [None] + [1.0] * 9])
    assert found.estimate == pytest.approx(0.5917188485995826, rel=1e-12)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.195, 0.840), abs=5e-4)
    assert (found.n, found.n_items) == (15, 10)


def likert(n: int = 60, k: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(np.round(4 + rng.normal(0, 1.2, (n, 1)) + rng.normal(0, 1, (n, k))), 1, 7)


def test_alpha_is_the_covariance_formula_counted_by_hand():
    x = likert()
    n, k = x.shape
    means = [sum(row[i] for row in x) / n for i in range(k)]
    cov = [
        [sum((r[i] - means[i]) * (r[j] - means[j]) for r in x) / (n - 1) for j in range(k)]
        for i in range(k)
    ]
    between = sum(cov[i][j] for i in range(k) for j in range(k) if i != j)
    within = sum(cov[i][i] for i in range(k))
    mean_covariance = between / (k * (k - 1))
    mean_variance = within / k
    want = k * mean_covariance / (mean_variance + (k - 1) * mean_covariance)
    assert cronbach_alpha(x).estimate == pytest.approx(want, rel=1e-12)


@given(st.integers(0, 10_000), st.floats(0.1, 9), st.floats(-50, 50))
def test_alpha_does_not_depend_on_unit_origin_or_order(seed, factor, shift):
    x = likert(12, 3, seed)
    np.testing.assert_allclose(
        cronbach_alpha(x[::-1, ::-1] * factor + shift), cronbach_alpha(x), rtol=1e-7, atol=1e-9
    )


def test_the_interval_of_alpha_covers():
    rng = np.random.default_rng(2)
    k, variance = 4, 1.0
    truth = k * variance / (1 + k * variance)
    inside = 0
    for _ in range(1_500):
        x = rng.normal(0, np.sqrt(variance), (30, 1)) + rng.normal(0, 1, (30, k))
        found = cronbach_alpha(x)
        inside += found.ci_low <= truth <= found.ci_high
    assert 0.938 <= inside / 1_500 <= 0.962


@pytest.mark.parametrize("x", [np.ones((9, 3)), [[1, 2]], [[1], [2]], [[1, 3], [2, 2], [3, 1]]])
def test_alpha_without_variance_or_items_is_undefined(x):
    assert np.isnan(cronbach_alpha(x)[:3]).all()


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30), st.floats(0.1, 10))
def test_effective_sample_size_is_at_most_the_number_and_has_no_unit(weights, factor):
    size = effective_sample_size(weights)
    assert 1 - 1e-9 <= size <= len(weights) * (1 + 1e-9)
    assert effective_sample_size([factor * w for w in weights]) == pytest.approx(size)
