"""Pictures of what is known of each customer."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator

from custseg.errors import check_columns


def rfm_cells(scores: pd.DataFrame, rfm: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the grid of recency and frequency scores with the named cells.

    A square is coloured by the median monetary value of its customers (on a logarithmic scale
    where all medians are above 0) and holds their number; squares without customers are blank.
    Frames and names mark the cells.

    Parameters
    ----------
    scores
        What `custseg.features.rfm_scores` returned: r_score, f_score, cell.
    rfm
        The table that was scored: monetary, on the same customers.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Recency scores from left to right, frequency scores from bottom to top.
    """
    check_columns(scores.columns, ["r_score", "f_score", "cell"], where="the table of scores")
    check_columns(rfm.columns, ["monetary"], where="the table that was scored")
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    squares = [scores["f_score"], scores["r_score"]]
    money = rfm["monetary"].reindex(scores.index).groupby(squares)
    every = range(1, int(scores[["r_score", "f_score"]].max(axis=None)) + 1)
    medians = money.median().unstack().reindex(index=every, columns=every)
    counts = money.size().unstack().reindex(index=every, columns=every)
    logarithmic = medians.min(axis=None) > 0
    norm = LogNorm() if logarithmic else Normalize()
    edges = np.arange(len(every) + 1) + 0.5
    colours = sns.color_palette("crest", as_cmap=True)
    mesh = ax.pcolormesh(edges, edges, np.ma.masked_invalid(medians), cmap=colours, norm=norm)
    for (f, r), n in counts.stack().dropna().items():
        dark = norm(medians.loc[f, r]) > 0.45
        ax.text(r, f - 0.18, f"{int(n):,}", ha="center", va="center", color="w" if dark else "k")
    for name, own in scores.groupby("cell", observed=True)[["r_score", "f_score"]]:
        (left, bottom), (right, top) = own.min() - 0.5, own.max() + 0.5
        frame = Rectangle((left, bottom), right - left, top - bottom, fill=False, ec="w", lw=3)
        ax.add_patch(frame)
        dark = norm(medians.loc[int(top - 0.5), int(left + 0.5) : int(right - 0.5)].mean()) > 0.45
        colour = "w" if dark else "k"
        x = (left + right) / 2
        ax.text(x, top - 0.12, name, ha="center", va="top", color=colour, fontsize="small")
    ax.set_xticks(every)
    ax.set_yticks(every)
    ax.set_xlabel("recency score (right: most recent)")
    ax.set_ylabel("frequency score (top: most orders)")
    bar = ax.figure.colorbar(mesh, ax=ax, label="median monetary value", format="{x:,.0f}")
    if logarithmic:
        bar.set_ticks(LogLocator(subs=(1, 2, 5)))
        bar.minorticks_off()
    sns.despine(ax=ax, left=True, bottom=True)
    return ax
