"""Which segments to aim at: how attractive each is, and how well placed the firm is to serve it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from custseg.errors import DataError, ParameterError, check_number, check_option
from custseg.profiling._words import listed, percent
from custseg.results import Result, format_number

DRAWS = 10_000
BETTER = ("higher", "lower")


@dataclass(frozen=True, repr=False, eq=False)
class Attractiveness(Result):
    """Segments by attractiveness and competitiveness; made by `attractiveness`.

    Attributes
    ----------
    table : pandas.DataFrame
        The table of `to_frame`.
    contributions : pandas.DataFrame
        ``side`` ("attractiveness" or "competitiveness"), ``criterion``, ``segment``, ``weight``,
        ``score`` and ``contribution``, their product; contributions sum to the scores.
    scale : tuple of float
        The worst and the best score.
    notes : tuple of str
        What to know before choosing.
    """

    table: pd.DataFrame
    contributions: pd.DataFrame
    scale: tuple[float, float]
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "profiling_decisions.evaluation_plot"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment.

        Returns
        -------
        pandas.DataFrame
            Index ``segment``; ``attractiveness`` and ``competitiveness`` (weighted means of
            scores), each with ``_low`` and ``_high``, the range if any one criterion is left out;
            ``size``; ``efficient``, whether no other segment is better on one side and at least as
            good on the other; and ``most_attractive``, ``most_competitive``: the share of all
            possible weights with which it comes first.
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return the segments that no other one beats on both sides, and how firm the first is."""
        own = self.table[self.table["efficient"]].sort_values("attractiveness", ascending=False)
        told = [
            f"{name} (attractiveness {format_number(row['attractiveness'])}, competitiveness "
            f"{format_number(row['competitiveness'])})"
            for name, row in own.iterrows()
        ]
        first = self.table["attractiveness"].idxmax()
        share = percent(self.table.loc[first, "most_attractive"])
        return (
            f"of {len(self.table)} segments, no other is better on both sides than "
            f"{'; '.join(told)}. {first} is the most attractive with these weights, and with "
            f"{share} of all possible ones."
        )


