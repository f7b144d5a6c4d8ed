"""k-medoids: against brute force and R, what comes out of it, new rows, weights, bad input."""

import tracemalloc
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.metrics.pairwise import PAIRWISE_BOOLEAN_FUNCTIONS
from sklearn.utils.estimator_checks import parametrize_with_checks

import custseg as cs
from custseg.clustering import KMedoids, _medoid_search, _spaces, _squares
from custseg.errors import ColumnError, CustsegError, DataError, ParameterError
from custseg.features.gower import gower, learn, place, rows_between

OBJECTS = {"check_dtype_object": "the error for a dictionary in a cell names the column"}
GAPS = {
    "check_estimators_pickle": "rows that have no value in common have no dissimilarity: an error"
}
TABLES = {
    "check_clustering": "gives a table where a square is needed",
    "check_estimators_nan_inf": "gives a table where a square is needed",
}
EXPECTED = {
    "precomputed": OBJECTS | TABLES,
    "gower": OBJECTS | GAPS,
    "nan_euclidean": OBJECTS | GAPS,
    "euclidean": OBJECTS,
}


@parametrize_with_checks(
    [
        KMedoids(3),
        KMedoids(3, metric="euclidean"),
        KMedoids(3, metric="gower"),
        KMedoids(3, metric="nan_euclidean", exact_up_to=20),
    ],
    expected_failed_checks=lambda estimator: EXPECTED[estimator.metric],
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def best_of_all(square: np.ndarray, k: int, weights: np.ndarray) -> float:
    """Return the least loss of all sets of medoids."""
    sets = combinations(range(len(square)), k)
    return min(weights @ square[:, list(medoids)].min(axis=1) for medoids in sets)


def gain_of_swaps(square: np.ndarray, medoids: np.ndarray, weights: np.ndarray) -> float:
    """Return by how much the best single swap would lower the loss; below 0 if none does."""
    loss = weights @ square[:, medoids].min(axis=1)
    gains = []
    for position in range(len(medoids)):
        rest = np.delete(medoids, position)
        kept = square[:, rest].min(axis=1, initial=np.inf)
        gains.append(loss - (weights @ np.minimum(square, kept[:, None])).min())
    return max(gains) / loss


@pytest.mark.parametrize("kind", ["metric", "asymmetric", "tied"])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 10])
def test_it_finds_the_best_of_all_sets_of_medoids(kind, k):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        square = cdist(rng.normal(size=(11, 2)), rng.normal(size=(11, 2)))
        if kind == "metric":
            points = rng.normal(size=(11, 2))
            square = cdist(points, points)
        if kind == "tied":
            square = rng.integers(1, 4, (11, 11)).astype(float)
        np.fill_diagonal(square, 0)
        weights = rng.integers(1, 5, 11).astype(float)
        found = KMedoids(k, n_init=20, random_state=seed).fit(square, sample_weight=weights)
        assert found.inertia_ == pytest.approx(best_of_all(square, k, weights), rel=1e-12)
        assert found.labels_.tolist() == square[:, found.medoid_indices_].argmin(axis=1).tolist()


RUSPINI = """
4,53 5,63 10,59 9,77 13,49 13,69 12,88 15,75 18,61 19,65 22,74 27,72 28,76 24,58 27,55 28,60 30,52
31,60 32,61 36,72 28,147 32,149 35,153 33,154 38,151 41,150 38,145 38,143 32,143 34,141 44,156
44,149 44,143 46,142 47,149 49,152 50,142 53,144 52,152 55,155 54,124 60,136 63,139 86,132 85,115
85,96 78,94 74,96 97,122 98,116 98,124 99,119 99,128 101,115 108,111 110,111 108,116 111,126 115,117
117,115 70,4 77,12 83,21 61,15 69,15 78,16 66,18 58,13 64,20 69,21 66,23 61,25 76,27 72,31 64,30
"""
"""Ruspini (1970). Numerical methods for fuzzy clustering. Information Sciences 2, 319-350."""


