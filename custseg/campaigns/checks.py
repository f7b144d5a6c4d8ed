"""What to look at before any effect: are the arms alike, are the data whole."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import stats

from custseg._engine import collect, day_number, one_if
from custseg._labels import ALL
from custseg.campaigns._beside import together
from custseg.campaigns._cells import Cells
from custseg.campaigns._moments import Moments
from custseg.campaigns._over_time import (
    OVER_TIME_COLUMNS,
    by_period,
    entry_slopes,
    period_slopes,
    with_times,
)
from custseg.campaigns.metrics import Mean, Metric, Proportion
from custseg.campaigns.srm import SampleRatio, p_words, status_of
from custseg.errors import DataError, ParameterError, check_columns
from custseg.results import format_number
from custseg.stats import Difference, holm

RATIO, TWO_ARMS, MISSING = "sample ratio", "customers in two arms", "missing outcomes"
BALANCE, BEFORE = "covariate balance", "before the campaign"
TOO_EARLY, OVER_TIME = "outcome before exposure", "effect over time"
_REMEDY = {
    TWO_ARMS: "name customer_id",
    BALANCE: "name columns known before: Checks(balance=[...])",
    BEFORE: "name the metrics before: Checks(before={...})",
    TOO_EARLY: "name the times: Checks(exposed=..., outcome_time=...)",
    OVER_TIME: "name outcomes by period, or the day of entry: Checks(periods={...}, entered=...)",
}
_WORDS = {
    MISSING: "outcomes are missing more often in one arm: the effect may be that of who is missing",
    BALANCE: "arms differ in what was known before: check how customers were assigned",
    BEFORE: "arms differed before the campaign: check how customers were assigned",
    TOO_EARLY: "outcomes came before the exposure, which cannot be its effect",
    OVER_TIME: "the effect changes over time: its average is no forecast",
}
_MOST_LEVELS = 50
CHECK_COLUMNS = [
    *("check", "what", "segment", "arm", "control", "treatment", "std_diff", "p_value", "p_holm"),
    "status",
]
_ENTERED = "effect by entry"


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What a campaign test checks besides the sample ratio, missing outcomes and its covariates.

    Parameters
    ----------
    balance
        Columns known before the campaign that arms must agree in: numbers, truth values or
        categories of up to 50 levels. Covariates of the metrics are always checked.
    before
        Name -> metric on columns of the time before, when nobody was treated: every effect, also
        by segment, must be chance.
    exposed, outcome_time
        Columns with dates, times (text of them is parsed, as by `Transactions`) or numbers: when a
        customer was reached, and when the (first) outcome came. Both or none. They are compared by
        day where one of them knows days only.
    periods
        Name -> columns of one outcome in consecutive periods after exposure, such as
        ``{"spend": ["week_1", "week_2", "week_3"]}``: does the effect fade (novelty) or grow?
    entered
        A column with the date, time or number of the day on which each customer entered the test:
        does the effect on means and proportions change from day to day?

    Raises
    ------
    ParameterError
        If one of the times is missing, a metric is no metric, or there are fewer than two periods
        or one comes twice.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> sent = pd.DataFrame({
    ...     "arm": ["none", "mail"] * 60,
    ...     "spend": [0.0, 4.0, 1.0, 3.0, 2.0, 8.0] * 20,
    ...     "age": [30, 31, 52, 50, 41, 44] * 20,
    ... })
    >>> test = cs.CampaignTest(
    ...     arm="arm", control="none", metrics={"spend": cs.Mean("spend")},
    ...     checks=cs.campaigns.Checks(balance=["age"]),
    ... )
    >>> checks = test.analyze(sent).checks
    >>> checks[checks["status"] != "not checked"][["check", "what", "status"]]
                   check       what status
    0       sample ratio  customers     ok
    1   missing outcomes      spend     ok
    2  covariate balance        age     ok
    """

    balance: Sequence[str] = ()
    before: Mapping[str, Metric] = field(default_factory=dict)
    exposed: str | None = None
    outcome_time: str | None = None
    periods: Mapping[str, Sequence[str]] = field(default_factory=dict)
    entered: str | None = None

    @property
    def times(self) -> list[str]:
        """The columns that hold times."""
        named = (self.exposed, self.outcome_time, self.entered)
        return [column for column in named if column is not None]

    def __post_init__(self) -> None:
        if isinstance(self.balance, str) or not isinstance(self.balance, Collection):
            raise ParameterError(f"balance is {self.balance!r}, but must be a list of columns.")
        for what in ("before", "periods"):
            if not isinstance(getattr(self, what), Mapping):
                raise ParameterError(
                    f"{what} is {getattr(self, what)!r}, but must be a dictionary."
                )
        if (self.exposed is None) != (self.outcome_time is None):
            raise ParameterError("exposed and outcome_time are compared: name both or none.")
        for name, metric in self.before.items():
            if not isinstance(metric, Metric) or isinstance(metric, type):
                raise ParameterError(
                    f"before[{name!r}] is {metric!r}, but must be a metric, such as "
                    "Mean('spend_before')."
                )
        for name, columns in self.periods.items():
            if isinstance(columns, str) or not isinstance(columns, Collection) or len(columns) < 2:
                raise ParameterError(
                    f"periods[{name!r}] is {columns!r}, but must be a list of two columns or more."
                )
            twice = [column for column in columns if list(columns).count(column) > 1]
            if twice:
                raise ParameterError(
                    f"periods[{name!r}] names the column {twice[0]!r} twice, but must name one "
                    "column for each period."
                )