def attractiveness(
    attractive: pd.DataFrame,
    competitive: pd.DataFrame,
    *,
    attractive_weights: Mapping[str, float] | None = None,
    competitive_weights: Mapping[str, float] | None = None,
    sizes: "pd.Series | Mapping[str, float] | None" = None,
    scale: tuple[float, float] = (1, 10),
    rescale: Mapping[str, str] | None = None,
    random_state: int = 0,
) -> Attractiveness:
    """Weigh how attractive each segment is to the firm, and how attractive the firm is to it.

    Parameters
    ----------
    attractive
        Segments x criteria of attractiveness, agreed on before the segments were seen: size,
        growth, value, fit with the strengths of the firm, …; scores on `scale`.
    competitive
        The same segments x criteria of competitiveness: what the segment sees in the firm's
        product, price, channels and name, compared with others.
    attractive_weights, competitive_weights
        Criterion to weight, in any unit; ``None`` weighs all alike.
    sizes
        Segment to what the area of its bubble shows, such as customers or profit.
    scale
        The worst and the best score.
    rescale
        Criterion in units of its own to which end is better, ``"higher"`` or ``"lower"``: its worst
        segment gets the worst score, its best one the best, the others in proportion.
    random_state
        The seed of the weights that are tried.

    Returns
    -------
    Attractiveness
        With both scores, how much they hang on single criteria and on the weights, and which
        segments are efficient.

    Raises
    ------
    DataError
        If the tables are of different segments, or a score is missing or outside the scale.
    ParameterError
        If weights are negative or of other criteria, or the scale is none.

    References
    ----------
    Dolnicar, S., Grün, B. & Leisch, F. (2018), Market Segmentation Analysis, Springer, chapters 4
    and 10. McDonald, M. & Dunbar, I. (2012), Market Segmentation, 4th edition, Wiley. Lahdelma, R.,
    Hokkanen, J. & Salminen, P. (1998), European Journal of Operational Research 106, 137-143 (all
    possible weights).

    Examples
    --------
    >>> segments = pd.Index(["A", "B", "C"], name="segment")
    >>> attractive = pd.DataFrame({"value": [9, 5, 2], "growth": [4, 7, 3]}, index=segments)
    >>> competitive = pd.DataFrame({"product": [8, 3, 5], "price": [6, 5, 4]}, index=segments)
    >>> weights = {"value": 3, "growth": 1}
    >>> found = attractiveness(attractive, competitive, attractive_weights=weights)
    >>> found.to_frame()[["attractiveness", "competitiveness", "efficient"]]
             attractiveness  competitiveness  efficient
    segment
    A                  7.75              7.0       True
    B                  5.50              4.0      False
    C                  2.25              4.5      False
    """
    _check_scale(scale)
    for given, name in (
        (attractive_weights, "attractive_weights"),
        (competitive_weights, "competitive_weights"),
        (rescale, "rescale"),
    ):
        _check_mapping(given, name, "criterion")
    _check_mapping(sizes, "sizes", "segment")
    check_number(random_state, "random_state", ge=0, integer=True)
    for frame, name in ((attractive, "attractive"), (competitive, "competitive")):
        _check_frame(frame, name)
    if set(attractive.index) != set(competitive.index):
        raise DataError(
            f"attractive has the segments {listed(attractive.index)}, competitive "
            f"{listed(competitive.index)}: they must be the same."
        )
    for name, better in (rescale or {}).items():
        check_option(name, "a criterion in rescale", [*attractive.columns, *competitive.columns])
        check_option(better, f"rescale[{name!r}]", BETTER)
    rng = np.random.default_rng(random_state)
    sides = {
        "attractiveness": (attractive, attractive_weights),
        "competitiveness": (competitive.reindex(attractive.index), competitive_weights),
    }
    table = pd.DataFrame(index=pd.Index(attractive.index.astype(str), name="segment"))
    parts, firsts = [], {}
    for side, (frame, given) in sides.items():
        scores = _scores(frame, side, scale, rescale or {})
        weights = _weights(given, scores.columns, f"{side[:-4]}_weights")
        table[side] = scores @ weights
        left_out = _left_out(scores, weights)
        table[f"{side}_low"], table[f"{side}_high"] = left_out.min(axis=1), left_out.max(axis=1)
        firsts[side] = _first(scores.to_numpy(), rng)
        parts.append(_contributions(scores, weights, side))
    table["size"] = _sizes(sizes, table.index)
    table["efficient"] = _efficient(table[list(sides)].to_numpy())
    table["most_attractive"], table["most_competitive"] = firsts.values()
    return Attractiveness(
        table=table,
        contributions=pd.concat(parts, ignore_index=True),
        scale=(float(scale[0]), float(scale[1])),
        notes=tuple(_notes(rescale or {})),
    )


def _check_scale(scale: Any) -> None:
    if np.shape(scale) == (2,):
        check_number(scale[0], "the worst score of scale")
        check_number(scale[1], "the best score of scale", gt=scale[0])
    else:
        raise ParameterError(
            f"scale is {scale!r}, but must be the worst and the best score, such as (1, 10)."
        )


def _check_mapping(given: Any, name: str, key: str) -> None:
    if given is not None and not isinstance(given, Mapping | pd.Series):
        raise ParameterError(
            f"{name} is {given!r}, but must be a dictionary, or a Series, by {key}."
        )


def _check_frame(frame: Any, name: str) -> None:
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise DataError(f"{name} must be a frame of segments x criteria with at least one of each.")
    twice = [*frame.index[frame.index.duplicated()], *frame.columns[frame.columns.duplicated()]]
    if twice:
        raise DataError(f"{name} has {twice[0]!r} more than once.")


