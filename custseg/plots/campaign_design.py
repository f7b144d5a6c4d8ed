"""Pictures of campaigns before they run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from custseg._labels import ALL
from custseg.errors import check_option
from custseg.plots.labels import plain

if TYPE_CHECKING:
    from custseg.campaigns import (
        AASimulation,
        Assignment,
        Balance,
        Baselines,
        Duration,
        PlannedActions,
        PowerAnalysis,
    )


def power_curves(
    analysis: "PowerAnalysis", *, metric: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw power against the number of customers, everybody and each segment.

    Parameters
    ----------
    analysis
        What `sample_size`, `minimum_detectable_effect` or `power` returned.
    metric
        The metric to draw; the first one when ``None``.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    metrics = list(dict.fromkeys(analysis.table["metric"]))
    metric = metrics[0] if metric is None else metric
    check_option(metric, "metric", metrics)
    table = analysis.table[analysis.table["metric"] == metric]
    curves = analysis.curve()
    curves = curves[(curves["metric"] == metric) & curves["power"].notna()]
    segments = list(dict.fromkeys(curves["segment"]))
    ax = _new(ax, 4.4)
    for segment, color in zip(segments, _colors(len(segments)), strict=True):
        rows = curves[curves["segment"] == segment]
        chosen = table[table["segment"] == segment]
        least = chosen.loc[chosen["power"].idxmin()]
        whole = segment == ALL
        line = {"color": color, "linewidth": 2.4 if whole else 1.5}
        label = plain(f"{segment}: {least['effect']:+.3g}")
        ax.plot(rows["n"], rows["power"], label=label, **line)
        ax.plot(least["n"], least["power"], "D" if whole else "o", color=color, markersize=6)
    if analysis.target is not None:
        ax.axhline(analysis.target, color="0.5", linewidth=0.9, linestyle="--", zorder=0.6)
    ax.set_xscale("log")
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("customers in all arms (of the segment), log scale")
    ax.set_ylabel("power")
    ax.set_title(plain(metric), loc="left")
    ax.xaxis.set_major_formatter("{x:,.0f}")
    if segments:
        ax.legend(frameon=False, title="effect in", loc="upper left", bbox_to_anchor=(1, 1))
    else:
        ax.text(0.5, 0.5, "no possible effect would be found", ha="center", transform=ax.transAxes)
    sns.despine(ax=ax)
    return ax


def baselines(found: "Baselines", *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the level of a metric with its 95% interval, everybody and each segment.

    Parameters
    ----------
    found
        What `campaigns.baselines` returned.
    metric
        The metric to draw; the first one when ``None``.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    metrics = list(dict.fromkeys(found.table["metric"]))
    metric = metrics[0] if metric is None else metric
    check_option(metric, "metric", metrics)
    rows = found.table[found.table["metric"] == metric]
    ax = _new(ax, 1.4 + 0.32 * len(rows))
    y = np.arange(len(rows))
    half = 1.96 * rows["sd"] / np.sqrt(rows["n"])
    color = _colors(1)[0]
    ax.hlines(y, rows["baseline"] - half, rows["baseline"] + half, color=color, linewidth=1.6)
    ax.plot(rows["baseline"], y, "o", color=color, markersize=5)
    _rows(ax, rows["segment"])
    ax.set_xlabel(plain(f"{metric} (with 95% interval)"))
    return ax


def assignment(found: "Assignment", *, ax: Axes | None = None) -> Axes:
    """Draw the share of each arm in every stratum beside the planned shares.

    Parameters
    ----------
    found
        What `CampaignDesign.assign` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    inside = found.customers[~found.customers["holdout"]]
    counts = pd.crosstab(inside["stratum"], inside["arm"], dropna=False)
    counts = counts[counts.sum(axis=1) > 0]
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index[:30]]
    shares = counts.div(counts.sum(axis=1), axis=0)
    ax = _new(ax, 1.6 + 0.3 * len(shares))
    arms = list(found.design.arms)
    y, start = np.arange(len(shares)), np.zeros(len(shares))
    for arm, color in zip(arms, _colors(len(arms)), strict=True):
        width = shares[arm].to_numpy() if arm in shares else np.zeros(len(shares))
        ax.barh(y, width, left=start, color=color, height=0.7, label=plain(arm))
        start = start + width
    for planned in np.cumsum(list(found.design.arms.values()))[:-1]:
        ax.axvline(planned, color="black", linewidth=1.2, linestyle="--")
    names = [f"{name} ({n:,})" for name, n in counts.sum(axis=1).items()]
    _rows(ax, names)
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of the customers in the test (dashed: planned)")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
    return ax


