"""Two segmentations of the same customers, side by side and combined."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from custseg.errors import DataError, ParameterError, check_number
from custseg.profiling._labels import align_segments
from custseg.profiling._words import counted, listed, percent
from custseg.results import Result
from custseg.stats import wilson

Matrix = NDArray[np.float64]

DRAWS = 2_000
JOINED = " x "


@dataclass(frozen=True, repr=False, eq=False)
class CrossClassification(Result):
    """How two segmentations of the same customers relate; made by `cross_classify`.

    Attributes
    ----------
    table : pandas.DataFrame
        Counts: segments of the first x segments of the second.
    joint : pandas.DataFrame
        The table of `to_frame`.
    agreement : pandas.DataFrame
        Index ``measure``: "cramers_v" and "adjusted_rand"; ``value``, ``ci_low``, ``ci_high``.
    p_value : float
        Of independence: Pearson's chi-squared test.
    combined : pandas.Series
        The joint segment of every customer who is in both, an ordered categorical in the order of
        the two; ``<NA>`` for the others.
    account : dict
        ``customers`` = ``used`` + ``only_first`` + ``only_second`` + ``neither``.
    min_share : float
        The least share of a joint segment that is large enough.
    level : float
        The confidence level of the intervals.
    notes : tuple of str
        What to know before combining.
    """

    table: pd.DataFrame
    joint: pd.DataFrame
    agreement: pd.DataFrame
    p_value: float
    combined: pd.Series
    account: dict[str, int]
    min_share: float
    level: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "profiling_decisions.cross_classification"

    @property
    def cramers_v(self) -> float:
        """Cramér's V, from 0 (independent) to 1."""
        return float(self.agreement.loc["cramers_v", "value"])

    @property
    def ari(self) -> float:
        """The adjusted Rand index: 0 as by chance, 1 for the same segmentation."""
        return float(self.agreement.loc["adjusted_rand", "value"])

    def to_frame(self) -> pd.DataFrame:
        """Return one row per joint segment.

        Returns
        -------
        pandas.DataFrame
            The segments of both, under their names; ``n``; ``share`` of all customers in both,
            with ``ci_low`` and ``ci_high`` (Wilson); ``share_of_first`` and ``share_of_second``;
            ``expected``, the number if the two were independent; ``residual``, adjusted and
            standardised, beyond 2 or -2 hardly by chance; ``large_enough``, whether the share is
            at least ``min_share``; and ``sure``, whether the interval excludes ``min_share``.
        """
        return self.joint.copy()

    def summary(self) -> str:
        """Return how the two relate, and how many joint segments are large enough."""
        v, ari = self.agreement.round(2).to_numpy() + 0.0
        large = self.joint[self.joint["large_enough"]]
        return (
            f"{counted(self.account['used'], 'customer')}: Cramér's V {v[0]:.2f} "
            f"({v[1]:.2f} to {v[2]:.2f}), adjusted Rand index {ari[0]:.2f} "
            f"({ari[1]:.2f} to {ari[2]:.2f}). {len(large)} of {len(self.joint)} "
            f"joint segments have at least {percent(self.min_share)} of the customers; together "
            f"{percent(large['share'].sum())}."
        )

    def _shown(self) -> pd.DataFrame:
        first, second = self.joint.columns[:2]
        sizes = self.table.sum(axis=1)
        shares = self.table / sizes.to_numpy()[:, None]
        cells = [
            [f"{n:,} ({percent(part)})" for n, part in zip(counts, parts, strict=True)]
            for counts, parts in zip(self.table.to_numpy(), shares.to_numpy(), strict=True)
        ]
        shown = pd.DataFrame(cells, index=self.table.index, columns=list(self.table.columns))
        shown.insert(0, "n", sizes)
        return shown.rename_axis(index=f"{first} \\ {second}")


