"""Do the effects differ between segments, on a named scale."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from custseg.campaigns._cells import Cells
from custseg.campaigns._comparing import Comparison
from custseg.campaigns._moments import Moments
from custseg.campaigns.metrics import Metric, Proportion
from custseg.campaigns.srm import p_words
from custseg.results import format_number
from custseg.stats import holm

HETEROGENEITY_COLUMNS = ["metric", "arm", "scale", "statistic", "df", "p_value", "i2"]
_FEW_CUSTOMERS, _FEW_SUCCESSES = 100, 15
_ALPHA = 0.05
_TEST_WORDS = {
    "difference": "Cochran's Q on differences",
    "log_odds": "likelihood ratio on log-odds",
}
_FARTHEST = 60.0  # log odds ratios of any counts below 1e12 are nearer to 0


class SpreadTest(NamedTuple):
    """A chi-square statistic, its degrees of freedom, its p-value and the share beyond chance."""

    statistic: float
    df: int
    p_value: float
    i2: float


def q_test(effect: NDArray[np.float64], se: NDArray[np.float64]) -> SpreadTest:
    """Test whether independent estimates share one value: Cochran's Q.

    Parameters
    ----------
    effect, se
        Estimates and their standard errors, (S,); those without a standard error above 0 are left
        out.

    Returns
    -------
    SpreadTest
        `i2` is how much of Q is beyond its degrees of freedom, at least 0 (Higgins and Thompson).
        NaN with fewer than two estimates.

    References
    ----------
    Cochran, W. G. (1954), Biometrics 10, 101-129; Higgins, J. P. T. and Thompson, S. G. (2002),
    Statistics in Medicine 21, 1539-1558.

    Examples
    --------
    >>> found = q_test(np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.5, 1.0]))
    >>> found.df, round(found.statistic, 3), round(found.p_value, 4), round(found.i2, 3)
    (2, 7.556, 0.0229, 0.735)
    """
    known = np.isfinite(effect) & (se > 0)
    weight = 1 / se[known] ** 2
    away = effect[known] - (weight @ effect[known] / weight.sum() if known.any() else 0)
    return _chi_square(float(weight @ away**2), int(known.sum()) - 1)


def log_odds_test(
    x_t: NDArray[np.float64],
    n_t: NDArray[np.float64],
    x_c: NDArray[np.float64],
    n_c: NDArray[np.float64],
) -> SpreadTest:
    """Test whether tables share one odds ratio: the likelihood ratio of the logistic model.

    It compares the fit of ``segment * arm`` with that of ``segment + arm``.

    Parameters
    ----------
    x_t, n_t, x_c, n_c
        Successes and customers of treatment and control, (S,). Tables without customers in an arm,
        or with the same outcome for everybody, say nothing of odds and are left out.

    Returns
    -------
    SpreadTest
        As of `q_test`.

    Examples
    --------
    >>> sizes = np.array([100.0, 100.0])
    >>> found = log_odds_test(np.array([20.0, 40.0]), sizes, np.array([10.0, 40.0]), sizes)
    >>> found.df, round(found.statistic, 3), round(found.p_value, 4)
    (1, 2.624, 0.1052)
    """
    successes = x_t + x_c
    known = (n_t > 0) & (n_c > 0) & (successes > 0) & (successes < n_t + n_c)
    x_t, n_t, x_c, n_c, successes = (x[known] for x in (x_t, n_t, x_c, n_c, successes))
    df = int(known.sum()) - 1
    least, most = np.maximum(0, successes - n_c), np.minimum(successes, n_t)

    def excess(log_ratio: float) -> float:
        return float((_fitted(log_ratio, successes, n_t, n_c) - x_t).sum())

    if df < 1 or x_t.sum() in (least.sum(), most.sum()):  # one infinite ratio fits all exactly
        return _chi_square(0.0, df)
    common = optimize.brentq(excess, -_FARTHEST, _FARTHEST, xtol=1e-13)
    fit = _fitted(float(common), successes, n_t, n_c)
    seen = np.stack([x_t, n_t - x_t, x_c, n_c - x_c])
    expected = np.stack([fit, n_t - fit, successes - fit, n_c - successes + fit])
    logs = np.log(np.where(seen > 0, seen, 1)) - np.log(np.where(seen > 0, expected, 1))
    return _chi_square(max(2 * float((seen * logs).sum()), 0.0), df)


def _fitted(
    log_ratio: float,
    successes: NDArray[np.float64],
    n_t: NDArray[np.float64],
    n_c: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the successes of treatment that give each table this odds ratio and its own sums."""
    ratio = np.exp(log_ratio)
    b = n_c - successes + ratio * (n_t + successes)
    root = np.sqrt(b**2 + 4 * (1 - ratio) * ratio * n_t * successes)
    turned = b < 0  # only where the ratio is below 1
    far = np.where(turned, (root - b) / np.where(turned, 2 * (1 - ratio), 1), 0)
    return np.where(turned, far, 2 * ratio * n_t * successes / np.where(turned, 1, b + root))


