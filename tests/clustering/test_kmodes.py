"""k-modes: equal to the kmodes package, gaps, weights, empty clusters, starts, bad input."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import custseg as cs
from custseg.clustering import KModes
from custseg.clustering._prototypes import gather_rows
from custseg.clustering._starts import choose_starts
from custseg.errors import DataError, ParameterError

peer = pytest.importorskip("kmodes.kmodes", reason="needs kmodes: pip install '.[notebooks]'")

LETTERS = np.array(list("abcdef"))
INITS = ["huang", "cao", "random", "k-means++"]


def answers(seed: int, n: int = 300, k: int = 4, m: int = 8, *, noise: float = 0.5):
    """Letters of k groups of unequal size, and the groups."""
    rng = np.random.default_rng(seed)
    group = rng.choice(k, n, p=np.arange(1, k + 1) / np.arange(1, k + 1).sum())
    usual = rng.integers(0, 5, (k, m))[group]
    codes = np.where(rng.random((n, m)) < noise, rng.integers(0, 5, (n, m)), usual)
    return pd.DataFrame(LETTERS[codes]).add_prefix("item_"), group


def distinct_rows(frame: pd.DataFrame, k: int, seed: int) -> pd.DataFrame:
    return frame.drop_duplicates().sample(k, random_state=seed)


REASONS = {
    "check_sample_weight_equivalence_on_dense_data": "modes move with each row, so that the order "
    "of rows counts, and the check shuffles them; in the same order, a weight of two is two rows",
    "check_clustering": "the blobs are of continuous numbers, each of which is a category of its "
    "own here",
}


@parametrize_with_checks(
    [KModes(2, random_state=0), KModes(2, init="cao")], expected_failed_checks=lambda _: REASONS
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("seed", range(12))
def test_from_given_starts_it_is_kmodes(seed):
    table, _ = answers(seed, n=150 + 20 * seed, k=2 + seed % 5, noise=(0.3, 0.6, 1.0)[seed % 3])
    k = 2 + seed % 5
    starts = distinct_rows(table, k, seed).to_numpy()
    codes = np.searchsorted(LETTERS[:5], starts.astype(str))
    expected = peer.KModes(k, init=codes, n_init=1).fit(table.to_numpy(dtype=object))
    for init in (starts, codes):
        found = KModes(k, init=init).fit(table)
        np.testing.assert_array_equal(found.labels_, expected.labels_)
        np.testing.assert_array_equal(found.cluster_centroids_, expected.cluster_centroids_)
        assert (found.cost_, found.n_iter_) == (expected.cost_, expected.n_iter_)


@pytest.mark.parametrize("seed", range(12))
def test_with_caos_start_it_is_kmodes(seed):
    k = 2 + seed % 5
    table, _ = answers(seed, n=150 + 20 * seed, k=k, noise=(0.3, 0.6, 1.0)[seed % 3])
    expected = peer.KModes(k, init="Cao", n_init=1).fit(table.to_numpy(dtype=object))
    found = KModes(k, init="cao").fit(table)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    assert (found.cost_, found.n_iter_) == (expected.cost_, expected.n_iter_)


def test_with_weights_it_is_kmodes():
    table, _ = answers(1)
    weights = np.random.default_rng(1).integers(1, 5, len(table)).tolist()
    codes = np.searchsorted(LETTERS[:5], distinct_rows(table, 4, 0).to_numpy().astype(str))
    expected = peer.KModes(4, init=codes, n_init=1)
    expected.fit(table.to_numpy(dtype=object), sample_weight=weights)
    found = KModes(4, init=codes).fit(table, sample_weight=weights)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    assert found.cost_ == expected.cost_


@pytest.mark.parametrize("init", INITS)
def test_every_start_finds_the_least_cost_of_all(init):
    """Every choice of two modes on seven rows, by brute force."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(LETTERS[rng.integers(0, 3, (7, 3))])
    modes = np.array(list(product(LETTERS[:3], repeat=3)))
    apart = (table.to_numpy()[:, None, :] != modes[None]).sum(axis=2)
    least = np.minimum(apart[:, :, None], apart[:, None, :]).sum(axis=0).min()
    assert least > 0
    costs = [KModes(2, init=init, n_init=50, random_state=s).fit(table).cost_ for s in range(3)]
    assert costs == [least] * 3 or init == "cao"
    assert min(costs) >= least


@pytest.mark.parametrize("init", INITS)
def test_planted_groups_are_found(init):
    table, group = answers(3, n=600, noise=0.25)
    found = KModes(4, init=init, random_state=0).fit(table)
    assert adjusted_rand_score(group, found.labels_) > 0.9
    assert found.cost_ == (table.to_numpy() != found.cluster_centroids_[found.labels_]).sum()