class Checked(NamedTuple):
    """The table of checks, the effects by period, and what must be said of both."""

    table: pd.DataFrame
    over_time: pd.DataFrame
    notes: list[str]


def split_columns(data: nw.LazyFrame, checks: Checks, arm: str) -> tuple[list[str], list[str]]:
    """Return the columns of `checks.balance` that are numbers, and those that are categories.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If a column holds times or is the arm, or a time is no time.
    """
    schema = data.collect_schema()
    named = [*checks.balance, *checks.times]
    check_columns(schema.names(), named, where="the campaign data (checks)")
    if arm in checks.balance:
        raise DataError(f"column {arm!r} is the arm itself: leave it out of balance.")
    numbers: list[str] = []
    categories: list[str] = []
    for column in dict.fromkeys(checks.balance):
        kind = schema[column]
        if kind.is_temporal():
            raise DataError(
                f"column {column!r} to be balanced is of type {kind}. Make it a number, such as "
                "days before the campaign."
            )
        (numbers if kind.is_numeric() or kind == nw.Boolean else categories).append(column)
    for column in checks.times:
        kind = schema[column]
        if not (kind.is_numeric() or kind in (nw.Date, nw.Datetime, nw.String)):
            raise DataError(
                f"column {column!r} is of type {kind}, but must hold dates, times or numbers."
            )
    return numbers, categories


def with_entry_day(data: nw.LazyFrame, checks: Checks) -> nw.LazyFrame:
    """Parse times that are text, and add the number of the day on which a customer entered.

    Raises
    ------
    DataError
        If a text is no time, the engine of the data cannot parse it, or times are to be compared
        with numbers.
    """
    data = with_times(data, checks.times)
    compared = [column for column in (checks.exposed, checks.outcome_time) if column is not None]
    if len({data.collect_schema()[column].is_numeric() for column in compared}) > 1:
        raise DataError(
            f"exposed ({checks.exposed!r}) and outcome_time ({checks.outcome_time!r}) must both "
            "hold times, or both numbers."
        )
    if checks.entered is None:
        return data
    numeric = data.collect_schema()[checks.entered].is_numeric()
    day = nw.col(checks.entered) if numeric else day_number(checks.entered)
    return data.with_columns(day.alias(f"day of {checks.entered}"))


