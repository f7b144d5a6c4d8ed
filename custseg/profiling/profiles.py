"""Describe segments by size and by how their customers differ from the average customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from custseg.errors import DataError, check_number
from custseg.profiling._descriptor_tests import descriptor_tests
from custseg.profiling._estimates import (
    Sample,
    distances,
    medians,
    moments,
    values_with_intervals,
)
from custseg.profiling._kinds import read_kinds
from custseg.profiling._labels import align_segments
from custseg.profiling._measures import (
    SEGMENTATION,
    Measure,
    read_measures,
    read_roles,
)
from custseg.profiling._weights import read_weights, without_weights
from custseg.profiling._words import counted, listed, percent
from custseg.results import Result, format_number
from custseg.stats import wilson

COLUMNS = (
    *("segment", "variable", "level", "role", "n", "value", "ci_low", "ci_high", "overall"),
    *("index", "std_diff", "median", "median_low", "median_high", "index_low", "index_high"),
    *("std_diff_low", "std_diff_high"),
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
        Index ``variable``, ``level``; ``role``, ``is_share``, ``n``, ``value``, ``sd`` and, for
        numbers, ``median`` over all assigned customers.
    tests : pandas.DataFrame
        Index ``variable``, one row per descriptor: the ``test``, its ``statistic``, ``df_1``,
        ``df_2`` and ``p_value``; ``p_holm``, adjusted over descriptors; the ``effect``, ``"eta2"``
        or ``"cramers_v"``, its ``size``, ``ci_low`` and ``ci_high``; ``least_expected``, the
        smallest expected count of a table. Segmentation variables have no row: see `notes`.
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
    tests: pd.DataFrame
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
            ``index``, ``std_diff`` and ``median``, each of the three with its bounds ``_low`` and
            ``_high``, as `profile` defines them.
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
        if len(self.tests):
            told.append(self._tested())
        return " ".join([head, *told])

    def _tested(self) -> str:
        """Return which descriptors differ, at 5% after Holm's adjustment."""
        differ = self.tests[self.tests["p_holm"] <= 0.05]
        if differ.empty:
            return "No descriptor differs by more than chance."
        signs = {"eta2": "η²", "cramers_v": "Cramér's V"}
        named = [
            f"{name} ({signs[row['effect']]} {format_number(row['size'])})"
            for name, row in differ.sort_values("size", ascending=False, kind="stable").iterrows()
        ]
        of = counted(len(self.tests), "descriptor")
        return f"Of {of}, by more than chance differ: {', '.join(named)}."

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
        if len(self.tests):
            names = shown.index.get_level_values("variable")
            first = ~names.duplicated()
            shown["p_holm"] = self.tests["p_holm"].reindex(names).where(first).to_numpy()
        shown.index = [f"{name}: {level}" if level else name for name, level in shown.index]
        return shown.rename(columns={"value": "overall"})


