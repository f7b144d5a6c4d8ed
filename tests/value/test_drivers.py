"""Shares of R² against all orders by hand, R's worked case, and simulation; gaps against scipy."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS, WLS
from statsmodels.stats.weightstats import DescrStatsW

from custseg.errors import ColumnError, DataError, ParameterError
from custseg.value import key_drivers, needs_gap
from custseg.value.drivers import DRAWS, _equal_slopes, added_r2, draw_orders, shapley_r2

DRIVERS = ["price", "service", "range", "speed"]


def people(seed: int = 0, n: int = 240) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    index = pd.Index(rng.permutation(5 * n)[:n], name="customer_id")
    x = rng.multivariate_normal(np.zeros(4), 0.5 + 0.5 * np.eye(4), n)
    answers = pd.DataFrame(np.clip(np.round(5 + x), 1, 7), index, DRIVERS)
    answers["nps"] = np.clip(np.round(6 + x @ [0.2, 1.0, 0.5, 0] + rng.normal(0, 1, n)), 0, 10)
    segments = pd.Series(rng.choice(["A", "B"], n), index)
    return answers, segments, pd.Series(rng.gamma(2, 1, n), index)


def r2(y: np.ndarray, x: np.ndarray, w: np.ndarray) -> float:
    if x.shape[1] == 0:
        return 0.0
    return WLS(y, np.column_stack([np.ones(len(y)), x]), w).fit().rsquared


@pytest.mark.parametrize("weighted", [False, True])
def test_importance_is_the_mean_gain_over_all_orders(weighted):
    answers, _, weights = people()
    given = weights if weighted else None
    found = key_drivers(answers, "nps", DRIVERS, weights=given, n_boot=50).to_frame()
    w = weights.to_numpy() if weighted else np.ones(len(answers))
    y, x = answers["nps"].to_numpy(), answers[DRIVERS].to_numpy()
    gains = {name: [] for name in DRIVERS}
    for order in permutations(range(4)):
        for place, driver in enumerate(order):
            before, after = list(order[:place]), list(order[: place + 1])
            gains[DRIVERS[driver]].append(r2(y, x[:, after], w) - r2(y, x[:, before], w))
    want = {name: np.mean(values) for name, values in gains.items()}
    got = found.set_index("driver")["importance"]
    np.testing.assert_allclose([got[name] for name in DRIVERS], list(want.values()), atol=1e-12)
    assert got.is_monotonic_decreasing


@pytest.mark.parametrize("p", [2, 7, 12])
def test_importances_add_up_to_r2(p):
    rng = np.random.default_rng(p)
    x = rng.normal(size=(100, p)) @ rng.normal(size=(p, p))
    y = x @ rng.normal(size=p) + 3 * rng.normal(size=100)
    correlation = np.corrcoef(np.column_stack([x, y]), rowvar=False)
    parts = shapley_r2(correlation[None])[0]
    assert parts.sum() == pytest.approx(OLS(y, np.column_stack([np.ones(100), x])).fit().rsquared)
    assert (parts > -1e-12).all()


def test_two_drivers_share_as_the_formula_says():
    r12, r1, r2_ = 0.6, 0.5, 0.4
    correlation = np.array([[1, r12, r1], [r12, 1, r2_], [r1, r2_, 1]])
    both = (r1**2 + r2_**2 - 2 * r1 * r2_ * r12) / (1 - r12**2)
    first = (r1**2 + both - r2_**2) / 2
    np.testing.assert_allclose(shapley_r2(correlation[None]), [[first, both - first]])


def test_uncorrelated_drivers_have_their_squared_correlations_and_copies_share_alike():
    apart = np.eye(4)
    apart[:3, 3] = apart[3, :3] = [0.5, -0.3, 0.0]
    np.testing.assert_allclose(shapley_r2(apart[None]), [[0.25, 0.09, 0]], atol=1e-15)
    copies = np.array([[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]])
    np.testing.assert_allclose(shapley_r2(copies[None]), [[0.125, 0.125]])


def mixed(p: int, n: int = 300, seed: int = 0) -> pd.DataFrame:
    """Draw drivers that all go along with each other, and an outcome."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) + rng.normal(size=(n, 1))
    y = x @ rng.gamma(1, 0.3, p) + 2 * rng.normal(size=n)
    return pd.DataFrame(np.column_stack([x, y]), columns=[*(f"q{i}" for i in range(p)), "nps"])


