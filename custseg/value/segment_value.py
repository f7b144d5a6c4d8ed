"""What each segment is worth, what is at stake in it, and in how few hands the value lies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._labels import ALL
from custseg.errors import ConvergenceError, DataError, ParameterError, check_number
from custseg.results import Result, format_number
from custseg.value._histories import read_numbers
from custseg.value._segments import by_id, match_segments, name_segments
from custseg.value.lifetime_value import LifetimeValue

Vector = NDArray[np.float64]
TOP = (0.01, 0.05, 0.1, 0.2, 0.5)
MEASURES = ("mean", "total", "share_of_value", "at_stake")
GRID = np.linspace(0, 1, 101)
FEW = 30
HANDFUL = 10


@dataclass(frozen=True, repr=False, eq=False)
class SegmentValue(Result):
    """Value by segment, what is at stake, and its concentration; made by `segment_value`.

    Attributes
    ----------
    concentration : pandas.DataFrame
        Index ``top``, a share of the customers, the most valuable first: ``customers``, to the
        nearest whole one; ``share_of_value`` that they hold, ``ci_low``, ``ci_high``.
    lorenz : pandas.DataFrame
        ``customers``, 0 to 1, the most valuable first, and ``value``, the share that they hold.
    gini : float
        0 if all customers are worth the same, near 1 if one holds all.
    gini_ci : tuple of float
        Its interval.
    level : float
        The confidence level of the intervals.
    n_resamples : int
        Samples of customers that the intervals rest on.
    notes : tuple of str
        Caveats.
    """

    _table: pd.DataFrame
    concentration: pd.DataFrame
    lorenz: pd.DataFrame
    gini: float
    gini_ci: tuple[float, float]
    level: float
    n_resamples: int
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value.segment_value"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment, after one of all.

        Returns
        -------
        pandas.DataFrame
            ``segment`` (``"(all)"`` first), ``n`` customers, their ``share``; ``mean`` and
            ``total`` value; ``share_of_value``; ``at_stake``, the value that would be added if all
            its customers were still active; each with ``_ci_low`` and ``_ci_high``. ``at_stake``
            is missing where nothing is known of who is active; a single customer's mean has no
            interval.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the segment that holds most, the one with most at stake, and the best fifth."""
        whole, parts = self._table.iloc[0], self._table.iloc[1:]
        most = parts.loc[parts["total"].idxmax()]
        words = [
            f"{whole['n']:,} customers are worth {format_number(whole['total'])}",
            f"{most['segment']} ({most['share']:.0%} of them) hold {_held(most)} of it",
        ]
        if self._table["at_stake"].notna().all():
            most = parts.loc[parts["at_stake"].idxmax()]
            words.append(
                f"most is at stake in {most['segment']}: {format_number(most['at_stake'])} "
                f"({format_number(most['at_stake_ci_low'])} to "
                f"{format_number(most['at_stake_ci_high'])})"
            )
        fifth = self.concentration.loc[0.2]
        words.append(
            f"the best 20% of all customers hold {fifth['share_of_value']:.0%} "
            f"({fifth['ci_low']:.0%} to {fifth['ci_high']:.0%}), Gini {self.gini:.2f}"
        )
        return "; ".join(words) + "."

    def _shown(self) -> pd.DataFrame:
        table = self._table
        shown = table[["segment", "n", "share"]].copy()
        for name in MEASURES:
            if table[name].notna().any():
                bounds = table[[name, f"{name}_ci_low", f"{name}_ci_high"]].to_numpy()
                shown[name] = [
                    f"{format_number(value)} [{format_number(low)}, {format_number(high)}]"
                    for value, low, high in bounds
                ]
        return shown


