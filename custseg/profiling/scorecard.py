"""The six criteria of a good segmentation, each with the number behind its mark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from custseg._labels import ALL
from custseg.brief import Brief
from custseg.errors import DataError, ParameterError, check_columns, check_number, check_option
from custseg.profiling._customers import read_customers
from custseg.profiling._kinds import infer_kind
from custseg.profiling._material import read_stability
from custseg.profiling._words import listed, percent
from custseg.profiling.membership import FEWEST, Membership, describe_membership
from custseg.results import Result, format_number
from custseg.stats import holm, wilson

CRITERIA = {
    "identifiability": "ten customers or more in every segment",
    "substantiality": "segments",
    "accessibility": "reachable=, whether each customer can be reached, or descriptors=",
    "stability": "stability=cs.evaluation.stability(...)",
    "responsiveness": "impact=, what a campaign did by segment",
    "actionability": "actions=, what is done for each segment",
}
"""The criteria, and what is needed to measure each."""

BOUNDS = {
    "accuracy": 0.8,
    "smallest share": 0.05,
    "least reachable": 0.5,
    "addressable": 0.0,
    "weakest Jaccard": 0.75,
    "median Rand index": 0.8,
    "p of equal effects": 0.05,
    "customers with an action": 0.9,
    "different actions": 2.0,
}
"""What a measure must be at least (a p-value: at most); conventions, not laws."""

ORDER = ("not met", "open", "met")


class Measured(NamedTuple):
    """One number behind a mark."""

    criterion: str
    measure: str
    number: float
    ci_low: float
    ci_high: float
    remark: str


@dataclass(frozen=True, repr=False, eq=False)
class Scorecard(Result):
    """Six criteria with their marks; made by `scorecard`.

    Attributes
    ----------
    table : pandas.DataFrame
        The table of `to_frame`.
    marks : pandas.Series
        By criterion: "met", "not met", "open" (the numbers leave both possible) or "not
        measured"; the worst mark of its measures.
    brief : custseg.Brief
        What the segments are for.
    notes : tuple of str
        What to know before quoting a mark.
    """

    table: pd.DataFrame
    marks: pd.Series
    brief: Brief
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "profiling_decisions.scorecard"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per measure.

        Returns
        -------
        pandas.DataFrame
            ``criterion``; ``measure``; ``number`` with ``ci_low`` and ``ci_high``; the ``bound``
            that it is held against; ``mark``; and ``remark``, what the number is, or what to give
            to have it measured.
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return which criteria are met, open, not met, and not measured."""
        told = [
            f"for {self.brief.goal!r}, {int((self.marks == 'met').sum())} of 6 criteria are met"
        ]
        for mark in ("not met", "open", "not measured"):
            own = self.marks.index[self.marks == mark]
            if len(own):
                told.append(f"{mark}: {', '.join(own)}")
        return "; ".join(told) + "."

    def _shown(self) -> pd.DataFrame:
        return self.table.set_index("criterion")


