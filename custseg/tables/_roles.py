"""Read the columns of a raw table by their roles."""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, TypeVar

import narwhals as nw

from custseg._engine import collect, day_number, text_to_time, to_lazy
from custseg.audit import DAY, Rules, account_for, set_aside
from custseg.errors import ColumnError, DataError, check_columns, check_option

T = TypeVar("T")

_SMALL_INTEGERS = (nw.Int8, nw.Int16, nw.Int32, nw.UInt8, nw.UInt16, nw.UInt32)

_LISTS = ("items", "categories", "outcomes")
_NO_ROLES = {"data", "_", "frame", "account", "rows", "levels", *_LISTS}


def require_roles(table: Any, roles: Iterable[str], *, what: str) -> None:
    """Raise `ColumnError` unless these roles are named.

    Parameters
    ----------
    table
        A raw table with a ``frame``.
    roles
        The roles that are needed.
    what
        What needs them, for the message.
    """
    present = named_roles(table)
    missing = [role for role in roles if role not in present]
    if missing:
        kind = type(table).__name__
        also = " (or quantity with unit_price)" if "amount" in missing else ""
        raise ColumnError(
            f"{what} needs the role {' and '.join(missing)}{also}: name the column, as in "
            f"{kind}(data, ..., {missing[0]}='column')."
        )


def roles_of(table: Any) -> dict[str, str]:
    """Return role to column for the roles of one column that are named."""
    values = {
        name: getattr(table, name) for name in table.__dataclass_fields__ if name not in _NO_ROLES
    }
    return {role: column for role, column in values.items() if column is not None}


def named_roles(table: Any) -> set[str]:
    """Return the roles that have a column; the amount may be computed from others."""
    computed = {"amount"} & set(table.frame.collect_schema().names())
    return set(roles_of(table)) | computed


def describe(table: Any) -> str:
    """Return the table as it was written, without its data."""
    lists = {name: getattr(table, name, ()) for name in _LISTS}
    roles = roles_of(table) | {name: columns for name, columns in lists.items() if columns}
    order = [name for name in table.__dataclass_fields__ if name in roles]
    shown = ", ".join(f"{role}={roles[role]!r}" for role in order)
    return f"{type(table).__name__}({shown})"


def choose(policies: Mapping[str, str], options: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return a policy per rule: the one given, or the first of its options."""
    for name, policy in policies.items():
        check_option(name, "the policy", options)
        check_option(policy, name, options[name])
    return {name: policies.get(name, allowed[0]) for name, allowed in options.items()}


def cleaned(table: T, rules: Rules) -> T:
    """Return the table with the rows that remain and their account."""
    account = account_for(rules)
    if not account.rows_used:
        raise DataError(f"no row would remain: {account.summary()} Keep some of them.")
    clean = copy(table)
    object.__setattr__(clean, "frame", set_aside(rules))
    object.__setattr__(clean, "account", account)
    changed = account.rows_used < account.rows_in or any(check.repairs for check in rules.checks)
    if changed and hasattr(clean, "rows"):
        object.__setattr__(clean, "rows", None)
    return clean


def columns_of(frame: nw.LazyFrame) -> list[str]:
    """Return the columns that make a row what it is: all but the derived day."""
    return [name for name in frame.collect_schema().names() if name != DAY]


def read_roles(
    data: Any,
    roles: dict[str, str],
    *,
    numbers: Iterable[str] = (),
    time: str = "timestamp",
    where: str,
) -> nw.LazyFrame:
    """Return the rows with role columns by their role name and the day of the time."""
    frame = _name_roles(to_lazy(data), roles, where=where)
    refuse_empty(frame, where=where)
    schema = frame.collect_schema()
    for role in numbers:
        if role in roles and not schema[role].is_numeric():
            raise DataError(
                f"column {roles[role]!r} (role {role}) of {where} holds {schema[role]}, not "
                "numbers. Make it a number first, for example with pandas.to_numeric."
            )
    casts = [nw.col(role).cast(nw.Float64) for role in numbers if role in roles]
    frame = frame.with_columns(*casts) if casts else frame
    if time in roles:
        frame = read_time(frame, time, what=f"column {roles[time]!r} (role {time}) of {where}")
        frame = frame.with_columns(day_number(time).alias(DAY))
    return frame


def read_time(frame: nw.LazyFrame, column: str, *, what: str) -> nw.LazyFrame:
    """Return the frame with a column as times; refuse what is neither time, text nor integer."""
    kind = frame.collect_schema()[column]
    if kind == nw.String or kind.is_integer():
        return text_to_time(frame, column, what=what)
    if not isinstance(kind, nw.Datetime | nw.Date):
        raise DataError(
            f"{what} holds {kind}, not times. Parse it first, for example with pandas.to_datetime."
        )
    return frame


def _name_roles(frame: nw.LazyFrame, roles: dict[str, str], *, where: str) -> nw.LazyFrame:
    schema = frame.collect_schema()
    check_columns(schema.names(), roles.values(), where=where)
    others = {
        name_beside(roles, name): name for name in schema.names() if name not in roles.values()
    }
    return frame.select(
        *(_plain(name, schema[name], role).alias(role) for role, name in (roles | others).items())
    )


def name_beside(roles: Mapping[str, str], column: str) -> str:
    """Return the name that a column without a role has beside the roles."""
    return f"{column}_source" if column.lower() in {*roles, DAY, "amount"} else column


def _plain(column: str, kind: nw.dtypes.DType, role: str) -> nw.Expr:
    """Return categories as their text, and whole-number ids in the one type all engines have."""
    if isinstance(kind, nw.Enum | nw.Categorical):
        return nw.col(column).cast(nw.String)
    if role == "customer_id" and kind in _SMALL_INTEGERS:
        return nw.col(column).cast(nw.Int64)
    return nw.col(column)


def refuse_empty(frame: nw.LazyFrame, *, where: str) -> None:
    """Raise `DataError` if there is no row."""
    if not len(collect(frame.head(1))):
        raise DataError(
            f"{where} have no rows." if where.endswith("s") else f"{where} has no rows."
        )
