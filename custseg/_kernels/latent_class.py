"""The steps of EM for latent classes, compiled, without the interpreter's lock.

Customers come as distinct rows with counts; numbers are standardised, and NaN where missing.

A solution `theta` has a column per class and one more. Its rows are: the weights; the probability
of every level of every categorical item (for an ordinal item the last column has the term of the
level); for every number the mean and the logarithm of the variance; for every ordinal item the
slopes. `sums`, what is expected of each class, has the rows: customers; those at every level; those
whose answer is missing; for every number those who have it, their sum and their sum of squares.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Places = NDArray[np.int64]

LOG_2PI = float(np.log(2 * np.pi))
TINY = 1e-14
"""The least probability of a level and share of a class."""
FARTHEST = 60.0
"""The largest log odds of the lowest and highest level between two classes."""
NEWTON = 3
"""The steps for an ordinal item in a step of EM."""


@njit(cache=True, nogil=True)
def _logarithms(theta: Matrix, end: int, logs: Matrix) -> None:
    """Put what a row adds up into `logs`: logs of probabilities; factors of normal densities."""
    for c in range(logs.shape[1]):
        for m in range(end):
            logs[m, c] = np.log(theta[m, c])
        logs[end, c] = 0.0
        for m in range(end + 1, len(logs), 2):
            logs[m, c] = -0.5 * (LOG_2PI + theta[m, c])
            logs[m + 1, c] = -0.5 * np.exp(-theta[m, c])


@njit(cache=True, nogil=True)
def _score(
    i: int, cells: Places, numbers: Matrix, theta: Matrix, logs: Matrix, out: Matrix
) -> None:
    """Put the log density of row `i` together with each class into `out`."""
    end = len(logs) - 2 * numbers.shape[1] - 1
    for c in range(len(out)):
        out[c] = logs[0, c]
    for j in range(cells.shape[1]):
        for c in range(len(out)):
            out[c] += logs[cells[i, j], c]
    for g in range(numbers.shape[1]):
        value = numbers[i, g]
        if value == value:
            m = end + 2 * g
            for c in range(len(out)):
                away = value - theta[m, c]
                out[c] += logs[m + 1, c] + logs[m + 2, c] * away * away


@njit(cache=True, nogil=True)
def _collect(i: int, cells: Places, numbers: Matrix, share: Matrix, sums: Matrix) -> None:
    """Add row `i`, of whom each class has a share, to `sums`."""
    place = len(sums) - 3 * numbers.shape[1]
    for c in range(len(share)):
        sums[0, c] += share[c]
    for j in range(cells.shape[1]):
        for c in range(len(share)):
            sums[cells[i, j], c] += share[c]
    for g in range(numbers.shape[1]):
        value = numbers[i, g]
        if value == value:
            for c in range(len(share)):
                sums[place + 3 * g, c] += share[c]
                sums[place + 3 * g + 1, c] += share[c] * value
                sums[place + 3 * g + 2, c] += share[c] * value * value


@njit(cache=True, nogil=True)
def expect(
    cells: Places, numbers: Matrix, counts: Matrix, theta: Matrix, sums: Matrix, joint: Matrix
) -> float:
    """Return the log likelihood, and put what the M-step needs into `sums`.

    Parameters
    ----------
    cells
        Rows x categorical items: the row of the level in `theta`, after the last one if missing.
    numbers
        Rows x numbers.
    counts
        How often each row occurs.
    theta
        The solution.
    sums
        Receives what is expected of each class.
    joint
        Rows x classes: receives the log densities of row and class together. May have no rows.
    """
    k = sums.shape[1]
    end = len(sums) - 3 * numbers.shape[1] - 1
    logs = np.empty((end + 1 + 2 * numbers.shape[1], k))
    _logarithms(theta, end, logs)
    for m in range(len(sums)):
        for c in range(k):
            sums[m, c] = 0.0
    share = np.empty(k)
    total = 0.0
    for i in range(len(counts)):
        _score(i, cells, numbers, theta, logs, share)
        largest = share[0]
        for c in range(1, k):
            largest = max(largest, share[c])
        mass = 0.0
        for c in range(k):
            if len(joint) > 0:
                joint[i, c] = share[c]
            share[c] = np.exp(share[c] - largest)
            mass += share[c]
        total += counts[i] * (largest + np.log(mass))
        for c in range(k):
            share[c] *= counts[i] / mass
        _collect(i, cells, numbers, share, sums)
    return total


@njit(cache=True, nogil=True)
def _shares(values: Matrix, out: Matrix, fall: float, k: int) -> None:
    """Put the values of every class as shares into `out`, none below `fall` of what it holds."""
    for c in range(k):
        mass = 0.0
        for m in range(len(values)):
            mass += values[m, c]
        if mass > TINY:
            again = 0.0
            for m in range(len(values)):
                out[m, c] = max(values[m, c] / mass, fall * out[m, c], TINY)
                again += out[m, c]
            for m in range(len(values)):
                out[m, c] /= again


@njit(cache=True, nogil=True)
def _spread(scores: Matrix, slopes: Matrix, counts: Matrix, own: Matrix) -> float:
    """Put the probabilities of an ordinal item beside its terms; return how well they fit."""
    k = counts.shape[1]
    fit = 0.0
    for c in range(k):
        largest = -np.inf
        for m in range(len(own)):
            own[m, c] = own[m, k] + slopes[c] * scores[m]
            largest = max(largest, own[m, c])
        mass = 0.0
        for m in range(len(own)):
            own[m, c] = np.exp(own[m, c] - largest)
            mass += own[m, c]
        for m in range(len(own)):
            own[m, c] = max(own[m, c] / mass, TINY)
            fit += counts[m, c] * np.log(own[m, c])
    return fit


@njit(cache=True, nogil=True)
def _newton(scores: Matrix, counts: Matrix, own: Matrix, step: Matrix, hessian: Matrix) -> None:
    """Put Newton's step for the terms and slopes, all but the first of each, into `step`."""
    n, k = counts.shape
    for a in range(len(step)):
        step[a] = 0.0
        for b in range(len(step)):
            hessian[a, b] = 0.0
    for c in range(k):
        total = 0.0
        mean = 0.0
        for m in range(n):
            total += counts[m, c]
            mean += own[m, c] * scores[m]
        slope = n - 2 + c
        for m in range(n):
            surplus = counts[m, c] - total * own[m, c]
            away = scores[m] - mean
            if c > 0:
                step[slope] += surplus * scores[m]
                hessian[slope, slope] += total * own[m, c] * away**2
            if m > 0:
                step[m - 1] += surplus
                hessian[m - 1, m - 1] += total * own[m, c]
                for q in range(1, n):
                    hessian[m - 1, q - 1] -= total * own[m, c] * own[q, c]
                if c > 0:
                    hessian[slope, m - 1] = total * own[m, c] * away
    for a in range(len(step)):
        hessian[a, a] += 1e-8 * (1.0 + hessian[a, a])
    _solve(hessian, step)