@pytest.mark.parametrize(
    ("metric", "k", "medoids", "loss"),
    [
        ("euclidean", 2, [16, 41], 2395.8042112113253),
        ("euclidean", 3, [9, 41, 69], 1637.8125619164628),
        ("euclidean", 4, [9, 31, 51, 69], 861.47811109329575),
        ("euclidean", 5, [9, 31, 46, 51, 69], 779.6843019643477),
        ("euclidean", 6, [7, 13, 31, 46, 51, 69], 718.33969904320145),
        ("manhattan", 2, [16, 41], 3192),
        ("manhattan", 3, [8, 41, 69], 2142),
        ("manhattan", 4, [8, 31, 49, 69], 1113),
        ("manhattan", 5, [8, 24, 37, 49, 69], 1023),
        ("manhattan", 6, [8, 24, 37, 46, 49, 69], 919),
    ],
)
def test_it_is_pam_of_r(metric, k, medoids, loss):
    """cluster 2.1.4 of R 4.2.2: pam(ruspini, k, metric = metric), objective["swap"] times 75."""
    points = np.array([pair.split(",") for pair in RUSPINI.split()], dtype=float)
    found = KMedoids(k, metric=metric, random_state=0).fit(points)
    square = cdist(points, points, "cityblock" if metric == "manhattan" else metric)
    assert square[:, medoids].min(axis=1).sum() == pytest.approx(loss, rel=1e-12)
    assert found.inertia_ <= loss * (1 + 1e-12)
    if k == 4:
        assert sorted(found.medoid_indices_) == medoids
        assert found.inertia_ == pytest.approx(loss, rel=1e-12)


def shoppers() -> pd.DataFrame:
    regions = ["North", "South", "South", None, "West", "North", "North", "West", "South", "West"]
    incomes = ["low", "high", "middle", "high", "low", "middle", "low", "low", "high", "middle"]
    return pd.DataFrame(
        {
            "age": [23, 35, np.nan, 51, 64, 42, 29, 58, 33, 47],
            "spend": [10.5, 0, 220, 35.25, 18, np.nan, 90, 12, 150, 60],
            "region": regions,
            "income": pd.Categorical(incomes, ["low", "middle", "high"], ordered=True),
        },
        index=pd.Index([f"C{i}" for i in range(10)], name="customer_id"),
    )


KINDS = {"age": "numeric", "spend": "numeric", "region": "nominal", "income": "ordinal"}


@pytest.mark.parametrize(
    ("k", "medoids", "loss", "is_best"),
    [
        (1, [3], 3.8542821507760534, True),
        (2, [3, 6], 2.7001847745750189, False),
        (3, [6, 7, 8], 1.4648882113821138, True),
        (4, [3, 6, 7, 8], 1.1347514781966004, False),
    ],
)
def test_mixed_kinds_with_gaps_are_daisy_and_pam_of_r(k, medoids, loss, is_best):
    """cluster 2.1.4 of R 4.2.2: pam(daisy(shoppers, metric = "gower"), k, diss = TRUE).

    With k = 2 and 4 it stays in a local optimum: the least of all sums is below.
    """
    square = gower(shoppers())
    assert square[:, medoids].min(axis=1).sum() == pytest.approx(loss, rel=1e-12)
    found = KMedoids(k, metric="gower", dictionary=KINDS, random_state=0).fit(shoppers())
    assert found.inertia_ == pytest.approx(best_of_all(square, k, np.ones(10)), rel=1e-12)
    assert (found.inertia_ == pytest.approx(loss, rel=1e-12)) is is_best
    given = KMedoids(k, random_state=0).fit(square)
    assert given.inertia_ == pytest.approx(found.inertia_, rel=1e-12)
    assert sorted(found.medoid_indices_) == given.medoid_indices_.tolist()
    pd.testing.assert_frame_equal(
        found.cluster_centers_.reset_index(drop=True),
        shoppers().iloc[found.medoid_indices_].reset_index(drop=True),
    )


