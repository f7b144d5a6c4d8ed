"""Welch's analysis of variance and intervals of effect sizes."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from custseg.errors import DataError, ParameterError
from custseg.stats.effect_sizes import cramers_v, eta_squared, welch_anova


@pytest.mark.parametrize("sizes", [(5, 9), (10, 20, 30), (4, 4, 50, 8, 12)])
def test_welch_anova_equals_statsmodels(sizes):
    rng = np.random.default_rng(len(sizes))
    groups = [rng.normal(i / 3, 1 + i, n) for i, n in enumerate(sizes)]
    oracle = anova_oneway(groups, use_var="unequal", welch_correction=True)
    found = welch_anova(
        [g.mean() for g in groups], [g.var(ddof=1) / len(g) for g in groups], np.array(sizes) - 1
    )
    np.testing.assert_allclose(found, [oracle.statistic, *oracle.df, oracle.pvalue], rtol=1e-9)


def test_welch_anova_of_two_is_welchs_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 8), rng.normal(1, 3, 15)
    found = welch_anova([a.mean(), b.mean()], [a.var(ddof=1) / 8, b.var(ddof=1) / 15], [7, 14])
    oracle = stats.ttest_ind(a, b, equal_var=False)
    np.testing.assert_allclose(found.p_value, oracle.pvalue, rtol=1e-9)
    np.testing.assert_allclose(found.df_2, oracle.df, rtol=1e-9)


def test_groups_without_spread_or_company_have_no_test():
    assert np.isnan(welch_anova([1.0], [0.2], [5]).p_value)
    with pytest.raises(DataError, match="all are equal"):
        welch_anova([1.0, 2.0], [0.2, 0.0], [5, 5])


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize(("eta2", "df_1", "df_2"), [(0.2, 2, 57), (0.6, 4, 20), (0.01, 3, 2000)])
def test_bounds_of_eta_squared_are_where_f_is_as_unlikely_as_the_level_says(
    eta2, df_1, df_2, level
):
    found = eta_squared(eta2, df_1, df_2, level=level)
    statistic, n = eta2 / (1 - eta2) * df_2 / df_1, df_1 + df_2 + 1
    for bound, tail in ((found.ci_low, (1 + level) / 2), (found.ci_high, (1 - level) / 2)):
        below = stats.ncf.cdf(statistic, df_1, df_2, n * bound / (1 - bound))
        np.testing.assert_allclose(below, tail, rtol=1e-6)


@pytest.mark.parametrize(("statistic", "n", "shape"), [(9.0, 100, (2, 3)), (150.0, 400, (4, 5))])
def test_bounds_of_cramers_v_are_where_chi_square_is_as_unlikely_as_the_level_says(
    statistic, n, shape
):
    found = cramers_v(statistic, n, *shape)
    side, df = min(shape) - 1, (shape[0] - 1) * (shape[1] - 1)
    assert found.estimate == pytest.approx(np.sqrt(statistic / n / side))
    for bound, tail in ((found.ci_low, 0.975), (found.ci_high, 0.025)):
        below = stats.ncx2.cdf(statistic, df, n * side * bound**2)
        np.testing.assert_allclose(below, tail, rtol=1e-6)


def test_bounds_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    means, n, cells = np.array([0.0, 0.3, 0.7]), 40, np.array([[0.2, 0.2, 0.1], [0.1, 0.15, 0.25]])
    true_eta2 = means.var() / (1 + means.var())
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0))
    true_v = np.sqrt(((cells - expected) ** 2 / expected).sum())
    held = np.zeros(2)
    for _ in range(400):
        f = stats.f_oneway(*rng.normal(means[:, None], 1, (3, n))).statistic
        low, high = eta_squared(2 * f / (2 * f + 3 * n - 3), 2, 3 * n - 3)[1:]
        held[0] += low <= true_eta2 <= high
        table = rng.multinomial(300, cells.ravel()).reshape(2, 3)
        chi2 = stats.chi2_contingency(table, correction=False).statistic
        low, high = cramers_v(chi2, 300, 2, 3)[1:]
        held[1] += low <= true_v <= high
    assert (np.abs(held / 400 - 0.95) < 0.033).all()


def test_nothing_and_everything_stay_between_0_and_1():
    assert eta_squared(0.0, 2, 57)[1:] == (0.0, 0.0)
    assert np.isnan(eta_squared(1.0, 2, 57).ci_low)
    assert cramers_v(0.0, 50, 2, 2) == (0.0, 0.0, 0.0)
    assert cramers_v(50.0, 50, 2, 2).ci_high == 1
    assert np.isnan(cramers_v(3.0, 50, 1, 4)).all()
    with pytest.raises(ParameterError, match="level is 95"):
        eta_squared(0.1, 2, 50, level=95)
