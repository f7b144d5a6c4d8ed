"""The loops of k-medoids against plain NumPy."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from custseg._kernels.medoids import SLAB, begin, count_faults, find_twins, improve, trials


def plain_begin(square: np.ndarray, weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Greedy k-means++ with dissimilarities."""
    medoids: list[int] = []
    closest, mass = np.full(len(square), np.inf), weights
    for m, numbers in enumerate(uniforms):
        sums = np.cumsum(mass)
        drawn = [int((sums > u * sums[-1]).argmax()) for u in (numbers if m else numbers[:1])]
        losses = [weights @ np.minimum(closest, square[:, row]) for row in drawn]
        medoids.append(drawn[int(np.argmin(losses))])
        closest = np.minimum(closest, square[:, medoids[-1]])
        mass = weights * closest
    return np.array(medoids)


def plain_improve(square, weights, eligible, medoids, max_iter):
    """Swap for the best candidate of a slab until none is better, from the losses themselves."""
    n_candidates = square.shape[1]
    medoids = medoids.copy()
    loss = weights @ square[:, medoids].min(axis=1)
    low = idle = evaluated = 0
    while idle < n_candidates and evaluated < max_iter * n_candidates:
        size = min(SLAB, n_candidates - low)
        slab = np.arange(low - (SLAB - size), low + size)
        after = np.array(
            [
                weights
                @ np.minimum(
                    square[:, slab],
                    square[:, np.delete(medoids, m)].min(axis=1, initial=np.inf)[:, None],
                )
                for m in range(len(medoids))
            ]
        )
        after[:, eligible[slab] == 0] = np.inf
        evaluated += size
        idle += size
        m, c = np.unravel_index(after.argmin(), after.shape)
        if after[m, c] < loss * (1 - 1e-10):
            medoids[m], loss, idle = slab[c], after[m, c], 0
        low = (low + size) % n_candidates
    return medoids, loss, evaluated / n_candidates, idle >= n_candidates


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "k"), [(64, 1), (150, 2), (200, 7), (301, 20)])
def test_swaps_are_those_of_plain_numpy(dtype, n, k):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        square = cdist(rng.normal(size=(n, 3)), rng.normal(size=(n, 3))).astype(dtype)
        np.fill_diagonal(square, 0)
        weights = rng.integers(0, 4, n) * rng.random(n)
        uniforms = rng.random((k, trials(k)))
        start = begin(square, weights, uniforms)
        exact = square.astype(float)
        np.testing.assert_array_equal(start, plain_begin(exact, weights, uniforms))
        for max_iter in (1, 100):
            found = start.copy()
            answer = improve(square, weights, weights, found, max_iter)
            expected, *rest = plain_improve(exact, weights, weights, start, max_iter)
            np.testing.assert_array_equal(found, expected)
            assert answer == pytest.approx(tuple(rest), rel=1e-12)


def test_few_candidates_of_many_rows():
    rng = np.random.default_rng(0)
    square = np.full((500, SLAB), np.inf)
    square[:, :9] = cdist(rng.normal(size=(500, 2)), rng.normal(size=(9, 2)))
    weights, eligible = np.ones(500), np.ones(SLAB)
    eligible[3] = 0
    found = np.array([0, 1, 2])
    loss, _, converged = improve(square, weights, eligible, found, 100)
    expected, *rest = plain_improve(square, weights, eligible, np.array([0, 1, 2]), 100)
    np.testing.assert_array_equal(found, expected)
    assert loss == pytest.approx(rest[0], rel=1e-12)
    assert converged
    assert found.max() < 9
    assert 3 not in found


def test_faults_are_counted():
    rng = np.random.default_rng(1)
    square = rng.normal(size=(60, 40))
    square[rng.random((60, 40)) < 0.02] = np.nan
    square[5, 7], square[9, 2] = np.inf, -np.inf
    counts = np.sum([count_faults(square, low, low + 20) for low in (0, 20, 40)], axis=0)
    assert counts.tolist() == [(~np.isfinite(square)).sum(), (square < 0).sum()]


@pytest.mark.parametrize("diagonal", [0, 1])
def test_twins_are_found(diagonal):
    square = np.random.default_rng(1).integers(0, 9, (60, 60)) * 1.0
    np.fill_diagonal(square, diagonal)
    twins = np.full(60, -9)
    for low in (0, 20, 40):
        find_twins(square, low, low + 20, twins)
    for i in range(60):
        before = np.flatnonzero(square[i, :i] == 0)
        assert twins[i] == (before[0] if len(before) else i)
