"""Candidates fitted, resampled and held against tables without structure."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.clustering._inputs import (
    check_customers,
    check_distinct,
    count_distinct,
    fit_encoder,
)
from custseg.clustering.algorithms import algorithm_name, as_seed, make_estimator
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
from custseg.evaluation._resamples import FAILURES, Replicates, own_segments, resample
from custseg.evaluation.evidence import Evidence
from custseg.evaluation.indices import explained_share
from custseg.evaluation.verdict import decide

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]
Key = tuple[str, int]

SILHOUETTE_SAMPLE = 5_000
FEWEST_NULL_TABLES = 19

COLUMNS = (
    *("algorithm", "k", "ari", "jaccard", "jaccard_min"),
    "within_ss",
    *(part for name in INDICES for part in (name, f"{name}_null", f"{name}_z", f"p_{name}")),
    "p_family",
    *("smallest_share", "reason", "seconds"),
)


@dataclass(frozen=True)
class _Fit:
    """A candidate on all customers: its clusterer, its segments, or why there are none."""

    estimator: Any
    codes: Labels
    seconds: float
    reason: str = ""


def compare_segmentations(
    customers: pd.DataFrame,
    variables: Sequence[str] | None = None,
    *,
    algorithms: Sequence[Any] = ("kmeans",),
    k: Iterable[int] | int = range(2, 9),
    encoder: Any = "auto",
    null: str = "permuted",
    n_resamples: int = 100,
    min_share: float = 0.05,
    random_state: int | np.random.Generator | None = 0,
    progress: bool | None = None,
) -> Evidence:
    """Measure candidate segmentations and say what the data support.

    Every candidate is fitted on all customers, on bootstrap samples of them (does the same cut
    come back?) and on null tables (is the index larger than without structure?). Customers are
    encoded once and sorted by id; every fit has the same number of starts.

    Parameters
    ----------
    customers
        One row per customer, the customer id as its unique index.
    variables
        The columns to segment by; ``None`` takes every numeric and boolean column.
    algorithms
        Names of ``custseg.clustering.ALGORITHMS``, or instances of scikit-learn clusterers.
    k
        The numbers of segments to try.
    encoder
        ``"auto"``, ``None`` or a scikit-learn transformer, as in `custseg.SegmentationModel`.
    null
        ``"permuted"``: every encoded column shuffled on its own.
    n_resamples
        The number of bootstrap samples; half as many null tables, at least 19.
    min_share
        A candidate with a smaller segment than this share of the customers is not recommended.
    random_state
        A seed; the same seed gives the same evidence for any order of rows and number of threads.
    progress
        Whether to show bars on stderr; ``None`` shows them on a terminal.

    Returns
    -------
    Evidence
        ``to_frame()`` has one row per algorithm and k; ``.verdict`` has ``kind``
        ("reproducible", "constructive" or "none"), ``k`` and ``reason``; ``model()`` is the
        recommended model, unfitted. A fit that fails is a row with a ``reason``.

    Raises
    ------
    ColumnError
        If a variable is missing.
    DataError
        If the table is empty, ids are not unique, a number is missing or infinite, text stands
        where a number belongs, or all customers are identical.
    ParameterError
        If a parameter is out of bounds, or every `k` exceeds the number of distinct customers.

    References
    ----------
    Dolnicar & Leisch (2010), Marketing Letters 21, 83-101. Hennig (2007), Computational Statistics
    & Data Analysis 52, 258-271. Rousseeuw (1987), Journal of Computational and Applied Mathematics
    20, 53-65. Westfall & Young (1993), Resampling-Based Multiple Testing.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> customers = pd.DataFrame(
    ...     {"visits": rng.normal([[2], [9]], 1, (2, 30)).ravel(),
    ...      "basket": rng.normal([[50], [20]], 5, (2, 30)).ravel()},
    ...     index=pd.RangeIndex(60, name="customer_id"),
    ... )
    >>> evidence = compare_segmentations(customers, ["visits", "basket"], k=[2, 3], n_resamples=20)
    >>> evidence.verdict.kind, evidence.verdict.k
    ('reproducible', 2)
    >>> evidence.model().n_segments
    2
    """
    check_option(null, "null", NULLS)
    check_number(n_resamples, "n_resamples", ge=2, integer=True)
    check_number(min_share, "min_share", ge=0, lt=1)
    seed = as_seed(random_state)
    estimators = _candidates(algorithms, k, seed)
    frame, names = check_customers(customers, variables)
    _, matrix = fit_encoder(frame[names], encoder)
    distinct = count_distinct(matrix, names)
    check_distinct(min(number for _, number in estimators), distinct, name="k")
    sample = np.arange(len(matrix))
    if len(matrix) > SILHOUETTE_SAMPLE:
        drawn = np.random.default_rng([seed, 3]).choice(
            len(matrix), SILHOUETTE_SAMPLE, replace=False
        )
        sample = np.sort(drawn)

    fits = {key: _fit(key, estimator, matrix, distinct) for key, estimator in estimators.items()}
    fitted = {key: fit for key, fit in fits.items() if not fit.reason}
    replicates = resample(
        matrix,
        {key: (fit.estimator, fit.codes) for key, fit in fitted.items()},
        n_resamples=n_resamples,
        seed=seed,
        progress=progress,
    )
    draws = reference_draws(
        matrix,
        {key: fit.estimator for key, fit in fitted.items()},
        null=NULLS[null],
        sample=sample,
        n_tables=max(FEWEST_NULL_TABLES, n_resamples // 2),
        seed=seed,
        progress=progress,
    )
    values = index_values(matrix, [fit.codes for fit in fitted.values()], sample)
    observed = dict(zip(fitted, values, strict=True))
    rows = [
        _row(key, fit, matrix, observed, draws, replicates, min_share) for key, fit in fits.items()
    ]
    table = _with_family_p(pd.DataFrame(rows), draws)
    return Evidence(
        candidates=table,
        verdict=decide(table, len(matrix)),
        n_customers=len(matrix),
        variables=tuple(names),
        pair_ari=_long({key: {"ari": value.ari} for key, value in replicates.items()}),
        null_draws=_long(
            {key: {"explained": d[:, 0], "silhouette": d[:, 1]} for key, d in draws.items()}
        ),
        min_share=min_share,
        algorithms=tuple(algorithms),
        encoder=encoder,
        random_state=seed,
        notes=_notes(null, len(matrix), len(sample), len(names)),
    )


def _candidates(algorithms: Sequence[Any], k: Iterable[int] | int, seed: int) -> dict[Key, Any]:
    if isinstance(algorithms, str):
        raise ParameterError(f"algorithms is {algorithms!r}, but must be a list: [{algorithms!r}].")
    numbers = [k] if isinstance(k, int) else list(k)
    if not numbers or not list(algorithms):
        raise ParameterError("algorithms and k must each name at least one candidate.")
    estimators: dict[Key, Any] = {}
    for algorithm in algorithms:
        for number in numbers:
            check_number(number, "k", ge=2, integer=True)
            key = (algorithm_name(algorithm), int(number))
            if key in estimators:
                raise ParameterError(f"{key[0]} with k = {key[1]} is asked for twice.")
            estimators[key] = make_estimator(algorithm, key[1], seed)
    return estimators


def _fit(key: Key, estimator: Any, matrix: Matrix, distinct: int) -> _Fit:
    nobody = np.full(len(matrix), -1)
    if key[1] > distinct:
        reason = f"only {distinct} distinct rows for {key[1]} segments"
        return _Fit(estimator, nobody, 0.0, reason)
    begin = perf_counter()
    try:
        codes, found = own_segments(estimator, matrix)
    except FAILURES as error:
        return _Fit(estimator, nobody, perf_counter() - begin, f"the fit failed: {error}")
    reason = "" if found > 1 else f"the fit found {found} segments"
    return _Fit(estimator, codes, perf_counter() - begin, reason)


def _row(
    key: Key,
    fit: _Fit,
    matrix: Matrix,
    observed: dict[Key, Matrix],
    draws: dict[Hashable, Matrix],
    replicates: dict[Hashable, Replicates],
    min_share: float,
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS, float("nan"))
    row |= {"algorithm": key[0], "k": key[1], "reason": fit.reason, "seconds": fit.seconds}
    if fit.reason:
        return row
    found = replicates[key]
    if found.jaccards:
        by_segment = np.nanmean(np.array(found.jaccards), axis=0)
        row |= {"jaccard": float(by_segment.mean()), "jaccard_min": float(by_segment.min())}
    row["ari"] = float(np.median(found.ari)) if found.ari else float("nan")
    row["within_ss"] = explained_share(matrix, fit.codes)[0]
    for place, index in enumerate(INDICES):
        value = observed[key][place]
        sign = -1 if index in SMALLER_IS_BETTER else 1
        mean, z, p = against(sign * value, sign * draws[key][:, place])
        row |= {index: value, f"{index}_null": sign * mean, f"{index}_z": z, f"p_{index}": p}
    share = float(np.bincount(fit.codes[fit.codes >= 0]).min() / len(matrix))
    row |= {"smallest_share": share, "seconds": fit.seconds + found.seconds}
    small = f"the smallest segment holds {share:.1%} of customers, less than {min_share:.0%}"
    row["reason"] = found.reason or small * (share < min_share)
    return row


def _with_family_p(table: pd.DataFrame, draws: dict[Hashable, Matrix]) -> pd.DataFrame:
    complete = [
        place
        for place, key in enumerate(zip(table["algorithm"], table["k"], strict=True))
        if key in draws and np.isfinite(draws[key][:, 0]).all()
    ]
    if complete:
        keys = [(table["algorithm"][place], table["k"][place]) for place in complete]
        shares = np.column_stack([draws[key][:, 0] for key in keys])
        observed = table["explained"].to_numpy()[complete]
        table.loc[complete, "p_family"] = family_p(observed, shares)
    return table


def _long(values: dict[Hashable, dict[str, Any]]) -> pd.DataFrame:
    frames = [
        pd.DataFrame({"algorithm": key[0], "k": key[1], **columns})  # type: ignore[index]
        for key, columns in values.items()
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _notes(null: str, n: int, n_sample: int, n_variables: int) -> tuple[str, ...]:
    notes = [
        "gaps between segments are not tested here, so the verdict is never 'natural'.",
        (
            f"stability and the verdict belong to these {n:,} customers: with more of them a cut "
            "through a continuum becomes firmer, without becoming a gap."
        ),
        NULLS[null].blind_side,
    ]
    if n_variables == 1:
        notes.append("with one variable, shuffling changes nothing and the null tells nothing.")
    if n_sample < n:
        notes.append(
            f"silhouettes rest on a random {n_sample:,} of {n:,} customers, in the data and in the "
            "null tables alike."
        )
    return tuple(notes)
