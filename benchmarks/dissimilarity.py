"""Gower's dissimilarity against the `gower` package, side by side, on a float array.

pip install gower
OMP_NUM_THREADS=1 python benchmarks/dissimilarity.py
"""

import time

import numpy as np
from gower import gower_matrix

from custseg.features.gower import gower

ROWS, COLUMNS, REPEATS = 10_000, 10, 3


def seconds(function, values):
    """Return the shortest wall time of several runs, the shortest time of all cores, the answer."""
    walls, cores = [], []
    for _ in range(REPEATS):
        wall, core = time.perf_counter(), time.process_time()
        answer = function(values)
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
    return min(walls), min(cores), answer


def main():
    values = np.random.default_rng(0).lognormal(3, 1, (ROWS, COLUMNS))
    gower(values[:10])
    ours, our_cores, found = seconds(gower, values)
    theirs, their_cores, expected = seconds(gower_matrix, values)
    apart = float(np.abs(found - expected).max())
    if apart > 1e-6:
        raise AssertionError(f"the answers differ by {apart:g}")
    print(f"{ROWS:,} rows x {COLUMNS} columns, largest difference {apart:.1e}")
    print(
        f"wall: custseg {ours:.2f} s (float64), gower {theirs:.2f} s (float32): "
        f"{theirs / ours:.1f}x"
    )
    print(
        f"all cores: custseg {our_cores:.2f} s, gower {their_cores:.2f} s: "
        f"{their_cores / our_cores:.1f}x"
    )


if __name__ == "__main__":
    main()
