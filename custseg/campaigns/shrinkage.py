"""Effects by segment, pulled towards their mean as far as chance explains their spread."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from custseg.stats import Difference, shrink

_LEAST = 3
_Z = float(stats.norm.isf(0.025))


def shrunk_effects(difference: Difference) -> tuple[NDArray[np.float64], ...]:
    """Shrink the effects of every arm over the segments.

    Parameters
    ----------
    difference
        Effects with 95% intervals, (G, A): everybody, then each segment.

    Returns
    -------
    tuple of numpy.ndarray
        Shrunk effects and the bounds of their 95% intervals, (G, A). Everybody stays as it is, and
        so do fewer than three segments, which do not tell how far they differ. NaN where a segment
        has no interval.

    Notes
    -----
    Half of the interval over 1.96 is what is taken for the standard error: that has the degrees of
    freedom of Welch's t in it, and is above 0 where nobody converted. What is not known of the
    mean and the spread of the segments' effects is in the intervals (`stats.shrink`).
    """
    known = np.isfinite(difference.ci_high) & (difference.ci_high > difference.ci_low)
    effect, low, high = (
        np.where(known, part, np.nan)
        for part in (difference.effect, difference.ci_low, difference.ci_high)
    )
    effect[0] = difference.effect[0]
    error = (high - low) / 2 / _Z
    for a in range(effect.shape[1]):
        if known[1:, a].sum() >= _LEAST:
            found = shrink(effect[1:, a], error[1:, a])
            effect[1:, a] = found.estimate
            low[1:, a], high[1:, a] = found.estimate - _Z * found.se, found.estimate + _Z * found.se
    return effect, low, high
