"""The evidence: its indices against independent counts, its verdicts against planted truth."""

import io
from time import sleep

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import Birch, KMeans
from sklearn.datasets import load_iris, load_wine
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.preprocessing import StandardScaler

import custseg as cs
from custseg.errors import ParameterError
from custseg.evaluation import _parallel
from custseg.evaluation._references import against, family_p, permuted
from custseg.evaluation.compare import COLUMNS, compare_segmentations
from custseg.evaluation.indices import explained_share
from custseg.evaluation.verdict import decide

mpl.use("Agg")

VARIABLES = ["visits", "basket", "discount"]


def frame(values: np.ndarray) -> pd.DataFrame:
    ids = np.random.default_rng(len(values)).permutation(len(values)) + 70_000
    columns = [*VARIABLES, *"abcdefgh"][: values.shape[1]]
    return pd.DataFrame(values, columns=columns, index=pd.Index(ids, name="customer_id"))


def planted(n: int = 400, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(4, size=n)
    centres = np.array([[0, 0, 0], [7, 0, 7], [0, 7, 7], [7, 7, 0]])
    return frame(centres[truth] + rng.normal(size=(n, 3))), truth


@pytest.fixture(scope="module")
def evidence() -> cs.evaluation.Evidence:
    return compare_segmentations(planted()[0], VARIABLES, k=range(2, 7), n_resamples=40)


def test_planted_segments_are_recommended_and_found(evidence):
    assert evidence.verdict.kind == "natural"
    assert evidence.verdict.k == 4
    customers, truth = planted()
    model = evidence.model()
    assert not hasattr(model, "segments_")
    assert model.variables == VARIABLES
    assert adjusted_rand_score(truth, model.fit(customers).segments_) > 0.99


def test_one_row_per_candidate_with_all_columns(evidence):
    table = evidence.to_frame()
    assert table.columns.tolist() == list(COLUMNS)
    assert table["k"].tolist() == [2, 3, 4, 5, 6]
    assert set(table["algorithm"]) == {"kmeans"}
    assert (table["reason"] == "").all()
    assert table.drop(columns=["algorithm", "reason"]).notna().all(axis=None)
    assert (table["seconds"] > 0).all()
    assert "seconds" not in repr(evidence)
    assert "seconds" not in evidence._repr_html_()


def test_indices_equal_independent_ones(evidence):
    customers, _ = planted()
    matrix = StandardScaler().fit_transform(customers.sort_index())
    total = ((matrix - matrix.mean(axis=0)) ** 2).sum()
    for row in evidence.to_frame().itertuples():
        fitted = evidence.model(k=row.k).fit(customers)
        labels = fitted.segments_.sort_index()
        within = pd.DataFrame(matrix).groupby(labels.array, observed=True).var(ddof=0)
        within_ss = within.mul(labels.value_counts(sort=False).array, axis=0).sum().sum()
        oracle = KMeans(row.k, n_init=10, random_state=0).fit(matrix)
        assert row.within_ss == pytest.approx(within_ss, rel=1e-9)
        assert row.within_ss <= oracle.inertia_ * (1 + 1e-9)
        assert row.explained == pytest.approx(1 - within_ss / total, rel=1e-9)
        assert row.silhouette == pytest.approx(silhouette_score(matrix, labels), abs=1e-12)
        assert row.smallest_share == fitted.sizes_["share"].min()
        stable = cs.evaluation.stability(
            pd.DataFrame(matrix), cs.clustering.KMeans(row.k), n_resamples=40
        )
        assert row.ari == stable.ari
        assert row.jaccard == pytest.approx(stable.to_frame()["jaccard"].mean())
        assert row.jaccard_min == stable.to_frame()["jaccard"].min()


def test_row_order_and_threads_do_not_change_the_evidence(monkeypatch):
    customers, _ = planted(150, seed=4)
    options = {"k": [2, 3, 4], "n_resamples": 20}
    monkeypatch.setattr(_parallel, "cpu_count", lambda: 1)
    first = compare_segmentations(customers, VARIABLES, **options)
    monkeypatch.setattr(_parallel, "cpu_count", lambda: 4)
    other = compare_segmentations(customers.sample(frac=1, random_state=2), VARIABLES, **options)
    assert first.verdict == other.verdict
    pd.testing.assert_frame_equal(
        first.to_frame().drop(columns="seconds"),
        other.to_frame().drop(columns="seconds"),
        check_exact=True,
    )
    assert repr(first) == repr(other)


def test_independent_columns_have_no_structure():
    """Five uncorrelated normal columns: nothing to find, and nothing is found too often."""
    kinds = []
    for seed in range(20):
        noise = frame(np.random.default_rng(seed).normal(size=(150, 5)))
        found = compare_segmentations(noise, None, k=[2, 3, 4], n_resamples=20)
        kinds.append(found.verdict.kind)
        assert (found.verdict.k is None) == (found.verdict.kind == "none")
    assert kinds.count("natural") == kinds.count("reproducible") == 0
    assert kinds.count("constructive") <= 4  # 1 expected, 5 or more in .3 % of such tests


def test_correlated_columns_are_constructive_or_reproducible_and_the_notes_say_why():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 6)) @ np.linalg.cholesky(0.5 * np.eye(6) + 0.5).T
    found = compare_segmentations(frame(values), None, k=[2, 3, 4], n_resamples=40)
    assert found.verdict.kind in {"constructive", "reproducible"}
    assert found.to_frame()["p_family"].min() <= 0.05
    assert any("merely correlate" in note for note in found.notes)


