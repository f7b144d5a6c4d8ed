"""Pictures of how well customers are placed."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator, PercentFormatter

from custseg.errors import check_option

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.profiling import Membership


def confusion(
    membership: "Membership", *, kind: str = "confusion", ax: "Axes | None" = None
) -> "Axes":
    """Draw where the typing tool puts customers held out, or how much every question adds.

    Parameters
    ----------
    membership
        What `custseg.profiling.describe_membership` returned.
    kind
        ``"confusion"``: a row per segment, the share of its customers that is put into each, with
        the number; ``"questions"``: the cross-validated accuracy after each question, a ring at the
        last one that the typing tool asks, and a dashed line for the largest segment.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    check_option(kind, "kind", ("confusion", "questions"))
    return _questions(membership, ax) if kind == "questions" else _confusion(membership, ax)


def _confusion(membership: "Membership", ax: "Axes | None") -> "Axes":
    counts = membership.confusion
    shares = counts / counts.sum(axis=1).clip(lower=1).to_numpy()[:, None]
    if ax is None:
        k = len(counts)
        _, ax = plt.subplots(figsize=(2.6 + 0.8 * k, 1.6 + 0.55 * k), layout="constrained")
    words = np.array(
        [
            [f"{share:.0%}\n{n:,.0f}" for share, n in zip(row, own, strict=True)]
            for row, own in zip(shares.to_numpy(), counts.to_numpy(), strict=True)
        ]
    )
    sns.heatmap(
        shares,
        ax=ax,
        cmap="Blues",
        vmin=0,
        vmax=1,
        annot=words,
        fmt="",
        linewidths=0.5,
        annot_kws={"fontsize": "small"},
        cbar_kws={"label": "share of the segment", "format": PercentFormatter(1)},
    )
    row = membership.accuracy.loc["typing tool"]
    ax.set(
        xlabel="put there by the typing tool",
        ylabel="segment",
        title=f"{row['accuracy']:.0%} right ({row['ci_low']:.0%} to {row['ci_high']:.0%})",
    )
    ax.tick_params(length=0)
    ax.set_yticklabels(ax.get_yticklabels(), rotation=0)
    return ax


def _questions(membership: "Membership", ax: "Axes | None") -> "Axes":
    table = membership.questions
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    steps = np.arange(1, len(table) + 1)
    colour = sns.color_palette("colorblind")[0]
    ax.plot(steps, table["accuracy"], "o-", color=colour, markersize=5)
    last = int(table["asked"].sum())
    best = table["accuracy"].iloc[last - 1]
    ax.plot([last], [best], "o", markersize=12, fillstyle="none", color="0.15")
    largest = membership.accuracy.loc["largest segment", "accuracy"]
    ax.axhline(largest, color="0.35", linestyle="--", linewidth=0.9)
    ax.set_xticks(steps, [str(name) for name in table.index], rotation=30, ha="right")
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_ylabel("right, cross-validated\n(dashed: largest segment)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
