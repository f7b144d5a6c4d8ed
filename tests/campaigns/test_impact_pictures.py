"""Every number that is drawn is one of the result, and stands where it belongs."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.campaigns import Checks
from custseg.errors import DataError, ParameterError

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(6)
    n = 1_500
    arm = rng.choice(["none", "offer", "voucher"], n)
    frame = pd.DataFrame(
        {
            "mail": arm,
            "tier": rng.choice(["$0 - $100", "$100 - $200", "$200 +"], n),
            "age": rng.normal(40, 10, n) + 5 * (arm == "offer"),
            "region": rng.choice(["north", "south"], n),
            "before": rng.exponential(10, n),
            "week_1": rng.exponential(10, n),
            "week_2": rng.exponential(10, n),
        }
    )
    return frame.assign(spend=frame["week_1"] + frame["week_2"] + 2 * (arm == "offer"))


@pytest.fixture(scope="module")
def impact(data):
    test = cs.CampaignTest(
        arm="mail",
        control="none",
        metrics={"spend": cs.Mean("spend")},
        segments="tier",
        checks=Checks(
            balance=["age", "region"],
            before={"spend": cs.Mean("before")},
            periods={"spend": ["week_1", "week_2"]},
        ),
    )
    return test.analyze(data)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def intervals(ax, index):
    return [(s[0][0], s[1][0]) for s in ax.collections[index].get_segments()]


def labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_the_forest_draws_shrunk_effects_before_pale_raw_ones(impact):
    ax = impact.plot(shrunk=True)
    rows = impact.to_frame().query("arm == 'offer'")
    np.testing.assert_allclose(
        intervals(ax, 0), rows[["ci_low_shrunk", "ci_high_shrunk"]].to_numpy()
    )
    np.testing.assert_allclose(intervals(ax, 1), rows[["ci_low", "ci_high"]].to_numpy())
    assert ax.collections[1].get_alpha() < 1
    assert ax.collections[1].get_zorder() < ax.collections[0].get_zorder()
    np.testing.assert_allclose(ax.lines[0].get_xdata(), rows["effect_shrunk"])
    assert "shrunk" in ax.get_xlabel()


def test_contributions_are_drawn_with_the_mix(impact):
    ax = impact.plot(show="contributions")
    rows = impact.decomposition.query("arm == 'offer'")
    np.testing.assert_allclose(ax.lines[0].get_xdata(), rows["contribution"])
    assert labels(ax) == [r"\$0 - \$100", r"\$100 - \$200", r"\$200 +", "(mix)"]
    ax.figure.canvas.draw()


def test_checks_are_drawn_hollow_where_arms_are_unlike(impact):
    ax = impact.plot(show="checks")
    assert labels(ax) == [
        "region",
        "age",
        "spend, before",
        *(f"spend, before in {tier}" for tier in (r"\$0 - \$100", r"\$100 - \$200", r"\$200 +")),
    ]
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    drawn = [(x, y) for line in hollow for x, y in zip(*line.get_data(), strict=True)]
    bad = impact.checks.query("what == 'age' and arm == 'offer'")
    assert bad["status"].item() == "alarm"
    assert drawn == [(bad["std_diff"].item(), 1)]
    assert len(ax.get_legend().get_texts()) == 2


def test_effects_by_period_are_drawn_in_order(impact):
    ax = impact.plot(show="over_time")
    rows = impact.over_time.query("arm == 'voucher'")
    np.testing.assert_allclose(ax.lines[1].get_ydata(), rows["effect"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["week_1", "week_2"]


def test_money_is_drawn_by_segment_and_arm(impact):
    decision = impact.decision(cost=1.0)
    ax = decision.plot()
    rows = decision.to_frame().query("arm == 'voucher'")
    np.testing.assert_allclose(ax.lines[1].get_xdata(), rows["net"])
    np.testing.assert_allclose(intervals(ax, 1), rows[["net_ci_low", "net_ci_high"]].to_numpy())
    assert "net of cost" in ax.get_xlabel()


def test_given_axes_are_drawn_on(impact):
    for show in ("effects", "contributions", "checks", "over_time"):
        _, ax = plt.subplots()
        assert impact.plot(show=show, ax=ax) is ax


def test_what_is_not_there_is_not_drawn(impact, data):
    test = cs.CampaignTest(arm="mail", control="none", metrics={"spend": cs.Mean("spend")})
    bare = test.analyze(data)
    for show, words in {
        "contributions": "nothing to decompose",
        "checks": "no column was compared",
        "over_time": "no outcome was named by period",
    }.items():
        with pytest.raises(DataError, match=words):
            bare.plot(show=show)
    with pytest.raises(ParameterError, match="Did you mean 'checks'"):
        impact.plot(show="check")
    with pytest.raises(ParameterError, match="Did you mean 'spend'"):
        impact.plot(show="contributions", metric="spent")
