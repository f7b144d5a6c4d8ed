"""Pictures of raw tables and their audit."""

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes

from custseg.audit import Audit
from custseg.joins import JoinAudit


def audit(result: Audit, *, ax: Axes | None = None) -> Axes:
    """Draw what each check marks, as a share of the rows, by what is done with these rows.

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
    colours = {"drop": palette[3], "keep": palette[7]}
    bars = ax.barh(
        found["check"],
        100 * found["share"],
        color=[colours.get(action, palette[0]) for action in found["action"]],
    )
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


def join(result: JoinAudit, *, ax: Axes | None = None) -> Axes:
    """Draw, for each table, the share of its rows that the other table's ids match.

    Parameters
    ----------
    result
        The audit of a join.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        One stacked bar per table: rows matched, unmatched, without an id.
    """
    ax = ax or plt.subplots(figsize=(7, 2.6))[1]
    account = result.account.iloc[::-1]
    palette = sns.color_palette("colorblind")
    parts = {"rows_matched": palette[0], "unmatched": palette[3], "missing_id": palette[7]}
    left = 0.0 * account["rows_in"]
    for part, colour in parts.items():
        share = 100 * account[part] / account["rows_in"].clip(lower=1)
        ax.barh(account.index, share, left=left, color=colour, label=part.replace("_", " "))
        left = left + share
    for position, rows in enumerate(account["rows_in"]):
        ax.text(101, position, f"{rows:,} rows", va="center")
    ax.set_xlim(0, 100)
    ax.set_xlabel("share of the table's rows, %")
    ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    sns.despine(ax=ax)
    return ax
