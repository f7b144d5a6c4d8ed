"""Pictures of what speaks for a segmentation."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator, PercentFormatter

from custseg.errors import check_option

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from custseg.evaluation import (
        Evidence,
        Indices,
        Silhouettes,
        Stability,
    )


def evidence(evidence: "Evidence", *, ax: "Axes | None" = None) -> "Axes":
    """Draw every candidate: four panels over the number of segments.

    Agreement of pairs of resamples (median and quartiles), recovery of segments (mean and
    weakest), silhouette against the null tables (band: 5th to 95th percentile), and the share of
    customers in the smallest segment. Rings are candidates with gaps at every border, crosses
    those with a reason against them. Dashed lines are what is asked for, the upright band the
    recommended number of segments.

    Parameters
    ----------
    evidence
        What `custseg.evaluation.compare_segmentations` returned.
    ax
        Draw only the first panel, on these axes; ``None`` draws all four on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the first panel.
    """
    panels: list[Callable[[Evidence, Axes], None]]
    panels = [_agreement, _recovery, _silhouette, _smallest]
    if ax is not None:
        axes = [ax]
    else:
        _, grid = plt.subplots(2, 2, figsize=(8, 5.6), layout="constrained", sharex=True)
        axes = list(grid.flat)
    for panel, place in zip(panels, axes, strict=False):
        panel(evidence, place)
        place.xaxis.set_major_locator(MaxNLocator(integer=True))
        if evidence.verdict.k is not None:
            band = (evidence.verdict.k - 0.3, evidence.verdict.k + 0.3)
            place.axvspan(*band, color="0.92", zorder=0, linewidth=0)
        place.spines[["top", "right"]].set_visible(False)
    for place in axes[-2:]:
        place.set_xlabel("number of segments")
    return axes[0]


def _by_algorithm(table: "pd.DataFrame") -> "Iterator[tuple[str, pd.DataFrame, object, float]]":
    groups = list(table.groupby("algorithm", sort=False))
    colours = sns.color_palette("colorblind", max(len(groups), 1))
    for place, ((name, rows), colour) in enumerate(zip(groups, colours, strict=False)):
        yield str(name), rows, colour, 0.12 * (place - (len(groups) - 1) / 2)


def _agreement(evidence: "Evidence", ax: "Axes") -> None:
    many = evidence.candidates["algorithm"].nunique() > 1
    marked = False
    for name, rows, colour, shift in _by_algorithm(evidence.candidates):
        pairs = evidence.pair_ari
        own = pairs[pairs["algorithm"] == name].groupby("k")["ari"] if len(pairs) else None
        if own is not None:
            low, high = own.quantile(0.25), own.quantile(0.75)
            ax.vlines(low.index + shift, low, high, color=colour, linewidth=2, alpha=0.5)
        ax.plot(rows["k"] + shift, rows["ari"], "o-", color=colour, markersize=4, label=name)
        gaps = rows[rows["natural"].astype(bool)]
        ax.plot(
            *(gaps["k"] + shift, gaps["ari"], "o"),
            markersize=11,
            fillstyle="none",
            color="0.15",
            label="gaps at every border" if len(gaps) else None,
        )
        marked = marked or len(gaps) > 0
        against = rows[rows["reason"] != ""]
        ax.plot(against["k"] + shift, against["ari"], "x", color="0.15", markersize=8)
    _asked(ax, 0.8)
    ax.set_ylabel("adjusted Rand index\nof two resamples")
    ax.set_ylim(min(0.0, ax.get_ylim()[0]), 1.05)
    if many or marked:
        handles, labels = ax.get_legend_handles_labels()
        shown = dict(zip(labels, handles, strict=True))
        kept = [label for label in shown if many or label.startswith("gaps")]
        ax.legend([shown[label] for label in kept], kept, frameon=False, fontsize="small")


def _recovery(evidence: "Evidence", ax: "Axes") -> None:
    for _, rows, colour, shift in _by_algorithm(evidence.candidates):
        ax.plot(rows["k"] + shift, rows["jaccard"], "o-", color=colour, markersize=4, label="mean")
        weakest = rows["jaccard_min"]
        ax.plot(rows["k"] + shift, weakest, "v:", color=colour, markersize=5, label="weakest")
    _asked(ax, 0.75)
    ax.set_ylabel("Jaccard similarity\nof segments")
    ax.set_ylim(0, 1.05)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[:2], labels[:2], frameon=False, fontsize="small", loc="lower left")


def _silhouette(evidence: "Evidence", ax: "Axes") -> None:
    draws = evidence.null_draws
    for name, rows, colour, shift in _by_algorithm(evidence.candidates):
        if len(draws):
            own = draws[draws["algorithm"] == name].groupby("k")["silhouette"]
            low, high = own.quantile(0.05), own.quantile(0.95)
            ax.fill_between(low.index, low, high, color=colour, alpha=0.25, label="null tables")
        ax.plot(rows["k"] + shift, rows["silhouette"], "o-", color=colour, markersize=4)
    ax.set_ylabel("mean silhouette")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[:1], labels[:1], frameon=False, fontsize="small")


def _smallest(evidence: "Evidence", ax: "Axes") -> None:
    for _, rows, colour, shift in _by_algorithm(evidence.candidates):
        ax.plot(rows["k"] + shift, rows["smallest_share"], "o-", color=colour, markersize=4)
    _asked(ax, evidence.min_share)
    ax.set_ylabel("customers in the\nsmallest segment")
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _asked(ax: "Axes", value: float) -> None:
    ax.axhline(value, color="0.35", linestyle="--", linewidth=0.9, zorder=0.5)


def stability(stability: "Stability", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the Jaccard similarity of every segment over the resamples, as boxes.

    Boxes hold the middle half, whiskers reach to the farthest resample within one and a half of
    their lengths, a diamond is the mean; lines are at dissolved (.5) and recovered (.75).

    Parameters
    ----------
    stability
        What `custseg.evaluation.stability` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table = stability.to_frame()
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 1.1 + 0.4 * len(table)), layout="constrained")
    labels = [f"{row.segment} (n = {row.n:,})" for row in table.itertuples()]
    groups = stability.replicates.dropna(subset="jaccard").groupby("segment", sort=False)
    ax.boxplot(
        [groups["jaccard"].get_group(segment) for segment in table["segment"]],
        orientation="horizontal",
        tick_labels=labels,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": sns.color_palette("colorblind")[0], "alpha": 0.6},
        medianprops={"color": "0.1"},
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": "0.4"},
    )
    ax.plot(table["jaccard"], range(1, len(table) + 1), "D", color="0.1", markersize=4)
    for value in (0.5, 0.75):
        ax.axvline(value, color="0.35", linestyle="--", linewidth=0.9)
    ax.set_xlim(0, 1.02)
    ax.invert_yaxis()
    ax.set_xlabel("Jaccard similarity on resampling (dissolved .5, recovered .75)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def silhouettes(
    silhouettes: "Silhouettes", *, labelling: str | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draw the silhouette width of every customer, sorted within segments.

    Parameters
    ----------
    silhouettes
        What `custseg.evaluation.silhouettes` returned.
    labelling
        The labelling to draw; ``None`` takes the one with the largest mean.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    if labelling is None:
        labelling = silhouettes.overall.idxmax()
    check_option(labelling, "labelling", list(silhouettes.overall.index))
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    widths = silhouettes.samples[labelling]
    labels = silhouettes.labelings[labelling]
    colours = sns.color_palette("colorblind", labels.nunique())
    start, gap = 0.0, 0.02 * len(widths)
    ticks = {}
    for (segment, members), colour in zip(widths.groupby(labels), colours, strict=True):
        rows = start + np.arange(len(members))
        ax.fill_betweenx(rows, 0, members.sort_values(ascending=False), color=colour, linewidth=0)
        ticks[str(segment)] = rows.mean()
        start += len(members) + gap
    ax.axvline(silhouettes.overall[labelling], color="0.35", linestyle="--", linewidth=0.9)
    ax.set_yticks(list(ticks.values()), list(ticks))
    ax.invert_yaxis()
    ax.set(xlabel="silhouette width (dashed: mean)", ylabel=str(labelling))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def indices(indices: "Indices", *, ax: "Axes | None" = None) -> "Axes":
    """Draw every index over the labelings; a ring marks the labelling that it prefers.

    Parameters
    ----------
    indices
        What `custseg.evaluation.indices` returned.
    ax
        Draw the silhouette only, on these axes; ``None`` draws a panel per index.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the first panel.
    """
    table = indices.to_frame().set_index("labelling")
    directions = indices.directions
    shown = [name for name in directions if table[name].notna().any()]
    if ax is not None:
        panels, shown = [ax], shown[:1]
    else:
        columns = min(len(shown), 4)
        size = (2.3 * columns + 0.6, 2.2 * -(-len(shown) // columns))
        _, grid = plt.subplots(
            -(-len(shown) // columns), columns, figsize=size, layout="constrained", squeeze=False
        )
        panels = list(grid.flat)
        for spare in panels[len(shown) :]:
            spare.remove()
    labels = [str(name) for name in table.index]
    for name, panel in zip(shown, panels, strict=False):
        values = table[name].to_numpy()
        best = table.index.get_loc(
            table[name].idxmax() if directions[name] else table[name].idxmin()
        )
        panel.plot(labels, values, "o-", color=sns.color_palette("colorblind")[0], markersize=4)
        panel.plot(
            [labels[best]], [values[best]], "o", markersize=10, fillstyle="none", color="0.2"
        )
        panel.set_title(name, fontsize="medium")
        panel.margins(x=0.12, y=0.18)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize="small")
    return panels[0]