def segment_value(
    value: "LifetimeValue | pd.Series",
    segments: Any,
    *,
    alive: pd.Series | None = None,
    n_resamples: int = 200,
    level: float = 0.95,
    random_state: int = 0,
) -> SegmentValue:
    """Return the value of each segment with bootstrap intervals, and how it is concentrated.

    Parameters
    ----------
    value
        What `lifetime_value` returned, or any value by customer (a Series indexed by customer_id).
    segments
        The segment of each customer, of any segmentation: a Series indexed by customer_id.
        ``<NA>`` and the number -1 mean not assigned; such customers are in no number.
    alive
        The probability of each customer to be active, where `value` is a Series; it tells what is
        at stake.
    n_resamples
        Samples of customers, drawn with replacement. The models behind a `LifetimeValue` are
        fitted again to each, so that the intervals carry the doubt about their parameters.
    level
        Confidence level of the intervals.
    random_state
        Seed of the samples.

    Returns
    -------
    SegmentValue
        Its `to_frame` has a row per segment; ``concentration`` and ``lorenz`` say how few
        customers hold how much. Intervals are studentised (bootstrap-t): the distance of a sample
        from the whole is divided by the sample's own linearised standard error, which says how far
        a skewed distribution may be off to either side; they end at 0, and shares at 1, where no
        value is negative. Where so many samples have no standard error that a bound would be
        infinite, as in segments of two or three customers, they are percentiles. How often
        intervals of either kind hold the truth is in ``docs/lifetime_value.md``.

    Raises
    ------
    DataError
        If values are missing or sum to nothing, labels and customers do not match, or a probability
        is not above 0 and at most 1.
    ParameterError
        If a parameter is out of its bounds, or `alive` is given with a `LifetimeValue`.

    References
    ----------
    Efron, B. and Tibshirani, R. J. (1993), An Introduction to the Bootstrap, chapters 12 and 13.
    Hall, P. (1988), Annals of Statistics 16, 927-953. Gastwirth, J. L. (1972), Review of Economics
    and Statistics 54, 306-316, and Langel, M. and Tillé, Y. (2013), Journal of the Royal
    Statistical Society A 176, 521-540 (errors of Lorenz ordinates and of the Gini index).

    Examples
    --------
    >>> ids = pd.Index(range(1, 9), name="customer_id")
    >>> worth = pd.Series([90.0, 80, 70, 10, 10, 20, 10, 10], ids)
    >>> found = segment_value(worth, pd.Series(list("AAABBBBB"), ids))
    >>> found.to_frame()[["segment", "n", "mean", "total", "share_of_value"]]
      segment  n  mean  total  share_of_value
    0   (all)  8  37.5  300.0             1.0
    1       A  3  80.0  240.0             0.8
    2       B  5  12.0   60.0             0.2
    >>> found.concentration["share_of_value"].round(2)
    top
    0.01    0.02
    0.05    0.12
    0.10    0.24
    0.20    0.46
    0.50    0.87
    Name: share_of_value, dtype: float64
    """
    check_number(n_resamples, "n_resamples", ge=1, integer=True)
    check_number(level, "level", gt=0, lt=1)
    check_number(random_state, "random_state", ge=0, integer=True)
    worth, redo, notes = _read(value, alive)
    labels, told = match_segments(name_segments(segments), worth.index)
    codes = labels.cat.codes.to_numpy()
    names = [ALL, *labels.cat.categories]
    counted = codes >= 0
    if worth["value"][counted].sum() <= 0:
        raise DataError(
            f"the value of the {counted.sum():,} customers with a segment sums to "
            f"{worth['value'][counted].sum():,.0f}: shares of it mean nothing. Give values whose "
            "sum is above 0."
        )
    point, error = _measure(np.ones(len(worth)), worth.to_numpy().T, codes, len(names))
    samples, failed = _resample(worth, redo, codes, len(names), n_resamples, random_state)
    low, high = _intervals(point, error, samples, level)
    if (worth["value"] >= 0).all():
        shares = np.arange(len(point)) // len(names) == MEASURES.index("share_of_value")
        shares[len(MEASURES) * len(names) :] = True
        low, high = np.maximum(low, 0), np.where(shares, np.minimum(high, 1), high)
    cut = len(names) * len(MEASURES)
    customers = np.concatenate([[counted.sum()], np.bincount(codes[counted])])
    table = pd.DataFrame({"segment": names, "n": customers, "share": customers / counted.sum()})
    for number, name in enumerate(MEASURES):
        where = slice(number * len(names), (number + 1) * len(names))
        table[name] = point[where]
        table[f"{name}_ci_low"], table[f"{name}_ci_high"] = low[where], high[where]
    table.loc[table["n"] < 2, ["mean_ci_low", "mean_ci_high"]] = np.nan
    best = pd.Index(TOP, name="top")
    held = {
        "customers": np.rint(np.array(TOP) * counted.sum()).astype(int),
        "share_of_value": point[cut:-1],
    }
    held |= {"ci_low": low[cut:-1], "ci_high": high[cut:-1]}
    share, curve = _lorenz(np.ones(counted.sum()), worth["value"].to_numpy()[counted])
    return SegmentValue(
        _table=table,
        concentration=pd.DataFrame(held, index=best),
        lorenz=pd.DataFrame({"customers": GRID, "value": np.interp(GRID, share, curve)}),
        gini=float(point[-1]),
        gini_ci=(float(low[-1]), float(high[-1])),
        level=level,
        n_resamples=n_resamples - failed,
        notes=(*told, *notes, *_notes(worth, table, failed)),
    )


