"""Candidates fitted, resampled and held against tables without structure."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.brief import Brief
from custseg.clustering._inputs import check_customers, check_distinct, count_distinct
from custseg.clustering._naming import as_segments, segment_names
from custseg.clustering.algorithms import (
    ALGORITHMS,
    algorithm_name,
    as_seed,
    make_estimator,
    prepare,
    takes,
)
from custseg.errors import ParameterError, check_number, check_option
from custseg.evaluation._candidates import Measured, Settings, measure_candidate, not_measured
from custseg.evaluation._references import INDICES, NULLS, SMALLER_IS_BETTER, against, family_p
from custseg.evaluation._spaces import Space, space_of
from custseg.evaluation.evidence import Evidence
from custseg.evaluation.gaps import Gaps, gaps, natural
from custseg.evaluation.verdict import decide

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]
Key = tuple[str, int | None]

SILHOUETTE_SAMPLE = 2_000
LARGEST = 20_000
FEWEST_NULL_TABLES = 19
ZERO_HEAVY = 0.3
LEARNED = "adaptive_kmeans"

COLUMNS = (
    *("algorithm", "k", "ari", "jaccard", "jaccard_min", "within_ss"),
    *(part for name in INDICES for part in (name, f"{name}_null", f"{name}_z", f"p_{name}")),
    *("p_family", "natural", "border_ratio", "p_border"),
    *("describability", "smallest_share", "reason", "seconds"),
)


def compare_segmentations(
    customers: pd.DataFrame,
    variables: Sequence[str] | None = None,
    *,
    algorithms: Sequence[Any] = ("kmeans",),
    k: Iterable[int] | int = range(2, 9),
    encoder: Any = "auto",
    null: str = "permuted",
    n_resamples: int = 100,
    min_share: float | Brief = 0.05,
    random_state: int | np.random.Generator | None = 0,
    cache: str | Path | None = None,
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> Evidence:
    """Measure candidate segmentations and say what the data support.

    Every candidate is fitted on the customers, on bootstrap samples of them (does the same cut come
    back?) and on null tables (is an index larger than without structure?), and its borders are
    examined for gaps. Customers are encoded once and sorted by id; every fit has the same number of
    starts. Above 20,000 customers all of this is done on 20,000 drawn at random.

    Parameters
    ----------
    customers
        One row per customer, the customer id as its unique index.
    variables
        The columns to segment by; ``None`` takes every numeric and boolean column, and categories
        too where every algorithm takes them.
    algorithms
        Names of ``custseg.clustering.ALGORITHMS``, or instances of scikit-learn clusterers.
    k
        The numbers of segments to try; an algorithm that finds the number itself is tried once.
    encoder
        ``"auto"``, ``None`` or a scikit-learn transformer, as in `custseg.SegmentationModel`.
    null
        ``"permuted"``: every encoded column shuffled on its own; or another name of
        `null_references`, for variables that are all numbers.
    n_resamples
        The number of bootstrap samples; half as many null tables, at least 19.
    min_share
        A candidate with a smaller segment than this share of the customers is not recommended; a
        `custseg.Brief` stands for its ``min_share``.
    random_state
        A seed; the same seed gives the same evidence for any order of rows and number of threads.
    cache
        A folder where every finished candidate is kept, so that an interrupted comparison goes on
        where it stopped. The files hold segments by position and numbers, no ids.
    progress
        Whether to show bars on stderr; ``None`` shows them on a terminal.
    n_jobs
        The number of threads; ``None`` takes every core.

    Returns
    -------
    Evidence
        ``to_frame()`` has one row per algorithm and k; ``.verdict`` has ``kind`` ("natural",
        "reproducible", "constructive" or "none"), ``k`` and ``reason``; ``model()`` is the
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
    ('natural', 2)
    >>> evidence.model().n_segments
    2
    """
    check_option(null, "null", NULLS)
    check_number(n_resamples, "n_resamples", ge=2, integer=True)
    least = min_share.min_share if isinstance(min_share, Brief) else min_share
    check_number(least, "min_share", ge=0, lt=1)
    seed = as_seed(random_state)
    estimators = _candidates(algorithms, k, seed)
    takes_categories = all(takes(one) not in ("numbers", "raw") for _, one in estimators.values())
    automatic = isinstance(encoder, str) and encoder == "auto"
    whole, names = check_customers(customers, variables, categories=automatic and takes_categories)
    frame = whole.iloc[drawn(len(whole), LARGEST, [seed, 4])][names]
    spaces = _spaces(estimators, frame, encoder, null)
    distinct = min(count_distinct(space.matrix, names) for space in spaces.values())
    fewest = min((number for _, number in estimators if number is not None), default=1)
    check_distinct(fewest, distinct, name="k")
    settings = Settings(
        n_resamples=n_resamples,
        null=null,
        seed=seed,
        n_tables=max(FEWEST_NULL_TABLES, n_resamples // 2),
        sample=drawn(len(frame), SILHOUETTE_SAMPLE, [seed, 3]),
        progress=progress,
        n_jobs=n_jobs,
    )
    folder = None if cache is None else Path(cache)
    found: dict[Key, Measured] = {}
    for key, (algorithm, estimator) in estimators.items():
        if (key[1] or 1) > distinct:
            reason = f"only {distinct} distinct rows for {key[1]} segments"
            found[key] = not_measured(len(frame), reason)
            continue
        space = spaces[key]
        prepare(algorithm, estimator, space.encoder, space.matrix)
        found[key] = measure_candidate(_label(key), estimator, space, settings, folder)
    borders = _borders(found, spaces, frame.index, seed)
    numbers = {k for _, k in estimators if k and k <= distinct}
    wider = _in_learned_units(spaces, numbers, borders, seed)
    if wider is not None and wider[0] not in found:
        key, space = wider
        spaces[key] = space
        estimator = make_estimator(*key, seed)
        found[key] = measure_candidate(_label(key), estimator, space, settings, folder)
        borders |= _borders({key: found[key]}, spaces, frame.index, seed)
    table = pd.DataFrame(
        [_row(key, one, borders.get(_label(key)), least) for key, one in found.items()]
    )
    _add_family_p(table, list(found.values()))
    return Evidence(
        candidates=table,
        verdict=decide(table, len(frame), NULLS[null].words),
        n_customers=len(whole),
        n_measured=len(frame),
        variables=tuple(names),
        pair_ari=_long({key: {"ari": one.ari} for key, one in found.items()}),
        null_draws=_long(
            {key: dict(zip(INDICES, one.draws.T, strict=True)) for key, one in found.items()}
        ),
        labelings=_labelings(found, frame.index),
        gaps=borders,
        min_share=least,
        algorithms=(*algorithms, *([LEARNED] if wider is not None else [])),
        encoder=encoder,
        random_state=seed,
        notes=_notes(settings, frame, len(whole)),
    )


def drawn(n: int, largest: int, seed: list[int]) -> Labels:
    """Return the positions of at most so many of `n` customers, drawn at random, in their order."""
    if n <= largest:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, largest, replace=False))


def _candidates(
    algorithms: Sequence[Any], k: Iterable[int] | int, seed: int
) -> dict[Key, tuple[Any, Any]]:
    """Return from each candidate's name and number to its algorithm, as given and unfitted."""
    if isinstance(algorithms, str):
        raise ParameterError(f"algorithms is {algorithms!r}, but must be a list: [{algorithms!r}].")
    numbers = [k] if isinstance(k, int) else list(k)
    if not numbers or not list(algorithms):
        raise ParameterError("algorithms and k must each name at least one candidate.")
    for one in numbers:
        check_number(one, "k", ge=2, integer=True)
    estimators: dict[Key, tuple[Any, Any]] = {}
    for algorithm in algorithms:
        finds_k = isinstance(algorithm, str) and algorithm in ALGORITHMS
        finds_k = finds_k and not ALGORITHMS[algorithm].needs_n_segments
        asked: list[int | None] = [None] if finds_k else [int(number) for number in numbers]
        for number in asked:
            key = (algorithm_name(algorithm), number)
            if key in estimators:
                raise ParameterError(f"{_label(key)} is asked for twice.")
            estimators[key] = (algorithm, make_estimator(algorithm, key[1], seed))
    return estimators


