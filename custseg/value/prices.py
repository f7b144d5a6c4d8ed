"""How price sensitive are segments: discounts taken, own-price slopes, and acceptable prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from custseg._engine import collect
from custseg._labels import ALL
from custseg.errors import ConvergenceError, DataError, check_number, check_option
from custseg.results import Result
from custseg.stats import shrink, wilson
from custseg.tables import Transactions, require_roles
from custseg.value._orders import PERIODS, period_number, read_orders, with_segments
from custseg.value._segments import name_segments

Vector = NDArray[np.float64]

ROUNDS = 100
FEW_PRODUCTS = 10
SETTLED = 1e-10


@dataclass(frozen=True, repr=False, eq=False)
class PriceSensitivity(Result):
    """Discounts and own-price slopes by segment.

    Attributes
    ----------
    spread : float
        How far the true slopes of segments differ: the standard deviation, by `shrink`.
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    spread: float
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_demand.price_slopes"

    def to_frame(self) -> pd.DataFrame:
        """Return everybody in a segment (``"(all)"``), then a row per segment.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``customers``; where discounts are named ``discount_share`` of the lines
            with ``discount_low`` and ``discount_high``, and ``mean_discount``; ``products`` whose
            price moved, how many of equal weight they are worth (``worth_products``), ``slope``
            with ``slope_se``, ``slope_low``, ``slope_high``, and, pulled towards the other
            segments, ``shrunk`` with ``shrunk_low`` and ``shrunk_high``.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the slope of everybody, and the most and the least sensitive segment."""
        rows = self._table.set_index("segment")
        every = rows.loc[ALL]
        told = []
        if "discount_share" in rows:
            told.append(f"{every['discount_share']:.0%} of lines at a discount.")
        if "slope" in rows and not np.isnan(every["slope"]):
            told.append(
                f"A price 1% higher goes with {every['slope']:+.1f}% pieces per buyer "
                f"[{every['slope_low']:+.1f}, {every['slope_high']:+.1f}]."
            )
            own = rows["shrunk"].drop(ALL).dropna()
            if len(own) > 1:
                how = "" if np.isnan(self.spread) else ", both shrunk"
                told.append(
                    f"Most sensitive {own.idxmin()} ({own.min():+.1f}), least {own.idxmax()} "
                    f"({own.max():+.1f}){how}."
                )
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        wanted = ["customers", "discount_share", "products", "slope", "slope_se", "shrunk"]
        wanted += ["shrunk_low", "shrunk_high"]
        return self._table.set_index("segment")[[name for name in wanted if name in self._table]]


def price_sensitivity(
    tx: Transactions,
    segments: pd.Series,
    *,
    period: str = "W",
    as_of: Any = None,
    level: float = 0.95,
) -> PriceSensitivity:
    """Measure how many lines a segment buys at a discount, and how its demand moves with price.

    The slope is the elasticity b of a Poisson regression by segment: pieces of product p in period
    t are proportional to buyers(t) price(p, t)**b, with a level of its own for every product and
    segment. `buyers` are the customers of the segment with any order in the period, which takes
    out seasons. The price is the mean that customers outside the segment paid then: were it the
    segment's own, personal discounts would pass for a price that draws buyers. Products count
    whose price moved.

    Parameters
    ----------
    tx
        Cleaned order lines; columns in: customer_id, timestamp and either discount, or product,
        quantity and amount (or unit_price), or all of them.
    segments
        A Series of labels indexed by customer id.
    period
        The length of a period, as in `custseg.value.retention`.
    as_of
        A calendar date: nothing later counts. ``None`` is the last date present.
    level
        Confidence level of the intervals.

    Returns
    -------
    PriceSensitivity
        Discount shares have Wilson intervals at the sample size that customers as clusters amount
        to; slopes standard errors by products as clusters (CR3), which hold for any spread of the
        counts. Slopes of segments are pulled towards each other by `custseg.stats.shrink`.

    Raises
    ------
    ColumnError
        If neither discounts nor products with quantity and amount are named.
    DataError
        If customers or times are missing, or ids do not match.
    ConvergenceError
        If a slope has no maximum.

    References
    ----------
    Hausman, J., Hall, B. H. and Griliches, Z. (1984), Econometrica 52, 909-938 (the regression).
    Wooldridge, J. M. (1999), Journal of Econometrics 90, 77-97 (its robust errors).

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> week = pd.Timestamp("2024-01-01") + pd.to_timedelta([0, 7] * 4, "D")
    >>> lines = pd.DataFrame({
    ...     "who": [1, 1, 1, 1, 2, 2, 2, 2], "when": week, "what": list("aabbaabb"),
    ...     "pieces": [8, 2, 9, 3, 4, 2, 5, 3], "price": [1.0, 2, 2, 4, 1, 2, 2, 4],
    ... })
    >>> tx = cs.Transactions(lines, customer_id="who", timestamp="when", product="what",
    ...                      quantity="pieces", unit_price="price")
    >>> segments = pd.Series(["A", "B"], index=[1, 2])
    >>> price_sensitivity(tx, segments).to_frame()[["segment", "products", "slope"]].round(2)
      segment  products  slope
    0   (all)         2  -1.38
    1       A         2  -1.77
    2       B         2  -0.85
    """
    check_option(period, "period", PERIODS)
    check_number(level, "level", gt=0, lt=1)
    labels = name_segments(segments)
    lines, _ = read_orders(tx, as_of)
    columns = lines.collect_schema().names()
    priced = {"product", "quantity", "amount"} <= set(columns)
    if not priced and "discount" not in columns:
        require_roles(tx, ["product", "quantity", "amount"], what="price_sensitivity")
    marked = with_segments(lines, labels).filter(nw.col("purchase") == 1)
    people = _people(marked)
    if people.empty:
        raise DataError(
            "no customer with a segment bought anything. Index segments by the customer ids of tx."
        )
    names = [labels.cat.categories[code] for code in people.index]
    table = pd.DataFrame({"segment": [ALL, *names], "customers": [people.sum(), *people]})
    notes = ["slopes are association: prices are cut when demand is low. A price test says more."]
    if "discount" in columns:
        table = table.join(_discounts(marked, list(people.index), level))
    else:
        notes.append("no discount: the share of lines at a discount is left out.")
    spread = np.nan
    if priced:
        slopes, spread = _slopes(marked, period, list(people.index), level)
        table = table.join(slopes)
        few = table.loc[table["worth_products"] < FEW_PRODUCTS, "segment"]
        if len(few):
            shown = ", ".join(map(repr, few))
            notes.append(
                f"the slope hangs on fewer than {FEW_PRODUCTS} products, by weight: {shown}. Its "
                "standard error is rough there."
            )
    else:
        notes.append("product, quantity and amount are not all named: slopes are left out.")
    return PriceSensitivity(table, spread, level, tuple(notes))


