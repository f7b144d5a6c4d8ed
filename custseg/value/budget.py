"""How much to spend on which segment: response curves with their doubt, and the best split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import DataError, ParameterError, check_columns, check_number, check_option
from custseg.results import Result, format_number
from custseg.value.response import MARGINAL, RESPONSE, ResponseCurves

Vector = NDArray[np.float64]
Marginal = Callable[[Vector], Vector]

HALVINGS = 60
NOTHING = 1e-6
"""A share of the budget so small counts as none of it."""


@dataclass(frozen=True, repr=False, eq=False)
class Allocation(Result):
    """A budget split over segments, held against simpler splits.

    Attributes
    ----------
    splits : pandas.DataFrame
        Index ``split`` (``best``, ``equal`` and, with sizes, ``proportional``): ``spend``,
        expected ``response`` with ``low`` and ``high``; and of the best split over each: ``gain``
        in response (with a worth, less what its money is worth) with ``gain_low`` and
        ``gain_high``, and ``p_better``, the chance that there is a gain.
    budget : float
        What there was to spend.
    notes : tuple of str
        What to know before spending.
    """

    _table: pd.DataFrame
    splits: pd.DataFrame
    budget: float
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_demand.allocation"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment.

        Returns
        -------
        pandas.DataFrame
            ``segment``; ``best`` spend with ``best_low`` and ``best_high``, between which the best
            spend lies if the curves are other than estimated; spend by the ``equal`` and, with
            sizes, the ``proportional`` split; expected ``response`` to the best spend with
            ``response_low`` and ``response_high``; ``marginal`` response to the next unit of
            money; and ``max_spend``, the most that was tried, where it is known.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the best split and what it gains."""
        rows = self._table.sort_values("best", ascending=False, kind="stable")
        parts = [f"{row.segment} {format_number(row.best)}" for row in rows.itertuples()]
        told = [f"Best split of {format_number(self.budget)}: {', '.join(parts)}."]
        for split, row in self.splits.drop("best").iterrows():
            low, gain, high = (format_number(row[x]) for x in ("gain_low", "gain", "gain_high"))
            told.append(
                f"Against the {split} split it gains {gain} [{low}, {high}], with a chance of "
                f"{row['p_better']:.0%} to gain at all."
            )
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        return self._table.set_index("segment")


