"""What went wrong and what to do: every error names the value, the bound and the remedy."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any


class CustsegError(Exception):
    """Base of every error that custseg raises on purpose."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ColumnError(CustsegError, KeyError):
    """A column, or the role that names one, is missing."""


class DataError(CustsegError, ValueError):
    """The values in the data do not allow the question."""


class ParameterError(CustsegError, ValueError):
    """A parameter is outside its bounds or options."""


class ConvergenceError(CustsegError, RuntimeError):
    """A fit did not converge."""


class MissingFileError(CustsegError, FileNotFoundError):
    """A file or data set is not where it was looked for."""


class ModelFileError(CustsegError, ValueError):
    """A stored model is damaged, of another version, or holds what is not trusted."""


def nearest(name: object, options: Iterable[object]) -> str:
    """Return ``" Did you mean 'x'?"`` for the option nearest to `name`, or an empty string.

    Examples
    --------
    >>> nearest("recencey", ["recency", "monetary"])
    " Did you mean 'recency'?"
    """
    by_lower = {str(option).lower(): str(option) for option in options}
    found = get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean {by_lower[found[0]]!r}?" if found else ""


def check_columns(available: Collection[object], needed: Iterable[object], *, where: str) -> None:
    """Raise `ColumnError` unless every needed column is available.

    Parameters
    ----------
    available
        The column names that exist.
    needed
        The column names that are asked for.
    where
        Whose columns they are, for the message, such as ``"the customer table"``.

    Raises
    ------
    ColumnError
        Naming each missing column, the nearest existing one and all that exist.

    Examples
    --------
    >>> check_columns(["recency"], ["recencey"], where="the customer table")
    Traceback (most recent call last):
        ...
    custseg.errors.ColumnError: the customer table has no column 'recencey'. \
Did you mean 'recency'? It has: 'recency'.
    """
    missing = [name for name in needed if name not in available]
    if missing:
        names = ", ".join(repr(name) for name in missing)
        shown = ", ".join(repr(name) for name in list(available)[:30])
        more = f", and {len(available) - 30} more" if len(available) > 30 else ""
        word = "column" if len(missing) == 1 else "columns"
        hint = nearest(missing[0], available)
        raise ColumnError(f"{where} has no {word} {names}.{hint} It has: {shown}{more}.")


def check_option(value: object, name: str, options: Collection[object]) -> None:
    """Raise `ParameterError` unless `value` is one of `options`.

    Examples
    --------
    >>> check_option("dorp", "returns", ["drop", "keep"])
    Traceback (most recent call last):
        ...
    custseg.errors.ParameterError: returns is 'dorp', but must be one of 'drop', 'keep'. \
Did you mean 'drop'?
    """
    if value not in options:
        shown = ", ".join(repr(option) for option in options)
        hint = nearest(value, options)
        if isinstance(value, str) and value in map(str, options):
            hint = " It is no text there: write it without quotes."
        raise ParameterError(f"{name} is {value!r}, but must be one of {shown}.{hint}")


def check_number(
    value: Any,
    name: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    integer: bool = False,
) -> None:
    """Raise `ParameterError` unless `value` is a finite number within the bounds.

    Examples
    --------
    >>> check_number(1, "n_segments", ge=2, integer=True)
    Traceback (most recent call last):
        ...
    custseg.errors.ParameterError: n_segments is 1, but must be a whole number >= 2.
    """
    from math import isfinite
    from numbers import Integral, Real

    kind = Integral if integer else Real
    bounds = {">=": ge, ">": gt, "<=": le, "<": lt}
    valid = isinstance(value, kind) and not isinstance(value, bool) and isfinite(value)
    valid = valid and (ge is None or value >= ge) and (gt is None or value > gt)
    valid = valid and (le is None or value <= le) and (lt is None or value < lt)
    if not valid:
        words = " and ".join(f"{sign} {n}" for sign, n in bounds.items() if n is not None)
        what = "a whole number" if integer else "a number"
        raise ParameterError(f"{name} is {value!r}, but must be {what} {words}".rstrip() + ".")
