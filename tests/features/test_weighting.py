"""Raking against a brute-force iterative proportional fitting, and against its own targets."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custseg import errors
from custseg.features.weighting import rake
from custseg.stats.scores import csat

REGIONS, AGES = ["North", "South", "West"], ["18-34", "35-54", "55+"]
TARGETS = {
    "region": {"North": 300, "South": 500, "West": 200},
    "age": {"18-34": 0.25, "35-54": 0.4, "55+": 0.35},
}


def respondents(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "region": rng.choice(REGIONS, n, p=[0.5, 0.2, 0.3]),
            "age": rng.choice(AGES, n, p=[0.15, 0.35, 0.5]),
        },
        index=pd.Index([f"C{i:04d}" for i in range(n)], name="customer_id"),
    )


def table_by_hand(people: pd.DataFrame, start: pd.Series) -> np.ndarray:
    """Fit the region x age table to both margins, cell by cell."""
    table = [
        [start[(people["region"] == r) & (people["age"] == a)].sum() for a in AGES] for r in REGIONS
    ]
    rows = [TARGETS["region"][r] / 1000 for r in REGIONS]
    columns = [TARGETS["age"][a] for a in AGES]
    for _ in range(2_000):
        for i in range(3):
            total = sum(table[i])
            table[i] = [cell * rows[i] / total for cell in table[i]]
        for j in range(3):
            total = sum(table[i][j] for i in range(3))
            for i in range(3):
                table[i][j] *= columns[j] / total
    return np.array(table)


@pytest.mark.parametrize("base", [False, True])
def test_equal_to_fitting_the_table_by_hand(base):
    people = respondents()
    start = pd.Series(1.0, people.index)
    if base:
        start = pd.Series(np.random.default_rng(3).gamma(3, 1, len(people)), people.index)
    found = rake(people, TARGETS, base_weights=start if base else None, tol=1e-13)
    weights = found.weights / found.weights.sum()
    want = table_by_hand(people, start)
    for i, region in enumerate(REGIONS):
        for j, age in enumerate(AGES):
            cell = (people["region"] == region) & (people["age"] == age)
            assert weights[cell].sum() == pytest.approx(want[i, j], rel=1e-9)
            ratio = weights[cell] / start[cell]
            assert ratio.max() == pytest.approx(ratio.min())


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.lists(st.floats(0.05, 1), min_size=3, max_size=3))
def test_weighted_margins_equal_their_targets(seed, shares):
    people = respondents(150, seed)
    found = rake(people, {**TARGETS, "region": dict(zip(REGIONS, shares, strict=True))})
    goal = np.array(shares) / sum(shares)
    got = found.weights.groupby(people["region"]).sum() / found.weights.sum()
    np.testing.assert_allclose(got[REGIONS], goal, atol=2e-9)
    assert found.weights.mean() == pytest.approx(1)
    table = found.to_frame()
    np.testing.assert_allclose(table["weighted_share"], table["target"], atol=2e-9)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_order_of_rows_and_of_margins_changes_nothing(seed):
    people = respondents(120, seed)
    expected = rake(people, TARGETS, tol=1e-12).weights
    shuffled = people.sample(frac=1, random_state=seed)
    found = rake(shuffled, TARGETS, tol=1e-12).weights
    assert found.index.equals(shuffled.index)
    pd.testing.assert_series_equal(found.reindex(people.index), expected, check_exact=True)
    turned = rake(people, dict(reversed(TARGETS.items())), tol=1e-12).weights
    np.testing.assert_allclose(turned, expected, rtol=1e-8)


def test_targets_that_are_met_leave_equal_weights():
    people = respondents()
    found = rake(people, {name: people[name].value_counts() for name in people})
    np.testing.assert_allclose(found.weights, 1)
    assert found.n_effective == pytest.approx(400)
    assert found.design_effect == pytest.approx(1)


def test_effective_sample_size_of_two_groups():
    people = pd.DataFrame(
        {"region": ["North"] * 3 + ["South"]}, pd.Index(range(4), name="customer_id")
    )
    found = rake(people, {"region": {"North": 0.5, "South": 0.5}})
    assert found.n_effective == pytest.approx(16 / (3 * (2 / 3) ** 2 + 4))
    assert found.design_effect == pytest.approx(4 / 3)


def test_cut_weights_keep_the_cap_and_the_margins():
    people = respondents()
    free = rake(people, TARGETS)
    assert free.weights.max() > 2.9
    found = rake(people, TARGETS, max_weight=2.85)
    assert found.weights.max() <= 2.85 * (1 + 1e-6)
    table = found.to_frame()
    np.testing.assert_allclose(table["weighted_share"], table["target"], atol=1e-8)
    assert found.n_effective > 0
    assert "weights were cut at 2.85 times the mean" in found.notes[0]
    assert int(found.notes[0].split()[0]) == (found.weights > 2.85 * (1 - 1e-6)).sum()


def test_a_cap_that_cannot_hold_names_the_margin():
    with pytest.raises(errors.ConvergenceError, match=r"margin 'region'.*max_weight than 1.5"):
        rake(respondents(), TARGETS, max_weight=1.5)


def test_margins_that_contradict_each_other_are_named():
    people = pd.DataFrame(
        {"region": ["North", "North", "South"], "age": ["old", "old", "young"]},
        pd.Index([1, 2, 3], name="customer_id"),
    )
    targets = {"region": {"North": 0.5, "South": 0.5}, "age": {"old": 0.9, "young": 0.1}}
    with pytest.raises(errors.ConvergenceError, match=r"margin 'region' has a weighted share"):
        rake(people, targets)


def test_weights_remove_the_bias_of_who_answers(shop):
    customers = shop.customers.set_index("customer_id")
    rng = np.random.default_rng(4)
    north = (customers["region"] == "North").to_numpy()
    happy = rng.random(len(customers)) < np.where(north, 0.3, 0.8)
    answers = pd.Series(np.where(happy, 5, 1), customers.index)
    truth = csat(answers).estimate
    replied = customers.index[rng.random(len(customers)) < np.where(north, 0.6, 0.2)]
    found = rake(customers.loc[replied], {"region": customers["region"].value_counts()})
    plain, weighted = csat(answers[replied]), csat(answers[replied], found.weights)
    assert abs(plain.estimate - truth) > 8
    assert weighted.ci_low < truth < weighted.ci_high
    assert 1.1 < found.design_effect < 1.6


def test_words_and_picture():
    found = rake(respondents(), TARGETS)
    assert found.summary().startswith("400 respondents weighted to region, age: weights 0.")
    assert "within a level" in found.notes[-1]
    assert len(found.plot().get_yticklabels()) == 6


PEOPLE = respondents(50)


@pytest.mark.parametrize(
    ("people", "targets", "words"),
    [
        (
            PEOPLE.replace({"region": {"North": "Nort"}}),
            TARGETS,
            r"have 'region' 'Nort', which has no target. Did you mean 'North'\?",
        ),
        (PEOPLE[PEOPLE["age"] != "55+"], TARGETS, "nobody answered with 'age' '55\\+', 35.0%"),
        (PEOPLE.assign(age=[None] + ["55+"] * 49), TARGETS, "1 respondents have no 'age'"),
        (pd.concat([PEOPLE, PEOPLE.head(2)]), TARGETS, "2 rows repeat a customer"),
        (PEOPLE.head(0), TARGETS, "no respondents"),
        (PEOPLE, {"region": {"North": -1, "South": 1, "West": 1}}, "negative shares"),
    ],
)
def test_bad_input_is_refused(people, targets, words):
    with pytest.raises(errors.DataError, match=words):
        rake(people, targets)


def test_bad_parameters_are_refused():
    with pytest.raises(errors.ColumnError, match="no column 'regoin'"):
        rake(PEOPLE, {"regoin": {"North": 1}})
    with pytest.raises(errors.ParameterError, match="targets names no margin"):
        rake(PEOPLE, {})
    with pytest.raises(errors.ParameterError, match="must give each level"):
        rake(PEOPLE, {"region": [0.5, 0.5]})
    with pytest.raises(errors.ParameterError, match="max_weight is 1"):
        rake(PEOPLE, TARGETS, max_weight=1)
    with pytest.raises(errors.ParameterError, match="Series on customer_id"):
        rake(PEOPLE, TARGETS, base_weights=[1.0] * 50)
    with pytest.raises(errors.DataError, match=r"base_weights are missing.* 1 respondents"):
        rake(PEOPLE, TARGETS, base_weights=pd.Series(1.0, PEOPLE.index[1:]))
