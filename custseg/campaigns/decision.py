"""From effects to money: what a campaign brings, costs and returns, and what is still open."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from custseg._labels import ALL
from custseg.brief import Brief
from custseg.campaigns.metrics import Mean, Proportion
from custseg.errors import ParameterError, check_number, check_option
from custseg.results import Result, format_number

if TYPE_CHECKING:
    from custseg.campaigns.impact import Impact

_ALPHA = 0.05
_Z = float(stats.norm.isf(_ALPHA / 2))
GUARDRAIL_COLUMNS = ["metric", "arm", "effect", "ci_low", "ci_high", "margin", "status"]


@dataclass(frozen=True, repr=False, eq=False)
class Decision(Result):
    """What a campaign brings and costs, by arm and segment.

    Attributes
    ----------
    table
        The table of `to_frame`.
    metric
        The metric that was counted as revenue.
    control
        What it is compared with.
    guardrails
        One row per guardrail of the brief that was measured and treatment arm: `metric`, `arm`,
        `effect`, `ci_low`, `ci_high`, `margin`, `status`: ``"harmed"`` (the whole interval is
        worse than control), ``"safe"`` (the whole interval is better than the metric's margin, or
        than control where it has none) or ``"not shown safe"``.
    warnings
        What the checks found that comes before any decision.
    notes
        Caveats.
    """

    table: pd.DataFrame
    metric: str
    control: Any
    guardrails: pd.DataFrame
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "campaigns_impact.net"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment and treatment arm.

        Returns
        -------
        pandas.DataFrame
            `segment` (``"(all)"`` first), `arm`, `customers` (treated), `revenue` (incremental),
            `revenue_ci_low`, `revenue_ci_high`, `cost`, `net`, `net_ci_low`, `net_ci_high` (money),
            `roi` (net over cost), `roi_ci_low`, `roi_ci_high` (missing without cost), `break_even`
            (the effect per customer that pays for itself), `p_pays` (the chance that net is above
            0, nothing else known), `verdict` (``"pays"`` or ``"loses"`` where the whole interval of
            net is above or below 0, else ``"open"``). Intervals are 95%.
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return what comes first, then money, guardrails and segments in words."""
        overall = self.table["segment"] == ALL
        parts = []
        if self.warnings:
            parts.append(f"Before any decision: {' '.join(self.warnings)}")
        for row in self.table[overall].to_dict("records"):
            parts.append(_money_words(row, self.control))
            of_arm = self.guardrails[self.guardrails["arm"] == row["arm"]]
            parts += _guardrail_words(of_arm, row)
        parts += [_segment_words(rows, arm) for arm, rows in self._by_arm(~overall)]
        return " ".join(parts)

    def _by_arm(self, rows: pd.Series) -> Any:
        return self.table[rows].groupby("arm", sort=False)

    def _shown(self) -> pd.DataFrame:
        columns = ["segment", "arm", "customers", "revenue", "cost"]
        return self.table[[*columns, "net", "net_ci_low", "net_ci_high", "roi", "verdict"]]


def decide(
    impact: "Impact",
    brief: Brief | None,
    *,
    metric: str | None,
    value: float,
    cost: float | Mapping[Any, float],
    fixed_cost: float | Mapping[Any, float],
    customers: int | None,
    measured: timedelta | None,
    warnings: tuple[str, ...],
) -> Decision:
    """Turn effects into money; parameters as of `Impact.decision`, and what the checks found."""
    name = _success_metric(impact, brief, metric)
    check_number(value, "value")
    if value == 0:
        raise ParameterError("value is 0, but must be what one unit of the metric is worth.")
    if customers is not None:
        check_number(customers, "customers", gt=0)
    effects = impact.to_frame()
    arms = effects["arm"].unique().tolist()
    per_customer = _by_arm(cost, "cost", arms)
    once = _by_arm(fixed_cost, "fixed_cost", arms)
    rows = effects[effects["metric"] == name].reset_index(drop=True)
    table = _money(rows, value, rows["arm"].map(per_customer), rows["arm"].map(once), customers)
    return Decision(
        table,
        name,
        impact.control,
        _guardrails(impact, brief),
        warnings,
        tuple(_notes(impact, brief, name, table, customers, measured)),
    )