def test_weak_structure_is_constructive_and_its_k_is_the_clearest():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(200, 8)) + rng.integers(0, 2, (200, 1)) * 0.9
    found = compare_segmentations(frame(values), None, k=[3, 4, 5], n_resamples=40)
    table = found.to_frame()
    assert table["ari"].max() < 0.8
    assert found.verdict.kind == "constructive"
    clear = table[table["p_family"] <= 0.05]
    assert found.verdict.k == clear.loc[clear["explained_z"].idxmax(), "k"]
    assert "made, not found" in found.summary()


def test_the_family_p_value_is_exact():
    rng = np.random.default_rng(0)
    mixing = np.linalg.cholesky(0.7 * np.ones((4, 4)) + 0.3 * np.eye(4))
    p = np.array(
        [
            family_p(tables[0], tables[1:]).min()
            for tables in (rng.normal(size=(20, 4)) @ mixing.T for _ in range(4_000))
        ]
    )
    for level in (0.05, 0.25, 0.5):
        assert (p <= level + 1e-9).mean() == pytest.approx(level, abs=0.02)


def test_against_a_null_by_hand():
    mean, z, p = against(5.0, np.array([1.0, 2.0, 3.0, 6.0, np.nan]))
    assert (mean, p) == (3.0, 2 / 5)
    assert z == pytest.approx(2 / np.std([1, 2, 3, 6], ddof=1))
    assert np.isnan(against(np.nan, np.arange(5.0))).all()
    same = against(0.5, np.full(9, 0.5))
    assert same[2] == 1.0
    assert np.isnan(same[1])


def test_shuffling_keeps_columns_and_breaks_association():
    rng = np.random.default_rng(0)
    spend = rng.normal(size=500)
    made = permuted(np.column_stack([spend, spend]), rng)
    np.testing.assert_array_equal(np.sort(made, axis=0), np.sort(spend)[:, None] * [1, 1])
    assert abs(np.corrcoef(made.T)[0, 1]) < 0.15


def test_explained_share_leaves_noise_out():
    matrix = np.array([[0.0], [2.0], [10.0], [12.0], [99.0]])
    within, share = explained_share(matrix, np.array([0, 0, 1, 1, -1]))
    assert (within, share) == (4.0, 1 - 4 / 104)


