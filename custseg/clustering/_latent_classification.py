"""How well customers can be put into their latent class, and how sure that itself is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.clustering._latent_information import blocks, features, maps
from custseg.clustering._latent_items import Layout, Matrix, Rows
from custseg.clustering._ties import first_likeliest
from custseg.results import Result


@dataclass(frozen=True, repr=False, eq=False)
class Classification(Result):
    """To which class customers of each class are assigned.

    Made by `custseg.clustering.LatentClass.classification`.

    Parameters
    ----------
    table
        Classes x classes: of the customers of a class (row), the share expected to be assigned to
        each (column).
    correct
        The share of customers expected to be assigned to their own class.
    assigned
        The likeliest class of every customer.
    weights
        How many customers each row stands for.
    slopes
        Classes x classes x parameters of the model: how `table` moves with them.
    covariance
        Of the parameters of the model.
    notes
        Caveats.
    """

    table: Matrix
    correct: float
    assigned: NDArray[np.integer]
    weights: Matrix
    slopes: Matrix = field(repr=False)
    covariance: Matrix = field(repr=False)
    notes: Sequence[str] = ()
    _picture: ClassVar[str] = "clustering.classification"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per class, one column per class that is assigned."""
        k = len(self.table)
        return pd.DataFrame(
            self.table,
            pd.RangeIndex(k, name="class"),
            [f"assigned {c}" for c in range(k)],
        )

    def summary(self) -> str:
        """Return the share of customers expected to be in their own class."""
        return (
            f"{self.correct:.1%} of the customers are expected to be in their own class; of the "
            f"class that is hardest to find, {np.diag(self.table).min():.1%}."
        )


def classify(
    rows: Rows, layout: Layout, theta: Matrix, posterior: Matrix, covariance: Matrix
) -> Classification:
    """Return how customers of each class are assigned, and how that moves with the parameters."""
    k = posterior.shape[1]
    assigned = first_likeliest(posterior)
    effects = maps(layout, theta)
    slopes = np.zeros((k, k, effects.shape[2]))
    shares = np.zeros((k, k))
    for c in range(k):
        shares[c] = np.bincount(assigned, rows.counts * posterior[:, c], k)
    start = 0
    for part, own in blocks(rows, posterior):
        whose = assigned[start : start + len(own)]
        start += len(own)
        of_class = [features(part, layout, theta, c) @ effects[c] for c in range(k)]
        expected = sum(own[:, [c]] * of_class[c] for c in range(k))
        for c in range(k):
            moved = (part.counts * own[:, c])[:, None] * (of_class[c] - expected)
            for s in range(k):
                slopes[c, s] += moved[whose == s].sum(axis=0)
    total = shares.sum(axis=1)
    table = shares / total[:, None]
    slopes = (slopes - table[:, :, None] * slopes.sum(axis=1)[:, None]) / total[:, None, None]
    correct = float(rows.counts @ posterior.max(axis=1) / rows.counts.sum())
    return Classification(table, correct, assigned, rows.counts, slopes, covariance)
