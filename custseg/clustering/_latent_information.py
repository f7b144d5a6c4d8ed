"""How sure a solution of latent classes is: the observed information and what follows from it.

Parameters are logits (of classes; of levels within a class), the terms and slopes of ordinal items,
means and logarithms of variances. What a customer's answers say of them, were the class known, is
linear in few features of the answers: one row of `features` for a class times its `maps`.
"""

from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from custseg.clustering._latent_items import Layout, Matrix, Rows

BLOCK = 8192
FLAT = 1e-6
"""Directions with less information than this (a standard error above 1000) count as unknown."""
MOVES = 1e-4
"""An estimate that moves by more than this along an unknown direction is itself unknown."""


def maps(layout: Layout, theta: Matrix) -> Matrix:
    """Return the effect of every parameter on the features of every class.

    Returns
    -------
    numpy.ndarray
        Classes x features x parameters. The features are the rows of a solution down to the last
        number; see `features`.
    """
    k, end = theta.shape[1] - 1, layout.end
    columns = []

    def parameter() -> Matrix:
        columns.append(np.zeros((k, end + 2 * len(layout.numbers))))
        return columns[-1]

    for c in range(1, k):
        column = parameter()
        column[:, 0] = -theta[0, c]
        column[c, 0] += 1
    for low, high, slopes in layout.items.tolist():
        if slopes:
            for m in range(low + 1, high):
                parameter()[:, m] = 1
            for c in range(1, k):
                parameter()[c, low:high] = layout.scores[low:high]
            continue
        for c in range(k):
            likeliest = low + int(theta[low:high, c].argmax())
            for m in range(low, high):
                if m != likeliest:
                    parameter()[c, m] = 1
    for g, floor in enumerate(layout.floors):
        for c in range(k):
            row = end + 2 * g
            parameter()[c, row] = 1
            free = theta[row + 1, c] > floor + 1e-9
            parameter()[c, row + 1] = free
    shape = (k, end + 2 * len(layout.numbers), 0)
    return np.stack(columns, axis=2) if columns else np.zeros(shape)


def features(rows: Rows, layout: Layout, theta: Matrix, c: int) -> Matrix:
    """Return what the rows say of class `c`, were they in it.

    Returns
    -------
    numpy.ndarray
        Rows x features: 1 for the class; for every level whether it was answered, less its
        probability; for every number the derivatives of the log density by mean and logarithm of
        the variance. 0 for missing answers.
    """
    end = layout.end
    found = np.zeros((len(rows.counts), end + 2 * len(layout.numbers)))
    found[:, 0] = 1
    each = np.arange(len(found))
    for j, (low, high, _) in enumerate(layout.items.tolist()):
        known = rows.cells[:, j] < end
        found[known, low:high] = -theta[low:high, c]
        found[each[known], rows.cells[known, j]] += 1
    for g in range(len(layout.numbers)):
        row = end + 2 * g
        precision = np.exp(-theta[row + 1, c])
        away = rows.numbers[:, g] - theta[row, c]
        found[:, row] = np.nan_to_num(away * precision)
        found[:, row + 1] = np.nan_to_num(0.5 * (away**2 * precision - 1))
    return found


def blocks(rows: Rows, posterior: Matrix) -> Iterator[tuple[Rows, Matrix]]:
    """Yield the rows and their posterior in parts that fit into the processor's memory."""
    for low in range(0, len(rows.counts), BLOCK):
        part = slice(low, low + BLOCK)
        yield Rows(rows.cells[part], rows.numbers[part], rows.counts[part]), posterior[part]


def information(rows: Rows, layout: Layout, theta: Matrix, posterior: Matrix) -> Matrix:
    """Return the observed information of the parameters (Louis 1982), in the order of `maps`."""
    effects = maps(layout, theta)
    k, _, n = effects.shape
    weights = theta[0, :k]
    total = rows.counts.sum() * _spread(weights)
    found = np.zeros((n, n))
    found[: k - 1, : k - 1] = total[1:, 1:]
    with threadpool_limits(limits=1, user_api="blas"):
        for part, shares in blocks(rows, posterior):
            scores = np.zeros((len(shares), n))
            for c in range(k):
                own = features(part, layout, theta, c)
                expected = part.counts * shares[:, c]
                scores += shares[:, [c]] * (own @ effects[c])
                seen = (own * expected[:, None]).T @ own
                complete = _complete(part, layout, theta, c, expected)
                found += effects[c].T @ (complete - seen) @ effects[c]
            found += (scores * part.counts[:, None]).T @ scores
    return found


def _spread(shares: Matrix) -> Matrix:
    return np.diag(shares) - np.outer(shares, shares)


def _complete(rows: Rows, layout: Layout, theta: Matrix, c: int, expected: Matrix) -> Matrix:
    """Return the information about the features of a class, were its members known."""
    end = layout.end
    size = end + 2 * len(layout.numbers)
    found = np.zeros((size, size))
    for j, (low, high, _) in enumerate(layout.items.tolist()):
        answered = expected[rows.cells[:, j] < end].sum()
        found[low:high, low:high] = answered * _spread(theta[low:high, c])
    for g in range(len(layout.numbers)):
        row = end + 2 * g
        precision = np.exp(-theta[row + 1, c])
        away = rows.numbers[:, g] - theta[row, c]
        known = ~np.isnan(away)
        found[row, row] = expected[known].sum() * precision
        found[row, row + 1] = found[row + 1, row] = (expected * away)[known].sum() * precision
        found[row + 1, row + 1] = 0.5 * (expected * away**2)[known].sum() * precision
    return found


def gradients(layout: Layout, theta: Matrix) -> Matrix:
    """Return how weights, probabilities, means and log variances move with the parameters.

    Returns
    -------
    numpy.ndarray
        Rows of a solution (down to the last number) x classes x parameters.
    """
    effects = maps(layout, theta)
    k = len(effects)
    moved = effects.transpose(1, 0, 2).copy()
    moved[0] = theta[0, :k, None] * effects[:, 0]
    for c in range(k):
        for low, high, _ in layout.items.tolist():
            moved[low:high, c] = _spread(theta[low:high, c]) @ effects[c, low:high]
    return moved


def covariance(information: Matrix, moved: Matrix) -> tuple[Matrix, Matrix]:
    """Return the covariance of the parameters, and the standard errors of a solution.

    Parameters
    ----------
    information
        As `information` returns it.
    moved
        As `gradients` returns it.

    Returns
    -------
    covariance : numpy.ndarray
        Parameters x parameters; directions without information, such as the logit of a probability
        of 0, have none.
    errors : numpy.ndarray
        Rows of a solution x classes: NaN where an estimate moves along a direction without
        information: the model is not identified there, or the solution is no maximum.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        values, vectors = np.linalg.eigh(information)
        known = values > max(FLAT, 1e-12 * np.abs(values).max(initial=0.0))
        found = (vectors[:, known] / values[known]) @ vectors[:, known].T
        errors = np.sqrt(np.maximum(np.einsum("mcp,mcp->mc", moved @ found, moved), 0))
        unknown = np.linalg.norm(moved @ vectors[:, ~known], axis=2) > MOVES
    return found, np.where(unknown, np.nan, errors)
