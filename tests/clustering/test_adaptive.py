"""k-means in learned units: against the iteration by hand, and what it must not depend on."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from custseg._kernels.adaptive import adaptive
from custseg.clustering._spreading import spreading
from custseg.clustering.adaptive import AdaptiveKMeans
from custseg.errors import DataError, ParameterError


def planted(n: int = 300, noise: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    groups = np.array([[0, 0], [6, 0], [0, 6]])[truth] + rng.normal(size=(n, 2))
    return np.hstack([groups, groups.std() * rng.normal(size=(n, noise))]), truth


REASONS = {
    "check_sample_weight_equivalence_on_dense_data": "a value in two rows is a tie, one of weight "
    "two is none, and starts are drawn by position: the same clusters come in another order",
}


@parametrize_with_checks(
    [AdaptiveKMeans(2, random_state=0)], expected_failed_checks=lambda _: REASONS
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def by_hand(X, weights, grain, labels, k, max_iter):
    """Return the objective at each step, and the labels of the best one."""
    steps = []
    for _ in range(max_iter):
        shares = [weights * (labels == j) for j in range(k)]
        centers = np.array([np.average(X, axis=0, weights=share) for share in shares])
        within = np.average((X - centers[labels]) ** 2, axis=0, weights=weights) + grain
        steps.append((np.log(within).sum(), labels))
        distances = (((X[:, None] - centers) ** 2) / within).sum(axis=2)
        if (distances.argmin(axis=1) == labels).all():
            break
        labels = distances.argmin(axis=1)
    return steps, min(steps, key=lambda step: step[0])


@pytest.mark.parametrize("seed", range(4))
def test_the_kernel_iterates_as_by_hand(seed):
    rng = np.random.default_rng(seed)
    X, _ = planted(80, noise=1, seed=seed)
    X -= X.mean(axis=0)
    weights, grain = rng.integers(1, 4, 80).astype(float), rng.random(3) * (seed % 2)
    start = rng.integers(3, size=80)
    found = adaptive(np.ascontiguousarray(X.T), weights, grain, start, 3, 50)
    steps, (objective, labels) = by_hand(X, weights, grain, start, 3, 50)
    assert found[0] == pytest.approx(objective, abs=1e-9)
    np.testing.assert_array_equal(found[1], labels)
    assert found[4] == len(steps)
    centers = [np.average(X[labels == j], axis=0, weights=weights[labels == j]) for j in range(3)]
    np.testing.assert_allclose(found[2], centers, atol=1e-10)
    within = np.average((X - found[2][labels]) ** 2, axis=0, weights=weights) + grain
    np.testing.assert_allclose(found[3], within, rtol=1e-9)


def test_wide_columns_without_groups_hardly_count():
    for seed in range(5):
        X, truth = planted(400, noise=5, seed=seed)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        model = AdaptiveKMeans(3, random_state=0).fit(X)
        assert adjusted_rand_score(truth, model.labels_) > 0.95
        assert model.scale_[:2].max() < 0.6 < 0.9 < model.scale_[2:].min()


def test_units_and_origins_do_not_matter():
    X, _ = planted(200, seed=3)
    first = AdaptiveKMeans(4, random_state=1).fit(X)
    again = AdaptiveKMeans(4, random_state=1).fit(X * [1e3, 1e-3, 1, 7, 0.1] + [5, -9, 1e3, 0, 1])
    np.testing.assert_array_equal(first.labels_, again.labels_)
    np.testing.assert_allclose(first.scale_ * [1e3, 1e-3, 1, 7, 0.1], again.scale_, rtol=1e-6)
    assert first.inertia_ == pytest.approx(again.inertia_, abs=1e-6)


def test_the_attributes_are_what_they_say():
    X, _ = planted(200, seed=4)
    model = AdaptiveKMeans(3, random_state=0).fit(X)
    means = np.array([X[model.labels_ == j].mean(axis=0) for j in range(3)])
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-9)
    within = ((X - means[model.labels_]) ** 2).mean(axis=0)
    np.testing.assert_allclose(model.scale_, np.sqrt(within), rtol=1e-9)
    assert model.inertia_ == pytest.approx(np.log(within / X.var(axis=0)).sum())
    distances = (((X[:, None] - means) / model.scale_) ** 2).sum(axis=2)
    np.testing.assert_array_equal(model.labels_, distances.argmin(axis=1))
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_allclose(model.transform(X) ** 2, distances)


def test_more_starts_are_never_worse_and_no_start_is_far_better():
    X, _ = planted(300, noise=6, seed=5)
    few, many = (AdaptiveKMeans(3, n_init=n, random_state=0).fit(X).inertia_ for n in (4, 200))
    usual = AdaptiveKMeans(3, random_state=0).fit(X).inertia_
    assert many <= usual + 1e-9
    assert usual <= few + 1e-9
    assert usual == pytest.approx(many, abs=1e-6)


def test_a_weight_of_two_is_two_rows():
    X, _ = planted(150, seed=6)
    weights = np.random.default_rng(0).integers(1, 3, size=150)
    weighted = AdaptiveKMeans(3, random_state=0).fit(X, sample_weight=weights)
    repeated = AdaptiveKMeans(3, random_state=0).fit(np.repeat(X, weights, axis=0))
    assert adjusted_rand_score(np.repeat(weighted.labels_, weights), repeated.labels_) == 1.0
    np.testing.assert_allclose(weighted.scale_, repeated.scale_, rtol=1e-3)
    some = np.where(np.arange(150) < 100, 1, 0)
    part = AdaptiveKMeans(3, random_state=0).fit(X, sample_weight=some)
    alone = AdaptiveKMeans(3, random_state=0).fit(X[:100])
    np.testing.assert_array_equal(part.labels_[:100], alone.labels_)
    assert len(part.labels_) == 150


def test_a_yes_or_no_column_explains_no_more_than_a_uniform_one():
    rng = np.random.default_rng(7)
    values, truth = planted(400, noise=0, seed=7)
    X = np.column_stack([values, rng.random((400, 4)) < 0.5])
    model = AdaptiveKMeans(3, random_state=0).fit(X)
    assert adjusted_rand_score(truth, model.labels_) > 0.95
    alone = AdaptiveKMeans(2, random_state=0).fit(X[:, 2:3])
    assert alone.inertia_ == pytest.approx(np.log(1 / 4), abs=0.01)


def test_a_constant_column_changes_nothing():
    X, _ = planted(200, seed=8)
    plain = AdaptiveKMeans(3, random_state=0).fit(X)
    more = AdaptiveKMeans(3, random_state=0).fit(np.column_stack([X, np.full(200, 4.0)]))
    assert adjusted_rand_score(plain.labels_, more.labels_) == 1.0
    assert more.inertia_ == pytest.approx(plain.inertia_)
    assert np.isfinite(more.scale_).all()


def test_many_rows_are_searched_in_part_and_divided_whole():
    X, truth = planted(5_000, noise=3, seed=9)
    model = AdaptiveKMeans(3, random_state=0).fit(X)
    assert adjusted_rand_score(truth, model.labels_) > 0.97
    np.testing.assert_array_equal(AdaptiveKMeans(3, random_state=0).fit(X).labels_, model.labels_)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_clusters": 0}, "n_clusters is 0"),
        ({"n_clusters": 9}, "n_clusters is 9, but must be at most 4"),
        ({"n_init": 0}, "n_init is 0"),
        ({"max_iter": 1.5}, "max_iter is 1.5"),
    ],
)
def test_bad_parameters_are_refused(options, words):
    X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 5.0], [2.0, 5.0]])
    with pytest.raises(ParameterError, match=words):
        AdaptiveKMeans(**{"n_clusters": 2, **options}).fit(X)
    with pytest.raises(DataError, match="sample_weight"):
        AdaptiveKMeans(2).fit(X, sample_weight=[1, 1])


def test_ties_are_spread_over_the_gap_to_their_neighbours():
    low, width = spreading(np.array([[0.0], [0.0], [1.0], [1.0], [4.0]]))
    np.testing.assert_allclose(low.ravel(), [-0.5, -0.5, 0.5, 0.5, 4.0])
    np.testing.assert_allclose(width.ravel(), [1.0, 1.0, 2.0, 2.0, 0.0])
    alone = np.array([[3.0], [1.0], [2.0]])
    low, width = spreading(alone)
    np.testing.assert_array_equal(low, alone)
    assert not width.any()
    assert not spreading(np.ones((4, 1)))[1].any()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_heap_that_others_keep_away_from_reaches_their_median(sign):
    rest = np.random.default_rng(0).normal(10, 1, 400)
    column = sign * np.append(np.zeros(200), rest)
    low, width = spreading(column[:, None])
    ends = np.sort(np.append(low[0], low[0] + width[0]) * sign)
    assert ends[0] < 0
    assert ends[1] == pytest.approx(np.median(rest), abs=0.1)
    near = sign * np.append(np.zeros(200), np.random.default_rng(0).exponential(1, 400))
    assert spreading(near[:, None])[1][0] < 0.1


def test_counts_and_scales_are_no_heaps():
    rng = np.random.default_rng(1)
    counts = rng.negative_binomial(1, 0.2, 2_000).astype(float)
    assert spreading(counts[:, None])[1].max() <= max(np.diff(np.unique(counts)).max() * 2, 1)
    assert spreading(counts[:, None])[1][counts == 0].max() == 1.0
    answers = rng.choice([1.0, 2, 3, 4, 5], p=[0.5, 0.02, 0.02, 0.06, 0.4], size=1_000)
    assert spreading(answers[:, None])[1].max() == 1.0


def test_a_frame_keeps_its_names():
    X, _ = planted(60)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = AdaptiveKMeans(3, random_state=0).fit(frame)
    assert model.feature_names_in_.tolist() == list("abcde")
    np.testing.assert_array_equal(model.predict(frame), model.labels_)
