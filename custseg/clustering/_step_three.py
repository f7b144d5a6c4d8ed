"""Estimates about latent classes from assigned customers, corrected for wrong assignments.

Everything here is the root of estimating equations: `Scores` gives for parameters and a table of
classification what each customer adds to them. Their covariance is that of the root (a sandwich),
plus what the uncertainty of the table adds (Bakk, Oberski & Vermunt 2014).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from custseg.clustering._latent_classification import Classification
from custseg.errors import ConvergenceError, DataError

Matrix = NDArray[np.float64]
Scores = Callable[[Matrix, Matrix], Matrix]

MAX_ITER = 10_000
FARTHEST = 50.0
"""A coefficient of a standardised covariate beyond this says that it separates classes."""


class Root(NamedTuple):
    """Estimates and their covariance."""

    values: Matrix
    covariance: Matrix


def memberships(assigned: NDArray[np.integer], table: Matrix, correction: str) -> Matrix:
    """Return how much of each customer counts in each class; rows sum to 1.

    With ``"none"`` it is 1 in the assigned class; with ``"bch"`` these times the inverse of the
    table, whose expectation is the true membership.
    """
    if correction == "none":
        return np.eye(len(table))[assigned]
    return np.asarray(np.linalg.inv(table)[assigned])


def class_means(values: Matrix, known: Classification, correction: str) -> Root:
    """Return the mean of every column of `values` in every class, classes x columns flattened."""
    shape = (len(known.table), values.shape[1])

    def scores(theta: Matrix, table: Matrix) -> Matrix:
        share = memberships(known.assigned, table, correction)
        away = values[:, None, :] - theta.reshape(shape)
        return (share[:, :, None] * away).reshape(len(values), -1)

    share = memberships(known.assigned, known.table, correction) * known.weights[:, None]
    theta = (share.T @ values / share.sum(axis=0)[:, None]).ravel()
    return Root(theta, _covariance(scores, theta, known))


def normal_means(values: Matrix, known: Classification) -> Root:
    """Return the mean of a number in every class by maximum likelihood, normal within classes."""
    k, floor = len(known.table), 1e-6 * values.var()

    def parts(theta: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        return softmax(np.append(0, theta[: k - 1])), theta[k - 1 : -k], np.exp(theta[-k:])

    def share(theta: Matrix, table: Matrix) -> Matrix:
        weights, means, variances = parts(theta)
        log = np.log(weights) - 0.5 * np.log(variances)
        log = log - 0.5 * (values[:, None] - means) ** 2 / variances
        return _posterior(log, known.assigned, table)

    def scores(theta: Matrix, table: Matrix) -> Matrix:
        own = share(theta, table)
        weights, means, variances = parts(theta)
        away = values[:, None] - means
        of_variance = 0.5 * own * (away**2 / variances - 1)
        return np.hstack([own[:, 1:] - weights[1:], own * away / variances, of_variance])

    def step(theta: Matrix) -> Matrix:
        own = share(theta, known.table) * known.weights[:, None]
        mass = own.sum(axis=0)
        means = values @ own / mass
        variances = np.maximum((own * (values[:, None] - means) ** 2).sum(axis=0) / mass, floor)
        return np.concatenate([np.log(mass[1:] / mass[0]), means, np.log(variances)])

    share_of_all = memberships(known.assigned, known.table, "none") * known.weights[:, None]
    mass = share_of_all.sum(axis=0)
    start = np.concatenate(
        [np.log(mass[1:] / mass[0]), values @ share_of_all / mass, np.full(k, np.log(values.var()))]
    )
    theta = _settle(step, start, "the normal distributions within classes")
    if parts(theta)[2].min() < 2 * floor:
        raise DataError(
            "the outcome has a value that so many customers share that maximum likelihood makes a "
            "class of it: it is not normal within classes. Use correction='bch', or make it text."
        )
    found = _covariance(scores, theta, known)
    own = slice(k - 1, 2 * k - 1)
    return Root(theta[own], found[own, own])


def level_shares(levels: Matrix, known: Classification) -> Root:
    """Return the share of every level in every class by maximum likelihood.

    `levels` is customers x levels, 1 for what each has; the answer is classes x levels flattened.
    """
    k, m = len(known.table), levels.shape[1]

    def parts(theta: Matrix) -> tuple[Matrix, Matrix]:
        logits = np.column_stack([np.zeros(k), theta[k - 1 :].reshape(k, m - 1)])
        return softmax(np.append(0, theta[: k - 1])), softmax(logits, axis=1)

    def share(theta: Matrix, table: Matrix) -> Matrix:
        weights, p = parts(theta)
        return _posterior(np.log(weights) + levels @ np.log(p).T, known.assigned, table)

    def scores(theta: Matrix, table: Matrix) -> Matrix:
        own = share(theta, table)
        weights, p = parts(theta)
        away = own[:, :, None] * (levels[:, None, 1:] - p[:, 1:])
        return np.hstack([own[:, 1:] - weights[1:], away.reshape(len(own), -1)])

    def step(theta: Matrix) -> Matrix:
        own = share(theta, known.table) * known.weights[:, None]
        p = np.maximum(own.T @ levels / own.sum(axis=0)[:, None], 1e-10)
        mass = own.sum(axis=0)
        return np.concatenate([np.log(mass[1:] / mass[0]), np.log(p[:, 1:] / p[:, :1]).ravel()])

    even = memberships(known.assigned, known.table, "none") * 0.9 + 0.1 / k
    p = even.T @ levels / even.sum(axis=0)[:, None]
    p = 0.9 * p + 0.1 / m
    start = np.concatenate([np.zeros(k - 1), np.log(p[:, 1:] / p[:, :1]).ravel()])
    theta = _settle(step, start, "the shares of the levels within classes")
    found = _covariance(scores, theta, known)[k - 1 :, k - 1 :]
    p = parts(theta)[1]
    moved = np.zeros((k * m, k * (m - 1)))
    for c in range(k):
        spread = np.diag(p[c]) - np.outer(p[c], p[c])
        moved[c * m : (c + 1) * m, c * (m - 1) : (c + 1) * (m - 1)] = spread[:, 1:]
    return Root(p.ravel(), moved @ found @ moved.T)


def multinomial_logit(design: Matrix, known: Classification, correction: str) -> Root:
    """Return the coefficients of class membership on a design, classes 1, 2, ... against class 0.

    Flattened, class by class. With ``"ml"`` the likelihood of the assigned class is maximised,
    given the table; else that of the memberships.
    """
    k, q = len(known.table), design.shape[1]

    def chances(theta: Matrix) -> Matrix:
        logits = design @ theta.reshape(k - 1, q).T
        return softmax(np.column_stack([np.zeros(len(design)), logits]), axis=1)

    def shares(theta: Matrix, table: Matrix) -> Matrix:
        if correction == "ml":
            return _posterior(np.log(chances(theta)), known.assigned, table)
        return memberships(known.assigned, table, correction)

    def scores(theta: Matrix, table: Matrix) -> Matrix:
        away = shares(theta, table)[:, 1:] - chances(theta)[:, 1:]
        return (away[:, :, None] * design[:, None, :]).reshape(len(design), -1)

    def step(theta: Matrix) -> Matrix:
        """Take Newton's step for the memberships; with ``"ml"`` this is one of EM's, cut short."""
        p = chances(theta)
        weighted = known.weights[:, None] * design
        hessian = np.zeros(((k - 1) * q, (k - 1) * q))
        for a in range(1, k):
            for b in range(1, k):
                bend = p[:, a] * ((a == b) - p[:, b])
                rows, columns = slice((a - 1) * q, a * q), slice((b - 1) * q, b * q)
                hessian[rows, columns] = (weighted * bend[:, None]).T @ design
        change = np.linalg.solve(hessian, known.weights @ scores(theta, known.table))
        new = theta + change * min(1.0, 2.0 / max(float(np.abs(change).max()), 1e-300))
        if np.abs(new).max() > FARTHEST:
            raise ConvergenceError(
                "a covariate separates classes: its coefficients grow without bound. Leave it out, "
                "or merge rare levels."
            )
        return new

    theta = _settle(step, np.zeros((k - 1) * q), "the coefficients of the covariates")
    return Root(theta, _covariance(scores, theta, known))


def _posterior(log: Matrix, assigned: NDArray[np.integer], table: Matrix) -> Matrix:
    """Return memberships given log densities of the classes and the class that was assigned."""
    seen = np.maximum(table[:, assigned].T, 1e-300)
    return np.asarray(softmax(log + np.log(seen), axis=1))


def _settle(step: Callable[[Matrix], Matrix], theta: Matrix, what: str) -> Matrix:
    """Repeat a step until nothing moves."""
    for _ in range(MAX_ITER):
        new = step(theta)
        if np.abs(new - theta).max() <= 1e-10 * (1 + np.abs(theta).max()):
            return new
        theta = new
    raise ConvergenceError(
        f"{what} did not settle in {MAX_ITER:,} steps: the classes are too alike. Use "
        "correction='bch', or fewer classes."
    )


def _covariance(scores: Scores, theta: Matrix, known: Classification) -> Matrix:
    """Return the sandwich of a root and what the table of classification adds."""

    def total(parameters: Matrix, table: Matrix) -> Matrix:
        return np.asarray(known.weights @ scores(parameters, table))

    k = len(known.table)
    bread = -_slope(lambda at: total(at, known.table), theta)
    by_table = _slope(lambda at: total(theta, at.reshape(k, k)), known.table.ravel())
    moved = by_table @ known.slopes.reshape(k * k, -1)
    own = scores(theta, known.table)
    middle = (own * known.weights[:, None]).T @ own + moved @ known.covariance @ moved.T
    inverse = np.linalg.pinv(bread, rcond=1e-12)
    return np.asarray(inverse @ middle @ inverse.T)


def _slope(function: Callable[[Matrix], Matrix], at: Matrix) -> Matrix:
    """Return the derivative of a function by central differences, values x parameters."""
    columns = []
    for place in range(len(at)):
        step = np.zeros(len(at))
        step[place] = 1e-5 * max(1.0, abs(at[place]))
        columns.append((function(at + step) - function(at - step)) / (2 * step[place]))
    return np.column_stack(columns)
