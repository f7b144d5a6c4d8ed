"""k-means against scikit-learn's with ten starts, both with all the cores that they are given."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.cluster import KMeans as Peer

from custseg.clustering import KMeans

SIZES = ((1_453, 11, 5), (20_000, 8, 5), (100_000, 8, 8))
SEEDS = 5


def customers(n: int, d: int, k: int) -> np.ndarray:
    """Return customers of overlapping groups, standardised."""
    rng = np.random.default_rng(0)
    X = rng.normal(0, 1.5, (k, d))[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    return (X - X.mean(axis=0)) / X.std(axis=0)


def answers(n: int, d: int, k: int) -> np.ndarray:
    """Return yes and no, many customers with the same."""
    rng = np.random.default_rng(0)
    usual = rng.beta(0.7, 0.7, (k, d))[rng.integers(k, size=n)]
    return (rng.random((n, d)) < usual).astype(float)


def rows() -> list[dict[str, Any]]:
    """Time both on five seeds each; the sums of squares are the means over the seeds."""
    found = [_compare(f"{n:,} x {d} numbers, k = {k}", customers(n, d, k), k) for n, d, k in SIZES]
    n, d, k = SIZES[0]
    return [*found, _compare(f"{n:,} x {d} yes/no answers, k = {k}", answers(n, d, k), k)]


def _compare(task: str, X: np.ndarray, k: int) -> dict[str, Any]:
    KMeans(k, random_state=0).fit(X[:100])  # compile
    seconds, ours = _clock(lambda seed: KMeans(k, random_state=seed).fit(X).inertia_)
    peer_seconds, peer = _clock(lambda seed: Peer(k, n_init=10, random_state=seed).fit(X).inertia_)
    if ours > peer * 1.001:
        raise ValueError(f"{task}: sum of squares {ours} against {peer}")
    return {
        "task": f"k-means, {task}",
        "ours_seconds": seconds,
        "peer": "scikit-learn, 10 starts",
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / seconds,
        "note": f"mean sum of squares {ours:,.1f} against {peer:,.1f}",
    }


def _clock(fit: Callable[[int], float]) -> tuple[float, float]:
    """Return the median time of a fit and the mean of its results."""
    times, results = [], []
    for seed in range(SEEDS):
        begin = time.perf_counter()
        results.append(fit(seed))
        times.append(time.perf_counter() - begin)
    return statistics.median(times), statistics.fmean(results)


if __name__ == "__main__":
    for row in rows():
        print(row)
