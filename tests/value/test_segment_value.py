"""Value by segment against sums by hand, the coverage of its intervals, and its pictures."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import custseg as cs
from custseg.errors import DataError, ParameterError
from custseg.value import BetaGeo, GammaGamma, ParetoNBD, lifetime_value, segment_value
from custseg.value.segment_value import _measure

IDS = pd.Index([f"c{i:03}" for i in range(300)], name="customer_id")


def worth(seed: int = 0, n: int = 300) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Return values, segments and probabilities to be active."""
    rng = np.random.default_rng(seed)
    segment = pd.Series(rng.choice(["gold", "iron", "tin"], n, p=[0.2, 0.3, 0.5]), IDS[:n])
    mean = segment.map({"gold": 80.0, "iron": 30.0, "tin": 10.0})
    return rng.gamma(2, 0.5, n) * mean, segment, pd.Series(rng.beta(4, 2, n), IDS[:n])


def test_sums_and_shares_are_those_of_the_customers():
    value, segment, alive = worth()
    table = segment_value(value, segment, alive=alive, n_resamples=20).to_frame()
    assert table["segment"].tolist() == ["(all)", "gold", "iron", "tin"]
    for row in table.iloc[1:].itertuples():
        own = value[segment == row.segment]
        assert row.n == len(own)
        assert row.share == pytest.approx(len(own) / 300)
        assert row.mean == pytest.approx(own.mean())
        assert row.total == pytest.approx(own.sum())
        assert row.share_of_value == pytest.approx(own.sum() / value.sum())
        assert row.at_stake == pytest.approx((own / alive - own).sum())
    for name in ("n", "share", "total", "share_of_value", "at_stake"):
        assert table[name].iloc[0] == pytest.approx(table[name].iloc[1:].sum())


def test_concentration_is_that_of_the_sorted_values():
    value, segment, _ = worth()
    found = segment_value(value, segment, n_resamples=20)
    best = value.sort_values(ascending=False).to_numpy()
    for top, row in found.concentration.iterrows():
        assert row["customers"] == round(300 * top)
        assert row["share_of_value"] == pytest.approx(best[: round(300 * top)].sum() / best.sum())
    pairs = abs(best[:, None] - best[None, :]).sum()
    assert found.gini == pytest.approx(pairs / (2 * 300 * best.sum()))
    assert found.concentration["customers"].dtype == int
    assert found.lorenz["value"].iloc[[0, -1]].tolist() == [0, 1]
    assert (found.lorenz["value"] >= found.lorenz["customers"] - 1e-12).all()


def test_equal_customers_are_not_concentrated():
    found = segment_value(pd.Series(7.0, IDS), pd.Series("one", IDS), n_resamples=20)
    assert found.gini == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.concentration["share_of_value"], found.concentration.index)


def test_intervals_cover_the_mean_and_the_share_of_many_samples():
    rng = np.random.default_rng(0)
    population, segment, _ = worth(seed=5)
    truth = segment_value(population, segment, n_resamples=1).to_frame()
    hits = []
    for draw in range(120):
        chosen = rng.integers(300, size=300)
        ids = pd.RangeIndex(300)
        sample = population.iloc[chosen].set_axis(ids), segment.iloc[chosen].set_axis(ids)
        table = segment_value(*sample, n_resamples=150, random_state=draw).to_frame()
        hits.append(
            [
                (table[f"{name}_ci_low"] <= truth[name]) & (truth[name] <= table[f"{name}_ci_high"])
                for name in ("mean", "total")
            ]
        )
    assert (np.mean(hits, axis=0) > 0.865).all()  # 95% less four errors of 120 samples
    assert np.mean(hits) < 0.985


def test_the_interval_of_a_mean_is_that_of_the_central_limit():
    value, segment, _ = worth()
    table = segment_value(value, segment, n_resamples=2_000).to_frame().set_index("segment")
    own = value[segment == "tin"]
    width = table.loc["tin", "mean_ci_high"] - table.loc["tin", "mean_ci_low"]
    assert width == pytest.approx(2 * 1.96 * own.std() / np.sqrt(len(own)), rel=0.1)
    wide = segment_value(value, segment, n_resamples=2_000, level=0.99).to_frame()
    assert (wide["mean_ci_high"] >= table["mean_ci_high"].to_numpy()).all()


