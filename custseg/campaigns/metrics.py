"""What a campaign is measured by: which columns a metric reads, how it compares two arms."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from scipy import stats

from custseg.errors import ParameterError
from custseg.stats import Difference, newcombe, relative_difference, welch


class Moments(NamedTuple):
    """Sufficient statistics of p columns by group of customers (G) and arm (A, control first)."""

    n: np.ndarray  # (G, A) customers
    mean: np.ndarray  # (G, A, p)
    cross: np.ndarray  # (G, A, p, p) sums of products of deviations from the mean


class Comparison(NamedTuple):
    """Treatment arms against control: every array is (G, A - 1)."""

    control: np.ndarray
    treatment: np.ndarray
    difference: Difference
    relative: Difference


@runtime_checkable
class Metric(Protocol):
    """What a metric must be able to do; it holds no data."""

    binary: ClassVar[bool]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads: the outcome, then its covariates."""

    def compare(self, moments: Moments) -> Comparison:
        """Compare every treatment arm with control, in every group."""

    def remarks(self, name: str, moments: Moments) -> list[str]:
        """Say what a reader of this metric must know; the first group is everybody."""


@dataclass(frozen=True)
class Proportion:
    """The share of customers with an outcome of 1 (or true).

    Tested with the pooled score test without continuity correction; `se` is unpooled; the
    interval is Newcombe's hybrid score interval.

    Parameters
    ----------
    column
        The column of zeros and ones, or of truth values.

    References
    ----------
    Newcombe, R. G. (1998), Statistics in Medicine 17, 873-890, method 10.

    Examples
    --------
    >>> Proportion("visit").columns
    ('visit',)
    """

    column: str
    binary: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_name(self.column, "column")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return (self.column,)

    def compare(self, moments: Moments) -> Comparison:
        """Compare every treatment arm with control, in every group."""
        n, p = moments.n, moments.mean[..., 0]
        successes = np.rint(n * p)
        n_control, n_treatment = n[:, :1], n[:, 1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = successes / n
            control, treatment = np.broadcast_arrays(p[:, :1], p[:, 1:])
            variance = p * (1 - p) / n
            pooled = (successes[:, :1] + successes[:, 1:]) / (n_control + n_treatment)
            score = np.sqrt(pooled * (1 - pooled) * (1 / n_control + 1 / n_treatment))
            z = np.where(score == 0, 0, (treatment - control) / score)
        low, high = newcombe(successes[:, 1:], n_treatment, successes[:, :1], n_control)
        unpooled = np.sqrt(variance[:, :1] + variance[:, 1:])
        p_value = 2 * stats.norm.sf(np.abs(z))
        difference = Difference(treatment - control, unpooled, low, high, p_value)
        relative = relative_difference(control, treatment, variance[:, :1], variance[:, 1:])
        return Comparison(control, treatment, difference, relative)

    def remarks(self, name: str, moments: Moments) -> list[str]:  # noqa: ARG002
        """Say what a reader of this metric must know: nothing."""
        return []


@dataclass(frozen=True)
class Mean:
    """The mean of a column per customer, adjusted for a covariate if there is one.

    Compared with Welch's t. With a covariate, each arm's mean is moved along the pooled within-arm
    slope to the covariate mean of everybody in the group (CUPED with several arms): the effect is
    the arm coefficient of the least squares fit ``column ~ arm + covariate``, and `se` is Welch's
    on the adjusted values.

    Parameters
    ----------
    column
        The column with the outcome of each customer.
    covariate
        A column known before the campaign, such as last year's spend.

    Raises
    ------
    ParameterError
        If a name is no text, or the covariate is the outcome itself.

    References
    ----------
    Welch, B. L. (1947), Biometrika 34, 28-35; Deng, A., Xu, Y., Kohavi, R. and Walker, T. (2013),
    Improving the sensitivity of online controlled experiments by utilizing pre-experiment data,
    WSDM.

    Examples
    --------
    >>> Mean("spend", covariate="history").columns
    ('spend', 'history')
    """

    column: str
    covariate: str | None = None
    binary: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_name(self.column, "column")
        if self.covariate is not None:
            _check_name(self.covariate, "covariate")
        if self.covariate == self.column:
            raise ParameterError(
                f"covariate is {self.column!r}, the outcome itself. Name a column that was known "
                "before the campaign."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return (self.column,) if self.covariate is None else (self.column, self.covariate)

    def compare(self, moments: Moments) -> Comparison:
        """Compare every treatment arm with control, in every group."""
        mean, cross = moments.mean[..., 0], moments.cross[..., 0, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.covariate is not None:
                mean, cross = _adjusted(moments)
            df = moments.n - 1
            variance = cross / df / moments.n
            control, treatment = np.broadcast_arrays(mean[:, :1], mean[:, 1:])
            parts = (variance[:, :1], variance[:, 1:], df[:, :1], df[:, 1:])
            difference = welch(control, treatment, *parts)
            relative = relative_difference(control, treatment, *parts)
        return Comparison(control, treatment, difference, relative)

    def remarks(self, name: str, moments: Moments) -> list[str]:
        """Say how much of the variance the covariate takes away from everybody."""
        if self.covariate is None:
            return []
        within = np.nansum(moments.cross[0], axis=0)
        if not within[1, 1] > 0 or not within[0, 0] > 0:
            return [f"{name}: {self.covariate} or the outcome does not vary: no adjustment."]
        share = within[0, 1] ** 2 / (within[0, 0] * within[1, 1])
        narrower = 1 - np.sqrt(1 - min(share, 1))
        worth = "next to nothing" if narrower < 0.01 else f"intervals {narrower:.0%} narrower"
        effect = f"takes away {share:.2%} of the variance within arms, {worth}"
        return [f"{name}: adjusting for {self.covariate} {effect}."]


def _adjusted(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and squared deviations of the outcome minus slope times covariate, (G, A)."""
    n, mean, cross = moments
    within = np.nansum(cross, axis=1)
    slope = np.where(within[:, 1, 1] > 0, within[:, 0, 1] / within[:, 1, 1], 0)[:, None]
    everybody = np.nansum(n * mean[..., 1], axis=1, keepdims=True) / n.sum(axis=1, keepdims=True)
    adjusted = mean[..., 0] - slope * (mean[..., 1] - everybody)
    deviations = cross[..., 0, 0] - 2 * slope * cross[..., 0, 1] + slope**2 * cross[..., 1, 1]
    return adjusted, np.maximum(deviations, 0)


def _check_name(value: object, what: str) -> None:
    if not isinstance(value, str) or not value:
        raise ParameterError(f"{what} is {value!r}, but must be the name of a column.")
