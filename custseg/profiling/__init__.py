"""Who are they: segments described by the columns that made them and by those that did not."""

from custseg.profiling.cards import SegmentCards, segment_cards
from custseg.profiling.honest import HonestDifferences, honest_differences
from custseg.profiling.membership import Membership, TypingTool, describe_membership
from custseg.profiling.personas import personas
from custseg.profiling.profiles import Profile, profile
from custseg.profiling.recruiting import RecruitingList, recruiting_list

__all__ = [
    "HonestDifferences",
    "Membership",
    "Profile",
    "RecruitingList",
    "SegmentCards",
    "TypingTool",
    "describe_membership",
    "honest_differences",
    "personas",
    "profile",
    "recruiting_list",
    "segment_cards",
]
