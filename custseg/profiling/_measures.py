"""Turn the columns of a customer table into what a profile averages: numbers and shares."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from custseg.errors import DataError, ParameterError, check_columns
from custseg.profiling._words import counted, listed

SEGMENTATION, DESCRIPTOR = "segmentation", "descriptor"
MAX_LEVELS = 100


class Measure(NamedTuple):
    """One number per customer: a variable, or whether it is at one of its levels."""

    variable: str
    level: str
    role: str
    is_share: bool
    values: np.ndarray


def read_roles(
    customers: pd.DataFrame, variables: Iterable[str] | None, descriptors: Iterable[str] | None
) -> tuple[dict[str, str], list[str]]:
    """Return the role of every column to profile, segmentation variables first, and notes."""
    described = _names(descriptors, "descriptors")
    notes = []
    if variables is None:
        numeric = customers.select_dtypes(["number", "bool", "boolean"]).columns
        made = [name for name in numeric if name not in described]
        left = [name for name in customers.columns if name not in made and name not in described]
        if made:
            notes.append(
                f"variables was not given: {listed(made)} count as segmentation variables."
            )
        if left:
            notes.append(f"not profiled, because not named as descriptors: {listed(left)}.")
    else:
        made = _names(variables, "variables")
    check_columns(list(customers.columns), made + described, where="the customer table")
    both = [name for name in made if name in described]
    if both:
        raise ParameterError(
            f"{listed(both)} is in both variables and descriptors: a column that made the "
            "segments cannot also describe them from outside. Keep it in one list."
        )
    if not made and not described:
        raise ParameterError(
            "there is no column to profile: name some in variables or in descriptors."
        )
    roles = dict.fromkeys(made, SEGMENTATION) | dict.fromkeys(described, DESCRIPTOR)
    ids = [name for name in roles if str(name).lower().replace("_", "") == "customerid"]
    if ids:
        raise DataError(
            f"{ids[0]!r} names customers, it does not describe them. Make it the index: "
            f"customers.set_index({ids[0]!r})."
        )
    twice = [name for name in roles if list(customers.columns).count(name) > 1]
    if twice:
        raise DataError(
            f"the customer table has more than one column named {listed(twice)}: rename them."
        )
    return roles, notes


def read_measures(
    customers: pd.DataFrame, roles: dict[str, str], kinds: dict[str, str]
) -> Iterator[Measure]:
    """Yield the measures of every column that has a role, in the order of `roles`.

    Parameters
    ----------
    customers
        The customer table.
    roles, kinds
        Column to its role and to its kind.

    Raises
    ------
    DataError
        If a column has no values, infinite ones, or a kind that a profile cannot average.
    """
    for name, role in roles.items():
        column, kind = customers[name], kinds[name]
        if types.is_object_dtype(column.dtype):
            column = column.convert_dtypes()
        if column.isna().all():
            raise DataError(f"the column {name!r} has no value for any customer: leave it out.")
        is_number = types.is_numeric_dtype(column.dtype) and not types.is_complex_dtype(
            column.dtype
        )
        if isinstance(column.dtype, pd.CategoricalDtype):
            yield from _levels(name, column, role)
        elif is_number and kind != "nominal":
            yield _number(name, column, role, kind)
        elif not is_number and not types.is_string_dtype(column.dtype):
            raise DataError(
                f"the column {name!r} is of type {column.dtype}, but a profile takes numbers, "
                "yes/no values, categories and text. Make it a number first (a date, for "
                "example, the days since it)."
            )
        elif role == SEGMENTATION and not is_number:
            raise DataError(
                f"the segmentation variable {name!r} is text where a number belongs: give it as "
                f"descriptor (descriptors=[{name!r}]). If it holds numbers, convert it with "
                "pandas.to_numeric; if its categories made the segments, with .astype('category')."
            )
        elif is_number:
            yield from _levels(name, column.astype("category"), role)
        else:
            yield from _levels(name, column.astype(_by_frequency(column)), role)


def _number(name: str, column: pd.Series, role: str, kind: str) -> Measure:
    values = column.to_numpy(dtype=float, na_value=np.nan)
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise DataError(
            f"the column {name!r} has {counted(infinite, 'infinite value')}: replace with a "
            "number, or with NaN to have them counted as missing."
        )
    is_share = kind == "binary"
    if is_share and not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
        raise DataError(
            f"the column {name!r} is called binary, but has values other than 0 and 1, such as "
            f"{values[~np.isin(values, (0.0, 1.0)) & ~np.isnan(values)][0]:g}. Code it as 0 and 1, "
            "or call it nominal."
        )
    return Measure(name, "", role, is_share, values)


def _levels(name: str, column: pd.Series, role: str) -> Iterator[Measure]:
    codes = column.cat.codes.to_numpy()
    used = np.unique(codes[codes >= 0])
    if len(used) > MAX_LEVELS:
        raise DataError(
            f"the column {name!r} has {len(used):,} different values, more than {MAX_LEVELS}: "
            "group the rare ones, or leave it out."
        )
    for code in used:
        values = np.where(codes >= 0, codes == code, np.nan)
        yield Measure(name, str(column.cat.categories[code]), role, True, values)


def _by_frequency(column: pd.Series) -> pd.CategoricalDtype:
    counts = column.value_counts()
    return pd.CategoricalDtype(sorted(counts.index, key=lambda level: (-counts[level], level)))


def _names(names: Iterable[str] | None, parameter: str) -> list[str]:
    if names is None:
        return []
    if isinstance(names, str):
        raise ParameterError(f"{parameter} is {names!r}, but must be a list: [{names!r}].")
    found = list(names)
    twice = [name for position, name in enumerate(found) if name in found[:position]]
    if twice:
        raise ParameterError(f"{parameter} names {listed(twice)} more than once: keep one.")
    return found