def mixed(n: int = 400, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Three groups in numbers and levels, with gaps."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])

    def levels(*names: str) -> np.ndarray:
        return np.where(rng.random(n) < 0.92, np.array(names)[truth], rng.choice(names, n))

    frame = pd.DataFrame(
        {
            "age": np.array([25, 45, 65])[truth] + rng.normal(0, 5, n),
            "spend": np.array([20, 200, 60])[truth] * rng.lognormal(0, 0.3, n),
            "region": levels("North", "South", "West"),
            "channel": levels("web", "store", "phone"),
            "plan": levels("basic", "gold", "family"),
            "member": np.where(rng.random(n) < 0.9, truth == 1, truth != 1),
        }
    )
    for name in ("age", "region", "plan"):
        frame[name] = frame[name].where(rng.random(n) < 0.9)
    return frame, truth


def test_planted_segments_of_mixed_kinds_are_found():
    customers, truth = mixed()
    found = KMedoids(3, metric="gower", random_state=0).fit(customers)
    assert adjusted_rand_score(truth, found.labels_) > 0.9


@pytest.mark.parametrize("metric", ["precomputed", "euclidean", "gower"])
def test_no_swap_lowers_the_sum(metric):
    customers, _ = mixed(300)
    square = gower(customers)
    table = customers
    if metric == "euclidean":
        table = customers[["spend"]].assign(other=np.arange(300) ** 0.5)
        square = cdist(table, table)
    weights = np.random.default_rng(1).integers(1, 6, 300).astype(float)
    model = KMedoids(7, metric=metric, n_init=3, random_state=0)
    model.fit(square if metric == "precomputed" else table, sample_weight=weights)
    assert model.inertia_ == pytest.approx(
        weights @ square[:, model.medoid_indices_].min(axis=1), rel=1e-12
    )
    assert gain_of_swaps(square, model.medoid_indices_, weights) < 1e-9
    single = KMedoids(7, n_init=1, random_state=3).fit(square.astype(np.float32))
    assert gain_of_swaps(square, single.medoid_indices_, np.ones(300)) < 1e-6


def numbers_for(metric: str) -> np.ndarray:
    rng = np.random.default_rng(4)
    if metric in PAIRWISE_BOOLEAN_FUNCTIONS:
        return rng.random((60, 7)) < 0.6
    if metric == "haversine":
        return rng.uniform(-1, 1, (60, 2))
    return rng.lognormal(0, 1, (60, 4))


@pytest.mark.parametrize("metric", sorted(set(_spaces.METRICS) - {"precomputed", "gower"}))
def test_any_metric_of_scikit_learn(metric):
    numbers = numbers_for(metric)
    found = KMedoids(3, metric=metric, random_state=0).fit(numbers)
    own = metric == "russellrao"  # whose rows are not at 0 from themselves
    square = pairwise_distances(numbers, numbers.copy() if own else None, metric=metric)
    assert found.inertia_ == pytest.approx(square[:, found.medoid_indices_].min(axis=1).sum())
    assert gain_of_swaps(square, found.medoid_indices_, np.ones(60)) < 1e-6
    np.testing.assert_allclose(
        found.transform(numbers), square[:, found.medoid_indices_], rtol=1e-9, atol=1e-7
    )
    np.testing.assert_array_equal(found.predict(numbers), found.labels_)
    one_by_one = [found.predict(numbers[[i]])[0] for i in range(60)]
    np.testing.assert_array_equal(one_by_one, found.labels_)


def test_parameters_of_a_metric():
    numbers = numbers_for("minkowski")
    p = KMedoids(3, metric="minkowski", metric_params={"p": 1}, random_state=0).fit(numbers)
    assert p.inertia_ == pytest.approx(
        KMedoids(3, metric="cityblock", random_state=0).fit(numbers).inertia_
    )
    customers, _ = mixed(80)
    weights = {"age": 3, "member": 0}
    found = KMedoids(3, metric="gower", metric_params={"weights": weights}, random_state=0)
    square = gower(customers, weights=weights)
    assert gain_of_swaps(square, found.fit(customers).medoid_indices_, np.ones(80)) < 1e-9
    variances = np.array([1.0, 4.0, 9.0, 16.0])
    given = KMedoids(3, metric="seuclidean", metric_params={"V": variances}, random_state=0)
    same = KMedoids(3, metric="euclidean", random_state=0).fit(numbers / np.sqrt(variances))
    assert given.fit(numbers).inertia_ == pytest.approx(same.inertia_)


def test_new_rows_go_to_the_nearest_medoid():
    customers, _ = mixed()
    model = KMedoids(3, metric="gower", random_state=0).fit(customers)
    np.testing.assert_array_equal(model.predict(customers), model.labels_)
    new, _ = mixed(50, seed=9)
    new.loc[0, "region"] = "Moon"
    comparisons = learn(customers)
    apart = rows_between(place(new, comparisons), place(model.cluster_centers_, comparisons))
    np.testing.assert_array_equal(model.transform(new), apart)
    np.testing.assert_array_equal(model.predict(new), apart.argmin(axis=1))
    assert model.get_feature_names_out().tolist() == ["kmedoids0", "kmedoids1", "kmedoids2"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(new.drop(columns="age"))


def test_precomputed_takes_new_rows_x_medoids_or_x_all_rows():
    rng = np.random.default_rng(2)
    points, new = rng.normal(size=(80, 3)), rng.normal(size=(9, 3))
    model = KMedoids(4, random_state=0).fit(cdist(points, points))
    assert model.medoid_indices_.tolist() == sorted(model.medoid_indices_)
    assert model.cluster_centers_ is None
    apart = cdist(new, points[model.medoid_indices_])
    np.testing.assert_array_equal(model.predict(apart), apart.argmin(axis=1))
    np.testing.assert_array_equal(model.predict(cdist(new, points)), apart.argmin(axis=1))
    np.testing.assert_array_equal(model.transform(cdist(new, points)), apart)
    with pytest.raises(ValueError, match="X has 5 features, but KMedoids is expecting 80 features"):
        model.predict(np.zeros((2, 5)))
    apart[3, 1] = np.nan
    with pytest.raises(DataError, match="1 missing"):
        model.predict(apart)


def test_ties_go_to_the_first_medoid():
    model = KMedoids(2, metric="euclidean", random_state=0).fit([[0.0], [0.0], [2.0], [2.0]])
    assert model.medoid_indices_.tolist() == [0, 2]
    assert model.predict([[1.0], [1.0 + 1e-9]]).tolist() == [0, 1]
    square = np.array([[0.0, 1, 1], [1, 0, 2], [1, 2, 0]])
    fitted = KMedoids(2, random_state=0).fit(square)
    assert fitted.predict([[0.5, 0.5]]).tolist() == [0]


@pytest.mark.parametrize("metric", ["euclidean", "gower", "precomputed"])
def test_weights_are_repeated_rows(metric):
    rng = np.random.default_rng(5)
    numbers = rng.normal(size=(120, 3)).round(1)
    weights = rng.integers(0, 4, 120)
    repeated = np.repeat(np.arange(120), weights)

    def fitted(rows: np.ndarray, **options) -> KMedoids:
        given = numbers[rows]
        square = metric == "precomputed"
        return KMedoids(5, metric=metric, n_init=30, random_state=0).fit(
            cdist(given, given) if square else given, **options
        )

    weighted = fitted(np.arange(120), sample_weight=weights)
    plain = fitted(repeated)
    assert weighted.inertia_ == pytest.approx(plain.inertia_, rel=1e-12)
    np.testing.assert_array_equal(
        np.unique(numbers[weighted.medoid_indices_], axis=0),
        np.unique(numbers[repeated[plain.medoid_indices_]], axis=0),
    )
    assert (weights[weighted.medoid_indices_] > 0).all()
    assert len(weighted.labels_) == 120


def test_the_order_of_the_rows_of_a_table_does_not_matter():
    customers, _ = mixed()
    customers = customers.round(0)
    order = np.random.default_rng(6).permutation(len(customers))
    for options in ({"metric": "gower"}, {"metric": "gower", "exact_up_to": 60}):
        model = KMedoids(4, random_state=0, n_init=3, **options)
        plain, shuffled = clone(model).fit(customers), clone(model).fit(customers.iloc[order])
        np.testing.assert_array_equal(shuffled.labels_, plain.labels_[order])
        assert shuffled.inertia_ == pytest.approx(plain.inertia_, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"exact_up_to": 60}])
