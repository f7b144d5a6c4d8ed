"""Whether the columns that made segments may be taken as normal about the segments' means."""

import numpy as np
import pandas as pd

from custseg.profiling._clusterings import Clustering
from custseg.profiling._reference import References, as_large
from custseg.profiling._variation import variation

SURE = 0.01
FEW_VALUES, HEAP = 20, 0.1
CONSTANT = "constant"
PROBLEMS = (CONSTANT, "few values", "a heap of equal values", "skewed", "heavy tails")


def check_normality(clustering: Clustering, references: References) -> pd.DataFrame:
    """Return what speaks against a normal distribution of each column within segments.

    A cloud that is cut has other tails inside its parts than a whole one, so skewness and excess
    kurtosis are held against those within the segments of null tables. Flatness is not looked
    for: groups make it too.

    Parameters
    ----------
    clustering
        The customers and their segments.
    references
        Null tables, divided by the same clusterer.

    Returns
    -------
    pandas.DataFrame
        By encoded column: ``distinct`` values, the ``heap`` (share of the most frequent one),
        ``skewness``, ``kurtosis``, ``p_skewness``, ``p_kurtosis`` and the first ``problem``, empty
        where there is none.
    """
    matrix = clustering.matrix
    observed = variation(matrix, clustering.codes)
    counts = [np.unique(column, return_counts=True)[1] for column in matrix.T]
    table = pd.DataFrame(
        {
            "distinct": [len(count) for count in counts],
            "heap": [count.max() / len(matrix) for count in counts],
            "skewness": observed.skewness,
            "kurtosis": observed.kurtosis,
            "p_skewness": as_large(np.abs(observed.skewness), np.abs(references.skewness)),
            "p_kurtosis": as_large(observed.kurtosis, references.kurtosis),
        },
        index=pd.Index(clustering.columns, name="variable"),
    )
    present = [
        table["distinct"] == 1,
        table["distinct"] < min(FEW_VALUES, len(matrix) // 2),
        (table["heap"] > HEAP) & (len(matrix) >= FEW_VALUES),
        table["p_skewness"] <= SURE,
        table["p_kurtosis"] <= SURE,
    ]
    return table.assign(problem=np.select(present, PROBLEMS, default=""))
