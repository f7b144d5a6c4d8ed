"""The planted truth of the shop, as data: what each of the six segments tends to do and to want.

Three contrasts make the segments: shops digitally or in stores, led by price or by quality, buys
often or now and then. Each contrast splits the six in three and three, so that no single one, and
hence no single column, tells any segment from the rest.
"""

import numpy as np
import pandas as pd

FIRST_DAY = np.datetime64("2023-01-01", "D")
N_DAYS = 731
LAST_DAY = FIRST_DAY + N_DAYS - 1
SURVEY_DAY = np.datetime64("2024-11-04", "D")
CAMPAIGN_DAY = np.datetime64("2025-01-07", "D")
CAMPAIGN_DAYS = 28
SURVEY_DAYS = 21

SEGMENTS = (
    "Deal Hunters",  # digital, price, often
    "Trend Seekers",  # digital, quality, often
    "Online Browsers",  # digital, price, now and then
    "Loyal Regulars",  # store, quality, often
    "Thrifty Families",  # store, price, now and then
    "Gift Givers",  # store, quality, now and then
)

# One value per segment, in the order of SEGMENTS.
TENDENCIES = {
    "share": (0.18, 0.15, 0.18, 0.17, 0.19, 0.13),
    # behaviour
    "orders_per_year": (9.5, 9.0, 3.2, 8.5, 3.2, 2.7),
    "dropout_per_year": (0.30, 0.35, 0.55, 0.15, 0.30, 0.30),
    "store_share": (0.16, 0.18, 0.15, 0.72, 0.82, 0.80),
    "app_share": (0.60, 0.65, 0.45, 0.35, 0.35, 0.30),
    "lines_per_order": (2.2, 2.0, 1.9, 2.6, 2.9, 1.8),
    "discount_share": (0.48, 0.18, 0.44, 0.17, 0.42, 0.20),
    "premium_share": (0.16, 0.46, 0.18, 0.42, 0.16, 0.45),
    "return_rate": (0.08, 0.12, 0.09, 0.05, 0.05, 0.07),
    # journey
    "browses_per_year": (15.0, 14.0, 13.0, 8.0, 7.0, 7.0),
    "emails_per_year": (15.0, 10.0, 9.0, 10.0, 8.0, 6.0),
    "tickets_per_order": (0.06, 0.07, 0.08, 0.05, 0.06, 0.06),
    "reviews_per_order": (0.10, 0.14, 0.06, 0.08, 0.05, 0.05),
    # attitudes, in standard deviations
    "price_consciousness": (1.3, -1.1, 1.2, -1.2, 1.3, -1.2),
    "service_orientation": (-0.8, -0.6, -0.8, 0.9, 0.6, 0.8),
    "shopping_enjoyment": (0.7, 1.0, -0.8, 0.7, -0.9, -0.7),
    "satisfaction": (0.1, 0.3, -0.4, 0.8, -0.1, 0.2),
    "response_rate": (0.42, 0.42, 0.36, 0.56, 0.44, 0.42),
    # person
    "age": (37.0, 35.0, 36.0, 52.0, 46.0, 50.0),
    "income": (-0.3, 0.4, -0.3, 0.4, -0.5, 0.5),
}

CATEGORIES = ("Beauty", "Books", "Electronics", "Fashion", "Garden", "Home", "Kids", "Sports")

# Relative demand for each category, one row per segment.
CATEGORY_DEMAND = np.array(
    [
        [12, 8, 18, 20, 6, 16, 8, 12],
        [18, 8, 14, 26, 5, 14, 4, 11],
        [11, 14, 18, 16, 8, 15, 8, 10],
        [14, 12, 7, 18, 14, 22, 6, 7],
        [8, 8, 8, 14, 14, 19, 20, 9],
        [14, 16, 9, 16, 11, 18, 11, 5],
    ],
    dtype=float,
)

# The products of a category, each with the list price in euros of its classic version.
GOODS = {
    "Beauty": {"Face Cream": 18, "Shampoo": 7, "Perfume": 42, "Lipstick": 14, "Sun Lotion": 12},
    "Books": {"Novel": 13, "Cookbook": 24, "Travel Guide": 17, "Picture Book": 12, "Diary": 9},
    "Electronics": {
        "Headphones": 55,
        "Charger": 19,
        "Speaker": 65,
        "Smart Lamp": 34,
        "Keyboard": 45,
    },
    "Fashion": {"T-Shirt": 17, "Jeans": 52, "Jacket": 79, "Scarf": 21, "Sneakers": 68},
    "Garden": {"Plant Pot": 15, "Secateurs": 22, "Hose": 31, "Seed Set": 8, "Lantern": 26},
    "Home": {"Bed Linen": 44, "Saucepan": 36, "Candle": 11, "Towel": 16, "Vase": 24},
    "Kids": {"Puzzle": 13, "Raincoat": 32, "Building Set": 36, "Pyjamas": 21, "Plush Toy": 16},
    "Sports": {"Yoga Mat": 27, "Bottle": 15, "Running Shirt": 31, "Backpack": 49, "Dumbbells": 37},
}
TIERS = {"Basic": 0.7, "Classic": 1.0, "Premium": 1.6}

PRODUCTS = pd.DataFrame(
    [
        (f"{tier} {good}", category, float(price * factor))
        for category, goods in GOODS.items()
        for good, price in goods.items()
        for tier, factor in TIERS.items()
    ],
    columns=["product", "category", "list_price"],
)

CHANNELS = ("store", "web", "app", "email", "phone")
TOUCHPOINTS = ("email_opened", "visit", "purchase", "support_ticket", "return", "review")
STAGES = ("awareness", "consideration", "purchase", "service", "service", "loyalty")

GENDERS = ("female", "male", "other")
INCOME_BANDS = ("under 25k", "25k-40k", "40k-60k", "60k-90k", "over 90k")
HOUSEHOLDS = ("single", "couple", "family", "single parent", "shared flat")
REGIONS = ("Capital", "North", "East", "South", "West")
ACQUISITION = ("store", "search", "social", "referral", "catalogue")

ATTITUDES = ("price_consciousness", "service_orientation", "shopping_enjoyment")
ITEMS = tuple(f"{attitude}_{number}" for attitude in ATTITUDES for number in (1, 2, 3, 4))
REVERSED_ITEMS = tuple(f"{attitude}_4" for attitude in ATTITUDES)
BENEFITS = ("low_price", "quality", "convenience", "advice", "range", "sustainability")

ARMS = ("control", "discount", "early_access")

# What each offer does to the odds of a visit, the odds that a visitor buys and the value of the
# basket: one factor per segment. Only the discount for loyal regulars does harm: they buy as
# often as before, for less.
OFFERS = {
    "discount": {
        "visit": (1.4, 1.05, 1.3, 1.0, 1.2, 1.1),
        "conversion": (2.0, 1.05, 2.2, 1.0, 2.3, 1.2),
        "basket": (1.0, 1.0, 1.0, 0.68, 1.0, 1.0),
    },
    "early_access": {
        "visit": (1.1, 1.5, 1.05, 1.3, 1.0, 1.2),
        "conversion": (1.05, 2.1, 1.0, 1.4, 1.05, 1.7),
        "basket": (1.0, 1.1, 1.0, 1.05, 1.0, 1.1),
    },
}
