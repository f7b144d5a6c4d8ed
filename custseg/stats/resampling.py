"""Differences by resampling: bootstrap, permutation, quantiles and ranks, the same for any threads.

Every resample has a random stream of its own, spawned from the seed, so that neither the number of
threads nor their order changes a number.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from joblib import cpu_count
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from custseg.errors import DataError, check_number, check_option

Vector = NDArray[np.float64]
METHODS = ("percentile", "basic", "bca", "studentized")
_BLOCK = 64
_ROUNDING = 1e-9


class Bootstrap(NamedTuple):
    """A bootstrapped difference: estimate, standard error, interval, p-value and its resamples."""

    effect: float
    se: float
    ci_low: float
    ci_high: float
    p_value: float
    resamples: Vector


class Permutation(NamedTuple):
    """A permutation test: the difference, its p-value, the regroupings, and whether all were."""

    effect: float
    p_value: float
    n_resamples: int
    exact: bool


class Superiority(NamedTuple):
    """How often treatment exceeds control, ties counting half, with interval and test."""

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    p_value: float


def bootstrap_difference(
    control: ArrayLike,
    treatment: ArrayLike,
    *,
    n_resamples: int = 10_000,
    method: str = "percentile",
    level: float = 0.95,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Bootstrap:
    """Return the difference of two means, treatment minus control, by the bootstrap.

    Each resample draws every customer of each group again, with replacement, group by group.

    Parameters
    ----------
    control, treatment
        One value per customer; missing values do not count.
    n_resamples
        The number of resamples.
    method
        The interval: ``"percentile"``, ``"basic"``, ``"bca"`` (bias-corrected and accelerated) or
        ``"studentized"`` (bootstrap-t: the resamples give the quantiles of Welch's t). None of them
        knows of large orders that the sample does not hold: where Welch's interval covers too
        little for that reason, these do too.
    level
        Confidence level, between 0 and 1.
    seed
        Where the random streams come from.
    n_jobs
        Threads; ``None`` takes every core. The answer is the same for any number.

    Returns
    -------
    Bootstrap
        `se` is the standard deviation of `resamples`. `p_value` is two-sided: twice the smaller
        tail of the resampled t beyond the one observed (``"studentized"``), or of the resampled
        difference beyond 0, never below 2 / (n_resamples + 1). Interval and p-value are NaN where
        a group has fewer than two values, or nothing varies.

    Raises
    ------
    DataError
        If a value is infinite or a group is empty.
    ParameterError
        If a parameter is outside its bounds.

    References
    ----------
    Efron, B. and Tibshirani, R. J. (1993), An Introduction to the Bootstrap, chapters 12 to 14.
    Lemire, D. (2019), ACM Transactions on Modeling and Computer Simulation 29(1), 3.

    Examples
    --------
    >>> found = bootstrap_difference([1, 2, 3, 4, 5, 6], [3, 5, 6, 9, 8, 7], n_resamples=2_000)
    >>> round(found.effect, 3), found.ci_low < found.effect < found.ci_high
    (2.833, True)
    """
    check_number(n_resamples, "n_resamples", ge=1, integer=True)
    check_option(method, "method", METHODS)
    check_number(level, "level", gt=0, lt=1)
    groups = [_values(control, "control"), _values(treatment, "treatment")]
    effect = float(groups[1].mean() - groups[0].mean())
    if min(map(len, groups)) < 2 or all(np.ptp(group) == 0 for group in groups):
        return Bootstrap(effect, 0.0, np.nan, np.nan, np.nan, np.full(n_resamples, effect))
    states = _streams(seed, 2 * n_resamples).reshape(2, n_resamples, 4)
    parts = [_moments(group, own, n_jobs) for group, own in zip(groups, states, strict=True)]
    moved = parts[1][0] - parts[0][0]
    resamples = effect + moved
    se = float(resamples.std(ddof=1)) if n_resamples > 1 else np.nan
    if method == "studentized":
        error = np.sqrt(sum(group.var(ddof=1) / len(group) for group in groups))
        low, high, p_value = _studentized(effect, error, moved, parts[0][1] + parts[1][1], level)
    else:
        low, high = _interval(groups, resamples, effect, method, level)
        p_value = _two_tails(resamples <= 0, resamples >= 0)
    return Bootstrap(effect, se, low, high, p_value, resamples)


def quantile_difference(
    control: ArrayLike,
    treatment: ArrayLike,
    q: float = 0.5,
    *,
    relative: bool = False,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Bootstrap:
    """Return the difference of two quantiles, treatment minus control, by the bootstrap.

    The quantile interpolates between two neighbours in order (numpy's default). Which neighbours a
    resample has follows a beta distribution, so that they are drawn at once, exactly as if every
    customer had been drawn again and sorted.

    Parameters
    ----------
    control, treatment
        One value per customer; missing values do not count.
    q
        The quantile, between 0 and 1; .5 is the median.
    relative
        Whether to return treatment over control minus one instead.
    n_resamples
        The number of resamples.
    level
        Confidence level, between 0 and 1.
    seed
        Where the random numbers come from.

    Returns
    -------
    Bootstrap
        With a percentile interval, and the two-sided p-value that agrees with it. Both are NaN
        where no resample differs from another, or where a relative difference meets a control, as
        it is or resampled, that is not above 0.

    Raises
    ------
    DataError
        If a value is infinite or a group is empty.
    ParameterError
        If a parameter is outside its bounds.

    References
    ----------
    Efron, B. and Tibshirani, R. J. (1993), An Introduction to the Bootstrap, chapter 13. David,
    H. A. and Nagaraja, H. N. (2003), Order Statistics, section 2.1.

    Examples
    --------
    >>> found = quantile_difference([1, 2, 3, 4, 5, 6], [3, 5, 6, 9, 8, 7], n_resamples=2_000)
    >>> round(found.effect, 3), found.ci_low < found.effect < found.ci_high
    (3.0, True)
    """
    check_number(q, "q", gt=0, lt=1)
    check_number(n_resamples, "n_resamples", ge=2, integer=True)
    check_number(level, "level", gt=0, lt=1)
    groups = [_values(control, "control"), _values(treatment, "treatment")]
    first, second = (float(np.quantile(group, q)) for group in groups)
    generators = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2)]
    drawn = [
        _resampled_quantile(np.sort(group), q, n_resamples, rng)
        for group, rng in zip(groups, generators, strict=True)
    ]
    if relative:
        effect = second / first - 1 if first > 0 else np.nan
        resamples = drawn[1] / np.where(drawn[0] > 0, drawn[0], np.nan) - 1
    else:
        effect, resamples = second - first, drawn[1] - drawn[0]
    spread = np.ptp(resamples)
    if not spread > 0:
        return Bootstrap(effect, float(spread), np.nan, np.nan, np.nan, resamples)
    low, high = np.quantile(resamples, [(1 - level) / 2, (1 + level) / 2])
    p_value = _two_tails(resamples <= 0, resamples >= 0)
    se = float(resamples.std(ddof=1))
    return Bootstrap(effect, se, float(low), float(high), p_value, resamples)


def permutation_test(
    control: ArrayLike,
    treatment: ArrayLike,
    *,
    n_resamples: int = 9_999,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Permutation:
    """Test whether two groups have the same mean, by regrouping the customers at random.

    The statistic is Welch's t: the test is exact where the groups have one distribution, and keeps
    its level in large groups whose spreads differ.

    Parameters
    ----------
    control, treatment
        One value per customer; missing values do not count.
    n_resamples
        The number of random regroupings; where there are not more than that, each is done once.
    seed
        Where the random streams come from.
    n_jobs
        Threads; ``None`` takes every core. The answer is the same for any number.

    Returns
    -------
    Permutation
        `p_value` is two-sided: the share of regroupings with an absolute t at least as large,
        among all of them (`exact`), or (1 + their number) / (1 + `n_resamples`). NaN where a group
        has fewer than two values or nothing varies. `scipy.stats.permutation_test` doubles the
        smaller tail instead, which differs where the regroupings are skewed: in small or unequal
        groups.

    Raises
    ------
    DataError
        If a value is infinite or a group is empty.
    ParameterError
        If a parameter is outside its bounds.

    References
    ----------
    Janssen, A. (1997), Statistics & Probability Letters 36, 9-21. Phipson, B. and Smyth, G. K.
    (2010), Statistical Applications in Genetics and Molecular Biology 9(1), 39.

    Examples
    --------
    >>> permutation_test([1, 2, 3, 4], [5, 6, 7, 9])[1:]  # 2 of 70 regroupings
    (0.02857142857142857, 70, True)
    """
    check_number(n_resamples, "n_resamples", ge=1, integer=True)
    groups = [_values(control, "control"), _values(treatment, "treatment")]
    effect = float(groups[1].mean() - groups[0].mean())
    together = np.sort(np.concatenate(groups))
    sizes = [len(group) for group in groups]
    if min(sizes) < 2 or together[0] == together[-1]:
        return Permutation(effect, np.nan, 0, exact=False)
    centre = together.mean()
    drawn = 0 if sizes[0] < sizes[1] else 1
    one = groups[drawn] - centre
    observed = np.array([one.sum()]), np.array([one @ one])
    n_ways = comb(sum(sizes), sizes[drawn])
    if n_ways <= n_resamples:
        chosen = np.array(list(combinations(together - centre, sizes[drawn])))
        sums, squares = chosen.sum(axis=1), (chosen**2).sum(axis=1)
    else:
        sums, squares = _permuted(together - centre, sizes[drawn], n_resamples, seed, n_jobs)
    totals = (together - centre).sum(), ((together - centre) ** 2).sum()
    shape = (sizes[drawn], sizes[1 - drawn])
    t = np.abs(_regrouped_t(sums, squares, totals, shape))
    least = np.abs(_regrouped_t(observed[0], observed[1], totals, shape))[0]
    extreme = int((t >= least * (1 - _ROUNDING)).sum())
    if n_ways <= n_resamples:
        return Permutation(effect, extreme / n_ways, n_ways, exact=True)
    return Permutation(effect, (1 + extreme) / (1 + n_resamples), n_resamples, exact=False)


def mann_whitney(control: ArrayLike, treatment: ArrayLike, *, level: float = 0.95) -> Superiority:
    """Return how often a treated customer exceeds one of control, ties counting half.

    Parameters
    ----------
    control, treatment
        One value per customer; missing values do not count.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    Superiority
        `estimate` is P(treatment > control) + P(equal) / 2. `p_value` is that of the Mann-Whitney
        test (exact in small groups without ties). `se` is Brunner and Munzel's, and the interval
        theirs on the log-odds, which allows the groups any spread; both are NaN where one group
        lies wholly above the other. Where all values are equal `se` is 0 and there is no interval.

    Raises
    ------
    DataError
        If a value is infinite or a group is empty.
    ParameterError
        If `level` is outside its bounds.

    References
    ----------
    Mann, H. B. and Whitney, D. R. (1947), Annals of Mathematical Statistics 18, 50-60. Brunner, E.
    and Munzel, U. (2000), Biometrical Journal 42, 17-25.

    Examples
    --------
    >>> found = mann_whitney([1, 2, 3, 4, 5, 6], [3, 5, 6, 9, 8, 7])
    >>> round(found.estimate, 4), round(found.p_value, 4)
    (0.8472, 0.0534)
    """
    check_number(level, "level", gt=0, lt=1)
    groups = [_values(control, "control"), _values(treatment, "treatment")]
    n_c, n_t = map(len, groups)
    ranks = stats.rankdata(np.concatenate(groups))
    placements = (
        ranks[:n_c] - stats.rankdata(groups[0]),
        ranks[n_c:] - stats.rankdata(groups[1]),
    )
    estimate = float(placements[1].mean() / n_c)
    p_value = float(stats.mannwhitneyu(groups[1], groups[0]).pvalue)
    if min(n_c, n_t) < 2 or not 0 < estimate < 1:
        return Superiority(estimate, np.nan, np.nan, np.nan, p_value)
    v_c, v_t = placements[0].var(ddof=1) / n_t**2 / n_c, placements[1].var(ddof=1) / n_c**2 / n_t
    se = np.sqrt(v_c + v_t)
    if se == 0:
        return Superiority(estimate, 0.0, np.nan, np.nan, p_value)
    df = (v_c + v_t) ** 2 / (v_c**2 / (n_c - 1) + v_t**2 / (n_t - 1))
    half = stats.t.isf((1 - level) / 2, df) * se / (estimate * (1 - estimate))
    low, high = special.expit(special.logit(estimate) + np.array([-half, half]))
    return Superiority(estimate, float(se), float(low), float(high), p_value)


def _values(values: ArrayLike, name: str) -> Vector:
    found = np.asarray(values, dtype=float).ravel()
    found = found[~np.isnan(found)]
    if not len(found):
        raise DataError(f"{name} holds no value.")
    infinite = int(np.isinf(found).sum())
    if infinite:
        what = "value. Replace or drop it." if infinite == 1 else "values. Replace or drop them."
        raise DataError(f"{name} holds {infinite:,} infinite {what}")
    return found


def _streams(seed: int, n: int) -> NDArray[np.uint64]:
    """Return where `n` independent streams begin, (n, 4)."""
    check_number(seed, "seed", ge=0, integer=True)
    words = np.random.SeedSequence(seed).generate_state(4 * n, np.uint64)
    return words.astype(np.uint64).reshape(n, 4)


def _share(do: Callable[[int, int], None], n: int, work: float, n_jobs: int | None) -> None:
    """Do blocks of `n` tasks, in threads where there is enough work."""
    edges = [*range(0, n, _BLOCK), n]
    if work < 1e7:
        n_jobs = 1
    with ThreadPoolExecutor(n_jobs or cpu_count()) as pool:
        list(pool.map(do, edges[:-1], edges[1:]))


def _moments(
    group: Vector, states: NDArray[np.uint64], n_jobs: int | None
) -> tuple[Vector, Vector]:
    """Return, per resample, how far its mean moves, and the squared standard error of that mean."""
    from custseg._kernels.resampling import bootstrap_sums

    n, centred = len(group), np.sort(group) - group.mean()
    sums, squares = np.empty(len(states)), np.empty(len(states))

    def do(low: int, high: int) -> None:
        bootstrap_sums(centred, states, low, high, sums, squares)

    _share(do, len(states), len(states) * float(n), n_jobs)
    variance = np.maximum(squares - sums**2 / n, 0) / (n - 1)
    return sums / n, variance / n


def _studentized(
    effect: float, error: float, moved: Vector, squared_errors: Vector, level: float
) -> tuple[float, float, float]:
    with np.errstate(divide="ignore", invalid="ignore"):
        t = moved / np.sqrt(squared_errors)
    t = np.sort(t[~np.isnan(t)])
    upper, lower = np.quantile(t, [(1 + level) / 2, (1 - level) / 2], method="higher")
    observed = effect / error
    return (
        float(effect - upper * error),
        float(effect - lower * error),
        _two_tails(t >= observed, t <= observed),
    )


def _interval(
    groups: list[Vector], resamples: Vector, effect: float, method: str, level: float
) -> tuple[float, float]:
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        below = ((resamples < effect).mean() + (resamples <= effect).mean()) / 2
        bias = stats.norm.ppf(below)
        centred = [group - group.mean() for group in groups]
        third = sum(
            sign * (x**3).sum() / len(x) ** 3 for x, sign in zip(centred, (-1, 1), strict=True)
        )
        second = sum((x**2).sum() / len(x) ** 2 for x in centred)
        acceleration = third / second**1.5 / 6
        z = bias + stats.norm.ppf(tails)
        tails = stats.norm.cdf(bias + z / (1 - acceleration * z))
    low, high = np.quantile(resamples, tails)
    if method == "basic":
        low, high = 2 * effect - high, 2 * effect - low
    return float(low), float(high)


def _two_tails(lower: NDArray[np.bool_], upper: NDArray[np.bool_]) -> float:
    return float(min(1.0, 2 * (1 + min(lower.sum(), upper.sum())) / (1 + len(lower))))


def _resampled_quantile(ordered: Vector, q: float, size: int, rng: np.random.Generator) -> Vector:
    """Return the quantile of resamples of sorted values, from the order of uniform numbers."""
    n = len(ordered)
    k, part = divmod((n - 1) * q, 1)
    rank = int(k) + 1
    uniform = rng.beta(rank, n - rank + 1, size)
    lower = ordered[np.minimum((n * uniform).astype(int), n - 1)]
    if part == 0:
        return lower
    following = uniform + (1 - uniform) * rng.beta(1, n - rank, size)
    upper = ordered[np.minimum((n * following).astype(int), n - 1)]
    return lower + part * (upper - lower)


def _permuted(
    values: Vector, size: int, n_resamples: int, seed: int, n_jobs: int | None
) -> tuple[Vector, Vector]:
    from custseg._kernels.resampling import permutation_sums

    states = _streams(seed, -(-n_resamples // _BLOCK))
    sums, squares = np.empty(n_resamples), np.empty(n_resamples)

    def do(low: int, high: int) -> None:
        state = states[low // _BLOCK]
        permutation_sums(values.copy(), size, state, sums[low:high], squares[low:high])

    _share(do, n_resamples, n_resamples * float(size), n_jobs)
    return sums, squares


def _regrouped_t(
    sums: Vector, squares: Vector, totals: tuple[float, float], shape: tuple[int, int]
) -> Vector:
    """Return Welch's t of a subset, given by its sums, against the others."""
    n, m = shape
    others, other_squares = totals[0] - sums, totals[1] - squares
    variance = np.maximum(squares - sums**2 / n, 0) / (n - 1) / n
    variance += np.maximum(other_squares - others**2 / m, 0) / (m - 1) / m
    difference = sums / n - others / m
    # where neither part varies, rounding must not decide which t is the largest
    least = np.finfo(float).eps * totals[1] / min(n, m)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(variance > least, difference / np.sqrt(variance), np.inf * difference)
    return np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf)
