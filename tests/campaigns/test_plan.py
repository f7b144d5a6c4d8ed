"""Offers by segment: who gets what, why the others do not, every customer in one place."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.campaigns import Action, ActionPlan
from custseg.campaigns._conditions import holds
from custseg.errors import ColumnError, DataError, ParameterError


@pytest.fixture
def customers():
    return pd.DataFrame(
        {
            "customer_id": list("abcdefghij"),
            "favourite": [
                "email",
                "letter",
                None,
                "phone",
                "email",
                "email",
                "letter",
                *["email"] * 3,
            ],
            "newsletter": [True, True, True, False, False, True, True, True, None, True],
            "complained": [False, False, False, False, False, True, None, False, False, False],
            "recency": [10, 400, 30, 20, 5, 60, 70, 80, 90, 100],
            "contacts": [0, 1, 0, 0, 0, 0, 0, 3, 0, 0],
            "value": [9.0, 8, 7, 6, 5, 4, 3, 2, 1, np.nan],
        }
    )


@pytest.fixture
def segments():
    names = ["Top", "Top", "Top", "Top", "Low", "Top", "Top", "Low", "Low", None]
    return pd.Series(pd.Categorical(names, ["Top", "Low", "Gone"]), index=list("abcdefghij"))


def declare(**changes):
    parts = {
        "actions": {
            "Top": Action(offer="early access", eligible="recency <= 365"),
            "Low": Action(offer="voucher", channel=["email", "letter"]),
            "Gone": None,
        },
        "preferred": "favourite",
        "consent": {"email": "newsletter"},
        "exclude": "complained",
        "contacts": "contacts",
        "max_contacts": 3,
    }
    return ActionPlan(**(parts | changes))


def outcome(planned):
    return planned.actions["channel"].fillna(planned.actions["reason"]).to_dict()


def test_every_customer_gets_an_action_or_one_reason(customers, segments):
    planned = declare().apply(customers, segments)
    assert outcome(planned) == {
        "a": "email",
        "b": "not eligible: recency <= 365",
        "c": "no channel allowed",  # no preference known
        "d": "phone",
        "e": "letter",  # no consent to email
        "f": "excluded: complained",
        "g": "letter",
        "h": "contacted often enough",
        "i": "letter",  # unknown consent is none
        "j": "no segment",
    }
    account = planned.account
    assert (account["customers"] == account.drop(columns="customers").sum(axis=1)).all()
    assert account.loc["(all)", "customers"] == len(customers)
    assert account.loc["(all)", "action"] == len(planned.contacts) == 5
    assert account.loc["Gone", "customers"] == 0
    assert planned.actions.loc["a", "offer"] == "early access"
    assert planned.actions["offer"].isna().equals(planned.actions["reason"].notna())
    assert "1 customers have no value for the exclusion 'complained'" in planned.notes[0]


def test_limits_and_capacities_go_to_the_most_valuable_first(customers, segments):
    plan = declare(capacity={"letter": 1}, priority="value")
    found = outcome(plan.apply(customers, segments))
    assert found["e"] == "letter"
    assert found["g"] == found["i"] == "no room left"
    limited = declare(
        actions={"Top": Action(offer="x", channel="letter", limit=2), "Low": None, "Gone": None},
        priority="value",
    )
    found = outcome(limited.apply(customers, segments))
    assert [c for c, what in found.items() if what == "letter"] == ["a", "b"]


def slow(customers, labels, plan):
    """Serve customers one by one, in order of value, as the rules say."""
    taken, served, found = Counter(), Counter(), {}
    order = customers.sort_values("value", ascending=False)
    for row in order.to_dict("records"):
        segment = labels[row["customer_id"]]
        action, got = plan.actions[segment], None
        for channel in action.channel:
            name = row["favourite"] if channel == "(preferred)" else channel
            consented = name not in plan.consent or row[plan.consent[name]]
            room = taken[name] < plan.capacity.get(name, np.inf)
            if consented and room and served[segment] < (action.limit or np.inf):
                got = name
                break
        if got is not None:
            taken[got] += 1
            served[segment] += 1
        found[row["customer_id"]] = got
    return found


def test_crowded_channels_are_filled_as_by_hand():
    rng = np.random.default_rng(12)
    n = 400
    ids = np.arange(n)
    table = pd.DataFrame(
        {
            "customer_id": ids,
            "favourite": rng.choice(["email", "letter", "phone"], n),
            "consent_email": rng.random(n) < 0.6,
            "consent_phone": rng.random(n) < 0.5,
            "value": rng.permutation(n).astype(float),
        }
    )
    labels = pd.Series(rng.choice(list("ABC"), n), index=ids)
    plan = ActionPlan(
        actions={
            "A": Action(offer="a", channel=["(preferred)", "letter"]),
            "B": Action(offer="b", channel=["phone", "email", "letter"], limit=60),
            "C": Action(offer="c", channel="email"),
        },
        preferred="favourite",
        consent={"email": "consent_email", "phone": "consent_phone"},
        capacity={"email": 50, "phone": 40, "letter": 70},
        priority="value",
    )
    planned = plan.apply(table, labels)
    expected = pd.Series(slow(table, labels, plan), dtype=object)
    got = planned.actions["channel"]
    assert got.fillna("").to_dict() == expected.fillna("").to_dict()
    assert got.value_counts().to_dict() == {"letter": 70, "email": 50, "phone": 40}
    assert planned.account["no room left"]["(all)"] > 0


def test_the_order_of_rows_changes_nothing_also_without_priority(customers, segments):
    plan = declare(capacity={"letter": 1})
    first = plan.apply(customers, segments).actions
    again = plan.apply(customers.iloc[::-1], segments).actions.loc[first.index]
    pd.testing.assert_frame_equal(first, again)


def test_a_plan_goes_through_a_file_and_back(tmp_path, customers, segments):
    plan = declare(
        actions={
            "Top": Action(offer="early | access", eligible=["recency <= 365", "not complained"]),
            "Low": Action(offer="voucher", channel=["email", "letter"], limit=2),
            "Gone": None,
        }
    )
    plan.to_frame().to_csv(tmp_path / "plan.csv", index=False)
    names = ("preferred", "consent", "exclude", "contacts", "max_contacts")
    again = ActionPlan.from_frame(
        pd.read_csv(tmp_path / "plan.csv"), **{name: getattr(plan, name) for name in names}
    )
    assert again.actions == plan.actions
    assert r"| early \| access |" in plan.to_markdown()
    planned = plan.apply(customers, segments)
    planned.to_csv(tmp_path / "contacts.csv")
    stored = pd.read_csv(tmp_path / "contacts.csv", index_col="customer_id")
    assert stored["channel"].to_dict() == planned.contacts["channel"].to_dict()
    assert planned.to_markdown().splitlines()[0].startswith("| segment | customers | action |")


def test_a_plan_is_applied_before_arms_are_assigned(customers, segments):
    planned = declare().apply(customers, segments)
    design = cs.CampaignDesign(arms={"control": 0.5, "offer": 0.5})
    assigned = design.assign(planned.contacts)
    assert assigned.customers.index.equals(planned.contacts.index)


def test_conditions_read_values_as_their_columns_do():
    rows = pd.DataFrame(
        {
            "n": [1.0, 2.0, None],
            "day": pd.to_datetime(["2024-01-01", "2024-02-01", None]),
            "yes": pd.array([True, False, None], dtype="boolean"),
            "name": ["DE", "F R", None],
            "size": pd.Categorical(["S", "L", None], ["S", "M", "L"], ordered=True),
            "flag": [1, 0, 1],
        }
    )
    expected = {
        "n < 2": [True, False],
        "n != 1": [False, True],
        "day >= 2024-01-15": [False, True],
        "yes": [True, False],
        "not yes": [False, True],
        "yes = no": [False, True],
        "name = DE": [True, False],
        "name = 'F R'": [False, True],
        "name != DE": [False, True],
        "size >= M": [False, True],
        "flag": [True, False],
    }
    for condition, values in expected.items():
        found = holds(condition, rows)
        assert found[:2].tolist() == values, condition
        assert condition == "flag" or found.isna()[2], condition


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("n < two", "'two' is not what column 'n' holds"),
        ("name < DE", "holds text, which has no order"),
        ("name", "must hold truth values"),
        ("size > XL", "is no category of column 'size'. It has: S, M, L"),
        ("day > soon", "'soon' is not what column 'day' holds"),
    ],
)
def test_conditions_that_do_not_fit_their_column_are_refused(condition, message):
    rows = pd.DataFrame(
        {
            "n": [1.0],
            "name": ["DE"],
            "size": pd.Categorical(["S"], ["S", "M", "L"], ordered=True),
            "day": pd.to_datetime(["2024-01-01"]),
        }
    )
    with pytest.raises(DataError, match=message):
        holds(condition, rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": {}}, "actions must be a dictionary"),
        ({"actions": {"Top": "voucher"}}, r"actions\['Top'\] is 'voucher'"),
        ({"actions": {"Top": None}}, "plans nothing"),
        ({"preferred": None}, "preferred= must name the column"),
        ({"contacts": None}, "contacts and max_contacts go together"),
        ({"exclude": ["recency <"]}, "cannot be read"),
        ({"capacity": {"email": -1}}, r"capacity\['email'\] is -1"),
        ({"max_contacts": 0}, "max_contacts is 0"),
    ],
)
def test_a_wrong_plan_is_refused_before_any_customer(changes, message):
    with pytest.raises(ParameterError, match=message):
        declare(**changes)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"offer": " "}, "offer is ' '"),
        ({"offer": "x", "channel": []}, "channel is empty"),
        ({"offer": "x", "limit": 0}, "limit is 0"),
        ({"offer": "x", "eligible": [3]}, "eligible holds 3"),
    ],
)
def test_a_wrong_action_is_refused(parts, message):
    with pytest.raises(ParameterError, match=message):
        Action(**parts)


def test_customers_that_do_not_fit_the_plan_are_refused(customers, segments):
    plan = declare()
    with pytest.raises(DataError, match="does not mention segment 'New'"):
        plan.apply(customers, segments.cat.rename_categories({"Low": "New"}))
    with pytest.raises(ColumnError, match="no column 'newsletter'"):
        plan.apply(customers.drop(columns="newsletter"), segments)
    with pytest.raises(DataError, match="no customer has a segment"):
        plan.apply(customers, segments.rename(str.upper))
    with pytest.raises(DataError, match="segments is a list"):
        plan.apply(customers, segments.tolist())
    with pytest.raises(DataError, match="1 repeated"):
        plan.apply(pd.concat([customers, customers.head(1)]), segments)
    with pytest.raises(DataError, match="column 'value' must hold numbers"):
        declare(priority="value").apply(customers.astype({"value": str}), segments)


def test_the_display_escapes_names_and_says_the_rules(customers, segments):
    plan = declare(
        actions={"Top": Action(offer="<b>10%</b>"), "Low": None, "Gone": None},
        capacity={"letter": 9},
    )
    assert "&lt;b&gt;" in plan._repr_html_()
    assert "Consent: email (newsletter)." in repr(plan)
    assert "At most: letter 9." in repr(plan)
    assert "customers get an offer; without:" in repr(plan.apply(customers, segments))
