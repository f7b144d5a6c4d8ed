"""Rules in words: what must hold of a customer's values."""

from collections.abc import Sequence
from math import inf


def number_words(value: float) -> str:
    """Return a number as one would type it.

    Examples
    --------
    >>> number_words(30.0), number_words(0.1 + 0.2), number_words(1234567.5)
    ('30', '0.3', '1234567.5')
    """
    return f"{value:.15g}"


def interval_words(name: object, low: float = -inf, high: float = inf) -> list[str]:
    """Return in words that a value exceeds `low` and is at most `high`; [] where it may be any.

    Examples
    --------
    >>> interval_words("orders", 2, 5), interval_words("orders", high=2), interval_words("orders")
    (['2 < orders <= 5'], ['orders <= 2'], [])
    """
    if low == -inf and high == inf:
        return []
    if low == -inf:
        return [f"{name} <= {number_words(high)}"]
    if high == inf:
        return [f"{name} > {number_words(low)}"]
    return [f"{number_words(low)} < {name} <= {number_words(high)}"]


def rule_words(conditions: Sequence[str]) -> str:
    """Return the conditions that must all hold as one line.

    Examples
    --------
    >>> rule_words(["orders > 5", "region is North"]), rule_words([])
    ('orders > 5 and region is North', 'everybody')
    """
    return " and ".join(conditions) or "everybody"
