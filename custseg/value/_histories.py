"""What models of customer lifetime read: distinct histories, each with its number of customers."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import ColumnError, DataError

Vector = NDArray[np.float64]
COLUMNS = ("frequency", "recency", "T")
REMEDY = "Make the table with cs.value.btyd_summary(tx)."


@dataclass(frozen=True, eq=False)
class Histories:
    """Distinct purchase histories.

    Parameters
    ----------
    frequency, recency, age
        Of each distinct history, in ascending order.
    customers
        How many customers have it.
    of
        The position of each customer's history.
    index
        The customers.
    """

    frequency: Vector
    recency: Vector
    age: Vector
    customers: Vector
    of: NDArray[np.int64]
    index: pd.Index

    @classmethod
    def of_one(cls, frequency: float, recency: float, age: float) -> Self:
        """Return the history of one customer."""
        x, last, since, one = (np.array([value]) for value in (frequency, recency, age, 1.0))
        return cls(x, last, since, one, np.zeros(1, dtype="int64"), pd.RangeIndex(1))

    @cached_property
    def by_frequency(self) -> tuple[Vector, Vector]:
        """The distinct frequencies, and the customers with each."""
        values, of = np.unique(self.frequency, return_inverse=True)
        return values, np.bincount(of, self.customers).astype(float)

    @property
    def mean_rate(self) -> float:
        """Repeat purchases per unit of time, of everybody together."""
        return float(self.customers @ self.frequency / (self.customers @ self.age))

    def series(self, values: Vector, name: str) -> pd.Series:
        """Return what was computed per history as a Series by customer."""
        return pd.Series(values[self.of], self.index, name=name)


def read_histories(summary: Any) -> Histories:
    """Return the distinct histories of a table from `btyd_summary`.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If a value cannot be, or the table comes from `rfm`.
    """
    if not isinstance(summary, pd.DataFrame):
        raise DataError(f"summary is a {type(summary).__name__}, but must be a frame. {REMEDY}")
    missing = [name for name in COLUMNS if name not in summary.columns]
    if missing:
        raise ColumnError(
            f"the summary has no column {', '.join(map(repr, missing))}. {REMEDY} rfm() does not "
            "make one: there frequency counts all orders and recency is the time since the last."
        )
    if not summary.index.is_unique:
        raise DataError("two rows of the summary have one customer_id. Give one row per customer.")
    values = {name: read_numbers(summary[name]) for name in COLUMNS}
    _check(values, summary)
    (frequency, recency, age), of = distinct(*values.values())
    return Histories(
        frequency=frequency,
        recency=recency,
        age=age,
        customers=np.bincount(of, minlength=len(age)).astype(float),
        of=of,
        index=summary.index,
    )


def distinct(*columns: Vector) -> tuple[list[Vector], NDArray[np.int64]]:
    """Return the distinct rows of columns, in ascending order, and which of them each row is.

    Examples
    --------
    >>> (x, y), of = distinct(np.array([2.0, 1.0, 2.0]), np.array([5.0, 7.0, 5.0]))
    >>> x.tolist(), y.tolist(), of.tolist()
    ([1.0, 2.0], [7.0, 5.0], [1, 0, 1])
    """
    key = np.zeros(len(columns[0]), dtype="int64")
    found = []
    for column in columns:
        codes, levels = pd.factorize(column, sort=True)
        key = key * len(levels) + codes
        found.append(levels)
    of, keys = pd.factorize(key, sort=True)
    rows = []
    for levels in reversed(found):
        keys, position = np.divmod(keys, len(levels))
        rows.append(levels[position])
    return rows[::-1], of


def read_numbers(column: pd.Series) -> Vector:
    if not pd.api.types.is_numeric_dtype(column):
        raise DataError(f"column {column.name!r} of the summary is not a number. {REMEDY}")
    return column.to_numpy(dtype=float, na_value=np.nan)


def _check(values: dict[str, Vector], summary: pd.DataFrame) -> None:
    x, recency, age = (values[name] for name in COLUMNS)
    if not len(x):
        raise DataError("the summary has no rows.")
    faults = {
        "a value that is missing or infinite": ~(np.isfinite(x + recency + age)),
        "a value below 0": (x < 0) | (recency < 0) | (age < 0),
        "a frequency that is no whole number": x % 1 != 0,
        "a recency above T, the age of the customer": recency > age,
        "a recency above 0 without a repeat purchase (frequency 0)": (x == 0) & (recency > 0),
        "repeat purchases but a T of 0": (x > 0) & (age == 0),
    }
    for fault, where in faults.items():
        if where.any():
            example = summary.index[int(where.argmax())]
            raise DataError(
                f"{where.sum():,} of {len(x):,} customers (such as {example!r}) have {fault}. "
                f"{REMEDY}"
            )
    if x.min() >= 1 and _is_rfm(summary, values):
        raise DataError(
            "the table looks like one from rfm(): every customer has a frequency of 1 or more, "
            "which counts orders there, and recency is the time since the last order. The models "
            f"need repeat purchases, and the time of the last one. {REMEDY}"
        )


def _is_rfm(summary: pd.DataFrame, values: dict[str, Vector]) -> bool:
    """Return whether the table says so, or recency is T of all who bought once."""
    said = summary.attrs.get("dictionary", {}).get("recency", {})
    x, recency, age = (values[name] for name in COLUMNS)
    once = (x == 1) & (age > 0)
    looks = once.sum() > 1 and bool((recency == age)[once].all())
    return looks or "last purchase to as_of" in str(said.get("definition", ""))
