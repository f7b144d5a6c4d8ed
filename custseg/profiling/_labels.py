"""Read segment labels of any kind as an ordered categorical on the customer index."""

from typing import Any

import numpy as np
import pandas as pd

from custseg._labels import NOISE, name_labels
from custseg.errors import DataError
from custseg.profiling._words import counted, listed


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
        marked = counted(int(noise.sum()), "label")
        notes.append(f"{marked} of -1, the mark of noise, read as not assigned.")
    labels = name_labels(labels)
    if labels.isna().all():
        raise DataError(
            f"all {len(labels):,} labels are missing (<NA>): there is no segment to profile. Check "
            "that the labels are those of these customers."
        )
    named = labels.cat.remove_unused_categories()
    if empty := [name for name in labels.cat.categories if name not in named.cat.categories]:
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
