"""What a way of choosing whom to treat would bring, estimated from a randomised campaign."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from custseg.campaigns._crossfit import doubly_robust
from custseg.campaigns._policy_learning import (
    ALIKE,
    AT_BUDGET,
    AT_RANDOM,
    BY_SEGMENT,
    BY_UPLIFT,
    DRAWS,
    Policy,
)
from custseg.campaigns._trial import Codes, Mask, Matrix, Trial
from custseg.campaigns.srm import p_words
from custseg.errors import DataError, ParameterError, check_columns, check_number
from custseg.results import Result, format_number
from custseg.stats import holm

NOBODY, EVERYBODY = "nobody", "everybody: {}"
METHODS = ("dr", "ipw")


@dataclass(frozen=True, repr=False, eq=False)
class PolicyValue(Result):
    """What ways of choosing whom to treat would bring per customer, and how they differ.

    Attributes
    ----------
    table
        The table of `to_frame`.
    differences
        One row per pair and method: `policy`, `against`, `method`, `difference` (of their values),
        `se`, `ci_low`, `ci_high` (95%), `p_value`, `p_holm` (the pairs of a method are one family).
    policies
        Index ``customer_id``, columns ``(policy, arm)``: with which probability a customer would be
        in the arm. What is learned was learned without the customer's fold.
    segment_arms
        One row per segment and arm: `segment`, `arm`, `n`, `gain` (effect on the outcome less
        cost, doubly robust), `se`, `ci_low`, `ci_high`, `chosen` (share of the folds in which the
        segment was given the arm). Empty without segments.
    account
        `rows_in` = `rows_used` + what was set aside, by reason.
    outcome
        The column of outcomes.
    notes
        Caveats.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    policies: pd.DataFrame
    segment_arms: pd.DataFrame
    account: pd.Series
    outcome: str
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "targeting.policy_values"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per policy and method.

        Returns
        -------
        pandas.DataFrame
            `policy`, `method` (``"dr"``: doubly robust, ``"ipw"``: those who were in the arm that
            the policy gives them), `value` (outcome less cost per customer), `se`, `ci_low`,
            `ci_high` (95%), `treated` (share of customers not in control), `cost` (per customer).
        """
        return self.table.copy()

    def compare(self, policy: str, against: str, *, method: str = "dr") -> pd.Series:
        """Return the difference in value of two policies, the first minus the second.

        Parameters
        ----------
        policy, against
            Names of policies.
        method
            ``"dr"`` or ``"ipw"``.

        Raises
        ------
        ParameterError
            If there is no such pair.
        """
        rows = self.differences[self.differences["method"] == method]
        for first, second, sign in ((policy, against, 1), (against, policy, -1)):
            found = rows[(rows["policy"] == first) & (rows["against"] == second)]
            if len(found):
                row = found.iloc[0].copy()
                if sign < 0:
                    low, high = -row["ci_high"], -row["ci_low"]
                    row["policy"], row["against"] = policy, against
                    row["difference"], row["ci_low"], row["ci_high"] = -row["difference"], low, high
                return row
        names = ", ".join(repr(name) for name in self.table["policy"].unique())
        raise ParameterError(
            f"no pair of {policy!r} and {against!r} by method {method!r}: policies are {names}, "
            "methods 'dr' and 'ipw'."
        )

    def summary(self) -> str:
        """Return the best policy, and what segments earn over treating all customers alike."""
        rows = self.table[self.table["method"] == "dr"].set_index("policy")
        best = rows["value"].idxmax()
        nobody = rows.loc[NOBODY, "value"]
        highest = f"highest is {best!r}, {format_number(rows.loc[best, 'value'])}"
        parts = [
            f"{self.account['rows_used']:,} customers",
            f"Treating nobody, {self.outcome} is {format_number(nobody)} per customer; {highest}",
        ]
        for policy, against in (
            (BY_SEGMENT, ALIKE),
            (AT_BUDGET.format(BY_SEGMENT), AT_BUDGET.format(AT_RANDOM)),
            (BY_UPLIFT, BY_SEGMENT),
        ):
            if {policy, against} <= set(rows.index):
                parts.append(_words(self.compare(policy, against)))
        return ". ".join(parts) + "."

    def _shown(self) -> pd.DataFrame:
        return self.table[self.table["method"] == "dr"].drop(columns="method")


def _words(row: pd.Series) -> str:
    if not row["p_value"] >= 0:
        return f"{row['policy']!r} and {row['against']!r} treat everyone the same"
    more = "more" if row["difference"] >= 0 else "less"
    sure = "" if row["ci_low"] > 0 or row["ci_high"] < 0 else ", which may be chance"
    return (
        f"{row['policy']!r} earns {format_number(abs(row['difference']))} per customer {more} than "
        f"{row['against']!r} (difference {format_number(row['ci_low'])} to "
        f"{format_number(row['ci_high'])}, {p_words(row['p_value'])}){sure}"
    )


def fixed_policies(trial: Trial, given: Mapping[str, str | pd.Series]) -> dict[str, Policy]:
    """Return nobody, everybody in each arm, and the policies given.

    Raises
    ------
    ParameterError, DataError
        If a given policy is no arm per customer.
    """
    sure = np.eye(len(trial.arms))
    n = len(trial.arm)
    found = {NOBODY: np.tile(sure[0], (n, 1))}
    for a, arm in enumerate(trial.arms[1:], start=1):
        found[EVERYBODY.format(arm)] = np.tile(sure[a], (n, 1))
    for name, arms in given.items():
        if name in {*found, ALIKE, BY_SEGMENT, BY_UPLIFT} or name.startswith("budget: "):
            raise ParameterError(f"a policy is called {name!r}, a name that is taken. Rename it.")
        if not isinstance(arms, str | pd.Series):
            raise ParameterError(
                f"policies[{name!r}] is a {type(arms).__name__}, but must be a column or a Series "
                "of arms indexed by customer id."
            )
        if isinstance(arms, pd.Series) and arms.index.has_duplicates:
            raise DataError(
                f"the index of policies[{name!r}] repeats customers. Keep one row per customer."
            )
        chosen = trial.rows[arms] if isinstance(arms, str) else arms.reindex(trial.rows.index)
        codes = pd.Index(trial.arms).get_indexer(pd.Index(chosen.astype(object)))
        if (codes < 0).any():
            raise DataError(
                f"policy {name!r} gives {int((codes < 0).sum()):,} customers none of the arms "
                f"{trial.arms}, such as {chosen[codes < 0].iloc[0]!r}. Give every customer an arm."
            )
        found[name] = sure[codes]
    return {name: Policy(chances) for name, chances in found.items()}


def judge(
    trial: Trial, fold: Codes, predicted: Matrix, policies: Mapping[str, Policy], cost: Matrix
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the value of each policy and the difference of each pair, by both methods.

    Parameters
    ----------
    trial, fold
        The customers, and the folds that policies were learned on.
    predicted
        Outcomes by arm, (n, A), of models that did not see the customer's own.
    policies
        Name to policy.
    cost
        Of a customer in each arm, (A,).

    Notes
    -----
    What is judged on a fold was learned on the others, so that each fold's error has mean 0 given
    the others. But two folds' errors go together where a choice is close: a fold that speaks for an
    arm has it chosen for the others. With e_k the error on fold k and e_k' what it would be had
    the choice been made without fold j as well, their covariance is E[(e_k - e_k') (e_j - e_j')],
    for all the other products have mean 0 (but for what outcome models know of fold j). The sum of
    these products, where it is above 0, is added to the variance. For choices by group it is the
    covariance of errors in campaigns drawn like this one, which is less uncertain.

    References
    ----------
    Athey, S., & Wager, S. (2021). Policy learning with observational data. Econometrica 89,
    133-161. Zhou, Z., Athey, S., & Wager, S. (2023). Offline multi-action policy learning.
    Operations Research 71, 148-183.
    """
    names, ways = list(policies), list(policies.values())
    scores = doubly_robust(trial, predicted) - cost
    facts = {
        "treated": [1 - way.chances[:, 0].mean() for way in ways],
        "cost": [(way.chances @ cost).mean() for way in ways],
    }
    nothing = np.zeros((DRAWS, int(fold.max()) + 1))
    drawn = np.array([nothing if way.errors is None else way.errors for way in ways])
    by_draws = np.array([way.errors is not None or way.without is None for way in ways])
    values, differences = [], []
    for method in METHODS:
        if method == "dr":
            columns, expected = [(way.chances * scores).sum(axis=1) for way in ways], predicted
        else:
            at = np.arange(len(fold)), trial.arm
            net = trial.outcome - cost[trial.arm]
            columns = [
                weighted_parts(trial.stratum, way.chances[at] / trial.propensity[at], net)
                for way in ways
            ]
            expected = stratum_means(trial)
        parts = np.column_stack(columns)
        noise = trial.received / trial.propensity * (trial.outcome[:, None] - expected)
        moved = np.array([_moved(way, fold, noise) for way in ways])
        found = mean_estimates(parts, _shared(moved, drawn, by_draws)).drop(columns="p_value")
        values.append(pd.DataFrame({"policy": names, "method": method, **found, **facts}))
        pairs = list(combinations(range(len(names)), 2))
        later, earlier = [b for _, b in pairs], [a for a, _ in pairs]
        shared = _shared(
            moved[later] - moved[earlier],
            drawn[later] - drawn[earlier],
            by_draws[later] & by_draws[earlier],
        )
        compared = mean_estimates(parts[:, later] - parts[:, earlier], shared)
        head = {"policy": [names[b] for b in later], "against": [names[a] for a in earlier]}
        compared = pd.DataFrame(head | {"method": method} | dict(compared))
        compared["p_holm"] = holm(compared["p_value"].to_numpy())
        differences.append(compared.rename(columns={"value": "difference"}))
    return pd.concat(values, ignore_index=True), pd.concat(differences, ignore_index=True)


