"""Attributes of customers with roles, and which of them cannot be true."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any

import narwhals as nw
import pandas as pd

from custseg._engine import from_day, to_day
from custseg.audit import DAY, Audit, Check, Rules, account_for
from custseg.checks import dates, duplicates, labels, missing, outliers, plausible_days, repeated_id
from custseg.errors import check_columns
from custseg.tables._roles import (
    choose,
    cleaned,
    columns_of,
    describe,
    name_beside,
    read_roles,
    roles_of,
)

POLICIES = {
    "duplicates": ("drop", "keep"),
    "missing_id": ("drop", "keep"),
    "future": ("drop", "keep"),
    "impossible_date": ("keep", "drop"),
    "impossible_age": ("blank", "drop", "keep"),
    "repeated_id": ("first", "latest", "keep"),
    "inconsistent_labels": ("keep", "unify"),
}
"""What may be done about each finding; the first is the default."""

OLDEST = 110
"""No customer is older, in years."""

EARLIEST_BIRTH = 1900
"""The same as a year of birth, where nothing says when the customers were known."""


@dataclass(frozen=True, repr=False, eq=False)
class Customers:
    """Attributes of customers; one row per customer.

    Parameters
    ----------
    data
        Any table that `Transactions` takes.
    customer_id
        The column that says who.
    age, birth_year
        Age in years, or the year of birth.
    sign_up
        The date since which the customer is known.
    income, region, account_id
        Income as a number or a band, where the customer lives, and the company or household that
        the customer belongs to.
    categories
        Further columns of labels, such as gender or the channel of acquisition.

    Notes
    -----
    Engines know no order of categories. ``levels`` has the levels of the columns of a pandas frame
    that are ordered categories, from lowest to highest, for the customer table.

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"id": [1, 1, 2], "years": [30, 30, 170]})
    >>> Customers(people, customer_id="id", age="years").audit().to_frame()[["check", "rows"]]
                     check  rows
    0           duplicates     1
    1           missing_id     0
    2       impossible_age     1
    3          repeated_id     0
    4  inconsistent_labels     0
    """

    data: InitVar[Any]
    _: KW_ONLY
    customer_id: str
    age: str | None = None
    birth_year: str | None = None
    sign_up: str | None = None
    income: str | None = None
    region: str | None = None
    account_id: str | None = None
    categories: Sequence[str] = ()
    frame: nw.LazyFrame = field(init=False)
    account: Audit | None = field(init=False, default=None)
    levels: Mapping[str, Sequence[Any]] = field(init=False)

    def __post_init__(self, data: Any) -> None:
        object.__setattr__(self, "categories", tuple(self.categories))
        frame = read_roles(
            data,
            roles_of(self),
            numbers=("age", "birth_year"),
            time="sign_up",
            where="the customers",
        )
        check_columns(frame.collect_schema().names(), self.categories, where="the customers")
        object.__setattr__(self, "frame", frame)
        object.__setattr__(self, "levels", _ordered_levels(data, roles_of(self)))

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
        future: str = "drop",
        impossible_date: str = "keep",
        impossible_age: str = "blank",
        repeated_id: str = "first",
        inconsistent_labels: str = "keep",
        as_of: Any = None,
    ) -> "Customers":
        """Set rows aside, or blank what cannot be true, by the audit's rules.

        Policies are ``"drop"`` or ``"keep"`` and what is named below.

        Parameters
        ----------
        duplicates
            Further copies of a row.
        missing_id, as_of
            As in `Transactions.clean`.
        future, impossible_date
            Rows whose `sign_up` lies after, or long before, what can be true.
        impossible_age
            Ages below 0 and above 110 years, at `as_of` or else the last sign-up where the year
            of birth is known: ``"blank"`` makes them missing and keeps the customer.
        repeated_id
            Rows of one customer that differ: ``"first"`` leaves the first by `sign_up`, then by
            value, ``"latest"`` the last.
        inconsistent_labels
            ``"unify"`` writes regions and other labels that differ only by case or outer blanks
            as they are written most often.

        Returns
        -------
        Customers
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
            "impossible_age": impossible_age,
            "repeated_id": repeated_id,
            "inconsistent_labels": inconsistent_labels,
        }
        return cleaned(self, self._rules(as_of, policies))

    def _rules(self, as_of: Any, policies: Mapping[str, str]) -> Rules:
        chosen = choose(policies, POLICIES)
        frame, columns = self.frame, columns_of(self.frame)
        nobody = "rows without a customer describe nobody"
        checks = [
            duplicates(columns, chosen["duplicates"]),
            missing(frame, "customer_id", chosen["missing_id"], nobody, role="id"),
        ]
        known, last = frame, None if as_of is None else to_day(as_of, "as_of")
        if self.sign_up:
            span = plausible_days(frame, as_of)
            known, last = frame.filter(nw.col(DAY) <= span[1]), span[1]
            checks += dates(span, chosen, role="sign_up", missing="keep")
        if self.age or self.birth_year:
            checks.append(_impossible_age(roles_of(self), last, chosen["impossible_age"]))
        time = "sign_up" if self.sign_up else None
        checks.append(repeated_id(columns, chosen["repeated_id"], time=time))
        named = [role for role in ("income", "region") if getattr(self, role)]
        checks.append(labels(known, [*named, *self.categories], chosen["inconsistent_labels"]))
        if self.income and frame.collect_schema()["income"].is_numeric():
            checks.append(outliers(known, ["income"]))
        return Rules(frame, checks, frame.collect_schema().names(), "customer_id")


def _ordered_levels(data: Any, roles: Mapping[str, str]) -> dict[str, list[Any]]:
    kinds = data.dtypes.items() if isinstance(data, pd.DataFrame) else ()
    named = {column: role for role, column in roles.items()}
    return {
        named.get(column) or name_beside(roles, str(column)): kind.categories.tolist()
        for column, kind in kinds
        if isinstance(kind, pd.CategoricalDtype) and kind.ordered
    }


def _impossible_age(roles: Collection[str], last: int | None, policy: str) -> Check:
    wrong = {}
    if "age" in roles:
        wrong["age"] = ~nw.col("age").is_between(0, OLDEST) & ~nw.col("age").is_nan()
    if "birth_year" in roles:
        latest = None if last is None else from_day(last).year
        year = nw.col("birth_year")
        bounds = (EARLIEST_BIRTH, 9999) if latest is None else (latest - OLDEST, latest)
        wrong["birth_year"] = ~year.is_between(*bounds) & ~year.is_nan()
    marks = nw.lit(False)
    for rule in wrong.values():
        marks = marks | rule.fill_null(False)
    blanked = {
        role: nw.when(~rule.fill_null(False)).then(nw.col(role)) for role, rule in wrong.items()
    }
    return Check(
        "impossible_age",
        marks,
        policy,
        f"younger than 0 or older than {OLDEST} years; 'blank' makes the age missing",
        repairs=blanked if policy == "blank" else {},
    )
