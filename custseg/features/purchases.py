"""Everything that order lines say about a customer: rhythm, baskets, categories, channels."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import pandas as pd

from custseg._engine import collect, day_number, from_day, one_if
from custseg.audit import DAY
from custseg.errors import DataError, ParameterError, check_number
from custseg.features.dictionary import Column, attach
from custseg.features.transactions import RFM
from custseg.tables import Transactions, last_day, nets_returns, plain_ids

_MOST_CHANNELS = 20
_PARTS_OF_THE_DAY = ("night", "morning", "afternoon", "evening")

Features = dict[str, tuple[Column, nw.Expr]]


class _Asked(NamedTuple):
    """What the columns depend on."""

    day: int
    windows: tuple[int, ...]
    roles: frozenset[str]
    channels: tuple[Any, ...]
    has_clock: bool
    nets_returns: bool


def purchase_features(
    tx: Transactions, as_of: Any = None, *, windows: Sequence[int] = (30, 90, 365)
) -> pd.DataFrame:
    """Turn order lines into everything that they say about each customer.

    The columns depend on the roles that `tx` names; what is left out is said in
    ``attrs["notes"]``. A value that is not defined, such as the days between purchases of
    somebody who bought once, is NaN, never 0. ``docs/purchase_features.md`` has every formula.

    Parameters
    ----------
    tx
        Cleaned order lines; columns in: customer_id, timestamp and, where they are named,
        order_id (without it every row is an order), amount (or quantity with unit_price),
        quantity, category, channel, discount.
    as_of
        A calendar date in the data's own time zone. Everything up to the end of that day counts,
        nothing later. ``None`` is the last date present.
    windows
        Lengths in days of the periods that end with `as_of`, for recent orders and amounts; a
        period of w days is (as_of - w, as_of].

    Returns
    -------
    pandas.DataFrame
        One row per customer who bought by `as_of`, sorted by the unique index `customer_id`:
        the columns of `rfm` (monetary where there is an amount), then rhythm, calendar,
        baskets, categories, discounts, returns, channels and windows. ``attrs`` has the date,
        the data dictionary (see `describe_columns`) and the notes.

    Raises
    ------
    DataError
        If ids, times or amounts are missing, or nobody bought by `as_of`.
    ParameterError
        If `as_of` is no date, or `windows` are not different whole numbers of days.

    References
    ----------
    Cox, D. R. and Lewis, P. A. W. (1966). The Statistical Analysis of Series of Events. Methuen
    (the trend). Simpson, E. H. (1949). Measurement of diversity. Nature, 163, 688 (the
    omnichannel index). Shannon, C. E. (1948). A mathematical theory of communication. Bell
    System Technical Journal, 27, 379-423 (the entropy).

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> lines = pd.DataFrame({
    ...     "who": ["ann", "ann", "ann", "ann", "bob"],
    ...     "when": pd.to_datetime(["2024-01-06 09:30", "2024-01-06 09:30", "2024-01-16 18:00",
    ...                             "2024-02-05 20:15", "2024-02-01 12:00"], format="ISO8601"),
    ...     "order": [1, 1, 2, 3, 4],
    ...     "paid": [20.0, 5.0, 35.0, 12.0, 10.0],
    ... })
    >>> tx = cs.Transactions(lines, customer_id="who", timestamp="when", order_id="order",
    ...                      amount="paid")
    >>> table = cs.features.purchase_features(tx, as_of="2024-02-10", windows=[7])
    >>> table[["frequency", "gap_mean", "weekend_share", "basket_value_mean", "orders_7d"]]
                 frequency  gap_mean  weekend_share  basket_value_mean  orders_7d
    customer_id
    ann                  3      15.0       0.333333               24.0          1
    bob                  1       NaN       0.000000               10.0          0
    >>> table.attrs["notes"][0]
    'no quantity: basket_pieces_mean is left out.'
    """
    windows = _checked(windows)
    day = last_day(tx, as_of)
    known = tx.frame if as_of is None else tx.frame.filter(nw.col(DAY) <= day)
    nets = nets_returns(tx)
    bought = known.filter(nw.col("amount") >= 0) if nets else known
    asked = _Asked(
        day=day,
        windows=windows,
        roles=_named_roles(tx),
        channels=_channels(bought) if tx.channel else (),
        has_clock=isinstance(known.collect_schema()["timestamp"], nw.Datetime),
        nets_returns=nets,
    )
    features: Features = {}
    for family in _FAMILIES:
        features |= family(asked)
    chosen = {name: expression for name, (_, expression) in features.items()}
    table = collect(_sums(known, bought, asked).select("customer_id", **chosen))
    if table.empty:
        raise DataError(f"nobody bought by {from_day(day)}. Choose a later as_of.")
    table = table.set_index(plain_ids(table.pop("customer_id"))).sort_index()
    table = table.astype({name: _DTYPES[entry.kind] for name, (entry, _) in features.items()})
    table = _without_time_of_day(table)
    entries = {name: entry for name, (entry, _) in features.items() if name in table}
    table = attach(table, entries, as_of=from_day(day))
    table.attrs["notes"] = _notes(table, asked)
    return table


def _checked(windows: Sequence[int]) -> tuple[int, ...]:
    if not isinstance(windows, Iterable):
        raise ParameterError(f"windows is {windows!r}, but must be a list of days, as [30, 90].")
    for window in windows:
        check_number(window, "a window", ge=1, integer=True)
    if len(set(windows)) < len(windows):
        raise ParameterError(f"windows is {list(windows)}, but must be different numbers of days.")
    return tuple(int(window) for window in windows)


def _named_roles(tx: Transactions) -> frozenset[str]:
    named = {role for role in _NEEDED if getattr(tx, role)}
    return frozenset(named | {"amount"} if tx.quantity and tx.unit_price else named)


def _channels(bought: nw.LazyFrame) -> tuple[Any, ...]:
    """Return the channels that occur, or none where they are too many for a column each."""
    found = collect(bought.group_by("channel").agg(nw.len()))["channel"].dropna()
    return tuple(sorted(found.tolist())) if len(found) <= _MOST_CHANNELS else ()


def _without_time_of_day(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the parts of the day where every order was placed in the first of them."""
    if "night_share" in table and (table["night_share"] == 1).all():
        return table.drop(columns=[f"{part}_share" for part in _PARTS_OF_THE_DAY])
    return table