def cross_classify(
    a: Any,
    b: Any,
    *,
    names: tuple[str, str] | None = None,
    min_share: float = 0.05,
    level: float = 0.95,
    random_state: int = 0,
) -> CrossClassification:
    """Lay two segmentations of the same customers over each other.

    Parameters
    ----------
    a, b
        The segment of each customer in both: two Series are matched by customer id; lists and
        arrays, of equal length, by position. Missing means not assigned.
    names
        What to call the two; by default the names of the Series, or "first" and "second".
    min_share
        The least share of customers for which a joint segment is worth a treatment of its own,
        such as `custseg.Brief.min_share`.
    level
        Confidence level of the intervals.
    random_state
        The seed of the resamples behind the intervals.

    Returns
    -------
    CrossClassification
        With ``table``, ``agreement``, ``combined`` and a frame of joint segments. The intervals of
        the two measures are percentiles of 2,000 resamples of the customers, shifted by the mean
        bias of these (for V on the squared scale, with Bergsma's correction): the one of V may lie
        below the estimate, which is above 0 by chance alone. Both segmentations are taken as given.

    Raises
    ------
    DataError
        If the two have no customer in common, or a segmentation has one segment only.
    ParameterError
        If a number is out of bounds or the two names are the same.

    References
    ----------
    Bergsma, W. (2013), Journal of the Korean Statistical Society 42, 323-328 (the correction of
    V). Hubert, L. & Arabie, P. (1985), Journal of Classification 2, 193-218. Haberman, S. J.
    (1973), Biometrics 29, 205-220 (residuals).

    Examples
    --------
    >>> needs = pd.Series(["price"] * 40 + ["service"] * 60, name="needs")
    >>> usage = pd.Series(["often"] * 30 + ["rare"] * 10 + ["often"] * 20 + ["rare"] * 40)
    >>> found = cross_classify(needs, usage.rename("usage"))
    >>> found.table
    usage    often  rare
    needs
    price       30    10
    service     20    40
    >>> found.combined.cat.categories.tolist()[:2]
    ['price x often', 'price x rare']
    """
    check_number(min_share, "min_share", gt=0, le=0.5)
    check_number(level, "level", gt=0, lt=1)
    check_number(random_state, "random_state", ge=0, integer=True)
    one, two, everybody, notes = _aligned(a, b)
    heads = _names(a, b, names)
    both = (one.notna() & two.notna()).to_numpy()
    account = {
        "customers": len(everybody),
        "used": int(both.sum()),
        "only_first": int((one.notna() & two.isna()).sum()),
        "only_second": int((one.isna() & two.notna()).sum()),
        "neither": int((one.isna() & two.isna()).sum()),
    }
    if not both.any():
        raise DataError(
            "no customer is in both segmentations: check that they are of the same customers."
        )
    rows = one[both].cat.remove_unused_categories()
    columns = two[both].cat.remove_unused_categories()
    shape = (len(rows.cat.categories), len(columns.cat.categories))
    if min(shape) < 2:
        name = heads[shape.index(min(shape))]
        raise DataError(f"{name!r} has one segment only among the customers who are in both.")
    counts = np.bincount(rows.cat.codes * shape[1] + columns.cat.codes, minlength=np.prod(shape))
    table = pd.DataFrame(
        counts.reshape(shape),
        index=pd.Index(rows.cat.categories, name=heads[0]),
        columns=pd.Index(columns.cat.categories, name=heads[1]),
    )
    left = account["customers"] - account["used"]
    if left:
        notes.append(f"{counted(left, 'customer')} not in both segmentations, in no number here.")
    notes.append(
        "the intervals take both segmentations as given, without the doubt about their borders. "
        "Joint segments were not found by looking for groups: profile `combined` to see whether "
        "they differ in more than their definition."
    )
    return CrossClassification(
        table=table,
        joint=_joint(table, min_share, level),
        agreement=_agreement(table.to_numpy(dtype=float), level, random_state),
        p_value=float(stats.chi2_contingency(table.to_numpy(), correction=False).pvalue),
        combined=_combined(one, two, table),
        account=account,
        min_share=min_share,
        level=level,
        notes=tuple(notes),
    )


def _aligned(a: Any, b: Any) -> tuple[pd.Series, pd.Series, pd.Index, list[str]]:
    """Return both labels on one index of customers."""
    series = [isinstance(labels, pd.Series) for labels in (a, b)]
    if any(series):
        for labels, is_series in zip((a, b), series, strict=True):
            if is_series and not labels.index.is_unique:
                raise DataError(
                    "customer ids occur twice in a segmentation: give one label per customer, for "
                    "example with labels[~labels.index.duplicated()]."
                )
        everybody = a.index.union(b.index) if all(series) else (a if series[0] else b).index
    else:
        everybody = pd.RangeIndex(len(a))
    one, said = align_segments(a, everybody)
    two, more = align_segments(b, everybody)
    without = "without a label in segments"
    return one, two, everybody, [note for note in (*said, *more) if without not in note]


def _names(a: Any, b: Any, names: Sequence[str] | None) -> tuple[str, str]:
    if names is None:
        found = [getattr(labels, "name", None) for labels in (a, b)]
        if None in found or found[0] == found[1]:
            found = ["first", "second"]
    else:
        found = list(names) if np.shape(names) == (2,) else []
    if len(found) != 2 or found[0] == found[1] or set(found) & {"n", "share"}:
        raise ParameterError(
            f"names is {names!r}, but must be two different names, such as ('needs', 'usage')."
        )
    return str(found[0]), str(found[1])


