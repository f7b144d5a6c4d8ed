"""Sentences that quote the cells of a table, so that every number can be followed."""

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, NamedTuple

import pandas as pd

from custseg.profiling._words import percent
from custseg.results import format_number

MARKS = re.compile(r"([\\`*_\[\]#|])")


class Fact(NamedTuple):
    """One value and how it is shown: as a ``"count"``, ``"share"``, ``"number"`` or ``"text"``."""

    kind: str
    value: Any

    @property
    def shown(self) -> str:
        """The value in words, as sentences quote it."""
        if self.kind == "share":
            return percent(float(self.value))
        return str(self.value) if self.kind == "text" else format_number(self.value)


def count(value: Any) -> Fact:
    """Return a whole number as a fact."""
    return Fact("count", int(value))


def share(value: Any) -> Fact:
    """Return a share of 0 to 1 as a fact."""
    return Fact("share", float(value))


def number(value: Any) -> Fact:
    """Return a quantity as a fact."""
    return Fact("number", float(value))


def measured(value: Any) -> Fact:
    """Return what was measured of a customer as a fact; a whole number is shown as one."""
    value = float(value)
    return Fact("number", int(value) if value.is_integer() else value)


def text(value: Any) -> Fact:
    """Return words as a fact."""
    return Fact("text", str(value))


class Told(NamedTuple):
    """What was said: the cells, and the sentences that quote them."""

    cells: pd.DataFrame
    sentences: pd.DataFrame


class Teller:
    """Collects cells and sentences; a sentence is a template without numbers of its own."""

    def __init__(self) -> None:
        self._cells: list[tuple[Any, ...]] = []
        self._sentences: list[tuple[Any, ...]] = []

    def say(self, segment: str, topic: str, template: str, **facts: Fact) -> None:
        """Add a sentence, and a cell for each fact that it quotes.

        Parameters
        ----------
        segment, topic
            What the sentence is about.
        template
            The sentence with ``{name}`` where the fact of that name is quoted.
        **facts
            The facts by name.
        """
        shown = {name: fact.shown for name, fact in facts.items()}
        ids = []
        for name, fact in facts.items():
            ids.append(f"{len(self._cells)}")
            self._cells.append((ids[-1], segment, topic, name, fact.kind, fact.value, shown[name]))
        self._sentences.append((segment, topic, template.format(**shown), tuple(ids)))

    def told(self) -> Told:
        """Return all cells and sentences."""
        cells = ["cell", "segment", "topic", "name", "kind", "value", "shown"]
        table = pd.DataFrame(self._cells, columns=cells).astype({"value": object})
        sentences = ["segment", "topic", "sentence", "cells"]
        return Told(table.set_index("cell"), pd.DataFrame(self._sentences, columns=sentences))


def listing(prefix: str, facts: Mapping[str, Any]) -> tuple[str, dict[str, Fact]]:
    """Return a template that lists names with their values, and its facts.

    Parameters
    ----------
    prefix
        What the names of the facts begin with.
    facts
        What is listed: its name to its value as a fact.
    """
    parts, found = [], {}
    for place, (name, fact) in enumerate(facts.items()):
        key = f"{prefix}_{_letter(place)}"
        parts.append(f"{{{key}_name}} {{{key}}}")
        found[f"{key}_name"], found[key] = text(name), fact
    return ", ".join(parts), found


def _letter(place: int) -> str:
    return chr(ord("a") + place % 26) * (1 + place // 26)


def to_markdown(sentences: pd.DataFrame, heads: Mapping[str, str], topics: Iterable[str]) -> str:
    """Return a section per segment, a paragraph per topic; marks and HTML are escaped."""
    parts = []
    for segment, head in heads.items():
        parts.append(f"## {_plain(head)}")
        for topic in topics:
            said = _said(sentences, segment, topic)
            if len(said):
                words = " ".join(_plain(sentence) for sentence in said["sentence"])
                parts.append(f"**{topic.capitalize()}.** {words}")
    return "\n\n".join(parts) + "\n"


def to_html(sentences: pd.DataFrame, heads: Mapping[str, str], topics: Iterable[str]) -> str:
    """Return an article per segment, a paragraph per topic; each sentence names its cells."""
    style = "border:1px solid #ccc;border-radius:6px;padding:0 1em;margin:1em 0;max-width:50em"
    parts = []
    for segment, head in heads.items():
        parts.append(f'<article style="{style}">\n<h3>{escape(head)}</h3>')
        for topic in topics:
            said = _said(sentences, segment, topic)
            if len(said):
                words = " ".join(
                    f'<span data-cells="{" ".join(row.cells)}">{escape(row.sentence)}</span>'
                    for row in said.itertuples()
                )
                parts.append(f"<p><b>{escape(topic.capitalize())}.</b> {words}</p>")
        parts.append("</article>")
    return "\n".join(parts) + "\n"


def _said(sentences: pd.DataFrame, segment: str, topic: str) -> pd.DataFrame:
    return sentences[(sentences["segment"] == segment) & (sentences["topic"] == topic)]


def _plain(words: str) -> str:
    return MARKS.sub(r"\\\1", escape(words, quote=False))
