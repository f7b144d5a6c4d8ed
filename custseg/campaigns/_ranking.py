"""What is read from a ranking of customers, with the errors that folds have in common."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from custseg.campaigns._trial import Codes, Matrix, Trial
from custseg.campaigns.policy import mean_estimates, stratum_means, weighted_parts

METHODS = ("dr", "ipw")
_SHARES = np.linspace(0, 1, 101)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(8)


class Scores(NamedTuple):
    """Effects of an arm on single customers (n,), by doubly robust scores or by weighting.

    `noise` is what `effect` has beyond what is expected of the customer: whatever the ranking, its
    mean is 0.
    """

    method: str
    effect: Matrix
    noise: Matrix


def arm_scores(trial: Trial, a: int, predicted: Matrix) -> list[Scores]:
    """Return the scores of an arm against control by each method; predictions (n, A)."""
    weight = trial.received / trial.propensity
    found = []
    for method, expected in zip(METHODS, (predicted, stratum_means(trial)), strict=True):
        noise = weight * (trial.outcome[:, None] - expected)
        effect = expected + noise
        found.append(Scores(method, effect[:, a] - effect[:, 0], noise[:, a] - noise[:, 0]))
    return found


def fold_ranks(uplift: Matrix, fold: Codes) -> Matrix:
    """Return the share of the customers of one's fold with a higher prediction, ties in the middle.

    Models of different folds are not compared: each fold ranks its own.
    """
    order = np.lexsort((-uplift, fold))
    known, at = uplift[order], fold[order]
    first = np.flatnonzero(np.r_[True, (known[1:] != known[:-1]) | (at[1:] != at[:-1])])
    alike = np.diff(np.r_[first, len(fold)])
    size = np.bincount(fold)
    rank = np.empty(len(fold))
    rank[order] = np.repeat(first + alike / 2, alike) - (np.cumsum(size) - size)[at]
    return rank / size[fold]


def rank_groups(rank: Matrix, n_groups: int) -> Codes:
    """Return the group of each customer, the first of the highest ranks."""
    return np.minimum((rank * n_groups).astype(np.intp), n_groups - 1)


def shared_errors(
    uplift: Matrix, fold: Codes, scores: Sequence[Scores], n_groups: int
) -> list[dict[str, Matrix]]:
    """Return for each method the covariance that folds have because they learn from each other.

    By it the squared standard errors grow: of an `area`, the `slope`, the `curve` (101,), the
    `groups`, and the first less the last of them, the `ends`.

    Parameters
    ----------
    uplift
        Predictions (K, n), at position j those learned without fold j too.
    fold, scores
        The folds, and the scores whose noise is ranked.
    n_groups
        The number of groups.

    Notes
    -----
    Each fold's error has mean 0 given the others, but a fold that by chance speaks for some
    customers has their like ranked first in the others, and they in it. Without any heterogeneity
    this doubles the variance of Qini, which is then a degenerate U-statistic. As in `policy.judge`
    the covariance of two folds is that of the parts of their errors that the other fold moves.
    There these are errors with the other fold and without it; here, the error on fold k as it
    moves with how loudly fold j is heard, E[x e_k(x)], where predictions change by x times what
    fold j changes them and x is standard normal, by Gauss-Hermite quadrature. Where errors are
    linear in predictions both are equal; where an order turns over or does not, as with a single
    feature, a mean over x is far less uncertain. It finds all of the covariance with DR-learners,
    half or less of it with T- and X-learners, whose outcome models make the ranking, too.

    References
    ----------
    Imai, K., & Li, M. L. (2023). Experimental evaluation of individualized treatment rules. JASA
    118, 242-256. Zhou, Z., Athey, S., & Wager, S. (2023). Offline multi-action policy learning.
    Operations Research 71, 148-183.
    """
    own = uplift[fold, np.arange(len(fold))]
    centred = fold_centred(own, fold)
    n = len(fold)
    size = np.bincount(rank_groups(fold_ranks(own, fold), n_groups), minlength=n_groups)
    per = {"area": n, "curve": n, "groups": np.maximum(size, 1)}
    per["slope"] = max(centred @ centred, np.finfo(float).tiny)
    moved: dict[str, Matrix] = dict.fromkeys(per, np.zeros(()))
    for x, weight in zip(_NODES, _WEIGHTS / _WEIGHTS.sum(), strict=True):
        heard = [_sums(own + x * (own - less), fold, scores, n_groups) for less in uplift]
        for name, divisor in per.items():
            sums = np.array([by_name[name] for by_name in heard])
            moved[name] = moved[name] + weight * x * sums / divisor
    moved["ends"] = moved["groups"][..., :1] - moved["groups"][..., -1:]
    shared = {
        name: np.maximum(np.einsum("jmkq,kmjq->mq", part, part), 0) for name, part in moved.items()
    }
    return [{name: part[m] for name, part in shared.items()} for m in range(len(scores))]


def rank_areas(
    trial: Trial, a: int, scores: Scores, rank: Matrix, shared: ArrayLike = 0.0
) -> dict[str, float]:
    """Return AUUC and Qini of an arm with intervals.

    Treating the best share q gains E[effect; rank < q], so that the area over q from 0 to 1 is
    E[effect (1 - rank)], and the triangle under the line to its end is half the mean effect.
    """
    weights = {"auuc": 1 - rank, "qini": 0.5 - rank}
    if scores.method == "dr":
        parts = [weight * scores.effect for weight in weights.values()]
    else:
        chance = trial.received / trial.propensity
        parts = [
            weighted_parts(trial.stratum, chance[:, a], weight * trial.outcome)
            - weighted_parts(trial.stratum, chance[:, 0], weight * trial.outcome)
            for weight in weights.values()
        ]
    # Hajek projection: who is moved in front of one moves one's rank, too
    behind = _behind(scores.effect, rank)
    influence = np.column_stack(parts) - (behind - behind.mean())[:, None]
    found: dict[str, float] = {}
    for name, row in zip(
        weights, mean_estimates(influence, shared).to_dict("records"), strict=True
    ):
        found |= {name: row["value"], f"{name}_se": row["se"]}
        found |= {f"{name}_low": row["ci_low"], f"{name}_high": row["ci_high"]}
    return found | {"qini_p": row["p_value"]}


def gain_curve(effect: Matrix, rank: Matrix, shared: ArrayLike = 0.0) -> pd.DataFrame:
    """Return the gain of treating the best share of customers, at every percent."""
    parts = (rank[:, None] < _SHARES) * effect[:, None]
    found = mean_estimates(parts, shared).rename(columns={"value": "gain"})
    found.insert(0, "share", _SHARES)
    return found.drop(columns="p_value").assign(random=_SHARES * effect.mean())


def group_effects(effect: Matrix, predicted: Matrix, group: Codes, shared: Matrix) -> pd.DataFrame:
    """Return the effect in each group of predicted uplift that has customers."""
    rows = []
    for g in np.unique(group):
        own = group == g
        found = mean_estimates(effect[own][:, None], shared[g])
        head = {"group": [g + 1], "n": own.sum(), "predicted": predicted[own].mean()}
        rows.append(pd.DataFrame(head | dict(found.rename(columns={"value": "effect"}))))
    return pd.concat(rows, ignore_index=True)


def score_slope(effect: Matrix, predicted: Matrix, fold: Codes, shared: float) -> dict[str, float]:
    """Return the slope of scores on predictions within folds, robust to unequal spread.

    Between folds it would be too low: the others predict less where a fold by chance has more.
    """
    x = fold_centred(predicted, fold)
    names = ("slope", "se", "ci_low", "ci_high", "p_value")
    if predicts_alike(predicted, fold):
        return dict.fromkeys(names, float("nan"))
    free = len(x) - int(fold.max()) - 2
    slope = float(x @ effect / (x @ x))
    left = fold_centred(effect, fold) - slope * x
    se = float(np.sqrt((x**2 @ left**2) * len(x) / free / (x @ x) ** 2 + shared))
    half = float(stats.t.isf(0.025, free)) * se
    p_value = float(stats.t.sf(slope / se, free)) if se > 0 else float("nan")
    return dict(zip(names, (slope, se, slope - half, slope + half, p_value), strict=True))


def predicts_alike(predicted: Matrix, fold: Codes) -> bool:
    """Return whether everybody in a fold has the same prediction, but for rounding."""
    apart = np.abs(fold_centred(predicted, fold)).max()
    return bool(apart < 1e-9 * max(1.0, np.abs(predicted).max()))


def ends_apart(effect: Matrix, group: Codes, n_groups: int, shared: float) -> dict[str, float]:
    """Return the effect in the first group less that in the last, nothing where one is empty."""
    difference = half = float("nan")
    first, last = effect[group == 0], effect[group == n_groups - 1]
    if min(len(first), len(last)) > 1:
        difference = float(first.mean() - last.mean())
        variance = first.var(ddof=1) / len(first) + last.var(ddof=1) / len(last) + shared
        half = float(stats.norm.isf(0.025) * np.sqrt(variance))
    return {
        "highest_minus_lowest": difference,
        "hml_low": difference - half,
        "hml_high": difference + half,
    }


def fold_centred(values: Matrix, fold: Codes) -> Matrix:
    """Return values less the mean of the customer's fold."""
    return np.asarray(values - (np.bincount(fold, values) / np.bincount(fold))[fold])


