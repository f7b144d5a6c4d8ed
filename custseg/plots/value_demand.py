"""Pictures of demand, prices and budgets by segment."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt

from custseg._labels import ALL
from custseg.errors import check_number, check_option
from custseg.plots.labels import plain
from custseg.plots.value_segments import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.value import (
        Allocation,
        PriceMeter,
        PriceSensitivity,
        ResponseCurves,
        SegmentDemand,
    )

CURVES = {
    "too_cheap": ("too cheap", 0, "--"),
    "cheap": ("cheap", 0, "-"),
    "expensive": ("expensive", 1, "-"),
    "too_expensive": ("too expensive", 1, "--"),
}


def demand_heatmap(
    result: "SegmentDemand", *, n_items: int = 15, ax: "Axes | None" = None
) -> "Axes":
    """Draw the lift of the most bought items in every segment.

    Parameters
    ----------
    result
        What `custseg.value.segment_demand` returned.
    n_items
        How many items, the most bought first.
    ax
        The axes to draw on; a new figure, sized to the table, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Colours are on the scale of the logarithm; lifts whose interval holds 1 are grey.
    """
    check_number(n_items, "n_items", ge=1, integer=True)
    lift, low, high = (
        result.wide(name).iloc[:, :n_items].T for name in ("lift", "lift_low", "lift_high")
    )
    rows, columns = lift.shape
    if ax is None:
        size = (2.6 + max(2.5, 1.2 * columns), 1.3 + 0.3 * rows)
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    log = np.log2(lift.clip(lower=1 / 8, upper=8)).to_numpy()
    edge = max(np.nanmax(np.abs(log), initial=0), 0.5)
    ax.pcolormesh(log, cmap="RdBu_r", vmin=-1.6 * edge, vmax=1.6 * edge)
    clear = ((low > 1) | (high < 1)).to_numpy()
    for (row, column), value in np.ndenumerate(lift.to_numpy()):
        if np.isfinite(value):
            ax.text(
                *(column + 0.5, row + 0.5, f"{value:.2f}"),
                ha="center",
                va="center",
                fontsize="small",
                color="0.1" if clear[row, column] else "0.6",
                weight="bold" if clear[row, column] else "normal",
            )
    sizes = [f"{plain(name)}\n(n={n:,})" for name, n in result.sizes.items()]
    ax.set_xticks(np.arange(columns) + 0.5, sizes)
    ax.set_yticks(np.arange(rows) + 0.5, [plain(item) for item in lift.index])
    ax.invert_yaxis()
    ax.tick_params(length=0)
    ax.set_title("lift: share of buyers over that of all customers", fontsize="medium")
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def price_slopes(result: "PriceSensitivity", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the own-price slopes of every segment, raw and shrunk; or the discount shares.

    Parameters
    ----------
    result
        What `custseg.value.price_sensitivity` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Hollow dots are raw slopes, filled ones are shrunk. Without slopes, discount shares.
    """
    table = result.to_frame()
    if ax is None:
        size = (6.5, 1.5 + 0.38 * len(table))
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    y, colour = np.arange(len(table)), sns.color_palette("colorblind")[0]
    if "slope" in table:
        raw = ("slope", "slope_low", "slope_high", -0.12, "white", "raw")
        pulled = ("shrunk", "shrunk_low", "shrunk_high", 0.12, colour, "shrunk")
        for name, low, high, shift, face, label in (raw, pulled):
            ax.hlines(y + shift, table[low], table[high], color=colour, linewidth=1.4)
            ax.plot(table[name], y + shift, "o", color=colour, markerfacecolor=face, label=label)
        ax.set_xlabel("own-price slope: % pieces per buyer with a price 1% higher")
        ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
        ax.axvline(0, color="0.35", linewidth=1, zorder=0)
    else:
        ax.hlines(y, table["discount_low"], table["discount_high"], color=colour)
        ax.plot(table["discount_share"], y, "o", color=colour)
        ax.xaxis.set_major_formatter("{x:.0%}")
        ax.set_xlabel("lines bought at a discount")
    ax.axhline(0.5, color="0.8", linewidth=0.8, zorder=0)
    ax.set_yticks(y, [plain(name) for name in table["segment"]])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    sns.despine(ax=ax, left=True)
    return ax