def profile(
    customers: pd.DataFrame,
    segments: Any,
    *,
    variables: Sequence[str] | None = None,
    descriptors: Sequence[str] | None = None,
    weights: ArrayLike | str | None = None,
    dictionary: Any = None,
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
        every numeric and yes/no column that is neither a descriptor nor the weights.
    descriptors
        Columns that had no part in making the segments; text is allowed. They are tested.
    weights
        How much each customer counts, such as the ``weights`` of raked survey answers: a Series by
        customer id, an array by position, or the name of a column; all above 0. ``None`` weighs
        everybody alike.
    dictionary
        What the columns are: column to kind (``"numeric"``, ``"count"``, ``"share"``,
        ``"ordinal"``, ``"binary"``, ``"nominal"``), or the frame that
        `custseg.features.describe_columns` returns. What it does not say follows from the type:
        numbers that are all 0 or 1 are binary, ordered categories ordinal, other categories and
        text nominal.
    level
        Confidence level of the intervals.

    Returns
    -------
    Profile
        `Profile.to_frame` has a row per segment and variable (and per level of a categorical or
        text column): ``n`` customers with a value; ``value``, their mean, or the share with that
        answer; its interval, Student's t for means and Wilson's for shares; ``overall``, the same
        over all assigned customers; ``index`` = 100 ``value`` / ``overall``, NaN where it would
        mislead; ``std_diff`` = (``value`` - ``overall``) / sd, with the standard deviation over all
        assigned customers, sqrt(p (1 - p)) for shares; and for numbers the ``median``, between two
        values of the segment. `Profile.tests` has a test and an effect size per descriptor.

    Raises
    ------
    ColumnError
        If a named column is missing.
    DataError
        If the table is empty, an id occurs twice, labels or weights and customers do not match, or
        a column cannot be averaged.
    ParameterError
        If a column is in both lists, a kind does not exist, or `level` is not between 0 and 1.

    References
    ----------
    Dolnicar, S., Grün, B. and Leisch, F. (2018), *Market Segmentation Analysis*, chapter 8.
    Zou, G. Y. and Donner, A. (2008), Statistics in Medicine 27, 1693-1702 (bounds of shares,
    squared and added). Rao, J. N. K. and Scott, A. J. (1984), Annals of Statistics 12, 46-60.

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
    described = customers if variables is not None else without_weights(customers, weights)
    roles, notes = read_roles(described, variables, descriptors)
    labels, told = align_segments(segments, customers.index)
    kept = labels.notna().to_numpy()
    order = _by_id(customers.index[kept])
    codes = labels[kept].cat.codes.to_numpy(dtype=np.intp)[order]
    frame = customers.loc[kept].iloc[order]
    frame.attrs = {}  # pandas would copy them with every column
    kinds, unsure = read_kinds(frame, roles, dictionary)
    counts, weighted = read_weights(weights, customers, frame.index)
    measures = list(read_measures(frame[list(roles)], roles, kinds))
    names = pd.Index(labels.cat.categories, name="segment")
    sizes = _sizes(codes, counts, names, level)
    overall = _overall(measures, counts)
    table = _table(measures, codes, counts, names, overall, level)
    tests = descriptor_tests(measures, kinds, codes, counts, level)
    account = _account(overall, len(customers), int(kept.sum()))
    notes = [*_method_notes(roles, level), *told, *notes, *unsure, *weighted]
    notes += _data_notes(table, sizes, overall, account) + _test_notes(tests)
    overall = overall.set_index(["variable", "level"])
    return Profile(table, sizes, overall, tests, account, level, tuple(notes))


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


def _sizes(codes: np.ndarray, weights: np.ndarray, names: pd.Index, level: float) -> pd.DataFrame:
    n = np.bincount(codes, minlength=len(names))
    total, squares = weights.sum(), weights @ weights
    share = np.bincount(codes, weights=weights, minlength=len(names)) / total
    own = np.bincount(codes, weights=weights**2, minlength=len(names))
    error = (own * (1 - share) ** 2 + (squares - own) * share**2) / total**2
    size = np.full(len(n), total**2 / squares)
    np.divide(share * (1 - share), error, where=error > 0, out=size)
    low, high = wilson(share * size, size, level=level)
    return pd.DataFrame({"n": n, "share": share, "ci_low": low, "ci_high": high}, index=names)


def _overall(measures: list[Measure], weights: np.ndarray) -> pd.DataFrame:
    rows = []
    for measure in measures:
        known = ~np.isnan(measure.values)
        x, w = measure.values[known], weights[known]
        sample = Sample(x, w, np.zeros(len(x), dtype=int), 1)
        found = moments(sample)
        mean, sd = float(found.mean[0]), float(np.nan_to_num(found.sd[0]))
        sd = np.sqrt(mean * (1 - mean)) if measure.is_share else sd
        sd = 0.0 if x.min() == x.max() else sd
        indexed = bool(mean > 0 and x.min() >= 0)
        median = np.nan if measure.is_share else _median(sample)
        head = (measure.variable, measure.level, measure.role, measure.is_share)
        rows.append((*head, len(x), mean, sd, median, indexed))
    columns = ["variable", "level", "role", "is_share", "n", "value", "sd", "median", "indexed"]
    return pd.DataFrame(rows, columns=columns)


def _median(sample: Sample) -> float:
    plain = np.ptp(sample.w) == 0
    return float(np.median(sample.x) if plain else medians(sample, 0.5)[0][0])


def _table(
    measures: list[Measure],
    codes: np.ndarray,
    weights: np.ndarray,
    names: pd.Index,
    overall: pd.DataFrame,
    level: float,
) -> pd.DataFrame:
    k = len(names)
    blocks = [_estimates(measure, codes, weights, k, level) for measure in measures]
    columns = {
        name: np.stack([block[name] for block in blocks], axis=1).ravel() for name in blocks[0]
    }
    every = {name: np.tile(overall[name].array, k) for name in overall}
    plain, flat = ~every["indexed"], every["sd"] == 0
    for name in ("index", "index_low", "index_high"):
        columns[name] = np.where(plain, np.nan, 100 * columns[name])
    for name in ("std_diff", "std_diff_low", "std_diff_high"):
        columns[name] = np.where(flat, np.nan, columns[name])
    segment = np.repeat(np.arange(k), len(measures))
    return pd.DataFrame(
        {
            "segment": pd.Categorical.from_codes(segment, list(names), ordered=True),
            **{name: every[name] for name in ("variable", "level", "role")},
            "overall": every["value"],
            **columns,
        },
        columns=list(COLUMNS),
    )


def _estimates(
    measure: Measure, codes: np.ndarray, weights: np.ndarray, k: int, level: float
) -> dict[str, np.ndarray]:
    """Return what the table says of a measure, by segment."""
    known = ~np.isnan(measure.values)
    sample = Sample(measure.values[known], weights[known], codes[known], k)
    found = moments(sample)
    triples = {
        "value": values_with_intervals(found, level, is_share=measure.is_share),
        "median": (np.full(k, np.nan),) * 3 if measure.is_share else medians(sample, level),
    }
    triples["index"], triples["std_diff"] = distances(
        sample, found, level, is_share=measure.is_share
    )
    columns = {"n": found.n.astype(int)}
    for name, (value, low, high) in triples.items():
        before = "ci" if name == "value" else name
        columns |= {name: value, f"{before}_low": low, f"{before}_high": high}
    return columns


def _account(overall: pd.DataFrame, customers: int, assigned: int) -> pd.DataFrame:
    used = overall.drop_duplicates("variable").set_index("variable")["n"]
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
            "columns, so a difference on them is built in, and a test would find one in noise. "
            "custseg.profiling.honest_differences tests them in ways that allow for it."
        )
    return notes


def _test_notes(tests: pd.DataFrame) -> list[str]:
    notes = []
    sparse = tests.index[(tests["least_expected"] < 5).to_numpy()].tolist()
    if sparse:
        notes.append(
            f"expected counts below 5 in {listed(sparse)}: the chi-square is rough there; group "
            "rare levels or small segments."
        )
    untested = tests.index[tests["p_value"].isna().to_numpy()].tolist()
    if untested:
        notes.append(f"no test of {listed(untested)}: too few customers, or no spread.")
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
    constant = overall["variable"][overall["sd"] == 0].unique()
    if len(constant):
        notes.append(f"no std_diff for {listed(constant)}: the same for every customer.")
    skewed = overall["variable"][~overall["indexed"]].unique()
    if len(skewed):
        notes.append(
            f"no index for {listed(skewed)}: with negative values, or an average of zero, a ratio "
            "to the average misleads."
        )
    return notes
