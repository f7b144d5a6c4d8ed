"""Money from effects, recomputed by hand, and words that follow from the numbers."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import custseg as cs
from custseg.campaigns import Decision
from custseg.errors import ParameterError


@pytest.fixture(scope="module")
def impact():
    """Arm mail earns, call is dear; complaints rise with calls; four segments."""
    rng = np.random.default_rng(4)
    n = 8_000
    arm = rng.choice(["none", "mail", "call"], n, p=[0.4, 0.3, 0.3])
    frame = pd.DataFrame(
        {
            "arm": arm,
            "tier": rng.choice(list("abcd"), n),
            "spend": rng.exponential(10, n) + 2.0 * (arm == "mail") + 0.5 * (arm == "call"),
            "complaint": (rng.random(n) < 0.02 + 0.05 * (arm == "call")).astype(int),
            "visits": rng.poisson(3, n),
        }
    )
    frame["opened"] = frame.groupby("arm").cumcount() % 2
    test = cs.CampaignTest(
        arm="arm",
        control="none",
        allocation={"none": 0.4, "mail": 0.3, "call": 0.3},
        metrics={
            "spend": cs.Mean("spend"),
            "complaint": cs.Proportion("complaint", better="lower"),
            "visits": cs.Mean("visits", margin=0.3),
            "opened": cs.Proportion("opened"),
            "median": cs.Quantile("spend"),
        },
        segments="tier",
    )
    return test.analyze(frame)


BRIEF = cs.Brief(
    goal="choose whom to call",
    success_metric="spend",
    guardrails=("complaint", "visits", "opened", "unsubscribed"),
    horizon=timedelta(days=90),
)


def decide(impact, **options):
    given = {
        "value": 0.5,
        "cost": {"mail": 0.1, "call": 3.0},
        "fixed_cost": {"mail": 50, "call": 0},
    }
    return impact.decision(BRIEF, **given | options)


def test_money_is_effect_times_customers_times_value_less_cost(impact):
    decision = decide(impact)
    assert isinstance(decision, Decision)
    table = decision.to_frame()
    effects = impact.to_frame().query("metric == 'spend'").reset_index(drop=True)
    assert table[["segment", "arm"]].equals(effects[["segment", "arm"]])
    n = effects["n_treatment"]
    for end, column in {"": "effect", "_ci_low": "ci_low", "_ci_high": "ci_high"}.items():
        revenue = effects[f"{column}_shrunk"] * n * 0.5
        np.testing.assert_allclose(table[f"revenue{end}"], revenue)
        np.testing.assert_allclose(table[f"net{end}"], revenue - table["cost"])
        np.testing.assert_allclose(table[f"roi{end}"], (revenue - table["cost"]) / table["cost"])
    each = effects["arm"].map({"mail": 0.1, "call": 3.0})
    whole = (effects["segment"] == "(all)") & (effects["arm"] == "mail")
    np.testing.assert_allclose(table["cost"], each * n + 50 * whole)
    np.testing.assert_allclose(table["break_even"], table["cost"] / n / 0.5)


def test_the_interval_of_everybody_is_that_of_the_effect(impact):
    row = decide(impact).to_frame().iloc[0]
    effect = impact.to_frame().iloc[0]
    assert row["revenue_ci_low"] == pytest.approx(effect["ci_low"] * effect["n_treatment"] / 2)
    z = (effect["effect"] - row["break_even"]) / ((effect["ci_high"] - effect["ci_low"]) / 2)
    assert row["p_pays"] == pytest.approx(stats.norm.cdf(z * stats.norm.isf(0.025)), abs=1e-9)


def test_verdicts_are_read_off_the_interval(impact):
    table = decide(impact).to_frame()
    verdict = table.set_index(["segment", "arm"])["verdict"]
    assert verdict["(all)", "mail"] == "pays"
    assert verdict["(all)", "call"] == "loses"
    dear = decide(impact, cost={"mail": 1.0, "call": 0.3}).to_frame()
    assert set(dear["verdict"]) == {"open"}
    assert (dear["net_ci_low"] < 0).all()
    assert (dear["net_ci_high"] > 0).all()


def test_a_roll_out_keeps_the_shares_of_the_segments(impact):
    table = decide(impact, customers=100_000, fixed_cost=0).to_frame()
    overall = table["segment"] == "(all)"
    assert (table["customers"][overall] == 100_000).all()
    for _, rows in table[~overall].groupby("arm"):
        assert rows["customers"].sum() == pytest.approx(100_000)
    np.testing.assert_allclose(table["roi"], decide(impact, fixed_cost=0).to_frame()["roi"])


def test_a_loss_per_unit_turns_the_interval(impact):
    table = impact.decision(metric="complaint", value=-20.0).to_frame()
    effect = impact.to_frame().query("metric == 'complaint' and segment == '(all)'")
    row = table[table["segment"] == "(all)"]
    np.testing.assert_allclose(
        row["revenue_ci_low"], -20 * effect["ci_high"] * effect["n_treatment"]
    )
    assert (table["revenue_ci_low"] <= table["revenue_ci_high"]).all()
    assert table["roi"].isna().all()  # nothing was paid
    assert row.set_index("arm")["verdict"]["call"] == "loses"


def test_guardrails_are_judged_by_their_whole_interval(impact):
    found = decide(impact).guardrails.set_index(["metric", "arm"])["status"]
    assert found["complaint", "call"] == "harmed"
    assert found["visits", "mail"] == "safe"  # within its margin
    assert found["opened", "mail"] == "not shown safe"  # no margin, no clear gain
    effects = impact.to_frame().query("segment == '(all)'").set_index(["metric", "arm"])
    assert effects.loc[("complaint", "call"), "ci_low"] > 0
    assert effects.loc[("visits", "mail"), "ci_low"] > -0.3


def test_words_follow_from_the_numbers(impact):
    decision = decide(impact, measured=timedelta(days=14))
    words, notes = decision.summary(), " ".join(decision.notes)
    assert "mail for " in words
    assert "It earns more than it costs over the whole interval." in words
    assert "It costs more than it brings over the whole interval." in words
    assert "It harms complaint" in words
    assert "opened is not shown to be safe" in words
    assert "By segment, mail pays in" in words
    assert "significant" not in words + notes
    assert "unsubscribed" in notes
    assert "counted for 14 days, the brief looks 90 days ahead" in notes
    assert "shrunk" in notes
    assert "name measured=" in " ".join(decide(impact).notes)
    dear = decide(impact, cost={"mail": 1.0, "call": 0.3}).summary()
    assert "Whether it pays is open: it may lose" in dear
    assert "times the customers would just tell" in dear


def test_what_the_checks_found_comes_first(impact):
    assert decide(impact).warnings == ()
    rng = np.random.default_rng(0)
    n = 3_000
    frame = pd.DataFrame(
        {"arm": rng.choice(["none", "mail"], n, p=[0.4, 0.6]), "spend": rng.exponential(1, n)}
    )
    test = cs.CampaignTest(arm="arm", control="none", metrics={"spend": cs.Mean("spend")})
    decision = test.analyze(frame).decision(cost=0.1)
    assert decision.warnings[0].startswith("Sample-ratio mismatch (chi-square ")
    assert decision.summary().startswith("Before any decision: Sample-ratio mismatch")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "median"}, "does not add up"),
        ({"metric": "spent"}, "Did you mean 'spend'"),
        ({"value": 0}, "must be what one unit"),
        ({"cost": -1}, "cost of 'mail' is -1"),
        ({"cost": {"mail": 1}}, "no arm 'call'"),
        ({"cost": {"mail": 1, "call": 1, "post": 1}}, "must be one of"),
        ({"customers": 0}, "customers is 0"),
    ],
)
def test_what_cannot_be_counted_says_what_to_do(impact, options, words):
    with pytest.raises(ParameterError, match=words):
        decide(impact, **options)


def test_without_a_brief_the_metric_must_be_named(impact):
    with pytest.raises(ParameterError, match="choose metric= among"):
        impact.decision()
    brief = cs.Brief(goal="sell more", success_metric="sales")
    with pytest.raises(ParameterError, match="'sales' is no metric of the test"):
        impact.decision(brief)
    notes = impact.decision(brief, metric="spend").notes
    assert "The brief is judged by sales, not by spend." in notes


def test_the_display_is_rounded(impact):
    decision = decide(impact)
    assert "Decision: " in repr(decision)
    assert "<table" in decision._repr_html_()
