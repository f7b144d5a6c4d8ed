"""How much each customer counts: survey weights, matched to the customers who have a segment."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import DataError, check_columns
from custseg.profiling._words import counted
from custseg.stats import effective_sample_size

Vector = NDArray[np.float64]


def read_weights(weights: Any, customers: pd.DataFrame, ids: pd.Index) -> tuple[Vector, list[str]]:
    """Return one weight per customer, with mean 1, and a note on what unequal weights cost.

    Parameters
    ----------
    weights
        ``None``, the name of a column, a Series by customer id, or an array by position.
    customers
        The customer table.
    ids
        The customers who have a segment, in order.

    Raises
    ------
    ColumnError
        If there is no such column.
    DataError
        If the weights do not fit the customers, or one is missing, infinite or not above 0.
    """
    if weights is None:
        return np.ones(len(ids)), []
    if isinstance(weights, str):
        check_columns(customers.columns, [weights], where="the customer table")
        weights = customers[weights]
    if not isinstance(weights, pd.Series):
        if np.shape(weights) != (len(customers),):
            raise DataError(
                f"weights has the shape {np.shape(weights)}, but there are "
                f"{counted(len(customers), 'customer')}. Give one weight each, best as a Series "
                "indexed by customer_id."
            )
        weights = pd.Series(np.asarray(weights), index=customers.index)
    if not weights.index.is_unique:
        raise DataError("weights has more than one weight for a customer: give one for each.")
    try:
        values = weights.reindex(ids).to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError("weights holds text. Make it numbers first.") from None
    wrong = ~(values > 0) | np.isinf(values)
    if wrong.any():
        raise DataError(
            f"the weight of {counted(int(wrong.sum()), 'customer')} with a segment is missing, "
            "infinite or not above 0. Leave these customers out, or give them a weight."
        )
    size = effective_sample_size(values)
    note = (
        f"weighted: shares, means and tests stand for the population of the weights; "
        f"{counted(len(values), 'customer')} are worth {size:,.0f} of equal weight (Kish)."
    )
    return values / values.mean(), [note]


def without_weights(customers: pd.DataFrame, weights: Any) -> pd.DataFrame:
    """Return the customer table without its column of weights, which describes nobody."""
    named = isinstance(weights, str) and weights in customers.columns
    return customers.drop(columns=weights) if named else customers
