from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from custseg._kernels.resampling import bootstrap_sums, permutation_sums
from custseg.errors import DataError, ParameterError
from custseg.stats import (
    bootstrap_difference,
    mann_whitney,
    permutation_test,
    quantile_difference,
)

MASK = (1 << 64) - 1


class Xoshiro:
    """xoshiro256++ in whole numbers of Python, as published, with Lemire's bounded numbers."""

    def __init__(self, state):
        self.s = [int(word) for word in state]

    def word(self):
        s = self.s
        total = (s[0] + s[3]) & MASK
        result = (((total << 23) | (total >> 41)) + s[0]) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = ((s[3] << 45) | (s[3] >> 19)) & MASK
        return result


def bounded(half, n):
    """A position below n, or None where it has to be drawn again."""
    product = half * n
    return None if product % 2**32 < 2**32 % n else product >> 32


def states(n, seed=3):
    return np.random.SeedSequence(seed).generate_state(4 * n, np.uint64).reshape(n, 4)


def skewed(n, seed, shift=0.0):
    return np.random.default_rng(seed).lognormal(1, 1.2, n) + shift


@pytest.mark.parametrize("n", [1, 2, 7, 100, 101])
def test_the_bootstrap_kernel_equals_its_twin(n):
    values, given = skewed(n, 1), states(20)
    sums, squares = np.empty(20), np.empty(20)
    bootstrap_sums(values, given, 0, 20, sums, squares)
    for r in range(20):
        stream, places = Xoshiro(given[r]), []
        while len(places) < n:
            word = stream.word()
            for half in (word % 2**32, word >> 32):
                place = bounded(half, n)
                if place is not None and len(places) < n:
                    places.append(place)
        assert sums[r] == pytest.approx(values[places].sum(), rel=1e-13)
        assert squares[r] == pytest.approx((values[places] ** 2).sum(), rel=1e-13)


@pytest.mark.parametrize(("n", "size"), [(2, 1), (7, 3), (60, 60), (90, 41)])
def test_the_permutation_kernel_equals_its_twin(n, size):
    values, state = skewed(n, 2), states(1)[0]
    sums, squares = np.empty(15), np.empty(15)
    permutation_sums(values.copy(), size, state, sums, squares)
    stream, shuffled = Xoshiro(state), values.copy()
    for r in range(15):
        i = 0
        while i < size:
            place = bounded(stream.word() >> 32, n - i)
            if place is not None:
                j = i + place
                shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
                i += 1
        assert sums[r] == pytest.approx(shuffled[:size].sum(), rel=1e-13)
        assert squares[r] == pytest.approx((shuffled[:size] ** 2).sum(), rel=1e-13)


