"""k-prototypes: equal to the kmodes package, gamma, gaps, weights, empty clusters, bad input."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from custseg.clustering import KModes, KPrototypes
from custseg.errors import ColumnError, DataError, ParameterError

peer = pytest.importorskip("kmodes.kprototypes", reason="needs kmodes: pip install '.[notebooks]'")

LETTERS = np.array(list("abcde"))
INITS = ["huang", "cao", "random", "k-means++"]
REASONS = {
    "check_sample_weight_equivalence_on_dense_data": "starts are drawn row by row, and prototypes "
    "move with each row, so that the order of rows counts, and the check shuffles them; in the "
    "same order, a weight of two is two rows",
}


def mixed(seed: int, n: int = 300, k: int = 4, d: int = 3, m: int = 4, *, noise: float = 0.4):
    """Numbers and letters of k groups, and the groups."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, k, n)
    numbers = rng.normal(size=(k, d))[group] * 2 + rng.normal(size=(n, d))
    usual = rng.integers(0, 5, (k, m))[group]
    codes = np.where(rng.random((n, m)) < noise, rng.integers(0, 5, (n, m)), usual)
    parts = [pd.DataFrame(numbers), pd.DataFrame(LETTERS[codes])]
    table = pd.concat([parts[0].add_prefix("number_"), parts[1].add_prefix("letter_")], axis=1)
    return table, group


def theirs(table: pd.DataFrame, rows: pd.DataFrame, d: int, gamma: float | None = None):
    """Fit the peer from these rows of the table."""
    codes = np.searchsorted(LETTERS, rows.iloc[:, d:].to_numpy().astype(str))
    start = [rows.iloc[:, :d].to_numpy().copy(), codes]
    model = peer.KPrototypes(len(rows), init=start, n_init=1, gamma=gamma)
    return model.fit(table, categorical=list(range(d, table.shape[1])))


