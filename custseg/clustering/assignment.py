"""How near customers are to every segment: who belongs where, who is noise, who is like nobody."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import Pipeline

from custseg.clustering._naming import as_codes
from custseg.clustering._ties import first_nearest
from custseg.clustering.algorithms import OWN_DISTANCES, has_rule, last_step, predicted
from custseg.clustering.latent_class import LatentClass
from custseg.features.mixed_encoder import MixedEncoder

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

RARE = 0.001
"""The share of training customers that may be unlike the others."""

FEW = 50
"""A segment with fewer members takes the limit of all customers."""

REFERENCES = 1_000
"""In a larger segment, the medoid is sought by the distances to this many of its members."""

BLOCK = 1_000


@dataclass(frozen=True)
class Assignment:
    """What a fit tells of the assignment of customers; segments are in canonical order.

    Parameters
    ----------
    order
        The label that the clusterer gives to each segment.
    measure
        What nearness is: ``"distance"``, ``"posterior"``, or ``"none"`` for rules.
    square
        Whether customers come as their dissimilarities from the medoids.
    points
        Segments x columns, the medoids or means that distances are taken from where the clusterer
        has none of its own; the positions of the medoids with `square`.
    reach
        The distance of the farthest member of each segment, beyond which is noise; ``None`` where
        nobody is noise.
    limits
        What customers unlike any other exceed for every segment: of distances, or of minus the log
        density, which all segments share; the `Ranges` of variables for rules.
    """

    order: Labels
    measure: str
    square: bool = False
    points: Any = None
    reach: Matrix | None = None
    limits: Any = None

    def codes(self, estimator: Any, data: Any) -> Labels:
        """Return the position of each customer's segment, -1 for noise."""
        if has_rule(estimator) and not self.square:
            return as_codes(predicted(estimator, data), self.order)
        distances = self.nearness(estimator, data)
        codes = first_nearest(distances)
        if self.reach is not None:
            least = distances[np.arange(len(codes)), codes]
            codes = np.where(least > self.reach[codes] * (1 + 1e-9), -1, codes)
        return codes

    def nearness(self, estimator: Any, data: Any) -> Any:
        """Return distances or posteriors, customers x segments; ``None`` for rules."""
        if self.square or self.measure == "none":
            return data if self.square else None
        own = own_measure(estimator, data) if has_rule(estimator) else None
        return self._distances(estimator, data) if own is None else own[1][:, self.order]

    def _distances(self, estimator: Any, data: Any) -> Matrix:
        last, rows = last_space(estimator, data)
        return distances_between(last, rows, self.points)

    def strangeness(self, estimator: Any, data: Any) -> Matrix:
        """Return what is held against `limits`: customers x segments, or x 1 for all of them."""
        if self.measure == "posterior" and has_density(estimator):
            return -log_density(estimator, data)[:, None]
        if self.measure == "posterior":
            return self._distances(estimator, data)
        return np.asarray(self.nearness(estimator, data))

    def unlike(self, estimator: Any, data: Any) -> NDArray[np.bool_]:
        """Return who is beyond the limits of every segment."""
        if isinstance(self.limits, Ranges):
            return self.limits.outside(data)
        strange = self.strangeness(estimator, data)
        return np.asarray((strange > self.limits * (1 + 1e-9) + 1e-12).all(axis=1))


def own_measure(estimator: Any, data: Any) -> tuple[str, Matrix] | None:
    """Return a fitted clusterer's own distances or posteriors, in the order of its labels, if any.

    Parameters
    ----------
    estimator
        A fitted clusterer, or a pipeline that ends with one.
    data
        What it assigns.
    """
    last, rows = last_space(estimator, data)
    if type(last).__name__ in OWN_DISTANCES:
        return "distance", np.asarray(last.transform(rows))
    centers = getattr(last, "cluster_centers_", None)
    if centers is not None and np.ndim(centers) == 2 and centers.shape[1] == rows.shape[1]:
        return "distance", cdist(rows, centers)
    for name in ("predict_proba", "vote"):
        if hasattr(last, name):
            return "posterior", np.asarray(getattr(last, name)(rows))
    return None


def n_labels(estimator: Any, labels: Labels) -> int:
    """Return how many labels a fitted clusterer may give, also those that no customer has.

    Parameters
    ----------
    estimator
        The fitted clusterer.
    labels
        The labels of the customers that it was fitted on.
    """
    last = last_step(estimator)
    parts = ("segment_names_", "cluster_centers_", "means_", "class_weights_")
    counts = [len(getattr(last, part)) for part in parts if getattr(last, part, None) is not None]
    return max([*counts, int(labels.max()) + 1]) if has_rule(estimator) else 0


