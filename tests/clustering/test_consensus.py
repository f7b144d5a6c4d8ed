"""Several clusterings as one: which clusters mean the same, the vote, and who may not vote."""

import tracemalloc
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.base import clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, BisectingKMeans, KMeans
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

from custseg.clustering._votes import Ballots, match, same_customers, winners, without_empty
from custseg.clustering.consensus import Consensus
from custseg.errors import ColumnError, DataError, ParameterError

REFUSED = {
    "check_dtype_object": "a dictionary in a cell is refused in Python's words",
    "check_sample_weight_equivalence_on_dense_data": (
        "runs draw rows, and k-means draws its starts among them: repeated rows are more of them"
    ),
}


@parametrize_with_checks(
    [
        Consensus(3, n_runs=5),
        Consensus(3, n_runs=8, method="coassociation"),
        Consensus(3, members=[KMeans(3), BisectingKMeans(3)]),
    ],
    expected_failed_checks=lambda _: REFUSED,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", ["vote", "coassociation"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_segments_are_found_though_single_starts_miss_them(method, seed):
    sizes = [600, 300, 150, 80, 70]
    centers = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [0, 0, 8], [8, 8, 8]])
    X, truth = make_blobs(sizes, 3, centers=centers, cluster_std=1.0, random_state=seed)
    members = KMeans(5, init="random", n_init=1) if method == "vote" else None
    consensus = Consensus(5, members=members, method=method, random_state=0).fit(X)
    assert adjusted_rand_score(truth, consensus.labels_) > 0.97
    alone = [adjusted_rand_score(truth, run.estimator.predict(X)) for run in consensus.runs_]
    assert np.mean(alone) < 0.95
    np.testing.assert_array_equal(consensus.predict(X), consensus.labels_)
    assert consensus.agreement_.mean() > 0.8
    shares = consensus.vote(X)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_array_equal(shares.max(axis=1), consensus.agreement_)
    expected = [
        adjusted_rand_score(run.estimator.predict(X), consensus.labels_) for run in consensus.runs_
    ]
    np.testing.assert_allclose(consensus.member_ari_, expected)


def test_agreement_is_low_between_segments():
    X, _ = make_blobs([400, 400], 2, centers=[[0, 0], [5, 0]], random_state=0)
    consensus = Consensus(2, random_state=0).fit(X)
    between = np.abs(X[:, 0] - 2.5) < 0.15
    assert consensus.agreement_[between].mean() < 0.95
    assert consensus.agreement_[~between].mean() > 0.99


def test_clusters_of_any_shape_are_gathered_from_many_small_ones():
    X, truth = make_moons(800, noise=0.07, random_state=0)
    gathered = Consensus(2, method="coassociation", random_state=0).fit(X)
    assert adjusted_rand_score(truth, gathered.labels_) > 0.97
    assert all(4 <= len(run.clusters) <= 28 for run in gathered.runs_)
    assert adjusted_rand_score(truth, Consensus(2, random_state=0).fit(X).labels_) < 0.5


def random_codes(seed: int, n: int = 40, runs: int = 5, k: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    codes = [
        np.where(rng.random(n) < 0.3, rng.integers(0, k, n), rng.permutation(k)[truth])
        for _ in range(runs)
    ]
    return np.array([np.unique(run, return_inverse=True)[1] for run in codes]).T


def ballots_of(codes: np.ndarray) -> Ballots:
    return Ballots.of(codes, (codes.max(axis=0) + 1).tolist())


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_co_association_is_that_of_all_pairs_of_customers(seed, k):
    codes = random_codes(seed, k=k)
    weights = np.random.default_rng(seed).integers(1, 4, len(codes)).astype(float)
    pairs = (codes[:, None, :] == codes[None]).mean(axis=2)
    clusters = [codes[:, run] == c for run in range(5) for c in range(codes[:, run].max() + 1)]
    mean = np.array(
        [
            [
                np.average(pairs[np.ix_(a, b)], weights=np.outer(weights[a], weights[b]))
                for b in clusters
            ]
            for a in clusters
        ]
    )
    apart = 1 - mean / np.sqrt(np.outer(np.diag(mean), np.diag(mean)))
    np.fill_diagonal(apart, 0)
    merged = linkage(squareform(np.maximum(apart, 0), checks=False), "average")
    expected = fcluster(merged, k, "maxclust")
    assert adjusted_rand_score(expected, same_customers(ballots_of(codes), weights, k)) == 1


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_no_other_matching_of_a_run_agrees_with_more_votes(seed, k):
    codes = random_codes(seed, k=k)
    ballots, weights = ballots_of(codes), np.ones(len(codes))
    segments, _ = match(ballots, weights, same_customers(ballots, weights, k), k)
    shares = ballots.vote(segments, k)
    for place, run in enumerate(codes.T):
        own = segments[ballots.first[place] : ballots.first[place + 1]]
        agreed = shares[np.arange(len(run)), own[run]].sum()
        for other in permutations(range(k), len(own)):
            assert shares[np.arange(len(run)), np.array(other)[run]].sum() <= agreed + 1e-9


def test_ties_go_to_the_first_segment_and_silence_to_none():
    codes = np.array([[0, 1], [1, 0], [0, -1], [-1, -1]])
    ballots = Ballots.of(codes, [2, 2])
    shares = ballots.vote(np.array([0, 1, 0, 1]), 2)
    assert shares.tolist() == [[0.5, 0.5], [0.5, 0.5], [1, 0], [0, 0]]
    assert winners(shares).tolist() == [0, 0, 0, -1]


def test_a_segment_that_wins_nobody_is_given_up():
    codes = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0], [1, 1, 2], [1, 1, 2]])
    ballots = Ballots.of(codes, [2, 2, 3])
    segments, n = without_empty(ballots, np.ones(5), np.array([0, 2, 0, 2, 0, 1, 2]), 3)
    assert n == 2
    assert segments.tolist() == [0, 1, 0, 1, 0, 0, 1]


