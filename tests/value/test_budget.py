"""Response curves against scipy and planted ones; splits against a solver and brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit, minimize

from custseg.errors import ColumnError, ConvergenceError, DataError, ParameterError
from custseg.value import allocate_budget, response_curves
from custseg.value.response import MARGINAL, RESPONSE

FORMS = list(RESPONSE)


def curves(**change) -> pd.DataFrame:
    table = pd.DataFrame(
        {"size": [900.0, 400.0, 250.0], "scale": [300.0, 100.0, 400.0]}, index=["A", "B", "C"]
    )
    return table.assign(**change)


def history(
    seed: int = 0, n: int = 40, noise: float = 15.0, form: str = "exponential"
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for name, (size, scale) in zip("ABC", [(900, 300), (400, 100), (250, 400)], strict=True):
        x = (900 * rng.random(n) ** 2).round(1)
        y = 200 + RESPONSE[form](x, size, scale) + rng.normal(0, noise, n)
        parts.append(pd.DataFrame({"segment": name, "spend": x, "response": y}))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("form", FORMS)
def test_the_best_split_is_that_of_a_general_solver(form):
    table = curves()
    found = allocate_budget(table, 600, form=form, n_draws=100)
    size, scale = table["size"].to_numpy(), table["scale"].to_numpy()

    def lost(share):
        return -RESPONSE[form](600 * share, size, scale).sum() / 1_000

    want = minimize(
        lost,
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda share: share.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14},
    )
    np.testing.assert_allclose(found.to_frame()["best"], 600 * want.x, atol=0.02)
    assert found.to_frame()["best"].sum() == pytest.approx(600)
    spent = found.to_frame().query("best > 1e-6")
    np.testing.assert_allclose(spent["marginal"], spent["marginal"].iloc[0], rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_marginal_is_the_derivative_and_falls(form):
    x = np.linspace(0.01, 2_000, 400)
    step = 1e-4
    rise = RESPONSE[form](x + step, 900.0, 300.0) - RESPONSE[form](x - step, 900.0, 300.0)
    np.testing.assert_allclose(MARGINAL[form](x, 900.0, 300.0), rise / (2 * step), rtol=1e-5)
    assert (np.diff(MARGINAL[form](x, 900.0, 300.0)) < 0).all()


def test_under_doubt_the_mean_over_draws_is_what_is_largest():
    table = curves(size_se=[300.0, 10.0, 60.0], scale_se=[150.0, 10.0, 100.0])
    found = allocate_budget(table, 500, n_draws=5_000, random_state=1)
    rng = np.random.default_rng(9)
    sd = (table["size_se"] / table["size"]).to_numpy()
    size = table["size"].to_numpy() * np.exp(sd * rng.normal(size=(10_000, 3)) - sd**2 / 2)
    spread = (table["scale_se"] / table["scale"]).to_numpy()
    scale = table["scale"].to_numpy() * np.exp(spread * rng.normal(size=(10_000, 3)))
    best, value = None, -np.inf
    for a in np.arange(0, 501, 20.0):
        for b in np.arange(0, 501 - a, 20.0):
            plan = np.array([a, b, 500 - a - b])
            mean = RESPONSE["exponential"](plan, size, scale).sum(axis=1).mean()
            best, value = (plan, mean) if mean > value else (best, value)
    np.testing.assert_allclose(found.to_frame()["best"], best, atol=20)
    assert found.splits.loc["best", "response"] == pytest.approx(value, rel=0.02)
    assert (found.to_frame()["best_low"] < found.to_frame()["best_high"]).all()


def test_splits_are_compared_on_the_same_draws():
    table = curves(size_se=[90.0, 40.0, 25.0])
    found = allocate_budget(table, 600, sizes={"A": 10, "B": 30, "C": 60})
    frame, splits = found.to_frame(), found.splits
    assert frame["equal"].tolist() == [200.0] * 3
    np.testing.assert_allclose(frame["proportional"], [60, 180, 360])
    for split in ("equal", "proportional"):
        row = splits.loc[split]
        assert row["gain"] == pytest.approx(splits.loc["best", "response"] - row["response"])
        assert row["gain_low"] < row["gain"] < row["gain_high"]
        assert 0.5 < row["p_better"] <= 1
    assert splits.loc["best", "response"] == pytest.approx(frame["response"].sum())
    np.testing.assert_allclose(splits["spend"], 600)


def test_bounds_hold_and_money_that_does_not_pay_is_left():
    low, high = {"C": 200.0}, {"A": 250.0}
    frame = allocate_budget(curves(), 600, minimum=low, maximum=high).to_frame()
    best = frame.set_index("segment")["best"]
    assert best["A"] == pytest.approx(250)
    assert best["C"] == pytest.approx(200, abs=1e-6)
    assert best.sum() == pytest.approx(600)
    found = allocate_budget(curves(), 5_000, worth=2.0)
    want = [300 * np.log(2 * 3), 100 * np.log(2 * 4), 400 * np.log(2 * 250 / 400)]
    np.testing.assert_allclose(found.to_frame()["best"], want, rtol=1e-6)
    assert any("of the budget is left" in note for note in found.notes)
    equal = (
        RESPONSE["exponential"](5_000 / 3, curves()["size"], curves()["scale"]).sum() * 2 - 5_000
    )
    best = 2 * found.splits.loc["best", "response"] - sum(want)
    assert found.splits.loc["equal", "gain"] == pytest.approx((best - equal) / 2)
    assert found.splits.loc["equal", "p_better"] == 1
    capped = allocate_budget(curves(), 1_000, maximum={"A": 100, "B": 100, "C": 100})
    np.testing.assert_allclose(capped.to_frame()["best"], 100)
    assert "700 of the budget is left: every segment is at its maximum." in capped.notes


def test_a_split_that_breaks_a_bound_is_named():
    found = allocate_budget(curves(), 600, maximum={"A": 50}, sizes={"A": 1, "B": 5, "C": 6})
    assert found.splits.loc["equal", "gain"] < 0
    broken = [note for note in found.notes if "outside the bounds" in note]
    assert len(broken) == 1
    assert broken[0].startswith("the equal split")


def test_a_bound_beyond_the_budget_binds_nothing():
    plain = allocate_budget(curves(), 600).to_frame()
    free = allocate_budget(curves(), 600, maximum={"A": np.inf, "C": 1e9}).to_frame()
    pd.testing.assert_frame_equal(free, plain)


def test_a_frame_with_its_segments_in_a_column_is_read_by_it():
    table = curves().rename_axis("segment")
    pd.testing.assert_frame_equal(
        allocate_budget(table.reset_index(), 600).to_frame(),
        allocate_budget(table, 600).to_frame(),
    )


def test_the_same_seed_gives_the_same_split_and_order_does_not_matter():
    table = curves(size_se=50.0, scale_se=30.0, correlation=0.5)
    first, again = (allocate_budget(table, 500, random_state=4) for _ in range(2))
    pd.testing.assert_frame_equal(first.to_frame(), again.to_frame())
    turned = allocate_budget(table[::-1], 500, random_state=4).to_frame().set_index("segment")
    pd.testing.assert_frame_equal(
        first.to_frame().set_index("segment"), turned.loc[["A", "B", "C"]]
    )


@pytest.mark.parametrize("form", FORMS)
def test_curves_are_those_of_scipy(form):
    points = history(form=form)
    table = response_curves(points, form=form).to_frame().set_index("segment")
    for name in ("A", "B", "C"):
        own = points[points["segment"] == name]
        found, _ = curve_fit(
            lambda x, base, size, scale: base + RESPONSE[form](x, size, scale),
            own["spend"],
            own["response"],
            table.loc[name, ["base", "size", "scale"]] * [1.1, 0.9, 1.1],
        )
        np.testing.assert_allclose(
            table.loc[name, ["base", "size", "scale"]].astype(float), found, rtol=1e-3
        )


def test_planted_curves_are_covered_by_their_standard_errors():
    truth = pd.DataFrame({"size": [900, 400, 250.0], "scale": [300, 100, 400.0]}, list("ABC"))
    inside = []
    for seed in range(60):
        table = response_curves(history(seed, 60)).to_frame().set_index("segment")
        inside += [
            np.log(table[name] / truth[name]).abs() < 2.002 * table[f"{name}_se"] / table[name]
            for name in ("size", "scale")
        ]
    assert np.mean(inside) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 360)


@pytest.mark.slow
def test_what_a_split_promises_is_what_it_brings():
    truth = curves()
    size, scale = truth["size"].to_numpy(), truth["scale"].to_numpy()
    promised, brought, inside = [], [], []
    for seed in range(40):
        found = allocate_budget(response_curves(history(seed, 40, 20)), 600, n_draws=400)
        best = found.to_frame()["best"].to_numpy()
        gain = RESPONSE["exponential"](best, size, scale).sum()
        gain -= RESPONSE["exponential"](np.full(3, 200.0), size, scale).sum()
        row = found.splits.loc["equal"]
        promised.append(row["gain"])
        brought.append(gain)
        inside.append(row["gain_low"] <= gain <= row["gain_high"])
    assert np.mean(brought) > 0
    off = np.array(promised) - brought
    assert abs(off.mean()) < 3 * off.std() / np.sqrt(40)
    assert np.mean(inside) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 40)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"curves": curves().drop(columns="scale")}, ColumnError, "'scale'"),
        ({"curves": curves(size=[1.0, -1, 2])}, DataError, "the curve of 'B' needs size"),
        ({"curves": [1, 2]}, DataError, "curves is a list"),
        ({"budget": 0}, ParameterError, "budget is 0"),
        ({"form": "linear"}, ParameterError, "'exponential', 'saturating', 'log'"),
        ({"minimum": {"A": 700}}, ParameterError, "minimum must be"),
        ({"minimum": {"A": 400, "B": 400}}, ParameterError, "more than the budget of 600"),
        ({"maximum": {"D": 400}}, DataError, "maximum names 'D'"),
        ({"sizes": {"A": 1, "B": 2}}, DataError, "sizes lacks 'C'"),
        ({"worth": -1}, ParameterError, "worth is -1"),
        ({"curves": curves(size="much")}, DataError, "the curve of 'A' needs size"),
        ({"minimum": {"A": "much"}}, DataError, "minimum has no number for 'A'"),
        ({"minimum": {"A": np.nan}}, DataError, "minimum has no number for 'A'"),
        ({"maximum": 50}, DataError, "maximum must give numbers by segment, such as {'A': 100}"),
        ({"sizes": [1, 2, 3]}, DataError, "sizes must give numbers by segment"),
        ({"sizes": {"A": np.inf, "B": 1, "C": 1}}, DataError, "sizes must be numbers"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(change, error, words):
    given = {"curves": curves(), "budget": 600} | change
    with pytest.raises(error, match=words):
        allocate_budget(given.pop("curves"), given.pop("budget"), **given)


def test_a_history_that_tells_no_curve_is_refused():
    for nothing in (None, history().head(0)):
        with pytest.raises(DataError, match="must be a frame with one row per segment and period"):
            response_curves(nothing)
    flat = pd.DataFrame({"segment": "A", "spend": np.arange(8.0), "response": [5, 4.0] * 4})
    with pytest.raises(ConvergenceError, match="'A' does not rise"):
        response_curves(flat.assign(response=-np.arange(8.0)))
    with pytest.raises(ConvergenceError, match="does not level off within what was tried"):
        response_curves(flat.assign(response=np.arange(8.0) ** 1.5))
    with pytest.raises(DataError, match="has 2 rows"):
        response_curves(flat.iloc[:2])
    with pytest.raises(DataError, match="at least 0"):
        response_curves(flat.assign(spend=-1.0))


def test_words_say_what_is_beyond_the_data_and_what_is_certain():
    learned = allocate_budget(response_curves(history()), 5_000)
    assert any("more than was ever tried on" in note for note in learned.notes)
    sure = allocate_budget(curves(), 600)
    assert any("taken for certain" in note for note in sure.notes)
    assert "Best split of 600: A " in sure.summary()
    assert "max_spend" in learned.to_frame()