def _chi_square(statistic: float, df: int) -> SpreadTest:
    if df < 1:
        return SpreadTest(np.nan, max(df, 0), np.nan, np.nan)
    beyond = max(0.0, 1 - df / statistic) if statistic > 0 else 0.0
    return SpreadTest(statistic, df, float(stats.chi2.sf(statistic, df)), beyond)


def heterogeneity_rows(
    name: str, metric: Metric, compared: Comparison, moments: Moments, cells: Cells
) -> pd.DataFrame | None:
    """Return the tests of a metric by treatment arm, if there are segments."""
    if not cells.segments:
        return None
    enough = (moments.n[:, :1] >= 2) & (moments.n[:, 1:] >= 2)
    effect = np.where(enough, compared.difference.effect, np.nan)[1:]
    se = np.asarray(compared.difference.se)[1:]
    rows = []
    for a, arm in enumerate(cells.arms[1:]):
        tests = {"difference": q_test(effect[:, a], se[:, a])}
        if isinstance(metric, Proportion):
            n, x = _counts(moments)
            tests["log_odds"] = log_odds_test(x[:, a + 1], n[:, a + 1], x[:, 0], n[:, 0])
        rows += [(name, arm, scale, *test) for scale, test in tests.items()]
    return pd.DataFrame(rows, columns=HETEROGENEITY_COLUMNS)


def heterogeneity_remarks(name: str, metric: Metric, moments: Moments, cells: Cells) -> list[str]:
    """Say which segments are too small for the tests and for what is shrunk."""
    n, smallest = moments.n[1:], moments.n[1:].min(axis=1)
    few, words = smallest < _FEW_CUSTOMERS, f"{_FEW_CUSTOMERS} customers"
    if isinstance(metric, Proportion):
        n, x = _counts(moments)
        few, words = (
            np.minimum(x, n - x).min(axis=1) < _FEW_SUCCESSES,
            f"{_FEW_SUCCESSES} successes or failures",
        )
    names = [segment for segment, mark in zip(cells.segments, few, strict=True) if mark]
    if not names:
        return []
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    rough = "whether segments differ, and shrunk effects, are rough."
    return [f"{name}: in {shown} an arm has fewer than {words}: {rough}"]


def heterogeneity_notes(heterogeneity: pd.DataFrame) -> list[str]:
    """Say where the scales disagree on whether segments differ."""
    notes = []
    for (metric, arm), rows in heterogeneity.groupby(["metric", "arm"], sort=False):
        p = rows.set_index("scale")["p_value"].dropna()
        if len({value < _ALPHA for value in p}) < 2:
            continue
        found = " and ".join(
            f"{'differ' if value < _ALPHA else 'do not clearly differ'} by {_TEST_WORDS[scale]} "
            f"({p_words(value)})"
            for scale, value in p.items()
        )
        notes.append(
            f"{metric}, {arm}: the segments' effects {found}. Where baselines differ, they cannot "
            "be alike on both scales: differences count customers, log-odds compare chances."
        )
    return notes


def differ_words(rows: pd.DataFrame) -> str:
    """Say of one metric for which arms the segments differ, Holm-adjusted for the arms."""
    metric = rows["metric"].iloc[0]
    p_holm = rows.groupby("scale")["p_value"].transform(lambda p: holm(p.to_numpy()))
    if p_holm.isna().all():
        return ""
    clear = rows.assign(p_holm=p_holm)[p_holm < _ALPHA]
    if clear.empty:
        return f"No clear difference between the segments in the effects on {metric}."
    tests = "; ".join(
        f"{row['arm']}: {_TEST_WORDS[row['scale']]}, {format_number(row['statistic'])} on "
        f"{row['df']} df, Holm-adjusted {p_words(row['p_holm'])}, I² {row['i2']:.0%}"
        for row in clear.to_dict("records")
    )
    return f"The effects on {metric} differ between segments ({tests})."


def _counts(moments: Moments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return customers and successes of the segments, (S, A)."""
    n = moments.n[1:]
    return n, np.rint(np.where(n > 0, n * moments.mean[1:, :, 0], 0))