def arm_costs(cost: float | Mapping[Any, float], arms: list[Any]) -> Matrix:
    """Return the cost of a customer in each arm (A,), the first of which is control.

    Raises
    ------
    ColumnError, ParameterError
        If an arm is none, or a cost is no number from 0.
    """
    if isinstance(cost, Mapping):
        check_columns(arms, list(cost), where="the campaign's arms")
        by_arm = dict.fromkeys(arms, 0.0) | dict(cost)
    else:
        by_arm = dict.fromkeys(arms, cost) | {arms[0]: 0.0}
    for name, value in by_arm.items():
        check_number(value, f"cost[{name!r}]", ge=0)
    return np.array([float(by_arm[name]) for name in arms])


def segment_gains(
    arms: list[Any], segments: pd.Series, scores: Matrix, cost: Matrix, chosen: Codes
) -> pd.DataFrame:
    """Return what each arm gains in each segment, and how often it was chosen for it."""
    rows = []
    for g, name in enumerate(segments.cat.categories):
        own = scores[(segments == name).to_numpy()] - cost
        found = mean_estimates(own[:, 1:] - own[:, :1]).rename(columns={"value": "gain"})
        share = [(chosen[:, g] == a).mean() for a in range(1, len(arms))]
        head = {"segment": name, "arm": arms[1:], "n": len(own)}
        rows.append(pd.DataFrame(head | dict(found.drop(columns="p_value")) | {"chosen": share}))
    return pd.concat(rows, ignore_index=True)


