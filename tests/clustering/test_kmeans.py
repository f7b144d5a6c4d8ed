"""k-means: the sum of squares, the exchange against its twin in NumPy, weights, order of rows."""

from itertools import product

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans as PlainKMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from custseg._kernels.kmeans import BLOCK, trials
from custseg._kernels.least_squares import _exchange, _total, descend
from custseg.clustering import KMeans
from custseg.errors import DataError, ParameterError


@parametrize_with_checks([KMeans(2), KMeans(2, n_init=3, tol=0.0)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def sum_of_squares(X: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    weights = np.ones(len(X)) if weights is None else weights
    total = 0.0
    for label in np.unique(labels):
        mine = labels == label
        mean = np.average(X[mine], axis=0, weights=weights[mine])
        total += float(weights[mine] @ ((X[mine] - mean) ** 2).sum(axis=1))
    return total


def costs_of(X, weights, labels, row, means, k):
    """Return what a row costs in every cluster, a little less in its own."""
    mass, weight, here = np.bincount(labels, weights, minlength=k), weights[row], labels[row]
    squares = ((X[row] - means) ** 2).sum(axis=1)
    costs = squares * mass * weight / (mass + weight)
    costs[here] = squares[here] * mass[here] * weight / (mass[here] - weight) * (1 - 1e-9)
    return costs


def plain_exchange(X: np.ndarray, weights: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Hartigan's exchange, in blocks of rows that are first compared with the means before them."""
    labels, moved = labels.copy(), True

    def means():
        members = [labels == j for j in range(k)]
        return np.array([np.average(X[mine], axis=0, weights=weights[mine]) for mine in members])

    while moved:
        moved = False
        for row in range(len(X)):
            if row % BLOCK == 0:
                before = means()
            if (labels == labels[row]).sum() < 2:
                continue
            best = costs_of(X, weights, labels, row, before, k).argmin()
            if best != labels[row]:
                best = costs_of(X, weights, labels, row, means(), k).argmin()
            moved = moved or best != labels[row]
            labels[row] = best
    return labels


@pytest.mark.parametrize("seed", range(4))
def test_the_compiled_exchange_is_the_plain_one(seed):
    rng = np.random.default_rng(seed)
    k, n, d = 3, BLOCK + 30, 2
    X, weights = rng.normal(size=(n, d)), rng.integers(1, 4, n).astype(float)
    labels = rng.permutation(np.arange(n) % k)
    XT, sums, mass = np.ascontiguousarray(X.T), np.empty((k, d)), np.empty(k)
    _total(XT, weights, labels, sums, mass)
    found = labels.copy()
    _exchange(XT, weights, sums / mass[:, None], found, sums, mass, 100)
    expected = plain_exchange(X, weights, labels, k)
    np.testing.assert_array_equal(found, expected)
    assert sum_of_squares(X, found, weights) < sum_of_squares(X, labels, weights)


@pytest.mark.parametrize("seed", range(5))
def test_no_single_row_can_improve_what_a_start_ends_with(seed):
    X = np.random.default_rng(seed).normal(size=(60, 3))
    labels = KMeans(4, n_init=1, random_state=seed).fit(X).labels_
    least = sum_of_squares(X, labels)
    for row, other in product(range(len(X)), range(4)):
        changed = labels.copy()
        changed[row] = other
        if len(np.unique(changed)) == 4:
            assert sum_of_squares(X, changed) >= least * (1 - 1e-9)


def test_the_best_of_all_divisions_is_found():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(9, 2))
    best = min(
        sum_of_squares(X, np.array(labels))
        for labels in product(range(3), repeat=8)
        for labels in [(0, *labels)]
        if len(set(labels)) == 3
    )
    assert KMeans(3, random_state=0).fit(X).inertia_ == pytest.approx(best, rel=1e-12)


def test_attributes_agree_with_each_other():
    X = np.random.default_rng(0).normal(size=(200, 4)) + 1_000
    model = KMeans(5, random_state=0).fit(X)
    squares = cdist(X, model.cluster_centers_, "sqeuclidean")
    np.testing.assert_array_equal(model.labels_, squares.argmin(axis=1))
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_allclose(model.transform(X) ** 2, squares)
    assert model.inertia_ == pytest.approx(squares.min(axis=1).sum())
    assert model.inertia_ == pytest.approx(sum_of_squares(X, model.labels_), rel=1e-9)
    assert model.get_feature_names_out().tolist() == [f"kmeans{j}" for j in range(5)]


def test_more_rows_than_the_exchange_takes_and_threads():
    rng = np.random.default_rng(1)
    truth = rng.integers(9, size=30_000)
    X = rng.normal(size=(30_000, 6)) + rng.normal(0, 8, (9, 6))[truth]
    model = KMeans(9, random_state=0).fit(X)
    peer = PlainKMeans(9, n_init=10, random_state=0).fit(X)
    assert model.inertia_ == pytest.approx(peer.inertia_, rel=1e-6)
    assert adjusted_rand_score(truth, model.labels_) > 0.99
    np.testing.assert_array_equal(KMeans(9, random_state=0).fit(X).labels_, model.labels_)


def test_the_order_of_rows_changes_nothing_and_weights_are_repeated_rows():
    rng = np.random.default_rng(2)
    X, weights = rng.normal(size=(150, 3)).round(1), rng.integers(0, 4, 150)
    mixed = rng.permutation(150)
    model = KMeans(4, random_state=0).fit(X, sample_weight=weights)
    again = KMeans(4, random_state=0).fit(X[mixed], sample_weight=weights[mixed])
    np.testing.assert_allclose(again.cluster_centers_, model.cluster_centers_, rtol=1e-12)
    np.testing.assert_array_equal(again.labels_, model.labels_[mixed])
    repeated = KMeans(4, random_state=0).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(repeated.cluster_centers_, model.cluster_centers_, rtol=1e-12)
    assert repeated.inertia_ == pytest.approx(model.inertia_)


def test_few_distinct_rows_get_more_starts(monkeypatch):
    starts = []

    def counted(*given):
        starts.append(1)
        return descend(*given)

    monkeypatch.setattr("custseg.clustering.kmeans.descend", counted)
    rng = np.random.default_rng(0)
    for n, expected in ((200, 50), (1_000, 15), (2_000, 10)):
        starts.clear()
        KMeans(3, random_state=0).fit(rng.normal(size=(n, 2)))
        assert len(starts) == expected
    starts.clear()
    KMeans(3, n_init=4, random_state=0).fit(rng.normal(size=(200, 2)))
    assert len(starts) == 4


def test_a_cluster_per_distinct_row_and_no_more():
    X = np.repeat([[0.0, 1.0], [5.0, 5.0], [9.0, -2.0]], 4, axis=0)
    model = KMeans(3, random_state=0).fit(X)
    assert model.inertia_ == pytest.approx(0, abs=1e-20)
    assert sorted(np.bincount(model.labels_)) == [4, 4, 4]
    with pytest.raises(ParameterError, match="n_clusters is 4, but must be at most 3"):
        KMeans(4).fit(X)


def test_bad_input():
    X = np.eye(4)
    for options, words in (
        ({"n_clusters": 0}, "n_clusters is 0"),
        ({"n_init": "many"}, "n_init is 'many'"),
        ({"max_iter": 0}, "max_iter is 0"),
        ({"tol": -1}, "tol is -1"),
    ):
        with pytest.raises(ParameterError, match=words):
            KMeans(**options).fit(X)
    with pytest.raises(DataError, match="sample_weight has 2 values for 4 rows"):
        KMeans(2).fit(X, sample_weight=[1, 2])


def test_as_many_candidates_as_scikit_learn_tries():
    assert [trials(k) for k in (2, 3, 8)] == [2, 3, 4]


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(monkeypatch, cores):
    X = np.random.default_rng(0).normal(size=(3_000, 4))
    alone = KMeans(5, random_state=0).fit(X)
    monkeypatch.setattr("custseg.clustering.kmeans.cpu_count", lambda: cores)
    again = KMeans(5, random_state=0).fit(X)
    np.testing.assert_array_equal(again.cluster_centers_, alone.cluster_centers_)