def allocate_budget(
    curves: ResponseCurves | pd.DataFrame,
    budget: float,
    *,
    form: str = "exponential",
    sizes: Mapping[str, float] | pd.Series | None = None,
    minimum: Mapping[str, float] | pd.Series | None = None,
    maximum: Mapping[str, float] | pd.Series | None = None,
    worth: float | None = None,
    n_draws: int = 2_000,
    random_state: int = 0,
    level: float = 0.95,
) -> Allocation:
    """Split a budget over segments so that the expected response is largest.

    Response curves are concave: each unit of money brings less than the one before. The best split
    spends until the next unit would bring the same everywhere. It is made for the mean over draws
    of the uncertain curves, and judged on other draws.

    Parameters
    ----------
    curves
        What `response_curves` returned; or a frame by segment (its index, or a column `segment`)
        with ``size`` and ``scale`` and, for their doubt, ``size_se``, ``scale_se`` and
        ``correlation`` (of the logarithms; 0 where it is not given).
    budget
        The money to spend, above 0.
    form
        The form of curves given as a frame: ``"exponential"``, size (1 - exp(-x / scale));
        ``"saturating"``, size x / (x + scale); ``"log"``, size log(1 + x / scale).
    sizes
        Customers of each segment, or what was spent on it so far, for the proportional split.
    minimum, maximum
        The least and the most to spend by segment; 0 and the budget where nothing is given. They
        bind the best split alone.
    worth
        Money that one unit of response is worth: then nothing is spent where the next unit of
        money brings less than itself, some of the budget may be left, and gains count what is left
        (a unit of money as 1 / `worth`). ``None`` spends it all.
    n_draws
        Draws of the curves to choose by, and again as many to judge by.
    random_state
        The seed of the draws.
    level
        Probability that the intervals hold.

    Returns
    -------
    Allocation
        The best, the equal and the proportional split with their responses.

    Raises
    ------
    ColumnError
        If the frame lacks a column.
    DataError
        If a curve is not above 0, or a segment is missing in sizes or bounds.
    ParameterError
        If the budget cannot be spent within the bounds, or a bound does not hold.

    Notes
    -----
    `size` is drawn from a log-normal distribution with the given mean, so that doubt alone does
    not raise what a segment is expected to bring; `scale` from one with the given median.

    References
    ----------
    Luss, H. and Gupta, S. K. (1975), Allocation of effort resources among competing activities,
    Operations Research 23, 360-366.

    Examples
    --------
    >>> import pandas as pd
    >>> curves = pd.DataFrame({"size": [900.0, 400.0], "scale": [300.0, 100.0]},
    ...                       index=["loyal", "new"])
    >>> found = allocate_budget(curves, 500)
    >>> found.to_frame()[["segment", "best", "equal", "marginal"]].round(2)
      segment    best  equal  marginal
    0   loyal  353.42  250.0      0.92
    1     new  146.58  250.0      0.92
    >>> found.splits["response"].round(1).tolist()
    [930.6, 876.0]
    """
    check_number(budget, "budget", gt=0)
    check_number(n_draws, "n_draws", ge=100, integer=True)
    check_number(random_state, "random_state", ge=0, integer=True)
    check_number(level, "level", gt=0, lt=1)
    if worth is not None:
        check_number(worth, "worth", gt=0)
    table, form = _read_curves(curves, form)
    names = table.index
    low = _by_segment(minimum, names, "minimum", 0.0)
    high = _by_segment(maximum, names, "maximum", float(budget))
    _check_bounds(low, high, budget)
    high = np.minimum(high, budget)
    rng = np.random.default_rng(random_state)
    chosen_by, judged_by = _draw(table, n_draws, rng), _draw(table, n_draws, rng)

    def marginal_of(draws: tuple[Vector, Vector]) -> Marginal:
        return lambda x: MARGINAL[form](x, *draws)

    def expected(x: Vector) -> Vector:
        return marginal_of(chosen_by)(x).mean(axis=0)

    floor = 0.0 if worth is None else 1 / worth
    best = fill(expected, budget, low, high, floor=floor)
    at_draw = fill(marginal_of(judged_by), budget, low, high, floor=floor)
    plans = {"best": best, "equal": np.full(len(names), budget / len(names))}
    if sizes is not None:
        mass = _by_segment(sizes, names, "sizes", np.nan)
        if not (mass >= 0).all() or not 0 < mass.sum() < np.inf:
            raise DataError("sizes must be numbers of at least 0 for every segment, not all 0.")
        plans["proportional"] = budget * mass / mass.sum()
    tails = [(1 - level) / 2, (1 + level) / 2]
    response = RESPONSE[form](best, *judged_by)
    frame = pd.DataFrame({"segment": names, "best": best})
    frame["best_low"], frame["best_high"] = np.quantile(at_draw, tails, axis=0)
    for name, plan in list(plans.items())[1:]:
        frame[name] = plan
    frame["response"] = response.mean(axis=0)
    frame["response_low"], frame["response_high"] = np.quantile(response, tails, axis=0)
    frame["marginal"] = marginal_of(judged_by)(best).mean(axis=0)
    if "max_spend" in table:
        frame["max_spend"] = table["max_spend"].to_numpy()
    splits = _compare(plans, lambda x: RESPONSE[form](x, *judged_by).sum(axis=1), tails, floor)
    notes = [*_notes(frame, table), *_left_over(best, budget, high)]
    notes += _out_of_bounds(plans, low, high)
    if sizes is None:
        notes.append("no sizes: there is no proportional split to compare with.")
    return Allocation(frame, splits, float(budget), level, tuple(notes))


def fill(
    marginal: Marginal, budget: float, low: Vector, high: Vector, *, floor: float = 0.0
) -> Vector:
    """Return the spend (..., k) at which all falling marginal responses are equal.

    Segments at `low` may bring less with the next unit, segments at `high` more. Nothing above
    `low` is spent for less than `floor`.
    """
    shape = marginal(low).shape
    low, high = np.broadcast_to(low, shape), np.broadcast_to(high, shape)

    def spend(price: Vector) -> Vector:
        """Return where the marginal response comes down to a price, within the bounds."""
        left, right = low.copy(), high.copy()
        for _ in range(HALVINGS):
            middle = (left + right) / 2
            more = marginal(middle) > price[..., None]
            left, right = np.where(more, middle, left), np.where(more, right, middle)
        return (left + right) / 2

    dear = np.log(marginal(low).max(axis=-1))
    cheap = np.log(np.maximum(marginal(high).min(axis=-1), np.finfo(float).tiny))
    if floor:
        dear, cheap = np.maximum(dear, np.log(floor)), np.maximum(cheap, np.log(floor))
    for _ in range(HALVINGS):
        middle = (dear + cheap) / 2
        over = spend(np.exp(middle)).sum(axis=-1) > budget
        dear, cheap = np.where(over, dear, middle), np.where(over, middle, cheap)
    return spend(np.exp(dear))