def test_threads_do_not_matter(options, monkeypatch):
    customers, _ = mixed()
    found = []
    for threads in (1, 3):
        for module in (_medoid_search, _spaces, _squares):
            monkeypatch.setattr(module, "cpu_count", lambda threads=threads: threads)
        numbers = customers[["spend", "member"]].astype(float)
        found += [
            (model.labels_.tolist(), model.inertia_, model.n_iter_)
            for model in (
                KMedoids(5, metric="gower", random_state=1, **options).fit(customers),
                KMedoids(5, metric="euclidean", random_state=1, **options).fit(numbers),
                KMedoids(5, random_state=1).fit(gower(customers)),
            )
        ]
    assert found[:3] == found[3:]


def test_seeds():
    points = np.random.default_rng(0).random((400, 3))
    square = cdist(points, points)
    first = KMedoids(12, n_init=1, random_state=0).fit(square)
    again = KMedoids(12, n_init=1, random_state=0).fit(square)
    assert first.medoid_indices_.tolist() == again.medoid_indices_.tolist()
    losses = {KMedoids(12, n_init=1, random_state=seed).fit(square).inertia_ for seed in range(8)}
    assert len(losses) > 1
    many = KMedoids(12, n_init=8, random_state=np.random.default_rng(0)).fit(square)
    assert many.inertia_ <= min(losses)


