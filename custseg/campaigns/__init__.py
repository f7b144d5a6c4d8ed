"""What a campaign did, by segment, from any engine."""

from custseg.campaigns.baselines import Baselines, baselines
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.impact import Impact
from custseg.campaigns.metrics import Mean, Metric, Proportion
from custseg.campaigns.power import (
    PowerAnalysis,
    minimum_detectable_effect,
    power,
    sample_size,
)
from custseg.campaigns.srm import SampleRatio, srm_test

__all__ = [
    "Baselines",
    "CampaignTest",
    "Impact",
    "Mean",
    "Metric",
    "PowerAnalysis",
    "Proportion",
    "SampleRatio",
    "baselines",
    "minimum_detectable_effect",
    "power",
    "sample_size",
    "srm_test",
]
