"""What the values of a column say for or against a role."""

import re
from collections.abc import Callable
from typing import NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd

Says = tuple[float, str]
"""A factor for the weight of the name, and the reason."""

_EPOCH_DIGITS = {10: "s", 13: "ms", 16: "us"}
_EVENTS = re.compile(
    r"view|click|visit|open|purchase|cart|search|session|e-?mail|call|ticket|page|log[io]n|checkout"
    r"|review|return|scroll|sign|order|chat|complain|install|download|play|add_|sent|submit"
)
_CONTROL = re.compile(r"^(control|ctrl|holdout|hold-out|placebo|baseline|none|no\b.*|a|0)$")


class Facts(NamedTuple):
    """A column's values and what kind they are; blank text counts as missing."""

    name: str
    values: pd.Series
    kind: str
    times: pd.Series | None
    readable: bool
    distinct: int

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return float(self.values.isna().mean())

    @property
    def known(self) -> pd.Series:
        """The values that are there."""
        return self.values.dropna()

    @property
    def unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.distinct == len(self.values)

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return self.kind == "number" and bool((self.known % 1 == 0).all())


def look(name: str, values: pd.Series, dtype: nw.dtypes.DType) -> Facts:
    """Return the facts of a column."""
    kind = "other"
    if dtype in (nw.String, nw.Categorical) or isinstance(dtype, nw.Enum):
        kind = "text"
        values = values.astype("str").where(values.notna())
        values = values.where(values.str.strip() != "")
    elif dtype == nw.Boolean:
        kind = "boolean"
    elif dtype.is_numeric():
        kind = "number"
        values = pd.to_numeric(values).astype("float64")
    elif isinstance(dtype, nw.Datetime | nw.Date):
        kind = "time"
    if kind == "other" or values.isna().all():
        return Facts(name, values, "other", None, readable=False, distinct=0)
    times, readable = _read_times(values, kind)
    return Facts(name, values, kind, times, readable, int(values.nunique()))


def _read_times(values: pd.Series, kind: str) -> tuple[pd.Series | None, bool]:
    """Return values as times, if nearly all are, and whether a raw table would read them."""
    known = values.dropna()
    if kind == "time":
        return known, True
    if kind == "boolean":
        return None, False
    text = known.map("{:.0f}".format) if kind == "number" else known.str.strip()
    if kind == "number" and not (known % 1 == 0).all():
        return None, False
    if text.str.fullmatch(r"\d+").all():
        return _digits_as_times(text), True
    if kind == "number":
        return None, False
    head = text.str.slice(0, 19)
    for style, readable in (("ISO8601", True), ("mixed", False)):
        looks = text if readable else text[text.str.contains(r"\d{1,4}[-/. ]\w{1,4}[-/. ]\d{2,4}")]
        if len(looks) < len(text):
            return None, False
        times = pd.to_datetime(head if readable else text, format=style, errors="coerce", utc=True)
        if times.notna().mean() >= 0.99:
            return times.dropna(), readable
    return None, False


def _digits_as_times(text: pd.Series) -> pd.Series | None:
    lengths = text.str.len().unique()
    if len(lengths) > 1:
        return None
    if lengths[0] == 8:
        times = pd.to_datetime(text, format="%Y%m%d", errors="coerce")
    elif lengths[0] in _EPOCH_DIGITS:
        times = pd.to_datetime(text.astype("int64"), unit=_EPOCH_DIGITS[lengths[0]])
    else:
        return None
    plausible = times.notna().all() and times.dt.year.between(1980, 2100).all()
    return times if plausible else None


def _identifier(facts: Facts) -> Says:
    if facts.kind not in ("text", "number") or (facts.kind == "number" and not facts.whole):
        return 0, "no identifier"
    if facts.distinct < 2:
        return 0.2, "always the same"
    share = 1 - facts.missing
    some = f", missing in {facts.missing:.0%}" if facts.missing else ""
    return (0.5 if share < 0.5 else 1), f"{facts.distinct:,} different values{some}"


def _customer(facts: Facts) -> Says:
    factor, reason = _identifier(facts)
    few = facts.distinct <= 5 and len(facts.known) >= 50
    return (0.2 * factor, f"only {reason}") if few else (factor, reason)


def _time(facts: Facts) -> Says:
    if facts.times is None:
        return 0, "no time"
    if facts.distinct < 2:
        return 0.4, "always the same time"
    first, last = facts.times.min(), facts.times.max()
    reason = f"times from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    if facts.missing:
        reason += f", missing in {facts.missing:.0%}"
    if not facts.readable:
        example = str(facts.known.iloc[0])
        return 0.9 * (1 - facts.missing), f"{reason}; parse it first, it looks like {example!r}"
    has_clock = bool((facts.times.dt.normalize() != facts.times).any())
    return (1 if has_clock else 0.97) * (1 - facts.missing), reason


