"""What a campaign does to the customers: potential outcomes, and one of them observed."""

import numpy as np
import pandas as pd

from custseg.datasets._planted import ARMS, CAMPAIGN_DAY, CAMPAIGN_DAYS, OFFERS

SPEND_SHAPE = 4.0  # of the Gamma that spreads the value of a basket
PRE_DAYS = 365
QUIET_JANUARY = 0.85


def _times_odds(probability: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return factor * probability / (1 - probability + factor * probability)


def potential_outcomes(traits: pd.DataFrame, last_day: int) -> dict[str, pd.DataFrame]:
    """Return, for each arm, what each customer is expected to do.

    Parameters
    ----------
    traits
        The hidden traits.
    last_day
        The last day of the transactions, in days since the first.

    Returns
    -------
    dict of str to pandas.DataFrame
        By arm: ``visit`` and ``buys_if_visiting`` (probabilities), ``basket`` (expected value in
        euros if they buy), ``conversion`` (probability) and ``spend`` (expected, in euros).
    """
    active = traits["stop"].to_numpy() > last_day
    orders = traits["orders_per_year"].to_numpy() * CAMPAIGN_DAYS / 365 * QUIET_JANUARY
    buys = np.where(active, -np.expm1(-orders), 0.01)
    looks = np.where(active, 0.25 + 0.5 * buys, 0.03)
    visit = 1 - (1 - buys) * (1 - looks)
    price = 22 * (1 + 0.9 * traits["premium_share"]) * (1 - 0.24 * traits["discount_share"])
    basket = 1.35 * price.to_numpy() * traits["lines_per_order"].to_numpy()

    segment = traits["segment"].to_numpy()
    outcomes = {}
    for arm in ARMS:
        offer = OFFERS.get(arm, {})
        factor = {
            name: np.array(offer[name])[segment] if offer else np.ones(len(traits))
            for name in ("visit", "conversion", "basket")
        }
        visits = _times_odds(visit, factor["visit"])
        buys_if_visiting = _times_odds(buys / visit, factor["conversion"])
        value = basket * factor["basket"]
        conversion = visits * buys_if_visiting
        outcomes[arm] = pd.DataFrame(
            {
                "visit": visits,
                "buys_if_visiting": buys_if_visiting,
                "basket": value,
                "conversion": conversion,
                "spend": conversion * value,
            }
        )
    return outcomes


def assign_arms(stratum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Assign arms (codes) at random, in equal shares overall and within each stratum."""
    shuffled = np.lexsort((rng.random(len(stratum)), stratum))
    arm = np.empty(len(stratum), dtype=int)
    arm[shuffled] = rng.permutation(len(ARMS))[np.arange(len(stratum)) % len(ARMS)]
    return arm


def make_campaign(
    customers: pd.DataFrame,
    transactions: pd.DataFrame,
    outcomes: dict[str, pd.DataFrame],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the experiment: stratum, arm, what was spent before, and what happened after."""
    since = pd.Timestamp(CAMPAIGN_DAY - PRE_DAYS)
    recent = transactions[transactions["timestamp"] >= since]
    spent = recent.groupby("customer_id")["amount"].sum().reindex(customers["customer_id"])
    pre_spend = np.round(spent.fillna(0.0).to_numpy(), 2) + 0.0
    tercile = np.searchsorted(np.quantile(pre_spend, [1 / 3, 2 / 3]), pre_spend)
    level = pd.Index(["low", "middle", "high"]).take(tercile)
    stratum = pd.Index(customers["region"]) + ", " + level + " spend"

    n = len(customers)
    codes, _ = pd.factorize(stratum, sort=True)
    arm = assign_arms(codes, rng)
    expected = {
        name: np.column_stack([outcomes[arm_][name] for arm_ in ARMS])[np.arange(n), arm]
        for name in ("visit", "buys_if_visiting", "basket")
    }
    visit = rng.random(n) < expected["visit"]
    conversion = visit & (rng.random(n) < expected["buys_if_visiting"])
    spend = rng.gamma(SPEND_SHAPE, expected["basket"] / SPEND_SHAPE)
    exposed = CAMPAIGN_DAY + rng.integers(0, 7, n)
    return pd.DataFrame(
        {
            "customer_id": customers["customer_id"],
            "stratum": stratum,
            "arm": pd.Index(ARMS).take(arm),
            "exposed": exposed.astype("datetime64[us]"),
            "pre_spend": pre_spend,
            "visit": visit.astype(np.int64),
            "conversion": conversion.astype(np.int64),
            "spend": np.where(conversion, np.round(np.maximum(spend, 0.01), 2), 0.0),
        }
    )
