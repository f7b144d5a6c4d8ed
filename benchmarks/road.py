"""Time every stage of the road from raw records to a campaign's effects, at equal results.

Run ``python benchmarks/road.py`` with CUSTSEG_DATA set; ``--write`` stores the table.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

import custseg as cs

RESULTS = Path(__file__).parent / "results" / "road.md"
VARIABLES = ["recency", "frequency", "monetary"]
ROLES = {
    "customer_id": "CustomerID",
    "timestamp": "InvoiceDate",
    "order_id": "InvoiceNo",
    "product": "StockCode",
    "quantity": "Quantity",
    "unit_price": "UnitPrice",
}


class Stage(NamedTuple):
    """One line of the table: what custseg does, what the peer does, and how they are compared."""

    name: str
    ours: Callable[[], Any]
    peer_name: str = ""
    peer: Callable[[], Any] | None = None
    check: Callable[[Any, Any], str] = lambda ours, peer: ""  # noqa: ARG005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default: 5)")
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULTS.name}")
    options = parser.parse_args()
    rows = [time_import(options.runs), *(time_stage(s, options.runs) for s in stages())]
    text = report(rows, options.runs)
    print(text)
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text + "\n", encoding="utf-8")


def stages() -> Iterator[Stage]:
    try:
        retail = cs.datasets.load_online_retail()
    except cs.errors.MissingFileError as error:
        print(f"left out, Online Retail: {error}", file=sys.stderr)
    else:
        yield from retail_stages(retail)
    try:
        hillstrom = cs.datasets.load_hillstrom()
    except cs.errors.MissingFileError as error:
        print(f"left out, Hillstrom: {error}", file=sys.stderr)
    else:
        yield Stage(
            f"CampaignTest, Hillstrom ({len(hillstrom):,} customers, 2 metrics, 7 segments)",
            lambda: campaign_test().analyze(hillstrom),
            "statsmodels by segment and arm",
            lambda: statsmodels_campaign(hillstrom),
            check_campaign,
        )


def retail_stages(retail: pd.DataFrame) -> Iterator[Stage]:
    yield Stage(
        f"audit, Online Retail ({len(retail):,} rows)",
        lambda: cs.Transactions(retail, **ROLES).audit(),
        "pandas by hand",
        lambda: pandas_audit(retail),
        check_audit,
    )
    yield Stage(
        f"clean and rfm, Online Retail ({len(retail):,} rows)",
        lambda: custseg_rfm(retail),
        "pandas by hand",
        lambda: pandas_rfm(retail),
        check_rfm,
    )
    customers = custseg_rfm(retail)
    size = f"{len(customers):,} x {len(VARIABLES)}"
    yield Stage(
        f"SegmentationModel fit, k-means, 4 segments ({size})",
        lambda: model().fit(customers),
        "scikit-learn, same encoding and 10 starts",
        lambda: sklearn_kmeans(customers),
        check_model,
    )
    yield Stage(
        f"compare_segmentations, k = 2 to 8 ({size})",
        lambda: cs.evaluation.compare_segmentations(
            customers, VARIABLES, k=range(2, 9), random_state=0
        ),
    )
    segments = model().fit(customers).segments_
    yield Stage(
        f"profile ({size}, 4 segments)",
        lambda: cs.profiling.profile(customers, segments, variables=VARIABLES),
        "pandas groupby and scipy by hand",
        lambda: pandas_profile(customers, segments),
        check_profile,
    )


def custseg_rfm(retail: pd.DataFrame) -> pd.DataFrame:
    return cs.features.rfm(cs.Transactions(retail, **ROLES).clean(), as_of="2011-12-10")


def rules(retail: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    """Return the amounts and, by reason in order, whether a row is set aside for it."""
    amount = retail["Quantity"] * retail["UnitPrice"]
    missing = retail["CustomerID"].isna()
    returns = (retail["Quantity"] < 0) & (amount < 0) & ~missing
    nonpositive = (amount <= 0) & ~returns & ~missing
    reasons = {"missing_id": missing, "returns": returns, "nonpositive": nonpositive}
    return amount, pd.DataFrame(reasons)


def pandas_audit(retail: pd.DataFrame) -> tuple[int, dict[str, int]]:
    return int(retail.duplicated().sum()), rules(retail)[1].sum().to_dict()


def check_audit(ours: cs.Audit, peer: tuple[int, dict[str, int]]) -> str:
    copies, reasons = peer
    found = ours.rows_set_aside
    assert ours.to_frame().set_index("check").loc["duplicates", "rows"] == copies
    assert found[found > 0].to_dict() == reasons
    aside = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items())
    return f"same account: {aside}; {copies:,} copies flagged"


def pandas_rfm(retail: pd.DataFrame) -> pd.DataFrame:
    amount, aside = rules(retail)
    kept = retail.assign(amount=amount, day=retail["InvoiceDate"].dt.normalize())
    table = (
        kept[~aside.any(axis=1)]
        .groupby("CustomerID")
        .agg(
            last=("day", "max"),
            first=("day", "min"),
            frequency=("InvoiceNo", "nunique"),
            monetary=("amount", "sum"),
        )
    )
    as_of = pd.Timestamp("2011-12-10")
    return table.assign(
        recency=(as_of - table["last"]).dt.days, tenure=(as_of - table["first"]).dt.days
    )


def check_rfm(ours: pd.DataFrame, peer: pd.DataFrame) -> str:
    assert ours.index.tolist() == peer.index.astype("int64").tolist()
    for name in ("recency", "frequency", "tenure"):
        np.testing.assert_array_equal(ours[name], peer[name])
    np.testing.assert_allclose(ours["monetary"], peer["monetary"], rtol=1e-12)
    orders, total = int(ours["frequency"].sum()), ours["monetary"].sum()
    assert (len(ours), orders, round(total, 2)) == (4338, 18532, 8911407.90)
    return f"same table: {len(ours):,} customers, {orders:,} orders, {total:,.2f}"


def model() -> cs.SegmentationModel:
    return cs.SegmentationModel(
        "kmeans", n_segments=4, variables=VARIABLES, order_by="monetary", random_state=0
    )


def sklearn_kmeans(customers: pd.DataFrame) -> tuple[np.ndarray, float]:
    scaled = StandardScaler().fit_transform(np.log1p(customers[VARIABLES]))
    fitted = KMeans(4, n_init=10, random_state=0).fit(scaled)
    return scaled, fitted.inertia_


def check_model(ours: cs.SegmentationModel, peer: tuple[np.ndarray, float]) -> str:
    scaled, inertia = peer
    own = sum(
        ((scaled[rows] - scaled[rows].mean(axis=0)) ** 2).sum()
        for rows in (ours.labels_ == label for label in range(4))
    )
    assert own <= inertia * (1 + 1e-4), (own, inertia)
    return f"sum of squares {own:,.1f} against {inertia:,.1f}"


def pandas_profile(customers: pd.DataFrame, segments: pd.Series) -> pd.DataFrame:
    columns = customers[VARIABLES]
    groups = columns.groupby(segments, observed=True)
    n, mean, sem = groups.count(), groups.mean(), groups.sem()
    half = stats.t.ppf(0.975, n - 1) * sem
    parts = {
        "value": mean,
        "ci_low": mean - half,
        "ci_high": mean + half,
        "index": 100 * mean / columns.mean(),
        "std_diff": (mean - columns.mean()) / columns.std(),
    }
    return pd.DataFrame({name: part.stack() for name, part in parts.items()})


def check_profile(ours: cs.profiling.Profile, peer: pd.DataFrame) -> str:
    np.testing.assert_allclose(ours.to_frame()[peer.columns], peer, rtol=1e-9)
    return f"same {peer.size} numbers"


def campaign_test() -> cs.CampaignTest:
    return cs.CampaignTest(
        arm="segment",
        control="No E-Mail",
        metrics={"visit": cs.Proportion("visit"), "spend": cs.Mean("spend", covariate="history")},
        segments="history_segment",
    )


def statsmodels_campaign(data: pd.DataFrame) -> pd.DataFrame:
    rows = []
    groups = [("(all)", data), *data.groupby("history_segment", observed=True)]
    for segment, group in groups:
        arms = dict(list(group.groupby("segment", observed=True)))
        control = arms.pop("No E-Mail")
        formula = "spend ~ C(segment, Treatment('No E-Mail')) + history"
        slopes = smf.ols(formula, group).fit().params
        for arm, treated in arms.items():
            hits = [treated["visit"].sum(), control["visit"].sum()]
            n = [len(treated), len(control)]
            low, high = confint_proportions_2indep(
                hits[0], n[0], hits[1], n[1], method="newcomb", compare="diff"
            )
            p_value = proportions_ztest(hits, n)[1]
            effect = hits[0] / n[0] - hits[1] / n[1]
            rows.append(("visit", segment, arm, effect, low, high, p_value))
            slope = slopes[f"C(segment, Treatment('No E-Mail'))[T.{arm}]"]
            rows.append(("spend", segment, arm, slope, np.nan, np.nan, np.nan))
    columns = ["metric", "segment", "arm", "effect", "ci_low", "ci_high", "p_value"]
    return pd.DataFrame(rows, columns=columns).set_index(columns[:3]).sort_index()


def check_campaign(ours: Any, peer: pd.DataFrame) -> str:
    table = ours.to_frame().astype({"segment": str, "arm": str})
    table = table.set_index(["metric", "segment", "arm"]).sort_index()
    assert table.index.tolist() == peer.index.tolist()
    np.testing.assert_allclose(table["effect"], peer["effect"], rtol=0, atol=1e-8)
    visit = table.loc["visit", ["ci_low", "ci_high", "p_value"]]
    np.testing.assert_allclose(visit, peer.loc["visit"].iloc[:, 1:], rtol=1e-6, atol=1e-8)
    return f"same {len(table)} effects to 1e-8"


def time_import(runs: int) -> tuple[str, ...]:
    clock = "time.perf_counter()"
    code = f"import time, numpy; t = {clock}; import custseg; print({clock} - t)"
    command = [sys.executable, "-c", code]
    taken = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(runs)]
    return ("import custseg, after numpy", shown([float(text) for text in taken]), "", "", "", "")


def time_stage(stage: Stage, runs: int) -> tuple[str, ...]:
    print(stage.name, file=sys.stderr)
    found = stage.ours()
    if stage.peer is None:
        ours = [seconds(stage.ours) for _ in range(runs)]
        return (stage.name, shown(ours), "", "", "", "")
    checked = stage.check(found, stage.peer())
    both = [(seconds(stage.ours), seconds(stage.peer)) for _ in range(runs)]
    ours, peer = ([pair[side] for pair in both] for side in (0, 1))
    ratio = statistics.median(peer) / statistics.median(ours)
    return (stage.name, shown(ours), stage.peer_name, shown(peer), f"{ratio:.2f}", checked)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def shown(values: list[float]) -> str:
    return f"{statistics.median(values):.2g}"


def report(rows: list[tuple[str, ...]], runs: int) -> str:
    packages = ("numpy", "pandas", "scipy", "scikit-learn", "statsmodels", "narwhals", "duckdb")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    head = ["stage", "custseg (s)", "peer", "peer (s)", "peer / custseg", "checked"]
    table = [head, ["---", "---:", "---", "---:", "---:", "---"], *rows]
    lines = "\n".join("| " + " | ".join(row) + " |" for row in table)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"""# The road, stage by stage

Medians of {runs} runs, custseg and its peer by turns, one BLAS thread.
Machine class: {machine}{load}, Python {platform.python_version()}.
Versions: {versions}.

{lines}

A ratio above 1 means that custseg took less time than its peer. The peer does the same work
without custseg's checks, account and notes."""


if __name__ == "__main__":
    main()
