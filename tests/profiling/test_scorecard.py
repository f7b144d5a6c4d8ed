"""Six criteria: every mark follows from its number, and every number from the data."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2
from sklearn.cluster import KMeans
from statsmodels.stats.meta_analysis import combine_effects

import custseg as cs
from custseg.profiling import describe_membership, scorecard

BRIEF = cs.Brief(goal="choose who gets the offer", success_metric="spend", min_share=0.15)


def shoppers(n: int = 600) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    index = pd.Index(rng.permutation(5 * n)[:n], name="customer_id")
    truth = rng.choice(["Gold", "Silver", "Basic"], n, p=[0.2, 0.3, 0.5])
    centre = pd.Series(truth).map({"Gold": 30, "Silver": 15, "Basic": 0}).to_numpy()
    customers = pd.DataFrame(
        {
            "orders": centre + rng.normal(0, 1, n),
            "region": np.where(rng.random(n) < 0.8, truth, rng.choice(["Gold", "Basic"], n)),
            "agreed": rng.random(n) < np.where(truth == "Gold", 0.3, 0.9),
        },
        index=index,
    )
    return customers, pd.Series(truth, index)


def effects(spread: float) -> pd.DataFrame:
    rows = [("spend", "(all)", "mail", 5.0, 0.5)]
    rows += [
        ("spend", name, "mail", 5.0 + spread * place, 1.0)
        for place, name in enumerate(["Basic", "Gold", "Silver"])
    ]
    rows += [("visits", "Gold", "mail", 1.0, 0.1)]
    return pd.DataFrame(rows, columns=["metric", "segment", "arm", "effect", "se"])


def marked(**change):
    customers, segments = shoppers()
    return scorecard(customers, segments, BRIEF, **({"variables": ["orders"]} | change))


def row(found, measure):
    frame = found.to_frame()
    return frame[frame["measure"] == measure].iloc[0]


def test_what_is_not_given_is_not_measured_and_the_table_says_what_to_give():
    found = marked()
    assert found.marks.index.tolist() == [
        *("identifiability", "substantiality", "accessibility"),
        *("stability", "responsiveness", "actionability"),
    ]
    assert found.marks.iloc[2:].tolist() == ["not measured"] * 4
    frame = found.to_frame().set_index("criterion")
    assert frame.loc["accessibility", "remark"].startswith("give reachable=")
    assert frame.loc["stability", "remark"] == "give stability=cs.evaluation.stability(...)"
    assert found.summary() == (
        "for 'choose who gets the offer', 2 of 6 criteria are met; not measured: accessibility, "
        "stability, responsiveness, actionability."
    )


def test_the_numbers_are_those_of_the_data():
    customers, segments = shoppers()
    found = marked(reachable="agreed", descriptors=["region"])
    size = row(found, "smallest share")
    n = int((segments == "Gold").sum())
    assert size["number"] == n / 600
    assert (size["ci_low"], size["ci_high"]) == cs.stats.wilson(n, 600)
    assert size["bound"] == 0.15
    agreed = customers.loc[segments == "Gold", "agreed"]
    least = row(found, "least reachable")
    assert least["number"] == agreed.mean()
    assert "of Gold can be reached" in least["remark"]
    assert least["mark"] == "not met"
    told = describe_membership(customers, segments, variables=["orders"]).accuracy
    assert row(found, "accuracy")["number"] == told.loc["typing tool", "accuracy"]
    told = describe_membership(customers, segments, variables=["region"]).accuracy["accuracy"]
    saved = (told["typing tool"] - told["largest segment"]) / (1 - told["largest segment"])
    assert row(found, "addressable")["number"] == pytest.approx(saved)
    assert found.marks["accessibility"] == "not met"


@pytest.mark.parametrize("dtype", ["int64", "float64", "boolean", "object"])
def test_ones_and_zeros_say_who_can_be_reached(dtype):
    customers, _ = shoppers()
    agreed = customers["agreed"]
    want = row(marked(reachable=agreed), "least reachable")
    found = row(marked(reachable=agreed.astype(dtype)), "least reachable")
    pd.testing.assert_series_equal(found, want)
    if dtype != "int64":
        unknown = agreed.astype(dtype).where(agreed)
        pd.testing.assert_series_equal(row(marked(reachable=unknown), "least reachable"), want)


def test_marks_follow_from_intervals_and_bounds():
    share = row(marked(), "smallest share")
    for bound, mark in [
        (share["ci_low"], "met"),
        (share["number"], "open"),
        (share["ci_high"] + 1e-9, "not met"),
    ]:
        found = marked(bounds={"smallest share": bound})
        assert row(found, "smallest share")["mark"] == mark
        assert found.marks["substantiality"] == mark


@pytest.mark.parametrize(("spread", "mark"), [(0.1, "open"), (4.0, "met")])
def test_responsiveness_is_cochrans_test(spread, mark):
    frame = effects(spread)
    found = marked(impact=frame)
    own = frame[(frame["metric"] == "spend") & (frame["segment"] != "(all)")]
    oracle = combine_effects(own["effect"].to_numpy(), own["se"].to_numpy() ** 2)
    assert row(found, "p of equal effects")["number"] == pytest.approx(chi2.sf(oracle.q, 2))
    assert found.marks["responsiveness"] == mark
    largest = {0.1: "5.20", 4.0: "13.0"}[spread]
    remark = row(found, "p of equal effects")["remark"]
    assert f"mail: 5.00 in Basic to {largest} in Silver" in remark


def test_a_real_impact_is_read():
    customers, segments = shoppers(3000)
    rng = np.random.default_rng(1)
    arm = rng.choice(["none", "mail"], 3000)
    lift = np.where((arm == "mail") & (segments == "Gold"), 10, 0)
    sent = pd.DataFrame(
        {"who": customers.index, "arm": arm, "spend": rng.normal(50, 9, 3000) + lift}
    )
    test = cs.CampaignTest(
        arm="arm", control="none", metrics={"spend": cs.Mean("spend")},
        segments=segments, customer_id="who",
    )  # fmt: skip
    found = scorecard(customers, segments, BRIEF, variables=["orders"], impact=test.analyze(sent))
    assert found.marks["responsiveness"] == "met"
    other = cs.Brief(goal="g", success_metric="visits")
    with pytest.raises(cs.errors.DataError, match=r"'visits'.*'spend'"):
        scorecard(customers, segments, other, impact=test.analyze(sent))


def test_stability_is_the_weakest_segment_and_the_pairs():
    customers, _ = shoppers()
    X = customers[["orders"]].sort_index()
    clusterer = KMeans(3, n_init=3, random_state=0)
    measured = cs.evaluation.stability(X, clusterer, n_resamples=10)
    labels = pd.Series(clusterer.fit_predict(X), X.index)
    found = scorecard(customers, labels, BRIEF, variables=["orders"], stability=measured)
    weakest = row(found, "weakest Jaccard")
    assert weakest["number"] == measured.to_frame()["jaccard"].min()
    assert weakest["ci_low"] <= weakest["number"] <= weakest["ci_high"]
    assert row(found, "median Rand index")["number"] == measured.ari
    assert found.marks["stability"] == "met"
    named = marked(stability={"Gold": 0.9, "Silver": 0.5, "Basic": 0.95})
    assert named.marks["stability"] == "not met"
    assert "of Silver comes back" in row(named, "weakest Jaccard")["remark"]


@pytest.mark.parametrize(
    ("actions", "mark"),
    [
        ({"Gold": "call", "Silver": "mail", "Basic": "mail"}, "met"),
        ({"Gold": "mail", "Silver": "mail", "Basic": "mail"}, "not met"),
        ({"Gold": "call", "Silver": "mail", "Basic": None}, "not met"),
        ({"Gold": "call", "Silver": " "}, "not met"),
    ],
)
def test_actions_must_cover_the_customers_and_differ(actions, mark):
    found = marked(actions=actions)
    assert found.marks["actionability"] == mark
    _, segments = shoppers()
    covered = segments.isin([k for k, v in actions.items() if v and v.strip()]).mean()
    assert row(found, "customers with an action")["number"] == pytest.approx(covered)


def test_a_tiny_segment_is_too_small_to_be_told():
    customers, segments = shoppers()
    few = segments.replace("Gold", "Basic")
    few.iloc[:5] = "Gold"
    found = scorecard(customers, few, BRIEF, variables=["orders"])
    assert found.marks["identifiability"] == "not measured"
    assert found.marks["substantiality"] == "not met"
    assert "give ten customers or more in every segment" in found.to_frame()["remark"].tolist()


def test_the_horizon_is_named_and_the_order_of_rows_does_not_matter():
    customers, segments = shoppers()
    brief = cs.Brief(goal="g", success_metric="s", horizon=timedelta(days=90))
    one = scorecard(customers, segments, brief, variables=["orders"])
    assert any("must hold for 90 days" in note for note in one.notes)
    two = scorecard(customers.sample(frac=1), segments, brief, variables=["orders"])
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame())
    assert repr(one) == repr(two)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"bounds": {"size": 1}}, cs.errors.ParameterError, ["'size'", "'smallest share'"]),
        ({"bounds": {"accuracy": -1}}, cs.errors.ParameterError, ["bounds['accuracy']"]),
        ({"actions": {"Goold": "x"}}, cs.errors.ParameterError, ["Did you mean 'Gold'"]),
        ({"reachable": "agred"}, cs.errors.ColumnError, ["'agreed'"]),
        ({"bounds": [1]}, cs.errors.ParameterError, ["bounds is [1]", "dictionary"]),
        ({"actions": {"Gold": 3}}, cs.errors.ParameterError, ["{'Gold': 3}", "in words"]),
        ({"actions": ["call"]}, cs.errors.ParameterError, ["['call']", "dictionary"]),
        ({"impact": "x"}, cs.errors.ParameterError, ["impact is 'x'", "CampaignTest"]),
        ({"impact": effects(1).drop(columns="se")}, cs.errors.ColumnError, ["'se'", "impact"]),
        ({"reachable": "orders"}, cs.errors.DataError, ["True and False"]),
        ({"reachable": pd.Series([True])}, cs.errors.DataError, ["says nothing of", "600"]),
        ({"stability": {"Gold": 1}}, cs.errors.DataError, ["every segment"]),
        ({"impact": effects(1).iloc[:1]}, cs.errors.DataError, ["at least two", "CampaignTest"]),
        ({"level": 95}, cs.errors.ParameterError, ["level is 95"]),
    ],
)
def test_wrong_input_says_what_to_do(change, error, words):
    with pytest.raises(error) as caught:
        marked(**change)
    for word in words:
        assert word in str(caught.value)
    with pytest.raises(cs.errors.ParameterError, match=r"custseg\.Brief"):
        scorecard(*shoppers(), "sell more")
