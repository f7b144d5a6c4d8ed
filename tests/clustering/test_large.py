"""Fits on more customers than memory likes: the same answer as in memory, and every row counted."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import Birch, MiniBatchKMeans
from sklearn.cluster import KMeans as PlainKMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

import custseg as cs
from custseg.clustering import fit_in_batches, fit_on_sample
from custseg.errors import ColumnError, DataError, MissingFileError, ParameterError
from custseg.features import Encoder

VARIABLES = ["recency", "frequency", "monetary"]


def shoppers(n: int = 6_000, seed: int = 0) -> pd.DataFrame:
    """Four groups of unequal size; ids in no order."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    centres = np.array([[20, 12, 300], [200, 2, 40], [40, 30, 1500], [320, 20, 800]])
    frame = pd.DataFrame(centres[truth] * rng.lognormal(0, 0.3, (n, 3)), columns=VARIABLES)
    frame.insert(0, "customer_id", rng.permutation(n) + 10)
    frame["truth"] = truth
    return frame


def model(algorithm="kmeans", **options) -> cs.SegmentationModel:
    given = {"n_segments": 4, "variables": VARIABLES, "order_by": "monetary", "random_state": 0}
    return cs.SegmentationModel(algorithm, **(given | options))


def in_memory(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index("customer_id")


@pytest.mark.parametrize(
    "algorithm", ["kmeans", "minibatch_kmeans", PlainKMeans(4, n_init=3), MiniBatchKMeans(4)]
)
def test_planted_segments_are_found_in_batches(algorithm):
    frame = shoppers()
    fit = fit_in_batches(model(algorithm), frame, batch_size=1_500, sample_size=400)
    fitted = fit.model
    segments = fitted.predict(in_memory(frame))
    assert adjusted_rand_score(frame["truth"], segments) > 0.9
    counts = segments.value_counts(sort=False)
    assert fitted.sizes_["n"].tolist() == counts.tolist()
    assert fitted.sizes_["share"].sum() == pytest.approx(1)
    assert len(fit.notes) == 1  # the centres stand still
    means = in_memory(frame)[VARIABLES].groupby(segments, observed=True).mean()
    pd.testing.assert_frame_equal(fitted.centers_, means, check_index_type=False)
    assert means["monetary"].is_monotonic_decreasing
    assert " found 4 segments of 6,000 customers by 3 variables" in fitted.summary()


def test_it_ends_where_k_means_in_memory_would():
    frame = shoppers()
    encoder = Encoder().fit(in_memory(frame)[VARIABLES])
    fit = fit_in_batches(
        model(PlainKMeans(4, n_init=1, tol=0), encoder=encoder, order_by=None),
        frame,
        batch_size=2_048,
        sample_size=50,
        max_passes=200,
    )
    centers = fit.model.estimator_.cluster_centers_
    matrix = fit.model.encoder_.transform(in_memory(frame)[VARIABLES])
    again = PlainKMeans(4, init=centers, n_init=1, tol=0, max_iter=1).fit(matrix)
    np.testing.assert_allclose(again.cluster_centers_, centers, rtol=0, atol=1e-9)
    losses = fit.to_frame()["loss"]
    assert losses.is_monotonic_decreasing
    assert losses.iloc[-1] * len(frame) == pytest.approx(again.inertia_, rel=1e-9)
    assert fit.to_frame()["shift"].iloc[-1] == 0


@pytest.mark.parametrize("algorithm", ["kmeans", "minibatch_kmeans"])
def test_neither_the_order_of_rows_nor_the_form_of_the_table_matters(algorithm, tmp_path):
    frame = shoppers(4_000)
    frame["monetary"] = frame["monetary"].round(-2)  # ties
    frame.to_csv(tmp_path / "customers.csv", index=False)
    relation = duckdb.connect().from_df(frame.sort_values("recency"))
    relation.write_parquet(str(tmp_path / "customers.parquet"))
    tables = [
        frame,
        frame.sample(frac=1, random_state=1),
        in_memory(frame),
        relation,
        tmp_path / "customers.parquet",
        str(tmp_path / "customers.csv"),
    ]
    options = {"batch_size": 1_024, "sample_size": 300}
    fits = [fit_in_batches(model(algorithm), table, **options) for table in tables]
    expected = fits[0].model.predict(in_memory(frame))
    for fit in fits[1:]:
        pd.testing.assert_frame_equal(fit.model.sizes_, fits[0].model.sizes_, check_exact=True)
        pd.testing.assert_frame_equal(fit.to_frame(), fits[0].to_frame(), check_exact=True)
        np.testing.assert_array_equal(fit.model.predict(in_memory(frame)), expected)


def test_the_model_is_whole(tmp_path):
    frame = shoppers()
    fitted = fit_in_batches(model(), frame, sample_size=1_000).model
    customers = in_memory(frame)
    assigned = fitted.assign(customers)
    assert assigned["unlike"].mean() < 0.01
    assert fitted.assign(customers.iloc[:1].assign(monetary=1e9))["unlike"].all()
    there = fitted.assign_in(frame).set_index("customer_id")["segment"]
    assert there.reindex(customers.index).tolist() == fitted.predict(customers).tolist()
    fitted.rename({"A": "Champions"}).save(tmp_path / "large.model")
    again = cs.clustering.load_model(tmp_path / "large.model")
    pd.testing.assert_series_equal(again.predict(customers), fitted.predict(customers))
    assert not hasattr(fitted, "segments_")
    assert again.summary() == fitted.summary()


def spoilt() -> pd.DataFrame:
    frame = shoppers(3_000).astype({"customer_id": "Int64", "frequency": "Float64"})
    frame.loc[0:1, "customer_id"] = pd.NA
    frame.loc[2:4, "customer_id"] = 77_777
    frame.loc[5, "frequency"] = pd.NA
    frame.loc[6:7, "monetary"] = np.inf
    return frame


def test_every_row_is_accounted_for():
    fit = fit_in_batches(model(), spoilt(), sample_size=500)
    account = fit.account.set_index("reason")
    assert account["rows"].to_dict() == {
        "read": 3_000,
        "used": 2_992,
        "customer_id is missing": 2,
        "customer_id is repeated": 3,
        "frequency is missing": 1,
        "monetary is infinite": 2,
    }
    assert account["rows"].iloc[0] == account["rows"].iloc[1:].sum()
    assert account.loc["customer_id is repeated", "examples"] == "77777, 77777, 77777"
    assert fit.model.sizes_["n"].sum() == 2_992
    assert fit.notes[-1].startswith("8 of 3,000 rows were set aside: customer_id is missing (2)")
    sampled = fit_on_sample(model(), spoilt(), sample_size=500, n_samples=2)
    pd.testing.assert_frame_equal(sampled.account, fit.account)
    assert sampled.segments["n"].sum() == 2_992


def test_missing_values_stay_where_the_encoder_imputes():
    imputing = model(encoder=Encoder(missing="impute"))
    fit = fit_in_batches(imputing, spoilt(), sample_size=500)
    assert fit.account["rows"].tolist() == [3_000, 2_993, 2, 3, 2]
    medoids = fit_on_sample(model("kprototypes"), spoilt(), sample_size=300, n_samples=2)
    assert medoids.account["rows"][1] == 2_993


def test_a_rare_level_and_a_rare_debt_are_in_the_sample():
    frame = shoppers(5_000)
    frame["region"] = np.where(frame["truth"] == 1, "North", "South")
    frame.loc[4_000, "region"] = "Isle"
    frame.loc[4_100, "monetary"] = -5.0
    names = [*VARIABLES, "region"]
    encoder = Encoder(dictionary={"region": "nominal"}, min_frequency=0)
    fit = fit_in_batches(
        model(variables=names, encoder=encoder), frame, sample_size=50, max_passes=3
    )
    assert "region=Isle" in fit.model.encoder_.get_feature_names_out()
    assert fit.account["rows"].tolist() == [5_000, 5_000]
    assert set(fit.model.centers_["region"]) == {"North", "South"}


def test_without_variables_every_number_counts_and_the_id_does_not():
    frame = shoppers(2_000).astype({"truth": bool}).assign(city="Leeds")
    fit = fit_in_batches(model(variables=None, order_by=None), frame, sample_size=200)
    assert fit.model.variables_ == [*VARIABLES, "truth"]
    assert fit.model.sizes_["n"].is_monotonic_decreasing


def test_passes_are_told_and_drawn():
    fit = fit_in_batches(model(), shoppers(), sample_size=40, max_passes=1)
    assert "the centres still moved in pass 1, the last: allow more." in fit.notes
    assert fit.to_frame().columns.tolist() == ["step", "loss", "shift"]
    assert "1 pass over 6,000 rows" in fit.summary()
    assert fit.plot().get_xlabel() == "pass"
    assert repr(fit).startswith("BatchFit: kmeans found 4 segments of 6,000 customers")


@pytest.mark.parametrize("algorithm", ["kmeans", "gaussian_mixture", "ward"])
def test_samples_of_planted_segments_agree(algorithm):
    frame = shoppers()
    fit = fit_on_sample(model(algorithm), frame, sample_size=500, n_samples=3)
    segments = fit.model.predict(in_memory(frame))
    assert adjusted_rand_score(frame["truth"], segments) > 0.9
    table = fit.to_frame()
    assert table["above_best"].min() == 0
    assert table.loc[table["kept"], "above_best"].tolist() == [0]
    assert table["ari"].min() > 0.85
    assert fit.segments["n"].tolist() == segments.value_counts(sort=False).tolist()
    assert len(fit.notes) == 1


def test_the_loss_is_the_sum_of_squares_of_all_customers():
    frame = shoppers(3_000)
    fit = fit_on_sample(model(), frame, sample_size=200, n_samples=3, batch_size=2_048)
    customers = in_memory(frame)
    matrix = Encoder().fit_transform(customers[VARIABLES])  # all are common: there are few
    codes = fit.model.predict(customers).cat.codes.to_numpy()
    means = np.array([matrix[codes == code].mean(axis=0) for code in range(4)])
    expected = ((matrix - means[codes]) ** 2).sum() / len(frame)
    table = fit.to_frame()
    assert table.loc[table["kept"], "loss"].item() == pytest.approx(expected, rel=1e-9)
    pairs = fit.pair_ari
    assert pairs[["sample", "other"]].to_numpy().tolist() == [[1, 2], [1, 3], [2, 3]]
    assert table["ari"][0] == pytest.approx(pairs["ari"][:2].mean())


def test_samples_of_noise_disagree_and_it_is_said():
    rng = np.random.default_rng(1)
    noise = pd.DataFrame(rng.normal(size=(5_000, 5)), columns=list("abcde"))
    noise["customer_id"] = range(5_000)
    fit = fit_on_sample(
        cs.SegmentationModel("kmeans", n_segments=6, random_state=0), noise, sample_size=200
    )
    assert fit.pair_ari["ari"].max() < 0.8
    assert fit.notes[1].startswith("two samples divide the same customers differently")
    assert fit.plot().get_ylabel().startswith("adjusted Rand index")
    assert repr(fit).startswith("SampleFit: models of 5 samples of 2")


def test_samples_do_not_depend_on_the_order_of_rows():
    frame = shoppers(3_000)
    shuffled = frame.sample(frac=1, random_state=2)
    fits = [
        fit_on_sample(model(), table, sample_size=300, n_samples=2) for table in (frame, shuffled)
    ]
    pd.testing.assert_frame_equal(fits[0].to_frame(), fits[1].to_frame(), check_exact=True)
    pd.testing.assert_frame_equal(fits[0].segments, fits[1].segments)


def test_rules_from_a_sample():
    frame = shoppers(3_000).astype({"frequency": int})
    rules = cs.SegmentationModel("rfm_rules", random_state=0)
    fit = fit_on_sample(rules, frame, sample_size=1_000, n_samples=2)
    assert fit.segments["n"].sum() == 3_000
    assert "champions" in fit.segments["segment"].tolist()
    assert fit.pair_ari["ari"].min() > 0.8
    tree = cs.SegmentationModel(
        cs.clustering.TreeRules(4, target="monetary"), variables=VARIABLES[:2], random_state=0
    )
    assert fit_on_sample(tree, frame, sample_size=1_000, n_samples=2).segments["n"].sum() == 3_000


@pytest.mark.parametrize(
    ("algorithm", "options", "words"),
    [
        ("ward", {}, "ward cannot be fitted in batches: 'kmeans' and 'minibatch_kmeans' can"),
        (Birch(), {}, "Birch cannot be fitted in batches"),
        ("kmeans", {"batch_size": 0}, "batch_size is 0"),
        ("kmeans", {"sample_size": 2.5}, "sample_size is 2.5"),
        ("kmeans", {"max_passes": 0}, "max_passes is 0"),
    ],
)
def test_bad_parameters_are_refused(algorithm, options, words):
    with pytest.raises(ParameterError, match=words):
        fit_in_batches(model(algorithm), shoppers(50), **options)


def test_bad_tables_are_refused(tmp_path):
    frame = shoppers(100)
    with pytest.raises(ColumnError, match="the table has no column 'customer'"):
        fit_in_batches(model(), frame, customer_id="customer")
    with pytest.raises(ColumnError, match="no column 'recency'"):
        fit_in_batches(model(), frame.drop(columns="recency"))
    with pytest.raises(
        DataError, match="no customer is left: 100 rows, 100 because recency is mis"
    ):
        fit_in_batches(model(), frame.assign(recency=np.nan))
    with pytest.raises(DataError, match="no numeric column to segment by"):
        fit_in_batches(model(variables=None, order_by=None), frame[["customer_id"]])
    with pytest.raises(MissingFileError, match=r"there is no file 'none\.parquet'"):
        fit_in_batches(model(), tmp_path / "none.parquet")
    with pytest.raises(ParameterError, match="n_samples is 1"):
        fit_on_sample(model(), frame, n_samples=1)
    with pytest.raises(DataError, match="all 5 customers have the same values in 'recency'"):
        fit_in_batches(model(), pd.concat([frame[:1]] * 5).assign(customer_id=range(5)))


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
def test_other_engines_are_told_to_write_a_file(tmp_path):
    path = tmp_path / "customers.parquet"
    duckdb.from_df(shoppers(50)).write_parquet(str(path))
    there = pytest.importorskip("ibis").duckdb.connect().read_parquet(path)
    with pytest.raises(DataError, match="is not read in batches"):
        fit_in_batches(model(), there)


def test_blobs_of_a_million_floats_stay_on_disk(tmp_path):
    """The file is 20 times as large as what is held: batches, not the table, decide the memory."""
    import tracemalloc

    X, _ = make_blobs(120_000, 8, centers=5, random_state=0)
    frame = pd.DataFrame(X, columns=list("abcdefgh")).rename_axis("customer_id")
    path = tmp_path / "blobs.parquet"
    duckdb.from_df(frame.reset_index()).write_parquet(str(path))
    del X, frame
    blobs = cs.SegmentationModel("kmeans", n_segments=5, random_state=0)
    tracemalloc.start()
    fit_in_batches(blobs, path, batch_size=4_096, sample_size=2_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120_000 * 8 * 8 / 2
