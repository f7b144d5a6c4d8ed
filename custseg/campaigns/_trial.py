"""Customers of a randomised campaign: who was in which arm, who they are, what they did."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._engine import collect, to_lazy
from custseg._labels import name_labels
from custseg.errors import DataError, ParameterError, check_columns, check_option
from custseg.tables import Experiment

Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]

NO_SEGMENT, MISSING = "(no segment)", "(missing)"
_WHERE = "the campaign's table"
_RARE = 0.01


@dataclass(frozen=True)
class Feature:
    """How a column becomes numbers: by its levels, 0 or 1 each, or as it is.

    A missing number is `middle`, and marked where `marked`.
    """

    name: str
    levels: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    middle: float = 0.0
    marked: bool = False

    @property
    def columns(self) -> list[str]:
        """What the encoded columns say."""
        if self.levels:
            return [f"{self.name} = {level}" for level in self.levels]
        return [self.name, *([f"{self.name} = {MISSING}"] if self.marked else [])]

    def encode(self, values: pd.Series) -> Matrix:
        """Return the encoded columns (n, q)."""
        if self.levels:
            text = values.astype(object).where(values.notna(), MISSING).astype(str)
            return (text.to_numpy()[:, None] == np.array(self.levels, dtype=object)).astype(float)
        if self.order:
            place = pd.Index(self.order).get_indexer(pd.Index(values.astype(object)))
            numbers = np.where(place < 0, np.nan, place)
        else:
            if not _holds_numbers(values):
                raise DataError(f"column {self.name!r} must hold numbers, but is {values.dtype}.")
            numbers = values.to_numpy(dtype=float, na_value=np.nan)
        missing = np.isnan(numbers)
        filled = np.where(missing, self.middle, numbers)[:, None]
        return np.column_stack([filled, missing]) if self.marked else filled


def learn_feature(values: pd.Series) -> Feature:
    """Return how a column becomes numbers; levels that fewer than 1% have get no column.

    Raises
    ------
    DataError
        If it holds dates, infinite values, none at all, or texts that nearly nobody shares.
    """
    name, order = str(values.name), ()
    if pd.api.types.is_datetime64_any_dtype(values):
        raise DataError(
            f"feature {name!r} holds dates. Turn it into a number first, such as days before the "
            "campaign."
        )
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        order = tuple(values.cat.categories)
        numbers = np.where(values.isna(), np.nan, values.cat.codes)
    elif _holds_numbers(values):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
    else:
        text = values.astype(object).where(values.notna(), MISSING).astype(str)
        share = text.value_counts(normalize=True)
        levels = tuple(sorted(share.index[share >= _RARE]))
        if not levels:
            raise DataError(
                f"feature {name!r} holds {len(share):,} texts, none of which {_RARE:.0%} of "
                "customers have: nothing can be learned from it. Group them, or leave it out."
            )
        return Feature(name, levels=levels)
    missing = np.isnan(numbers)
    if missing.all() or np.isinf(numbers).any():
        raise DataError(f"feature {name!r} holds infinite values, or none at all. Leave it out.")
    return Feature(name, (), order, float(np.median(numbers[~missing])), bool(missing.any()))


@dataclass(frozen=True)
class Trial:
    """A campaign, one row per customer in the order of ids; arm 0 is control.

    `propensity` (n, A) is the chance of each arm, `features` (n, p) what models may use, made as
    `known` says, `rows` the table itself, `account` where the other rows of the table are.
    """

    rows: pd.DataFrame
    outcome: Matrix
    arm: Codes
    arms: list[Any]
    propensity: Matrix
    stratum: Codes
    features: Matrix
    known: list[Feature]
    segments: pd.Series | None
    account: pd.Series

    @property
    def received(self) -> Mask:
        """Whether each customer was in each arm, (n, A)."""
        return np.asarray(self.arm[:, None] == np.arange(len(self.arms)))


def read_trial(
    data: Any,
    *,
    outcome: str,
    arm: str,
    control: Any,
    customer_id: str,
    features: Sequence[str],
    segments: str | pd.Series | None = None,
    strata: Sequence[str] | Mapping[Any, str] = (),
    more: Sequence[str] = (),
    learned_from: pd.Index | None = None,
) -> Trial:
    """Return the customers with an arm and an outcome, and an account of the others.

    Parameters
    ----------
    data
        Any table, one row per customer.
    outcome, arm, control, customer_id
        Columns, and the arm that the others are compared with.
    features
        Columns known before the campaign.
    segments
        A column, or labels indexed by customer id; those without are a group of their own.
    strata
        Columns in whose combinations arms were drawn, the shares seen there being the chances of
        arms; or arm to the column with each customer's chance of it.
    more
        Further columns to keep.
    learned_from
        Customers to be set aside, for something was learned from their outcomes.

    Raises
    ------
    ColumnError, ParameterError, DataError
        If columns, arms or values do not allow the question.
    """
    lazy = data.frame if isinstance(data, Experiment) else to_lazy(data)
    chances = dict(strata) if isinstance(strata, Mapping) else {}
    drawn_in = [] if isinstance(strata, Mapping) else strata
    labels = [segments] if isinstance(segments, str) else []
    for name, columns in (("features", features), ("strata", drawn_in)):
        if isinstance(columns, str) or not isinstance(columns, Iterable):
            raise ParameterError(f"{name} is {columns!r}, but must be a list of columns.")
    if customer_id in {*features, *labels}:
        raise ParameterError(
            f"features and segments must not name {customer_id!r}, which tells customers apart: "
            "nothing is learned from it."
        )
    if {outcome, arm} & {*features, *labels}:
        raise ParameterError(
            "features and segments must not name the outcome or the arm: they are known before "
            "the campaign."
        )
    needed = [customer_id, outcome, arm, *features, *labels, *drawn_in, *chances.values(), *more]
    check_columns(lazy.collect_schema().names(), needed, where=_WHERE)
    rows = collect(lazy.select(dict.fromkeys(needed)))
    repeated = int(rows[customer_id].duplicated().sum())
    if repeated or rows[customer_id].isna().any():
        raise DataError(
            f"column {customer_id!r} repeats {repeated:,} customers and lacks "
            f"{int(rows[customer_id].isna().sum()):,} ids. Keep one row per customer."
        )
    no_arm = rows[arm].isna()
    no_outcome = ~no_arm & rows[outcome].isna()
    aside = {"no_arm": no_arm, "no_outcome": no_outcome}
    if learned_from is not None:
        aside["learned_from"] = rows[customer_id].isin(learned_from) & ~no_arm & ~no_outcome
    used = ~np.any(list(aside.values()), axis=0)
    parts = {reason: int(mark.sum()) for reason, mark in aside.items()}
    if not used.any():
        words = {"no_arm": "lack an arm", "no_outcome": "lack an outcome"}
        reasons = [
            f"{n:,} {words.get(reason, 'taught the segments')}" for reason, n in parts.items()
        ]
        raise DataError(
            f"none of {len(rows):,} rows can be used ({', '.join(reasons)}). Give the customers of "
            "the campaign, each with an arm and an outcome."
        )
    account = pd.Series({"rows_in": len(rows), **parts, "rows_used": int(used.sum())}, name="rows")
    rows = rows[used].set_index(customer_id).sort_index()
    rows.index.name = "customer_id"
    arms = _arms(rows[arm], arm, control)
    stratum = _strata(rows, drawn_in)
    codes = pd.Index(arms).get_indexer(pd.Index(rows[arm]))
    labelled = None if segments is None else _segments(rows, segments)
    known = [learn_feature(rows[name]) for name in dict.fromkeys(features)]
    blocks = [feature.encode(rows[feature.name]) for feature in known]
    if labelled is not None:
        share = labelled.value_counts(normalize=True)
        common = sorted(share.index[share >= _RARE])
        blocks += [(labelled == name).to_numpy(dtype=float)[:, None] for name in common]
    return Trial(
        rows,
        _numbers(rows[outcome]),
        codes,
        arms,
        _propensity(rows, codes, arms, stratum, chances),
        stratum,
        np.column_stack(blocks) if blocks else np.zeros((len(rows), 0)),
        known,
        labelled,
        account,
    )


def _holds_numbers(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values))


def _arms(values: pd.Series, column: str, control: Any) -> list[Any]:
    seen = sorted(values.unique().tolist(), key=str)
    check_option(control, "control", seen)
    if len(seen) < 2:
        raise DataError(f"column {column!r} holds one arm only, so that there is no comparison.")
    return [control, *(name for name in seen if name != control)]


def _numbers(values: pd.Series) -> Matrix:
    if not _holds_numbers(values):
        raise DataError(f"outcome {values.name!r} must hold numbers, but is {values.dtype}.")
    numbers = values.to_numpy(dtype=float)
    if not np.isfinite(numbers).all():
        raise DataError(f"outcome {values.name!r} holds infinite values. Set them right first.")
    return numbers


def _strata(rows: pd.DataFrame, strata: Sequence[str]) -> Codes:
    if not strata:
        return np.zeros(len(rows), dtype=np.intp)
    return rows.groupby(list(strata), dropna=False, observed=True).ngroup().to_numpy(np.intp)


def _segments(rows: pd.DataFrame, segments: str | pd.Series) -> pd.Series:
    if not isinstance(segments, str | pd.Series):
        raise ParameterError(
            f"segments is a {type(segments).__name__}, but must be the name of a column or a "
            "Series of labels indexed by customer id."
        )
    given = rows[segments] if isinstance(segments, str) else segments
    if given.index.has_duplicates:
        raise DataError("the index of segments repeats customers. Keep one row per customer.")
    labels = name_labels(given).reindex(rows.index).cat.remove_unused_categories()
    if labels.isna().all():
        raise DataError(
            "segments assigns no customer of the campaign. Its index must hold customer ids."
        )
    if labels.isna().any():
        labels = labels.cat.add_categories([NO_SEGMENT]).fillna(NO_SEGMENT)
    return labels.rename("segment")


def _propensity(
    rows: pd.DataFrame, arm: Codes, arms: list[Any], stratum: Codes, columns: dict[Any, str]
) -> Matrix:
    if not columns:
        counts = np.zeros((stratum.max() + 1, len(arms)))
        np.add.at(counts, (stratum, arm), 1)
        if (counts == 0).any():
            s, a = np.argwhere(counts == 0)[0]
            raise DataError(
                f"a stratum of {int(counts[s].sum()):,} customers has nobody in arm {arms[a]!r}: "
                "nothing shows what they would have done in it. Name coarser strata."
            )
        return np.asarray((counts / counts.sum(axis=1, keepdims=True))[stratum])
    if set(columns) != set(arms):
        raise ParameterError(f"strata must name a column of chances for each arm: {arms}.")
    named = rows[[columns[name] for name in arms]]
    for name in named:
        if not _holds_numbers(named[name]):
            raise DataError(f"column {name!r} must hold chances, but is {named[name].dtype}.")
    chances = named.to_numpy(dtype=float)
    if not ((chances > 0) & (chances < 1)).all() or not np.allclose(chances.sum(axis=1), 1):
        raise DataError(
            "the columns of chances must lie between 0 and 1 and add up to 1 for each "
            "customer. Customers who could not get an arm are left out of the question."
        )
    return chances
