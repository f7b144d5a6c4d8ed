"""Pictures of whom to target."""

import textwrap
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from custseg.errors import check_option
from custseg.plots.labels import plain

if TYPE_CHECKING:
    from custseg.campaigns import EffectSegments, PolicyValue, SideBySide, Uplift

_WIDTH = 32  # letters of a name in a line


def policy_values(found: "PolicyValue", *, method: str = "dr", ax: Axes | None = None) -> Axes:
    """Draw the value of each policy with its 95% interval, and that of treating nobody as a line.

    Parameters
    ----------
    found
        What `policy_value` returned.
    method
        ``"dr"`` or ``"ipw"``.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    table = found.to_frame()
    check_option(method, "method", table["method"].unique().tolist())
    rows = table[table["method"] == method].reset_index(drop=True)
    ax = _new(ax, 1.2 + 0.34 * len(rows))
    learned = ~rows["policy"].str.startswith(("nobody", "everybody"))
    kinds = (~learned, "fixed"), (learned, "learned or given")
    for (mark, label), color in zip(kinds, sns.color_palette("colorblind", 2), strict=True):
        own = rows[mark]
        ax.hlines(own.index, own["ci_low"], own["ci_high"], color=color, linewidth=1.6)
        ax.plot(own["value"], own.index, "o", color=color, label=label)
    ax.axvline(rows["value"].iloc[0], color="0.35", linewidth=1, zorder=0)
    _names(ax, rows["policy"])
    ax.set_xlabel(plain(f"{found.outcome} less cost per customer (with 95% interval)"))
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def uplift_curves(found: "Uplift", *, arm: Any = None, ax: Axes | None = None) -> Axes:
    """Draw what treating the best share of customers gains, and what the same share at random does.

    Parameters
    ----------
    found
        What `predict_effects` returned.
    arm
        The arm to draw; all of them when ``None``.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    arms = found.curve["arm"].unique().tolist()
    if arm is not None:
        check_option(arm, "arm", arms)
    ax = _new(ax, 4.2)
    for name, color in zip(arms, sns.color_palette("colorblind", len(arms)), strict=True):
        if arm is not None and name != arm:
            continue
        rows = found.curve[found.curve["arm"] == name]
        ax.fill_between(rows["share"], rows["ci_low"], rows["ci_high"], color=color, alpha=0.15)
        ax.plot(rows["share"], rows["gain"], color=color, label=plain(f"{name}: best first"))
        ax.plot(rows["share"], rows["random"], "--", color=color, label=plain(f"{name}: random"))
    ax.axhline(0, color="0.35", linewidth=1, zorder=0)
    ax.set_xlabel("share of customers treated")
    ax.set_ylabel("gain per customer\n(with 95% interval)")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    sns.despine(ax=ax)
    return ax


def effect_segments(found: "EffectSegments", *, ax: Axes | None = None) -> Axes:
    """Draw the effect of each arm in each segment with its 95% interval, the rule beside it.

    Parameters
    ----------
    found
        What `effect_segments` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    table = found.to_frame()
    segments, arms = table["segment"].unique(), table["arm"].unique()
    rules = table.drop_duplicates("segment")
    names = [f"{row.segment}: {row.rule}" for row in rules.itertuples()]
    lines = sum(max(2, _wrapped(name).count("\n") + 1) for name in names)
    ax = _new(ax, 1.4 + 0.25 * lines)
    _by_arm(ax, table, segments, arms)
    _names(ax, names)
    ax.set_xlabel("effect on customers it was not learned from\n(with 95% interval)")
    return ax


def side_by_side(found: "SideBySide", *, ax: Axes | None = None) -> Axes:
    """Draw how the customers of each descriptive segment spread over effect-aware segments.

    Parameters
    ----------
    found
        What `EffectSegments.beside` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    share = found.counts.div(found.counts.sum(axis=1), axis=0)
    ax = _new(ax, 1.2 + 0.4 * len(share))
    left = np.zeros(len(share))
    for name, color in zip(share, sns.color_palette("colorblind", share.shape[1]), strict=True):
        ax.barh(np.arange(len(share)), share[name], left=left, color=color, label=plain(name))
        left += share[name].to_numpy()
    same = found.agreement.set_index("segment")["share_same_arm"]
    _names(ax, [f"{name} ({same[name]:.0%} same arm)" for name in share.index])
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of the segment's customers")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), title="effect-aware")
    return ax


def _by_arm(ax: Axes, table: pd.DataFrame, segments: Any, arms: Any) -> None:
    place = pd.Series(np.arange(len(segments), dtype=float), index=segments)
    offsets = (np.arange(len(arms)) - (len(arms) - 1) / 2) * min(0.22, 0.7 / len(arms))
    for arm, offset, color in zip(
        arms, offsets, sns.color_palette("colorblind", len(arms)), strict=True
    ):
        rows = table[table["arm"] == arm]
        y = place[rows["segment"]].to_numpy() + offset
        ax.hlines(y, rows["ci_low"], rows["ci_high"], color=color, linewidth=1.6)
        ax.plot(rows["effect"], y, "o", color=color, markersize=5, label=plain(arm))
    ax.axvline(0, color="0.35", linewidth=1, zorder=0)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _new(ax: Axes | None, height: float) -> Axes:
    return plt.figure(figsize=(8, height), layout="constrained").subplots() if ax is None else ax


def _names(ax: Axes, names: Any) -> None:
    ax.set_yticks(np.arange(len(names)), [plain(_wrapped(name)) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    sns.despine(ax=ax, left=True)


def _wrapped(name: object) -> str:
    return textwrap.fill(str(name), _WIDTH)
