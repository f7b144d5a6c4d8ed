"""Pictures of solutions over the number of segments, and of single solutions."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from custseg.evaluation import (
        Clustergram,
        Consensus,
        Gorge,
        NullReferences,
        OverK,
        StabilityAcross,
    )


def stability_across(across: "StabilityAcross", *, ax: "Axes | None" = None) -> "Axes":
    """Draw where the customers of every segment come from, solution by solution.

    Every circle is a segment, its area its size, its colour its stability across solutions; lines
    are customers who went from one to the other, as thick as they are many.

    Parameters
    ----------
    across
        What `custseg.evaluation.stability_across` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table, flows = across.to_frame(), across.flows
    solutions = list(dict.fromkeys(table["labelling"]))
    height = _heights(table, flows, solutions)
    if ax is None:
        _, ax = plt.subplots(figsize=(1.3 * len(solutions) + 1.2, 4), layout="constrained")
    whole = table.groupby("labelling", sort=False)["n"].sum().max()
    for flow in flows.itertuples():
        to = solutions.index(flow.labelling)
        start, end = height[solutions[to - 1], flow.parent], height[flow.labelling, flow.segment]
        width = 14 * flow.n / whole
        ax.plot([to - 1, to], [start, end], color="0.6", linewidth=width, alpha=0.6, zorder=1)
    places = [solutions.index(name) for name in table["labelling"]]
    levels = [height[name, segment] for name, segment in zip(*_keys(table), strict=True)]
    points = ax.scatter(
        places,
        levels,
        s=60 + 900 * table["n"] / whole,
        c=table["slsa"].fillna(1.0),
        cmap="viridis",
        vmin=0,
        vmax=1,
        edgecolors="white",
        zorder=2,
    )
    for place, level, row in zip(places, levels, table.itertuples(), strict=True):
        colour = "white" if np.nan_to_num(row.slsa, nan=1.0) < 0.6 else "0.1"
        ax.annotate(
            str(row.segment), (place, level), ha="center", va="center", color=colour, fontsize=8
        )
    ax.figure.colorbar(points, ax=ax, label="stability across solutions", shrink=0.7)
    _name_solutions(ax, solutions)
    ax.set_yticks([])
    ax.margins(x=0.08, y=0.12)
    ax.spines[:].set_visible(False)
    return ax


def _name_solutions(ax: "Axes", solutions: list[object]) -> None:
    """Write the names of solutions below the axis, slanted where they are long."""
    names = [str(name) for name in solutions]
    ax.set_xticks(range(len(names)), names)
    if max(map(len, names)) > 8:
        plt.setp(ax.get_xticklabels(), rotation=20, ha="right", rotation_mode="anchor")


def _keys(table: "pd.DataFrame") -> "tuple[list[object], list[object]]":
    return table["labelling"].tolist(), table["segment"].tolist()


def _heights(
    table: "pd.DataFrame", flows: "pd.DataFrame", solutions: list[object]
) -> dict[tuple[object, object], float]:
    """Return a height for every segment: near those it comes from, evenly spaced."""
    height: dict[tuple[object, object], float] = {}
    for place, solution in enumerate(solutions):
        segments = table.loc[table["labelling"] == solution, "segment"].tolist()
        wanted = dict(zip(segments, range(len(segments)), strict=True))
        if place:
            own = flows[flows["labelling"] == solution]
            before = [height[solutions[place - 1], parent] for parent in own["parent"]]
            pulled = (own["share"] * before).groupby(own["segment"], observed=True).sum()
            wanted = {segment: -pulled.get(segment, 0.0) for segment in segments}
        ordered = sorted(segments, key=lambda segment: (wanted[segment], str(segment)))
        for position, segment in enumerate(ordered):
            height[solution, segment] = -(position + 0.5) / len(ordered)
    return height


