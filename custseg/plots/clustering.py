"""Pictures of what algorithms found."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.ticker import PercentFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.clustering._latent_classification import Classification
    from custseg.clustering._latent_tables import BivariateResiduals, ClassProfiles
    from custseg.clustering.three_step import ThreeStep

GAP = 0.15
REACH = 2.0
"""How many standard deviations from the mean of all customers the edge of a column is."""


def class_profiles(profiles: "ClassProfiles", *, ax: "Axes | None" = None) -> "Axes":
    """Draw a column of bars per latent class: the probability of every level.

    Columns run from 0 to 1; of an item with two levels the second is shown. The bar of a number
    begins in the middle, at the mean of all customers, and the edge is two standard deviations
    away. Whiskers are 95% intervals; upright ticks mark all customers.

    Parameters
    ----------
    profiles
        What `custseg.clustering.LatentClass.profile` returned.
    ax
        The axes to draw on; a new figure, sized to the table, when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        One axes with a column per class.
    """
    rows = pd.concat([_level_rows(profiles), _number_rows(profiles)])
    labels = rows["label"].drop_duplicates().tolist()
    k = len(profiles.weights)
    if ax is None:
        size = (2.2 + max(4.0, 1.3 * k), max(2.2, 1.2 + 0.28 * len(labels)))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    colours = sns.color_palette("colorblind", k)
    places = np.arange(len(labels))
    for c in range(k):
        own = rows[rows["class"] == c]
        left = c * (1 + GAP)
        start = own["start"].to_numpy()
        ax.barh(places, own["end"] - start, 0.72, left + start, color=colours[c])
        ax.hlines(places, left + own["low"], left + own["high"], color="0.25", linewidth=1)
        ax.vlines(left + own["overall"], places - 0.42, places + 0.42, color="0.1", linewidth=1.2)
        for edge in (left, left + 1):
            ax.axvline(edge, color="0.85", linewidth=0.8, zorder=0)
        title = f"class {c}\n{profiles.weights[c]:.0%}"
        above = ax.get_xaxis_transform()
        ax.text(left + 0.5, 1.01, title, transform=above, ha="center", va="bottom")
    ax.set_yticks(places, labels)
    ax.invert_yaxis()
    ax.set_xticks([c * (1 + GAP) + x for c in range(k) for x in (0, 1)], ["0", "1"] * k)
    ax.set_xlim(-0.03, k * (1 + GAP) - GAP + 0.03)
    numbers = "\nnumbers: the edges are two standard deviations away"
    words = "probability of the answer (tick: all customers)"
    ax.set_xlabel(words + (numbers if len(profiles.item_means) else ""))
    ax.tick_params(axis="y", length=0)
    sns.despine(ax=ax, left=True)
    return ax


def _level_rows(profiles: "ClassProfiles") -> pd.DataFrame:
    """Return where the bars of the levels begin and end, and their labels."""
    table = profiles.item_probabilities
    levels = table.groupby("item", sort=False)["level"]
    other = (levels.transform("nunique") == 2) & (table["level"] == levels.transform("first"))
    table = table[~other]
    weighted = table["probability"] * profiles.weights[table["class"]]
    label = [f"{item} = {level}" for item, level in zip(table["item"], table["level"], strict=True)]
    return pd.DataFrame(
        {
            "label": label,
            "class": table["class"],
            "start": 0.0,
            "end": table["probability"],
            "low": table["ci_low"],
            "high": table["ci_high"],
            "overall": weighted.groupby(label, sort=False).transform("sum"),
        }
    )


def _number_rows(profiles: "ClassProfiles") -> pd.DataFrame:
    parts = []
    for item, own in profiles.item_means.groupby("item", sort=False):
        centre = profiles.weights @ own["mean"]
        sd = np.sqrt(profiles.weights @ (own["sd"] ** 2 + own["mean"] ** 2) - centre**2) or 1.0
        place = {
            name: (0.5 + (own[column] - centre) / (2 * REACH * sd)).clip(0, 1)
            for name, column in (("end", "mean"), ("low", "ci_low"), ("high", "ci_high"))
        }
        parts.append(
            pd.DataFrame(
                {"label": str(item), "class": own["class"], "start": 0.5, **place, "overall": 0.5}
            )
        )
    return pd.concat(parts) if parts else pd.DataFrame()


def classification(classification: "Classification", *, ax: "Axes | None" = None) -> "Axes":
    """Draw to which class customers of each class are assigned.

    Parameters
    ----------
    classification
        What `custseg.clustering.LatentClass.classification` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Classes from top to bottom, assigned classes from left to right.
    """
    k = len(classification.table)
    if ax is None:
        _, ax = plt.subplots(figsize=(2.4 + 0.7 * k, 1.4 + 0.6 * k), layout="constrained")
    sns.heatmap(
        classification.table,
        ax=ax,
        vmin=0,
        vmax=1,
        cmap="crest",
        annot=True,
        fmt=".0%",
        square=True,
        cbar=False,
    )
    ax.set(xlabel="assigned class", ylabel="class")
    ax.tick_params(length=0, rotation=0)
    return ax


def bivariate_residuals(
    residuals: "BivariateResiduals", *, ax: "Axes | None" = None, top: int = 15
) -> "Axes":
    """Draw the pairs of items that depend most on each other beyond the classes.

    Parameters
    ----------
    residuals
        What `custseg.clustering.LatentClass.bivariate_residuals` returned.
    ax
        The axes to draw on; a new figure when ``None``.
    top
        The number of pairs.

    Returns
    -------
    matplotlib.axes.Axes
        The residuals, with a dashed line at 3.84.
    """
    table = residuals.to_frame().head(top)
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 1.1 + 0.28 * len(table)), layout="constrained")
    labels = [f"{a} and {b}" for a, b in zip(table["item_a"], table["item_b"], strict=True)]
    ax.barh(labels, table["residual"], color=sns.color_palette("colorblind")[0], height=0.7)
    ax.axvline(3.84, color="0.35", linestyle="--", linewidth=0.9)
    ax.invert_yaxis()
    ax.set_xlabel("residual per degree of freedom (dashed: 3.84)")
    sns.despine(ax=ax)
    return ax


def three_step(result: "ThreeStep", *, ax: "Axes | None" = None) -> "Axes":
    """Draw the estimates of every class with their intervals.

    Parameters
    ----------
    result
        What `custseg.clustering.three_step` returned.
    ax
        The axes to draw on; a new figure when ``None``.

    Returns
    -------
    matplotlib.axes.Axes
        Means or shares from left to right, or log odds against class 0 with a line at none.
    """
    table = result.estimates
    if result.kind == "covariates":
        table = table[table["covariate"] != "(intercept)"].sort_values("covariate", kind="stable")
        labels = (table["covariate"] + ", class " + table["class"].astype(str)).tolist()
        what = "change of the log odds against class 0"
    elif result.kind == "share":
        if table["level"].nunique() == 2:
            table = table[table["level"] == table["level"].iloc[-1]]
        table = table.sort_values("level", key=lambda x: pd.factorize(x)[0], kind="stable")
        labels = [f"{x}, class {c}" for c, x in zip(table["class"], table["level"], strict=True)]
        what = f"share in {result.name}"
    else:
        labels = [f"class {c}" for c in table["class"]]
        what = f"mean of {result.name}"
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 1.1 + 0.3 * len(table)), layout="constrained")
    colours = sns.color_palette("colorblind", int(result.estimates["class"].max()) + 1)
    for place, row in enumerate(table.itertuples()):
        ax.hlines(place, row.ci_low, row.ci_high, color=colours[row[1]], linewidth=2)
        ax.plot(row.estimate, place, "o", color=colours[row[1]], markersize=5)
    if result.kind == "covariates":
        ax.axvline(0, color="0.35", linestyle="--", linewidth=0.9)
    elif result.kind == "share":
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_xlabel(f"{what} (lines: intervals)")
    sns.despine(ax=ax)
    return ax
