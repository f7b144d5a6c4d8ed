"""Does an effect fade or grow: over periods after exposure, or from entry day to entry day."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, text_to_time
from custseg.campaigns._moments import Moments
from custseg.stats import Difference, welch

OVER_TIME_COLUMNS = ["metric", "arm", "period", "effect", "se", "ci_low", "ci_high"]


def with_times(data: nw.LazyFrame, columns: Sequence[str]) -> nw.LazyFrame:
    """Return the data with columns of text as times, or as dates where they know days only."""
    schema = data.collect_schema()
    for column in dict.fromkeys(name for name in columns if schema[name] == nw.String):
        what = f"column {column!r}, which must hold dates, times or numbers,"
        data, time = text_to_time(data, column, what=what), nw.col(column).dt
        of_day = data.select(time.hour() * 3_600 + time.minute() * 60 + time.second())
        if not collect(of_day.select(nw.all().max())).fillna(0).iloc[0, 0]:
            data = data.with_columns(nw.col(column).cast(nw.Date))
    return data


def period_slopes(moments: Moments) -> tuple[np.ndarray, Difference]:
    """Return the mean slope of each arm's customers over periods, and how arms differ from control.

    Parameters
    ----------
    moments
        Of the outcome in the last period, then in the first, the second, ...; of everybody first.
        Periods of one customer depend on each other: the slope has their covariances in it.
    """
    p, n = moments.mean.shape[-1], moments.n[0]
    time = np.roll(np.arange(p), 1) - (p - 1) / 2
    weight = time / (time @ time)
    slope = moments.mean[0] @ weight
    variance = np.einsum("i,aij,j->a", weight, moments.cross[0], weight) / (n - 1) / n
    return slope, _against_control(slope, variance, n - 1)


def entry_slopes(moments: Moments) -> tuple[np.ndarray, Difference]:
    """Return each arm's slope of the outcome on the day of entry, and how it differs from control.

    Parameters
    ----------
    moments
        Of the outcome and the day; of everybody first. Least squares within each arm.
    """
    n, cross = moments.n[0], moments.cross[0]
    spread = np.where(cross[:, 1, 1] > 0, cross[:, 1, 1], np.nan)
    slope = cross[:, 0, 1] / spread
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(cross[:, 0, 0] - slope * cross[:, 0, 1], 0) / (n - 2) / spread
    return slope, _against_control(slope, variance, n - 2)


def by_period(
    name: str, columns: Sequence[str], moments: Moments, arms: Sequence[Any]
) -> pd.DataFrame:
    """Return the effect on everybody in each period, by Welch's t, for each treatment arm."""
    n = moments.n[0]
    mean = np.roll(moments.mean[0], -1, axis=-1)
    spread = np.diagonal(moments.cross[0], axis1=-2, axis2=-1) / ((n - 1) * n)[:, None]
    variance, df = np.roll(spread, -1, axis=-1), n[:, None] - 1
    found = welch(mean[0], mean[1:], variance[0], variance[1:], df[0], df[1:])
    frame = pd.DataFrame(
        {
            "metric": name,
            "arm": np.repeat(np.array(arms[1:], dtype=object), len(columns)),
            "period": list(columns) * (len(arms) - 1),
        }
    )
    numbers = ("effect", "se", "ci_low", "ci_high")
    return frame.assign(**{column: getattr(found, column).ravel() for column in numbers})


def _against_control(slope: np.ndarray, variance: np.ndarray, df: np.ndarray) -> Difference:
    return welch(slope[0], slope[1:], variance[0], variance[1:], df[0], df[1:])
