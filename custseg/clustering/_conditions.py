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


def interval_words(
    name: object, low: float = -inf, high: float = inf, *, levels: Sequence[object] | None = None
) -> list[str]:
    """Return in words that a value exceeds `low` and is at most `high`; [] where it may be any.

    Parameters
    ----------
    name
        The name of the column.
    low, high
        The bounds.
    levels
        What the numbers 0, 1, ... stand for, where they are places of ordered levels.

    Examples
    --------
    >>> interval_words("orders", 2, 5), interval_words("orders", high=2), interval_words("orders")
    (['2 < orders <= 5'], ['orders <= 2'], [])
    >>> interval_words("income", 0, levels=["low", "middle", "high"])
    ['income > low']
    """
    bounds = [
        number_words(bound) if levels is None or abs(bound) == inf else str(levels[int(bound)])
        for bound in (low, high)
    ]
    if low == -inf and high == inf:
        return []
    if low == -inf:
        return [f"{name} <= {bounds[1]}"]
    return [f"{name} > {bounds[0]}" if high == inf else f"{bounds[0]} < {name} <= {bounds[1]}"]


def rule_words(conditions: Sequence[str]) -> str:
    """Return the conditions that must all hold as one line.

    Examples
    --------
    >>> rule_words(["orders > 5", "region is North"]), rule_words([])
    ('orders > 5 and region is North', 'everybody')
    """
    return " and ".join(conditions) or "everybody"
