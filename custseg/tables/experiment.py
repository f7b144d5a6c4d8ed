"""The customers of a campaign with the arm each was assigned to, and who is in no arm or in two."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any

import narwhals as nw

from custseg._engine import day_number, to_lazy
from custseg.audit import ASIDE, DAY, Audit, Check, Rules, account_for
from custseg.checks import (
    dates,
    duplicates,
    is_blank,
    labels,
    missing,
    outliers,
    plain,
    plausible_days,
    repeated_id,
)
from custseg.errors import check_columns
from custseg.tables._roles import (
    choose,
    cleaned,
    describe,
    read_time,
    refuse_empty,
    roles_of,
)

POLICIES = {
    "duplicates": ("drop", "keep"),
    "missing_id": ("drop", "keep"),
    "missing_arm": ("drop", "keep"),
    "two_arms": ("drop", "keep"),
    "repeated_id": ("first", "latest", "keep"),
    "future": ("drop", "keep"),
    "inconsistent_labels": ("keep", "unify"),
}
"""What may be done about each finding; the first is the default."""


@dataclass(frozen=True, repr=False, eq=False)
class Experiment:
    """A campaign's customers with the arm each was assigned to.

    Parameters
    ----------
    data
        Any table that `Transactions` takes; one row per customer.
    arm
        The column that says which arm.
    customer_id, timestamp
        Who, and when assigned.
    outcomes
        The columns of numbers that the campaign is judged by.

    Examples
    --------
    >>> import pandas as pd
    >>> sent = pd.DataFrame({"group": ["control", "offer"], "spend": [0.0, 12.5]})
    >>> Experiment(sent, arm="group", outcomes=["spend"])
    Experiment(arm='group', outcomes=('spend',))
    """

    data: InitVar[Any]
    _: KW_ONLY
    arm: str
    customer_id: str | None = None
    timestamp: str | None = None
    outcomes: Sequence[str] = ()
    frame: nw.LazyFrame = field(init=False)
    account: Audit | None = field(init=False, default=None)

    def __post_init__(self, data: Any) -> None:
        object.__setattr__(self, "outcomes", tuple(self.outcomes))
        where = "the experiment"
        frame = to_lazy(data)
        named = [*roles_of(self).values(), *self.outcomes]
        check_columns(frame.collect_schema().names(), named, where=where)
        refuse_empty(frame, where=where)
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
        duplicates: str = "drop",
        missing_id: str = "drop",
        missing_arm: str = "drop",
        two_arms: str = "drop",
        repeated_id: str = "first",
        future: str = "drop",
        inconsistent_labels: str = "keep",
        as_of: Any = None,
    ) -> "Experiment":
        """Set rows aside by the audit's rules.

        Policies are ``"drop"`` or ``"keep"`` and what is named below. Rows with missing outcomes
        or times are only marked: whoever measures an effect has to say what they count for.

        Parameters
        ----------
        duplicates
            Further copies of a row.
        missing_id
            Rows without a customer, where the role is named.
        missing_arm
            Rows without an arm.
        two_arms
            All rows of customers who are in more than one arm. Where they are many, or more in
            one arm than in another, the assignment is broken and no cleaning mends it.
        repeated_id
            Further rows of a customer in one arm: ``"first"`` leaves the first by `timestamp`,
            then by value, ``"latest"`` the last.
        future, as_of
            As in `Transactions.clean`, by `timestamp`.
        inconsistent_labels
            ``"unify"`` writes arms that differ only by case or outer blanks as they are written
            most often.

        Returns
        -------
        Experiment
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
            "missing_arm": missing_arm,
            "two_arms": two_arms,
            "repeated_id": repeated_id,
            "future": future,
            "inconsistent_labels": inconsistent_labels,
        }
        return cleaned(self, self._rules(as_of, policies))

    def _rules(self, as_of: Any, policies: Mapping[str, str]) -> Rules:
        chosen = choose(policies, POLICIES)
        frame, columns = self.frame, self.frame.collect_schema().names()
        if self.timestamp:
            what = f"column {self.timestamp!r} (role timestamp) of the experiment"
            frame = frame.with_columns(nw.col(self.timestamp).alias("_time"))
            frame = read_time(frame, "_time", what=what).with_columns(
                day_number("_time").alias(DAY)
            )
        checks = [duplicates(columns, chosen["duplicates"])]
        if self.customer_id:
            nobody = "rows without a customer join nothing"
            checks.append(missing(frame, self.customer_id, chosen["missing_id"], nobody, role="id"))
        if self.timestamp:
            policies = chosen | {"impossible_date": "keep"}
            checks += dates(
                plausible_days(frame, as_of), policies, role="timestamp", missing="keep"
            )
        remedy = "who was in no arm cannot be compared"
        checks.append(missing(frame, self.arm, chosen["missing_arm"], remedy, role="arm"))
        if self.customer_id:
            checks.append(_two_arms(self.customer_id, self.arm, chosen["two_arms"]))
            time = "_time" if self.timestamp else None
            checks.append(
                repeated_id(columns, chosen["repeated_id"], time=time, customer=self.customer_id)
            )
        checks.append(labels(frame, [self.arm], chosen["inconsistent_labels"]))
        if self.outcomes:
            blank = nw.any_horizontal(
                *(is_blank(frame, name) for name in self.outcomes), ignore_nulls=False
            )
            remedy = (
                "find out why: outcomes missing in one arm more than in another bias the effect"
            )
            numbers = [name for name in self.outcomes if frame.collect_schema()[name].is_numeric()]
            checks += [
                Check("missing_outcomes", blank, "keep", remedy),
                outliers(frame, numbers),
            ]
        return Rules(frame, checks, columns, self.customer_id)


def _two_arms(customer: str, arm: str, policy: str) -> Check:
    """Mark all rows of customers who are in more than one arm."""
    owned = ~nw.col(ASIDE) & ~nw.col(customer).is_null()

    def prepare(frame: nw.LazyFrame) -> nw.LazyFrame:
        name = plain(nw.col(arm).cast(nw.String))
        return frame.with_columns(nw.when(owned).then(name).alias("_arm"))

    first, last = (nw.col("_arm").min().over(customer), nw.col("_arm").max().over(customer))
    return Check(
        "two_arms",
        owned & (first != last),
        policy,
        "who got two treatments shows the effect of neither; many of them mean that the "
        "assignment is broken",
        prepare=prepare,
    )
