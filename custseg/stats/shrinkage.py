"""Pull noisy estimates towards their common mean, as far as they can be told apart."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike, NDArray

from custseg.errors import DataError

NODES = 200


class Shrunk(NamedTuple):
    """Shrunk estimates with their standard errors, the common mean and the true spread."""

    estimate: NDArray[np.float64]
    se: NDArray[np.float64]
    mean: float
    spread: float


def shrink(estimates: ArrayLike, se: ArrayLike) -> Shrunk:
    """Shrink estimates of one quantity in several groups towards their mean.

    Each estimate is normal round its truth with known standard error, and the truths are normal
    round a common mean with a common standard deviation, their spread. Mean and spread are unknown
    and have flat priors, so that what is not known of them is in the standard errors. Two groups
    do not tell their spread: they stay as they are.

    Parameters
    ----------
    estimates
        One per group; missing ones stay missing.
    se
        Their standard errors, above 0.

    Returns
    -------
    Shrunk
        Posterior means and standard deviations by group, and the posterior mean of the common
        mean and median of the spread (missing below three groups).

    Raises
    ------
    DataError
        If there is not one standard error above 0 for each estimate.

    References
    ----------
    Rubin, D. B. (1981), Estimation in parallel randomized experiments, Journal of Educational
    Statistics 6, 377-401. Gelman, A. (2006), Bayesian Analysis 1, 515-534 (the prior).

    Examples
    --------
    >>> found = shrink([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])
    >>> found.estimate.round(0).tolist()
    [11.0, 8.0, 6.0, 8.0, 5.0, 6.0, 11.0, 8.0]
    >>> round(found.mean, 1), round(found.spread, 1)
    (7.9, 5.2)
    """
    y, errors = np.asarray(estimates, dtype=float), np.asarray(se, dtype=float)
    known = ~np.isnan(y)
    if y.ndim != 1 or y.shape != errors.shape or not (errors[known] > 0).all():
        raise DataError("se must hold one number above 0 for each of the estimates.")
    shrunk, shrunk_se = y.copy(), np.where(known, errors, np.nan)
    if known.sum() < 3:
        weight = 1 / shrunk_se[known] ** 2
        mean = float(weight @ y[known] / weight.sum()) if known.any() else np.nan
        return Shrunk(shrunk, shrunk_se, mean, np.nan)
    y, squared = y[known], errors[known] ** 2
    nodes, weights = _quadrature()
    scale = np.sqrt(1 / np.mean(1 / squared) + y.var())
    tau = scale * nodes[:, None] / (1 - nodes[:, None])
    variance = squared + tau**2
    precision = (1 / variance).sum(axis=1, keepdims=True)
    centre = (y / variance).sum(axis=1, keepdims=True) / precision
    log_density = -0.5 * (
        np.log(variance).sum(axis=1)
        + np.log(precision[:, 0])
        + ((y - centre) ** 2 / variance).sum(axis=1)
    )
    density = weights / (1 - nodes) ** 2 * np.exp(log_density - log_density.max())
    density /= density.sum()
    pull = squared / variance
    means = y + pull * (centre - y)
    within = pull * tau**2 + pull**2 / precision
    shrunk[known] = density @ means
    shrunk_se[known] = np.sqrt(density @ (within + (means - shrunk[known]) ** 2))
    spread = np.interp(0.5, density.cumsum() - density / 2, tau[:, 0])
    return Shrunk(shrunk, shrunk_se, float(density @ centre[:, 0]), float(spread))


@cache
def _quadrature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes between 0 and 1 and their weights."""
    nodes, weights = leggauss(NODES)
    return (1 + nodes) / 2, weights / 2
