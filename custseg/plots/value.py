"""Pictures of customer lifetimes and what they are worth."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from custseg.errors import check_option
from custseg.plots.labels import plain

if TYPE_CHECKING:
    from custseg.value import Holdout, LifetimeValue, SegmentValue

_NAMES = {"D": "days", "W": "weeks", "M": "months"}
_BINS = 12


def holdout(result: "Holdout", *, what: str = "frequency", ax: Axes | None = None) -> Axes:
    """Draw expected beside actual purchases of a period that was held out.

    Parameters
    ----------
    result
        What `btyd_holdout` returned.
    what
        ``"frequency"``: means in the hold-out period by earlier repeat purchases, the actual ones
        with intervals. ``"tracking"``: cumulative repeat purchases over both periods.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    check_option(what, "what", ("frequency", "tracking"))
    if ax is None:
        ax = plt.figure(figsize=(7, 4), layout="constrained").subplots()
    (_by_frequency if what == "frequency" else _tracked)(result, ax)
    ax.legend(frameon=False)
    sns.despine(ax=ax)
    return ax


def _by_frequency(result: "Holdout", ax: Axes) -> None:
    table = result.to_frame()
    place = np.arange(len(table))
    actual, expected, plain = sns.color_palette("colorblind")[:3]
    ax.vlines(place, table["ci_low"], table["ci_high"], color=actual, linewidth=1.6)
    ax.plot(place, table["actual"], "o", color=actual, label=f"actual, {result.level:.0%} interval")
    ax.plot(place, table["expected"], "D-", color=expected, label="expected")
    ax.plot(place, table["as_before"], "--", color=plain, label="if all went on as before")
    ax.set_xticks(place, table["frequency"])
    ax.set_ylim(bottom=0)
    ax.set_xlabel(f"repeat purchases by {result.split}")
    ax.set_ylabel(f"mean purchases, {result.split} to {result.as_of}")


def _tracked(result: "Holdout", ax: Axes) -> None:
    table = result.tracking
    actual, expected = sns.color_palette("colorblind")[:2]
    ax.plot(table.index, table["actual"], color=actual, label="actual")
    ax.plot(table.index, table["expected"], "--", color=expected, label="expected")
    split = int((~table["holdout"]).sum()) - 1
    ax.axvline(split, color="0.35", linewidth=1, zorder=0)
    ax.annotate(
        f"learned until {result.split}",
        (split, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        color="0.35",
    )
    ax.set_ylim(bottom=0)
    ax.set_xlabel(f"{_NAMES[result.unit]} since the first purchase of all")
    ax.set_ylabel("repeat purchases so far")


def lifetime_value(result: "LifetimeValue", *, ax: Axes | None = None) -> Axes:
    """Draw the mean value of customers by repeat purchases and the time since the last one.

    Parameters
    ----------
    result
        What `lifetime_value` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    if ax is None:
        ax = plt.figure(figsize=(7, 4.5), layout="constrained").subplots()
    customers, value = result.customers, result.to_frame()["value"]
    silent = (customers["T"] - customers["recency"]).to_numpy()
    most = max(int(np.quantile(customers["frequency"], 0.99)), 1)
    often = np.minimum(customers["frequency"], most)
    width = -(-(most + 1) // _BINS)
    rows = np.arange(0, most + width + 1, width) - 0.5
    columns = np.linspace(0, max(float(silent.max()), 1), _BINS + 1)
    edges = (columns, rows)
    total, _, _ = np.histogram2d(silent, often, bins=edges, weights=value)
    count, _, _ = np.histogram2d(silent, often, bins=edges)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    mesh = ax.pcolormesh(columns, rows, mean.T, cmap="viridis")
    ax.figure.colorbar(mesh, ax=ax, label="mean value of a customer")
    ax.set_xlabel("units since the last purchase")
    ax.set_ylabel(f"repeat purchases (the last row: up to {int(customers['frequency'].max())})")
    sns.despine(ax=ax)
    return ax


def segment_value(
    result: "SegmentValue", *, what: str = "segments", ax: Axes | None = None
) -> Axes:
    """Draw the value of segments, or how it is concentrated among all customers.

    Parameters
    ----------
    result
        What `segment_value` returned.
    what
        ``"segments"``: the share of customers and, with its interval, of value by segment.
        ``"concentration"``: the share of value that the most valuable customers hold.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    check_option(what, "what", ("segments", "concentration"))
    if ax is None:
        rows = len(result.to_frame()) - 1
        height = 1.6 + 0.45 * rows if what == "segments" else 4.5
        ax = plt.figure(figsize=(7, height), layout="constrained").subplots()
    (_by_segment if what == "segments" else _concentration)(result, ax)
    return ax


def _by_segment(result: "SegmentValue", ax: Axes) -> None:
    table = result.to_frame().iloc[1:]
    place = np.arange(len(table))
    value, customers = sns.color_palette("colorblind")[:2]
    low, high = table["share_of_value_ci_low"], table["share_of_value_ci_high"]
    ax.hlines(place, low, high, color=value, linewidth=1.6)
    ax.plot(table["share_of_value"], place, "o", color=value, label="of value")
    ax.plot(table["share"], place, "|", color=customers, markersize=16, label="of customers")
    names = [plain(name) for name in table["segment"]]
    ax.set_yticks(place, names)
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel(f"share (value with {result.level:.0%} interval)")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)


def _concentration(result: "SegmentValue", ax: Axes) -> None:
    curve, table = result.lorenz, result.concentration
    color = sns.color_palette("colorblind")[0]
    ax.plot(curve["customers"], curve["value"], color=color, label="these customers")
    ax.vlines(table.index, table["ci_low"], table["ci_high"], color=color, linewidth=1.6)
    ax.plot(table.index, table["share_of_value"], "o", color=color)
    ax.plot([0, 1], [0, 1], "--", color="0.6", label="if all were worth the same")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    ax.set_xlim(0, 1)
    ax.set_ylim(0, max(1, float(curve["value"].max()) * 1.02))
    ax.set_xlabel("share of customers, the most valuable first")
    ax.set_ylabel("share of value that they hold")
    ax.legend(frameon=False, loc="lower right")
    sns.despine(ax=ax)
