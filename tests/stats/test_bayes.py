import numpy as np
import pytest
from scipy import integrate, special, stats

from custseg.errors import DataError, ParameterError
from custseg.stats import beta_binomial, normal_posterior


def evan_miller(a_1, b_1, a_2, b_2):
    """P(second > first) for whole shapes, the published sum."""
    i = np.arange(a_2)
    terms = (
        special.betaln(a_1 + i, b_1 + b_2)
        - np.log(b_2 + i)
        - special.betaln(1 + i, b_2)
        - special.betaln(a_1, b_1)
    )
    return np.exp(terms).sum()


@pytest.mark.parametrize(
    ("successes", "n"),
    [([50, 65], [1_000, 1_000]), ([0, 3], [9, 40]), ([5_000, 5_150], [10_000] * 2)],
)
def test_two_proportions_equal_the_published_sum(successes, n):
    x, n = np.array(successes), np.array(n)
    found = beta_binomial(x, n)
    want = evan_miller(x[0] + 1, n[0] - x[0] + 1, x[1] + 1, n[1] - x[1] + 1)
    np.testing.assert_allclose(found.p_best, [1 - want, want], atol=1e-9)
    np.testing.assert_allclose(found.mean, (x + 1) / (n + 2), rtol=1e-12)
    bounds = stats.beta(x + 1, n - x + 1).interval(0.95)
    np.testing.assert_allclose((found.ci_low, found.ci_high), bounds, rtol=1e-9)


def test_two_normal_means_have_a_closed_form():
    mean, se = np.array([10.0, 10.4]), np.array([0.3, 0.05])
    found = normal_posterior(mean, se)
    spread = np.hypot(*se)
    z = 0.4 / spread
    np.testing.assert_allclose(found.p_best, [stats.norm.sf(z), stats.norm.cdf(z)], atol=1e-11)
    loss = spread * (stats.norm.pdf(z) - z * stats.norm.sf(z))
    np.testing.assert_allclose(found.expected_loss, [loss + 0.4, loss], atol=1e-11)


@pytest.mark.parametrize("kind", ["beta", "normal"])
def test_three_arms_equal_adaptive_quadrature(kind):
    if kind == "beta":
        x, n = np.array([12, 20, 2]), np.array([200, 210, 19])
        found, beliefs = beta_binomial(x, n, prior=(0.5, 0.5)), stats.beta(x + 0.5, n - x + 0.5)
        edges = (0, 1)
    else:
        found = normal_posterior([1.0, 1.5, 1.2], [0.4, 0.3, 2.0])
        beliefs, edges = stats.norm([1.0, 1.5, 1.2], [0.4, 0.3, 2.0]), (-20, 25)
    cuts = np.sort(np.concatenate([beliefs.ppf(p) for p in (1e-6, 0.5, 1 - 1e-6)]))
    for arm in range(3):
        others = [b for b in range(3) if b != arm]

        def best(v, arm=arm, others=others):
            return beliefs.pdf(v)[arm] * np.prod(beliefs.cdf(v)[others])

        def loss(v, arm=arm, others=others):
            return beliefs.cdf(v)[arm] * (1 - np.prod(beliefs.cdf(v)[others]))

        for function, column in ((best, found.p_best), (loss, found.expected_loss)):
            want = integrate.quad(function, *edges, points=cuts, limit=500, epsabs=1e-12)[0]
            assert column[arm] == pytest.approx(want, abs=1e-9)
    assert found.p_best.sum() == pytest.approx(1, abs=1e-10)


def test_the_loss_is_the_expected_largest_minus_the_mean_in_simulation():
    x, n = np.array([30, 40, 35]), np.array([400, 410, 395])
    found = beta_binomial(x, n)
    drawn = np.random.default_rng(1).beta(x + 1, n - x + 1, (400_000, 3))
    away = drawn.max(axis=1, keepdims=True) - drawn
    error = 4 * away.std(axis=0) / np.sqrt(len(drawn))
    assert (np.abs(found.expected_loss - away.mean(axis=0)) < error).all()
    best = np.bincount(drawn.argmax(axis=1), minlength=3) / len(drawn)
    assert (np.abs(found.p_best - best) < 4 * np.sqrt(best * (1 - best) / len(drawn))).all()


def test_unlike_arms_keep_their_digits():
    # a sharp arm beside a vague one, and arms that are far apart
    found = normal_posterior([0.0, 0.0], [1e-6, 1e3])
    np.testing.assert_allclose(found.p_best, [0.5, 0.5], atol=1e-9)
    np.testing.assert_allclose(found.expected_loss, 1e3 / np.sqrt(2 * np.pi), rtol=1e-9)
    far = normal_posterior([0.0, 100.0], [1.0, 1.0])
    np.testing.assert_allclose(far.p_best, [0, 1], atol=1e-12)
    np.testing.assert_allclose(far.expected_loss, [100, 0], atol=1e-9)


def test_lower_may_be_better_and_mirrors():
    x, n = np.array([12, 20]), np.array([200, 210])
    low, mirrored = beta_binomial(x, n, better="lower"), beta_binomial(n - x, n)
    np.testing.assert_allclose(low.p_best, mirrored.p_best, atol=1e-12)
    np.testing.assert_allclose(low.expected_loss, mirrored.expected_loss, atol=1e-12)
    np.testing.assert_allclose(low.mean, beta_binomial(x, n).mean, rtol=1e-12)
    means = normal_posterior([1.0, 2.0], [0.5, 0.5], better="lower")
    np.testing.assert_allclose(means.p_best[::-1], normal_posterior([1, 2], [0.5, 0.5]).p_best)


def test_a_normal_prior_shrinks_by_the_conjugate_rule():
    found = normal_posterior([4.0, 0.0], [1.0, 2.0], prior=(2.0, 1.0))
    np.testing.assert_allclose(found.mean, [3.0, 1.6], rtol=1e-12)
    half = stats.norm.isf(0.025) * np.sqrt([0.5, 0.8])
    np.testing.assert_allclose(found.ci_high - found.mean, half, rtol=1e-12)


def test_groups_are_done_at_once_and_missing_ones_are_missing():
    x, n = np.array([[1, 5], [30, 20], [0, 0]]), np.array([[10, 10], [90, 95], [7, 7]])
    together = beta_binomial(x, n)
    for group in range(3):
        alone = beta_binomial(x[group], n[group])
        np.testing.assert_allclose(together.p_best[group], alone.p_best, atol=1e-12)
    gap = normal_posterior([[1.0, 2.0], [1.0, np.nan]], [[1.0, 1.0], [1.0, 1.0]])
    assert np.isnan(gap.p_best[1]).all()
    np.testing.assert_allclose(gap.p_best[0].sum(), 1)
    assert np.isnan(normal_posterior([1.0, 2.0], [0.0, 1.0]).p_best).all()


def test_wrong_input_is_named():
    with pytest.raises(DataError, match="successes is 3 of n = 2"):
        beta_binomial([3, 1], [2, 2])
    with pytest.raises(DataError, match="se is -1"):
        normal_posterior([1.0, 2.0], [-1.0, 1.0])
    with pytest.raises(ParameterError, match="prior is 0"):
        beta_binomial([1, 1], [2, 2], prior=(0, 1))
    with pytest.raises(ParameterError, match="better is 'more'"):
        beta_binomial([1, 1], [2, 2], better="more")
