"""Whether segments differ on the variables that made them, with p-values that mean something."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from custseg.errors import ParameterError, check_number, check_option
from custseg.profiling._clusterings import Clustering, Matrix, choose_columns, read_clustering
from custseg.profiling._methods import (
    ALL,
    Answer,
    Row,
    by_reference,
    by_selection,
    by_thinning,
)
from custseg.profiling._normality import CONSTANT, PROBLEMS, check_normality
from custseg.profiling._reference import NULL_TABLES, References, draw_references
from custseg.profiling._thinning import noise_covariance
from custseg.profiling._variation import variation
from custseg.profiling._words import listed
from custseg.profiling.profiles import _by_id, _check_table
from custseg.results import Result, format_number
from custseg.stats import holm

METHODS = ("thinning", "reference", "selective")
SAID = {
    ("thinning", "normal"): "assumed: customers are normal about the means of their groups. A flat "
    "cloud, in which every place is equally full, would count as groups.",
    ("reference", "normal"): "the reference is one normal cloud with the same covariances. A flat "
    "cloud, in which every place is equally full, would count as groups.",
    ("reference", "copula"): "the reference keeps the distribution of every column and the "
    "correlation of normal scores: groups along a single column are not seen, and a dependence "
    "between columns that is not of this form, such as a curved one, counts as groups.",
    ("selective", "normal"): "assumed: customers are normal about the means of their groups. A "
    "p-value counts only places at which the clusterer finds the very same two segments, so "
    "that single customers near a border can make it large.",
}


@dataclass(frozen=True, repr=False, eq=False)
class HonestDifferences(Result):
    """Differences between segments on their own variables; made by `honest_differences`.

    Attributes
    ----------
    method : str
        ``"thinning"``, ``"reference"`` or ``"selective"``.
    normality : pandas.DataFrame
        One row per encoded column: ``distinct`` values, the ``heap`` (share of the most frequent
        one), ``skewness`` and excess ``kurtosis`` within segments, ``p_skewness`` and
        ``p_kurtosis`` against null tables, and the ``problem``, empty where there is none.
    covariance : pandas.DataFrame
        Encoded columns x columns: of customers about their means, as the method took it; for
        ``"reference"`` of all customers.
    means : pandas.DataFrame
        For ``"thinning"``: ``segment``, ``variable``, ``n``, ``value``, ``ci_low`` and ``ci_high``,
        the means of the learned segments in the tested part, in encoded units. Else empty.
    agreement : float
        For ``"thinning"``: the adjusted Rand index of the segments that were learned from the noisy
        customers and those of the model. Else NaN.
    notes : tuple of str
        What is assumed, what was checked, and what was not answered.
    """

    _table: pd.DataFrame
    method: str
    normality: pd.DataFrame
    covariance: pd.DataFrame
    means: pd.DataFrame
    agreement: float
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "honest.differences"

    def to_frame(self) -> pd.DataFrame:
        """Return a row per test: all columns together first, then each by itself.

        Returns
        -------
        pandas.DataFrame
            ``segments``, ``variable``, ``effect``, ``expected``, ``p_value`` and ``p_holm``, as
            `honest_differences` defines them.
        """
        return self._table.copy()

    def summary(self) -> str:
        """Return which variables differ, at 5% after Holm's adjustment, and which are open."""
        single = self._table[self._table["variable"] != ALL]
        unanswered = dict.fromkeys(single.loc[single["p_value"].isna(), "variable"])
        if len(unanswered) == single["variable"].nunique():
            return f"by {self.method}, no answer for any variable: see the notes."
        parts = []
        for segments, rows in self._table.groupby("segments", sort=False):
            who = "the segments" if segments == ALL else segments
            differ = rows.loc[(rows["variable"] != ALL) & (rows["p_holm"] <= 0.05), "variable"]
            words = f"differ on {', '.join(differ)}" if len(differ) else "differ on no variable"
            together = rows.loc[rows["variable"] == ALL, "p_holm"].iloc[0]
            told = "" if np.isnan(together) else f" ({_p(together)} for all together)"
            parts.append(f"{who} {words}{told}")
        left = f"; no answer for {', '.join(unanswered)}" if unanswered else ""
        return f"by {self.method}, {'; '.join(parts)}{left}."


