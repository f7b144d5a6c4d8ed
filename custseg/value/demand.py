"""What do segments buy: the table of segments and items, affinity, and the top of each segment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from custseg._engine import collect, one_if
from custseg.errors import DataError, check_number, check_option
from custseg.results import Result
from custseg.stats import wilson
from custseg.tables import Transactions, require_roles
from custseg.value._orders import check_orders, read_orders, with_segments
from custseg.value._segments import name_segments

RANKS = ("lift_low", "lift", "customers", "quantity", "amount", "lines")
_SHOWN = 5


@dataclass(frozen=True, repr=False, eq=False)
class SegmentDemand(Result):
    """Who buys what: every item in every segment, with its affinity.

    Attributes
    ----------
    items : pandas.DataFrame
        Index `by`: ``customers`` who bought it, ``share`` of all customers, ``lines`` and, where
        they are named, ``quantity`` and ``amount``, over all segments; the largest first.
    sizes : pandas.Series
        Index ``segment``: customers who bought anything.
    account : pandas.Series
        Order ``lines`` by `as_of` = ``used`` + ``given_back`` + ``no_item`` + ``not_assigned``.
    by : str
        ``"category"`` or ``"product"``.
    min_customers : int
        Customers of a segment who must have bought an item for it to be among the top.
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    items: pd.DataFrame
    sizes: pd.Series
    account: pd.Series
    by: str
    min_customers: int
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_demand.demand_heatmap"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment and item, those that nobody bought included.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``item``; ``customers`` who bought it, ``support`` (their share of the
            customers of all segments), ``share`` (of the segment's customers) with ``share_low``
            and ``share_high``; ``lift``, that share over the share of all customers, with
            ``lift_low`` and ``lift_high``; ``lines`` and, where they are named, ``quantity`` and
            ``amount`` with ``amount_share``, the item's part of the segment's money.
        """
        return self._table.copy()

    def wide(self, column: str) -> pd.DataFrame:
        """Return one column of the frame as segment x item, for stock lists and heat maps."""
        check_option(column, "column", list(self._table.columns[2:]))
        wide = self._table.pivot(index="segment", columns="item", values=column)
        return wide.reindex(index=self.sizes.index, columns=self.items.index)

    def top(self, n: int = 5, *, by: str = "lift_low") -> pd.DataFrame:
        """Return the first `n` items of every segment.

        Parameters
        ----------
        n
            How many per segment.
        by
            ``"lift_low"`` for what sets the segment apart (the lower end of the interval, so that
            rare items do not lead by chance; only items above 1), ``"customers"``,
            ``"quantity"``, ``"amount"`` or ``"lines"`` for what it needs most of.

        Returns
        -------
        pandas.DataFrame
            Rows of `to_frame`, with ``rank`` from 1; items that fewer than `min_customers` of the
            segment bought are left out.
        """
        check_number(n, "n", ge=1, integer=True)
        check_option(by, "by", [name for name in RANKS if name in self._table])
        rows = self._table[self._table["customers"] >= self.min_customers]
        if by in ("lift", "lift_low"):
            rows = rows[rows[by] > 1]
        rows = rows.sort_values(
            ["segment", by, "customers", "item"], ascending=[True, False, False, True]
        )
        rank = rows.groupby("segment", observed=True).cumcount() + 1
        rows.insert(1, "rank", rank)
        return rows[rank <= n].reset_index(drop=True)

    def summary(self) -> str:
        """Return the items that set each segment apart."""
        first = self.top(3)
        told = []
        for name in self.sizes.index:
            own = first[first["segment"] == name]
            parts = [f"{row.item} (lift {row.lift:.2f})" for row in own.itertuples()]
            told.append(f"{name}: {', '.join(parts) or 'nothing stands out'}.")
        head = f"{self.sizes.sum():,} customers, {len(self.items):,} {_plural(self.by)}."
        return " ".join([head, *told])

    def _shown(self) -> pd.DataFrame:
        columns = ["segment", "item", "customers", "share", "lift", "lift_low", "lift_high"]
        money = ["amount_share"] if "amount_share" in self._table else []
        return self.top(_SHOWN)[columns + money].set_index(["segment", "item"])


def segment_demand(
    tx: Transactions,
    segments: pd.Series,
    *,
    by: str = "category",
    as_of: Any = None,
    min_customers: int = 10,
    level: float = 0.95,
) -> SegmentDemand:
    """Count what every segment buys, and how much more often than all customers.

    Parameters
    ----------
    tx
        Cleaned order lines; columns in: customer_id, timestamp, the role of `by` and, where they
        are named, quantity and amount.
    segments
        A Series of labels indexed by customer id.
    by
        ``"category"`` or ``"product"``.
    as_of
        A calendar date: nothing later counts. ``None`` is the last date present.
    min_customers
        Customers of a segment who must have bought an item for it to be among the top.
    level
        Confidence level of the intervals, each by itself.

    Returns
    -------
    SegmentDemand
        Shares are of the customers of a segment who bought anything, with Wilson intervals. A lift
        is the share over that of all segments' customers; its interval comes from that of the
        ratio between the segment and the others (both shares by Wilson), which stays defined
        where nobody else, or nobody, bought the item.

    Raises
    ------
    ColumnError
        If the role of `by` is not named.
    DataError
        If customers or times are missing, or ids do not match.
    ParameterError
        If an option does not exist.

    References
    ----------
    Donner, A. and Zou, G. Y. (2012), Closed-form confidence intervals for functions of the normal
    mean and standard deviation, Statistical Methods in Medical Research 21, 347-359 (ratios).
    Brin, S., Motwani, R., Ullman, J. D. and Tsur, S. (1997), SIGMOD, 255-264 (lift).

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> lines = pd.DataFrame({
    ...     "who": [1, 1, 2, 3, 3, 4], "when": "2024-01-05", "paid": [9.0, 4, 8, 7, 5, 6],
    ...     "what": ["toys", "books", "toys", "books", "tools", "books"],
    ... })
    >>> tx = cs.Transactions(lines, customer_id="who", timestamp="when", category="what",
    ...                      amount="paid")
    >>> segments = pd.Series(["A", "A", "B", "B"], index=[1, 2, 3, 4])
    >>> found = segment_demand(tx, segments, min_customers=1)
    >>> found.to_frame()[["segment", "item", "customers", "share", "lift", "amount"]].round(2)
      segment   item  customers  share  lift  amount
    0       A  books          1    0.5  0.67     4.0
    1       A   toys          2    1.0  2.00    17.0
    2       A  tools          0    0.0  0.00     0.0
    3       B  books          2    1.0  1.33    13.0
    4       B   toys          0    0.0  0.00     0.0
    5       B  tools          1    0.5  2.00     5.0
    """
    check_option(by, "by", ("category", "product"))
    check_number(min_customers, "min_customers", ge=1, integer=True)
    check_number(level, "level", gt=0, lt=1)
    check_orders(tx)
    labels = name_segments(segments)
    require_roles(tx, [by], what=f"segment_demand(by={by!r})")
    lines, _ = read_orders(tx, as_of)
    measures = [name for name in ("quantity", "amount") if name in lines.collect_schema().names()]
    cells, account, blank = _cells(lines, labels, by, measures)
    if cells.empty:
        raise DataError(
            f"no customer with a segment bought an item: {account.to_dict()}. Index segments by "
            "the customer ids of tx."
        )
    sizes = _sizes(lines, labels, by, blank=blank)
    names = [name for code, name in enumerate(labels.cat.categories) if code in sizes.index]
    codes = sizes.index.to_numpy()
    items = _items(cells, measures, int(sizes.sum())).rename_axis(by)
    table = _table(cells, sizes.to_numpy(), names, codes, items.index, measures, level)
    notes = _notes(account, labels, names, by)
    by_name = pd.Series(sizes.to_numpy(), pd.Index(names, name="segment"), name="customers")
    return SegmentDemand(table, items, by_name, account, by, min_customers, level, notes)


def lift_interval(
    x: ArrayLike, n: ArrayLike, x_others: ArrayLike, n_others: ArrayLike, *, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the lift of a segment over everybody, and its interval.

    Parameters
    ----------
    x, n
        Customers of the segment who did, and all of it.
    x_others, n_others
        The same of the customers outside.
    level
        Confidence level.

    Returns
    -------
    tuple of numpy.ndarray
        Lift and bounds; NaN where nobody did, or nobody is outside.

    Notes
    -----
    With q the segment's share of customers and r the ratio of the two shares, the lift is
    r / (q r + 1 - q). It rises with r from 0 to 1 / q, so the ends of r give its own.
    """
    x, n, x_others, n_others = (np.asarray(a, dtype=float) for a in (x, n, x_others, n_others))
    own_low, own_high = wilson(x, n, level=level)
    low, high = wilson(x_others, n_others, level=level)
    with np.errstate(divide="ignore", invalid="ignore"):
        own, others = x / n, x_others / n_others
        product = own * others
        least = own_low * (2 * own - own_low)
        most = own_high * (2 * own - own_high)
        to_low = np.sqrt(np.maximum(product**2 - least * high * (2 * others - high), 0))
        to_high = np.sqrt(np.maximum(product**2 - most * low * (2 * others - low), 0))
        bounds = (
            np.where(x > 0, least / (product + to_low), 0.0),
            np.where(x_others > 0, (product + to_high) / (low * (2 * others - low)), np.inf),
        )
        weight = n / (n + n_others)
        found = [
            np.where(np.isinf(r), 1 / weight, r / (weight * r + 1 - weight))
            for r in (own / others, *bounds)
        ]
    known = (x + x_others > 0) & (n > 0) & (n_others > 0)
    lift, lift_low, lift_high = (np.where(known, value, np.nan) for value in found)
    return lift, lift_low, lift_high


def _cells(
    lines: nw.LazyFrame, labels: pd.Series, by: str, measures: Sequence[str]
) -> tuple[pd.DataFrame, pd.Series, bool]:
    """Return sums by segment and item, lines = used + set aside, and whether some text is blank."""
    bought = nw.col("purchase") == 1
    priced = lines.with_columns(**{m: nw.when(bought).then(nw.col(m)) for m in measures})
    sums = [nw.col(name).sum() for name in ("bought", *measures)]
    by_customer = priced.group_by("customer_id", by).agg(
        nw.len().alias("all_lines"),
        nw.col("purchase").sum().alias("bought"),
        *sums[1:],
    )
    counted = with_segments(by_customer, labels).with_columns(
        customers=one_if(nw.col("bought") > 0)
    )
    cells = collect(
        counted.group_by("segment", by)
        .agg(nw.col("customers").sum(), nw.col("all_lines").sum(), *sums)
        .with_columns(item=nw.col(by).cast(nw.String))
    ).fillna(dict.fromkeys(("bought", *measures), 0))
    blank = cells["item"].str.strip() == ""
    known, assigned = cells["item"].notna() & ~blank, cells["segment"].notna()
    parts = {
        "lines": cells["all_lines"],
        "used": cells["bought"].where(known & assigned, 0),
        "given_back": cells["all_lines"] - cells["bought"],
        "no_item": cells["bought"].where(~known, 0),
        "not_assigned": cells["bought"].where(known & ~assigned, 0),
    }
    account = pd.Series({name: int(part.sum()) for name, part in parts.items()})
    cells = cells[known & assigned & (cells["bought"] > 0)].rename(columns={"bought": "lines"})
    whole = dict.fromkeys(("segment", "customers", "lines"), "int64")
    columns = ["segment", "item", "customers", "lines", *measures]
    return cells[columns].astype(whole), account, bool(blank.any())


def _sizes(lines: nw.LazyFrame, labels: pd.Series, by: str, *, blank: bool) -> pd.Series:
    """Return by code of segment how many of its customers bought an item that has a name."""
    named = lines.filter(nw.col("purchase") == 1, ~nw.col(by).is_null())
    if blank:
        named = named.filter(nw.col(by).cast(nw.String).str.strip_chars() != "")
    people = with_segments(named.group_by("customer_id").agg(nw.len().alias("lines")), labels)
    assigned = people.filter(~nw.col("segment").is_null())
    sizes = collect(assigned.group_by("segment").agg(nw.len().alias("customers")))
    return sizes.astype("int64").set_index("segment")["customers"].sort_index()


def _items(cells: pd.DataFrame, measures: Sequence[str], customers: int) -> pd.DataFrame:
    """Return the items, largest first, ties in alphabetical order."""
    items = cells.groupby("item")[["customers", "lines", *measures]].sum()
    items.insert(1, "share", items["customers"] / customers)
    order = np.lexsort((items.index.to_numpy(dtype=str), -items["customers"].to_numpy()))
    return items.iloc[order]


def _table(
    cells: pd.DataFrame,
    sizes: NDArray[np.int64],
    names: list[str],
    codes: NDArray[np.int64],
    items: pd.Index,
    measures: Sequence[str],
    level: float,
) -> pd.DataFrame:
    grid = pd.MultiIndex.from_product([codes, items], names=["segment", "item"])
    full = cells.set_index(["segment", "item"]).reindex(grid, fill_value=0)
    shape = (len(codes), len(items))
    bought = full["customers"].to_numpy().reshape(shape)
    n = np.broadcast_to(sizes[:, None], shape)
    low, high = wilson(bought, n, level=level)
    others, n_others = bought.sum(axis=0) - bought, sizes.sum() - n
    lift, lift_low, lift_high = lift_interval(bought, n, others, n_others, level=level)
    columns = {
        "customers": bought,
        "support": bought / sizes.sum(),
        "share": bought / n,
        "share_low": low,
        "share_high": high,
        "lift": lift,
        "lift_low": lift_low,
        "lift_high": lift_high,
    }
    table = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    segment = pd.Categorical.from_codes(np.repeat(np.arange(len(names)), len(items)), names)
    table.insert(0, "segment", segment.as_ordered())
    table.insert(1, "item", np.tile(items.to_numpy(), len(names)))
    for name in ("lines", *measures):
        table[name] = full[name].to_numpy()
    if "amount" in measures:
        money = full["amount"].to_numpy().reshape(shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            table["amount_share"] = (money / money.sum(axis=1, keepdims=True)).ravel()
    return table


def _notes(account: pd.Series, labels: pd.Series, names: list[str], by: str) -> tuple[str, ...]:
    notes = [
        (
            "lifts describe; where the segments were made from what customers buy, they differ by "
            "construction."
        ),
        (
            "each interval stands alone: among many items some lie wholly above 1 by chance. What "
            "leads a list should be looked at again in later orders."
        ),
    ]
    if len(names) == 1:
        notes.append("there is one segment: a lift needs others to compare with.")
    absent = [name for name in labels.cat.categories if name not in names]
    if absent:
        notes.append(f"nobody in {', '.join(map(repr, absent))} bought anything; left out.")
    words = {
        "given_back": "that give money back",
        "no_item": f"without a {by}",
        "not_assigned": "of customers in no segment",
    }
    aside = [f"{account[key]:,} {what}" for key, what in words.items() if account[key]]
    if aside:
        notes.append(f"of {account['lines']:,} lines, left out: {', '.join(aside)}.")
    return tuple(notes)


def _plural(by: str) -> str:
    return "categories" if by == "category" else "products"
