"""Key figures of buying by segment, each with its interval and held against a benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import stats

from custseg._engine import collect, from_day, one_if, to_day
from custseg._labels import ALL
from custseg.audit import DAY
from custseg.errors import DataError, ParameterError, check_number, check_option
from custseg.results import Result, format_number
from custseg.stats import holm, mean_interval, wilson
from custseg.tables import Touchpoints, Transactions, plain_ids
from custseg.value._orders import read_orders
from custseg.value._segments import match_segments

FIGURES = {
    "repeat_rate": "share of customers with two orders or more",
    "orders_per_customer": "orders over customers",
    "average_order_value": "money of orders over orders",
    "revenue_per_customer": "money, less what was given back, over customers",
    "conversion": "share of the customers seen in visits who ordered",
}
SHARES = ("repeat_rate", "conversion")
OLD = 730


@dataclass(frozen=True)
class Benchmark:
    """A number from elsewhere to hold a figure against.

    Parameters
    ----------
    figure
        Which figure, such as ``"repeat_rate"``.
    value
        Its value there.
    source
        Who published it.
    date
        When, as a date or ISO text.

    Raises
    ------
    ParameterError
        If there is no such figure, the value is no number, or source or date is missing.

    Examples
    --------
    >>> Benchmark("repeat_rate", 0.28, source="trade association, gifts", date="2011-06-30").value
    0.28
    """

    figure: str
    value: float
    source: str
    date: Any

    def __post_init__(self) -> None:
        check_option(self.figure, "figure", FIGURES)
        check_number(self.value, "value", gt=0, lt=1 if self.figure in SHARES else None)
        if not isinstance(self.source, str) or not self.source.strip():
            raise ParameterError("source is empty: a benchmark without a source compares nothing.")
        object.__setattr__(self, "date", from_day(to_day(self.date, "date")))


@dataclass(frozen=True, repr=False, eq=False)
class PurchaseFigures(Result):
    """Key figures of everybody and of each segment.

    Attributes
    ----------
    since, as_of : datetime.date
        The first and the last day that count.
    notes : tuple of str
        What to know before quoting a number, the sources of benchmarks among it.
    """

    _table: pd.DataFrame
    since: Any
    as_of: Any
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_segments.figures_forest"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per figure and segment, everybody (``"(all)"``) first.

        Returns
        -------
        pandas.DataFrame
            ``figure``, ``segment``, ``n`` (customers), ``value``, ``se``, ``ci_low``, ``ci_high``;
            and with benchmarks ``benchmark``, ``difference``, ``p_value`` and ``p_holm`` (over the
            segments of a figure).
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return each figure of everybody, and the segments that differ from the benchmark."""
        told = []
        for figure, rows in self._table.groupby("figure", sort=False):
            every = rows.iloc[0]
            low, value, high = (_shown(figure, every[x]) for x in ("ci_low", "value", "ci_high"))
            words = f"{str(figure).replace('_', ' ')} {value} [{low}, {high}]"
            if "benchmark" in rows and not np.isnan(every["benchmark"]):
                clear = rows[rows["p_holm"] < 1 - self.level]
                parts = [
                    f"{row.segment} {'above' if row.difference > 0 else 'below'}"
                    for row in clear.itertuples()
                ]
                mark = _shown(figure, every["benchmark"])
                words += f" against {mark}: {', '.join(parts) or 'none clearly differs'}"
            told.append(f"{words}.")
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        return self._table.set_index(["figure", "segment"])


