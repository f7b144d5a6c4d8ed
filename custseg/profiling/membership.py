"""Who belongs where, in few words: rules, the fewest questions, and customers in between."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from custseg.errors import DataError, check_columns, check_number
from custseg.profiling._columns import Column, Vector, column_names, read_columns
from custseg.profiling._customers import Assigned, read_customers
from custseg.profiling._discriminant import (
    Answers,
    Codes,
    Question,
    answers_of,
    order_questions,
    probabilities,
)
from custseg.profiling._estimates import one_group
from custseg.profiling._logistic import Step, enough, learn_points, place, place_out_of_fold
from custseg.profiling._placement import FOLDS, ask, draw, in_between, sample
from custseg.profiling._rules import Rule, grow_tree, holds, rule_list, words
from custseg.profiling._weights import read_weights, without_weights
from custseg.profiling._words import counted, listed, percent
from custseg.results import Result

MAX_RULES = 10
FEWEST = 2 * FOLDS
"""A segment needs so many customers to be learned from some and judged on others."""


@dataclass(frozen=True)
class TypingTool:
    """The fewest questions that place a customer, and the points that each answer gives.

    Attributes
    ----------
    questions : tuple of str
        The columns to ask for.
    points : pandas.DataFrame
        ``question``, ``answer`` and a column of points per segment; the first row, "(start)", is
        what everybody starts with. The points of the answers are added up, and the segment with
        the most is the customer's; a question without an answer gives none.
    """

    questions: tuple[str, ...]
    points: pd.DataFrame
    _asked: tuple[Question, ...]

    def assign(self, customers: pd.DataFrame) -> pd.DataFrame:
        """Place customers by their answers.

        Parameters
        ----------
        customers
            One row per customer, with the columns of `questions`.

        Returns
        -------
        pandas.DataFrame
            By customer: ``segment``; its ``probability``; ``second``, the next segment; and
            ``answered``, the number of questions with an answer.

        Raises
        ------
        ColumnError
            If a question is not a column.
        DataError
            If `customers` is no frame, or a column holds text where the questions were learned
            from numbers.
        """
        if not isinstance(customers, pd.DataFrame):
            raise DataError(
                f"customers is a {type(customers).__name__}, but must be a pandas DataFrame with "
                "one row per customer."
            )
        check_columns(list(customers.columns), self.questions, where="the customer table")
        learned = [question.column for question in self._asked]
        codes = answers_of(self._asked, read_columns(customers, self.questions, learned=learned))
        names = list(self.points.columns[2:])
        table = self.points[names].to_numpy()
        scores = np.tile(table[0], (len(codes), 1))
        first = 1
        for question, own in zip(self._asked, codes.T, strict=True):
            scores += np.where((own >= 0)[:, None], table[first + np.maximum(own, 0)], 0.0)
            first += len(question.answers)
        chance = probabilities(scores)
        order = np.argsort(-chance, axis=1, kind="stable")
        best, second = (
            pd.Categorical.from_codes(order[:, rank], names, ordered=True) for rank in (0, 1)
        )
        return pd.DataFrame(
            {
                "segment": best,
                "probability": chance[np.arange(len(chance)), order[:, 0]],
                "second": second,
                "answered": (codes >= 0).sum(axis=1),
            },
            index=customers.index,
        )


@dataclass(frozen=True, repr=False, eq=False)
class Membership(Result):
    """What tells the segments apart; made by `describe_membership`.

    Attributes
    ----------
    rules : pandas.DataFrame
        The table of `to_frame`.
    accuracy : pandas.DataFrame
        Index ``method``: "rule tree", "rule list", "typing tool", "all questions" (points for all
        that are in `questions`) and "largest segment" (everybody in it); ``n`` customers held out,
        ``accuracy``, the share put right, with ``ci_low`` and ``ci_high``.
    questions : pandas.DataFrame
        Index ``question``, in the order of asking: ``accuracy`` with the questions up to this one,
        cross-validated among the customers who were learned from, and ``asked``, whether the
        typing tool needs it.
    typing_tool : TypingTool
        The questions and points, with `TypingTool.assign` for new customers.
    confusion : pandas.DataFrame
        Segments x segments where the typing tool puts the customers held out, in counts; with
        weights in sums of them, 1 being the average customer.
    customers : pandas.DataFrame
        By customer, in the order of the table: ``segment``, ``probability`` of it by all questions
        (learned without the customer), ``second``, the likeliest other segment, its
        ``second_probability``, ``borderline``: whether the odds are below two to one, and
        ``held_out``: whether the customer is one of those who judge; ``weight``, 1 on average,
        where weights were given.
    level : float
        The confidence level of the intervals.
    notes : tuple of str
        What to know before using it.
    """

    rules: pd.DataFrame
    accuracy: pd.DataFrame
    questions: pd.DataFrame
    typing_tool: TypingTool
    confusion: pd.DataFrame
    customers: pd.DataFrame
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "profiling_membership.confusion"

    def to_frame(self) -> pd.DataFrame:
        """Return the rules of both kinds, as they do among the customers held out.

        Returns
        -------
        pandas.DataFrame
            ``kind``: "tree", whose rules hold for one customer each, or "list", of which the first
            that holds decides; ``segment`` that is told; ``rule``; ``n`` customers held out whom it
            catches; ``coverage``: the share of the segment's customers among them; ``precision``:
            the share of those caught who are in the segment, with ``ci_low`` and ``ci_high``.
        """
        return self.rules.copy()

    def borderline(self) -> pd.DataFrame:
        """Return the customers in between by segment and next segment.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``second``, ``n`` borderline customers and their ``share`` of the segment.
        """
        people = self.customers.assign(weight=self._weight())
        size = people.groupby("segment", observed=True)["weight"].sum()
        between = people[people["borderline"].fillna(False).astype(bool)]
        groups = between.groupby(["segment", "second"], observed=True)["weight"]
        found = groups.agg(n="size", share="sum").reset_index()
        found["share"] /= found["segment"].map(size).astype(float)
        return found

    def _weight(self) -> pd.Series:
        """Return how much each customer counts, missing for those without a segment."""
        alike = self.customers["probability"].notna().astype(float)
        return self.customers.get("weight", alike)

    def summary(self) -> str:
        """Return how well each way of telling does, what to ask, and how many are in between."""
        shown = self.accuracy["accuracy"]
        known = self.customers["borderline"].dropna().astype(bool)
        between = np.average(known, weights=self._weight()[known.index])
        n = int(self.accuracy["n"].iloc[0])
        tool = self.accuracy.loc["typing tool"]
        bounds = f"{percent(tool['ci_low'])} to {percent(tool['ci_high'])}"
        return (
            f"{counted(len(self.typing_tool.questions), 'question')} "
            f"({', '.join(map(str, self.typing_tool.questions))}) put {percent(tool['accuracy'])} "
            f"({bounds}) of {counted(n, 'customer')} held out into the right one of "
            f"{len(self.confusion)} segments; a tree of rules {percent(shown['rule tree'])}, a "
            f"list of rules {percent(shown['rule list'])}, everybody in the largest segment "
            f"{percent(shown['largest segment'])}. {counted(int(known.sum()), 'customer')} "
            f"({percent(between)}) {'is' if known.sum() == 1 else 'are'} borderline."
        )

    def _shown(self) -> pd.DataFrame:
        return self.rules.set_index("kind")


def describe_membership(
    customers: pd.DataFrame,
    segments: Any,
    *,
    variables: Sequence[str] | None = None,
    weights: ArrayLike | str | None = None,
    max_conditions: int = 3,
    max_questions: int = 8,
    holdout: float = 0.3,
    level: float = 0.95,
    random_state: int = 0,
) -> Membership:
    """Say in short rules and few questions who belongs to which segment, and who is in between.

    Everything is learned from some customers and judged on the others, who had no part in it.

    - *Rule tree*: at most `max_conditions` conditions lead to each leaf.
    - *Rule list*: read from the top; the first rule that holds decides.
    - *Typing tool*: answers give points for each segment (multinomial logistic regression; numbers
      are answered in up to six bands, cut where they tell segments apart). Questions are ordered by
      what each adds to those before it (by a linear discriminant, which is quick); the fewest are
      kept that are right about as often, cross-validated, as the best number of them.
    - *Borderline*: by all these questions, learned without the customer, the odds of the own
      segment against the likeliest other one are below two to one.

    Parameters
    ----------
    customers
        One row per customer, with a unique index (``customer_id``).
    segments
        The segment of each customer, as in `profile`; those not assigned are left out.
    variables
        What may be asked: numbers, yes/no values, categories, text with few values; ``None`` takes
        every such column but the weights. Give those that can be known of a new customer.
    weights
        How much each customer counts, as in `profile`, in what is learned and in how it is judged.
    max_conditions
        The most conditions of a rule, from 1 to 5.
    max_questions
        The most questions of the typing tool.
    holdout
        The share of each segment that is held out, above 0, at most .9.
    level
        Confidence level of the intervals (Wilson's).
    random_state
        The seed that decides who is held out; the order of the rows does not matter.

    Returns
    -------
    Membership
        With ``rules``, ``accuracy``, ``typing_tool``, ``confusion`` and ``customers``.

    Raises
    ------
    ColumnError
        If a named column is missing.
    DataError
        If labels and customers do not match, a segment has fewer than ten customers, there is only
        one, or a column cannot be asked for.
    ParameterError
        If a parameter is out of bounds.

    References
    ----------
    Fisher, R. A. (1936), Annals of Eugenics 7, 179-188 (the order of questions). Breiman, L.,
    Friedman, J., Olshen, R. & Stone, C. (1984), Classification and Regression Trees, Wadsworth.
    Clark, P. & Niblett, T. (1989), Machine Learning 3, 261-283.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> customers = pd.DataFrame({"orders": rng.integers(1, 13, 400)})
    >>> customers["age"] = rng.integers(20, 70, 400)
    >>> segments = np.where(customers["orders"] > 6, "often", "rarely")
    >>> found = describe_membership(customers, segments)
    >>> found.to_frame()[["kind", "segment", "rule", "precision"]]
       kind segment            rule  precision
    0  tree  rarely     orders <= 6        1.0
    1  tree   often      orders > 6        1.0
    2  list  rarely     orders <= 6        1.0
    3  list   often  everybody else        1.0
    >>> new = pd.DataFrame({"orders": [2, 11]}, index=["Ada", "Ben"])
    >>> found.typing_tool.assign(new)["segment"].tolist()
    ['rarely', 'often']
    """
    check_number(max_conditions, "max_conditions", ge=1, le=5, integer=True)
    check_number(max_questions, "max_questions", ge=1, integer=True)
    check_number(holdout, "holdout", gt=0, le=0.9)
    check_number(level, "level", gt=0, lt=1)
    check_number(random_state, "random_state", ge=0, integer=True)
    read = read_customers(customers, segments)
    asked_of = customers if variables is not None else without_weights(customers, weights)
    names = column_names(asked_of, variables)
    _check_sizes(read.codes, read.names)
    counts, weighted = read_weights(weights, customers, read.frame.index)
    columns = read_columns(read.frame, names)
    rng = np.random.default_rng(random_state)
    held_out, folds = draw(read.codes, holdout, rng)
    learning = np.flatnonzero(~held_out)
    learners = sample(read.codes, learning, rng)
    judged = np.flatnonzero(held_out)

    k = len(read.names)
    own = [column._replace(values=column.values[learners]) for column in columns]
    learned, part = read.codes[learners], counts[learners]
    tree = grow_tree(own, learned, part, max_depth=max_conditions, seed=random_state)
    rules = rule_list(own, learned, part, k, max_conditions=max_conditions, max_rules=MAX_RULES)
    others = [column._replace(values=column.values[judged]) for column in columns]
    truth, w = read.codes[judged], counts[judged]
    caught = {"tree": _apply(tree, others), "list": _apply(rules, others)}
    table = pd.concat(
        [
            _judge(kind, ways, caught[kind], columns, truth, w, read.names, level)
            for kind, ways in (("tree", tree), ("list", rules))
        ],
        ignore_index=True,
    )

    asked, answers = ask(columns, read.codes, learners, counts)
    order = order_questions(answers, read.codes, learners, folds, k, most=max_questions)
    steps = []
    for n in range(1, len(order) + 1):
        chance = place_out_of_fold(answers, read.codes, learners, folds, order[:n])
        right = chance[learners].argmax(axis=1) == learned
        steps.append(Step(tuple(order[:n]), right))
    fewest = enough(steps, part).questions
    tool = _typing_tool(fewest, asked, answers, learners, read)
    typed = tool.assign(read.frame.iloc[judged])["segment"].cat.codes.to_numpy()
    rule = learn_points(answers, read.codes, learners, order)
    whole = place(answers, rule, judged, order).argmax(axis=1)
    sizes = np.bincount(read.codes[learning], weights=counts[learning])
    largest = np.full(len(truth), sizes.argmax())
    told = {
        "rule tree": np.array([segment for _, segment in tree])[caught["tree"]],
        "rule list": np.array([segment for _, segment in rules])[caught["list"]],
        "typing tool": typed,
        "all questions": whole,
        "largest segment": largest,
    }
    people = in_between(chance, read)
    people["held_out"] = pd.array(held_out, dtype="boolean")
    if weights is not None:
        people["weight"] = counts
    return Membership(
        rules=table,
        accuracy=_accuracy(told, truth, w, level),
        questions=_questions(steps, part, len(fewest), names),
        typing_tool=tool,
        confusion=_confusion(truth, typed, read.names, None if weights is None else w),
        customers=people.reindex(customers.index),
        level=level,
        notes=(*_notes(columns, learning, learners, judged), *read.notes, *weighted),
    )


def _check_sizes(codes: Codes, names: Sequence[str]) -> None:
    sizes = np.bincount(codes, minlength=len(names))
    if len(names) < 2:
        raise DataError(f"there is one segment only, {names[0]!r}: nothing tells it from others.")
    few = [name for name, n in zip(names, sizes, strict=True) if n < FEWEST]
    if few:
        raise DataError(
            f"fewer than {FEWEST} customers are in {listed(few)}: too few to learn from some "
            "and judge on others. Merge or leave out such segments."
        )


def _apply(rules: Sequence[Rule], columns: Sequence[Column]) -> Codes:
    """Return the first rule that holds for each customer."""
    found = np.full(len(columns[0].values), -1)
    for position, (conditions, _) in enumerate(rules):
        found[(found < 0) & holds(conditions, columns)] = position
    return found


def _judge(
    kind: str,
    rules: Sequence[Rule],
    caught: Codes,
    columns: Sequence[Column],
    truth: Codes,
    w: Vector,
    names: Sequence[str],
    level: float,
) -> pd.DataFrame:
    rows = []
    for position, (conditions, segment) in enumerate(rules):
        own, right = caught == position, truth == segment
        precision = one_group(right[own], w[own], level, is_share=True)
        coverage = w[own & right].sum() / w[right].sum()
        head = (kind, segment, words(conditions, columns))
        rows.append((*head, int(own.sum()), coverage, *precision))
    heads = ["kind", "segment", "rule", "n", "coverage", "precision", "ci_low", "ci_high"]
    table = pd.DataFrame(rows, columns=heads)
    table["segment"] = pd.Categorical.from_codes(table["segment"], list(names), ordered=True)
    return table


def _typing_tool(
    places: Sequence[int],
    asked: Sequence[Question],
    answers: Answers,
    learners: Codes,
    read: Assigned,
) -> TypingTool:
    """Return the typing tool of the chosen questions."""
    questions = tuple(asked[position] for position in places)
    rule = learn_points(answers, read.codes, learners, places)
    heads, points = [("(start)", "")], [rule.start]
    first = 0
    for question, position in zip(questions, places, strict=True):
        heads += [(question.column.name, answer) for answer in question.answers]
        block = rule.points[first : first + len(question.answers)]
        centre = answers.centre[answers.columns([position])]
        points += list(block - centre @ block)
        first += len(block)
    table = pd.DataFrame(heads, columns=["question", "answer"])
    table[list(read.names)] = np.array(points) - np.mean(points, axis=1, keepdims=True)
    return TypingTool(tuple(question.column.name for question in questions), table, questions)


def _accuracy(told: dict[str, Codes], truth: Codes, w: Vector, level: float) -> pd.DataFrame:
    rows = [
        (len(truth), *one_group(codes == truth, w, level, is_share=True)) for codes in told.values()
    ]
    index = pd.Index(told, name="method")
    return pd.DataFrame(rows, index=index, columns=["n", "accuracy", "ci_low", "ci_high"])


def _questions(
    steps: Sequence[Step], weights: Vector, fewest: int, names: Sequence[str]
) -> pd.DataFrame:
    index = pd.Index([names[step.questions[-1]] for step in steps], name="question")
    accuracy = [float(np.average(step.right, weights=weights)) for step in steps]
    return pd.DataFrame(
        {"accuracy": accuracy, "asked": np.arange(len(steps)) < fewest}, index=index
    )


def _confusion(
    truth: Codes, typed: Codes, names: Sequence[str], weights: Vector | None
) -> pd.DataFrame:
    k = len(names)
    counts = np.bincount(truth * k + typed, weights=weights, minlength=k * k).reshape(k, k)
    rows, heads = pd.Index(names, name="segment"), pd.Index(names, name="typed")
    return pd.DataFrame(counts, index=rows, columns=heads)


def _notes(
    columns: Sequence[Column],
    learning: Codes,
    learners: Codes,
    judged: Codes,
) -> list[str]:
    held_out = (
        f"accuracy, coverage and precision are those of {counted(len(judged), 'customer')} held "
        f"out; the other {len(learning):,} were learned from."
    )
    continuum = (
        "a segment that can be told from these columns is not thereby a real one: rules tell cuts "
        "through a continuum as well."
    )
    notes = [held_out, continuum]
    if len(learners) < len(learning):
        notes.append(
            f"rules, questions and points were learned from {len(learners):,} of them, a sample."
        )
    missing = {repr(c.name): int(np.isnan(c.values).sum()) for c in columns if c.gaps}
    if missing:
        most = sorted(missing, key=lambda name: -missing[name])[:3]
        shown = ", ".join(f"{name} ({missing[name]:,})" for name in most)
        more = f" and {len(missing) - len(most)} more" if len(missing) > len(most) else ""
        notes.append(
            f"missing values in {shown}{more}: a rule reads them as at most any cut, the typing "
            "tool as a question without an answer."
        )
    return notes
