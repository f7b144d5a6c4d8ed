"""Ratios of two sums, such as revenue per order, compared customer by customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from custseg.campaigns._comparing import (
    Comparison,
    by_welch,
    check_columns_given,
    check_comparison,
    estimate_remarks,
    gain_remarks,
    listed,
    normal_beliefs,
    said_where,
    thin_remarks,
)
from custseg.campaigns._moments import Estimates, Moments, estimates
from custseg.errors import ParameterError
from custseg.stats import Posterior

SURE_DENOMINATOR = 5


@dataclass(frozen=True)
class Ratio:
    """The sum of one column over the sum of another, such as revenue per order.

    Customers, who were assigned, are the unit: orders of one customer depend on each other, and the
    delta method lets them. A customer's influence is
    ``(numerator - ratio * denominator) / mean denominator`` of the arm; `se` and the interval are
    Welch's on that, as for a mean. Customers whose denominator is 0 count.

    Parameters
    ----------
    numerator, denominator
        Columns with the sums of each customer.
    covariate
        A column known before the campaign, or several; the influence is adjusted for them as the
        outcome of `Mean`. For a ratio of the time before, name its numerator and its denominator:
        two slopes leave no more variance than that ratio would.
    relative
        The interval of the relative effect: ``"delta"``, ``"log"`` or ``"fieller"``.
    margin
        The largest difference that does not matter, above 0: tests against it are in
        `impact.margins`.
    better
        Whether ``"higher"`` or ``"lower"`` ratios are better.

    Raises
    ------
    ParameterError
        If a parameter is outside its options, or columns are named twice.

    References
    ----------
    Deng, A., Knoblich, U. and Lu, J. (2018), Applying the delta method in metric analytics, KDD,
    sections 3.2 and 4.

    Examples
    --------
    >>> Ratio("revenue", "orders", covariate=["revenue_before", "orders_before"]).columns
    ('revenue', 'orders', 'revenue_before', 'orders_before')
    """

    numerator: str
    denominator: str
    covariate: str | Sequence[str] | None = None
    relative: str = "delta"
    margin: float | None = None
    better: str = "higher"
    binary: ClassVar[bool] = False
    third: ClassVar[int] = 2
    winsorize: ClassVar[None] = None
    reads_rows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        outcomes = {"numerator": self.numerator, "denominator": self.denominator}
        check_columns_given(outcomes, self.covariate)
        if self.numerator == self.denominator:
            raise ParameterError(
                f"numerator and denominator are both {self.numerator!r}: the ratio is 1."
            )
        check_comparison(self.relative, self.margin, self.better)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads: numerator, denominator, then the covariates."""
        return (self.numerator, self.denominator, *listed(self.covariate))

    def compare(self, moments: Moments) -> Comparison:
        """Compare every treatment arm with control, in every group."""
        found = ratio_estimates(moments)
        return by_welch(found, relative=self.relative, margin=self.margin)

    def posterior(self, moments: Moments) -> Posterior:
        """Return what is believed of every arm, from a flat prior and normal errors."""
        return normal_beliefs(ratio_estimates(moments), better=self.better)

    def remarks(self, name: str, moments: Moments) -> list[str]:
        """Say what covariates gain, and where intervals may fall short."""
        found = ratio_estimates(moments)
        covariates = listed(self.covariate)
        notes = gain_remarks(name, covariates, found) + thin_remarks(name, covariates, moments)
        notes += said_where(
            moments,
            unsure_denominator(moments).any(axis=1),
            f"{name}: {{}} the mean {self.denominator} of an arm is less than {SURE_DENOMINATOR} "
            "standard errors from 0: the interval may cover less than 95%.",
        )
        remedy = "Compare numerator and denominator too."
        return notes + estimate_remarks(name, moments, found, self.relative, remedy=remedy)


def ratio_estimates(moments: Moments) -> Estimates:
    """Return the ratio of the first two columns of every arm, adjusted for the others."""
    with np.errstate(divide="ignore", invalid="ignore"):
        base = np.where(moments.mean[..., 1] == 0, np.nan, moments.mean[..., 1])
        ratio = moments.mean[..., 0] / base
    return estimates(moments, ratio, np.stack([1 / base, -ratio / base], axis=-1))


def unsure_denominator(moments: Moments) -> np.ndarray:
    """Return where the second column's mean is too near 0 for its standard error, (G, A)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(moments.cross[..., 1, 1] / (moments.n - 1) / moments.n)
        return np.asarray(np.abs(moments.mean[..., 1]) < SURE_DENOMINATOR * error)
