"""What are my columns, can I trust the rows: raw tables with roles, their audit and cleaning.

A raw table names its columns once, as roles. `audit` says what is odd in its rows, `clean` sets
rows aside by the same rules; both account for every row.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any

import narwhals as nw
import pandas as pd

from custseg._engine import collect, day_number, text_to_time, to_lazy
from custseg.audit import (
    DAY,
    TRANSACTION_POLICIES,
    Audit,
    Check,
    common_checks,
    examine,
    examine_kept,
    transaction_checks,
)
from custseg.errors import ColumnError, DataError, check_columns, check_option


@dataclass(frozen=True, repr=False, eq=False)
class Transactions:
    """Order lines with named roles.

    Parameters
    ----------
    data
        A pandas, Polars or PyArrow table, a DuckDB relation, a PySpark frame, an Ibis table, or
        the path of a CSV or Parquet file; one row per order line. It is not changed.
    customer_id, timestamp
        The columns that say who bought and when: a time, a date, ISO text, or whole numbers such
        as 20110131.
    order_id
        The column that says which lines belong together; without it every row is an order.
    line_id
        The column that makes a line unique: rows that share it are duplicates.
    product, category, channel
        What was bought and where.
    quantity, unit_price, amount, discount
        Pieces, money per piece paid, money of the line, share of the list price (0 to 1) taken
        off. Where money is asked, `amount` counts, or `quantity` times `unit_price`.

    Raises
    ------
    ColumnError
        If a named column does not exist.
    DataError
        If the table is empty, a number is text, or times do not parse.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> lines = pd.DataFrame({
    ...     "who": ["ann", "ann", None, "bob"],
    ...     "when": ["2024-01-05", "2024-02-01", "2024-02-02", "2024-02-03"],
    ...     "paid": [20.0, 35.0, 10.0, -35.0],
    ... })
    >>> tx = cs.Transactions(lines, customer_id="who", timestamp="when", amount="paid")
    >>> print(tx.audit().summary())
    4 rows in = 2 used + 2 set aside (1 missing_id, 1 returns).
    >>> cs.features.rfm(tx.clean(), as_of="2024-03-01")[["recency", "frequency", "monetary"]]
                 recency  frequency  monetary
    customer_id
    ann               29          2      55.0
    """

    data: InitVar[Any]
    _: KW_ONLY
    customer_id: str
    timestamp: str
    order_id: str | None = None
    line_id: str | None = None
    product: str | None = None
    category: str | None = None
    channel: str | None = None
    quantity: str | None = None
    unit_price: str | None = None
    amount: str | None = None
    discount: str | None = None
    frame: nw.LazyFrame = field(init=False)
    account: Audit | None = field(init=False, default=None)
    rows: pd.DataFrame | None = field(init=False, default=None)
    """The pandas frame that holds exactly these rows, where there is one."""

    def __post_init__(self, data: Any) -> None:
        roles = _roles(self)
        numbers = ("quantity", "unit_price", "amount", "discount")
        frame = _read_roles(data, roles, numbers=numbers, where="the transactions")
        if self.amount is None and self.quantity is not None and self.unit_price is not None:
            frame = frame.with_columns(amount=nw.col("quantity") * nw.col("unit_price"))
        object.__setattr__(self, "frame", frame)
        if isinstance(data, pd.DataFrame) and set(roles.values()) <= set(data.columns):
            object.__setattr__(self, "rows", data)

    def __repr__(self) -> str:
        return _describe(self)

    def audit(self, **policies: Any) -> Audit:
        """Say what is odd in the rows, and which rows `clean` would set aside.

        Parameters
        ----------
        **policies
            As in `clean`; its defaults where nothing is given.

        Returns
        -------
        Audit
            ``to_frame()`` has one row per check; ``rows_in``, ``rows_used`` and
            ``rows_set_aside`` add up.
        """
        return self._examine(**policies)[0]

    def clean(
        self,
        *,
        duplicates: str = "keep",
        returns: str = "drop",
        nonpositive: str = "drop",
        missing_id: str = "drop",
        future: str = "drop",
        non_products: str = "keep",
        as_of: Any = None,
    ) -> "Transactions":
        """Set rows aside by the audit's rules.

        Every policy is ``"drop"`` or ``"keep"``. Rows without a time, or with a missing or
        infinite amount, are always set aside. A row is counted under the first reason that holds,
        in the order below.

        Parameters
        ----------
        duplicates
            Further copies of a line: rows that share `line_id`, or without that role rows that
            are equal in every column of the source. Two equal lines may be two sales.
        missing_id
            Rows without a customer.
        future
            Rows after `as_of`; when it is ``None``, rows after a silence of more than a year in
            the whole table, if they are less than 1% of it.
        returns
            Rows with a negative quantity and a price, or without quantities a negative amount.
        nonpositive
            Other rows whose amount is zero or less.
        non_products
            Rows whose product code stands for postage, fees, adjustments or tests
            (``custseg.audit.NON_PRODUCTS``).
        as_of
            The last calendar date that can be true.

        Returns
        -------
        Transactions
            The remaining rows; its ``account`` is the `Audit`.

        Raises
        ------
        ParameterError
            If a policy is not one of the options.
        DataError
            If no row would remain.
        """
        account, kept = self._examine(
            duplicates=duplicates,
            returns=returns,
            nonpositive=nonpositive,
            missing_id=missing_id,
            future=future,
            non_products=non_products,
            as_of=as_of,
        )
        if not account.rows_used:
            raise DataError(f"no row would remain: {account.summary()} Keep some of them.")
        cleaned = copy(self)
        object.__setattr__(cleaned, "frame", kept)
        object.__setattr__(cleaned, "account", account)
        if account.rows_used < account.rows_in:
            object.__setattr__(cleaned, "rows", None)
        return cleaned

    def _examine(self, *, as_of: Any = None, **policies: str) -> tuple[Audit, nw.LazyFrame]:
        for name, policy in policies.items():
            check_option(name, "the policy", TRANSACTION_POLICIES)
            check_option(policy, name, ("drop", "keep"))
        policies = TRANSACTION_POLICIES | policies
        checks = common_checks(self.frame, policies, as_of=as_of)
        checks += transaction_checks(self.frame, policies)
        return examine(
            self.frame,
            checks,
            duplicates=policies["duplicates"],
            line="line_id" if self.line_id else None,
            example="order_id" if self.order_id else "customer_id",
        )


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
    2 rows in = 2 used + 0 set aside.
    """

    data: InitVar[Any]
    _: KW_ONLY
    customer_id: str
    timestamp: str
    touchpoint: str | None = None
    channel: str | None = None
    stage: str | None = None
    frame: nw.LazyFrame = field(init=False)

    def __post_init__(self, data: Any) -> None:
        frame = _read_roles(data, _roles(self), where="the touchpoints")
        object.__setattr__(self, "frame", frame)

    def __repr__(self) -> str:
        return _describe(self)

    def audit(self, *, as_of: Any = None) -> Audit:
        """Mark duplicate rows, missing ids and times, and dates after `as_of`; all are kept."""
        return examine_kept(self.frame, as_of=as_of)


