"""Segments told around a real customer, with how many of the others are like that."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from custseg.brief import Brief
from custseg.errors import check_number
from custseg.profiling._columns import Column
from custseg.profiling._estimates import quartiles
from custseg.profiling._facts import Fact, Teller, count, listing, measured, share, text
from custseg.profiling._material import Material, gather
from custseg.profiling._names import traits
from custseg.profiling._telling import (
    customers,
    tell_borderline,
    tell_quotes,
    tell_stability,
    tell_unknown,
    tell_value,
)
from custseg.profiling.cards import SegmentCards, finish

TOPICS = (
    *(
        "purpose",
        "who stands for it",
        "how many are like that",
        "in their words",
        "what it is worth",
    ),
    *("who is different", "how firm it is", "what we do not know"),
)


def personas(
    customers: pd.DataFrame,
    segments: Any,
    *,
    variables: Sequence[str] | None = None,
    descriptors: Sequence[str] | None = None,
    weights: "ArrayLike | str | None" = None,
    value: "str | pd.Series | None" = None,
    comments: "str | pd.Series | None" = None,
    stability: Any = None,
    brief: Brief | None = None,
    names: Mapping[str, str] | None = None,
    level: float = 0.95,
    include_ids: bool = False,
) -> SegmentCards:
    """Tell every segment as the story of one real customer, and how many are like that.

    A persona invents nothing: the customer who stands for the segment is its medoid, as in
    `segment_cards`, and beside each of the customer's traits stands how many of the segment share
    it: those in the same category, or for a number the range of the middle half of the segment.

    Parameters
    ----------
    customers, segments, variables, descriptors, weights, level
        As in `profile`.
    value, comments, stability, brief, include_ids
        As in `segment_cards`.
    names
        Segment to the name of its persona; others get the one that is suggested from their traits.

    Returns
    -------
    SegmentCards
        With the topics of a persona.

    Raises
    ------
    ColumnError
        If a named column is missing.
    DataError
        If labels, value, comments or stability do not fit the customers.
    ParameterError
        If a parameter is out of bounds.

    References
    ----------
    Salminen, J., Jansen, B. J., An, J., Kwak, H. & Jung, S. (2018), Are personas done? Evaluating
    their usefulness in the age of digital analytics, Persona Studies 4(2), 47-65.

    Examples
    --------
    >>> customers = pd.DataFrame({"orders": [1, 2, 1, 2, 1, 9, 8, 9, 10, 9] * 4})
    >>> customers["region"] = ["North", "North", "North", "North", "South"] * 8
    >>> told = personas(
    ...     customers,
    ...     (["rare"] * 5 + ["often"] * 5) * 4,
    ...     variables=["orders"],
    ...     descriptors=["region"],
    ... )
    >>> for row in told.sentences.query("segment == 'often'").head(4).itertuples():
    ...     print(f"{row.topic}: {row.sentence}")
    who stands for it: A real customer: orders 9, region North.
    who stands for it: It is the least unlike the 20 customers of the segment, 50% of all who are \
in one.
    how many are like that: orders: the middle half of the segment has 9 to 9, that of all \
customers 1 to 9.
    how many are like that: region North: 80% of the segment (58% to 92%, 95% interval), 80% of all.
    """
    check_number(level, "level", gt=0, lt=1)
    material = gather(
        customers,
        segments,
        variables=variables,
        descriptors=descriptors,
        weights=weights,
        level=level,
        value=value,
        comments=comments,
        stability=stability,
        brief=brief,
        names=names,
    )
    teller = Teller()
    rows = []
    for segment in material.profile.sizes.index:
        size = material.profile.sizes.loc[segment]
        row = {"segment": segment, "name": material.names[segment], "n": int(size["n"])}
        row |= {"share": size["share"], "share_low": size["ci_low"], "share_high": size["ci_high"]}
        first = [trait["variable"] for trait in traits(material.profile, segment)]
        position = material.medoid(material.rows(segment))
        shown = material.values(position, first)
        _tell_who(teller, material, segment, position, shown, include_ids=include_ids)
        _tell_alike(teller, material, segment, position, list(shown))
        tell_quotes(teller, material, segment)
        row |= tell_value(teller, material, segment)
        row |= tell_borderline(
            teller, material, segment, topic="who is different", include_ids=include_ids
        )
        row |= tell_stability(teller, material, segment)
        tell_unknown(teller, material, segment)
        rows.append(row)
    return finish(teller, rows, TOPICS, material)


def _tell_who(
    teller: Teller,
    material: Material,
    segment: str,
    position: int,
    shown: Mapping[str, Fact],
    *,
    include_ids: bool,
) -> None:
    """Introduce the customer who stands for the segment."""
    if material.brief is not None:
        teller.say(segment, "purpose", "{goal}.", goal=text(material.brief.goal))
    template, facts = listing("value", shown)
    head = "A real customer: "
    if include_ids:
        head = "Customer {customer}: "
        facts["customer"] = text(material.read.frame.index[position])
    size = material.profile.sizes.loc[segment]
    stand = "who stand for " if material.weighted else ""
    teller.say(segment, "who stands for it", f"{head}{template}.", **facts)
    teller.say(
        segment,
        "who stands for it",
        f"It is the least unlike the {{n}} {customers(int(size['n']))} of the segment, {stand}"
        "{share} of all who are in one.",
        n=count(size["n"]),
        share=share(size["share"]),
    )


def _tell_alike(
    teller: Teller, material: Material, segment: str, position: int, shown: Sequence[str]
) -> None:
    """Say of each trait how many of the segment, and of all, share it."""
    rows = material.rows(segment)
    by_name = {str(column.name): column for column in material.columns}
    for name in shown:
        column = by_name[name]
        if column.levels:
            _alike_level(teller, material, segment, column, column.values[position])
            continue
        known = ~np.isnan(column.values)
        inside = rows[known[rows]]
        own = quartiles(column.values[inside], material.weights[inside])
        every = quartiles(column.values[known], material.weights[known])
        teller.say(
            segment,
            "how many are like that",
            "{name}: the middle half of the segment has {low} to {high}, that of all customers "
            "{all_low} to {all_high}.",
            name=text(name),
            low=measured(own[0]),
            high=measured(own[1]),
            all_low=measured(every[0]),
            all_high=measured(every[1]),
        )


def _alike_level(
    teller: Teller, material: Material, segment: str, column: Column, code: float
) -> None:
    """Say how many have the same level."""
    known = ~np.isnan(column.values)
    rows = material.rows(segment)
    rows = rows[known[rows]]
    part, low, high = material.share(rows, column.values[rows] == code)
    teller.say(
        segment,
        "how many are like that",
        "{name} {value}: {share} of the segment ({low} to {high}, {level} interval), {all} of all.",
        name=text(column.name),
        value=text(column.words(code)),
        share=share(part),
        low=share(low),
        high=share(high),
        level=share(material.profile.level),
        all=share(np.average(column.values[known] == code, weights=material.weights[known])),
    )
