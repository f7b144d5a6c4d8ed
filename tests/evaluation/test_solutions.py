"""Nulls, rules for k and pictures of solutions against brute force, R and planted truth."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

import custseg as cs
from custseg.errors import DataError, ParameterError
from custseg.evaluation._references import INDICES, NULLS
from custseg.evaluation._resamples import SCHEMES, fit_rule
from custseg.evaluation.over_k import _disagreement, _kept_together


@pytest.fixture(scope="module")
def iris() -> pd.DataFrame:
    return load_iris(as_frame=True).data


def two_groups(n: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 2)) + 9 * (np.arange(n) % 2)[:, None]
    return pd.DataFrame(values, columns=["visits", "basket"], index=rng.permutation(n) + 100)


def test_schemes_draw_what_they_say():
    X = np.random.default_rng(0).normal(size=(400, 3)) @ np.diag([1, 5, 0.1])
    rng = np.random.default_rng(1)
    boot, half, noise = (SCHEMES[name](X, rng) for name in ("bootstrap", "subsample", "noise"))
    assert boot.counts.sum() == 400
    np.testing.assert_array_equal(boot.drawn, boot.counts > 0)
    assert half.counts.tolist().count(1) == half.drawn.sum() == 200
    assert boot.rows is X
    replaced = ~noise.drawn
    assert 5 < replaced.sum() < 40
    np.testing.assert_array_equal(noise.rows[~replaced], X[~replaced])
    reach = np.abs(noise.rows[replaced] - X.mean(axis=0)) / X.std(axis=0)
    assert 2 < reach.max() < 4.5


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [("subsample", [0.927, 1.0, 0.912]), ("noise", [0.946, 0.998, 0.905])],
)
def test_other_schemes_agree_with_clusterboot_in_r(scheme, expected, iris):
    """fpc::clusterboot(iris[,1:4], B=400, bootmethod=..., clustermethod=kmeansCBI, k=3)."""
    result = cs.evaluation.stability(iris, KMeans(3, n_init=10), 200, scheme)
    np.testing.assert_allclose(result.to_frame()["jaccard"], expected, atol=0.03)


def test_segment_level_stability_and_core_customers(iris):
    result = cs.evaluation.stability(iris, KMeans(3, n_init=10), 60)
    table = result.replicates
    assert table["segment"].tolist()[:4] == ["A", "B", "C", "A"]
    means = table.groupby("segment")["jaccard"].mean()
    np.testing.assert_allclose(means, result.to_frame()["jaccard"])
    assert table["slsw"].between(0, 1).all()
    assert table.groupby("segment")["slsw"].mean()["B"] > 0.99
    quartiles = result.by_segment()
    assert quartiles.loc["A", ("slsw", "50%")] == table.query("segment == 'A'")["slsw"].median()
    np.testing.assert_array_equal(result.core, result.agreement >= 0.9)
    assert "of customers are borderline" in result.summary()
    with pytest.raises(ParameterError, match="Did you mean 'subsample'"):
        cs.evaluation.stability(iris, KMeans(3), scheme="subset")


def test_entropy_across_solutions_by_hand():
    labelings = pd.DataFrame(
        {
            "two": list("aaaaaabbbb"),
            "three": list("xxxyyyyzzz"),
            "four": list("pqrsssspqr"),
        }
    )
    table = cs.evaluation.stability_across(labelings).to_frame().set_index(["labelling", "segment"])
    assert table.loc["two"]["slsa"].isna().all()
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert table.loc[("three", "y"), "entropy"] == pytest.approx(entropy)
    assert table.loc[("three", "y"), "slsa"] == pytest.approx(1 - entropy / np.log(2))
    assert table.loc[("three", "y"), "parent_share"] == 0.75
    assert table.loc[("three", "y"), "kept_share"] == 0.5
    assert table.loc[("three", "x"), "slsa"] == 1
    assert table.loc[("four", "p"), "slsa"] == pytest.approx(1 - np.log(2) / np.log(3))
    flows = cs.evaluation.stability_across(labelings).flows
    assert flows.groupby("labelling")["n"].sum().tolist() == [10, 10]
    with pytest.raises(ParameterError, match="Order the columns"):
        cs.evaluation.stability_across(labelings[["three", "two"]])
    with pytest.raises(ParameterError, match="there is 1 labelling"):
        cs.evaluation.stability_across(labelings[["two"]])


def test_every_null_keeps_what_it_says():
    rng = np.random.default_rng(0)
    spend = rng.lognormal(size=2_000)
    X = np.column_stack([spend, spend * rng.lognormal(0, 0.3, 2_000), rng.normal(size=2_000)])
    made = {name: null.make(X, np.random.default_rng(1)) for name, null in NULLS.items()}
    for name in ("permuted", "copula"):
        np.testing.assert_array_equal(np.sort(made[name], axis=0), np.sort(X, axis=0))
    assert abs(spearmanr(*made["permuted"][:, :2].T)[0]) < 0.06
    assert spearmanr(*made["copula"][:, :2].T)[0] == pytest.approx(
        spearmanr(*X[:, :2].T)[0], abs=0.03
    )
    np.testing.assert_allclose(np.cov(made["normal"].T), np.cov(X.T), rtol=0.15, atol=0.15)
    assert (made["box"].min(axis=0) >= X.min(axis=0)).all()
    flat = np.histogram(made["box"][:, 0], bins=4, range=(spend.min(), spend.max()))[0]
    assert flat.min() > 430
    axes = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2]
    along, own = (made["pca_box"] - X.mean(axis=0)) @ axes.T, (X - X.mean(axis=0)) @ axes.T
    assert (along.max(axis=0) <= own.max(axis=0) + 1e-9).all()
    assert abs(np.corrcoef(along.T)[0, 1]) < 0.08


def test_the_style_null_keeps_level_and_answers_and_breaks_the_rest():
    rng = np.random.default_rng(0)
    level, taste = rng.normal(size=(800, 1)), rng.choice([-1, 1], (800, 1))
    answers = np.clip(np.round(3 + level + taste * [1, 1, 1, -1, -1, -1]), 1, 5)
    made = NULLS["style"].make(answers, np.random.default_rng(1))
    assert set(np.unique(made)) <= {1, 2, 3, 4, 5}
    assert np.corrcoef(made.mean(axis=1), answers.mean(axis=1))[0, 1] > 0.9
    own = made - made.mean(axis=1, keepdims=True)
    assert np.corrcoef(own.T)[0, 1] < 0.1  # the common taste of the first three items is gone
    before = answers - answers.mean(axis=1, keepdims=True)
    assert np.corrcoef(before.T)[0, 1] > 0.5


def test_null_references_find_planted_groups_and_leave_noise_alone():
    groups = cs.evaluation.null_references(two_groups(), [2, 3], n_tables=19)
    table = groups.to_frame()
    assert set(table["null"]) == {"permuted", "pca_box", "normal", "copula"}
    assert table["index"].unique().tolist() == list(INDICES)
    widths = table[(table["index"] == "silhouette") & (table["k"] == 2)]
    assert (widths["p_value"] == 0.05).all()
    assert (widths["z"] > 3).all()
    halves = pd.Series(two_groups()["visits"] > 4.5, name="k2")
    observed = cs.evaluation.indices(two_groups(), halves).to_frame()
    assert widths["observed"].iloc[0] == pytest.approx(observed["silhouette"][0])
    draws = groups.draws.query("null == 'normal' and k == 2")["silhouette"]
    row = widths[widths["null"] == "normal"].iloc[0]
    assert row["null_mean"] == pytest.approx(draws.mean())
    assert len(groups.notes) == 4
    p = []
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(size=(80, 3))
        found = cs.evaluation.null_references(noise, [2, 3], nulls=["normal"], n_tables=19)
        own = found.to_frame().query("index == 'silhouette'")
        p.append(own["p_family"].min())
    assert np.mean(np.array(p) <= 0.1) <= 0.42


def test_gap_by_brute_force_and_in_r(iris):
    """cluster::clusGap(iris[,1:4], kmeans, nstart=20, B=200, spaceH0=..., d.power=2)."""
    own = cs.evaluation.gap_statistic(iris, n_tables=100).to_frame()
    expected = [0.0770, 0.5945, 0.8737, 1.0034, 1.0450, 1.0638]
    np.testing.assert_allclose(own["gap"][:6], expected, atol=0.03)
    np.testing.assert_allclose(own["standard_error"][1:], 0.04, atol=0.015)
    whole = ((iris - iris.mean()) ** 2).to_numpy().sum()
    three = KMeans(3, n_init=20, random_state=0).fit(iris).inertia_
    np.testing.assert_allclose(own["log_w"][[0, 2]], np.log([whole, three]))
    box = cs.evaluation.gap_statistic(iris, reference="box", n_tables=100)
    np.testing.assert_allclose(
        box.to_frame()["gap"][:6], [0.0738, 0.9819, 1.4349, 1.5754, 1.6423, 1.7082], atol=0.03
    )
    gap, error = own["gap"].to_numpy(), own["standard_error"].to_numpy()
    first = next(k for k in range(7) if gap[k] >= gap[k + 1] - error[k + 1])
    assert cs.evaluation.gap_statistic(iris, n_tables=100).best_k == first + 1
    noise = np.random.default_rng(0).uniform(size=(200, 2))
    assert cs.evaluation.gap_statistic(noise, range(1, 5), n_tables=40).best_k == 1
    short = cs.evaluation.gap_statistic(iris, [1, 2], n_tables=10)
    assert short.best_k == 2
    assert "the last that was tried" in short.summary()


def test_prediction_strength_agrees_with_r(iris):
    """fpc::prediction.strength(iris[,1:4], M=100, clustermethod=kmeansCBI, runs=10)."""
    found = cs.evaluation.prediction_strength(iris, n_splits=40)
    assert found.best_k == 2
    expected = [1, 0.973, 0.763, 0.575, 0.605, 0.531]
    np.testing.assert_allclose(found.to_frame()["strength"][:6], expected, atol=0.06)
    ward = cs.evaluation.prediction_strength(
        two_groups(), [1, 2, 3], n_splits=10, estimator=AgglomerativeClustering()
    )
    assert ward.best_k == 2
    noise = np.random.default_rng(0).normal(size=(200, 6))
    alone = cs.evaluation.prediction_strength(noise, range(1, 5), n_splits=10)
    assert alone.best_k == 1


def test_pairs_by_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, other = rng.integers(3, size=12), rng.integers(3, size=12)
        same = one[:, None] == one
        kept = other[:, None] == other
        np.fill_diagonal(same, val=False)
        shares = [
            kept[np.ix_(one == c, one == c)][same[np.ix_(one == c, one == c)]].mean()
            for c in np.unique(one)
            if (one == c).sum() > 1
        ]
        assert _kept_together(one, other) == pytest.approx(min(shares))
        differ = (one[:, None] == one) != (other[:, None] == other)
        assert _disagreement(one, other) == pytest.approx(differ.mean())


def test_instability_agrees_with_r(iris):
    """Twice fpc::nselectboot(..., classification="centroid"), which counts each pair once."""
    found = cs.evaluation.instability(iris, range(2, 6), n_resamples=80)
    np.testing.assert_allclose(
        found.to_frame()["instability"], [0.010, 0.046, 0.058, 0.060], atol=0.02
    )
    assert found.best_k == 2


def test_a_rule_labels_others_as_the_clusterer_does(iris):
    matrix = iris.to_numpy()
    once = np.ones(150, dtype=int)
    mixture = fit_rule(GaussianMixture(3), matrix, once, 0)(matrix)
    expected = GaussianMixture(3, random_state=0).fit_predict(matrix)
    np.testing.assert_array_equal(mixture, expected)
    ward = AgglomerativeClustering(3).fit(matrix)
    means = np.array([matrix[ward.labels_ == j].mean(axis=0) for j in range(3)])
    nearest = ((matrix[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(
        fit_rule(AgglomerativeClustering(3), matrix, once, 0)(matrix), nearest
    )


def test_row_order_and_threads_change_nothing():
    X = two_groups()
    shuffled = X.sample(frac=1, random_state=1)
    for function, options in (
        (cs.evaluation.gap_statistic, {"k": [1, 2, 3], "n_tables": 6}),
        (cs.evaluation.prediction_strength, {"k": [1, 2, 3], "n_splits": 6}),
        (cs.evaluation.instability, {"k": [2, 3], "n_resamples": 6}),
        (cs.evaluation.null_references, {"k": [2, 3], "n_tables": 4, "nulls": ["copula"]}),
    ):
        one = function(X, n_jobs=1, **options).to_frame()
        other = function(shuffled, n_jobs=3, **options).to_frame()
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_consensus_counts_pairs():
    X = two_groups(24)
    found = cs.evaluation.consensus_matrix(X, KMeans(2, n_init=10), 30)
    assert found.matrix.index.equals(X.index)
    same = (X["visits"] > 4.5).to_numpy()
    np.testing.assert_allclose(found.matrix, same[:, None] == same)
    assert found.pac == 0
    noise = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)))
    soft = cs.evaluation.consensus_matrix(noise, KMeans(4, n_init=10), 40)
    pairs = soft.matrix.to_numpy()[np.triu_indices(40, 1)]
    assert soft.pac == pytest.approx(((pairs > 0.1) & (pairs < 0.9)).mean())
    assert soft.pac > 0.1
    own = soft.segments == "A"
    block = soft.matrix.to_numpy()[np.ix_(own, own)]
    within = (block.sum() - own.sum()) / (own.sum() * (own.sum() - 1))
    assert soft.to_frame()["within"][0] == pytest.approx(within, abs=1e-6)
    with pytest.raises(DataError, match="10,001 customers"):
        cs.evaluation.consensus_matrix(np.zeros((10_001, 1)), KMeans(2))


def test_views_of_solutions(iris):
    labelings = pd.DataFrame(
        {k: KMeans(k, n_init=10, random_state=0).fit_predict(iris) for k in (2, 3)}
    )
    gram = cs.evaluation.clustergram(iris, labelings)
    score = np.linalg.svd(iris - iris.mean(), full_matrices=False)[0][:, 0] * np.sqrt(150)
    means = pd.Series(score).groupby(labelings[3]).mean()
    own = gram.to_frame().query("labelling == 3")["mean"]
    np.testing.assert_allclose(np.abs(own), np.abs(means))
    assert gram.explained == pytest.approx(0.9246, abs=1e-4)
    assert gram.flows["n"].sum() == 150
    gorge = cs.evaluation.gorge(iris, labelings[3])
    np.testing.assert_allclose(gorge.similarity.sum(axis=1), 1)
    table = gorge.to_frame()
    setosa = table[table["n"] == 50].iloc[0]
    assert setosa["between"] < 0.05 < table["between"].max()
    sharper = cs.evaluation.gorge(iris, labelings[3], power=4).to_frame()
    assert sharper["between"].mean() < table["between"].mean()


def test_pictures_show_their_tables(iris):
    labelings = pd.DataFrame(
        {k: KMeans(k, n_init=10, random_state=0).fit_predict(iris) for k in (2, 3, 4)}
    )
    across = cs.evaluation.stability_across(labelings)
    ax = across.plot()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2", "3", "4"]
    assert len(ax.collections[0].get_offsets()) == 9
    assert len(ax.get_lines()) == len(across.flows)
    gram = cs.evaluation.clustergram(iris, labelings)
    np.testing.assert_allclose(gram.plot().collections[0].get_offsets()[:, 1], gram.table["mean"])
    gorge = cs.evaluation.gorge(iris, labelings[3])
    assert [panel.get_title() for panel in gorge.plot().figure.axes] == ["0", "1", "2"]
    strength = cs.evaluation.prediction_strength(iris, [1, 2, 3], n_splits=4)
    line = strength.plot().get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), strength.to_frame()["strength"])
    nulls = cs.evaluation.null_references(iris, [2, 3], nulls=["normal"], n_tables=4)
    drawn = nulls.plot().get_lines()[0].get_ydata()
    z = nulls.to_frame().query("index == 'silhouette'")["z"]
    np.testing.assert_array_equal(drawn, z)
    consensus = cs.evaluation.consensus_matrix(iris, KMeans(3, n_init=10), 10)
    assert consensus.plot().images[0].get_array().shape == (150, 150)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda X: cs.evaluation.gap_statistic(X, [2, 3]), "compares each number with the next"),
        (lambda X: cs.evaluation.gap_statistic(X, reference="pca"), "Did you mean 'pca_box'"),
        (lambda X: cs.evaluation.gap_statistic(X, [1, 2, 99]), "compares each number"),
        (
            lambda X: cs.evaluation.prediction_strength(X, [1, 99]),
            "k is 99, but must be at most",
        ),
        (lambda X: cs.evaluation.prediction_strength(X, cutoff=1), "cutoff is 1"),
        (lambda X: cs.evaluation.instability(X, [1, 2]), "k is 1, but must be a whole number >= 2"),
        (lambda X: cs.evaluation.instability(X, [3, 2]), "increasing numbers"),
        (lambda X: cs.evaluation.null_references(X, nulls="copula"), r"such as \['copula'\]"),
        (lambda X: cs.evaluation.null_references(X, nulls=["cupola"]), "Did you mean 'copula'"),
        (lambda X: cs.evaluation.consensus_matrix(X, KMeans(2), share=1), "share is 1"),
        (lambda X: cs.evaluation.gorge(X, X["visits"] > 4, power=0), "power is 0"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ParameterError, match=words):
        call(two_groups())
