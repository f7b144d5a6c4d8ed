"""What segments look like where there are none: null tables, clustered as the customers were."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from custseg.errors import DataError
from custseg.profiling._clusterings import Codes, Matrix, cluster
from custseg.profiling._variation import Variation, Vector, residuals_of, variation


class References(NamedTuple):
    """Null tables x columns: the share between segments, its shape inside them; and directions.

    ``wilks`` has one value per table, ``within`` tables x directions.
    """

    eta2: Matrix
    skewness: Matrix
    kurtosis: Matrix
    within: Matrix
    wilks: Vector


def draw_references(
    matrix: Matrix, clusterer: Any, *, null: str, n_draws: int, rng: np.random.Generator
) -> References:
    """Cluster tables without segments and describe them as the customers are described.

    Parameters
    ----------
    matrix
        Customers x columns.
    clusterer
        What made their segments.
    null
        ``"normal"``: one normal cloud with the same covariances; ``"copula"``: the customers' own
        values in every column, with normal scores of the same correlations.
    n_draws
        The number of tables.
    rng
        The source of chance.

    Raises
    ------
    DataError
        If the clusterer fails on null tables.
    """
    found: list[Variation] = []
    shapes = []
    for table in range(n_draws):
        made = NULL_TABLES[null](matrix, rng)
        try:
            codes = cluster(clusterer, made)
        except (ValueError, ArithmeticError, IndexError) as error:
            raise DataError(
                f"{type(clusterer).__name__} failed on null table {table + 1}: {error}. Take an "
                "algorithm, or a number of segments, that works on customers without groups too."
            ) from error
        found.append(variation(made, codes))
        shapes.append(shape_within(made, codes))
    skewness, kurtosis = (np.array(part) for part in zip(*shapes, strict=True))
    rank = min(len(one.within) for one in found)
    return References(
        np.array([one.eta2 for one in found]),
        skewness,
        kurtosis,
        np.array([one.within[:rank] for one in found]),
        np.array([one.wilks for one in found]),
    )


def shape_within(matrix: Matrix, codes: Codes) -> tuple[Vector, Vector]:
    """Return skewness and excess kurtosis of each column inside segments."""
    residuals = residuals_of(matrix, codes)
    square = (residuals**2).mean(axis=0)
    square[square <= 1e-24 * matrix.var(axis=0)] = np.nan
    skewness = (residuals**3).mean(axis=0) / square**1.5
    return skewness, (residuals**4).mean(axis=0) / square**2 - 3


def as_large(observed: Vector, draws: Matrix) -> Vector:
    """Return the Monte-Carlo p-value that draws are as large as what was observed."""
    beyond = (draws >= observed - 1e-12 * np.abs(observed)).sum(axis=0)
    return np.asarray((1 + beyond) / (1 + len(draws)))


def _normal(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    whole = variation(matrix, np.zeros(len(matrix), dtype=np.intp))
    rank = whole.directions.shape[1]
    return np.asarray(
        matrix.mean(axis=0) + rng.standard_normal((len(matrix), rank)) @ whole.directions.T
    )


def _copula(matrix: Matrix, rng: np.random.Generator) -> Matrix:
    """Return the values of every column, in the order of normal scores that correlate alike.

    Ties weaken the correlation of scores, of both columns by its own factor, so it is divided by
    these factors first.
    """
    n, d = matrix.shape
    scores = stats.norm.ppf((stats.rankdata(matrix, axis=0) - 0.375) / (n + 0.25))
    smooth = stats.norm.ppf((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    spread = scores.std(axis=0)
    unit = (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1)
    kept = (np.sort(unit, axis=0) * smooth[:, None]).mean(axis=0) / smooth.std()
    factors = np.where(kept > 0, kept, 1)
    latent = np.clip(unit.T @ unit / n / np.outer(factors, factors), -1, 1)
    np.fill_diagonal(latent, 1)
    values, vectors = np.linalg.eigh(latent)
    drawn = rng.standard_normal((n, d)) @ (vectors * np.sqrt(np.clip(values, 0, None))).T
    made = np.empty_like(matrix)
    np.put_along_axis(made, np.argsort(drawn, axis=0), np.sort(matrix, axis=0), axis=0)
    return made


NULL_TABLES = {"normal": _normal, "copula": _copula}
