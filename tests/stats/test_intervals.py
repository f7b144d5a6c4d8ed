import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from custseg.errors import DataError, ParameterError
from custseg.stats import mean_interval, newcombe, wilson

COUNTS = [(0, 10), (10, 10), (1, 21_306), (5, 17), (2_261, 21_306), (1, 1)]


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_equals_statsmodels(level):
    x, n = np.array(COUNTS).T
    low, high = wilson(x, n, level=level)
    want_low, want_high = proportion_confint(x, n, alpha=1 - level, method="wilson")
    np.testing.assert_allclose(low, want_low, atol=1e-14)
    np.testing.assert_allclose(high, want_high, atol=1e-14)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("first", COUNTS)
@pytest.mark.parametrize("second", COUNTS)
def test_newcombe_equals_statsmodels(level, first, second):
    want = confint_proportions_2indep(*first, *second, method="newcomb", alpha=1 - level)
    np.testing.assert_allclose(newcombe(*first, *second, level=level), want, atol=1e-13)


def test_newcombe_reproduces_the_published_examples():
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 and 0/10 - 0/10
    np.testing.assert_allclose(newcombe(56, 70, 48, 80), (0.0524, 0.3339), atol=5e-5)
    np.testing.assert_allclose(newcombe(0, 10, 0, 10), (-0.2775, 0.2775), atol=5e-5)


def test_mean_interval_equals_scipy():
    mean, sd, n = np.array([1.5, -3.0, 0.0]), np.array([2.0, 0.1, 0.0]), np.array([2, 10, 5_000])
    low, high = mean_interval(mean, sd, n, level=0.9)
    for i in range(2):
        want = stats.t.interval(0.9, n[i] - 1, loc=mean[i], scale=sd[i] / np.sqrt(n[i]))
        np.testing.assert_allclose((low[i], high[i]), want, rtol=1e-13)
    assert low[2] == high[2] == 0


def test_nothing_to_count_gives_missing_not_a_crash():
    assert np.isnan(wilson(0, 0)).all()
    assert np.isnan(wilson(np.nan, 5)).all()
    assert np.isnan(newcombe(1, 2, 0, 0)).all()
    assert np.isnan(mean_interval(1.0, 1.0, 1)).all()
    assert np.isnan(mean_interval(np.nan, 1.0, 9)).all()


def test_scalars_in_scalars_out_and_arrays_broadcast():
    assert np.ndim(wilson(3, 9)[0]) == np.ndim(newcombe(3, 9, 1, 9)[1]) == 0
    assert np.ndim(mean_interval(1.0, 1.0, 9)[0]) == 0
    assert wilson([1, 2, 3], 9)[0].shape == (3,)
    assert newcombe([[1], [2]], 9, [1, 2, 3], 9)[0].shape == (2, 3)


@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.5, 0.999))
def test_wilson_covers_the_estimate_and_mirrors(x, n, level):
    x = min(x, n)
    low, high = wilson(x, n, level=level)
    assert 0 <= low <= x / n <= high <= 1
    mirrored = wilson(n - x, n, level=level)
    np.testing.assert_allclose((1 - high, 1 - low), mirrored, atol=1e-12)


def test_impossible_input_is_refused():
    with pytest.raises(DataError, match="successes is 3 of n = 2"):
        wilson([1, 3], [2, 2])
    with pytest.raises(DataError, match="between 0 and the number of trials"):
        newcombe(-1, 5, 0, 5)
    with pytest.raises(DataError, match="sd is -1"):
        mean_interval(0.0, -1.0, 5)
    with pytest.raises(ParameterError, match="level is 95"):
        wilson(1, 2, level=95)
