import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.errors import ParameterError

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(scope="module")
def impact():
    rng = np.random.default_rng(2)
    n = 600
    frame = pd.DataFrame(
        {
            "mail": rng.choice(["none", "offer", "voucher"], n),
            "tier": rng.choice(["$0 - $100", "$100 +"], n),
            "visit": rng.integers(0, 2, n),
            "spend": rng.exponential(10, n),
        }
    )
    metrics = {"visit": cs.Proportion("visit"), "spend": cs.Mean("spend")}
    return cs.CampaignTest(arm="mail", control="none", metrics=metrics, segments="tier").analyze(
        frame
    )


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def drawn(ax, index):
    """Return (low, high, place) of every interval of one arm."""
    segments = ax.collections[index].get_segments()
    return [(s[0][0], s[1][0], s[0][1]) for s in segments]


def test_a_forest_draws_every_interval_where_it_belongs(impact):
    ax = impact.plot(metric="spend")
    frame = impact.to_frame()
    for i, arm in enumerate(["offer", "voucher"]):
        rows = frame[(frame["metric"] == "spend") & (frame["arm"] == arm)]
        low, high, place = zip(*drawn(ax, i), strict=True)
        np.testing.assert_allclose(low, rows["ci_low"])
        np.testing.assert_allclose(high, rows["ci_high"])
        np.testing.assert_array_equal(np.rint(place), [0, 1, 2])
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "(all)",
        r"\$0 - \$100",
        r"\$100 +",
    ]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # everybody on top
    assert "spend" in ax.get_xlabel()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["offer", "voucher"]


def test_one_panel_per_metric_on_a_new_figure(impact):
    axes = impact.plot()
    assert [ax.get_xlabel().split(":")[0] for ax in axes] == ["visit", "spend"]
    axes[0].figure.canvas.draw()


def test_given_axes_hold_one_metric(impact):
    _, ax = plt.subplots()
    assert impact.plot(metric="visit", ax=ax) is ax
    with pytest.raises(ParameterError, match="choose metric="):
        impact.plot(ax=ax)
    with pytest.raises(ParameterError, match="Did you mean 'visit'"):
        impact.plot(metric="visits")


def test_more_arms_than_colours_are_all_drawn():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"mail": np.arange(600) % 12, "spend": rng.normal(size=600)})
    test = cs.CampaignTest(arm="mail", control=0, metrics={"spend": cs.Mean("spend")})
    ax = test.analyze(frame).plot()
    assert len(ax.get_legend().get_texts()) == 11
    ax.figure.canvas.draw()


def test_the_sample_ratio_shows_seen_and_planned_shares(impact):
    ax = impact.srm.plot()
    seen, planned = (line.get_xdata() for line in ax.lines)
    np.testing.assert_allclose(seen, impact.srm.observed / 600)
    np.testing.assert_allclose(planned, [1 / 3] * 3)
