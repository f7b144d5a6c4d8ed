"""Read the answers of a survey: one row per customer, nothing later than a date, in bounds."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import narwhals as nw
import pandas as pd

from custseg._engine import collect, from_day, to_day
from custseg.audit import DAY
from custseg.errors import ColumnError, DataError, ParameterError, check_columns
from custseg.tables import Survey, plain_ids

AnswerRange = tuple[float, float] | Mapping[str, tuple[float, float]]


def read_answers(
    survey: Survey, *, numbers: Iterable[str] = (), texts: Iterable[str] = (), as_of: Any = None
) -> tuple[pd.DataFrame, date | None]:
    """Return the answers given by `as_of`, sorted by `customer_id`, and that date.

    Parameters
    ----------
    survey
        Responses with roles.
    numbers, texts
        The columns to read, as floats and as they are.
    as_of
        The last date that counts; ``None`` is the last date present, or no date where the survey
        has no timestamp.

    Raises
    ------
    DataError
        If an item is no number, an id or a time is missing, a customer answered twice, or nobody
        answered by `as_of`.
    """
    numbers, texts = list(dict.fromkeys(numbers)), list(texts)
    schema = survey.frame.collect_schema()
    for name in numbers:
        if not schema[name].is_numeric():
            raise DataError(
                f"item {name!r} of the survey holds {schema[name]}, not numbers. Turn its answers "
                "into numbers first, for example with column.map({'disagree': 1, ...})."
            )
    day = None if as_of is None else to_day(as_of, "as_of")
    times = [nw.col(DAY)] if DAY in schema.names() else []
    values = [nw.col(name).cast(nw.Float64) for name in numbers]
    rows = collect(survey.frame.select("customer_id", *times, *values, *texts))
    _refuse_missing(rows)
    if times:
        day = int(rows[DAY].max()) if day is None else day
        rows = rows[rows[DAY] <= day].drop(columns=DAY)
        if rows.empty:
            raise DataError(f"nobody answered by {from_day(day)}. Choose a later as_of.")
    again = int(rows["customer_id"].duplicated(keep=False).sum())
    if again:
        people = rows["customer_id"][rows["customer_id"].duplicated()].nunique()
        raise DataError(
            f"{people:,} customers answered more than once ({again:,} responses). Keep one "
            "response of each first: survey = survey.clean(), or filter the table yourself."
        )
    rows = rows.set_index(plain_ids(rows["customer_id"])).drop(columns="customer_id")
    rows = rows.sort_index().astype(dict.fromkeys(numbers, "float64"))
    return rows, None if day is None else from_day(day)


def check_items(survey: Survey, items: Iterable[str], *, what: str) -> None:
    """Raise `ColumnError` unless all are among the items of the survey."""
    if not survey.items:
        raise ColumnError(f"{what} need the role items: Survey(data, ..., items=['q1', ...]).")
    check_columns(survey.items, items, where="the survey's items")


def names_in(value: Any, name: str) -> list[str]:
    """Return a list of column names; refuse a bare one, which would be read letter by letter."""
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset | pd.Index):
        raise ParameterError(f"{name} must be a list of columns, such as ['q1', 'q2'].")
    return sorted(value) if isinstance(value, set | frozenset) else list(value)


def check_scales(scales: Mapping[str, Sequence[str]], reverse: Sequence[str]) -> dict[str, list]:
    """Return scale to items; refuse items that are given twice or reversed but in no scale."""
    if not isinstance(scales, Mapping):
        raise ParameterError("scales must name the items of each, as in {'thrift': ['q1', 'q2']}.")
    found = {name: names_in(items, f"the scale {name!r}") for name, items in scales.items()}
    for name, items in found.items():
        if not items or len(set(items)) < len(items):
            raise ParameterError(f"the scale {name!r} must name each of its items once.")
    every = [item for items in found.values() for item in items]
    check_columns(every, names_in(reverse, "reverse"), where="the scales' list of items")
    return found


def bounds(items: Sequence[str], answer_range: AnswerRange, *, what: str) -> tuple[float, float]:
    """Return the lowest and the highest answer that these items share."""
    if isinstance(answer_range, Mapping):
        check_columns(answer_range, items, where="answer_range")
        pairs = {tuple(answer_range[item]) for item in items}
    else:
        pairs = {tuple(answer_range)}
    if len(pairs) > 1:
        shown = " and ".join(f"{pair[0]:g} to {pair[1]:g}" for pair in sorted(pairs))
        raise ParameterError(f"{what} mixes answers {shown}. Bring its items to one range first.")
    low, high = pairs.pop()
    if not low < high:
        raise ParameterError(
            f"answer_range is {low!r} to {high!r}, but must be the lowest and the highest answer, "
            "such as (1, 7)."
        )
    return low, high


def check_range(answers: pd.DataFrame, low: float, high: float) -> None:
    """Raise `DataError` unless all answers are missing or between the bounds."""
    for name in answers:
        wrong = answers[name][(answers[name] < low) | (answers[name] > high)]
        if len(wrong):
            raise DataError(
                f"{name!r} is {wrong.min() if wrong.min() < low else wrong.max():g} in one of "
                f"{len(wrong):,} responses outside {low:g} to {high:g}. Make codes such as 99 "
                "missing first, or give the range that was asked."
            )


def _refuse_missing(rows: pd.DataFrame) -> None:
    words = {"customer_id": "customer_id", DAY: "timestamp"}
    missing = {role: int(rows[name].isna().sum()) for name, role in words.items() if name in rows}
    if any(missing.values()):
        shown = ", ".join(f"{n:,} responses without {role}" for role, n in missing.items() if n)
        raise DataError(f"{shown}. Set them aside first: survey = survey.clean().")
