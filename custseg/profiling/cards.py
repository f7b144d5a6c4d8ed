"""One card per segment, every number of which can be followed to its cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from numpy.typing import ArrayLike

from custseg.brief import Brief
from custseg.errors import check_number
from custseg.profiling._facts import Teller, to_html, to_markdown
from custseg.profiling._material import Material, few_note, gather
from custseg.profiling._telling import (
    FEW,
    tell_borderline,
    tell_quotes,
    tell_size,
    tell_stability,
    tell_traits,
    tell_typical,
    tell_unknown,
    tell_value,
)
from custseg.profiling._words import counted, percent
from custseg.profiling.profiles import MARKED
from custseg.results import Result

TOPICS = (
    *("purpose", "size", "what it is worth", "what sets it apart", "typical customer"),
    *("borderline customers", "in their words", "how firm it is", "what we do not know"),
)


@dataclass(frozen=True, repr=False, eq=False)
class SegmentCards(Result):
    """A card per segment; made by `segment_cards` or, as a story, by `personas`.

    Attributes
    ----------
    table : pandas.DataFrame
        The table of `to_frame`.
    cells : pandas.DataFrame
        Index ``cell``; ``segment``, ``topic``, ``name``, ``kind`` ("count", "share", "number" or
        "text"), ``value`` at full precision, and ``shown``, how sentences quote it.
    sentences : pandas.DataFrame
        ``segment``, ``topic``, ``sentence`` and ``cells``: the cells that it quotes. No sentence
        has a number that is not one of them.
    topics : tuple of str
        The topics in the order of a card.
    notes : tuple of str
        What to know before showing a card.
    """

    table: pd.DataFrame
    cells: pd.DataFrame
    sentences: pd.DataFrame
    topics: tuple[str, ...]
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "profiling_cards.shares"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment.

        Returns
        -------
        pandas.DataFrame
            Index ``segment``; ``name``, ``n``, ``share`` with ``share_low`` and ``share_high``;
            ``value`` (mean per customer) with its interval and ``value_share`` of all value with
            its interval, where a value was given; ``borderline``, the share of its customers;
            ``stability``, where it was given; and a column of text per topic.
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return the names and sizes of the segments."""
        told = [
            f"{_called(segment, row['name'], ', ')} ({percent(row['share'])})"
            for segment, row in self.table.iterrows()
        ]
        return f"{counted(len(told), 'segment')}: {'; '.join(told)}."

    def to_markdown(self) -> str:
        """Return the cards as Markdown: a section per segment, a paragraph per topic."""
        return to_markdown(self.sentences, self.heads(), self.topics)

    def to_html(self) -> str:
        """Return the cards as HTML, escaped; ``data-cells`` names the cells of every sentence."""
        return to_html(self.sentences, self.heads(), self.topics)

    def heads(self) -> dict[str, str]:
        """Return what each segment is headed by: it and its name, or one where they are alike."""
        names = self.table["name"]
        return {str(segment): _called(segment, name, ": ") for segment, name in names.items()}

    def _shown(self) -> pd.DataFrame:
        numbers = self.table.drop(columns=[t for t in self.topics if t in self.table])
        return numbers.drop(columns=[c for c in numbers if c.endswith(("_low", "_high"))])

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.to_html()


def segment_cards(
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
    """Tell of every segment what can be told: size, value, traits, examples, words, and gaps.

    Parameters
    ----------
    customers, segments, variables, descriptors, weights, level
        As in `profile`.
    value
        What a customer is worth: a numeric column, or a Series by customer id.
    comments
        What customers said: a column of text, or a Series by customer id, in which a customer may
        be there more than once. Those of the most typical customers are quoted, with addresses and
        long numbers masked.
    stability
        What `custseg.evaluation.stability` returned for these segments, or a number from 0 to 1 by
        segment name.
    brief
        What the segments are for.
    names
        Segment to name, in place of the one that is suggested from its most marked traits.
    include_ids
        Whether example customers are named by their ids; otherwise no id is in the result.

    Returns
    -------
    SegmentCards
        As a frame, `SegmentCards.to_markdown` and `SegmentCards.to_html`. The typical customer is
        the medoid of the segment: the real customer with the least mean dissimilarity to its
        customers (Gower's, numbers as ranks); the borderline one is the medoid of those whose odds
        of belonging here rather than to the next segment are below two to one.

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
    Gower, J. C. (1971), Biometrics 27, 857-871. Kaufman, L. & Rousseeuw, P. J. (1990), Finding
    Groups in Data, Wiley (medoids).

    Examples
    --------
    >>> customers = pd.DataFrame({"orders": [1, 2, 1, 2, 1, 9, 8, 9, 10, 9] * 4})
    >>> cards = segment_cards(customers, (["rare"] * 5 + ["often"] * 5) * 4)
    >>> cards.to_frame()[["name", "n", "share"]]
                    name   n  share
    segment
    often    high orders  20    0.5
    rare      low orders  20    0.5
    >>> said = cards.sentences.query("segment == 'often' and topic == 'what sets it apart'")
    >>> print(said["sentence"].iloc[0])
    orders: 9.00 on average (8.70 to 9.30, 95% interval), against 5.20 of all.
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
        row = {"segment": segment, "name": material.names[segment]}
        row |= tell_size(teller, material, segment)
        row |= tell_value(teller, material, segment)
        tell_traits(teller, material, segment)
        tell_typical(teller, material, segment, include_ids=include_ids)
        row |= tell_borderline(
            teller, material, segment, topic="borderline customers", include_ids=include_ids
        )
        tell_quotes(teller, material, segment)
        row |= tell_stability(teller, material, segment)
        tell_unknown(teller, material, segment)
        rows.append(row)
    return finish(teller, rows, TOPICS, material)


def _called(segment: Any, name: str, between: str) -> str:
    return name if str(segment) == name else f"{segment}{between}{name}"


def finish(
    teller: Teller, rows: list[dict[str, Any]], topics: tuple[str, ...], material: Material
) -> SegmentCards:
    """Return cards from what was told."""
    told = teller.told()
    table = pd.DataFrame(rows).set_index("segment")
    for topic in topics:
        own = told.sentences[told.sentences["topic"] == topic]
        if len(own):
            words = own.groupby("segment")["sentence"].agg(" ".join)
            table[topic] = words.reindex(table.index).fillna("")
    return SegmentCards(
        table=table,
        cells=told.cells,
        sentences=told.sentences,
        topics=topics,
        notes=(*_card_notes(material), *material.notes),
    )


def _card_notes(material: Material) -> list[str]:
    examples = (
        "typical and borderline customers are real: their values are shown, so look at them before "
        "a card leaves the house."
    )
    apart = (
        f"what stands out lies at least {MARKED:g} standard deviations from the average, outside "
        "its interval; smaller differences are not told."
    )
    notes = [examples, apart]
    if material.comments is not None:
        notes.append(
            "comments are quoted from the most typical customers who wrote one; addresses and long "
            "numbers are masked, names of people are not: read them before they are shown."
        )
    if material.value is not None and (missing := int(material.value.isna().sum())):
        notes.append(
            f"{counted(missing, 'customer')} of {len(material.value):,} without a value, in no "
            "number about it: means and shares are of those with one."
        )
    return [*notes, *few_note(material, FEW)]
