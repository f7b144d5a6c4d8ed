"""Time the lifetime models against lifetimes, and money by segment against pandas and scipy.

Run ``python benchmarks/value.py`` for retention, demand and budgets, at equal results; with
``--lifetimes PYTHON``, where PYTHON has lifetimes and pyarrow, also for the lifetime models, at
equal parameters (CDNOW is read through ``cs.datasets``; lifetimes runs in a process of its own).
``--write`` stores the tables. All sides run on one thread.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pandas as pd
from scipy.optimize import minimize

import custseg as cs
from custseg.value.budget import _draw

RESULTS = Path(__file__).parent / "results"
SIZES = (10_000, 100_000, 1_000_000)
PLANTED = {"r": 0.243, "alpha": 31.0, "a": 0.793, "b": 2.426}
"""The published fit of CDNOW, by day."""
BUDGET, DRAWS = 3_000.0, 200

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
    parser.add_argument("--lifetimes", help="a python that has lifetimes and pyarrow")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="simulated customers")
    parser.add_argument("--orders", type=int, default=1_000_000, help="order lines")
    parser.add_argument("--write", action="store_true", help="store the tables")
    options = parser.parse_args()
    tasks = [time_task(task, options.runs) for task in segment_tasks(options.orders)]
    texts = {"value_segments.md": report_tasks(tasks, options.runs)}
    if options.lifetimes:
        with tempfile.TemporaryDirectory() as folder:
            rows = list(compare(Path(folder), options))
        texts["value.md"] = report(rows, options.runs)
    print(*texts.values(), sep="\n\n")
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        for name, text in texts.items():
            (RESULTS / name).write_text(text + "\n", encoding="utf-8")


class Task(NamedTuple):
    """What custseg does, what the peer does, and how the two results are compared."""

    name: str
    ours: Callable[[], Any]
    peer_name: str
    peer: Callable[[], Any]
    check: Callable[[Any, Any], str]


def segment_tasks(n: int) -> Iterator[Task]:
    """Yield retention and demand on `n` order lines, and a budget over twelve segments."""
    lines, segments = simulate_orders(n)
    tx = cs.Transactions(lines, customer_id="who", timestamp="when", category="what", amount="paid")
    yield Task(
        f"retention by month ({n:,} orders, {len(segments):,} customers)",
        lambda: cs.value.retention(tx),
        "pandas by hand",
        lambda: pandas_retention(lines),
        check_retention,
    )
    shape = f"{segments.nunique()} segments, {lines['what'].nunique()} items"
    yield Task(
        f"segment_demand ({n:,} lines, {shape})",
        lambda: cs.value.segment_demand(tx, segments),
        "pandas crosstab",
        lambda: pandas_demand(lines, segments),
        check_demand,
    )
    curves = simulate_curves(12)
    yield Task(
        f"allocate_budget ({len(curves)} segments, {DRAWS} draws)",
        lambda: cs.value.allocate_budget(curves, BUDGET, n_draws=DRAWS),
        "scipy SLSQP, draw by draw",
        lambda: scipy_budget(curves),
        check_budget,
    )


def simulate_orders(n: int) -> tuple[pd.DataFrame, pd.Series]:
    """Draw order lines over two years, ten per customer, and a segment for each customer."""
    rng = np.random.default_rng(0)
    who = rng.integers(0, n // 10, n)
    start = rng.integers(0, 500, n // 10)
    days = np.minimum(start[who] + rng.exponential(90, n).astype(int), 729)
    lines = pd.DataFrame(
        {
            "who": who,
            "when": pd.Timestamp("2023-01-01") + pd.to_timedelta(days, "D"),
            "what": rng.choice([f"item {i:02}" for i in range(40)], n),
            "paid": rng.gamma(2, 15, n).round(2),
        }
    )
    names = rng.choice(list("ABCDEF"), n // 10)
    return lines, pd.Series(names, index=pd.RangeIndex(n // 10, name="customer_id"))


def pandas_retention(lines: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    month = 12 * lines["when"].dt.year + lines["when"].dt.month
    first = month.groupby(lines["who"]).transform("min")
    table = pd.DataFrame(
        {"cohort": first, "age": month - first, "who": lines["who"], "paid": lines["paid"]}
    )
    seen = table[["cohort", "age", "who"]].drop_duplicates()
    counts = seen.groupby(["cohort", "age"]).size().unstack(fill_value=0)
    revenue = table.groupby(["cohort", "age"])["paid"].sum().unstack(fill_value=0.0)
    return counts, revenue


def check_retention(ours: cs.value.Retention, peer: tuple[pd.DataFrame, pd.DataFrame]) -> str:
    counts, revenue = peer
    np.testing.assert_array_equal(ours.counts.fillna(0).astype(int), counts)
    np.testing.assert_allclose(ours.revenue.fillna(0), revenue, rtol=1e-9)
    np.testing.assert_allclose(ours.rates.fillna(0), counts.div(counts[0], axis=0), rtol=1e-12)
    return f"same triangle: {len(counts)} cohorts, {int(counts.to_numpy().sum()):,} customer months"


def pandas_demand(lines: pd.DataFrame, segments: pd.Series) -> dict[str, pd.DataFrame]:
    segment = lines["who"].map(segments).rename("segment")
    bought = lines.assign(segment=segment)
    once = bought[["segment", "who", "what"]].drop_duplicates()
    customers = pd.crosstab(once["segment"], once["what"])
    buyers = bought.groupby("segment")["who"].nunique()
    share = customers.div(buyers, axis=0)
    return {
        "customers": customers,
        "share": share,
        "lift": share / (customers.sum() / buyers.sum()),
        "lines": pd.crosstab(segment, lines["what"]),
        "amount": pd.crosstab(segment, lines["what"], lines["paid"], aggfunc="sum"),
    }


def check_demand(ours: cs.value.SegmentDemand, peer: dict[str, pd.DataFrame]) -> str:
    table = ours.to_frame()
    for name, want in peer.items():
        found = table.pivot(index="segment", columns="item", values=name)
        np.testing.assert_allclose(found[want.columns], want, rtol=1e-9)
    return f"same {len(peer)} tables of {peer['share'].size} cells"


def simulate_curves(k: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, scale = rng.uniform(200, 900, k), rng.uniform(100, 400, k)
    columns = {"size": size, "scale": scale, "size_se": 0.1 * size, "scale_se": 0.15 * scale}
    columns["correlation"] = np.full(k, 0.3)
    return pd.DataFrame(columns, index=[f"segment {i:02}" for i in range(k)])


def scipy_budget(curves: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the best split of the mean curve, and of each drawn one, by a general solver."""
    rng = np.random.default_rng(0)
    chosen_by, judged_by = _draw(curves, DRAWS, rng), _draw(curves, DRAWS, rng)
    best = solve(*chosen_by)
    each = np.array(
        [solve(size[None], scale[None]) for size, scale in zip(*judged_by, strict=True)]
    )
    return best, each


