"""What segments look like where there are none: null tables, clustered as the customers were."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy import stats

from custseg.errors import DataError
from custseg.profiling._clusterings import Matrix, cluster
from custseg.profiling._variation import Variation, Vector, variation

Maker: TypeAlias = Callable[[np.random.Generator], Matrix]


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
    make = NULL_TABLES[null](matrix)
    found: list[Variation] = []
    for table in range(n_draws):
        made = make(rng)
        try:
            codes = cluster(clusterer, made)
        except (ValueError, ArithmeticError, IndexError) as error:
            raise DataError(
                f"{type(clusterer).__name__} failed on null table {table + 1}: {error}. Take an "
                "algorithm, or a number of segments, that works on customers without groups too."
            ) from error
        found.append(variation(made, codes))
    rank = min(len(one.within) for one in found)
    return References(
        np.array([one.eta2 for one in found]),
        np.array([one.skewness for one in found]),
        np.array([one.kurtosis for one in found]),
        np.array([one.within[:rank] for one in found]),
        np.array([one.wilks for one in found]),
    )


def as_large(observed: Vector, draws: Matrix) -> Vector:
    """Return the Monte-Carlo p-value that draws are as large as what was observed."""
    beyond = (draws >= observed - 1e-12 * np.abs(observed)).sum(axis=0)
    return np.asarray((1 + beyond) / (1 + len(draws)))


def _normal(matrix: Matrix) -> Maker:
    """Return what draws from a normal cloud with the same means and covariances."""
    mean = matrix.mean(axis=0)
    root = variation(matrix, np.zeros(len(matrix), dtype=np.intp)).directions
    size = (len(matrix), root.shape[1])
    return lambda rng: mean + rng.standard_normal(size) @ root.T


def _copula(matrix: Matrix) -> Maker:
    """Return what deals the values of every column out to normal scores that correlate alike.

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
    root = vectors * np.sqrt(np.clip(values, 0, None))
    ordered = np.sort(matrix, axis=0)

    def draw(rng: np.random.Generator) -> Matrix:
        made = np.empty_like(matrix)
        places = np.argsort(rng.standard_normal((n, d)) @ root.T, axis=0)
        np.put_along_axis(made, places, ordered, axis=0)
        return made

    return draw


NULL_TABLES = {"normal": _normal, "copula": _copula}