def honest_differences(
    model: Any,
    customers: pd.DataFrame,
    variables: Sequence[str] | None = None,
    method: str = "thinning",
    *,
    covariance: ArrayLike | None = None,
    null: str = "normal",
    n_draws: int | None = None,
    level: float = 0.95,
    random_state: int = 0,
) -> HonestDifferences:
    """Test whether segments differ on the variables that made them, allowing for the making.

    A clustering puts high values into one segment and low ones into another, so that the usual
    test finds differences in a single cloud of customers; so it does on a half of them that was
    held out, which is sorted by its own values. The three methods ask instead whether there is
    more than in one normal cloud:

    - ``"thinning"`` adds noise W with the customers' own covariance to them, learns segments from
      X + W, with as much of the noise taken out as can be without knowing it, and compares these
      segments on X - W, which is independent of X + W in a normal cloud;
    - ``"reference"`` divides tables without groups in the same way and counts how many differ as
      much as the customers do;
    - ``"selective"`` takes two segments at a time and compares their difference with those at which
      the clusterer would have found the very same two.

    All of it happens in the encoded columns that the clusterer works on, in their units (standard
    deviations, as a rule). ``docs/honest_differences.md`` tells what each of them can see.

    Parameters
    ----------
    model
        A `SegmentationModel` or a scikit-learn clusterer of numbers. A copy is fitted again, about
        `n_draws` times; for ``"selective"`` some hundred times more per pair of segments and
        variable.
    customers
        One row per customer, with a unique index.
    variables
        What to test: some of the encoded columns of a `SegmentationModel`, whose segments are
        always those of all its variables. A plain clusterer divides by these columns. ``None``
        takes all.
    method
        ``"thinning"``, ``"reference"`` or ``"selective"``.
    covariance
        The covariance of customers about the means of their groups, columns x columns, or one
        variance for all columns, where it is known. ``None`` estimates it: that of all customers,
        less in directions in which segments are tighter than in null tables.
    null
        What ``"reference"`` compares with: ``"normal"``, a normal cloud of the same covariances, or
        ``"copula"``, which keeps the distribution of every column too, and so takes skewed and
        discrete columns, but cannot see groups along a single one.
    n_draws
        The number of null tables, at least 99; ``None`` takes 199 for ``"reference"``, whose
        p-values are none below 1 / (1 + `n_draws`), else 99.
    level
        Confidence level of the intervals of `HonestDifferences.means`.
    random_state
        A seed. Another one gives other noise, and other p-values.

    Returns
    -------
    HonestDifferences
        `HonestDifferences.to_frame` has per variable, and for ``"(all)"``: ``effect``, which is
        eta squared (for all: 1 - Wilks' lambda), the share of variation between segments, or for
        ``"selective"`` the difference of two segments (for all: its length in standard
        deviations); ``expected``, the same on average without groups, for a difference its size;
        ``p_value``; and ``p_holm``, adjusted over variables and pairs, for all over pairs. They are
        missing for a column that fails the check of the method's assumption.

    Raises
    ------
    ColumnError
        If one of `variables` is not among the columns that the model divides by.
    DataError
        If the table is no customer table, a column holds no numbers, or there is one segment only.
    ParameterError
        If an option does not exist, or the model divides by categories, rules or dissimilarities.

    References
    ----------
    Neufeld, A., Dharamshi, A., Gao, L. L. and Witten, D. (2024), Data thinning for
    convolution-closed distributions, JMLR 25(57). Leiner, J., Duan, B., Wasserman, L. and Ramdas,
    A. (2025), Data fission, JASA 120(549), 135-146. Gao, L. L., Bien, J. and Witten, D. (2024),
    Selective inference for hierarchical clustering, JASA 119(545), 332-342. Chen, Y. T. and
    Witten, D. M. (2023), Selective inference for k-means clustering, JMLR 24(152).

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> rng = np.random.default_rng(0)
    >>> cloud = pd.DataFrame(rng.normal(size=(100, 2)), columns=["visits", "spend"])
    >>> apart = cloud + 5 * (cloud.index.to_numpy() % 2)[:, None] * [1, 0]
    >>> two = KMeans(2, n_init=3, random_state=0)
    >>> for table in (cloud, apart):
    ...     print(honest_differences(two, table).summary())
    by thinning, the segments differ on no variable (p = .291 for all together).
    by thinning, the segments differ on visits (p < .001 for all together).
    """
    check_option(method, "method", METHODS)
    check_option(null, "null", NULL_TABLES)
    tables = (199 if method == "reference" else 99) if n_draws is None else n_draws
    check_number(tables, "n_draws", ge=99, integer=True)
    check_number(level, "level", gt=0, lt=1)
    check_number(random_state, "random_state", ge=0, integer=True)
    if null != "normal" and method != "reference":
        raise ParameterError(
            f"null is {null!r}, but {method!r} rests on the normal distribution. Take "
            f"method='reference', or leave null away."
        )
    if covariance is not None and method == "reference":
        raise ParameterError(
            "covariance is given, but 'reference' makes tables like all customers. Leave it away, "
            "or take method='thinning'."
        )
    _check_table(customers)
    with threadpool_limits(limits=1):
        ordered = customers.iloc[_by_id(customers.index)]
        clustering = read_clustering(model, ordered, variables, random_state)
        chosen = choose_columns(clustering.columns, variables)
        references = draw_references(
            clustering.matrix,
            clustering.clusterer,
            null=null,
            n_draws=tables,
            rng=np.random.default_rng([random_state, 1]),
        )
        normality = check_normality(clustering, references)
        failed = normality["problem"].isin([CONSTANT] if null == "copula" else PROBLEMS)
        tested = [place for place in chosen if not failed.iloc[place]]
        if method == "reference":
            noise = np.atleast_2d(np.cov(clustering.matrix, rowvar=False))
            answer = by_reference(clustering, references, tested)
        else:
            noise = _covariance(covariance, clustering, references)
            rng = np.random.default_rng([random_state, 2])
            answer = (
                by_thinning(clustering, noise, tested, level=level, rng=rng)
                if method == "thinning"
                else by_selection(clustering, noise, tested)
            )
    columns = clustering.columns
    table = _tabled(answer, [ALL, *(columns[place] for place in chosen)], blocked=failed.any())
    notes = _notes(method, null, normality[failed], answer, estimated=covariance is None)
    return HonestDifferences(
        table,
        method,
        normality,
        pd.DataFrame(noise, index=columns, columns=columns),
        answer.means,
        answer.agreement,
        tuple(notes),
    )