def test_errors_are_those_of_the_infinitesimal_jackknife():
    value, segment, alive = worth(n=80)
    codes = segment.map({"gold": 0, "iron": 1, "tin": 2}).to_numpy(copy=True)
    codes[:5] = -1
    values = np.array([value, value / alive])
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 4, 80).astype(float)
    _, errors = _measure(weights, values, codes, 4)
    step, counted = 1e-5, np.flatnonzero(codes >= 0)
    changes = []
    for place in counted:
        more, less = weights.copy(), weights.copy()
        more[place] += step
        less[place] -= step
        ends = [_measure(w, values, codes, 4)[0] for w in (more, less)]
        changes.append((ends[0] - ends[1]) / (2 * step))
    w, changes = weights[counted], np.array(changes)
    want = np.sqrt(w @ (changes - w @ changes / w.sum()) ** 2)
    np.testing.assert_allclose(errors[:16], want[:16], rtol=1e-6, atol=1e-12)
    # shares of the best have kinks at customers and the Gini index jumps at ties
    np.testing.assert_allclose(errors[16:], want[16:], rtol=0.15)


def test_intervals_of_skewed_values_cover_the_mean_and_the_concentration():
    rng = np.random.default_rng(3)
    labels = pd.Series(np.repeat(["few", "many"], [60, 140]))
    truth = [np.exp(0.5)] * 3 + [stats.norm.cdf(1 - stats.norm.ppf(0.8)), np.nan]
    truth[4] = 2 * stats.norm.cdf(1 / np.sqrt(2)) - 1
    hits = []
    for draw in range(120):
        value = pd.Series(rng.lognormal(size=200))
        found = segment_value(value, labels, n_resamples=150, random_state=draw)
        table, fifth = found.to_frame(), found.concentration.loc[0.2]
        low = [*table["mean_ci_low"], fifth["ci_low"], found.gini_ci[0]]
        high = [*table["mean_ci_high"], fifth["ci_high"], found.gini_ci[1]]
        hits.append((np.array(low) <= truth) & (truth <= np.array(high)))
    covered = np.mean(hits, axis=0)
    assert (covered > 0.88).all()  # 95% less four errors; percentiles cover the Gini index in 83%
    assert covered.max() < 0.985


def test_bounds_stay_where_values_can_be():
    ids = pd.RangeIndex(60)
    value = pd.Series([500.0] + [1.0] * 59, ids)
    segment = pd.Series(["one"] + ["two"] * 2 + ["rest"] * 57, ids)
    found = segment_value(value, segment, alive=pd.Series(0.5, ids))
    table = found.to_frame()
    bounds = table.filter(like="_ci_").drop(columns=["mean_ci_low", "mean_ci_high"])
    assert np.isfinite(bounds).all(axis=None)
    assert (bounds.filter(like="_low") >= 0).all(axis=None)
    assert (table["share_of_value_ci_high"] <= 1).all()
    assert (found.concentration[["ci_low", "ci_high"]].stack().between(0, 1)).all()
    below = segment_value(value - 9, segment, n_resamples=100).to_frame()
    assert (below["total_ci_low"].iloc[2:] < 0).all()


