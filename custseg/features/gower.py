"""Gower's dissimilarity: how unlike two customers are in variables of mixed kinds."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import ArrayLike, NDArray

from custseg._kernels.gower import BLOCK, between, square_band, whole_blocks
from custseg.errors import DataError, check_columns
from custseg.features._families import column_weights
from custseg.features._levels import (
    in_order,
    places,
    refuse_bands,
    refuse_unknown,
    two_levels,
    without_order,
)
from custseg.features.dictionary import Dictionary, Known, read_kinds
from custseg.features.encoder import as_frame

Matrix = NDArray[np.float64]


def gower(
    customers: "pd.DataFrame | ArrayLike",
    *,
    dictionary: Dictionary | None = None,
    weights: Mapping[Any, float] | None = None,
) -> Matrix:
    """Return the dissimilarity of every pair of customers in variables of mixed kinds.

    The dissimilarity of two customers is the weighted mean, over the variables that both have, of

    - numeric, count, share: their distance over the range of the variable;
    - ordinal: the distance of their positions among the ordered levels, over the range of positions
      (Kaufman & Rousseeuw); the levels are the categories of an ordered categorical, or the
      numbers that occur;
    - nominal, binary: 0 if equal, else 1. Two customers who both lack something are equal in it.

    A variable with one value only counts as agreement.

    Parameters
    ----------
    customers
        One row per customer; numbers, booleans, dates, text and categoricals, with missing values
        in any of them. An array of numbers will do.
    dictionary
        What the columns are: column to kind, or what `describe_columns` returns. A column that it
        does not name is what its type says: an ordered categorical is ordinal; text and other
        categoricals are nominal; booleans binary; the rest numeric. What the table carries in
        ``attrs`` is not read. Text that looks like bands ("20-29", "over 90k") has to be named.
    weights
        Column to weight, or family to the weight that its columns share equally; 1 for every
        column that is not named, 0 leaves it out. Families need a `dictionary` that knows them.

    Returns
    -------
    numpy.ndarray
        Floats from 0 to 1, customers x customers, in the order of the rows; symmetric with a zero
        diagonal. The numbers do not depend on the number of threads.

    Raises
    ------
    ColumnError
        If a weight names no column and no family.
    DataError
        If the table is empty or the square would not fit into memory; if a value is infinite; if an
        ordinal column has no order, or text may have one; or if two customers have no variable
        in common.
    ParameterError
        If a weight is negative, none is positive, or a kind does not exist.

    References
    ----------
    Gower, J. C. (1971). A general coefficient of similarity and some of its properties. Biometrics
    27, 857-871, equation 5.
    Kaufman, L. & Rousseeuw, P. J. (1990). Finding Groups in Data. Wiley, section 2.6.

    Examples
    --------
    >>> customers = pd.DataFrame({
    ...     "age": [20, 30, 60],
    ...     "region": ["North", "North", None],
    ...     "income": pd.Categorical(["low", "middle", "high"],
    ...                              categories=["low", "middle", "high"], ordered=True),
    ... })
    >>> gower(customers).round(3)
    array([[0.   , 0.25 , 1.   ],
           [0.25 , 0.   , 0.625],
           [1.   , 0.625, 0.   ]])
    """
    frame = as_frame(customers)
    table = place(frame, learn(frame, dictionary=dictionary, weights=weights))
    nothing = len(frame) - int(table.known.sum())
    if nothing:
        raise DataError(
            f"{nothing:,} of {len(frame):,} customers have no value in any variable. Set those "
            "aside."
        )
    dissimilarity = square(table)
    if not table.complete and np.isnan(dissimilarity).any():
        pairs = int(np.isnan(dissimilarity).sum()) // 2
        raise DataError(
            f"{pairs:,} pairs of customers have no variable that both have. Add a variable that "
            "everybody has, or set aside customers with few values."
        )
    return dissimilarity


class Comparison(NamedTuple):
    """How one variable is compared: as a number between `low` and `high`, or by its levels."""

    name: Any
    kind: str
    given: bool
    weight: float
    low: float
    high: float
    levels: tuple[Any, ...] | None

    @property
    def is_number(self) -> bool:
        """Whether values are compared by their distance."""
        return self.kind not in ("nominal", "binary")


class Placed(NamedTuple):
    """Customers made ready to compare: variables x customers; `weights` has the numbers' first."""

    numbers: Matrix
    codes: NDArray[np.int32]
    weights: Matrix

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether each customer has a value in any variable."""
        present = np.vstack([~np.isnan(self.numbers), self.codes >= 0])
        return np.asarray(present.any(axis=0))

    @property
    def complete(self) -> bool:
        """Whether every customer has every variable."""
        return not np.isnan(self.numbers).any() and bool((self.codes >= 0).all())


def learn(
    frame: pd.DataFrame,
    *,
    dictionary: Dictionary | None = None,
    weights: Mapping[Any, float] | None = None,
) -> list[Comparison]:
    """Return how each variable is compared, with the ranges and levels of these customers."""
    if frame.empty:
        raise DataError(f"the table is empty: {len(frame)} rows, {frame.shape[1]} columns.")
    kinds = read_kinds(frame, dictionary)
    shares = column_weights(kinds, weights)
    return [_comparison(frame[name], kinds[name], shares[name]) for name in kinds if shares[name]]


def place(frame: pd.DataFrame, comparisons: list[Comparison]) -> Placed:
    """Return customers ready to compare; new ones may lie outside the range or have other levels.

    Raises
    ------
    ColumnError
        If a variable is missing.
    DataError
        If a number is infinite, or an ordinal level unknown.
    """
    check_columns(frame.columns, [one.name for one in comparisons], where="the customer table")
    measured = [one for one in comparisons if one.is_number]
    named = [one for one in comparisons if not one.is_number]
    numbers = np.empty((len(measured), len(frame)))
    codes = np.empty((len(named), len(frame)), np.int32)
    for i, one in enumerate(measured):
        scaled = (_numbers(frame[one.name], one.levels) - one.low) / (one.high - one.low or 1.0)
        numbers[i] = scaled * one.weight
    for i, one in enumerate(named):
        found = places(frame[one.name], one.levels or ())
        codes[i] = np.where(found == -2, len(one.levels or ()), found)
    weights = np.array([one.weight for one in (*measured, *named)])
    return Placed(numbers, codes, weights)


def rows_between(left: Placed, right: Placed) -> Matrix:
    """Return the dissimilarities of the customers on the left from those on the right.

    Parameters
    ----------
    left, right
        From `place` with the same comparisons; `left` may be a block of the rows of `right`.

    Returns
    -------
    numpy.ndarray
        Floats, customers on the left x customers on the right; NaN for a pair without a common
        variable.
    """
    out = np.empty((left.numbers.shape[1], right.numbers.shape[1]))
    numbers, codes = whole_blocks(right.numbers), whole_blocks(right.codes)
    complete = int(left.complete and right.complete)
    between(left.numbers, left.codes, numbers, codes, right.weights, complete, out)
    return out


def rows_of(table: Placed, rows: slice | NDArray[np.integer]) -> Placed:
    """Return a block of customers."""
    return table._replace(
        numbers=np.ascontiguousarray(table.numbers[:, rows]),
        codes=np.ascontiguousarray(table.codes[:, rows]),
    )


def square(table: Placed, *, dtype: Any = np.float64) -> NDArray[Any]:
    """Return the dissimilarities of all customers from all.

    Parameters
    ----------
    table
        From `place`.
    dtype
        The type of the numbers: ``numpy.float32`` halves the memory, the sums staying in double
        precision until they are done.

    Returns
    -------
    numpy.ndarray
        Customers x customers, symmetric; NaN for a pair without a common variable. The numbers do
        not depend on the number of threads.

    Raises
    ------
    DataError
        If the square would not fit into memory.
    """
    numbers, codes = whole_blocks(table.numbers), whole_blocks(table.codes)
    n, complete = table.numbers.shape[1], int(table.complete)
    check_memory(n, np.dtype(dtype).itemsize)
    out = np.empty((n, n), dtype)
    with ThreadPoolExecutor(cpu_count()) as pool:
        bands = [
            pool.submit(square_band, numbers, codes, table.weights, complete, low, high, out)
            for low, high in ((low, min(low + BLOCK, n)) for low in range(0, n, BLOCK))
        ]
    for band in bands:
        band.result()
    return out


def check_memory(n: int, itemsize: int) -> None:
    """Raise `DataError` if a square of `n` customers is larger than the memory of this machine."""
    if not hasattr(os, "sysconf"):
        return
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    if n * n * itemsize / 1e9 > gigabytes:
        raise DataError(
            f"the dissimilarities of {n:,} customers need {n * n * itemsize / 1e9:,.3g} GB, and "
            f"this machine has {gigabytes:,.3g}. Take a sample of customers."
        )


def _comparison(values: pd.Series, known: Known, weight: float) -> Comparison:
    levels: list[Any] | None = None
    low, high = 0.0, 0.0
    if known.kind == "binary":
        levels = two_levels(values)
    elif known.kind == "nominal":
        levels = without_order(values)
        if not known.given:
            refuse_bands(values, levels)
    else:
        levels = in_order(values) if known.kind == "ordinal" else None
        numbers = _numbers(values, levels)
        if not np.isnan(numbers).all():
            low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
        if not np.isfinite(high - low):
            raise DataError(
                f"column {values.name!r} has values too large to take a range of. Express it in "
                "another unit."
            )
    return Comparison(
        values.name,
        known.kind,
        known.given,
        weight,
        low,
        high,
        None if levels is None else tuple(levels),
    )


def _numbers(values: pd.Series, levels: "list[Any] | tuple[Any, ...] | None") -> Matrix:
    """Return numbers, days of dates, or positions among levels; NaN where missing."""
    if levels is not None:
        found = places(values, levels)
        refuse_unknown(values, found, levels)
        return np.where(found < 0, np.nan, found.astype(float))
    if pd.api.types.is_datetime64_any_dtype(values):
        return ((values - pd.Timestamp(0, tz=values.dt.tz)) / pd.Timedelta(days=1)).to_numpy(float)
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_complex_dtype(values):
        example = values.dropna().iloc[:1].tolist()
        shown = f" (for example {example[0]!r})" if example else ""
        raise DataError(
            f"column {values.name!r} is said to be a number, but holds text{shown}. Correct the "
            "dictionary, or use pandas.to_numeric."
        )
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(numbers).any():
        raise DataError(
            f"column {values.name!r} has {int(np.isinf(numbers).sum()):,} infinite values: no "
            "range holds them. Make them missing, or correct them."
        )
    return numbers
