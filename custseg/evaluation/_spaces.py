"""Where an algorithm looks for segments, and the same customers as coordinates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.clustering._inputs import fit_encoder
from custseg.clustering.algorithms import ENCODERS, stated_kinds, takes
from custseg.features.mixed_encoder import MixedEncoder

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Space:
    """A table as an algorithm takes it.

    Parameters
    ----------
    encoder
        The fitted encoder, ``None`` where numbers are taken as they are.
    matrix
        Customers x encoded variables; codes of levels in columns of categories.
    coordinates
        From rows of such a matrix to points whose Euclidean distances mean something: numbers stay,
        a category is a column per level, scaled to variance 1 together; what is missing is at the
        mean.
    categorical
        The positions of columns that hold codes.
    """

    encoder: Any
    matrix: Matrix
    coordinates: Callable[[Matrix], Matrix]
    categorical: tuple[int, ...]

    @property
    def complete(self) -> Matrix:
        """The matrix with the mean where a number is missing."""
        numbers = np.ones(self.matrix.shape[1], dtype=bool)
        numbers[list(self.categorical)] = False
        gaps = np.isnan(self.matrix) & numbers
        if not gaps.any():
            return self.matrix
        return np.where(gaps, np.nanmean(np.where(numbers, self.matrix, 0.0), axis=0), self.matrix)


def space_of(
    estimator: Any,
    frame: pd.DataFrame,
    encoder: Any,
    known: dict[str, Space],
) -> Space:
    """Return the space of an estimator, added to the known ones if it is new.

    Parameters
    ----------
    estimator
        An unfitted clusterer.
    frame
        Customers x variables.
    encoder
        As in `custseg.SegmentationModel`.
    known
        The spaces of other estimators on the same table.
    """
    form = "given"
    if isinstance(encoder, str) and encoder == "auto":
        form = takes(estimator)
        stated = stated_kinds(estimator, list(frame.columns))
        encoder = ENCODERS[form](stated)
        form += str(stated)
    if form not in known:
        fitted, matrix = fit_encoder(frame, encoder)
        known[form] = Space(fitted, matrix, *_view(fitted, matrix))
    return known[form]


def _view(encoder: Any, matrix: Matrix) -> tuple[Callable[[Matrix], Matrix], tuple[int, ...]]:
    if not isinstance(encoder, MixedEncoder):
        return (lambda rows: rows), ()
    categorical = list(encoder.categorical_)
    numbers = [place for place in range(matrix.shape[1]) if place not in categorical]
    middle = np.nanmean(matrix[:, numbers], axis=0) if numbers else np.empty(0)
    spread = np.nanstd(matrix[:, numbers], axis=0) if numbers else np.empty(0)
    levels = [np.unique(matrix[~np.isnan(matrix[:, place]), place]) for place in categorical]
    shares = [
        np.array([np.nanmean(matrix[:, place] == level) for level in own])
        for place, own in zip(categorical, levels, strict=True)
    ]

    def coordinates(rows: Matrix) -> Matrix:
        measured = (rows[:, numbers] - middle) / np.where(spread > 0, spread, 1.0)
        blocks = [np.where(np.isnan(measured), 0.0, measured)]
        for place, own, share in zip(categorical, levels, shares, strict=True):
            marks = (rows[:, [place]] == own) - share
            marks[np.isnan(rows[:, place])] = 0.0
            blocks.append(marks / np.sqrt(max(1 - (share**2).sum(), 1e-12)))
        return np.hstack(blocks)

    return coordinates, tuple(categorical)
