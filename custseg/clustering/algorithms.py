"""The catalogue of algorithms, and how an estimator is made, told of its columns and asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.cluster import (
    HDBSCAN,
    AgglomerativeClustering,
    Birch,
    BisectingKMeans,
    MiniBatchKMeans,
    SpectralClustering,
)
from sklearn.cluster import KMeans as PlainKMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline

from custseg.clustering._ties import first_likeliest, first_nearest
from custseg.errors import ParameterError, check_number, check_option
from custseg.features.dictionary import Dictionary
from custseg.features.encoder import Encoder
from custseg.features.mixed_encoder import MixedEncoder

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

ENCODERS: Mapping[str, Callable[[Dictionary | None], Any]] = {
    "numbers": lambda known: Encoder(dictionary=known),
    "levels": lambda known: MixedEncoder(numbers="levels", ordinal="levels", dictionary=known),
    "mixed": lambda known: MixedEncoder(dictionary=known),
    "gower": lambda known: MixedEncoder(numbers="range", ordinal="positions", dictionary=known),
    "items": lambda known: MixedEncoder(ordinal="levels", dictionary=known),
    "raw": lambda _: None,
}
"""What ``encoder="auto"`` means for an algorithm, by what it takes."""


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
    takes
        What it works on, which decides what ``encoder="auto"`` means: ``"numbers"``: the matrix of
        `custseg.features.Encoder`; that of `custseg.features.MixedEncoder` with ``"levels"``: every
        column as codes; ``"mixed"``: numbers standardised, categories as codes; ``"gower"``:
        numbers over their range; ``"items"``: ordinal levels as codes too; ``"raw"``: the table.
    needs_n_segments
        Whether the number of segments has to be given.
    variables
        The columns that it works on where none are named.
    settings
        From the numbers of customers and of columns to parameters that depend on them.
    """

    make: Callable[[int, int], Any]
    description: str
    reference: str
    takes: str = "numbers"
    needs_n_segments: bool = True
    variables: tuple[str, ...] = ()
    settings: Callable[[int, int], Mapping[str, Any]] = field(default=lambda *_: {}, repr=False)


def _kmeans(n_segments: int, seed: int) -> Any:
    from custseg.clustering.kmeans import KMeans

    return KMeans(n_segments, random_state=seed)


def _adaptive_kmeans(n_segments: int, seed: int) -> Any:
    from custseg.clustering.adaptive import AdaptiveKMeans

    return AdaptiveKMeans(n_segments, random_state=seed)


def _kmodes(n_segments: int, seed: int) -> Any:
    from custseg.clustering.kmodes import KModes

    return KModes(n_segments, init="k-means++", random_state=seed)


def _kprototypes(n_segments: int, seed: int) -> Any:
    from custseg.clustering.kprototypes import KPrototypes

    return KPrototypes(n_segments, random_state=seed)


def _kmedoids(n_segments: int, seed: int) -> Any:
    from custseg.clustering.kmedoids import KMedoids

    return KMedoids(n_segments, metric="gower", random_state=seed)


def _latent_class(n_segments: int, seed: int) -> Any:
    from custseg.clustering.latent_class import LatentClass

    return LatentClass(n_segments, random_state=seed)


def _rfm_rules(*_: int) -> Any:
    from custseg.clustering.rules import RFMRules

    return RFMRules()


def _tree_rules(n_segments: int, seed: int) -> Any:
    from custseg.clustering.tree_rules import TreeRules

    return TreeRules(n_segments, random_state=seed)


def _consensus(n_segments: int, seed: int) -> Any:
    from custseg.clustering.consensus import Consensus

    return Consensus(n_segments, random_state=seed)


