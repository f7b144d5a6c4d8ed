"""The compiled iteration of k-modes and k-prototypes against the same in plain Python."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from custseg._kernels.modes import dissimilarities
from custseg.clustering._prototypes import find_prototypes, gather_rows, moments
from custseg.errors import DataError


def table(seed: int) -> dict:
    """Rows of few or many columns of either kind, some with gaps, weights and ties."""
    rng = np.random.default_rng(seed)
    n, d, m = rng.integers(5, 200), rng.choice([0, 1, 2, 9, 17]), rng.integers(1, 6)
    k, levels = rng.integers(1, 6), rng.integers(2, 5)
    group = rng.integers(0, k, n)
    numbers = rng.normal(size=(k, d))[group] * 2 + rng.normal(size=(n, d))
    if rng.random() < 0.3:
        numbers = numbers.round()
    usual = rng.integers(0, levels, (k, m))[group]
    codes = np.where(rng.random((n, m)) < 0.5, usual, rng.integers(0, levels, (n, m)))
    if rng.random() < 0.5:
        numbers[rng.random((n, d)) < 0.2] = np.nan
        codes[rng.random((n, m)) < 0.2] = -1
    codes[:levels] = np.arange(levels)[:, None]  # every level occurs
    if d:
        numbers[0] = 0.5
    weights = rng.choice([np.ones(n), rng.integers(1, 4, n), rng.integers(1, 9, n) / 4])
    chosen = rng.choice(n, k, replace=bool(rng.random() < 0.3))  # twice the same: one is empty
    return {
        "numbers": numbers,
        "codes": codes.astype(np.int32),
        "weights": weights.astype(float),
        "gamma": float(rng.choice([0.25, 1.0, 1.7])),
        "levels": [np.arange(levels)] * m,
        "means": np.nan_to_num(numbers[chosen], nan=0.1),
        "modes": np.maximum(codes[chosen], 0).astype(np.int32),
    }


class Plain:
    """Huang's iteration, one row and one prototype at a time."""

    def __init__(self, numbers, codes, weights, gamma, levels, means, modes):
        self.numbers, self.codes, self.weights, self.gamma = numbers, codes, weights, gamma
        self.levels, self.means, self.modes = levels, means.copy(), modes.copy()
        self.n, self.k = len(weights), len(means)
        self.mean, self.mode = self.prototype(range(self.n))

    def prototype(self, rows, mean=None, mode=None):
        """Mean and mode of rows; those of all rows where the rows have no value."""
        means, modes = [], []
        for v in range(self.numbers.shape[1]):
            known = [i for i in rows if not np.isnan(self.numbers[i, v])]
            mass = sum(self.weights[i] for i in known)
            total = sum(self.numbers[i, v] * self.weights[i] for i in known)
            means.append(total / mass if known else mean[v])
        for j in range(self.codes.shape[1]):
            known = [i for i in rows if self.codes[i, j] >= 0]
            counts = np.bincount(
                self.codes[known, j], self.weights[known], minlength=len(self.levels[j])
            )
            modes.append(counts.argmax() if known else mode[j])
        return np.array(means), np.array(modes)

    def apart(self, i):
        squares = np.nan_to_num((self.numbers[i] - self.means) ** 2).sum(axis=1)
        return squares + self.gamma * ((self.codes[i] != self.modes) & (self.codes[i] >= 0)).sum(1)

    def assign(self):
        self.far = np.array([self.apart(i).min() for i in range(self.n)])
        self.labels = np.array([self.apart(i).argmin() for i in range(self.n)])
        return sum(self.far * self.weights)

    def fill(self):
        moved, cost = False, self.assign()
        while len(np.unique(self.labels)) < self.k:
            i = self.far.argmax()
            if self.far[i] <= 0:
                raise DataError("too few")
            c = np.setdiff1d(np.arange(self.k), self.labels)[0]
            self.means[c] = np.where(np.isnan(self.numbers[i]), self.mean, self.numbers[i])
            self.modes[c] = np.where(self.codes[i] < 0, self.mode, self.codes[i])
            moved, cost = True, self.assign()
        return moved, cost

    def descend(self, most):
        own = self.labels.copy()
        for c in range(self.k):
            self.means[c], self.modes[c] = self.prototype(
                np.flatnonzero(own == c), self.mean, self.mode
            )
        passes, cost = 0, np.inf
        while True:
            before, cost = cost, self.assign()
            if cost >= before or passes == most:
                return passes
            passes += 1
            if not self.sweep(own):
                return passes

    def sweep(self, own):
        moves = 0
        for i in range(self.n):
            old, new = own[i], self.apart(i).argmin()
            if new == old or (own == old).sum() == 1:
                continue
            own[i] = new
            moves += 1
            left = self.prototype(np.flatnonzero(own == old), self.mean, self.mode)
            joined = self.prototype(np.flatnonzero(own == new), self.mean, self.mode)
            known = ~np.isnan(self.numbers[i])
            self.means[old, known], self.means[new, known] = left[0][known], joined[0][known]
            for j, level in enumerate(self.codes[i]):
                if level < 0:
                    continue
                members = (own == new) & (self.codes[:, j] >= 0)
                counts = np.bincount(
                    self.codes[members, j], self.weights[members], len(self.levels[j])
                )
                if counts[level] > counts[self.modes[new, j]]:
                    self.modes[new, j] = level
                if self.modes[old, j] == level:
                    self.modes[old, j] = left[1][j]
        return moves

    def run(self, most):
        passes = 0
        while True:
            moved, cost = self.fill()
            if passes == most or (passes and not moved):
                return cost, passes
            passes += self.descend(most - passes)


def compiled(numbers, codes, weights, gamma, levels, means, modes, most):
    columns = np.ascontiguousarray(numbers.T), np.ascontiguousarray(codes.T)
    mean = moments(columns[0], weights)[0]
    rows = gather_rows(*columns, weights, levels, mean, gamma)
    return find_prototypes(rows, [(means.copy(), modes.copy())], most)


@pytest.mark.parametrize("seed", range(60))
def test_compiled_and_plain_agree(seed):
    """Labels and passes; the cost to rounding, as the plain one adds up every mean anew."""
    given = table(seed)
    most = 1 + seed % 5 * 5
    plain = Plain(**given)
    try:
        cost, passes = plain.run(most)
    except DataError:
        with pytest.raises(DataError, match="only told apart into"):
            compiled(**given, most=most)
        return
    found = compiled(**given, most=most)
    np.testing.assert_array_equal(found.labels, plain.labels)
    np.testing.assert_array_equal(found.modes, plain.modes)
    np.testing.assert_allclose(found.means, plain.means, rtol=1e-9, atol=1e-12)
    assert found.cost == pytest.approx(cost, rel=1e-12)
    assert found.n_iter == passes
    assert len(np.unique(found.labels)) == len(found.means)


@pytest.mark.parametrize("seed", range(20))
def test_dissimilarities_are_those_of_numpy_to_the_last_digit(seed):
    given = table(seed)
    plain = Plain(**given)
    found = dissimilarities(
        np.ascontiguousarray(given["numbers"].T),
        np.ascontiguousarray(given["codes"].T),
        given["gamma"],
        given["means"],
        given["modes"],
    )
    expected = [plain.apart(i) for i in range(plain.n)]
    np.testing.assert_array_equal(found.T, expected)


def test_the_answer_does_not_depend_on_the_thread():
    given = [table(seed) for seed in range(40, 60)]

    def cost(one):
        try:
            return compiled(**one, most=50).cost
        except DataError:
            return None

    alone = [cost(one) for one in given]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(cost, given)) == alone