def test_as_many_segments_as_distinct_rows():
    rows = np.array([[0.0, 1], [0, 1], [3, 1], [5, 2], [5, 2], [5, 2], [9, 0]])
    for metric in ("euclidean", "gower", "precomputed"):
        given = cdist(rows, rows) if metric == "precomputed" else rows
        for k in range(1, 5):
            model = KMedoids(k, metric=metric, random_state=0).fit(given)
            assert len(set(model.labels_)) == k
        assert model.inertia_ == 0
        assert len(np.unique(rows[model.medoid_indices_], axis=0)) == 4
        with pytest.raises(ParameterError, match="n_clusters is 5, but must be at most 4"):
            KMedoids(5, metric=metric).fit(given)
        with pytest.raises(ParameterError, match="must be at most 3"):
            KMedoids(4, metric=metric).fit(given, sample_weight=[1, 1, 0, 1, 1, 1, 1])
    model = KMedoids(1, metric="gower").fit(pd.DataFrame({"spend": [2.0]}))
    assert model.labels_.tolist() == [0]


def test_rows_that_only_gaps_set_apart():
    frame = pd.DataFrame({"age": [20, 20, 20], "region": ["North", None, None], "n": [1, 1, 1.0]})
    assert KMedoids(1, metric="gower", random_state=0).fit(frame).inertia_ == 0
    with pytest.raises(DataError, match="only 1 segments can be told apart"):
        KMedoids(2, metric="gower", random_state=0).fit(frame)


