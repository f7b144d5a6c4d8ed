"""Features of what customers say: attitudes, benefits, satisfaction, comments."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from custseg.errors import ParameterError, check_number, check_option
from custseg.features._answers import (
    AnswerRange,
    bounds,
    check_items,
    check_range,
    check_scales,
    names_in,
    read_answers,
)
from custseg.features.comments import comment_themes
from custseg.features.dictionary import Column, attach
from custseg.features.scales import person_center, reverse_code
from custseg.tables import Survey

RESPONSE_STYLES = ("keep", "center", "standardize")
IMPORTANCE = ("rating", "centered", "share")
_SCORES = {
    "nps": "likelihood to recommend, 0 to 10",
    "csat": "satisfaction as answered",
    "ces": "customer effort as answered",
}


def survey_features(
    survey: Survey,
    *,
    as_of: Any = None,
    scales: Mapping[str, Sequence[str]] | None = None,
    reverse: Sequence[str] = (),
    importance: Sequence[str] = (),
    answer_range: AnswerRange = (1, 7),
    response_style: str = "keep",
    importance_as: str = "rating",
    themes: int | Mapping[str, Sequence[str]] | None = None,
    min_answered: float = 0.5,
) -> pd.DataFrame:
    """Turn survey responses into attitudes, benefits, satisfaction and themes per customer.

    Parameters
    ----------
    survey
        Responses, one per customer; columns in: customer_id and, where they are named, timestamp,
        items, nps, csat, ces, comment.
    as_of
        A calendar date: answers after the end of that day do not count. ``None`` is the last date
        present. In a survey without a timestamp all answers count.
    scales
        Name of a scale to its items; its column is the mean of the items answered.
    reverse
        The items of scales that are worded against their scale.
    importance
        The items that rate how important a benefit is.
    answer_range
        The lowest and the highest answer to the items of scales and to importance ratings, or item
        to such a pair.
    response_style
        ``"keep"``; ``"center"`` takes each person's mean answer to all items of the scales off
        before anything is turned round; ``"standardize"`` also divides by the person's spread.
    importance_as
        ``"rating"`` as answered; ``"centered"`` minus the person's mean importance; ``"share"`` of
        the points that the person gave above the lowest answer, equal shares for who gave none.
    themes
        Themes of the comments, as in `comment_themes`; ``None`` for none.
    min_answered
        The smallest share of a scale's items, or of the importance ratings, that makes a value;
        below it the value is missing.

    Returns
    -------
    pandas.DataFrame
        One row per customer who answered by `as_of`, sorted by the unique index `customer_id`. One
        column per scale, importance rating, item that is in neither (as answered), role of `nps`,
        `csat` and `ces`, and theme. ``attrs`` has the date and the data dictionary.

    Raises
    ------
    ColumnError
        If an item is not among the survey's items, or a role is not named.
    DataError
        If answers are no numbers or out of range, an id or a time is missing, a customer answered
        more than once, or nobody answered by `as_of`.
    ParameterError
        If an option does not exist, or two columns would share a name.

    References
    ----------
    Fischer, R. & Milfont, T. L. (2010). Standardization in psychological research. International
    Journal of Psychological Research 3(1), 88-96.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> answers = pd.DataFrame({"who": [7, 9], "bargain": [6, 2], "splurge": [1, 7],
    ...                         "advice": [3, 6], "recommend": [9, 4]})
    >>> survey = cs.Survey(answers, customer_id="who", nps="recommend",
    ...                    items=["bargain", "splurge", "advice"])
    >>> survey_features(survey, scales={"price": ["bargain", "splurge"]}, reverse=["splurge"],
    ...                 importance=["advice"])
                 price  advice  nps
    customer_id
    7              6.5     3.0  9.0
    9              1.5     6.0  4.0
    """
    check_option(response_style, "response_style", RESPONSE_STYLES)
    check_option(importance_as, "importance_as", IMPORTANCE)
    check_number(min_answered, "min_answered", gt=0, le=1)
    scales = check_scales(scales or {}, reverse)
    importance = names_in(importance, "importance")
    in_scales = list(dict.fromkeys(item for items in scales.values() for item in items))
    for items, what in ((in_scales, "scales"), (importance, "importance ratings")):
        if items:
            check_items(survey, items, what=what)
    others = [item for item in survey.items if item not in {*in_scales, *importance}]
    scores = [role for role in _SCORES if getattr(survey, role)]
    _refuse_twins([*scales, *importance, *others, *scores])
    if not (survey.items or scores or themes is not None):
        raise ParameterError(
            "there is nothing to make features of: name items, nps, csat or ces in Survey(...), or "
            "ask for themes."
        )
    rows, day = read_answers(
        survey, numbers=[*in_scales, *importance, *survey.items, *scores], as_of=as_of
    )
    source = "survey" if survey.timestamp else "survey (undated: all answers count)"
    parts = [
        _scale_scores(rows, scales, reverse, answer_range, response_style, min_answered),
        _importances(rows[importance], answer_range, importance_as, min_answered),
        {item: (rows[item], ("psychographic", "ordinal", "answer")) for item in others},
        _satisfaction(rows[scores]),
    ]
    found = {name: value for part in parts for name, value in part.items()}
    table = pd.DataFrame({name: values for name, (values, _) in found.items()}, index=rows.index)
    entries = {name: Column(*about, source) for name, (_, about) in found.items()}
    if themes is not None:
        said = comment_themes(survey, themes, as_of=as_of).weights
        _refuse_twins([*table, *said])
        entries |= {name: Column(**entry) for name, entry in said.attrs["dictionary"].items()}
        table = table.join(said)
    return attach(table, entries, as_of=day)


_Features = dict[str, tuple[pd.Series, tuple[str, str, str]]]


def _scale_scores(
    rows: pd.DataFrame,
    scales: Mapping[str, list],
    reverse: Sequence[str],
    answer_range: AnswerRange,
    response_style: str,
    min_answered: float,
) -> _Features:
    """Return each scale's mean of the items answered, with its part of the dictionary."""
    for name, items in scales.items():
        check_range(rows[items], *bounds(items, answer_range, what=f"the scale {name!r}"))
    every = list(dict.fromkeys(item for items in scales.values() for item in items))
    if response_style == "keep" or not scales:
        keyed = reverse_code(rows[every], reverse, answer_range=answer_range)
        style = ""
    else:
        bounds(every, answer_range, what="the set of scales")
        if len(scales) == 1 and not reverse:
            raise ParameterError(
                "with one scale and no reversed item, nothing of the opinion is left when each "
                "person's mean is taken off. Keep the response style, or name more scales."
            )
        standardize = response_style == "standardize"
        keyed = person_center(rows[every], standardize=standardize, min_answered=min_answered)
        keyed[list(reverse)] *= -1
        style = ", less the person's mean answer to all scales"
        style += ", over the person's standard deviation" if standardize else ""
    found = {}
    for name, items in scales.items():
        needed = int(np.ceil(min_answered * len(items)))
        score = keyed[items].mean(axis=1).where(rows[items].notna().sum(axis=1) >= needed)
        turned = [item for item in items if item in set(reverse)]
        about = f"mean of {len(items)} items"
        about += f" ({', '.join(turned)} reversed)" if turned else ""
        about += f"{style}; at least {needed} answered"
        found[name] = (score, ("psychographic", "numeric", about))
    return found


