"""Segments as the leaves of a tree: rules that anybody can read and any system can apply."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from custseg.clustering._columns import open_table
from custseg.clustering._conditions import rule_words
from custseg.clustering._inputs import fit_encoder
from custseg.clustering._questions import Question, answers, condition_words, learn_questions
from custseg.clustering._runs import distinct_up_to
from custseg.clustering._targets import Target, beside, judge, read_target
from custseg.clustering._trees import (
    Tree,
    cross_validated_leaves,
    explain,
    grow,
    node_means,
    sum_of_squares,
)
from custseg.clustering._weights import read_weights
from custseg.clustering.algorithms import as_seed
from custseg.clustering.kmeans import KMeans
from custseg.errors import DataError, ParameterError, check_columns, check_number
from custseg.features.encoder import Encoder, as_frame
from custseg.results import format_frame, format_number

Matrix = NDArray[np.float64]


class TreeRules(ClusterMixin, BaseEstimator):
    """Divide customers by a few questions with two answers; each leaf of the tree is a segment.

    With a target, the segments differ in it as much as possible: in the mean of a number, or in
    the mix of categories, such as another model's segments, which the rules then imitate. The tree
    is grown on some customers, its number of leaves is chosen by cross-validation among them, and
    what the table of rules says of the target is measured on the others, who had no part in it.

    Without a target, the segments are as alike as possible: the cuts run between the clusters of
    k-means, each parting as few customers as possible from their cluster, or where they lower the
    sum of squares most, whichever tree ends lower.

    A value equal to a cut goes below it. Cuts are numbers of few digits: each may pass half a
    percent of its customers, where they are within a hundredth of the interquartile range.

    Parameters
    ----------
    n_clusters
        The number of segments, at most; with a target, fewer where more do not predict better.
    target
        The name (of a frame) or position (of an array) of the column that the segments are to
        differ in; it is not needed to assign customers. ``None``: the `y` of `fit`, if there is
        one. Numbers and booleans are predicted as numbers, text and categories as categories.
    min_share
        The least share of customers in a segment, above 0, at most .5.
    holdout
        The share of customers with a target who are kept out of the growing of the tree, from 0 to
        .9; with 0, what the rules say of the target is too good to be true, and a note says so.
    encoder
        Without a target: the units of the sum of squares. ``"auto"`` for `custseg.features.Encoder`
        with text as levels, ``None`` for the numbers as they are, or a scikit-learn transformer.
    random_state
        A seed; the same seed gives the same rules.

    Attributes
    ----------
    labels_ : numpy.ndarray
        The segment of each customer; segments are numbered from the left of the tree.
    rules_ : pandas.DataFrame
        One row per segment: ``segment``, ``rule``, ``n`` and ``share`` of the customers. With a
        target also ``n_judged`` and, of these customers, ``mean`` or ``share_yes`` of the target,
        or its most frequent ``level`` and the ``share_level`` that has it, with ``ci_low`` and
        ``ci_high`` (95%: Student's interval, Wilson's for shares).
    explained_ : float
        The share of the target's variance, or Gini index, that the segments explain among
        the customers held out; without a target, of the sum of squares of all variables.
    fidelity_ : float
        With a target of categories: the share of the customers held out whose category is the most
        frequent one of their segment. Else NaN.
    price_ : float
        Without a target: the sum of squares within segments over that of k-means with as many
        segments; the price of rules. Else NaN.
    held_out_ : numpy.ndarray
        Who was held out: whom to judge these segments on.
    tree_, questions_
        The tree and what its questions are about, as data.
    notes_ : tuple of str
        What to know before reading the rules.
    n_features_in_, feature_names_in_
        The number of columns, and their names where a frame was given.

    References
    ----------
    Breiman, Friedman, Olshen & Stone (1984). Classification and Regression Trees. Wadsworth.
    Dasgupta, Frost, Moshkovitz & Rashtchian (2020). Explainable k-means and k-medians clustering.
    ICML. Athey & Imbens (2016). Recursive partitioning for heterogeneous causal effects. PNAS
    113(27) (why the customers who made the tree do not judge it).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> customers = pd.DataFrame({"orders": rng.integers(1, 12, 300)})
    >>> customers["region"] = rng.choice(["North", "South"], 300)
    >>> TreeRules(2).fit(customers[["orders"]]).rules_.round(3)
       segment         rule    n  share
    0        0  orders <= 6  151  0.503
    1        1   orders > 6  149  0.497
    >>> wild = (customers["orders"] > 5) & (customers["region"] == "South")
    >>> customers["spend"] = 20 + 30 * wild + rng.normal(0, 5, 300)
    >>> TreeRules(target="spend", random_state=0).fit(customers)
    TreeRules: 3 segments that differ in spend: 89.4% of its variance among 90 customers held out
    segment                            rule   n share n_judged mean ci_low ci_high
          0             region is not South 141 0.470       45 20.4   19.2    21.7
          1 region is South and orders <= 5  67 0.223       17 17.4   14.2    20.6
          2  region is South and orders > 5  92 0.307       28 51.2   49.1    53.2
    note: spend was measured on 90 customers who had no part in growing the tree; judge these
    segments on them (held_out_), not on the others.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        target: Any = None,
        min_share: float = 0.05,
        holdout: float = 0.3,
        encoder: Any = "auto",
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.target = target
        self.min_share = min_share
        self.holdout = holdout
        self.encoder = encoder
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    def fit(
        self,
        X: "pd.DataFrame | ArrayLike",
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "TreeRules":
        """Grow the tree.

        Parameters
        ----------
        X
            Customers x columns: numbers, booleans, text, categories, ordered ones. Numbers may be
            missing where there is a target: they count as lower than any other.
        y
            The target of each customer, where it is not a column; ``None`` for none.
        sample_weight
            How many customers each row stands for; ``None`` counts each once.

        Returns
        -------
        TreeRules
            The fitted rules themselves.

        Raises
        ------
        ColumnError
            If `target` is not a column.
        DataError
            If the table is empty, a value is infinite, or the target has one value only; without a
            target, also if a number is missing.
        ParameterError
            If a parameter is out of bounds, or there are two targets.
        """
        self._check_parameters()
        seed = as_seed(self.random_state)
        frame = open_table(self, X, reset=True).infer_objects()
        if len(frame) == 1:
            raise DataError("a tree needs at least 2 customers, and there is 1 sample.")
        weights = read_weights(sample_weight, len(frame))
        if isinstance(X, pd.DataFrame):
            frame.index = X.index
        target, frame = self._read_target(frame, y)
        used = weights > 0
        questions = learn_questions(frame[used], weights[used], self.min_share)
        found = answers(frame, questions)
        self.held_out_ = np.zeros(len(frame), dtype=bool)
        self.explained_ = self.price_ = self.fidelity_ = np.nan
        if target is None:
            tree, self.notes_ = self._grow_alike(frame[used], found[used], weights[used], seed)
        else:
            tree, self.notes_ = self._grow_apart(target, found, weights, seed)
        self._keep(tree, questions)
        self.labels_ = self._leaf_labels[tree.nodes(found)]
        self._describe(target, weights)
        return self

    def _check_parameters(self) -> None:
        check_number(self.n_clusters, "n_clusters", ge=1, integer=True)
        check_number(self.min_share, "min_share", gt=0, le=0.5)
        check_number(self.holdout, "holdout", ge=0, le=0.9)

    def _read_target(
        self, frame: pd.DataFrame, y: ArrayLike | None
    ) -> tuple[Target | None, pd.DataFrame]:
        """Return the target, and the columns that may be asked about."""
        if self.target is None:
            return (None if y is None else read_target(beside(y, frame))), frame
        if y is not None:
            raise ParameterError(
                f"there are two targets: the column {self.target!r} and y. Leave one of them out."
            )
        name = self.target
        if name not in frame.columns and isinstance(name, int) and 0 <= name < frame.shape[1]:
            name = frame.columns[name]
        check_columns(frame.columns, [name], where="the customer table")
        return read_target(frame[name]), frame.drop(columns=name)

    def _grow_alike(
        self, frame: pd.DataFrame, found: Matrix, weights: Matrix, seed: int
    ) -> tuple[Tree, tuple[str, ...]]:
        """Grow for the sum of squares of all variables."""
        encoder = self.encoder
        if isinstance(encoder, str) and encoder == "auto":
            text = frame.select_dtypes(["object", "string"]).columns
            encoder = Encoder(dictionary=dict.fromkeys(text, "nominal"))
        _, matrix = fit_encoder(frame, encoder)
        k = distinct_up_to(matrix, int(self.n_clusters))
        clusters = KMeans(k, random_state=seed).fit(matrix, sample_weight=weights)
        trees = [
            explain(found, clusters.labels_, weights, min_share=self.min_share),
            grow(found, matrix, weights, max_leaves=k, min_share=self.min_share, seed=seed),
        ]
        trees = [tree.with_round_cuts(found, weights) for tree in trees]
        within = [sum_of_squares(matrix, tree.nodes(found), weights) for tree in trees]
        best = int(np.argmin(within))
        total = sum_of_squares(matrix, np.zeros(len(matrix), dtype=np.int64), weights)
        if total > 0:
            self.explained_ = 1 - within[best] / total
            self.price_ = within[best] / clusters.inertia_ if clusters.inertia_ > 0 else np.nan
        leaves = trees[best].n_leaves
        fewer = (
            f"{leaves} segments instead of {self.n_clusters}: no further question leaves "
            f"{self.min_share:.3g} of the customers on both sides."
        )
        return trees[best], (fewer,) * (leaves < self.n_clusters)

    def _grow_apart(
        self, target: Target, found: Matrix, weights: Matrix, seed: int
    ) -> tuple[Tree, tuple[str, ...]]:
        """Grow for a target, on the customers who are not held out, and judge it on the others."""
        asked = np.flatnonzero(target.known & (weights > 0))
        drawn = np.random.default_rng(seed).permutation(asked)[: round(self.holdout * len(asked))]
        learning = np.setdiff1d(asked, drawn)
        judging = np.sort(drawn) if len(drawn) else learning
        self.held_out_[drawn] = True
        learned = (found[learning], target.scaled(learning), weights[learning])
        most, least = int(self.n_clusters), float(self.min_share)
        leaves = cross_validated_leaves(*learned, max_leaves=most, min_share=least, seed=seed)
        tree = grow(*learned, max_leaves=leaves, min_share=least, seed=seed)
        tree = tree.with_round_cuts(found[learning], weights[learning])
        means = node_means(tree, found[learning], target.values[learning], weights[learning])
        expected, seen = means[tree.nodes(found[judging])], target.values[judging]
        mass = weights[judging]
        total = sum_of_squares(seen, np.zeros(len(seen), dtype=np.int64), mass)
        if total > 0:
            self.explained_ = 1 - float(mass @ ((seen - expected) ** 2).sum(axis=1)) / total
        if target.kind == "levels":
            right = seen[np.arange(len(seen)), expected.argmax(axis=1)]
            self.fidelity_ = float(np.average(right, weights=mass))
        notes = [self._whom(target, len(drawn))]
        if tree.n_leaves == 1:
            notes.append(
                f"no question predicts {target.name} for customers who were left out of the "
                "growing: everybody is in one segment."
            )
        missing = len(found) - int(target.known.sum())
        if missing:
            notes.append(f"{missing:,} customers without {target.name} had no part in this.")
        return tree, tuple(notes)

    def _whom(self, target: Target, n_held_out: int) -> str:
        if n_held_out:
            return (
                f"{target.name} was measured on {n_held_out:,} customers who had no part in "
                "growing the tree; judge these segments on them (held_out_), not on the others."
            )
        return (
            f"{target.name} was measured on the customers who grew the tree: the segments were "
            "chosen to differ, so that the differences are too large. holdout=.3 measures honestly."
        )

    def _keep(self, tree: Tree, questions: list[Question]) -> None:
        """Keep the tree and the questions that it asks."""
        asked = sorted(set(tree.question[tree.question >= 0].tolist()))
        self.questions_ = [questions[position] for position in asked]
        place = {position: new for new, position in enumerate(asked)} | {-1: -1}
        question = np.array([place[position] for position in tree.question.tolist()])
        self.tree_ = Tree(question, tree.cut, tree.left, tree.right)
        self._leaf_labels = np.full(len(question), -1)
        paths = self.tree_.paths()
        self._leaf_labels[list(paths)] = np.arange(len(paths))
        self._rules = [
            rule_words(condition_words(self.questions_, path)) for path in paths.values()
        ]

    def _describe(self, target: Target | None, weights: Matrix) -> None:
        n = len(self._rules)
        columns = {
            "segment": np.arange(n),
            "rule": self._rules,
            "n": np.bincount(self.labels_, minlength=n),
            "share": np.bincount(self.labels_, weights, minlength=n) / weights.sum(),
        }
        if target is not None:
            judges = self.held_out_ if self.held_out_.any() else target.known & (weights > 0)
            columns |= judge(target, np.where(judges, self.labels_, -1), weights, n)
        self._target = None if target is None else (target.name, target.kind)
        self._table = columns

    @property
    def rules_(self) -> pd.DataFrame:
        """One row per segment: its rule, its size, and the target where there is one."""
        return pd.DataFrame(self._table)

    def predict(self, X: "pd.DataFrame | ArrayLike") -> NDArray[np.int64]:
        """Return the segment of each customer.

        Parameters
        ----------
        X
            Customers x columns; a frame needs those that the rules ask about, in any order.

        Raises
        ------
        ColumnError
            If a column that the rules ask about is missing.
        DataError
            If such a column holds text where numbers were, an infinite value, an unknown level
            of an ordered category, or missing values where there were none in `fit`.
        """
        check_is_fitted(self)
        frame = as_frame(X).infer_objects()
        if not isinstance(X, pd.DataFrame) and frame.shape[1] != self.n_features_in_:
            raise DataError(
                f"X has {frame.shape[1]} features, but TreeRules is expecting "
                f"{self.n_features_in_} features as input."
            )
        needed = [question.column for question in self.questions_]
        check_columns(frame.columns, needed, where="the customer table")
        return self._leaf_labels[self.tree_.nodes(answers(frame, self.questions_))]

    def summary(self) -> str:
        """Return in one sentence how many segments there are and what they explain."""
        check_is_fitted(self)
        n = len(self._rules)
        words = f"{n} segment" + "s" * (n != 1)
        if self._target is None:
            return (
                f"{words}: {self.explained_:.1%} of the sum of squares; within them "
                f"{format_number(self.price_)} times what k-means leaves"
            )
        held_out = int(self.held_out_.sum())
        whom = f"{held_out:,} customers held out" if held_out else "the customers who grew the tree"
        name, kind = self._target
        if kind != "levels":
            share = f"{self.explained_:.1%} of its variance"
            return f"{words} that differ in {name}: {share} among {whom}"
        return f"{words} that tell {name}: right for {self.fidelity_:.1%} of {whom}"

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "labels_"):
            return str(super().__repr__(N_CHAR_MAX=N_CHAR_MAX))
        table = format_frame(self.rules_).to_string(max_colwidth=120, index=False)
        notes = [f"note: {note}" for note in self.notes_]
        return "\n".join([f"TreeRules: {self.summary()}", table, *notes])

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        return {"text/plain": repr(self)}
