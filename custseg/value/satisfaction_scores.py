"""How satisfied are the segments: NPS, CSAT and CES with errors and tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats as distributions

from custseg import stats
from custseg._labels import ALL
from custseg.errors import DataError, check_number
from custseg.results import Result
from custseg.stats import Score, holm
from custseg.tables import Survey
from custseg.value._answers import read_scores, read_weights
from custseg.value._segments import by_id, match_segments, name_segments

COLUMNS = (
    *("score", "segment", "n", "estimate", "se", "ci_low", "ci_high"),
    *("difference", "difference_low", "difference_high", "p_value"),
)
FEW = 30
UNITS = {"nps": "points", "csat": "percent satisfied", "ces": "mean answer"}
Scorer = Callable[..., Score]


@dataclass(frozen=True, repr=False, eq=False)
class Satisfaction(Result):
    """Scores of every segment, beside all customers and against the other segments.

    Attributes
    ----------
    tests : pandas.DataFrame
        Index ``score``: ``chi2``, ``df``, ``p_value`` of the test that answers do not depend on
        the segment, and ``p_holm`` over the scores.
    shares : pandas.DataFrame
        Index ``segment``: weighted shares of ``promoters``, ``passives`` and ``detractors``; empty
        without NPS.
    account : pandas.DataFrame
        Index ``score``: ``customers`` = ``used`` + ``no_answer`` + ``not_assigned``.
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    tests: pd.DataFrame
    shares: pd.DataFrame
    account: pd.DataFrame
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_segments.satisfaction_forest"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per score and segment, everybody (``"(all)"``) first.

        Returns
        -------
        pandas.DataFrame
            ``score``, ``segment``, ``n``, ``estimate``, ``se``, ``ci_low``, ``ci_high``; and
            against everybody else ``difference``, ``difference_low``, ``difference_high``,
            ``p_value`` and ``p_holm`` (over the segments of a score). Missing where a segment has
            no answers, or nobody else has.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return each score of everybody, and the segments that differ from the others."""
        told = []
        for score, rows in self._table.groupby("score", sort=False):
            every = rows.iloc[0]
            head = f"{score.upper()} {_number(score, every)} (n={every['n']:,})"
            clear = rows[rows["p_holm"] < 1 - self.level].sort_values("difference")
            parts = [
                f"{row['segment']} {'above' if row['difference'] > 0 else 'below'} the others "
                f"({row['estimate']:.{_decimals(score)}f})"
                for row in clear.to_dict("records")
            ]
            if len(rows) == 1:
                told.append(f"{head}.")
            else:
                told.append(f"{head}: {', '.join(parts) or 'no segment clearly differs'}.")
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        columns = ["score", "segment", "n", "estimate", "se", "ci_low", "ci_high"]
        more = ["difference", "p_holm"] if self._table["p_holm"].notna().any() else []
        return self._table[columns + more].set_index(["score", "segment"])


def satisfaction(
    answers: Any,
    segments: Any = None,
    *,
    weights: pd.Series | None = None,
    satisfied: float = 4,
    csat_scale: tuple[float, float] = (1, 5),
    ces_scale: tuple[float, float] = (1, 7),
    level: float = 0.95,
) -> Satisfaction:
    """Score every segment by NPS, CSAT and CES, and test it against the other segments.

    Parameters
    ----------
    answers
        A frame with one row per customer, indexed by customer_id, with any of the columns `nps`
        (0 to 10), `csat` and `ces`, such as one from `custseg.features.survey_features`; or a
        `Survey` with those roles. A missing answer does not count.
    segments
        The segment of each customer: a Series is matched by index, a list by position; ``None``
        scores everybody together.
    weights
        Survey weights by customer, such as those of `custseg.features.rake`.
    satisfied
        The lowest answer to `csat` that counts as satisfied.
    csat_scale, ces_scale
        The lowest and the highest possible answer.
    level
        Confidence level of the intervals.

    Returns
    -------
    Satisfaction
        Estimates, standard errors and intervals are those of `custseg.stats.nps`, `csat` and
        `ces`. The interval of a difference joins those of its two sides (the method of variance
        estimates recovery); its p-value is the level at which it would end at 0, taken from the
        95% interval on the scale of the normal distribution. Neither breaks down where everybody
        gave one answer; only CES, a mean, has no error then, and its difference no p-value.

    Raises
    ------
    ColumnError
        If there is no score.
    DataError
        If an answer is outside its scale, a customer answered twice, nobody answered, or ids do
        not match.
    ParameterError
        If `satisfied` or `level` is outside its bounds.

    References
    ----------
    Zou, G. Y. and Donner, A. (2008), Construction of confidence limits about effect measures,
    Statistics in Medicine 27, 1693-1702. Rocks, B. (2016), Interval estimation for the Net
    Promoter Score, The American Statistician 70(4), 365-372.

    Examples
    --------
    >>> import pandas as pd
    >>> answers = pd.DataFrame({"nps": [10] * 50 + [8] * 30 + [3] * 20})
    >>> found = satisfaction(answers.rename_axis("customer_id"), ["A"] * 60 + ["B"] * 40)
    >>> found.to_frame()[["segment", "n", "estimate", "se"]].round(2)
      segment    n  estimate    se
    0   (all)  100     30.00  7.81
    1       A   60     83.33  4.81
    2       B   40    -50.00  7.91
    """
    check_number(level, "level", gt=0, lt=1)
    scorers = make_scorers(satisfied, csat_scale, ces_scale)
    table = read_scores(answers)
    if isinstance(answers, Survey) and segments is not None:
        segments = name_segments(segments)  # a list has no order to go by
    labels, notes = match_segments(segments, table.index)
    table = by_id(table)
    labels = labels.reindex(table.index)
    w = read_weights(weights, table.index)
    names = [name for name in labels.cat.categories if name != ALL]
    codes = labels.cat.codes.to_numpy()
    rows, tests, account = [], {}, {}
    for score in table:
        x = table[score].to_numpy()
        known = ~np.isnan(x) & (codes >= 0)
        account[score] = _account(x, codes)
        rows += _rows(score, scorers[score], x[known], w[known], codes[known], names, level)
        if len(names) > 1:
            values = point_values(score, x[known], satisfied)
            tests[score] = _independence(values, w[known], codes[known])
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["p_holm"] = frame.groupby("score", sort=False)["p_value"].transform(holm)
    shares = _nps_shares(table, w, labels) if "nps" in table else pd.DataFrame()
    return Satisfaction(
        frame,
        _tests(tests),
        shares,
        pd.DataFrame(account).T.rename_axis("score"),
        level,
        (*notes, *_notes(frame, names, weighted=weights is not None)),
    )


def make_scorers(
    satisfied: float, csat_scale: tuple[float, float], ces_scale: tuple[float, float]
) -> Mapping[str, Scorer]:
    """Return score -> function of answers and weights; refuse bounds that make no sense."""
    check_number(satisfied, "satisfied", gt=csat_scale[0], le=csat_scale[1])

    def csat(x: Any, w: Any, level: float) -> Score:
        return stats.csat(x, w, satisfied=satisfied, scale=csat_scale, level=level)

    def ces(x: Any, w: Any, level: float) -> Score:
        return stats.ces(x, w, scale=ces_scale, level=level)

    def nps(x: Any, w: Any, level: float) -> Score:
        return stats.nps(x, w, level=level)

    return {"nps": nps, "csat": csat, "ces": ces}


def point_values(score: str, x: np.ndarray, satisfied: float) -> np.ndarray:
    """Return the numbers whose mean is the score."""
    if score == "nps":
        return 100.0 * ((x >= 9).astype(float) - (x <= 6))
    return 100.0 * (x >= satisfied) if score == "csat" else x


def _rows(
    score: str,
    scorer: Scorer,
    x: np.ndarray,
    w: np.ndarray,
    codes: np.ndarray,
    names: list[str],
    level: float,
) -> list[dict[str, Any]]:
    def of(part: np.ndarray, p: float) -> Score:
        return scorer(x[part], w[part], p) if w[part].sum() else scorer([], None, p)

    if not w.sum():
        raise DataError(
            f"nobody with a segment and a weight above 0 answered {score!r}. Leave the column out."
        )
    rows = [{"score": score, "segment": ALL, **_estimate(scorer(x, w, level))}]
    for code, name in enumerate(names):
        inside = codes == code
        pair = [[of(part, p) for part in (inside, ~inside)] for p in (level, 0.95)]
        row = {"score": score, "segment": name, **_estimate(pair[0][0])}
        row |= _difference(*pair[0], tested=pair[1])
        rows.append(row)
    return rows


def _estimate(score: Score) -> dict[str, Any]:
    names = {"n": score.n, "estimate": score.estimate, "se": score.se}
    return names | {"ci_low": score.ci_low, "ci_high": score.ci_high}


def _difference(own: Score, others: Score, *, tested: list[Score]) -> dict[str, float]:
    """Return own minus others, with an interval made of those of the two, and its p-value."""
    gap = own.estimate - others.estimate
    down, up = _reach(own, others), _reach(others, own)
    toward_zero = _reach(*tested) if gap > 0 else _reach(*reversed(tested))
    z = distributions.norm.isf(0.025) * abs(gap) / toward_zero if toward_zero else np.nan
    return {
        "difference": gap,
        "difference_low": gap - down,
        "difference_high": gap + up,
        "p_value": float(2 * distributions.norm.sf(z)),
    }


def _reach(upper: Score, lower: Score) -> float:
    """Return how far the difference of two scores may come down."""
    return float(np.hypot(upper.estimate - upper.ci_low, lower.ci_high - lower.estimate))


def _independence(values: np.ndarray, w: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    """Test that the answers do not depend on the segment, at Kish's effective sizes."""
    total = w.sum()
    mean = w @ values / total
    variance = w @ (values - mean) ** 2 / total
    mass = np.bincount(codes, w)
    used = mass > 0
    size = mass[used] ** 2 / np.bincount(codes, w**2)[used]
    means = np.bincount(codes, w * values)[used] / mass[used]
    centre = size @ means / size.sum()
    chi2 = size @ (means - centre) ** 2 / variance if variance > 0 else np.nan
    df = int(used.sum()) - 1
    p_value = float(distributions.chi2.sf(chi2, df)) if df > 0 else np.nan
    return {"chi2": float(chi2), "df": df, "p_value": p_value}


