"""Each metric against an independent implementation, group by group."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.api import OLS
from statsmodels.formula.api import ols
from statsmodels.stats.proportion import confint_proportions_2indep
from statsmodels.stats.weightstats import ttost_ind

import custseg as cs
from custseg.errors import ParameterError
from custseg.stats import (
    barnard,
    beta_binomial,
    bootstrap_difference,
    boschloo,
    fisher,
    koopman,
    mann_whitney,
    miettinen_nurminen,
    normal_posterior,
    permutation_test,
    quantile_difference,
    relative_difference,
    score_statistic,
)

ARMS = ["catalogue", "voucher"]


@pytest.fixture(scope="module")
def campaign():
    """Three arms, two segments, orders of varying number, gaps in outcome and covariates."""
    rng = np.random.default_rng(31)
    n = 1_500
    arm = rng.choice(["nothing", *ARMS], n, p=[0.4, 0.3, 0.3])
    before, visits = rng.gamma(2, 50, n), rng.poisson(3, n).astype(float)
    orders = rng.poisson(1.5 + 0.2 * (arm == "voucher"), n)
    spend = 0.2 * before + 3 * visits + rng.lognormal(2, 1, n) * orders + 4 * (arm == "voucher")
    return pd.DataFrame(
        {
            "mail": arm,
            "tier": rng.choice(["gold", "silver"], n),
            "bought": rng.random(n) < 0.1 + 0.001 * visits,
            "spend": pd.Series(spend).mask(rng.random(n) < 0.04),
            "orders": orders,
            "before": pd.Series(before).mask(rng.random(n) < 0.03),
            "visits": visits,
        }
    )


def analyse(campaign, **metrics):
    test = cs.CampaignTest(arm="mail", control="nothing", metrics=metrics, segments="tier")
    return test.analyze(campaign)


def groups(impact, campaign, columns):
    """Yield each row with the complete customers of its group."""
    for row in impact.to_frame().itertuples(index=False):
        part = campaign if row.segment == "(all)" else campaign[campaign["tier"] == row.segment]
        yield row, part.dropna(subset=columns)


def outcomes(part, column, arm):
    return [part.loc[part["mail"] == a, column].to_numpy(float) for a in ("nothing", arm)]


def formula(covariates):
    return " + ".join(["y ~ C(mail, Treatment('nothing'))", *covariates])


@pytest.mark.parametrize(
    "covariates", [["before"], ["before", "visits"], ["visits", "before", "orders"]]
)
def test_several_covariates_are_the_least_squares_adjustment(campaign, covariates):
    impact = analyse(campaign, spend=cs.Mean("spend", covariate=covariates))
    for row, part in groups(impact, campaign, ["spend", *covariates]):
        fit = ols(formula(covariates), data=part.assign(y=part["spend"])).fit()
        coefficient = fit.params[f"C(mail, Treatment('nothing'))[T.{row.arm}]"]
        assert row.effect == pytest.approx(coefficient, rel=1e-9)
        adjusted = part.assign(z=part["spend"] - part[covariates] @ fit.params[covariates])
        want = stats.ttest_ind(*outcomes(adjusted, "z", row.arm)[::-1], equal_var=False)
        spread = [np.var(x, ddof=1) / len(x) for x in outcomes(adjusted, "z", row.arm)]
        assert row.se == pytest.approx(np.sqrt(sum(spread)), rel=1e-9)
        half = stats.t.isf(0.025, want.df) * row.se
        np.testing.assert_allclose(
            (row.ci_low, row.ci_high), (row.effect - half, row.effect + half)
        )
    # what the covariates take away is the partial R² of the fit
    full, none = (
        ols(formula(c), data=part_of(campaign, covariates)).fit() for c in (covariates, [])
    )
    share = 1 - full.ssr / none.ssr
    (note,) = [note for note in impact.notes if "adjusting for" in note]
    assert f"adjusting for {' and '.join(covariates)} takes away {share:.2%}" in note


def part_of(campaign, covariates):
    known = campaign.dropna(subset=["spend", *covariates])
    return known.assign(y=known["spend"])


def test_a_covariate_that_repeats_others_or_does_not_vary_adds_nothing(campaign):
    more = campaign.assign(twice=2 * campaign["before"] - campaign["visits"], flat=0.1)
    want = analyse(more, spend=cs.Mean("spend", covariate=["before", "visits"])).to_frame()
    names = ["before", "twice", "flat", "visits"]
    found = analyse(more, spend=cs.Mean("spend", covariate=names)).to_frame()
    pd.testing.assert_frame_equal(found, want, rtol=1e-8)


def test_an_adjusted_share_is_an_adjusted_mean(campaign):
    numbers = campaign.assign(bought=campaign["bought"].astype(float))
    found = analyse(campaign, x=cs.Proportion("bought", covariate="visits"))
    want = analyse(numbers, x=cs.Mean("bought", covariate="visits"))
    pd.testing.assert_frame_equal(found.to_frame(), want.to_frame(), rtol=1e-9)


def test_winsorising_caps_at_the_quantile_of_everybody_and_says_so(campaign):
    metric = cs.Mean("spend", winsorize=0.95, covariate="visits")
    impact = analyse(campaign, spend=metric, plain=cs.Mean("spend", covariate="visits"))
    cap = campaign["spend"].quantile(0.95)
    capped = campaign.assign(spend=campaign["spend"].clip(upper=cap))
    want = analyse(capped, spend=cs.Mean("spend", covariate="visits")).to_frame()
    found = impact.to_frame()
    by_metric = {name: rows.reset_index(drop=True) for name, rows in found.groupby("metric")}
    pd.testing.assert_frame_equal(by_metric["spend"], want, rtol=1e-9)
    assert (by_metric["plain"]["effect"] != by_metric["spend"]["effect"]).all()
    above = (campaign["spend"] > cap).sum()
    (note,) = [note for note in impact.notes if "winsorised" in note]
    assert f"at the 0.95 quantile of everybody, {cap:.0f}, which {above} customers exceed" in note


def test_customers_in_no_arm_do_not_move_the_cap(campaign):
    stranger = campaign.head(200).assign(mail=None, spend=1e6)
    more = pd.concat([campaign, stranger], ignore_index=True)
    metric = cs.Mean("spend", winsorize=0.95)
    want = analyse(campaign, spend=metric).to_frame()
    pd.testing.assert_frame_equal(analyse(more, spend=metric).to_frame(), want, rtol=1e-9)


def test_a_ratio_is_linearised_and_clustered_by_customer(campaign):
    impact = analyse(campaign, value=cs.Ratio("spend", "orders"))
    for row, part in groups(impact, campaign, ["spend", "orders"]):
        value, variance, n = [], [], []
        for arm in ("nothing", row.arm):
            own = part[part["mail"] == arm]
            ratio = own["spend"].sum() / own["orders"].sum()
            # one line per order, the spend without orders on a line of weight 0
            lines = own.loc[own.index.repeat(np.maximum(own["orders"], 1))]
            weight = np.minimum(lines["orders"], 1)
            share = lines["spend"] / np.maximum(lines["orders"], 1) - ratio * weight
            clustered = (share.groupby(lines.index).sum() ** 2).sum() / own["orders"].sum() ** 2
            value.append(ratio)
            n.append(len(own))
            variance.append(clustered * len(own) / (len(own) - 1))
        assert (row.control, row.treatment) == pytest.approx(tuple(value), rel=1e-10)
        assert row.se == pytest.approx(np.sqrt(sum(variance)), rel=1e-10)
        df = sum(variance) ** 2 / sum(v**2 / (k - 1) for v, k in zip(variance, n, strict=True))
        assert row.p_value == pytest.approx(2 * stats.t.sf(abs(row.effect) / row.se, df), rel=1e-8)


def test_the_error_of_a_ratio_is_that_of_clustered_least_squares(campaign):
    orders = campaign.dropna(subset=["spend"]).query("orders > 0").reset_index(drop=True)
    lines = orders.loc[orders.index.repeat(orders["orders"])]
    lines = lines.assign(value=lines["spend"] / lines["orders"])
    row = analyse(orders, value=cs.Ratio("spend", "orders")).to_frame().iloc[0]
    variance = 0.0
    for arm in ("nothing", row["arm"]):
        own = lines[lines["mail"] == arm]
        fit = OLS(own["value"], np.ones(len(own))).fit(
            cov_type="cluster", cov_kwds={"groups": own.index, "use_correction": False}
        )
        customers = own.index.nunique()
        variance += fit.bse.iloc[0] ** 2 * customers / (customers - 1)
    assert row["se"] == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_an_adjusted_ratio_regresses_its_influence_on_the_covariates(campaign):
    covariates = ["before", "visits"]
    impact = analyse(campaign, value=cs.Ratio("spend", "orders", covariate=covariates))
    for row, part in groups(impact, campaign, ["spend", "orders", *covariates]):
        sums = part.groupby("mail")[["spend", "orders"]].transform("mean")
        ratio = sums["spend"] / sums["orders"]
        part = part.assign(y=(part["spend"] - ratio * part["orders"]) / sums["orders"])
        slope = ols(formula(covariates), data=part).fit().params[covariates]
        z = part["y"] - (part[covariates] - part[covariates].mean()) @ slope
        by_arm = part.assign(z=z + ratio).groupby("mail")["z"]
        want = by_arm.mean()[row.arm] - by_arm.mean()["nothing"]
        assert row.effect == pytest.approx(want, rel=1e-9)
        spread = by_arm.var() / by_arm.size()
        assert row.se == pytest.approx(np.sqrt(spread[row.arm] + spread["nothing"]), rel=1e-9)


def test_quantiles_and_ranks_are_those_of_the_rows(campaign):
    impact = analyse(campaign, median=cs.Quantile("spend", 0.4), rank=cs.Rank("spend"))
    for row, part in groups(impact, campaign, ["spend"]):
        pair = outcomes(part, "spend", row.arm)
        if row.metric == "rank":
            want = mann_whitney(*pair)
            assert (row.control, row.treatment) == (0.5, want.estimate)
            found = (row.effect + 0.5, row.se, row.ci_low + 0.5, row.ci_high + 0.5, row.p_value)
            np.testing.assert_allclose(found, want, rtol=1e-12)
            assert row.relative_effect == pytest.approx(2 * row.effect)
            continue
        want = quantile_difference(*pair, 0.4, seed=7)
        assert (row.control, row.treatment) == tuple(np.quantile(x, 0.4) for x in pair)
        assert row.effect == want.effect
        # 10,000 resamples know a bound to some 2.7% of a standard error
        found = (row.se, row.ci_low, row.ci_high)
        np.testing.assert_allclose(found, want[1:4], atol=0.15 * want.se)
        ratio = quantile_difference(*pair, 0.4, relative=True, seed=7)
        assert row.relative_effect == ratio.effect
        assert row.relative_ci_low == pytest.approx(ratio.ci_low, abs=0.15 * ratio.se)
    assert any("10,000 bootstrap resamples" in note for note in impact.notes)


def test_resampling_a_mean_replaces_what_it_says_and_follows_the_adjustment(campaign):
    metrics = {
        t: cs.Mean("spend", covariate="visits", test=t)
        for t in ("welch", "permutation", "bootstrap")
    }
    impact = analyse(campaign, **metrics)
    frame = impact.to_frame().set_index(["metric", "segment", "arm"])
    welch, permuted, resampled = (frame.loc[name] for name in metrics)
    unchanged = [c for c in frame if not c.startswith("p_")]
    pd.testing.assert_frame_equal(permuted[unchanged], welch[unchanged])
    same = ["control", "treatment", "effect", "relative_ci_low"]
    pd.testing.assert_frame_equal(resampled[same], welch[same])
    for row, part in groups(impact, campaign, ["spend"]):
        if row.metric == "welch":
            continue
        fit = ols(formula(["visits"]), data=part.assign(y=part["spend"])).fit()
        moved = part["spend"] - fit.params["visits"] * part["visits"]
        pair = outcomes(part.assign(z=moved), "z", row.arm)
        if row.metric == "permutation":
            want = permutation_test(*pair, seed=9).p_value
            assert row.p_value == pytest.approx(want, abs=4 * np.sqrt(2 * want / 9_999) + 3e-4)
        else:
            want = bootstrap_difference(*pair, seed=9)
            np.testing.assert_allclose(
                (row.se, row.ci_low, row.ci_high), want[1:4], atol=0.15 * want.se
            )
    assert any("p-values by permutation" in note for note in impact.notes)
    assert any("by 10,000 bootstrap resamples" in note for note in impact.notes)


def test_resampling_does_not_depend_on_the_order_of_rows(campaign):
    metrics = {
        "a": cs.Quantile("spend"),
        "b": cs.Mean("spend", test="bootstrap"),
        "c": cs.Mean("spend", covariate="visits", test="permutation"),
    }
    found = analyse(campaign.sample(frac=1, random_state=2), **metrics).to_frame()
    pd.testing.assert_frame_equal(found, analyse(campaign, **metrics).to_frame(), rtol=1e-9)


@pytest.mark.parametrize(
    ("interval", "method"),
    [
        ("newcombe", "newcomb"),
        ("agresti_caffo", "agresti-caffo"),
        ("wald", "wald"),
        ("miettinen_nurminen", None),
    ],
)
def test_the_interval_of_a_proportion_is_the_one_asked_for(campaign, interval, method):
    impact = analyse(campaign, bought=cs.Proportion("bought", interval=interval))
    for row, part in groups(impact, campaign, ["bought"]):
        control, treatment = outcomes(part, "bought", row.arm)
        table = treatment.sum(), len(treatment), control.sum(), len(control)
        if method is None:
            want = miettinen_nurminen(*table)
        else:
            want = confint_proportions_2indep(*table, method=method)
        np.testing.assert_allclose((row.ci_low, row.ci_high), want, atol=1e-12)


def test_small_counts_are_tested_exactly_with_a_note_where():
    frame = pd.DataFrame({"mail": ["nothing", "voucher"] * 1_030})
    frame["tier"] = ["gold"] * 60 + ["silver"] * 2_000
    frame["bought"] = 0
    frame.loc[[1, 3, 5, 7, 9, 11, 0], "bought"] = 1
    frame.loc[60:1_000, "bought"] = 1
    impact = analyse(frame, bought=cs.Proportion("bought"))
    rows = impact.to_frame().set_index("segment")
    assert rows.loc["gold", "p_value"] == pytest.approx(fisher(6, 30, 1, 30), rel=1e-12)
    assert rows.loc["gold", "p_value"] > 0.05
    table = pd.crosstab(frame["mail"], frame["bought"])
    want = stats.chi2_contingency(table, correction=False).pvalue
    assert rows.loc["(all)", "p_value"] == pytest.approx(want, rel=1e-9)
    (note,) = [note for note in impact.notes if "Fisher" in note]
    assert note.startswith("bought: in gold fewer than 5 successes or failures are expected")
    frame["before"] = np.arange(len(frame)) % 7
    adjusted = analyse(frame, bought=cs.Proportion("bought", covariate="before"))
    assert any("in gold" in note and "Leave out the covariate" in note for note in adjusted.notes)


@pytest.mark.parametrize("exact", ["boschloo", "barnard"])
def test_small_counts_are_tested_by_the_exact_test_asked_for(campaign, exact):
    few = campaign.iloc[:120]
    test = {"fisher": fisher, "boschloo": boschloo, "barnard": barnard}
    impact = analyse(few, bought=cs.Proportion("bought", exact=exact))
    usual = analyse(few, bought=cs.Proportion("bought")).to_frame()
    for row, part in groups(impact, few, ["bought"]):
        control, treatment = outcomes(part, "bought", row.arm)
        table = treatment.sum(), len(treatment), control.sum(), len(control)
        pooled = (table[0] + table[2]) / (table[1] + table[3])
        assert pooled * min(table[1], table[3]) < 5
        assert row.p_value == pytest.approx(test[exact](*table), rel=1e-12)
    assert (impact.to_frame()["p_value"] - usual["p_value"]).abs().max() > 0.01
    assert any(f"{exact.capitalize()}'s exact test there" in note for note in impact.notes)


def test_the_score_interval_of_a_ratio_is_there_where_nobody_in_control_bought(campaign):
    few = campaign.assign(bought=campaign["bought"] & (campaign["mail"] != "nothing"))
    metric = cs.Proportion("bought", relative="score")
    for data in (campaign, few):
        impact = analyse(data, bought=metric)
        for row, part in groups(impact, data, ["bought"]):
            control, treatment = outcomes(part, "bought", row.arm)
            want = koopman(treatment.sum(), len(treatment), control.sum(), len(control))
            found = (row.relative_ci_low + 1, row.relative_ci_high + 1)
            np.testing.assert_allclose(found, want, rtol=1e-9)
            assert np.isnan(row.relative_effect) == (control.sum() == 0)


def test_margins_are_two_one_sided_tests(campaign):
    impact = analyse(
        campaign,
        spend=cs.Mean("spend", margin=6.0),
        bought=cs.Proportion("bought", margin=0.05, better="lower"),
        median=cs.Quantile("spend", margin=5.0),
        plain=cs.Mean("orders"),
    )
    margins = impact.margins
    assert list(margins.columns) == [
        *("metric", "segment", "arm", "margin", "effect", "p_not_worse", "p_equivalent")
    ]
    assert margins["metric"].unique().tolist() == ["spend", "bought", "median"]
    effects = impact.to_frame().set_index(["metric", "segment", "arm"])
    for row in margins.itertuples(index=False):
        part = campaign if row.segment == "(all)" else campaign[campaign["tier"] == row.segment]
        assert row.effect == effects.loc[(row.metric, row.segment, row.arm), "effect"]
        control, treatment = outcomes(part.dropna(subset=["spend"]), "spend", row.arm)
        if row.metric == "spend":
            p, lower, _ = ttost_ind(treatment, control, -6.0, 6.0, usevar="unequal")
            assert (row.p_not_worse, row.p_equivalent) == pytest.approx((lower[1], p), rel=1e-8)
        elif row.metric == "bought":
            control, treatment = outcomes(part, "bought", row.arm)
            table = treatment.sum(), len(treatment), control.sum(), len(control)
            below = stats.norm.sf(score_statistic(*table, -0.05))
            above = stats.norm.cdf(score_statistic(*table, 0.05))
            want = (above, max(below, above))
            assert (row.p_not_worse, row.p_equivalent) == pytest.approx(want, rel=1e-10)
        else:
            drawn = quantile_difference(control, treatment, n_resamples=40_000, seed=5).resamples
            share = (drawn <= -5).mean()
            assert row.p_not_worse == pytest.approx(share, abs=4 * np.sqrt(share / 8_000) + 3e-4)
    words = " ".join(impact.notes)
    first = margins.iloc[0]
    shown = "shown" if first["p_not_worse"] < 0.05 else "not shown"
    assert f"spend: catalogue is {shown} to be not worse than nothing by 6" in words


def test_a_posterior_is_given_for_every_arm_of_metrics_that_have_a_model(campaign):
    impact = analyse(
        campaign,
        bought=cs.Proportion("bought"),
        spend=cs.Mean("spend", covariate="visits", better="lower"),
        value=cs.Ratio("spend", "orders"),
        median=cs.Quantile("spend"),
    )
    posterior = impact.posterior
    assert posterior["metric"].unique().tolist() == ["bought", "spend", "value"]
    assert posterior["arm"].tolist()[:3] == ["nothing", "catalogue", "voucher"]
    sums = posterior.groupby(["metric", "segment"])["p_best"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-9)
    gold = campaign[campaign["tier"] == "gold"].groupby("mail")["bought"].agg(["sum", "size"])
    gold = gold.loc[["nothing", *ARMS]].astype(float)
    want = beta_binomial(gold["sum"], gold["size"])
    found = posterior[(posterior["metric"] == "bought") & (posterior["segment"] == "gold")]
    for name, column in want._asdict().items():
        np.testing.assert_allclose(found[name], column, rtol=1e-9)
    rows = impact.to_frame().query("metric == 'value' and segment == '(all)'")
    # with a flat prior, a Bayesian and a frequentist say the same of two arms
    alone = posterior.query("metric == 'value' and segment == '(all)'")
    error = (alone["ci_high"] - alone["ci_low"]) / 2 / stats.norm.isf(0.025)
    want = normal_posterior(alone["mean"], error)
    np.testing.assert_allclose(alone["p_best"], want.p_best, atol=1e-9)
    assert rows["control"].iloc[0] == pytest.approx(alone["mean"].iloc[0], rel=1e-12)
    spend = posterior.query("metric == 'spend' and segment == '(all)'").set_index("arm")
    assert spend["p_best"].idxmax() == spend["mean"].idxmin()


@pytest.mark.parametrize("relative", ["delta", "log", "fieller"])
def test_the_relative_interval_is_the_one_asked_for(campaign, relative):
    frame = analyse(
        campaign,
        spend=cs.Mean("spend", relative=relative),
        bought=cs.Proportion("bought", relative=relative),
        value=cs.Ratio("spend", "orders", relative=relative),
    ).to_frame()
    row = frame.query("metric == 'spend' and segment == '(all)' and arm == 'voucher'").iloc[0]
    control, treatment = outcomes(campaign.dropna(subset=["spend"]), "spend", "voucher")
    want = relative_difference(
        control.mean(),
        treatment.mean(),
        control.var(ddof=1) / len(control),
        treatment.var(ddof=1) / len(treatment),
        len(control) - 1,
        len(treatment) - 1,
        method=relative,
    )
    found = row[["relative_effect", "relative_ci_low", "relative_ci_high"]].tolist()
    np.testing.assert_allclose(found, (want.effect, want.ci_low, want.ci_high), rtol=1e-9)
    away = frame["relative_effect"] - frame["relative_ci_low"]
    even = frame["relative_ci_high"] - frame["relative_effect"]
    assert np.allclose(away, even) == (relative == "delta")


def test_a_group_without_customers_in_an_arm_is_a_row_without_answer(campaign):
    lost = campaign.assign(tier=campaign["tier"].mask(campaign["mail"] == "voucher", "silver"))
    impact = analyse(
        lost,
        value=cs.Ratio("spend", "orders", covariate=["visits"], margin=1.0),
        median=cs.Quantile("spend", margin=1.0),
        rank=cs.Rank("spend"),
        bought=cs.Proportion("bought", interval="miettinen_nurminen", margin=0.1),
        spend=cs.Mean("spend", test="bootstrap"),
    )
    rows = impact.to_frame().query("segment == 'gold' and arm == 'voucher'")
    assert (rows["n_treatment"] == 0).all()
    assert rows[["effect", "se", "ci_low", "p_value"]].isna().all(axis=None)
    gold = impact.margins.query("segment == 'gold' and arm == 'voucher'")
    assert gold[["effect", "p_not_worse", "p_equivalent"]].isna().all(axis=None)
    others = impact.to_frame().query("segment == 'gold' and arm == 'catalogue'")
    assert others["p_value"].notna().all()
    assert impact.posterior.query("segment == 'gold'")["p_best"].isna().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cs.Mean("spend", covariate=["a", "a"]), "names 'a' twice"),
        (lambda: cs.Mean("spend", covariate=["a", "spend"]), "the outcome itself"),
        (lambda: cs.Mean("spend", covariate=[]), r"covariate is \[\]"),
        (lambda: cs.Mean("spend", winsorize=99), "winsorize is 99, but must be a number > 0.5"),
        (lambda: cs.Mean("spend", test="permute"), "Did you mean 'permutation'"),
        (lambda: cs.Mean("spend", margin=0), "margin is 0"),
        (lambda: cs.Mean("spend", better="more"), "better is 'more'"),
        (lambda: cs.Mean("spend", relative="score"), "relative is 'score'"),
        (lambda: cs.Proportion("visit", relative="score", covariate="a"), "relative is 'score'"),
        (lambda: cs.Proportion("visit", exact="boschlo"), "Did you mean 'boschloo'"),
        (lambda: cs.Proportion("visit", interval="newcomb"), "Did you mean 'newcombe'"),
        (lambda: cs.Proportion("visit", margin=1.5), "margin is 1.5"),
        (lambda: cs.Ratio("spend", "spend"), "the ratio is 1"),
        (lambda: cs.Ratio("spend", "orders", covariate="orders"), "the outcome itself"),
        (lambda: cs.Ratio("spend", 3), "denominator is 3"),
        (lambda: cs.Quantile("spend", 1), "q is 1"),
        (lambda: cs.Rank(None), "column is None"),
    ],
)
def test_a_wrong_metric_is_refused_when_it_is_made(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
