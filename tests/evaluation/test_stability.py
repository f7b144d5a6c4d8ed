"""Resampling indices against brute force, scikit-learn, R and planted truth."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

import custseg as cs
from custseg._kernels.kmeans import kmeans, nearest, trials
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.evaluation._resamples import UNSEEN, agreeing, fit_labels, jaccards


def baskets(n: int = 120, groups: int = 3, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.integers(groups, size=n)
    values = rng.normal(size=(n, 2)) + 7 * np.column_stack([truth, truth % 2])
    ids = rng.permutation(n) + 500
    return pd.DataFrame(values, columns=["visits", "basket"], index=pd.Index(ids, name="customer"))


def jaccards_by_sets(reference, labels, drawn, n_segments):
    answers = []
    everybody = set(np.flatnonzero(drawn))
    for segment in range(n_segments):
        own = {i for i in everybody if reference[i] == segment}
        others = [{i for i in everybody if labels[i] == f} for f in set(labels) if f >= 0]
        best = max(
            (len(own & other) / len(own | other) for other in others if own | other), default=0
        )
        answers.append(best if own else np.nan)
    return answers


def test_jaccards_equal_a_brute_force_count():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, k = int(rng.integers(5, 15)), int(rng.integers(1, 4))
        reference, labels = rng.integers(-1, k, n), rng.integers(-1, 4, n)
        drawn = rng.random(n) < 0.6
        drawn[0] = True
        expected = jaccards_by_sets(reference, labels, drawn, k)
        np.testing.assert_allclose(jaccards(reference, labels, drawn, k), expected)


def test_agreement_is_the_best_one_to_one_matching():
    from itertools import permutations

    rng = np.random.default_rng(1)
    for _ in range(100):
        reference, labels = rng.integers(0, 3, 12), rng.integers(-1, 3, 12)
        reference[:3] = [0, 1, 2]
        best = max(
            sum(
                seen >= 0 and names[seen] == own
                for own, seen in zip(reference, labels, strict=True)
            )
            for names in permutations(range(3))
        )
        assert agreeing(reference, labels, 3).sum() == best
    unseen = agreeing(np.array([0, 1, -1, -1]), np.array([5, UNSEEN, -1, 5]), 2)
    assert unseen.tolist() == [True, False, True, False]


def test_compiled_kmeans_is_as_good_as_scikit_learns():
    rng = np.random.default_rng(2)
    for k in (2, 4, 7):
        X = rng.normal(size=(300, 3)) + 4 * rng.integers(0, 3, (300, 1))
        weights = rng.integers(1, 4, 300).astype(float)
        rows = np.ascontiguousarray((X - X.mean(axis=0)).T)
        own, oracle = np.empty(200), np.empty(200)
        for start in range(200):
            uniforms = rng.random((1, k, trials(k)))
            own[start] = kmeans(rows, weights, k, 300, 0.0, uniforms)[1]
            fitted = KMeans(k, n_init=1, tol=0, random_state=start).fit(X, sample_weight=weights)
            oracle[start] = fitted.inertia_
        assert ks_2samp(own.round(6), oracle.round(6)).pvalue > 0.01

        centers, inertia = kmeans(rows, weights, k, 300, 0.0, rng.random((10, k, trials(k))))
        labels = nearest(rows, centers)
        distances = ((rows.T[:, None] - centers) ** 2).sum(axis=2)
        np.testing.assert_array_equal(labels, distances.argmin(axis=1))
        assert inertia == pytest.approx((weights * distances.min(axis=1)).sum())
        for j in range(k):
            own = labels == j
            np.testing.assert_allclose(
                centers[j], np.average(rows.T[own], axis=0, weights=weights[own]), atol=1e-9
            )


def test_compiled_kmeans_leaves_no_cluster_empty():
    X = np.array([[0.0], [0.0], [0.0], [1.0], [1.0], [5.0]])
    for seed in range(20):
        uniforms = np.random.default_rng(seed).random((1, 3, trials(3)))
        columns = np.ascontiguousarray(X.T, dtype=np.float32)
        centers, inertia = kmeans(columns, np.ones(6), 3, 100, 0.0, uniforms)
        assert sorted(centers[:, 0]) == [0, 1, 5]
        assert inertia == 0


def test_single_precision_finds_what_double_finds():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(2_000, 6)) + rng.normal(size=(4, 6))[rng.integers(4, size=2_000)]
    columns = np.ascontiguousarray((X - X.mean(axis=0)).T)
    uniforms = rng.random((5, 4, trials(4)))
    double = kmeans(columns, np.ones(2_000), 4, 300, 0.0, uniforms)
    single = kmeans(columns.astype(np.float32), np.ones(2_000), 4, 300, 0.0, uniforms)
    np.testing.assert_allclose(single[0], double[0], atol=1e-4)
    assert single[1] == pytest.approx(double[1], rel=1e-6)


def test_iris_agrees_with_clusterboot_in_r():
    """fpc::clusterboot(iris[,1:4], clustermethod=kmeansCBI, k=3): about .97, 1.0, .96."""
    X = load_iris(as_frame=True).data
    result = cs.evaluation.stability(X, KMeans(3, n_init=10), n_resamples=300)
    table = result.to_frame()
    assert table["n"].tolist() == [62, 50, 38]
    np.testing.assert_allclose(table["jaccard"], [0.97, 1.0, 0.96], atol=0.03)
    assert table["recovered"][1] == 300
    assert table["dissolved"].tolist() == [0, 0, 0]
    assert result.ari > 0.85


def test_the_median_index_of_pairs_is_scikit_learns():
    X = baskets()
    result = cs.evaluation.stability(X, KMeans(4, n_init=2), n_resamples=9, random_state=3)
    assert len(result.pair_ari) == 4  # the ninth has no partner
    assert result.ari == np.median(result.pair_ari)
    matrix = X.sort_index().to_numpy()
    labels = []
    for draw in range(2):
        counts = np.bincount(
            np.random.default_rng([3, draw]).integers(120, size=120), minlength=120
        )
        seed = int(np.random.default_rng([3, draw, 1]).integers(2**32))
        labels.append(fit_labels(KMeans(4, n_init=2), matrix, counts, seed))
    assert result.pair_ari[0] == adjusted_rand_score(*labels)


def test_row_order_and_threads_do_not_change_the_answer():
    X = baskets()
    first = cs.evaluation.stability(X, KMeans(3, n_init=10), n_resamples=20, n_jobs=1)
    other = cs.evaluation.stability(
        X.sample(frac=1, random_state=1), KMeans(3, n_init=10), n_resamples=20, n_jobs=3
    )
    pd.testing.assert_frame_equal(first.to_frame(), other.to_frame(), check_exact=True)
    pd.testing.assert_series_equal(first.pair_ari, other.pair_ari, check_exact=True)
    pd.testing.assert_series_equal(
        first.agreement, other.agreement.reindex(X.index), check_exact=True
    )


@pytest.mark.parametrize(
    "estimator",
    [KMeans(3, n_init=10), GaussianMixture(3), AgglomerativeClustering(3), DBSCAN(eps=1.5)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_planted_groups_come_back_with_every_kind_of_clusterer(estimator):
    X = baskets()
    result = cs.evaluation.stability(X, estimator, n_resamples=20)
    table = result.to_frame()
    assert table.columns.tolist() == ["segment", "n", "jaccard", "recovered", "dissolved"]
    assert table["segment"].tolist() == ["A", "B", "C"]
    assert table["n"].is_monotonic_decreasing
    assert table["jaccard"].min() > 0.9
    assert result.ari > 0.95
    assert result.agreement.index.equals(X.index)
    assert result.agreement.min() > 0.5
    assert result.agreement.mean() > 0.97


def test_the_border_customers_are_those_who_move():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"spend": np.sort(rng.uniform(0, 10, 200))})
    agreement = cs.evaluation.stability(X, KMeans(2, n_init=10), n_resamples=50).agreement
    border = int(agreement.idxmin())
    assert 80 < border < 120
    assert agreement.iloc[[0, 199]].tolist() == [1.0, 1.0]


def test_words_display_and_bad_input():
    X = baskets()
    result = cs.evaluation.stability(X, KMeans(3, n_init=10), n_resamples=10)
    assert result.summary().startswith("two resamples agree with a median adjusted Rand index of")
    assert "not whether segments have gaps" in repr(result)
    with pytest.raises(ParameterError, match="n_resamples is 1,"):
        cs.evaluation.stability(X, KMeans(3), n_resamples=1)
    with pytest.raises(DataError, match="same values"):
        cs.evaluation.stability(X * 0, KMeans(3))
    with pytest.raises(DataError, match="'visits' has 120 missing"):
        cs.evaluation.stability(X.assign(visits=np.nan), KMeans(3))
    with pytest.raises(DataError, match=r"fewer than 6 segments.*Take fewer segments"):
        cs.evaluation.stability(X.head(7), KMeans(6))
    with pytest.raises(ParameterError, match="scikit-learn clusterer"):
        cs.evaluation.stability(X, KMeans)
    assert issubclass(ColumnError, KeyError)


def test_silhouettes_equal_scikit_learns_in_one_pass():
    from scipy.spatial.distance import cdist
    from sklearn.metrics import silhouette_samples

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(400, 3)), index=rng.permutation(400))
    labelings = pd.DataFrame(
        {f"k{k}": rng.integers(k, size=400) for k in (2, 5, 9)}, index=X.index
    ).assign(names=rng.choice(["loyal", "new"], 400))
    labelings.loc[X.index[0], "k9"] = 99  # alone in a segment
    found = cs.evaluation.silhouettes(X, labelings)
    for name, labels in labelings.items():
        expected = silhouette_samples(X, labels)
        np.testing.assert_allclose(found.samples[name], expected, rtol=0, atol=1e-12)
        assert found.overall[name] == pytest.approx(expected.mean(), abs=1e-12)
    assert found.samples["k9"].iloc[0] == 0
    table = found.by_segment
    assert table.columns.tolist() == ["labelling", "segment", "n", "silhouette"]
    for row in table.itertuples():
        own = labelings[row.labelling] == row.segment
        assert row.n == own.sum()
        assert row.silhouette == pytest.approx(found.samples.loc[own, row.labelling].mean())
    square = cs.evaluation.silhouettes(cdist(X, X), labelings, metric="precomputed")
    np.testing.assert_allclose(square.samples, found.samples, atol=1e-12)


def test_silhouettes_leave_out_customers_in_no_segment():
    X = pd.DataFrame({"spend": [1.0, 2.0, 50.0, 9.0, 10.0]})
    labels = pd.Series(["A", "A", None, "B", "B"], name="segment")
    found = cs.evaluation.silhouettes(X, labels)
    assert np.isnan(found.samples.loc[2, "segment"])
    kept = cs.evaluation.silhouettes(X.drop(2), labels.drop(2))
    pd.testing.assert_series_equal(found.overall, kept.overall)
    pd.testing.assert_frame_equal(found.by_segment, kept.by_segment)
    assert found.summary() == "5 customers, mean silhouette width 0.875"


def test_silhouettes_of_identical_customers_are_zero():
    X = pd.DataFrame({"spend": [1.0] * 4})
    assert cs.evaluation.silhouettes(X, pd.Series(list("aabb"))).samples.eq(0).all(axis=None)


def test_silhouettes_refuse_what_does_not_fit():
    X = baskets(10)
    with pytest.raises(DataError, match="X has 10 rows and labelings 9"):
        cs.evaluation.silhouettes(X, pd.Series(range(9)))
    with pytest.raises(DataError, match="different customers or another order"):
        cs.evaluation.silhouettes(X, pd.Series(range(10), index=X.index[::-1]))
    with pytest.raises(DataError, match="labelling 'x' has 1 segment"):
        cs.evaluation.silhouettes(X, pd.DataFrame({"x": [1] * 10}))