def _read_curves(curves: Any, form: str) -> tuple[pd.DataFrame, str]:
    if isinstance(curves, ResponseCurves):
        table, form = curves.to_frame().set_index("segment"), curves.form
    elif isinstance(curves, pd.DataFrame):
        table = curves.set_index("segment") if "segment" in curves else curves.copy()
    else:
        raise DataError(
            f"curves is a {type(curves).__name__}, but must be what response_curves returned, or a "
            "frame indexed by segment with size and scale."
        )
    check_option(form, "form", RESPONSE)
    check_columns(list(table.columns), ["size", "scale"], where="curves")
    if table.empty or not table.index.is_unique:
        raise DataError("curves must have one row for each segment.")
    for name in ("size", "scale", "size_se", "scale_se", "correlation"):
        table[name] = pd.to_numeric(table[name], errors="coerce") if name in table else 0.0
    numbers = table[["size", "scale", "size_se", "scale_se", "correlation"]].astype(float)
    wrong = ~(numbers[["size", "scale"]] > 0).all(axis=1) | ~np.isfinite(numbers).all(axis=1)
    wrong |= (numbers[["size_se", "scale_se"]] < 0).any(axis=1) | (numbers["correlation"].abs() > 1)
    if wrong.any():
        raise DataError(
            f"the curve of {table.index[wrong][0]!r} needs size and scale above 0, standard errors "
            "of at least 0 and a correlation between -1 and 1. Leave out a segment that does not "
            "respond."
        )
    return table, form


def _by_segment(values: Any, names: pd.Index, what: str, default: float) -> Vector:
    if values is None:
        return np.full(len(names), default)
    if not isinstance(values, Mapping | pd.Series):
        raise DataError(f"{what} must give numbers by segment, such as {{{names[0]!r}: 100}}.")
    series = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
    if series.isna().any():
        raise DataError(f"{what} has no number for {series.index[series.isna()][0]!r}.")
    unknown = [name for name in series.index if name not in names]
    if unknown:
        raise DataError(f"{what} names {unknown[0]!r}, which has no curve.")
    found = series.reindex(names)
    if np.isnan(default) and found.isna().any():
        raise DataError(f"{what} lacks {found.index[found.isna()][0]!r}. Give every segment one.")
    return found.fillna(default).to_numpy()


def _check_bounds(low: Vector, high: Vector, budget: float) -> None:
    if (low < 0).any() or (low > high).any():
        raise ParameterError("minimum must be at least 0 and at most maximum for every segment.")
    if low.sum() > budget:
        raise ParameterError(
            f"the minimum of all segments is {low.sum():g}, more than the budget of {budget:g}."
        )


def _draw(table: pd.DataFrame, n: int, rng: np.random.Generator) -> tuple[Vector, Vector]:
    """Return draws of size and scale, (n, k), the same for any order of the segments."""
    size, scale, rho = (table[name].to_numpy() for name in ("size", "scale", "correlation"))
    place = np.argsort(np.argsort(table.index.astype(str)))
    size_sd, scale_sd = table["size_se"].to_numpy() / size, table["scale_se"].to_numpy() / scale
    first, second = rng.standard_normal((2, n, len(table)))[..., place]
    second = rho * first + np.sqrt(1 - rho**2) * second
    return size * np.exp(size_sd * first - size_sd**2 / 2), scale * np.exp(scale_sd * second)


def _compare(
    plans: Mapping[str, Vector], total: Callable[[Vector], Vector], tails: list[float], price: float
) -> pd.DataFrame:
    """Return what each split brings, and the gain of the best, less the `price` of its money."""
    brought = {name: total(plan) for name, plan in plans.items()}
    rows = {}
    for name, draws in brought.items():
        gain = brought["best"] - draws - price * (plans["best"] - plans[name]).sum()
        low, high = np.quantile(draws, tails)
        row = {"spend": plans[name].sum(), "response": draws.mean(), "low": low, "high": high}
        if name != "best":
            gain_low, gain_high = np.quantile(gain, tails)
            row |= {"gain": gain.mean(), "gain_low": gain_low, "gain_high": gain_high}
            row["p_better"] = (gain > 0).mean()
        rows[name] = row
    return pd.DataFrame(rows).T.rename_axis("split")


def _notes(frame: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    notes = []
    if not table["size_se"].any():
        notes.append(
            "the curves come without standard errors and are taken for certain: give size_se and "
            "scale_se to see how firm the split is."
        )
    if "max_spend" in frame:
        beyond = frame.loc[frame["best"] > frame["max_spend"], "segment"]
        if len(beyond):
            notes.append(
                f"more than was ever tried on {', '.join(map(repr, beyond))}: there the curve is "
                "a guess. Set maximum=, or go there in steps."
            )
    else:
        notes.append("what was tried so far is not known: do not trust curves far beyond it.")
    if "base" in table:
        notes.append("response is what spending adds, without the base that comes anyway.")
    return notes


def _left_over(best: Vector, budget: float, high: Vector) -> list[str]:
    left = budget - best.sum()
    if left <= NOTHING * budget:
        return []
    full = (best >= high - NOTHING * budget).all()
    why = "every segment is at its maximum" if full else "the next unit does not pay"
    return [f"{format_number(left)} of the budget is left: {why}."]


def _out_of_bounds(plans: Mapping[str, Vector], low: Vector, high: Vector) -> list[str]:
    slack = NOTHING * high.max()
    return [
        f"the {name} split is outside the bounds, which only the best split keeps: its response "
        "is not to be had, and may be larger."
        for name, plan in plans.items()
        if ((plan < low - slack) | (plan > high + slack)).any()
    ]