@pytest.mark.parametrize("kind", ["category", "integers", "strings", "floats", "shuffled"])
def test_labels_of_any_segmentation_do(kind):
    value, segment, _ = worth()
    codes = segment.map({"gold": 0, "iron": 1, "tin": 2})
    labels = {
        "category": pd.Series(
            pd.Categorical(segment, ["tin", "gold", "iron"], ordered=True), segment.index
        ),
        "integers": codes,
        "strings": codes.astype(str),
        "floats": codes.astype(float),
        "shuffled": segment.sample(frac=1, random_state=0),
    }[kind]
    want = segment_value(value, segment, n_resamples=30).to_frame()
    found = segment_value(value, labels, n_resamples=30).to_frame()
    order = [0, 3, 1, 2] if kind == "category" else [0, 1, 2, 3]
    numbers = want.columns.drop("segment")
    got, expected = found[numbers].to_numpy(float), want[numbers].iloc[order].to_numpy(float)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_the_segments_of_a_model_do(shop):
    table = shop.customers.set_index("customer_id")[["age"]]
    table["tickets"] = shop.touchpoints.groupby("customer_id").size().reindex(table.index).fillna(0)
    model = cs.SegmentationModel("kmeans", n_segments=3, random_state=0).fit(table)
    value = pd.Series(np.arange(len(table), dtype=float), table.index)
    found = segment_value(value, model.segments_, n_resamples=10).to_frame()
    assert found["n"].iloc[1:].tolist() == model.segments_.value_counts(sort=False).tolist()
    assert found["total"].iloc[0] == value.sum()


def test_customers_without_a_segment_are_told_and_in_no_number():
    value, segment, _ = worth()
    part = segment.mask(segment == "iron")
    found = segment_value(value, part, n_resamples=20)
    assert found.to_frame()["total"].iloc[0] == pytest.approx(value[segment != "iron"].sum())
    assert f"{(segment == 'iron').sum()} of 300 customers are in no segment" in found.notes[0]
    noise = segment.map({"gold": 0, "iron": -1, "tin": 2})
    assert segment_value(value, noise, n_resamples=20).to_frame()["n"].iloc[0] == part.count()


def test_the_order_of_rows_changes_nothing_and_the_seed_does():
    value, segment, alive = worth()
    one = segment_value(value, segment, alive=alive, n_resamples=40)
    mixed = value.sample(frac=1, random_state=0)
    other = segment_value(mixed, segment, alive=alive, n_resamples=40)
    pd.testing.assert_frame_equal(one.to_frame(), other.to_frame(), check_exact=True)
    assert repr(one) == repr(other)
    third = segment_value(value, segment, n_resamples=40, random_state=1).to_frame()
    assert (third["mean_ci_low"] != one.to_frame()["mean_ci_low"]).all()


# ------------------------------------------------------------------------ with the models behind it


@pytest.fixture(scope="module")
def modelled():
    rng = np.random.default_rng(1)
    n = 500
    active = np.minimum(rng.exponential(1 / rng.gamma(0.9, 1 / 20, n)), 52)
    frequency = rng.poisson(rng.gamma(0.8, 1 / 6, n) * active)
    times = np.maximum(frequency, 1)
    last = np.where(frequency > 0, active * rng.beta(times, 1), 0)
    spend = np.where(frequency > 0, rng.gamma(6 * times, 1 / (times * rng.gamma(4, 1 / 15, n))), 0)
    columns = {"frequency": frequency, "recency": last, "T": 52.0, "monetary_value": spend}
    summary = pd.DataFrame(columns, pd.RangeIndex(n, name="customer_id"))
    models = ParetoNBD().fit(summary), GammaGamma().fit(summary)
    labels = pd.Series(np.where(frequency > 2, "often", "seldom"), summary.index)
    return lifetime_value(*models, summary, discount_rate=0.002), labels


def test_the_doubt_about_the_models_widens_the_intervals(modelled):
    found, labels = modelled
    with_models = segment_value(found, labels, n_resamples=60)
    table = found.to_frame()
    alone = segment_value(table["value"], labels, alive=table["probability_alive"], n_resamples=60)
    one, other = with_models.to_frame(), alone.to_frame()
    for name in ("mean", "total", "at_stake"):
        np.testing.assert_allclose(one[name], other[name])
        wide, narrow = (
            (frame[f"{name}_ci_high"] - frame[f"{name}_ci_low"])[0] for frame in (one, other)
        )
        assert wide > 1.3 * narrow
    assert "the models are fitted again" in " ".join(with_models.notes)
    assert "as known" in " ".join(alone.notes)


