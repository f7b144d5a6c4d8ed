"""Who lands in which arm: salted hashes that never forget, and arms balanced within strata."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from math import isclose
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._engine import collect, to_lazy
from custseg.errors import DataError, ParameterError, check_columns, check_number


def checked_shares(arms: Any, name: str) -> dict[Any, float]:
    """Return arms and their shares, after checking that they are an allocation.

    Examples
    --------
    >>> checked_shares({"control": 0.5, "email": 0.4}, "arms")
    Traceback (most recent call last):
        ...
    custseg.errors.ParameterError: the shares in arms add up to 0.9, but must add up to 1.
    """
    if not isinstance(arms, Mapping) or len(arms) < 2:
        raise ParameterError(
            f"{name} must be a dictionary from arm to planned share with at least two arms, such "
            "as {'control': 0.5, 'email': 0.5}."
        )
    for arm, share in arms.items():
        check_number(share, f"{name}[{arm!r}]", gt=0, lt=1)
    total = sum(arms.values())
    if not isclose(total, 1, abs_tol=1e-9):
        raise ParameterError(f"the shares in {name} add up to {total:g}, but must add up to 1.")
    return dict(arms)


def customer_rows(customers: Any) -> tuple[pd.Index, pd.DataFrame]:
    """Return the ids, one per customer, and the other columns.

    Parameters
    ----------
    customers
        A table of any kind with one row per customer, whose index or column is ``customer_id``; a
        Series on these ids; or a list of them. What is no pandas frame is collected to one.

    Raises
    ------
    ColumnError
        If a table has no ``customer_id``.
    DataError
        If a customer is missing or comes twice, or there are none.
    """
    if hasattr(customers, "columns"):
        rows = customers if isinstance(customers, pd.DataFrame) else collect(to_lazy(customers))
        if rows.index.name != "customer_id":
            check_columns(rows.columns, ["customer_id"], where="the customers")
            rows = rows.set_index("customer_id")
    elif isinstance(customers, str) or not isinstance(customers, Iterable):
        raise DataError(
            f"customers is a {type(customers).__name__}, but must be a table with one row per "
            "customer, or a list of ids."
        )
    else:
        ids = customers.index if isinstance(customers, pd.Series) else list(customers)
        rows = pd.DataFrame(index=pd.Index(ids, name="customer_id"))
    if not len(rows):
        raise DataError("there are no customers.")
    repeated, missing = int(rows.index.duplicated().sum()), int(rows.index.isna().sum())
    if repeated or missing:
        raise DataError(
            f"customer_id holds {repeated:,} repeated and {missing:,} missing values. Keep one row "
            "per customer."
        )
    return rows.index, rows


def hash_uniform(ids: Sequence[Any], key: str) -> NDArray[np.float64]:
    """Return for each id a number in [0, 1) that depends on the id and the key alone.

    It is the first 53 bits of ``sha256(f"{key}:{id}")``, read as a whole number, over 2 to the 53;
    any system that has SHA-256 gets the same. Whole numbers have the same text in every type, so
    that 7, ``"7"`` and 7.0 are one customer.

    Parameters
    ----------
    ids
        Customer ids.
    key
        The salt and what the number is for.

    Returns
    -------
    numpy.ndarray
        One number per id, uniform over ids, independent between keys.

    Examples
    --------
    >>> hash_uniform([7, "7", 7.0, 8], "spring:arm").round(4)
    array([0.3797, 0.3797, 0.3797, 0.0628])
    """
    texts = (
        f"{key}:{int(x) if isinstance(x, float) and x.is_integer() else x}"
        for x in pd.Index(ids).tolist()
    )
    heads = b"".join([sha256(text.encode()).digest()[:8] for text in texts])
    return (np.frombuffer(heads, dtype=">u8") >> 11) / 2.0**53


def by_threshold(u: np.ndarray, shares: Sequence[float]) -> NDArray[np.int64]:
    """Return the arm into whose part of [0, 1) each number falls, as a position in `shares`.

    Examples
    --------
    >>> by_threshold(np.array([0.1, 0.49, 0.5, 0.9]), [0.5, 0.3, 0.2])
    array([0, 0, 1, 2])
    """
    return np.searchsorted(np.cumsum(shares)[:-1], u, side="right").astype(np.int64)


def within_strata(
    u: np.ndarray,
    strata: np.ndarray,
    shares: Sequence[float],
    starts: Sequence[float] | np.ndarray,
) -> NDArray[np.int64]:
    """Return arms whose sizes are the planned shares, rounded, in every stratum and in all.

    Customers stand in random order (`u`) within their stratum, strata one after the other. The
    first arm takes every (1 / share)-th of them from a random start, the next arm likewise from
    those left. So each customer has exactly the planned chance of each arm, and a stratum never
    has a whole customer more or less of the first arm than its share.

    Parameters
    ----------
    u
        A random number per customer, without ties.
    strata
        The code of each customer's stratum.
    shares
        Planned shares, which add up to 1.
    starts
        A random number in [0, 1) per arm but the last.

    Returns
    -------
    numpy.ndarray
        Positions in `shares`.

    References
    ----------
    Madow, W. G. and Madow, L. H. (1944), On the theory of systematic sampling, Annals of
    Mathematical Statistics 15, 1-24.

    Examples
    --------
    >>> u = np.random.default_rng(0).random(12)
    >>> arm = within_strata(u, np.repeat([0, 1], [8, 4]), [0.5, 0.25, 0.25], [0.3, 0.7])
    >>> [np.bincount(arm[:8]).tolist(), np.bincount(arm[8:]).tolist()]
    [[4, 2, 2], [2, 1, 1]]
    """
    arm = np.full(len(u), len(shares) - 1)
    left, remaining = np.lexsort((u, strata)), 1.0
    for position, start in enumerate(starts):
        ends = np.floor(np.arange(len(left) + 1) * (shares[position] / remaining) + start)
        taken = np.diff(ends) > 0
        arm[left[taken]] = position
        left, remaining = left[~taken], remaining - shares[position]
    return arm