def test_a_candidate_that_fails_or_is_small_is_a_row():
    customers, _ = planted(60)
    few = (customers > 3.5).astype(int)  # four distinct rows
    found = compare_segmentations(few, VARIABLES, k=[3, 4, 5], n_resamples=4, encoder=None)
    assert found.to_frame()["reason"].tolist()[-1] == "only 4 distinct rows for 5 segments"
    assert np.isnan(found.to_frame()["ari"].iloc[-1])

    class Broken(KMeans):
        def fit(self, X, y=None, sample_weight=None):
            raise RuntimeError("did not converge")

    found = compare_segmentations(
        customers, VARIABLES, algorithms=["kmeans", Broken()], k=[2, 3], n_resamples=4
    )
    table = found.to_frame()
    assert table["algorithm"].tolist() == ["kmeans", "kmeans", "Broken", "Broken"]
    assert table["reason"].tolist()[2:] == ["the fit failed: did not converge"] * 2
    assert table["ari"].notna().tolist() == [True, True, False, False]

    small = compare_segmentations(customers, VARIABLES, k=[4], n_resamples=4, min_share=0.4)
    assert "of customers, less than 40%" in small.to_frame()["reason"][0]
    assert small.verdict.kind == "none"
    assert small.verdict.k is None


def test_other_clusterers_are_compared_under_their_names():
    customers, truth = planted(150)
    found = compare_segmentations(
        customers, VARIABLES, algorithms=["kmeans", Birch(threshold=0.2)], k=[3, 4], n_resamples=6
    )
    assert found.to_frame()["algorithm"].tolist() == ["kmeans", "kmeans", "Birch", "Birch"]
    model = found.model("Birch", 4).fit(customers)
    assert adjusted_rand_score(truth, model.segments_) > 0.95
    kmeans_alone = compare_segmentations(customers, VARIABLES, k=[4], n_resamples=6)
    same = ["ari", "jaccard", "silhouette", "silhouette_null", "explained_null"]
    pd.testing.assert_series_equal(
        kmeans_alone.to_frame().loc[0, same], found.to_frame().loc[1, same], check_names=False
    )