def mean_estimates(parts: Matrix, more: ArrayLike = 0.0) -> pd.DataFrame:
    """Return the mean of each column (n, q) with standard error, 95% interval and p-value.

    `more` is added to the squared standard errors.
    """
    n = len(parts)
    value = parts.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(parts.var(axis=0, ddof=1) / n + more) if n > 1 else np.full_like(value, np.nan)
        se = np.where((np.ptp(parts, axis=0) == 0) & (n > 1), 0, se)
        half = stats.t.isf(0.025, n - 1) * se
        p_value = 2 * stats.t.sf(np.abs(value) / se, n - 1)
    p_value = np.where(se > 0, p_value, np.nan)
    return pd.DataFrame(
        {"value": value, "se": se, "ci_low": value - half, "ci_high": value + half}
        | {"p_value": p_value}
    )


def weighted_parts(stratum: Codes, weight: Matrix, values: Matrix) -> Matrix:
    """Return the parts (n,) whose mean is the weighted mean of values (n,) within strata.

    Weights add up to a stratum's size; strata count by their size. In a stratum without weights
    the mean is that of the other strata. What a stratum's mean takes from the spread of the few
    that it is made of is given back, as n - 1 does.
    """
    size, total = np.bincount(stratum), np.bincount(stratum, weight)
    overall = weight @ values / weight.sum() if weight.any() else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(total > 0, np.bincount(stratum, weight * values) / total, overall)
        scale = np.where(total > 0, size / total, 0)
        n = total**2 / np.bincount(stratum, weight**2)
        scale *= np.where(n > 1, np.sqrt(n / (n - 1)), 1)
    own = mean[stratum]
    return np.asarray(own + scale[stratum] * weight * (values - own))


def stratum_means(trial: Trial) -> Matrix:
    """Return the mean outcome of each arm in the customer's stratum, (n, A)."""
    member = trial.stratum, trial.arm
    shape = int(trial.stratum.max()) + 1, len(trial.arms)
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, member, trial.outcome)
    np.add.at(count, member, 1)
    overall = total.sum(axis=0) / count.sum(axis=0)
    with np.errstate(invalid="ignore"):
        means = np.where(count > 0, total / count, overall)
    return np.asarray(means[trial.stratum])


def _moved(way: Policy, fold: Codes, noise: Matrix) -> Matrix:
    """Return by how much fold j moves the error on fold k, through the policy, (K, K)."""
    n_folds = int(fold.max()) + 1
    if way.without is None:
        return np.zeros((n_folds, n_folds))
    per_customer = ((way.chances - way.without) * noise).sum(axis=2)
    return np.array([np.bincount(fold, row, n_folds) for row in per_customer]) / len(fold)


def _shared(moved: Matrix, drawn: Matrix, by_draws: Mask) -> Matrix:
    """Return the covariance that folds share, from (..., K, K), or from (..., B, K) where drawn."""
    seen = (moved * np.swapaxes(moved, -1, -2)).sum(axis=(-1, -2))
    expected = (drawn.sum(axis=-1) ** 2 - (drawn**2).sum(axis=-1)).mean(axis=-1)
    return np.maximum(np.where(by_draws, expected, seen), 0)
