"""Medoids against the `kmedoids` package, and Gower's dissimilarity against the `gower` package.

The peers may live in an environment of their own: CUSTSEG_PEERS names its python.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from custseg.clustering import KMedoids
from custseg.features import gower

CLUSTERS, STARTS = 10, 10
RUNS = 5
ROUNDING = 1e-6
"""How far sums and dissimilarities in single precision may be apart."""

PEER_MEDOIDS = f"""
import json, sys, time
import numpy as np
from kmedoids import fasterpam

def clock(seed, n_cpu):
    start = time.perf_counter()
    found = fasterpam(square, {CLUSTERS}, random_state=seed, n_cpu=n_cpu)
    return time.perf_counter() - start, found.loss

square = np.load(sys.argv[1])
n_cpu = min((1, -1), key=lambda n_cpu: clock(0, n_cpu)[0])
found = [clock(seed, n_cpu) for seed in range({STARTS})]
print(json.dumps([sum(seconds for seconds, _ in found), min(loss for _, loss in found)]))
"""

PEER_GOWER = """
import json, sys, time
import numpy as np
from gower import gower_matrix
values = np.load(sys.argv[1])
seconds = []
for _ in range(3):
    start = time.perf_counter()
    square = gower_matrix(values)
    seconds.append(time.perf_counter() - start)
np.save(sys.argv[1], square)
print(json.dumps(sorted(seconds)[1]))
"""


def rows() -> list[dict[str, Any]]:
    """Time Gower's dissimilarity, and as many starts of both searches on the same square."""
    return [
        _gower(10_000, 10),
        *(_medoids(n, spread) for n in (5_000, 10_000) for spread in (1, 3)),
    ]


def _gower(n: int, d: int) -> dict[str, Any]:
    values = np.random.default_rng(0).lognormal(3, 1, (n, d))
    gower(values[:10])
    seconds, found = _clock(lambda: gower(values))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "values.npy"
        np.save(path, values)
        peer_seconds = _peer(PEER_GOWER, path)
        apart = float(np.abs(found - np.load(path)).max())
    if apart > ROUNDING:
        raise AssertionError(f"Gower: the dissimilarities are {apart:g} apart")
    return {
        "task": f"Gower's dissimilarity in double precision, {n:,} rows x {d} numbers",
        "ours_seconds": seconds,
        "peer": "gower (single precision)",
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / seconds,
        "note": f"largest difference {apart:.1e}",
    }


def _medoids(n: int, spread: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 3, (12, 10))[rng.integers(0, 12, n)] + rng.normal(0, spread, (n, 10))
    square = cdist(values, values).astype(np.float32)
    kind = "apart" if spread == 1 else "that overlap"
    task = f"k-medoids on a square, {STARTS} starts, {n:,} rows of groups {kind}, k = {CLUSTERS}"
    KMedoids(2, n_init=2, random_state=0).fit(square[:100, :100].copy())
    model = KMedoids(CLUSTERS, n_init=STARTS, random_state=0)
    seconds, found = _clock(lambda: model.fit(square))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "square.npy"
        np.save(path, square)
        peer_seconds, peer = _peer(PEER_MEDOIDS, path)
    if found.inertia_ > peer * (1 + ROUNDING):
        raise AssertionError(f"{task}: the loss is {found.inertia_:.4f}, kmedoids has {peer:.4f}")
    return {
        "task": task,
        "ours_seconds": seconds,
        "peer": "kmedoids (FasterPAM)",
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / seconds,
        "note": f"loss {found.inertia_:,.2f}, kmedoids {peer:,.2f}",
    }


def _clock(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the median time of several runs, and the answer."""
    seconds, answer = [], None
    for _ in range(RUNS):
        answer = None  # two squares at a time would be a question of memory
        start = time.perf_counter()
        answer = function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), answer


def _peer(script: str, path: Path) -> Any:
    python = os.environ.get("CUSTSEG_PEERS", sys.executable)
    done = subprocess.run(
        [python, "-W", "ignore", "-c", script, path], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    for row in rows():
        print(row)
