"""Survey scores with their uncertainty: NPS, CSAT, CES, Cronbach's alpha, effective sample size."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from custseg.errors import DataError, check_number
from custseg.stats.intervals import mean_interval, wilson

Vector = NDArray[np.float64]


class Score(NamedTuple):
    """An estimate with its standard error, its interval and the number of answers behind it."""

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    n: int


class Alpha(NamedTuple):
    """Cronbach's alpha with its interval, the complete rows behind it and the number of items."""

    estimate: float
    ci_low: float
    ci_high: float
    n: int
    n_items: int


def nps(scores: ArrayLike, weights: ArrayLike | None = None, *, level: float = 0.95) -> Score:
    """Return the Net Promoter Score: the share of promoters minus that of detractors, in points.

    Parameters
    ----------
    scores
        Likelihood to recommend, 0 to 10; 9 and 10 are promoters, 0 to 6 detractors. Missing
        answers do not count.
    weights
        One survey weight per score, in any unit; two Series are matched by their index. ``None``
        weighs everybody alike.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    Score
        In points from -100 to 100. The standard error is that of the weighted mean of +1, 0 and
        -1 by linearisation (divisor n). The interval inverts the score test of the difference of
        two shares of one multinomial, with the sample size that the standard error amounts to; it
        keeps its meaning where everybody is a promoter. All NaN without answers.

    Raises
    ------
    DataError
        If a score is outside 0 to 10, or a weight is missing, negative or sums to 0.

    References
    ----------
    Reichheld, F. F. (2003), Harvard Business Review 81(12), 46-54. Rocks, B. (2016), The American
    Statistician 70(4), 365-372. Tango, T. (1998), Statistics in Medicine 17, 891-908.

    Examples
    --------
    >>> [round(x, 2) for x in nps([10] * 50 + [8] * 30 + [3] * 20)]
    [30.0, 7.81, 13.96, 44.34, 100]
    """
    x, w = _answers(scores, weights, low=0, high=10, what="score")
    side = np.where(x >= 9, 1.0, np.where(x <= 6, -1.0, 0.0))
    shares = np.array([w @ (side > 0), w @ (side < 0)]) / w.sum() if len(x) else np.zeros(2)
    return _score(
        side, w, lambda n: _difference_interval(*shares, n=n, level=level), unit=100, level=level
    )


def csat(
    scores: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    satisfied: float = 4,
    scale: tuple[float, float] = (1, 5),
    level: float = 0.95,
) -> Score:
    """Return customer satisfaction: the percentage of answers that are at least `satisfied`.

    Parameters
    ----------
    scores
        Answers on a scale; missing ones do not count.
    weights
        As in `nps`.
    satisfied
        The lowest answer that counts as satisfied.
    scale
        The lowest and the highest possible answer.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    Score
        In percent. The standard error is by linearisation (divisor n), the interval Wilson's with
        the sample size that the standard error amounts to. All NaN without answers.

    Raises
    ------
    DataError
        If a score is outside the scale, or a weight is missing, negative or sums to 0.
    ParameterError
        If `satisfied` is outside the scale.

    References
    ----------
    Wilson, E. B. (1927), JASA 22, 209-212. Korn, E. L. & Graubard, B. I. (1998), Survey
    Methodology 24, 193-201 (the sample size behind a weighted share).

    Examples
    --------
    >>> [round(x, 2) for x in csat([5, 4, 4, 3, 1, None])]
    [60.0, 21.91, 23.07, 88.24, 5]
    """
    low, high = scale
    check_number(satisfied, "satisfied", gt=low, le=high)
    x, w = _answers(scores, weights, low=low, high=high, what="score")
    happy = (x >= satisfied).astype(float)
    share = min(float(w @ happy / w.sum()), 1.0) if len(x) else np.nan
    return _score(happy, w, lambda n: wilson(share * n, n, level=level), unit=100, level=level)


def ces(
    scores: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    scale: tuple[float, float] = (1, 7),
    level: float = 0.95,
) -> Score:
    """Return the customer effort score: the mean answer.

    Parameters
    ----------
    scores
        Answers on a scale; missing ones do not count.
    weights
        As in `nps`.
    scale
        The lowest and the highest possible answer.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    Score
        In points of the scale, with the standard error of a (weighted) mean, divisor n - 1, and
        Student's t interval. All NaN without answers.

    Raises
    ------
    DataError
        If a score is outside the scale, or a weight is missing, negative or sums to 0.

    References
    ----------
    Dixon, M., Freeman, K. & Toman, N. (2010), Harvard Business Review 88(7), 116-122.

    Examples
    --------
    >>> [round(x, 2) for x in ces([7, 6, 6, 2, 5])]
    [5.2, 0.86, 2.81, 7.59, 5]
    """
    x, w = _answers(scores, weights, low=scale[0], high=scale[1], what="score")
    found = _score(x, w, lambda _: (np.nan, np.nan), unit=1, level=level)
    se = found.se * np.sqrt(found.n / (found.n - 1)) if found.n > 1 else np.nan
    bounds = mean_interval(found.estimate, se * np.sqrt(found.n), found.n, level=level)
    return Score(found.estimate, float(se), float(bounds[0]), float(bounds[1]), found.n)


def effective_sample_size(weights: ArrayLike) -> float:
    """Return Kish's effective sample size: how many equal weights are worth these unequal ones.

    Parameters
    ----------
    weights
        Survey weights in any unit.

    Returns
    -------
    float
        Between 1 and the number of weights; the number divided by it is the design effect.

    Raises
    ------
    DataError
        If a weight is missing or negative, or all are 0.

    References
    ----------
    Kish, L. (1965). Survey Sampling. Wiley, section 11.7.

    Examples
    --------
    >>> effective_sample_size([1, 1, 1, 1]), effective_sample_size([3, 1, 0, 0])
    (4.0, 1.6)
    """
    w = _weights(weights)
    return float(w.sum() ** 2 / (w @ w))