def _label(key: Key) -> str:
    return key[0] if key[1] is None else f"{key[0]} with k = {key[1]}"


def _spaces(
    estimators: Mapping[Key, tuple[Any, Any]], frame: pd.DataFrame, encoder: Any, null: str
) -> dict[Key, Space]:
    known: dict[str, Space] = {}
    spaces = {}
    for key, (_, estimator) in estimators.items():
        space = spaces[key] = space_of(estimator, frame, encoder, known)
        if space.categorical and null != "permuted":
            raise ParameterError(
                f"null is {null!r}, but {key[0]} takes categories, for which only 'permuted' makes "
                "tables."
            )
    return spaces


def _borders(
    found: Mapping[Key, Measured], spaces: Mapping[Key, Space], ids: pd.Index, seed: int
) -> dict[str, Gaps]:
    """Return from candidate to the borders of its segments, where it has any."""
    borders = {}
    for key, one in found.items():
        n_segments = int(one.codes.max(initial=-1)) + 1
        if n_segments > 1:
            space = spaces[key]
            table = pd.DataFrame(space.complete, index=ids)
            labels = as_segments(one.codes, segment_names(n_segments), ids)
            borders[_label(key)] = gaps(
                table, labels, categorical=list(space.categorical), random_state=seed
            )
    return borders


def _in_learned_units(
    spaces: Mapping[Key, Space], numbers: set[int], borders: Mapping[str, Gaps], seed: int
) -> tuple[Key, Space] | None:
    """Return the candidate with more natural segments that k-means in learned units finds.

    Standardised, columns without groups hide the groups of others from most algorithms.
    """
    measured = [space for space in spaces.values() if not space.categorical]
    if not measured or not numbers or np.isnan(measured[0].matrix).any():
        return None
    table = pd.DataFrame(measured[0].matrix)
    most = max((len(one.borders) for one in borders.values() if one.natural), default=1)
    asked = [number for number in sorted(numbers) if number > most]
    found = natural(table, k=asked, random_state=seed).best_k if asked else None
    return None if found is None else ((LEARNED, found), measured[0])