def test_what_is_at_stake_is_what_doubt_takes_off(modelled):
    found, labels = modelled
    table = found.to_frame()
    shown = segment_value(found, labels, n_resamples=5).to_frame().set_index("segment")
    want = (table["value_if_alive"] - table["value"]).groupby(labels).sum()
    np.testing.assert_allclose(shown.loc[want.index, "at_stake"], want)


def test_models_of_other_customers_are_taken_as_known_and_that_is_said(modelled):
    found, labels = modelled
    part = lifetime_value(
        found.purchases, found.spend, found.customers.iloc[:200], discount_rate=0.002
    )
    notes = " ".join(segment_value(part, labels.iloc[:200], n_resamples=5).notes)
    assert "fitted to other customers" in notes


def test_samples_that_cannot_be_fitted_are_counted(modelled):
    found, labels = modelled
    few = found.customers.iloc[:30]
    worth_of_few = lifetime_value(
        BetaGeo().fit(few), GammaGamma().fit(few), few, discount_rate=0.01
    )
    result = segment_value(worth_of_few, labels.iloc[:30], n_resamples=40)
    assert result.n_resamples < 40
    assert f"{40 - result.n_resamples} samples are left out" in " ".join(result.notes)


# ------------------------------------------------------------------------------- words and pictures


def test_words_follow_from_the_numbers():
    value, segment, alive = worth()
    found = segment_value(value, segment, alive=alive, n_resamples=50)
    table = found.to_frame().set_index("segment")
    words = found.summary()
    assert f"300 customers are worth {value.sum():,.0f}" in words
    most = table.iloc[1:]["total"].idxmax()
    assert f"{most} ({table.loc[most, 'share']:.0%} of them) hold" in words
    assert f"at stake in {table.iloc[1:]['at_stake'].idxmax()}" in words
    assert f"Gini {found.gini:.2f}" in words
    assert "at stake" not in segment_value(value, segment, n_resamples=5).summary()
    assert found.gini_ci[0] < found.gini < found.gini_ci[1]
    assert "<table" in found._repr_html_()


def test_small_segments_and_negative_values_are_noted():
    value, segment, _ = worth(n=60)
    found = segment_value(value - 5, segment, n_resamples=10)
    notes = " ".join(found.notes)
    assert "fewer than 30 customers: gold" in notes
    assert "some values are negative" in notes


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"value": [1, 2]}, ParameterError, "value is a list"),
        ({"value": pd.Series(dtype=float)}, DataError, "must have customers"),
        ({"value": pd.Series([1.0, np.nan], IDS[:2])}, DataError, "'c001'.*missing or infinite"),
        ({"value": pd.Series(0.0, IDS)}, DataError, "sums to 0"),
        ({"segments": ["gold"] * 300}, DataError, "must be a Series of labels"),
        ({"segments": pd.Series("x", range(300))}, DataError, "none of the 300 customers"),
        ({"alive": pd.Series(1.5, IDS)}, DataError, "above 0 and at most 1"),
        ({"alive": pd.Series(0.5, IDS[:9])}, DataError, "above 0 and at most 1"),
        ({"alive": [0.5] * 300}, DataError, "alive must be a Series"),
        ({"value": pd.Series("x", IDS)}, DataError, "value holds str, not numbers"),
        ({"n_resamples": 0}, ParameterError, "n_resamples is 0"),
        ({"level": 1}, ParameterError, "level is 1"),
        ({"random_state": -1}, ParameterError, "random_state is -1"),
    ],
)
def test_wrong_questions_are_refused(change, error, words):
    value, segment, _ = worth()
    given = {"value": value, "segments": segment} | change
    with pytest.raises(error, match=words):
        segment_value(given.pop("value"), given.pop("segments"), **given)


def test_a_lifetime_value_brings_its_own_probabilities(modelled):
    with pytest.raises(ParameterError, match="a LifetimeValue knows who is active"):
        segment_value(*modelled, alive=pd.Series(0.5, modelled[1].index))