def _sums(known: nw.LazyFrame, bought: nw.LazyFrame, asked: _Asked) -> nw.LazyFrame:
    """Return what the lines and orders of each customer who bought add up to."""
    parts = [_line_sums(bought, asked)]
    if "category" in asked.roles:
        parts.append(_category_sums(bought))
    if asked.nets_returns:
        parts.append(_return_sums(known.filter(nw.col("amount") < 0), asked))
    sums = _order_sums(_orders(bought, asked), asked)
    for part in parts:
        sums = sums.join(part, on="customer_id", how="left")
    names = [name for name in sums.collect_schema().names() if name != "customer_id"]
    # Some databases divide whole numbers without a remainder.
    return sums.with_columns(nw.col(*names).cast(nw.Float64))


def _line_sums(bought: nw.LazyFrame, asked: _Asked) -> nw.LazyFrame:
    lines = nw.len().alias("lines")
    totals = []
    if "quantity" in asked.roles:
        totals.append(nw.col("quantity").sum().alias("pieces"))
    if "discount" in asked.roles:
        bought = bought.with_columns(discounted=_one_where(nw.col("discount") > 0))
        totals += [
            nw.col("discount").sum().alias("off"),
            nw.col("discount").count().alias("priced"),
            nw.col("discounted").count(),
        ]
    return bought.group_by("customer_id").agg(lines, *totals)


