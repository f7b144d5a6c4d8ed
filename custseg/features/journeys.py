"""Features of how customers meet the firm: contacts, channels and stages of the journey."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, from_day, keep_middle, one_if
from custseg.audit import DAY
from custseg.errors import ParameterError, check_number
from custseg.features._touchpoints import (
    DAY_LENGTH,
    MISSING,
    MOMENT,
    OTHER,
    StageOrder,
    Stages,
    bundle,
    contacts_until,
    count_values,
    customary_stages,
    read_stages,
    text,
)
from custseg.features.dictionary import Column, attach
from custseg.tables import Touchpoints, plain_ids

_PREFIX = {"touchpoint": "touchpoint", "channel": "contact_channel"}
_NEVER = -(2**62)

_Found = dict[str, tuple[Any, str, str]]


def journey_features(
    touchpoints: Touchpoints,
    as_of: Any = None,
    *,
    windows: Sequence[int] = (30, 90, 365),
    stages: StageOrder = None,
    max_values: int = 20,
) -> pd.DataFrame:
    """Turn contacts into counts, shares, recency, first and last touch and stages per customer.

    Parameters
    ----------
    touchpoints
        Contacts; columns in: customer_id, timestamp and, where they are named, touchpoint, channel
        and stage.
    as_of
        A calendar date in the data's own time zone. Everything up to the end of that day counts,
        nothing later. ``None`` is the last date present.
    windows
        Numbers of days; contacts are also counted in (as_of - w, as_of] for each.
    stages
        The stages of the journey in order, as the role `stage` names them, or stage -> its
        touchpoints. ``None`` is awareness, consideration, purchase, service, loyalty where the
        role `stage` holds nothing else, and no stages otherwise.
    max_values
        The most touchpoints, and the most channels, that get columns of their own: the most
        frequent ones. The rest together are ``"(other)"``.

    Returns
    -------
    pandas.DataFrame
        One row per customer in contact by `as_of`, sorted by the unique index `customer_id`.

        - `contacts`, and `contacts_{w}d` per window; `contact_recency` and `contact_tenure` (whole
          days from the last and the first contact to `as_of`); `contact_days` (distinct days).
        - `touchpoint_{value}_count`, `_count_{w}d`, `_share` (of all contacts) and `_recency`
          (whole days since the last one; missing if there was none), and the same for each channel
          as `contact_channel_{value}_...`; what is missing or blank counts as ``"(missing)"``.
        - `touchpoints_used` and `contact_channels_used` (distinct ones, ``"(other)"`` as one),
          `first_touchpoint`, `last_touchpoint`, `first_contact_channel`, `last_contact_channel`
          (of several at the same moment the first, or last, in alphabetical order).
        - with stages: `stage_{name}_reached` (0/1), `stages_reached`, `furthest_stage` (where the
          customer dropped off so far), `last_stage`, `days_{a}_to_{b}` from the first contact in a
          stage to the first in the next (below 0 if that came earlier), `stage_changes`,
          `stage_loops` (changes to an earlier stage) and `days_between_stages` (median time from
          the last contact in a stage to the change). Contacts without one of the stages are passed
          over.

        ``attrs`` has the date and the data dictionary.

    Raises
    ------
    ColumnError
        If `stages` speaks of a role that is not named.
    DataError
        If ids or times are missing, or nobody was in contact by `as_of`.
    ParameterError
        If `as_of` is no date, a window is no whole number of days, or `stages` names what does not
        occur while other names do.

    References
    ----------
    Lemon, K. N. & Verhoef, P. C. (2016). Understanding customer experience throughout the customer
    journey. Journal of Marketing 80(6), 69-96.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> contacts = pd.DataFrame({
    ...     "who": [7, 7, 7, 9],
    ...     "when": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-09", "2024-01-05"]),
    ...     "what": ["visit", "purchase", "visit", "visit"],
    ... })
    >>> touchpoints = cs.Touchpoints(contacts, customer_id="who", timestamp="when",
    ...                              touchpoint="what")
    >>> table = journey_features(touchpoints, as_of="2024-01-10", windows=(7,),
    ...                          stages={"look": ["visit"], "buy": ["purchase"]})
    >>> table[["contacts_7d", "last_touchpoint", "furthest_stage", "days_look_to_buy"]]
                 contacts_7d last_touchpoint furthest_stage  days_look_to_buy
    customer_id
    7                      1           visit            buy               2.0
    9                      1           visit           look               NaN
    """
    windows = _check_windows(windows)
    check_number(max_values, "max_values", ge=1, integer=True)
    plan = read_stages(touchpoints, stages)
    named = [role for role in ("touchpoint", "channel") if getattr(touchpoints, role)]
    staged = "stage" if touchpoints.stage and (plan is None or plan.role == "stage") else None
    roles = [*named, *([staged] if staged else [])]
    rows, day = contacts_until(touchpoints, as_of, roles=roles)
    counts = count_values(rows, roles, day)
    if plan is None:
        plan = customary_stages(touchpoints, counts) if staged else None
    else:
        plan.check(counts[plan.role])
    if plan:
        rows = rows.with_columns(plan.position.alias("_stage_position"))
    levels = {}
    for role in named:
        rows, levels[role] = bundle(rows, role, counts[role], max_values)
    table = _count(rows, levels, plan, day, windows)
    found: _Found = _contacts(table, day, windows)
    for role in named:
        found |= _values(table, role, levels[role], day, windows)
    if plan:
        found |= _stages(table, _moves(rows).reindex(table.index), plan)
    columns = {name: values for name, (values, _, _) in found.items()}
    features = pd.DataFrame(columns, index=table.index).sort_index()
    entries = {
        name: Column("journey", kind, definition, "touchpoints")
        for name, (_, kind, definition) in found.items()
    }
    return attach(features, entries, as_of=from_day(day))


def _check_windows(windows: Sequence[int]) -> list[int]:
    if isinstance(windows, str) or not isinstance(windows, Sequence):
        raise ParameterError(f"windows is {windows!r}, but must be days, such as (30, 90, 365).")
    for window in windows:
        check_number(window, "each of windows", ge=1, integer=True)
    return sorted(set(windows))


def _count(
    rows: nw.LazyFrame,
    levels: dict[str, list[str]],
    plan: Stages | None,
    day: int,
    windows: list[int],
) -> pd.DataFrame:
    """Return, by customer, all that one pass over the rows can count."""
    marks: dict[str, nw.Expr] = {}
    sums, highest, lowest = [], [DAY], [DAY]
    for w in windows:
        marks[f"in_{w}"] = one_if(nw.col(DAY) > day - w)
        sums.append(f"in_{w}")
    for role, values in levels.items():
        rows = rows.with_columns(_place(role, values).alias(f"{role}_place"))
        place = nw.col(f"{role}_place")
        for code in range(len(values)):
            marks[f"{role}_{code}"] = one_if(place == code)
            marks[f"{role}_{code}_day"] = nw.when(place == code).then(nw.col(DAY))
            sums.append(f"{role}_{code}")
            highest.append(f"{role}_{code}_day")
            for w in windows:
                recent = (place == code) & (nw.col(DAY) > day - w)
                marks[f"{role}_{code}_{w}"] = one_if(recent)
                sums.append(f"{role}_{code}_{w}")
        marks[f"{role}_key"] = nw.col(MOMENT) * len(values) + place
        lowest.append(f"{role}_key")
        highest.append(f"{role}_key")
    if plan:
        position = nw.col("_stage_position")
        key = nw.col(MOMENT) * len(plan.names) + position
        marks["stage_key"] = nw.when(position >= 0).then(key).otherwise(nw.lit(_NEVER))
        highest += ["_stage_position", "stage_key"]
        for code in range(len(plan.names)):
            marks[f"stage_{code}"] = nw.when(position == code).then(nw.col(MOMENT))
            lowest.append(f"stage_{code}")
    table = collect(
        (rows.with_columns(**marks) if marks else rows)
        .group_by("customer_id")
        .agg(
            nw.len().alias("contacts"),
            *(nw.col(name).sum() for name in sums),
            *(nw.col(name).min().alias(f"{name}_min") for name in lowest),
            *(nw.col(name).max().alias(f"{name}_max") for name in highest),
        )
    )
    days = rows.group_by("customer_id", DAY).agg(nw.len()).group_by("customer_id")
    table = table.merge(collect(days.agg(nw.len().alias("days"))), on="customer_id")
    return table.set_index(plain_ids(table["customer_id"])).drop(columns="customer_id")


def _place(role: str, values: list[str]) -> nw.Expr:
    """Return the position of a contact's value, as a whole number that is fast to compare."""
    same = (one_if(nw.col(text(role)) == value) for value in values)
    parts = [mark * place for place, mark in enumerate(same)]
    return sum(parts[1:], parts[0])


