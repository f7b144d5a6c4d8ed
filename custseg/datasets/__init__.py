"""Data to try custseg on: a shop with planted truth, and real public data sets."""

from custseg.datasets._real import (
    load_cdnow,
    load_cookie_cats,
    load_dataset,
    load_hillstrom,
    load_marketing_campaign,
    load_mcdonalds,
    load_online_retail,
    load_online_retail_ii,
    load_wholesale,
)
from custseg.datasets._shop import Shop, load_shop, make_shop

__all__ = [
    "Shop",
    "load_cdnow",
    "load_cookie_cats",
    "load_dataset",
    "load_hillstrom",
    "load_marketing_campaign",
    "load_mcdonalds",
    "load_online_retail",
    "load_online_retail_ii",
    "load_shop",
    "load_wholesale",
    "make_shop",
]
