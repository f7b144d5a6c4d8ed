"""Weights that keep one family of variables from drowning another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custseg.errors import ParameterError, check_columns, check_number, check_option
from custseg.features.dictionary import Known

FamilyWeights = str | Mapping[str, float]


def check_family_weights(family_weights: FamilyWeights | None) -> None:
    """Raise `ParameterError` unless it is None, "balanced" or family to a positive weight."""
    if isinstance(family_weights, Mapping):
        for family, weight in family_weights.items():
            check_number(weight, f"the weight of the family {family!r}", gt=0)
    elif family_weights is not None:
        check_option(family_weights, "family_weights", ("balanced",))


def family_factors(
    variance: NDArray[np.float64],
    families: Sequence[str],
    family_weights: FamilyWeights,
) -> NDArray[np.float64]:
    """Return the factor of each encoded column that gives families the totals asked for.

    Parameters
    ----------
    variance
        The variance of each encoded column.
    families
        The family of each.
    family_weights
        ``"balanced"``, or family to its share of the total variance in relation to the others;
        1 for a family that is not named. A family without variance gets none.

    Examples
    --------
    >>> family_factors(np.ones(3), ["value", "journey", "journey"], {"journey": 2}) ** 2
    array([1., 1., 1.])
    >>> (family_factors(np.ones(3), ["value", "journey", "journey"], "balanced") ** 2).round(3)
    array([1.5 , 0.75, 0.75])
    """
    members = np.array(families)
    wanted = dict.fromkeys(families, 1.0)
    if isinstance(family_weights, Mapping):
        for family, weight in family_weights.items():
            check_option(family, "a family in family_weights", list(wanted))
            wanted[family] = float(weight)
    totals = {family: float(variance[members == family].sum()) for family in wanted}
    varying = {family: total for family, total in totals.items() if total > 0}
    shares = sum(wanted[family] for family in varying)
    whole = sum(varying.values())
    factors = {
        family: np.sqrt(whole * (wanted[family] / shares) / total)
        for family, total in varying.items()
    }
    return np.array([factors.get(family, 1.0) for family in members])


def column_weights(
    kinds: Mapping[Any, Known], weights: Mapping[Any, float] | None
) -> dict[Any, float]:
    """Return the weight of every column from weights of columns and of families.

    Parameters
    ----------
    kinds
        Column to what is known of it.
    weights
        Column to weight, or family to the weight that its columns share equally; 1 otherwise.

    Examples
    --------
    >>> known = {"visits": Known("count", True, "journey"), "spend": Known("numeric", True, None)}
    >>> column_weights(known, {"journey": 2})
    {'visits': 2.0, 'spend': 1.0}
    """
    given = dict(weights or {})
    for name, weight in given.items():
        check_number(weight, f"the weight of {name!r}", ge=0)
    found = dict.fromkeys(kinds, 1.0)
    for name in [name for name in given if name not in kinds]:
        members = [column for column, known in kinds.items() if known.family == name]
        if not members:
            families = sorted({known.family for known in kinds.values() if known.family})
            check_columns([*kinds, *families], [name], where="the customer table with its families")
        twice = [column for column in members if column in given]
        if twice:
            raise ParameterError(f"{twice[0]!r} has a weight itself and with its family {name!r}.")
        found |= dict.fromkeys(members, given[name] / len(members))
    found |= {name: float(weight) for name, weight in given.items() if name in kinds}
    if not any(found.values()):
        raise ParameterError("all weights are 0, but at least one must be positive.")
    return found
