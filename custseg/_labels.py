"""Name segments: labels of any kind become an ordered categorical of text."""

from typing import Any

import numpy as np
import pandas as pd

from custseg.errors import DataError

ALL = "(all)"
"""The name of all customers together, which no segment may have."""
NOISE = -1
"""What clusterers call customers of no segment."""


def name_labels(labels: pd.Series) -> pd.Series:
    """Return labels as an ordered categorical of names: in the order they have, or sorted.

    Parameters
    ----------
    labels
        Text, numbers, truth values or categories; missing, or the number -1, the mark of noise,
        where a customer is in no segment.

    Returns
    -------
    pandas.Series
        The same index, missing where a customer is in no segment. Whole numbers that a missing
        value made floats are whole again; categories that nobody is in stay.

    Raises
    ------
    DataError
        If a label reads ``"(all)"``, or two different ones read the same.

    Examples
    --------
    >>> name_labels(pd.Series([2.0, 10.0, None, 2.0])).tolist()
    ['2', '10', nan, '2']
    """
    if not isinstance(labels.dtype, pd.CategoricalDtype):
        labels = labels.astype(pd.CategoricalDtype(_in_order(labels)))
    noise = [c for c in labels.cat.categories if not isinstance(c, str) and c == NOISE]
    labels = labels.cat.remove_categories(noise)
    names = [_name(label) for label in labels.cat.categories]
    if ALL in names:
        raise DataError(f"a segment is called {ALL!r}, which means everybody. Rename it.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"two different labels of segments read the same ({twice!r}). Give each its own name."
        )
    return labels.cat.rename_categories(names).cat.as_ordered()


def _in_order(labels: pd.Series) -> list[Any]:
    present = labels.dropna().unique().tolist()
    try:
        return sorted(present)
    except TypeError:
        return sorted(present, key=str)


def _name(label: Any) -> str:
    whole = isinstance(label, float | np.floating) and float(label).is_integer()
    return str(int(label)) if whole else str(label)
