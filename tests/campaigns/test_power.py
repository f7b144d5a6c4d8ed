"""Power, sizes and detectable effects against published numbers, other code and simulation."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep

import custseg as cs
from custseg.campaigns import minimum_detectable_effect, power, sample_size
from custseg.campaigns._comparisons import (
    Setting,
    dunnett_critical,
    exact_power,
    joint_powers,
    law,
)
from custseg.campaigns._moments import Moments
from custseg.errors import ParameterError
from custseg.results import format_number as three
from custseg.stats import holm

mpl.use("Agg")

THREE = {"control": 0.5, "email": 0.3, "letter": 0.2}
FIVE = {"control": 0.2, "a": 0.2, "b": 0.2, "c": 0.2, "d": 0.2}


def one(analysis, column):
    (value,) = analysis.to_frame()[column]
    return value


def test_published_numbers_of_two_means_and_two_proportions():
    # the examples of R's power.t.test and power.prop.test, which leave out the wrong tail
    one_tail = {"alternative": "greater", "alpha": 0.025}
    found = power(40, 1.0, sd=1, **one_tail)
    assert one(found, "power") == pytest.approx(0.8689528, abs=1e-7)
    assert sample_size(1.0, sd=1, power=0.90).n == 2 * 23  # 22.02110 per group
    found = power(100, 0.25, baseline=0.5, **one_tail)
    assert one(found, "power") == pytest.approx(0.7401659, abs=1e-7)
    assert sample_size(0.25, baseline=0.5, power=0.90).n == 2 * 77  # 76.7 per group


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("n", [6, 30, 400, 300_000])
def test_equal_arms_have_the_power_of_the_t_test(alternative, n):
    sign = -1 if alternative == "less" else 1
    side = {"greater": "larger", "less": "smaller"}.get(alternative, alternative)
    effect = sign * 2.2 / np.sqrt(n)
    expected = TTestIndPower().power(effect, n / 2, 0.05, alternative=side)
    found = power(n, 7 * effect, sd=7, alternative=alternative)
    assert one(found, "power") == pytest.approx(expected, abs=1e-7)


def test_many_customers_in_unequal_arms_have_the_power_of_the_normal_distribution():
    found = power(100_000, 0.02, sd=1, allocation={"control": 0.8, "email": 0.2})
    expected = NormalIndPower().power(0.02, 80_000, 0.05, ratio=0.25)
    assert one(found, "power") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_proportions_have_the_power_of_the_pooled_score_test(share):
    found = power(5_000, 0.03, baseline=0.1, allocation={"control": 1 - share, "email": share})
    expected = power_proportions_2indep(0.03, 0.1, 5_000 * share, ratio=(1 - share) / share)
    assert one(found, "power") == pytest.approx(expected.power, abs=1e-9)


def decisions(x, y, n):
    """P-values of `Proportion`, as a campaign is analysed, for counts (B,) in two arms."""
    mean = np.stack([x / n[0], y / n[1]], axis=1)[..., None]
    sizes = np.broadcast_to(np.array(n, dtype=float), (len(x), 2))
    cross = (sizes[..., None] * mean * (1 - mean))[..., None]
    return cs.Proportion("y").compare(Moments(sizes, mean, cross)).difference.p_value[:, 0]


def test_the_exact_power_of_small_counts_is_that_of_all_pairs_of_counts():
    setting = Setting((0.5, 0.5), 0.1, 0.3, True, 0.0, 0.0, 0.05, "two-sided", "none")
    x, y = (part.ravel() for part in np.meshgrid(np.arange(31), np.arange(25)))
    found = decisions(x, y, (30, 24)) <= 0.05
    chance = stats.binom.pmf(x, 30, 0.1) * stats.binom.pmf(y, 24, 0.4)
    critical = stats.norm.isf(0.025)
    exact = exact_power(np.array([30, 24]), np.array([0.1, 0.4]), critical, setting)
    assert exact == pytest.approx(chance[found].sum(), abs=1e-10)


def test_rare_conversions_are_counted_outcome_by_outcome_in_a_note():
    found = power(800, 0.015, baseline=0.001)
    rng = np.random.default_rng(4)
    pairs = rng.binomial(400, [0.001, 0.016], (200_000, 2))
    (x, y), times = (part.T for part in np.unique(pairs, axis=0, return_counts=True))
    simulated = times[decisions(x, y, (400, 400)) <= 0.05].sum() / 200_000
    assert simulated < one(found, "power") - 0.1  # the approximation is rough indeed
    (note,) = found.notes
    counted = float(note.rpartition(" ")[2].rstrip("."))
    assert counted == pytest.approx(simulated, abs=0.004)
    assert power(400_000, 0.004, baseline=0.002).notes == ()


@pytest.mark.parametrize(
    "options",
    [
        {"effect": 0.02, "baseline": 0.1},
        {"effect": -0.02, "baseline": 0.1, "alternative": "less"},
        {"effect": 1.5, "sd": 12, "alternative": "greater", "power": 0.93, "alpha": 0.01},
        {"effect": 0.02, "baseline": 0.1, "allocation": THREE},
        {"effect": 2.0, "sd": 9, "allocation": FIVE, "correction": "dunnett"},
        {"effect": 2.0, "sd": 9, "allocation": FIVE, "correction": "none", "r_squared": 0.4},
        {"effect": 2.0, "sd": 9, "balanced": 0.4, "r_squared": 0.2},
        {"relative_effect": 0.3, "sd": 9, "baseline": 4},
    ],
)
def test_size_effect_and_power_are_three_views_of_one_thing(options):
    sized = sample_size(**options)
    wanted = options.get("power", 0.8)
    assert sized.to_frame()["power"].min() >= wanted
    same = {name: value for name, value in options.items() if name != "power"}
    shares = np.array(list((options.get("allocation") or {"c": 0.5, "t": 0.5}).values()))
    fewer = sized.n - 2 * len(shares)
    assert power(fewer, **same).to_frame()["power"].min() < wanted
    same = {n: v for n, v in options.items() if n not in ("effect", "relative_effect")}
    least = minimum_detectable_effect(sized.n, **same).to_frame()["effect"].abs().max()
    effect = sized.to_frame()["effect"].abs().max()
    assert effect * 0.98 < least <= effect * (1 + 1e-9)


@pytest.mark.parametrize(
    ("k", "df", "alternative", "table"),
    [  # Dunnett (1955, 1964), alpha = .05, equal groups
        (2, 10, "two-sided", 2.57),
        (3, 20, "two-sided", 2.54),
        (5, 30, "two-sided", 2.66),
        (2, 10, "greater", 2.15),
        (4, 60, "greater", 2.21),
        (2, np.inf, "two-sided", 2.21),
    ],
)
def test_dunnett_has_its_published_critical_values(k, df, alternative, table):
    found = dunnett_critical((np.sqrt(0.5),) * k, df, 0.05, alternative)
    assert found == pytest.approx(table, abs=0.005)
    # and so says the multivariate t, of the table itself
    corr = np.full((k, k), 0.5) + 0.5 * np.eye(k)
    inside = []
    for bound in (table - 0.006, table + 0.006):
        lower = np.full(k, -bound if alternative == "two-sided" else -np.inf)
        law_of_all = stats.multivariate_t(np.zeros(k), corr, df=df, seed=1)
        inside.append(law_of_all.cdf(np.full(k, bound), lower_limit=lower))
    assert inside[0] < 0.95 < inside[1]


def test_dunnett_of_unequal_arms_keeps_its_level_under_the_multivariate_t():
    shared = np.sqrt(np.array([0.3, 0.2]) / (np.array([0.3, 0.2]) + 0.5))
    c = dunnett_critical(tuple(shared), 27.0, 0.05, "two-sided")
    corr = np.array([[1, np.prod(shared)], [np.prod(shared), 1]])
    t = stats.multivariate_t(np.zeros(2), corr, df=27, seed=1)
    inside = t.cdf([c, c], lower_limit=[-c, -c], maxpts=200_000)
    assert inside == pytest.approx(0.95, abs=2e-5)


def draws(setting, n, effect, repeats=200_000):
    """Statistics of simulated campaigns, with the spread estimated from all arms."""
    rng = np.random.default_rng(3)
    found = law(setting, n, effect)
    z = rng.standard_normal((repeats, 1)) * found.shared
    z = z + rng.standard_normal((repeats, len(effect))) * np.sqrt(1 - found.shared**2)
    spread = np.sqrt(rng.chisquare(found.df_all, repeats) / found.df_all)
    return (found.centre + found.scale * z) / spread[:, None], found


@pytest.mark.parametrize("correction", ["holm", "bonferroni", "none"])
def test_chances_to_find_any_and_all_effects_agree_with_simulation(correction):
    n = np.array([60.0, 40, 50, 45])
    setting = Setting(tuple(n / n.sum()), 5.0, 2.0, False, 0.0, 0.0, 0.05, "two-sided", correction)
    t, found = draws(setting, n, np.array([1.0, 1.2, 1.4]))
    p = np.sort(2 * stats.t.sf(np.abs(t), found.df), axis=1)
    divisors = {"holm": [3, 2, 1], "bonferroni": [3, 3, 3], "none": [1, 1, 1]}[correction]
    passed = p <= 0.05 / np.array(divisors)
    some, every = joint_powers(setting, n, np.array([1.0, 1.2, 1.4]))
    assert some == pytest.approx(passed[:, 0].mean(), abs=0.004)
    assert every == pytest.approx(passed.all(axis=1).mean(), abs=0.004)


def campaigns(kind, n, repeats, seed):
    """Moments of simulated campaigns with a planted effect, and their metric."""
    rng = np.random.default_rng(seed)
    arms = []
    for arm, size in enumerate(n):
        if kind == "visit":
            y = (rng.random((repeats, size)) < 0.1 + 0.03 * arm).astype(float)[..., None]
        else:
            x = rng.normal(0, 1, (repeats, size))
            y = np.stack([0.6 * x + 0.8 * rng.normal(0, 1, x.shape) + 0.25 * arm, x], axis=-1)
        centre = y.mean(axis=1, keepdims=True)
        arms.append((centre[:, 0], np.einsum("rni,rnj->rij", y - centre, y - centre)))
    sizes = np.broadcast_to(np.array(n, dtype=float), (repeats, len(n)))
    mean, cross = (np.stack(part, axis=1) for part in zip(*arms, strict=True))
    metric = cs.Proportion("y") if kind == "visit" else cs.Mean("y", covariate="x")
    return metric, Moments(sizes, mean, cross)


@pytest.mark.parametrize(
    ("kind", "n", "planned"),
    [
        ("visit", (1200, 600), {"effect": 0.03, "baseline": 0.1}),
        ("spend", (160, 80), {"effect": 0.25, "sd": 1.0, "r_squared": 0.36}),
    ],
)
def test_planned_power_is_the_share_of_simulated_campaigns_that_find_the_effect(kind, n, planned):
    metric, moments = campaigns(kind, n, 4_000, seed=5)
    found = (metric.compare(moments).difference.p_value < 0.05).mean()
    allocation = {"control": n[0] / sum(n), "email": n[1] / sum(n)}
    expected = one(power(sum(n), **planned, allocation=allocation), "power")
    assert found == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 4_000))


def test_balanced_strata_make_power_steeper_as_in_simulation():
    rng = np.random.default_rng(6)
    repeats, n = 4_000, 120
    stratum = np.tile([-1.0, 1.0], n // 2)  # half of every arm in either stratum
    noise = rng.normal(0, 1, (2, repeats, n))
    y = 0.5 * stratum + np.sqrt(0.75) * noise
    y[1] += 0.45
    p = stats.ttest_ind(y[1], y[0], axis=1, equal_var=False).pvalue
    share = 0.25
    expected = one(power(2 * n, 0.45, sd=1, balanced=share), "power")
    assert (p < 0.05).mean() == pytest.approx(expected, abs=0.02)
    assert expected > one(power(2 * n, 0.45, sd=1), "power") + 0.02


def test_a_covariate_saves_its_share_of_the_customers():
    plain, adjusted = sample_size(1.0, sd=20), sample_size(1.0, sd=20, r_squared=0.3)
    assert adjusted.n / plain.n == pytest.approx(0.7, abs=1e-3)
    gains = adjusted.gains().set_index("adjustment")["n"]
    assert gains["none"] == plain.n
    assert gains["covariates"] == adjusted.n


def test_no_possible_effect_is_missing_and_said():
    found = minimum_detectable_effect(20, baseline=0.9)
    assert np.isnan(one(found, "effect"))
    assert np.isnan(one(found, "power"))
    assert found.notes[0].startswith("proportion in (all): no possible effect")
    assert "too few" in found.summary()


def test_a_detectable_effect_below_can_be_asked_for():
    found = minimum_detectable_effect(20_000, baseline=0.1, alternative="less")
    assert -0.1 < one(found, "effect") < 0


def test_curves_rise_through_the_planned_point():
    analysis = sample_size(0.02, baseline=0.1, allocation=THREE)
    curve = analysis.curve([analysis.n / 2, analysis.n, analysis.n * 2])
    assert curve["power"].is_monotonic_increasing
    assert curve["power"][1] == pytest.approx(0.8, abs=1e-3)
    assert list(curve) == ["metric", "segment", "n", "power"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give baseline="),
        ({"baseline": 12}, r"baseline \(without sd: a proportion\) is 12"),
        ({"baseline": 0.1, "effect": None}, "give either effect= or relative_effect="),
        ({"baseline": 0.1, "relative_effect": 0.1}, "give either effect= or relative_effect="),
        ({"baseline": 0.1, "effect": 0}, "must be other than 0"),
        ({"baseline": 0.1, "effect": -0.01, "alternative": "greater"}, "must be above 0"),
        ({"baseline": 0.1, "effect": 0.95}, "to 1.05, which is no proportion"),
        ({"baseline": 0.1, "power": 0.01}, "power is 0.01"),
        ({"baseline": 0.1, "alternative": "larger"}, "alternative is 'larger'"),
        ({"baseline": 0.1, "correction": "bonferoni"}, "Did you mean 'bonferroni'"),
        ({"baseline": 0.1, "allocation": {"a": 0.5, "b": 0.4}}, "add up to 0.9"),
        ({"sd": -1}, "sd is -1"),
        ({"sd": 2, "r_squared": 1}, "r_squared is 1"),
        ({"sd": 2, "effect": None, "relative_effect": 0.1}, "needs a baseline other than 0"),
        ({"sd": 1e9, "effect": 1e-9}, "more than"),
    ],
)
def test_impossible_plans_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        sample_size(**({"effect": 0.02} | options))


def test_the_three_answers_can_be_read_off():
    sized = sample_size(0.02, baseline=0.1, allocation=THREE)
    assert sized.n == sized.to_frame()["n"].max()
    assert sized.effect == 0.02
    assert sized.power == sized.to_frame()["power"].min() >= 0.8
    least = minimum_detectable_effect(9_000, baseline=0.1, allocation=THREE)
    assert least.effect == least.to_frame()["effect"].max()
    assert np.isnan(minimum_detectable_effect(20, baseline=0.9).effect)


def test_n_counts_customers_of_all_arms():
    with pytest.raises(ParameterError, match="n is 3, which leaves 1 customers for an arm in"):
        power(3, 1, sd=1)
    sizes = power(1_001, 1, sd=5, allocation=THREE).to_frame()
    assert sizes["n"].unique().tolist() == [1_001]
    assert sizes["n_control"].iloc[0] + sizes["n_treatment"].sum() == 1_001


def test_more_arms_than_holm_can_count_are_noted():
    arms = {f"arm {i}": 1 / 8 for i in range(8)}
    assert "Bonferroni's" in power(8_000, 1, sd=10, allocation=arms).notes[0]


def test_the_words_name_sizes_effect_and_power():
    words = sample_size(0.02, baseline=0.1, allocation=THREE).summary()
    assert "in control" in words
    assert "in letter" in words
    assert "+0.0200 (+20.0% of 0.100) with power 0.800" in words
    assert isinstance(sample_size(0.02, baseline=0.1).to_frame(), pd.DataFrame)


def test_a_planned_campaign_finds_its_effect_as_often_as_planned():
    """Plan on a history, draw its customers again and again, give one arm the effect."""
    rng = np.random.default_rng(17)
    before = rng.gamma(1.5, 20, 5_000)
    history = pd.DataFrame({"spend": 0.7 * before + rng.gamma(1.0, 25, 5_000), "before": before})
    design = cs.CampaignDesign(arms=THREE)
    test = design.test({"spend": cs.Mean("spend", covariate="before")})
    level = cs.campaigns.baselines(history, test)
    planned = design.sample_size(relative_effect=0.15, baseline=level)
    sizes = planned.table[["n_control", "n_treatment"]].iloc[0].tolist()
    sizes.append(int(planned.table["n_treatment"][1]))
    repeats, mean, cross = 3_000, [], []
    for arm, n in enumerate(sizes):
        y = history.to_numpy()[rng.integers(0, 5_000, (repeats, n))]
        y[..., 0] += planned.effect * (arm == 2)  # the smallest arm alone
        centre = y.mean(axis=1, keepdims=True)
        mean.append(centre[:, 0])
        cross.append(np.einsum("rni,rnj->rij", y - centre, y - centre))
    moments = Moments(
        np.broadcast_to(np.array(sizes, dtype=float), (repeats, 3)),
        np.stack(mean, axis=1),
        np.stack(cross, axis=1),
    )
    p = test.metrics["spend"].compare(moments).difference.p_value
    found = np.array([holm(row) for row in p]) < 0.05
    expected = planned.table["power"][1]
    assert expected == pytest.approx(0.8, abs=1e-3)
    # Holm's later steps add a little where the other arm gives a false alarm
    share, error = found[:, 1].mean(), np.sqrt(0.8 * 0.2 / repeats)
    assert expected - 3 * error < share < expected + 0.01 + 3 * error
    assert found[:, 0].mean() < 0.05 + 2 * np.sqrt(0.05 * 0.95 / repeats)


def test_the_words_say_which_answer_is_whose():
    rng = np.random.default_rng(18)
    tier = np.repeat(["gold", "silver", "tin"], [500, 1_000, 2_500])
    level = pd.Series(tier).map({"gold": 80.0, "silver": 40.0, "tin": 10.0})
    history = pd.DataFrame({"tier": tier, "spend": level * rng.gamma(2, 0.5, 4_000)})
    design = cs.CampaignDesign(arms=THREE)
    test = design.test({"spend": cs.Mean("spend")}, segments="tier")
    found = power(
        8_000,
        relative_effect=0.05,
        baseline=cs.campaigns.baselines(history, test),
        allocation=THREE,
    )
    rows = found.to_frame().query("segment != '(all)'")
    weakest = rows.loc[rows.groupby("segment")["power"].idxmin()].set_index("segment")
    words = [
        f"{weakest.loc[name, 'power']:.2f} in {name} (effect +{three(weakest.loc[name, 'effect'])})"
        for name in ("tin", "silver", "gold")
    ]
    assert f"spend by segment: power is {', '.join(words)}." in found.summary()
    least = minimum_detectable_effect(
        8_000, baseline=cs.campaigns.baselines(history, test), allocation=THREE
    )
    rows = least.to_frame().query("segment != '(all)'")
    largest = rows.loc[rows.groupby("segment")["effect"].idxmax()].set_index("segment")
    tin = largest.loc["tin"]
    assert f"from +{three(tin['effect'])} ({tin['relative_effect']:+.1%}) in tin" in least.summary()
    gains = found.gains().set_index(["segment", "adjustment"])
    for name, row in weakest.iterrows():
        assert gains.loc[(name, "none"), "power"] == pytest.approx(row["power"])
        assert gains.loc[(name, "none"), "effect"] == pytest.approx(row["effect"])
    ax = found.plot()
    labels = {text.get_text().split(":")[0]: text for text in ax.get_legend().get_texts()}
    assert list(labels) == ["(all)", "gold", "silver", "tin"]
    for name, row in weakest.iterrows():
        assert labels[name].get_text() == f"{name}: +{row['effect']:.3g}"
        color = ax.lines[2 * list(labels).index(name)].get_color()
        point = ax.lines[2 * list(labels).index(name) + 1]
        assert point.get_color() == color
        assert point.get_xydata().tolist() == [[row["n"], row["power"]]]
    few = minimum_detectable_effect(
        60,
        baseline=cs.campaigns.baselines(
            history.assign(bought=(history["spend"] > 5).astype(int)),
            design.test({"bought": cs.Proportion("bought")}, segments="tier"),
        ),
        allocation=THREE,
    )
    assert "None that is possible in" in few.summary()
