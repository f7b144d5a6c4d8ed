"""Tables whose number of groups is known: none, planted ones, and shapes that look like groups."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Rng = np.random.Generator


class Table(NamedTuple):
    """Customers x variables, and the group of each customer (one group where there is none)."""

    values: np.ndarray
    truth: np.ndarray


def standardised(values: np.ndarray) -> np.ndarray:
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def correlated(rng: Rng, n: int, d: int) -> np.ndarray:
    share = rng.uniform(0.3, 0.8)
    own, common = rng.normal(size=(n, d)), rng.normal(size=(n, 1))
    return np.sqrt(1 - share) * own + np.sqrt(share) * common


def log_counts(rng: Rng, n: int, d: int) -> np.ndarray:
    """Purchases in d categories by customers who differ in how much they buy at all."""
    activity, mean = rng.gamma(1.5, 1 / 1.5, (n, 1)), np.exp(rng.uniform(0, 3, d))
    return np.log1p(rng.poisson(activity * mean))


def one_factor(rng: Rng, n: int, d: int) -> np.ndarray:
    """Yes/no answers that one trait makes likelier, with no groups in the trait."""
    easy, slope = rng.uniform(-1, 1, d), rng.uniform(0.8, 2, d)
    return rng.random((n, d)) < 1 / (1 + np.exp(-(easy + slope * rng.normal(size=(n, 1)))))


def style(rng: Rng, n: int, d: int) -> np.ndarray:
    """Five-point answers of people who differ in how readily they agree to anything."""
    mean, agreeing = rng.uniform(-0.7, 0.7, d), 0.7 * rng.normal(size=(n, 1))
    return np.digitize(mean + agreeing + rng.normal(size=(n, d)), [-1.5, -0.5, 0.5, 1.5])


WITHOUT: dict[str, Callable[[Rng, int, int], np.ndarray]] = {
    "uniform": lambda rng, n, d: rng.random((n, d)),
    "normal": lambda rng, n, d: rng.normal(size=(n, d)),
    "correlated normal": correlated,
    "lognormal": lambda rng, n, d: np.exp(rng.normal(size=(n, d))),
    "t, 5 degrees": lambda rng, n, d: rng.standard_t(5, (n, d)),
    "exponential": lambda rng, n, d: rng.exponential(size=(n, d)),
    "log counts": log_counts,
    "binary": lambda rng, n, d: rng.random((n, d)) < rng.uniform(0.2, 0.8, d),
    "binary, one factor": one_factor,
    "Likert, style only": style,
}


def ring(rng: Rng, n: int, d: int) -> np.ndarray:
    points = rng.normal(size=(n, d))
    return points / np.linalg.norm(points, axis=1)[:, None] * (1 + 0.1 * rng.normal(size=(n, 1)))


def arch(rng: Rng, n: int, d: int) -> np.ndarray:
    angle = rng.uniform(0, np.pi, n)
    bent = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.1 * rng.normal(size=(n, 2))
    return np.column_stack([bent, 0.5 * rng.normal(size=(n, d - 2))])


def banana(rng: Rng, n: int, d: int) -> np.ndarray:
    points = rng.normal(size=(n, d))
    points[:, 1] += points[:, 0] ** 2
    return points


def half_zero(rng: Rng, n: int, d: int) -> np.ndarray:
    """Log spend in d categories, where half of the customers spend nothing in each."""
    spend = np.log1p(np.exp(rng.normal(3, 1, (n, d))))
    return np.where(rng.random((n, d)) < 0.5, 0.0, spend)


SHAPES: dict[str, Callable[[Rng, int, int], np.ndarray]] = {
    "ring or shell": ring,
    "arch": arch,
    "banana": banana,
    "U-shaped margins": lambda rng, n, d: rng.beta(0.3, 0.3, (n, d)),
    "half-zero columns": half_zero,
}


def without(family: str, rng: Rng, n: int, d: int) -> Table:
    """Return a table without groups, standardised."""
    values = (WITHOUT | SHAPES)[family](rng, n, d)
    return Table(standardised(np.asarray(values, dtype=float)), np.zeros(n, dtype=int))


def oblique(rng: Rng, n: int, d: int) -> np.ndarray:
    """Return normal values with a covariance drawn at random."""
    mixing = rng.normal(size=(d, d))
    mixing = np.linalg.cholesky(mixing @ mixing.T / d + 0.2 * np.eye(d))
    return rng.normal(size=(n, d)) @ mixing.T / np.sqrt((mixing**2).sum() / d)


GROUPS: dict[str, Callable[[Rng, int, int], np.ndarray]] = {
    "normal": lambda rng, n, d: rng.normal(size=(n, d)),
    "flat": lambda rng, n, d: (rng.random((n, d)) - 0.5) * np.sqrt(12),
    "skewed": lambda rng, n, d: rng.exponential(size=(n, d)),
    "heavy-tailed": lambda rng, n, d: rng.standard_t(5, (n, d)) / np.sqrt(5 / 3),
    "oblique": oblique,
}
"""Shapes of a group, with variance 1 in every column; of the last one on average."""


def planted(
    rng: Rng,
    n: int,
    d: int,
    groups: int,
    separation: float,
    *,
    noise: int = 0,
    wide: bool = False,
    shape: str = "normal",
) -> Table:
    """Return groups, each as far from its nearest as the separation says, standardised.

    Separation is the distance of two centres over the mean of the two standard deviations. Standard
    deviations differ up to 2 : 1, expected sizes up to 4 : 1. `noise` columns have no groups; their
    standard deviation is that within groups, or with `wide` that of a whole column with groups.
    """
    while True:
        spread = rng.uniform(1, 2, groups)
        centers = _packed(rng, spread, d, separation)
        if len(centers) == groups:
            break
    share = rng.uniform(1, 4, groups)
    truth = rng.choice(groups, size=n, p=share / share.sum())
    values = centers[truth]
    for group in range(groups):
        members = truth == group
        values[members] += spread[group] * GROUPS[shape](rng, members.sum(), d)
    width = values.std(axis=0).mean() if wide else spread.mean()
    return Table(standardised(np.hstack([values, width * rng.normal(size=(n, noise))])), truth)


def _packed(rng: Rng, spread: np.ndarray, d: int, separation: float) -> np.ndarray:
    """Return centres, each touching an earlier one at the separation; fewer where none fits."""
    centers = np.zeros((1, d))
    for size in spread[1:]:
        asked = separation * (spread[: len(centers)] + size) / 2
        for _ in range(200):
            start = rng.integers(len(centers))
            way = rng.normal(size=d)
            center = centers[start] + asked[start] * way / np.linalg.norm(way)
            if (np.linalg.norm(centers - center, axis=1) >= asked * (1 - 1e-9)).all():
                centers = np.vstack([centers, center])
                break
        else:
            break
    return centers


def classes(rng: Rng, n: int, groups: int, items: int, likely: float) -> Table:
    """Return yes/no answers of latent classes: each says yes to a random half with `likely`."""
    agrees = np.array([rng.permutation(items) < items // 2 for _ in range(groups)])
    if groups == 2:
        agrees[1] = ~agrees[0]
    truth = rng.integers(groups, size=n)
    answers = rng.random((n, items)) < np.where(agrees, likely, 1 - likely)[truth]
    return Table(standardised(answers.astype(float)), truth)


def nominal(rng: Rng, n: int, d: int, groups: int, likely: float, levels: int = 3) -> Table:
    """Return categories: a group gives its own answer with `likely`, else any; 0 for no groups."""
    truth = rng.integers(max(groups, 1), size=n)
    own = rng.integers(levels, size=(max(groups, 1), d))
    answers = np.where(
        rng.random((n, d)) < likely * (groups > 0), own[truth], rng.integers(levels, size=(n, d))
    )
    return Table(answers.astype(float), truth)


MAKERS: dict[str, Callable[..., Table]] = {
    "without": without,
    "planted": planted,
    "classes": classes,
    "nominal": nominal,
}


def make(kind: str, seed: list[int], **parameters: Any) -> Table:
    """Return one table of a kind; the family, where there is one, is a parameter."""
    rng = np.random.default_rng(seed)
    if kind == "without":
        return without(parameters.pop("family"), rng, **parameters)
    return MAKERS[kind](rng, **parameters)