def has_density(estimator: Any) -> bool:
    """Return whether a fitted clusterer knows how likely each customer is: a mixture does."""
    return hasattr(last_step(estimator), "score_samples")


def log_density(estimator: Any, data: Any) -> Matrix:
    """Return the log density of each customer under a mixture."""
    last, rows = last_space(estimator, data)
    options = {"pseudo_count": 1.0} if isinstance(last, LatentClass) else {}
    return np.asarray(last.score_samples(rows, **options))


def learn_assignment(
    estimator: Any, data: Any, codes: Labels, order: Labels, *, square: bool
) -> Assignment:
    """Return how customers are assigned by a fitted clusterer.

    Parameters
    ----------
    estimator
        The fitted clusterer.
    data
        What it was fitted on; dissimilarities between all customers with `square`.
    codes
        The position of each customer's segment, -1 for noise.
    order
        The label of each segment.
    square
        Whether `data` are dissimilarities.
    """
    ruled = has_rule(estimator) and not square
    own = own_measure(estimator, data) if ruled else None
    if ruled and own is None and isinstance(data, pd.DataFrame):
        asked = [name for name in data if name != getattr(estimator, "target", None)]
        return Assignment(order, "none", limits=Ranges.of(data[asked]))
    measure = "distance" if own is None else own[0]
    points: Any = None
    if square:
        medoids = getattr(estimator, "medoid_indices_", None)
        found = find_medoids(None, data, codes, len(order)) if medoids is None else medoids[order]
        points, data = found, data[:, found]
    elif not ruled:
        last, rows = last_space(estimator, data)
        points = rows[find_medoids(last, rows, codes, len(order))]
    elif own is None or (measure == "posterior" and not has_density(estimator)):
        rows = last_space(estimator, data)[1]
        points = np.array([_mean(rows[codes == code]) for code in range(len(order))])
    learned = Assignment(order, measure, square, points)
    strange = learned.strangeness(estimator, data)
    reach = None
    if (codes < 0).any() and not ruled:
        own_distance = strange[np.arange(len(codes)), codes]
        reach = np.array([own_distance[codes == code].max() for code in range(len(order))])
    return replace(learned, reach=reach, limits=learn_limits(strange, codes))


def _mean(rows: Matrix) -> Matrix:
    return rows.mean(axis=0) if len(rows) else np.full(rows.shape[1], np.inf)


def last_space(estimator: Any, data: Any) -> tuple[Any, Any]:
    """Return the last step of a pipeline and what reaches it; another clusterer as it is."""
    while isinstance(estimator, Pipeline):
        data = estimator[:-1].transform(data) if len(estimator) > 1 else data
        estimator = estimator[-1]
    return estimator, data


def distances_between(estimator: Any, rows: Matrix, points: Matrix) -> Matrix:
    """Return the distances of rows from points in the metric of a clusterer."""
    metric = getattr(estimator, "metric", None) or "euclidean"
    options = dict(getattr(estimator, "metric_params", None) or {})
    if metric == "minkowski":
        options.setdefault("p", getattr(estimator, "p", None) or 2)
    if metric == "euclidean" or (metric == "minkowski" and options == {"p": 2}):
        return np.asarray(cdist(rows, points))
    return np.asarray(pairwise_distances(rows, points, metric=metric, **options))


