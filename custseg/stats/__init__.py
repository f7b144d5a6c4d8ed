"""How sure are we: intervals and adjusted p-values, pure functions of arrays at full precision."""

from custseg.stats.adjust import benjamini_hochberg, holm
from custseg.stats.differences import Difference, relative_difference, welch
from custseg.stats.intervals import mean_interval, newcombe, wilson
from custseg.stats.scores import (
    Alpha,
    Score,
    ces,
    cronbach_alpha,
    csat,
    effective_sample_size,
    nps,
)

__all__ = [
    "Alpha",
    "Difference",
    "Score",
    "benjamini_hochberg",
    "ces",
    "cronbach_alpha",
    "csat",
    "effective_sample_size",
    "holm",
    "mean_interval",
    "newcombe",
    "nps",
    "relative_difference",
    "welch",
    "wilson",
]
