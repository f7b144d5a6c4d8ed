"""The value of policies against brute force, closed forms and planted truth."""

from typing import ClassVar

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info, threadpool_limits

import custseg as cs
from custseg.campaigns import Learner, policy_value
from custseg.campaigns._crossfit import doubly_robust, draw_folds, fit_ridge, predict_outcomes
from custseg.campaigns._policy_learning import _drawn_errors, learned_policies, within_budget
from custseg.campaigns._trial import read_trial
from custseg.errors import ColumnError, DataError, ParameterError

ROLES = {"outcome": "spend", "arm": "arm", "control": "none", "customer_id": "customer"}


def campaign(n=1_200, seed=3, effects=(4.0, -2.0)):
    """A randomised campaign of one offer that helps one segment and harms the other."""
    rng = np.random.default_rng(seed)
    segment = rng.choice(["old", "young"], n)
    before = rng.gamma(2, 5, n)
    arm = rng.permutation(np.resize(["none", "offer", "offer"], n))
    effect = np.where(segment == "old", effects[0], effects[1])
    base = 3 + before
    spend = base + effect * (arm == "offer") + rng.normal(0, 4, n)
    return pd.DataFrame(
        {
            "customer": rng.permutation(n),
            "segment": segment,
            "before": before,
            "arm": arm,
            "spend": spend,
            "base": base,
            "effect": effect,
        }
    )


def true_value(found, table, policy, cost=0.0):
    chance = found.policies[(policy, "offer")]
    rows = table.set_index("customer").loc[chance.index]
    return (rows["base"] + chance * (rows["effect"] - cost)).mean()


def test_without_features_values_are_means_and_differences_are_welch_like():
    table = campaign()
    found = policy_value(table, **ROLES).to_frame().set_index(["policy", "method"])
    for name, arm in (("nobody", "none"), ("everybody: offer", "offer")):
        own = table.loc[table["arm"] == arm, "spend"]
        row = found.loc[(name, "ipw")]
        assert row["value"] == pytest.approx(own.mean(), abs=1e-12)
        assert row["se"] == pytest.approx(own.std(ddof=1) / np.sqrt(len(own)), rel=1e-3)
    pair = policy_value(table, **ROLES).compare("everybody: offer", "nobody", method="ipw")
    welch = stats.ttest_ind(
        table.loc[table["arm"] == "offer", "spend"],
        table.loc[table["arm"] == "none", "spend"],
        equal_var=False,
    )
    assert pair["difference"] / pair["se"] == pytest.approx(welch.statistic, rel=2e-3)


def test_doubly_robust_value_is_what_it_says_by_brute_force():
    table = campaign(240).sort_values("customer", ignore_index=True)
    learner = Learner(n_folds=3, random_state=5)
    found = policy_value(table, **ROLES, segments="segment", features=["before"], learner=learner)
    trial = read_trial(table, **ROLES, features=["before"], segments="segment")
    fold = draw_folds(trial, learner)
    X, y = trial.features, trial.outcome
    share = (table["arm"] == "offer").mean()
    mu = np.empty((len(y), 2))
    for k in range(3):
        for a, arm in enumerate(["none", "offer"]):
            learn = (fold != k) & (table["arm"] == arm).to_numpy()
            mu[fold == k, a] = fit_ridge(X[learn], y[learn]).predict(X[fold == k])
    chance = found.policies["by segment"].to_numpy()
    parts = []
    for i in range(len(y)):
        part = chance[i] @ mu[i]
        a = int(table["arm"][i] == "offer")
        part += chance[i, a] / (share if a else 1 - share) * (y[i] - mu[i, a])
        parts.append(part)
    row = found.to_frame().set_index(["policy", "method"]).loc[("by segment", "dr")]
    assert row["value"] == pytest.approx(np.mean(parts), abs=1e-10)
    assert row["se"] >= np.std(parts, ddof=1) / np.sqrt(len(y)) - 1e-12


