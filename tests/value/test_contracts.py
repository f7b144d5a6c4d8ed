"""The shifted beta-geometric model against a published case, brute force and simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from scipy.special import betaln

from custseg.errors import ConvergenceError, DataError, ParameterError
from custseg.value import ShiftedBetaGeometric
from custseg.value.contracts import _log_likelihood, _read

HIGH_END = [1000, 869, 743, 653, 593, 551, 517, 491]
REGULAR = [1000, 631, 468, 382, 326, 289, 262, 241]


@pytest.mark.parametrize(
    ("survivors", "params", "log_likelihood"),
    [(HIGH_END, (0.668, 3.806), -1611.2), (REGULAR, (0.704, 1.182), -1680.3)],
)
def test_the_published_fits_are_found(survivors, params, log_likelihood):
    """Fader & Hardie (2007), table 3: seven years of two segments."""
    model = ShiftedBetaGeometric().fit(survivors)
    assert model.params_.round(3).tolist() == list(params)
    assert model.log_likelihood_ == pytest.approx(log_likelihood, abs=0.05)


@pytest.mark.parametrize(
    ("survivors", "later"),
    [
        (HIGH_END, [0.468, 0.445, 0.427, 0.409, 0.394]),
        (REGULAR, [0.223, 0.207, 0.194, 0.183, 0.173]),
    ],
)
def test_years_that_were_not_learned_from_are_forecast(survivors, later):
    """Fader & Hardie (2007), table 1: what was left of both segments after years 8 to 12."""
    found = ShiftedBetaGeometric().fit(survivors).survival(range(8, 13))
    np.testing.assert_allclose(found, later, atol=0.017)


def test_the_likelihood_is_that_of_the_probabilities_one_by_one():
    survivors = np.array(REGULAR, dtype=float)

    def minus(logs):
        gamma, delta = np.exp(logs)
        at = np.arange(1, 8)
        ends = betaln(gamma + 1, delta + at - 1) - betaln(gamma, delta)
        stays = betaln(gamma, delta + 7) - betaln(gamma, delta)
        return -(-np.diff(survivors) @ ends + survivors[-1] * stays)

    best = optimize.minimize(minus, [0, 0], method="Nelder-Mead", options={"xatol": 1e-9})
    model = ShiftedBetaGeometric().fit(REGULAR)
    np.testing.assert_allclose(model.params_, np.exp(best.x), rtol=1e-4)
    assert model.log_likelihood_ == pytest.approx(-best.fun, abs=1e-6)


def test_slopes_and_bends_are_those_of_the_likelihood():
    lost, left = -np.diff(REGULAR), np.array([241.0])
    rows = (np.arange(1.0, 8), lost.astype(float), np.array([7.0]), left)
    at = np.array([0.9, 2.0])
    _, gradient, curvature = _log_likelihood(at, *rows)
    for i, step in enumerate(1e-5 * at):
        move = np.eye(2)[i] * step
        above, below = _log_likelihood(at + move, *rows), _log_likelihood(at - move, *rows)
        assert gradient[i] == pytest.approx((above[0] - below[0]) / (2 * step), rel=1e-6)
        np.testing.assert_allclose(curvature[i], (above[1] - below[1]) / (2 * step), rtol=1e-6)


def simulate(seed, *, n=1_000, periods=(7, 5, 2)):
    rng = np.random.default_rng(seed)
    counts = np.full((len(periods), 8), np.nan)
    for row, last in enumerate(periods):
        ends = rng.geometric(rng.beta(0.7, 2.5, n))
        counts[row, : last + 1] = [(ends > age).sum() for age in range(last + 1)]
    return pd.DataFrame(counts)


def test_planted_parameters_are_covered_with_cohorts_of_several_ages():
    inside = []
    for seed in range(80):
        model = ShiftedBetaGeometric().fit(simulate(seed))
        off = np.log(model.params_) - np.log([0.7, 2.5])
        inside.append(abs(off) < 1.96 * np.sqrt(np.diag(model.covariance_)))
    assert model.n_customers_ == 3_000
    assert (np.mean(inside, axis=0) >= stats.binom.ppf(0.001, 80, 0.95) / 80).all()


def test_cohorts_may_be_missing_in_any_way():
    table = simulate(1)
    want = ShiftedBetaGeometric().fit(table).params_
    nullable = table.round().astype("Int64")
    pd.testing.assert_series_equal(ShiftedBetaGeometric().fit(nullable).params_, want)
    pd.testing.assert_series_equal(ShiftedBetaGeometric().fit(table.iloc[::-1]).params_, want)
    one = ShiftedBetaGeometric().fit(pd.Series(REGULAR)).params_
    pd.testing.assert_series_equal(one, ShiftedBetaGeometric().fit(REGULAR).params_)


def test_survival_is_the_product_of_retention_rates():
    model = ShiftedBetaGeometric().fit(HIGH_END)
    rates = model.retention_rate(np.arange(1, 11))
    assert (rates.diff().dropna() > 0).all()
    np.testing.assert_allclose(model.survival(np.arange(1, 11)), rates.cumprod())
    assert model.survival(0).tolist() == [1.0]


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_discounted_renewals_are_the_sum_over_periods(rate):
    model = ShiftedBetaGeometric().fit(HIGH_END)
    so_far = pd.Series([0, 1, 6], index=["ann", "bob", "cid"])
    found = model.discounted_renewals(so_far, discount_rate=rate)
    assert found.index.equals(so_far.index)
    left = model.survival(np.arange(5_000)).to_numpy()
    for renewals, value in zip(so_far, found, strict=True):
        later = left[renewals + 1 :] / left[renewals]
        assert value == pytest.approx(later @ (1 + rate) ** -np.arange(len(later)), rel=1e-10)


@pytest.mark.parametrize(
    ("survivors", "words"),
    [
        ([100], "customers of a cohort at its start and after one period"),
        (["many", "few"], "must be numbers"),
        ([100, 80, 90], "must not be negative or rise, but cohort 1 does so after age 1"),
        ([100, -1], "must not be negative"),
        ([100, np.nan, 70], "a cohort has a gap"),
        ([[np.nan, 80], [90, 80]], "a cohort has a gap"),
        ([100, 100, 100], "nobody cancelled"),
    ],
)
def test_what_are_no_survivors_is_refused(survivors, words):
    with pytest.raises(DataError, match=words):
        ShiftedBetaGeometric().fit(survivors)


def test_customers_who_do_not_differ_have_no_fit():
    with pytest.raises(ConvergenceError, match="take that rate instead"):
        ShiftedBetaGeometric().fit([10_000 * 0.8**age for age in range(6)])
    with pytest.raises(ConvergenceError, match="Give more periods"):
        ShiftedBetaGeometric().fit([100, 60])


def test_wrong_questions_are_refused():
    with pytest.raises(DataError, match="not fitted yet"):
        ShiftedBetaGeometric().survival(3)
    model = ShiftedBetaGeometric().fit(REGULAR)
    with pytest.raises(DataError, match="whole numbers of 1 or more"):
        model.retention_rate([0, 1])
    with pytest.raises(DataError, match="whole numbers of 0 or more"):
        model.survival([1.5])
    with pytest.raises(ParameterError, match="discount_rate is 0, but must be a number > 0"):
        model.discounted_renewals([1], discount_rate=0)
    assert repr(ShiftedBetaGeometric()) == "ShiftedBetaGeometric()"
    assert _read([5, 3]).tolist() == [[5, 3]]
