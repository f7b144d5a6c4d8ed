"""Do segments differ, what they are shrunk to, and what the effect on everybody is made of."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import glm
from statsmodels.stats.meta_analysis import combine_effects

import custseg as cs
from custseg.campaigns.heterogeneity import log_odds_test, q_test
from custseg.campaigns.shrinkage import shrunk_effects
from custseg.stats import Difference, newcombe, shrink, welch

METRICS = {
    "visit": cs.Proportion("visit"),
    "spend": cs.Mean("spend"),
    "adjusted": cs.Mean("spend", covariate="history"),
    "basket": cs.Ratio("spend", "orders"),
    "median": cs.Quantile("spend"),
}


@pytest.fixture(scope="module")
def campaign():
    """Three arms, four segments with unlike baselines, and customers in no segment."""
    rng = np.random.default_rng(5)
    n = 6_000
    tier = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    arm = rng.choice(["none", "mail", "call"], n, p=[0.5, 0.3, 0.2])
    history = rng.gamma(2, 10, n)
    lift = np.array([0.01, 0.03, 0.06, 0.15])[tier] * (arm == "mail")
    orders = 1 + rng.poisson(1 + tier)
    return pd.DataFrame(
        {
            "arm": arm,
            "tier": pd.Series(np.array(list("abcd"))[tier]).mask(rng.random(n) < 0.05),
            "visit": (rng.random(n) < np.array([0.05, 0.1, 0.3, 0.5])[tier] + lift).astype(int),
            "spend": history + orders * rng.exponential(5, n) + 20 * lift,
            "history": history,
            "orders": orders,
        }
    )


@pytest.fixture(scope="module")
def impact(campaign):
    test = cs.CampaignTest(arm="arm", control="none", metrics=METRICS, segments="tier")
    return test.analyze(campaign)


def by_segment(impact, metric, arm):
    frame = impact.to_frame()
    return frame[
        (frame["metric"] == metric) & (frame["arm"] == arm) & (frame["segment"] != "(all)")
    ]


def test_every_metric_is_tested_on_differences_and_proportions_on_log_odds_too(impact):
    found = impact.heterogeneity
    columns = ["metric", "arm", "scale", "statistic", "df", "p_value", "i2"]
    assert list(found.columns) == columns
    scales = {name: ["difference"] for name in METRICS} | {"visit": ["difference", "log_odds"]}
    assert list(found[["metric", "arm", "scale"]].itertuples(index=False, name=None)) == [
        (metric, arm, scale)
        for metric, of_metric in scales.items()
        for arm in ["call", "mail"]
        for scale in of_metric
    ]
    assert (found["df"] == 3).all()


def test_q_equals_statsmodels(impact):
    found = impact.heterogeneity
    for row in found[found["scale"] == "difference"].itertuples():
        part = by_segment(impact, row.metric, row.arm)
        want = combine_effects(part["effect"].to_numpy(), part["se"].to_numpy() ** 2)
        assert row.statistic == pytest.approx(want.q, rel=1e-10)
        assert row.p_value == pytest.approx(want.test_homogeneity().pvalue, rel=1e-9)
        assert row.i2 == pytest.approx(max(0, want.i2), abs=1e-10)


def test_the_likelihood_ratio_equals_that_of_logistic_regression(impact, campaign):
    found = impact.heterogeneity
    for row in found[found["scale"] == "log_odds"].itertuples():
        part = campaign[campaign["arm"].isin([row.arm, "none"])].dropna()
        fits = [
            glm(f"visit ~ C(tier) {sign} C(arm)", part, family=sm.families.Binomial()).fit(
                tol=1e-12
            )
            for sign in "+*"
        ]
        want = 2 * (fits[1].llf - fits[0].llf)
        assert row.statistic == pytest.approx(want, abs=1e-7)
        assert row.p_value == pytest.approx(stats.chi2.sf(want, 3), rel=1e-7)


def test_empty_cells_have_a_likelihood_and_tables_that_say_nothing_do_not_count():
    x_t, x_c = np.array([0.0, 30, 12, 0, 50]), np.array([4.0, 10, 12, 0, 50])
    n = np.full(5, 50.0)
    found = log_odds_test(x_t, n, x_c, n)
    assert found.df == 2  # nobody, or everybody, in the last two
    frame = pd.DataFrame(
        {
            "x": np.r_[x_t[:3], x_c[:3]],
            "rest": 50 - np.r_[x_t[:3], x_c[:3]],
            "arm": np.repeat([1, 0], 3),
            "segment": list("abc") * 2,
        }
    )
    fit = glm("x + rest ~ segment + arm", frame, family=sm.families.Binomial()).fit(tol=1e-12)
    assert found.statistic == pytest.approx(fit.deviance, rel=1e-8)
    nobody = log_odds_test(np.zeros(3), n[:3], np.array([3.0, 4, 5]), n[:3])
    assert (nobody.statistic, nobody.p_value) == (0, 1)


def test_one_segment_leaves_nothing_to_compare():
    found = q_test(np.array([1.0, np.nan]), np.array([0.5, 0.5]))
    assert found.df == 0
    assert np.isnan(found[0])
    assert np.isnan(log_odds_test(*np.full((4, 1), 5.0)).p_value)


def test_without_segments_there_is_no_table_and_nothing_is_shrunk(campaign):
    metrics = {"spend": cs.Mean("spend")}
    impact = cs.CampaignTest(arm="arm", control="none", metrics=metrics).analyze(campaign)
    assert impact.heterogeneity.empty
    assert impact.decomposition.empty
    frame = impact.to_frame()
    np.testing.assert_array_equal(frame["effect_shrunk"], frame["effect"])
    np.testing.assert_array_equal(frame["ci_low_shrunk"], frame["ci_low"])


@pytest.mark.parametrize("scale", ["difference", "log_odds"])
def test_alike_segments_are_called_unlike_at_the_nominal_rate(scale):
    rng = np.random.default_rng(11)
    base, n, repeats = np.array([0.1, 0.2, 0.3, 0.5]), np.full(4, 400.0), 4_000
    x_c = rng.binomial(400, base, (repeats, 4)).astype(float)
    if scale == "difference":
        x_t = rng.binomial(400, base + 0.05, (repeats, 4)).astype(float)
        effect, p_t, p_c = (x_t - x_c) / n, x_t / n, x_c / n
        se = np.sqrt((p_t * (1 - p_t) + p_c * (1 - p_c)) / n)
        p = np.array([q_test(*pair).p_value for pair in zip(effect, se, strict=True)])
    else:
        odds = 1.5 * base / (1 - base)
        x_t = rng.binomial(400, odds / (1 + odds), (repeats, 4)).astype(float)
        pairs = zip(x_t, x_c, strict=True)
        p = np.array([log_odds_test(a, n, c, n).p_value for a, c in pairs])
    assert abs((p < 0.05).mean() - 0.05) <= 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_where_the_scales_disagree_the_result_says_which_is_which():
    n = 4_000
    parts = []
    for tier, shares in {"low": (0.05, 0.10), "high": (0.50, 0.55)}.items():
        for arm, share in zip(["none", "mail"], shares, strict=True):
            visit = np.arange(n) < share * n
            parts.append(pd.DataFrame({"arm": arm, "tier": tier, "visit": visit}))
    test = cs.CampaignTest(
        arm="arm", control="none", metrics={"visit": cs.Proportion("visit")}, segments="tier"
    )
    impact = test.analyze(pd.concat(parts))
    p = impact.heterogeneity.set_index("scale")["p_value"]
    assert p["difference"] > 0.9
    assert p["log_odds"] < 0.001
    (note,) = [note for note in impact.notes if "log-odds compare chances" in note]
    assert "do not clearly differ by Cochran's Q on differences" in note
    assert "differ by likelihood ratio on log-odds (p < .001)" in note
    assert (
        "The effects on visit differ between segments (mail: likelihood ratio" in impact.summary()
    )


def test_rough_answers_are_called_so(campaign):
    small = campaign[(campaign["tier"] != "d") | (np.arange(len(campaign)) % 20 == 0)]
    metrics = {name: METRICS[name] for name in ("visit", "spend")}
    test = cs.CampaignTest(arm="arm", control="none", metrics=metrics, segments="tier")
    rough = [note for note in test.analyze(small).notes if "are rough" in note]
    assert [note.split(" an arm")[0] for note in rough] == ["visit: in d", "spend: in d"]


def test_shrunk_effects_are_those_of_the_model_with_unknown_spread(impact):
    z = stats.norm.isf(0.025)
    frame = impact.to_frame()
    for metric in METRICS:
        for arm in ["mail", "call"]:
            part = by_segment(impact, metric, arm)
            half = (part["ci_high"] - part["ci_low"]) / 2
            want = shrink(part["effect"], half / z)
            np.testing.assert_allclose(part["effect_shrunk"], want.estimate, rtol=1e-12)
            np.testing.assert_allclose(part["ci_low_shrunk"], want.estimate - z * want.se)
            np.testing.assert_allclose(part["ci_high_shrunk"], want.estimate + z * want.se)
            assert np.ptp(part["effect_shrunk"]) < np.ptp(part["effect"])
    overall = frame[frame["segment"] == "(all)"]
    np.testing.assert_array_equal(overall["effect_shrunk"], overall["effect"])


def test_two_segments_stay_and_those_without_an_interval_are_missing():
    effect, low, high = np.array([[1.0], [0.0], [3.0]]), np.array([[0.0], [-1], [2]]), None
    high = effect + 1
    found = shrunk_effects(Difference(effect, effect, low, high, effect))
    for part, want in zip(found, (effect, low, high), strict=True):
        np.testing.assert_array_equal(part, want)
    still = np.array([[1.0], [0.0], [3.0], [2.0], [5.0]])
    bounds = np.array([[0.5], [np.nan], [0.5], [0.5], [0.5]])
    found = shrunk_effects(Difference(still, still, still - bounds, still + bounds, still))
    assert np.isnan(found[0][1, 0])
    assert np.isfinite(found[0][2:]).all()


def naive(effect, half):
    """Plug the moment estimate of the spread in, as if it were known (DerSimonian and Laird)."""
    variance = (half / 1.96) ** 2
    w = 1 / variance
    q = w @ (effect - w @ effect / w.sum()) ** 2
    spread = max(0, (q - len(w) + 1) / (w.sum() - w @ w / w.sum()))
    w = 1 / (variance + spread)
    mean, kept = w @ effect / w.sum(), spread / (spread + variance)
    return mean + kept * (effect - mean), np.sqrt(kept * variance)


@pytest.mark.parametrize("kind", ["visit", "spend"])
@pytest.mark.parametrize("spread", [0.0, 0.15, 0.5])
def test_shrunk_intervals_cover_averaged_over_segments(kind, spread):
    """Spreads are multiples of the common effect; ranges from none to as large as the errors."""
    rng = np.random.default_rng(31)
    sizes, repeats = np.array([60, 120, 250, 500, 1_000, 200]), 1_000
    covered, by_naive, errors = [], [], []
    for _ in range(repeats):
        if kind == "visit":
            truth = np.clip(rng.normal(0.1, 0.1 * spread, 6), -0.05, 0.5)
            x_t, x_c = rng.binomial(sizes, 0.15 + truth), rng.binomial(sizes, 0.15)
            effect = (x_t - x_c) / sizes
            low, high = newcombe(x_t, sizes, x_c, sizes)
        else:
            truth = rng.normal(0.3, 0.3 * spread, 6)
            values = [rng.exponential(1, (2, n)) for n in sizes]
            mean = np.array([v.mean(axis=1) for v in values]).T
            var = np.array([v.var(axis=1, ddof=1) / v.shape[1] for v in values]).T
            found = welch(mean[0], mean[1] + truth, *var, sizes - 1, sizes - 1)
            effect, low, high = found.effect, found.ci_low, found.ci_high
        first = np.array([[0.0]]), np.array([[-1.0]]), np.array([[1.0]])
        stacked = [
            np.concatenate([a, b[:, None]]) for a, b in zip(first, (effect, low, high), strict=True)
        ]
        shrunk, lower, upper = shrunk_effects(
            Difference(stacked[0], stacked[0], stacked[1], stacked[2], stacked[0])
        )
        covered.append((lower[1:, 0] <= truth) & (truth <= upper[1:, 0]))
        plugged, error = naive(effect, (high - low) / 2)
        by_naive.append(np.abs(plugged - truth) <= 1.96 * error)
        errors.append([(effect - truth) ** 2, (shrunk[1:, 0] - truth) ** 2])
    assert np.mean(covered) >= 0.935
    assert np.mean(by_naive) < 0.925  # what taking the spread as known would cover
    raw, pulled = np.mean(errors, axis=(0, 2))
    assert pulled < raw


def test_contributions_add_up_to_the_effect_on_everybody(impact):
    parts = impact.decomposition
    assert parts["metric"].unique().tolist() == ["visit", "spend", "adjusted", "basket"]
    overall = impact.to_frame().query("segment == '(all)'").set_index(["metric", "arm"])["effect"]
    total = parts.groupby(["metric", "arm"])["contribution"].sum()
    for key, value in total.items():
        assert value == pytest.approx(overall[key], rel=1e-12, abs=1e-14)
    names = [*"abcd", "(no segment)", "(mix)"]
    assert (parts["segment"].to_numpy().reshape(-1, 6) == names).all()
    shares = parts.groupby(["metric", "arm"])["share"].sum()
    np.testing.assert_allclose(shares, 1, rtol=1e-12)


@pytest.mark.parametrize("metric", ["visit", "spend", "basket"])
def test_the_parts_are_those_of_kitagawa(impact, campaign, metric):
    number, base = {"visit": ("visit", 1), "spend": ("spend", 1), "basket": ("spend", "orders")}[
        metric
    ]
    rows = campaign.assign(
        base=1 if base == 1 else campaign[base], tier=campaign["tier"].fillna("-")
    )
    for arm in ["mail", "call"]:
        sums = rows.groupby(["arm", "tier"])[[number, "base"]].sum()
        treated, control = sums.loc[arm], sums.loc["none"]
        shares = [part["base"] / part["base"].sum() for part in (treated, control)]
        means = [part[number] / part["base"] for part in (treated, control)]
        within = (shares[0] + shares[1]) / 2 * (means[0] - means[1])
        mix = ((means[0] + means[1]) / 2 * (shares[0] - shares[1])).sum()
        parts = impact.decomposition.query("metric == @metric and arm == @arm")
        want = [*within[list("abcd-")], mix]
        np.testing.assert_allclose(parts["contribution"], want, rtol=1e-9, atol=1e-12)
        inside = parts[parts["share"].notna()]
        assert (inside["ci_low"] < inside["contribution"]).all()
        assert (inside["contribution"] < inside["ci_high"]).all()


def test_customers_of_a_segment_missing_in_an_arm_are_in_the_mix(campaign):
    gap = campaign[(campaign["tier"] != "d") | (campaign["arm"] != "none")].dropna()
    metrics = {"spend": cs.Mean("spend")}
    test = cs.CampaignTest(arm="arm", control="none", metrics=metrics, segments="tier")
    impact = test.analyze(gap)
    parts = impact.decomposition.query("arm == 'mail'").set_index("segment")
    assert np.isnan(parts.loc["d", "contribution"])
    assert "(no segment)" not in parts.index
    overall = impact.to_frame().query("segment == '(all)' and arm == 'mail'")["effect"].item()
    assert parts["contribution"].sum() == pytest.approx(overall, rel=1e-12)
