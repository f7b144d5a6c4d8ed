"""Pictures of how segments differ: profile panels, snake, heat map, radar, and a plane."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.patches import Ellipse

from custseg.errors import ParameterError, check_option
from custseg.plots.labels import column_width, fold, title_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.projections.polar import PolarAxes

    from custseg.profiling import Markers, Separation

DRAWN = 2_000
"""So many customers are drawn in a plane; the numbers beside it are those of all."""

DEVIATIONS = "standard deviations from the average customer"


def markers(markers: "Markers", *, kind: str = "panels", ax: "Axes | None" = None) -> "Axes":
    """Draw how segments differ from the average customer.

    Parameters
    ----------
    markers
        What `custseg.profiling.markers` returned.
    kind
        ``"panels"``: a column of bars per segment, markers in colour, all customers as a line with
        a dot; shares as they are, other variables in standard deviations. ``"snake"``: a line per
        segment. ``"heat"``: variables x segments. ``"radar"``: only where it is asked for, because
        areas and the order of the spokes mislead.
    ax
        The axes to draw on (polar ones for a radar); a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    kinds: dict[str, Callable[[Markers, Axes | None], Axes]]
    kinds = {"panels": _panels, "snake": _snake, "heat": _heat, "radar": _radar}
    check_option(kind, "kind", kinds)
    return kinds[kind](markers, ax)


def _panels(found: "Markers", ax: "Axes | None") -> "Axes":
    column = "value" if found.shares else "std_diff"
    wide, marked = found.wide(column), found.wide("marker").astype(bool)
    overall = found.wide("overall").iloc[:, 0] if found.shares else 0 * wide.iloc[:, 0]
    low = 0.0 if found.shares else float(np.nanmin(wide.to_numpy(), initial=-0.5))
    high = float(np.nanmax(wide.to_numpy(), initial=0.5))
    gap = 1.15 * (high - low)
    rows = np.arange(len(wide))
    if ax is None:
        width = 2.2 + max(4.8, column_width(wide.columns, 1.2) * wide.shape[1])
        size = (width, max(2.2, 1.3 + 0.3 * len(rows)))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    colour = sns.color_palette("colorblind")[0]
    for place, segment in enumerate(wide.columns):
        zero = gap * place
        colours = [colour if mark else "0.8" for mark in marked[segment]]
        ax.barh(rows, wide[segment], left=zero, height=0.7, color=colours)
        if found.shares:
            ax.hlines(rows, zero, zero + overall, color="0.25", linewidth=0.9)
            ax.plot(zero + overall, rows, "o", color="0.25", markersize=3)
        ax.axvline(zero, color="0.25", linewidth=0.8)
    steps = [0.0, 0.5, 1.0] if found.shares else _steps(low, high)
    steps = [step for step in steps if low <= step <= high]
    places = [gap * place + step for place in range(wide.shape[1]) for step in steps]
    shown = [f"{step:.0%}" if found.shares else f"{step:g}" for step in steps]
    ax.set_xticks(places, shown * wide.shape[1], fontsize="small")
    ax.set_yticks(rows, list(wide.index))
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(low - 0.05 * gap, gap * (wide.shape[1] - 1) + high + 0.05 * gap)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel(
        "share of customers (line with dot: all)\n(coloured: markers)"
        if found.shares
        else f"{DEVIATIONS}\n(coloured: markers)"
    )
    sns.despine(ax=ax, left=True)
    middles = gap * np.arange(wide.shape[1]) + (low + high) / 2
    title_columns(ax, found.sizes.loc[wide.columns, "share"], middles, gap)
    return ax


def _steps(low: float, high: float) -> list[float]:
    half = 0.5 if max(-low, high) < 1 else float(np.floor(max(-low, high)))
    return [-half, 0.0, half]


def _snake(found: "Markers", ax: "Axes | None") -> "Axes":
    wide = found.wide()
    if ax is None:
        size = (6.4, max(2.4, 1.2 + 0.35 * len(wide)))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    rows = np.arange(len(wide))
    colours = sns.color_palette("colorblind", wide.shape[1])
    shapes = "osD^vP*X<>"
    for place, (segment, colour) in enumerate(zip(wide.columns, colours, strict=True)):
        shape = shapes[place % len(shapes)]
        ax.plot(wide[segment], rows, f"{shape}-", color=colour, markersize=5, label=str(segment))
    ax.axvline(0, color="0.25", linewidth=0.8)
    ax.set_yticks(rows, list(wide.index))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(DEVIATIONS)
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _heat(found: "Markers", ax: "Axes | None") -> "Axes":
    wide, marked = found.wide(), found.wide("marker").astype(bool)
    if ax is None:
        width = 2.6 + column_width(wide.columns, 0.9) * wide.shape[1]
        size = (width, max(3.4, 1 + 0.35 * len(wide)))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    edge = max(float(np.nanmax(np.abs(wide.to_numpy()), initial=0.5)), 0.5)
    words = wide.round(1).map(lambda x: f"{x + 0.0:+.1f}") + marked.map({True: " *", False: ""}.get)
    sns.heatmap(
        wide,
        ax=ax,
        cmap="vlag",
        vmin=-edge,
        vmax=edge,
        annot=words,
        fmt="",
        linewidths=0.5,
        annot_kws={"fontsize": "small"},
        cbar_kws={"label": DEVIATIONS},
    )
    ax.set(xlabel="", ylabel="", xticks=[])
    ax.tick_params(length=0)
    ax.set_yticklabels(ax.get_yticklabels(), rotation=0)
    ax.set_xticks(np.arange(wide.shape[1]) + 0.5, fold(ax, wide.columns, 1), rotation=0)
    return ax


