"""Read segment labels of any kind as an ordered categorical on the customer index."""

from typing import Any

import numpy as np
import pandas as pd

from custseg.errors import DataError
from custseg.profiling._words import counted, listed

RESERVED = "(all)"
NOISE = -1


def align_segments(segments: Any, customers: pd.Index) -> tuple[pd.Series, list[str]]:
    """Return one segment per customer, and notes on how the labels were read.

    Parameters
    ----------
    segments
        A Series (matched by index) or any other one-dimensional labels (matched by position).
    customers
        The unique ids of the customers, in the order of their table.

    Returns
    -------
    segments : pandas.Series
        Ordered categorical of names on `customers`; ``<NA>`` where a customer is not assigned.
    notes : list of str
        What was decided on the way: the match, the mark of noise, names without customers.

    Raises
    ------
    DataError
        If the labels do not fit the customers, if no customer is assigned, or if a segment has
        the reserved name ``"(all)"``.
    """
    if isinstance(segments, pd.Series):
        labels, notes = _by_index(segments, customers)
    else:
        labels, notes = _by_position(segments, customers)
    if pd.api.types.is_numeric_dtype(labels) and (noise := labels.eq(NOISE).fillna(False)).any():
        labels = labels.mask(noise)
        marked = counted(int(noise.sum()), "label")
        notes.append(f"{marked} of -1, the mark of noise, read as not assigned.")
    if labels.isna().all():
        raise DataError(
            f"all {len(labels):,} labels are missing (<NA>): there is no segment to profile. Check "
            "that the labels are those of these customers."
        )
    named, empty = _named(labels)
    if empty:
        notes.append(f"no customer here is in {listed(empty)}; left out.")
    return named, notes


def _by_index(segments: pd.Series, customers: pd.Index) -> tuple[pd.Series, list[str]]:
    if not segments.index.is_unique:
        repeated = int(segments.index.duplicated(keep=False).sum())
        raise DataError(
            f"{repeated:,} of the {len(segments):,} labels in segments share their customer id "
            "with another: give one label per customer, for example with "
            "segments[~segments.index.duplicated()]."
        )
    strangers = int((~segments.index.isin(customers)).sum())
    if strangers:
        raise DataError(
            f"{strangers:,} of the {len(segments):,} labels in segments have ids that are "
            f"not in the customer table ({len(customers):,} customers; ids of type "
            f"{segments.index.dtype} against {customers.dtype}). Select the labels with "
            "segments.reindex(customers.index), or, if they are in the order of the table, give "
            "segments.to_numpy()."
        )
    unlabelled = len(customers) - len(segments)
    note = f"{counted(unlabelled, 'customer')} without a label in segments, read as not assigned."
    return segments.reindex(customers), [note] if unlabelled else []


def _by_position(segments: Any, customers: pd.Index) -> tuple[pd.Series, list[str]]:
    if np.ndim(segments) != 1:
        raise DataError(
            f"segments is a {type(segments).__name__} of {np.ndim(segments)} dimensions, but must "
            "be a list, an array or a Series with one label per customer."
        )
    if len(segments) != len(customers):
        raise DataError(
            f"segments has {len(segments):,} labels for {len(customers):,} customers. Give one "
            "per customer in the order of the table, or a Series indexed by customer_id."
        )
    labels = pd.Series(segments).set_axis(customers)
    return labels, ["the labels carry no customer ids; they were matched by position."]


def _named(labels: pd.Series) -> tuple[pd.Series, list[str]]:
    """Return an ordered categorical of names, and the names that no customer has."""
    labels = labels if isinstance(labels.dtype, pd.CategoricalDtype) else _categorical(labels)
    categories = labels.cat.categories
    names = [_name(category) for category in categories]
    if RESERVED in names:
        raise DataError(
            f"a segment is named {RESERVED!r}, which is reserved for all customers together: "
            "rename it."
        )
    if len(set(names)) < len(names):
        raise DataError(
            f"segments has different labels that read the same ({listed(names)}): give every "
            "segment one name."
        )
    labels = labels.cat.rename_categories(names)
    used = set(labels.dropna().unique())
    kept = [name for name in names if name in used]
    return labels.cat.set_categories(kept, ordered=True), [n for n in names if n not in used]


def _categorical(labels: pd.Series) -> pd.Series:
    present = labels.dropna().unique()
    try:
        categories = sorted(present)
    except TypeError:
        categories = sorted(present, key=str)
    return labels.astype(pd.CategoricalDtype(categories))


def _name(label: Any) -> str:
    whole = isinstance(label, (float, np.floating)) and float(label).is_integer()
    return str(int(label)) if whole else str(label)
