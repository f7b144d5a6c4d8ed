"""Make respondents count like the population they stand for: raking to known margins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import (
    ConvergenceError,
    DataError,
    ParameterError,
    check_columns,
    check_number,
    nearest,
)
from custseg.results import Result
from custseg.stats.scores import effective_sample_size

Vector = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class SurveyWeights(Result):
    """Weights that make respondents count like their population, and what they cost.

    Parameters
    ----------
    weights
        One per respondent on `customer_id`, with mean 1.
    margins
        One row per variable and level: `variable`, `level`, `n` (respondents), `share` of them
        (by their base weights, where they have some), `target`, `weighted_share` and
        `mean_weight`.
    notes
        What to know and what to do.
    """

    weights: pd.Series
    margins: pd.DataFrame
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "survey.weights"

    @property
    def n_effective(self) -> float:
        """Kish's effective sample size: how many equally weighted answers these are worth."""
        return effective_sample_size(self.weights)

    @property
    def design_effect(self) -> float:
        """Factor by which unequal weights raise the variance of a mean (Kish)."""
        return len(self.weights) / self.n_effective

    def to_frame(self) -> pd.DataFrame:
        """Return one row per variable and level."""
        return self.margins.copy()

    def summary(self) -> str:
        """Return the range of the weights and what they cost."""
        variables = ", ".join(dict.fromkeys(self.margins["variable"].astype(str)))
        return (
            f"{len(self.weights):,} respondents weighted to {variables}: weights "
            f"{self.weights.min():.2f} to {self.weights.max():.2f}, worth "
            f"{self.n_effective:,.0f} equal ones (design effect {self.design_effect:.2f})."
        )

    def _shown(self) -> pd.DataFrame:
        return self.margins.set_index(["variable", "level"])


def rake(
    respondents: pd.DataFrame,
    targets: Mapping[str, Mapping | pd.Series],
    *,
    base_weights: pd.Series | None = None,
    max_weight: float | None = None,
    max_iter: int = 1_000,
    tol: float = 1e-9,
) -> SurveyWeights:
    """Weight respondents so that every margin equals that of the population.

    Parameters
    ----------
    respondents
        One row per respondent, with the unique index `customer_id` and a column of categories for
        each margin.
    targets
        Column to the population's levels with their counts or shares, such as
        ``{"region": customers["region"].value_counts()}``.
    base_weights
        Weights to start from, on the same index, for customers who were asked with unequal
        chances. ``None`` starts from equal ones.
    max_weight
        The largest weight allowed, in multiples of the mean weight; weights above it are cut and
        the margins raked again until both hold. ``None`` cuts nothing.
    max_iter
        The largest number of rounds through the margins.
    tol
        The largest difference allowed between a weighted share and its target.

    Returns
    -------
    SurveyWeights
        ``weights`` with mean 1, ``n_effective``, ``design_effect`` and the margins before and
        after.

    Raises
    ------
    ColumnError
        If a margin's column is missing.
    DataError
        If respondents have a level without target, a target has no respondents, or values or ids
        are missing.
    ConvergenceError
        Naming the margin that stays furthest from its target.

    References
    ----------
    Deming, W. E. & Stephan, F. F. (1940), Annals of Mathematical Statistics 11, 427-444. Kish, L.
    (1992), Journal of Official Statistics 8, 183-200.

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"region": ["North", "North", "North", "South"]},
    ...                       index=pd.Index([1, 2, 3, 4], name="customer_id"))
    >>> found = rake(people, {"region": {"North": 500, "South": 500}})
    >>> found.weights.round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    >>> round(found.n_effective, 2)
    3.0
    """
    check_number(max_iter, "max_iter", ge=1, integer=True)
    check_number(tol, "tol", gt=0)
    if max_weight is not None:
        check_number(max_weight, "max_weight", gt=1)
    if not targets:
        raise ParameterError("targets names no margin, such as {'region': {'North': .4, ...}}.")
    check_columns(respondents.columns, targets, where="the table of respondents")
    _check_index(respondents)
    people = respondents.sort_index()
    start = _start(base_weights, people.index)
    goals = {name: _target(people[name], target) for name, target in targets.items()}
    codes = {name: goal.index.get_indexer(people[name]) for name, goal in goals.items()}
    cap = np.inf if max_weight is None else max_weight
    weights, cut = _iterate(start, goals, codes, cap=cap, max_iter=max_iter, tol=tol)

    margins = []
    for name, goal in goals.items():
        counts = np.bincount(codes[name], minlength=len(goal))
        sums = np.bincount(codes[name], weights, len(goal))
        margins.append(
            pd.DataFrame(
                {
                    "variable": name,
                    "level": goal.index.astype(object),
                    "n": counts,
                    "share": np.bincount(codes[name], start, len(goal)) / start.sum(),
                    "target": goal.to_numpy(),
                    "weighted_share": sums / weights.sum(),
                    "mean_weight": sums / counts,
                }
            )
        )
    table = pd.concat(margins, ignore_index=True)
    series = pd.Series(weights, people.index, name="weight").reindex(respondents.index)
    return SurveyWeights(series, table, _notes(weights, table, cut, max_weight))


