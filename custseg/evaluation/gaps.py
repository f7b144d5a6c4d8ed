"""Are there gaps between segments, and at which number of them: the natural verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from custseg.clustering._columns import as_numbers, find_categorical, find_levels
from custseg.clustering._inputs import check_distinct, count_distinct
from custseg.clustering._naming import as_codes, canonical_order, segment_names
from custseg.clustering.adaptive import AdaptiveKMeans
from custseg.clustering.algorithms import as_seed
from custseg.errors import ParameterError, check_number
from custseg.evaluation._borders import (
    HOLLOW,
    OTHER,
    OWN,
    POSITIONS,
    RATIO,
    REST,
    Borders,
    counted,
    measure,
)
from custseg.evaluation.silhouette import check_labelings
from custseg.features._gaps import refuse_missing
from custseg.features.encoder import as_frame
from custseg.results import Result

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]

FEWEST = 10


@dataclass(frozen=True, repr=False, eq=False)
class Gaps(Result):
    """The border between every segment and its nearest neighbour; made by `gaps`.

    Parameters
    ----------
    borders
        One row per segment, see `to_frame`.
    profiles
        What the picture shows: ``segment``, ``neighbour``, ``position`` (0 the centre of the
        segment, 1 that of the neighbour) and ``customers``: how many are in the strip around the
        position, a quarter of the distance between the centres wide.
    natural
        Whether every border is a gap, no segment is hollow, and that is more than chance.
    p_joint
        The p-value of all borders together.
    n_customers
        The number of customers who were counted.
    notes
        Caveats.
    """

    borders: pd.DataFrame
    profiles: pd.DataFrame
    natural: bool
    p_joint: float
    n_customers: int
    notes: tuple[str, ...]
    asked: ClassVar[float] = RATIO
    _picture: ClassVar[str] = "evaluation_gaps.gaps"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment.

        Returns
        -------
        pandas.DataFrame
            ``segment``; ``neighbour``: the segment with the nearest centre; ``n``: customers
            between the two, nearer to their midpoint than to any third centre; ``position``: where
            between .35 and .65 the fewest are; ``border``: how many are in the strip there;
            ``centre``, ``centre_neighbour``: how many are around the two centres; ``ratio``: border
            to the emptier centre, both plus 1; ``p_value``: of the sign test that the border is as
            crowded as the emptier centre; ``links``: pairs of neighbouring customers on either side
            of the border for one such pair at the middle of a segment; ``rest``: the ratio without
            the coarse column in which the two differ most, missing without such columns;
            ``hollow``: whether the segment is emptier at its centre than where its members are;
            ``gap``: whether the border is one.
        """
        return self.borders

    def summary(self) -> str:
        """Return whether there are gaps everywhere, and the border that is least of one."""
        k, gaps = len(self.borders), int(self.borders["gap"].sum())
        worst = self.borders.loc[self.borders["ratio"].idxmax()]
        least = (
            f"the fullest border, between {worst['segment']} and {worst['neighbour']}, holds "
            f"{worst['border']:,.0f} customers, the emptier centre "
            f"{min(worst['centre'], worst['centre_neighbour']):,.0f}"
        )
        if self.natural:
            return f"natural: every border of these {k} segments is a gap; {least}"
        if gaps < k:
            return f"not natural: {gaps} of {k} segments have a gap to their neighbour; {least}"
        hollow = self.borders.loc[self.borders["hollow"], "segment"].astype(str)
        why = f"but hollow: {', '.join(hollow)}" if len(hollow) else "but chance may have made them"
        return f"not natural: gaps all around, {why}; {least}"


