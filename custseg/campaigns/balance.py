"""Are the arms alike in what was known before: standardised differences and one test of all."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from custseg.campaigns.srm import p_words
from custseg.errors import DataError
from custseg.results import Result, format_number
from custseg.stats import holm

_MOST_LEVELS = 50
_REPEATED = 1e-10


@dataclass(frozen=True, repr=False, eq=False)
class Balance(Result):
    """How the arms differ in what was known of their customers before the campaign.

    Attributes
    ----------
    table
        The table of `to_frame`.
    overall
        One row per treatment arm: `arm`, `statistic` (the squared Mahalanobis distance of its
        means from those of control, in units of what chance allows within strata), `df`,
        `p_value`.
    control
        The arm that the others are compared with.
    notes
        Caveats.
    """

    table: pd.DataFrame
    overall: pd.DataFrame
    control: Any
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "campaign_design.balance"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per column, level and treatment arm.

        Returns
        -------
        pandas.DataFrame
            `column`, `level` (of a category; ``""`` for a number), `arm`, `control`, `treatment`
            (means, or shares of the level), `std_diff` (their difference over the standard
            deviation within arms), `p_value` (of the randomisation, normal; missing where strata
            leave nothing to chance), `p_holm` (over all rows).
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return whether assignment by chance explains the differences."""
        if not self.overall["df"].any():
            return (
                "There is nothing to compare: no column differs between customers who could have "
                "been in another arm."
            )
        worst = self.table.loc[self.table["std_diff"].abs().idxmax()]
        level = f" = {worst['level']}" if worst["level"] else ""
        largest = f"{format_number(worst['std_diff'])} standard deviations"
        parts = [f"The largest difference is {largest} ({worst['column']}{level}, {worst['arm']})."]
        for row in self.overall.to_dict("records"):
            if not row["df"]:
                parts.append(f"Nothing is left to chance between {row['arm']} and {self.control}.")
                continue
            verdict = (
                "differ more than chance allows: check how customers were assigned"
                if row["p_value"] < 0.001
                else "are as alike as chance makes them"
            )
            parts.append(
                f"{row['arm']} and {self.control} {verdict} (chi-square "
                f"{format_number(row['statistic'])}, df {row['df']}, {p_words(row['p_value'])})."
            )
        return " ".join(parts)


