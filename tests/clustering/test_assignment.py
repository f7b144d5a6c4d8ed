"""Assigning customers: how near, who is unlike anybody, medoids, dissimilarities, names."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.cluster import (
    DBSCAN,
    HDBSCAN,
    AgglomerativeClustering,
    KMeans,
    MeanShift,
    SpectralClustering,
)
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import custseg as cs
from custseg.clustering import KModes, KPrototypes, LatentClass
from custseg.clustering.assignment import find_medoids, tail_limit
from custseg.clustering.kmedoids import KMedoids
from custseg.clustering.rules import RFMRules
from custseg.clustering.tree_rules import TreeRules
from custseg.errors import ColumnError, DataError, ParameterError

NUMBERS = ["recency", "frequency", "monetary"]
KINDS = {"region": "nominal", "member": "binary", **dict.fromkeys(NUMBERS, "numeric")}


def shoppers(n: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    centres = np.array([[20, 12, 300], [200, 2, 40], [40, 30, 1500]])
    table = pd.DataFrame(centres[truth] * rng.lognormal(0, 0.2, (n, 3)), columns=NUMBERS)
    noisy = np.where(rng.random(n) < 0.85, truth, rng.integers(3, size=n))
    table["region"] = np.array(["North", "South", "West"])[noisy]
    table["member"] = rng.random(n) < 0.15 + 0.3 * truth
    return table.set_index(pd.Index(rng.permutation(n) + 100, name="customer_id")), truth


def model(algorithm="kmeans", **options) -> cs.SegmentationModel:
    given = {"variables": NUMBERS, "dictionary": KINDS, "random_state": 0}
    if not isinstance(algorithm, DBSCAN | HDBSCAN | MeanShift):
        given["n_segments"] = 3
    return cs.SegmentationModel(algorithm, **(given | options))


# ------------------------------------------------------------------------------- how near


def test_distances_are_those_from_the_centres_and_margins_follow():
    customers, _ = shoppers()
    fitted = model().fit(customers)
    new, _ = shoppers(80, seed=7)
    table = fitted.assign(new)
    distances = cdist(fitted.encoder_.transform(new), fitted.estimator_.cluster_centers_)
    first, second = np.sort(distances, axis=1)[:, :2].T
    np.testing.assert_allclose(table["distance"], first)
    np.testing.assert_allclose(table["margin"], 1 - first / second)
    names = np.array(fitted.names_)[np.argsort(fitted._order)]
    assert table["segment"].tolist() == names[distances.argsort(axis=1)[:, 0]].tolist()
    assert table["second"].tolist() == names[distances.argsort(axis=1)[:, 1]].tolist()
    assert table["segment"].cat.categories.tolist() == ["A", "B", "C"]
    assert table["second"].cat.ordered


@pytest.mark.parametrize(
    "algorithm",
    [GaussianMixture(), make_pipeline(StandardScaler(), "passthrough", GaussianMixture(n_init=3))],
)
def test_posteriors_are_those_of_the_mixture(algorithm):
    customers, _ = shoppers()
    fitted = model(algorithm).fit(customers)
    table = fitted.assign(customers)
    posterior = fitted.estimator_.predict_proba(fitted.encoder_.transform(customers))
    ordered = np.sort(posterior, axis=1)[:, ::-1]
    np.testing.assert_allclose(table["posterior"], ordered[:, 0])
    np.testing.assert_allclose(table["margin"], ordered[:, 0] - ordered[:, 1])
    assert "distance" not in table


def test_one_segment_has_no_second():
    customers, _ = shoppers()
    table = model(MeanShift(bandwidth=50.0)).fit(customers).assign(customers)
    assert table["segment"].unique().tolist() == ["A"]
    assert table[["second", "margin"]].isna().all(axis=None)
    assert (table["distance"] > 0).all()


def test_other_algorithms_are_asked_for_the_means_of_their_segments():
    customers, _ = shoppers()
    fitted = model("birch").fit(customers)
    matrix = fitted.encoder_.transform(customers)
    codes = fitted.labels_
    means = np.array([matrix[codes == code].mean(axis=0) for code in range(3)])
    own = np.linalg.norm(matrix - means[codes], axis=1)
    np.testing.assert_allclose(fitted.assign(customers)["distance"], own)


# ------------------------------------------------------------------------------- unlike anybody


@pytest.mark.parametrize(
    "algorithm",
    [
        *("kmeans", "gaussian_mixture", "ward", "hdbscan", "kmodes", "kprototypes", "kmedoids"),
        *("latent_class", "tree_rules", "consensus"),
    ],
)
def test_one_in_a_thousand_is_unlike_and_strangers_are(algorithm):
    customers, _ = shoppers(1_000)
    entry = cs.clustering.ALGORITHMS[algorithm]
    levels = ["region", "member"]
    variables = {"levels": levels, "numbers": NUMBERS, "raw": NUMBERS}.get(entry.takes)
    options = {} if entry.needs_n_segments else {"n_segments": None}
    fitted = model(algorithm, variables=variables or NUMBERS + levels, **options).fit(customers)
    again, _ = shoppers(5_000, seed=1)
    assert fitted.assign(again)["unlike"].mean() <= 0.005
    strangers = again.head(200).assign(recency=3_000, frequency=500, region="Moon")
    assert fitted.assign(strangers)["unlike"].all()


def test_the_limit_is_what_one_in_a_thousand_exceeds():
    rng = np.random.default_rng(0)
    for n, low, high in ((100, 0.0, 0.006), (2_000, 0.0002, 0.0016)):
        shares = [
            (rng.exponential(size=20_000) > tail_limit(rng.exponential(size=n))).mean()
            for _ in range(40)
        ]
        assert low <= np.mean(shares) <= high
    assert tail_limit(np.zeros(5)) == 0


def test_a_segment_of_few_takes_the_limit_of_all():
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(0, 1, 200), 40.0, 41.0]
    table = pd.DataFrame({"x": x, "y": np.r_[rng.normal(0, 1, 200), 40.0, 40.5]})
    fitted = cs.SegmentationModel("kmeans", n_segments=2, encoder=None, random_state=0).fit(table)
    assert fitted.sizes_["n"].tolist() == [200, 2]
    new = pd.DataFrame({"x": [42.0, 60.0], "y": [41.0, 60.0]})
    assert fitted.assign(new)["unlike"].tolist() == [False, True]


def test_for_rules_a_new_level_and_a_number_out_of_range_are_unlike():
    customers, _ = shoppers(400)
    rules = TreeRules(3, target="monetary")
    fitted = model(rules, variables=["recency", "region"], n_segments=None).fit(customers)
    assert fitted.variables_ == ["recency", "region"]
    new = customers.head(3).drop(columns="monetary")
    new["recency"], new["region"] = [20.0, 9e4, 20.0], ["North", "North", "Moon"]
    assert fitted.assign(new)["unlike"].tolist() == [False, True, True]
    assert "region is" in fitted.estimator_.rules_["rule"].str.cat() or "recency" in (
        fitted.estimator_.rules_["rule"].str.cat()
    )


# ------------------------------------------------------------------------------- medoids


def test_a_medoid_is_the_member_nearest_to_the_others():
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(90, 3)), rng.integers(-1, 3, 90)
    found = find_medoids(AgglomerativeClustering(), X, codes, 3)
    square = squareform(pdist(X))
    by_square = find_medoids(None, square, codes, 3)
    for code in range(3):
        members = np.flatnonzero(codes == code)
        sums = square[np.ix_(members, members)].sum(axis=1)
        assert found[code] == by_square[code] == members[sums.argmin()]
    metric = AgglomerativeClustering(metric="manhattan", linkage="average")
    members = np.flatnonzero(codes == 1)
    sums = squareform(pdist(X[members], "cityblock")).sum(axis=1)
    assert find_medoids(metric, X, codes, 3)[1] == members[sums.argmin()]


def test_the_medoid_of_many_is_nearly_the_best():
    X = np.random.default_rng(0).normal(size=(3_000, 2))
    codes = np.zeros(3_000, dtype=int)
    found = find_medoids(AgglomerativeClustering(), X, codes, 1)[0]
    sums = np.array([np.linalg.norm(X - X[row], axis=1).sum() for row in range(3_000)])
    assert sums[found] <= sums.min() * 1.001


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_without_a_rule_the_nearest_medoid_in_the_own_metric_decides(metric):
    customers, _ = shoppers()
    linkage = AgglomerativeClustering(metric=metric, linkage="average")
    fitted = model(linkage, encoder=StandardScaler()).fit(customers)
    new, _ = shoppers(60, seed=3)
    rows = fitted.encoder_.transform(customers[NUMBERS].sort_index())
    medoids = rows[find_medoids(linkage, rows, fitted.labels_[customers.index.argsort()], 3)]
    names = {"manhattan": "cityblock"}
    distances = cdist(fitted.encoder_.transform(new[NUMBERS]), medoids, names.get(metric, metric))
    assert fitted.predict(new).cat.codes.tolist() == distances.argmin(axis=1).tolist()
    np.testing.assert_allclose(fitted.assign(new)["distance"], distances.min(axis=1), atol=1e-12)
    same = fitted.predict(customers) == fitted.segments_
    assert fitted.predict_fidelity_ == same.mean()


def test_noise_stays_noise_beyond_the_farthest_member():
    customers = shoppers()[0][NUMBERS]
    customers.loc[9_999] = [5_000.0, 900.0, 9e5]
    fitted = model(DBSCAN(eps=0.6), variables=NUMBERS).fit(customers)
    assert fitted.segments_.isna()[9_999]
    assert fitted.noise_share_ == fitted.segments_.isna().mean() > 0
    table = fitted.assign(customers)
    members = fitted.segments_ == fitted.predict(customers)
    assert table.loc[members, "segment"].notna().all()
    lost = table.loc[9_999]
    assert pd.isna(lost["segment"])
    assert pd.isna(lost["margin"])
    assert lost["second"] in fitted.names_
    assert lost["unlike"]
    farthest = table[members].groupby("segment", observed=True)["distance"].max()
    inside = table["segment"].notna() & members
    limits = farthest[table.loc[inside, "segment"]].to_numpy()
    assert (table.loc[inside, "distance"] <= limits).all()
    assert f"{int(fitted.segments_.isna().sum())} customers are in none" in repr(fitted)


# ------------------------------------------------------------------------- dissimilarities


def square_of(customers: pd.DataFrame) -> pd.DataFrame:
    rows = StandardScaler().fit_transform(np.log(customers[NUMBERS]))
    return pd.DataFrame(squareform(pdist(rows)), customers.index, customers.index)


SQUARED = {
    "KMedoids": KMedoids(3, metric="precomputed"),
    "average": AgglomerativeClustering(3, metric="precomputed", linkage="average"),
    "HDBSCAN": HDBSCAN(min_cluster_size=10, metric="precomputed", copy=True),
    "DBSCAN": DBSCAN(eps=0.7, metric="precomputed"),
}


@pytest.mark.parametrize("name", list(SQUARED))
def test_dissimilarities_are_taken_with_ids_both_ways(name):
    customers, truth = shoppers(120)
    square = square_of(customers)
    fitted = cs.SegmentationModel(SQUARED[name], random_state=0).fit(square)
    inside = fitted.labels_ >= 0
    assert adjusted_rand_score(truth[inside], fitted.labels_[inside]) > 0.9
    assert fitted.segments_.index.equals(square.index)
    assert fitted.medoids_.index.tolist() == fitted.names_
    assert fitted.variables_ == []
    assert fitted.centers_.shape == (len(fitted.names_), 0)
    assert "by their dissimilarities" in repr(fitted)
    medoids = fitted.medoids_.tolist()
    assert fitted.segments_[medoids].tolist() == fitted.names_
    again = fitted.predict(square[medoids])
    assert (again == fitted.segments_)[again.notna()].mean() > 0.9
    assert (
        fitted.predict_fidelity_
        == (again.astype(object).fillna("-") == fitted.segments_.astype(object).fillna("-")).mean()
    )
    mixed = square.sample(frac=1, random_state=1)
    mixed = mixed[np.random.default_rng(2).permutation(mixed.columns)]
    turned = cs.SegmentationModel(SQUARED[name], random_state=0).fit(mixed)
    pd.testing.assert_series_equal(
        turned.segments_.sort_index(), fitted.segments_.sort_index(), check_names=False
    )


def test_new_customers_come_with_their_dissimilarities_from_the_medoids():
    customers, _ = shoppers(120)
    square = square_of(customers)
    fitted = cs.SegmentationModel(SQUARED["KMedoids"], random_state=0).fit(square)
    medoids = fitted.medoids_.tolist()
    new = pd.DataFrame([[0.1, 2.0, 9.0], [5.0, 4.0, 99.0]], ["Ada", "Ben"], medoids)
    table = fitted.assign(new[medoids[::-1]])
    assert table["segment"].tolist() == ["A", "B"]
    assert table["distance"].tolist() == [0.1, 4.0]
    np.testing.assert_allclose(table["margin"], [0.95, 0.2])
    assert table["unlike"].tolist() == [False, True]
    with pytest.raises(ColumnError, match="from the medoids has no column"):
        fitted.predict(new[medoids[:2]])


def test_bad_squares_are_refused():
    customers, _ = shoppers(30)
    square = square_of(customers)
    crooked, negative, apart, gap = (square.copy() for _ in range(4))
    crooked.iloc[0, 1] += 1
    negative.iloc[0, 1] = negative.iloc[1, 0] = -1
    apart.iloc[0, 0] = 1
    gap.iloc[0, 1] = np.nan
    fresh = cs.SegmentationModel(SQUARED["KMedoids"])
    for table, words in (
        (square.iloc[:, 1:], "30 rows and 29 columns"),
        (square.set_axis(range(30), axis=1), "30 rows and 30 columns of other names"),
        (crooked, "not symmetric"),
        (negative, "never negative"),
        (apart, "0 between a customer and himself"),
        (gap, "1 dissimilarities are missing"),
        (square.astype(str) + "x", "must be numbers"),
        (square.to_numpy(), "not a ndarray"),
    ):
        with pytest.raises(DataError, match=words):
            fresh.fit(table)
    for option in ({"variables": ["x"]}, {"order_by": "x"}, {"encoder": StandardScaler()}):
        with pytest.raises(ParameterError, match=f"{next(iter(option))} is given, but the table"):
            cs.SegmentationModel(SQUARED["KMedoids"], **option).fit(square)
    with pytest.raises(ParameterError, match="takes similarities"):
        cs.SegmentationModel(SpectralClustering(affinity="precomputed")).fit(square)


# ------------------------------------------------------------------------------- names


def test_new_names_are_everywhere_and_keep_their_order():
    customers, _ = shoppers()
    fitted = model(order_by="monetary").fit(customers)
    before = fitted.assign(customers)
    sizes, centers = fitted.sizes_.to_numpy(), fitted.centers_.to_numpy()
    assert fitted.rename({"C": "Sleepers", "A": "Champions"}) is fitted
    names = ["Champions", "B", "Sleepers"]
    assert fitted.names_ == names
    for table in (fitted.segments_, fitted.predict(customers)):
        assert table.cat.categories.tolist() == names
        assert table.cat.ordered
    after = fitted.assign(customers)
    assert after["second"].cat.categories.tolist() == names
    for column in ("segment", "second"):
        assert (after[column].cat.codes == before[column].cat.codes).all()
    assert fitted.sizes_.index.tolist() == fitted.centers_.index.tolist() == names
    np.testing.assert_array_equal(fitted.sizes_, sizes)
    np.testing.assert_array_equal(fitted.centers_, centers)
    assert "Champions" in repr(fitted)
    swapped = fitted.rename({"B": "Sleepers", "Sleepers": "B"})
    assert swapped.names_ == ["Champions", "Sleepers", "B"]
    assert fitted.fit(customers).names_ == ["A", "B", "C"]
    escaped = fitted.rename({"A": "<script>"})._repr_mimebundle_()["text/html"]
    assert "<script>" not in escaped


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"D": "x"}, "a name to change is 'D', but must be one of 'A', 'B', 'C'"),
        ({"A": "B"}, "two segments would be called 'B'"),
        ({"A": "x", "B": "x"}, "two segments would be called 'x'"),
        ({"A": "(all)"}, r"the new name of 'A' is '\(all\)'"),
        ({"A": " "}, "must be text"),
        ({"A": 3}, "is 3, but must be text"),
        (["x", "y", "z"], "must map names to new ones"),
    ],
)
def test_bad_names_are_refused_and_change_nothing(names, words):
    customers, _ = shoppers()
    fitted = model().fit(customers)
    with pytest.raises(ParameterError, match=words):
        fitted.rename(names)
    assert fitted.segments_.cat.categories.tolist() == fitted.names_ == ["A", "B", "C"]


# ------------------------------------------------------------------------- what algorithms take


@pytest.mark.parametrize(
    "algorithm",
    [
        KPrototypes(3, categorical=["region", "member"]),
        KPrototypes(3, categorical=[3, 4]),
        KMedoids(3, metric="gower", dictionary=KINDS),
        LatentClass(3, items={"recency": "gaussian", "region": "nominal"}),
    ],
)
def test_an_instance_is_told_of_columns_as_its_name_is(algorithm):
    customers, truth = shoppers()
    mixed = [*NUMBERS, "region", "member"]
    given = model(algorithm, variables=mixed, dictionary=None, n_segments=None).fit(customers)
    assert given.encoder_.levels_["region"] == ("North", "South", "West")
    assert adjusted_rand_score(truth, given.labels_) > 0.9
    name = {"KPrototypes": "kprototypes", "KMedoids": "kmedoids", "LatentClass": "latent_class"}
    named = model(name[type(algorithm).__name__], variables=mixed).fit(customers)
    pd.testing.assert_series_equal(given.segments_, named.segments_)


def test_all_kinds_are_variables_when_the_algorithm_takes_categories():
    customers, _ = shoppers()
    dated = customers.assign(since=pd.Timestamp("2024-01-01"))
    fitted = model("kprototypes", variables=None).fit(dated)
    assert fitted.variables_ == list(customers.columns)
    assert fitted.centers_["region"].tolist() == ["North", "South", "West"]
    assert model("kmeans", variables=None).fit(dated).variables_ == [*NUMBERS, "member"]
    levels = model(KModes(3), variables=["region", "member"], n_segments=None).fit(customers)
    assert levels.encoder_.categorical_ == [0, 1]


def test_missing_categories_and_numbers_are_taken_by_those_who_take_them():
    customers, truth = shoppers()
    gaps = np.random.default_rng(0).random(customers.shape) < 0.04
    patchy = customers.convert_dtypes().mask(gaps)
    for name in ("kprototypes", "kmedoids", "latent_class"):
        fitted = model(name, variables=list(customers.columns)).fit(patchy)
        assert adjusted_rand_score(truth, fitted.labels_) > 0.7
        assert fitted.assign(patchy)["segment"].notna().all()


def test_codes_are_never_read_as_numbers():
    customers, _ = shoppers()
    mixed = cs.features.MixedEncoder(dictionary=KINDS)
    with pytest.raises(ParameterError, match="kmeans would read the codes of 'region' as numbers"):
        model(encoder=mixed, variables=["recency", "region"]).fit(customers)
    assert model(encoder=mixed).fit(customers).encoder_.categorical_ == []


def test_rules_take_the_columns_of_their_names():
    customers, _ = shoppers()
    fitted = cs.SegmentationModel("rfm_rules").fit(customers)
    assert fitted.variables_ == NUMBERS
    renamed = customers.rename(columns={"recency": "days"})
    rules = RFMRules(columns=["days", "frequency", "monetary"])
    again = cs.SegmentationModel(rules).fit(renamed)
    assert again.variables_ == ["days", "frequency", "monetary"]
    assert again.segments_.tolist() == fitted.segments_.tolist()
    with pytest.raises(ColumnError, match="no column 'recency'"):
        cs.SegmentationModel("rfm_rules").fit(renamed)
    with pytest.raises(ColumnError, match="no column 'spent'"):
        model(TreeRules(target="spent"), n_segments=None).fit(customers)


def test_what_an_algorithm_warns_of_is_a_note_and_its_failure_an_error():
    customers, _ = shoppers(80)
    unfinished = GaussianMixture(3, max_iter=1, tol=1e-12)
    fitted = model(unfinished, n_segments=None).fit(customers)
    assert any(note.startswith("GaussianMixture warns: ") for note in fitted.notes)
    assert "<li>GaussianMixture warns" in fitted._repr_mimebundle_()["text/html"]
    with pytest.raises(DataError, match="DBSCAN failed on these 80 customers"):
        model(DBSCAN(metric="no such metric")).fit(customers)


def test_a_pipeline_without_a_rule_uses_the_metric_of_its_last_step():
    customers, _ = shoppers()
    ward = make_pipeline(StandardScaler(), AgglomerativeClustering(3))
    fitted = model(ward, n_segments=None, encoder=None).fit(customers)
    scaled = fitted.estimator_[0].transform(customers[NUMBERS].to_numpy())
    assert fitted.assign(customers)["distance"].max() < 10
    assert scaled.std() == pytest.approx(1)
    plain = model(AgglomerativeClustering(3), n_segments=None, encoder=StandardScaler())
    pd.testing.assert_frame_equal(fitted.assign(customers), plain.fit(customers).assign(customers))


def test_means_of_means_for_kmeans_in_a_pipeline():
    customers, _ = shoppers()
    piped = make_pipeline(StandardScaler(), KMeans(3, n_init=10))
    fitted = model(piped, n_segments=None, encoder=None).fit(customers)
    rows = fitted.estimator_[0].transform(customers[NUMBERS].to_numpy())
    expected = cdist(rows, fitted.estimator_[1].cluster_centers_).min(axis=1)
    np.testing.assert_allclose(fitted.assign(customers)["distance"], expected)
