"""What cards and personas say of a segment, topic by topic."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from custseg.profiling._estimates import one_group
from custseg.profiling._facts import Fact, Teller, count, listing, number, share, text
from custseg.profiling._material import Material
from custseg.profiling._measures import DESCRIPTOR
from custseg.profiling._names import TRAITS, traits

FEW = 30
QUOTES = 3
GAP = 0.05
"""A column is said to be unknown when so large a share of a segment lacks it."""


def customers(n: int) -> str:
    """Return the noun that goes with a number of customers."""
    return "customer" if n == 1 else "customers"


def tell_size(teller: Teller, material: Material, segment: str) -> dict[str, Any]:
    """Say what the segments are for and how large this one is."""
    size, level = material.profile.sizes.loc[segment], share(material.profile.level)
    brief = material.brief
    if brief is not None:
        teller.say(segment, "purpose", "{goal}.", goal=text(brief.goal))
    stand = ", who stand for" if material.weighted else ","
    noun = customers(int(size["n"]))
    teller.say(
        segment,
        "size",
        f"{{n}} {noun}{stand} {{share}} of all who are in a segment ({{low}} to {{high}}, "
        "{level} interval).",
        n=count(size["n"]),
        share=share(size["share"]),
        low=share(size["ci_low"]),
        high=share(size["ci_high"]),
        level=level,
    )
    if brief is not None:
        words = "is at least" if size["share"] >= brief.min_share else "is below"
        teller.say(
            segment,
            "size",
            f"That {words} the {{least}} that the brief asks for.",
            least=share(brief.min_share),
        )
    head = {"n": int(size["n"]), "share": size["share"]}
    return head | {"share_low": size["ci_low"], "share_high": size["ci_high"]}


def tell_value(teller: Teller, material: Material, segment: str) -> dict[str, Any]:
    """Say what a customer of the segment is worth, and which part of all value is the segment's."""
    if material.value is None:
        return {}
    level = material.profile.level
    known = material.value.notna().to_numpy()
    inside = np.zeros(len(known), dtype=bool)
    inside[material.rows(segment)] = True
    values, w = material.value.to_numpy()[known], material.weights[known]
    inside = inside[known]
    name = text(material.value.name)
    if not inside.any():
        teller.say(segment, "what it is worth", "{value} is unknown for all of it.", value=name)
        return {}
    having = "" if known.all() else " who have a value"
    mean, low, high = one_group(values[inside], w[inside], level, is_share=False)
    row = {"value": mean, "value_low": low, "value_high": high}
    facts = {
        "value": name,
        "mean": number(mean),
        "average": number(np.average(values, weights=w)),
    }
    bounds = ""
    if inside.sum() > 1:
        bounds = " ({low} to {high}, {level} interval)"
        facts |= {"low": number(low), "high": number(high), "level": share(level)}
    teller.say(
        segment,
        "what it is worth",
        f"{{value}} averages {{mean}}{bounds}, against {{average}} of all{having}.",
        **facts,
    )
    if values.min() >= 0 and values.sum() > 0:
        part, low, high = ratio_interval(values, inside, w, level=level)
        teller.say(
            segment,
            "what it is worth",
            "It brings {part} of all {value} ({low} to {high}, {level} interval), with {share} of "
            f"the customers{having}.",
            part=share(part),
            value=name,
            low=share(low),
            high=share(high),
            level=share(level),
            share=share(np.average(inside, weights=w)),
        )
        row |= {"value_share": part, "value_share_low": low, "value_share_high": high}
    return row


def ratio_interval(
    values: np.ndarray, inside: np.ndarray, weights: np.ndarray, *, level: float
) -> tuple[float, float, float]:
    """Return the share of a total that a part of the customers has, with its interval.

    The ratio of the mean of ``values * inside`` to that of `values`, linearised (Cochran 1977).
    """
    counted = weights * values
    part = float(counted[inside].sum() / counted.sum())
    deviation = (inside - part) * counted / counted.mean()
    half = stats.norm.isf((1 - level) / 2) * deviation.std(ddof=1) / np.sqrt(len(values))
    return part, max(part - half, 0.0), min(part + half, 1.0)


def tell_traits(teller: Teller, material: Material, segment: str) -> None:
    """Say what sets the segment apart, with intervals."""
    rows = traits(material.profile, segment, most=None)
    for row in rows[:TRAITS]:
        _tell_trait(teller, material, segment, row)
    if not rows:
        teller.say(segment, "what sets it apart", "Nothing stands out from the average.")
    roles = material.profile.overall["role"].groupby(level="variable", sort=False).first()
    others = roles.index[roles == DESCRIPTOR]
    apart = [place for place, row in enumerate(rows) if row["role"] == DESCRIPTOR]
    if apart and apart[0] >= TRAITS:
        _tell_trait(teller, material, segment, rows[apart[0]])
    elif rows and len(others) and not apart:
        teller.say(
            segment,
            "what sets it apart",
            "On {others}, which did not make the segments, it does not stand out.",
            others=text(_and(others)),
        )


def _tell_trait(teller: Teller, material: Material, segment: str, row: dict[str, Any]) -> None:
    """Say how far one trait lies from the average."""
    fact = share if row["is_share"] else number
    facts: dict[str, Fact] = {
        "trait": text(f"{row['variable']} {row['level']}".strip()),
        "value": fact(row["value"]),
        "low": fact(row["ci_low"]),
        "high": fact(row["ci_high"]),
        "level": share(material.profile.level),
        "overall": fact(row["overall"]),
    }
    average = "" if row["is_share"] else " on average"
    teller.say(
        segment,
        "what sets it apart",
        f"{{trait}}: {{value}}{average} ({{low}} to {{high}}, {{level}} interval), against "
        "{overall} of all.",
        **facts,
    )