def _importances(
    ratings: pd.DataFrame, answer_range: AnswerRange, importance_as: str, min_answered: float
) -> _Features:
    if ratings.empty:
        return {}
    low, high = bounds(list(ratings), answer_range, what="importance")
    check_range(ratings, low, high)
    kind, about = "ordinal", f"importance, {low:g} to {high:g}"
    if importance_as == "centered":
        ratings = person_center(ratings, min_answered=min_answered)
        kind, about = "numeric", "importance, less the person's mean importance"
    elif importance_as == "share":
        enough = ratings.notna().mean(axis=1) >= min_answered
        points = ratings - low
        points = points.where(points.sum(axis=1) > 0, points + 1)
        ratings = points.div(points.sum(axis=1).where(enough), axis=0)
        kind, about = "share", "share of the importance that the person gave to all benefits"
    return {name: (ratings[name], ("benefits", kind, about)) for name in ratings}


def _satisfaction(scores: pd.DataFrame) -> _Features:
    if "nps" in scores:
        check_range(scores[["nps"]], 0, 10)
    return {name: (scores[name], ("satisfaction", "ordinal", _SCORES[name])) for name in scores}


def _refuse_twins(names: Sequence[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ParameterError(
            f"two columns would be named {', '.join(map(repr, twins))}. Give scales and themes "
            "names of their own."
        )
