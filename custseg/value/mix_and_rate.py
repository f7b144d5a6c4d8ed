"""Why did a score change: other customers answered, or the same ones answered otherwise."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from custseg._labels import ALL
from custseg.errors import DataError, check_columns, check_number, check_option
from custseg.results import Result
from custseg.value._answers import SCORES, read_scores, read_weights
from custseg.value._segments import by_id, match_segments, name_segments
from custseg.value.satisfaction_scores import make_scorers, point_values

PARTS = ("mix", "rate", "change")


@dataclass(frozen=True, repr=False, eq=False)
class ScoreChange(Result):
    """The change of a score between two surveys, split by segment into mix and rate.

    Attributes
    ----------
    score : str
        Which score.
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    score: str
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_segments.score_change"

    def to_frame(self) -> pd.DataFrame:
        """Return everybody, then a row per segment.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``n_before``, ``n_after``, ``share_before``, ``share_after``,
            ``score_before``, ``score_after``; and ``mix``, ``rate`` and ``change``, their sum,
            each with ``_se``, ``_low`` and ``_high``. The rows of the segments add up to the first.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return the change and its two parts."""
        every = self._table.iloc[0]
        parts = [
            f"{name} {every[name]:+.1f} [{every[f'{name}_low']:+.1f}, {every[f'{name}_high']:+.1f}]"
            for name in PARTS
        ]
        return (
            f"{self.score.upper()} went from {every['score_before']:.1f} to "
            f"{every['score_after']:.1f}: {parts[2]} = {parts[0]} + {parts[1]}."
        )

    def _shown(self) -> pd.DataFrame:
        columns = ["share_before", "share_after", "score_before", "score_after"]
        more = [f"{name}{end}" for name in PARTS for end in ("", "_se")]
        return self._table.set_index("segment")[columns + more]


def score_change(
    before: Any,
    after: Any,
    segments: Any,
    *,
    score: str = "nps",
    segments_after: Any = None,
    weights: pd.Series | None = None,
    weights_after: pd.Series | None = None,
    satisfied: float = 4,
    csat_scale: tuple[float, float] = (1, 5),
    ces_scale: tuple[float, float] = (1, 7),
    level: float = 0.95,
) -> ScoreChange:
    """Split the change of a score into other segments answering and segments answering otherwise.

    With shares w and scores s of the segments, the change is the sum over segments of *mix*,
    (w₁ - w₀) (the segment's mean score - everybody's), and *rate*, mean w (s₁ - s₀); means are
    over the two surveys, so that neither comes first.

    Parameters
    ----------
    before, after
        Answers, as `custseg.value.satisfaction` takes them.
    segments
        A Series of segments by customer, for both surveys.
    score
        ``"nps"``, ``"csat"`` or ``"ces"``.
    segments_after
        Segments at the time of the second survey, where customers have moved.
    weights, weights_after
        Survey weights by customer.
    satisfied, csat_scale, ces_scale, level
        As in `custseg.value.satisfaction`.

    Returns
    -------
    ScoreChange
        Standard errors are by linearisation: shares and scores are both estimated, and customers
        who answered both times count once.

    Raises
    ------
    ColumnError
        If a survey lacks the score.
    DataError
        If answers are outside their scale, or nobody answered.
    ParameterError
        If there is no such score, or a bound does not hold.

    References
    ----------
    Kitagawa, E. M. (1955), Components of a difference between two rates, JASA 50, 1168-1194.

    Examples
    --------
    >>> import pandas as pd
    >>> segments = pd.Series(["A"] * 6 + ["B"] * 6)
    >>> before = pd.DataFrame({"nps": [10, 10, 9, 8, 3, 6]}, index=[0, 1, 2, 3, 6, 7])
    >>> after = pd.DataFrame({"nps": [10, 9, 10, 9, 6, 5, 2]}, index=[0, 1, 4, 5, 9, 10, 11])
    >>> found = score_change(before, after, segments)
    >>> found.to_frame().set_index("segment")[["mix", "rate", "change"]].round(2)
               mix   rate  change
    segment
    (all)   -17.86  15.48   -2.38
    A        -6.86  15.48    8.62
    B       -11.00   0.00  -11.00
    """
    check_option(score, "score", SCORES)
    check_number(level, "level", gt=0, lt=1)
    scorer = make_scorers(satisfied, csat_scale, ces_scale)[score]
    later = segments if segments_after is None else segments_after
    named = [name_segments(labels) for labels in (segments, later)]
    names = list(dict.fromkeys(name for labels in named for name in labels.cat.categories))
    waves, notes = [], []
    for answers, labels, w in zip((before, after), named, (weights, weights_after), strict=True):
        found, told = _read_wave(answers, labels, w, score)
        scorer(found["x"], found["w"], level)  # refuses answers outside the scale
        found["x"] = point_values(score, found["x"].to_numpy(), satisfied)
        waves.append(found)
        notes += told
    names = [name for name in names if any((wave["segment"] == name).any() for wave in waves)]
    moments = [_moments(wave, names) for wave in waves]
    theta = np.concatenate([part for pair in moments for part in pair])
    k = len(names)
    effect = _split(theta, k)
    covariance = _covariance(waves, moments, names)
    jacobian = np.column_stack(
        [_split(theta + 1e-30j * unit, k).imag / 1e-30 for unit in np.eye(4 * k)]
    )  # exact for polynomials
    se = np.sqrt(np.maximum(np.diag(jacobian @ covariance @ jacobian.T), 0))
    table = _table(waves, moments, names, effect.reshape(3, k + 1), se.reshape(3, k + 1), level)
    return ScoreChange(table, score, level, (*notes, *_notes(waves, moments, names)))


