"""k-means with one adaptive distance, compiled, without the interpreter's lock.

Rows are columns here (variables x rows), as in the kernel of k-means.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from custseg._kernels.kmeans import nearest

Matrix = NDArray[np.float64]


@njit(cache=True, nogil=True)
def _sums(
    XT: Matrix, weights: Matrix, labels: NDArray[np.int64], sums: Matrix, mass: Matrix
) -> None:
    """Put the weighted sums of every cluster and its weight into `sums` and `mass`."""
    sums[:] = 0.0
    mass[:] = 0.0
    for i in range(len(labels)):
        mass[labels[i]] += weights[i]
    for v in range(len(XT)):
        for i in range(len(labels)):
            sums[labels[i], v] += weights[i] * XT[v, i]


@njit(cache=True, nogil=True)
def _variances(
    total: Matrix, sums: Matrix, mass: Matrix, grain: Matrix, variances: Matrix
) -> float:
    """Put the variance within clusters into `variances`; return the sum of their logarithms."""
    heavy = mass.sum()
    objective = 0.0
    for v in range(len(total)):
        within = total[v]
        for j in range(len(mass)):
            within -= sums[j, v] * sums[j, v] / mass[j]
        variances[v] = max(within, 1e-10 * total[v]) / heavy + grain[v]
        objective += np.log(variances[v])
    return objective


@njit(cache=True, nogil=True)
def adaptive(
    XT: Matrix,
    weights: Matrix,
    grain: Matrix,
    labels: NDArray[np.int64],
    k: int,
    max_iter: int,
) -> tuple[float, NDArray[np.int64], Matrix, Matrix, int]:
    """Return the sum of the logarithms of all within variances, labels, centres, and variances.

    Centres and within variances are taken from the labels, labels from the distances in units of
    the within standard deviations, until nobody moves (Diday & Govaert 1977, one distance for all
    clusters). The best step counts.

    Parameters
    ----------
    XT
        Variables x rows, C-contiguous, each variable with mean 0.
    weights
        A positive weight per row.
    grain
        A variance that is added to each within variance: what equal values hide.
    labels
        The clusters to start from.
    k, max_iter
        The number of clusters; the most iterations.
    """
    d, n = XT.shape
    labels = labels.copy()
    centers, sums, mass = np.empty((k, d)), np.empty((k, d)), np.empty(k)
    scaled = np.empty_like(XT)
    total = np.zeros(d)
    for v in range(d):
        for i in range(n):
            total[v] += weights[i] * XT[v, i] * XT[v, i]
    variances = np.empty(d)
    best, best_labels = np.inf, labels.copy()
    best_centers, best_variances = centers.copy(), total / weights.sum() + grain
    steps = 0
    for step in range(max_iter):
        _sums(XT, weights, labels, sums, mass)
        if mass.min() <= 0:
            break
        steps = step + 1
        objective = _variances(total, sums, mass, grain, variances)
        for j in range(k):
            sums[j] /= mass[j]
        if objective < best:
            best = objective
            best_labels[:], best_centers[:], best_variances[:] = labels, sums, variances
        for v in range(d):
            scale = 1.0 / np.sqrt(variances[v])
            for i in range(n):
                scaled[v, i] = XT[v, i] * scale
            for j in range(k):
                centers[j, v] = sums[j, v] * scale
        found = nearest(scaled, centers)
        if (found == labels).all():
            break
        labels = found
    return best, best_labels, best_centers, best_variances, steps
