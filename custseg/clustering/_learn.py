"""What k-modes and k-prototypes have in common: from a table to prototypes, and back to rows."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from custseg._kernels.modes import dissimilarities
from custseg.clustering._columns import (
    Codes,
    Levels,
    Matrix,
    as_numbers,
    code_levels,
    find_categorical,
    find_levels,
    open_table,
    split_columns,
    stack_columns,
)
from custseg.clustering._prototypes import (
    check_clusters,
    fill_gaps,
    find_prototypes,
    gather_rows,
    moments,
)
from custseg.clustering._starts import METHODS, choose_starts, read_starts
from custseg.clustering._weights import read_weights
from custseg.clustering.algorithms import as_seed
from custseg.errors import DataError, check_number, check_option


def learn(
    estimator: Any,
    X: "pd.DataFrame | ArrayLike",
    sample_weight: ArrayLike | None,
    *,
    categorical: Any = None,
    every_column: bool = False,
    gamma: float | None,
) -> None:
    """Fit an estimator of prototypes: set its attributes.

    Parameters
    ----------
    estimator
        Has ``n_clusters``, ``init``, ``n_init``, ``max_iter`` and ``random_state``.
    X
        Rows x columns.
    sample_weight
        A weight per row; a row of weight 0 only gets a label.
    categorical
        As in `find_categorical`.
    every_column
        Whether all columns are categorical, whatever they hold.
    gamma
        What a level that differs counts; ``None`` for half the mean standard deviation.
    """
    k, init = estimator.n_clusters, estimator.init
    for name in ("n_clusters", "n_init", "max_iter"):
        check_number(getattr(estimator, name), name, ge=1, integer=True)
    if isinstance(init, str):
        check_option(init.lower(), "init", METHODS)
    rng = np.random.default_rng(as_seed(estimator.random_state))
    frame = open_table(estimator, X, reset=True)
    weights = read_weights(sample_weight, len(frame))
    known, mass = frame, weights
    if not weights.all():
        known, mass = frame[weights > 0], weights[weights > 0]

    positions = range(frame.shape[1]) if every_column else categorical
    estimator.categorical_ = find_categorical(frame, positions)
    numeric, leveled = split_columns(known, estimator.categorical_)
    found = [find_levels(values) for values in leveled]
    estimator.categories_ = [levels for levels, _ in found]
    numbers, codes = stack_columns(
        [as_numbers(values) for values in numeric], [code for _, code in found], len(known)
    )
    check_clusters(k, numbers, codes)
    mean, deviation = moments(numbers, mass)
    _check_size(numeric, deviation)

    estimator.gamma_ = _usual_gamma(deviation) if gamma is None else float(gamma)
    rows = gather_rows(numbers, codes, mass, estimator.categories_, mean, estimator.gamma_)
    if isinstance(init, str):
        starts = choose_starts(init.lower(), rows, k, estimator.n_init, rng)
    else:
        given = read_starts(init, k, frame, estimator.categorical_, estimator.categories_)
        starts = iter([fill_gaps(rows, *given)])
    solution = find_prototypes(rows, starts, estimator.max_iter)

    estimator.means_, estimator.modes_ = solution.means, solution.modes
    estimator.cost_, estimator.n_iter_ = solution.cost, solution.n_iter
    estimator.cluster_centroids_ = _centroids(estimator)
    estimator.labels_ = solution.labels
    if len(known) < len(frame):
        estimator.labels_ = _apart(estimator, frame).argmin(axis=0)


def measure(estimator: Any, X: "pd.DataFrame | ArrayLike") -> Matrix:
    """Return the dissimilarities of new rows from the prototypes of a fitted estimator.

    Returns
    -------
    numpy.ndarray
        Prototypes x rows.
    """
    check_is_fitted(estimator)
    return _apart(estimator, open_table(estimator, X, reset=False))


def tag(tags: Tags) -> Tags:
    """Return scikit-learn's tags with what these estimators take."""
    tags.input_tags.allow_nan = True
    tags.input_tags.categorical = True
    tags.input_tags.string = True
    tags.transformer_tags.preserves_dtype = []
    return tags


def cost_parts(
    estimator: Any, X: "pd.DataFrame | ArrayLike", sample_weight: ArrayLike | None
) -> tuple[float, float]:
    """Return the squared distances and the levels that differ, summed over the rows of the fit."""
    frame = open_table(estimator, X, reset=False)
    weights = read_weights(sample_weight, len(frame))
    numbers, codes = _read(estimator, frame)
    own = estimator.labels_
    squares = np.nansum((numbers - estimator.means_[own].T) ** 2, axis=0)
    different = ((codes != estimator.modes_[own].T) & (codes >= 0)).sum(axis=0)
    return float(squares @ weights), float(different @ weights)


def _apart(estimator: Any, frame: pd.DataFrame) -> Matrix:
    rows = _read(estimator, frame)
    return dissimilarities(*rows, estimator.gamma_, estimator.means_, estimator.modes_)


def _read(estimator: Any, frame: pd.DataFrame) -> tuple[Matrix, Codes]:
    numeric, leveled = split_columns(frame, estimator.categorical_)
    return stack_columns(
        [as_numbers(values) for values in numeric],
        [code_levels(*pair) for pair in zip(leveled, estimator.categories_, strict=True)],
        len(frame),
    )


def _check_size(numeric: list[pd.Series], deviation: Matrix) -> None:
    """Raise `DataError` if a numeric column has no value, or values too large to be squared."""
    for values, spread in zip(numeric, deviation, strict=True):
        if np.isnan(spread):
            raise DataError(f"column {values.name!r} has no value at all. Leave it out.")
        if np.isinf(spread):
            raise DataError(
                f"column {values.name!r} has values too large for a variance. Express it in "
                "another unit."
            )


def _usual_gamma(deviation: Matrix) -> float:
    """Return half the mean standard deviation of the numbers; 1 where no number varies."""
    return float(0.5 * np.mean(deviation)) if deviation.any() else 1.0


def _centroids(estimator: Any) -> NDArray[Any]:
    """Return k prototypes x columns, categories as the values that they stand for."""
    columns: list[NDArray[Any]] = list(estimator.means_.T)
    levels: list[Levels] = estimator.categories_
    for j, position in enumerate(estimator.categorical_):
        columns.insert(position, levels[j][estimator.modes_[:, j]])
    dtypes = {column.dtype for column in columns}
    if len(dtypes) > 1 and any(dtype.kind not in "iuf" for dtype in dtypes):
        columns = [column.astype(object) for column in columns]
    return np.column_stack(columns)
