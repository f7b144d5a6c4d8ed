"""Policies learned from outcomes, for each fold of customers from the others."""

from dataclasses import dataclass

import numpy as np

from custseg.campaigns._crossfit import Learner, doubly_robust, predict_all_uplift
from custseg.campaigns._trial import Codes, Matrix, Trial

ALIKE, BY_SEGMENT, BY_UPLIFT = "all alike", "by segment", "by uplift"
AT_BUDGET, AT_RANDOM = "budget: {}", "at random"
DRAWS = 500


@dataclass(frozen=True)
class Policy:
    """With which chance each customer would be in each arm.

    `chances` is (n, A). For a policy that was learned, `without` (K, n, A) is what the chances
    would be had fold j not been learned from either, and `errors` (B, K) are errors on each fold
    in campaigns drawn like this one, where the policy goes by group.
    """

    chances: Matrix
    without: Matrix | None = None
    errors: Matrix | None = None


def learned_policies(
    trial: Trial,
    fold: Codes,
    predicted: Matrix,
    learner: Learner | None,
    *,
    cost: Matrix,
    budget: float | None,
) -> tuple[dict[str, Policy], Codes]:
    """Return the policies learned from outcomes, each for folds that it was not learned from.

    Parameters
    ----------
    trial, fold, predicted
        The customers, their folds, and outcomes predicted without each fold.
    learner
        How effects on single customers are learned; ``None`` leaves such policies out.
    cost
        Of a customer in each arm, (A,).
    budget
        The share of customers who can be treated, or ``None``.

    Returns
    -------
    policies : dict
        Name to policy.
    chosen : numpy.ndarray
        By fold and segment the position of the arm given, (K, G); without segments G is 1.
    """
    everybody = np.zeros(len(fold), dtype=np.intp)
    group = everybody if trial.segments is None else trial.segments.cat.codes.to_numpy(np.intp)
    n_folds, n_arms = len(predicted), len(cost)
    if learner is not None:
        uplift = predict_all_uplift(trial, fold, predicted, learner)
    without: dict[str, Matrix] = {}
    chosen = np.empty((n_folds, int(group.max()) + 1), dtype=np.intp)
    for k in range(n_folds):
        held = fold == k
        for j in range(n_folds):
            learn = ~held & (fold != j)
            gain = doubly_robust(trial, predicted[k])[learn] - cost
            gain -= gain[:, :1]
            gains = {ALIKE: _group_gains(gain, everybody[learn], 1)[everybody[held]]}
            if trial.segments is not None:
                by_group = _group_gains(gain, group[learn], chosen.shape[1])
                gains[BY_SEGMENT] = by_group[group[held]]
                if j == k:
                    chosen[k] = np.argmax(by_group, axis=1)
            if learner is not None:
                gain = uplift[j, held] - cost[1:] + cost[0]
                gains[BY_UPLIFT] = np.column_stack([np.zeros(len(gain)), gain])
            for name, part in _act(gains, budget).items():
                shape = n_folds, len(fold), n_arms
                without.setdefault(name, np.empty(shape))[j, held] = part
    own = fold, np.arange(len(fold))
    scores = doubly_robust(trial, predicted[own]) - cost
    errors = _drawn_errors(scores - scores[:, :1], group, n_folds)
    if budget is not None:
        errors[AT_BUDGET.format(AT_RANDOM)] = budget * errors[ALIKE]
    return {
        name: Policy(ways[own], ways, errors.get(name)) for name, ways in without.items()
    }, chosen


def within_budget(gain: Matrix, share: float) -> Matrix:
    """Give the best arm to those who gain most from it, up to a share of all customers.

    Parameters
    ----------
    gain
        Predicted gain of each customer and arm over control, (n, A); 0 for control.
    share
        Of customers who can be treated.

    Returns
    -------
    numpy.ndarray
        Chances of arms, (n, A). Who gains nothing is not treated; customers with equal gains at the
        limit are treated with equal chance.

    Examples
    --------
    >>> within_budget(np.array([[0, 5.0], [0, 2.0], [0, 2.0], [0, -1.0]]), 0.5)[:, 1]
    array([1. , 0.5, 0.5, 0. ])
    """
    best = np.argmax(gain, axis=1)
    most = gain[np.arange(len(gain)), best]
    level, place, count = np.unique(-most, return_inverse=True, return_counts=True)
    before = np.cumsum(count) - count
    part = np.clip((share * len(gain) - before) / count, 0, 1)
    treated = np.where(level < 0, part, 0)[place]
    chances = np.eye(gain.shape[1])[best] * treated[:, None]
    chances[:, 0] = 1 - chances[:, 1:].sum(axis=1)
    return np.asarray(chances)


def _act(gains: dict[str, Matrix], budget: float | None) -> dict[str, Matrix]:
    """Return the chances of arms that follow from gains (n, A), without and within the budget."""
    found = {name: np.eye(gain.shape[1])[np.argmax(gain, axis=1)] for name, gain in gains.items()}
    if budget is not None:
        for name, gain in gains.items():
            who = AT_RANDOM if name == ALIKE else name
            found[AT_BUDGET.format(who)] = within_budget(gain, budget)
    return found


def _group_gains(gain: Matrix, group: Codes, n_groups: int) -> Matrix:
    """Return the mean gain (G, A) in each group, that of everybody where a group is empty."""
    member = (group[:, None] == np.arange(n_groups)).astype(float)
    size = member.sum(axis=0)[:, None]
    with np.errstate(invalid="ignore"):
        return np.where(size > 0, member.T @ gain / size, gain.mean(axis=0))


def _drawn_errors(gain: Matrix, group: Codes, n_folds: int) -> dict[str, Matrix]:
    """Return the errors (B, K) on each fold of the choices for all alike and by group.

    Drawn are the mean gains of each fold and group, normal with the mean and covariance seen.
    """
    rng = np.random.default_rng(0)
    size = np.bincount(group)
    noise = np.zeros((DRAWS, n_folds, len(size), gain.shape[1]))
    mean = _group_gains(gain, group, len(size))
    for g, n in enumerate(size):
        own = gain[group == g, 1:]
        spread = np.atleast_2d(np.cov(own if n > 1 else gain[:, 1:], rowvar=False))
        values, axes = np.linalg.eigh(spread * n_folds / n)
        normal = rng.standard_normal((DRAWS, n_folds, len(values)))
        noise[:, :, g, 1:] = normal * np.sqrt(np.maximum(values, 0)) @ axes.T
    found = {}
    share = size / size.sum()
    for name in (ALIKE, BY_SEGMENT):
        part = noise * share[:, None]
        drawn = part + mean * share[:, None]
        if name == ALIKE:
            part, drawn = (x.sum(axis=2, keepdims=True) for x in (part, drawn))
        others = drawn.sum(axis=1, keepdims=True) - drawn
        best = np.argmax(others, axis=3)[..., None]
        found[name] = np.take_along_axis(part, best, axis=3)[..., 0].sum(axis=2) / n_folds
    return found
