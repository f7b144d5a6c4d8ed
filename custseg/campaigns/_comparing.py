"""What metrics share: declarations, comparisons of estimates, and what is said about them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from custseg.campaigns._moments import Estimates, Moments
from custseg.errors import ParameterError, check_number, check_option
from custseg.stats import (
    Difference,
    Margins,
    Posterior,
    margin_test,
    normal_posterior,
    relative_difference,
    welch,
)

RELATIVE = ("delta", "log", "fieller")
BETTER = ("higher", "lower")
_Z = float(stats.norm.isf(0.025))
_SHIFTED = 0.25  # standard errors by which an interval may lie to one side
_SURE_CONTROL = 2
_PER_COVARIATE = 20
_SKEWED_IF_ALIKE, _SKEWED, _SKEWED_ALONE = 0.15, 0.5, 0.25
FEW = 5


class Comparison(NamedTuple):
    """Treatment arms against control: every array is (G, A - 1)."""

    control: np.ndarray
    treatment: np.ndarray
    difference: Difference
    relative: Difference
    margins: Margins | None = None


def listed(covariate: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of covariates, however they were given."""
    if covariate is None:
        return ()
    return (covariate,) if isinstance(covariate, str) else tuple(covariate)


def check_columns_given(outcomes: Mapping[str, object], covariate: object) -> None:
    """Refuse columns that are no names, repeated covariates, and covariates that are outcomes.

    Raises
    ------
    ParameterError
        Naming the parameter and what it must be.
    """
    for what, value in outcomes.items():
        _check_name(value, what)
    if covariate is None:
        return
    if not isinstance(covariate, str | list | tuple) or not covariate:
        raise ParameterError(
            f"covariate is {covariate!r}, but must be the name of a column, or a list of names."
        )
    names = listed(covariate)
    for name in names:
        _check_name(name, "covariate")
        if name in outcomes.values():
            raise ParameterError(
                f"covariate is {name!r}, the outcome itself. Name a column that was known before "
                "the campaign."
            )
        if names.count(name) > 1:
            raise ParameterError(f"covariate names {name!r} twice. Name each column once.")


def check_comparison(
    relative: str, margin: float | None, better: str, *, ways: Sequence[str] = RELATIVE
) -> None:
    """Refuse options of a comparison that do not exist; `ways` are those of the relative effect.

    Raises
    ------
    ParameterError
        Naming the parameter and its options or bounds.
    """
    check_option(relative, "relative", ways)
    check_option(better, "better", BETTER)
    if margin is not None:
        check_number(margin, "margin", gt=0)


def by_welch(found: Estimates, *, relative: str, margin: float | None) -> Comparison:
    """Compare estimates of independent arms by Welch's t."""
    control, treatment = np.broadcast_arrays(found.value[:, :1], found.value[:, 1:])
    a, b = found.variance[:, :1], found.variance[:, 1:]
    df_a, df_b = found.df[:, :1], found.df[:, 1:]
    difference = welch(control, treatment, a, b, df_a, df_b)
    over = relative_difference(control, treatment, a, b, df_a, df_b, method=relative)
    margins = None
    if margin is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            df = (a + b) ** 2 / (a**2 / df_a + b**2 / df_b)
        margins = margin_test(difference.effect, difference.se, margin, df)
    return Comparison(control, treatment, difference, over, margins)


def normal_beliefs(found: Estimates, *, better: str) -> Posterior:
    """Return what estimates with normal errors say of every arm, under a flat prior."""
    return normal_posterior(found.value, np.sqrt(found.variance), better=better)