Refit = Callable[[Vector], tuple[Vector, Vector]]


def _read(
    value: "LifetimeValue | pd.Series", alive: pd.Series | None
) -> tuple[pd.DataFrame, "Refit | None", list[str]]:
    """Return `value` and `value_if_alive` by customer, in order, and how to value them again."""
    if isinstance(value, LifetimeValue):
        if alive is not None:
            raise ParameterError(
                "alive is given, but a LifetimeValue knows who is active: leave alive out, or give "
                "value.to_frame()['value']."
            )
        redo = value.refit()
        note = (
            "in every sample the models are fitted again: the intervals carry their doubt."
            if redo
            else "the models were fitted to other customers: the intervals take their parameters "
            "as known, and are too narrow by the doubt about them."
        )
        return value.to_frame()[["value", "value_if_alive"]], redo, [note]
    if not isinstance(value, pd.Series):
        raise ParameterError(
            f"value is a {type(value).__name__}, but must be what lifetime_value(...) returned, or "
            "a Series indexed by customer_id."
        )
    if value.empty or not value.index.is_unique:
        raise DataError("value must have customers, each of them once. Check the ids in its index.")
    if not pd.api.types.is_numeric_dtype(value):
        raise DataError(f"value holds {value.dtype}, not numbers. Make it a number first.")
    worth = read_numbers(value)
    if not np.isfinite(worth).all():
        example = value.index[int((~np.isfinite(worth)).argmax())]
        raise DataError(
            f"{(~np.isfinite(worth)).sum():,} of {len(worth):,} values (such as that of "
            f"{example!r}) are missing or infinite. Drop or fill in those customers first."
        )
    known = np.full(len(worth), np.nan)
    if alive is not None:
        if not isinstance(alive, pd.Series) or not alive.index.is_unique:
            raise DataError("alive must be a Series with one probability per customer_id.")
        known = read_numbers(alive.reindex(value.index))
        if not ((known > 0) & (known <= 1)).all():
            raise DataError(
                "alive must have a probability above 0 and at most 1 for every customer of value."
            )
    table = pd.DataFrame({"value": worth, "value_if_alive": worth / known}, index=value.index)
    note = "the intervals take the value of each customer as known, whatever model made it."
    return by_id(table), None, [note]


def _resample(
    worth: pd.DataFrame,
    redo: "Refit | None",
    codes: NDArray[np.integer],
    segments: int,
    n_resamples: int,
    random_state: int,
) -> tuple[Vector, int]:
    """Measure samples of the customers, valued anew where that is possible; count failed fits."""
    rng = np.random.default_rng(random_state)
    n, same = len(worth), worth.to_numpy().T
    samples, failed = [], 0
    for _ in range(n_resamples):
        weights = np.bincount(rng.integers(n, size=n), minlength=n).astype(float)
        try:
            values = same if redo is None else np.array(redo(weights))
        except ConvergenceError:
            failed += 1
            continue
        samples.append(_measure(weights, values, codes, segments))
    if not samples:
        raise ConvergenceError(
            f"the models could not be fitted to any of {n_resamples} samples of the customers. "
            "Give the values alone: lifetime_value(...).to_frame()['value']."
        )
    return np.array(samples), failed


