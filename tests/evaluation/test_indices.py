"""Silhouettes and the customary indices against scikit-learn, R and brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_samples
from sklearn.mixture import GaussianMixture

import custseg as cs
from custseg._kernels.silhouette import group_sums
from custseg.errors import DataError, ParameterError
from custseg.evaluation import _distances, silhouette
from custseg.evaluation._distances import METRICS, distance_sums
from custseg.evaluation.indices import COLUMNS


@pytest.fixture(scope="module")
def iris() -> pd.DataFrame:
    return load_iris(as_frame=True).data


def labelings_of(X: pd.DataFrame, k=(2, 3, 4)) -> pd.DataFrame:
    fits = {f"k{n}": KMeans(n, n_init=50, random_state=0).fit_predict(X) for n in k}
    return pd.DataFrame(fits, index=X.index)


def test_sums_equal_plain_numpy():
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(300, 4)), rng.integers(-1, 3, (2, 300))
    codes[1] = np.where(codes[1] >= 0, codes[1] + 3, -1)
    sums = np.zeros((6, 300))
    columns = np.ascontiguousarray(X.T)
    group_sums(columns, codes, columns, 0, 170, sums)
    group_sums(columns, codes, columns, 170, 300, sums)
    distances = cdist(X, X)
    for group in range(6):
        expected = distances[:, codes[group // 3] == group].sum(axis=1)
        np.testing.assert_allclose(sums[group], expected, rtol=1e-13)


def test_threads_do_not_change_a_digit(monkeypatch):
    rng = np.random.default_rng(1)
    X, codes = rng.normal(size=(1_500, 3)), [rng.integers(0, 5, 1_500)]
    found = []
    for cores in (1, 7):
        monkeypatch.setattr(_distances, "cpu_count", lambda cores=cores: cores)
        found.append(distance_sums(X, codes)[0])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("metric", ["manhattan", "cosine", "chebyshev", "braycurtis"])
def test_every_metric_equals_scikit_learn(metric, iris):
    labelings = labelings_of(iris)
    found = cs.evaluation.silhouettes(iris, labelings, metric)
    for name, labels in labelings.items():
        expected = silhouette_samples(iris, labels, metric=metric)
        np.testing.assert_allclose(found.samples[name], expected, atol=1e-12)
    assert metric in METRICS


def test_mixed_customers_are_compared_by_gower():
    rng = np.random.default_rng(0)
    customers = pd.DataFrame(
        {"age": rng.integers(20, 70, 60), "region": rng.choice(["North", "South"], 60)}
    )
    labels = customers["region"].rename("segment")
    found = cs.evaluation.silhouettes(customers, labels, "gower")
    square = cs.features.gower(customers)
    expected = silhouette_samples(square, labels, metric="precomputed")
    np.testing.assert_allclose(found.samples["segment"], expected, atol=1e-12)
    table = cs.evaluation.indices(customers, labels, "gower").to_frame()
    assert np.isnan(table["within_ss"][0])
    assert table["separation"][0] > 1
    with pytest.raises(DataError, match="'region' holds text"):
        cs.evaluation.silhouettes(customers, labels)


def test_a_sample_is_stratified_and_its_error_holds():
    """The mean of all is within 1.96 standard errors in about 95 % of samples."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(4_000, 2)))
    X["value"] = rng.choice([0, 3, 12], 4_000, p=[0.6, 0.39, 0.01])
    labelings = pd.DataFrame({"value": X["value"], "half": X[0] > 0})
    exact = cs.evaluation.silhouettes(X.to_numpy(), labelings)
    assert (exact.standard_error == 0).all()
    assert exact.notes == ()
    hits, trials = np.zeros(2), 120
    for seed in range(trials):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(silhouette, "SAMPLE", 300)
            some = cs.evaluation.silhouettes(
                X.to_numpy(), labelings, exact_up_to=3_999, random_state=seed
            )
        hits += (some.overall - exact.overall).abs() <= 1.96 * some.standard_error
    assert "4,000 customers, a sample stratified by segment" in some.notes[0]
    measured = some.samples.notna()
    assert measured.sum().between(300, 400).all()
    assert measured.groupby(labelings["value"])["value"].sum().min() >= 30
    assert measured.any(axis=1).sum() < 500  # the labelings share most of their samples
    pd.testing.assert_series_equal(
        some.samples["half"].dropna(), exact.samples["half"][measured["half"]], check_exact=True
    )
    assert some.by_segment["n"].sum() == 8_000
    assert "standard error" in some.summary()
    assert (hits / trials > 0.95 - 3 * np.sqrt(0.05 * 0.95 / trials)).all()