def metrics_to_read(
    checks: Checks, numbers: Sequence[str], metrics: Mapping[str, Metric]
) -> dict[str, Metric]:
    """Return what the checks need of the group-by, as metrics under names of their own.

    Raises
    ------
    ParameterError
        If a metric of the test has such a name.
    """
    trends = {name: Mean(last, covariate=rest) for name, (*rest, last) in checks.periods.items()}
    entries = {
        name: Mean(metric.column, covariate=f"day of {checks.entered}", winsorize=metric.winsorize)
        for name, metric in metrics.items()
        if checks.entered is not None and isinstance(metric, Mean | Proportion)
    }
    found = {
        **{f"{BALANCE}: {column}": Mean(column) for column in numbers},
        **{f"{BEFORE}: {name}": metric for name, metric in checks.before.items()},
        **{f"{OVER_TIME}: {name}": metric for name, metric in trends.items()},
        **{f"{_ENTERED}: {name}": metric for name, metric in entries.items()},
    }
    for name in metrics:
        if name in found:
            raise ParameterError(f"a metric is called {name!r}, as a check is. Rename it.")
    return found


def run_checks(
    data: nw.LazyFrame,
    cells: Cells,
    srm: SampleRatio,
    metrics: Mapping[str, Metric],
    checks: Checks,
) -> Checked:
    """Check the arms, from the sums and, for categories and times, a group-by each.

    Parameters
    ----------
    data
        The rows.
    cells
        The sums of `metrics`, then of `metrics_to_read`.
    srm
        The sample ratio.
    metrics
        The metrics of the test, not those of the checks.
    checks
        What else to look at.
    """
    rows = _ratio_rows(srm) + _two_arms(cells.roles.customer_id) + _missing(cells, metrics)
    rows += _covariates(cells, metrics) + _categories(data, cells, checks)
    over_time = []
    for m, (name, metric) in list(enumerate(cells.roles.metrics.items()))[len(metrics) :]:
        check, what = name.split(": ", 1)
        moments = cells.moments(m, metric)
        if check == OVER_TIME:
            rows += _trend(f"{what}: change per period", period_slopes(moments), cells.arms)
            over_time.append(by_period(what, checks.periods[what], moments, cells.arms))
        elif check == _ENTERED:
            rows += _trend(f"{what}: change per day of entry", entry_slopes(moments), cells.arms)
        else:
            groups = len(moments.n) if check == BEFORE else 1
            rows += _compared(check, what, metric, moments, cells.arms, groups=groups)
    rows += _too_early(data, cells, checks)
    done = {row["check"] for row in rows}
    rows += [
        _row(check, what, status="not checked")
        for check, what in _REMEDY.items()
        if check not in done
    ]
    table = _judged(pd.DataFrame(rows, columns=CHECK_COLUMNS))
    return Checked(table, together(over_time, OVER_TIME_COLUMNS), check_notes(table))