def mixed(n: int = 240, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    levels = np.array(["web", "store", "phone", "app"])
    table = pd.DataFrame(
        {
            "spend": rng.normal(100 * truth, 12),
            "channel": levels[np.where(rng.random(n) < 0.92, truth, rng.integers(4, size=n))],
            "region": levels[np.where(rng.random(n) < 0.92, 2 - truth, rng.integers(4, size=n))],
        },
        index=pd.RangeIndex(n, name="customer_id"),
    )
    table.loc[3, "region"] = None
    return table, truth


@pytest.mark.parametrize("algorithm", ["kprototypes", "kmedoids"])
def test_mixed_customers_are_compared_in_their_own_space(algorithm):
    customers, truth = mixed()
    found = compare_segmentations(
        customers, None, algorithms=[algorithm], k=[2, 3, 4], n_resamples=10, min_share=0
    )
    table = found.to_frame().set_index("k")
    assert found.variables == ("spend", "channel", "region")
    assert (table["reason"] == "").all()
    assert table["ari"][3] > 0.95
    assert table["silhouette"].idxmax() == 3
    assert table["silhouette_z"][3] > 5
    assert table["describability"][3] > 0.9
    assert adjusted_rand_score(truth, found.model(k=3).fit(customers).segments_) > 0.9
    with pytest.raises(ParameterError, match="kprototypes takes categories"):
        compare_segmentations(customers, algorithms=["kprototypes"], null="copula")


def test_an_algorithm_that_finds_the_number_is_tried_once():
    customers, truth = planted(300)
    found = compare_segmentations(
        customers, VARIABLES, algorithms=["hdbscan", "kmeans"], k=[4], n_resamples=6, min_share=0
    )
    table = found.to_frame()
    assert table["algorithm"].tolist() == ["hdbscan", "kmeans"]
    assert table["k"].tolist() == [4, 4]
    assert found.labelings.columns.tolist() == ["hdbscan", "kmeans with k = 4"]
    assert found.labelings.index.equals(customers.index.sort_values())
    assert adjusted_rand_score(truth, found.labelings["kmeans with k = 4"][customers.index]) > 0.99


def test_an_interrupted_comparison_goes_on_where_it_stopped(tmp_path, monkeypatch):
    from custseg.evaluation import _candidates

    customers, _ = planted(80)
    options = {"k": [2, 3, 4], "n_resamples": 6}
    whole = compare_segmentations(customers, VARIABLES, **options)
    measure, done = _candidates._measure, []

    def counted(name, *arguments):
        done.append(name)
        return measure(name, *arguments)

    def interrupted(name, *arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        return counted(name, *arguments)

    monkeypatch.setattr(_candidates, "_measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare_segmentations(customers, VARIABLES, cache=tmp_path, **options)
    assert len(list(tmp_path.iterdir())) == 2
    done.clear()
    monkeypatch.setattr(_candidates, "_measure", counted)
    resumed = compare_segmentations(customers, VARIABLES, cache=tmp_path, **options)
    assert done == ["kmeans with k = 4"]
    pd.testing.assert_frame_equal(
        resumed.to_frame().drop(columns="seconds"),
        whole.to_frame().drop(columns="seconds"),
        check_exact=True,
    )
    pd.testing.assert_frame_equal(resumed.labelings, whole.labelings)
    assert resumed.verdict == whole.verdict
    done.clear()
    other = {**options, "n_resamples": 8, "k": [2]}
    compare_segmentations(customers, VARIABLES, cache=tmp_path, **other)
    compare_segmentations(customers + 1, VARIABLES, cache=tmp_path, **(options | {"k": [2]}))
    assert done.count("kmeans with k = 2") == 2  # other settings and other customers are other ones


def test_many_customers_are_sampled_and_it_is_said(monkeypatch):
    from custseg.evaluation import compare

    monkeypatch.setattr(compare, "LARGEST", 90)
    customers, truth = planted(200)
    found = compare_segmentations(customers, VARIABLES, k=[3, 4], n_resamples=6)
    assert (found.n_customers, found.n_measured) == (200, 90)
    assert "measured on 90 of 200 customers" in found.notes[0]
    assert adjusted_rand_score(truth, found.model(k=4).fit(customers).segments_) > 0.99
    again = compare_segmentations(
        customers.sample(frac=1, random_state=0), VARIABLES, k=[3, 4], n_resamples=6
    )
    pd.testing.assert_frame_equal(again.labelings, found.labelings)


def test_odd_columns_are_named():
    rng = np.random.default_rng(0)
    customers, _ = planted(200)
    customers["visits"] = np.where(rng.random(200) < 0.4, 0, customers["visits"])
    customers["basket"] = np.where(rng.random(200) < 0.5, 9.0, customers["basket"])
    notes = compare_segmentations(customers, VARIABLES, k=[2], n_resamples=2).notes
    assert any("visits is 0 for" in note for note in notes)
    assert any("most frequent value of basket" in note for note in notes)
    brief = cs.Brief(goal="one offer", success_metric="spend", min_share=0.4)
    small = compare_segmentations(customers, VARIABLES, k=[3], n_resamples=2, min_share=brief)
    assert small.min_share == 0.4


def test_groups_hidden_by_columns_without_any_are_found_in_learned_units():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=600)
    groups = np.array([[0, 0], [6, 0], [0, 6]])[truth] + rng.normal(size=(600, 2))
    customers = frame(np.column_stack([groups, rng.normal(size=(600, 6))]))
    found = compare_segmentations(customers, k=[2, 3, 4], n_resamples=6)
    assert (found.verdict.kind, found.verdict.k) == ("natural", 3)
    assert found.to_frame()["natural"].any()
    if found.verdict.algorithm == "adaptive_kmeans":
        assert "in units that are learned with them" in found.verdict.reason
    assert adjusted_rand_score(truth, found.model().fit(customers).segments_) > 0.95
    border = found.gaps[found.labelings.columns[-1]]
    assert border.to_frame().columns[0] == "segment"
    again = compare_segmentations(
        customers.sample(frac=1, random_state=1), k=[2, 3, 4], n_resamples=6
    )
    assert again.verdict == found.verdict


def test_without_a_verdict_the_model_asks_for_k():
    noise = frame(np.random.default_rng(3).normal(size=(150, 5)))
    found = compare_segmentations(noise, None, k=[2, 3], n_resamples=20)
    assert found.verdict.kind == "none"
    with pytest.raises(ParameterError, match=r"the verdict is 'none'.*evidence.model\(k=3\)"):
        found.model()
    model = found.model(k=3, order_by="visits")
    assert clone(model).get_params()["order_by"] == "visits"
    with pytest.raises(ParameterError, match="Did you mean 'kmeans'"):
        found.model("k-means", 3)


def candidates(**change) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "algorithm": "kmeans",
            "k": [2, 3, 4, 5],
            "natural": False,
            "border_ratio": 0.9,
            "ari": [0.95, 0.9, 0.85, 0.5],
            "jaccard_min": [0.9, 0.8, 0.6, 0.4],
            "explained": 0.5,
            "explained_null": 0.3,
            "explained_z": [5.0, 9.0, 7.0, 1.0],
            "p_family": 0.02,
            "reason": "",
        }
    )
    return table.assign(**change)


