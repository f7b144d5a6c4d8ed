"""The indices of a labelling, and what they are on tables without the structure in question."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custseg.evaluation._parallel import run
from custseg.evaluation._resamples import FAILURES, fit_labels
from custseg.evaluation.indices import explained_share
from custseg.evaluation.silhouette import widths

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]


def permuted(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    """Return a table with every column shuffled on its own."""
    return rng.permuted(matrix, axis=0)


@dataclass(frozen=True)
class Null:
    """A reference: how a table without structure is made, and what it cannot see."""

    make: Callable[[Matrix, np.random.Generator], Matrix]
    blind_side: str


NULLS: Mapping[str, Null] = {
    "permuted": Null(
        permuted,
        "the null reference shuffles every column on its own, so it keeps each variable's "
        "distribution and breaks all association: variables that merely correlate beat it without "
        "any groups, and groups along a single variable cannot beat it.",
    ),
}


def mean_silhouettes(
    matrix: Matrix, labelings: list[Labels], sample: NDArray[np.integer]
) -> Matrix:
    """Return the mean width in each labelling over a sample, NaN below two segments."""
    answer = np.full(len(labelings), np.nan)
    kept = [_dense(codes[sample]) for codes in labelings]
    usable = [place for place, codes in enumerate(kept) if codes.max(initial=-1) > 0]
    if usable:
        found = widths(matrix[sample], [kept[place] for place in usable])
        answer[usable] = np.nanmean(found, axis=0)
    return answer


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
    progress: bool | None = None,
) -> dict[Hashable, Matrix]:
    """Cluster tables made by the null and measure them as the data are measured.

    Returns
    -------
    dict
        From each key to tables x (explained share, mean silhouette); NaN where a fit failed.
    """
    keys = list(estimators)

    def measure(table: int) -> Matrix:
        rng = np.random.default_rng([seed, table, 2])
        made = null.make(matrix, rng)
        once, start = np.ones(len(made), dtype=int), int(rng.integers(2**32))
        answers = np.full((len(keys), 2), np.nan)
        labelings = []
        for place, key in enumerate(keys):
            try:
                codes = fit_labels(estimators[key], made, once, start)
            except FAILURES:
                codes = np.full(len(made), -1)
            labelings.append(codes)
            if codes.max() > 0:
                answers[place, 0] = explained_share(made, codes)[1]
        answers[:, 1] = mean_silhouettes(made, labelings, sample)
        return answers

    tables = run(measure, range(n_tables), label="null tables", progress=progress)
    draws = np.array(list(tables)).reshape(n_tables, len(keys), 2)
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
