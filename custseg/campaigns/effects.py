"""What did the campaign do: declare a test without data, then analyse any table in one pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from custseg._engine import to_lazy
from custseg._labels import ALL, name_labels
from custseg.campaigns._beside import (
    MARGIN_COLUMNS,
    POSTERIOR_COLUMNS,
    margin_notes,
    margin_rows,
    posterior_rows,
    together,
)
from custseg.campaigns._cells import Cells, Roles, read_cells
from custseg.campaigns.allocation import checked_shares
from custseg.campaigns.checks import (
    Checks,
    metrics_to_read,
    run_checks,
    split_columns,
    with_entry_day,
)
from custseg.campaigns.decomposition import DECOMPOSITION_COLUMNS, decomposition_rows
from custseg.campaigns.heterogeneity import (
    HETEROGENEITY_COLUMNS,
    heterogeneity_notes,
    heterogeneity_remarks,
    heterogeneity_rows,
)
from custseg.campaigns.impact import Impact, account_notes, effect_notes, ratio_notes
from custseg.campaigns.metrics import Comparison, Metric, Moments
from custseg.campaigns.shrinkage import shrunk_effects
from custseg.campaigns.srm import SampleRatio, ratios_by_segment, srm_test
from custseg.errors import DataError, ParameterError, check_option
from custseg.stats import Difference, benjamini_hochberg, holm
from custseg.tables import Experiment


@dataclass(frozen=True, kw_only=True, eq=False)
class CampaignTest:
    """A campaign test, declared before looking at the outcomes; it holds no campaign data.

    Parameters
    ----------
    arm
        The column that says which arm a customer was assigned to.
    control
        The arm that the others are compared with.
    metrics
        Name -> `Proportion`, `Mean`, `Ratio`, `Quantile` or `Rank`.
    segments
        A column of the data, or a Series of segment labels indexed by customer id, such as
        ``model.segments_``; each is analysed as well as everybody, called ``"(all)"``.
    customer_id
        The column that identifies customers: joins a Series of segments, and lets the analysis
        refuse customers with more than one row.
    allocation
        Arm -> planned share, which add up to 1; ``None`` tests the sample ratio against equal
        shares.
    checks
        What else to check before any effect is read; `Checks()` where nothing is named.

    Raises
    ------
    ParameterError
        If a metric is no metric, the allocation is no allocation of these arms, checks are no
        `Checks`, or a Series of segments comes without `customer_id`.
    DataError
        If customers appear twice in the segments, or a segment is called ``"(all)"``.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> sent = pd.DataFrame({
    ...     "mail": ["none", "offer"] * 50,
    ...     "visit": [0, 0, 0, 1, 1, 1, 0, 1, 0, 1] * 10,
    ...     "spend": [0.0, 0.0, 0.0, 21.0, 9.5, 12.0, 0.0, 30.0, 0.0, 8.0] * 10,
    ... })
    >>> test = cs.CampaignTest(
    ...     arm="mail",
    ...     control="none",
    ...     metrics={"visit": cs.Proportion("visit"), "spend": cs.Mean("spend")},
    ... )
    >>> impact = test.analyze(sent)
    >>> impact.to_frame()[["metric", "arm", "control", "treatment", "effect"]]
      metric    arm  control  treatment  effect
    0  visit  offer      0.2        0.8     0.6
    1  spend  offer      1.9       14.2    12.3
    """

    arm: str
    control: Any
    metrics: Mapping[str, Metric]
    segments: str | pd.Series | None = field(default=None, repr=False)
    customer_id: str | None = None
    allocation: Mapping[Any, float] | None = None
    checks: Checks = field(default_factory=Checks)

    def __post_init__(self) -> None:
        for name in ("arm", "customer_id"):
            value = getattr(self, name)
            if not isinstance(value, str) and (name == "arm" or value is not None):
                raise ParameterError(f"{name} is {value!r}, but must be the name of a column.")
        if self.control is None:
            raise ParameterError("control is None, but must be the arm to compare with.")
        if not isinstance(self.checks, Checks):
            raise ParameterError(f"checks is {self.checks!r}, but must be Checks(...).")
        checked = {
            "metrics": _checked_metrics(self.metrics),
            "segments": _checked_segments(self.segments, self.customer_id),
            "allocation": _checked_allocation(self.allocation, self.control),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def analyze(self, data: Any) -> Impact:
        """Compare every arm with control, overall and in every segment.

        One group-by in the engine of the data gives sums by segment and arm, and everything else
        follows in closed form. What is read besides: the first rows, to centre the sums (all of
        them, should those be far from the rest); customer ids, where they are named; a quantile
        for each winsorised outcome; the rows themselves for quantiles, ranks and resampling; and
        what `checks` names: a group-by for each category, and one for times.

        Parameters
        ----------
        data
            One row per customer: a pandas, Polars or PyArrow table, a DuckDB relation, a PySpark
            frame, an Ibis table, the path of a CSV or Parquet file, or an `Experiment`.

        Returns
        -------
        Impact
            Effects with intervals and adjusted p-values, the sample-ratio check, and an account
            of every row.

        Raises
        ------
        ColumnError
            If a column is missing.
        ParameterError
            If control is not among the arms.
        DataError
            If the values do not allow the test: no rows, one arm only, text or infinite values in
            a metric, a proportion that is not 0/1, a customer with several rows, an arm without a
            planned share.
        """
        customer_id = self.customer_id
        if isinstance(data, Experiment):
            source, customer_id = data.frame, customer_id or data.customer_id
        else:
            # ids that join segments of another type, and times that are text, are left to DuckDB
            source = to_lazy(data, in_polars=not isinstance(self.segments, pd.Series))
            schema = source.collect_schema()
            if any(schema.get(column) == nw.String for column in self.checks.times):
                source = to_lazy(data)
        numbers, _ = split_columns(source, self.checks, self.arm)
        source = with_entry_day(source, self.checks)
        read = {**self.metrics, **metrics_to_read(self.checks, numbers, self.metrics)}
        roles = Roles(self.arm, read, self.segments, customer_id)
        cells = read_cells(source, roles, self.control, list(self.allocation or []))
        effects, tested, believed, differ, made_of = [], [], [], [], []
        remarks: list[str] = []
        for m, (name, metric) in enumerate(self.metrics.items()):
            moments = cells.moments(m, metric)
            compared = metric.compare(moments)
            effects.append(_effects(name, compared, moments, cells))
            tested.append(margin_rows(name, metric, compared, moments, cells))
            believed.append(posterior_rows(name, metric, moments, cells))
            differ.append(heterogeneity_rows(name, metric, compared, moments, cells))
            made_of.append(decomposition_rows(m, name, compared, moments, cells))
            remarks += metric.remarks(name, moments)
            remarks += heterogeneity_remarks(name, metric, moments, cells)
        table = pd.concat(effects, ignore_index=True)
        margins = together(tested, MARGIN_COLUMNS)
        heterogeneity = together(differ, HETEROGENEITY_COLUMNS)
        srm = _sample_ratio(cells, self.allocation)
        checked = run_checks(source, cells, srm, self.metrics, self.checks)
        account = _account(cells, roles, list(self.metrics))
        notes = (
            *ratio_notes(srm, planned=self.allocation is not None),
            *checked.notes,
            *account_notes(account, absent=self._absent(cells)),
            *remarks,
            *margin_notes(margins, self.control),
            *effect_notes(table),
            *heterogeneity_notes(heterogeneity),
        )
        return Impact(
            table,
            self.control,
            srm,
            account,
            notes,
            margins,
            together(believed, POSTERIOR_COLUMNS),
            heterogeneity,
            together(made_of, DECOMPOSITION_COLUMNS),
            checked.table,
            checked.over_time,
            self.metrics,
        )

    def _absent(self, cells: Cells) -> list[str]:
        """Return the segments of a Series that no customer in the data belongs to."""
        if not isinstance(self.segments, pd.Series):
            return []
        return [name for name in self.segments.cat.categories if name not in cells.segments]


def _checked_metrics(metrics: Any) -> dict[str, Metric]:
    if not isinstance(metrics, Mapping) or not metrics:
        raise ParameterError(
            "metrics must be a dictionary from name to metric, such as "
            "{'visit': Proportion('visit')}."
        )
    for name, metric in metrics.items():
        if not isinstance(name, str) or not isinstance(metric, Metric) or isinstance(metric, type):
            raise ParameterError(
                f"metrics[{name!r}] is {metric!r}, but a metric is Proportion(column) or "
                "Mean(column), under a name that is text."
            )
    return dict(metrics)


def _checked_segments(segments: Any, customer_id: str | None) -> str | pd.Series | None:
    """Return segments as given, a Series as categorical of text."""
    if segments is None or isinstance(segments, str):
        return segments
    if not isinstance(segments, pd.Series):
        raise ParameterError(
            f"segments is a {type(segments).__name__}, but must be the name of a column or a "
            "Series of labels indexed by customer id."
        )
    if customer_id is None:
        raise ParameterError(
            "segments is a Series, so customer_id must name the column that holds its index."
        )
    repeated = int(segments.index.duplicated().sum())
    if repeated or segments.index.hasnans:
        raise DataError(
            f"the index of segments holds {repeated:,} repeated customer ids and "
            f"{int(segments.index.isna().sum()):,} missing ones. Keep one row per customer."
        )
    if segments.isna().all():
        raise DataError("segments assigns no customer to any segment.")
    return name_labels(segments)


def _checked_allocation(allocation: Any, control: Any) -> dict[Any, float] | None:
    """Return arm -> share with control first."""
    if allocation is None:
        return None
    shares = checked_shares(allocation, "allocation")
    check_option(control, "control", list(shares))
    return {control: shares[control]} | shares


def _effects(name: str, compared: Comparison, moments: Moments, cells: Cells) -> pd.DataFrame:
    """Return the rows of one metric: everybody, then each segment, by treatment arm."""
    n_control, n_treatment = np.broadcast_arrays(moments.n[:, :1], moments.n[:, 1:])
    enough = (n_control >= 2) & (n_treatment >= 2)
    p_value = np.where(enough, compared.difference.p_value, np.nan)
    reliable = Difference(*(np.where(enough, part, np.nan) for part in compared.difference))
    shrunk, shrunk_low, shrunk_high = shrunk_effects(reliable)
    numbers = {
        "control": compared.control,
        "treatment": compared.treatment,
        "effect": compared.difference.effect,
        "se": compared.difference.se,
        "ci_low": compared.difference.ci_low,
        "ci_high": compared.difference.ci_high,
        "p_value": p_value,
        "p_holm": _adjusted(holm, p_value),
        "p_bh": _adjusted(benjamini_hochberg, p_value),
        "relative_effect": compared.relative.effect,
        "relative_ci_low": compared.relative.ci_low,
        "relative_ci_high": compared.relative.ci_high,
        "effect_shrunk": shrunk,
        "ci_low_shrunk": shrunk_low,
        "ci_high_shrunk": shrunk_high,
    }
    treatments = cells.arms[1:]
    groups = [ALL, *cells.segments]
    return pd.DataFrame(
        {
            "metric": pd.Series([name] * p_value.size, dtype=str),
            "segment": pd.Series(np.repeat(groups, len(treatments)), dtype=str),
            "arm": treatments * len(groups),
            "n_control": n_control.ravel().astype(int),
            "n_treatment": n_treatment.ravel().astype(int),
            **{column: np.where(enough, x, np.nan).ravel() for column, x in numbers.items()},
        }
    )


def _adjusted(adjust: Callable[[np.ndarray], np.ndarray], p: np.ndarray) -> np.ndarray:
    """Adjust p-values (G, arms): everybody's arms are one family, all segments another."""
    return np.concatenate([adjust(p[0])[None], adjust(p[1:].ravel()).reshape(p[1:].shape)])


