"""Plan a test that is looked at a few times: boundaries that keep alpha over all looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from custseg.campaigns._boundaries import (
    CONSTANT,
    SPENDING,
    constant_boundaries,
    crossing_chances,
    drift_for,
    spending_boundaries,
)
from custseg.errors import ParameterError, check_number, check_option
from custseg.results import Result, format_number

_MOST_LOOKS = 400
_STOPPED = (
    "Estimates at a look that stopped the test are too far from 0, and its p-value of one look too "
    "small: report the interval with this boundary (sequential)."
)
_SIDES = {"two-sided": 2, "greater": 1, "less": 1}


@dataclass(frozen=True, repr=False, eq=False)
class GroupSequential(Result):
    """Boundaries for a test with a planned number of looks.

    Attributes
    ----------
    table
        The table of `to_frame`.
    boundary, alpha, alternative, power
        As they were asked for.
    inflation
        Customers at the last look over those of a test with one look and the same alpha and power:
        multiply ``sample_size(...).n`` by it.
    expected_null, expected_effect
        Customers when the test ends over those of a test with one look, on average: where there is
        no effect, and where there is the effect that the power is for.
    notes
        Caveats.

    See Also
    --------
    sequential : Looks at data, with these boundaries or with sequences valid at any time.
    """

    table: pd.DataFrame
    boundary: str
    alpha: float
    alternative: str
    power: float
    inflation: float
    expected_null: float
    expected_effect: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "sequential.boundaries"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per look.

        Returns
        -------
        pandas.DataFrame
            `look`, `information` (share of the customers so far), `z` (reject where the statistic
            is beyond; where both sides count, on either side), `p_nominal` (the p-value of a test
            with one look that this amounts to), `spent` (alpha by then), `stop_null`,
            `stop_effect` (chances to stop at this look by crossing, without effect and with the
            effect that the power is for).
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return what the looks cost, in a few sentences."""
        first, last = self.table["z"].iloc[[0, -1]]
        return (
            f"{len(self.table)} looks, alpha {format_number(self.alpha)} over all of them: reject "
            f"where z is beyond {format_number(first)} at the first and {format_number(last)} at "
            f"the last. With power {self.power:.0%} the last look needs "
            f"{self.inflation:.1%} of the customers of a test with one look; on average the test "
            f"ends with {self.expected_effect:.1%} of them if the effect is there, with "
            f"{self.expected_null:.1%} if there is none."
        )


def group_sequential(
    looks: int | Sequence[float],
    *,
    boundary: str = "obrien_fleming",
    alpha: float = 0.05,
    alternative: str = "two-sided",
    power: float = 0.8,
) -> GroupSequential:
    """Plan the boundaries of a test that is looked at a few times.

    Chances are integrated from look to look, not simulated, by the recursion of Armitage,
    McPherson and Rowe.

    Parameters
    ----------
    looks
        How many looks, evenly spaced; or the share of the customers at each, rising to 1.
    boundary
        ``"obrien_fleming"`` or ``"pocock"``: Lan and DeMets' spending functions in their spirit,
        which also hold where looks come at other times than planned; ``"classic_obrien_fleming"``
        or ``"classic_pocock"``: the original boundaries, for looks exactly as planned.
    alpha
        The chance to reject at any look where there is no effect.
    alternative
        ``"two-sided"``, ``"greater"`` or ``"less"``.
    power
        The chance to reject where there is the effect that was planned for.

    Returns
    -------
    GroupSequential
        Boundaries, alpha spent, chances to stop, and the customers that looking costs.

    Raises
    ------
    ParameterError
        If a parameter is outside its bounds or options, or looks do not rise to 1.

    References
    ----------
    Jennison, C. and Turnbull, B. W. (2000), Group sequential methods, Chapman & Hall, chapters 2, 7
    and 19. Lan, K. K. G. and DeMets, D. L. (1983), Biometrika 70, 659-663. O'Brien, P. C. and
    Fleming, T. R. (1979), Biometrics 35, 549-556. Pocock, S. J. (1977), Biometrika 64, 191-199.
    Armitage, P., McPherson, C. K. and Rowe, B. C. (1969), JRSS A 132, 235-244.

    Examples
    --------
    >>> group_sequential(5).to_frame()["z"].round(3).tolist()
    [4.877, 3.357, 2.68, 2.29, 2.031]
    >>> plan = group_sequential(5, boundary="classic_pocock", power=0.9)
    >>> plan.to_frame()["z"].round(3).tolist(), round(plan.inflation, 3)
    ([2.413, 2.413, 2.413, 2.413, 2.413], 1.207)
    """
    times = _checked_looks(looks)
    check_option(boundary, "boundary", [*SPENDING, *CONSTANT])
    check_number(alpha, "alpha", gt=0, le=0.5)
    check_option(alternative, "alternative", list(_SIDES))
    check_number(power, "power", gt=alpha, lt=1)
    sides = _SIDES[alternative]
    if boundary in SPENDING:
        spent = SPENDING[boundary](times, alpha, sides=sides)
        z = spending_boundaries(tuple(times), tuple(spent), sides)
    else:
        z = constant_boundaries(times, alpha, power=CONSTANT[boundary], sides=sides)
    drift = drift_for(times, z, power, sides=sides)
    null, effect = (
        crossing_chances(times, z, sides=sides, drift=d).sum(axis=1) for d in (0.0, drift)
    )
    inflation = float((drift / (ndtri(1 - alpha / sides) + ndtri(power))) ** 2)
    table = pd.DataFrame(
        {
            "look": np.arange(1, len(times) + 1),
            "information": times,
            "z": -z if alternative == "less" else z,
            "p_nominal": sides * ndtr(-z),
            "spent": np.cumsum(null),
            "stop_null": null,
            "stop_effect": effect,
        }
    )
    return GroupSequential(
        table,
        boundary,
        alpha,
        alternative,
        power,
        inflation,
        inflation * _mean_time(times, null),
        inflation * _mean_time(times, effect),
        (_STOPPED,),
    )


def _checked_looks(looks: int | Sequence[float]) -> np.ndarray:
    if isinstance(looks, int | np.integer):
        check_number(looks, "looks", ge=1, le=_MOST_LOOKS, integer=True)
        return np.arange(1, looks + 1) / looks
    try:
        times = np.asarray(looks, dtype=float)
    except (TypeError, ValueError):
        times = np.empty(0)
    rising = times.ndim == 1 and 0 < len(times) <= _MOST_LOOKS
    if not (rising and times[0] > 0 and (np.diff(times) > 0).all() and times[-1] == 1):
        raise ParameterError(
            f"looks is {looks!r}, but must be a whole number of looks, or up to {_MOST_LOOKS} "
            "shares of the customers that rise from above 0 to 1, such as [0.5, 0.75, 1]."
        )
    return times


def _mean_time(times: np.ndarray, stop: np.ndarray) -> float:
    return float(times @ stop + (1 - stop.sum()))