@pytest.mark.parametrize(
    ("change", "kind", "k"),
    [
        ({}, "reproducible", 3),
        ({"natural": [True, False, True, False]}, "natural", 4),
        ({"natural": [True, False, True, False], "reason": ["", "", "small", ""]}, "natural", 2),
        ({"jaccard_min": 0.7}, "reproducible", 2),
        ({"reason": ["", "small", "", ""]}, "reproducible", 2),
        ({"ari": 0.79}, "constructive", 3),
        ({"ari": 0.79, "p_family": [0.02, 0.06, 0.02, 0.5]}, "constructive", 4),
        ({"ari": 0.79, "p_family": 0.06}, "none", None),
        ({"reason": "failed"}, "none", None),
        ({"ari": np.nan, "p_family": np.nan}, "none", None),
    ],
)
def test_the_rule_of_the_verdict(change, kind, k):
    verdict = decide(candidates(**change), 1_234)
    assert (verdict.kind, verdict.k) == (kind, k)
    assert "nan" not in verdict.reason
    assert ("1,234" in verdict.reason) == ("could be judged" not in verdict.reason)


def test_one_variable_and_sampling_are_said_aloud(monkeypatch):
    from custseg.evaluation import compare

    customers, _ = planted(120)
    single = compare_segmentations(customers, ["visits"], k=[2, 3], n_resamples=4)
    assert any("with one variable" in note for note in single.notes)
    assert (single.to_frame()["p_explained"] > 0.5).all()
    monkeypatch.setattr(compare, "SILHOUETTE_SAMPLE", 60)
    sampled = compare_segmentations(customers, VARIABLES, k=[4], n_resamples=4)
    assert "silhouettes and separations rest on a random 60 of 120" in sampled.notes[-1]
    whole = silhouette_score(StandardScaler().fit_transform(customers), planted(120)[1])
    assert sampled.to_frame()["silhouette"][0] == pytest.approx(whole, abs=0.05)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"null": "permute"}, "Did you mean 'permuted'"),
        ({"n_resamples": 1}, "n_resamples is 1, but must be a whole number >= 2"),
        ({"min_share": 1.0}, "min_share is 1.0"),
        ({"k": [1, 2]}, "k is 1, but must be a whole number >= 2"),
        ({"k": []}, "at least one candidate"),
        ({"k": [3, 3]}, "kmeans with k = 3 is asked for twice"),
        ({"k": range(20, 30)}, r"k is 20, but must be at most 12"),
        ({"algorithms": "kmeans"}, r"must be a list: \['kmeans'\]"),
        ({"algorithms": ["kmedoid"]}, "algorithm is 'kmedoid'"),
        ({"random_state": 1.5}, "random_state is 1.5"),
    ],
)
def test_bad_parameters_are_refused(options, words):
    with pytest.raises(ParameterError, match=words):
        compare_segmentations(planted(12)[0], VARIABLES, **options)


