"""What a history says of the outcomes of a planned test: level, spread, what explains them."""

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from custseg.campaigns._history import History, cell_moments, read_history
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.metrics import Metric, Moments
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
                f"{row['metric']}: {format_number(row['baseline'])} per customer{spread} "
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
    groups = [np.zeros(len(columns), dtype=int), segment]
    counts = [1, len(rows.segments)]
    records = []
    for cell, n_cells in zip(groups, counts, strict=True):
        if not n_cells:
            continue
        moments = cell_moments(columns, cell, n_cells)
        within, n_strata = _within_strata(columns, cell, n_cells, stratum)
        plain = _without_covariates(metric)
        baseline, raw = _level(plain, _part(moments, metric, plain))
        adjusted = _level(metric, moments)[1]
        scale = (moments.n[:, 0] - 1) / np.maximum(moments.n[:, 0] - n_strata, 1)
        inner = _level(metric, moments._replace(cross=within))[1] * scale
        if metric.binary:  # its spread is that of 0 and 1, whatever lies between strata
            inner = within[:, 0, 0, 0] / np.maximum(moments.n[:, 0] - n_strata, 1)
            total = moments.cross[:, 0, 0, 0] / (moments.n[:, 0] - 1)
            inner = inner * adjusted / total
        with np.errstate(divide="ignore", invalid="ignore"):
            records.append(
                pd.DataFrame(
                    {
                        "n": moments.n[:, 0].astype(int),
                        "share": moments.n[:, 0] / len(columns),
                        "baseline": baseline,
                        "sd": np.sqrt(raw),
                        "r_squared": np.clip(np.nan_to_num(1 - adjusted / raw), 0, 1),
                        "balanced": np.clip(np.nan_to_num(1 - inner / adjusted), 0, 1),
                        "skewness": [
                            _skewness(columns[cell == group, 0]) for group in range(n_cells)
                        ],
                    }
                )
            )
    table = pd.concat(records, ignore_index=True)
    table.insert(0, "metric", pd.Series([name] * len(table), dtype=str))
    table.insert(1, "segment", pd.Series(rows.groups, dtype=str))
    table.insert(2, "binary", metric.binary)
    return table


def _level(metric: Metric, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return level and variance per customer, from the comparison of a group with its twin."""
    twins = Moments(*(np.repeat(x, 2, axis=1) for x in moments))
    compared = metric.compare(twins)
    variance = compared.difference.se[:, 0] ** 2 * moments.n[:, 0] / 2
    return compared.control[:, 0], variance


def _without_covariates(metric: Metric) -> Metric:
    if is_dataclass(metric) and getattr(metric, "covariate", None):
        return replace(metric, covariate=None)
    return metric


def _part(moments: Moments, metric: Metric, plain: Metric) -> Moments:
    kept = [metric.columns.index(column) for column in plain.columns]
    return Moments(moments.n, moments.mean[..., kept], moments.cross[..., kept, :][..., kept])


def _within_strata(
    columns: np.ndarray, cell: np.ndarray, n_cells: int, stratum: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return cross-products around the means of strata by cell, and the strata that each has."""
    n_strata = int(stratum.max()) + 1
    fine = cell_moments(
        columns, np.where(cell < 0, -1, cell * n_strata + stratum), n_cells * n_strata
    )
    p = columns.shape[1]
    cross = np.nan_to_num(fine.cross).reshape(n_cells, n_strata, 1, p, p).sum(axis=1)
    return cross, (fine.n.reshape(n_cells, n_strata) > 0).sum(axis=1)


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
