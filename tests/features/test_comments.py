"""Themes of comments: planted ones are found, keywords are counted, order changes nothing."""

import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg import errors
from custseg.features.comments import comment_themes

TOPICS = {
    "price": ["cheap", "discount", "voucher", "bargain", "expensive"],
    "staff": ["advice", "friendly", "staff", "helpful", "knows"],
    "delivery": ["parcel", "courier", "late", "delivery", "box"],
}


def planted(n: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 3, n)
    said = []
    for number in topic:
        own = rng.choice(list(TOPICS.values())[number], 4, replace=False)
        other = rng.choice(list(TOPICS.values())[rng.integers(0, 3)], 1)
        said.append(f"The {' and '.join([*own, *other])}, I think!")
    return pd.DataFrame({"who": [f"C{i:03d}" for i in range(n)], "said": said}), topic


def survey(frame: pd.DataFrame) -> cs.Survey:
    return cs.Survey(frame, customer_id="who", comment="said")


def test_planted_topics_are_found():
    frame, topic = planted()
    found = comment_themes(survey(frame), 3)
    main = found.weights.to_numpy().argmax(axis=1)
    table = pd.crosstab(main, topic).to_numpy()
    assert table.max(axis=1).sum() / table.sum() > 0.97
    for row in found.to_frame().itertuples():
        (own,) = [words for words in TOPICS.values() if row.words.split(", ")[0] in words]
        assert set(row.theme.split("_")) <= set(own)


def test_weights_are_shares_in_canonical_order():
    found = comment_themes(survey(planted()[0]), 3)
    assert ((found.weights >= 0) & (found.weights <= 1)).all(axis=None)
    assert found.weights.sum(axis=1).max() <= 1 + 1e-12
    table = found.to_frame()
    assert table["customers"].is_monotonic_decreasing
    assert list(found.weights) == [f"theme_{name}" for name in table["theme"]]
    about = (found.weights >= 0.25).sum()
    assert about.tolist() == table["customers"].tolist()


def test_row_order_changes_nothing():
    frame = planted()[0]
    expected = comment_themes(survey(frame), 3)
    found = comment_themes(survey(frame.sample(frac=1, random_state=5)), 3)
    pd.testing.assert_frame_equal(found.weights, expected.weights, check_exact=True)
    pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame())


def test_silence_is_missing_and_rare_words_are_not_shown():
    frame, _ = planted()
    frame.loc[0, "said"] = None
    frame.loc[1, "said"] = "   "
    frame.loc[2, "said"] = "Ask Zebedee"
    found = comment_themes(survey(frame), 3)
    assert found.weights.iloc[:2].isna().all(axis=None)
    assert (found.weights.iloc[2] == 0).all()
    assert "298 comments" in found.summary()
    assert "zebedee" not in repr(found)


def test_keywords_are_counted_as_whole_words():
    frame = pd.DataFrame(
        {
            "who": [1, 2, 3, 4, 5],
            "said": ["Prices!", "surprise", "A PRICE too high", "too  high", None],
        }
    )
    found = comment_themes(survey(frame), {"price": ["price*"], "money": ["too high", "cheap"]})
    assert found.weights["theme_price"].tolist()[:4] == [1, 0, 1, 0]
    assert found.weights["theme_money"].tolist()[:4] == [0, 0, 1, 0]
    assert found.weights.loc[5].isna().all()
    assert found.to_frame()["customers"].tolist() == [2, 1]
    assert found.to_frame()["share"].tolist() == [0.5, 0.25]
    assert found.notes == (
        "no comment has 'cheap'.",
        "2 of 4 comments have none of the keywords.",
    )


def test_keywords_are_no_patterns():
    frame = pd.DataFrame({"who": [1, 2], "said": ["a (b", "axb"]})
    found = comment_themes(survey(frame), {"odd": ["a (b"], "dot": ["a.b"]})
    assert found.weights.loc[1, "theme_odd"] == 1
    assert found.weights["theme_dot"].tolist() == [0, 0]


def test_own_stop_words():
    frame = planted()[0]
    found = comment_themes(survey(frame), 3, stop_words=["the", "and", "Think", "staff"])
    words = ", ".join(found.to_frame()["words"]).split(", ")
    assert not {"and", "think", "staff"} & set(words)


def test_comments_after_as_of_do_not_count():
    frame = planted()[0].assign(when=pd.Timestamp("2024-11-05"))
    later = planted(50, seed=9)[0].assign(
        when=pd.Timestamp("2024-11-06"), who=[f"Z{i}" for i in range(50)]
    )
    roles = {"customer_id": "who", "timestamp": "when", "comment": "said"}
    before = comment_themes(cs.Survey(frame, **roles), 3, as_of="2024-11-05")
    after = comment_themes(cs.Survey(pd.concat([later, frame]), **roles), 3, as_of="2024-11-05")
    pd.testing.assert_frame_equal(before.weights, after.weights)


def test_the_shop_talks_of_what_it_was_made_to_talk_of(shop):
    told = cs.Survey(shop.survey, customer_id="customer_id", comment="comment")
    found = comment_themes(
        told, {"price": ["discount", "price*", "voucher*"], "advice": ["advice", "staff"]}
    )
    truth = shop.truth.set_index("customer_id")
    assert found.weights["theme_price"].corr(truth["price_consciousness"]) > 0.4
    assert found.weights["theme_advice"].corr(truth["service_orientation"]) > 0.15
    free = comment_themes(told, 8)
    assert free.weights.shape == (len(shop.survey), 8)
    assert "themes account for" in free.notes[0]


def test_it_can_be_drawn():
    found = comment_themes(survey(planted()[0]), 3)
    assert len(found.plot().patches) == 3


@pytest.mark.parametrize(
    ("frame", "themes", "error", "words"),
    [
        (planted()[0].assign(said=None), 3, errors.DataError, "nobody wrote a comment"),
        (planted()[0], 40, errors.DataError, "40 themes were asked of 300 comments with"),
        (planted(4)[0], 2, errors.DataError, "no word but stop words is used by 5 customers"),
        (planted()[0], 0, errors.ParameterError, "themes is 0"),
        (planted()[0], {}, errors.ParameterError, "themes names no theme"),
        (planted()[0], {"price": []}, errors.ParameterError, "needs keywords with letters"),
        (planted()[0], {"price": ["*"]}, errors.ParameterError, "needs keywords with letters"),
        (planted()[0], {"price": "cheap"}, errors.ParameterError, "must be a list"),
    ],
)
def test_bad_input_is_refused(frame, themes, error, words):
    frame = frame.astype({"said": "str"}) if frame["said"].notna().any() else frame
    with pytest.raises(error, match=words):
        comment_themes(survey(frame), themes)


def test_the_role_is_needed():
    with pytest.raises(errors.ColumnError, match="comment_themes needs the role comment"):
        comment_themes(cs.Survey(planted()[0], customer_id="who"))
