"""Segments found again on resampled customers: fits, and how they are compared with a reference."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from custseg._kernels.kmeans import kmeans, nearest, trials
from custseg.clustering._naming import as_codes, canonical_order
from custseg.clustering.algorithms import predicted, reseed, training_labels
from custseg.evaluation._parallel import run

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

NOISE, UNSEEN = -1, -2
FAILURES = (ValueError, RuntimeError, ArithmeticError, IndexError, TypeError, MemoryError)


def fit_labels(
    estimator: Any,
    matrix: Matrix,
    counts: NDArray[np.integer],
    seed: int,
    *,
    judged: Matrix | None = None,
) -> Labels:
    """Fit on a resample and return a label for every customer by the fit's own rule.

    Parameters
    ----------
    estimator
        A scikit-learn clusterer; it is cloned. scikit-learn's k-means runs compiled, with the same
        number of starts.
    matrix
        Customers x encoded variables.
    counts
        How often each customer is in the resample.
    seed
        The random state of the fit.
    judged
        The customers who are labelled, row by row, where they are not those of `matrix`.

    Returns
    -------
    numpy.ndarray
        Labels; `NOISE` where the fit says so, `UNSEEN` for customers who are not in the resample
        when the algorithm has no rule for new customers.
    """
    judged = matrix if judged is None else judged
    if _compiled(estimator):
        return _nearest_center(kmeans_centers(estimator, matrix, counts, seed), judged)
    fitted, found = _fit(estimator, matrix, counts, seed)
    if hasattr(fitted, "predict"):
        return predicted(fitted, judged)
    labels = np.full(len(matrix), UNSEEN)
    labels[counts > 0] = found
    return np.where((judged == matrix).all(axis=1), labels, UNSEEN)


def fit_rule(
    estimator: Any, matrix: Matrix, counts: NDArray[np.integer], seed: int
) -> Callable[[Matrix], Labels]:
    """Fit on a resample and return the rule that labels other customers.

    An algorithm without a rule of its own labels by the nearest mean of its segments, as fpc's
    ``prediction.strength`` does with ``classification="centroid"``.

    Parameters
    ----------
    estimator, matrix, counts, seed
        As in `fit_labels`.
    """
    if _compiled(estimator):
        return partial(_nearest_center, kmeans_centers(estimator, matrix, counts, seed))
    fitted, found = _fit(estimator, matrix, counts, seed)
    if hasattr(fitted, "predict"):
        return partial(predicted, fitted)
    drawn, times = matrix[counts > 0], counts[counts > 0]
    names = np.unique(found[found >= 0])
    means = [
        np.average(drawn[found == name], axis=0, weights=times[found == name]) for name in names
    ]
    return partial(_nearest_center, np.array(means))


def _compiled(estimator: Any) -> bool:
    return (
        type(estimator) is KMeans
        and isinstance(estimator.init, str)
        and estimator.init == "k-means++"
    )


def _nearest_center(centers: Matrix, matrix: Matrix) -> Labels:
    return nearest(np.ascontiguousarray(matrix.T), centers)


def _fit(
    estimator: Any, matrix: Matrix, counts: NDArray[np.integer], seed: int
) -> tuple[Any, Labels]:
    """Return the fitted clusterer and the label of each customer in the resample."""
    drawn = np.flatnonzero(counts)
    fitted = reseed(clone(estimator), seed)
    if has_fit_parameter(fitted, "sample_weight"):
        fitted.fit(matrix[drawn], sample_weight=counts[drawn].astype(float))
        return fitted, training_labels(fitted, matrix[drawn])
    fitted.fit(np.repeat(matrix[drawn], counts[drawn], axis=0))
    first = np.cumsum(counts[drawn]) - counts[drawn]
    if hasattr(fitted, "labels_"):
        return fitted, np.asarray(fitted.labels_)[first]
    return fitted, predicted(fitted, matrix[drawn])


def own_segments(estimator: Any, matrix: Matrix) -> tuple[Labels, int]:
    """Return each customer's canonical code in the clusterer's own fit, and the number of codes.

    The fit runs on one thread, so that cores do not change it; noise has code -1.
    """
    with threadpool_limits(limits=1):
        labels = training_labels(clone(estimator).fit(matrix), matrix)
    order = canonical_order(labels, matrix)
    return as_codes(labels, order), len(order)


def kmeans_centers(
    estimator: KMeans, matrix: Matrix, counts: NDArray[np.integer], seed: int
) -> Matrix:
    """Return the centres of compiled k-means, as scikit-learn's parameters ask for it.

    Rows are compared in single precision, centred; single steps never depend on the processor.
    """
    k = estimator.n_clusters
    drawn = np.flatnonzero(counts)
    if len(drawn) < k:
        raise ValueError(f"a resample holds {len(drawn)} customers, fewer than {k} segments")
    starts = 1 if estimator.n_init == "auto" else int(estimator.n_init)
    uniforms = np.random.default_rng(seed).random((starts, k, trials(k)))
    rows = matrix[drawn]
    middle = rows.mean(axis=0)
    tolerance = estimator.tol * rows.var(axis=0).mean()
    columns = np.ascontiguousarray((rows - middle).T, dtype=np.float32)
    weights = counts[drawn].astype(float)
    return middle + kmeans(columns, weights, k, estimator.max_iter, tolerance, uniforms)[0]


def cross_table(
    reference: Labels, labels: Labels, n_segments: int
) -> tuple[NDArray[np.integer], Labels]:
    """Return customers by reference segment (the last row: noise) and by label, and the labels."""
    found, codes = np.unique(labels, return_inverse=True)
    rows = np.where(reference >= 0, reference, n_segments)
    cells = np.bincount(rows * len(found) + codes, minlength=(n_segments + 1) * len(found))
    return cells.reshape(n_segments + 1, len(found)), found


def jaccards(
    reference: Labels, labels: Labels, drawn: NDArray[np.bool_], n_segments: int
) -> Matrix:
    """Return for each reference segment the Jaccard similarity of the most similar found one.

    Customers are counted once however often they were drawn, and only those who were drawn; a
    segment of whom nobody was drawn has NaN.
    """
    table, found = cross_table(reference[drawn], labels[drawn], n_segments)
    sizes = table.sum(axis=1, keepdims=True)
    either = (sizes + table.sum(axis=0) - table)[:n_segments, found >= 0]
    shares = table[:n_segments, found >= 0] / either
    return np.where(sizes[:n_segments, 0] > 0, shares.max(axis=1, initial=0.0), np.nan)


def agreeing(reference: Labels, labels: Labels, n_segments: int) -> NDArray[np.bool_]:
    """Return who keeps their segment when found segments are matched to the reference's.

    The matching is one to one and keeps as many customers as possible; noise is matched to noise.
    """
    table, found = cross_table(reference, labels, n_segments)
    table, names = table[:n_segments, found >= 0], found[found >= 0]
    matched = np.full(n_segments + 1, NOISE)
    matched[:n_segments] = UNSEEN - 1
    segments, columns = linear_sum_assignment(table, maximize=True)
    matched[segments] = names[columns]
    return np.asarray(matched[np.where(reference >= 0, reference, n_segments)] == labels)


@dataclass(frozen=True)
class Score:
    """What one pair of resamples says about one candidate."""

    jaccards: list[Matrix]
    within: list[Matrix]
    ari: float
    agreed: NDArray[np.integer]
    seen: NDArray[np.integer]
    seconds: float


@dataclass
class Replicates:
    """What all resamples say about one candidate.

    ``jaccards``, ``within``: resamples x segments, see `resample`; ``ari``: one per pair;
    ``agreement``: one share per customer; ``reason``: why a resample could not be fitted, or empty.
    """

    jaccards: list[Matrix] = field(default_factory=list)
    within: list[Matrix] = field(default_factory=list)
    ari: list[float] = field(default_factory=list)
    agreed: Any = 0
    seen: Any = 0
    seconds: float = 0.0
    reason: str = ""

    def add(self, score: Score | str) -> None:
        """Add a pair, or the reason why it failed."""
        if isinstance(score, str):
            self.reason = self.reason or score
            return
        self.jaccards += score.jaccards
        self.within += score.within
        self.ari += [score.ari] if np.isfinite(score.ari) else []
        self.agreed = self.agreed + score.agreed
        self.seen = self.seen + score.seen
        self.seconds += score.seconds

    @property
    def agreement(self) -> Matrix:
        """The share of the fits that saw a customer and put them into their own segment."""
        return np.asarray(self.agreed / np.maximum(self.seen, 1))


def resample(
    matrix: Matrix,
    candidates: Mapping[Hashable, tuple[Any, Labels]],
    *,
    n_resamples: int,
    seed: int,
    scheme: str = "bootstrap",
    label: str = "resamples",
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> dict[Hashable, Replicates]:
    """Fit every candidate on the same resamples and compare with its own segments.

    A bootstrap sample is fitted twice: with repeated customers, as Dolnicar & Leisch compare pairs,
    and with each of them once, as Hennig's Jaccard similarities are taken (fpc's ``clusterboot``).

    Parameters
    ----------
    matrix
        Customers x encoded variables.
    candidates
        From a key to an unfitted clusterer and its codes (0, 1, …, -1 for noise) on all customers.
    n_resamples
        The number of resamples; the first and second, third and fourth, … are pairs.
    seed
        The random state; each resample has its own stream, so that threads change nothing.
    scheme
        A name of `SCHEMES`.
    label
        The name on the bar.
    progress, n_jobs
        As in `custseg.evaluation.stability`.

    Returns
    -------
    dict
        From each key to its `Replicates`: ``jaccards`` of each segment with the most similar one
        found, among the customers who were drawn; ``within`` likewise among all customers.
    """

    def pair(first: int) -> dict[Hashable, Score | str]:
        draws = [
            SCHEMES[scheme](matrix, np.random.default_rng([seed, draw]))
            for draw in range(first, min(first + 2, n_resamples))
        ]
        seeds = [
            int(np.random.default_rng([seed, first + place, 1]).integers(2**32))
            for place in range(len(draws))
        ]
        return {
            key: _score(matrix, estimator, codes, draws, seeds)
            for key, (estimator, codes) in candidates.items()
        }

    totals: dict[Hashable, Replicates] = {key: Replicates() for key in candidates}
    tasks = range(0, n_resamples, 2)
    for scores in run(pair, tasks, label=label, progress=progress, n_jobs=n_jobs):
        for key, score in scores.items():
            totals[key].add(score)
    return totals


class Draw(NamedTuple):
    """A resample: how often each row counts, which rows are customers, the rows to fit on."""

    counts: NDArray[np.integer]
    drawn: NDArray[np.bool_]
    rows: Matrix


def _bootstrap(matrix: Matrix, rng: np.random.Generator) -> Draw:
    n = len(matrix)
    counts = np.bincount(rng.integers(n, size=n), minlength=n)
    return Draw(counts, counts > 0, matrix)


def _subsample(matrix: Matrix, rng: np.random.Generator) -> Draw:
    n = len(matrix)
    counts = np.zeros(n, dtype=int)
    counts[rng.permutation(n)[: (n + 1) // 2]] = 1
    return Draw(counts, counts > 0, matrix)


def _noise(matrix: Matrix, rng: np.random.Generator) -> Draw:
    n, d = matrix.shape
    replaced = np.asarray(rng.random(n) < NOISE_SHARE)
    center = matrix.mean(axis=0)
    _, spread, axes = np.linalg.svd(matrix - center, full_matrices=False)
    reach = NOISE_REACH * spread / np.sqrt(n)
    rows = matrix.copy()
    noise = rng.uniform(-1, 1, (n, min(n, d)))[replaced]
    rows[replaced] = center + (noise * reach) @ axes
    return Draw(np.ones(n, dtype=int), ~replaced, rows)


NOISE_SHARE, NOISE_REACH = 0.05, 4.0

SCHEMES: Mapping[str, Callable[[Matrix, np.random.Generator], Draw]] = {
    "bootstrap": _bootstrap,
    "subsample": _subsample,
    "noise": _noise,
}


def _score(
    matrix: Matrix, estimator: Any, codes: Labels, draws: list[Draw], seeds: list[int]
) -> Score | str:
    begin = perf_counter()
    n_segments = int(codes.max()) + 1
    try:
        labels = [
            fit_labels(estimator, draw.rows, draw.counts, seed, judged=matrix)
            for draw, seed in zip(draws, seeds, strict=True)
        ]
        once = [
            fit_labels(estimator, draw.rows, np.minimum(draw.counts, 1), seed, judged=matrix)
            if draw.counts.max() > 1
            else found
            for draw, seed, found in zip(draws, seeds, labels, strict=True)
        ]
    except FAILURES as error:
        return f"a resample failed: {error}"
    seen = [found != UNSEEN for found in labels]
    both = np.logical_and.reduce(seen)
    paired = len(labels) == 2 and both.any()
    return Score(
        jaccards=[
            jaccards(codes, found, draw.drawn, n_segments)
            for found, draw in zip(once, draws, strict=True)
        ],
        within=[
            jaccards(codes, found, known, n_segments)
            for found, known in zip(labels, seen, strict=True)
        ],
        ari=adjusted_rand_score(*(found[both] for found in labels)) if paired else np.nan,
        agreed=np.sum([agreeing(codes, found, n_segments) for found in labels], axis=0),
        seen=np.sum(seen, axis=0),
        seconds=perf_counter() - begin,
    )