def _covariance(given: ArrayLike | None, clustering: Clustering, references: References) -> Matrix:
    """Return the covariance of customers about their means, estimated where it is not given."""
    d = len(clustering.columns)
    if given is None:
        return noise_covariance(variation(clustering.matrix, clustering.codes), references)
    known = np.asarray(given, dtype=float)
    known = known * np.eye(d) if known.ndim == 0 else known
    fits = known.shape == (d, d) and np.isfinite(known).all() and np.allclose(known, known.T)
    if not fits or np.linalg.eigvalsh(known).min() <= 0:
        raise ParameterError(
            f"covariance must be one positive variance, or a positive definite matrix of {d} x {d} "
            f"for {listed(clustering.columns)}."
        )
    return known


def _tabled(answer: Answer, variables: list[str], *, blocked: bool) -> pd.DataFrame:
    """Return the rows of all variables, the joint ones without a p-value where one is blocked."""
    found = pd.DataFrame(answer.rows, columns=list(Row._fields))
    pairs = list(dict.fromkeys(found["segments"])) or [ALL]
    index = pd.MultiIndex.from_product([pairs, variables], names=["segments", "variable"])
    table = found.set_index(["segments", "variable"]).astype(float).reindex(index).reset_index()
    joint = (table["variable"] == ALL).to_numpy()
    table["p_value"] = table["p_value"].mask(joint & blocked)
    for family in (joint, ~joint):
        table.loc[family, "p_holm"] = holm(table.loc[family, "p_value"])
    return table


def _notes(
    method: str, null: str, failed: pd.DataFrame, answer: Answer, *, estimated: bool
) -> list[str]:
    notes = [SAID[method, null]]
    if method == "thinning":
        notes.append(
            "the segments that were compared are those of the customers with noise; their adjusted "
            f"Rand index with the model's is {format_number(answer.agreement)}."
        )
        if not answer.rows:
            notes.append("in the customers with noise, fewer than two segments were found.")
    if len(failed):
        told = ", ".join(f"{name!r} ({row['problem']})" for name, row in failed.iterrows())
        remedy = "" if null == "copula" else "; method='reference' with null='copula' takes them"
        notes.append(
            f"no answer for {told}, nor for all together: not normal within segments{remedy}."
        )
    if estimated and method != "reference":
        notes.append(
            "the covariance within groups was estimated: that of all customers, less in directions "
            "in which the segments are tighter than in a cloud without groups. It is too large "
            "rather than too small where there are groups, which costs power."
        )
    return notes


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p = {value:.3f}".replace("0.", ".", 1)
