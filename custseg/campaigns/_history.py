"""Rows of a history, one per customer, read once for planning and simulated campaigns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import collect, to_lazy
from custseg._labels import ALL, name_labels
from custseg.campaigns._moments import Moments
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.metrics import Metric
from custseg.errors import DataError, ParameterError, check_columns

_WHERE = "the history"
_MOST_STRATA = 10_000
_DIGITS = 9  # of the largest value, to which others count as equal when rows are put in order


@dataclass(frozen=True)
class History:
    """Customers of a history, with codes of their segment (-1: none) and stratum."""

    values: pd.DataFrame
    segments: list[str]
    segment: np.ndarray
    stratum: np.ndarray

    @property
    def groups(self) -> list[str]:
        """Everybody, then each segment."""
        return [ALL, *self.segments]

    def numbers(self, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of a metric where all are known, capped, and who these are."""
        columns = self.values[list(metric.columns)].to_numpy()
        known = ~np.isnan(columns).any(axis=1)
        columns = columns[known]
        if metric.winsorize is not None:
            columns[:, 0] = np.minimum(columns[:, 0], np.quantile(columns[:, 0], metric.winsorize))
        return columns, known


def read_history(history: Any, test: CampaignTest, *, strata: Sequence[str] = ()) -> History:
    """Return the rows of a history that a test can be planned on.

    Parameters
    ----------
    history
        One row per customer, any kind of table; no column of arms is needed.
    test
        Says which columns are read, and what the segments are.
    strata
        Columns whose combinations are the strata.

    Returns
    -------
    History
        All rows in the order of their ids, or of all that is read where no column names customers;
        numbers are floats, missing ones NaN.

    Raises
    ------
    ColumnError
        If a column is missing.
    ParameterError
        If `test` is no test.
    DataError
        If there are no rows, a column holds no or infinite numbers, a proportion is not 0/1, or a
        customer has several rows.
    """
    if not isinstance(test, CampaignTest):
        raise ParameterError(
            f"test is a {type(test).__name__}, but must be a CampaignTest, such as "
            "design.test({'spend': Mean('spend')})."
        )
    lazy = to_lazy(history)
    schema = lazy.collect_schema()
    numbers = list(dict.fromkeys(c for m in test.metrics.values() for c in m.columns))
    labels = [test.segments] if isinstance(test.segments, str) else []
    ids = [test.customer_id] if test.customer_id is not None else []
    others = [*labels, *strata, *ids]
    check_columns(schema.names(), [*numbers, *others], where=_WHERE)
    for column in numbers:
        if not (schema[column].is_numeric() or schema[column] == nw.Boolean):
            raise DataError(
                f"column {column!r} of {_WHERE} is of type {schema[column]}, but must hold numbers."
            )
    rows = collect(lazy.select(dict.fromkeys([*numbers, *others])))
    if rows.empty:
        raise DataError(f"{_WHERE} has no rows.")
    for column in ids:
        repeated = int(rows[column].duplicated().sum())
        if repeated:
            raise DataError(
                f"{repeated:,} rows of {_WHERE} repeat a customer. Add up the rows of each first."
            )
        rows = rows.sort_values(column, ignore_index=True)
    if not ids:
        rows = _in_order(rows)
    values = rows[numbers].astype("float64")
    _check_values(values, test)
    segment, names = _segment_codes(rows, test)
    return History(values, names, segment, stratum_codes(rows, strata))


