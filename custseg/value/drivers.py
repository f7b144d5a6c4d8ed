"""What drives loyalty: each driver's share of R², by segment, and what to do about it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from custseg._labels import ALL
from custseg.errors import DataError, ParameterError, check_number
from custseg.results import Result
from custseg.stats import mean_interval
from custseg.value._answers import check_answers, numbers, read_weights
from custseg.value._segments import by_id, match_segments

Vector = NDArray[np.float64]

EXACT = 15
"""Up to so many drivers all subsets are counted; beyond, orders are drawn."""
DRAWS = 10
MOST_DRIVERS = 50
SAME = 1e-10
"""A driver of which the others leave less variance than this share is their combination."""
BATCH = 2**21
FEW = 10
QUADRANTS = {
    (True, False): "concentrate here",
    (True, True): "keep it up",
    (False, False): "low priority",
    (False, True): "possible overkill",
}
"""Importance above average, performance above average -> what Martilla and James advise."""


@dataclass(frozen=True, repr=False, eq=False)
class KeyDrivers(Result):
    """Importance of every driver for everybody and for each segment, beside its performance.

    Attributes
    ----------
    fit : pandas.DataFrame
        Index ``segment``: ``n`` complete answers, ``r2`` with ``r2_low`` and ``r2_high``,
        ``adjusted_r2``.
    same_drivers : pandas.Series
        ``chi2``, ``df``, ``p_value`` of the test that all slopes are equal in all segments.
    account : pandas.Series
        ``customers`` = ``used`` + ``incomplete`` + ``not_assigned``.
    outcome : str
        What is driven.
    n_orders : int
        How many orders of the drivers were drawn for each segment; 0 where importances are exact.
    notes : tuple of str
        What to know before quoting a number.
    """

    _table: pd.DataFrame
    fit: pd.DataFrame
    same_drivers: pd.Series
    account: pd.Series
    outcome: str
    level: float
    n_orders: int
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "value_segments.importance_performance"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment (everybody first) and driver, the most important first.

        Returns
        -------
        pandas.DataFrame
            ``segment``, ``driver``, ``n``; ``importance`` (the driver's part of R²), ``share`` (of
            R²), ``beta`` (standardised slope) and ``performance`` (mean answer), each with
            ``_low`` and ``_high``; ``quadrant`` of the importance-performance map; ``firm``,
            whether both intervals lie on one side of its lines; and ``drawn_se``, the standard
            error of importance from the draw of orders, 0 where it is exact.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return R² and the most important drivers of everybody and of each segment."""
        told = []
        for segment, rows in self._table.groupby("segment", sort=False):
            first = [f"{row.driver} {row.share:.0%}" for row in rows.head(3).itertuples()]
            r2 = self.fit.loc[segment, "r2"]
            told.append(f"{segment}: R² {r2:.2f} of {self.outcome}, {', '.join(first)}.")
        return " ".join(told)

    def _shown(self) -> pd.DataFrame:
        columns = ["importance", "share", "share_low", "share_high", "beta", "performance"]
        return self._table.set_index(["segment", "driver"])[[*columns, "quadrant"]]


