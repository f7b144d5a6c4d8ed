"""Counts of moves between states by segment, with what their intervals need."""

from collections.abc import Sequence
from dataclasses import dataclass

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._engine import collect, keep_middle, one_if
from custseg.features._touchpoints import DAY_LENGTH, MOMENT, Stages, clustered_wilson

ENTRY, EXIT = "(entry)", "(exit)"

PAIN_COLUMNS = (
    *("segment", "kind", "from", "to", "n", "n_from", "probability", "ci_low", "ci_high"),
    *("reference", "reference_probability", "reference_low", "reference_high", "extra", "flagged"),
)

_OPEN = -1
_PAIR = ("d", "dd", "dn", "da", "dt", "movers", "leavers", "travellers")
_START = ("s", "ss", "sj", "starters", "beginners")

Grid = NDArray[np.float64]


@dataclass(frozen=True)
class Moves:
    """Sums over customers by segment (everybody first), state and next state (the exit last).

    `sums`: d counts a customer's moves between two states, n all moves from the first of them, a
    all moves to the second, t all moves; d, dd, dn, da and dt are summed over customers. `movers`
    are the customers with d above 0; `leavers`, summed over next states, those with n above 0;
    `travellers`, summed over both, those with t above 0.

    `starts`, by segment and state: s counts the journeys that a customer starts in a state, j all
    of them; s, ss and sj are summed, `starters` are the customers with s above 0; `beginners`,
    summed over states, those with j above 0.
    """

    sums: dict[str, Grid]
    starts: dict[str, Grid]
    median_days: Grid
    contacts: int
    without_segment: int
    open: int


def count_moves(rows: nw.LazyFrame, plan: Stages, *, silence: float, n_segments: int) -> Moves:
    """Count moves where the rows are; only sums by segment and pair of states come back."""
    size = len(plan.names)
    group = ["_segment"] if n_segments else []
    steps = _steps(rows, plan, group, round(silence * DAY_LENGTH))
    sums = collect(_sums(steps, group))
    if not n_segments:
        sums["_segment"] = 0
    sums = sums.astype({"_segment": "int64", "_state": "int64", "_next": "int64"})
    assigned = sums[sums["_segment"] >= 0]
    days = _median_days(steps, group, max(n_segments, 1), size)
    moved = assigned[assigned["_next"] != _OPEN]
    shape = (max(n_segments, 1), size, size + 1)

    def grid(name: str, frame: pd.DataFrame, keys: list[str]) -> Grid:
        filled = np.zeros(shape[: len(keys)])
        place = tuple(frame[key].to_numpy() for key in keys)
        np.add.at(filled, place, frame[name].to_numpy(dtype="float64"))
        return np.concatenate([filled.sum(axis=0, keepdims=True), filled]) if n_segments else filled

    pair = ["_segment", "_state", "_next"]
    return Moves(
        sums={name: grid(name, moved, pair) for name in _PAIR},
        starts={name: grid(name, assigned, pair[:2]) for name in _START},
        median_days=days,
        contacts=int(assigned["contacts"].sum()),
        without_segment=int(sums.loc[sums["_segment"] < 0, "contacts"].sum()),
        open=int(assigned.loc[assigned["_next"] == _OPEN, "contacts"].sum()),
    )


def _steps(rows: nw.LazyFrame, plan: Stages, group: list[str], silence: int) -> nw.LazyFrame:
    """Return each contact with its state, the next one and the days until then."""
    moment = nw.col(MOMENT)
    in_order = {"order_by": [MOMENT, "_state"]}
    steps = (
        rows.with_columns(plan.position.alias("_state"))
        .filter(nw.col("_state") >= 0)
        .select("customer_id", MOMENT, "_state", *group)
        .with_columns(
            after=nw.col("_state").shift(-1).over("customer_id", **in_order),
            until=moment.shift(-1).over("customer_id", **in_order) - moment,
            since=moment - moment.shift(1).over("customer_id", **in_order),
        )
    )
    last = nw.when(moment < -silence).then(nw.lit(len(plan.names))).otherwise(nw.lit(_OPEN))
    ended = nw.when(nw.col("until") > silence).then(nw.lit(len(plan.names))).otherwise(last)
    return steps.with_columns(
        nw.when(nw.col("until") <= silence).then(nw.col("after")).otherwise(ended).alias("_next"),
        nw.when(nw.col("since") <= silence).then(nw.lit(0.0)).otherwise(nw.lit(1.0)).alias("start"),
        (nw.col("until").cast(nw.Float64) / DAY_LENGTH).alias("days"),
    )


