"""Weighted scores by hand, and how much they hang on criteria and weights."""

import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.profiling import attractiveness

SEGMENTS = pd.Index(["A", "B", "C"], name="segment")
ATTRACTIVE = pd.DataFrame({"value": [9, 5, 2], "growth": [4, 7, 3]}, index=SEGMENTS)
COMPETITIVE = pd.DataFrame({"product": [8, 3, 5], "price": [6, 5, 4]}, index=SEGMENTS)


def test_scores_are_weighted_means():
    weights, sizes = {"growth": 10, "value": 30}, {"A": 5, "B": 2, "C": 9}
    found = attractiveness(ATTRACTIVE, COMPETITIVE, attractive_weights=weights, sizes=sizes)
    frame = found.to_frame()
    assert frame["attractiveness"].tolist() == [7.75, 5.5, 2.25]
    assert frame["competitiveness"].tolist() == [7, 4, 4.5]
    assert frame["attractiveness_low"].tolist() == [4, 5, 2]
    assert frame["attractiveness_high"].tolist() == [9, 7, 3]
    assert frame["size"].tolist() == [5, 2, 9]
    assert frame["efficient"].tolist() == [True, False, False]
    totals = found.contributions.groupby(["side", "segment"])["contribution"].sum()
    assert totals["attractiveness"].tolist() == pytest.approx([7.75, 5.5, 2.25])
    assert totals["competitiveness"].tolist() == pytest.approx([7, 4, 4.5])


def test_first_places_are_those_of_all_possible_weights():
    frame = attractiveness(ATTRACTIVE, COMPETITIVE).to_frame()
    # A is first while 9w + 4(1 - w) > 5w + 7(1 - w), that is w > 3/7
    assert frame["most_attractive"].tolist() == pytest.approx([4 / 7, 3 / 7, 0], abs=0.015)
    assert frame["most_competitive"].tolist() == [1, 0, 0]
    even = ATTRACTIVE.assign(value=5, growth=5)
    assert attractiveness(even, COMPETITIVE).to_frame()["most_attractive"].tolist() == (
        pytest.approx([1 / 3] * 3)
    )


def test_efficient_segments_equal_a_double_loop():
    rng = np.random.default_rng(0)
    names = [f"s{i}" for i in range(12)]
    one = pd.DataFrame({"x": rng.integers(1, 8, 12)}, index=names)
    two = pd.DataFrame({"y": rng.integers(1, 8, 12)}, index=names)
    frame = attractiveness(one, two).to_frame()
    for name in names:
        beaten = any(
            one["x"][other] >= one["x"][name]
            and two["y"][other] >= two["y"][name]
            and (one["x"][other] > one["x"][name] or two["y"][other] > two["y"][name])
            for other in names
        )
        assert frame.loc[name, "efficient"] == (not beaten)


def test_criteria_with_units_are_put_on_the_scale():
    table = pd.DataFrame({"spend": [1000.0, 250, 500], "churn": [0.1, 0.3, 0.2]}, index=SEGMENTS)
    ends = {"spend": "higher", "churn": "lower"}
    found = attractiveness(table, COMPETITIVE, rescale=ends)
    scores = found.contributions.pivot_table(index="segment", columns="criterion", values="score")
    assert scores["spend"].tolist() == [10, 1, 4]
    assert scores["churn"].tolist() == pytest.approx([10, 1, 5.5])
    assert any("however little they differ" in note for note in found.notes)
    same = attractiveness(table.assign(spend=3), COMPETITIVE, rescale=ends)
    assert set(same.contributions.query("criterion == 'spend'")["score"]) == {5.5}


def test_the_words_name_who_is_not_beaten():
    found = attractiveness(ATTRACTIVE, COMPETITIVE.assign(product=[1, 3, 9]))
    assert found.summary().startswith(
        "of 3 segments, no other is better on both sides than A (attractiveness 6.50, "
        "competitiveness 3.50); B (attractiveness 6.00, competitiveness 4.00); C (attractiveness "
        "2.50, competitiveness 6.50). A is the most attractive with these weights, and with 5"
    )
    assert repr(found) == repr(attractiveness(ATTRACTIVE, COMPETITIVE.assign(product=[1, 3, 9])))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"attractive": ATTRACTIVE.iloc[:2]}, cs.errors.DataError, ["the same", "'C'"]),
        ({"attractive": ATTRACTIVE * 3}, cs.errors.DataError, ["is 27 for 'A'", "rescale="]),
        ({"attractive": ATTRACTIVE.assign(value=None)}, cs.errors.DataError, ["'value'", "'A'"]),
        ({"attractive": {"value": 3}}, cs.errors.DataError, ["frame of segments x criteria"]),
        ({"attractive_weights": {"value": 1}}, cs.errors.ParameterError, ["missing: 'growth'"]),
        ({"attractive_weights": {"valu": 1}}, cs.errors.ParameterError, ["'value'"]),
        (
            {"competitive_weights": {"product": -1, "price": 1}},
            cs.errors.ParameterError,
            ["competitive_weights['product']"],
        ),
        ({"sizes": {"A": 1}}, cs.errors.DataError, ["missing: 'B', 'C'"]),
        ({"scale": (5, 1)}, cs.errors.ParameterError, ["best score of scale is 1", "> 5"]),
        ({"scale": 5}, cs.errors.ParameterError, ["scale is 5", "(1, 10)"]),
        ({"scale": ("a", "b")}, cs.errors.ParameterError, ["worst score of scale is 'a'"]),
        ({"sizes": [1, 2, 3]}, cs.errors.ParameterError, ["sizes is [1, 2, 3]", "by segment"]),
        ({"attractive_weights": [1, 2]}, cs.errors.ParameterError, ["[1, 2]", "by criterion"]),
        ({"rescale": ["value"]}, cs.errors.ParameterError, ["rescale is ['value']"]),
        ({"rescale": {"value": "up"}}, cs.errors.ParameterError, ["'higher', 'lower'"]),
    ],
)
def test_wrong_input_says_what_to_do(change, error, words):
    options = {"attractive": ATTRACTIVE, "competitive": COMPETITIVE} | change
    with pytest.raises(error) as caught:
        attractiveness(options.pop("attractive"), options.pop("competitive"), **options)
    for word in words:
        assert word in str(caught.value)
