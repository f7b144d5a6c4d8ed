"""What speaks for which segmentation: every candidate measured, and a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from custseg.clustering import SegmentationModel
from custseg.clustering.algorithms import algorithm_name
from custseg.errors import ParameterError, check_option
from custseg.evaluation.gaps import Gaps
from custseg.evaluation.verdict import Verdict
from custseg.results import Result

SHOWN = (
    *("algorithm", "natural", "border_ratio", "ari", "jaccard_min", "silhouette"),
    *("silhouette_z", "explained", "p_family", "describability", "smallest_share", "reason"),
)


@dataclass(frozen=True, repr=False, eq=False)
class Evidence(Result):
    """What speaks for which segmentation; made by `compare_segmentations`.

    Parameters
    ----------
    candidates
        One row per algorithm and k, see `to_frame`.
    verdict
        The answer: ``kind``, ``k``, ``algorithm``, ``reason``.
    n_customers, n_measured
        The number of customers, and of those it rests on.
    variables
        The columns that were segmented by.
    pair_ari
        ``algorithm``, ``k``, ``ari`` of every pair of resamples.
    null_draws
        ``algorithm``, ``k`` and the indices of every null table.
    labelings
        The segments of the customers it rests on, one column per candidate, as `silhouettes`,
        `indices`, `clustergram` and `stability_across` take them.
    gaps
        From candidate to `Gaps`: the border between every segment and its nearest neighbour, with a
        picture of each.
    min_share
        The least share of customers in the smallest segment of a recommended candidate.
    algorithms, encoder, random_state
        As they were given, for `model`.
    notes
        Caveats.
    """

    candidates: pd.DataFrame
    verdict: Verdict
    n_customers: int
    n_measured: int
    variables: tuple[str, ...]
    pair_ari: pd.DataFrame
    null_draws: pd.DataFrame
    labelings: pd.DataFrame
    gaps: Mapping[str, Gaps]
    min_share: float
    algorithms: tuple[Any, ...]
    encoder: Any
    random_state: int
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "evaluation.evidence"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per algorithm and k.

        Returns
        -------
        pandas.DataFrame
            ``algorithm``; ``k``: segments; ``ari``: median adjusted Rand index between pairs of
            resamples; ``jaccard``, ``jaccard_min``: mean over resamples, over all segments and of
            the weakest one; ``within_ss``: sum of squares within segments, in encoded units;
            ``explained``: its complement as a share of the total; ``silhouette``, ``separation``,
            ``calinski_harabasz`` and ``davies_bouldin`` as in `indices`; each of the last five with
            ``..._null``: its mean over null tables, ``..._z``: how far from it in their standard
            deviations, positive for more structure, and ``p_...``; ``p_family``: that of
            ``explained`` for all candidates together; ``natural``: whether every border is a gap,
            no segment is hollow, and that is more than chance; ``border_ratio``: how crowded the
            fullest border is, compared with the emptier centre beside it; ``p_border``: of all
            borders together; ``describability``: the share of customers
            whose segment a tree of depth 3 tells, out of sample; ``smallest_share``: of the
            customers; ``reason``: why a candidate is not recommended, or empty; ``seconds``.
        """
        return self.candidates

    def _shown(self) -> pd.DataFrame:
        return self.candidates.set_index("k")[list(SHOWN)]

    def summary(self) -> str:
        """Return the verdict and why."""
        return f"{self.verdict.kind}: {self.verdict.reason}"

    def model(
        self, algorithm: Any = None, k: int | None = None, *, order_by: str | None = None
    ) -> SegmentationModel:
        """Return an unfitted model of a candidate.

        Parameters
        ----------
        algorithm
            A name as in the column ``algorithm``; ``None`` takes the recommended one, or the only
            one.
        k
            The number of segments; ``None`` takes the recommended one.
        order_by
            As in `custseg.SegmentationModel`.

        Returns
        -------
        custseg.SegmentationModel
            With the variables, the encoder and the seed of this evidence; fitted on the same
            customers it finds the segments that were measured.

        Raises
        ------
        ParameterError
            If `k` is not given and the verdict is "none", or there is no such algorithm.
        """
        if k is None:
            k = self.verdict.k
        if k is None:
            raise ParameterError(
                f"the verdict is {self.verdict.kind!r}, so no number of segments is recommended: "
                f"{self.verdict.reason} To go on all the same, choose one: evidence.model(k=3)."
            )
        named = {algorithm_name(entry): entry for entry in self.algorithms}
        if algorithm is None:
            algorithm = self.verdict.algorithm or next(iter(named))
        check_option(algorithm, "algorithm", list(named))
        return SegmentationModel(
            named[algorithm],
            n_segments=k,
            variables=list(self.variables),
            encoder=self.encoder,
            order_by=order_by,
            random_state=self.random_state,
        )