def _sums(steps: nw.LazyFrame, group: list[str]) -> nw.LazyFrame:
    """Return sums by segment, state and next state, over customers who come in several rows."""
    cells = (
        steps.group_by("customer_id", *group, "_state", "_next")
        .agg(nw.len().alias("contacts"), nw.col("start").sum().alias("s"))
        .with_columns(nw.col("contacts").cast(nw.Float64))
        .with_columns(
            d=nw.when(nw.col("_next") >= 0).then(nw.col("contacts")).otherwise(nw.lit(0.0))
        )
    )
    d, s = nw.col("d"), nw.col("s")
    cells = cells.with_columns(
        n=d.sum().over("customer_id", "_state"),
        a=d.sum().over("customer_id", "_next"),
        t=d.sum().over("customer_id"),
        own=s.sum().over("customer_id", "_state"),
        j=s.sum().over("customer_id"),
    )
    n, t, moved = nw.col("n"), nw.col("t"), d > 0
    cells = cells.with_columns(
        dd=d * d,
        dn=d * n,
        da=d * nw.col("a"),
        dt=d * t,
        movers=one_if(moved).cast(nw.Float64),
        leavers=nw.when(moved).then(d / n).otherwise(nw.lit(0.0)),
        travellers=nw.when(moved).then(d / t).otherwise(nw.lit(0.0)),
        ss=s * nw.col("own"),
        sj=s * nw.col("j"),
        starters=nw.when(s > 0).then(s / nw.col("own")).otherwise(nw.lit(0.0)),
        beginners=s / nw.col("j"),
    )
    names = ["contacts", *_PAIR, *_START]
    return cells.group_by(*group, "_state", "_next").agg(*(nw.col(name).sum() for name in names))


def _median_days(steps: nw.LazyFrame, group: list[str], n_segments: int, size: int) -> Grid:
    """Return median days by segment (everybody first), state and next state; NaN at the exit."""
    moved = steps.filter((nw.col("_next") >= 0) & (nw.col("_next") < size))
    if group:
        moved = moved.filter(nw.col("_segment") >= 0)
    days = np.full((n_segments + (1 if group else 0), size, size + 1), np.nan)
    for first, keys in ((0, []), (1, group)) if group else ((0, []),):
        cell = [*keys, "_state", "_next"]
        middle = keep_middle(moved, "days", cell)
        found = collect(middle.group_by(*cell).agg(nw.col("days").mean()))
        place = found["_segment"].to_numpy(dtype="int64") + first if keys else 0
        state, after = (found[key].to_numpy(dtype="int64") for key in ("_state", "_next"))
        days[place, state, after] = found["days"].to_numpy(dtype="float64")
    return days


