"""Who came when: sums of a campaign by segment, arm and day, from its own engine."""

from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, day_number, from_day, one_if, text_to_time, to_lazy
from custseg._labels import ALL
from custseg.campaigns._cells import Cells, Roles, read_cells
from custseg.campaigns._moments import Moments
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.metrics import Metric
from custseg.errors import DataError, check_columns
from custseg.tables import Experiment

_MOST_DAYS = 400


class Enrolment(NamedTuple):
    """Sums by segment, arm and day, and which day each of its rows is, -1 where there is none."""

    cells: Cells
    day: np.ndarray
    days: pd.Index

    @property
    def groups(self) -> list[str]:
        """Everybody, then each segment."""
        return [ALL, *self.cells.segments]

    def by_day(self, m: int, metric: Metric) -> Moments:
        """Return the moments of all who came by each day: the groups of the first, of the next, ...

        Sums of deviations from one centre add up from day to day.
        """
        cells, here = self.cells, self.day >= 0
        n, mean, cross, third = (part[here] for part in cells.central(m, metric))
        frame, some = cells.frame[here], n > 0
        centre = n[some] @ mean[some] / n.sum() if some.any() else mean.sum(axis=0)
        away = np.where(some[:, None], mean - centre, 0.0)
        cross = np.where(some[:, None, None], cross, 0.0)
        third = np.where(some[:, None, None, None], third, 0.0)
        k = metric.third
        place = self.day[here], frame["group"].to_numpy(), frame["arm"].to_numpy()
        shape = len(self.days), len(cells.segments) + 1, len(cells.arms)

        def so_far(values: np.ndarray, ufunc: np.ufunc = np.add, start: float = 0.0) -> np.ndarray:
            grid = np.full((*shape, *values.shape[1:]), start)
            ufunc.at(grid, place, values)
            grid = ufunc.accumulate(grid, axis=0)
            whole = ufunc.reduce(grid, axis=1, keepdims=True)
            groups = np.concatenate([whole, grid[:, :-1]], axis=1)
            return groups.reshape(shape[0] * shape[1], *grid.shape[2:])

        columns = range(mean.shape[1])
        low, high = (
            so_far(frame[[f"{end}_{m}_{i}" for i in columns]].to_numpy(dtype=float), ufunc, np.nan)
            for end, ufunc in (("lo", np.fmin), ("hi", np.fmax))
        )
        size, moved = so_far(n), so_far(n[:, None] * away)
        products = so_far(cross + _powers(n, away, 2))
        cubes = so_far(third + _thrice(away[:, :k], cross[:, :k, :k]) + _powers(n, away[:, :k], 3))
        with np.errstate(divide="ignore", invalid="ignore"):
            away = moved / size[..., None]
        e = away[..., :k]
        cubes += 2 * _powers(size, e, 3) - _thrice(e, products[..., :k, :k])
        products -= _powers(size, away, 2)
        constant = low == high
        products[constant[..., :, None] | constant[..., None, :]] = 0.0
        return Moments(size, np.where(constant, low, centre + away), products, third=cubes)


def _powers(n: np.ndarray, away: np.ndarray, power: int) -> np.ndarray:
    """Return n times the outer product of deviations (..., p) with themselves."""
    letters = "ijh"[:power]
    return np.einsum(
        f"...,{','.join(f'...{x}' for x in letters)}->...{letters}", n, *[away] * power
    )


def _thrice(away: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Return the sum of deviations times products of the other two, over the three ways."""
    ways = ("...i,...jh->...ijh", "...j,...ih->...ijh", "...h,...ij->...ijh")
    return sum(np.einsum(way, away, cross) for way in ways)


def read_enrolment(data: Any, test: CampaignTest, day: str) -> Enrolment:
    """Add up the customers of each segment, arm and day.

    Parameters
    ----------
    data
        One row per customer, any kind of table.
    test
        Says what is read, and who is compared.
    day
        The column of days: times, dates, text that is one, or whole numbers.

    Returns
    -------
    Enrolment
        All who are in an arm.

    Raises
    ------
    ColumnError, ParameterError, DataError
        If columns, arms, days or values do not allow it.
    """
    customer_id = test.customer_id
    if isinstance(data, Experiment):
        lazy, customer_id = data.frame, customer_id or data.customer_id
    else:
        lazy = to_lazy(data)
    schema = lazy.collect_schema()
    check_columns(schema.names(), [test.arm, day], where="the campaign data")
    dated = not schema[day].is_numeric()
    if dated:
        if schema[day] in (nw.Duration, nw.Time):
            raise DataError(
                f"column {day!r} is of type {schema[day]}, but must hold dates, times with a date "
                "or whole numbers of days."
            )
        if not schema[day].is_temporal():
            lazy = text_to_time(lazy, day, what=f"column {day!r}")
        lazy = lazy.with_columns(day_number(day).alias(day))
    first, last = _first_and_last(lazy, test.arm, day)
    lazy = lazy.with_columns(nw.col(day).cast(nw.Int64))
    roles = Roles(test.arm, test.metrics, test.segments, customer_id, day)
    cells = read_cells(lazy, roles, test.control, list(test.allocation or []))
    number = pd.to_numeric(cells.frame["day"]).astype("float64")
    every = range(first, last + 1)
    return Enrolment(
        cells,
        (number - first).fillna(-1).astype(int).to_numpy(),
        pd.DatetimeIndex([from_day(d) for d in every]) if dated else pd.Index(every),
    )


def _first_and_last(lazy: nw.LazyFrame, arm: str, day: str) -> tuple[int, int]:
    """Return the first and the last day of customers in an arm."""
    known = lazy.filter(~nw.col(arm).is_null(), ~nw.col(day).is_null())
    found = collect(
        known.select(nw.col(day), odd=one_if(nw.col(day) % 1 != 0)).select(
            nw.col(day).min().alias("first"), nw.col(day).max().alias("last"), nw.col("odd").sum()
        )
    ).iloc[0]
    if pd.isna(found["first"]):
        raise DataError(f"no customer in an arm has a day in column {day!r}.")
    first, last = float(found["first"]), float(found["last"])
    if found["odd"] or not last - first < _MOST_DAYS:
        raise DataError(
            f"column {day!r} runs from {first:g} to {last:g}, but must hold dates or whole numbers "
            f"of days, over at most {_MOST_DAYS} days. Is it the day of the campaign?"
        )
    return int(first), int(last)