@dataclass(frozen=True, repr=False, eq=False)
class Survey:
    """Answers to a survey with named roles; one row per response.

    Parameters
    ----------
    data
        Any table that `Transactions` takes.
    customer_id
        The column that says who answered.
    timestamp
        When.
    items
        The columns of rating items.
    nps, csat, ces, comment
        Likelihood to recommend (0 to 10), satisfaction, effort, and free text.

    Examples
    --------
    >>> import pandas as pd
    >>> answers = pd.DataFrame({"who": ["ann", "bob"], "q1": [3, 4], "recommend": [9, 7]})
    >>> Survey(answers, customer_id="who", items=["q1"], nps="recommend")
    Survey(customer_id='who', items=('q1',), nps='recommend')
    """

    data: InitVar[Any]
    _: KW_ONLY
    customer_id: str
    timestamp: str | None = None
    items: Sequence[str] = ()
    nps: str | None = None
    csat: str | None = None
    ces: str | None = None
    comment: str | None = None
    frame: nw.LazyFrame = field(init=False)

    def __post_init__(self, data: Any) -> None:
        object.__setattr__(self, "items", tuple(self.items))
        numbers = ("nps", "csat", "ces")
        frame = _read_roles(data, _roles(self), numbers=numbers, where="the survey")
        check_columns(frame.collect_schema().names(), self.items, where="the survey")
        object.__setattr__(self, "frame", frame)

    def __repr__(self) -> str:
        return _describe(self)

    def audit(self, *, as_of: Any = None) -> Audit:
        """Mark duplicate rows, missing ids and times, and dates after `as_of`; all are kept."""
        return examine_kept(self.frame, as_of=as_of)


