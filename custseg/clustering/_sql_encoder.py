"""What a fitted encoder does with every column, as expressions that any engine can run."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from custseg._engine import one_if
from custseg.clustering._questions import MISSING, Question
from custseg.errors import DataError, ParameterError
from custseg.features._treatments import (
    Binary,
    Levels,
    Nominal,
    Number,
    Ordinal,
    Positions,
    Share,
)
from custseg.features.encoder import Encoder
from custseg.features.mixed_encoder import MixedEncoder

Schema = Mapping[str, nw.dtypes.DType]
Problem = tuple[nw.Expr, str]
"""Where a value is refused, and why."""

_UNKNOWN = -2.0
"""The place of a level that was not there when the levels were learned."""


@dataclass(frozen=True)
class Encoding:
    """An encoder as expressions, in two steps.

    Parameters
    ----------
    read
        From the columns of the table: each variable as a number, or as the place of its level.
    problems
        From what was read: where `predict` refuses, and why.
    encoded
        From what was read: the columns of the encoded matrix.
    """

    read: dict[str, nw.Expr]
    problems: list[Problem]
    encoded: dict[str, nw.Expr]


def encode(encoder: Any, variables: Sequence[Any], schema: Schema) -> Encoding:
    """Return a fitted encoder as expressions over the columns of a table.

    Parameters
    ----------
    encoder
        ``None``, `Encoder`, `MixedEncoder`, or a scaler that `rescale` takes.
    variables
        The columns that it was fitted on, in order.
    schema
        Column to type, of the table.

    Raises
    ------
    DataError
        If a column is of another type than in the fit.
    ParameterError
        If the encoder cannot be expressed.
    """
    columns = [_Column(str(name), schema[str(name)], f"r{i}") for i, name in enumerate(variables)]
    if isinstance(encoder, (Encoder, MixedEncoder)):
        treatments = [encoder.treatments_[name] for name in variables]
        ways = [_express(way, column) for way, column in zip(treatments, columns, strict=True)]
        scaled = _scaled(encoder, [block for way in ways for block in way.blocks], columns)
        refuses = isinstance(encoder, Encoder) and encoder.missing == "refuse"
    else:
        scale = rescale(encoder)
        ways = [_express(Number(), column) for column in columns]
        scaled = [scale(position, way.blocks[0]) for position, way in enumerate(ways)]
        refuses = True
    problems = [problem for way in ways for problem in way.problems]
    if refuses:
        problems += [(nw.col(c.place).is_null(), f"{c.name} is missing") for c in columns]
    return Encoding(
        {column.place: way.read for column, way in zip(columns, ways, strict=True)},
        problems,
        {f"x{position}": block for position, block in enumerate(scaled)},
    )


def ask(questions: Sequence[Question], schema: Schema) -> Encoding:
    """Return the answers to the questions of a tree as expressions over the columns of a table.

    Parameters
    ----------
    questions
        What the tree asks.
    schema
        Column to type, of the table.

    Returns
    -------
    Encoding
        Its encoded columns are the answers: the number, the place in the order, or 1 where it is
        the level, else 0; missing where the number or the place is.

    Raises
    ------
    DataError
        If a column is of another type than in the fit.
    """
    read: dict[str, nw.Expr] = {}
    problems: list[Problem] = []
    answers: dict[str, nw.Expr] = {}
    for i, question in enumerate(questions):
        column = _Column(str(question.column), schema[str(question.column)], f"r{i}")
        answer = nw.col(column.place)
        if question.kind == "number":
            read[column.place] = _as_number(column)
            problems.append(_infinite(column))
        elif question.kind == "order":
            read[column.place] = _as_place(column, question.levels)
            problems.append(_unknown(column))
        elif question.levels[0] == MISSING:
            read[column.place] = nw.when(~nw.col(column.name).is_null()).then(0.0)
            answer = answer.fill_null(1.0)
        else:
            read[column.place] = _as_place(column, question.levels, new=-1.0)
            answer = one_if(answer == 0.0).cast(nw.Float64)
        if not question.gaps:
            problems.append((nw.col(column.place).is_null(), f"{column.name} is missing"))
        answers[f"x{i}"] = answer
    return Encoding(read, problems, answers)


def rescale(scaler: Any) -> Callable[[int, nw.Expr], nw.Expr]:
    """Return what a scaler does with a column at a position.

    Parameters
    ----------
    scaler
        ``None``, or a scaler of scikit-learn that takes each column by itself.

    Raises
    ------
    ParameterError
        If it is another transformer.
    """
    center, scale = _center_and_scale(scaler)

    def scaled(position: int, values: nw.Expr) -> nw.Expr:
        if center is not None:
            values = values - float(center[position])
        return values if scale is None else values / float(scale[position])

    return scaled


def add_up(terms: Sequence[nw.Expr]) -> nw.Expr:
    """Return a sum as deep as the logarithm of its length: engines bound the depth."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return add_up(terms[:half]) + add_up(terms[half:])