def _iterate(
    start: Vector,
    goals: Mapping[str, pd.Series],
    codes: Mapping[str, NDArray],
    *,
    cap: float,
    max_iter: int,
    tol: float,
) -> tuple[Vector, int]:
    """Return weights with mean 1 that meet every margin and the cap, and how many are at it."""
    weights = start / start.mean()
    n = len(weights)
    for _ in range(max_iter):
        for name, goal in goals.items():
            sums = np.bincount(codes[name], weights, len(goal))
            weights = weights * (goal.to_numpy() * n / sums)[codes[name]]
        weights = np.minimum(weights, cap)
        gaps = {
            name: np.bincount(codes[name], weights, len(goal)) / weights.sum() - goal
            for name, goal in goals.items()
        }
        if max(gap.abs().max() for gap in gaps.values()) <= tol and abs(weights.mean() - 1) <= tol:
            return weights / weights.mean(), int((weights >= cap * (1 - 1e-12)).sum())
    name = max(gaps, key=lambda name: gaps[name].abs().max())
    level = gaps[name].abs().idxmax()
    got, want = gaps[name][level] + goals[name][level], goals[name][level]
    remedy = "Merge sparse levels, or drop a margin"
    remedy += "." if np.isinf(cap) else f", or allow a larger max_weight than {cap:g}."
    raise ConvergenceError(
        f"raking did not settle in {max_iter:,} rounds: level {level!r} of margin {name!r} has a "
        f"weighted share of {got:.4f}, but its target is {want:.4f}. {remedy}"
    )


def _target(values: pd.Series, target: Mapping | pd.Series) -> pd.Series:
    """Return the target shares of a margin by level; refuse levels that cannot be met."""
    if not isinstance(target, Mapping | pd.Series):
        raise ParameterError(
            f"the target of {values.name!r} must give each level a count or a share, as in "
            "{'North': 0.4, 'South': 0.6}."
        )
    goal = pd.Series(dict(target.items()), dtype=float)
    if values.isna().any():
        raise DataError(
            f"{int(values.isna().sum()):,} respondents have no {values.name!r}. Give them a level, "
            "such as 'unknown' with a target, or leave them out."
        )
    if not (goal >= 0).all() or not np.isfinite(goal.sum()) or not goal.sum():
        raise DataError(f"the target of {values.name!r} has missing, infinite or negative shares.")
    goal = goal[goal > 0] / goal.sum()
    extra = sorted(set(values) - set(goal.index), key=str)
    if extra:
        raise DataError(
            f"{int(values.isin(extra).sum()):,} respondents have {values.name!r} {extra[0]!r}, "
            f"which has no target.{nearest(extra[0], goal.index)} Merge the level, or leave them "
            "out."
        )
    empty = [level for level in goal.index if level not in set(values)]
    if empty:
        raise DataError(
            f"nobody answered with {values.name!r} {empty[0]!r}, {goal[empty[0]]:.1%} of the "
            "population: no weight can make up for them. Merge the level with a neighbour."
        )
    return goal


def _start(base_weights: pd.Series | None, index: pd.Index) -> Vector:
    if base_weights is None:
        return np.ones(len(index))
    if not isinstance(base_weights, pd.Series):
        raise ParameterError("base_weights must be a Series on customer_id.")
    start = base_weights.reindex(index).to_numpy(dtype=float, na_value=np.nan)
    wrong = ~(start > 0) | np.isinf(start)
    if wrong.any():
        raise DataError(
            f"base_weights are missing, infinite or not above 0 for {wrong.sum():,} respondents. "
            "Give each a positive weight, or leave them out."
        )
    return start


def _check_index(respondents: pd.DataFrame) -> None:
    if respondents.empty:
        raise DataError("there are no respondents to weight.")
    twice = int(respondents.index.duplicated().sum())
    if twice:
        raise DataError(
            f"{twice:,} rows repeat a customer of another row. Keep one row per respondent."
        )


def _notes(
    weights: Vector, margins: pd.DataFrame, cut: int, max_weight: float | None
) -> tuple[str, ...]:
    notes = []
    if max_weight is not None:
        notes.append(f"{cut:,} weights were cut at {max_weight:g} times the mean.")
    elif weights.max() > 5:
        notes.append(
            f"the largest weight is {weights.max():.1f} times the mean: a few people speak for "
            "many. max_weight= cuts such weights."
        )
    sparse = margins[margins["n"] < 5]
    if len(sparse):
        levels = ", ".join(f"{row.variable} {row.level}" for row in sparse.itertuples())
        notes.append(f"fewer than 5 respondents stand for {levels}.")
    notes.append(
        "weights correct for the margins named here only; within a level, who answered is taken "
        "to be like who did not."
    )
    return tuple(notes)
