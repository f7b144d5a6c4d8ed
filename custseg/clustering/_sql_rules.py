"""How a fitted algorithm assigns customers, as expressions over the encoded matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from math import inf
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline

from custseg._engine import one_if
from custseg.clustering._sql_encoder import Problem, add_up, rescale
from custseg.clustering._ties import likeliest_bound, nearest_bound
from custseg.clustering.kmodes import KModes
from custseg.clustering.kprototypes import KPrototypes
from custseg.clustering.rules import RFMRules
from custseg.clustering.tree_rules import TreeRules
from custseg.errors import ParameterError

Matrix = NDArray[np.float64]
Step = dict[str, nw.Expr]

EXPRESSIBLE = ("kmeans", "minibatch_kmeans", "gaussian_mixture")
"""The names in the catalogue whose assignment can be expressed."""


@dataclass(frozen=True)
class Rule:
    """An assignment as expressions.

    Parameters
    ----------
    steps
        Columns to add one step after the other, each from those before; the first from the encoded
        matrix, ``x0``, ``x1``, ...
    label
        From the columns of the last step: the label that the algorithm gives.
    problems
        From the encoded matrix: where `predict` refuses, and why.
    """

    steps: list[Step]
    label: nw.Expr
    problems: Sequence[Problem] = ()


@singledispatch
def rule(estimator: Any, n_columns: int) -> Rule:  # noqa: ARG001
    """Return how a fitted algorithm assigns customers, as expressions.

    Parameters
    ----------
    estimator
        A fitted clusterer.
    n_columns
        The number of encoded columns.

    Raises
    ------
    ParameterError
        If it cannot be expressed; the message names what can.
    """
    raise ParameterError(
        f"the rule of {type(estimator).__name__} for new customers cannot be expressed in a "
        f"warehouse. These can: {', '.join(repr(name) for name in EXPRESSIBLE)}. Otherwise fetch "
        "the customers in batches and call predict."
    )


@rule.register(KMeans)
@rule.register(MiniBatchKMeans)
def _(estimator: KMeans | MiniBatchKMeans, n_columns: int) -> Rule:
    return nearest([_squared_distance(c, n_columns) for c in estimator.cluster_centers_])


@rule.register
def _(estimator: GaussianMixture, n_columns: int) -> Rule:
    return likeliest(*_log_densities(estimator, n_columns))


@rule.register(KModes)
@rule.register(KPrototypes)
def _(estimator: KModes | KPrototypes, n_columns: int) -> Rule:
    levels = estimator.categorical_
    numbers = [i for i in range(n_columns) if i not in levels]
    distances = []
    for mean, mode in zip(estimator.means_, estimator.modes_, strict=True):
        gaps = [nw.col(f"x{i}") - float(m) for i, m in zip(numbers, mean, strict=True)]
        modes = [known[code] for known, code in zip(estimator.categories_, mode, strict=True)]
        differ = [one_if(nw.col(f"x{i}") != float(m)) for i, m in zip(levels, modes, strict=True)]
        terms = [(gap * gap).fill_null(0.0) for gap in gaps]
        if differ:
            terms.append(add_up(differ).cast(nw.Float64) * float(estimator.gamma_))
        distances.append(add_up(terms))
    nothing = nw.all_horizontal(
        *[nw.col(f"x{i}").is_null() for i in range(n_columns)], ignore_nulls=False
    )
    return replace(nearest(distances), problems=[(nothing, "no variable is known")])


@rule.register
def _(estimator: RFMRules, n_columns: int) -> Rule:  # noqa: ARG001
    columns = estimator.columns or range(3)
    recency, frequency, monetary = (
        add_up([one_if(nw.col(f"x{i}") > float(bound)) for bound in bounds])
        for i, bounds in zip(columns, estimator.bounds_, strict=True)
    )
    n_recency, n_frequency, n_monetary = estimator.grid_.shape
    place = (n_recency - 1 - recency) * n_frequency + frequency
    if n_monetary > 1:
        place = place * n_monetary + monetary
    labels = estimator.grid_.ravel()
    cells = [np.flatnonzero(labels == label).tolist() for label in range(labels.max() + 1)]
    return Rule([{"place": place}], first([nw.col("place").is_in(cell) for cell in cells]))


@rule.register
def _(estimator: TreeRules, n_columns: int) -> Rule:  # noqa: ARG001
    leaves = []
    for path in estimator.tree_.paths().values():
        steps = [nw.lit(value=True)]
        for question, cut, at_most in path:
            answer = nw.col(estimator.questions_[question].column).fill_null(-inf)
            steps.append(answer <= cut if at_most else answer > cut)
        leaves.append(nw.all_horizontal(*steps, ignore_nulls=False))
    return Rule([], first(leaves))


@rule.register
def _(estimator: Pipeline, n_columns: int) -> Rule:
    steps = []
    for _, step in estimator.steps[:-1]:
        if step not in (None, "passthrough"):
            scale = rescale(step)
            steps.append({f"x{i}": scale(i, nw.col(f"x{i}")) for i in range(n_columns)})
    last = rule(estimator.steps[-1][1], n_columns)
    return replace(last, steps=[*steps, *last.steps])


def nearest(distances: Sequence[nw.Expr]) -> Rule:
    """Return the rule that assigns to the first of the nearest, as `first_nearest` does."""
    names = [f"d{label}" for label in range(len(distances))]
    near = [nw.col(name) <= nw.col("bound") for name in names]
    bound = nearest_bound([nw.col(name) for name in names])
    steps = [dict(zip(names, distances, strict=True)), {"bound": bound}]
    return Rule(steps, first(near))


def likeliest(steps: list[Step], log_probabilities: Sequence[nw.Expr]) -> Rule:
    """Return the rule that assigns to the first of the likeliest, as `first_likeliest` does."""
    names = [f"l{label}" for label in range(len(log_probabilities))]
    likely = [nw.col(name) >= nw.col("bound") for name in names]
    bound = likeliest_bound([nw.col(name) for name in names])
    densities = dict(zip(names, log_probabilities, strict=True))
    return Rule([*steps, densities, {"bound": bound}], first(likely))


def first(conditions: Sequence[nw.Expr]) -> nw.Expr:
    """Return the position of the first condition that holds; missing where none does."""
    return nw.coalesce(*[nw.when(holds).then(place) for place, holds in enumerate(conditions)])


def _squared_distance(center: Matrix, n_columns: int) -> nw.Expr:
    gaps = [nw.col(f"x{i}") - float(center[i]) for i in range(n_columns)]
    return add_up([gap * gap for gap in gaps])


def _log_densities(mixture: GaussianMixture, n_columns: int) -> tuple[list[Step], list[nw.Expr]]:
    """Return the whitened columns of every component, and the log of its weight times density.

    Without the terms that all components share.
    """
    whitened: Step = {}
    densities = []
    for k, (mean, weight) in enumerate(zip(mixture.means_, mixture.weights_, strict=True)):
        root = _precision_root(mixture, k, n_columns)
        shift = mean @ root
        for j in range(n_columns):
            rows = np.flatnonzero(root[:, j]).tolist()
            turned = add_up([nw.col(f"x{i}") * float(root[i, j]) for i in rows])
            whitened[f"w{k}_{j}"] = turned - float(shift[j])
        squares = [nw.col(f"w{k}_{j}") * nw.col(f"w{k}_{j}") for j in range(n_columns)]
        with np.errstate(divide="ignore"):
            constant = float(np.log(weight) + np.log(np.diag(root)).sum())
        densities.append(constant - 0.5 * add_up(squares))
    return [whitened], densities


def _precision_root(mixture: GaussianMixture, k: int, n_columns: int) -> Matrix:
    """Return the upper triangular root of a component's precision matrix."""
    roots = mixture.precisions_cholesky_
    kind = mixture.covariance_type
    if kind == "full":
        return np.asarray(roots[k])
    if kind == "tied":
        return np.asarray(roots)
    return np.diag(np.broadcast_to(roots[k], n_columns))
