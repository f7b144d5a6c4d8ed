"""What a campaign did, by segment, from any engine."""

from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.impact import Impact
from custseg.campaigns.metrics import Mean, Metric, Proportion
from custseg.campaigns.srm import SampleRatio, srm_test

__all__ = ["CampaignTest", "Impact", "Mean", "Metric", "Proportion", "SampleRatio", "srm_test"]
