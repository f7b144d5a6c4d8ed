"""Time every algorithm of our own against its peer, at equal results, in one run.

Run ``python benchmarks/clustering.py``; ``--peers PYTHON`` names an interpreter that has stepmix,
kmedoids and gower, ``--parts`` chooses among them, ``--write`` stores the table of each part.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", str(os.cpu_count()))

import argparse
import platform
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PARTS = ("kmeans", "modes", "medoids", "latent_class", "warehouse", "large")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=sys.executable, help="a python that has the peers")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--write", action="store_true", help="store the table")
    options = parser.parse_args()
    os.environ["CUSTSEG_PEERS"] = options.peers
    for part in options.parts:
        print(part, file=sys.stderr)
        text = report(part, import_module(f"_clustering_{part}").rows())
        print(text)
        if options.write:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"clustering_{part}.md").write_text(text + "\n", encoding="utf-8")


def report(part: str, rows: list[dict[str, Any]]) -> str:
    lines = "\n".join(
        f"| {row['task']} | {row['ours_seconds']:.3g} | {row['peer']} | {row['peer_seconds']:.3g} "
        f"| {row['ratio']:.1f} | {row['note']} |"
        for row in rows
    )
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("numpy", "scikit-learn", "numba", "kmodes")
    )
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"""# Clustering against its peers: {part.replace("_", " ")}

Each pair in one run, both free to use all cores; no time is printed unless the results agree.
Machine class: {machine}{load}, Python {platform.python_version()}.
Versions: {versions}.

| task | custseg (s) | peer | peer (s) | peer / custseg | equal results |
| --- | ---: | --- | ---: | ---: | --- |
{lines}"""


if __name__ == "__main__":
    main()