def _and(names: Iterable[object]) -> str:
    *first, last = map(str, names)
    return f"{', '.join(first)} and {last}" if first else last


def tell_typical(teller: Teller, material: Material, segment: str, *, include_ids: bool) -> None:
    """Show the medoid of the segment."""
    first = [row["variable"] for row in traits(material.profile, segment)]
    medoid = material.medoid(material.rows(segment))
    _show(teller, material, segment, "typical customer", medoid, first, include_ids=include_ids)


def _show(
    teller: Teller,
    material: Material,
    segment: str,
    topic: str,
    position: int,
    first: list[str],
    *,
    include_ids: bool,
) -> None:
    template, facts = listing("value", material.values(position, first))
    head = "A real one: "
    if include_ids:
        head = "Customer {customer}: "
        facts["customer"] = text(material.read.frame.index[position])
    teller.say(segment, topic, f"{head}{template}.", **facts)


def tell_borderline(
    teller: Teller, material: Material, segment: str, *, topic: str, include_ids: bool
) -> dict[str, Any]:
    """Say how many are in between, where to, and show the medoid of these."""
    if material.placed is None:
        return {}
    level = material.profile.level
    rows, between = material.rows(segment), material.in_between(segment)
    if len(rows) == 1:
        teller.say(
            segment,
            topic,
            "Whether its only customer is borderline cannot be said: nobody else tells how a "
            "customer of the segment answers.",
        )
        return {}
    part, low, high = material.share(rows, np.isin(rows, between))
    facts = {
        "n": count(len(between)),
        "share": share(part),
        "low": share(low),
        "high": share(high),
        "level": share(level),
    }
    are = "is" if len(between) == 1 else "are"
    stand = ", standing for {share} of it" if material.weighted else ": {share}"
    words = (
        f"{{n}} of its customers {are} borderline{stand} ({{low}} to {{high}}, {{level}} interval)"
    )
    if len(between):
        seconds = material.placed["second"].iloc[between]
        weight = pd.Series(material.weights[between]).groupby(seconds.array, observed=False).sum()
        neighbour = str(weight.idxmax())
        teller.say(
            segment,
            topic,
            f"{words}, most often towards {{next}}.",
            **facts,
            next=text(neighbour),
        )
        towards = between[(seconds.astype(str) == neighbour).to_numpy()]
        first = [row["variable"] for row in traits(material.profile, segment)]
        medoid = material.medoid(towards)
        _show(teller, material, segment, topic, medoid, first, include_ids=include_ids)
    else:
        teller.say(segment, topic, f"{words}.", **facts)
    return {"borderline": part}


def tell_quotes(teller: Teller, material: Material, segment: str) -> None:
    """Quote the most typical customers who commented, no two with the same words."""
    if material.comments is None:
        return
    rows = material.rows(segment)
    order = rows[np.argsort(material.centrality[rows], kind="stable")]
    ids = material.read.frame.index[order]
    said = material.comments[material.comments.index.isin(ids)]
    rank = pd.Series(np.arange(len(ids)), index=ids)
    said = said.iloc[np.argsort(rank[said.index].to_numpy(), kind="stable")].drop_duplicates()
    for quote in said.head(QUOTES):
        teller.say(segment, "in their words", "“{quote}”", quote=text(quote))


def tell_stability(teller: Teller, material: Material, segment: str) -> dict[str, Any]:
    """Say how much of the segment comes back when customers are drawn again."""
    if segment not in material.stability:
        return {}
    value = material.stability[segment]
    teller.say(
        segment,
        "how firm it is",
        "When the customers are drawn again, the most similar segment shares {jaccard} of the "
        "customers who are in either (mean Jaccard similarity).",
        jaccard=share(value),
    )
    return {"stability": value}


def tell_unknown(teller: Teller, material: Material, segment: str) -> None:
    """Say what this card cannot say."""
    topic, rows = "what we do not know", material.rows(segment)
    if len(rows) < FEW:
        teller.say(
            segment,
            topic,
            f"It has {{n}} {customers(len(rows))} only: every number is rough.",
            n=count(len(rows)),
        )
    gaps = {
        str(c.name): float(part)
        for c in material.columns
        if (part := np.average(np.isnan(c.values[rows]), weights=material.weights[rows])) >= GAP
    }
    if material.value is not None:
        unknown = material.value.isna().to_numpy()[rows]
        part = float(np.average(unknown, weights=material.weights[rows]))
        gaps |= {str(material.value.name): part} if GAP <= part < 1 else {}
    for name in sorted(gaps, key=lambda name: -gaps[name])[:3]:
        teller.say(
            segment,
            topic,
            "{name} is unknown for {gap} of it; they may differ.",
            name=text(name),
            gap=share(gaps[name]),
        )
    if material.comments is None:
        teller.say(segment, topic, "What its customers say was not looked at.")
    else:
        silent = ~material.read.frame.index[rows].isin(material.comments.index)
        if silent.any():
            part = np.average(silent, weights=material.weights[rows])
            teller.say(segment, topic, "{silent} of it left no comment.", silent=share(part))
    if material.value is None:
        teller.say(segment, topic, "What it is worth was not given.")
    if not material.stability:
        teller.say(segment, topic, "Whether it comes back in other customers was not measured.")
    goal = material.brief.success_metric if material.brief is not None else ""
    if goal:
        teller.say(
            segment,
            topic,
            "Whether treating it differently changes {metric} is a question for a test.",
            metric=text(goal),
        )