def _radar(found: "Markers", ax: "Axes | None") -> "Axes":
    wide = found.wide()
    if len(wide) < 3:
        raise ParameterError(f"a radar needs at least 3 variables, and there are {len(wide)}.")
    if ax is None:
        _, ax = plt.subplots(
            figsize=(5.6, 5.0), layout="constrained", subplot_kw={"projection": "polar"}
        )
    if ax.name != "polar":
        raise ParameterError("a radar needs polar axes: plt.subplots(subplot_kw={'polar': True}).")
    polar = cast("PolarAxes", ax)
    angles = np.linspace(0, 2 * np.pi, len(wide), endpoint=False)
    around = np.append(angles, angles[0])
    colours = sns.color_palette("colorblind", wide.shape[1])
    for segment, colour in zip(wide.columns, colours, strict=True):
        values = wide[segment].to_numpy()
        polar.plot(around, np.append(values, values[0]), "o-", color=colour, markersize=3,
                   linewidth=1.2, label=str(segment))  # fmt: skip
    polar.plot(around, 0 * around, color="0.25", linewidth=0.8)
    polar.set_xticks(angles, list(wide.index), fontsize="small")
    polar.set_rlabel_position(180 / len(wide))
    polar.tick_params(axis="y", labelsize="x-small", labelcolor="0.4")
    polar.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.05, 1.1))
    polar.set_title("standard deviations from the average (thin ring)", fontsize="small")
    return polar


def separation(separation: "Separation", *, ax: "Axes | None" = None) -> "Axes":
    """Draw customers in the plane, segments with the ellipse of their middle half, and variables.

    Arrows are the correlations of up to eight variables with the axes, the longest first; at most
    2,000 customers are drawn.

    Parameters
    ----------
    separation
        What `custseg.profiling.separation` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6.6, 5.2), layout="constrained")
    points = separation.points
    drawn = np.random.default_rng(0).permutation(len(points))[:DRAWN]
    colours = sns.color_palette("colorblind", len(separation.table))
    for (segment, row), colour in zip(separation.table.iterrows(), colours, strict=True):
        own = points["segment"] == segment
        shown = points.iloc[drawn][own.iloc[drawn].to_numpy()]
        ax.scatter(shown["axis_1"], shown["axis_2"], s=6, color=colour, alpha=0.35, linewidths=0)
        ax.add_patch(_ellipse(points[own], colour))
        ax.annotate(
            f"{segment}",
            (row["axis_1"], row["axis_2"]),
            ha="center",
            va="center",
            fontweight="bold",
            bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": colour, "alpha": 0.85},
        )
    _arrows(ax, separation.loadings, points)
    for axis, name in (("x", "axis_1"), ("y", "axis_2")):
        row = separation.axes.loc[name]
        what = "component" if separation.method == "pca" else "discriminant"
        label = f"{what} {name[-1]} ({row['explained']:.0%}; {row['between']:.0%} between segments)"
        ax.set(**{f"{axis}label": label})
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _ellipse(points: "pd.DataFrame", colour: object) -> Ellipse:
    """Return the ellipse that half of a normal cloud with these moments lies in."""
    table = points[["axis_1", "axis_2"]].to_numpy()
    values, vectors = np.linalg.eigh(np.cov(table.T) if len(table) > 2 else np.zeros((2, 2)))
    widths = 2 * np.sqrt(np.maximum(values, 0) * 2 * np.log(2))
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    middle = table.mean(axis=0)
    return Ellipse(
        (middle[0], middle[1]), widths[1], widths[0], angle=angle, fc="none", ec=colour, lw=1.6
    )


def _arrows(ax: "Axes", loadings: "pd.DataFrame", points: "pd.DataFrame") -> None:
    room = points[["axis_1", "axis_2"]].abs().max() / loadings.abs().max().clip(lower=1e-12)
    reach = 0.85 * float(room.min())
    length = np.hypot(loadings["axis_1"], loadings["axis_2"])
    for name in length.sort_values(ascending=False, kind="stable").index[:8]:
        x, y = loadings.loc[name, ["axis_1", "axis_2"]] * reach
        style = {"arrowstyle": "->", "color": "0.2", "lw": 1}
        ax.annotate("", (x, y), (0, 0), arrowprops=style)
        side = "left" if x >= 0 else "right"
        ax.annotate(str(name), (x, y), fontsize="small", color="0.2", ha=side, va="center")
