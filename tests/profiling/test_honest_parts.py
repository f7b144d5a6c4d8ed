"""The parts of the honest tests against independent implementations and brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.linear_model import LinearRegression
from statsmodels.multivariate.manova import MANOVA

from custseg.profiling._clusterings import by_size, match_codes
from custseg.profiling._reference import NULL_TABLES, as_large, draw_references
from custseg.profiling._selective import compare_pair, log_tail, truncation_set
from custseg.profiling._thinning import denoise, mean_intervals, noise_covariance, thin
from custseg.profiling._variation import f_tests, mean_wilks, variation, wilks_test


def grouped(seed: int, n: int = 60, d: int = 3, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.sort(np.append(np.arange(k), rng.integers(k, size=n - k)))
    mixed = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    return mixed + 0.5 * codes[:, None], codes


@pytest.mark.parametrize(("d", "k"), [(1, 2), (1, 4), (3, 2), (2, 3), (4, 4)])
def test_analysis_of_variance_equals_scipy_and_statsmodels(d, k):
    matrix, codes = grouped(d * 10 + k, d=d, k=k)
    n = len(codes)
    parts = variation(matrix, codes)
    oracle = stats.f_oneway(*(matrix[codes == code] for code in range(k)))
    found = f_tests(parts.eta2, n, k)
    np.testing.assert_allclose(found[0], oracle.statistic, rtol=1e-9)
    np.testing.assert_allclose(found[1], oracle.pvalue, rtol=1e-9)
    assert len(parts.within) == d
    residuals = matrix - np.array([matrix[codes == code].mean(axis=0) for code in codes])
    np.testing.assert_allclose(parts.skewness, stats.skew(residuals), rtol=1e-9)
    np.testing.assert_allclose(parts.kurtosis, stats.kurtosis(residuals), rtol=1e-9)
    np.testing.assert_allclose(parts.directions @ parts.directions.T, np.cov(matrix.T), rtol=1e-9)
    if d > 1:
        frame = pd.DataFrame(matrix, columns=[f"y{i}" for i in range(d)]).assign(g=codes)
        formula = f"{'+'.join(frame.columns[:-1])} ~ C(g)"
        table = MANOVA.from_formula(formula, frame).mv_test().results["C(g)"]["stat"]
        lambda_, _, _, f, p = table.loc["Wilks' lambda"].astype(float)
        np.testing.assert_allclose(parts.wilks, lambda_, rtol=1e-9)
        np.testing.assert_allclose(wilks_test(parts.wilks, n, k, d), (f, p), rtol=1e-8)
    assert wilks_test(0.0, 40, 3, 2) == (np.inf, 0.0)


def test_wilks_lambda_averages_to_its_mean():
    rng = np.random.default_rng(0)
    n, k, d = 20, 3, 2
    codes = np.arange(n) % k
    draws = [variation(rng.normal(size=(n, d)), codes).wilks for _ in range(4000)]
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws) - mean_wilks(n, k, d)) < 4 * error


def test_redundant_and_constant_columns_have_no_direction():
    matrix, codes = grouped(1, d=2)
    doubled = np.column_stack([matrix, matrix[:, 0] - matrix[:, 1], np.full(len(matrix), 7.0)])
    parts = variation(doubled, codes)
    assert len(parts.within) == 2
    assert np.isnan(parts.eta2[3])
    np.testing.assert_allclose(parts.wilks, variation(matrix, codes).wilks, rtol=1e-9)


def test_thinned_parts_are_uncorrelated_where_the_covariance_is_that_of_the_customers():
    rng = np.random.default_rng(2)
    covariance = np.array([[2.0, 0.7], [0.7, 0.5]])
    matrix = rng.multivariate_normal([0, 0], covariance, size=40_000)
    first, second = thin(matrix, covariance, rng)
    np.testing.assert_allclose(first + second, 2 * matrix, atol=1e-12)
    both = np.corrcoef(first.T, second.T)
    assert np.abs(both[:2, 2:]).max() < 4 / np.sqrt(40_000)
    np.testing.assert_allclose(np.cov((first - matrix).T), covariance, rtol=0.05)


def test_the_learning_part_is_the_best_prediction_of_the_customers():
    rng = np.random.default_rng(5)
    total = np.array([[3.0, 0.8], [0.8, 1.0]])
    matrix = rng.multivariate_normal([10, -4], total, size=40_000)
    noise = np.diag([0.4, 1.0])
    noisy = matrix + rng.multivariate_normal([0, 0], noise, size=len(matrix))
    learned = denoise(noisy, matrix, noise)
    straight = LinearRegression().fit(noisy, matrix).predict(noisy)
    wider = np.sqrt(matrix.var(axis=0).sum() / straight.var(axis=0).sum())
    expected = matrix.mean(axis=0) + (straight - matrix.mean(axis=0)) * wider
    np.testing.assert_allclose(learned, expected, atol=0.15)
    assert np.abs(noisy - expected).max() > 1


def test_noise_like_the_customers_only_changes_the_scale():
    rng = np.random.default_rng(6)
    one = rng.normal(size=(200, 2))
    matrix = np.column_stack([one, one[:, 0] - one[:, 1], np.full(200, 7.0)])
    covariance = np.cov(matrix.T)
    noisy, _ = thin(matrix, covariance, rng)
    mean = matrix.mean(axis=0)
    learned = denoise(noisy, matrix, covariance)
    np.testing.assert_allclose(learned - mean, (noisy - mean) / np.sqrt(2), atol=1e-7)


def test_covariance_of_noise_is_that_of_a_cloud_and_shrinks_where_groups_stand_apart():
    rng = np.random.default_rng(3)
    two = KMeans(2, n_init=1, random_state=0)

    def estimate(matrix: np.ndarray) -> np.ndarray:
        references = draw_references(matrix, two, null="normal", n_draws=99, rng=rng)
        return noise_covariance(variation(matrix, two.fit_predict(matrix)), references)

    one = rng.normal(size=(300, 3))
    np.testing.assert_allclose(estimate(one), np.cov(one.T), atol=1e-9)
    one[:150, 0] += 6
    whole, found = np.cov(one.T), estimate(one)
    assert whole[0, 0] > 9
    assert 1 < found[0, 0] < 0.5 * whole[0, 0]
    np.testing.assert_allclose(found[1:, 1:], whole[1:, 1:], rtol=0.05)


def test_null_tables_keep_what_they_promise():
    rng = np.random.default_rng(4)
    base = rng.normal(size=(4000, 1))
    matrix = np.column_stack([np.exp(base[:, 0]), (base[:, 0] + rng.normal(size=4000) > 0), base])
    normal = NULL_TABLES["normal"](matrix)(rng)
    np.testing.assert_allclose(np.cov(normal.T), np.cov(matrix.T), atol=0.35)
    copula = NULL_TABLES["copula"](matrix)(rng)
    np.testing.assert_array_equal(np.sort(copula, axis=0), np.sort(matrix, axis=0))
    assert stats.spearmanr(copula[:, 0], copula[:, 2]).statistic > 0.99
    kept = stats.spearmanr(matrix[:, 1], matrix[:, 0]).statistic
    assert abs(stats.spearmanr(copula[:, 1], copula[:, 0]).statistic - kept) < 0.05
    assert as_large(np.array([2.0]), np.array([[1.0], [2.0], [3.0]])).tolist() == [0.75]


def test_tails_of_chi_hold_where_probabilities_vanish():
    x = np.array([0.0, 0.3, 2.0, 20.0, 30.0, 60.0, 400.0, np.inf])
    np.testing.assert_allclose(
        log_tail(x, 1)[:-1], np.log(2) + special.log_ndtr(-x)[:-1], rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(log_tail(x, 2)[:-1], -(x[:-1] ** 2) / 2, rtol=1e-9, atol=1e-12)
    four = -(x[:-1] ** 2) / 2 + np.log1p(x[:-1] ** 2 / 2)
    np.testing.assert_allclose(log_tail(x, 4)[:-1], four, rtol=1e-9, atol=1e-12)
    assert log_tail(x, 3)[-1] == -np.inf


@pytest.mark.parametrize(
    ("allowed", "at", "signed"),
    [
        ([(1.9, np.inf)], 2.0, False),
        ([(0.5, 1.2), (1.99, 2.01), (5.0, np.inf)], 2.0, False),
        ([(-np.inf, -3.0), (1.5, 2.5)], 2.0, True),
        ([(-0.4, 0.7)], -0.1, True),
        ([(29.999, np.inf)], 30.0, False),
    ],
)
def test_truncation_set_finds_the_stretches_and_their_ends(allowed, at, signed):
    tries = []

    def keeps(place: float) -> bool:
        tries.append(place)
        return any(low <= place <= high for low, high in allowed)

    found = truncation_set(keeps, at, signed=signed)
    assert len(found) == len(allowed)
    for ours, theirs in zip(found, allowed, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    assert len(tries) < 150


def brute_force(
    matrix: np.ndarray, method: str, covariance: np.ndarray, column: int | None
) -> tuple[float, float]:
    """Return the selective p-value and expected size by clustering anew at 4,000 places."""
    codes = fcluster(linkage(matrix, method), 2, "maxclust") - 1
    a, b = codes == 0, codes == 1
    difference = matrix[a].mean(axis=0) - matrix[b].mean(axis=0)
    scale = np.sqrt(1 / a.sum() + 1 / b.sum())
    if column is None:
        observed = np.sqrt(difference @ np.linalg.solve(covariance, difference))
        direction, null, bottom = difference / observed, stats.chi(len(difference)), 0.0
    else:
        observed = difference[column]
        scale = scale * np.sqrt(covariance[column, column])
        direction, null = covariance[column] / covariance[column, column], stats.norm()
        bottom = -abs(observed) - 5 * scale
    places = np.linspace(bottom, abs(observed) + 5 * scale, 4000)
    kept = []
    for place in places:
        shift = (place - observed) * direction
        moved = matrix + np.where(a, b.mean(), -a.mean())[:, None] * shift
        again = fcluster(linkage(moved, method), 2, "maxclust")
        kept.append(len(set(again[a])) == len(set(again[b])) == 1)
    mass = np.where(kept, null.pdf(places / scale), 0)
    size = np.abs(places)
    return mass[size >= abs(observed)].sum() / mass.sum(), mass @ size / mass.sum()


@pytest.mark.parametrize("column", [None, 0, 1])
@pytest.mark.parametrize(("method", "seed"), [("ward", 21), ("ward", 24), ("average", 23)])
def test_selective_p_values_equal_brute_force(method, seed, column):
    rng = np.random.default_rng(seed)
    covariance = np.array([[1.0, 0.4], [0.4, 1.5]])
    matrix = rng.multivariate_normal([0, 0], covariance, size=9)
    clusterer = AgglomerativeClustering(2, linkage=method)
    codes = by_size(clusterer.fit_predict(matrix))
    found = compare_pair(
        matrix, codes, (0, 1), clusterer=clusterer, covariance=covariance, columns=[0, 1]
    )
    mine = found[0 if column is None else 1 + column]
    p_value, expected = brute_force(matrix, method, covariance, column)
    assert 0.01 < p_value < 0.99
    assert abs(mine.p_value - p_value) < 0.01
    assert abs(mine.expected - expected) < 0.01


def test_means_have_pooled_intervals():
    matrix, codes = grouped(14, d=2)
    size, mean, low, high = mean_intervals(matrix, codes, 0.9)
    residuals = matrix - mean[codes]
    spread = np.sqrt((residuals[:, 1] ** 2).sum() / (len(matrix) - 3))
    oracle = stats.t.interval(0.9, len(matrix) - 3, mean[2, 1], spread / np.sqrt(size[2]))
    np.testing.assert_allclose([low[2, 1], high[2, 1]], oracle, rtol=1e-12)
    np.testing.assert_allclose(mean[1], matrix[codes == 1].mean(axis=0), rtol=1e-12)


def test_clusters_are_numbered_by_size_and_then_like_the_ones_they_resemble():
    codes = by_size(np.array([0, 1, 1, 1, 2, 2, -1]))
    assert codes.tolist() == [2, 0, 0, 0, 1, 1, -1]
    reference = np.array([0, 1, 1, 0, 2, 2, 2])
    assert match_codes(codes, reference, 3).tolist() == [0, 1, 1, 1, 2, 2, -1]
    more = match_codes(np.array([0, 0, 1, 2, 3]), np.array([1, 1, 0, 0, 0]), 2)
    assert more.max() == 3
    assert more[:2].tolist() == [1, 1]
