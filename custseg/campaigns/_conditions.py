"""Conditions on a customer, written so that whoever reviews a plan can read them."""

import operator
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from custseg.errors import DataError, ParameterError

_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_COMPARISON = re.compile(r"^(.+?)\s*(<=|>=|!=|==|=|<|>)\s*(.+)$")
_TRUE = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def condition_column(condition: str) -> str:
    """Return the column that a condition is about.

    Examples
    --------
    >>> [condition_column(c) for c in ("newsletter", "not complained", "last order >= 2024-01-01")]
    ['newsletter', 'complained', 'last order']
    """
    return _parts(condition)[0]


def holds(condition: str, rows: pd.DataFrame) -> pd.Series:
    """Return for each row whether a condition holds; missing where its value is.

    Parameters
    ----------
    condition
        ``"column"`` or ``"not column"`` for truth values; ``"column <= value"`` with <=, >=, <, >,
        = or !=. The value is read as the column is: a number, a date, a truth value, text, or a
        category (those in order compare by it).
    rows
        With the column.

    Returns
    -------
    pandas.Series
        Of nullable truth values.

    Raises
    ------
    DataError
        If the column and the value, or the column and the comparison, do not fit.

    Examples
    --------
    >>> rows = pd.DataFrame({"recency": [10, 200, None], "vip": [True, False, False]})
    >>> holds("recency <= 90", rows).tolist(), holds("not vip", rows).tolist()
    ([True, False, <NA>], [False, True, True])
    """
    column, sign, value = _parts(condition)
    values = rows[column]
    if sign in ("is", "not"):
        truth = _truth(values, condition)
        return ~truth if sign == "not" else truth
    if pd.api.types.is_bool_dtype(values):
        values, bound = values.astype("boolean"), _TRUE.get(value.lower())
    elif pd.api.types.is_numeric_dtype(values):
        bound = _or_none(float, value)
    elif pd.api.types.is_datetime64_any_dtype(values):
        bound = _or_none(pd.Timestamp, value)
        if bound is not None and (zone := values.dt.tz) != bound.tz:
            bound = bound.tz_localize(zone) if bound.tz is None else bound.tz_convert(zone)
    else:
        return _compare_text(values, sign, value, condition)
    if bound is None:
        raise DataError(f"condition {condition!r}: {value!r} is not what column {column!r} holds.")
    return _SIGNS[sign](values, bound).astype("boolean").mask(values.isna())


def _parts(condition: Any) -> tuple[str, str, str]:
    """Return column, sign ("is" and "not" for truth values) and value."""
    if not isinstance(condition, str) or not condition.strip():
        raise ParameterError(
            f"a condition is {condition!r}, but must be text such as 'recency <= 90' or "
            "'newsletter'."
        )
    if ";" in condition:
        raise ParameterError(f"condition {condition!r} holds ';': give several as a list.")
    text = condition.strip()
    found = _COMPARISON.match(text)
    if found:
        column, value = found[1].strip(), found[3].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            return column, found[2], value[1:-1]
        if not re.search(r"^!|[<>=]", value) and not re.search(r"[<>=]|!$", column):
            return column, found[2], value
    if re.search(r"[<>=!]", text):
        raise ParameterError(
            f"condition {condition!r} cannot be read: write a column, one sign (<=, >=, <, >, =, "
            "!=) and a value, which stands in quotes if it holds such a sign itself."
        )
    if text.startswith("not "):
        return text[4:].strip(), "not", ""
    return text, "is", ""


def _truth(values: pd.Series, condition: str) -> pd.Series:
    known = values.dropna()
    numeric = pd.api.types.is_numeric_dtype(values) or known.map(type).eq(bool).all()
    if not numeric or not known.isin([0, 1]).all():
        raise DataError(
            f"condition {condition!r}: column {values.name!r} must hold truth values. Compare it "
            "with a value instead, as in 'country = DE'."
        )
    return values.astype("boolean")


def _compare_text(values: pd.Series, sign: str, value: str, condition: str) -> pd.Series:
    """Compare text by equality, categories also by their order."""
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        by_name = {str(category): code for code, category in enumerate(values.cat.categories)}
        if value not in by_name:
            raise DataError(
                f"condition {condition!r}: {value!r} is no category of column {values.name!r}. It "
                f"has: {', '.join(by_name)}."
            )
        codes = pd.Series(values.cat.codes, index=values.index)
        return _SIGNS[sign](codes, by_name[value]).astype("boolean").mask(values.isna())
    if sign not in ("=", "==", "!="):
        raise DataError(
            f"condition {condition!r}: column {values.name!r} holds text, which has no order. Use "
            "= or !=, or an ordered categorical."
        )
    text = values.astype(object).where(values.notna(), "").astype(str)
    return _SIGNS[sign](text, value).astype("boolean").mask(values.isna())


def _or_none(read: Callable[[str], Any], value: str) -> Any:
    try:
        return read(value)
    except ValueError:
        return None