def tabulate(
    moves: Moves, segments: Sequence[str], states: Sequence[str], *, level: float
) -> pd.DataFrame:
    """Return one row per segment, `from` and `to`, entries first and exits last."""
    d, (n, low, high) = moves.sums["d"], _shares(moves, level)
    s = moves.starts["s"]
    total = np.repeat(s.sum(axis=1, keepdims=True), len(states), axis=1)
    pairs = moves.starts["sj"].sum(axis=1, keepdims=True)
    beginners = moves.starts["beginners"].sum(axis=1, keepdims=True)
    start = clustered_wilson(
        s, total, moves.starts["ss"], moves.starts["sj"], pairs, beginners, level=level
    )
    missing = np.full(s.shape, np.nan)
    parts = {
        "n": (s, d),
        "n_from": (total, n),
        "customers": (moves.starts["starters"], moves.sums["movers"]),
        "ci_low": (start[0], low),
        "ci_high": (start[1], high),
        "median_days": (missing, moves.median_days),
    }
    index = [
        (segment, origin, after)
        for segment in segments
        for origin in (ENTRY, *states)
        for after in (states if origin == ENTRY else (*states, EXIT))
    ]
    table = pd.DataFrame(index, columns=["segment", "from", "to"])
    for name, (starting, moving) in parts.items():
        flat = [starting, moving.reshape(len(segments), -1)]
        table[name] = np.concatenate(flat, axis=1).ravel()
    counts = ["n", "n_from", "customers"]
    table[counts] = table[counts].round().astype("int64")
    table.insert(6, "probability", table["n"] / table["n_from"].where(table["n_from"] > 0))
    return table


def compare_pains(
    moves: Moves,
    segments: Sequence[str],
    states: Sequence[str],
    trouble: Sequence[str],
    *,
    level: float,
) -> pd.DataFrame:
    """Return where customers leave, or turn to trouble, and whether more often than elsewhere."""
    targets = [len(states), *(states.index(name) for name in trouble)]
    n_from = moves.sums["d"].sum(axis=2)
    rows = [
        (g, i, t)
        for g in range(len(segments))
        for i in range(len(states))
        for t in targets
        if i != t and n_from[g, i] > 0
    ]
    adjusted = 1 - (1 - level) / max(len(rows), 1)
    n, low, high = _shares(moves, adjusted)
    every, every_low, every_high = _shares_of_all(moves, adjusted)
    d = moves.sums["d"]
    found = []
    for g, i, t in rows:
        share = d[g, i, t] / n[g, i, t]
        if g:
            mean = d[0, i, t] / n[0, i, t]
            against = ("all customers", mean, low[0, i, t], high[0, i, t])
        else:
            against = ("all states", every[t], every_low[t], every_high[t])
        found.append(
            {
                "segment": segments[g],
                "kind": "drop-off" if t == len(states) else "trouble",
                "from": states[i],
                "to": EXIT if t == len(states) else states[t],
                "n": round(d[g, i, t]),
                "n_from": round(n[g, i, t]),
                "probability": share,
                "ci_low": low[g, i, t],
                "ci_high": high[g, i, t],
                "reference": against[0],
                "reference_probability": against[1],
                "reference_low": against[2],
                "reference_high": against[3],
                "extra": (share - against[1]) * n[g, i, t],
                "flagged": bool(low[g, i, t] > against[3]),
            }
        )
    pains = pd.DataFrame(found, columns=list(PAIN_COLUMNS))
    return pains.sort_values("extra", ascending=False, kind="stable", ignore_index=True)


def _shares(moves: Moves, level: float) -> tuple[Grid, Grid, Grid]:
    """Return the moves from each state, and the interval of each share of them."""
    sums = moves.sums
    n, nn, customers = (sums[k].sum(axis=2, keepdims=True) for k in ("d", "dn", "leavers"))
    n = np.repeat(n, sums["d"].shape[2], axis=2)
    low, high = clustered_wilson(sums["d"], n, sums["dd"], sums["dn"], nn, customers, level=level)
    return n, low, high


def _shares_of_all(moves: Moves, level: float) -> tuple[Grid, Grid, Grid]:
    """Return the share of everybody's moves that go to each state or the exit, with intervals."""
    sums = {name: values[0] for name, values in moves.sums.items()}
    x, xx, xn = (sums[name].sum(axis=0) for name in ("d", "da", "dt"))
    n, nn, customers = (sums[name].sum() for name in ("d", "dt", "travellers"))
    low, high = clustered_wilson(x, n, xx, xn, nn, customers, level=level)
    return x / np.where(n > 0, n, np.nan), low, high
