"""Count how often 'natural' is said where there are no groups, and the true number where there are.

Run ``python benchmarks/verdict.py``; ``--sets 10`` takes a tenth of the tables, ``--jobs 2`` two
cores, ``--folder DIR`` keeps what is done, so that a second run goes on where the first one
stopped, and ``--write`` stores the tables and the picture.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import platform
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _verdict_data import GROUPS as GROUP_SHAPES
from _verdict_data import SHAPES, WITHOUT, make
from joblib import Parallel, delayed
from matplotlib import pyplot as plt
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from custseg.clustering import KModes
from custseg.evaluation.gaps import natural
from custseg.stats import wilson

RESULTS = Path(__file__).parent / "results"
COLUMNS = ["set", "algorithm", "k", "ari"]
SEPARATIONS, SIZES, GROUPS = (3.0, 3.5, 4.0, 5.0, 6.0), (500, 1000, 2000), range(2, 9)
NOISE = {"none": (0, False), "as wide as a group": (3, False), "as wide as a column": (3, True)}

HEAD = """# How often 'natural' is right

{n:,} answers of `natural(X)` for k = 2 to 8; in brackets 95 % Wilson intervals. Columns are
standardised, none is logged. {machine}."""
NOTHING = """## No groups

300, 1,000 and 2,000 customers, 2, 5 and 12 variables.

- Called natural: **{all}** of all tables; in the worst cell {worst}.
- From the segments of k-means instead, in the cells with 200 tables: {k_means}; in the worst
  {worst_k_means}.
- By either of the two, in these cells: {either}; in the worst {worst_either}."""
PLANTED = """## Planted groups

Every group is as far from its nearest as the separation says. Sizes up to 4 : 1, standard
deviations up to 2 : 1, 2 to 8 groups, 2, 4 or 8 variables, none or three columns of noise. `true`:
the recommended k is the number of groups; `recovered`: with k told, adjusted Rand index above
.8."""
SHAPED = """Groups of other shapes, separation 5, 1,000 customers, 2 or 4 variables:"""
OTHERS = """## Segments of other algorithms

1,000 customers, 4 variables, 2, 3 or 5 groups."""
CLASSES = """## Latent classes in yes/no answers

A class says yes to a random half of the items with the probability `likely`, to the others with its
complement."""
CATEGORIES = """## Categories, divided by k-modes

Three levels; a group gives its own answers with probability .7, else any. `groups` 0: none."""

LABELS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "k-means": lambda X, k, seed: KMeans(k, n_init=10, random_state=seed).fit_predict(X),
    "normal mixture": lambda X, k, seed: GaussianMixture(
        k, n_init=3, random_state=seed
    ).fit_predict(X),
    "k-modes": lambda X, k, seed: KModes(k, n_init=5, random_state=seed).fit(X).labels_,
}
"""Whose segments are judged; beside the search of `natural` itself, "adaptive"."""


class Cell(NamedTuple):
    """Tables made alike: their kind, what they are called, how many, and who divides them."""

    kind: str
    parameters: dict[str, Any]
    sets: int
    algorithms: tuple[str, ...] = ("adaptive",)

    @property
    def name(self) -> str:
        """The name of its file, and its part of the seed."""
        parts = [self.kind, *(f"{key}={value}" for key, value in self.parameters.items())]
        return "_".join(parts).replace(" ", "-").replace(",", "")


def cells(part: float) -> Iterator[Cell]:
    def some(sets: int) -> int:
        return max(1, round(sets * part))

    for family, n, d in product(WITHOUT, (300, 1000, 2000), (2, 5, 12)):
        worst = n == 300 or (family == "uniform" and n == 1000)
        both = ("adaptive", "k-means") if worst else ("adaptive",)
        yield Cell("without", {"family": family, "n": n, "d": d}, some(200 if worst else 60), both)
    for family, n, d in product(SHAPES, (300, 1000, 3000), (2, 5)):
        yield Cell("without", {"family": family, "n": n, "d": d}, some(40))
    for separation, n, groups in product(SEPARATIONS, SIZES, GROUPS):
        for d, (noise, wide) in product((2, 4, 8), NOISE.values()):
            parameters = {"n": n, "d": d, "groups": groups, "separation": separation}
            sets = some(5 if separation in (4.0, 5.0) else 2)
            yield Cell("planted", {**parameters, "noise": noise, "wide": wide}, sets)
    for shape, groups, d in product(GROUP_SHAPES, (2, 3, 4, 6, 8), (2, 4)):
        parameters = {"n": 1000, "d": d, "groups": groups, "separation": 5.0, "shape": shape}
        yield Cell("planted", parameters, some(12))
    for separation, groups in product((4.0, 5.0), (2, 3, 5)):
        for noise, wide in NOISE.values():
            parameters = {"n": 1000, "d": 4, "groups": groups, "separation": separation}
            parameters |= {"noise": noise, "wide": wide}
            yield Cell("planted", parameters, some(20), ("k-means", "normal mixture"))
    for n, groups, (items, likely) in product(
        (500, 1500), (2, 3, 4), ((11, 0.9), (20, 0.8), (11, 0.8))
    ):
        parameters = {"n": n, "groups": groups, "items": items, "likely": likely}
        yield Cell("classes", parameters, some(40))
    for n, d, groups in product((300, 1000), (6, 12), (0, 2, 3, 4)):
        parameters = {"n": n, "d": d, "groups": groups, "likely": 0.7}
        yield Cell("nominal", parameters, some(60 if groups == 0 else 20), ("k-modes",))


def judge(cell: Cell, number: int) -> list[dict[str, Any]]:
    """Return what is said of one table, by each of the cell's algorithms."""
    table = make(cell.kind, [*cell.name.encode(), number], **cell.parameters)
    groups = table.truth.max() + 1
    rows = []
    for algorithm in cell.algorithms:
        labelings = None if algorithm == "adaptive" else _divided(algorithm, table.values, number)
        categorical = list(range(table.values.shape[1])) if cell.kind == "nominal" else []
        found = natural(table.values, labelings, categorical=categorical, random_state=number)
        own = found.labelings.get(groups)
        ari = np.nan if own is None else adjusted_rand_score(table.truth, own)
        rows.append(dict(zip(COLUMNS, [number, algorithm, found.best_k or 0, ari], strict=True)))
    return rows


