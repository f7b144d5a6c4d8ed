"""Points per answer that add up to a segment: multinomial logistic regression of answers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from custseg.profiling._columns import Vector
from custseg.profiling._discriminant import CHUNK, Answers, Codes, Matrix, Points, probabilities

WORTH = 0.005
"""What a question must add to the share of customers put right."""


def learn_points(
    answers: Answers, segments: Codes, rows: Codes, questions: Sequence[int]
) -> Points:
    """Return the points of every answer to some questions, learned from some customers.

    A ridge penalty of half the squared points (on the log likelihood of all customers) keeps them
    finite where an answer tells a segment for certain. Customers of one segment only give it to
    everybody.
    """
    k = int(segments.max()) + 1
    width = len(answers.columns(questions))
    start, points = np.full(k, -np.inf), np.zeros((width, k))
    only = segments[rows[0]]
    if (segments[rows] == only).all():
        start[only] = 0.0
        return Points(start, points)
    model = LogisticRegression(tol=1e-3, max_iter=500)
    with threadpool_limits(limits=1):
        model.fit(
            answers.matrix(rows, questions), segments[rows], sample_weight=answers.weights[rows]
        )
    coef, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        coef, intercept = np.vstack([-coef, coef]) / 2, np.append(-intercept, intercept) / 2
    start[model.classes_] = intercept
    points[:, model.classes_] = coef.T
    return Points(start, points)


def place(answers: Answers, rule: Points, rows: Codes, questions: Sequence[int]) -> Matrix:
    """Return the probability of each segment for some customers."""
    parts = [
        answers.matrix(rows[start : start + CHUNK], questions) @ rule.points + rule.start
        for start in range(0, len(rows), CHUNK)
    ]
    return probabilities(np.concatenate(parts))


def place_out_of_fold(
    answers: Answers, segments: Codes, rows: Codes, folds: Codes, questions: Sequence[int]
) -> Matrix:
    """Return the probabilities of every customer, learned from `rows` of the other folds."""
    found = np.empty((len(segments), int(segments.max()) + 1))
    for fold in range(folds.max() + 1):
        rule = learn_points(answers, segments, rows[folds[rows] != fold], questions)
        own = np.flatnonzero(folds == fold)
        found[own] = place(answers, rule, own, questions)
    return found


class Step(NamedTuple):
    """The questions so far, and whether each customer who is judged is then put right."""

    questions: tuple[int, ...]
    right: NDArray[np.bool_]


def enough(steps: Sequence[Step], weights: Vector) -> Step:
    """Return the first step that is right about as often as the best one.

    About as often: what is lost, the mean of the differences customer by customer, is within one
    standard error or under half a point.
    """
    part = weights / weights.sum()
    right = np.array([step.right for step in steps], dtype=float)
    lost = right[(right @ part).argmax()] - right
    mean = lost @ part
    errors = np.sqrt((lost - mean[:, None]) ** 2 @ part**2)
    return steps[int(np.argmax(mean <= np.maximum(errors, WORTH)))]