def test_the_picture_by_segment_shows_shares_and_intervals():
    value, segment, _ = worth()
    segment = segment.replace({"gold": "$ gold $"})
    found = segment_value(value, segment, n_resamples=20)
    ax = found.plot()
    table = found.to_frame().iloc[1:]
    held, customers = ax.get_lines()
    assert held.get_xdata().tolist() == table["share_of_value"].tolist()
    assert customers.get_xdata().tolist() == table["share"].tolist()
    ends = np.array(ax.collections[0].get_segments())[:, :, 0]
    np.testing.assert_allclose(ends, table[["share_of_value_ci_low", "share_of_value_ci_high"]])
    assert ax.get_yticklabels()[0].get_text() == r"\$ gold \$"
    ax.figure.canvas.draw()


def test_the_picture_of_concentration_shows_the_curve():
    value, segment, _ = worth()
    found = segment_value(value, segment, n_resamples=20)
    _, ax = plt.subplots()
    assert found.plot(what="concentration", ax=ax) is ax
    curve, points, _ = ax.get_lines()
    assert curve.get_ydata().tolist() == found.lorenz["value"].tolist()
    assert points.get_ydata().tolist() == found.concentration["share_of_value"].tolist()
    with pytest.raises(ParameterError, match="Did you mean 'segments'"):
        found.plot(what="segment")


# ---------------------------------------------------------------------------------- by simulation


def draw_shop(n: int, seed: int) -> pd.DataFrame:
    """Draw customers as BG/NBD and gamma-gamma have them, followed for 39 to 52 whole weeks."""
    rng = np.random.default_rng(seed)
    rates, chances = rng.gamma(0.8, 1 / 6, n), rng.geometric(rng.beta(1.1, 3.0, n))
    age = rng.integers(39, 53, n).astype(float)
    time, frequency, recency = np.zeros(n), np.zeros(n), np.zeros(n)
    going = np.ones(n, dtype=bool)
    while going.any():
        time = time + rng.exponential(1 / rates)
        going &= (time <= age) & (frequency < chances)
        frequency += going
        recency = np.where(going, time, recency)
    times = np.maximum(frequency, 1)
    spend = rng.gamma(6 * times) / (times * rng.gamma(4, 1 / 15, n))
    money = np.where(frequency > 0, spend, 0)
    columns = {"frequency": frequency, "recency": recency, "T": age, "monetary_value": money}
    return pd.DataFrame(columns)


@pytest.mark.slow
def test_intervals_cover_the_true_value_only_if_the_models_are_fitted_again():
    how = {"discount_rate": 0.002, "horizon": 104}
    many = draw_shop(200_000, 999)
    purchases, spend = BetaGeo().fit(many), GammaGamma().fit(many)
    purchases.params_[:] = [0.8, 6.0, 1.1, 3.0]
    spend.params_[:] = [6.0, 4.0, 15.0]
    true = lifetime_value(purchases, spend, many, **how).to_frame()["value"].mean()
    hits = {"fitted again": 0, "as known": 0}
    for seed in range(30):
        shop = draw_shop(800, seed)
        found = lifetime_value(BetaGeo().fit(shop), GammaGamma().fit(shop), shop, **how)
        labels = pd.Series("all of them", shop.index)
        for name, value in (("fitted again", found), ("as known", found.to_frame()["value"])):
            row = segment_value(value, labels, n_resamples=60, random_state=seed).to_frame().iloc[0]
            hits[name] += row["mean_ci_low"] <= true <= row["mean_ci_high"]
    assert hits["fitted again"] >= 24  # 95% of 30, less three errors
    assert hits["as known"] < hits["fitted again"]


def test_a_single_customer_has_a_mean_without_an_interval():
    ids = pd.Index(range(40), name="customer_id")
    worth = pd.Series(np.arange(1.0, 41), ids)
    found = segment_value(worth, pd.Series(["A"] * 39 + ["B"], ids), n_resamples=50)
    row = found.to_frame().set_index("segment").loc["B"]
    assert row["mean"] == 40
    assert np.isnan([row["mean_ci_low"], row["mean_ci_high"]]).all()
    assert row["total_ci_low"] < 40 < row["total_ci_high"]
