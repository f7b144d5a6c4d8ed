"""Several arms against one control: the law of the test statistics and what is rejected of them."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from custseg.campaigns._comparing import few_expected
from custseg.stats import fisher

ALTERNATIVES = ("two-sided", "greater", "less")
CORRECTIONS = ("holm", "bonferroni", "dunnett", "none")
MOST_HOLM_ARMS = 5
"""Beyond, Holm's chance to reject all has too many outcomes to add up: Bonferroni's stands in."""
_MANY = 5_000  # degrees of freedom from which the variance counts as known in joint laws


@dataclass(frozen=True)
class Setting:
    """An outcome and how k arms are compared with control in it.

    `shares` are those of control and the k arms; `balanced` is the share of the variance that lies
    between strata of the assignment, which the standard errors do not know of.
    """

    shares: tuple[float, ...]
    baseline: float
    sd: float
    binary: bool
    r_squared: float
    balanced: float
    alpha: float
    alternative: str
    correction: str

    @property
    def sign(self) -> int:
        """-1 where the alternative is that the arms have less than control."""
        return -1 if self.alternative == "less" else 1

    @property
    def tail(self) -> float:
        """The level of one tail."""
        return self.alpha / 2 if self.alternative == "two-sided" else self.alpha


class Law(NamedTuple):
    """Test statistics ``(centre + scale * Z) / S`` of k arms, each an array (k,).

    Z are normal with correlations ``shared[i] * shared[j]`` (the control group), S is the relative
    error of the estimated spread, with `df` degrees of freedom for an arm and `df_all` for all.
    """

    centre: np.ndarray
    scale: np.ndarray
    df: np.ndarray
    df_all: float
    shared: np.ndarray


def law(setting: Setting, n: np.ndarray, effect: np.ndarray) -> Law:
    """Return the law of the statistics for arms of sizes `n` (k + 1,) and effects (k,)."""
    n_control, n_arm = n[0], n[1:]
    kept = 1 - setting.r_squared
    if setting.binary:
        p, p_arm = setting.baseline, setting.baseline + effect
        var, var_arm = kept * p * (1 - p) / n_control, kept * p_arm * (1 - p_arm) / n_arm
        pooled = (p * n_control + p_arm * n_arm) / (n_control + n_arm)
        error = np.sqrt(kept * pooled * (1 - pooled) * (1 / n_control + 1 / n_arm))
        df, df_all = np.full(len(effect), np.inf), np.inf
    else:
        var, var_arm = kept * setting.sd**2 / n_control, kept * setting.sd**2 / n_arm
        error = np.sqrt(var + var_arm)
        parts = var**2 / (n_control - 1) + var_arm**2 / (n_arm - 1)
        df, df_all = (var + var_arm) ** 2 / parts, float(n.sum() - len(n))
    spread = np.sqrt(var + var_arm)
    return Law(
        setting.sign * effect / error,
        spread / error * np.sqrt(1 - setting.balanced),
        df,
        df_all,
        np.sqrt(var) / spread,
    )


def powers(setting: Setting, n: np.ndarray, effect: np.ndarray) -> np.ndarray:
    """Return for each arm the chance that its effect is found, whatever the others do, (k,).

    Holm's is taken at its first step, Bonferroni's: where no other arm has an effect the later
    steps hardly ever help.
    """
    found = law(setting, n, effect)
    return _marginal(found, critical_values(setting, found)[-1], setting.alternative)


def joint_powers(setting: Setting, n: np.ndarray, effect: np.ndarray) -> tuple[float, float]:
    """Return the chances that at least one of the effects is found, and that all are."""
    found, k = law(setting, n, effect), len(effect)
    outside, weights = _outside(found, critical_values(setting, found)[-1:], setting.alternative)
    any_found = 1 - float(np.prod(1 - outside[0], axis=0) @ weights)
    if setting.correction != "holm" or k == 1 or k > MOST_HOLM_ARMS:
        return any_found, float(np.prod(outside[0], axis=0) @ weights)
    return any_found, _holm_all(setting, found)


def critical_values(setting: Setting, found: Law) -> np.ndarray:
    """Return the critical values by number of hypotheses left (1 to k) and arm, (k, k)."""
    k = len(found.df)
    if setting.correction == "dunnett":
        shared = tuple(found.shared.tolist())
        value = dunnett_critical(shared, found.df_all, setting.alpha, setting.alternative)
        return np.full((k, k), value)
    left = {"none": np.ones(k), "bonferroni": np.full(k, k), "holm": np.arange(1, k + 1)}
    return stats.t.isf(setting.tail / left[setting.correction][:, None], found.df)


@lru_cache(maxsize=256)
def dunnett_critical(shared: tuple[float, ...], df: float, alpha: float, alternative: str) -> float:
    """Return the value that the largest of k statistics exceeds with chance alpha without effects.

    Parameters
    ----------
    shared
        The square roots of the correlations that the control group makes, by arm.
    df
        Degrees of freedom of the spread, estimated from all arms.
    alpha, alternative
        As in `sample_size`.

    References
    ----------
    Dunnett, C. W. (1955), A multiple comparison procedure for comparing several treatments with a
    control, JASA 50, 1096-1121.
    """
    k = len(shared)
    null = Law(np.zeros(k), np.ones(k), np.full(k, df), df, np.array(shared))

    def excess(c: float) -> float:
        outside, weights = _outside(null, np.full((1, k), c), alternative)
        return 1 - float(np.prod(1 - outside[0], axis=0) @ weights) - alpha

    tail = alpha / 2 if alternative == "two-sided" else alpha
    single, bound = stats.t.isf([tail, tail / k / 2], df)
    return float(optimize.brentq(excess, min(single, 0) - 1, bound + 1, xtol=1e-10))


def exact_power(n: np.ndarray, p: np.ndarray, critical: float, setting: Setting) -> float:
    """Return the power of the test of two proportions, every outcome counted by its chance.

    Parameters
    ----------
    n, p
        Size and true proportion of control and arm, (2,).
    critical
        The critical value of the score test. Two-sided, Fisher's exact test takes its place where
        few successes or failures are expected, as in `Proportion`.
    setting
        For the side of the alternative.
    """
    low, high = stats.binom.ppf([[1e-13], [1 - 1e-13]], n, p)
    x, y = np.meshgrid(*(np.arange(low[a], high[a] + 1) for a in (0, 1)), indexing="ij")
    pooled = (x + y) / n.sum()
    error = np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    z = setting.sign * (y / n[1] - x / n[0])
    z = np.divide(z, error, out=np.zeros(error.shape), where=error > 0)
    rejected = z >= critical
    if setting.alternative == "two-sided":
        few = few_expected(y, n[1], x, n[0]) & (error > 0)
        level = 2 * stats.norm.sf(critical) * (1 + 1e-12)
        rejected = np.abs(z) >= critical
        rejected[few] = fisher(y[few], n[1], x[few], n[0]) <= level
    chance = stats.binom.pmf(x, n[0], p[0]) * stats.binom.pmf(y, n[1], p[1])
    return float(chance[rejected].sum())


def _marginal(found: Law, critical: np.ndarray, alternative: str) -> np.ndarray:
    """Return the chance of each statistic to exceed its critical value, (k,)."""
    value, centre = critical / found.scale, found.centre / found.scale
    df = np.minimum(found.df, 1e9)

    def beyond(centre: np.ndarray) -> np.ndarray:
        normal = stats.norm.sf(value - centre)
        known = np.isinf(found.df) | (np.abs(centre) > 30)
        return np.where(known, normal, stats.nct.sf(value, df, np.where(known, 0, centre)))

    one = beyond(centre)
    return one + beyond(-centre) if alternative == "two-sided" else one


def _outside(found: Law, critical: np.ndarray, alternative: str) -> tuple[np.ndarray, np.ndarray]:
    """Return chances to exceed critical values (m, k) where control and spread are given.

    They are (m, k, Q) for the Q nodes of a quadrature over the control group and the spread; given
    these the arms are independent.
    """
    z, spread, weights = _nodes(found.df_all)
    own = found.scale * np.sqrt(1 - found.shared**2)
    centre = found.centre[:, None] + (found.scale * found.shared)[:, None] * z
    bound = critical[:, :, None] * spread
    with np.errstate(
        divide="ignore"
    ):  # an arm that converts every customer has no error of its own
        beyond = stats.norm.sf((bound - centre) / own[:, None])
        if alternative == "two-sided":
            beyond += stats.norm.cdf((-bound - centre) / own[:, None])
    return beyond, weights


@lru_cache(maxsize=64)
def _nodes(df: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return nodes for the control group and the relative error of the spread, and weights."""
    z, weights = np.polynomial.hermite_e.hermegauss(48)
    weights, spread = weights / np.sqrt(2 * np.pi), np.ones(1)
    if df < _MANY:
        at, share = np.polynomial.hermite_e.hermegauss(16)
        spread = np.sqrt(stats.chi2.ppf(stats.norm.cdf(at), df) / df)
        weights = np.outer(share / np.sqrt(2 * np.pi), weights).ravel()
    return np.tile(z, len(spread)), np.repeat(spread, len(z)), weights


def _holm_all(setting: Setting, found: Law) -> float:
    """Return Holm's chance to reject all arms: the r-th largest statistic passes for each r."""
    k = len(found.df)
    outside, weights = _outside(found, critical_values(setting, found), setting.alternative)
    ends = [np.ones_like(outside[:1]), outside, np.zeros_like(outside[:1])]
    passed = -np.diff(np.concatenate(ends), axis=0)  # exactly 0 to k critical values, by arm
    outcomes = np.array(list(product(range(1, k + 1), repeat=k)))
    rejected = (np.sort(outcomes, axis=1) >= np.arange(1, k + 1)).all(axis=1)
    chance = np.ones((rejected.sum(), len(weights)))
    for arm in range(k):
        chance *= passed[outcomes[rejected, arm], arm]
    return float((chance @ weights).sum())
