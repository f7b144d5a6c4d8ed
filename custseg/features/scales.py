"""Rating items of a survey: reversed items, response style, and how reliable their scales are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from custseg.errors import check_columns, check_number
from custseg.features._answers import (
    AnswerRange,
    bounds,
    check_items,
    check_range,
    check_scales,
    read_answers,
)
from custseg.results import Result
from custseg.stats.scores import cronbach_alpha
from custseg.tables import Survey


def reverse_code(
    answers: pd.DataFrame, items: Sequence[str], *, answer_range: AnswerRange = (1, 7)
) -> pd.DataFrame:
    """Turn round the answers to items that are worded against their scale.

    Parameters
    ----------
    answers
        Customers x items, numbers.
    items
        The columns to turn round.
    answer_range
        The lowest and the highest answer that was possible, or item to such a pair.

    Returns
    -------
    pandas.DataFrame
        `answers` with lowest + highest - answer in these columns.

    Raises
    ------
    ColumnError
        If an item is missing.
    DataError
        If an answer is outside the range.

    Examples
    --------
    >>> import pandas as pd
    >>> reverse_code(pd.DataFrame({"q1": [1, 7], "q2": [2, 4]}), ["q2"])
       q1  q2
    0   1   6
    1   7   4
    """
    check_columns(answers.columns, items, where="the answers")
    turned = answers.copy()
    for item in items:
        low, high = bounds([item], answer_range, what=item)
        check_range(answers[[item]], low, high)
        turned[item] = low + high - answers[item]
    return turned


def person_center(
    answers: pd.DataFrame, *, standardize: bool = False, min_answered: float = 0.5
) -> pd.DataFrame:
    """Take off each person's own mean answer, so that yea-sayers and nay-sayers compare.

    Parameters
    ----------
    answers
        Customers x items as they were answered: before reversed items are turned round, or the
        mean holds opinions instead of style.
    standardize
        Whether to divide by each person's own standard deviation (divisor n) too, so that people
        who use the whole range and people who keep to its middle compare.
    min_answered
        The smallest share of the items that a person must have answered.

    Returns
    -------
    pandas.DataFrame
        The centred answers; missing for a person below `min_answered`, and when standardised for
        a person who gave one answer to everything.

    References
    ----------
    Fischer, R. & Milfont, T. L. (2010). Standardization in psychological research. International
    Journal of Psychological Research 3(1), 88-96.

    Examples
    --------
    >>> import pandas as pd
    >>> person_center(pd.DataFrame({"q1": [5, 2], "q2": [7, 3], "q3": [6, 1]}))
        q1   q2   q3
    0 -1.0  1.0  0.0
    1  0.0  1.0 -1.0
    """
    check_number(min_answered, "min_answered", gt=0, le=1)
    enough = answers.notna().mean(axis=1) >= min_answered
    away = answers.sub(answers.mean(axis=1).where(enough), axis=0)
    if standardize:
        spread = answers.std(axis=1, ddof=0)
        away = away.div(spread.where(spread > 0), axis=0)
    return away


@dataclass(frozen=True, repr=False, eq=False)
class Reliability(Result):
    """How consistently the items of each scale measure one thing.

    Parameters
    ----------
    scales
        One row per scale: `scale`, `n_items`, `n` (customers who answered all of them), `alpha`
        (Cronbach's) with `ci_low` and `ci_high`, and `mean_correlation` between its items.
    items
        One row per scale and item: `scale`, `item`, `reversed`, `n` (answers), `mean` and `sd` as
        answered, `item_rest` (correlation with the sum of the other items) and
        `alpha_if_deleted`, both after turning round.
    notes
        What to know and what to do.
    """

    scales: pd.DataFrame
    items: pd.DataFrame
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "survey.reliability"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per scale and item."""
        return self.items.copy()

    def summary(self) -> str:
        """Return alpha and its interval per scale."""
        words = [
            f"{row.scale} {row.alpha:.2f} ({row.ci_low:.2f} to {row.ci_high:.2f})"
            if row.alpha == row.alpha
            else f"{row.scale} undefined"
            for row in self.scales.itertuples()
        ]
        return f"Cronbach's alpha: {', '.join(words)}."

    def _shown(self) -> pd.DataFrame:
        return self.items.set_index(["scale", "item"])


def scale_reliability(
    survey: Survey,
    *,
    scales: Mapping[str, Sequence[str]],
    reverse: Sequence[str] = (),
    answer_range: AnswerRange = (1, 7),
    as_of: Any = None,
    level: float = 0.95,
) -> Reliability:
    """Say how reliable each scale is, and what each of its items adds.

    Parameters
    ----------
    survey
        Responses with the role items, one per customer.
    scales
        Name of a scale to its items.
    reverse
        The items that are worded against their scale.
    answer_range
        The lowest and the highest answer that was possible, or item to such a pair.
    as_of
        The last date that counts; ``None`` is the last one present.
    level
        Confidence level of the intervals, between 0 and 1.

    Returns
    -------
    Reliability
        Cronbach's alpha with Feldt's interval by scale, item-rest correlations and alpha without
        each item, all of customers who answered every item of the scale.

    Raises
    ------
    ColumnError
        If an item is not in the survey.
    DataError
        If answers are no numbers or outside the range, or a customer answered twice.

    References
    ----------
    Cronbach, L. J. (1951), Psychometrika 16, 297-334. Feldt, L. S. (1965), Psychometrika 30,
    357-370.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> answers = pd.DataFrame({"who": [1, 2, 3, 4, 5], "thrift": [1, 3, 5, 7, 6],
    ...                         "bargain": [2, 3, 4, 7, 7], "splurge": [7, 6, 3, 1, 1]})
    >>> survey = cs.Survey(answers, customer_id="who", items=["thrift", "bargain", "splurge"])
    >>> found = scale_reliability(survey, scales={"price": survey.items}, reverse=["splurge"])
    >>> print(found.summary())
    Cronbach's alpha: price 0.98 (0.91 to 1.00).
    """
    scales = check_scales(scales, reverse)
    check_items(survey, [item for items in scales.values() for item in items], what="scales")
    ranges = {
        name: bounds(items, answer_range, what=f"the scale {name!r}")
        for name, items in scales.items()
    }
    every = [item for items in scales.values() for item in items]
    rows, _ = read_answers(survey, numbers=every, as_of=as_of)
    blocks, parts, notes = [], [], []
    for name, items in scales.items():
        check_range(rows[items], *ranges[name])
        turned = [item for item in items if item in set(reverse)]
        keyed = reverse_code(rows[items], turned, answer_range=ranges[name]).dropna()
        alpha = cronbach_alpha(keyed, level=level)
        blocks.append((name, len(items), *alpha[3:4], *alpha[:3], _mean_correlation(keyed)))
        part = _item_table(name, rows[items], keyed, turned)
        parts.append(part)
        notes += _notes(name, keyed, part, left_out=len(rows) - len(keyed))
    names = ["scale", "n_items", "n", "alpha", "ci_low", "ci_high", "mean_correlation"]
    table = pd.concat(parts, ignore_index=True)
    return Reliability(pd.DataFrame(blocks, columns=names), table, tuple(notes))


def _item_table(
    scale: str, answers: pd.DataFrame, keyed: pd.DataFrame, turned: Sequence[str]
) -> pd.DataFrame:
    rows = []
    for item in keyed:
        others = keyed.drop(columns=item)
        rest = _correlation(keyed[item].to_numpy(), others.sum(axis=1).to_numpy())
        given = answers[item]
        moments = (int(given.count()), given.mean(), given.std())
        without = cronbach_alpha(others).estimate
        rows.append((scale, item, item in turned, *moments, rest, without))
    names = ["scale", "item", "reversed", "n", "mean", "sd", "item_rest", "alpha_if_deleted"]
    return pd.DataFrame(rows, columns=names)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _mean_correlation(keyed: pd.DataFrame) -> float:
    columns = keyed.to_numpy().T
    pairs = [_correlation(x, y) for i, x in enumerate(columns) for y in columns[:i]]
    return float(np.mean(pairs)) if pairs else float("nan")


def _notes(scale: str, keyed: pd.DataFrame, items: pd.DataFrame, *, left_out: int) -> list[str]:
    notes = []
    if left_out:
        notes.append(
            f"{scale}: {left_out:,} of {left_out + len(keyed):,} customers left an item out and "
            "do not count here; survey_features scores them by the items they answered."
        )
    same = [item for item in keyed if keyed[item].nunique() <= 1]
    if len(keyed.columns) < 2 or len(keyed) < 2 or keyed.sum(axis=1).nunique() == 1:
        notes.append(
            f"{scale}: alpha is undefined, because it takes two items, two customers and sums "
            "that differ."
        )
    elif same:
        notes.append(f"{scale}: everybody answered {', '.join(same)} alike, which tells nothing.")
    notes += [
        f"{scale}: {row.item} runs against the other items (item-rest correlation "
        f"{row.item_rest:.2f}); is it worded the other way round? Then "
        f"{'take it out of' if row.reversed else 'name it in'} reverse."
        for row in items[items["item_rest"] < 0].itertuples()
    ]
    return notes
