"""Which prices are acceptable: van Westendorp's price sensitivity meter, by segment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._labels import ALL
from custseg.errors import DataError, ParameterError, check_number
from custseg.results import Result, format_number
from custseg.value._answers import check_answers, numbers, read_weights
from custseg.value._segments import by_id, match_segments

Vector = NDArray[np.float64]
SAME = 1e-12

QUESTIONS = ("too_cheap", "cheap", "expensive", "too_expensive")
POINTS = {
    "marginal_cheapness": ("too_cheap", "expensive"),
    "optimal": ("too_cheap", "too_expensive"),
    "indifference": ("cheap", "expensive"),
    "marginal_expensiveness": ("cheap", "too_expensive"),
}
"""Each point is the price at which a falling and a rising curve cross."""


@dataclass(frozen=True, repr=False, eq=False)
class PriceMeter(Result):
    """The four curves of every segment, and the prices at which they cross.

    Attributes
    ----------
    curves : pandas.DataFrame
        ``segment``, ``price`` and the share of customers to whom it is ``too_cheap``, ``cheap``,
        ``expensive``, ``too_expensive``; a row per price that anybody in the segment named.
    account : pandas.Series
        ``customers`` = ``used`` + ``incomplete`` + ``inconsistent`` + ``not_assigned``.
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    curves: pd.DataFrame
    account: pd.Series
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_demand.price_meter"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment (everybody first) and point.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``n``, ``point`` (``marginal_cheapness``, ``optimal``, ``indifference``,
            ``marginal_expensiveness``), ``price``, ``ci_low``, ``ci_high``. Between the first and
            the last point lies the range of acceptable prices.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the acceptable range and the optimal price point of every segment."""
        wide = self._table.pivot(index="segment", columns="point", values="price")
        told = []
        for segment in self._table["segment"].unique():
            low, best, _, high = (format_number(wide.loc[segment, point]) for point in POINTS)
            told.append(f"{segment}: acceptable from {low} to {high}, optimal point {best}.")
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        return self._table.set_index(["segment", "point"])


def price_meter(
    answers: pd.DataFrame,
    segments: Any = None,
    *,
    questions: Mapping[str, str] | None = None,
    weights: pd.Series | None = None,
    n_boot: int = 500,
    random_state: int = 0,
    level: float = 0.95,
) -> PriceMeter:
    """Find the range of prices that customers accept, from van Westendorp's four questions.

    Parameters
    ----------
    answers
        One row per customer, indexed by customer_id, with the prices named: at which the product
        is too cheap to be good, a bargain, getting expensive, too expensive.
    segments
        As in `custseg.value.satisfaction`.
    questions
        ``{"too_cheap": column, "cheap": ..., "expensive": ..., "too_expensive": ...}``; ``None``
        takes columns of those names.
    weights
        Survey weights by customer.
    n_boot
        Bootstrap samples of respondents, drawn within each segment.
    random_state
        The seed of the samples.
    level
        Confidence level of the intervals.

    Returns
    -------
    PriceMeter
        The share that finds a price (too) cheap are those who named it or a higher one, and the
        share that finds it (too) expensive those who named it or a lower one. Curves are joined
        by lines between named prices, and cross where those do: too cheap with expensive at the
        point of marginal cheapness, with too expensive at the optimal price point; cheap with
        expensive at the indifference price point, with too expensive at the point of marginal
        expensiveness. Intervals are percentiles of the bootstrap; a single customer has none.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If a price is negative or text, or nobody answered in order.
    ParameterError
        If `questions` names others than the four.

    References
    ----------
    Van Westendorp, P. H. (1976), NSS Price Sensitivity Meter: a new approach to study consumer
    perception of prices, Proceedings of the 29th ESOMAR Congress, 139-167.

    Examples
    --------
    >>> import pandas as pd
    >>> answers = pd.DataFrame({
    ...     "too_cheap": [2, 3, 4, 5], "cheap": [4, 5, 6, 7],
    ...     "expensive": [7, 8, 9, 10], "too_expensive": [9, 10, 12, 14],
    ... })
    >>> price_meter(answers, n_boot=50).to_frame()[["point", "price"]].round(2)
                        point  price
    0      marginal_cheapness    6.0
    1                 optimal    7.0
    2            indifference    7.0
    3  marginal_expensiveness    8.0
    """
    check_number(n_boot, "n_boot", ge=50, integer=True)
    check_number(random_state, "random_state", ge=0, integer=True)
    check_number(level, "level", gt=0, lt=1)
    table = numbers(check_answers(answers), _columns(questions)).set_axis(QUESTIONS, axis=1)
    if (table < 0).any(axis=None):
        raise DataError(f"a price is {table.min().min():g}, but must not be negative.")
    labels, notes = match_segments(segments, table.index)
    table = by_id(table)
    labels = labels.reindex(table.index)
    w = read_weights(weights, table.index)
    prices = table.to_numpy()
    assigned = labels.notna().to_numpy()
    complete = ~np.isnan(prices).any(axis=1) & (w > 0)
    ordered = ~(np.diff(prices, axis=1) < 0).any(axis=1)
    used = assigned & complete & ordered
    account = pd.Series(
        {
            "customers": len(table),
            "used": used.sum(),
            "incomplete": (assigned & ~complete).sum(),
            "inconsistent": (assigned & complete & ~ordered).sum(),
            "not_assigned": (~assigned).sum(),
        }
    )
    names = list(dict.fromkeys([ALL, *labels.cat.categories]))
    seeds = np.random.SeedSequence(random_state).spawn(len(names))
    rows, curves = [], []
    for name, seed in zip(names, seeds, strict=True):
        inside = used if name == ALL else used & (labels == name).to_numpy()
        if not inside.any():
            raise DataError(
                f"nobody in {name!r} named four prices in rising order: {account.to_dict()}. Check "
                "which column is which question."
            )
        own, mass = prices[inside], w[inside]
        grid = np.unique(own)
        shares = _curves(own, mass[None], grid)[0]
        curves.append(pd.DataFrame(shares.T, columns=QUESTIONS).assign(segment=name, price=grid))
        found = _crossings(shares[None], grid)[0]
        low, high = _intervals(own, mass, grid, n_boot, np.random.default_rng(seed), level)
        points = {"point": list(POINTS), "price": found, "ci_low": low, "ci_high": high}
        rows.append(pd.DataFrame({"segment": name, "n": len(own)} | points))
    drawn = pd.concat(curves, ignore_index=True)[["segment", "price", *QUESTIONS]]
    notes += _notes(account)
    return PriceMeter(pd.concat(rows, ignore_index=True), drawn, account, level, tuple(notes))


def _columns(questions: Mapping[str, str] | None) -> list[str]:
    if questions is None:
        return list(QUESTIONS)
    if not isinstance(questions, Mapping) or set(questions) != set(QUESTIONS):
        raise ParameterError(
            f"questions must be a dictionary from {', '.join(map(repr, QUESTIONS))} to columns."
        )
    return [questions[name] for name in QUESTIONS]


def _curves(prices: Vector, w: Vector, grid: Vector) -> Vector:
    """Return the four shares at every price of the grid for each row of weights, (B, 4, G)."""
    share = w / w.sum(axis=1, keepdims=True)
    curves = []
    for column, question in enumerate(QUESTIONS):
        place = np.searchsorted(grid, prices[:, column])
        mass = np.zeros((len(w), len(grid)))
        for row, own in zip(mass, share, strict=True):
            row += np.bincount(place, own, minlength=len(grid))
        if question in ("too_cheap", "cheap"):
            curves.append(mass[:, ::-1].cumsum(axis=1)[:, ::-1])
        else:
            curves.append(mass.cumsum(axis=1))
    return np.stack(curves, axis=1)


def _crossings(curves: Vector, grid: Vector) -> Vector:
    """Return where each pair of curves crosses, (B, 4): the middle where they lie together."""
    found = []
    for falling, rising in POINTS.values():
        gap = curves[:, QUESTIONS.index(rising)] - curves[:, QUESTIONS.index(falling)]
        ends = _first_crossing(gap, grid), _first_crossing(-gap[:, ::-1], grid[::-1])
        found.append((ends[0] + ends[1]) / 2)
    return np.stack(found, axis=1)


def _first_crossing(gap: Vector, grid: Vector) -> Vector:
    """Return where a rising gap, not above 0 at first, comes up to 0."""
    after = np.maximum((gap > -SAME).argmax(axis=1), 1)
    every = np.arange(len(gap))
    before, behind = gap[every, after - 1], gap[every, after]
    rises = behind > before
    part = np.where(rises, -before / np.where(rises, behind - before, 1.0), 0.0)
    left, right = grid[after - 1], grid[after]
    return left + np.clip(part, 0, 1) * (right - left)


def _intervals(
    prices: Vector, w: Vector, grid: Vector, n_boot: int, rng: np.random.Generator, level: float
) -> Vector:
    n = len(prices)
    if n < 2:
        return np.full((2, len(POINTS)), np.nan)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=n_boot) * w
    points = _crossings(_curves(prices, drawn, grid), grid)
    return np.quantile(points, [(1 - level) / 2, (1 + level) / 2], axis=0)


def _notes(account: pd.Series) -> list[str]:
    notes = ["the points say what customers call a price, not what they buy: a range to test in."]
    if account["inconsistent"]:
        notes.append(
            f"{account['inconsistent']:,} customers named prices out of order (too cheap above "
            "cheap, say); left out."
        )
    return notes