def over_k(over_k: "OverK", *, ax: "Axes | None" = None) -> "Axes":
    """Draw a statistic over the number of segments; a ring marks the number that was chosen.

    Bars are one standard error of the gap, one standard deviation of the others.

    Parameters
    ----------
    over_k
        What `gap_statistic`, `prediction_strength` or `instability` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table = over_k.to_frame()
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    spread = "standard_error" if "standard_error" in table else "standard_deviation"
    values = table[over_k.statistic]
    ax.errorbar(
        table["k"],
        values,
        yerr=table[spread],
        fmt="o-",
        markersize=4,
        color=sns.color_palette("colorblind")[0],
        ecolor="0.6",
    )
    chosen = table["k"] == over_k.best_k
    ax.plot(table["k"][chosen], values[chosen], "o", markersize=11, fillstyle="none", color="0.2")
    if over_k.asked is not None:
        ax.axhline(over_k.asked, color="0.35", linestyle="--", linewidth=0.9, zorder=0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="number of segments", ylabel=over_k.statistic)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def clustergram(clustergram: "Clustergram", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the means of segments over labelings, joined by the customers they share.

    Parameters
    ----------
    clustergram
        What `custseg.evaluation.clustergram` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    table = clustergram.to_frame()
    solutions = list(dict.fromkeys(table["labelling"]))
    if ax is None:
        _, ax = plt.subplots(figsize=(1.1 * len(solutions) + 1.5, 4), layout="constrained")
    mean = table.set_index(["labelling", "segment"])["mean"]
    whole = table.groupby("labelling", sort=False)["n"].sum().max()
    colour = sns.color_palette("colorblind")[0]
    for flow in clustergram.flows.itertuples():
        place = solutions.index(flow.labelling)
        ends = [mean[solutions[place - 1], flow.parent], mean[flow.labelling, flow.segment]]
        width = 12 * flow.n / whole
        ax.plot([place - 1, place], ends, color=colour, linewidth=width, alpha=0.45, zorder=1)
    places = [solutions.index(name) for name in table["labelling"]]
    size = 20 + 400 * table["n"] / whole
    ax.scatter(places, table["mean"], s=size, color="#c44e52", edgecolors="white", zorder=2)
    _name_solutions(ax, solutions)
    ax.set_ylabel("mean on the first principal component")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def gorge(gorge: "Gorge", *, ax: "Axes | None" = None) -> "Axes":
    """Draw for every segment how alike to it all customers are: a histogram each.

    Parameters
    ----------
    gorge
        What `custseg.evaluation.gorge` returned.
    ax
        Draw the first segment only, on these axes; ``None`` draws a panel per segment.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the first panel.
    """
    segments = list(gorge.similarity.columns)
    if ax is not None:
        panels, segments = [ax], segments[:1]
    else:
        columns = min(len(segments), 4)
        rows = -(-len(segments) // columns)
        _, grid = plt.subplots(
            *(rows, columns),
            figsize=(2.2 * columns + 0.5, 1.9 * rows + 0.3),
            layout="constrained",
            squeeze=False,
            sharex=True,
            sharey=True,
        )
        panels = list(grid.flat)
        for spare in panels[len(segments) :]:
            spare.remove()
    edges = np.linspace(0, 1, 21).tolist()
    for segment, panel in zip(segments, panels, strict=False):
        panel.hist(gorge.similarity[segment], bins=edges, color=sns.color_palette("colorblind")[0])
        panel.set_title(str(segment), fontsize="medium")
        panel.set_xlabel("similarity", fontsize="small")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("customers")
    return panels[0]


def consensus(consensus: "Consensus", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the consensus matrix, customers in the order of their segments.

    Parameters
    ----------
    consensus
        What `custseg.evaluation.consensus_matrix` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    own = consensus.segments.cat.codes.to_numpy()
    square = consensus.matrix.to_numpy()
    alike = np.array([row[own == code].mean() for row, code in zip(square, own, strict=True)])
    order = np.lexsort((-alike, own))
    if ax is None:
        _, ax = plt.subplots(figsize=(4.8, 4.2), layout="constrained")
    picture = ax.imshow(square[np.ix_(order, order)], cmap="Blues", vmin=0, vmax=1)
    ax.figure.colorbar(picture, ax=ax, shrink=0.8, label="together, of resamples with both")
    ends = np.cumsum(np.bincount(own[own >= 0]))
    starts = np.concatenate([[0], ends[:-1]]) + (own < 0).sum()
    names = [str(name) for name in consensus.by_segment["segment"]]
    middles = starts + np.bincount(own[own >= 0]) / 2
    ax.set_xticks(middles, names)
    ax.set_yticks(middles, names)
    ax.grid(visible=False)
    return ax


def null_references(references: "NullReferences", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the z-scores of the silhouette and the explained share against every null.

    Parameters
    ----------
    references
        What `custseg.evaluation.null_references` returned.
    ax
        Draw the silhouette only, on these axes; ``None`` draws both.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the first panel.
    """
    shown = ["silhouette", "explained"]
    if ax is not None:
        panels, shown = [ax], shown[:1]
    else:
        _, grid = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharex=True)
        panels = list(grid)
    table = references.to_frame()
    nulls = list(dict.fromkeys(table["null"]))
    for index, panel in zip(shown, panels, strict=True):
        for null, colour in zip(nulls, sns.color_palette("colorblind"), strict=False):
            own = table[(table["null"] == null) & (table["index"] == index)]
            panel.plot(own["k"], own["z"], "o-", color=colour, markersize=4, label=null)
        for value in (0, 2):
            style = "-" if value == 0 else "--"
            panel.axhline(value, color="0.35", linestyle=style, linewidth=0.9, zorder=0.5)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set(title=index, xlabel="number of segments", ylabel="standard deviations above")
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].legend(frameon=False, fontsize="small", title="null")
    return panels[0]
