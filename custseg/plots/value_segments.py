"""Pictures of retention, satisfaction, drivers and feedback by segment."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt

from custseg._labels import ALL
from custseg.errors import ParameterError, check_option
from custseg.plots.labels import plain, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.value import (
        ComplaintRates,
        FeedbackThemes,
        KeyDrivers,
        NeedsGap,
        PurchaseFigures,
        Retention,
        Satisfaction,
        ScoreChange,
        Survival,
    )

UNITS = {"D": "days", "W": "weeks", "M": "months", "Q": "quarters", "Y": "years"}
_MOST_NUMBERS = 400


def retention_heatmap(
    result: "Retention", *, values: str = "rates", ax: "Axes | None" = None
) -> "Axes":
    """Draw the cohort triangle: a row per cohort, a column per period since the first purchase.

    Parameters
    ----------
    result
        What `custseg.value.retention` returned.
    values
        ``"rates"``, ``"counts"`` or ``"revenue"``. Colours leave age 0 out.
    ax
        The axes to draw on; a new figure, sized to the triangle, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Cells of a period that was not seen to its end are in italics.
    """
    check_option(values, "values", ("rates", "counts", "revenue"))
    if values == "revenue" and result.revenue is None:
        raise ParameterError("there is no revenue: name the role amount in Transactions(...).")
    frame = getattr(result, values).iloc[:, 0 if result.counts.shape[1] == 1 else 1 :]
    numbers = frame.to_numpy(dtype=float, na_value=np.nan)
    rows, columns = numbers.shape
    if ax is None:
        size = (2.4 + max(3.0, 0.52 * columns), 1.3 + 0.3 * rows)
        ax = plt.figure(figsize=size, layout="constrained").subplots()
    top = np.nanquantile(numbers, 0.98) if np.isfinite(numbers).any() else 1.0
    colours = sns.color_palette("light:#0173b2", as_cmap=True)
    mesh = ax.pcolormesh(numbers, cmap=colours, vmin=0, vmax=max(top, 1e-9))
    last = result.counts.index.asi8[-1]
    if numbers.size <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(numbers):
            if np.isfinite(value):
                text = f"{value:.0%}" if values == "rates" else short(value)
                late = result.counts.index.asi8[row] + frame.columns[column] == last
                ax.text(
                    *(column + 0.5, row + 0.5, text),
                    ha="center",
                    va="center",
                    fontsize="x-small",
                    color="white" if value > 0.4 * top else "0.15",
                    style="italic" if late and not result.last_is_whole else "normal",
                )
    else:
        ax.figure.colorbar(mesh, ax=ax, label=values)
    step = max(1, columns // 25)
    ax.set_xticks(np.arange(0, columns, step) + 0.5, frame.columns[::step])
    sizes = result.counts[0].astype("int64")
    step = max(1, rows // 40)
    names = [f"{cohort} (n={n:,})" for cohort, n in sizes.items()]
    ax.set_yticks(np.arange(0, rows, step) + 0.5, names[::step])
    ax.invert_yaxis()
    ax.tick_params(length=0)
    ax.set_xlabel(f"{UNITS[result.period]} since the first purchase")
    ax.set_title(
        {"rates": "customers who bought", "counts": "customers who bought"}.get(values, values)
    )
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def survival_curves(result: "Survival", *, ax: "Axes | None" = None) -> "Axes":
    """Draw which share of each segment stays how long, with intervals.

    Parameters
    ----------
    result
        What `custseg.value.survival` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A stepped line per segment; everybody only where there are no segments.
    """
    ax = ax or _figure(6.5, 4.2)
    names = [name for name in result.lengths.index if name != ALL] or [ALL]
    for name, colour in zip(names, _palette(len(names)), strict=True):
        own = result.curves[result.curves["segment"] == name]
        time = np.concatenate([[0.0], own["time"]])
        ax.step(
            time, np.concatenate([[1.0], own["survival"]]), where="post", color=colour, label=name
        )
        low, high = (np.concatenate([[1.0], own[end]]) for end in ("ci_low", "ci_high"))
        ax.fill_between(time, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
    ax.set_ylim(0, 1.02)
    ax.set_xlim(left=0)
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.set_xlabel("time since the first purchase")
    ax.set_ylabel("customers who stay")
    if names != [ALL]:
        ax.legend(frameon=False)
    sns.despine(ax=ax)
    return ax


def satisfaction_forest(
    result: "Satisfaction", *, score: str | None = None, ax: "Axes | None" = None
) -> Any:
    """Draw every segment's scores with their intervals, a panel per score.

    Parameters
    ----------
    result
        What `custseg.value.satisfaction` returned.
    score
        The score to draw; all of them when ``None``.
    ax
        The axes to draw one score on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray of them
        The upright line is the score of everybody.
    """
    units = {"nps": "NPS", "csat": "CSAT, % satisfied", "ces": "CES, mean answer"}
    table = result.to_frame()
    return _forest(table, "score", score, ("estimate", "ci_low", "ci_high"), ax=ax, titles=units)


def figures_forest(
    result: "PurchaseFigures", *, figure: str | None = None, ax: "Axes | None" = None
) -> Any:
    """Draw every segment's key figures with their intervals, a panel per figure.

    Parameters
    ----------
    result
        What `custseg.value.purchase_figures` returned.
    figure
        The figure to draw; all of them when ``None``.
    ax
        The axes to draw one figure on; a new one when ``None``.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray of them
        The upright line is everybody; a dotted one is the benchmark.
    """
    table = result.to_frame()
    titles = {name: str(name).replace("_", " ") for name in table["figure"]}
    return _forest(table, "figure", figure, ("value", "ci_low", "ci_high"), ax=ax, titles=titles)


def feedback_dots(
    result: "FeedbackThemes", *, theme: str | None = None, ax: "Axes | None" = None
) -> Any:
    """Draw how often every segment speaks of a theme, a panel per theme.

    Parameters
    ----------
    result
        What `custseg.value.feedback_themes` returned.
    theme
        The theme to draw; all of them when ``None``.
    ax
        The axes to draw one theme on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray of them
        The upright line is everybody who commented.
    """
    table = result.to_frame()
    return _forest(table, "theme", theme, ("rate", "ci_low", "ci_high"), ax=ax, titles={})


def complaint_rates(
    result: "ComplaintRates", *, kind: str | None = None, ax: "Axes | None" = None
) -> Any:
    """Draw how many complaints come from every segment, a panel per kind.

    Parameters
    ----------
    result
        What `custseg.value.complaint_rates` returned.
    kind
        The kind to draw; all of them when ``None``.
    ax
        The axes to draw one kind on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray of them
        The upright line is everybody.
    """
    table = result.to_frame()
    return _forest(table, "kind", kind, ("rate", "ci_low", "ci_high"), ax=ax, titles={})


def score_change(result: "ScoreChange", *, ax: "Axes | None" = None) -> "Axes":
    """Draw what each segment adds to a change, by mix and by rate.

    Parameters
    ----------
    result
        What `custseg.value.score_change` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Two dots with intervals per segment, everybody on top.
    """
    table = result.to_frame()
    ax = ax or _figure(6.5, 1.6 + 0.4 * len(table))
    rows = np.arange(len(table))
    for part, shift, colour in zip(("mix", "rate"), (-0.13, 0.13), _palette(2), strict=True):
        ax.hlines(rows + shift, table[f"{part}_low"], table[f"{part}_high"], color=colour)
        label = "who answered (mix)" if part == "mix" else "what they answered (rate)"
        ax.plot(table[part], rows + shift, "o", color=colour, markersize=5, label=label)
    ax.axvline(0, color="0.35", linewidth=1, zorder=0)
    ax.axhline(0.5, color="0.8", linewidth=0.8, zorder=0)
    _segment_ticks(ax, table["segment"])
    ax.set_xlabel(f"part of the change in {result.score.upper()}, points")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    sns.despine(ax=ax, left=True)
    return ax


def importance_performance(
    result: "KeyDrivers", *, segment: str = ALL, ax: "Axes | None" = None
) -> "Axes":
    """Draw the importance-performance map of one segment.

    Parameters
    ----------
    result
        What `custseg.value.key_drivers` returned.
    segment
        Which segment; everybody by default.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A dot with both intervals per driver; the lines are the mean importance and performance.
    """
    check_option(segment, "segment", list(result.fit.index))
    rows = result.to_frame().query("segment == @segment")
    ax = ax or _figure(6.8, max(5, 0.24 * len(rows)))
    colour = _palette(1)[0]
    ax.hlines(rows["share"], rows["performance_low"], rows["performance_high"], color="0.7")
    ax.vlines(rows["performance"], rows["share_low"], rows["share_high"], color="0.7")
    ax.plot(rows["performance"], rows["share"], "o", color=colour)
    labels = [
        ax.annotate(plain(name), (x, y), (5, 5), textcoords="offset points", fontsize="small")
        for name, x, y in rows[["driver", "performance", "share"]].itertuples(index=False)
    ]
    ax.axvline(rows["performance"].mean(), color="0.35", linewidth=1, zorder=0)
    ax.axhline(1 / len(rows), color="0.35", linewidth=1, zorder=0)
    ax.margins(0.12)
    corners = {
        "concentrate here": (0.01, 0.99),
        "keep it up": (0.99, 0.99),
        "low priority": (0.01, 0.01),
        "possible overkill": (0.99, 0.01),
    }
    advice = [
        ax.text(
            *(x, y, words),
            transform=ax.transAxes,
            color="0.5",
            style="italic",
            fontsize="small",
            ha="left" if x < 0.5 else "right",
            va="bottom" if y < 0.5 else "top",
        )
        for words, (x, y) in corners.items()
    ]
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.set_xlabel("performance (mean answer)")
    ax.set_ylabel(f"importance (share of the R² of {plain(result.outcome)})")
    ax.set_title(f"{plain(segment)}: n = {result.fit.loc[segment, 'n']:,}, R² = "
                 f"{result.fit.loc[segment, 'r2']:.2f}")  # fmt: skip
    sns.despine(ax=ax)
    spread(ax, labels, advice)
    return ax


def needs_map(result: "NeedsGap", *, segment: str = ALL, ax: "Axes | None" = None) -> "Axes":
    """Draw the needs of one segment: satisfaction and importance joined by the gap.

    Parameters
    ----------
    result
        What `custseg.value.needs_gap` returned.
    segment
        Which segment; everybody by default.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        A row per need, the largest gap on top.
    """
    table = result.to_frame()
    check_option(segment, "segment", list(table["segment"].unique()))
    rows = table[table["segment"] == segment].sort_values("gap", ascending=False, kind="stable")
    ax = ax or _figure(6.5, 1.6 + 0.36 * len(rows))
    y = np.arange(len(rows))
    ax.hlines(y, rows["satisfaction"], rows["importance"], color="0.7", linewidth=3)
    for column, colour in zip(("importance", "satisfaction"), _palette(2), strict=True):
        ax.plot(rows[column], y, "o", color=colour, label=column)
    gaps = zip(rows["need"], rows["gap"], rows["ci_low"], rows["ci_high"], strict=True)
    names = [
        f"{plain(need)}: {gap:+.1f} [{low:+.1f}, {high:+.1f}]" for need, gap, low, high in gaps
    ]
    _segment_ticks(ax, names)
    ax.set_xlabel("mean answer")
    ax.set_title(plain(segment), loc="left", pad=26)  # above the legend
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    sns.despine(ax=ax, left=True)
    return ax


def _forest(
    table: pd.DataFrame,
    by: str,
    chosen: str | None,
    columns: tuple[str, str, str],
    *,
    ax: "Axes | None",
    titles: Mapping[Any, str],
) -> Any:
    """Draw a panel per value of `by`, or the chosen one, with a row per segment."""
    names = list(table[by].unique())
    if chosen is not None:
        check_option(chosen, by, names)
        names = [chosen]
    if ax is not None and len(names) > 1:
        raise ParameterError(f"ax holds one {by}: choose {by}= among {names}.")
    if ax is not None:
        axes = np.array([ax])
    else:
        height = 1.3 + 0.32 * table["segment"].nunique()
        size = (3.2 + 2.3 * min(len(names), 3), height * -(-len(names) // 3))
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.subplots(-(-len(names) // 3), min(len(names), 3), squeeze=False, sharey=True)
        axes = grid.ravel()[: len(names)]
        for empty in grid.ravel()[len(names) :]:
            empty.remove()
    for panel, name in zip(axes, names, strict=True):
        rows = table[table[by] == name]
        _panel(panel, rows, columns)
        panel.set_xlabel(plain(titles.get(name, name)))
    return axes[0] if len(axes) == 1 else axes


def _panel(ax: "Axes", rows: pd.DataFrame, columns: tuple[str, str, str]) -> None:
    value, low, high = (rows[name].to_numpy(dtype=float) for name in columns)
    y = np.arange(len(rows))
    colour = _palette(1)[0]
    ax.hlines(y, low, high, color=colour, linewidth=1.6)
    ax.plot(value, y, "o", color=colour, markersize=5)
    whole = (rows["segment"] == ALL).to_numpy()
    ax.plot(value[whole], y[whole], "D", color=colour, markersize=7)
    if len(rows) > 1:
        ax.axvline(value[whole][0], color="0.6", linewidth=1, zorder=0)
        ax.axhline(0.5, color="0.85", linewidth=0.8, zorder=0)
    if "benchmark" in rows and rows["benchmark"].notna().all():
        ax.axvline(rows["benchmark"].iloc[0], color="0.15", linewidth=1.2, linestyle=":", zorder=0)
    _segment_ticks(ax, rows["segment"])
    sns.despine(ax=ax, left=True)


def _segment_ticks(ax: "Axes", names: Any) -> None:
    ax.set_yticks(np.arange(len(names)), [plain(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)


def _figure(width: float, height: float) -> "Axes":
    return plt.figure(figsize=(width, height), layout="constrained").subplots()


def _palette(n: int) -> list[Any]:
    return list(sns.color_palette("colorblind", n))


def short(value: float) -> str:
    """Return a number in at most four characters or so: 950, 12k, 3.4M."""
    for unit, sign in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            scaled = value / unit
            return f"{scaled:.1f}{sign}" if abs(scaled) < 10 else f"{scaled:.0f}{sign}"
    return f"{value:.0f}"
