"""Pictures of fits on more customers than memory likes."""

from typing import TYPE_CHECKING

import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator, PercentFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.clustering.large import BatchFit, SampleFit


def passes(fit: "BatchFit", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the loss over the passes.

    Parameters
    ----------
    fit
        What `custseg.clustering.fit_in_batches` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table = fit.to_frame()
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    ax.plot(table["step"], table["loss"], "o-", color=sns.color_palette("colorblind")[0])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set(xlabel="pass", ylabel="mean squared distance\nfrom the nearest centre")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def samples(fit: "SampleFit", *, ax: "Axes | None" = None) -> "Axes":
    """Draw each sample by what it loses and how it agrees with the others.

    A point is a sample: to the right, how much more its segments lose on all customers than those
    of the best sample; upwards, the mean adjusted Rand index with the other samples, the bar from
    the least to the largest. The full point was kept.

    Parameters
    ----------
    fit
        What `custseg.clustering.fit_on_sample` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table, pairs = fit.to_frame(), fit.pair_ari
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
    colour = sns.color_palette("colorblind")[0]
    for row in table.itertuples():
        own = pairs["ari"][(pairs[["sample", "other"]] == row.sample).any(axis=1)]
        ax.vlines(row.above_best, own.min(), own.max(), color=colour, alpha=0.4, linewidth=2)
        face = colour if row.kept else "white"
        ax.plot(row.above_best, row.ari, "o", color=colour, markerfacecolor=face, markersize=8)
        ax.annotate(str(row.sample), (row.above_best, row.ari), (7, 4), textcoords="offset points")
    ax.axhline(0.8, color="0.35", linestyle="--", linewidth=0.9)
    ax.set_ylim(min(0.7, pairs["ari"].min() - 0.05), 1.02)
    span = max(float(table["above_best"].max()), 0.001)
    ax.set_xlim(-0.08 * span, 1.15 * span)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set(
        xlabel="loss on all customers, more than the best sample",
        ylabel="adjusted Rand index\nwith the other samples",
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax
