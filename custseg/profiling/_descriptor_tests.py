"""Whether segments differ on columns that had no part in making them, and how much."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from custseg.profiling._estimates import Sample, Vector, moments
from custseg.profiling._measures import DESCRIPTOR, Measure
from custseg.stats import (
    EffectSize,
    GroupTest,
    cramers_v,
    effective_sample_size,
    eta_squared,
    holm,
    welch_anova,
)

COLUMNS = (
    *("test", "n", "statistic", "df_1", "df_2", "p_value", "p_holm"),
    *("effect", "size", "ci_low", "ci_high", "least_expected"),
)
Found = tuple[str, GroupTest, str, EffectSize, float]


def descriptor_tests(
    measures: list[Measure],
    kinds: dict[str, str],
    codes: NDArray[np.integer],
    weights: Vector,
    level: float,
) -> pd.DataFrame:
    """Return a test per descriptor, and the size of what it tests.

    Numbers: Welch's analysis of variance and eta squared. Ordinal columns: Kruskal-Wallis and eta
    squared of the ranks. Yes/no values and categories: Pearson's chi-square and Cramér's V. With
    weights: the same with linearised variances (Lumley & Scott 2013 for ranks, Rao & Scott 1984
    for tables).

    Parameters
    ----------
    measures
        What the profile averages, a number per customer each.
    kinds
        Column to its kind.
    codes, weights
        Segment and weight of each customer.
    level
        Confidence level of the sizes.

    Returns
    -------
    pandas.DataFrame
        By descriptor `COLUMNS`; NaN where a segment pair has no spread, or there is one segment.
    """
    rows = {}
    by_name: dict[str, list[Measure]] = {}
    for measure in measures:
        if measure.role == DESCRIPTOR:
            by_name.setdefault(measure.variable, []).append(measure)
    for name, own in by_name.items():
        known = ~np.isnan(own[0].values)
        values = np.stack([measure.values[known] for measure in own], axis=1)
        used, dense = np.unique(codes[known], return_inverse=True)
        sample = Sample(values[:, 0], weights[known], dense, len(used))
        if kinds[name] == "ordinal":
            place = values.argmax(axis=1).astype(float) if own[0].level else values[:, 0]
            found = _ranks(sample._replace(x=place), level)
        elif own[0].is_share:
            table = values if own[0].level else np.stack([values[:, 0], 1 - values[:, 0]], axis=1)
            found = _table(sample, table, level)
        else:
            found = _means(sample, level)
        test, result, effect, size, least = found
        rows[name] = (test, int(known.sum()), *result, np.nan, effect, *size, least)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    table.index.name = "variable"
    return table.assign(p_holm=holm(table["p_value"].astype(float)))


def _means(sample: Sample, level: float) -> Found:
    """Return Welch's test; one variance for all where a segment has none of its own."""
    n, k = len(sample.x), sample.k
    found = moments(sample)
    eta2 = _share_between(sample)
    size = eta_squared(eta2, k - 1, effective_sample_size(sample.w) - k, level=level)
    if k < 2 or n <= k or not eta2 < 1:
        return "", _nothing(), "eta2", EffectSize(eta2, np.nan, np.nan), np.nan
    if (found.se > 0).all():
        result = welch_anova(found.mean, found.se**2, found.equal - 1)
        return "Welch's ANOVA", result, "eta2", size, np.nan
    statistic = eta2 / (1 - eta2) * (n - k) / (k - 1)
    p_value = float(stats.f.sf(statistic, k - 1, n - k))
    return "ANOVA", GroupTest(statistic, k - 1, n - k, p_value), "eta2", size, np.nan


def _ranks(sample: Sample, level: float) -> Found:
    """Return Kruskal and Wallis' test; with weights, Welch's of weighted ranks."""
    order, place = np.unique(sample.x, return_inverse=True)
    weight = np.bincount(place, weights=sample.w)
    ranks = (np.cumsum(weight) - weight / 2)[place] / sample.w.sum()
    ranked = sample._replace(x=ranks)
    if len(order) > 1 and np.ptp(sample.w) == 0:
        n, k = len(ranks), sample.k
        eta2 = _share_between(ranked)
        if k < 2 or n <= k:
            return "", _nothing(), "eta2", EffectSize(eta2, np.nan, np.nan), np.nan
        statistic = (n - 1) * eta2
        result = GroupTest(statistic, k - 1, np.nan, float(stats.chi2.sf(statistic, k - 1)))
        return (
            "Kruskal-Wallis",
            result,
            "eta2",
            eta_squared(eta2, k - 1, n - k, level=level),
            np.nan,
        )
    test, result, effect, size, least = _means(ranked, level)
    return f"{test} of ranks" if test else "", result, effect, size, least


def _table(sample: Sample, levels: NDArray[np.float64], level: float) -> Found:
    """Return Pearson's test of segments x levels; with weights, Rao and Scott's."""
    levels = levels[:, levels.any(axis=0)]
    n, k, m = len(levels), sample.k, levels.shape[1]
    if k < 2 or m < 2:
        return "", _nothing(), "cramers_v", EffectSize(np.nan, np.nan, np.nan), np.nan
    cells = np.stack([sample.sums(sample.w * column) for column in levels.T], axis=1)
    shares = cells / cells.sum()
    expected = np.outer(shares.sum(axis=1), shares.sum(axis=0))
    statistic = float(n * ((shares - expected) ** 2 / expected).sum())
    df = (k - 1) * (m - 1)
    least = float(n * expected.min())
    if np.ptp(sample.w) == 0:
        result = GroupTest(statistic, df, np.nan, float(stats.chi2.sf(statistic, df)))
        return "chi-square", result, "cramers_v", cramers_v(statistic, n, k, m, level=level), least
    inflation, spread = _design_effects(sample, levels, shares)
    df_1 = df / (1 + spread)
    f = statistic / (df * inflation)
    df_2 = df_1 * (n - 1)
    result = GroupTest(f, df_1, df_2, float(stats.f.sf(f, df_1, df_2)))
    size = cramers_v(statistic / inflation, n / inflation, k, m, level=level)
    return "Rao-Scott", result, "cramers_v", size, least


def _design_effects(
    sample: Sample, levels: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[float, float]:
    """Return mean and squared coefficient of variation of the generalised design effects.

    They are the eigenvalues of the covariance of the interactions of shares, over what it would be
    for as many customers of equal weight (Rao & Scott 1984, Annals of Statistics 12, 46-60).
    """
    k, m = shares.shape
    flat = shares.ravel()
    squares = np.stack([sample.sums(sample.w**2 * column) for column in levels.T], axis=1).ravel()
    cross = np.outer(flat, squares)
    covariance = np.diag(squares) - cross - cross.T + np.outer(flat, flat) * squares.sum()
    rows, columns = np.kron(np.eye(k), np.ones((m, 1))), np.kron(np.ones((k, 1)), np.eye(m))
    main = np.hstack([rows, columns[:, 1:]])
    both = np.kron(np.eye(k)[:, 1:], np.eye(m)[:, 1:])
    contrast = both - main @ np.linalg.lstsq(main, both, rcond=None)[0]
    scaled = np.divide(
        contrast, flat[:, None], where=flat[:, None] > 0, out=np.zeros_like(contrast)
    )
    actual = scaled.T @ covariance @ scaled / sample.w.sum() ** 2
    simple = contrast.T @ scaled / len(levels)
    effects = np.linalg.solve(simple, actual)
    mean = np.trace(effects) / len(effects)
    return float(mean), float(np.trace(effects @ effects) / len(effects) / mean**2 - 1)


def _share_between(sample: Sample) -> float:
    """Return eta squared: the (weighted) variation between segments over the whole one."""
    whole = sample.w @ sample.x / sample.w.sum()
    total = sample.w @ (sample.x - whole) ** 2
    if np.ptp(sample.x) == 0:
        return float("nan")
    found = moments(sample)
    return float((found.weight * (found.mean - whole) ** 2).sum() / total)


def _nothing() -> GroupTest:
    return GroupTest(np.nan, np.nan, np.nan, np.nan)
