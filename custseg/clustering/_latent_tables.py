"""What latent classes show: tables of their items, how well they fit, and pairs that they miss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scipy.special import expit, logit, logsumexp
from scipy.stats import norm

from custseg.clustering._latent_em import densities
from custseg.clustering._latent_items import Layout, Matrix, Rows
from custseg.results import Result, format_number

if TYPE_CHECKING:
    from custseg.clustering.latent_class import LatentClass

EDGE = 1e-5
"""A probability nearer to 0 or 1 than this stands at the boundary, and has no standard error."""
RULE_OF_THUMB = (
    "a rule of thumb, not a test: the estimates were made from the same pairs, so that values run "
    "below those of a chi-squared divided by its degrees of freedom."
)
Z = float(norm.isf(0.025))


def level_table(
    kinds: Mapping[Any, str], layout: Layout, theta: Matrix, errors: Matrix
) -> pd.DataFrame:
    """Return one row per categorical item, level and class."""
    k = theta.shape[1] - 1
    p = theta[1 : layout.end, :k].ravel()
    se = np.where(np.minimum(p, 1 - p) < EDGE, np.nan, errors[1 : layout.end].ravel())
    inside = np.clip(p, EDGE, 1 - EDGE)
    half = Z * se / (inside * (1 - inside))
    named = [
        (name, kinds[name], level, c)
        for name, levels in zip(layout.names, layout.levels, strict=True)
        for level in levels
        for c in range(k)
    ]
    return pd.DataFrame(named, columns=["item", "kind", "level", "class"]).assign(
        probability=p,
        se=se,
        ci_low=expit(logit(inside) - half),
        ci_high=expit(logit(inside) + half),
    )


def number_table(
    layout: Layout,
    theta: Matrix,
    errors: Matrix,
    means: Mapping[Any, float],
    scales: Mapping[Any, float],
) -> pd.DataFrame:
    """Return one row per gaussian item and class, in the units of the item."""
    k = theta.shape[1] - 1
    tables = []
    for name, scale in scales.items():
        mean, se = np.full(k, means[name]), np.zeros(k)
        sd, sd_se, at_floor = np.zeros(k), np.zeros(k), np.zeros(k, dtype=bool)
        if name in layout.numbers:
            g = layout.numbers.index(name)
            row = layout.end + 2 * g
            mean, se = mean + scale * theta[row, :k], scale * errors[row]
            sd = scale * np.exp(theta[row + 1, :k] / 2)
            at_floor = theta[row + 1, :k] < layout.floors[g] + 1e-9
            sd_se = np.where(at_floor, np.nan, sd * errors[row + 1] / 2)
        tables.append(
            pd.DataFrame(
                {
                    "item": pd.Series([name] * k, dtype=object),
                    "class": np.arange(k),
                    "mean": mean,
                    "se": se,
                    "ci_low": mean - Z * se,
                    "ci_high": mean + Z * se,
                    "sd": sd,
                    "sd_se": sd_se,
                    "at_floor": at_floor,
                }
            )
        )
    if tables:
        return pd.concat(tables, ignore_index=True)
    columns = ["item", "class", "mean", "se", "ci_low", "ci_high", "sd", "sd_se", "at_floor"]
    return pd.DataFrame(columns=columns)


def absolute_fit(
    rows: Rows, layout: Layout, theta: Matrix, *, numbers: bool
) -> tuple[float, float, float]:
    """Return degrees of freedom, likelihood ratio and Pearson's statistic; NaN where undefined.

    Both statistics compare the counts of all combinations of levels with the expected ones.
    """
    if numbers:
        return float("nan"), float("nan"), float("nan")
    cells = float(np.prod([float(len(levels)) for levels in layout.levels]))
    df = cells - 1 - layout.n_parameters(theta.shape[1] - 1)
    if (rows.cells == layout.end).any():
        return df, float("nan"), float("nan")
    n = rows.counts.sum()
    expected = n * np.exp(logsumexp(densities(rows, layout, theta)[1], axis=1))
    g2 = 2 * float(rows.counts @ np.log(rows.counts / expected))
    x2 = float(((rows.counts - expected) ** 2 / expected).sum() + n - expected.sum())
    return df, g2, x2


@dataclass(frozen=True, repr=False, eq=False)
class ClassProfiles(Result):
    """What sets latent classes apart; made by `custseg.clustering.LatentClass.profile`.

    Parameters
    ----------
    weights
        The share of every class.
    item_probabilities, item_means
        As the attributes of the model.
    words
        The summary.
    notes
        Caveats.
    """

    weights: Matrix
    item_probabilities: pd.DataFrame
    item_means: pd.DataFrame
    words: str
    notes: Sequence[str]
    _picture: ClassVar[str] = "clustering.class_profiles"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per item, level and class.

        Returns
        -------
        pandas.DataFrame
            ``item``; ``level``, ``"mean"`` for gaussian items; ``class``; ``estimate``: the
            probability of the level or the mean; ``se``, ``ci_low``, ``ci_high``.
        """
        levels = self.item_probabilities.rename(columns={"probability": "estimate"})
        means = self.item_means.rename(columns={"mean": "estimate"}).assign(level="mean")
        parts = [part for part in (levels, means) if len(part)]
        columns = ["item", "level", "class", "estimate", "se", "ci_low", "ci_high"]
        return pd.concat([part[columns] for part in parts], ignore_index=True)

    def summary(self) -> str:
        """Return the number of classes and how well they fit."""
        return self.words

    def _shown(self) -> pd.DataFrame:
        table = self.to_frame()
        levels = table.groupby("item", sort=False)["level"]
        other = (levels.transform("nunique") == 2) & (table["level"] == levels.transform("first"))
        wide = (
            table[~other]
            .pivot_table("estimate", ["item", "level"], "class", sort=False, observed=True)
            .set_axis([f"class {c}" for c in range(len(self.weights))], axis=1)
        )
        weights = pd.DataFrame(
            [self.weights],
            pd.MultiIndex.from_tuples([("(weight)", "")], names=wide.index.names),
            wide.columns,
        )
        return pd.concat([weights, wide])