def test_a_fold_is_given_what_the_others_say_and_nothing_of_its_own():
    table = campaign(300).sort_values("customer", ignore_index=True)
    learner = Learner(n_folds=3)
    trial = read_trial(table, **ROLES, features=["before"], segments="segment")
    fold = draw_folds(trial, learner)
    spoilt = table.assign(spend=np.where(fold == 1, 1e4 * (table["arm"] == "offer"), table.spend))
    options = {"segments": "segment", "features": ["before"], "learner": learner, "budget": 0.3}
    before = policy_value(table, **ROLES, **options).policies[fold == 1]
    after = policy_value(spoilt, **ROLES, **options).policies[fold == 1]
    pd.testing.assert_frame_equal(before, after)


def test_choices_with_and_without_a_second_fold_follow_from_the_mean_scores():
    table = campaign(300, effects=(0.6, -0.6)).sort_values("customer", ignore_index=True)
    learner = Learner(n_folds=3)
    trial = read_trial(table, **ROLES, features=["before"], segments="segment")
    fold = draw_folds(trial, learner)
    predicted = predict_outcomes(trial, fold, learner)
    ways, chosen = learned_policies(
        trial, fold, predicted, None, cost=np.array([0, 0.5]), budget=None
    )
    by_segment = ways["by segment"]
    for k in range(3):
        scores = doubly_robust(trial, predicted[k])
        for j in range(3):
            for g, segment in enumerate(["old", "young"]):
                own = (table["segment"] == segment).to_numpy()
                learn = own & (fold != k) & (fold != j)
                gain = scores[learn, 1].mean() - scores[learn, 0].mean() - 0.5
                held = own & (fold == k)
                np.testing.assert_array_equal(by_segment.without[j, held, 1], float(gain > 0))
                if j == k:
                    np.testing.assert_array_equal(by_segment.chances[held, 1], float(gain > 0))
                    assert chosen[k, g] == int(gain > 0)


@pytest.mark.parametrize("n_folds", [3, 5])
def test_errors_of_folds_go_together_as_much_as_a_closed_form_says(n_folds):
    """Without effect, sum of covariances = s^2 (K - 1) / (2 pi sqrt(2 K - 3)) / n."""
    gain = np.random.default_rng(1).normal(size=2_000)
    gain = (gain - gain.mean()) / gain.std()
    gains = np.column_stack([np.zeros(2_000), gain])
    drawn = _drawn_errors(gains, np.zeros(2_000, dtype=np.intp), n_folds)["all alike"]
    shared = (drawn.sum(axis=1) ** 2 - (drawn**2).sum(axis=1)).mean() * 2_000
    exact = (n_folds - 1) / (2 * np.pi * np.sqrt(2 * n_folds - 3))
    assert shared == pytest.approx(exact, abs=0.08)


def test_folds_that_choose_for_each_other_widen_intervals():
    wider, covered = [], []
    for seed in range(60):
        table = campaign(300, seed, effects=(0.0, 0.0))
        found = policy_value(table, **ROLES)
        row = found.compare("all alike", "nobody")
        covered.append(row["ci_low"] <= 0 <= row["ci_high"])
        trial = read_trial(table, **ROLES, features=[])
        fold = draw_folds(trial, Learner())
        own = predict_outcomes(trial, fold, Learner())[fold, np.arange(300)]
        scores = doubly_robust(trial, own)
        chance = found.policies[("all alike", "offer")].to_numpy()
        naive = (chance * (scores[:, 1] - scores[:, 0])).std(ddof=1) / 300**0.5
        if naive > 0:
            wider.append(row["se"] / naive)
    assert min(wider) >= 1
    assert np.mean(wider) > 1.05
    assert np.mean(covered) >= 0.88