def _divided(algorithm: str, values: np.ndarray, seed: int) -> pd.DataFrame:
    most = min(8, len(np.unique(values, axis=0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = {k: LABELS[algorithm](values, k, seed) for k in range(2, most + 1)}
    return pd.DataFrame({k: found for k, found in labels.items() if len(set(found)) > 1})


def simulate(cell: Cell, folder: Path | None) -> pd.DataFrame:
    """Return the sets of a cell, those that the folder does not hold after making them."""
    algorithms = "+".join(cell.algorithms).replace(" ", "-")
    path = folder / f"{cell.name}_{algorithms}.csv" if folder else None
    done = pd.read_csv(path) if path and path.exists() else pd.DataFrame(columns=COLUMNS)
    missing = sorted({*range(cell.sets)} - {*done["set"]})
    rows = [row for number in missing for row in judge(cell, number)]
    made = pd.DataFrame(rows, columns=COLUMNS)
    kept = pd.concat([done, made], ignore_index=True) if len(done) else made
    if path and len(made):
        kept.to_csv(path, index=False)
    return kept[kept["set"] < cell.sets].assign(kind=cell.kind, **cell.parameters)


def share(rows: pd.Series) -> str:
    low, high = wilson(int(rows.sum()), len(rows))
    return f"{rows.mean():.1%} ({low:.1%} to {high:.1%})"


def table(frame: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "| --- " * frame.shape[1] + "|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in frame.itertuples(index=False)]
    return "\n".join(lines)


def report(found: pd.DataFrame) -> str:
    found = found.assign(
        natural=found["k"] > 0,
        true=found["k"] == found["groups"],
        too_many=found["k"] > found["groups"],
    )
    own = found[found["algorithm"] == "adaptive"]
    flat = found[(found["kind"] == "without") & found["family"].isin(WITHOUT)]
    nothing, k_means = (flat[flat["algorithm"] == name] for name in ("adaptive", "k-means"))
    cells_of = ["family", "n", "d", "set"]
    asked = k_means.merge(nothing[[*cells_of, "natural"]], on=cells_of, suffixes=("", "_too"))
    either = asked.assign(natural=asked["natural"] | asked["natural_too"])
    shapes = own[(own["kind"] == "without") & own["family"].isin(SHAPES)]
    planted = found[(found["kind"] == "planted") & found["shape"].isna()]
    shaped = found[(found["kind"] == "planted") & found["shape"].notna()]
    named = {key: name for name, key in NOISE.items()}
    columns = [named[key] for key in zip(planted["noise"], planted["wide"], strict=True)]
    planted = planted.assign(noise=columns)
    groups = planted[planted["algorithm"] == "adaptive"]
    others = planted[planted["algorithm"] != "adaptive"]
    parts = [
        HEAD.format(n=len(found), machine=machine()),
        NOTHING.format(
            all=share(nothing["natural"]),
            worst=worst(nothing),
            k_means=share(k_means["natural"]),
            worst_k_means=worst(k_means),
            either=share(either["natural"]),
            worst_either=worst(either),
        ),
        table(by_family(nothing)),
        PLANTED,
        table(rates(groups, ["separation"])),
        "![Power](verdict.png)",
        table(pivot(groups, "n")),
        table(pivot(groups, "groups")),
        "By the columns of noise:",
        table(pivot(groups, "noise")),
        SHAPED,
        table(rates(shaped, ["shape"])),
        OTHERS,
        table(rates(others, ["algorithm", "separation", "noise"])),
        CLASSES,
        table(rates(own[own["kind"] == "classes"], ["groups", "items", "likely", "n"])),
        CATEGORIES,
        table(rates(found[found["kind"] == "nominal"], ["groups", "d", "n"])),
        "## Shapes that are not compact groups",
        table(rates(shapes, ["family", "n", "d"])[["family", "n", "d", "tables", "natural"]]),
    ]
    return "\n\n".join(parts) + "\n"


def worst(rows: pd.DataFrame) -> str:
    by_cell = rows.groupby(["family", "n", "d"])["natural"].agg(["mean", "sum", "size"])
    largest = by_cell.sort_values(["mean", "size"]).iloc[-1]
    family, n, d = largest.name
    counted = f"{largest['sum']:.0f} of {largest['size']:.0f}"
    return f"{largest['mean']:.1%} ({counted}; {family}, n = {n:.0f}, d = {d:.0f})"


def by_family(rows: pd.DataFrame) -> pd.DataFrame:
    cells = rows.groupby(["family", "n", "d"])["natural"].mean().groupby("family").max()
    return pd.DataFrame(
        [
            {
                "family": family,
                "tables": len(part),
                "natural": share(part["natural"]),
                "worst cell": f"{cells[family]:.1%}",
            }
            for family, part in rows.groupby("family", sort=False)
        ]
    )


def rates(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    lines = []
    for values, part in rows.groupby(keys, sort=False):
        named = dict(zip(keys, (plain(value) for value in values), strict=True))
        lines.append(
            named
            | {
                "tables": len(part),
                "true": share(part["true"]),
                "natural": f"{part['natural'].mean():.1%}",
                "too many": f"{part['too_many'].mean():.1%}",
                "recovered": f"{(part['ari'] > 0.8).mean():.0%}",
            }
        )
    return pd.DataFrame(lines)


def plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def pivot(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return the percentage with the true number, by separation and another property."""
    found = rows.pivot_table(index="separation", columns=key, values="true", sort=False)
    shown = (100 * found).round(0).astype(int).reset_index()
    return shown.rename(columns={name: f"{key} {plain(name)}" for name in found.columns})


def draw(found: pd.DataFrame, path: Path) -> None:
    planted = found[(found["kind"] == "planted") & found["shape"].isna()]
    planted = planted[planted["algorithm"] == "adaptive"]
    planted = planted.assign(true=planted["k"] == planted["groups"])
    _, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
    crowd = pd.cut(planted["groups"], [1, 3, 5, 8], labels=["2 or 3", "4 or 5", "6 to 8"])
    for ax, by, title in zip(
        axes, (planted["n"].astype(int), crowd), ("customers", "groups"), strict=True
    ):
        for name, part in planted.groupby(by, observed=True):
            power = part.groupby("separation")["true"].mean()
            ax.plot(power.index, power, "o-", label=f"{name:,}" if by is not crowd else name)
        ax.axhline(0.95, color="0.35", linestyle="--", linewidth=0.9)
        ax.set_xlabel("separation (distance over mean standard deviation)")
        ax.legend(title=title, frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("tables with the true number of groups")
    axes[0].set_ylim(0, 1.02)
    plt.savefig(path, dpi=100)


def machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn"))
    return (
        f"Machine class: {os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=float, default=100, help="per cent of the tables (100)")
    parser.add_argument("--jobs", type=int, default=1, help="cores (1)")
    parser.add_argument("--folder", type=Path, help="where what is done is kept")
    parser.add_argument("--write", action="store_true", help="store the tables and the picture")
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    wanted = list(cells(options.sets / 100))
    made = Parallel(options.jobs, verbose=1)(
        delayed(simulate)(cell, options.folder) for cell in wanted
    )
    found = pd.concat(made, ignore_index=True)
    text = report(found)
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "verdict.md").write_text(text, encoding="utf-8")
        draw(found, RESULTS / "verdict.png")


if __name__ == "__main__":
    main()
