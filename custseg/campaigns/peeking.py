"""Look at a campaign every day: intervals and p-values that hold at all looks together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from custseg._labels import ALL
from custseg.campaigns._boundaries import (
    SPENDING,
    mixture_bound,
    mixture_clock,
    mixture_p_value,
    score_interval,
    spending_boundaries,
    stitched_bound,
    stitched_p_value,
)
from custseg.campaigns._comparing import skewed
from custseg.campaigns._enrolment import Enrolment, read_enrolment
from custseg.campaigns._moments import Moments
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.impact import ratio_notes
from custseg.campaigns.metrics import Metric, mean_estimates
from custseg.campaigns.ratio import SURE_DENOMINATOR, Ratio, ratio_estimates, unsure_denominator
from custseg.campaigns.srm import SampleRatio, srm_test
from custseg.errors import ParameterError, check_columns, check_number, check_option
from custseg.results import Result, format_number
from custseg.stats import Difference, holm, score_statistic

_FEW, _SHARES = 10, 1_000
_TOO_SKEWED = (
    "the outcome is very skewed for so few customers in arms so unequal. Cap it (Mean with "
    "winsorize=), or let the test run on"
)
METHODS = ("mixture", "stitched", *SPENDING)


@dataclass(frozen=True, repr=False, eq=False)
class Sequential(Result):
    """Effects as they were known on each day, with intervals that hold on all days together.

    Attributes
    ----------
    table
        The table of `to_frame`.
    control
        The arm that the others are compared with.
    method, alpha
        As they were asked for.
    srm
        The sample-ratio check of all days together.
    account
        Per metric: `rows_in` = `rows_used` + `no_arm` + `no_day` + `no_value`.
    notes
        Caveats.
    """

    table: pd.DataFrame
    control: Any
    method: str
    alpha: float
    srm: SampleRatio
    account: pd.DataFrame
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "sequential.over_days"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per metric, segment, treatment arm and day.

        Returns
        -------
        pandas.DataFrame
            `metric`, `segment` (``"(all)"`` first), `arm`, `day`, `n_control`, `n_treatment` (so
            far), `effect`, `se`, `boundary` (of z: half the interval in standard errors; for a
            proportion without covariates, of the score statistic), `ci_low`, `ci_high`, `p_value`
            (the smallest always-valid one so far), `p_holm` (families: the arms of everybody; all
            arms of all segments of a metric), `crossed` (the interval excludes 0),
            `crossed_familywise` (shown by then also when all looks of all in the family count:
            `p_holm` is at most alpha, or the group-sequential boundary for alpha over the size of
            the family was crossed). Where there is no look, all but the sizes, effect and standard
            error is missing, p-values before the first; with a group-sequential method there are
            no p-values, and nothing after the last look.
        """
        return self.table.copy()

    def crossings(self) -> pd.DataFrame:
        """Return when each comparison first excluded no effect.

        Returns
        -------
        pandas.DataFrame
            One row per metric, segment and arm: `metric`, `segment`, `arm`, `day` (missing where
            it never did), then `effect`, `ci_low`, `ci_high` of that day; `day_familywise`, from
            which on it was shown also when all in its family count.
        """
        keys = ["metric", "segment", "arm"]
        numbers = ["day", "effect", "ci_low", "ci_high"]
        first = self.table[self.table["crossed"]].drop_duplicates(keys)
        family = self.table[self.table["crossed_familywise"]].drop_duplicates(keys)
        family = family[[*keys, "day"]].rename(columns={"day": "day_familywise"})
        every = self.table[keys].drop_duplicates()
        found = every.merge(first[[*keys, *numbers]], how="left", on=keys)
        return found.merge(family, how="left", on=keys)

    def summary(self) -> str:
        """Return whether and when an effect was shown, and in how many segments."""
        parts = []
        crossed = self.crossings()
        for row in crossed[crossed["segment"] == ALL].to_dict("records"):
            name = f"{row['metric']}, {row['arm']} against {self.control}"
            seen = self._looks(row["metric"], ALL, row["arm"])
            if seen.empty:
                parts.append(f"{name}: no first look yet.")
                continue
            last = seen.iloc[-1]
            low, high = format_number(last["ci_low"]), format_number(last["ci_high"])
            when = "no effect shown so far"
            if pd.notna(row["day"]):
                when = f"an effect was shown on {_date(row['day'])}"
                if pd.isna(row["day_familywise"]):
                    when += ", though not when all arms count"
            parts.append(
                f"{name}: {when}; on {_date(last['day'])} it is {format_number(last['effect'])} "
                f"({low} to {high})."
            )
        segments = crossed[crossed["segment"] != ALL]
        if len(segments):
            parts.append(
                f"Of {len(segments)} effects by segment, {segments['day'].notna().sum()} were "
                f"shown one by one, {segments['day_familywise'].notna().sum()} when all count."
            )
        parts.append(
            f"However often one looks, chances are at most {format_number(self.alpha)} that any "
            "interval of a row misses the truth."
        )
        return " ".join(parts)

    def _looks(self, metric: str, segment: str, arm: Any) -> pd.DataFrame:
        table = self.table
        here = (table["metric"] == metric) & (table["segment"] == segment) & (table["arm"] == arm)
        return table[here & table["boundary"].notna()]

    def _shown(self) -> pd.DataFrame:
        """Return the last look of each comparison, the last day where there was no look."""
        keys = ["metric", "segment", "arm"]
        looked = self.table.sort_values("boundary", key=pd.notna, kind="stable")
        last = looked.drop_duplicates(keys, keep="last").sort_index()
        shown = ["day", "n_control", "n_treatment", "effect", "ci_low", "ci_high"]
        shown += [] if self.method in SPENDING else ["p_value", "p_holm"]
        shown += ["crossed", "crossed_familywise"]
        return last.assign(day=last["day"].map(_date))[[*keys, *shown]]


