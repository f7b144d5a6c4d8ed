"""The gamma-gamma model: what a customer spends per purchase, shrunk towards what all spend."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, zeta

from custseg.errors import ColumnError, DataError
from custseg.results import format_number
from custseg.value._histories import REMEDY, distinct, read_numbers
from custseg.value._likelihood import Terms, maximize

Vector = NDArray[np.float64]
DEPENDENT = 0.3
"""A correlation of frequency and spend above which the model's assumption is in doubt."""


class GammaGamma:
    """The gamma-gamma model of spend per purchase.

    What a customer spends at a time varies by a gamma distribution with shape `p` around a mean of
    his own; the rates of these distributions follow a gamma distribution with shape `q` and rate
    `v`. How often a customer buys is assumed to say nothing of how much at a time.

    Attributes
    ----------
    params_ : pandas.Series
        `p`, `q` and `v`, the last in the currency of the summary.
    standard_errors_ : pandas.Series
        Their standard errors, from the observed information.
    log_likelihood_ : float
        The maximum.
    covariance_ : pandas.DataFrame
        The covariance of the logarithms of the parameters.
    n_customers_ : int
        Repeat buyers with a positive mean spend: those that were learned from.
    correlation_ : float
        Of frequency and mean spend among them; NaN where one of the two does not vary.
    notes_ : tuple of str
        Who was set aside, the correlation, and what it means.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2013), The gamma-gamma model of monetary value,
    brucehardie.com/notes/025.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> frequency = rng.geometric(0.3, 3_000)
    >>> rates = rng.gamma(4, 1 / 15, 3_000)
    >>> spend = rng.gamma(6 * frequency, 1 / (rates * frequency))
    >>> summary = pd.DataFrame({"frequency": frequency, "monetary_value": spend})
    >>> model = GammaGamma().fit(summary)
    >>> model
    GammaGamma(p=5.23, q=4.17, v=17.9; 3,000 customers)
    note: the correlation of frequency and mean spend is -0.00947.
    >>> known = pd.DataFrame({"frequency": [0, 1, 20], "monetary_value": [0.0, 60.0, 60.0]})
    >>> model.expected_spend(known).round(1).tolist()
    [29.6, 48.5, 59.1]
    """

    params_: pd.Series
    standard_errors_: pd.Series
    log_likelihood_: float
    covariance_: pd.DataFrame
    n_customers_: int
    correlation_: float
    notes_: tuple[str, ...]

    def fit(self, summary: pd.DataFrame) -> Self:
        """Fit the model to the repeat buyers with a positive mean spend.

        Parameters
        ----------
        summary
            A frame from `btyd_summary`: one row per customer with `frequency` and
            `monetary_value`.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ColumnError
            If a column is missing.
        DataError
            If a value cannot be, or fewer than three repeat buyers spend anything.
        ConvergenceError
            If the likelihood has no maximum; says what to try.
        """
        x, spend = _read(summary)
        used = (x > 0) & (spend > 0)
        if used.sum() < 3:
            raise DataError(
                f"{used.sum()} of {len(x):,} customers are repeat buyers with a positive mean "
                "spend; the gamma-gamma model needs 3 at least. Wait for repeat purchases."
            )
        (frequency, money), of = distinct(x[used], spend[used])
        customers = np.bincount(of).astype(float)
        mean = float(customers @ money / customers.sum())
        starts = [{"p": p, "q": 3.0, "v": 2 * mean / p} for p in (2.0, 20.0, 0.3)]
        self.learn(frequency, money, customers, starts)
        self.n_customers_ = int(used.sum())
        varied = min(np.ptp(x[used]), np.ptp(spend[used])) > 0
        self.correlation_ = float(np.corrcoef(x[used], spend[used])[0, 1]) if varied else np.nan
        self.notes_ = tuple(self._notes(x, spend))
        return self

    def learn(
        self,
        frequency: Vector,
        money: Vector,
        customers: Vector,
        starts: Sequence[Mapping[str, float]],
    ) -> Self:
        """Fit the model to numbers of customers by frequency and mean spend."""
        found = maximize(
            lambda params: _log_likelihood(params, frequency, money, customers),
            starts,
            what="GammaGamma",
            hint=(
                "If all customers spend about the same, take the mean spend of all instead. "
                "Otherwise look for spends that are no purchases, such as test orders."
            ),
        )
        self.params_, self.standard_errors_ = found.params, found.standard_errors
        self.log_likelihood_ = found.log_likelihood
        names = found.params.index
        self.covariance_ = pd.DataFrame(found.covariance, names, names)
        return self

    def expected_spend(self, summary: pd.DataFrame) -> pd.Series:
        """Return the expected mean spend per purchase of each customer.

        Parameters
        ----------
        summary
            A frame from `btyd_summary`, of these customers or others.

        Returns
        -------
        pandas.Series
            By customer: between the own mean spend, which counts the more the more often the
            customer bought, and the mean of all, p v / (q - 1), for those who never bought again.
            A negative mean spend counts as 0.

        Raises
        ------
        DataError
            If the model is not fitted, or its mean is infinite (`q` of 1 or less).
        """
        if not hasattr(self, "params_"):
            raise DataError("this GammaGamma is not fitted yet: call GammaGamma().fit(summary).")
        p, q, v = self.params_
        if q <= 1:
            raise DataError(
                f"q is {q:.3g}: with 1 or less the mean spend of all customers is infinite, as a "
                "few spend very much. Set those aside, or take each customer's own mean spend."
            )
        x, spend = _read(summary)
        expected = p * (v + x * np.maximum(spend, 0)) / (p * x + q - 1)
        return pd.Series(expected, summary.index, name="expected_spend")

    def _notes(self, x: Vector, spend: Vector) -> list[str]:
        related = self.correlation_
        notes = [f"the correlation of frequency and mean spend is {format_number(related)}."]
        if abs(related) > DEPENDENT:
            more = "more" if related > 0 else "less"
            notes[0] = (
                f"{notes[0][:-1]}, beyond ±{DEPENDENT}: who buys often spends {more} at a time, "
                "but the model takes the two as unrelated. Values by customer are biased; fit the "
                "model by segment."
            )
        if free := int(((x > 0) & (spend <= 0)).sum()):
            notes.append(
                f"{free:,} repeat buyers with a mean spend of 0 or less are set aside in the fit."
            )
        if self.params_["q"] <= 1:
            notes.append("q is 1 or less: the mean spend of all customers is infinite.")
        return notes

    def __repr__(self) -> str:
        if not hasattr(self, "params_"):
            return "GammaGamma()"
        shown = ", ".join(f"{key}={format_number(value)}" for key, value in self.params_.items())
        notes = "".join(f"\nnote: {note}" for note in self.notes_)
        return f"GammaGamma({shown}; {self.n_customers_:,} customers){notes}"