def _behind(effect: Matrix, rank: Matrix) -> Matrix:
    """Return for each customer the mean effect, per customer of all, of those ranked behind."""
    order = np.argsort(rank, kind="stable")
    after = np.cumsum(effect[order][::-1])[::-1] - effect[order]
    behind = np.empty(len(rank))
    behind[order] = after / len(rank)
    return behind


def _sums(
    uplift: Matrix, fold: Codes, scores: Sequence[Scores], n_groups: int
) -> dict[str, Matrix]:
    """Return by fold the noise of each method as it is ranked, each (methods, K, columns)."""
    rank, n_folds = fold_ranks(uplift, fold), int(fold.max()) + 1
    cuts = len(_SHARES) + 1
    weight = {
        "area": (np.zeros(len(fold), dtype=np.intp), 1, 1 - rank),
        "slope": (np.zeros(len(fold), dtype=np.intp), 1, fold_centred(uplift, fold)),
        "curve": (np.searchsorted(_SHARES, rank, side="right"), cuts, np.ones(len(fold))),
        "groups": (rank_groups(rank, n_groups), n_groups, np.ones(len(fold))),
    }
    sums = {
        name: np.array(
            [
                np.bincount(fold * q + at, by * own.noise, n_folds * q).reshape(n_folds, q)
                for own in scores
            ]
        )
        for name, (at, q, by) in weight.items()
    }
    sums["curve"] = sums["curve"].cumsum(axis=-1)[..., :-1]
    return sums
