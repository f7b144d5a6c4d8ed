"""Not randomised, but seen before and after: difference in differences on a panel of customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from custseg._engine import collect, to_lazy
from custseg._labels import ALL, name_labels
from custseg.campaigns._history import refuse_infinite
from custseg.campaigns.srm import p_words
from custseg.errors import DataError, check_columns, check_number, check_option
from custseg.results import Result, format_number
from custseg.stats import holm

_WHERE = "the panel"
_MOST_PERIODS = 200
_FEW = 10
OBSERVATIONAL = (
    "Observational: nobody was assigned at random. The effect is causal only if, without "
    "treatment, both groups would have changed alike, which no test can show."
)


@dataclass(frozen=True, repr=False, eq=False)
class DifferenceInDifferences(Result):
    """How much more treated customers changed than untreated ones, overall and by segment.

    Attributes
    ----------
    table
        The table of `to_frame`.
    event_study
        One row per segment and event time (periods since the first treated one; -1 is the
        reference): `segment`, `event_time`, `effect` (difference of changes since the period before
        treatment), `se`, `ci_low`, `ci_high` (pointwise), `n_treatment`.
    pre_trend
        One row per segment: `segment`, `statistic` (F), `df`, `df_resid`, `p_value` of the joint
        test that no effect before treatment differs from 0; missing with one period before.
    cohorts
        One row per segment, cohort and period: `segment`, `first_treated`, `period`, `n_treatment`,
        `n_control`, `effect`, `se`.
    account
        Rows and customers: `rows_in`, `customers_in` = `customers_used` + `incomplete` +
        `always_treated`.
    notes
        Caveats, the most serious first.
    """

    table: pd.DataFrame
    event_study: pd.DataFrame
    pre_trend: pd.DataFrame
    cohorts: pd.DataFrame
    account: pd.Series
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "observational.event_study"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment.

        Returns
        -------
        pandas.DataFrame
            `segment` (``"(all)"`` first), `n_control` (never treated), `n_treatment` (customers),
            `control_change`, `treatment_change` (from the periods before to those after), `effect`
            (per customer and period of treatment), `se` (clustered by customer), `ci_low`,
            `ci_high`, `p_value`, `p_holm` (family: all segments), `p_pre_trend`.
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return the effect, and what speaks against it, in a few sentences."""
        row = self.table.iloc[0]
        low, high = format_number(row["ci_low"]), format_number(row["ci_high"])
        text = (
            f"Treated customers changed by {format_number(row['effect'])} ({low} to {high}) more "
            "per period than untreated ones (observational). "
        )
        p = row["p_pre_trend"]
        if pd.isna(p):
            return text + "One period before treatment: nothing shows whether they changed alike."
        if p < 0.05:
            return text + (
                f"They did not change alike before treatment ({p_words(p)}): do not read this as "
                "what the campaign did."
            )
        return text + f"Before treatment no difference in trends was found ({p_words(p)})."


class _Panel(NamedTuple):
    y: np.ndarray  # (N, T), customers in the order of their ids
    first: np.ndarray  # (N,) position of the first treated period, T for never
    segment: np.ndarray  # (N,) positions, -1 for none
    segments: list[str]
    periods: pd.Index
    account: pd.Series


class _Parts(NamedTuple):
    """Estimates and what each customer adds to them, so that any sum has a standard error."""

    value: np.ndarray  # (k,)
    influence: np.ndarray  # (N, k)