def cronbach_alpha(items: ArrayLike, *, level: float = 0.95) -> Alpha:
    """Return Cronbach's alpha: how consistently items measure one thing.

    Parameters
    ----------
    items
        Respondents x items, all keyed in one direction; rows with a missing answer do not count.
    level
        Confidence level, between 0 and 1.

    Returns
    -------
    Alpha
        k / (k - 1) times (1 - sum of item variances / variance of the sum), with Feldt's exact
        interval under normality. NaN with fewer than two items or two complete rows, or where the
        sum is the same for everybody.

    Raises
    ------
    DataError
        If `items` is no table of numbers.

    References
    ----------
    Cronbach, L. J. (1951), Psychometrika 16, 297-334. Feldt, L. S. (1965), Psychometrika 30,
    357-370.

    Examples
    --------
    >>> found = cronbach_alpha([[1, 2, 1], [3, 3, 4], [5, 4, 5], [2, 2, 3]])
    >>> round(found.estimate, 3), found.n, found.n_items
    (0.945, 4, 3)
    """
    check_number(level, "level", gt=0, lt=1)
    x = np.asarray(items, dtype=float)
    if x.ndim != 2:
        raise DataError(f"items has {x.ndim} dimensions, but must be respondents x items.")
    x = x[~np.isnan(x).any(axis=1)]
    n, k = x.shape
    if n < 2 or k < 2 or np.ptp(x.sum(axis=1)) == 0:
        return Alpha(np.nan, np.nan, np.nan, n, k)
    ratio = x.var(axis=0, ddof=1).sum() / x.sum(axis=1).var(ddof=1)
    alpha = k / (k - 1) * (1 - ratio)
    df = n - 1, (n - 1) * (k - 1)
    tails = stats.f.ppf([(1 + level) / 2, (1 - level) / 2], *df)
    low, high = 1 - (1 - alpha) * tails
    return Alpha(float(alpha), float(low), float(high), n, k)


def _score(
    values: Vector,
    weights: Vector,
    interval: Callable[[float], tuple[float, float]],
    *,
    unit: float,
    level: float,
) -> Score:
    """Return the weighted mean; `interval` takes the sample size that its error amounts to."""
    check_number(level, "level", gt=0, lt=1)
    n = len(values)
    if not n:
        return Score(np.nan, np.nan, np.nan, np.nan, 0)
    total = weights.sum()
    mean = weights @ values / total
    away = values - mean
    spread = weights @ away**2 / total
    squared_error = weights**2 @ away**2 / total**2
    size = spread / squared_error if squared_error > 0 else effective_sample_size(weights)
    estimate, se, low, high = (
        float(unit * number) for number in (mean, np.sqrt(squared_error), *interval(float(size)))
    )
    return Score(estimate, se, low, high, n)


def _difference_interval(
    first: float, second: float, *, n: float, level: float
) -> tuple[float, float]:
    """Return Tango's score interval of the difference of two shares of one multinomial."""
    z_squared = stats.norm.isf((1 - level) / 2) ** 2
    difference = first - second

    def outside(delta: float) -> bool:
        linear = (2 - first + second) * delta - first - second
        root = np.sqrt(max(linear**2 + 8 * second * delta * (1 - delta), 0.0))
        variance = (root - linear) / 2 + delta * (1 - delta)
        return bool(n * (difference - delta) ** 2 > z_squared * variance)

    def bound(edge: float) -> float:
        inner, outer = difference, edge
        for _ in range(60):
            middle = (inner + outer) / 2
            inner, outer = (inner, middle) if outside(middle) else (middle, outer)
        return (inner + outer) / 2

    return bound(-1.0), bound(1.0)


def _answers(
    scores: ArrayLike, weights: ArrayLike | None, *, low: float, high: float, what: str
) -> tuple[Vector, Vector]:
    """Return the answers that are not missing, as floats, with their weights."""
    if weights is None:
        w = np.ones(np.size(scores))
    elif isinstance(weights, pd.Series) and isinstance(scores, pd.Series):
        w = _weights(weights.reindex(scores.index))
    else:
        w = _weights(weights)
    x = _floats(scores, what)
    if len(w) != len(x):
        raise DataError(f"there are {len(x):,} scores and {len(w):,} weights: give one for each.")
    wrong = (x < low) | (x > high)
    if wrong.any():
        raise DataError(
            f"{what} is {x[wrong][0]:g} in {wrong.sum():,} answers, outside {low:g} to {high:g}. "
            "Make codes such as 99 missing first."
        )
    known = ~np.isnan(x)
    if known.any() and not w[known].sum():
        raise DataError("the weights of all answers are 0. Give some of them a weight.")
    return x[known], w[known]


def _weights(weights: ArrayLike) -> Vector:
    w = _floats(weights, "weight")
    wrong = ~(w >= 0) | np.isinf(w)
    if wrong.any():
        raise DataError(
            f"weight is {w[wrong][0]:g} in {wrong.sum():,} places, but must be a number of at "
            "least 0 for everybody."
        )
    if len(w) and not w.sum():
        raise DataError("the weights sum to 0. Give somebody a weight.")
    return w


def _floats(values: ArrayLike, what: str) -> Vector:
    series = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values).ravel())
    try:
        return series.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(f"{what} holds text. Make it a number first.") from None
