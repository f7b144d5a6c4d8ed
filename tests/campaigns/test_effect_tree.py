"""Effect-aware segments: what is planted is found, and measured honestly."""

import numpy as np
import pandas as pd
import pytest

from custseg.campaigns import Learner, effect_segments, policy_value
from custseg.errors import ColumnError, DataError, ParameterError

ROLES = {"outcome": "spend", "arm": "arm", "control": "none", "customer_id": "customer"}
FEATURES = ["age", "region"]


def campaign(n=3_000, seed=0, young=6.0, old=-3.0):
    rng = np.random.default_rng(seed)
    age = rng.uniform(20, 70, n).round(1)
    region = rng.choice(["north", "south"], n)
    arm = rng.permutation(np.resize(["none", "mail", "call"], n))
    effect = np.where(age < 40, young, old)
    spend = 10 + 0.1 * age + effect * (arm == "mail") + rng.normal(0, 4, n)
    return pd.DataFrame(
        {
            "customer": rng.permutation(n),
            "age": age,
            "region": region,
            "arm": arm,
            "spend": spend,
            "effect": effect,
        }
    )


@pytest.fixture(scope="module")
def found():
    return effect_segments(campaign(), **ROLES, features=FEATURES, max_segments=4)


def test_the_planted_cut_is_found_and_named_by_effect(found):
    assert found.rules["A"].startswith("age <= ")
    assert float(found.rules["A"].split()[2]) == pytest.approx(40, abs=1.5)
    table = found.to_frame()
    mail = table[table["arm"] == "mail"].set_index("segment")
    assert mail.loc["A", "ci_low"] > 0
    assert mail["effect"].iloc[-1] < 0
    row = found.heterogeneity.set_index("arm").loc["mail"]
    assert row["p_value"] < 1e-6
    assert found.heterogeneity.set_index("arm").loc["call", "p_value"] > 1e-3


def test_effects_are_of_customers_that_segments_were_not_learned_from(found):
    assert found.segments.loc[found.learned_from].isna().all()
    assert found.segments.notna().sum() == found.account["estimated_on"]
    assert found.account["learned_from"] + found.account["estimated_on"] == 3_000
    table = campaign().set_index("customer")
    spoilt = table["spend"].where(table.index.isin(found.learned_from), 1e3)
    again = effect_segments(
        table.assign(spend=spoilt).reset_index(), **ROLES, features=FEATURES, max_segments=4
    )
    assert again.rules == found.rules
    pd.testing.assert_series_equal(again.segments, found.segments)


def test_halves_have_equal_arms(found):
    arms = campaign().set_index("customer")["arm"]
    learned = arms.loc[found.learned_from].value_counts()
    assert (learned == 500).all()


def test_effects_are_means_of_scores_near_the_plain_differences(found):
    table = campaign().set_index("customer")
    table = table.loc[found.segments.dropna().index].assign(segment=found.segments.dropna())
    for row in found.to_frame().itertuples():
        own = table[table["segment"] == row.segment]
        plain = (
            own.loc[own["arm"] == row.arm, "spend"].mean()
            - own.loc[own["arm"] == "none", "spend"].mean()
        )
        assert row.n == len(own)
        assert row.effect == pytest.approx(plain, abs=1.0)
        assert row.ci_low < row.effect < row.ci_high


def test_assign_gives_the_same_segments_and_those_of_new_customers(found):
    table = campaign().set_index("customer")
    labels = found.assign(table)
    known = found.segments.dropna()
    assert (labels.loc[known.index].astype(str) == known.astype(str)).all()
    new = found.assign(pd.DataFrame({"age": [25.0, 65.0], "region": ["north", "west"]}))
    assert new.iloc[0] == "A"
    assert new.iloc[1] != "A"
    with pytest.raises(ColumnError, match="'region'"):
        found.assign(table[["age"]])
    with pytest.raises(DataError, match="'age' must hold numbers"):
        found.assign(table.assign(age="young"))
    with pytest.raises(ParameterError, match="customers is a list"):
        found.assign([1])


def test_without_heterogeneity_there_is_mostly_one_segment():
    sizes = [
        len(
            effect_segments(
                campaign(900, seed, 1.0, 1.0), **ROLES, features=FEATURES, max_segments=4
            ).rules
        )
        for seed in range(6)
    ]
    assert np.median(sizes) <= 2


def test_intervals_cover_the_effects_of_segments_and_learned_ones_exaggerate():
    hits, exaggerated = [], []
    for seed in range(30):
        table = campaign(900, seed, 2.0, 0.0)
        found = effect_segments(
            table, **ROLES, features=FEATURES, learner=Learner(n_folds=3), max_segments=3
        )
        effect = (
            table.set_index("customer")["effect"]
            .groupby(found.assign(table.set_index("customer")), observed=True)
            .mean()
        )
        rows = found.to_frame().query("arm == 'mail'").set_index("segment")
        hits += ((rows["ci_low"] < effect) & (effect < rows["ci_high"])).tolist()
        exaggerated.append((rows["effect_learned"] - effect).iloc[0])
    assert 0.88 <= np.mean(hits) <= 1
    assert np.mean(exaggerated) > 0