def _success_metric(impact: "Impact", brief: Brief | None, metric: str | None) -> str:
    """Return the metric to count: the one named, the brief's, or the only one that adds up."""
    additive = [n for n, m in impact.metrics.items() if isinstance(m, Mean | Proportion)]
    if metric is None and brief is not None:
        metric = brief.success_metric
        if metric not in impact.metrics:
            raise ParameterError(
                f"the brief's success_metric {metric!r} is no metric of the test. Choose metric= "
                f"among {additive}."
            )
    if metric is None:
        if len(additive) != 1:
            raise ParameterError(f"choose metric= among {additive}, or give a brief.")
        return additive[0]
    check_option(metric, "metric", list(impact.metrics))
    if metric not in additive:
        raise ParameterError(
            f"metric {metric!r} does not add up over customers, so it is no revenue. Choose a Mean "
            f"or a Proportion: {additive}."
        )
    return metric


def _by_arm(cost: Any, name: str, arms: list[Any]) -> dict[Any, float]:
    """Return arm -> cost."""
    if isinstance(cost, Mapping):
        for arm in arms:
            if arm not in cost:
                raise ParameterError(f"{name} has no arm {arm!r}. Name every treatment arm.")
        for arm in cost:
            check_option(arm, f"{name} of arm", arms)
    by_arm = dict(cost) if isinstance(cost, Mapping) else dict.fromkeys(arms, cost)
    for arm, amount in by_arm.items():
        check_number(amount, f"{name} of {arm!r}", ge=0)
    return by_arm


