"""Which algorithms divide customers, and the model that makes segments of what they find."""

from custseg.clustering.algorithms import ALGORITHMS, Algorithm
from custseg.clustering.gamma import GammaSweep, gamma_sweep
from custseg.clustering.kmodes import KModes
from custseg.clustering.kprototypes import KPrototypes
from custseg.clustering.latent_class import LatentClass
from custseg.clustering.model import SegmentationModel
from custseg.clustering.storage import load_model, read_manifest
from custseg.clustering.three_step import ThreeStep, three_step

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "GammaSweep",
    "KModes",
    "KPrototypes",
    "LatentClass",
    "SegmentationModel",
    "ThreeStep",
    "gamma_sweep",
    "load_model",
    "read_manifest",
    "three_step",
]