def balance(found: "Balance", *, ax: Axes | None = None) -> Axes:
    """Draw the standardised difference from control of everything that was known before.

    Parameters
    ----------
    found
        What `CampaignDesign.balance` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    table = found.table
    level = table["level"].where(table["level"] == "", " = " + table["level"])
    names = list(dict.fromkeys(table["column"] + level))
    ax = _new(ax, 1.5 + 0.28 * len(names))
    arms = list(dict.fromkeys(table["arm"]))
    for arm, color in zip(arms, _colors(len(arms)), strict=True):
        rows = table[table["arm"] == arm]
        ax.plot(rows["std_diff"], np.arange(len(rows)), "o", color=color, label=plain(arm))
    for value in (-0.1, 0.1):
        ax.axvline(value, color="0.6", linewidth=0.9, linestyle="--", zorder=0.6)
    ax.axvline(0, color="0.35", linewidth=1, zorder=0.6)
    _rows(ax, names)
    ax.set_xlabel(plain(f"difference from {found.control} in standard deviations"))
    if len(arms) > 1:
        ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
    return ax


def false_positives(found: "AASimulation", *, ax: Axes | None = None) -> Axes:
    """Draw false-positive rates with their simulation intervals beside the promised rate.

    Parameters
    ----------
    found
        What `aa_simulation` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    table = found.table[found.table["simulations"] > 0]
    ax = _new(ax, 1.5 + 0.26 * len(table))
    shown = {"ok": 0, "liberal": 3, "conservative": 1}
    palette = _colors(4)
    y = np.arange(len(table))
    for status, place in shown.items():
        here = (table["status"] == status).to_numpy()
        if here.any():
            rows, color = table[here], palette[place]
            ax.hlines(y[here], rows["fpr_low"], rows["fpr_high"], color=color, linewidth=1.6)
            ax.plot(rows["false_positive_rate"], y[here], "o", color=color, label=status)
    ax.axvline(found.alpha, color="0.35", linewidth=1, linestyle="--", zorder=0.6)
    several = table["arm"].nunique() > 1
    parts = table["metric"] + ", " + table["segment"]
    _rows(ax, parts + ", " + table["arm"].astype(str) if several else parts)
    ax.set_xlim(left=0)
    ax.set_xlabel("share of campaigns without effect with a finding\n(95% interval, dashed: alpha)")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return ax


def planned_actions(found: "PlannedActions", *, ax: Axes | None = None) -> Axes:
    """Draw how many customers of each segment get an offer, and why the others do not.

    Parameters
    ----------
    found
        What `ActionPlan.apply` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    account = found.account.drop(index="(all)", columns="customers")
    account = account.loc[account.sum(axis=1) > 0, account.sum() > 0]
    ax = _new(ax, 1.8 + 0.36 * len(account))
    y, start = np.arange(len(account)), np.zeros(len(account))
    reasons = [column for column in account if column != "action"]
    greys = sns.color_palette("Greys", len(reasons) + 2)[1:-1]
    colors = dict(zip(reasons, greys, strict=True)) | {"action": _colors(1)[0]}
    for column in ["action", *reasons]:
        if column in account:
            width = account[column].to_numpy()
            bar = {"color": colors[column], "edgecolor": "white", "label": plain(column)}
            ax.barh(y, width, left=start, height=0.7, **bar)
            start = start + width
    _rows(ax, account.index)
    ax.set_xlabel("customers")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def duration(found: "Duration", *, ax: Axes | None = None) -> Axes:
    """Draw how many customers have come by the end of each day beside the number needed.

    Parameters
    ----------
    found
        What `campaigns.duration` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    ax = _new(ax, 3.6)
    color = _colors(1)[0]
    ax.plot(found.curve.index, found.curve, color=color, linewidth=2)
    ax.axhline(found.customers, color="0.35", linewidth=1, linestyle="--", zorder=0.6)
    if found.enrolment is not None:
        ax.plot(found.enrolment, found.curve[found.enrolment], "o", color=color, markersize=7)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("days of enrolment")
    ax.set_ylabel("customers in the arms\n(dashed: needed)")
    sns.despine(ax=ax)
    return ax


def _new(ax: Axes | None, height: float) -> Axes:
    if ax is not None:
        return ax
    return plt.figure(figsize=(7.5, height), layout="constrained").subplots()


def _colors(n: int) -> list[Any]:
    return list(sns.color_palette("colorblind" if n <= 10 else "husl", n))


def _rows(ax: Axes, names: Sequence[Any] | pd.Series | pd.Index) -> None:
    """Name the rows, the first on top."""
    ax.set_yticks(np.arange(len(names)), [plain(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)
