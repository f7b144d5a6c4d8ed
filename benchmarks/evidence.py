"""Time silhouettes, stability and the whole evidence against their peers, at equal results.

Run ``python benchmarks/evidence.py``; ``--intel PYTHON`` names an interpreter that has
scikit-learn-intelex, ``--rscript RSCRIPT`` an Rscript that has fpc, ``--write`` stores the table.
Every measurement of memory is a process of its own.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", str(os.cpu_count()))

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples

import custseg as cs

RESULTS = Path(__file__).parent / "results"
K = range(2, 11)

LOOP = """
import json, sys, time
if sys.argv[4] == "intel":
    from sklearnex import patch_sklearn
    patch_sklearn(verbose=False)
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
X, numbers, B = np.load(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])

def jaccard(own, found):
    cells = np.zeros((own.max() + 1, found.max() + 1))
    np.add.at(cells, (own, found), 1)
    either = cells.sum(axis=1, keepdims=True) + cells.sum(axis=0) - cells
    return (cells / either).max(axis=1)

KMeans(2, n_init=1).fit(X[:100])
start, found = time.perf_counter(), {}
for k in numbers:
    rng = np.random.default_rng(0)
    full = KMeans(k, n_init=10, random_state=0).fit(X).labels_
    order = np.argsort(-np.bincount(full), kind="stable")
    full = np.argsort(order)[full]
    similar, labels = [], []
    for b in range(B):
        drawn = rng.integers(len(X), size=len(X))
        labels.append(KMeans(k, n_init=10, random_state=b).fit(X[drawn]).predict(X))
        once = np.unique(drawn)
        own = KMeans(k, n_init=10, random_state=b).fit(X[once]).labels_
        similar.append(jaccard(full[once], own))
    ari = [adjusted_rand_score(*labels[b : b + 2]) for b in range(0, B - 1, 2)]
    found[k] = [float(np.median(ari)), *np.mean(similar, axis=0)]
print(json.dumps({"seconds": time.perf_counter() - start, "found": found}))
"""

CLUSTERBOOT = """
suppressMessages(library(fpc))
arguments <- commandArgs(TRUE)
X <- as.matrix(read.csv(arguments[1], header = FALSE))
B <- as.integer(arguments[3])
start <- proc.time()[["elapsed"]]
for (k in as.integer(strsplit(arguments[2], ",")[[1]])) {
  set.seed(0)
  cb <- clusterboot(X, B = B, bootmethod = "boot", clustermethod = kmeansCBI, k = k, runs = 10,
                    count = FALSE, showplots = FALSE)
  cat(k, cb$bootmean[order(-table(cb$partition))], "\\n")
}
cat("seconds", proc.time()[["elapsed"]] - start, "\\n")
"""


def customers(n: int, d: int, groups: int = 5, seed: int = 0) -> np.ndarray:
    """Make groups that overlap: neither noise nor clear."""
    rng = np.random.default_rng(seed)
    centers = 1.6 * rng.normal(size=(groups, d))
    return rng.normal(size=(n, d)) + centers[rng.integers(groups, size=n)]


def labelings(X: np.ndarray, kind: str) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    if kind == "unrelated":
        return pd.DataFrame({k: rng.integers(k, size=len(X)) for k in K})
    return pd.DataFrame({k: KMeans(k, n_init=1, random_state=0).fit_predict(X) for k in K})


def seconds(work: Any, runs: int = 3) -> tuple[float, Any]:
    taken, answer = [], None
    for _ in range(runs):
        start = time.perf_counter()
        answer = work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)), answer


def time_silhouettes(n: int, kind: str) -> dict[str, Any]:
    X = customers(n, 10)
    table = labelings(X, kind)
    cs.evaluation.silhouettes(X[:500], table[:500])
    ours, found = seconds(lambda: cs.evaluation.silhouettes(X, table))
    peer, expected = seconds(lambda: [silhouette_samples(X, table[k]) for k in table], runs=1)
    apart = max(
        float(np.abs(found.samples[k] - one).max()) for k, one in zip(K, expected, strict=True)
    )
    assert apart < 1e-10, apart
    return {
        "task": f"silhouettes of nine {kind} labelings, {n:,} x 10",
        "ours": ours,
        "peer": "scikit-learn",
        "theirs": peer,
        "equal": f"widths within {apart:.0e}",
    }


def silhouette_memory(side: str) -> float:
    """Return the megabytes that one run adds to what the process holds, at its peak (Linux)."""
    X = customers(20_000, 10)
    table = labelings(X, "k-means")
    cs.evaluation.silhouettes(X[:500], table[:500])
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = megabytes("VmRSS")
    if side == "ours":
        cs.evaluation.silhouettes(X, table)
    else:
        for k in table:
            silhouette_samples(X, table[k])
    return megabytes("VmHWM") - before


def megabytes(entry: str) -> float:
    """Return an entry of the memory account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(entry))


def time_stability(X: np.ndarray, numbers: list[int], n_resamples: int) -> tuple[float, dict]:
    start, found = time.perf_counter(), {}
    for k in numbers:
        one = cs.evaluation.stability(X, KMeans(k, n_init=10, random_state=0), n_resamples)
        found[k] = [one.ari, *one.to_frame()["jaccard"]]
    return time.perf_counter() - start, found


