"""The items of latent classes: what each column is, and rows as the kernel takes them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import ColumnError, DataError, ParameterError, check_option
from custseg.features._levels import in_order, places, two_levels, without_order
from custseg.features._treatments import numbers_of
from custseg.features.dictionary import infer_kind

Matrix = NDArray[np.float64]
Places = NDArray[np.int64]

KINDS = ("binary", "nominal", "ordinal", "gaussian")
MOST_LEVELS = 100
LEAST_VARIANCE = 1e-4
"""The least variance of a number within a class, as a share of its variance over all customers."""


class Layout(NamedTuple):
    """Where the items stand in a solution; `custseg._kernels.latent_class` says what its rows are.

    `names` and `numbers` are the categorical items with their levels and the numbers that vary;
    `items`, `scores` and `floors` are what the kernel takes.
    """

    names: tuple[Any, ...]
    levels: tuple[Sequence[Any], ...]
    numbers: tuple[Any, ...]
    items: Places
    scores: Matrix
    floors: Matrix

    @property
    def end(self) -> int:
        """The row after the last level."""
        return len(self.scores)

    @property
    def n_rows(self) -> int:
        """The rows of a solution."""
        return self.end + 2 * len(self.numbers) + int((self.items[:, 2] > 0).sum())

    def n_parameters(self, k: int) -> int:
        """Return the number of free parameters of `k` classes."""
        n = k - 1 + 2 * k * len(self.numbers)
        for low, high, slopes in self.items.tolist():
            n += high - low - 1 + k - 1 if slopes else k * (high - low - 1)
        return n


class Rows(NamedTuple):
    """Distinct rows in an order that does not depend on that of the customers, with counts."""

    cells: Places
    numbers: Matrix
    counts: Matrix


def read_kinds(frame: pd.DataFrame, items: Mapping[Any, str] | None) -> dict[Any, str]:
    """Return what every column is, from `items` or else from its type and values.

    Raises
    ------
    ColumnError
        If an item is neither the name nor the position of a column.
    ParameterError
        If `items` is no mapping, names a kind that does not exist, or a column appears twice.
    """
    names = list(frame.columns)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ParameterError(f"the column {twice!r} appears twice; name each column once.")
    if items is not None and not isinstance(items, Mapping):
        raise ParameterError(
            f"items is a {type(items).__name__}, but must say of columns what they are, as in "
            "{'region': 'nominal', 'age': 'gaussian'}; columns left out are inferred."
        )
    said = {}
    for key, kind in (items or {}).items():
        name = _column(key, names)
        check_option(kind, f"the kind of item {key!r}", KINDS)
        said[name] = kind
    return {name: said.get(name) or _infer(frame[name]) for name in names}


def _column(key: Any, names: Sequence[Any]) -> Any:
    if key in names:
        return key
    if isinstance(key, int | np.integer) and 0 <= key < len(names):
        return names[int(key)]
    raise ColumnError(
        f"items names {key!r}, which is neither a column nor a position below {len(names)}. The "
        f"columns are: {', '.join(repr(name) for name in names[:30])}."
    )


def _infer(values: pd.Series) -> str:
    kind = infer_kind(values)
    if kind == "numeric" and not pd.api.types.is_datetime64_any_dtype(values):
        return "binary" if values.nunique() <= 2 else "gaussian"
    return "gaussian" if kind == "numeric" else kind


def learn_levels(frame: pd.DataFrame, kinds: Mapping[Any, str]) -> dict[Any, list[Any]]:
    """Return the levels that occur in every categorical column, in their order.

    Raises
    ------
    DataError
        If a column has no value at all, a binary one more than two, or a categorical one very
        many; or if an ordinal one has no order.
    """
    levels = {}
    for name, kind in kinds.items():
        values = frame[name]
        if values.isna().all():
            raise DataError(f"column {name!r} has no value at all. Leave it out.")
        if kind == "gaussian":
            continue
        if kind == "ordinal":
            found = in_order(values)
            found = [found[m] for m in np.unique(places(values.dropna(), found))]
        else:
            found = two_levels(values) if kind == "binary" else without_order(values)
        if len(found) > MOST_LEVELS:
            raise DataError(
                f"column {name!r} is {kind}, but has {len(found):,} levels, for example "
                f"{found[0]!r}; at most {MOST_LEVELS} can be told apart by their frequencies. "
                "Group its levels, leave it out, or say that it is a number: "
                f"items={{{name!r}: 'gaussian'}}."
            )
        levels[name] = [int(level) if _is_whole(level) else level for level in found]
    return levels


def _is_whole(level: Any) -> bool:
    return isinstance(level, float) and level.is_integer()


def learn_scores(frame: pd.DataFrame, levels: Mapping[Any, Sequence[Any]]) -> dict[Any, Matrix]:
    """Return a score per level: the number itself, or its position among ordered categories."""
    scores = {}
    for name, own in levels.items():
        if pd.api.types.is_numeric_dtype(frame[name]):
            plain = np.asarray(own, dtype=float)
        elif isinstance(frame[name].dtype, pd.CategoricalDtype):
            plain = frame[name].cat.categories.get_indexer(own).astype(float)
        else:
            plain = np.arange(len(own), dtype=float)
        scores[name] = (plain - plain[0]) / max(plain[-1] - plain[0], 1.0e-300)
    return scores


def lay_out(
    kinds: Mapping[Any, str],
    levels: Mapping[Any, Sequence[Any]],
    scores: Mapping[Any, Matrix],
    scales: Mapping[Any, float],
) -> Layout:
    """Return where the items stand in a solution; a number that does not vary stands nowhere.

    An ordinal item of two levels is free, as a binary one is.
    """
    numbers = tuple(name for name, scale in scales.items() if scale > 0)
    rows, place = [], 1
    end = 1 + sum(len(own) for own in levels.values())
    slopes = end + 2 * len(numbers)
    for name, own in levels.items():
        ordinal = kinds[name] == "ordinal" and len(own) > 2
        rows.append((place, place + len(own), slopes if ordinal else 0))
        place += len(own)
        slopes += ordinal
    return Layout(
        names=tuple(levels),
        levels=tuple(levels.values()),
        numbers=numbers,
        items=np.array(rows, dtype=np.int64).reshape(-1, 3),
        scores=np.concatenate([[0.0], *(scores[name] for name in levels)]),
        floors=np.full(len(numbers), np.log(LEAST_VARIANCE)),
    )


def place_cells(frame: pd.DataFrame, levels: Mapping[Any, Sequence[Any]]) -> Places:
    """Return the row of every answer in a solution; missing and unknown ones after the last."""
    cells = np.empty((len(frame), len(levels)), dtype=np.int64)
    end = 1 + sum(len(own) for own in levels.values())
    low = 1
    for j, (name, own) in enumerate(levels.items()):
        found = places(frame[name], own)
        cells[:, j] = np.where(found < 0, end, low + found)
        low += len(own)
    return cells


def read_numbers(frame: pd.DataFrame, names: Sequence[Any]) -> Matrix:
    """Return the columns that are numbers as floats, NaN where missing."""
    numbers = np.empty((len(frame), len(names)))
    for g, name in enumerate(names):
        numbers[:, g] = numbers_of(frame[name])
    return numbers


def distinct(cells: Places, numbers: Matrix, weights: Matrix) -> Rows:
    """Return the distinct rows that have a weight, with the sums of their weights."""
    used = weights > 0
    cells, numbers, weights = cells[used], numbers[used], weights[used]
    key, n_keys = np.zeros(len(weights), dtype=np.int64), 1
    for column in (*cells.T, *numbers.T):
        values, code = np.unique(column, return_inverse=True)
        if n_keys * len(values) >= 2**62:
            known, key = np.unique(key, return_inverse=True)
            n_keys = len(known)
        key = key * len(values) + code
        n_keys *= len(values)
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    rising = np.argsort(weights, kind="stable")
    counts = np.bincount(place[rising], weights[rising]).astype(float)
    return Rows(cells[first], numbers[first], counts)


def moments(numbers: Matrix, counts: Matrix) -> tuple[Matrix, Matrix]:
    """Return the mean and the standard deviation of every number, over those who have it."""
    known = ~np.isnan(numbers)
    weights = np.where(known, counts[:, None], 0.0)
    total = weights.sum(axis=0)
    mean = (weights * np.where(known, numbers, 0.0)).sum(axis=0) / total
    square = (weights * np.where(known, numbers - mean, 0.0) ** 2).sum(axis=0) / total
    constant = np.array([len(np.unique(column[~np.isnan(column)])) < 2 for column in numbers.T])
    return mean, np.where(constant, 0.0, np.sqrt(square))