def key_drivers(
    answers: pd.DataFrame,
    outcome: str,
    drivers: Sequence[str],
    segments: Any = None,
    *,
    weights: pd.Series | None = None,
    n_boot: int = 500,
    random_state: int = 0,
    level: float = 0.95,
) -> KeyDrivers:
    """Share the R² of a regression out among its drivers, for everybody and by segment.

    A driver's importance is what it adds to R², averaged over all orders in which the drivers can
    enter (Lindeman, Merenda and Gold; the Shapley value of R²). With up to 15 drivers it is exact,
    by all subsets; with more it is averaged over orders drawn at random, each with its rotations
    and their reverses, in which every driver enters at every place. Importances are never negative
    and add up to R² either way.

    Parameters
    ----------
    answers
        One row per customer, indexed by customer_id. Rows that lack one of the columns do not
        count.
    outcome
        The column that is driven, such as ``"nps"`` as answered.
    drivers
        The columns that drive it: 2 to 50, best on one scale.
    segments
        As in `custseg.value.satisfaction`.
    weights
        Survey weights by customer.
    n_boot
        Bootstrap samples of respondents, drawn within each segment.
    random_state
        The seed of the samples and orders.
    level
        Confidence level of the intervals.

    Returns
    -------
    KeyDrivers
        Intervals of importance, share, beta and R² are percentiles of the bootstrap, those of
        performance Student's t. A note bounds what drawing orders adds. The lines of the map are
        the segment's mean importance and mean performance.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If a column is no number or does not vary, or a segment has too few complete answers.
    ParameterError
        If there are fewer than 2 or more than 50 drivers, or a number is out of bounds.

    References
    ----------
    Lindeman, R. H., Merenda, P. F. and Gold, R. Z. (1980), Introduction to Bivariate and
    Multivariate Analysis, Scott Foresman, 119-127. Grömping, U. (2007), The American Statistician
    61(2), 139-147. Castro, J., Gómez, D. and Tejada, J. (2009), Computers & Operations Research
    36(5), 1726-1730 (orders drawn at random). Martilla, J. A. and James, J. C. (1977), Journal of
    Marketing 41(1), 77-79.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> answers = pd.DataFrame(rng.normal(5, 1, (200, 2)), columns=["service", "price"])
    >>> answers["nps"] = answers["service"] + 0.5 * answers["price"] + rng.normal(size=200)
    >>> found = key_drivers(answers, "nps", ["service", "price"], n_boot=50)
    >>> found.to_frame()[["driver", "importance", "share"]].round(2)
        driver  importance  share
    0  service        0.39   0.68
    1    price        0.18   0.32
    >>> round(found.fit["r2"].item(), 2)
    0.57
    """
    names = _check_drivers(outcome, drivers)
    check_number(n_boot, "n_boot", ge=50, integer=True)
    check_number(random_state, "random_state", ge=0, integer=True)
    check_number(level, "level", gt=0, lt=1)
    table = numbers(check_answers(answers), [*names, outcome])
    labels, notes = match_segments(segments, table.index)
    table = by_id(table)
    labels = labels.reindex(table.index)
    w = read_weights(weights, table.index)
    complete = table.notna().all(axis=1).to_numpy()
    assigned = labels.notna().to_numpy()
    used = complete & assigned & (w > 0)
    account = pd.Series(
        {
            "customers": len(table),
            "used": int(used.sum()),
            "incomplete": int((assigned & ~used).sum()),
            "not_assigned": int((~assigned).sum()),
        }
    )
    values, w, codes = table[used].to_numpy(), w[used], labels.cat.codes.to_numpy()[used]
    segment_names = [name for name in labels.cat.categories if name != ALL]
    groups = {ALL: np.ones(len(values), bool)}
    groups |= {name: codes == code for code, name in enumerate(segment_names)}
    seeds = np.random.SeedSequence(random_state).spawn(len(groups))
    rows, fit = [], {}
    for (name, inside), seed in zip(groups.items(), seeds, strict=True):
        x, own = values[inside], w[inside]
        _check_group(x, [*names, outcome], name)
        found = _Importances(x, own, n_boot, np.random.default_rng(seed), level)
        fit[name] = found.fit()
        rows.append(_rows(found, x, own, names, level).assign(segment=name))
    frame = pd.concat(rows, ignore_index=True)
    frame.insert(0, "segment", frame.pop("segment"))
    chow = _equal_slopes([(values[codes == c], w[codes == c]) for c in range(len(segment_names))])
    n_orders = 2 * len(names) * DRAWS if len(names) > EXACT else 0
    result_notes = _notes(fit, len(names), table[names], account)
    result_notes += _bound(frame, len(names), n_orders, level)
    fits = pd.DataFrame(fit).T.rename_axis("segment").astype({"n": "int64"})
    told = (*notes, *result_notes)
    return KeyDrivers(frame, fits, chow, account, outcome, level, n_orders, told)


