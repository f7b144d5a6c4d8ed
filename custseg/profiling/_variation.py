"""How much of the variation of customers lies between their segments."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from custseg.profiling._clusterings import Codes, Matrix

Vector = NDArray[np.float64]


class Variation(NamedTuple):
    """Covariance of customers, the part of it within segments, and the shape of what is there.

    By column: ``eta2``, the share between segments; ``skewness`` and excess ``kurtosis`` within
    them. ``within`` (rising) and ``directions`` say how uncorrelated directions divide:
    ``directions`` (columns x rank) times its transpose is the covariance, and a direction's share
    within segments is its ``within``.
    """

    eta2: Vector
    skewness: Vector
    kurtosis: Vector
    within: Vector
    directions: Matrix

    @property
    def wilks(self) -> float:
        """Wilks' lambda: the generalised variance within segments over the whole one."""
        return float(np.prod(self.within))


def variation(matrix: Matrix, codes: Codes) -> Variation:
    """Return how the variation divides; constant and redundant columns have no direction.

    Parameters
    ----------
    matrix
        Customers x columns.
    codes
        The segment of each customer; those of -1 count as one more.
    """
    n = len(matrix)
    centred = matrix - matrix.mean(axis=0)
    residuals = _residuals(centred, codes)
    total, inside = (part.T @ part / (n - 1) for part in (centred, residuals))
    values, vectors = np.linalg.eigh(total)
    kept = values > max(values.max(), 0) * 1e-10
    root = vectors[:, kept] * np.sqrt(values[kept])
    whiten = vectors[:, kept] / np.sqrt(values[kept])
    within, turn = np.linalg.eigh(whiten.T @ inside @ whiten)
    spread, own = np.diag(total).copy(), np.diag(inside) * (n - 1) / n
    spread[spread <= 0] = np.nan
    own = np.where(own > 1e-24 * spread, own, np.nan)
    square = residuals * residuals
    skewness = (square * residuals).mean(axis=0) / own**1.5
    kurtosis = (square * square).mean(axis=0) / own**2 - 3
    eta2 = 1 - np.diag(inside) / spread
    return Variation(eta2, skewness, kurtosis, np.clip(within, 0, 1), root @ turn)


def _residuals(matrix: Matrix, codes: Codes) -> Matrix:
    """Return customers minus the mean of their segment."""
    shifted = codes - codes.min()
    size = np.bincount(shifted)
    sums = np.stack([np.bincount(shifted, weights=column) for column in matrix.T], axis=1)
    return matrix - (sums / np.maximum(size, 1)[:, None])[shifted]


def f_tests(eta2: Vector, n: int, k: int) -> tuple[Vector, Vector]:
    """Return F and its p-value of each column in a one-way analysis of variance."""
    with np.errstate(divide="ignore"):
        statistic = eta2 / (1 - eta2) * (n - k) / (k - 1)
    return statistic, stats.f.sf(statistic, k - 1, n - k)


def wilks_test(wilks: float, n: int, k: int, rank: int) -> tuple[float, float]:
    """Return Rao's F of Wilks' lambda and its p-value, exact for one column or two segments.

    References
    ----------
    Rao, C. R. (1951), Bulletin of the International Statistical Institute 33, 177-180.
    """
    groups = k - 1
    squares = rank**2 + groups**2 - 5
    root = np.sqrt((rank**2 * groups**2 - 4) / squares) if squares > 0 else 1.0
    df_1 = rank * groups
    df_2 = root * (n - 1 - (rank + groups + 1) / 2) - (df_1 - 2) / 2
    if df_2 <= 0:
        return np.nan, np.nan
    with np.errstate(divide="ignore"):
        statistic = (np.float64(wilks) ** (-1 / root) - 1) * df_2 / df_1
    return float(statistic), float(stats.f.sf(statistic, df_1, df_2))


def mean_wilks(n: int, k: int, rank: int) -> float:
    """Return the mean of Wilks' lambda where segments do not differ: a product of beta means."""
    free = n - k - np.arange(rank)
    return float(np.prod(free / (free + k - 1)))
