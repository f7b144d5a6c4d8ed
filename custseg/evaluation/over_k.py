"""Rules that look for a number of segments: gap statistic, prediction strength, instability."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans

from custseg.clustering._inputs import check_customers, check_distinct, count_distinct
from custseg.clustering.algorithms import as_seed, make_estimator
from custseg.errors import ParameterError, check_number, check_option
from custseg.evaluation._parallel import run
from custseg.evaluation._references import NULLS
from custseg.evaluation._resamples import cross_table, fit_rule
from custseg.evaluation.indices import explained_share
from custseg.features.encoder import numeric_matrix
from custseg.results import Result, format_number

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]


@dataclass(frozen=True, repr=False, eq=False)
class OverK(Result):
    """A statistic over numbers of segments, and the number that a rule chooses.

    Parameters
    ----------
    table
        One row per number of segments ``k``.
    best_k
        What the rule chooses.
    statistic
        The column that the rule looks at.
    rule
        The rule in words.
    asked
        The value that is asked for, where there is one.
    notes
        Caveats.
    """

    table: pd.DataFrame
    best_k: int
    statistic: str
    rule: str
    asked: float | None
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "solutions.over_k"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per number of segments."""
        return self.table

    def _shown(self) -> pd.DataFrame:
        return self.table.set_index("k")

    def summary(self) -> str:
        """Return the number chosen, and why."""
        value = self.table.set_index("k").loc[self.best_k, self.statistic]
        return f"k = {self.best_k} is {self.rule} ({self.statistic} {format_number(value)})"


