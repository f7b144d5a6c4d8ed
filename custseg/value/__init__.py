"""What customers are worth: lifetime models, and money, loyalty and satisfaction by segment."""

from custseg.value.beta_geo import BetaGeo, ModifiedBetaGeo
from custseg.value.btyd import btyd_summary
from custseg.value.contracts import ShiftedBetaGeometric
from custseg.value.gamma_gamma import GammaGamma
from custseg.value.pareto_nbd import ParetoNBD
from custseg.value.retention import Retention, retention

__all__ = [
    "BetaGeo",
    "GammaGamma",
    "ModifiedBetaGeo",
    "ParetoNBD",
    "Retention",
    "ShiftedBetaGeometric",
    "btyd_summary",
    "retention",
]
