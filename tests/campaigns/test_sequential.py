"""Looks at a campaign against published boundaries, brute force and campaigns that do nothing."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import custseg as cs
from custseg._engine import collect
from custseg.campaigns import group_sequential, sequential
from custseg.campaigns._boundaries import (
    SPENDING,
    crossing_chances,
    mixture_bound,
    mixture_clock,
    mixture_p_value,
    spending_boundaries,
    stitched_bound,
    stitched_p_value,
)
from custseg.errors import ColumnError, DataError, ParameterError

mpl.use("Agg")
import matplotlib.pyplot as plt

METHODS = ("mixture", "stitched", *SPENDING)


def stays_inside(times, z, *, sides=2, drift=0.0):
    """The chance never to cross, by the multivariate normal distribution of the looks."""
    times, z = np.asarray(times, dtype=float), np.asarray(z, dtype=float)
    corr = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    lower = -z if sides == 2 else np.full(len(z), -np.inf)
    options = {"lower_limit": lower, "maxpts": 400_000, "abseps": 1e-6}
    rng = np.random.default_rng(1)
    return stats.multivariate_normal.cdf(z, drift * np.sqrt(times), corr, rng=rng, **options)


@pytest.mark.parametrize(
    ("boundary", "looks", "constant", "inflation_80", "inflation_90"),
    [  # Jennison and Turnbull (2000), tables 2.1 to 2.4, alpha = .05
        ("classic_pocock", 2, 2.178, 1.110, 1.100),
        ("classic_pocock", 3, 2.289, 1.166, 1.151),
        ("classic_pocock", 4, 2.361, 1.202, 1.183),
        ("classic_pocock", 5, 2.413, 1.229, 1.207),
        ("classic_pocock", 10, 2.555, 1.301, 1.271),
        ("classic_obrien_fleming", 2, 1.977, 1.008, 1.007),
        ("classic_obrien_fleming", 3, 2.004, 1.017, 1.016),
        ("classic_obrien_fleming", 4, 2.024, 1.024, 1.022),
        ("classic_obrien_fleming", 5, 2.040, 1.028, 1.026),
        ("classic_obrien_fleming", 10, 2.087, 1.040, 1.037),
    ],
)
def test_classic_boundaries_are_those_published(
    boundary, looks, constant, inflation_80, inflation_90
):
    plan = group_sequential(looks, boundary=boundary)
    # the tables round to three digits
    assert plan.table["z"].iloc[-1] == pytest.approx(constant, abs=6e-4)
    assert plan.inflation == pytest.approx(inflation_80, abs=6e-4)
    assert group_sequential(looks, boundary=boundary, power=0.9).inflation == pytest.approx(
        inflation_90, abs=6e-4
    )
    assert plan.table["spent"].iloc[-1] == pytest.approx(0.05, abs=1e-9)
    # and so says the distribution of all looks together, of the table itself
    times = np.arange(1, looks + 1) / looks
    shape = times ** (0.0 if boundary == "classic_pocock" else -0.5)
    wider, narrower = (stays_inside(times, (constant + away) * shape) for away in (6e-4, -6e-4))
    assert narrower < 0.95 < wider
    for power, inflation in ((0.8, inflation_80), (0.9, inflation_90)):
        drift = np.sqrt(inflation) * (stats.norm.isf(0.025) + stats.norm.isf(1 - power))
        found = 1 - stays_inside(times, constant * shape, drift=drift)
        assert found == pytest.approx(power, abs=6e-4)


@pytest.mark.parametrize(
    ("boundary", "alternative", "looks", "published"),
    [  # alpha spending, .05 in all: rpact 3.3.4, getDesignGroupSequential(typeOfDesign="as...")
        (
            *("obrien_fleming", "two-sided", 5),
            [4.87688495, 3.35701192, 2.68028007, 2.28981677, 2.03103205],
        ),
        (
            *("pocock", "two-sided", 5),
            [2.43797669, 2.42681386, 2.41019384, 2.39664540, 2.38598456],
        ),
        (
            *("obrien_fleming", "greater", 5),
            [4.22919506, 2.88813654, 2.29809029, 1.96182147, 1.73970451],
        ),
        (
            *("pocock", "greater", 5),
            [2.17621145, 2.14374771, 2.11328527, 2.08959920, 2.07099842],
        ),
        (
            *("obrien_fleming", "two-sided", [0.3, 0.5, 0.55, 1]),
            [3.92857254, 2.96561823, 2.86805887, 1.97462948],
        ),
    ],
)
def test_spending_boundaries_are_those_published(boundary, alternative, looks, published):
    z = group_sequential(looks, boundary=boundary, alternative=alternative).table["z"]
    np.testing.assert_allclose(z, published, atol=5e-7)
    sides = 2 if alternative == "two-sided" else 1
    times = np.arange(1, 6) / 5 if looks == 5 else np.array(looks)
    spent = SPENDING[boundary](times, 0.05, sides=sides)
    for k in range(1, len(times) + 1):
        crossed = 1 - stays_inside(times[:k], published[:k], sides=sides)
        assert crossed == pytest.approx(spent[k - 1], abs=1e-5)


@pytest.mark.parametrize(
    ("boundary", "inflation"),
    [  # rpact 3.3.4, getDesignCharacteristics, five looks, .05 two-sided, power .8
        ("classic_pocock", 1.2285926),
        ("classic_obrien_fleming", 1.028411),
        ("pocock", 1.2126259),
        ("obrien_fleming", 1.0247199),
    ],
)
def test_what_looking_costs_is_what_rpact_says(boundary, inflation):
    assert group_sequential(5, boundary=boundary).inflation == pytest.approx(inflation, abs=2e-7)


@pytest.mark.parametrize(("sides", "drift"), [(2, 0.0), (1, 0.0), (2, 2.5), (1, 1.0)])
def test_recursion_agrees_with_the_multivariate_normal_distribution(sides, drift):
    times, z = np.array([0.2, 0.45, 0.7, 1.0]), np.array([2.9, 2.4, 2.2, 2.05])
    found = crossing_chances(times, z, sides=sides, drift=drift).sum()
    assert found == pytest.approx(1 - stays_inside(times, z, sides=sides, drift=drift), abs=2e-6)


def test_daily_looks_spend_exactly_alpha():
    times = np.unique(np.random.default_rng(2).integers(2, 200, 60)) / 200
    times[-1] = 1
    for spending in SPENDING.values():
        spent = spending(times, 0.05, sides=2)
        assert spent[-1] == pytest.approx(0.05)
        z = spending_boundaries(tuple(times), tuple(spent), 2)
        found = crossing_chances(times, z, sides=2).sum(axis=1).cumsum()
        np.testing.assert_allclose(found, spent, atol=1e-9)


def test_a_plan_counts_what_looking_costs():
    plan = group_sequential([0.5, 1], boundary="classic_pocock", power=0.8)
    drift = np.sqrt(plan.inflation) * (stats.norm.isf(0.025) + stats.norm.isf(0.2))
    rng = np.random.default_rng(5)
    steps = rng.normal(drift / 2, np.sqrt(0.5), (400_000, 2)).cumsum(axis=1)
    crossed = np.abs(steps / np.sqrt([0.5, 1])) > plan.table["z"].to_numpy()
    assert crossed.any(axis=1).mean() == pytest.approx(0.8, abs=0.003)
    used = plan.inflation * np.where(crossed[:, 0], 0.5, 1).mean()
    assert plan.expected_effect == pytest.approx(used, abs=0.003)
    one_sided = group_sequential(3, alternative="less")
    assert (one_sided.table["z"] < 0).all()
    assert one_sided.table["z"].iloc[-1] > -1.8


@pytest.mark.parametrize("looks", [0, [0.5, 0.4, 1], [0.5], [0.0, 1], "5", [[1.0]]])
def test_looks_that_do_not_rise_to_one_are_refused(looks):
    with pytest.raises(ParameterError, match="looks is"):
        group_sequential(looks)


def test_mixture_p_value_is_one_over_the_mixture_likelihood_ratio():
    se, prior, effect = 0.3, 0.8, 0.9
    ratio, _ = integrate.quad(
        lambda d: stats.norm.pdf(effect, d, se) * stats.norm.pdf(d, 0, prior), -8, 8
    )
    expected = stats.norm.pdf(effect, 0, se) / ratio
    found = mixture_p_value(np.array((prior / se) ** 2), np.array(effect / se))
    assert found == pytest.approx(expected, rel=1e-9)


def test_stitched_bound_is_the_one_printed_by_howard_and_others():
    clock = np.array([1, 3.0, 50, 1e4])
    alpha = 0.025 * 2  # they print one side at .025
    printed = 1.7 * np.sqrt(np.log(np.log(2 * clock)) + 0.72 * np.log(5.2 / 0.025))
    ratio = stitched_bound(clock, alpha) / printed
    # 1.7, .72 and 5.2 are rounded up from 1.699, .714 and 5.188
    assert ((ratio < 1) & (ratio > 0.994)).all()


@pytest.mark.parametrize(
    ("bound", "p_value"), [(mixture_bound, mixture_p_value), (stitched_bound, stitched_p_value)]
)
def test_p_values_and_intervals_are_two_views_of_one_thing(bound, p_value):
    clock = np.array([0.2, 1, 4, 30])
    for alpha in (0.2, 0.05, 1e-4):
        np.testing.assert_allclose(p_value(clock, bound(clock, alpha)), alpha, rtol=1e-10)


def test_mixture_is_narrowest_at_the_planned_customers():
    best = mixture_clock(0.05)
    clocks = best * np.geomspace(0.2, 5, 201)
    # as a function of the prior at a fixed size, the width is that of mixture_bound
    assert abs(np.log(clocks[np.argmin(mixture_bound(clocks, 0.05))] / best)) < 0.05


def campaign(n=6_000, days=14, effect=0.0, seed=1):
    rng = np.random.default_rng(seed)
    arm = rng.choice(["none", "mail", "letter"], n)
    before = rng.normal(size=n)
    return pd.DataFrame(
        {
            "customer_id": rng.permutation(n),
            "arm": arm,
            "tier": rng.choice(["low", "high"], n, p=[0.7, 0.3]),
            "when": pd.Timestamp("2024-03-01") + pd.to_timedelta(rng.integers(0, days, n), "D"),
            "before": before,
            "spend": 10 + 2 * before + rng.normal(0, 3, n) + effect * (arm == "mail"),
            "visit": (rng.random(n) < 0.3).astype(int),
        }
    )


@pytest.fixture(scope="module")
def test_plan():
    metrics = {"spend": cs.Mean("spend", covariate="before"), "visit": cs.Proportion("visit")}
    return cs.CampaignTest(
        arm="arm", control="none", metrics=metrics, segments="tier", customer_id="customer_id"
    )


def test_the_last_look_has_the_effects_of_the_analysis(test_plan):
    data = campaign(effect=0.5)
    found = sequential(data, test_plan, day="when", planned=4_000)
    last = found.table[found.table["day"] == found.table["day"].max()].reset_index(drop=True)
    whole = test_plan.analyze(data).to_frame()
    keys = ["metric", "segment", "arm", "n_control", "n_treatment"]
    both = last.merge(whole, on=keys, suffixes=("", "_whole"))
    assert len(both) == len(last) == 12
    np.testing.assert_allclose(both["effect"], both["effect_whole"], rtol=1e-9)
    np.testing.assert_allclose(both["se"], both["se_whole"], rtol=1e-9)
    half_days = data[data["when"] < "2024-03-08"]
    early = test_plan.analyze(half_days).to_frame()
    day = found.table[found.table["day"] == pd.Timestamp("2024-03-07")].reset_index(drop=True)
    np.testing.assert_allclose(day["effect"], early["effect"], rtol=1e-9)
    np.testing.assert_allclose(day["se"], early["se"], rtol=1e-9)


def test_what_was_known_on_a_day_does_not_change_later(test_plan):
    data = campaign(effect=0.3)
    for method in ("mixture", "stitched", "obrien_fleming"):
        whole = sequential(data, test_plan, day="when", planned=4_000, method=method).table
        early = data[data["when"] < "2024-03-08"]
        then = sequential(early, test_plan, day="when", planned=4_000, method=method).table
        same = whole[whole["day"] < "2024-03-08"].reset_index(drop=True)
        pd.testing.assert_frame_equal(same, then, rtol=1e-9)


def as_duckdb(frame, folder):
    import duckdb

    connection = duckdb.connect()
    connection.register("given", frame)
    connection.execute("CREATE TABLE sent AS FROM given")
    return connection.table("sent")


def as_ibis(frame, folder):
    table = pytest.importorskip("pyarrow").Table.from_pandas(frame)
    return pytest.importorskip("ibis").memtable(table)


def as_parquet(frame, folder):
    import duckdb

    path = str(folder / "sent.parquet")
    duckdb.from_df(frame).write_parquet(path)
    return path


def as_polars(frame, folder):
    return pytest.importorskip("polars").from_pandas(frame)


ENGINES = {
    "other order": lambda frame, folder: frame.sample(frac=1, random_state=1),
    "polars": as_polars,
    "duckdb": as_duckdb,
    "parquet": as_parquet,
    "ibis": as_ibis,
}


# what ibis asks of pandas is deprecated in pandas 3
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["column", "series", "text day"])
def test_every_engine_gives_the_same_looks(test_plan, engine, kind, tmp_path):
    data = campaign(2_000)
    data.loc[:9, "arm"] = None
    data.loc[10:14, "when"] = pd.NaT
    data.loc[15:17, "spend"] = np.nan
    test = test_plan
    if kind == "series":
        labels = data.set_index("customer_id")["tier"].iloc[:-50].sort_index()
        test = replace(test_plan, segments=labels)
    if kind == "text day":
        data = data.assign(when=data["when"].dt.strftime("%Y-%m-%d"))
    options = {"day": "when", "planned": 1_400}
    want = sequential(data, test, **options)
    if kind == "text day" and engine == "ibis":
        with pytest.raises(DataError, match="Cast it to a timestamp in your own engine first"):
            sequential(ENGINES[engine](data, tmp_path), test, **options)
        return
    found = sequential(ENGINES[engine](data, tmp_path), test, **options)
    pd.testing.assert_frame_equal(found.table, want.table, rtol=1e-9)
    pd.testing.assert_frame_equal(found.account, want.account)
    assert found.srm.p_value == want.srm.p_value


def test_sums_are_made_in_the_engine_and_keep_their_digits(test_plan, monkeypatch):
    from custseg.campaigns import _cells, _enrolment

    data, brought = campaign(effect=0.3), []

    def counting(lazy):
        found = collect(lazy)
        brought.append(len(found))
        return found

    for module in (_cells, _enrolment):
        monkeypatch.setattr(module, "collect", counting)
    found = sequential(data, test_plan, day="when", planned=4_000)
    days, arms, segments = 14, 3, 2
    assert max(brought) <= 1_000  # the first rows, to centre the sums
    assert sorted(brought)[-2] == days * arms * segments
    far = data.assign(spend=data["spend"] + 1e6, visit=0)
    moved = sequential(far, test_plan, day="when", planned=4_000).table
    spend = moved["metric"] == "spend"
    names = ["effect", "se", "ci_low", "ci_high", "p_value", "crossed"]
    pd.testing.assert_frame_equal(moved.loc[spend, names], found.table.loc[spend, names], rtol=1e-6)
    assert (moved.loc[~spend, "se"].dropna() == 0).all()  # nothing varies, whatever the rounding


def test_a_large_effect_is_found_and_dated(test_plan):
    found = sequential(campaign(effect=1.5), test_plan, day="when", planned=4_000)
    crossings = found.crossings().set_index(["metric", "segment", "arm"])
    row = crossings.loc[("spend", "(all)", "mail")]
    assert row["day"] < pd.Timestamp("2024-03-05")
    assert row["ci_low"] > 0
    assert "mail against none: an effect was shown on 2024-03-0" in found.summary()
    assert row["day_familywise"] >= row["day"]
    assert "Of 8 effects by segment, 2 were shown one by one, 2 when all count." in found.summary()
    assert (found.table["p_holm"].dropna() >= found.table["p_value"].dropna() - 1e-12).all()
    p = found.table.groupby(["metric", "segment", "arm"])["p_value"]
    assert (p.diff().dropna() <= 0).all()


def test_every_row_is_accounted_for(test_plan):
    data = campaign()
    data.loc[:9, "arm"] = None
    data.loc[10:14, "when"] = pd.NaT
    data.loc[15:17, "spend"] = np.nan
    found = sequential(data, test_plan, day="when", planned=4_000)
    account = found.account.loc["spend"]
    assert account[["no_arm", "no_day", "no_value"]].tolist() == [10, 5, 3]
    assert account["rows_in"] == account.drop("rows_in").sum() == len(data)
    assert "spend: set aside 10 with no arm, 5 with no day, 3 with no value" in found.notes[1]
    last = found.table[(found.table["metric"] == "spend") & (found.table["segment"] == "(all)")]
    final = last.groupby("arm")[["n_control", "n_treatment"]].max()
    total = final["n_control"].iloc[0] + final["n_treatment"].sum()
    assert total == account["rows_used"]


def test_group_sequential_looks_end_with_the_planned_customers(test_plan):
    data = campaign(days=10)
    planned = {"(all)": 2_000, "low": 1_400, "high": 600}
    found = sequential(data, test_plan, day="when", planned=planned, method="pocock").table
    everybody = found[(found["segment"] == "(all)") & (found["metric"] == "visit")]
    for _, rows in everybody.groupby("arm"):
        looks = rows["boundary"].notna()
        assert looks.sum() in (4, 5, 6)  # half of the ten days bring the planned customers
        assert rows.loc[~looks, "ci_low"].isna().all()
        assert not rows.loc[~looks, "crossed"].any()
    assert found["p_value"].isna().all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n", "control"),
    [
        ("normal", 800, 0.5),
        ("skewed", 1_500, 0.5),
        ("skewed", 3_000, 0.7),
        ("heavy", 3_000, 0.9),
        ("share", 1_000, 0.5),
        ("rare", 3_000, 0.5),
        ("rare", 9_000, 0.85),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_looking_every_day_at_nothing_keeps_the_error_at_most_alpha(kind, n, control, method):
    simulations, rng = 400, np.random.default_rng(11)
    shares = None if control == 0.5 else [control, 1 - control]
    size = n * simulations
    y = {
        "normal": lambda: rng.normal(size=size),
        "skewed": lambda: np.where(rng.random(size) < 0.3, rng.lognormal(3, 1, size), 0.0),
        "heavy": lambda: rng.lognormal(0, 2, size),
        "share": lambda: (rng.random(size) < 0.3).astype(int),
        "rare": lambda: (rng.random(size) < 0.02).astype(int),
    }[kind]()
    metric = cs.Proportion("y") if kind in ("share", "rare") else cs.Mean("y")
    data = pd.DataFrame(
        {
            "campaign": np.repeat(np.arange(simulations), n),
            "arm": rng.choice(["a", "b"], size, p=shares),
            "day": rng.integers(0, 14, size),
            "y": y,
        }
    )
    test = cs.CampaignTest(
        arm="arm",
        control="a",
        metrics={"y": metric},
        segments="campaign",
        allocation={"a": control, "b": 1 - control},
    )
    names = ["(all)", *map(str, range(simulations))]
    planned = dict.fromkeys(names, n)
    found = sequential(data, test, day="day", planned=planned, method=method)
    each = found.crossings().iloc[1:]
    limit = 0.05 + 2 * np.sqrt(0.05 * 0.95 / simulations)
    assert each["day"].notna().mean() <= limit
    rows = found.table[(found.table["segment"] != "(all)") & (found.table["n_treatment"] > 99)]
    naive = (rows["effect"].abs() > 1.96 * rows["se"]).groupby(rows["segment"]).any().mean()
    assert naive > 2 * limit or kind == "rare"
    # four segments a campaign: whether any is shown when all four count
    families = sequential(data, test, day="day", planned=planned, method=method, alpha=0.05 / 4)
    shown = families.crossings()["day"].iloc[1:].notna().to_numpy().reshape(-1, 4).any(axis=1)
    assert shown.mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(shown))


def test_proportions_are_held_to_the_score_statistic():
    test = cs.CampaignTest(arm="arm", control="none", metrics={"visit": cs.Proportion("visit")})
    data = campaign(3_000, days=6)
    data["visit"] |= (data["arm"] == "mail") & (data["before"] > 1)
    table = sequential(data, test, day="when", planned=2_000).table
    for row in table.to_dict("records"):
        some = data[data["when"] <= row["day"]].groupby("arm")["visit"].agg(["sum", "count"])
        counts = (*some.loc[row["arm"]], *some.loc["none"])
        level = 1 - 2 * stats.norm.sf(row["boundary"])
        low, high = cs.stats.miettinen_nurminen(*counts, level=level)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), abs=1e-9)
        z = cs.stats.score_statistic(*counts)
        assert row["crossed"] == (abs(z) > row["boundary"])
    assert table["crossed"].nunique() == 2


@pytest.mark.parametrize("method", METHODS)
def test_a_family_is_held_to_its_share_of_alpha(test_plan, method):
    options = {"day": "when", "method": method, "planned": 4_000}
    data = campaign(effect=0.6)
    found = sequential(data, test_plan, **options).table
    for everybody, size in ((True, 2), (False, 4)):
        rows = (found["segment"] == "(all)") == everybody
        alone = sequential(data, test_plan, alpha=0.05 / size, **options).table
        keys = [alone[k] for k in ("metric", "segment", "arm")]
        first = alone["crossed"].groupby(keys, sort=False).cummax()[rows]
        family = found.loc[rows, "crossed_familywise"]
        assert family[first].all()
        if method in SPENDING:
            assert (family == first).all()
        else:  # step by step, Holm shows more than a share of alpha
            assert (family == (found.loc[rows, "p_holm"] <= 0.05)).all()
    assert found["crossed_familywise"].any()
    assert (found["crossed"] & ~found["crossed_familywise"]).any()


def test_segments_that_had_no_look_yet_count_in_the_family():
    data = campaign(3_000, effect=0.6)
    data["tier"] = data["tier"].where(np.arange(len(data)) > 150, "few")
    test = cs.CampaignTest(
        arm="arm", control="none", metrics={"spend": cs.Mean("spend")}, segments="tier"
    )
    table = sequential(data, test, day="when", planned=1_000).table
    last = table[(table["day"] == table["day"].max()) & (table["segment"] != "(all)")]
    assert last["p_holm"].isna().tolist() == last["segment"].eq("few").tolist()
    known = last["p_holm"].dropna()
    assert len(known) == 4
    assert known.min() == pytest.approx(6 * last["p_value"].min())


def revenue(n, control, seed=3):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "arm": rng.choice(["a", "b"], n, p=[control, 1 - control]),
            "tier": rng.choice(["x", "y"], n),
            "day": rng.integers(0, 20, n),
            "revenue": rng.lognormal(0, 2, n),
            "orders": 1 + rng.poisson(1, n),
            "coupons": (rng.random(n) < 0.01).astype(int),
        }
    )


def test_moments_by_day_are_those_of_the_rows():
    from custseg.campaigns._enrolment import read_enrolment

    data = revenue(3_000, 0.8)
    data["revenue"] += 1e4
    metric = cs.Ratio("revenue", "orders", covariate="coupons")
    test = cs.CampaignTest(arm="arm", control="a", metrics={"r": metric}, segments="tier")
    enrolment = read_enrolment(data, test, "day")
    moments = enrolment.by_day(0, metric)
    assert len(moments.n) == 60
    for day in (0, 11, 19):
        for row, tier in enumerate((["x", "y"], ["x"], ["y"]), start=3 * day):
            for a, arm in enumerate(["a", "b"]):
                some = (data["day"] <= day) & data["tier"].isin(tier) & (data["arm"] == arm)
                away = data.loc[some, ["revenue", "orders", "coupons"]].to_numpy(dtype=float)
                np.testing.assert_allclose(moments.mean[row, a], away.mean(axis=0), rtol=1e-12)
                away -= away.mean(axis=0)
                cross, e = away.T @ away, away[:, :2]
                third = np.einsum("ci,cj,ch->ijh", e, e, e)
                np.testing.assert_allclose(moments.cross[row, a], cross, rtol=1e-8, atol=1e-7)
                np.testing.assert_allclose(moments.third[row, a], third, rtol=1e-8, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_looks_wait_until_skewness_cancels(method):
    metrics = {"revenue": cs.Mean("revenue"), "capped": cs.Mean("revenue", winsorize=0.9)}
    test = cs.CampaignTest(arm="arm", control="a", metrics=metrics)
    options = {"day": "day", "planned": 3_000, "method": method}
    unequal = sequential(revenue(3_000, 0.9), test, **options)
    looks = unequal.table.groupby("metric")["boundary"].count()
    assert looks["revenue"] == 0
    assert looks["capped"] > 10
    note = next(note for note in unequal.notes if "no look" in note)
    assert note.startswith("revenue: no look on the last day in (all): the outcome is very skewed")
    assert "winsorize" in note
    # skewness cancels between arms of one size: looks begin with the burn-in
    equal = sequential(revenue(3_000, 0.5), test, **options).table
    looks = equal[equal["boundary"].notna() & (equal["metric"] == "revenue")]
    assert looks["day"].min() <= 3
    assert len(looks) >= 5


def test_no_look_is_doubted_by_the_analysis_of_the_same_customers():
    data = revenue(4_000, 0.6)
    data["revenue"] **= 0.5
    test = cs.CampaignTest(
        arm="arm", control="a", metrics={"revenue": cs.Mean("revenue")}, segments="tier"
    )
    table = sequential(data, test, day="day", planned=4_000, burn_in=20).table
    looks = table.set_index(["day", "segment"])["boundary"].notna()
    for day in range(0, 20, 3):
        notes = test.analyze(data[data["day"] <= day]).notes
        doubted = next((note for note in notes if "the outcome is very skewed" in note), "")
        for group in ("(all)", "x", "y"):
            named = group in doubted.split(" the outcome")[0].partition(": in ")[2].split(", ")
            assert looks[day, group] == (not named)
    assert looks.nunique() == 2


def test_a_ratio_waits_for_its_denominator():
    metrics = {"spend": cs.Ratio("revenue", "coupons"), "basket": cs.Ratio("revenue", "orders")}
    test = cs.CampaignTest(arm="arm", control="a", metrics=metrics)
    data = revenue(2_000, 0.5)
    data["revenue"] = np.log1p(data["revenue"])
    found = sequential(data, test, day="day", planned=2_000)
    looks = found.table.groupby("metric")["boundary"].count()
    assert looks["spend"] == 0
    assert looks["basket"] > 10
    assert any("the mean coupons of an arm is less than 5 standard" in n for n in found.notes)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"day": "wen"}, ColumnError, "Did you mean 'when'"),
        ({"method": "bayes"}, ParameterError, "method is 'bayes'"),
        ({"planned": 0}, ParameterError, "planned is 0"),
        ({"planned": {"(all)": 10}}, ColumnError, "planned has no columns"),
        ({"burn_in": 1}, ParameterError, "burn_in is 1"),
        ({"alpha": 1}, ParameterError, "alpha is 1"),
        ({"day": "spend"}, DataError, "must hold dates or whole numbers"),
        ({"day": "waited"}, DataError, "column 'waited' is of type Duration"),
        (
            {"planned": {"(all)": 10, "low": "x", "high": 1}},
            ParameterError,
            r"planned\['low'\] is 'x'",
        ),
    ],
)
def test_bad_input_stops_with_a_remedy(test_plan, options, error, words):
    given = {"day": "when", "planned": 4_000} | options
    data = campaign(500).assign(waited=pd.Timedelta(1, "D"))
    with pytest.raises(error, match=words):
        sequential(data, test_plan, **given)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.assign(spend=d["spend"].where(d.index > 1, np.inf)), "holds 2 infinite"),
        (lambda d: pd.concat([d, d.head(3)]), "3 customers have more than one row, 0 of them"),
        (lambda d: d.assign(arm=d["arm"].where(d.index > 1, "fax")), "arm 'fax' is in the data"),
        (lambda d: d[d["arm"] != "mail"], "arm 'mail' is in the allocation, but not in the data"),
    ],
)
def test_bad_data_are_refused_as_by_the_analysis(test_plan, change, words):
    data = change(campaign(500))
    test = replace(test_plan, allocation=dict.fromkeys(["none", "mail", "letter"], 1 / 3))
    experiment = cs.Experiment(data, arm="arm", customer_id="customer_id")
    for given, how in ((data, test), (experiment, replace(test, customer_id=None))):
        with pytest.raises(DataError, match=words):
            sequential(given, how, day="when", planned=400)
        with pytest.raises(DataError, match=words):
            how.analyze(given)


def test_metrics_that_need_rows_and_other_things_are_refused(test_plan):
    ranks = cs.CampaignTest(arm="arm", control="none", metrics={"s": cs.Quantile("spend", q=0.5)})
    with pytest.raises(ParameterError, match="needs the rows themselves"):
        sequential(campaign(500), ranks, day="when", planned=400)
    with pytest.raises(ParameterError, match="must be a CampaignTest"):
        sequential(campaign(500), "spend", day="when", planned=400)
    lone = campaign(500).assign(arm="none")
    with pytest.raises(DataError, match="nothing to compare"):
        sequential(lone, test_plan, day="when", planned=400)


def test_a_mismatch_of_the_sample_ratio_is_said_first(test_plan):
    data = campaign()
    data = data.drop(data.index[data["arm"] == "mail"][:500])
    found = sequential(data, test_plan, day="when", planned=4_000)
    assert found.srm.status == "mismatch"
    assert found.notes[0].startswith("Sample-ratio mismatch")


def test_pictures_show_the_looks(test_plan):
    found = sequential(campaign(effect=1.5), test_plan, day="when", planned=4_000)
    ax = found.plot(metric="spend", segment="low")
    lines = {line.get_label(): line for line in ax.lines}
    rows = found._looks("spend", "low", "mail")
    np.testing.assert_allclose(lines["mail"].get_ydata(), rows["effect"])
    assert ax.get_title(loc="left") == "spend, low"
    with pytest.raises(ParameterError, match="segment is 'lo'"):
        found.plot(segment="lo")
    dots = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert len(dots) == 1
    assert dots[0].get_markerfacecolor() == lines["mail"].get_color()
    few = sequential(campaign(200), test_plan, day="when", planned=100)
    assert "no look" in few.plot(segment="high").texts[0].get_text()
    plan = group_sequential(4)
    drawn = plan.plot().lines[0]
    np.testing.assert_allclose(drawn.get_ydata(), plan.table["z"])
    plt.close("all")


def test_a_campaign_before_its_first_look_says_so(test_plan):
    nothing = campaign(300).assign(spend=0.0, visit=0)
    found = sequential(nothing, test_plan, day="when", planned=4_000)
    assert not found.table["crossed"].any()
    assert found.table[["ci_low", "p_value"]].isna().all(axis=None)
    assert "mail against none: no first look yet" in repr(found)
    assert found.notes[1] == (
        "spend: no look on the last day in (all), high, low: an arm has fewer than 100 customers."
    )
    mixed = sequential(campaign(600), test_plan, day="when", planned=400)
    shown = mixed._shown()
    assert len(shown) == len(mixed.crossings())
    assert shown["ci_low"].isna().any()
    assert shown["ci_low"].notna().any()
    assert list(shown["segment"][:2]) == ["(all)", "(all)"]


def test_the_display_is_rounded_and_says_what_holds(test_plan):
    shown = repr(sequential(campaign(), test_plan, day="when", planned=4_000))
    assert "2024-03-14" in shown
    assert "However often one looks" in shown
    assert "00:00:00" not in shown
