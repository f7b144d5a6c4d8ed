"""What the customers do: order lines with returns, and the touchpoints around them."""

import numpy as np
import pandas as pd

from custseg.datasets._people import draw_category_demand, text
from custseg.datasets._planted import (
    CATEGORIES,
    CHANNELS,
    FIRST_DAY,
    N_DAYS,
    PRODUCTS,
    STAGES,
    TIERS,
    TOUCHPOINTS,
)

DAY = 86_400
END = N_DAYS * DAY  # seconds since the first day, exclusive
STORE, WEB, APP, EMAIL, PHONE = range(len(CHANNELS))

DEMAND_BY_MONTH = (0.85, 0.86, 0.94, 0.98, 1.0, 0.96, 0.92, 0.9, 1.0, 1.06, 1.2, 1.33)
DEMAND_BY_WEEKDAY = (0.92, 0.9, 0.95, 1.0, 1.15, 1.3, 0.78)  # from Monday
DISCOUNTS = np.array([0.1, 0.15, 0.2, 0.3, 0.5])
DISCOUNT_ODDS = np.array([0.32, 0.2, 0.25, 0.16, 0.07])


def _demand() -> np.ndarray:
    """Return the cumulative demand at the start of each day, and at the end of the last."""
    days = pd.DatetimeIndex(FIRST_DAY + np.arange(N_DAYS))
    daily = (
        np.array(DEMAND_BY_MONTH)[days.month - 1] * np.array(DEMAND_BY_WEEKDAY)[days.day_of_week]
    )
    return np.append(0.0, np.cumsum(daily / daily.mean()))


def _distinct(keys: np.ndarray) -> np.ndarray:
    """Sort and drop repeats; many times faster than the hashing of numpy.unique."""
    keys = np.sort(keys)
    return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys


