"""k-modes and k-prototypes against the `kmodes` package, from the same start, at equal results."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from kmodes.kmodes import KModes as PeerModes
from kmodes.kprototypes import KPrototypes as PeerPrototypes

from custseg.clustering import KModes, KPrototypes

CLUSTERS, NUMBERS, CATEGORIES, LEVELS = 5, 5, 8, 6
RUNS = 5


def customers(n: int) -> pd.DataFrame:
    """Return customers of five overlapping groups: five numbers, eight columns of six letters."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, CLUSTERS, n)
    numbers = rng.normal(size=(CLUSTERS, NUMBERS))[group] + rng.normal(size=(n, NUMBERS))
    usual = rng.integers(0, LEVELS, (CLUSTERS, CATEGORIES))[group]
    chance = rng.integers(0, LEVELS, (n, CATEGORIES))
    letters = np.array(list("abcdef"))[np.where(rng.random((n, CATEGORIES)) < 0.5, usual, chance)]
    return pd.concat(
        [
            pd.DataFrame(numbers).add_prefix("number_"),
            pd.DataFrame(letters.astype(object)).add_prefix("letter_"),
        ],
        axis=1,
    )


def rows() -> list[dict[str, Any]]:
    """Time each task at each size, ours the median of five runs, the peer's one."""
    return [task(n) for n in (10_000, 50_000) for task in (_modes, _prototypes)]


def _modes(n: int) -> dict[str, Any]:
    letters = customers(n).iloc[:, NUMBERS:]
    return _compare(
        f"k-modes, Cao's start, {n:,} rows x {CATEGORIES} categories, k = {CLUSTERS}",
        lambda: KModes(CLUSTERS, init="cao").fit(letters),
        lambda: PeerModes(CLUSTERS, init="Cao", n_init=1).fit(letters),
    )


def _prototypes(n: int) -> dict[str, Any]:
    table = customers(n)
    categorical = list(range(NUMBERS, NUMBERS + CATEGORIES))
    start = table.iloc[np.random.default_rng(1).choice(n, CLUSTERS, replace=False)]
    numbers = start.iloc[:, :NUMBERS].to_numpy()
    codes = np.searchsorted(list("abcdef"), start.iloc[:, NUMBERS:].to_numpy().astype(str))
    return _compare(
        f"k-prototypes, rows as start, {n:,} rows x ({NUMBERS} numbers + {CATEGORIES} categories), "
        f"k = {CLUSTERS}",
        lambda: KPrototypes(CLUSTERS, categorical=categorical, init=(numbers, codes)).fit(table),
        lambda: PeerPrototypes(CLUSTERS, init=[numbers.copy(), codes.copy()], n_init=1).fit(
            table, categorical=categorical
        ),
    )


def _compare(task: str, ours: Callable[[], Any], peer: Callable[[], Any]) -> dict[str, Any]:
    found = ours()
    seconds = statistics.median(_clock(ours)[0] for _ in range(RUNS))
    peer_seconds, expected = _clock(peer)
    if found.cost_ != expected.cost_ or (found.labels_ != expected.labels_).any():
        raise AssertionError(f"{task}: cost or labels differ from those of kmodes")
    return {
        "task": task,
        "ours_seconds": seconds,
        "peer": "kmodes",
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / seconds,
        "note": f"cost and all labels equal, {found.n_iter_} passes",
    }


def _clock(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    answer = function()
    return time.perf_counter() - start, answer


if __name__ == "__main__":
    print(pd.DataFrame(rows()).to_string())
