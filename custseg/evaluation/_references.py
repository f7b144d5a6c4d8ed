"""The indices of a labelling, and what they are on tables without the structure in question."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from custseg.evaluation._distances import distance_sums
from custseg.evaluation._parallel import run
from custseg.evaluation._resamples import FAILURES, fit_labels
from custseg.evaluation.indices import separation, squares
from custseg.evaluation.silhouette import widths_of

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]


def permuted(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    """Return a table with every column shuffled on its own."""
    return rng.permuted(matrix, axis=0)


def box(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    """Return points spread evenly over the ranges of the columns."""
    return rng.uniform(matrix.min(axis=0), matrix.max(axis=0), matrix.shape)


def pca_box(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    """Return points spread evenly over the ranges of the principal components."""
    center = matrix.mean(axis=0)
    axes = np.linalg.svd(matrix - center, full_matrices=False)[2]
    scores = (matrix - center) @ axes.T
    return center + rng.uniform(scores.min(axis=0), scores.max(axis=0), scores.shape) @ axes


def normal(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    """Return draws from the normal distribution with the same means and covariances."""
    center = matrix.mean(axis=0)
    _, spread, axes = np.linalg.svd(matrix - center, full_matrices=False)
    scores = rng.normal(size=(len(matrix), len(spread))) * spread / np.sqrt(len(matrix) - 1)
    return np.asarray(center + scores @ axes)


def copula(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    """Return every column's own values, in orders that go together as normal scores do."""
    n = len(matrix)
    scores = norm.ppf((rankdata(matrix, axis=0) - 0.5) / n)
    ranks = normal(scores, rng).argsort(axis=0).argsort(axis=0)
    return np.take_along_axis(np.sort(matrix, axis=0), ranks, axis=0)


