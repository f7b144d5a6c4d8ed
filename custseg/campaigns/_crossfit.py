"""Customers of a randomised campaign, and models that never predict who they learned from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from custseg._engine import collect, to_lazy
from custseg.campaigns._cells import name_labels
from custseg.errors import DataError, ParameterError, check_columns, check_number, check_option

Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]
Mask = NDArray[np.bool_]

NO_SEGMENT = "(no segment)"
LEARNERS = ("t", "x", "dr")
_WHERE = "the campaign's table"
_RARE = 0.01


@dataclass(frozen=True)
class Trial:
    """A campaign, one row per customer in the order of ids; arm 0 is control.

    `propensity` (n, A) is the chance of each arm, `features` (n, p) what models may use, `rows` the
    table itself, `account` where the other rows of the table are.
    """

    rows: pd.DataFrame
    outcome: Matrix
    arm: Codes
    arms: list[Any]
    propensity: Matrix
    stratum: Codes
    features: Matrix
    segments: pd.Series | None
    account: pd.Series

    @property
    def received(self) -> Mask:
        """Whether each customer was in each arm, (n, A)."""
        return np.asarray(self.arm[:, None] == np.arange(len(self.arms)))


def read_trial(
    data: Any,
    *,
    outcome: str,
    arm: str,
    control: Any,
    customer_id: str,
    features: Sequence[str],
    segments: str | pd.Series | None = None,
    strata: Sequence[str] | Mapping[Any, str] = (),
    more: Sequence[str] = (),
) -> Trial:
    """Return the customers with an arm and an outcome, and an account of the others.

    Parameters
    ----------
    data
        Any table, one row per customer.
    outcome, arm, control, customer_id
        Columns, and the arm that the others are compared with.
    features
        Columns known before the campaign.
    segments
        A column, or labels indexed by customer id; those without are a group of their own.
    strata
        Columns in whose combinations arms were drawn, the shares seen there being the chances of
        arms; or arm to the column with each customer's chance of it.
    more
        Further columns to keep.

    Raises
    ------
    ColumnError, ParameterError, DataError
        If columns, arms or values do not allow the question.
    """
    lazy = to_lazy(data)
    chances = dict(strata) if isinstance(strata, Mapping) else {}
    drawn_in = [] if isinstance(strata, Mapping) else strata
    labels = [segments] if isinstance(segments, str) else []
    for name, columns in (("features", features), ("strata", drawn_in)):
        if isinstance(columns, str):
            raise ParameterError(f"{name} is {columns!r}, but must be a list of columns.")
    if {outcome, arm} & {*features, *labels}:
        raise ParameterError(
            "features and segments must not name the outcome or the arm: they are known before "
            "the campaign."
        )
    needed = [customer_id, outcome, arm, *features, *labels, *drawn_in, *chances.values(), *more]
    check_columns(lazy.collect_schema().names(), needed, where=_WHERE)
    rows = collect(lazy.select(dict.fromkeys(needed)))
    repeated = int(rows[customer_id].duplicated().sum())
    if repeated or rows[customer_id].isna().any():
        raise DataError(
            f"column {customer_id!r} repeats {repeated:,} customers and lacks "
            f"{int(rows[customer_id].isna().sum()):,} ids. Keep one row per customer."
        )
    no_arm = rows[arm].isna()
    no_outcome = ~no_arm & rows[outcome].isna()
    account = pd.Series(
        {
            "rows_in": len(rows),
            "no_arm": int(no_arm.sum()),
            "no_outcome": int(no_outcome.sum()),
            "rows_used": int((~no_arm & ~no_outcome).sum()),
        },
        name="rows",
    )
    rows = rows[~no_arm & ~no_outcome].set_index(customer_id).sort_index()
    rows.index.name = "customer_id"
    arms = _arms(rows[arm], arm, control)
    stratum = _strata(rows, drawn_in)
    codes = pd.Index(arms).get_indexer(pd.Index(rows[arm]))
    labelled = None if segments is None else _segments(rows, segments)
    blocks = [_encoded(rows[name]) for name in dict.fromkeys(features)]
    if labelled is not None:
        blocks.append(_levels(labelled))
    return Trial(
        rows,
        _numbers(rows[outcome]),
        codes,
        arms,
        _propensity(rows, codes, arms, stratum, chances),
        stratum,
        np.column_stack(blocks) if blocks else np.zeros((len(rows), 0)),
        labelled,
        account,
    )


@dataclass(frozen=True, kw_only=True)
class Learner:
    """How outcomes and effects are learned: on some folds, to be used on another.

    Parameters
    ----------
    kind
        ``"t"``: the difference of a model per arm; ``"x"``: models of effects that the other arm's
        model imputes; ``"dr"``: a model of the difference of doubly robust scores.
    outcome_model, effect_model
        Scikit-learn estimators of the outcome in an arm and of the effect; ``None`` is ridge
        regression with a penalty chosen by leaving one out. The first may be a classifier where the
        outcome is 0 or 1; the T-learner has no use for the second.
    n_folds
        The number of folds, 3 to 50.
    random_state
        The seed of the folds; models have their own.

    Raises
    ------
    ParameterError
        If an option, a number or a model is not one.

    References
    ----------
    Künzel, S. R., et al. (2019). Metalearners for estimating heterogeneous treatment effects. PNAS
    116, 4156-4165. Kennedy, E. H. (2023). Towards optimal doubly robust estimation of heterogeneous
    causal effects. Electronic Journal of Statistics 17, 3008-3049.

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> learner = Learner(kind="x", outcome_model=HistGradientBoostingRegressor(max_iter=50))
    >>> learner.kind, learner.n_folds
    ('x', 5)
    """

    kind: str = "dr"
    outcome_model: Any = None
    effect_model: Any = None
    n_folds: int = 5
    random_state: int = 0

    def __post_init__(self) -> None:
        check_option(self.kind, "kind", LEARNERS)
        check_number(self.n_folds, "n_folds", ge=3, le=50, integer=True)
        check_number(self.random_state, "random_state", ge=0, integer=True)
        for name in ("outcome_model", "effect_model"):
            _check_model(getattr(self, name), name)


def draw_folds(trial: Trial, learner: Learner) -> Codes:
    """Return the fold of each customer, arms in equal parts.

    Raises
    ------
    DataError
        If an arm has too few customers.
    """
    n_folds, random_state = learner.n_folds, learner.random_state
    counts = np.bincount(trial.arm, minlength=len(trial.arms))
    if counts.min() < 4 * n_folds:
        raise DataError(
            f"arm {trial.arms[counts.argmin()]!r} has {counts.min():,} customers with an outcome, "
            f"but {n_folds} folds need {4 * n_folds}. Leave the arm out, or take fewer folds."
        )
    shuffled = np.lexsort((np.random.default_rng(random_state).random(len(trial.arm)), trial.arm))
    fold = np.empty(len(trial.arm), dtype=np.intp)
    fold[shuffled] = np.arange(len(trial.arm)) % n_folds
    return fold


def predict_outcomes(trial: Trial, fold: Codes, learner: Learner) -> Matrix:
    """Return expected outcomes by arm, (K, n, A), each without the customer's own outcome.

    Those at position k were made without any outcome of fold k: for a customer in fold j by models
    that left out both folds. What is learned from them may be judged on fold k.
    """
    n_folds, n_arms = int(fold.max()) + 1, len(trial.arms)
    predicted = np.empty((n_folds, len(fold), n_arms))
    for k in range(n_folds):
        for j in range(k + 1):
            left_out = (fold == j) | (fold == k)
            for a in range(n_arms):
                learn = ~left_out & (trial.arm == a)
                fitted = _fit(learner.outcome_model, trial.features[learn], trial.outcome[learn])
                found = _predict(fitted, trial.features[left_out])
                place = fold[left_out]
                predicted[k, fold == j, a] = found[place == j]
                predicted[j, fold == k, a] = found[place == k]
    return predicted


def doubly_robust(trial: Trial, predicted: Matrix) -> Matrix:
    """Return the doubly robust score of each customer and arm, shaped as `predicted`.

    Its mean estimates what customers would do in the arm: the prediction, corrected by how far
    those who were in the arm are from theirs, divided by their chance to be in it.

    References
    ----------
    Robins, J. M., Rotnitzky, A., & Zhao, L. P. (1994). Estimation of regression coefficients when
    some regressors are not always observed. JASA 89, 846-866.
    """
    weight = trial.received / trial.propensity
    return np.asarray(predicted + weight * (trial.outcome[:, None] - predicted))


def predict_uplift(
    trial: Trial, learn: Mask, held: Mask, predicted: Matrix, learner: Learner
) -> Matrix:
    """Return each arm's predicted effect on customers, (held, A - 1), learned from others.

    Parameters
    ----------
    trial
        The customers.
    learn, held
        From whom effects are learned, and for whom they are predicted, (n,).
    predicted
        Expected outcomes, (n, A), made without the outcomes of those held.
    learner
        How.
    """
    if trial.features.shape[1] == 0:
        raise ParameterError("features names no column, but uplift is predicted from features.")
    if learner.kind == "t":
        return np.asarray(predicted[held, 1:] - predicted[held, :1])
    by_arm = _by_scores if learner.kind == "dr" else _by_crossed_models
    found = [by_arm(trial, learn, held, predicted, a, learner) for a in range(1, len(trial.arms))]
    return np.column_stack(found)


def predict_all_uplift(trial: Trial, fold: Codes, predicted: Matrix, learner: Learner) -> Matrix:
    """Return each arm's predicted effect on each customer, (n, A - 1), learned on other folds."""
    uplift = np.empty((len(fold), len(trial.arms) - 1))
    for k in range(len(predicted)):
        held = fold == k
        uplift[held] = predict_uplift(trial, ~held, held, predicted[k], learner)
    return uplift


