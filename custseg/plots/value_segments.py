"""Pictures of retention, satisfaction, demand and budgets by segment."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt

from custseg.errors import ParameterError, check_option

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from custseg.value.cohorts import Retention

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


def short(value: float) -> str:
    """Return a number in at most four characters or so: 950, 12k, 3.4M."""
    for unit, sign in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            scaled = value / unit
            return f"{scaled:.1f}{sign}" if abs(scaled) < 10 else f"{scaled:.0f}{sign}"
    return f"{value:.0f}"
