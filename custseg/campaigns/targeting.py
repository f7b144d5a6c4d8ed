"""Whom to target: what acting by segment, by predicted uplift or within a budget would bring."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from custseg.campaigns._crossfit import (
    Learner,
    check_learner,
    doubly_robust,
    draw_folds,
    few_threads,
    predict_outcomes,
)
from custseg.campaigns._policy_learning import Policy, learned_policies
from custseg.campaigns._trial import Codes, Matrix, Trial, read_trial
from custseg.campaigns.effect_tree import EffectSegments
from custseg.campaigns.policy import (
    PolicyValue,
    arm_costs,
    fixed_policies,
    judge,
    segment_gains,
)
from custseg.errors import ParameterError, check_number

_FEW_IN_SEGMENT = 50


def policy_value(
    data: Any,
    *,
    outcome: str,
    arm: str,
    control: Any,
    customer_id: str,
    segments: str | pd.Series | EffectSegments | None = None,
    features: Sequence[str] = (),
    policies: Mapping[str, str | pd.Series] | None = None,
    budget: float | None = None,
    cost: float | Mapping[Any, float] = 0.0,
    strata: Sequence[str] | Mapping[Any, str] = (),
    learner: Learner | None = None,
) -> PolicyValue:
    """Return what it would bring to treat nobody, everybody, by segment, by uplift or by a budget.

    The data are those of a randomised campaign. A policy gives every customer an arm; its value is
    the mean outcome, less cost, if customers got what it gives them. Policies that are learned from
    outcomes (the arm that is best for all alike, for each segment, for each customer) are learned
    on some folds and judged on the customers of another, models of outcomes included.

    Parameters
    ----------
    data
        One row per customer, any kind of table.
    outcome, arm, control, customer_id
        The column of outcomes, that of arms, the arm that means no treatment, and the column that
        identifies customers.
    segments
        A column, or labels indexed by customer id, not learned from these outcomes. Segments that
        were are given as what `effect_segments` returned: the customers they were learned from are
        set aside.
    features
        Columns known before the campaign, from which outcomes and uplift are predicted; without
        any, nothing is chosen by uplift. Text becomes a column per level, a missing number the
        median with a mark.
    policies
        Further policies: name to a column, or a Series indexed by customer id, with the arm of each
        customer, decided without these outcomes.
    budget
        The share of customers who can be treated, between 0 and 1.
    cost
        Of treating a customer, in the unit of the outcome: one number, or arm to number (control
        included or free).
    strata
        Columns in whose combinations arms were drawn, the shares seen there being the chances of
        arms; or, where chances differ from customer to customer, arm to the column with the chance
        of it, control included.
    learner
        How outcomes and uplift are learned, and in how many folds; ``Learner()`` when ``None``.

    Returns
    -------
    PolicyValue
        Values with intervals by two methods, all pairwise differences, and the policies.

    Raises
    ------
    ColumnError
        If a column is missing.
    ParameterError
        If a number is outside its bounds, or an arm or a policy is none.
    DataError
        If the values do not allow the question: a customer twice, an outcome that is no number, an
        arm or stratum with too few customers.

    References
    ----------
    Athey, S., & Wager, S. (2021). Policy learning with observational data. Econometrica 89,
    133-161. Chernozhukov, V., et al. (2018). Double/debiased machine learning for treatment and
    structural parameters. Econometrics Journal 21, C1-C68.

    Examples
    --------
    >>> import custseg as cs
    >>> shop = cs.datasets.load_shop()
    >>> found = cs.campaigns.policy_value(
    ...     shop.campaign, outcome="spend", arm="arm", control="control",
    ...     customer_id="customer_id", segments=shop.truth.set_index("customer_id")["segment"],
    ... )
    >>> row = found.compare("by segment", "all alike")
    >>> bool(row["ci_low"] < row["difference"] < row["ci_high"])
    True
    """
    learner = check_learner(learner)
    if budget is not None:
        check_number(budget, "budget", gt=0, lt=1)
    if not isinstance(policies, Mapping | None):
        raise ParameterError(
            f"policies is a {type(policies).__name__}, but must map names to columns or Series."
        )
    given = dict(policies or {})
    learned_from = None
    if isinstance(segments, EffectSegments):
        learned_from, segments = segments.learned_from, segments.segments
    trial = read_trial(
        data,
        outcome=outcome,
        arm=arm,
        control=control,
        customer_id=customer_id,
        features=features,
        segments=segments,
        strata=strata,
        more=[name for name in given.values() if isinstance(name, str)],
        learned_from=learned_from,
    )
    costs = arm_costs(cost, trial.arms)
    fixed = fixed_policies(trial, given)
    fold = draw_folds(trial, learner)
    with few_threads(len(fold)):
        predicted = predict_outcomes(trial, fold, learner)
        ways, chosen = learned_policies(
            trial, fold, predicted, learner if len(features) else None, cost=costs, budget=budget
        )
    ways = fixed | ways
    own = predicted[fold, np.arange(len(fold))]
    table, differences = judge(trial, fold, own, ways, costs)
    gains = pd.DataFrame()
    if trial.segments is not None:
        scores = doubly_robust(trial, own)
        gains = segment_gains(trial.arms, trial.segments, scores, costs, chosen)
    return PolicyValue(
        table,
        differences,
        _probabilities(trial, ways),
        gains,
        trial.account,
        outcome,
        tuple(_notes(trial, costs, chosen, features)),
    )


def _probabilities(trial: Trial, ways: Mapping[str, Policy]) -> pd.DataFrame:
    columns = pd.MultiIndex.from_product([list(ways), trial.arms], names=["policy", "arm"])
    return pd.DataFrame(
        np.hstack([way.chances for way in ways.values()]), trial.rows.index, columns
    )


def _notes(trial: Trial, cost: Matrix, chosen: Codes, features: Sequence[str]) -> list[str]:
    notes = []
    parts = {"no_arm": "without an arm", "no_outcome": "without an outcome"}
    aside = trial.account[list(parts)].sum()
    if aside:
        words = [f"{trial.account[k]:,} {w}" for k, w in parts.items() if trial.account[k]]
        notes.append(
            f"{aside:,} customers are set aside ({', '.join(words)}): if they differ between arms, "
            "the values are biased."
        )
    if trial.account.get("learned_from", 0):
        notes.append(
            f"judged without the {trial.account['learned_from']:,} customers that segments were "
            "learned from."
        )
    if not cost.any():
        notes.append("treating is taken to cost nothing: cost=... says otherwise.")
    if not len(features):
        notes.append("nothing is chosen by uplift: features=[...] names what it is predicted from.")
    if trial.segments is not None:
        n = trial.segments.value_counts()
        small = [str(name) for name in n.index[n < _FEW_IN_SEGMENT * len(trial.arms)]]
        if small:
            notes.append(
                f"few customers in {', '.join(small)}: which arm is best for them is mostly chance."
            )
        unsure = (chosen != chosen[0]).any(axis=0)
        if unsure.any():
            names = ", ".join(trial.segments.cat.categories[unsure])
            notes.append(f"folds disagree on the best arm for {names}.")
    return notes
