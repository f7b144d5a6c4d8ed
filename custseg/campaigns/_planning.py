"""The questions of a power analysis, read from its parameters, and their solutions."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from custseg._labels import ALL
from custseg.campaigns._comparisons import (
    ALTERNATIVES,
    CORRECTIONS,
    MOST_HOLM_ARMS,
    Setting,
    critical_values,
    exact_power,
    joint_powers,
    law,
    powers,
)
from custseg.campaigns.allocation import checked_shares
from custseg.campaigns.baselines import Baselines
from custseg.errors import ParameterError, check_number, check_option
from custseg.results import format_number

_MOST = 1e13
_FEW = 20

Effect = float | Mapping[str, float] | None


@dataclass(frozen=True)
class Question:
    """A metric in a group of customers that hold `share` of the campaign."""

    metric: str
    segment: str
    share: float
    setting: Setting


def read_questions(
    baseline: Any, sd: float | None, allocation: Mapping[Any, float] | None, **options: Any
) -> tuple[tuple[Any, ...], list[Question]]:
    """Return the arms and the questions that the parameters of `sample_size` ask."""
    shares = checked_shares(allocation or {"control": 0.5, "treatment": 0.5}, "allocation")
    check_number(options["alpha"], "alpha", gt=0, lt=1)
    check_option(options["alternative"], "alternative", ALTERNATIVES)
    check_option(options["correction"], "correction", CORRECTIONS)
    for name in ("r_squared", "balanced"):
        check_number(options[name], name, ge=0, lt=1)
    options["shares"] = tuple(float(share) for share in shares.values())
    if isinstance(baseline, Baselines):
        return tuple(shares), _from_baselines(baseline, sd, options)
    binary = sd is None
    if baseline is None and binary:
        raise ParameterError(
            "give baseline= (a share of customers) for a proportion, or sd= for a mean."
        )
    if binary:
        what = "baseline (without sd: a proportion)"
        check_number(baseline, what, gt=0, lt=1)
    else:
        check_number(sd, "sd", gt=0)
        if baseline is not None:
            check_number(baseline, "baseline")
    level = np.nan if baseline is None else float(baseline)
    setting = Setting(baseline=level, sd=_spread(level, sd), binary=binary, **options)
    return tuple(shares), [Question("proportion" if binary else "mean", ALL, 1.0, setting)]


def read_effect(question: Question, effect: Effect, relative_effect: Effect) -> np.ndarray:
    """Return the effect of each arm in a question, (k,)."""
    if (effect is None) == (relative_effect is None):
        raise ParameterError("give either effect= or relative_effect=.")
    name = "effect" if relative_effect is None else "relative_effect"
    given: Any = effect if relative_effect is None else relative_effect
    if isinstance(given, Mapping):
        check_option(question.metric, "the metric", list(given))
        name, given = f"{name}[{question.metric!r}]", given[question.metric]
    check_number(given, name)
    setting = question.setting
    if relative_effect is not None and not abs(setting.baseline) > 0:
        raise ParameterError("relative_effect needs a baseline other than 0.")
    value = float(given) if relative_effect is None else float(given) * setting.baseline
    if value == 0 or (setting.alternative != "two-sided" and value * setting.sign < 0):
        side = {"two-sided": "other than", "greater": "above", "less": "below"}
        raise ParameterError(
            f"{name} is {given!r}, but must be {side[setting.alternative]} 0 where the alternative "
            f"is {setting.alternative!r}."
        )
    if setting.binary and not 0 <= setting.baseline + value <= 1:
        raise ParameterError(
            f"{name} is {given!r}, but would move {question.metric} in {question.segment} from "
            f"{format_number(setting.baseline)} to {format_number(setting.baseline + value)}, "
            "which is no proportion."
        )
    return np.full(len(setting.shares) - 1, value)


def read_sizes(question: Question, n: Any) -> np.ndarray:
    """Return the sizes of the arms that a question's part of `n` customers has, (k + 1,)."""
    check_number(n, "n", gt=0)
    shares = np.array(question.setting.shares)
    exact = n * question.share * shares
    sizes = np.floor(exact + 1e-9)
    left = round(exact.sum() - sizes.sum())
    sizes[np.argsort(sizes - exact, kind="stable")[:left]] += 1
    if sizes.min() < 2:
        raise ParameterError(
            f"n is {n:g}, which leaves {int(sizes.min())} customers for an arm in "
            f"{question.segment}, but 2 are needed. Enlarge n."
        )
    return sizes


def campaign_size(question: Question, n: np.ndarray) -> int:
    """Return how many customers of the campaign give every arm of a question its size."""
    sizes = (int(np.ceil(total / question.share - 1e-9)) for total in count(int(n.sum())))
    return next(size for size in sizes if (read_sizes(question, size) >= n).all())


def solve_size(setting: Setting, effect: np.ndarray, power: float) -> np.ndarray:
    """Return the smallest arms in the planned shares that have the power, (k + 1,)."""
    shares = np.array(setting.shares)

    def lack(log_n: float) -> float:
        return float(powers(setting, np.exp(log_n) * shares, effect).min()) - power

    low = np.log(2 / shares.min())
    high = low
    while lack(high) < 0:
        low, high = high, high + 2
        if high > np.log(_MOST):
            raise ParameterError(
                f"an effect of {effect[0]:g} needs more than {_MOST:g} customers. Look for a "
                "larger one."
            )
    n = np.exp(optimize.brentq(lack, low, high, xtol=1e-12)) if high > low else np.exp(high)
    return np.maximum(np.ceil(n * shares - 1e-6), 2)


