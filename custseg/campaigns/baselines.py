"""What a history says of the outcomes of a planned test: level, spread, what explains them."""

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from custseg.campaigns._history import History, grid_moments, read_history
from custseg.campaigns._moments import Moments
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.metrics import Mean, Metric
from custseg.results import Result, format_number


@dataclass(frozen=True, repr=False, eq=False)
class Baselines(Result):
    """Level and spread of each metric, overall and by segment, to plan a test with.

    Attributes
    ----------
    table
        The table of `to_frame`.
    strata
        The columns that make the strata.
    notes
        Caveats.
    """

    table: pd.DataFrame
    strata: tuple[str, ...]
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "campaign_design.baselines"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per metric and segment.

        Returns
        -------
        pandas.DataFrame
            `metric`, `segment` (``"(all)"`` first), `binary` (whether it is a proportion), `n`
            (customers with all values), `share` (of all customers), `baseline` (mean, share or
            ratio), `sd` (per customer, without covariates; of a ratio that of its linearised
            values), `r_squared` (share of the variance that the covariates take away), `balanced`
            (share of what is left that lies between strata), `skewness`.
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return the overall level of each metric in a sentence."""
        parts = []
        for row in self.table[self.table["segment"] == "(all)"].to_dict("records"):
            spread = "" if row["binary"] else f", standard deviation {format_number(row['sd'])}"
            parts.append(
                f"{row['metric']}: {format_number(row['baseline'])}{spread} "
                f"({row['n']:,} customers)."
            )
        return " ".join(parts)


def baselines(history: Any, test: CampaignTest, *, strata: Sequence[str] = ()) -> Baselines:
    """Read from a history what the size of a campaign depends on.

    Parameters
    ----------
    history
        One row per customer, any kind of table, with the columns that the metrics of `test` read:
        outcomes over a period as long as the campaign will be observed, covariates from before
        that period. No column of arms is needed. The columns in use are collected.
    test
        The test that is planned: its metrics and segments.
    strata
        Columns in whose combinations the assignment will be balanced.

    Returns
    -------
    Baselines
        Level, spread and what explains it, overall and by segment.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If the values do not allow it: no rows, infinite values, a proportion that is not 0/1, a
        customer with several rows.
    ParameterError
        If a metric needs more than means and cross-products.

    References
    ----------
    Deng, A., Xu, Y., Kohavi, R. and Walker, T. (2013), Improving the sensitivity of online
    controlled experiments by utilizing pre-experiment data, WSDM; Kohavi, R., Deng, A., Longbotham,
    R. and Xu, Y. (2014), Seven rules of thumb for web site experimenters, KDD (skewness).

    Examples
    --------
    >>> import custseg as cs
    >>> shop = cs.datasets.make_shop(500)
    >>> test = cs.CampaignTest(
    ...     arm="arm", control="control", metrics={"spend": cs.Mean("spend", covariate="pre_spend")}
    ... )
    >>> found = baselines(shop.campaign, test).to_frame()
    >>> found[["metric", "segment", "n"]]
      metric segment    n
    0  spend   (all)  500
    """
    rows = read_history(history, test, strata=strata)
    tables = [_metric_table(name, metric, rows) for name, metric in test.metrics.items()]
    table = pd.concat(tables, ignore_index=True)
    return Baselines(table, tuple(strata), tuple(_notes(table, rows)))


def _metric_table(name: str, metric: Metric, rows: History) -> pd.DataFrame:
    columns, known = rows.numbers(metric)
    segment, stratum = rows.segment[known], rows.stratum[known]
    once = np.zeros((1, len(columns)), dtype=int)
    moments = grid_moments(columns, segment, once, (len(rows.segments), 1), metric)
    plain = _without_covariates(metric)
    baseline, raw = _level(plain, _part(moments, metric, plain))
    adjusted = _level(metric, moments)[1]
    n, between = moments.n[:, 0], _between(metric, columns, moments, segment, stratum)
    groups = [np.ones(len(columns), dtype=bool)]
    groups += [segment == position for position in range(len(rows.segments))]
    with np.errstate(divide="ignore", invalid="ignore"):
        r_squared = np.clip(np.nan_to_num(1 - adjusted / raw), 0, 1)
    return pd.DataFrame(
        {
            "metric": pd.Series([name] * len(n), dtype=str),
            "segment": pd.Series(rows.groups, dtype=str),
            "binary": metric.binary,
            "n": n.astype(int),
            "share": n / len(columns),
            "baseline": baseline,
            "sd": np.sqrt(raw),
            "r_squared": r_squared,
            "balanced": between,
            "skewness": [_skewness(columns[group, 0]) for group in groups],
        }
    )


def _level(metric: Metric, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return level and variance per customer, from the comparison of a group with its twin."""
    n, mean, cross = (np.repeat(part, 2, axis=1) for part in moments[:3])
    twins = Moments(n, mean, cross)
    if moments.values is not None:
        twins = twins._replace(values=[group * 2 for group in moments.values])
    compared = metric.compare(twins)
    variance = compared.difference.se[:, 0] ** 2 * moments.n[:, 0] / 2
    return compared.control[:, 0], variance


