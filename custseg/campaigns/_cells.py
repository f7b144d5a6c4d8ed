"""One group-by of the data in its own engine: sums by segment and arm, centred by a shift."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement as multisets
from itertools import permutations
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import beside, collect, one_if
from custseg._labels import ALL, name_labels
from custseg.campaigns._moments import Moments, merged
from custseg.campaigns.metrics import Metric
from custseg.errors import DataError, check_columns, check_option

_MOST_ARMS, _MOST_SEGMENTS = 100, 1_000
_FIRST_ROWS = 1_000
_KEPT_DIGITS = 1e-4
_WHERE = "the campaign data"


@dataclass(frozen=True)
class Roles:
    """Which column is what; `segments` names a column or is a Series on `customer_id`.

    `day` names a column of whole numbers: where there is one, every cell is of one day.
    """

    arm: str
    metrics: Mapping[str, Metric]
    segments: str | pd.Series | None
    customer_id: str | None
    day: str | None = None

    @property
    def numbers(self) -> dict[tuple[str, float | None], str]:
        """The columns that the metrics read, with the quantile of their cap -> their inner name."""
        keys = dict.fromkeys(key for metric in self.metrics.values() for key in _keys(metric))
        return {key: f"v{i}" for i, key in enumerate(keys)}

    @property
    def keys(self) -> list[str]:
        """The inner names of what is grouped by."""
        given = {"segment": self.segments, "arm": self.arm, "day": self.day}
        return [key for key, role in given.items() if role is not None]

    @property
    def binary(self) -> list[str]:
        """The inner names of columns that must hold 0 and 1."""
        binary = (self.inner(m)[0] for m in self.metrics.values() if m.binary)
        return list(dict.fromkeys(binary))

    def inner(self, metric: Metric) -> list[str]:
        """Return the inner names of the columns of a metric."""
        return [self.numbers[key] for key in _keys(metric)]


def _keys(metric: Metric) -> list[tuple[str, float | None]]:
    first, *others = metric.columns
    return [(first, metric.winsorize), *((column, None) for column in others)]


@dataclass(frozen=True)
class Cells:
    """Sums by segment and arm; G counts everybody, then each segment; A starts with control.

    `frame` has a row per cell: `group` and `arm` are positions, the group of customers in no
    segment comes after the last segment. `rows`, where a metric needs them, has a row per customer
    with the same positions. `caps` belong to inner columns.
    """

    frame: pd.DataFrame
    segments: list[str]
    arms: list[Any]
    rows_in: int
    roles: Roles
    caps: dict[str, float]
    rows: pd.DataFrame

    def total(self, column: str, ufunc: np.ufunc = np.add, start: float = 0.0) -> np.ndarray:
        """Return a column of `frame` by group and arm, (G, A)."""
        grid = np.full((len(self.segments) + 1, len(self.arms)), start)
        values = self.frame[column].fillna(start).to_numpy(dtype=float)
        ufunc.at(grid, (self.frame["group"].to_numpy(), self.frame["arm"].to_numpy()), values)
        return np.concatenate([ufunc.reduce(grid, axis=0, keepdims=True), grid[:-1]])

    def moments(self, m: int, metric: Metric) -> Moments:
        """Return the moments of the metric at position `m`."""
        names = self.roles.inner(metric)
        cells = self.central(m, metric)
        group, arm = self.frame["group"].to_numpy(), self.frame["arm"].to_numpy()
        shape = len(self.segments) + 1, len(self.arms)
        grids = [np.full((*shape, *part.shape[1:]), np.nan) for part in cells]
        grids[0][:] = 0
        inside = group < len(self.segments)
        for grid, part in zip(grids, cells, strict=True):
            grid[group[inside] + 1, arm[inside]] = part[inside]
        for a in range(len(self.arms)):
            everybody = merged(*(part[arm == a] for part in cells))
            for grid, part in zip(grids, everybody, strict=True):
                grid[0, a] = part
        n, mean, cross, third = grids
        constant, value = self._constant(m, names)
        cap = self.caps.get(names[0])
        return Moments(
            n,
            np.where(constant, value, mean),
            np.where(constant[..., :, None] | constant[..., None, :], 0.0, cross),
            third=third if metric.third else None,
            groups=(ALL, *self.segments),
            values=self._values(names) if metric.reads_rows else None,
            capped=None if cap is None else (cap, int(self.frame[f"over_{m}"].sum())),
        )

    def central(self, m: int, metric: Metric) -> list[np.ndarray]:
        """Return size, means and sums of products of 2 and 3 deviations, by row of `frame`."""
        names = self.roles.inner(metric)
        p, k = range(len(names)), metric.third
        n = self._column(f"n_{m}")
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.stack([self._column(f"s_{m}_{i}") for i in p], axis=-1) / n[:, None]
        mean = np.stack([self._column(f"shift_{v}") for v in names], axis=-1) + away
        cross, third = np.empty((*mean.shape, len(p))), np.empty((len(n), k, k, k))
        for i, j in multisets(p, 2):
            cross[:, i, j] = self._column(f"q_{m}_{i}_{j}") - n * away[:, i] * away[:, j]
            cross[:, j, i] = cross[:, i, j]
        a = away.T
        for i, j, h in multisets(range(k), 3):
            central = self._column(f"t_{m}_{i}_{j}_{h}") - n * a[i] * a[j] * a[h]
            central -= a[i] * cross[:, j, h] + a[j] * cross[:, i, h] + a[h] * cross[:, i, j]
            for x, y, z in permutations((i, j, h)):
                third[:, x, y, z] = central
        return [n, mean, cross, third]

    def _constant(self, m: int, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return where a column has one value only, and which: no rounding shall vary it."""
        low, high = (
            np.stack([self.total(f"{end}_{m}_{i}", f, np.nan) for i in range(len(names))], axis=-1)
            for end, f in (("lo", np.fmin), ("hi", np.fmax))
        )
        return low == high, low

    def _column(self, name: str) -> np.ndarray:
        return self.frame[name].fillna(0).to_numpy(dtype=float)

    def _values(self, names: Sequence[str]) -> list[list[np.ndarray]]:
        """Return the complete rows of each group and arm, (n, p), in an order of their own."""
        known = self.rows.dropna(subset=names).sort_values(names, kind="stable")
        values, arm, group = (known[c].to_numpy() for c in (names, "arm", "group"))
        by_arm = [(values[arm == a], group[arm == a]) for a in range(len(self.arms))]
        everybody = [rows for rows, _ in by_arm]
        return [
            everybody,
            *([rows[of == g] for rows, of in by_arm] for g in range(len(self.segments))),
        ]


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
    caps = _caps(base, roles)
    base = _capped(base, caps)
    if isinstance(roles.segments, pd.Series):
        base = _with_codes(base, roles.segments)
    shifts = _first_shifts(base, roles)
    sums = _sums(base, roles, shifts, caps)
    _check_values(base, roles, sums)
    arms = _order_arms(sums, roles.arm, control, planned)
    far = _misjudged(sums, roles)
    if far:
        sums = _sums(base, roles, {v: x for v, x in shifts.items() if v not in far}, caps)
    rows_in = int(sums["rows"].sum())
    sums = sums[sums["arm"].notna()].reset_index(drop=True)
    labels = _labels(sums, roles.segments)
    groups = labels.cat.codes.to_numpy().astype(int)
    joined = isinstance(roles.segments, pd.Series)
    sums["unmatched"] = sums["segment"].isna() if joined else False
    sums["group"] = np.where(groups < 0, len(labels.cat.categories), groups)
    sums["position"] = [arms.index(arm) for arm in sums["arm"].tolist()]
    rows = _rows(base, roles, sums)
    sums["arm"] = sums.pop("position")
    return Cells(sums, list(labels.cat.categories), arms, rows_in, roles, caps, rows)


