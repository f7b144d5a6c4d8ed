"""What a campaign did: effects with intervals, what to check first, and every row accounted for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pandas as pd

from custseg._labels import ALL
from custseg.brief import Brief
from custseg.campaigns.checks import check_notes
from custseg.campaigns.decision import Decision, decide
from custseg.campaigns.heterogeneity import differ_words
from custseg.campaigns.metrics import Metric
from custseg.campaigns.srm import SampleRatio, p_words
from custseg.results import Result, format_number


@dataclass(frozen=True, repr=False, eq=False)
class Impact(Result):
    """The effects of a campaign, overall and by segment.

    Attributes
    ----------
    effects
        The table of `to_frame`.
    control
        The arm that the others are compared with.
    srm
        The sample-ratio check, overall and by segment.
    account
        Per metric: `rows_in` = `rows_used` + `no_arm` + `no_outcome` + `no_covariate`; with
        segments also `rows_used` = `in_segment` + `segment_missing` + `not_in_segments`.
    notes
        Caveats, the most serious first.
    margins
        Per metric with a margin, segment and treatment arm: `margin`, `effect`, `p_not_worse`
        (small where the arm is not worse than control by the margin or more), `p_equivalent`
        (small where it is less than the margin away). One-sided, not adjusted.
    posterior
        Per metric that has a model, segment and arm, control too: `mean`, `ci_low`, `ci_high`
        (95%), `p_best` (chance to be the best arm), `expected_loss` (by how much the best arm is
        expected to be better). Flat priors.
    heterogeneity
        Whether the effects differ between segments, per metric, treatment arm and `scale`:
        ``"difference"`` (Cochran's Q) and, for proportions, also ``"log_odds"`` (likelihood ratio
        of the logistic model, on counts without covariates); `statistic`, `df`, `p_value`, `i2`
        (the share of the statistic beyond chance, 0 to 1). Both scales can be right and disagree.
    decomposition
        What the effect on everybody is made of, per metric that adds up over customers and
        treatment arm: `segment`, `share` (mean of its shares in both arms, of the denominator for a
        ratio), `effect`, `contribution` (their product), `ci_low`, `ci_high` (95%). Customers in
        no segment are ``"(no segment)"``; ``"(mix)"`` is what is left, from unlike shares of the
        segments in the arms. Contributions add up to the effect on everybody.
    checks
        What was checked before any effect: `check`, `what`, `segment`, `arm`, `control`,
        `treatment` (means or shares), `std_diff` (the difference in standard deviations),
        `p_value`, `p_holm` (within a check), `status` (``"ok"``, ``"suspect"``, p below .01,
        ``"alarm"``, below .001, or ``"not checked"``, where `what` says what to name).
    over_time
        The effect in each period after exposure, where `Checks` names periods: `metric`, `arm`,
        `period`, `effect`, `se`, `ci_low`, `ci_high`.
    metrics
        Name -> metric, as declared.
    """

    effects: pd.DataFrame
    control: Any
    srm: SampleRatio
    account: pd.DataFrame
    notes: tuple[str, ...]
    margins: pd.DataFrame
    posterior: pd.DataFrame
    heterogeneity: pd.DataFrame
    decomposition: pd.DataFrame
    checks: pd.DataFrame
    over_time: pd.DataFrame
    metrics: Mapping[str, Metric]
    _picture: ClassVar[str] = "campaigns.impact"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per metric, segment and treatment arm.

        Returns
        -------
        pandas.DataFrame
            `metric`, `segment` (``"(all)"`` first), `arm`, `n_control`, `n_treatment`, `control`,
            `treatment` (means, adjusted for the covariate if there is one), `effect` (treatment
            minus control), `se`, `ci_low`, `ci_high` (95%), `p_value` (two-sided), `p_holm`,
            `p_bh` (families: the arms of everybody; all arms of all segments of a metric),
            `relative_effect` (effect over control), `relative_ci_low`, `relative_ci_high`,
            `effect_shrunk`, `ci_low_shrunk`, `ci_high_shrunk` (the effects of three segments or
            more pulled towards their mean, with the doubt about mean and spread in the interval;
            the others unchanged).
        """
        return self.effects.copy()

    def decision(
        self,
        brief: Brief | None = None,
        *,
        metric: str | None = None,
        value: float = 1.0,
        cost: float | Mapping[Any, float] = 0.0,
        fixed_cost: float | Mapping[Any, float] = 0.0,
        customers: int | None = None,
        measured: timedelta | None = None,
    ) -> Decision:
        """Turn the effects into incremental revenue, cost and return, with their intervals.

        Parameters
        ----------
        brief
            Its success metric is what counts, its guardrails must not be harmed, its horizon is
            held against `measured`.
        metric
            The metric to count instead: a `Mean` or a `Proportion`.
        value
            What one unit of the metric is worth: 1 for revenue in money, the margin (0 to 1) for
            profit, the value of a conversion; below 0 for what is a loss.
        cost
            Of treating one customer, or arm -> cost.
        fixed_cost
            Of the campaign as a whole, or arm -> cost.
        customers
            How many customers would be treated, in the segments' shares of the test; those treated
            in the test when ``None``.
        measured
            The time after exposure for which outcomes were counted.

        Returns
        -------
        Decision
            Money by arm and segment, the guardrails, and words that follow from them. Segments
            are judged by their shrunk effects.

        Raises
        ------
        ParameterError
            If the metric is none of the test or does not add up over customers, or a number is
            outside its bounds.

        Examples
        --------
        >>> import pandas as pd
        >>> import custseg as cs
        >>> sent = pd.DataFrame({
        ...     "mail": ["none", "offer"] * 200,
        ...     "spend": [0.0, 0.0, 0.0, 21.0, 9.5, 12.0, 0.0, 30.0, 0.0, 8.0] * 40,
        ... })
        >>> test = cs.CampaignTest(
        ...     arm="mail", control="none", metrics={"spend": cs.Mean("spend")}
        ... )
        >>> brief = cs.Brief(goal="choose who gets the offer", success_metric="spend")
        >>> decision = test.analyze(sent).decision(brief, value=0.4, cost=1.5)
        >>> decision.to_frame()[["arm", "revenue", "cost", "net", "verdict"]].round(1)
             arm  revenue   cost    net verdict
        0  offer    984.0  300.0  684.0    pays
        """
        return decide(
            self,
            brief,
            metric=metric,
            value=value,
            cost=cost,
            fixed_cost=fixed_cost,
            customers=customers,
            measured=measured,
            warnings=tuple(self._found()),
        )

    def summary(self) -> str:
        """Return what the checks found, if anything, then each overall effect in a sentence."""
        parts = self._found()
        overall = self.effects["segment"] == ALL
        parts += [_sentence(row, self.control) for row in self.effects[overall].to_dict("records")]
        parts += [
            _by_segment(rows) for _, rows in self.effects[~overall].groupby("metric", sort=False)
        ]
        parts += [
            differ_words(rows) for _, rows in self.heterogeneity.groupby("metric", sort=False)
        ]
        return " ".join(part for part in parts if part)

    def _found(self) -> list[str]:
        """Return what is wrong with the sample ratio and by the other checks."""
        return [*ratio_faults(self.srm), *check_notes(self.checks)]

    def _shown(self) -> pd.DataFrame:
        columns = ["metric", "segment", "arm", "n_control", "n_treatment", "control", "treatment"]
        return self.effects[[*columns, "effect", "ci_low", "ci_high", "p_holm"]]