@dataclass(frozen=True, repr=False, eq=False)
class Customers:
    """Attributes of customers; one row per customer.

    Parameters
    ----------
    data
        Any table that `Transactions` takes.
    customer_id
        The column that says who.

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"id": [1, 1, 2], "age": [30, 30, 41]})
    >>> Customers(people, customer_id="id").audit().to_frame()[["check", "rows"]]
            check  rows
    0  duplicates     1
    1  missing_id     0
    """

    data: InitVar[Any]
    _: KW_ONLY
    customer_id: str
    frame: nw.LazyFrame = field(init=False)

    def __post_init__(self, data: Any) -> None:
        frame = _read_roles(data, _roles(self), where="the customers")
        object.__setattr__(self, "frame", frame)

    def __repr__(self) -> str:
        return _describe(self)

    def audit(self) -> Audit:
        """Mark duplicate rows and missing ids; all are kept."""
        return examine_kept(self.frame)


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

    Examples
    --------
    >>> import pandas as pd
    >>> sent = pd.DataFrame({"group": ["control", "offer"], "spend": [0.0, 12.5]})
    >>> Experiment(sent, arm="group")
    Experiment(arm='group')
    """

    data: InitVar[Any]
    _: KW_ONLY
    arm: str
    customer_id: str | None = None
    timestamp: str | None = None
    frame: nw.LazyFrame = field(init=False)

    def __post_init__(self, data: Any) -> None:
        where = "the experiment"
        frame = to_lazy(data)
        check_columns(frame.collect_schema().names(), _roles(self).values(), where=where)
        _refuse_empty(frame, where=where)
        object.__setattr__(self, "frame", frame)

    def __repr__(self) -> str:
        return _describe(self)

    def audit(self, *, as_of: Any = None) -> Audit:
        """Mark duplicate rows, missing ids, arms and times; all are kept."""
        roles = _roles(self)
        frame = _name_roles(self.frame, roles, where="the experiment")
        missing = Check(
            "missing_arm", nw.col("arm").is_null(), "keep", "who was in no arm cannot be compared"
        )
        return examine_kept(frame, as_of=as_of, more=[missing])


def require_roles(table: Any, roles: Iterable[str], *, what: str) -> None:
    """Raise `ColumnError` unless the table has the columns of these roles.

    Parameters
    ----------
    table
        A raw table with a ``frame``.
    roles
        The roles that are needed.
    what
        What needs them, for the message.
    """
    present = table.frame.collect_schema().names()
    missing = [role for role in roles if role not in present]
    if missing:
        kind = type(table).__name__
        also = " (or quantity with unit_price)" if "amount" in missing else ""
        raise ColumnError(
            f"{what} needs the role {' and '.join(missing)}{also}: name the column, as in "
            f"{kind}(data, ..., {missing[0]}='column')."
        )


def _roles(table: Any) -> dict[str, str]:
    other = ("data", "_", "items", "frame", "account", "rows")
    names = (name for name in table.__dataclass_fields__ if name not in other)
    values = {name: getattr(table, name) for name in names}
    return {role: column for role, column in values.items() if column is not None}


def _describe(table: Any) -> str:
    roles = _roles(table) | ({"items": table.items} if getattr(table, "items", None) else {})
    order = [name for name in table.__dataclass_fields__ if name in roles]
    shown = ", ".join(f"{role}={roles[role]!r}" for role in order)
    return f"{type(table).__name__}({shown})"


def _read_roles(
    data: Any, roles: dict[str, str], *, numbers: Iterable[str] = (), where: str
) -> nw.LazyFrame:
    """Return the rows with role columns by their role name and the day of the timestamp."""
    frame = _name_roles(to_lazy(data), roles, where=where)
    _refuse_empty(frame, where=where)
    schema = frame.collect_schema()
    for role in numbers:
        if role in roles and not schema[role].is_numeric():
            raise DataError(
                f"column {roles[role]!r} (role {role}) of {where} holds {schema[role]}, not "
                "numbers. Make it a number first, for example with pandas.to_numeric."
            )
    casts = [nw.col(role).cast(nw.Float64) for role in numbers if role in roles]
    frame = frame.with_columns(*casts) if casts else frame
    if "timestamp" in roles:
        kind = schema["timestamp"]
        if kind == nw.String or kind.is_integer():
            what = f"column {roles['timestamp']!r} (role timestamp) of {where}"
            frame = text_to_time(frame, "timestamp", what=what)
        elif not isinstance(kind, nw.Datetime | nw.Date):
            raise DataError(
                f"column {roles['timestamp']!r} (role timestamp) of {where} holds {kind}, not "
                "times. Parse it first, for example with pandas.to_datetime."
            )
        frame = frame.with_columns(day_number("timestamp").alias(DAY))
    return frame


def _name_roles(frame: nw.LazyFrame, roles: dict[str, str], *, where: str) -> nw.LazyFrame:
    names = frame.collect_schema().names()
    check_columns(names, roles.values(), where=where)
    taken = {*roles, DAY, "amount"}
    others = [name for name in names if name not in roles.values()]
    return frame.select(
        *(nw.col(column).alias(role) for role, column in roles.items()),
        *(
            nw.col(name).alias(f"{name}_source" if name.lower() in taken else name)
            for name in others
        ),
    )


def _refuse_empty(frame: nw.LazyFrame, *, where: str) -> None:
    if not len(collect(frame.head(1))):
        raise DataError(
            f"{where} have no rows." if where.endswith("s") else f"{where} has no rows."
        )
