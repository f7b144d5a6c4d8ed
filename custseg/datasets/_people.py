"""Who the customers are: the hidden traits that drive every table, and the customer records."""

import numpy as np
import pandas as pd

from custseg.datasets._planted import (
    ACQUISITION,
    ATTITUDES,
    CATEGORY_DEMAND,
    FIRST_DAY,
    GENDERS,
    HOUSEHOLDS,
    INCOME_BANDS,
    N_DAYS,
    REGIONS,
    TENDENCIES,
)

# How much customers of one segment differ: the concentration of a Beta, the shape of a Gamma.
SPREAD_OF_SHARES = 9.0
SPREAD_OF_RATES = 5.0

SHARES = ("store_share", "app_share", "discount_share", "premium_share")
RATES = (
    "orders_per_year",
    "dropout_per_year",
    "browses_per_year",
    "emails_per_year",
    "return_rate",
    "tickets_per_order",
    "reviews_per_order",
)


def choose(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one column for each row of a matrix of relative frequencies."""
    edges = np.cumsum(shares, axis=1)
    return (rng.random(len(shares))[:, None] * edges[:, -1:] > edges[:, :-1]).sum(axis=1)


def text(names: tuple[str, ...], codes: np.ndarray) -> pd.Index:
    """Return the names at the codes as text."""
    return pd.Index(names).take(codes)


def draw_traits(n_customers: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the hidden traits of each customer around the tendencies of the segment.

    Parameters
    ----------
    n_customers
        The number of customers.
    rng
        The source of randomness.

    Returns
    -------
    pandas.DataFrame
        One row per customer: ``segment`` (code), a column per tendency (rates per year, shares
        0 to 1, attitudes in standard deviations), response style, and days since the first day
        of the data: ``sign_up``, ``start`` (first day observed), ``stop`` (day of drop-out, may
        lie beyond the data).
    """
    shares = np.array(TENDENCIES["share"])
    # Every segment keeps its share to within one customer, the remainder is drawn.
    counts = np.floor(shares * n_customers).astype(int)
    rest = rng.choice(len(shares), n_customers - counts.sum(), p=shares)
    counts += np.bincount(rest, minlength=len(shares))
    segment = rng.permutation(np.repeat(np.arange(len(shares)), counts))
    tendency = {name: np.array(values)[segment] for name, values in TENDENCIES.items()}

    traits = {"segment": segment}
    for name in RATES:
        traits[name] = tendency[name] * rng.gamma(SPREAD_OF_RATES, 1 / SPREAD_OF_RATES, n_customers)
    for name in SHARES:
        mean = tendency[name]
        traits[name] = rng.beta(mean * SPREAD_OF_SHARES, (1 - mean) * SPREAD_OF_SHARES)
    for name in ATTITUDES:
        traits[name] = tendency[name] + rng.normal(0, 0.65, n_customers)
    traits["satisfaction"] = tendency["satisfaction"] + rng.normal(0, 0.8, n_customers)
    traits["lines_per_order"] = 1 + (tendency["lines_per_order"] - 1) * rng.gamma(
        4, 1 / 4, n_customers
    )
    traits["acquiescence"] = rng.normal(0, 0.5, n_customers)
    traits["extremity"] = np.exp(rng.normal(0, 0.3, n_customers))

    is_new = rng.random(n_customers) < 0.45
    new_day = rng.integers(0, N_DAYS - 30, n_customers)
    old_day = -1 - (1460 * rng.beta(1, 1.5, n_customers)).astype(int)
    traits["sign_up"] = np.where(is_new, new_day, old_day)
    traits["start"] = np.maximum(traits["sign_up"], 0)
    lifetime = rng.exponential(365 / traits["dropout_per_year"])
    traits["stop"] = traits["start"] + np.minimum(lifetime, 1e6).astype(int)
    return pd.DataFrame(traits)


def draw_category_demand(segment: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the share of each category in the demand of each customer (rows sum to 1)."""
    mean = CATEGORY_DEMAND / CATEGORY_DEMAND.sum(axis=1, keepdims=True)
    demand = rng.gamma(6 * mean[segment]) + 1e-9
    return demand / demand.sum(axis=1, keepdims=True)


def make_customers(ids: pd.Index, traits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the customer records: who they are, where they live, how they were won."""
    n = len(ids)
    segment = traits["segment"].to_numpy()
    mean_age = np.array(TENDENCIES["age"])[segment]
    adult = 18 + np.abs(rng.normal(mean_age, 11) - 18)
    age = np.minimum(np.round(adult), 90).astype(np.int64)
    earner = np.array(TENDENCIES["income"])[segment] + rng.normal(0, 1, n)
    band = np.searchsorted([-1.2, -0.4, 0.4, 1.2], earner)
    middle_aged = ((age >= 30) & (age < 58)).astype(float)
    frugal = (traits["price_consciousness"].to_numpy() > 0).astype(float)
    digital = (traits["store_share"].to_numpy() < 0.5).astype(float)
    ones = np.ones(n)
    household = np.column_stack(
        [
            22 + 8 * digital,
            30 * ones,
            14 + 26 * middle_aged + 14 * middle_aged * frugal,
            7 * ones,
            2 + 8 * (age < 32),
        ]
    )
    region = np.column_stack([22 + 10 * digital, 20 * ones, 16 + 6 * frugal, 24 * ones, 18 * ones])
    won = np.column_stack(
        [46 - 26 * digital, 18 + 12 * digital, 8 + 20 * digital, 16 * ones, 12 - 6 * digital]
    )
    return pd.DataFrame(
        {
            "customer_id": ids,
            "age": age,
            "gender": text(GENDERS, choose(np.tile([0.54, 0.44, 0.02], (n, 1)), rng)),
            "income_band": pd.Categorical.from_codes(band, list(INCOME_BANDS), ordered=True),
            "household": text(HOUSEHOLDS, choose(household, rng)),
            "region": text(REGIONS, choose(region, rng)),
            "sign_up": (FIRST_DAY + traits["sign_up"].to_numpy()).astype("datetime64[us]"),
            "acquisition_channel": text(ACQUISITION, choose(won, rng)),
        }
    )