@njit(cache=True, nogil=True)
def _solve(matrix: Matrix, right: Matrix) -> None:
    """Put the solution of a positive definite system into `right`, by Cholesky's factor."""
    n = len(right)
    for j in range(n):
        for i in range(j, n):
            for m in range(j):
                matrix[i, j] -= matrix[i, m] * matrix[j, m]
            if i == j:
                matrix[j, j] = np.sqrt(max(matrix[j, j], 1e-300))
            else:
                matrix[i, j] /= matrix[j, j]
    for i in range(n):
        for m in range(i):
            right[i] -= matrix[i, m] * right[m]
        right[i] /= matrix[i, i]
    for i in range(n - 1, -1, -1):
        for m in range(i + 1, n):
            right[i] -= matrix[m, i] * right[m]
        right[i] /= matrix[i, i]


@njit(cache=True, nogil=True)
def _ordinal(scores: Matrix, slopes: Matrix, counts: Matrix, own: Matrix) -> None:
    """Move the terms and slopes of an ordinal item uphill by Newton's method.

    The log odds of two levels are the difference of their terms plus the slope of the class times
    the difference of their scores (adjacent-category logits). The first term and slope are 0.
    """
    n, k = counts.shape
    step = np.empty(n + k - 2)
    hessian = np.empty((n + k - 2, n + k - 2))
    fit = _spread(scores, slopes, counts, own)
    for _ in range(NEWTON):
        before = fit
        _newton(scores, counts, own, step, hessian)
        length = 1.0
        for a in range(len(step)):
            length = min(length, 5.0 / max(abs(step[a]), 1.0))
        change = length
        for _halving in range(12):
            for m in range(1, n):
                own[m, k] += change * step[m - 1]
            for c in range(1, k):
                slopes[c] += change * step[n - 2 + c]
            fit = _spread(scores, slopes, counts, own)
            if fit >= before:
                break
            length *= 0.5
            change = -length
        if fit - before <= 1e-12 * abs(before):
            break


