"""Features of who customers are: bands of age and income, regions rolled up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, from_day, to_day
from custseg.errors import DataError, ParameterError, check_columns, nearest
from custseg.features.dictionary import Column, attach
from custseg.results import Result
from custseg.tables import Customers, plain_ids

AGE_CUT_POINTS = (18, 25, 35, 45, 55, 65)
INCOME_CUT_POINTS = (25_000, 40_000, 60_000, 90_000)
OLDEST = 120

CutPoints = Sequence[float] | Mapping[str, float]


def age_bands(
    customers: Customers,
    age: str | None = None,
    *,
    birth: str | None = None,
    as_of: Any = None,
    cut_points: CutPoints = AGE_CUT_POINTS,
) -> pd.DataFrame:
    """Put customers into bands of age, from ages or from what is known of their birth.

    Parameters
    ----------
    customers
        One row per customer.
    age
        The column of ages in years.
    birth
        Instead of `age`, the column of years of birth (whole numbers) or dates of birth.
    as_of
        The day on which the age counts; needed with `birth`.
    cut_points
        The ages at which a new band begins, or name of a band to the age at which it begins.

    Returns
    -------
    pandas.DataFrame
        `age_band`, an ordered category, on the unique index `customer_id`; with `birth` also
        `age`: completed years on `as_of`, or where only the year is known, the age reached in the
        year of `as_of`. Missing stays missing. ``attrs`` has the data dictionary.

    Raises
    ------
    ColumnError
        If the column is missing.
    DataError
        If ages are no numbers or outside 0 to 120, or customers are missing or occur twice.
    ParameterError
        If not exactly one of `age` and `birth` is named, or cut points do not increase.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> people = cs.Customers(pd.DataFrame({"id": [1, 2, 3], "born": [1990, 2001, 1950]}),
    ...                       customer_id="id")
    >>> age_bands(people, birth="born", as_of="2024-12-31", cut_points=[30, 60])
                 age     age_band
    customer_id
    1             34        30-59
    2             23     under 30
    3             74  60 and over
    """
    if (age is None) == (birth is None):
        raise ParameterError("name either age='column' or birth='column'.")
    day = None if as_of is None else from_day(to_day(as_of, "as_of"))
    if birth is None:
        values = _numbers(customers, str(age), what="age")
        found, definition = {}, str(age)
    else:
        if day is None:
            raise ParameterError("an age needs a day on which it counts: give as_of.")
        values, definition = _age_at(customers, birth, day)
        whole = values.notna().all()
        found = {"age": values.astype("int64") if whole else values}
    _refuse_outside(values, "age", low=0, high=OLDEST)
    found["age_band"] = band(values, cut_points, whole=True)
    entries = {
        "age": Column("demographic", "numeric", definition, "customers"),
        "age_band": Column("demographic", "ordinal", f"band of {definition}", "customers"),
    }
    return attach(pd.DataFrame(found), {name: entries[name] for name in found}, as_of=day)


def income_bands(
    customers: Customers, income: str, *, cut_points: CutPoints = INCOME_CUT_POINTS
) -> pd.DataFrame:
    """Put customers into bands of income.

    Parameters
    ----------
    customers
        One row per customer.
    income
        The column of incomes.
    cut_points
        The incomes at which a new band begins, or name of a band to the income at which it
        begins.

    Returns
    -------
    pandas.DataFrame
        `income_band`, an ordered category, on the unique index `customer_id`. Missing stays
        missing. ``attrs`` has the data dictionary.

    Raises
    ------
    ColumnError
        If the column is missing.
    DataError
        If incomes are no numbers or negative, or customers are missing or occur twice.
    ParameterError
        If cut points do not increase.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> people = cs.Customers(pd.DataFrame({"id": [1, 2], "income": [25_000, 90_500]}),
    ...                       customer_id="id")
    >>> income_bands(people, "income")
                  income_band
    customer_id
    1                 25k-40k
    2            90k and over
    """
    values = _numbers(customers, income, what="income")
    _refuse_outside(values, "income", low=0, high=np.inf)
    table = band(values, cut_points).to_frame("income_band")
    entry = Column("demographic", "ordinal", f"band of {income}", "customers")
    return attach(table, {"income_band": entry}, as_of=None)


def band(values: pd.Series, cut_points: CutPoints, *, whole: bool = False) -> pd.Series:
    """Cut numbers into ordered bands, each from its cut point up to below the next.

    Parameters
    ----------
    values
        Numbers; missing ones stay missing.
    cut_points
        Where a new band begins, or name of a band to where it begins.
    whole
        Whether the names show whole numbers only: "18-24" instead of "18-25".

    Raises
    ------
    DataError
        If values lie below the first named band.
    ParameterError
        If cut points do not increase.

    Examples
    --------
    >>> import pandas as pd
    >>> band(pd.Series([5, 18, 64.5, 65]), {"child": 0, "adult": 18, "senior": 65}).tolist()
    ['child', 'adult', 'adult', 'senior']
    """
    names = [str(name) for name in cut_points] if isinstance(cut_points, Mapping) else []
    begins = cut_points.values() if isinstance(cut_points, Mapping) else cut_points
    points = np.array([float(point) for point in begins])
    if not len(points) or not np.isfinite(points).all() or (np.diff(points) <= 0).any():
        shown = ", ".join(f"{point:g}" for point in points)
        raise ParameterError(f"cut_points are {shown}, but must be numbers that increase.")
    codes = np.searchsorted(points, values.to_numpy(), side="right")
    known = values.notna().to_numpy()
    if names:
        labels, codes = names, codes - 1
        below = int((known & (codes < 0)).sum())
        if below:
            raise DataError(
                f"{below:,} customers lie below {points[0]:g}, where the first band "
                f"{labels[0]!r} begins. Let it begin lower."
            )
    else:
        ends = [_short(point - 1 if whole else point) for point in points[1:]]
        starts = [_short(point) for point in points]
        between = [f"{a}-{b}" if a != b else a for a, b in zip(starts, ends, strict=False)]
        labels = [f"under {starts[0]}", *between, f"{starts[-1]} and over"]
    if len(set(labels)) < len(labels):
        raise ParameterError(f"two bands would be named alike: {labels}. Name them yourself.")
    kind = pd.CategoricalDtype(labels, ordered=True)
    cut = pd.Categorical.from_codes(np.where(known, codes, -1), dtype=kind)
    return pd.Series(cut, index=values.index)


@dataclass(frozen=True, repr=False, eq=False)
class RegionRollUp(Result):
    """Regions rolled up into larger ones, and what did not map.

    Parameters
    ----------
    regions
        The rolled-up region of each customer on `customer_id`; missing where the region is
        missing or did not map. ``attrs`` has the data dictionary.
    mapped
        One row per region in the data: `region`, `rolled_up` (missing where it did not map),
        `customers` and `share` of all customers.
    notes
        What did not map, with the nearest name that would.
    """

    regions: pd.DataFrame
    mapped: pd.DataFrame
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "attributes.region_roll_up"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per region in the data."""
        return self.mapped.copy()

    def summary(self) -> str:
        """Return how many customers are in how many rolled-up regions."""
        done = self.regions.iloc[:, 0].notna()
        return (
            f"{int(done.sum()):,} of {len(done):,} customers in "
            f"{self.mapped['rolled_up'].nunique()} regions, rolled up from "
            f"{int(self.mapped['rolled_up'].notna().sum())}; {int((~done).sum()):,} did not map."
        )

    def _shown(self) -> pd.DataFrame:
        return self.mapped.set_index("region")