def test_policies_by_these_segments_leave_out_whom_they_were_learned_from(found):
    value = policy_value(campaign(), **ROLES, segments=found)
    assert value.account["learned_from"] == found.account["learned_from"]
    assert value.account["rows_used"] == found.account["estimated_on"]
    assert value.compare("by segment", "all alike")["ci_low"] > 0
    assert "judged without the 1,500 customers" in " ".join(value.notes)


def test_side_by_side_says_where_divisions_agree(found):
    table = campaign().set_index("customer")
    same = found.beside(found.assign(table).rename("mine"))
    assert same.rand == pytest.approx(1)
    assert (same.agreement["share_same_arm"] == 1).all()
    assert (same.agreement["gained"] == 0).all()
    region = found.beside(table["region"])
    assert abs(region.rand) < 0.05
    assert region.counts.to_numpy().sum() == found.account["estimated_on"]
    by_hand = pd.crosstab(table["region"], found.segments.dropna())
    np.testing.assert_array_equal(region.counts, by_hand)
    assert (region.agreement["gained"] > 0).all()
    assert "give the same arm to" in region.summary()
    with pytest.raises(DataError, match="repeats customers"):
        found.beside(pd.Series(["a", "b"], index=[1, 1]))
    with pytest.raises(DataError, match="customer ids"):
        found.beside(pd.Series(["a"], index=[-1]))
    with pytest.raises(ParameterError, match="Series"):
        found.beside(["a"])


def test_side_by_side_counts_what_an_arm_costs(found):
    """By hand: the mean scores of segments less cost, the best of them, and what it gains."""
    region = campaign().set_index("customer")["region"]
    cost = {"mail": 4.0, "call": 0.5}
    beside = found.beside(region, cost=cost)
    net = found._scores - [0.0, *(cost[arm] for arm in found._scores.columns[1:])]
    aware = net.groupby(found.segments.dropna(), observed=True).mean().idxmax(axis=1)
    inside = found.segments.dropna().map(aware).astype(str)
    for row in beside.agreement.itertuples():
        own = net[(region.loc[net.index] == row.segment).to_numpy()]
        assert row.best_arm == own.mean().idxmax()
        assert row.share_same_arm == pytest.approx((inside.loc[own.index] == row.best_arm).mean())
        got = [own.loc[i, inside.loc[i]] for i in own.index]
        assert row.gained == pytest.approx((got - own[row.best_arm]).mean())
    dear = found.beside(region, cost=100.0)
    assert (dear.agreement["best_arm"] == "none").all()
    assert "cost nothing" in " ".join(found.beside(region).notes)
    assert "cost nothing" not in " ".join(dear.notes)
    np.testing.assert_array_equal(dear.table["effect"], found.beside(region).table["effect"])
    with pytest.raises(ColumnError, match="Did you mean 'mail'"):
        found.beside(region, cost={"mial": 1.0})
    with pytest.raises(ParameterError, match="cost\\['call'\\] is -1"):
        found.beside(region, cost=-1)


def test_a_segment_of_one_customer_has_an_effect_without_an_interval(found):
    ids = campaign()["customer"].head(100)
    table = found.beside(pd.Series(ids.astype(str).to_numpy(), ids)).table
    assert (table["n"] == 1).all()
    assert table["effect"].notna().all()
    assert table["se"].isna().all()


def test_order_of_rows_does_not_matter(found):
    again = effect_segments(
        campaign().sample(frac=1, random_state=3), **ROLES, features=FEATURES, max_segments=4
    )
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame())


@pytest.mark.parametrize(
    ("change", "words"),
    [({"features": []}, "names no column"), ({"min_share": 0}, "min_share"),
     ({"max_segments": 0}, "max_segments")],
)  # fmt: skip
def test_bad_input_stops_first(change, words):
    with pytest.raises(ParameterError, match=words):
        effect_segments(campaign(300), **(ROLES | {"features": FEATURES} | change))


def test_pictures_show_what_the_tables_say(found):
    axes = found.plot()
    shown = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert shown == [f"{name}: {rule}" for name, rule in found.rules.items()]
    assert all(
        len(line) <= 32 for name in axes.get_yticklabels() for line in name.get_text().split("\n")
    )
    beside = found.beside(campaign().set_index("customer")["region"]).plot()
    assert [label.get_text().split()[0] for label in beside.get_yticklabels()] == ["north", "south"]
    value = policy_value(campaign(), **ROLES, segments=found)
    shown = [label.get_text() for label in value.plot().get_yticklabels()]
    assert shown == value.to_frame()["policy"].unique().tolist()
