"""k-modes: segments around the most frequent answers."""

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

Matrix = NDArray[np.float64]


class KModes(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Divide rows by categories: as few values as possible that differ from the mode of a cluster.

    Every column is a category, numbers included. The dissimilarity of a row from a mode is the
    number of columns in which they differ; `fit` seeks modes with the least sum over all rows. From
    the same start, and with ``init="cao"``, the answer is that of the `kmodes` package, which
    updates modes as each row moves; a cluster that would have no row is put where the farthest row
    is, so that there are always `n_clusters`.

    A missing value neither agrees nor differs: it counts 0, and has no vote in the mode.

    Parameters
    ----------
    n_clusters
        The number of clusters, at most the number of distinct rows.
    init
        Where the search starts. ``"huang"``: every value of a mode is drawn on its own, in
        proportion to its frequency, and the nearest row taken; ``"cao"``: the row with the most
        frequent values, then rows both dense and far from those chosen, without chance;
        ``"random"``: distinct rows at random; ``"k-means++"``: rows drawn in proportion to their
        dissimilarity from those chosen, the best of a few. Or k x columns of values (whole numbers
        count the sorted levels from 0 where they are not values of the columns).
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
        The cluster of each row: the nearest mode, the first of equal ones.
    cluster_centroids_ : numpy.ndarray
        The modes, k x columns, in the values of the table; the first in sorted order of values that
        are equally frequent.
    cost_ : float
        The sum of the dissimilarities of the rows from their modes.
    n_iter_ : int
        The number of passes over the rows from the best start.
    categories_ : list of numpy.ndarray
        The sorted levels of each column.
    modes_ : numpy.ndarray
        The modes as positions in `categories_`.
    n_features_in_, feature_names_in_
        The number of columns, and their names where a frame was given.

    See Also
    --------
    KPrototypes : For numbers and categories together.

    References
    ----------
    Huang, Z. (1998). Extensions to the k-means algorithm for clustering large data sets with
    categorical values. Data Mining and Knowledge Discovery 2, 283-304.
    Cao, F., Liang, J. & Bai, L. (2009). A new initialization method for categorical data
    clustering. Expert Systems with Applications 36, 10223-10228.
    Arthur, D. & Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding. SODA.

    Examples
    --------
    >>> answers = pd.DataFrame({
    ...     "cheap": ["yes", "yes", "no", "no", None],
    ...     "tasty": ["no", "no", "yes", "yes", "yes"],
    ...     "place": ["city", "city", "city", "village", "village"],
    ... })
    >>> model = KModes(2, random_state=0).fit(answers)
    >>> model.labels_, model.cost_
    (array([0, 0, 1, 1, 1]), 1.0)
    >>> model.cluster_centroids_.tolist()
    [['yes', 'no', 'city'], ['no', 'yes', 'village']]
    >>> model.predict(pd.DataFrame({"cheap": ["very"], "tasty": ["yes"], "place": [None]}))
    array([1])
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "huang",
        n_init: int = 10,
        max_iter: int = 100,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(
        self,
        X: "pd.DataFrame | ArrayLike",
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> "KModes":
        """Find the modes.

        Parameters
        ----------
        X
            Rows x columns of text, categories, booleans or numbers, with missing values.
        y
            Ignored; there for scikit-learn.
        sample_weight
            How many rows each row stands for; a row of weight 0 only gets a label.

        Returns
        -------
        KModes
            The fitted estimator itself.

        Raises
        ------
        DataError
            If the table is empty, a row or a column has no value, a column mixes types that cannot
            be sorted, or rows differ only in what is missing.
        ParameterError
            If a parameter is out of bounds, as more clusters than distinct rows.
        """
        learn(self, X, sample_weight, every_column=True, gamma=1.0)
        return self

    def predict(self, X: "pd.DataFrame | ArrayLike") -> NDArray[np.int64]:
        """Return the nearest mode of each row, the first of equal ones.

        Parameters
        ----------
        X
            Rows x the columns of `fit`. A value that `fit` did not see differs from every mode.

        Returns
        -------
        numpy.ndarray
            Whole numbers from 0.

        Raises
        ------
        DataError
            If a row has no value in any column.
        """
        return measure(self, X).argmin(axis=0)

    def transform(self, X: "pd.DataFrame | ArrayLike") -> Matrix:
        """Return the number of columns in which each row differs from each mode.

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
        return len(self.modes_)

    def __sklearn_tags__(self) -> Tags:
        return tag(super().__sklearn_tags__())
