"""Pictures of honest tests."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.profiling import HonestDifferences


def differences(found: "HonestDifferences", *, ax: "Axes | None" = None) -> "Axes":
    """Draw what was found of every variable beside what a cloud without groups would give.

    A full dot is a difference at 5% after Holm's adjustment, an empty one is none.

    Parameters
    ----------
    found
        What `custseg.profiling.honest_differences` returned.
    ax
        The axes to draw on; a new figure, sized to the table, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table = found.to_frame()
    table = table[table["variable"] != "(all)"].reset_index(drop=True)
    if ax is None:
        _, ax = plt.subplots(figsize=(6.5, 1.4 + 0.32 * len(table)), layout="constrained")
    rows = np.arange(len(table))
    size, expected = table["effect"].abs(), table["expected"]
    ax.hlines(rows, expected, size, color="0.75", linewidth=2, zorder=1)
    ax.scatter(expected, rows, marker="|", s=160, color="0.25", zorder=2, label="without groups")
    blue = sns.color_palette("colorblind")[0]
    sure = table["p_holm"] <= 0.05
    ax.scatter(
        size,
        rows,
        s=45,
        facecolor=[blue if full else "white" for full in sure],
        edgecolor=blue,
        zorder=3,
    )
    for row, (p, unanswered) in enumerate(zip(table["p_holm"], size.isna(), strict=True)):
        words = "no answer" if unanswered else "p < .001" if p < 0.001 else f"p = {p:.3f}"
        place = ax.get_yaxis_transform()
        ax.text(1.01, row, words, transform=place, va="center", fontsize="small", color="0.25")
    names = table["variable"].where(
        table["segments"] == "(all)", table["segments"] + ": " + table["variable"]
    )
    ax.set_yticks(rows, names)
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlim(left=0)
    selective = found.method == "selective"
    between = "difference of two segments, encoded units"
    ax.set_xlabel(between if selective else "share of variation between segments (eta squared)")
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    sns.despine(ax=ax)
    return ax
