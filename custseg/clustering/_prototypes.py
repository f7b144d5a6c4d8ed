"""Prototypes of rows with numbers and levels: the best of several starts, and none without rows."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from custseg._kernels.modes import Rows, assign, gather, sweep
from custseg.clustering._columns import Codes, Levels, Matrix
from custseg.clustering._inputs import check_distinct
from custseg.errors import DataError

Start = tuple[Matrix, Codes]


class Solution(NamedTuple):
    """Prototypes as means (k x numeric columns) and modes (k x categorical columns), and the rest.

    ``labels`` has the nearest prototype of every row, the first of equal ones; ``cost`` is the
    weighted sum of the dissimilarities, ``n_iter`` the number of passes over the rows.
    """

    means: Matrix
    modes: Codes
    labels: NDArray[np.int64]
    cost: float
    n_iter: int


def gather_rows(
    numbers: Matrix, codes: Codes, weights: Matrix, levels: list[Levels], mean: Matrix, gamma: float
) -> Rows:
    """Return rows ready for the compiled loops, with the prototype of all of them.

    Parameters
    ----------
    numbers
        Numeric columns x rows, NaN where missing.
    codes
        Categorical columns x rows, -1 where missing.
    weights
        A positive weight per row.
    levels
        The levels of each categorical column.
    mean
        The mean of each numeric column.
    gamma
        What a level that differs counts.
    """
    mode = np.empty(len(levels), np.int32)
    for j, code in enumerate(codes):
        known = code >= 0
        mode[j] = np.bincount(code[known], weights[known]).argmax()
    offsets = np.cumsum([0, *map(len, levels)], dtype=np.int64)
    return Rows(numbers, codes, weights, offsets, mean, mode, gamma, weights.min() / 2)


def moments(numbers: Matrix, weights: Matrix) -> tuple[Matrix, Matrix]:
    """Return the weighted mean and standard deviation of every column, missing values left out.

    Both are added up as NumPy's ``std`` does it column by column.
    """
    means, deviations = np.empty(len(numbers)), np.empty(len(numbers))
    with np.errstate(all="ignore"):  # a column without values has none, one of huge values infinity
        for v, column in enumerate(numbers):
            known = ~np.isnan(column)
            values, mass = column[known], weights[known]
            means[v] = np.sum(mass * values) / mass.sum()
            deviations[v] = np.sqrt(np.sum(mass * (values - means[v]) ** 2) / mass.sum())
    return means, deviations


def check_clusters(n_clusters: int, numbers: Matrix, codes: Codes) -> None:
    """Raise `ParameterError` unless as many rows as clusters are distinct."""
    seen = set()
    for number, code in zip((numbers + 0.0).T, codes.T, strict=True):
        seen.add((number.tobytes(), code.tobytes()))
        if len(seen) == n_clusters:
            return
    check_distinct(n_clusters, len(seen), name="n_clusters")


def find_prototypes(rows: Rows, starts: Iterable[Start], max_iter: int) -> Solution:
    """Return the solution with the least cost over several starts, the first of equal ones."""
    found = (_from_start(rows, means, modes, max_iter) for means, modes in starts)
    return min(found, key=lambda solution: solution.cost)


def _from_start(rows: Rows, means: Matrix, modes: Codes, max_iter: int) -> Solution:
    """Return what Huang's iteration makes of a start.

    A prototype that ends without rows is put where the farthest row is, and the iteration goes on.
    """
    labels, apart = np.empty(len(rows.weights), np.int64), np.empty(len(rows.weights))
    cost = _assign(rows, means, modes, labels, apart)
    passes = 0
    while True:
        filled = _fill_empty(rows, means, modes, labels, apart)
        if passes == max_iter or (passes and filled is None):
            return Solution(means, modes, labels, cost if filled is None else filled, passes)
        cost, more = _descend(rows, means, modes, labels, apart, max_iter - passes)
        passes += more


def _descend(
    rows: Rows,
    means: Matrix,
    modes: Codes,
    labels: NDArray[np.int64],
    apart: Matrix,
    max_iter: int,
) -> tuple[float, int]:
    """Move rows and prototypes until no row moves or the cost falls no more.

    Returns
    -------
    tuple of float and int
        The cost, and the number of passes over the rows.
    """
    own, members = labels.copy(), np.bincount(labels, minlength=len(means))
    made_of = gather(rows, own, means, modes)
    cost, passes = np.inf, 0
    while True:
        before, cost = cost, _assign(rows, means, modes, labels, apart)
        if cost >= before or passes == max_iter:
            return cost, passes
        passes += 1
        if sweep(rows, own, members, means, modes, *made_of) == 0:
            return cost, passes


def _assign(
    rows: Rows, means: Matrix, modes: Codes, labels: NDArray[np.int64], apart: Matrix
) -> float:
    return assign(rows.numbers, rows.codes, rows.weights, rows.gamma, means, modes, labels, apart)


def _fill_empty(
    rows: Rows, means: Matrix, modes: Codes, labels: NDArray[np.int64], apart: Matrix
) -> float | None:
    """Put every prototype without rows where the farthest row is; return the cost if there was one.

    Raises
    ------
    DataError
        If no row is apart from all prototypes.
    """
    k, cost = len(means), None
    while True:
        members = np.bincount(labels, minlength=k)
        if members.all():
            return cost
        far, empty = int(apart.argmax()), int(members.argmin())
        if apart[far] <= 0:
            raise too_few(int(np.count_nonzero(members)), k)
        means[empty], modes[empty] = as_prototypes(rows, far)
        cost = _assign(rows, means, modes, labels, apart)


def as_prototypes(rows: Rows, chosen: "int | NDArray[np.integer]") -> Start:
    """Return rows as prototypes; that of all rows fills their gaps."""
    return fill_gaps(rows, rows.numbers[:, chosen].T, rows.codes[:, chosen].T)


def fill_gaps(rows: Rows, numbers: Matrix, codes: Codes) -> Start:
    """Return prototypes with that of all rows in their gaps."""
    means = np.where(np.isnan(numbers), rows.mean, numbers)
    modes = np.where(codes < 0, rows.mode, codes)
    return np.ascontiguousarray(means), np.ascontiguousarray(modes)


def too_few(found: int, n_clusters: int) -> DataError:
    """Return the error for rows that differ, but in nothing that counts."""
    return DataError(
        f"n_clusters is {n_clusters}, but the rows are only told apart into {found} groups: others "
        "differ in what is missing, or in levels when gamma is 0. Ask for fewer clusters."
    )