def test_positions_are_drawn_alike_and_independently():
    n, repeats = 6, 40_000
    sums = np.empty(repeats)
    bootstrap_sums(7.0 ** np.arange(n), states(repeats), 0, repeats, sums, np.empty(repeats))
    # base 7 holds how often each value was drawn: a multinomial with equal shares
    counts = np.stack([sums // 7**i % 7 for i in range(n)], axis=1)
    assert (counts.sum(axis=1) == n).all()
    covariance = np.eye(n) - 1 / n
    error = 5 / np.sqrt(repeats)
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=error)
    np.testing.assert_allclose(np.cov(counts.T), covariance, atol=2 * error)


def test_all_subsets_are_equally_frequent():
    sums = np.empty(60_000)
    permutation_sums(2.0 ** np.arange(6), 3, states(1)[0], sums, np.empty(60_000))
    subsets = sorted(sum(2**i for i in c) for c in combinations(range(6), 3))
    seen = np.array([(sums == subset).sum() for subset in subsets])
    assert stats.chisquare(seen).pvalue > 1e-3
    # each in the sequence says nothing of the next
    first, second = np.unique(sums[:-1] * 64 + sums[1:], return_counts=True)
    assert len(first) == 400
    assert stats.chisquare(second).pvalue > 1e-3


def test_the_spread_is_the_closed_form_over_thirty_seeds():
    """Streams that overlap would make all resamples too alike, or one seed like the next."""
    a, b = skewed(400, 4), skewed(300, 5)
    want = np.sqrt(a.var() / 400 + b.var() / 300)
    found = [bootstrap_difference(a, b, n_resamples=2_000, seed=s) for s in range(30)]
    error = 1 / np.sqrt(2 * 2_000)
    assert all(abs(f.se / want - 1) < 4 * error for f in found)
    assert np.mean([f.se for f in found]) == pytest.approx(want, rel=3 * error / np.sqrt(30))
    means = np.array([f.resamples.mean() - f.effect for f in found]) / want * np.sqrt(2_000)
    assert stats.kstest(means, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef([f.resamples for f in found]) - np.eye(30)).max() < 0.12


@pytest.mark.parametrize("method", ["percentile", "basic"])
def test_intervals_agree_with_scipy(method):
    a, b = skewed(60, 6), skewed(45, 7, shift=1)
    found = bootstrap_difference(a, b, n_resamples=40_000, method=method)

    def difference(x, y, axis=-1):
        return y.mean(axis=axis) - x.mean(axis=axis)

    want = stats.bootstrap((a, b), difference, n_resamples=40_000, method=method, rng=1)
    # a bound is known to sqrt(.025 * .975 / 40,000) / density: some 1.3% of a standard error
    bounds = np.array(want.confidence_interval)
    np.testing.assert_allclose((found.ci_low, found.ci_high), bounds, atol=0.08 * found.se)
    assert found.se == pytest.approx(want.standard_error, rel=0.02)


def test_bca_equals_scipy_on_the_same_resamples(monkeypatch):
    a, b = skewed(30, 8), skewed(25, 9)
    found = bootstrap_difference(a, b, n_resamples=3_000, method="bca", level=0.9)

    def difference(x, y, axis=-1):
        return y.mean(axis=axis) - x.mean(axis=axis)

    empty = stats.bootstrap((a, b), difference, n_resamples=2, method="percentile", rng=1)
    object.__setattr__(empty, "bootstrap_distribution", found.resamples)
    want = stats.bootstrap(
        (a, b), difference, n_resamples=0, confidence_level=0.9, bootstrap_result=empty
    ).confidence_interval
    np.testing.assert_allclose((found.ci_low, found.ci_high), want, rtol=1e-10)


def test_the_studentized_interval_is_its_definition_on_draws_of_numpy():
    a, b = skewed(40, 10), skewed(30, 11)
    found = bootstrap_difference(a, b, n_resamples=60_000, method="studentized")
    rng = np.random.default_rng(12)
    x, y = (rng.choice(v, (60_000, len(v))) for v in (a, b))
    error = np.sqrt(x.var(axis=1, ddof=1) / 40 + y.var(axis=1, ddof=1) / 30)
    effect = b.mean() - a.mean()
    t = (y.mean(axis=1) - x.mean(axis=1) - effect) / error
    se = np.sqrt(a.var(ddof=1) / 40 + b.var(ddof=1) / 30)
    want = effect - np.quantile(t, [0.975, 0.025]) * se
    np.testing.assert_allclose((found.ci_low, found.ci_high), want, atol=0.12 * se)
    p = 2 * min((t >= effect / se).mean(), (t <= effect / se).mean())
    assert found.p_value == pytest.approx(p, abs=0.02)


@pytest.mark.parametrize("method", ["studentized", "percentile"])
def test_threads_and_the_order_of_rows_change_nothing(method):
    a, b = skewed(3_000, 13), skewed(2_000, 14)
    one = bootstrap_difference(a, b, n_resamples=5_000, method=method, n_jobs=1)
    four = bootstrap_difference(a[::-1], b, n_resamples=5_000, method=method, n_jobs=4)
    assert one[1:5] == pytest.approx(four[1:5], rel=1e-9)
    np.testing.assert_allclose(one.resamples, four.resamples, rtol=1e-9)
    again = bootstrap_difference(a, b, n_resamples=5_000, method=method, n_jobs=3)
    np.testing.assert_array_equal(again.resamples, one.resamples)
    other = bootstrap_difference(a, b, n_resamples=5_000, method=method, seed=1)
    assert np.abs(other.resamples - one.resamples).min() >= 0
    assert other.ci_low != one.ci_low
    tests = [permutation_test(a, b, n_resamples=4_000, n_jobs=jobs) for jobs in (1, 4)]
    assert tests[0] == tests[1]


def test_the_resampled_quantile_equals_drawing_and_sorting():
    a, b = np.round(skewed(23, 15), 1), np.round(skewed(40, 16), 1)
    rng = np.random.default_rng(17)
    for q in (0.1, 0.5, 0.83):
        found = quantile_difference(a, b, q, n_resamples=40_000)
        x, y = (rng.choice(v, (40_000, len(v))) for v in (a, b))
        drawn = np.quantile(y, q, axis=1) - np.quantile(x, q, axis=1)
        assert found.effect == np.quantile(b, q) - np.quantile(a, q)
        assert stats.ks_2samp(found.resamples, drawn).pvalue > 1e-3
        assert found.se == pytest.approx(drawn.std(), rel=0.03)


def test_a_bootstrapped_quantile_has_the_exact_variance_of_maritz_and_jarrett():
    values = skewed(51, 18)
    found = quantile_difference(np.zeros(3), values, 0.5, n_resamples=60_000)
    ordered, edges = np.sort(values), stats.beta(26, 26).cdf(np.arange(52) / 51)
    weights = np.diff(edges)
    want = np.sqrt(weights @ ordered**2 - (weights @ ordered) ** 2)
    assert found.se == pytest.approx(want, rel=0.02)


def test_a_small_permutation_test_does_every_regrouping_once():
    a, b = skewed(5, 19), skewed(6, 20, shift=3)
    found = permutation_test(a, b)
    together, t = np.concatenate([a, b]), []
    for chosen in combinations(range(11), 5):
        rest = np.setdiff1d(np.arange(11), chosen)
        t.append(stats.ttest_ind(together[list(chosen)], together[rest], equal_var=False).statistic)
    want = np.mean(np.abs(t) >= abs(t[0]) * (1 - 1e-9))
    assert found.exact
    assert found.n_resamples == 462
    assert found.p_value == pytest.approx(want, rel=1e-12)


def test_a_large_permutation_test_agrees_with_scipy():
    a, b = skewed(40, 21), skewed(55, 22, shift=1.2)
    found = permutation_test(a, b, n_resamples=20_000)

    def welch(x, y, axis=-1):
        return np.abs(stats.ttest_ind(x, y, equal_var=False, axis=axis).statistic)

    want = stats.permutation_test(
        (a, b), welch, n_resamples=5_000, alternative="greater", rng=1
    ).pvalue
    assert not found.exact
    assert found.p_value == pytest.approx(want, abs=4 * np.sqrt(want / 5_000) + 1e-3)


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_the_permutation_test_keeps_its_level(spread):
    rng = np.random.default_rng(23)
    p = [
        permutation_test(
            rng.exponential(1, 60) - 1, spread * (rng.exponential(1, 60) - 1), n_resamples=399
        ).p_value
        for _ in range(600)
    ]
    error = 2 * np.sqrt(0.05 * 0.95 / 600)
    # exact where the groups are alike; in the limit where their spreads differ
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + error + (0.02 if spread > 1 else 0)


def test_mann_whitney_equals_scipy_and_counts_pairs():
    rng = np.random.default_rng(24)
    for a, b in [
        (rng.normal(0, 1, 8), rng.normal(1, 2, 7)),
        (rng.poisson(2, 60), rng.poisson(3, 80)),
    ]:
        found = mann_whitney(a, b, level=0.9)
        pairs = np.sign(np.subtract.outer(b, a))
        assert found.estimate == pytest.approx((pairs.mean() + 1) / 2, rel=1e-12)
        assert found.p_value == stats.mannwhitneyu(b, a).pvalue
        want = stats.brunnermunzel(a, b)
        assert (found.estimate - 0.5) / found.se == pytest.approx(want.statistic, rel=1e-10)
        assert found.ci_low < found.estimate < found.ci_high


def test_mann_whitney_covers_under_unequal_spreads():
    rng = np.random.default_rng(25)
    truth = stats.norm.cdf(0.8 / np.hypot(1, 3))
    covered = 0
    for _ in range(1_000):
        found = mann_whitney(rng.normal(0, 1, 40), rng.normal(0.8, 3, 60))
        covered += found.ci_low <= truth <= found.ci_high
    assert covered / 1_000 >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 1_000)


