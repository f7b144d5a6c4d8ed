"""Time features from order lines against pandas, DuckDB SQL and lifetimes, at equal results.

Run ``python benchmarks/features.py``; ``--lifetimes PYTHON`` names an interpreter that has
lifetimes and pyarrow, ``--write`` stores the table and the picture. Every measurement is a process
of its own.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
WINDOWS = (30, 90, 365)
PARTS = ("night", "morning", "afternoon", "evening")
CHANNELS = ("app", "store", "web")

LINES = """
CREATE MACRO u(x, salt) AS hash(x * 64 + salt) / 18446744073709551616.0;
COPY (
  WITH orders AS (
    SELECT i AS order_id,
      1 + (CASE WHEN i % {per} = 0 AND i // {per} < {customers} THEN i // {per}
        ELSE CAST(floor({customers} * pow(u(i, 1), 1.7)) AS BIGINT) END) * 7919 % {customers}
        AS customer_id,
      TIMESTAMP '2023-01-01' + to_seconds(i * 63072000 // {orders}) AS timestamp,
      ['app', 'store', 'web'][1 + CAST(floor(u(i, 2) * 3) AS INT)] AS channel,
      1 + i * 7 % 5 AS lines
    FROM range({orders}) AS numbers(i)),
  items AS (SELECT *, unnest(range(lines)) + order_id * 5 AS line FROM orders)
  SELECT customer_id, timestamp, order_id, channel,
    'Category ' || CAST(floor(u(line, 3) * u(line, 4) * 20) AS INT) AS category,
    CAST(floor(1 + 4 * pow(u(line, 5), 3)) AS BIGINT) AS quantity,
    [0, 0, 0, 0.1, 0.2][1 + CAST(floor(u(line, 6) * 5) AS INT)]::DOUBLE AS discount,
    round(quantity * (1 + 80 * pow(u(line, 7), 2)) * (1 - discount), 2) AS amount
  FROM items) TO '{path}' (FORMAT parquet);
"""

SQL = """
WITH orders AS (
  SELECT customer_id, order_id, min(timestamp) AS time, CAST(min(timestamp) AS DATE) AS day,
    count(*) AS lines, sum(amount) AS value, sum(quantity) AS pieces, sum(discount) AS off,
    count(*) FILTER (discount > 0) AS discounted, count(discount) AS priced,
    max(channel = 'app')::INT AS app, max(channel = 'store')::INT AS store,
    max(channel = 'web')::INT AS web
  FROM '{path}' GROUP BY customer_id, order_id),
gaps AS (
  SELECT *, day - lag(day) OVER (PARTITION BY customer_id ORDER BY day) AS gap FROM orders),
sums AS (
  SELECT customer_id, count(*) AS n, min(day) AS first, max(day) AS last, sum(value) AS monetary,
    stddev_samp(value) AS basket_value_sd, count(*) FILTER (gap IS NULL OR gap > 0) AS days,
    sum(gap * gap) AS squared, min(day) FILTER (gap > 0) AS second,
    sum(day - DATE '1970-01-01') FILTER (gap IS NULL OR gap > 0) AS sum_of_days,
    count(*) FILTER (isodow(day) >= 6) AS weekend, count(*) FILTER (hour(time) < 6) AS night,
    count(*) FILTER (hour(time) BETWEEN 6 AND 11) AS morning,
    count(*) FILTER (hour(time) BETWEEN 12 AND 17) AS afternoon,
    count(*) FILTER (hour(time) >= 18) AS evening,
    count(*) FILTER (quarter(day) = 1) AS q1, count(*) FILTER (quarter(day) = 2) AS q2,
    count(*) FILTER (quarter(day) = 3) AS q3, count(*) FILTER (quarter(day) = 4) AS q4,
    sum(lines) AS lines, sum(pieces) AS pieces, sum(off) AS off, sum(discounted) AS discounted,
    sum(priced) AS priced, sum(app) AS app, sum(store) AS store, sum(web) AS web,
    count(*) FILTER (day > DATE '{day}' - 30) AS orders_30d,
    count(*) FILTER (day > DATE '{day}' - 90) AS orders_90d,
    count(*) FILTER (day > DATE '{day}' - 365) AS orders_365d,
    coalesce(sum(value) FILTER (day > DATE '{day}' - 30), 0) AS amount_30d,
    coalesce(sum(value) FILTER (day > DATE '{day}' - 90), 0) AS amount_90d,
    coalesce(sum(value) FILTER (day > DATE '{day}' - 365), 0) AS amount_365d
  FROM gaps GROUP BY customer_id),
counts AS (
  SELECT customer_id, category, count(*) AS n FROM '{path}' GROUP BY customer_id, category),
categories AS (
  SELECT customer_id, count(*) AS category_count, max(n) / sum(n) AS category_top_share,
    ln(sum(n)) - sum(n * ln(n)) / sum(n) AS category_entropy
  FROM counts GROUP BY customer_id)
SELECT customer_id, DATE '{day}' - last AS recency, n AS frequency, monetary,
  DATE '{day}' - first AS tenure, days AS purchase_days,
  CASE WHEN days > 1 THEN (last - first) / (days - 1) END AS gap_mean,
  CASE WHEN days > 2 THEN sqrt(((days - 1) * squared - (last - first) * (last - first))
    / ((days - 1) * (days - 2))) END AS gap_sd,
  1 / (1 + gap_sd / gap_mean) AS regularity, second - first AS days_to_second,
  CASE WHEN days > 1 THEN (2 * (sum_of_days - days * (first - DATE '1970-01-01')) / (days - 1)
    - tenure - 1) / tenure END AS trend,
  weekend / n AS weekend_share, night / n AS night_share, morning / n AS morning_share,
  afternoon / n AS afternoon_share, evening / n AS evening_share, q1 / n AS quarter_1_share,
  q2 / n AS quarter_2_share, q3 / n AS quarter_3_share, q4 / n AS quarter_4_share,
  greatest(q1, q2, q3, q4) / n AS top_quarter_share, lines / n AS basket_lines_mean,
  pieces / n AS basket_pieces_mean, monetary / n AS basket_value_mean, basket_value_sd,
  category_count, category_entropy, category_top_share, discounted / priced AS discount_share,
  off / priced AS discount_mean,
  (app > 0)::INT + (store > 0)::INT + (web > 0)::INT AS channel_count,
  app / (app + store + web) AS channel_share_app,
  store / (app + store + web) AS channel_share_store,
  web / (app + store + web) AS channel_share_web,
  1 - (app * app + store * store + web * web) / pow(app + store + web, 2) AS omnichannel_index,
  orders_30d, amount_30d, orders_90d, amount_90d, orders_365d, amount_365d
FROM sums JOIN categories USING (customer_id) ORDER BY customer_id
"""

LIFETIMES = """
import json, statistics, sys, time, warnings
warnings.filterwarnings("ignore")
import pandas as pd
from lifetimes.utils import summary_data_from_transaction_data as summary
path, out, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
lines = pd.read_parquet(path, columns=["customer_id", "timestamp", "amount"])
taken = []
for _ in range(runs):
    start = time.perf_counter()
    summary(lines, "customer_id", "timestamp", monetary_value_col="amount")
    taken.append(time.perf_counter() - start)
whole = summary(lines, "customer_id", "timestamp", monetary_value_col="amount",
                include_first_transaction=True)
whole.reset_index().to_parquet(out)
print(json.dumps({"lifetimes": statistics.median(taken)}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=float, nargs="*", default=[1e5, 1e6, 1e7, 1e8])
    parser.add_argument("--main", type=float, default=1e7, help="rows of the comparison (1e7)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--lifetimes", default="", help="a python that has lifetimes and pyarrow")
    parser.add_argument("--write", action="store_true", help="store table and picture")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, *arguments = options.child
        print(json.dumps(CHILDREN[name](*arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = compare(Path(folder), int(options.main), options.runs, options.lifetimes)
        scale = [measure(Path(folder), int(rows)) for rows in options.rows]
    text = report(int(options.main), options.runs, found, scale)
    print(text)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "features.md").write_text(text + "\n", encoding="utf-8")
        child("picture", RESULTS / "features.png", json.dumps(scale))


def child(name: str, *arguments: Any) -> Any:
    """Run one measurement in a process of its own."""
    print(name, *arguments, file=sys.stderr)
    command = [sys.executable, __file__, "--child", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path, rows: int, runs: int, lifetimes: str) -> dict[str, float]:
    path = folder / "lines.parquet"
    child("generate", path, rows)
    found: dict[str, float] = {}
    whole = folder / "lifetimes.parquet"
    if lifetimes:
        command = [lifetimes, "-c", LIFETIMES, path, whole, str(runs)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found |= json.loads(done.stdout.splitlines()[-1])
    found |= child("rfm", path, runs, whole if lifetimes else "")
    found |= child("memory", path, runs) | child("parquet", path, runs)
    for side in ("ours", "sql"):
        found[f"peak_{side}"] = child("peak", path, side)["peak"]
    path.unlink()
    return found


def measure(folder: Path, rows: int) -> dict[str, float]:
    path = folder / "scale.parquet"
    child("generate", path, rows)
    found = {"rows": rows}
    for side in ("ours", "sql"):
        one = child("peak", path, side)
        found |= {side: one["seconds"], f"peak_{side}": one["peak"]}
    if rows <= 10_000_000:
        found |= {f"memory_{name}": value for name, value in child("memory", path, 1).items()}
    path.unlink()
    return found


def generate(path: str, rows: str) -> None:
    """Write order lines, in the order of time; every customer has at least one order."""
    import duckdb

    orders = -(-int(rows) // 15) * 5
    customers = int(rows) // 20
    text = LINES.format(path=path, orders=orders, customers=customers, per=orders // customers)
    with duckdb.connect() as connection:
        connection.execute(text)


def roles(*names: str) -> dict[str, str]:
    return {name: name for name in ("customer_id", "timestamp", *names)}


EVERYTHING = ("order_id", "amount", "quantity", "category", "channel", "discount")


def ours(data: Any) -> Any:
    import custseg as cs

    tx = cs.Transactions(data, **roles(*EVERYTHING))
    return cs.features.purchase_features(tx, windows=WINDOWS)


def by_sql(path: str) -> Any:
    import duckdb

    day = duckdb.sql(f"SELECT CAST(max(timestamp) AS DATE) FROM '{path}'").fetchall()[0][0]
    return duckdb.sql(SQL.format(path=path, day=day)).df().set_index("customer_id")


def by_pandas(lines: Any) -> Any:
    import numpy as np
    import pandas as pd

    keys = lines["customer_id"]
    used = pd.DataFrame({name: lines["channel"] == name for name in CHANNELS})
    parts = lines[["customer_id", "order_id", "timestamp", "amount"]].join(used)
    orders = parts.groupby(["customer_id", "order_id"]).agg(
        time=("timestamp", "min"),
        value=("amount", "sum"),
        **{name: (name, "max") for name in CHANNELS},
    )
    orders = orders.reset_index("customer_id").sort_values(["customer_id", "time"])
    times = orders["time"].dt
    orders["day"] = times.normalize()
    last_day = orders["day"].max()
    same = orders["customer_id"] == orders["customer_id"].shift()
    gap = (orders["day"] - orders["day"].shift()).dt.days.where(same)
    orders["gap2"] = gap**2
    orders["new"] = orders["day"].where(gap.isna() | (gap > 0))
    orders["later"] = orders["day"].where(gap > 0)
    orders["number"] = (orders["new"] - pd.Timestamp("1970-01-01")).dt.days
    marks = {"weekend": times.weekday >= 5}
    marks |= {part: times.hour // 6 == i for i, part in enumerate(PARTS)}
    marks |= {f"quarter_{i}": times.quarter == i for i in (1, 2, 3, 4)}
    for w in WINDOWS:
        marks[f"orders_{w}d"] = recent = orders["day"] > last_day - pd.Timedelta(days=w)
        orders[f"amount_{w}d"] = orders["value"].where(recent, 0.0)
    orders = orders.assign(**marks)
    added = [*marks, *CHANNELS, *(f"amount_{w}d" for w in WINDOWS), "gap2"]
    groups = orders.groupby("customer_id")
    sums = groups[added].sum()
    value, days = groups["value"].agg(["sum", "mean", "std"]), groups["new"].count()
    n = groups.size()
    first, last = groups["day"].min(), groups["day"].max()
    span, tenure = (last - first).dt.days, (last_day - first).dt.days
    gaps = (days - 1).where(days > 1)
    mean = span / gaps
    sd = np.sqrt((gaps * sums["gap2"] - span**2) / (gaps * (gaps - 1)).where(days > 2))
    start = (first - pd.Timestamp("1970-01-01")).dt.days
    later = (groups["number"].sum() - days * start) / gaps
    totals = lines.assign(off=lines["discount"] > 0).groupby("customer_id")
    totals = totals.agg(
        lines=("amount", "size"),
        pieces=("quantity", "sum"),
        off=("off", "sum"),
        discount=("discount", "mean"),
    )
    counts = lines.groupby([keys, "category"]).size()
    counts = (
        counts.groupby("customer_id")
        .agg(["size", "max", "sum"])
        .join((counts * np.log(counts)).groupby("customer_id").sum().rename("n_log_n"))
    )
    channels = sums[list(CHANNELS)]
    shares = channels.div(channels.sum(axis=1), axis=0)
    quarters = sums[[f"quarter_{i}" for i in (1, 2, 3, 4)]].div(n, axis=0)
    table = {
        "recency": (last_day - last).dt.days,
        "frequency": n,
        "monetary": value["sum"],
        "tenure": tenure,
        "purchase_days": days,
        "gap_mean": mean,
        "gap_sd": sd,
        "regularity": 1 / (1 + sd / mean),
        "days_to_second": (groups["later"].min() - first).dt.days,
        "trend": (2 * later - tenure - 1) / tenure,
        "weekend_share": sums["weekend"] / n,
    }
    table |= {f"{part}_share": sums[part] / n for part in PARTS}
    table |= {f"quarter_{i}_share": quarters[f"quarter_{i}"] for i in (1, 2, 3, 4)}
    table |= {
        "top_quarter_share": quarters.max(axis=1),
        "basket_lines_mean": totals["lines"] / n,
        "basket_pieces_mean": totals["pieces"] / n,
        "basket_value_mean": value["mean"],
        "basket_value_sd": value["std"],
        "category_count": counts["size"],
        "category_entropy": np.log(counts["sum"]) - counts["n_log_n"] / counts["sum"],
        "category_top_share": counts["max"] / counts["sum"],
        "discount_share": totals["off"] / totals["lines"],
        "discount_mean": totals["discount"],
        "channel_count": (channels > 0).sum(axis=1),
    }
    table |= {f"channel_share_{name}": shares[name] for name in CHANNELS}
    table["omnichannel_index"] = 1 - (shares**2).sum(axis=1)
    for w in WINDOWS:
        table |= {name: sums[name] for name in (f"orders_{w}d", f"amount_{w}d")}
    return pd.DataFrame(table)


def check(table: Any, peer: Any) -> None:
    import numpy as np

    assert table.columns.tolist() == peer.columns.tolist()
    assert table.index.tolist() == peer.index.tolist()
    for name in table:
        values = peer[name].to_numpy(dtype="float64", na_value=np.nan)
        np.testing.assert_allclose(table[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


def by_turns(runs: int, **sides: Callable[[], Any]) -> dict[str, float]:
    """Return the median seconds of every side; they take turns."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, work in sides.items():
            start = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def time_rfm(path: str, runs: str, lifetimes: str) -> dict[str, float]:
    """Time RFM of a frame in memory; an order is all that a customer bought on a day."""
    import duckdb
    import numpy as np
    import pandas as pd

    import custseg as cs

    lines = duckdb.read_parquet(path).project("customer_id, timestamp, amount").df()
    lines["day"] = (lines["timestamp"] - pd.Timestamp("1970-01-01")).dt.days

    def count() -> Any:
        tx = cs.Transactions(lines, **roles("amount"), order_id="day")
        return cs.features.rfm(tx)

    def count_by_pandas() -> Any:
        table = lines.groupby("customer_id").agg(
            first=("day", "min"),
            last=("day", "max"),
            frequency=("day", "nunique"),
            monetary=("amount", "sum"),
        )
        end = table["last"].max()
        return table.assign(recency=end - table["last"], tenure=end - table["first"])

    table, peer = count(), count_by_pandas()
    check(table, peer[table.columns])
    if lifetimes:
        whole = duckdb.read_parquet(lifetimes).df().set_index("customer_id").sort_index()
        assert whole.index.tolist() == table.index.tolist()
        np.testing.assert_array_equal(whole["frequency"], table["frequency"])
        np.testing.assert_array_equal(whole["recency"], table["tenure"] - table["recency"])
        np.testing.assert_array_equal(whole["T"], table["tenure"])
        total = whole["monetary_value"] * whole["frequency"]
        np.testing.assert_allclose(total, table["monetary"], rtol=1e-9)
    taken = by_turns(int(runs), ours=count, pandas=count_by_pandas)
    return {f"rfm_{name}": value for name, value in taken.items()}


def time_memory(path: str, runs: str) -> dict[str, float]:
    """Time the whole set from a pandas frame."""
    import duckdb

    lines = duckdb.read_parquet(path).df()
    check(ours(lines), by_pandas(lines))
    taken = by_turns(int(runs), ours=lambda: ours(lines), pandas=lambda: by_pandas(lines))
    return {f"set_{name}": value for name, value in taken.items()}


def time_parquet(path: str, runs: str) -> dict[str, float]:
    """Time the whole set from a Parquet file."""
    check(ours(path), by_sql(path))
    taken = by_turns(int(runs), ours=lambda: ours(path), sql=lambda: by_sql(path))
    return {f"file_{name}": value for name, value in taken.items()}


def time_once(path: str, side: str) -> dict[str, float]:
    """Return the seconds and the peak memory of a process that does it once, from Parquet."""
    start = time.perf_counter()
    {"ours": ours, "sql": by_sql}[side](path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peak": peak * 1024 / 1e9}


def draw(target: str, scale: str) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    import seaborn as sns
    from matplotlib import pyplot as plt

    palette = sns.color_palette("colorblind")
    sides = {
        "ours": "custseg, Parquet",
        "sql": "DuckDB SQL by hand, Parquet",
        "memory_set_ours": "custseg, pandas frame",
        "memory_set_pandas": "pandas by hand",
    }
    found = json.loads(scale)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for (name, label), colour in zip(sides.items(), palette, strict=False):
        points = [(row["rows"], row[name]) for row in found if name in row]
        left.plot(*zip(*points, strict=True), "o-", color=colour, label=label)
        peaks = [(row["rows"], row[f"peak_{name}"]) for row in found if f"peak_{name}" in row]
        if peaks:
            right.plot(*zip(*peaks, strict=True), "o-", color=colour, label=label)
    left.set(xscale="log", yscale="log", xlabel="order lines", ylabel="seconds")
    right.set(xscale="log", yscale="log", xlabel="order lines", ylabel="peak memory, GB")
    left.legend(frameon=False, fontsize="small")
    sns.despine(figure)
    figure.savefig(target, dpi=90)


CHILDREN: dict[str, Callable[..., Any]] = {
    "generate": generate,
    "rfm": time_rfm,
    "memory": time_memory,
    "parquet": time_parquet,
    "peak": time_once,
    "picture": draw,
}


def report(rows: int, runs: int, found: dict[str, float], scale: list[dict[str, float]]) -> str:
    def line(task: str, own: str, peer: str, words: str) -> str:
        ratio = found[peer] / found[own]
        return f"| {task} | {found[own]:.2f} | {words} | {found[peer]:.2f} | {ratio:.2f} |"

    lines = [
        line("recency, frequency, money; pandas frame", "rfm_ours", "rfm_pandas", "pandas"),
        line("all purchase features; pandas frame", "set_ours", "set_pandas", "pandas by hand"),
        line("all purchase features; Parquet", "file_ours", "file_sql", "DuckDB SQL by hand"),
    ]
    if "lifetimes" in found:
        words = "lifetimes"
        lines.insert(
            0, line("recency, frequency, money; pandas frame", "rfm_ours", "lifetimes", words)
        )
    body = "\n".join(lines)
    steps = "\n".join(
        f"| {row['rows']:,.0f} | {row['ours']:.2f} | {row['sql']:.2f} | {row['peak_ours']:.2f} "
        f"| {row['peak_sql']:.2f} | {row.get('memory_set_ours', float('nan')):.2f} "
        f"| {row.get('memory_set_pandas', float('nan')):.2f} |".replace("nan", "")
        for row in scale
    )
    packages = ("numpy", "pandas", "narwhals", "duckdb", "numba")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"""# Features from order lines

{rows:,} generated order lines of {rows // 20:,} customers. Medians of {runs} runs, custseg and its
peer by turns, after both have given equal tables (1e-9).
Machine class: {machine}{load}, Python {platform.python_version()}.
Versions: {versions}.

| task | custseg (s) | peer | peer (s) | peer / custseg |
| --- | ---: | --- | ---: | ---: |
{body}

A ratio above 1 means that custseg took less time. An order of the first task is what a customer
bought on one day, as lifetimes counts. Peak memory of a process that makes all purchase features
once from Parquet: custseg {found["peak_ours"]:.2f} GB, SQL by hand {found["peak_sql"]:.2f} GB.

## Cost against rows

All purchase features, one run each; seconds, and gigabytes of peak memory (`ru_maxrss`);
SQL and pandas are written by hand; files are Parquet, frames pandas.

| lines | custseg, file | SQL, file | custseg, GB | SQL, GB | custseg, frame | pandas |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{steps}

![Seconds and peak memory against order lines](features.png)"""


if __name__ == "__main__":
    main()
