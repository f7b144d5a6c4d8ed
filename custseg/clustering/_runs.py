"""The runs of a consensus: members fitted on other customers, columns and starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from custseg.clustering.algorithms import (
    ALGORITHMS,
    make_estimator,
    predicted,
    prepare,
    reseed,
)
from custseg.clustering.kmeans import KMeans
from custseg.errors import ParameterError

Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]

MANY = 50
"""The most clusters that k-means looks for unless more are asked for."""

HEAD = 1000


@dataclass(frozen=True)
class Run:
    """A fitted member.

    Parameters
    ----------
    estimator
        The fitted clusterer.
    columns
        The positions of the columns that it saw.
    clusters
        The labels that it gives, in order.
    """

    estimator: Any
    columns: Integers
    clusters: Integers

    def codes(self, X: "pd.DataFrame | NDArray") -> Integers:
        """Return the position of each row's label in `clusters`, -1 where the run has no vote."""
        if not hasattr(self.estimator, "predict"):
            return np.full(len(X), -1)
        return as_codes(predicted(self.estimator, part_of(X, columns=self.columns)), self.clusters)


def as_codes(labels: NDArray[np.integer], clusters: Integers) -> Integers:
    """Return the position of each label among the clusters, -1 for any other."""
    if not len(clusters):
        return np.full(len(labels), -1)
    places = np.minimum(np.searchsorted(clusters, labels), len(clusters) - 1)
    return np.where(clusters[places] == labels, places, -1)


def part_of(X: Any, *, rows: Any = None, columns: Any = None) -> Any:
    """Return some rows and columns of a frame or an array, by position."""
    rows = slice(None) if rows is None else rows
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows] if columns is None else X.iloc[rows, columns]
    return X[rows] if columns is None else X[rows][:, columns]


def fit_run(
    member: Any,
    X: Any,
    weights: Matrix,
    *,
    n_clusters: int,
    many: bool,
    resample: bool,
    max_features: float,
    rng: np.random.Generator,
) -> tuple[Run, Integers]:
    """Fit a member once.

    Parameters
    ----------
    member
        A clusterer, a name of `ALGORITHMS`, or ``None`` for k-means with one start.
    X
        Customers x variables, a frame or an array.
    weights
        How many customers each row stands for.
    n_clusters
        What a member of the catalogue, or k-means, looks for.
    many
        Whether k-means looks for more, a number drawn at random.
    resample
        Whether to draw the customers with replacement.
    max_features
        The share of the columns that the run sees.
    rng
        Decides all that is drawn.

    Returns
    -------
    tuple of (Run, numpy.ndarray)
        The run, and the cluster of each customer in it, -1 for none.
    """
    n, width = X.shape
    columns = np.sort(rng.permutation(width)[: max(1, round(max_features * width))])
    counts = np.bincount(rng.integers(n, size=n), minlength=n) if resample else np.ones(n, int)
    drawn = np.flatnonzero((counts > 0) & (weights > 0))
    seen = part_of(X, rows=drawn, columns=columns)
    estimator = _unfitted(member, seen, n_clusters, many, rng)
    first = np.arange(len(drawn))
    if has_fit_parameter(estimator, "sample_weight"):
        estimator.fit(seen, sample_weight=(counts * weights)[drawn])
    elif (weights[drawn] == 1).all():
        estimator.fit(part_of(seen, rows=np.repeat(first, counts[drawn])))
        first = np.cumsum(counts[drawn]) - counts[drawn]
    else:
        raise ParameterError(
            f"{type(estimator).__name__} takes no sample_weight. Leave the weights out, or choose "
            "members that take them."
        )
    if hasattr(estimator, "predict"):
        labels = predicted(estimator, part_of(X, columns=columns))
    else:
        labels = np.full(n, -1)
        labels[drawn] = np.asarray(estimator.labels_)[first]
    clusters = np.unique(labels[labels >= 0]).astype(np.int64)
    return Run(estimator, columns, clusters), as_codes(labels, clusters)


def _unfitted(member: Any, seen: Any, n_clusters: int, many: bool, rng: np.random.Generator) -> Any:  # noqa: FBT001
    seed = int(rng.integers(2**32))
    if isinstance(member, str):
        wanted = n_clusters if ALGORITHMS[member].needs_n_segments else None
        return prepare(member, make_estimator(member, wanted, seed), None, seen)
    if member is not None:
        return reseed(clone(member), seed)
    if many:
        most = max(2 * n_clusters, min(int(np.sqrt(len(seen))), MANY))
        n_clusters = int(rng.integers(max(2 * n_clusters, most // 2), most + 1))
    return KMeans(distinct_up_to(seen, n_clusters), n_init=1, random_state=seed)


def distinct_up_to(X: Any, most: int) -> int:
    """Return the number of distinct rows, or `most` where there are more."""
    found = 0
    for rows in (slice(HEAD), slice(None)):
        if found < most:
            found = int((~pd.DataFrame(X[rows]).duplicated()).sum())
    return min(found, most)


def read_members(members: Any) -> list[Any]:
    """Return the members as a list, an error unless each is a clusterer or a name.

    Raises
    ------
    ParameterError
        If there is none, or one is neither.
    """
    several = isinstance(members, Sequence) and not isinstance(members, str)
    found = list(members) if several else [members]
    if not found:
        raise ParameterError("members is empty, but must hold at least one clusterer.")
    for member in found:
        if member is not None:
            wanted = 2 if isinstance(member, str) and member in ALGORITHMS else None
            make_estimator(member, wanted, 0)
    return found