def roll_up_regions(
    customers: Customers, region: str, mapping: Mapping[Any, str], *, name: str = "region_group"
) -> RegionRollUp:
    """Roll regions up into larger ones, and report what did not map.

    Parameters
    ----------
    customers
        One row per customer.
    region
        The column of regions.
    mapping
        Region to larger region; spelling counts.
    name
        The name of the column that comes out.

    Returns
    -------
    RegionRollUp
        ``regions`` has the column on the unique index `customer_id`; ``to_frame()`` counts each
        region, and notes name those that did not map.

    Raises
    ------
    ColumnError
        If the column is missing.
    DataError
        If nothing maps, or customers are missing or occur twice.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> people = cs.Customers(pd.DataFrame({"id": [1, 2, 3], "town": ["Kiel", "Bonn", "bonn"]}),
    ...                       customer_id="id")
    >>> found = roll_up_regions(people, "town", {"Kiel": "North", "Bonn": "West"})
    >>> found.regions["region_group"].tolist()
    ['North', 'West', nan]
    >>> found.notes
    ("1 customers in 'bonn' did not map. Did you mean 'Bonn'?",)
    """
    if not isinstance(mapping, Mapping) or not mapping:
        raise ParameterError("mapping must give regions their larger one: {'Kiel': 'North', ...}.")
    values = _read(customers, [nw.col(region)], region)[region]
    rolled = values.map(dict(mapping))
    counted = values.value_counts().rename_axis("region").rename("customers").reset_index()
    counted = counted.sort_values(["customers", "region"], ascending=[False, True])
    counted.insert(1, "rolled_up", counted["region"].map(dict(mapping)))
    counted["share"] = counted["customers"] / len(values)
    lost = counted[counted["rolled_up"].isna()]
    if len(lost) == len(counted):
        shown = ", ".join(repr(value) for value in lost["region"].head(3))
        raise DataError(
            f"no region maps: the data have {shown}, the mapping has "
            f"{', '.join(repr(key) for key in list(mapping)[:3])}. Spell them alike."
        )
    notes = [
        f"{row.customers:,} customers in {row.region!r} did not map.{nearest(row.region, mapping)}"
        for row in lost.itertuples()
    ]
    if values.isna().any():
        notes.append(f"{int(values.isna().sum()):,} customers have no region.")
    unused = [key for key in mapping if key not in set(counted["region"])]
    if unused:
        shown = ", ".join(repr(key) for key in unused[:5])
        notes.append(f"{len(unused)} regions of the mapping have no customer, such as {shown}.")
    entry = Column("geographic", "nominal", f"{region}, rolled up", "customers")
    table = attach(rolled.rename(name).to_frame(), {name: entry}, as_of=None)
    return RegionRollUp(table, counted.reset_index(drop=True), tuple(notes))