def _orders(bought: nw.LazyFrame, asked: _Asked) -> nw.LazyFrame:
    """Return one row per order: when it was placed, its amount and its channels."""
    used = {
        f"channel_{position}": nw.col("channel") == channel
        for position, channel in enumerate(asked.channels)
    }
    value = {"value": nw.col("amount")} if "amount" in asked.roles else {}
    parts = used | value | {"time": nw.col("timestamp")}
    if "order_id" not in asked.roles:
        return bought.select("customer_id", **parts)
    lines = bought.select("customer_id", "order_id", **parts)
    return lines.group_by("customer_id", "order_id").agg(
        nw.col("time").min(),
        *(nw.col(name).sum() for name in value),
        *(nw.col(name).max() for name in used),
    )


def _order_sums(orders: nw.LazyFrame, asked: _Asked) -> nw.LazyFrame:
    """Return what the orders of each customer add up to."""
    day, gap, month = nw.col("day"), nw.col("gap"), nw.col("month")
    orders = orders.with_columns(day=day_number("time"))
    orders = orders.with_columns(gap=day - day.shift(1).over("customer_id", order_by="day"))
    orders = orders.with_columns(month=nw.col("time").dt.month())
    marks = {"weekend": (day + 3) % 7 >= 5}
    marks |= {f"quarter_{i}": (month > 3 * i - 3) & (month <= 3 * i) for i in (1, 2, 3, 4)}
    marks |= {f"orders_{window}": day > asked.day - window for window in asked.windows}
    marks |= {name: nw.col(name) for name in map("channel_{}".format, range(len(asked.channels)))}
    if asked.has_clock:
        hour = nw.col("hour")
        orders = orders.with_columns(hour=nw.col("time").dt.hour())
        marks |= {
            part: (hour >= 6 * i) & (hour < 6 * i + 6) for i, part in enumerate(_PARTS_OF_THE_DAY)
        }
    amounts = {}
    spread = []
    if "amount" in asked.roles:
        amounts = {"value": nw.col("value")} | {
            f"amount_{window}": nw.when(day > asked.day - window).then(nw.col("value"))
            for window in asked.windows
        }
        spread = [nw.col("value").std(ddof=1).alias("value_sd")]
    orders = orders.with_columns(
        **{name: _one_where(mark) for name, mark in marks.items()},
        **amounts,
        squared_gaps=gap * gap,
        new_day=nw.when(gap.is_null() | (gap > 0)).then(day),
        later_day=nw.when(gap > 0).then(day),
    )
    return orders.group_by("customer_id").agg(
        nw.len().alias("orders"),
        day.min().alias("first"),
        day.max().alias("last"),
        nw.col("new_day").count().alias("days"),
        nw.col("new_day").sum().alias("sum_of_days"),
        nw.col("later_day").min().alias("second"),
        nw.col("squared_gaps").sum(),
        *(nw.col(name).sum() for name in amounts),
        *(nw.col(name).count() for name in marks),
        *spread,
    )


def _category_sums(bought: nw.LazyFrame) -> nw.LazyFrame:
    n = nw.col("n")
    counts = bought.select("customer_id", "category").filter(~nw.col("category").is_null())
    counts = counts.group_by("customer_id", "category").agg(nw.len().alias("n"))
    counts = counts.with_columns(n_log_n=n * n.cast(nw.Float64).log())
    return counts.group_by("customer_id").agg(
        nw.len().alias("categories"),
        n.max().alias("top_category"),
        n.sum().alias("categorised"),
        nw.col("n_log_n").sum(),
    )


def _return_sums(returned: nw.LazyFrame, asked: _Asked) -> nw.LazyFrame:
    amount, day = nw.col("amount"), nw.col(DAY)
    parts = {
        f"returned_{window}": nw.when(day > asked.day - window).then(amount)
        for window in asked.windows
    }
    returned = returned.select("customer_id", returned=amount, **parts)
    return returned.group_by("customer_id").agg(
        *(nw.col(name).sum() for name in ("returned", *parts))
    )


def _one_where(mark: nw.Expr) -> nw.Expr:
    """Return 1 where the mark holds and nothing elsewhere, to be counted."""
    return nw.when(mark).then(1)