def test_planted_gains_are_found_and_the_harmed_segment_is_left_alone():
    table = campaign(3_000)
    found = policy_value(table, **ROLES, segments="segment", features=["before", "segment"])
    for policy in ("nobody", "everybody: offer", "by segment", "by uplift"):
        row = found.to_frame().set_index(["policy", "method"]).loc[(policy, "dr")]
        assert abs(row["value"] - true_value(found, table, policy)) < 4 * row["se"]
    chance = found.policies[("by segment", "offer")]
    segment = table.set_index("customer")["segment"].loc[chance.index]
    assert chance[segment == "old"].eq(1).all()
    assert chance[segment == "young"].eq(0).all()
    assert found.compare("by segment", "all alike")["ci_low"] > 0
    assert found.compare("all alike", "by segment")["ci_high"] < 0
    gains = found.segment_arms.set_index("segment")
    assert gains.loc["old", "gain"] == pytest.approx(4, abs=4 * gains.loc["old", "se"])
    assert gains["chosen"].to_dict() == {"old": 1.0, "young": 0.0}


def test_cost_moves_values_by_what_is_spent():
    table = campaign(600)
    free = policy_value(table, **ROLES, policies={"half": table.set_index("customer")["arm"]})
    paid = policy_value(
        table, **ROLES, policies={"half": table.set_index("customer")["arm"]}, cost=1.5
    )
    a, b = (found.to_frame().set_index(["policy", "method"]) for found in (free, paid))
    for policy in ("nobody", "everybody: offer", "half"):
        spent = 1.5 * a.loc[(policy, "dr"), "treated"]
        assert b.loc[(policy, "dr"), "cost"] == pytest.approx(spent)
        assert a.loc[(policy, "dr"), "value"] - b.loc[(policy, "dr"), "value"] == pytest.approx(
            spent
        )


def test_budget_is_kept_and_ties_share_it():
    table = campaign(900)
    found = policy_value(
        table, **ROLES, segments="segment", features=["before", "segment"], budget=0.2
    )
    rows = found.to_frame().query("method == 'dr'").set_index("policy")
    assert rows.loc["budget: by segment", "treated"] == pytest.approx(0.2, abs=1e-9)
    assert rows.loc["budget: by uplift", "treated"] == pytest.approx(0.2, abs=1e-9)
    chance = found.policies[("budget: by segment", "offer")]
    segment = table.set_index("customer")["segment"].loc[chance.index]
    assert chance[segment == "young"].eq(0).all()
    assert chance[segment == "old"].between(0.2, 0.6).all()


def test_within_budget_by_hand():
    gain = np.array([[0, 1.0, 3.0], [0, 2.0, 1.0], [0, -1.0, -2.0], [0, 2.0, 2.0]])
    np.testing.assert_allclose(
        within_budget(gain, 0.5), [[0, 0, 1], [0.5, 0.5, 0], [1, 0, 0], [0.5, 0.5, 0]]
    )
    np.testing.assert_allclose(within_budget(gain, 0.9)[2], [1, 0, 0])


def test_chances_by_customer_equal_shares_by_stratum():
    table = campaign(900)
    table["stratum"] = np.where(table["before"] > 10, "high", "low")
    share = (table["arm"] == "offer").groupby(table["stratum"]).transform("mean")
    table = table.assign(p_offer=share, p_none=1 - share)
    by_stratum = policy_value(table, **ROLES, strata=["stratum"])
    by_customer = policy_value(table, **ROLES, strata={"offer": "p_offer", "none": "p_none"})
    a, b = (found.to_frame().query("method == 'dr'") for found in (by_stratum, by_customer))
    np.testing.assert_allclose(a["value"], b["value"], atol=1e-12)


def test_strata_take_away_what_they_explain():
    table = campaign(1_500, effects=(0.0, 0.0))
    table["stratum"] = pd.qcut(table["before"], 10, labels=False)
    plain = policy_value(table, **ROLES).compare("everybody: offer", "nobody", method="ipw")
    within = policy_value(table, **ROLES, strata=["stratum"])
    row = within.compare("everybody: offer", "nobody", method="ipw")
    assert row["se"] < 0.75 * plain["se"]


