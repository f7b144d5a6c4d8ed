"""What are my columns: propose the kind of a raw table and its roles, and say how sure that is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from custseg._engine import collect, to_lazy
from custseg.errors import DataError
from custseg.features._role_names import name_weight, words_of
from custseg.features._role_values import VALUES, Facts, look
from custseg.results import Result

KINDS = {
    "transactions": (
        *("customer_id", "timestamp", "order_id", "line_id", "product", "category", "channel"),
        *("quantity", "unit_price", "amount", "discount"),
    ),
    "touchpoints": ("customer_id", "timestamp", "touchpoint", "channel", "stage"),
    "survey": ("customer_id", "timestamp", "nps", "csat", "ces", "comment"),
    "experiment": ("arm", "customer_id", "timestamp"),
    "customers": ("customer_id",),
}
"""The kinds of raw tables, and the roles that can be guessed for each."""

SURE = 0.5
"""The confidence from which a guess counts."""

_SAMPLE = 20_000
_ITEM = re.compile(r"^(q|item|frage|question|statement|s)\W?\d+|\d+$", re.IGNORECASE)
_STATUS = {"status", "state", "stage", "iswon", "cancelled", "canceled"}


class Guess(NamedTuple):
    """A column for a role, from 0 to 1 how sure that is, and why."""

    column: str
    confidence: float
    reason: str

    def times(self, factor: float, reason: str = "") -> "Guess":
        """Return the guess with another confidence and one more reason."""
        why = f"{self.reason}; {reason}" if reason else self.reason
        return Guess(self.column, min(self.confidence * factor, 0.99), why)


_Guesses = dict[str, list[Guess]]


@dataclass(frozen=True, repr=False, eq=False)
class RoleGuess(Result):
    """The kind of a raw table and the roles of its columns, as proposed.

    Parameters
    ----------
    kind
        ``"transactions"``, ``"touchpoints"``, ``"survey"``, ``"experiment"``, ``"customers"``, or
        ``None`` where no kind is likely enough.
    kinds
        The confidence in each kind (Series).
    guesses
        One row per role, as `to_frame` returns it.
    notes
        What to check before using the roles.
    """

    kind: str | None
    kinds: pd.Series
    guesses: pd.DataFrame
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "journeys.role_guess"

    @property
    def roles(self) -> dict[str, Any]:
        """Role -> column, for the guesses with a confidence of at least .5.

        They are the arguments of the raw table of this kind, as in
        ``cs.Transactions(data, **guess.roles)``; empty where there is no kind.
        """
        sure = self.guesses[self.guesses["confidence"] >= SURE]
        items = sure.loc[sure["role"] == "items", "column"].tolist()
        single = sure[sure["role"] != "items"]
        roles: dict[str, Any] = dict(zip(single["role"], single["column"], strict=True))
        return roles | ({"items": items} if items else {})

    def to_frame(self) -> pd.DataFrame:
        """Return one row per guess: `role`, `column`, `confidence`, `reason`."""
        return self.guesses.copy()

    def summary(self) -> str:
        """Return the kind and the roles that are sure enough."""
        if self.kind is None:
            return "These columns look like no raw table that custseg knows."
        roles = ", ".join(f"{role}={column!r}" for role, column in self.roles.items())
        return f"It looks like {self.kind} ({self.kinds[self.kind]:.0%}): {roles}."

    def _shown(self) -> pd.DataFrame:
        return self.guesses.set_index("role")


def guess_roles(frame: Any) -> RoleGuess:
    """Propose which raw table a frame is and which column has which role.

    Names and values both count: a column called ``quantity`` holds whole numbers, an amount is
    quantity times unit price, an order belongs to one customer, a likelihood to recommend runs
    from 0 to 10. Nothing is read but the first 20,000 rows.

    Parameters
    ----------
    frame
        A pandas, Polars or PyArrow table, a DuckDB relation, a PySpark frame, an Ibis table, or the
        path of a CSV or Parquet file.

    Returns
    -------
    RoleGuess
        ``to_frame()`` has `role`, `column`, `confidence` (0 to 1) and `reason`; ``kind`` the kind
        of table, ``roles`` the guesses that are at least .5 sure, as arguments of that table.

    Raises
    ------
    DataError
        If the frame is no table or has no rows.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> export = pd.DataFrame({
    ...     "Cust. no.": [17, 17, 21, 17],
    ...     "Order date": ["2024-01-05", "2024-01-05", "2024-01-09", "2024-02-01"],
    ...     "Qty": [1, 2, 1, 3],
    ...     "Price": [9.5, 4.0, 20.0, 5.0],
    ...     "Total": [9.5, 8.0, 20.0, 15.0],
    ... })
    >>> guess = guess_roles(export)
    >>> guess.roles
    {'customer_id': 'Cust. no.', 'timestamp': 'Order date', 'quantity': 'Qty', \
'unit_price': 'Price', 'amount': 'Total'}
    >>> cs.Transactions(export, **guess.roles).audit().rows_used
    4
    """
    table = _read(frame)
    found = {kind: _guess(kind, table) for kind in KINDS}
    kinds = _kinds(found)
    kind = str(kinds.idxmax()) if kinds.max() >= SURE else None
    guesses = found[kind] if kind else {}
    rows = [(role, *guess) for role, own in guesses.items() for guess in own]
    shown = pd.DataFrame(rows, columns=["role", *Guess._fields])
    notes = _notes(kind, shown, table) if kind else _near(found)
    return RoleGuess(kind, kinds, shown, notes)


def _read(frame: Any) -> dict[str, Facts]:
    lazy = to_lazy(frame)
    schema = lazy.collect_schema()
    rows = collect(lazy.head(_SAMPLE))
    if rows.empty:
        raise DataError("the table has no rows: roles cannot be guessed from names alone.")
    return {name: look(name, rows[name], schema[name]) for name in schema.names()}


def _guess(kind: str, table: dict[str, Facts]) -> _Guesses:
    """Return the best column for every role of a kind, each column once."""
    scores = {role: _candidates(role, table) for role in KINDS[kind]}
    scores["customer_id"] = _customers(kind, scores["customer_id"], table)
    first = _assign({r: scores[r] for r in ("customer_id", "timestamp") if r in scores}, set())
    taken = {own[0].column for own in first.values()}
    if kind == "transactions":
        return first | _orders(scores, first, taken, table)
    rest = {role: own for role, own in scores.items() if role not in ("customer_id", "timestamp")}
    found = first | _assign(rest, taken)
    if kind == "survey":
        items = _items(table, {own[0].column for own in found.values()})
        found |= {"items": items} if items else {}
    order = [*KINDS[kind], "items"]
    return {role: found[role] for role in order if role in found}


def _candidates(role: str, table: dict[str, Facts]) -> list[Guess]:
    """Return the columns that may have a role, the likeliest first."""
    found = []
    only_times = sum(facts.kind == "time" for facts in table.values()) == 1
    for name, facts in table.items():
        if facts.kind == "other":
            continue
        weight, like = name_weight(name, role)
        if role == "timestamp" and facts.kind == "time" and not weight:
            weight, like = (0.7 if only_times else 0.5), "nothing, but a column of times"
        factor, reason = VALUES[role](facts) if weight else (0.0, "")
        if weight * factor >= 0.1:
            why = f"named like {like}; {reason}"
            found.append(Guess(name, min(weight * factor, 0.99), why))
    return sorted(found, key=lambda guess: (-guess.confidence, list(table).index(guess.column)))


def _assign(scores: _Guesses, taken: set[str]) -> _Guesses:
    """Give each role its best column, the surest first; near ties cost confidence."""
    pairs = [(guess, role) for role, own in scores.items() for guess in own]
    found: _Guesses = {}
    taken = set(taken)
    for guess, role in sorted(pairs, key=lambda pair: -pair[0].confidence):
        if role in found or guess.column in taken:
            continue
        rivals = [
            other.column
            for other in scores[role]
            if other.column not in {*taken, guess.column}
            and other.confidence >= 0.95 * guess.confidence
        ]
        tied = guess.times(0.9, f"{rivals[0]!r} would do as well") if rivals else guess
        found[role] = [tied]
        taken.add(guess.column)
    return {role: found[role] for role in scores if role in found}


def _customers(kind: str, guesses: list[Guess], table: dict[str, Facts]) -> list[Guess]:
    """Weigh customer columns by whether a customer comes once or again, as the kind demands."""
    again = kind in ("transactions", "touchpoints")
    repeated = [g for g in guesses if table[g.column].distinct < len(table[g.column].known)]
    best = max((guess.confidence for guess in repeated), default=0.0)
    weighed = []
    for guess in guesses:
        if again and guess not in repeated and len(table[guess.column].values) > 3:
            guess = guess.times(0.45, "each comes once only")
        elif not again and guess in repeated:
            guess = guess.times(0.75 if kind == "survey" else 0.2, "some come again")
        elif not again and guess.confidence < best:
            guess = guess.times(0.5, "another column is named like a customer and comes again")
        elif not again and words_of(guess.column) == ["id"]:
            guess = guess.times(1.75, "each comes once")
        weighed.append(guess)
    return sorted(weighed, key=lambda guess: -guess.confidence)


def _orders(
    scores: _Guesses, first: _Guesses, taken: set[str], table: dict[str, Facts]
) -> _Guesses:
    """Return the roles of order lines that hang together: orders, lines, products and money."""
    scores = {role: own for role, own in scores.items() if role not in first}
    if "customer_id" in first:
        who = table[first["customer_id"][0].column]
        scores["order_id"] = [
            _order(guess, table[guess.column], who) for guess in scores["order_id"]
        ]
        scores["order_id"].sort(key=lambda guess: -guess.confidence)
    scores["amount"], scores["unit_price"] = _prices(scores)
    found = _assign(scores, taken)
    order = table[found["order_id"][0].column] if "order_id" in found else None
    if order is not None and order.unique:
        found.pop("line_id", None)
    return _money(found, order, table)


def _order(guess: Guess, facts: Facts, who: Facts) -> Guess:
    """Weigh an order column by whether its orders belong to one customer each."""
    pairs = pd.DataFrame({"order": facts.values, "who": who.values}).dropna()
    owners = pairs.groupby("order")["who"].nunique()
    if not len(owners):
        return guess.times(0.2, "never together with a customer")
    single = float((owners == 1).mean())
    if single < 0.98:
        return guess.times(0.2, f"only {single:.0%} belong to one customer")
    if len(owners) <= pairs["who"].nunique() and len(pairs) > len(owners):
        return guess.times(0.5, "as many as customers")
    return guess.times(1.05, "each belongs to one customer")


def _prices(scores: _Guesses) -> tuple[list[Guess], list[Guess]]:
    """Return amounts and unit prices: a plain price is the amount where nothing is counted."""
    if any(guess.confidence >= SURE for guess in scores["quantity"]):
        priced = {guess.column for guess in scores["unit_price"] if guess.confidence >= SURE}
        return [guess for guess in scores["amount"] if guess.column not in priced], scores[
            "unit_price"
        ]
    single = "no quantity goes with it"
    return scores["amount"], [guess.times(0.6, single) for guess in scores["unit_price"]]


def _money(found: _Guesses, order: Facts | None, table: dict[str, Facts]) -> _Guesses:
    """Hold the money against what it should be: quantity times price, or a part of its order."""
    values = {role: table[own[0].column].values for role, own in found.items()}
    if "amount" not in found:
        return _whole_price(found, values)
    if {"quantity", "unit_price"} <= set(found):
        return _product_of(found, values)
    if order is not None and not order.unique:
        several = values["amount"].groupby(order.values).agg(["size", "nunique"])
        several = several[several["size"] > 1]
        if len(several) >= 5 and (several["nunique"] <= 1).mean() >= 0.95:
            text = "the same in all lines of an order: its total would count once per line"
            found["amount"] = [found["amount"][0].times(0.4, text)]
    return found


def _product_of(found: _Guesses, values: dict[str, pd.Series]) -> _Guesses:
    """Weigh the amount by whether it is quantity times unit price, less the discount."""
    guess, amount = found["amount"][0], values["amount"]
    full = values["quantity"] * values["unit_price"]
    expected = full * (1 - values["discount"].fillna(0)) if "discount" in found else full
    known = amount.notna() & full.notna()
    gap = (amount - expected).abs()[known] - 0.005 * full.abs()[known]
    equal = float((gap <= 0.011).mean()) if known.any() else 0.0
    below = (amount / full.where(full != 0))[known].between(0.4, 1.001).mean()
    if equal >= 0.9:
        for role in ("quantity", "unit_price", "amount"):
            own = found[role][0]
            found[role] = [own._replace(confidence=max(own.confidence, 0.9))]
        found["amount"] = [found["amount"][0].times(1, f"quantity x unit price in {equal:.0%}")]
    elif below >= 0.97:
        found["amount"] = [guess.times(0.9, "a little below quantity x unit price")]
    else:
        text = f"quantity x unit price in {equal:.0%} only; perhaps a total of the order"
        found["amount"] = [guess.times(0.3, text)]
    return found


def _whole_price(found: _Guesses, values: dict[str, pd.Series]) -> _Guesses:
    """Take a price that grows with the quantity of the same product for the amount of the line."""
    if not {"quantity", "unit_price", "product"} <= set(found):
        return found
    price, quantity = values["unit_price"], values["quantity"]
    both = pd.DataFrame({"line": price, "piece": price / quantity.where(quantity != 0)})
    groups = both.groupby(values["product"])
    spread = (groups.std() / groups.mean().abs())[groups["piece"].count() >= 3].median()
    if spread["line"] > 0.05 and spread["piece"] < 0.25 * spread["line"]:
        text = "grows with the quantity of the same product"
        found["amount"] = [found.pop("unit_price")[0].times(0.9, text)]
    return found


def _items(table: dict[str, Facts], taken: set[str]) -> list[Guess]:
    """Return the rating items: whole numbers on one scale, several of them."""
    scales: dict[tuple[float, float], list[str]] = {}
    for name, facts in table.items():
        if name in taken or not facts.whole or facts.distinct < 3:
            continue
        low, high = facts.known.min(), facts.known.max()
        if low in (0, 1) and 4 <= high <= 10:
            scales.setdefault((1.0, max(high, 5)), []).append(name)
    found = []
    for (_, high), names in scales.items():
        numbered = [name for name in names if _ITEM.search(name)]
        sure = 0.9 if len(numbered) >= max(3, len(names) / 2) else 0.6
        if len(names) >= 3:
            why = f"{len(names)} columns with whole numbers up to {high:g}"
            found += [Guess(name, sure, why) for name in names]
    return found


def _kinds(found: dict[str, _Guesses]) -> pd.Series:
    """Return the confidence in each kind: as sure as the least sure of what it must have."""

    def sure(kind: str, *roles: str) -> float:
        own = found[kind]
        return min(max((g.confidence for g in own.get(role, [])), default=0.0) for role in roles)

    money = max(sure("transactions", "amount"), sure("transactions", "quantity", "unit_price"))
    bought = min(sure("transactions", "customer_id", "timestamp"), money)
    touched = sure("touchpoints", "customer_id", "timestamp", "touchpoint")
    passed = 0.8 * sure("touchpoints", "customer_id", "timestamp", "channel")
    touched = max(touched, passed if money < SURE else 0.0)
    if bought >= SURE and sure("touchpoints", "touchpoint") >= 0.8:
        bought *= 0.5  # what happened has a column of its own, purchases are one kind of it
    elif bought >= SURE:
        touched *= 0.5
    asked = max(sure("survey", role) for role in ("nps", "csat", "ces", "items"))
    asked = max(asked, 0.6 * sure("survey", "comment"))
    if sure("survey", "customer_id") < SURE:
        asked *= 0.7
    tried = sure("experiment", "arm")
    repeated = "customer_id" in found["experiment"] and sure("experiment", "customer_id") < 0.2
    if repeated or bought >= SURE or touched >= SURE:
        tried *= 0.3
    if touched >= SURE or bought >= SURE:
        asked *= 0.5
    known = 0.9 * sure("customers", "customer_id")
    if max(bought, touched, asked, tried) >= SURE:
        known *= 0.5
    scores = [bought, touched, asked, tried, known]
    return pd.Series(np.round(scores, 4), index=list(KINDS), name="confidence")


def _near(found: dict[str, _Guesses]) -> tuple[str, ...]:
    """Say which kind came closest and which role no column was found for."""
    sure = {
        kind: [role for role, own in guesses.items() if own[0].confidence >= SURE]
        for kind, guesses in found.items()
    }
    closest = max(sure, key=lambda kind: len(sure[kind]))
    lacking = [role for role in KINDS[closest][:2] if role not in sure[closest]]
    if not sure[closest] or not lacking:
        return ("no kind of table is likely enough: name the roles yourself.",)
    own = ", ".join(f"{role}={found[closest][role][0].column!r}" for role in sure[closest])
    return (f"closest to {closest} ({own}), but no column stands out as {lacking[0]}: name it.",)


def _notes(kind: str, guesses: pd.DataFrame, table: dict[str, Facts]) -> tuple[str, ...]:
    """Return what to check before the roles are used."""
    notes = ["a guess: look at each row before you use it."]
    unsure = guesses[guesses["confidence"] < SURE]
    if len(unsure):
        notes.append(f"not in .roles, below {SURE}: {', '.join(unsure['role'].unique())}.")
    parse = guesses[
        guesses["reason"].str.contains("parse it first") & (guesses["confidence"] >= SURE)
    ]
    notes += [f"{name!r} must become a time first: pandas.to_datetime." for name in parse["column"]]
    status = [name for name in table if _STATUS & set(words_of(name)) and kind == "transactions"]
    if status:
        notes.append(f"{status[0]!r} says which rows are real orders: filter by it first.")
    return tuple(notes)
