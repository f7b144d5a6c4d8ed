"""How a segment responds to spending: concave curves with their doubt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares

from custseg.errors import ConvergenceError, DataError, check_columns, check_option
from custseg.results import Result, format_number

Vector = NDArray[np.float64]
Curve = Callable[[Vector, Vector, Vector], Vector]

RESPONSE: Mapping[str, Curve] = {
    "exponential": lambda x, size, scale: -size * np.expm1(-x / scale),
    "saturating": lambda x, size, scale: size * x / (x + scale),
    "log": lambda x, size, scale: size * np.log1p(x / scale),
}
MARGINAL: Mapping[str, Curve] = {
    "exponential": lambda x, size, scale: size / scale * np.exp(-x / scale),
    "saturating": lambda x, size, scale: size * scale / (x + scale) ** 2,
    "log": lambda x, size, scale: size / (x + scale),
}
FEWEST = 6
REACH = 30.0
"""A scale so many times the largest spend is a straight line, one as small a step."""


@dataclass(frozen=True, repr=False, eq=False)
class ResponseCurves(Result):
    """A curve of response against spending for every segment.

    Attributes
    ----------
    points : pandas.DataFrame
        ``segment``, ``spend`` and ``response`` that the curves were learned from.
    form : str
        ``"exponential"``, ``"saturating"`` or ``"log"``.
    notes : tuple of str
        What to know before using the curves.
    """

    _table: pd.DataFrame
    points: pd.DataFrame
    form: str
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_demand.response_curves"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``n``, ``base`` (the response without spending), ``size`` and ``scale`` of
            the curve with ``size_se`` and ``scale_se``, the ``correlation`` of their logarithms,
            ``max_spend`` (the most that was tried) and ``r2``.
        """
        return self._table.copy()

    def line(self, segment: str, n: int = 100) -> tuple[Vector, Vector]:
        """Return `n` spends up to the most that was tried, and the fitted response to each."""
        check_option(segment, "segment", list(self._table["segment"]))
        row = self._table[self._table["segment"] == segment].iloc[0]
        spend = np.linspace(0, row["max_spend"], n)
        return spend, row["base"] + RESPONSE[self.form](spend, row["size"], row["scale"])

    def summary(self) -> str:
        """Return what the first unit of money brings in every segment."""
        first = MARGINAL[self.form](
            np.zeros(len(self._table)),
            self._table["size"].to_numpy(),
            self._table["scale"].to_numpy(),
        )
        told = [
            f"{name} {format_number(value)}"
            for name, value in zip(self._table["segment"], first, strict=True)
        ]
        return f"Response to the first unit of money: {', '.join(told)}."

    def _shown(self) -> pd.DataFrame:
        return self._table.set_index("segment")


