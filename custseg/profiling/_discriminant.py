"""Answers of customers, and the order in which questions tell segments apart."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from custseg.profiling._columns import Column, Vector

Codes = NDArray[np.int64]
Matrix = NDArray[np.float64]

BANDS = 6
RARE = 0.01
BAND_SHARE = 0.02
RIDGE = 1e-3
CHUNK = 50_000


class Question(NamedTuple):
    """What is asked of a customer: a column, and the answers that may be given.

    Numbers are answered by a band: up to the first cut, above it up to the second, and so on.
    ``places`` maps the code of a level to its answer where there are no ``cuts``.
    """

    column: Column
    answers: tuple[str, ...]
    cuts: Vector | None = None
    places: Codes | None = None


def between(low: float, high: float) -> float:
    """Return a number of few digits that is at least `low` and below `high`.

    Examples
    --------
    >>> between(28, 31), between(3, 4), between(0.1234, 0.1412)
    (30.0, 3.0, 0.13)
    """
    for digits in range(1, 17):
        for value in (low + (high - low) / 2, low):
            cut = float(f"{value:.{digits}g}")
            if low <= cut < high:
                return cut
    return float(low)


def quantile_cuts(values: Vector, parts: int) -> Vector:
    """Return up to ``parts - 1`` cuts of few digits that part the values evenly."""
    known = np.sort(values[~np.isnan(values)])
    distinct = np.unique(known)
    if len(distinct) <= parts + 1:
        lower = distinct[:-1]
    else:
        lower = np.unique(known[(np.arange(1, parts) * len(known)) // parts - 1])
        lower = lower[lower < distinct[-1]]
    upper = distinct[np.searchsorted(distinct, lower, side="right")]
    return np.array([between(low, high) for low, high in zip(lower, upper, strict=True)])


def telling_cuts(values: Vector, segments: Codes, weights: Vector) -> Vector:
    """Return up to five cuts of few digits that part the segments best, by a tree of one column."""
    known = ~np.isnan(values)
    distinct, ranks = np.unique(values[known], return_inverse=True)
    tree = DecisionTreeClassifier(
        criterion="entropy", max_leaf_nodes=BANDS, min_samples_leaf=BAND_SHARE, random_state=0
    )
    inner = tree.fit(ranks[:, None], segments[known], sample_weight=weights[known]).tree_
    lower = np.sort(inner.threshold[inner.children_left >= 0].astype(int))
    return np.array([between(distinct[place], distinct[place + 1]) for place in lower])


def as_question(column: Column, segments: Codes, weights: Vector) -> Question:
    """Return what is asked to learn a column: bands of a number, levels that are not rare."""
    if column.kind == "number":
        cuts = telling_cuts(column.values, segments, weights)
        bounds = [f"{cut:,.10g}" for cut in cuts]
        inner = [f"over {low}, up to {high}" for low, high in pairwise(bounds)]
        answers = (f"up to {bounds[0]}", *inner, f"over {bounds[-1]}") if bounds else ("any",)
        return Question(column, answers, cuts=cuts)
    codes = column.values[~np.isnan(column.values)].astype(int)
    counts = np.bincount(codes, minlength=len(column.levels))
    rare = counts < RARE * len(codes)
    if rare.sum() < 2 or column.kind == "order":
        rare[:] = False
    places = np.where(rare, (~rare).sum(), np.cumsum(~rare) - 1)
    kept = [str(level) for level, few in zip(column.levels, rare, strict=True) if not few]
    return Question(column, (*kept, *("another",) * bool(rare.any())), places=places)


def answers_of(questions: Sequence[Question], columns: Sequence[Column]) -> Codes:
    """Return customers x questions: the place of each answer, -1 where there is none."""
    found = []
    for question, column in zip(questions, columns, strict=True):
        missing = np.isnan(column.values)
        if question.cuts is not None:
            places = np.searchsorted(question.cuts, column.values, side="left")
        else:
            codes = np.where(missing, 0, column.values).astype(int)
            places = np.asarray(question.places)[codes]
        found.append(np.where(missing, -1, places))
    return np.column_stack(found).astype(np.int64)


class Sums(NamedTuple):
    """What a discriminant is learned from: counts, sums and cross-products by segment."""

    n: Vector
    sums: Matrix
    products: Matrix

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(*(own - part for own, part in zip(self, other, strict=True)))


class Answers:
    """Answers as columns of ones and zeros, centred so that no answer counts as the average one.

    Parameters
    ----------
    codes
        Customers x questions, as `answers_of` gives them.
    n_answers
        The number of answers to each question.
    weights
        How much each customer counts.
    """

    def __init__(self, codes: Codes, n_answers: Sequence[int], weights: Vector) -> None:
        self.codes, self.weights = codes, weights
        self.starts = np.concatenate([[0], np.cumsum(n_answers)])
        self.centre = self._shares()

    def columns(self, questions: Sequence[int]) -> Codes:
        """Return the columns that belong to questions."""
        parts = [np.arange(self.starts[q], self.starts[q + 1]) for q in questions]
        return np.concatenate(parts)

    def matrix(self, rows: Codes, questions: Sequence[int]) -> Matrix:
        """Return customers x columns of these questions."""
        parts = []
        for q in questions:
            own = self.codes[rows, q]
            width = self.starts[q + 1] - self.starts[q]
            block = (own[:, None] == np.arange(width)) - self.centre[self.starts[q] :][:width]
            block[own < 0] = 0.0
            parts.append(block)
        return np.concatenate(parts, axis=1)

    def sums(self, rows: Codes, segments: Codes, k: int) -> Sums:
        """Return what a discriminant of all questions is learned from."""
        width = int(self.starts[-1])
        n, sums, products = np.zeros(k), np.zeros((k, width)), np.zeros((width, width))
        everything = range(self.codes.shape[1])
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            X, w = self.matrix(part, everything), self.weights[part, None]
            one = w * np.eye(k)[segments[part]]
            n += one.sum(axis=0)
            sums += one.T @ X
            products += X.T @ (w * X)
        return Sums(n, sums, products)

    def _shares(self) -> Vector:
        shares = np.zeros(self.starts[-1])
        for q in range(self.codes.shape[1]):
            known = self.codes[:, q] >= 0
            own, w = self.codes[known, q], self.weights[known]
            width = self.starts[q + 1] - self.starts[q]
            counts = np.bincount(own, weights=w, minlength=width)
            shares[self.starts[q] : self.starts[q + 1]] = counts / (w.sum() or 1)
        return shares


class Points(NamedTuple):
    """Points per column and segment, and those that everybody starts with."""

    start: Vector
    points: Matrix


def learn_discriminant(sums: Sums, columns: Codes) -> Points:
    """Return Fisher's classification functions on some of the columns.

    The covariance within segments has a thousandth of the mean variance added to its diagonal: the
    answers to a question sum to one, so that it cannot be inverted as it is.
    """
    n = sums.n
    means = sums.sums[:, columns] / np.maximum(n, 1)[:, None]
    square = sums.products[np.ix_(columns, columns)]
    within = (square - (means * n[:, None]).T @ means) / max(n.sum() - len(n), 1)
    ridge = RIDGE * np.trace(square) / n.sum() / len(columns) + 1e-12
    points = linalg.solve(within + ridge * np.eye(len(columns)), means.T, assume_a="pos")
    with np.errstate(divide="ignore"):
        start = np.log(n / n.sum()) - 0.5 * (means * points.T).sum(axis=1)
    return Points(start, points)


def probabilities(scores: Matrix) -> Matrix:
    """Return the probability of each segment from its points."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


