"""Difference in differences against regressions, brute force and planted effects."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from custseg.campaigns import difference_in_differences
from custseg.errors import ColumnError, DataError, ParameterError

mpl.use("Agg")
import matplotlib.pyplot as plt

ROLES = {"customer_id": "who", "period": "month", "outcome": "spend", "first_treated": "start"}


def make_panel(n=200, periods=6, starts=(3,), effect=2.0, trend=0.0, seed=0):
    """Customers with habits of their own; half never treated, treated ones spend more before."""
    rng = np.random.default_rng(seed)
    first = np.where(np.arange(n) % 2, rng.choice(starts, n).astype(float), np.nan)
    treated = ~np.isnan(first)
    own = rng.normal(10 + 3 * treated, 4)
    month = np.arange(periods)
    noise = rng.normal(0, 1, (n, periods))
    noise[:, 1:] += 0.7 * noise[:, :-1]
    y = own[:, None] + 0.5 * month + noise + trend * treated[:, None] * month
    y = y + effect * (month >= first[:, None])
    return pd.DataFrame(
        {
            "who": np.repeat(np.arange(n), periods),
            "month": np.tile(month, n),
            "start": np.repeat(first, periods),
            "tier": np.repeat(np.where(np.arange(n) % 3 == 0, "high", "low"), periods),
            "spend": y.ravel(),
        }
    )


def clustered(panel, terms):
    fit = smf.ols(f"spend ~ {terms} + C(who) + C(month)", panel)
    return fit.fit(cov_type="cluster", cov_kwds={"groups": panel["who"], "use_correction": False})


def test_one_start_is_the_two_way_fixed_effects_regression():
    panel = make_panel(n=60)
    panel["d"] = (panel["month"] >= panel["start"]).astype(int)
    fit = clustered(panel, "d")
    row = difference_in_differences(panel, **ROLES).to_frame().iloc[0]
    assert row["effect"] == pytest.approx(fit.params["d"], abs=1e-8)
    # both arms have 30 customers; the regression divides by n, Welch's variance by n - 1
    assert row["se"] == pytest.approx(fit.bse["d"] * np.sqrt(30 / 29), rel=1e-8)
    change = panel.assign(after=panel["month"] >= 3).pivot_table("spend", "who", "after")
    change = change[True] - change[False]
    treated = panel.groupby("who")["start"].first().notna()
    welch = stats.ttest_ind(change[treated], change[~treated], equal_var=False)
    assert row["effect"] / row["se"] == pytest.approx(welch.statistic, rel=1e-10)
    assert row["treatment_change"] - row["control_change"] == pytest.approx(row["effect"])


def test_the_event_study_is_the_regression_on_leads_and_lags():
    panel = make_panel(n=60)
    times = [-3, -2, 0, 1, 2]
    for e in times:
        panel[f"e{e + 3}"] = (panel["month"] - panel["start"] == e).astype(int)
    fit = clustered(panel, " + ".join(f"e{e + 3}" for e in times))
    study = difference_in_differences(panel, **ROLES).event_study.set_index("event_time")
    for e in times:
        assert study.loc[e, "effect"] == pytest.approx(fit.params[f"e{e + 3}"], abs=1e-8)
        assert study.loc[e, "se"] == pytest.approx(
            fit.bse[f"e{e + 3}"] * np.sqrt(30 / 29), rel=1e-7
        )
    assert study.loc[-1, "effect"] == 0
    wald = fit.wald_test("e0 = 0, e1 = 0", use_f=False, scalar=True).statistic * 29 / 30
    trend = difference_in_differences(panel, **ROLES).pre_trend.iloc[0]
    assert trend["statistic"] == pytest.approx(wald / 2 * (58 - 1) / 58, rel=1e-7)
    assert (trend["df"], trend["df_resid"]) == (2, 57)


@pytest.mark.parametrize("controls", ["never", "not_yet"])
def test_staggered_cohorts_are_compared_with_the_untreated(controls):
    panel = make_panel(n=90, starts=(2, 4))
    found = difference_in_differences(panel, **ROLES, controls=controls)
    wide = panel.pivot_table("spend", "who", "month")
    first = panel.groupby("who")["start"].first()
    total, weight = 0.0, 0
    for g in (2, 4):
        for t in range(6):
            late = first.isna() if controls == "never" else first.isna() | (first > max(t, g))
            change = wide[t] - wide[g - 1]
            brute = change[first == g].mean() - change[late].mean()
            cell = found.cohorts.query("first_treated == @g and period == @t").iloc[0]
            assert cell["effect"] == pytest.approx(brute, abs=1e-10)
            if t >= g:
                change = wide[t] - wide[range(g)].mean(axis=1)
                n = (first == g).sum()
                total += n * (change[first == g].mean() - change[late].mean())
                weight += n
    assert found.table["effect"].iloc[0] == pytest.approx(total / weight, abs=1e-10)
    assert any(note.startswith("Staggered") for note in found.notes)


def test_staggered_effects_that_grow_are_not_turned_around():
    # two-way fixed effects take early cohorts, whose effects grow, as controls of late ones
    rng = np.random.default_rng(4)
    n, month = 600, np.arange(8)
    first = rng.choice([1.0, 4.0, np.nan], n, p=[0.45, 0.45, 0.1])
    since = np.clip(month - first[:, None] + 1, 0, None)
    y = rng.normal(0, 1, (n, 8)) + np.nan_to_num(1.0 * since)
    panel = pd.DataFrame(
        {
            "who": np.repeat(np.arange(n), 8),
            "month": np.tile(month, n),
            "start": np.repeat(first, 8),
            "spend": y.ravel(),
        }
    )
    row = difference_in_differences(panel, **ROLES).table.iloc[0]
    truth = since[since > 0].mean()
    assert row["ci_low"] < truth < row["ci_high"]
    panel["d"] = (panel["month"] >= panel["start"]).astype(float)
    within = panel[["spend", "d"]] - panel.groupby("who")[["spend", "d"]].transform("mean")
    within -= within.groupby(panel["month"]).transform("mean")
    twoway = (within["spend"] @ within["d"]) / (within["d"] @ within["d"])
    assert twoway < 0.8 * truth


@pytest.mark.slow
def test_intervals_cover_and_the_test_of_trends_keeps_its_level():
    covered, false, found = [], [], []
    for seed in range(400):
        panel = make_panel(n=60, starts=(3, 4), seed=seed)
        result = difference_in_differences(panel, **ROLES).table.iloc[0]
        covered.append(result["ci_low"] <= 2 <= result["ci_high"])
        false.append(result["p_pre_trend"] < 0.05)
        if seed < 40:
            apart = make_panel(n=200, trend=0.5, seed=seed)
            found.append(difference_in_differences(apart, **ROLES).table["p_pre_trend"][0] < 0.05)
    error = 2 * np.sqrt(0.05 * 0.95 / 400)
    assert 0.95 - error <= np.mean(covered) <= 0.95 + error
    assert np.mean(false) <= 0.05 + error
    assert np.mean(found) > 0.9


def test_trends_that_part_before_treatment_are_said_in_words():
    found = difference_in_differences(make_panel(trend=0.6), **ROLES)
    assert "did not change alike" in found.summary()
    assert found.notes[0].startswith("Observational")
    one = difference_in_differences(make_panel(periods=2, starts=(1,)), **ROLES)
    assert np.isnan(one.table["p_pre_trend"][0])
    assert "One period before" in one.summary()


def test_segments_are_analysed_on_their_own_and_corrected_together():
    panel = make_panel()
    table = difference_in_differences(panel, **ROLES, segments="tier").table
    assert table["segment"].tolist() == ["(all)", "high", "low"]
    alone = difference_in_differences(panel[panel["tier"] == "low"], **ROLES).table.iloc[0]
    assert table["effect"][2] == pytest.approx(alone["effect"], rel=1e-12)
    assert (table["p_holm"][1:] >= table["p_value"][1:]).all()


def test_every_customer_is_accounted_for_and_zeros_can_be_meant():
    panel = make_panel(starts=(3,))
    panel.loc[panel["who"] == 1, "start"] = 0.0
    gone = panel.drop(panel.index[(panel["who"] == 2) & (panel["month"] == 1)])
    found = difference_in_differences(gone, **ROLES)
    account = found.account
    assert account[["incomplete", "always_treated"]].tolist() == [1, 1]
    assert account["customers_in"] == account.iloc[2:].sum() == 200
    zero = panel.assign(
        spend=panel["spend"].where(~((panel["who"] == 2) & (panel["month"] == 1)), 0.0)
    )
    filled = difference_in_differences(gone, **ROLES, missing="zero").table
    pd.testing.assert_frame_equal(filled, difference_in_differences(zero, **ROLES).table)


def test_row_order_dates_and_engine_change_nothing():
    panel = make_panel()
    expected = difference_in_differences(panel, **ROLES).table
    months = pd.date_range("2024-01-01", periods=6, freq="MS")
    dated = panel.assign(
        month=months[panel["month"]],
        start=[months[int(s)] if s == s else pd.NaT for s in panel["start"]],
    )
    shuffled = dated.sample(frac=1, random_state=2)
    found = difference_in_differences(shuffled, **ROLES)
    pd.testing.assert_frame_equal(found.table, expected, rtol=1e-9)
    import polars as pl

    assert found.cohorts["period"].max() == months[-1]
    polars = difference_in_differences(pl.from_pandas(shuffled), **ROLES).table
    pd.testing.assert_frame_equal(polars, expected, rtol=1e-9)


def changed(change):
    panel = make_panel(n=40)
    change(panel)
    return panel


@pytest.mark.parametrize(
    ("panel", "options", "error", "words"),
    [
        (make_panel(20), {"outcome": "spent"}, ColumnError, "Did you mean 'spend'"),
        (make_panel(20), {"controls": "all"}, ParameterError, "controls is 'all'"),
        (make_panel(20), {"missing": "mean"}, ParameterError, "missing is 'mean'"),
        (make_panel(20), {"outcome": "tier"}, DataError, "must hold numbers"),
        (pd.concat([make_panel(20)] * 2), {}, DataError, "repeat a customer and period"),
        (make_panel(20).assign(start=3.0), {}, DataError, "never.*not_yet"),
        (make_panel(20).assign(start=np.nan), {}, DataError, "0 customers are treated"),
        (make_panel(20, starts=(9,)), {}, DataError, "holds 9.0 for 10 customers"),
        (
            changed(lambda p: p.__setitem__("start", p["start"].where(p["month"] > 0))),
            {},
            DataError,
            "more than one value for 20 customers",
        ),
        (make_panel(20).query("month == 1"), {}, DataError, "which is no period"),
    ],
)
def test_bad_input_stops_with_a_remedy(panel, options, error, words):
    with pytest.raises(error, match=words):
        difference_in_differences(panel, **(ROLES | options))


def test_the_picture_shows_the_event_study():
    found = difference_in_differences(make_panel(), **ROLES, segments="tier")
    ax = found.plot(segment="high")
    study = found.event_study.query("segment == 'high'")
    drawn = np.concatenate([line.get_ydata() for line in ax.lines[:2]])
    np.testing.assert_allclose(drawn, study["effect"])
    assert ax.get_title(loc="left") == "high, observational"
    with pytest.raises(ParameterError, match="segment is 'hgh'"):
        found.plot(segment="hgh")
    plt.close("all")
