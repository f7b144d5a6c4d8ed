import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

import custseg as cs
from custseg.campaigns import Impact

COLUMNS = [
    "metric",
    "segment",
    "arm",
    "n_control",
    "n_treatment",
    "control",
    "treatment",
    "effect",
    "se",
    "ci_low",
    "ci_high",
    "p_value",
    "p_holm",
    "p_bh",
    "relative_effect",
    "relative_ci_low",
    "relative_ci_high",
    "effect_shrunk",
    "ci_low_shrunk",
    "ci_high_shrunk",
]
METRICS = {
    "visit": cs.Proportion("visit"),
    "spend": cs.Mean("spend"),
    "spend_adjusted": cs.Mean("spend", covariate="history"),
}


@pytest.fixture(scope="module")
def campaign():
    """A campaign with three arms, three segments, gaps in every column, on an awkward scale."""
    rng = np.random.default_rng(7)
    n = 4_000
    history = rng.gamma(2, 100, n)
    arm = rng.choice(["nothing", "catalogue", "voucher"], n, p=[0.5, 0.3, 0.2])
    spend = 1e4 + 0.3 * history + rng.exponential(20, n) + 4 * (arm == "voucher")
    frame = pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "mail": pd.Series(arm).mask(rng.random(n) < 0.01),
            "tier": pd.Categorical.from_codes(
                rng.integers(-1, 3, n), ["silver", "gold", "bronze"], ordered=True
            ),
            "visit": pd.Series(rng.random(n) < 0.1 + 0.05 * (arm == "catalogue")).astype("Int64"),
            "spend": pd.Series(spend).mask(rng.random(n) < 0.05),
            "history": pd.Series(history).mask(rng.random(n) < 0.03),
        }
    )
    return frame.sample(frac=1, random_state=1)


@pytest.fixture(scope="module")
def impact(campaign):
    test = cs.CampaignTest(arm="mail", control="nothing", metrics=METRICS, segments="tier")
    return test.analyze(campaign)


def group(campaign, segment):
    return campaign if segment == "(all)" else campaign[campaign["tier"] == segment]


def rows(impact, metric):
    frame = impact.to_frame()
    return frame[frame["metric"] == metric].itertuples(index=False)


def test_one_row_per_metric_segment_and_treatment_arm_in_order(impact):
    frame = impact.to_frame()
    assert isinstance(impact, Impact)
    assert list(frame.columns) == COLUMNS
    assert list(frame[["metric", "segment", "arm"]].itertuples(index=False, name=None)) == [
        (metric, segment, arm)
        for metric in METRICS
        for segment in ["(all)", "silver", "gold", "bronze"]
        for arm in ["catalogue", "voucher"]
    ]


def test_proportions_equal_statsmodels_in_every_row(impact, campaign):
    for row in rows(impact, "visit"):
        visits = group(campaign, row.segment).groupby("mail")["visit"].agg(["sum", "size"])
        count = visits.loc[[row.arm, "nothing"], "sum"].to_numpy(float)
        nobs = visits.loc[[row.arm, "nothing"], "size"].to_numpy(float)
        p = count / nobs
        interval = confint_proportions_2indep(
            count[0], nobs[0], count[1], nobs[1], method="newcomb", compare="diff"
        )
        want = (*nobs[::-1], p[1], p[0], p[0] - p[1], np.sqrt((p * (1 - p) / nobs).sum()))
        found = (row.n_control, row.n_treatment, row.control, row.treatment, row.effect, row.se)
        np.testing.assert_allclose(found, want, rtol=1e-11)
        np.testing.assert_allclose((row.ci_low, row.ci_high), interval, atol=1e-12)
        assert row.p_value == pytest.approx(proportions_ztest(count, nobs)[1], rel=1e-10)


def test_the_score_test_is_the_chi_square_test_without_correction(impact, campaign):
    for row in rows(impact, "visit"):
        part = group(campaign, row.segment)
        part = part[part["mail"].isin([row.arm, "nothing"])]
        table = pd.crosstab(part["mail"], part["visit"])
        want = stats.chi2_contingency(table, correction=False).pvalue
        assert row.p_value == pytest.approx(want, rel=1e-9)


