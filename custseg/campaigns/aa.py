"""Campaigns that never were: false alarms and coverage of a test on one's own customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from custseg._labels import ALL
from custseg.campaigns._history import History, grid_moments, read_history
from custseg.campaigns.allocation import by_threshold, within_strata
from custseg.campaigns.design import CampaignDesign
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.metrics import Metric
from custseg.errors import ParameterError, check_number
from custseg.results import Result, format_number
from custseg.stats import holm, wilson

_BATCH = 1_000_000  # customers times simulations that are held in memory at once


@dataclass(frozen=True, repr=False, eq=False)
class AASimulation(Result):
    """How often a test finds what is not there, on campaigns drawn from a history.

    Attributes
    ----------
    table
        The table of `to_frame`.
    familywise
        One row per metric and family: `metric`, `family` (``"(all)"``: all arms of everybody;
        ``"segments"``: all arms of all segments), `tests`, `rate` (of simulations in which any
        Holm-adjusted p-value is below alpha), `ci_low`, `ci_high`.
    n_simulations, alpha
        As they were asked for.
    notes
        Caveats.
    """

    table: pd.DataFrame
    familywise: pd.DataFrame
    n_simulations: int
    alpha: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "campaign_design.false_positives"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per metric, segment and treatment arm.

        Returns
        -------
        pandas.DataFrame
            `metric`, `segment`, `arm`, `n_control`, `n_treatment` (average sizes),
            `false_positive_rate` (share of simulations with a p-value below alpha), `fpr_low`,
            `fpr_high`, `coverage` (share of 95% intervals that hold the true difference, 0),
            `coverage_low`, `coverage_high` (95% intervals of the simulation, Wilson),
            `relative_coverage` (the same of the relative effect), `simulations` (those with an
            answer), `status` (``"ok"``; ``"liberal"``: false alarms above alpha by more than the
            simulation error; ``"conservative"``: below it).
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return the false alarms and the coverage of each metric for everybody."""
        parts = []
        for row in self.table[self.table["segment"] == ALL].to_dict("records"):
            verdict = {
                "ok": "as promised",
                "liberal": "more than promised: do not trust this test here",
                "conservative": "fewer than promised: effects are found later than they could be",
                "unknown": "no answer",
            }[row["status"]]
            parts.append(
                f"{row['metric']}, {row['arm']}: false alarms in {row['false_positive_rate']:.1%} "
                f"of {row['simulations']:,} campaigns without effect ({verdict}); 95% intervals "
                f"hold the truth in {row['coverage']:.1%}."
            )
        segments = self.table[self.table["segment"] != ALL]
        if len(segments):
            bad = segments[segments["status"] == "liberal"]
            parts.append(
                f"By segment, {len(bad)} of {len(segments)} tests raise more false alarms than "
                "promised."
            )
        return " ".join(parts)

    def _shown(self) -> pd.DataFrame:
        columns = ["metric", "segment", "arm", "n_control", "n_treatment", "false_positive_rate"]
        return self.table[[*columns, "fpr_low", "fpr_high", "coverage", "status"]].round(
            {"n_control": 0, "n_treatment": 0}
        )