def _row(key: Key, found: Measured, borders: Gaps | None, min_share: float) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS, float("nan"))
    row["natural"] = borders is not None and borders.natural
    if borders is not None:
        fullest = borders.borders.loc[borders.borders["ratio"].idxmax()]
        row["border_ratio"], row["p_border"] = fullest["ratio"], borders.p_joint
    n_segments = int(found.codes.max(initial=-1)) + 1
    row |= {"algorithm": key[0], "k": key[1] or n_segments, "reason": str(found.reason)}
    row |= {"seconds": float(found.seconds), "within_ss": float(found.within_ss)}
    row["describability"] = float(found.describability)
    if len(found.jaccards):
        by_segment = np.nanmean(found.jaccards, axis=0)
        row |= {"jaccard": float(by_segment.mean()), "jaccard_min": float(by_segment.min())}
    if len(found.ari):
        row["ari"] = float(np.median(found.ari))
    for place, index in enumerate(INDICES):
        value, sign = found.values[place], -1 if index in SMALLER_IS_BETTER else 1
        mean, z, p = against(sign * value, sign * found.draws[:, place])
        row |= {index: value, f"{index}_null": sign * mean, f"{index}_z": z, f"p_{index}": p}
    if n_segments:
        share = float(np.bincount(found.codes[found.codes >= 0]).min() / len(found.codes))
        row["smallest_share"] = share
        if share < min_share and not row["reason"]:
            row["reason"] = (
                f"the smallest segment holds {share:.1%} of customers, less than {min_share:.0%}"
            )
    return row


def _add_family_p(table: pd.DataFrame, found: list[Measured]) -> None:
    """Put p-values of the explained share that hold for all candidates into the table."""
    complete = [
        place
        for place, one in enumerate(found)
        if len(one.draws) and np.isfinite(one.draws[:, 0]).all()
    ]
    if complete:
        draws = np.column_stack([found[place].draws[:, 0] for place in complete])
        observed = np.array([found[place].values[0] for place in complete])
        table.loc[complete, "p_family"] = family_p(observed, draws)


def _long(values: Mapping[Key, Mapping[str, Any]]) -> pd.DataFrame:
    frames = [
        pd.DataFrame({"algorithm": key[0], "k": key[1], **columns})
        for key, columns in values.items()
    ]
    kept = [frame for frame in frames if len(frame)]
    return pd.concat(kept, ignore_index=True) if kept else frames[0]


def _labelings(found: Mapping[Key, Measured], ids: pd.Index) -> pd.DataFrame:
    columns = {}
    for key, one in found.items():
        n_segments = int(one.codes.max(initial=-1)) + 1
        if n_segments:
            columns[_label(key)] = as_segments(one.codes, segment_names(n_segments), ids)
    return pd.DataFrame(columns, index=ids.rename("customer_id"))


def _notes(settings: Settings, frame: pd.DataFrame, n_whole: int) -> tuple[str, ...]:
    n = len(frame)
    notes = []
    if n < n_whole:
        notes.append(
            f"everything was measured on {n:,} of {n_whole:,} customers, drawn at random; "
            "evidence.model() takes all of them."
        )
    notes += [
        (
            f"stability and the verdict belong to these {n:,} customers: with more of them a cut "
            "through a continuum becomes firmer, without becoming a gap."
        ),
        NULLS[settings.null].blind_side,
    ]
    if frame.shape[1] == 1:
        notes.append("with one variable, shuffling changes nothing and the null tells nothing.")
    if len(settings.sample) < n:
        notes.append(
            f"silhouettes and separations rest on a random {len(settings.sample):,} of {n:,} "
            "customers, in the data and in the null tables alike."
        )
    return (*notes, *_odd_columns(frame))


def _odd_columns(frame: pd.DataFrame) -> list[str]:
    """Return what is to be said of columns full of zeros or of ties."""
    numbers = frame.select_dtypes("number")
    many = {name: column.nunique() > 10 for name, column in numbers.items()}
    zeros = {
        name: share
        for name, share in (numbers == 0).mean().items()
        if share >= ZERO_HEAVY and many[name]
    }
    tied = [
        str(name)
        for name, column in numbers.items()
        if many[name] and _tied(column) >= ZERO_HEAVY and name not in zeros
    ]
    notes = [
        f"{name} is 0 for {share:.0%} of customers: a heap of zeros is a gap of its own and can "
        "make segments by itself. Segment those with none apart, or compare without it."
        for name, share in zeros.items()
    ]
    if tied:
        notes.append(
            f"the most frequent value of {', '.join(tied)} is shared by {ZERO_HEAVY:.0%} or "
            "more of customers; ties are spread evenly before borders are examined."
        )
    return notes


def _tied(column: pd.Series) -> float:
    return float(column.value_counts(normalize=True).iloc[0]) if column.notna().any() else 0.0