def test_means_equal_statsmodels_in_every_row(impact, campaign):
    for row in rows(impact, "spend"):
        spend = group(campaign, row.segment).dropna(subset=["spend"]).groupby("mail")["spend"]
        control, treatment = spend.get_group("nothing"), spend.get_group(row.arm)
        want = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
        assert (row.n_control, row.n_treatment) == (len(control), len(treatment))
        assert row.control == pytest.approx(control.mean(), rel=1e-12)
        assert row.treatment == pytest.approx(treatment.mean(), rel=1e-12)
        assert row.effect == pytest.approx(treatment.mean() - control.mean(), rel=1e-9)
        assert row.se == pytest.approx(want.std_meandiff_separatevar, rel=1e-10)
        assert row.p_value == pytest.approx(want.ttest_ind(usevar="unequal")[1], rel=1e-8)
        interval = want.tconfint_diff(usevar="unequal")
        np.testing.assert_allclose((row.ci_low, row.ci_high), interval, rtol=1e-8)


def test_the_adjusted_effect_is_the_arm_coefficient_of_least_squares(impact, campaign):
    for row in rows(impact, "spend_adjusted"):
        part = group(campaign, row.segment).dropna(subset=["spend", "history", "mail"])
        fit = ols("spend ~ C(mail, Treatment('nothing')) + history", data=part).fit()
        coefficient = fit.params[f"C(mail, Treatment('nothing'))[T.{row.arm}]"]
        assert row.effect == pytest.approx(coefficient, abs=1e-8)
        at_mean = part.assign(history=part["history"].mean())
        fitted = fit.predict(at_mean).groupby(part["mail"]).first()
        assert row.control == pytest.approx(fitted["nothing"], rel=1e-11)
        assert row.treatment == pytest.approx(fitted[row.arm], rel=1e-11)
        adjusted = part["spend"] - fit.params["history"] * part["history"]
        groups = adjusted.groupby(part["mail"])
        welch = stats.ttest_ind(
            groups.get_group(row.arm), groups.get_group("nothing"), equal_var=False
        )
        spread = np.sqrt(sum(groups.var()[a] / groups.size()[a] for a in (row.arm, "nothing")))
        assert row.se == pytest.approx(spread, rel=1e-9)
        half = stats.t.isf(0.025, welch.df) * spread
        np.testing.assert_allclose(
            (row.ci_low, row.ci_high), (coefficient - half, coefficient + half), atol=1e-7
        )


