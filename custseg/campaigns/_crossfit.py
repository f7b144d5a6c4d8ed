"""Models that never predict a customer from whose outcome they learned."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from custseg.campaigns._trial import Codes, Mask, Matrix, Trial
from custseg.errors import DataError, ParameterError, check_number, check_option

LEARNERS = ("t", "x", "dr")
_MANY = 100_000
_PENALTIES = np.logspace(-5, 2, 29)  # times the number of customers


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
        regression with a penalty chosen by generalised cross-validation. The first may be a
        classifier where the outcome is 0 or 1; the T-learner has no use for the second.
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


def few_threads(n: int) -> threadpool_limits:
    """Let models of up to 100,000 customers use one thread.

    Many small models wait for each other's threads longer than they work, by far so where the
    cores have other work. Linear algebra always has one, for sums in another order differ.
    """
    return threadpool_limits({"blas": 1} if n > _MANY else {"blas": 1, "openmp": 1})


def draw_folds(trial: Trial, learner: Learner) -> Codes:
    """Return the fold of each customer, arms in equal parts.

    Raises
    ------
    DataError
        If an arm has too few customers.
    ParameterError
        If the learner's model of outcomes is a classifier, and an outcome neither 0 nor 1.
    """
    if learner.outcome_model is not None and _gives_probabilities(learner.outcome_model):
        other = trial.outcome[~np.isin(trial.outcome, (0, 1))]
        if len(other):
            raise ParameterError(
                f"outcome_model is a classifier, but outcomes are not only 0 and 1, such as "
                f"{other[0]:g}. Name a regressor."
            )
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
    n_folds = int(fold.max()) + 1
    predicted = np.empty((n_folds, len(fold), len(trial.arms)))
    for k in range(n_folds):
        for j in range(k + 1):
            held = (fold == j) | (fold == k)
            found = predict_held(trial, ~held, held, learner)
            place = fold[held]
            predicted[k, fold == j] = found[place == j]
            predicted[j, fold == k] = found[place == k]
    return predicted


def predict_held(trial: Trial, learn: Mask, held: Mask, learner: Learner) -> Matrix:
    """Return expected outcomes by arm, (held, A), learned from other customers."""
    found = []
    for a in range(len(trial.arms)):
        rows = learn & (trial.arm == a)
        fitted = _fit(learner.outcome_model, trial.features[rows], trial.outcome[rows])
        found.append(_predict(fitted, trial.features[held]))
    return np.column_stack(found)


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
    """Return each arm's predicted effect on each customer, (K, n, A - 1), learned on other folds.

    Those at position j were learned without fold j too: at the customer's own fold they are what is
    to be used, at the others they show how much fold j has to say.
    """
    n_folds = len(predicted)
    uplift = np.empty((n_folds, len(fold), len(trial.arms) - 1))
    for k in range(n_folds):
        held = fold == k
        for j in range(n_folds):
            known = np.where(held[:, None], predicted[j], predicted[k])
            uplift[j, held] = predict_uplift(trial, ~held & (fold != j), held, known, learner)
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


def check_learner(learner: Any) -> Learner:
    """Return the learner, the default one for ``None``.

    Raises
    ------
    ParameterError
        If it is none.
    """
    if learner is not None and not isinstance(learner, Learner):
        raise ParameterError(
            f"learner is {learner!r}, but must be a Learner, such as Learner(kind='x')."
        )
    return Learner() if learner is None else learner


def _check_model(model: Any, name: str) -> None:
    if model is None:
        return
    lacks = [verb for verb in ("fit", "predict", "get_params") if not hasattr(model, verb)]
    if isinstance(model, type) or lacks or not hasattr(model, "__sklearn_tags__"):
        without = f", which has no {lacks[0]}" if lacks and not isinstance(model, str) else ""
        raise ParameterError(
            f"{name} is {model!r}{without}, but must be a scikit-learn estimator, such as "
            "HistGradientBoostingRegressor()."
        )
    from sklearn.base import is_classifier, is_regressor

    if not (is_classifier(model) or is_regressor(model)):
        raise ParameterError(f"{name} is {model!r}, which predicts no outcomes: name a regressor.")
    if not is_classifier(model):
        return
    if name == "effect_model":
        raise ParameterError(f"{name} is a classifier, but effects are numbers: name a regressor.")
    if not hasattr(model, "predict_proba"):
        raise ParameterError(
            f"{name} is {model!r}, a classifier without predict_proba, but means are predicted: "
            "name one that gives probabilities, such as LogisticRegression()."
        )


class _Line(NamedTuple):
    """A fitted linear model."""

    centre: Matrix
    slope: Matrix
    mean: float

    def predict(self, X: Matrix) -> Matrix:
        return np.asarray(self.mean + (X - self.centre) @ self.slope)


def fit_ridge(X: Matrix, y: Matrix) -> _Line:
    """Return ridge regression on standardised columns, its penalty by generalised cross-validation.

    References
    ----------
    Golub, G. H., Heath, M., & Wahba, G. (1979). Generalized cross-validation as a method for
    choosing a good ridge parameter. Technometrics 21, 215-223.
    """
    n, centre, mean = len(y), X.mean(axis=0), float(y.mean())
    spread = X.std(axis=0)
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    Z, rest = (X - centre) * scale, y - mean
    size, axes = np.linalg.eigh(Z.T @ Z)
    size, along = np.maximum(size, 0)[:, None], (axes.T @ (Z.T @ rest))[:, None]
    weight = 1 / (size + n * _PENALTIES)
    left = rest @ rest - (along**2 * weight * (2 - size * weight)).sum(axis=0)
    free = n - 1 - (size * weight).sum(axis=0)
    best = int(np.argmin(left / np.maximum(free, 1) ** 2))
    return _Line(centre, scale * (axes @ (along * weight)[:, best]), mean)


def _fit(model: Any, X: Matrix, y: Matrix) -> Any:
    """Return a fitted copy of `model`, the mean where there is nothing to learn from."""
    if model is None or X.shape[1] == 0 or np.ptp(y) == 0:
        return fit_ridge(X, y)
    from sklearn.base import clone

    return clone(model).fit(X, y)


def _predict(fitted: Any, X: Matrix) -> Matrix:
    """Return predicted means, of a classifier the probabilities of 1."""
    if not isinstance(fitted, _Line) and _gives_probabilities(fitted):
        return np.asarray(fitted.predict_proba(X)[:, 1])
    return np.asarray(fitted.predict(X), dtype=float)


def _gives_probabilities(model: Any) -> bool:
    from sklearn.base import is_classifier

    return bool(is_classifier(model))
