"""The compiled steps against plain NumPy, and the information against numeric derivatives."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from scipy.stats import norm

from custseg._kernels import latent_class as kernel
from custseg.clustering import _latent_em as em
from custseg.clustering import _latent_information as information
from custseg.clustering import _latent_items as items


def prepared(frame: pd.DataFrame, kinds: dict, weights: np.ndarray | None = None):
    """Return distinct rows and where their items stand, as the estimator makes them."""
    weights = np.ones(len(frame)) if weights is None else weights
    kinds = items.read_kinds(frame, kinds)
    levels = items.learn_levels(frame, kinds)
    scores = items.learn_scores(frame, levels)
    numbers = [name for name, kind in kinds.items() if kind == "gaussian"]
    values = items.read_numbers(frame, numbers)
    rows = items.distinct(items.place_cells(frame, levels), values, weights)
    mean, sd = items.moments(rows.numbers, rows.counts)
    rows = rows._replace(numbers=np.ascontiguousarray((rows.numbers - mean) / sd))
    scales = dict(zip(numbers, sd.tolist(), strict=True))
    return rows, items.lay_out(kinds, levels, scores, scales)


def mixed(n: int = 300, seed: int = 0, missing: float = 0.2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    z = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    frame = pd.DataFrame(
        {
            "member": rng.random(n) < np.array([0.2, 0.5, 0.9])[z],
            "region": np.array(list("xyz"))[np.where(rng.random(n) < 0.6, z, rng.choice(3, n))],
            "stars": np.clip(np.round(rng.normal(z + 2, 1)), 1, 5),
            "spend": rng.normal(z * 3, 1),
            "age": rng.normal(-z, 1 + z * 0.3),
        }
    )
    return frame.where(rng.random(frame.shape) >= missing)


KINDS = {"member": "binary", "stars": "ordinal"}


def plain_joint(rows, layout, theta):
    """Return the log density of every row with every class."""
    k = theta.shape[1] - 1
    joint = np.tile(np.log(theta[0, :k]), (len(rows.counts), 1))
    for j in range(rows.cells.shape[1]):
        known = rows.cells[:, j] < layout.end
        joint[known] += np.log(theta[rows.cells[known, j], :k])
    for g in range(rows.numbers.shape[1]):
        mean, log_variance = theta[layout.end + 2 * g : layout.end + 2 * g + 2, :k]
        density = norm.logpdf(rows.numbers[:, [g]], mean, np.exp(log_variance / 2))
        joint += np.nan_to_num(density)
    return joint


def plain_sums(rows, layout, theta):
    """Return the log likelihood and what is expected of each class."""
    joint = plain_joint(rows, layout, theta)
    share = softmax(joint, axis=1) * rows.counts[:, None]
    sums = np.zeros((layout.end + 1 + 3 * len(layout.numbers), theta.shape[1] - 1))
    sums[0] = share.sum(axis=0)
    for j in range(rows.cells.shape[1]):
        np.add.at(sums, rows.cells[:, j], share)
    for g in range(rows.numbers.shape[1]):
        known = ~np.isnan(rows.numbers[:, g])
        values = np.nan_to_num(rows.numbers[:, g])
        row = layout.end + 1 + 3 * g
        sums[row : row + 3] = [known @ share, values @ share, values**2 @ share]
    return float(rows.counts @ logsumexp(joint, axis=1)), sums


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 4))
def test_a_step_is_that_of_plain_numpy(seed, k):
    rows, layout = prepared(mixed(80, seed), KINDS)
    theta = em.begin(rows, layout, k, np.random.default_rng(seed))
    likelihood, expected = plain_sums(rows, layout, theta)
    sums, joint = em._empty_sums(layout, theta), np.empty((len(rows.counts), k))
    assert kernel.expect(*rows, theta, sums, joint) == pytest.approx(likelihood, rel=1e-12)
    np.testing.assert_allclose(sums, expected, atol=1e-10)
    np.testing.assert_allclose(joint, plain_joint(rows, layout, theta), atol=1e-10)
    after = theta.copy()
    kernel.maximise(sums, layout.items, layout.scores, layout.floors, after)
    np.testing.assert_allclose(after[0, :k], expected[0] / expected[0].sum())
    for low, high, slopes in layout.items.tolist():
        if not slopes:
            shares = expected[low:high] / expected[low:high].sum(axis=0)
            np.testing.assert_allclose(after[low:high, :k], shares, atol=1e-12)
    for g in range(len(layout.numbers)):
        mass, total, squares = expected[layout.end + 1 + 3 * g : layout.end + 4 + 3 * g]
        row = layout.end + 2 * g
        np.testing.assert_allclose(after[row, :k], total / mass, atol=1e-10)
        variance = np.maximum(squares / mass - (total / mass) ** 2, items.LEAST_VARIANCE)
        np.testing.assert_allclose(after[row + 1, :k], np.log(variance), atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 6), k=st.integers(1, 4))
def test_an_ordinal_item_ends_where_an_optimiser_does(seed, n, k):
    rng = np.random.default_rng(seed)
    counts = rng.gamma(1, 20, (n, k)) + 0.5
    scores = np.sort(rng.random(n))
    scores = (scores - scores[0]) / (scores[-1] - scores[0])

    def lack(free):
        terms, slopes = np.append(0, free[: n - 1]), np.append(0, free[n - 1 :])
        logits = terms[:, None] + scores[:, None] * slopes
        return -(counts * (logits - logsumexp(logits, axis=0))).sum()

    best = minimize(lack, np.zeros(n + k - 2), method="BFGS", options={"gtol": 1e-6})
    own, slopes = np.zeros((n, k + 1)), np.zeros(k + 1)
    before = -np.inf
    for _ in range(30):
        kernel._ordinal(scores, slopes, counts, own)
        now = float((counts * np.log(own[:, :k])).sum())
        assert now >= before - 1e-9
        before = now
    assert before == pytest.approx(-best.fun, abs=1e-5)


@pytest.mark.parametrize("k", [2, 3])
def test_no_climb_goes_down_and_all_end_at_a_maximum(k):
    rows, layout = prepared(mixed(), KINDS)
    for seed in range(5):
        start = em.begin(rows, layout, k, np.random.default_rng(seed))
        reached = [
            em.climb(rows, layout, start.copy(), max_iter=m, tol=0.0).log_likelihood
            for m in (2, 4, 8, 16, 32, 64)
        ]
        assert np.diff(reached).min() >= -1e-9
        end = em.climb(rows, layout, start.copy(), max_iter=5_000, tol=1e-10)
        assert end.settled
        after = end.theta.copy()
        _, sums = plain_sums(rows, layout, after)
        kernel.maximise(sums, layout.items, layout.scores, layout.floors, after)
        np.testing.assert_allclose(after[:, :k], end.theta[:, :k], atol=1e-4)


def test_leaps_save_most_passes():
    rows, layout = prepared(mixed(1000), KINDS)
    theta = em.begin(rows, layout, 4, np.random.default_rng(3))
    end = em.climb(rows, layout, theta.copy(), max_iter=20_000, tol=1e-8)
    sums, joint = em._empty_sums(layout, theta), np.empty((0, 4))
    n_plain = 0
    while kernel.expect(*rows, theta, sums, joint) < end.log_likelihood - 1e-6:
        kernel.maximise(sums, layout.items, layout.scores, layout.floors, theta)
        n_plain += 1
        assert n_plain < 20_000
    assert end.n_iter < n_plain / 2


def moved(layout, theta, effects, change):
    """Return a solution with its parameters changed."""
    k, new = theta.shape[1] - 1, theta.copy()
    shift = effects @ change
    weights = np.log(theta[0, :k])
    weights[1:] += change[: k - 1]
    new[0, :k] = softmax(weights)
    for c in range(k):
        for low, high, _ in layout.items.tolist():
            new[low:high, c] = softmax(np.log(theta[low:high, c]) + shift[c, low:high])
    new[layout.end : layout.end + 2 * len(layout.numbers), :k] += shift[:, layout.end :].T
    return new


def test_information_is_the_negative_hessian():
    rows, layout = prepared(mixed(200, seed=4), KINDS)
    found = em.solve(rows, layout, 3, n_init=5, max_iter=5_000, tol=1e-10, seed=0)
    effects = information.maps(layout, found.theta)
    n = effects.shape[2]
    assert n == layout.n_parameters(3)

    def at(change):
        return em.densities(rows, layout, moved(layout, found.theta, effects, change))[0]

    slope = [(at(e) - at(-e)) / 2e-4 for e in np.eye(n) * 1e-4]
    np.testing.assert_allclose(slope, 0, atol=1e-3)
    e = np.eye(n) * 2e-3
    numeric = np.array(
        [[(at(a + b) - at(a - b) - at(b - a) + at(-a - b)) / (4 * 2e-3**2) for b in e] for a in e]
    )
    own = information.information(rows, layout, found.theta, found.posterior)
    np.testing.assert_allclose(own, -numeric, atol=2e-5 * np.abs(own).max())
    gradients = information.gradients(layout, found.theta)
    e = np.eye(n) * 1e-6
    ahead, behind = (
        np.stack([moved(layout, found.theta, effects, sign * a) for a in e], axis=2)
        for sign in (1, -1)
    )
    numeric = (ahead - behind) / 2e-6
    np.testing.assert_allclose(gradients, numeric[: gradients.shape[0], :3], atol=1e-8)


def test_classes_are_put_in_order_without_changing_the_solution():
    rows, layout = prepared(mixed(), KINDS)
    theta = em.begin(rows, layout, 4, np.random.default_rng(1))
    theta = em.climb(rows, layout, theta, max_iter=40, tol=0).theta
    new = em.in_order(theta, layout)
    assert (np.diff(new[0, :4]) <= 0).all()
    assert em.densities(rows, layout, new)[0] == pytest.approx(em.densities(rows, layout, theta)[0])
    low, high, slopes = next(item for item in layout.items.tolist() if item[2])
    logits = new[low:high, [4]] + layout.scores[low:high, None] * new[slopes, :4]
    np.testing.assert_allclose(softmax(logits, axis=0), new[low:high, :4], atol=1e-10)


@given(seed=st.integers(0, 2**32 - 1))
def test_distinct_rows_do_not_depend_on_the_order(seed):
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 3, (40, 3))
    numbers = rng.choice([0.5, -1.0, np.nan], (40, 1))
    weights = rng.choice([0.0, 0.1, 0.3, 2.0], 40)
    found = items.distinct(cells, numbers, weights)
    order = rng.permutation(40)
    again = items.distinct(cells[order], numbers[order], weights[order])
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.counts.sum() == pytest.approx(weights.sum())
    plain = pd.DataFrame(np.hstack([cells, numbers])).assign(w=weights)[weights > 0]
    expected = plain.groupby([0, 1, 2, 3], dropna=False)["w"].sum()
    np.testing.assert_allclose(found.counts, expected.to_numpy())


def test_very_many_combinations_of_levels_are_told_apart():
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 90, (200, 12))
    cells[100:] = cells[:100]
    assert len(items.distinct(cells, np.empty((200, 0)), np.ones(200)).counts) == 100
