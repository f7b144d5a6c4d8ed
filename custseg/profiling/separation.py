"""How far segments stand apart in a plane: principal components or discriminant axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from custseg.errors import DataError, check_number, check_option
from custseg.profiling._columns import Column, column_names, read_columns
from custseg.profiling._customers import read_customers
from custseg.profiling._placement import draw
from custseg.profiling._words import percent
from custseg.profiling.membership import FEWEST
from custseg.results import Result

Matrix = NDArray[np.float64]

METHODS = ("pca", "discriminant")
AXES = ("axis_1", "axis_2")


@dataclass(frozen=True, repr=False, eq=False)
class Separation(Result):
    """Segments in a plane; made by `separation`.

    Attributes
    ----------
    table : pandas.DataFrame
        The table of `to_frame`.
    axes : pandas.DataFrame
        Index ``axis``; ``explained``, the share of all variance (principal components) or of what
        lies between segments (discriminant axes); ``between``, the share of the variance along the
        axis that lies between segments.
    loadings : pandas.DataFrame
        Variables x axes: correlations.
    points : pandas.DataFrame
        ``segment``, ``axis_1`` and ``axis_2`` of the customers shown; no ids.
    method : str
        ``"pca"`` or ``"discriminant"``.
    notes : tuple of str
        What the picture does not say.
    """

    table: pd.DataFrame
    axes: pd.DataFrame
    loadings: pd.DataFrame
    points: pd.DataFrame
    method: str
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "profiling_pictures.separation"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment: what the picture shows, in numbers.

        Returns
        -------
        pandas.DataFrame
            Index ``segment``; ``n`` customers shown; the mean and standard deviation along both
            axes (``axis_1``, ``axis_1_sd``, …); ``nearest``, the segment whose centre is the
            nearest; and ``nearer_other``, the share of its customers who stand nearer to the centre
            of another segment than to their own.
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return how much the plane shows, and which segments overlap most."""
        shown = self.axes["explained"].sum()
        what = "of all variance" if self.method == "pca" else "of what lies between segments"
        between = " and ".join(percent(part) for part in self.axes["between"])
        worst = self.table["nearer_other"].idxmax()
        row = self.table.loc[worst]
        return (
            f"the plane shows {percent(shown)} {what}; along its axes {between} of the variance "
            f"lies between segments. {worst} overlaps most: {percent(row['nearer_other'])} of its "
            f"customers stand nearer to another centre (its nearest neighbour is {row['nearest']})."
        )


def separation(
    customers: pd.DataFrame,
    segments: Any,
    *,
    variables: Sequence[str] | None = None,
    method: str = "pca",
    random_state: int = 0,
) -> Separation:
    """Project customers into the plane in which they, or their segments, differ most.

    Parameters
    ----------
    customers
        One row per customer. Numbers are standardised and categories weigh as in factor analysis of
        mixed data, so give skewed numbers as the model saw them: in logarithms, or as
        ``model.encoder_.transform(customers[model.variables_])``.
    segments
        As in `profile`.
    variables
        The columns; ``None`` takes all.
    method
        ``"pca"``: the plane in which customers differ most, which knows nothing of the segments.
        ``"discriminant"``: the one in which segments differ most; it is learned from half of the
        customers and shows the other half, because the half that it is learned from would look
        separate even in noise.
    random_state
        The seed that halves the customers.

    Returns
    -------
    Separation
        With the numbers behind the picture, and `plot`.

    Raises
    ------
    ColumnError
        If a named column is missing.
    DataError
        If there is one segment only, or one too small to be halved, fewer than two columns vary, or
        a value is missing.
    ParameterError
        If there is no such method.

    References
    ----------
    Pagès, J. (2004), Revue de Statistique Appliquée 52(4), 93-111 (mixed data). Fisher, R. A.
    (1936), Annals of Eugenics 7, 179-188.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> gold = np.arange(200) < 80
    >>> customers = pd.DataFrame({"orders": rng.normal(8 * gold), "spend": rng.normal(8 * gold)})
    >>> found = separation(customers, np.where(gold, "Gold", "Basic"))
    >>> found.to_frame()[["n", "nearest", "nearer_other"]]
               n nearest  nearer_other
    segment
    Basic    120    Gold           0.0
    Gold      80   Basic           0.0
    """
    check_option(method, "method", METHODS)
    check_number(random_state, "random_state", ge=0, integer=True)
    read = read_customers(customers, segments)
    if len(read.names) < 2:
        raise DataError("there is one segment only: nothing is to be separated.")
    columns = read_columns(read.frame, column_names(read.frame, variables))
    matrix, names = _coded(columns)
    shown = np.arange(len(matrix))
    if method == "pca":
        weights, explained = _components(matrix)
    else:
        if (sizes := np.bincount(read.codes)).min() < FEWEST:
            raise DataError(
                f"{read.names[int(sizes.argmin())]!r} has {sizes.min()} customers, too few to "
                f"learn axes from half of them: {FEWEST} are needed. Take method='pca'."
            )
        halves, _ = draw(read.codes, 0.5, np.random.default_rng(random_state))
        learned, shown = np.flatnonzero(~halves), np.flatnonzero(halves)
        weights, explained = _discriminants(matrix[learned], read.codes[learned], len(read.names))
    plane = matrix @ weights
    plane = plane[shown] / plane[shown].std(axis=0)
    codes = read.codes[shown]
    loadings = pd.DataFrame(_correlations(matrix[shown], plane), index=names, columns=list(AXES))
    flip = np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
    plane, loadings = plane * flip, loadings * flip
    axes = pd.DataFrame(
        {"explained": explained, "between": _between(plane, codes)},
        index=pd.Index(AXES, name="axis"),
    )
    points = pd.DataFrame(plane, columns=list(AXES))
    points.insert(0, "segment", pd.Categorical.from_codes(codes, list(read.names), ordered=True))
    return Separation(
        table=_table(plane, codes, read.names),
        axes=axes,
        loadings=loadings,
        points=points,
        method=method,
        notes=(*_notes(method, len(shown), len(matrix)), *read.notes),
    )