def aa_simulation(
    history: Any,
    test: CampaignTest,
    *,
    design: CampaignDesign | None = None,
    n_simulations: int = 1_000,
    alpha: float = 0.05,
    random_state: int = 0,
) -> AASimulation:
    """Assign customers of a history again and again, and count what the test finds.

    Nothing happened to anybody, so every finding is a false alarm and every interval should hold 0.
    The metrics compare the arms exactly as `CampaignTest.analyze` does; outcomes, their skewness,
    covariates and segments are one's own.

    Parameters
    ----------
    history
        One row per customer, any kind of table, with the columns that the metrics of `test` read;
        no column of arms is needed. The columns in use are collected, and put in the order of the
        customers that `test` names, or else of all their values, so that no order of rows matters.
    test
        The test that is planned.
    design
        Assigns as the campaign will: its arms, shares, strata and holdout. Without it, customers
        fall into the arms of the test's allocation, or two halves, independently.
    n_simulations
        How many campaigns. The simulation error of a rate of .05 is .007 for 1,000.
    alpha
        A p-value below is a finding.
    random_state
        The seed.

    Returns
    -------
    AASimulation
        False-positive rates and coverage, overall and by segment, with their simulation errors.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If the values do not allow the test.
    ParameterError
        If a number is outside its bounds, `test` is no test or `design` no design.

    References
    ----------
    Kohavi, R., Tang, D. and Xu, Y. (2020), Trustworthy online controlled experiments, Cambridge
    University Press, chapter 19.

    Examples
    --------
    >>> import custseg as cs
    >>> shop = cs.datasets.make_shop(400)
    >>> test = cs.CampaignTest(arm="arm", control="control", metrics={"spend": cs.Mean("spend")})
    >>> found = aa_simulation(shop.campaign, test, n_simulations=200)
    >>> found.to_frame()[["metric", "segment", "arm", "simulations", "status"]]
      metric segment        arm  simulations status
    0  spend   (all)  treatment          200     ok
    """
    check_number(n_simulations, "n_simulations", ge=20, integer=True)
    check_number(alpha, "alpha", gt=0, lt=1)
    check_number(random_state, "random_state", ge=0, integer=True)
    if design is not None and not isinstance(design, CampaignDesign):
        raise ParameterError(
            f"design is {design!r}, but must be a CampaignDesign, such as "
            "CampaignDesign(arms={'control': 0.5, 'email': 0.5})."
        )
    strata = design.strata if design is not None else ()
    rows = read_history(history, test, strata=strata)
    planned = design.arms if design is not None else test.allocation
    arms = dict(planned or {test.control: 0.5, "treatment": 0.5})
    shares = list(arms.values())
    holdout = design.holdout if design is not None else 0.0
    tables, families = [], []
    for m, (name, metric) in enumerate(test.metrics.items()):
        rng = np.random.default_rng([random_state, m])
        found = _simulate(rows, metric, shares, holdout, n_simulations, rng)
        tables.append(_rates(name, found, rows.groups, list(arms)[1:], alpha))
        families.append(_families(name, found["p_value"], alpha))
    table = pd.concat(tables, ignore_index=True)
    z = max(2.0, float(stats.norm.isf(0.025 / len(table))))
    error = z * np.sqrt(alpha * (1 - alpha) / table["simulations"].clip(lower=1))
    rate = table["false_positive_rate"]
    table["status"] = np.select(
        [rate.isna(), rate > alpha + error, rate < alpha - error],
        ["unknown", "liberal", "conservative"],
        "ok",
    )
    familywise = pd.concat(families, ignore_index=True)
    return AASimulation(
        table, familywise, n_simulations, alpha, tuple(_notes(table, familywise, z, alpha))
    )


