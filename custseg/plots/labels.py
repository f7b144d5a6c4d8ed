"""Words in pictures: broken over lines, and put where they do not lie on each other."""

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation, Text

Vector = NDArray[np.floating]

REACH = (5, 12, *range(20, 200, 10))
"""How far from its point a label may be put, in typographic points, the nearest first."""
SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
ALIGN = {1: "left", 0: "center", -1: "right"}
UPRIGHT = {1: "bottom", 0: "center", -1: "top"}
FAR = 12
"""From this distance on a thin line joins a label to its point."""
JOINT = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}


def plain(name: object) -> str:
    """Write a name as it is: two dollar signs would make what is between them a formula."""
    return str(name).replace("$", r"\$")


def fold(ax: "Axes", words: Iterable[object], widths: float | Vector) -> list[str]:
    """Return words broken over as many lines as it takes to be no wider than their room.

    Parameters
    ----------
    ax
        The axes, with its limits and all that is beside it.
    words
        What is written, each as tick labels are.
    widths
        The room of each, or of all, on the scale of the x axis.
    """
    ax.figure.canvas.figure.draw_without_rendering()
    escaped = [plain(word) for word in words]
    probe = ax.text(0, 0, "")
    folded = []
    for whole, width in zip(escaped, np.broadcast_to(widths, len(escaped)), strict=True):
        ends = ax.transData.transform([(0, 0), (width, 0)])
        room = 0.94 * (ends[1, 0] - ends[0, 0])
        chars = max(map(len, whole.split("\n")))
        text = whole
        probe.set_text(text)
        while chars > 1 and probe.get_window_extent().width > room:
            chars -= 1
            text = "\n".join(fill(line, chars) for line in whole.split("\n"))
            probe.set_text(text)
        folded.append(text)
    probe.remove()
    return folded


def title_columns(ax: "Axes", shares: "pd.Series", middles: Vector, width: float) -> None:
    """Write above each column of a picture the name and share of its segment.

    Parameters
    ----------
    ax
        The axes, with its limits and all that is beside it.
    shares
        By segment, its share of the customers.
    middles, width
        The middle of each column, and how wide it is, on the scale of the x axis.
    """
    heads = fold(ax, shares.index, width)
    for middle, head, share in zip(middles, heads, shares, strict=True):
        ax.text(
            *(middle, 1.01, f"{head}\n{share:.0%}"),
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="bottom",
        )


def column_width(names: Iterable[object], least: float) -> float:
    """Return how many inches a column needs so that no word of its name is broken."""
    return max(least, *(0.095 * len(word) for name in names for word in str(name).split()))


def spread(ax: "Axes", labels: Sequence["Annotation"], others: Sequence["Text"] = ()) -> None:
    """Put the labels of points where they lie on no other label, point or text, if there is room.

    One after the other is put at the nearest free place around its point.

    Parameters
    ----------
    ax
        The axes, with its limits and all else that is drawn.
    labels
        Annotations of points on the scales of the axes, their offsets in typographic points.
    others
        Further texts that are in the way.
    """
    ax.figure.canvas.figure.draw_without_rendering()
    frame = ax.get_window_extent()
    points = ax.transData.transform([label.xy for label in labels])
    taken = [Bbox([point - 4, point + 4]) for point in points]
    taken += [text.get_window_extent() for text in others]
    for label in labels:
        for distance, (x, y) in ((d, side) for d in REACH for side in SIDES):
            label.set(position=(x * distance, y * distance), ha=ALIGN[x], va=UPRIGHT[y])
            box = label.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
            inside = inside and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                break
        else:
            distance, x, y = REACH[0], *SIDES[0]
            label.set(position=(distance, distance), ha=ALIGN[x], va=UPRIGHT[y])
        if distance >= FAR:
            place = (x * distance, y * distance)
            ax.annotate("", label.xy, place, textcoords="offset points", arrowprops=JOINT)
        taken.append(label.get_window_extent())