def test_drawn_orders_come_as_near_to_all_of_them_as_they_say():
    correlation = mixed(12).corr().to_numpy()
    exact = shapley_r2(correlation[None])[0]
    hits, within = [], []
    for seed in range(300):
        orders = draw_orders(12, DRAWS, np.random.default_rng(seed))
        parts = added_r2(correlation, orders).mean(axis=1)
        drawn, error = parts.mean(axis=0), parts.std(axis=0, ddof=1) / np.sqrt(DRAWS)
        assert drawn.sum() == pytest.approx(exact.sum(), abs=1e-9)
        hits.append(np.abs(drawn - exact) < stats.t.isf(0.025, DRAWS - 1) * error)
        within.append(np.abs(drawn - exact).max() / exact.sum())
    covered = np.mean(hits, axis=0)
    assert (np.abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 300)).all(), covered
    assert max(within) < 0.01


def test_every_driver_enters_at_every_place_equally_often():
    orders = draw_orders(7, 3, np.random.default_rng(0))
    assert orders.shape == (3, 14, 7)
    for block in orders:
        for place in block.T:
            assert np.bincount(place).tolist() == [2] * 7
    copies = np.array([[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]])
    added = added_r2(copies, draw_orders(2, 4, np.random.default_rng(0))).mean(axis=(0, 1))
    np.testing.assert_allclose(added, [0.125, 0.125], atol=1e-9)


def test_more_than_fifteen_drivers_are_what_their_uncorrelated_halves_are_exactly():
    drivers = [f"q{i}" for i in range(18)]
    table = mixed(18)
    x = (table[drivers] - table[drivers].mean()).to_numpy(copy=True)
    x[:, 9:] -= x[:, :9] @ np.linalg.lstsq(x[:, :9], x[:, 9:], rcond=None)[0]
    table[drivers] = x
    found = key_drivers(table, "nps", drivers, n_boot=50)
    exact = pd.concat(
        [
            key_drivers(table, "nps", half, n_boot=50).to_frame().set_index("driver")["importance"]
            for half in (drivers[:9], drivers[9:])
        ]
    )
    rows = found.to_frame().set_index("driver").loc[drivers]
    t = stats.t.isf(0.025 / 18, DRAWS - 1)
    assert (np.abs(rows["importance"] - exact[drivers]) <= t * rows["drawn_se"].max()).all()
    assert rows["importance"].sum() == pytest.approx(found.fit["r2"].item())
    model = OLS(table["nps"], np.column_stack([np.ones(300), x])).fit()
    assert found.fit["r2"].item() == pytest.approx(model.rsquared, abs=1e-9)
    assert (rows["importance_low"] >= 0).all()
    assert found.n_orders == 2 * 18 * DRAWS
    assert any(f"averages over {found.n_orders} orders" in note for note in found.notes)
    again = key_drivers(table.sample(frac=1, random_state=0), "nps", drivers, n_boot=50)
    pd.testing.assert_frame_equal(found.to_frame(), again.to_frame())
    assert found.notes == again.notes


def test_copies_among_many_drivers_share_and_few_drivers_are_exact():
    drivers = [f"q{i}" for i in range(16)]
    table = mixed(16).assign(q15=lambda own: own["q0"])
    rows = key_drivers(table, "nps", drivers, n_boot=50).to_frame().set_index("driver")
    apart = rows.loc["q0", "importance"] - rows.loc["q15", "importance"]
    assert abs(apart) < 5 * rows["drawn_se"].max()
    few = key_drivers(table, "nps", drivers[:3], n_boot=50)
    assert few.n_orders == 0
    assert (few.to_frame()["drawn_se"] == 0).all()
    assert not any("orders" in note for note in few.notes)


