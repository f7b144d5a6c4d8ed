"""The picture of what gamma does."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.ticker import PercentFormatter

from custseg.results import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.clustering import GammaSweep


def gamma_sweep(sweep: "GammaSweep", *, ax: "Axes | None" = None) -> "Axes":
    """Draw what the clusters explain of numbers and categories, over gamma.

    Gammas are evenly spaced. A grey square between two of them is the adjusted Rand index of their
    clusters: where it is low, gamma decides. The dashed line is the usual gamma.

    Parameters
    ----------
    sweep
        What `custseg.clustering.gamma_sweep` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    table = sweep.to_frame()
    numbers, categories = sns.color_palette("colorblind")[:2]
    lines = (("numeric", "numbers", numbers), ("categorical", "categories", categories))
    for kind, name, colour in lines:
        explained = table[f"{kind}_explained"]
        ax.plot(explained, "o-", color=colour, markersize=4, label=f"explained of {name}")
    between = table.index[1:] - 0.5
    agreement = table["ari_previous"][1:]
    ax.plot(
        between, agreement, "s", color="0.55", markersize=4, label="agreement of neighbours (ARI)"
    )
    usual = np.interp(sweep.usual, table["gamma"], table.index, left=np.nan, right=np.nan)
    if np.isfinite(usual):
        ax.axvline(usual, color="0.35", linestyle="--", linewidth=0.9, zorder=0.5)
    ax.set_xticks(table.index, [format_number(gamma) for gamma in table["gamma"]])
    ax.set_xlabel("gamma: what a category that differs counts (dashed: the usual one)")
    ax.set_ylim(min(0, agreement.min()) - 0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    ax.spines[["top", "right"]].set_visible(False)
    return ax
