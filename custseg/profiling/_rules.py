"""Short rules that tell a segment: a shallow tree, and a list of if, else if, else."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from custseg.profiling._columns import Column, Vector
from custseg.profiling._discriminant import Codes, between, quantile_cuts
from custseg.stats import wilson

Mask = NDArray[np.bool_]

PARTS = 10
BEAM = 5
LEAST_SHARE, LEAST = 0.01, 5
"""A rule catches at least so many of the customers that it is learned from."""


class Condition(NamedTuple):
    """One condition on a column: at most a cut or above it, is a level or is not.

    Whoever lacks the column is at most any cut, and is no level.
    """

    column: int
    op: str
    value: float

    def holds(self, columns: Sequence[Column]) -> Mask:
        """Return which customers the condition holds for."""
        values = columns[self.column].values
        if self.op in ("<=", ">"):
            above = values > self.value
            return above if self.op == ">" else ~above
        same = values == self.value
        return same if self.op == "is" else ~same


Rule = tuple[tuple[Condition, ...], int]
"""Conditions that hold together, and the segment that they tell."""


def holds(conditions: Sequence[Condition], columns: Sequence[Column]) -> Mask:
    """Return which customers all of the conditions hold for."""
    found = np.ones(len(columns[0].values), dtype=bool)
    for condition in conditions:
        found &= condition.holds(columns)
    return found


def words(conditions: Sequence[Condition], columns: Sequence[Column]) -> str:
    """Return conditions in words, column by column."""
    said = []
    for place in dict.fromkeys(condition.column for condition in conditions):
        own = [condition for condition in conditions if condition.column == place]
        said.append(_column_words(columns[place], own))
    return " and ".join(said) if said else "everybody else"


def _column_words(column: Column, own: Sequence[Condition]) -> str:
    name, levels = column.name, column.levels
    yes = [levels[int(c.value)] for c in own if c.op == "is"]
    no = [levels[int(c.value)] for c in own if c.op == "is not"]
    if yes:
        return f"{name} is {yes[0]}"
    if no:
        return f"{name} is not " + " or ".join(str(level) for level in no)
    low = max((c.value for c in own if c.op == ">"), default=None)
    high = min((c.value for c in own if c.op == "<="), default=None)

    def shown(cut: float) -> str:
        return str(levels[int(cut)]) if levels else f"{cut:,.10g}"

    if low is None:
        if high == -np.inf:
            return f"{name} is missing"
        at_most = f"{name} <= {shown(high or 0.0)}"
        return f"({at_most} or missing)" if column.gaps else at_most
    if low == -np.inf and high is None:
        return f"{name} is known"
    if high is None:
        return f"{name} > {shown(low)}"
    if low == -np.inf:
        return f"{name} <= {shown(high)}"
    return f"{shown(low)} < {name} <= {shown(high)}"


def grow_tree(
    columns: Sequence[Column], segments: Codes, weights: Vector, *, max_depth: int, seed: int
) -> list[Rule]:
    """Return the leaves of a shallow tree as rules; leaves side by side that agree are one.

    Parameters
    ----------
    columns
        The columns of the customers who are learned from.
    segments, weights
        Their segments, and how much each of them counts.
    max_depth
        The most conditions on the way to a leaf.
    seed
        Decides between equally good splits.
    """
    sources: list[tuple[int, float | None]]
    sources = [(p, None) for p, c in enumerate(columns) if c.kind != "level"]
    sources += [
        (p, float(code))
        for p, column in enumerate(columns)
        if column.kind == "level"
        for code in range(int(len(column.levels) == 2), len(column.levels))
    ]
    distinct = [np.unique(column.values[~np.isnan(column.values)]) for column in columns]
    X = np.column_stack(
        [
            np.searchsorted(distinct[p], np.nan_to_num(columns[p].values, nan=-np.inf), "right")
            if code is None
            else columns[p].values == code
            for p, code in sources
        ]
    )
    least = max(LEAST, int(LEAST_SHARE * len(segments)))
    tree = DecisionTreeClassifier(max_depth=max_depth, min_samples_leaf=least, random_state=seed)
    inner = tree.fit(X, segments, sample_weight=weights).tree_

    def leaves(node: int, path: tuple[Condition, ...]) -> list[Rule]:
        if inner.children_left[node] < 0:
            return [(path, int(tree.classes_[inner.value[node][0].argmax()]))]
        left, right = _split(sources[inner.feature[node]], inner.threshold[node], distinct)
        below = leaves(inner.children_left[node], (*path, left))
        above = leaves(inner.children_right[node], (*path, right))
        alone = len(below) == len(above) == 1
        if alone and below[0][1] == above[0][1]:
            return [(path, below[0][1])]
        return below + above

    return leaves(0, ())


def _split(
    source: tuple[int, float | None], threshold: float, distinct: Sequence[Vector]
) -> tuple[Condition, Condition]:
    """Return the conditions of both sides of a split."""
    place, code = source
    if code is not None:
        return Condition(place, "is not", code), Condition(place, "is", code)
    values, rank = distinct[place], int(threshold)
    low = values[rank - 1] if rank else -np.inf
    cut = low if np.isinf(low) else between(low, values[rank])
    return Condition(place, "<=", cut), Condition(place, ">", cut)


def rule_list(
    columns: Sequence[Column],
    segments: Codes,
    weights: Vector,
    k: int,
    *,
    max_conditions: int,
    max_rules: int,
) -> list[Rule]:
    """Return rules to be read from the top: the first that holds decides, the last holds for all.

    Rule after rule is learned from the customers whom no rule caught so far: the conditions, found
    by a beam search, whose weighted relative accuracy for some segment is the highest.

    Parameters
    ----------
    columns, segments, weights
        Of the customers who are learned from.
    k
        The number of segments.
    max_conditions, max_rules
        The most conditions of a rule, and the most rules besides the last.

    References
    ----------
    Clark, P. & Niblett, T. (1989), Machine Learning 3, 261-283 (the search). Lavrač, N., Kavšek,
    B., Flach, P. & Todorovski, L. (2004), JMLR 5, 153-188 (the measure).
    """
    conditions = _candidates(columns)
    masks = np.array([condition.holds(columns) for condition in conditions], dtype=np.float32)
    one = (weights[:, None] * np.eye(k)[segments]).astype(np.float32)
    left = np.ones(len(segments), dtype=bool)
    least = max(LEAST, int(LEAST_SHARE * len(segments)))
    rules: list[Rule] = []
    while len(rules) < max_rules and left.sum() >= 2 * least:
        found = _best_rule(masks[:, left], one[left], conditions, max_conditions, least)
        if found is None:
            break
        rules.append(found)
        left &= ~holds(found[0], columns)
    rest = int(one[left if left.any() else slice(None)].sum(axis=0, dtype=float).argmax())
    while rules and rules[-1][1] == rest:
        rules.pop()
    return [*rules, ((), rest)]


def _candidates(columns: Sequence[Column]) -> list[Condition]:
    found = []
    for place, column in enumerate(columns):
        if column.kind == "level":
            pairs = len(column.levels) == 2 and not column.gaps
            for code in range(len(column.levels)):
                found.append(Condition(place, "is", float(code)))
                found += [Condition(place, "is not", float(code))] * (not pairs)
        else:
            cuts = (
                np.arange(len(column.levels) - 1.0)
                if column.levels
                else quantile_cuts(column.values, PARTS)
            )
            found += [Condition(place, op, float(cut)) for cut in cuts for op in ("<=", ">")]
    return found


def _best_rule(
    masks: NDArray[np.float32],
    one: NDArray[np.float32],
    conditions: Sequence[Condition],
    most: int,
    least: int,
) -> Rule | None:
    """Return the rule of highest weighted relative accuracy, if it tells its segment from most."""
    weight = one.sum(axis=0, dtype=float)
    n, shares = weight.sum(), weight / weight.sum()
    best: tuple[float, tuple[int, ...], int, float, float] = (0.0, (), -1, 0.0, 0.0)
    beam: list[tuple[int, ...]] = [()]
    for _ in range(most):
        grown: dict[tuple[int, ...], float] = {}
        for path in beam:
            mask = masks[list(path)].all(axis=0)
            hits = (masks[:, mask] @ one[mask]).astype(float)
            caught = hits.sum(axis=1)
            gain = np.where(caught[:, None] >= least, (hits - caught[:, None] * shares) / n, -1.0)
            for new in np.argsort(-gain.max(axis=1), kind="stable")[:BEAM].tolist():
                segment = int(gain[new].argmax())
                found = tuple(sorted({*path, new}))
                grown[found] = gain[new, segment]
                if gain[new, segment] > best[0] + 1e-9:
                    best = (gain[new, segment], found, segment, hits[new, segment], caught[new])
        beam = sorted(grown, key=lambda path: (-grown[path], path))[:BEAM]
    _, path, segment, right, caught = best
    if not path or wilson(right, caught)[0] <= shares[segment]:
        return None
    return tuple(conditions[place] for place in path), segment
