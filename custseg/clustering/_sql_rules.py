"""How a fitted algorithm assigns customers, as expressions over the encoded matrix."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from math import inf, nan
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
from custseg.clustering._spaces import GowerSpace
from custseg.clustering._sql_encoder import (
    Encoding,
    Problem,
    Schema,
    add_up,
    ask,
    encode,
    rescale,
)
from custseg.clustering._ties import TIE, likeliest_bound, nearest_bound
from custseg.clustering.adaptive import AdaptiveKMeans
from custseg.clustering.algorithms import has_rule
from custseg.clustering.assignment import Assignment
from custseg.clustering.kmeans import KMeans
from custseg.clustering.kmedoids import KMedoids
from custseg.clustering.kmodes import KModes
from custseg.clustering.kprototypes import KPrototypes
from custseg.clustering.latent_class import LatentClass
from custseg.clustering.rules import RFMRules
from custseg.clustering.tree_rules import TreeRules
from custseg.errors import ParameterError
from custseg.features.gower import Comparison, Placed

Matrix = NDArray[np.float64]
Step = dict[str, nw.Expr]

EXPRESSIBLE = (
    *("kmeans", "adaptive_kmeans", "minibatch_kmeans", "ward", "average", "gaussian_mixture"),
    *("spectral", "hdbscan", "kmodes", "kprototypes", "kmedoids", "latent_class"),
    *("rfm_rules", "tree_rules"),
)
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
        From the columns of the last step: conditions, of which the first that holds decides, and
        what each stands for: the label of the algorithm or, after `plan`, the position of the
        segment, -1 for none.
    problems
        From the encoded matrix: where `predict` refuses, and why.
    """

    steps: list[Step]
    labels: Sequence[tuple[nw.Expr, int]]
    problems: Sequence[Problem] = ()


