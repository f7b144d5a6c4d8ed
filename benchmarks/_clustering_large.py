"""Time and memory of fits on a Parquet file of very many customers, against fits in memory.

``rows()`` measures 10 million customers, every fit in a process of its own; run the file with a
number of customers and the name of a fit to measure one.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

N = 10_000_000
SEGMENTS = 6

CUSTOMERS = """
COPY (
  WITH groups AS (SELECT range AS i, CAST(hash(range, 0) % 6 AS INT) AS g FROM range({n})),
  noise AS (
    SELECT *, [hash(i, j) / 18446744073709551616.0 + hash(i, j + 100) / 18446744073709551616.0
      + hash(i, j + 200) / 18446744073709551616.0 - 1.5 FOR j IN range(1, 9)] AS e FROM groups)
  SELECT i * 7919 % {n} AS customer_id,
    round(90 + 60 * (g % 3) + 60 * e[1]) AS recency,
    1 + floor(exp(1 + 0.8 * (g // 2) + e[2])) AS frequency,
    round(exp(3 + g % 2 + e[3]), 2) AS monetary,
    round(400 + 300 * e[4]) AS tenure,
    round(exp(1.5 + e[5]), 1) AS basket,
    floor(exp(1 + (g % 3) * 0.5 + e[6])) AS visits,
    20 * e[7] + g AS age,
    round(0.5 + 0.3 * e[8], 3) AS discount_share
  FROM noise) TO '{path}' (FORMAT parquet)
"""


def rows() -> list[dict[str, Any]]:
    """Measure k-means and mini-batch k-means in batches, and in memory as the peer."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "customers.parquet")
        generate(N, path)
        found = {name: _measure(name, path) for name in FITS}
    return [
        _row("k-means in batches", found["batches"], "in memory", found["memory"]),
        _row(
            "mini-batch k-means in batches",
            found["mini"],
            "scikit-learn, at most ten passes",
            found["scikit"],
        ),
        _row("five samples of 50,000", found["sample"], "in memory", found["memory"]),
    ]


def _row(task: str, ours: dict[str, Any], peer: str, theirs: dict[str, Any]) -> dict[str, Any]:
    loss = ours["loss"] / theirs["loss"] - 1
    return {
        "task": f"{task}, {N:,} customers x 8 variables in Parquet, k = {SEGMENTS}",
        "ours_seconds": ours["seconds"],
        "peer": peer,
        "peer_seconds": theirs["seconds"],
        "ratio": theirs["seconds"] / ours["seconds"],
        "note": f"peak memory {ours['peak']:.2f} GB against {theirs['peak']:.2f} GB; "
        f"sum of squares {loss:+.3%}",
    }


def generate(n: int, path: str) -> None:
    """Write customers of six overlapping groups."""
    import duckdb

    duckdb.sql(CUSTOMERS.format(n=n, path=path))


def _measure(name: str, path: str) -> dict[str, Any]:
    command = [sys.executable, __file__, name, path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def model(algorithm: str = "kmeans") -> Any:
    import custseg as cs

    return cs.SegmentationModel(algorithm, n_segments=SEGMENTS, random_state=0)


def batches(path: str, algorithm: str = "kmeans") -> Any:
    from custseg.clustering import fit_in_batches

    return fit_in_batches(model(algorithm), path).model


def sample(path: str) -> Any:
    from custseg.clustering import fit_on_sample

    return fit_on_sample(model(), path).model


def memory(path: str) -> Any:
    import duckdb

    return model().fit(duckdb.read_parquet(path).df().set_index("customer_id"))


def scikit(path: str) -> Any:
    import duckdb
    from sklearn.cluster import MiniBatchKMeans

    import custseg as cs

    table = duckdb.read_parquet(path).df().set_index("customer_id")
    clusterer = MiniBatchKMeans(SEGMENTS, max_iter=10, random_state=0)
    return cs.SegmentationModel(clusterer).fit(table)


FITS: dict[str, Callable[[str], Any]] = {
    "batches": batches,
    "mini": lambda path: batches(path, "minibatch_kmeans"),
    "sample": sample,
    "memory": memory,
    "scikit": scikit,
}


def loss_of(fitted: Any, path: str) -> float:
    """Return the sum of squares within segments of two million customers, in one set of units."""
    import duckdb
    import numpy as np

    from custseg.features import Encoder

    table = duckdb.read_parquet(path).order("customer_id").limit(2_000_000).df()
    table = table.set_index("customer_id")
    rows = Encoder().fit_transform(table)
    codes = fitted.predict(table).cat.codes.to_numpy()
    means = np.array([rows[codes == code].mean(axis=0) for code in range(SEGMENTS)])
    return float(((rows - means[codes]) ** 2).sum())


def main() -> None:
    name, path = sys.argv[1:]
    start = time.perf_counter()
    fitted = FITS[name](path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(json.dumps({"seconds": seconds, "peak": peak, "loss": loss_of(fitted, path)}))


if __name__ == "__main__":
    main()