def _select(data: nw.LazyFrame, roles: Roles) -> nw.LazyFrame:
    """Return the columns in use under inner names, numbers as floats.

    ``odd_{v}`` is 1 where a proportion is neither 0 nor 1.
    """
    schema = data.collect_schema()
    given = {
        "arm": roles.arm,
        "segment": roles.segments,
        "customer_id": roles.customer_id,
        "day": roles.day,
    }
    names = {role: name for role, name in given.items() if isinstance(name, str)}
    check_columns(schema.names(), names.values(), where=_WHERE)
    for role, name in names.items():
        if schema[name].is_nested():
            raise DataError(
                f"column {name!r}, the {role.replace('_', ' ')}, holds lists or records, but must "
                "hold one label per row."
            )
    for name, metric in roles.metrics.items():
        check_columns(schema.names(), metric.columns, where=f"{_WHERE} (metric {name!r})")
        for column in metric.columns:
            kind = schema[column]
            if not (kind.is_numeric() or kind == nw.Boolean):
                raise DataError(
                    f"column {column!r} of metric {name!r} is of type {kind}, but must hold "
                    "numbers. Convert it first."
                )
    numbers = [_number(c, schema[c]).alias(v) for (c, _), v in roles.numbers.items()]
    base = data.select(*(nw.col(name).alias(role) for role, name in names.items()), *numbers)
    odd = {v: (nw.col(v) != 0) & (nw.col(v) != 1) for v in roles.binary}
    marks = [one_if(mark).alias(f"odd_{v}") for v, mark in odd.items()]
    return base.with_columns(*marks) if marks else base


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


