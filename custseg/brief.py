"""What a segmentation is for: the goal that its evidence and its decisions are held to."""

from dataclasses import dataclass
from datetime import timedelta

from custseg.errors import ParameterError, check_number


@dataclass(frozen=True, kw_only=True)
class Brief:
    """State, before looking at the data, what a segmentation is for.

    Parameters
    ----------
    goal
        The decision that the segments serve, in one sentence.
    success_metric
        The number by which it will be judged, such as ``"spend per customer"``.
    guardrails
        Numbers that must not get worse.
    min_share
        The smallest share of customers (0 to 1) that is worth a treatment of its own.
    horizon
        How long the segments must hold.

    Raises
    ------
    ParameterError
        If the goal or the success metric is empty, or `min_share` is outside (0, 0.5].

    Examples
    --------
    >>> brief = Brief(goal="choose who gets the spring offer", success_metric="spend")
    >>> brief.min_share
    0.05
    """

    goal: str
    success_metric: str
    guardrails: tuple[str, ...] = ()
    min_share: float = 0.05
    horizon: timedelta | None = None

    def __post_init__(self) -> None:
        for name in ("goal", "success_metric"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ParameterError(f"{name} is {value!r}, but must say something in words.")
        check_number(self.min_share, "min_share", gt=0, le=0.5)
        object.__setattr__(self, "guardrails", tuple(self.guardrails))
