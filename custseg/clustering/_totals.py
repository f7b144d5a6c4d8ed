"""What segments are like over all customers of a table that is read batch by batch."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]


class Totals:
    """Sums over segments, gathered batch by batch.

    Parameters
    ----------
    n_segments
        The number of segments.
    names
        The columns to describe: means of numbers, the most frequent level of others.
    """

    def __init__(self, n_segments: int, names: Iterable[Any]) -> None:
        self.n_segments, self.names = n_segments, list(names)
        self.counts = np.zeros(n_segments)
        self.sums: dict[Any, Matrix] = {}
        self.known: dict[Any, Matrix] = {}
        self.levels: dict[Any, pd.Series] = {}

    def add(self, labels: Labels, frame: pd.DataFrame) -> None:
        """Add a batch: the segment of each customer, and the customers."""
        self.counts += np.bincount(labels, minlength=self.n_segments)
        for name in self.names:
            values = frame[name]
            if not pd.api.types.is_numeric_dtype(values):
                counted = values.groupby([labels, values.to_numpy()]).size()
                self.levels[name] = self.levels.get(name, counted * 0).add(counted, fill_value=0)
                continue
            numbers = values.to_numpy(dtype=float, na_value=np.nan)
            there = ~np.isnan(numbers)
            for totals, weights in ((self.sums, numbers), (self.known, np.ones(len(labels)))):
                added = np.bincount(labels[there], weights[there], minlength=self.n_segments)
                totals[name] = totals.get(name, np.zeros(self.n_segments)) + added

    def means(self, name: Any) -> Matrix:
        """Return the mean of a number in each segment."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.sums[name] / self.known[name])

    def centers(self, names: Sequence[Any], order: Labels, segments: pd.Index) -> pd.DataFrame:
        """Return one row per segment, in canonical order: means, or the most frequent levels."""
        columns: dict[Any, Any] = {}
        for name in names:
            if name in self.levels:
                counted = self.levels[name].unstack(fill_value=0).reindex(order)
                columns[name] = counted.idxmax(axis=1).to_numpy()
            else:
                columns[name] = self.means(name)[order]
        return pd.DataFrame(columns, index=segments)
