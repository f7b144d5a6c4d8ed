"""The order and the names of segments: the same in every run."""

from string import ascii_uppercase

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def segment_names(n: int) -> list[str]:
    """Return the first `n` of A, B, …, Z, AA, AB, ….

    Examples
    --------
    >>> segment_names(28)[-3:]
    ['Z', 'AA', 'AB']
    """

    def name(position: int) -> str:
        rest, letter = divmod(position, 26)
        return (name(rest - 1) if rest else "") + ascii_uppercase[letter]

    return [name(position) for position in range(n)]


def canonical_order(
    labels: NDArray[np.integer],
    matrix: NDArray[np.float64],
    order_by: NDArray[np.float64] | None = None,
) -> NDArray[np.integer]:
    """Return the labels (noise, below 0, left out) in canonical order.

    Parameters
    ----------
    labels
        A whole number per customer.
    matrix
        Customers x encoded variables, whose means break ties (the higher first).
    order_by
        The value whose mean decides, highest first; ``None`` orders by decreasing size.

    Examples
    --------
    >>> canonical_order(np.array([0, 0, 1, 1, 1, -1]), np.zeros((6, 1)))
    array([1, 0])
    """

    def key(label: int) -> tuple[float, ...]:
        members = labels == label
        first = members.sum() if order_by is None else order_by[members].mean()
        return (-float(first), *(-matrix[members].mean(axis=0)))

    return np.array(sorted(np.unique(labels[labels >= 0]), key=key), dtype=int)


def as_codes(labels: NDArray[np.integer], order: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the position of each label in `order`, -1 for a label that is not there."""
    places = np.full(max(labels.max(initial=0), order.max(initial=0)) + 1, -1)
    places[order] = np.arange(len(order))
    return np.where(labels >= 0, places[labels], -1)


def as_segments(codes: NDArray[np.integer], names: list[str], index: pd.Index) -> pd.Series:
    """Return codes as an ordered categorical Series named ``segment``, -1 as ``<NA>``."""
    values = pd.Categorical.from_codes(codes, categories=names, ordered=True)
    return pd.Series(values, index=index.rename("customer_id"), name="segment")
