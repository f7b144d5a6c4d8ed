"""Which algorithms divide customers, and the model that makes segments of what they find."""

from custseg.clustering.algorithms import ALGORITHMS, Algorithm
from custseg.clustering.consensus import Consensus
from custseg.clustering.gamma import GammaSweep, gamma_sweep
from custseg.clustering.kmeans import KMeans
from custseg.clustering.kmedoids import KMedoids
from custseg.clustering.kmodes import KModes
from custseg.clustering.kprototypes import KPrototypes
from custseg.clustering.large import BatchFit, SampleFit, fit_in_batches, fit_on_sample
from custseg.clustering.latent_class import LatentClass
from custseg.clustering.model import SegmentationModel
from custseg.clustering.rules import RFMRules
from custseg.clustering.storage import load_model, read_manifest
from custseg.clustering.three_step import ThreeStep, three_step
from custseg.clustering.tree_rules import TreeRules

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "BatchFit",
    "Consensus",
    "GammaSweep",
    "KMeans",
    "KMedoids",
    "KModes",
    "KPrototypes",
    "LatentClass",
    "RFMRules",
    "SampleFit",
    "SegmentationModel",
    "ThreeStep",
    "TreeRules",
    "fit_in_batches",
    "fit_on_sample",
    "gamma_sweep",
    "load_model",
    "read_manifest",
    "three_step",
]