def test_effect_is_always_treatment_minus_control_and_relative_is_over_control(impact):
    frame = impact.to_frame()
    np.testing.assert_allclose(frame["effect"], frame["treatment"] - frame["control"], atol=1e-9)
    np.testing.assert_allclose(
        frame["relative_effect"], frame["effect"] / frame["control"], rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(("column", "method"), [("p_holm", "holm"), ("p_bh", "fdr_bh")])
def test_families_are_the_arms_overall_and_all_segments_of_a_metric(impact, column, method):
    frame = impact.to_frame()
    for (_, overall), family in frame.groupby(["metric", frame["segment"] == "(all)"]):
        assert len(family) == (2 if overall else 6)
        want = multipletests(family["p_value"], method=method)[1]
        np.testing.assert_allclose(family[column], want, rtol=1e-12)


def test_every_row_is_accounted_for_per_metric(impact, campaign):
    account = impact.account
    assert list(account.index) == list(METRICS)
    assert (account["rows_in"] == len(campaign)).all()
    aside = account[["no_arm", "no_outcome", "no_covariate"]].sum(axis=1)
    assert (account["rows_in"] == account["rows_used"] + aside).all()
    inside = account[["in_segment", "segment_missing", "not_in_segments"]].sum(axis=1)
    assert (account["rows_used"] == inside).all()
    armed = campaign.dropna(subset="mail")
    assert (account["no_arm"] == len(campaign) - len(armed)).all()
    known = armed.dropna(subset="spend")
    assert account.loc["spend", "no_outcome"] == len(armed) - len(known)
    assert account.loc["spend_adjusted", "no_covariate"] == known["history"].isna().sum()
    assert account.loc["spend", "segment_missing"] == known["tier"].isna().sum()
    assert account.loc["visit", "rows_used"] == len(armed)
    notes = " ".join(impact.notes)
    assert f"{len(campaign) - len(armed)} of 4,000 rows name no arm" in notes
    assert "spend_adjusted" in notes
    assert "rows without covariate are set aside" in notes


def test_the_order_of_rows_does_not_matter(impact, campaign):
    test = cs.CampaignTest(arm="mail", control="nothing", metrics=METRICS, segments="tier")
    again = test.analyze(campaign.sort_values("spend")).to_frame()
    pd.testing.assert_frame_equal(again, impact.to_frame(), rtol=1e-10, atol=1e-12)


def test_results_do_not_lose_digits_to_a_large_offset(campaign):
    test = cs.CampaignTest(arm="mail", control="nothing", metrics={"spend": cs.Mean("spend")})
    plain = test.analyze(campaign).to_frame()
    moved = test.analyze(campaign.assign(spend=campaign["spend"] + 1e9)).to_frame()
    for column in ("effect", "se", "ci_low", "ci_high"):
        np.testing.assert_allclose(moved[column], plain[column], rtol=1e-7)


def test_the_note_tells_how_much_variance_the_covariate_takes(impact, campaign):
    known = campaign.dropna(subset=["spend", "history", "mail"])
    within = known[["spend", "history"]] - known.groupby("mail")[["spend", "history"]].transform(
        "mean"
    )
    share = within.corr().iloc[0, 1] ** 2
    (note,) = [note for note in impact.notes if "adjusting for history" in note]
    assert f"{share:.2%} of the variance" in note
    assert f"intervals {1 - np.sqrt(1 - share):.0%} narrower" in note


def test_segments_from_a_model_are_joined_on_the_customer(campaign):
    known = campaign.set_index("customer_id")["tier"].iloc[:3_000]
    test = cs.CampaignTest(
        arm="mail",
        control="nothing",
        metrics=METRICS,
        segments=known,
        customer_id="customer_id",
    )
    impact = test.analyze(campaign)
    outside = ~campaign["customer_id"].isin(known.index)
    by_column = cs.CampaignTest(arm="mail", control="nothing", metrics=METRICS, segments="tier")
    want = by_column.analyze(campaign.assign(tier=campaign["tier"].mask(outside))).to_frame()
    pd.testing.assert_frame_equal(impact.to_frame(), want, rtol=1e-10, atol=1e-12)
    armed = campaign["mail"].notna()
    assert impact.account.loc["visit", "not_in_segments"] == (outside & armed).sum()
    missing = ~outside & armed & campaign["tier"].isna()
    assert impact.account.loc["visit", "segment_missing"] == missing.sum()
    notes = " ".join(impact.notes)
    assert f"{(outside & armed).sum()} customers are not in the segments given" in notes
    assert f"{missing.sum()} customers have no segment" in notes


def test_a_series_keeps_its_own_order_and_unused_segments_are_named(campaign):
    tiers = campaign.set_index("customer_id")["tier"]
    tiers = tiers.cat.set_categories(["gold", "platinum", "bronze", "silver"])
    test = cs.CampaignTest(
        arm="mail",
        control="nothing",
        metrics={"visit": cs.Proportion("visit")},
        segments=tiers,
        customer_id="customer_id",
    )
    impact = test.analyze(campaign)
    order = impact.to_frame()["segment"].unique().tolist()
    assert order == ["(all)", "gold", "bronze", "silver"]
    assert "No customer in the data belongs to platinum." in impact.notes


def test_plain_labels_of_any_type_are_sorted_and_shown_as_text(campaign):
    codes = campaign.assign(tier=campaign["tier"].cat.codes.where(campaign["tier"].notna()) * 5)
    test = cs.CampaignTest(
        arm="mail", control="nothing", metrics={"visit": cs.Proportion("visit")}, segments="tier"
    )
    frame = test.analyze(codes).to_frame()
    assert frame["segment"].unique().tolist() == ["(all)", "0", "5", "10"]


def test_arms_may_be_numbers_or_truth_values(campaign):
    visit = {"visit": cs.Proportion("visit")}
    by_name = campaign[campaign["mail"].isin(["nothing", "voucher"])]
    want = cs.CampaignTest(arm="mail", control="nothing", metrics=visit).analyze(by_name)
    for control, treatment in [(0, 1), (False, True)]:
        arms = by_name.assign(mail=by_name["mail"].map({"nothing": control, "voucher": treatment}))
        found = cs.CampaignTest(arm="mail", control=control, metrics=visit).analyze(arms)
        assert found.to_frame()["arm"].tolist() == [treatment]
        pd.testing.assert_frame_equal(
            found.to_frame().drop(columns="arm"), want.to_frame().drop(columns="arm")
        )


def test_the_allocation_orders_the_arms_and_is_what_the_ratio_is_tested_against(campaign):
    test = cs.CampaignTest(
        arm="mail",
        control="nothing",
        metrics={"visit": cs.Proportion("visit")},
        allocation={"voucher": 0.2, "nothing": 0.5, "catalogue": 0.3},
    )
    impact = test.analyze(campaign)
    assert impact.to_frame()["arm"].tolist() == ["voucher", "catalogue"]
    seen = campaign["mail"].value_counts()[["nothing", "voucher", "catalogue"]]
    want = stats.chisquare(seen, seen.sum() * np.array([0.5, 0.2, 0.3]))
    assert impact.srm.statistic == pytest.approx(want.statistic, rel=1e-12)
    assert impact.srm.status == "ok"
    assert not any("allocation" in note for note in impact.notes)


def test_a_mismatch_is_said_first_and_an_unplanned_ratio_is_named(impact):
    assert impact.srm.status == "mismatch"
    assert impact.summary().startswith("Sample-ratio mismatch")
    assert impact.notes[0].startswith("Sample-ratio mismatch")
    assert "tested against equal shares" in " ".join(impact.notes)
    assert repr(impact).startswith("Impact: Sample-ratio mismatch")


def test_the_ratio_is_also_tested_within_segments(impact, campaign):
    by_segment = impact.srm.by_segment
    columns = ["segment", "statistic", "p_value", "p_holm", "status"]
    assert list(by_segment.columns) == columns
    for row in by_segment.itertuples():
        seen = campaign[campaign["tier"] == row.segment]["mail"].value_counts()
        want = stats.chisquare(seen)
        assert row.statistic == pytest.approx(want.statistic, rel=1e-12)
        assert row.p_value == pytest.approx(want.pvalue, rel=1e-9)
    want = multipletests(by_segment["p_value"], method="holm")[1]
    np.testing.assert_allclose(by_segment["p_holm"], want, rtol=1e-12)


def test_words_follow_from_the_numbers(campaign):
    lower = campaign.assign(spend=campaign["spend"] - 50 * (campaign["mail"] == "voucher"))
    test = cs.CampaignTest(
        arm="mail",
        control="nothing",
        metrics={"spend": cs.Mean("spend")},
        allocation={"nothing": 0.5, "catalogue": 0.3, "voucher": 0.2},
    )
    words = test.analyze(lower).summary()
    row = test.analyze(lower).to_frame().iloc[1]
    assert f"voucher lowers spend from {row['control']:,.0f} to {row['treatment']:,.0f}" in words
    assert "Holm-adjusted p < .001" in words
    assert "catalogue shows no clear difference from nothing in spend" in words
    assert "significant" not in words


def test_nothing_that_was_given_is_changed(campaign):
    before = campaign.copy()
    tiers = campaign.set_index("customer_id")["tier"]
    metrics = dict(METRICS)
    test = cs.CampaignTest(
        arm="mail", control="nothing", metrics=metrics, segments=tiers, customer_id="customer_id"
    )
    metrics.clear()
    impact = test.analyze(campaign)
    frame = impact.to_frame()
    frame["effect"] = 0.0
    assert impact.to_frame()["effect"].ne(0).all()
    pd.testing.assert_frame_equal(campaign, before)
    assert "3999" not in repr(test)


def test_the_display_is_rounded_and_complete(impact):
    text, html = repr(impact), impact._repr_html_()
    assert "note: " in text
    assert "<table" in html
    assert "(all)" in html