def test_progress_goes_to_stderr_only_when_asked(capsys):
    customers, _ = planted(30)
    compare_segmentations(customers, VARIABLES, k=[2], n_resamples=2)
    assert capsys.readouterr() == ("", "")
    compare_segmentations(customers, VARIABLES, k=[2], n_resamples=2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "null tables" in err


def test_an_interrupt_stops_the_tasks_that_wait():
    done = []

    def task(number: int) -> int:
        if number == 2:
            raise KeyboardInterrupt
        sleep(0.002)
        done.append(number)
        return number

    answers = _parallel.run(task, range(1_000), label="x", progress=False, n_jobs=2)
    with pytest.raises(KeyboardInterrupt):
        list(answers)
    assert len(done) < 900


def test_pictures_are_drawn(evidence):
    import matplotlib.pyplot as plt

    axes = evidence.plot()
    panels = axes.figure.axes
    assert len(panels) == 4
    assert panels[0].get_ylabel() == "adjusted Rand index\nof two resamples"
    line = panels[0].get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), evidence.to_frame()["ari"])
    _, own = plt.subplots()
    assert evidence.plot(ax=own) is own
    customers, _ = planted()
    widths = cs.evaluation.silhouettes(customers, evidence.model().fit(customers).segments_)
    assert [text.get_text() for text in widths.plot().get_yticklabels()] == list("ABCD")
    stable = cs.evaluation.stability(customers, KMeans(4, n_init=10), n_resamples=4)
    means = stable.plot().get_lines()
    drawn = next(line for line in means if line.get_marker() == "D")
    np.testing.assert_array_equal(drawn.get_xdata(), stable.to_frame()["jaccard"])
    none = compare_segmentations(customers, VARIABLES, k=[4], n_resamples=4, min_share=0.9)
    none.plot().figure.savefig(io.BytesIO())
    plt.close("all")


@pytest.mark.realdata
def test_real_customers_get_sensible_verdicts():
    spending = np.log(cs.datasets.load_wholesale().iloc[:, 2:].astype(float))
    found = compare_segmentations(spending, k=range(2, 7), n_resamples=60)
    assert (found.verdict.kind, found.verdict.k) == ("reproducible", 2)
    answers = cs.datasets.load_mcdonalds().iloc[:, :11].eq("Yes").astype(float)
    found = compare_segmentations(answers, k=[2, 3, 4], n_resamples=40, encoder=None)
    assert found.verdict.kind == "reproducible"
    assert found.to_frame().set_index("k")["ari"][3] > 0.75


def test_iris_is_natural_with_two_and_wine_with_the_three_cultivars():
    iris = compare_segmentations(load_iris(as_frame=True).data, k=range(2, 6), n_resamples=10)
    assert (iris.verdict.kind, iris.verdict.k) == ("natural", 2)
    wine = load_wine(as_frame=True)
    found = compare_segmentations(wine.data, k=range(2, 6), n_resamples=10)
    assert found.verdict.k == 3
    assert adjusted_rand_score(wine.target, found.model().fit(wine.data).labels_) > 0.85