def _money(
    rows: pd.DataFrame, value: float, cost: pd.Series, fixed: pd.Series, customers: int | None
) -> pd.DataFrame:
    """Return the table of a decision; what is paid once belongs to everybody, not to a segment."""
    overall = rows["segment"] == ALL
    treated = rows["n_treatment"].astype(float)
    if customers is not None:
        sizes = rows["n_control"] + rows["n_treatment"]
        treated = customers * sizes / rows["arm"].map(sizes[overall].set_axis(rows["arm"][overall]))
    effect = rows[["effect_shrunk", "ci_low_shrunk", "ci_high_shrunk"]].to_numpy()
    revenue = (
        np.where(value > 0, effect, effect[:, [0, 2, 1]]) * value * treated.to_numpy()[:, None]
    )
    total = (cost * treated + fixed.where(overall, 0)).to_numpy()
    net = revenue - total[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        roi = np.where(total[:, None] > 0, net / total[:, None], np.nan)
        chance = stats.norm.cdf(net[:, 0] * 2 * _Z / (net[:, 2] - net[:, 1]))
    verdict = np.select(
        [net[:, 1] > 0, net[:, 2] < 0, np.isnan(net[:, 1])], ["pays", "loses", ""], "open"
    )
    table = pd.DataFrame({"segment": rows["segment"], "arm": rows["arm"], "customers": treated})
    ends = ("", "_ci_low", "_ci_high")
    table[[f"revenue{end}" for end in ends]] = revenue
    table["cost"] = total
    table[[f"net{end}" for end in ends]] = net
    table[[f"roi{end}" for end in ends]] = roi
    return table.assign(break_even=total / treated / value, p_pays=chance, verdict=verdict)


def _guardrails(impact: "Impact", brief: Brief | None) -> pd.DataFrame:
    """Judge every guardrail that was measured by its interval, turned so that higher is better."""
    effects, found = impact.to_frame(), []
    for name in brief.guardrails if brief is not None else ():
        if name not in impact.metrics:
            continue
        metric = impact.metrics[name]
        overall = effects[(effects["metric"] == name) & (effects["segment"] == ALL)]
        for row in overall.to_dict("records"):
            low, high = row["ci_low"], row["ci_high"]
            if metric.better == "lower":
                low, high = -high, -low
            least = -(metric.margin or 0)
            status = "harmed" if high < 0 else "safe" if low > least else "not shown safe"
            part = {key: row[key] for key in ("metric", "arm", "effect", "ci_low", "ci_high")}
            found.append(part | {"margin": metric.margin, "status": status})
    return pd.DataFrame(found, columns=GUARDRAIL_COLUMNS)


def _notes(
    impact: "Impact",
    brief: Brief | None,
    name: str,
    table: pd.DataFrame,
    customers: int | None,
    measured: timedelta | None,
) -> list[str]:
    notes = []
    if customers is None:
        notes.append("Money is that of the customers treated in the test.")
    else:
        notes.append(
            f"Money is that of {customers:,} customers like those of the test, reached alike."
        )
    if (table["segment"] != ALL).any():
        notes.append(
            "Segments are judged by their shrunk effects, without fixed cost: the best of several "
            "raw effects promises too much."
        )
    if table["arm"].nunique() > 1:
        notes.append(
            f"Every arm is compared with {impact.control}: to choose between arms, compare them "
            "with each other (control=)."
        )
    if impact.metrics[name].winsorize is not None:
        notes.append(f"{name} is capped: revenue above the cap is not counted.")
    if brief is None:
        return notes
    if name != brief.success_metric:
        notes.append(f"The brief is judged by {brief.success_metric}, not by {name}.")
    unmeasured = [guardrail for guardrail in brief.guardrails if guardrail not in impact.metrics]
    if unmeasured:
        notes.append(f"Guardrails that were not measured: {', '.join(unmeasured)}.")
    if brief.horizon is not None:
        notes.append(_horizon_note(brief.horizon, measured))
    return notes


def _horizon_note(horizon: timedelta, measured: timedelta | None) -> str:
    if measured is None:
        return (
            f"The brief looks {horizon.days} days ahead: name measured=, the time that outcomes "
            "were counted for."
        )
    if measured < horizon:
        return (
            f"Outcomes were counted for {measured.days} days, the brief looks {horizon.days} days "
            "ahead: what comes later, good or bad, is not in these numbers."
        )
    return f"Outcomes were counted for {measured.days} days, as long as the brief looks ahead."


def _money_words(row: dict[str, Any], control: Any) -> str:
    """Say of one arm what it brings and costs, and what follows."""
    if row["net_ci_low"] != row["net_ci_low"]:
        return f"{row['arm']} cannot be compared with {control}."
    money = (
        f"{row['arm']} for {format_number(round(row['customers']))} customers brings "
        f"{_interval(row, 'revenue')} more than {control} and costs {format_number(row['cost'])}: "
        f"net {_interval(row, 'net')}"
    )
    if row["roi"] == row["roi"]:
        money += f", ROI {_interval(row, 'roi')}"
    follows = {
        "pays": "It earns more than it costs over the whole interval.",
        "loses": "It costs more than it brings over the whole interval.",
        "open": _open_words(row),
    }
    return f"{money}. {follows[row['verdict']]}"


def _open_words(row: dict[str, Any]) -> str:
    """Say what acting may win and lose, and how many customers would tell."""
    half = (row["net_ci_high"] - row["net_ci_low"]) / 2
    times = (half / row["net"]) ** 2 if row["net"] else np.inf
    words = (
        f"Whether it pays is open: it may lose {format_number(-row['net_ci_low'])} or win "
        f"{format_number(row['net_ci_high'])}, and pays with a chance of {row['p_pays']:.0%}."
    )
    if times < 100:
        words += f" Were net as estimated, {times:.1f} times the customers would just tell."
    return words


def _guardrail_words(guardrails: pd.DataFrame, money: dict[str, Any]) -> list[str]:
    words = []
    for row in guardrails.to_dict("records"):
        bounds = f"{format_number(row['ci_low'])} to {format_number(row['ci_high'])}"
        said = {
            "harmed": f"It harms {row['metric']} ({bounds})"
            + (": what it earns has to be weighed against that." if money["net"] > 0 else "."),
            "safe": f"{row['metric']} is safe ({bounds}).",
            "not shown safe": f"{row['metric']} is not shown to be safe ({bounds}).",
        }
        words.append(said[row["status"]])
    return words


def _segment_words(rows: pd.DataFrame, arm: Any) -> str:
    """Say where an arm pays, loses, and where that is open."""
    found = [
        f"{verdict if verdict != 'open' else 'is open'} in {', '.join(part['segment'])}"
        for verdict in ("pays", "loses", "open")
        if len(part := rows[rows["verdict"] == verdict])
    ]
    return f"By segment, {arm} {', '.join(found)}." if found else ""


def _interval(row: dict[str, Any], name: str) -> str:
    low, high = format_number(row[f"{name}_ci_low"]), format_number(row[f"{name}_ci_high"])
    return f"{format_number(row[name])} ({low} to {high})"
