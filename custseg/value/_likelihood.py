"""Maximum likelihood of positive parameters by Newton's method, and what a failed fit means."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, zeta
from threadpoolctl import ThreadpoolController

from custseg.errors import ConvergenceError

Vector = NDArray[np.float64]
Terms = tuple[float, Vector, Vector]
"""A log likelihood, its gradient and its matrix of second derivatives."""

STEPS = 200
LONGEST, SHORTEST = 2.0, 1e-10
"""The longest step and the shortest, in logs of parameters."""
NEAR, EXACT = 1e-7, 1e-13
"""A step that gains less, as such or as a share of the log likelihood, is the last."""
UNKNOWN, FAR = 300.0, 10.0
"""A standard error of a logarithm, and a way from the start, that no maximum has."""


@cache
def blas() -> ThreadpoolController:
    """Return the control of the threads of BLAS, found once: to look takes longer than a fit."""
    return ThreadpoolController()


class Maximum(NamedTuple):
    """Where a log likelihood is largest.

    Attributes
    ----------
    params, standard_errors
        By name; the errors come from the observed information.
    covariance
        Of the logarithms of the parameters.
    log_likelihood
        There.
    """

    params: pd.Series
    standard_errors: pd.Series
    covariance: Vector
    log_likelihood: float


def maximize(
    log_likelihood: Callable[[Vector], Terms],
    starts: Sequence[Mapping[str, float]],
    *,
    what: str,
    hint: str,
) -> Maximum:
    """Maximise a log likelihood over positive parameters, with its first and second derivatives.

    Parameters
    ----------
    log_likelihood
        Takes the parameters and returns the value, the gradient and the second derivatives.
    starts
        Parameters to begin with, by name; the others are tried where the ones before lead nowhere.
    what
        The model, for the message.
    hint
        What to try when there is no maximum, for the message.

    Raises
    ------
    ConvergenceError
        If a parameter runs to zero or infinity, or no maximum is found.
    """
    with blas().limit(limits=1, user_api="blas"):
        failures = []
        for start in starts:
            try:
                return _climb(log_likelihood, start, what=what, hint=hint)
            except ConvergenceError as failure:
                failures.append(failure)
    raise failures[0]


def _climb(
    log_likelihood: Callable[[Vector], Terms], start: Mapping[str, float], *, what: str, hint: str
) -> Maximum:
    names = list(start)
    first = at = np.log(np.array(list(start.values()), dtype=float))
    value, gradient, curvature = _in_logs(log_likelihood, at)
    near = False
    for _ in range(STEPS):
        sizes, axes = np.linalg.eigh(-curvature)
        floor = 1e-12 * max(np.abs(sizes).max(), 1e-300)
        step = axes @ ((axes.T @ gradient) / np.maximum(np.abs(sizes), floor))
        step *= min(1.0, LONGEST / max(float(np.abs(step).max()), 1e-300))
        near = gradient @ step < NEAR + EXACT * abs(value)
        found = _in_logs(log_likelihood, at + step)
        while not near and found[0] <= value and np.abs(step).max() > SHORTEST:
            step = step / 4
            found = _in_logs(log_likelihood, at + step)
        if not near and found[0] <= value:
            break
        at = at + step
        value, gradient, curvature = found
        if near or np.abs(at - first).max() > FAR:
            break
    sizes, axes = np.linalg.eigh(-curvature)
    moved = at - first
    lost = not np.isfinite(value) or sizes[0] < UNKNOWN**-2 or np.abs(moved).max() > FAR
    if lost or not near:
        loose = int(np.abs(axes[:, 0] * moved).argmax())
        raise ConvergenceError(
            f"{what} finds no maximum of its likelihood: {names[loose]} runs to "
            f"{'infinity' if moved[loose] > 0 else '0'} ({np.exp(at[loose]):.3g} when it was "
            f"stopped). {hint}"
        )
    covariance = (axes / sizes) @ axes.T
    params = np.exp(at)
    errors = params * np.sqrt(np.diag(covariance))
    return Maximum(pd.Series(params, names), pd.Series(errors, names), covariance, float(value))


def _in_logs(log_likelihood: Callable[[Vector], Terms], at: Vector) -> Terms:
    """Return the terms by the logarithms of the parameters; minus infinity where undefined."""
    params = np.exp(at)
    with np.errstate(all="ignore"):
        value, gradient, curvature = log_likelihood(params)
    if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(curvature).all()):
        return -np.inf, np.zeros(len(at)), -np.eye(len(at))
    gradient = gradient * params
    return float(value), gradient, curvature * np.outer(params, params) + np.diag(gradient)


def rising(start: float, steps: Vector, weights: Vector) -> tuple[float, float, float]:
    """Return the weighted sum of log Γ(start + steps) - log Γ(start), and its two derivatives.

    Parameters
    ----------
    start
        Above 0.
    steps
        Numbers of steps, of 0 or more.
    weights
        One per number.

    Examples
    --------
    >>> value, slope, curvature = rising(1.0, np.array([3.0]), np.array([1.0]))
    >>> round(float(np.exp(value)), 9)
    6.0
    """
    ends = start + steps
    return (
        float(weights @ (gammaln(ends) - gammaln(start))),
        float(weights @ (digamma(ends) - digamma(start))),
        float(weights @ (zeta(2, ends) - zeta(2, start))),
    )
