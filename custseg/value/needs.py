"""Which needs are unmet: importance against satisfaction, by segment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from custseg._labels import ALL
from custseg.errors import DataError, ParameterError, check_number
from custseg.results import Result
from custseg.stats import holm
from custseg.value._answers import check_answers, numbers, read_weights
from custseg.value._segments import by_id, match_segments


@dataclass(frozen=True, repr=False, eq=False)
class NeedsGap(Result):
    """How far satisfaction falls short of importance, need by need and segment by segment.

    Attributes
    ----------
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_segments.needs_map"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment (everybody first) and need.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``need``, ``n``, mean ``importance`` and ``satisfaction``, ``gap`` (their
            difference within customers), ``se``, ``ci_low``, ``ci_high``, ``p_value``, ``p_holm``
            (over the needs of a segment) and ``opportunity``, 0 to 20.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the needs of each segment that fall short, the largest gap first."""
        told = []
        for segment, rows in self._table.groupby("segment", sort=False):
            short = rows[(rows["gap"] > 0) & (rows["p_holm"] < 1 - self.level)]
            short = short.sort_values("gap", ascending=False)
            parts = [f"{row.need} ({row.gap:+.1f})" for row in short.head(3).itertuples()]
            told.append(f"{segment}: {', '.join(parts) or 'no need clearly falls short'}.")
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        columns = ["n", "importance", "satisfaction", "gap", "ci_low", "ci_high", "opportunity"]
        return self._table.set_index(["segment", "need"])[columns]


def needs_gap(
    answers: pd.DataFrame,
    needs: Mapping[str, tuple[str, str]],
    segments: Any = None,
    *,
    scale: tuple[float, float] = (1, 7),
    weights: pd.Series | None = None,
    level: float = 0.95,
) -> NeedsGap:
    """Compare how important a need is with how satisfied customers are with it, by segment.

    Parameters
    ----------
    answers
        One row per customer, indexed by customer_id; both answers on one scale.
    needs
        Name of a need to the columns of its importance and of the satisfaction with it. Customers
        who gave both answers count.
    segments
        As in `custseg.value.satisfaction`.
    scale
        The lowest and the highest possible answer.
    weights
        Survey weights by customer.
    level
        Confidence level of the intervals.

    Returns
    -------
    NeedsGap
        The gap is importance minus satisfaction of the same customer, with Student's t interval
        of a paired difference. `opportunity` is Ulwick's score: with both as the share of answers
        in the upper two fifths of the scale, times 10, importance + max(importance - satisfaction,
        0); from 10 on a need is commonly called underserved.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If answers are no numbers or outside the scale, or nobody gave both answers.
    ParameterError
        If `needs` or `scale` is not as described.

    References
    ----------
    Ulwick, A. W. (2002), Turn customer input into innovation, Harvard Business Review 80(1),
    91-97.

    Examples
    --------
    >>> import pandas as pd
    >>> answers = pd.DataFrame({
    ...     "advice_matters": [7, 6, 7, 5], "advice_good": [3, 4, 2, 5],
    ... })
    >>> found = needs_gap(answers, {"advice": ("advice_matters", "advice_good")})
    >>> found.to_frame()[["need", "importance", "satisfaction", "gap", "opportunity"]]
         need  importance  satisfaction   gap  opportunity
    0  advice        6.25           3.5  2.75         17.5
    """
    check_number(level, "level", gt=0, lt=1)
    if np.shape(scale) != (2,):
        raise ParameterError(
            f"scale is {scale!r}, but must be the lowest and the highest answer, such as (1, 7)."
        )
    low, high = scale
    check_number(low, "the start of scale")
    check_number(high, "the end of scale", gt=low)
    pairs = _check_needs(needs)
    columns = list(dict.fromkeys(name for pair in pairs.values() for name in pair))
    table = numbers(check_answers(answers), columns)
    outside = (table < low) | (table > high)
    if outside.any(axis=None):
        name = outside.any().idxmax()
        value = table.loc[outside[name], name].iloc[0]
        raise DataError(
            f"column {name!r} of answers is {value:g} in {int(outside[name].sum()):,} answers, "
            f"outside {low:g} to {high:g}. Make codes such as 99 missing first, or give scale=."
        )
    labels, notes = match_segments(segments, table.index)
    table = by_id(table)
    labels = labels.reindex(table.index)
    w = read_weights(weights, table.index)
    top = low + 0.6 * (high - low)
    rows = []
    for name in dict.fromkeys([ALL, *labels.cat.categories]):
        inside = (labels.notna() if name == ALL else labels == name).to_numpy()
        for need, pair in pairs.items():
            both = table[list(pair)].to_numpy()
            known = inside & ~np.isnan(both).any(axis=1) & (w > 0)
            if not known.any():
                raise DataError(f"nobody in {name!r} gave both answers on {need!r}. Leave it out.")
            numbers_of = _gap(both[known], w[known], top, level)
            rows.append({"segment": name, "need": need, **numbers_of})
    frame = pd.DataFrame(rows)
    p_holm = frame.groupby("segment", sort=False)["p_value"].transform(holm)
    frame.insert(frame.columns.get_loc("p_value") + 1, "p_holm", p_holm)
    told = (
        "importance is answered higher than satisfaction by habit: compare the gaps of needs and "
        "of segments with each other, rather than with 0."
    )
    return NeedsGap(frame, level, (*notes, told))


def _check_needs(needs: Any) -> dict[str, tuple[str, str]]:
    valid = isinstance(needs, Mapping) and len(needs) > 0
    valid = valid and all(np.shape(pair) == (2,) and pair[0] != pair[1] for pair in needs.values())
    if not valid:
        raise ParameterError(
            "needs must be a dictionary from name to two columns, importance and satisfaction, "
            "such as {'advice': ('advice_matters', 'advice_good')}."
        )
    return {name: (pair[0], pair[1]) for name, pair in needs.items()}


def _gap(both: np.ndarray, w: np.ndarray, top: float, level: float) -> dict[str, float]:
    n, total = len(both), w.sum()
    importance, satisfied = w @ both / total
    gaps = both[:, 0] - both[:, 1]
    gap = w @ gaps / total
    se = np.sqrt((w**2 @ (gaps - gap) ** 2) / total**2 * n / (n - 1)) if n > 1 else np.nan
    half = stats.t.isf((1 - level) / 2, n - 1) * se if n > 1 else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = 2 * stats.t.sf(np.abs(np.divide(gap, se)), n - 1) if n > 1 else np.nan
    shares = 10 * (w @ (both >= top) / total)
    return {
        "n": n,
        "importance": importance,
        "satisfaction": satisfied,
        "gap": gap,
        "se": float(se),
        "ci_low": float(gap - half),
        "ci_high": float(gap + half),
        "p_value": float(p_value),
        "opportunity": float(shares[0] + max(shares[0] - shares[1], 0)),
    }