def solve_effect(setting: Setting, n: np.ndarray, power: float) -> np.ndarray:
    """Return for each arm the smallest effect that is found with the power, or NaN, (k,)."""
    effects = np.full(len(n) - 1, np.nan)
    error = setting.sd * np.sqrt(1 / n[0] + 1 / n[1:])
    for arm in range(len(effects)):

        def lack(size: float, arm: int = arm) -> float:
            effect = np.full(len(effects), setting.sign * size)
            return float(powers(setting, n, effect)[arm]) - power

        high = float(error[arm])
        if setting.binary:
            high = setting.baseline if setting.sign < 0 else 1 - setting.baseline
        while not setting.binary and lack(high) < 0:
            high *= 2
        if lack(high) >= 0:
            effects[arm] = setting.sign * optimize.brentq(lack, 0, high, xtol=1e-12)
    return effects


def answer_rows(
    question: Question, arms: tuple[Any, ...], n: np.ndarray, effect: np.ndarray
) -> pd.DataFrame:
    """Return the rows of a power analysis for one question, one per treatment arm."""
    setting = question.setting
    possible = np.isfinite(effect)
    found, power = law(setting, n, effect), np.full(len(effect), np.nan)
    some = every = np.nan
    if possible.all():
        power = powers(setting, n, effect)
        some, every = joint_powers(setting, n, effect)
    sides = 2 if setting.alternative == "two-sided" else 1
    relative = effect / setting.baseline if setting.baseline else np.full(len(effect), np.nan)
    return pd.DataFrame(
        {
            "metric": question.metric,
            "segment": question.segment,
            "arm": list(arms[1:]),
            "n_control": int(n[0]),
            "n_treatment": n[1:].astype(int),
            "n": int(n.sum()),
            "n_campaign": campaign_size(question, n),
            "baseline": setting.baseline,
            "effect": effect,
            "relative_effect": relative,
            "sd": setting.sd,
            "r_squared": setting.r_squared,
            "balanced": setting.balanced,
            "alpha": sides * stats.t.sf(critical_values(setting, found)[-1], found.df),
            "power": power,
            "power_any": some,
            "power_all": every,
        }
    )


def remarks(question: Question, n: np.ndarray, effect: np.ndarray) -> list[str]:
    """Say where the numbers of a question are rough, and what its correction means."""
    setting = question.setting
    where = f"{question.metric} in {question.segment}"
    notes = []
    if not np.isfinite(effect).all():
        notes.append(f"{where}: no possible effect would be found with so few customers.")
    elif setting.binary and setting.r_squared == 0:
        p = np.concatenate([[setting.baseline], setting.baseline + effect])
        if (n * np.minimum(p, 1 - p)).min() < _FEW:
            critical = critical_values(setting, law(setting, n, effect))[-1]
            exact = [
                exact_power(n[[0, arm]], p[[0, arm]], critical[arm - 1], setting)
                for arm in range(1, len(n))
            ]
            notes.append(
                f"{where}: fewer than {_FEW} successes or failures are expected in an arm, and the "
                "numbers are rough. Counted outcome by outcome, with Fisher's test where it "
                f"applies, the power is {format_number(min(exact))}."
            )
    if setting.correction == "holm" and len(effect) > MOST_HOLM_ARMS:
        notes.append(
            f"power_all of more than {MOST_HOLM_ARMS} arms is Bonferroni's; Holm's is no less."
        )
    return notes


def _from_baselines(
    baseline: Baselines, sd: float | None, options: dict[str, Any]
) -> list[Question]:
    if sd is not None or options["r_squared"] or options["balanced"]:
        raise ParameterError("sd, r_squared and balanced are read from the Baselines: leave them.")
    table = baseline.table[_has_spread(baseline.table)]
    if table.empty:
        raise ParameterError("no metric of the Baselines varies: there is nothing to plan.")
    tests = table[table["segment"] != ALL].groupby("metric").size()
    questions = []
    for row in table.to_dict("records"):
        setting = options | {name: row[name] for name in ("r_squared", "balanced")}
        if row["segment"] != ALL and options["correction"] != "none":
            setting["alpha"] = options["alpha"] / tests[row["metric"]]
            if options["correction"] == "holm":
                setting["correction"] = "bonferroni"
        parts = {name: row[name] for name in ("baseline", "sd", "binary")}
        questions.append(
            Question(row["metric"], row["segment"], row["share"], Setting(**parts, **setting))
        )
    return questions


def left_out(baseline: Any) -> list[str]:
    """Say which rows of Baselines cannot be planned."""
    if not isinstance(baseline, Baselines):
        return []
    without = baseline.table[~_has_spread(baseline.table)]
    return [
        f"{name}: the history has no spread in {', '.join(rows['segment'])}: left out."
        for name, rows in without.groupby("metric", sort=False)
    ]


def _has_spread(table: pd.DataFrame) -> pd.Series:
    return (table["sd"] > 0) & (table["r_squared"] < 1) & (table["balanced"] < 1)


def _spread(baseline: float, sd: float | None) -> float:
    return float(np.sqrt(baseline * (1 - baseline))) if sd is None else float(sd)