def scorecard(
    customers: pd.DataFrame,
    segments: Any,
    brief: Brief,
    *,
    variables: Sequence[str] | None = None,
    descriptors: Sequence[str] | None = None,
    reachable: "str | pd.Series | None" = None,
    stability: Any = None,
    impact: Any = None,
    actions: Mapping[str, str | None] | None = None,
    bounds: Mapping[str, float] | None = None,
    level: float = 0.95,
    random_state: int = 0,
) -> Scorecard:
    """Mark a segmentation by the six criteria of Wedel and Kamakura, with the number behind each.

    A number whose interval lies above its bound is met, below it not met, around it open. What is
    not given is "not measured", and the table says what to give.

    Parameters
    ----------
    customers, segments
        As in `profile`.
    brief
        What the segments are for: ``min_share`` bounds the size of the smallest segment,
        ``success_metric`` names the effect, ``horizon`` how long they must hold.
    variables
        The columns that are known of a new customer, ``None`` for all: identifiability is how often
        the fewest questions put customers held out into the right segment (`describe_membership`).
    descriptors
        The columns by which customers can be addressed, such as region, channel and age:
        accessibility is what they tell of the segment beyond the largest one.
    reachable
        Whether each customer can be reached (has agreed, has an address): a column of True and
        False or of 1 and 0, or such a Series by customer id; missing means no. Accessibility is
        also the share of the segment that can be reached least.
    stability
        What `custseg.evaluation.stability` returned: the weakest mean Jaccard similarity (with the
        middle 95% of its resamples) and the median adjusted Rand index; or a number by segment.
    impact
        What a campaign did, from `custseg.CampaignTest`, or its frame (``metric``, ``segment``,
        ``arm``, ``effect``, ``se``): responsiveness is Cochran's test that all segments respond
        alike in the success metric, Holm-adjusted over arms.
    actions
        Segment to what is done for it, ``None`` for nothing yet.
    bounds
        Measure to bound, where the usual one does not fit.
    level
        Confidence level of the intervals.
    random_state
        The seed that decides who is held out.

    Returns
    -------
    Scorecard
        With ``marks`` by criterion and a frame of measures.

    Raises
    ------
    ColumnError
        If a named column is missing.
    DataError
        If labels do not fit the customers, a result is that of other segments, or the impact lacks
        the success metric or segments.
    ParameterError
        If the brief is not a `custseg.Brief`, a measure in `bounds` does not exist, or the impact
        or the actions are none.

    References
    ----------
    Wedel, M. & Kamakura, W. A. (2000), Market Segmentation, 2nd edition, Kluwer, chapter 1.
    Cochran, W. G. (1954), Biometrics 10, 101-129.

    Examples
    --------
    >>> from custseg import Brief
    >>> brief = Brief(goal="choose who gets the offer", success_metric="spend", min_share=0.1)
    >>> customers = pd.DataFrame({"orders": [1, 2, 3, 9] * 30})
    >>> customers["agreed"] = customers["orders"] < 9
    >>> found = scorecard(
    ...     customers,
    ...     ["rare", "rare", "rare", "often"] * 30,
    ...     brief,
    ...     variables=["orders"],
    ...     reachable="agreed",
    ...     actions={"often": "call", "rare": "mail"},
    ... )
    >>> for criterion, mark in found.marks.items():
    ...     print(criterion, mark, sep=": ")
    identifiability: met
    substantiality: met
    accessibility: not met
    stability: not measured
    responsiveness: not measured
    actionability: met
    """
    if not isinstance(brief, Brief):
        raise ParameterError(f"brief is {brief!r}, but must be a custseg.Brief.")
    check_number(level, "level", gt=0, lt=1)
    if bounds is not None and not isinstance(bounds, Mapping):
        raise ParameterError(
            f"bounds is {bounds!r}, but must be a dictionary, such as {{'accuracy': 0.7}}."
        )
    for name, bound in (bounds or {}).items():
        check_option(name, "a measure in bounds", list(BOUNDS))
        check_number(bound, f"bounds[{name!r}]", ge=0)
    check_number(random_state, "random_state", ge=0, integer=True)
    read = read_customers(customers, segments)
    labels = read.segments
    sizes = labels.value_counts(sort=False)
    found = [_smallest(sizes, level)]
    if reachable is not None:
        found.append(_reachable(labels, reachable, read.frame, level))
    for columns, measure in ((variables, _accuracy), (descriptors, _addressable)):
        asked = measure is _accuracy or columns is not None
        if asked and len(sizes) > 1 and sizes.min() >= FEWEST:
            told = describe_membership(
                read.frame, labels, variables=columns, level=level, random_state=random_state
            )
            found.append(measure(told))
    if stability is not None:
        found += _stability(stability, sizes)
    if impact is not None:
        found.append(_responsiveness(impact, brief.success_metric, list(sizes.index)))
    if actions is not None:
        found += _actions(actions, sizes)
    limits = BOUNDS | {"smallest share": brief.min_share} | dict(bounds or {})
    table = _table(found, limits)
    marks = pd.Series(
        {name: _worst(table.loc[table["criterion"] == name, "mark"]) for name in CRITERIA},
        name="mark",
    ).rename_axis("criterion")
    return Scorecard(table, marks, brief, (*_notes(brief), *read.notes))


