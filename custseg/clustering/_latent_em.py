"""Latent classes from several starts: where each begins, where it ends, and the best of them."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray

from custseg._kernels.latent_class import expect, leap, maximise
from custseg.clustering._latent_items import Layout, Matrix, Rows

LONGEST = 1e4
"""The longest leap, in steps of EM."""


class Solution(NamedTuple):
    """The best solution, its classes by decreasing weight, and what every start reached.

    `log_likelihoods` has a value per start, and `settled` says which of them converged; `n_iter` is
    the number of passes over the customers of the best one.
    """

    theta: Matrix
    log_likelihood: float
    posterior: Matrix
    n_iter: int
    log_likelihoods: Matrix
    settled: NDArray[np.bool_]
    best: int


def solve(
    rows: Rows, layout: Layout, k: int, *, n_init: int, max_iter: int, tol: float, seed: int
) -> Solution:
    """Return the solution of `k` classes with the largest likelihood of `n_init` starts.

    Start number s depends on the seed and s alone, so more starts never do worse.
    """

    def ascend(start: int) -> Ascent:
        theta = begin(rows, layout, k, np.random.default_rng([seed, start]))
        return climb(rows, layout, theta, max_iter=max_iter, tol=tol)

    with ThreadPoolExecutor(min(n_init, cpu_count())) as pool:
        ends = list(pool.map(ascend, range(n_init)))
    reached = np.array([end.log_likelihood for end in ends])
    best = int(reached.argmax())
    theta = in_order(ends[best].theta, layout)
    log_likelihood, joint = densities(rows, layout, theta)
    reached[best] = log_likelihood
    return Solution(
        theta,
        log_likelihood,
        posterior(joint),
        ends[best].n_iter,
        reached,
        np.array([end.settled for end in ends]),
        best,
    )


class Ascent(NamedTuple):
    """Where a start ended; its log likelihood is a lower bound where it did not settle."""

    theta: Matrix
    log_likelihood: float
    n_iter: int
    settled: bool


def climb(rows: Rows, layout: Layout, theta: Matrix, *, max_iter: int, tol: float) -> Ascent:
    """Return the maximum of the likelihood uphill from `theta`, or where `max_iter` passes end.

    Two steps of EM, then a leap along them (SQUAREM), taken back where it leads down; the next ones
    are shorter then. The way is at its end when what is left to gain, by the rate at which the
    steps shrink, is below `tol` or cannot be told from rounding.
    """
    parts = (layout.items, layout.scores, layout.floors)
    sums, joint = _empty_sums(layout, theta), np.empty((0, theta.shape[1] - 1))
    second, least, n_iter = theta, -np.inf, 0
    length, reach = 1.0, LONGEST
    while n_iter < max_iter:
        now = expect(*rows, theta, sums, joint)
        n_iter += 1
        if now < least:
            theta, least, length, reach = second, -np.inf, 1.0, max(length / 2, 1.5)
            continue
        if length >= reach:
            reach *= 4
        first = theta.copy()
        maximise(sums, *parts, first)
        then = expect(*rows, first, sums, joint)
        n_iter += 1
        second = first.copy()
        maximise(sums, *parts, second)
        way = float(((first - theta) ** 2).sum())
        turn = float(((second - 2 * first + theta) ** 2).sum())
        left = min(max(np.sqrt(way / turn), 1.0), LONGEST) if turn > 0 else 1.0
        gain, least = then - now, then
        if gain * left < tol or gain < 4e-16 * abs(then):
            return Ascent(first, then, n_iter, settled=True)
        length = min(left, reach)
        leap(theta, first, second, length, *parts, sums)
    return Ascent(second, then, n_iter, settled=False)


def _empty_sums(layout: Layout, theta: Matrix) -> Matrix:
    return np.zeros((layout.end + 1 + 3 * len(layout.numbers), theta.shape[1] - 1))


def begin(rows: Rows, layout: Layout, k: int, rng: np.random.Generator) -> Matrix:
    """Return a start: every class half like all customers, half like one drawn at random."""
    end, n_numbers = layout.end, len(layout.numbers)
    sums = np.zeros((end + 1 + 3 * n_numbers, k))
    sums[0] = 1 / k
    drawn = rng.choice(len(rows.counts), k, replace=False, p=rows.counts / rows.counts.sum())
    for j, (low, high, _) in enumerate(layout.items.tolist()):
        counts = np.bincount(rows.cells[:, j], rows.counts, minlength=end + 1)[low:high]
        sums[low:high] = 0.5 * (counts / counts.sum())[:, None]
        place = rows.cells[drawn, j]
        known = place < end
        sums[place[known], np.flatnonzero(known)] += 0.5
    values = np.nan_to_num(rows.numbers[drawn].T)
    sums[end + 1 :: 3] = 1.0
    sums[end + 2 :: 3] = values
    sums[end + 3 :: 3] = values**2 + 1.0
    theta = np.zeros((layout.n_rows, k + 1))
    maximise(sums, layout.items, layout.scores, layout.floors, theta)
    return theta


def in_order(theta: Matrix, layout: Layout) -> Matrix:
    """Return a solution with its classes by decreasing weight, ties by their probabilities."""
    order = np.lexsort((*theta[1:, :-1][::-1], -theta[0, :-1]))
    theta = np.column_stack([theta[:, order], theta[:, -1]])
    for low, high, slopes in layout.items.tolist():
        if slopes:
            first = theta[slopes, 0]
            theta[low:high, -1] += first * layout.scores[low:high]
            theta[slopes, :-1] -= first
    return theta


def densities(rows: Rows, layout: Layout, theta: Matrix) -> tuple[float, Matrix]:
    """Return the log likelihood, and the log density of every row with every class."""
    theta = np.require(theta, requirements=["C", "W"])
    joint = np.empty((len(rows.counts), theta.shape[1] - 1))
    return expect(*rows, theta, _empty_sums(layout, theta), joint), joint


def posterior(joint: Matrix) -> Matrix:
    """Return the probability of every class for every row."""
    shares = np.exp(joint - joint.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
