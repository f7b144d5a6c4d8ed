"""k-prototypes: segments around means of numbers and modes of categories."""

from collections.abc import Sequence
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

from custseg.clustering._learn import learn, measure, tag
from custseg.errors import check_number

Matrix = NDArray[np.float64]


class KPrototypes(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Divide rows by numbers and categories together, around means and modes.

    The dissimilarity of a row from a prototype is the squared distance of the numbers plus `gamma`
    times the number of categories that differ; `fit` seeks prototypes with the least sum over all
    rows. The numbers are taken as they are: standardise them, or the one with the largest unit
    decides. From the same start the answer is that of the `kmodes` package, which updates
    prototypes as each row moves; a cluster that would have no row is put where the farthest row
    is, so that there are always `n_clusters`.

    A missing value counts 0, and has no part in the mean or the mode.

    Parameters
    ----------
    n_clusters
        The number of clusters, at most the number of distinct rows.
    categorical
        Names or positions of the categorical columns; ``None`` takes text, categories and booleans
        of a frame, and no column of an array of numbers. Without any this is k-means, without a
        number k-modes.
    gamma
        What one category that differs counts, in squared units of the numbers: two rows that differ
        in one category are as far apart as two whose numbers are ``sqrt(gamma)`` apart. With 0
        categories decide nothing, and the larger it is, the less the numbers do. ``None``: half
        the mean standard deviation of the numbers (Huang 1997), about .5 for standardised numbers:
        then a category that differs counts as much as a quarter of the mean squared difference
        of two rows in one number. No gamma is right by itself: `gamma_sweep` shows what it does.
    init
        Where the search starts. ``"k-means++"``: rows drawn in proportion to their dissimilarity
        from those chosen, the best of a few; ``"huang"``: every value of a prototype is drawn on
        its own from its column, and the nearest row taken; ``"cao"``: a dense row, then rows both
        dense and far from those chosen, without chance; ``"random"``: distinct rows at random. Or
        prototypes: k x columns, or a pair of k x numeric and k x categorical columns, of values
        (whole numbers count the sorted levels from 0 where they are not values of the columns).
    n_init
        The number of starts, of which the one with the least cost counts; one is enough where
        nothing is left to chance.
    max_iter
        The most passes over the rows from a start.
    random_state
        A seed; the same rows in the same order with the same seed give the same answer.

    Attributes
    ----------
    labels_ : numpy.ndarray
        The cluster of each row: the nearest prototype, the first of equal ones.
    cluster_centroids_ : numpy.ndarray
        The prototypes, k x columns in the order of the table, in its own values.
    cost_ : float
        The sum of the dissimilarities of the rows from their prototypes.
    gamma_ : float
        The gamma that was used.
    n_iter_ : int
        The number of passes over the rows from the best start.
    categorical_ : list of int
        The positions of the categorical columns.
    categories_ : list of numpy.ndarray
        The sorted levels of each categorical column.
    means_, modes_ : numpy.ndarray
        The prototypes: k x numeric columns, and k x categorical columns as positions in
        `categories_`.
    n_features_in_, feature_names_in_
        The number of columns, and their names where a frame was given.

    See Also
    --------
    gamma_sweep : What gamma does to the clusters.
    KModes : For categories alone.

    References
    ----------
    Huang, Z. (1997). Clustering large data sets with mixed numeric and categorical values. First
    Pacific-Asia Conference on Knowledge Discovery and Data Mining, 21-34.
    Huang, Z. (1998). Extensions to the k-means algorithm for clustering large data sets with
    categorical values. Data Mining and Knowledge Discovery 2, 283-304.

    Examples
    --------
    >>> customers = pd.DataFrame({
    ...     "spend": [-1.1, -0.9, -1.0, 1.0, 1.2, None],
    ...     "visits": [-1.0, -1.2, -0.8, 0.9, 1.1, 1.0],
    ...     "channel": ["store", "store", "web", "web", "web", "web"],
    ... })
    >>> model = KPrototypes(2, random_state=0).fit(customers)
    >>> model.labels_, round(model.gamma_, 3)
    (array([1, 1, 1, 0, 0, 0]), 0.51)
    >>> pd.DataFrame(model.cluster_centroids_, columns=customers.columns)
      spend visits channel
    0   1.1    1.0     web
    1  -1.0   -1.0   store
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        categorical: "Sequence[str | int] | str | int | None" = None,
        gamma: float | None = None,
        init: Any = "k-means++",
        n_init: int = 10,
        max_iter: int = 100,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.categorical = categorical
        self.gamma = gamma
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(
        self,
        X: "pd.DataFrame | ArrayLike",
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> "KPrototypes":
        """Find the prototypes.

        Parameters
        ----------
        X
            Rows x columns, with missing values.
        y
            Ignored; there for scikit-learn.
        sample_weight
            How many rows each row stands for; a row of weight 0 only gets a label.

        Returns
        -------
        KPrototypes
            The fitted estimator itself.

        Raises
        ------
        ColumnError
            If `categorical` names no column.
        DataError
            If the table is empty, a row or a column has no value, a numeric column holds text,
            dates or infinite values, or rows differ only in what does not count.
        ParameterError
            If a parameter is out of bounds, as more clusters than distinct rows.
        """
        if self.gamma is not None:
            check_number(self.gamma, "gamma", ge=0)
        learn(self, X, sample_weight, categorical=self.categorical, gamma=self.gamma)
        return self

    def predict(self, X: "pd.DataFrame | ArrayLike") -> NDArray[np.int64]:
        """Return the nearest prototype of each row, the first of equal ones.

        Parameters
        ----------
        X
            Rows x the columns of `fit`. A category that `fit` did not see differs from every mode.

        Returns
        -------
        numpy.ndarray
            Whole numbers from 0.

        Raises
        ------
        DataError
            If a row has no value in any column, or a number is infinite.
        """
        return measure(self, X).argmin(axis=0)

    def transform(self, X: "pd.DataFrame | ArrayLike") -> Matrix:
        """Return the dissimilarity of each row from each prototype.

        Parameters
        ----------
        X
            As in `predict`.

        Returns
        -------
        numpy.ndarray
            Rows x clusters.
        """
        return measure(self, X).T

    @property
    def _n_features_out(self) -> int:
        return len(self.means_)

    def __sklearn_tags__(self) -> Tags:
        return tag(super().__sklearn_tags__())
