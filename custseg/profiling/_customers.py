"""Customers with a segment, in the order of their ids."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.profiling._labels import align_segments
from custseg.profiling._words import counted
from custseg.profiling.profiles import _by_id, _check_table


class Assigned(NamedTuple):
    """The customers who have a segment, sorted by id, with codes and names of their segments."""

    frame: pd.DataFrame
    codes: NDArray[np.int64]
    names: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def segments(self) -> pd.Series:
        """The segment of each customer, an ordered categorical."""
        values = pd.Categorical.from_codes(self.codes, list(self.names), ordered=True)
        return pd.Series(values, index=self.frame.index, name="segment")


def read_customers(customers: pd.DataFrame, segments: Any) -> Assigned:
    """Return the customers who have a segment; the order of the rows no longer matters.

    Parameters
    ----------
    customers
        One row per customer, with a unique index.
    segments
        The segment of each customer, as in `custseg.profiling.profile`.

    Raises
    ------
    DataError
        If the table is empty or no frame, an id occurs twice, or labels do not fit customers.
    """
    _check_table(customers)
    labels, notes = align_segments(segments, customers.index)
    kept = labels.notna().to_numpy()
    order = _by_id(customers.index[kept])
    left = int((~kept).sum())
    if left:
        notes = [*notes, f"{counted(left, 'customer')} not assigned (<NA>), in no number here."]
    return Assigned(
        customers[kept].iloc[order],
        labels[kept].cat.codes.to_numpy(dtype=np.int64)[order],
        tuple(labels.cat.categories),
        tuple(notes),
    )
