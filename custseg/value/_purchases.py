"""What all models of repeat purchases share: fit, chance of being active, purchases to come."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

from custseg.errors import DataError, ParameterError, check_number
from custseg.results import format_number
from custseg.value._histories import Histories, distinct, read_histories
from custseg.value._likelihood import Terms, maximize

Vector = NDArray[np.float64]
NODES = 48
GONE = 40.0
"""Discounting by this power of e leaves nothing."""


def check_discount(discount_rate: float, horizon: float | None) -> None:
    """Raise `ParameterError` unless purchases to come, so discounted, have a finite sum."""
    check_number(discount_rate, "discount_rate", ge=0)
    if horizon is not None:
        check_number(horizon, "horizon", ge=0)
    elif discount_rate == 0:
        raise ParameterError(
            "discount_rate is 0 and horizon is None: purchases without end are not to be summed. "
            "Give a horizon, or a rate above 0."
        )


class PurchaseModel(ABC):
    """A model of repeat purchases, fitted by maximum likelihood to distinct histories.

    Attributes
    ----------
    params_ : pandas.Series
        The parameters by name. Times are in the units of the summary.
    standard_errors_ : pandas.Series
        Their standard errors, from the observed information.
    log_likelihood_ : float
        The maximum, without the constants that do not depend on the parameters.
    covariance_ : pandas.DataFrame
        The covariance of the logarithms of the parameters.
    n_customers_ : int
        Customers that were learned from.
    """

    _hint: ClassVar[str]

    params_: pd.Series
    standard_errors_: pd.Series
    log_likelihood_: float
    covariance_: pd.DataFrame
    n_customers_: int

    @abstractmethod
    def _starts(self, histories: Histories) -> list[dict[str, float]]: ...

    @abstractmethod
    def _log_likelihood(self, params: Vector, histories: Histories) -> Terms: ...

    @abstractmethod
    def _alive(self, histories: Histories) -> Vector: ...

    @abstractmethod
    def _scale(self, age: Vector) -> Vector:
        """Return the time in which an active customer's rate of purchases changes."""

    @abstractmethod
    def _rate(self, frequency: Vector, age: Vector, later: Vector) -> Vector:
        """Return purchases per unit of time, `later` units on, of a customer active now."""

    def fit(self, summary: pd.DataFrame) -> Self:
        """Fit the model.

        Parameters
        ----------
        summary
            A frame from `btyd_summary`: one row per customer with `frequency`, `recency` and `T`.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ColumnError
            If a column is missing.
        DataError
            If a recency exceeds its `T`, another value cannot be, or the frame is one from `rfm`.
        ConvergenceError
            If the likelihood has no maximum; says what to try.
        """
        histories = read_histories(summary)
        if not histories.frequency.any():
            raise DataError(
                f"no customer bought again: there is nothing for {type(self).__name__} to learn "
                "from. Wait for repeat purchases, or count them in shorter units."
            )
        return self.learn(histories, self._starts(histories))

    def learn(self, histories: Histories, starts: Sequence[Mapping[str, float]]) -> Self:
        """Fit the model to histories from given parameters on."""
        found = maximize(
            lambda params: self._log_likelihood(params, histories),
            starts,
            what=type(self).__name__,
            hint=self._hint,
        )
        self.params_, self.standard_errors_ = found.params, found.standard_errors
        self.log_likelihood_ = found.log_likelihood
        names = found.params.index
        self.covariance_ = pd.DataFrame(found.covariance, names, names)
        self.n_customers_ = len(histories.of)
        return self

    def probability_alive(self, summary: pd.DataFrame) -> pd.Series:
        """Return the probability that each customer is still active at `T`.

        Parameters
        ----------
        summary
            A frame from `btyd_summary`, of these customers or others.

        Returns
        -------
        pandas.Series
            By customer, between 0 and 1.
        """
        self.check_fitted()
        histories = read_histories(summary)
        return histories.series(self._alive(histories), "probability_alive")

    def expected_purchases(self, t: float, summary: pd.DataFrame) -> pd.Series:
        """Return the expected number of purchases in the next `t` units of each customer.

        Parameters
        ----------
        t
            How far ahead, in the units of the summary, 0 or more.
        summary
            A frame from `btyd_summary`, of these customers or others. A customer with zeros in
            all columns is a new one.

        Returns
        -------
        pandas.Series
            By customer.
        """
        check_number(t, "t", ge=0)
        return self._expected(summary, 0.0, t).rename("expected_purchases")

    def discounted_purchases(
        self, summary: pd.DataFrame, *, discount_rate: float, horizon: float | None = None
    ) -> pd.Series:
        """Return the expected number of purchases to come, each discounted to now.

        Parameters
        ----------
        summary
            A frame from `btyd_summary`, of these customers or others.
        discount_rate
            Per unit of the summary: a purchase in one unit counts 1 / (1 + `discount_rate`). An
            annual rate of 10% is ``1.1 ** (1 / 365) - 1`` by day and ``1.1 ** (1 / 52) - 1`` by
            week.
        horizon
            Units after which purchases do not count; ``None`` counts all to come, which needs a
            rate above 0.

        Returns
        -------
        pandas.Series
            By customer. With a rate of 0 these are the expected purchases.

        Raises
        ------
        ParameterError
            If the rate is negative, or 0 without a horizon.
        """
        check_discount(discount_rate, horizon)
        return self._expected(summary, discount_rate, horizon).rename("discounted_purchases")

    def _expected(self, summary: pd.DataFrame, rate: float, horizon: float | None) -> pd.Series:
        self.check_fitted()
        histories = read_histories(summary)
        alive, if_alive = self.forecast(histories, rate, horizon)
        return histories.series(alive * if_alive, "expected")

    def forecast(
        self, histories: Histories, rate: float, horizon: float | None
    ) -> tuple[Vector, Vector]:
        """Return of each history the chance to be active, and discounted purchases if it is."""
        force = np.log1p(rate)
        end = np.inf if horizon is None else horizon
        end = min(end, GONE / force) if force > 0 else end
        (frequency, age), of = distinct(histories.frequency, histories.age)
        if_alive = self._integrate(frequency, age, force, np.full(len(age), end))
        return self._alive(histories), if_alive[of]

    def _integrate(self, frequency: Vector, age: Vector, force: float, end: Vector) -> Vector:
        """Integrate the rate of purchases, discounted, in the logarithm of time."""
        scale = self._scale(age)
        nodes, weights = leggauss(NODES)
        width = np.log1p(end / scale) / 2
        total = np.zeros(len(age))
        for node, weight in zip(nodes, weights, strict=True):
            grown = np.exp(width * (1 + node))  # (scale + time) / scale
            later = scale * (grown - 1)
            rate = self._rate(frequency, age, later)
            total += weight * scale * grown * np.exp(-force * later) * rate
        return width * total

    def expected_of_new(self, units: int) -> Vector:
        """Return the expected purchases of a new customer within 0, 1, ... units."""
        new = np.zeros(units + 1)
        if_alive = self._integrate(new, new, 0.0, np.arange(units + 1.0))
        return self._alive(Histories.of_one(0.0, 0.0, 0.0)) * if_alive

    def was_fitted_to(self, histories: Histories) -> bool:
        """Return whether these are the customers that were learned from."""
        value, _, _ = self._log_likelihood(self.params_.to_numpy(), histories)
        known = np.isclose(value, self.log_likelihood_, rtol=1e-10)
        return bool(known and len(histories.of) == self.n_customers_)

    def refit(self, histories: Histories) -> Self:
        """Return another model, fitted to other customers from these parameters on."""
        return copy(self).learn(histories, [self.params_.to_dict()])

    def check_fitted(self) -> None:
        """Raise `DataError` unless the model is fitted."""
        if not hasattr(self, "params_"):
            name = type(self).__name__
            raise DataError(f"this {name} is not fitted yet: call {name}().fit(summary) first.")

    def __repr__(self) -> str:
        name = type(self).__name__
        if not hasattr(self, "params_"):
            return f"{name}()"
        shown = ", ".join(f"{key}={format_number(value)}" for key, value in self.params_.items())
        return f"{name}({shown}; {self.n_customers_:,} customers)"
