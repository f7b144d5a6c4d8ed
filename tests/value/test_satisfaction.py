"""Scores by segment and the split of their change, against hand work, scipy and simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

import custseg as cs
from custseg import stats
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.value import satisfaction, score_change


def people(seed: int = 0, n: int = 300) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    index = pd.Index(rng.permutation(5 * n)[:n], name="customer_id")
    answers = pd.DataFrame(
        {
            "nps": rng.integers(0, 11, n).astype(float),
            "csat": rng.integers(1, 6, n),
            "ces": rng.integers(1, 8, n),
        },
        index=index,
    )
    answers.loc[rng.random(n) < 0.1, "nps"] = np.nan
    segments = pd.Series(rng.choice(["A", "B", "C"], n), index).mask(rng.random(n) < 0.1)
    return answers, segments, pd.Series(rng.gamma(2, 1, n), index)


def test_the_published_example_of_a_net_promoter_score():
    answers = pd.DataFrame({"nps": [10] * 50 + [8] * 30 + [3] * 20})
    row = satisfaction(answers).to_frame().iloc[0]
    assert row["estimate"] == pytest.approx(30)
    assert row["se"] == pytest.approx(7.81, abs=0.005)
    assert row["n"] == 100


@pytest.mark.parametrize("weighted", [False, True])
def test_every_row_is_the_score_of_those_customers(weighted):
    answers, segments, weights = people()
    given = weights if weighted else None
    found = satisfaction(answers, segments, weights=given, satisfied=3, level=0.9)
    scorers = {"nps": stats.nps, "ces": stats.ces}
    for row in found.to_frame().itertuples():
        inside = segments.notna() if row.segment == "(all)" else segments == row.segment
        options = {"satisfied": 3} if row.score == "csat" else {}
        w = weights[inside] if weighted else None
        want = scorers.get(row.score, stats.csat)(
            answers.loc[inside, row.score], w, level=0.9, **options
        )
        np.testing.assert_allclose(
            [row.estimate, row.se, row.ci_low, row.ci_high, row.n], want, rtol=1e-9
        )


def test_the_difference_of_two_shares_is_newcombes_and_the_test_is_pearsons():
    answers, segments, _ = people(1)
    segments = segments.replace("C", "B")
    found = satisfaction(answers, segments)
    row = found.to_frame().query("score == 'csat' and segment == 'A'").iloc[0]
    happy = answers["csat"] >= 4
    table = pd.crosstab(segments, happy)
    low, high = stats.newcombe(
        table.loc["A", True], table.loc["A"].sum(), table.loc["B", True], table.loc["B"].sum()
    )
    np.testing.assert_allclose(
        [row["difference_low"], row["difference_high"]], [100 * low, 100 * high], rtol=1e-9
    )
    assert (row["p_value"] < 0.05) == (low > 0 or high < 0)
    want = chi2_contingency(table, correction=False)
    assert found.tests.loc["csat", "chi2"] == pytest.approx(want.statistic)
    assert found.tests.loc["csat", "p_value"] == pytest.approx(want.pvalue)


def test_rows_add_up_and_order_does_not_matter():
    answers, segments, weights = people(2)
    found = satisfaction(answers, segments, weights=weights)
    account = found.account
    assert (account["customers"] == 300).all()
    parts = account["used"] + account["no_answer"] + account["not_assigned"]
    assert (parts == account["customers"]).all()
    mixed = satisfaction(answers.sample(frac=1, random_state=1), segments[::-1], weights=weights)
    pd.testing.assert_frame_equal(found.to_frame(), mixed.to_frame(), rtol=1e-12)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    nps = found.to_frame().query("score == 'nps'").set_index("segment")["estimate"]
    gap = 100 * (found.shares["promoters"] - found.shares["detractors"])
    np.testing.assert_allclose(nps, gap[nps.index])


def test_nobody_gets_an_error_of_nothing():
    answers = pd.DataFrame({"nps": [10.0] * 5 + [8.0, 9, 10, 6, 7] * 8})
    row = satisfaction(answers, ["A"] * 5 + ["B"] * 40).to_frame().query("segment == 'A'").iloc[0]
    assert row["se"] == 0
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert 0.001 < row["p_value"] < 1


def test_one_segment_has_nobody_to_be_held_against():
    answers, _, _ = people()
    table = satisfaction(answers, ["A"] * len(answers)).to_frame().set_index(["score", "segment"])
    for score in ("nps", "csat", "ces"):
        pd.testing.assert_series_equal(
            table.loc[(score, "A")], table.loc[(score, "(all)")], check_names=False
        )
    assert table[["difference", "p_value", "p_holm"]].isna().all(axis=None)


def test_a_segment_in_which_nobody_answered_leaves_the_others_their_scores():
    answers, segments, weights = people()
    silent = answers.assign(nps=answers["nps"].mask(segments == "C"))
    for found in (
        satisfaction(silent, segments),
        satisfaction(answers, segments, weights=weights.mask(segments == "C", 0.0)),
    ):
        table = found.to_frame().query("score == 'nps'").set_index("segment")
        assert table.loc["C", "n"] == 0
        assert table.loc["C"].drop(["score", "n"]).isna().all()
        assert table.loc["A", "difference"] == pytest.approx(
            table.loc["A", "estimate"] - table.loc["B", "estimate"]
        )
        assert found.tests.loc["nps", "df"] == 1
    with pytest.raises(DataError, match=r"nobody with a segment .* answered 'nps'\. Leave"):
        satisfaction(silent, segments.where(segments == "C"))


def test_tests_of_equal_segments_reject_as_often_as_they_should():
    rng = np.random.default_rng(5)
    answers = pd.DataFrame({"nps": np.zeros(240)})
    segments = np.repeat(["A", "B", "C"], [30, 70, 140])
    rejected, any_of_three = [], []
    for _ in range(150):
        answers["nps"] = rng.choice(11, 240, p=np.array([1, 1, 1, 1, 1, 2, 3, 5, 8, 9, 8]) / 40)
        found = satisfaction(answers, segments)
        rejected.append(found.tests.loc["nps", "p_value"] < 0.05)
        any_of_three.append((found.to_frame()["p_holm"] < 0.05).any())
    assert np.mean(rejected) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 150)
    assert np.mean(any_of_three) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 150)


def test_a_survey_and_its_table_give_the_same():
    answers, segments, _ = people(3)
    survey = cs.Survey(
        answers.rename(columns={"nps": "recommend"}).reset_index(),
        customer_id="customer_id",
        nps="recommend",
        csat="csat",
    )
    found, want = (satisfaction(x, segments) for x in (survey, answers[["nps", "csat"]]))
    pd.testing.assert_frame_equal(found.to_frame(), want.to_frame())


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"answers": pd.DataFrame({"q1": [1.0]})}, ColumnError, "none of the columns 'nps'"),
        ({"answers": pd.DataFrame({"nps": [11.0, 3.0]})}, DataError, "outside 0 to 10"),
        ({"answers": pd.DataFrame({"nps": ["9", "3"]})}, DataError, "pandas.to_numeric"),
        ({"answers": pd.DataFrame({"nps": [9, 3]}, index=[1, 1])}, DataError, "repeated_id"),
        ({"segments": pd.Series(["A", "B"], index=["x", "y"])}, DataError, "has a segment"),
        ({"segments": ["A"]}, DataError, "1 labels for 300 customers"),
        ({"segments": ["A"] * 299 + ["(all)"]}, DataError, "means everybody"),
        ({"weights": pd.Series([1.0])}, DataError, "or missing for 300 of 300"),
        ({"satisfied": 9}, ParameterError, "satisfied is 9"),
        ({"level": 95}, ParameterError, "level is 95"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(change, error, words):
    answers, segments, _ = people()
    given = {"answers": answers, "segments": segments} | change
    if "answers" in change:
        given.pop("segments")
    with pytest.raises(error, match=words):
        satisfaction(given.pop("answers"), **given)


def test_the_words_name_who_differs():
    answers = pd.DataFrame({"nps": [10] * 40 + [2] * 40, "ces": [4, 5] * 40})
    found = satisfaction(answers, ["A"] * 40 + ["B"] * 40)
    assert "NPS 0 [" in found.summary()
    assert "B below the others (-100), A above the others (100)." in found.summary()
    assert "CES 4.50 [4.39, 4.61] (n=80): no segment clearly differs." in found.summary()
    assert "(all)" in repr(found)


# ------------------------------------------------------------------------------------ the change


def two_waves(seed: int, n: int = 400, overlap: int = 0) -> tuple[pd.DataFrame, ...]:
    """Return two surveys in which shares and scores of the segments differ."""
    rng = np.random.default_rng(seed)
    waves, codes = [], {}
    mood = rng.normal(0, 1, 3 * n)
    for number, shares in enumerate([(0.5, 0.35, 0.15), (0.3, 0.25, 0.45)]):
        ids = np.arange(n) + number * (n - overlap)
        drawn = rng.choice(3, n, p=shares)
        own = np.array([codes.setdefault(i, s) for i, s in zip(ids, drawn, strict=True)])
        centre = np.array([[8.8, 8.0, 6.0], [8.3, 8.4, 6.0]])[number]
        x = np.clip(np.round(centre[own] + mood[ids] + rng.normal(0, 1.2, n)), 0, 10)
        waves.append(pd.DataFrame({"nps": x}, index=pd.Index(ids, name="customer_id")))
    return *waves, pd.Series(codes).map({0: "A", 1: "B", 2: "C"})


def test_the_parts_are_kitagawas_and_add_up():
    before, after, segments = two_waves(0)
    table = score_change(before, after, segments).to_frame().set_index("segment")
    own = table.loc[["A", "B", "C"]]
    every = table.loc["(all)"]
    mean_score = (own["score_before"] + own["score_after"]) / 2
    mean_share = (own["share_before"] + own["share_after"]) / 2
    mix = ((own["share_after"] - own["share_before"]) * mean_score).sum()
    rate = (mean_share * (own["score_after"] - own["score_before"])).sum()
    assert every["mix"] == pytest.approx(mix)
    assert every["rate"] == pytest.approx(rate)
    change = stats.nps(after["nps"]).estimate - stats.nps(before["nps"]).estimate
    assert every["change"] == pytest.approx(change)
    np.testing.assert_allclose(own[["mix", "rate"]].sum(axis=1), own["change"])
    np.testing.assert_allclose(
        own[["mix", "rate", "change"]].sum(), every[["mix", "rate", "change"]]
    )
    both = np.hypot(stats.nps(before["nps"]).se, stats.nps(after["nps"]).se)
    assert every["change_se"] == pytest.approx(both)


def test_swapping_the_surveys_swaps_the_signs():
    before, after, segments = two_waves(1)
    there = score_change(before, after, segments).to_frame()
    back = score_change(after, before, segments).to_frame()
    for part in ("mix", "rate", "change"):
        np.testing.assert_allclose(there[part], -back[part], atol=1e-12)
        np.testing.assert_allclose(there[f"{part}_se"], back[f"{part}_se"])


def test_standard_errors_are_the_spread_over_repeated_surveys():
    found = [score_change(*two_waves(seed, 300, 100)).to_frame() for seed in range(150)]
    for part in ("mix", "rate", "change"):
        spread = np.std([table[part] for table in found], axis=0, ddof=1)
        se = np.sqrt(np.mean([table[f"{part}_se"] ** 2 for table in found], axis=0))
        # the spread of 150 draws has a standard error of 6%: three of them
        np.testing.assert_allclose(se, spread, rtol=0.18)


def test_customers_who_answered_twice_count_once():
    before, _, segments = two_waves(2)
    again = score_change(before, before, segments)
    every = again.to_frame().iloc[0]
    assert every["change"] == 0
    assert every["change_se"] == pytest.approx(0, abs=1e-6)  # the root of rounding
    assert "400 customers answered both times" in again.notes[-1]


def test_a_segment_that_is_new_changes_by_mix_alone():
    segments = pd.Series(["A", "A", "A", "B", "B"])
    before = pd.DataFrame({"csat": [5, 4, 1]}, index=[0, 1, 2])
    after = pd.DataFrame({"csat": [5, 4, 2, 2, 5]}, index=range(5))
    found = score_change(before, after, segments, score="csat")
    row = found.to_frame().set_index("segment").loc["B"]
    assert row["rate"] == 0
    assert row["change"] == row["mix"]
    assert any("'B' answered one survey only" in note for note in found.notes)


def test_a_change_needs_the_same_score_in_both():
    before, after, segments = two_waves(0)
    with pytest.raises(ColumnError, match="'ces'"):
        score_change(before, after, segments, score="ces")
    with pytest.raises(ParameterError, match="Did you mean 'nps'"):
        score_change(before, after, segments, score="npss")
    with pytest.raises(DataError, match="outside 0 to 10"):
        score_change(before, after + 5, segments)
