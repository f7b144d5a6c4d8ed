"""Who are they: segments described by the columns that made them and by those that did not."""

from custseg.profiling.membership import Membership, TypingTool, describe_membership
from custseg.profiling.profiles import Profile, profile

__all__ = ["Membership", "Profile", "TypingTool", "describe_membership", "profile"]