def compare_arms(
    customers: pd.DataFrame, arm: pd.Series, control: Any, stratum: pd.Series | None = None
) -> Balance:
    """Compare the columns of a customer table between arms.

    The variances are those of drawing arms from these customers at random, within strata where
    they were drawn so; the test of all columns at once needs no distribution of theirs.

    Parameters
    ----------
    customers
        One row per customer: numbers, truth values, dates (compared as days) and categories (each
        level is compared; a missing value is a level).
    arm
        Each customer's arm, on the same index.
    control
        The arm that the others are compared with.
    stratum
        Each customer's stratum, on the same index; one for all when ``None``.

    Returns
    -------
    Balance
        Differences by column and arm, and the test of all of them by arm.

    Raises
    ------
    DataError
        If no column can be compared, or an arm has fewer than 2 customers.

    References
    ----------
    Hansen, B. B. and Bowers, J. (2008), Covariate balance in simple, stratified and clustered
    comparative studies, Statistical Science 23, 219-236.

    Examples
    --------
    >>> table = pd.DataFrame({"age": [30, 40, 50, 60], "vip": [True, False, True, False]})
    >>> found = compare_arms(table, pd.Series(["none", "none", "mail", "mail"]), "none")
    >>> found.to_frame()[["column", "control", "treatment", "std_diff"]].round(2)
      column  control  treatment  std_diff
    0    age     35.0       55.0      2.83
    1    vip      0.5        0.5      0.00
    """
    numbers, names, notes = _numbers(customers)
    found = arm.astype(object).to_numpy()
    sizes = arm.value_counts()
    sizes = sizes[sizes > 0]
    if len(sizes) < 2 or sizes.min() < 2 or control not in sizes:
        raise DataError("balance needs at least 2 customers in control and in another arm.")
    categorical = isinstance(arm.dtype, pd.CategoricalDtype)
    order = list(arm.cat.categories) if categorical else sorted(sizes.index)
    strata = np.zeros(len(arm), dtype=int) if stratum is None else pd.factorize(stratum)[0]
    rows, overall = [], []
    for treatment in [name for name in order if name != control and name in sizes]:
        a, b = numbers[found == control], numbers[found == treatment]
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = b.mean(axis=0) - a.mean(axis=0)
            within = np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 2)
            std_diff = np.where(difference == 0, 0, difference / within)
        both = (found == control) | (found == treatment)
        z, correlation = _drawn(numbers[both], found[both] == treatment, strata[both])
        # levels of a category add up to 1: what they repeat of each other counts once
        spread, axes = np.linalg.eigh(correlation)
        kept = spread > _REPEATED * max(spread.max(), 1)
        statistic = float(((np.nan_to_num(z) @ axes)[kept] ** 2 / spread[kept]).sum())
        df = int(kept.sum())
        overall.append((treatment, statistic, df, float(stats.chi2.sf(statistic, df))))
        rows.append(
            names.assign(
                arm=treatment,
                control=a.mean(axis=0),
                treatment=b.mean(axis=0),
                std_diff=std_diff,
                p_value=2 * stats.norm.sf(np.abs(z)),
            )
        )
    table = pd.concat(rows, ignore_index=True)
    table["p_holm"] = holm(table["p_value"].to_numpy())
    tests = pd.DataFrame(overall, columns=["arm", "statistic", "df", "p_value"])
    return Balance(table, tests, control, tuple(notes))


def _drawn(
    numbers: np.ndarray, treated: np.ndarray, strata: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences over their standard errors under random draws, and correlations.

    Strata count by their effective sizes, ``treated * untreated / all``. A column that does not
    vary within strata has no standard error: NaN, and no correlation.
    """
    n = np.bincount(strata)
    n_treated = np.bincount(strata, treated, len(n))
    with np.errstate(divide="ignore", invalid="ignore"):
        means = [np.bincount(strata, column, len(n)) / n for column in numbers.T]
        weight = np.nan_to_num(n_treated * (n - n_treated) / n / (n - 1))
    centred = numbers - np.stack(means, axis=1)[strata]
    centred[np.abs(centred) < _REPEATED * np.abs(numbers).max(axis=0)] = 0
    used = (weight > 0)[strata]
    total = centred[treated & used].sum(axis=0)
    variance = (centred * weight[strata, None]).T @ centred
    error = np.sqrt(np.diag(variance))
    scale = np.where(error > 0, error, 1)
    return np.where(error > 0, total / scale, np.nan), variance / np.outer(scale, scale)


def _numbers(customers: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame, list[str]]:
    """Return the columns as numbers, (customers, columns and levels), their names and notes."""
    parts, names, notes = [], [], []
    for column in customers:
        values = customers[column]
        if isinstance(values.dtype, np.dtype) and values.dtype.kind == "M":
            values = (values - pd.Timestamp(0)) / pd.Timedelta(days=1)
        if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            number = values.astype("float64").replace([np.inf, -np.inf], np.nan)
            if number.notna().any():
                parts.append(number.fillna(number.mean()))
                names.append((column, ""))
            if number.isna().any():
                parts.append(number.isna().astype(float))
                names.append((column, "(missing)"))
            continue
        levels = values.astype(object).where(values.notna(), "(missing)").astype(str)
        if levels.nunique() > _MOST_LEVELS:
            notes.append(f"{column} has {levels.nunique():,} values: not compared.")
            continue
        for level in sorted(levels.unique()):
            parts.append((levels == level).astype(float))
            names.append((column, level))
    if not parts:
        raise DataError("there is no column to compare: give numbers, truth values or categories.")
    return np.column_stack(parts), pd.DataFrame(names, columns=["column", "level"]), notes
