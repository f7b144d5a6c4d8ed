"""The catalogue of algorithms, and how an estimator is made, fitted and asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.cluster import KMeans, MiniBatchKMeans

from custseg.errors import ParameterError, check_number, check_option

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]


@dataclass(frozen=True)
class Algorithm:
    """An entry of the catalogue.

    Parameters
    ----------
    make
        From the number of segments and a seed to an unfitted scikit-learn clusterer.
    description
        One line: what a segment is to it, and how it is sought.
    reference
        Where it was published.
    """

    make: Callable[[int, int], Any]
    description: str
    reference: str


ALGORITHMS: Mapping[str, Algorithm] = {
    "kmeans": Algorithm(
        lambda n_segments, seed: KMeans(n_segments, n_init=10, random_state=seed),
        "Segments around means: least squares within segments, the best of ten starts.",
        "Arthur & Vassilvitskii (2007), k-means++; Lloyd (1982), IEEE Trans. Inf. Theory 28(2).",
    ),
}


def as_seed(random_state: int | np.random.Generator | None) -> int:
    """Return a whole number that scikit-learn takes as a seed; an integer stays itself."""
    if random_state is None or isinstance(random_state, np.random.Generator):
        return int(np.random.default_rng(random_state).integers(2**32))
    check_number(random_state, "random_state", ge=0, lt=2**32, integer=True)
    return int(random_state)


def algorithm_name(algorithm: Any) -> str:
    """Return the name of an algorithm: that of the catalogue, or of its class."""
    return algorithm if isinstance(algorithm, str) else type(algorithm).__name__


def make_estimator(algorithm: Any, n_segments: int | None, seed: int) -> Any:
    """Return an unfitted clusterer with its number of segments and its seed set.

    Parameters
    ----------
    algorithm
        A name of `ALGORITHMS`, or an instance of a scikit-learn clusterer, which is cloned.
    n_segments
        The number of segments; ``None`` keeps the clusterer's own.
    seed
        Its random state, where it has one that is not set.
    """
    if n_segments is not None:
        check_number(n_segments, "n_segments", ge=2, integer=True)
        n_segments = int(n_segments)
    if isinstance(algorithm, str):
        check_option(algorithm, "algorithm", ALGORITHMS)
        if n_segments is None:
            raise ParameterError(
                f"n_segments is None, but {algorithm!r} needs a whole number >= 2; "
                "custseg.evaluation.compare_segmentations shows what speaks for which."
            )
        return ALGORITHMS[algorithm].make(n_segments, seed)
    if isinstance(algorithm, type) or not hasattr(algorithm, "fit"):
        names = ", ".join(repr(name) for name in ALGORITHMS)
        raise ParameterError(
            f"algorithm is {algorithm!r}, but must be one of {names} or an instance of a "
            "scikit-learn clusterer, such as sklearn.cluster.Birch()."
        )
    return _adjusted(clone(algorithm), n_segments, seed)


def _adjusted(estimator: Any, n_segments: int | None, seed: int) -> Any:
    parameters = estimator.get_params()
    if n_segments is not None:
        counts = [
            name for name in parameters if name.split("__")[-1] in ("n_clusters", "n_components")
        ]
        if not counts:
            raise ParameterError(
                f"n_segments is {n_segments}, but {type(estimator).__name__} finds the number of "
                "segments itself. Leave n_segments out."
            )
        estimator.set_params(**{counts[-1]: n_segments})
    return reseed(estimator, seed, keep=True)


def reseed(estimator: Any, seed: int, *, keep: bool = False) -> Any:
    """Set every random state of an estimator to `seed` (only those not set yet, with `keep`)."""
    names = [
        name
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "random_state" and not (keep and value is not None)
    ]
    return estimator.set_params(**dict.fromkeys(names, seed)) if names else estimator


def predicted(estimator: Any, matrix: Matrix) -> Labels:
    """Return the label of each row by the fitted estimator's own rule for new rows.

    The nearest centre of k-means is found row by row, so that a tie does not depend on which
    other rows are asked about.
    """
    if isinstance(estimator, (KMeans, MiniBatchKMeans)):
        return np.asarray(cdist(matrix, estimator.cluster_centers_, "sqeuclidean").argmin(axis=1))
    if not hasattr(estimator, "predict"):
        raise ParameterError(
            f"{type(estimator).__name__} has no rule for new customers. Fit again with them, or "
            "choose an algorithm that has one, such as 'kmeans'."
        )
    return np.asarray(estimator.predict(matrix))


def training_labels(estimator: Any, matrix: Matrix) -> Labels:
    """Return the label of each row that the estimator was fitted on."""
    if hasattr(estimator, "predict"):
        return predicted(estimator, matrix)
    return np.asarray(estimator.labels_)