def plan(
    encoder: Any, estimator: Any, assignment: Assignment, variables: Sequence[Any], schema: Schema
) -> tuple[Encoding, Rule]:
    """Return what a model does with a table: the encoding, and the rule over what it gives.

    Parameters
    ----------
    encoder, estimator, assignment
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
    if assignment.square:
        raise ParameterError(
            "the model was fitted on dissimilarities, which a warehouse does not hold. Call "
            "predict with the dissimilarities of new customers from the medoids."
        )
    if not takes_table(estimator):
        encoding = encode(encoder, variables, schema)
    elif isinstance(estimator, TreeRules):
        encoding = ask(estimator.questions_, schema)
    else:
        encoding = encode(None, list(estimator.columns or ROLES), schema)
    n_columns, last, steps = len(encoding.encoded), estimator, []
    while isinstance(last, Pipeline):
        for _, step in last.steps[:-1]:
            scale = rescale(None if step == "passthrough" else step)
            steps.append({f"x{i}": scale(i, nw.col(f"x{i}")) for i in range(n_columns)})
        last = last[-1]
    if has_rule(estimator):
        found = rule(last, n_columns)
        order = assignment.order.tolist()
        labels = [
            (holds, order.index(label) if label in order else -1) for holds, label in found.labels
        ]
        found = replace(found, labels=labels)
    else:
        found = to_points(assignment, last, n_columns)
    return encoding, replace(found, steps=[*steps, *found.steps])


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
    return nearest([_squares(_gaps(point, n_columns)) for point in estimator.cluster_centers_])


@rule.register
def _(estimator: AdaptiveKMeans, n_columns: int) -> Rule:
    counted = np.flatnonzero(np.isfinite(estimator.scale_)).tolist()
    found = [_gaps(point, n_columns) for point in estimator.cluster_centers_]
    return nearest(
        [_squares([gaps[i] / float(estimator.scale_[i]) for i in counted]).sqrt() for gaps in found]
    )


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
def _(estimator: KMedoids, n_columns: int) -> Rule:
    space, medoids = estimator.space_, estimator.medoids_
    if isinstance(space, GowerSpace) and isinstance(medoids, Placed):
        return _by_gower(space.comparisons, medoids)
    measure = _metric_of(estimator)
    return nearest([measure(_gaps(point, n_columns)) for point in np.asarray(medoids)])


@rule.register
def _(estimator: LatentClass, n_columns: int) -> Rule:  # noqa: ARG001
    levels = estimator.item_probabilities_.groupby(["class", "item"], sort=False)
    numbers = estimator.item_means_.query("sd > 0").groupby("class")
    densities = []
    for c, weight in enumerate(estimator.class_weights_):
        terms = [nw.lit(float(np.log(weight)))]
        for item in estimator.levels_:
            rows = levels.get_group((c, item))
            found = [
                nw.when(nw.col(item) == level).then(float(np.log(probability)))
                for level, probability in zip(rows["level"], rows["probability"], strict=True)
            ]
            terms.append(nw.coalesce(*found, nw.lit(0.0)))
        for row in numbers.get_group(c).itertuples() if c in numbers.groups else ():
            gap = (nw.col(row.item) - row.mean) / row.sd
            terms.append((gap * gap * -0.5 - float(np.log(row.sd))).fill_null(0.0))
        densities.append(add_up(terms))
    return likeliest([], densities)


@rule.register
def _(estimator: RFMRules, n_columns: int) -> Rule:  # noqa: ARG001
    columns = range(3) if takes_table(estimator) else estimator.columns or range(3)
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
    return Rule([{"place": place}], in_turn([nw.col("place").is_in(cell) for cell in cells]))


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
    return Rule([], in_turn(leaves))


def nearest(distances: Sequence[nw.Expr]) -> Rule:
    """Return the rule that assigns to the first of the nearest, as `first_nearest` does."""
    names = [f"d{label}" for label in range(len(distances))]
    near = [nw.col(name) <= nw.col("bound") for name in names]
    bound = nearest_bound([nw.col(name) for name in names])
    steps = [dict(zip(names, distances, strict=True)), {"bound": bound}]
    return Rule(steps, in_turn(near))


def likeliest(steps: list[Step], log_probabilities: Sequence[nw.Expr]) -> Rule:
    """Return the rule that assigns to the first of the likeliest, as `first_likeliest` does."""
    names = [f"l{label}" for label in range(len(log_probabilities))]
    likely = [nw.col(name) >= nw.col("bound") for name in names]
    bound = likeliest_bound([nw.col(name) for name in names])
    densities = dict(zip(names, log_probabilities, strict=True))
    return Rule([*steps, densities, {"bound": bound}], in_turn(likely))


def to_points(assignment: Assignment, clusterer: Any, n_columns: int) -> Rule:
    """Return the rule that assigns to the nearest medoid, beyond whose reach is noise.

    Parameters
    ----------
    assignment
        With the medoids and their reach.
    clusterer
        Fitted, without a rule of its own, whose metric counts.
    n_columns
        The number of encoded columns.

    Raises
    ------
    ParameterError
        If the metric cannot be expressed.
    """
    measure = _metric_of(clusterer)
    found = nearest([measure(_gaps(point, n_columns)) for point in assignment.points])
    if assignment.reach is None:
        return found
    labels = []
    for (holds, label), reach in zip(found.labels, assignment.reach, strict=True):
        beyond = nw.col(f"d{label}") > float(reach) * (1 + TIE)
        labels += [(holds & beyond, -1), (holds, label)]
    return replace(found, labels=labels)


def in_turn(conditions: Sequence[nw.Expr]) -> list[tuple[nw.Expr, int]]:
    """Return conditions with the labels 0, 1, 2, ..."""
    return [(holds, label) for label, holds in enumerate(conditions)]


def _gaps(point: Matrix, n_columns: int) -> list[nw.Expr]:
    return [nw.col(f"x{i}") - float(point[i]) for i in range(n_columns)]


def _squares(gaps: Sequence[nw.Expr]) -> nw.Expr:
    return add_up([gap * gap for gap in gaps])


Metric = Callable[[Sequence[nw.Expr]], nw.Expr]
_METRICS: dict[str, Metric] = {
    "euclidean": lambda gaps: _squares(gaps).sqrt(),
    "sqeuclidean": _squares,
    "manhattan": lambda gaps: add_up([gap.abs() for gap in gaps]),
    "chebyshev": lambda gaps: nw.max_horizontal(*[gap.abs() for gap in gaps]),
}
"""The distances that can be expressed, of the gaps in every column."""

_OTHER_NAMES = {"l2": "euclidean", "l1": "manhattan", "cityblock": "manhattan"}


def _metric_of(clusterer: Any) -> Metric:
    metric = getattr(clusterer, "metric", None) or "euclidean"
    metric = _OTHER_NAMES.get(metric, metric)
    if metric not in _METRICS or getattr(clusterer, "metric_params", None):
        raise ParameterError(
            f"the metric {metric!r} cannot be expressed in a warehouse. These can, without "
            f"parameters: {', '.join(repr(name) for name in _METRICS)}; of KMedoids also 'gower'. "
            "Otherwise fetch the customers in batches and call predict."
        )
    return _METRICS[metric]


def _by_gower(comparisons: Sequence[Comparison], medoids: Placed) -> Rule:
    """Return the rule that assigns to the nearest medoid by what it and the customer have."""
    ordered = [one for one in comparisons if one.is_number]
    ordered += [one for one in comparisons if not one.is_number]
    distances, strangers = [], []
    for numbers, codes in zip(medoids.numbers.T, medoids.codes.T, strict=True):
        own = [*numbers.tolist(), *(code if code >= 0 else nan for code in codes.tolist())]
        known = [(one, value) for one, value in zip(ordered, own, strict=True) if value == value]
        shared = [_where_known(one).then(float(one.weight)).otherwise(0.0) for one, _ in known]
        apart = add_up([_apart(one, value) for one, value in known])
        both = add_up(shared)
        divisor = nw.when(both > 0).then(both).otherwise(1.0)
        distances.append(nw.when(both > 0).then(apart / divisor).otherwise(_FAR))
        strangers.append(both == 0)
    lost = nw.all_horizontal(*strangers, ignore_nulls=False)
    return replace(nearest(distances), problems=[(lost, "no variable in common with any medoid")])


_FAR = 1e300
"""The dissimilarity of a medoid with which nothing can be compared."""


def _where_known(one: Comparison) -> Any:
    return nw.when(~nw.col(str(one.name)).is_null())


def _apart(one: Comparison, medoid: float) -> nw.Expr:
    """Return how far a variable is from a medoid's, times its weight; 0 where it is missing."""
    values = nw.col(str(one.name))
    if not one.is_number:
        levels = one.levels or ()
        differs = values != float(levels[int(medoid)]) if medoid < len(levels) else values == values
        return one_if(differs).cast(nw.Float64) * float(one.weight)
    if one.levels is not None:
        places = [nw.when(values == float(x)).then(float(i)) for i, x in enumerate(one.levels)]
        values = nw.coalesce(*places)
    scaled = (values - one.low) / (one.high - one.low or 1.0) * float(one.weight)
    return (scaled - float(medoid)).abs().fill_null(0.0)


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
