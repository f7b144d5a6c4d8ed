"""Is the border between two segments emptier than their centres: counts on bare arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import binom, norm

from custseg._kernels.gaps import BINS, REACH, along
from custseg.evaluation._lines import Codes, Line, Lines, Matrix, Space, make_space

POSITIONS = np.arange(-5, 26) / 20
"""Where customers are counted, in strips a quarter of the distance between centres wide."""
HALF = BINS // 8
OWN, OTHER, MIDDLE = 5, 25, np.arange(12, 19)
"""The positions 0, 1, and .35 to .65."""

RATIO, LINKS, REST, JOINT, HOLLOW = 0.75, 0.7, 0.85, 0.002, 1.5
DRAWS, LINK_DRAWS, NEIGHBOURS = 9, 3, 10
COARSE = 0.2
"""The share of the variance within segments that equal values hide, from which a column is coarse:
a yes/no answer, a category, a heap of customers with nothing."""
MOST, MOST_LINKED = 20_000, 1_000


def level(n_segments: int) -> float:
    """Return how small the p-value of every single border must be."""
    return min(0.05 * (n_segments - 1), 0.35)


@dataclass(frozen=True)
class Borders:
    """The borders of one labelling.

    Parameters
    ----------
    neighbour
        The nearest segment of each segment.
    pairs
        The two segments of each border, the smaller code first.
    profiles
        Borders x `POSITIONS`: customers in the strip; the median over draws of the spreading.
    between
        The customers of each border: nearer to its midpoint than to any third centre.
    position, border, centre
        Of each border: the emptiest position, the customers there and at the emptier centre.
    ratio, p_value
        Of each border: border to centre, and how often a border as dense as the centre has so few.
    links
        Of each border: pairs of neighbouring customers on either side of it, for one such pair at
        the middle of a segment; NaN where the strips say all, or the segments differ most in
        coarse columns.
    rest
        Of each border: the ratio without the coarse column in which the centres differ most; NaN
        where there is none, or the strips say all.
    hollow
        Of each segment: by how many standard errors its centre is less dense than its members are
        on average; NaN where a border is no gap.
    p_joint
        How often borders as dense as their centres have so few customers all together.
    """

    neighbour: Codes
    pairs: Codes
    profiles: Matrix
    between: Codes
    position: Matrix
    border: Matrix
    centre: Matrix
    ratio: Matrix
    p_value: Matrix
    links: Matrix
    rest: Matrix
    hollow: Matrix
    p_joint: float

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Whether each border is emptier than both centres, by the strips alone."""
        return (self.ratio < RATIO) & (self.p_value <= level(len(self.neighbour)))

    @property
    def gap(self) -> NDArray[np.bool_]:
        """Whether each border is a gap."""
        return self.empty & ~(self.links >= LINKS) & ~(self.rest >= REST)

    @property
    def natural(self) -> bool:
        """Whether every border is a gap, no segment is hollow, and not by chance."""
        return bool(self.gap.all() and self.p_joint <= JOINT and (self.hollow <= HOLLOW).all())


def counted(matrix: Matrix, seed: int) -> NDArray[np.integer]:
    """Return the rows that are counted: all, or `MOST` at random whatever their order."""
    if len(matrix) <= MOST:
        return np.arange(len(matrix))
    drawn = np.random.default_rng([seed, 12]).permutation(len(matrix))[:MOST]
    return np.lexsort(matrix.T[::-1])[np.sort(drawn)]


def measure(
    matrix: Matrix,
    codes: NDArray[np.integer],
    *,
    categorical: NDArray[np.bool_],
    seed: int,
    thorough: bool = False,
) -> Borders:
    """Count the customers along the line from each segment to its nearest neighbour.

    Parameters
    ----------
    matrix
        Customers x variables: finite numbers, and categories as any numbers.
    codes
        0, 1, … for at least two segments, each with a customer; -1 for a customer in none.
    categorical
        Which variables are categories.
    seed
        Decides where tied values fall; the order of the rows does not matter.
    thorough
        Whether links and hollowness are measured even where they cannot change the answer.
    """
    rng = np.random.default_rng([seed, 11])
    rows = np.lexsort((codes, *matrix.T[::-1]))
    space = make_space(matrix[rows], codes[rows].astype(np.int64), categorical)
    lines = Lines(space)
    neighbour = lines.nearest()
    pairs = np.unique(np.sort(np.column_stack([np.arange(len(neighbour)), neighbour])), axis=0)
    shape = (len(rows), matrix.shape[1])
    uniforms = [rng.random(shape) for _ in range(DRAWS)] if space.tied else [np.empty((0, 0))]
    found = [lines.between(i, j) for i, j in pairs]
    counts = np.array(
        [_along(line, pair, space, uniforms) for line, pair in zip(found, pairs, strict=True)]
    )
    profiles = _strips(counts)
    centre, emptiest, border = _emptiest(profiles)
    p_value = binom.cdf(border, border + centre, 0.5)
    z = norm.isf(np.clip(p_value, 1e-300, 1.0))
    borders = Borders(
        neighbour=neighbour,
        pairs=pairs,
        profiles=profiles,
        between=np.median(counts.sum(axis=2), axis=1).astype(int),
        position=POSITIONS[emptiest],
        border=border,
        centre=centre,
        ratio=(border + 1) / (centre + 1),
        p_value=p_value,
        links=np.full(len(pairs), np.nan),
        rest=np.full(len(pairs), np.nan),
        hollow=np.full(len(neighbour), np.nan),
        p_joint=float(norm.sf(z.sum() / np.sqrt(len(pairs)))),
    )
    for place in np.flatnonzero(borders.empty | thorough):
        line, pair = found[place], pairs[place]
        apart = (line.centers[pair[0]] - line.centers[pair[1]]) ** 2
        coarse = (line.width**2).mean(axis=0) / 12 > COARSE
        if apart[coarse].any():
            kept = np.arange(len(apart)) != np.where(coarse, apart, 0).argmax()
            borders.rest[place] = _rest(line, kept, pair, space, uniforms)
        if apart[coarse].sum() < apart.sum() / 2:
            points = [_points(line, draw) for draw in uniforms[:LINK_DRAWS]]
            position = borders.position[place]
            borders.links[place] = _links(points, line, space.codes, pair, position, rng)
    if thorough or borders.gap.all():
        for segment, other in enumerate(neighbour):
            members = space.codes == segment
            line = lines.between(*sorted((segment, other)))
            borders.hollow[segment] = _hollow(_points(line, uniforms[0]), members, rng)
    return borders


