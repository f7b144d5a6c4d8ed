"""Who are they: segments described by the columns that made them and by those that did not."""

from custseg.profiling.attractiveness import Attractiveness, attractiveness
from custseg.profiling.cards import SegmentCards, segment_cards
from custseg.profiling.cross import CrossClassification, cross_classify
from custseg.profiling.honest import HonestDifferences, honest_differences
from custseg.profiling.markers import Markers, markers
from custseg.profiling.membership import Membership, TypingTool, describe_membership
from custseg.profiling.personas import personas
from custseg.profiling.profiles import Profile, profile
from custseg.profiling.recruiting import RecruitingList, recruiting_list
from custseg.profiling.scorecard import Scorecard, scorecard
from custseg.profiling.separation import Separation, separation

__all__ = [
    "Attractiveness",
    "CrossClassification",
    "HonestDifferences",
    "Markers",
    "Membership",
    "Profile",
    "RecruitingList",
    "Scorecard",
    "SegmentCards",
    "Separation",
    "TypingTool",
    "attractiveness",
    "cross_classify",
    "describe_membership",
    "honest_differences",
    "markers",
    "personas",
    "profile",
    "recruiting_list",
    "scorecard",
    "segment_cards",
    "separation",
]