def grid_moments(
    columns: np.ndarray,
    segment: np.ndarray,
    arm: np.ndarray,
    shape: tuple[int, int],
    metric: Metric,
) -> Moments:
    """Return the moments of many campaigns on the same customers.

    Parameters
    ----------
    columns
        What the metric reads, (N, p).
    segment
        Positions of segments, (N,), -1 for none.
    arm
        Positions of arms by campaign, (B, N), -1 for none.
    shape
        Number of segments and of arms.
    metric
        Says whether it needs the rows themselves.

    Returns
    -------
    Moments
        Groups are everybody, then each segment, of the first campaign, then of the next.
    """
    (n_segments, n_arms), repeats = shape, len(arm)
    column = np.where(segment < 0, n_segments, segment) * n_arms + arm
    cells = (n_segments + 1) * n_arms
    where = np.where(arm < 0, repeats * cells, column + cells * np.arange(repeats)[:, None]).ravel()
    centred = columns - columns.mean(axis=0)

    def total(values: np.ndarray) -> np.ndarray:
        found = np.bincount(where, np.tile(values, repeats), repeats * cells + 1)[:-1]
        found = found.reshape(repeats, n_segments + 1, n_arms)
        everybody = found.sum(axis=1, keepdims=True)
        return np.concatenate([everybody, found[:, :-1]], axis=1).reshape(-1, n_arms)

    p = columns.shape[1]
    n = total(np.ones(len(columns)))
    sums = np.stack([total(centred[:, i]) for i in range(p)], axis=-1)
    cross = np.empty((*sums.shape, p))
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(p):
            for j in range(i + 1):
                products = total(centred[:, i] * centred[:, j])
                cross[..., i, j] = products - sums[..., i] * sums[..., j] / n
                cross[..., j, i] = cross[..., i, j]
        mean = columns.mean(axis=0) + sums / n[..., None]
    moments = Moments(n, mean, cross)
    return (
        moments._replace(values=_rows(columns, segment, arm, shape))
        if metric.reads_rows
        else moments
    )


def _rows(
    columns: np.ndarray, segment: np.ndarray, arm: np.ndarray, shape: tuple[int, int]
) -> list[list[np.ndarray]]:
    """Return the rows of each group and arm of every campaign."""
    groups = [np.ones(len(segment), dtype=bool), *(segment == s for s in range(shape[0]))]
    return [
        [columns[group & (campaign == a)] for a in range(shape[1])]
        for campaign in arm
        for group in groups
    ]


def stratum_codes(rows: pd.DataFrame, strata: Sequence[str]) -> np.ndarray:
    """Return the code of each row's combination of values; a missing value is a value.

    Raises
    ------
    DataError
        If there are too many combinations to balance anything in.
    """
    if not strata:
        return np.zeros(len(rows), dtype=int)
    codes = rows.groupby(list(strata), sort=True, dropna=False, observed=True).ngroup().to_numpy()
    if codes.max() >= _MOST_STRATA:
        raise DataError(
            f"{', '.join(strata)} make {codes.max() + 1:,} strata, at most {_MOST_STRATA:,} can be "
            "balanced. Cut numbers into a few bands first, such as thirds of last year's spend."
        )
    return codes


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the order of their values, which rounding errors do not change."""

    def comparable(values: pd.Series) -> pd.Series:
        if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "biufM":
            return values.astype(str).where(values.notna())
        if values.dtype.kind != "f":
            return values
        largest = values.abs().replace(np.inf, np.nan).max()
        return values.round(_DIGITS - int(np.floor(np.log10(largest)))) if largest > 0 else values

    return rows.sort_values(list(rows.columns), key=comparable, ignore_index=True)


def refuse_infinite(values: pd.Series, what: str) -> None:
    """Raise `DataError` where a column of numbers holds infinite ones."""
    infinite = int(np.isinf(values).sum())
    if infinite:
        words = (
            "1 infinite value. Make it a number, or missing."
            if infinite == 1
            else f"{infinite:,} infinite values. Make them numbers, or missing."
        )
        raise DataError(f"{what} holds {words}")


def _check_values(values: pd.DataFrame, test: CampaignTest) -> None:
    for column in values:
        refuse_infinite(values[column], f"column {column!r} of {_WHERE}")
        if values[column].isna().all():
            raise DataError(f"column {column!r} of {_WHERE} holds no value at all.")
    for name, metric in test.metrics.items():
        if metric.binary:
            column = values[metric.columns[0]].dropna()
            odd = int((~column.isin([0, 1])).sum())
            if odd:
                raise DataError(
                    f"column {metric.columns[0]!r} of the proportion {name!r} must hold 0 and 1 "
                    f"only, but {odd:,} rows of {_WHERE} hold something else."
                )


def _segment_codes(rows: pd.DataFrame, test: CampaignTest) -> tuple[np.ndarray, list[str]]:
    if test.segments is None:
        return np.full(len(rows), -1), []
    if isinstance(test.segments, str):
        labels = name_labels(rows[test.segments])
    else:
        labels = rows[test.customer_id].map(test.segments).astype(test.segments.dtype)
        if labels.isna().all():
            raise DataError(
                f"none of the customers of {_WHERE} are in the segments. Check that both use the "
                "same customer ids."
            )
    labels = labels.cat.remove_unused_categories()
    return labels.cat.codes.to_numpy().astype(int), list(labels.cat.categories)
