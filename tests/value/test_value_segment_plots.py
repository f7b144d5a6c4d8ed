"""Every picture shows the numbers of its result."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import custseg as cs
from custseg import value
from custseg.errors import ParameterError

N = 240
rng = np.random.default_rng(0)
IDS = pd.Index(np.arange(N), name="customer_id")
SEGMENTS = pd.Series(rng.choice(["Deal $1", "Gift $2", "Calm"], N), IDS)


@pytest.fixture(scope="module")
def tx() -> cs.Transactions:
    n = 3_000
    lines = pd.DataFrame(
        {
            "who": rng.integers(0, N, n),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, n), "D"),
            "what": rng.choice(["toys", "books", "tools", "lamps"], n),
            "pieces": rng.integers(1, 6, n),
            "price": rng.uniform(2, 9, n).round(2),
            "off": rng.choice([0, 0, 0.2], n),
        }
    )
    return cs.Transactions(
        lines,
        customer_id="who",
        timestamp="when",
        category="what",
        product="what",
        quantity="pieces",
        unit_price="price",
        discount="off",
    )


@pytest.fixture(scope="module")
def answers() -> pd.DataFrame:
    table = pd.DataFrame(rng.integers(1, 8, (N, 3)), IDS, ["price", "service", "range"])
    table["nps"] = np.clip(table["service"] + rng.integers(0, 4, N), 0, 10)
    return table.assign(csat=rng.integers(1, 6, N), ces=rng.integers(1, 8, N))


def dots(ax) -> np.ndarray:
    return np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "o"])


def test_the_triangle_shows_rates_counts_and_money(tx):
    found = value.retention(tx)
    for values in ("rates", "counts", "revenue"):
        ax = found.plot(values=values)
        shown = ax.collections[0].get_array().reshape(found.counts.shape[0], -1)
        want = getattr(found, values).iloc[:, 1:].to_numpy(dtype=float, na_value=np.nan)
        np.testing.assert_allclose(np.ma.filled(shown, np.nan), want)
    with pytest.raises(ParameterError, match="Did you mean 'rates'"):
        found.plot(values="rate")


def test_survival_steps_through_the_curve(tx):
    found = value.survival(value.churn_by_silence(tx, 40), SEGMENTS)
    ax = found.plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "Calm",
        "Deal $1",
        "Gift $2",
    ]
    own = found.curves.query("segment == 'Calm'")
    np.testing.assert_allclose(ax.lines[0].get_ydata()[1:], own["survival"])


def test_forests_have_a_panel_per_number_and_everybody_on_top(tx, answers):
    scores = value.satisfaction(answers, SEGMENTS)
    axes = scores.plot()
    table = scores.to_frame()
    for ax, name in zip(axes, ("nps", "csat", "ces"), strict=True):
        np.testing.assert_allclose(dots(ax), table.loc[table["score"] == name, "estimate"])
    assert axes[0].get_yticklabels()[0].get_text() == "(all)"
    assert axes[0].get_yticklabels()[2].get_text() == r"Deal \$1"
    axes[0].figure.canvas.draw()
    with pytest.raises(ParameterError, match="choose score="):
        scores.plot(ax=axes[0])
    mark = value.Benchmark("repeat_rate", 0.5, source="x", date="2024-01-01")
    figures = value.purchase_figures(tx, SEGMENTS, benchmarks=[mark])
    ax = figures.plot(figure="repeat_rate")
    assert any(line.get_linestyle() == ":" and line.get_xdata()[0] == 0.5 for line in ax.lines)
    assert len(figures.plot()) == 4


def test_drivers_and_needs_are_where_they_belong(answers):
    found = value.key_drivers(answers, "nps", ["price", "service", "range"], SEGMENTS, n_boot=50)
    ax = found.plot(segment="Calm")
    rows = found.to_frame().query("segment == 'Calm'")
    np.testing.assert_allclose(dots(ax), rows["performance"])
    assert {text.get_text() for text in ax.texts} >= {"service", "keep it up"}
    needs = value.needs_gap(answers, {"a": ("price", "range"), "b": ("service", "range")})
    ax = needs.plot()
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0].startswith(needs.to_frame().sort_values("gap")["need"].iloc[-1])


@pytest.mark.parametrize(("given", "p"), [(False, 12), (True, 12), (False, 30)])
def test_labels_of_drivers_lie_on_nothing_else(given, p):
    own = np.random.default_rng(5)
    names = [f"item of number {i}" for i in range(p)]
    table = pd.DataFrame(5 + own.normal(size=(300, p)), columns=names)
    table["nps"] = table[names[0]] + own.normal(size=300)
    found = value.key_drivers(table, "nps", names, n_boot=50)
    ax = plt.subplots(figsize=(6, 4.5), layout="constrained")[1] if given else None
    ax = found.plot(ax=ax)
    ax.figure.draw_without_rendering()
    texts = [text for text in ax.texts if text.get_text()]
    assert {text.get_text() for text in texts} >= {*names, "keep it up"}
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(two) for one, two in combinations(boxes, 2))
    rows = found.to_frame()
    points = ax.transData.transform(rows[["performance", "share"]])
    assert not any(box.contains(*point) for box in boxes for point in points)
    frame = ax.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


def test_changes_feedback_and_complaints_show_their_numbers(answers):
    change = value.score_change(answers[:150], answers[100:], SEGMENTS)
    ax = change.plot()
    np.testing.assert_allclose(dots(ax)[:4], change.to_frame()["mix"])
    themes = pd.DataFrame(rng.integers(0, 2, (N, 2)), IDS, ["theme_a", "theme_b"])
    found = value.feedback_themes(themes, SEGMENTS)
    np.testing.assert_allclose(dots(found.plot(theme="a")), found.to_frame()["rate"].iloc[:4])
    rates = value.complaint_rates(themes, SEGMENTS)
    assert len(rates.plot()) == 2


def test_demand_prices_and_budgets_show_their_numbers(tx):
    found = value.segment_demand(tx, SEGMENTS)
    ax = found.plot(n_items=3)
    assert [t.get_text() for t in ax.texts[:3]] == [
        f"{x:.2f}" for x in found.wide("lift").iloc[:, 0]
    ]
    slopes = value.price_sensitivity(tx, SEGMENTS)
    np.testing.assert_allclose(dots(slopes.plot())[:4], slopes.to_frame()["slope"])
    steps = pd.DataFrame(
        rng.gamma(4, 2, (N, 4)).cumsum(axis=1),
        IDS,
        ["too_cheap", "cheap", "expensive", "too_expensive"],
    )
    ax = value.price_meter(steps, SEGMENTS, n_boot=50).plot(segment="Calm")
    assert len(ax.lines) == 5
    spend = np.tile(np.linspace(0, 900, 12), 2)
    came = 100 + 400 * (1 - np.exp(-spend / 200)) + rng.normal(0, 5, 24)
    history = pd.DataFrame({"segment": ["A"] * 12 + ["B"] * 12, "spend": spend, "response": came})
    curves = value.response_curves(history)
    assert len(curves.plot().lines) == 4
    split = value.allocate_budget(curves, 500, sizes={"A": 1, "B": 3})
    bars = [bar.get_width() for bar in split.plot().patches]
    np.testing.assert_allclose(bars[:2], split.to_frame()["best"])
