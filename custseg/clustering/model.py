"""A segmentation: variables, an encoder, an algorithm, and segments with lasting names."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from custseg.clustering._inputs import (
    apply_encoder,
    check_customers,
    check_distinct,
    count_distinct,
    fit_encoder,
)
from custseg.clustering._naming import as_codes, as_segments, canonical_order, segment_names
from custseg.clustering._provenance import provenance
from custseg.clustering.algorithms import (
    ENCODERS,
    algorithm_name,
    as_seed,
    make_estimator,
    predicted,
    prepare,
    stated_kinds,
    takes,
    training_labels,
)
from custseg.clustering.warehouse import assign_in
from custseg.errors import DataError, check_columns
from custseg.features.dictionary import Dictionary
from custseg.features.encoder import numeric_matrix
from custseg.results import format_frame


class SegmentationModel(ClusterMixin, BaseEstimator):
    """Divide customers into segments with names that do not switch between runs.

    Customers are sorted by their id before the fit, which runs on one thread: the order of the
    rows and the number of threads do not change the segments. They are called "A", "B", … by the
    mean of `order_by`, highest first, or by decreasing size.

    Parameters
    ----------
    algorithm
        A name of ``custseg.clustering.ALGORITHMS``, or an instance of a scikit-learn clusterer
        (it is cloned; its random state is set where it is ``None``).
    n_segments
        The number of segments; may be ``None`` where the clusterer has its own.
    variables
        The columns to segment by; ``None`` takes every numeric and boolean column.
    encoder
        ``"auto"`` for what the algorithm takes: `custseg.features.Encoder` for those that take
        numbers, `custseg.features.MixedEncoder` for those that take categories; ``None`` to take
        the numbers as they are; or a scikit-learn transformer.
    dictionary
        What the columns are, for the encoder that ``"auto"`` stands for: column to kind, or what
        `custseg.features.describe_columns` returns; what it does not say is inferred from types.
    order_by
        A numeric column of the customer table whose mean orders the segments, highest first;
        ``None`` orders them by decreasing size. Ties are broken by the centres.
    random_state
        A seed; the same seed gives the same segments.

    Attributes
    ----------
    segments_ : pandas.Series
        The segment of each customer, ordered categorical, on the index that `fit` was given;
        ``<NA>`` for a customer whom the algorithm calls noise.
    sizes_ : pandas.DataFrame
        One row per segment: ``n`` customers and their ``share`` of all.
    centers_ : pandas.DataFrame
        One row per segment: the mean of each numeric variable over its members, in the units of
        the customer table (not the logarithms in which the distances were taken).
    labels_ : numpy.ndarray
        The position of each customer's segment in canonical order, -1 for noise.
    variables_ : list of str
        The columns that were used.
    encoder_, estimator_
        The fitted encoder (or ``None``) and the fitted clusterer.
    provenance_ : dict
        What the segments rest on: the number of ``customers``, a ``fingerprint`` of their values,
        ``as_of`` and the ``features`` in the words of the dictionary, where the table carries them.

    Examples
    --------
    >>> customers = pd.DataFrame(
    ...     {"recency": [5, 300, 8, 310, 4], "monetary": [90, 5, 80, 6, 99]},
    ...     index=pd.Index(["Ada", "Ben", "Cem", "Dee", "Eve"], name="customer_id"),
    ... )
    >>> model = SegmentationModel("kmeans", n_segments=2, order_by="monetary", random_state=0)
    >>> model.fit(customers).segments_.to_dict()
    {'Ada': 'A', 'Ben': 'B', 'Cem': 'A', 'Dee': 'B', 'Eve': 'A'}
    >>> model
    SegmentationModel: kmeans found 2 segments of 5 customers by 2 variables, ordered by monetary
    <BLANKLINE>
            n  share recency monetary
    segment
    A       3  0.600    5.67     89.7
    B       2  0.400     305     5.50
    """

    def __init__(
        self,
        algorithm: Any = "kmeans",
        *,
        n_segments: int | None = None,
        variables: Sequence[str] | None = None,
        encoder: Any = "auto",
        dictionary: Dictionary | None = None,
        order_by: str | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.algorithm = algorithm
        self.n_segments = n_segments
        self.variables = variables
        self.encoder = encoder
        self.dictionary = dictionary
        self.order_by = order_by
        self.random_state = random_state

    def fit(self, customers: pd.DataFrame, y: object = None) -> "SegmentationModel":  # noqa: ARG002
        """Find the segments.

        Parameters
        ----------
        customers
            One row per customer, the customer id as its unique index, with the variables and the
            column of `order_by`.
        y
            Ignored; there for scikit-learn.

        Returns
        -------
        SegmentationModel
            The fitted model itself.

        Raises
        ------
        ColumnError
            If a variable or `order_by` is not a column.
        DataError
            If the table is empty, ids are not unique, a number is missing or infinite, text
            stands where a number belongs, or all customers are identical.
        ParameterError
            If a parameter is out of bounds, such as more segments than distinct customers.
        """
        seed = as_seed(self.random_state)
        estimator = make_estimator(self.algorithm, self.n_segments, seed)
        form = takes(estimator)
        automatic = isinstance(self.encoder, str) and self.encoder == "auto"
        frame, names = check_customers(
            customers, self.variables, categories=automatic and form not in ("numbers", "raw")
        )
        order_by = None
        if self.order_by is not None:
            check_columns(frame.columns, [self.order_by], where="the customer table")
            order_by = numeric_matrix(frame[[self.order_by]])[:, 0]
        known = stated_kinds(estimator, names) if self.dictionary is None else self.dictionary
        encoder, matrix = fit_encoder(
            frame[names], ENCODERS[form](known) if automatic else self.encoder
        )
        prepare(self.algorithm, estimator, encoder, len(frame))
        distinct = count_distinct(matrix, names)
        if self.n_segments is not None:
            check_distinct(self.n_segments, distinct)

        with threadpool_limits(limits=1):
            self.estimator_ = estimator.fit(matrix)
            labels = training_labels(self.estimator_, matrix)
        self.encoder_ = encoder
        self.variables_ = names
        self.n_features_in_ = len(names)
        self.provenance_ = provenance(frame[names], getattr(encoder, "dictionary", known))
        self._order = canonical_order(labels, matrix, order_by)
        if not len(self._order):
            raise DataError(
                f"{algorithm_name(self.algorithm)} called all {len(frame):,} customers noise. "
                "Loosen its parameters, such as the distance within which it looks for neighbours."
            )
        codes = as_codes(labels, self._order)
        segments = as_segments(codes, segment_names(len(self._order)), frame.index)
        self._describe(frame[names], segments)
        self.segments_ = segments.reindex(customers.index.rename("customer_id"))
        self.labels_ = self.segments_.cat.codes.to_numpy(dtype=int)
        return self

    def _describe(self, frame: pd.DataFrame, segments: pd.Series) -> None:
        sizes = segments.value_counts(sort=False)
        self.sizes_ = pd.DataFrame({"n": sizes, "share": sizes / len(segments)})
        self.sizes_.index.name = "segment"
        numbers = frame.select_dtypes(["number", "bool"]).astype(float)
        self.centers_ = numbers.groupby(segments.array, observed=False).mean()
        self.centers_.index.name = "segment"

    def predict(self, customers: pd.DataFrame) -> pd.Series:
        """Assign customers to the segments that were found.

        Parameters
        ----------
        customers
            One row per customer, the customer id as its unique index, with the variables.

        Returns
        -------
        pandas.Series
            The segment of each customer, like `segments_`. k-means assigns to the nearest centre
            in the encoded space; other algorithms by their own rule.

        Raises
        ------
        ColumnError, DataError
            As `fit` does.
        ParameterError
            If the algorithm has no rule for new customers.
        """
        check_is_fitted(self)
        frame, names = check_customers(customers, self.variables_)
        matrix = apply_encoder(frame[names], self.encoder_)
        with threadpool_limits(limits=1):
            codes = as_codes(predicted(self.estimator_, matrix), self._order)
        segments = as_segments(codes, segment_names(len(self._order)), frame.index)
        return segments.reindex(customers.index.rename("customer_id"))

    def assign_in(self, table: Any, *, customer_id: str = "customer_id") -> Any:
        """Assign customers where they live, without fetching them.

        The encoder and the rule of the algorithm become one query of the table's own engine, with
        the segments that `predict` gives, ties included.

        Parameters
        ----------
        table
            One row per customer: a PySpark frame, an Ibis table, a DuckDB relation, a pandas,
            Polars or PyArrow table, or the path of a CSV or Parquet file, with the variables.
        customer_id
            The column that names customers. Rows are assigned each by itself, so ids may repeat.

        Returns
        -------
        table of the same kind
            ``customer_id``; the ``segment``, missing for noise and where `predict` would refuse
            the customer; and why it would, as ``problem``, such as "monetary is missing". Frames
            of Spark, Ibis and DuckDB (also for paths) are lazy: nothing ran yet.

        Raises
        ------
        ColumnError
            If the table lacks a variable or the id.
        DataError
            If a column is of another type than in the fit.
        ParameterError
            If the encoder or the algorithm has no such form; the message names what has.

        Examples
        --------
        >>> import duckdb
        >>> customers = pd.DataFrame({"monetary": [90.0, 5.0, 80.0, 6.0]}, index=[1, 2, 3, 4])
        >>> model = SegmentationModel(n_segments=2, order_by="monetary", random_state=0)
        >>> there = duckdb.sql("FROM (VALUES (7, 88.0), (8, 4.0), (9, NULL)) AS t(id, monetary)")
        >>> model.fit(customers).assign_in(there, customer_id="id").fetchall()
        [(7, 'A', None), (8, 'B', None), (9, None, 'monetary is missing')]
        """
        check_is_fitted(self)
        names = segment_names(len(self._order))
        return assign_in(
            table,
            encoder=self.encoder_,
            estimator=self.estimator_,
            variables=self.variables_,
            names=dict(zip(self._order.tolist(), names, strict=True)),
            customer_id=customer_id,
        )

    def save(
        self,
        path: str | Path,
        *,
        as_of: Any = None,
        evidence: Any = None,
        include_segments: bool = False,
    ) -> None:
        """Store the model in a file, without pickle, for `custseg.load_model`.

        The file has a manifest in JSON: versions, the roles of the columns, the features and their
        definitions, `as_of`, the sizes of the segments, a fingerprint of the data, the evidence.
        ``custseg.clustering.read_manifest`` shows it.

        Parameters
        ----------
        path
            The file, replaced if it exists.
        as_of
            The day up to which the customer table holds; ``None`` for the one it carried.
        evidence
            A result that speaks for the segmentation, such as what `compare_segmentations`
            returned: its table, words and notes go into the manifest.
        include_segments
            Whether the ids of the customers of the fit and their segments go into the file too.
            Without them nothing in it is about a single customer, save that medoids are customers,
            without their ids.

        Raises
        ------
        MissingFileError
            If the folder does not exist.
        ParameterError
            If `evidence` is no result, or the clusterer cannot be stored without pickle.
        """
        from custseg.clustering.storage import save_model  # which rebuilds models of this class

        check_is_fitted(self)
        save_model(self, path, as_of=as_of, evidence=evidence, include_segments=include_segments)

    def __getattr__(self, name: str) -> Any:
        if name in ("segments_", "labels_") and "provenance_" in vars(self):
            raise AttributeError(
                f"the model was stored without the {name} of its customers. Call predict with "
                "them, or store it with include_segments=True."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def summary(self) -> str:
        """Return in one sentence what was found."""
        check_is_fitted(self)
        n_segments, n = len(self.sizes_), self.provenance_["customers"]
        noise = n - int(self.sizes_["n"].sum())
        parts = [f"{algorithm_name(self.algorithm)} found {n_segments} segments of {n:,} customers"]
        parts[0] += f" by {len(self.variables_)} variables"
        parts += [f"{noise:,} customers are in none"] * bool(noise)
        parts += [f"ordered by {self.order_by or 'size'}"]
        return ", ".join(parts)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "sizes_"):
            return str(super().__repr__(N_CHAR_MAX=N_CHAR_MAX))
        return f"SegmentationModel: {self.summary()}\n\n{self._shown().to_string(max_rows=40)}"

    def _shown(self) -> pd.DataFrame:
        return format_frame(pd.concat([self.sizes_, self.centers_], axis=1))

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        bundle = {"text/plain": repr(self)}
        if hasattr(self, "sizes_"):
            head = f"<p><b>SegmentationModel</b>: {escape(self.summary())}</p>"
            bundle["text/html"] = head + self._shown().to_html(max_rows=40, border=0, escape=True)
        return bundle