class _Setting(NamedTuple):
    method: str
    alpha: float
    planned: np.ndarray  # (G, A - 1) n_c n_t / (n_c + n_t) of the planned customers
    burn_in: int


def sequential(
    data: Any,
    test: CampaignTest,
    *,
    day: str,
    planned: float | Mapping[str, float],
    method: str = "mixture",
    alpha: float = 0.05,
    burn_in: int = 100,
) -> Sequential:
    """Look at a campaign after every day without more false alarms than promised.

    Customers count from the day on which their outcome is known, and each day is a look at all who
    count by its end. A test for one look, repeated every day for a month, finds something in about
    a quarter of the campaigns that do nothing; here it is at most `alpha` for each comparison, and
    `p_holm` keeps it for all segments together.

    Parameters
    ----------
    data
        One row per customer: any table that `CampaignTest.analyze` takes. Its own engine adds up
        the customers of each segment, arm and day, once.
    test
        Says what is compared: metrics (`Mean`, `Proportion` or `Ratio`, with covariates as they
        are), arms, segments.
    day
        The column with the day on which a customer's outcome is known (the day of exposure plus the
        days that are waited for it): times, dates, text that is one, or whole numbers.
    planned
        Customers in control and one treatment arm together that the campaign was planned for, such
        as ``sample_size(...).n``, fixed before it starts. ``"mixture"`` is the narrowest there and
        valid at any size; the group-sequential methods end there. Of a number, segments get equal
        parts; a mapping gives each segment, and ``"(all)"``, its own.
    method
        ``"mixture"``: the sequence of the mixture sequential probability ratio test, with a normal
        prior; ``"stitched"``: wider there, but shrinking at the best possible rate for ever;
        ``"obrien_fleming"``, ``"pocock"``: group-sequential, alpha is spent by the share of the
        planned customers so far.
    alpha
        The chance that any interval of a comparison misses the truth at any look.
    burn_in
        Looks begin with this many customers in the smaller arm, and a proportion also needs 10
        successes and 10 failures in each (20 with covariates): the normal distribution must hold
        at every look. A mean or ratio is not looked at while it is too skewed for so few customers
        in arms so unequal, by the rule of `CampaignTest.analyze`.

    Returns
    -------
    Sequential
        Effects, intervals and p-values by day, overall and by segment.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If the values do not allow the test, or the data span more than 400 days.
    ParameterError
        If a parameter is outside its bounds, or a metric needs the rows themselves.

    References
    ----------
    Johari, R., Koomen, P., Pekelis, L. and Walsh, D. (2022), Always valid inference, Operations
    Research 70, 1806-1821. Howard, S. R., Ramdas, A., McAuliffe, J. and Sekhon, J. (2021),
    Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49,
    1055-1080. Waudby-Smith, I., Arbour, D., Sinha, R., Kennedy, E. H. and Ramdas, A. (2024),
    Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics 52,
    2613-2640. Lan, K. K. G. and DeMets, D. L. (1983), Biometrika 70, 659-663.

    Examples
    --------
    >>> import custseg as cs
    >>> visits = pd.DataFrame({
    ...     "mail": ["none", "offer"] * 1_000,
    ...     "day": [d for d in range(1, 11) for _ in range(200)],
    ...     "visit": [0, 1, 0, 0, 1, 1, 0, 0, 0, 1] * 200,
    ... })
    >>> test = cs.CampaignTest(
    ...     arm="mail", control="none", metrics={"visit": cs.Proportion("visit")}
    ... )
    >>> found = cs.campaigns.sequential(visits, test, day="day", planned=2_000)
    >>> found.crossings()[["metric", "arm", "day"]]
      metric    arm  day
    0  visit  offer    1
    """
    if not isinstance(test, CampaignTest):
        raise ParameterError(f"test is a {type(test).__name__}, but must be a CampaignTest.")
    check_option(method, "method", METHODS)
    check_number(alpha, "alpha", gt=0, le=0.5)
    check_number(burn_in, "burn_in", ge=2, integer=True)
    for name, metric in test.metrics.items():
        if metric.reads_rows:
            raise ParameterError(
                f"metric {name!r} needs the rows themselves, but looks at every day work on sums: "
                "use Mean (test='welch'), Proportion or Ratio."
            )
    enrolment = read_enrolment(data, test, day)
    groups, arms = enrolment.groups, enrolment.cells.arms
    setting = _Setting(method, alpha, _planned(planned, groups, arms, test), burn_in)
    frame, dated = enrolment.cells.frame, enrolment.day >= 0
    rows_in, rows = enrolment.cells.rows_in, frame["rows"].to_numpy()
    aside = {"no_arm": rows_in - int(rows.sum()), "no_day": int(rows[~dated].sum())}
    tables, accounts, without = [], [], []
    for m, (name, metric) in enumerate(test.metrics.items()):
        found, why = _comparisons(
            enrolment.by_day(m, metric), metric, setting, (len(groups), len(enrolment.days))
        )
        tables.append(_table(name, found, enrolment))
        without += _no_look(name, why, groups)
        used = int(frame.loc[dated, f"n_{m}"].sum())
        unknown = rows_in - sum(aside.values()) - used
        accounts.append({"rows_in": rows_in} | aside | {"no_value": unknown, "rows_used": used})
    table = pd.concat(tables, ignore_index=True)
    counts = np.bincount(frame.loc[dated, "arm"], rows[dated], len(arms)).astype(int)
    shares = test.allocation or dict.fromkeys(arms, 1 / len(arms))
    srm = srm_test(dict(zip(arms, counts, strict=True)), {arm: shares[arm] for arm in arms})
    account = pd.DataFrame(accounts, index=pd.Index(list(test.metrics), name="metric"))
    notes = ratio_notes(srm, planned=test.allocation is not None)
    notes += _notes(test, setting, account, without)
    return Sequential(table, test.control, method, alpha, srm, account, tuple(notes))