def stability_rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    X = customers(10_000, 10)
    time_stability(X[:300], [2], 2)
    numbers = list(options.k)
    ours, found = time_stability(X, numbers, options.resamples)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        np.save(path, X)
        loops = {"scikit-learn loop": (sys.executable, "plain")}
        if options.intel:
            loops["scikit-learn-intelex loop"] = (options.intel, "intel")
        for peer, (python, kind) in loops.items():
            command = [python, "-c", LOOP, path, json.dumps(numbers), str(options.resamples), kind]
            theirs = last_json(command)
            # segments of one size have no order: similarities are compared from small to large
            pairs = [
                [np.array([ari, *sorted(similar)]) for ari, *similar in sides]
                for sides in ((found[k], theirs["found"][str(k)]) for k in numbers)
            ]
            apart = max(float(np.abs(one - other).max()) for one, other in pairs)
            rows.append(
                {
                    "task": f"stability, {options.resamples} resamples, k = {numbers[0]} to "
                    f"{numbers[-1]}, ten starts, 10,000 x 10",
                    "ours": ours,
                    "peer": peer,
                    "theirs": theirs["seconds"],
                    "equal": f"median ARI and mean Jaccards within {apart:.2f}",
                }
            )
        if options.rscript:
            rows.append(clusterboot_row(options.rscript, X, Path(folder)))
    return rows


def clusterboot_row(rscript: str, X: np.ndarray, folder: Path) -> dict[str, Any]:
    numbers, n_resamples = [2, 5, 8], 10
    np.savetxt(folder / "X.csv", X, delimiter=",")
    command = [rscript, "-e", CLUSTERBOOT, folder / "X.csv", ",".join(map(str, numbers))]
    done = subprocess.run(
        [*map(str, command), str(n_resamples)], capture_output=True, text=True, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    theirs = {int(line[0]): np.array(line[1:], float) for line in lines if line[0] != "seconds"}
    ours, found = time_stability(X, numbers, n_resamples)
    apart = max(float(np.abs(np.sort(theirs[k]) - np.sort(found[k][1:])).max()) for k in numbers)
    return {
        "task": f"stability, {n_resamples} resamples, k = 2, 5, 8, ten starts, 10,000 x 10",
        "ours": ours,
        "peer": "fpc::clusterboot",
        "theirs": float(lines[-1][1]),
        "equal": f"mean Jaccards within {apart:.2f}",
    }


def last_json(command: list[Any]) -> Any:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def whole(n: int, d: int) -> dict[str, float]:
    """Return the seconds and the peak memory of one comparison with its defaults."""
    frame = pd.DataFrame(customers(n, d)).rename(columns=lambda v: f"x{v}")
    frame.index.name = "customer_id"
    start = time.perf_counter()
    evidence = cs.evaluation.compare_segmentations(frame)
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": taken, "peak": peak, "kind": evidence.verdict.kind, "k": evidence.verdict.k}


def child(name: str, *arguments: Any) -> Any:
    return last_json([sys.executable, __file__, "--child", name, *arguments])


CHILDREN = {
    "memory": silhouette_memory,
    "whole": lambda n, d: whole(int(n), int(d)),
    "exact": lambda n: seconds(
        lambda: cs.evaluation.silhouettes(X := customers(int(n), 10), labelings(X, "unrelated")), 1
    )[0],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, nargs="*", default=list(K))
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--intel", default="", help="a python that has scikit-learn-intelex")
    parser.add_argument("--rscript", default="", help="an Rscript that has fpc")
    parser.add_argument("--write", action="store_true", help="store the table")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, *arguments = options.child
        print(json.dumps(CHILDREN[name](*arguments)))
        return
    rows = [
        time_silhouettes(n, kind) for n in (10_000, 20_000) for kind in ("k-means", "unrelated")
    ]
    rows += stability_rows(options)
    memory = {side: child("memory", side) for side in ("ours", "theirs")}
    exact = child("exact", 50_000)
    comparisons = {n: child("whole", n, 8) for n in (5_000, 1_000_000)}
    text = report(rows, memory, exact, comparisons)
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "evidence.md").write_text(text + "\n", encoding="utf-8")


def report(
    rows: list[dict[str, Any]],
    memory: dict[str, float],
    exact: float,
    comparisons: dict[int, dict[str, Any]],
) -> str:
    lines = "\n".join(
        f"| {row['task']} | {row['ours']:.2f} | {row['peer']} | {row['theirs']:.2f} "
        f"| {row['theirs'] / row['ours']:.1f} | {row['equal']} |"
        for row in rows
    )
    wholes = "\n".join(
        f"| {n:,} x 8 | {one['seconds']:.1f} | {one['peak']:.2f} | {one['kind']}, k = {one['k']} |"
        for n, one in comparisons.items()
    )
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("numpy", "scikit-learn", "numba", "pandas")
    )
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"""# The evidence against its peers

Each pair in one run, both with all cores, after both have given equal results.
Machine class: {machine}{load}, Python {platform.python_version()}.
Versions: {versions}.

| task | custseg (s) | peer | peer (s) | peer / custseg | equal results |
| --- | ---: | --- | ---: | ---: | --- |
{lines}

The loops fit what `stability` fits: every bootstrap sample with repeated customers for the adjusted
Rand index of pairs, and once each for the Jaccard similarities, which is all that clusterboot does.

Memory that nine silhouettes of 20,000 x 10 add: custseg {memory["ours"]:.0f} MB, scikit-learn
{memory["theirs"]:.0f} MB. Nine labelings of 50,000 x 10, exact: {exact:.1f} s.

`compare_segmentations` with its defaults (k = 2 to 8, 100 resamples, 50 null tables), in a process
of its own:

| customers | seconds | peak memory, GB | verdict |
| --- | ---: | ---: | --- |
{wholes}"""


if __name__ == "__main__":
    main()