def _scores(
    frame: pd.DataFrame, side: str, scale: tuple[float, float], rescale: Mapping[str, str]
) -> pd.DataFrame:
    scores = frame.apply(pd.to_numeric, errors="coerce").astype(float)
    scores.index = scores.index.astype(str)
    for name in scores:
        values = scores[name]
        if values.isna().any() or np.isinf(values).any():
            raise DataError(
                f"the criterion {name!r} of {side} has no number for "
                f"{listed(values.index[~np.isfinite(values)])}."
            )
        if name in rescale:
            scores[name] = _rescaled(values, scale, better=rescale[name])
        elif not values.between(*scale).all():
            wrong = values[~values.between(*scale)]
            raise DataError(
                f"the criterion {name!r} of {side} is {wrong.iloc[0]:g} for {wrong.index[0]!r}, "
                f"outside the scale from {scale[0]} to {scale[1]}. If it has a unit of its own, "
                f"say which end is better: rescale={{{name!r}: 'higher'}}."
            )
    return scores


def _rescaled(values: pd.Series, scale: tuple[float, float], *, better: str) -> pd.Series:
    if values.min() == values.max():
        return values * 0 + (scale[0] + scale[1]) / 2
    place = (values - values.min()) / (values.max() - values.min())
    if better == "lower":
        place = 1 - place
    return scale[0] + place * (scale[1] - scale[0])


def _weights(given: Mapping[str, float] | None, criteria: pd.Index, name: str) -> pd.Series:
    if given is None:
        return pd.Series(1 / len(criteria), index=criteria)
    given = dict(given)
    for criterion, weight in given.items():
        check_option(criterion, f"a criterion in {name}", list(criteria))
        check_number(weight, f"{name}[{criterion!r}]", ge=0)
    missing = [criterion for criterion in criteria if criterion not in given]
    if missing or sum(given.values()) <= 0:
        raise ParameterError(
            f"{name} must give every criterion a weight, and one of them above 0; missing: "
            f"{listed(missing)}."
        )
    weights = pd.Series(given, dtype=float).reindex(criteria)
    return weights / weights.sum()


def _left_out(scores: pd.DataFrame, weights: pd.Series) -> pd.DataFrame:
    """Return the scores with each criterion left out in turn, and with all."""
    found = {"": scores @ weights}
    for name in scores:
        rest = weights.drop(name)
        if rest.sum() > 0:
            found[str(name)] = scores.drop(columns=name) @ (rest / rest.sum())
    return pd.DataFrame(found)


def _first(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the share of all possible weights with which each segment comes first; ties share."""
    weights = rng.dirichlet(np.ones(scores.shape[1]), DRAWS)
    totals = weights @ scores.T
    first = totals >= totals.max(axis=1, keepdims=True) - 1e-12
    return (first / first.sum(axis=1, keepdims=True)).mean(axis=0)


def _contributions(scores: pd.DataFrame, weights: pd.Series, side: str) -> pd.DataFrame:
    table = scores.rename_axis(index="segment", columns="criterion").T.stack().rename("score")
    table = table.reset_index()
    table.insert(0, "side", side)
    table["weight"] = table["criterion"].map(weights)
    table["contribution"] = table["weight"] * table["score"]
    return table[["side", "criterion", "segment", "weight", "score", "contribution"]]


def _sizes(sizes: Any, segments: pd.Index) -> pd.Series:
    if sizes is None:
        return pd.Series(1.0, index=segments)
    table = pd.Series(dict(sizes), dtype=float)
    table.index = table.index.astype(str)
    missing = [name for name in segments if name not in table.index]
    if missing or (table < 0).any():
        raise DataError(f"sizes must be 0 or more for every segment; missing: {listed(missing)}.")
    return table.reindex(segments)


def _efficient(points: np.ndarray) -> np.ndarray:
    """Return which segments no other one beats on one side and equals on the other."""
    as_good = np.all(points[None] >= points[:, None], axis=2)
    better = np.any(points[None] > points[:, None], axis=2)
    return np.asarray(~np.any(as_good & better, axis=1))


def _notes(rescale: Mapping[str, str]) -> list[str]:
    judged = (
        "scores and weights are judgements; _low and _high say how much a score hangs on a single "
        "criterion, most_attractive and most_competitive how much a first place hangs on weights."
    )
    scaled = (
        f"{listed(rescale)}: the best segment here has the best score, the worst the worst, "
        "however little they differ."
    )
    return [judged, scaled] if rescale else [judged]
