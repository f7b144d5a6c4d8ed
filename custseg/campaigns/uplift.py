"""How well predicted uplift ranks customers, and whether it is as large as it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from custseg.campaigns._crossfit import (
    Learner,
    check_learner,
    draw_folds,
    few_threads,
    predict_all_uplift,
    predict_outcomes,
)
from custseg.campaigns._ranking import (
    arm_scores,
    ends_apart,
    fold_ranks,
    gain_curve,
    group_effects,
    predicts_alike,
    rank_areas,
    rank_groups,
    score_slope,
    shared_errors,
)
from custseg.campaigns._trial import Codes, Matrix, Trial, read_trial
from custseg.campaigns.srm import p_words
from custseg.errors import ParameterError, check_number
from custseg.results import Result, format_number


@dataclass(frozen=True, repr=False, eq=False)
class Uplift(Result):
    """Predicted effects of an offer on each customer, and how good they are.

    Attributes
    ----------
    predicted
        Index ``customer_id``, a column per arm: the effect predicted by models that did not see the
        customer's fold.
    table
        The table of `to_frame`.
    curve
        One row per arm and percentile: `arm`, `share` (of customers treated, best first), `gain`
        (outcome per customer of all gained over treating nobody), `se`, `ci_low`, `ci_high`
        (95%, pointwise), `random` (gain had as many been treated at random). Doubly robust.
    gates
        One row per arm and group of predicted uplift, the highest first: `arm`, `group`, `n`,
        `predicted` (mean), `effect` (doubly robust), `se`, `ci_low`, `ci_high` (95%), `p_value`.
    calibration
        One row per arm: `arm`, `slope` of scores on predictions within folds (1: as large as they
        say, 0: they say nothing) with `se`, `ci_low`, `ci_high`, `p_value` (one-sided, of no
        slope), and `highest_minus_lowest` (effect in the first group less that in the last) with
        `hml_low`, `hml_high`. Missing where all predictions are the same.
    account
        `rows_in` = `rows_used` + what was set aside.
    notes
        Caveats.
    """

    predicted: pd.DataFrame
    table: pd.DataFrame
    curve: pd.DataFrame
    gates: pd.DataFrame
    calibration: pd.DataFrame
    account: pd.Series
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "targeting.uplift_curves"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per arm and method.

        Returns
        -------
        pandas.DataFrame
            `arm`, `method` (``"dr"``: from doubly robust scores; ``"ipw"``: from outcomes weighted
            by the chance of the arm, within strata), `auuc` (area under the curve of gains over
            treating nobody, per customer), `auuc_se`, `auuc_low`, `auuc_high`, `qini` (area between
            that curve and the straight line to its end, that is over treating as many at random),
            `qini_se`, `qini_low`, `qini_high` (95%) and `qini_p` (two-sided).
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return for each arm whether the predictions rank customers and are as large as said."""
        parts = []
        rows = self.table[self.table["method"] == "dr"].set_index("arm")
        for row in self.calibration.to_dict("records"):
            own = rows.loc[row["arm"]]
            if np.isnan(row["slope"]):
                parts.append(f"{row['arm']}: the same uplift is predicted for everybody")
                continue
            ranks = "ranks customers" if own["qini_low"] > 0 else "is not seen to rank customers"
            parts.append(
                f"{row['arm']}: predicted uplift {ranks} (Qini {format_number(own['qini'])}, 95% "
                f"interval {format_number(own['qini_low'])} to {format_number(own['qini_high'])}, "
                f"{p_words(own['qini_p'])}); a predicted 1 is {format_number(row['slope'])} "
                f"({format_number(row['ci_low'])} to {format_number(row['ci_high'])})"
            )
        return "; ".join(parts) + "."

    def _shown(self) -> pd.DataFrame:
        return self.gates.drop(columns="se")


