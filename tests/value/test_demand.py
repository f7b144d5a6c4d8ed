"""Demand by segment against pandas, a formula for ratios, and how often its intervals cover."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

import custseg as cs
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.value import segment_demand
from custseg.value.demand import lift_interval

ITEMS = ["toys", "books", "tools", "rare", " "]


def order_lines(seed: int = 0, n: int = 900) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "who": rng.integers(0, 120, n),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n), "D"),
            "what": rng.choice(ITEMS, n, p=[0.4, 0.3, 0.2, 0.02, 0.08]),
            "pieces": rng.integers(1, 5, n),
            "paid": rng.gamma(2, 10, n).round(2) * np.where(rng.random(n) < 0.05, -1, 1),
        }
    )


def read(lines) -> cs.Transactions:
    return cs.Transactions(
        lines,
        customer_id="who",
        timestamp="when",
        category="what",
        quantity="pieces",
        amount="paid",
    )


def labels(seed: int = 1) -> pd.Series:
    rng = np.random.default_rng(seed)
    named = pd.Series(rng.choice(["A", "B", "C"], 110), index=np.arange(110))
    return named.astype(pd.CategoricalDtype(["C", "A", "B", "nobody"], ordered=True))


def test_every_cell_is_that_of_grouping_in_pandas():
    lines, segments = order_lines(), labels()
    found = segment_demand(read(lines), segments)
    rows = lines.assign(segment=lines["who"].map(segments))
    rows = rows[(rows["paid"] >= 0) & (rows["what"] != " ") & rows["segment"].notna()]
    grouped = rows.groupby(["segment", "what"], observed=True)
    people = rows.groupby("segment", observed=True)["who"].nunique()
    assert found.sizes.to_dict() == people.to_dict()
    assert list(found.sizes.index) == ["C", "A", "B"]
    overall = rows.groupby("what")["who"].nunique() / people.sum()
    money = rows.groupby("segment", observed=True)["paid"].sum()
    for row in found.to_frame().itertuples():
        cell = grouped.get_group((row.segment, row.item))
        bought = cell["who"].nunique()
        assert (row.customers, row.lines) == (bought, len(cell))
        assert row.quantity == cell["pieces"].sum()
        assert row.amount == pytest.approx(cell["paid"].sum())
        assert row.amount_share == pytest.approx(cell["paid"].sum() / money[row.segment])
        assert row.share == pytest.approx(bought / people[row.segment])
        assert row.support == pytest.approx(bought / people.sum())
        assert row.lift == pytest.approx(row.share / overall[row.item])
        want = proportion_confint(bought, people[row.segment], method="wilson")
        np.testing.assert_allclose([row.share_low, row.share_high], want)
    np.testing.assert_allclose(found.items["share"], overall[found.items.index])


def test_every_line_is_accounted_for():
    lines = order_lines()
    account = segment_demand(read(lines), labels()).account
    assert account["lines"] == len(lines)
    assert account["given_back"] == (lines["paid"] < 0).sum()
    assert account["no_item"] == ((lines["paid"] >= 0) & (lines["what"] == " ")).sum()
    assert account["lines"] == account.drop("lines").sum()


@pytest.mark.parametrize("kind", ["polars", "relation", "shuffled"])
def test_the_engine_does_not_matter(kind):
    lines = order_lines(2)
    source = lines.sample(frac=1, random_state=0)
    if kind == "polars":
        source = pytest.importorskip("polars").from_pandas(lines)
    if kind == "relation":
        source = duckdb.connect().from_df(lines)
    found, want = (segment_demand(read(x), labels()) for x in (source, lines))
    pd.testing.assert_frame_equal(found.to_frame(), want.to_frame())
    pd.testing.assert_series_equal(found.account, want.account)


def test_the_top_is_ranked_by_the_lower_end_and_leaves_rare_items_out():
    found = segment_demand(read(order_lines()), labels(), min_customers=5)
    top = found.top(2, by="amount")
    assert top.groupby("segment", observed=True)["rank"].apply(list).tolist() == [[1, 2]] * 3
    assert "rare" not in set(top["item"])
    wide = found.wide("amount")
    for name, rows in top.groupby("segment", observed=True):
        assert rows["item"].tolist() == wide.loc[name].nlargest(2).index.tolist()
    apart = found.top(9)
    assert (apart["lift_low"] > 1).all()
    with pytest.raises(ParameterError, match="Did you mean 'amount'"):
        found.top(by="amout")


def test_a_lift_lies_where_its_ratio_of_shares_does():
    lift, low, high = lift_interval(40, 100, 60, 300, level=0.95)
    assert lift == pytest.approx((40 / 100) / (100 / 400))
    want = confint_proportions_2indep(40, 100, 60, 300, compare="ratio", method="score")
    as_lift = np.array([r / (0.25 * r + 0.75) for r in want])
    np.testing.assert_allclose([low, high], as_lift, rtol=0.01)


def test_a_lift_keeps_an_interval_at_the_borders():
    x, n, others, n_others = [0, 5, 20, 0], [50, 50, 20, 20], [9, 0, 30, 0], [150, 150, 150, 20]
    lift, low, high = lift_interval(x, n, others, n_others, level=0.95)
    np.testing.assert_allclose(lift[:3], [0, 4, 20 / 20 / (50 / 170)])
    assert low[0] == 0 < high[0] < 2.5
    assert 1 < low[1] < 4 == high[1]
    assert (low[:3] <= lift[:3]).all()
    assert (lift[:3] <= high[:3]).all()
    assert np.isnan([lift[3], low[3], high[3]]).all()


@pytest.mark.parametrize(("own", "others"), [(0.02, 0.05), (0.3, 0.2), (0.9, 0.5)])
def test_intervals_of_lifts_cover(own, others):
    rng = np.random.default_rng(0)
    n, m = 80, 240
    x, y = rng.binomial(n, own, 20_000), rng.binomial(m, others, 20_000)
    _, low, high = lift_interval(x, n, y, m, level=0.95)
    truth = own / (0.25 * own + 0.75 * others)
    covered = np.mean((low <= truth) & (truth <= high))
    assert 0.93 < covered < 0.99


def test_bad_input_is_refused_with_a_remedy():
    lines, segments = order_lines(), labels()
    with pytest.raises(ParameterError, match="'category', 'product'"):
        segment_demand(read(lines), segments, by="brand")
    with pytest.raises(DataError, match=r"tx is a DataFrame, but must be cs\.Transactions"):
        segment_demand(lines, segments)
    with pytest.raises(ColumnError, match="needs the role product"):
        segment_demand(read(lines), segments, by="product")
    with pytest.raises(DataError, match="but must be a Series of labels"):
        segment_demand(read(lines), ["A"])
    with pytest.raises(DataError, match="Give both the same type"):
        segment_demand(read(lines), segments.rename(index=str))
    with pytest.raises(DataError, match="no customer with a segment"):
        segment_demand(read(lines), segments.rename(index=lambda i: i + 5_000))


def test_words_and_display_follow_the_numbers():
    lines = order_lines()
    segments = pd.Series(np.where(np.arange(120) < 60, "A", "B"), np.arange(120))
    kites = {"when": pd.Timestamp("2024-03-01"), "what": "kites", "pieces": 1, "paid": 9.0}
    lines = pd.concat([lines, pd.DataFrame({"who": range(55)} | kites)])
    found = segment_demand(read(lines), segments, min_customers=25)
    assert "120 customers, 5 categories. A: kites (lift 2.0" in found.summary()
    assert "B: nothing stands out." in found.summary()
    assert "kites" in repr(found)