def _along(
    line: Line, pair: Codes, space: Space, uniforms: list[Matrix]
) -> list[NDArray[np.integer]]:
    """Return the customers in narrow bins of the line, once per draw."""
    place = line.low, line.width
    rest = space.codes, space.sizes, line.centers, line.further, line.numbers, *pair
    return [along(*place, draw, *rest) for draw in uniforms]


def _emptiest(profiles: Matrix) -> tuple[Matrix, Codes, Matrix]:
    """Return the customers at the emptier centre, the emptiest place, and the customers there."""
    emptiest = MIDDLE[_first_central(profiles[:, MIDDLE])]
    return (
        profiles[:, [OWN, OTHER]].min(axis=1),
        emptiest,
        profiles[np.arange(len(profiles)), emptiest],
    )


def _rest(
    line: Line, kept: NDArray[np.bool_], pair: Codes, space: Space, uniforms: list[Matrix]
) -> float:
    """Return the ratio of border to emptier centre with some of the columns."""
    if not kept.any():
        return np.inf
    numbers = int(kept[: line.numbers].sum())
    thin = Line(
        line.low[:, kept], line.width[:, kept], line.centers[:, kept], line.further, numbers
    )
    draws = [draw[:, kept] for draw in uniforms]
    centre, _, border = _emptiest(_strips(np.array([_along(thin, pair, space, draws)])))
    return float((border[0] + 1) / (centre[0] + 1))


def _strips(counts: NDArray[np.integer]) -> Matrix:
    """Return the customers in the strip around every position, from counts in narrow bins."""
    ends = np.round((POSITIONS + REACH) * BINS).astype(int)
    running = np.concatenate([np.zeros((*counts.shape[:-1], 1)), counts.cumsum(axis=-1)], axis=-1)
    return np.median(running[..., ends + HALF] - running[..., ends - HALF], axis=1)


def _first_central(strips: Matrix) -> Codes:
    """Return the place of the least count in each row, the most central of equal ones."""
    width = strips.shape[1]
    distance = np.abs(np.arange(width) - width // 2) / width
    return (strips + distance).argmin(axis=1)


def _points(line: Line, draw: Matrix) -> Matrix:
    return line.low + line.width * draw if len(draw) else line.low


def _links(
    points: list[Matrix],
    line: Line,
    codes: Codes,
    pair: Codes,
    position: float,
    rng: np.random.Generator,
) -> float:
    """Return links between neighbours across the border for one across the middle of a segment.

    Neighbours are sought in the space of the line and the longest axis of either segment: in more
    dimensions they are far. Segments are cut across that axis, the arc of a ring where it is thin.
    """
    rows = np.flatnonzero(np.isin(codes, pair))
    if len(rows) > MOST_LINKED:
        rows = np.sort(rng.choice(rows, MOST_LINKED, replace=False))
    own = codes[rows]
    step = line.centers[pair[1]] - line.centers[pair[0]]
    cut = line.centers[pair[0]] + position * step
    ratios = []
    for drawn in points:
        kept = drawn[rows] - cut
        inside = [kept[own == segment] - kept[own == segment].mean(axis=0) for segment in pair]
        axes = [np.linalg.svd(part, full_matrices=False)[2][0] for part in inside]
        seen = kept @ np.linalg.qr(np.column_stack([step, *axes]))[0]
        _, found = cKDTree(seen).query(seen, min(NEIGHBOURS + 1, len(kept)))
        middle = 0
        for segment, part, axis in zip(pair, inside, axes, strict=True):
            place = np.full(len(kept), np.nan)
            place[own == segment] = part @ axis
            middle += _across(place, found)
        ratios.append((_across(kept @ step, found) + 1) / (middle / 2 + 1))
    return float(np.median(ratios))


def _across(place: Matrix, found: Codes) -> int:
    """Return how many customers and neighbours of theirs are on either side of 0."""
    sides = np.sign(place)
    return int((sides[:, None] * sides[found] < 0).sum())


def _hollow(points: Matrix, members: NDArray[np.bool_], rng: np.random.Generator) -> float:
    """Return by how many standard errors the centre is less dense than members are on average.

    The logarithm of a density is minus that of the distance to the m-th nearest member, times the
    number of columns, but for what all places share; its standard error is one over the root of m.
    """
    kept = points[members]
    center = kept.mean(axis=0)
    if len(kept) > MOST_LINKED:
        kept = kept[np.sort(rng.choice(len(kept), MOST_LINKED, replace=False))]
    near = min(NEIGHBOURS, len(kept) - 1)
    if near == 0:
        return -np.inf
    tree = cKDTree(kept)
    around, inside = tree.query(kept, [near + 1])[0], tree.query(center, [near])[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.log(inside[0]) - np.log(around[:, 0]).mean()
    return float(np.nan_to_num(apart * kept.shape[1] * np.sqrt(near), nan=0.0))
