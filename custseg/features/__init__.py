"""What do I know of each customer: features from raw tables, one row per customer."""

from custseg.features.accounts import roll_up_accounts
from custseg.features.attributes import (
    RegionRollUp,
    age_bands,
    income_bands,
    roll_up_regions,
)
from custseg.features.comments import CommentThemes, comment_themes
from custseg.features.customer_table import build_customer_table, describe_sources
from custseg.features.dictionary import describe_columns
from custseg.features.encoder import Encoder
from custseg.features.exposure import Exposure, exposure
from custseg.features.gower import gower
from custseg.features.journey_map import JourneyMap, journey_map
from custseg.features.journeys import journey_features
from custseg.features.location import LocationQuotients, location_quotients
from custseg.features.maxdiff import MaxDiff, maxdiff
from custseg.features.mixed_encoder import MixedEncoder
from custseg.features.purchases import purchase_features
from custseg.features.roles import RoleGuess, guess_roles
from custseg.features.scales import Reliability, person_center, reverse_code, scale_reliability
from custseg.features.scores import RFM_CELLS, rfm_scores
from custseg.features.survey import survey_features
from custseg.features.transactions import rfm
from custseg.features.weighting import SurveyWeights, rake

__all__ = [
    "RFM_CELLS",
    "CommentThemes",
    "Encoder",
    "Exposure",
    "JourneyMap",
    "LocationQuotients",
    "MaxDiff",
    "MixedEncoder",
    "RegionRollUp",
    "Reliability",
    "RoleGuess",
    "SurveyWeights",
    "age_bands",
    "build_customer_table",
    "comment_themes",
    "describe_columns",
    "describe_sources",
    "exposure",
    "gower",
    "guess_roles",
    "income_bands",
    "journey_features",
    "journey_map",
    "location_quotients",
    "maxdiff",
    "person_center",
    "purchase_features",
    "rake",
    "reverse_code",
    "rfm",
    "rfm_scores",
    "roll_up_accounts",
    "roll_up_regions",
    "scale_reliability",
    "survey_features",
]
