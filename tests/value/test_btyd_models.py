"""The lifetime models against integrals over customers, finite differences and published fits."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import custseg as cs
from custseg.errors import ColumnError, ConvergenceError, DataError, ParameterError
from custseg.value import BetaGeo, GammaGamma, ModifiedBetaGeo, ParetoNBD, btyd_summary
from custseg.value._histories import read_histories

MODELS = [BetaGeo, ModifiedBetaGeo, ParetoNBD]
CASES = [(BetaGeo, 0), (ModifiedBetaGeo, 0), (ParetoNBD, 0), (BetaGeo, 1), (ModifiedBetaGeo, 1)]
CASES += [(ParetoNBD, 1), (ParetoNBD, 2)]
PLANTED = {
    BetaGeo: [(0.8, 6.0, 1.1, 3.0), (2.5, 30.0, 0.6, 1.2)],
    ModifiedBetaGeo: [(0.8, 6.0, 1.1, 3.0), (2.5, 30.0, 0.6, 1.2)],
    ParetoNBD: [(0.8, 6.0, 0.9, 20.0), (2.5, 40.0, 1.0, 15.0), (1.5, 8.0, 3.0, 60.0)],
}
HISTORIES = pd.DataFrame(
    {"frequency": [0, 1, 4, 12], "recency": [0, 3.5, 30, 51.8], "T": [40, 39, 45, 52]},
    index=pd.Index(["never", "once", "some", "often"], name="customer_id"),
)


def with_params(kind, values):
    """Return a model as if it had been fitted."""
    model = kind()
    names = ["r", "alpha", "s", "beta"] if kind is ParetoNBD else ["r", "alpha", "a", "b"]
    model.params_, model.n_customers_ = pd.Series(values, names), 1
    return model


def simulate(kind, values, n, seed, length=52.0):
    """Draw customers who join in the first quarter, one purchase after the other."""
    rng = np.random.default_rng(seed)
    r, alpha, third, fourth = values
    rates = rng.gamma(r, 1 / alpha, n)
    age = length * (1 - rng.random(n) / 4)
    if kind is ParetoNBD:
        active, chances = rng.exponential(1 / rng.gamma(third, 1 / fourth, n)), np.inf
    else:
        active = np.inf
        chances = rng.geometric(rng.beta(third, fourth, n)) - (kind is ModifiedBetaGeo)
    end = np.minimum(age, active)
    time, frequency, recency = np.zeros(n), np.zeros(n), np.zeros(n)
    going = np.ones(n, dtype=bool)
    while going.any():
        time = time + rng.exponential(1 / rates)
        going &= (time <= end) & (frequency < chances)
        frequency += going
        recency = np.where(going, time, recency)
    return pd.DataFrame({"frequency": frequency, "recency": recency, "T": age})


# ---------------------------------------------------------- one customer at a time, by integration


class Customers:
    """All customers with a rate of purchases and one of leaving, as grids with weights."""

    def __init__(self, kind, values):
        r, alpha, third, fourth = values
        self.kind = kind
        first, weight = gamma_grid(r, alpha)
        if kind is ParetoNBD:
            second, other = gamma_grid(third, fourth)
        else:
            x, other = special.roots_jacobi(120, fourth - 1, third - 1)
            second, other = (1 + x) / 2, other / other.sum()
        self.rate, self.leave = (grid.ravel() for grid in np.meshgrid(first, second))
        self.weight = np.outer(other, weight).ravel()

    def chances(self, x, recency, age):
        """Return the likelihood of a history that goes on, and of one that ended."""
        rate, leave = self.rate, self.leave
        if self.kind is ParetoNBD:
            both = rate + leave
            on = rate**x * np.exp(-both * age)
            ended = rate**x * leave / both * (np.exp(-both * recency) - np.exp(-both * age))
            return on, ended
        chances = x + (self.kind is ModifiedBetaGeo)
        on = (rate * (1 - leave)) ** x * np.exp(-rate * age)
        if self.kind is ModifiedBetaGeo:
            on = on * (1 - leave)
        ended = 0 * rate
        if chances:
            ended = rate**x * leave * (1 - leave) ** (chances - 1) * np.exp(-rate * recency)
        return on, ended

    def likelihood(self, x, recency, age):
        on, ended = self.chances(x, recency, age)
        return self.weight @ (on + ended)

    def alive(self, x, recency, age):
        on, _ = self.chances(x, recency, age)
        return self.weight @ on / self.likelihood(x, recency, age)

    def purchases(self, x, recency, age, force, end):
        """Return discounted purchases until `end`; each customer's have a closed form."""
        gone = self.leave if self.kind is ParetoNBD else self.rate * self.leave
        to_come = self.rate * -np.expm1(-(gone + force) * end) / (gone + force)
        on, _ = self.chances(x, recency, age)
        return self.weight @ (on * to_come) / self.likelihood(x, recency, age)


