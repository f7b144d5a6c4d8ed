"""What a tree may ask of a customer: is a number at most this, is a category that one."""

from collections.abc import Sequence
from math import floor, inf, log10
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.clustering._conditions import interval_words
from custseg.errors import DataError
from custseg.features._levels import places, refuse_unknown
from custseg.features._treatments import numbers_of

Matrix = NDArray[np.float64]
MISSING = "(missing)"


class Question(NamedTuple):
    """One question: the column, what kind it is, and the level or levels that it is about.

    ``kind`` is ``"number"``, ``"order"`` (``levels``: all of them, in order) or ``"level"``
    (``levels``: the one that is asked for; `MISSING` for none). ``gaps`` says whether some customer
    lacked the column when the questions were learned.
    """

    column: Any
    kind: str
    levels: tuple[Any, ...] = ()
    gaps: bool = False


def learn_questions(frame: pd.DataFrame, weights: Matrix, min_share: float) -> list[Question]:
    """Return what can be asked of these customers.

    Parameters
    ----------
    frame
        Customers x columns: numbers; booleans, text and categories, whose levels are asked for one
        by one if `min_share` of the customers have them; ordered categories.
    weights
        How many customers each row stands for.
    min_share
        The least share of customers that a segment may have.
    """
    questions = []
    for name in frame:
        values = frame[name]
        gaps = bool(values.isna().any())
        ordered = isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered
        if ordered:
            questions.append(Question(name, "order", tuple(values.cat.categories), gaps))
        elif pd.api.types.is_bool_dtype(values) and not gaps:
            questions.append(Question(name, "level", (True,)))
        elif pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_dtype(values):
            numbers_of(values)
            questions.append(Question(name, "number", (), gaps))
        else:
            shares = pd.Series(weights).groupby(_text(values).to_numpy()).sum() / weights.sum()
            common = sorted(shares[shares >= min_share].index, key=str)
            questions += [Question(name, "level", (level,), gaps) for level in common]
    return questions


def answers(frame: pd.DataFrame, questions: Sequence[Question]) -> Matrix:
    """Return customers x questions: the number, the place in the order, or 1 where it is the level.

    Missing numbers and places count as lower than any other.

    Raises
    ------
    DataError
        If somebody lacks a column that nobody lacked when the questions were learned.
    """
    columns = []
    for question in questions:
        values = frame[question.column]
        if values.isna().any() and not question.gaps:
            raise DataError(
                f"column {question.column!r} has {int(values.isna().sum()):,} missing (NaN) of "
                f"{len(values):,} values, and had none when the rules were learned. Fill them with "
                "a value you can defend, or learn the rules with such customers."
            )
        if question.kind == "number":
            numbers = numbers_of(values)
            columns.append(np.where(np.isnan(numbers), -inf, numbers))
        elif question.kind == "order":
            found = places(values, question.levels)
            refuse_unknown(values, found, question.levels)
            columns.append(np.where(found < 0, -inf, found.astype(float)))
        else:
            columns.append((_text(values) == question.levels[0]).to_numpy(dtype=float))
    return np.column_stack(columns) if columns else np.empty((len(frame), 0))


def _text(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), MISSING)


def round_cut(low: float, high: float) -> float:
    """Return the number with the fewest digits that is at least `low` and below `high`.

    Of several, the one nearest to the middle.

    Examples
    --------
    >>> round_cut(28, 31), round_cut(3, 4), round_cut(0.1234, 0.1412), round_cut(950, 1_260)
    (30.0, 3.0, 0.13, 1000.0)
    """
    if low == -inf:
        return low
    middle = low + (high - low) / 2
    coarsest = floor(log10(max(abs(low), abs(high), 1e-300))) + 1
    for digits in range(-coarsest, 18 - coarsest):
        step = 10.0**-digits
        nearest = [round(round(bound / step) * step, max(digits, 0)) for bound in (middle, low)]
        for cut in nearest:
            if low <= cut < high:
                return float(cut) + 0.0
    return low


def condition_words(
    questions: Sequence[Question], path: Sequence[tuple[int, float, bool]]
) -> list[str]:
    """Return in words what the answers along a path say, column by column.

    Parameters
    ----------
    questions
        As learned.
    path
        From the root: the position of a question, the cut, and whether the answer was at most the
        cut.
    """
    words: list[str] = []
    for column in dict.fromkeys(questions[position].column for position, _, _ in path):
        steps = [step for step in path if questions[step[0]].column == column]
        if questions[steps[0][0]].kind == "level":
            words += _level_words(column, questions, steps)
        else:
            words += _interval(questions[steps[0][0]], steps)
    return words


def _level_words(
    column: Any, questions: Sequence[Question], steps: Sequence[tuple[int, float, bool]]
) -> list[str]:
    said = [(questions[position].levels[0], not at_most) for position, _, at_most in steps]
    if any(level is True for level, _ in said):
        return [f"{column} is {said[0][1]}"]
    yes = [level for level, is_it in said if is_it]
    if yes:
        return [f"{column} is {yes[0]}"]
    no = ", ".join(str(level) for level, _ in said)
    return [f"{column} is not {no}" if len(said) == 1 else f"{column} is none of {no}"]


def _interval(question: Question, steps: Sequence[tuple[int, float, bool]]) -> list[str]:
    name = question.column
    low = max((cut for _, cut, at_most in steps if not at_most), default=None)
    high = min((cut for _, cut, at_most in steps if at_most), default=inf)
    if high == -inf:
        return [f"{name} is missing"]
    if low == -inf and high == inf:
        return [f"{name} is known"]
    levels = question.levels or None
    words = interval_words(name, -inf if low is None else low, high, levels=levels)
    if question.gaps and low is None:
        return [f"({words[0]} or missing)"]
    return words
