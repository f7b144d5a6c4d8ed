"""Not randomised: weights and models that make treated and untreated customers comparable."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from custseg._labels import ALL
from custseg.campaigns._crossfit import fit_ridge
from custseg.campaigns._observed import Sample, read_sample
from custseg.errors import DataError, ParameterError, check_number, check_option
from custseg.results import Result, format_number
from custseg.stats import effective_sample_size, holm

_UNEVEN = 0.1  # standardised difference that is called imbalance
_HIDDEN = (
    "Observational: nobody was assigned at random. What the covariates do not tell, such as why a "
    "customer was chosen, may explain all of the effect."
)
METHODS = ("raw", "ipw", "doubly_robust")


@dataclass(frozen=True, repr=False, eq=False)
class ObservedEffects(Result):
    """What treatment seems to have done where customers were not assigned at random.

    Attributes
    ----------
    table
        The table of `to_frame`.
    estimand
        ``"all"`` or ``"treated"``: whose average effect.
    balance
        One row per column made of the covariates: `covariate`, `raw`, `weighted` (difference of
        means, treated minus untreated, in standard deviations).
    overlap
        One row per group: `group`, `n`, `n_effective` (Kish's size of the weights), `largest_share`
        (of one customer in all weights), `lowest`, `highest` propensity.
    propensity
        One row per customer, trimmed ones too: the customer id, `treated`, `propensity`, `trimmed`.
    trim
        Propensities outside these two are set aside.
    account
        `rows_in` = `rows_used` + `no_treatment` + `no_outcome` + `trimmed`.
    notes
        Caveats, the most serious first.
    """

    table: pd.DataFrame
    estimand: str
    balance: pd.DataFrame
    overlap: pd.DataFrame
    propensity: pd.DataFrame
    trim: tuple[float, float]
    account: pd.Series
    notes: tuple[str, ...]
    _picture: ClassVar[str] = "observational.overlap"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment and method.

        Returns
        -------
        pandas.DataFrame
            `segment` (``"(all)"`` first), `method` (``"raw"``: the difference of means as it is;
            ``"ipw"``; ``"doubly_robust"``), `n_control`, `n_treatment`, `control`, `treatment`
            (means), `effect`, `se`, `ci_low`, `ci_high`, `p_value`, `p_holm` (families: all
            segments of a method).
        """
        return self.table.copy()

    def summary(self) -> str:
        """Return the doubly robust effect beside the raw difference."""
        rows = self.table[self.table["segment"] == ALL].set_index("method")
        raw, best = rows.loc["raw"], rows.loc["doubly_robust"]
        whose = "all customers" if self.estimand == "all" else "those treated"
        return (
            f"Observational estimate for {whose}: {format_number(best['effect'])} "
            f"({format_number(best['ci_low'])} to {format_number(best['ci_high'])}), doubly "
            f"robust; the raw difference is {format_number(raw['effect'])}. It holds only if the "
            "covariates tell all that decided both treatment and outcome."
        )


class _Nuisance(NamedTuple):
    """Cross-fitted: the chance of treatment and the outcome without and with it."""

    e: np.ndarray
    m0: np.ndarray
    m1: np.ndarray


def observational_effect(
    data: Any,
    *,
    customer_id: str,
    treated: str,
    outcome: str,
    covariates: Sequence[str],
    segments: str | None = None,
    estimand: str = "all",
    trim: float = 0.02,
    propensity_model: Any = None,
    outcome_model: Any = None,
    n_folds: int = 5,
    random_state: int = 0,
) -> ObservedEffects:
    """Estimate what treatment did from customers who were not assigned at random.

    Three answers stand side by side: the raw difference; inverse-propensity weights (Hajek), which
    need a right model of who was treated; and the doubly robust estimate (augmented weights), which
    needs either that or a right model of the outcome. No customer is predicted by a model that saw
    the customer (cross-fitting). None of them helps against what the covariates do not tell.

    Parameters
    ----------
    data
        One row per customer: a pandas, Polars or PyArrow table, a DuckDB relation, a PySpark frame,
        an Ibis table, or the path of a CSV or Parquet file. The columns in use are collected.
    customer_id
        The column that identifies customers.
    treated
        The column of zeros and ones, or truth values: who was treated.
    outcome
        The column of numbers to compare.
    covariates
        Columns known before treatment that may have decided who was treated and what they do:
        numbers, truth values, dates (as days), text or categories. A missing value is a value of
        its own.
    segments
        A column with the segment of each customer.
    estimand
        ``"all"``: the average effect on everybody; ``"treated"``: on those who were treated.
    trim
        Customers whose chance of treatment is nearer to 0 or 1 than this are set aside (with
        ``"treated"``, nearer to 1); 0 keeps all.
    propensity_model, outcome_model
        A scikit-learn classifier and regressor of the encoded covariates (the outcome model may be
        a classifier where the outcome is 0 or 1); ``None`` are logistic and ridge regression
        on numbers, their ranks with bends at the quartiles, and a column per category.
    n_folds
        The number of folds, 2 to 50.
    random_state
        The seed of the folds.

    Returns
    -------
    ObservedEffects
        Effects by method, overall and by segment; balance, overlap, and an account.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If treatment is not 0/1, a customer has two rows, or too few are treated or untreated.
    ParameterError
        If a parameter is outside its bounds.

    References
    ----------
    Chernozhukov, V. et al. (2018), Econometrics Journal 21, C1-C68. Crump, R. K., Hotz, V. J.,
    Imbens, G. W. and Mitnik, O. A. (2009), Biometrika 96, 187-199. Robins, J. M., Rotnitzky, A. and
    Zhao, L. P. (1994), JASA 89, 846-866.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> loyal = rng.random(2_000)
    >>> mailed = rng.random(2_000) < 0.1 + 0.8 * loyal
    >>> spend = 20 * loyal + 1.0 * mailed + rng.normal(size=2_000)
    >>> table = pd.DataFrame({"who": range(2_000), "loyal": loyal, "mail": mailed, "spend": spend})
    >>> found = observational_effect(
    ...     table, customer_id="who", treated="mail", outcome="spend", covariates=["loyal"]
    ... )
    >>> found.to_frame().set_index("method")["effect"].round(1).to_dict()
    {'raw': 6.3, 'ipw': 1.1, 'doubly_robust': 1.0}
    """
    check_option(estimand, "estimand", ("all", "treated"))
    check_number(trim, "trim", ge=0, lt=0.5)
    check_number(n_folds, "n_folds", ge=2, le=50, integer=True)
    check_number(random_state, "random_state", ge=0, integer=True)
    if isinstance(covariates, str) or not isinstance(covariates, Collection) or not len(covariates):
        raise ParameterError(
            f"covariates is {covariates!r}, but must be a list of at least one column known before."
        )
    if {outcome, treated, customer_id} & set(covariates):
        raise ParameterError(
            "covariates must not hold the outcome or the treatment, nor what tells customers apart."
        )
    _check_models(propensity_model, outcome_model)
    names = (customer_id, treated, outcome, list(covariates), segments)
    sample, account, doubts = read_sample(data, names)
    few = min(sample.treated.sum(), (~sample.treated).sum())
    if few < 4 * n_folds:
        raise DataError(
            f"{int(sample.treated.sum()):,} customers are treated and "
            f"{int((~sample.treated).sum()):,} are not, but {n_folds} folds need {4 * n_folds} of "
            "each."
        )
    nuisance = _cross_fit(sample, propensity_model, outcome_model, n_folds, random_state)
    bounds = (trim if estimand == "all" else 0.0, 1 - trim)
    used = (nuisance.e >= bounds[0]) & (nuisance.e <= bounds[1])
    account["trimmed"] = int((~used).sum())
    account["rows_used"] = int(used.sum())
    if min((used & sample.treated).sum(), (used & ~sample.treated).sum()) < 2:
        raise DataError(
            "nobody is left to compare: treated and untreated customers have no chances of "
            "treatment in common. Their covariates decide who is treated."
        )
    rows = []
    for s, name in enumerate([ALL, *sample.segments], start=-1):
        here = used if s < 0 else used & (sample.segment == s)
        rows += _rows(sample, nuisance, here, name, estimand)
    weights = _weights(sample.treated, nuisance.e, estimand)
    balance, overlap = _balance(sample, weights, used), _overlap(sample, nuisance, weights, used)
    table = pd.DataFrame(rows)
    whole = table["segment"] == ALL
    by_method = table["p_value"].where(~whole).groupby(table["method"])
    table["p_holm"] = by_method.transform(holm).where(~whole, table["p_value"])
    propensity = pd.DataFrame(
        {
            customer_id: sample.ids,
            "treated": sample.treated,
            "propensity": nuisance.e,
            "trimmed": ~used,
        }
    )
    notes = [*_notes(account, balance, overlap, bounds), *doubts]
    return ObservedEffects(
        table, estimand, balance, overlap, propensity, bounds, account, tuple(notes)
    )


def _check_models(propensity_model: Any, outcome_model: Any) -> None:
    asked = {
        "propensity_model": (propensity_model, "predict_proba", "HistGradientBoostingClassifier()"),
        "outcome_model": (outcome_model, "predict", "HistGradientBoostingRegressor()"),
    }
    for name, (model, needs, example) in asked.items():
        if model is not None and (isinstance(model, type) or not hasattr(model, needs)):
            raise ParameterError(
                f"{name} is {model!r}, but must be a scikit-learn estimator with {needs}, such as "
                f"{example}."
            )


def _cross_fit(
    sample: Sample, propensity_model: Any, outcome_model: Any, n_folds: int, random_state: int
) -> _Nuisance:
    from sklearn.base import clone, is_classifier
    from sklearn.linear_model import LogisticRegression

    n = len(sample.y)
    chance = LogisticRegression(max_iter=2_000) if propensity_model is None else propensity_model
    shuffled = np.lexsort((np.random.default_rng(random_state).random(n), sample.treated))
    fold = np.empty(n, dtype=int)
    fold[shuffled] = np.arange(n) % n_folds
    X, found = sample.features, _Nuisance(np.empty(n), np.empty(n), np.empty(n))
    for k in range(n_folds):
        held, learn = fold == k, fold != k
        fitted = clone(chance).fit(X[learn], sample.treated[learn])
        found.e[held] = fitted.predict_proba(X[held])[:, 1]
        for group, predicted in ((sample.treated, found.m1), (~sample.treated, found.m0)):
            rows = learn & group
            if outcome_model is None:
                predicted[held] = fit_ridge(X[rows], sample.y[rows]).predict(X[held])
            else:
                model = clone(outcome_model).fit(X[rows], sample.y[rows])
                predicted[held] = (
                    model.predict_proba(X[held])[:, 1]
                    if is_classifier(model)
                    else model.predict(X[held])
                )
    return found


def _weights(treated: np.ndarray, e: np.ndarray, estimand: str) -> np.ndarray:
    with np.errstate(divide="ignore"):
        if estimand == "all":
            return np.where(treated, 1 / e, 1 / (1 - e))
        return np.where(treated, 1.0, e / (1 - e))


def _rows(
    sample: Sample, nuisance: _Nuisance, here: np.ndarray, name: str, estimand: str
) -> list[dict[str, Any]]:
    treated, y = sample.treated[here], sample.y[here]
    e, m0, m1 = (part[here] for part in nuisance)
    sizes = {"n_control": int((~treated).sum()), "n_treatment": int(treated.sum())}
    if min(sizes.values()) < 2:
        return [{"segment": name, "method": method, **sizes} for method in METHODS]
    weights = _weights(treated, e, estimand)
    answers = [
        _weighted(y, treated, np.ones(len(y))),
        _weighted(y, treated, weights),
        _augmented(y, treated, weights, m0, m1, estimand),
    ]
    rows = []
    for method, (control, treatment, influence) in zip(METHODS, answers, strict=True):
        effect, se = treatment - control, float(np.sqrt(influence @ influence))
        half = stats.norm.isf(0.025) * se
        rows.append(
            {
                "segment": name,
                "method": method,
                **sizes,
                "control": control,
                "treatment": treatment,
                "effect": effect,
                "se": se,
                "ci_low": effect - half,
                "ci_high": effect + half,
                "p_value": float(2 * stats.norm.sf(abs(effect) / se)) if se > 0 else np.nan,
            }
        )
    return rows


def _weighted(
    y: np.ndarray, treated: np.ndarray, weights: np.ndarray
) -> tuple[float, float, np.ndarray]:
    """Return weighted means and what each customer adds to their difference."""
    influence = np.zeros(len(y))
    means = []
    for group, sign in ((~treated, -1), (treated, 1)):
        w = weights[group] / weights[group].sum()
        means.append(float(w @ y[group]))
        n = group.sum()
        influence[group] = sign * w * (y[group] - means[-1]) * np.sqrt(n / (n - 1))
    return means[0], means[1], influence


def _augmented(
    y: np.ndarray,
    treated: np.ndarray,
    weights: np.ndarray,
    m0: np.ndarray,
    m1: np.ndarray,
    estimand: str,
) -> tuple[float, float, np.ndarray]:
    n = len(y)
    if estimand == "all":
        with_it = m1 + treated * weights * (y - m1)
        without = m0 + ~treated * weights * (y - m0)
        share = np.ones(n)
    else:
        share = treated / treated.mean()
        with_it = share * y
        without = share * m0 + ~treated * weights / treated.mean() * (y - m0)
    control, treatment = float(without.mean()), float(with_it.mean())
    # of those treated, the effect is a ratio: its denominator is the share of the treated
    influence = (with_it - without - share * (treatment - control)) / np.sqrt(n * (n - 1.0))
    return control, treatment, influence


def _balance(sample: Sample, weights: np.ndarray, used: np.ndarray) -> pd.DataFrame:
    x, treated = sample.columns.to_numpy()[used], sample.treated[used]
    spread = np.sqrt((x[treated].var(axis=0) + x[~treated].var(axis=0)) / 2)
    found = {}
    for name, w in (("raw", np.ones(len(x))), ("weighted", weights[used])):
        means = [np.average(x[group], axis=0, weights=w[group]) for group in (treated, ~treated)]
        found[name] = (means[0] - means[1]) / np.where(spread > 0, spread, np.nan)
    return pd.DataFrame({"covariate": sample.columns.columns.astype(str), **found})


def _overlap(
    sample: Sample, nuisance: _Nuisance, weights: np.ndarray, used: np.ndarray
) -> pd.DataFrame:
    rows = []
    for name, group in (("control", ~sample.treated), ("treatment", sample.treated)):
        w, e = weights[group & used], nuisance.e[group & used]
        rows.append(
            {
                "group": name,
                "n": len(w),
                "n_effective": effective_sample_size(w),
                "largest_share": w.max() / w.sum(),
                "lowest": e.min(),
                "highest": e.max(),
            }
        )
    return pd.DataFrame(rows)


def _notes(
    account: pd.Series, balance: pd.DataFrame, overlap: pd.DataFrame, bounds: tuple[float, float]
) -> list[str]:
    notes = [_HIDDEN]
    if account["trimmed"]:
        notes.append(
            f"Trimmed: {account['trimmed']:,} customers whose chance of treatment is outside "
            f"{bounds[0]:g} to {bounds[1]:g}. The effect is that on the others."
        )
    thin = overlap[overlap["n_effective"] < overlap["n"] / 4]
    notes += [
        f"Poor overlap: {row['n']:,} customers of {row['group']} are worth "
        f"{format_number(row['n_effective'])} after weighting. Compare fewer, or likelier, "
        "customers."
        for row in thin.to_dict("records")
    ]
    uneven = balance["covariate"][balance["weighted"].abs() > _UNEVEN].tolist()
    if uneven:
        notes.append(f"Still uneven after weighting (over {_UNEVEN} SD): {', '.join(uneven)}.")
    aside = {"no_treatment": "treatment", "no_outcome": "outcome"}
    for reason, words in aside.items():
        if account[reason]:
            notes.append(f"{account[reason]:,} rows without {words} are set aside.")
    return notes
