"""Two ways to look at solutions: the clustergram over k, and the gorge of one of them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from custseg.errors import check_number
from custseg.evaluation.silhouette import check_labelings
from custseg.features.encoder import as_frame, numeric_matrix
from custseg.results import Result

Matrix = NDArray[np.float64]

LIKE, UNLIKE = 0.75, 0.25


@dataclass(frozen=True, repr=False, eq=False)
class Clustergram(Result):
    """Means of segments over labelings; made by `clustergram`.

    Parameters
    ----------
    table
        ``labelling``, ``segment``, ``n`` and ``mean`` (of the first principal component).
    flows
        ``labelling``, ``segment``, ``parent`` (a segment of the labelling before) and ``n``.
    explained
        The share of the variance on the first principal component.
    notes
        Caveats.
    """

    table: pd.DataFrame
    flows: pd.DataFrame
    explained: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "solutions.clustergram"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per labelling and segment."""
        return self.table

    def summary(self) -> str:
        """Return what the axis shows."""
        return (
            f"{self.table['labelling'].nunique()} labelings on the first principal component, "
            f"which holds {self.explained:.0%} of the variance"
        )


def clustergram(
    X: "pd.DataFrame | ArrayLike", labelings: "pd.DataFrame | pd.Series"
) -> Clustergram:
    """Show how the means of segments move, split and merge from one labelling to the next.

    Parameters
    ----------
    X
        Customers x numeric variables on a comparable scale.
    labelings
        One column per labelling, a row per row of `X` in the same order.

    Returns
    -------
    Clustergram
        ``to_frame()`` has ``labelling``, ``segment``, ``n`` and ``mean``, in standard deviations
        of the first principal component.

    Raises
    ------
    DataError
        As `silhouettes` does.

    References
    ----------
    Schonlau (2002), The Stata Journal 2, 391-402, with the first principal component for the mean.

    Examples
    --------
    >>> X = pd.DataFrame({"recency": [1.0, 2.0, 9.0, 10.0]})
    >>> clustergram(X, pd.Series(list("aabb"), name="halves")).to_frame().round(2)
      labelling segment  n  mean
    0    halves       a  2 -0.99
    1    halves       b  2  0.99
    """
    index, table, codes, names = check_labelings(X, labelings)
    matrix = numeric_matrix(as_frame(X))
    centred = matrix - matrix.mean(axis=0)
    left, spread, axes = np.linalg.svd(centred, full_matrices=False)
    sign = np.sign(axes[0, np.abs(axes[0]).argmax()])
    score = pd.Series(sign * left[:, 0] * np.sqrt(len(matrix)), index=index)
    rows, flows = [], []
    for place, (name, labels, segments) in enumerate(zip(table.columns, codes, names, strict=True)):
        means = score.groupby(labels).agg(["size", "mean"]).drop(-1, errors="ignore")
        rows.append(
            pd.DataFrame(
                {
                    "labelling": name,
                    "segment": list(segments),
                    "n": means["size"].to_numpy(),
                    "mean": means["mean"].to_numpy(),
                }
            )
        )
        if place:
            cells = pd.crosstab(
                segments.take(labels).to_numpy(), names[place - 1].take(codes[place - 1]).to_numpy()
            )
            long = cells.rename_axis(index="segment", columns="parent").stack().rename("n")
            flows.append(long[long > 0].reset_index().assign(labelling=name))
    note = "segments that differ in other directions than the first component lie over each other."
    columns = ["labelling", "segment", "parent", "n"]
    return Clustergram(
        pd.concat(rows, ignore_index=True),
        pd.concat(flows, ignore_index=True)[columns] if flows else pd.DataFrame(columns=columns),
        float(spread[0] ** 2 / (spread**2).sum()),
        (note,),
    )


@dataclass(frozen=True, repr=False, eq=False)
class Gorge(Result):
    """How alike customers are to each segment; made by `gorge`.

    Parameters
    ----------
    similarity
        Customers x segments; rows sum to 1.
    by_segment
        ``segment``, ``n``, and the shares of all customers who are ``like`` it (similarity of .75
        or more), ``between`` and ``unlike`` (.25 or less).
    notes
        Caveats.
    """

    similarity: pd.DataFrame
    by_segment: pd.DataFrame
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "solutions.gorge"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment."""
        return self.by_segment

    def summary(self) -> str:
        """Return how many customers are neither like nor unlike a segment."""
        share = self.by_segment["between"].mean()
        return f"on average {share:.0%} of customers are neither like nor unlike a segment"


def gorge(X: "pd.DataFrame | ArrayLike", labels: pd.Series, *, power: float = 1.0) -> Gorge:
    """Show whether customers are clearly like or unlike each segment, or in between.

    The similarity of a customer to a segment is exp(-d^power), divided by its sum over segments,
    with d the Euclidean distance to the segment's mean. Well separated segments leave a gorge
    between customers who are like them and customers who are not.

    Parameters
    ----------
    X
        Customers x numeric variables on a comparable scale.
    labels
        The segment of each row of `X`; missing where a customer is in none.
    power
        A larger power sharpens the similarities.

    Returns
    -------
    Gorge
        ``to_frame()`` has one row per segment; ``.similarity`` one row per customer.

    Raises
    ------
    DataError
        As `silhouettes` does.
    ParameterError
        If `power` is not positive.

    References
    ----------
    Dolnicar, Grün & Leisch (2018), Market Segmentation Analysis, Springer, section 7.5.1.

    Examples
    --------
    >>> X = pd.DataFrame({"recency": [1.0, 2.0, 9.0, 10.0]})
    >>> gorge(X, pd.Series(list("aabb"))).to_frame()
      segment  n  like  between  unlike
    0       a  2   0.5      0.0     0.5
    1       b  2   0.5      0.0     0.5
    """
    check_number(power, "power", gt=0)
    index, _, (codes,), (names,) = check_labelings(X, labels)
    matrix = numeric_matrix(as_frame(X))
    means = np.array([matrix[codes == code].mean(axis=0) for code in range(len(names))])
    distances = np.sqrt(((matrix[:, None, :] - means) ** 2).sum(axis=2))
    similarity = softmax(-(distances**power), axis=1)
    like, unlike = (similarity >= LIKE).mean(axis=0), (similarity <= UNLIKE).mean(axis=0)
    table = pd.DataFrame(
        {
            "segment": list(names),
            "n": np.bincount(codes[codes >= 0]),
            "like": like,
            "between": 1 - like - unlike,
            "unlike": unlike,
        }
    )
    note = "similarities depend on the scale of the variables and on the power; compare pictures."
    return Gorge(pd.DataFrame(similarity, index=index, columns=list(names)), table, (note,))