def _contacts(table: pd.DataFrame, day: int, windows: list[int]) -> _Found:
    found: _Found = {"contacts": (table["contacts"].astype("int64"), "count", "number of contacts")}
    for w in windows:
        about = f"contacts in the last {w} days up to as_of"
        found[f"contacts_{w}d"] = (table[f"in_{w}"].astype("int64"), "count", about)
    last, first = (day - table[f"{DAY}_{end}"].astype("int64") for end in ("max", "min"))
    days = table["days"].astype("int64")
    return found | {
        "contact_recency": (last, "count", "days from the last contact to as_of"),
        "contact_tenure": (first, "count", "days from the first contact to as_of"),
        "contact_days": (days, "count", "number of days with a contact"),
    }


def _values(
    table: pd.DataFrame, role: str, levels: list[str], day: int, windows: list[int]
) -> _Found:
    """Return what is known of each value of a role, and of the first and the last one."""
    prefix = _PREFIX[role]
    found: _Found = {}
    for place, value in enumerate(levels):
        name, what = f"{prefix}_{value}", f"contacts with {role} {value!r}"
        if value == OTHER:
            what = f"contacts with any other {role}"
        count = table[f"{role}_{place}"].astype("int64")
        found[f"{name}_count"] = (count, "count", f"number of {what}")
        for w in windows:
            recent = table[f"{role}_{place}_{w}"].astype("int64")
            about = f"number of {what} in the last {w} days up to as_of"
            found[f"{name}_count_{w}d"] = (recent, "count", about)
        found[f"{name}_share"] = (count / table["contacts"], "share", f"share of {what}")
        since = day - table[f"{role}_{place}_day_max"].astype("float64")
        found[f"{name}_recency"] = (since, "count", f"days since the last of the {what}")
    counts = [found[f"{prefix}_{value}_count"][0] for value in levels if value != MISSING]
    kinds = sum((count > 0).astype("int64") for count in counts)
    rest = ", any other as one" if OTHER in levels else ""
    found[f"{prefix}s_used"] = (kinds, "count", f"number of distinct {role}s{rest}")
    for end, which in (("min", "first"), ("max", "last")):
        code = np.mod(table[f"{role}_key_{end}"].to_numpy(dtype="int64"), len(levels))
        touch = pd.Series(np.array(levels, dtype=object)[code], index=table.index, dtype="str")
        found[f"{which}_{prefix}"] = (touch, "nominal", f"{role} of the {which} contact")
    return found