@njit(cache=True, nogil=True)
def maximise(sums: Matrix, items: Places, scores: Matrix, floors: Matrix, theta: Matrix) -> None:
    """Move `theta` to what fits the expected customers in `sums` best.

    Parameters
    ----------
    sums
        As `expect` leaves them.
    items
        For each categorical item the row of its first level in `theta`, the row after its last
        one, and the row of its slopes, 0 if it has none.
    scores
        For each row of `theta` up to the last level the score of the level, 0 to 1 in an item.
    floors
        For each number the logarithm of the least variance.
    theta
        The solution so far; ordinal items begin there.
    """
    k = sums.shape[1]
    end = len(scores)
    total = 0.0
    for c in range(k):
        total += sums[0, c]
    for c in range(k):
        theta[0, c] = max(sums[0, c] / total, TINY)
    for j in range(len(items)):
        low, high, slopes = items[j, 0], items[j, 1], items[j, 2]
        own = theta[low:high]
        if slopes > 0:
            _ordinal(scores[low:high], theta[slopes], sums[low:high], own)
        else:
            _shares(sums[low:high], own, 0.0, k)
    for g in range(len(floors)):
        for c in range(k):
            mass = sums[end + 1 + 3 * g, c]
            if mass > TINY:
                mean = sums[end + 2 + 3 * g, c] / mass
                variance = max(sums[end + 3 + 3 * g, c] / mass - mean * mean, 1e-300)
                theta[end + 2 * g, c] = mean
                theta[end + 2 * g + 1, c] = max(np.log(variance), floors[g])


@njit(cache=True, nogil=True)
def leap(
    theta: Matrix,
    first: Matrix,
    second: Matrix,
    length: float,
    items: Places,
    scores: Matrix,
    floors: Matrix,
    sums: Matrix,
) -> None:
    """Move `theta` on along the two steps of EM that followed it, and back among the solutions.

    Parameters
    ----------
    theta, first, second
        A solution and those that two steps of EM made of it; no share falls below a tenth of what
        it is in `second`. `first` is used up.
    length
        How far to go: 1 leads to `second`.
    items, scores, floors
        As in `maximise`.
    sums
        What is expected of each class.
    """
    k = sums.shape[1]
    end = len(scores)
    total = 0.0
    for m in range(len(theta)):
        for c in range(k + 1):
            step = first[m, c] - theta[m, c]
            bend = second[m, c] - first[m, c] - step
            theta[m, c] += 2 * length * step + length**2 * bend
            first[m, c] = theta[m, c]
            if m < end and c < k:
                theta[m, c] = second[m, c]
    for c in range(k):
        theta[0, c] = max(first[0, c], 0.1 * second[0, c])
        total += theta[0, c]
    for c in range(k):
        theta[0, c] /= total
    for j in range(len(items)):
        low, high, slopes = items[j, 0], items[j, 1], items[j, 2]
        if slopes > 0:
            for c in range(k):
                theta[slopes, c] = min(max(theta[slopes, c], -FARTHEST), FARTHEST)
            _spread(scores[low:high], theta[slopes], sums[low:high], theta[low:high])
        else:
            _shares(first[low:high], theta[low:high], 0.1, k)
    for g in range(len(floors)):
        for c in range(k):
            theta[end + 2 * g + 1, c] = max(theta[end + 2 * g + 1, c], floors[g])
