"""Describe segments by size and by how their customers differ from the average customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from custseg.errors import DataError, check_number
from custseg.profiling._labels import align_segments
from custseg.profiling._measures import (
    SEGMENTATION,
    Measure,
    read_measures,
    read_roles,
)
from custseg.profiling._words import counted, listed, percent
from custseg.results import Result, format_number
from custseg.stats import mean_interval, wilson

COLUMNS = (
    "segment",
    "variable",
    "level",
    "role",
    "n",
    "value",
    "ci_low",
    "ci_high",
    "overall",
    "index",
    "std_diff",
)
MARKED = 0.2
FEW = 30
PLAIN = "nothing stands out from the average"


@dataclass(frozen=True, repr=False, eq=False)
class Profile(Result):
    """Sizes of segments, and their means and shares beside those of all customers.

    Attributes
    ----------
    sizes : pandas.DataFrame
        Index ``segment``; ``n``, ``share`` of the assigned customers, ``ci_low``, ``ci_high``.
    overall : pandas.DataFrame
        Index ``variable``, ``level``; ``role``, ``is_share``, ``n``, ``value`` and ``sd`` over all
        assigned customers.
    account : pandas.DataFrame
        Index ``variable``; ``customers`` = ``used`` + ``missing`` + ``not_assigned``.
    level : float
        The confidence level of the intervals.
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    sizes: pd.DataFrame
    overall: pd.DataFrame
    account: pd.DataFrame
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "profiling.profile_bars"

    def to_frame(self) -> pd.DataFrame:
        """Return a row per segment and variable, or per level of a categorical variable.

        Returns
        -------
        pandas.DataFrame
            ``segment`` (ordered categorical), ``variable``, ``level`` (``""`` for numbers and
            yes/no variables), ``role``, ``n``, ``value``, ``ci_low``, ``ci_high``, ``overall``,
            ``index`` and ``std_diff``, as `profile` defines them.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the sizes, and per segment the traits that differ most from the average.

        A trait is told when it lies at least 0.2 standard deviations from the average and its
        interval excludes the average; at most three per segment, one level per variable, and of
        two equally marked ones the one above the average.
        """
        assigned = int(self.sizes["n"].sum())
        left = int(self.account["not_assigned"].iloc[0])
        rest = f" ({left:,} not assigned)" if left else ""
        head = f"{counted(assigned, 'customer')} in {counted(len(self.sizes), 'segment')}{rest}."
        table = self._table
        outside = (table["overall"] < table["ci_low"]) | (table["overall"] > table["ci_high"])
        traits = table[outside & (table["std_diff"].abs() >= MARKED)]
        traits = traits.assign(size=traits["std_diff"].abs().round(9))
        traits = traits.sort_values(["size", "std_diff"], ascending=False, kind="stable")
        told = []
        for segment, share in self.sizes["share"].items():
            own = traits[traits["segment"] == segment]
            own = own.drop_duplicates("variable").head(3)
            phrases = [self._trait(row) for row in own.to_dict("records")]
            told.append(f"{segment} ({percent(share)}): {', '.join(phrases) or PLAIN}.")
        return " ".join([head, *told])

    def _trait(self, row: dict[str, Any]) -> str:
        name = f"{row['variable']} {row['level']}".strip()
        if self.overall.loc[(row["variable"], row["level"]), "is_share"]:
            numbers = f"{percent(row['value'])} against {percent(row['overall'])}"
        else:
            value, overall = format_number(row["value"]), format_number(row["overall"])
            numbers = f"{value} against {overall} on average"
        index = "" if np.isnan(row["index"]) else f" (index {row['index']:,.0f})"
        return f"{name} {numbers}{index}"

    def _shown(self) -> pd.DataFrame:
        table = self._table.assign(
            cell=[
                f"{format_number(value)} [{format_number(low)}, {format_number(high)}]"
                for value, low, high in self._table[["value", "ci_low", "ci_high"]].to_numpy()
            ]
        )
        cells = table.pivot(index=["variable", "level"], columns="segment", values="cell")
        cells = cells.reindex(self.overall.index)
        cells.columns = [f"{name} (n={n:,})" for name, n in self.sizes["n"].items()]
        shown = pd.concat([self.overall[["role", "value"]], cells], axis=1)
        shown.index = [f"{name}: {level}" if level else name for name, level in shown.index]
        return shown.rename(columns={"value": "overall"})


