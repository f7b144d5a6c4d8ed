"""What cards, personas and lists of interviews are made from."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.brief import Brief
from custseg.errors import DataError, ParameterError, check_columns, check_option
from custseg.profiling._columns import Column, Vector, read_columns
from custseg.profiling._customers import Assigned, read_customers
from custseg.profiling._estimates import one_group
from custseg.profiling._facts import Fact, measured, text
from custseg.profiling._names import suggest_names
from custseg.profiling._placement import mean_dissimilarity, place_all, positions
from custseg.profiling._weights import read_weights
from custseg.profiling._words import counted, listed
from custseg.profiling.profiles import Profile, profile

QUESTIONS = 8
SHOWN = 8
LONGEST = 240
MASKS = {
    "[address]": re.compile(r"\S+@\S+\.\w+|(?:https?://|www\.)\S+"),
    "[number]": re.compile(r"\+?\d[\d\s().\-/]{5,}\d"),
}


class Material(NamedTuple):
    """A profile with what else is known of the customers, in the order of their ids.

    ``weights`` say how much each counts (1 on average), ``centrality`` is the mean dissimilarity to
    the own segment, ``placed`` who is in between (`None` with one segment), ``value`` and
    ``comments`` what was given, ``stability`` a number by segment.
    """

    read: Assigned
    weights: Vector
    profile: Profile
    columns: list[Column]
    spaces: list[Column]
    centrality: Vector
    placed: pd.DataFrame | None
    value: pd.Series | None
    comments: pd.Series | None
    stability: dict[str, float]
    brief: Brief | None
    names: dict[str, str]
    notes: tuple[str, ...]

    @property
    def weighted(self) -> bool:
        """Whether some customers count for more than others."""
        return bool(np.ptp(self.weights) > 0)

    def rows(self, segment: str) -> NDArray[np.int64]:
        """Return the positions of the customers of a segment."""
        return np.flatnonzero(self.read.codes == self.read.names.index(segment))

    def medoid(self, rows: NDArray[np.int64]) -> int:
        """Return the position of the customer who is least dissimilar to all of some customers."""
        return int(rows[mean_dissimilarity(self.spaces, rows, self.weights).argmin()])

    def share(self, rows: NDArray[np.int64], hits: NDArray[np.bool_]) -> tuple[float, float, float]:
        """Return the share of some customers of whom something holds, with its interval."""
        return one_group(hits, self.weights[rows], self.profile.level, is_share=True)

    def values(self, position: int, first: Sequence[str]) -> dict[str, Fact]:
        """Return what is known of a customer, the columns named first, and eight at most."""
        by_name = {column.name: column for column in self.columns}
        order = [*dict.fromkeys(first), *(name for name in by_name if name not in first)]
        found: dict[str, Fact] = {}
        for name in order:
            column = by_name[name]
            value = column.values[position]
            if not np.isnan(value) and len(found) < SHOWN:
                found[str(name)] = text(column.words(value)) if column.levels else measured(value)
        return found

    def in_between(self, segment: str) -> NDArray[np.int64]:
        """Return the positions of the borderline customers of a segment."""
        if self.placed is None:
            return np.zeros(0, dtype=np.int64)
        rows = self.rows(segment)
        return rows[self.placed["borderline"].to_numpy(dtype=bool)[rows]]


def gather(
    customers: pd.DataFrame,
    segments: Any,
    *,
    variables: Sequence[str] | None,
    descriptors: Sequence[str] | None,
    level: float,
    random_state: int = 0,
    weights: Any = None,
    value: Any = None,
    comments: Any = None,
    stability: Any = None,
    brief: Brief | None = None,
    names: Mapping[str, str] | None = None,
) -> Material:
    """Return all that cards and personas are told from.

    Parameters
    ----------
    customers, segments, variables, descriptors, level, weights
        As in `profile`.
    random_state
        The seed of what is learned about borderline customers.
    value, comments, stability, brief, names
        As in `segment_cards`.
    """
    if brief is not None and not isinstance(brief, Brief):
        raise ParameterError(f"brief is {brief!r}, but must be a custseg.Brief.")
    found = profile(
        customers,
        segments,
        variables=variables,
        descriptors=descriptors,
        weights=weights,
        level=level,
    )
    read = read_customers(customers, segments)
    counts, _ = read_weights(weights, customers, read.frame.index)
    used = list(dict.fromkeys(found.overall.index.get_level_values("variable")))
    columns = read_columns(read.frame, used)
    spaces = positions(columns, counts)
    centrality = np.empty(len(read.codes))
    for code in range(len(read.names)):
        rows = np.flatnonzero(read.codes == code)
        centrality[rows] = mean_dissimilarity(spaces, rows, counts)
    placed = None
    if len(read.names) > 1:
        placed = place_all(columns, read, counts, most=QUESTIONS, seed=random_state)
    stable, notes = read_stability(stability, found.sizes["n"])
    for name in names or {}:
        check_option(name, "a segment in names", list(read.names))
    return Material(
        read=read,
        weights=counts,
        profile=found,
        columns=columns,
        spaces=spaces,
        centrality=centrality,
        placed=placed,
        value=_numbers(value, read.frame),
        comments=_comments(comments, read.frame),
        stability=stable,
        brief=brief,
        names=suggest_names(found) | {str(k): str(v) for k, v in (names or {}).items()},
        notes=(*found.notes, *notes),
    )


def read_stability(stability: Any, sizes: pd.Series) -> tuple[dict[str, float], list[str]]:
    """Return the stability of every segment, and a note where segments were matched by size.

    Parameters
    ----------
    stability
        ``None``, a number from 0 to 1 by segment, or the result of
        `custseg.evaluation.stability`, whose mean Jaccard similarity is taken.
    sizes
        The number of customers of each segment.

    Raises
    ------
    DataError
        If it is that of other segments.
    """
    if stability is None:
        return {}, []
    if not hasattr(stability, "segments"):
        table = {str(name): float(value) for name, value in dict(stability).items()}
        wrong = [name for name in sizes.index if name not in table]
        if wrong or not all(0 <= value <= 1 for value in table.values()):
            raise DataError(
                f"stability must have a number from 0 to 1 for every segment, {listed(sizes.index)}"
                f"; it has {listed(table)}."
            )
        return {name: table[name] for name in sizes.index}, []
    table_ = stability.segments.set_index("segment")[["n", "jaccard"]]
    if sorted(table_["n"]) != sorted(sizes):
        raise DataError(
            f"stability is that of other segments: theirs have {sorted(table_['n'])} customers, "
            f"these {sorted(sizes)}. Measure it with the same customers, variables and clusterer."
        )
    if table_["n"].reindex(sizes.index).equals(sizes.astype(table_["n"].dtype)):
        return table_["jaccard"].reindex(sizes.index).to_dict(), []
    if table_["n"].duplicated().any():
        raise DataError(
            "stability names its segments differently, and two of them are equally large: give it "
            "by name, as in stability={'A': 0.9, ...}."
        )
    by_size = table_.set_index("n")["jaccard"]
    note = "stability names its segments differently; they were matched by their sizes."
    return {name: float(by_size[n]) for name, n in sizes.items()}, [note]


def _numbers(value: Any, frame: pd.DataFrame) -> pd.Series | None:
    """Return the value of each customer."""
    if value is None:
        return None
    if isinstance(value, str):
        check_columns(list(frame.columns), [value], where="the customer table")
        value = frame[value]
    if not isinstance(value, pd.Series) or not pd.api.types.is_numeric_dtype(value):
        raise DataError(
            "value must be the name of a numeric column, or a numeric Series by customer id."
        )
    found = value.reindex(frame.index).astype(float)
    if np.isinf(found).any() or found.isna().all():
        raise DataError("value has infinite numbers, or none for any of these customers.")
    return found.rename(value.name if value.name is not None else "value")


def _comments(comments: Any, frame: pd.DataFrame) -> pd.Series | None:
    """Return comments of these customers, a customer may have several, with numbers masked."""
    if comments is None:
        return None
    if isinstance(comments, str):
        check_columns(list(frame.columns), [comments], where="the customer table")
        comments = frame[comments]
    if not isinstance(comments, pd.Series):
        raise DataError("comments must be the name of a column, or a Series by customer id.")
    said = comments.dropna().astype(str).str.split().str.join(" ")
    said = said[(said != "") & said.index.isin(frame.index)]
    for word, pattern in MASKS.items():
        said = said.str.replace(pattern, word, regex=True)
    return said.map(_shortened)


def _shortened(words: str) -> str:
    if len(words) <= LONGEST:
        return words
    return words[:LONGEST].rsplit(" ", 1)[0] + " …"


def few_note(material: Material, few: int) -> list[str]:
    """Return a note on segments with few customers, whose example customers might be recognised."""
    small = [str(name) for name, n in material.profile.sizes["n"].items() if n < few]
    if not small:
        return []
    who = f"{listed(small)} {'has' if len(small) == 1 else 'have'}"
    return [f"{who} fewer than {counted(few, 'customer')}: examples could be recognised."]
