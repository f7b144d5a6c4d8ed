"""Whom to interview: places, proportions, and the same people for the same seed."""

import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.profiling import describe_membership, recruiting_list


def shoppers(n: int = 500) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    index = pd.Index([f"ID{i}XQ" for i in rng.permutation(9 * n)[:n]], name="customer_id")
    customers = pd.DataFrame(
        {
            "orders": rng.poisson(6, n),
            "region": rng.choice(["North", "South", "West"], n, p=[0.6, 0.3, 0.1]),
        },
        index=index,
    )
    gold = customers["orders"] + rng.normal(0, 1.5, n) > 7
    return customers, pd.Series(np.where(gold, "Gold", "Basic"), index)


def drawn(**change):
    customers, segments = shoppers()
    return recruiting_list(customers, segments, variables=["orders"], **change)


def test_every_place_is_filled_once_with_reserves():
    found = drawn(typical=3, borderline={"Gold": 2}, reserves=2, include_ids=True)
    people = found.to_frame()
    counts = people.groupby(["segment", "kind", "status"]).size().to_dict()
    assert counts == {
        ("Basic", "typical", "invite"): 3,
        ("Basic", "typical", "reserve"): 6,
        ("Gold", "typical", "invite"): 3,
        ("Gold", "typical", "reserve"): 6,
        ("Gold", "borderline", "invite"): 2,
        ("Gold", "borderline", "reserve"): 4,
    }
    assert people["customer_id"].is_unique
    assert people["code"].is_unique
    assert found.account["asked"].sum() == found.account["filled"].sum() == 8
    assert found.summary() == "8 of 8 places in 2 segments are filled, with 16 reserves."
    _, segments = shoppers()
    assert (segments[people["customer_id"]].to_numpy() == people["segment"]).all()


def test_borderline_people_are_in_between_and_typical_ones_are_like_the_others():
    customers, segments = shoppers()
    found = drawn(typical=20, borderline=5, reserves=0, include_ids=True).to_frame()
    between = describe_membership(customers, segments, variables=["orders"]).customers
    by_kind = found.groupby("kind")["customer_id"]
    odds = between["probability"] / between["second_probability"]
    assert odds[by_kind.get_group("borderline")].median() < 2
    assert (odds[by_kind.get_group("typical")] > 1).all()
    for segment, rows in found[found["kind"] == "typical"].groupby("segment"):
        own = customers.loc[segments == segment, "orders"]
        chosen = customers.loc[rows["customer_id"], "orders"]
        assert (chosen - own.median()).abs().mean() < (own - own.median()).abs().mean()
    assert set(found.loc[found["kind"] == "typical", "towards"]) == {""}
    gold = found[(found["kind"] == "borderline") & (found["segment"] == "Gold")]
    assert set(gold["towards"]) == {"Basic"}


def test_places_are_spread_in_proportion():
    found = drawn(typical=10, borderline=0, reserves=1, spread_over="region").to_frame()
    customers, segments = shoppers()
    for segment, rows in found.groupby("segment"):
        invited = rows[rows["status"] == "invite"]["region"].value_counts()
        shares = customers.loc[segments == segment, "region"].value_counts(normalize=True)
        assert (invited.reindex(shares.index).fillna(0) - 10 * shares).abs().max() < 2
        assert invited.sum() == 10


def test_the_same_seed_draws_the_same_people_with_and_without_their_ids():
    customers, segments = shoppers()
    options = {"variables": ["orders"], "random_state": 5}
    one = recruiting_list(customers, segments, **options)
    two = recruiting_list(
        customers.sample(frac=1, random_state=1), segments, include_ids=True, **options
    )
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame().drop(columns="customer_id"))
    again = recruiting_list(customers, segments, include_ids=True, **options)
    assert again.to_frame()["customer_id"].tolist() == two.to_frame()["customer_id"].tolist()
    other = drawn(include_ids=True, random_state=6).to_frame()
    assert other["customer_id"].tolist() != two.to_frame()["customer_id"].tolist()
    for text in (repr(one), one._repr_html_(), one.to_frame().to_csv()):
        assert "XQ" not in text


def test_who_is_excluded_is_never_drawn():
    customers, segments = shoppers()
    left = customers.index[segments == "Gold"][:-3]
    found = drawn(exclude=left, include_ids=True)
    assert not found.to_frame()["customer_id"].isin(left).any()
    gold = found.account[found.account["segment"] == "Gold"].set_index("kind")
    assert gold["eligible"].sum() <= 3
    assert (gold["filled"] <= gold["eligible"]).all()
    assert any("there are not enough" in note and "'Gold'" in note for note in found.notes)
    assert any("excluded, as asked" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"typical": -1}, cs.errors.ParameterError, ["typical is -1"]),
        ({"typical": {"Silver": 1}}, cs.errors.ParameterError, ["'Silver'", "'Gold'"]),
        ({"borderline": {"Gold": 0.5}}, cs.errors.ParameterError, ["borderline['Gold']"]),
        ({"reserves": -1}, cs.errors.ParameterError, ["reserves is -1"]),
        ({"spread_over": "regoin"}, cs.errors.ColumnError, ["'region'"]),
        ({"exclude": ["nobody"]}, cs.errors.DataError, ["1 of 1 ids in exclude", "intersection"]),
    ],
)
def test_wrong_input_says_what_to_do(change, error, words):
    with pytest.raises(error) as caught:
        drawn(**change)
    for word in words:
        assert word in str(caught.value)


def test_a_segment_of_one_customer_gives_that_one():
    customers, _ = shoppers()
    found = recruiting_list(customers, ["lone"] + ["rest"] * 499, variables=["orders"])
    account = found.account.set_index(["segment", "kind"])["filled"]
    assert account["lone"].tolist() == [1, 0]
    assert any("borderline customers of 'lone' (0 of 2)" in note for note in found.notes)


def test_no_table_is_refused():
    with pytest.raises(cs.errors.DataError, match="customers is a NoneType"):
        recruiting_list(None, ["all"], spread_over="region")


def test_one_segment_has_nobody_in_between():
    customers, _ = shoppers()
    with pytest.raises(cs.errors.DataError, match="borderline=0"):
        recruiting_list(customers, ["all"] * 500, variables=["orders"])
    alone = recruiting_list(customers, ["all"] * 500, variables=["orders"], borderline=0)
    assert len(alone.to_frame()) == 12
    many = customers.assign(code=np.arange(500))
    with pytest.raises(cs.errors.ParameterError, match="500 different values"):
        recruiting_list(many, list("AB") * 250, variables=["orders"], spread_over="code")
