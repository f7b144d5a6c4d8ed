"""One pass over the data in its own engine: sums by segment and arm, centred by a global shift."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import beside, collect, one_if
from custseg.campaigns.metrics import Metric, Moments
from custseg.errors import DataError, check_columns, check_option

ALL = "(all)"
_MOST_LABELS = 1_000
_WHERE = "the campaign data"


@dataclass(frozen=True)
class Roles:
    """Which column is what; `segments` names a column or is a Series on `customer_id`."""

    arm: str
    metrics: Mapping[str, Metric]
    segments: str | pd.Series | None
    customer_id: str | None

    @property
    def numbers(self) -> list[str]:
        """The columns that the metrics read, each once; number i is called ``v{i}`` inside."""
        return list(dict.fromkeys(c for metric in self.metrics.values() for c in metric.columns))


@dataclass(frozen=True)
class Cells:
    """Sums by segment and arm; G counts everybody, then each segment; A starts with control.

    `frame` has a row per cell: `group` and `arm` are positions, the group of customers in no
    segment comes after the last segment.
    """

    frame: pd.DataFrame
    segments: list[str]
    arms: list[Any]
    shifts: dict[str, float]
    rows_in: int

    def total(self, column: str, ufunc: np.ufunc = np.add, start: float = 0.0) -> np.ndarray:
        """Return a column of `frame` by group and arm, (G, A)."""
        grid = np.full((len(self.segments) + 1, len(self.arms)), start)
        values = self.frame[column].fillna(start).to_numpy(dtype=float)
        ufunc.at(grid, (self.frame["group"].to_numpy(), self.frame["arm"].to_numpy()), values)
        return np.concatenate([ufunc.reduce(grid, axis=0, keepdims=True), grid[:-1]])

    def moments(self, m: int, metric: Metric) -> Moments:
        """Return the moments of the metric at position `m`."""
        p = range(len(metric.columns))
        n = self.total(f"n_{m}")[..., None]
        sums = np.stack([self.total(f"s_{m}_{i}") for i in p], axis=-1)
        low = np.stack([self.total(f"lo_{m}_{i}", np.fmin, np.nan) for i in p], axis=-1)
        high = np.stack([self.total(f"hi_{m}_{i}", np.fmax, np.nan) for i in p], axis=-1)
        cross = np.empty((*sums.shape, len(p)))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.array([self.shifts[c] for c in metric.columns]) + sums / n
            for i in p:
                for j in p[: i + 1]:
                    products = self.total(f"q_{m}_{j}_{i}")
                    cross[..., i, j] = products - sums[..., i] * sums[..., j] / n[..., 0]
                    cross[..., j, i] = cross[..., i, j]
        # a constant column has exactly its value as mean and no spread, whatever the rounding
        constant = low == high
        mean = np.where(constant, low, mean)
        cross = np.where(constant[..., :, None] | constant[..., None, :], 0.0, cross)
        return Moments(n[..., 0], mean, cross)


def read_cells(data: nw.LazyFrame, roles: Roles, control: Any, planned: Sequence[Any]) -> Cells:
    """Check the data, then bring back one row of sums per segment and arm.

    Parameters
    ----------
    data
        One row per customer.
    roles
        What to read.
    control
        The control arm.
    planned
        The arms of the allocation, control first; empty to take those found, sorted.

    Returns
    -------
    Cells
        The sums; `frame` also marks the cells of customers that are not in a Series of segments
        (`unmatched`).
    """
    base = _select(data, roles)
    if roles.customer_id is not None:
        _refuse_repeats(base)
    rows_in, shifts = _facts(base, roles)
    if isinstance(roles.segments, pd.Series):
        base = _with_codes(base, roles.segments)
    sums = _sums(base, roles, shifts)
    arms = _order_arms(sums, roles.arm, control, planned)
    sums = sums[sums["arm"].notna()].reset_index(drop=True)
    labels = _labels(sums, roles.segments)
    groups = labels.cat.codes.to_numpy().astype(int)
    joined = isinstance(roles.segments, pd.Series)
    sums["unmatched"] = sums["segment"].isna() if joined else False
    sums["group"] = np.where(groups < 0, len(labels.cat.categories), groups)
    sums["arm"] = [arms.index(arm) for arm in sums["arm"].tolist()]
    return Cells(sums, list(labels.cat.categories), arms, shifts, rows_in)


def _select(data: nw.LazyFrame, roles: Roles) -> nw.LazyFrame:
    """Return the columns in use under inner names, numbers as floats, NaN as missing."""
    schema = data.collect_schema()
    given = {"arm": roles.arm, "segment": roles.segments, "customer_id": roles.customer_id}
    names = {role: name for role, name in given.items() if isinstance(name, str)}
    check_columns(schema.names(), names.values(), where=_WHERE)
    for name, metric in roles.metrics.items():
        check_columns(schema.names(), metric.columns, where=f"{_WHERE} (metric {name!r})")
        for column in metric.columns:
            kind = schema[column]
            if not (kind.is_numeric() or kind == nw.Boolean):
                raise DataError(
                    f"column {column!r} of metric {name!r} is of type {kind}, but must hold "
                    "numbers. Convert it first."
                )
    numbers = [_number(c, schema[c]).alias(f"v{i}") for i, c in enumerate(roles.numbers)]
    base = data.select(*(nw.col(name).alias(role) for role, name in names.items()), *numbers)
    return base.with_columns(
        nw.when(~nw.col(f"v{i}").is_nan()).then(nw.col(f"v{i}")).alias(f"v{i}")
        for i in range(len(numbers))
    )


def _number(column: str, kind: Any) -> nw.Expr:
    """Return a column as floats; DuckDB would push a cast of truth values into its CSV reader."""
    value = nw.col(column)
    if kind != nw.Boolean:
        return value.cast(nw.Float64)
    return nw.when(~value.is_null()).then(nw.when(value).then(nw.lit(1.0)).otherwise(nw.lit(0.0)))


def _refuse_repeats(base: nw.LazyFrame) -> None:
    known = base.filter(~nw.col("customer_id").is_null(), ~nw.col("arm").is_null())
    customers = known.group_by("customer_id").agg(
        nw.len().alias("rows"),
        nw.col("arm").min().alias("first"),
        nw.col("arm").max().alias("last"),
    )
    repeated = customers.filter(nw.col("rows") > 1).with_columns(
        in_two=one_if(nw.col("first") != nw.col("last"))
    )
    found = collect(repeated.select(nw.len().alias("rows"), nw.col("in_two").sum())).iloc[0]
    if found["rows"]:
        raise DataError(
            f"{int(found['rows']):,} customers have more than one row, {int(found['in_two']):,} of "
            "them in two arms. The test needs one row and one arm per customer: add up the rows of "
            "each, and leave out who was in two arms (say how many) or keep the first arm."
        )


def _facts(base: nw.LazyFrame, roles: Roles) -> tuple[int, dict[str, float]]:
    """Return the number of rows and the mean of each column, after checking the values."""
    columns = {column: f"v{i}" for i, column in enumerate(roles.numbers)}
    binary = {m.columns[0]: name for name, m in roles.metrics.items() if m.binary}
    flagged = base.with_columns(
        *(nw.when(nw.col(v).is_finite()).then(nw.col(v)).alias(f"f{v}") for v in columns.values()),
        *(
            one_if((nw.col(columns[c]) != 0) & (nw.col(columns[c]) != 1)).alias(f"odd{i}")
            for i, c in enumerate(binary)
        ),
    )
    facts = collect(
        flagged.select(
            nw.len().alias("rows"),
            *(nw.col(v).count().alias(f"n{v}") for v in columns.values()),
            *(nw.col(f"f{v}").count().alias(f"nf{v}") for v in columns.values()),
            *(nw.col(f"f{v}").mean() for v in columns.values()),
            *(nw.col(f"odd{i}").sum() for i in range(len(binary))),
        )
    ).iloc[0]
    if not facts["rows"]:
        raise DataError(f"{_WHERE} have no rows.")
    for column, v in columns.items():
        infinite = int(facts[f"n{v}"] - facts[f"nf{v}"])
        if infinite:
            raise DataError(
                f"column {column!r} holds {infinite:,} infinite values. Replace them by numbers, "
                "or by missing values, which are set aside and counted."
            )
        if not facts[f"n{v}"]:
            raise DataError(f"column {column!r} holds no value at all.")
    for i, (column, name) in enumerate(binary.items()):
        if facts[f"odd{i}"] > 0:
            odd = flagged.filter(nw.col(f"odd{i}") == 1).select(columns[column]).unique()
            values = sorted(collect(odd)[columns[column]].tolist())
            shown = ", ".join(f"{value:g}" for value in values[:5])
            more = ", …" if len(values) > 5 else ""
            raise DataError(
                f"column {column!r} of the proportion {name!r} must hold 0 and 1 only, but also "
                f"holds {shown}{more} in {int(facts[f'odd{i}']):,} rows. Use Mean, or make it 0/1."
            )
    return int(facts["rows"]), {column: float(facts[f"f{v}"]) for column, v in columns.items()}


def _with_codes(base: nw.LazyFrame, segments: pd.Series) -> nw.LazyFrame:
    """Join the codes of a categorical Series: missing where a customer is not in it, -1 for NA."""
    kind = base.collect_schema()["customer_id"]
    if kind.is_numeric() != pd.api.types.is_numeric_dtype(segments.index):
        raise DataError(
            f"the customer ids are of type {kind} in the data, but of type {segments.index.dtype} "
            "in the segments. Give both the same type."
        )
    codes = pd.DataFrame({"key": segments.index, "segment": segments.cat.codes.astype("int64")})
    return base.join(beside(codes, base), how="left", left_on="customer_id", right_on="key")


def _sums(base: nw.LazyFrame, roles: Roles, shifts: dict[str, float]) -> pd.DataFrame:
    """Return rows and, per metric m, sums (s), products (q) and extremes by segment and arm."""
    v = {column: f"v{i}" for i, column in enumerate(roles.numbers)}
    steps: list[list[nw.Expr]] = [[], [], []]
    aggregates = [nw.len().alias("rows")]
    for m, metric in enumerate(roles.metrics.values()):
        complete = ~nw.any_horizontal(
            *(nw.col(v[c]).is_null() for c in metric.columns), ignore_nulls=False
        )
        aggregates.append(nw.col(v[metric.columns[0]]).count().alias(f"outcome_{m}"))
        aggregates.append(nw.col(f"r_{m}_0").count().alias(f"n_{m}"))
        for i, column in enumerate(metric.columns):
            raw, shifted = f"r_{m}_{i}", f"s_{m}_{i}"
            steps[0].append(nw.when(complete).then(nw.col(v[column])).alias(raw))
            steps[1].append((nw.col(raw) - shifts[column]).alias(shifted))
            aggregates.append(nw.col(shifted).sum())
            aggregates.append(nw.col(raw).min().alias(f"lo_{m}_{i}"))
            aggregates.append(nw.col(raw).max().alias(f"hi_{m}_{i}"))
            for j in range(i + 1):
                steps[2].append((nw.col(f"s_{m}_{j}") * nw.col(shifted)).alias(f"q_{m}_{j}_{i}"))
                aggregates.append(nw.col(f"q_{m}_{j}_{i}").sum())
    for step in steps:
        base = base.with_columns(*step)
    keys = ["arm"] if roles.segments is None else ["segment", "arm"]
    return collect(base.group_by(*keys).agg(*aggregates))


def _order_arms(sums: pd.DataFrame, column: str, control: Any, planned: Sequence[Any]) -> list[Any]:
    found = sorted(set(sums["arm"].dropna().tolist()))
    if len(found) > _MOST_LABELS:
        raise DataError(f"column {column!r} has {len(found):,} values: it does not name the arms.")
    if not found:
        raise DataError(f"column {column!r} holds no arm at all.")
    check_option(control, "control", found)
    if len(found) == 1:
        raise DataError(f"column {column!r} holds the arm {found[0]!r} only: nothing to compare.")
    if not planned:
        return [control, *(arm for arm in found if arm != control)]
    faults = {
        "is in the data, but not in the allocation": set(found) - set(planned),
        "is in the allocation, but not in the data": set(planned) - set(found),
    }
    for fault, arms in faults.items():
        if arms:
            raise DataError(
                f"arm {min(arms, key=str)!r} {fault}. The data have: "
                f"{', '.join(map(repr, found))}; the allocation plans: "
                f"{', '.join(map(repr, planned))}."
            )
    return list(planned)


def _labels(sums: pd.DataFrame, segments: str | pd.Series | None) -> pd.Series:
    """Return the segment of every cell as a categorical of text without unused names."""
    if segments is None:
        return pd.Series(pd.Categorical([None] * len(sums), categories=[]))
    if isinstance(segments, str):
        labels = sums["segment"]
        if labels.nunique() > _MOST_LABELS:
            raise DataError(
                f"column {segments!r} has {labels.nunique():,} values: it does not name segments. "
                "Cut it into groups first."
            )
        return name_labels(labels).cat.remove_unused_categories()
    if sums["segment"].isna().all():
        raise DataError(
            f"none of the customers in the data are among the {len(segments):,} in the segments. "
            "Check that both use the same customer ids."
        )
    codes = sums["segment"].fillna(-1).astype(int)
    labels = pd.Series(pd.Categorical.from_codes(codes, dtype=segments.dtype))
    return labels.cat.remove_unused_categories()


def name_labels(labels: pd.Series) -> pd.Series:
    """Return labels as a categorical of text, in the order they have, or sorted.

    Raises
    ------
    DataError
        If a segment has the name that means everybody.
    """
    labels = labels.astype("category")
    # whole numbers that a missing value made floats are whole again
    names = [
        str(int(x) if isinstance(x, float) and x.is_integer() else x) for x in labels.cat.categories
    ]
    if ALL in names:
        raise DataError(f"a segment is called {ALL!r}, which means everybody. Rename it.")
    return labels.cat.rename_categories(names)
