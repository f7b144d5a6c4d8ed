"""Pictures of who the segments are."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from custseg.plots.labels import column_width, title_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.profiling import Profile


def profile_bars(profile: "Profile", *, ax: "Axes | None" = None) -> "Axes":
    """Draw a column of bars per segment: how far it lies from the average on every variable.

    All columns share one scale, the number of standard deviations of all customers; the upright
    line of each is the average customer. Whiskers are the intervals of the profile, cut at the
    edge of their column.

    Parameters
    ----------
    profile
        What `custseg.profiling.profile` returned.
    ax
        The axes to draw on; a new figure, sized to the table, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        One axes with a column per segment.
    """
    overall, sizes = profile.overall, profile.sizes
    table = profile.to_frame()
    shape = (len(sizes), len(overall))
    sd = np.tile(overall["sd"].where(overall["sd"] > 0), len(sizes))
    bars, low, high = (
        ((table[name] - table["overall"]) / sd).to_numpy().reshape(shape)
        for name in ("value", "ci_low", "ci_high")
    )
    edge = max(np.nanmax(np.abs(bars), initial=0.0), 0.5)
    half = 1.15 * edge
    made = (overall["role"] == "segmentation").to_numpy()
    rows = np.arange(len(overall)) + np.where(made | ~made.any(), 0, 0.6)
    if ax is None:
        width = 2.2 + max(4.8, column_width(sizes.index, 1.15) * len(sizes))
        _, ax = plt.subplots(figsize=(width, max(2.2, 1.3 + 0.3 * rows[-1])), layout="constrained")
    above, below = sns.color_palette("colorblind")[:2]
    for column in range(len(sizes)):
        zero = 2 * half * column
        bar, reach = bars[column], np.clip([low[column], high[column]], -0.97 * half, 0.97 * half)
        ax.barh(rows, bar, left=zero, height=0.7, color=[above if x > 0 else below for x in bar])
        ax.hlines(rows, zero + reach[0], zero + reach[1], color="0.25", linewidth=1)
        ax.axvline(zero, color="0.25", linewidth=0.8)
        if column:
            ax.axvline(zero - half, color="0.85", linewidth=0.8)
    _label(ax, profile, rows, edge, half)
    return ax


def _label(ax: "Axes", profile: "Profile", rows: np.ndarray, edge: float, half: float) -> None:
    overall, columns = profile.overall, len(profile.sizes)
    ticks = MaxNLocator(nbins=2, symmetric=True, steps=[1, 2, 5, 10]).tick_values(-edge, edge)
    steps = [step for step in ticks if abs(step) <= edge]
    places = [2 * half * column + step for column in range(columns) for step in steps]
    ax.set_xticks(places, [f"{step:g}" for step in steps] * columns, fontsize="small")
    ax.set_yticks(
        rows, [f"{name}: {level}" if level else str(name) for name, level in overall.index]
    )
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(-half, (2 * columns - 1) * half)
    ax.set_ylim(rows[-1] + 0.6, -0.6)
    ax.set_xlabel("difference from the average customer, in standard deviations")
    sns.despine(ax=ax, left=True)
    title_columns(ax, profile.sizes["share"], 2 * half * np.arange(columns), 2 * half)
    made = int((overall["role"] == "segmentation").sum())
    if 0 < made < len(overall):
        ax.axhline((rows[made - 1] + rows[made]) / 2, color="0.5", linewidth=0.8, linestyle=":")
        parts = {"segmentation": rows[:made], "descriptors": rows[made:]}
        for part, own in parts.items():
            ax.text(
                1.01,
                own.mean(),
                part,
                transform=ax.get_yaxis_transform(),
                rotation=270,
                va="center",
                fontsize="small",
                color="0.35",
            )