def ratio_faults(srm: SampleRatio) -> list[str]:
    """Say what is wrong with the sizes of the arms, overall and by segment."""
    notes = [] if srm.status == "ok" else [srm.summary()]
    words = {"mismatch": "Sample-ratio mismatch", "suspect": "Suspect sample ratio"}
    for status, fault in words.items():
        found = srm.by_segment["segment"][srm.by_segment["status"] == status].tolist()
        if found:
            notes.append(f"{fault} within {_listed(found)} (Holm-adjusted).")
    return notes


def ratio_notes(srm: SampleRatio, *, planned: bool) -> list[str]:
    """Say first what is wrong with the sizes of the arms, and what they were tested against."""
    notes = ratio_faults(srm)
    if not planned:
        notes.append("No allocation was given: the sample ratio is tested against equal shares.")
    return [*notes, *(f"Sample ratio: {note}" for note in srm.notes)]


def account_notes(account: pd.DataFrame, *, absent: list[str]) -> list[str]:
    """Say which rows were set aside, and which count in no segment."""
    notes = []
    first = account.iloc[0]
    if first["no_arm"]:
        notes.append(f"{first['no_arm']:,} of {first['rows_in']:,} rows name no arm: set aside.")
    for reason, words in {"no_outcome": "outcome", "no_covariate": "covariate"}.items():
        missing = account[reason][account[reason] > 0]
        notes += [
            f"{name}: {rows:,} rows without {words} are set aside; if arms differ in that, the "
            "effect is biased."
            for name, rows in missing.items()
        ]
    outside = {
        "segment_missing": "have no segment",
        "not_in_segments": "are not in the segments given",
    }
    for reason, words in outside.items():
        if reason in account and account[reason].max():
            notes.append(f"{account[reason].max():,} customers {words}: they count in {ALL} only.")
    if absent:
        notes.append(f"No customer in the data belongs to {_listed(absent)}.")
    return notes


