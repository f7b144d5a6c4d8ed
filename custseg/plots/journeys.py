"""Pictures of journeys and of exposure."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from custseg._labels import ALL
from custseg.errors import ParameterError
from custseg.plots.labels import plain

if TYPE_CHECKING:
    from custseg.features.exposure import Exposure
    from custseg.features.journey_map import JourneyMap
    from custseg.features.roles import RoleGuess

_MOST_PANELS = 9


def journey_map(
    journeys: "JourneyMap", *, segment: str | None = None, ax: Axes | None = None
) -> Any:
    """Draw the probability of each next state, with the number of moves below it.

    Framed cells are pain points: customers leave there, or turn to trouble, more often than
    elsewhere.

    Parameters
    ----------
    journeys
        What `journey_map` returned.
    segment
        The segment to draw, or ``"(all)"``; ``None`` draws a panel for each where there are
        segments.
    ax
        The axes to draw one segment on (everybody when `segment` is ``None``); a new figure when
        ``None``.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray of them
        One axes, or an array of one per segment.
    """
    names = list(journeys.transitions["segment"].unique())
    if segment is None and (ax is not None or len(names) == 1):
        segment = ALL
    size = len(journeys.states) + 1
    top = max(float(np.nanmax(journeys.matrix(name).to_numpy())) for name in names)
    if segment is not None:
        if ax is None:
            shape = (2.2 + 0.85 * size, 1.2 + 0.55 * size)
            ax = plt.figure(figsize=shape, layout="constrained").subplots()
        _moves(ax, journeys, segment, top=top, counts=True)
        return ax
    if len(names) > _MOST_PANELS:
        raise ParameterError(
            f"{len(names)} panels are too many to read: choose segment= among {names}."
        )
    columns = min(len(names), 3)
    lines = -(-len(names) // columns)
    shape = (1.6 + (0.6 + 0.44 * size) * columns, 1.0 + (0.6 + 0.34 * size) * lines)
    figure = plt.figure(figsize=shape, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for place, (panel, name) in enumerate(zip(axes, names, strict=False)):
        _moves(panel, journeys, name, top=top, counts=False)
        panel.set_title(plain(name), fontsize="medium")
        panel.set(xlabel="", ylabel="")
        lowest = place + columns >= len(names)
        panel.tick_params(labelleft=place % columns == 0, labelbottom=lowest)
    for panel in axes[len(names) :]:
        panel.set_axis_off()
    figure.supxlabel("next contact", fontsize="medium")
    figure.supylabel("contact", fontsize="medium")
    return axes[: len(names)]


def _moves(ax: Axes, journeys: "JourneyMap", segment: str, *, top: float, counts: bool) -> None:
    share, n = (journeys.matrix(segment, values) for values in ("probability", "n"))
    words = share.map(_percent)
    if counts:
        words = words.where(words == "", words + n.map(lambda x: f"\n{x:,}"))
    _heat(ax, share, words, top=top, small=not counts)
    pains = journeys.pain_points
    pains = pains[pains["flagged"] & (pains["segment"] == segment)]
    _frame(ax, share, zip(pains["from"], pains["to"], strict=True))
    ax.set(xlabel="next contact", ylabel="contact")


def exposure(exposure: "Exposure", *, ax: Axes | None = None) -> Axes:
    """Draw the share of each segment that is reached, with contacts per customer below it.

    Framed cells are gaps in coverage: reached clearly less than all other customers.

    Parameters
    ----------
    exposure
        What `exposure` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    reach, of = exposure.reach, exposure.of
    order = reach[of].unique()
    share, contacts = (
        reach.pivot(index="segment", columns=of, values=values)[order]
        for values in ("share", "contacts")
    )
    if ax is None:
        shape = (2.4 + 0.85 * share.shape[1], 1.3 + 0.5 * len(share))
        ax = plt.figure(figsize=shape, layout="constrained").subplots()
    words = share.map(_percent) + contacts.map(lambda x: f"\n{x:.1f}")
    _heat(ax, share, words, top=1.0, small=False)
    gaps = reach[reach["coverage"] == "gap"]
    _frame(ax, share, zip(gaps["segment"], gaps[of], strict=True))
    ax.set(xlabel=f"{plain(of)}: share of customers reached, contacts per customer", ylabel="")
    return ax


def role_guess(guess: "RoleGuess", *, ax: Axes | None = None) -> Axes:
    """Draw how sure each role is; the line is the confidence from which a guess counts.

    Parameters
    ----------
    guess
        What `guess_roles` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    rows = guess.guesses
    if ax is None:
        height = max(2.0, 1.0 + 0.32 * len(rows))
        ax = plt.figure(figsize=(7, height), layout="constrained").subplots()
    sure, unsure = sns.color_palette("colorblind")[0], "0.75"
    place = np.arange(len(rows))
    counts = (rows["confidence"] >= 0.5).to_numpy()
    ax.barh(place, rows["confidence"], color=[sure if yes else unsure for yes in counts])
    names = [
        f"{role}: {plain(name)}" for role, name in zip(rows["role"], rows["column"], strict=True)
    ]
    ax.set_yticks(place, names)
    ax.axvline(0.5, color="0.35", linewidth=1)
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), xlabel="confidence")
    ax.tick_params(axis="y", length=0)
    sns.despine(ax=ax, left=True)
    return ax


def _percent(share: float) -> str:
    if not share > 0:
        return ""
    return "<1%" if share < 0.005 else f"{share:.0%}"


def _heat(ax: Axes, table: pd.DataFrame, words: pd.DataFrame, *, top: float, small: bool) -> None:
    """Draw a table as colours from 0 to `top`, with words in the cells."""
    shown = table.fillna(0).to_numpy()
    ax.imshow(shown, cmap="Blues", vmin=0, vmax=1.15 * top, aspect="auto")
    for row, column in np.ndindex(shown.shape):
        dark = shown[row, column] > 0.6 * top
        ax.text(
            column,
            row,
            words.iat[row, column],
            ha="center",
            va="center",
            color="white" if dark else "0.15",
            fontsize=7 if small else 8.5,
            linespacing=0.95,
        )
    ax.set_xticks(range(len(table.columns)), [plain(name) for name in table.columns])
    ax.set_yticks(range(len(table)), [plain(name) for name in table.index])
    ax.tick_params(length=0, labelsize="small")
    plt.setp(ax.get_xticklabels(), rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xticks(np.arange(0.5, len(table.columns) - 1), minor=True)
    ax.set_yticks(np.arange(0.5, len(table) - 1), minor=True)
    ax.grid(visible=False, which="major")
    ax.grid(which="minor", color="white", linewidth=1)
    ax.tick_params(which="minor", length=0)
    sns.despine(ax=ax, left=True, bottom=True)


def _frame(ax: Axes, table: pd.DataFrame, cells: Any) -> None:
    color = sns.color_palette("colorblind")[3]
    for row, column in cells:
        place = table.columns.get_loc(column) - 0.46, table.index.get_loc(row) - 0.46
        ax.add_patch(Rectangle(place, 0.92, 0.92, fill=False, edgecolor=color, linewidth=2))
