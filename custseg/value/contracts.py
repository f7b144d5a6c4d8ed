"""The shifted beta-geometric model: how long customers under contract stay."""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaln, hyp2f1

from custseg.errors import DataError, check_number
from custseg.results import format_number
from custseg.value._likelihood import Terms, maximize, rising

Vector = NDArray[np.float64]


class ShiftedBetaGeometric:
    """The shifted beta-geometric model of contracts that are renewed or cancelled every period.

    At the end of each period a customer cancels with a probability of his own; these follow a beta
    distribution with `gamma` and `delta`. Who cancels easily goes first, so the retention rate of
    those who are left rises with time though nobody's own probability changes.

    Attributes
    ----------
    params_ : pandas.Series
        `gamma` and `delta`; the mean probability to cancel is gamma / (gamma + delta).
    standard_errors_ : pandas.Series
        Their standard errors, from the observed information.
    log_likelihood_ : float
        The maximum.
    covariance_ : pandas.DataFrame
        The covariance of the logarithms of the parameters.
    n_customers_ : int
        Customers that were learned from.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2007), How to project customer retention, Journal of
    Interactive Marketing 21, 76-90 (there the parameters are alpha and beta).
    Fader, P. S. and Hardie, B. G. S. (2010), Customer-base valuation in a contractual setting: the
    perils of ignoring heterogeneity, Marketing Science 29, 85-93.

    Examples
    --------
    The customers of the first paper's "high end" segment, of 1,000, after each of seven years:

    >>> model = ShiftedBetaGeometric().fit([1000, 869, 743, 653, 593, 551, 517, 491])
    >>> model
    ShiftedBetaGeometric(gamma=0.668, delta=3.81; 1,000 customers)
    >>> model.survival([8, 12]).round(3).tolist()
    [0.46, 0.378]
    >>> model.retention_rate([1, 8]).round(3).tolist()
    [0.851, 0.942]
    """

    params_: pd.Series
    standard_errors_: pd.Series
    log_likelihood_: float
    covariance_: pd.DataFrame
    n_customers_: int

    def fit(self, survivors: Any) -> Self:
        """Fit the model to how many customers were left after each period.

        Parameters
        ----------
        survivors
            Customers of one cohort at its start and after 1, 2, … periods, as a list or Series; or
            of several cohorts as a frame, one row each and a column per age 0, 1, …, missing where
            a cohort is not that old yet (as in the counts of a cohort table).

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        DataError
            If counts are negative or rise, a cohort has a gap, or nobody cancelled.
        ConvergenceError
            If the likelihood has no maximum; says what to try.
        """
        counts = _read(survivors)
        lost = np.nansum(-np.diff(counts, axis=1), axis=0)
        ages = np.isfinite(counts).sum(axis=1) - 1
        left = counts[np.arange(len(counts)), ages]
        periods = np.arange(1.0, counts.shape[1])
        if not lost.sum():
            raise DataError(
                "nobody cancelled: there is nothing to learn from. Wait for a renewal that some "
                "let pass."
            )
        found = maximize(
            lambda params: _log_likelihood(params, periods, lost, ages.astype(float), left),
            [{"gamma": 1.0, "delta": 2.0}, {"gamma": 0.2, "delta": 0.5}],
            what="ShiftedBetaGeometric",
            hint=(
                "Give more periods: with one the two parameters cannot be told apart. If the "
                "retention rate is the same in all periods, customers do not differ: take that "
                "rate instead."
            ),
        )
        self.params_, self.standard_errors_ = found.params, found.standard_errors
        self.log_likelihood_ = found.log_likelihood
        names = found.params.index
        self.covariance_ = pd.DataFrame(found.covariance, names, names)
        self.n_customers_ = round(float(counts[:, 0].sum()))
        return self

    def survival(self, periods: Any) -> pd.Series:
        """Return the share of a cohort that is left after each number of periods.

        Parameters
        ----------
        periods
            Whole numbers of 0 or more.

        Returns
        -------
        pandas.Series
            By period.
        """
        gamma, delta = self._fitted()
        after = _periods(periods, least=0)
        share = np.exp(betaln(gamma, delta + after) - betaln(gamma, delta))
        return pd.Series(share, pd.Index(after, name="period"), name="survival")

    def retention_rate(self, periods: Any) -> pd.Series:
        """Return the share of those left before the renewal of each period who renew.

        Parameters
        ----------
        periods
            Whole numbers of 1 or more: 1 is the first renewal.

        Returns
        -------
        pandas.Series
            By period.
        """
        gamma, delta = self._fitted()
        at = _periods(periods, least=1)
        rate = (delta + at - 1) / (gamma + delta + at - 1)
        return pd.Series(rate, pd.Index(at, name="period"), name="retention_rate")

    def discounted_renewals(self, renewals: Any, *, discount_rate: float) -> pd.Series:
        """Return the expected number of renewals to come, each discounted to now.

        Now is just before the next renewal, which counts in full; the one after it counts
        1 / (1 + `discount_rate`). Times the margin of a period this is the value still to come.

        Parameters
        ----------
        renewals
            How often each customer has renewed so far: a Series by customer, or whole numbers of 0
            or more.
        discount_rate
            Per period, above 0.

        Returns
        -------
        pandas.Series
            On the index of `renewals`.
        """
        gamma, delta = self._fitted()
        check_number(discount_rate, "discount_rate", gt=0)
        so_far = _periods(renewals, least=0)
        renews = (delta + so_far) / (gamma + delta + so_far)
        later = hyp2f1(1, delta + so_far + 1, gamma + delta + so_far + 1, 1 / (1 + discount_rate))
        index = renewals.index if isinstance(renewals, pd.Series) else None
        return pd.Series(renews * later, index, name="discounted_renewals")

    def _fitted(self) -> tuple[float, float]:
        if not hasattr(self, "params_"):
            raise DataError(
                "this ShiftedBetaGeometric is not fitted yet: call "
                "ShiftedBetaGeometric().fit(survivors) first."
            )
        return float(self.params_["gamma"]), float(self.params_["delta"])

    def __repr__(self) -> str:
        if not hasattr(self, "params_"):
            return "ShiftedBetaGeometric()"
        shown = ", ".join(f"{key}={format_number(value)}" for key, value in self.params_.items())
        return f"ShiftedBetaGeometric({shown}; {self.n_customers_:,} customers)"


