"""Qini, AUUC, calibration and groups of predicted uplift, by hand and against planted effects."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from custseg.campaigns import Learner, predict_effects
from custseg.campaigns._crossfit import fit_ridge
from custseg.campaigns._ranking import (
    Scores,
    fold_centred,
    fold_ranks,
    gain_curve,
    rank_areas,
    score_slope,
    shared_errors,
)
from custseg.errors import ColumnError, DataError, ParameterError

ROLES = {"outcome": "spend", "arm": "arm", "control": "none", "customer_id": "customer"}


def campaign(n=2_000, seed=0, slope=2.0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(size=n)
    arm = rng.permutation(np.resize(["none", "mail"], n))
    effect = 1 + slope * x
    spend = 5 + z + effect * (arm == "mail") + rng.normal(0, 2, n)
    return pd.DataFrame(
        {"customer": np.arange(n), "x": x, "z": z, "arm": arm, "spend": spend, "effect": effect}
    )


def areas(effect, score):
    """Of a ranking that is given: nothing is shared between folds."""
    rank = fold_ranks(score, np.zeros(len(score), dtype=np.intp))
    return rank_areas(None, 1, Scores("dr", effect, effect), rank)


def areas_by_hand(effect, score):
    """Treat one customer after the other, the best first; trapezoids under what is gained."""
    gained = np.concatenate([[0], np.cumsum(effect[np.argsort(-score)])]) / len(effect)
    auuc = ((gained[1:] + gained[:-1]) / 2).mean()
    return auuc, auuc - gained[-1] / 2


@pytest.mark.parametrize("n", [2, 7, 200])
def test_areas_are_those_under_the_curve_of_gains(n):
    rng = np.random.default_rng(n)
    effect, score = rng.normal(size=n), rng.permutation(n).astype(float)
    found = areas(effect, score)
    assert [found["auuc"], found["qini"]] == pytest.approx(areas_by_hand(effect, score))


def test_ties_count_as_the_mean_of_all_orders():
    effect = np.array([3.0, -1.0, 5.0, 0.5])
    score = np.array([1.0, 1.0, 1.0, 0.0])
    found = areas(effect, score)
    rng = np.random.default_rng(0)
    orders = [areas_by_hand(effect, score + 1e-6 * rng.random(4))[1] for _ in range(4_000)]
    assert found["qini"] == pytest.approx(np.mean(orders), abs=0.02)


def test_weighted_qini_is_the_classic_one_with_equal_arms():
    """Radcliffe: responses of the treated less those of control, scaled, on the way down."""
    table = campaign(400)
    order = np.argsort(-table["x"].to_numpy(), kind="stable")
    treated = (table["arm"] == "mail").to_numpy()[order]
    y = table["spend"].to_numpy()[order]
    classic = 2 * np.concatenate([[0], np.cumsum(np.where(treated, y, -y))]) / len(y)
    effect = np.where(table["arm"] == "mail", 2.0, -2.0) * table["spend"].to_numpy()
    rank = fold_ranks(table["x"].to_numpy(), np.zeros(400, dtype=int))
    curve = gain_curve(effect, rank)
    np.testing.assert_allclose(curve["gain"], classic[::4], atol=1e-10)


def test_intervals_of_areas_cover_what_is_true():
    """The ranking is given, the truth is closed: E[(1 + 2x)(F(x) - 1/2)] = 2 / (2 sqrt(pi))."""
    truth, hits = 1 / np.sqrt(np.pi), []
    auuc_hits = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=300)
        effect = 1 + 2 * x + rng.normal(0, 1, 300)
        found = areas(effect, x)
        hits.append(found["qini_low"] < truth < found["qini_high"])
        auuc_hits.append(found["auuc_low"] < truth + 0.5 < found["auuc_high"])
    assert 0.92 <= np.mean(hits) <= 0.98
    assert 0.92 <= np.mean(auuc_hits) <= 0.98


def test_ranks_are_those_of_scipy_within_folds():
    rng = np.random.default_rng(2)
    score, fold = rng.normal(size=500).round(1), rng.integers(0, 4, 500)
    expected = np.empty(500)
    for k in range(4):
        own = fold == k
        expected[own] = (stats.rankdata(-score[own]) - 0.5) / own.sum()
    np.testing.assert_allclose(fold_ranks(score, fold), expected, atol=1e-15)


def test_folds_share_what_each_moves_in_the_other():
    """Errors of a slope are linear in predictions: with the other fold less without it."""
    rng = np.random.default_rng(3)
    fold, noise = np.arange(200) % 4, rng.normal(size=200)
    uplift = rng.normal(size=(4, 200))
    own = uplift[fold, np.arange(200)]
    for k in range(4):
        uplift[k, fold == k] = own[fold == k]
    moved = np.empty((4, 4))
    for j in range(4):
        change = (fold_centred(own, fold) - fold_centred(uplift[j], fold)) * noise
        moved[j] = np.bincount(fold, change)
    x = fold_centred(own, fold)
    by_hand = sum(moved[j, k] * moved[k, j] for j in range(4) for k in range(4)) / (x @ x) ** 2
    found = shared_errors(uplift, fold, [Scores("dr", noise, noise)], 3)[0]
    assert found["slope"][0] == pytest.approx(max(by_hand, 0), rel=1e-10)
    assert found["area"][0] >= 0
    assert found["curve"][-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("features", [["x"], ["x", "z"]])
def test_intervals_cover_where_rankings_are_learned_from_nothing(features):
    """Folds learn from each other: the error of Qini is far above what one fold would say."""
    rows = []
    for seed in range(100):
        found = predict_effects(campaign(300, seed, slope=0.0), **ROLES, features=features)
        rows.append(found.to_frame().query("method == 'dr'").iloc[0])
    found = pd.DataFrame(rows)
    assert ((found["qini_low"] < 0) & (found["qini_high"] > 0)).mean() >= 0.9
    assert ((found["auuc_low"] < 0.5) & (found["auuc_high"] > 0.5)).mean() >= 0.9
    assert 0.8 < (found["qini_se"] ** 2).mean() / (found["qini"] ** 2).mean() < 1.35


@pytest.mark.parametrize("kind", ["t", "x", "dr"])
def test_every_learner_finds_the_planted_effects(kind):
    table = campaign(4_000)
    found = predict_effects(table, **ROLES, features=["x", "z"], learner=Learner(kind=kind))
    effect = table.set_index("customer")["effect"]
    assert np.corrcoef(found.predicted["mail"], effect)[0, 1] > 0.97
    row = found.calibration.iloc[0]
    assert row["ci_low"] < 1 < row["ci_high"]
    assert row["p_value"] < 1e-6
    area = found.to_frame().set_index("method")
    truth = areas_by_hand(effect.to_numpy(), found.predicted["mail"].to_numpy())
    for method in ("dr", "ipw"):
        assert abs(area.loc[method, "auuc"] - truth[0]) < 4 * area.loc[method, "auuc_se"]
        assert abs(area.loc[method, "qini"] - truth[1]) < 4 * area.loc[method, "qini_se"]
    groups = found.gates
    assert groups["effect"].is_monotonic_decreasing
    own = effect.groupby(pd.qcut(-found.predicted["mail"], 5, labels=False)).mean()
    assert ((groups["effect"] - own.to_numpy()).abs() < 4 * groups["se"]).all()
    assert "ranks customers" in found.summary()
    assert ("about 90%" in " ".join(found.notes)) == (kind != "dr")


def test_without_heterogeneity_nothing_is_found():
    table = campaign(2_000, slope=0.0)
    found = predict_effects(table, **ROLES, features=["x", "z"])
    row = found.to_frame().set_index("method").loc["dr"]
    assert row["qini_low"] < 0 < row["qini_high"]
    assert "not seen to rank" in found.summary()


@pytest.mark.parametrize("change", [{"x": 1.0}, {"spend": 7.0}])
def test_where_nothing_can_be_told_apart_that_is_said(change):
    found = predict_effects(campaign(200).assign(**change), **ROLES, features=["x"])
    assert "the same uplift is predicted for everybody" in found.summary()
    assert np.isnan(found.calibration.loc[0, ["slope", "highest_minus_lowest"]].to_list()).all()
    assert found.gates["n"].sum() == 200
    assert found.to_frame()["qini"].abs().max() < 1e-12


def test_slope_is_that_of_least_squares():
    rng = np.random.default_rng(1)
    x = rng.normal(size=80)
    y = 2 + 0.7 * x + rng.normal(size=80)
    found = score_slope(y, x, np.zeros(80, dtype=np.intp), 0.0)
    slope = np.polyfit(x, y, 1)[0]
    assert found["slope"] == pytest.approx(slope)
    import statsmodels.api as sm

    robust = sm.OLS(y, sm.add_constant(x)).fit(cov_type="HC1")
    assert found["se"] == pytest.approx(robust.bse[1])


def test_the_default_model_is_ridge_with_the_penalty_of_generalised_cross_validation():
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    from custseg.campaigns._crossfit import _PENALTIES

    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6)) * [1, 10, 3, 1, 1, 0]
    y = X @ [1, 0.2, 0, 0, 0, 0] + 3 * rng.normal(size=300)
    Z = StandardScaler().fit_transform(X)
    fits = []
    for penalty in 300 * _PENALTIES:
        model = Ridge(alpha=penalty).fit(Z, y)
        free = 299 - np.trace(Z @ np.linalg.solve(Z.T @ Z + penalty * np.eye(6), Z.T))
        fits.append((((y - model.predict(Z)) ** 2).sum() / free**2, model.predict(Z)))
    best = min(fits, key=lambda fit: fit[0])[1]
    np.testing.assert_allclose(fit_ridge(X, y).predict(X), best, atol=1e-10)


def test_a_customer_has_no_say_in_the_own_prediction():
    table = campaign(300)
    spoilt = table.assign(spend=np.where(table["customer"] == 7, 1e6, table["spend"]))
    options = {"features": ["x", "z"], "learner": Learner(n_folds=3)}
    before = predict_effects(table, **ROLES, **options).predicted.loc[7]
    after = predict_effects(spoilt, **ROLES, **options).predicted.loc[7]
    pd.testing.assert_series_equal(before, after)


def test_text_order_and_gaps_are_read():
    table = campaign(500)
    table["region"] = np.where(table["x"] > 0, "north", None)
    table["band"] = pd.cut(table["z"], [-9, 0, 9], labels=["low", "high"], ordered=True)
    table.loc[:20, "z"] = np.nan
    found = predict_effects(table, **ROLES, features=["region", "band", "z"])
    assert found.predicted["mail"].notna().all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"features": []}, ParameterError, "names no column"),
        ({"features": ["y"]}, ColumnError, "no column 'y'"),
        ({"n_groups": 1}, ParameterError, "n_groups is 1"),
        ({"features": ["day"]}, DataError, "holds dates"),
    ],
)
def test_bad_input_stops_first(change, error, words):
    table = campaign(100).assign(day=pd.Timestamp("2024-01-01"))
    with pytest.raises(error, match=words):
        predict_effects(table, **(ROLES | {"features": ["x"]} | change))
