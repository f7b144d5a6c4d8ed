"""Price slopes against statsmodels and planted ones; acceptable prices against hand work."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import brentq
from scipy.stats import gamma
from statsmodels.stats.proportion import proportion_confint

import custseg as cs
from custseg.errors import ColumnError, ConvergenceError, DataError, ParameterError
from custseg.value import price_meter, price_sensitivity
from custseg.value.prices import fit_slope

QUESTIONS = ["too_cheap", "cheap", "expensive", "too_expensive"]
WEEKS = pd.date_range("2024-01-01", periods=30, freq="W-MON")


def market(seed: int, slopes=(-0.5, -2.0), n_products: int = 25) -> tuple[pd.DataFrame, pd.Series]:
    """Return lines of two segments that buy at the same moving prices, with a season."""
    rng = np.random.default_rng(seed)
    price = rng.uniform(5, 12, n_products)[:, None] * np.exp(rng.normal(0, 0.25, (n_products, 30)))
    level = rng.gamma(3, 1, n_products)[:, None]
    lines = []
    for number, slope in enumerate(slopes):
        people = 1_000 * number + np.arange(12)
        for week, when in enumerate(WEEKS):
            busy = rng.choice(people, rng.integers(3, 13), replace=False)
            mean = level[:, 0] * len(busy) * (price[:, week] / 8) ** slope * rng.gamma(4, 0.25)
            pieces = rng.poisson(mean * rng.gamma(2, 0.5, n_products))
            bought = np.flatnonzero(pieces)
            rows = {"what": bought, "pieces": pieces[bought], "price": price[bought, week]}
            lines.append(pd.DataFrame(rows | {"who": rng.choice(busy, len(bought)), "when": when}))
            idle = {"what": -1, "pieces": 1, "price": 1.0, "who": busy, "when": when}
            lines.append(pd.DataFrame(idle))
    table = pd.concat(lines, ignore_index=True)
    table["what"] = "p" + table["what"].astype(str)
    people = table["who"].unique()
    return table, pd.Series(np.where(people < 1_000, "calm", "keen"), people)


def read(lines: pd.DataFrame, **roles: str) -> cs.Transactions:
    named = {"product": "what", "quantity": "pieces", "unit_price": "price"} | roles
    return cs.Transactions(lines, customer_id="who", timestamp="when", **named)


def test_a_slope_is_that_of_a_poisson_regression_with_a_level_per_product():
    rng = np.random.default_rng(3)
    panel = pd.DataFrame(
        {
            "item": np.repeat([f"p{i}" for i in range(12)], 20),
            "period": np.tile(np.arange(20), 12),
            "log_price": rng.normal(0, 0.3, 240),
            "buyers": rng.integers(1, 40, 240),
        }
    )
    mean = panel["buyers"] * np.exp(-1.3 * panel["log_price"]) / 10
    panel["quantity"] = rng.poisson(mean * rng.gamma(2, 0.5, 240))
    design = pd.get_dummies(panel["item"], dtype=float).assign(x=panel["log_price"])
    model = sm.GLM(
        panel["quantity"], design, family=sm.families.Poisson(), offset=np.log(panel["buyers"])
    )
    panel = panel.assign(product=panel["item"])
    products, worth, slope, se = fit_slope(panel)
    assert products == 12
    assert 6 < worth <= 12
    assert slope == pytest.approx(model.fit(tol=1e-12).params["x"], rel=1e-6)
    others = [fit_slope(panel[panel["product"] != name])[2] for name in panel["product"].unique()]
    jackknife = np.sqrt(11 / 12 * np.sum((others - np.mean(others)) ** 2))
    assert se == pytest.approx(jackknife, rel=0.05)


@pytest.mark.slow
def test_planted_slopes_come_back_and_shrinking_needs_three_segments():
    found = []
    for seed in range(12):
        lines, segments = market(seed)
        found.append(price_sensitivity(read(lines), segments).to_frame().set_index("segment"))
    slopes = pd.concat([table["slope"] for table in found], axis=1)
    assert slopes.loc["calm"].mean() == pytest.approx(-0.5, abs=0.1)
    assert slopes.loc["keen"].mean() == pytest.approx(-2.0, abs=0.1)
    errors = pd.concat([table["slope_se"] for table in found], axis=1)
    off = (slopes.to_numpy()[1:] - [[-0.5], [-2.0]]) / errors.to_numpy()[1:]
    assert np.mean(np.abs(off) < 2) > 0.85
    assert found[0]["shrunk"].iloc[1:].tolist() == found[0]["slope"].iloc[1:].tolist()


def test_slopes_of_three_segments_are_pulled_together():
    lines, segments = market(0, slopes=(-0.5, -1.0, -2.0))
    segments = segments.where(segments.index < 2_000, "new")
    table = price_sensitivity(read(lines), segments).to_frame().iloc[1:]
    assert np.ptp(table["shrunk"]) < np.ptp(table["slope"])
    assert (table["shrunk_low"] < table["shrunk"]).all()
    mixed = price_sensitivity(read(lines.sample(frac=1, random_state=0)), segments[::-1])
    pd.testing.assert_frame_equal(mixed.to_frame().iloc[1:], table, rtol=1e-9)


def test_a_discount_share_has_customers_as_clusters():
    rng = np.random.default_rng(1)
    habit = pd.Series(rng.beta(1, 2, 60))
    who = rng.integers(0, 60, 900)
    lines = pd.DataFrame({"who": who, "when": "2024-01-05", "off": rng.random(900) < habit[who]})
    tx = cs.Transactions(
        lines.assign(off=lines["off"] * 0.2), customer_id="who", timestamp="when", discount="off"
    )
    segments = pd.Series(np.where(np.arange(60) < 20, "A", "B"), np.arange(60))
    table = price_sensitivity(tx, segments).to_frame().set_index("segment")
    assert "slope" not in table
    for name in ("A", "B"):
        own = lines[lines["who"].map(segments) == name]
        by = own.groupby("who")["off"].agg(["sum", "size"])
        share = own["off"].mean()
        off = by["sum"] - share * by["size"]
        se = np.sqrt(len(by) / (len(by) - 1) * (off**2).sum()) / len(own)
        size = share * (1 - share) / se**2
        want = proportion_confint(share * size, size, method="wilson")
        assert table.loc[name, "discount_share"] == pytest.approx(share)
        assert table.loc[name, "mean_discount"] == pytest.approx(0.2 * share)
        got = table.loc[name, ["discount_low", "discount_high"]].astype(float)
        np.testing.assert_allclose(got, want)
        naive = proportion_confint(own["off"].sum(), len(own), method="wilson")
        assert np.ptp(got) > 1.3 * np.ptp(naive)


def test_bad_input_is_refused_with_a_remedy():
    lines, segments = market(0)
    with pytest.raises(ColumnError, match="needs the role product"):
        price_sensitivity(
            cs.Transactions(lines, customer_id="who", timestamp="when", amount="price"), segments
        )
    with pytest.raises(DataError, match="no customer with a segment"):
        price_sensitivity(read(lines), segments.rename(index=lambda i: i + 9_000))
    only_low = pd.DataFrame(
        {
            "item": "a",
            "product": "a",
            "period": [1, 2],
            "log_price": [0.0, 1.0],
            "quantity": [5, 0],
            "buyers": 1,
        }
    )
    with pytest.raises(ConvergenceError, match="lowest or the highest price"):
        fit_slope(only_low)


def test_personal_discounts_do_not_pass_for_prices():
    rng = np.random.default_rng(5)
    n = 12_000
    who = rng.integers(0, 300, n)
    lines = pd.DataFrame(
        {
            "who": who,
            "when": WEEKS[rng.integers(0, 30, n)],
            "what": "p" + pd.Series(rng.integers(0, 30, n)).astype(str),
            "pieces": 1,
            "price": 10.0 * np.where((who < 150) & (rng.random(n) < 0.7), 0.7, 1.0),
        }
    )
    segments = pd.Series(np.where(np.arange(300) < 150, "bargain", "full"), np.arange(300))
    table = price_sensitivity(read(lines), segments).to_frame().set_index("segment")
    row = table.loc["full"]  # who pay the full price whatever the others are given
    assert abs(row["slope"]) < 3 * row["slope_se"]
    assert table.loc["bargain", "products"] == 0


def test_products_whose_price_never_moved_tell_nothing():
    lines, segments = market(0)
    found = price_sensitivity(read(lines.assign(price=5.0)), segments)
    assert found.to_frame()["products"].tolist() == [0, 0, 0]
    assert found.to_frame()["slope"].isna().all()
    assert isinstance(repr(found), str)


# ----------------------------------------------------------------------------- acceptable prices


def answers(seed: int = 0, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    steps = rng.gamma(4, 2, (n, 4)).cumsum(axis=1).round(1)
    return pd.DataFrame(steps, columns=QUESTIONS)


def test_the_points_are_where_the_curves_cross():
    table = answers()
    found = price_meter(table, n_boot=50)
    price = found.to_frame().set_index("point")["price"]
    fine = np.linspace(table.min().min(), table.max().max(), 200_001)
    curves = found.curves
    at = {name: np.interp(fine, curves["price"], curves[name]) for name in table}
    pairs = {
        "marginal_cheapness": ("too_cheap", "expensive"),
        "optimal": ("too_cheap", "too_expensive"),
        "indifference": ("cheap", "expensive"),
        "marginal_expensiveness": ("cheap", "too_expensive"),
    }
    for point, (falling, rising) in pairs.items():
        gap = np.abs(at[rising] - at[falling])
        assert price[point] == pytest.approx(fine[gap <= gap.min() + 1e-9].mean(), abs=1e-3)
    p = 17.3
    row = curves[curves["price"] <= p].iloc[-1]
    assert row["expensive"] == pytest.approx((table["expensive"] <= p).mean())
    row = curves[curves["price"] >= p].iloc[0]
    assert row["too_cheap"] == pytest.approx((table["too_cheap"] >= p).mean())


def test_segments_have_curves_of_their_own_and_order_does_not_matter():
    table = answers(1)
    segments = pd.Series(np.where(table.index < 50, "A", "B"), table.index)
    found = price_meter(table, segments, n_boot=80, random_state=2)
    alone = price_meter(table[segments == "B"], n_boot=80).to_frame()["price"]
    own = found.to_frame().query("segment == 'B'")
    np.testing.assert_allclose(own["price"], alone)
    assert (own["ci_low"] <= own["price"]).all()
    assert (own["price"] <= own["ci_high"]).all()
    mixed = price_meter(table[::-1], segments, n_boot=80, random_state=2)
    pd.testing.assert_frame_equal(found.to_frame(), mixed.to_frame())
    doubled = price_meter(table, segments, weights=pd.Series(3.0, table.index), n_boot=80)
    np.testing.assert_allclose(doubled.to_frame()["price"], found.to_frame()["price"])


def test_a_single_customer_has_points_without_intervals():
    table = answers(1)
    segments = pd.Series(np.where(table.index == 3, "B", "A"), table.index)
    rows = price_meter(table, segments, n_boot=50).to_frame().query("segment == 'B'")
    assert rows["price"].notna().all()
    assert rows[["ci_low", "ci_high"]].isna().all(axis=None)


def test_answers_out_of_order_are_set_aside_and_accounted_for():
    table = answers(2)
    table.loc[3, "cheap"] = 99.0
    table.loc[4, "expensive"] = np.nan
    found = price_meter(table, n_boot=50)
    assert found.account.tolist() == [120, 118, 1, 1, 0]
    assert any("1 customers named prices out of order" in note for note in found.notes)
    with pytest.raises(DataError, match="in rising order"):
        price_meter(table[QUESTIONS[::-1]].set_axis(QUESTIONS, axis=1))
    with pytest.raises(ParameterError, match="'too_cheap', 'cheap'"):
        price_meter(table, questions={"cheap": "cheap"})
    with pytest.raises(DataError, match="must not be negative"):
        price_meter(table - 50)


@pytest.mark.slow
def test_intervals_of_the_points_cover():
    too_cheap, cheap, expensive, too_expensive = (gamma(4 * k, scale=2) for k in (1, 2, 3, 4))
    pairs = [
        (too_cheap, expensive),
        (too_cheap, too_expensive),
        (cheap, expensive),
        (cheap, too_expensive),
    ]
    truth = [brentq(lambda p, a=a, b=b: a.sf(p) - b.cdf(p), 1, 90) for a, b in pairs]
    covered = []
    for seed in range(200):
        steps = np.random.default_rng(seed).gamma(4, 2, (150, 4)).cumsum(axis=1)
        rows = price_meter(pd.DataFrame(steps, columns=QUESTIONS), n_boot=400).to_frame()
        covered.append((rows["ci_low"] <= truth) & (truth <= rows["ci_high"]))
    assert (np.mean(covered, axis=0) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200)).all()