def _table(found: list[Measured], limits: Mapping[str, float]) -> pd.DataFrame:
    rows = []
    for criterion, needed in CRITERIA.items():
        own = [measure for measure in found if measure.criterion == criterion]
        for measure in own:
            bound = limits[measure.measure]
            rows.append((*measure[:5], bound, _mark(measure, bound), measure.remark))
        if not own:
            nothing = (np.nan, np.nan, np.nan, np.nan)
            rows.append((criterion, "", *nothing, "not measured", f"give {needed}"))
    heads = ["criterion", "measure", "number", "ci_low", "ci_high", "bound", "mark", "remark"]
    return pd.DataFrame(rows, columns=heads)


def _mark(measure: Measured, bound: float) -> str:
    if measure.measure == "p of equal effects":
        return "met" if measure.number < bound else "open"
    if measure.ci_low >= bound:
        return "met"
    return "not met" if measure.ci_high < bound else "open"


def _worst(marks: pd.Series) -> str:
    known = [mark for mark in ORDER if (marks == mark).any()]
    return known[0] if known else "not measured"


def _smallest(sizes: pd.Series, level: float) -> Measured:
    name, n, total = sizes.idxmin(), int(sizes.min()), int(sizes.sum())
    low, high = wilson(n, total, level=level)
    remark = f"{name} has {n:,} of {total:,} customers"
    return Measured("substantiality", "smallest share", n / total, low, high, remark)


def _accuracy(found: Membership) -> Measured:
    row = found.accuracy.loc["typing tool"]
    largest = percent(found.accuracy.loc["largest segment", "accuracy"])
    questions = ", ".join(found.typing_tool.questions)
    remark = (
        f"put right among customers held out by {len(found.typing_tool.questions)} questions "
        f"({questions}); {largest} if everybody were in the largest segment"
    )
    return Measured(
        "identifiability", "accuracy", row["accuracy"], row["ci_low"], row["ci_high"], remark
    )


def _reachable(labels: pd.Series, reachable: Any, frame: pd.DataFrame, level: float) -> Measured:
    if isinstance(reachable, str):
        check_columns(list(frame.columns), [reachable], where="the customer table")
        reachable = frame[reachable]
    if not isinstance(reachable, pd.Series) or infer_kind(reachable) != "binary":
        raise DataError(
            "reachable must be a column, or a Series by customer id, of True and False or 1 and 0."
        )
    missing = int((~labels.index.isin(reachable.index)).sum())
    if missing:
        raise DataError(
            f"reachable says nothing of {missing:,} of {len(labels):,} customers. Give all, for "
            "example with reachable.reindex(customers.index, fill_value=False)."
        )
    known = reachable.reindex(labels.index).astype("boolean").fillna(value=False).astype(bool)
    counts = known.groupby(labels, observed=True).agg(["sum", "size"])
    name = (counts["sum"] / counts["size"]).idxmin()
    n, size = int(counts.loc[name, "sum"]), int(counts.loc[name, "size"])
    low, high = wilson(n, size, level=level)
    remark = f"{n:,} of {size:,} customers of {name} can be reached, the fewest"
    return Measured("accessibility", "least reachable", n / size, low, high, remark)


def _addressable(found: Membership) -> Measured:
    """Return what the columns by which customers are addressed tell beyond the largest segment."""
    row, base = found.accuracy.loc["typing tool"], found.accuracy.loc["largest segment", "accuracy"]
    number, low, high = (row[["accuracy", "ci_low", "ci_high"]] - base) / (1 - base)
    remark = (
        "of the mistakes of putting everybody into the largest segment saved by "
        f"{', '.join(found.typing_tool.questions)}"
    )
    return Measured("accessibility", "addressable", number, low, high, remark)