def gamma_grid(shape, rate):
    """Return nodes and weights of a gamma distribution, uniform in the power that removes 0."""
    x, weight = special.roots_jacobi(400, 0, shape - 1)  # weight x^(shape - 1) on (0, end)
    end = stats.gamma.isf(1e-18, shape) / rate
    nodes = (1 + x) / 2 * end
    weight = weight * np.exp(-rate * nodes)
    return nodes, weight / weight.sum()


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].__name__}-{case[1]}")
def known(request):
    kind, number = request.param
    values = PLANTED[kind][number]
    return with_params(kind, values), Customers(kind, values)


def test_the_likelihood_is_that_of_customers_taken_together(known):
    model, customers = known
    for row in HISTORIES.to_numpy(float):
        one = read_histories(pd.DataFrame([row], columns=HISTORIES.columns))
        value, _, _ = model._log_likelihood(model.params_.to_numpy(), one)
        assert value == pytest.approx(np.log(customers.likelihood(*row)), abs=1e-8)


def test_the_chance_to_be_active_is_that_of_customers_taken_together(known):
    model, customers = known
    want = [customers.alive(*row) for row in HISTORIES.to_numpy(float)]
    found = model.probability_alive(HISTORIES)
    assert found.index.equals(HISTORIES.index)
    np.testing.assert_allclose(found, want, rtol=1e-8)


@pytest.mark.parametrize("t", [0.0, 0.5, 26, 520])
def test_expected_purchases_are_those_of_customers_taken_together(known, t):
    model, customers = known
    want = [customers.purchases(*row, 0.0, t) for row in HISTORIES.to_numpy(float)]
    np.testing.assert_allclose(model.expected_purchases(t, HISTORIES), want, rtol=1e-7)


@pytest.mark.parametrize(("rate", "horizon"), [(0.1, None), (0.002, None), (0.01, 52), (0, 10)])
def test_discounted_purchases_are_those_of_customers_taken_together(known, rate, horizon):
    model, customers = known
    force, end = np.log1p(rate), np.inf if horizon is None else horizon
    want = [customers.purchases(*row, force, end) for row in HISTORIES.to_numpy(float)]
    found = model.discounted_purchases(HISTORIES, discount_rate=rate, horizon=horizon)
    np.testing.assert_allclose(found, want, rtol=2e-6)


def test_discounted_purchases_are_the_integral_of_expected_ones(known):
    """By parts: the sum of purchases is the sum of what discounting takes off later."""
    model, _ = known
    one, force = HISTORIES.loc[["some"]], np.log(1.01)

    def later(t):
        return force * np.exp(-force * t) * model.expected_purchases(t, one).iloc[0]

    want = integrate.quad(later, 0, 200, epsabs=1e-11)[0]
    want += np.exp(-force * 200) * model.expected_purchases(200, one).iloc[0]
    found = model.discounted_purchases(one, discount_rate=0.01, horizon=200)
    assert found.iloc[0] == pytest.approx(want, rel=1e-9)