def _caps(base: nw.LazyFrame, roles: Roles) -> dict[str, float]:
    """Return the quantile at which an inner column is capped, among all who are in an arm."""
    wanted = {v: q for (_, q), v in roles.numbers.items() if q is not None}
    if not wanted:
        return {}
    found = collect(
        base.filter(~nw.col("arm").is_null()).select(
            nw.col(v).quantile(q, interpolation="linear") for v, q in wanted.items()
        )
    ).iloc[0]
    return {v: float(found[v]) for v in wanted if found[v] == found[v]}


def _capped(base: nw.LazyFrame, caps: Mapping[str, float]) -> nw.LazyFrame:
    """Cap columns, but not what is infinite; ``over_{v}`` is 1 where a value was above."""
    if not caps:
        return base
    above = {v: (nw.col(v) > cap) & nw.col(v).is_finite() for v, cap in caps.items()}
    return base.with_columns(
        *(one_if(mark).alias(f"over_{v}") for v, mark in above.items()),
        *(
            nw.when(mark).then(nw.lit(caps[v])).otherwise(nw.col(v)).alias(v)
            for v, mark in above.items()
        ),
    )


def _first_shifts(base: nw.LazyFrame, roles: Roles) -> dict[str, float]:
    """Return a number near the mean of each column, from the first rows, with few digits.

    Sums of such differences keep the digits that sums of large numbers would lose, and those of
    whole numbers stay whole.
    """
    names = list(roles.numbers.values())
    first = collect(base.select(*names).head(_FIRST_ROWS))
    shifts = dict.fromkeys(names, 0.0)
    for name in (v for v in names if v not in roles.binary):
        known = first[name][np.isfinite(first[name])]
        mean, spread = known.mean(), known.std()
        if mean == mean:
            step = 10.0 ** np.floor(np.log10(spread)) if spread > 0 else 0.0
            shifts[name] = float(np.round(mean / step) * step if step else mean)
    return shifts


def _misjudged(sums: pd.DataFrame, roles: Roles) -> set[str]:
    """Return the columns that the first rows misjudged by many standard deviations of a cell."""
    far = set()
    for m, metric in enumerate(roles.metrics.values()):
        for i, name in enumerate(roles.inner(metric)):
            n, total, squares = sums[f"n_{m}"], sums[f"s_{m}_{i}"], sums[f"q_{m}_{i}_{i}"]
            lost = squares - total**2 / n.where(n > 0) < _KEPT_DIGITS * squares
            if (lost & (sums[f"lo_{m}_{i}"] < sums[f"hi_{m}_{i}"])).any():
                far.add(name)
    return far


def _check_values(base: nw.LazyFrame, roles: Roles, sums: pd.DataFrame) -> None:
    """Refuse columns without values, with infinite ones, and proportions that are not 0 and 1."""
    if sums.empty:
        raise DataError(f"{_WHERE} have no rows.")
    for m, metric in enumerate(roles.metrics.values()):
        for i, (column, v) in enumerate(zip(metric.columns, roles.inner(metric), strict=True)):
            if np.isinf(sums[[f"lo_{m}_{i}", f"hi_{m}_{i}"]].to_numpy(dtype=float)).any():
                found = collect(base.select(infinite=one_if(~nw.col(v).is_finite()).sum()))
                raise DataError(
                    f"column {column!r} holds {int(found.iloc[0, 0]):,} infinite values. Replace "
                    "them by numbers, or by missing values, which are set aside and counted."
                )
            if not sums[f"n_{m}"].sum() and not collect(base.select(nw.col(v).count())).iloc[0, 0]:
                raise DataError(f"column {column!r} holds no value at all.")
            if v in roles.binary and sums[f"odd_{v}"].sum():
                _refuse_odd(base, roles, column, v, int(sums[f"odd_{v}"].sum()))


