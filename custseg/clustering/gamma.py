"""What gamma, the weight of categories against numbers, does to the clusters of k-prototypes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from custseg.clustering._learn import cost_parts
from custseg.clustering.kprototypes import KPrototypes
from custseg.errors import ParameterError, check_number
from custseg.results import Result, format_number

MULTIPLES = (0, 0.25, 0.5, 1, 2, 4, 8)


@dataclass(frozen=True, repr=False, eq=False)
class GammaSweep(Result):
    """Clusters by gamma; made by `gamma_sweep`.

    Parameters
    ----------
    table
        One row per gamma, see `gamma_sweep`.
    labels
        Rows x gammas: the clusters.
    usual
        Half the mean standard deviation of the numbers: the gamma that is used unless given.
    notes
        Caveats.
    """

    table: pd.DataFrame
    labels: pd.DataFrame
    usual: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "gamma.gamma_sweep"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per gamma."""
        return self.table

    def summary(self) -> str:
        """Return what the first and the last gamma explain, and where clusters change most."""
        low, high = self.table.iloc[0], self.table.iloc[-1]
        change = int(self.table["ari_previous"].argmin())
        before, after = map(format_number, self.table["gamma"].iloc[[change - 1, change]])
        numbers = f"{low['numeric_explained']:.0%} to {high['numeric_explained']:.0%}"
        categories = f"{low['categorical_explained']:.0%} to {high['categorical_explained']:.0%}"
        return (
            f"from gamma {format_number(low['gamma'])} to {format_number(high['gamma'])} the "
            f"clusters explain {numbers} of the numbers and {categories} of the categories; they "
            f"change most between {before} and {after} (adjusted Rand index "
            f"{format_number(float(self.table['ari_previous'].iloc[change]))})"
        )


def gamma_sweep(
    X: "pd.DataFrame | ArrayLike",
    estimator: KPrototypes,
    *,
    gammas: Sequence[float] | None = None,
    sample_weight: ArrayLike | None = None,
) -> GammaSweep:
    """Fit k-prototypes with several gammas and show what each makes of numbers and categories.

    No criterion says which gamma is right: it is a decision how much categories are to count. The
    table shows what the decision costs on either side, and whether it matters at all.

    Parameters
    ----------
    X
        Rows x columns, as for `KPrototypes`.
    estimator
        An unfitted `KPrototypes`; its gamma does not count.
    gammas
        Two or more values of 0 or more; ``None`` takes the usual one (half the mean standard
        deviation of the numbers) times 0, 1/4, 1/2, 1, 2, 4 and 8.
    sample_weight
        How many rows each row stands for.

    Returns
    -------
    GammaSweep
        Its `to_frame` has a row per gamma, in ascending order: ``gamma``; ``times_usual``;
        ``cost``, the sum of ``numeric_cost`` (squared distances) and ``categorical_cost`` (gamma
        times the categories that differ); ``categorical_share``, the share of the categories in the
        dissimilarity of all rows from one common prototype; ``numeric_explained`` and
        ``categorical_explained``, by how much the clusters reduce the squared distances and the
        categories that differ, against one prototype; ``ari_previous``, the adjusted Rand index
        with the clusters of the gamma before.

    Raises
    ------
    ParameterError
        If `estimator` is no `KPrototypes`, a gamma is negative, there are fewer than two, or the
        columns are all numeric or all categorical.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spender, web = rng.integers(0, 2, (2, 400))
    >>> customers = pd.DataFrame({"spend": 2 * spender + rng.normal(0, 0.4, 400)})
    >>> for name in ("first", "last", "usual"):
    ...     customers[name] = np.where(rng.random(400) < 0.9, web, 1 - web).astype(str)
    >>> sweep = gamma_sweep(customers, KPrototypes(2, random_state=0), gammas=[0.1, 0.5, 2])
    >>> sweep.to_frame().round(2)[["gamma", "numeric_explained", "categorical_explained"]]
       gamma  numeric_explained  categorical_explained
    0    0.1               0.86                   0.02
    1    0.5               0.86                   0.02
    2    2.0               0.00                   0.81
    """
    if not isinstance(estimator, KPrototypes):
        raise ParameterError(
            f"estimator is {estimator!r}, but must be a KPrototypes, such as KPrototypes(4)."
        )
    single = clone(estimator).set_params(n_clusters=1, gamma=None, init="cao")
    single.fit(X, sample_weight=sample_weight)
    if 0 in (single.means_.shape[1], single.modes_.shape[1]):
        raise ParameterError(
            "gamma weighs categories against numbers, but the columns are all of one kind: "
            f"{single.means_.shape[1]} numeric, {single.modes_.shape[1]} categorical."
        )
    usual = single.gamma_
    values = sorted({usual * multiple for multiple in MULTIPLES} if gammas is None else set(gammas))
    for gamma in values:
        check_number(gamma, "each of gammas", ge=0)
    if len(values) < 2:
        raise ParameterError(f"gammas is {gammas!r}, but must hold two different values or more.")

    squares, different = cost_parts(single, X, sample_weight)
    rows: list[dict[str, float]] = []
    labels: dict[float, NDArray[np.integer]] = {}
    for gamma in values:
        fitted = clone(estimator).set_params(gamma=gamma).fit(X, sample_weight=sample_weight)
        own_squares, own_different = cost_parts(fitted, X, sample_weight)
        before = labels[values[len(rows) - 1]] if rows else None
        labels[gamma] = fitted.labels_
        rows.append(
            {
                "gamma": float(gamma),
                "times_usual": gamma / usual,
                "cost": fitted.cost_,
                "numeric_cost": own_squares,
                "categorical_cost": gamma * own_different,
                "categorical_share": gamma * different / (squares + gamma * different),
                "numeric_explained": 1 - own_squares / squares,
                "categorical_explained": 1 - own_different / different,
                "ari_previous": (
                    np.nan if before is None else adjusted_rand_score(before, fitted.labels_)
                ),
            }
        )
    return GammaSweep(
        table=pd.DataFrame(rows),
        labels=pd.DataFrame(labels),
        usual=usual,
        notes=("costs of different gammas are in different units and must not be compared.",),
    )
