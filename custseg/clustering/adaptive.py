"""Segments around means, in a distance whose units are learned with them."""

from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from custseg._kernels.adaptive import adaptive
from custseg._kernels.kmeans import kmeans, nearest, trials
from custseg.clustering._spreading import spreading
from custseg.clustering._ties import first_nearest
from custseg.clustering._weights import read_weights
from custseg.errors import ParameterError, check_number

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

SEARCH_ROWS, SHORT, LONG = 1_500, 10, 60


class _Step(NamedTuple):
    """Where the iteration from one start ended, as the kernel returns it."""

    objective: float
    labels: Labels
    centers: Matrix
    variances: Matrix
    n_iter: int


class AdaptiveKMeans(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator
):
    """Divide rows around means, each column in units of its own spread within the clusters.

    k-means counts every column in the units that it is given in. Standardised, a column without
    groups has the same variance as one that consists of groups, so that a few such columns hide
    the groups of the others. Here the product over the columns of the variance within clusters is
    made least, which does not depend on units: `scale_`, the standard deviation within clusters, is
    learned together with the clusters, and distances are taken in these units. A column that the
    clusters do not explain hardly counts.

    Equal values are taken to stand for the gap between their neighbours: a yes/no column can
    explain no more than a uniform one.

    Parameters
    ----------
    n_clusters
        The number of clusters, at most the number of distinct rows.
    n_init
        The number of starts, of which the one with the least product counts: half of them k-means
        on a random choice of columns, half k-means in the units that the first half learned. Above
        1,500 rows they run on so many of them, drawn at random, and the best goes on with all.
    max_iter
        The most iterations with all rows.
    random_state
        A seed; the same rows in the same order with the same seed give the same answer.

    Attributes
    ----------
    labels_ : numpy.ndarray
        The cluster of each row: the nearest centre, the first of equal ones.
    cluster_centers_ : numpy.ndarray
        The means, k x columns.
    scale_ : numpy.ndarray
        The unit of each column: its standard deviation within clusters, what equal values hide
        included; infinite for a constant.
    inertia_ : float
        The sum over columns of the logarithm of the share of the variance that is within clusters.
    n_iter_ : int
        The number of iterations with all rows.
    n_features_in_, feature_names_in_
        The number of columns, and their names where a frame was given.

    References
    ----------
    Diday, E. & Govaert, G. (1977). Classification automatique avec distances adaptatives.
    R.A.I.R.O. Informatique 11, 329-349.
    Friedman, H. P. & Rubin, J. (1967). On some invariant criteria for grouping data. Journal of the
    American Statistical Association 62, 1159-1178.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> visits = np.append(rng.normal(0, 1, 50), rng.normal(8, 1, 50))
    >>> X = np.column_stack([visits, rng.normal(0, 40, 100)])
    >>> model = AdaptiveKMeans(2, random_state=0).fit(X)
    >>> np.bincount(model.labels_[:50]), np.bincount(model.labels_[50:])
    (array([50]), array([ 0, 50]))
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_init: int = 20,
        max_iter: int = 300,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(
        self,
        X: "pd.DataFrame | ArrayLike",
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Find the clusters and the units.

        Parameters
        ----------
        X
            Rows x columns of finite numbers.
        y
            Ignored; there for scikit-learn.
        sample_weight
            How many rows each row stands for; a row of weight 0 only gets a label.

        Returns
        -------
        AdaptiveKMeans
            The fitted estimator itself.

        Raises
        ------
        ParameterError
            If a parameter is out of bounds, as more clusters than distinct rows.
        """
        for name in ("n_clusters", "n_init", "max_iter"):
            check_number(getattr(self, name), name, ge=1, integer=True)
        matrix = validate_data(self, X, dtype=np.float64)
        weights = read_weights(sample_weight, len(matrix))
        kept, counted = matrix[weights > 0], weights[weights > 0]
        distinct = int((~pd.DataFrame(kept).duplicated()).sum())
        if self.n_clusters > distinct:
            raise ParameterError(
                f"n_clusters is {self.n_clusters}, but must be at most {distinct}: there are only "
                f"{distinct} distinct rows."
            )
        mean, unit, grain = _units(kept, counted)
        XT = np.ascontiguousarray(((kept - mean) / unit).T)
        best = self._search(XT, counted, grain, np.random.default_rng(self.random_state))
        self.scale_ = np.sqrt(best.variances) * unit
        self.cluster_centers_ = best.centers * unit + mean
        self.inertia_, self.n_iter_ = float(best.objective), best.n_iter
        self.labels_ = first_nearest(self._distances(matrix))
        return self

    def predict(self, X: "pd.DataFrame | ArrayLike") -> Labels:
        """Return the nearest centre of each row in the learned units, the first of equal ones.

        Parameters
        ----------
        X
            Rows x the columns of `fit`.

        Returns
        -------
        numpy.ndarray
            Whole numbers from 0.
        """
        return first_nearest(self.transform(X))

    def transform(self, X: "pd.DataFrame | ArrayLike") -> Matrix:
        """Return the distance of each row from each centre in the learned units.

        Parameters
        ----------
        X
            As in `predict`.

        Returns
        -------
        numpy.ndarray
            Rows x clusters.
        """
        check_is_fitted(self)
        return self._distances(validate_data(self, X, dtype=np.float64, reset=False))

    def _distances(self, matrix: Matrix) -> Matrix:
        return np.asarray(cdist(matrix / self.scale_, self.cluster_centers_ / self.scale_))

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def _search(
        self, XT: Matrix, weights: Matrix, grain: Matrix, rng: np.random.Generator
    ) -> _Step:
        """Return the best of several starts, made with a part of the rows where they are many."""
        d, n = XT.shape
        k = self.n_clusters
        drawn = np.sort(rng.permutation(n)[: max(SEARCH_ROWS, 50 * k)])
        part, counted = np.ascontiguousarray(XT[:, drawn]), weights[drawn]

        def start(units: Matrix) -> _Step:
            columns = np.ascontiguousarray((part / units[:, None])[np.isfinite(units)])
            uniforms = rng.random((1, k, trials(k)))
            centers, _ = kmeans(columns, counted, k, SHORT, 0.0, uniforms)
            labels = nearest(columns, centers)
            return _Step(*adaptive(part, counted, grain, labels, k, LONG))

        found = [start(np.ones(d))]
        for _ in range(self.n_init // 2 - 1):
            chosen = rng.permutation(d)[: rng.integers(1, d + 1)]
            units = np.full(d, np.inf)
            units[chosen] = 1.0
            found.append(start(units))
        for again in range(self.n_init - len(found)):
            best = sorted(found, key=lambda step: step.objective)[again % 3 % len(found)]
            found.append(start(np.sqrt(best.variances)))
        best = min(found, key=lambda step: step.objective)
        unit = np.sqrt(best.variances)
        labels = nearest(np.ascontiguousarray(XT / unit[:, None]), best.centers / unit)
        return _Step(*adaptive(XT, weights, grain, labels, k, self.max_iter))


def _units(matrix: Matrix, weights: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Return the mean and spread of each column, and the variance that equal values hide.

    The spread includes what is hidden; the last is in units of the spread squared. A constant has
    spread 1 and hides all, so that no cluster explains it.
    """
    mean = np.average(matrix, axis=0, weights=weights)
    variance = np.average((matrix - mean) ** 2, axis=0, weights=weights)
    _, width = spreading(matrix)
    hidden = np.average(width**2, axis=0, weights=weights) / 12
    constant = matrix.min(axis=0) == matrix.max(axis=0)
    total = np.where(constant, 1.0, variance + hidden)
    return mean, np.sqrt(total), np.where(constant, 1.0, hidden / total)