def _sample_ratio(cells: Cells, allocation: Mapping[Any, float] | None) -> SampleRatio:
    counts = cells.total("rows")
    shares = allocation or dict.fromkeys(cells.arms, 1 / len(cells.arms))
    overall = srm_test(dict(zip(cells.arms, counts[0], strict=True)), shares)
    by_segment = ratios_by_segment(cells.segments, counts[1:], np.array(list(shares.values())))
    return replace(overall, by_segment=by_segment)


def _account(cells: Cells, roles: Roles, names: list[str]) -> pd.DataFrame:
    """Return, per metric, rows in = rows used + rows set aside, and the segments of those used."""
    frame, in_none = cells.frame, cells.frame["group"] == len(cells.segments)
    rows = frame["rows"].sum()
    account = []
    for m in range(len(names)):
        used, outcome = frame[f"n_{m}"], frame[f"outcome_{m}"].sum()
        parts = {
            "rows_in": cells.rows_in,
            "no_arm": cells.rows_in - rows,
            "no_outcome": rows - outcome,
            "no_covariate": outcome - used.sum(),
            "rows_used": used.sum(),
        }
        if roles.segments is not None:
            parts["in_segment"] = used[~in_none].sum()
            parts["segment_missing"] = used[in_none & ~frame["unmatched"]].sum()
            parts["not_in_segments"] = used[in_none & frame["unmatched"]].sum()
        account.append(parts)
    return pd.DataFrame(account, index=pd.Index(names, name="metric")).astype(int)
