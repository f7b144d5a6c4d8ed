"""Pictures of campaigns that are looked at more than once."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from scipy.stats import norm

from custseg._labels import ALL
from custseg.errors import check_option
from custseg.plots.labels import plain

if TYPE_CHECKING:
    from custseg.campaigns import GroupSequential, Sequential


def over_days(
    found: "Sequential",
    *,
    metric: str | None = None,
    segment: str = ALL,
    ax: Axes | None = None,
) -> Axes:
    """Draw the effect so far on each day, with the interval that holds on all days together.

    Parameters
    ----------
    found
        What `sequential` returned.
    metric
        The metric to draw; the first one when ``None``.
    segment
        Whose effect.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on. A dot marks the day on which an interval first excluded 0; it
        is hollow where that was never shown with all in the family counted.
    """
    metrics = list(dict.fromkeys(found.table["metric"]))
    metric = metrics[0] if metric is None else metric
    check_option(metric, "metric", metrics)
    check_option(segment, "segment", list(dict.fromkeys(found.table["segment"])))
    if ax is None:
        ax = plt.figure(figsize=(7.5, 4.2), layout="constrained").subplots()
    table = found.table
    rows = table[(table["metric"] == metric) & (table["segment"] == segment)]
    rows = rows[np.isfinite(rows["boundary"])]
    arms = list(dict.fromkeys(table["arm"]))
    for arm, color in zip(arms, sns.color_palette("colorblind", len(arms)), strict=True):
        looks = rows[rows["arm"] == arm]
        if looks.empty:
            continue
        ax.fill_between(looks["day"], looks["ci_low"], looks["ci_high"], color=color, alpha=0.2)
        ax.plot(looks["day"], looks["effect"], color=color, linewidth=1.8, label=plain(arm))
        for bound in ("ci_low", "ci_high"):
            ax.plot(looks["day"], looks[bound], color=color, linewidth=0.7)
        crossed = looks[looks["crossed"]].head(1)
        inside = color if looks["crossed_familywise"].any() else "white"
        ax.plot(crossed["day"], crossed["effect"], "o", color=color, mfc=inside, markersize=7)
    ax.axhline(0, color="0.35", linewidth=1, zorder=0)
    ax.set_title(plain(metric if segment == ALL else f"{metric}, {segment}"), loc="left")
    ax.set_xlabel("day of the look")
    ax.set_ylabel(plain(f"difference from {found.control}, so far"))
    if rows.empty:
        ax.text(0.5, 0.5, "no look so far", ha="center", transform=ax.transAxes)
    else:
        ax.legend(frameon=False, loc="upper right")
    if rows["day"].dtype.kind == "M":
        locator = AutoDateLocator(maxticks=8)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    sns.despine(ax=ax)
    return ax


def boundaries(plan: "GroupSequential", *, ax: Axes | None = None) -> Axes:
    """Draw how far the statistic must be from 0 at each look.

    Parameters
    ----------
    plan
        What `group_sequential` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    if ax is None:
        ax = plt.figure(figsize=(6.5, 4), layout="constrained").subplots()
    table = plan.table
    color = sns.color_palette("colorblind")[0]
    signs = (1, -1) if plan.alternative == "two-sided" else (1,)
    for sign in signs:
        label = "reject beyond" if sign == 1 else None
        ax.plot(table["information"], sign * table["z"], "o-", color=color, label=label)
    single = table["z"].iloc[-1] / abs(table["z"].iloc[-1]) * _one_look(plan)
    for sign in signs:
        label = "with one look" if sign == 1 else None
        ax.axhline(sign * single, color="0.4", linestyle="--", linewidth=1, label=label)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xlabel("share of the customers")
    ax.set_ylabel("z")
    ax.set_title(plan.boundary.replace("_", " "), loc="left")
    ax.legend(frameon=False)
    sns.despine(ax=ax)
    return ax


def _one_look(plan: "GroupSequential") -> float:
    return float(norm.isf(plan.alpha / (2 if plan.alternative == "two-sided" else 1)))
