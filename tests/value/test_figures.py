"""Key figures against pandas and scipy, and benchmarks that must name their source."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

import custseg as cs
from custseg.errors import DataError, ParameterError
from custseg.value import Benchmark, purchase_figures
from custseg.value.figures import _ratio


def order_lines(seed: int = 0, n: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    order = rng.integers(0, 200, n)
    return pd.DataFrame(
        {
            "who": order % 90,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(order, "D"),
            "order": order,
            "paid": rng.gamma(2, 20, n).round(2) * np.where(rng.random(n) < 0.1, -1, 1),
        }
    )


def read(lines) -> cs.Transactions:
    return cs.Transactions(
        lines, customer_id="who", timestamp="when", order_id="order", amount="paid"
    )


SEGMENTS = pd.Series(np.where(np.arange(90) < 30, "A", "B"), np.arange(90))


def test_every_figure_is_that_of_grouping_in_pandas():
    lines = order_lines()
    table = purchase_figures(read(lines), SEGMENTS, level=0.9).to_frame()
    table = table.set_index(["figure", "segment"])
    bought = lines[lines["paid"] >= 0]
    by = pd.DataFrame(
        {
            "orders": bought.groupby("who")["order"].nunique(),
            "spent": bought.groupby("who")["paid"].sum(),
            "net": lines.groupby("who")["paid"].sum(),
        }
    ).dropna()
    for name in ("(all)", "A", "B"):
        own = by if name == "(all)" else by[SEGMENTS[by.index] == name]
        rows = table.xs(name, level="segment")
        repeat = (own["orders"] >= 2).sum()
        assert rows.loc["repeat_rate", "value"] == pytest.approx(repeat / len(own))
        want = proportion_confint(repeat, len(own), alpha=0.1, method="wilson")
        np.testing.assert_allclose(rows.loc["repeat_rate", ["ci_low", "ci_high"]].tolist(), want)
        for figure, column in (("orders_per_customer", "orders"), ("revenue_per_customer", "net")):
            x = own[column]
            assert rows.loc[figure, "value"] == pytest.approx(x.mean())
            want = stats.t.interval(0.9, len(x) - 1, x.mean(), stats.sem(x))
            np.testing.assert_allclose(rows.loc[figure, ["ci_low", "ci_high"]].tolist(), want)
        ratio = own["spent"].sum() / own["orders"].sum()
        off = own["spent"] - ratio * own["orders"]
        se = np.sqrt((off**2).sum() / (len(own) - 1) / len(own)) / own["orders"].mean()
        assert rows.loc["average_order_value", "value"] == pytest.approx(ratio)
        assert rows.loc["average_order_value", "se"] == pytest.approx(se)


def test_the_interval_of_an_average_order_value_covers_it():
    rng, covered = np.random.default_rng(0), []
    for _ in range(2_000):
        orders = rng.poisson(3, 80) + 1
        spent = orders * rng.gamma(4, 10, 80)
        found = _ratio(spent, orders.astype(float), 0.95)
        covered.append(found["ci_low"] <= 40 <= found["ci_high"])
    assert np.mean(covered) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 2_000)


def test_conversion_counts_the_customers_who_were_seen():
    lines = pd.DataFrame(
        {"who": [1, 2, 9], "when": "2024-01-10", "order": [1, 2, 3], "paid": [5.0, 6.0, 7.0]}
    )
    seen = pd.DataFrame({"who": [1, 1, 2, 3, 4, 5], "when": ["2024-01-09"] * 5 + ["2024-03-01"]})
    visits = cs.Touchpoints(seen, customer_id="who", timestamp="when")
    segments = pd.Series(["A", "A", "B", "B", "B", "A"], index=[1, 2, 3, 4, 5, 9])
    table = purchase_figures(read(lines), segments, visits=visits).to_frame()
    rows = table[table["figure"] == "conversion"].set_index("segment")
    assert rows.loc["(all)", ["n", "value"]].tolist() == [4, 0.5]
    assert rows.loc["A", ["n", "value"]].tolist() == [2, 1.0]
    assert rows.loc["B", ["n", "value"]].tolist() == [2, 0.0]


def test_a_benchmark_is_held_against_every_segment_and_named():
    mark = Benchmark("repeat_rate", 0.4, source="trade association", date="2020-05-01")
    money = Benchmark("revenue_per_customer", 150, source="annual report", date="2024-02-01")
    found = purchase_figures(read(order_lines()), SEGMENTS, benchmarks=[mark, money])
    table = found.to_frame().set_index(["figure", "segment"])
    row = table.loc[("repeat_rate", "A")]
    x = round(row["value"] * row["n"])
    want = proportions_ztest(x, row["n"], 0.4, prop_var=0.4)[1]
    assert row["p_value"] == pytest.approx(want)
    row = table.loc[("revenue_per_customer", "B")]
    t = (row["value"] - 150) / row["se"]
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(t), row["n"] - 1))
    assert table.loc["orders_per_customer", "benchmark"].isna().all()
    assert any("trade association, 2020-05-01" in note for note in found.notes)
    assert any("over two years older" in note for note in found.notes)
    assert "against 40%" in found.summary()


def test_days_outside_do_not_count():
    lines = order_lines()
    part = lines[(lines["when"] >= "2024-02-01") & (lines["when"] <= "2024-04-30")]
    found = purchase_figures(read(lines), since="2024-02-01", as_of="2024-04-30")
    pd.testing.assert_frame_equal(found.to_frame(), purchase_figures(read(part)).to_frame())


def test_bad_input_is_refused_with_a_remedy():
    with pytest.raises(ParameterError, match="without a source"):
        Benchmark("repeat_rate", 0.3, source=" ", date="2024-01-01")
    with pytest.raises(ParameterError, match="date must be a date"):
        Benchmark("repeat_rate", 0.3, source="x", date="soon")
    with pytest.raises(ParameterError, match="value is 30"):
        Benchmark("repeat_rate", 30, source="x", date="2024-01-01")
    mark = Benchmark("conversion", 0.3, source="x", date="2024-01-01")
    with pytest.raises(ParameterError, match="it needs visits="):
        purchase_figures(read(order_lines()), benchmarks=mark)
    with pytest.raises(ParameterError, match="it needs visits="):
        purchase_figures(read(order_lines()), benchmarks=[mark])
    with pytest.raises(DataError, match="nobody ordered"):
        purchase_figures(read(order_lines()), since="2030-01-01", as_of="2030-02-01")