def test_iris_agrees_with_r_and_scikit_learn(iris):
    """fpc::cluster.stats(dist(iris[,1:4]), kmeans(iris[,1:4], k, nstart = 50)$cluster)."""
    labelings = labelings_of(iris)
    table = cs.evaluation.indices(iris, labelings).to_frame().set_index("labelling")
    np.testing.assert_allclose(
        table["separation"], [2.8508139588, 1.8865312936, 1.3930726329], rtol=1e-9
    )
    np.testing.assert_allclose(
        table["silhouette"], [0.6810461692, 0.5528190124, 0.4980505050], rtol=1e-9
    )
    np.testing.assert_allclose(
        table["within_ss"], [152.3479517604, 78.8514414261, 57.2284732143], rtol=1e-9
    )
    for name, labels in labelings.items():
        assert table.loc[name, "calinski_harabasz"] == calinski_harabasz_score(iris, labels)
        assert table.loc[name, "davies_bouldin"] == davies_bouldin_score(iris, labels)
    assert table["bic"].isna().all()
    assert table["n_segments"].tolist() == [2, 3, 4]


def test_mixtures_add_their_likelihood(iris):
    model = GaussianMixture(3, random_state=0, n_init=5).fit(iris)
    labels = pd.Series(model.predict(iris), index=iris.index, name="mixture")
    found = cs.evaluation.indices(iris, labels, models={"mixture": model})
    assert found.to_frame().columns.tolist() == list(COLUMNS)
    row = found.to_frame().iloc[0]
    assert row["bic"] == model.bic(iris)
    assert row["aic"] == model.aic(iris)
    assert row["log_likelihood"] == pytest.approx(model.score_samples(iris).sum())
    posterior = model.predict_proba(iris)
    entropy = -sum(p * np.log(p) for p in posterior.ravel() if p > 0)
    assert row["icl"] == pytest.approx(row["bic"] + 2 * entropy)
    assert row["entropy"] == pytest.approx(1 - entropy / (150 * np.log(3)))
    with pytest.raises(DataError, match="the model of 'mixture' is a KMeans"):
        cs.evaluation.indices(iris, labels, models={"mixture": KMeans(3)})
    with pytest.raises(ParameterError, match="a labelling in models is 'mixtur'"):
        cs.evaluation.indices(iris, labels, models={"mixtur": model})


def test_noise_and_single_customers_are_left_out_or_counted(iris):
    labels = labelings_of(iris, [3])["k3"].astype("Int64")
    labels.iloc[:10] = pd.NA
    kept = cs.evaluation.indices(iris.iloc[10:], labels.iloc[10:]).to_frame()
    pd.testing.assert_frame_equal(cs.evaluation.indices(iris, labels).to_frame(), kept)
    alone = pd.Series(np.arange(150) == 7, index=iris.index)
    row = cs.evaluation.indices(iris, alone).to_frame().iloc[0]
    assert row["smallest_share"] == 1 / 150
    assert np.isfinite(row["separation"])


def test_words_and_picture(iris):
    found = cs.evaluation.indices(iris, labelings_of(iris))
    assert found.summary() == (
        "of 3 labelings, k2 by silhouette, separation, davies_bouldin; k3 by calinski_harabasz"
    )
    assert "bic" not in repr(found)
    axes = found.plot()
    panels = {panel.get_title(): panel for panel in axes.figure.axes}
    assert list(panels) == ["silhouette", "separation", "calinski_harabasz", "davies_bouldin"]
    drawn = panels["silhouette"].get_lines()[0].get_ydata()
    np.testing.assert_array_equal(drawn, found.to_frame()["silhouette"])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"metric": "euclid"}, ParameterError, "Did you mean 'euclidean'"),
        ({"metric": "precomputed"}, DataError, "X has 150 rows and 4 columns"),
        ({"metric": "mahalanobis"}, ParameterError, "metric is 'mahalanobis'"),
        ({"exact_up_to": 0}, ParameterError, "exact_up_to is 0"),
    ],
)
def test_bad_options_are_refused(options, error, words, iris):
    with pytest.raises(error, match=words):
        cs.evaluation.silhouettes(iris, labelings_of(iris, [2]), **options)
