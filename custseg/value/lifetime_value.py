"""What each customer is worth: purchases to come, discounted, times the spend at each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import DataError, ParameterError, check_number
from custseg.results import Result, format_number
from custseg.value._histories import distinct, read_histories, read_numbers
from custseg.value._purchases import PurchaseModel, check_discount
from custseg.value._segments import by_id
from custseg.value.gamma_gamma import GammaGamma

Vector = NDArray[np.float64]
MANY = 10


@dataclass(frozen=True, repr=False, eq=False)
class LifetimeValue(Result):
    """The expected value of each customer from now on; made by `lifetime_value`.

    Attributes
    ----------
    customers : pandas.DataFrame
        The histories that the values are for, in the order of the ids.
    purchases : PurchaseModel
        The model of purchases.
    spend : GammaGamma or pandas.Series
        The model of spend, or the spend per purchase by customer.
    discount_rate, horizon, margin
        As given.
    notes : tuple of str
        Caveats.
    """

    _table: pd.DataFrame
    customers: pd.DataFrame
    purchases: PurchaseModel
    spend: "GammaGamma | pd.Series"
    discount_rate: float
    horizon: float | None
    margin: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value.lifetime_value"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per customer.

        Returns
        -------
        pandas.DataFrame
            ``probability_alive``; ``purchases`` to come, discounted; ``spend`` expected at each;
            ``value`` = margin x ``purchases`` x ``spend``; ``value_if_alive``, what the value would
            be if the customer were known to be active.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the value of all customers, of the mean one and of the best tenth."""
        value = self._table["value"].sort_values(ascending=False)
        best = -(-len(value) // MANY)
        until = "" if self.horizon is None else f" in the next {format_number(self.horizon)} units"
        return (
            f"{len(value):,} customers are worth {format_number(value.sum())}{until}, "
            f"{format_number(value.mean())} each; the best {best:,} of them hold "
            f"{value.iloc[:best].sum() / value.sum():.0%}."
        )

    def refit(self) -> Callable[[Vector], tuple[Vector, Vector]] | None:
        """Return how to value the customers by models that are fitted again with weights.

        Returns
        -------
        callable or None
            Takes a weight per customer and returns `value` and `value_if_alive` of each;
            ``None`` if the models were not fitted to these customers.
        """
        histories = read_histories(self.customers)
        spend = _weighted_spend(self.spend, self.customers)
        if spend is None or not self.purchases.was_fitted_to(histories):
            return None

        def value(weights: Vector) -> tuple[Vector, Vector]:
            counts = np.bincount(histories.of, weights, minlength=len(histories.age))
            again = self.purchases.refit(replace(histories, customers=counts.astype(float)))
            alive, if_alive = again.forecast(histories, self.discount_rate, self.horizon)
            worth = self.margin * if_alive[histories.of] * spend(weights)
            return alive[histories.of] * worth, worth

        return value

    def _shown(self) -> pd.DataFrame:
        return self._table.sort_values("value", ascending=False, kind="stable").head(MANY)


def lifetime_value(
    purchases: PurchaseModel,
    spend: "GammaGamma | pd.Series",
    summary: pd.DataFrame,
    *,
    discount_rate: float,
    horizon: float | None = None,
    margin: float = 1.0,
) -> LifetimeValue:
    """Return what each customer is expected to be worth from now on.

    Parameters
    ----------
    purchases
        A fitted model, such as ``BetaGeo().fit(summary)``.
    spend
        A fitted `GammaGamma`, or the spend per purchase by customer.
    summary
        A frame from `btyd_summary`, of the customers to value.
    discount_rate
        Per unit of the summary: money in one unit counts 1 / (1 + `discount_rate`), with
        compounding in between. An annual rate of 10% is ``1.1 ** (1 / 365) - 1`` by day,
        ``1.1 ** (1 / 52) - 1`` by week.
    horizon
        Units after which nothing counts; ``None`` counts all to come, which needs a rate above 0.
    margin
        What remains of each unit of money spent, such as 0.3; 1 values revenue.

    Returns
    -------
    LifetimeValue
        Its `to_frame` has a row per customer. Money of the past, and what it costs to win or keep
        a customer, are not in it.

    Raises
    ------
    DataError
        If a model is not fitted, or a customer has no spend.
    ParameterError
        If the rate is negative, or 0 without a horizon, or the margin is not above 0.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), RFM and CLV: using iso-value curves for
    customer base analysis, Journal of Marketing Research 42, 415-430.

    Examples
    --------
    >>> import custseg as cs
    >>> shop = cs.datasets.make_shop(300, random_state=0)
    >>> tx = cs.Transactions(
    ...     shop.transactions, customer_id="customer_id", timestamp="timestamp", amount="amount"
    ... ).clean()
    >>> summary = cs.value.btyd_summary(tx, unit="W")
    >>> worth = lifetime_value(
    ...     cs.value.BetaGeo().fit(summary),
    ...     cs.value.GammaGamma().fit(summary),
    ...     summary,
    ...     discount_rate=1.1 ** (1 / 52) - 1,
    ...     horizon=104,
    ... )
    >>> worth.to_frame()[["probability_alive", "purchases", "spend", "value"]].head(2).round(2)
                 probability_alive  purchases   spend    value
    customer_id
    C0000001                  0.98      13.92  123.72  1721.85
    C0000003                  0.90       6.54  133.49   872.93
    """
    if not isinstance(purchases, PurchaseModel):
        raise ParameterError(
            f"purchases is {purchases!r}, but must be a fitted model, as BetaGeo().fit(summary)."
        )
    check_discount(discount_rate, horizon)
    check_number(margin, "margin", gt=0)
    purchases.check_fitted()
    read_histories(summary)
    customers = by_id(summary)
    histories = read_histories(customers)
    alive, if_alive = purchases.forecast(histories, discount_rate, horizon)
    money = _spend(spend, customers)
    if_alive = if_alive[histories.of]
    alive = alive[histories.of]
    table = pd.DataFrame(
        {
            "probability_alive": alive,
            "purchases": alive * if_alive,
            "spend": money,
            "value": margin * alive * if_alive * money,
            "value_if_alive": margin * if_alive * money,
        },
        index=customers.index,
    )
    notes = list(spend.notes_) if isinstance(spend, GammaGamma) else []
    if (once := customers["frequency"] == 0).any() and alive[once].min() == 1:
        notes.append(
            f"{type(purchases).__name__} takes all {once.sum():,} who never bought again for "
            "active; ParetoNBD and ModifiedBetaGeo do not."
        )
    notes.append(
        "the value is of purchases to come; costs of winning and keeping customers are not in it."
    )
    return LifetimeValue(
        _table=table,
        customers=customers,
        purchases=purchases,
        spend=spend,
        discount_rate=discount_rate,
        horizon=horizon,
        margin=margin,
        notes=tuple(notes),
    )


def _spend(spend: "GammaGamma | pd.Series", customers: pd.DataFrame) -> Vector:
    if isinstance(spend, GammaGamma):
        return spend.expected_spend(customers).to_numpy()
    if not isinstance(spend, pd.Series):
        raise ParameterError(
            f"spend is a {type(spend).__name__}, but must be GammaGamma().fit(summary), or a "
            "Series of the spend per purchase by customer_id."
        )
    if not spend.index.is_unique:
        raise DataError("two values of spend have one customer_id. Give one per customer.")
    money = read_numbers(spend.reindex(customers.index))
    wrong = ~np.isfinite(money)
    if wrong.any():
        example = customers.index[int(wrong.argmax())]
        raise DataError(
            f"{wrong.sum():,} of {len(money):,} customers (such as {example!r}) have no spend, or "
            "an infinite one. Give one for every customer of the summary."
        )
    return money


def _weighted_spend(
    spend: "GammaGamma | pd.Series", customers: pd.DataFrame
) -> Callable[[Vector], Vector] | None:
    """Return how to expect the spend of customers by a model fitted again with weights."""
    if not isinstance(spend, GammaGamma):
        fixed = _spend(spend, customers)
        return lambda _: fixed
    x = read_numbers(customers["frequency"])
    money = read_numbers(customers["monetary_value"])
    used = (x > 0) & (money > 0)
    (frequency, mean), of = distinct(x[used], money[used])
    if spend.n_customers_ != used.sum():
        return None

    def expected(weights: Vector) -> Vector:
        counts = np.bincount(of, weights[used], minlength=len(mean)).astype(float)
        again = GammaGamma().learn(frequency, mean, counts, [spend.params_.to_dict()])
        return again.expected_spend(customers).to_numpy()

    return expected