def test_members_of_every_sort():
    X, truth = make_blobs(500, 3, centers=4, random_state=1)
    X = np.vstack([X, X.max(axis=0) + 4])
    members = [
        "kmeans",
        "gaussian_mixture",
        AgglomerativeClustering(6),
        GaussianMixture(4, random_state=5),
        DBSCAN(eps=2.0),
    ]
    consensus = Consensus(4, members=members, random_state=0).fit(X)
    assert len(consensus.runs_) == 5
    assert [len(run.clusters) for run in consensus.runs_[2:4]] == [6, 4]
    assert adjusted_rand_score(truth, consensus.labels_[:-1]) > 0.97
    again = consensus.predict(X)  # three of five have a rule
    assert adjusted_rand_score(again[:-1], consensus.labels_[:-1]) > 0.97
    noise = Consensus(2, members=[DBSCAN(eps=2.0), DBSCAN(eps=2.1)]).fit(X)
    assert noise.labels_[-1] == -1
    assert noise.agreement_[-1] == 0
    with pytest.raises(ParameterError, match="no member of the consensus has a rule"):
        noise.predict(X)
    with pytest.raises(DataError, match="every run calls every customer noise"):
        Consensus(2, members=DBSCAN(eps=1e-9), resample=False).fit(X)


def test_what_each_run_sees():
    X, _ = make_blobs(300, 8, centers=3, random_state=2)
    once = Consensus(3, members=[KMeans(3), KMeans(3), KMeans(3)], random_state=0).fit(X)
    assert len(once.runs_) == 3
    assert all(len(run.estimator.labels_) == 300 for run in once.runs_)
    seen = Consensus(3, n_runs=12, max_features=0.5, random_state=0).fit(X)
    assert all(150 < len(run.estimator.labels_) < 230 for run in seen.runs_)  # drawn at least once
    assert all(len(run.columns) == 4 for run in seen.runs_)
    assert len({tuple(run.columns) for run in seen.runs_}) > 6
    np.testing.assert_array_equal(seen.predict(X), seen.labels_)
    assert len(Consensus(3, members=KMeans(3)).fit(X).runs_) == 30


def test_weights_are_customers():
    X, _ = make_blobs(300, 2, centers=3, cluster_std=2.0, random_state=3)
    weights = np.random.default_rng(3).integers(0, 4, 300)
    members = [KMeans(3, init=X[[a, a + 9, a + 20]], n_init=1) for a in range(0, 50, 10)]
    weighted = Consensus(3, members=members).fit(X, sample_weight=weights)
    repeated = Consensus(3, members=members).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))
    with pytest.raises(ParameterError, match="GaussianMixture takes no sample_weight"):
        Consensus(3, members=GaussianMixture(3)).fit(X, sample_weight=weights)


def test_it_follows_scikit_learn_and_is_deterministic():
    X, _ = make_blobs(400, 3, centers=4, cluster_std=3.0, random_state=4)
    consensus = Consensus(4, n_runs=9, members=[KMeans(4, n_init=1)], random_state=7)
    copy = clone(consensus)
    assert repr(copy).startswith("Consensus(")
    np.testing.assert_array_equal(copy.fit_predict(X), consensus.fit(X).labels_)
    np.testing.assert_array_equal(copy.agreement_, consensus.agreement_)
    assert consensus.summary().startswith("9 runs of KMeans vote on 4 segments; a segment has ")
    assert consensus._repr_mimebundle_() == {"text/plain": repr(consensus)}
    frame = pd.DataFrame(X, columns=list("abc"))
    named = clone(consensus).fit(frame)
    np.testing.assert_array_equal(named.labels_, consensus.labels_)
    np.testing.assert_array_equal(named.predict(frame[["c", "a", "b"]]), consensus.labels_)


def test_nothing_grows_with_the_square_of_the_customers():
    X, _ = make_blobs(30_000, 3, centers=4, cluster_std=3.0, random_state=5)
    tracemalloc.start()
    Consensus(4, n_runs=8, random_state=0).fit(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6  # a float for each pair would take 7,200e6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_clusters": 0}, "n_clusters is 0"),
        ({"n_clusters": 31}, "n_clusters is 31, but must be at most 30"),
        ({"method": "votes"}, "Did you mean 'vote'"),
        ({"members": []}, "members is empty"),
        ({"members": "kmean"}, "Did you mean 'kmeans'"),
        ({"members": [KMeans]}, "an instance of a scikit-learn clusterer"),
        ({"n_runs": 0}, "n_runs is 0"),
        ({"max_features": 0}, "max_features is 0"),
    ],
)
def test_bad_parameters_are_refused(options, words):
    X = np.repeat(np.arange(30.0)[:, None], 2, axis=0)
    with pytest.raises(ParameterError, match=words):
        Consensus(**({"n_clusters": 3} | options)).fit(X)


def test_bad_tables_are_refused():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["a", "b"])
    fitted = Consensus(3, n_runs=3, random_state=0).fit(frame)
    with pytest.raises(ColumnError, match="no column 'b'"):
        fitted.predict(frame[["a"]])
    with pytest.raises(DataError, match="'a' has 40 missing"):
        fitted.predict(frame.assign(a=np.nan))
    with pytest.raises(DataError, match="'a' has 40 infinite"):
        Consensus(3).fit(frame.assign(a=np.inf))
    with pytest.raises(DataError, match="3 features, but Consensus is expecting 2"):
        fitted.predict(np.zeros((2, 3)))