def check_notes(table: pd.DataFrame) -> list[str]:
    """Say what the checks found; the sample ratio has notes of its own."""
    notes = []
    bad = table[table["status"].isin(["suspect", "alarm"]) & (table["check"] != RATIO)]
    for check, rows in bad.groupby("check", sort=False):
        found = [
            f"{row['what']}{'' if row['segment'] == ALL else ' in ' + row['segment']} ({row['arm']}"
            f"{', ' + p_words(row['p_holm']) if row['p_holm'] == row['p_holm'] else ''})"
            for row in rows.to_dict("records")
        ]
        shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        notes.append(f"{check.capitalize()}: {_WORDS[check]}: {shown}.")
    return notes


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Adjust p-values within each check, and read the status from them."""
    numeric = ["control", "treatment", "std_diff", "p_value", "p_holm"]
    table = table.astype(dict.fromkeys(numeric, float))
    for check in (MISSING, BALANCE, BEFORE, OVER_TIME):
        of = (table["check"] == check) & (table["status"] != "not checked")
        table.loc[of, "p_holm"] = holm(table.loc[of, "p_value"].to_numpy())
        table.loc[of, "status"] = [status_of(p) for p in table.loc[of, "p_holm"]]
        table.loc[of & table["p_value"].isna(), "status"] = "not checked"
    table["status"] = table["status"].replace("mismatch", "alarm")
    return table


def _row(check: str, what: str, **values: Any) -> dict[str, Any]:
    return {"check": check, "what": what, "segment": ALL, "arm": "", "status": "ok"} | values


def _ratio_rows(srm: SampleRatio) -> list[dict[str, Any]]:
    first = _row(RATIO, "customers", p_value=srm.p_value, p_holm=srm.p_value, status=srm.status)
    return [
        first,
        *(
            _row(RATIO, "customers", **row)
            for row in srm.by_segment.drop(columns="statistic").to_dict("records")
        ),
    ]


def _two_arms(customer_id: str | None) -> list[dict[str, Any]]:
    """Say that nobody is in two arms: the test refuses those with two rows, if it knows ids."""
    if customer_id is None:
        return []
    return [_row(TWO_ARMS, customer_id, control=0.0, treatment=0.0)]


def _missing(cells: Cells, metrics: Mapping[str, Metric]) -> list[dict[str, Any]]:
    rows, found = cells.total("rows")[0], []
    for m, name in enumerate(metrics):
        missing = rows - cells.total(f"outcome_{m}")[0]
        found += _shares(MISSING, name, missing, rows, cells.arms)
    return found


def _shares(
    check: str, what: str, count: np.ndarray, n: np.ndarray, arms: Sequence[Any]
) -> list[dict[str, Any]]:
    """Compare the shares of arms that something holds for, (A,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = count / n
    moments = Moments(n[None], share[None, :, None], np.zeros((1, len(n), 1, 1)))
    return _compared(check, what, Proportion(what), moments, arms, groups=1)


def _compared(
    check: str, what: str, metric: Metric, moments: Moments, arms: Sequence[Any], *, groups: int
) -> list[dict[str, Any]]:
    """Return a row per group and treatment arm where both arms have two customers."""
    compared, rows = metric.compare(moments), []
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = moments.cross[..., 0, 0] / (moments.n - 1)
    for g in range(groups):
        for a, arm in enumerate(arms[1:]):
            if min(moments.n[g, 0], moments.n[g, a + 1]) < 2:
                continue
            within = np.sqrt((variance[g, 0] + variance[g, a + 1]) / 2)
            difference = float(compared.difference.effect[g, a])
            rows.append(
                _row(
                    check,
                    what,
                    segment=moments.groups[g] if moments.groups else ALL,
                    arm=arm,
                    control=float(compared.control[g, a]),
                    treatment=float(compared.treatment[g, a]),
                    std_diff=difference / within if within > 0 else np.nan,
                    p_value=float(compared.difference.p_value[g, a]),
                )
            )
    return rows


def _covariates(cells: Cells, metrics: Mapping[str, Metric]) -> list[dict[str, Any]]:
    """Compare the covariates of the metrics, from the sums that adjust for them."""
    rows, seen = [], set()
    for m, metric in enumerate(metrics.values()):
        covariates = getattr(metric, "covariate", None)
        if covariates is None:
            continue
        moments = cells.moments(m, metric)
        names = metric.columns
        first = len(names) - (1 if isinstance(covariates, str) else len(covariates))
        for j in range(first, len(names)):
            if names[j] in seen:
                continue
            seen.add(names[j])
            own = slice(j, j + 1)
            alone = Moments(moments.n[:1], moments.mean[:1, :, own], moments.cross[:1, :, own, own])
            rows += _compared(BALANCE, names[j], Mean(names[j]), alone, cells.arms, groups=1)
    return rows


def _categories(data: nw.LazyFrame, cells: Cells, checks: Checks) -> list[dict[str, Any]]:
    _, categories = split_columns(data, checks, cells.roles.arm)
    return [row for column in categories for row in _levels(data, cells, column)]


def _levels(data: nw.LazyFrame, cells: Cells, column: str) -> list[dict[str, Any]]:
    """Compare a category: one chi-square test, and the level that differs most."""
    arm = cells.roles.arm
    counts = collect(
        data.filter(~nw.col(arm).is_null()).group_by(arm, column).agg(nw.len().alias("n"))
    )
    labels = counts[column].astype(object).where(counts[column].notna(), "(missing)").astype(str)
    table = counts.assign(level=labels).pivot_table(
        index="level", columns=arm, values="n", aggfunc="sum", fill_value=0
    )
    if len(table) > _MOST_LEVELS:
        raise DataError(
            f"column {column!r} has {len(table):,} values, more than {_MOST_LEVELS}. Cut it into "
            "groups, or leave it out of balance."
        )
    rows, control = [], table[cells.arms[0]].to_numpy(dtype=float)
    for treatment in cells.arms[1:]:
        both = np.stack([control, table[treatment].to_numpy(dtype=float)])
        both = both[:, both.sum(axis=0) > 0]
        share = both / both.sum(axis=1, keepdims=True)
        spread = np.sqrt((share * (1 - share)).mean(axis=0))
        with np.errstate(invalid="ignore"):
            away = np.where(spread > 0, (share[1] - share[0]) / spread, 0)
        worst = int(np.abs(away).argmax())
        names = table.index[(control + table[treatment].to_numpy()) > 0]
        p = stats.chi2_contingency(both, correction=False).pvalue if both.shape[1] > 1 else 1.0
        rows.append(
            _row(
                BALANCE,
                f"{column} (most: {names[worst]})",
                arm=treatment,
                control=share[0, worst],
                treatment=share[1, worst],
                std_diff=away[worst],
                p_value=float(p),
            )
        )
    return rows


def _too_early(data: nw.LazyFrame, cells: Cells, checks: Checks) -> list[dict[str, Any]]:
    """Count outcomes before the exposure by arm; days are compared where one is a day only."""
    if checks.exposed is None or checks.outcome_time is None:
        return []
    exposed, outcome = checks.exposed, checks.outcome_time
    schema = data.collect_schema()
    by_day = nw.Date in (schema[exposed], schema[outcome])
    ends = [day_number(c) if by_day else nw.col(c) for c in (exposed, outcome)]
    marked = (
        data.filter(~nw.col(cells.roles.arm).is_null())
        .select(nw.col(cells.roles.arm), custseg_exposed=ends[0], custseg_outcome=ends[1])
        .with_columns(
            custseg_early=one_if(nw.col("custseg_outcome") < nw.col("custseg_exposed")),
            custseg_both=one_if(
                ~nw.col("custseg_outcome").is_null() & ~nw.col("custseg_exposed").is_null()
            ),
        )
    )
    found = collect(
        marked.group_by(cells.roles.arm).agg(
            nw.col("custseg_early").sum(), nw.col("custseg_both").sum()
        )
    ).set_index(cells.roles.arm)
    rows = []
    for arm in cells.arms:
        early, known = found.loc[arm, "custseg_early"], found.loc[arm, "custseg_both"]
        rows.append(
            _row(
                TOO_EARLY,
                f"{format_number(int(early))} of {format_number(int(known))} in {outcome}",
                arm=arm,
                status="suspect" if early else "ok",
            )
        )
    return rows


def _trend(
    what: str, found: tuple[np.ndarray, Difference], arms: Sequence[Any]
) -> list[dict[str, Any]]:
    """Return a row per treatment arm: its slope, that of control, and whether they differ."""
    slope, difference = found
    return [
        _row(
            OVER_TIME,
            what,
            arm=arm,
            control=slope[0],
            treatment=slope[a + 1],
            p_value=difference.p_value[a],
        )
        for a, arm in enumerate(arms[1:])
    ]
