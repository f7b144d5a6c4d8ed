"""What a segmentation rests on: how many customers, which variables, up to which day."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from custseg.features.dictionary import Dictionary, describe_columns


def provenance(customers: pd.DataFrame, dictionary: Dictionary | None) -> dict[str, Any]:
    """Return what is known of the customers of a fit, without a word on any single one.

    Parameters
    ----------
    customers
        Customers, sorted by id, x variables.
    dictionary
        What the columns are; ``None`` for what the table carries.

    Returns
    -------
    dict
        ``customers``: how many; ``fingerprint``: the SHA-256 of their values in the variables, by
        which the same table is known again; ``as_of``: the day up to which it holds, or ``None``;
        ``features``: what `describe_columns` says of each variable.

    Examples
    --------
    >>> customers = pd.DataFrame({"visits": [1, 4]}, index=["Ada", "Ben"])
    >>> found = provenance(customers, {"visits": {"definition": "days with a visit"}})
    >>> found["customers"], found["features"][0]["definition"]
    (2, 'days with a visit')
    """
    described = describe_columns(customers, dictionary=dictionary).astype(object)
    entries = described.where(described.notna(), None).drop(columns="as_of")
    day = customers.attrs.get("as_of")
    return {
        "customers": len(customers),
        "fingerprint": _fingerprint(customers),
        "as_of": None if day is None else str(day),
        "features": entries.to_dict(orient="records"),
    }


def _fingerprint(table: pd.DataFrame) -> str:
    """Return a digest of the names and values of columns, whole or not, in whatever type."""
    digest = hashlib.sha256()
    for position, name in enumerate(table.columns):
        digest.update(f"{name}\0".encode())
        values = table.iloc[:, position]
        if pd.api.types.is_numeric_dtype(values):
            numbers = values.to_numpy(dtype=float, na_value=np.nan) + 0.0
            numbers[np.isnan(numbers)] = np.nan
            digest.update(numbers.astype("<f8").tobytes())
        else:
            text = values.astype(object).where(values.notna(), None)
            digest.update("\0".join(map(repr, text)).encode())
    return digest.hexdigest()