def test_segments_are_regressions_of_their_own_and_order_does_not_matter():
    answers, segments, _ = people()
    answers.iloc[::9, 1] = np.nan
    found = key_drivers(answers, "nps", DRIVERS, segments, n_boot=60, random_state=3)
    for name in ("A", "B"):
        own = answers[segments == name].dropna()
        model = OLS(own["nps"], np.column_stack([np.ones(len(own)), own[DRIVERS]])).fit()
        fit = found.fit.loc[name]
        assert fit["n"] == len(own)
        assert fit["r2"] == pytest.approx(model.rsquared)
        assert fit["adjusted_r2"] == pytest.approx(model.rsquared_adj)
        rows = found.to_frame().query("segment == @name").set_index("driver").loc[DRIVERS]
        scale = own[DRIVERS].std() / own["nps"].std()
        np.testing.assert_allclose(rows["beta"], model.params.to_numpy()[1:] * scale)
        np.testing.assert_allclose(rows["share"].sum(), 1)
        mean = DescrStatsW(own[DRIVERS])
        np.testing.assert_allclose(rows["performance"], mean.mean)
        bounds = rows[["performance_low", "performance_high"]].to_numpy().T
        np.testing.assert_allclose(bounds, mean.tconfint_mean())
    assert found.account.tolist() == [240, 213, 27, 0]
    mixed = answers.sample(frac=1, random_state=0)
    again = key_drivers(mixed, "nps", DRIVERS, segments, n_boot=60, random_state=3)
    pd.testing.assert_frame_equal(found.to_frame(), again.to_frame())


def test_a_driver_enters_its_quadrant_by_importance_and_performance():
    rng = np.random.default_rng(1)
    answers = pd.DataFrame(rng.normal([3, 6, 3, 6], 1, (400, 4)), columns=DRIVERS)
    answers["nps"] = answers["price"] + answers["service"] + rng.normal(size=400)
    rows = key_drivers(answers, "nps", DRIVERS, n_boot=100).to_frame().set_index("driver")
    quadrants = ["concentrate here", "keep it up", "low priority", "possible overkill"]
    assert rows.loc[DRIVERS, "quadrant"].tolist() == quadrants
    assert rows["firm"].all()


def test_the_test_of_equal_slopes_holds_its_level_and_finds_differences():
    rng = np.random.default_rng(4)
    same, differ = [], []
    for _ in range(600):
        x = [rng.normal(size=(n, 2)) for n in (60, 100)]
        noise = [rng.normal(0, sd, len(own)) for sd, own in zip((1, 3), x, strict=True)]
        for slopes, found in (((1, 1), same), ((1, -0.5), differ)):
            groups = [
                (np.column_stack([own, slope * own[:, 0] + e]), np.ones(len(own)))
                for own, slope, e in zip(x, slopes, noise, strict=True)
            ]
            found.append(_equal_slopes(groups)["p_value"] < 0.05)
    assert np.mean(same) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 600)
    assert np.mean(differ) > 0.8


