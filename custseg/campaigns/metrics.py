"""What a campaign is measured by: which columns a metric reads, how it compares two arms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from scipy import stats

from custseg.campaigns._comparing import (
    FEW,
    RELATIVE,
    Comparison,
    by_welch,
    check_columns_given,
    check_comparison,
    estimate_remarks,
    few_expected,
    gain_remarks,
    listed,
    normal_beliefs,
    pairs,
    relative_remarks,
    said_where,
    skew_remarks,
    thin_remarks,
)
from custseg.campaigns._moments import Estimates, Moments, estimates
from custseg.errors import check_number, check_option
from custseg.results import format_number
from custseg.stats import (
    Difference,
    Margins,
    Posterior,
    barnard,
    beta_binomial,
    bootstrap_difference,
    boschloo,
    fisher,
    koopman,
    miettinen_nurminen,
    newcombe,
    permutation_test,
    relative_difference,
    score_statistic,
    wald,
)

__all__ = ["Comparison", "Mean", "Metric", "Moments", "Proportion"]

_FEW_TO_RESAMPLE = 100
TESTS = ("welch", "permutation", "bootstrap")
INTERVALS: Mapping[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "newcombe": newcombe,
    "miettinen_nurminen": miettinen_nurminen,
    "agresti_caffo": partial(wald, pseudo=1),
    "wald": wald,
}
EXACT: Mapping[str, Callable[..., np.ndarray]] = {
    "fisher": fisher,
    "boschloo": boschloo,
    "barnard": barnard,
}
_UNEQUAL = {"miettinen_nurminen": (2, 1), "newcombe": (12, 1), "score": (2, 2)}
"""Intervals that fall short where one arm is so many times as large as another that expects fewer
successes or failures than that, counted over all outcomes."""


@runtime_checkable
class Metric(Protocol):
    """What a metric must be able to do; it holds no data."""

    binary: ClassVar[bool]
    """Whether its first column must hold 0 and 1 only."""
    third: ClassVar[int]
    """Of how many of its first columns it needs third moments."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads: the outcome, then its covariates."""

    @property
    def winsorize(self) -> float | None:
        """The quantile at which its first column is capped."""

    @property
    def margin(self) -> float | None:
        """The largest difference that does not matter."""

    @property
    def better(self) -> str:
        """Whether ``"higher"`` or ``"lower"`` values are better."""

    @property
    def reads_rows(self) -> bool:
        """Whether moments do not suffice, so that the rows are read once more."""

    def compare(self, moments: Moments) -> Comparison:
        """Compare every treatment arm with control, in every group."""

    def posterior(self, moments: Moments) -> Posterior | None:
        """Return what is believed of every arm, in every group; None where it has no model."""

    def remarks(self, name: str, moments: Moments) -> list[str]:
        """Say what a reader of this metric must know; the first group is everybody."""


