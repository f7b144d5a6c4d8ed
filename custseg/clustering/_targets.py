"""What a tree predicts: read from a column, and measured on customers who did not grow the tree."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from custseg import stats
from custseg.errors import DataError
from custseg.features._treatments import numbers_of

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A target as numbers.

    Parameters
    ----------
    name
        The name of the column.
    kind
        ``"number"``; ``"share"`` of a boolean, or of a number that is 0 or 1; ``"levels"``.
    levels
        The categories.
    values
        Customers x 1, or customers x levels with a one for the customer's own.
    known
        Who has a target.
    """

    name: Any
    kind: str
    levels: tuple[Any, ...]
    values: Matrix
    known: NDArray[np.bool_]

    def scaled(self, rows: NDArray[np.int64]) -> Matrix:
        """Return the values of some customers, a number in standard deviations."""
        values = self.values[rows]
        spread = values.std(axis=0) if self.kind == "number" else 1.0
        return (values - values.mean(axis=0)) / np.where(spread == 0, 1.0, spread)


def beside(y: ArrayLike, frame: pd.DataFrame) -> pd.Series:
    """Return `y` as a column beside the table, a Series matched by customer id."""
    values = y if isinstance(y, pd.Series) else pd.Series(np.asarray(y).ravel())
    if len(values) != len(frame):
        raise DataError(f"y has {len(values):,} values for {len(frame):,} customers.")
    if isinstance(y, pd.Series) and not values.index.equals(frame.index):
        if not values.index.is_unique or not frame.index.isin(values.index).all():
            raise DataError("y and the customer table have different customer ids.")
        values = values.reindex(frame.index)
    return values.set_axis(frame.index).rename("y" if values.name is None else values.name)


def read_target(values: pd.Series) -> Target:
    """Return a column as a target.

    Raises
    ------
    DataError
        If nobody has a target, all have the same, or a number is infinite.
    """
    name, known = values.name, values.notna().to_numpy()
    distinct = values.dropna().nunique()
    if distinct < 2:
        raise DataError(
            f"the target {name!r} has {distinct} distinct value(s) among {int(known.sum()):,} "
            "customers who have one: there is nothing to differ in."
        )
    if pd.api.types.is_numeric_dtype(values):
        numbers = numbers_of(values)[:, None]
        share = bool(np.isin(numbers[known], (0, 1)).all())
        return Target(name, "share" if share else "number", (), numbers, known)
    if pd.api.types.is_datetime64_any_dtype(values):
        raise DataError(f"the target {name!r} holds dates. Turn it into days first.")
    codes, levels = pd.factorize(values.astype(object), sort=False)
    order = sorted(range(len(levels)), key=lambda place: str(levels[place]))
    one_hot = (codes[:, None] == np.array(order)).astype(float)
    return Target(name, "levels", tuple(levels[place] for place in order), one_hot, known)


def judge(
    target: Target, segments: NDArray[np.int64], weights: Matrix, n_segments: int
) -> dict[str, Any]:
    """Return the target of each segment, with 95% intervals, as columns of a table.

    Parameters
    ----------
    target
        The target.
    segments
        The segment of each customer who is asked, -1 for the others.
    weights
        How many customers each row stands for.
    n_segments
        The number of segments.
    """
    asked = (segments >= 0) & target.known
    place, mass, values = segments[asked], weights[asked], target.values[asked]
    total = np.bincount(place, mass, minlength=n_segments)
    sums = np.column_stack([np.bincount(place, mass * v, minlength=n_segments) for v in values.T])
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / total[:, None]
    columns: dict[str, Any] = {"n_judged": np.bincount(place, minlength=n_segments)}
    if target.kind == "number":
        squares = np.bincount(place, mass * (values[:, 0] - means[place, 0]) ** 2, n_segments)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt(squares / (total - 1))
        columns["mean"] = means[:, 0]
        interval = stats.mean_interval(means[:, 0], np.where(total > 1, spread, np.nan), total)
    elif target.kind == "share":
        columns["share_yes"] = means[:, 0]
        interval = stats.wilson(sums[:, 0], total)
    else:
        best = np.nan_to_num(means).argmax(axis=1)
        seen = total > 0
        columns["level"] = [
            target.levels[place] if known else None for place, known in zip(best, seen, strict=True)
        ]
        columns["share_level"] = means[np.arange(n_segments), best]
        interval = stats.wilson(sums[np.arange(n_segments), best], total)
    columns["ci_low"], columns["ci_high"] = interval
    return columns