def pairs(
    moments: Moments, slope: np.ndarray | None = None
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Yield group, treatment arm and the outcomes of control and that arm, where both have two.

    With `slope` (G, c), outcomes are moved to the covariate means of everybody in the group.
    """
    for g, arms in enumerate(moments.values or []):
        moved = [rows[:, 0] for rows in arms]
        if slope is not None and slope.shape[1]:
            centre = np.concatenate(arms)[:, 1:].mean(axis=0)
            moved = [rows[:, 0] - (rows[:, 1:] - centre) @ slope[g] for rows in arms]
        for a in range(1, len(arms)):
            if min(len(moved[0]), len(moved[a])) >= 2:
                yield g, a, moved[0], moved[a]


def gain_remarks(name: str, covariates: tuple[str, ...], found: Estimates) -> list[str]:
    """Say how much of the variance the covariates take away from everybody."""
    if not covariates:
        return []
    together = " and ".join(covariates)
    if not found.explained >= 0:
        return [f"{name}: {together} or the outcome does not vary: no adjustment."]
    narrower = 1 - np.sqrt(1 - min(found.explained, 1))
    worth = "next to nothing" if narrower < 0.01 else f"intervals {narrower:.0%} narrower"
    taken = f"takes away {found.explained:.2%} of the variance within arms, {worth}"
    return [f"{name}: adjusting for {together} {taken}."]


def thin_remarks(name: str, covariates: tuple[str, ...], moments: Moments) -> list[str]:
    """Say where there are too few customers to take so many slopes as known."""
    smallest = np.where(moments.n > 0, moments.n, np.inf).min(axis=1)
    least = _PER_COVARIATE * len(covariates)
    return said_where(
        moments,
        smallest < least,
        f"{name}: {{}} an arm has fewer than {least} customers, too few to take slopes as known: "
        "intervals may cover less than 95%.",
    )


def skew_remarks(name: str, moments: Moments, found: Estimates, *, remedy: str) -> list[str]:
    """Say where an outcome is too skewed for an interval by Student's t."""
    if np.isnan(found.skewness).all():
        return []
    return said_where(
        moments,
        skewed(moments.n, found).any(axis=1),
        f"{name}: {{}} the outcome is very skewed for so few customers in arms so unequal: "
        f"intervals may cover less than 95%. {remedy}",
    )


def skewed(n: np.ndarray, found: Estimates) -> np.ndarray:
    """Return where the difference of two means is skewed, (G, A - 1).

    Skewness cancels between arms of one size. That of the smaller arm is least known, and small
    where its interval is wrong because a large order is missing: so both arms are supposed to have
    the larger one. What the arms themselves say counts where it says much.
    """
    enough = (n[:, :1] >= 2) & (n[:, 1:] >= 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = np.nan_to_num(np.abs(found.skewness)).max(axis=1, keepdims=True)
        n_c, n_t = n[:, :1], n[:, 1:]
        alike = g * np.abs(n_c - n_t) / np.sqrt(n_c * n_t * (n_c + n_t))
        third = found.skewness * found.variance**1.5 / np.sqrt(n)
        both = found.variance[:, :1] + found.variance[:, 1:]
        own = np.abs(third[:, 1:] - third[:, :1]) / both**1.5
        still = (found.variance[:, :1] == 0) != (found.variance[:, 1:] == 0)
    return enough & ((alike > _SKEWED_IF_ALIKE) | (own > _SKEWED) | still)


def relative_remarks(
    name: str,
    moments: Moments,
    method: str,
    value: np.ndarray,
    variance: np.ndarray,
    skewness: np.ndarray,
    *,
    estimated: bool = True,
    remedy: str = "",
) -> list[str]:
    """Say where the interval of the relative effect may fall short.

    Parameters
    ----------
    name, moments
        The metric, its data.
    method
        Of the interval.
    value, variance, skewness
        The estimates, their squared standard errors, the skewness of what is averaged, (G, A).
    estimated
        Whether the skewness is an estimate: then a mean that is skewed by itself is doubted too.
    remedy
        What assumes less.
    """
    shift = _relative_shift(method, moments.n, value, variance, skewness)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (value[:, :1] != 0) & (variance[:, :1] + variance[:, 1:] > 0)
        unsure = np.abs(value[:, 0]) < _SURE_CONTROL * np.sqrt(variance[:, 0])
        doubted = ~(np.abs(shift) <= _SHIFTED)
        if estimated and method != "fieller":
            least = np.minimum(moments.n[:, :1], moments.n[:, 1:])
            doubted |= np.abs(skewness[:, 1:]) > _SKEWED_ALONE * np.sqrt(least)
    notes = said_where(
        moments,
        (known & doubted).any(axis=1),
        f"{name}: {{}} estimates are too uncertain or too skewed for the {method} interval of the "
        f"relative effect: it may cover less than 95%.{remedy}",
    )
    if method == "fieller":
        notes += said_where(
            moments,
            unsure & (value[:, 0] != 0),
            f"{name}: {{}} control is less than {_SURE_CONTROL} standard errors from 0: the "
            "interval of the relative effect may have no end.",
        )
    return notes


def estimate_remarks(
    name: str, moments: Moments, found: Estimates, method: str, *, remedy: str
) -> list[str]:
    """Say where an outcome is too skewed for its interval, and for that of the relative effect."""
    return skew_remarks(name, moments, found, remedy=remedy) + relative_remarks(
        name,
        moments,
        method,
        found.value,
        found.variance,
        _larger_skewness(found.skewness),
        remedy=" relative='log' assumes less." if method == "delta" else "",
    )


def _relative_shift(
    method: str, n: np.ndarray, value: np.ndarray, variance: np.ndarray, skewness: np.ndarray
) -> np.ndarray:
    """Return by how many standard errors an interval of a ratio lies to one side, (G, A - 1).

    The first term of the Edgeworth expansion of the interval's statistic at its ends: skewness of
    what is averaged, and for the delta method the curvature of the ratio, or of its logarithm.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        own = variance / value**2
        third = np.sign(value) * skewness * own**1.5 / np.sqrt(n)
        v_c, v_t = own[:, :1], own[:, 1:]
        error = np.sqrt(v_c + v_t)
        shift = (2 * _Z**2 + 1) / 6 * (third[:, 1:] - third[:, :1]) / error**3
        if method == "delta":
            shift += _Z**2 * v_c / error
        elif method == "log":
            shift -= _Z**2 / 2 * (v_t - v_c) / error
    return np.asarray(shift)


def _larger_skewness(skewness: np.ndarray) -> np.ndarray:
    """Return for every arm the larger skewness of all in its group, as that of few is too small."""
    known = np.nan_to_num(skewness)
    place = np.abs(known).argmax(axis=1, keepdims=True)
    return np.broadcast_to(np.take_along_axis(known, place, axis=1), known.shape)


def few_expected(
    x_t: np.ndarray, n_t: np.ndarray, x_c: np.ndarray, n_c: np.ndarray, *, least: int = FEW
) -> np.ndarray:
    """Return where fewer successes or failures than that are expected in an arm (Cochran's 5)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (x_t + x_c) / (n_t + n_c)
        rare = np.minimum(pooled, 1 - pooled)
        return np.asarray(rare * np.minimum(n_t, n_c) < least)


def said_where(moments: Moments, groups: ArrayLike, words: str) -> list[str]:
    """Return `words` with ``{}`` replaced by the groups that are marked, nothing if none is."""
    names = [moments.groups[g] if moments.groups else str(g) for g in np.flatnonzero(groups)]
    if not names:
        return []
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return [words.format(f"in {shown}")]


def _check_name(value: object, what: str) -> None:
    if not isinstance(value, str) or not value:
        raise ParameterError(f"{what} is {value!r}, but must be the name of a column.")