def _simulate(
    rows: History,
    metric: Metric,
    shares: Sequence[float],
    holdout: float,
    n_simulations: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return p-values, coverage and sizes of every simulation, each (simulations, G, arms)."""
    columns, known = rows.numbers(metric)
    segment, stratum = rows.segment[known], rows.stratum[known]
    batch = 1 if metric.reads_rows else max(1, _BATCH // max(len(columns), 1))
    parts = []
    for start in range(0, n_simulations, batch):
        size = min(batch, n_simulations - start)
        arm = np.stack([_assign(stratum, shares, holdout, rng) for _ in range(size)])
        moments = grid_moments(columns, segment, arm, (len(rows.segments), len(shares)), metric)
        compared = metric.compare(moments)
        shape = (size, len(rows.groups), len(shares) - 1)
        n_control, n_arm = np.broadcast_arrays(moments.n[:, :1], moments.n[:, 1:])
        enough = (n_control >= 2) & (n_arm >= 2)
        part = {"p_value": compared.difference.p_value, "n_control": n_control, "n_arm": n_arm}
        for what in ("difference", "relative"):
            low, high = getattr(compared, what).ci_low, getattr(compared, what).ci_high
            part[what] = np.where(np.isnan(low) | np.isnan(high), np.nan, (low <= 0) & (high >= 0))
        answers = ("p_value", "difference", "relative")
        parts.append(
            {
                key: (np.where(enough, value, np.nan) if key in answers else value).reshape(shape)
                for key, value in part.items()
            }
        )
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _assign(
    stratum: np.ndarray, shares: Sequence[float], holdout: float, rng: np.random.Generator
) -> np.ndarray:
    """Return positions of arms, -1 for those held out."""
    every = [*(share * (1 - holdout) for share in shares), *([holdout] if holdout else [])]
    u = rng.random(len(stratum))
    if stratum.any():
        arm = within_strata(u, stratum, every, rng.random(len(every) - 1))
    else:
        arm = by_threshold(u, every)
    return np.where(arm == len(shares), -1, arm)


def _rates(
    name: str, found: dict[str, np.ndarray], groups: list[str], arms: list[Any], alpha: float
) -> pd.DataFrame:
    p = found["p_value"]
    answered = np.isfinite(p).sum(axis=0)
    alarms = (p < alpha).sum(axis=0)
    held = np.nansum(found["difference"], axis=0)
    intervals = np.isfinite(found["difference"]).sum(axis=0)
    relative = np.isfinite(found["relative"]).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = {
            "n_control": found["n_control"].mean(axis=0),
            "n_treatment": found["n_arm"].mean(axis=0),
            "false_positive_rate": alarms / answered,
            "fpr_low": wilson(alarms, answered)[0],
            "fpr_high": wilson(alarms, answered)[1],
            "coverage": held / intervals,
            "coverage_low": wilson(held, intervals)[0],
            "coverage_high": wilson(held, intervals)[1],
            "relative_coverage": np.nansum(found["relative"], axis=0) / relative,
            "simulations": answered,
        }
    return pd.DataFrame(
        {
            "metric": pd.Series([name] * answered.size, dtype=str),
            "segment": pd.Series(np.repeat(groups, len(arms)), dtype=str),
            "arm": arms * len(groups),
            **{column: values.ravel() for column, values in numbers.items()},
        }
    )


def _families(name: str, p: np.ndarray, alpha: float) -> pd.DataFrame:
    families = {ALL: p[:, 0], "segments": p[:, 1:].reshape(len(p), -1)}
    records = []
    for family, values in families.items():
        if values.shape[1]:
            alarms = sum(bool((holm(row) < alpha).any()) for row in values)
            low, high = wilson(alarms, len(values))
            records.append((name, family, values.shape[1], alarms / len(values), low, high))
    columns = ["metric", "family", "tests", "rate", "ci_low", "ci_high"]
    return pd.DataFrame(records, columns=columns)


def _notes(table: pd.DataFrame, familywise: pd.DataFrame, z: float, alpha: float) -> list[str]:
    notes = []
    for status, words in {
        "liberal": "more false alarms than promised",
        "conservative": "fewer false alarms than promised",
        "unknown": "no answer in any simulation",
    }.items():
        for name, rows in table[table["status"] == status].groupby("metric", sort=False):
            where = ", ".join(dict.fromkeys(rows["segment"]))
            notes.append(f"{name}: {words} in {where}.")
    notes += [
        f"{row['metric']}: after Holm's correction any of the {row['tests']} tests of "
        f"{row['family']} is a false alarm in {row['rate']:.1%} of the campaigns."
        for row in familywise[familywise["tests"] > 1].to_dict("records")
    ]
    notes.append(
        f"ok means within {format_number(z)} simulation errors of {format_number(alpha)}: of sound "
        f"tests, about 1 in 20 simulations flags any of the {len(table)} rows."
    )
    return notes