def _read_wave(
    answers: Any, labels: pd.Series, weights: pd.Series | None, score: str
) -> tuple[pd.DataFrame, list[str]]:
    """Return answers `x`, weights `w` and the segment of the customers who count."""
    table = read_scores(answers)
    check_columns(list(table.columns), [score], where="answers")
    matched, notes = match_segments(labels, table.index)
    wave = pd.DataFrame({"x": table[score], "w": read_weights(weights, table.index)})
    wave["segment"] = matched.astype(object)
    wave = by_id(wave.dropna())
    if not wave["w"].sum():
        raise DataError(f"nobody in a segment answered {score!r} in one of the two surveys.")
    return wave, notes


def _moments(wave: pd.DataFrame, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the share and the score of each segment; the score is NaN without answers."""
    mass = wave.groupby("segment")["w"].sum().reindex(names, fill_value=0.0).to_numpy()
    sums = (wave["w"] * wave["x"]).groupby(wave["segment"]).sum().reindex(names, fill_value=0.0)
    with np.errstate(invalid="ignore"):
        return mass / mass.sum(), sums.to_numpy() / np.where(mass > 0, mass, np.nan)


def _split(theta: np.ndarray, k: int) -> np.ndarray:
    """Return mix, rate and change of everybody and of each segment, from shares and scores.

    A segment that answered once only has that score both times: it contributes by mix alone.
    """
    w0, s0, w1, s1 = theta.reshape(4, k)
    s0, s1 = np.where(np.isnan(s0), s1, s0), np.where(np.isnan(s1), s0, s1)
    everybody = (w0 @ s0 + w1 @ s1) / 2
    mix = (w1 - w0) * ((s0 + s1) / 2 - everybody)
    rate = (w0 + w1) / 2 * (s1 - s0)
    parts = [np.append(part.sum(), part) for part in (mix, rate, mix + rate)]
    return np.concatenate(parts)


def _covariance(
    waves: list[pd.DataFrame], moments: list[tuple[np.ndarray, np.ndarray]], names: list[str]
) -> np.ndarray:
    """Return the covariance of the shares and scores; a customer's two answers go together."""
    k = len(names)
    influences = []
    for number, (wave, (share, score)) in enumerate(zip(waves, moments, strict=True)):
        member = wave["segment"].to_numpy()[:, None] == np.array(names, dtype=object)
        own = wave["w"].to_numpy()[:, None] / wave["w"].sum()
        to_share = own * (member - share)
        with np.errstate(invalid="ignore", divide="ignore"):
            to_score = own * np.where(member, (wave["x"].to_numpy()[:, None] - score) / share, 0.0)
        columns = range(2 * k * number, 2 * k * (number + 1))
        influences.append(pd.DataFrame(np.hstack([to_share, to_score]), wave.index, columns))
    both = pd.concat(influences).fillna(0.0)
    by_customer = both.groupby(level=0).sum().to_numpy()
    return by_customer.T @ by_customer


def _table(
    waves: list[pd.DataFrame],
    moments: list[tuple[np.ndarray, np.ndarray]],
    names: list[str],
    effect: np.ndarray,
    se: np.ndarray,
    level: float,
) -> pd.DataFrame:
    columns: dict[str, Any] = {"segment": [ALL, *names]}
    for when, wave in zip(("before", "after"), waves, strict=True):
        counts = wave["segment"].value_counts().reindex(names, fill_value=0)
        columns[f"n_{when}"] = [len(wave), *counts]
    for when, (share, _) in zip(("before", "after"), moments, strict=True):
        columns[f"share_{when}"] = np.append(1.0, share)
    for when, (share, score) in zip(("before", "after"), moments, strict=True):
        columns[f"score_{when}"] = np.append(share @ np.nan_to_num(score), score)
    z = stats.norm.isf((1 - level) / 2)
    for name, value, error in zip(PARTS, effect, se, strict=True):
        columns |= {name: value, f"{name}_se": error}
        columns |= {f"{name}_low": value - z * error, f"{name}_high": value + z * error}
    return pd.DataFrame(columns)


def _notes(
    waves: list[pd.DataFrame], moments: list[tuple[np.ndarray, np.ndarray]], names: list[str]
) -> list[str]:
    told = (
        "mix is a change of who answered: of the customers, or only of their readiness to answer. "
        "Compare the shares with those of all customers."
    )
    notes = [told]
    if twice := len(waves[0].index.intersection(waves[1].index)):
        notes.append(
            f"{twice:,} customers answered both times; their two answers go together in the "
            "standard errors."
        )
    for name, *scores in zip(names, *(score for _, score in moments), strict=True):
        if np.isnan(scores).any():
            notes.append(f"{name!r} answered one survey only: all that it changes is mix.")
    return notes
