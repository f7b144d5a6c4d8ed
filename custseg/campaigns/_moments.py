"""Estimates from moments: means and ratios by arm, moved along within-arm slopes (CUPED)."""

from typing import NamedTuple

import numpy as np

_COLLINEAR = 1e-10


class Moments(NamedTuple):
    """Sufficient statistics of p columns by group of customers (G) and arm (A, control first).

    `groups` are their names; `third` covers the first k columns, where a metric asks for it;
    `values` holds the rows of each group and arm, (n, p), in an order of their own, where it asks
    for those; `capped` the cap of a winsorised outcome and how many customers are above.
    """

    n: np.ndarray  # (G, A) customers
    mean: np.ndarray  # (G, A, p)
    cross: np.ndarray  # (G, A, p, p) sums of products of deviations from the mean
    third: np.ndarray | None = None  # (G, A, k, k, k) the same of three deviations
    groups: tuple[str, ...] = ()
    values: list[list[np.ndarray]] | None = None
    capped: tuple[float, int] | None = None


def merged(
    n: np.ndarray, mean: np.ndarray, cross: np.ndarray, third: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the moments of several cells together, from those of each (cells on the first axis).

    Deviations from the common mean are added to those from the mean of each cell, so that no large
    numbers are subtracted (Chan, Golub and LeVeque, 1983).
    """
    known = n > 0
    n, mean, cross, third = n[known], mean[known], cross[known], third[known]
    size = n.sum()
    together = n @ mean / size if size else np.full(mean.shape[1], np.nan)
    d = mean - together
    k = third.shape[-1]
    e, within = d[:, :k], cross[:, :k, :k]
    outer = np.einsum("c,ci,cj,ch->ijh", n, e, e, e) + third.sum(axis=0)
    for letters in ("ci,cjh->ijh", "cj,cih->ijh", "ch,cij->ijh"):
        outer += np.einsum(letters, e, within)
    return size, together, cross.sum(axis=0) + np.einsum("c,ci,cj->ij", n, d, d), outer


class Estimates(NamedTuple):
    """Adjusted estimates of every arm in every group."""

    value: np.ndarray  # (G, A)
    variance: np.ndarray  # (G, A) squared standard errors
    df: np.ndarray  # (G, A)
    slope: np.ndarray  # (G, c) of the covariates
    explained: float  # share of everybody's variance within arms; NaN if nothing varies
    skewness: np.ndarray  # (G, A) of what is averaged; NaN where unknown


def estimates(moments: Moments, value: np.ndarray, weights: np.ndarray) -> Estimates:
    """Return estimates whose influence on each customer is linear in the first k columns.

    Parameters
    ----------
    moments
        Of k columns and then c covariates.
    value
        The estimate of each arm without adjustment, (G, A).
    weights
        What a unit of each of the k columns adds to a customer's influence, (G, A, k): 1 for a
        mean; (1, -ratio) / denominator for a ratio, by the delta method.

    Returns
    -------
    Estimates
        Each arm is moved along the pooled within-arm slope to the covariate means of everybody in
        the group; the slope is taken as known.
    """
    n, cross = moments.n, moments.cross
    k = weights.shape[-1]
    spread = np.einsum("gai,gaij,gaj->ga", weights, cross[..., :k, :k], weights)
    slope = np.zeros((len(n), cross.shape[-1] - k))
    explained = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        if slope.shape[1]:
            shared = np.einsum("gai,gaic->gac", weights, cross[..., :k, k:])
            inner = cross[..., k:, k:]
            slope = _slopes(np.nansum(inner, axis=1), np.nansum(shared, axis=1))
            value = value - np.einsum("gac,gc->ga", _away(n, moments.mean[..., k:]), slope)
            total, gained = np.nansum(spread[0]), np.nansum(shared[0], axis=0) @ slope[0]
            explained = float(gained / total) if total > 0 and slope[0].any() else np.nan
            spread = (
                spread
                - 2 * np.einsum("gac,gc->ga", shared, slope)
                + np.einsum("gc,gacd,gd->ga", slope, inner, slope)
            )
        df = n - 1
        variance = np.maximum(spread, 0) / df / n
    return Estimates(value, variance, df, slope, explained, _skewness(moments, weights))


def _slopes(inner: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Solve for the slopes (G, c); a covariate that does not vary, or repeats others, adds none."""
    scale = np.sqrt(np.einsum("gcc->gc", inner))
    scale = np.where(scale > 0, scale, 1)
    correlations = inner / (scale[:, :, None] * scale[:, None, :])
    inverse = np.linalg.pinv(correlations, rcond=_COLLINEAR, hermitian=True)
    return np.einsum("gcd,gd->gc", inverse, shared / scale) / scale


def _away(n: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return how far the means of each arm (G, A, c) are from those of everybody."""
    everybody = np.nansum(n[..., None] * mean, axis=1) / n.sum(axis=1)[:, None]
    return mean - everybody[:, None]


def _skewness(moments: Moments, weights: np.ndarray) -> np.ndarray:
    if moments.third is None:
        return np.full(moments.n.shape, np.nan)
    k = weights.shape[-1]
    third = np.einsum("gaijl,gai,gaj,gal->ga", moments.third, weights, weights, weights)
    spread = np.einsum("gai,gaij,gaj->ga", weights, moments.cross[..., :k, :k], weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(moments.n) * third / np.where(spread > 0, spread, np.nan) ** 1.5