def _time_of_day(channel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw seconds since midnight: opening hours in a store, late evenings elsewhere."""
    peak = np.where(channel == STORE, 15.5, 20.5)
    close = np.where(channel == STORE, 20.0, 23.9)
    return (rng.triangular(np.where(channel == STORE, 9.5, 6.0), peak, close) * 3600).astype(int)


def _channel(traits: pd.DataFrame, who: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    store = rng.random(len(who)) < traits["store_share"].to_numpy()[who]
    app = rng.random(len(who)) < traits["app_share"].to_numpy()[who]
    return np.where(store, STORE, np.where(app, APP, WEB))


def draw_orders(traits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw orders: a Poisson process until drop-out, and a first order on the day of sign-up.

    Returns
    -------
    pandas.DataFrame
        In order of time: ``who`` (position of the customer), ``time`` (seconds since the first
        day), ``channel`` (code).
    """
    demand = _demand()
    start = traits["start"].to_numpy()
    is_new = traits["sign_up"].to_numpy() >= 0
    begin = demand[start + is_new]
    end = demand[np.minimum(traits["stop"].to_numpy(), N_DAYS - 1) + 1]
    length = np.maximum(end - begin, 0)
    count = rng.poisson(traits["orders_per_year"].to_numpy() / 365 * length)
    again = np.repeat(np.arange(len(traits)), count)
    moment = begin[again] + rng.random(len(again)) * length[again]
    day = np.clip(np.searchsorted(demand, moment, side="right") - 1, 0, N_DAYS - 1)
    first = np.flatnonzero(is_new)

    who = np.concatenate([first, again])
    channel = _channel(traits, who, rng)
    time = np.concatenate([start[first], day]) * DAY + _time_of_day(channel, rng)
    order = np.lexsort((who, time))
    return (
        pd.DataFrame({"who": who, "time": time, "channel": channel})
        .iloc[order]
        .reset_index(drop=True)
    )


def _draw_products(traits: pd.DataFrame, who: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the product (position in PRODUCTS) of each line."""
    edges = np.cumsum(draw_category_demand(traits["segment"].to_numpy(), rng), axis=1)
    point = rng.random(len(who))
    category = np.zeros(len(who), dtype=int)
    for edge in edges.T[:-1]:
        category += point > edge[who]
    goods = len(PRODUCTS) // (len(CATEGORIES) * len(TIERS))
    good = rng.choice(goods, len(who), p=[0.3, 0.25, 0.2, 0.15, 0.1])
    premium = rng.random(len(who)) < traits["premium_share"].to_numpy()[who]
    frugal = traits["price_consciousness"].to_numpy()[who] > 0
    basic = rng.random(len(who)) < np.where(frugal, 0.5, 0.3)
    return (category * goods + good) * len(TIERS) + np.where(premium, 2, np.where(basic, 0, 1))


def _draw_lines(
    traits: pd.DataFrame, orders: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the lines of each order; a product stands once in an order."""
    who = orders["who"].to_numpy()
    n_lines = 1 + rng.poisson(traits["lines_per_order"].to_numpy()[who] - 1)
    order = np.repeat(np.arange(len(orders)), n_lines)
    product = _draw_products(traits, who[order], rng)
    once = _distinct(order * len(PRODUCTS) + product)
    order, product = once // len(PRODUCTS), once % len(PRODUCTS)

    n, who, time = len(order), who[order], orders["time"].to_numpy()[order]
    quarters = -(-N_DAYS // 91)
    trend = 1 + 0.01 * np.arange(quarters)
    level = trend * rng.uniform(0.94, 1.06, (len(PRODUCTS), quarters))
    prices = np.round(PRODUCTS["list_price"].to_numpy()[:, None] * level, 1) - 0.01
    discounted = rng.random(n) < traits["discount_share"].to_numpy()[who]
    return pd.DataFrame(
        {
            "who": who,
            "time": time,
            "order": order,
            "product": product,
            "channel": orders["channel"].to_numpy()[order],
            "quantity": 1 + rng.poisson(0.35, n),
            "unit_price": np.round(prices[product, time // DAY // 91], 2),
            "discount": np.where(discounted, rng.choice(DISCOUNTS, n, p=DISCOUNT_ODDS), 0.0),
        }
    )


def _draw_returns(
    traits: pd.DataFrame, lines: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the lines that come back within 30 days, as lines of their own."""
    tried_on = np.isin(lines["product"].to_numpy() // (len(PRODUCTS) // len(CATEGORIES)), (2, 3))
    chance = traits["return_rate"].to_numpy()[lines["who"]] * np.where(tried_on, 1.6, 0.8)
    back = lines[rng.random(len(lines)) < np.minimum(chance, 0.6)].copy()
    bought_in_store = back["channel"].to_numpy() == STORE
    to_store = bought_in_store | (rng.random(len(back)) < 0.3)
    back["channel"] = np.where(to_store, STORE, WEB)
    day = back["time"].to_numpy() // DAY + rng.integers(1, 31, len(back))
    back["time"] = day * DAY + _time_of_day(back["channel"].to_numpy(), rng)
    part = rng.random(len(back)) < 0.3
    some = rng.integers(1, back["quantity"].to_numpy() + 1)
    back["quantity"] = -np.where(part, some, back["quantity"])
    return back[back["time"] < END]


def timestamps(seconds: np.ndarray) -> np.ndarray:
    """Turn seconds since the first day into timestamps."""
    return (FIRST_DAY.astype("datetime64[s]") + seconds).astype("datetime64[us]")


def make_transactions(
    ids: pd.Index, traits: pd.DataFrame, orders: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the order lines, returns among them, in order of time."""
    bought = _draw_lines(traits, orders, rng)
    lines = pd.concat([bought, _draw_returns(traits, bought, rng)])
    lines = lines.iloc[np.lexsort((lines["product"], lines["order"], lines["time"]))]
    order_ids = pd.Index([f"O{number:08d}" for number in range(1, len(orders) + 1)])
    product = lines["product"].to_numpy()
    paid = lines["quantity"] * lines["unit_price"] * (1 - lines["discount"])
    return pd.DataFrame(
        {
            "customer_id": ids.take(lines["who"].to_numpy()),
            "timestamp": timestamps(lines["time"].to_numpy()),
            "order_id": order_ids.take(lines["order"].to_numpy()),
            "line_id": np.arange(1, len(lines) + 1),
            "product": pd.Index(PRODUCTS["product"]).take(product),
            "category": pd.Index(PRODUCTS["category"]).take(product),
            "channel": text(CHANNELS, lines["channel"].to_numpy()),
            "quantity": lines["quantity"].to_numpy(),
            "unit_price": lines["unit_price"].to_numpy(),
            "discount": lines["discount"].to_numpy(),
            "amount": np.round(paid.to_numpy(), 2),
        }
    )


def _browse(
    traits: pd.DataFrame, rate: np.ndarray, last: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw events at a constant yearly rate: position of the customer, day."""
    start = traits["start"].to_numpy()
    days = np.maximum(last - start + 1, 0)
    who = np.repeat(np.arange(len(traits)), rng.poisson(rate * days / 365))
    return who, start[who] + (rng.random(len(who)) * days[who]).astype(int)


def make_touchpoints(
    ids: pd.Index,
    traits: pd.DataFrame,
    orders: pd.DataFrame,
    transactions: pd.DataFrame,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the touchpoints, in order of time.

    Every order has a purchase and, up to 90 minutes before it, a visit in the same channel. Every
    return line has a return. Tickets and reviews follow orders. E-mails go on, less read, after
    drop-out.
    """
    who, time, channel = (orders[name].to_numpy() for name in ("who", "time", "channel"))
    shape = END, len(ids), len(TOUCHPOINTS), len(CHANNELS)
    parts = []

    def add(touchpoint: str, who: np.ndarray, time: np.ndarray, channel: np.ndarray) -> None:
        known = time < END
        code = np.full(known.sum(), TOUCHPOINTS.index(touchpoint))
        event = time[known], who[known], code, channel[known]
        parts.append(np.ravel_multi_index(event, shape))

    def after_order(chance: str, days: int, channel: np.ndarray) -> tuple[np.ndarray, ...]:
        hit = rng.random(len(who)) < np.minimum(traits[chance].to_numpy()[who], 0.9)
        channel = channel[hit]
        day = time[hit] // DAY + rng.integers(1, days + 1, hit.sum())
        return who[hit], day * DAY + _time_of_day(channel, rng), channel

    add("purchase", who, time, channel)
    add("visit", who, time - rng.integers(120, 5400, len(who)), channel)

    last = np.minimum(traits["stop"].to_numpy(), N_DAYS - 1)
    visitor, day = _browse(traits, traits["browses_per_year"].to_numpy(), last, rng)
    where = _channel(traits, visitor, rng)
    add("visit", visitor, day * DAY + _time_of_day(where, rng), where)

    emails = traits["emails_per_year"].to_numpy()
    gone = traits.assign(start=np.minimum(last + 1, N_DAYS))
    everlast = np.full(len(traits), N_DAYS - 1)
    for people, rate, until in ((traits, emails, last), (gone, 0.2 * emails, everlast)):
        reader, day = _browse(people, rate, until, rng)
        by_mail = np.full(len(reader), EMAIL)
        add("email_opened", reader, day * DAY + _time_of_day(by_mail, rng), by_mail)

    helpline = rng.choice([PHONE, WEB, EMAIL], len(who), p=[0.45, 0.3, 0.25])
    add("support_ticket", *after_order("tickets_per_order", 12, helpline))
    add("review", *after_order("reviews_per_order", 25, np.where(channel == APP, APP, WEB)))

    back = transactions[transactions["quantity"] < 0]
    since = back["timestamp"].to_numpy().astype("datetime64[s]") - FIRST_DAY
    into = np.where(back["channel"].to_numpy() == "store", STORE, WEB)
    add("return", ids.get_indexer(back["customer_id"]), since.astype(int), into)

    moment, person, code, place = np.unravel_index(_distinct(np.concatenate(parts)), shape)
    return pd.DataFrame(
        {
            "customer_id": ids.take(person),
            "timestamp": timestamps(moment),
            "channel": text(CHANNELS, place),
            "touchpoint": text(TOUCHPOINTS, code),
            "stage": text(STAGES, code),
        }
    )