@threadpool_limits.wrap(limits=1)
def order_questions(
    answers: Answers, segments: Codes, rows: Codes, folds: Codes, k: int, *, most: int
) -> list[int]:
    """Return questions in the order in which they tell most beside those before them.

    Each time the one with the highest log likelihood by a linear discriminant is added, in
    customers who were not learned from.

    Parameters
    ----------
    answers, segments, folds
        Of all customers.
    rows
        The customers to learn from and to judge on, fold by fold.
    k
        The number of segments.
    most
        The most questions.
    """
    parts = [answers.sums(rows[folds[rows] == f], segments, k) for f in range(folds.max() + 1)]
    whole = Sums(*(sum(part) for part in zip(*parts, strict=True)))
    others = [whole - part for part in parts]
    left = list(range(answers.codes.shape[1]))
    own = segments[rows]
    judged = [np.flatnonzero(folds[rows] == f) for f in range(len(parts))]
    blocks = [answers.matrix(rows[part], left) for part in judged]
    chosen: list[int] = []
    while left and len(chosen) < most:
        best, told = left[0], -np.inf
        for question in left:
            columns = answers.columns([*chosen, question])
            scores = np.empty((len(rows), k))
            for learned, place, X in zip(others, judged, blocks, strict=True):
                rule = learn_discriminant(learned, columns)
                scores[place] = X[:, columns] @ rule.points + rule.start
            chance = probabilities(scores)[np.arange(len(own)), own]
            fit = np.average(np.log(np.maximum(chance, 1e-12)), weights=answers.weights[rows])
            if fit > told + 1e-12:
                best, told = question, fit
        chosen.append(best)
        left.remove(best)
    return chosen