def _tests(tests: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(tests, index=["chi2", "df", "p_value"]).T.rename_axis("score")
    return frame.assign(p_holm=holm(frame["p_value"].to_numpy(dtype=float)))


def _account(x: np.ndarray, codes: np.ndarray) -> dict[str, int]:
    silent = np.isnan(x) & (codes >= 0)
    used = int((~np.isnan(x) & (codes >= 0)).sum())
    return {
        "customers": len(x),
        "used": used,
        "no_answer": int(silent.sum()),
        "not_assigned": int((codes < 0).sum()),
    }


def _nps_shares(table: pd.DataFrame, w: np.ndarray, labels: pd.Series) -> pd.DataFrame:
    x = table["nps"]
    known = (x.notna() & labels.notna()).to_numpy()
    parts = {"promoters": x >= 9, "passives": (x > 6) & (x < 9), "detractors": x <= 6}
    mass = pd.DataFrame({name: part[known] * w[known] for name, part in parts.items()})
    by_segment = mass.groupby(labels[known], observed=True).sum()
    if ALL not in by_segment.index:
        by_segment.index = by_segment.index.astype(str)
        by_segment = pd.concat([mass.sum().to_frame(ALL).T, by_segment])
    by_segment.index = pd.Index(by_segment.index.astype(str), name="segment")
    return by_segment.div(by_segment.sum(axis=1), axis=0)


def _notes(frame: pd.DataFrame, names: list[str], *, weighted: bool) -> list[str]:
    notes = []
    few = frame[(frame["n"] < FEW) & (frame["segment"] != ALL)]
    if len(few):
        shown = ", ".join(f"{row.segment} ({row.score}, {row.n})" for row in few.itertuples())
        notes.append(f"fewer than {FEW} answers: {shown}. One answer moves such a score visibly.")
    if weighted:
        notes.append(
            "weights are taken as known: the doubt about them, and what raking gains, is in no "
            "standard error."
        )
    if names:
        notes.append(
            "the tests hold where the segments were not made from these answers: a segment made of "
            "satisfied customers is satisfied by construction."
        )
    notes.append(
        "who did not answer may think otherwise: compare the answer rates of the segments."
    )
    return notes


def _decimals(score: str) -> int:
    return 2 if score == "ces" else 0


def _number(score: str, row: pd.Series) -> str:
    d = _decimals(score)
    return f"{row['estimate']:.{d}f} [{row['ci_low']:.{d}f}, {row['ci_high']:.{d}f}]"