def profile_notes(model: "LatentClass") -> tuple[str, ...]:
    """Return what to know before the classes of a model are believed."""
    notes = []
    if not model.converged_:
        notes.append(
            f"the best start had not converged after {model.n_iter_:,} passes: raise max_iter."
        )
    if model.n_init > 1 and model.n_classes > 1:
        best = (model.log_likelihoods_ > model.log_likelihood_ - 0.01).sum()
        if best == 1:
            notes.append("only one start reached this likelihood: raise n_init to look further.")
    if not model.identified_:
        notes.append(
            "the data do not determine all estimates (no standard error where they do not): ask "
            "for fewer classes, or add items."
        )
    p = model.item_probabilities_["probability"]
    edge = int((np.minimum(p, 1 - p) < EDGE).sum())
    if edge:
        notes.append(f"{edge} probabilities are 0 or 1 and have no standard error.")
    floor = int(model.item_means_["at_floor"].sum())
    if floor:
        notes.append(
            f"{floor} variances stand at their floor: classes of customers with nearly one value."
        )
    if model.df_ == model.df_ and model.df_ < 0:
        notes.append(
            f"there are {model.n_parameters_} parameters, but only "
            f"{model.n_parameters_ + model.df_:,.0f} frequencies to learn them from."
        )
    return tuple(notes)


