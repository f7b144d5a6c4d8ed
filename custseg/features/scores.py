"""Scores and named cells of recency, frequency and monetary value."""

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._engine import from_day, to_day
from custseg.errors import DataError, ParameterError, check_columns, check_number
from custseg.features.dictionary import Column, attach


class Cell(NamedTuple):
    """A named rectangle of the grid of recency and frequency scores, both ends included."""

    name: str
    recency: tuple[int, int]
    frequency: tuple[int, int]


RFM_CELLS = (
    Cell("champions", (5, 5), (4, 5)),
    Cell("loyal customers", (3, 4), (4, 5)),
    Cell("potential loyalists", (4, 5), (2, 3)),
    Cell("new customers", (5, 5), (1, 1)),
    Cell("promising", (4, 4), (1, 1)),
    Cell("need attention", (3, 3), (3, 3)),
    Cell("about to sleep", (3, 3), (1, 2)),
    Cell("cannot lose them", (1, 2), (5, 5)),
    Cell("at risk", (1, 2), (3, 4)),
    Cell("hibernating", (2, 2), (1, 2)),
    Cell("lost", (1, 1), (1, 2)),
)
"""The customary eleven cells over scores of 1 to 5: disjoint and complete."""

Vector = NDArray[np.float64]

_SCORES = {"recency": "r_score", "frequency": "f_score", "monetary": "m_score"}
_SAME = 1e-12


def rfm_scores(
    rfm: pd.DataFrame,
    bins: int = 5,
    cut_points: Mapping[str, Sequence[float]] | None = None,
) -> pd.DataFrame:
    """Score customers by recency, frequency and monetary value, and name their cell.

    The cut points of a column are the smallest values at or below which 1/bins, 2/bins, ... of
    the customers lie. A customer's score counts the cut points that the value exceeds, so equal
    customers always get equal scores. Values that differ by less than 1e-12 of the largest cut
    point are equal.

    Parameters
    ----------
    rfm
        Customer table with the columns recency (days), frequency (orders) and monetary (money);
        others are ignored.
    bins
        Number of scores, from 1 to `bins`; the best is `bins`.
    cut_points
        For each of the three columns `bins` - 1 cut points in increasing order, such as
        ``scores.attrs["cut_points"]`` of an earlier table: new customers then get the scores
        that they would have had there. ``None`` takes the quantiles of `rfm`.

    Returns
    -------
    pandas.DataFrame
        On the index of `rfm`: `r_score` (most recent = `bins`), `f_score`, `m_score` (whole
        numbers) and `cell`, a category named by the recency and frequency scores; with `bins`
        other than 5 the cell is that of the fifth in which the middle of the score's bin lies.
        ``attrs`` has the cut points, the data dictionary and, as ``"notes"``, a sentence for each
        column with fewer bins than asked.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If the table is empty, or a value is text, missing or infinite.
    ParameterError
        If `bins` or `cut_points` are outside their bounds.

    Warns
    -----
    UserWarning
        If ties leave fewer bins than asked; scores that nobody has are named. Given cut points
        are taken as they are.

    References
    ----------
    Hughes, A. M. (1994). Strategic Database Marketing. Probus.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> customers = pd.DataFrame({
    ...     "recency": [2, 9, 30, 81, 200],
    ...     "frequency": [12, 1, 4, 7, 2],
    ...     "monetary": [640.0, 20.0, 90.0, 310.0, 35.0],
    ... }, index=pd.Index(["ann", "bob", "cem", "dia", "eve"], name="customer_id"))
    >>> scores = cs.features.rfm_scores(customers)
    >>> scores
                 r_score  f_score  m_score              cell
    customer_id
    ann                5        5        5         champions
    bob                4        1        1         promising
    cem                3        3        3    need attention
    dia                2        4        4           at risk
    eve                1        2        2              lost
    >>> scores.attrs["cut_points"]["recency"]
    [2.0, 9.0, 30.0, 81.0]
    >>> later = customers.assign(recency=[31, 3, 60, 111, 230])
    >>> cs.features.rfm_scores(later, cut_points=scores.attrs["cut_points"])["r_score"].tolist()
    [2, 4, 2, 1, 1]
    """
    check_number(bins, "bins", ge=2, integer=True)
    values = _numbers(rfm)
    cuts = _quantiles(values, bins) if cut_points is None else _given(cut_points, bins)
    table = pd.DataFrame(index=rfm.index)
    for column, name in _SCORES.items():
        exceeded = _exceeded(values[column], cuts[column])
        table[name] = bins - exceeded if column == "recency" else exceeded + 1
    table["cell"] = _cells(table["r_score"], table["f_score"], bins)
    notes = bin_notes(table, bins) if cut_points is None else []
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    day = rfm.attrs.get("as_of")
    table = attach(table, _dictionary(bins), as_of=day and from_day(to_day(day, "as_of")))
    table.attrs["cut_points"] = {column: cut.tolist() for column, cut in cuts.items()}
    table.attrs["notes"] = notes
    return table


