"""Boundaries of a test that is looked at more than once: how far out, at each look."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, zeta

from custseg.stats import score_statistic

_FAR = 8.5  # standard deviations beyond which the normal distribution has nothing
_NODES_PER_SD = 4
_LEAST_NODES = 48
_HALVINGS = 50
_ETA, _S = 2.0, 1.4  # of the stitched boundary


def spent_obrien_fleming(time: np.ndarray, alpha: float, *, sides: int) -> np.ndarray:
    """Return the alpha spent by a share of the information, late as by O'Brien and Fleming."""
    return 2 * sides * ndtr(ndtri(alpha / sides / 2) / np.sqrt(time))


def spent_pocock(time: np.ndarray, alpha: float, *, sides: int) -> np.ndarray:
    """Return the alpha spent by a share of the information, nearly evenly as by Pocock."""
    per_side = alpha / sides
    return sides * per_side * np.log1p(np.expm1(1.0) * time)


SPENDING: Mapping[str, Callable[..., np.ndarray]] = {
    "obrien_fleming": spent_obrien_fleming,
    "pocock": spent_pocock,
}
CONSTANT: Mapping[str, float] = {"classic_obrien_fleming": 0.0, "classic_pocock": 0.5}
"""Families with one constant: the z-boundary is constant * time ** (power - 1/2)."""


