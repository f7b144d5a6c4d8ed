"""Small pieces of sentences that the notes and errors of this room share."""

from collections.abc import Iterable


def listed(names: Iterable[object]) -> str:
    """Return names in quotes, separated by commas."""
    return ", ".join(repr(name) for name in names)


def counted(n: int, noun: str) -> str:
    """Return ``"1 customer"`` or ``"1,200 customers"``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def percent(share: float) -> str:
    """Return a share as a percentage, with a decimal below 10% and above 99%."""
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.0%}" if 0.1 <= share <= 0.99 or share in (0, 1) else f"{share:.1%}"
