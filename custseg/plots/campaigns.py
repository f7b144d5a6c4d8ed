"""Pictures of campaign tests."""

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from custseg._labels import ALL
from custseg.errors import ParameterError, check_option
from custseg.plots.campaigns_impact import checks, contributions, over_time
from custseg.plots.labels import plain
from custseg.stats import wilson

if TYPE_CHECKING:
    from custseg.campaigns import Impact, SampleRatio

_PICTURES = ("effects", "contributions", "checks", "over_time")


def impact(
    impact: "Impact", *, show: str = "effects", ax: Axes | None = None, **options: Any
) -> Any:
    """Draw a campaign's effects, or what stands beside them.

    Parameters
    ----------
    impact
        What `CampaignTest.analyze` returned.
    show
        ``"effects"`` (`forest`), ``"contributions"`` of the segments to the effect on everybody,
        ``"checks"`` (how alike the arms were) or ``"over_time"`` (the effect by period).
    ax
        The axes to draw on; a new figure when ``None``.
    **options
        Of the picture: `metric`, and `shrunk` for the effects.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray of them
        One axes, or, for the effects on several metrics, one each.
    """
    check_option(show, "show", _PICTURES)
    pictures = dict(zip(_PICTURES, (forest, contributions, checks, over_time), strict=True))
    return pictures[show](impact, ax=ax, **options)


def forest(
    impact: "Impact", *, metric: str | None = None, shrunk: bool = False, ax: Axes | None = None
) -> Any:
    """Draw effects with their 95% intervals, everybody first, then each segment.

    Parameters
    ----------
    impact
        What `CampaignTest.analyze` returned.
    metric
        The metric to draw; all of them, a panel each, when ``None``.
    shrunk
        Draw the shrunk effects of the segments, and the raw ones pale behind them.
    ax
        The axes to draw one metric on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray of them
        One axes, or an array of one per metric.
    """
    effects = impact.to_frame()
    metrics = effects["metric"].unique().tolist()
    if metric is not None:
        check_option(metric, "metric", metrics)
        metrics = [metric]
    if ax is not None and len(metrics) > 1:
        raise ParameterError(f"ax holds one metric: choose metric= among {metrics}.")
    rows = effects["segment"].nunique() * (1 + 0.4 * (effects["arm"].nunique() - 1))
    height = max(2.2, 1.2 + 0.3 * rows)
    if ax is not None:
        axes = np.array([ax])
    elif len(metrics) == 1:
        axes = np.array([plt.figure(figsize=(7, height), layout="constrained").subplots()])
    else:
        figure = plt.figure(figsize=(3.6 + 2.6 * len(metrics), height), layout="constrained")
        axes = figure.subplots(1, len(metrics), sharey=True)
    for panel, name in zip(axes, metrics, strict=True):
        _panel(panel, effects[effects["metric"] == name], control=impact.control, shrunk=shrunk)
    if effects["arm"].nunique() > 1:
        handles = axes[0].get_legend_handles_labels()
        if len(axes) == 1:
            above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
            axes[0].legend(*handles, **above, ncols=4, frameon=False)
        else:
            axes[0].figure.legend(*handles, loc="outside upper center", ncols=4, frameon=False)
    return axes[0] if len(metrics) == 1 else axes


def _panel(ax: Axes, effects: pd.DataFrame, *, control: Any, shrunk: bool) -> None:
    end = "_shrunk" if shrunk else ""
    segments = effects["segment"].unique()
    arms = effects["arm"].unique()
    place = pd.Series(np.arange(len(segments), dtype=float), index=segments)
    offsets = (np.arange(len(arms)) - (len(arms) - 1) / 2) * min(0.22, 0.7 / len(arms))
    colors = sns.color_palette("colorblind", len(arms))
    for arm, offset, color in zip(arms, offsets, colors, strict=True):
        rows = effects[(effects["arm"] == arm) & effects["ci_low"].notna()]
        y = place[rows["segment"]].to_numpy() + offset
        ax.hlines(y, rows[f"ci_low{end}"], rows[f"ci_high{end}"], color=color, linewidth=1.6)
        ax.plot(rows[f"effect{end}"], y, "o", color=color, markersize=5, label=plain(arm))
        if shrunk:
            raw = {"color": color, "alpha": 0.3, "zorder": 1}
            ax.hlines(y, rows["ci_low"], rows["ci_high"], linewidth=5, **raw)
            ax.plot(rows["effect"], y, "|", markersize=11, markeredgewidth=2, **raw)
        whole = (rows["segment"] == ALL).to_numpy()
        ax.plot(rows["effect"][whole], y[whole], "D", color=color, markersize=7)
    ax.axvline(0, color="0.35", linewidth=1, zorder=0)
    if len(segments) > 1:
        ax.axhline(0.5, color="0.8", linewidth=0.8, zorder=0)
    ax.set_yticks(place, [plain(segment) for segment in segments])
    ax.set_ylim(len(segments) - 0.5, -0.5)
    what = "shrunk 95% interval, raw one pale" if shrunk else "with 95% interval"
    ax.set_xlabel(plain(f"{effects['metric'].iloc[0]}: difference from {control}\n({what})"))
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)


def sample_ratio(srm: "SampleRatio", *, ax: Axes | None = None) -> Axes:
    """Draw the observed share of each arm with its 95% interval beside the planned share.

    Parameters
    ----------
    srm
        What `srm_test` returned, or ``impact.srm``.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    if ax is None:
        height = 1.2 + 0.4 * len(srm.observed)
        ax = plt.figure(figsize=(7, height), layout="constrained").subplots()
    total = srm.observed.sum()
    low, high = wilson(srm.observed.to_numpy(), total)
    y = np.arange(len(srm.observed))
    seen, planned = sns.color_palette("colorblind")[0], sns.color_palette("colorblind")[3]
    ax.hlines(y, low, high, color=seen, linewidth=1.6)
    ax.plot(srm.observed / total, y, "o", color=seen, label="observed, 95% interval")
    ax.plot(
        srm.expected / total,
        y,
        "|",
        color=planned,
        markersize=16,
        markeredgewidth=2,
        label="planned",
    )
    ax.set_yticks(y, [plain(arm) for arm in srm.observed.index])
    ax.set_ylim(len(y) - 0.5, -0.5)
    ax.set_xlabel("share of customers")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    sns.despine(ax=ax, left=True)
    return ax
