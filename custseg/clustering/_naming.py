"""The order and the names of segments: the same in every run."""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._labels import ALL
from custseg.errors import ParameterError, check_option

"""The name that results give to all customers together."""


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
    *,
    n_labels: int = 0,
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
    n_labels
        The number of labels there are; those that nobody has come last.

    Examples
    --------
    >>> canonical_order(np.array([0, 0, 1, 1, 1, -1]), np.zeros((6, 1)), n_labels=3)
    array([1, 0, 2])
    """

    def key(label: int) -> tuple[float, ...]:
        members = labels == label
        first = members.sum() if order_by is None else order_by[members].mean()
        known = ~np.isnan(matrix[members])
        sums = np.where(known, matrix[members], 0.0).sum(axis=0)
        return (-float(first), *(-sums / np.maximum(known.sum(axis=0), 1)))

    taken = sorted(np.unique(labels[labels >= 0]).tolist(), key=key)
    return np.array(
        [*taken, *(label for label in range(n_labels) if label not in taken)], dtype=int
    )


def as_codes(labels: NDArray[np.integer], order: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the position of each label in `order`, -1 for a label that is not there."""
    places = np.full(int(max(labels.max(initial=0), order.max(initial=0))) + 1, -1)
    places[order] = np.arange(len(order))
    return np.where(labels >= 0, places[labels], -1)


def as_segments(codes: NDArray[np.integer], names: list[str], index: pd.Index) -> pd.Series:
    """Return codes as an ordered categorical Series named ``segment``, -1 as ``<NA>``."""
    values = pd.Categorical.from_codes(codes, categories=names, ordered=True)
    return pd.Series(values, index=index.rename("customer_id"), name="segment")


def changed_names(names: list[str], changes: Any) -> list[str]:
    """Return names of segments with some of them changed.

    Parameters
    ----------
    names
        The names so far.
    changes
        Name so far to new name.

    Raises
    ------
    ParameterError
        If a name does not exist, a new one is no text, is reserved, or would be there twice.

    Examples
    --------
    >>> changed_names(["A", "B"], {"A": "Champions"})
    ['Champions', 'B']
    """
    if not isinstance(changes, Mapping):
        raise ParameterError(
            f"names is {changes!r}, but must map names to new ones, as in "
            f"{{{names[0]!r}: 'Champions'}}."
        )
    for old, new in changes.items():
        check_option(old, "a name to change", names)
        if not isinstance(new, str) or not new.strip() or new == ALL:
            raise ParameterError(
                f"the new name of {old!r} is {new!r}, but must be text other than {ALL!r}, which "
                "stands for all customers."
            )
    found = [changes.get(name, name) for name in names]
    twice = [name for name in found if found.count(name) > 1]
    if twice:
        raise ParameterError(
            f"two segments would be called {twice[0]!r}. Change the other name in the same call."
        )
    return found
