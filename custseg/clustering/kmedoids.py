"""k-medoids: segments around customers who stand for the others, by any dissimilarity."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from custseg.clustering._columns import open_table
from custseg.clustering._medoid_search import Medoids, sample_size, search, search_samples
from custseg.clustering._spaces import (
    METRICS,
    GowerSpace,
    Space,
    distinct_rows,
    learn_space,
    nearest,
)
from custseg.clustering._squares import open_square, read_square, whole_square
from custseg.clustering._weights import read_weights
from custseg.clustering.algorithms import as_seed
from custseg.errors import DataError, ParameterError, check_number, check_option
from custseg.features.dictionary import Dictionary
from custseg.results import format_number

Matrix = NDArray[np.float64]
Places = NDArray[np.int64]


class KMedoids(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Divide rows into segments around medoids: rows to which the others are least unlike.

    `fit` seeks the `n_clusters` rows with the least sum of dissimilarities from every row to the
    nearest of them. FasterPAM swaps a medoid for another row while that lowers the sum. Each of
    `n_init` starts draws its rows in proportion to how unlike they are from those drawn before, and
    takes the best of a few. Then the medoids that the starts found are combined (heuristic
    concentration), and the best combination is swapped on. No single swap lowers the sum of what
    comes out, save where `notes_` say so.

    Equal rows count as one row with the sum of their weights.

    Parameters
    ----------
    n_clusters
        The number of segments, at most the number of distinct rows.
    metric
        ``"precomputed"``: `X` is the square of dissimilarities, ``X[i, j]`` saying how unlike row
        `i` is from medoid `j`; it need not be symmetric. ``"gower"``: mixed kinds, missing values
        by available cases, see `custseg.features.gower`. Or a metric of
        ``sklearn.metrics.pairwise_distances`` by name, for numbers without missing values
        (``"nan_euclidean"`` takes them); numbers other than 0 are true to metrics of booleans.
    n_init
        The number of starts.
    max_iter
        The most passes over the rows from a start.
    exact_up_to
        With more distinct rows than this, no square of all rows is made: medoids are sought in
        `n_init` samples. See Notes.
    metric_params
        Further parameters of the metric, such as ``{"p": 1.5}`` for ``"minkowski"`` or
        ``{"weights": {"age": 2}}`` for ``"gower"``.
    dictionary
        For ``"gower"``: what the columns are, column to kind, or what `describe_columns` returns;
        the columns of an array are called x0, x1, ….
    random_state
        A seed: the same rows with the same seed give the same answer, for any number of threads,
        and but for ``"precomputed"`` in any order.

    Attributes
    ----------
    labels_ : numpy.ndarray
        The segment of each row: the nearest medoid, the first of equally near ones.
    inertia_ : float
        The sum of the weighted dissimilarities of the rows from their medoids.
    medoid_indices_ : numpy.ndarray
        The positions of the medoids among the rows: increasing for ``"precomputed"``, else in the
        order of the values of the medoids.
    cluster_centers_ : pandas.DataFrame or numpy.ndarray
        The medoids themselves, as they were given; ``None`` for ``"precomputed"``.
    space_, medoids_
        How rows are compared, such as the range and the levels of each variable, and the medoids as
        they are compared; not for ``"precomputed"``.
    n_iter_ : int
        The number of passes over the rows from the best start.
    notes_ : tuple of str
        What to know: kinds that nobody stated, samples, a search that was stopped.
    n_features_in_, feature_names_in_
        The number of columns, and their names where a frame was given.

    Notes
    -----
    A square that is given as an array of single or double precision, row after row, is not copied.
    From a table the square of n distinct rows is computed in single precision: 4 n² bytes, 400 MB
    for 10,000 rows. `labels_`, `inertia_` and `predict` are computed from the medoids in double
    precision.

    With more than `exact_up_to` distinct rows, each start searches a sample of 4,000 rows (100 per
    medoid if that is more); the best combination of all medoids found is chosen for all rows, and
    medoids are swapped for rows close to them while the sum over all rows falls. That takes less
    memory than the square of `exact_up_to` rows: with very many rows, a sample of them stands for
    all in the sums. In trials with 20,000 rows the sum was at most 0.2% above that of the square.

    See Also
    --------
    KPrototypes : Mixed kinds around means and modes: faster, with centres that nobody has.

    References
    ----------
    Kaufman, L. & Rousseeuw, P. J. (1990). Finding Groups in Data. Wiley, chapters 2 and 3.
    Schubert, E. & Rousseeuw, P. J. (2021). Fast and eager k-medoids clustering: O(k) runtime
    improvement of the PAM, CLARA, and CLARANS algorithms. Information Systems 101, 101804.
    Rosing, K. E. & ReVelle, C. S. (1997). Heuristic concentration: Two stage solution construction.
    European Journal of Operational Research 97, 75-86.

    Examples
    --------
    >>> customers = pd.DataFrame({
    ...     "age": [23, 26, 25, 61, 66, 64],
    ...     "region": ["North", "North", None, "West", "West", "South"],
    ... })
    >>> kinds = {"age": "numeric", "region": "nominal"}
    >>> model = KMedoids(2, metric="gower", dictionary=kinds, random_state=0).fit(customers)
    >>> model
    KMedoids: 2 medoids of 6 rows by gower, sum of dissimilarities 0.640
    >>> model.labels_, model.medoid_indices_
    (array([0, 0, 0, 1, 1, 1]), array([1, 4]))
    >>> model.cluster_centers_
       age region
    1   26  North
    4   66   West
    >>> model.predict(pd.DataFrame({"age": [70, None], "region": ["North", "South"]}))
    array([0, 0])
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        metric: str = "precomputed",
        n_init: int = 10,
        max_iter: int = 100,
        exact_up_to: int = 10_000,
        metric_params: Mapping[str, Any] | None = None,
        dictionary: Dictionary | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.metric = metric
        self.n_init = n_init
        self.max_iter = max_iter
        self.exact_up_to = exact_up_to
        self.metric_params = metric_params
        self.dictionary = dictionary
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = tags.input_tags.positive_only = self.metric == "precomputed"
        tags.input_tags.allow_nan = self.metric in ("gower", "nan_euclidean")
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(
        self,
        X: "pd.DataFrame | ArrayLike",
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> "KMedoids":
        """Find the medoids.

        Parameters
        ----------
        X
            Rows x columns; rows x rows of dissimilarities for ``"precomputed"``.
        y
            Ignored; there for scikit-learn.
        sample_weight
            How many rows each row stands for; a row of weight 0 only gets a label.

        Returns
        -------
        KMedoids
            The fitted estimator itself.

        Raises
        ------
        DataError
            If the table is empty or holds what the metric cannot compare: missing or infinite
            values, text where numbers belong; if two rows have no dissimilarity, such as rows
            without a common variable; if a square is not one, or has missing or negative values; or
            if fewer segments than asked can be told apart.
        ParameterError
            If a parameter is out of bounds, as more segments than distinct rows.
        """
        self._check_parameters()
        rng = np.random.default_rng(as_seed(self.random_state))
        fit = self._fit_square if self.metric == "precomputed" else self._fit_table
        with threadpool_limits(limits=1):
            found, notes = fit(X, sample_weight, rng)
        empty = np.flatnonzero(np.bincount(self.labels_, minlength=self.n_clusters) == 0)
        if len(empty):
            raise DataError(
                f"n_clusters is {self.n_clusters}, but only {self.n_clusters - len(empty)} "
                "segments can be told apart: the other medoids are at dissimilarity 0 from these. "
                "Ask for fewer."
            )
        if not found.converged:
            stopped = f"the search was stopped after {self.max_iter:,} passes, when swaps still "
            notes = (*notes, stopped + "lowered the sum; max_iter= allows more.")
        self.n_iter_ = int(np.ceil(found.n_iter))
        self.notes_ = notes
        return self

    def _check_parameters(self) -> None:
        for name in ("n_clusters", "n_init", "max_iter"):
            check_number(getattr(self, name), name, ge=1, integer=True)
        check_number(self.exact_up_to, "exact_up_to", ge=2 * self.n_clusters, integer=True)
        check_option(self.metric, "metric", METRICS)

    def _check_clusters(self, distinct: int) -> None:
        if self.n_clusters > distinct:
            raise ParameterError(
                f"n_clusters is {self.n_clusters:,}, but must be at most {distinct:,}: there are "
                f"only {distinct:,} distinct rows."
            )

    def _fit_square(
        self, X: Any, sample_weight: ArrayLike | None, rng: np.random.Generator
    ) -> tuple[Medoids, tuple[str, ...]]:
        square = open_square(self, X)
        weights = read_weights(sample_weight, len(square))
        twins = read_square(square)
        self._check_clusters(len(np.unique(twins[weights > 0])))
        found = search(
            square,
            weights,
            self.n_clusters,
            n_init=self.n_init,
            max_iter=self.max_iter,
            rng=rng,
        )
        self.medoid_indices_ = np.sort(found.places)
        self.cluster_centers_ = None
        apart = square[:, self.medoid_indices_]
        self.labels_ = apart.argmin(axis=1)
        self.inertia_ = float(weights @ apart.min(axis=1).astype(float))
        return found, ()

    def _fit_table(
        self, X: Any, sample_weight: ArrayLike | None, rng: np.random.Generator
    ) -> tuple[Medoids, tuple[str, ...]]:
        frame = open_table(self, X, reset=True).infer_objects()
        weights = read_weights(sample_weight, len(frame))
        known = np.flatnonzero(weights > 0)
        space = learn_space(
            self.metric,
            frame.iloc[known],
            weights[known],
            dictionary=self.dictionary,
            metric_params=self.metric_params,
        )
        rows = space.read(frame)
        first, mass = distinct_rows(space, space.take(rows, known), weights[known])
        first = known[first]
        self._check_clusters(len(first))
        notes = _inferred(space)
        if len(first) > self.exact_up_to:
            found = search_samples(
                space,
                space.take(rows, first),
                mass,
                self.n_clusters,
                exact_up_to=self.exact_up_to,
                n_init=self.n_init,
                max_iter=self.max_iter,
                rng=rng,
            )
            size = sample_size(self.n_clusters, self.exact_up_to)
            sampled = f"medoids were sought in {self.n_init:,} samples of {size:,} of "
            sampled += f"{len(first):,} distinct rows, combined, and moved to better rows nearby; "
            notes = (*notes, sampled + "exact_up_to= compares all rows.")
        else:
            square = whole_square(space, space.take(rows, first))
            found = search(
                square, mass, self.n_clusters, n_init=self.n_init, max_iter=self.max_iter, rng=rng
            )
        self.space_ = space
        self.medoid_indices_ = first[np.sort(found.places)]
        centers = frame.iloc[self.medoid_indices_]
        self.cluster_centers_ = centers if isinstance(X, pd.DataFrame) else centers.to_numpy()
        self.medoids_ = space.take(rows, self.medoid_indices_)
        self.labels_, distances = nearest(space, rows, self.medoids_)
        self.inertia_ = float(weights @ distances)
        return found, notes

    def predict(self, X: "pd.DataFrame | ArrayLike") -> Places:
        """Return the segment of new rows: the nearest medoid, the first of equally near ones.

        Parameters
        ----------
        X
            Rows x columns as in `fit`; for ``"precomputed"`` the dissimilarities of rows (first)
            from medoids, or from all rows of the fit.

        Returns
        -------
        numpy.ndarray
            A whole number from 0 to ``n_clusters - 1`` per row.

        Raises
        ------
        DataError
            As in `fit`; and if a row has nothing in common with any medoid.
        """
        check_is_fitted(self)
        if self.metric == "precomputed":
            return self._given(X).argmin(axis=1)
        rows = self.space_.read(open_table(self, X, reset=False).infer_objects())
        with threadpool_limits(limits=1):
            return nearest(self.space_, rows, self.medoids_)[0]

    def transform(self, X: "pd.DataFrame | ArrayLike") -> Matrix:
        """Return the dissimilarities of rows from the medoids.

        Parameters
        ----------
        X
            As in `predict`.

        Returns
        -------
        numpy.ndarray
            Rows x medoids; NaN for a row that has nothing in common with a medoid.
        """
        check_is_fitted(self)
        if self.metric == "precomputed":
            return self._given(X).astype(float)
        rows = self.space_.read(open_table(self, X, reset=False).infer_objects())
        with threadpool_limits(limits=1):
            return self.space_.apart(rows, self.medoids_)

    def _given(self, X: Any) -> NDArray[np.floating]:
        """Return the dissimilarities of rows from the medoids that are in a square."""
        square = open_square(self, X, n_medoids=self.n_clusters)
        apart = square if square.shape[1] == self.n_clusters else square[:, self.medoid_indices_]
        if np.isnan(apart).any():
            raise DataError(
                f"X has {int(np.isnan(apart).sum()):,} missing (NaN) dissimilarities from medoids."
            )
        return apart

    @property
    def _n_features_out(self) -> int:
        return len(self.medoid_indices_)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "labels_"):
            return str(super().__repr__(N_CHAR_MAX=N_CHAR_MAX))
        found = (
            f"KMedoids: {self.n_clusters} medoids of {len(self.labels_):,} rows by {self.metric}, "
            f"sum of dissimilarities {format_number(self.inertia_)}"
        )
        return "\n".join([found, *(f"note: {note}" for note in self.notes_)])


def _inferred(space: Space) -> tuple[str, ...]:
    """Return what is to be said of kinds that nobody stated."""
    if not isinstance(space, GowerSpace):
        return ()
    names = [str(one.name) for one in space.comparisons if not one.given]
    if not names:
        return ()
    shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    return (f"the kind of {shown} was inferred from the values; dictionary= states it.",)
