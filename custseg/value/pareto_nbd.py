"""The Pareto/NBD model of repeat purchases: customers may drop out at any time."""

from typing import ClassVar

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import expit

from custseg.value._histories import Histories
from custseg.value._likelihood import Terms, rising
from custseg.value._purchases import PurchaseModel

Vector = NDArray[np.float64]
NODES = 32
NOTHING = 40.0
"""A chance smaller by this power of e counts as none."""
BLOCK = 4_096


class ParetoNBD(PurchaseModel):
    """The Pareto/NBD model: Poisson purchases until a customer drops out, at any time.

    While active, a customer buys at a rate of his own; the rates follow a gamma distribution with
    shape `r` and rate `alpha`. A customer stays for an exponential time at a rate of his own; these
    rates follow a gamma distribution with shape `s` and rate `beta`.

    Attributes
    ----------
    params_ : pandas.Series
        `r`, `alpha`, `s` and `beta`; `alpha` and `beta` in the units of the summary.
    standard_errors_ : pandas.Series
        Their standard errors, from the observed information.
    log_likelihood_ : float
        The maximum, without the constants that do not depend on the parameters.
    covariance_ : pandas.DataFrame
        The covariance of the logarithms of the parameters.
    n_customers_ : int
        Customers that were learned from.

    Notes
    -----
    The chance to have dropped out since the last purchase is integrated numerically, in the
    logarithm of time, and so are its derivatives: exact to about twelve digits, where the usual
    difference of hypergeometric functions loses digits.

    References
    ----------
    Schmittlein, D. C., Morrison, D. G. and Colombo, R. (1987), Counting your customers: who
    are they and what will they do next?, Management Science 33, 1-24.
    Fader, P. S. and Hardie, B. G. S. (2005), A note on deriving the Pareto/NBD model and related
    expressions, brucehardie.com/notes/009.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> n = 2_000
    >>> active = np.minimum(rng.exponential(1 / rng.gamma(0.9, 1 / 20, n)), 52)
    >>> frequency = rng.poisson(rng.gamma(0.8, 1 / 6, n) * active)
    >>> recency = np.where(frequency > 0, active * rng.beta(np.maximum(frequency, 1), 1), 0)
    >>> summary = pd.DataFrame({"frequency": frequency, "recency": recency, "T": 52.0})
    >>> model = ParetoNBD().fit(summary)
    >>> model.params_.round(1).to_dict()
    {'r': 0.8, 'alpha': 5.8, 's': 1.1, 'beta': 25.0}
    """

    _hint: ClassVar[str] = (
        "Check that T is the age of customers and that customers of all ages are in the table, "
        "also those who never bought again. If drop-out is rare, or much the same for everybody, "
        "try BetaGeo, or more customers and a longer observation."
    )

    def _starts(self, histories: Histories) -> list[dict[str, float]]:
        age = float(histories.customers @ histories.age / histories.customers.sum())
        return [
            {"r": r, "alpha": r / histories.mean_rate, "s": s, "beta": age * stay}
            for r, s, stay in ((0.5, 0.5, 0.5), (2.0, 0.3, 0.05), (0.2, 1.0, 1.0), (1.0, 3.0, 3.0))
        ]

    def _log_likelihood(self, params: Vector, histories: Histories) -> Terms:
        r, alpha, s, beta = params
        count, n = histories.customers, histories.customers.sum()
        values, customers = histories.by_frequency
        bought = rising(r, values, customers)
        value = bought[0] + n * (r * np.log(alpha) + s * np.log(beta))
        gradient = np.array(
            [bought[1] + n * np.log(alpha), n * r / alpha, n * np.log(beta), n * s / beta]
        )
        curvature = np.diag([bought[2], -n * r / alpha**2, 0.0, -n * s / beta**2])
        curvature[0, 1] = n / alpha
        curvature[2, 3] = n / beta
        for start in range(0, len(count), BLOCK):
            rows = slice(start, start + BLOCK)
            x, age, weight = histories.frequency[rows], histories.age[rows], count[rows]
            active, slope_active, bend_active = _still_active(params, x, age)
            left, slope_left, bend_left = _left(params, x, histories.recency[rows], age)
            gone = expit(left - active)
            value += weight @ np.logaddexp(active, left)
            apart = slope_left - slope_active
            gradient += (slope_active + gone * apart) @ weight
            curvature += np.triu((apart * (weight * gone * (1 - gone))) @ apart.T)
            curvature += (bend_active + gone * (bend_left - bend_active)) @ weight
        return value, gradient, np.triu(curvature) + np.triu(curvature, 1).T

    def _alive(self, histories: Histories) -> Vector:
        params, alive = self.params_.to_numpy(), np.empty(len(histories.age))
        for start in range(0, len(alive), BLOCK):
            rows = slice(start, start + BLOCK)
            x, age = histories.frequency[rows], histories.age[rows]
            active, _, _ = _still_active(params, x, age)
            left, _, _ = _left(params, x, histories.recency[rows], age)
            alive[rows] = expit(active - left)
        return alive

    def _scale(self, age: Vector) -> Vector:
        return self.params_["beta"] + age

    def _rate(self, frequency: Vector, age: Vector, later: Vector) -> Vector:
        r, alpha, s, beta = self.params_
        so_far = beta + age
        return (r + frequency) / (alpha + age) * (so_far / (so_far + later)) ** s