def _read(customers: Customers, columns: Sequence[nw.Expr], name: str) -> pd.DataFrame:
    """Return columns on the sorted, unique index `customer_id`."""
    check_columns(customers.frame.collect_schema().names(), [name], where="the customers")
    rows = collect(customers.frame.select("customer_id", *columns))
    missing = int(rows["customer_id"].isna().sum())
    twice = int(rows["customer_id"].dropna().duplicated().sum())
    if missing or twice:
        raise DataError(
            f"{missing:,} rows without customer_id and {twice:,} rows that repeat a customer. Keep "
            "one row per customer first: customers = customers.clean(), or filter the table."
        )
    return rows.set_index(plain_ids(rows["customer_id"])).drop(columns="customer_id").sort_index()


def _numbers(customers: Customers, name: str, *, what: str) -> pd.Series:
    schema = customers.frame.collect_schema()
    check_columns(schema.names(), [name], where="the customers")
    if not schema[name].is_numeric():
        raise DataError(
            f"column {name!r} ({what}) holds {schema[name]}, not numbers. Make it a number first."
        )
    return _read(customers, [nw.col(name).cast(nw.Float64)], name)[name]


def _age_at(customers: Customers, birth: str, day: date) -> tuple[pd.Series, str]:
    """Return ages, and how they were counted."""
    schema = customers.frame.collect_schema()
    check_columns(schema.names(), [birth], where="the customers")
    if schema[birth].is_numeric():
        return day.year - _numbers(customers, birth, what="birth"), f"{day.year} minus {birth}"
    if not isinstance(schema[birth], nw.Datetime | nw.Date):
        raise DataError(
            f"column {birth!r} (birth) holds {schema[birth]}, neither years nor dates. Parse it "
            "first, for example with pandas.to_datetime."
        )
    born = nw.col(birth).dt
    parts = [born.year().alias("year"), born.month().alias("month"), born.day().alias("day")]
    rows = _read(customers, parts, birth).astype("float64")
    ahead = (rows["month"] > day.month) | ((rows["month"] == day.month) & (rows["day"] > day.day))
    return day.year - rows["year"] - ahead, f"completed years since {birth}"


def _refuse_outside(values: pd.Series, what: str, *, low: float, high: float) -> None:
    wrong = values[(values < low) | (values > high) | np.isinf(values)]
    if len(wrong):
        bounds = f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and more"
        raise DataError(
            f"{what} is {wrong.iloc[0]:g} in one of {len(wrong):,} rows outside {bounds}. Correct "
            "them or make them missing first."
        )


def _short(number: float) -> str:
    """Write a cut point as people say it: 25k, 1.5m."""
    for size, unit in ((1e6, "m"), (1e3, "k")):
        if number >= size and 10 * number % size == 0:
            return f"{number / size:g}{unit}"
    return f"{number:g}"
