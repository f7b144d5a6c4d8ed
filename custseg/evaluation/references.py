"""What the indices of a segmentation are on tables without structure, null by null."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from custseg.errors import ParameterError, check_number, check_option
from custseg.evaluation._references import (
    INDICES,
    NULLS,
    SMALLER_IS_BETTER,
    against,
    family_p,
    index_values,
    reference_draws,
)
from custseg.evaluation._resamples import own_segments
from custseg.evaluation.over_k import numbers_of_segments, ready
from custseg.results import Result

SAMPLE = 5_000


@dataclass(frozen=True, repr=False, eq=False)
class NullReferences(Result):
    """Indices against null references; made by `null_references`.

    Parameters
    ----------
    table
        One row per null, number of segments and index, see `null_references`.
    draws
        ``null``, ``k`` and every index, one row per null table.
    notes
        Caveats: the blind side of every null among them.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "solutions.null_references"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per null, number of segments and index."""
        return self.table

    def _shown(self) -> pd.DataFrame:
        wide = self.table.pivot_table(
            index=["index", "null"], columns="k", values="z", sort=False, observed=True
        )
        return wide.rename(columns=lambda k: f"z, k={k}")

    def summary(self) -> str:
        """Return which nulls are beaten, and by how many indices."""
        parts = []
        for null, rows in self.table.groupby("null", sort=False):
            least = rows.groupby("index", sort=False)["p_family"].min()
            beaten = int((least <= LEVEL).sum())
            parts.append(f"{null} by {beaten}")
        return f"of {self.table['index'].nunique()} indices, beaten at some k: " + ", ".join(parts)


LEVEL = 0.05


def null_references(
    X: "pd.DataFrame | ArrayLike",
    k: Iterable[int] = range(2, 9),
    *,
    nulls: Sequence[str] = ("permuted", "pca_box", "normal", "copula"),
    estimator: Any = None,
    n_tables: int = 39,
    random_state: int | np.random.Generator | None = 0,
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> NullReferences:
    """Hold the indices of segmentations against tables that lack one kind of structure each.

    Every null keeps something of the data and breaks the rest. An index that beats a null says
    that the data are not of that null's family; it does not say that there are groups, and the
    notes name what each null takes for structure. Several nulls together narrow it down.

    Parameters
    ----------
    X
        Customers x numeric variables on a comparable scale; a frame has unique customer ids as
        its index and is sorted by them.
    k
        The numbers of segments.
    nulls
        Names: ``"permuted"`` (columns shuffled), ``"box"`` and ``"pca_box"`` (even over the ranges
        of columns or principal components), ``"normal"`` (same means and covariances),
        ``"copula"`` (Gaussian copula with the same margins), ``"style"`` (for rating scales: level
        and spread per customer and the means of items).
    estimator
        A scikit-learn clusterer with a number of segments to set; ``None`` takes k-means with ten
        starts.
    n_tables
        The number of tables per null; p-values are at least ``1 / (n_tables + 1)``.
    random_state
        A seed; the same seed gives the same answer for any number of threads.
    progress
        Whether to show a bar on stderr; ``None`` shows it on a terminal.
    n_jobs
        The number of threads; ``None`` takes every core.

    Returns
    -------
    NullReferences
        ``to_frame()`` has ``null``, ``k``, ``index`` ("explained", "silhouette", "separation",
        "calinski_harabasz", "davies_bouldin", as in `indices`), ``observed``, ``null_mean``, ``z``
        and ``p_value`` (one-sided, for more structure than the null), and ``p_family``, the same
        for all k together.

    Raises
    ------
    DataError
        If `X` is empty, has text, missing or infinite values, or all customers are identical.
    ParameterError
        If a parameter is out of bounds, or there are fewer distinct customers than segments.

    References
    ----------
    Westfall & Young (1993), Resampling-Based Multiple Testing (``p_family``). Hennig & Lin (2015),
    Statistics and Computing 25, 821-833 (parametric bootstrap for the null of no clusters).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal([[0, 0]] * 30 + [[9, 9]] * 30)
    >>> found = null_references(X, [2, 3], nulls=["normal"], n_tables=19).to_frame()
    >>> found.loc[found["index"] == "silhouette", ["k", "observed", "p_value"]].round(2)
       k  observed  p_value
    1  2      0.86     0.05
    6  3      0.65     0.05
    """
    if isinstance(nulls, str) or not list(nulls):
        raise ParameterError(f"nulls is {nulls!r}, but must be a list, such as ['copula'].")
    for null in nulls:
        check_option(null, "a null", NULLS)
    check_number(n_tables, "n_tables", ge=2, integer=True)
    numbers = numbers_of_segments(k, least=2)
    matrix, seed, make = ready(X, numbers, estimator, random_state)
    clusterers: dict[Hashable, Any] = {number: make(number) for number in numbers}
    sample = np.arange(len(matrix))
    if len(matrix) > SAMPLE:
        drawn = np.random.default_rng([seed, 3]).choice(len(matrix), SAMPLE, replace=False)
        sample = np.sort(drawn)
    labelings = [own_segments(clusterer, matrix)[0] for clusterer in clusterers.values()]
    observed = index_values(matrix, labelings, sample)
    rows, draws = [], []
    for null in nulls:
        found = reference_draws(
            matrix,
            clusterers,
            null=NULLS[null],
            sample=sample,
            n_tables=n_tables,
            seed=seed,
            progress=progress,
            n_jobs=n_jobs,
        )
        rows.append(_against(null, numbers, observed, np.array([found[k] for k in numbers])))
        draws += [
            pd.DataFrame(found[number], columns=list(INDICES)).assign(null=null, k=number)
            for number in numbers
        ]
    notes = [f"{null}: {NULLS[null].blind_side}" for null in nulls]
    if len(sample) < len(matrix):
        notes.append(
            f"silhouettes and separations rest on a random {len(sample):,} of {len(matrix):,} "
            "customers, in the data and in the null tables alike."
        )
    columns = ["null", "k", *INDICES]
    return NullReferences(
        pd.concat(rows, ignore_index=True),
        pd.concat(draws, ignore_index=True)[columns],
        tuple(notes),
    )


def _against(
    null: str, numbers: list[int], observed: np.ndarray, draws: np.ndarray
) -> pd.DataFrame:
    """Return the rows of one null; `draws` is numbers x tables x indices."""
    rows = []
    for place, index in enumerate(INDICES):
        sign = -1 if index in SMALLER_IS_BETTER else 1
        families = family_p(sign * observed[:, place], sign * draws[:, :, place].T)
        for position, number in enumerate(numbers):
            value = observed[position, place]
            mean, z, p = against(sign * value, sign * draws[position, :, place])
            rows.append(
                {
                    "null": null,
                    "k": number,
                    "index": index,
                    "observed": value,
                    "null_mean": sign * mean,
                    "z": z,
                    "p_value": p,
                    "p_family": families[position],
                }
            )
    return pd.DataFrame(rows).sort_values("k", kind="stable")
