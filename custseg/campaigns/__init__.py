"""What a campaign did, by segment, from any engine."""

from custseg.campaigns.aa import AASimulation, aa_simulation
from custseg.campaigns.assignment import Assignment
from custseg.campaigns.balance import Balance
from custseg.campaigns.baselines import Baselines, baselines
from custseg.campaigns.design import CampaignDesign
from custseg.campaigns.distributions import Quantile, Rank
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.impact import Impact
from custseg.campaigns.metrics import Mean, Metric, Proportion
from custseg.campaigns.plan import Action, ActionPlan
from custseg.campaigns.planned import PlannedActions
from custseg.campaigns.power import (
    PowerAnalysis,
    minimum_detectable_effect,
    power,
    sample_size,
)
from custseg.campaigns.ratio import Ratio
from custseg.campaigns.srm import SampleRatio, srm_test
from custseg.campaigns.traffic import Duration, customers_by_day, duration

__all__ = [
    "AASimulation",
    "Action",
    "ActionPlan",
    "Assignment",
    "Balance",
    "Baselines",
    "CampaignDesign",
    "CampaignTest",
    "Duration",
    "Impact",
    "Mean",
    "Metric",
    "PlannedActions",
    "PowerAnalysis",
    "Proportion",
    "Quantile",
    "Rank",
    "Ratio",
    "SampleRatio",
    "aa_simulation",
    "baselines",
    "customers_by_day",
    "duration",
    "minimum_detectable_effect",
    "power",
    "sample_size",
    "srm_test",
]
