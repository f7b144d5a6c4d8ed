"""Did the arms get the shares that were planned: the sample-ratio check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
from scipy import stats

from custseg.errors import CustsegError, DataError, ParameterError
from custseg.results import Result, format_number
from custseg.stats import holm

Counts: TypeAlias = Mapping[Any, float] | Sequence[float] | np.ndarray | pd.Series


@dataclass(frozen=True, repr=False, eq=False)
class SampleRatio(Result):
    """Whether the arms have the sizes that were planned.

    Attributes
    ----------
    statistic, p_value
        Pearson's chi-square against the planned shares.
    observed, expected
        Customers by arm, as counted and as planned.
    status
        ``"mismatch"`` (p < .001), ``"suspect"`` (p < .01) or ``"ok"``.
    by_segment
        The same per segment: `segment`, `statistic`, `p_value`, `p_holm`, `status` (from
        `p_holm`); empty where there are no segments.
    notes
        Caveats.
    """

    statistic: float
    p_value: float
    observed: pd.Series
    expected: pd.Series
    status: str
    by_segment: pd.DataFrame
    notes: tuple[str, ...] = ()
    _picture: ClassVar[str] = "campaigns.sample_ratio"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per arm.

        Returns
        -------
        pandas.DataFrame
            `arm`, `observed`, `expected` (customers), `ratio` (observed over expected).
        """
        frame = pd.DataFrame({"observed": self.observed, "expected": self.expected})
        return frame.assign(ratio=self.observed / self.expected).rename_axis("arm").reset_index()

    def summary(self) -> str:
        """Return the verdict in a sentence."""
        figures = f"chi-square {format_number(self.statistic)}, {p_words(self.p_value)}"
        return {
            "mismatch": f"Sample-ratio mismatch ({figures}): the arms do not have their planned "
            "shares; find out why before reading any effect.",
            "suspect": f"The sample ratio is suspect ({figures}): check how customers were "
            "assigned and logged before relying on the effects.",
            "ok": f"The arms have their planned shares ({figures}).",
        }[self.status]


def p_words(p: float) -> str:
    """Write a p-value in words.

    Examples
    --------
    >>> p_words(0.0000116), p_words(0.0086)
    ('p < .001', 'p = 0.00860')
    """
    return "p < .001" if p < 0.001 else f"p = {format_number(p)}"


def srm_test(observed: Counts, expected: Counts) -> SampleRatio:
    """Test the sizes of the arms against their planned shares.

    Parameters
    ----------
    observed
        Customers by arm: a mapping or Series from arm to count, or a list.
    expected
        The planned share of each arm, or counts in the same proportions; same arms, same form.

    Returns
    -------
    SampleRatio
        Chi-square with (arms - 1) degrees of freedom, p-value, counts and status.

    Raises
    ------
    DataError
        If a count is no number, negative or missing, an arm comes twice, or nobody was counted.
    ParameterError
        If the two do not name the same arms, there are fewer than two, or an expected share is
        no number above 0.

    References
    ----------
    Fabijan, A. et al. (2019), Diagnosing sample ratio mismatch in online controlled experiments,
    KDD.

    Examples
    --------
    >>> gates = srm_test({"gate_30": 44_700, "gate_40": 45_489}, {"gate_30": 0.5, "gate_40": 0.5})
    >>> round(gates.statistic, 3), round(gates.p_value, 4), gates.status
    (6.902, 0.0086, 'suspect')
    """
    counts = _numbers(observed, "observed", DataError)
    shares = _numbers(expected, "expected", ParameterError)
    unmatched = sorted(map(str, counts.index.symmetric_difference(shares.index)))
    if unmatched:
        raise ParameterError(
            f"observed and expected must name the same arms, but only one of them has "
            f"{', '.join(map(repr, unmatched))}."
        )
    shares = shares[counts.index]
    if len(counts) < 2:
        raise ParameterError(f"there are {len(counts)} arms, but a ratio needs at least 2.")
    if not (np.isfinite(shares).all() and (shares > 0).all()):
        raise ParameterError("every expected share must be a number > 0; leave an arm out instead.")
    if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() > 0):
        wrong = [f"arm {arm!r} has {n:g}" for arm, n in counts.items() if not 0 <= n < np.inf]
        found = ", ".join(wrong) or "they are all 0"
        raise DataError(f"observed must be counts >= 0 of at least one customer, but {found}.")
    planned = counts.sum() * shares / shares.sum()
    statistic, p_value = _chi_square(counts.to_numpy()[None], planned.to_numpy()[None])
    few = "an arm expects fewer than 5 customers: the p-value is rough."
    return SampleRatio(
        statistic=float(statistic[0]),
        p_value=float(p_value[0]),
        observed=counts.rename("observed"),
        expected=planned.rename("expected"),
        status=status_of(p_value[0]),
        by_segment=ratios_by_segment([], np.empty((0, len(counts))), shares.to_numpy()),
        notes=(few,) if planned.min() < 5 else (),
    )


def _numbers(values: Counts, name: str, error: type[CustsegError]) -> pd.Series:
    """Return numbers by arm."""
    form = "such as {'control': 500, 'email': 500}, or [500, 500]"
    try:
        found = pd.Series(values).astype(float)
    except (TypeError, ValueError):
        raise error(f"{name} is {values!r}, but must be a number for each arm, {form}.") from None
    twice = found.index[found.index.duplicated()]
    if len(twice):
        raise error(f"{name} has arm {twice[0]!r} twice, but must have a number for each arm.")
    return found


def ratios_by_segment(
    segments: Sequence[str], counts: np.ndarray, shares: np.ndarray
) -> pd.DataFrame:
    """Return the sample-ratio test of every segment.

    Parameters
    ----------
    segments
        Names of the S segments.
    counts
        Customers by segment and arm, (S, A).
    shares
        Planned shares, (A,).

    Returns
    -------
    pandas.DataFrame
        `segment`, `statistic`, `p_value`, `p_holm`, `status` (from `p_holm`).
    """
    planned = counts.sum(axis=1, keepdims=True) * shares / shares.sum()
    statistic, p_value = _chi_square(counts, planned)
    p_holm = holm(p_value)
    return pd.DataFrame(
        {
            "segment": pd.Series(list(segments), dtype=str),
            "statistic": statistic,
            "p_value": p_value,
            "p_holm": p_holm,
            "status": pd.Series([status_of(p) for p in p_holm], dtype=str),
        }
    )


def _chi_square(counts: np.ndarray, planned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    statistic = ((counts - planned) ** 2 / planned).sum(axis=1)
    return statistic, stats.chi2.sf(statistic, counts.shape[1] - 1)


def status_of(p: float) -> str:
    """Return how alarming a p-value is of a check that is done on every campaign."""
    return "mismatch" if p < 0.001 else "suspect" if p < 0.01 else "ok"