def solve(size: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the split at which the mean response over the curves (draws x segments) is largest."""
    k = size.shape[1]

    def lost(share: np.ndarray) -> float:
        return -float((size * -np.expm1(-BUDGET * share / scale)).sum(axis=1).mean()) / BUDGET

    def slope(share: np.ndarray) -> np.ndarray:
        return -(size / scale * np.exp(-BUDGET * share / scale)).mean(axis=0)

    found = minimize(
        lost,
        np.full(k, 1 / k),
        jac=slope,
        bounds=[(0, 1)] * k,
        constraints={"type": "eq", "fun": lambda share: share.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    return BUDGET * found.x


def check_budget(ours: cs.value.Allocation, peer: tuple[np.ndarray, np.ndarray]) -> str:
    best, each = peer
    table = ours.to_frame()
    apart = np.abs(table["best"] - best).max()
    assert apart < 1e-3 * BUDGET, (table["best"].tolist(), best.tolist())
    bounds = np.quantile(each, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(table[["best_low", "best_high"]].T, bounds, atol=1e-3 * BUDGET)
    return f"same split to {apart / BUDGET:.0e} of the budget, and the same intervals"


def time_task(task: Task, runs: int) -> tuple[str, float, str, float, str]:
    print(task.name, file=sys.stderr)
    checked = task.check(task.ours(), task.peer())
    both = [(median(task.ours, 1), median(task.peer, 1)) for _ in range(runs)]
    ours, peer = (statistics.median(pair[side] for pair in both) for side in (0, 1))
    return task.name, ours, task.peer_name, peer, checked


def report_tasks(rows: list[tuple[str, float, str, float, str]], runs: int) -> str:
    packages = ("numpy", "pandas", "scipy", "narwhals", "duckdb")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    lines = [
        "# Retention, demand and budgets",
        "",
        f"Medians of {runs} runs, custseg and its peer by turns, one thread. custseg also computes",
        "intervals, accounts and notes.",
        f"Machine class: {os.cpu_count()} cores, {platform.machine()}, {platform.system()}, load",
        f"average {os.getloadavg()[0]:.1f}, Python {platform.python_version()}.",
        f"Versions: {versions}.",
        "",
        "| task | custseg (s) | peer | peer (s) | peer / custseg | checked |",
        "| --- | ---: | --- | ---: | ---: | --- |",
    ]
    for name, ours, peer_name, peer, checked in rows:
        times = f"{ours:.2g} | {peer_name} | {peer:.2g} | {peer / ours:.2f}"
        lines.append(f"| {name} | {times} | {checked} |")
    return "\n".join(lines)


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
