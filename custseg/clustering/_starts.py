"""Where k-modes and k-prototypes begin: rows that are chosen, or prototypes that are given."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from custseg._kernels.modes import Rows, dissimilarities
from custseg.clustering._columns import Codes, Levels, Matrix, as_numbers, code_levels
from custseg.clustering._prototypes import Start, as_prototypes, fill_gaps, moments, too_few
from custseg.errors import ParameterError, nearest

Pick = Callable[[int, Matrix], int]
"""From the number of rows chosen so far, and how far each row is from them, to the next row."""


def choose_starts(
    method: str, rows: Rows, n_clusters: int, n_init: int, rng: np.random.Generator
) -> Iterator[Start]:
    """Yield starts that are rows, no two of them equal; one if the method leaves nothing to chance.

    Parameters
    ----------
    method
        A name of `METHODS`.
    rows
        The rows.
    n_clusters, n_init
        The number of prototypes of a start, and of starts.
    rng
        The source of chance.

    Raises
    ------
    DataError
        If the rows cannot be told apart into as many groups.
    """
    for _ in range(1 if method == "cao" else n_init):
        pick = METHODS[method](rows, n_clusters, rng)
        means = np.empty((n_clusters, len(rows.mean)))
        modes = np.empty((n_clusters, len(rows.mode)), np.int32)
        apart = np.ones(len(rows.weights))
        for c in range(n_clusters):
            if apart.max() <= 0:
                raise too_few(c, n_clusters)
            means[c], modes[c] = as_prototypes(rows, pick(c, apart))
            if c < n_clusters - 1:
                distances = _from_prototype(rows, means[c], modes[c])
                apart = np.minimum(apart, distances) if c else distances
        yield means, modes


def _from_prototype(rows: Rows, mean: Matrix, mode: Codes) -> Matrix:
    return dissimilarities(rows.numbers, rows.codes, rows.gamma, mean[None], mode[None])[0]


def _random(rows: Rows, _: int, rng: np.random.Generator) -> Pick:
    """Choose rows at random, in proportion to their weights."""
    order = rng.exponential(size=len(rows.weights)) / rows.weights
    return lambda _, apart: int(np.where(apart > 0, order, np.inf).argmin())


def _huang(rows: Rows, n_clusters: int, rng: np.random.Generator) -> Pick:
    """Draw every value of a prototype on its own, and choose the row that is nearest to it."""
    d, m = len(rows.numbers), len(rows.codes)
    shares = rows.weights / rows.weights.sum()
    drawn = rng.choice(len(shares), (n_clusters, d + m), p=shares)
    means, modes = fill_gaps(
        rows, rows.numbers[np.arange(d), drawn[:, :d]], rows.codes[np.arange(m), drawn[:, d:]]
    )

    def pick(c: int, apart: Matrix) -> int:
        return int(np.where(apart > 0, _from_prototype(rows, means[c], modes[c]), np.inf).argmin())

    return pick


def _plus_plus(rows: Rows, n_clusters: int, rng: np.random.Generator) -> Pick:
    """Draw in proportion to the dissimilarity from what is chosen; of several, take the best."""
    trials = 2 + int(np.log(n_clusters))

    def pick(c: int, apart: Matrix) -> int:
        mass = np.cumsum(rows.weights * apart)
        uniforms = rng.random(trials if c else 1)
        drawn = np.searchsorted(mass, uniforms * mass[-1], side="right")
        drawn = np.minimum(drawn, len(mass) - 1)
        if len(drawn) == 1:
            return int(drawn[0])
        candidates = as_prototypes(rows, drawn)
        distances = dissimilarities(rows.numbers, rows.codes, rows.gamma, *candidates)
        left = np.minimum(distances, apart) @ rows.weights
        return int(drawn[left.argmin()])

    return pick


def _cao(rows: Rows, _: int, __: np.random.Generator) -> Pick:
    """Choose the densest row, then the one with the largest product of density and dissimilarity.

    The density of a row is the mean share of the rows that have its levels; a number counts
    1 / (1 + z²), with z the distance from the mean in standard deviations.
    """
    numbers, codes, weights = rows.numbers, rows.codes, rows.weights
    columns = len(numbers) + len(codes)
    density = np.zeros(len(weights))
    for code in codes:
        counts = np.bincount(code[code >= 0], weights[code >= 0])
        density += np.append(counts, 0.0)[code] / weights.sum() / columns
    deviation = moments(numbers, weights)[1]
    for number, mean, spread in zip(numbers, rows.mean, deviation, strict=True):
        near = 1 / (1 + ((number - mean) / (spread or 1.0)) ** 2)
        density += np.nan_to_num(near) / columns
    return lambda _, apart: int((density * apart).argmax())


METHODS: dict[str, Callable[[Rows, int, np.random.Generator], Pick]] = {
    "huang": _huang,
    "cao": _cao,
    "random": _random,
    "k-means++": _plus_plus,
}


def read_starts(
    init: Any, n_clusters: int, frame: pd.DataFrame, categorical: list[int], levels: list[Levels]
) -> Start:
    """Return starts that are given as means, NaN where missing, and codes, -1 where missing.

    Parameters
    ----------
    init
        k x columns, or a pair of k x numeric and k x categorical columns. Categories are values of
        the columns; where one is not, but all are whole numbers that count the sorted levels from
        0, they are these positions.
    n_clusters
        The k that is needed.
    frame
        The table, whose columns they are.
    categorical
        The positions of the categorical columns.
    levels
        Their levels.

    Raises
    ------
    DataError
        If something else than a finite number stands in a numeric column.
    ParameterError
        If the shape is another, or a level is none of its column.
    """
    columns = list(frame.columns)
    numeric = [position for position in range(len(columns)) if position not in categorical]
    if isinstance(init, tuple | list) and len(init) == 2 and np.ndim(init[0]) == 2:
        first = _table(init[0], n_clusters, [columns[position] for position in numeric])
        second = _table(init[1], n_clusters, [columns[position] for position in categorical])
    else:
        given = _table(init, n_clusters, columns)
        first, second = given.iloc[:, numeric], given.iloc[:, categorical]
    means = [as_numbers(first.iloc[:, v]) for v in range(len(numeric))]
    return np.column_stack([np.empty((n_clusters, 0)), *means]), _codes(second, levels)


def _table(part: Any, n_clusters: int, names: list[Any]) -> pd.DataFrame:
    values = np.asarray(part, dtype=object)
    if values.shape != (n_clusters, len(names)):
        raise ParameterError(
            f"init has the shape {values.shape}, but {n_clusters} clusters by {len(names)} columns "
            f"({', '.join(map(repr, names[:6]))}{', ...' if len(names) > 6 else ''}) are needed."
        )
    return pd.DataFrame(values).infer_objects().set_axis(names, axis=1)


def _codes(table: pd.DataFrame, levels: list[Levels]) -> Codes:
    pairs = [(table.iloc[:, j], known) for j, known in enumerate(levels)]
    codes = [code_levels(values, known) for values, known in pairs]
    strange = [
        (values[code == len(known)].tolist()[0], values.name, known)
        for (values, known), code in zip(pairs, codes, strict=True)
        if (code == len(known)).any()
    ]
    if strange and all(_are_positions(values, known) for values, known in pairs):
        codes = [values.to_numpy(dtype=int) for values, _ in pairs]
    elif strange:
        value, name, known = strange[0]
        raise ParameterError(
            f"init has {value!r} in column {name!r}, which is none of its levels: "
            f"{', '.join(map(repr, known[:6]))}{', ...' if len(known) > 6 else ''}."
            f"{nearest(value, known)}"
        )
    return np.column_stack(codes).astype(np.int32) if codes else np.empty((len(table), 0), np.int32)


def _are_positions(values: pd.Series, levels: Levels) -> bool:
    if not pd.api.types.is_numeric_dtype(values) or values.isna().any():
        return False
    return bool(values.between(0, len(levels) - 1).all() and (values % 1 == 0).all())
