"""A plan that says what it cannot mean is refused before anybody is written to."""

import pandas as pd
import pytest

from custseg.campaigns import Action, ActionPlan
from custseg.campaigns._conditions import condition_column, holds
from custseg.errors import DataError, ParameterError


@pytest.fixture
def customers():
    return pd.DataFrame(
        {
            "seg": ["A", "A", "A", "B"],
            "news": [True, False, True, True],
            "way": ["email", "letter", None, "email"],
        },
        index=pd.Index(["a", "b", "c", "d"], name="customer_id"),
    )


def declare(channel="email", **rules):
    return ActionPlan(actions={"A": Action(offer="voucher", channel=channel), "B": None}, **rules)


@pytest.mark.parametrize("rules", [{"consent": {"e-mail": "news"}}, {"capacity": {"Email": 1}}])
def test_rules_for_a_channel_that_no_action_names_are_refused_when_declared(rules):
    ((name, rule),) = rules.items()
    (channel,) = rule
    message = f"{name} is for the channel '{channel}', which no action names. Did you mean 'email'"
    with pytest.raises(ParameterError, match=message):
        declare(**rules)


def test_the_rules_bind_under_the_right_name(customers):
    plan = declare(consent={"email": "news"}, capacity={"email": 1})
    reason = plan.apply(customers, "seg").to_frame()["reason"]
    assert sorted(reason.fillna("-").tolist()) == [
        "-",
        "no action planned",
        "no channel allowed",
        "no room left",
    ]


@pytest.mark.parametrize("rules", [{"consent": {"sms": "news"}}, {"capacity": {"e-mail": 1}}])
def test_where_customers_choose_the_channels_are_known_when_they_are(customers, rules):
    plan = declare(["(preferred)", "post"], preferred="way", **rules)
    ((name, rule),) = rules.items()
    (channel,) = rule
    words = f"{name} is for the channel '{channel}', which no action names and no customer prefers"
    with pytest.raises(DataError, match=words):
        plan.apply(customers, "seg")
    renamed = customers.assign(way=channel)
    assert len(plan.apply(renamed, "seg").contacts)


def test_a_channel_that_only_customers_name_may_have_rules(customers):
    plan = declare("(preferred)", preferred="way", consent={"email": "news"})
    assert plan.apply(customers, "seg").contacts["channel"].to_dict() == {
        "a": "email",
        "b": "letter",
    }


def test_one_channel_under_two_names_is_refused(customers):
    with pytest.raises(ParameterError, match="'Email' and 'email' are one channel"):
        declare(["email", "Email"])
    plan = declare(["(preferred)", "email"], preferred="way", consent={"email": "news"})
    odd = customers.assign(way=["Email ", "letter", None, "email"])
    with pytest.raises(DataError, match="'Email ' and 'email' are one channel"):
        plan.apply(odd, "seg")


@pytest.mark.parametrize(
    "condition",
    [
        "recency << 3",
        "recency =< 90",
        "recency => 90",
        "recency <> 3",
        "recency === 3",
        "recency =! 3",
        "recency !<= 3",
        "10 < recency < 90",
        "country = DE or country = AT",
        "recency <= 90; vip",
        "recency <=",
        "<= 90",
    ],
)
def test_conditions_that_cannot_be_read_are_refused_when_declared(condition):
    for where in ({"eligible": condition}, {"eligible": ["vip", condition]}):
        with pytest.raises(ParameterError, match="condition"):
            Action(offer="voucher", **where)
    with pytest.raises(ParameterError, match="condition"):
        declare(exclude=condition)
    with pytest.raises(ParameterError, match="condition"):
        declare(consent={"email": condition})


@pytest.mark.parametrize(
    ("condition", "column", "expected"),
    [
        ("label = '<3'", "label", [True, False]),
        ('label != "<3"', "label", [False, True]),
        ("label = Hi!", "label", [False, True]),
        ("n=-3", "n", [True, False]),
        ("n >= 1e-3", "n", [False, True]),
        ("day > 2024-01-31", "day", [True, False]),
    ],
)
def test_conditions_that_can_be_read_still_are(condition, column, expected):
    rows = pd.DataFrame(
        {
            "label": ["<3", "Hi!"],
            "n": [-3.0, 3.0],
            "day": pd.to_datetime(["2024-02-01", "2024-01-01"]),
        }
    )
    assert condition_column(condition) == column
    assert holds(condition, rows).tolist() == expected
    assert Action(offer="voucher", eligible=condition).eligible == (condition,)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"channel": "email, letter"}, "channel 'email, letter' holds a comma: give several"),
        ({"channel": 3}, "channel is 3, but must be text, or a list"),
        ({"eligible": 90}, "eligible is 90, but must be text, or a list"),
    ],
)
def test_an_action_that_cannot_be_read_is_refused(parts, message):
    with pytest.raises(ParameterError, match=message):
        Action(offer="voucher", **parts)


@pytest.mark.parametrize("name", ["consent", "capacity"])
def test_rules_must_name_channels(name):
    with pytest.raises(ParameterError, match=f"{name} is 'news', but must be a dictionary"):
        declare(**{name: "news"})


def test_a_limit_in_a_table_must_be_a_number():
    table = pd.DataFrame({"segment": ["A"], "offer": ["voucher"], "channel": ["email"]})
    for limit in ("many", 2.5, 0):
        with pytest.raises(DataError, match=f"the limit of segment 'A' is '?{limit}"):
            ActionPlan.from_frame(table.assign(limit=limit))
    assert ActionPlan.from_frame(table.assign(limit="20")).actions["A"].limit == 20


@pytest.mark.parametrize("value", ["2024-01-31", "2024-01-31T00:00+01:00"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_days_are_compared_in_the_zone_of_the_column(value, zone):
    days = pd.Series(pd.to_datetime(["2024-01-30 12:00", "2024-01-31 00:30"])).dt.tz_localize(zone)
    assert holds(f"day >= {value}", pd.DataFrame({"day": days})).tolist() == [False, True]
