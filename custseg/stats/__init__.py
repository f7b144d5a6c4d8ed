"""How sure are we: intervals, tests and posteriors, pure functions of arrays at full precision."""

from custseg.stats.adjust import benjamini_hochberg, holm
from custseg.stats.bayes import Posterior, beta_binomial, normal_posterior
from custseg.stats.differences import (
    Difference,
    Margins,
    margin_test,
    relative_difference,
    welch,
)
from custseg.stats.effect_sizes import (
    EffectSize,
    GroupTest,
    cramers_v,
    eta_squared,
    welch_anova,
)
from custseg.stats.exact import barnard, boschloo, fisher
from custseg.stats.intervals import mean_interval, newcombe, wilson
from custseg.stats.proportions import koopman, miettinen_nurminen, score_statistic, wald
from custseg.stats.resampling import (
    Bootstrap,
    Permutation,
    Superiority,
    bootstrap_difference,
    mann_whitney,
    permutation_test,
    quantile_difference,
)
from custseg.stats.scores import (
    Alpha,
    Score,
    ces,
    cronbach_alpha,
    csat,
    effective_sample_size,
    nps,
)
from custseg.stats.shrinkage import Shrunk, shrink

__all__ = [
    "Alpha",
    "Bootstrap",
    "Difference",
    "EffectSize",
    "GroupTest",
    "Margins",
    "Permutation",
    "Posterior",
    "Score",
    "Shrunk",
    "Superiority",
    "barnard",
    "benjamini_hochberg",
    "beta_binomial",
    "bootstrap_difference",
    "boschloo",
    "ces",
    "cramers_v",
    "cronbach_alpha",
    "csat",
    "effective_sample_size",
    "eta_squared",
    "fisher",
    "holm",
    "koopman",
    "mann_whitney",
    "margin_test",
    "mean_interval",
    "miettinen_nurminen",
    "newcombe",
    "normal_posterior",
    "nps",
    "permutation_test",
    "quantile_difference",
    "relative_difference",
    "score_statistic",
    "shrink",
    "wald",
    "welch",
    "welch_anova",
    "wilson",
]
