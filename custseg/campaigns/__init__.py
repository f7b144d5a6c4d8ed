"""What a campaign did, by segment, from any engine."""

from custseg.campaigns._action import Action
from custseg.campaigns._beside_segments import SideBySide
from custseg.campaigns._crossfit import Learner
from custseg.campaigns.aa import AASimulation, aa_simulation
from custseg.campaigns.assignment import Assignment
from custseg.campaigns.balance import Balance
from custseg.campaigns.baselines import Baselines, baselines
from custseg.campaigns.checks import Checks
from custseg.campaigns.decision import Decision
from custseg.campaigns.design import CampaignDesign
from custseg.campaigns.distributions import Quantile, Rank
from custseg.campaigns.effect_tree import EffectSegments, effect_segments
from custseg.campaigns.effects import CampaignTest
from custseg.campaigns.impact import Impact
from custseg.campaigns.looks import GroupSequential, group_sequential
from custseg.campaigns.metrics import Mean, Metric, Proportion
from custseg.campaigns.observational import ObservedEffects, observational_effect
from custseg.campaigns.panels import DifferenceInDifferences, difference_in_differences
from custseg.campaigns.peeking import Sequential, sequential
from custseg.campaigns.plan import ActionPlan
from custseg.campaigns.planned import PlannedActions
from custseg.campaigns.policy import PolicyValue
from custseg.campaigns.power import (
    PowerAnalysis,
    minimum_detectable_effect,
    power,
    sample_size,
)
from custseg.campaigns.ratio import Ratio
from custseg.campaigns.srm import SampleRatio, srm_test
from custseg.campaigns.targeting import policy_value
from custseg.campaigns.traffic import Duration, customers_by_day, duration
from custseg.campaigns.uplift import Uplift, predict_effects

__all__ = [
    "AASimulation",
    "Action",
    "ActionPlan",
    "Assignment",
    "Balance",
    "Baselines",
    "CampaignDesign",
    "CampaignTest",
    "Checks",
    "Decision",
    "DifferenceInDifferences",
    "Duration",
    "EffectSegments",
    "GroupSequential",
    "Impact",
    "Learner",
    "Mean",
    "Metric",
    "ObservedEffects",
    "PlannedActions",
    "PolicyValue",
    "PowerAnalysis",
    "Proportion",
    "Quantile",
    "Rank",
    "Ratio",
    "SampleRatio",
    "Sequential",
    "SideBySide",
    "Uplift",
    "aa_simulation",
    "baselines",
    "customers_by_day",
    "difference_in_differences",
    "duration",
    "effect_segments",
    "group_sequential",
    "minimum_detectable_effect",
    "observational_effect",
    "policy_value",
    "power",
    "predict_effects",
    "sample_size",
    "sequential",
    "srm_test",
]
