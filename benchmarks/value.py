"""Time the lifetime models against lifetimes, at equal parameters.

Run ``python benchmarks/value.py --lifetimes PYTHON``, where PYTHON has lifetimes and pyarrow;
CDNOW is read through ``cs.datasets``. ``--write`` stores the table. lifetimes runs in a process of
its own, and both sides run on one thread.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

import custseg as cs

RESULTS = Path(__file__).parent / "results"
SIZES = (10_000, 100_000, 1_000_000)
PLANTED = {"r": 0.243, "alpha": 31.0, "a": 0.793, "b": 2.426}
"""The published fit of CDNOW, by day."""

PEER = """
import json, statistics, sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
import lifetimes
path, kind, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
table = pd.read_parquet(path)
if kind == "GammaGamma":
    table = table[(table["frequency"] > 0) & (table["monetary_value"] > 0)]
    columns = [table["frequency"], table["monetary_value"]]
else:
    columns = [table["frequency"], table["recency"], table["T"]]
taken = []
for _ in range(runs):
    model = getattr(lifetimes, kind + "Fitter")()
    start = time.perf_counter()
    model.fit(*columns)
    taken.append(time.perf_counter() - start)
print(json.dumps({"seconds": statistics.median(taken), "params": model.params_.to_dict(),
                  "objective": float(model._negative_log_likelihood_)}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lifetimes", required=True, help="a python that has lifetimes, pyarrow")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="simulated customers")
    parser.add_argument("--write", action="store_true", help="store the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(compare(Path(folder), options))
    text = report(rows, options.runs)
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "value.md").write_text(text + "\n", encoding="utf-8")


def compare(folder: Path, options: argparse.Namespace) -> Any:
    """Yield task, seconds of both sides and how far the parameters are apart."""
    cdnow = cs.datasets.load_cdnow()
    tx = cs.Transactions(cdnow, customer_id="sample_id", timestamp="date", amount="dollar_value")
    summary = cs.value.btyd_summary(tx, "1997-09-30")
    for kind in ("BetaGeo", "ModifiedBetaGeo", "ParetoNBD", "GammaGamma"):
        yield measure(folder, "CDNOW sample, 2,357", summary, kind, options.runs, options.lifetimes)
    for size in options.sizes:
        runs = options.runs if size < 500_000 else 1
        table = simulate(size)
        yield measure(folder, f"simulated, {size:,}", table, "BetaGeo", runs, options.lifetimes)


def measure(
    folder: Path, name: str, summary: pd.DataFrame, kind: str, runs: int, peer: str
) -> tuple[str, str, int, float, float, float]:
    path = folder / "summary.parquet"
    duckdb.from_df(summary).write_parquet(str(path))
    command = [peer, "-c", PEER, str(path), kind, str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    other = json.loads(done.stdout.splitlines()[-1])
    fit = getattr(cs.value, kind)
    model = fit().fit(summary)
    seconds = median(lambda: fit().fit(summary), max(runs, 3))
    params = pd.Series(other["params"])[model.params_.index]
    apart = float((model.params_ / params - 1).abs().max())
    limit = 2e-2 if kind == "ParetoNBD" else 1e-5  # its search for the former stops early
    assert apart < limit, f"{kind} on {name}: {model.params_.to_dict()} against {params.to_dict()}"
    used = ["monetary_value"] if kind == "GammaGamma" else ["recency", "T"]
    distinct = len(summary[["frequency", *used]].drop_duplicates())
    return name, kind, distinct, seconds, other["seconds"], apart


def median(work: Callable[[], Any], runs: int) -> float:
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def simulate(n: int, days: int = 273) -> pd.DataFrame:
    """Draw customers as BG/NBD has them, joining in the first twelve weeks; whole days."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(PLANTED["r"], 1 / PLANTED["alpha"], n)
    chances = rng.geometric(rng.beta(PLANTED["a"], PLANTED["b"], n))
    age = (days - rng.integers(0, 84, n)).astype(float)
    time_, frequency, recency = np.zeros(n), np.zeros(n), np.zeros(n)
    going = np.ones(n, dtype=bool)
    while going.any():
        time_[going] += rng.exponential(1 / rates[going])
        going &= (time_ <= age) & (frequency < chances)
        frequency += going
        recency = np.where(going, np.ceil(time_), recency)
    return pd.DataFrame({"frequency": frequency, "recency": recency, "T": np.ceil(age)})


def report(rows: list[Any], runs: int) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "scipy"))
    lines = [
        "# Lifetime models",
        "",
        f"Fits with standard errors on one thread, medians of {runs} runs (1 of lifetimes and 3 of",
        "custseg from 500,000 customers on), against lifetimes 0.11.3 on the same table. The last",
        "column is the largest relative difference between the parameters of the two.",
        f"Machine class: {os.cpu_count()} cores, {platform.machine()}, {platform.system()}, load",
        f"average {os.getloadavg()[0]:.1f}, Python {platform.python_version()}.",
        f"Versions: {versions}.",
        "",
        "| customers | model | distinct histories | custseg (s) | lifetimes (s) | ratio | apart |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, kind, distinct, own, peer, apart in rows:
        times = f"{own:.4f} | {peer:.3f} | {peer / own:.0f} | {apart:.0e}"
        lines.append(f"| {name} | {kind} | {distinct:,} | {times} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