def _read(summary: Any) -> tuple[Vector, Vector]:
    if not isinstance(summary, pd.DataFrame):
        raise DataError(f"summary is a {type(summary).__name__}, but must be a frame. {REMEDY}")
    for name in ("frequency", "monetary_value"):
        if name not in summary.columns:
            raise ColumnError(
                f"the summary has no column {name!r}. Make the table with "
                "cs.value.btyd_summary(tx), where tx has an amount. The monetary of rfm() is "
                "another number: the sum of all purchases."
            )
    if not summary.index.is_unique:
        raise DataError("two rows of the summary have one customer_id. Give one row per customer.")
    x, spend = read_numbers(summary["frequency"]), read_numbers(summary["monetary_value"])
    wrong = ~np.isfinite(x + spend) | (x < 0) | (x % 1 != 0)
    if wrong.any():
        example = summary.index[int(wrong.argmax())]
        raise DataError(
            f"{wrong.sum():,} of {len(x):,} customers (such as {example!r}) have no finite spend, "
            f"or a frequency that is no whole number of 0 or more. {REMEDY}"
        )
    return x, spend


def _log_likelihood(params: Vector, x: Vector, money: Vector, customers: Vector) -> Terms:
    p, q, v = params
    n, own, both = customers.sum(), p * x, p * x + q
    total = x * money + v
    log_total, log_spent = np.log(total), np.log(x * money)
    value = (
        customers @ (gammaln(both) - gammaln(own) + own * log_spent - both * log_total)
        - customers @ np.log(money)
        + n * (q * np.log(v) - gammaln(q))
    )
    gradient = np.array(
        [
            customers @ (x * (digamma(both) - digamma(own) + log_spent - log_total)),
            customers @ (digamma(both) - log_total) + n * (np.log(v) - digamma(q)),
            n * q / v - customers @ (both / total),
        ]
    )
    bend = zeta(2, both)
    curvature = np.array(
        [
            [
                customers @ (x**2 * (bend - zeta(2, own))),
                customers @ (x * bend),
                -customers @ (x / total),
            ],
            [0, customers @ bend - n * zeta(2, q), n / v - customers @ (1 / total)],
            [0, 0, customers @ (both / total**2) - n * q / v**2],
        ]
    )
    return value, gradient, np.triu(curvature) + np.triu(curvature, 1).T