def _people(marked: nw.LazyFrame) -> pd.Series:
    known = marked.filter(~nw.col("segment").is_null()).group_by("segment", "customer_id")
    by_customer = known.agg(nw.len().alias("lines"))
    counted = collect(by_customer.group_by("segment").agg(nw.len().alias("customers")))
    return counted.astype("int64").set_index("segment")["customers"].sort_index()


def _discounts(marked: nw.LazyFrame, codes: Sequence[int], level: float) -> pd.DataFrame:
    """Return the share of lines at a discount, customers as clusters, everybody first."""
    discount = nw.col("discount")
    lines = marked.filter(~nw.col("segment").is_null(), ~discount.is_null())
    lines = lines.with_columns(cut=nw.when(discount > 0).then(1.0).otherwise(0.0))
    by_customer = lines.group_by("segment", "customer_id").agg(
        nw.len().cast(nw.Float64).alias("n"), nw.col("cut").sum(), discount.sum()
    )
    n, cut = nw.col("n"), nw.col("cut")
    squares = by_customer.with_columns(nn=n * n, cn=cut * n, cc=cut * cut)
    sums = ["n", "cut", "discount", "nn", "cn", "cc"]
    found = collect(
        squares.group_by("segment").agg(nw.len().alias("k"), *(nw.col(x).sum() for x in sums))
    )
    found = found.set_index("segment").reindex(codes).fillna(0.0).astype(float)
    total = pd.concat([found.sum().to_frame().T, found], ignore_index=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (total["cut"] / total["n"]).to_numpy()
        off = total["cc"] - 2 * share * total["cn"] + share**2 * total["nn"]
        squared = (total["k"] / (total["k"] - 1) * off / total["n"] ** 2).to_numpy()
        # everybody or nobody at a discount: each customer counts as one trial
        size = np.where(squared > 0, share * (1 - share) / squared, total["k"])
    size = np.where(np.isfinite(size), size, 0)
    low, high = wilson(np.nan_to_num(share) * size, size, level=level)
    return pd.DataFrame(
        {
            "discount_share": share,
            "discount_low": low,
            "discount_high": high,
            "mean_discount": (total["discount"] / total["n"]).to_numpy(),
        }
    )


def _slopes(
    marked: nw.LazyFrame, period: str, codes: Sequence[int], level: float
) -> tuple[pd.DataFrame, float]:
    """Return slopes by segment, everybody first, raw and shrunk, and the spread of the true."""
    product = nw.col("product").cast(nw.String)
    lines = marked.filter(~product.is_null(), nw.col("quantity") > 0, nw.col("amount") > 0)
    lines = lines.with_columns(product=product, period=period_number(period))
    cells = collect(
        lines.group_by("segment", "product", "period").agg(
            nw.col("quantity").sum(), nw.col("amount").sum()
        )
    )
    at_work = lines.group_by("segment", "period", "customer_id").agg(nw.len().alias("lines"))
    buyers = collect(at_work.group_by("segment", "period").agg(nw.len().alias("buyers")))
    panels = [_panel(cells, buyers, code, alone=len(codes) == 1) for code in codes]
    together = pd.concat(panels, ignore_index=True)
    rows = [fit_slope(panel) for panel in (together, *panels)]
    table = pd.DataFrame(rows, columns=["products", "worth_products", "slope", "slope_se"])
    usable = (table["slope_se"] > 0) & (table.index > 0)
    z = stats.norm.isf((1 - level) / 2)
    table["slope_low"] = table["slope"] - z * table["slope_se"]
    table["slope_high"] = table["slope"] + z * table["slope_se"]
    found = shrink(table.loc[usable, "slope"], table.loc[usable, "slope_se"])
    table.loc[usable, "shrunk"] = found.estimate
    table.loc[usable, "shrunk_low"] = found.estimate - z * found.se
    table.loc[usable, "shrunk_high"] = found.estimate + z * found.se
    return table, found.spread


def _panel(cells: pd.DataFrame, buyers: pd.DataFrame, code: int, *, alone: bool) -> pd.DataFrame:
    """Return what a segment bought of every product in every period in which others bought it.

    The price is what the others paid: what the segment paid itself follows from who of it bought.
    """
    key = ["product", "period"]
    own = cells[cells["segment"] == code].groupby(key)[["quantity", "amount"]].sum()
    paid = cells.groupby(key)[["quantity", "amount"]].sum()
    if not alone:
        paid = paid - own.reindex(paid.index, fill_value=0.0)
    paid = paid[paid["quantity"] > 0.5]
    busy = buyers[buyers["segment"] == code].set_index("period")["buyers"]
    panel = np.log(paid["amount"] / paid["quantity"]).rename("log_price").to_frame()
    panel = panel.join(own["quantity"]).fillna({"quantity": 0.0}).reset_index()
    panel["buyers"] = panel["period"].map(busy)
    panel["item"] = panel["product"] + f" {code}"
    return panel.dropna()


def fit_slope(panel: pd.DataFrame) -> tuple[int, float, float, float]:
    """Fit the elasticity of a Poisson regression with a level for every item.

    Parameters
    ----------
    panel
        ``item`` (a product in a segment), ``product``, ``period``, ``log_price``, ``quantity`` and
        ``buyers`` (above 0).

    Returns
    -------
    tuple
        The number of products that tell of it, how many of equal weight they are worth, the slope,
        and its standard error, that of leaving out one product at a time (CR3); NaN where there is
        none.
    """
    panel = panel.sort_values(["item", "period"])
    by_item = panel.groupby("item", sort=False)
    moved = by_item["log_price"].transform("max") - by_item["log_price"].transform("min") > SETTLED
    panel = panel[moved & (by_item["quantity"].transform("sum") > 0)]
    item, _ = pd.factorize(panel["item"])
    if not len(item):
        return 0, 0.0, np.nan, np.nan
    n = int(item.max()) + 1
    product, names = pd.factorize(panel.drop_duplicates("item")["product"])
    q = panel["quantity"].to_numpy(dtype=float)
    offset, x = np.log(panel["buyers"].to_numpy(dtype=float)), panel["log_price"].to_numpy()
    x = x - (np.bincount(item, x) / np.bincount(item))[item]
    total = np.bincount(item, q)
    slope = 0.0
    for _ in range(ROUNDS):
        log_share = offset + slope * x
        top = np.full(n, -np.inf)
        np.maximum.at(top, item, log_share)
        share = np.exp(log_share - top[item])
        share /= np.bincount(item, share)[item]
        centre = np.bincount(item, share * x)
        scores = np.bincount(item, q * x) - total * centre
        parts = total * (np.bincount(item, share * x**2) - centre**2)
        information = float(parts.sum())
        if not information > SETTLED * total.sum():
            break
        step = scores.sum() / information
        slope += float(np.clip(step, -2, 2))
        if abs(step) < SETTLED * max(1.0, abs(slope)):
            told = np.bincount(product, parts) / information
            left_out = np.bincount(product, scores) / np.maximum(1 - told, SETTLED)
            k = len(names)
            se = np.sqrt((k - 1) / k * (left_out**2).sum()) / information if k > 1 else np.nan
            return k, 1 / float(told @ told), slope, float(se)
    raise ConvergenceError(
        f"the own-price slope of {len(names):,} products did not settle: a segment bought only at "
        "the lowest or the highest price. Join small segments, or give a longer period."
    )