def predict_effects(
    data: Any,
    *,
    outcome: str,
    arm: str,
    control: Any,
    customer_id: str,
    features: Sequence[str],
    n_groups: int = 5,
    strata: Sequence[str] | Mapping[Any, str] = (),
    learner: Learner | None = None,
) -> Uplift:
    """Return the effect of each arm predicted for each customer, and how good predictions are.

    Parameters
    ----------
    data
        One row per customer of a randomised campaign, any kind of table.
    outcome, arm, control, customer_id
        As in `policy_value`.
    features
        Columns known before the campaign.
    n_groups
        The number of groups of predicted uplift that effects are measured in, from 2.
    strata
        As in `policy_value`.
    learner
        T-, X- or DR-learner, its models and folds; ``Learner()`` when ``None``.

    Returns
    -------
    Uplift
        Predictions, Qini and AUUC with intervals, and effects by group of predicted uplift.

    Raises
    ------
    ColumnError, ParameterError, DataError
        As `policy_value`.

    References
    ----------
    Radcliffe, N. J. (2007). Using control groups to target on predicted lift. Direct Marketing
    Analytics Journal 1, 14-21. Chernozhukov, V., et al. (2018). Generic machine learning inference
    on heterogeneous treatment effects in randomized experiments. NBER Working Paper 24678. Imai,
    K., & Li, M. L. (2023). Experimental evaluation of individualized treatment rules. JASA 118,
    242-256. Yadlowsky, S., et al. (2025). Evaluating treatment prioritization rules via
    rank-weighted average treatment effects. JASA 120, 38-51.

    Examples
    --------
    >>> import custseg as cs
    >>> shop = cs.datasets.load_shop()
    >>> found = cs.campaigns.predict_effects(
    ...     shop.campaign, outcome="spend", arm="arm", control="control",
    ...     customer_id="customer_id", features=["pre_spend"], strata=["stratum"],
    ... )
    >>> found.to_frame()[["arm", "method"]].drop_duplicates().shape
    (4, 2)
    """
    check_number(n_groups, "n_groups", ge=2, le=100, integer=True)
    learner = check_learner(learner)
    trial = read_trial(
        data,
        outcome=outcome,
        arm=arm,
        control=control,
        customer_id=customer_id,
        features=features,
        strata=strata,
    )
    if not trial.known:
        raise ParameterError("features names no column, but uplift is predicted from features.")
    fold = draw_folds(trial, learner)
    with few_threads(len(fold)):
        predicted = predict_outcomes(trial, fold, learner)
        effects = predict_all_uplift(trial, fold, predicted, learner)
    own = fold, np.arange(len(fold))
    uplift, expected = effects[own], predicted[own]
    areas, curves, gates, calibration = [], [], [], []
    for a, name in enumerate(trial.arms[1:], start=1):
        told = uplift[:, a - 1]
        rank = fold_ranks(told, fold)
        scores = arm_scores(trial, a, expected)
        shared = shared_errors(effects[:, :, a - 1], fold, scores, n_groups)
        for score, more in zip(scores, shared, strict=True):
            found = rank_areas(trial, a, score, rank, more["area"])
            areas.append({"arm": name, "method": score.method} | found)
        effect, more = scores[0].effect, shared[0]
        group = rank_groups(rank, n_groups)
        curves.append(gain_curve(effect, rank, more["curve"]).assign(arm=name))
        gates.append(group_effects(effect, told, group, more["groups"]).assign(arm=name))
        slope = score_slope(effect, told, fold, more["slope"][0])
        calibration.append(
            {"arm": name} | slope | ends_apart(effect, group, n_groups, more["ends"][0])
        )
    return Uplift(
        pd.DataFrame(uplift, trial.rows.index, trial.arms[1:]),
        pd.DataFrame(areas),
        _arm_first(curves),
        _arm_first(gates),
        pd.DataFrame(calibration),
        trial.account,
        tuple(_notes(trial, uplift, fold, learner)),
    )


def _arm_first(tables: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(tables, ignore_index=True)
    return table[["arm", *table.columns.drop("arm")]]


def _notes(trial: Trial, uplift: Matrix, fold: Codes, learner: Learner) -> list[str]:
    notes = []
    if learner.kind != "dr":
        notes.append(
            f"what folds of a {learner.kind.upper()}-learner share is counted only in part: where "
            "effects do not differ, doubly robust intervals of Qini cover about 90%, not 95%."
        )
    aside = trial.account["rows_in"] - trial.account["rows_used"]
    if aside:
        notes.append(f"{aside:,} customers without an arm or an outcome are set aside.")
    for a, name in enumerate(trial.arms[1:]):
        if predicts_alike(uplift[:, a], fold):
            notes.append(f"{name}: the same uplift is predicted for everybody.")
    return notes
