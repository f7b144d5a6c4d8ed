"""How clusters of several runs become segments: which of them mean the same, and the vote."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import squareform

Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_ROUNDS = 100


@dataclass(frozen=True)
class Ballots:
    """Who is in which cluster of which run.

    Parameters
    ----------
    members
        Customers x clusters of all runs, a one where the customer is in the cluster.
    first
        Where the clusters of each run begin, and where the last one's end.
    """

    members: sparse.csr_array
    first: Integers

    @classmethod
    def of(cls, codes: Integers, sizes: list[int]) -> "Ballots":
        """Return the ballots of customers x runs of cluster numbers, -1 for a run without a vote.

        Parameters
        ----------
        codes
            Customers x runs.
        sizes
            The number of clusters of each run.
        """
        first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows, runs = np.nonzero(codes >= 0)
        places = codes[rows, runs] + first[runs]
        shape = (len(codes), int(first[-1]))
        return cls(sparse.csr_array((np.ones(len(rows)), (rows, places)), shape=shape), first)

    def vote(self, segments: Integers, n_segments: int) -> Matrix:
        """Return the share of votes for each segment, customers x segments.

        Parameters
        ----------
        segments
            The segment of each cluster of all runs.
        n_segments
            The number of segments.
        """
        votes = self.members @ (segments[:, None] == np.arange(n_segments)).astype(float)
        return votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)


def same_customers(ballots: Ballots, weights: Matrix, n_segments: int) -> Integers:
    """Return the segment of each cluster of all runs: clusters of the same customers together.

    Two clusters are as similar as their customers are on average: the mean, over all pairs of a
    customer of one and a customer of the other, of the share of runs that put the pair together
    (evidence accumulation), relative to the same mean within each. Clusters are merged by average
    linkage. Nothing of the size customers x customers is made.

    Parameters
    ----------
    ballots
        Who is in which cluster.
    weights
        How many customers each row stands for.
    n_segments
        The number of segments.
    """
    members = ballots.members
    together = (members.T @ sparse.diags_array(weights) @ members).toarray()
    if len(together) <= n_segments:
        return np.arange(len(together))
    shares = together / np.maximum(np.diag(together), np.finfo(float).tiny)[:, None]
    pairs = shares @ shares.T
    within = np.sqrt(np.maximum(np.diag(pairs), np.finfo(float).tiny))
    apart = np.maximum(1 - pairs / np.outer(within, within), 0)
    apart = (apart + apart.T) / 2
    np.fill_diagonal(apart, 0)
    merged = linkage(squareform(apart, checks=False), "average")
    return fcluster(merged, n_segments, "maxclust").astype(np.int64) - 1


def match(
    ballots: Ballots, weights: Matrix, segments: Integers, n_segments: int
) -> tuple[Integers, int]:
    """Return the segment of each cluster after rounds of voting and matching, and their number.

    In each round every run's clusters are matched to the segments of the last vote, one to one
    as long as there are segments left, so that as many votes as possible agree; the consensus of
    least squares is the mean of the matched runs (Dimitriadou, Weingessel & Hornik 2002).

    Parameters
    ----------
    ballots, weights, n_segments
        As in `same_customers`.
    segments
        Where to begin.
    """
    for rounds in range(1, MAX_ROUNDS):
        shares = ballots.vote(segments, n_segments) * weights[:, None]
        overlap = ballots.members.T @ shares
        found = overlap.argmax(axis=1)
        for begin, end in pairwise(ballots.first):
            rows, columns = linear_sum_assignment(overlap[begin:end], maximize=True)
            found[begin + rows] = columns
        if np.array_equal(found, segments):
            return segments, rounds
        segments = found
    return segments, MAX_ROUNDS


def winners(shares: Matrix) -> Integers:
    """Return the segment with the most votes, the first of equal ones; -1 where nobody voted."""
    return np.where(shares.max(axis=1) > 0, shares.argmax(axis=1), -1)


def without_empty(
    ballots: Ballots, weights: Matrix, segments: Integers, n_segments: int
) -> tuple[Integers, int]:
    """Return the segments and their number after those that win nobody are given up.

    Their clusters go to the segment that most of their customers are in.
    """
    while True:
        labels = winners(ballots.vote(segments, n_segments))
        won = (labels[:, None] == np.arange(n_segments)) * weights[:, None]
        kept = np.flatnonzero(won.sum(axis=0))
        if len(kept) == n_segments:
            return segments, n_segments
        place = np.full(n_segments, -1)
        place[kept] = np.arange(len(kept))
        instead = (ballots.members.T @ won[:, kept]).argmax(axis=1)
        segments = np.where(place[segments] >= 0, place[segments], instead)
        n_segments = len(kept)