def _coded(columns: Sequence[Column]) -> tuple[Matrix, list[str]]:
    """Return standardised numbers, and categories as indicators over the root of their share."""
    parts, names = [], []
    for column in columns:
        if column.gaps:
            raise DataError(
                f"the column {column.name!r} has missing values: fill them with a value that you "
                "can defend, or leave it out."
            )
        if column.kind == "level" and len(column.levels) > 2:
            for code, level in enumerate(column.levels):
                one = (column.values == code).astype(float)
                parts.append((one - one.mean()) / np.sqrt(one.mean()))
                names.append(f"{column.name}: {level}")
        elif (sd := column.values.std()) > 0:
            parts.append((column.values - column.values.mean()) / sd)
            names.append(str(column.name))
    if len(parts) < 2:
        raise DataError("a plane needs at least two columns in which customers differ.")
    return np.column_stack(parts), names


def _components(matrix: Matrix) -> tuple[Matrix, Matrix]:
    values, vectors = linalg.eigh(matrix.T @ matrix / len(matrix))
    return vectors[:, [-1, -2]], values[[-1, -2]] / values.sum()


def _discriminants(matrix: Matrix, codes: NDArray[np.int64], k: int) -> tuple[Matrix, Matrix]:
    """Return the two axes along which segments differ most, measured by the spread within."""
    one = np.eye(k)[codes]
    n = np.maximum(one.sum(axis=0), 1)
    means = (one.T @ matrix) / n[:, None]
    inside = matrix - means[codes]
    within = inside.T @ inside / len(matrix)
    ridge = 1e-6 * np.trace(matrix.T @ matrix) / len(matrix) / matrix.shape[1]
    centred = (means - matrix.mean(axis=0)) * np.sqrt(n / len(matrix))[:, None]
    values, vectors = linalg.eigh(centred.T @ centred, within + ridge * np.eye(len(within)))
    return vectors[:, [-1, -2]], np.maximum(values[[-1, -2]], 0) / values.clip(min=0).sum()


def _correlations(matrix: Matrix, plane: Matrix) -> Matrix:
    centred = matrix - matrix.mean(axis=0)
    scaled = centred / np.maximum(centred.std(axis=0), 1e-300)
    return scaled.T @ ((plane - plane.mean(axis=0)) / plane.std(axis=0)) / len(plane)


def _between(plane: Matrix, codes: NDArray[np.int64]) -> Matrix:
    n = np.bincount(codes).astype(float)
    means = np.column_stack([np.bincount(codes, axis) for axis in plane.T]) / n.clip(1)[:, None]
    gaps = (means - plane.mean(axis=0)) ** 2 * n[:, None]
    return np.asarray(gaps.sum(axis=0) / ((plane - plane.mean(axis=0)) ** 2).sum(axis=0))


def _table(plane: Matrix, codes: NDArray[np.int64], names: Sequence[str]) -> pd.DataFrame:
    k = len(names)
    n = np.bincount(codes, minlength=k)
    centres = np.column_stack([np.bincount(codes, axis, k) for axis in plane.T]) / n[:, None]
    squares = np.column_stack(
        [np.bincount(codes, (plane[:, a] - centres[codes, a]) ** 2, k) for a in (0, 1)]
    )
    gaps = ((plane[:, None] - centres[None]) ** 2).sum(axis=2)
    own = gaps[np.arange(len(codes)), codes]
    nearer = np.bincount(codes, gaps.min(axis=1) < own, k) / n
    apart = ((centres[:, None] - centres[None]) ** 2).sum(axis=2) + np.diag([np.inf] * k)
    sd = np.sqrt(squares / n[:, None])
    return pd.DataFrame(
        {
            "n": n,
            "axis_1": centres[:, 0],
            "axis_1_sd": sd[:, 0],
            "axis_2": centres[:, 1],
            "axis_2_sd": sd[:, 1],
            "nearest": [names[place] for place in apart.argmin(axis=1)],
            "nearer_other": nearer,
        },
        index=pd.Index(names, name="segment"),
    )


def _notes(method: str, shown: int, n: int) -> list[str]:
    flat = (
        "a plane hides what lies in other directions: segments that overlap here may stand apart "
        "there."
    )
    if method == "pca":
        return [flat]
    halves = (
        f"the axes were learned from {n - shown:,} customers and show the other {shown:,}; "
        "segments were made from all of them, so that separation is no evidence of gaps."
    )
    return [halves, flat]
