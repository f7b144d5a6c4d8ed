"""Trees of questions with two answers: grown for a target, pruned, or cut between clusters."""

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from custseg.clustering._questions import round_cut

Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]
Path = list[tuple[int, float, bool]]

FOLDS = 5
SLACK, NEAR = 0.005, 0.01
"""How far a cut may move for a round number: past this share of its customers, and by this share
of their interquartile range."""


@dataclass(frozen=True)
class Tree:
    """A tree; a row goes left where its answer is at most the cut.

    Parameters
    ----------
    question
        The question of each node, -1 in a leaf. A node comes before its children; the nodes of the
        i-th split are 2i - 1 and 2i, and splits come in order of what they gain.
    cut
        What the answer is compared with.
    left, right
        The children of each node.
    """

    question: Integers
    cut: Matrix
    left: Integers
    right: Integers

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return (len(self.question) + 1) // 2

    def nodes(self, answers: Matrix) -> Integers:
        """Return the leaf of each row, as a node."""
        place = np.zeros(len(answers), dtype=np.int64)
        for node in np.flatnonzero(self.question >= 0):
            rows = np.flatnonzero(place == node)
            goes_left = answers[rows, self.question[node]] <= self.cut[node]
            place[rows] = np.where(goes_left, self.left[node], self.right[node])
        return place

    def paths(self) -> dict[int, Path]:
        """Return from each leaf, left to right, the questions and answers that lead to it."""
        found: dict[int, Path] = {}
        waiting: list[tuple[int, Path]] = [(0, [])]
        while waiting:
            node, path = waiting.pop()
            if self.question[node] < 0:
                found[node] = path
                continue
            step = (int(self.question[node]), float(self.cut[node]))
            waiting.append((int(self.right[node]), [*path, (*step, False)]))
            waiting.append((int(self.left[node]), [*path, (*step, True)]))
        return found

    def with_round_cuts(self, answers: Matrix, weights: Matrix) -> "Tree":
        """Return the tree with cuts of few digits; none moves far."""
        cuts = self.cut.copy()
        inside = {0: np.arange(len(answers))}
        for node in np.flatnonzero(self.question >= 0).tolist():
            rows = inside.pop(node)
            values = answers[rows, self.question[node]]
            order = np.argsort(values, kind="stable")
            total = np.cumsum(weights[rows][order])
            place = int(np.searchsorted(values[order], self.cut[node], side="right"))
            spare = SLACK * total[-1]
            first = int(np.searchsorted(total, total[place - 1] - spare))
            last = int(np.searchsorted(total, total[place - 1] + spare, side="right"))
            last = min(last, len(rows) - 1)
            quartiles = np.searchsorted(total, np.array([0.25, 0.75]) * total[-1])
            below, above, lowest, highest, *spread = values[
                order[[place - 1, place, first, last, *quartiles]]
            ]
            near = NEAR * (spread[1] - spread[0]) if np.isfinite(spread).all() else 0.0
            cuts[node] = round_cut(max(lowest, below - near), min(highest, above + near))
            goes_left = values <= cuts[node]
            inside[int(self.left[node])] = rows[goes_left]
            inside[int(self.right[node])] = rows[~goes_left]
        return Tree(self.question, cuts, self.left, self.right)


LEAF = Tree(np.array([-1]), np.array([np.nan]), np.array([-1]), np.array([-1]))


def ranks(answers: Matrix) -> tuple[Integers, list[Matrix]]:
    """Return the dense rank of every answer, and the sorted distinct answers to each question."""
    values, places = [], []
    for column in answers.T:
        distinct, place = np.unique(column, return_inverse=True)
        values.append(distinct)
        places.append(place)
    return np.column_stack(places), values


