"""k-means over encoded customers on disk: passes that hold one batch in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from custseg.clustering._inputs import apply_encoder
from custseg.clustering._staging import Staged
from custseg.clustering._ties import first_nearest

Matrix = NDArray[np.float64]
Trace = list[tuple[float, float]]


@dataclass(frozen=True)
class Encoded:
    """Encoded customers in a file of floats.

    Parameters
    ----------
    path
        The file.
    width
        The number of encoded columns.
    variance
        The mean variance of the columns.
    """

    path: Path
    width: int
    variance: float

    def batches(self, size: int) -> Iterator[Matrix]:
        """Yield the customers, `size` at a time, the last batch smaller."""
        with self.path.open("rb") as file:
            while len(values := np.fromfile(file, count=size * self.width)):
                yield values.reshape(-1, self.width)

    def beside(self, frames: Iterable[pd.DataFrame]) -> Iterator[tuple[pd.DataFrame, Matrix]]:
        """Yield batches of customers with what they are encoded as."""
        with self.path.open("rb") as file:
            for frame in frames:
                values = np.fromfile(file, count=len(frame) * self.width)
                yield frame, values.reshape(-1, self.width)


def encode_all(staged: Staged, encoder: Any, folder: Path, batch_size: int) -> Encoded:
    """Encode the customers of a file into another."""
    path = folder / "encoded.bin"
    sums: Any = 0.0
    squares: Any = 0.0
    width = 0
    with path.open("wb") as file:
        for batch in staged.batches(batch_size):
            matrix = apply_encoder(batch[staged.variables], encoder)
            matrix.tofile(file)
            width = matrix.shape[1]
            sums, squares = sums + matrix.sum(axis=0), squares + (matrix**2).sum(axis=0)
    variance = float(np.mean(squares / staged.n - (sums / staged.n) ** 2))
    return Encoded(path, width, variance)


def lloyd(
    encoded: Encoded, centers: Matrix, *, batch_size: int, max_passes: int, tol: float
) -> tuple[Matrix, Trace]:
    """Return the centres after passes of Lloyd's iteration, the same as in memory.

    Parameters
    ----------
    encoded
        The customers.
    centers
        Where to begin.
    batch_size
        How many customers are held in memory.
    max_passes
        The most passes.
    tol
        The squared shift of all centres, over the mean variance, at which to end.

    Returns
    -------
    tuple of (numpy.ndarray, list)
        The centres; of each pass the sum of squares that it began with, and the shift.
    """
    trace: Trace = []
    shift = np.inf
    while len(trace) < max_passes and shift > tol * encoded.variance:
        sums, counts, loss = np.zeros_like(centers), np.zeros(len(centers)), 0.0
        for rows in encoded.batches(batch_size):
            squares = cdist(rows, centers, "sqeuclidean")
            labels = first_nearest(squares)
            counts += np.bincount(labels, minlength=len(centers))
            for column, values in zip(sums.T, rows.T, strict=True):
                column += np.bincount(labels, values, minlength=len(centers))
            loss += float(squares[np.arange(len(rows)), labels].sum())
        means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers)
        shift = float(((means - centers) ** 2).sum())
        trace.append((loss, shift))
        centers = means
    return centers, trace


def mini_batches(
    encoded: Encoded, estimator: Any, *, batch_size: int, max_passes: int, tol: float
) -> Trace:
    """Move the centres of a fitted mini-batch k-means by one batch after the other.

    Parameters
    ----------
    encoded, batch_size, max_passes, tol
        As in `lloyd`.
    estimator
        Fitted on a sample; each centre moves by the share that a batch is of all it has seen.
    """
    trace: Trace = []
    shift = np.inf
    while len(trace) < max_passes and shift > tol * encoded.variance:
        before, loss = estimator.cluster_centers_.copy(), 0.0
        for rows in encoded.batches(batch_size):
            loss += float(cdist(rows, estimator.cluster_centers_, "sqeuclidean").min(axis=1).sum())
            estimator.partial_fit(rows)
        shift = float(((estimator.cluster_centers_ - before) ** 2).sum())
        trace.append((loss, shift))
    return trace
