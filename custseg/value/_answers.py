"""Read survey answers, one row per customer, with their weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from custseg._engine import collect
from custseg.errors import ColumnError, DataError, check_columns
from custseg.tables import Survey, plain_ids

SCORES = ("nps", "csat", "ces")


def read_scores(answers: Any) -> pd.DataFrame:
    """Return the columns `nps`, `csat` and `ces` that there are, by customer.

    Raises
    ------
    ColumnError
        If there is none of them.
    DataError
        If `answers` is neither a frame nor a survey, or a customer answered twice.
    """
    if isinstance(answers, Survey):
        roles = [role for role in SCORES if getattr(answers, role)]
        answers = collect(answers.frame.select("customer_id", *roles))
        answers = answers.set_index(plain_ids(answers["customer_id"]))[roles]
    table = check_answers(answers)
    found = [score for score in SCORES if score in table]
    if not found:
        raise ColumnError(
            "answers has none of the columns 'nps', 'csat' and 'ces'. Rename yours, as in "
            "answers.rename(columns={'recommend': 'nps'}), or name the roles in cs.Survey(...)."
        )
    return numbers(table, found)


def check_answers(answers: Any) -> pd.DataFrame:
    """Return a frame of answers; refuse what is no frame, is empty or repeats a customer."""
    if not isinstance(answers, pd.DataFrame):
        raise DataError(
            f"answers is a {type(answers).__name__}, but must be a frame with one row per "
            "customer, indexed by customer_id."
        )
    if answers.empty:
        raise DataError("answers has no rows. Check the filter or the join that made it.")
    repeated = int(answers.index.duplicated(keep=False).sum())
    if repeated or answers.index.hasnans:
        raise DataError(
            f"{repeated:,} rows of answers share their customer_id with another, and "
            f"{int(answers.index.isna().sum()):,} have none. Keep one row per customer, for "
            "example with survey.clean(repeated_id='latest')."
        )
    return answers


def numbers(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return columns as floats; refuse text and infinite values."""
    check_columns(list(table.columns), columns, where="answers")
    twice = [name for name in columns if list(table.columns).count(name) > 1]
    if twice:
        raise DataError(f"answers has more than one column named {twice[0]!r}. Rename them.")
    found = {}
    for name in columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise DataError(
                f"column {name!r} of answers holds {table[name].dtype}, not numbers. Make it a "
                "number first, for example with pandas.to_numeric."
            )
        values = table[name].to_numpy(dtype=float, na_value=np.nan)
        if infinite := int(np.isinf(values).sum()):
            raise DataError(f"column {name!r} of answers has {infinite:,} infinite values.")
        found[name] = values
    return pd.DataFrame(found, index=table.index)


def read_weights(weights: Any, customers: pd.Index) -> np.ndarray:
    """Return one weight per customer; 1 for everybody when there are none."""
    if weights is None:
        return np.ones(len(customers))
    if not isinstance(weights, pd.Series):
        raise DataError(
            f"weights is a {type(weights).__name__}, but must be a Series indexed by customer_id."
        )
    if not weights.index.is_unique:
        raise DataError("weights has more than one value for a customer. Keep one.")
    found = weights.reindex(customers).to_numpy(dtype=float, na_value=np.nan)
    wrong = ~(found >= 0) | np.isinf(found)
    if wrong.any():
        raise DataError(
            f"weights is {found[wrong][0]:g} or missing for {wrong.sum():,} of {len(found):,} "
            "customers, but must be a number of at least 0 for each."
        )
    return found
