"""Effects without random assignment: against other code, and the twins of one campaign."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from statsmodels.stats.weightstats import DescrStatsW

import custseg as cs
from custseg.campaigns import observational_effect
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.stats import holm

mpl.use("Agg")
import matplotlib.pyplot as plt

ROLES = {"customer_id": "who", "treated": "mail", "outcome": "spend"}


def make_customers(n=1_000, effect=1.0, seed=0):
    rng = np.random.default_rng(seed)
    loyal = rng.random(n)
    tier = np.where(rng.random(n) < 0.4, "gold", "basic")
    chance = 1 / (1 + np.exp(-(3 * loyal - 1.5 + 0.8 * (tier == "gold"))))
    mail = (rng.random(n) < chance).astype(int)
    spend = 6 * loyal + 2 * (tier == "gold") + effect * mail + rng.normal(0, 2, n)
    return pd.DataFrame(
        {"who": np.arange(n), "mail": mail, "loyal": loyal, "tier": tier, "spend": spend}
    )


def one(found, method, segment="(all)"):
    table = found.table
    return table[(table["segment"] == segment) & (table["method"] == method)].iloc[0]


def test_weights_give_the_weighted_means_of_statsmodels():
    data = make_customers()
    found = observational_effect(data, **ROLES, covariates=["loyal", "tier"], trim=0)
    e = found.propensity["propensity"].to_numpy()
    t, y = data["mail"].to_numpy() == 1, data["spend"].to_numpy()
    treated, control = DescrStatsW(y[t], 1 / e[t]), DescrStatsW(y[~t], 1 / (1 - e[~t]))
    row = one(found, "ipw")
    assert row["effect"] == pytest.approx(treated.mean - control.mean, abs=1e-10)
    weights = np.where(t, 1 / e, 1 / (1 - e))
    fit = sm.WLS(y, sm.add_constant(t.astype(float)), weights=weights).fit(cov_type="HC0")
    assert row["effect"] == pytest.approx(fit.params[1], abs=1e-10)
    assert row["se"] == pytest.approx(fit.bse[1], rel=2e-3)  # n - 1 in each group, not n
    raw = one(found, "raw")
    assert raw["effect"] == pytest.approx(y[t].mean() - y[~t].mean())
    welch = np.sqrt(y[t].var(ddof=1) / t.sum() + y[~t].var(ddof=1) / (~t).sum())
    assert raw["se"] == pytest.approx(welch, rel=1e-10)


def test_the_doubly_robust_estimate_is_its_formula_on_the_same_folds():
    data = make_customers(400)
    models = {"propensity_model": LogisticRegression(), "outcome_model": LinearRegression()}
    found = observational_effect(data, **ROLES, covariates=["loyal"], trim=0, n_folds=2, **models)
    t, y = data["mail"].to_numpy() == 1, data["spend"].to_numpy()
    e = found.propensity["propensity"].to_numpy()
    x = data["loyal"].to_numpy()
    rank = (pd.Series(x).rank().to_numpy() - 0.5) / len(x)
    X = np.column_stack([x, rank, *(np.maximum(rank - at, 0) for at in (0.25, 0.5, 0.75))])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    # a fold is known by its propensities: both ways of splitting cannot give the same
    order = np.lexsort((np.random.default_rng(0).random(400), t))
    fold = np.empty(400, dtype=int)
    fold[order] = np.arange(400) % 2
    scores = np.empty(400)
    for k in range(2):
        learn, held = fold != k, fold == k
        chance = LogisticRegression().fit(X[learn], t[learn]).predict_proba(X[held])[:, 1]
        np.testing.assert_allclose(e[held], chance, rtol=1e-9)
        with_it = LinearRegression().fit(X[learn & t], y[learn & t]).predict(X[held])
        without = LinearRegression().fit(X[learn & ~t], y[learn & ~t]).predict(X[held])
        own, rest = t[held], y[held]
        scores[held] = with_it - without
        scores[held] += np.where(own, (rest - with_it) / chance, -(rest - without) / (1 - chance))
    row = one(found, "doubly_robust")
    assert row["effect"] == pytest.approx(scores.mean(), rel=1e-9)
    assert row["se"] == pytest.approx(scores.std(ddof=1) / 20, rel=1e-9)


@pytest.mark.parametrize("estimand", ["all", "treated"])
@pytest.mark.parametrize(
    "models",
    [
        {"propensity_model": DummyClassifier()},
        {"outcome_model": DummyRegressor()},
    ],
)
def test_one_right_model_of_the_two_is_enough(models, estimand):
    data = make_customers(20_000, seed=3)
    found = observational_effect(
        data, **ROLES, covariates=["loyal", "tier"], estimand=estimand, **models
    )
    row = one(found, "doubly_robust")
    assert abs(row["effect"] - 1) < 3.5 * row["se"]
    assert row["se"] < 0.1
    assert one(found, "raw")["effect"] > 2


def test_the_effect_on_the_treated_is_not_that_on_all():
    rng = np.random.default_rng(8)
    n = 20_000
    x = rng.random(n)
    mail = rng.random(n) < 0.1 + 0.8 * x
    data = pd.DataFrame({"who": range(n), "mail": mail, "x": x})
    data["spend"] = 5 * x + 4 * x * mail + rng.normal(size=n)
    found = {
        estimand: observational_effect(data, **ROLES, covariates=["x"], estimand=estimand, trim=0)
        for estimand in ("all", "treated")
    }
    truths = {"all": 2.0, "treated": 4 * (0.05 + 0.8 / 3) / 0.5}
    for estimand, truth in truths.items():
        for method in ("ipw", "doubly_robust"):
            row = one(found[estimand], method)
            assert abs(row["effect"] - truth) < 3.5 * row["se"]
            assert row["se"] < 0.06


def twins(seed, n=2_000):
    """Return a randomised campaign of the shop, its biased twin, and the planted effect.

    The twin keeps treated customers who spent more and untreated ones who spent less: who is kept
    does not depend on spending, so that both have one truth.
    """
    shop = cs.datasets.make_shop(n, random_state=seed)
    both = shop.campaign[shop.campaign["arm"] != "early_access"].merge(
        shop.truth[["customer_id", "effect_discount", "segment"]], on="customer_id"
    )
    both = both.merge(shop.customers[["customer_id", "region"]], on="customer_id")
    both["mail"] = (both["arm"] == "discount").astype(int)
    rank = both["pre_spend"].rank() / len(both)
    chance = np.where(both["mail"] == 1, 0.1 + 0.8 * rank, 0.9 - 0.8 * rank)
    kept = np.random.default_rng([seed, 1]).random(len(both)) < chance
    return both, both[kept], both["effect_discount"].mean()


SHOP = {
    "customer_id": "customer_id",
    "treated": "mail",
    "outcome": "spend",
    "covariates": ["pre_spend", "region"],
}


def test_the_biased_twin_misleads_until_it_is_adjusted():
    randomised, biased, truth = twins(0, n=20_000)
    honest = observational_effect(randomised, **SHOP)
    adjusted = observational_effect(biased, **SHOP, segments="segment")
    raw, best = one(adjusted, "raw"), one(adjusted, "doubly_robust")
    assert raw["ci_low"] > truth  # the raw interval excludes the truth
    # one campaign is one draw; how often intervals cover is counted over seeds below
    assert abs(best["effect"] - truth) < 3 * best["se"]
    assert abs(one(honest, "raw")["effect"] - truth) < 3 * one(honest, "raw")["se"]
    assert raw["effect"] - truth > 3 * abs(best["effect"] - truth)
    for method in ("raw", "ipw", "doubly_robust"):
        rows = adjusted.table[adjusted.table["method"] == method]
        np.testing.assert_array_equal(rows["p_holm"].iloc[1:], holm(rows["p_value"].iloc[1:]))
        assert rows["p_holm"].iloc[0] == rows["p_value"].iloc[0]
    planted = biased.groupby("segment")["effect_discount"].mean()
    for segment, effect in planted.items():
        row = one(adjusted, "doubly_robust", segment)
        assert abs(row["effect"] - effect) < 3.5 * row["se"]
    balance = adjusted.balance.set_index("covariate")
    assert balance.loc["pre_spend", "raw"] > 0.4
    assert balance["weighted"].abs().max() < 0.1
    assert (adjusted.overlap["n_effective"] < adjusted.overlap["n"]).all()


@pytest.mark.slow
def test_intervals_of_the_biased_twin_cover_the_planted_effect():
    held = {"raw": [], "ipw": [], "doubly_robust": []}
    for seed in range(100):
        _, biased, truth = twins(seed, n=3_000)
        found = observational_effect(biased, **SHOP)
        for method, answers in held.items():
            row = one(found, method)
            answers.append(row["ci_low"] <= truth <= row["ci_high"])
    error = 2 * np.sqrt(0.05 * 0.95 / 100)
    assert np.mean(held["doubly_robust"]) >= 0.95 - error
    assert np.mean(held["ipw"]) >= 0.95 - error
    assert np.mean(held["raw"]) < 0.75


@pytest.mark.slow
def test_intervals_cover_where_nuisances_are_learned():
    held = []
    for seed in range(200):
        found = observational_effect(
            make_customers(300, seed=seed), **ROLES, covariates=["loyal", "tier"]
        )
        row = one(found, "doubly_robust")
        held.append(row["ci_low"] <= 1 <= row["ci_high"])
    assert np.mean(held) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 200)


def test_who_cannot_be_compared_is_trimmed_and_named():
    data = make_customers(2_000)
    data.loc[data["loyal"] > 0.8, "mail"] = 1  # all of the most loyal are treated
    found = observational_effect(data, **ROLES, covariates=["loyal", "tier"], trim=0.05)
    account = found.account
    assert account["trimmed"] > 100
    assert account["rows_in"] == account.drop("rows_in").sum()
    assert found.propensity["trimmed"].sum() == account["trimmed"]
    assert any("The effect is that on the others" in note for note in found.notes)
    assert found.notes[0].startswith("Observational")
    apart = data["loyal"] + np.random.default_rng(1).normal(0, 0.1, len(data)) > 0.5
    thin = observational_effect(data.assign(mail=apart), **ROLES, covariates=["loyal"], trim=0)
    assert any(note.startswith("Poor overlap") for note in thin.notes)


def test_missing_values_count_and_rows_without_an_answer_are_counted():
    data = make_customers()
    data.loc[:49, "loyal"] = np.nan
    data.loc[50:59, "tier"] = None
    data.loc[60:64, "spend"] = np.nan
    found = observational_effect(
        data.assign(mail=data["mail"].astype("Int64").where(data.index > 2)),
        **ROLES,
        covariates=["loyal", "tier"],
    )
    assert found.account[["no_treatment", "no_outcome"]].tolist() == [3, 5]
    assert {"loyal missing", "tier: (missing)"} <= set(found.balance["covariate"])


def test_row_order_and_engine_change_nothing():
    data = make_customers()
    expected = observational_effect(data, **ROLES, covariates=["loyal", "tier"]).table
    import polars as pl

    shuffled = data.sample(frac=1, random_state=2)
    for other in (shuffled, pl.from_pandas(shuffled)):
        found = observational_effect(other, **ROLES, covariates=["loyal", "tier"]).table
        pd.testing.assert_frame_equal(found, expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        ({}, {"covariates": ["loyl"]}, ColumnError, "Did you mean 'loyal'"),
        ({}, {"covariates": "loyal"}, ParameterError, "must be a list"),
        ({}, {"covariates": ["spend"]}, ParameterError, "must not hold the outcome"),
        ({}, {"estimand": "atc"}, ParameterError, "estimand is 'atc'"),
        ({}, {"trim": 0.5}, ParameterError, "trim is 0.5"),
        ({"mail": 2}, {}, DataError, "must hold 0 and 1 only"),
        ({"mail": 1}, {}, DataError, "0 are not"),
        ({"who": 1}, {}, DataError, "repeat a customer"),
        ({"tier": [str(i) for i in range(300)]}, {"covariates": ["tier"]}, DataError, "at most 50"),
        ({"spend": np.inf}, {}, DataError, "infinite values"),
        ({"spend": "much"}, {}, DataError, "must hold numbers"),
    ],
)
def test_bad_input_stops_with_a_remedy(change, options, error, words):
    given = {"covariates": ["loyal"]} | options
    with pytest.raises(error, match=words):
        observational_effect(make_customers(300).assign(**change), **ROLES, **given)


def test_the_picture_counts_every_customer():
    found = observational_effect(make_customers(), **ROLES, covariates=["loyal", "tier"])
    ax = found.plot()
    heights = np.array([bar.get_height() for bar in ax.patches])
    assert heights[heights > 0].sum() == found.propensity["treated"].sum()
    assert -heights[heights < 0].sum() == (~found.propensity["treated"]).sum()
    assert "observational" in ax.get_title(loc="left")
    plt.close("all")
