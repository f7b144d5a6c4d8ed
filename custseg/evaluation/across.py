"""How segments split, merge and persist from one number of segments to the next."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import xlogy

from custseg.errors import DataError, ParameterError
from custseg.results import Result


@dataclass(frozen=True, repr=False, eq=False)
class StabilityAcross(Result):
    """Segments followed through a series of solutions; made by `stability_across`.

    Parameters
    ----------
    segments
        One row per labelling and segment, see `stability_across`.
    flows
        ``labelling``, ``segment``, ``parent`` (a segment of the labelling before), ``n`` customers
        who went from one to the other, and their ``share`` of the segment.
    notes
        Caveats.
    """

    segments: pd.DataFrame
    flows: pd.DataFrame
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "solutions.stability_across"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per labelling and segment."""
        return self.segments

    def summary(self) -> str:
        """Return how many segments persist, and which is the most made up of others."""
        known = self.segments.dropna(subset="slsa")
        last = known[known["labelling"] == known["labelling"].iloc[-1]]
        kept = int((last["slsa"] >= PERSISTS).sum())
        least = known.loc[known["slsa"].idxmin()]
        return (
            f"{kept} of {len(last)} segments of {last['labelling'].iloc[0]} come from one segment "
            f"before (stability of {PERSISTS:g} or more); the most mixed of all is "
            f"{least['segment']} of {least['labelling']} ({least['slsa']:.2f})"
        )


PERSISTS = 0.8


def stability_across(labelings: pd.DataFrame) -> StabilityAcross:
    """Follow segments through a series of solutions, from few segments to many.

    The segment level stability across solutions (SLSA) of a segment is one minus the entropy of
    its customers' segments in the labelling before, over the largest possible: 1 where all come
    from one segment, 0 where they come from all alike. A segment that persists, or that a larger
    one splits off as a whole, has 1; one that is newly gathered from several has less.

    Parameters
    ----------
    labelings
        One column per labelling, in order of increasing numbers of segments; one row per customer;
        missing where a customer is in none.

    Returns
    -------
    StabilityAcross
        ``to_frame()`` has ``labelling``, ``segment``, ``n``, ``parent`` (the segment before from
        which most come), ``parent_share`` (how many of them), ``kept_share`` (how much of the
        parent came along), ``entropy`` (natural logarithm) and ``slsa``; missing in the first
        labelling, and ``slsa`` where the labelling before has one segment.

    Raises
    ------
    DataError
        If a labelling has no segment.
    ParameterError
        If there are fewer than two labelings, or they are not in order.

    References
    ----------
    Dolnicar & Leisch (2017), Marketing Letters 28, 423-436.

    Examples
    --------
    >>> labelings = pd.DataFrame({"k=2": list("aaaabb"), "k=3": list("xxyyyz")})
    >>> stability_across(labelings).to_frame()[["segment", "parent", "slsa"]].round(3).tail(3)
      segment parent   slsa
    2       x      a  1.000
    3       y      a  0.082
    4       z      b  1.000
    """
    table = pd.DataFrame(labelings)
    if table.shape[1] < 2:
        raise ParameterError(
            f"there is {table.shape[1]} labelling, but at least 2 are needed, in order of "
            "increasing numbers of segments."
        )
    rows, flows = [], []
    before: pd.Series | None = None
    for name, column in table.items():
        if not column.notna().any():
            raise DataError(f"the labelling {name!r} puts nobody into a segment.")
        if before is not None and column.nunique() < before.nunique():
            raise ParameterError(
                f"the labelling {name!r} has {column.nunique()} segments and {before.name!r}, "
                f"before it, {before.nunique()}. Order the columns by their number of segments."
            )
        for segment, members in column.groupby(column, observed=True).groups.items():
            row = {"labelling": name, "segment": segment, "n": len(members)}
            if before is not None:
                counts = before.loc[members].value_counts()
                counts = counts[counts > 0].sort_index().sort_values(ascending=False, kind="stable")
                row |= _origin(counts, before)
                flows.append(
                    pd.DataFrame(
                        {
                            "labelling": name,
                            "segment": segment,
                            "parent": counts.index,
                            "n": counts.to_numpy(),
                            "share": counts.to_numpy() / counts.sum(),
                        }
                    )
                )
            rows.append(row)
        before = column
    note = (
        "a segment persists across solutions also where a continuum is cut again at the same "
        "place: this picture follows customers, it does not test for gaps."
    )
    return StabilityAcross(pd.DataFrame(rows), pd.concat(flows, ignore_index=True), (note,))


def _origin(counts: pd.Series, before: pd.Series) -> dict[str, object]:
    if counts.empty:
        return {}
    shares = counts.to_numpy() / counts.sum()
    entropy = float(-xlogy(shares, shares).sum()) + 0.0
    largest = np.log(before.nunique())
    parent = counts.index[0]
    return {
        "parent": parent,
        "parent_share": shares[0],
        "kept_share": counts.iloc[0] / (before == parent).sum(),
        "entropy": entropy,
        "slsa": 1 - entropy / largest if largest > 0 else float("nan"),
    }