def response_curves(
    history: pd.DataFrame,
    *,
    segment: str = "segment",
    spend: str = "spend",
    response: str = "response",
    form: str = "exponential",
) -> ResponseCurves:
    """Learn how each segment responds to spending, from periods or regions with other budgets.

    Parameters
    ----------
    history
        One row per segment and period (or region): what was spent and what came back.
    segment, spend, response
        The columns.
    form
        The form of the curve over the base: ``"exponential"``, size (1 - exp(-x / scale)), and
        ``"saturating"``, size x / (x + scale), level off at size; ``"log"``, size
        log(1 + x / scale), rises on.

    Returns
    -------
    ResponseCurves
        Least squares by segment; standard errors are robust to unequal variances (HC3).

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If a number is missing or negative, or a segment has fewer than 6 rows or 3 spends.
    ConvergenceError
        If the response of a segment does not rise, or does not bend, within what was tried.

    References
    ----------
    Little, J. D. C. (1979), Aggregate advertising models: the state of the art, Operations
    Research 27, 629-667.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> spend = np.tile([0.0, 50, 100, 200, 400, 800], 2)
    >>> noise = np.tile([3.0, -3], 6)
    >>> history = pd.DataFrame({
    ...     "segment": "loyal", "spend": spend,
    ...     "response": 100 + 500 * (1 - np.exp(-spend / 200)) + noise,
    ... })
    >>> response_curves(history).to_frame()[["segment", "base", "size", "scale"]].round(0)
      segment   base   size  scale
    0   loyal  101.0  498.0  200.0
    """
    check_option(form, "form", RESPONSE)
    if not isinstance(history, pd.DataFrame) or history.empty:
        raise DataError(
            f"history is a {type(history).__name__} without rows or columns, but must be a frame "
            "with one row per segment and period."
        )
    check_columns(list(history.columns), [segment, spend, response], where="history")
    points = history[[segment, spend, response]].set_axis(["segment", "spend", "response"], axis=1)
    for name in ("spend", "response"):
        if not pd.api.types.is_numeric_dtype(points[name]):
            raise DataError(f"the {name} of history is {points[name].dtype}, not a number.")
    numbers = points[["spend", "response"]].to_numpy(dtype=float, na_value=np.nan)
    if (
        points["segment"].isna().any()
        or not np.isfinite(numbers).all()
        or (numbers[:, 0] < 0).any()
    ):
        raise DataError(
            "history needs a segment, a spend of at least 0 and a response in all rows."
        )
    points = points.sort_values(["segment", "spend", "response"], ignore_index=True)
    rows = [
        {"segment": name}
        | _fit(own["spend"].to_numpy(float), own["response"].to_numpy(float), form, str(name))
        for name, own in points.groupby("segment", observed=True)
    ]
    notes = (
        "curves promise too much where more was spent when demand was high anyway: vary budgets.",
        "standard errors take the form of the curve as true.",
    )
    return ResponseCurves(pd.DataFrame(rows), points, form, notes)


def _fit(x: Vector, y: Vector, form: str, name: str) -> dict[str, Any]:
    n = len(x)
    if n < FEWEST or len(np.unique(x)) < 3:
        raise DataError(
            f"{name!r} has {n} rows and {len(np.unique(x))} different spends, but a curve needs "
            f"{FEWEST} and 3."
        )
    curve, one = RESPONSE[form], np.ones(1)
    top, spread = x.max(), y.std()

    def line(scale: float) -> tuple[NDArray[Any], float]:
        """Return base and size that fit best at a scale, and the squares that they leave."""
        design = np.column_stack([np.ones(n), curve(x, one, scale * one)])
        found, *_ = np.linalg.lstsq(design, y, rcond=None)
        return found, float(((y - design @ found) ** 2).sum())

    scales = np.geomspace(top / REACH, top * REACH, 61)
    fits = [line(scale) for scale in scales]
    place = int(np.argmin([left for _, left in fits]))
    base, size = fits[place][0]
    if not size > 0 or spread == 0:
        raise ConvergenceError(
            f"the response of {name!r} does not rise with spending. Leave it out, or try more "
            "different budgets."
        )
    if place in (0, len(scales) - 1):
        bend = "is a step" if place == 0 else "does not level off"
        raise ConvergenceError(
            f"the response of {name!r} {bend} within what was tried (0 to {top:g}): its scale "
            "cannot be told. Try budgets between, or above, or another form."
        )

    def off(theta: Vector) -> Vector:
        fitted = curve(x, np.exp(theta[1]) * one, np.exp(theta[2]) * one)
        return (theta[0] * spread + fitted - y) / spread

    start = np.array([base / spread, np.log(size), np.log(scales[place])])
    found = least_squares(off, start, jac="3-point", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    bread = np.linalg.pinv(found.jac.T @ found.jac)
    leverage = np.einsum("ij,jk,ik->i", found.jac, bread, found.jac)
    pulled = found.jac * (found.fun / np.maximum(1 - leverage, 1e-9))[:, None]
    covariance = bread @ pulled.T @ pulled @ bread
    base, size, scale = found.x[0] * spread, np.exp(found.x[1]), np.exp(found.x[2])
    sd = np.sqrt(np.diag(covariance))
    return {
        "n": n,
        "base": base,
        "size": size,
        "size_se": size * sd[1],
        "scale": scale,
        "scale_se": scale * sd[2],
        "correlation": covariance[1, 2] / (sd[1] * sd[2]) if sd[1] * sd[2] > 0 else 0.0,
        "max_spend": top,
        "r2": 1 - float((found.fun**2).sum() * spread**2 / (n * spread**2)),
    }