def profile(
    customers: pd.DataFrame,
    segments: Any,
    *,
    variables: Sequence[str] | None = None,
    descriptors: Sequence[str] | None = None,
    level: float = 0.95,
) -> Profile:
    """Describe every segment by its size and by its means and shares beside the average.

    Parameters
    ----------
    customers
        One row per customer, with a unique index (``customer_id``).
    segments
        The segment of each customer: a Series is matched by index, and customers without a label
        count as not assigned; a list or an array is matched by position. ``<NA>``, and the number
        -1, mean not assigned. A categorical keeps its order; other labels are sorted.
    variables
        The columns that made the segments: numbers, yes/no values or categories. ``None`` takes
        every numeric and yes/no column that is not a descriptor.
    descriptors
        Columns that had no part in making the segments; text is allowed.
    level
        Confidence level of the intervals.

    Returns
    -------
    Profile
        `Profile.to_frame` has a row per segment and variable (and per level of a categorical or
        text column): ``n`` customers with a value; ``value``, their mean, or the share with that
        answer; its interval, Student's t for means and Wilson's for shares; ``overall``, the same
        over all assigned customers; ``index`` = 100 ``value`` / ``overall``, NaN where it would
        mislead; and ``std_diff`` = (``value`` - ``overall``) / sd, with the standard deviation
        over all assigned customers, sqrt(p (1 - p)) for shares. Numbers that are all 0 or 1 are
        read as yes/no values.

    Raises
    ------
    ColumnError
        If a named column is missing.
    DataError
        If the table is empty, an id occurs twice, labels and customers do not match, or a column
        cannot be averaged.
    ParameterError
        If a column is in both lists, or `level` is not between 0 and 1.

    References
    ----------
    Dolnicar, S., Grün, B. and Leisch, F. (2018), *Market Segmentation Analysis*, chapter 8.

    Examples
    --------
    >>> import pandas as pd
    >>> customers = pd.DataFrame(
    ...     {"orders": [1, 2, 9, 8], "channel": ["web", "web", "web", "store"]},
    ...     index=pd.Index([11, 12, 13, 14], name="customer_id"),
    ... )
    >>> found = profile(
    ...     customers, ["B", "B", "A", "A"], variables=["orders"], descriptors=["channel"]
    ... )
    >>> found.to_frame()[["segment", "variable", "level", "value", "overall", "index"]].round(1)
      segment variable  level  value  overall  index
    0       A   orders           8.5      5.0  170.0
    1       A  channel    web    0.5      0.8   66.7
    2       A  channel  store    0.5      0.2  200.0
    3       B   orders           1.5      5.0   30.0
    4       B  channel    web    1.0      0.8  133.3
    5       B  channel  store    0.0      0.2    0.0
    >>> found.sizes[["n", "share"]]
             n  share
    segment
    A        2    0.5
    B        2    0.5
    """
    check_number(level, "level", gt=0, lt=1)
    _check_table(customers)
    roles, notes = read_roles(customers, variables, descriptors)
    labels, told = align_segments(segments, customers.index)
    kept = labels.notna().to_numpy()
    order = _by_id(customers.index[kept])
    codes = labels[kept].cat.codes.to_numpy()[order]
    measures = list(read_measures(customers.loc[kept, list(roles)].iloc[order], roles))
    names = pd.Index(labels.cat.categories, name="segment")
    sizes = _sizes(codes, names, level)
    overall = _overall(measures)
    table = _table(measures, codes, names, overall, level)
    account = _account(overall, len(customers), int(kept.sum()))
    notes = _method_notes(roles, level) + told + notes + _data_notes(table, sizes, overall, account)
    return Profile(table, sizes, overall, account, level, tuple(notes))


def _check_table(customers: Any) -> None:
    if not isinstance(customers, pd.DataFrame):
        raise DataError(
            f"customers is a {type(customers).__name__}, but must be a pandas DataFrame with one "
            "row per customer."
        )
    if customers.empty:
        raise DataError(
            f"the customer table is empty ({len(customers)} rows, {customers.shape[1]} columns): "
            "check the filter or the join that made it."
        )
    repeated = int(customers.index.duplicated(keep=False).sum())
    if repeated:
        raise DataError(
            f"{repeated:,} rows of the customer table share their customer_id with another: a "
            "profile needs one row per customer. See them with "
            "customers[customers.index.duplicated(keep=False)]."
        )


def _by_id(ids: pd.Index) -> np.ndarray:
    """Return the order of the ids, so that sums do not depend on the order of the rows."""
    try:
        return ids.argsort()
    except TypeError:
        return ids.astype(str).argsort()


def _sizes(codes: np.ndarray, names: pd.Index, level: float) -> pd.DataFrame:
    n = np.bincount(codes, minlength=len(names))
    low, high = wilson(n, n.sum(), level=level)
    sizes = {"n": n, "share": n / n.sum(), "ci_low": low, "ci_high": high}
    return pd.DataFrame(sizes, index=names)


