"""Pictures for choosing: two segmentations over each other, the scorecard, the evaluation plot."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt

from custseg.plots.labels import column_width, fold
from custseg.results import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.profiling import Attractiveness, CrossClassification, Scorecard

MORE, FAR = 2.0, 4.0
"""Residuals beyond these are light and dark: hardly, and almost never, by chance."""

MARKS = {"met": "o", "open": "D", "not met": "X"}


def cross_classification(cross: "CrossClassification", *, ax: "Axes | None" = None) -> "Axes":
    """Draw a mosaic: columns as wide as the first segments, parts as high as the second's shares.

    Colour says where there are more (blue) or fewer (red) customers than if the two were
    independent: light beyond 2 adjusted standard deviations, dark beyond 4; grey is within chance.

    Parameters
    ----------
    cross
        What `custseg.profiling.cross_classify` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table, joint = cross.table, cross.joint
    if ax is None:
        width = max(5.0, column_width(table.index, 1.2) * len(table) + 2)
        _, ax = plt.subplots(figsize=(width, 4.6), layout="constrained")
    counts = table.to_numpy(dtype=float)
    widths = counts.sum(axis=1) / counts.sum()
    heights = counts / counts.sum(axis=1, keepdims=True)
    residuals = joint["residual"].to_numpy().reshape(counts.shape)
    gap = 0.012
    lefts = np.concatenate([[0.0], np.cumsum(widths + gap)[:-1]])
    for column, left in enumerate(lefts):
        bottom = 0.0
        for row, height in enumerate(heights[column]):
            colour = _colour(residuals[column, row])
            ax.bar(left, height, widths[column], bottom, align="edge", color=colour, ec="white")
            if height * widths[column] > 0.006:
                middle = (left + widths[column] / 2, bottom + height / 2)
                ax.text(*middle, f"{height:.0%}", ha="center", va="center", fontsize="small")
            bottom += height
    last = heights[-1]
    ends = np.concatenate([[0.0], np.cumsum(last)])
    ax.set_yticks((ends[1:] + ends[:-1]) / 2, [str(name) for name in table.columns])
    ax.yaxis.tick_right()
    ax.yaxis.set_label_position("right")
    ax.set(xlabel=str(table.index.name), ylabel=str(table.columns.name))
    ax.set_xlim(-0.01, lefts[-1] + widths[-1] + 0.01)
    ax.set_ylim(0, 1)
    v = cross.agreement.loc["cramers_v"]
    ax.set_title(
        f"Cramér's V {v['value']:.2f} ({v['ci_low']:.2f} to {v['ci_high']:.2f}); "
        "blue: more than by chance, red: fewer",
        fontsize="small",
    )
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    heads = [f"{name}\n{width:.0%}" for name, width in zip(table.index, widths, strict=True)]
    ax.set_xticks(lefts + widths / 2, fold(ax, heads, widths + gap))
    return ax


def _colour(residual: float) -> object:
    if abs(residual) < MORE or not np.isfinite(residual):
        return "0.88"
    return sns.color_palette("vlag", 9)[
        {(True, True): 0, (True, False): 2, (False, True): 8, (False, False): 6}[
            (residual > 0, abs(residual) >= FAR)
        ]
    ]


def scorecard(card: "Scorecard", *, ax: "Axes | None" = None) -> "Axes":
    """Draw each measure beside its bound, on the scale on which the bound is 1.

    Parameters
    ----------
    card
        What `custseg.profiling.scorecard` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table = card.to_frame()
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 1.2 + 0.42 * len(table)), layout="constrained")
    palette = sns.color_palette("colorblind")
    colours = dict(zip(MARKS, (palette[2], palette[1], palette[3]), strict=True))
    words = []
    for place, row in enumerate(table.itertuples()):
        words.append(f"{row.criterion}: {row.measure}" if row.measure else row.criterion)
        if row.mark not in MARKS:
            ax.text(0.02, place, "not measured", va="center", fontsize="small", color="0.45")
            continue
        drawn = np.array([row.number, row.ci_low, row.ci_high])
        drawn = drawn / row.bound if row.bound else 1 + drawn
        number, low, high = np.clip(drawn, 0, 3)
        ax.hlines(place, low, high, color=colours[row.mark], linewidth=2)
        ax.plot([number], [place], MARKS[row.mark], color=colours[row.mark], markersize=8)
        text = f"{format_number(row.number)} (bound {format_number(row.bound)}): {row.mark}"
        ax.text(3.1, place, text, va="center", fontsize="small")
    ax.axvline(1, color="0.25", linestyle="--", linewidth=0.9)
    ax.grid(visible=False, axis="y")
    ax.set_yticks(range(len(words)), words)
    ax.set_ylim(len(words) - 0.5, -0.5)
    ax.set_xlim(0, 3.05)
    ax.set_xlabel("number over its bound, drawn up to 3 (a p-value should lie below)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def evaluation_plot(found: "Attractiveness", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the segment evaluation plot: attractiveness against competitiveness, bubbles by size.

    Lines reach from the lowest to the highest score if any one criterion is left out; segments that
    no other one beats on both sides are filled.

    Parameters
    ----------
    found
        What `custseg.profiling.attractiveness` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table = found.to_frame()
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 5.4), layout="constrained")
    colour = sns.color_palette("colorblind")[0]
    x, y = table["attractiveness"], table["competitiveness"]
    area = 1_400 * table["size"] / max(float(table["size"].max()), 1e-12)
    ax.hlines(y, table["attractiveness_low"], table["attractiveness_high"], color="0.6", lw=1)
    ax.vlines(x, table["competitiveness_low"], table["competitiveness_high"], color="0.6", lw=1)
    for filled, own in table.groupby("efficient"):
        face = colour if filled else "none"
        ax.scatter(
            *(x[own.index], y[own.index], area[own.index]), fc=face, ec=colour, alpha=0.6, zorder=3
        )
    for segment in table.index:
        ax.annotate(str(segment), (x[segment], y[segment]), ha="center", va="center", zorder=4)
    low, high = found.scale
    middle = (low + high) / 2
    for line in (ax.axhline, ax.axvline):
        line(middle, color="0.8", linewidth=0.8, zorder=0)
    edge = 0.06 * (high - low)
    ax.set_xlim(low - edge, high + edge)
    ax.set_ylim(low - edge, high + edge)
    ax.set_xlabel("how attractive the segment is to us")
    ax.set_ylabel("how attractive we are to the segment")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