def _by_crossed_models(
    trial: Trial, learn: Mask, held: Mask, predicted: Matrix, a: int, learner: Learner
) -> Matrix:
    """Impute effects with the other arm's model, learn one model per arm, and weigh the two."""
    X, found = trial.features, []
    for own, sign in ((a, 1), (0, -1)):
        rows = learn & (trial.arm == own)
        imputed = sign * (trial.outcome[rows] - predicted[rows, a - own])
        found.append(_predict(_fit(learner.effect_model, X[rows], imputed), X[held]))
    chance = trial.propensity[held]
    weight = chance[:, a] / (chance[:, a] + chance[:, 0])
    return np.asarray(weight * found[1] + (1 - weight) * found[0])


def _by_scores(
    trial: Trial, learn: Mask, held: Mask, predicted: Matrix, a: int, learner: Learner
) -> Matrix:
    scores = doubly_robust(trial, predicted)[learn]
    fitted = _fit(learner.effect_model, trial.features[learn], scores[:, a] - scores[:, 0])
    return _predict(fitted, trial.features[held])


def _check_model(model: Any, name: str) -> None:
    if model is None:
        return
    if isinstance(model, type) or not hasattr(model, "fit") or not hasattr(model, "get_params"):
        raise ParameterError(
            f"{name} is {model!r}, but must be a scikit-learn estimator, such as "
            "HistGradientBoostingRegressor()."
        )
    if name == "effect_model" and _gives_probabilities(model):
        raise ParameterError(f"{name} is a classifier, but effects are numbers: name a regressor.")


