"""What the customers say: attitudes with response style, benefits, loyalty, comments."""

import numpy as np
import pandas as pd

from custseg.datasets._people import text
from custseg.datasets._planted import (
    ATTITUDES,
    BENEFITS,
    FIRST_DAY,
    ITEMS,
    REVERSED_ITEMS,
    SURVEY_DAY,
    SURVEY_DAYS,
    TENDENCIES,
)

# How far a benefit follows price consciousness, service orientation, shopping enjoyment.
BENEFIT_DRIVERS = np.array(
    [
        [0.9, -0.1, 0.0],
        [-0.7, 0.2, 0.1],
        [0.1, -0.7, -0.2],
        [-0.1, 0.8, 0.1],
        [0.0, -0.1, 0.7],
        [-0.3, 0.1, 0.1],
    ]
)

WISHES = {
    "price_consciousness": (
        "I only buy when there is a good discount.",
        "The prices could be lower.",
        "I compare prices before every order.",
        "More vouchers, please.",
    ),
    "service_orientation": (
        "The advice in the store is what I come for.",
        "I like to talk to somebody who knows the products.",
        "Please keep the staff you have.",
        "I want to see and touch things before I pay.",
    ),
    "shopping_enjoyment": (
        "I love to discover new collections.",
        "Looking around is half the fun.",
        "Show me more of what is new.",
        "Great choice, I always find something.",
    ),
    "": (
        "I want it to be quick and easy.",
        "I know what I need and order it.",
        "Delivery should be faster.",
        "Quality matters most to me.",
    ),
}
PRAISE = ("Very happy so far.", "Always a pleasure.", "Friendly and reliable.", "Keep it up!")
NEUTRAL = ("All in all fine.", "It is okay.", "Nothing special.", "Mostly good.")
BLAME = (
    "My last order was a disappointment.",
    "Quality was not what I expected.",
    "Too slow for me.",
    "I may look elsewhere.",
)
TROUBLE = (
    "Sending things back was tedious.",
    "I waited far too long for an answer.",
    "The refund took weeks.",
    "Nobody could help me with my problem.",
)


def _answer(
    opinion: np.ndarray, traits: pd.DataFrame, noise: float, rng: np.random.Generator
) -> np.ndarray:
    """Turn opinions into answers 1 to 7, each person in their own style."""
    extremity = traits["extremity"].to_numpy()[:, None]
    acquiescence = traits["acquiescence"].to_numpy()[:, None]
    felt = opinion + rng.normal(0, noise, opinion.shape)
    return np.clip(np.round(4 + 1.15 * extremity * felt + acquiescence), 1, 7).astype(np.int64)


def _items(attitudes: np.ndarray, traits: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    sign = np.array([-1.0 if item in REVERSED_ITEMS else 1.0 for item in ITEMS])
    answers = _answer(np.repeat(attitudes, 4, axis=1) * sign, traits, 0.8, rng)
    # Nobody in the clean data gives one answer to all: the reversed item breaks the line.
    same = answers.max(axis=1) == answers.min(axis=1)
    answers[same, 3] += np.where(answers[same, 3] > 4, -1, 1)
    return answers


def _comments(
    attitudes: np.ndarray, mood: np.ndarray, trouble: np.ndarray, rng: np.random.Generator
) -> pd.Index:
    """Build a wish from the strongest attitude and a verdict from the experience."""
    n = len(attitudes)
    felt = np.column_stack([attitudes, np.full(n, 0.2)]) + rng.normal(0, 0.5, (n, 4))
    wishes = tuple(wish for theme in WISHES.values() for wish in theme)
    wish = text(wishes, felt.argmax(axis=1) * 4 + rng.integers(0, 4, n))
    angry = trouble & (rng.random(n) < 0.7)
    tone = np.where(angry, 3, np.where(mood > 0.5, 0, np.where(mood > -0.7, 1, 2)))
    verdict = text(PRAISE + NEUTRAL + BLAME + TROUBLE, tone * 4 + rng.integers(0, 4, n))
    return wish + " " + verdict


def make_survey(
    ids: pd.Index, traits: pd.DataFrame, touchpoints: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the answers of those who responded, one row each, in order of ``customer_id``."""
    survey_day = int((SURVEY_DAY - FIRST_DAY).astype(int))
    known = traits["sign_up"].to_numpy() < survey_day
    gone = traits["stop"].to_numpy() < survey_day
    chance = np.array(TENDENCIES["response_rate"])[traits["segment"]] * np.where(gone, 0.75, 1.0)
    responds = known & (rng.random(len(ids)) < chance)
    ids, traits = ids[responds], traits[responds]
    n = len(ids)

    bad = touchpoints["touchpoint"].isin(("support_ticket", "return"))
    bad &= touchpoints["timestamp"] < pd.Timestamp(SURVEY_DAY)
    count = touchpoints.loc[bad, "customer_id"].value_counts().reindex(ids, fill_value=0)
    trouble = np.minimum(count.to_numpy(), 4)
    mood = traits["satisfaction"].to_numpy() - 0.35 * (trouble - 1) + rng.normal(0, 0.5, n)

    attitudes = traits[list(ATTITUDES)].to_numpy()
    items = _items(attitudes, traits, rng)
    benefits = _answer(0.5 + attitudes @ BENEFIT_DRIVERS.T, traits, 0.7, rng)
    ease = 5.1 + 0.9 * mood - 0.3 * trouble + rng.normal(0, 0.9, n)
    frame = {"customer_id": ids}
    day = survey_day + np.minimum(rng.exponential(5, n), SURVEY_DAYS - 1).astype(int)
    frame["responded"] = (FIRST_DAY + day).astype("datetime64[us]")
    seconds = 420 * np.exp(rng.normal(0, 0.28, n))
    frame["duration_seconds"] = np.clip(seconds, 220, 1500).astype(np.int64)
    frame |= dict(zip(ITEMS, items.T, strict=True))
    frame |= {f"benefit_{name}": values for name, values in zip(BENEFITS, benefits.T, strict=True)}
    loyal = 8.0 + 1.5 * mood + rng.normal(0, 1.2, n)
    frame["nps"] = np.clip(np.round(loyal), 0, 10).astype(np.int64)
    frame["csat"] = np.clip(np.round(3.7 + 0.7 * mood + rng.normal(0, 0.6, n)), 1, 5).astype(int)
    frame["ces"] = np.clip(np.round(ease), 1, 7).astype(np.int64)
    frame["comment"] = _comments(attitudes, mood, trouble > 1, rng)
    return pd.DataFrame(frame)
