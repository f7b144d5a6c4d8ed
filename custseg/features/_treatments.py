"""What the encoder does with one column before it is centred and scaled, and back.

Every treatment has the same four parts: `names` of the columns it makes, `apply` (customers x those
columns, NaN where missing), `invert`, and `words`.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.errors import DataError
from custseg.features._levels import (
    in_order,
    places,
    refuse_unknown,
    two_levels,
    without_order,
)
from custseg.features.dictionary import Known

Matrix = NDArray[np.float64]
OTHER = "(other)"


class Treatment(Protocol):
    """What is done with one column."""

    def names(self, column: Any) -> list[Any]:
        """Return the names of the encoded columns."""

    def apply(self, values: pd.Series) -> Matrix:
        """Return the encoded columns, before they are centred and scaled."""

    def invert(self, encoded: Matrix) -> NDArray[Any]:
        """Return the column in its own units or levels."""

    @property
    def words(self) -> str:
        """What is done, in a few words."""


@dataclass(frozen=True)
class Number:
    """A number: winsorised, logged, or as it is."""

    logged: bool = False
    limits: tuple[float, float] | None = None

    def names(self, column: Any) -> list[Any]:
        return [column]

    def apply(self, values: pd.Series) -> Matrix:
        numbers = numbers_of(values)
        if self.limits:
            numbers = np.clip(numbers, *self.limits)
        lowest = np.nanmin(numbers, initial=np.inf)
        if self.logged and lowest < 0:
            raise DataError(
                f"column {values.name!r} has the negative value {lowest:g}, but was learned as a "
                "logarithm from customers without negative values. Correct it, or fit again with "
                "these customers."
            )
        return (np.log1p(numbers) if self.logged else numbers)[:, None]

    def invert(self, encoded: Matrix) -> NDArray[Any]:
        return np.expm1(encoded[:, 0]) if self.logged else encoded[:, 0]

    @property
    def words(self) -> str:
        limits = self.limits and "winsorised to {:.4g} and {:.4g}, ".format(*self.limits)
        return (limits or "") + ("log1p, " if self.logged else "") + "standardised"


@dataclass(frozen=True)
class Share:
    """A share from 0 to 1: the arcsine of its square root."""

    words = "arcsine of the root, standardised"

    def names(self, column: Any) -> list[Any]:
        return [column]

    def apply(self, values: pd.Series) -> Matrix:
        shares = numbers_of(values)
        outside = (shares < -1e-9) | (shares > 1 + 1e-9)
        if outside.any():
            raise DataError(
                f"column {values.name!r} is a share, but {int(outside.sum()):,} of its values lie "
                f"outside 0 to 1, such as {shares[outside][0]:g}. Correct them, or name another "
                "kind, such as 'numeric'."
            )
        return np.arcsin(np.sqrt(np.clip(shares, 0, 1)))[:, None]

    def invert(self, encoded: Matrix) -> NDArray[Any]:
        return np.sin(np.clip(encoded[:, 0], 0, np.pi / 2)) ** 2


@dataclass(frozen=True)
class Ordinal:
    """Ordered levels: the ridit, the share of customers below plus half of those equal."""

    levels: tuple[Any, ...]
    ridits: tuple[float, ...]
    numeric: bool

    def names(self, column: Any) -> list[Any]:
        return [column]

    def apply(self, values: pd.Series) -> Matrix:
        if self.numeric:
            numbers = numbers_of(values)
            ridits = np.interp(numbers, self.levels, self.ridits)
            return np.where(np.isnan(numbers), np.nan, ridits)[:, None]
        found = places(values, self.levels)
        refuse_unknown(values, found, self.levels)
        return np.where(found < 0, np.nan, np.array(self.ridits)[found])[:, None]

    def invert(self, encoded: Matrix) -> NDArray[Any]:
        if self.numeric:
            return np.interp(encoded[:, 0], self.ridits, self.levels)
        nearest = np.abs(encoded - np.array(self.ridits)).argmin(axis=1)
        return np.array(self.levels, dtype=object)[nearest]

    @property
    def words(self) -> str:
        return f"ridits of {len(self.levels)} levels, standardised"


@dataclass(frozen=True)
class Binary:
    """Two levels, the second of which counts 1; numbers come back as means between them."""

    levels: tuple[Any, ...]
    numeric: bool
    words = "0 or 1, standardised"

    def names(self, column: Any) -> list[Any]:
        return [column]

    def apply(self, values: pd.Series) -> Matrix:
        found = places(values, self.levels)
        refuse_unknown(values, found, self.levels)
        return np.where(found < 0, np.nan, found.astype(float))[:, None]

    def invert(self, encoded: Matrix) -> NDArray[Any]:
        low, high = self.levels[0], self.levels[-1]
        if self.numeric:
            return low + encoded[:, 0] * (high - low)
        return np.array([low, high], dtype=object)[(encoded[:, 0] >= 0.5).astype(int)]


@dataclass(frozen=True)
class Nominal:
    """Levels without an order: one column each, rare ones together."""

    levels: tuple[Any, ...]
    rare: int

    def names(self, column: Any) -> list[Any]:
        return [f"{column}={level}" for level in (*self.levels, *[OTHER] * bool(self.rare))]

    def apply(self, values: pd.Series) -> Matrix:
        found = places(values, self.levels)
        if self.rare:
            found = np.where(found == -2, len(self.levels), found)
        refuse_unknown(values, found, self.levels)
        columns = np.arange(len(self.levels) + bool(self.rare))
        return np.where(found[:, None] < 0, np.nan, (found[:, None] == columns).astype(float))

    def invert(self, encoded: Matrix) -> NDArray[Any]:
        return np.array([*self.levels, OTHER], dtype=object)[encoded.argmax(axis=1)]

    @property
    def words(self) -> str:
        rare = f", {self.rare} rare ones as {OTHER}" if self.rare else ""
        return f"one-hot of {len(self.levels) + self.rare} levels{rare}"


@dataclass(frozen=True)
class Levels:
    """Levels as whole numbers from 0, in their order; one more for a level that is new."""

    levels: tuple[Any, ...]
    ordered: bool

    def names(self, column: Any) -> list[Any]:
        return [column]

    def apply(self, values: pd.Series) -> Matrix:
        found = places(values, self.levels)
        if self.ordered:
            refuse_unknown(values, found, self.levels)
        codes = np.where(found == -2, len(self.levels), found)
        return np.where(codes < 0, np.nan, codes.astype(float))[:, None]

    def invert(self, encoded: Matrix) -> NDArray[Any]:
        codes = np.rint(np.nan_to_num(encoded[:, 0], nan=-1.0)).astype(int)
        known = (codes >= 0) & (codes < len(self.levels))
        return np.array([*self.levels, None], dtype=object)[np.where(known, codes, -1)]

    @property
    def words(self) -> str:
        return f"codes of {len(self.levels)} levels"


@dataclass(frozen=True)
class Positions:
    """Ordered levels: the position among them, over the range of positions that occur."""

    levels: tuple[Any, ...]

    def names(self, column: Any) -> list[Any]:
        return [column]

    def apply(self, values: pd.Series) -> Matrix:
        return Levels(self.levels, ordered=True).apply(values)

    def invert(self, encoded: Matrix) -> NDArray[Any]:
        nearest = np.rint(np.clip(encoded[:, 0], 0, len(self.levels) - 1))
        return Levels(self.levels, ordered=True).invert(nearest[:, None])

    @property
    def words(self) -> str:
        return f"positions of {len(self.levels)} levels"


def choose(
    values: pd.Series,
    known: Known,
    *,
    max_skewness: float,
    winsorize: float | None,
    min_frequency: float,
) -> Treatment:
    """Return what is done with a column of this kind and these values."""
    if known.kind == "share":
        return Share()
    if known.kind == "ordinal":
        return _ordinal(values)
    if known.kind == "nominal" and (known.given or isinstance(values.dtype, pd.CategoricalDtype)):
        return _nominal(values, min_frequency)
    if known.kind == "binary" and known.given:
        levels = two_levels(values)
        return Binary(tuple(levels), numeric=not any(isinstance(x, str) for x in levels))
    numbers = numbers_of(values)
    numbers = numbers[~np.isnan(numbers)]
    limits = None
    if winsorize and known.kind != "binary":
        low, high = np.quantile(numbers, [winsorize, 1 - winsorize])
        limits = (float(low), float(high))
        numbers = np.clip(numbers, low, high)
    return Number(wants_log(numbers, max_skewness), limits)


def wants_log(numbers: Matrix, max_skewness: float) -> bool:
    """Return whether the logarithm brings a skewed, non-negative column nearer to symmetry."""
    found = skewness(numbers)
    if numbers.min() < 0 or found <= max_skewness or len(np.unique(numbers)) <= 2:
        return False
    return abs(skewness(np.log1p(numbers))) < found


def skewness(values: Matrix) -> float:
    """Return the moment coefficient of skewness, 0 for a constant."""
    centred = values - values.mean()
    largest = np.abs(centred).max()
    if largest == 0 or values.min() == values.max():
        return 0.0
    centred = centred / largest
    return float(np.mean(centred**3) / np.mean(centred**2) ** 1.5)


def numbers_of(values: pd.Series) -> Matrix:
    """Return numbers and booleans as floats, NaN where missing.

    Raises
    ------
    DataError
        If the column holds text or dates, or infinite values.
    """
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_complex_dtype(values):
        known = values.dropna()
        example = f" (for example {str(known.iloc[0])!r})" if len(known) else ""
        kind = "text or objects"
        remedy = "turn it into numbers first, for example with pandas.to_numeric, or say that it "
        remedy += f"holds levels: dictionary={{{values.name!r}: 'nominal'}}"
        if pd.api.types.is_datetime64_any_dtype(values):
            kind, remedy = "dates", "turn it into days first"
        raise DataError(
            f"column {values.name!r} holds {kind}{example} where a number belongs. Leave it out of "
            f"variables, or {remedy}."
        )
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    infinite = int(np.isinf(numbers).sum())
    if infinite:
        missing = int(np.isnan(numbers).sum())
        raise DataError(
            f"column {values.name!r} has {f'{missing:,} missing (NaN) and ' if missing else ''}"
            f"{infinite:,} infinite of {len(values):,} values. Fill them with a value you can "
            "defend, set these customers aside, or leave the column out."
        )
    return numbers


def _ordinal(values: pd.Series) -> Ordinal:
    levels = in_order(values)
    found = places(values, levels)
    counts = np.bincount(found[found >= 0], minlength=len(levels))
    shares = counts / counts.sum()
    ridits = np.cumsum(shares) - shares / 2
    numeric = pd.api.types.is_numeric_dtype(values)
    return Ordinal(tuple(levels), tuple(ridits.tolist()), numeric=numeric)


def _nominal(values: pd.Series, min_frequency: float) -> Nominal:
    levels = without_order(values)
    found = places(values, levels)
    shares = np.bincount(found[found >= 0], minlength=len(levels)) / max((found >= 0).sum(), 1)
    common = [level for level, share in zip(levels, shares, strict=True) if share >= min_frequency]
    if not common:
        raise DataError(
            f"column {values.name!r} has {len(levels):,} levels, and none of them has "
            f"{min_frequency:.1%} of the customers. Roll them up into fewer, lower min_frequency, "
            "or leave the column out."
        )
    return Nominal(tuple(common), len(levels) - len(common))