def _fit(model: Any, X: Matrix, y: Matrix) -> Any:
    """Return a fitted copy of `model`, or the mean where there is nothing to learn from."""
    if X.shape[1] == 0 or np.ptp(y) == 0:
        return float(y.mean())
    from sklearn.base import clone
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if model is None:
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
    return clone(model).fit(X, y)


def _predict(fitted: Any, X: Matrix) -> Matrix:
    """Return predicted means, of a classifier the probabilities of 1."""
    if isinstance(fitted, float):
        return np.full(len(X), fitted)
    if _gives_probabilities(fitted):
        return np.asarray(fitted.predict_proba(X)[:, 1])
    return np.asarray(fitted.predict(X), dtype=float)


def _gives_probabilities(model: Any) -> bool:
    from sklearn.base import is_classifier

    return bool(is_classifier(model))


def _arms(values: pd.Series, column: str, control: Any) -> list[Any]:
    seen = sorted(values.unique().tolist(), key=str)
    check_option(control, "control", seen)
    if len(seen) < 2:
        raise DataError(f"column {column!r} holds one arm only, so that there is no comparison.")
    return [control, *(name for name in seen if name != control)]


def _numbers(values: pd.Series) -> Matrix:
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        raise DataError(f"outcome {values.name!r} must hold numbers, but is {values.dtype}.")
    numbers = values.to_numpy(dtype=float)
    if not np.isfinite(numbers).all():
        raise DataError(f"outcome {values.name!r} holds infinite values. Set them right first.")
    return numbers


