"""Numbers on public campaigns, against statsmodels and against what has been published."""

import os
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

import custseg as cs

pytestmark = pytest.mark.realdata
MAILS = ["Mens E-Mail", "Womens E-Mail"]


def real(name):
    return Path(os.environ["CUSTSEG_DATA"]) / name


@pytest.fixture(scope="module")
def hillstrom():
    return duckdb.read_parquet(str(real("hillstrom.parquet"))).df()


@pytest.fixture(scope="module")
def impact():
    test = cs.CampaignTest(
        arm="segment",
        control="No E-Mail",
        metrics={
            "visit": cs.Proportion("visit"),
            "spend": cs.Mean("spend"),
            "spend_adjusted": cs.Mean("spend", covariate="history"),
        },
        segments="history_segment",
    )
    return test.analyze(real("hillstrom.parquet"))


@pytest.fixture(scope="module")
def overall(impact):
    frame = impact.to_frame()
    return frame[frame["segment"] == "(all)"].set_index(["metric", "arm"])


def test_published_effects(overall):
    spend, visit = overall.loc["spend"], overall.loc["visit"]
    np.testing.assert_allclose(spend.loc[MAILS, "effect"], [0.7698, 0.4244], atol=5e-5)
    np.testing.assert_allclose(spend.loc[MAILS, "se"], [0.1452, 0.1303], atol=5e-5)
    np.testing.assert_allclose(visit.loc[MAILS, "effect"], [0.0766, 0.0452], atol=5e-5)
    assert overall["n_control"].unique().tolist() == [21_306]
    assert spend.loc[MAILS, "n_treatment"].tolist() == [21_307, 21_387]


@pytest.mark.parametrize("mail", MAILS)
def test_visits_equal_statsmodels(overall, hillstrom, mail):
    row = overall.loc[("visit", mail)]
    visits = hillstrom.groupby("segment")["visit"].agg(["sum", "size"]).loc[[mail, "No E-Mail"]]
    count, nobs = visits["sum"].to_numpy(), visits["size"].to_numpy()
    interval = confint_proportions_2indep(
        count[0], nobs[0], count[1], nobs[1], method="newcomb", compare="diff"
    )
    np.testing.assert_allclose(row[["ci_low", "ci_high"]].astype(float), interval, atol=1e-10)
    assert row["p_value"] == pytest.approx(proportions_ztest(count, nobs)[1], rel=1e-8)


@pytest.mark.parametrize("mail", MAILS)
def test_spend_equals_statsmodels(overall, hillstrom, mail):
    row = overall.loc[("spend", mail)]
    spend = hillstrom.groupby("segment")["spend"]
    treatment, control = (DescrStatsW(spend.get_group(a)) for a in (mail, "No E-Mail"))
    want = CompareMeans(treatment, control)
    assert row["effect"] == pytest.approx(treatment.mean - control.mean, abs=1e-10)
    assert row["se"] == pytest.approx(want.std_meandiff_separatevar, abs=1e-10)
    assert row["p_value"] == pytest.approx(want.ttest_ind(usevar="unequal")[1], abs=1e-10)
    interval = want.tconfint_diff(usevar="unequal")
    np.testing.assert_allclose(row[["ci_low", "ci_high"]].astype(float), interval, atol=1e-10)


def test_adjusted_spend_equals_least_squares_overall_and_by_segment(impact, hillstrom):
    frame = impact.to_frame()
    frame = frame[frame["metric"] == "spend_adjusted"]
    assert len(frame) == 16
    for row in frame.itertuples():
        whole = row.segment == "(all)"
        part = hillstrom if whole else hillstrom[hillstrom["history_segment"] == row.segment]
        fit = ols("spend ~ C(segment, Treatment('No E-Mail')) + history", data=part).fit()
        coefficient = fit.params[f"C(segment, Treatment('No E-Mail'))[T.{row.arm}]"]
        assert row.effect == pytest.approx(coefficient, abs=1e-8)


def test_history_explains_next_to_nothing_of_spend_and_that_is_said(impact, hillstrom):
    within = hillstrom[["spend", "history"]] - hillstrom.groupby("segment")[
        ["spend", "history"]
    ].transform("mean")
    share = within.corr().iloc[0, 1] ** 2
    assert share == pytest.approx(0.0005, abs=5e-5)
    assert any(f"{share:.2%}" in note and "next to nothing" in note for note in impact.notes)


def test_the_sample_ratio_of_hillstrom_is_as_planned(impact, hillstrom):
    want = stats.chisquare(hillstrom["segment"].value_counts())
    assert impact.srm.p_value == pytest.approx(want.pvalue, abs=1e-12)
    assert impact.srm.status == "ok"
    assert (impact.srm.by_segment["status"] == "ok").all()


def test_cookie_cats_has_a_suspect_sample_ratio_and_says_so_first():
    test = cs.CampaignTest(
        arm="version",
        control="gate_30",
        metrics={"retention_7": cs.Proportion("retention_7")},
        customer_id="userid",
        allocation={"gate_30": 0.5, "gate_40": 0.5},
    )
    impact = test.analyze(real("cookie_cats.parquet"))
    assert impact.srm.observed.tolist() == [44_700, 45_489]
    assert impact.srm.statistic == pytest.approx(6.902, abs=5e-4)
    assert impact.srm.p_value == pytest.approx(0.0086, abs=5e-5)
    assert impact.srm.status == "suspect"
    assert impact.notes[0].startswith("The sample ratio is suspect")
    assert impact.summary().startswith("The sample ratio is suspect")
    row = impact.to_frame().iloc[0]
    assert row[["control", "treatment"]].tolist() == pytest.approx([0.19020, 0.18200], abs=5e-6)
