"""Adjust a family of p-values for how many there are."""

import numpy as np
from numpy.typing import ArrayLike

from custseg.errors import DataError


def holm(p: ArrayLike) -> np.ndarray:
    """Return Holm's step-down adjusted p-values, which control the family-wise error rate.

    Parameters
    ----------
    p
        The p-values of one family, one dimension; missing ones do not count.

    Returns
    -------
    numpy.ndarray
        Adjusted p-values in the order given; NaN where `p` is NaN.

    Raises
    ------
    DataError
        If a p-value is outside 0 to 1.

    References
    ----------
    Holm, S. (1979), Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p, order, ranked = _ranked(p)
    factor = np.arange(len(ranked), 0, -1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(factor * ranked), 1)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> np.ndarray:
    """Return Benjamini-Hochberg adjusted p-values, which control the false discovery rate.

    Parameters
    ----------
    p
        The p-values of one family, one dimension; missing ones do not count.

    Returns
    -------
    numpy.ndarray
        Adjusted p-values in the order given; NaN where `p` is NaN.

    Raises
    ------
    DataError
        If a p-value is outside 0 to 1.

    References
    ----------
    Benjamini, Y. and Hochberg, Y. (1995), JRSS B 57, 289-300.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    array([0.03, 0.04, 0.04])
    """
    p, order, ranked = _ranked(p)
    factor = len(ranked) / np.arange(1, len(ranked) + 1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(np.minimum.accumulate((factor * ranked)[::-1])[::-1], 1)
    return adjusted


def _ranked(p: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the p-values, the positions of the present ones in rising order, and those values."""
    p = np.atleast_1d(np.asarray(p, dtype=float))
    if p.ndim > 1 or (p < 0).any() or (p > 1).any():
        raise DataError("p must be one list of p-values between 0 and 1; missing ones are NaN.")
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    return p, order, p[order]