def price_meter(result: "PriceMeter", *, segment: str = ALL, ax: "Axes | None" = None) -> "Axes":
    """Draw the four curves of one segment and the range of acceptable prices.

    Parameters
    ----------
    result
        What `custseg.value.price_meter` returned.
    segment
        Which segment; everybody by default.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The band is the acceptable range, the upright line the optimal price point.
    """
    table = result.to_frame()
    check_option(segment, "segment", list(table["segment"].unique()))
    if ax is None:
        ax = plt.figure(figsize=(6.8, 4.2), layout="constrained").subplots()
    own = result.curves[result.curves["segment"] == segment]
    colours = sns.color_palette("colorblind")
    for name, (label, colour, style) in CURVES.items():
        ax.plot(own["price"], own[name], color=colours[colour], linestyle=style, label=label)
    price = table[table["segment"] == segment].set_index("point")["price"]
    ends = price["marginal_cheapness"], price["marginal_expensiveness"]
    ax.axvspan(*ends, color="0.9", zorder=0, label=f"acceptable: {ends[0]:,.4g} to {ends[1]:,.4g}")
    label = f"optimal point: {price['optimal']:,.4g}"
    ax.axvline(price["optimal"], color="0.3", linewidth=1.2, linestyle=":", label=label)
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.set_xlabel("price")
    ax.set_ylabel("customers who say so")
    ax.set_title(plain(segment), loc="left")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    sns.despine(ax=ax)
    return ax


def response_curves(result: "ResponseCurves", *, ax: "Axes | None" = None) -> "Axes":
    """Draw what was spent and came back, with the curve of every segment.

    Parameters
    ----------
    result
        What `custseg.value.response_curves` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Dots and a line per segment, as far as anything was tried.
    """
    table = result.to_frame()
    if ax is None:
        ax = plt.figure(figsize=(6.5, 4.2), layout="constrained").subplots()
    colours = sns.color_palette("colorblind", len(table))
    for row, colour in zip(table.to_dict("records"), colours, strict=True):
        own = result.points[result.points["segment"] == row["segment"]]
        ax.plot(own["spend"], own["response"], "o", color=colour, markersize=4, alpha=0.6)
        ax.plot(*result.line(row["segment"]), color=colour, label=plain(row["segment"]))
    ax.set_xlim(left=0)
    ax.set_xlabel("spend")
    ax.set_ylabel("response")
    ax.legend(frameon=False)
    sns.despine(ax=ax)
    return ax


def allocation(result: "Allocation", *, ax: "Axes | None" = None) -> "Axes":
    """Draw what each split spends on every segment.

    Parameters
    ----------
    result
        What `custseg.value.allocate_budget` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A bar per split; the whisker says where the best spend lies if the curves are others.
    """
    table = result.to_frame()
    splits = [name for name in ("best", "equal", "proportional") if name in table]
    if ax is None:
        size = (6.8, 1.6 + 0.22 * len(splits) * len(table))
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    height = 0.8 / len(splits)
    y = np.arange(len(table))
    for place, (name, colour) in enumerate(
        zip(splits, sns.color_palette("colorblind", len(splits)), strict=True)
    ):
        shift = (place - (len(splits) - 1) / 2) * height
        brought = short(result.splits.loc[name, "response"])
        label = f"{name} (brings {brought})"
        ax.barh(y + shift, table[name], height=0.9 * height, color=colour, label=label)
        if name == "best":
            ax.hlines(y + shift, table["best_low"], table["best_high"], color="0.2", linewidth=1.4)
    ax.set_yticks(y, [plain(name) for name in table["segment"]])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("spend")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    sns.despine(ax=ax, left=True)
    return ax
