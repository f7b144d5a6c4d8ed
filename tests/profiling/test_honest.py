"""Honest tests of differences: their level without groups, their power with some, their answers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans

import custseg as cs
from custseg.profiling import honest_differences
from custseg.profiling._clusterings import Clustering
from custseg.profiling._methods import by_thinning
from custseg.profiling._reference import draw_references
from custseg.profiling._selective import compare_pair
from custseg.profiling._thinning import noise_covariance
from custseg.profiling._variation import variation


class TwoMeans(ClusterMixin, BaseEstimator):
    """k-means with two segments, started from the first principal component: quick and seedless."""

    def fit(self, X, y=None):
        values = np.asarray(X, dtype=float)
        values = values - values.mean(axis=0)
        labels = values @ np.linalg.eigh(values.T @ values)[1][:, -1] > 0
        for _ in range(50):
            centers = np.array([values[~labels].mean(axis=0), values[labels].mean(axis=0)])
            to = values @ (centers[1] - centers[0]) > (centers**2).sum(axis=1) @ [-0.5, 0.5]
            if (to == labels).all():
                break
            labels = to
        self.labels_ = labels.astype(int)
        return self


TWO = TwoMeans()


def cloud(seed: int, n: int = 80, d: int = 2, *, apart: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, d))
    values[: n // 2, 0] += apart
    ids = pd.Index(rng.permutation(n), name="customer_id")
    return pd.DataFrame(values, ids, [f"v{place}" for place in range(d)])


def too_many(tables: int) -> int:
    """Tests that keep their level of 5% reject more often than this once in a thousand series."""
    return int(stats.binom.isf(0.001, tables, 0.05))


def thinned(tables: int, **shape: float) -> pd.DataFrame:
    """Return p-values by thinning, a row per table, against null tables drawn once for all."""
    clean = cloud(1_000, **(shape | {"apart": 0.0})).to_numpy()
    rng = np.random.default_rng(1_000)
    references = draw_references(clean, TWO, null="normal", n_draws=199, rng=rng)
    rows = []
    for seed in range(tables):
        table = cloud(seed, **shape)
        matrix, codes = table.to_numpy(), TWO.fit_predict(table)
        found = Clustering(matrix, list(table), TWO, codes, ["A", "B"])
        noise = noise_covariance(variation(matrix, codes), references)
        tested = list(range(matrix.shape[1]))
        rows.append(by_thinning(found, noise, tested, level=0.95, rng=rng).rows)
    return pd.DataFrame([{row.variable: row.p_value for row in found} for found in rows])


def referred(tables: int, **shape: float) -> pd.DataFrame:
    """Return p-values against null tables, a row per table."""
    asked = {"method": "reference", "n_draws": 99}
    found = [honest_differences(TWO, cloud(seed, **shape), **asked) for seed in range(tables)]
    return pd.DataFrame([one.to_frame().set_index("variable")["p_value"] for one in found])


def selected(tables: int, **shape: float) -> pd.DataFrame:
    """Return selective p-values with the covariance of all customers, a row per table."""
    rows = []
    for seed in range(tables):
        matrix = cloud(seed, **shape).to_numpy()
        codes, whole = TWO.fit_predict(matrix), np.cov(matrix.T)
        found = compare_pair(matrix, codes, (0, 1), clusterer=TWO, covariance=whole, columns=[0, 1])
        names = ("(all)", "v0", "v1")
        rows.append({name: one.p_value for name, one in zip(names, found, strict=True)})
    return pd.DataFrame(rows)


def t_tests(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return stats.ttest_ind(values[labels == 0], values[labels == 1]).pvalue


def test_the_usual_test_and_plain_splitting_find_differences_in_a_single_cloud():
    naive, split = [], []
    two = KMeans(2, n_init=1, random_state=0)
    for seed in range(100):
        values = cloud(seed, n=200).to_numpy()
        naive.append(t_tests(values, two.fit(values).labels_))
        rest = values[100:]
        split.append(t_tests(rest, two.fit(values[:100]).predict(rest)))
    for rejected in (np.mean(np.array(naive) < 0.05), np.mean(np.array(split) < 0.05)):
        assert 0.78 < rejected < 0.95
    assert (np.array(split) < 0.05).any(axis=1).all()


@pytest.mark.parametrize(
    ("p_values", "tables", "n"), [(thinned, 300, 80), (referred, 25, 60), (selected, 60, 24)]
)
def test_a_single_cloud_is_rarely_told_apart(p_values, tables, n):
    rejected = (p_values(tables, n=n) < 0.05).sum()
    assert (rejected <= too_many(tables)).all(), rejected


@pytest.mark.parametrize(
    ("p_values", "tables", "at_4"), [(thinned, 40, 0.6), (referred, 6, 0.9), (selected, 12, 0.2)]
)
def test_groups_that_stand_apart_are_found_the_more_the_farther(p_values, tables, at_4):
    found = {
        apart: (p_values(tables, n=120, apart=apart)["v0"] < 0.05).mean() for apart in (2, 4, 6)
    }
    assert found[2] <= found[4] <= found[6]
    assert found[4] >= at_4
    assert found[6] >= 0.9


def test_a_variable_without_groups_stays_quiet_beside_one_with_them():
    rejected = (thinned(200, n=200, apart=5.0) < 0.05).sum()
    assert rejected["v0"] >= 195
    assert rejected["v1"] <= too_many(200)


def test_thinning_says_what_was_compared_and_how_sure_the_means_are():
    found = honest_differences(TWO, cloud(1, n=400, apart=8.0), n_draws=99)
    assert found.method == "thinning"
    assert 0 < found.agreement < 1
    assert any("adjusted Rand index" in note for note in found.notes)
    first = found.means.set_index(["variable", "segment"]).loc["v0"]
    assert first["n"].sum() == 400
    assert first["ci_low"].max() > first["ci_high"].min()
    table = found.to_frame().set_index("variable")
    assert table["expected"].tolist()[1:] == [1 / 399] * 2
    assert table.loc["v0", "effect"] > 0.05
    assert table.loc["v0", "p_holm"] >= table.loc["v0", "p_value"]
    np.testing.assert_array_equal(found.covariance, found.covariance.T)


def test_a_known_covariance_makes_thinning_see_more():
    table = cloud(2, n=200, apart=3.0)
    known = honest_differences(TWO, table, covariance=1.0, n_draws=99)
    estimated = honest_differences(TWO, table, n_draws=99)
    assert known.covariance.to_numpy().tolist() == [[1, 0], [0, 1]]
    assert known.agreement > estimated.agreement
    p_known, p_estimated = (one.to_frame()["p_value"][1] for one in (known, estimated))
    assert p_known < 1e-6 < p_estimated
    assert any("was estimated" in note for note in estimated.notes)
    assert not any("was estimated" in note for note in known.notes)


def test_a_model_is_judged_in_its_encoded_columns_under_its_own_names():
    table = np.expm1(6 + cloud(3, n=300, apart=7.0) / 2).rename(
        columns={"v0": "spend", "v1": "visits"}
    )
    model = cs.SegmentationModel("kmeans", n_segments=2, order_by="spend", random_state=0)
    model.fit(table).rename({"A": "big", "B": "small"})
    found = honest_differences(model, table, n_draws=99)
    assert found.to_frame()["variable"].tolist() == ["(all)", "spend", "visits"]
    assert found.means["segment"].unique().tolist() == ["big", "small"]
    big = found.means.query("segment == 'big' and variable == 'spend'")["value"].iloc[0]
    small = found.means.query("segment == 'small' and variable == 'spend'")["value"].iloc[0]
    assert big > small
    assert model.names_ == ["big", "small"]
    assert "differ on spend" in found.summary()


@pytest.mark.parametrize("method", ["thinning", "reference", "selective"])
def test_row_order_changes_nothing_and_the_seed_does(method):
    table = cloud(4, n=60)
    ward = AgglomerativeClustering(2)
    one = honest_differences(ward, table, method=method, n_draws=99)
    two = honest_differences(ward, table.sample(frac=1, random_state=0), method=method, n_draws=99)
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame(), check_exact=True)
    pd.testing.assert_frame_equal(one.normality, two.normality, check_exact=True)
    if method == "thinning":
        other = honest_differences(ward, table, n_draws=99, random_state=1)
        assert (other.to_frame()["p_value"] != one.to_frame()["p_value"]).all()


def test_a_plain_clusterer_divides_by_the_named_columns():
    table = cloud(14, n=60, d=3).assign(region="north")
    named = honest_differences(TWO, table, ["v2", "v0"], n_draws=99)
    alone = honest_differences(TWO, table[["v2", "v0"]], n_draws=99)
    pd.testing.assert_frame_equal(named.to_frame(), alone.to_frame())


def test_every_pair_of_segments_is_compared_and_adjusted_together():
    rng = np.random.default_rng(5)
    table = pd.DataFrame(rng.normal(size=(90, 2)), columns=["v0", "v1"])
    table.loc[:29, "v0"] += 9
    table.loc[30:59, "v1"] += 9
    three = cs.SegmentationModel("ward", n_segments=3, encoder=None)
    found = honest_differences(three, table, ["v1"], method="selective", n_draws=99).to_frame()
    assert found["segments"].tolist() == ["A - B", "A - B", "A - C", "A - C", "B - C", "B - C"]
    assert found["variable"].tolist() == ["(all)", "v1"] * 3
    assert (found.loc[found["variable"] == "(all)", "p_holm"] < 0.05).all()
    single = found[found["variable"] == "v1"]
    expected = cs.stats.holm(single["p_value"])
    np.testing.assert_array_equal(single["p_holm"], expected)
    far = np.abs(single["effect"]) > 4
    assert far.sum() == 2
    assert (single["p_holm"][far] < 0.05).all()
    assert (single["p_holm"][~far] > 0.05).all()


def test_no_answer_for_what_is_not_normal_and_the_copula_takes_it():
    rng = np.random.default_rng(6)
    table = cloud(6, n=200)
    table["member"] = rng.integers(2, size=200)
    table["spend"] = rng.exponential(size=200)
    table["orders"] = np.where(rng.random(200) < 0.3, 0, rng.normal(size=200))
    table["fee"] = 1.5
    found = honest_differences(TWO, table, method="reference", n_draws=99)
    problems = found.normality["problem"].to_dict()
    assert problems == {
        "v0": "",
        "v1": "",
        "member": "few values",
        "spend": "skewed",
        "orders": "a heap of equal values",
        "fee": "constant",
    }
    frame = found.to_frame().set_index("variable")
    unanswered = ["(all)", "member", "spend", "orders", "fee"]
    assert frame.loc[unanswered, ["p_value", "p_holm"]].isna().all(axis=None)
    assert frame.loc[["v0", "v1"], "p_value"].notna().all()
    assert "no answer for member, spend, orders, fee" in found.summary()
    assert any("'spend' (skewed)" in note and "null='copula'" in note for note in found.notes)
    table = table.drop(columns="fee")
    taken = honest_differences(TWO, table, method="reference", null="copula", n_draws=99)
    assert taken.to_frame()["p_value"].notna().all()
    assert any("groups along a single column are not seen" in note for note in taken.notes)


def test_a_table_of_discrete_columns_has_no_answer_by_thinning():
    table = pd.DataFrame({"a": [0, 1, 0, 1] * 20, "b": [0, 0, 1, 1] * 20})
    found = honest_differences(TWO, table + 0.0, n_draws=99)
    assert found.to_frame()["p_value"].isna().all()
    assert found.means.empty
    assert found.summary() == "by thinning, no answer for any variable: see the notes."


def test_heavy_tails_are_told_and_the_normal_cloud_passes():
    rng = np.random.default_rng(7)
    half = rng.standard_t(2.5, size=150)
    table = cloud(7, n=300).assign(tails=np.append(half, -half + 1e-9))
    found = honest_differences(TWO, table, n_draws=99)
    assert found.normality["problem"].to_dict() == {"v0": "", "v1": "", "tails": "heavy tails"}


def test_noise_of_the_clusterer_is_left_out():
    found = honest_differences(DBSCAN(eps=0.9, min_samples=4), cloud(8, n=150, apart=9.0))
    assert found.means["n"].sum() < found.means["variable"].nunique() * 150


def test_few_segments_in_the_noisy_part_give_no_answer():
    table = cloud(9, n=60, apart=30.0)
    found = honest_differences(DBSCAN(eps=3.0, min_samples=4), table, covariance=1e4)
    assert found.to_frame()["p_value"].isna().all()
    assert any("fewer than two segments" in note for note in found.notes)


def test_display_and_picture_say_the_same(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib.pyplot as plt

    found = honest_differences(TWO, cloud(10, n=200, apart=8.0), n_draws=99)
    assert repr(found).startswith("HonestDifferences: by thinning, the segments differ on v0")
    assert "<.001" in repr(found)
    assert "<td>v0</td>" in found._repr_html_()
    ax = found.plot()
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["v0", "v1"]
    assert ax.texts[0].get_text() == "p < .001"
    assert "eta squared" in ax.get_xlabel()
    plt.close(ax.figure)
    pair = honest_differences(TWO, cloud(10, n=30), method="selective", n_draws=99)
    figure, ax = plt.subplots()
    assert pair.plot(ax=ax) is ax
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["A - B: v0", "A - B: v1"]
    plt.close(figure)


def test_result_does_not_change_when_its_frame_is_edited():
    found = honest_differences(TWO, cloud(11), n_draws=99)
    frame = found.to_frame()
    frame["p_value"] = 0.0
    assert (found.to_frame()["p_value"] > 0).all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "splitting"}, cs.errors.ParameterError, ["'thinning'", "'reference'"]),
        ({"null": "box"}, cs.errors.ParameterError, ["'normal'", "'copula'"]),
        ({"null": "copula"}, cs.errors.ParameterError, ["method='reference'"]),
        ({"n_draws": 20}, cs.errors.ParameterError, ["n_draws is 20", ">= 99"]),
        ({"random_state": -1}, cs.errors.ParameterError, ["random_state is -1"]),
        ({"level": 95}, cs.errors.ParameterError, ["level is 95"]),
        ({"variables": ["v9"]}, cs.errors.ColumnError, ["'v9'", "'v0'"]),
        ({"variables": "v0"}, cs.errors.ParameterError, ["must be a list: ['v0']"]),
        ({"variables": []}, cs.errors.ParameterError, ["empty"]),
        ({"covariance": -1.0}, cs.errors.ParameterError, ["positive variance", "2 x 2"]),
        ({"covariance": np.eye(3)}, cs.errors.ParameterError, ["2 x 2", "'v0', 'v1'"]),
        (
            {"covariance": 1.0, "method": "reference"},
            cs.errors.ParameterError,
            ["method='thinning'"],
        ),
        ({"model": KMeans}, cs.errors.ParameterError, ["scikit-learn clusterer"]),
        ({"model": KMeans(1)}, cs.errors.DataError, ["1 segment"]),
    ],
)
def test_wrong_questions_say_what_to_do(change, error, words):
    with pytest.raises(error) as caught:
        honest_differences(**({"model": TWO, "customers": cloud(12)} | change))
    for word in words:
        assert word in str(caught.value)


def test_wrong_tables_and_models_say_what_to_do():
    table = cloud(13).assign(region="north")

    def message(model: object, customers: pd.DataFrame) -> str:
        with pytest.raises((cs.errors.DataError, cs.errors.ParameterError)) as caught:
            honest_differences(model, customers)
        return str(caught.value)

    assert "'region' holds no numbers" in message(TWO, table)
    table["v1"] = table["v1"].mask(table["v0"] > 1)
    assert "'v1' has missing" in message(TWO, table[["v0", "v1"]])
    assert "2 rows" in message(TWO, pd.concat([table, table.iloc[:1]]))
    levels = pd.DataFrame({"a": list("xyxyxyzz"), "b": list("xxyyxxzz")})
    assert "categories 'a', 'b'" in message(cs.SegmentationModel("kmodes", n_segments=2), levels)
    square = pd.DataFrame(1.0 - np.eye(4))
    medoids = cs.clustering.KMedoids(2, metric="precomputed")
    assert "dissimilarities" in message(cs.SegmentationModel(medoids), square)
    rfm = pd.DataFrame(
        {"recency": range(30), "frequency": range(30, 0, -1), "monetary": np.arange(30.0)}
    )
    assert "rules" in message(cs.SegmentationModel("rfm_rules"), rfm)
