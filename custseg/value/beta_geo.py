"""The beta-geometric models of repeat purchases: customers may drop out after a purchase."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, hyp2f1

from custseg.value._histories import Histories
from custseg.value._likelihood import Terms, rising
from custseg.value._purchases import PurchaseModel

Vector = NDArray[np.float64]
LARGE, TERMS, EXACT = 60, 1_000, 1e-17


class BetaGeo(PurchaseModel):
    """The BG/NBD model: Poisson purchases, and a chance to drop out after every repeat purchase.

    While active, a customer buys at a rate of his own; the rates follow a gamma distribution with
    shape `r` and rate `alpha`. After each repeat purchase the customer leaves with a probability of
    his own; these follow a beta distribution with `a` and `b`. Who never bought again never had an
    occasion to leave, and counts as active; see `ModifiedBetaGeo`.

    Attributes
    ----------
    params_ : pandas.Series
        `r`, `alpha` (in the units of the summary), `a` and `b`.
    standard_errors_ : pandas.Series
        Their standard errors, from the observed information.
    log_likelihood_ : float
        The maximum, without the constants that do not depend on the parameters.
    covariance_ : pandas.DataFrame
        The covariance of the logarithms of the parameters.
    n_customers_ : int
        Customers that were learned from.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), "Counting your customers" the easy way: an
    alternative to the Pareto/NBD model, Marketing Science 24, 275-284.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> n, most = 2_000, 80
    >>> rates, leaving = rng.gamma(0.8, 1 / 6, n), rng.beta(1.0, 3.0, n)
    >>> times = rng.exponential(1 / rates, (most, n)).cumsum(axis=0)
    >>> bought = (times <= 52) & (np.arange(most)[:, None] < rng.geometric(leaving))
    >>> summary = pd.DataFrame(
    ...     {"frequency": bought.sum(axis=0), "recency": (times * bought).max(axis=0), "T": 52}
    ... )
    >>> model = BetaGeo().fit(summary)
    >>> model
    BetaGeo(r=0.798, alpha=6.22, a=0.947, b=2.85; 2,000 customers)
    >>> silent = pd.DataFrame({"frequency": [8, 8], "recency": [50, 20], "T": [52, 52]})
    >>> model.probability_alive(silent).round(2).tolist()
    [0.88, 0.01]
    >>> model.expected_purchases(26, silent).round(1).tolist()
    [3.0, 0.0]
    """

    _hint: ClassVar[str] = (
        "Check that T is the age of customers and that customers of all ages are in the table, "
        "also those who never bought again. If drop-out is rare, or much the same for everybody, "
        "try ParetoNBD, or more customers and a longer observation."
    )
    _chances: ClassVar[int] = 0
    """Occasions to leave beyond those after repeat purchases."""

    def _starts(self, histories: Histories) -> list[dict[str, float]]:
        return [
            {"r": r, "alpha": r / histories.mean_rate, "a": a, "b": b}
            for r, a, b in ((0.5, 1.0, 2.0), (2.0, 0.5, 0.3), (0.2, 0.2, 1.0), (1.0, 1.0, 9.0))
        ]

    def _log_likelihood(self, params: Vector, histories: Histories) -> Terms:
        r, alpha, a, b = params
        x, count, n = histories.frequency, histories.customers, histories.customers.sum()
        values, customers = histories.by_frequency
        chances = values + self._chances
        bought, stayed, met = (
            rising(start, steps, customers)
            for start, steps in ((r, values), (b, chances), (a + b, chances))
        )
        since, log_since = 1 / (alpha + histories.age), np.log(alpha + histories.age)
        value = bought[0] + stayed[0] - met[0] + n * r * np.log(alpha)
        value -= count @ ((r + x) * log_since)
        gradient = np.array(
            [
                bought[1] + n * np.log(alpha) - count @ log_since,
                n * r / alpha - count @ ((r + x) * since),
                -met[1],
                stayed[1] - met[1],
            ]
        )
        curvature = np.zeros((4, 4))
        curvature[0, 0] = bought[2]
        curvature[0, 1] = n / alpha - count @ since
        curvature[1, 1] = -n * r / alpha**2 + count @ ((r + x) * since**2)
        curvature[2, 2] = curvature[2, 3] = -met[2]
        curvature[3, 3] = stayed[2] - met[2]
        curvature = np.triu(curvature) + np.triu(curvature, 1).T

        may_leave = x + self._chances > 0
        x, count, since = x[may_leave], count[may_leave], since[may_leave]
        silent = alpha + histories.recency[may_leave]
        odds, slopes = self._odds_of_leaving(params, x, log_since[may_leave], since, silent)
        gone = expit(odds)
        weighted = count * gone
        value += count @ np.logaddexp(0, odds)
        gradient += slopes @ weighted
        curvature += (slopes * (weighted * (1 - gone))) @ slopes.T
        bent = since - 1 / silent
        curvature[0, 1] += weighted @ bent
        curvature[1, 0] += weighted @ bent
        curvature[1, 1] += weighted @ ((r + x) * (1 / silent**2 - since**2))
        curvature[2, 2] -= weighted.sum() / a**2
        curvature[3, 3] += weighted @ slopes[3] ** 2
        return value, gradient, curvature

    def _odds_of_leaving(
        self, params: Vector, x: Vector, log_since: Vector, since: Vector, silent: Vector
    ) -> tuple[Vector, Vector]:
        """Return the log odds of having left with the last purchase, and their derivatives."""
        r, _, a, b = params
        last = b + x + self._chances - 1
        silence = log_since - np.log(silent)
        odds = np.log(a / last) + (r + x) * silence
        slopes = [silence, (r + x) * (since - 1 / silent), np.full_like(x, 1 / a), -1 / last]
        return odds, np.array(slopes)

    def _alive(self, histories: Histories) -> Vector:
        params = self.params_.to_numpy()
        x, age = histories.frequency, params[1] + histories.age
        may_leave = x + self._chances > 0
        odds, _ = self._odds_of_leaving(
            params, np.where(may_leave, x, 1), np.log(age), 1 / age, params[1] + histories.recency
        )
        return np.where(may_leave, expit(-odds), 1.0)

    def _scale(self, age: Vector) -> Vector:
        return self.params_["alpha"] + age

    def _rate(self, frequency: Vector, age: Vector, later: Vector) -> Vector:
        r, alpha, a, b = self.params_
        so_far, met = alpha + age, a + b + self._chances
        grown = 1 + later / so_far
        fewer = _hypergeometric(a, met - r - 1, met + frequency, 1 - 1 / grown)
        return (r + frequency) / so_far * grown**-a * fewer


def _hypergeometric(a: float, b: float, c: Vector, z: Vector) -> Vector:
    """Return 2F1(a, b; c; z) for z from 0 to 1; by its series where c is large.

    There SciPy's is not a number, and the series is short.
    """
    few = c < LARGE
    found = np.ones_like(c)
    found[few] = hyp2f1(a, b, c[few], z[few])
    c, z = c[~few], z[~few]
    term = total = np.ones_like(c)
    for n in range(TERMS):
        term = term * (a + n) * (b + n) / (c + n) * z / (n + 1)
        total = total + term
        if (np.abs(term) <= EXACT * np.abs(total)).all():
            break
    found[~few] = total
    return found


class ModifiedBetaGeo(BetaGeo):
    """The MBG/NBD model: as BG/NBD, but customers may also leave after the first purchase.

    So those who never bought again may have left, which suits trades with many one-time buyers.

    Attributes
    ----------
    params_ : pandas.Series
        `r`, `alpha` (in the units of the summary), `a` and `b`.
    standard_errors_ : pandas.Series
        Their standard errors, from the observed information.
    log_likelihood_ : float
        The maximum, without the constants that do not depend on the parameters.
    covariance_ : pandas.DataFrame
        The covariance of the logarithms of the parameters.
    n_customers_ : int
        Customers that were learned from.

    References
    ----------
    Batislam, E. P., Denizel, M. and Filiztekin, A. (2007), Empirical validation and comparison of
    models for customer base analysis, International Journal of Research in Marketing 24, 201-209.
    Wagner, U. and Hoppe, D. (2008), Erratum on the MBG/NBD model, the same journal 25, 225-226.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> n, most = 2_000, 80
    >>> rates, leaving = rng.gamma(0.8, 1 / 6, n), rng.beta(1.0, 3.0, n)
    >>> times = rng.exponential(1 / rates, (most, n)).cumsum(axis=0)
    >>> bought = (times <= 52) & (np.arange(most)[:, None] < rng.geometric(leaving) - 1)
    >>> summary = pd.DataFrame(
    ...     {"frequency": bought.sum(axis=0), "recency": (times * bought).max(axis=0), "T": 52}
    ... )
    >>> model = ModifiedBetaGeo().fit(summary)
    >>> once = pd.DataFrame({"frequency": [0], "recency": [0], "T": [52]}, index=["ann"])
    >>> model.probability_alive(once).round(1)
    ann    0.3
    Name: probability_alive, dtype: float64
    """

    _chances: ClassVar[int] = 1
