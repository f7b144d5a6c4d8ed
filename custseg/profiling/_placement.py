"""Where the columns put customers who were not learned from, and who is in between."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg.profiling._columns import Column, Vector
from custseg.profiling._customers import Assigned
from custseg.profiling._discriminant import (
    Answers,
    Codes,
    Matrix,
    Question,
    answers_of,
    as_question,
    order_questions,
)
from custseg.profiling._logistic import place_out_of_fold

LEARN = 5_000
FOLDS = 5
FEW = 30
ODDS = 2.0
"""A customer is borderline when the odds of the own segment against the next are below this."""


def ask(
    columns: Sequence[Column], segments: Codes, rows: Codes, weights: Vector
) -> tuple[list[Question], Answers]:
    """Return what can be asked, as learned from some rows, and the answers of everybody."""
    asked = [
        as_question(column._replace(values=column.values[rows]), segments[rows], weights[rows])
        for column in columns
    ]
    return asked, Answers(answers_of(asked, columns), [len(q.answers) for q in asked], weights)


def draw(codes: Codes, holdout: float, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Codes]:
    """Return who is held out, and a fold for everybody, both in equal parts of each segment."""
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    rank = np.empty(len(codes), dtype=np.int64)
    rank[order] = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = np.minimum(np.maximum(np.rint(holdout * sizes), 1), sizes - FOLDS).astype(int)
    return rank < kept[codes], rank % FOLDS


def sample(codes: Codes, rows: Codes, rng: np.random.Generator) -> Codes:
    """Return up to `LEARN` of some customers, thirty of every segment among them if there are."""
    drawn = pd.Series(rng.permutation(rows))
    rank = drawn.groupby(codes[drawn]).cumcount()
    order = np.argsort(rank >= FEW, kind="stable")
    return np.sort(drawn.to_numpy()[order][:LEARN])


def in_between(chance: Matrix, read: Assigned) -> pd.DataFrame:
    """Return by customer how sure the segment is, which one is the next, and who is in between.

    A customer who is alone in a segment is not: nothing was learned about the segment without.

    Parameters
    ----------
    chance
        Customers x segments: probabilities that were learned without the customer.
    read
        The customers and their segments.
    """
    every = np.arange(len(read.codes))
    alone = np.bincount(read.codes)[read.codes] == 1
    others = chance.copy()
    others[every, read.codes] = -1.0
    second = others.argmax(axis=1)
    own, next_best = chance[every, read.codes], others[every, second]
    return pd.DataFrame(
        {
            "segment": read.segments,
            "probability": own,
            "second": pd.Categorical.from_codes(second, list(read.names), ordered=True),
            "second_probability": next_best,
            "borderline": pd.array((own < ODDS * next_best) & ~alone, dtype="boolean"),
        },
        index=read.frame.index,
    )


def place_all(
    columns: Sequence[Column], read: Assigned, weights: Vector, *, most: int, seed: int
) -> pd.DataFrame:
    """Return what `in_between` does by the questions that tell most, learned from a sample."""
    rng = np.random.default_rng(seed)
    _, folds = draw(read.codes, 0.5, rng)
    rows = sample(read.codes, np.arange(len(read.codes)), rng)
    _, answers = ask(columns, read.codes, rows, weights)
    questions = order_questions(answers, read.codes, rows, folds, len(read.names), most=most)
    return in_between(place_out_of_fold(answers, read.codes, rows, folds, questions), read)


def positions(columns: Sequence[Column], weights: Vector) -> list[Column]:
    """Return quantities as the share of customers below, so that no outlier counts for many."""
    found = []
    for column in columns:
        if column.kind == "level":
            found.append(column)
        else:
            known = ~np.isnan(column.values)
            distinct, place = np.unique(column.values[known], return_inverse=True)
            own = np.bincount(place, weights=weights[known], minlength=len(distinct))
            ranks = np.full(len(known), np.nan)
            ranks[known] = ((np.cumsum(own) - own + (own + 1) / 2) / own.sum())[place]
            found.append(column._replace(values=ranks))
    return found


def mean_dissimilarity(spaces: Sequence[Column], rows: Codes, weights: Vector) -> Vector:
    """Return the mean dissimilarity of each of some customers to all of them.

    That of two customers is the mean over columns of the share of all customers who stand between
    them (numbers and ordered levels) or of whether their levels differ: Gower's, with ranks. A
    value that is missing counts as average. Exact, from sorted values and counts.

    Parameters
    ----------
    spaces
        As `positions` returns them.
    rows
        The positions of the customers.
    weights
        How much each of all customers counts.

    References
    ----------
    Gower, J. C. (1971), Biometrics 27, 857-871. Podani, J. (1999), Taxon 48, 331-340 (ranks).
    """
    total = np.zeros(len(rows))
    for column in spaces:
        values = column.values[rows]
        missing = np.isnan(values)
        known, w = values[~missing], weights[rows][~missing]
        if not len(known):
            continue
        if column.kind == "level":
            counts = np.bincount(known.astype(int), weights=w, minlength=len(column.levels))
            found = 1 - counts[np.nan_to_num(values).astype(int)] / w.sum()
        else:
            order = np.argsort(known, kind="stable")
            heads = np.concatenate([[0.0], np.cumsum(w[order])])
            sums = np.concatenate([[0.0], np.cumsum(w[order] * known[order])])
            place = np.searchsorted(known[order], values)
            above = sums[-1] - sums[place] - values * (heads[-1] - heads[place])
            found = (values * heads[place] - sums[place] + above) / heads[-1]
        found[missing] = np.average(found[~missing], weights=w)
        total += found
    return total / len(spaces)