def difference_in_differences(
    data: Any,
    *,
    customer_id: str,
    period: str,
    outcome: str,
    first_treated: str,
    segments: str | None = None,
    controls: str = "never",
    missing: str = "drop",
    level: float = 0.95,
) -> DifferenceInDifferences:
    """Compare how treated and untreated customers changed.

    The effect is the change of the treated from the mean of all periods before treatment to that of
    the periods since, minus the change of the untreated: with one start, the coefficient of the
    two-way fixed effects regression. Where customers start at different times, each cohort is
    compared with customers who are untreated then, and cohorts are averaged by their
    customer-periods; a two-way regression would take treated customers as controls. All standard
    errors are clustered by customer.

    Parameters
    ----------
    data
        One row per customer and period: a pandas, Polars or PyArrow table, a DuckDB relation, a
        PySpark frame, an Ibis table, or the path of a CSV or Parquet file. The columns in use are
        collected.
    customer_id
        The column that identifies customers.
    period
        The column of periods, numbers or dates of the same kind as `first_treated`; evenly spaced,
        they are taken in their order.
    outcome
        The column of numbers to compare.
    first_treated
        The column with the first period in which a customer is treated, the same in all rows of a
        customer, missing for those who never are. Treatment stays.
    segments
        A column with the segment of each customer, the same in all rows.
    controls
        ``"never"`` treated customers, or all who are ``"not_yet"`` treated in a period.
    missing
        A customer without a row or value in some period: ``"drop"`` sets the customer aside,
        ``"zero"`` counts 0, as for money spent.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    DifferenceInDifferences
        Effects, the event study, the joint test of trends before treatment, and an account.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If there are no untreated customers, no period before treatment, a customer with two rows in
        a period, two starts or two segments, or values that are no numbers.
    ParameterError
        If a parameter is outside its bounds or options.

    References
    ----------
    Callaway, B. and Sant'Anna, P. H. C. (2021), Journal of Econometrics 225, 200-230.
    Goodman-Bacon, A. (2021), Journal of Econometrics 225, 254-277. Bertrand, M., Duflo, E. and
    Mullainathan, S. (2004), Quarterly Journal of Economics 119, 249-275. Roth, J. (2022), American
    Economic Review: Insights 4, 305-322.

    Examples
    --------
    >>> panel = pd.DataFrame({
    ...     "who": [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6],
    ...     "month": [1, 2] * 6,
    ...     "start": [2] * 6 + [None] * 6,
    ...     "spend": [10, 15, 12, 18, 11, 15, 20, 21, 22, 22, 21, 23],
    ... })
    >>> found = difference_in_differences(
    ...     panel, customer_id="who", period="month", outcome="spend", first_treated="start"
    ... )
    >>> found.to_frame()[["control_change", "treatment_change", "effect", "se"]].round(3)
       control_change  treatment_change  effect     se
    0             1.0               5.0     4.0  0.816
    """
    check_option(controls, "controls", ("never", "not_yet"))
    check_option(missing, "missing", ("drop", "zero"))
    check_number(level, "level", gt=0, lt=1)
    panel = _panel(data, (customer_id, period, outcome, first_treated), segments, missing)
    tables, events, trends, cohorts = [], [], [], []
    for s, name in enumerate([ALL, *panel.segments], start=-1):
        here = np.ones(len(panel.y), dtype=bool) if s < 0 else panel.segment == s
        y, first = panel.y[here], panel.first[here]
        _check_groups(first, y.shape[1], name, controls)
        row, study, trend, cells = _effects(y, first, panel.periods, controls, level)
        tables.append({"segment": name} | row | {"p_pre_trend": trend["p_value"]})
        trends.append({"segment": name} | trend)
        events.append(study.assign(segment=name))
        cohorts.append(cells.assign(segment=name))
    table = pd.DataFrame(tables)
    adjusted = np.concatenate([table["p_value"][:1], holm(table["p_value"][1:])])
    table.insert(table.columns.get_loc("p_value") + 1, "p_holm", adjusted)
    study, cells = (_segment_first(frames) for frames in (events, cohorts))
    notes = _notes(table, panel, controls, segments)
    return DifferenceInDifferences(
        table, study, pd.DataFrame(trends), cells, panel.account, tuple(notes)
    )


