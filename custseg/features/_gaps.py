"""Missing values: refused, or put at the mean and marked."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import DataError

Matrix = NDArray[np.float64]
Groups = tuple[tuple[int, ...], ...]
"""The positions of variables that the same customers lack, group by group."""


def refuse_missing(values: pd.Series) -> None:
    """Raise `DataError` if a value is missing."""
    missing = int(values.isna().sum())
    if missing:
        raise DataError(
            f"column {values.name!r} has {missing:,} missing (NaN) of {len(values):,} values. Fill "
            "them with a value you can defend, set these customers aside, leave the column out, or "
            "use Encoder(missing='impute')."
        )


def lacked_together(lacking: NDArray[np.bool_]) -> Groups:
    """Return which variables the same customers lack.

    Parameters
    ----------
    lacking
        Customers x variables.

    Examples
    --------
    >>> lacked_together(np.array([[True, False, True], [False, False, False]]))
    ((0, 2),)
    """
    groups: dict[bytes, list[int]] = {}
    for position in np.flatnonzero(lacking.any(axis=0)).tolist():
        groups.setdefault(lacking[:, position].tobytes(), []).append(position)
    return tuple(tuple(group) for group in groups.values())


def marks(lacking: NDArray[np.bool_], groups: Groups) -> Matrix:
    """Return for each group of variables the share of them that each customer lacks."""
    shares = [lacking[:, list(group)].mean(axis=1) for group in groups]
    return np.column_stack(shares) if shares else np.empty((len(lacking), 0))


def share_lacking(marked: Matrix, groups: Sequence[Sequence[int]], n_variables: int) -> Matrix:
    """Return rows x variables from the marks of the groups; 0 for a variable in none."""
    share = np.zeros((len(marked), n_variables))
    for position, group in enumerate(groups):
        share[:, list(group)] = marked[:, [position]]
    return share
