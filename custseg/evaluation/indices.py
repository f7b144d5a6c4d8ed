"""The customary indices of a labelling, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from custseg.errors import DataError, check_option
from custseg.evaluation._distances import check_space
from custseg.evaluation.silhouette import EXACT_UP_TO, check_labelings, measure
from custseg.results import Result, format_number

Matrix = NDArray[np.float64]
Labels = NDArray[np.integer]

COLUMNS = (
    *("labelling", "n_segments", "n", "smallest_share", "silhouette", "silhouette_se"),
    *("separation", "calinski_harabasz", "davies_bouldin", "within_ss", "explained"),
    *("log_likelihood", "bic", "aic", "icl", "entropy"),
)

LARGER_IS_BETTER = {
    "silhouette": True,
    "separation": True,
    "calinski_harabasz": True,
    "davies_bouldin": False,
    "bic": False,
    "aic": False,
    "icl": False,
}


@dataclass(frozen=True, repr=False, eq=False)
class Indices(Result):
    """The indices of labelings; made by `indices`.

    Parameters
    ----------
    table
        One row per labelling, see `indices`.
    notes
        Caveats.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    directions: ClassVar[Mapping[str, bool]] = LARGER_IS_BETTER
    _picture: ClassVar[str] = "evaluation.indices"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per labelling."""
        return self.table

    def _shown(self) -> pd.DataFrame:
        return self.table.set_index("labelling").dropna(axis=1, how="all")

    def summary(self) -> str:
        """Return which labelling each index prefers."""
        table = self._shown()
        if len(table) == 1:
            return f"mean silhouette width {format_number(table['silhouette'].iloc[0])}"
        found: dict[str, list[str]] = {}
        for index, larger in self.directions.items():
            if index in table:
                best = table[index].idxmax() if larger else table[index].idxmin()
                found.setdefault(str(best), []).append(index)
        parts = (f"{best} by {', '.join(names)}" for best, names in found.items())
        return f"of {len(table)} labelings, {'; '.join(parts)}"


def indices(
    X: "pd.DataFrame | ArrayLike",
    labelings: "pd.DataFrame | pd.Series",
    metric: str = "euclidean",
    *,
    models: Mapping[Any, Any] | None = None,
) -> Indices:
    """Measure labelings with the customary indices, all in one pass over the distances.

    Parameters
    ----------
    X
        Customers x numeric variables on a comparable scale; a table of mixed kinds for
        ``metric="gower"``; a square of distances for ``"precomputed"``.
    labelings
        One column per labelling, a row per row of `X` in the same order; missing where a customer
        is in no segment.
    metric
        As in `silhouettes`.
    models
        From the name of a labelling to a fitted mixture or latent class model that made it, with
        ``predict_proba`` and ``bic``, ``aic`` and ``score`` (methods of `X`, as in scikit-learn) or
        ``bic_``, ``aic_`` and ``log_likelihood_``.

    Returns
    -------
    Indices
        ``to_frame()`` has for each ``labelling``:

        - ``n_segments``, ``n`` customers in a segment, ``smallest_share`` of them;
        - ``silhouette`` (mean width) and ``silhouette_se`` (its standard error where it rests on a
          sample, else 0);
        - ``separation``: the smallest mean distance between two segments over the largest mean
          distance within one, as Dunn's index with means for extremes (``dunn2`` of R's fpc);
        - ``calinski_harabasz``, ``davies_bouldin``, ``within_ss`` (sum of squares within segments)
          and ``explained`` (the share of the total that is not within), missing where there are no
          coordinates;
        - ``log_likelihood``, ``bic``, ``aic``, ``icl`` (BIC plus twice the entropy of the
          memberships) and ``entropy`` (1 for certain memberships, 0 for none known), missing where
          there is no model.

        Larger is better, except for ``davies_bouldin``, ``bic``, ``aic`` and ``icl``. None of them
        tells whether there is structure: compare with null references.

    Raises
    ------
    DataError
        As `silhouettes` does; if a model is no model of memberships.
    ParameterError
        If there is no such metric, or `models` names another labelling.

    References
    ----------
    Calinski & Harabasz (1974), Communications in Statistics 3, 1-27. Davies & Bouldin (1979), IEEE
    Trans. PAMI 1, 224-227. Dunn (1974), Journal of Cybernetics 4, 95-104. Biernacki, Celeux &
    Govaert (2000), IEEE Trans. PAMI 22, 719-725 (ICL). Ramaswamy et al. (1993), Marketing Science
    12, 103-124 (entropy).

    Examples
    --------
    >>> X = pd.DataFrame({"recency": [1.0, 2.0, 9.0, 10.0]})
    >>> labelings = pd.DataFrame({"halves": list("aabb"), "mixed": list("abab")})
    >>> table = indices(X, labelings).to_frame().set_index("labelling")
    >>> table[["separation", "calinski_harabasz", "explained"]].round(3)
               separation  calinski_harabasz  explained
    labelling
    halves          8.000            128.000      0.985
    mixed           0.562              0.031      0.015
    """
    _, table, codes, _ = check_labelings(X, labelings)
    given = dict(models or {})
    for name in given:
        check_option(name, "a labelling in models", list(table.columns))
    space = check_space(X, metric)
    found = measure(space, codes, metric, EXACT_UP_TO, 0)
    numbers = None if metric in ("gower", "precomputed") else np.asarray(space)
    rows = []
    for position, (name, labels) in enumerate(zip(table.columns, codes, strict=True)):
        size = np.bincount(labels[labels >= 0])
        row = dict.fromkeys(COLUMNS, float("nan"))
        row |= {"labelling": name, "n_segments": len(size), "n": int(size.sum())}
        row["smallest_share"] = size.min() / size.sum()
        row["silhouette"] = found.overall[position]
        row["silhouette_se"] = found.errors[position]
        row["separation"] = separation(found.sums[position], labels[found.targets], size)
        if numbers is not None:
            row |= squares(numbers[labels >= 0], labels[labels >= 0])
        if name in given:
            row |= _likelihood(given[name], X, str(name))
        rows.append(row)
    return Indices(pd.DataFrame(rows, columns=list(COLUMNS)), notes=found.notes)


def separation(sums: Matrix, codes: Labels, size: NDArray[np.integer]) -> float:
    """Return the smallest mean distance between segments over the largest within one."""
    measured = np.bincount(codes[codes >= 0], minlength=len(size))
    totals = np.array([sums[:, codes == segment].sum(axis=1) for segment in range(len(size))])
    means = totals / measured[:, None] / size
    own = np.diagonal(totals) / measured / np.maximum(size - 1, 1)
    within = own[size > 1].max(initial=0.0)
    np.fill_diagonal(means, np.inf)
    return float(means.min() / within) if within > 0 else float("inf")


def squares(matrix: Matrix, codes: Labels) -> dict[str, float]:
    """Return the indices of sums of squares of customers who are all in a segment."""
    within, explained = explained_share(matrix, codes)
    scores = {"within_ss": within, "explained": explained}
    if len(matrix) > codes.max() + 1 and within > 0:
        scores["calinski_harabasz"] = calinski_harabasz_score(matrix, codes)
        scores["davies_bouldin"] = davies_bouldin_score(matrix, codes)
    return scores


def explained_share(matrix: Matrix, codes: Labels) -> tuple[float, float]:
    """Return the sum of squares within segments, and the share of the total that is between them.

    Customers in no segment are left out of both.
    """
    kept, labels = matrix[codes >= 0], codes[codes >= 0]
    sizes = np.bincount(labels)
    sums = np.column_stack([np.bincount(labels, weights=column) for column in kept.T])
    means = sums / np.maximum(sizes, 1)[:, None]
    within = float(((kept - means[labels]) ** 2).sum())
    total = float(((kept - kept.mean(axis=0)) ** 2).sum())
    return within, 1 - within / total


def membership_entropy(posterior: Matrix) -> tuple[float, float]:
    """Return the entropy of memberships, summed over customers, and its complement as a share.

    Parameters
    ----------
    posterior
        Customers x segments; rows sum to 1.

    Examples
    --------
    >>> membership_entropy(np.array([[1.0, 0.0], [0.5, 0.5]]))
    (0.6931471805599453, 0.5)
    """
    entropy = -float(xlogy(posterior, posterior).sum())
    largest = len(posterior) * float(np.log(posterior.shape[1]))
    return entropy, 1 - entropy / largest if largest > 0 else float("nan")


def _likelihood(model: Any, X: Any, name: str) -> dict[str, float]:
    if not hasattr(model, "predict_proba") or not (hasattr(model, "bic_") or hasattr(model, "bic")):
        raise DataError(
            f"the model of {name!r} is a {type(model).__name__}, which has no memberships or no "
            "BIC. Give a Gaussian mixture or a latent class model."
        )
    entropy, certain = membership_entropy(np.asarray(model.predict_proba(X)))
    if hasattr(model, "bic_"):
        bic, aic, likelihood = model.bic_, model.aic_, model.log_likelihood_
    else:
        bic, aic, likelihood = model.bic(X), model.aic(X), model.score(X) * len(X)
    return {
        "log_likelihood": float(likelihood),
        "bic": float(bic),
        "aic": float(aic),
        "icl": float(bic) + 2 * entropy,
        "entropy": certain,
    }