def _overall(measures: list[Measure]) -> pd.DataFrame:
    rows = []
    for measure in measures:
        x = measure.values[~np.isnan(measure.values)]
        mean = x.mean()
        sd = np.sqrt(mean * (1 - mean)) if measure.is_share else x.std(ddof=1) if len(x) > 1 else 0
        sd = 0.0 if x.min() == x.max() else sd
        indexed = bool(mean > 0 and x.min() >= 0)
        head = (measure.variable, measure.level, measure.role, measure.is_share)
        rows.append((*head, len(x), mean, sd, indexed))
    columns = ["variable", "level", "role", "is_share", "n", "value", "sd", "indexed"]
    return pd.DataFrame(rows, columns=columns).set_index(["variable", "level"])


def _table(
    measures: list[Measure],
    codes: np.ndarray,
    names: pd.Index,
    overall: pd.DataFrame,
    level: float,
) -> pd.DataFrame:
    moments = [_moments(measure.values, codes, len(names)) for measure in measures]
    n, total, mean, sd = (np.stack(part, axis=1).ravel() for part in zip(*moments, strict=True))
    every = overall.iloc[np.tile(np.arange(len(overall)), len(names))].reset_index()
    is_share = every["is_share"].to_numpy()
    t_low, t_high = mean_interval(mean, sd, n, level=level)
    low, high = wilson(np.where(is_share, total, 0), n, level=level)
    average = every["value"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        index = np.where(every["indexed"], 100 * mean / average, np.nan)
        std_diff = np.where(every["sd"] > 0, (mean - average) / every["sd"], np.nan)
    segment = np.repeat(np.arange(len(names)), len(measures))
    return pd.DataFrame(
        {
            "segment": pd.Categorical.from_codes(segment, list(names), ordered=True),
            **{name: every[name] for name in ("variable", "level", "role")},
            "n": n,
            "value": mean,
            "ci_low": np.where(is_share, low, t_low),
            "ci_high": np.where(is_share, high, t_high),
            "overall": average,
            "index": index,
            "std_diff": std_diff,
        },
        columns=list(COLUMNS),
    )


def _moments(values: np.ndarray, codes: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """Return count, sum, mean and standard deviation of the present values by segment."""
    present = ~np.isnan(values)
    x, own = values[present], codes[present]
    n = np.bincount(own, minlength=k)
    total = np.bincount(own, weights=x, minlength=k)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / n
        squares = np.bincount(own, weights=(x - mean[own]) ** 2, minlength=k)
        sd = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
    return n, total, mean, sd


def _account(overall: pd.DataFrame, customers: int, assigned: int) -> pd.DataFrame:
    used = overall.groupby(level="variable", sort=False)["n"].first()
    return pd.DataFrame(
        {
            "customers": customers,
            "used": used,
            "missing": assigned - used,
            "not_assigned": customers - assigned,
        }
    )


def _method_notes(roles: dict[str, str], level: float) -> list[str]:
    borders = (
        f"the {100 * level:g}% intervals describe the customers in each segment as given, not the "
        "doubt about where the borders between segments lie."
    )
    notes = [borders]
    made = [name for name, role in roles.items() if role == SEGMENTATION]
    if made:
        notes.append(
            f"no p-value on {listed(made)}, deliberately: the segments were made from these "
            "columns, so a difference on them is built in, and a test would find one in noise."
        )
    return notes


def _data_notes(
    table: pd.DataFrame, sizes: pd.DataFrame, overall: pd.DataFrame, account: pd.DataFrame
) -> list[str]:
    notes = []
    if len(sizes) == 1:
        notes.append("there is only one segment: the average it is held against is its own.")
    few = [f"{name} ({n})" for name, n in sizes["n"].items() if n < FEW]
    if few:
        notes.append(
            f"fewer than {FEW} customers: {', '.join(few)}. Their intervals of means hold only if "
            "the values are about normally distributed."
        )
    if (left := int(account["not_assigned"].iloc[0])) > 0:
        notes.append(f"{counted(left, 'customer')} not assigned (<NA>), in no number here.")
    for name, missing in account["missing"].items():
        if missing:
            by = table[table["variable"] == name].drop_duplicates("segment")
            gaps = sizes["n"].to_numpy() - by["n"].to_numpy()
            shares = ", ".join(f"{s} {g:,}" for s, g in zip(sizes.index, gaps, strict=True) if g)
            notes.append(
                f"{name!r} is missing for {counted(missing, 'customer')}, counted out: {shares}."
            )
    constant = _variables(overall[overall["sd"] == 0])
    if constant:
        notes.append(f"no std_diff for {listed(constant)}: the same for every customer.")
    skewed = _variables(overall[~overall["indexed"]])
    if skewed:
        notes.append(
            f"no index for {listed(skewed)}: with negative values, or an average of zero, a ratio "
            "to the average misleads."
        )
    return notes


def _variables(overall: pd.DataFrame) -> list[Any]:
    return list(dict.fromkeys(overall.index.get_level_values("variable")))