def _still_active(params: Vector, x: Vector, age: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the log chance of a history that goes on, its slopes and its bends (upper half)."""
    r, alpha, s, beta = params
    a, b, k = alpha + age, beta + age, r + x
    log_a, log_b = np.log(a), np.log(b)
    bends = np.zeros((4, 4, len(x)))
    bends[0, 1], bends[1, 1], bends[2, 3], bends[3, 3] = -1 / a, k / a**2, -1 / b, s / b**2
    return -k * log_a - s * log_b, np.array([-log_a, -k / a, -log_b, -s / b]), bends


def _left(params: Vector, x: Vector, recency: Vector, age: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the log chance of a history that ended after its last purchase, slopes and bends.

    It is the integral, from the last purchase until now, of s / (alpha + u)^(r + x) /
    (beta + u)^(s + 1), by the logarithm of u plus the smaller of alpha and beta.
    """
    r, alpha, s, beta = params
    k, near = (r + x)[:, None], min(alpha, beta)
    first_a, first_b = alpha + recency, beta + recency
    with np.errstate(over="ignore"):
        faded_a = first_a * np.exp(np.minimum(NOTHING / (r + x), 700)) - alpha
        faded_b = first_b * np.exp(min(NOTHING / (s + 1), 700)) - beta
    end = np.minimum(age, np.minimum(faded_a, faded_b))
    half = np.log1p((end - recency) / (near + recency)) / 2
    nodes, weights = leggauss(NODES)
    grown = np.exp(half[:, None] * (1 + nodes))  # (near + u) / (near + recency)
    since = (near + recency)[:, None] * (grown - 1)
    a, b = first_a[:, None] + since, first_b[:, None] + since
    log_a, log_b = np.log(a), np.log(b)
    top = -(r + x) * np.log(first_a) - (s + 1) * np.log(first_b)
    chance = weights * grown * np.exp(-k * log_a - (s + 1) * log_b - top[:, None])
    total = chance.sum(axis=1)
    share = chance / total[:, None]

    each = (-log_a, -k / a, -log_b, -(s + 1) / b)
    weighted = [share * slope for slope in each]
    slopes = np.array([slope.sum(axis=1) for slope in weighted])
    bends = np.zeros((4, 4, len(x)))
    for i in range(4):
        for j in range(i, 4):
            bends[i, j] = np.einsum("ij,ij->i", weighted[i], each[j])
    # The means of 1 / a and k / a^2 are those of the slope k / a and of its square, over k.
    bends[0, 1] += slopes[1] / (r + x)
    bends[1, 1] += bends[1, 1] / (r + x)
    bends[2, 3] += slopes[3] / (s + 1)
    bends[3, 3] += bends[3, 3] / (s + 1)
    bends -= slopes[:, None] * slopes
    bends[2, 2] -= 1 / s**2
    slopes[2] += 1 / s
    with np.errstate(divide="ignore"):
        value = np.log(s) + top + np.log(half * (near + recency)) + np.log(total)
    return value, slopes, bends
