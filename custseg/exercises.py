"""Check the answers to exercises, whatever their rounding, their order, the names of segments.

Right answers are kept as salted hashes, so that nobody reads one by accident. They keep no secret
from somebody who searches for it, and need not: the solutions are published.
"""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from math import ceil, floor, isfinite, log10
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from custseg.errors import DataError, ParameterError, nearest

RECORD = "CUSTSEG_RECORD_ANSWERS"
"""Environment variable: the file to which `check` writes answers when solutions are executed."""

_SHIPPED = Path(__file__).parent / "reporting" / "notebooks"
_CHECKOUT = Path(__file__).parents[1] / "notebooks"
ANSWERS = (_SHIPPED if _SHIPPED.is_dir() else _CHECKOUT) / "exercises" / "answers.json"

DIGITS = 3
MAX_NUMBERS = 50
_NEARBY = 50

Entry = dict[str, Any]


def check(exercise: str, answer: Any) -> None:
    """Say whether an answer to an exercise is right, and what to try if it is not.

    Parameters
    ----------
    exercise
        The exercise's name, such as ``"03-1"``.
    answer
        A whole number must be exact, any other number right to three significant digits. Words
        and collections of words may be in any order and case. A mapping or Series of numbers is
        compared name by name. Segments, one label per customer, may have any names; a Series
        with customers in its index may have them in any order, plain labels must be sorted by
        customer. The dots ``...`` stand for no answer yet.

    Raises
    ------
    ParameterError
        When there is no such exercise.

    Examples
    --------
    >>> check("03-1", ...)
    Exercise 03-1: no answer yet. Replace the dots by your answer.
    """
    if getattr(answer, "ndim", None) == 0:
        answer = answer.item()
    if record := os.environ.get(RECORD):
        with Path(record).open("a", encoding="utf-8") as file:
            file.write(json.dumps({exercise: describe_answer(exercise, answer)}) + "\n")
        verdict = "correct."
    else:
        verdict = _judge(exercise, answer, _find(exercise))
    print(f"Exercise {exercise}: {verdict}")  # noqa: T201


def _judge(exercise: str, answer: Any, entry: Entry) -> str:
    if answer is ...:
        return "no answer yet. Replace the dots by your answer."
    wrong = compare_answer(exercise, answer, entry)
    return f"not yet. {wrong} Hint: {entry['hint']}" if wrong else "correct."


def _find(exercise: str) -> Entry:
    answers = json.loads(ANSWERS.read_text(encoding="utf-8"))
    if exercise not in answers:
        hint = nearest(exercise, answers)
        raise ParameterError(
            f"There is no exercise {exercise!r}.{hint} There are: {', '.join(answers)}."
        )
    return dict(answers[exercise])


def describe_answer(exercise: str, answer: Any) -> Entry:
    """Return what is kept of a right answer: its kind, its hashes and what hints need.

    Parameters
    ----------
    exercise
        The exercise's name: the salt.
    answer
        A number, a word, a list or set of words, at most 50 numbers by name in a mapping or
        Series, or segments: a Series or array with one label per customer.

    Returns
    -------
    dict
        Ready for JSON: ``kind`` is ``"number"``, ``"numbers"``, ``"words"`` or ``"segments"``.

    Raises
    ------
    DataError
        When the answer is of another kind, or a number is not finite.

    Examples
    --------
    >>> entry = describe_answer("03-1", 0.2519)
    >>> entry["kind"], entry["step"], len(entry["hashes"])
    ('number', 0.001, 2)
    """
    if _is_number(answer):
        return _describe_number(exercise, answer)
    if not hasattr(answer, "dtype") and (words := _words(answer)):
        return {"kind": "words", "hashes": sorted(_hash(exercise, word) for word in words)}
    numbers = _numbers(answer)
    if 0 < len(numbers) <= MAX_NUMBERS:
        named = {
            _hash(exercise, name): _describe_number(f"{exercise} {name}", number)
            for name, number in numbers.items()
        }
        return {"kind": "numbers", "named": dict(sorted(named.items()))}
    labels = _labels(answer)
    if not labels:
        raise DataError(
            f"The answer to exercise {exercise} is a {type(answer).__name__} that cannot be kept: "
            f"give a number, words, at most {MAX_NUMBERS} named numbers, or segments."
        )
    return {
        "kind": "segments",
        "customers": len(labels),
        "segments": max(labels) + 1,
        "hash": _hash(exercise, str(labels)),
    }


def compare_answer(exercise: str, answer: Any, entry: Entry) -> str:
    """Return what is wrong with an answer, or an empty string when it is right.

    Parameters
    ----------
    exercise
        The exercise's name: the salt.
    answer
        See `check`.
    entry
        What `describe_answer` returned for the right answer.

    Examples
    --------
    >>> entry = describe_answer("03-1", 0.2519)
    >>> compare_answer("03-1", 0.252, entry)
    ''
    >>> compare_answer("03-1", 25.19, entry)
    'This looks like a percentage; a share between 0 and 1 is asked for.'
    """
    if entry["kind"] == "number":
        if not _is_number(answer):
            return f"A number is asked for, and this is a {type(answer).__name__}."
        return _compare_number(exercise, float(answer), entry)
    compare = {"words": _compare_words, "numbers": _compare_numbers, "segments": _compare_segments}
    return compare[entry["kind"]](exercise, answer, entry)