def _segment_first(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    whole = pd.concat(frames, ignore_index=True)
    return whole[["segment", *whole.columns.drop("segment")]]


def _panel(
    data: Any, roles: tuple[str, str, str, str], segments: str | None, missing: str
) -> _Panel:
    """Check the rows and return one row per customer, one column per period."""
    customer_id, period, outcome, first_treated = roles
    lazy = to_lazy(data)
    names = dict.fromkeys([*roles, *([segments] if segments is not None else [])])
    schema = lazy.collect_schema()
    check_columns(schema.names(), names, where=_WHERE)
    if not schema[outcome].is_numeric():
        raise DataError(f"column {outcome!r} is of type {schema[outcome]}, but must hold numbers.")
    rows = collect(lazy.select(names))
    for column in (customer_id, period):
        if rows[column].isna().any():
            raise DataError(
                f"column {column!r} of {_WHERE} is missing in {int(rows[column].isna().sum()):,} "
                "rows. Leave those rows out, and say how many."
            )
    repeated = int(rows.duplicated([customer_id, period]).sum())
    if repeated:
        raise DataError(
            f"{repeated:,} rows of {_WHERE} repeat a customer and period. Add up the rows of each "
            "first."
        )
    values = rows[outcome].astype("float64")
    refuse_infinite(values, f"column {outcome!r}")
    wide = rows.assign(**{outcome: values}).pivot(index=customer_id, columns=period, values=outcome)
    wide = wide.sort_index().sort_index(axis=1)
    first = _first_positions(_constant(rows, customer_id, first_treated), wide, first_treated)
    if not 2 <= wide.shape[1] <= _MOST_PERIODS:
        raise DataError(
            f"column {period!r} has {wide.shape[1]:,} values, but 2 to {_MOST_PERIODS} periods are "
            "needed. Add up days to weeks or months first."
        )
    y = wide.to_numpy()
    complete = ~np.isnan(y).any(axis=1) | (missing == "zero")
    always = first == 0
    used = complete & ~always
    code, labels = _codes(rows, customer_id, segments, wide.index)
    account = pd.Series(
        {
            "rows_in": len(rows),
            "customers_in": len(y),
            "incomplete": int((~complete).sum()),
            "always_treated": int((complete & always).sum()),
            "customers_used": int(used.sum()),
        },
        name="number",
    )
    return _Panel(np.nan_to_num(y[used]), first[used], code[used], labels, wide.columns, account)


def _constant(rows: pd.DataFrame, customer_id: str, column: str) -> pd.Series:
    """Return the one value that each customer has, missing where all are."""
    by_customer = rows.groupby(customer_id, sort=True)[column]
    several = int((by_customer.nunique(dropna=False) > 1).sum())
    if several:
        raise DataError(
            f"column {column!r} has more than one value for {several:,} customers, but must be the "
            "same in all rows of a customer."
        )
    return by_customer.first()


def _first_positions(first: pd.Series, wide: pd.DataFrame, column: str) -> np.ndarray:
    known = first.dropna()
    position = wide.columns.get_indexer(pd.Index(known))
    if (position < 0).any():
        outside = known[position < 0]
        raise DataError(
            f"column {column!r} holds {outside.iloc[0]} for {len(outside):,} customers, which is "
            f"no period of {_WHERE} ({wide.columns[0]} to {wide.columns[-1]}). Leave it missing "
            "for customers who are not treated in these periods."
        )
    found = pd.Series(wide.shape[1], index=wide.index)
    found[known.index] = position
    return found.to_numpy()


def _codes(
    rows: pd.DataFrame, customer_id: str, segments: str | None, customers: pd.Index
) -> tuple[np.ndarray, list[str]]:
    if segments is None:
        return np.full(len(customers), -1), []
    labels = name_labels(_constant(rows, customer_id, segments).reindex(customers))
    labels = labels.cat.remove_unused_categories()
    return labels.cat.codes.to_numpy(), list(labels.cat.categories)


def _check_groups(first: np.ndarray, n_periods: int, name: str, controls: str) -> None:
    where = "" if name == ALL else f" in segment {name!r}"
    treated, never = int((first < n_periods).sum()), int((first == n_periods).sum())
    late = len(np.unique(first[first < n_periods])) > 1 and controls == "not_yet"
    if treated < 2 or (never < 2 and not late):
        raise DataError(
            f"{treated:,} customers are treated after the first period and {never:,} never{where}, "
            "but at least 2 of each are needed"
            + (": without customers who never are, use controls='not_yet'." if treated else ".")
        )


def _effects(
    y: np.ndarray, first: np.ndarray, periods: pd.Index, controls: str, level: float
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Return the effect, the event study, the test of trends and the effects by cohort."""
    n, n_periods = y.shape
    starts = np.unique(first[first < n_periods])
    df = n - len(starts) - 1
    cells, parts, changes = [], [], []
    for start in starts:
        n_cohort = int((first == start).sum())
        for t in range(n_periods):
            others = _others(first, start, t, controls)
            if others.sum() < 2 or n_cohort < 2:
                continue
            base = y[:, start - 1]
            whole = y[:, :start].mean(axis=1)
            cells.append((start, t, n_cohort, int(others.sum())))
            parts.append([_contrast(y[:, t] - b, first == start, others) for b in (base, whole)])
            change = y[:, t] - whole
            changes.append((change[others].mean(), change[first == start].mean()))
    frame = pd.DataFrame(cells, columns=["start", "t", "n_treatment", "n_control"])
    short, long = (_stack([pair[i] for pair in parts]) for i in (0, 1))
    after = (frame["t"] >= frame["start"]).to_numpy()
    weights = np.where(after, frame["n_treatment"], 0.0)
    if not weights.any():
        raise DataError("no period after a start has untreated customers to compare with.")
    weights = weights / weights.sum()
    moved = weights @ np.array(changes)
    row = {
        "n_control": int((first == n_periods).sum()),
        "n_treatment": int((first < n_periods).sum()),
        "control_change": moved[0],
        "treatment_change": moved[1],
        **_estimate(long.value @ weights, long.influence @ weights, df, level, test=True),
    }
    study, trend = _event_study(frame, short, df, level)
    by_cohort = pd.DataFrame(
        {
            "first_treated": periods[frame["start"]],
            "period": periods[frame["t"]],
            "n_treatment": frame["n_treatment"],
            "n_control": frame["n_control"],
            "effect": short.value,
            "se": np.sqrt((short.influence**2).sum(axis=0)),
        }
    )
    return row, study, trend, by_cohort


def _others(first: np.ndarray, start: int, t: int, controls: str) -> np.ndarray:
    """Return who is untreated in period t and up to the start of a cohort."""
    never = first == first.max() if controls == "never" else first > max(t, start)
    return never & (first > start)


def _contrast(change: np.ndarray, treated: np.ndarray, others: np.ndarray) -> _Parts:
    """Return the difference of mean changes, with variances of divisor n - 1."""
    influence = np.zeros(len(change))
    means = []
    for sign, group in ((1, treated), (-1, others)):
        size = group.sum()
        means.append(change[group].mean())
        scale = sign / np.sqrt(size * (size - 1.0))
        influence[group] += scale * (change[group] - means[-1])
    return _Parts(np.array(means[0] - means[1]), influence)


def _stack(parts: Sequence[_Parts]) -> _Parts:
    if not parts:
        raise DataError("no cohort has 2 customers and 2 untreated ones to compare with.")
    return _Parts(
        np.array([part.value for part in parts]), np.column_stack([p.influence for p in parts])
    )


def _estimate(
    effect: float, influence: np.ndarray, df: int, level: float, *, test: bool
) -> dict[str, float]:
    se = float(np.sqrt(influence @ influence))
    half = stats.t.isf((1 - level) / 2, df) * se if se > 0 else np.nan
    found = {"effect": float(effect), "se": se, "ci_low": effect - half, "ci_high": effect + half}
    p_value = float(2 * stats.t.sf(abs(effect) / se, df)) if se > 0 else np.nan
    return found | ({"p_value": p_value} if test else {})


def _event_study(
    cells: pd.DataFrame, parts: _Parts, df: int, level: float
) -> tuple[pd.DataFrame, dict[str, Any]]:
    time = (cells["t"] - cells["start"]).to_numpy()
    rows, before, values = [], [], []
    for e in np.unique(time):
        weights = np.where(time == e, cells["n_treatment"], 0.0)
        share = weights / weights.sum()
        effect, influence = parts.value @ share, parts.influence @ share
        found = _estimate(effect, influence, df, level, test=False)
        if e == -1:
            found = {"effect": 0.0, "se": 0.0, "ci_low": 0.0, "ci_high": 0.0}
        elif e < -1:
            before.append(influence)
            values.append(effect)
        rows.append({"event_time": int(e), **found, "n_treatment": int(weights.sum())})
    return pd.DataFrame(rows), _joint_test(np.array(values), before, df)


def _joint_test(values: np.ndarray, influence: list[np.ndarray], df: int) -> dict[str, Any]:
    unknown = {"statistic": np.nan, "df": len(values), "df_resid": df, "p_value": np.nan}
    if not len(values):
        return unknown
    covariance = np.array(influence) @ np.array(influence).T
    if np.linalg.matrix_rank(covariance, hermitian=True) < len(values) or df < len(values):
        return unknown
    # Hotelling's T-squared, which knows that the covariance is estimated
    resid = df - len(values) + 1
    statistic = float(values @ np.linalg.solve(covariance, values)) / len(values) * resid / df
    p_value = float(stats.f.sf(statistic, len(values), resid))
    return {"statistic": statistic, "df": len(values), "df_resid": resid, "p_value": p_value}


def _notes(table: pd.DataFrame, panel: _Panel, controls: str, segments: str | None) -> list[str]:
    notes = [OBSERVATIONAL]
    parted = table["segment"][table["p_pre_trend"] < 0.05].tolist()
    if parted:
        notes.append(
            f"Treated and untreated customers did not change alike before treatment in "
            f"{', '.join(parted)}."
        )
    if table["p_pre_trend"].isna().all():
        notes.append("The trends before treatment cannot be tested: too few periods or customers.")
    else:
        notes.append(
            "A test of trends that finds nothing does not show that there is nothing: look at the "
            "width of the intervals before treatment (event_study)."
        )
    starts = np.unique(panel.first[panel.first < len(panel.periods)])
    if len(starts) > 1:
        who = "never treated" if controls == "never" else "not yet treated"
        notes.append(
            f"Staggered: treatment starts in {len(starts)} different periods. Each cohort is "
            f"compared with customers {who}; no two-way fixed effects regression, which would use "
            "treated customers as controls. Event times far from 0 come from few cohorts."
        )
    aside = panel.account[["incomplete", "always_treated"]]
    words = {
        "incomplete": "customers without a value in every period",
        "always_treated": "customers treated from the first period on",
    }
    notes += [
        f"Set aside: {number:,} {words[reason]}." for reason, number in aside.items() if number
    ]
    if segments is not None and (panel.segment < 0).any():
        notes.append(f"{int((panel.segment < 0).sum()):,} customers have no segment.")
    if table[["n_control", "n_treatment"]].min().min() < _FEW:
        notes.append(f"A group has fewer than {_FEW} customers: intervals are rough.")
    return notes
