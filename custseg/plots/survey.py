"""Pictures of surveys: reliability, comment themes, best-worst utilities, weights."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.features.comments import CommentThemes
    from custseg.features.maxdiff import MaxDiff
    from custseg.features.scales import Reliability
    from custseg.features.weighting import SurveyWeights


def reliability(result: "Reliability", *, ax: "Axes | None" = None) -> "Axes":
    """Draw how each item goes with the rest of its scale.

    Parameters
    ----------
    result
        What `custseg.features.scale_reliability` returned.
    ax
        The axes to draw on; a new figure, sized to the items, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A dot per item, filled where it is not reversed; a label per scale with its alpha.
    """
    table = result.to_frame()
    ax = ax or _figure(len(table))
    colours = sns.color_palette("colorblind")
    scales = list(result.scales["scale"])
    rows = np.arange(len(table)) + 0.7 * table["scale"].map(scales.index).to_numpy()
    for number, scale in enumerate(scales):
        own = (table["scale"] == scale).to_numpy()
        colour = colours[number % len(colours)]
        fill = [("white" if turned else colour) for turned in table["reversed"][own]]
        ax.scatter(table["item_rest"][own], rows[own], c=fill, edgecolors=[colour], s=45, zorder=3)
        alpha = result.scales["alpha"].iloc[number]
        words = f"{scale}\nalpha {alpha:.2f}" if alpha == alpha else f"{scale}\nalpha undefined"
        ax.text(
            *(1.02, rows[own].mean(), words),
            transform=ax.get_yaxis_transform(),
            va="center",
            color=colour,
            fontsize="small",
        )
    ax.set_yticks(rows, table["item"])
    ax.set_ylim(rows[-1] + 0.7, -0.7)
    ax.set_xlim(min(0, np.nanmin(table["item_rest"], initial=0) - 0.05), 1)
    ax.axvline(0, color="0.25", linewidth=0.8)
    ax.grid(axis="x", color="0.9")
    ax.set_xlabel("correlation with the other items of its scale (hollow: reversed)")
    sns.despine(ax=ax, left=True)
    return ax


def comment_themes(result: "CommentThemes", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of comments about each theme.

    Parameters
    ----------
    result
        What `custseg.features.comment_themes` returned.
    ax
        The axes to draw on; a new figure, sized to the themes, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A bar per theme, with its strongest words.
    """
    table = result.to_frame()
    ax = ax or _figure(1.3 * len(table))
    bars = ax.barh(table["theme"], 100 * table["share"], color=sns.color_palette("colorblind")[0])
    words = [" " + ", ".join(text.split(", ")[:5]) for text in table["words"]]
    ax.bar_label(bars, words, fontsize="small", color="0.35")
    ax.set_xlim(0, 200 * table["share"].max() or 1)
    ax.invert_yaxis()
    ax.set_xlabel("comments about it, %")
    sns.despine(ax=ax)
    return ax


def maxdiff(result: "MaxDiff", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the mean utility of each item, and how far customers differ in it.

    Parameters
    ----------
    result
        What `custseg.features.maxdiff` returned.
    ax
        The axes to draw on; a new figure, sized to the items, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A dot with its interval per item, on a bar of one standard deviation of customers each way.
    """
    table = result.to_frame()
    ax = ax or _figure(len(table))
    ax.use_sticky_edges = False
    colour, rows = sns.color_palette("colorblind")[0], np.arange(len(table))
    ax.barh(
        *(rows, 2 * table["sd"]),
        left=table["utility"] - table["sd"],
        height=0.5,
        color=colour,
        alpha=0.2,
        label="customers, mean ± 1 sd",
    )
    reach = [table["utility"] - table["ci_low"], table["ci_high"] - table["utility"]]
    ax.errorbar(table["utility"], rows, xerr=reach, fmt="o", color=colour, label="mean, interval")
    ax.axvline(0, color="0.25", linewidth=0.8)
    ax.set_yticks(rows, table["item"])
    ax.invert_yaxis()
    ax.set_xlabel("utility, 0 = the average item")
    ax.legend(loc="lower right", frameon=False, fontsize="small")
    sns.despine(ax=ax, left=True)
    return ax


def weights(result: "SurveyWeights", *, ax: "Axes | None" = None) -> "Axes":
    """Draw each margin before and after weighting.

    Parameters
    ----------
    result
        What `custseg.features.rake` returned.
    ax
        The axes to draw on; a new figure, sized to the levels, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A hollow dot for the respondents and a filled one for the target, which the weights meet.
    """
    table = result.to_frame()
    ax = ax or _figure(len(table))
    colour = sns.color_palette("colorblind")[0]
    rows = np.arange(len(table)) + 0.7 * pd.factorize(table["variable"])[0]
    before, after = 100 * table["share"], 100 * table["weighted_share"]
    ax.hlines(rows, before, after, color="0.6", linewidth=1)
    ax.scatter(before, rows, facecolor="white", edgecolor=colour, label="respondents", zorder=3)
    ax.scatter(after, rows, color=colour, label="weighted = target", zorder=3)
    names = [f"{row.variable}: {row.level}" for row in table.itertuples()]
    ax.set_yticks(rows, names)
    ax.set_ylim(rows[-1] + 0.7, -0.7)
    ax.set_xlim(left=0)
    ax.set_xlabel("share, %")
    ax.legend(loc="best", frameon=False, fontsize="small")
    ax.set_title(
        f"{len(result.weights):,} answers worth {result.n_effective:,.0f}", loc="left", fontsize=10
    )
    sns.despine(ax=ax)
    return ax


def _figure(rows: float) -> "Axes":
    height = min(max(2.4, 1.2 + 0.3 * rows), 12)
    return plt.subplots(figsize=(7, height), layout="constrained")[1]
