"""Is a segmentation real, how many segments, and how firm are they."""

from custseg.evaluation.compare import compare_segmentations
from custseg.evaluation.evidence import Evidence
from custseg.evaluation.indices import Indices, indices
from custseg.evaluation.silhouette import Silhouettes, silhouettes
from custseg.evaluation.stability import Stability, stability
from custseg.evaluation.verdict import Verdict

__all__ = [
    "Evidence",
    "Indices",
    "Silhouettes",
    "Stability",
    "Verdict",
    "compare_segmentations",
    "indices",
    "silhouettes",
    "stability",
]