def _strata(rows: pd.DataFrame, strata: Sequence[str]) -> Codes:
    if not strata:
        return np.zeros(len(rows), dtype=np.intp)
    return rows.groupby(list(strata), dropna=False, observed=True).ngroup().to_numpy(np.intp)


def _segments(rows: pd.DataFrame, segments: str | pd.Series) -> pd.Series:
    if not isinstance(segments, str | pd.Series):
        raise ParameterError(
            f"segments is a {type(segments).__name__}, but must be the name of a column or a "
            "Series of labels indexed by customer id."
        )
    given = rows[segments] if isinstance(segments, str) else segments
    if given.index.has_duplicates:
        raise DataError("the index of segments repeats customers. Keep one row per customer.")
    labels = name_labels(given).reindex(rows.index).cat.remove_unused_categories()
    if labels.isna().all():
        raise DataError(
            "segments assigns no customer of the campaign. Its index must hold customer ids."
        )
    if labels.isna().any():
        labels = labels.cat.add_categories([NO_SEGMENT]).fillna(NO_SEGMENT)
    return labels.rename("segment")


def _propensity(
    rows: pd.DataFrame, arm: Codes, arms: list[Any], stratum: Codes, columns: dict[Any, str]
) -> Matrix:
    if not columns:
        counts = np.zeros((stratum.max() + 1, len(arms)))
        np.add.at(counts, (stratum, arm), 1)
        if (counts == 0).any():
            s, a = np.argwhere(counts == 0)[0]
            raise DataError(
                f"a stratum of {int(counts[s].sum()):,} customers has nobody in arm {arms[a]!r}: "
                "nothing shows what they would have done in it. Name coarser strata."
            )
        return np.asarray((counts / counts.sum(axis=1, keepdims=True))[stratum])
    if set(columns) != set(arms):
        raise ParameterError(f"strata must name a column of chances for each arm: {arms}.")
    chances = rows[[columns[name] for name in arms]].to_numpy(dtype=float)
    if not ((chances > 0) & (chances < 1)).all() or not np.allclose(chances.sum(axis=1), 1):
        raise DataError(
            "the columns of chances must lie between 0 and 1 and add up to 1 for each "
            "customer. Customers who could not get an arm are left out of the question."
        )
    return chances


def _encoded(values: pd.Series) -> Matrix:
    """Return a feature as columns of numbers; missing ones are the median, and marked."""
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        values = pd.Series(values.cat.codes, values.index, float, name=values.name).replace(
            -1, np.nan
        )
    if pd.api.types.is_datetime64_any_dtype(values):
        raise DataError(
            f"feature {values.name!r} holds dates. Turn it into a number first, such as days "
            "before the campaign."
        )
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        return _levels(values)
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    missing = np.isnan(numbers)
    if missing.all() or np.isinf(numbers).any():
        raise DataError(f"feature {values.name!r} holds infinite values, or none at all.")
    if not missing.any():
        return numbers[:, None]
    filled = np.where(missing, np.median(numbers[~missing]), numbers)
    return np.column_stack([filled, missing])


def _levels(values: pd.Series) -> Matrix:
    """Return a column of 0 and 1 per level that is not rare."""
    text = values.astype(object).where(values.notna(), "(missing)").astype(str)
    share = text.value_counts(normalize=True)
    kept = sorted(share.index[share >= _RARE])
    return (text.to_numpy()[:, None] == np.array(kept, dtype=object)).astype(float)
