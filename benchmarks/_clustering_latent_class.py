"""Latent classes against `stepmix`, as many starts each, at equal likelihood.

stepmix may live in an environment of its own: CUSTSEG_PEERS names its python.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from custseg.clustering.latent_class import LatentClass

ITEMS, CLASSES, STARTS = 11, 4, 10
RUNS = 5
EQUAL = 1e-6
"""The largest relative difference of the log likelihoods."""

PEER = f"""
import json, sys, time
import numpy as np
from stepmix import StepMix
answers = np.load(sys.argv[1])
model = StepMix({CLASSES}, measurement="binary", n_init={STARTS}, random_state=0, verbose=0,
                progress_bar=0)
StepMix(2, measurement="binary", verbose=0, progress_bar=0).fit(answers[:100])
start = time.perf_counter()
model.fit(answers)
seconds = time.perf_counter() - start
print(json.dumps([seconds, model.score(answers) * len(answers)]))
"""


def customers(n: int) -> np.ndarray:
    """Return yes/no answers of four planted classes, 40, 30, 20 and 10 percent."""
    rng = np.random.default_rng(0)
    chances = np.where(rng.random((CLASSES, ITEMS)) < 0.5, 0.2, 0.8)
    group = rng.choice(CLASSES, n, p=[0.4, 0.3, 0.2, 0.1])
    return (rng.random((n, ITEMS)) < chances[group]).astype(float)


def rows() -> list[dict[str, Any]]:
    """Time both at each size, ours the median of five runs, the peer once."""
    return [_compare(n) for n in (10_000, 100_000)]


def _compare(n: int) -> dict[str, Any]:
    answers = customers(n)
    task = f"latent classes, {n:,} rows x {ITEMS} yes/no items, k = {CLASSES}, {STARTS} starts"
    LatentClass(2, n_init=1, random_state=0).fit(answers[:100])
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        model = LatentClass(CLASSES, n_init=STARTS, random_state=0).fit(answers)
        seconds.append(time.perf_counter() - start)
    peer_seconds, peer = _stepmix(answers)
    apart = (model.log_likelihood_ - peer) / abs(peer)
    if abs(apart) > EQUAL:
        raise AssertionError(f"{task}: {model.log_likelihood_:.4f}, but stepmix has {peer:.4f}")
    own = statistics.median(seconds)
    return {
        "task": task,
        "ours_seconds": own,
        "peer": "stepmix",
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / own,
        "note": f"log likelihood {model.log_likelihood_:.3f}, stepmix {peer:.3f}",
    }


def _stepmix(answers: np.ndarray) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.npy"
        np.save(path, answers)
        python = os.environ.get("CUSTSEG_PEERS", sys.executable)
        done = subprocess.run(
            [python, "-W", "ignore", "-c", PEER, path], capture_output=True, text=True, check=True
        )
    seconds, log_likelihood = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), float(log_likelihood)


if __name__ == "__main__":
    for row in rows():
        print(row)
