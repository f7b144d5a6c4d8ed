"""Read segment labels of any kind for customers of whom only some are known here."""

from typing import Any

import numpy as np
import pandas as pd

from custseg._labels import ALL, name_labels
from custseg.errors import DataError


def match_segments(segments: Any, customers: pd.Index) -> tuple[pd.Series, list[str]]:
    """Return one segment per customer, and notes on how the labels were read.

    Labels of other customers are left out: not everybody answers a survey or has an order.

    Parameters
    ----------
    segments
        A Series (matched by index), any other one-dimensional labels (matched by position), or
        ``None``, which puts everybody in one segment called ``"(all)"``.
    customers
        The unique ids of the customers that are known here.

    Returns
    -------
    segments : pandas.Series
        Ordered categorical of names on `customers`; ``<NA>`` where a customer is not assigned.
    notes : list of str
        Who was not assigned, and names without customers.

    Raises
    ------
    DataError
        If the labels do not fit the customers or none is assigned.
    """
    if segments is None:
        everybody = pd.Categorical([ALL] * len(customers), categories=[ALL], ordered=True)
        return pd.Series(everybody, customers, name="segment"), []
    if not isinstance(segments, pd.Series):
        if np.ndim(segments) != 1 or len(segments) != len(customers):
            raise DataError(
                f"segments has {np.size(segments):,} labels for {len(customers):,} customers. Give "
                "a Series of labels indexed by customer_id."
            )
        segments = pd.Series(segments, customers)
    named = name_segments(segments)
    found = named.reindex(customers)
    if found.isna().all():
        raise DataError(
            f"none of the {len(customers):,} customers has a segment: {len(segments):,} labels "
            f"have ids of type {segments.index.dtype}, the customers here of type "
            f"{customers.dtype}. Index the labels by the same customer_id."
        )
    notes = []
    if left := int(found.isna().sum()):
        notes.append(f"{left:,} of {len(customers):,} customers are in no segment, left out here.")
    used = set(found.dropna().unique())
    kept = [name for name in named.cat.categories if name in used]
    if empty := [name for name in named.cat.categories if name not in used]:
        notes.append(f"nobody here is in {', '.join(map(repr, empty))}; left out.")
    return found.cat.set_categories(kept, ordered=True), notes


def name_segments(segments: Any) -> pd.Series:
    """Return labels as an ordered categorical of names: in their order, or sorted.

    Raises
    ------
    DataError
        If `segments` is no Series, a customer has two labels, nobody has one, or a name is
        reserved or read twice.
    """
    if not isinstance(segments, pd.Series):
        raise DataError(
            f"segments is a {type(segments).__name__}, but must be a Series of labels indexed by "
            "customer_id, such as model.segments_."
        )
    if not segments.index.is_unique:
        repeated = int(segments.index.duplicated(keep=False).sum())
        raise DataError(
            f"{repeated:,} of the {len(segments):,} labels in segments share their customer id "
            "with another. Keep one, for example with segments[~segments.index.duplicated()]."
        )
    named = name_labels(segments)
    if named.isna().all():
        raise DataError("every label in segments is missing (<NA>): nobody is in a segment.")
    return named.rename("segment")


def by_id(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the order of their ids, so that no number depends on the row order."""
    return table.sort_index(key=lambda ids: ids.astype(str) if ids.dtype == object else ids)
