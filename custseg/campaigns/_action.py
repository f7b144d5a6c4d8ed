"""What the customers of a segment get, and through which channel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from custseg.campaigns._conditions import condition_column
from custseg.errors import ParameterError, check_number

PREFERRED = "(preferred)"


@dataclass(frozen=True, kw_only=True)
class Action:
    """What the customers of a segment get.

    Parameters
    ----------
    offer
        The offer, in words.
    channel
        A channel, or several in the order in which they are tried; ``"(preferred)"`` is the
        customer's own.
    eligible
        Conditions that all must hold, such as ``"recency <= 90"``, ``"country = DE"`` or
        ``"newsletter"`` (a column of truth values) and ``"not complained"``. A missing value never
        makes a customer eligible.
    limit
        The most customers that get it; ``None`` for no limit.

    Raises
    ------
    ParameterError
        If a part is empty or a condition cannot be read.

    Examples
    --------
    >>> Action(offer="10% off", channel="email", eligible="recency <= 90").channel
    ('email',)
    """

    offer: str
    channel: str | Sequence[str] = PREFERRED
    eligible: str | Sequence[str] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.offer, str) or not self.offer.strip():
            raise ParameterError(f"offer is {self.offer!r}, but must say what is offered.")
        for name in ("channel", "eligible"):
            object.__setattr__(self, name, texts_of(getattr(self, name), name))
        if not self.channel:
            raise ParameterError("channel is empty: name one, or '(preferred)'.")
        for condition in self.eligible:
            condition_column(condition)
        for channel in self.channel:
            if "," in channel:
                raise ParameterError(f"channel {channel!r} holds a comma: give several as a list.")
        if self.limit is not None:
            check_number(self.limit, "limit", ge=1, integer=True)


def texts_of(value: Any, name: str) -> tuple[str, ...]:
    """Return one text or several as several."""
    if not isinstance(value, Iterable):
        raise ParameterError(f"{name} is {value!r}, but must be text, or a list of texts.")
    parts = (value,) if isinstance(value, str) else tuple(value)
    for part in parts:
        if not isinstance(part, str) or not part.strip():
            raise ParameterError(f"{name} holds {part!r}, but must hold text.")
    return parts
