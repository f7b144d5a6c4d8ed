"""How long a campaign takes: from the customers who come to the customers it needs."""

from dataclasses import dataclass
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, day_number, from_day, text_to_time, to_lazy
from custseg.errors import DataError, check_columns, check_number
from custseg.results import Result


@dataclass(frozen=True, repr=False, eq=False)
class Duration(Result):
    """How many days a campaign takes.

    Attributes
    ----------
    customers
        Customers that the arms need.
    enrolment
        Days until that many have come; ``None`` where the history is too short to tell.
    follow_up
        Days that each customer is observed for.
    days
        Enrolment and follow-up; ``None`` where the history is too short to tell.
    curve
        Customers in the arms by day of enrolment, from day 1.
    notes
        Caveats.
    """

    customers: int
    enrolment: int | None
    follow_up: int
    days: int | None
    curve: pd.Series
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "campaign_design.duration"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per day of enrolment.

        Returns
        -------
        pandas.DataFrame
            `day`, `customers` (in the arms by its end).
        """
        return self.curve.rename("customers").rename_axis("day").reset_index()

    def summary(self) -> str:
        """Return the days in a sentence."""
        if self.days is None:
            return (
                f"{self.customers:,} customers do not come in {len(self.curve):,} days: "
                f"{int(self.curve.iloc[-1]):,} do."
            )
        after = (
            f", and {self.follow_up:,} days to follow the last of them" if self.follow_up else ""
        )
        return (
            f"{self.customers:,} customers take {self.enrolment:,} days to come{after}: "
            f"{self.days:,} days in all."
        )

    def _shown(self) -> pd.DataFrame:
        numbers = [("customers", self.customers), ("enrolment (days)", self.enrolment)]
        numbers += [("follow-up (days)", self.follow_up), ("in all (days)", self.days)]
        return pd.DataFrame(numbers, columns=["what", "number"])


def duration(
    n: float, traffic: float | pd.Series, *, share: float = 1.0, follow_up: int = 0
) -> Duration:
    """Return how many days it takes until `n` customers have come and were observed.

    Parameters
    ----------
    n
        Customers that the arms need.
    traffic
        New customers a day; or a Series of all different customers who have come by the end of each
        day, as `customers_by_day` counts them. The second is what campaigns live on that meet
        customers as they return: the first days bring many, later ones ever fewer new ones.
    share
        Share of those who come who are in the arms.
    follow_up
        Days that each customer is observed for.

    Returns
    -------
    Duration
        Days to enrol and in all.

    Raises
    ------
    ParameterError
        If a number is outside its bounds.
    DataError
        If the Series is empty, missing somewhere or falls.

    Examples
    --------
    >>> duration(9_000, 500, follow_up=14).days
    32
    >>> duration(900, pd.Series([400, 700, 850, 930]), share=0.9).days is None
    True
    """
    check_number(n, "n", gt=0)
    check_number(share, "share", gt=0, le=1)
    check_number(follow_up, "follow_up", ge=0, integer=True)
    if isinstance(traffic, pd.Series):
        reached = traffic.to_numpy(dtype=float)
        if not len(reached) or not (np.diff(reached, prepend=0) >= 0).all():
            raise DataError(
                "traffic must be all different customers by the end of each day, which never fall: "
                "customers_by_day counts them."
            )
    else:
        check_number(traffic, "traffic", gt=0)
        days = max(int(np.ceil(n / (traffic * share) - 1e-9)), 1)
        reached = traffic * np.arange(1.0, days + 1)
    curve = pd.Series(reached * share, index=pd.RangeIndex(1, len(reached) + 1))
    enough = curve.to_numpy() >= n * (1 - 1e-12)
    enrolment = int(enough.argmax()) + 1 if enough.any() else None
    notes = []
    if enrolment is not None and enrolment % 7:
        notes.append(
            f"Days of the week differ: {-(-enrolment // 7) * 7} days of enrolment are whole weeks."
        )
    whole = None if enrolment is None else enrolment + follow_up
    return Duration(int(np.ceil(n)), enrolment, follow_up, whole, curve, tuple(notes))


def customers_by_day(history: Any, *, customer_id: str, timestamp: str) -> pd.Series:
    """Return how many different customers had come by the end of each day of a history.

    Parameters
    ----------
    history
        One row per contact, such as visits or orders; any kind of table. Customers are counted in
        its own engine.
    customer_id, timestamp
        The columns that say who and when.

    Returns
    -------
    pandas.Series
        Customers seen so far, by date, without gaps.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If no row has both.

    Examples
    --------
    >>> visits = pd.DataFrame({
    ...     "who": ["a", "b", "a", "c"],
    ...     "when": ["2024-03-01", "2024-03-01", "2024-03-02", "2024-03-04"],
    ... })
    >>> customers_by_day(visits, customer_id="who", timestamp="when").tolist()
    [2, 2, 2, 3]
    """
    lazy = to_lazy(history)
    schema = lazy.collect_schema()
    check_columns(schema.names(), [customer_id, timestamp], where="the history")
    if not (schema[timestamp].is_temporal()):
        lazy = text_to_time(lazy, timestamp, what=f"column {timestamp!r} of the history")
    rows = lazy.filter(~nw.col(customer_id).is_null(), ~nw.col(timestamp).is_null())
    days = rows.select(nw.col(customer_id).alias("who"), day_number(timestamp).alias("day"))
    last = collect(days.select(nw.col("day").max()))["day"].iloc[0]
    if pd.isna(last):
        raise DataError("no row of the history has a customer and a time.")
    first = days.group_by("who").agg(nw.col("day").min())
    new = collect(first.group_by("day").agg(nw.len().alias("new"))).set_index("day")["new"]
    by_day = new.reindex(range(int(new.index.min()), int(last) + 1), fill_value=0).cumsum()
    index = pd.DatetimeIndex([from_day(day) for day in by_day.index], name="date")
    return pd.Series(by_day.to_numpy(), index=index, name="customers")
