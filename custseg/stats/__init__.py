"""How sure are we: intervals and adjusted p-values, pure functions of arrays at full precision."""

from custseg.stats.adjust import benjamini_hochberg, holm
from custseg.stats.differences import Difference, relative_difference, welch
from custseg.stats.intervals import mean_interval, newcombe, wilson

__all__ = [
    "Difference",
    "benjamini_hochberg",
    "holm",
    "mean_interval",
    "newcombe",
    "relative_difference",
    "welch",
    "wilson",
]
