"""Which algorithms divide customers, and the model that makes segments of what they find."""

from custseg.clustering.algorithms import ALGORITHMS, Algorithm
from custseg.clustering.model import SegmentationModel

__all__ = ["ALGORITHMS", "Algorithm", "SegmentationModel"]