def find_medoids(estimator: Any, data: Matrix, codes: Labels, n_segments: int) -> Labels:
    """Return the position of the medoid of each segment: the member nearest to the others.

    Parameters
    ----------
    estimator
        The clusterer whose metric counts; ``None`` if `data` are dissimilarities.
    data
        Customers x columns, or customers x customers.
    codes
        The position of each customer's segment, -1 for noise.
    n_segments
        The number of segments.
    """
    found = np.empty(n_segments, dtype=int)
    for code in range(n_segments):
        members = np.flatnonzero(codes == code)
        spread = np.linspace(0, len(members) - 1, min(len(members), REFERENCES))
        others = members[np.unique(spread.astype(int))]
        sums = [
            (
                data[np.ix_(block, others)]
                if estimator is None
                else distances_between(estimator, data[block], data[others])
            ).sum(axis=1)
            for block in np.array_split(members, -(-len(members) // BLOCK))
        ]
        found[code] = members[first_nearest(np.concatenate(sums)[None, :])[0]]
    return found


def tail_limit(values: Matrix) -> float:
    """Return what one value in a thousand exceeds among many more like these.

    The 99.9% quantile, but at least what an exponential tail beyond the 90% quantile gives: a few
    hundred values hardly show what one in a thousand is.

    Examples
    --------
    >>> round(tail_limit(np.arange(100.0)), 1)
    114.0
    """
    ninth = np.quantile(values, 0.9)
    beyond = values[values > ninth] - ninth
    tail = beyond.mean() * np.log(0.1 / RARE) if len(beyond) else 0.0
    return float(max(np.quantile(values, 1 - RARE), ninth + tail))


def learn_limits(strange: Matrix, codes: Labels) -> Matrix:
    """Return the limit of each segment, by its members; of few members, by all customers'.

    Parameters
    ----------
    strange
        Customers x segments, or x 1 for all of them.
    codes
        The position of each customer's segment, -1 for noise.
    """
    known = np.flatnonzero(codes >= 0)
    if strange.shape[1] == 1:
        return np.array([tail_limit(strange[known, 0])])
    own = strange[known, codes[known]]
    members = [own[codes[known] == code] for code in range(strange.shape[1])]
    everybody = tail_limit(own)
    return np.array([everybody if len(some) < FEW else tail_limit(some) for some in members])


def new_levels(encoder: Any, data: Any) -> NDArray[np.bool_]:
    """Return who has a level that nobody had in the fit, where the encoder gives levels codes."""
    if not isinstance(encoder, MixedEncoder) or not encoder.categorical_:
        return np.zeros(len(data), dtype=bool)
    counts = [len(levels) for levels in encoder.levels_.values()]
    return np.asarray((data[:, encoder.categorical_] >= counts).any(axis=1))


def table_of(
    codes: Labels, nearness: Matrix | None, measure: str, names: Sequence[str], index: pd.Index
) -> pd.DataFrame:
    """Return for each customer the segment, how near it is, the second-best one and the margin.

    Parameters
    ----------
    codes
        The position of each customer's segment, -1 for noise.
    nearness
        Customers x segments; ``None`` for rules.
    measure
        What it is, as in `Assignment`.
    names
        The names of the segments.
    index
        The customers.
    """
    table = pd.DataFrame({"segment": _categories(codes, names)}, index=index)
    if nearness is None:
        return table.assign(margin=np.nan, second=_categories(np.full(len(codes), -1), names))
    rows, assigned = np.arange(len(codes)), codes >= 0
    better = nearness if measure == "distance" else -nearness
    own = np.where(assigned, better[rows, codes], better.min(axis=1))
    others = better.copy()
    others[rows[assigned], codes[assigned]] = np.inf
    second = others.argmin(axis=1)
    rival = others[rows, second]
    alone = assigned & (nearness.shape[1] == 1)
    with np.errstate(invalid="ignore"):  # a rival without members is infinitely far
        gap, larger = rival - own, np.maximum(own, rival)
        margin = np.divide(gap, larger, where=larger > 0, out=np.zeros(len(codes)))
    margin = margin if measure == "distance" else gap
    table[measure] = own if measure == "distance" else -own
    table["margin"] = np.where(alone | ~assigned, np.nan, margin)
    table["second"] = _categories(np.where(alone, -1, second), names)
    return table


def _categories(codes: Labels, names: Sequence[str]) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, categories=list(names), ordered=True)


@dataclass(frozen=True)
class Ranges:
    """Which values customers had: the limits of each number, and the levels of other columns."""

    limits: dict[Any, tuple[float, float]]
    levels: dict[Any, tuple[Any, ...]]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Ranges":
        """Return the ranges of a table, one value in a thousand beyond either end of a number."""
        limits, levels = {}, {}
        for name, values in frame.items():
            known = values.dropna()
            if pd.api.types.is_numeric_dtype(values) and len(known):
                numbers = known.to_numpy(dtype=float)
                middle = float(np.median(numbers))
                low, high = tail_limit(middle - numbers), tail_limit(numbers - middle)
                limits[name] = (middle - low, middle + high)
            else:
                levels[name] = tuple(sorted(known.astype(object).unique(), key=str))
        return cls(limits, levels)

    def outside(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Return who has a number beyond its limits, or a level that nobody had."""
        strange = np.zeros(len(frame), dtype=bool)
        for name, (low, high) in self.limits.items():
            numbers = frame[name].to_numpy(dtype=float, na_value=np.nan)
            slack = 1e-9 * max(abs(low), abs(high), 1.0)
            strange |= (numbers < low - slack) | (numbers > high + slack)
        for name, known in self.levels.items():
            strange |= (frame[name].notna() & ~frame[name].isin(known)).to_numpy()
        return strange
