"""The gamma-gamma model against integrals over customers, finite differences and simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from custseg.errors import ColumnError, ConvergenceError, DataError
from custseg.value import GammaGamma
from custseg.value.gamma_gamma import _log_likelihood

PLANTED = (6.0, 4.0, 15.0)


def simulate(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    p, q, v = PLANTED
    frequency = rng.geometric(0.35, n) - 1
    rates = rng.gamma(q, 1 / v, n)
    shape = np.maximum(p * frequency, 1e-9)
    spend = np.where(frequency > 0, rng.gamma(shape) / (rates * np.maximum(frequency, 1)), 0)
    return pd.DataFrame({"frequency": frequency, "monetary_value": spend})


def test_the_likelihood_is_that_of_customers_taken_together():
    p, q, v = PLANTED
    for x, mean in [(1, 20.0), (3, 4.0), (8, 61.0)]:

        def chance(rate, x=x, mean=mean):
            own = stats.gamma.pdf(mean, p * x, scale=1 / (rate * x))
            return own * stats.gamma.pdf(rate, q, scale=1 / v)

        want = integrate.quad(chance, 0, 5, epsabs=0, epsrel=1e-11)[0]
        rows = (np.array([value]) for value in (float(x), mean, 1.0))
        found, _, _ = _log_likelihood(np.array(PLANTED), *rows)
        assert found == pytest.approx(np.log(want), abs=1e-9)


def test_expected_spend_is_that_of_customers_taken_together():
    p, q, v = PLANTED
    model = GammaGamma().fit(simulate(300, 0))
    model.params_ = pd.Series(PLANTED, ["p", "q", "v"])
    known = pd.DataFrame({"frequency": [0, 1, 3, 8], "monetary_value": [0.0, 20, 4, 61]})
    for (x, mean), found in zip(known.to_numpy(), model.expected_spend(known), strict=True):

        def weight(rate, x=x, mean=mean):
            own = stats.gamma.pdf(mean, p * x, scale=1 / (rate * x)) if x else 1.0
            return own * stats.gamma.pdf(rate, q, scale=1 / v)

        top = integrate.quad(lambda rate: p / rate * weight(rate), 0, 5, epsrel=1e-11)[0]
        assert found == pytest.approx(top / integrate.quad(weight, 0, 5, epsrel=1e-11)[0], rel=1e-8)


def test_slopes_and_bends_are_those_of_the_likelihood():
    table = simulate(200, 1)
    table = table[table["frequency"] > 0]
    rows = (*table.to_numpy(float).T, np.ones(len(table)))
    at = np.array([4.0, 3.0, 22.0])
    _, gradient, curvature = _log_likelihood(at, *rows)
    for i, step in enumerate(1e-5 * at):
        move = np.eye(3)[i] * step
        above, below = _log_likelihood(at + move, *rows), _log_likelihood(at - move, *rows)
        assert gradient[i] == pytest.approx((above[0] - below[0]) / (2 * step), rel=1e-7)
        np.testing.assert_allclose(curvature[i], (above[1] - below[1]) / (2 * step), rtol=1e-6)


def test_planted_parameters_are_found_and_covered():
    inside, off = [], []
    for seed in range(60):
        model = GammaGamma().fit(simulate(1_500, seed))
        away = np.log(model.params_) - np.log(PLANTED)
        off.append(away)
        inside.append(abs(away) < 1.96 * np.sqrt(np.diag(model.covariance_)))
    share = np.mean(inside, axis=0)
    assert (share >= stats.binom.ppf(0.001, 60, 0.95) / 60).all()
    errors = np.std(off, axis=0)
    assert (abs(np.mean(off, axis=0)) < 4 * errors / np.sqrt(60) + 0.03).all()
    assert np.sqrt(np.diag(model.covariance_)) == pytest.approx(errors, rel=0.35)


def test_only_repeat_buyers_who_spend_are_learned_from():
    table = simulate(600, 2)
    some = table[table["frequency"] > 0]
    gifts = pd.DataFrame({"frequency": [2, 3], "monetary_value": [0.0, -4.0]})
    whole = GammaGamma().fit(pd.concat([table, gifts], ignore_index=True))
    part = GammaGamma().fit(some)
    pd.testing.assert_series_equal(whole.params_, part.params_)
    assert whole.n_customers_ == len(some)
    assert "2 repeat buyers with a mean spend of 0 or less are set aside" in whole.notes_[1]
    worth = whole.expected_spend(gifts)
    assert 0 < worth[0] < whole.expected_spend(table[table["frequency"] == 0]).iloc[0]


def test_the_correlation_is_told_and_warned_of():
    table = simulate(600, 3)
    calm = GammaGamma().fit(table)
    some = table[table["frequency"] > 0]
    want = np.corrcoef(some["frequency"], some["monetary_value"])[0, 1]
    assert calm.correlation_ == pytest.approx(want)
    assert f"{want:.4f}"[:6] in repr(calm)
    assert "beyond" not in repr(calm)
    steep = table.assign(monetary_value=table["monetary_value"] * table["frequency"])
    warned = GammaGamma().fit(steep)
    assert warned.correlation_ > 0.3
    assert "beyond ±0.3: who buys often spends more at a time" in repr(warned)


def test_money_only_scales():
    table = simulate(600, 4)
    cents = table.assign(monetary_value=100 * table["monetary_value"])
    one, other = GammaGamma().fit(table), GammaGamma().fit(cents)
    np.testing.assert_allclose(other.params_, one.params_ * [1, 1, 100], rtol=1e-6)
    np.testing.assert_allclose(
        other.expected_spend(cents), 100 * one.expected_spend(table), rtol=1e-6
    )


def test_the_order_of_rows_changes_nothing():
    table = simulate(600, 5)
    mixed = GammaGamma().fit(table.sample(frac=1, random_state=0))
    pd.testing.assert_series_equal(mixed.params_, GammaGamma().fit(table).params_, check_exact=True)


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        (pd.DataFrame({"frequency": [1]}), ColumnError, r"no column 'monetary_value'.*rfm\(\)"),
        (simulate(9, 0).assign(monetary_value=np.nan), DataError, "9 of 9.*no finite spend"),
        (simulate(9, 0).assign(frequency=1.5), DataError, "no whole number"),
        (simulate(9, 0).assign(frequency=0), DataError, "0 of 9.*needs 3 at least"),
        (simulate(9, 0).set_axis([1] * 9), DataError, "one customer_id"),
    ],
)
def test_what_is_no_summary_is_refused(table, error, words):
    with pytest.raises(error, match=words):
        GammaGamma().fit(table)


def test_customers_who_all_spend_the_same_have_no_fit():
    table = pd.DataFrame({"frequency": [1, 2, 3, 4] * 9, "monetary_value": 20.0})
    with pytest.raises(ConvergenceError, match="take the mean spend of all instead"):
        GammaGamma().fit(table)


def test_an_infinite_mean_is_refused_and_said():
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.6, 1 / 15, 2_000)
    table = pd.DataFrame({"frequency": 3, "monetary_value": rng.gamma(9, 1 / (3 * rates))})
    model = GammaGamma().fit(table)
    assert model.params_["q"] < 1
    assert "infinite" in model.notes_[-1]
    with pytest.raises(DataError, match="the mean spend of all customers is infinite"):
        model.expected_spend(table)
    with pytest.raises(DataError, match="not fitted yet"):
        GammaGamma().expected_spend(table)
