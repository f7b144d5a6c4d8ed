"""Time campaign tests by segment against tea-tasting and SciPy, and count what intervals cover.

Run ``python benchmarks/campaigns.py``; ``--peers PYTHON`` names an interpreter that has
tea-tasting, duckdb and polars, ``--write`` stores the table. Every measurement is a process of
its own. ``--parts coverage`` or ``--parts times`` does one half and keeps the other as stored.
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
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import _campaigns_coverage as coverage

RESULTS = Path(__file__).parent / "results"
PARTS = ("times", "coverage")
METRICS = ("visit", "orders", "spend")
SEGMENTS = [f"segment {i}" for i in range(8)]

CUSTOMERS = """
CREATE MACRO u(x, salt) AS hash(x * 64 + salt) / 18446744073709551616.0;
COPY (
  WITH people AS (
    SELECT i, ['control', 'email', 'letter'][1 + CAST(floor(u(i, 1) * 3) AS INT)] AS arm,
      'segment ' || CAST(floor(pow(u(i, 2), 1.5) * 8) AS INT) AS segment,
      -ln(1 - u(i, 3)) AS taste, u(i, 4) AS luck, -ln(1 - u(i, 5)) AS money
    FROM range({rows}) AS numbers(i))
  SELECT arm, segment, CAST(luck < least(0.05 + 0.1 * taste, 1) AS DOUBLE) AS visit,
    floor(2 * taste * luck + 0.1 * (arm = 'email')::INT) AS orders,
    20 * taste * money + 0.5 * (arm = 'letter')::INT AS spend,
    floor(3 * taste * u(i, 6)) AS visit_before, floor(2 * taste * u(i, 7)) AS orders_before,
    20 * taste * u(i, 8) AS spend_before
  FROM people) TO '{path}' (FORMAT parquet);
"""

PEER = """
import json, statistics, sys, time
import duckdb, ibis, pandas as pd, polars as pl
import tea_tasting as tt

engine, path, runs, adjusted = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "cuped"
names = ("visit", "orders", "spend")
experiment = tt.Experiment(
    {n: tt.Mean(n, f"{n}_before" if adjusted else None) for n in names}, variant="arm")
if engine == "duckdb":
    connection = ibis.duckdb.connect()
    connection.raw_sql(f"CREATE TABLE sent AS FROM '{path}'")
    data = connection.table("sent")
    only = lambda s: data.filter(data.segment == s)
elif engine == "polars":
    data = pl.read_parquet(path)
    only = lambda s: data.filter(pl.col("segment") == s)
else:
    data = duckdb.read_parquet(path).df()
    data = data.astype({"arm": "category", "segment": "category"})
    only = lambda s: data[data["segment"] == s]
segments = [f"segment {i}" for i in range(8)]

def all_of_them():
    parts = {"(all)": data, **{s: only(s) for s in segments}}
    options = {"control": "control", "all_variants": True}
    return {s: experiment.analyze(d, **options) for s, d in parts.items()}

taken = []
for _ in range(runs + 1):
    start = time.perf_counter()
    found = all_of_them()
    taken.append(time.perf_counter() - start)
table = {}
for segment, results in found.items():
    for (control, arm), result in results.items():
        for name in names if control == "control" else ():
            r = result[name]
            table[f"{name}|{segment}|{arm}"] = [
                r.control, r.treatment, r.effect_size, r.effect_size_ci_lower,
                r.effect_size_ci_upper, r.pvalue]
print(json.dumps({"seconds": statistics.median(taken[1:]), "table": table}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=float, default=1e7, help="customers (1e7)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--peers", default="", help="a python that has tea-tasting, duckdb, polars")
    parser.add_argument("--simulations", type=int, default=2_000, help="of coverage (2,000)")
    parser.add_argument("--spark-rows", type=float, default=1e6, help="customers in Spark (1e6)")
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=PARTS, help="what to do")
    parser.add_argument("--write", action="store_true", help="store the table")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, *arguments = options.child
        print(json.dumps(CHILDREN[name](*arguments)))
        return
    done = {}
    if "times" in options.parts:
        done["times"] = times(options)
    if "coverage" in options.parts:
        done["coverage"] = coverage.table(options.simulations)
    stored = RESULTS / "campaigns.md"
    before = stored.read_text(encoding="utf-8").strip() if stored.exists() else ""
    halves = before.partition(f"\n\n{coverage.TITLE}")[::2]
    parts = dict(zip(PARTS, halves, strict=True)) | done
    text = f"{parts['times']}\n\n{coverage.TITLE}{parts['coverage']}"
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        stored.write_text(text + "\n", encoding="utf-8")