def _center_and_scale(
    scaler: Any,
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    if scaler is None:
        return None, None
    if isinstance(scaler, StandardScaler):
        return (scaler.mean_ if scaler.with_mean else None), scaler.scale_
    if isinstance(scaler, RobustScaler):
        return scaler.center_, scaler.scale_
    if isinstance(scaler, MaxAbsScaler):
        return None, scaler.scale_
    if isinstance(scaler, MinMaxScaler) and not scaler.clip:
        return -scaler.min_ / scaler.scale_, 1 / scaler.scale_
    raise ParameterError(
        f"{type(scaler).__name__} cannot be expressed in a warehouse. What can be: encoder='auto' "
        "(custseg.features.Encoder and MixedEncoder) or None, and scikit-learn's StandardScaler, "
        "MinMaxScaler (without clip), MaxAbsScaler and RobustScaler. Otherwise fetch the customers "
        "in batches and call predict."
    )


def _scaled(
    encoder: Encoder | MixedEncoder, blocks: list[nw.Expr], columns: list["_Column"]
) -> list[nw.Expr]:
    """Return the blocks as the encoder scales them; `Encoder` fills gaps and marks them."""
    if isinstance(encoder, MixedEncoder):
        parameters = zip(blocks, encoder.center_, encoder.scale_, strict=True)
        return [(block - float(center)) / float(scale) for block, center, scale in parameters]
    for group in encoder.marked_:
        lacking = [one_if(nw.col(columns[i].place).is_null()) for i in group]
        blocks = [*blocks, add_up(lacking).cast(nw.Float64) / float(len(group))]
    weighed = zip(blocks, encoder.center_, encoder.scale_, encoder.weights_, strict=True)
    return [
        ((block - float(center)) / float(scale) * float(weight)).fill_null(0.0)
        for block, center, scale, weight in weighed
    ]


# ---------------------------------------------------------------------- what is done with a column


class _Column(NamedTuple):
    """A column of the table: its name, its type, and what it is called once it was read."""

    name: str
    dtype: nw.dtypes.DType
    place: str


class _Way(NamedTuple):
    """What is done with a column: how it is read, what is refused, what it becomes."""

    read: nw.Expr
    problems: list[Problem]
    blocks: Sequence[nw.Expr]


@singledispatch
def _express(treatment: Any, column: _Column) -> _Way:
    raise ParameterError(f"{type(treatment).__name__} of {column.name!r} cannot be expressed.")


@_express.register
def _(treatment: Number, column: _Column) -> _Way:
    values = nw.col(column.place)
    problems = [_infinite(column)]
    if treatment.limits:
        values = values.clip(*treatment.limits)
    if treatment.logged:
        problems.append((values < 0, f"{column.name} is negative"))
        values = _log1p(values.clip(0.0, None))
    return _Way(_as_number(column), problems, [values])


@_express.register
def _(_: Share, column: _Column) -> _Way:
    shares = nw.col(column.place)
    outside = (shares < -1e-9) | (shares > 1 + 1e-9)
    problems = [_infinite(column), (outside, f"{column.name} is outside 0 to 1")]
    return _Way(_as_number(column), problems, [_arcsine_of_root(shares.clip(0.0, 1.0))])


@_express.register
def _(treatment: Ordinal, column: _Column) -> _Way:
    place = nw.col(column.place)
    if treatment.numeric:
        ridits = _interpolated(place, treatment.levels, treatment.ridits)
        return _Way(_as_number(column), [_infinite(column)], [ridits])
    found = [nw.when(place == float(i)).then(nw.lit(r)) for i, r in enumerate(treatment.ridits)]
    return _Way(_as_place(column, treatment.levels), [_unknown(column)], [nw.coalesce(*found)])


@_express.register
def _(treatment: Binary, column: _Column) -> _Way:
    return _Way(_as_place(column, treatment.levels), [_unknown(column)], [nw.col(column.place)])


@_express.register
def _(treatment: Nominal, column: _Column) -> _Way:
    place, n_levels = nw.col(column.place), len(treatment.levels)
    read = _as_place(column, treatment.levels, new=float(n_levels) if treatment.rare else _UNKNOWN)
    blocks = [
        nw.when(place == float(level)).then(1.0).when(~place.is_null()).then(0.0)
        for level in range(n_levels + bool(treatment.rare))
    ]
    return _Way(read, [_unknown(column)], blocks)


@_express.register
def _(treatment: Levels, column: _Column) -> _Way:
    new = _UNKNOWN if treatment.ordered else float(len(treatment.levels))
    read = _as_place(column, treatment.levels, new=new)
    return _Way(read, [_unknown(column)], [nw.col(column.place)])


@_express.register
def _(treatment: Positions, column: _Column) -> _Way:
    return _express(Levels(treatment.levels, ordered=True), column)


def _infinite(column: _Column) -> Problem:
    return nw.col(column.place).abs() == math.inf, f"{column.name} is infinite"


def _unknown(column: _Column) -> Problem:
    return nw.col(column.place) == _UNKNOWN, f"{column.name} has an unknown level"


def _as_number(column: _Column) -> nw.Expr:
    """Return a column of numbers or booleans as floats."""
    values = nw.col(column.name)
    if column.dtype.is_numeric():
        return values.cast(nw.Float64)
    if column.dtype == nw.Boolean:
        return nw.when(values).then(1.0).when(~values).then(0.0)
    raise DataError(
        f"column {column.name!r} holds {column.dtype} where numbers were in the fit. Cast it to a "
        "number first."
    )


def _as_place(column: _Column, levels: Sequence[Any], *, new: float = _UNKNOWN) -> nw.Expr:
    """Return the place of each value among the levels, `new` for another, null where missing."""
    if all(isinstance(level, str) for level in levels):
        if not isinstance(column.dtype, nw.String | nw.Categorical | nw.Enum):
            raise DataError(
                f"column {column.name!r} holds {column.dtype} where text such as {levels[0]!r} was "
                "in the fit. Cast it to text first."
            )
        values = nw.col(column.name).cast(nw.String)
    elif all(isinstance(level, int | float | np.number | np.bool_) for level in levels):
        values, levels = _as_number(column), [float(level) for level in levels]
    else:
        kinds = sorted({type(level).__name__ for level in levels})
        raise DataError(
            f"the levels of column {column.name!r} are of type {', '.join(kinds)}, but a warehouse "
            "compares text or numbers only. Turn the column into text, and fit again."
        )
    places = [nw.when(values == level).then(float(i)) for i, level in enumerate(levels)]
    return nw.coalesce(*places, nw.when(~values.is_null()).then(new))


# ---------------------------------------------------------- functions that not every engine has


def _log1p(values: nw.Expr) -> nw.Expr:
    """Return ``log(1 + x)`` of what is not negative, to the last digits also where x is small."""
    above = values + 1.0
    divisor = nw.when(above == 1.0).then(1.0).otherwise(above - 1.0)
    return nw.when(above == 1.0).then(values).otherwise(above.log() * values / divisor)


def _arcsine_of_root(shares: nw.Expr) -> nw.Expr:
    """Return the arcsine of the square root of shares within 0 and 1.

    Up to 1/2 it is the root times a polynomial in the share, to within 3e-15; beyond, what is left
    to a right angle.
    """
    small = nw.min_horizontal(shares, 1.0 - shares)
    series = nw.lit(_ARCSINE[-1])
    for coefficient in _ARCSINE[-2::-1]:
        series = series * small + coefficient
    sign = nw.when(shares <= 0.5).then(1.0).otherwise(-1.0)
    return (1.0 - sign) * (math.pi / 4) + sign * small.sqrt() * series


def _arcsine_series(degree: int = 18) -> list[float]:
    def ratio(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.arcsin(np.sqrt(shares)) / np.sqrt(shares)

    fitted = Chebyshev.interpolate(ratio, degree, domain=[0, 0.5])
    return fitted.convert(kind=Polynomial, domain=[-1, 1], window=[-1, 1]).coef.tolist()


_ARCSINE = _arcsine_series()


def _interpolated(values: nw.Expr, at: Sequence[float], heights: Sequence[float]) -> nw.Expr:
    """Return the line through points, level beyond them, as a sum of ramps."""
    ramps = [nw.lit(heights[0]) + 0.0 * values]
    for (low, start), (high, end) in zip(
        zip(at, heights, strict=True), zip(at[1:], heights[1:], strict=True), strict=False
    ):
        ramps.append((values.clip(low, high) - low) * ((end - start) / (high - low)))
    return add_up(ramps)
