"""How a model fits its clusterer: on one thread, keeping its warnings, with errors that mend."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from custseg.clustering.algorithms import Labels, training_labels
from custseg.errors import CustsegError, DataError
from custseg.features.encoder import inferred_note

FAILURES = (ValueError, ArithmeticError, IndexError)


def fit_labels(
    name: str, estimator: Any, data: Any, *, square: bool
) -> tuple[Labels, tuple[str, ...]]:
    """Fit a clusterer; return the labels of customers, and what it warned of.

    Parameters
    ----------
    name
        What the algorithm is called.
    estimator
        The clusterer.
    data
        What it takes.
    square
        Whether these are dissimilarities.

    Raises
    ------
    DataError
        If it fails, or calls all customers noise.
    """
    with threadpool_limits(limits=1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fitted = estimator.fit(data)
            labels = np.asarray(fitted.labels_) if square else training_labels(fitted, data)
        except CustsegError:
            raise
        except FAILURES as error:
            raise DataError(
                f"{name} failed on these {len(data):,} customers: {str(error).rstrip('.')}. Ask "
                "for fewer segments, or choose another algorithm."
            ) from error
    for warning in caught:
        if not issubclass(warning.category, UserWarning):
            place = (warning.filename, warning.lineno)
            warnings.warn_explicit(warning.message, warning.category, *place)
    if (labels < 0).all():
        raise DataError(
            f"{name} called all {len(data):,} customers noise. Loosen its parameters, such as the "
            "distance within which it looks for neighbours."
        )
    said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    words = (" ".join(text.split()) for text in dict.fromkeys(said))
    return labels, tuple(f"{name} warns: {text}" for text in words)


def shortfall(sizes: pd.DataFrame, asked: int | None, estimator: Any) -> tuple[str, ...]:
    """Return notes on segments that were asked for and not found, and on empty ones."""
    notes = []
    if asked is not None and len(sizes) != asked:
        notes.append(f"{asked} segments were asked for, and {len(sizes)} were found.")
    empty = sizes.index[sizes["n"] == 0].tolist()
    if empty and not hasattr(estimator, "segment_names_"):  # which says so itself
        notes.append(f"nobody is in {', '.join(empty)}; new customers may be.")
    return tuple(notes)


def notes_of(encoder: Any, name: str, fidelity: float, others: Sequence[str]) -> tuple[str, ...]:
    """Return what to know before reading the segments.

    Parameters
    ----------
    encoder
        The fitted encoder, if any.
    name
        What the algorithm is called.
    fidelity
        The share of customers whose segment `predict` repeats.
    others
        Notes that are there already.
    """
    notes = [*inferred_note(getattr(encoder, "kinds_", {}), "SegmentationModel")]
    if fidelity < 1:
        notes.append(
            f"predict gives {fidelity:.1%} of these customers the segment that {name} gave them: "
            "it has no rule for new customers, who go to the nearest medoid."
        )
    return (*notes, *others)
