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

from custseg.clustering._describing import centers_of, sizes_of
from custseg.clustering._fitting import fit_labels, notes_of, shortfall
from custseg.clustering._inputs import check_customers
from custseg.clustering._naming import (
    as_codes,
    as_segments,
    canonical_order,
    changed_names,
    segment_names,
)
from custseg.clustering._provenance import provenance
from custseg.clustering._reading import (
    Reading,
    read_customers,
    read_new,
    read_rows_of_square,
    takes_square,
)
from custseg.clustering.algorithms import algorithm_name, as_seed, make_estimator
from custseg.clustering.assignment import learn_assignment, n_labels, new_levels, table_of
from custseg.clustering.warehouse import assign_in
from custseg.features.dictionary import Dictionary
from custseg.results import format_frame


class SegmentationModel(ClusterMixin, BaseEstimator):
    """Divide customers into segments with names that do not switch between runs.

    Customers are sorted by their id before the fit, which runs on one thread: the order of the
    rows and the number of threads do not change the segments. They are called "A", "B", … by the
    mean of `order_by`, highest first, or by decreasing size; `rename` gives them names of your own.

    Parameters
    ----------
    algorithm
        A name of ``custseg.clustering.ALGORITHMS``, or an instance of a scikit-learn clusterer or
        pipeline (it is cloned; its random state is set where it is ``None``). With
        ``metric="precomputed"``, the table holds dissimilarities between customers, the same ids as
        index and as columns.
    n_segments
        The number of segments; may be ``None`` where the clusterer has its own.
    variables
        The columns to segment by; ``None`` takes every numeric and boolean column, for an algorithm
        that takes categories also text and categories.
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
        A seed; the same seed gives the same segments. ``None`` takes another one each time.

    Attributes
    ----------
    segments_ : pandas.Series
        The segment of each customer, ordered categorical, on the index that `fit` was given;
        ``<NA>`` for a customer whom the algorithm calls noise.
    names_ : list of str
        The names of the segments, in canonical order.
    sizes_ : pandas.DataFrame
        One row per segment: ``n`` customers and their ``share`` of all. A segment may be empty
        where the algorithm could still assign new customers to it.
    noise_share_ : float
        The share of customers in no segment.
    centers_ : pandas.DataFrame
        One row per segment: the mean of each numeric variable over its members, in the units of
        the customer table (not the logarithms in which the distances were taken), and the most
        frequent level of each other one, the first in order of equally frequent levels.
    labels_ : numpy.ndarray
        The position of each customer's segment in canonical order, -1 for noise.
    predict_fidelity_ : float
        The share of these customers whose `predict` equals their segment; 1 where the algorithm
        has a rule for new customers.
    medoids_ : pandas.Series
        By segment the id of its medoid, for a model of dissimilarities.
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
    <BLANKLINE>
    note: the kind of recency, monetary was inferred from the type; \
SegmentationModel(dictionary=...) states it.
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
        random_state: int | np.random.Generator | None = 0,
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
        reading = read_customers(
            customers,
            self.algorithm,
            estimator,
            n_segments=self.n_segments,
            variables=self.variables,
            encoder=self.encoder,
            dictionary=self.dictionary,
            order_by=self.order_by,
        )
        self._square = takes_square(estimator)
        labels, said = fit_labels(
            algorithm_name(self.algorithm), estimator, reading.data, square=self._square
        )
        self.estimator_ = estimator
        self.encoder_, self.variables_ = reading.encoder, list(reading.frame.columns)
        self.n_features_in_ = len(self.variables_)
        self.provenance_ = provenance(reading.frame, reading.dictionary)
        self._order = canonical_order(
            labels, reading.matrix, reading.order_by, n_labels=n_labels(estimator, labels)
        )
        codes = as_codes(labels, self._order)
        self._assignment = learn_assignment(
            estimator, reading.data, codes, self._order, square=self._square
        )
        self.names_ = self._first_names()
        self._settle(reading, codes, said, customers.index)
        return self

    def _first_names(self) -> list[str]:
        """Return the names that the algorithm gives to its segments, else A, B, ..."""
        given = getattr(self.estimator_, "segment_names_", None)
        return segment_names(len(self._order)) if given is None else [given[i] for i in self._order]

    def _settle(self, reading: Reading, codes: Any, said: tuple[str, ...], index: pd.Index) -> None:
        """Describe what was found."""
        segments = as_segments(codes, self.names_, reading.frame.index)
        self.sizes_ = sizes_of(segments)
        self.noise_share_ = float(np.mean(codes < 0))
        kinds = getattr(self.encoder_, "kinds_", {})
        self.centers_ = centers_of(reading.frame, segments, kinds)
        self.segments_ = segments.reindex(index.rename("customer_id"))
        self.labels_ = self.segments_.cat.codes.to_numpy(dtype=int)
        data = reading.data
        if self._square:
            medoids = reading.frame.index[self._assignment.points]
            self.medoids_ = pd.Series(medoids, index=self.sizes_.index, name="customer_id")
            data = data[:, self._assignment.points]
        again = self._assignment.codes(self.estimator_, data)
        self.predict_fidelity_ = float(np.mean(again == codes))
        self._notes = (*shortfall(self.sizes_, self.n_segments, self.estimator_), *said)

    def _read_new(self, customers: pd.DataFrame) -> tuple[pd.Index, Any]:
        """Return the sorted ids of new customers, and what the clusterer takes of them."""
        check_is_fitted(self)
        if self._square:
            return read_rows_of_square(customers, self.medoids_.tolist())
        frame, names = check_customers(customers, self.variables_)
        return frame.index, read_new(frame[names], self.encoder_, self.estimator_)

    def predict(self, customers: pd.DataFrame) -> pd.Series:
        """Assign customers to the segments that were found.

        An algorithm with a rule for new customers assigns by it, a tie to the first of its labels.
        One without (Ward, average, spectral, HDBSCAN) assigns to the nearest medoid, in its own
        metric; where it called training customers noise, a customer farther from the medoid than
        any member was is noise.

        Parameters
        ----------
        customers
            One row per customer, the customer id as its unique index, with the variables. For a
            model of dissimilarities: new customers x the customers in `medoids_`.

        Returns
        -------
        pandas.Series
            The segment of each customer, like `segments_`.

        Raises
        ------
        ColumnError, DataError
            As `fit` does.
        """
        ids, data = self._read_new(customers)
        with threadpool_limits(limits=1):
            codes = self._assignment.codes(self.estimator_, data)
        segments = as_segments(codes, self.names_, ids)
        return segments.reindex(customers.index.rename("customer_id"))

    def assign(self, customers: pd.DataFrame) -> pd.DataFrame:
        """Assign customers, and tell how near each is to the segment and who is like nobody.

        Parameters
        ----------
        customers
            As in `predict`.

        Returns
        -------
        pandas.DataFrame
            By customer: ``segment``, as `predict` gives it; ``distance`` to its centre or medoid in
            the model's own metric, or the ``posterior`` probability of mixtures, latent classes and
            votes; ``margin``: for distances 1 - own / second (0 on the border, 1 at the centre),
            for posteriors the difference; ``second``, the next best segment (the nearest one for
            noise); ``unlike``, whether the customer is farther from every segment than 99.9% of its
            members, or, for mixtures and latent classes, less likely than 99.9% of all customers.
            Rules have neither distance nor margin: unlike others is who has a number beyond those
            of 99.9%. So is always who has a level that nobody had, where the algorithm takes
            categories.

        Raises
        ------
        ColumnError, DataError
            As `fit` does.

        Examples
        --------
        >>> customers = pd.DataFrame({"visits": [1.0, 2.0, 3.0, 21.0, 22.0, 23.0]})
        >>> model = SegmentationModel(n_segments=2, order_by="visits", random_state=0)
        >>> new = pd.DataFrame({"visits": [3.0, 12.5, 900.0]}, index=["Ada", "Ben", "Cem"])
        >>> model.fit(customers).assign(new).round(2)
                    segment  distance  margin second  unlike
        customer_id
        Ada               B      0.10    0.95      A   False
        Ben               A      0.95    0.10      B    True
        Cem               A     87.51    0.02      B    True
        """
        ids, data = self._read_new(customers)
        rule, estimator = self._assignment, self.estimator_
        with threadpool_limits(limits=1):
            codes, nearness = rule.codes(estimator, data), rule.nearness(estimator, data)
            unlike = rule.unlike(estimator, data) | new_levels(self.encoder_, data)
        table = table_of(codes, nearness, rule.measure, self.names_, ids).assign(unlike=unlike)
        return table.reindex(customers.index.rename("customer_id"))

    def rename(self, names: Mapping[str, str]) -> "SegmentationModel":
        """Change the names of segments, here and in all that the model returns.

        Parameters
        ----------
        names
            Name so far to new name, such as ``{"A": "Champions"}``; others stay.

        Returns
        -------
        SegmentationModel
            The model itself, with its segments in the same order.

        Raises
        ------
        ParameterError
            If a name does not exist, a new one is no text, is reserved, or would be there twice.

        Examples
        --------
        >>> customers = pd.DataFrame({"visits": [1.0, 2.0, 3.0, 21.0, 22.0]})
        >>> model = SegmentationModel(n_segments=2, random_state=0).fit(customers)
        >>> model.rename({"A": "rare", "B": "often"}).predict(customers).tolist()
        ['rare', 'rare', 'rare', 'often', 'often']
        """
        check_is_fitted(self)
        self.names_ = changed_names(self.names_, names)
        for table in ("sizes_", "centers_", "medoids_"):
            if table in vars(self):
                index = pd.CategoricalIndex(self.names_, self.names_, ordered=True, name="segment")
                setattr(self, table, getattr(self, table).set_axis(index))
        if "segments_" in vars(self):
            self.segments_ = self.segments_.cat.rename_categories(self.names_)
        return self

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
        return assign_in(
            table,
            encoder=self.encoder_,
            estimator=self.estimator_,
            assignment=self._assignment,
            variables=self.variables_,
            names=self.names_,
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
            If `as_of` is no date, `evidence` no result, or the clusterer needs pickle.
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

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before reading the segments."""
        check_is_fitted(self)
        name = algorithm_name(self.algorithm)
        others = (*self._notes, *getattr(self.estimator_, "notes_", ()))
        return notes_of(self.encoder_, name, self.predict_fidelity_, others)

    def summary(self) -> str:
        """Return in one sentence what was found."""
        check_is_fitted(self)
        n_segments, n = len(self.sizes_), self.provenance_["customers"]
        noise = n - int(self.sizes_["n"].sum())
        parts = [f"{algorithm_name(self.algorithm)} found {n_segments} segments of {n:,} customers"]
        by = f"{len(self.variables_)} variables" if self.variables_ else "their dissimilarities"
        parts[0] += f" by {by}"
        parts += [f"{noise:,} customers are in none"] * bool(noise)
        parts += [f"ordered by {self.order_by or 'size'}"]
        return ", ".join(parts)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "sizes_"):
            return str(super().__repr__(N_CHAR_MAX=N_CHAR_MAX))
        table = self._shown().to_string(max_rows=40)
        notes = "".join(f"\nnote: {note}" for note in self.notes)
        return f"SegmentationModel: {self.summary()}\n\n{table}\n{notes}".rstrip()

    def _shown(self) -> pd.DataFrame:
        return format_frame(pd.concat([self.sizes_, self.centers_], axis=1))

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        bundle = {"text/plain": repr(self)}
        if hasattr(self, "sizes_"):
            head = f"<p><b>SegmentationModel</b>: {escape(self.summary())}</p>"
            table = self._shown().to_html(max_rows=40, border=0, escape=True)
            notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
            bundle["text/html"] = head + table + (f"<ul>{notes}</ul>" if notes else "")
        return bundle