@pytest.mark.slow
def test_intervals_cover_the_importance_of_the_population():
    cov = 0.4 + 0.6 * np.eye(3)
    slopes = np.array([1.0, 0.6, 0.3])
    total = np.block([[cov, (cov @ slopes)[:, None]], [cov @ slopes, slopes @ cov @ slopes + 1]])
    scale = 1 / np.sqrt(np.diag(total))
    truth = shapley_r2((total * scale * scale[:, None])[None])[0]
    rng, hits = np.random.default_rng(0), []
    for _ in range(300):
        draw = rng.multivariate_normal(np.zeros(4), total, 200)
        answers = pd.DataFrame(draw, columns=["a", "b", "c", "y"])
        rows = key_drivers(answers, "y", ["a", "b", "c"], n_boot=300).to_frame()
        rows = rows.set_index("driver").loc[["a", "b", "c"]]
        hits.append((rows["importance_low"] < truth) & (truth < rows["importance_high"]))
    covered = np.mean(hits, axis=0)
    assert (covered > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300)).all(), covered


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"drivers": ["price", "servce"]}, ColumnError, "Did you mean 'service'"),
        ({"drivers": ["price"]}, ParameterError, "names 1 columns"),
        ({"drivers": [f"q{i}" for i in range(51)]}, ParameterError, "must name 2 to 50"),
        ({"drivers": None}, ParameterError, "drivers is None, but must be a list"),
        ({"drivers": "price"}, ParameterError, r"must be a list: \['price', \.\.\.\]"),
        ({"drivers": ["price", "nps"]}, ParameterError, "'nps' is named twice"),
        ({"n_boot": 5}, ParameterError, "n_boot is 5"),
        ({"segments": ["A"] * 236 + ["B"] * 4}, DataError, "'B' has 4 complete answers"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(change, error, words):
    answers, _, _ = people()
    given = {"outcome": "nps", "drivers": DRIVERS} | change
    with pytest.raises(error, match=words):
        key_drivers(answers, **given)


def test_a_driver_that_does_not_vary_is_named():
    answers, _, _ = people()
    with pytest.raises(DataError, match="'price' is 3 in every answer"):
        key_drivers(answers.assign(price=3.0), "nps", DRIVERS)


# -------------------------------------------------------------------------------------- the needs


def test_a_gap_is_a_paired_difference():
    rng = np.random.default_rng(2)
    answers = pd.DataFrame(
        rng.integers(1, 8, (90, 4)).astype(float), columns=["i1", "s1", "i2", "s2"]
    )
    answers.iloc[:5, 1] = np.nan
    segments = rng.choice(["A", "B"], 90)
    found = needs_gap(answers, {"one": ("i1", "s1"), "two": ("i2", "s2")}, segments, level=0.9)
    for row in found.to_frame().itertuples():
        names = {"one": ["i1", "s1"], "two": ["i2", "s2"]}[row.need]
        own = (
            answers[names]
            if row.segment == "(all)"
            else answers.loc[segments == row.segment, names]
        )
        own = own.dropna()
        test = stats.ttest_rel(own[names[0]], own[names[1]])
        want = test.confidence_interval(0.9)
        np.testing.assert_allclose([row.ci_low, row.ci_high], [want.low, want.high])
        assert row.p_value == pytest.approx(test.pvalue)
        important, satisfied = 10 * (own >= 5).mean()
        assert row.opportunity == pytest.approx(important + max(important - satisfied, 0))
    assert (found.to_frame()["p_holm"] >= found.to_frame()["p_value"]).all()


def test_weights_repeat_customers():
    answers = pd.DataFrame({"i": [7, 5, 6, 2.0], "s": [2, 5, 3, 3.0]})
    counts = pd.Series([1, 3, 2, 1])
    repeated = answers.loc[answers.index.repeat(counts)].reset_index(drop=True)
    found = needs_gap(answers, {"x": ("i", "s")}, weights=counts).to_frame()
    want = needs_gap(repeated, {"x": ("i", "s")}).to_frame()
    same = ["importance", "satisfaction", "gap", "opportunity"]
    pd.testing.assert_frame_equal(found[same], want[same])


def test_unmet_needs_are_told_and_bad_ones_refused():
    answers = pd.DataFrame({"i": [7, 6, 7, 6, 7.0], "s": [2, 1, 3, 2, 1.0], "t": [7, 6, 6, 7, 7.0]})
    found = needs_gap(answers, {"advice": ("i", "s"), "price": ("i", "t")})
    assert found.summary() == "(all): advice (+4.8)."
    with pytest.raises(ParameterError, match="from name to two columns"):
        needs_gap(answers, {"advice": "i"})
    with pytest.raises(ParameterError, match="from name to two columns"):
        needs_gap(answers, {"advice": None})
    with pytest.raises(ParameterError, match="scale is 3"):
        needs_gap(answers, {"advice": ("i", "s")}, scale=3)
    with pytest.raises(DataError, match="is 7 in 3 answers, outside 1 to 6"):
        needs_gap(answers, {"advice": ("i", "s")}, scale=(1, 6))
