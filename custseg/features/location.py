"""Where a behaviour is at home: location quotients of regions, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from custseg.errors import DataError, check_columns, check_number
from custseg.results import Result

Vector = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class LocationQuotients(Result):
    """How much more common something is in a region than everywhere.

    Parameters
    ----------
    quotients
        One row per region and level: `region`, `level`, `n_region` (customers there), `n` (of
        them at this level), `share`, `overall_share`, `quotient` (the one over the other),
        `ci_low`, `ci_high` and `small` (whether the region has too few customers to judge).
    account
        Number of customers by what became of them: `used`, `no_region`, `no_level`.
    notes
        What to know and what to do.
    """

    quotients: pd.DataFrame
    account: pd.Series
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "attributes.location_quotients"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per region and level."""
        return self.quotients.copy()

    def summary(self) -> str:
        """Return what is clearly over- and under-represented where."""
        large = self.quotients[~self.quotients["small"]]
        above, below = large[large["ci_low"] > 1], large[large["ci_high"] < 1]
        words = [
            f"{row.level} in {row.region} ({row.quotient:.2f})"
            for row in above.sort_values("quotient", ascending=False).head(3).itertuples()
        ]
        most = f", most of all {', '.join(words)}" if words else ""
        return (
            f"of {len(self.quotients)} quotients, {len(above)} lie clearly above 1 and "
            f"{len(below)} below{most}."
        )

    def _shown(self) -> pd.DataFrame:
        return self.quotients.set_index(["region", "level"])


def location_quotients(
    customers: pd.DataFrame,
    region: str,
    of: str | pd.Series,
    *,
    level: float = 0.95,
    min_customers: int = 30,
) -> LocationQuotients:
    """Compare the share of segments, or of a behaviour, in each region with the overall share.

    Parameters
    ----------
    customers
        A customer table.
    region
        The column of regions.
    of
        What is compared: a column of categories or yes/no, or a Series on `customer_id`, such as
        segments. Of yes/no, only yes is shown.
    level
        Confidence level of the intervals, between 0 and 1.
    min_customers
        Regions with fewer customers are marked as small.

    Returns
    -------
    LocationQuotients
        1 is as common as everywhere, 2 twice as common. The interval is Koopman's score interval
        of the ratio of the region to the rest, turned into the quotient, which grows with it.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If there are not two regions and two levels, or customers occur twice.

    References
    ----------
    Isard, W. (1960). Methods of Regional Analysis. MIT Press, chapter 7. Koopman, P. A. R.
    (1984), Biometrics 40, 513-517.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"region": ["North"] * 40 + ["South"] * 60,
    ...                       "app_user": [True] * 30 + [False] * 10 + [True] * 20 + [False] * 40})
    >>> found = location_quotients(table.rename_axis("customer_id"), "region", "app_user")
    >>> found.to_frame()[["region", "n_region", "n", "quotient", "ci_low", "ci_high"]].round(2)
      region  n_region   n  quotient  ci_low  ci_high
    0  North        40  30      1.50    1.26     1.74
    1  South        60  20      0.67    0.51     0.83
    """
    check_number(level, "level", gt=0, lt=1)
    check_number(min_customers, "min_customers", ge=1, integer=True)
    wanted = [region] if isinstance(of, pd.Series) else [region, of]
    check_columns(customers.columns, wanted, where="the customer table")
    twice = int(customers.index.duplicated().sum())
    if twice:
        raise DataError(f"{twice:,} rows repeat a customer. Keep one row per customer.")
    where = customers[region]
    what = of.reindex(customers.index) if isinstance(of, pd.Series) else customers[of]
    used = where.notna() & what.notna()
    account = pd.Series(
        {
            "used": int(used.sum()),
            "no_region": int(where.isna().sum()),
            "no_level": int((where.notna() & what.isna()).sum()),
        },
        name="customers",
    )
    counts = pd.crosstab(where[used], what[used])
    if min(counts.shape) < 2:
        raise DataError(
            f"there are {counts.shape[0]} regions and {counts.shape[1]} levels among "
            f"{account['used']:,} customers, but it takes two of each."
        )
    n_region, overall = counts.sum(axis=1), counts.sum(axis=0)
    yes_no = set(counts.columns) == {0, 1}
    shown = counts.iloc[:, [-1]] if yes_no else counts
    table = shown.rename_axis(index="region", columns="level").stack().rename("n").reset_index()
    table.insert(2, "n_region", table["region"].map(n_region).astype("int64"))
    total = int(n_region.sum())
    successes = table["level"].map(overall).astype("int64")
    table["share"] = table["n"] / table["n_region"]
    table["overall_share"] = successes / total
    table["quotient"] = table["share"] / table["overall_share"]
    table["ci_low"], table["ci_high"] = quotient_interval(
        table["n"].to_numpy(float),
        table["n_region"].to_numpy(float),
        successes.to_numpy(float),
        total=total,
        level=level,
    )
    table["small"] = table["n_region"] < min_customers
    return LocationQuotients(table, account, _notes(table, account, min_customers, level))


