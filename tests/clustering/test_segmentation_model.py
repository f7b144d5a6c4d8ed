"""The model: segments found, their order and names, new customers, bad input."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.compose import make_column_transformer
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import custseg as cs
from custseg.clustering._naming import segment_names
from custseg.clustering.algorithms import as_seed
from custseg.errors import ColumnError, DataError, ParameterError

VARIABLES = ["recency", "frequency", "monetary"]


def planted(n: int = 600, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Four groups of unequal size on three variables, ids not in row order."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    centres = np.array([[20, 12, 300], [200, 2, 40], [40, 30, 1500], [320, 20, 800]])
    values = centres[truth] * rng.lognormal(0, 0.12, (n, 3))
    ids = rng.permutation(n) + 10_000
    return pd.DataFrame(values, columns=VARIABLES, index=pd.Index(ids, name="customer_id")), truth


def model(**options) -> cs.SegmentationModel:
    given = {"n_segments": 4, "variables": VARIABLES, "random_state": 0}
    return cs.SegmentationModel("kmeans", **(given | options))


def test_planted_segments_are_found_named_and_described():
    customers, truth = planted()
    fitted = model(order_by="monetary").fit(customers)
    assert adjusted_rand_score(truth, fitted.segments_) > 0.99
    assert fitted.segments_.index.equals(customers.index)
    assert fitted.segments_.name == "segment"
    assert fitted.segments_.cat.ordered
    assert fitted.segments_.cat.categories.tolist() == ["A", "B", "C", "D"]
    expected = customers.groupby(fitted.segments_, observed=True).mean()
    pd.testing.assert_frame_equal(fitted.centers_, expected, check_index_type=False)
    assert fitted.centers_["monetary"].is_monotonic_decreasing
    counts = fitted.segments_.value_counts(sort=False)
    assert fitted.sizes_["n"].tolist() == counts.tolist()
    assert fitted.sizes_["share"].sum() == pytest.approx(1)
    np.testing.assert_array_equal(fitted.labels_, fitted.segments_.cat.codes)


def test_without_order_by_the_largest_segment_is_first():
    customers, _ = planted()
    sizes = model().fit(customers).sizes_["n"]
    assert sizes.is_monotonic_decreasing


def test_equal_sizes_are_ordered_by_their_centres():
    customers = pd.DataFrame({"visits": [1.0, 2.0, 8.0, 9.0]})
    fitted = cs.SegmentationModel(n_segments=2, random_state=0).fit(customers)
    assert fitted.segments_.tolist() == ["B", "B", "A", "A"]


def test_predict_repeats_the_segments_and_takes_new_customers():
    customers, _ = planted()
    fitted = model().fit(customers)
    pd.testing.assert_series_equal(fitted.predict(customers), fitted.segments_)
    new = customers.sample(30, random_state=1).reset_index(drop=True).assign(city="Leeds")
    again = fitted.predict(new)
    assert again.index.equals(pd.RangeIndex(30, name="customer_id"))
    encoded = fitted.encoder_.transform(new)
    centres = fitted.estimator_.cluster_centers_
    nearest = ((encoded[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
    raw = fitted.estimator_.predict(fitted.encoder_.transform(customers[VARIABLES]))
    names = dict(zip(raw, fitted.segments_, strict=True))
    assert again.tolist() == [names[place] for place in nearest]


@pytest.mark.parametrize("kind", ["continuous", "tied"])
def test_row_order_does_not_change_the_segments(kind):
    customers, _ = planted()
    if kind == "tied":
        customers = (customers / customers.mean()).round().astype(int)
    fitted = model().fit(customers)
    shuffled = customers.sample(frac=1, random_state=3)
    again = model().fit(shuffled)
    assert again.segments_.index.equals(shuffled.index)
    pd.testing.assert_series_equal(
        again.segments_.sort_index(), fitted.segments_.sort_index(), check_exact=True
    )
    pd.testing.assert_frame_equal(again.centers_, fitted.centers_, check_exact=True)
    pd.testing.assert_series_equal(fitted.predict(shuffled), again.segments_)


def test_thread_count_does_not_change_the_segments():
    from threadpoolctl import threadpool_limits

    customers, _ = planted(3_000)
    customers = customers * np.random.default_rng(4).lognormal(0, 1, customers.shape)
    fitted = []
    for limit in (1, 2):
        with threadpool_limits(limits=limit):
            fitted.append(model(n_segments=6).fit(customers))
    pd.testing.assert_series_equal(fitted[0].segments_, fitted[1].segments_)
    np.testing.assert_array_equal(
        fitted[0].estimator_.cluster_centers_, fitted[1].estimator_.cluster_centers_
    )


def test_kmeans_finds_what_scikit_learn_finds():
    customers, _ = planted()
    frame = customers.sort_index()
    oracle = KMeans(4, n_init=10, random_state=7).fit(StandardScaler().fit_transform(frame))
    fitted = model(encoder=StandardScaler(), random_state=7).fit(customers)
    assert fitted.estimator_.inertia_ == pytest.approx(oracle.inertia_, rel=1e-12)
    assert adjusted_rand_score(oracle.labels_, fitted.segments_.sort_index()) == 1


def test_it_follows_scikit_learn():
    given = model(order_by="monetary")
    copy = clone(given)
    assert copy.get_params() == given.get_params()
    assert copy.variables is not None
    assert not hasattr(copy.set_params(n_segments=2), "segments_")
    customers, _ = planted()
    assert sorted(copy.fit(customers).sizes_.index) == ["A", "B"]
    assert copy.n_segments == 2
    assert repr(clone(copy)).startswith("SegmentationModel(")


def test_any_clusterer_and_any_encoder():
    customers, truth = planted()
    mixed = customers.assign(country=np.where(truth == 1, "Spain", "France"), member=truth > 1)
    encoder = make_column_transformer((OneHotEncoder(), ["country"]), (StandardScaler(), VARIABLES))
    fitted = cs.SegmentationModel(
        GaussianMixture(random_state=5),
        n_segments=4,
        encoder=encoder,
        random_state=0,
        variables=["country", *VARIABLES],
    ).fit(mixed)
    assert fitted.estimator_.n_components == 4
    assert fitted.estimator_.random_state == 5
    assert adjusted_rand_score(truth, fitted.segments_) > 0.95
    assert fitted.centers_.columns.tolist() == ["country", *VARIABLES]
    most = mixed.groupby(fitted.segments_, observed=True)["country"].agg(lambda c: c.mode()[0])
    assert fitted.centers_["country"].tolist() == most.tolist()
    pd.testing.assert_series_equal(fitted.predict(mixed), fitted.segments_)

    pipeline = make_pipeline(StandardScaler(), KMeans(3, n_init=10))
    piped = cs.SegmentationModel(pipeline, n_segments=4, variables=VARIABLES, encoder=None)
    assert adjusted_rand_score(truth, piped.set_params(random_state=1).fit(customers).labels_) > 0.9

    tree = cs.SegmentationModel(AgglomerativeClustering(4), variables=VARIABLES).fit(customers)
    assert adjusted_rand_score(truth, tree.segments_) > 0.95
    assert tree.predict_fidelity_ == np.mean(tree.predict(customers) == tree.segments_)


def test_noise_is_nobodys_segment():
    customers, _ = planted()
    customers.loc[99_999] = [1.0, 400.0, 1e6]
    fitted = cs.SegmentationModel(DBSCAN(eps=0.5), variables=VARIABLES).fit(customers)
    assert fitted.segments_.isna()[99_999]
    assert fitted.labels_[-1] == -1
    assert fitted.sizes_["n"].sum() == fitted.segments_.notna().sum()
    assert "1 customers are in none" in fitted.summary()
    with pytest.raises(DataError, match="DBSCAN called all 601 customers noise"):
        cs.SegmentationModel(DBSCAN(eps=1e-9), variables=VARIABLES).fit(customers)


def test_numeric_and_boolean_columns_are_the_variables_when_none_are_named():
    customers, truth = planted()
    mixed = customers.assign(member=truth == 2, country="Spain")
    fitted = cs.SegmentationModel(n_segments=4, random_state=0).fit(mixed)
    assert fitted.variables_ == [*VARIABLES, "member"]
    assert fitted.variables is None


def test_the_display_is_short_and_escaped():
    customers, _ = planted()
    fitted = model(order_by="monetary").fit(customers)
    assert repr(fitted).splitlines()[0] == (
        "SegmentationModel: kmeans found 4 segments of 600 customers by 3 variables, "
        "ordered by monetary"
    )
    assert repr(fitted) == repr(model(order_by="monetary").fit(customers))
    assert repr(fitted).splitlines()[-1] == (
        "note: the kind of recency, frequency, monetary was inferred from the type; "
        "SegmentationModel(dictionary=...) states it."
    )
    kinds = dict.fromkeys(VARIABLES, "numeric")
    assert "note:" not in repr(model(dictionary=kinds).fit(customers))
    odd = customers.rename(columns={"recency": "<b>"})
    bundle = model(variables=["<b>", "monetary"]).fit(odd)._repr_mimebundle_()
    assert "&lt;b&gt;" in bundle["text/html"]
    assert "<b>A" not in bundle["text/html"]
    assert set(model()._repr_mimebundle_()) == {"text/plain"}


def test_segment_names_go_on_after_z():
    names = segment_names(703)
    assert [names[0], names[25], names[26], names[701], names[702]] == ["A", "Z", "AA", "ZZ", "AAA"]


def test_seeds():
    assert as_seed(5) == 5
    assert as_seed(np.random.default_rng(1)) == as_seed(np.random.default_rng(1))
    assert as_seed(None) != as_seed(None)
    with pytest.raises(ParameterError, match="random_state is -1"):
        as_seed(-1)


def bad_tables() -> dict[str, tuple[pd.DataFrame, type[Exception], str]]:
    good, _ = planted(40)
    return {
        "an array": (good.to_numpy(), DataError, "is a ndarray, but must be a pandas DataFrame"),
        "empty": (good.iloc[:0], DataError, "is empty: 0 rows, 3 columns"),
        "duplicate ids": (
            pd.concat([good, good.iloc[:3]]),
            DataError,
            "has 3 duplicate customer ids, for example",
        ),
        "missing ids": (good.set_axis([np.nan, *range(39)]), DataError, "1 missing customer ids"),
        "several levels": (
            good.set_index([good.index, good["recency"]]),
            DataError,
            "index of several levels",
        ),
        "mixed ids": (good.set_axis(["a", *range(39)]), DataError, "mix types"),
        "a missing column": (
            good.rename(columns={"recency": "recencey"}),
            ColumnError,
            "Did you mean 'recencey'",
        ),
        "identical": (
            good * 0 + 1,
            DataError,
            "all 40 customers have the same values in 'recency'",
        ),
        "few distinct": (
            (good > good.mean()).assign(frequency=1, monetary=1),
            ParameterError,
            "n_segments is 4, but must be at most 2",
        ),
        "NaN": (good.assign(monetary=np.nan), DataError, "'monetary' has 40 missing"),
        "infinity": (good.assign(monetary=np.inf), DataError, "'monetary' has 40 infinite"),
        "text": (good.assign(monetary="12 GBP"), DataError, r"'monetary' holds text .*'12 GBP'"),
    }


@pytest.mark.parametrize("name", list(bad_tables()))
def test_bad_tables_are_refused_before_work_starts(name):
    table, error, words = bad_tables()[name]
    with pytest.raises(error, match=words):
        model().fit(table)
    with pytest.raises(error, match=words.replace("n_segments is 4", "k is 4")):
        cs.evaluation.compare_segmentations(table, VARIABLES, k=[4])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_segments": 1}, "n_segments is 1, but must be a whole number >= 2"),
        ({"n_segments": 2.5}, "n_segments is 2.5, but must be a whole number"),
        ({"n_segments": None}, "'kmeans' needs a whole number"),
        ({"algorithm": "kmean"}, "Did you mean 'kmeans'"),
        ({"algorithm": KMeans}, "an instance of a scikit-learn clusterer"),
        ({"algorithm": DBSCAN(), "n_segments": 3}, "DBSCAN finds the number of segments itself"),
        ({"variables": "recency"}, r"must be a list: \['recency'\]"),
        ({"variables": []}, "variables is empty"),
        ({"variables": ["recency", "recency"]}, "'recency' appears twice"),
        ({"encoder": "scale"}, "encoder is 'scale', but must be 'auto', None or"),
        ({"random_state": "zero"}, "random_state is 'zero'"),
    ],
)
def test_bad_parameters_are_refused(options, words):
    customers, _ = planted(40)
    with pytest.raises(ParameterError, match=words):
        model().set_params(**options).fit(customers)


def test_an_id_is_not_a_variable():
    customers, _ = planted(40)
    with pytest.raises(DataError, match=r"customers.set_index\('customer_id'\)"):
        cs.SegmentationModel(n_segments=2).fit(customers.reset_index())
    with pytest.raises(ColumnError, match="Did you mean 'monetary'"):
        model(order_by="monetry").fit(customers)
    with pytest.raises(DataError, match="no numeric column"):
        cs.SegmentationModel(n_segments=2).fit(customers[["recency"]].astype(str))


BEST_KNOWN = {2: 2145.504, 3: 1818.701, 4: 1602.899, 5: 1434.601}


@pytest.mark.realdata
@pytest.mark.parametrize("k", list(BEST_KNOWN))
def test_mcdonalds_reaches_the_best_known_sum_of_squares_from_every_seed(k):
    answers = cs.datasets.load_mcdonalds().iloc[:, :11]
    items = answers.eq("Yes").astype(float)
    for seed in range(10):
        fitted = cs.SegmentationModel("kmeans", n_segments=k, encoder=None, random_state=seed)
        assert fitted.fit(items).estimator_.inertia_ == pytest.approx(BEST_KNOWN[k], rel=2e-4)
