"""How often customers are put together when the customers are drawn again."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from custseg.clustering._inputs import check_customers, count_distinct
from custseg.clustering._naming import as_segments, segment_names
from custseg.clustering.algorithms import as_seed, make_estimator
from custseg.errors import DataError, check_number
from custseg.evaluation._parallel import run
from custseg.evaluation._resamples import FAILURES, fit_labels, own_segments
from custseg.features.encoder import numeric_matrix
from custseg.results import Result, format_number

LARGEST = 10_000
UNSURE = (0.1, 0.9)
NOTE = (
    "consensus says how firm a cut is; resamples of data without groups agree on cuts too, and the "
    "matrix then shows blocks."
)


@dataclass(frozen=True, repr=False, eq=False)
class Consensus(Result):
    """How often customers are put together; made by `consensus_matrix`.

    Parameters
    ----------
    matrix
        Customers x customers: of the resamples that hold both, the share that puts them together.
    segments
        The segments of the full fit by customer.
    by_segment
        ``segment``, ``n``, ``within`` (mean consensus of its pairs), ``nearest`` (the other segment
        with the largest mean consensus) and ``between`` (that mean).
    pac
        The proportion of ambiguous clustering: the share of pairs with a consensus between .1 and
        .9.
    notes
        Caveats.
    """

    matrix: pd.DataFrame
    segments: pd.Series
    by_segment: pd.DataFrame
    pac: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "solutions.consensus"

    def to_frame(self) -> pd.DataFrame:
        """Return mean consensus by segment."""
        return self.by_segment

    def summary(self) -> str:
        """Return how many pairs are ambiguous, and which segment holds together least."""
        weakest = self.by_segment.loc[self.by_segment["within"].idxmin()]
        return (
            f"{self.pac:.0%} of pairs of customers are together in between {UNSURE[0]:.0%} and "
            f"{UNSURE[1]:.0%} of resamples; {weakest['segment']} holds together least (mean "
            f"consensus {format_number(weakest['within'])})"
        )


def consensus_matrix(
    X: "pd.DataFrame | ArrayLike",
    estimator: Any,
    n_resamples: int = 100,
    *,
    share: float = 0.8,
    random_state: int | np.random.Generator | None = 0,
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> Consensus:
    """Count how often two customers are put together when a part of the customers is drawn.

    Parameters
    ----------
    X
        Customers x numeric variables on a comparable scale, at most 10,000 customers; a frame has
        unique customer ids as its index and is sorted by them.
    estimator
        A scikit-learn clusterer; it is cloned, and its random state is set where it has none.
    n_resamples
        The number of resamples.
    share
        The share of customers in each, drawn without replacement.
    random_state
        A seed; the same seed gives the same answer for any number of threads.
    progress
        Whether to show a bar on stderr; ``None`` shows it on a terminal.
    n_jobs
        The number of threads; ``None`` takes every core.

    Returns
    -------
    Consensus
        With ``matrix`` (float32, customers in the order of `X`), ``by_segment`` and ``pac``.

    Raises
    ------
    DataError
        If there are too many customers, `X` is empty, has text, missing or infinite values, all
        customers are identical, or a resample cannot be clustered.
    ParameterError
        If a parameter is out of bounds.

    References
    ----------
    Monti et al. (2003), Machine Learning 52, 91-118. Senbabaoglu, Michailidis & Li (2014),
    Scientific Reports 4, 6207 (PAC, and why a matrix of noise looks structured).

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> X = pd.DataFrame({"visits": [1.0, 2.0, 1.0, 2.0, 30.0, 31.0, 32.0, 30.0, 31.0]})
    >>> consensus_matrix(X, KMeans(2, n_init=10), 20).to_frame()
      segment  n  within nearest  between
    0       A  5     1.0       B      0.0
    1       B  4     1.0       A      0.0
    """
    check_number(n_resamples, "n_resamples", ge=2, integer=True)
    check_number(share, "share", gt=0, lt=1)
    seed = as_seed(random_state)
    customers = pd.DataFrame(X)
    frame, names = check_customers(customers, list(customers.columns))
    n = len(frame)
    if n > LARGEST:
        raise DataError(
            f"there are {n:,} customers, but the square of their pairs is kept for at most "
            f"{LARGEST:,}. Take a sample: X.sample({LARGEST // 2}, random_state=0)."
        )
    matrix = numeric_matrix(frame)
    count_distinct(matrix, names)
    clusterer = make_estimator(estimator, None, seed)
    codes, n_segments = own_segments(clusterer, matrix)

    def labels_of(draw: int) -> NDArray[np.integer]:
        rng = np.random.default_rng([seed, draw])
        counts = np.zeros(n, dtype=int)
        counts[rng.permutation(n)[: max(2, round(share * n))]] = 1
        try:
            labels = fit_labels(clusterer, matrix, counts, int(rng.integers(2**32)))
        except FAILURES as error:
            raise DataError(f"a resample could not be clustered: {error}") from error
        return np.where(counts > 0, labels, -2)

    together = np.zeros((n, n), dtype=np.float32)
    seen = np.zeros((n, n), dtype=np.float32)
    tasks = run(labels_of, range(n_resamples), label="resamples", progress=progress, n_jobs=n_jobs)
    for labels in tasks:
        drawn = (labels > -2).astype(np.float32)
        seen += np.outer(drawn, drawn)
        members = (labels[:, None] == np.unique(labels[labels >= 0])).astype(np.float32)
        together += members @ members.T
    consensus = together / np.maximum(seen, 1)
    np.fill_diagonal(consensus, 1)
    order = frame.index.get_indexer(customers.index)
    pairs = consensus[np.triu_indices(n, 1)]
    return Consensus(
        matrix=pd.DataFrame(
            consensus[np.ix_(order, order)], index=customers.index, columns=customers.index
        ),
        segments=as_segments(codes, segment_names(n_segments), frame.index).reindex(
            customers.index
        ),
        by_segment=_by_segment(consensus, codes, n_segments),
        pac=float(((pairs > UNSURE[0]) & (pairs < UNSURE[1])).mean()),
        notes=(NOTE,),
    )


def _by_segment(
    consensus: NDArray[np.floating], codes: NDArray[np.integer], n_segments: int
) -> pd.DataFrame:
    members = [codes == segment for segment in range(n_segments)]
    size = np.array([own.sum() for own in members])
    means = np.array(
        [[consensus[np.ix_(one, other)].mean() for other in members] for one in members]
    )
    pairs = np.maximum(size * (size - 1), 1)
    within = np.where(size > 1, (np.diagonal(means) * size**2 - size) / pairs, 1.0)
    np.fill_diagonal(means, -1)
    names = np.array(segment_names(n_segments))
    return pd.DataFrame(
        {
            "segment": names,
            "n": size,
            "within": within,
            "nearest": names[means.argmax(axis=1)],
            "between": means.max(axis=1),
        }
    )