def quotient_interval(
    n: Vector, n_region: Vector, successes: Vector, *, total: float, level: float
) -> tuple[Vector, Vector]:
    """Return the score interval of the share in a region over the share everywhere.

    Parameters
    ----------
    n, n_region
        Customers in the region who are at the level, and all of them.
    successes, total
        The same everywhere; the region is part of it and not all of it.
    level
        Confidence level.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bound, between 0 and total over n_region.
    """
    critical = stats.norm.isf((1 - level) / 2) ** 2
    rest, n_rest = successes - n, total - n_region
    part = n_region / total
    estimate = (n / n_region) / (successes / total)

    def outside(quotient: Vector) -> NDArray[np.bool_]:
        ratio = quotient * (1 - part) / np.maximum(1 - part * quotient, 1e-12)
        half = (n_region * ratio + n + n_rest + rest * ratio) / 2
        leading = total * ratio
        p_rest = successes / (half + np.sqrt(np.maximum(half**2 - leading * successes, 0)))
        p_region = np.minimum(ratio * p_rest, 1)
        variance = p_region * (1 - p_region) / n_region + ratio**2 * p_rest * (1 - p_rest) / n_rest
        return np.asarray((n / n_region - ratio * rest / n_rest) ** 2 > critical * variance)

    def bound(edge: Vector) -> Vector:
        inner, outer = estimate.copy(), edge.copy()
        for _ in range(60):
            middle = (inner + outer) / 2
            out = outside(middle)
            inner, outer = np.where(out, inner, middle), np.where(out, middle, outer)
        return np.asarray((inner + outer) / 2)

    low, high = bound(np.zeros_like(estimate)), bound(1 / part)
    return np.where(n == 0, 0.0, low), np.where(rest == 0, 1 / part, high)


def _notes(
    table: pd.DataFrame, account: pd.Series, min_customers: int, level: float
) -> tuple[str, ...]:
    notes = []
    aside = {name: n for name, n in account.items() if name != "used" and n}
    if aside:
        words = {"no_region": "have no region", "no_level": "have no level"}
        shown = " and ".join(f"{n:,} {words[str(name)]}" for name, n in aside.items())
        notes.append(f"of {account.sum():,} customers, {shown}; they do not count.")
    small = table.loc[table["small"], "region"].drop_duplicates()
    if len(small):
        notes.append(
            f"fewer than {min_customers} customers in {', '.join(map(str, small))}: read the "
            "intervals, not the quotients."
        )
    notes.append(
        f"of {len(table)} intervals about {len(table) * (1 - level):.1f} miss the truth by chance; "
        "a quotient far from 1 in one of many regions is a lead, not a finding."
    )
    return tuple(notes)
