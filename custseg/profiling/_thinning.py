"""Two independent tables of the same customers: noise added to the one, taken from the other."""

import numpy as np
from scipy import stats

from custseg.profiling._clusterings import Codes, Matrix
from custseg.profiling._reference import References
from custseg.profiling._variation import Variation

SURE = 0.01


def noise_covariance(observed: Variation, references: References) -> Matrix:
    """Return the covariance of customers, smaller in the directions that separate segments.

    In directions in which segments are tighter than all but 1% of null tables have them, the
    covariance is multiplied by the share within segments over its mean in null tables: without
    groups the estimate is that of the whole, and groups that stand apart do not widen it much.

    Parameters
    ----------
    observed
        How the customers divide.
    references
        How null tables divide.
    """
    rank = references.within.shape[1]
    within, directions = observed.within[:rank], observed.directions
    tight = np.logical_and.accumulate(within < np.quantile(references.within, SURE, axis=0))
    factor = np.ones(directions.shape[1])
    factor[:rank][tight] = within[tight] / references.within.mean(axis=0)[tight]
    return np.asarray((directions * factor) @ directions.T)


def thin(matrix: Matrix, covariance: Matrix, rng: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Return the customers plus noise, and the customers minus the same noise.

    Where customers are normal with this covariance about whatever means, the two are independent.

    Parameters
    ----------
    matrix
        Customers x columns.
    covariance
        Of the customers about their means, and of the noise.
    rng
        The source of the noise.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    noise = rng.standard_normal(matrix.shape) @ root.T
    return matrix + noise, matrix - noise


def denoise(noisy: Matrix, matrix: Matrix, covariance: Matrix) -> Matrix:
    """Return the best linear prediction of the customers from the noisy ones, as wide as they are.

    Noise widens a column that holds little of what separates groups more than one that holds
    much; a clusterer of standardised columns would then divide by the noise. Where noise and
    customers have one covariance, the prediction is the noisy customers at another scale.

    Parameters
    ----------
    noisy
        Customers plus noise.
    matrix
        Customers x columns, without noise.
    covariance
        Of the noise.

    References
    ----------
    Wiener, N. (1949), Extrapolation, Interpolation, and Smoothing of Stationary Time Series, Wiley.
    """
    total = np.atleast_2d(np.cov(matrix, rowvar=False))
    weights = np.linalg.pinv(total + covariance, hermitian=True) @ total
    wider = np.sqrt(np.trace(total) / np.trace(total @ weights))
    mean = matrix.mean(axis=0)
    return np.asarray(mean + (noisy - mean) @ weights * wider)


def mean_intervals(
    matrix: Matrix, codes: Codes, level: float
) -> tuple[Codes, Matrix, Matrix, Matrix]:
    """Return the size of each segment, and means and bounds by segment and column.

    The intervals are Student's, with one standard deviation for all segments.

    Parameters
    ----------
    matrix
        Customers x columns.
    codes
        The segment of each customer, every one from 0 on in use.
    level
        Confidence level.
    """
    size = np.bincount(codes)
    sums = np.zeros((len(size), matrix.shape[1]))
    np.add.at(sums, codes, matrix)
    mean = sums / size[:, None]
    free = len(matrix) - len(size)
    spread = np.sqrt(((matrix - mean[codes]) ** 2).sum(axis=0) / free)
    half = stats.t.isf((1 - level) / 2, free) * spread / np.sqrt(size)[:, None]
    return size, mean, mean - half, mean + half
