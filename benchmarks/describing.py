"""How wide the intervals of profiling are, and what describing segments costs.

Run ``python benchmarks/describing.py``; ``--write`` stores benchmarks/results/describing.md.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from custseg.profiling import describe_membership, recruiting_list, segment_cards
from custseg.profiling._telling import ratio_interval
from custseg.profiling.cross import _agreement, _measures

DRAWS = 1_000
OUT = Path(__file__).parent / "results" / "describing.md"

TABLES = {
    "unrelated, 3 x 3": np.outer([0.5, 0.3, 0.2], [0.4, 0.4, 0.2]),
    "unrelated, 5 x 4": np.outer([0.2] * 5, [0.25] * 4),
    "weak": 0.85 * np.outer([0.5, 0.3, 0.2], [0.4, 0.4, 0.2]) + 0.15 * np.diag([0.5, 0.3, 0.2]),
    "medium": np.array([[0.25, 0.05, 0.02], [0.05, 0.25, 0.05], [0.03, 0.05, 0.25]]),
    "strong": np.array([[0.30, 0.01, 0.0], [0.01, 0.33, 0.01], [0.0, 0.01, 0.33]]),
}


def coverage() -> Iterator[tuple[Any, ...]]:
    """Yield how often the intervals of V and of the adjusted Rand index hold the truth."""
    for name, truth in TABLES.items():
        squared, ari = _measures(truth / truth.sum() * 1e12)
        expected = np.array([np.sqrt(max(squared, 0.0)), ari])
        for n in (200, 1_000):
            rng = np.random.default_rng(1)
            hits, widths = np.zeros(2), np.zeros(2)
            for draw in range(DRAWS):
                counts = rng.multinomial(n, truth.ravel() / truth.sum()).reshape(truth.shape)
                counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
                found = _agreement(counts.astype(float), 0.95, draw)
                low, high = found["ci_low"].to_numpy(), found["ci_high"].to_numpy()
                hits += (low <= expected + 1e-5) & (expected - 1e-5 <= high)
                widths += high - low
            yield name, n, *expected.round(3), *(hits / DRAWS), *(widths / DRAWS).round(3)


def value_shares() -> Iterator[tuple[Any, ...]]:
    """Yield how often the interval of a segment's share of all value holds the truth.

    Weights are one over the chance to be asked, which lies between a tenth and a half, and is twice
    as high in the segment.
    """
    for weighted in (False, True):
        for n, share in ((200, 0.3), (1_000, 0.3), (1_000, 0.05)):
            rng = np.random.default_rng(2)
            truth = 3 * share / (3 * share + 1 - share)
            hits = 0
            for _ in range(DRAWS):
                drawn = 6 * n if weighted else n
                inside = rng.random(drawn) < share
                chance = np.ones(drawn)
                if weighted:
                    chance = rng.uniform(0.1, 0.5, drawn) * np.where(inside, 2, 1)
                asked = np.flatnonzero(rng.random(drawn) < chance)[:n] if weighted else slice(None)
                spend = rng.lognormal(0, 1, drawn) * np.where(inside, 3, 1)
                given = spend[asked], inside[asked], 1 / chance[asked]
                _, low, high = ratio_interval(*given, level=0.95)
                hits += low <= truth <= high
            yield n, share, "yes" if weighted else "no", round(truth, 3), hits / DRAWS


def customers(n: int, columns: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return customers of five overlapping groups, two thirds of the columns numbers."""
    rng = np.random.default_rng(3)
    group = rng.integers(5, size=n)
    centres = rng.normal(0, 1, (5, columns))
    table = pd.DataFrame(centres[group] + rng.normal(size=(n, columns))).add_prefix("v")
    for name in table.columns[2 * columns // 3 :]:
        table[name] = pd.cut(table[name], [-9, -1, 0, 1, 9], labels=list("abcd")).astype(str)
    return table, np.array(list("ABCDE"))[group]


def timings() -> Iterator[tuple[Any, ...]]:
    """Yield the seconds of each door."""
    doors: dict[str, Callable[..., Any]] = {
        "describe_membership": describe_membership,
        "segment_cards": segment_cards,
        "recruiting_list": recruiting_list,
    }
    for n, columns in ((5_000, 12), (5_000, 30), (100_000, 12)):
        table, segments = customers(n, columns)
        numeric = table.select_dtypes("number").columns.tolist()
        others = [name for name in table if name not in numeric]
        for name, door in doors.items():
            given = (
                {}
                if name == "describe_membership"
                else {"variables": numeric, "descriptors": others}
            )
            begin = time.perf_counter()
            door(table, segments, **given)
            yield name, f"{n:,} x {columns}", round(time.perf_counter() - begin, 2)


def as_table(heads: list[str], rows: Iterator[tuple[Any, ...]]) -> str:
    lines = [heads, ["---"] * len(heads), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    v = ["table", "customers", "V", "ARI", "V: cover", "ARI: cover", "V: width", "ARI: width"]
    machine = (
        f"{DRAWS:,} draws per row; intervals of 95 %. {platform.machine()}, one thread, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, NumPy {np.__version__}."
    )
    parts = [
        "# Describing segments",
        machine,
        "Intervals of `cross_classify`:",
        as_table(v, coverage()),
        "Interval of a segment's share of all value (log-normal, three times as high inside):",
        as_table(["customers", "segment", "weights", "share of value", "cover"], value_shares()),
        "Seconds:",
        as_table(["call", "customers x columns", "seconds"], timings()),
    ]
    print("\n\n".join(parts))
    if "--write" in sys.argv:
        OUT.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