def purchase_figures(
    tx: Transactions,
    segments: pd.Series | None = None,
    *,
    visits: Touchpoints | None = None,
    benchmarks: Benchmark | Sequence[Benchmark] = (),
    since: Any = None,
    as_of: Any = None,
    level: float = 0.95,
) -> PurchaseFigures:
    """Measure repeat rate, orders, average order value, revenue and conversion by segment.

    Parameters
    ----------
    tx
        Cleaned order lines; columns in: customer_id, timestamp and, where they are named, order_id
        (without it every line is an order) and amount.
    segments
        A Series of labels indexed by customer id; ``None`` takes everybody together.
    visits
        Contacts by which customers are seen, such as visits of the site; needed for conversion.
    benchmarks
        Numbers to hold figures against, each with its source and date.
    since, as_of
        The first and the last day that count; ``None`` is the first and the last of the data.
    level
        Confidence level of the intervals.

    Returns
    -------
    PurchaseFigures
        Shares have Wilson intervals and, against a benchmark, the score test; means Student's t;
        the average order value the linearised error of a ratio with customers as clusters.
        Benchmarks are taken for exact.

    Raises
    ------
    DataError
        If customers, times or amounts are missing, ids do not match, or nobody ordered in time.
    ParameterError
        If a benchmark is none, or names a figure that is not measured here.

    References
    ----------
    Deng, A., Knoblich, U. and Lu, J. (2018), Applying the delta method in metric analytics, KDD.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> lines = pd.DataFrame({"who": [1, 1, 2, 3, 3, 3], "when": "2024-01-05",
    ...                       "order": [1, 2, 3, 4, 4, 5], "paid": [10.0, 30, 20, 5, 15, 40]})
    >>> tx = cs.Transactions(lines, customer_id="who", timestamp="when", order_id="order",
    ...                      amount="paid")
    >>> found = purchase_figures(tx)
    >>> found.to_frame()[["figure", "n", "value"]].round(3)
                     figure  n   value
    0           repeat_rate  3   0.667
    1   orders_per_customer  3   1.667
    2   average_order_value  3  24.000
    3  revenue_per_customer  3  40.000
    """
    check_number(level, "level", gt=0, lt=1)
    lines, day = read_orders(tx, as_of)
    first = None if since is None else to_day(since, "since")
    if first is not None:
        lines = lines.filter(nw.col(DAY) >= first)
    people = _by_customer(lines, ordered=tx.order_id is not None)
    notes: list[str] = []
    if visits is not None:
        people = people.join(_seen(visits, first, day), how="outer").sort_index()
        notes.append("conversion is of known customers: visitors who stayed unknown are missing.")
    labels, told = match_segments(segments, people.index)
    notes = told + notes
    names = [name for name in labels.cat.categories if name != ALL]
    rows = []
    for figure in FIGURES:
        for name in [ALL, *names]:
            inside = labels.notna() if name == ALL else labels == name
            found = _figure(figure, people[inside.to_numpy()], level)
            if found is not None:
                rows.append({"figure": figure, "segment": name} | found)
    frame = pd.DataFrame(rows)
    benchmarks = [benchmarks] if isinstance(benchmarks, Benchmark) else benchmarks
    if benchmarks:
        frame = _against(frame, benchmarks)
        notes += _benchmark_notes(benchmarks, day)
    start = _first_day(lines) if first is None else from_day(first)
    return PurchaseFigures(frame, start, from_day(day), level, tuple(notes))


def _first_day(lines: nw.LazyFrame) -> Any:
    return from_day(int(collect(lines.select(nw.col(DAY).min()))[DAY].iloc[0]))


def _by_customer(lines: nw.LazyFrame, *, ordered: bool) -> pd.DataFrame:
    """Return `orders`, `spent` on them and `net` of what was given back, by customer."""
    priced = "amount" in lines.collect_schema().names()
    amount = nw.col("amount") if priced else nw.lit(0.0)
    bought = nw.col("purchase").fill_null(0)
    rows = lines.with_columns(net=amount, bought=bought)
    rows = rows.with_columns(spent=nw.when(nw.col("bought") > 0).then(nw.col("net")).otherwise(0.0))
    if ordered:
        rows = rows.group_by("customer_id", "order_id").agg(
            nw.col("bought").max(), nw.col("spent").sum(), nw.col("net").sum()
        )
    rows = rows.with_columns(orders=one_if(nw.col("bought") > 0))
    found = collect(
        rows.group_by("customer_id").agg(
            *(nw.col(name).sum() for name in ("orders", "spent", "net"))
        )
    )
    found = found[found["orders"] > 0]
    if found.empty:
        raise DataError("nobody ordered in that time. Choose another since or as_of.")
    people = found.set_index(plain_ids(found["customer_id"])).sort_index()
    columns = ["orders", "spent", "net"] if priced else ["orders"]
    return people[columns].astype(float)


