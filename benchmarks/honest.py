"""Count how often honest tests find differences where there are none, and where there are some.

Run ``python benchmarks/honest.py``; ``--tables 10`` takes a tenth of the tables, ``--folder DIR``
keeps what is done, so that a second run goes on where the first one stopped, and ``--write`` stores
the tables and the picture.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import platform
from collections.abc import Iterator
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy import stats
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.base import BaseEstimator, ClusterMixin

from custseg.profiling import honest_differences
from custseg.stats import wilson

RESULTS = Path(__file__).parent / "results"
BOUND = 0.064
TABLES, CHUNK = 1000, 50
APART = (2.0, 4.0, 6.0)
NORMAL = ("independent", "correlated", "standardised")

HEAD = """# What honest tests find where there is nothing, and where there is something

`honest_differences`, at 5 %, in brackets 95 % Wilson intervals; 99 null tables each. `all`: the
test of all variables together; `single`: one variable, on average; `any`: at least one variable
after Holm's adjustment; `no answer`: a variable failed the check of normality, on average. Tables
without an answer count as not rejected. {machine}."""
NOTHING = """## One normal cloud

The bound is {bound:.1%}: 5 % and two Monte-Carlo errors of 1,000 tables. Of the honest tests, the
largest share of tables with a rejection is **{worst}**. The usual t or F test (`naive`), and the
same on a half of the customers sorted by the centres of the other half (`split`), stand beside
them."""
POWER = """## Two groups

100 customers, groups of 50 that stand apart along the first variable; the separation is in
standard deviations within groups. `first` is that variable, `second` one without groups.
`standardised`: every variable was divided by its standard deviation before k-means, as a
`SegmentationModel` does by default, which takes away the width that the groups gave the first one.

![Power](honest.png)"""
OTHER = """## Clouds that are not normal

Thinning, with 300 customers and 2 variables, both of the same shape and without groups."""


class Lloyd(ClusterMixin, BaseEstimator):
    """k-means by Lloyd's steps from cuts along the first principal component: quick, seedless."""

    def __init__(self, n_clusters: int = 2) -> None:
        self.n_clusters = n_clusters

    def fit(self, X: Any, y: object = None) -> "Lloyd":  # noqa: ARG002
        """Find the clusters."""
        values = np.asarray(X, dtype=float)
        values = values - values.mean(axis=0)
        along = values @ np.linalg.eigh(values.T @ values)[1][:, -1]
        labels = np.argsort(np.argsort(along)) * self.n_clusters // len(along)
        for _ in range(100):
            members = np.eye(self.n_clusters)[:, labels]
            centers = members @ values / np.maximum(members.sum(axis=1), 1)[:, None]
            found = ((centers**2).sum(axis=1) - 2 * values @ centers.T).argmin(axis=1)
            if (found == labels).all():
                break
            labels = found
        self.labels_ = labels
        return self


class Ward(ClusterMixin, BaseEstimator):
    """Ward's method by SciPy."""

    def __init__(self, n_clusters: int = 2) -> None:
        self.n_clusters = n_clusters

    def fit(self, X: Any, y: object = None) -> "Ward":  # noqa: ARG002
        """Find the clusters."""
        self.labels_ = fcluster(linkage(X, "ward"), self.n_clusters, "maxclust") - 1
        return self


ALGORITHMS = {"k-means": Lloyd, "Ward": Ward}
ASKED: dict[str, dict[str, Any]] = {
    "thinning": {"method": "thinning"},
    "thinning, known covariance": {"method": "thinning", "covariance": 1.0},
    "reference": {"method": "reference"},
    "reference, copula": {"method": "reference", "null": "copula"},
    "selective": {"method": "selective"},
    "selective, known covariance": {"method": "selective", "covariance": 1.0},
}


class Cell(NamedTuple):
    """Tables made alike, the algorithm that divides them, and the test that is asked."""

    test: str
    shape: str
    n: int
    d: int
    k: int
    apart: float
    algorithm: str
    tables: int

    @property
    def name(self) -> str:
        """The name of its file."""
        parts = (self.test, self.shape, self.n, self.d, self.k, self.apart, self.algorithm)
        return "_".join(str(part).replace(" ", "-").replace(",", "") for part in parts)