def _read(survivors: Any) -> Vector:
    """Return cohorts x ages, missing after the last age of a cohort."""
    try:
        if isinstance(survivors, pd.DataFrame):
            survivors = survivors.to_numpy(dtype=float, na_value=np.nan)
        counts = np.atleast_2d(np.asarray(survivors, dtype=float))
    except (TypeError, ValueError):
        counts = np.empty((0, 0))
    if counts.ndim != 2 or counts.shape[1] < 2 or not len(counts):
        raise DataError(
            "survivors must be numbers: the customers of a cohort at its start and after one "
            "period at least, such as [1000, 869, 743], or a frame with a row per cohort."
        )
    seen = np.isfinite(counts)
    if not seen[:, 0].all() or (np.diff(seen.astype(int), axis=1) > 0).any():
        raise DataError(
            "a cohort has a gap: give the number at its start and after every period, up to the "
            "last one seen."
        )
    rises = np.diff(counts, axis=1) > 0
    if (counts < 0).any() or rises.any():
        where = np.argwhere(rises)[0] if rises.any() else np.argwhere(counts < 0)[0]
        raise DataError(
            f"the survivors of a cohort must not be negative or rise, but cohort {where[0] + 1} "
            f"does so after age {where[1]}. Customers who come back count as new ones."
        )
    return counts


def _periods(given: Any, *, least: int) -> Vector:
    values = np.atleast_1d(np.asarray(given))
    number = np.issubdtype(values.dtype, np.number)
    if not number or not np.isfinite(values).all() or (values < least).any() or (values % 1).any():
        raise DataError(f"periods must be whole numbers of {least} or more, not {given!r}.")
    return values


def _log_likelihood(
    params: Vector, periods: Vector, lost: Vector, ages: Vector, left: Vector
) -> Terms:
    """Count who cancelled at the end of each period, and who was left at the last one seen."""
    gamma, delta = params
    renewed = np.concatenate([periods - 1, ages])
    customers = np.concatenate([lost, left])
    stayed, met = rising(delta, renewed, customers), rising(gamma + delta, renewed, customers)
    last = gamma + delta + periods - 1
    value = stayed[0] - met[0] + lost @ np.log(gamma / last)
    gradient = np.array(
        [lost.sum() / gamma - lost @ (1 / last) - met[1], stayed[1] - met[1] - lost @ (1 / last)]
    )
    both = lost @ last**-2 - met[2]
    curvature = np.array([[both - lost.sum() / gamma**2, both], [both, both + stayed[2]]])
    return value, gradient, curvature
