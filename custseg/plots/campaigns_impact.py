"""Pictures of what stands beside a campaign's effects: contributions, checks, periods, money."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from custseg._labels import ALL
from custseg.errors import DataError, check_option
from custseg.plots.labels import plain

if TYPE_CHECKING:
    from custseg.campaigns import Decision, Impact


def contributions(impact: "Impact", *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw what each segment, and the mix, adds to the effect on everybody.

    Parameters
    ----------
    impact
        What `CampaignTest.analyze` returned.
    metric
        The metric to draw; the first that adds up over customers when ``None``.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Points with 95% intervals, a row per segment.
    """
    parts = impact.decomposition
    if parts.empty:
        raise DataError("there is nothing to decompose: name segments, and a metric that adds up.")
    metrics = parts["metric"].unique().tolist()
    metric = metrics[0] if metric is None else metric
    check_option(metric, "metric", metrics)
    rows = parts[parts["metric"] == metric]
    ax = _intervals(rows, ["contribution", "ci_low", "ci_high"], ax)
    ax.set_xlabel(plain(f"{metric}: part of the difference from {impact.control}"))
    return ax


def net(decision: "Decision", *, ax: Axes | None = None) -> Axes:
    """Draw what a campaign earns after its cost, with 95% intervals, by segment and arm.

    Parameters
    ----------
    decision
        What `Impact.decision` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Points with intervals, a row per segment.
    """
    ax = _intervals(decision.to_frame(), ["net", "net_ci_low", "net_ci_high"], ax)
    ax.set_xlabel(plain(f"net of cost, against {decision.control} (with 95% interval)"))
    return ax


def checks(impact: "Impact", *, ax: Axes | None = None) -> Axes:
    """Draw the standardised differences of what was known before, and of the time before.

    Parameters
    ----------
    impact
        What `CampaignTest.analyze` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A point per column and arm, hollow where the check is not ok.
    """
    rows = impact.checks[impact.checks["std_diff"].notna()]
    if rows.empty:
        raise DataError("no column was compared: name columns known before (Checks).")
    where = rows["segment"].where(rows["segment"] != ALL, "")
    when = rows["check"].map({"before the campaign": ", before"}).fillna("")
    labels = rows["what"].str.split(" (most", regex=False).str[0] + when
    labels = labels + where.map(lambda segment: f" in {segment}" if segment else "")
    places = pd.Series({label: y for y, label in enumerate(dict.fromkeys(labels))})
    ax = _axes(ax, len(places))
    arms = rows["arm"].unique()
    for arm, color in zip(arms, sns.color_palette("colorblind", len(arms)), strict=True):
        own, ok = rows["arm"] == arm, rows["status"] == "ok"
        for kind, face in ((own & ok, color), (own & ~ok, "white")):
            ax.plot(
                rows.loc[kind, "std_diff"],
                places[labels[kind]],
                "o",
                color=color,
                markerfacecolor=face,
                markersize=7,
                label=plain(arm) if kind.any() and face == color else None,
            )
    _finish(ax, places.index)
    ax.set_xlabel("standardised difference (hollow: more than chance)")
    _legend(ax, len(arms))
    return ax


def over_time(impact: "Impact", *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the effect in each period after exposure with its 95% interval.

    Parameters
    ----------
    impact
        What `CampaignTest.analyze` returned.
    metric
        The outcome to draw; the first when ``None``.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A line per arm.
    """
    found = impact.over_time
    if found.empty:
        raise DataError("no outcome was named by period: Checks(periods={...}).")
    metrics = found["metric"].unique().tolist()
    metric = metrics[0] if metric is None else metric
    check_option(metric, "metric", metrics)
    rows = found[found["metric"] == metric]
    if ax is None:
        ax = plt.figure(figsize=(7, 3.6), layout="constrained").subplots()
    arms = rows["arm"].unique()
    periods = rows["period"].unique()
    for a, arm in enumerate(arms):
        own, color = rows[rows["arm"] == arm], sns.color_palette("colorblind", len(arms))[a]
        x = np.arange(len(periods)) + (a - (len(arms) - 1) / 2) * 0.08
        ax.plot(x, own["effect"], "o-", color=color, markersize=5, label=plain(arm))
        ax.vlines(x, own["ci_low"], own["ci_high"], color=color, linewidth=1.6)
    ax.axhline(0, color="0.35", linewidth=1, zorder=0)
    ax.set_xticks(np.arange(len(periods)), [plain(period) for period in periods])
    ax.set_ylabel(plain(f"{metric}: difference from {impact.control}"))
    sns.despine(ax=ax)
    _legend(ax, len(arms))
    return ax


def _intervals(rows: pd.DataFrame, columns: list[str], ax: Axes | None) -> Axes:
    """Draw points with intervals by segment, arms beside each other."""
    segments, arms = rows["segment"].unique(), rows["arm"].unique()
    place = pd.Series(np.arange(len(segments), dtype=float), index=segments)
    ax = _axes(ax, len(segments) * (1 + 0.4 * (len(arms) - 1)))
    step = min(0.22, 0.7 / len(arms))
    for a, arm in enumerate(arms):
        own, color = rows[rows["arm"] == arm], sns.color_palette("colorblind", len(arms))[a]
        y = place[own["segment"]].to_numpy() + (a - (len(arms) - 1) / 2) * step
        point, low, high = (own[column] for column in columns)
        ax.hlines(y, low, high, color=color, linewidth=1.6)
        ax.plot(point, y, "o", color=color, markersize=5, label=plain(arm))
    _finish(ax, segments)
    _legend(ax, len(arms))
    return ax


def _axes(ax: Axes | None, rows: float) -> Axes:
    if ax is not None:
        return ax
    figure = plt.figure(figsize=(7, max(2.2, 1.2 + 0.3 * rows)), layout="constrained")
    return figure.subplots()


def _finish(ax: Axes, labels: "pd.Index | np.ndarray") -> None:
    """Name the rows, the first on top, and mark 0."""
    ax.axvline(0, color="0.35", linewidth=1, zorder=0)
    ax.set_yticks(range(len(labels)), [plain(label) for label in labels])
    ax.set_ylim(len(labels) - 0.5, -0.5)
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)


def _legend(ax: Axes, arms: int) -> None:
    if arms > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
