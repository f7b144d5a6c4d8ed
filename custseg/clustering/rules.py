"""Segments by rule from recency, frequency and monetary value: named cells of their scores."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from custseg.clustering._cells import BOUNDS, ROLES, CellTable, cell_table, fill_grid
from custseg.clustering._columns import open_table
from custseg.clustering._conditions import interval_words, rule_words
from custseg.clustering._weights import read_weights
from custseg.errors import DataError, ParameterError, check_columns, check_number
from custseg.features._treatments import numbers_of
from custseg.features.encoder import as_frame
from custseg.features.scores import bin_notes, bounds_of, read_cuts
from custseg.results import format_frame

Matrix = NDArray[np.float64]
MAX_BINS = 100


class RFMRules(ClusterMixin, BaseEstimator):
    """Divide customers into named cells of recency, frequency and monetary value.

    Each of the three is scored from 1 to `bins`, the best being `bins`: the cut points are the
    smallest values at or below which 1/bins, 2/bins, ... of the customers lie, and a score counts
    the cut points that a value exceeds (recency: does not exceed), as in
    `custseg.features.rfm_scores`. Equal customers are always in the same segment, and a value
    equal to a cut point belongs below it. New customers are scored by the stored cut points.

    Parameters
    ----------
    bins
        Number of scores, from 2 to 100.
    cut_points
        For recency, frequency and monetary `bins` - 1 numbers in increasing order, such as
        ``rules.cut_points_`` of an earlier fit; ``None`` learns them.
    cells
        The segments: a frame with a row per rectangle of scores, the column ``segment`` and the
        lowest and highest score of each rectangle, both included: ``r_min``, ``r_max``, ``f_min``,
        ``f_max``, ``m_min``, ``m_max``; a pair that is left out allows every score. Several rows
        with one name are one segment. Or a sequence of cells such as
        ``custseg.features.RFM_CELLS``. Every combination of scores must be in exactly one segment.
        ``None`` takes the customary eleven, which look at recency and frequency; with `bins` other
        than 5, a score belongs to the fifth in which the middle of its bin lies.
    columns
        The names (of a frame) or positions (of an array) of recency, frequency and monetary value;
        ``None`` takes the columns of these names, or the three columns of an array in this order.
        Where money is not known, frequency may be named twice: the customary cells do not look at
        it.

    Attributes
    ----------
    labels_ : numpy.ndarray
        The position of each customer's segment in `segment_names_`.
    segment_names_ : tuple of str
        The names, in the order of `cells`.
    rules_ : pandas.DataFrame
        One row per segment: ``segment``, its ``rule`` in the units of the table, ``n`` customers
        and their ``share`` (of the weights, if there are any).
    cut_points_ : dict
        The cut points of recency, frequency and monetary, as lists.
    bounds_ : numpy.ndarray
        Three rows of what a value must exceed to lie above each cut point: the cut points and
        1e-12 of the largest, so that the noise of a sum of money decides nothing.
    cells_ : pandas.DataFrame
        The cells as a frame, with every bound.
    grid_ : numpy.ndarray
        The segment of every combination of scores: recency x frequency x monetary.
    notes_ : tuple of str
        Fewer bins than asked, and segments that nobody is in.
    n_features_in_, feature_names_in_
        The number of columns, and their names where a frame was given.

    References
    ----------
    Hughes, A. M. (1994). Strategic Database Marketing. Probus.

    Examples
    --------
    >>> customers = pd.DataFrame({
    ...     "recency": [2, 9, 30, 81, 200],
    ...     "frequency": [12, 1, 4, 7, 2],
    ...     "monetary": [640.0, 20.0, 90.0, 310.0, 35.0],
    ... })
    >>> cells = pd.DataFrame({
    ...     "segment": ["active", "lapsed, loyal", "lapsed"],
    ...     "r_min": [3, 1, 1], "r_max": [5, 2, 2],
    ...     "f_min": [1, 4, 1], "f_max": [5, 5, 3],
    ... })
    >>> rules = RFMRules(cells=cells).fit(customers)
    >>> rules
    RFMRules: 3 segments by scores of 1 to 5
             segment                              rule  n  share
    0         active                     recency <= 30  3  0.600
    1  lapsed, loyal    recency > 30 and frequency > 4  1  0.200
    2         lapsed   recency > 30 and frequency <= 4  1  0.200
    >>> rules.predict(customers.assign(recency=31)).tolist()
    [1, 2, 2, 1, 2]
    """

    def __init__(
        self,
        *,
        bins: int = 5,
        cut_points: Mapping[str, Sequence[float]] | None = None,
        cells: CellTable | None = None,
        columns: Sequence[Any] | None = None,
    ) -> None:
        self.bins = bins
        self.cut_points = cut_points
        self.cells = cells
        self.columns = columns

    def fit(
        self,
        X: "pd.DataFrame | ArrayLike",
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> "RFMRules":
        """Learn the cut points, and put every customer into a cell.

        Parameters
        ----------
        X
            Customers x columns, among them recency (days), frequency (orders) and monetary
            (money).
        y
            Ignored; there for scikit-learn.
        sample_weight
            How many customers each row stands for; ``None`` counts each once.

        Returns
        -------
        RFMRules
            The fitted rules themselves.

        Raises
        ------
        ColumnError
            If a column is missing.
        DataError
            If the table is empty, or a value is text, missing or infinite.
        ParameterError
            If `bins`, `cut_points` or `columns` are out of bounds, or the cells overlap or leave a
            combination of scores without a segment.
        """
        check_number(self.bins, "bins", ge=2, le=MAX_BINS, integer=True)
        cells = cell_table(self.cells, int(self.bins))
        grid, names = fill_grid(cells, int(self.bins))
        frame = open_table(self, X, reset=True)
        self._named = isinstance(X, pd.DataFrame)
        values = self._values(frame)
        weights = read_weights(sample_weight, len(values))
        cuts = _given(self.cut_points, self.bins) or _quantiles(values, weights, self.bins)
        self.grid_, self.segment_names_ = grid, names
        self._cells = cells.to_dict(orient="list")
        self.cut_points_ = {role: cut.tolist() for role, cut in zip(ROLES, cuts, strict=True)}
        self.bounds_ = np.array([bounds_of(cut) for cut in cuts])
        scores = self._scores(values)
        self.labels_ = self._cell_of(scores)
        self._describe(scores, weights)
        return self

    def predict(self, X: "pd.DataFrame | ArrayLike") -> NDArray[np.int64]:
        """Return the position of each customer's segment, by the stored cut points.

        Parameters
        ----------
        X
            Customers x columns, as in `fit`; a frame may hold other columns too, in any order.

        Raises
        ------
        ColumnError, DataError
            As `fit` does.
        """
        check_is_fitted(self)
        frame = as_frame(X)
        if not isinstance(X, pd.DataFrame) and frame.shape[1] != self.n_features_in_:
            raise DataError(
                f"X has {frame.shape[1]} features, but RFMRules is expecting {self.n_features_in_} "
                "features as input."
            )
        return self._cell_of(self._scores(self._values(frame)))

    def _values(self, frame: pd.DataFrame) -> Matrix:
        """Return recency, frequency and monetary value, in this order."""
        columns = list(self.columns) if self.columns is not None else list(ROLES)
        if len(columns) != 3:
            raise ParameterError(
                f"columns is {self.columns!r}, but must name recency, frequency and monetary value."
            )
        if not self._named:
            columns = self._positions(frame, columns)
        check_columns(frame.columns, columns, where="the customer table")
        found = [frame[column] for column in columns]
        for values in found:
            numbers_of(values)
            missing = int(values.isna().sum())
            if missing:
                raise DataError(
                    f"column {values.name!r} has {missing:,} missing (NaN) of {len(values):,} "
                    "values. Set these customers aside: who never bought has no recency."
                )
        return np.column_stack([numbers_of(values) for values in found])

    def _positions(self, frame: pd.DataFrame, columns: list[Any]) -> list[Any]:
        """Return the names that `as_frame` gave to the columns of an array."""
        if self.columns is None:
            if frame.shape[1] != 3:
                raise DataError(
                    f"an array with {frame.shape[1]} feature(s) was given where three columns, "
                    "recency, frequency and monetary value, are needed. Say which they are: "
                    "RFMRules(columns=(0, 1, 2))."
                )
            return list(frame.columns)
        for position in columns:
            check_number(position, "a position in columns", ge=0, lt=frame.shape[1], integer=True)
        return [frame.columns[position] for position in columns]

    def _scores(self, values: Matrix) -> NDArray[np.int64]:
        exceeded = np.column_stack(
            [
                np.searchsorted(bounds, column, side="left")
                for bounds, column in zip(self.bounds_, values.T, strict=True)
            ]
        )
        exceeded[:, 0] = self.bounds_.shape[1] - exceeded[:, 0]
        return exceeded + 1

    def _cell_of(self, scores: NDArray[np.int64]) -> NDArray[np.int64]:
        r, f, m = (scores - 1).T
        return self.grid_[r, f, np.minimum(m, self.grid_.shape[2] - 1)]

    def _describe(self, scores: NDArray[np.int64], weights: Matrix) -> None:
        n = len(self.segment_names_)
        shares = np.bincount(self.labels_, weights, minlength=n) / weights.sum()
        counts = np.bincount(self.labels_, minlength=n)
        names = list(ROLES) if self.columns is None or not self._named else list(self.columns)
        boxes = self.cells_.groupby("segment", sort=False)
        self._rules = {
            "segment": list(self.segment_names_),
            "rule": [self._rule(boxes.get_group(s), names) for s in self.segment_names_],
            "n": counts,
            "share": shares,
        }
        notes = []
        if self.cut_points is None:
            table = pd.DataFrame(scores, columns=["r_score", "f_score", "m_score"])
            notes += bin_notes(table, self.bins)
        empty = [name for name, count in zip(self.segment_names_, counts, strict=True) if not count]
        if empty:
            notes.append(f"nobody is in {', '.join(empty)}.")
        self.notes_ = tuple(notes)

    def _rule(self, boxes: pd.DataFrame, names: list[Any]) -> str:
        """Return the rule of a segment in the units of the table, its rectangles joined by "or"."""
        rules = []
        for box in boxes.itertuples():
            conditions: list[str] = []
            possible = True
            for role, name in zip(ROLES, names, strict=True):
                low, high = (getattr(box, bound) for bound in BOUNDS[role])
                edges = [-inf, *self.cut_points_[role], inf]
                if role == "recency":
                    low, high = self.bins + 1 - high, self.bins + 1 - low
                possible = possible and edges[low - 1] < edges[high]
                conditions += interval_words(name, edges[low - 1], edges[high])
            rules += [rule_words(conditions)] * possible
        return " or ".join(rules) or "nobody: the cut points on both sides are equal"

    @property
    def cells_(self) -> pd.DataFrame:
        """The cells as a frame, with every bound."""
        return pd.DataFrame(self._cells)

    @property
    def rules_(self) -> pd.DataFrame:
        """One row per segment: ``segment``, ``rule``, ``n`` and ``share``."""
        return pd.DataFrame(self._rules)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "labels_"):
            return str(super().__repr__(N_CHAR_MAX=N_CHAR_MAX))
        head = f"RFMRules: {len(self.rules_)} segments by scores of 1 to {self.bins}"
        table = format_frame(self.rules_).to_string(max_colwidth=120)
        return "\n".join([head, table, *(f"note: {note}" for note in self.notes_)])

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        return {"text/plain": repr(self)}


def _quantiles(values: Matrix, weights: Matrix, bins: int) -> list[Matrix]:
    """Return the smallest values at or below which 1/bins, 2/bins, ... of the customers lie."""
    cuts = []
    for column in values.T:
        order = np.argsort(column, kind="stable")
        below = np.cumsum(weights[order])
        wanted = np.arange(1, bins) * (below[-1] / bins) * (1 - 1e-12)
        cuts.append(column[order][np.searchsorted(below, wanted)])
    return cuts


def _given(cut_points: Mapping[str, Sequence[float]] | None, bins: int) -> list[Matrix] | None:
    if cut_points is None:
        return None
    check_columns(cut_points, ROLES, where="cut_points")
    return [read_cuts(cut_points[role], role, bins) for role in ROLES]
