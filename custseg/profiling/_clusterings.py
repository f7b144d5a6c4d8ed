"""Read a segmentation model as what can be repeated on other tables: a matrix and a clusterer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone

from custseg.errors import DataError, ParameterError, check_columns
from custseg.profiling._words import counted, listed

Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]


class Clustering(NamedTuple):
    """Customers as their clusterer sees them, and the segments it makes of them.

    ``matrix`` is customers x encoded columns, ``columns`` their names; ``codes`` the position of
    each customer's segment in ``names``, -1 for noise.
    """

    matrix: Matrix
    columns: list[str]
    clusterer: Any
    codes: Codes
    names: list[str]


def read_clustering(
    model: Any, customers: pd.DataFrame, variables: Sequence[str] | None, seed: int
) -> Clustering:
    """Fit a copy of the model and return what it clustered.

    Parameters
    ----------
    model
        A `SegmentationModel` or a scikit-learn clusterer, fitted or not.
    customers
        One row per customer, sorted by id.
    variables
        The columns that a plain clusterer gets, ``None`` for all.
    seed
        The random state of a clusterer that has none.

    Raises
    ------
    DataError
        If a column is no number, or there are fewer than two segments.
    ParameterError
        If the model is none, or divides by rules, categories or dissimilarities.
    """
    if isinstance(model, type) or not hasattr(model, "fit"):
        raise ParameterError(
            f"model is a {type(model).__name__}, but must be a SegmentationModel or a "
            "scikit-learn clusterer, such as SegmentationModel('kmeans', n_segments=3)."
        )
    copy = clone(model)
    if hasattr(copy, "encoder"):
        columns, matrix = _encoded(copy.fit(customers), customers)
        clusterer = _seeded(copy.estimator_, seed)
        codes = cluster(clusterer, matrix)
        codes, names = _as_in(copy, getattr(model, "names_", copy.names_), codes)
    else:
        wanted = choose_columns([str(name) for name in customers], variables)
        columns, matrix = _numbers(customers.iloc[:, wanted])
        clusterer = _seeded(copy, seed)
        codes = by_size(cluster(clusterer, matrix))
        names = [chr(65 + i) if i < 26 else f"S{i + 1}" for i in range(codes.max() + 1)]
    if len(names) < 2:
        raise DataError(
            f"the model finds {counted(len(names), 'segment')} in these customers: there is no "
            "difference between segments to judge."
        )
    return Clustering(matrix, columns, clusterer, codes, names)


def cluster(clusterer: Any, matrix: Matrix) -> Codes:
    """Return codes 0, 1, ... of the clusters that a fresh copy finds, -1 for noise."""
    labels = np.asarray(clone(clusterer).fit_predict(matrix))
    found, codes = np.unique(labels, return_inverse=True)
    return np.asarray(codes - int((found < 0).sum()), dtype=np.intp)


def match_codes(codes: Codes, reference: Codes, k: int) -> Codes:
    """Renumber clusters so that as many customers as possible keep their code in `reference`."""
    both = (codes >= 0) & (reference >= 0)
    overlap = np.zeros((max(k, codes.max() + 1), max(k, codes.max() + 1)), dtype=int)
    np.add.at(overlap, (codes[both], reference[both]), 1)
    _, renumbered = linear_sum_assignment(-overlap)
    return np.where(codes >= 0, renumbered[codes], -1)


def choose_columns(columns: Sequence[str], variables: Sequence[str] | None) -> list[int]:
    """Return the positions of the columns that are named, of all where none are."""
    if variables is None:
        return list(range(len(columns)))
    if isinstance(variables, str):
        raise ParameterError(f"variables is {variables!r}, but must be a list: [{variables!r}].")
    wanted = [str(name) for name in variables]
    if not wanted:
        raise ParameterError("variables is empty, but must name at least one column.")
    check_columns(columns, wanted, where="what the segments are made from")
    return [columns.index(name) for name in dict.fromkeys(wanted)]


def by_size(codes: Codes) -> Codes:
    """Renumber clusters by decreasing size, ties by the first customer."""
    sizes = np.bincount(codes[codes >= 0])
    place = np.empty(len(sizes), dtype=np.intp)
    place[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return np.append(place, -1)[codes]


def _as_in(fitted: Any, given: Sequence[str], codes: Codes) -> tuple[Codes, list[str]]:
    """Return codes and names of the fitted model, names from an earlier fit where they fit."""
    names = list(given if len(given) == len(fitted.names_) else fitted.names_)
    codes = match_codes(codes, fitted.labels_, len(names))
    found = sorted(set(codes[codes >= 0]))
    return np.searchsorted(found, codes) - (codes < 0), [names[code] for code in found]


def _encoded(fitted: Any, customers: pd.DataFrame) -> tuple[list[str], Matrix]:
    """Return the names of what a fitted model clustered, and the matrix itself."""
    encoder, clusterer = fitted.encoder_, fitted.estimator_
    if not fitted.variables_:
        raise ParameterError(
            "the model divides by dissimilarities, but the honest tests need the variables "
            "themselves. Take an algorithm of variables, such as 'kmeans'."
        )
    if hasattr(clusterer, "rules_"):
        raise ParameterError(
            "the model divides by rules: its borders are known, and a difference on the variable "
            "of a rule is what the rule says. The honest tests are for clusterings of numbers."
        )
    if getattr(encoder, "categorical_", ()):
        names = [encoder.get_feature_names_out()[place] for place in encoder.categorical_]
        raise ParameterError(
            f"the model divides by the categories {listed(names)}, but the honest tests need "
            "numbers. Judge it by descriptors: profile(customers, segments, descriptors=...)."
        )
    frame = customers[fitted.variables_]
    if encoder is None:
        return _numbers(frame)
    encoded = encoder.transform(frame)
    matrix = np.asarray(encoded.toarray() if hasattr(encoded, "toarray") else encoded, dtype=float)
    columns = [str(name) for name in encoder.get_feature_names_out()]
    _check_finite(matrix, columns)
    return columns, matrix


def _numbers(frame: pd.DataFrame) -> tuple[list[str], Matrix]:
    columns = [str(name) for name in frame]
    text = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name].dtype)]
    if text:
        raise DataError(
            f"the clusterer gets every column, and {listed(text)} holds no numbers. Leave it out, "
            "or put the clusterer into a SegmentationModel, which encodes."
        )
    matrix = frame.to_numpy(dtype=float, na_value=np.nan)
    _check_finite(matrix, columns)
    return columns, matrix


def _check_finite(matrix: Matrix, columns: list[str]) -> None:
    wrong = [
        name
        for name, column in zip(columns, matrix.T, strict=True)
        if not np.isfinite(column).all()
    ]
    if wrong:
        raise DataError(
            f"{listed(wrong)} has missing or infinite values, which the honest tests cannot take. "
            "Fill them, or set these customers aside first."
        )


def _seeded(clusterer: Any, seed: int) -> Any:
    """Return an unfitted copy whose every unset random state is `seed`."""
    copy = clone(clusterer)
    unset = [
        name
        for name, value in copy.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    ]
    return copy.set_params(**dict.fromkeys(unset, seed))
