"""How customers move from stage to stage, where they enter, where they leave, where it hurts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from custseg._labels import ALL
from custseg.errors import DataError, ParameterError, check_number, check_option
from custseg.features._touchpoints import (
    MISSING,
    StageOrder,
    Stages,
    bundle,
    contacts_until,
    count_values,
    customary_stages,
    read_segments,
    read_stages,
    with_segments,
)
from custseg.features._transitions import ENTRY, EXIT, compare_pains, count_moves, tabulate
from custseg.results import Result, format_number
from custseg.tables import Touchpoints, require_roles

TROUBLE = (
    *("cancel", "cancellation", "claim", "complaint", "customer_service", "helpdesk", "refund"),
    *("return", "returns", "service", "support", "support_ticket", "ticket"),
)
"""Names of stages and touchpoints, in lower case, to which customers turn when something failed."""


@dataclass(frozen=True, repr=False, eq=False)
class JourneyMap(Result):
    """Transitions between the states of customers' journeys, and where these hurt.

    Parameters
    ----------
    transitions
        One row per segment, `from` and `to`, as `to_frame` returns it.
    pain_points
        One row per place where customers could drop off or turn to trouble: `segment`, `kind`
        (``"drop-off"`` or ``"trouble"``), `from`, `to`, `n`, `n_from`, `probability`, `ci_low`,
        `ci_high`, `reference` (what it is compared with), `reference_probability`,
        `reference_low`, `reference_high`, `extra` (moves beyond those that the reference would
        give) and `flagged`; the largest `extra` first. The intervals hold together for all rows.
    states
        The stages, or other states, in order.
    account
        Contacts by what became of them; they add up.
    silence
        Days without a contact that end a journey.
    level
        Confidence level of the intervals.
    notes
        What to know before reading the numbers.
    """

    transitions: pd.DataFrame
    pain_points: pd.DataFrame
    states: tuple[str, ...]
    account: pd.Series
    silence: float
    level: float
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "journeys.journey_map"

    def to_frame(self) -> pd.DataFrame:
        """Return the transitions.

        Returns
        -------
        pandas.DataFrame
            One row per `segment` (``"(all)"``, which is everybody with a segment, first), `from`
            and `to`: `n` moves, `n_from` moves
            from there, `customers` who made the move, `probability` (n / n_from), its interval
            `ci_low` and `ci_high`, and `median_days` until the move. From ``"(entry)"`` a journey
            starts, to ``"(exit)"`` it ends.
        """
        return self.transitions.copy()

    def matrix(self, segment: str = ALL, values: str = "probability") -> pd.DataFrame:
        """Return one column of the transitions as a table of `from` by `to`.

        Parameters
        ----------
        segment
            A segment, or ``"(all)"``.
        values
            A column of `to_frame`.

        Raises
        ------
        ParameterError
            If there is no such segment or column.
        """
        check_option(segment, "segment", list(self.transitions["segment"].unique()))
        check_option(values, "values", list(self.transitions.columns[3:]))
        rows = self.transitions[self.transitions["segment"] == segment]
        table = rows.pivot(index="from", columns="to", values=values)
        table = table.loc[[ENTRY, *self.states], [*self.states, EXIT]]
        counts = pd.api.types.is_integer_dtype(rows[values])
        return table.fillna(0).astype("int64") if counts else table

    def summary(self) -> str:
        """Return the size of the map, the most frequent move and the worst pain point."""
        rows = self.transitions[self.transitions["segment"] == ALL]
        journeys = int(rows.loc[rows["from"] == ENTRY, "n"].sum())
        end = f"each ended by more than {format_number(self.silence)} days of silence"
        words = [f"{self.account['used']:,} contacts in {journeys:,} journeys, {end}."]
        moves = rows[(rows["from"] != ENTRY) & (rows["to"] != EXIT) & (rows["from"] != rows["to"])]
        if moves["n"].sum():
            top = moves.loc[moves["n"].idxmax()]
            words.append(
                f"Most frequent move: {top['from']} to {top['to']}, {_percent(top)} of what "
                f"follows {top['from']}."
            )
        flagged = self.pain_points[self.pain_points["flagged"]]
        words.append(f"{len(flagged)} of {len(self.pain_points)} possible pain points stand out.")
        if len(flagged):
            worst = flagged.iloc[0]
            who = "" if worst["segment"] == ALL else f" in {worst['segment']}"
            words.append(
                f"Worst: from {worst['from']} to {worst['to']}{who}, {_percent(worst)}, against "
                f"{worst['reference_probability']:.1%} for {worst['reference']}."
            )
        return " ".join(words)

    def _shown(self) -> pd.DataFrame:
        return self.matrix()


def journey_map(
    touchpoints: Touchpoints,
    as_of: Any = None,
    *,
    by: pd.Series | None = None,
    of: str | None = None,
    stages: StageOrder = None,
    silence: float = 90,
    trouble: Sequence[str] | None = None,
    max_values: int = 12,
    level: float = 0.95,
) -> JourneyMap:
    """Count how customers move between the stages of their journeys, and say where it hurts.

    A journey is a customer's contacts in order of time (of several at the same moment, in the order
    of the states). It ends after more than `silence` days without a contact. The last contact of a
    customer who has not been silent that long by the end of `as_of` is open: no move, no exit.

    Parameters
    ----------
    touchpoints
        Contacts; columns in: customer_id, timestamp and the role that `of` names.
    as_of
        The last calendar date that counts; ``None`` is the last date present.
    by
        Segments, a Series on the customer ids; the map is drawn for each and for all of them.
    of
        The role whose values are the states: ``"stage"``, ``"touchpoint"`` or ``"channel"``.
        ``None`` is the stage where there are stages, else the touchpoint.
    stages
        As in `journey_features`. Without an order that is given or customary, states are sorted by
        name.
    silence
        Days without a contact that end a journey.
    trouble
        The states to which customers turn when something failed. ``None`` takes those with a
        customary name (``custseg.features.journey_map.TROUBLE``).
    max_values
        The most states that are not given in `stages`; rarer ones together are ``"(other)"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    JourneyMap
        ``to_frame()`` has the transitions, ``pain_points`` where customers drop off or turn to
        trouble more often than elsewhere: for everybody, a state whose interval lies wholly above
        that of all states together; for a segment, a state whose interval lies wholly above that
        of all customers at this state. These intervals are Bonferroni-adjusted over all
        comparisons. Two intervals that do not overlap differ whatever the dependence between them.

    Raises
    ------
    ColumnError
        If the role is not named.
    DataError
        If ids or times are missing, nobody was in contact, or the segments match nobody.
    ParameterError
        If an option does not exist.

    Notes
    -----
    Intervals are Wilson's at the number of independent moves that have the variance between
    customers: moves of one customer are alike, and treating them as independent would make the
    intervals too narrow. The moves from one state are multinomial; an interval holds for its cell,
    not for the row.

    References
    ----------
    Anderl, E., Becker, I., von Wangenheim, F. & Schumann, J. H. (2016). Mapping the customer
    journey. International Journal of Research in Marketing 33(3), 457-474.
    Wilson, E. B. (1927). JASA 22, 209-212.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> contacts = pd.DataFrame({
    ...     "who": [7, 7, 7, 9],
    ...     "when": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-04", "2024-01-05"]),
    ...     "what": ["visit", "visit", "purchase", "visit"],
    ... })
    >>> touchpoints = cs.Touchpoints(contacts, customer_id="who", timestamp="when",
    ...                              touchpoint="what")
    >>> journeys = journey_map(touchpoints, as_of="2024-01-31", silence=14)
    >>> journeys.matrix(values="n")
    to        purchase  visit  (exit)
    from
    (entry)          0      2       0
    purchase         0      0       1
    visit            1      1       1
    """
    check_number(silence, "silence", gt=0)
    check_number(level, "level", gt=0, lt=1)
    check_number(max_values, "max_values", ge=1, integer=True)
    segments = None if by is None else read_segments(by)
    plan = read_stages(touchpoints, stages)
    role = _role(touchpoints, of, plan)
    rows, day = contacts_until(touchpoints, as_of, roles=[role])
    counts = count_values(rows, [role], day)[role]
    if plan is None and role == "stage":
        plan = customary_stages(touchpoints, {"stage": counts})
    if plan is None:
        rows, levels = bundle(rows, role, counts, max_values)
        plan = Stages(role, {name: (name,) for name in levels if name != MISSING})
    else:
        plan.check(counts)
    hurts = _troubles(trouble, plan.names)
    if segments is not None:
        rows = with_segments(rows, segments)
    names = [] if segments is None else list(segments.cat.categories)
    moves = count_moves(rows, plan, silence=silence, n_segments=len(names))
    total = int(counts.sum())
    account = pd.Series(
        {
            "used": moves.contacts,
            f"no {role} in the map": total - moves.contacts - moves.without_segment,
            "no segment": moves.without_segment,
        },
        name="contacts",
    )
    if not moves.contacts:
        raise DataError(
            "no contact is left: " + _words(account) + ". Check that the segments are those of "
            "these customers."
        )
    segment_names = [ALL, *names]
    return JourneyMap(
        transitions=tabulate(moves, segment_names, plan.names, level=level),
        pain_points=compare_pains(moves, segment_names, plan.names, hurts, level=level),
        states=tuple(plan.names),
        account=account,
        silence=silence,
        level=level,
        notes=_notes(account, moves.open, hurts),
    )


def _role(touchpoints: Touchpoints, of: str | None, plan: Stages | None) -> str:
    if of is not None:
        check_option(of, "of", ("stage", "touchpoint", "channel"))
        if plan is not None:
            raise ParameterError("give of= or stages=: stages are the states already.")
    role = of or (plan.role if plan else "stage" if touchpoints.stage else "touchpoint")
    require_roles(touchpoints, [role], what="the journey map")
    return role


def _troubles(trouble: Sequence[str] | None, states: list[str]) -> list[str]:
    if trouble is None:
        plain = (name.strip().lower().replace(" ", "_").replace("-", "_") for name in states)
        return [name for name, word in zip(states, plain, strict=True) if word in TROUBLE]
    if isinstance(trouble, str):
        raise ParameterError("trouble must be a list of states, such as ['return'].")
    for name in trouble:
        check_option(name, "each of trouble", states)
    return [name for name in states if name in set(trouble)]


def _notes(account: pd.Series, n_open: int, hurts: list[str]) -> tuple[str, ...]:
    """Return what to know of the map."""
    rest = "the intervals rest on the variance between customers, whose moves are alike; each holds"
    notes = [f"{rest} for its cell, not for its row. Those of pain_points hold together."]
    aside = account[1:][account[1:] > 0]
    notes += [f"{n:,} contacts set aside: {why}." for why, n in aside.items()]
    if n_open:
        notes.append(f"{n_open:,} customers were still in touch: their last contact is no exit.")
    known = f"trouble: {', '.join(hurts)}." if hurts else "no state is trouble: trouble= names it."
    return (*notes, known)


def _words(account: pd.Series) -> str:
    return ", ".join(f"{n:,} {why}" for why, n in account.items())


def _percent(row: pd.Series) -> str:
    low, high = row["ci_low"], row["ci_high"]
    return f"{row['probability']:.1%} ({low:.1%} to {high:.1%})"