@parametrize_with_checks(
    [KPrototypes(2, random_state=0), KPrototypes(2, categorical=[0], random_state=0)],
    expected_failed_checks=lambda _: REASONS,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("seed", range(16))
def test_from_the_same_start_it_is_kmodes_to_the_last_digit(seed):
    d, k = (1, 5, 9, 20)[seed % 4], 2 + seed % 5
    table, _ = mixed(seed, n=120 + 15 * seed, k=k, d=d, noise=(0.3, 0.6, 1.0)[seed % 3])
    if seed % 5 == 0:
        table.iloc[:, :d] = table.iloc[:, :d].round()
    gamma = None if seed % 2 else 0.8
    rows = table.drop_duplicates().sample(k, random_state=seed)
    expected = theirs(table, rows, d, gamma)
    codes = rows.iloc[:, d:].apply(lambda x: np.searchsorted(LETTERS, x.to_numpy(dtype=str)))
    for init in (rows, (rows.iloc[:, :d], rows.iloc[:, d:]), [rows.iloc[:, :d].to_numpy(), codes]):
        found = KPrototypes(k, gamma=gamma, init=init).fit(table)
        np.testing.assert_array_equal(found.labels_, expected.labels_)
        assert found.cost_ == expected.cost_
        assert (found.gamma_, found.n_iter_) == (expected.gamma, expected.n_iter_)
        centroids = expected.cluster_centroids_
        np.testing.assert_array_equal(found.means_, centroids[:, :d].astype(float))
        np.testing.assert_array_equal(found.cluster_centroids_[:, d:], centroids[:, d:])


@pytest.mark.parametrize("init", INITS)
def test_planted_groups_are_found(init):
    table, group = mixed(1, n=800, d=4, m=6, noise=0.2)
    found = KPrototypes(4, init=init, random_state=0).fit(table)
    assert adjusted_rand_score(group, found.labels_) > 0.9


def test_groups_that_neither_kind_shows_alone():
    """Two groups by numbers, two by letters: four together."""
    rng = np.random.default_rng(0)
    high, web = rng.integers(0, 2, (2, 600))
    table = pd.DataFrame(rng.normal(0, 0.4, (600, 2)) + 2 * high[:, None]).add_prefix("n")
    for name in ("first", "last", "usual"):
        table[name] = np.where(rng.random(600) < 0.95, web, 1 - web) == 1
    found = KPrototypes(4, random_state=0).fit(table)
    assert found.categorical_ == [2, 3, 4]
    assert adjusted_rand_score(2 * high + web, found.labels_) > 0.9


def test_the_cost_is_what_it_is_said_to_be():
    table, _ = mixed(2)
    found = KPrototypes(4, random_state=0).fit(table)
    own = found.cluster_centroids_[found.labels_]
    squares = ((table.iloc[:, :3].to_numpy() - own[:, :3].astype(float)) ** 2).sum()
    different = (table.iloc[:, 3:].to_numpy() != own[:, 3:]).sum()
    assert found.cost_ == pytest.approx(squares + found.gamma_ * different, rel=1e-12)
    assert found.gamma_ == 0.5 * table.iloc[:, :3].std(ddof=0).mean()
    apart = found.transform(table)
    assert apart.min(axis=1).sum() == pytest.approx(found.cost_, rel=1e-12)
    np.testing.assert_array_equal(apart.argmin(axis=1), found.predict(table))
    np.testing.assert_array_equal(found.predict(table), found.labels_)


def test_prototypes_are_means_and_modes_of_their_rows():
    table, _ = mixed(3, noise=0.2)
    found = KPrototypes(4, random_state=0).fit(table)
    groups = table.groupby(found.labels_)
    np.testing.assert_allclose(found.means_, groups[list(table)[:3]].mean(), rtol=1e-9)
    for name, column in zip(table.columns[3:], found.cluster_centroids_[:, 3:].T, strict=True):
        assert column.tolist() == groups[name].agg(lambda x: x.mode()[0]).tolist()


def test_without_categories_it_is_k_means_and_without_numbers_k_modes():
    table, _ = mixed(4, n=500)
    numbers, letters = table.iloc[:, :3], table.iloc[:, 3:]
    found = KPrototypes(4, n_init=20, random_state=0).fit(numbers)
    expected = KMeans(4, n_init=20, random_state=0).fit(numbers.to_numpy())
    assert found.cost_ == pytest.approx(expected.inertia_, rel=1e-3)
    assert found.categorical_ == []
    ignored = KPrototypes(4, gamma=0, n_init=20, random_state=0).fit(table)
    assert ignored.cost_ == pytest.approx(found.cost_, rel=1e-3)
    assert adjusted_rand_score(ignored.labels_, found.labels_) > 0.97
    rows = letters.drop_duplicates().sample(4, random_state=0)
    found = KPrototypes(4, init=rows).fit(letters)
    expected = KModes(4, init=rows).fit(letters)
    assert found.gamma_ == 1
    assert found.cost_ == expected.cost_
    np.testing.assert_array_equal(found.labels_, expected.labels_)


def test_gamma_where_no_number_varies():
    """Half of no spread would make every category count nothing."""
    table = pd.DataFrame({"n": 3.0, "x": list("aabb"), "y": list("aabb")})
    found = KPrototypes(2, random_state=0).fit(table)
    assert found.gamma_ == 1
    assert adjusted_rand_score([0, 0, 1, 1], found.labels_) == 1


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("kind", ["noise", "few distinct rows"])
def test_no_cluster_is_empty_up_to_the_number_of_distinct_rows(init, kind):
    table, _ = mixed(0, n=30, d=2, m=2, noise=1.0)
    if kind == "few distinct rows":
        table = pd.concat([table.iloc[:8]] * 4, ignore_index=True)
    distinct = len(table.drop_duplicates())
    for k in range(1, distinct + 1):
        found = KPrototypes(k, init=init, n_init=2, random_state=0).fit(table)
        assert np.bincount(found.labels_, minlength=k).min() > 0
        np.testing.assert_array_equal(found.predict(table), found.labels_)
    assert found.cost_ == pytest.approx(0, abs=1e-20)
    with pytest.raises(ParameterError, match=f"n_clusters is {distinct + 1}.*most {distinct}"):
        KPrototypes(distinct + 1, init=init).fit(table)


def test_far_starts_do_not_lose_a_cluster():
    """kmodes gives up after a hundred draws where a start has no row."""
    table, _ = mixed(5, n=100)
    start = np.full((4, 3), 1e3), np.full((4, 4), "a")
    found = KPrototypes(4, init=start).fit(table)
    assert np.bincount(found.labels_, minlength=4).min() > 0


def test_missing_values_count_nothing():
    table = pd.DataFrame(
        {
            "n": [0.0, 1.0, None, 10.0, 11.0, 12.0],
            "p": [0.0, None, 3.0, 10.0, 10.0, 10.0],
            "x": ["a", "a", None, "b", "b", None],
        }
    )
    found = KPrototypes(2, gamma=2, init=table.iloc[[0, 3]]).fit(table)
    assert found.labels_.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(found.means_, [[0.5, 1.5], [11, 10]])
    assert found.cluster_centroids_[:, 2].tolist() == ["a", "b"]
    assert found.cost_ == 2 * 0.25 + 2 * 2.25 + 2
    row = pd.DataFrame({"n": [None], "p": [4.5], "x": [None]})
    np.testing.assert_array_equal(found.transform(row), [[9, 5.5**2]])


def test_gaps_do_not_hide_groups():
    table, group = mixed(6, n=1000, d=5, m=6, noise=0.2)
    gaps = np.random.default_rng(0).random(table.shape) < 0.25
    found = KPrototypes(4, random_state=0).fit(table.mask(gaps))
    assert adjusted_rand_score(group, found.labels_) > 0.9
    deviations = table.mask(gaps).iloc[:, :5].std(ddof=0)
    assert found.gamma_ == pytest.approx(0.5 * deviations.mean())


def test_where_a_cluster_has_no_number_it_borrows_the_mean_of_all():
    table = pd.DataFrame(
        {"n": [None, None, 4.0, 6.0], "x": list("aabb"), "y": list("aabb"), "z": list("aabb")}
    )
    found = KPrototypes(2, gamma=5, init=[[5, "a", "a", "a"], [5, "b", "b", "b"]]).fit(table)
    np.testing.assert_array_equal(found.means_, [[5], [5]])
    assert found.labels_.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("init", ["cao", "given"])
@pytest.mark.parametrize("gaps", [False, True])
def test_a_weight_of_two_is_the_row_twice(init, gaps):
    table, _ = mixed(7)
    if gaps:
        table = table.mask(np.random.default_rng(1).random(table.shape) < 0.1)
    weights = np.random.default_rng(0).integers(0, 4, len(table))
    twice = table.loc[table.index.repeat(weights)].reset_index(drop=True)
    given = twice.dropna().sample(4, random_state=0) if init == "given" else init
    found = KPrototypes(4, init=given).fit(table, sample_weight=weights)
    expected = KPrototypes(4, init=given).fit(twice)
    assert found.gamma_ == pytest.approx(expected.gamma_, rel=1e-12)
    assert found.cost_ == pytest.approx(expected.cost_, rel=1e-9)
    np.testing.assert_array_equal(np.repeat(found.labels_, weights), expected.labels_)
    np.testing.assert_allclose(found.means_, expected.means_, rtol=1e-9)
    np.testing.assert_array_equal(found.modes_, expected.modes_)


def test_columns_are_named_or_counted():
    table, _ = mixed(8)
    codes = table.assign(
        **{
            name: np.searchsorted(LETTERS, table[name].to_numpy(dtype=str))
            for name in table
            if "letter" in name
        }
    ).astype(float)
    names, places = list(table)[3:], [3, 4, 5, 6]
    expected = KPrototypes(4, random_state=0).fit(table)
    given = [
        (table, names),
        (table, places),
        (table, np.array(places)),
        (table.to_numpy(dtype=object), places),
        (table.to_numpy(dtype=object), None),
        (codes, names),
        (codes.to_numpy(), places[::-1]),
        (table.to_numpy(dtype=object).tolist(), places),
        (table.astype(dict.fromkeys(names, "category")), None),
    ]
    for X, categorical in given:
        found = KPrototypes(4, categorical=categorical, random_state=0).fit(X)
        assert found.categorical_ == places
        np.testing.assert_array_equal(found.labels_, expected.labels_)
        assert found.cost_ == expected.cost_
        np.testing.assert_array_equal(found.predict(X), expected.labels_)
    one = KPrototypes(2, categorical="letter_0", random_state=0).fit(table.iloc[:, :4])
    assert one.categorical_ == [3]
    mixed_up = table[names[:2] + list(table)[:3] + names[2:]]
    found = KPrototypes(4, init=expected.cluster_centroids_[:, [3, 4, 0, 1, 2, 5, 6]]).fit(mixed_up)
    assert found.cluster_centroids_[0, 0] in LETTERS
    assert found.cost_ == pytest.approx(expected.cost_, rel=1e-12)


def test_the_same_seed_gives_the_same_answer_and_leaves_its_input_alone():
    table, _ = mixed(9, noise=1.0)
    before = table.copy()
    for init in INITS:
        one, two = (KPrototypes(5, init=init, n_init=3, random_state=7).fit(table) for _ in "ab")
        np.testing.assert_array_equal(one.labels_, two.labels_)
        assert one.cost_ == two.cost_
    pd.testing.assert_frame_equal(table, before)
    start = [np.zeros((2, 3)), np.array([list("aaaa"), list("bbbb")])]
    KPrototypes(2, init=start).fit(table)
    np.testing.assert_array_equal(start[0], 0)
    assert clone(KPrototypes(3, gamma=2, categorical=["x"])).get_params()["gamma"] == 2


def test_numbers_may_be_objects_or_nullable():
    table, _ = mixed(0)
    expected = KPrototypes(3, random_state=0).fit(table)
    nullable = table.astype({"number_0": "Float64", "letter_0": "category"})
    np.testing.assert_array_equal(
        KPrototypes(3, random_state=0).fit(nullable).labels_, expected.labels_
    )
    holes = table.astype(object)
    holes.loc[3, "number_0"] = None
    assert KPrototypes(3, random_state=0).fit(holes).categorical_ == [3, 4, 5, 6]


TABLE = pd.DataFrame(
    {
        "n": [1.0, 2, 3, 4],
        "p": [1, 2, 3, 9],
        "x": list("aabb"),
        "day": pd.to_datetime(["2026-01-01"] * 4),
    }
)


@pytest.mark.parametrize(
    ("options", "columns", "words"),
    [
        ({"gamma": -1}, "npx", ["gamma is -1", ">= 0"]),
        ({"gamma": "auto"}, "npx", ["gamma is 'auto'"]),
        ({"init": "Caos"}, "npx", ["init is 'caos'", "Did you mean 'cao'?"]),
        ({"categorical": [3]}, "npx", ["position 3", "positions 0 to 2"]),
        ({"categorical": [-1]}, "npx", ["position -1"]),
        ({"categorical": 2.5}, "npx", ["categorical is 2.5", "names or positions"]),
        ({"categorical": ["x", 2]}, "npx", ["names the column 'x' twice"]),
        ({"n_clusters": 5}, "npx", ["n_clusters is 5", "at most 4"]),
        (
            {"init": (np.ones((2, 1)), [["a"], ["b"]])},
            "npx",
            ["shape (2, 1)", "by 2 columns ('n', 'p')"],
        ),
        ({"init": (np.ones((2, 2)), [["a"], ["q"]])}, "npx", ["init has 'q' in column 'x'"]),
    ],
)
def test_a_bad_parameter_is_named(options, columns, words):
    with pytest.raises(ParameterError) as error:
        KPrototypes(**({"n_clusters": 2} | options)).fit(TABLE[list(columns)])
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("X", "options", "words"),
    [
        (TABLE[["n", "x"]], {"categorical": []}, ["column 'x' holds", "'a'", "categorical="]),
        (TABLE, {}, ["column 'day' holds", "categorical="]),
        (TABLE[["n", "x", "x"]], {}, ["column 'x' appears twice"]),
        (TABLE[["n", "x"]].assign(n=np.inf), {}, ["'n'", "infinite"]),
        (TABLE[["n", "x"]].assign(n=[1e200, 0, 0, 0]), {}, ["'n'", "too large"]),
        (TABLE[["n", "x"]].assign(n=np.nan), {}, ["column 'n' has no value at all"]),
        (TABLE[["n", "x"]].assign(n=0.0), {"gamma": 0}, ["only told apart into 1", "gamma is 0"]),
        (TABLE[["n", "x"]], {"init": [["q", "a"], [1, "b"]]}, ["'n'", "'q'"]),
    ],
)
def test_bad_data_are_named(X, options, words):
    with pytest.raises(DataError) as error:
        KPrototypes(**({"n_clusters": 2} | options)).fit(X)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_an_unknown_column_is_named():
    with pytest.raises(ColumnError, match=r"no column 'xx'.*Did you mean"):
        KPrototypes(2, categorical=["xx"]).fit(TABLE[["n", "x"]].rename(columns={"x": "xy"}))
