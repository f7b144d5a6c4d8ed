"""The value of customers against its parts, the sum over years, and what a fixed spend gives."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.value import BetaGeo, GammaGamma, ParetoNBD, btyd_summary, lifetime_value

RATE = 1.1 ** (1 / 52) - 1


@pytest.fixture(scope="module")
def summary():
    shop = cs.datasets.make_shop(600, random_state=3)
    roles = {role: role for role in ("customer_id", "timestamp", "amount", "order_id")}
    return btyd_summary(cs.Transactions(shop.transactions, **roles).clean(), unit="W")


@pytest.fixture(scope="module")
def models(summary):
    return BetaGeo().fit(summary), GammaGamma().fit(summary)


def test_the_value_is_the_product_of_its_parts(summary, models):
    purchases, spend = models
    found = lifetime_value(*models, summary, discount_rate=RATE, horizon=104, margin=0.3)
    table = found.to_frame()
    assert table.index.tolist() == sorted(summary.index)
    want = purchases.discounted_purchases(summary, discount_rate=RATE, horizon=104)
    np.testing.assert_allclose(table["purchases"], want[table.index])
    np.testing.assert_allclose(table["spend"], spend.expected_spend(summary)[table.index])
    alive = purchases.probability_alive(summary)[table.index]
    np.testing.assert_allclose(table["probability_alive"], alive)
    np.testing.assert_allclose(table["value"], 0.3 * table["purchases"] * table["spend"])
    np.testing.assert_allclose(table["value_if_alive"] * alive, table["value"])


def test_discounting_lies_between_that_at_the_start_and_at_the_end_of_short_periods(
    summary, models
):
    purchases, spend = models
    weeks = np.arange(0, 53)
    cumulative = [purchases.expected_purchases(week, summary).to_numpy() for week in weeks]
    bought = np.diff(cumulative, axis=0)
    worth = spend.expected_spend(summary).to_numpy()
    late = ((1 + RATE) ** -weeks[1:, None] * bought).sum(axis=0) * worth
    early = ((1 + RATE) ** -weeks[:-1, None] * bought).sum(axis=0) * worth
    found = lifetime_value(*models, summary, discount_rate=RATE, horizon=52)
    value = found.to_frame()["value"].reindex(summary.index).to_numpy()
    assert (late < value).all()
    assert (value < early).all()


def test_a_longer_horizon_and_a_lower_rate_add_value_up_to_all_to_come(summary, models):
    def total(**how):
        return lifetime_value(*models, summary, **how).to_frame()["value"].sum()

    sums = [total(discount_rate=RATE, horizon=weeks) for weeks in (10, 100, 1_000, 20_000)]
    assert sums == sorted(sums)
    assert sums[-1] == pytest.approx(total(discount_rate=RATE), rel=1e-6)
    assert total(discount_rate=2 * RATE) < total(discount_rate=RATE)


def test_a_spend_of_ones_own_is_taken_by_customer(summary, models):
    fixed = pd.Series(10.0, summary.index).sample(frac=1, random_state=0)
    fixed.iloc[0] = 30.0
    found = lifetime_value(models[0], fixed, summary, discount_rate=RATE)
    table = found.to_frame()
    assert table.loc[fixed.index[0], "spend"] == 30
    np.testing.assert_allclose(table["value"], table["purchases"] * fixed[table.index])


def test_the_order_of_rows_changes_nothing(summary, models):
    mixed = summary.sample(frac=1, random_state=1)
    one = lifetime_value(*models, summary, discount_rate=RATE).to_frame()
    other = lifetime_value(*models, mixed, discount_rate=RATE).to_frame()
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_the_refit_with_all_weights_one_is_the_fit_itself(summary, models):
    found = lifetime_value(*models, summary, discount_rate=RATE, margin=0.5)
    value, if_alive = found.refit()(np.ones(len(summary)))
    np.testing.assert_allclose(value, found.to_frame()["value"], rtol=1e-6)
    np.testing.assert_allclose(if_alive, found.to_frame()["value_if_alive"], rtol=1e-6)


def test_the_refit_with_weights_is_the_fit_to_repeated_rows(summary, models):
    found = lifetime_value(*models, summary, discount_rate=RATE)
    weights = np.random.default_rng(0).multinomial(len(summary), np.full(len(summary), 1 / 600))
    repeated = found.customers.loc[found.customers.index.repeat(weights)].reset_index(drop=True)
    again = BetaGeo().fit(repeated), GammaGamma().fit(repeated)
    want = lifetime_value(*again, found.customers, discount_rate=RATE).to_frame()["value"]
    value, _ = found.refit()(weights.astype(float))
    np.testing.assert_allclose(value, want, rtol=1e-5)


def test_customers_that_the_models_have_not_seen_are_not_refitted(summary, models):
    assert lifetime_value(*models, summary.iloc[:99], discount_rate=RATE).refit() is None
    other = summary.assign(T=summary["T"] + 1)
    assert lifetime_value(*models, other, discount_rate=RATE).refit() is None


def test_words_and_notes_follow_from_the_numbers(summary, models):
    found = lifetime_value(*models, summary, discount_rate=RATE, horizon=52)
    value = found.to_frame()["value"].sort_values(ascending=False)
    best = -(-len(value) // 10)
    share = value.iloc[:best].sum() / value.sum()
    assert f"{len(value)} customers are worth {value.sum():,.0f} in the next 52" in found.summary()
    assert f"the best {best} of them hold {share:.0%}" in found.summary()
    notes = " ".join(found.notes)
    once = (summary["frequency"] == 0).sum()
    assert f"BetaGeo takes all {once} who never bought again for active" in notes
    assert "the correlation of frequency and mean spend is" in notes
    assert str(value.index[0]) in repr(found)
    pareto = lifetime_value(ParetoNBD().fit(summary), models[1], summary, discount_rate=RATE)
    assert "never bought again" not in " ".join(pareto.notes)


def test_wrong_questions_are_refused(summary, models):
    purchases, spend = models
    with pytest.raises(ParameterError, match="Give a horizon, or a rate above 0"):
        lifetime_value(*models, summary, discount_rate=0)
    with pytest.raises(ParameterError, match="margin is 0, but must be a number > 0"):
        lifetime_value(*models, summary, discount_rate=RATE, margin=0)
    with pytest.raises(ParameterError, match="purchases is 'BetaGeo', but must be a fitted model"):
        lifetime_value("BetaGeo", spend, summary, discount_rate=RATE)
    with pytest.raises(DataError, match="BetaGeo is not fitted yet"):
        lifetime_value(BetaGeo(), spend, summary, discount_rate=RATE)
    with pytest.raises(DataError, match="GammaGamma is not fitted yet"):
        lifetime_value(purchases, GammaGamma(), summary, discount_rate=RATE)
    with pytest.raises(ParameterError, match="spend is a float, but must be GammaGamma"):
        lifetime_value(purchases, 10.0, summary, discount_rate=RATE)
    few = pd.Series(10.0, summary.index[1:])
    with pytest.raises(DataError, match=r"1 of .* have no spend"):
        lifetime_value(purchases, few, summary, discount_rate=RATE)
    with pytest.raises(ColumnError, match="no column 'T'"):
        lifetime_value(*models, summary.drop(columns="T"), discount_rate=RATE)


def test_the_picture_shows_mean_values_by_history(summary, models):
    found = lifetime_value(*models, summary, discount_rate=RATE)
    _, ax = plt.subplots()
    assert found.plot(ax=ax) is ax
    (mesh,) = ax.collections
    shown = mesh.get_array().compressed()
    value = found.to_frame()["value"]
    assert shown.max() <= value.max()
    assert shown.min() >= value.min()
    assert ax.get_xlabel() == "units since the last purchase"
