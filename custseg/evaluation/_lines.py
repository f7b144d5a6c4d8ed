"""Where customers lie between two segments: numbers as they are, categories in order of the two."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from custseg.clustering._spreading import spreading

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]

LEAST = 1 / 12
"""The least variance within segments that a category is taken to have."""


@dataclass(frozen=True)
class Space:
    """Customers with their segments, in units of the standard deviation within segments.

    Parameters
    ----------
    low, width
        Customers x numbers: where the interval of each value begins, and its width.
    levels
        Customers x categories: whole numbers from 0.
    codes
        The segment of each customer, -1 for none.
    sizes
        The customers of each segment.
    """

    low: Matrix
    width: Matrix
    levels: Codes
    codes: Codes
    sizes: Codes

    @property
    def tied(self) -> bool:
        """Whether any value is spread."""
        return bool(self.levels.shape[1] or self.width.any())

    def means(self, values: Matrix) -> Matrix:
        """Return the mean of every segment in every column."""
        inside = self.codes >= 0
        kept, codes = values[inside], self.codes[inside]
        sums = [np.bincount(codes, column, minlength=len(self.sizes)) for column in kept.T]
        return np.reshape(sums, (-1, len(self.sizes))).T / self.sizes[:, None]


def make_space(matrix: Matrix, codes: Codes, categorical: NDArray[np.bool_]) -> Space:
    """Return the space of a labelling.

    Parameters
    ----------
    matrix
        Customers x variables, numbers finite, categories as any numbers.
    codes
        0, 1, … for the segments, each of them with a customer; -1 for none.
    categorical
        Which variables are categories.
    """
    low, width = spreading(matrix[:, ~categorical])
    levels = [np.unique(column, return_inverse=True)[1] for column in matrix[:, categorical].T]
    space = Space(
        low,
        width,
        np.array(levels, dtype=np.int64).reshape(-1, len(matrix)).T,
        codes,
        np.bincount(codes[codes >= 0]),
    )
    inside = codes >= 0
    values = low + width / 2
    within = ((values - space.means(values)[codes])[inside] ** 2).mean(axis=0)
    unit = np.sqrt(within + (width**2).mean(axis=0) / 12)
    unit[unit == 0] = np.inf
    return Space(low / unit, width / unit, space.levels, codes, space.sizes)


@dataclass(frozen=True)
class Line:
    """Two segments and what lies between them.

    Parameters
    ----------
    low, width
        Customers x columns: where the interval of each value begins, and its width.
    centers
        Segments x columns: the means of the middles of the intervals.
    further
        Customers x segments: what categories add to the squared distance from each centre; in the
        column of the first segment, to that from the midpoint of the two.
    numbers
        How many of the columns, the first, are numbers.
    """

    low: Matrix
    width: Matrix
    centers: Matrix
    further: Matrix
    numbers: int


class Lines:
    """The line between any two segments of a space.

    The levels of a category have no place of their own. Between two segments they are put in order
    of how much more frequent they are in the one than in the other, each over an interval as wide
    as its share of the two segments: within a column every place is equally crowded, so that only
    columns that go together can leave a gap. A customer's own level is placed as if the customer
    were not there. Whether a third segment is nearer is seen from the shares of the levels in each.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        k = len(space.sizes)
        self.numbers = Line(
            space.low,
            space.width,
            space.means(space.low + space.width / 2),
            np.zeros((len(space.low), k)),
            space.low.shape[1],
        )
        inside = space.codes >= 0
        self.frequencies = [
            np.bincount(
                space.codes[inside] * (levels.max() + 1) + levels[inside],
                minlength=k * (levels.max() + 1),
            ).reshape(k, -1)
            for levels in space.levels.T
        ]

    def nearest(self) -> Codes:
        """Return the segment whose centre is nearest to that of each segment."""
        k = len(self.space.sizes)
        distances = np.full((k, k), np.inf)
        for i in range(k):
            for j in range(i + 1, k):
                centers = self._centers(i, j)
                distances[i, j] = distances[j, i] = ((centers[i] - centers[j]) ** 2).sum()
        return distances.argmin(axis=1)

    def between(self, i: int, j: int) -> Line:
        """Return the line between two segments."""
        if not self.frequencies:
            return self.numbers
        role = np.select([self.space.codes == i, self.space.codes == j], [0, 1], 2)
        lows, widths = [self.numbers.low], [self.numbers.width]
        for frequency, levels in zip(self.frequencies, self.space.levels.T, strict=True):
            starts, width, unit, _ = self._placed(frequency, i, j)
            lows.append((starts[role, levels] / unit)[:, None])
            widths.append((width[levels] / unit)[:, None])
        return Line(
            np.hstack(lows),
            np.hstack(widths),
            self._centers(i, j),
            self._further(i, j),
            self.numbers.numbers,
        )

    def _further(self, i: int, j: int) -> Matrix:
        sizes = self.space.sizes
        total = np.zeros_like(self.numbers.further)
        for frequency, levels in zip(self.frequencies, self.space.levels.T, strict=True):
            shares = frequency / sizes[:, None]
            within = (sizes * (1 - (shares**2).sum(axis=1))).sum() / sizes.sum()
            shares[i] = (shares[i] + shares[j]) / 2
            squared = 1 - 2 * shares + (shares**2).sum(axis=1, keepdims=True)
            total += squared.T[levels] / max(within, LEAST)
        return total

    def _centers(self, i: int, j: int) -> Matrix:
        placed = [self._placed(frequency, i, j) for frequency in self.frequencies]
        return np.column_stack([self.numbers.centers, *(means for *_, means in placed)])

    def _placed(
        self, frequency: NDArray[np.integer], i: int, j: int
    ) -> tuple[Matrix, Matrix, float, Matrix]:
        """Return where levels begin (for members of i, of j, others), widths, unit and means."""
        sizes = self.space.sizes
        shares = frequency / sizes[:, None]
        width = (frequency[i] + frequency[j]) / (sizes[i] + sizes[j])
        itself = np.eye(len(width))
        without_i = (frequency[i] - itself) / max(sizes[i] - 1, 1)
        without_j = (frequency[j] - itself) / max(sizes[j] - 1, 1)
        orders = [shares[j] - without_i, without_j - shares[i], shares[j] - shares[i] + 0 * itself]
        starts = np.array([_begin(order, width) for order in orders])
        middles = starts[2] + width / 2
        means = shares @ middles
        within = (sizes * (shares @ middles**2 - means**2)).sum() / sizes.sum()
        overall = frequency.sum(axis=0) / sizes.sum()
        unit = float(np.sqrt(within + overall @ width**2 / 12))
        return starts, width, unit or np.inf, means / (unit or np.inf)


def _begin(order: Matrix, width: Matrix) -> Matrix:
    """Return for each level, whose row of `order` has the scores that place it, what lies below."""
    own = np.diag(order)[:, None]
    first = np.tri(len(width), k=-1, dtype=bool)
    below = (order < own - 1e-12) | ((np.abs(order - own) <= 1e-12) & first)
    return below @ width
