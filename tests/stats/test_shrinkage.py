"""Shrinkage against dense integration, its limits, and repeated draws."""

import numpy as np
import pytest
from scipy import stats

from custseg.errors import DataError
from custseg.stats.shrinkage import shrink

SCHOOLS = [28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18]


def on_a_grid(y: np.ndarray, se: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return posterior means and deviations by brute force over the mean and the spread."""
    tau = np.linspace(0.01, 300, 6_000)
    mu = np.linspace(y.min() - 40, y.max() + 40, 400)
    total = np.sqrt(se**2 + tau[:, None, None] ** 2)
    log = stats.norm.logpdf(y, mu[:, None], total).sum(axis=2)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    kept = tau[:, None, None] ** 2 / total**2
    means = kept * y + (1 - kept) * mu[:, None]
    mean = np.einsum("tm,tmk->k", weight, means)
    spread = np.einsum("tm,tmk->k", weight, kept * se**2 + (means - mean) ** 2)
    return mean, np.sqrt(spread)


def test_the_posterior_is_that_of_dense_integration():
    y, se = map(np.array, SCHOOLS)
    found = shrink(y, se)
    mean, spread = on_a_grid(y.astype(float), se.astype(float))
    np.testing.assert_allclose(found.estimate, mean, atol=0.03)
    np.testing.assert_allclose(found.se, spread, atol=0.03)


def test_sure_estimates_stay_and_noise_goes_to_the_mean():
    far = shrink([0.0, 100.0, 200.0], [0.1, 0.1, 0.1])
    np.testing.assert_allclose(far.estimate, [0, 100, 200], atol=0.01)
    noise = shrink([1.0, 2.0, 3.0, 2.5, 1.5], [50.0] * 5)
    assert np.ptp(noise.estimate) < 1
    assert (noise.se < 50).all()


def test_units_do_not_matter_and_missing_groups_stay_missing():
    y, se = map(np.array, SCHOOLS)
    there, scaled = shrink(y, se), shrink(3 * y + 7, 3 * se)
    np.testing.assert_allclose(scaled.estimate, 3 * there.estimate + 7)
    np.testing.assert_allclose(scaled.se, 3 * there.se)
    gap = shrink([1.0, np.nan, 3.0, 2.5], [1.0, np.nan, 2.0, 1.0])
    assert np.isnan(gap.estimate[1])
    without = shrink([1.0, 3.0, 2.5], [1.0, 2.0, 1.0])
    np.testing.assert_allclose(gap.estimate[[0, 2, 3]], without.estimate)
    assert shrink([4.0, 9.0], [2.0, 1.0]).estimate.tolist() == [4.0, 9.0]
    assert shrink([4.0, 9.0], [2.0, 1.0]).mean == pytest.approx(8)
    with pytest.raises(DataError, match="above 0"):
        shrink([1.0, 2.0], [1.0, 0.0])


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_intervals_cover_and_errors_fall(spread):
    rng = np.random.default_rng(8)
    se = np.array([0.5, 0.5, 1.0, 1.0, 2.0])
    covered, raw, shrunk = [], [], []
    for _ in range(2_000):
        truth = rng.normal(3, spread, 5)
        y = rng.normal(truth, se)
        found = shrink(y, se)
        covered.append(np.abs(found.estimate - truth) < 1.96 * found.se)
        raw.append((y - truth) ** 2)
        shrunk.append((found.estimate - truth) ** 2)
    assert np.mean(covered) > 0.935
    assert np.mean(shrunk) < np.mean(raw)
