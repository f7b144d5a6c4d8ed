"""How long do customers stay: Kaplan-Meier survival by segment, with log-rank tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from custseg._engine import collect
from custseg._labels import ALL
from custseg.audit import DAY
from custseg.errors import DataError, ParameterError, check_columns, check_number
from custseg.results import Result, format_number
from custseg.stats import holm, wilson
from custseg.tables import Transactions, plain_ids
from custseg.value._orders import read_orders
from custseg.value._segments import by_id, match_segments

Vector = NDArray[np.float64]

FEW = 10
SAME = 1e-12


@dataclass(frozen=True, repr=False, eq=False)
class Survival(Result):
    """Survival curves of all customers and of each segment.

    Attributes
    ----------
    curves : pandas.DataFrame
        ``segment``, ``time``, ``at_risk``, ``events``, ``survival``, ``ci_low``, ``ci_high``: a
        row per time at which anybody left or was last seen.
    log_rank : pandas.Series
        ``chi2``, ``df``, ``p_value`` of the test that all segments have one curve.
    pairs : pandas.DataFrame
        The same for every two segments: ``a``, ``b``, ``chi2``, ``p_value``, ``p_holm``.
    lengths : pandas.DataFrame
        Index ``segment``: ``n``, ``events``, ``median`` with ``median_low`` and ``median_high``
        (missing where half never left), and ``mean``, the mean time until `until` at most, with
        ``mean_se``.
    until : float
        The time to which every curve is known.
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    curves: pd.DataFrame
    log_rank: pd.Series
    pairs: pd.DataFrame
    lengths: pd.DataFrame
    until: float
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_segments.survival_curves"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment (everybody first) and horizon.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``horizon``, ``at_risk`` (customers seen that long), ``survival`` with
            ``ci_low`` and ``ci_high``, and ``churn``, which is 1 - ``survival``; missing beyond
            what was seen of a segment.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the median of everybody, churn at the last known horizon, and the test."""
        every = self.lengths.loc[ALL]
        told = [f"{every['events']:,.0f} of {every['n']:,.0f} customers left."]
        known = self._table.dropna(subset="survival")
        if len(known):
            last = known.loc[known["segment"] == ALL, "horizon"].max()
            rows = known[known["horizon"] == last]
            parts = [f"{row.segment} {row.churn:.0%}" for row in rows.itertuples()]
            told.append(f"Churn by {format_number(last)}: {', '.join(parts)}.")
        if self.log_rank["df"] > 0:
            p = self.log_rank["p_value"]
            shown = "< .001" if p < 0.001 else f"= {p:.3f}"
            told.append(f"One curve for all segments: log-rank p {shown}.")
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        return self._table.set_index(["segment", "horizon"])


def churn_by_silence(tx: Transactions, silence: int, *, as_of: Any = None) -> pd.DataFrame:
    """Say of each customer whether and when the first long silence began to count as leaving.

    Without contracts nobody says goodbye. Here a customer has left when `silence` days have passed
    without a purchase; that day, not the last purchase, is when it happens, and what follows
    changes nothing, so that the answer does not depend on how long the data go on.

    Parameters
    ----------
    tx
        Cleaned order lines; columns in: customer_id, timestamp and, where it is named, amount
        (money given back is no purchase).
    silence
        Days without a purchase after which a customer has left.
    as_of
        A calendar date: nothing later counts. ``None`` is the last date present.

    Returns
    -------
    pandas.DataFrame
        By customer_id: ``duration`` in days from the first purchase until leaving or `as_of`,
        ``churned``, and ``came_back``, whether a purchase followed the silence.

    Raises
    ------
    DataError
        If customers or times are missing, or nobody bought by `as_of`.
    ParameterError
        If `silence` is not a whole number of at least 1.

    Examples
    --------
    >>> import custseg as cs
    >>> lines = pd.DataFrame({"who": [1, 1, 2, 3, 3], "when": [
    ...     "2024-01-01", "2024-01-20", "2024-01-05", "2024-01-01", "2024-03-25"]})
    >>> tx = cs.Transactions(lines, customer_id="who", timestamp="when")
    >>> churn_by_silence(tx, 60, as_of="2024-03-10")
                 duration  churned  came_back
    customer_id
    1                  69    False      False
    2                  60     True      False
    3                  60     True      False
    """
    check_number(silence, "silence", ge=1, integer=True)
    lines, last_day = read_orders(tx, as_of)
    days = lines.filter(nw.col("purchase") == 1).group_by("customer_id", DAY)
    seen = days.agg(nw.len().alias("lines")).with_columns(
        before=nw.col(DAY).shift(1).over("customer_id", order_by=DAY)
    )
    quiet = nw.col(DAY) - nw.col("before") > silence
    marked = seen.with_columns(last=nw.col(DAY), quiet=nw.when(quiet).then(nw.col("before")))
    found = collect(
        marked.group_by("customer_id").agg(
            nw.col(DAY).min().alias("first"), nw.col("last").max(), nw.col("quiet").min()
        )
    )
    if found.empty:
        raise DataError("nobody bought by as_of. Choose a later one.")
    found = found.set_index(plain_ids(found["customer_id"])).sort_index()
    came_back = found["quiet"].notna()
    silent_from = found["quiet"].fillna(found["last"]).astype("int64")
    churned = came_back | (last_day - silent_from > silence)
    until = (silent_from + silence).where(churned, last_day)
    return pd.DataFrame(
        {
            "duration": until - found["first"].astype("int64"),
            "churned": churned,
            "came_back": came_back,
        }
    )


def survival(
    customers: pd.DataFrame,
    segments: Any = None,
    *,
    duration: str = "duration",
    event: str = "churned",
    horizons: Sequence[float] = (30, 90, 180, 365),
    level: float = 0.95,
) -> Survival:
    """Estimate by Kaplan and Meier which share of customers stays how long, by segment.

    Parameters
    ----------
    customers
        One row per customer, indexed by customer_id: how long each was seen, and whether the time
        ended with leaving; such as what `churn_by_silence` returns, or contracts.
    segments
        As in `custseg.value.satisfaction`.
    duration, event
        The columns; times of at least 0 in any unit, and true or 1 where the customer left.
    horizons
        The times at which survival is told.
    level
        Confidence level of the intervals.

    Returns
    -------
    Survival
        Greenwood's variance, with intervals on the scale of log(-log); while nobody has left, or
        once everybody has, Wilson's for those at risk. Medians have intervals that invert these;
        log-rank tests are unweighted.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If a time is negative or missing, an event is neither true nor false, or ids do not match.
    ParameterError
        If there is no horizon.

    References
    ----------
    Kaplan, E. L. and Meier, P. (1958), JASA 53, 457-481. Kalbfleisch, J. D. and Prentice, R. L.
    (2002), The Statistical Analysis of Failure Time Data, 2nd ed., section 1.4.

    Examples
    --------
    >>> import pandas as pd
    >>> weeks = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    >>> left = [1] * 9 + [0] * 12
    >>> patients = pd.DataFrame({"duration": weeks, "churned": left})
    >>> found = survival(patients, horizons=[10, 22])
    >>> found.to_frame()[["horizon", "at_risk", "survival"]].round(3)
       horizon  at_risk  survival
    0       10       15     0.753
    1       22        7     0.538
    """
    check_number(level, "level", gt=0, lt=1)
    times = _check_horizons(horizons)
    if not isinstance(customers, pd.DataFrame) or customers.empty:
        raise DataError(
            f"customers is a {type(customers).__name__} without rows or columns, but must be a "
            "frame with one row per customer, such as churn_by_silence(...) returns."
        )
    check_columns(list(customers.columns), [duration, event], where="customers")
    if not customers.index.is_unique:
        raise DataError("customers must have one row per customer. Keep one row for each id.")
    labels, notes = match_segments(segments, customers.index)
    table = by_id(pd.DataFrame({"time": customers[duration], "event": customers[event]}))
    labels = labels.reindex(table.index)
    table = _check_times(table, duration, event)[labels.notna().to_numpy()]
    labels = labels.dropna()
    time, left = table["time"].to_numpy(), table["event"].to_numpy()
    names = [name for name in labels.cat.categories if name != ALL]
    groups = {ALL: np.ones(len(time), bool)} | {name: (labels == name).to_numpy() for name in names}
    curves = {name: _curve(time[own], left[own], level) for name, own in groups.items()}
    until = min(curve["time"].max() for curve in curves.values())
    lengths = {name: _lengths(curve, until) for name, curve in curves.items()}
    drawn = pd.concat([curve.assign(segment=name) for name, curve in curves.items()])
    rows = [
        _at(own, times, level).assign(segment=name)
        for name, own in drawn.groupby("segment", sort=False)
    ]
    frame = pd.concat(rows, ignore_index=True)
    order = ["segment", "horizon", "at_risk", "survival", "ci_low", "ci_high", "churn"]
    few = [f"{name} ({own['events']:,})" for name, own in lengths.items() if own["events"] < FEW]
    if few:
        notes.append(
            f"fewer than {FEW} left: {', '.join(few)}. Intervals and tests are rough there."
        )
    notes.append(
        "who was not seen to the end is taken to stay as long as the others: newer customers of "
        "another kind would bend the curve."
    )
    return Survival(
        frame[order],
        drawn.reset_index(drop=True)[
            ["segment", "time", "at_risk", "events", "survival", "ci_low", "ci_high"]
        ],
        _log_rank(time, left, labels.to_numpy(dtype=object), names),
        _pairs(time, left, labels.to_numpy(dtype=object), names),
        pd.DataFrame(lengths).T.rename_axis("segment"),
        float(until),
        level,
        tuple(notes),
    )


def restricted_mean(curve: pd.DataFrame, until: float) -> tuple[float, float]:
    """Return the mean time until leaving, at most `until`, with its standard error."""
    inside = curve[curve["time"] < until]
    times = np.concatenate([[0.0], inside["time"], [until]])
    area = np.concatenate([[1.0], inside["survival"]]) * np.diff(times)
    later = area[::-1].cumsum()[::-1][1:]
    n, d = inside["at_risk"].to_numpy(), inside["events"].to_numpy()
    stay = np.where(n > d, n - d, 1)
    terms = np.where(n > d, later**2 * d / (n * stay), 0.0)
    return float(area.sum()), float(np.sqrt(terms.sum()))


def _check_horizons(horizons: Sequence[float]) -> list[float]:
    times = list(np.atleast_1d(np.asarray(horizons, dtype=object)))
    if not times:
        raise ParameterError("horizons is empty. Give one time at least, such as [90, 365].")
    for time in times:
        check_number(time, "a horizon", gt=0)
    return sorted(set(times))


def _check_times(table: pd.DataFrame, duration: str, event: str) -> pd.DataFrame:
    if not pd.api.types.is_numeric_dtype(table["time"]):
        raise DataError(
            f"column {duration!r} holds {table['time'].dtype}, not numbers. Make it days first."
        )
    if not pd.api.types.is_numeric_dtype(table["event"]):
        raise DataError(f"column {event!r} holds {table['event'].dtype}, not true or false.")
    values = table.to_numpy(dtype=float, na_value=np.nan)
    wrong = ~np.isfinite(values).all(axis=1) | (values[:, 0] < 0) | ~np.isin(values[:, 1], (0, 1))
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum()):,} customers have a {duration!r} that is missing or below 0, or a "
            f"{event!r} that is neither true nor false. Mend or drop them first."
        )
    return pd.DataFrame({"time": values[:, 0], "event": values[:, 1].astype(int)}, table.index)


def _curve(time: Vector, left: Vector, level: float) -> pd.DataFrame:
    """Return the curve at every time that was seen."""
    times, place = np.unique(time, return_inverse=True)
    d = np.bincount(place, left).astype(int)
    n = np.bincount(place)[::-1].cumsum()[::-1]
    s = np.cumprod(1 - d / n)
    z = stats.norm.isf((1 - level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.sqrt(np.cumsum(d / (n * (n - d))))
        spread = np.exp(z * relative / np.abs(np.log(s)))
        low, high = s**spread, s ** (1 / spread)
    edge = (s >= 1) | (s <= 0)
    wide = wilson(np.where(s >= 1, n, 0), n, level=level)
    low, high = np.where(edge, wide[0], low), np.where(edge, wide[1], high)
    columns = {"time": times, "at_risk": n, "events": d, "survival": s}
    return pd.DataFrame(columns | {"ci_low": low, "ci_high": high})


def _at(curve: pd.DataFrame, horizons: list[float], level: float) -> pd.DataFrame:
    """Return the curve at the horizons, missing beyond its last time."""
    times = curve["time"].to_numpy()
    rows = []
    for horizon in horizons:
        place = np.searchsorted(times, horizon, side="right") - 1
        later = np.searchsorted(times, horizon, side="left")
        at_risk = curve["at_risk"].iloc[later] if later < len(times) else 0
        row = {"horizon": horizon, "at_risk": at_risk}
        if at_risk and place >= 0:
            row |= curve.iloc[place][["survival", "ci_low", "ci_high"]].to_dict()
        elif at_risk:
            low, high = wilson(at_risk, at_risk, level=level)
            row |= {"survival": 1.0, "ci_low": low, "ci_high": high}
        else:
            row |= dict.fromkeys(("survival", "ci_low", "ci_high"), np.nan)
        rows.append(row | {"churn": 1 - row["survival"]})
    return pd.DataFrame(rows)


def _lengths(curve: pd.DataFrame, until: float) -> dict[str, float]:
    """Return customers, leavers, when the curve and its bounds come down to a half, the mean."""
    mean, se = restricted_mean(curve, until)
    found: dict[str, float] = {
        "n": int(curve["at_risk"].iloc[0]),
        "events": int(curve["events"].sum()),
    }
    parts = {"median": "survival", "median_low": "ci_low", "median_high": "ci_high"}
    for name, column in parts.items():
        reached = curve.loc[curve[column] <= 0.5 + SAME, "time"]
        found[name] = float(reached.iloc[0]) if len(reached) else np.nan
    return found | {"mean": mean, "mean_se": se}


def _log_rank(time: Vector, left: Vector, labels: NDArray[Any], names: list[str]) -> pd.Series:
    if len(names) < 2 or not left.any():
        return pd.Series({"chi2": np.nan, "df": 0, "p_value": np.nan})
    from statsmodels.duration.survfunc import survdiff  # slow to load

    chi2, p_value = survdiff(time, left, labels)
    return pd.Series({"chi2": float(chi2), "df": len(names) - 1, "p_value": float(p_value)})


def _pairs(time: Vector, left: Vector, labels: NDArray[Any], names: list[str]) -> pd.DataFrame:
    rows = []
    for a, b in combinations(names, 2):
        both = (labels == a) | (labels == b)
        found = _log_rank(time[both], left[both], labels[both], [a, b])
        rows.append({"a": a, "b": b, "chi2": found["chi2"], "p_value": found["p_value"]})
    frame = pd.DataFrame(rows, columns=["a", "b", "chi2", "p_value"])
    return frame.assign(p_holm=holm(frame["p_value"].to_numpy(dtype=float)))
