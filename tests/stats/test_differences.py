import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from custseg.errors import ParameterError
from custseg.stats import relative_difference, welch


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
