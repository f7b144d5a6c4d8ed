"""What makes up the effect on everybody: the segments' contributions, and the mix."""

from dataclasses import replace

import numpy as np
import pandas as pd

from custseg.campaigns._cells import Cells
from custseg.campaigns._comparing import Comparison
from custseg.campaigns._moments import Moments
from custseg.campaigns.metrics import Mean, Metric, Proportion
from custseg.campaigns.ratio import Ratio

DECOMPOSITION_COLUMNS = [
    *("metric", "arm", "segment", "share", "effect", "contribution", "ci_low", "ci_high")
]
NO_SEGMENT, MIX = "(no segment)", "(mix)"


def decomposition_rows(
    m: int, name: str, compared: Comparison, moments: Moments, cells: Cells
) -> pd.DataFrame | None:
    """Return what the effect of metric `m` on everybody is made of, by treatment arm.

    A segment contributes its effect times its share, the mean of its shares in the two arms: of
    customers or, for a ratio, of the denominator. What the contributions leave is the mix: arms
    with unlike shares of the segments and, with covariates, slopes that differ.

    Parameters
    ----------
    m, name
        Position and name of the metric.
    compared, moments
        Of everybody, then each segment.
    cells
        The sums, which also hold customers in no segment: a row of their own.

    Returns
    -------
    pandas.DataFrame or None
        Nothing without segments, or for a metric that does not add up over customers.

    References
    ----------
    Kitagawa, E. M. (1955), Components of a difference between two rates, JASA 50, 1168-1194.
    """
    metric = cells.roles.metrics[name]
    if not cells.segments or not isinstance(metric, Mean | Proportion | Ratio):
        return None
    base, found = _base(metric, moments), _contributors(compared, moments)
    groups = list(cells.segments)
    if (moments.n[0] > moments.n[1:].sum(axis=0)).any():
        others = replace(cells, segments=[*groups, NO_SEGMENT]).moments(m, metric)
        others = _only(others, [0, len(groups) + 1])
        outside = _contributors(metric.compare(others), others)
        found = [np.concatenate(pair) for pair in zip(found, outside, strict=True)]
        base = np.concatenate([base, _base(metric, others)[1:]])
        groups.append(NO_SEGMENT)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = base[1:] / base[0]
    share = (shares[:, :1] + shares[:, 1:]) / 2
    effect, low, high = found
    parts = []
    for a, arm in enumerate(cells.arms[1:]):
        rows = pd.DataFrame(
            {
                "segment": groups,
                "share": share[:, a],
                "effect": effect[:, a],
                "contribution": share[:, a] * effect[:, a],
                "ci_low": share[:, a] * low[:, a],
                "ci_high": share[:, a] * high[:, a],
            }
        )
        mix = float(compared.difference.effect[0, a]) - rows["contribution"].sum()
        left = pd.DataFrame({"segment": [MIX], "contribution": [mix]})
        parts.append(pd.concat([rows, left]).assign(metric=name, arm=arm))
    return pd.concat(parts, ignore_index=True)[DECOMPOSITION_COLUMNS]


def _base(metric: Metric, moments: Moments) -> np.ndarray:
    """Return what the effects are averaged over: customers, or the denominator of a ratio."""
    per_customer = moments.mean[..., 1] if isinstance(metric, Ratio) else 1
    return np.where(moments.n > 0, moments.n * per_customer, 0)


def _contributors(compared: Comparison, moments: Moments) -> list[np.ndarray]:
    """Return effects and bounds of all groups but everybody, where both arms have two customers."""
    enough = (moments.n[1:, :1] >= 2) & (moments.n[1:, 1:] >= 2)
    difference = compared.difference
    parts = difference.effect, difference.ci_low, difference.ci_high
    return [np.where(enough, part[1:], np.nan) for part in parts]


def _only(moments: Moments, groups: list[int]) -> Moments:
    """Return the moments of some groups."""
    return Moments(
        moments.n[groups],
        moments.mean[groups],
        moments.cross[groups],
        third=None if moments.third is None else moments.third[groups],
        groups=tuple(moments.groups[g] for g in groups),
        values=None if moments.values is None else [moments.values[g] for g in groups],
    )