def _intervals(point: Vector, error: Vector, samples: Vector, level: float) -> tuple[Vector, ...]:
    """Return studentised bounds of each measure, percentiles where those are not finite."""
    tails = np.array([(1 + level) / 2, (1 - level) / 2])
    measured, errors = samples[:, 0], samples[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (measured - point) / errors
        bounds = point - _quantiles(t, tails) * error
    percentiles = _quantiles(measured, tails[::-1])
    return tuple(np.where(np.isfinite(bounds).all(axis=0), bounds, percentiles))


def _quantiles(draws: Vector, q: Vector) -> Vector:
    """Return quantiles of each column, at q (n + 1) in order; missing where nothing is known."""
    known = ~np.isnan(draws).all(axis=0)
    found = np.full((len(q), draws.shape[1]), np.nan)
    found[:, known] = np.nanquantile(draws[:, known], q, axis=0, method="weibull")
    return found


def _measure(weights: Vector, values: Vector, codes: NDArray[np.integer], segments: int) -> Vector:
    """Return the measures of all and of each segment, the shares of the best, and the Gini.

    The second row has their standard errors, linearised, with values and parameters as known.
    """
    counted = codes >= 0
    weights, codes, (value, if_alive) = weights[counted], codes[counted], values[:, counted]
    n, more = weights.sum(), if_alive - value

    def sums(x: Vector) -> Vector:
        parts = np.bincount(codes, weights * x, minlength=segments - 1)
        return np.append(parts.sum(), parts)

    size, total, at_stake = sums(np.ones(len(value))), sums(value), sums(more)
    square, square_more = sums(value**2), sums(more**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, share = total / size, total / total[0]
        errors = [
            _root(square / size - mean**2, square / size) / np.sqrt(size),
            _root(square - total**2 / n, square),
            np.sqrt((1 - 2 * share) * square + share**2 * square[0]) / total[0],
            _root(square_more - at_stake**2 / n, square_more),
        ]
    best, best_errors = _concentration(weights, value)
    measured = np.concatenate([mean, total, share, at_stake, best])
    return np.array([measured, np.concatenate([*errors, best_errors])])


def _root(variance: Vector, scale: Vector) -> Vector:
    """Return the root of a variance, 0 where it is rounding of numbers of the size of `scale`."""
    return np.sqrt(np.where(variance > 1e-12 * scale, variance, variance * 0))


def _concentration(weights: Vector, value: Vector) -> tuple[Vector, Vector]:
    """Return the shares that the best hold, and the Gini index; and their standard errors."""
    order = np.argsort(-value, kind="stable")
    share, curve = _lorenz(weights, value)
    held = np.interp(TOP, share, curve)
    gini = 2 * np.trapezoid(curve, share) - 1
    w, v, n, total = weights[order], value[order], weights.sum(), weights @ value
    least = v[np.minimum(np.searchsorted(share[1:], TOP), len(v) - 1)]
    parts = np.maximum(v - least[:, None], 0) + (least * TOP)[:, None] - held[:, None] * v
    middle = (share[1:] + share[:-1]) / 2
    above = (curve[1:] + curve[:-1]) / 2 * total / n
    whole = v * (1 - 2 * middle) + 2 * above - gini * v
    whole = whole - w @ whole / n
    variance = np.append(parts**2 @ w, whole**2 @ w)
    return np.append(held, gini), _root(variance, total**2 / n) / total


def _lorenz(weights: Vector, value: Vector) -> tuple[Vector, Vector]:
    """Return cumulative shares of customers, the most valuable first, and of what they hold."""
    order = np.argsort(-value, kind="stable")
    customers = np.append(0.0, np.cumsum(weights[order]))
    held = np.append(0.0, np.cumsum(weights[order] * value[order]))
    return customers / customers[-1], held / held[-1]


def _notes(worth: pd.DataFrame, table: pd.DataFrame, failed: int) -> list[str]:
    notes = ["the intervals take the segments as given; they do not carry the doubt about borders."]
    if failed:
        notes.append(f"{failed:,} samples are left out: a model could not be fitted to them.")
    if (worth["value"] < 0).any():
        notes.append("some values are negative: the best customers can hold more than all of it.")
    few = [f"{row.segment} ({row.n})" for row in table.itertuples() if row.n < FEW]
    if few:
        notes.append(
            f"fewer than {FEW} customers: {', '.join(few)}. Their intervals hold the truth less "
            "often than they say, with fewer than ten much less."
        )
    if table["n"].iloc[0] * TOP[0] < HANDFUL:
        notes.append(
            f"the best {TOP[0]:.0%} are fewer than {HANDFUL} customers: the interval of what they "
            "hold is too narrow."
        )
    return notes


def _held(row: pd.Series) -> str:
    low, high = row["share_of_value_ci_low"], row["share_of_value_ci_high"]
    return f"{row['share_of_value']:.0%} ({low:.0%} to {high:.0%})"