def test_pareto_without_a_horizon_equals_the_closed_form():
    """Fader, Hardie & Lee (2005, JMR), equation 6, with the confluent hypergeometric function."""
    model = with_params(ParetoNBD, (0.55, 10.6, 0.61, 11.7))
    r, alpha, s, beta = model.params_
    x, age = HISTORIES["frequency"], HISTORIES["T"]
    for rate in (0.05, 0.0027, 1e-5):
        since = np.log1p(rate) * (beta + age)
        want = (r + x) / (alpha + age) * (beta + age) * special.hyperu(1, 2 - s, since)
        found = model.discounted_purchases(HISTORIES, discount_rate=rate)
        np.testing.assert_allclose(found, model.probability_alive(HISTORIES) * want, rtol=1e-9)


def test_beta_geo_equals_the_published_formula():
    """Fader, Hardie & Lee (2005, Marketing Science), equation 10."""
    model = with_params(BetaGeo, (0.243, 4.414, 0.793, 2.426))
    r, alpha, a, b = model.params_
    x, recency, age = (HISTORIES[name] for name in HISTORIES)
    for t in (1, 39, 1000):
        curve = special.hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t))
        grown = 1 - ((alpha + age) / (alpha + age + t)) ** (r + x) * curve
        odds = (x > 0) * a / (b + np.maximum(x, 1) - 1)
        want = (a + b + x - 1) / (a - 1) * grown
        want /= 1 + odds * ((alpha + age) / (alpha + recency)) ** (r + x)
        np.testing.assert_allclose(model.expected_purchases(t, HISTORIES), want, rtol=1e-9)


@pytest.mark.parametrize("x", [10, 59, 61, 400, 3_000])
@pytest.mark.parametrize("later", [0.01, 20.0, 300.0, 30_000.0])
@pytest.mark.parametrize("kind", [BetaGeo, ModifiedBetaGeo])
def test_the_rate_of_very_frequent_buyers_is_the_integral_over_their_chances(kind, x, later):
    model = with_params(kind, (0.6, 5.0, 0.9, 3.0))
    r, alpha, a, b = model.params_
    z, stayed = later / (alpha + 52), b + x + (kind is ModifiedBetaGeo)

    def density(log_chance):
        bought = -(r + x + 1) * np.log1p(np.exp(log_chance) * z)
        return np.exp(stats.beta.logpdf(np.exp(log_chance), a, stayed) + log_chance + bought)

    peak = np.log(a / (stayed + (r + x) * z))
    want = integrate.quad(density, peak - 50, min(peak + 8, 0), epsrel=1e-11, points=[peak])[0]
    found = model._rate(np.array([float(x)]), np.array([52.0]), np.array([later]))
    assert found[0] == pytest.approx((r + x) / (alpha + 52) * want, rel=1e-9)


@pytest.mark.parametrize("kind", MODELS)
def test_purchases_of_new_customers_are_those_of_an_empty_history(kind):
    model = with_params(kind, PLANTED[kind][0])
    new = pd.DataFrame({"frequency": [0], "recency": [0], "T": [0]})
    want = [model.expected_purchases(t, new).iloc[0] for t in range(30)]
    np.testing.assert_allclose(model.expected_of_new(29), want, rtol=1e-12)


# ------------------------------------------------------------------------------------ the estimates


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}-{case[1]}")
def test_slopes_and_bends_are_those_of_the_likelihood(case):
    kind, number = case
    histories = read_histories(simulate(kind, PLANTED[kind][number], 300, seed=1))
    at = np.array(PLANTED[kind][number]) * [1.2, 0.8, 0.9, 1.1]
    model = kind()
    _, gradient, curvature = model._log_likelihood(at, histories)
    for i, step in enumerate(1e-5 * at):
        move = np.eye(4)[i] * step
        above, below = (model._log_likelihood(at + sign * move, histories) for sign in (1, -1))
        assert gradient[i] == pytest.approx((above[0] - below[0]) / (2 * step), rel=1e-6, abs=1e-5)
        slopes = (above[1] - below[1]) / (2 * step)
        np.testing.assert_allclose(curvature[i], slopes, rtol=1e-6, atol=1e-6 * abs(slopes).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}-{case[1]}")
