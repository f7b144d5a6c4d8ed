"""k-means: segments around means, by least squares."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from joblib import cpu_count
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from custseg._kernels.kmeans import trials
from custseg._kernels.least_squares import descend
from custseg.clustering._inputs import check_distinct
from custseg.clustering._ties import first_nearest
from custseg.clustering._weights import read_weights
from custseg.errors import check_number

Matrix = NDArray[np.float64]

EXCHANGE_UP_TO = 2_000
"""Up to how many distinct rows the exchange follows Lloyd's iteration: it tells where few do."""

LARGE = 20_000
"""Rows times variables times centres from which the starts of a fit run in threads."""


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Divide rows around means: the least sum of squared distances within clusters.

    Lloyd's k-means stops where no row is nearer to another mean. Up to 2,000 distinct rows, this
    one goes on to exchange single rows, counting how both means move, until no row can improve the
    sum of squares: on survey answers, a start reaches the least known sum two to five times as
    often.
    Equal rows are taken together. Starts are drawn by greedy k-means++ and run in threads.

    Parameters
    ----------
    n_clusters
        The number of clusters, at most the number of distinct rows.
    n_init
        The number of starts, of which the one with the least sum of squares counts. ``"auto"``:
        ten, and more where there are fewer than 1,500 distinct rows, up to fifty.
    max_iter
        The most iterations of Lloyd from a start.
    tol
        Lloyd's iteration ends when the squared shift of all centres is at most this times the mean
        variance of the variables.
    random_state
        A seed; the same seed gives the same answer for any order of rows and number of threads.

    Attributes
    ----------
    cluster_centers_ : numpy.ndarray
        The means, clusters x variables.
    labels_ : numpy.ndarray
        The cluster of each row: the nearest mean, the first of equal ones.
    inertia_ : float
        The weighted sum of squared distances to the nearest mean.
    n_iter_ : int
        The iterations of Lloyd from the best start.
    n_features_in_, feature_names_in_
        The number of columns, and their names where a frame was given.

    References
    ----------
    Lloyd, S. P. (1982). Least squares quantization in PCM. IEEE Trans. Information Theory 28(2).
    Hartigan, J. A. (1975). Clustering Algorithms. Wiley.
    Arthur, D. & Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding. SODA.

    Examples
    --------
    >>> X = np.array([[1.0], [2.0], [8.0], [9.0]])
    >>> model = KMeans(2, random_state=0).fit(X)
    >>> sorted(model.cluster_centers_.ravel().tolist()), model.inertia_
    ([1.5, 8.5], 1.0)
    >>> bool(model.predict([[3.0]])[0] == model.labels_[0])
    True
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> "KMeans":
        """Find the means.

        Parameters
        ----------
        X
            Rows x variables, finite numbers.
        y
            Ignored; there for scikit-learn.
        sample_weight
            How many rows each row stands for; a row of weight 0 only gets a label.

        Returns
        -------
        KMeans
            The fitted estimator itself.

        Raises
        ------
        DataError
            If weights are no numbers of 0 or more.
        ParameterError
            If a parameter is out of bounds, as more clusters than distinct rows.
        ValueError
            If the table is empty or has missing or infinite values.
        """
        check_number(self.n_clusters, "n_clusters", ge=1, integer=True)
        if self.n_init != "auto":
            check_number(self.n_init, "n_init", ge=1, integer=True)
        check_number(self.max_iter, "max_iter", ge=1, integer=True)
        check_number(self.tol, "tol", ge=0)
        matrix = validate_data(self, X, dtype=np.float64)
        rows, weights = _together(matrix, read_weights(sample_weight, len(matrix)))
        check_distinct(self.n_clusters, len(rows), name="n_clusters")
        rng = np.random.default_rng(self.random_state)
        best = min(self._from_starts(rows, weights, rng), key=lambda found: found[0])
        middle = np.average(rows, axis=0, weights=weights)
        self.cluster_centers_, self.n_iter_ = best[1] + middle, best[2]
        squares = cdist(matrix, self.cluster_centers_, "sqeuclidean")
        self.labels_ = first_nearest(squares)
        self.inertia_ = float(read_weights(sample_weight, len(matrix)) @ squares.min(axis=1))
        return self

    def _from_starts(
        self, rows: Matrix, weights: Matrix, rng: np.random.Generator
    ) -> list[tuple[float, Matrix, int]]:
        """Return the sum of squares, the centres (centred) and the iterations of every start."""
        n, k = len(rows), int(self.n_clusters)
        starts = min(max(15_000 // n, 10), 50) if self.n_init == "auto" else int(self.n_init)
        uniforms = rng.random((starts, k, trials(k)))
        centred = rows - np.average(rows, axis=0, weights=weights)
        XT = np.ascontiguousarray(centred.T)
        single = XT.astype(np.float32)
        tolerance = self.tol * float(np.average(centred**2, axis=0, weights=weights).mean())
        passes = 50 if n <= EXCHANGE_UP_TO else 0

        def start(place: int) -> Any:
            given = (int(self.max_iter), tolerance, passes)
            return descend(XT, single, weights, uniforms[place], *given)

        if rows.size * k < LARGE:
            return [start(place) for place in range(starts)]
        with ThreadPoolExecutor(cpu_count()) as pool:
            return list(pool.map(start, range(starts)))

    def predict(self, X: ArrayLike) -> NDArray[np.integer]:
        """Return the nearest mean of each row, the first of equal ones.

        Parameters
        ----------
        X
            Rows x variables.

        Returns
        -------
        numpy.ndarray
            Whole numbers from 0.
        """
        return first_nearest(self._squares(X))

    def transform(self, X: ArrayLike) -> Matrix:
        """Return the distance of each row from each mean.

        Parameters
        ----------
        X
            Rows x variables.

        Returns
        -------
        numpy.ndarray
            Rows x clusters.
        """
        return np.sqrt(self._squares(X))

    def _squares(self, X: ArrayLike) -> Matrix:
        check_is_fitted(self)
        matrix = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(cdist(matrix, self.cluster_centers_, "sqeuclidean"))

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)


def _together(matrix: Matrix, weights: Matrix) -> tuple[Matrix, Matrix]:
    """Return the distinct rows of positive weight, sorted by their values, and their weights."""
    used = np.flatnonzero(weights > 0)
    order = used[np.lexsort(matrix[used].T[::-1])]
    rows = matrix[order]
    first = np.flatnonzero(np.append(True, (rows[1:] != rows[:-1]).any(axis=1)))
    return rows[first], np.add.reduceat(weights[order], first)
