"""One candidate measured: fitted, resampled and held against null tables; kept in a cache."""

from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.tree import DecisionTreeClassifier

from custseg import __version__
from custseg.evaluation._references import INDICES, NULLS, index_values, reference_draws
from custseg.evaluation._resamples import FAILURES, own_segments, resample
from custseg.evaluation._spaces import Space
from custseg.evaluation.indices import explained_share

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

FOLDS = 5


class Settings(NamedTuple):
    """What is the same for all candidates of a comparison."""

    n_resamples: int
    n_tables: int
    null: str
    seed: int
    sample: Labels
    progress: bool | None
    n_jobs: int | None


@dataclass(frozen=True)
class Measured:
    """What was found of a candidate; arrays only, so that a file holds nothing else.

    ``codes``: by customer; ``values``: `INDICES`; ``draws``: null tables x `INDICES`;
    ``jaccards``, ``within``: resamples x segments; ``ari``: by pair of resamples; ``agreement``: by
    customer; ``describability``, ``within_ss``, ``seconds``: numbers; ``reason``: text, empty where
    nothing failed.
    """

    codes: Labels
    values: Matrix
    draws: Matrix
    jaccards: Matrix
    within: Matrix
    ari: Matrix
    agreement: Matrix
    describability: Matrix
    within_ss: Matrix
    seconds: Matrix
    reason: NDArray[np.str_]


def measure_candidate(
    name: str, estimator: Any, space: Space, settings: Settings, cache: Path | None
) -> Measured:
    """Return what is found of a candidate, from the cache where it was found before.

    Parameters
    ----------
    name
        What the candidate is called on the bar and in the cache.
    estimator
        The unfitted clusterer.
    space
        Where it looks for segments.
    settings
        The settings of the comparison.
    cache
        A folder; ``None`` keeps nothing.
    """
    if cache is None:
        return _measure(name, estimator, space, settings)
    path = cache / f"{name.replace(' ', '-')}-{_fingerprint(estimator, space, settings)}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            return Measured(**{field.name: kept[field.name] for field in fields(Measured)})
    found = _measure(name, estimator, space, settings)
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, **{field.name: getattr(found, field.name) for field in fields(Measured)})
    unfinished.replace(path)
    return found


def _fingerprint(estimator: Any, space: Space, settings: Settings) -> str:
    """Return a short hash of all that decides what is found."""
    digest = sha256()
    parameters = sorted(estimator.get_params().items())
    digest.update(f"{__version__} {type(estimator).__name__} {parameters}".encode())
    digest.update(str(settings[:4]).encode())
    digest.update(np.ascontiguousarray(space.matrix).tobytes())
    return digest.hexdigest()[:16]


def _measure(name: str, estimator: Any, space: Space, settings: Settings) -> Measured:
    begin = perf_counter()
    matrix = space.matrix
    try:
        codes, n_segments = own_segments(estimator, matrix)
    except FAILURES as error:
        return not_measured(len(matrix), f"the fit failed: {error}", perf_counter() - begin)
    if n_segments < 2:
        reason = f"the fit found {n_segments} segments"
        return not_measured(len(matrix), reason, perf_counter() - begin)
    points = space.coordinates(matrix)
    found = resample(
        matrix,
        {name: (estimator, codes)},
        n_resamples=settings.n_resamples,
        seed=settings.seed,
        label=f"{name}: resamples",
        progress=settings.progress,
        n_jobs=settings.n_jobs,
    )[name]
    draws = reference_draws(
        matrix,
        {name: estimator},
        null=NULLS[settings.null],
        sample=settings.sample,
        n_tables=settings.n_tables,
        seed=settings.seed,
        coordinates=space.coordinates,
        label=f"{name}: null tables",
        progress=settings.progress,
        n_jobs=settings.n_jobs,
    )[name]
    return Measured(
        codes=codes,
        values=index_values(points, [codes], settings.sample)[0],
        draws=draws,
        jaccards=np.array(found.jaccards),
        within=np.array(found.within),
        ari=np.array(found.ari),
        agreement=found.agreement,
        describability=np.array(describability(points, codes, settings)),
        within_ss=np.array(explained_share(points, codes)[0]),
        seconds=np.array(perf_counter() - begin),
        reason=np.array(found.reason),
    )


def not_measured(n: int, reason: str, seconds: float = 0.0) -> Measured:
    """Return a candidate of which nothing is known but the reason."""
    nothing, unknown = np.empty(0), np.array(np.nan)
    return Measured(
        codes=np.full(n, -1),
        values=np.full(len(INDICES), np.nan),
        draws=np.empty((0, len(INDICES))),
        jaccards=nothing,
        within=nothing,
        ari=nothing,
        agreement=nothing,
        describability=unknown,
        within_ss=unknown,
        seconds=np.array(seconds),
        reason=np.array(reason),
    )


def describability(points: Matrix, codes: Labels, settings: Settings) -> float:
    """Return the share of customers whose segment three yes/no questions in a row tell.

    A tree of depth 3 is learned on four fifths of the customers and asked of the rest, in turn;
    NaN where a segment is too small to be in every fold.
    """
    kept = settings.sample[codes[settings.sample] >= 0]
    own = codes[kept]
    if np.bincount(own)[np.unique(own)].min() < FOLDS:
        return float("nan")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=settings.seed % 2**32)
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    return float(cross_val_score(tree, points[kept], own, cv=folds).mean())