def test_planted_parameters_are_found(case):
    kind, number = case
    summary = simulate(kind, PLANTED[kind][number], 6_000, seed=number)
    model = kind().fit(summary)
    off = np.log(model.params_) - np.log(PLANTED[kind][number])
    errors = np.sqrt(np.diag(model.covariance_))
    assert (abs(off) < 3.5 * errors).all()
    assert (off.to_numpy() @ np.linalg.solve(model.covariance_, off)) < stats.chi2.isf(1e-3, 4)
    np.testing.assert_allclose(model.standard_errors_, errors * model.params_)
    _, gradient, _ = model._log_likelihood(model.params_.to_numpy(), read_histories(summary))
    assert abs(gradient * model.standard_errors_).max() < 1e-5


@pytest.mark.parametrize("kind", MODELS)
def test_intervals_cover_the_planted_parameters(kind):
    values, inside = PLANTED[kind][0], []
    for seed in range(60):
        model = kind().fit(simulate(kind, values, 1_500, seed=100 + seed))
        off = abs(np.log(model.params_) - np.log(values))
        inside.append(off < 1.96 * np.sqrt(np.diag(model.covariance_)))
    share = np.mean(inside, axis=0)
    assert (share >= stats.binom.ppf(0.001, 60, 0.95) / 60).all()
    assert np.mean(share) < 0.995  # errors that are far too large would cover always


@pytest.mark.parametrize("kind", MODELS)
def test_the_order_of_rows_changes_nothing(kind):
    summary = simulate(kind, PLANTED[kind][0], 800, seed=5).round(0)
    mixed = summary.sample(frac=1, random_state=1)
    one, other = kind().fit(summary), kind().fit(mixed)
    pd.testing.assert_series_equal(one.params_, other.params_, check_exact=True)
    expected = one.expected_purchases(10, summary)
    pd.testing.assert_series_equal(
        other.expected_purchases(10, mixed).sort_index(), expected, check_exact=True
    )


@pytest.mark.parametrize("kind", MODELS)
def test_the_unit_of_time_only_scales(kind):
    weeks = simulate(kind, PLANTED[kind][0], 800, seed=6)
    days = weeks.assign(recency=7 * weeks["recency"], T=7 * weeks["T"])
    one, other = kind().fit(weeks), kind().fit(days)
    scale = [1, 7, 1, 7] if kind is ParetoNBD else [1, 7, 1, 1]
    np.testing.assert_allclose(other.params_, one.params_ * scale, rtol=1e-7)
    moved = weeks["frequency"].sum() * np.log(7)
    assert other.log_likelihood_ == pytest.approx(one.log_likelihood_ - moved, abs=1e-6)
    np.testing.assert_allclose(
        other.expected_purchases(70, days), one.expected_purchases(10, weeks), rtol=1e-7
    )


@pytest.mark.parametrize("kind", MODELS)
def test_customers_count_as_often_as_they_stand_in_the_table(kind):
    """Rounded histories are shared by many; the fit must be that of the rows one by one."""
    summary = simulate(kind, PLANTED[kind][0], 800, seed=7).round()
    assert len(read_histories(summary).age) < 0.9 * len(summary)
    model = kind().fit(summary)
    params = model.params_.to_numpy()
    rows = [
        model._log_likelihood(params, read_histories(summary.iloc[[i]]))[0]
        for i in range(len(summary))
    ]
    assert sum(rows) == pytest.approx(model.log_likelihood_, rel=1e-12)


def test_who_left_the_shop_is_told_as_often_as_is_true(shop):
    """The shop's customers leave at any time, as the Pareto/NBD model has it."""
    tx = cs.Transactions(shop.transactions, customer_id="customer_id", timestamp="timestamp")
    summary = btyd_summary(tx.clean(), unit="W")
    left = shop.truth.set_index("customer_id")["dropout"].reindex(summary.index)
    active = (left.isna() | (left > pd.Timestamp(summary.attrs["as_of"]))).to_numpy()
    chance = ParetoNBD().fit(summary).probability_alive(summary).to_numpy()
    fifth = np.argsort(np.argsort(chance, kind="stable")) * 5 // len(chance)
    said = np.bincount(fifth, chance) / np.bincount(fifth)
    true = np.bincount(fifth, active) / np.bincount(fifth)
    assert abs(said - true).max() < 0.05
    assert said.max() - said.min() > 0.9
    pairs = stats.mannwhitneyu(chance[active], chance[~active]).statistic
    assert pairs / active.sum() / (~active).sum() > 0.93
    once = (summary["frequency"] == 0).to_numpy()
    assert (BetaGeo().fit(summary).probability_alive(summary)[once] == 1).all()
    assert active[once].mean() < 0.5