@dataclass(frozen=True, repr=False, eq=False)
class BivariateResiduals(Result):
    """How far pairs of items depend on each other beyond the classes.

    Made by `custseg.clustering.LatentClass.bivariate_residuals`.

    Parameters
    ----------
    pairs
        One row per pair, see `to_frame`.
    notes
        Caveats.
    """

    pairs: pd.DataFrame
    notes: Sequence[str] = (RULE_OF_THUMB,)
    _picture: ClassVar[str] = "clustering.bivariate_residuals"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair of items, the most dependent first.

        Returns
        -------
        pandas.DataFrame
            ``item_a``, ``item_b``; ``residual``: Pearson's statistic of the pair's table against
            what the classes expect, divided by ``df``; where a number is involved, the same of its
            means by level, or of the covariance; ``n`` customers who have both.
        """
        return self.pairs

    def summary(self) -> str:
        """Return how many pairs depend and which does most."""
        if self.pairs.empty:
            return "there is only one item, and no pair."
        large = int((self.pairs["residual"] > Z**2).sum())
        first = self.pairs.iloc[0]
        return (
            f"{large} of {len(self.pairs)} pairs of items depend on each other beyond the classes "
            f"(residual above {Z**2:.2f}); most of all {first['item_a']} and {first['item_b']} "
            f"({format_number(first['residual'])})."
        )

    def _shown(self) -> pd.DataFrame:
        return self.pairs.head(10).set_index(["item_a", "item_b"])


def pair_residuals(rows: Rows, layout: Layout, theta: Matrix) -> BivariateResiduals:
    """Return the residual of every pair of items that vary."""
    names = (*layout.names, *layout.numbers)
    n_levels = len(layout.names)
    found = []
    for a, b in combinations(range(len(names)), 2):
        if b < n_levels:
            statistic, df, n = _pair_of_levels(rows, layout, theta, a, b)
        elif a < n_levels:
            statistic, df, n = _level_and_number(rows, layout, theta, a, b - n_levels)
        else:
            statistic, df, n = _pair_of_numbers(rows, layout, theta, a - n_levels, b - n_levels)
        if df > 0 and n > 0:
            found.append((names[a], names[b], statistic / df, df, n))
    table = pd.DataFrame(found, columns=["item_a", "item_b", "residual", "df", "n"])
    return BivariateResiduals(
        table.sort_values("residual", ascending=False, kind="stable", ignore_index=True)
    )


def _pair_of_levels(
    rows: Rows, layout: Layout, theta: Matrix, a: int, b: int
) -> tuple[float, int, float]:
    k = theta.shape[1] - 1
    (low_a, high_a, _), (low_b, high_b, _) = layout.items[[a, b]].tolist()
    left, right = rows.cells[:, a], rows.cells[:, b]
    both = (left < layout.end) & (right < layout.end)
    observed = np.zeros((high_a - low_a, high_b - low_b))
    np.add.at(observed, (left[both] - low_a, right[both] - low_b), rows.counts[both])
    n = float(observed.sum())
    expected = n * (theta[low_a:high_a, :k] * theta[0, :k]) @ theta[low_b:high_b, :k].T
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return statistic, (observed.shape[0] - 1) * (observed.shape[1] - 1), n


def _level_and_number(
    rows: Rows, layout: Layout, theta: Matrix, a: int, g: int
) -> tuple[float, int, float]:
    k, row = theta.shape[1] - 1, layout.end + 2 * g
    low, high, _ = layout.items[a].tolist()
    values = rows.numbers[:, g]
    both = (rows.cells[:, a] < layout.end) & ~np.isnan(values)
    place, weights = rows.cells[both, a] - low, rows.counts[both]
    n = np.bincount(place, weights, high - low)
    sums = np.bincount(place, weights * values[both], high - low)
    shares = theta[low:high, :k] * theta[0, :k]
    shares /= shares.sum(axis=1, keepdims=True)
    mean, variance = theta[row, :k], np.exp(theta[row + 1, :k])
    expected = shares @ mean
    spread = shares @ (variance + mean**2) - expected**2
    away = sums - n * expected
    statistic = float((away[n > 0] ** 2 / (n * spread)[n > 0]).sum())
    return statistic, high - low - 1, float(n.sum())


def _pair_of_numbers(
    rows: Rows, layout: Layout, theta: Matrix, g: int, h: int
) -> tuple[float, int, float]:
    k = theta.shape[1] - 1
    shares = theta[0, :k]
    means = theta[[layout.end + 2 * g, layout.end + 2 * h], :k]
    variances = np.exp(theta[[layout.end + 2 * g + 1, layout.end + 2 * h + 1], :k])
    centre = means @ shares
    spread = (variances + means**2) @ shares - centre**2
    expected = float((means[0] * means[1]) @ shares - centre[0] * centre[1])
    away = rows.numbers[:, [g, h]] - centre
    both = ~np.isnan(away).any(axis=1)
    n = float(rows.counts[both].sum())
    observed = float(rows.counts[both] @ (away[both, 0] * away[both, 1])) / max(n, 1e-300)
    statistic = n * (observed - expected) ** 2 / float(spread[0] * spread[1] + expected**2)
    return statistic, 1, n