def test_rows_are_in_any_order_and_all_accounted_for():
    table = campaign(400)
    table.loc[:9, "arm"] = None
    table.loc[10:14, "spend"] = np.nan
    found = policy_value(table, **ROLES, segments="segment")
    again = policy_value(table.sample(frac=1, random_state=1), **ROLES, segments="segment")
    pd.testing.assert_frame_equal(found.to_frame(), again.to_frame())
    assert found.account.to_dict() == {
        "rows_in": 400,
        "no_arm": 10,
        "no_outcome": 5,
        "rows_used": 385,
    }
    assert "15 customers are set aside" in " ".join(found.notes)


@pytest.mark.parametrize("engine", ["polars", "duckdb", "experiment"])
def test_any_table_gives_the_same(engine):
    table = campaign(300)
    if engine == "polars":
        data = pytest.importorskip("polars").from_pandas(table)
    elif engine == "duckdb":
        data = duckdb.from_df(table)
    else:
        data = cs.Experiment(table, arm="arm", customer_id="customer")
    found, plain = (policy_value(x, **ROLES, segments="segment") for x in (data, table))
    pd.testing.assert_frame_equal(found.to_frame(), plain.to_frame())


def test_a_classifier_may_predict_a_yes_or_no():
    table = campaign(600)
    table["buys"] = (table["spend"] > 12).astype(int)
    roles = ROLES | {"outcome": "buys"}
    learner = Learner(outcome_model=LogisticRegression(), n_folds=3)
    found = policy_value(table, **roles, features=["before"], learner=learner).to_frame()
    assert found["value"].between(0, 1).all()


class Watched(HistGradientBoostingRegressor):
    """Notes how many threads it may use."""

    seen: ClassVar[set] = set()

    def fit(self, X, y):
        self.seen.update(x["num_threads"] for x in threadpool_info() if x["user_api"] == "openmp")
        return super().fit(X, y)


@pytest.mark.parametrize("threads", [1, 2])
def test_models_use_one_thread_and_numbers_do_not_depend_on_it(threads):
    model = Watched(max_iter=3, random_state=0)
    learner = Learner(outcome_model=model, effect_model=model, n_folds=3)
    options = {"features": ["before"], "learner": learner}
    with threadpool_limits(threads):
        found = policy_value(campaign(200), **ROLES, **options).to_frame()
    assert model.seen == {1}
    with threadpool_limits(3 - threads):
        again = policy_value(campaign(200), **ROLES, **options).to_frame()
    pd.testing.assert_frame_equal(found, again, check_exact=True)


def test_segments_that_are_all_rare_explain_no_outcomes():
    table = campaign(300)
    rare = pd.Series([f"label {i % 150}" for i in range(300)], table["customer"])
    at = ["policy", "method"]
    found = policy_value(table, **ROLES, segments=rare).to_frame().set_index(at)
    none = policy_value(table, **ROLES).to_frame().set_index(at)
    for policy in ("nobody", "everybody: offer"):
        pd.testing.assert_frame_equal(found.loc[[policy]], none.loc[[policy]])


def test_policies_given_as_columns_equal_those_given_as_series():
    table = campaign(300)
    table["plan"] = np.where(table["before"] > 8, "offer", "none")
    by_column = policy_value(table, **ROLES, policies={"plan": "plan"}).to_frame()
    series = table.set_index("customer")["plan"]
    pd.testing.assert_frame_equal(
        by_column, policy_value(table, **ROLES, policies={"plan": series}).to_frame()
    )


