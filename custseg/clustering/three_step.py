"""What latent classes go with: outcomes and covariates, corrected for wrong assignments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from custseg.clustering._latent_classification import Classification
from custseg.clustering._step_three import (
    Matrix,
    Root,
    class_means,
    level_shares,
    multinomial_logit,
    normal_means,
)
from custseg.clustering._step_three_tables import describe_covariates, describe_outcome
from custseg.clustering.latent_class import LatentClass
from custseg.errors import ConvergenceError, DataError, ParameterError, check_number, check_option
from custseg.features._levels import in_order, places, without_order
from custseg.features._treatments import numbers_of
from custseg.results import Result, format_number

CORRECTIONS = ("bch", "ml", "none")
ALIKE = 0.01
"""A table of classification whose least singular value is below this can not be inverted."""


@dataclass(frozen=True, repr=False, eq=False)
class ThreeStep(Result):
    """What latent classes go with; made by `three_step`.

    Parameters
    ----------
    estimates
        One row per class (and level) of an outcome, or per class and covariate, see `to_frame`.
    differences
        Of an outcome, every pair of classes: ``class_a``, ``class_b``, ``level``, ``difference``
        (the first less the second), ``se``, ``ci_low``, ``ci_high``, ``p_value``, ``p_holm``
        (adjusted over all rows). Without rows for covariates.
    tests
        Wald tests that the classes are alike: ``what`` is tested, ``statistic``, ``df``,
        ``p_value``.
    kind
        ``"mean"``, ``"share"`` or ``"covariates"``.
    name
        The name of the outcome.
    correction
        As asked for.
    classification
        How customers of each class are assigned.
    notes
        Caveats.
    """

    estimates: pd.DataFrame
    differences: pd.DataFrame
    tests: pd.DataFrame
    kind: str
    name: str
    correction: str
    classification: Classification
    notes: Sequence[str]
    _picture: ClassVar[str] = "clustering.three_step"

    def to_frame(self) -> pd.DataFrame:
        """Return the estimates.

        Returns
        -------
        pandas.DataFrame
            Of an outcome: ``class``, ``level`` (of a share), ``estimate`` (mean or share), ``se``,
            ``ci_low``, ``ci_high``. Of covariates: ``class`` and ``covariate``, ``estimate``: by
            how much the log odds of the class against class 0 rise with the covariate; ``se``,
            ``ci_low``, ``ci_high``, ``odds_ratio``, ``p_value``.
        """
        return self.estimates

    def summary(self) -> str:
        """Return whether the classes differ, and in what most."""
        if self.kind == "covariates":
            first = self.tests.sort_values("p_value").iloc[0]
            return (
                f"of {len(self.tests)} covariates, {first['what']} tells the classes apart most "
                f"surely (Wald {format_number(first['statistic'])} on {first['df']} degrees of "
                f"freedom, p {_p(first['p_value'])})."
            )
        shown, of = self.estimates, "mean of"
        if self.kind == "share":
            last = shown["level"].iloc[-1]
            shown, of = shown[shown["level"] == last], f"share of {last} in"
        low, high = shown["estimate"].idxmin(), shown["estimate"].idxmax()
        return (
            f"the {of} {self.name} runs from {format_number(shown['estimate'][low])} in class "
            f"{shown['class'][low]} to {format_number(shown['estimate'][high])} in class "
            f"{shown['class'][high]}; all classes equal: p {_p(self.tests['p_value'].iloc[0])}."
        )

    def _shown(self) -> pd.DataFrame:
        more = {"mean": [], "share": ["level"], "covariates": ["covariate"]}
        return self.estimates.set_index(["class", *more[self.kind]])


def _p(value: float) -> str:
    return "below .001" if value < 0.001 else format_number(value)


def three_step(
    model: LatentClass,
    X: "pd.DataFrame | ArrayLike",
    *,
    outcome: "pd.Series | ArrayLike | None" = None,
    covariates: "pd.DataFrame | pd.Series | ArrayLike | None" = None,
    correction: str = "bch",
    level: float = 0.95,
    sample_weight: ArrayLike | None = None,
) -> ThreeStep:
    """Estimate how an outcome differs between latent classes, or what predicts the class.

    Customers are first put into their likeliest class. Since some of them are in the wrong one, the
    classes look more alike than they are; the table of how customers of each class are assigned
    (`LatentClass.classification`) corrects for that. Standard errors are robust (a sandwich) and
    include that the classes themselves are estimates.

    Parameters
    ----------
    model
        A fitted latent class model.
    X
        The customers whose outcome or covariates are known, as in the fit; usually those of the
        fit.
    outcome
        A value per customer, not among the items: numbers have a mean in every class; booleans,
        text and categoricals have shares. Give either this or `covariates`.
    covariates
        One or more columns: the class is regressed on all of them together (multinomial logit,
        against class 0). Text and categoricals become a 0/1 column per level but the first.
    correction
        ``"bch"`` (Bolck, Croon and Hagenaars): customers are weighed by the inverse of the table;
        needs no assumption about the outcome. ``"ml"`` (Vermunt): maximum likelihood given the
        table; more precise, but takes a numeric outcome as normal within every class. ``"none"``:
        as assigned, biased towards no difference.
    level
        Confidence level of the intervals, between 0 and 1.
    sample_weight
        How many customers each row stands for.

    Returns
    -------
    ThreeStep
        Estimates, differences between classes, and Wald tests.

    Raises
    ------
    ParameterError
        If not exactly one of `outcome` and `covariates` is given, an option does not exist, or the
        model has one class.
    DataError
        If rows do not match, an outcome was among the items, has one value or none, or the
        classes cannot be told apart.
    ConvergenceError
        If the model, or this estimation, has not converged.

    References
    ----------
    Bolck, A., Croon, M. & Hagenaars, J. (2004). Estimating latent structure models with categorical
    variables: one-step versus three-step estimators. Political Analysis 12, 3-27.
    Vermunt, J. K. (2010). Latent class modeling with covariates: two improved three-step
    approaches. Political Analysis 18, 450-469.
    Bakk, Z., Tekle, F. B. & Vermunt, J. K. (2013). Estimating the association between latent class
    membership and external variables using bias-adjusted three-step approaches. Sociological
    Methodology 43, 272-311.
    Bakk, Z., Oberski, D. L. & Vermunt, J. K. (2014). Relating latent class assignments to external
    variables: standard errors for correct inference. Political Analysis 22, 520-540.

    Examples
    --------
    >>> from custseg.clustering import LatentClass
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.permutation(np.repeat([0, 1], [300, 200]))
    >>> answers = rng.random((500, 8)) < np.where(truth, 0.8, 0.2)[:, None]
    >>> spend = rng.normal(np.where(truth, 50, 20), 10)
    >>> model = LatentClass(2, random_state=0).fit(answers)
    >>> found = three_step(model, answers, outcome=spend)
    >>> found.to_frame()[["class", "estimate", "se"]].round(1)
       class  estimate   se
    0      0      20.0  0.7
    1      1      50.7  0.8
    """
    check_option(correction, "correction", CORRECTIONS)
    check_number(level, "level", gt=0, lt=1)
    if (outcome is None) == (covariates is None):
        raise ParameterError("give either outcome or covariates, and not both.")
    if not isinstance(model, LatentClass):
        raise ParameterError(
            f"model is a {type(model).__name__}, but must be a fitted LatentClass of "
            "custseg.clustering."
        )
    if model.n_classes < 2:
        raise ParameterError("the model has one class: there is nothing that could differ.")
    known = model.classification(X, sample_weight=sample_weight)
    if not model.converged_:
        raise ConvergenceError(
            f"the model had not converged after {model.n_iter_:,} passes: fit again with a larger "
            "max_iter."
        )
    if correction == "bch" and np.linalg.svd(known.table, compute_uv=False).min() < ALIKE:
        raise DataError(
            "the classes cannot be told apart well enough to correct for it: of one class nobody, "
            "or hardly anybody, is assigned rightly. Use fewer classes, or correction='ml'."
        )
    given = outcome if covariates is None else covariates
    frame = _beside(given, X, len(known.assigned))
    _check_names(frame, model, what="outcome" if covariates is None else "covariate")
    used = frame.notna().all(axis=1).to_numpy() & (known.weights > 0)
    if not used.any():
        raise DataError("no customer has a value in every column: there is nothing to estimate.")
    notes = _notes(model, known, correction, int((~used).sum()))
    own = replace(known, assigned=known.assigned[used], weights=known.weights[used])
    with threadpool_limits(limits=1, user_api="blas"):
        if covariates is None:
            found = _outcome(frame.iloc[used, 0], own, correction, level)
        else:
            found = _covariates(frame[used], own, correction, level)
    if correction == "ml" and found["kind"] == "mean":
        notes.append("the outcome is taken as normal within every class; 'bch' assumes nothing.")
    if found["kind"] == "share" and not found["estimates"]["estimate"].between(0, 1).all():
        notes.append("a share outside 0 to 1: these classes overlap too much for their number.")
    return ThreeStep(**found, correction=correction, classification=known, notes=tuple(notes))


def _beside(given: Any, X: Any, n: int) -> pd.DataFrame:
    """Return an outcome or covariates as a frame in the order of the customers."""
    if isinstance(given, pd.Series):
        given = given.to_frame("outcome" if given.name is None else given.name)
    if isinstance(given, pd.DataFrame):
        frame = given
        if isinstance(X, pd.DataFrame) and not frame.index.equals(X.index):
            if not (frame.index.is_unique and X.index.isin(frame.index).all()):
                raise DataError(
                    "the customers of X are not all in the index of the outcome or covariates, or "
                    "are there twice. Give both the same index."
                )
            frame = frame.loc[X.index]
    else:
        values = np.asarray(given)
        if values.ndim == 1:
            frame = pd.DataFrame({"outcome": values}).infer_objects()
        elif values.ndim == 2:
            frame = pd.DataFrame(values, columns=[f"z{j}" for j in range(values.shape[1])])
            frame = frame.infer_objects()
        else:
            raise DataError(f"a column per variable is needed, not {values.ndim} dimensions.")
    if len(frame) != n:
        raise DataError(f"X has {n:,} customers, but {len(frame):,} values came beside them.")
    return frame.reset_index(drop=True)


def _check_names(frame: pd.DataFrame, model: LatentClass, *, what: str) -> None:
    if what == "outcome" and frame.shape[1] != 1:
        raise DataError(f"an outcome is one column, not {frame.shape[1]}. Ask for each by itself.")
    if frame.shape[1] == 0:
        raise DataError("the covariates have no column.")
    made = [name for name in frame.columns if name in set(getattr(model, "feature_names_in_", ()))]
    if made:
        raise DataError(
            f"{made[0]!r} is one of the items that made the classes, so that they differ in it by "
            f"construction. Choose another {what}, or fit without this item."
        )


def _notes(model: LatentClass, known: Classification, correction: str, aside: int) -> list[str]:
    notes = []
    if aside:
        notes.append(
            f"{aside:,} of {len(known.assigned):,} customers have a gap here and are set aside; "
            "they count in the table of classification only."
        )
    if correction == "none":
        notes.append(
            f"not corrected: {1 - known.correct:.1%} of the customers are expected to be in the "
            "wrong class, which makes the classes look alike."
        )
    if not model.identified_:
        notes.append("the data do not determine all estimates of the model: errors are too small.")
    return notes


def _outcome(
    values: pd.Series, known: Classification, correction: str, level: float
) -> dict[str, Any]:
    """Return the fields of a result about an outcome."""
    if values.nunique() < 2:
        raise DataError(f"the outcome {values.name!r} has only one value.")
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        plain = numbers_of(values)
        centre, scale = plain.mean(), plain.std()
        standard = (plain - centre) / scale
        column = standard[:, None]
        normal = correction == "ml"
        root = normal_means(standard, known) if normal else class_means(column, known, correction)
        root = Root(centre + scale * root.values, scale**2 * root.covariance)
        return describe_outcome(root, [None], len(known.table), str(values.name), level)
    values, levels = _levels(values)
    has = np.eye(len(levels))[places(values, levels)]
    by_likelihood = correction == "ml"
    root = level_shares(has, known) if by_likelihood else class_means(has, known, correction)
    return describe_outcome(root, levels, len(known.table), str(values.name), level)


def _levels(values: pd.Series) -> tuple[pd.Series, list[Any]]:
    """Return values whose levels can be found among those returned beside them."""
    if pd.api.types.is_bool_dtype(values):
        return values.astype(object), [False, True]
    ordered = isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered
    occurring = set(values)
    return values, [x for x in (in_order if ordered else without_order)(values) if x in occurring]


def _covariates(
    frame: pd.DataFrame, known: Classification, correction: str, level: float
) -> dict[str, Any]:
    """Return the fields of a result about covariates."""
    columns: dict[str, Matrix] = {}
    variables = []
    for name, values in frame.items():
        if pd.api.types.is_numeric_dtype(values):
            columns[str(name)] = numbers_of(values)
            variables.append(str(name))
            continue
        values, levels = _levels(values)
        for place, one in enumerate(levels[1:], start=1):
            columns[f"{name}={one}"] = (places(values, levels) == place).astype(float)
            variables.append(str(name))
    design = np.column_stack(list(columns.values())) if columns else np.empty((len(frame), 0))
    constant = [name for name, column in columns.items() if np.ptp(column) == 0]
    if constant or not columns:
        raise DataError(f"the covariate {(constant or list(frame))[0]!r} has only one value.")
    centre, scale = design.mean(axis=0), design.std(axis=0)
    standard = np.column_stack([np.ones(len(design)), (design - centre) / scale])
    if np.linalg.matrix_rank(standard) < standard.shape[1]:
        raise DataError("the covariates are linear combinations of each other. Leave one out.")
    root = multinomial_logit(standard, known, correction)
    back = np.diag([1.0, *(1 / scale)])
    back[0, 1:] = -centre / scale
    every = np.kron(np.eye(len(known.table) - 1), back)
    root = Root(every @ root.values, every @ root.covariance @ every.T)
    return describe_covariates(root, ["(intercept)", *columns], ["", *variables], level)