def _stability(stability: Any, sizes: pd.Series) -> list[Measured]:
    by_segment, _ = read_stability(stability, sizes)
    weakest = min(by_segment, key=lambda name: by_segment[name])
    number = low = high = by_segment[weakest]
    found = []
    if hasattr(stability, "replicates"):
        table = stability.replicates.dropna(subset="jaccard").groupby("segment")["jaccard"]
        theirs = stability.segments.loc[stability.segments["jaccard"].idxmin(), "segment"]
        low, high = table.get_group(theirs).quantile([0.025, 0.975])
        ari = [float(bound) for bound in stability.pair_ari.quantile([0.025, 0.975])]
        remark = "agreement of two resamples, with the middle 95% of pairs"
        measure = "median Rand index"
        found.append(Measured("stability", measure, stability.ari, ari[0], ari[1], remark))
    remark = f"how much of {weakest} comes back when customers are drawn again"
    return [Measured("stability", "weakest Jaccard", number, low, high, remark), *found]


def _responsiveness(impact: Any, metric: str, names: list[str]) -> Measured:
    frame = impact.to_frame() if hasattr(impact, "to_frame") else impact
    if not isinstance(frame, pd.DataFrame):
        raise ParameterError(
            f"impact is {impact!r}, but must be what CampaignTest(segments=...) found, or its "
            "frame."
        )
    check_columns(list(frame), ["metric", "segment", "arm", "effect", "se"], where="the impact")
    metrics = list(dict.fromkeys(frame["metric"]))
    if metric not in metrics:
        raise DataError(
            f"the brief's success metric is {metric!r}, and the impact has {listed(metrics)}. Name "
            "one of these in the brief, or measure that one."
        )
    own = frame[(frame["metric"] == metric) & (frame["segment"].astype(str) != ALL)]
    own = own[own["se"] > 0]
    strangers = sorted(set(own["segment"].astype(str)) - set(names))
    if strangers or own["segment"].nunique() < 2:
        raise DataError(
            "the impact needs effects on at least two of these segments, "
            f"{listed(names)}; it has {listed(own['segment'].unique())}. Give the segments to "
            "CampaignTest(segments=...)."
        )
    p_values, ranges = [], []
    for arm, rows in own.groupby("arm", sort=False):
        weights = 1 / rows["se"] ** 2
        centre = np.average(rows["effect"], weights=weights)
        q = float((weights * (rows["effect"] - centre) ** 2).sum())
        p_values.append(float(stats.chi2.sf(q, len(rows) - 1)))
        low, high = rows.loc[rows["effect"].idxmin()], rows.loc[rows["effect"].idxmax()]
        ranges.append(
            f"{arm}: {format_number(low['effect'])} in {low['segment']} to "
            f"{format_number(high['effect'])} in {high['segment']}"
        )
    adjusted = holm(p_values)
    best = int(adjusted.argmin())
    remark = f"Cochran's test that all segments respond alike in {metric}; {ranges[best]}"
    p = float(adjusted[best])
    return Measured("responsiveness", "p of equal effects", p, np.nan, np.nan, remark)


def _actions(actions: Mapping[str, str | None], sizes: pd.Series) -> list[Measured]:
    if not isinstance(actions, Mapping) or not all(
        action is None or isinstance(action, str) for action in actions.values()
    ):
        raise ParameterError(
            f"actions is {actions!r}, but must be a dictionary from segment to what is done for it "
            "in words, or None, such as {'A': 'call', 'B': None}."
        )
    for name in actions:
        check_option(name, "a segment in actions", list(sizes.index))
    done = {name: action.strip() for name, action in actions.items() if action and action.strip()}
    covered = sum(int(sizes[name]) for name in done) / int(sizes.sum())
    without = [name for name in sizes.index if name not in done]
    remark = f"nothing is planned for {listed(without)}" if without else "every segment has one"
    different = float(len(set(done.values())))
    means = f"{len(set(done.values()))} different actions for {len(sizes)} segments"
    return [
        Measured("actionability", "customers with an action", covered, covered, covered, remark),
        Measured("actionability", "different actions", different, different, different, means),
    ]


def _notes(brief: Brief) -> list[str]:
    conventions = (
        "the bounds are conventions (bounds= changes them): a mark says on which side of one the "
        "number lies, not that the segmentation is good, nor that there are gaps in it."
    )
    if brief.horizon is None:
        return [conventions]
    days = brief.horizon.days
    return [
        conventions,
        f"the segments must hold for {days:,} days: no number here looks at time.",
    ]
