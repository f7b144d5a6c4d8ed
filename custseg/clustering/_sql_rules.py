"""How a fitted algorithm assigns customers, as expressions over the encoded matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from math import inf
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans as PlainKMeans
from sklearn.cluster import MiniBatchKMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline

from custseg._engine import one_if
from custseg.clustering._cells import ROLES
from custseg.clustering._sql_encoder import (
    Encoding,
    Problem,
    Schema,
    add_up,
    ask,
    encode,
    rescale,
)
from custseg.clustering._ties import likeliest_bound, nearest_bound
from custseg.clustering.kmeans import KMeans
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
    labels
        From the columns of the last step: for each label of the algorithm where it holds, unless
        one before it does.
    problems
        From the encoded matrix: where `predict` refuses, and why.
    """

    steps: list[Step]
    labels: list[nw.Expr]
    problems: Sequence[Problem] = ()


def plan(
    encoder: Any, estimator: Any, variables: Sequence[Any], schema: Schema
) -> tuple[Encoding, Rule]:
    """Return what a model does with a table: the encoding, and the rule over what it gives.

    Parameters
    ----------
    encoder, estimator
        As fitted.
    variables
        The columns that they were fitted on, in order.
    schema
        Column to type, of the table.

    Raises
    ------
    DataError
        If a column is of another type than in the fit.
    ParameterError
        If the encoder or the estimator cannot be expressed.
    """
    if takes_table(estimator):
        if isinstance(estimator, TreeRules):
            encoding = ask(estimator.questions_, schema)
        else:
            encoding = encode(None, list(estimator.columns or ROLES), schema)
    else:
        encoding = encode(encoder, variables, schema)
    return encoding, rule(estimator, len(encoding.encoded))


def takes_table(estimator: Any) -> bool:
    """Return whether rules were learned from a table as it is, not from an encoded matrix."""
    return isinstance(estimator, RFMRules | TreeRules) and hasattr(estimator, "feature_names_in_")


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
@rule.register(PlainKMeans)
@rule.register(MiniBatchKMeans)
def _(estimator: KMeans | PlainKMeans | MiniBatchKMeans, n_columns: int) -> Rule:
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
    whole = takes_table(estimator) or estimator.columns is None
    columns = range(3) if whole else estimator.columns
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
    return Rule([{"place": place}], [nw.col("place").is_in(cell) for cell in cells])


@rule.register
def _(estimator: TreeRules, n_columns: int) -> Rule:  # noqa: ARG001
    def holds(question: int, cut: float, *, at_most: bool) -> nw.Expr:
        asked = str(estimator.questions_[question].column)
        answer = nw.col(f"x{question}" if takes_table(estimator) else asked)
        if cut == -inf:
            return answer.is_null() if at_most else ~answer.is_null()
        if not at_most:
            return (answer > cut).fill_null(value=False)
        return (answer <= cut).fill_null(value=True)

    leaves = [
        nw.all_horizontal(
            nw.lit(value=True),
            *(holds(question, cut, at_most=at_most) for question, cut, at_most in path),
            ignore_nulls=False,
        )
        for path in estimator.tree_.paths().values()
    ]
    return Rule([], leaves)


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
    return Rule(steps, near)


def likeliest(steps: list[Step], log_probabilities: Sequence[nw.Expr]) -> Rule:
    """Return the rule that assigns to the first of the likeliest, as `first_likeliest` does."""
    names = [f"l{label}" for label in range(len(log_probabilities))]
    likely = [nw.col(name) >= nw.col("bound") for name in names]
    bound = likeliest_bound([nw.col(name) for name in names])
    densities = dict(zip(names, log_probabilities, strict=True))
    return Rule([*steps, densities, {"bound": bound}], likely)


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
