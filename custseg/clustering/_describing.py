"""How many customers a segment has and what they are like, in the units of the table."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from custseg.features.dictionary import Known


def sizes_of(segments: pd.Series) -> pd.DataFrame:
    """Return one row per segment: ``n`` customers and their ``share`` of all, noise included."""
    sizes = segments.value_counts(sort=False)
    table = pd.DataFrame({"n": sizes, "share": sizes / len(segments)})
    return table.rename_axis("segment")


def centers_of(
    frame: pd.DataFrame, segments: pd.Series, kinds: Mapping[Any, Known]
) -> pd.DataFrame:
    """Return one row per segment: the mean of each number, the most frequent level of the others.

    Parameters
    ----------
    frame
        Customers x variables.
    segments
        The segment of each customer.
    kinds
        What is known of variables: numbers that are said to be nominal are levels.
    """
    grouped = frame.groupby(segments.array, observed=False)
    columns = {
        name: grouped[name].mean().astype(float)
        if _is_number(values, kinds.get(name))
        else grouped[name].agg(most_frequent)
        for name, values in frame.items()
    }
    index = segments.cat.categories
    table = pd.DataFrame(columns, index=grouped.size().index if columns else index)
    return table.rename_axis("segment")


def _is_number(values: pd.Series, known: Known | None) -> bool:
    named = known is not None and known.given and known.kind == "nominal"
    return not named and pd.api.types.is_numeric_dtype(values)


def most_frequent(values: pd.Series) -> Any:
    """Return the most frequent value, the first in order of equally frequent ones."""
    counts = values.value_counts(sort=False)
    if counts.empty or not counts.max():
        return np.nan
    levels = counts.index[counts == counts.max()]
    return levels[0] if isinstance(levels, pd.CategoricalIndex) else min(levels, key=str)