@pytest.mark.realdata("mcdonalds")
def test_best_known_cost_of_mcdonalds_perceptions():
    items = cs.datasets.load_mcdonalds().iloc[:, :11]
    assert KModes(4, init="random", n_init=100, random_state=0).fit(items).cost_ <= 2038
    costs = [KModes(4, init="k-means++", random_state=seed).fit(items).cost_ for seed in range(5)]
    assert max(costs) <= 2038 * 1.02


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("kind", ["noise", "few distinct rows"])
def test_no_cluster_is_empty_up_to_the_number_of_distinct_rows(init, kind):
    table, _ = answers(0, n=40, m=3, noise=1.0)
    if kind == "few distinct rows":
        table = pd.concat([table.iloc[:9].drop_duplicates()] * 5, ignore_index=True)
    distinct = len(table.drop_duplicates())
    costs = []
    for k in range(1, distinct + 1):
        found = KModes(k, init=init, n_init=2, random_state=0).fit(table)
        assert np.bincount(found.labels_, minlength=k).min() > 0
        np.testing.assert_array_equal(found.predict(table), found.labels_)
        costs.append(found.cost_)
    assert costs[-1] == 0
    with pytest.raises(ParameterError, match=f"n_clusters is {distinct + 1}.*most {distinct}"):
        KModes(distinct + 1, init=init).fit(table)


def test_equal_starts_are_parted():
    """kmodes fills an empty cluster with values at random, or loses it."""
    table, _ = answers(2, n=100, m=3, noise=1.0)
    found = KModes(5, init=np.array([["a", "a", "a"]] * 5)).fit(table)
    assert np.unique(found.labels_).tolist() == [0, 1, 2, 3, 4]


def test_a_missing_value_neither_agrees_nor_differs():
    table = pd.DataFrame(
        {
            "x": ["a", "a", "a", "b", "b", "b", None],
            "y": ["a", "a", None, "b", "b", "b", "b"],
            "z": ["a", None, None, "a", "b", "b", "b"],
        }
    )
    found = KModes(2, init=[["a", "a", "a"], ["b", "b", "b"]]).fit(table)
    assert found.labels_.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert found.cost_ == 1
    np.testing.assert_array_equal(found.transform(table[2:3]), [[0, 1]])
    filled = table.where(
        table.notna(), pd.DataFrame(found.cluster_centroids_[found.labels_], columns=list("xyz"))
    )
    again = KModes(2, init=found.cluster_centroids_).fit(filled)
    assert again.cost_ == found.cost_
    np.testing.assert_array_equal(again.labels_, found.labels_)


def test_missing_values_have_no_vote_and_gaps_do_not_hide_groups():
    table, group = answers(5, n=800, noise=0.2)
    gaps = np.random.default_rng(0).random(table.shape) < 0.3
    gaps[gaps.all(axis=1), 0] = False
    holes = table.mask(gaps)
    found = KModes(4, random_state=0).fit(holes)
    assert adjusted_rand_score(group, found.labels_) > 0.9
    for c, mode in enumerate(found.cluster_centroids_):
        counts = holes[found.labels_ == c].apply(lambda column: column.value_counts())
        assert mode.tolist() == counts.idxmax().tolist()


def test_where_a_cluster_has_no_value_it_borrows_the_mode_of_all():
    table = pd.DataFrame(
        {"x": list("aaabbb"), "y": list("aaabbb"), "z": [None, None, None, "d", "d", "c"]}
    )
    found = KModes(2, init=[["a", "a", "c"], ["b", "b", "c"]]).fit(table)
    assert found.cluster_centroids_.tolist() == [["a", "a", "d"], ["b", "b", "d"]]


def test_rows_that_differ_only_in_gaps_cannot_be_parted():
    table = pd.DataFrame({"x": ["a", "a", "a"], "y": ["b", None, "b"]})
    with pytest.raises(DataError, match="n_clusters is 2, but the rows are only told apart into 1"):
        KModes(2).fit(table)


@pytest.mark.parametrize("init", ["cao", "given"])
def test_a_weight_of_two_is_the_row_twice(init):
    table, _ = answers(4)
    weights = np.random.default_rng(0).integers(0, 4, len(table))
    twice = table.loc[table.index.repeat(weights)].reset_index(drop=True)
    given = distinct_rows(twice, 4, 0).to_numpy() if init == "given" else init
    found = KModes(4, init=given).fit(table, sample_weight=weights)
    expected = KModes(4, init=given).fit(twice)
    assert (found.cost_, found.n_iter_) == (expected.cost_, expected.n_iter_)
    np.testing.assert_array_equal(found.cluster_centroids_, expected.cluster_centroids_)
    np.testing.assert_array_equal(np.repeat(found.labels_, weights), expected.labels_)
    np.testing.assert_array_equal(found.labels_, expected.predict(table))


