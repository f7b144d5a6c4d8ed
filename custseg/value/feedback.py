"""What do segments complain about: themes of feedback and rates of complaints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from custseg._labels import ALL
from custseg.errors import DataError, check_number
from custseg.results import Result
from custseg.stats import holm, newcombe, wilson
from custseg.value._answers import check_answers, numbers
from custseg.value._segments import by_id, match_segments
from custseg.value.demand import lift_interval

Vector = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class FeedbackThemes(Result):
    """How often every segment speaks of every theme.

    Attributes
    ----------
    voices : pandas.DataFrame
        Index ``segment``: ``customers``, those who ``commented``, their share ``rate`` with
        ``ci_low`` and ``ci_high``.
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    voices: pd.DataFrame
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_segments.feedback_dots"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per theme and segment, everybody (``"(all)"``) first.

        Returns
        -------
        pandas.DataFrame
            ``theme``, ``segment``, ``commented``, ``about`` (customers), ``rate`` of those who
            commented with ``ci_low`` and ``ci_high``, ``lift`` over everybody with ``lift_low``
            and ``lift_high``; ``difference`` from the other segments with ``difference_low``,
            ``difference_high``, ``p_value`` and ``p_holm`` (over all themes and segments).
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the most frequent themes, and who speaks of which more or less than the others.

        Differences are told where `p_holm` is below 1 minus the level, the largest first.
        """
        rows = self._table
        every = rows[rows["segment"] == ALL].sort_values("rate", ascending=False, kind="stable")
        said = [f"{row.theme} {row.rate:.0%}" for row in every.head(3).itertuples()]
        told = [f"Most comments are about {', '.join(said)}."]
        clear = rows[rows["p_holm"] < 1 - self.level]
        clear = clear.sort_values("difference", key=abs, ascending=False, kind="stable")
        for more, words in ((True, "More"), (False, "Less")):
            parts = [
                f"{row.segment} on {row.theme} ({row.rate:.0%})"
                for row in clear[(clear["difference"] > 0) == more].itertuples()
            ]
            told += [f"{words} than the others: {', '.join(parts)}."] * bool(parts)
        if clear.empty and rows["p_holm"].notna().any():
            told.append("No segment clearly differs from the others on any theme.")
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        columns = ["theme", "segment", "about", "rate", "ci_low", "ci_high", "lift", "p_holm"]
        return self._table[columns].set_index(["theme", "segment"])


@dataclass(frozen=True, repr=False, eq=False)
class ComplaintRates(Result):
    """Complaints per customer, or per what they did, by segment.

    Attributes
    ----------
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_segments.complaint_rates"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per kind and segment, everybody (``"(all)"``) first.

        Returns
        -------
        pandas.DataFrame
            ``kind``, ``segment``, ``customers``, ``complaints``, ``exposure``, ``rate``
            (complaints over exposure) with ``ci_low`` and ``ci_high``, ``touched`` (the share of
            customers with a complaint); ``ratio`` to the other segments with ``ratio_low``,
            ``ratio_high``, ``p_value`` and ``p_holm`` (over the segments of a kind).
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the rate of everybody, and the segments that differ from the others."""
        told = []
        for kind, rows in self._table.groupby("kind", sort=False):
            clear = rows[rows["p_holm"] < 1 - self.level].sort_values("ratio", ascending=False)
            parts = [f"{row.segment} {row.ratio:.1f} times" for row in clear.itertuples()]
            rest = f", against the others {', '.join(parts)}" if parts else ""
            told.append(f"{kind}: {rows['rate'].iloc[0]:.3g} each{rest}.")
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        columns = ["kind", "segment", "complaints", "rate", "ci_low", "ci_high", "ratio", "p_holm"]
        return self._table[columns].set_index(["kind", "segment"])


def feedback_themes(
    weights: pd.DataFrame, segments: Any = None, *, about: float = 0.25, level: float = 0.95
) -> FeedbackThemes:
    """Count by segment who speaks of which theme.

    Parameters
    ----------
    weights
        One row per customer, indexed by customer_id, and one column per theme: the share of the
        comment that is about it, or 1 and 0; missing where there is no comment. Such as the
        ``weights`` of `custseg.features.comment_themes`.
    segments
        As in `custseg.value.satisfaction`.
    about
        The least share that makes a comment one about the theme.
    level
        Confidence level of the intervals.

    Returns
    -------
    FeedbackThemes
        Rates of those who commented, by Wilson; differences from the other segments by Newcombe,
        with the chi-square test; lifts as in `custseg.value.segment_demand`.

    Raises
    ------
    DataError
        If a share is outside 0 to 1, nobody commented, or ids do not match.
    ParameterError
        If `about` or `level` is outside its bounds.

    Examples
    --------
    >>> import pandas as pd
    >>> weights = pd.DataFrame({
    ...     "theme_price": [1, 1, 0, 0, None], "theme_staff": [0, 0, 1, 1, None],
    ... })
    >>> found = feedback_themes(weights, ["A", "A", "A", "B", "B"])
    >>> found.to_frame()[["theme", "segment", "commented", "about", "rate"]].round(2)
       theme segment  commented  about  rate
    0  price   (all)          4      2  0.50
    1  price       A          3      2  0.67
    2  price       B          1      0  0.00
    3  staff   (all)          4      2  0.50
    4  staff       A          3      1  0.33
    5  staff       B          1      1  1.00
    """
    check_number(about, "about", gt=0, le=1)
    check_number(level, "level", gt=0, lt=1)
    table = numbers(check_answers(weights), list(check_answers(weights).columns))
    if ((table < 0) | (table > 1)).any(axis=None):
        raise DataError("weights must lie between 0 and 1: give shares of comments, or 1 and 0.")
    labels, notes = match_segments(segments, table.index)
    labels = labels.reindex(table.index)
    spoke = table.notna().all(axis=1) & labels.notna()
    if not spoke.any():
        raise DataError("nobody in a segment commented. Leave the themes out.")
    names = [name for name in labels.cat.categories if name != ALL]
    members = {ALL: labels.notna()} | {name: labels == name for name in names}
    customers = np.array([own.sum() for own in members.values()])
    commented = np.array([(own & spoke).sum() for own in members.values()])
    voices = _voices(list(members), customers, commented, level)
    parts = []
    for theme in table:
        speaks = (table[theme] >= about) & spoke
        x = np.array([(own & speaks).sum() for own in members.values()])
        low, high = wilson(x, commented, level=level)
        rows: dict[str, Any] = {
            "theme": str(theme).removeprefix("theme_"),
            "segment": list(members),
        }
        with np.errstate(invalid="ignore", divide="ignore"):
            rows |= {"commented": commented, "about": x, "rate": x / commented}
        rows |= {"ci_low": low, "ci_high": high} | _against_others(x, commented, level)
        parts.append(pd.DataFrame(rows))
    frame = pd.concat(parts, ignore_index=True)
    frame["p_holm"] = holm(frame["p_value"].to_numpy())
    quiet = int(customers[0] - commented[0])
    if quiet:
        notes.append(
            f"{quiet:,} of {customers[0]:,} customers did not comment; rates are of those who did, "
            "who are often the very pleased and the very angry."
        )
    return FeedbackThemes(frame, voices, level, tuple(notes))


def complaint_rates(
    complaints: pd.DataFrame,
    segments: Any = None,
    *,
    exposure: pd.Series | None = None,
    level: float = 0.95,
) -> ComplaintRates:
    """Compare by segment how many complaints come per customer, or per order, visit or year.

    Parameters
    ----------
    complaints
        One row per customer, indexed by customer_id, and one column of counts per kind, such as
        tickets and returns; 0 where there was none.
    segments
        As in `custseg.value.satisfaction`.
    exposure
        What could have led to a complaint, by customer: orders, visits, years; ``None`` counts
        every customer as one.
    level
        Confidence level of the intervals.

    Returns
    -------
    ComplaintRates
        Rates and ratios with standard errors by customers, which hold where a few complain often,
        never below Poisson's, and intervals on the scale of logarithms; where one side has no
        complaint, those of exact Poisson counts.

    Raises
    ------
    DataError
        If a count is missing, negative or not whole, or exposure is missing or not above 0.
    ParameterError
        If `level` is not between 0 and 1.

    Examples
    --------
    >>> import pandas as pd
    >>> tickets = pd.DataFrame({"tickets": [2, 0, 1, 0, 0, 1]})
    >>> orders = pd.Series([10, 5, 5, 10, 20, 10])
    >>> found = complaint_rates(tickets, ["A", "A", "A", "B", "B", "B"], exposure=orders)
    >>> found.to_frame()[["segment", "complaints", "exposure", "rate"]].round(3)
      segment  complaints  exposure   rate
    0   (all)           4      60.0  0.067
    1       A           3      20.0  0.150
    2       B           1      40.0  0.025
    """
    check_number(level, "level", gt=0, lt=1)
    table = numbers(check_answers(complaints), list(check_answers(complaints).columns))
    values = table.to_numpy()
    if not ((values >= 0) & (values % 1 == 0)).all():
        raise DataError("complaints must be whole numbers of at least 0: fill in 0 for none.")
    labels, notes = match_segments(segments, table.index)
    table = by_id(table)
    labels = labels.reindex(table.index)
    at_stake = _exposure(exposure, table.index)
    names = [name for name in labels.cat.categories if name != ALL]
    assigned = labels.notna().to_numpy()
    rows = []
    for kind in table:
        counts = table[kind].to_numpy()
        for name in [ALL, *names]:
            inside = assigned if name == ALL else (labels == name).to_numpy()
            row = {"kind": str(kind), "segment": name, "customers": int(inside.sum())}
            row |= _rate(counts[inside], at_stake[inside], level)
            others = assigned & ~inside
            if name != ALL and others.any():
                pair = [(counts[i], at_stake[i]) for i in (inside, others)]
                row |= _ratio_of_rates(*pair, level=level)
            rows.append(row)
    frame = pd.DataFrame(rows)
    for name in ("ratio", "ratio_low", "ratio_high", "p_value"):
        if name not in frame:
            frame[name] = np.nan
    frame["p_holm"] = frame.groupby("kind", sort=False)["p_value"].transform(holm)
    notes.append("who complains is not who suffers: many leave without a word.")
    return ComplaintRates(frame, level, tuple(notes))


def _voices(
    names: Sequence[str], customers: NDArray[Any], commented: NDArray[Any], level: float
) -> pd.DataFrame:
    low, high = wilson(commented, customers, level=level)
    columns = {"customers": customers, "commented": commented, "rate": commented / customers}
    index = pd.Index(names, name="segment")
    return pd.DataFrame(columns | {"ci_low": low, "ci_high": high}, index=index)


def _against_others(x: NDArray[Any], n: NDArray[Any], level: float) -> dict[str, Vector]:
    """Return lift and difference of each segment; the first row is everybody."""
    others, n_others = x[0] - x, n[0] - n
    lift, lift_low, lift_high = lift_interval(x, n, others, n_others, level=level)
    low, high = newcombe(x, n, others, n_others, level=level)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = x / n - others / n_others
        pooled = x[0] / n[0]
        se = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / n_others))
        p_value = np.where(n_others > 0, 2 * stats.norm.sf(np.abs(difference / se)), np.nan)
    found = {"lift": lift, "lift_low": lift_low, "lift_high": lift_high, "difference": difference}
    return found | {"difference_low": low, "difference_high": high, "p_value": p_value}


def _exposure(exposure: pd.Series | None, customers: pd.Index) -> Vector:
    if exposure is None:
        return np.ones(len(customers))
    if not isinstance(exposure, pd.Series) or not exposure.index.is_unique:
        raise DataError("exposure must be a Series with one number per customer_id.")
    found = exposure.reindex(customers).to_numpy(dtype=float, na_value=np.nan)
    if not (np.isfinite(found) & (found > 0)).all():
        raise DataError(
            f"exposure is missing or not above 0 for {int((~(found > 0)).sum()):,} customers. "
            "Leave those out of complaints, or give them one."
        )
    return found


def _rate(counts: Vector, exposure: Vector, level: float) -> dict[str, float]:
    total, mass = counts.sum(), exposure.sum()
    rate = total / mass
    error = _log_error(counts, exposure)
    z = stats.norm.isf((1 - level) / 2)
    if total:
        low, high = rate * np.exp(-z * error), rate * np.exp(z * error)
    else:
        low, high = 0.0, stats.chi2.ppf((1 + level) / 2, 2) / 2 / mass
    return {
        "complaints": int(total),
        "exposure": float(mass),
        "rate": float(rate),
        "ci_low": float(low),
        "ci_high": float(high),
        "touched": float((counts > 0).mean()),
    }


def _log_error(counts: Vector, exposure: Vector) -> float:
    """Return the standard error of the logarithm of a rate, customers as clusters."""
    n, total = len(counts), counts.sum()
    if not total or n < 2:
        return float("nan")
    off = counts - total / exposure.sum() * exposure
    # one complaint tells at least as little as a Poisson count of one
    return float(np.sqrt(max(n / (n - 1) * (off**2).sum() / total**2, 1 / total)))


def _ratio_of_rates(
    own: tuple[Vector, Vector], others: tuple[Vector, Vector], *, level: float
) -> dict[str, float]:
    rates = [counts.sum() / exposure.sum() for counts, exposure in (own, others)]
    if not rates[0] or not rates[1]:
        return _exact_ratio(own, others, level)
    error = np.hypot(_log_error(*own), _log_error(*others))
    log = np.log(rates[0] / rates[1])
    z = stats.norm.isf((1 - level) / 2)
    low, high = np.exp(log - z * error), np.exp(log + z * error)
    p_value = float(2 * stats.norm.sf(abs(log) / error))
    return {"ratio": float(np.exp(log)), "ratio_low": low, "ratio_high": high, "p_value": p_value}


def _exact_ratio(
    own: tuple[Vector, Vector], others: tuple[Vector, Vector], level: float
) -> dict[str, float]:
    """Return the ratio of two Poisson rates given their sum, for a side without complaints."""
    names = ("ratio", "ratio_low", "ratio_high", "p_value")
    x, total = int(own[0].sum()), int(own[0].sum() + others[0].sum())
    if not total:
        return dict.fromkeys(names, np.nan)
    mass, rest = own[1].sum(), others[1].sum()
    found = stats.binomtest(x, total, mass / (mass + rest))
    bounds = found.proportion_ci(level, method="exact")
    shares = np.array([x / total, bounds.low, bounds.high])
    with np.errstate(divide="ignore"):
        ratios = shares / (1 - shares) * rest / mass
    return dict(zip(names, [*ratios.tolist(), float(found.pvalue)], strict=True))
