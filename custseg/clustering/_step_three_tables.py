"""Tables of what latent classes go with: estimates, differences and tests, from a root."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

from custseg.clustering._step_three import Matrix, Root
from custseg.stats import holm


def describe_outcome(
    root: Root, levels: Sequence[Any], k: int, name: str, level: float
) -> dict[str, Any]:
    """Return the fields of a result about an outcome.

    Parameters
    ----------
    root
        Means or shares, classes x levels flattened.
    levels
        The levels; ``[None]`` for a mean.
    k
        The number of classes.
    name
        The name of the outcome.
    level
        Confidence level of the intervals.
    """
    m = len(levels)
    every = [(c, one) for c in range(k) for one in levels]
    estimates = _intervals(pd.DataFrame(every, columns=["class", "level"]), "estimate", root, level)
    told = range(m) if m > 2 else range(m - 1, m)
    pairs = [(a, b, j) for a, b in combinations(range(k), 2) for j in told]
    contrasts = np.zeros((len(pairs), k * m))
    for row, (a, b, j) in enumerate(pairs):
        contrasts[row, a * m + j], contrasts[row, b * m + j] = 1, -1
    named = pd.DataFrame(
        [(a, b, levels[j]) for a, b, j in pairs], columns=["class_a", "class_b", "level"]
    )
    differences = _intervals(named, "difference", _apply(contrasts, root), level)
    differences = _with_p(differences, "difference")
    differences["p_holm"] = holm(differences["p_value"])
    alike = np.zeros(((k - 1) * max(m - 1, 1), k * m))
    free = [(c, j) for c in range(1, k) for j in range(min(1, m - 1), m)]
    for row, (c, j) in enumerate(free):
        alike[row, j], alike[row, c * m + j] = -1, 1
    tests = pd.DataFrame([(f"{name} is equal in all classes", *_wald(_apply(alike, root)))])
    mean = levels[0] is None
    return {
        "estimates": estimates.drop(columns="level") if mean else estimates,
        "differences": differences.drop(columns="level") if mean else differences,
        "tests": tests.set_axis(["what", "statistic", "df", "p_value"], axis=1),
        "kind": "mean" if mean else "share",
        "name": name,
    }


def describe_covariates(
    root: Root, columns: Sequence[str], variables: Sequence[str], level: float
) -> dict[str, Any]:
    """Return the fields of a result about covariates.

    Parameters
    ----------
    root
        Coefficients of classes 1, 2, ... against class 0, classes x columns flattened.
    columns
        The columns of the design, the intercept first.
    variables
        The covariate that each column belongs to.
    level
        Confidence level of the intervals.
    """
    q = len(columns)
    k = len(root.values) // q + 1
    named = pd.DataFrame(
        [(c, column) for c in range(1, k) for column in columns], columns=["class", "covariate"]
    )
    estimates = _intervals(named, "estimate", root, level)
    estimates["odds_ratio"] = np.exp(estimates["estimate"])
    tests = []
    for variable in dict.fromkeys(variables[1:]):
        own = [j for j, name in enumerate(variables) if name == variable and j > 0]
        places = [c * q + j for c in range(k - 1) for j in own]
        tests.append((variable, *_wald(_apply(np.eye(len(root.values))[places], root))))
    return {
        "estimates": _with_p(estimates, "estimate"),
        "differences": pd.DataFrame(),
        "tests": pd.DataFrame(tests, columns=["what", "statistic", "df", "p_value"]),
        "kind": "covariates",
        "name": "class",
    }


def _apply(matrix: Matrix, root: Root) -> Root:
    return Root(matrix @ root.values, matrix @ root.covariance @ matrix.T)


def _intervals(table: pd.DataFrame, what: str, root: Root, level: float) -> pd.DataFrame:
    se = np.sqrt(np.diag(root.covariance))
    half = norm.isf((1 - level) / 2) * se
    return table.assign(
        **{what: root.values, "se": se, "ci_low": root.values - half, "ci_high": root.values + half}
    )


def _with_p(table: pd.DataFrame, what: str) -> pd.DataFrame:
    se = table["se"].where(table["se"] > 0)
    return table.assign(p_value=2 * norm.sf((table[what] / se).abs()))


def _wald(root: Root) -> tuple[float, int, float]:
    """Return Wald's statistic that all values are 0, its degrees of freedom and p-value."""
    df = int(np.linalg.matrix_rank(root.covariance, hermitian=True))
    statistic = float(root.values @ np.linalg.pinv(root.covariance, hermitian=True) @ root.values)
    return statistic, df, float(chi2.sf(statistic, df))