def _seen(visits: Touchpoints, first: int | None, last: int) -> pd.DataFrame:
    rows = visits.frame.filter(~nw.col("customer_id").is_null(), nw.col(DAY) <= last)
    if first is not None:
        rows = rows.filter(nw.col(DAY) >= first)
    found = collect(rows.group_by("customer_id").agg(nw.len().alias("visits")))
    if found.empty:
        raise DataError("visits has no contact of a known customer in that time.")
    return found.set_index(plain_ids(found["customer_id"]))[["visits"]]


def _figure(figure: str, people: pd.DataFrame, level: float) -> dict[str, float] | None:
    """Return the figure of some customers; nothing where its columns are not there."""
    buyers = people[people["orders"] > 0]
    if figure == "conversion":
        if "visits" not in people:
            return None
        seen = people[people["visits"] > 0]
        return _share(int((seen["orders"] > 0).sum()), len(seen), level)
    if figure == "repeat_rate":
        return _share(int((buyers["orders"] >= 2).sum()), len(buyers), level)
    if figure == "orders_per_customer":
        return _ratio(buyers["orders"].to_numpy(), np.ones(len(buyers)), level)
    if "spent" not in people:
        return None
    if figure == "average_order_value":
        return _ratio(buyers["spent"].to_numpy(), buyers["orders"].to_numpy(), level)
    return _ratio(buyers["net"].to_numpy(), np.ones(len(buyers)), level)


def _share(x: int, n: int, level: float) -> dict[str, float]:
    value = x / n if n else np.nan
    low, high = wilson(x, n, level=level)
    se = np.sqrt(value * (1 - value) / n) if n else np.nan
    return {"n": n, "value": value, "se": float(se), "ci_low": low, "ci_high": high}


def _ratio(top: np.ndarray, bottom: np.ndarray, level: float) -> dict[str, float]:
    """Return a ratio of sums with its linearised error, customers as clusters."""
    n = len(top)
    value = float(top.sum() / bottom.sum()) if n else np.nan
    sd = float(np.std((top - value * bottom) / bottom.mean(), ddof=1)) if n > 1 else np.nan
    low, high = mean_interval(value, sd, n, level=level)
    se = sd / np.sqrt(n) if n else np.nan
    return {"n": n, "value": value, "se": se, "ci_low": float(low), "ci_high": float(high)}


def _against(frame: pd.DataFrame, benchmarks: Sequence[Benchmark]) -> pd.DataFrame:
    """Add the benchmark of each figure, the difference from it, and its test."""
    values: dict[str, float] = {}
    for mark in benchmarks:
        if not isinstance(mark, Benchmark):
            raise ParameterError(
                f"a benchmark is {mark!r}, but must be Benchmark(figure, value, source=..., "
                "date=...)."
            )
        if mark.figure not in set(frame["figure"]):
            needs = "visits=" if mark.figure == "conversion" else "the role amount"
            raise ParameterError(f"{mark.figure!r} is not measured here: it needs {needs}.")
        if mark.figure in values:
            raise ParameterError(f"{mark.figure!r} has two benchmarks. Keep one.")
        values[mark.figure] = mark.value
    frame = frame.assign(benchmark=frame["figure"].map(values))
    frame["difference"] = frame["value"] - frame["benchmark"]
    share = frame["figure"].isin(SHARES)
    null = np.sqrt(frame["benchmark"] * (1 - frame["benchmark"]).clip(lower=0) / frame["n"])
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (frame["difference"] / np.where(share, null, frame["se"])).abs()
        t = 2 * stats.t.sf(z, np.maximum(frame["n"] - 1, 1))
    frame["p_value"] = np.where(share, 2 * stats.norm.sf(z), t)
    frame["p_holm"] = frame.groupby("figure", sort=False)["p_value"].transform(holm)
    return frame


def _benchmark_notes(benchmarks: Sequence[Benchmark], day: int) -> list[str]:
    notes = [
        f"benchmark of {mark.figure}: {format_number(mark.value)} ({mark.source}, {mark.date}). It "
        "is taken for exact, and for the same definition and market."
        for mark in benchmarks
    ]
    notes += [
        f"the benchmark of {mark.figure} is over two years older than these orders."
        for mark in benchmarks
        if day - to_day(mark.date, "date") > OLD
    ]
    return notes


def _shown(figure: object, value: float) -> str:
    return f"{value:.0%}" if figure in SHARES else format_number(value)
