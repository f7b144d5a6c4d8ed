"""Customers who were not assigned at random, as the models of treatment and outcome see them."""

from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, to_lazy
from custseg._labels import name_labels
from custseg.campaigns._history import refuse_infinite
from custseg.errors import DataError, check_columns

_WHERE = "the data"
_MOST_LEVELS = 50
_HINGES = (0.25, 0.5, 0.75)


class Sample(NamedTuple):
    """Customers with a treatment and an outcome, in the order of their ids."""

    ids: pd.Index
    treated: np.ndarray  # (n,) truth values
    y: np.ndarray
    features: np.ndarray  # (n, p) what models see
    columns: pd.DataFrame  # (n, q) what balance is shown on
    segment: np.ndarray
    segments: list[str]


def read_sample(
    data: Any, names: tuple[str, str, str, list[str], str | None]
) -> tuple[Sample, pd.Series, list[str]]:
    """Return the customers, an account of the rows, and what is odd about the covariates."""
    customer_id, treated, outcome, covariates, segments = names
    lazy = to_lazy(data)
    schema = lazy.collect_schema()
    needed = [customer_id, treated, outcome, *covariates, *([segments] if segments else [])]
    check_columns(schema.names(), needed, where=_WHERE)
    for column in (treated, outcome):
        if not (schema[column].is_numeric() or schema[column] == nw.Boolean):
            raise DataError(
                f"column {column!r} is of type {schema[column]}, but must hold numbers."
            )
    rows = collect(lazy.select(dict.fromkeys(needed)))
    nobody = int(rows[customer_id].isna().sum())
    if nobody:
        raise DataError(
            f"column {customer_id!r} lacks {nobody:,} ids. Leave those rows out, and say how many."
        )
    repeated = int(rows[customer_id].duplicated().sum())
    if repeated:
        raise DataError(f"{repeated:,} rows repeat a customer. Add up the rows of each first.")
    rows = rows.sort_values(customer_id, ignore_index=True)
    t, y = (rows[column].astype("float64") for column in (treated, outcome))
    odd = t[~t.isin([0, 1]) & t.notna()]
    if len(odd):
        raise DataError(
            f"column {treated!r} must hold 0 and 1 only, but also holds {odd.iloc[0]:g}. Choose "
            "who is compared with whom first."
        )
    refuse_infinite(y, f"column {outcome!r}")
    known = t.notna() & y.notna()
    account = pd.Series(
        {
            "rows_in": len(rows),
            "no_treatment": int(t.isna().sum()),
            "no_outcome": int((t.notna() & y.isna()).sum()),
        },
        name="rows",
    )
    rows = rows[known].reset_index(drop=True)
    features, columns = _encode(rows[covariates])
    code, labels = np.full(len(rows), -1), []
    if segments is not None:
        named = name_labels(rows[segments]).cat.remove_unused_categories()
        code, labels = named.cat.codes.to_numpy(), list(named.cat.categories)
    sample = Sample(
        pd.Index(rows[customer_id]),
        t[known].to_numpy() == 1,
        y[known].to_numpy(),
        features,
        columns,
        code,
        labels,
    )
    return sample, account, _doubts(rows[covariates])


def _encode(covariates: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Return what models see, and the plain columns of it on which balance is shown."""
    shown: dict[str, np.ndarray] = {}
    bent = []
    for name, values in covariates.items():
        if pd.api.types.is_datetime64_any_dtype(values):
            values = (values - values.min()) / pd.Timedelta(days=1)
        if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            number = values.astype("float64")
            refuse_infinite(number, f"column {name!r}")
            missing = number.isna()
            if missing.any():
                shown[f"{name} missing"] = missing.to_numpy(dtype=float)
                number = number.fillna(number.median() if not missing.all() else 0.0)
            shown[str(name)] = number.to_numpy()
            if number.nunique() > 2:
                rank = ((number.rank() - 0.5) / len(number)).to_numpy()
                bent += [rank, *(np.maximum(rank - at, 0) for at in _HINGES)]
            continue
        text = values.astype("object").where(values.notna(), "(missing)").astype(str)
        levels = sorted(text.unique())
        if len(levels) > _MOST_LEVELS:
            raise DataError(
                f"column {name!r} has {len(levels):,} values, at most {_MOST_LEVELS} can be told "
                "apart. Join rare ones into 'other' first, or leave it out."
            )
        if len(levels) == len(text) > 1:
            raise DataError(
                f"column {name!r} has another text for every customer, which explains nothing. "
                "Leave it out of covariates."
            )
        shown |= {f"{name}: {level}": (text == level).to_numpy(dtype=float) for level in levels}
    columns = pd.DataFrame(shown)
    features = np.column_stack([columns.to_numpy(), *bent])
    spread = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1), columns


def _doubts(covariates: pd.DataFrame) -> list[str]:
    """Say which covariates look as if they explained nothing."""
    notes = []
    for name, values in covariates.items():
        different = values.nunique(dropna=False)
        if different == 1:
            what = "holds no value" if values.isna().all() else "is the same for all customers"
            notes.append(f"{name} {what}: it explains nothing.")
        numeric = pd.api.types.is_numeric_dtype(values) and different == len(values)
        if numeric and (values.astype("float64") % 1 == 0).all():
            notes.append(
                f"{name} has another whole number for every customer: if it is an id, leave it out."
            )
    return notes