def times(options: argparse.Namespace) -> str:
    """Return what campaign tests take beside their peers."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = make_customers(Path(folder), int(options.rows))
        if options.peers:
            rows = [time_engine(engine, path, options) for engine in ("duckdb", "polars", "pandas")]
        spark = child("spark", str(make_customers(Path(folder), int(options.spark_rows))))
    return report(rows, spark, child("bootstrap", str(options.runs)), options)


def make_customers(folder: Path, rows: int) -> Path:
    import duckdb

    path = folder / f"customers_{rows}.parquet"
    if not path.exists():
        connection = duckdb.connect()
        for statement in CUSTOMERS.format(rows=rows, path=path).split(";"):
            if statement.strip():
                connection.execute(statement)
    return path


def child(*arguments: str, python: str = sys.executable, code: str = "") -> Any:
    """Run a part of this file, or some code, in a process of its own."""
    command = [python, "-c", code] if code else [python, __file__, "--child"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{arguments}: {done.stderr[-3_000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])  # a progress bar may come before


def time_engine(engine: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Time both sides, after they agree without covariates and we reproduce theirs with."""
    arguments = (engine, str(path), str(options.runs))
    ours = child("custseg", *arguments)
    theirs = child(*arguments, "cuped", python=options.peers, code=PEER)
    plain = child(*arguments[:2], "1", "plain", python=options.peers, code=PEER)
    differs = max(
        largest_difference(ours["plain"], plain["table"]),
        largest_difference(ours["as_peer"], theirs["table"]),
    )
    if differs > 1e-8:
        raise SystemExit(f"{engine}: results differ by {differs:.2g}")
    return {
        "engine": engine,
        "ours": ours["seconds"],
        "theirs": theirs["seconds"],
        "differs": differs,
    }


