"""Values that are levels: their order where they have one, and their place among known levels."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import DataError, nearest

_BAND = re.compile(
    r"^\s*(under|below|less than|up to|over|above|more than|[<>≤≥])\W*\d"
    r"|\d\D{0,3}\s*(-|\u2013|to)\s*\D?\d"
    r"|\d\w{0,2}\s*(\+|(and|or) (over|more|above|older))\s*$",
    re.IGNORECASE,
)


def in_order(values: pd.Series) -> list[Any]:
    """Return the levels of an ordinal column from lowest to highest.

    Parameters
    ----------
    values
        An ordered categorical, whose categories all count, or numbers and booleans, of which those
        that occur count.

    Raises
    ------
    DataError
        If the values are text or categories without an order.
    """
    if isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered:
        return list(values.cat.categories)
    if pd.api.types.is_numeric_dtype(values):
        return np.unique(values.dropna().to_numpy(dtype=float)).tolist()
    shown = ", ".join(repr(level) for level in without_order(values)[:6])
    raise DataError(
        f"column {values.name!r} is ordinal, but its levels {shown} have no order: a file keeps "
        f"text only. Say the order: customers[{values.name!r}] = pd.Categorical(customers"
        f"[{values.name!r}], categories=[lowest, ..., highest], ordered=True)."
    )


def without_order(values: pd.Series) -> list[Any]:
    """Return the levels that occur in a nominal or binary column, sorted as text."""
    known = values.dropna()
    if pd.api.types.is_numeric_dtype(known):
        return np.unique(known.to_numpy(dtype=float)).tolist()
    return sorted(known.astype(object).unique(), key=str)


def two_levels(values: pd.Series) -> list[Any]:
    """Return the levels of a binary column, an error if there are more than two."""
    ordered = isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered
    levels = [*(in_order(values) if ordered else without_order(values))]
    occurring = without_order(values)
    if len(occurring) > 2:
        shown = ", ".join(repr(level) for level in occurring[:4])
        raise DataError(
            f"column {values.name!r} is binary, but has {len(occurring):,} values: {shown}"
            f"{', ...' if len(occurring) > 4 else ''}. Correct them, or name another kind."
        )
    return [level for level in levels if level in occurring]


def places(values: pd.Series, levels: Sequence[Any]) -> NDArray[np.int64]:
    """Return the position of every value among the levels, -1 for missing, -2 for another."""
    if pd.api.types.is_numeric_dtype(values):
        plain = pd.Index(values.to_numpy(dtype=float, na_value=np.nan))
    else:
        plain = pd.Index(values.astype(object))
    found = pd.Index(levels).get_indexer(plain)
    return np.where((found < 0) & values.notna().to_numpy(), -2, found)


def refuse_unknown(values: pd.Series, found: NDArray[np.int64], levels: Sequence[Any]) -> None:
    """Raise `DataError` if a value is none of the levels that were learned."""
    if (found == -2).any():
        strange = values[found == -2].tolist()[0]
        shown = ", ".join(repr(level) for level in levels[:6])
        hint = nearest(strange, levels) if isinstance(strange, str) else ""
        raise DataError(
            f"column {values.name!r} has the value {strange!r}, which was not there when its "
            f"levels were learned: {shown}.{hint} Correct it, or learn again "
            "with these customers."
        )


def refuse_bands(values: pd.Series, levels: Sequence[Any]) -> None:
    """Raise `DataError` if text that nobody called nominal looks like bands of a quantity."""
    if look_ordered(levels):
        raise DataError(
            f"column {values.name!r} holds text that looks like bands with an order, such as "
            f"{levels[0]!r}. Make it an ordered pandas.Categorical, or say that it has none: "
            f"dictionary={{{values.name!r}: 'nominal'}}."
        )


def look_ordered(levels: Sequence[Any]) -> bool:
    """Return whether text looks like bands of a quantity, such as '20-29' and 'over 90k'.

    Examples
    --------
    >>> look_ordered(["under 20k", "20k-40k", "40k and over"]), look_ordered(["North", "South"])
    (True, False)
    """
    bands = [bool(_BAND.search(level)) for level in levels if isinstance(level, str)]
    return len(bands) > 1 and all(bands)
