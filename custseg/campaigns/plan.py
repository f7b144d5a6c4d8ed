"""What to do with whom: offers by segment, who may get them, and why the others do not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from custseg._labels import name_labels
from custseg.campaigns._action import PREFERRED, Action, texts_of
from custseg.campaigns._conditions import condition_column, holds
from custseg.campaigns.allocation import customer_rows, hash_uniform
from custseg.campaigns.planned import PlannedActions, count_reasons, markdown_table
from custseg.errors import (
    CustsegError,
    DataError,
    ParameterError,
    check_columns,
    check_number,
    nearest,
)
from custseg.results import format_frame

NO_SEGMENT = "no segment"
NO_ACTION = "no action planned"
CAPPED = "contacted often enough"
NO_CHANNEL = "no channel allowed"
FULL = "no room left"
_WHERE = "the customer table"


@dataclass(frozen=True, kw_only=True, eq=False)
class ActionPlan:
    """Which segment gets which offer through which channel, declared without customers.

    Parameters
    ----------
    actions
        Segment -> `Action`, or ``None`` where nothing is planned on purpose.
    preferred
        The column that holds each customer's preferred channel.
    consent
        Channel -> the column of truth values that says whether a customer may be contacted there;
        channels that are not named need no consent. Channels here and in `capacity` must be known:
        named in an action, or some customer's preferred one.
    exclude
        Conditions, written as in `Action`, any of which keeps a customer out: complaints, other
        campaigns, staff.
    contacts
        The column that counts how often a customer was contacted lately.
    max_contacts
        Customers with as many contacts, or more, are left alone.
    capacity
        Channel -> the most customers that it can reach.
    priority
        The column by which customers go first, the largest value first, where a limit or capacity
        binds; ties, and all if ``None``, in an order that depends on the customer ids alone.

    Raises
    ------
    ParameterError
        If a part of the plan cannot be read, or contradicts another.

    Examples
    --------
    >>> import custseg as cs
    >>> plan = cs.ActionPlan(
    ...     actions={
    ...         "Champions": cs.campaigns.Action(offer="early access"),
    ...         "At risk": cs.campaigns.Action(
    ...             offer="10% off", channel=["email", "letter"], eligible="recency <= 365"
    ...         ),
    ...         "Lost": None,
    ...     },
    ...     preferred="favourite_channel",
    ...     consent={"email": "newsletter"},
    ...     exclude=["complained"],
    ... )
    >>> print(plan.to_markdown())
    | segment | offer | channel | eligible | limit |
    | --- | --- | --- | --- | --- |
    | Champions | early access | (preferred) |  |  |
    | At risk | 10% off | email, letter | recency <= 365 |  |
    | Lost |  |  |  |  |
    """

    actions: Mapping[str, Action | None]
    preferred: str | None = None
    consent: Mapping[str, str] | None = None
    exclude: str | Sequence[str] = ()
    contacts: str | None = None
    max_contacts: int | None = None
    capacity: Mapping[str, int] | None = None
    priority: str | None = None

    def __post_init__(self) -> None:
        _check_actions(self.actions)
        object.__setattr__(self, "actions", dict(self.actions))
        object.__setattr__(self, "exclude", texts_of(self.exclude, "exclude"))
        for condition in self.exclude:
            condition_column(condition)
        uses = [a for a in self.actions.values() if a is not None and PREFERRED in a.channel]
        if uses and self.preferred is None:
            raise ParameterError(
                f"an action uses the channel {PREFERRED!r}, so preferred= must name the column "
                "that holds each customer's."
            )
        if (self.contacts is None) != (self.max_contacts is None):
            raise ParameterError("contacts and max_contacts go together: give both or neither.")
        if self.max_contacts is not None:
            check_number(self.max_contacts, "max_contacts", ge=1, integer=True)
        for name in ("consent", "capacity"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, Mapping):
                raise ParameterError(
                    f"{name} is {given!r}, but must be a dictionary from channel, such as 'email'."
                )
        for column in (self.consent or {}).values():
            condition_column(column)
        for channel, most in (self.capacity or {}).items():
            check_number(most, f"capacity[{channel!r}]", ge=0, integer=True)
        if self.preferred is None:
            self._check_channels([], ParameterError)

    @property
    def _named(self) -> set[str]:
        """The channels that actions name."""
        named = {c for a in self.actions.values() if a is not None for c in a.channel}
        return named - {PREFERRED}

    def _check_channels(self, preferred: Iterable[Any], error: type[CustsegError]) -> None:
        """Refuse a channel under two names, and rules for one that nobody uses."""
        known = sorted({*self._named, *preferred}, key=str)
        names: dict[str, Any] = {}
        for channel in known:
            other = names.setdefault(str(channel).strip().casefold(), channel)
            if other != channel:
                raise error(f"{other!r} and {channel!r} are one channel: give it one name.")
        for name in ("consent", "capacity"):
            for channel in getattr(self, name) or {}:
                if channel not in known:
                    prefers = " and no customer prefers" if self.preferred else ""
                    raise error(
                        f"{name} is for the channel {channel!r}, which no action names{prefers}."
                        f"{nearest(channel, known)} There are: {', '.join(map(repr, known))}."
                    )

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, **options: Any) -> "ActionPlan":
        """Read a plan from a table as `to_frame` writes it, such as an edited CSV file.

        Parameters
        ----------
        frame
            `segment`, `offer` (empty: nothing is planned), and if there are any `channel` (several
            separated by commas), `eligible` (several separated by semicolons), `limit`.
        **options
            The other parameters of `ActionPlan`.

        Returns
        -------
        ActionPlan
            The plan.

        Raises
        ------
        ColumnError
            If segment or offer is missing.
        DataError
            If a segment comes twice, or a limit is no whole number.

        Examples
        --------
        >>> table = pd.DataFrame({"segment": ["A", "B"], "offer": ["voucher", None],
        ...                       "channel": ["email, letter", None]})
        >>> ActionPlan.from_frame(table).actions["A"].channel
        ('email', 'letter')
        """
        check_columns(frame.columns, ["segment", "offer"], where="the plan")
        twice = frame["segment"][frame["segment"].duplicated()]
        if len(twice):
            raise DataError(f"the plan has several rows for segment {twice.iloc[0]!r}.")
        actions: dict[str, Action | None] = {}
        for row in frame.to_dict("records"):
            known = {key: value for key, value in row.items() if pd.notna(value) and value != ""}
            segment = str(known.pop("segment"))
            if "offer" not in known:
                actions[segment] = None
                continue
            parts: dict[str, Any] = {"offer": str(known["offer"])}
            for column, mark in (("channel", ","), ("eligible", ";")):
                if column in known:
                    parts[column] = [part.strip() for part in str(known[column]).split(mark)]
            if "limit" in known:
                limit = pd.to_numeric(known["limit"], errors="coerce")
                if not limit >= 1 or limit % 1:
                    raise DataError(
                        f"the limit of segment {segment!r} is {known['limit']!r}, but must be a "
                        "whole number >= 1."
                    )
                parts["limit"] = int(limit)
            actions[segment] = Action(**parts)
        return cls(actions=actions, **options)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment, to be reviewed, edited and read again.

        Returns
        -------
        pandas.DataFrame
            `segment`, `offer`, `channel` (in the order in which they are tried, separated by
            commas), `eligible` (conditions, separated by semicolons), `limit`.
        """
        rows: list[tuple[Any, ...]] = []
        for segment, action in self.actions.items():
            if action is None:
                rows.append((segment, "", "", "", None))
                continue
            joined = (", ".join(action.channel), "; ".join(action.eligible))
            rows.append((segment, action.offer, *joined, action.limit))
        frame = pd.DataFrame(rows, columns=["segment", "offer", "channel", "eligible", "limit"])
        return frame.astype({"limit": "Int64"})

    def to_markdown(self) -> str:
        """Return the table of `to_frame` as Markdown."""
        return markdown_table(self.to_frame())

    def __repr__(self) -> str:
        return f"{self.summary()}\n\n{format_frame(self.to_frame()).to_string(index=False)}"

    def _repr_html_(self) -> str:
        table = format_frame(self.to_frame()).to_html(index=False, border=0, escape=True)
        return f"<p>{escape(self.summary())}</p>{table}"

    def summary(self) -> str:
        """Return the rules of the plan in words."""
        planned = sum(action is not None for action in self.actions.values())
        parts = [f"ActionPlan: offers for {planned} of {len(self.actions)} segments."]
        if self.exclude:
            parts.append(f"Excluded: {'; '.join(self.exclude)}.")
        if self.consent:
            asked = ", ".join(f"{channel} ({column})" for channel, column in self.consent.items())
            parts.append(f"Consent: {asked}.")
        if self.max_contacts is not None:
            parts.append(f"Fewer than {self.max_contacts} {self.contacts}.")
        if self.capacity:
            most = ", ".join(f"{channel} {n:,}" for channel, n in self.capacity.items())
            first = f", the largest {self.priority} first" if self.priority else ""
            parts.append(f"At most: {most}{first}.")
        return " ".join(parts)

    def apply(self, customers: pd.DataFrame, segments: pd.Series | str) -> "PlannedActions":
        """Say what each customer gets, or why nothing.

        A customer without an action has one reason, the first that applies: no segment; nothing
        planned for it; excluded, by the first condition that holds; not eligible, by the first
        condition that does not; contacted often enough; no channel allowed; no room left in the
        channel or under the limit. A customer whose channel is full goes to the next one of the
        action.

        Parameters
        ----------
        customers
            One row per customer; index or column ``customer_id``, and the columns of the plan.
        segments
            Segment labels on the customer ids, or the name of a column.

        Returns
        -------
        PlannedActions
            Offer and channel of every customer, and the count of those without by reason.

        Raises
        ------
        ColumnError
            If the plan names a column that is not there.
        DataError
            If a customer comes twice, a segment is not in the plan, a column of the plan holds
            what it cannot, or consent or capacity is for a channel that nobody uses.
        """
        rows, labels = _rows(customers, segments)
        self._check(rows, labels)
        unknown = sorted(set(labels.dropna()) - set(self.actions))
        if unknown:
            raise DataError(
                f"the plan does not mention segment {unknown[0]!r} ({len(unknown)} in all). Give "
                "it an action, or None."
            )
        reason = self._reasons(rows, labels)
        channel, left = self._channels(rows, labels, reason.isna().to_numpy())
        reason = reason.where(reason.notna(), pd.Series(left, index=rows.index))
        offer = labels.map({s: a.offer for s, a in self.actions.items() if a is not None})
        table = pd.DataFrame(
            {
                "segment": labels,
                "offer": offer.where(reason.isna(), None),
                "channel": channel,
                "reason": reason,
            },
            dtype=object,
        )
        return PlannedActions(
            table, count_reasons(table, list(self.actions)), tuple(self._notes(rows))
        )

    def _check(self, rows: pd.DataFrame, labels: pd.Series) -> None:
        """Refuse, before any work, columns that are missing or hold what they cannot."""
        conditions = [c for a in self.actions.values() if a is not None for c in a.eligible]
        needed = [condition_column(condition) for condition in [*conditions, *self.exclude]]
        needed += [condition_column(c) for c in (self.consent or {}).values()]
        needed += [c for c in (self.preferred, self.contacts, self.priority) if c is not None]
        check_columns(rows.columns, needed, where=_WHERE)
        for column in (self.contacts, self.priority):
            if column is not None and not pd.api.types.is_numeric_dtype(rows[column]):
                raise DataError(f"column {column!r} must hold numbers.")
        if self.preferred is not None:
            self._check_channels(rows[self.preferred].dropna().unique().tolist(), DataError)
        if labels.isna().all():
            raise DataError("no customer has a segment: check that both use the same customer ids.")

    def _reasons(self, rows: pd.DataFrame, labels: pd.Series) -> pd.Series:
        reason = pd.Series(None, index=rows.index, dtype=object)

        def give(where: Any, words: str) -> None:
            reason[where & reason.isna()] = words

        give(labels.isna(), NO_SEGMENT)
        nothing = [segment for segment, action in self.actions.items() if action is None]
        give(labels.isin(nothing), NO_ACTION)
        for condition in self.exclude:
            give(_surely(condition, rows), f"excluded: {condition}")
        for segment, action in self.actions.items():
            for condition in action.eligible if action is not None else ():
                met = _surely(condition, rows)
                give((labels == segment) & ~met, f"not eligible: {condition}")
        if self.contacts is not None:
            give(rows[self.contacts].fillna(0) >= self.max_contacts, CAPPED)
        return reason

    def _choices(
        self, rows: pd.DataFrame, labels: pd.Series, wanted: np.ndarray
    ) -> tuple[np.ndarray, pd.Index]:
        """Return codes of the channels allowed in turn, -1 for none, and their names."""
        own = pd.Series(None, index=rows.index, dtype=object)
        if self.preferred is not None:
            own = rows[self.preferred].astype(object).where(rows[self.preferred].notna(), None)
        actions = {s: a for s, a in self.actions.items() if a is not None}
        channels = pd.Index(sorted(self._named | set(own.dropna()), key=str), dtype=object)
        width = max((len(a.channel) for a in actions.values()), default=1)
        choices = np.full((len(rows), width), -1)
        preferred = channels.get_indexer(own)
        for segment, action in actions.items():
            here = wanted & (labels == segment).to_numpy()
            for place, channel in enumerate(action.channel):
                fixed = -1 if channel == PREFERRED else channels.get_loc(channel)
                choices[here, place] = preferred[here] if channel == PREFERRED else fixed
        for channel, column in (self.consent or {}).items():
            refused = ~_surely(column, rows)
            if channel in channels:
                choices[refused[:, None] & (choices == channels.get_loc(channel))] = -1
        return choices, channels

    def _channels(
        self, rows: pd.DataFrame, labels: pd.Series, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the channel of each customer who is to have one, and why there is none."""
        choices, channels = self._choices(rows, labels, wanted)
        allowed = (choices >= 0).any(axis=1)
        places = {s: a.limit for s, a in self.actions.items() if a is not None and a.limit}
        if self.capacity or places:
            found = self._fill(rows, labels.tolist(), choices, channels, places)
        else:
            found = choices[np.arange(len(rows)), (choices >= 0).argmax(axis=1)]
        names = np.array([*channels, None], dtype=object)
        reason = np.where(allowed, FULL, NO_CHANNEL).astype(object)
        reason[(found >= 0) | ~wanted] = None
        return names[found], reason

    def _fill(
        self,
        rows: pd.DataFrame,
        labels: list[Any],
        choices: np.ndarray,
        channels: pd.Index,
        places: dict[str, int],
    ) -> np.ndarray:
        """Let customers choose in turn while there is room; return codes of channels, or -1."""
        rank = np.zeros(len(rows))
        if self.priority is not None:
            rank = -rows[self.priority].fillna(-np.inf).to_numpy(dtype=float)
        room = [(self.capacity or {}).get(channel, len(rows)) for channel in channels]
        places, found = dict(places), np.full(len(rows), -1)
        for customer in np.lexsort((hash_uniform(rows.index, "priority"), rank)).tolist():
            segment = labels[customer]
            for channel in choices[customer].tolist():
                if channel >= 0 and room[channel] > 0 and places.get(segment, 1) > 0:
                    found[customer] = channel
                    room[channel] -= 1
                    if segment in places:
                        places[segment] -= 1
                    break
        return found

    def _notes(self, rows: pd.DataFrame) -> list[str]:
        notes = []
        for condition in self.exclude:
            unknown = int(rows[condition_column(condition)].isna().sum())
            if unknown:
                notes.append(
                    f"{unknown:,} customers have no value for the exclusion {condition!r}: it does "
                    "not keep them out."
                )
        if self.contacts is not None and rows[self.contacts].isna().any():
            unknown = int(rows[self.contacts].isna().sum())
            notes.append(f"{unknown:,} customers without a number of contacts count as 0.")
        return notes


def _check_actions(actions: Any) -> None:
    if not isinstance(actions, Mapping) or not actions:
        raise ParameterError("actions must be a dictionary from segment to Action, or None.")
    for segment, action in actions.items():
        if not isinstance(segment, str) or not (action is None or isinstance(action, Action)):
            raise ParameterError(
                f"actions[{segment!r}] is {action!r}, but must be an Action or None, under the "
                "name of a segment."
            )
    if not any(actions.values()):
        raise ParameterError("actions plans nothing for any segment.")


def _surely(condition: str, rows: pd.DataFrame) -> np.ndarray:
    return holds(condition, rows).fillna(value=False).to_numpy(dtype=bool)


def _rows(customers: pd.DataFrame, segments: pd.Series | str) -> tuple[pd.DataFrame, pd.Series]:
    """Return the customers and their labels as text, both on the customer ids."""
    ids, rows = customer_rows(customers)
    if isinstance(segments, str):
        check_columns(rows.columns, [segments], where=_WHERE)
        labels = rows[segments]
    else:
        if not isinstance(segments, pd.Series):
            raise DataError(
                f"segments is a {type(segments).__name__}, but must be a Series of labels on the "
                "customer ids, or the name of a column."
            )
        if segments.index.duplicated().any():
            raise DataError("the segments name a customer twice. Keep one label per customer.")
        labels = segments.reindex(ids)
    return rows, name_labels(labels).astype(object)
