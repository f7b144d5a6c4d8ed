"""The three honest ways to compare segments on the columns that made them."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from custseg.profiling._clusterings import Clustering, Codes, Matrix, by_size, cluster, match_codes
from custseg.profiling._reference import References, as_large
from custseg.profiling._selective import compare_pair
from custseg.profiling._thinning import denoise, mean_intervals, thin
from custseg.profiling._variation import f_tests, mean_wilks, variation, wilks_test

ALL = "(all)"
MEANS = ("segment", "variable", "n", "value", "ci_low", "ci_high")


class Row(NamedTuple):
    """A test: of which segments, on which variable, and what was found."""

    segments: str
    variable: str
    effect: float
    expected: float
    p_value: float


class Answer(NamedTuple):
    """Rows; for thinning also the means of the segments, and their agreement with the model's."""

    rows: list[Row]
    means: pd.DataFrame
    agreement: float = np.nan


def by_thinning(
    clustering: Clustering,
    covariance: Matrix,
    tested: list[int],
    *,
    level: float,
    rng: np.random.Generator,
) -> Answer:
    """Learn segments from customers plus noise, and compare them on customers minus noise.

    Parameters
    ----------
    clustering
        The customers and their clusterer.
    covariance
        Of customers about their means, and of the noise.
    tested
        Positions of the columns to test.
    level
        Confidence level of the intervals of means.
    rng
        The source of the noise.
    """
    first, second = thin(clustering.matrix, covariance, rng)
    names, columns = clustering.names, clustering.columns
    learned = cluster(clustering.clusterer, denoise(first, clustering.matrix, covariance))
    found = match_codes(by_size(learned), clustering.codes, len(names))
    agreement = float(adjusted_rand_score(clustering.codes, found))
    kept = found >= 0
    labels, codes = np.unique(found[kept], return_inverse=True)
    n, k = len(codes), len(labels)
    if k < 2:
        return Answer([], pd.DataFrame(columns=list(MEANS)), agreement)
    parts = variation(second[kept], codes)
    rank = len(parts.within)
    joint = wilks_test(parts.wilks, n, k, rank)[1]
    p_value = f_tests(parts.eta2, n, k)[1]
    rows = [Row(ALL, ALL, 1 - parts.wilks, 1 - mean_wilks(n, k, rank), joint)]
    by_chance = (k - 1) / (n - 1)
    rows += [
        Row(ALL, columns[c], float(parts.eta2[c]), by_chance, float(p_value[c])) for c in tested
    ]
    called = [names[label] if label < len(names) else f"new {label}" for label in labels]
    return Answer(rows, _means(second[kept], codes, called, columns, tested, level), agreement)


def by_reference(clustering: Clustering, references: References, tested: list[int]) -> Answer:
    """Compare the share of variation between segments with that in null tables.

    Parameters
    ----------
    clustering
        The customers and their segments.
    references
        Null tables, divided by the same clusterer.
    tested
        Positions of the columns to test.
    """
    parts = variation(clustering.matrix, clustering.codes)
    p_joint = float(as_large(np.array(-parts.wilks), -references.wilks))
    p_value = as_large(parts.eta2, references.eta2)
    expected = references.eta2.mean(axis=0)
    rows = [Row(ALL, ALL, 1 - parts.wilks, float(1 - references.wilks.mean()), p_joint)]
    rows += [
        Row(ALL, clustering.columns[c], *map(float, (parts.eta2[c], expected[c], p_value[c])))
        for c in tested
    ]
    return Answer(rows, pd.DataFrame(columns=list(MEANS)))


def by_selection(clustering: Clustering, covariance: Matrix, tested: list[int]) -> Answer:
    """Compare every two segments, given that the clusterer found these two.

    Parameters
    ----------
    clustering
        The customers, their segments and their clusterer.
    covariance
        Of customers about their means.
    tested
        Positions of the columns to test.
    """
    rows = []
    for pair in combinations(range(len(clustering.names)), 2):
        found = compare_pair(
            clustering.matrix,
            clustering.codes,
            pair,
            clusterer=clustering.clusterer,
            covariance=covariance,
            columns=tested,
        )
        segments = " - ".join(clustering.names[code] for code in pair)
        named = [ALL, *(clustering.columns[c] for c in tested)]
        rows += [Row(segments, name, *one) for name, one in zip(named, found, strict=True)]
    return Answer(rows, pd.DataFrame(columns=list(MEANS)))


def _means(
    matrix: Matrix,
    codes: Codes,
    names: list[str],
    columns: list[str],
    tested: list[int],
    level: float,
) -> pd.DataFrame:
    size, mean, low, high = mean_intervals(matrix[:, tested], codes, level)
    return pd.DataFrame(
        {
            "segment": pd.Categorical(np.repeat(names, len(tested)), names, ordered=True),
            "variable": np.tile([columns[c] for c in tested], len(names)),
            "n": np.repeat(size, len(tested)),
            "value": mean.ravel(),
            "ci_low": low.ravel(),
            "ci_high": high.ravel(),
        }
    )
