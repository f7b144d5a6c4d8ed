"""Means, shares and medians by segment, and their distances from all customers, with intervals."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from custseg.stats import mean_interval, wilson

Vector = NDArray[np.float64]
Codes = NDArray[np.integer]
Triple = tuple[Vector, Vector, Vector]


class Sample(NamedTuple):
    """The customers who have a value: it, their weight and their segment, of ``k``."""

    x: Vector
    w: Vector
    codes: Codes
    k: int

    def sums(self, values: Vector) -> Vector:
        """Sum something over the customers of each segment."""
        return np.asarray(np.bincount(self.codes, weights=values, minlength=self.k), dtype=float)


class Moments(NamedTuple):
    """By group: customers, weight, mean, standard deviation, and standard error of the mean.

    ``equal`` is the number of equal weights that the weights are worth (Kish), ``size`` the number
    of equally weighted customers that the error of a share amounts to.
    """

    n: Vector
    weight: Vector
    mean: Vector
    sd: Vector
    se: Vector
    equal: Vector
    size: Vector


def moments(sample: Sample) -> Moments:
    """Return the moments of each segment.

    The squared error of a mean is the sum of squared weighted residuals, each over 1 minus its
    customer's share of the weights (HC2), which without weights is the usual one.
    """
    n, weight = sample.sums(np.ones(len(sample.x))), sample.sums(sample.w)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sample.sums(sample.w * sample.x) / weight
        away = (sample.x - mean[sample.codes]) ** 2
        spread = sample.sums(sample.w * away) / weight
        squares = sample.w**2 * away
        plain = sample.sums(squares) / weight**2
        leverage = sample.w / weight[sample.codes]
        error = sample.sums(squares / np.where(leverage < 1, 1 - leverage, np.nan)) / weight**2
        equal = weight**2 / sample.sums(sample.w**2)
        size = np.where(plain > 0, spread / plain, equal)
        sd = np.sqrt(spread * np.where(n > 1, n / (n - 1), np.nan))
    return Moments(n, weight, mean, sd, np.sqrt(error), equal, size)


def values_with_intervals(found: Moments, level: float, *, is_share: bool) -> Triple:
    """Return means with Student's t intervals, or shares with Wilson's."""
    if is_share:
        share = np.clip(found.mean, 0, 1)
        low, high = wilson(np.nan_to_num(share) * found.size, found.size, level=level)
    else:
        low, high = mean_interval(
            found.mean, found.se * np.sqrt(found.equal), found.equal, level=level
        )
    return found.mean, low, high


def one_group(
    x: NDArray[Any], w: Vector, level: float, *, is_share: bool
) -> tuple[float, float, float]:
    """Return the mean of some customers, or the share of those with a 1, with its interval."""
    sample = Sample(np.asarray(x, dtype=float), w, np.zeros(len(x), dtype=int), 1)
    value, low, high = values_with_intervals(moments(sample), level, is_share=is_share)
    return float(value[0]), float(low[0]), float(high[0])


def quartiles(x: Vector, w: Vector) -> tuple[float, float]:
    """Return the bounds of the middle half: values that are there, or halfway between two."""
    order = np.argsort(x)
    below = np.cumsum(w[order]) / w.sum()
    low, high = (sum(_at(x[order], below, share)) / 2 for share in (0.25, 0.75))
    return low, high


def medians(sample: Sample, level: float) -> Triple:
    """Return the median of each segment between two of its values.

    The bounds are the values whose ranks leave out a binomial tail on either side; with weights,
    ranks are sums of weights, of as many equal ones as the weights are worth. NaN where a segment
    is too small for any two values to hold the median this surely.
    """
    order = np.argsort(sample.x)
    codes = sample.codes.astype(np.min_scalar_type(sample.k))
    order = order[np.argsort(codes[order], kind="stable")]
    ends = np.cumsum(np.bincount(sample.codes, minlength=sample.k))
    with np.errstate(invalid="ignore"):
        worth = sample.sums(sample.w) ** 2 / sample.sums(sample.w**2)
    worth = np.floor(np.round(np.nan_to_num(worth), 9))
    tails = stats.binom.ppf((1 - level) / 2, worth, 0.5) / np.maximum(worth, 1)
    found = np.full((3, sample.k), np.nan)
    for segment, rows in enumerate(np.split(order, ends[:-1])):
        if len(rows):
            x, w, tail = sample.x[rows], sample.w[rows], tails[segment]
            below = np.cumsum(w) / w.sum()
            found[0, segment] = sum(_at(x, below, 0.5)) / 2
            if tail > 0:
                found[1:, segment] = _at(x, below, tail)[0], _at(x, below, 1 - tail)[1]
    return found[0], found[1], found[2]


def _at(x: Vector, below: Vector, share: float) -> tuple[float, float]:
    """Return the sorted values that a share of the weight lies between."""
    left = min(int(np.searchsorted(below, share - 1e-12)), len(x) - 1)
    right = min(int(np.searchsorted(below, share + 1e-12)), len(x) - 1)
    return float(x[left]), float(x[right])


def distances(
    sample: Sample, found: Moments, level: float, *, is_share: bool
) -> tuple[Triple, Triple]:
    """Return the index (over the average, 1 for equal) and the standardised difference.

    Both are ratios in which the segment is a part of the average, and sizes, means and the
    standard deviation vary together from sample to sample. Numbers: linearised over customers, the
    index on the logarithmic scale. Shares: the distances of Wilson's bounds, squared and added.
    """
    if is_share:
        return _share_distances(sample, found, level)
    return _number_distances(sample, found, level)


def _number_distances(sample: Sample, found: Moments, level: float) -> tuple[Triple, Triple]:
    whole = moments(sample._replace(codes=np.zeros(len(sample.x), dtype=int), k=1))
    mean, sd = float(whole.mean[0]), float(whole.sd[0])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = (sample.x - mean) / sd
        term, sums = sample.w**2, []
        for _ in range(5):
            sums.append(sample.sums(term))
            term = term * z
        powers = np.stack(sums, axis=1)
        part, d = found.weight / sample.w.sum(), (found.mean - mean) / sd
        free = np.where(found.n > 1, found.equal - 1, np.nan)
        scale = np.sqrt(found.equal / free) / sample.w.sum()
        half = stats.t.isf((1 - level) / 2, free) * scale
        zero = np.zeros_like(d)
        own = np.stack([-d / part + d / 2, 1 / part - 1, -d / 2], axis=1)
        other = np.stack([d / 2, zero - 1, -d / 2], axis=1)
        reach = half * np.sqrt(_squares(powers, own, other))
        own = np.stack(
            [-sd * d / part / found.mean, sd * (1 / part / found.mean - 1 / mean), zero], axis=1
        )
        other = np.stack([zero, zero - sd / mean, zero], axis=1)
        factor = np.exp(half * np.sqrt(_squares(powers, own, other)))
        index = found.mean / mean
        low, high = index / factor, np.minimum(index * factor, 1 / part)
    return (index, low, high), (d, d - reach, d + reach)


def _squares(
    powers: NDArray[np.float64], own: NDArray[np.float64], other: NDArray[np.float64]
) -> Vector:
    """Return the sum over customers of a squared polynomial, another one in the own segment.

    Parameters
    ----------
    powers
        By segment, the sums of squared weights times the powers 0 to 4.
    own, other
        By segment, the coefficients 0 to 2 inside it and outside.
    """
    rest = powers.sum(axis=0) - powers
    total = np.zeros(len(powers))
    for first in range(3):
        for second in range(3):
            total += own[:, first] * own[:, second] * powers[:, first + second]
            total += other[:, first] * other[:, second] * rest[:, first + second]
    return np.maximum(total, 0)


def _share_distances(sample: Sample, found: Moments, level: float) -> tuple[Triple, Triple]:
    total = sample.w.sum()
    squared = sample.w**2
    ones, all_ = sample.sums(squared * sample.x), sample.sums(squared)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = found.weight / total
        hits = sample.w @ sample.x
        rest = np.clip((hits - found.weight * found.mean) / (total - found.weight), 0, 1)
        rest = np.where(part < 1 - 1e-12, rest, found.mean)
        ones, all_ = ones.sum() - ones, all_.sum() - all_
        error = (ones * (1 - 2 * rest) + all_ * rest**2) / (total - found.weight) ** 2
        kish = (total - found.weight) ** 2 / all_
        size = np.where(error > 1e-15, rest * (1 - rest) / error, kish)
        effective = total**2 / squared.sum()
        shares = np.stack([found.mean, rest, part])
        sizes = np.stack([found.size, size, np.full_like(part, effective)])
        bounds = wilson(
            np.clip(np.nan_to_num(shares), 0, 1) * np.nan_to_num(sizes), sizes, level=level
        )
        away = np.nan_to_num(np.stack([shares - bounds[0], bounds[1] - shares]))
        mean = part * found.mean + (1 - part) * rest
        gap, sd = found.mean - rest, np.sqrt(mean * (1 - mean))
        index, d = found.mean / mean, (1 - part) * gap / sd
        slopes = np.stack([(1 - part) * rest, -(1 - part) * found.mean, -found.mean * gap])
        index_slopes = slopes / mean**2
        bend = d * (1 - 2 * mean) / (2 * sd**2)
        d_slopes = np.stack(
            [
                (1 - part) / sd - bend * part,
                -(1 - part) / sd - bend * (1 - part),
                -gap / sd - bend * gap,
            ]
        )
    low, high = _square_and_add(index, index_slopes, away)
    return (index, np.maximum(low, 0), high), (d, *_square_and_add(d, d_slopes, away))


def _square_and_add(
    value: Vector, slopes: NDArray[np.float64], away: NDArray[np.float64]
) -> tuple[Vector, Vector]:
    """Return bounds from the distances of the bounds of independent parts, below and above."""
    down = np.where(slopes > 0, away[0], away[1])
    up = np.where(slopes > 0, away[1], away[0])
    low, high = (np.sqrt(((slopes * part) ** 2).sum(axis=0)) for part in (down, up))
    return value - low, value + high