@pytest.mark.parametrize("metric", ["euclidean", "gower"])
def test_samples_come_close_to_the_square(metric):
    customers, _ = mixed(3_000, seed=2)
    if metric == "euclidean":
        customers = customers[["age", "spend"]].fillna(40)
    exact = KMedoids(4, metric=metric, random_state=0, n_init=4).fit(customers)
    assert len(exact.notes_) == (metric == "gower")
    model = KMedoids(4, metric=metric, random_state=0, exact_up_to=1_000).fit(customers)
    assert 1 - 1e-3 < model.inertia_ / exact.inertia_ < 1.003
    assert "10 samples of 1,000 of 3,000 distinct rows" in model.notes_[-1]
    assert repr(model).endswith("note: " + model.notes_[-1])
    np.testing.assert_array_equal(model.predict(customers), model.labels_)


def test_samples_follow_the_weights():
    rng = np.random.default_rng(0)
    weights = np.concatenate([np.full(900, 1.0), [500.0], np.full(99, 4.0)])
    counted = np.zeros(1000)
    for _ in range(400):
        places, counts = _medoid_search.draw_sample(weights, 100, 3, rng)
        assert (np.diff(places) > 0).all()
        assert 100 <= counts.sum() < 104
        counted[places] += counts
    shares = np.array([counted[:900].sum(), counted[900], counted[901:].sum()]) / counted.sum()
    np.testing.assert_allclose(shares, [900, 500, 396] / weights.sum(), atol=0.01)
    places, counts = _medoid_search.draw_sample(np.array([1e9, 1, 1, 1]), 2, 4, rng)
    assert places.tolist() == [0, 1, 2, 3]
    assert counts.min() > 0


def peak_of(function) -> float:
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


@pytest.mark.parametrize("metric", ["euclidean", "gower"])
def test_memory_stays_that_of_one_square_in_single_precision(metric):
    numbers = np.random.default_rng(0).normal(size=(5_000, 4))
    model = KMedoids(4, metric=metric, n_init=2, random_state=0)
    model.fit(numbers[:500])
    exact = peak_of(lambda: model.fit(numbers))
    assert 100 < exact < 140  # 4 bytes x 5,000²; 200 MB in double precision
    many = np.random.default_rng(0).normal(size=(60_000, 4))
    model.set_params(exact_up_to=1_500)
    assert peak_of(lambda: model.fit(many)) < 80  # 14,400 MB for the square


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_square_is_not_copied(dtype):
    points = np.random.default_rng(0).normal(size=(3_000, 4))
    square = cdist(points, points).astype(dtype)
    kept = square.copy()
    model = KMedoids(3, n_init=2, random_state=0).fit(square[:300, :300])
    assert peak_of(lambda: model.fit(square)) < square.nbytes / 1e6 / 10
    np.testing.assert_array_equal(square, kept)
    by_columns = KMedoids(3, n_init=2, random_state=0).fit(np.asfortranarray(square))
    assert by_columns.medoid_indices_.tolist() == model.medoid_indices_.tolist()


def test_a_search_that_is_stopped_says_so():
    square = gower(mixed()[0])
    model = KMedoids(9, n_init=1, max_iter=1, random_state=0).fit(square)
    assert model.n_iter_ <= 2
    assert "stopped after 1 passes" in model.notes_[0]
    assert KMedoids(9, n_init=1, random_state=0).fit(square).notes_ == ()


def spoilt(**changes) -> pd.DataFrame:
    return shoppers()[["age", "spend"]].fillna(30).assign(**changes)


def weights_of(**weights: float) -> dict:
    return {"metric_params": {"weights": weights}}


