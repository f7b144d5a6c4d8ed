import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_ind

from custseg.errors import ParameterError
from custseg.stats import margin_test, relative_difference, welch


@pytest.mark.parametrize(("n_control", "n_treatment"), [(5, 40), (300, 12)])
def test_welch_equals_statsmodels(n_control, n_treatment):
    rng = np.random.default_rng(4)
    a, b = rng.lognormal(1, 1, n_control), rng.normal(3, 4, n_treatment)
    found = welch(
        a.mean(),
        b.mean(),
        a.var(ddof=1) / n_control,
        b.var(ddof=1) / n_treatment,
        n_control - 1,
        n_treatment - 1,
        level=0.9,
    )
    want = CompareMeans(DescrStatsW(b), DescrStatsW(a))
    low, high = want.tconfint_diff(alpha=0.1, usevar="unequal")
    p = want.ttest_ind(usevar="unequal")[1]
    want_se = want.std_meandiff_separatevar
    np.testing.assert_allclose(found, (b.mean() - a.mean(), want_se, low, high, p), rtol=1e-12)


def test_without_degrees_of_freedom_welch_is_normal():
    found = welch(1.0, 3.0, 0.5, 0.5)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(2), rel=1e-12)
    assert found.ci_high == pytest.approx(2 + stats.norm.isf(0.025), rel=1e-12)


def test_no_spread_gives_an_effect_but_no_interval():
    found = welch([1.0, 1.0], [1.0, 2.0], 0.0, 0.0, 9, 9)
    np.testing.assert_array_equal(found.effect, [0, 1])
    assert np.isnan([found.ci_low, found.ci_high, found.p_value]).all()


def test_relative_difference_is_the_linearised_ratio():
    rng = np.random.default_rng(5)
    a, b = rng.gamma(2, 5, 4_000), rng.gamma(2, 6, 3_000)
    parts = (a.var(ddof=1) / 4_000, b.var(ddof=1) / 3_000, 3_999, 2_999)
    found = relative_difference(a.mean(), b.mean(), *parts)
    ratio = b.mean() / a.mean()
    by_hand = ratio * np.sqrt(parts[0] / a.mean() ** 2 + parts[1] / b.mean() ** 2)
    assert found.effect == pytest.approx(ratio - 1, rel=1e-12)
    assert found.se == pytest.approx(by_hand, rel=1e-12)
    resampled = [
        rng.choice(b, 3_000).mean() / rng.choice(a, 4_000).mean() - 1 for _ in range(2_000)
    ]
    # the standard deviation of 2,000 resamples is known to 1.6%: four of those
    assert np.std(resampled) == pytest.approx(found.se, rel=0.065)


def test_relative_difference_knows_no_zero_control_and_a_negative_one_keeps_its_sign():
    zero = relative_difference(0.0, 1.0, 0.1, 0.1, 9, 9)
    assert np.isnan(zero).all()
    loss = relative_difference(-10.0, -8.0, 0.1, 0.1, 9, 9)
    assert loss.effect == pytest.approx(-0.2)
    assert loss.ci_low < -0.2 < loss.ci_high


def test_level_is_checked():
    with pytest.raises(ParameterError, match="level is 1"):
        welch(0, 1, 1, 1, level=1)


@pytest.mark.parametrize(("control", "spread"), [(10.0, 0.4), (-8.0, 0.5), (2.0, 0.9)])
def test_fieller_holds_the_ratios_that_are_not_rejected(control, spread):
    parts = (control, 3.0, spread, 0.6, 60, 45)
    found = relative_difference(*parts, method="fieller", level=0.9)
    delta = relative_difference(*parts, level=0.9)
    a, b = spread * 9 / control**4, 0.6 / control**2
    t = stats.t.isf(0.05, (a + b) ** 2 / (a**2 / 60 + b**2 / 45))
    for bound in (found.ci_low, found.ci_high):
        ratio = bound + 1
        away = abs(3.0 - ratio * control) / np.sqrt(0.6 + ratio**2 * spread)
        assert away == pytest.approx(t, rel=1e-10)
    assert found.ci_low < found.effect < found.ci_high
    assert (found.effect, found.se) == (delta.effect, delta.se)
    assert found.p_value == welch(*parts).p_value


def test_fieller_is_unbounded_where_control_may_be_zero_and_delta_where_it_is_sure():
    open_ended = relative_difference(1.0, 3.0, 1.0, 1.0, method="fieller")
    assert (open_ended.ci_low, open_ended.ci_high) == (-np.inf, np.inf)
    sure = (100.0, 110.0, 1e-4, 1e-4)
    narrow = [relative_difference(*sure, method=method) for method in ("fieller", "delta")]
    np.testing.assert_allclose(narrow[0][:4], narrow[1][:4], rtol=1e-4)
    assert np.isnan(relative_difference(0.0, 1.0, 1.0, 1.0, method="fieller")).all()
    assert np.isnan(relative_difference(1.0, 1.0, 0.0, 0.0, method="fieller")[2:]).all()
    with pytest.raises(ParameterError, match=r"method is 'fiellr'.*Did you mean 'fieller'"):
        relative_difference(1.0, 1.0, 1.0, 1.0, method="fiellr")


def test_log_is_the_relative_interval_of_tea_tasting():
    rng = np.random.default_rng(3)
    a, b = rng.lognormal(0, 1, 250), rng.lognormal(0.2, 1, 150)
    parts = a.var(ddof=1) / 250, b.var(ddof=1) / 150
    found = relative_difference(a.mean(), b.mean(), *parts, 249, 149, method="log")
    # tea_tasting.Mean("y") on these values, version 1.14
    assert found.effect == pytest.approx(0.2494688260507758, rel=1e-12)
    bounds = (-0.045618184738934975, 0.6357943145067733)
    np.testing.assert_allclose((found.ci_low, found.ci_high), bounds, rtol=1e-11)
    assert np.isnan(relative_difference(2.0, -1.0, 0.1, 0.1, method="log")[2:]).all()
    flipped = relative_difference(b.mean(), a.mean(), *parts[::-1], 149, 249, method="log")
    np.testing.assert_allclose(1 / (1 + flipped.ci_high), 1 + found.ci_low, rtol=1e-12)
    assert flipped.p_value == pytest.approx(found.p_value, rel=1e-12)


def test_two_one_sided_tests_equal_statsmodels():
    rng = np.random.default_rng(6)
    a, b = rng.normal(10, 2, 40), rng.normal(10.3, 4, 55)
    parts = (a.var(ddof=1) / 40, b.var(ddof=1) / 55)
    difference = welch(a.mean(), b.mean(), *parts, 39, 54)
    df = sum(parts) ** 2 / (parts[0] ** 2 / 39 + parts[1] ** 2 / 54)
    found = margin_test(difference.effect, difference.se, margin=1.5, df=df)
    p, lower, upper = ttost_ind(b, a, -1.5, 1.5, usevar="unequal")
    want = (lower[1], upper[1], p)
    np.testing.assert_allclose(found, want, rtol=1e-10)


def test_a_margin_is_positive_and_no_spread_is_no_test():
    assert np.isnan(margin_test(0.1, 0.0, margin=1)).all()
    with pytest.raises(ParameterError, match="margin is 0"):
        margin_test(0.1, 0.1, margin=0)