# --------------------------------------------------------------------------------- what is refused


def frame(**columns):
    table = {"frequency": [0, 2, 5], "recency": [0, 20, 30], "T": [40, 30, 35]} | columns
    return pd.DataFrame(table, index=["ann", "bob", "cid"])


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("summary", "error", "words"),
    [
        (frame().drop(columns="T"), ColumnError, r"no column 'T'.*btyd_summary.*rfm\(\)"),
        (frame(recency=[0, 20, 36]), DataError, r"1 of 3.*'cid'.*recency above T.*btyd_summary"),
        (frame(recency=[3, 20, 30]), DataError, "'ann'.*without a repeat purchase"),
        (frame(recency=0, T=[40, 0, 35]), DataError, "'bob'.*repeat purchases but a T of 0"),
        (frame(frequency=[0, 2.5, 5]), DataError, "'bob'.*no whole number"),
        (frame(T=[40, np.nan, 35]), DataError, "'bob'.*missing or infinite"),
        (frame(frequency=[0, 2, -5]), DataError, "'cid'.*below 0"),
        (frame(recency=[0, "x", 3]), DataError, "'recency' of the summary is not a number"),
        (frame().iloc[:0], DataError, "no rows"),
        (frame().set_axis(["ann", "ann", "cid"]), DataError, "one customer_id"),
        (frame(frequency=[0, 0, 0], recency=[0, 0, 0]), DataError, "no customer bought again"),
        ([1, 2], DataError, "summary is a list"),
    ],
)
def test_what_is_no_summary_is_refused(kind, summary, error, words):
    with pytest.raises(error, match=words):
        kind().fit(summary)


def test_a_table_from_rfm_is_refused_whatever_it_is_called(shop):
    tx = cs.Transactions(
        shop.transactions, customer_id="customer_id", timestamp="timestamp", amount="amount"
    ).clean()
    table = cs.features.rfm(tx)
    with pytest.raises(ColumnError, match="btyd_summary"):
        BetaGeo().fit(table)
    with pytest.raises(DataError, match=r"from rfm\(\).*btyd_summary"):
        BetaGeo().fit(table.rename(columns={"tenure": "T"}))
    lost = table.rename(columns={"tenure": "T"})
    lost.attrs = {}
    with pytest.raises(DataError, match=r"from rfm\(\).*btyd_summary"):
        BetaGeo().fit(lost)


def test_a_summary_beside_columns_of_rfm_is_taken(shop):
    tx = cs.Transactions(
        shop.transactions, customer_id="customer_id", timestamp="timestamp", amount="amount"
    ).clean()
    table = cs.features.rfm(tx)[["monetary", "tenure"]].join(cs.value.btyd_summary(tx, unit="W"))
    assert BetaGeo().fit(table).params_.index.tolist() == ["r", "alpha", "a", "b"]


def test_a_fit_without_a_maximum_says_what_ran_away_and_what_to_try():
    rng = np.random.default_rng(0)
    n = 400
    frequency = rng.poisson(rng.gamma(1.0, 1 / 8, n) * 52)  # nobody ever leaves
    last = np.where(frequency > 0, 52 * rng.beta(np.maximum(frequency, 1), 1), 0)
    summary = pd.DataFrame({"frequency": frequency, "recency": last, "T": 52.0})
    with pytest.raises(ConvergenceError, match=r"runs to (0|infinity).*try ParetoNBD"):
        BetaGeo().fit(summary)
    with pytest.raises(ConvergenceError, match=r"runs to (0|infinity).*try BetaGeo"):
        ParetoNBD().fit(summary)


