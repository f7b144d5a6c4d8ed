"""How much of a segmentation comes back when the customers are drawn again."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from custseg.clustering._inputs import check_customers, count_distinct
from custseg.clustering._naming import segment_names
from custseg.clustering.algorithms import as_seed, make_estimator
from custseg.errors import DataError, check_number, check_option
from custseg.evaluation._resamples import SCHEMES, Replicates, own_segments, resample
from custseg.evaluation.verdict import RECOVERED
from custseg.features.encoder import numeric_matrix
from custseg.results import Result, format_number

DISSOLVED = 0.5
CORE = 0.9
"""A core customer is put into the same segment by at least this share of the replicates."""


@dataclass(frozen=True, repr=False, eq=False)
class Stability(Result):
    """What comes back on resampling; made by `stability`.

    Parameters
    ----------
    segments
        One row per segment, see `stability`.
    ari
        The median adjusted Rand index between the pairs of replicates.
    pair_ari
        That index of every pair.
    replicates
        ``resample``, ``segment``, ``jaccard`` and ``slsw`` of every replicate: the Jaccard
        similarity of the segment with the most similar replicate segment, among the customers who
        were drawn (Hennig), and among all, assigned by the replicate's rule (segment level
        stability within solutions: Dolnicar & Leisch 2017).
    agreement
        By customer: the share of replicates that put the customer into the same segment as the
        full fit, segments matched one to one.
    core
        By customer: whether that share is .9 or more; the others are borderline customers.
    notes
        Caveats.
    """

    segments: pd.DataFrame
    ari: float
    pair_ari: pd.Series
    replicates: pd.DataFrame
    agreement: pd.Series
    core: pd.Series
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "evaluation.stability"

    def to_frame(self) -> pd.DataFrame:
        """Return ``segment``, ``n``, ``jaccard``, ``recovered`` and ``dissolved``."""
        return self.segments

    def by_segment(self) -> pd.DataFrame:
        """Return quartiles of both similarities by segment: the numbers of the box plots.

        Returns
        -------
        pandas.DataFrame
            One row per segment; ``jaccard`` and ``slsw``, each with ``25%``, ``50%`` and ``75%``.
        """
        groups = self.replicates.groupby("segment", sort=False)[["jaccard", "slsw"]]
        table = groups.quantile([0.25, 0.5, 0.75]).unstack()
        return table.set_axis(
            pd.MultiIndex.from_product([["jaccard", "slsw"], ["25%", "50%", "75%"]]), axis=1
        ).loc[self.segments["segment"]]

    def summary(self) -> str:
        """Return how firm the cut is, which segment is the weakest, and who is borderline."""
        weakest = self.segments.loc[self.segments["jaccard"].idxmin()]
        return (
            f"two resamples agree with a median adjusted Rand index of {format_number(self.ari)}; "
            f"the weakest of {len(self.segments)} segments is {weakest['segment']} with a mean "
            f"Jaccard similarity of {format_number(weakest['jaccard'])}; "
            f"{1 - self.core.mean():.0%} of customers are borderline"
        )


def stability(
    X: "pd.DataFrame | ArrayLike",
    estimator: Any,
    n_resamples: int = 100,
    scheme: str = "bootstrap",
    *,
    random_state: int | np.random.Generator | None = 0,
    progress: bool | None = None,
    n_jobs: int | None = None,
) -> Stability:
    """Draw the customers again and again, and see which segments come back.

    Each resample is clustered with as many starts as the full fit, without its centres. For the
    Jaccard similarity of a segment with the most similar replicate segment, the customers who were
    drawn are clustered and counted once each, as in fpc's ``clusterboot``: recovered is .75 or
    more, dissolved .5 or less. For the adjusted Rand index they are clustered as often as drawn;
    replicates one and two, three and four, … are pairs, whose assignments of all customers are
    compared.

    Parameters
    ----------
    X
        Customers x numeric variables on a comparable scale; a frame has unique customer ids as
        its index and is sorted by them.
    estimator
        A scikit-learn clusterer; it is cloned, and its random state is set where it has none.
    n_resamples
        The number of resamples.
    scheme
        ``"bootstrap"``: as many customers as there are, drawn with replacement. ``"subsample"``:
        half of them. ``"noise"``: all, but each with probability .05 is replaced by a point drawn
        evenly from the box of four standard deviations along the principal axes; only the others
        are compared.
    random_state
        A seed; the same seed gives the same answer for any number of threads.
    progress
        Whether to show a bar on stderr; ``None`` shows it on a terminal.
    n_jobs
        The number of threads; ``None`` takes every core.

    Returns
    -------
    Stability
        ``to_frame()`` has one row per segment, named in order of decreasing size: ``segment``,
        ``n``, ``jaccard`` (mean over resamples), ``recovered`` and ``dissolved`` (numbers of
        resamples); ``.ari`` the median over pairs; ``.replicates`` every similarity;
        ``.agreement`` a share by customer and ``.core`` whether it is .9 or more.

    Raises
    ------
    DataError
        If `X` is empty, has text, missing or infinite values, if all customers are identical, or
        a resample cannot be clustered.
    ParameterError
        If a parameter is out of bounds.

    References
    ----------
    Hennig (2007), Computational Statistics & Data Analysis 52, 258-271 (Jaccard similarity,
    recovered and dissolved; the schemes). Dolnicar & Leisch (2010), Marketing Letters 21, 83-101
    (pairs). Dolnicar & Leisch (2017), Marketing Letters 28, 423-436 (segment level stability).

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> X = pd.DataFrame({"visits": [1.0, 2.0, 1.0, 2.0, 30.0, 31.0, 32.0, 30.0, 31.0]})
    >>> stability(X, KMeans(2, n_init=10), n_resamples=20).to_frame()
      segment  n  jaccard  recovered  dissolved
    0       A  5      1.0         20          0
    1       B  4      1.0         20          0
    """
    check_number(n_resamples, "n_resamples", ge=2, integer=True)
    check_option(scheme, "scheme", SCHEMES)
    customers = pd.DataFrame(X)
    frame, names = check_customers(customers, list(customers.columns))
    seed = as_seed(random_state)
    clusterer = make_estimator(estimator, None, seed)
    matrix = numeric_matrix(frame)
    count_distinct(matrix, names)
    codes, n_segments = own_segments(clusterer, matrix)
    if n_segments < 2:
        raise DataError(f"the clusterer found {n_segments} segments; stability needs at least 2.")
    found = resample(
        matrix,
        {"only": (clusterer, codes)},
        n_resamples=n_resamples,
        seed=seed,
        scheme=scheme,
        progress=progress,
        n_jobs=n_jobs,
    )["only"]
    if found.reason:
        raise DataError(f"{found.reason}. Take fewer segments or more customers.")
    return _gathered(found, codes, frame.index, customers.index)


def _gathered(found: Replicates, codes: np.ndarray, ids: pd.Index, as_given: pd.Index) -> Stability:
    names = segment_names(int(codes.max()) + 1)
    similar = np.array(found.jaccards)
    table = pd.DataFrame(
        {
            "segment": names,
            "n": np.bincount(codes[codes >= 0]),
            "jaccard": np.nanmean(similar, axis=0),
            "recovered": (similar >= RECOVERED).sum(axis=0),
            "dissolved": (similar <= DISSOLVED).sum(axis=0),
        }
    )
    replicates = pd.DataFrame(
        {
            "resample": np.repeat(np.arange(len(similar)), len(names)),
            "segment": names * len(similar),
            "jaccard": similar.ravel(),
            "slsw": np.array(found.within).ravel(),
        }
    )
    agreement = pd.Series(found.agreement, index=ids, name="agreement").reindex(as_given)
    return Stability(
        segments=table,
        ari=float(np.median(found.ari)) if found.ari else float("nan"),
        pair_ari=pd.Series(found.ari, name="ari"),
        replicates=replicates,
        agreement=agreement,
        core=(agreement >= CORE).rename("core"),
        notes=(
            (
                f"stability tells how firm this cut is with {len(ids):,} customers, not whether "
                "segments have gaps between them: a cut through a continuum can be firm."
            ),
        ),
    )