def _stages(table: pd.DataFrame, moves: pd.DataFrame, plan: Stages) -> _Found:
    names = plan.names
    first = [table[f"stage_{place}_min"].astype("float64") for place in range(len(names))]
    reached = [moment.notna().astype("int64") for moment in first]
    found: _Found = {
        f"stage_{name}_reached": (was, "binary", f"1 if a contact was in stage {name!r}")
        for name, was in zip(names, reached, strict=True)
    }
    furthest = table["_stage_position_max"].to_numpy(dtype="int64")
    key = table["stage_key_max"].to_numpy(dtype="int64")
    last = np.where(key == _NEVER, -1, np.mod(key, len(names)))
    found |= {
        "stages_reached": (sum(reached), "count", "number of distinct stages reached"),
        "furthest_stage": (
            pd.Categorical.from_codes(furthest, names, ordered=True),
            "ordinal",
            "furthest stage reached so far, in the order " + ", ".join(names),
        ),
        "last_stage": (
            pd.Categorical.from_codes(last, names, ordered=True),
            "ordinal",
            "stage of the last contact that has one",
        ),
    }
    for place in range(1, len(names)):
        before, after = names[place - 1], names[place]
        days = (first[place] - first[place - 1]) / DAY_LENGTH
        about = f"days from the first contact in stage {before!r} to the first in {after!r}"
        found[f"days_{before}_to_{after}"] = (days, "numeric", about)
    changes, loops = (moves[name].fillna(0).astype("int64") for name in ("changes", "loops"))
    about = "median days from the last contact in a stage to the first in the next one visited"
    return found | {
        "stage_changes": (changes, "count", "number of changes of stage"),
        "stage_loops": (loops, "count", "number of changes to an earlier stage"),
        "days_between_stages": (moves["days"].astype("float64"), "numeric", about),
    }


def _moves(rows: nw.LazyFrame) -> pd.DataFrame:
    """Return, by customer, the changes of stage, those to an earlier one, and their median days."""
    stage, moment = nw.col("_stage_position"), nw.col(MOMENT)
    in_order = {"order_by": [MOMENT, "_stage_position"]}
    steps = (
        rows.filter(stage >= 0)
        .select("customer_id", MOMENT, "_stage_position")
        .with_columns(
            before=stage.shift(1).over("customer_id", **in_order),
            since=moment.shift(1).over("customer_id", **in_order),
        )
        .filter(~nw.col("before").is_null())
        .filter(nw.col("before") != stage)
        .with_columns(
            loops=one_if(stage < nw.col("before")),
            days=(moment - nw.col("since")).cast(nw.Float64) / DAY_LENGTH,
        )
    )
    moves = collect(
        keep_middle(steps, "days", ["customer_id"])
        .group_by("customer_id")
        .agg(nw.len().alias("changes"), nw.col("loops").sum(), nw.col("days").mean())
    )
    return moves.set_index(plain_ids(moves["customer_id"]))