@pytest.mark.parametrize(
    ("table", "options", "error", "words"),
    [
        (shoppers()[["age"]], {"metric": "euclidean"}, DataError, "'age' has 1 missing.*gower"),
        (spoilt(spend=np.inf), {"metric": "euclidean"}, DataError, "'spend' has 10 infinite"),
        (spoilt(spend="much"), {"metric": "cosine"}, DataError, "'spend' holds text"),
        (spoilt(spend=0, age=0), {"metric": "cosine"}, ParameterError, "only 1 distinct"),
        (spoilt(spend=1), {"metric": "seuclidean"}, DataError, "'spend' has one value only"),
        (spoilt(x=1), {"metric": "mahalanobis"}, DataError, "linear combination"),
        (spoilt(x=1), {"metric": "haversine"}, ParameterError, "rows of 3 columns"),
        (spoilt(spend=spoilt()["age"]), {"metric": "correlation"}, DataError, "50 pairs"),
        (spoilt(), {"metric": "euclidian"}, ParameterError, "Did you mean 'euclidean'"),
        (spoilt(), {"metric": "yule", "metric_params": {"p": 2}}, ParameterError, "metric_params="),
        (spoilt(), {"metric": "gower", "metric_params": {"p": 2}}, ParameterError, "only 'weights"),
        (spoilt(), {"metric": "l1", "dictionary": KINDS}, ParameterError, "Leave it out"),
        (
            spoilt(),
            {"metric": "gower", "metric_params": {"weights": {"agee": 1}}},
            ColumnError,
            "agee",
        ),
        (spoilt(), {"metric": "l2", "n_clusters": 0}, ParameterError, "n_clusters is 0"),
        (spoilt(), {"metric": "l2", "n_init": 0}, ParameterError, "n_init is 0"),
        (spoilt(), {"metric": "l2", "exact_up_to": 3}, ParameterError, "exact_up_to is 3"),
        (spoilt(), {}, DataError, "10 rows and 2 columns, .* give metric='euclidean' or 'gower'"),
        (np.full((3, 3), np.nan), {}, DataError, "9 missing"),
        (-np.ones((3, 3)), {}, DataError, "9 of X, the lowest -1"),
        (np.eye(4), {}, DataError, "looks like similarities"),
        ([["a", "b"], ["b", "a"]], {}, DataError, "must be numbers"),
        (np.zeros((2, 2, 2)), {}, DataError, "2 dimensions"),
    ],
)
def test_bad_input_is_named(table, options, error, words):
    with pytest.raises(error, match=words) as caught:
        KMedoids(**({"n_clusters": 2} | options)).fit(table)
    assert isinstance(caught.value, CustsegError)


def test_rows_without_anything_in_common():
    frame = pd.DataFrame({"age": [20, 30, np.nan, 40], "region": ["N", "S", "N", None]})
    with pytest.raises(DataError, match="1 pairs of rows have no variable that both have"):
        KMedoids(2, metric="gower").fit(frame)
    with pytest.raises(DataError, match="1 of 5 rows have no value in any variable"):
        KMedoids(2, metric="gower").fit(frame.reindex(range(5)))
    model = KMedoids(2, metric="gower", random_state=0).fit(frame.dropna())
    assert model.predict(frame).tolist() == [0, 1, 0, 1]
    model = KMedoids(1, metric="gower", random_state=0).fit(frame.iloc[[2]])
    with pytest.raises(DataError, match="2 of 4 rows have no dissimilarity from any medoid"):
        model.predict(pd.concat([frame.iloc[[3]], frame.iloc[[2]], frame.iloc[[3, 2]]]))


def test_rounding_errors_are_not_negative_dissimilarities():
    points = np.random.default_rng(0).normal(size=(40, 3))
    square = 1 - np.corrcoef(points)
    np.fill_diagonal(square, -1e-16)
    assert KMedoids(3, random_state=0).fit(square).inertia_ > 0


@pytest.mark.parametrize("metric", ["euclidean", "mahalanobis", "gower"])
def test_a_model_of_medoids_is_stored(metric, tmp_path):
    customers, _ = mixed(120)
    table = customers[["age", "spend"]].fillna(40).rename_axis("customer_id")
    model = cs.SegmentationModel(KMedoids(metric=metric), n_segments=3, random_state=0).fit(table)
    model.save(tmp_path / "medoids.model")
    again = cs.load_model(tmp_path / "medoids.model").predict(table)
    pd.testing.assert_series_equal(again, model.segments_)


def test_it_is_at_the_door_of_its_room():
    assert cs.clustering.KMedoids is KMedoids
    assert "kmedoids" in cs.clustering.ALGORITHMS