def cells(part: float) -> Iterator[Cell]:
    def some(tables: int) -> int:
        return max(1, round(tables * part))

    plain, known = ["thinning", "reference"], "known covariance"
    for test, n in product(("naive", "split"), (100, 200)):
        yield Cell(test, "independent", n, 2, 2, 0.0, "k-means", some(TABLES))
    for test in plain:
        yield Cell(test, "independent", 100, 2, 2, 0.0, "k-means", some(TABLES))
    yield Cell("selective", "independent", 40, 2, 2, 0.0, "k-means", some(TABLES))
    for test, apart in product([*plain, "selective"], APART):
        yield Cell(test, "independent", 100, 2, 2, apart, "k-means", some(100))
    for test in ("reference, copula", f"thinning, {known}"):
        yield Cell(test, "independent", 100, 2, 2, 0.0, "k-means", some(TABLES))
    yield Cell("selective", "independent", 40, 2, 2, 0.0, "Ward", some(TABLES))
    for test in plain:
        yield Cell(test, "correlated", 200, 4, 3, 0.0, "k-means", some(TABLES))
    for algorithm in ALGORITHMS:
        yield Cell(f"selective, {known}", "independent", 40, 2, 2, 0.0, algorithm, some(TABLES))
    for test in plain:
        yield Cell(test, "standardised", 100, 2, 2, 0.0, "k-means", some(TABLES))
    for test, d, apart in product(plain, (2, 4), APART):
        yield Cell(test, "standardised", 100, d, 2, apart, "k-means", some(100))
    for test, apart in product([t for t in ASKED if "," in t], APART):
        yield Cell(test, "independent", 100, 2, 2, apart, "k-means", some(100))
    for shape in ("uniform", "t with 5 degrees of freedom", "exponential", "rounded"):
        yield Cell("thinning", shape, 300, 2, 2, 0.0, "k-means", some(100))