@pytest.mark.parametrize("init", ["huang", "random", "k-means++"])
def test_starts_are_drawn_in_proportion_to_the_weights(init):
    """Rows ab of weights 8, 1, 1, 1: the first is as often the start as eight such rows."""
    rows = gather_rows(
        np.empty((0, 4)),
        np.array([[0, 0, 1, 1], [0, 1, 0, 1]], np.int32),
        np.array([8.0, 1, 1, 1]),
        [LETTERS[:2]] * 2,
        np.empty(0),
        1.0,
    )
    rng = np.random.default_rng(0)
    first = [modes[0].tolist() for _, modes in choose_starts(init, rows, 1, 2000, rng)]
    share = np.mean([mode == [0, 0] for mode in first])
    expected = (9 / 11) ** 2 if init == "huang" else 8 / 11
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 2000)


def test_the_same_seed_gives_the_same_answer():
    table, _ = answers(6, noise=1.0)
    for init in INITS:
        one, two = (KModes(5, init=init, n_init=3, random_state=7).fit(table) for _ in range(2))
        np.testing.assert_array_equal(one.labels_, two.labels_)
        assert one.cost_ == two.cost_
    costs = {KModes(5, n_init=1, random_state=seed).fit(table).cost_ for seed in range(8)}
    assert len(costs) > 1
    more = KModes(5, n_init=8, random_state=0).fit(table).cost_
    assert more <= KModes(5, n_init=1, random_state=0).fit(table).cost_


def test_a_row_equally_near_goes_to_the_first_cluster():
    table = pd.DataFrame({"x": list("aabb"), "y": list("aabb")})
    found = KModes(2, init=[["b", "b"], ["a", "a"]]).fit(table)
    assert found.cluster_centroids_.tolist() == [["b", "b"], ["a", "a"]]
    assert found.predict(pd.DataFrame({"x": ["a"], "y": ["b"]})).tolist() == [0]


def test_of_equally_frequent_values_the_first_is_the_mode():
    found = KModes(1).fit(pd.DataFrame({"x": list("cbbca"), "n": [10, 9, 10, 9, 1]}))
    assert found.cluster_centroids_.tolist() == [["b", 9]]


def test_an_unseen_value_differs_from_every_mode():
    table, _ = answers(0)
    found = KModes(3, random_state=0).fit(table)
    row = pd.DataFrame([found.cluster_centroids_[2]], columns=table.columns)
    np.testing.assert_array_equal(found.predict(row), [2])
    strange = row.assign(item_0="new")
    np.testing.assert_array_equal(found.transform(strange)[0, 2], 1)
    assert found.transform(strange.assign(item_0=None))[0, 2] == 0
    assert found.predict(row.map(lambda _: "new")).tolist() == [0]


def test_every_type_of_column_gives_the_same_clusters():
    table, _ = answers(7)
    codes = table.apply(lambda column: np.searchsorted(LETTERS, column.to_numpy(dtype=str)))
    given = {
        "text": table,
        "objects": table.astype(object),
        "array of objects": table.to_numpy(dtype=object),
        "array of text": table.to_numpy(dtype=str),
        "lists": table.to_numpy(dtype=object).tolist(),
        "categories": table.astype(pd.CategoricalDtype(list("fedcba"))),
        "codes": codes.to_numpy(),
        "codes as floats": codes.to_numpy(dtype=float),
        "nullable": codes.astype("Int64"),
    }
    expected = KModes(4, random_state=0).fit(table)
    for name, X in given.items():
        found = KModes(4, random_state=0).fit(X)
        np.testing.assert_array_equal(found.labels_, expected.labels_, err_msg=name)
        np.testing.assert_array_equal(found.predict(X), expected.labels_, err_msg=name)
        levels = codes if "codes" in name or name == "nullable" else table
        assert found.cluster_centroids_[0, 0] in levels.iloc[:, 0].tolist(), name
    booleans = pd.DataFrame(
        {"x": [True, False, None, True], "y": pd.array([True, False, False, None])}
    )
    found = KModes(2, random_state=0).fit(booleans)
    np.testing.assert_array_equal(found.predict(booleans), found.labels_)
    assert sorted(found.cluster_centroids_[:, 0]) == [False, True]


