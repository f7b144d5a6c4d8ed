"""Every algorithm of the catalogue: its own kind of data, any order of rows, hard tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

import custseg as cs
from custseg.clustering import ALGORITHMS
from custseg.clustering.algorithms import ENCODERS, make_estimator
from custseg.errors import CustsegError, ParameterError

NAMES = list(ALGORITHMS)
NUMBERS = ["recency", "frequency", "monetary"]
LEVELS = [f"q{j}" for j in range(8)]
VARIABLES = {
    "numbers": NUMBERS,
    "levels": LEVELS,
    "mixed": NUMBERS + LEVELS,
    "gower": NUMBERS + LEVELS,
    "items": NUMBERS + LEVELS,
    "raw": NUMBERS,
}
KINDS = dict.fromkeys(NUMBERS, "numeric") | dict.fromkeys(LEVELS, "nominal")
WITHOUT_RULE = ("ward", "average", "spectral", "hdbscan")
PROFILES = np.array([np.roll(np.arange(8) % 4, shift) for shift in range(4)])
CENTRES = np.array([[20, 12, 300], [200, 2, 40], [40, 30, 1500], [320, 20, 800]])


def shoppers(n: int = 240, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Four groups that differ in three numbers and in eight answers; ids not in row order."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, n, p=[0.35, 0.3, 0.2, 0.15])
    table = pd.DataFrame(CENTRES[truth] * rng.lognormal(0, 0.12, (n, 3)), columns=NUMBERS)
    answers = np.where(rng.random((n, 8)) < 0.85, PROFILES[truth], rng.integers(4, size=(n, 8)))
    for name, codes in zip(LEVELS, answers.T, strict=True):
        table[name] = np.array(list("abcd"))[codes]
    return table.set_index(pd.Index(rng.permutation(n) + 100, name="customer_id")), truth


def model(name: str, **options) -> cs.SegmentationModel:
    entry = ALGORITHMS[name]
    options = {"variables": VARIABLES[entry.takes], "dictionary": KINDS} | options
    if entry.needs_n_segments:
        options = {"n_segments": 4} | options
    return cs.SegmentationModel(name, **({"random_state": 0} | options))


@pytest.fixture(scope="module")
def fitted() -> dict[str, cs.SegmentationModel]:
    customers, _ = shoppers()
    return {name: model(name).fit(customers) for name in NAMES}


# ------------------------------------------------------------------------------- the entries


def test_the_catalogue_has_what_a_segmenter_reaches_for():
    expected = ["kmeans", "minibatch_kmeans", "bisecting_kmeans", "ward", "average"]
    expected += ["gaussian_mixture", "birch", "spectral", "hdbscan", "kmodes", "kprototypes"]
    expected += ["kmedoids", "latent_class", "rfm_rules", "tree_rules", "consensus"]
    assert set(expected) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_makes_a_clusterer_and_says_what_it_is(name):
    entry = ALGORITHMS[name]
    first, second = entry.make(3, 7), entry.make(3, 7)
    assert first is not second
    assert hasattr(first, "fit")
    assert repr(first) == repr(second)
    assert entry.description.startswith("Segments ")
    assert entry.description.endswith(".")
    assert any(digit in entry.reference for digit in "0123456789")
    assert entry.takes in ENCODERS
    if "random_state" in first.get_params():
        assert first.get_params()["random_state"] == 7


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_segments_is_asked_for_where_it_is_needed(name):
    if ALGORITHMS[name].needs_n_segments:
        with pytest.raises(ParameterError, match=f"n_segments is None, but '{name}' needs"):
            make_estimator(name, None, 0)
    else:
        with pytest.raises(ParameterError, match=f"'{name}' finds the number of segments itself"):
            make_estimator(name, 4, 0)


# ------------------------------------------------------------------------------- planted segments


@pytest.mark.parametrize("name", [name for name in NAMES if name != "rfm_rules"])
def test_planted_segments_are_found(name, fitted):
    _, truth = shoppers()
    assert adjusted_rand_score(truth, fitted[name].labels_) > 0.9
    assert fitted[name].segments_.cat.categories.tolist() == list("ABCD")
    assert fitted[name].sizes_["n"].is_monotonic_decreasing


def test_rfm_rules_are_the_cells_of_the_scores(fitted):
    customers, _ = shoppers()
    cells = cs.features.rfm_scores(customers[NUMBERS])["cell"]
    assert fitted["rfm_rules"].segments_.astype(str).tolist() == cells.astype(str).tolist()
    assert set(fitted["rfm_rules"].names_) == {cell.name for cell in cs.features.RFM_CELLS}


@pytest.mark.parametrize("name", ["spectral", "hdbscan"])
def test_shapes_are_found_by_what_follows_shapes(name):
    X, truth = make_moons(400, noise=0.06, random_state=1)
    moons = pd.DataFrame(X, columns=["x", "y"])
    options = {"n_segments": 2} if ALGORITHMS[name].needs_n_segments else {}
    found = cs.SegmentationModel(name, random_state=0, **options).fit(moons)
    inside = found.labels_ >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(truth[inside], found.labels_[inside]) > 0.9
    assert found.predict_fidelity_ < 1
    assert f"predict gives {found.predict_fidelity_:.1%} of these customers" in repr(found)


def test_directions_are_found_by_mixtures():
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=600)
    along, across = rng.normal(0, 3, 600), rng.normal(0, 0.2, 600)
    cross = pd.DataFrame(
        {"x": np.where(truth, along, across), "y": np.where(truth, across, along) + 4.0 * truth}
    )
    mixture = cs.SegmentationModel("gaussian_mixture", n_segments=2, random_state=0).fit(cross)
    kmeans = cs.SegmentationModel("kmeans", n_segments=2, random_state=0).fit(cross)
    assert adjusted_rand_score(truth, mixture.labels_) > 0.8
    assert adjusted_rand_score(truth, kmeans.labels_) < 0.5


# --------------------------------------------------------------------------- the same, every time


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_rows_and_columns_and_the_number_of_threads_change_nothing(name, seed):
    customers, _ = shoppers(120, seed=seed % 3)
    whole = customers.assign(**{n: customers[n].round(-1) for n in NUMBERS[1:]})  # with ties
    first = model(name).fit(whole)
    mixed = whole.sample(frac=1, random_state=seed)[list(whole.columns[::-1])]
    with threadpool_limits(limits=2):
        again = model(name).fit(mixed)
    assert again.segments_.index.equals(mixed.index)
    pd.testing.assert_series_equal(again.segments_.sort_index(), first.segments_.sort_index())
    pd.testing.assert_frame_equal(again.centers_, first.centers_, check_exact=True)
    pd.testing.assert_frame_equal(
        again.assign(mixed).sort_index(), first.assign(whole).sort_index(), check_exact=True
    )
    assert repr(again) == repr(first)


@pytest.mark.parametrize("name", NAMES)
def test_predict_repeats_the_segments_whoever_else_is_asked_about(name, fitted):
    customers, _ = shoppers()
    again = fitted[name].predict(customers)
    if name not in WITHOUT_RULE:
        pd.testing.assert_series_equal(again, fitted[name].segments_)
    same = again.astype(object).eq(fitted[name].segments_.astype(object)) | (
        again.isna() & fitted[name].segments_.isna()
    )
    assert fitted[name].predict_fidelity_ == same.mean()
    some = customers.iloc[[5, 77, 3]]
    assert fitted[name].predict(some).tolist() == again.loc[some.index].tolist()
    new, _ = shoppers(100, seed=9)
    assert fitted[name].predict(new).notna().mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_what_assign_says_fits_together(name, fitted):
    customers, _ = shoppers(150, seed=5)
    table = fitted[name].assign(customers)
    pd.testing.assert_series_equal(table["segment"], fitted[name].predict(customers))
    assert (table["second"].astype(object) != table["segment"].astype(object)).all()
    assert table["unlike"].dtype == bool
    assert table["unlike"].mean() <= 0.03
    if ALGORITHMS[name].takes == "raw":
        assert table.columns.tolist() == ["segment", "margin", "second", "unlike"]
        assert table[["margin", "second"]].isna().all(axis=None)
        return
    assert table["second"].notna().all()
    known = table[table["segment"].notna()]
    if "posterior" in table:
        assert table["posterior"].between(0, 1).all()
        assert (known["margin"] <= known["posterior"] + 1e-12).all()
    else:
        assert (table["distance"] >= 0).all()
        assert known["margin"].between(-1, 1).all()
    nearest = ["birch", "bisecting_kmeans"]  # whose own rule is another than the nearest centre
    assert (known["margin"] >= 0).all() or name in nearest


@pytest.mark.parametrize("name", NAMES)
def test_customers_like_nobody_are_marked(name, fitted):
    strangers, _ = shoppers(40, seed=6)
    strangers[NUMBERS] *= 500
    strangers[LEVELS] = "zz"
    assert fitted[name].assign(strangers)["unlike"].all()


# ------------------------------------------------------------------------------- hard tables


def hard_tables() -> dict[str, pd.DataFrame]:
    customers, _ = shoppers(60, seed=2)
    far = customers.copy()
    far.loc[far.index[0], NUMBERS] = [1e-3, 4e3, 1e6]
    far.loc[far.index[0], LEVELS] = "only here"
    few, _ = shoppers(10, seed=4)
    return {
        "one customer far from all": far,
        "a constant column": customers.assign(recency=7.0, q0="a"),
        "every row five times": pd.concat([customers] * 5).set_axis(range(300)),
        "few distinct rows": pd.concat([customers.iloc[:4]] * 20).set_axis(range(80)),
        "ten customers": few,
        "two customers": customers.iloc[:2],
        "one customer": customers.iloc[:1],
    }


def outcome(name: str, customers: pd.DataFrame) -> cs.SegmentationModel | CustsegError:
    try:
        return model(name).fit(customers)
    except CustsegError as error:
        return error


@pytest.mark.parametrize("table", list(hard_tables()))
@pytest.mark.parametrize("name", NAMES)
def test_hard_tables_work_or_fail_with_a_clear_error(name, table):
    customers = hard_tables()[table]
    found = outcome(name, customers)
    if isinstance(found, CustsegError):
        assert table not in ("one customer far from all", "a constant column")
        assert len(str(found)) > 40
        assert str(found).rstrip().endswith((".", "variables."))
        return
    assert found.sizes_["n"].sum() + (found.labels_ < 0).sum() == len(customers)
    assert found.sizes_["n"].sum() == found.segments_.notna().sum()
    assert found.noise_share_ == found.segments_.isna().mean()
    assert found.centers_.shape == (len(found.names_), len(found.variables_))
    assigned = found.assign(customers)
    assert assigned.index.equals(customers.index)
    assert 0 <= found.predict_fidelity_ <= 1
    if (found.sizes_["n"] == 0).any():
        assert any("nobody is in" in note for note in found.notes)


def test_fewer_segments_than_asked_are_said():
    customers, _ = shoppers(60)
    found = model("tree_rules", n_segments=25).fit(customers)
    assert len(found.names_) < 25
    assert any("25" in note for note in found.notes)


class Posts(ClusterMixin, BaseEstimator):
    """A clusterer with three posts, to the last of which nobody comes."""

    def fit(self, X, y=None):
        self.cluster_centers_ = np.array([[9.0], [0.0], [100.0]])
        self.labels_ = self.predict(X)
        return self

    def predict(self, X):
        return np.abs(X - self.cluster_centers_.T).argmin(axis=1)


def test_an_empty_segment_comes_last_and_is_said_and_takes_new_customers():
    customers = pd.DataFrame({"x": [0.0, 1.0, 2.0, 9.0, 8.0]})
    found = cs.SegmentationModel(Posts(), encoder=None).fit(customers)
    assert found.sizes_["n"].tolist() == [3, 2, 0]
    assert found.names_ == ["A", "B", "C"]
    assert "nobody is in C; new customers may be." in found.notes
    assert found.centers_["x"].isna().tolist() == [False, False, True]
    new = found.assign(pd.DataFrame({"x": [99.0, 3.0]}))
    assert new["segment"].tolist() == ["C", "A"]
    assert new["second"].tolist() == ["B", "B"]


@pytest.mark.parametrize("name", [name for name in NAMES if ALGORITHMS[name].takes == "numbers"])
def test_more_columns_than_segments_make_no_further_segments(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 9)) + 9 * rng.integers(2, size=(80, 1))
    fitted = model(name, variables=None, dictionary=None, n_segments=2)
    fitted.set_params(n_segments=2 if ALGORITHMS[name].needs_n_segments else None)
    assert fitted.fit(pd.DataFrame(X).add_prefix("x")).names_ == ["A", "B"]