def make(cell: Cell, rng: np.random.Generator) -> np.ndarray:
    size = (cell.n, cell.d)
    if cell.shape == "uniform":
        return rng.random(size)
    if cell.shape.startswith("t with"):
        return rng.standard_t(5, size)
    if cell.shape == "exponential":
        return rng.exponential(size=size)
    values = rng.normal(size=size)
    if cell.shape == "rounded":
        return np.round(values * 1.5)
    if cell.shape == "correlated":
        scale = np.arange(1, cell.d + 1)
        covariance = np.outer(scale, scale) * (0.4 * np.eye(cell.d) + 0.6)
        return values @ np.linalg.cholesky(covariance).T
    values[: cell.n // 2, 0] += cell.apart
    return stats.zscore(values) if cell.shape == "standardised" else values


def judge(cell: Cell, number: int) -> dict[str, float]:
    """Return the p-values of a table: of all variables together and of each; the least by Holm."""
    rng = np.random.default_rng([number, cell.n, cell.d, int(10 * cell.apart)])
    values = make(cell, rng)
    clusterer = ALGORITHMS[cell.algorithm](cell.k)
    if cell.test in ASKED:
        frame = pd.DataFrame(values, columns=[f"v{place}" for place in range(cell.d)])
        asked = {**ASKED[cell.test], "n_draws": 99, "random_state": number}
        table = honest_differences(clusterer, frame, **asked).to_frame()
        joint = table["variable"] == "(all)"
        single, least = table.loc[~joint, "p_value"], table.loc[~joint, "p_holm"].min()
        p_all = table.loc[joint, "p_value"].iloc[0]
    else:
        if cell.test == "split":
            values, half = values[::2], values[1::2]
            centers = _centers(values, clusterer.fit(values).labels_)
            labels = ((half[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
            values = half
        else:
            labels = clusterer.fit(values).labels_
        groups = [values[labels == label] for label in np.unique(labels)]
        single, least, p_all = pd.Series(stats.f_oneway(*groups).pvalue), np.nan, np.nan
    found = {f"v{place}": p for place, p in enumerate(single)}
    return {"table": number, "all": p_all, "least": least, **found}


def _centers(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.array([values[labels == label].mean(axis=0) for label in np.unique(labels)])


def simulate(cell: Cell, folder: Path | None) -> pd.DataFrame:
    """Return the p-values of a cell, those that the folder does not hold after finding them."""
    path = folder / f"{cell.name}.csv" if folder else None
    found = pd.read_csv(path) if path and path.exists() else pd.DataFrame(columns=["table"])
    missing = sorted({*range(cell.tables)} - {*found["table"]})
    for start in range(0, len(missing), CHUNK):
        made = pd.DataFrame([judge(cell, number) for number in missing[start : start + CHUNK]])
        found = pd.concat([found, made], ignore_index=True) if len(found) else made
        if path:
            found.to_csv(path, index=False)
    return found[found["table"] < cell.tables]


def share(rejected: pd.Series) -> str:
    low, high = wilson(int(rejected.sum()), len(rejected))
    return f"{rejected.mean():.1%} ({low:.1%} to {high:.1%})"


def line(cell: Cell, found: pd.DataFrame) -> dict[str, str]:
    single = found.filter(regex=r"^v\d")
    answered = found["all"].notna().any()
    return {
        "test": cell.test,
        "cloud": cell.shape,
        "n": str(cell.n),
        "variables": str(cell.d),
        "segments": str(cell.k),
        "algorithm": cell.algorithm,
        "tables": f"{len(found):,}",
        "all": share(found["all"] <= 0.05) if answered else "",
        "single": f"{(single <= 0.05).mean(axis=None):.1%}",
        "any": share(found["least"] <= 0.05) if found["least"].notna().any() else "",
        "no answer": f"{single.isna().mean(axis=None):.1%}",
    }


def table(rows: list[dict[str, str]]) -> str:
    lines = ["| " + " | ".join(rows[0]) + " |", "| --- " * len(rows[0]) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row.values()) + " |" for row in rows)])


def report(found: dict[Cell, pd.DataFrame]) -> str:
    normal = {c: f for c, f in found.items() if c.shape in NORMAL}
    nothing = {c: f for c, f in normal.items() if c.apart == 0}
    honest = [f for c, f in nothing.items() if c.test in ASKED and c.tables >= TABLES]
    rates = [rate for f in honest for rate in (f.drop(columns="table") <= 0.05).mean()]
    power = [
        {
            "test": cell.test,
            "cloud": cell.shape,
            "variables": str(cell.d),
            "separation": f"{cell.apart:g}",
            "tables": f"{len(rows):,}",
            "all": f"{(rows['all'] <= 0.05).mean():.0%}",
            "first": share(rows["v0"] <= 0.05),
            "second": share(rows["v1"] <= 0.05),
            "no answer": f"{rows[['v0', 'v1']].isna().mean(axis=None):.1%}",
        }
        for cell, rows in found.items()
        if cell.apart
    ]
    keep = ["cloud", "tables", "all", "single", "any", "no answer"]
    others = [line(c, f) for c, f in found.items() if c not in normal]
    worst = f"{max(rates):.1%}" if rates else "not counted: fewer than 1,000 tables"
    parts = [
        HEAD.format(machine=machine()),
        NOTHING.format(bound=BOUND, worst=worst),
        table([line(cell, rows) for cell, rows in nothing.items()]),
        POWER,
        table(power),
        OTHER,
        table([{key: row[key] for key in keep} for row in others]),
    ]
    return "\n\n".join(parts) + "\n"


def draw(found: dict[Cell, pd.DataFrame], path: Path) -> None:
    _, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
    lines = [(test, "independent") for test in ASKED]
    for test, shape in [*lines, ("thinning", "standardised"), ("reference", "standardised")]:
        rows = [(c.apart, (f["v0"] <= 0.05).mean()) for c, f in found.items()
                if (c.test, c.shape, c.d) == (test, shape, 2) and c.apart]  # fmt: skip
        style = "o--" if "known" in test else "s:" if shape == "standardised" else "o-"
        label = test if shape == "independent" else f"{test}, {shape}"
        ax.plot(*zip(*rows, strict=True), style, label=label)
    ax.axhline(0.05, color="0.35", linewidth=0.9, linestyle=":")
    ax.set_xlabel("separation (distance over standard deviation within groups)")
    ax.set_ylabel("tables in which the first variable differs")
    ax.set_ylim(0, 1.02)
    ax.legend(frameon=False, fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)
    plt.savefig(path, dpi=100)


def machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn"))
    return (
        f"Machine class: {os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=float, default=100, help="per cent of the tables (100)")
    parser.add_argument("--folder", type=Path, help="where what is done is kept")
    parser.add_argument("--write", action="store_true", help="store the tables and the picture")
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    found = {cell: simulate(cell, options.folder) for cell in cells(options.tables / 100)}
    text = report(found)
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "honest.md").write_text(text, encoding="utf-8")
        draw(found, RESULTS / "honest.png")


if __name__ == "__main__":
    main()
