"""Pictures of cards and of lists of people to interview."""

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator, PercentFormatter

from custseg.plots.labels import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.profiling import RecruitingList, SegmentCards


def shares(cards: "SegmentCards", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of customers of each segment, and of all value where it is known.

    Parameters
    ----------
    cards
        What `custseg.profiling.segment_cards` or `custseg.profiling.personas` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table = cards.to_frame()
    heads = [fill(plain(head), 34) for head in cards.heads().values()]
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 1.4 + 0.55 * len(table)), layout="constrained")
    rows = np.arange(len(table))
    kinds = {"share": "of customers"}
    if "value_share" in table:
        kinds["value_share"] = "of value"
    colours = sns.color_palette("colorblind")
    for place, (name, label) in enumerate(kinds.items()):
        at = rows + 0.16 * (2 * place - (len(kinds) - 1))
        ax.hlines(
            at, table[f"{name}_low"], table[f"{name}_high"], color=colours[place], linewidth=2
        )
        ax.plot(table[name], at, "oD"[place], color=colours[place], markersize=6, label=label)
    ax.set_yticks(rows, heads)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("share (lines: intervals)")
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def places(people: "RecruitingList", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the places of each segment: filled ones as bars, those asked for as upright lines.

    Parameters
    ----------
    people
        What `custseg.profiling.recruiting_list` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    account = people.account[people.account["asked"] > 0]
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 1.3 + 0.35 * len(account)), layout="constrained")
    rows = np.arange(len(account))
    palette = sns.color_palette("colorblind")
    colours = [palette[0] if kind == "typical" else palette[1] for kind in account["kind"]]
    ax.barh(rows, account["filled"], color=colours, height=0.6)
    ax.vlines(account["asked"], rows - 0.4, rows + 0.4, color="0.15", linewidth=2)
    labels = [f"{row.segment}, {row.kind}" for row in account.itertuples()]
    ax.set_yticks(rows, labels)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("places filled (line: asked for)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