class Walk:
    """A Brownian motion with drift, seen at some times, that ends where it crosses a boundary.

    Holds the density of where it is at the last look, given that it has not crossed, on the nodes
    of a Gauss-Legendre rule (Armitage, McPherson and Rowe, 1969).
    """

    def __init__(self, *, sides: int, drift: float = 0.0) -> None:
        self.sides, self.drift = sides, drift
        self.time = 0.0
        self.at, self.mass = np.zeros(1), np.ones(1)

    def crossing(self, time: float, z: float) -> tuple[float, float]:
        """Return the chances to cross the upper and the lower boundary first at this look."""
        sd, edge = np.sqrt(time - self.time), z * np.sqrt(time)
        moved = self.at + self.drift * (time - self.time)
        upper = self.mass @ ndtr((moved - edge) / sd)
        lower = self.mass @ ndtr((-edge - moved) / sd) if self.sides == 2 else 0.0
        return float(upper), float(lower)

    def step(self, time: float, z: float, *, next_gap: float) -> None:
        """Go on where nothing was crossed; `next_gap` is the time to the look after this."""
        sd = np.sqrt(time - self.time)
        far = _FAR * np.sqrt(time) + abs(self.drift) * time
        top = min(z * np.sqrt(time), far)
        low = -top if self.sides == 2 else -far
        n = _LEAST_NODES + int(_NODES_PER_SD * (top - low) / np.sqrt(min(next_gap, sd**2)))
        nodes, weights = _gauss_legendre(n)
        at = low + (nodes + 1) * (top - low) / 2
        moved = self.at + self.drift * (time - self.time)
        density = np.exp(-(((at[:, None] - moved) / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi))
        self.mass = density @ self.mass * weights * (top - low) / 2
        self.at, self.time = at, time


@lru_cache(maxsize=64)
def _gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(n)


def crossing_chances(
    times: ArrayLike, z: ArrayLike, *, sides: int, drift: float = 0.0
) -> np.ndarray:
    """Return the chances to cross first at each look, above and below, (looks, 2)."""
    times, z = np.asarray(times, dtype=float), np.asarray(z, dtype=float)
    walk = Walk(sides=sides, drift=drift)
    found = []
    for k, (time, bound) in enumerate(zip(times, z, strict=True)):
        found.append(walk.crossing(time, bound))
        if k + 1 < len(times):
            walk.step(time, bound, next_gap=times[k + 1] - time)
    return np.array(found)


@lru_cache(maxsize=1024)
def spending_boundaries(
    times: tuple[float, ...], spent: tuple[float, ...], sides: int
) -> np.ndarray:
    """Return z-boundaries whose crossing under no effect has the chances that are to be spent.

    Parameters
    ----------
    times
        The share of the information at each look, rising.
    spent
        The alpha that is spent by then, on all sides.
    sides
        1 or 2.

    Returns
    -------
    numpy.ndarray
        One boundary per look; infinite where there is next to nothing to spend.
    """
    walk = Walk(sides=sides)
    z = np.full(len(times), np.inf)
    before = 0.0
    for k, (time, by_now) in enumerate(zip(times, spent, strict=True)):
        if by_now - before > 1e-14:
            z[k] = _boundary(walk, time, by_now - before)
            before = by_now
        if k + 1 < len(times):
            walk.step(time, z[k], next_gap=times[k + 1] - time)
    return z


def _boundary(walk: Walk, time: float, to_spend: float) -> float:
    def missing(bound: float) -> float:
        return sum(walk.crossing(time, bound)) - to_spend

    # whoever has nearly crossed before leaves more than there is to spend only below 0
    return brentq(missing, 0.0, _FAR, xtol=1e-10) if missing(0.0) > 0 else 0.0


def constant_boundaries(times: np.ndarray, alpha: float, *, power: float, sides: int) -> np.ndarray:
    """Return the z-boundaries constant * time ** (power - 1/2) that are crossed with chance alpha.

    References
    ----------
    Wang, S. K. and Tsiatis, A. A. (1987), Biometrics 43, 193-199.
    """
    shape = (times / times[-1]) ** (power - 0.5)

    def missing(constant: float) -> float:
        return crossing_chances(times, constant * shape, sides=sides).sum() - alpha

    single = -float(ndtri(alpha / sides))
    return brentq(missing, single * 0.999, single + 5, xtol=1e-10) * shape


def drift_for(times: np.ndarray, z: np.ndarray, power: float, *, sides: int) -> float:
    """Return the mean of z at the full information with which the upper boundary is crossed."""

    def missing(drift: float) -> float:
        return crossing_chances(times, z, sides=sides, drift=drift)[:, 0].sum() - power

    return brentq(missing, 0.0, 12.0, xtol=1e-9)


def mixture_bound(clock: np.ndarray, alpha: float) -> np.ndarray:
    """Return how many standard errors wide a normal-mixture sequence is on either side.

    Parameters
    ----------
    clock
        The prior variance of the effect over its squared standard error so far.
    alpha
        The chance that the truth is ever outside.
    """
    with np.errstate(divide="ignore"):
        return np.sqrt((1 + 1 / clock) * (np.log1p(clock) - 2 * np.log(alpha)))


def mixture_p_value(clock: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return one over the likelihood ratio of a normal mixture of effects against none."""
    return np.minimum(1, np.sqrt(1 + clock) * np.exp(-(z**2) / 2 * clock / (1 + clock)))


def mixture_clock(alpha: float) -> float:
    """Return the clock at which a normal mixture is the narrowest it can be."""
    return -2 * np.log(alpha) + np.log1p(-2 * np.log(alpha))


def stitched_bound(clock: np.ndarray, alpha: float) -> np.ndarray:
    """Return how many standard errors wide a polynomially stitched sequence is on either side.

    Parameters
    ----------
    clock
        The information so far over that at the first look that matters.
    alpha
        The chance that the truth is ever outside.
    """
    late = np.maximum(clock, 1)
    size = _S * np.log(np.log(_ETA * late)) + np.log(2 * zeta(_S) / (alpha * np.log(_ETA) ** _S))
    return _stitch() * np.sqrt(size * late / clock)


def stitched_p_value(clock: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the alpha of the stitched sequence that has its end at 0."""
    late = np.maximum(clock, 1)
    scale = 2 * zeta(_S) / np.log(_ETA) ** _S * np.log(_ETA * late) ** _S
    return np.minimum(1, scale * np.exp(-((z / _stitch()) ** 2) * clock / late))


def _stitch() -> float:
    return (_ETA**0.25 + _ETA**-0.25) / np.sqrt(2)


def score_interval(
    x_t: np.ndarray, n_t: np.ndarray, x_c: np.ndarray, n_c: np.ndarray, bound: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences of two proportions that the score statistic keeps inside a boundary.

    Missing where the boundary is.
    """
    known = ~np.isnan(bound)
    tables = x_t[known], n_t[known], x_c[known], n_c[known]
    difference = tables[0] / tables[1] - tables[2] / tables[3]
    ends = np.full((2, *bound.shape), np.nan)
    for end, edge in zip(ends, (-1.0, 1.0), strict=True):
        inner, outer = difference, np.full(difference.shape, edge)
        for _ in range(_HALVINGS):
            middle = (inner + outer) / 2
            outside = -edge * score_statistic(*tables, middle) > bound[known]
            inner, outer = np.where(outside, inner, middle), np.where(outside, middle, outer)
        end[known] = (inner + outer) / 2
    return ends[0], ends[1]
