"""What customers are worth: lifetime models, and money, loyalty and satisfaction by segment."""

from custseg.value.beta_geo import BetaGeo, ModifiedBetaGeo
from custseg.value.btyd import btyd_summary
from custseg.value.budget import Allocation, allocate_budget
from custseg.value.cohorts import Retention, retention
from custseg.value.contracts import ShiftedBetaGeometric
from custseg.value.demand import SegmentDemand, segment_demand
from custseg.value.drivers import KeyDrivers, key_drivers
from custseg.value.feedback import ComplaintRates, FeedbackThemes, complaint_rates, feedback_themes
from custseg.value.figures import Benchmark, PurchaseFigures, purchase_figures
from custseg.value.gamma_gamma import GammaGamma
from custseg.value.holdout import Holdout, btyd_holdout
from custseg.value.kaplan_meier import Survival, churn_by_silence, survival
from custseg.value.lifetime_value import LifetimeValue, lifetime_value
from custseg.value.mix_and_rate import ScoreChange, score_change
from custseg.value.needs import NeedsGap, needs_gap
from custseg.value.pareto_nbd import ParetoNBD
from custseg.value.prices import PriceSensitivity, price_sensitivity
from custseg.value.response import ResponseCurves, response_curves
from custseg.value.satisfaction_scores import Satisfaction, satisfaction
from custseg.value.segment_value import SegmentValue, segment_value
from custseg.value.van_westendorp import PriceMeter, price_meter

__all__ = [
    "Allocation",
    "Benchmark",
    "BetaGeo",
    "ComplaintRates",
    "FeedbackThemes",
    "GammaGamma",
    "Holdout",
    "KeyDrivers",
    "LifetimeValue",
    "ModifiedBetaGeo",
    "NeedsGap",
    "ParetoNBD",
    "PriceMeter",
    "PriceSensitivity",
    "PurchaseFigures",
    "ResponseCurves",
    "Retention",
    "Satisfaction",
    "ScoreChange",
    "SegmentDemand",
    "SegmentValue",
    "ShiftedBetaGeometric",
    "Survival",
    "allocate_budget",
    "btyd_holdout",
    "btyd_summary",
    "churn_by_silence",
    "complaint_rates",
    "feedback_themes",
    "key_drivers",
    "lifetime_value",
    "needs_gap",
    "price_meter",
    "price_sensitivity",
    "purchase_figures",
    "response_curves",
    "retention",
    "satisfaction",
    "score_change",
    "segment_demand",
    "segment_value",
    "survival",
]
