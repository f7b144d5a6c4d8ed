"""Contacts up to a date, in order of time, with what they were and whose they were."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._engine import beside, collect, from_day, one_if
from custseg._labels import name_labels
from custseg.audit import DAY
from custseg.errors import DataError, ParameterError, nearest
from custseg.stats import wilson
from custseg.tables import last_day, require_roles

MISSING = "(missing)"
OTHER = "(other)"
STAGES = ("awareness", "consideration", "purchase", "service", "loyalty")
"""The customary order of stages."""

MOMENT = "_moment"
"""The column of a contact's time: microseconds from the end of `as_of`, never above 0."""

DAY_LENGTH = 86_400_000_000

StageOrder = Sequence[str] | Mapping[str, Sequence[str]] | None


def text(role: str) -> str:
    """Return the name of the column that holds a role's values as text."""
    return f"_{role}_text"


def contacts_until(
    touchpoints: Any, as_of: Any, *, roles: Sequence[str] = ()
) -> tuple[nw.LazyFrame, int]:
    """Return the contacts up to the end of `as_of` with their `MOMENT`, and that day.

    Each of `roles` becomes text in the column that `text` names; what is missing or blank is called
    ``"(missing)"``.
    """
    day = last_day(touchpoints, as_of)
    rows = touchpoints.frame.filter(nw.col(DAY) <= day)
    time, midnight = nw.col("timestamp").dt, (nw.col(DAY) - (day + 1)) * DAY_LENGTH
    moment = midnight
    if rows.collect_schema()["timestamp"] != nw.Date:
        seconds = time.hour() * 3_600 + time.minute() * 60 + time.second()
        moment = midnight + seconds.cast(nw.Int64) * 1_000_000 + time.microsecond().cast(nw.Int64)
    rows = rows.with_columns(moment.alias(MOMENT))
    for role in roles:
        value = nw.col(role).cast(nw.String)
        known = value.str.strip_chars() != ""
        rows = rows.with_columns(
            nw.when(known).then(value).otherwise(nw.lit(MISSING)).alias(text(role))
        )
    return rows, day


def count_values(rows: nw.LazyFrame, roles: Sequence[str], day: int) -> dict[str, pd.Series]:
    """Return, for each role, the number of contacts by value, the most frequent first.

    Raises
    ------
    DataError
        If there is no contact.
    """
    if not roles:
        found = collect(rows.select(nw.len().alias("rows")))
    else:
        keys = [text(role) for role in roles]
        found = collect(rows.select(*keys).group_by(*keys).agg(nw.len().alias("rows")))
    if not found["rows"].sum():
        raise DataError(f"nobody was in contact by {from_day(day)}. Choose a later as_of.")
    counts = {}
    for role in roles:
        by_value = found.astype({"rows": "int64"}).groupby(text(role))["rows"].sum()
        counts[role] = by_value.sort_index().sort_values(ascending=False, kind="stable")
    return counts


def bundle(
    rows: nw.LazyFrame, role: str, counts: pd.Series, most: int
) -> tuple[nw.LazyFrame, list[str]]:
    """Put all but the `most` frequent values of a role under ``"(other)"``.

    Returns
    -------
    narwhals.LazyFrame, list of str
        The rows, and the values that are left, in alphabetical order.
    """
    named = [value for value in counts.index if value != MISSING]
    levels = sorted(named[:most]) + [value for value in (MISSING,) if value in counts.index]
    if len(named) <= most:
        return rows, levels
    value = nw.col(text(role))
    other = nw.when(value.is_in(levels)).then(value).otherwise(nw.lit(OTHER))
    return rows.with_columns(other.alias(text(role))), [*levels, OTHER]


class Stages(NamedTuple):
    """The stages in order, and the values of a role that belong to each."""

    role: str
    values: dict[str, tuple[str, ...]]

    @property
    def names(self) -> list[str]:
        """The stages in order."""
        return list(self.values)

    @property
    def position(self) -> nw.Expr:
        """The position of a contact's stage, -1 where it has none."""
        value = nw.col(text(self.role))
        marks = (one_if(value.is_in(list(own))) for own in self.values.values())
        parts = [(mark * (place + 1)) for place, mark in enumerate(marks)]
        return sum(parts[1:], parts[0]) - 1

    def check(self, counts: pd.Series) -> None:
        """Refuse stages of which nothing is known, when other names are."""
        listed = {value for own in self.values.values() for value in own}
        absent = [value for own in self.values.values() for value in own if value not in counts]
        others = [value for value in counts.index if value not in listed and value != MISSING]
        by_name = all(own == (name,) for name, own in self.values.items())
        if absent and others and (by_name or len(absent) == len(listed)):
            shown = ", ".join(repr(value) for value in others[:10])
            raise ParameterError(
                f"stages names {absent[0]!r}, but no contact so far has this {self.role}."
                f"{nearest(absent[0], others)} Not in stages: {shown}."
            )