def _planned(
    planned: float | Mapping[str, float], groups: list[str], arms: list[Any], test: CampaignTest
) -> np.ndarray:
    """Return the planned information of each group and treatment arm."""
    if isinstance(planned, Mapping):
        check_columns(list(planned), groups, where="planned")
        for group in groups:
            check_number(planned[group], f"planned[{group!r}]", gt=0)
        customers = np.array([planned[group] for group in groups], dtype=float)
    else:
        check_number(planned, "planned", ge=4)
        segments = max(len(groups) - 1, 1)
        customers = np.array([planned, *[planned / segments] * (len(groups) - 1)])
    shares = test.allocation or dict.fromkeys(arms, 1.0)
    control = shares[test.control]
    split = np.array([control * shares[arm] / (control + shares[arm]) ** 2 for arm in arms[1:]])
    return customers[:, None] * split


def _comparisons(
    moments: Moments, metric: Metric, setting: _Setting, shape: tuple[int, int]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return what was known on each day, and why it is no look: (groups, treatment arms, days)."""
    n_groups, n_days = shape

    def by_group(values: np.ndarray) -> np.ndarray:
        wide = np.broadcast_to(values, (n_days * n_groups, moments.n.shape[1] - 1))
        return wide.reshape(n_days, n_groups, -1).transpose(1, 2, 0)

    difference = metric.compare(moments).difference
    n_control, n_treatment = by_group(moments.n[:, :1]), by_group(moments.n[:, 1:])
    effect, se = by_group(difference.effect), by_group(difference.se)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = n_control * n_treatment / (n_control + n_treatment)
        z = effect / se
    tables = None
    if metric.binary and len(metric.columns) == 1:
        x = np.rint(np.where(moments.n > 0, moments.n * moments.mean[..., 0], 0))
        tables = by_group(x[:, 1:]), n_treatment, by_group(x[:, :1]), n_control
        z = score_statistic(*tables)
    why = {words: by_group(x) for words, x in _doubts(moments, metric, difference, setting).items()}
    if setting.method in SPENDING:
        early = ~(information * _SHARES >= setting.planned[:, :, None])
        why[f"it has less than 1/{_SHARES:,} of the customers planned"] = early
    started = ~np.any(list(why.values()), axis=0)
    bound, p_value = _bounds(information, z, started, setting)
    p_holm = _holm_by_day(p_value)
    with np.errstate(invalid="ignore"):
        low, high = effect - bound * se, effect + bound * se
    if tables is not None:
        low, high = score_interval(*tables, bound)
    found = {
        "n_control": n_control.astype(int),
        "n_treatment": n_treatment.astype(int),
        "effect": effect,
        "se": se,
        "boundary": bound,
        "ci_low": low,
        "ci_high": high,
        "p_value": p_value,
        "p_holm": p_holm,
        "crossed": (low > 0) | (high < 0),
        "crossed_familywise": p_holm <= setting.alpha,
    }
    if setting.method in SPENDING:
        found["crossed_familywise"] = _crossed_familywise(information, z, started, setting)
    return found, why


def _doubts(
    moments: Moments, metric: Metric, difference: Difference, setting: _Setting
) -> dict[str, np.ndarray]:
    """Return where a comparison is no look (groups and days, treatment arms), by reason."""

    def smaller(values: np.ndarray) -> np.ndarray:
        return np.minimum(values[:, :1], values[:, 1:])

    doubts = {
        f"an arm has fewer than {setting.burn_in:,} customers": (
            smaller(moments.n) < setting.burn_in
        )
    }
    if metric.binary:
        share = moments.mean[..., 0]
        fewer = smaller(moments.n * np.minimum(share, 1 - share))
        least = _FEW if len(metric.columns) == 1 else 2 * _FEW
        doubts[f"an arm has fewer than {least} successes or failures"] = ~(fewer >= least - 1e-6)
    doubts["nothing varies"] = ~(difference.se > 0)
    if isinstance(metric, Ratio):
        words = f"the mean {metric.denominator} of an arm is less than {SURE_DENOMINATOR} standard "
        unsure = unsure_denominator(moments)
        doubts[words + "errors from 0"] = unsure[:, :1] | unsure[:, 1:]
    if metric.third:
        known = ratio_estimates if isinstance(metric, Ratio) else mean_estimates
        doubts[_TOO_SKEWED] = skewed(moments.n, known(moments))
    return doubts


def _crossed_familywise(
    information: np.ndarray, z: np.ndarray, started: np.ndarray, setting: _Setting
) -> np.ndarray:
    """Return where boundaries for alpha over the size of the family have been crossed."""
    crossed = np.zeros(z.shape, dtype=bool)
    for part in (slice(0, 1), slice(1, None)):
        here = setting._replace(planned=setting.planned[part])
        here = here._replace(alpha=setting.alpha / max(here.planned.size, 1))
        bound, _ = _bounds(information[part], z[part], started[part], here)
        crossed[part] = np.abs(z[part]) > bound
    return np.logical_or.accumulate(crossed, axis=2)


def _bounds(
    information: np.ndarray, z: np.ndarray, started: np.ndarray, setting: _Setting
) -> tuple[np.ndarray, np.ndarray]:
    """Return the boundary of z at each look, and the smallest p-value so far."""
    planned = setting.planned[:, :, None]
    if setting.method in SPENDING:
        bound = np.full(z.shape, np.nan)
        for where in np.ndindex(z.shape[:2]):
            share = np.minimum(information[where] / setting.planned[where], 1)
            # a look that brings less than a thousandth is none, and there is none after the last
            new = started[where].copy()
            steps = np.floor(_SHARES * share[new])
            new[new] = np.diff(steps, prepend=0) > 0
            times = share[new]
            spent = SPENDING[setting.method](times, setting.alpha, sides=2)
            bound[where][new] = spending_boundaries(tuple(times), tuple(spent), 2)
        return bound, np.full(z.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        if setting.method == "mixture":
            clock = mixture_clock(setting.alpha) * information / planned
            bound, p_value = mixture_bound(clock, setting.alpha), mixture_p_value(clock, z)
        else:
            clock = 2 * information / setting.burn_in
            bound, p_value = stitched_bound(clock, setting.alpha), stitched_p_value(clock, z)
    smallest = np.minimum.accumulate(np.where(started, p_value, 1), axis=2)
    begun = np.logical_or.accumulate(started, axis=2)
    return np.where(started, bound, np.nan), np.where(begun, smallest, np.nan)


def _holm_by_day(p: np.ndarray) -> np.ndarray:
    """Adjust (groups, arms, days): everybody's arms are a family each day, all segments another.

    Whoever has had no look yet counts too: a family that grew would let the first off lightly.
    """
    adjusted, all_p = np.empty(p.shape), np.nan_to_num(p, nan=1.0)
    for d in range(p.shape[2]):
        adjusted[0, :, d] = holm(all_p[0, :, d])
        adjusted[1:, :, d] = holm(all_p[1:, :, d].ravel()).reshape(p[1:, :, d].shape)
    return np.where(np.isnan(p), np.nan, adjusted)


def _table(name: str, found: Mapping[str, np.ndarray], enrolment: Enrolment) -> pd.DataFrame:
    groups, arms, days = enrolment.groups, enrolment.cells.arms[1:], enrolment.days
    size = len(groups) * len(arms) * len(days)
    return pd.DataFrame(
        {
            "metric": pd.Series([name] * size, dtype=str),
            "segment": pd.Series(np.repeat(groups, len(arms) * len(days)), dtype=str),
            "arm": [arm for _ in groups for arm in arms for _ in days],
            "day": np.tile(days, len(groups) * len(arms)),
            **{column: values.ravel() for column, values in found.items()},
        }
    )


def _no_look(name: str, why: Mapping[str, np.ndarray], groups: list[str]) -> list[str]:
    """Say where there was no look on the last day, and the first reason why."""
    notes, said = [], np.zeros(len(groups), dtype=bool)
    for words, where in why.items():
        now = where[:, :, -1].any(axis=1) & ~said
        said |= now
        if now.any():
            listed = ", ".join(group for group, no in zip(groups, now, strict=True) if no)
            notes.append(f"{name}: no look on the last day in {listed}: {words}.")
    return notes


def _notes(
    test: CampaignTest, setting: _Setting, account: pd.DataFrame, without: list[str]
) -> list[str]:
    notes = []
    for name, row in account.iterrows():
        aside = {"no arm": row["no_arm"], "no day": row["no_day"], "no value": row["no_value"]}
        words = ", ".join(f"{n:,} with {reason}" for reason, n in aside.items() if n)
        if words:
            notes.append(f"{name}: set aside {words}, of {row['rows_in']:,} rows.")
    notes += without
    for name, metric in test.metrics.items():
        if metric.winsorize is not None:
            notes.append(
                f"{name}: winsorised at the {metric.winsorize} quantile of all days together."
            )
    if setting.method in SPENDING:
        notes.append(
            "Group-sequential boundaries hold for the looks taken here and end with the planned "
            "customers; crossed_familywise also holds for all arms, or all segments and arms, of a "
            "metric."
        )
    else:
        notes.append(
            "Each interval holds at all looks of its own row; p_holm and crossed_familywise also "
            "hold for all arms, or all segments and arms, of a metric. The sequences are "
            "asymptotic: burn_in customers must be enough for a normal mean."
        )
    return notes


def _date(day: Any) -> str:
    return day.date().isoformat() if isinstance(day, pd.Timestamp) else f"day {day:g}"
