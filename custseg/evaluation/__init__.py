"""Is a segmentation real, how many segments, and how firm are they."""

from custseg.evaluation.across import StabilityAcross, stability_across
from custseg.evaluation.compare import compare_segmentations
from custseg.evaluation.consensus import Consensus, consensus_matrix
from custseg.evaluation.evidence import Evidence
from custseg.evaluation.gaps import Gaps, Natural, gaps, natural
from custseg.evaluation.indices import Indices, indices
from custseg.evaluation.over_k import OverK, gap_statistic, instability, prediction_strength
from custseg.evaluation.references import NullReferences, null_references
from custseg.evaluation.silhouette import Silhouettes, silhouettes
from custseg.evaluation.stability import Stability, stability
from custseg.evaluation.verdict import Verdict
from custseg.evaluation.views import Clustergram, Gorge, clustergram, gorge

__all__ = [
    "Clustergram",
    "Consensus",
    "Evidence",
    "Gaps",
    "Gorge",
    "Indices",
    "Natural",
    "NullReferences",
    "OverK",
    "Silhouettes",
    "Stability",
    "StabilityAcross",
    "Verdict",
    "clustergram",
    "compare_segmentations",
    "consensus_matrix",
    "gap_statistic",
    "gaps",
    "gorge",
    "indices",
    "instability",
    "natural",
    "null_references",
    "prediction_strength",
    "silhouettes",
    "stability",
    "stability_across",
]