def _between(
    metric: Metric,
    columns: np.ndarray,
    moments: Moments,
    segment: np.ndarray,
    stratum: np.ndarray,
) -> np.ndarray:
    """Return the share of the adjusted variance that lies between strata, by group."""
    n_strata, n_segments = int(stratum.max()) + 1, len(moments.n) - 1
    if n_strata == 1 or metric.reads_rows:
        return np.zeros(n_segments + 1)
    once, p = np.zeros((1, len(columns)), dtype=int), columns.shape[1]
    inner = np.where(segment < 0, n_segments, segment) * n_strata + stratum
    within, n_cells = [], []
    for cell, groups in ((stratum, 1), (inner, n_segments + 1)):
        fine = grid_moments(columns, cell, once, (groups * n_strata, 1), metric)
        parts = np.nan_to_num(fine.cross[1:]).reshape(groups, n_strata, 1, p, p)
        within.append(parts.sum(axis=1))
        n_cells.append((fine.n[1:] > 0).reshape(groups, n_strata).sum(axis=1))
    cross = np.concatenate(within)[: n_segments + 1]
    left = moments.n[:, 0] - np.concatenate(n_cells)[: n_segments + 1]
    # the spread of a share follows from the share: compare it as the mean of 0 and 1
    measured = Mean(metric.columns[0]) if metric.binary and p == 1 else metric
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = _level(measured, moments._replace(cross=cross))[1] * (moments.n[:, 0] - 1) / left
        share = 1 - kept / _level(measured, moments)[1]
    return np.clip(np.nan_to_num(np.where(left > 0, share, 0)), 0, 1)


def _without_covariates(metric: Metric) -> Metric:
    if is_dataclass(metric) and getattr(metric, "covariate", None):
        return replace(metric, covariate=None)
    return metric


def _part(moments: Moments, metric: Metric, plain: Metric) -> Moments:
    kept = [metric.columns.index(column) for column in plain.columns]
    mean, cross = moments.mean[..., kept], moments.cross[..., kept, :][..., kept]
    values = moments.values and [[rows[:, kept] for rows in group] for group in moments.values]
    return moments._replace(mean=mean, cross=cross, values=values)


def _skewness(values: np.ndarray) -> float:
    if len(values) < 3 or np.ptp(values) == 0:
        return np.nan
    return float(stats.skew(values))


def _notes(table: pd.DataFrame, rows: History) -> list[str]:
    notes = []
    for name, found in table.groupby("metric", sort=False):
        whole = found.iloc[0]
        missing = len(rows.values) - int(whole["n"])
        if missing:
            notes.append(f"{name}: {missing:,} customers without a value are left out.")
        few = found.loc[found["n"] < 2, "segment"].tolist()
        if few:
            notes.append(f"{name}: fewer than 2 customers in {', '.join(few)}: no spread.")
        if not whole["binary"] and abs(whole["skewness"]) > 1:
            need = int(np.ceil(355 * whole["skewness"] ** 2))
            notes.append(
                f"{name} is skewed ({format_number(whole['skewness'])}): below about {need:,} "
                "customers in an arm, check with aa_simulation whether its intervals hold."
            )
    outside = int((rows.segment < 0).sum()) if rows.segments else 0
    if outside:
        notes.append(f"{outside:,} customers have no segment: they count in (all) only.")
    return notes