@dataclass(frozen=True, repr=False, eq=False)
class Natural(Result):
    """At which numbers of segments there are gaps all around; made by `natural`.

    Parameters
    ----------
    table
        One row per labelling, see `to_frame`.
    best_k
        The largest number of segments with gaps all around; ``None`` where there is none.
    labelings
        One column of segments per labelling.
    gaps
        From labelling to `Gaps`.
    notes
        Caveats.
    """

    table: pd.DataFrame
    best_k: int | None
    labelings: pd.DataFrame
    gaps: Mapping[Any, Gaps]
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "evaluation_gaps.natural"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per labelling.

        Returns
        -------
        pandas.DataFrame
            ``labelling``; ``k`` segments; ``gaps``: how many have a gap to their nearest neighbour;
            ``ratio``, ``p_value``, ``links``: the largest of any border, as in `Gaps.to_frame`;
            ``hollow``: how many segments are; ``p_joint``: of all borders together; ``natural``.
        """
        return self.table

    def summary(self) -> str:
        """Return the number of segments, or that there are no gaps."""
        if self.best_k is None:
            least = self.table.loc[self.table["ratio"].idxmin()]
            return (
                "no number of segments has gaps all around; nearest to it comes "
                f"{least['labelling']}, with a border that is {least['ratio']:.0%} as crowded as "
                "the centre beside it"
            )
        passed = self.table.loc[self.table["natural"], "k"].unique()
        also = ", ".join(str(k) for k in sorted(passed)[:-1])
        return f"natural with {self.best_k} segments" + (f"; also with {also}" if also else "")


def gaps(
    X: "pd.DataFrame | ArrayLike",
    labels: "pd.Series | ArrayLike",
    *,
    categorical: Any = None,
    random_state: int | np.random.Generator | None = 0,
) -> Gaps:
    """Count who is between segments, and say whether every border is emptier than the centres.

    On the line through the centres of a segment and its nearest neighbour, customers are counted in
    three equally wide strips: around each centre, and where between .35 and .65 of the way the
    fewest are. Only those count who are nearer to the midpoint than to any third centre, whatever
    their segment. They lie in a convex region, in which every cloud with a log-concave density
    (normal, uniform, exponential, however correlated) has one peak on any line, so that its border
    cannot be emptier than both centres (Prékopa 1973).

    A border is a gap when

    - it holds less than 75 % of the customers of the emptier centre, and a sign test finds so few
      with p <= .05 (k - 1), at most .35, for k segments: that all borders are so by chance is rarer
      the more of them there are;
    - neighbouring customers lie on either side of it less than 70 % as often as on either side of
      the middle of a segment: where two arcs of a ring touch, they are as close as anywhere;
    - it does not rest on one coarse column, such as a yes/no answer or a heap of zeros: without the
      one in which the two segments differ most, the border still holds less than 85 %.

    A labelling is natural when all borders are gaps, all sign tests together have p <= .002
    (Stouffer), and no segment is hollow: less dense at its centre than where its members are on
    average, by 1.5 standard errors, which no log-concave one is but by chance (Jensen).

    Variables are taken in units of their standard deviation within segments, so their scale does
    not matter. Tied values are spread over the gap to their neighbours, nine times, and medians
    taken: a yes/no answer, or a heap of customers with nothing, makes no gap by itself. Levels of a
    category are put in order of how much more frequent they are in the one segment than in the
    other, each as wide as its share: only categories that go together make a gap.

    Above 20,000 customers, so many are drawn at random and counted.

    Parameters
    ----------
    X
        Customers x variables; numbers, or categories.
    labels
        The segment of each row of `X`, in the same order, from any algorithm; missing for a
        customer in none, who is counted where he lies all the same.
    categorical
        Names or positions of the columns that are categories; ``None`` for text, categories and
        booleans of a frame.
    random_state
        The seed of the spreading. The order of the rows does not matter.

    Returns
    -------
    Gaps
        ``to_frame()`` has one row per segment, ``.natural`` the answer.

    Raises
    ------
    DataError
        If rows do not match, there are fewer than two segments, or a number is missing or infinite.

    References
    ----------
    Prékopa, A. (1973). On logarithmic concave measures and functions. Acta Scientiarum
    Mathematicarum 34, 335-343. Stouffer's z for the joint p-value. Dolnicar & Leisch (2010),
    Marketing Letters 21, 83-101 (natural segments).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"visits": rng.normal([[0], [6]], 1, (2, 200)).ravel()})
    >>> found = gaps(X, np.repeat(["rare", "frequent"], 200))
    >>> found.natural
    True
    >>> found.to_frame()[["segment", "neighbour", "centre", "border", "gap"]]
        segment neighbour  centre  border   gap
    0  frequent      rare   105.0     2.0  True
    1      rare  frequent   110.0     2.0  True
    """
    series = pd.Series(labels)
    if isinstance(X, pd.DataFrame) and not isinstance(labels, pd.Series):
        series = series.set_axis(X.index)
    _, _, (codes,), (segments,) = check_labelings(X, series)
    matrix, categories = _matrix(as_frame(X), categorical)
    seed = as_seed(random_state)
    rows = counted(matrix, seed)
    return _judge(matrix, codes, segments, categories, rows, seed, thorough=True)


def natural(
    X: "pd.DataFrame | ArrayLike",
    labelings: "pd.DataFrame | None" = None,
    *,
    k: Iterable[int] = range(2, 9),
    categorical: Any = None,
    random_state: int | np.random.Generator | None = 0,
) -> Natural:
    """Find the largest number of segments between which there are gaps.

    Parameters
    ----------
    X
        Customers x variables, as in `gaps`.
    labelings
        One column per labelling to be judged, a row per row of `X`; ``None`` lets
        `custseg.clustering.AdaptiveKMeans` divide the customers for every `k`, which needs numbers.
    k
        The numbers of segments to look for without `labelings`.
    categorical, random_state
        As in `gaps`; the seed is also that of the search.

    Returns
    -------
    Natural
        ``to_frame()`` has one row per labelling, ``.best_k`` the answer, ``.gaps`` the borders of
        every labelling, ``.labelings`` its segments.

    Raises
    ------
    DataError
        As in `gaps`.
    ParameterError
        If a `k` is out of bounds, or categories come without labelings.

    See Also
    --------
    gaps : What a gap is, and why.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(3, size=600)
    >>> X = pd.DataFrame({
    ...     "visits": 6 * (truth == 1) + rng.normal(size=600),
    ...     "basket": 6 * (truth == 2) + rng.normal(size=600),
    ... })
    >>> natural(X).best_k
    3
    >>> natural(pd.DataFrame(rng.random((600, 2)))).best_k is None
    True
    """
    frame = as_frame(X)
    matrix, categories = _matrix(frame, categorical)
    seed = as_seed(random_state)
    rows = counted(matrix, seed)
    if labelings is None:
        labelings = _search(matrix, frame, categories, k, rows, seed)
    _, table, codes, names = check_labelings(X, labelings)
    found = {
        labelling: _judge(matrix, code, segments, categories, rows, seed, thorough=False)
        for labelling, code, segments in zip(table.columns, codes, names, strict=True)
    }
    lines = [
        {
            "labelling": labelling,
            "k": len(result.borders),
            "gaps": int(result.borders["gap"].sum()),
            **{name: result.borders[name].max() for name in ("ratio", "p_value", "links")},
            "hollow": int(result.borders["hollow"].sum()),
            "p_joint": result.p_joint,
            "natural": result.natural,
        }
        for labelling, result in found.items()
    ]
    answer = pd.DataFrame(lines)
    passed = answer.loc[answer["natural"], "k"]
    return Natural(
        table=answer,
        best_k=int(passed.max()) if len(passed) else None,
        labelings=table,
        gaps=found,
        notes=tuple(dict.fromkeys(note for result in found.values() for note in result.notes)),
    )


def _matrix(frame: pd.DataFrame, categorical: Any) -> tuple[Matrix, NDArray[np.bool_]]:
    """Return numbers, and codes of levels (-1 where missing), and which columns are categories."""
    positions = find_categorical(frame, categorical)
    columns = []
    for position, (_, values) in enumerate(frame.items()):
        if position in positions:
            columns.append(find_levels(values)[1].astype(float))
        else:
            refuse_missing(values)
            columns.append(as_numbers(values))
    return np.column_stack(columns), np.isin(np.arange(frame.shape[1]), positions)


def _search(
    matrix: Matrix,
    frame: pd.DataFrame,
    categories: NDArray[np.bool_],
    k: Iterable[int],
    rows: NDArray[np.integer],
    seed: int,
) -> pd.DataFrame:
    if categories.any():
        named = ", ".join(repr(name) for name in frame.columns[categories])
        raise ParameterError(
            f"labelings is None, but {named} are categories: divide the customers first, for "
            "example with custseg.clustering.KPrototypes, and give the labels."
        )
    numbers = list(k)
    for number in numbers:
        check_number(number, "k", ge=2, integer=True)
    distinct = count_distinct(matrix, [str(name) for name in frame.columns])
    check_distinct(min(numbers), distinct, name="k")
    part = matrix[rows]
    part = part[np.lexsort(part.T[::-1])]
    labelings = {}
    for number in (number for number in numbers if number <= distinct):
        labels = AdaptiveKMeans(number, random_state=seed).fit(part).predict(matrix)
        order = canonical_order(labels, matrix)
        labelings[number] = np.array(segment_names(len(order)))[as_codes(labels, order)]
    return pd.DataFrame(labelings, index=frame.index)


def _judge(
    matrix: Matrix,
    codes: NDArray[np.integer],
    segments: pd.Index,
    categories: NDArray[np.bool_],
    rows: NDArray[np.integer],
    seed: int,
    *,
    thorough: bool,
) -> Gaps:
    lost = np.setdiff1d(codes, codes[rows])
    seen = np.append(rows, [np.flatnonzero(codes == code)[0] for code in lost]).astype(int)
    borders = measure(
        matrix[seen], codes[seen], categorical=categories, seed=seed, thorough=thorough
    )
    return Gaps(
        borders=_by_segment(borders, segments),
        profiles=_profiles(borders, segments),
        natural=borders.natural,
        p_joint=borders.p_joint,
        n_customers=len(seen),
        notes=_notes(borders, segments, len(seen), len(matrix)),
    )


def _orient(borders: Borders) -> tuple[Codes, NDArray[np.bool_]]:
    """Return the border of each segment, and whether it is told from the other side."""
    segment = np.arange(len(borders.neighbour))
    ends = np.sort(np.column_stack([segment, borders.neighbour]), axis=1)
    border = np.array([int((borders.pairs == pair).all(axis=1).argmax()) for pair in ends])
    return border, segment > borders.neighbour


def _by_segment(borders: Borders, segments: pd.Index) -> pd.DataFrame:
    place, turned = _orient(borders)
    ends = borders.profiles[place][:, [OWN, OTHER]]
    position = borders.position[place]
    return pd.DataFrame(
        {
            "segment": segments,
            "neighbour": segments[borders.neighbour],
            "n": borders.between[place],
            "position": np.where(turned, 1 - position, position).round(2),
            "border": borders.border[place],
            "centre": np.where(turned, ends[:, 1], ends[:, 0]),
            "centre_neighbour": np.where(turned, ends[:, 0], ends[:, 1]),
            "ratio": borders.ratio[place],
            "p_value": borders.p_value[place],
            "links": borders.links[place],
            "rest": borders.rest[place],
            "hollow": borders.hollow > HOLLOW,
            "gap": borders.gap[place],
        }
    )


def _profiles(borders: Borders, segments: pd.Index) -> pd.DataFrame:
    place, turned = _orient(borders)
    lines = np.where(turned[:, None], borders.profiles[place][:, ::-1], borders.profiles[place])
    return pd.DataFrame(
        {
            "segment": np.repeat(segments, len(POSITIONS)),
            "neighbour": np.repeat(segments[borders.neighbour], len(POSITIONS)),
            "position": np.tile(POSITIONS, len(segments)),
            "customers": lines.ravel(),
        }
    )


def _notes(borders: Borders, segments: pd.Index, n: int, n_all: int) -> tuple[str, ...]:
    notes = []
    small = borders.profiles[:, [OWN, OTHER]].min() < FEWEST
    if small and not borders.natural:
        notes.append(
            f"at some centre fewer than {FEWEST} customers were counted: too few to show a gap "
            "that may be there."
        )
    coarse = borders.rest >= REST
    if (coarse & borders.empty).any():
        pairs = " and ".join(
            f"{segments[i]} | {segments[j]}" for i, j in borders.pairs[coarse & borders.empty]
        )
        notes.append(
            f"the gap at the border {pairs} rests on one coarse column, such as a yes/no answer or "
            "a heap of customers with the same value: split these customers off by a rule first."
        )
    if n < n_all:
        notes.append(f"counted are {n:,} of {n_all:,} customers, drawn at random.")
    return tuple(notes)