def largest_difference(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> float:
    """Return the largest difference, of estimates in standard errors, of p-values as it is."""
    assert ours.keys() == theirs.keys()
    worst = 0.0
    for key, found in ours.items():
        scale = abs(found[4] - found[3]) / 4
        away = [abs(a - b) for a, b in zip(found, theirs[key], strict=True)]
        worst = max(worst, max(away[:5]) / scale, away[5])
    return worst


def run_custseg(engine: str, path: str, runs: str) -> dict[str, Any]:
    import duckdb
    import polars as pl

    import custseg as cs

    if engine == "duckdb":
        connection = duckdb.connect()
        connection.execute(f"CREATE TABLE sent AS FROM '{path}'")
        data: Any = connection.table("sent")
    elif engine == "polars":
        data = pl.read_parquet(path)
    else:
        data = duckdb.read_parquet(path).df()
        data = data.astype({"arm": "category", "segment": "category"})
    test = declared(cs, adjusted=True)
    taken = []
    for _ in range(int(runs) + 1):
        start = time.perf_counter()
        test.analyze(data)
        taken.append(time.perf_counter() - start)
    return {
        "seconds": statistics.median(taken[1:]),
        "plain": as_table(declared(cs, adjusted=False).analyze(data)),
        "as_peer": as_peer(test, data),
    }


def declared(cs: Any, *, adjusted: bool) -> Any:
    return cs.CampaignTest(
        arm="arm",
        control="control",
        metrics={n: cs.Mean(n, covariate=f"{n}_before" if adjusted else None) for n in METRICS},
        segments="segment",
        allocation=dict.fromkeys(("control", "email", "letter"), 1 / 3),
    )


def as_table(impact: Any) -> dict[str, list[float]]:
    columns = ["control", "treatment", "effect", "ci_low", "ci_high", "p_value"]
    frame = impact.to_frame()
    keys = frame["metric"] + "|" + frame["segment"] + "|" + frame["arm"]
    return dict(zip(keys, frame[columns].to_numpy().tolist(), strict=True))


def as_peer(test: Any, data: Any) -> dict[str, list[float]]:
    """Compute the peer's adjusted effects from our moments.

    Its slope is that of two arms taken together, between arms too, and its adjusted means start
    from the covariate mean of those two.
    """
    from custseg._engine import to_lazy
    from custseg.campaigns._cells import Roles, read_cells
    from custseg.stats import welch

    roles = Roles("arm", test.metrics, test.segments, None)
    cells = read_cells(to_lazy(data), roles, "control", list(test.allocation))
    table = {}
    for m, (name, metric) in enumerate(test.metrics.items()):
        moments = cells.moments(m, metric)
        for g, segment in enumerate(("(all)", *cells.segments)):
            for a in (1, 2):
                n = moments.n[g, [0, a]]
                mean, cross = moments.mean[g, [0, a]], moments.cross[g, [0, a]]
                apart = mean[1] - mean[0]
                together = cross.sum(axis=0) + n[0] * n[1] / n.sum() * (apart[:, None] * apart)
                slope = together[0, 1] / together[1, 1]
                centre = n @ mean[:, 1] / n.sum()
                value = mean[:, 0] - slope * (mean[:, 1] - centre)
                spread = cross[:, 0, 0] - 2 * slope * cross[:, 0, 1] + slope**2 * cross[:, 1, 1]
                found = welch(*value, *(spread / (n - 1) / n), *(n - 1))
                numbers = *value, found.effect, found.ci_low, found.ci_high, found.p_value
                table[f"{name}|{segment}|{cells.arms[a]}"] = [float(x) for x in numbers]
    return table


def run_spark(path: str) -> dict[str, Any]:
    """Compare a PySpark frame on two local cores with the file it was made from."""
    from pyspark.sql import SparkSession

    import custseg as cs

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    session.conf.set("spark.sql.session.timeZone", "UTC")
    data, test = session.read.parquet(path), declared(cs, adjusted=True)
    test.analyze(data)
    start = time.perf_counter()
    found = test.analyze(data)
    seconds = time.perf_counter() - start
    differs = largest_difference(as_table(found), as_table(test.analyze(path)))
    session.stop()
    return {"seconds": seconds, "differs": differs, "rows": int(found.account["rows_in"].iloc[0])}


def run_bootstrap(runs: str) -> dict[str, Any]:
    """Time 10,000 resamples of the difference of two means of 50,000, and check their spread."""
    import numpy as np
    from scipy import stats

    from custseg.stats import bootstrap_difference

    rng = np.random.default_rng(0)
    a, b = rng.lognormal(0, 1, 50_000), rng.lognormal(0.01, 1, 50_000)

    def difference(x: Any, y: Any, axis: int = -1) -> Any:
        return y.mean(axis=axis) - x.mean(axis=axis)

    bootstrap_difference(a, b, n_resamples=20)
    ours, theirs = [], []
    for run in range(int(runs)):
        start = time.perf_counter()
        found = bootstrap_difference(a, b, seed=run)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        want = stats.bootstrap(
            (a, b), difference, n_resamples=10_000, batch=20, method="percentile", rng=run
        )
        theirs.append(time.perf_counter() - start)
        error = 4 / np.sqrt(2 * 10_000) * np.sqrt(2)
        if abs(found.se / want.standard_error - 1) > error:
            raise SystemExit("the bootstraps differ")
    closed = float(np.sqrt(a.var() / len(a) + b.var() / len(b)))
    spread = [bootstrap_difference(a, b, n_resamples=1_000, seed=100 + s).se for s in range(30)]
    return {
        "ours": statistics.median(ours),
        "theirs": statistics.median(theirs),
        "closed": closed,
        "mean_se": float(np.mean(spread)),
        "sd_se": float(np.std(spread, ddof=1)),
        "expected_sd_se": closed / np.sqrt(2 * 999),
    }


def report(
    rows: list[dict[str, Any]],
    spark: dict[str, Any],
    bootstrap: dict[str, Any],
    options: argparse.Namespace,
) -> str:
    customers, runs = int(options.rows), options.runs
    names = {"duckdb": "DuckDB table", "polars": "Polars frame", "pandas": "arrays (pandas frame)"}
    lines = "\n".join(
        f"| {names[row['engine']]} | {row['ours']:.2f} | tea-tasting | {row['theirs']:.2f} "
        f"| {row['theirs'] / row['ours']:.1f} | {row['differs']:.0e} |"
        for row in rows
    )
    packages = ("numpy", "scipy", "pandas", "narwhals", "duckdb", "polars", "numba")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    own, other = bootstrap["ours"], bootstrap["theirs"]
    return f"""# Campaign tests against their peers

{customers:,} generated customers, 3 metrics with a covariate each (CUPED), 8 segments and
everybody, 3 arms. tea-tasting analyses everybody and then each segment. Medians of {runs} after one
run that does not count, each side in a process of its own, both with all cores. Results are equal
without covariates; with them, the numbers that tea-tasting defines (its slope is that of two arms
taken together) follow from our sums: differences in standard errors, and of p-values.
Machine class: {machine}{load}, Python {platform.python_version()}.
Versions: {versions}; tea-tasting 1.14 in an environment of its own.

| data | custseg (s) | peer | peer (s) | peer / custseg | largest difference |
| --- | ---: | --- | ---: | ---: | ---: |
{lines}
| 10,000 resamples of two arms of 50,000 | {own:.2f} | scipy.stats.bootstrap | {other:.2f} \
| {other / own:.1f} | |

SciPy makes batches of 20 resamples; all 10,000 at once would take 8 GB.

PySpark (`local[2]`), {spark["rows"]:,} customers: {spark["seconds"]:.1f} s; its numbers differ from
those of DuckDB by {spark["differs"]:.0e} standard errors at most.

Standard deviation of 1,000 bootstrap resamples over 30 seeds: {bootstrap["mean_se"]:.6f} on
average, closed form {bootstrap["closed"]:.6f}; it varies by {bootstrap["sd_se"]:.6f} from seed to
seed, {bootstrap["expected_sd_se"]:.6f} are expected of independent resamples."""


CHILDREN: dict[str, Callable[..., Any]] = {
    "custseg": run_custseg,
    "spark": run_spark,
    "bootstrap": run_bootstrap,
}


if __name__ == "__main__":
    main()
