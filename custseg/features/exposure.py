"""Who is reached through what: exposure by segment and channel, and where coverage has gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect
from custseg.audit import DAY
from custseg.errors import DataError, ParameterError, check_columns, check_number, check_option
from custseg.features._touchpoints import (
    MISSING,
    bundle,
    contacts_until,
    count_values,
    read_segments,
    text,
    with_segments,
)
from custseg.results import Result
from custseg.stats import mean_interval, newcombe, wilson
from custseg.tables import Touchpoints, require_roles

ANY = "(any)"

_COLUMNS = (
    *("segment", "n", "reached", "share", "ci_low", "ci_high", "contacts", "contacts_low"),
    *("contacts_high", "elsewhere", "gap", "gap_low", "gap_high", "coverage"),
)


@dataclass(frozen=True, repr=False, eq=False)
class Exposure(Result):
    """Who was reached through what, by segment.

    Parameters
    ----------
    reach
        One row per segment and value of `of`, as `to_frame` returns it.
    consistency
        Where touchpoints come through several channels: one row per `segment` and `touchpoint`
        with the number of `channels` that carry it, the one with the highest and the lowest share
        of customers reached (`best`, `best_share`, `worst`, `worst_share`), their difference
        `spread`, and `consistent`. Empty otherwise.
    of
        What the exposure is by.
    min_gap
        The smallest difference in the share reached that counts.
    level
        Confidence level of the intervals.
    notes
        What to know before reading the numbers.
    """

    reach: pd.DataFrame
    consistency: pd.DataFrame
    of: str
    min_gap: float
    level: float
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "journeys.exposure"

    def to_frame(self) -> pd.DataFrame:
        """Return the exposure.

        Returns
        -------
        pandas.DataFrame
            One row per `segment` and value of `of` (``"(any)"`` first): `n` customers, `reached`
            by at least one contact, their `share` with `ci_low` and `ci_high`, `contacts` per
            customer of the segment with `contacts_low` and `contacts_high`, the share `elsewhere`
            (customers of all other segments), `gap` (share minus elsewhere) with `gap_low` and
            `gap_high`, and `coverage`: ``"gap"``, ``"surplus"`` or ``""``.
        """
        return self.reach.copy()

    def summary(self) -> str:
        """Return the reach overall and the widest gap."""
        rows = self.reach[self.reach[self.of] == ANY]
        reached, n = rows["reached"].sum(), rows["n"].sum()
        words = [f"{reached:,} of {n:,} customers in {len(rows)} segments were reached."]
        gaps = self.reach[self.reach["coverage"] == "gap"].sort_values("gap", kind="stable")
        words.append(f"{len(gaps)} gaps in coverage.")
        if len(gaps):
            worst = gaps.iloc[0]
            words.append(
                f"Widest: {worst[self.of]} reaches {worst['share']:.0%} of {worst['segment']}, "
                f"against {worst['elsewhere']:.0%} of the others ({worst['gap_low']:+.0%} to "
                f"{worst['gap_high']:+.0%})."
            )
        if len(self.consistency):
            uneven = int((~self.consistency["consistent"]).sum())
            words.append(
                f"{uneven} of {len(self.consistency)} touchpoints by segment come unevenly "
                "through their channels."
            )
        return " ".join(words)

    def _shown(self) -> pd.DataFrame:
        return self.reach.pivot(index="segment", columns=self.of, values="share")[
            self.reach[self.of].unique()
        ]


def exposure(
    touchpoints: Touchpoints,
    segments: pd.Series,
    as_of: Any = None,
    *,
    of: str = "channel",
    messages: Sequence[str] | None = None,
    window: int | None = None,
    min_gap: float = 0.1,
    max_values: int = 12,
    level: float = 0.95,
) -> Exposure:
    """Say which segments are reached through which channel, how often, and where hardly anybody is.

    Parameters
    ----------
    touchpoints
        Contacts; columns in: customer_id, timestamp, the column that `of` names and, where it is
        named, touchpoint.
    segments
        A Series of segments on the customer ids. Every customer in it counts, also those without
        any contact.
    as_of
        The last calendar date that counts; ``None`` is the last date present.
    of
        What to break the exposure down by: the role ``"channel"``, ``"touchpoint"`` or
        ``"stage"``, or any other column, such as the campaign.
    messages
        The touchpoints that count as messages or offers; ``None`` counts every contact.
    window
        Count only contacts in (as_of - window, as_of], in days.
    min_gap
        The smallest difference in the share reached that counts.
    max_values
        The most values of `of`; rarer ones together are ``"(other)"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    Exposure
        A share has Wilson's interval, contacts per customer Student's t, a gap Newcombe's, the
        last Bonferroni-adjusted over all gaps. A segment has a gap in coverage where its share
        lies at least `min_gap` below that of all other customers and the interval of the gap is
        below 0; a surplus the other way round. A touchpoint is consistent in a segment unless its
        best and its worst channel reach shares that differ by at least `min_gap` and have
        (adjusted) intervals that do not overlap.

    Raises
    ------
    ColumnError
        If the column or the role is not there.
    DataError
        If ids or times are missing, nobody was in contact, or no customer of the segments was.
    ParameterError
        If an option is out of bounds, or a message does not occur.

    References
    ----------
    Newcombe, R. G. (1998), Statistics in Medicine 17, 873-890, method 10.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> contacts = pd.DataFrame({
    ...     "who": [1, 1, 2, 3],
    ...     "when": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-04", "2024-01-05"]),
    ...     "where": ["app", "app", "app", "store"],
    ... })
    >>> touchpoints = cs.Touchpoints(contacts, customer_id="who", timestamp="when",
    ...                              channel="where")
    >>> found = exposure(touchpoints, pd.Series(["young", "young", "old", "old"], [1, 2, 3, 4]))
    >>> found.to_frame()[["segment", "channel", "n", "reached", "share", "contacts"]]
      segment channel  n  reached  share  contacts
    0     old   (any)  2        1    0.5       0.5
    1     old     app  2        0    0.0       0.0
    2     old   store  2        1    0.5       0.5
    3   young   (any)  2        2    1.0       1.5
    4   young     app  2        2    1.0       1.5
    5   young   store  2        0    0.0       0.0
    """
    check_number(level, "level", gt=0, lt=1)
    check_number(min_gap, "min_gap", ge=0, lt=1)
    check_number(max_values, "max_values", ge=1, integer=True)
    if window is not None:
        check_number(window, "window", ge=1, integer=True)
    assigned = read_segments(segments).dropna()
    _check_of(touchpoints, of, messages)
    roles = list(dict.fromkeys([of, *(["touchpoint"] if touchpoints.touchpoint else [])]))
    rows, day = contacts_until(touchpoints, as_of, roles=roles)
    counts = count_values(rows, roles, day)
    if messages is not None:
        rows = _only(rows, messages, counts["touchpoint"])
    if window is not None:
        rows = rows.filter(nw.col(DAY) > day - window)
    for role in roles:
        rows, _ = bundle(rows, role, counts[role], max_values)
    cells = _cells(with_segments(rows, assigned), of, both=of != "touchpoint" and len(roles) > 1)
    known = cells[cells["_segment"] >= 0]
    if known.empty:
        raise DataError(
            "no contact is by a customer with a segment. Check that the segments are those of "
            "these customers, and that the window is not too short."
        )
    reach = _reach(known, assigned, of, min_gap=min_gap, level=level)
    never = int((reach["n"] - reach["reached"])[reach[of] == ANY].sum())
    strangers = int(cells.loc[cells["_segment"] < 0, "contacts"].sum())
    return Exposure(
        reach=reach,
        consistency=_consistency(known, assigned, of, min_gap=min_gap, level=level),
        of=of,
        min_gap=min_gap,
        level=level,
        notes=_notes(strangers, never, min_gap),
    )


def _cells(rows: nw.LazyFrame, of: str, *, both: bool) -> pd.DataFrame:
    """Return sums over customers by segment, value and, where there are both, touchpoint.

    A customer comes in several cells. `people` and `squares` are shares of the customer and of the
    square of the customer's contacts: they add up to whole ones over the cells of a value,
    `all_people` and `all_squares` over all cells.
    """
    keys = ["_segment", text(of), *([text("touchpoint")] if both else [])]
    cells = rows.group_by("customer_id", *keys).agg(nw.len().alias("contacts"))
    cells = cells.with_columns(nw.col("contacts").cast(nw.Float64))
    contacts = nw.col("contacts")
    cells = cells.with_columns(
        here=contacts.sum().over("customer_id", text(of)), total=contacts.sum().over("customer_id")
    )
    here, total = nw.col("here"), nw.col("total")
    cells = cells.with_columns(
        people=contacts / here,
        squares=contacts * here,
        all_people=contacts / total,
        all_squares=contacts * total,
    )
    sums = ("contacts", "people", "squares", "all_people", "all_squares")
    return collect(
        cells.group_by(*keys).agg(nw.len().alias("reached"), *(nw.col(name).sum() for name in sums))
    ).astype({"_segment": "int64", "reached": "int64"})


def _check_of(touchpoints: Touchpoints, of: str, messages: Sequence[str] | None) -> None:
    if of in ("channel", "touchpoint", "stage"):
        require_roles(touchpoints, [of], what=f"exposure by {of}")
    check_columns(touchpoints.frame.collect_schema().names(), [of], where="the touchpoints")
    if of in _COLUMNS:
        raise ParameterError(f"of is {of!r}, a column of the result: rename it in your data first.")
    if messages is not None:
        require_roles(touchpoints, ["touchpoint"], what="a list of messages")
        if isinstance(messages, str) or not len(messages):
            raise ParameterError("messages must be a list of touchpoints, such as ['email_sent'].")


def _only(rows: nw.LazyFrame, messages: Sequence[str], counts: pd.Series) -> nw.LazyFrame:
    for message in messages:
        check_option(
            message, "each of messages", [name for name in counts.index if name != MISSING]
        )
    return rows.filter(nw.col(text("touchpoint")).is_in(list(messages)))


def _reach(
    cells: pd.DataFrame, assigned: pd.Series, of: str, *, min_gap: float, level: float
) -> pd.DataFrame:
    """Return one row per segment and value: shares, contacts and gaps with their intervals."""
    names = list(assigned.cat.categories)
    n = assigned.value_counts(sort=False).to_numpy()[:, None]

    def grid(by_value: str, overall: str) -> pd.DataFrame:
        values = cells.pivot_table(
            index="_segment", columns=text(of), values=by_value, aggfunc="sum", fill_value=0.0
        ).reindex(range(len(names)), fill_value=0.0)
        every = cells.groupby("_segment")[overall].sum().reindex(range(len(names)), fill_value=0.0)
        values.insert(0, ANY, every)
        return values

    levels = grid("contacts", "contacts").columns
    reached = grid("people", "all_people").round().astype("int64").to_numpy()
    contacts = grid("contacts", "contacts").to_numpy()
    squares = grid("squares", "all_squares").to_numpy()
    mean = contacts / n
    sd = np.sqrt(np.maximum(squares - contacts * mean, 0) / np.maximum(n - 1, 1))
    low, high = wilson(reached, n, level=level)
    contacts_low, contacts_high = mean_interval(mean, sd, n, level=level)
    others, n_others = reached.sum(axis=0) - reached, n.sum() - n
    tests = reached.size
    with np.errstate(divide="ignore", invalid="ignore"):
        elsewhere = others / n_others
    gap_low, gap_high = newcombe(reached, n, others, n_others, level=1 - (1 - level) / tests)
    gap = reached / n - elsewhere
    coverage = np.full(gap.shape, "", dtype=object)
    coverage[(gap <= -min_gap) & (gap_high < 0)] = "gap"
    coverage[(gap >= min_gap) & (gap_low > 0)] = "surplus"
    columns = {
        "n": np.broadcast_to(n, reached.shape),
        "reached": reached,
        "share": reached / n,
        "ci_low": low,
        "ci_high": high,
        "contacts": mean,
        "contacts_low": contacts_low,
        "contacts_high": contacts_high,
        "elsewhere": elsewhere,
        "gap": gap,
        "gap_low": gap_low,
        "gap_high": gap_high,
        "coverage": coverage,
    }
    index = pd.MultiIndex.from_product([names, levels], names=["segment", of])
    table = pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=index)
    table = table.reset_index().astype({"n": "int64", "reached": "int64", "coverage": "str"})
    return table.astype({"segment": pd.CategoricalDtype(names, ordered=True)})


def _consistency(
    cells: pd.DataFrame, assigned: pd.Series, of: str, *, min_gap: float, level: float
) -> pd.DataFrame:
    """Return how evenly each touchpoint reaches each segment through the channels that carry it."""
    if of != "channel" or text("touchpoint") not in cells:
        return pd.DataFrame()
    n = assigned.value_counts(sort=False)
    segment = pd.CategoricalIndex(n.index[cells["_segment"]], name="segment")
    reached = cells.groupby([segment, text("touchpoint"), text("channel")], observed=False)[
        "reached"
    ].sum()
    reached = reached.unstack(fill_value=0)
    carried = reached.groupby(level=text("touchpoint")).sum().gt(0)
    carried = carried[carried.sum(axis=1) > 1]
    adjusted = 1 - (1 - level) / max(len(n) * int(carried.to_numpy().sum()), 1)
    rows = []
    for (segment, touchpoint), counts in reached.iterrows():
        if touchpoint not in carried.index:
            continue
        counts = counts[carried.loc[touchpoint]].sort_values(kind="stable")
        low, high = wilson(counts.iloc[[0, -1]], n[segment], level=adjusted)
        shares = counts.iloc[[-1, 0]] / n[segment]
        spread = shares.iloc[0] - shares.iloc[1]
        uneven = spread >= min_gap and low[1] > high[0]
        rows.append(
            {
                "segment": segment,
                "touchpoint": touchpoint,
                "channels": len(counts),
                "best": shares.index[0],
                "best_share": shares.iloc[0],
                "worst": shares.index[1],
                "worst_share": shares.iloc[1],
                "spread": spread,
                "consistent": not uneven,
            }
        )
    return pd.DataFrame(rows)


def _notes(strangers: int, never: int, min_gap: float) -> tuple[str, ...]:
    rule = f"coverage: a share at least {min_gap:.0%} from that of all other customers, with an"
    notes = [f"{rule} interval on one side of 0 that holds for all gaps together."]
    if never:
        notes.append(f"{never:,} customers with a segment had no such contact; they count.")
    if strangers:
        notes.append(f"{strangers:,} contacts of customers without a segment set aside.")
    return tuple(notes)
