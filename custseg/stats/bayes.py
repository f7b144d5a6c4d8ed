"""Bayesian answers for several arms: posterior means, chance to be best, expected loss."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from custseg.errors import DataError, check_number, check_option
from custseg.stats.intervals import counts

_TAILS = 10.0 ** -np.arange(13, 0, -1)
_CUTS = np.concatenate([_TAILS, [0.2, 0.35, 0.5, 0.65, 0.8]])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
BETTER = ("higher", "lower")


class Posterior(NamedTuple):
    """What is believed of each arm after the data, as arrays with the arms on the last axis."""

    mean: Any
    ci_low: Any
    ci_high: Any
    p_best: Any
    expected_loss: Any


def beta_binomial(
    successes: ArrayLike,
    n: ArrayLike,
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    better: str = "higher",
    level: float = 0.95,
) -> Posterior:
    """Return what is believed of the proportion of each arm, given a beta prior for all of them.

    Parameters
    ----------
    successes, n
        Counts of successes and of trials, arms on the last axis, broadcast.
    prior
        Successes and failures before the data; (1, 1) holds every proportion equally likely, (.5,
        .5) is Jeffreys'.
    better
        Whether ``"higher"`` or ``"lower"`` proportions are better.
    level
        Probability within the interval (equal tails), between 0 and 1.

    Returns
    -------
    Posterior
        `p_best` is the probability that the arm is the best of all (adding up to 1),
        `expected_loss` how much the best arm is expected to exceed it by, in the unit of the
        proportion: what choosing this arm may cost. Both by Gauss-Legendre quadrature.

    Raises
    ------
    DataError
        If a count is negative, or there are more successes than trials.
    ParameterError
        If a parameter is outside its bounds.

    References
    ----------
    Gelman, A. et al. (2013), Bayesian Data Analysis, section 2.4. Stucchio, C. (2015), Bayesian
    A/B testing at VWO (expected loss).

    Examples
    --------
    >>> found = beta_binomial([50, 65], [1_000, 1_000])
    >>> found.p_best.round(4), found.expected_loss.round(5)
    (array([0.0755, 0.9245]), array([0.01533, 0.00035]))
    """
    x, trials = counts(successes, n)
    for value in prior:
        check_number(value, "prior", gt=0)
    a, b = x + prior[0], trials - x + prior[1]
    return _posterior(stats.beta(a, b), stats.beta(b, a), better, level)


def normal_posterior(
    mean: ArrayLike,
    se: ArrayLike,
    *,
    prior: tuple[float, float] | None = None,
    better: str = "higher",
    level: float = 0.95,
) -> Posterior:
    """Return what is believed of the mean of each arm, from estimates with normal errors.

    Parameters
    ----------
    mean, se
        Estimates and standard errors of independent arms, arms on the last axis, broadcast.
    prior
        Mean and standard deviation of a normal prior for every arm; ``None`` holds every value
        equally likely.
    better
        Whether ``"higher"`` or ``"lower"`` means are better.
    level
        Probability within the interval (equal tails), between 0 and 1.

    Returns
    -------
    Posterior
        As in `beta_binomial`, in the unit of the mean. NaN for all arms where a standard error is
        missing or 0.

    Raises
    ------
    DataError
        If a standard error is negative.
    ParameterError
        If a parameter is outside its bounds.

    References
    ----------
    Gelman, A. et al. (2013), Bayesian Data Analysis, section 2.5.

    Examples
    --------
    >>> found = normal_posterior([10.0, 12.0], [0.6, 0.8])
    >>> found.p_best.round(4), found.expected_loss.round(4)
    (array([0.0228, 0.9772]), array([2.0085, 0.0085]))
    """
    centre, error = np.broadcast_arrays(np.asarray(mean, float), np.asarray(se, float))
    if (error < 0).any():
        raise DataError(f"se is {error[error < 0][0]:g}, but a standard error is never below 0.")
    error = np.where(error > 0, error, np.nan)
    if prior is not None:
        check_number(prior[1], "prior[1]", gt=0)
        weight = 1 / error**2 + 1 / prior[1] ** 2
        centre = (centre / error**2 + prior[0] / prior[1] ** 2) / weight
        error = 1 / np.sqrt(weight)
    return _posterior(stats.norm(centre, error), stats.norm(-centre, error), better, level)


def _posterior(beliefs: Any, mirrored: Any, better: str, level: float) -> Posterior:
    """Summarise frozen distributions; `mirrored` are those of the opposite (or complement)."""
    check_option(better, "better", BETTER)
    check_number(level, "level", gt=0, lt=1)
    tail = (1 - level) / 2
    best, loss = _compare_arms(beliefs if better == "higher" else mirrored)
    return Posterior(beliefs.mean(), beliefs.ppf(tail), beliefs.isf(tail), best, loss)


def _compare_arms(beliefs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance of each arm to be the largest, and its expected distance from the largest.

    Panels end at quantiles of every arm, far into both tails, so that the integrands are smooth
    within each, however unlike the arms are.
    """
    cuts = [beliefs.ppf(p) for p in _CUTS] + [beliefs.isf(p) for p in _TAILS]
    edges = np.sort(np.concatenate(cuts, axis=-1), axis=-1)
    half = np.diff(edges, axis=-1)[..., None] / 2
    middle = (edges[..., 1:] + edges[..., :-1])[..., None] / 2
    shape = (*edges.shape[:-1], -1)
    points = (middle + half * _NODES).reshape(shape)
    weights = (half * _WEIGHTS).reshape(shape)
    at_points = np.moveaxis(points, -1, 0)[..., None]
    below: np.ndarray = np.moveaxis(beliefs.cdf(at_points), 0, -1)
    density: np.ndarray = np.moveaxis(beliefs.pdf(at_points), 0, -1)
    best, loss = [], []
    for arm in range(below.shape[-2]):
        others = np.delete(below, arm, axis=-2).prod(axis=-2)
        best.append((weights * density[..., arm, :] * others).sum(axis=-1))
        loss.append((weights * below[..., arm, :] * (1 - others)).sum(axis=-1))
    return np.stack(best, axis=-1), np.stack(loss, axis=-1)