def test_what_is_not_fitted_or_cannot_be_summed_is_refused():
    for kind in MODELS:
        with pytest.raises(DataError, match=rf"{kind.__name__} is not fitted.*fit\(summary\)"):
            kind().probability_alive(HISTORIES)
        with pytest.raises(DataError, match="not fitted"):
            kind().expected_purchases(1, HISTORIES)
    model = with_params(BetaGeo, PLANTED[BetaGeo][0])
    with pytest.raises(ParameterError, match="t is -1, but must be a number >= 0"):
        model.expected_purchases(-1, HISTORIES)
    with pytest.raises(ParameterError, match="Give a horizon, or a rate above 0"):
        model.discounted_purchases(HISTORIES, discount_rate=0)
    with pytest.raises(ParameterError, match=r"discount_rate is -0\.1"):
        model.discounted_purchases(HISTORIES, discount_rate=-0.1, horizon=3)


def test_a_model_reads_as_what_it_found():
    assert repr(BetaGeo()) == "BetaGeo()"
    model = with_params(BetaGeo, (0.24259, 4.4135, 0.79289, 2.4258))
    assert repr(model) == "BetaGeo(r=0.243, alpha=4.41, a=0.793, b=2.43; 1 customers)"


# ---------------------------------------------------------------------------------- published fits


@pytest.fixture(scope="module")
def cdnow():
    return cs.datasets.load_dataset("cdnow_sample_summary").set_index("ID")


@pytest.mark.realdata("cdnow_sample_summary")
def test_beta_geo_equals_the_published_fit(cdnow):
    """Fader, Hardie & Lee (2005), table 2."""
    model = BetaGeo().fit(cdnow)
    assert model.params_.round(3).to_dict() == {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    assert model.log_likelihood_ == pytest.approx(-9582.43, abs=0.005)


@pytest.mark.realdata("cdnow_sample_summary")
def test_beta_geo_equals_lifetimes(cdnow):
    """lifetimes 0.11.3: BetaGeoFitter and ModifiedBetaGeoFitter, parameters and errors."""
    want = [0.24259292828, 4.41353226541, 0.79288596644, 2.42575238263]
    errors = [0.0125573207, 0.3782214571, 0.1857190719, 0.7053453435]
    model = BetaGeo().fit(cdnow)
    np.testing.assert_allclose(model.params_, want, rtol=1e-5)
    np.testing.assert_allclose(model.standard_errors_, errors, rtol=1e-5)
    want = [0.52483772557, 6.18298847913, 0.89135628093, 1.61400002567]
    errors = [0.0832639453, 0.6955971916, 0.1547853196, 0.5374723508]
    model = ModifiedBetaGeo().fit(cdnow)
    np.testing.assert_allclose(model.params_, want, rtol=1e-5)
    np.testing.assert_allclose(model.standard_errors_, errors, rtol=1e-5)


@pytest.mark.realdata("cdnow_sample_summary")
def test_pareto_equals_the_published_fit(cdnow):
    """Fader, Hardie & Lee (2005), table 2."""
    model = ParetoNBD().fit(cdnow)
    np.testing.assert_allclose(model.params_, [0.553, 10.578, 0.606, 11.669], rtol=2e-3)
    assert model.log_likelihood_ == pytest.approx(-9594.98, abs=0.01)


@pytest.mark.realdata("cdnow_sample")
def test_gamma_gamma_equals_the_published_fit():
    """Fader & Hardie (2013): 946 repeat buyers."""
    lines = cs.datasets.load_cdnow()
    tx = cs.Transactions(lines, customer_id="sample_id", timestamp="date", amount="dollar_value")
    model = GammaGamma().fit(cs.value.btyd_summary(tx, "1997-09-30"))
    np.testing.assert_allclose(model.params_, [6.25, 3.74, 15.44], rtol=2e-3)
    assert model.n_customers_ == 946
    assert model.correlation_ == pytest.approx(0.11, abs=0.005)
