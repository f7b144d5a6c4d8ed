import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    score_test_proportions_2indep,
)

from custseg.errors import DataError, ParameterError
from custseg.stats import (
    fisher,
    koopman,
    miettinen_nurminen,
    newcombe,
    relative_difference,
    score_statistic,
    wald,
)

COUNTS = [(0, 10), (10, 10), (1, 21_306), (5, 17), (2_261, 21_306), (56, 70), (1, 1)]


def likelihood(x_1, n_1, x_2, n_2, p_1, p_2):
    return stats.binom.logpmf(x_1, n_1, p_1) + stats.binom.logpmf(x_2, n_2, p_2)


def by_search(x_1, n_1, x_2, n_2, difference):
    """The score statistic with the likeliest proportions found on ever finer grids."""
    low, high = max(difference, 0.0), min(1 + difference, 1.0)
    for _ in range(40):
        grid = np.linspace(low, high, 41)
        best = np.argmax(likelihood(x_1, n_1, x_2, n_2, grid, np.clip(grid - difference, 0, 1)))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 40)]
    p_1, p_2 = grid[best], grid[best] - difference
    variance = p_1 * (1 - p_1) / n_1 + p_2 * (1 - p_2) / n_2
    scale = (n_1 + n_2) / (n_1 + n_2 - 1)
    return (x_1 / n_1 - x_2 / n_2 - difference) / np.sqrt(variance * scale)


def test_miettinen_nurminen_reproduces_the_published_examples():
    # Newcombe (1998), table II, method 6
    published = {
        (56, 70, 48, 80): (0.0528, 0.3382),
        (9, 10, 3, 10): (0.1700, 0.8406),
        (6, 7, 2, 7): (0.0342, 0.8534),
        (5, 56, 0, 29): (-0.0326, 0.1933),
    }
    for table, want in published.items():
        np.testing.assert_allclose(miettinen_nurminen(*table), want, atol=5e-5)


@pytest.mark.parametrize("first", COUNTS)
@pytest.mark.parametrize("second", COUNTS)
def test_the_bounds_are_where_the_score_test_turns(first, second):
    low, high = miettinen_nurminen(*first, *second)
    z = stats.norm.isf(0.025)
    if low > -1:
        assert score_statistic(*first, *second, low) == pytest.approx(z, abs=1e-6)
    if high < 1:
        assert score_statistic(*first, *second, high) == pytest.approx(-z, abs=1e-6)
    assert low <= first[0] / first[1] - second[0] / second[1] <= high


@pytest.mark.parametrize("difference", [-0.3, -0.02, 0.0, 0.1])
@pytest.mark.parametrize(("first", "second"), [((5, 17), (9, 12)), ((3, 40), (20, 300))])
def test_the_score_statistic_maximises_the_likelihood_(difference, first, second):
    found = score_statistic(*first, *second, difference)
    assert found == pytest.approx(by_search(*first, *second, difference), abs=1e-6)


@pytest.mark.parametrize("first", COUNTS[2:])
@pytest.mark.parametrize("second", COUNTS[3:-1])
def test_at_no_difference_the_score_statistic_equals_statsmodels(first, second):
    want = score_test_proportions_2indep(*first, *second, return_results=False)[0]
    assert score_statistic(*first, *second) == pytest.approx(want, rel=1e-10)


def test_rare_successes_keep_their_digits():
    for table in [(1, 10**6, 5, 10**6), (0, 10**6, 30, 10**5), (10**6 - 1, 10**6, 10**5, 10**5)]:
        for bound, z in zip(miettinen_nurminen(*table), (1, -1), strict=True):
            found = score_statistic(*table, bound)
            assert found == pytest.approx(z * stats.norm.isf(0.025), rel=1e-8)


@pytest.mark.parametrize(("pseudo", "method"), [(0, "wald"), (1, "agresti-caffo")])
def test_wald_and_agresti_caffo_equal_statsmodels(pseudo, method):
    for first in COUNTS:
        for second in COUNTS:
            low, high = wald(*first, *second, pseudo=pseudo, level=0.9)
            want = confint_proportions_2indep(*first, *second, method=method, alpha=0.1)
            np.testing.assert_allclose((low, high), np.clip(want, -1, 1), atol=1e-13)


def test_fisher_equals_scipy_and_adds_up_the_tables_by_hand():
    x_1, x_2 = np.arange(8)[:, None], np.arange(11)
    found = fisher(x_1, 7, x_2, 10)
    assert found.shape == (8, 11)
    for a in range(8):
        for b in range(11):
            tables = stats.hypergeom(17, a + b, 7).pmf(np.arange(8))
            by_hand = tables[tables <= tables[a] * (1 + 1e-9)].sum()
            assert found[a, b] == pytest.approx(by_hand, rel=1e-9)


def test_fisher_keeps_its_level_whatever_the_proportion():
    x = np.arange(13)
    rejected = fisher(x[:, None], 12, x, 12) <= 0.05
    for p in np.linspace(0.02, 0.98, 25):
        weights = stats.binom.pmf(x, 12, p)
        assert weights @ rejected @ weights <= 0.05