def grow(
    answers: Matrix,
    target: Matrix,
    weights: Matrix,
    *,
    max_leaves: int,
    min_share: float,
    seed: int,
) -> Tree:
    """Grow a tree whose leaves differ in the target: least squares, the best split first.

    Parameters
    ----------
    answers
        Rows x questions.
    target
        Rows x columns; a one for the level of a category makes the sum of squares its Gini index.
    weights
        How many customers each row stands for.
    max_leaves
        The most leaves.
    min_share
        The least share of the weight in a leaf.
    seed
        Decides between splits that gain the same.
    """
    if max_leaves < 2 or not answers.shape[1]:
        return LEAF
    places, values = ranks(answers)
    grown = DecisionTreeRegressor(  # ranks, because it compares in single precision
        max_leaf_nodes=max_leaves, min_weight_fraction_leaf=min_share, random_state=seed
    )
    inner = grown.fit(places, target, sample_weight=weights).tree_
    gain = np.full(inner.node_count, -np.inf)
    mass = inner.weighted_n_node_samples * inner.impurity
    parents = np.flatnonzero(inner.children_left >= 0)
    children = inner.children_left[parents], inner.children_right[parents]
    gain[parents] = mass[parents] - mass[children[0]] - mass[children[1]]
    order: list[int] = [0]
    waiting = [(-gain[0], 0)]
    while waiting:
        _, node = heappop(waiting)
        if inner.children_left[node] >= 0:
            for child in (inner.children_left[node], inner.children_right[node]):
                order.append(int(child))
                heappush(waiting, (-gain[child], int(child)))
    new = np.full(inner.node_count + 1, -1)
    new[order] = np.arange(len(order))
    question = np.maximum(inner.feature[order], -1)
    cut = np.array(
        [
            values[q][int(threshold)] if q >= 0 else np.nan
            for q, threshold in zip(question, inner.threshold[order], strict=True)
        ]
    )
    return Tree(question, cut, new[inner.children_left[order]], new[inner.children_right[order]])