def _line(facts: Facts) -> Says:
    factor, reason = _identifier(facts)
    return (factor, "different in every row") if facts.unique else (0, reason)


def _product(facts: Facts) -> Says:
    factor, reason = _identifier(facts)
    factor *= 1 - 0.8 * facts.missing
    return (0.5 * factor, "different in every row") if facts.unique else (factor, reason)


def _levels(least: int, most: int) -> Callable[[Facts], Says]:
    def says(facts: Facts) -> Says:
        if facts.kind not in ("text", "number") or (facts.kind == "number" and not facts.whole):
            return 0, "no levels"
        if not least <= facts.distinct <= min(most, max(len(facts.known) / 3, least)):
            return 0.1, f"{facts.distinct:,} different values"
        factor = 1 - 0.5 * facts.missing - (0.3 if facts.kind == "number" else 0)
        return factor, f"{facts.distinct:,} different values"

    return says


def _quantity(facts: Facts) -> Says:
    if facts.kind != "number" or facts.times is not None:
        return 0, "no number"
    whole = float((facts.known % 1 == 0).mean())
    middle = float(facts.known.abs().median())
    factor = 1.0 if whole > 0.95 else 0.6
    return (factor if middle <= 1_000 else 0.3), f"whole in {whole:.0%}, median {middle:g}"


def _money(facts: Facts) -> Says:
    if facts.kind != "number" or facts.times is not None:
        return 0, "no number"
    if facts.distinct < 2:
        return 0.2, "always the same"
    negative = float((facts.known < 0).mean())
    factor = (1.0 if negative < 0.5 else 0.3) * (1 - facts.missing)
    factor *= 0.6 if facts.whole and facts.unique and len(facts.values) > 20 else 1
    return factor, f"median {facts.known.median():g}"


def _discount(facts: Facts) -> Says:
    if facts.kind != "number":
        return 0, "no number"
    if not facts.known.between(0, 1).all():
        return 0, "not a share from 0 to 1"
    return (1 if facts.known.max() > 0 else 0.3), "a share from 0 to 1"


def _touchpoint(facts: Facts) -> Says:
    factor, reason = _levels(2, 500)(facts)
    if facts.kind != "text":
        return 0.3 * factor, reason
    names = facts.known.str.lower().unique()
    known = np.mean([bool(_EVENTS.search(name)) for name in names]) >= 0.3
    shown = ", ".join(repr(name) for name in sorted(names)[:3])
    return factor * (1.05 if known else 0.85), f"{reason}, such as {shown}"


def _rating(low: int, high: int) -> Callable[[Facts], Says]:
    def says(facts: Facts) -> Says:
        if not facts.whole or not facts.known.between(low, high).all():
            return 0, f"not whole numbers from {low} to {high}"
        factor = 1.0 if facts.distinct >= 3 else 0.5
        if low == 0 and facts.known.max() <= 7:
            factor = 0.5
        return factor, f"whole numbers from {facts.known.min():g} to {facts.known.max():g}"

    return says


def _comment(facts: Facts) -> Says:
    if facts.kind != "text":
        return 0, "no text"
    words = float(facts.known.str.split().str.len().mean())
    factor = 0.2 if words < 2 else 1 if facts.distinct >= 0.2 * len(facts.known) else 0.7
    return factor, f"{words:.1f} words on average"


def _arm(facts: Facts) -> Says:
    if facts.kind == "boolean":
        return 0.8, "yes or no"
    factor, reason = _levels(2, 6)(facts)
    if not factor or facts.missing > 0.05:
        return 0.2 * factor, reason
    if facts.values.value_counts(normalize=True).min() < 0.01:
        return 0.3 * factor, "a group of less than 1%"
    text = facts.known.map("{:.0f}".format) if facts.kind == "number" else facts.known
    names = sorted(text.str.strip().str.lower().unique())
    has_control = any(_CONTROL.match(name) for name in names)
    shown = ", ".join(repr(name) for name in names[:4])
    return (1 if has_control else 0.8), f"groups {shown}"


VALUES: dict[str, Callable[[Facts], Says]] = {
    "customer_id": _customer,
    "timestamp": _time,
    "order_id": _identifier,
    "line_id": _line,
    "product": _product,
    "category": _levels(2, 1_000),
    "channel": _levels(2, 50),
    "quantity": _quantity,
    "unit_price": _money,
    "amount": _money,
    "discount": _discount,
    "touchpoint": _touchpoint,
    "stage": _levels(2, 20),
    "nps": _rating(0, 10),
    "csat": _rating(1, 10),
    "ces": _rating(1, 10),
    "comment": _comment,
    "arm": _arm,
}
"""How well the values of a column fit each role."""