def _rfm(asked: _Asked) -> Features:
    values = {
        "recency": asked.day - nw.col("last"),
        "frequency": nw.col("orders"),
        "monetary": _net(asked, "value", "returned"),
        "tenure": asked.day - nw.col("first"),
    }
    without = () if "amount" in asked.roles else ("monetary",)
    return {name: (entry, values[name]) for name, entry in RFM.items() if name not in without}


def _rhythm(asked: _Asked) -> Features:
    first, days = nw.col("first"), nw.col("days")
    span = nw.col("last") - first
    gaps = nw.when(days > 1).then(days - 1)
    mean = span / gaps
    spread = gaps * nw.col("squared_gaps") - span * span
    sd = (spread / nw.when(days > 2).then((days - 1) * (days - 2))).sqrt()
    tenure = asked.day - first
    later = (nw.col("sum_of_days") - days * first) / gaps
    return {
        "purchase_days": _count("days with a purchase", days),
        "gap_mean": _numeric("mean number of days from a purchase day to the next", mean),
        "gap_sd": _numeric("standard deviation of the days from a purchase day to the next", sd),
        "regularity": _numeric("1 / (1 + gap_sd / gap_mean)", 1 / (1 + sd / mean)),
        "days_to_second": _numeric(
            "days from the first purchase day to the second",
            (nw.col("second") - first).cast(nw.Float64),
        ),
        "trend": _numeric(
            "where the later purchase days lie between the first purchase and as_of, on average: "
            "-1 at its start, 0 in the middle, 1 at its end",
            (2 * later - tenure - 1) / tenure,
        ),
    }


def _calendar(asked: _Asked) -> Features:
    orders = nw.col("orders")
    features = {
        "weekend_share": _share("orders placed on a Saturday or Sunday", nw.col("weekend") / orders)
    }
    for i, part in enumerate(_PARTS_OF_THE_DAY if asked.has_clock else ()):
        definition = f"orders placed from {6 * i:02d}:00 to before {6 * i + 6:02d}:00"
        features[f"{part}_share"] = _share(definition, nw.col(part) / orders)
    quarters = [nw.col(f"quarter_{i}") for i in (1, 2, 3, 4)]
    for i, quarter in enumerate(quarters, start=1):
        features[f"quarter_{i}_share"] = _share(
            f"orders placed in calendar quarter {i}", quarter / orders
        )
    definition = "orders placed in the customer's busiest calendar quarter"
    features["top_quarter_share"] = _share(definition, nw.max_horizontal(*quarters) / orders)
    return features


def _baskets(asked: _Asked) -> Features:
    orders = nw.col("orders")
    features = {}
    if "order_id" in asked.roles:
        features["basket_lines_mean"] = _numeric(
            "mean number of lines per order", nw.col("lines") / orders
        )
    if "quantity" in asked.roles:
        features["basket_pieces_mean"] = _numeric(
            "mean number of pieces per order", nw.col("pieces") / orders
        )
    if "amount" in asked.roles:
        features["basket_value_mean"] = _money(
            "mean amount per order, before returns", nw.col("value") / orders
        )
        features["basket_value_sd"] = _money(
            "standard deviation of the amount per order, before returns", nw.col("value_sd")
        )
    return features


def _categories(asked: _Asked) -> Features:
    if "category" not in asked.roles:
        return {}
    lines, categories = nw.col("categorised"), nw.col("categories")
    entropy = nw.when(categories == 1).then(0.0).otherwise(lines.log() - nw.col("n_log_n") / lines)
    return {
        "category_count": _count("different categories bought", categories.fill_null(0)),
        "category_entropy": _numeric(
            "Shannon entropy of the categories of the lines, in nats", entropy
        ),
        "category_top_share": _share(
            "lines in the customer's most bought category", nw.col("top_category") / lines
        ),
    }


def _discounts(asked: _Asked) -> Features:
    if "discount" not in asked.roles:
        return {}
    lines = _positive("priced")
    return {
        "discount_share": _share("lines bought at a discount", nw.col("discounted") / lines),
        "discount_mean": _share("mean discount of the lines", nw.col("off") / lines),
    }


