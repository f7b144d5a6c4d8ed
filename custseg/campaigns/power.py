"""How many customers, how small an effect, how sure: the power of a campaign before it runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from custseg._labels import ALL
from custseg.campaigns._comparisons import powers
from custseg.campaigns._planning import (
    Effect,
    Question,
    answer_rows,
    left_out,
    read_effect,
    read_questions,
    read_sizes,
    remarks,
    solve_effect,
    solve_size,
)
from custseg.campaigns.baselines import Baselines
from custseg.errors import ParameterError, check_number
from custseg.results import Result, format_number

_MOST_NAMED = 6


@dataclass(frozen=True, repr=False, eq=False)
class PowerAnalysis(Result):
    """Size, effect and power of a planned test: two of them given, the third one solved for.

    Attributes
    ----------
    table
        The table of `to_frame`.
    solved
        ``"size"``, ``"effect"`` or ``"power"``.
    target
        The power that was asked for; ``None`` where it was solved for.
    arms
        The arms, control first.
    questions
        What each metric and segment was computed from.
    notes
        Caveats.
    """

    table: pd.DataFrame
    solved: str
    target: float | None
    arms: tuple[Any, ...]
    questions: tuple[Question, ...]
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "campaign_design.power_curves"

    @property
    def n(self) -> int:
        """Customers in all arms that answer every metric for everybody, ``"(all)"``."""
        return int(self._whole["n"].max())

    @property
    def effect(self) -> float:
        """The effect for everybody, of the arm with the largest; of one metric only."""
        if self._whole["metric"].nunique() > 1:
            raise ParameterError("effects of several metrics have units of their own: to_frame().")
        effects = self._whole["effect"]
        return float(effects[effects.abs().idxmax()]) if effects.notna().all() else np.nan

    @property
    def power(self) -> float:
        """The power for everybody, of the arm and metric with the least."""
        return float(self._whole["power"].min())

    @property
    def _whole(self) -> pd.DataFrame:
        return self.table[self.table["segment"] == ALL]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per metric, segment and treatment arm.

        Returns
        -------
        pandas.DataFrame
            `metric`, `segment` (``"(all)"`` first), `arm`, `n_control`, `n_treatment`, `n`
            (customers of the segment in all arms), `n_campaign` (customers in the campaign, so
            that the segment has `n`), `baseline`, `effect` (treatment minus control),
            `relative_effect`, `sd`, `r_squared`, `balanced`, `alpha` (of the arm's own comparison,
            where all others are still open), `power` (of finding this arm's effect, whatever the
            other arms do), `power_any`, `power_all` (of finding at least one, or all, of the
            effects, if each arm has its own).
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return the overall answer of each metric, and those of its segments, in words."""
        parts = [
            _sentence(rows, self.solved) for _, rows in self._whole.groupby("metric", sort=False)
        ]
        parts += [
            _by_segment(rows, self.solved)
            for _, rows in self.table[self.table["segment"] != ALL].groupby("metric", sort=False)
        ]
        return " ".join(parts)

    def curve(self, sizes: Any = None) -> pd.DataFrame:
        """Return the power of the smallest effect found in each question, by size.

        Parameters
        ----------
        sizes
            Customers in all arms; from a tenth to three times the size in the table when ``None``.

        Returns
        -------
        pandas.DataFrame
            `metric`, `segment`, `n`, `power` (of the arm with the least).
        """
        parts = []
        for question, rows in zip(self.questions, self._by_question(), strict=True):
            effect = rows["effect"].to_numpy()
            shares = np.array(question.setting.shares)
            whole = rows["n"].iloc[0] * np.geomspace(0.1, 3, 40) if sizes is None else sizes
            at = np.maximum(np.asarray(whole, dtype=float), 2 / shares.min())
            found = [powers(question.setting, n * shares, effect).min() for n in at]
            parts.append(
                pd.DataFrame(
                    {
                        "metric": question.metric,
                        "segment": question.segment,
                        "n": at,
                        "power": found,
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def gains(self) -> pd.DataFrame:
        """Return what covariates and strata are worth: the answer without and with them.

        Returns
        -------
        pandas.DataFrame
            `metric`, `segment`, `adjustment` (``"none"``; ``"covariates"``; ``"covariates, strata
            balanced"``: as assigned, the test's standard errors know nothing of the strata;
            ``"covariates and strata"``: the test adjusts for both), `r_squared`, `n`, `effect`,
            `power` (of the arm with the least). One of the last three differs between rows: the
            one that was solved for.
        """
        records = []
        for question, rows in zip(self.questions, self._by_question(), strict=True):
            setting = question.setting
            both = 1 - (1 - setting.r_squared) * (1 - setting.balanced)
            variants = {
                "none": (0.0, 0.0),
                "covariates": (setting.r_squared, 0.0),
                "covariates, strata balanced": (setting.r_squared, setting.balanced),
                "covariates and strata": (both, 0.0),
            }
            for name, (r_squared, balanced) in variants.items():
                changed = replace(setting, r_squared=r_squared, balanced=balanced)
                n = np.append(rows["n_control"].iloc[0], rows["n_treatment"]).astype(float)
                effect = rows["effect"].to_numpy()
                if self.solved == "size":
                    n = solve_size(changed, effect, self.target or 0)
                if self.solved == "effect":
                    effect = solve_effect(changed, n, self.target or 0)
                records.append(
                    {
                        "metric": question.metric,
                        "segment": question.segment,
                        "adjustment": name,
                        "r_squared": r_squared,
                        "n": int(n.sum()),
                        "effect": effect[np.abs(effect).argmax()],
                        "power": powers(changed, n, effect).min(),
                    }
                )
        return pd.DataFrame(records)

    def _by_question(self) -> Iterator[pd.DataFrame]:
        k = len(self.arms) - 1
        return (self.table.iloc[i * k : (i + 1) * k] for i in range(len(self.questions)))

    def _shown(self) -> pd.DataFrame:
        hidden = ["balanced", "alpha"]
        hidden += ["power_any", "power_all"] if len(self.arms) == 2 else []
        return self.table.drop(columns=hidden)


def sample_size(
    effect: Effect = None,
    *,
    relative_effect: Effect = None,
    baseline: float | Baselines | None = None,
    sd: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    allocation: Mapping[Any, float] | None = None,
    correction: str = "holm",
    r_squared: float = 0.0,
    balanced: float = 0.0,
) -> PowerAnalysis:
    r"""Return how many customers find an effect with the power that is asked for.

    Proportions are planned for the pooled score test, means for Welch's t test (noncentral t), as
    `Proportion` and `Mean` compare them. A ratio is planned as a mean whose `sd` is that of its
    linearised values, ``(numerator - ratio * denominator) / mean(denominator)``.

    Parameters
    ----------
    effect
        Treatment minus control, in the units of the metric; by metric where `baseline` holds
        several. Every arm is taken to have it.
    relative_effect
        Instead: the effect as a share of the baseline.
    baseline
        The level without the campaign: a share of customers, which makes it a proportion; a mean
        or ratio, with `sd`; or `Baselines`, which hold everything by metric and segment.
    sd
        Standard deviation per customer, of a mean or ratio.
    power
        The chance to find the effect of an arm, whatever the other arms do.
    alpha
        The error rate of a whole family of tests: all arms of everybody; all arms of all segments.
    alternative
        ``"two-sided"``, ``"greater"`` or ``"less"`` (treatment than control).
    allocation
        Arm -> planned share, control first; halves when ``None``.
    correction
        For several arms and for segments: ``"holm"``, ``"bonferroni"``, ``"dunnett"`` (within
        segments, whose number is corrected for as by Bonferroni) or ``"none"``. The `power` of an
        arm under Holm is that of its first step, Bonferroni's: all there is where no other arm has
        an effect.
    r_squared
        Share of the variance that the covariates take away (CUPED: the squared correlation).
    balanced
        Share of what is left that lies between strata of a stratified assignment, where the test
        does not adjust for them. It makes power steeper in the effect, not the test sharper; add it
        to `r_squared` where the strata are covariates.

    Returns
    -------
    PowerAnalysis
        Customers by arm; ``.n`` in all.

    Raises
    ------
    ParameterError
        If a parameter is outside its bounds, the effect is 0 or impossible, or what is needed is
        missing.

    References
    ----------
    Fleiss, J. L., Levin, B. and Paik, M. C. (2003), Statistical methods for rates and proportions,
    3rd ed., chapter 4; Dunnett, C. W. (1955), JASA 50, 1096-1121; Holm, S. (1979), Scandinavian
    Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> sample_size(0.02, baseline=0.10).n
    7682
    >>> sample_size(2.0, sd=30, r_squared=0.3).n
    4948
    """
    arms, questions = read_questions(
        baseline,
        sd,
        allocation,
        alpha=alpha,
        alternative=alternative,
        correction=correction,
        r_squared=r_squared,
        balanced=balanced,
    )
    check_number(power, "power", gt=alpha, lt=1)
    answers = []
    for question in questions:
        wanted = read_effect(question, effect, relative_effect)
        answers.append((solve_size(question.setting, wanted, power), wanted))
    return _analysis("size", power, arms, questions, answers, left_out(baseline))


def minimum_detectable_effect(
    n: float,
    *,
    baseline: float | Baselines | None = None,
    sd: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    allocation: Mapping[Any, float] | None = None,
    correction: str = "holm",
    r_squared: float = 0.0,
    balanced: float = 0.0,
) -> PowerAnalysis:
    """Return the smallest effect that `n` customers find with the power that is asked for.

    Parameters
    ----------
    n
        Customers in all arms together; with `Baselines` of segments, in the whole campaign.
    baseline, sd, power, alpha, alternative, allocation, correction, r_squared, balanced
        As in `sample_size`.

    Returns
    -------
    PowerAnalysis
        The effect of each arm, in the units of the metric (points of a proportion) and relative to
        the baseline; ``.effect`` that of the arm with the largest. It is upwards unless
        `alternative` is ``"less"``, and missing where no possible effect would be found.

    Raises
    ------
    ParameterError
        If a parameter is outside its bounds, or what is needed is missing.

    Examples
    --------
    >>> round(minimum_detectable_effect(10_000, baseline=0.10).effect, 4)
    0.0174
    """
    arms, questions = read_questions(
        baseline,
        sd,
        allocation,
        alpha=alpha,
        alternative=alternative,
        correction=correction,
        r_squared=r_squared,
        balanced=balanced,
    )
    check_number(power, "power", gt=alpha, lt=1)
    answers = []
    for question in questions:
        sizes = read_sizes(question, n)
        answers.append((sizes, solve_effect(question.setting, sizes, power)))
    return _analysis("effect", power, arms, questions, answers, left_out(baseline))


def power(
    n: float,
    effect: Effect = None,
    *,
    relative_effect: Effect = None,
    baseline: float | Baselines | None = None,
    sd: float | None = None,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    allocation: Mapping[Any, float] | None = None,
    correction: str = "holm",
    r_squared: float = 0.0,
    balanced: float = 0.0,
) -> PowerAnalysis:
    """Return the chance that `n` customers find an effect.

    Parameters
    ----------
    n
        Customers in all arms together; with `Baselines` of segments, in the whole campaign.
    effect, relative_effect, baseline, sd, alpha, alternative, allocation, correction, r_squared, \
balanced
        As in `sample_size`.

    Returns
    -------
    PowerAnalysis
        The power of each arm; ``.power`` that of the arm with the least.

    Raises
    ------
    ParameterError
        If a parameter is outside its bounds, the effect is 0 or impossible, or what is needed is
        missing.

    Examples
    --------
    >>> three = {"control": 0.5, "email": 0.25, "letter": 0.25}
    >>> found = power(8_000, 0.02, baseline=0.10, allocation=three).to_frame()
    >>> found[["arm", "n_control", "n_treatment", "power"]].round(3)
          arm  n_control  n_treatment  power
    0   email       4000         2000  0.548
    1  letter       4000         2000  0.548
    """
    arms, questions = read_questions(
        baseline,
        sd,
        allocation,
        alpha=alpha,
        alternative=alternative,
        correction=correction,
        r_squared=r_squared,
        balanced=balanced,
    )
    answers = []
    for question in questions:
        wanted = read_effect(question, effect, relative_effect)
        answers.append((read_sizes(question, n), wanted))
    return _analysis("power", None, arms, questions, answers, left_out(baseline))


def _analysis(
    solved: str,
    power: float | None,
    arms: tuple[Any, ...],
    questions: list[Question],
    answers: list[tuple[np.ndarray, np.ndarray]],
    notes: list[str],
) -> PowerAnalysis:
    rows = []
    for question, (n, effect) in zip(questions, answers, strict=True):
        rows.append(answer_rows(question, arms, n, effect))
        notes = notes + remarks(question, n, effect)
    table = pd.concat(rows, ignore_index=True)
    in_segments = table["segment"] != ALL
    for name, tests in table[in_segments].groupby("metric", sort=False):
        if questions[0].setting.correction != "none":
            level = format_number(tests["alpha"].min())
            notes.append(
                f"{name}: the {len(tests)} tests of segments and arms are one family, each planned "
                f"at alpha {level}."
            )
    return PowerAnalysis(table, solved, power, arms, tuple(questions), tuple(dict.fromkeys(notes)))


def _sentence(rows: pd.DataFrame, solved: str) -> str:
    """Return the answer of a metric for everybody in words."""
    row = rows.loc[rows["power"].idxmin() if rows["power"].notna().any() else rows.index[0]]
    name, size = row["metric"], f"{row['n']:,} customers in all"
    if np.isnan(row["power"]):
        return f"{name}: {size} are too few for any effect."
    sizes = zip(rows["arm"], rows["n_treatment"], strict=True)
    arms = ", ".join(f"{n:,} in {arm}" for arm, n in sizes)
    effect = f"{'+' if row['effect'] > 0 else ''}{format_number(row['effect'])}"
    if not np.isnan(row["relative_effect"]):
        effect += f" ({row['relative_effect']:+.1%} of {format_number(row['baseline'])})"
    chance = format_number(row["power"])
    if solved == "size":
        return (
            f"{name}: {size} ({row['n_control']:,} in control, {arms}) find an effect of {effect} "
            f"with power {chance}."
        )
    if solved == "effect":
        return f"{name}: {size} find effects from {effect} on with power {chance}."
    return f"{name}: {size} find an effect of {effect} with power {chance}."


def _by_segment(rows: pd.DataFrame, solved: str) -> str:
    """Return a metric's answers in every segment in words, the two ends where there are many."""
    name = rows["metric"].iloc[0]
    if solved == "size":
        most = rows.loc[rows["n_campaign"].idxmax()]
        return (
            f"{name} in every segment: a campaign of {most['n_campaign']:,} customers, because of "
            f"{most['segment']} ({most['n']:,} of its own)."
        )
    unknown = rows.loc[rows["power"].isna(), "segment"].unique()
    none = f" None that is possible in {', '.join(unknown)}." if len(unknown) else ""
    answered = rows[~rows["segment"].isin(unknown)]
    if solved == "effect":
        order, what = answered["effect"].abs(), "effects are found from"
    else:
        order, what = -answered["power"], "power is"
    # of the arms of a segment the one that is found least
    shown = answered.loc[order.groupby(answered["segment"], sort=False).idxmax()]
    shown = shown.loc[order[shown.index].sort_values(kind="stable").index]
    ends = shown if len(shown) <= _MOST_NAMED else shown.iloc[[0, -1]]
    words = [_in_segment(row, solved) for row in ends.to_dict("records")]
    listed = ", ".join(words) if len(shown) <= _MOST_NAMED else " to ".join(words)
    return f"{name} by segment: {what} {listed}.{none}" if words else f"{name} by segment:{none}"


def _in_segment(row: dict[str, Any], solved: str) -> str:
    effect = f"{'+' if row['effect'] > 0 else ''}{format_number(row['effect'])}"
    if solved == "power":
        return f"{row['power']:.2f} in {row['segment']} (effect {effect})"
    relative = row["relative_effect"]
    size = "" if np.isnan(relative) else f" ({relative:+.1%})"
    return f"{effect}{size} in {row['segment']}"
