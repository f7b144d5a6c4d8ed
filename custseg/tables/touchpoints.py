"""Contacts of customers with roles, and what is odd in them."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any

import narwhals as nw

from custseg.audit import DAY, Audit, Rules, account_for
from custseg.checks import dates, duplicates, labels, missing, plausible_days
from custseg.tables._roles import choose, cleaned, columns_of, describe, read_roles, roles_of

POLICIES = {
    "duplicates": ("keep", "drop"),
    "missing_id": ("drop", "keep"),
    "future": ("drop", "keep"),
    "impossible_date": ("keep", "drop"),
    "inconsistent_labels": ("keep", "unify"),
}
"""What may be done about each finding; the first is the default."""

LABELS = ("touchpoint", "channel", "stage")


@dataclass(frozen=True, repr=False, eq=False)
class Touchpoints:
    """Timestamped contacts of customers with named roles.

    Parameters
    ----------
    data
        Any table that `Transactions` takes; one row per contact.
    customer_id, timestamp
        The columns that say who and when.
    touchpoint, channel, stage
        What kind of contact, through which channel, at which stage of the journey.

    Examples
    --------
    >>> import pandas as pd
    >>> visits = pd.DataFrame({"who": ["ann", None], "when": ["2024-01-05", "2024-01-06"]})
    >>> print(Touchpoints(visits, customer_id="who", timestamp="when").audit().summary())
    2 rows in = 1 used + 1 set aside (1 missing_id).
    """

    data: InitVar[Any]
    _: KW_ONLY
    customer_id: str
    timestamp: str
    touchpoint: str | None = None
    channel: str | None = None
    stage: str | None = None
    frame: nw.LazyFrame = field(init=False)
    account: Audit | None = field(init=False, default=None)

    def __post_init__(self, data: Any) -> None:
        frame = read_roles(data, roles_of(self), where="the touchpoints")
        object.__setattr__(self, "frame", frame)

    def __repr__(self) -> str:
        return describe(self)

    def audit(self, *, as_of: Any = None, **policies: str) -> Audit:
        """Say what is odd in the rows, and which rows `clean` would set aside.

        Parameters
        ----------
        as_of, **policies
            As in `clean`; its defaults where nothing is given.
        """
        return account_for(self._rules(as_of, policies))

    def clean(
        self,
        *,
        duplicates: str = "keep",
        missing_id: str = "drop",
        future: str = "drop",
        impossible_date: str = "keep",
        inconsistent_labels: str = "keep",
        as_of: Any = None,
    ) -> "Touchpoints":
        """Set rows aside by the audit's rules; rows without a time always are.

        Parameters
        ----------
        duplicates
            Further copies of a row: ``"keep"``, or ``"drop"`` where the source counts twice.
        missing_id, future, impossible_date, as_of
            As in `Transactions.clean`.
        inconsistent_labels
            ``"unify"`` writes touchpoints, channels and stages that differ only by case or outer
            blanks as they are written most often; ``"keep"`` leaves them.

        Returns
        -------
        Touchpoints
            The remaining rows; its ``account`` is the `Audit`.

        Raises
        ------
        ParameterError
            If a policy is not one of the options.
        DataError
            If no row would remain.
        """
        policies = {
            "duplicates": duplicates,
            "missing_id": missing_id,
            "future": future,
            "impossible_date": impossible_date,
            "inconsistent_labels": inconsistent_labels,
        }
        return cleaned(self, self._rules(as_of, policies))

    def _rules(self, as_of: Any, policies: Mapping[str, str]) -> Rules:
        chosen = choose(policies, POLICIES)
        frame = self.frame
        span = plausible_days(frame, as_of)
        anonymous = "visitors who were not known; they tell of no customer"
        checks = [
            duplicates(columns_of(frame), chosen["duplicates"]),
            missing(frame, "customer_id", chosen["missing_id"], anonymous, role="id"),
            *dates(span, chosen, role="timestamp", missing="drop"),
        ]
        if self.touchpoint:
            remedy = "contacts of no kind count in no share; name them in the source"
            checks.append(missing(frame, "touchpoint", "keep", remedy, role="touchpoint"))
        named = [role for role in LABELS if getattr(self, role)]
        known = frame.filter(nw.col(DAY) <= span[1])
        checks.append(labels(known, named, chosen["inconsistent_labels"]))
        return Rules(frame, checks, frame.collect_schema().names(), "customer_id")
