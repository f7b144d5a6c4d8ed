"""Metrics of the whole distribution, which need the rows: quantiles and ranks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from custseg.campaigns._comparing import (
    Comparison,
    check_columns_given,
    check_comparison,
    pairs,
    said_where,
)
from custseg.campaigns._moments import Moments
from custseg.errors import check_number
from custseg.stats import Difference, Margins, mann_whitney, quantile_difference

_BEYOND, _BEYOND_ALONE, _ALONE = 8, 15, 5
_RARER, _LARGE = 5, 1_000


@dataclass(frozen=True)
class Quantile:
    """A quantile of a column, such as the median spend, compared by the bootstrap.

    Every group is resampled 10,000 times, as `stats.quantile_difference` does; the rows are read
    once more, after the sums.

    Parameters
    ----------
    column
        The column with the outcome of each customer.
    q
        Which quantile, between 0 and 1; .5 is the median.
    margin
        The largest difference that does not matter, above 0: tests against it are in
        `impact.margins`.
    better
        Whether ``"higher"`` or ``"lower"`` quantiles are better.

    Raises
    ------
    ParameterError
        If a parameter is outside its bounds.

    References
    ----------
    Efron, B. and Tibshirani, R. J. (1993), An Introduction to the Bootstrap, chapter 13.

    Examples
    --------
    >>> Quantile("spend", 0.9).columns
    ('spend',)
    """

    column: str
    q: float = 0.5
    margin: float | None = None
    better: str = "higher"
    binary: ClassVar[bool] = False
    third: ClassVar[int] = 0
    winsorize: ClassVar[None] = None
    reads_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_columns_given({"column": self.column}, None)
        check_number(self.q, "q", gt=0, lt=1)
        check_comparison("delta", self.margin, self.better)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return (self.column,)

    def compare(self, moments: Moments) -> Comparison:
        """Compare every treatment arm with control, in every group."""
        shape = moments.n[:, 1:].shape
        control, treatment = np.full(shape, np.nan), np.full(shape, np.nan)
        absolute, over = np.full((5, *shape), np.nan), np.full((5, *shape), np.nan)
        margins = np.full((3, *shape), np.nan)
        for g, a, first, second in pairs(moments):
            place, seed = (g, a - 1), g * moments.n.shape[1] + a
            control[place], treatment[place] = (np.quantile(x, self.q) for x in (first, second))
            found = quantile_difference(first, second, self.q, seed=seed)
            absolute[:, *place] = found[:5]
            ratio = quantile_difference(first, second, self.q, relative=True, seed=seed)
            over[:, *place] = ratio[:5]
            if self.margin is not None and found.se > 0:
                outside = found.resamples <= -self.margin, found.resamples >= self.margin
                below, above = ((1 + x.sum()) / (1 + len(x)) for x in outside)
                margins[:, *place] = below, above, max(below, above)
        return Comparison(
            control,
            treatment,
            Difference(*absolute),
            Difference(*over),
            None if self.margin is None else Margins(*margins),
        )

    def posterior(self, moments: Moments) -> None:
        """Return nothing: there is no model of the values."""

    def remarks(self, name: str, moments: Moments) -> list[str]:
        """Say how it was resampled, and where too few customers are beyond the quantile."""
        n = moments.n
        beyond = n * min(self.q, 1 - self.q) + 1e-9
        alone = (beyond[:, :1] < _BEYOND_ALONE) & (n[:, 1:] > _ALONE * n[:, :1])
        alone |= (beyond[:, 1:] < _BEYOND_ALONE) & (n[:, :1] > _ALONE * n[:, 1:])
        few = (beyond < _BEYOND) & (n >= 2)
        return [
            f"{name}: intervals and p-values by 10,000 bootstrap resamples.",
            *said_where(
                moments,
                few.any(axis=1) | (alone & (n[:, :1] >= 2) & (n[:, 1:] >= 2)).any(axis=1),
                f"{name}: {{}} fewer than {_BEYOND} customers of an arm are beyond the quantile "
                f"({_BEYOND_ALONE} of one much smaller than the other): intervals may cover less "
                "than 95%.",
            ),
        ]


@dataclass(frozen=True)
class Rank:
    """How often a treated customer exceeds one of control: the Mann-Whitney test.

    `control` is .5, `treatment` is P(treatment > control) with ties counting half, `effect` what
    that is above .5, with Brunner and Munzel's interval (`stats.mann_whitney`). It asks for a shift
    of the whole distribution: one order more of a thousand euros hardly moves it. The rows are read
    once more, after the sums.

    Parameters
    ----------
    column
        The column with the outcome of each customer.

    Raises
    ------
    ParameterError
        If the column is no name.

    References
    ----------
    Mann, H. B. and Whitney, D. R. (1947), Annals of Mathematical Statistics 18, 50-60; Brunner, E.
    and Munzel, U. (2000), Biometrical Journal 42, 17-25.

    Examples
    --------
    >>> Rank("spend").columns
    ('spend',)
    """

    column: str
    margin: ClassVar[None] = None
    better: ClassVar[str] = "higher"
    binary: ClassVar[bool] = False
    third: ClassVar[int] = 0
    winsorize: ClassVar[None] = None
    reads_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_columns_given({"column": self.column}, None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return (self.column,)

    def compare(self, moments: Moments) -> Comparison:
        """Compare every treatment arm with control, in every group."""
        found = np.full((5, *moments.n[:, 1:].shape), np.nan)
        for g, a, first, second in pairs(moments):
            found[:, g, a - 1] = mann_whitney(first, second)
        even = np.where(np.isnan(found[0]), np.nan, 0.5)
        effect, low, high = found[0] - even, found[2] - even, found[3] - even
        se, p_value = found[1], found[4]
        difference = Difference(effect, se, low, high, p_value)
        relative = Difference(effect / even, se / even, low / even, high / even, p_value)
        return Comparison(even, found[0], difference, relative)

    def posterior(self, moments: Moments) -> None:
        """Return nothing: there is no model of the values."""

    def remarks(self, name: str, moments: Moments) -> list[str]:
        """Say what the numbers are, and where too few customers are on the rarer side."""
        words = "the chance that its customer exceeds one of control (Mann-Whitney)"
        few = np.zeros(len(moments.n), dtype=bool)
        for g, _, first, second in pairs(moments):
            least = min(len(first), len(second))
            if least < _LARGE and not few[g]:
                chance = mann_whitney(first, second).estimate
                few[g] = 0 < least * min(chance, 1 - chance) < _RARER
        return [
            f"{name}: control is .5 and treatment {words}; the unit is not the column's.",
            *said_where(
                moments,
                few,
                f"{name}: {{}} fewer than {_RARER} customers of an arm are expected above, or "
                "below, one of the other: the interval may cover less than 95%.",
            ),
        ]
