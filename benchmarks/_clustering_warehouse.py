"""Segments of a Parquet file, by DuckDB, against `predict` in memory: equal for all customers."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd

import custseg as cs

CUSTOMERS, SEGMENTS, RUNS = 2_000_000, 6, 3
KINDS = {"discount": "share", "member": "binary"}
ALGORITHMS = ("kmeans", "gaussian_mixture", "kprototypes")


def customers(n: int) -> pd.DataFrame:
    """Return customers with eight variables: counts, money, a share and a mark."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "recency": rng.integers(0, 400, n),
            "frequency": rng.poisson(4, n) + 1,
            "monetary": rng.lognormal(3, 1.5, n),
            "tenure": rng.integers(1, 2_000, n),
            "basket": rng.lognormal(3, 0.4, n),
            "categories": rng.poisson(3, n),
            "discount": rng.beta(0.5, 0.5, n).round(2),
            "member": rng.random(n) < 0.3,
        },
        index=pd.RangeIndex(n, name="customer_id"),
    )


def rows() -> list[dict[str, Any]]:
    """Time each algorithm, both sides the median of three runs."""
    table = customers(CUSTOMERS)
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "customers.parquet", Path(folder) / "segments.parquet"
        duckdb.from_df(table.reset_index()).write_parquet(str(source))
        return [_compare(name, table, source, target) for name in ALGORITHMS]


def _compare(name: str, table: pd.DataFrame, source: Path, target: Path) -> dict[str, Any]:
    model = cs.SegmentationModel(name, n_segments=SEGMENTS, dictionary=KINDS, random_state=0)
    model.fit(table.sample(20_000, random_state=0))
    ours = _seconds(lambda: model.assign_in(source).write_parquet(str(target)))
    peer = _seconds(lambda: model.predict(table))
    found = duckdb.read_parquet(str(target)).df().set_index("customer_id")["segment"]
    differ = int((found.sort_index() != model.predict(table).astype(object)).sum())
    if differ:
        raise AssertionError(f"{name}: {differ:,} customers have another segment")
    return {
        "task": f"assign {CUSTOMERS:,} customers, file to file, {name}, k = {SEGMENTS}",
        "ours_seconds": ours,
        "peer": "predict, in memory",
        "peer_seconds": peer,
        "ratio": peer / ours,
        "note": "all segments equal",
    }


def _seconds(run: Callable[[], Any]) -> float:
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