@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 60), st.integers(1, 60))
def test_miettinen_nurminen_mirrors_and_contains_the_estimate(x_1, n_1, x_2, n_2):
    x_1, x_2 = min(x_1, n_1), min(x_2, n_2)
    low, high = miettinen_nurminen(x_1, n_1, x_2, n_2)
    assert -1 <= low <= x_1 / n_1 - x_2 / n_2 <= high <= 1
    mirrored = miettinen_nurminen(x_2, n_2, x_1, n_1)
    np.testing.assert_allclose((-high, -low), mirrored, atol=1e-7)


@pytest.mark.parametrize("interval", [miettinen_nurminen, newcombe, wald])
def test_exact_coverage_of_small_samples(interval):
    """Every outcome of two samples counted, not simulated; Wald is known to fall short."""
    n_1, n_2 = 25, 40
    x_1, x_2 = np.arange(n_1 + 1)[:, None], np.arange(n_2 + 1)
    low, high = interval(x_1, n_1, x_2, n_2)
    coverage = []
    for p_1, p_2 in [(0.02, 0.02), (0.05, 0.1), (0.3, 0.2), (0.5, 0.5), (0.9, 0.97)]:
        chance = stats.binom.pmf(x_1, n_1, p_1) * stats.binom.pmf(x_2, n_2, p_2)
        coverage.append(chance[(low <= p_1 - p_2) & (p_1 - p_2 <= high)].sum())
    assert min(coverage) < 0.92 if interval is wald else min(coverage) >= 0.935, coverage


def test_empty_groups_are_missing_and_impossible_counts_refused():
    assert np.isnan(miettinen_nurminen(1, 2, 0, 0)).all()
    assert np.isnan(wald(1, 2, 0, 0)).all()
    assert np.isnan(fisher(1, 2, 0, 0))
    assert np.isnan(score_statistic(1, 2, 0, 0))
    for function in (miettinen_nurminen, wald, fisher, score_statistic):
        with pytest.raises(DataError, match="successes is 3 of n = 2"):
            function(3, 2, 0, 2)
    with pytest.raises(DataError, match="difference is 1, but must lie between"):
        score_statistic(1, 2, 1, 2, 1.0)
    with pytest.raises(ParameterError, match="pseudo is -1"):
        wald(1, 2, 1, 2, pseudo=-1)


def test_koopman_reproduces_his_example_and_statsmodels():
    # Koopman (1984), section 4
    np.testing.assert_allclose(koopman(36, 40, 16, 80), (2.940, 7.152), atol=5e-4)
    tables = [(5, 17, 9, 12), (1, 1_000, 7, 800), (240, 2_500, 31, 400), (40, 41, 100, 250)]
    for table in tables:
        want = confint_proportions_2indep(*table, compare="ratio", method="score", correction=False)
        np.testing.assert_allclose(koopman(*table), want, rtol=1e-7)


@pytest.mark.parametrize("first", COUNTS)
@pytest.mark.parametrize("second", COUNTS)
def test_the_bounds_of_koopman_are_where_the_chi_square_turns(first, second):
    low, high = koopman(*first, *second)
    (x_1, n_1), (x_2, n_2) = first, second
    assert (low == 0) == (x_1 == 0)
    assert np.isinf(high) == (x_2 == 0)
    for ratio, sign in ((low, 1), (high, -1)):
        if not 0 < ratio < np.inf:
            continue
        # the likeliest proportions with this ratio, on ever finer grids
        ends = np.array([0.0, min(1, 1 / ratio)])
        for _ in range(40):
            grid = np.linspace(*ends, 41)
            likely = likelihood(x_1, n_1, x_2, n_2, np.minimum(ratio * grid, 1), grid)
            best = int(np.argmax(likely))
            ends = grid[max(best - 1, 0)], grid[min(best + 1, 40)]
        p_2 = grid[best]
        p_1 = min(ratio * p_2, 1)
        variance = p_1 * (1 - p_1) / n_1 + ratio**2 * p_2 * (1 - p_2) / n_2
        z = (x_1 / n_1 - ratio * x_2 / n_2) / np.sqrt(variance)
        assert sign * z == pytest.approx(stats.norm.isf(0.025), abs=1e-5)


def test_the_log_interval_of_a_ratio_is_that_of_katz():
    for x_t, n_t, x_c, n_c in [(30, 400, 20, 500), (3, 80, 9, 70)]:
        p_c, p_t = x_c / n_c, x_t / n_t
        found = relative_difference(
            p_c, p_t, p_c * (1 - p_c) / n_c, p_t * (1 - p_t) / n_t, method="log"
        )
        want = confint_proportions_2indep(x_t, n_t, x_c, n_c, compare="ratio", method="log")
        np.testing.assert_allclose((found.ci_low + 1, found.ci_high + 1), want, rtol=1e-12)


def test_koopman_refuses_impossible_tables_and_leaves_empty_groups_open():
    assert np.isnan(koopman(0, 0, 3, 10)).all()
    with pytest.raises(DataError, match="successes is 4 of n = 3"):
        koopman(4, 3, 1, 2)
    with pytest.raises(ParameterError, match="level is 1"):
        koopman(1, 3, 1, 2, level=1)