def style(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    """Return answers with the same level and spread per customer and the same means per item.

    What a customer answers beyond level, spread and the item's mean is shuffled within the item;
    the sum is moved to the nearest answer that the item has.
    """
    level = matrix.mean(axis=1, keepdims=True)
    item = matrix.mean(axis=0) - matrix.mean()
    rest = matrix - level - item
    spread = np.sqrt((rest**2).mean(axis=1, keepdims=True))
    shuffled = rng.permuted(rest / np.where(spread > 0, spread, 1.0), axis=0)
    made = level + item + spread * shuffled
    return np.column_stack(
        [_nearest(values, np.unique(own)) for values, own in zip(made.T, matrix.T, strict=True)]
    )


def _nearest(values: Matrix, answers: Matrix) -> Matrix:
    middles = (answers[1:] + answers[:-1]) / 2
    return answers[np.searchsorted(middles, values)]


@dataclass(frozen=True)
class Null:
    """A reference: how a table without structure is made, and what it cannot see."""

    make: Callable[[Matrix, np.random.Generator], Matrix]
    words: str
    blind_side: str


NULLS: Mapping[str, Null] = {
    "permuted": Null(
        permuted,
        "tables with shuffled columns",
        "the null reference shuffles every column on its own, so it keeps each variable's "
        "distribution and breaks all association: variables that merely correlate beat it without "
        "any groups, and groups along a single variable cannot beat it.",
    ),
    "box": Null(
        box,
        "points spread evenly over a box",
        "the null reference is spread evenly over the ranges of the columns: data that are denser "
        "in the middle, skewed, discrete or correlated beat it without any groups.",
    ),
    "pca_box": Null(
        pca_box,
        "points spread evenly over a box along the principal components",
        "the null reference is spread evenly over the ranges of the principal components, so it "
        "follows correlation: data that are denser in the middle, skewed or discrete beat it "
        "without any groups.",
    ),
    "normal": Null(
        normal,
        "a normal cloud with the same covariances",
        "the null reference is normal with the same means and covariances: skewed, discrete or "
        "flat data beat it without any groups.",
    ),
    "copula": Null(
        copula,
        "tables with the same distributions and rank correlations",
        "the null reference keeps each variable's distribution and the correlation of normal "
        "scores (a Gaussian copula): groups along a single variable cannot beat it, while a factor "
        "behind yes/no answers or counts does without any groups.",
    ),
    "style": Null(
        style,
        "tables with the same styles of answering",
        "the null reference keeps each customer's level and spread of answers and each item's "
        "mean, for rating scales: groups that differ in their level alone cannot beat it, and for "
        "variables that are no ratings of one kind it means nothing.",
    ),
}


INDICES = ("explained", "silhouette", "separation", "calinski_harabasz", "davies_bouldin")
SMALLER_IS_BETTER = {"davies_bouldin"}


def index_values(matrix: Matrix, labelings: list[Labels], sample: NDArray[np.integer]) -> Matrix:
    """Return the indices of each labelling; NaN below two segments.

    Parameters
    ----------
    matrix
        Customers x variables.
    labelings
        Codes of the segments in each labelling, -1 for a customer in none.
    sample
        The customers among whom silhouettes and separations are taken.

    Returns
    -------
    numpy.ndarray
        Labelings x `INDICES`.
    """
    answers = np.full((len(labelings), len(INDICES)), np.nan)
    usable = [place for place, codes in enumerate(labelings) if codes.max(initial=-1) > 0]
    for place in usable:
        found = squares(matrix[labelings[place] >= 0], labelings[place][labelings[place] >= 0])
        answers[place] = [found.get(name, np.nan) for name in INDICES]
    kept = {place: _dense(labelings[place][sample]) for place in usable}
    kept = {place: codes for place, codes in kept.items() if codes.max(initial=-1) > 0}
    sums = distance_sums(matrix[sample], list(kept.values()))
    for (place, codes), part in zip(kept.items(), sums, strict=True):
        size = np.bincount(codes[codes >= 0])
        answers[place, 1] = np.nanmean(widths_of(part, codes, size))
        answers[place, 2] = separation(part, codes, size)
    return answers


def _dense(codes: Labels) -> Labels:
    """Return codes without gaps, noise still -1."""
    found, dense = np.unique(codes, return_inverse=True)
    return dense - int((found < 0).sum()) if len(found) else codes


def reference_draws(
    matrix: Matrix,
    estimators: Mapping[Hashable, Any],
    *,
    null: Null,
    sample: NDArray[np.integer],
    n_tables: int,
    seed: int,
    coordinates: Callable[[Matrix], Matrix] = np.asarray,
    label: str = "null tables",
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> dict[Hashable, Matrix]:
    """Cluster tables made by the null and measure them as the data are measured.

    `coordinates` turns rows of a table into the points that are measured.

    Returns
    -------
    dict
        From each key to tables x `INDICES`; NaN where a fit failed.
    """
    keys = list(estimators)

    def measure(table: int) -> Matrix:
        rng = np.random.default_rng([seed, table, 2])
        made = null.make(matrix, rng)
        once, start = np.ones(len(made), dtype=int), int(rng.integers(2**32))
        labelings = []
        for key in keys:
            try:
                labelings.append(fit_labels(estimators[key], made, once, start))
            except FAILURES:
                labelings.append(np.full(len(made), -1))
        return index_values(coordinates(made), labelings, sample)

    tables = run(measure, range(n_tables), label=label, progress=progress, n_jobs=n_jobs)
    draws = np.array(list(tables)).reshape(n_tables, len(keys), len(INDICES))
    return {key: draws[:, place] for place, key in enumerate(keys)}


def against(observed: float, draws: Matrix) -> tuple[float, float, float]:
    """Return the mean of the draws, the z-score of what was observed, and its Monte-Carlo p-value.

    The p-value is one-sided, ``(1 + draws at least as large) / (1 + draws)``.
    """
    draws = draws[np.isfinite(draws)]
    if len(draws) < 2 or not np.isfinite(observed):
        return float("nan"), float("nan"), float("nan")
    as_large = draws >= observed - 1e-12 * abs(observed)
    spread = draws.std(ddof=1)
    mean = float(draws.mean())
    z = (observed - mean) / spread if spread > 1e-12 * abs(mean) else float("nan")
    return mean, float(z), float((1 + as_large.sum()) / (1 + len(draws)))


def family_p(observed: Matrix, draws: Matrix) -> Matrix:
    """Return p-values that hold for all candidates together.

    Every candidate is standardised over the data and the draws; a candidate's p-value is the share
    of tables, the data among them, whose largest candidate is at least as large (single-step
    maxT: Westfall & Young 1993).

    Parameters
    ----------
    observed
        One value per candidate.
    draws
        Tables x candidates, made by the same rule for all candidates.
    """
    everything = np.vstack([observed, draws])
    spread = everything.std(axis=0)
    steady = spread <= 1e-12 * np.abs(everything.mean(axis=0))
    z = (everything - everything.mean(axis=0)) / np.where(steady, np.inf, spread)
    return np.asarray((z.max(axis=1)[:, None] >= z[0] - 1e-9).mean(axis=0))
