"""Pictures of campaigns without random assignment."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from custseg._labels import ALL
from custseg.errors import check_option
from custseg.plots.labels import plain

if TYPE_CHECKING:
    from custseg.campaigns import DifferenceInDifferences, ObservedEffects


def event_study(
    found: "DifferenceInDifferences", *, segment: str = ALL, ax: Axes | None = None
) -> Axes:
    """Draw the difference between treated and untreated customers around the start of treatment.

    Parameters
    ----------
    found
        What `difference_in_differences` returned.
    segment
        Whose effects.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on. Before treatment, intervals should hold 0.
    """
    study = found.event_study
    check_option(segment, "segment", list(dict.fromkeys(study["segment"])))
    rows = study[study["segment"] == segment]
    if ax is None:
        ax = plt.figure(figsize=(7, 4), layout="constrained").subplots()
    before, after = sns.color_palette("colorblind")[7], sns.color_palette("colorblind")[0]
    for part, color, label in (
        (rows[rows["event_time"] < 0], before, "before treatment"),
        (rows[rows["event_time"] >= 0], after, "since treatment"),
    ):
        ax.vlines(part["event_time"], part["ci_low"], part["ci_high"], color=color, linewidth=1.6)
        ax.plot(part["event_time"], part["effect"], "o", color=color, label=label)
    ax.axhline(0, color="0.35", linewidth=1, zorder=0)
    ax.axvline(-0.5, color="0.6", linestyle="--", linewidth=1, zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("periods since treatment began (-1: the reference)")
    ax.set_ylabel("difference of changes")
    name = "observational" if segment == ALL else f"{segment}, observational"
    ax.set_title(plain(name), loc="left")
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    sns.despine(ax=ax)
    return ax


def overlap(found: "ObservedEffects", *, ax: Axes | None = None) -> Axes:
    """Draw how likely treatment was for those who got it and those who did not.

    Parameters
    ----------
    found
        What `observational_effect` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on. Treated customers above the line, untreated below; where one
        side has nobody, nobody can be compared.
    """
    if ax is None:
        ax = plt.figure(figsize=(7, 4), layout="constrained").subplots()
    edges = np.linspace(0, 1, 41)
    customers = found.propensity
    for treated, sign, color in (
        (True, 1, sns.color_palette("colorblind")[0]),
        (False, -1, sns.color_palette("colorblind")[1]),
    ):
        rows = customers[customers["treated"] == treated]
        counts, _ = np.histogram(rows["propensity"], edges)
        label = f"{'treated' if treated else 'untreated'} ({len(rows):,})"
        ax.bar(
            edges[:-1],
            sign * counts,
            np.diff(edges),
            align="edge",
            color=color,
            label=plain(label),
        )
    low, high = found.trim
    for bound in (low, high):
        ax.axvline(bound, color="0.2", linestyle="--", linewidth=1)
    ax.axhline(0, color="0.2", linewidth=0.8)
    top = max(abs(number) for number in ax.get_ylim())
    ax.set_ylim(-top, top)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    ax.set_xlabel("propensity: chance of treatment, given the covariates (dashed: trimmed beyond)")
    ax.set_ylabel("customers")
    ax.set_title("overlap, observational", loc="left")
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    sns.despine(ax=ax)
    return ax