def test_groups_without_spread_have_no_interval():
    for found in (
        bootstrap_difference([1, 1, 1], [2, 2]),
        quantile_difference([1, 1, 1], [2, 2]),
    ):
        assert found.effect == 1
        assert found.se == 0
        assert np.isnan([found.ci_low, found.ci_high, found.p_value]).all()
    assert np.isnan(bootstrap_difference([1.0], [2.0, 3.0]).p_value)
    assert np.isnan(permutation_test([1, 1], [1, 1]).p_value)
    assert permutation_test([1, 1, 1], [2, 2, 2]).p_value == pytest.approx(0.1)
    apart = mann_whitney([1, 2, 3], [4, 5, 6])
    assert apart.estimate == 1
    assert np.isnan(apart.ci_low)
    assert apart.p_value == pytest.approx(0.1)


def test_missing_values_do_not_count_and_wrong_input_is_named():
    a = [1.0, np.nan, 2.0, 5.0]
    assert bootstrap_difference(a, [3.0, 4.0])[:5] == bootstrap_difference([1, 2, 5], [3, 4])[:5]
    with pytest.raises(DataError, match="treatment holds no value"):
        bootstrap_difference([1.0], [np.nan])
    with pytest.raises(DataError, match="control holds 1 infinite"):
        mann_whitney([1.0, np.inf], [1.0])
    with pytest.raises(ParameterError, match=r"method is 'BCA'.*Did you mean 'bca'"):
        bootstrap_difference([1, 2], [1, 2], method="BCA")
    with pytest.raises(ParameterError, match="q is 1"):
        quantile_difference([1, 2], [1, 2], 1)
    with pytest.raises(ParameterError, match="seed is -1"):
        permutation_test([1, 2] * 20, [1, 2] * 20, seed=-1)