def shapley_r2(correlation: Vector) -> Vector:
    """Return each driver's part of R²: the mean over all orders of what it adds.

    Parameters
    ----------
    correlation
        Correlations of the drivers and, last, the outcome; (B, p + 1, p + 1).

    Returns
    -------
    numpy.ndarray
        (B, p); rows add up to R².
    """
    left = _unexplained(correlation)
    p = correlation.shape[-1] - 1
    subsets = np.arange(2**p)
    size = np.bitwise_count(subsets)
    weight = np.array([factorial(s) * factorial(p - s - 1) / factorial(p) for s in range(p)])
    parts = []
    for driver in range(p):
        without = subsets[(subsets >> driver) & 1 == 0]
        gain = left[:, without] - left[:, without | (1 << driver)]
        parts.append(gain @ weight[size[without]])
    return np.stack(parts, axis=1)


def draw_orders(p: int, draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return orders drawn at random, each with its rotations and their reverses, (draws, 2p, p)."""
    drawn = rng.permuted(np.tile(np.arange(p), (draws, 1)), axis=1)
    rotated = drawn[:, np.add.outer(np.arange(p), np.arange(p)) % p]
    return np.concatenate([rotated, rotated[..., ::-1]], axis=1)


def added_r2(correlation: Vector, orders: NDArray[np.intp]) -> Vector:
    """Return what each driver adds to R² where the drivers enter one after the other.

    It is a squared element of the last row of the Cholesky factor of the correlations in this
    order, the outcome last. A driver that those before it determine adds nothing.

    Parameters
    ----------
    correlation
        Correlations of the drivers and, last, the outcome; (p + 1, p + 1).
    orders
        Orders of the drivers, (..., p).

    Returns
    -------
    numpy.ndarray
        (..., p), columns in the order of `correlation`; rows add up to R².
    """
    p = orders.shape[-1]
    places = np.insert(orders, p, p, axis=-1)
    sorted_ = correlation[places[..., :, None], places[..., None, :]]
    factor = np.linalg.cholesky(sorted_ + SAME * np.eye(p + 1))
    added = np.empty(orders.shape)
    np.put_along_axis(added, orders, factor[..., -1, :-1] ** 2, axis=-1)
    return added


def _unexplained(correlation: Vector) -> Vector:
    """Return the share of variance that each subset of drivers leaves, (B, 2 ** p).

    Driver by driver, every subset so far is kept as it is (the driver is left out) and swept (it
    is put in); only what later drivers and the outcome need is carried on.
    """
    rest = correlation[:, None]
    for _ in range(correlation.shape[-1] - 1):
        pivot = rest[..., :1, :1]
        usable = pivot > SAME
        row, column = rest[..., :1, 1:], rest[..., 1:, :1]
        out = rest[..., 1:, 1:]
        swept = out - np.where(usable, column * row / np.where(usable, pivot, 1.0), 0.0)
        rest = np.concatenate([out, swept], axis=1)
    return rest[..., 0, 0]


class _Importances:
    """Importances, R² and slopes of one group of respondents, with bootstrap intervals."""

    def __init__(
        self,
        x: Vector,
        w: Vector,
        n_boot: int,
        rng: np.random.Generator,
        level: float,
    ) -> None:
        self.n, self.p = len(x), x.shape[1] - 1
        self.tails = [(1 - level) / 2, (1 + level) / 2]
        centred = x - np.average(x, axis=0, weights=w)
        scaled = centred / np.sqrt(np.average(centred**2, axis=0, weights=w))
        own = _correlations(scaled, w[None])
        self.beta, self.drawn_se = _slopes(own)[0], np.zeros(self.p)
        drawn = list(_resamples(scaled, w, n_boot, rng))
        self.betas = np.concatenate([_slopes(batch) for batch in drawn])
        if self.p <= EXACT:
            self.importance = shapley_r2(own)[0]
            self.importances = np.concatenate([shapley_r2(batch) for batch in drawn])
        else:
            orders = draw_orders(self.p, DRAWS, rng)
            parts = added_r2(own[0], orders).mean(axis=1)
            self.importance = parts.mean(axis=0)
            self.drawn_se = parts.std(axis=0, ddof=1) / np.sqrt(DRAWS)
            self.importances = np.stack(
                [added_r2(one, orders).mean(axis=(0, 1)) for batch in drawn for one in batch]
            )

    def fit(self) -> dict[str, float]:
        """Return the number of respondents and R²."""
        r2 = self.importance.sum()
        low, high = np.quantile(self.importances.sum(axis=1), self.tails)
        adjusted = 1 - (1 - r2) * (self.n - 1) / (self.n - self.p - 1)
        return {"n": self.n, "r2": r2, "r2_low": low, "r2_high": high, "adjusted_r2": adjusted}

    def columns(self) -> dict[str, Vector]:
        """Return estimates and bounds by driver."""
        with np.errstate(invalid="ignore", divide="ignore"):
            share = self.importance / self.importance.sum()
            shares = self.importances / self.importances.sum(axis=1, keepdims=True)
        found = {
            "importance": (self.importance, self.importances),
            "share": (share, shares),
            "beta": (self.beta, self.betas),
        }
        columns: dict[str, Vector] = {}
        for name, (estimate, draws) in found.items():
            low, high = np.nanquantile(draws, self.tails, axis=0)
            columns |= {name: estimate, f"{name}_low": low, f"{name}_high": high}
        return columns | {"drawn_se": self.drawn_se}


def _resamples(
    scaled: Vector, w: Vector, n_boot: int, rng: np.random.Generator
) -> Iterator[Vector]:
    """Yield correlations of bootstrap samples, a batch at a time."""
    n, p = len(scaled), scaled.shape[1] - 1
    batch = max(1, BATCH // max(n, 8 * 2 ** min(p, EXACT)))
    for start in range(0, n_boot, batch):
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=min(batch, n_boot - start))
        yield _correlations(scaled, drawn * w)


def _correlations(x: Vector, w: Vector) -> Vector:
    """Return the weighted correlations of the columns for each row of weights, (B, q, q)."""
    total = w.sum(axis=1)[:, None]
    mean = w @ x / total
    products = np.stack([x.T @ (one[:, None] * x) for one in w])
    cross = products / total[..., None] - mean[:, :, None] * mean[:, None, :]
    variance = np.diagonal(cross, axis1=1, axis2=2)
    scale = np.where(variance > SAME, 1 / np.sqrt(np.maximum(variance, SAME)), 0.0)
    return cross * scale[:, :, None] * scale[:, None, :]


def _slopes(correlation: Vector) -> Vector:
    inverse = np.linalg.pinv(correlation[:, :-1, :-1], hermitian=True)
    return (inverse @ correlation[:, :-1, -1:])[..., 0]


def _rows(
    found: _Importances, x: Vector, w: Vector, names: list[str], level: float
) -> pd.DataFrame:
    n = len(x)
    mean = np.average(x[:, :-1], axis=0, weights=w)
    squared = ((w[:, None] * (x[:, :-1] - mean)) ** 2).sum(axis=0) / w.sum() ** 2
    low, high = mean_interval(mean, np.sqrt(squared * n * n / (n - 1)), n, level=level)
    columns = found.columns()
    drawn_se = columns.pop("drawn_se")
    frame = pd.DataFrame({"driver": names, "n": n} | columns)
    frame["performance"], frame["performance_low"], frame["performance_high"] = mean, low, high
    middle = mean.mean()
    important, good = frame["share"] >= 1 / len(names), mean >= middle
    frame["quadrant"] = [QUADRANTS[key] for key in zip(important, good, strict=True)]
    clear = (frame["share_low"] > 1 / len(names)) | (frame["share_high"] < 1 / len(names))
    frame["firm"] = clear & ((low > middle) | (high < middle))
    frame["drawn_se"] = drawn_se
    return frame.sort_values("importance", ascending=False, kind="stable")


def _equal_slopes(groups: list[tuple[Vector, Vector]]) -> pd.Series:
    """Test that the slopes are equal in all groups, by robust covariances (HC3)."""
    if len(groups) < 2:
        return pd.Series({"chi2": np.nan, "df": 0, "p_value": np.nan})
    slopes, inverses = [], []
    for x, w in groups:
        root = np.sqrt(w / w.mean())
        design = np.column_stack([np.ones(len(x)), x[:, :-1]]) * root[:, None]
        bread = np.linalg.pinv(design.T @ design, hermitian=True)
        b = bread @ design.T @ (root * x[:, -1])
        leverage = np.einsum("ij,jk,ik->i", design, bread, design)
        off = (root * x[:, -1] - design @ b) / np.maximum(1 - leverage, SAME)
        half = (design * off[:, None]) @ bread
        slopes.append(b[1:])
        inverses.append(np.linalg.pinv((half.T @ half)[1:, 1:], hermitian=True))
    total = np.sum(inverses, axis=0)
    pulled = np.sum([v @ b for v, b in zip(inverses, slopes, strict=True)], axis=0)
    common = np.linalg.pinv(total, hermitian=True) @ pulled
    chi2 = float(
        np.sum([(b - common) @ v @ (b - common) for v, b in zip(inverses, slopes, strict=True)])
    )
    df = (len(groups) - 1) * len(common)
    return pd.Series({"chi2": chi2, "df": df, "p_value": float(stats.chi2.sf(chi2, df))})


def _check_drivers(outcome: str, drivers: Sequence[str]) -> list[str]:
    if isinstance(drivers, str):
        raise ParameterError(f"drivers is {drivers!r}, but must be a list: [{drivers!r}, ...].")
    if not isinstance(drivers, Iterable):
        raise ParameterError(f"drivers is {drivers!r}, but must be a list of columns.")
    names = list(drivers)
    if not 2 <= len(names) <= MOST_DRIVERS:
        raise ParameterError(
            f"drivers names {len(names)} columns, but must name 2 to {MOST_DRIVERS}. Join items "
            "that ask for one thing into scales first (custseg.features.survey_features)."
        )
    if len(set(names)) < len(names) or outcome in names:
        twice = outcome if outcome in names else next(x for x in names if names.count(x) > 1)
        raise ParameterError(f"{twice!r} is named twice in outcome and drivers. Keep one.")
    return names


def _check_group(x: Vector, names: list[str], segment: str) -> None:
    if len(x) < len(names) + 2:
        raise DataError(
            f"{segment!r} has {len(x):,} complete answers, too few for {len(names) - 1} drivers. "
            "Name fewer drivers, or leave the segment out: segments[segments != ...]."
        )
    for name, values in zip(names, x.T, strict=True):
        if np.ptp(values) == 0:
            raise DataError(
                f"{name!r} is {values[0]:g} in every answer of {segment!r}: it explains nothing. "
                "Leave it out."
            )


def _bound(frame: pd.DataFrame, p: int, n_orders: int, level: float) -> list[str]:
    """Return a note that bounds how far drawn orders lead from all of them."""
    if not n_orders:
        return []
    error = frame["drawn_se"].max() * stats.t.isf((1 - level) / 2 / p, DRAWS - 1)
    told = (
        f"importances are averages over {n_orders:,} orders drawn at random, because {p} drivers "
        f"have too many: all of a segment lie within {error:.2g} of the exact ones with "
        f"{level:.0%} confidence (drawn_se; Student's t, Bonferroni)."
    )
    return [told]


def _notes(
    fit: dict[str, dict[str, float]], p: int, answers: pd.DataFrame, account: pd.Series
) -> list[str]:
    notes = [
        (
            "importance is association in one survey: a driver that is raised need not raise the "
            "outcome. Test it."
        ),
        (
            "an importance is never below 0, so its interval does not reach 0 where a driver does "
            "nothing: look at beta for that."
        ),
    ]
    if few := [f"{name} ({int(own['n']):,})" for name, own in fit.items() if own["n"] < FEW * p]:
        notes.append(
            f"fewer than {FEW} answers per driver: {', '.join(few)}. R² is too high there; see "
            "adjusted_r2."
        )
    if account["incomplete"]:
        notes.append(
            f"{account['incomplete']:,} customers left one of the questions out; not counted."
        )
    low, high = answers.min(), answers.max()
    if low.nunique() > 1 or high.nunique() > 1:
        notes.append("the drivers do not span one scale: compare their performance with care.")
    return notes
