"""Exact tests of two proportions against published numbers, SciPy and brute enumeration."""

import numpy as np
import pytest
from scipy import stats

from custseg.errors import DataError
from custseg.stats import barnard, boschloo, fisher

EXACT = {"fisher": fisher, "boschloo": boschloo, "barnard": barnard}


def test_barnard_has_the_p_values_of_his_r_package():
    # as quoted in the tests of SciPy; a column is a group
    published = {
        ((43, 40), (10, 39)): 0.000362832367,
        ((2, 7), (8, 2)): 0.019210815430,
        ((5, 1), (10, 10)): 0.156277546306,
        ((5, 15), (20, 20)): 0.066363501421,
    }
    for ((a, b), (c, d)), want in published.items():
        assert barnard(a, a + c, b, b + d) == pytest.approx(want, abs=2e-5)


TABLES = [
    (7, 9, 1, 8),
    (6, 30, 1, 30),
    (6, 100, 1, 100),
    (0, 40, 3, 25),
    (9, 15, 3, 15),
    (12, 13, 5, 21),
]


@pytest.mark.parametrize("table", TABLES)
def test_unconditional_tests_equal_scipy(table):
    x_1, n_1, x_2, n_2 = table
    square = [[x_1, x_2], [n_1 - x_1, n_2 - x_2]]
    want = stats.boschloo_exact(square, n=64).pvalue
    assert boschloo(*table) == pytest.approx(want, rel=1e-7)
    # the score statistic is the same for groups and for outcomes, the sampling is by group
    assert barnard(*table) == pytest.approx(stats.barnard_exact(square, n=64).pvalue, rel=1e-7)
    assert barnard(*table) == pytest.approx(barnard(x_2, n_2, x_1, n_1), rel=1e-9)
    assert boschloo(*table) == pytest.approx(boschloo(n_1 - x_1, n_1, n_2 - x_2, n_2), rel=1e-9)


def by_enumeration(ordering, x_1, n_1, x_2, n_2):
    """The largest chance, on a grid of proportions, of tables at least as extreme."""
    a, b = np.meshgrid(np.arange(n_1 + 1), np.arange(n_2 + 1), indexing="ij")
    value = ordering(a, n_1, b, n_2)
    inside = value <= value[x_1, x_2] * (1 + 1e-9) + 1e-12
    p = np.linspace(1e-4, 1 - 1e-4, 4_001)[:, None]
    first, second = (stats.binom.pmf(np.arange(n + 1), n, p) for n in (n_1, n_2))
    return np.einsum("pa,ab,pb->p", first, inside.astype(float), second).max()


@pytest.mark.parametrize("table", TABLES)
def test_unconditional_tests_are_the_worst_case_of_all_tables(table):
    def below(a, m, b, k):
        return stats.hypergeom.cdf(a, m + k, a + b, m)

    def above(a, m, b, k):
        return stats.hypergeom.cdf(b, m + k, a + b, k)

    def far(a, m, b, k):
        pooled = (a + b) / (m + k)
        error = np.sqrt(pooled * (1 - pooled) * (1 / m + 1 / k))
        return -np.abs(np.divide(b / k - a / m, error, out=np.zeros(error.shape), where=error > 0))

    sides = min(by_enumeration(side, *table) for side in (below, above))
    assert boschloo(*table) == pytest.approx(min(2 * sides, 1), rel=1e-4)
    x_1, n_1, x_2, n_2 = table
    a, b = np.meshgrid(np.arange(n_1 + 1), np.arange(n_2 + 1), indexing="ij")
    value = far(a, n_1, b, n_2)
    inside = (value <= value[x_1, x_2] + 1e-9).astype(float)
    p = np.linspace(1e-4, 1 - 1e-4, 4_001)[:, None]
    first, second = (stats.binom.pmf(np.arange(n + 1), n, p) for n in (n_1, n_2))
    want = np.einsum("pa,ab,pb->p", first, inside, second).max()
    assert barnard(*table) == pytest.approx(want, rel=1e-4)


def rejections(test, n_1, n_2):
    a, b = (part.ravel() for part in np.meshgrid(np.arange(n_1 + 1), np.arange(n_2 + 1)))
    return a, b, test(a, n_1, b, n_2) <= 0.05


@pytest.mark.parametrize("name", EXACT)
def test_exact_tests_keep_their_level_whatever_the_proportion_and_find_what_they_say(name):
    a, b, rejected = rejections(EXACT[name], 10, 8)
    for p in (0.02, 0.1, 0.3, 0.5, 0.77, 0.96):
        chance = stats.binom.pmf(a, 10, p) * stats.binom.pmf(b, 8, p)
        assert chance[rejected].sum() <= 0.05 + 1e-9
    found = (stats.binom.pmf(a, 10, 0.1) * stats.binom.pmf(b, 8, 0.7))[rejected].sum()
    assert found > 0.69 if name == "fisher" else found > 0.76


@pytest.mark.parametrize("name", EXACT)
def test_tables_that_say_nothing_have_p_of_one_or_none(name):
    found = EXACT[name]([0, 10, 5, 0, 3], [10, 10, 10, 0, 9], [0, 20, 10, 4, 3], [20, 20, 20, 9, 9])
    np.testing.assert_allclose(found, [1, 1, 1, np.nan, 1])
    with pytest.raises(DataError, match="successes is 4 of n = 3"):
        EXACT[name](4, 3, 1, 2)


def test_many_customers_with_few_successes_are_no_obstacle():
    found = barnard(5, 1_000, 0, 1_000)
    assert found == pytest.approx(0.0261213, abs=1e-6)  # stats.barnard_exact, in seconds
    # SciPy's search finds .291 only
    assert barnard(6, 1_000, 1, 500) == pytest.approx(0.32396, abs=1e-5)