def squared_errors(
    tree: Tree, learned: tuple[Matrix, Matrix, Matrix], new: tuple[Matrix, Matrix]
) -> Matrix:
    """Return the squared error of new rows after 0, 1, 2, ... splits: rows x leaves.

    Parameters
    ----------
    tree
        A tree, as `grow` orders it.
    learned
        The answers, targets and weights whose means predict.
    new
        The answers and targets that are predicted.
    """
    answers, target, weights = learned
    means = node_means(tree, answers, target, weights)
    place = np.zeros(len(new[0]), dtype=np.int64)
    errors = [((new[1] - means[0]) ** 2).sum(axis=1)]
    for split in range(1, (len(tree.question) + 1) // 2):
        parent = int(np.flatnonzero(tree.left == 2 * split - 1)[0])
        rows = np.flatnonzero(place == parent)
        goes_left = new[0][rows, tree.question[parent]] <= tree.cut[parent]
        place[rows] = np.where(goes_left, tree.left[parent], tree.right[parent])
        after = errors[-1].copy()
        after[rows] = ((new[1][rows] - means[place[rows]]) ** 2).sum(axis=1)
        errors.append(after)
    return np.column_stack(errors)


def node_means(tree: Tree, answers: Matrix, target: Matrix, weights: Matrix) -> Matrix:
    """Return the weighted mean of the target in each node, of its parent where it has no rows."""
    n = len(tree.question)
    place = tree.nodes(answers)
    mass = np.bincount(place, weights, minlength=n)
    sums = np.column_stack([np.bincount(place, weights * t, minlength=n) for t in target.T])
    for node in np.flatnonzero(tree.question >= 0)[::-1]:
        sums[node] = sums[tree.left[node]] + sums[tree.right[node]]
        mass[node] = mass[tree.left[node]] + mass[tree.right[node]]
    means = sums / np.where(mass > 0, mass, 1.0)[:, None]
    for node in np.flatnonzero(tree.question >= 0):
        for child in (tree.left[node], tree.right[node]):
            if mass[child] == 0:
                means[child] = means[node]
    return means


def cross_validated_leaves(
    answers: Matrix,
    target: Matrix,
    weights: Matrix,
    *,
    max_leaves: int,
    min_share: float,
    seed: int,
) -> int:
    """Return the least number of leaves that predicts about as well as the best.

    Five folds; about as well: the mean of the differences of squared errors, row by row, is within
    one standard error of zero (Breiman et al. 1984, with differences, which large values of the
    target do not drown).
    """
    n = len(answers)
    folds = np.random.default_rng([seed, 1]).permutation(n) % FOLDS
    errors = np.empty((n, max_leaves))
    for fold in range(min(FOLDS, n)):
        inside, outside = folds != fold, folds == fold
        learned = (answers[inside], target[inside], weights[inside])
        tree = grow(*learned, max_leaves=max_leaves, min_share=min_share, seed=seed)
        found = squared_errors(tree, learned, (answers[outside], target[outside]))
        errors[outside, : found.shape[1]] = found
        errors[outside, found.shape[1] :] = found[:, [-1]]
    means = np.average(errors, axis=0, weights=weights)
    worse = errors - errors[:, [int(means.argmin())]]
    centre = np.average(worse, axis=0, weights=weights)
    spread = np.average((worse - centre) ** 2, axis=0, weights=weights)
    return int(np.argmax(centre <= np.sqrt(spread / weights.sum()))) + 1


def sum_of_squares(matrix: Matrix, places: Integers, weights: Matrix) -> float:
    """Return the weighted sum of squared distances of rows from the mean of their place."""
    mass = np.bincount(places, weights)
    total = 0.0
    for column in matrix.T:
        means = np.bincount(places, weights * column) / np.where(mass > 0, mass, 1.0)
        total += float(weights @ (column - means[places]) ** 2)
    return total


def explain(
    answers: Matrix, labels: NDArray[np.integer], weights: Matrix, *, min_share: float
) -> Tree:
    """Cut between clusters: each cut puts as few rows as possible apart from their cluster.

    Iterative mistake minimisation, with the medians of a cluster's answers as its centre.

    Parameters
    ----------
    answers
        Rows x questions.
    labels
        The cluster of each row.
    weights
        How many customers each row stands for.
    min_share
        The least share of the weight in a leaf.

    References
    ----------
    Dasgupta, Frost, Moshkovitz & Rashtchian (2020). Explainable k-means and k-medians clustering.
    ICML.
    """
    if not answers.shape[1]:
        return LEAF
    places, values = ranks(answers)
    clusters, labels = np.unique(labels, return_inverse=True)
    members = [labels == cluster for cluster in range(len(clusters))]
    centers = np.array([_medians(places[own], weights[own]) for own in members])
    least = min_share * weights.sum()
    kept = np.ones(len(places), dtype=bool)
    nodes: list[tuple[int, float, int, int]] = []
    waiting = [(np.arange(len(places)), np.arange(len(clusters)))]
    for rows, clusters in waiting:
        right = kept[rows]
        found = [
            _fewest_mistakes(
                places[rows, q],
                right,
                centers[labels[rows], q],
                centers[clusters, q],
                weights[rows],
                least,
            )
            for q in range(places.shape[1])
        ]
        q = int(np.argmin([mistakes for mistakes, _ in found]))
        if found[q][0] == np.inf:
            nodes.append((-1, np.nan, -1, -1))
            continue
        rank = found[q][1]
        goes_left, centre_left = places[rows, q] <= rank, centers[labels[rows], q] <= rank
        kept[rows] &= goes_left == centre_left
        nodes.append((q, values[q][rank], len(waiting), len(waiting) + 1))
        inside = centers[clusters, q] <= rank
        waiting.append((rows[goes_left], clusters[inside]))
        waiting.append((rows[~goes_left], clusters[~inside]))
    columns = zip(*nodes, strict=True)
    return Tree(*(np.array(column) for column in columns))


def _medians(places: Integers, weights: Matrix) -> Integers:
    order = np.argsort(places, axis=0, kind="stable")
    below = np.cumsum(weights[order], axis=0)
    middle = (below < weights.sum() / 2).sum(axis=0)
    return np.take_along_axis(places, order, axis=0)[middle, np.arange(places.shape[1])]


def _fewest_mistakes(
    places: Integers,
    kept: NDArray[np.bool_],
    own: Integers,
    centers: Integers,
    weights: Matrix,
    least: float,
) -> tuple[float, int]:
    """Return the least weight that a cut of one question parts from its centre, and the cut."""
    low, high = int(centers.min()), int(centers.max())
    n = int(max(places.max(), high)) + 1
    at_most = np.cumsum(np.bincount(places, weights, minlength=n))[low:high]
    between, mass = np.column_stack([places, own])[kept], weights[kept]
    begun = np.bincount(between.min(axis=1), mass, minlength=n)
    parted = np.cumsum(begun - np.bincount(between.max(axis=1), mass, minlength=n))[low:high]
    allowed = (at_most >= least) & (at_most <= weights.sum() - least)
    if not allowed.any():
        return np.inf, low
    best = int(np.where(allowed, parted, np.inf).argmin())
    return float(parted[best]), low + best