def _numbers(rfm: pd.DataFrame) -> dict[str, Vector]:
    check_columns(rfm.columns, _SCORES, where="the table of recency, frequency and monetary value")
    if rfm.empty:
        raise DataError("the table has no customers to score.")
    numbers = {}
    for column in _SCORES:
        if not pd.api.types.is_numeric_dtype(rfm[column]):
            raise DataError(
                f"column {column!r} holds {rfm[column].dtype}, not numbers. Make it a number "
                "first, for example with pandas.to_numeric."
            )
        values = rfm[column].to_numpy(dtype="float64", na_value=np.nan)
        unknown = int((~np.isfinite(values)).sum())
        if unknown:
            raise DataError(
                f"column {column!r} has {unknown:,} missing or infinite of {len(values):,} values. "
                "Set these customers aside, or count them with custseg.features.rfm."
            )
        numbers[column] = values
    return numbers


def _quantiles(values: Mapping[str, Vector], bins: int) -> dict[str, Vector]:
    """Return the smallest values at or below which 1/bins, 2/bins, ... of the customers lie."""
    cuts = {}
    for column, numbers in values.items():
        at_least = -(-np.arange(1, bins) * len(numbers) // bins)
        cuts[column] = np.sort(numbers)[at_least - 1]
    return cuts


def _given(cut_points: Mapping[str, Sequence[float]], bins: int) -> dict[str, Vector]:
    check_columns(cut_points, _SCORES, where="cut_points")
    return {column: read_cuts(cut_points[column], column, bins) for column in _SCORES}


def read_cuts(cut_points: Sequence[float], column: str, bins: int) -> Vector:
    """Return the cut points of a column as an array, an error unless they make `bins` bins."""
    try:
        cut = np.asarray(cut_points, dtype="float64")
    except (TypeError, ValueError):
        cut = np.array([np.nan])
    if cut.shape != (bins - 1,) or not np.isfinite(cut).all() or (np.diff(cut) < 0).any():
        raise ParameterError(
            f"cut_points[{column!r}] is {cut_points!r}, but must be {bins - 1} finite numbers in "
            f"increasing order, for bins={bins}."
        )
    return cut


def bounds_of(cuts: Vector) -> Vector:
    """Return what a value must exceed to lie above each cut point, the noise of a sum apart."""
    return cuts + _SAME * np.abs(cuts).max()


def _exceeded(values: Vector, cuts: Vector) -> NDArray[np.int64]:
    return np.searchsorted(bounds_of(cuts), values, side="left")


def _cells(recency: pd.Series, frequency: pd.Series, bins: int) -> pd.Categorical:
    grid = np.empty((5, 5), dtype=np.int64)
    for position, (_, r, f) in enumerate(RFM_CELLS):
        grid[r[0] - 1 : r[1], f[0] - 1 : f[1]] = position
    r_fifth, f_fifth = ((5 * (2 * score - 1)) // (2 * bins) for score in (recency, frequency))
    names = [cell.name for cell in RFM_CELLS]
    return pd.Categorical.from_codes(grid[r_fifth, f_fifth], categories=names)


def bin_notes(table: pd.DataFrame, bins: int) -> list[str]:
    """Return a sentence for each score of which nobody has some value."""
    notes = []
    for column, name in _SCORES.items():
        absent = [str(score) for score in range(1, bins + 1) if not (table[name] == score).any()]
        if absent:
            notes.append(
                f"{column} has {bins - len(absent)} bins instead of {bins}: customers with equal "
                f"values get equal scores, so nobody has {name} {', '.join(absent)}."
            )
    return notes


def _dictionary(bins: int) -> dict[str, Column]:
    scores = {
        "r_score": ("behavioural", f"recency in {bins} bins of customers, {bins} = most recent"),
        "f_score": ("behavioural", f"frequency in {bins} bins of customers, {bins} = most orders"),
        "m_score": ("value", f"monetary value in {bins} bins of customers, {bins} = most money"),
    }
    columns = {
        name: Column(family, "ordinal", definition, "transactions")
        for name, (family, definition) in scores.items()
    }
    definition = "named cell of recency score x frequency score"
    return columns | {"cell": Column("behavioural", "nominal", definition, "transactions")}