def read_stages(touchpoints: Any, stages: StageOrder) -> Stages | None:
    """Return the stages that the user names in order; ``None`` where none are named.

    Raises
    ------
    ParameterError
        If `stages` is no ordered list of names, or names something twice.
    ColumnError
        If the role that it speaks of is not named.
    """
    if stages is None:
        return None
    if isinstance(stages, Mapping):
        require_roles(touchpoints, ["touchpoint"], what="stages made of touchpoints")
        lists = {str(name): own for name, own in stages.items()}
        if any(isinstance(own, str) or not len(own) for own in lists.values()):
            raise ParameterError(
                "stages must name the touchpoints of each stage in a list, such as "
                "{'consideration': ['visit', 'search'], 'purchase': ['purchase']}."
            )
        found = Stages("touchpoint", {name: tuple(map(str, own)) for name, own in lists.items()})
    elif isinstance(stages, str) or not isinstance(stages, Sequence):
        raise ParameterError(
            "stages must be a list of stages in order, such as ['awareness', 'purchase'], or stage "
            "-> touchpoints."
        )
    else:
        require_roles(touchpoints, ["stage"], what="a list of stages")
        found = Stages("stage", {str(name): (str(name),) for name in stages})
        if len(found.values) < len(stages):
            raise ParameterError("stages names a stage twice: name each once, in order.")
    every = [value for own in found.values.values() for value in own]
    if len(set(every)) < len(every) or not every:
        raise ParameterError("stages must name each touchpoint once, and at least one.")
    return found


def customary_stages(touchpoints: Any, counts: Mapping[str, pd.Series]) -> Stages | None:
    """Return the customary stages if the role `stage` holds nothing else."""
    if touchpoints.stage is None or not set(counts["stage"].index) <= {*STAGES, MISSING}:
        return None
    return Stages("stage", {name: (name,) for name in STAGES})


def read_segments(segments: Any) -> pd.Series:
    """Return segments as an ordered categorical of names by customer, without unused names.

    Raises
    ------
    DataError
        If they are no Series by customer, a customer has two, or nobody has one.
    """
    if not isinstance(segments, pd.Series):
        raise DataError(
            f"segments is a {type(segments).__name__}, but contacts can only be matched by "
            "customer: give a Series of segments with the customer ids as its index."
        )
    repeated = int(segments.index.duplicated().sum())
    if repeated:
        raise DataError(f"{repeated:,} customers have two segments. Give one label per customer.")
    labels = name_labels(segments)
    if labels.isna().all():
        raise DataError("no customer has a segment: all labels are missing.")
    return labels.cat.remove_unused_categories()


def with_segments(rows: nw.LazyFrame, segments: pd.Series) -> nw.LazyFrame:
    """Join the positions of customers' segments as `_segment`; -1 where a customer has none."""
    kind = rows.collect_schema()["customer_id"]
    if kind.is_numeric() != pd.api.types.is_numeric_dtype(segments.index):
        raise DataError(
            f"the customer ids are of type {kind} in the touchpoints, but of type "
            f"{segments.index.dtype} in the segments. Give both the same type."
        )
    codes = pd.DataFrame({"_key": segments.index, "_segment": segments.cat.codes.astype("int64")})
    joined = rows.join(beside(codes, rows), how="left", left_on="customer_id", right_on="_key")
    return joined.with_columns(nw.col("_segment").fill_null(-1))


def clustered_wilson(
    x: Any, n: Any, xx: Any, xn: Any, nn: Any, customers: Any, *, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Wilson's interval of a share whose trials come several to a customer.

    What one customer does resembles what the same customer does next. The variance of the share is
    therefore taken between customers (the ratio estimator), and Wilson's interval at the number of
    independent trials with that variance, at most `n`. Where all trials came out alike, at the
    number that they are worth if a customer's trials always agree.

    Parameters
    ----------
    x, n
        Successes and trials, summed over customers.
    xx, xn, nn
        Each customer's squared successes, successes times trials, and squared trials, summed.
    customers
        Number of customers with trials.
    level
        Confidence level.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bound; NaN where there are no trials.

    References
    ----------
    Korn, E. L. & Graubard, B. I. (1998), Survey Methodology 24(2), 193-201.
    """
    x, n, xx, xn, nn, customers = (
        np.asarray(a, dtype=float) for a in (x, n, xx, xn, nn, customers)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
        between = (xx - 2 * p * xn + p**2 * nn) * customers / np.maximum(customers - 1, 1)
        worth = np.where(between > 0, p * (1 - p) * n**2 / between, n**2 / nn)
        worth = np.where(n > 0, np.minimum(worth, n), 0.0)
        return wilson(np.where(n > 0, p, 0.0) * worth, worth, level=level)