def effect_notes(effects: pd.DataFrame) -> list[str]:
    """Say which rows have no answer and why, and how the p-values were adjusted."""
    few = effects[["n_control", "n_treatment"]].min(axis=1) < 2
    faults = {
        "fewer than 2 customers in an arm: no answer": few,
        "the outcome does not vary: no interval and no test": ~few & effects["p_value"].isna(),
        "control is 0: no relative effect": ~few & (effects["control"] == 0),
    }
    notes = []
    for words, where in faults.items():
        for name, rows in effects[where].groupby("metric", sort=False):
            notes.append(f"{name}: in {_listed(rows['segment'].unique().tolist())} {words}.")
    by_segment = effects["segment"] != ALL
    if by_segment.any():
        sizes = (
            effects[by_segment & effects["p_value"].notna()].groupby("metric", sort=False).size()
        )
        tests = " and ".join(f"{size}" for size in sizes.unique())
        notes.append(
            f"p_holm and p_bh of the segments correct for the {tests} tests of a metric. A small "
            "p-value in one segment and a large one in another do not show that the two differ."
        )
    return notes


def _sentence(row: dict[str, Any], control: Any) -> str:
    """Return one overall effect in words."""
    metric, arm = row["metric"], row["arm"]
    if row["p_holm"] != row["p_holm"]:
        return f"{arm} cannot be compared with {control} in {metric}."
    if row["p_holm"] >= 0.05:
        verdict = f"{arm} shows no clear difference from {control} in {metric}"
    else:
        verb = "raises" if row["effect"] > 0 else "lowers"
        means = (format_number(row["control"]), format_number(row["treatment"]))
        verdict = f"{arm} {verb} {metric} from {means[0]} to {means[1]}"
    bounds = f"{format_number(row['ci_low'])} to {format_number(row['ci_high'])}"
    p = f"Holm-adjusted {p_words(row['p_holm'])}"
    return f"{verdict}: {_signed(row['effect'])} (95% interval {bounds}; {p})."


def _by_segment(rows: pd.DataFrame) -> str:
    tested = rows[rows["p_holm"].notna()]
    shown = tested[tested["p_holm"] < 0.05]
    up, down = (shown["effect"] > 0).sum(), (shown["effect"] < 0).sum()
    return (
        f"By segment, {up} of {len(tested)} effects on {rows['metric'].iloc[0]} are above 0 after "
        f"Holm's correction and {down} below."
    )


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + format_number(value)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