def _joint(table: pd.DataFrame, min_share: float, level: float) -> pd.DataFrame:
    counts = table.to_numpy(dtype=float)
    total = counts.sum()
    p_rows = counts.sum(axis=1, keepdims=True) / total
    p_columns = counts.sum(axis=0, keepdims=True) / total
    expected = total * p_rows * p_columns
    residual = (counts - expected) / np.sqrt(expected * (1 - p_rows) * (1 - p_columns))
    low, high = wilson(counts.ravel(), total, level=level)
    shares = counts.ravel() / total
    pairs = pd.MultiIndex.from_product([table.index, table.columns])
    return pd.DataFrame(
        {
            table.index.name: pairs.get_level_values(0),
            table.columns.name: pairs.get_level_values(1),
            "n": table.to_numpy().ravel(),
            "share": shares,
            "ci_low": low,
            "ci_high": high,
            "share_of_first": (counts / counts.sum(axis=1, keepdims=True)).ravel(),
            "share_of_second": (counts / counts.sum(axis=0, keepdims=True)).ravel(),
            "expected": expected.ravel(),
            "residual": residual.ravel(),
            "large_enough": shares >= min_share,
            "sure": (low >= min_share) | (high < min_share),
        }
    )


def _combined(one: pd.Series, two: pd.Series, table: pd.DataFrame) -> pd.Series:
    names = [f"{first}{JOINED}{second}" for first in table.index for second in table.columns]
    if len(set(names)) < len(names):
        raise DataError(
            f"two joint segments would both be called {listed(names[:1])}: rename segments that "
            f"have {JOINED!r} in their names."
        )
    first = table.index.get_indexer(pd.Index(one.astype(object)))
    second = table.columns.get_indexer(pd.Index(two.astype(object)))
    codes = np.where((first < 0) | (second < 0), -1, first * table.shape[1] + second)
    kept = [place for place, n in enumerate(table.to_numpy().ravel()) if n]
    codes = pd.Index(kept).get_indexer(codes)
    values = pd.Categorical.from_codes(codes, [names[place] for place in kept], ordered=True)
    return pd.Series(values, index=one.index, name="segment")


def _measures(tables: Matrix) -> Matrix:
    """Return squared V and the adjusted Rand index: ... x rows x columns gives ... x 2.

    Squared V has Bergsma's correction and may be below zero.
    """
    n = tables.sum(axis=(-2, -1))
    rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
    return np.stack(
        [_squared_v(tables, n, rows, columns), _adjusted_rand(tables, n, rows, columns)], axis=-1
    )


def _squared_v(tables: Matrix, n: Matrix, rows: Matrix, columns: Matrix) -> Matrix:
    expected = rows[..., :, None] * columns[..., None, :] / n[..., None, None]
    gaps = (tables - expected) ** 2 / np.where(expected > 0, expected, 1.0)
    r, c = (rows > 0).sum(axis=-1), (columns > 0).sum(axis=-1)
    phi2 = gaps.sum(axis=(-2, -1)) / n - (r - 1) * (c - 1) / (n - 1)
    least = np.minimum(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return np.where(least > 0, phi2 / np.where(least > 0, least, 1.0), 0.0)


def _adjusted_rand(tables: Matrix, n: Matrix, rows: Matrix, columns: Matrix) -> Matrix:
    def pairs(x: Matrix) -> Matrix:
        return x * (x - 1) / 2

    both = pairs(tables).sum(axis=(-2, -1))
    first, second = pairs(rows).sum(axis=-1), pairs(columns).sum(axis=-1)
    chance = first * second / pairs(n)
    most = (first + second) / 2
    return np.where(most > chance, (both - chance) / np.where(most > chance, most - chance, 1), 1.0)


def _agreement(counts: Matrix, level: float, seed: int) -> pd.DataFrame:
    """Return the measures with percentile intervals, shifted by the bias of the resamples."""
    n = int(counts.sum())
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, counts.ravel() / n, size=DRAWS).reshape(-1, *counts.shape)
    value, draws = _measures(counts), _measures(drawn.astype(float))
    bias = draws.mean(axis=0) - value
    low, high = (np.quantile(draws, (1 + side * level) / 2, axis=0) - bias for side in (-1, 1))
    table = np.column_stack([value, low, high])
    table[0] = np.sqrt(np.clip(table[0], 0, 1))
    table[0, 0] = stats.contingency.association(counts.astype(int), method="cramer")
    table[1] = np.minimum(table[1], 1)
    index = pd.Index(["cramers_v", "adjusted_rand"], name="measure")
    return pd.DataFrame(table, index=index, columns=["value", "ci_low", "ci_high"])
