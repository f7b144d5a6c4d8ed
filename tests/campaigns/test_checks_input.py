"""Checks of a campaign refuse what they cannot read, by name, and read times that are text."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import custseg as cs
from custseg.campaigns import Checks, srm_test
from custseg.errors import DataError, ParameterError

N = 240


@pytest.fixture(scope="module")
def sent():
    rng = np.random.default_rng(2)
    day = pd.Timestamp("2024-03-01") + pd.to_timedelta(np.arange(N) % 20, "D")
    late = day + pd.to_timedelta(rng.integers(1, 1_400, N), "min")
    late = late.where(np.arange(N) % 24 > 0, day - pd.Timedelta(hours=3))
    return pd.DataFrame(
        {
            "arm": np.resize(["control", "email"], N),
            "spend": rng.gamma(1, 20, N),
            "age": rng.normal(45, 10, N),
            "week_1": rng.normal(size=N),
            "week_2": rng.normal(size=N),
            "sent": day,
            "bought": late,
        }
    )


def analyze(table, metrics=None, **named):
    metrics = metrics or {"spend": cs.Mean("spend")}
    test = cs.CampaignTest(arm="arm", control="control", metrics=metrics, checks=Checks(**named))
    return test.analyze(table)


def test_text_of_times_is_read_as_the_times_are(sent):
    named = {"exposed": "sent", "outcome_time": "bought", "entered": "sent"}
    text = sent.assign(
        sent=sent["sent"].dt.strftime("%Y-%m-%d"),
        bought=sent["bought"].dt.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    there, here = analyze(sent, **named), analyze(text, **named)
    pd.testing.assert_frame_equal(here.checks, there.checks)
    early = there.checks[there.checks["check"] == "outcome before exposure"]
    assert early["what"].tolist() == ["10 of 120 in bought", "0 of 120 in bought"]


def test_text_of_days_is_compared_by_day(sent):
    days = sent["bought"].dt.strftime("%Y-%m-%d")
    noon = (sent["sent"] + pd.Timedelta(hours=12)).dt.strftime("%Y-%m-%d %H:%M")
    text = sent.assign(bought=days, sent=noon)
    found = analyze(text, exposed="sent", outcome_time="bought").checks
    early = found[found["check"] == "outcome before exposure"]
    assert early["what"].tolist() == ["10 of 120 in bought", "0 of 120 in bought"]


def test_blank_text_is_a_missing_time(sent):
    blank = sent.assign(sent=" ", bought=sent["bought"].astype(str))
    found = analyze(blank, exposed="sent", outcome_time="bought").checks
    early = found[found["check"] == "outcome before exposure"]
    assert early["what"].tolist() == ["0 of 0 in bought"] * 2


def test_text_that_is_no_time_is_shown(sent):
    spoilt = sent.assign(sent=["soon", *sent["sent"].astype(str)[1:]])
    with pytest.raises(DataError, match=r"'sent', which must hold dates.* 1 rows, such as 'soon'"):
        analyze(spoilt, exposed="sent", outcome_time="bought")
    with pytest.raises(DataError, match=r"'sent', which must hold dates.* 1 rows, such as 'soon'"):
        analyze(pl.from_pandas(spoilt), exposed="sent", outcome_time="bought")
    numbers = sent.assign(sent=sent["sent"].astype(str), bought=1.0)
    with pytest.raises(DataError, match=r"\('sent'\) and outcome_time \('bought'\) must both hold"):
        analyze(numbers, exposed="sent", outcome_time="bought")


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("covariate balance: age", {"balance": ["age"]}),
        ("before the campaign: x", {"before": {"x": cs.Mean("age")}}),
        ("effect over time: x", {"periods": {"x": ["week_1", "week_2"]}}),
    ],
)
def test_a_metric_that_is_called_as_a_check_is_refused(sent, name, named):
    with pytest.raises(ParameterError, match=f"a metric is called '{name}', as a check is"):
        analyze(sent, {name: cs.Mean("spend")}, **named)
    other = analyze(sent, {name: cs.Mean("spend")}).to_frame()
    assert other["metric"].tolist() == [name]


def test_a_column_that_is_named_twice_is_balanced_once(sent):
    found = analyze(sent.assign(tier="gold"), balance=["age", "tier", "age", "tier"]).checks
    balance = found[found["check"] == "covariate balance"]
    assert sorted(balance["what"]) == ["age", "tier (most: gold)"]
    assert len(analyze(sent, balance=sent.columns[2:3]).checks)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"periods": {"y": ["a", "b", "a"]}}, r"periods\['y'\] names the column 'a' twice"),
        ({"periods": {"y": 3}}, r"periods\['y'\] is 3, but must be a list"),
        ({"periods": ["a", "b"]}, "periods is .*, but must be a dictionary"),
        ({"before": [cs.Mean("a")]}, "before is .*, but must be a dictionary"),
        ({"balance": 3}, "balance is 3, but must be a list"),
    ],
)
def test_checks_that_cannot_be_read_are_refused_when_declared(named, words):
    with pytest.raises(ParameterError, match=words):
        Checks(**named)


@pytest.mark.parametrize(
    ("observed", "expected", "error", "words"),
    [
        ("ab", "cd", DataError, "observed is 'ab', but must be a number for each arm"),
        (["a", 3], [0.5, 0.5], DataError, r"observed is \['a', 3\], but must be a number"),
        ([1, 2], ["x", 0.5], ParameterError, r"expected is \['x', 0.5\]"),
        ([[1, 2], [3, 4]], [0.5, 0.5], DataError, "observed is"),
        ([5, -2], [0.5, 0.5], DataError, "arm 1 has -2"),
        ({"a": 1, "b": None}, {"a": 0.5, "b": 0.5}, DataError, "arm 'b' has nan"),
        ([0, 0], [0.5, 0.5], DataError, "all 0"),
        (pd.Series([1, 2], index=["a", "a"]), [1, 1], DataError, "observed has arm 'a' twice"),
    ],
)
def test_sample_ratios_of_what_is_no_number_are_refused(observed, expected, error, words):
    with pytest.raises(error, match=words):
        srm_test(observed, expected)


@pytest.mark.parametrize("strata", [[], ["region"]])
def test_balance_of_constant_columns_says_that_nothing_differs(strata):
    index = pd.Index(range(120), name="customer_id")
    table = pd.DataFrame(
        {"one": 1.0, "word": "a", "region": np.resize(["north", "south"], 120)}, index=index
    )
    design = cs.CampaignDesign(
        arms={"control": 0.5, "email": 0.3, "letter": 0.2}, strata=strata, salt="spring"
    )
    columns = ["one", "word", *strata]
    found = design.balance(design.assign(table), table, columns=columns)
    assert (found.overall["df"] == 0).all()
    assert found.summary().startswith("There is nothing to compare: no column differs")
    both = design.balance(design.assign(table), table, columns=["one", "region"]).summary()
    assert ("p = " in both) == (not strata)
    assert "p = )" not in both


def test_a_day_of_entry_that_nobody_has_is_called_by_its_name(sent):
    with pytest.raises(DataError, match="column 'day of joined' holds no value at all"):
        analyze(sent.assign(joined=" "), entered="joined")
