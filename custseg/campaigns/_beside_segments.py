"""Segments that describe customers, laid beside segments that differ in what a campaign does."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from custseg._labels import name_labels
from custseg.campaigns._trial import Matrix
from custseg.campaigns.policy import mean_estimates
from custseg.errors import DataError, ParameterError
from custseg.results import Result

_CHOSEN = (
    "best arms are chosen on the same customers that show what they gain: policy_value says what "
    "acting by either division earns."
)


@dataclass(frozen=True, repr=False, eq=False)
class SideBySide(Result):
    """Where two divisions of the customers agree on what a campaign does, and where not.

    Attributes
    ----------
    table
        The table of `to_frame`.
    counts
        Customers by descriptive segment (rows) and effect-aware segment (columns).
    agreement
        One row per descriptive segment: `segment`, `n`, `main` (the effect-aware segment that most
        of its customers are in), `share_main`, `best_arm` (of the segment as a whole, less cost),
        `share_same_arm` (of its customers whose effect-aware segment has the same best arm) and
        `gained` (outcome less cost per customer that the arms of the effect-aware segments would
        bring more than the segment's own, doubly robust) with `ci_low`, `ci_high`.
    rand
        Adjusted Rand index of the two divisions: 0 by chance, 1 where they are equal.
    notes
        Caveats.
    """

    table: pd.DataFrame
    counts: pd.DataFrame
    agreement: pd.DataFrame
    rand: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "targeting.side_by_side"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per descriptive segment, effect-aware segment and arm.

        Returns
        -------
        pandas.DataFrame
            `segment`, `effect_segment`, `arm`, `n`, `share` (of the descriptive segment), `effect`
            (before cost), `se`, `ci_low`, `ci_high` (95%), `p_value`.
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return in how many segments both agree, and where they do not."""
        rows = self.agreement
        apart = rows.loc[rows["share_same_arm"] < 0.5, "segment"].tolist()
        words = f"; for most customers of {', '.join(apart)} they do not" if apart else ""
        share = (rows["share_same_arm"] * rows["n"]).sum() / rows["n"].sum()
        return (
            f"both divisions give the same arm to {share:.0%} of {rows['n'].sum():,} customers"
            f"{words}. As divisions they are alike to {self.rand:.2f} (adjusted Rand index)."
        )

    def _shown(self) -> pd.DataFrame:
        return self.agreement


def lay_beside(
    segments: pd.Series, aware: pd.Series, scores: pd.DataFrame, cost: Matrix
) -> SideBySide:
    """Return two divisions of the same customers side by side.

    Parameters
    ----------
    segments, aware
        Descriptive and effect-aware labels, indexed by customer id.
    scores
        Doubly robust scores of the customers of `aware`, a column per arm, control first.
    cost
        Of a customer in each arm, (A,).

    Raises
    ------
    ParameterError
        If `segments` is no Series.
    DataError
        If it holds none of the customers, or one twice.
    """
    if not isinstance(segments, pd.Series):
        raise ParameterError(
            f"segments is a {type(segments).__name__}, but must be a Series of labels indexed by "
            "customer id."
        )
    if segments.index.has_duplicates:
        raise DataError("the index of segments repeats customers. Keep one row per customer.")
    labels = name_labels(segments).reindex(aware.index)
    known = labels.notna()
    if not known.any():
        raise DataError(
            "segments assigns none of the customers that effects were measured on. Its index must "
            "hold customer ids."
        )
    labels = labels[known].cat.remove_unused_categories()
    aware, values = aware[known], scores.loc[aware.index[known]].to_numpy()
    net = values - cost
    arms = scores.columns.tolist()
    counts = pd.crosstab(labels.rename("segment"), aware.rename("effect_segment"))
    aware_best = {
        name: int(np.argmax(net[(aware == name).to_numpy()].mean(axis=0)))
        for name in counts.columns
    }
    advised = aware.map(aware_best).to_numpy().astype(int)
    cells, rows = [], []
    for name in counts.index:
        own = (labels == name).to_numpy()
        best = int(np.argmax(net[own].mean(axis=0)))
        inside = advised[own]
        moved = net[own][np.arange(len(inside)), inside] - net[own][:, best]
        gain = mean_estimates(moved[:, None]).iloc[0]
        rows.append(
            {
                "segment": name,
                "n": int(own.sum()),
                "main": counts.columns[int(np.argmax(counts.loc[name]))],
                "share_main": counts.loc[name].max() / own.sum(),
                "best_arm": arms[best],
                "share_same_arm": float((inside == best).mean()),
                "gained": gain["value"],
                "ci_low": gain["ci_low"],
                "ci_high": gain["ci_high"],
            }
        )
        for other in counts.columns:
            both = own & (aware == other).to_numpy()
            if not both.any():
                continue
            found = mean_estimates(values[both][:, 1:] - values[both][:, :1])
            head = {"segment": name, "effect_segment": other, "arm": arms[1:], "n": int(both.sum())}
            head["share"] = both.sum() / own.sum()
            cells.append(pd.DataFrame(head | dict(found.rename(columns={"value": "effect"}))))
    from sklearn.metrics import adjusted_rand_score

    free = () if cost.any() else ("treating is taken to cost nothing: cost=... says otherwise.",)
    return SideBySide(
        pd.concat(cells, ignore_index=True),
        counts,
        pd.DataFrame(rows),
        float(adjusted_rand_score(labels.cat.codes, aware.cat.codes)),
        (_CHOSEN, *free),
    )