def test_values_of_several_types_have_an_order_too():
    table = pd.DataFrame({"x": ["a", 1, 2.5, "b", 1, None], "y": list("uuvvuv")})
    found = KModes(2, random_state=0).fit(table)
    assert [level.tolist() for level in found.categories_] == [[2.5, 1, "a", "b"], ["u", "v"]]
    np.testing.assert_array_equal(found.predict(table), found.labels_)


def test_caos_starts_are_dense_and_far():
    table, _ = answers(8, n=60, m=4)
    values = table.to_numpy()
    density = np.array([(values == row).mean() for row in values])
    chosen = [int(density.argmax())]
    while len(chosen) < 3:
        far = np.min([(values != values[i]).sum(axis=1) for i in chosen], axis=0)
        chosen.append(int((far * density).argmax()))
    codes = np.searchsorted(LETTERS, values.astype(str)).T.astype(np.int32)
    rows = gather_rows(np.empty((0, 60)), codes, np.ones(60), [LETTERS[:5]] * 4, np.empty(0), 1.0)
    (start,) = choose_starts("cao", rows, 3, 10, np.random.default_rng(0))
    np.testing.assert_array_equal(start[1], codes[:, chosen].T)


def test_starts_of_one_kind_or_the_other():
    table = pd.DataFrame({"x": list("aabbc"), "n": [3, 3, 7, 7, 9]})
    by_value = KModes(2, init=pd.DataFrame({"x": ["a", "b"], "n": [3, 7]})).fit(table)
    by_place = KModes(2, init=np.array([[0, 0], [1, 1]])).fit(table)
    assert by_value.labels_.tolist() == by_place.labels_.tolist() == [0, 0, 1, 1, 0]
    given = np.array([["a", 3], ["b", 7]], dtype=object)
    before = given.copy()
    KModes(2, init=given).fit(table)
    np.testing.assert_array_equal(given, before)


def test_it_is_a_scikit_learn_estimator():
    table, _ = answers(0)
    found = KModes(3, random_state=0).fit(table)
    assert clone(found).get_params() == found.get_params()
    assert found.feature_names_in_.tolist() == list(table)
    np.testing.assert_array_equal(found.fit_predict(table), found.labels_)
    apart = found.set_output(transform="pandas").transform(table)
    assert list(apart) == ["kmodes0", "kmodes1", "kmodes2"]
    assert apart.min(axis=1).sum() == found.cost_
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(table.rename(columns={"item_0": "other"}))


TABLE = pd.DataFrame({"x": list("aabb"), "y": ["a", "b", None, "a"]})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_clusters": 0}, ["n_clusters is 0", ">= 1"]),
        ({"n_clusters": 2.5}, ["n_clusters is 2.5", "whole number"]),
        ({"n_init": 0}, ["n_init is 0"]),
        ({"max_iter": 0}, ["max_iter is 0"]),
        ({"init": "hung"}, ["init is 'hung'", "Did you mean 'huang'?"]),
        ({"random_state": -1}, ["random_state is -1"]),
        ({"n_clusters": 5}, ["n_clusters is 5", "at most 4"]),
        ({"init": [["a", "a"]]}, ["init has the shape (1, 2)", "2 clusters by 2 columns"]),
        ({"init": [["a", "a"], ["b", "q"]]}, ["init has 'q' in column 'y'", "'a', 'b'"]),
        ({"init": [[0, 0], [1, 2]]}, ["init has 0 in column 'x'"]),
    ],
)
def test_a_bad_parameter_is_named(options, words):
    with pytest.raises(ParameterError) as error:
        KModes(**({"n_clusters": 2} | options)).fit(TABLE)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("X", "weights", "words"),
    [
        (TABLE[:0], None, ["empty: 0 sample(s), 2 feature(s)"]),
        (TABLE[[]], None, ["empty: 4 sample(s), 0 feature(s)"]),
        (TABLE.assign(z=None), None, ["column 'z' has no value at all"]),
        (
            TABLE.assign(x=["a", "a", None, "b"]),
            None,
            ["1 of 4 rows have no value", "position 2"],
        ),
        (TABLE, [1, 1], ["sample_weight has 2 values for 4 rows"]),
        (TABLE, [1, 1, -1, 1], ["0 or more"]),
        (TABLE, [0, 0, 0, 0], ["not all of them zero"]),
    ],
)
def test_bad_data_are_named(X, weights, words):
    with pytest.raises(DataError) as error:
        KModes(2).fit(X, sample_weight=weights)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_rows_without_a_value_are_refused_in_prediction():
    found = KModes(2, random_state=0).fit(TABLE)
    with pytest.raises(DataError, match="1 of 2 rows have no value in any column"):
        found.predict(pd.DataFrame({"x": ["a", None], "y": ["a", None]}))
