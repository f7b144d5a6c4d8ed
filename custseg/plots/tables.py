"""Pictures of raw tables and their audit."""

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes

from custseg.audit import Audit


def audit(result: Audit, *, ax: Axes | None = None) -> Axes:
    """Draw what each check marks, as a share of the rows, by whether the rows are dropped or kept.

    Parameters
    ----------
    result
        The account of a raw table.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        One bar per check that marks any row, with its number of rows.
    """
    ax = ax or plt.subplots()[1]
    found = result.checks[result.checks["rows"] > 0].iloc[::-1]
    palette = sns.color_palette("colorblind")
    colours = found["action"].map({"drop": palette[3], "keep": palette[7]})
    bars = ax.barh(found["check"], 100 * found["share"], color=list(colours))
    ax.bar_label(
        bars,
        [
            f" {rows:,} {action}"
            for rows, action in zip(found["rows"], found["action"], strict=True)
        ],
    )
    ax.margins(x=0.2)
    ax.set_xlabel(f"marked, % of {result.rows_in:,} rows")
    ax.set_title(f"{result.rows_used:,} rows used")
    sns.despine(ax=ax)
    return ax
