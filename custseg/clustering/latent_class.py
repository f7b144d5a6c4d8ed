"""Latent classes: groups of customers within which the answers to items are independent."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from custseg.clustering._columns import open_table
from custseg.clustering._latent_classification import Classification, classify
from custseg.clustering._latent_em import Solution, densities, posterior, solve
from custseg.clustering._latent_information import covariance, gradients, information
from custseg.clustering._latent_items import (
    Layout,
    Matrix,
    Places,
    Rows,
    distinct,
    lay_out,
    learn_levels,
    learn_scores,
    moments,
    place_cells,
    read_kinds,
    read_numbers,
)
from custseg.clustering._latent_tables import (
    BivariateResiduals,
    ClassProfiles,
    absolute_fit,
    level_table,
    number_table,
    pair_residuals,
    profile_notes,
)
from custseg.clustering._ties import first_likeliest
from custseg.clustering._weights import read_weights
from custseg.clustering.algorithms import as_seed
from custseg.errors import ParameterError, check_number


class LatentClass(ClusterMixin, BaseEstimator):
    """Divide customers into latent classes: within a class, answers say nothing of each other.

    The likelihood of what was observed is maximised over the shares of the classes and, in every
    class, the distribution of every item:

    - binary, nominal: a probability per level, free in every class;
    - ordinal: adjacent-category logits. The log odds of two levels are the same in all classes but
      for a slope of the class times the difference of the scores of the levels (a numeric level is
      its own score, an ordered category has its position). With two levels, or one class, this is
      no restriction;
    - gaussian: a mean and a variance, at least .0001 of the variance over all customers.

    A missing answer is left out of the likelihood (missing at random); a customer without any
    answer has the shares of the classes as probabilities, and counts nowhere else.

    Parameters
    ----------
    n_classes
        The number of classes.
    items
        Column name or position to ``"binary"``, ``"nominal"``, ``"ordinal"`` or ``"gaussian"``. A
        column that is not named is what it looks like: an ordered categorical is ordinal; text and
        other categoricals are nominal; booleans, and numbers of at most two distinct values, are
        binary; other numbers are gaussian.
    n_init
        The number of random starts; the best counts, and `log_likelihoods_` shows all.
    max_iter
        The most passes over the customers from one start, which come in pairs.
    tol
        A start ends when the gain in log likelihood still to come, as estimated from how fast the
        steps shrink, is below this.
    random_state
        A seed; the same seed gives the same classes for any order of rows and number of threads.

    Attributes
    ----------
    class_weights_, class_weights_se_ : numpy.ndarray
        The share of each class, in decreasing order, and its standard error.
    item_probabilities_ : pandas.DataFrame
        ``item``, ``kind``, ``level``, ``class``, ``probability`` with ``se`` and the 95% interval
        ``ci_low``, ``ci_high``.
    item_means_ : pandas.DataFrame
        Of the gaussian items, in their own units: ``item``, ``class``, ``mean`` with ``se`` and the
        95% interval, ``sd`` with ``sd_se``, ``at_floor``.
    labels_ : numpy.ndarray
        The likeliest class of each customer, the first of equally likely ones.
    log_likelihood_ : float
        Of the best start, natural logarithm.
    log_likelihoods_ : numpy.ndarray
        Of every start (of one that did not converge, a lower bound). Where only one start reached
        the best, ask for more.
    converged_, n_iter_ : bool, int
        Whether the best start ended because of `tol`, and its passes over the customers.
    n_parameters_ : int
        The number of free parameters.
    aic_, bic_, sabic_, icl_ : float
        Smaller is better: Akaike's, Schwarz's, Sclove's sample-size adjusted criterion, and BIC
        plus twice the entropy of the memberships.
    entropy_ : float
        Relative entropy: 1 where memberships are certain, 0 where they are as good as unknown.
    df_, g2_, x2_ : float
        Degrees of freedom, likelihood ratio and Pearson's statistic against the saturated table of
        all combinations of levels; NaN with a gaussian item, the statistics also with a missing
        answer. They follow a chi-squared distribution only where most combinations are frequent.
    identified_ : bool
        Whether the data determine every estimate. Where not, its standard error is NaN.
    items_, levels_ : dict
        What each column is, and the levels of those that are not gaussian.
    n_customers_ : float
        The customers with any answer, as weighted.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    References
    ----------
    Lazarsfeld, P. F. & Henry, N. W. (1968). Latent Structure Analysis. Houghton Mifflin.
    Goodman, L. A. (1974). Exploratory latent structure analysis using both identifiable and
    unidentifiable models. Biometrika 61, 215-231.
    Vermunt, J. K. & Magidson, J. (2002). Latent class cluster analysis. In Hagenaars & McCutcheon
    (eds), Applied Latent Class Analysis. Cambridge University Press.
    Varadhan, R. & Roland, C. (2008). Simple and globally convergent methods for accelerating the
    convergence of any EM algorithm. Scandinavian Journal of Statistics 35, 335-353.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fan = rng.random(300) < 0.4
    >>> answers = pd.DataFrame({
    ...     "cheap": np.where(rng.random(300) < np.where(fan, 0.9, 0.3), "yes", "no"),
    ...     "tasty": np.where(rng.random(300) < np.where(fan, 0.8, 0.2), "yes", "no"),
    ...     "visits": rng.normal(np.where(fan, 12, 4), 2),
    ... })
    >>> model = LatentClass(n_classes=2, random_state=0).fit(answers)
    >>> model.class_weights_.round(2), model.items_
    (array([0.66, 0.34]), {'cheap': 'nominal', 'tasty': 'nominal', 'visits': 'gaussian'})
    >>> model.item_means_[["item", "class", "mean", "se"]].round(1)
         item  class  mean   se
    0  visits      0   3.8  0.1
    1  visits      1  12.1  0.2
    >>> model.predict(answers.head(3)), fan[:3]
    (array([0, 1, 1]), array([False,  True,  True]))
    """

    def __init__(
        self,
        n_classes: int = 2,
        *,
        items: Mapping[Any, str] | None = None,
        n_init: int = 20,
        max_iter: int = 5_000,
        tol: float = 1e-8,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        self.n_classes = n_classes
        self.items = items
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def fit(
        self,
        X: "pd.DataFrame | ArrayLike",
        y: object = None,  # noqa: ARG002
        sample_weight: ArrayLike | None = None,
    ) -> "LatentClass":
        """Find the classes.

        Parameters
        ----------
        X
            Customers x items: numbers, booleans, text, categoricals; missing values anywhere.
        y
            Ignored; there for scikit-learn.
        sample_weight
            How many customers each row stands for.

        Returns
        -------
        LatentClass
            The fitted model itself.

        Raises
        ------
        DataError
            If the table is empty, a column has no value, an infinite one, or values that do not fit
            its kind, or a weight is negative or missing.
        ColumnError
            If `items` names no column.
        ParameterError
            If a parameter is out of bounds, or there are fewer distinct rows than classes.
        """
        self._check_parameters()
        frame = open_table(self, X, reset=True).infer_objects()
        weights = read_weights(sample_weight, len(frame))
        self.items_ = read_kinds(frame, self.items)
        self.levels_ = learn_levels(frame[weights > 0], self.items_)
        self._scores = learn_scores(frame, self.levels_)
        cells = place_cells(frame, self.levels_)
        values = read_numbers(frame, self._gaussian())
        answered = (cells < 1 + sum(map(len, self.levels_.values()))).any(axis=1)
        answered |= ~np.isnan(values).all(axis=1) & (values.shape[1] > 0)
        rows = distinct(cells, values, np.where(answered, weights, 0.0))
        self._check_enough(rows)
        means, scales = moments(rows.numbers, rows.counts)
        self._means = dict(zip(self._gaussian(), means.tolist(), strict=True))
        self._scales = dict(zip(self._gaussian(), scales.tolist(), strict=True))
        rows = rows._replace(numbers=self._standardised(rows.numbers))
        layout = self._layout()
        solution = solve(
            rows,
            layout,
            self.n_classes,
            n_init=self.n_init,
            max_iter=self.max_iter,
            tol=self.tol,
            seed=as_seed(self.random_state),
        )
        self._learn(rows, layout, solution)
        self.labels_ = first_likeliest(self._posterior(cells, values))
        return self

    def _check_parameters(self) -> None:
        check_number(self.n_classes, "n_classes", ge=1, integer=True)
        check_number(self.n_init, "n_init", ge=1, integer=True)
        check_number(self.max_iter, "max_iter", ge=1, integer=True)
        check_number(self.tol, "tol", ge=0)

    def _check_enough(self, rows: Rows) -> None:
        if self.n_classes > len(rows.counts):
            samples = "1 sample" if len(rows.counts) == 1 else f"{len(rows.counts):,} samples"
            raise ParameterError(
                f"n_classes is {self.n_classes}, but the customers gave only {samples} of distinct "
                "answers. Ask for fewer classes, or add items."
            )

    def _gaussian(self) -> list[Any]:
        return [name for name, kind in self.items_.items() if kind == "gaussian"]

    def _layout(self) -> Layout:
        return lay_out(self.items_, self.levels_, self._scores, self._scales)

    def _standardised(self, values: Matrix) -> Matrix:
        means, scales = (np.array(list(d.values())) for d in (self._means, self._scales))
        varies = scales > 0
        if not varies.any():
            return np.empty((len(values), 0))
        return np.ascontiguousarray((values[:, varies] - means[varies]) / scales[varies])

    def _learn(self, rows: Rows, layout: Layout, solution: Solution) -> None:
        """Keep the solution, its standard errors and how well it fits."""
        k, n = self.n_classes, float(rows.counts.sum())
        self._theta = solution.theta
        self.class_weights_ = solution.theta[0, :k].copy()
        scales = np.array([self._scales[name] for name in layout.numbers])
        shift = float(rows.counts @ (~np.isnan(rows.numbers) @ np.log(scales)))
        self.log_likelihood_ = solution.log_likelihood - shift
        self.log_likelihoods_ = solution.log_likelihoods - shift
        self.converged_ = bool(solution.settled[solution.best])
        self.n_iter_ = solution.n_iter
        self.n_customers_ = n
        self.n_parameters_ = layout.n_parameters(k)
        known = information(rows, layout, solution.theta, solution.posterior)
        moved = gradients(layout, solution.theta)
        self._covariance, self._errors = covariance(known, moved)
        self.class_weights_se_ = self._errors[0].copy()
        self.identified_ = not np.isnan(self._errors).any()
        shares = solution.posterior
        certain = np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1.0)), 0.0)
        unsure = -float(rows.counts @ certain.sum(axis=1))
        self.aic_ = -2 * self.log_likelihood_ + 2 * self.n_parameters_
        self.bic_ = -2 * self.log_likelihood_ + self.n_parameters_ * float(np.log(n))
        self.sabic_ = -2 * self.log_likelihood_ + self.n_parameters_ * float(np.log((n + 2) / 24))
        self.icl_ = self.bic_ + 2 * unsure
        self.entropy_ = 1 - unsure / (n * float(np.log(k))) if k > 1 else 1.0
        self.df_, self.g2_, self.x2_ = absolute_fit(
            rows, layout, solution.theta, numbers=bool(self._gaussian())
        )

    @property
    def item_probabilities_(self) -> pd.DataFrame:
        """The probability of every level in every class."""
        check_is_fitted(self)
        return level_table(self.items_, self._layout(), self._theta, self._errors)

    @property
    def item_means_(self) -> pd.DataFrame:
        """Mean and standard deviation of every gaussian item in every class."""
        check_is_fitted(self)
        return number_table(self._layout(), self._theta, self._errors, self._means, self._scales)

    def predict_proba(self, X: "pd.DataFrame | ArrayLike") -> NDArray[np.float64]:
        """Return the probability of every class for every customer.

        Parameters
        ----------
        X
            Customers x items, as in `fit`. A level that was not there in `fit` says nothing, like a
            missing answer.

        Returns
        -------
        numpy.ndarray
            Customers x classes; rows sum to 1.
        """
        rows = self._rows(X)
        return self._posterior(rows.cells, rows.numbers)

    def predict(self, X: "pd.DataFrame | ArrayLike") -> NDArray[np.integer]:
        """Return the likeliest class of every customer, the first of equally likely ones.

        Parameters
        ----------
        X
            Customers x items, as in `predict_proba`.
        """
        return first_likeliest(self.predict_proba(X))

    def score_samples(
        self, X: "pd.DataFrame | ArrayLike", *, pseudo_count: float = 0.0
    ) -> NDArray[np.float64]:
        """Return the log likelihood of every customer's answers; over `fit`'s it adds up to that.

        Parameters
        ----------
        X
            Customers x items, as in `predict_proba`. The more answers are missing, the likelier are
            those that are left.
        pseudo_count
            So many customers, who answer as all do together, are added to every class: with 1, an
            answer that nobody in a class gave is unlikely there instead of impossible.
        """
        check_number(pseudo_count, "pseudo_count", ge=0)
        rows, layout, theta = self._rows(X), self._layout(), self._theta.copy()
        members = self.n_customers_ * self.class_weights_
        for low, high, _ in layout.items.tolist():
            shares = theta[low:high, : len(members)]
            extra = pseudo_count * (shares @ self.class_weights_)[:, None]
            theta[low:high, : len(members)] = (members * shares + extra) / (members + pseudo_count)
        numbers = self._standardised(rows.numbers)
        scales = np.array([self._scales[name] for name in layout.numbers])
        _, joint = densities(Rows(rows.cells, numbers, rows.counts), layout, theta)
        return np.asarray(logsumexp(joint, axis=1) - ~np.isnan(numbers) @ np.log(scales))

    def classification(
        self, X: "pd.DataFrame | ArrayLike", *, sample_weight: ArrayLike | None = None
    ) -> Classification:
        """Return how many customers of each class are assigned to which.

        Parameters
        ----------
        X
            Customers x items, as in `predict_proba`.
        sample_weight
            How many customers each row stands for.

        Returns
        -------
        Classification
            The table, and what `custseg.clustering.three_step` needs to correct for it.
        """
        rows = self._rows(X, sample_weight)
        shares = self._posterior(rows.cells, rows.numbers)
        rows = rows._replace(numbers=self._standardised(rows.numbers))
        return classify(rows, self._layout(), self._theta, shares, self._covariance)

    def bivariate_residuals(
        self, X: "pd.DataFrame | ArrayLike", *, sample_weight: ArrayLike | None = None
    ) -> BivariateResiduals:
        """Return how far pairs of items depend on each other beyond the classes.

        Parameters
        ----------
        X
            The customers of the fit.
        sample_weight
            Their weights, as in `fit`.

        Returns
        -------
        BivariateResiduals
            One row per pair of items, the most dependent first.

        References
        ----------
        Vermunt, J. K. & Magidson, J. (2016). Technical Guide for Latent GOLD 5.1, section 8.3.
        """
        rows = self._rows(X, sample_weight)
        rows = rows._replace(numbers=self._standardised(rows.numbers))
        return pair_residuals(rows, self._layout(), self._theta)

    def profile(self) -> ClassProfiles:
        """Return what sets the classes apart: weights, probabilities and means, with intervals."""
        check_is_fitted(self)
        return ClassProfiles(
            self.class_weights_,
            self.item_probabilities_,
            self.item_means_,
            self._summary(),
            profile_notes(self),
        )

    def _summary(self) -> str:
        best = (self.log_likelihoods_ > self.log_likelihood_ - 0.01).sum()
        return (
            f"{self.n_classes} classes of {self.n_customers_:,.0f} customers by "
            f"{len(self.items_)} items: log likelihood {self.log_likelihood_:,.2f}, "
            f"{self.n_parameters_} parameters, BIC {self.bic_:,.1f}, relative entropy "
            f"{self.entropy_:.2f}; reached from {best} of {len(self.log_likelihoods_)} starts."
        )

    def _rows(self, X: "pd.DataFrame | ArrayLike", sample_weight: ArrayLike | None = None) -> Rows:
        check_is_fitted(self)
        frame = open_table(self, X, reset=False).infer_objects()
        frame.columns = pd.Index(list(self.items_))
        values = read_numbers(frame, self._gaussian())
        return Rows(
            place_cells(frame, self.levels_), values, read_weights(sample_weight, len(frame))
        )

    def _posterior(self, cells: Places, values: Matrix) -> Matrix:
        rows = Rows(cells, self._standardised(values), np.ones(len(cells)))
        return posterior(densities(rows, self._layout(), self._theta)[1])