def gap_statistic(
    X: "pd.DataFrame | ArrayLike",
    k: Iterable[int] = range(1, 9),
    *,
    reference: str = "pca_box",
    estimator: Any = None,
    n_tables: int = 100,
    random_state: int | np.random.Generator | None = 0,
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> OverK:
    """Compare the sum of squares within segments with that of tables spread evenly over a box.

    The gap at k is the mean over reference tables of log W minus log W of the data, with W the sum
    of squared distances to the means of the segments. The rule takes the smallest k whose gap is
    no smaller than the next one less its standard error.

    Parameters
    ----------
    X
        Customers x numeric variables on a comparable scale; a frame has unique customer ids as
        its index and is sorted by them.
    k
        Consecutive numbers of segments, from 1 on.
    reference
        ``"pca_box"``: even over the ranges of the principal components; ``"box"``: even over the
        ranges of the columns; or another null of `null_references`.
    estimator
        A scikit-learn clusterer with a number of segments to set; ``None`` takes k-means with ten
        starts.
    n_tables
        The number of reference tables.
    random_state
        A seed; the same seed gives the same answer for any number of threads.
    progress
        Whether to show a bar on stderr; ``None`` shows it on a terminal.
    n_jobs
        The number of threads; ``None`` takes every core.

    Returns
    -------
    OverK
        ``to_frame()`` has ``k``, ``log_w``, ``log_w_null``, ``gap`` and ``standard_error`` (the
        standard deviation over tables times ``sqrt(1 + 1 / n_tables)``); ``.best_k`` may be 1.

    Raises
    ------
    DataError
        If `X` is empty, has text, missing or infinite values, or all customers are identical.
    ParameterError
        If a parameter is out of bounds, or there are fewer distinct customers than segments.

    References
    ----------
    Tibshirani, Walther & Hastie (2001), Journal of the Royal Statistical Society B 63, 411-423.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal([[0, 0]] * 30 + [[9, 9]] * 30)
    >>> gap_statistic(X, range(1, 5), n_tables=20).best_k
    2
    """
    check_option(reference, "reference", NULLS)
    check_number(n_tables, "n_tables", ge=2, integer=True)
    numbers = _consecutive(k)
    matrix, seed, make = ready(X, numbers, estimator, random_state)
    clusterers = {number: make(number) for number in numbers if number > 1}

    def logs(table: int) -> Matrix:
        rng = np.random.default_rng([seed, table])
        made = NULLS[reference].make(matrix, rng) if table else matrix
        start = seed if not table else int(rng.integers(2**32))
        return np.log([_within(made, clusterers.get(number), start) for number in numbers])

    found = np.array(
        list(run(logs, range(n_tables + 1), label="tables", progress=progress, n_jobs=n_jobs))
    )
    gap = found[1:].mean(axis=0) - found[0]
    error = found[1:].std(axis=0) * np.sqrt(1 + 1 / n_tables)
    table = pd.DataFrame(
        {
            "k": numbers,
            "log_w": found[0],
            "log_w_null": found[1:].mean(axis=0),
            "gap": gap,
            "standard_error": error,
        }
    )
    enough = np.flatnonzero(gap[:-1] >= gap[1:] - error[1:])
    best = numbers[enough[0]] if len(enough) else numbers[-1]
    rule = "the smallest whose gap is no smaller than the next less its standard error"
    if not len(enough):
        rule = "the last that was tried; the gap grows by more than its standard error up to it"
    return OverK(table, best, "gap", rule, None, (NULLS[reference].blind_side,))


def prediction_strength(
    X: "pd.DataFrame | ArrayLike",
    k: Iterable[int] = range(1, 9),
    *,
    cutoff: float = 0.8,
    estimator: Any = None,
    n_splits: int = 50,
    random_state: int | np.random.Generator | None = 0,
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> OverK:
    """Split the customers in halves and see how well one half predicts the segments of the other.

    Both halves are clustered. Of the pairs of customers in a segment of one half, the share that
    the rule of the other half puts together is taken; the smallest share over segments counts, and
    the mean over both halves and all splits is the prediction strength. A segment of one customer
    has no pairs and does not count. The rule takes the largest k with a strength of `cutoff` or
    more.

    Parameters
    ----------
    X, k, estimator, random_state, progress, n_jobs
        As in `gap_statistic`; `k` need not be consecutive.
    cutoff
        The strength that is asked for.
    n_splits
        The number of random splits.

    Returns
    -------
    OverK
        ``to_frame()`` has ``k``, ``strength`` (1 for k = 1) and ``standard_deviation`` over splits;
        ``.best_k`` is 1 where no other reaches `cutoff`.

    Raises
    ------
    DataError, ParameterError
        As `gap_statistic` does.

    References
    ----------
    Tibshirani & Walther (2005), Journal of Computational and Graphical Statistics 14, 511-528.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal([[0, 0]] * 30 + [[9, 9]] * 30)
    >>> prediction_strength(X, range(1, 5), n_splits=10).best_k
    2
    """
    check_number(cutoff, "cutoff", gt=0, lt=1)
    check_number(n_splits, "n_splits", ge=1, integer=True)
    numbers = numbers_of_segments(k, least=1)
    matrix, seed, make = ready(X, numbers, estimator, random_state)
    clusterers = {number: make(number) for number in numbers if number > 1}

    def strengths(split: int) -> Matrix:
        rng = np.random.default_rng([seed, split])
        order = rng.permutation(len(matrix))
        halves = [matrix[np.sort(half)] for half in np.array_split(order, 2)]
        start = int(rng.integers(2**32))
        return np.array([_strength(halves, clusterers.get(number), start) for number in numbers])

    found = np.array(
        list(run(strengths, range(n_splits), label="splits", progress=progress, n_jobs=n_jobs))
    )
    strength = found.mean(axis=0)
    table = pd.DataFrame(
        {
            "k": numbers,
            "strength": strength,
            "standard_deviation": found.std(axis=0, ddof=min(1, n_splits - 1)),
        }
    )
    enough = [number for number, value in zip(numbers, strength, strict=True) if value >= cutoff]
    rule = f"the largest with a strength of {cutoff:g} or more"
    if not enough:
        rule = f"the smallest that was tried; none reaches a strength of {cutoff:g}"
    note = (
        "prediction strength tells how firm a cut is, not whether there is a gap: a long cloud is "
        "cut in two at the same place again and again."
    )
    best = max(enough, default=min(numbers))
    return OverK(table, best, "strength", rule, cutoff, (note,))


def instability(
    X: "pd.DataFrame | ArrayLike",
    k: Iterable[int] = range(2, 9),
    *,
    estimator: Any = None,
    n_resamples: int = 50,
    random_state: int | np.random.Generator | None = 0,
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> OverK:
    """Cluster pairs of bootstrap samples and see how often they disagree on two customers.

    The instability of a pair of samples is the share of all pairs of customers that one of the
    two puts together and the other apart. The rule takes the k with the smallest mean.

    Parameters
    ----------
    X, k, estimator, random_state, progress, n_jobs
        As in `gap_statistic`; `k` from 2 on, and it need not be consecutive.
    n_resamples
        The number of pairs of bootstrap samples.

    Returns
    -------
    OverK
        ``to_frame()`` has ``k``, ``instability`` and ``standard_deviation`` over pairs of samples.

    Raises
    ------
    DataError, ParameterError
        As `gap_statistic` does.

    References
    ----------
    Fang & Wang (2012), Computational Statistics & Data Analysis 56, 468-477 (``nselectboot`` of
    R's fpc).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal([[0, 0]] * 30 + [[9, 9]] * 30)
    >>> instability(X, range(2, 5), n_resamples=10).best_k
    2
    """
    check_number(n_resamples, "n_resamples", ge=1, integer=True)
    numbers = numbers_of_segments(k, least=2)
    matrix, seed, make = ready(X, numbers, estimator, random_state)
    clusterers = {number: make(number) for number in numbers}
    n = len(matrix)

    def disagreements(pair: int) -> Matrix:
        rng = np.random.default_rng([seed, pair])
        counts = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(2)]
        start = int(rng.integers(2**32))
        return np.array(
            [
                _disagreement(
                    *(fit_rule(clusterers[number], matrix, one, start)(matrix) for one in counts)
                )
                for number in numbers
            ]
        )

    found = np.array(
        list(
            run(disagreements, range(n_resamples), label="pairs", progress=progress, n_jobs=n_jobs)
        )
    )
    mean = found.mean(axis=0)
    table = pd.DataFrame(
        {
            "k": numbers,
            "instability": mean,
            "standard_deviation": found.std(axis=0, ddof=min(1, n_resamples - 1)),
        }
    )
    note = (
        "instability compares numbers of segments of one algorithm; it is not corrected for "
        "chance, so that its smallest value says nothing about whether there is structure."
    )
    best = numbers[int(mean.argmin())]
    return OverK(table, best, "instability", "the least unstable", None, (note,))


def numbers_of_segments(k: Iterable[int], *, least: int) -> list[int]:
    """Return the numbers of segments, an error unless they are increasing whole numbers."""
    numbers = list(k)
    if not numbers:
        raise ParameterError("k is empty, but must name at least one number of segments.")
    for number in numbers:
        check_number(number, "k", ge=least, integer=True)
    if sorted(set(numbers)) != numbers:
        raise ParameterError(f"k is {numbers}, but must be increasing numbers, each once.")
    return [int(number) for number in numbers]


def _consecutive(k: Iterable[int]) -> list[int]:
    numbers = numbers_of_segments(k, least=1)
    if numbers != list(range(1, len(numbers) + 1)) or len(numbers) < 2:
        raise ParameterError(
            f"k is {numbers}, but the rule compares each number with the next: give range(1, 9)."
        )
    return numbers


def ready(
    X: Any, numbers: list[int], estimator: Any, random_state: Any
) -> tuple[Matrix, int, Callable[[int], Any]]:
    """Return the customers as numbers, the seed, and what makes a clusterer with k segments."""
    seed = as_seed(random_state)
    customers = pd.DataFrame(X)
    frame, names = check_customers(customers, list(customers.columns))
    matrix = numeric_matrix(frame)
    check_distinct(max(numbers), count_distinct(matrix, names), name="k")
    clusterer = KMeans(n_init=10) if estimator is None else estimator
    return matrix, seed, lambda number: make_estimator(clusterer, number, seed)


def _within(matrix: Matrix, clusterer: Any | None, seed: int) -> float:
    if clusterer is None:
        return float(((matrix - matrix.mean(axis=0)) ** 2).sum())
    once = np.ones(len(matrix), dtype=int)
    return explained_share(matrix, fit_rule(clusterer, matrix, once, seed)(matrix))[0]


def _strength(halves: list[Matrix], clusterer: Any | None, seed: int) -> float:
    if clusterer is None:
        return 1.0
    rules = [fit_rule(clusterer, half, np.ones(len(half), dtype=int), seed) for half in halves]
    return float(
        np.mean(
            [
                _kept_together(rule(half), other(half))
                for rule, other, half in zip(rules, reversed(rules), halves, strict=True)
            ]
        )
    )


def _pairs(counts: NDArray[np.integer]) -> NDArray[np.integer]:
    return counts * (counts - 1)


def _kept_together(own: Labels, given: Labels) -> float:
    """Return over segments the smallest share of their pairs that the given labels put together."""
    cells = cross_table(own, given, int(own.max()) + 1)[0][:-1]
    sizes = cells.sum(axis=1)
    shares = _pairs(cells).sum(axis=1)[sizes > 1] / _pairs(sizes[sizes > 1])
    return float(shares.min(initial=1.0))


def _disagreement(one: Labels, other: Labels) -> float:
    """Return the share of pairs of customers that one puts together and the other apart."""
    cells = cross_table(one, other, int(one.max()) + 1)[0]
    n = cells.sum()
    apart = (cells.sum(axis=0) ** 2).sum() + (cells.sum(axis=1) ** 2).sum() - 2 * (cells**2).sum()
    return float(apart / n**2)