@dataclass(frozen=True)
class Proportion:
    """The share of customers with an outcome of 1 (or true).

    Tested with the pooled score test without continuity correction, or by an exact test where fewer
    than 5 successes or failures are expected in an arm; `se` is unpooled. With covariates, the
    share is adjusted, and compared, as by `Mean`.

    Parameters
    ----------
    column
        The column of zeros and ones, or of truth values.
    covariate
        A column known before the campaign, or several.
    interval
        Of the difference: ``"newcombe"`` (hybrid score), ``"miettinen_nurminen"`` (score),
        ``"agresti_caffo"`` or ``"wald"``.
    relative
        The interval of the relative effect: ``"delta"``, ``"log"``, ``"fieller"`` or ``"score"``
        (Koopman's, which keeps its coverage with few successes; not with a covariate).
    margin
        The largest difference that does not matter, above 0 and below 1: tests against it are in
        `impact.margins`.
    better
        Whether ``"higher"`` or ``"lower"`` shares are better.
    exact
        The test of small counts: ``"fisher"`` (given the successes of both arms), or ``"boschloo"``
        or ``"barnard"``, which take them as they may fall and mostly find more. They need seconds
        for each comparison where arms have ten thousand customers.

    Raises
    ------
    ParameterError
        If a parameter is outside its options, or a covariate is the outcome itself.

    References
    ----------
    Newcombe, R. G. (1998), Statistics in Medicine 17, 873-890, method 10; Miettinen, O. and
    Nurminen, M. (1985), Statistics in Medicine 4, 213-226; Agresti, A. and Caffo, B. (2000), The
    American Statistician 54, 280-288.

    Examples
    --------
    >>> Proportion("visit", interval="miettinen_nurminen").columns
    ('visit',)
    """

    column: str
    covariate: str | Sequence[str] | None = None
    interval: str = "newcombe"
    relative: str = "delta"
    margin: float | None = None
    better: str = "higher"
    exact: str = "fisher"
    binary: ClassVar[bool] = True
    third: ClassVar[int] = 0
    winsorize: ClassVar[None] = None
    reads_rows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_columns_given({"column": self.column}, self.covariate)
        check_option(self.interval, "interval", INTERVALS)
        check_option(self.exact, "exact", EXACT)
        ways = RELATIVE if self.covariate is not None else (*RELATIVE, "score")
        check_comparison(self.relative, self.margin, self.better, ways=ways)
        if self.margin is not None:
            check_number(self.margin, "margin", gt=0, lt=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads: the outcome, then its covariates."""
        return (self.column, *listed(self.covariate))

    def compare(self, moments: Moments) -> Comparison:
        """Compare every treatment arm with control, in every group."""
        if self.covariate is not None:
            found = mean_estimates(moments)
            return by_welch(found, relative=self.relative, margin=self.margin)
        n, x = moments.n, _successes(moments)
        tables = x[:, 1:], n[:, 1:], x[:, :1], n[:, :1]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = x / n
            variance = p * (1 - p) / n
        control, treatment = np.broadcast_arrays(p[:, :1], p[:, 1:])
        low, high = INTERVALS[self.interval](*tables)
        unpooled = np.sqrt(variance[:, :1] + variance[:, 1:])
        p_value = _p_value(*tables, exact=EXACT[self.exact])
        difference = Difference(treatment - control, unpooled, low, high, p_value)
        method = "delta" if self.relative == "score" else self.relative
        relative = relative_difference(
            control, treatment, variance[:, :1], variance[:, 1:], method=method
        )
        if self.relative == "score":
            low, high = (bound - 1 for bound in koopman(*tables))
            relative = Difference(*relative[:2], low, high, p_value)
        margins = None
        if self.margin is not None:
            below = stats.norm.sf(score_statistic(*tables, -self.margin))
            above = stats.norm.cdf(score_statistic(*tables, self.margin))
            margins = Margins(below, above, np.maximum(below, above))
        return Comparison(control, treatment, difference, relative, margins)

    def posterior(self, moments: Moments) -> Posterior:
        """Return what is believed of every arm, from a prior that holds all shares alike."""
        if self.covariate is not None:
            return normal_beliefs(mean_estimates(moments), better=self.better)
        return beta_binomial(_successes(moments), moments.n, better=self.better)

    def remarks(self, name: str, moments: Moments) -> list[str]:
        """Say where exact tests took over, where intervals fall short, and what covariates gain."""
        n, x = moments.n, _successes(moments)
        few = few_expected(x[:, 1:], n[:, 1:], x[:, :1], n[:, :1]).any(axis=1)
        expected = f"fewer than {FEW} successes or failures are expected in an arm:"
        with np.errstate(divide="ignore", invalid="ignore"):
            share = x / n
            spread = share * (1 - share)
            skewness = (1 - 2 * share) / np.sqrt(np.where(spread > 0, spread, np.nan))
        if self.covariate is not None:
            found = mean_estimates(moments)
            notes = gain_remarks(name, listed(self.covariate), found)
            words = "intervals and tests of adjusted shares are poor. Leave out the covariate."
            notes += said_where(moments, few, f"{name}: {{}} {expected} {words}")
            notes += thin_remarks(name, listed(self.covariate), moments)
            known = found._replace(skewness=skewness)
            notes += skew_remarks(name, moments, known, remedy="Leave out the covariate.")
            estimated, remedy = (found.value, found.variance), ""
        else:
            words = f"{self.exact.capitalize()}'s exact test there, the score test elsewhere."
            notes = said_where(moments, few, f"{name}: {{}} {expected} {words}")
            notes += self._doubts(name, moments, x)
            with np.errstate(divide="ignore", invalid="ignore"):
                estimated = share, spread / n
            remedy = " relative='score' does not."
        if self.relative == "score":
            return notes
        return notes + relative_remarks(
            name, moments, self.relative, *estimated, skewness, estimated=False, remedy=remedy
        )

    def _doubts(self, name: str, moments: Moments, x: np.ndarray) -> list[str]:
        """Say where the interval of a difference, or the log interval, has too few successes."""
        n = moments.n
        rare = (np.minimum(x, n - x) < 2 * FEW).any(axis=1) & (self.interval == "wald")
        words = "or failures: the Wald interval covers less than 95%. Use 'newcombe'."
        notes = said_where(
            moments, rare, f"{name}: {{}} an arm has fewer than {2 * FEW} successes {words}"
        )
        low, high = np.minimum(n[:, :1], n[:, 1:]), np.maximum(n[:, :1], n[:, 1:])
        for method, (times, least) in _UNEQUAL.items():
            if method not in (self.interval, self.relative):
                continue
            alone = few_expected(x[:, 1:], n[:, 1:], x[:, :1], n[:, :1], least=least)
            what = " of the relative effect" if method == "score" else ""
            notes += said_where(
                moments,
                (alone & (high >= times * low) & (low > 0)).any(axis=1),
                f"{name}: {{}} fewer than {least} successes or failures are expected in the "
                f"smaller of unequal arms: the {method} interval{what} may cover less than 95%.",
            )
        if self.relative == "log":
            notes += said_where(
                moments,
                ((x < FEW) & (n > 0)).any(axis=1),
                f"{name}: {{}} an arm has fewer than {FEW} successes: the log interval of the "
                "relative effect may cover less than 95%. relative='score' does not.",
            )
        return notes


@dataclass(frozen=True)
class Mean:
    """The mean of a column per customer, adjusted for covariates if there are any.

    Compared with Welch's t. With covariates, each arm's mean is moved along the pooled within-arm
    slopes to the covariate means of everybody in the group (CUPED with several arms): the effect is
    the arm coefficient of the least squares fit ``column ~ arm + covariates``, and `se` is Welch's
    on the adjusted values.

    Parameters
    ----------
    column
        The column with the outcome of each customer.
    covariate
        A column known before the campaign, such as last year's spend, or several.
    winsorize
        Cap the outcome at this quantile of everybody who is in an arm, between .5 and 1: fewer
        large orders decide, and the effect is that on the capped outcome. A read of its own.
    test
        ``"welch"``; ``"permutation"``, which replaces the p-value by that of
        `stats.permutation_test`; ``"bootstrap"``, which replaces standard error, interval and
        p-value by those of `stats.bootstrap_difference`. The latter two read the rows once more.
    relative
        The interval of the relative effect: ``"delta"``, ``"log"`` or ``"fieller"``.
    margin
        The largest difference that does not matter, above 0: tests against it are in
        `impact.margins`.
    better
        Whether ``"higher"`` or ``"lower"`` means are better.

    Raises
    ------
    ParameterError
        If a parameter is outside its options, or a covariate is the outcome itself.

    References
    ----------
    Welch, B. L. (1947), Biometrika 34, 28-35; Deng, A., Xu, Y., Kohavi, R. and Walker, T. (2013),
    Improving the sensitivity of online controlled experiments by utilizing pre-experiment data,
    WSDM.

    Examples
    --------
    >>> Mean("spend", covariate=["history", "visits"]).columns
    ('spend', 'history', 'visits')
    """

    column: str
    covariate: str | Sequence[str] | None = None
    winsorize: float | None = None
    test: str = "welch"
    relative: str = "delta"
    margin: float | None = None
    better: str = "higher"
    binary: ClassVar[bool] = False
    third: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_columns_given({"column": self.column}, self.covariate)
        check_option(self.test, "test", TESTS)
        check_comparison(self.relative, self.margin, self.better)
        if self.winsorize is not None:
            check_number(self.winsorize, "winsorize", gt=0.5, lt=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads: the outcome, then its covariates."""
        return (self.column, *listed(self.covariate))

    @property
    def reads_rows(self) -> bool:
        """Whether moments do not suffice, so that the rows are read once more."""
        return self.test != "welch"

    def compare(self, moments: Moments) -> Comparison:
        """Compare every treatment arm with control, in every group."""
        found = mean_estimates(moments)
        compared = by_welch(found, relative=self.relative, margin=self.margin)
        if self.test == "welch":
            return compared
        parts = [np.array(part, dtype=float) for part in compared.difference]
        for g, a, control, treatment in pairs(moments, found.slope):
            seed = g * moments.n.shape[1] + a
            if self.test == "permutation":
                parts[4][g, a - 1] = permutation_test(control, treatment, seed=seed).p_value
            else:
                resampled = bootstrap_difference(control, treatment, seed=seed)
                for part, value in zip(parts[1:], resampled[1:5], strict=True):
                    part[g, a - 1] = value
        return compared._replace(difference=Difference(*parts))

    def posterior(self, moments: Moments) -> Posterior:
        """Return what is believed of every arm, from a flat prior and normal errors."""
        return normal_beliefs(mean_estimates(moments), better=self.better)

    def remarks(self, name: str, moments: Moments) -> list[str]:
        """Say what was capped, what covariates gain, and where intervals may fall short."""
        notes = []
        if moments.capped is not None:
            cap, above = moments.capped
            notes.append(
                f"{name}: winsorised at the {self.winsorize} quantile of everybody, "
                f"{format_number(cap)}, which {above:,} customers exceed. The effect is that on "
                "the capped outcome."
            )
        found = mean_estimates(moments)
        covariates = listed(self.covariate)
        notes += gain_remarks(name, covariates, found) + thin_remarks(name, covariates, moments)
        if self.test == "permutation":
            notes.append(f"{name}: p-values by permutation of Welch's t, intervals by Welch's t.")
        if self.test == "bootstrap":
            notes.append(f"{name}: intervals and p-values by 10,000 bootstrap resamples.")
            few = (moments.n < _FEW_TO_RESAMPLE).any(axis=1)
            words = f"an arm has fewer than {_FEW_TO_RESAMPLE} customers: bootstrap intervals may"
            notes += said_where(moments, few, f"{name}: {{}} {words} cover less than 95%.")
        remedy = "Cap it (winsorize=), or let the test run on."
        return notes + estimate_remarks(name, moments, found, self.relative, remedy=remedy)


def mean_estimates(moments: Moments) -> Estimates:
    """Return the mean of the first column of every arm, adjusted for the others."""
    return estimates(moments, moments.mean[..., 0], np.ones((*moments.n.shape, 1)))


def _successes(moments: Moments) -> np.ndarray:
    return np.rint(np.where(moments.n > 0, moments.n * moments.mean[..., 0], 0))


def _p_value(
    x_t: np.ndarray,
    n_t: np.ndarray,
    x_c: np.ndarray,
    n_c: np.ndarray,
    *,
    exact: Callable[..., np.ndarray],
) -> np.ndarray:
    """Return the pooled score test, or an exact one where few are expected and some succeed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (x_t + x_c) / (n_t + n_c)
        score = np.sqrt(pooled * (1 - pooled) * (1 / n_t + 1 / n_c))
        z = np.where(score == 0, 0, (x_t / n_t - x_c / n_c) / score)
    few = few_expected(x_t, n_t, x_c, n_c) & (score > 0)
    p_value = np.asarray(2 * stats.norm.sf(np.abs(z)))
    x_c, n_c = np.broadcast_arrays(x_c, x_t)[0], np.broadcast_arrays(n_c, n_t)[0]
    p_value[few] = exact(x_t[few], n_t[few], x_c[few], n_c[few])
    return p_value