def _returns(asked: _Asked) -> Features:
    if not asked.nets_returns:
        return {}
    rate = -nw.col("returned").fill_null(0.0) / _positive("value")
    return {"return_rate": _money("amount returned / amount bought", rate)}


def _ways(asked: _Asked) -> Features:
    if not asked.channels:
        return {}
    used = [nw.col(f"channel_{i}") for i in range(len(asked.channels))]
    total = nw.sum_horizontal(*used)
    known = nw.when(total > 0).then(total)
    several = nw.sum_horizontal(*(one_if(orders > 0) for orders in used))
    features = {"channel_count": _count("different channels used", several)}
    for channel, orders in zip(asked.channels, used, strict=True):
        features[f"channel_share_{channel}"] = _share(f"orders through {channel}", orders / known)
    index = 1 - nw.sum_horizontal(*(orders * orders for orders in used)) / (known * known)
    definition = "probability that two orders, drawn with replacement, differ in channel"
    return features | {"omnichannel_index": _share(definition, index)}


def _recent(asked: _Asked) -> Features:
    features = {}
    for window in asked.windows:
        words = f"in the last {window} days"
        features[f"orders_{window}d"] = _count(f"orders placed {words}", nw.col(f"orders_{window}"))
        if "amount" in asked.roles:
            features[f"amount_{window}d"] = _money(
                f"amount of orders placed, less returns, {words}",
                _net(asked, f"amount_{window}", f"returned_{window}"),
            )
    return features


_FAMILIES: tuple[Callable[[_Asked], Features], ...] = (
    *(_rfm, _rhythm, _calendar, _baskets, _categories, _discounts, _returns, _ways, _recent),
)


def _net(asked: _Asked, bought: str, returned: str) -> nw.Expr:
    value = nw.col(bought)
    return value + nw.col(returned).fill_null(0.0) if asked.nets_returns else value


def _positive(name: str) -> nw.Expr:
    """Return a column to divide by: null where it is not above 0."""
    return nw.when(nw.col(name) > 0).then(nw.col(name))


def _count(definition: str, value: nw.Expr) -> tuple[Column, nw.Expr]:
    return Column("behavioural", "count", definition, "transactions"), value


def _numeric(definition: str, value: nw.Expr) -> tuple[Column, nw.Expr]:
    return Column("behavioural", "numeric", definition, "transactions"), value


def _share(definition: str, value: nw.Expr) -> tuple[Column, nw.Expr]:
    return Column("behavioural", "share", definition, "transactions"), value


def _money(definition: str, value: nw.Expr) -> tuple[Column, nw.Expr]:
    return Column("value", "numeric", definition, "transactions"), value


_DTYPES = {"count": "int64", "numeric": "float64", "share": "float64"}

_NEEDED = {
    "order_id": "basket_lines_mean is",
    "amount": "monetary, basket_value_mean, basket_value_sd and the amounts in windows are",
    "quantity": "basket_pieces_mean is",
    "category": "category_count, category_entropy and category_top_share are",
    "discount": "discount_share and discount_mean are",
    "channel": "channel_count, the channel shares and omnichannel_index are",
}


def _notes(table: pd.DataFrame, asked: _Asked) -> list[str]:
    notes = [
        f"no {role}: {columns} left out."
        for role, columns in _NEEDED.items()
        if role not in asked.roles
    ]
    if "channel" in asked.roles and not asked.channels:
        notes.append(
            f"channel has no value, or more than {_MOST_CHANNELS}: {_NEEDED['channel']} left out. "
            "Group the channels first."
        )
    if "night_share" not in table:
        notes.append("the times carry no time of day: the shares by part of the day are left out.")
    if "return_rate" not in table:
        notes.append(
            'returns are not netted: return_rate is left out. tx.clean(returns="net") keeps '
            "returns apart from purchases."
        )
    return notes
