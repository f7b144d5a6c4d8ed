import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.campaigns import Action
from custseg.errors import ParameterError

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def history():
    rng = np.random.default_rng(3)
    n = 900
    return pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "tier": rng.choice(["$ low", "$ high"], n),
            "visit": rng.random(n) < 0.3,
            "spend": rng.exponential(10, n),
        }
    )


@pytest.fixture(scope="module")
def design():
    return cs.CampaignDesign(
        arms={"control": 0.5, "$5 off": 0.3, "letter": 0.2}, strata=["tier"], holdout=0.1
    )


@pytest.fixture(scope="module")
def declared(design):
    metrics = {"spend": cs.Mean("spend"), "visit": cs.Proportion("visit")}
    return design.test(metrics, segments="tier")


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_power_curves_pass_through_the_planned_sizes(design, declared, history):
    found = cs.campaigns.baselines(history, declared)
    analysis = design.sample_size(relative_effect=0.2, baseline=found)
    ax = analysis.plot(metric="visit")
    curves = [line for line in ax.lines if len(line.get_xdata()) > 2]
    points = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert len(curves) == len(points) == 3
    for curve, point in zip(curves, points, strict=True):
        size, power = point.get_xdata()[0], point.get_ydata()[0]
        assert power == pytest.approx(np.interp(size, *curve.get_data()), abs=0.01)
        assert power == pytest.approx(0.8, abs=0.001)
        assert (np.diff(curve.get_ydata()) > 0).all()
    assert ax.get_title(loc="left") == "visit"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[1].startswith(r"\$ high: +0.0")
    assert analysis.plot().get_title(loc="left") == "spend"
    with pytest.raises(ParameterError, match="metric is 'visits'"):
        analysis.plot(metric="visits")


def test_an_effect_that_is_not_possible_has_no_curve():
    ax = cs.campaigns.minimum_detectable_effect(20, baseline=0.9).plot()
    assert "no possible effect" in ax.texts[0].get_text()


def test_baselines_show_the_level_of_each_segment(declared, history):
    found = cs.campaigns.baselines(history, declared)
    ax = found.plot(metric="spend")
    assert names(ax) == ["(all)", r"\$ high", r"\$ low"]
    rows = found.table[found.table["metric"] == "spend"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), rows["baseline"])


def test_an_assignment_shows_shares_by_stratum(design, history):
    found = design.assign(history)
    ax = found.plot()
    inside = found.customers[~found.customers["holdout"]]
    shares = pd.crosstab(inside["stratum"], inside["arm"], normalize="index")
    order = inside["stratum"].value_counts().index
    widths = np.array([[bar.get_width() for bar in bars] for bars in ax.containers])
    np.testing.assert_allclose(widths.T, shares.loc[order])
    dashed = [line.get_xdata()[0] for line in ax.lines]
    np.testing.assert_allclose(dashed, [0.5, 0.8])


def test_balance_shows_every_difference_of_every_arm(design, history):
    found = design.balance(design.assign(history), history, columns=["tier", "spend"])
    ax = found.plot()
    assert names(ax) == [r"tier = \$ high", r"tier = \$ low", "spend"]
    rows = found.table[found.table["arm"] == "letter"]
    np.testing.assert_allclose(ax.lines[1].get_xdata(), rows["std_diff"])


def test_simulated_false_alarms_are_shown_with_their_error(declared, history):
    found = cs.campaigns.aa_simulation(history, declared, n_simulations=40)
    ax = found.plot()
    assert len(names(ax)) == len(found.table) == 12
    assert names(ax)[0] == r"spend, (all), \$5 off"
    drawn = {
        (round(x, 9), int(y))
        for line in ax.lines[:-1]
        for x, y in zip(*line.get_data(), strict=True)
    }
    rates = found.table["false_positive_rate"].round(9)
    assert drawn == set(zip(rates, range(12), strict=True))


def test_planned_actions_stack_up_to_all_customers(history):
    plan = cs.ActionPlan(
        actions={
            "$ low": Action(offer="voucher", channel="email", eligible="visit", limit=50),
            "$ high": None,
        }
    )
    planned = plan.apply(history, "tier")
    ax = planned.plot()
    lengths = np.array([[bar.get_width() for bar in bars] for bars in ax.containers]).sum(axis=0)
    np.testing.assert_array_equal(lengths, planned.account["customers"].drop("(all)"))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["action", "no action planned", "no room left", "not eligible: visit"]


def test_a_duration_is_marked_where_the_customers_have_come():
    found = cs.campaigns.duration(800, pd.Series([400, 700, 850]))
    ax = found.plot(ax=plt.figure().subplots())
    assert [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1] == [3]
    assert cs.campaigns.duration(900, pd.Series([400.0, 700])).plot().lines
