"""Pictures of the borders between segments."""

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.evaluation.gaps import Gaps, Natural

ACROSS = 4


def gaps(gaps: "Gaps", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the customers along the line from each segment to its nearest neighbour.

    One panel per border, the fullest first: customers in the strip around every position between
    (and beyond) the two centres, which are marked; the ring is the border. Dashed: what it must
    stay below. Blue is a gap, orange is none.

    Parameters
    ----------
    gaps
        What `custseg.evaluation.gaps` returned.
    ax
        Draw only the fullest border, on these axes; ``None`` draws all on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the first panel.
    """
    table = gaps.borders.sort_values(["ratio", "segment"], ascending=[False, True])
    either = [frozenset(pair) for pair in zip(table["segment"], table["neighbour"], strict=True)]
    table = table[~np.array([pair in either[:place] for place, pair in enumerate(either)])]
    if ax is not None:
        axes = [ax]
    else:
        columns = min(ACROSS, len(table))
        rows = ceil(len(table) / columns)
        _, grid = plt.subplots(
            rows,
            columns,
            figsize=(max(2.4 * columns, 4), 2.4 * rows),
            layout="constrained",
            squeeze=False,
        )
        axes = list(grid.flat)
        for spare in axes[len(table) :]:
            spare.set_axis_off()
    for row, place in zip(table.itertuples(), axes, strict=False):
        _border(gaps, row, place)
    axes[0].set_ylabel("customers in the strip")
    return axes[0]


def _border(gaps: "Gaps", row: Any, ax: "Axes") -> None:
    line = gaps.profiles[gaps.profiles["segment"] == row.segment]
    colour = sns.color_palette("colorblind")[0 if row.gap else 1]
    ax.fill_between(line["position"], line["customers"], color=colour, alpha=0.35, linewidth=0)
    ax.plot(line["position"], line["customers"], color=colour)
    ax.plot([0, 1], [row.centre, row.centre_neighbour], "o", color="0.15", markersize=4)
    ax.plot([row.position], [row.border], "o", color="0.15", markersize=7, fillstyle="none")
    asked = gaps.asked * (min(row.centre, row.centre_neighbour) + 1) - 1
    ax.axhline(asked, color="0.35", linestyle="--", linewidth=0.9)
    ax.set_xticks([0, 1], [str(row.segment), str(row.neighbour)])
    ax.set_ylim(bottom=0)
    ax.set_title(f"border / centre {row.ratio:.2f}", fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)


def natural(natural: "Natural", *, ax: "Axes | None" = None) -> "Axes":
    """Draw how full every border of every labelling is.

    One dot per segment: the customers at the border for one at the emptier centre; filled where it
    is a gap. Dashed: what it must stay below. The upright bands are labelings with gaps all around.

    Parameters
    ----------
    natural
        What `custseg.evaluation.natural` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    colours = sns.color_palette("colorblind")
    for place, (result, passed) in enumerate(
        zip(natural.gaps.values(), natural.table["natural"], strict=True)
    ):
        if passed:
            ax.axvspan(place - 0.3, place + 0.3, color="0.92", zorder=0, linewidth=0)
        for gap, rows in result.borders.groupby("gap"):
            shift = np.linspace(-0.15, 0.15, len(result.borders))[rows.index]
            ax.plot(
                place + shift,
                rows["ratio"],
                "o",
                color=colours[0 if gap else 1],
                fillstyle="full" if gap else "none",
                markersize=5,
            )
        ax.axhline(result.asked, color="0.35", linestyle="--", linewidth=0.9, zorder=0.5)
    ax.set_xticks(range(len(natural.table)), [str(name) for name in natural.table["labelling"]])
    ax.set_ylim(bottom=0)
    ax.set_xlabel("labelling")
    ax.set_ylabel("customers at the border\nfor one at the emptier centre")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