def _hash(salt: str, text: str) -> str:
    return sha256(f"{salt}: {text}".encode()).hexdigest()[:16]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _words(answer: Any) -> set[str]:
    """Return the words of an answer, without case and blanks around; none when it holds others."""
    parts = answer.tolist() if hasattr(answer, "tolist") else answer
    parts = parts if isinstance(parts, list | tuple | set | frozenset) else [parts]
    if not all(isinstance(part, str | bool) for part in parts):
        return set()
    return {str(part).strip().casefold() for part in parts}


def _numbers(answer: Any) -> dict[str, Any]:
    """Return the named numbers of a mapping or Series; none when it holds others."""
    if not hasattr(answer, "items") or getattr(answer, "ndim", 1) != 1:
        return {}
    numbers = {str(name).strip().casefold(): value for name, value in answer.items()}
    return numbers if all(_is_number(value) for value in numbers.values()) else {}


def _labels(answer: Any) -> list[int]:
    """Return segments as numbers in the order in which they appear, customers in their order."""
    import pandas as pd

    if not isinstance(answer, list | tuple | Mapping) and getattr(answer, "ndim", 0) != 1:
        return []
    labels = pd.Series(answer)
    if not labels.index.is_unique:
        raise DataError("A customer stands twice in the answer: give one label per customer.")
    codes, _ = pd.factorize(labels.sort_index())
    return [int(code) for code in codes]


def _describe_number(salt: str, value: Any) -> Entry:
    """Return the step of a grid and hashes of the places on it that are within one step."""
    number = float(value)
    if not isfinite(number):
        raise DataError(f"The answer to exercise {salt} is {number}, but must be finite.")
    exact = isinstance(value, Integral)
    magnitude = floor(log10(abs(number))) if number else 0
    step = 1.0 if exact else 10.0 ** (magnitude - DIGITS + 1)
    places = {floor(number / step), ceil(number / step)}
    hashes = [_hash(salt, str(place)) for place in sorted(places)]
    return {"kind": "number", "exact": exact, "step": step, "hashes": hashes}


def _fits(salt: str, number: float, entry: Entry, *, within: int = 0) -> bool:
    """Return whether a number is on one of the right places, or so many places beside it."""
    if not isfinite(number / entry["step"]) or (entry["exact"] and number != round(number)):
        return False
    place = round(number / entry["step"])
    nearby = range(place - within, place + within + 1)
    return any(_hash(salt, str(at)) in entry["hashes"] for at in nearby)


def _compare_number(salt: str, number: float, entry: Entry) -> str:
    if _fits(salt, number, entry):
        return ""
    if _fits(salt, -number, entry):
        return "The size is right, the sign is not."
    if not entry["exact"]:
        for other, words in [
            (number / 100, "This looks like a percentage; a share between 0 and 1 is asked for."),
            (number * 100, "This looks like a share; a percentage is asked for."),
            (1 - number, "One minus this would be right: this is the share of the others."),
        ]:
            if _fits(salt, other, entry):
                return words
    if _fits(salt, number, entry, within=_NEARBY):
        precision = "the exact count" if entry["exact"] else f"{DIGITS} significant digits"
        return f"Close, but not equal; {precision} is asked for."
    return "The number is another one."


def _compare_words(salt: str, answer: Any, entry: Entry) -> str:
    given = {_hash(salt, word) for word in _words(answer)}
    right, asked = len(given & set(entry["hashes"])), len(entry["hashes"])
    if right == asked == len(given):
        return ""
    if asked == 1:
        return "The word is another one." if given else "A word is asked for."
    return f"{right} of {asked} words are there, and {len(given) - right} others."


def _compare_numbers(salt: str, answer: Any, entry: Entry) -> str:
    named, given = entry["named"], _numbers(answer)
    if not given:
        return "Named numbers are asked for: a Series or a dictionary."
    found = {name: _hash(salt, name) for name in given}
    if missing := len(set(named) - set(found.values())):
        return f"{missing} of the {len(named)} names are not there."
    if strange := [name for name, key in found.items() if key not in named]:
        return f"{strange[0]!r} is not asked for."
    for name, key in found.items():
        if wrong := _compare_number(f"{salt} {name}", float(given[name]), named[key]):
            return f"{name!r}: {wrong}"
    return ""


def _compare_segments(salt: str, answer: Any, entry: Entry) -> str:
    labels = _labels(answer)
    if not labels:
        return "Segments are asked for: one label per customer."
    if len(labels) != entry["customers"]:
        return f"{entry['customers']:,} customers are asked for, and these are {len(labels):,}."
    if max(labels) + 1 != entry["segments"]:
        return f"{entry['segments']} segments are asked for, and these are {max(labels) + 1}."
    if _hash(salt, str(labels)) == entry["hash"]:
        return ""
    return "Some customers stand in another segment."