def test_summary_says_what_segments_earn():
    found = policy_value(campaign(3_000), **ROLES, segments="segment")
    assert "'by segment' earns" in found.summary()
    assert "more than 'all alike'" in found.summary()
    assert "treating is taken to cost nothing" in repr(found)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"outcome": "spent"}, ColumnError, "Did you mean 'spend'"),
        ({"control": "nothing"}, ParameterError, "control is 'nothing'"),
        ({"features": ["spend"]}, ParameterError, "known before"),
        ({"features": "before"}, ParameterError, "list of columns"),
        ({"budget": 1.2}, ParameterError, "budget is 1.2"),
        ({"cost": {"ofer": 1}}, ColumnError, "Did you mean 'offer'"),
        ({"policies": {"nobody": "arm"}}, ParameterError, "taken"),
        ({"policies": {"mine": "segment"}}, DataError, "none of the arms"),
        ({"segments": pd.Series(["a"], index=[-5])}, DataError, "customer ids"),
        ({"strata": {"offer": "before"}}, ParameterError, "for each arm"),
        ({"strata": ["before"]}, DataError, "coarser strata"),
        ({"outcome": "segment", "segments": None}, DataError, "must hold numbers"),
        ({"features": None}, ParameterError, "features is None"),
        ({"features": ["customer"]}, ParameterError, "tells customers apart"),
        ({"features": ["name"]}, DataError, "holds 120 texts"),
        ({"outcome": "empty"}, DataError, "none of 120 rows can be used"),
        ({"strata": {"offer": "segment", "none": "before"}}, DataError, "must hold chances"),
        ({"learner": "dr"}, ParameterError, "must be a Learner"),
        ({"policies": ["mine"]}, ParameterError, "policies is a list"),
        ({"policies": {"mine": pd.Series(["none"] * 2, [1, 1])}}, DataError, "repeats customers"),
        ({"cost": "1"}, ParameterError, "cost\\['offer'\\] is '1'"),
        ({"learner": Learner(outcome_model=LogisticRegression())}, ParameterError, "not only 0"),
    ],
)
def test_bad_input_stops_first(change, error, words):
    table = campaign(120).assign(empty=np.nan)
    table["name"] = [f"customer {i}" for i in table["customer"]]
    with pytest.raises(error, match=words):
        policy_value(table, **(ROLES | change))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "s"}, "kind is 's'"),
        ({"n_folds": 2}, "n_folds is 2"),
        ({"outcome_model": "ridge"}, "scikit-learn estimator"),
        ({"outcome_model": Ridge}, "scikit-learn estimator"),
        ({"outcome_model": StandardScaler()}, "has no predict"),
        ({"outcome_model": KMeans(2)}, "predicts no outcomes"),
        ({"outcome_model": LinearSVC()}, "without predict_proba"),
        ({"effect_model": LogisticRegression()}, "effects are numbers"),
    ],
)
def test_a_learner_is_checked_when_it_is_made(options, words):
    with pytest.raises(ParameterError, match=words):
        Learner(**options)


def test_intervals_cover_the_truth_planted_in_the_shop():
    """A small version of the study in the benchmarks: values, and what segments earn."""
    hits, z = [], []
    for seed in range(12):
        shop = cs.datasets.make_shop(1_500, random_state=seed)
        truth = shop.truth.set_index("customer_id").sort_index()
        found = policy_value(
            shop.campaign,
            outcome="spend",
            arm="arm",
            control="control",
            customer_id="customer_id",
            segments=truth["segment"],
            strata=["stratum"],
        )
        effects = truth[["effect_discount", "effect_early_access"]].to_numpy()
        net = truth["spend_control"].to_numpy()[:, None] + np.column_stack(
            [np.zeros(len(truth)), effects]
        )
        arms = ["control", "discount", "early_access"]
        true = {
            name: (found.policies[name][arms].to_numpy() * net).sum(axis=1).mean()
            for name in found.table["policy"].unique()
        }
        rows = found.to_frame().query("method == 'dr'").itertuples()
        hits += [row.ci_low <= true[row.policy] <= row.ci_high for row in rows]
        row = found.compare("by segment", "all alike")
        z.append((row["difference"] - true["by segment"] + true["all alike"]) / row["se"])
    assert np.mean(hits) > 0.88
    assert np.mean(np.abs(z) < 1.96) >= 0.75
    assert abs(np.mean(z)) < 3 / np.sqrt(12)
