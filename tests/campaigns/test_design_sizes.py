"""Size, power and smallest effect of a design fit together, whatever is held out."""

import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.campaigns import baselines, power, sample_size
from custseg.errors import ColumnError, ParameterError


def declare(**changes):
    given = {"arms": {"control": 0.5, "email": 0.5}, "holdout": 0.2, "salt": "spring"}
    return cs.CampaignDesign(**(given | changes))


def test_a_campaign_of_the_size_asked_for_has_the_power_asked_for():
    design = declare()
    found = design.sample_size(0.02, baseline=0.1)
    row = found.to_frame().iloc[0]
    assert (found.n, row["n_campaign"]) == (7_682, 9_603)  # 7,682 / .8
    again = design.power(9_603, 0.02, baseline=0.1)
    assert 0.8 <= again.power < 0.8002
    assert again.n == 7_682
    assert again.to_frame()["n_campaign"].tolist() == [9_603]
    smallest = design.minimum_detectable_effect(9_603, baseline=0.1)
    assert 0.0199 < smallest.effect <= 0.02
    assert smallest.to_frame()["n_campaign"].tolist() == [9_603]
    held_out = "20% of the campaign are held out: n counts the customers in the arms"
    for answer in (found, again, smallest):
        assert any(note.startswith(held_out) for note in answer.notes)


def test_nothing_is_said_of_a_holdout_that_is_not_there():
    found = declare(holdout=0).sample_size(0.02, baseline=0.1)
    assert found.to_frame()["n_campaign"].tolist() == [found.n] == [7_682]
    assert not found.notes


@pytest.mark.parametrize("holdout", [0.0, 0.05, 0.37])
@pytest.mark.parametrize(
    "arms", [{"c": 0.5, "a": 0.5}, {"c": 0.9, "a": 0.1}, {"c": 0.3, "a": 0.21, "b": 0.49}]
)
def test_every_segment_has_its_power_in_a_campaign_of_its_size(arms, holdout):
    rng = np.random.default_rng(4)
    n = 900
    history = pd.DataFrame(
        {
            "visit": (rng.random(n) < 0.2).astype(int),
            "spend": rng.gamma(2.0, 10.0, n),
            "tier": rng.choice(["basic", "silver", "gold"], n, p=[0.73, 0.2, 0.07]),
        }
    )
    design = declare(arms=arms, holdout=holdout)
    test = design.test(
        {"visit": cs.Proportion("visit"), "spend": cs.Mean("spend")}, segments="tier"
    )
    level = baselines(history, test)
    table = design.sample_size(relative_effect=0.3, baseline=level).to_frame()
    share = table["segment"].map(
        level.table.drop_duplicates("segment").set_index("segment")["share"]
    )
    assert (table["n_campaign"] >= table["n"] / share / (1 - holdout) - 1e-6).all()
    # no larger than it takes for the smallest arm to be whole
    most = (table["n"] + 1 / min(arms.values())) / share / (1 - holdout) + 1
    assert (table["n_campaign"] <= most).all()
    k = len(arms) - 1
    for i in range(0, len(table), 2 * k):
        size = int(table["n_campaign"][i])
        again = design.power(size, relative_effect=0.3, baseline=level).to_frame()
        assert again["power"][i : i + k].min() >= 0.8
        if i in (0, len(table) - k):
            smallest = design.minimum_detectable_effect(size, baseline=level).to_frame()
            found = smallest["relative_effect"][i : i + k]
            assert (found <= 0.3 + 1e-9).all()


def test_arms_that_cannot_be_cut_exactly_still_have_the_power():
    arms = {"control": 0.617, "email": 0.131, "letter": 0.252}
    rng = np.random.default_rng(1)
    short = 0
    for effect in rng.uniform(1, 5, 12).tolist():
        found = sample_size(effect, sd=10, allocation=arms)
        size = int(found.to_frame()["n_campaign"].max())
        assert power(size, effect, sd=10, allocation=arms).power >= 0.8
        short += power(found.n, effect, sd=10, allocation=arms).power < 0.8
    assert short  # so that the sum of the arms alone would not do


def test_a_size_that_is_no_number_is_refused_by_its_name():
    for ask in (declare().power, declare().minimum_detectable_effect):
        with pytest.raises(ParameterError, match="n is '9603', but must be a number > 0"):
            ask("9603", baseline=0.1)


def test_columns_that_are_no_columns_are_refused():
    with pytest.raises(ParameterError, match="strata is 3, but must be a list of columns"):
        declare(strata=3)
    table = pd.DataFrame({"age": range(40)}, index=pd.Index(range(40), name="customer_id"))
    design = declare()
    assigned = design.assign(table)
    with pytest.raises(ParameterError, match="columns is 3, but must be a list of columns"):
        design.balance(assigned, table, columns=3)
    one = design.balance(assigned, table, columns="age").to_frame()
    assert one["column"].tolist() == ["age"]
    with pytest.raises(ColumnError, match="the customer table has no column 'tier'"):
        declare(strata="tier").assign(table)