def _refuse_odd(base: nw.LazyFrame, roles: Roles, column: str, v: str, rows: int) -> None:
    name = next(n for n, metric in roles.metrics.items() if roles.inner(metric)[0] == v)
    odd = collect(base.filter(nw.col(f"odd_{v}") == 1).select(v).unique())[v]
    shown = ", ".join(f"{value:g}" for value in sorted(odd.tolist())[:5])
    more = ", …" if len(odd) > 5 else ""
    raise DataError(
        f"column {column!r} of the proportion {name!r} must hold 0 and 1 only, but also "
        f"holds {shown}{more} in {rows:,} rows. Use Mean, or make it 0/1."
    )


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


def _sums(
    base: nw.LazyFrame, roles: Roles, shifts: Mapping[str, float], caps: Mapping[str, float]
) -> pd.DataFrame:
    """Return sums by segment and arm, also of rows that name no arm, in one group-by.

    Per metric m and its columns i <= j <= h: complete rows (n), sums of shifted values (s), of
    their products (q, t), and extremes (lo, hi). A column without a shift gets the mean of each
    cell, which is a window over all rows.
    """
    keys = roles.keys
    windows = [v for v in roles.numbers.values() if v not in shifts]
    steps: list[list[nw.Expr]] = [
        [nw.col(v).mean().over(*keys).alias(f"shift_{v}") for v in windows],
        *([], [], [], []),
    ]
    aggregates = [nw.len().alias("rows"), *(nw.col(f"shift_{v}").max() for v in windows)]
    aggregates += [nw.col(f"odd_{v}").sum() for v in roles.binary]

    def add_up(step: int, value: nw.Expr, name: str) -> None:
        steps[step].append(value.alias(name))
        aggregates.append(nw.col(name).sum())

    for m, metric in enumerate(roles.metrics.values()):
        names = roles.inner(metric)
        p = range(len(names))
        complete = ~nw.any_horizontal(*(nw.col(v).is_null() for v in names), ignore_nulls=False)
        aggregates.append(nw.col(names[0]).count().alias(f"outcome_{m}"))
        aggregates.append(nw.col(f"r_{m}_0").count().alias(f"n_{m}"))
        if names[0] in caps:
            add_up(1, nw.when(complete).then(nw.col(f"over_{names[0]}")), f"over_{m}")
        for i, v in enumerate(names):
            raw = nw.col(f"r_{m}_{i}")
            steps[1].append(nw.when(complete).then(nw.col(v)).alias(f"r_{m}_{i}"))
            aggregates += [raw.min().alias(f"lo_{m}_{i}"), raw.max().alias(f"hi_{m}_{i}")]
            add_up(2, raw - (shifts[v] if v in shifts else nw.col(f"shift_{v}")), f"s_{m}_{i}")
        for i, j in multisets(p, 2):
            add_up(3, nw.col(f"s_{m}_{i}") * nw.col(f"s_{m}_{j}"), f"q_{m}_{i}_{j}")
        for i, j, h in multisets(range(metric.third), 3):
            add_up(4, nw.col(f"q_{m}_{i}_{j}") * nw.col(f"s_{m}_{h}"), f"t_{m}_{i}_{j}_{h}")
    for step in steps:
        base = base.with_columns(*step) if step else base
    return collect(base.group_by(*keys).agg(*aggregates)).assign(
        **{f"shift_{v}": shift for v, shift in shifts.items()}
    )


def _rows(base: nw.LazyFrame, roles: Roles, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of customers in an arm, with the positions of group and arm."""
    names = {v for m in roles.metrics.values() if m.reads_rows for v in roles.inner(m)}
    if not names:
        return pd.DataFrame()
    keys = roles.keys
    rows = collect(base.filter(~nw.col("arm").is_null()).select(*keys, *sorted(names)))
    found = rows.merge(cells[[*keys, "group", "position"]], how="left", on=keys)
    return found.assign(arm=found.pop("position"))


def _order_arms(sums: pd.DataFrame, column: str, control: Any, planned: Sequence[Any]) -> list[Any]:
    found = sorted(set(sums["arm"].dropna().tolist()))
    if len(found) > _MOST_ARMS:
        raise DataError(
            f"column {column!r} has {len(found):,} values: it does not name the arms, of which "
            f"there may be {_MOST_ARMS}. Name the column that does."
        )
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
        if labels.nunique() > _MOST_SEGMENTS:
            raise DataError(
                f"column {segments!r} has {labels.nunique():,} values: it does not name segments, "
                f"of which there may be {_MOST_SEGMENTS:,}. Cut it into groups first."
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
