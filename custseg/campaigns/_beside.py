"""What stands beside the effects: tests against a margin, and what is believed of every arm."""

from typing import Any

import numpy as np
import pandas as pd

from custseg._labels import ALL
from custseg.campaigns._cells import Cells
from custseg.campaigns._comparing import Comparison
from custseg.campaigns._moments import Moments
from custseg.campaigns.metrics import Metric
from custseg.campaigns.srm import p_words
from custseg.results import format_number

_ALPHA = 0.05
MARGIN_COLUMNS = ["metric", "segment", "arm", "margin", "effect", "p_not_worse", "p_equivalent"]
POSTERIOR_COLUMNS = [
    *("metric", "segment", "arm", "mean", "ci_low", "ci_high", "p_best", "expected_loss")
]


def margin_rows(
    name: str, metric: Metric, compared: Comparison, moments: Moments, cells: Cells
) -> pd.DataFrame | None:
    """Return the tests of a metric against its margin, by group and treatment arm, if any."""
    if compared.margins is None:
        return None
    enough = (moments.n[:, :1] >= 2) & (moments.n[:, 1:] >= 2)
    below, above, both = compared.margins
    numbers = {
        "effect": compared.difference.effect,
        "p_not_worse": below if metric.better == "higher" else above,
        "p_equivalent": both,
    }
    numbers = {k: np.where(enough, x, np.nan) for k, x in numbers.items()}
    rows = _rows(name, cells, cells.arms[1:], numbers)
    rows.insert(3, "margin", metric.margin)
    return rows


def posterior_rows(
    name: str, metric: Metric, moments: Moments, cells: Cells
) -> pd.DataFrame | None:
    """Return what is believed of every arm of a metric, by group, if it has a model."""
    found = metric.posterior(moments)
    if found is None:
        return None
    enough = (moments.n >= 2).all(axis=1, keepdims=True)
    numbers = {k: np.where(enough, x, np.nan) for k, x in found._asdict().items()}
    return _rows(name, cells, cells.arms, numbers)


def together(parts: list[pd.DataFrame | None], columns: list[str]) -> pd.DataFrame:
    """Return the rows of all metrics as one frame, which has its columns even without rows."""
    rows = [part for part in parts if part is not None]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def margin_notes(margins: pd.DataFrame, control: Any) -> list[str]:
    """Say, for everybody, what was shown against the margin and what was not."""
    notes = []
    for row in margins[margins["segment"] == ALL].dropna().to_dict("records"):
        margin = format_number(row["margin"])
        claims = {
            "p_not_worse": f"not worse than {control} by {margin} or more",
            "p_equivalent": f"less than {margin} from {control}",
        }
        said = [
            f"{'shown' if row[p] < _ALPHA else 'not shown'} to be {claim} ({p_words(row[p])})"
            for p, claim in claims.items()
        ]
        notes.append(f"{row['metric']}: {row['arm']} is {said[0]}, and {said[1]}; at level .05.")
    return notes


def _rows(name: str, cells: Cells, arms: list[Any], numbers: dict[str, np.ndarray]) -> pd.DataFrame:
    groups = [ALL, *cells.segments]
    return pd.DataFrame(
        {
            "metric": pd.Series([name] * len(groups) * len(arms), dtype=str),
            "segment": pd.Series(np.repeat(groups, len(arms)), dtype=str),
            "arm": arms * len(groups),
            **{column: values.ravel() for column, values in numbers.items()},
        }
    )