ALGORITHMS: Mapping[str, Algorithm] = {
    "kmeans": Algorithm(
        _kmeans,
        "Segments around means: least squares within segments, the best of ten starts or more.",
        "Lloyd (1982); Hartigan (1975), exchange; Arthur & Vassilvitskii (2007), k-means++.",
    ),
    "adaptive_kmeans": Algorithm(
        _adaptive_kmeans,
        "Segments around means, in units of each variable's own spread within segments.",
        "Diday & Govaert (1977), R.A.I.R.O. 11; Friedman & Rubin (1967), JASA 62(320).",
    ),
    "minibatch_kmeans": Algorithm(
        lambda n_segments, seed: MiniBatchKMeans(n_segments, n_init=10, random_state=seed),
        "Segments around means, moved by a thousand customers at a time: for very many of them.",
        "Sculley (2010), Web-scale k-means clustering, WWW.",
    ),
    "bisecting_kmeans": Algorithm(
        lambda n_segments, seed: BisectingKMeans(n_segments, n_init=10, random_state=seed),
        "Segments from the top: the one with the largest sum of squares is cut in two, again.",
        "Steinbach, Karypis & Kumar (2000), KDD workshop on text mining.",
    ),
    "ward": Algorithm(
        lambda n_segments, _: AgglomerativeClustering(n_segments, linkage="ward"),
        "Segments from the bottom: two whose union adds least to the sum of squares are merged.",
        "Ward (1963), Journal of the American Statistical Association 58(301).",
    ),
    "average": Algorithm(
        lambda n_segments, _: AgglomerativeClustering(n_segments, linkage="average"),
        "Segments from the bottom: two with the least mean distance are merged.",
        "Sokal & Michener (1958), University of Kansas Science Bulletin 38.",
    ),
    "gaussian_mixture": Algorithm(
        lambda n_segments, seed: GaussianMixture(
            n_segments, n_init=10, reg_covar=1e-3, random_state=seed
        ),
        "Segments as normal distributions, each of its own size, spread and direction.",
        "Dempster, Laird & Rubin (1977), JRSS B 39(1); McLachlan & Peel (2000).",
    ),
    "birch": Algorithm(
        lambda n_segments, _: Birch(n_clusters=n_segments),
        "Segments of small clumps, gathered in one pass and merged as by Ward.",
        "Zhang, Ramakrishnan & Livny (1996), SIGMOD.",
        settings=lambda n, d: {"threshold": (0.02 if n <= 2_000 else 0.4) * float(np.sqrt(d))},
    ),
    "spectral": Algorithm(
        lambda n_segments, seed: SpectralClustering(
            n_segments,
            affinity="nearest_neighbors",
            assign_labels="cluster_qr",
            random_state=seed,
        ),
        "Segments of any shape: parts of the graph of ten neighbours with few ties between them.",
        "von Luxburg (2007), Statistics and Computing 17; Damle, Minden & Ying (2019).",
        settings=lambda n, _: {"n_neighbors": max(2, min(10, n // 3))},
    ),
    "hdbscan": Algorithm(
        lambda *_: HDBSCAN(copy=True),
        "Segments as dense regions of any shape and at least 2% of customers; the rest is noise.",
        "Campello, Moulavi & Sander (2013), PAKDD.",
        needs_n_segments=False,
        settings=lambda n, _: {"min_cluster_size": max(5, n // 50), "min_samples": min(5, n)},
    ),
    "kmodes": Algorithm(
        _kmodes,
        "Segments around modes: as few answers as possible that differ from the most frequent.",
        "Huang (1998), Data Mining and Knowledge Discovery 2(3).",
        takes="levels",
    ),
    "kprototypes": Algorithm(
        _kprototypes,
        "Segments around means of numbers and modes of categories.",
        "Huang (1998), Data Mining and Knowledge Discovery 2(3).",
        takes="mixed",
    ),
    "kmedoids": Algorithm(
        _kmedoids,
        "Segments around customers: the least sum of Gower's dissimilarities to them.",
        "Schubert & Rousseeuw (2021), Information Systems 101; Gower (1971), Biometrics 27.",
        takes="gower",
    ),
    "latent_class": Algorithm(
        _latent_class,
        "Segments within which answers are independent of each other.",
        "Lazarsfeld & Henry (1968); Vermunt & Magidson (2002).",
        takes="items",
    ),
    "rfm_rules": Algorithm(
        _rfm_rules,
        "Segments as named cells of the scores for recency, frequency and monetary value.",
        "Hughes (1994), Strategic Database Marketing.",
        takes="raw",
        needs_n_segments=False,
        variables=("recency", "frequency", "monetary"),
    ),
    "tree_rules": Algorithm(
        _tree_rules,
        "Segments as the leaves of a tree of questions, as alike within as the questions allow.",
        "Dasgupta, Frost, Moshkovitz & Rashtchian (2020), ICML.",
        takes="raw",
    ),
    "consensus": Algorithm(
        _consensus,
        "Segments on which thirty runs of k-means, each on its own resample, agree most.",
        "Dimitriadou, Weingessel & Hornik (2002), IJPRAI 16(7).",
    ),
}

_OWN = {
    "KModes": "kmodes",
    "KPrototypes": "kprototypes",
    "KMedoids": "kmedoids",
    "LatentClass": "latent_class",
    "RFMRules": "rfm_rules",
    "TreeRules": "tree_rules",
}
"""The classes that take other things than numbers, and their entry."""

OWN_DISTANCES = ("AdaptiveKMeans", "KModes", "KPrototypes", "KMedoids")
"""The classes whose ``transform`` gives the distance from every segment, in their own metric."""


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
        return _from_catalogue(algorithm, n_segments, seed)
    if isinstance(algorithm, type) or not hasattr(algorithm, "fit"):
        names = ", ".join(repr(name) for name in ALGORITHMS)
        raise ParameterError(
            f"algorithm is {algorithm!r}, but must be one of {names} or an instance of a "
            "scikit-learn clusterer, such as sklearn.cluster.Birch()."
        )
    return _adjusted(clone(algorithm), n_segments, seed)


def _from_catalogue(name: str, n_segments: int | None, seed: int) -> Any:
    check_option(name, "algorithm", ALGORITHMS)
    entry = ALGORITHMS[name]
    if entry.needs_n_segments and n_segments is None:
        raise ParameterError(
            f"n_segments is None, but {name!r} needs a whole number >= 2; "
            "custseg.evaluation.compare_segmentations shows what speaks for which."
        )
    if n_segments is not None and not entry.needs_n_segments:
        raise _finds_itself(n_segments, repr(name))
    return entry.make(n_segments or 0, seed)


def _finds_itself(n_segments: int, name: str) -> ParameterError:
    return ParameterError(
        f"n_segments is {n_segments}, but {name} finds the number of segments itself. Leave "
        "n_segments out."
    )


def _adjusted(estimator: Any, n_segments: int | None, seed: int) -> Any:
    parameters = estimator.get_params()
    if n_segments is not None:
        counts = [
            name
            for name in parameters
            if name.split("__")[-1] in ("n_clusters", "n_components", "n_classes")
        ]
        if not counts:
            raise _finds_itself(n_segments, type(estimator).__name__)
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


def own_variables(estimator: Any) -> list[Any] | None:
    """Return the columns that a clusterer works on where none are named; ``None`` for all."""
    name = _OWN.get(type(estimator).__name__)
    columns = getattr(estimator, "columns", None) if name == "rfm_rules" else None
    return list(columns or (ALGORITHMS[name].variables if name else ())) or None


def takes(estimator: Any) -> str:
    """Return what a clusterer works on, as in `Algorithm.takes`."""
    name = _OWN.get(type(estimator).__name__)
    gower = getattr(estimator, "metric", "gower") == "gower"
    return ALGORITHMS[name].takes if name and gower else "numbers"


def prepare(algorithm: Any, estimator: Any, encoder: Any, data: Any) -> Any:
    """Return the unfitted clusterer, told how many customers there are and what columns hold.

    Parameters
    ----------
    algorithm
        As in `make_estimator`.
    estimator
        What `make_estimator` returned.
    encoder
        The fitted encoder.
    data
        What it will be fitted on, customers x columns.

    Raises
    ------
    ParameterError
        If categories are encoded as codes and the clusterer would read those as numbers.
    """
    if isinstance(algorithm, str):
        estimator.set_params(**ALGORITHMS[algorithm].settings(*np.shape(data)))
    if not isinstance(encoder, MixedEncoder):
        return estimator
    if encoder.categorical_ and takes(estimator) == "numbers":
        column = encoder.feature_names_in_[encoder.categorical_[0]]
        raise ParameterError(
            f"{algorithm_name(algorithm)} would read the codes of {column!r} as numbers. Leave the "
            "encoder out, or choose an algorithm that takes categories, such as 'kprototypes'."
        )
    kinds = list(enumerate(encoder.encoded_kinds_))
    told = {
        "categorical": list(encoder.categorical_),
        "items": {place: "gaussian" if kind == "numeric" else kind for place, kind in kinds},
        "dictionary": {f"x{place}": kind for place, kind in kinds},
    }
    known = estimator.get_params(deep=False)
    return estimator.set_params(**{name: told[name] for name in told if name in known})


def stated_kinds(estimator: Any, columns: list[Any]) -> Dictionary | None:
    """Return what a clusterer's own parameters say of columns, as a dictionary; often ``None``.

    Parameters
    ----------
    estimator
        An unfitted clusterer, whose ``categorical``, ``items`` or ``dictionary`` may name columns
        or their positions.
    columns
        The names of the variables, in order.
    """
    if type(estimator).__name__ not in _OWN:
        return None
    known = estimator.get_params(deep=False)
    if known.get("dictionary") is not None:
        return known["dictionary"]
    items = known.get("items") or {}
    kinds = dict.fromkeys(known.get("categorical") or (), "nominal")
    kinds |= {item: "numeric" if kind == "gaussian" else kind for item, kind in items.items()}
    return {
        columns[item] if isinstance(item, int) and item not in columns else item: kind
        for item, kind in kinds.items()
    }


def predicted(estimator: Any, matrix: Matrix) -> Labels:
    """Return the label of each row by the fitted estimator's own rule for new rows.

    The nearest centre of k-means is found row by row, so that a tie does not depend on which
    other rows are asked about; ties, also between probabilities, go to the first label.
    """
    if isinstance(estimator, Pipeline):
        rows = estimator[:-1].transform(matrix) if len(estimator) > 1 else matrix
        return predicted(estimator[-1], rows)
    if isinstance(estimator, (PlainKMeans, MiniBatchKMeans)):
        return first_nearest(cdist(matrix, estimator.cluster_centers_, "sqeuclidean"))
    if hasattr(estimator, "predict_proba"):
        return first_likeliest(estimator.predict_proba(matrix))
    if type(estimator).__name__ in OWN_DISTANCES:
        return first_nearest(estimator.transform(matrix))
    if not hasattr(estimator, "predict"):
        raise ParameterError(
            f"{type(estimator).__name__} has no rule for new customers. Fit again with them, or "
            "choose an algorithm that has one, such as 'kmeans'."
        )
    return np.asarray(estimator.predict(matrix))


def last_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, another clusterer as it is."""
    while isinstance(estimator, Pipeline):
        estimator = estimator[-1]
    return estimator


def has_rule(estimator: Any) -> bool:
    """Return whether a fitted clusterer has a rule of its own for new customers."""
    runs = getattr(estimator, "runs_", None)  # a consensus has the rules of its members
    if runs is not None:
        return any(hasattr(run.estimator, "predict") for run in runs)
    return hasattr(estimator, "predict")


def training_labels(estimator: Any, matrix: Matrix) -> Labels:
    """Return the label of each row that the estimator was fitted on."""
    if has_rule(estimator):
        return predicted(estimator, matrix)
    return np.asarray(last_step(estimator).labels_)
