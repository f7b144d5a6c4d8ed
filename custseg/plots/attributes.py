"""Pictures of who customers are: regions rolled up, location quotients."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.features.attributes import RegionRollUp
    from custseg.features.location import LocationQuotients

QUOTIENTS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10)


def region_roll_up(result: "RegionRollUp", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the customers of each rolled-up region, and of what did not map.

    Parameters
    ----------
    result
        What `custseg.features.roll_up_regions` returned.
    ax
        The axes to draw on; a new figure, sized to the regions, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A bar per rolled-up region, largest first; what did not map comes last, in grey.
    """
    rolled = result.regions.iloc[:, 0]
    counts = rolled.value_counts()
    palette = sns.color_palette("colorblind")
    names, sizes = [str(name) for name in counts.index], list(counts)
    colours = [palette[0]] * len(names)
    if rolled.isna().any():
        names, sizes = [*names, "did not map"], [*sizes, int(rolled.isna().sum())]
        colours = [*colours, palette[7]]
    ax = ax or _figure(len(names))
    bars = ax.barh(names, sizes, color=colours)
    ax.bar_label(bars, [f" {size:,}" for size in sizes], fontsize="small")
    ax.margins(x=0.1)
    ax.invert_yaxis()
    ax.set_xlabel("customers")
    sns.despine(ax=ax)
    return ax


def location_quotients(result: "LocationQuotients", *, ax: "Axes | None" = None) -> "Axes":
    """Draw each quotient with its interval, on a scale where 2 and 1/2 are equally far from 1.

    Parameters
    ----------
    result
        What `custseg.features.location_quotients` returned.
    ax
        The axes to draw on; a new figure, sized to the regions, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A row per region, a colour per level; hollow dots are small regions.
    """
    table = result.to_frame()
    regions, levels = list(table["region"].unique()), list(table["level"].unique())
    ax = ax or _figure(len(regions) * (0.5 + 0.5 * len(levels)))
    floor = max(table["ci_low"].where(table["ci_low"] > 0).min() / 1.5, 0.05)
    for number, level in enumerate(levels):
        own = table[table["level"] == level]
        shift = 0.7 * ((number + 0.5) / len(levels) - 0.5)
        rows = own["region"].map(regions.index).to_numpy() + shift
        colour = sns.color_palette("colorblind")[number % 10]
        at, low = own["quotient"].clip(lower=floor), own["ci_low"].clip(lower=floor)
        ax.hlines(rows, low, own["ci_high"], color=colour, linewidth=1.5)
        fill = ["white" if small else colour for small in own["small"]]
        ax.scatter(at, rows, c=fill, edgecolors=[colour], s=30, zorder=3, label=str(level))
    ax.axvline(1, color="0.25", linewidth=0.8)
    ax.set_xscale("log", base=2)
    left, right = ax.get_xlim()
    ticks = [tick for tick in QUOTIENTS if left <= tick <= right]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(np.arange(len(regions)), [str(region) for region in regions])
    ax.set_ylim(len(regions) - 0.4, -0.6)
    ax.set_xlabel("location quotient, 1 = as common as everywhere")
    if len(levels) > 1:
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize="small")
    sns.despine(ax=ax)
    return ax


def _figure(rows: float) -> "Axes":
    height = min(max(2.4, 1.2 + 0.3 * rows), 12)
    return plt.subplots(figsize=(7, height), layout="constrained")[1]
