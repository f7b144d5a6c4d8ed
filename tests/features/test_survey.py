"""Survey features against a person-by-person count and the shop's planted attitudes."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import custseg as cs
from custseg import errors
from custseg.features.dictionary import describe_columns
from custseg.features.scales import person_center, reverse_code, scale_reliability
from custseg.features.survey import survey_features
from custseg.stats.scores import cronbach_alpha

ATTITUDES = ["price_consciousness", "service_orientation", "shopping_enjoyment"]
SCALES = {name: [f"{name}_{number}" for number in (1, 2, 3, 4)] for name in ATTITUDES}
REVERSED = [f"{name}_4" for name in ATTITUDES]
ITEMS = [item for items in SCALES.values() for item in items]
BENEFITS = [
    f"benefit_{name}"
    for name in ("low_price", "quality", "convenience", "advice", "range", "sustainability")
]
ROLES = {
    "customer_id": "customer_id",
    "timestamp": "responded",
    "items": [*ITEMS, *BENEFITS],
    "nps": "nps",
    "csat": "csat",
    "ces": "ces",
    "comment": "comment",
}
DECLARED = {"scales": SCALES, "reverse": REVERSED, "importance": BENEFITS}


def small(n: int = 12, seed: int = 0, missing: float = 0.2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    answers = rng.integers(1, 8, (n, 5)).astype(float)
    answers[rng.random((n, 5)) < missing] = np.nan
    frame = pd.DataFrame(answers, columns=["bargain", "coupon", "splurge", "advice", "speed"])
    frame.insert(0, "who", [f"C{i:03d}" for i in range(n)])
    frame["when"] = pd.Timestamp("2024-11-01") + pd.to_timedelta(rng.integers(0, 20, n), unit="D")
    return frame.assign(recommend=rng.integers(0, 11, n))


SMALL_ROLES = {
    "customer_id": "who",
    "timestamp": "when",
    "nps": "recommend",
    "items": ["bargain", "coupon", "splurge", "advice", "speed"],
}
SMALL = {
    "scales": {"thrift": ["bargain", "coupon", "splurge"]},
    "reverse": ["splurge"],
    "importance": ["advice", "speed"],
}


def by_hand(frame: pd.DataFrame, style: str, importance: str) -> pd.DataFrame:
    """Score person by person with loops over single answers."""
    rows = {}
    for person in sorted(frame.to_dict("records"), key=lambda person: person["who"]):
        known = {k: person[k] for k in ("bargain", "coupon", "splurge") if person[k] == person[k]}
        mean = sum(known.values()) / len(known) if known else np.nan
        spread = (sum((x - mean) ** 2 for x in known.values()) / max(len(known), 1)) ** 0.5
        scored = []
        for item, x in known.items():
            if style == "keep":
                scored.append(8 - x if item == "splurge" else x)
            else:
                away = mean - x if item == "splurge" else x - mean
                scored.append(away if style == "center" else (away / spread if spread else np.nan))
        thrift = sum(scored) / len(scored) if len(scored) >= 2 else np.nan
        rated = [person[k] for k in ("advice", "speed") if person[k] == person[k]]
        values = []
        for item in ("advice", "speed"):
            x = person[item]
            if importance == "centered":
                x = x - sum(rated) / len(rated) if rated else np.nan
            elif importance == "share":
                points = sum(r - 1 for r in rated)
                x = (x - 1) / points if points else 1 / max(len(rated), 1) + 0 * x
            values.append(x)
        rows[person["who"]] = [thrift, *values, float(person["recommend"])]
    names = ["thrift", "advice", "speed", "nps"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names).rename_axis("customer_id")


@pytest.mark.parametrize("style", ["keep", "center", "standardize"])
@pytest.mark.parametrize("importance", ["rating", "centered", "share"])
def test_equal_to_a_count_by_hand(style, importance):
    frame = small(60)
    found = survey_features(
        cs.Survey(frame, **SMALL_ROLES), response_style=style, importance_as=importance, **SMALL
    )
    assert found["thrift"].isna().any()
    pd.testing.assert_frame_equal(
        found, by_hand(frame, style, importance), check_exact=False, rtol=1e-12, atol=1e-12
    )


def test_the_shop_has_three_reliable_attitudes(shop):
    survey = cs.Survey(shop.survey, **ROLES)
    found = scale_reliability(survey, scales=SCALES, reverse=REVERSED)
    assert list(found.scales["scale"]) == ATTITUDES
    assert found.scales["alpha"].between(0.78, 0.92).all()
    assert (found.scales["n"] == len(shop.survey)).all()
    assert (found.items["item_rest"] > 0.45).all()
    assert found.notes == ()


def test_taking_response_style_off_comes_closer_to_the_planted_attitudes(shop):
    survey = cs.Survey(shop.survey, **ROLES)
    truth = shop.truth.set_index("customer_id")
    right = {}
    for style in ("keep", "center", "standardize"):
        found = survey_features(survey, response_style=style, **DECLARED)
        right[style] = np.array([found[name].corr(truth[name]) for name in ATTITUDES])
    assert (right["keep"] > 0.87).all()
    assert (right["center"] > right["keep"] + 0.004).all()
    assert (right["standardize"] > right["center"] + 0.004).all()


def test_centring_after_turning_round_would_take_opinions_off(shop):
    answers, truth = shop.survey.set_index("customer_id"), shop.truth.set_index("customer_id")
    wrong = person_center(reverse_code(answers[ITEMS], REVERSED))
    for name, items in SCALES.items():
        kept = reverse_code(answers[items], REVERSED[ATTITUDES.index(name) :][:1]).mean(axis=1)
        assert wrong[items].mean(axis=1).corr(truth[name]) < kept.corr(truth[name])


def test_scores_do_not_depend_on_acquiescence_once_centred(shop):
    style = shop.truth.set_index("customer_id")["acquiescence"]
    survey = cs.Survey(shop.survey, **ROLES)
    scored = {
        name: survey_features(survey, response_style=name, **DECLARED)[ATTITUDES].mean(axis=1)
        for name in ("keep", "center")
    }
    assert scored["keep"].corr(style) > 0.3
    assert abs(scored["center"].corr(style)) < 0.15


def test_benefits_follow_the_planted_attitudes(shop):
    survey = cs.Survey(shop.survey, **ROLES)
    truth = shop.truth.set_index("customer_id")
    rating = survey_features(survey, **DECLARED)
    share = survey_features(survey, importance_as="share", **DECLARED)
    drivers = {
        "benefit_low_price": "price_consciousness",
        "benefit_advice": "service_orientation",
        "benefit_range": "shopping_enjoyment",
    }
    for benefit, attitude in drivers.items():
        assert share[benefit].corr(truth[attitude]) > 0.5
        assert rating[benefit].corr(truth[attitude]) > 0.5
    np.testing.assert_allclose(share[BENEFITS].sum(axis=1), 1)


def test_columns_and_dictionary(shop):
    survey = cs.Survey(shop.survey, **ROLES)
    found = survey_features(survey, themes={"service": ["staff", "advice"]}, **DECLARED)
    assert list(found) == [*ATTITUDES, *BENEFITS, "nps", "csat", "ces", "theme_service"]
    described = describe_columns(found).set_index("column")
    assert list(described.loc[ATTITUDES, "family"].unique()) == ["psychographic"]
    assert list(described.loc[BENEFITS, "family"].unique()) == ["benefits"]
    assert list(described.loc[["nps", "csat", "ces"], "family"].unique()) == ["satisfaction"]
    assert described.loc["nps", "kind"] == "ordinal"
    assert described.loc["theme_service", "kind"] == "binary"
    assert "price_consciousness_4 reversed" in described.loc["price_consciousness", "definition"]
    assert "at least 2 answered" in described.loc["price_consciousness", "definition"]
    assert (described["as_of"] == "2024-11-24").all()
    assert found.index.is_unique
    assert found.index.name == "customer_id"
    assert found.index.is_monotonic_increasing


def test_items_in_no_scale_stay_as_answered():
    frame = small()
    found = survey_features(cs.Survey(frame, **SMALL_ROLES))
    assert list(found) == [*SMALL_ROLES["items"], "nps"]
    pd.testing.assert_series_equal(
        found["coupon"], frame.set_index("who")["coupon"].rename_axis("customer_id")
    )
    assert set(describe_columns(found)["kind"]) == {"ordinal"}


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 19))
def test_nothing_later_than_as_of_leaks_in(seed, day):
    as_of = pd.Timestamp("2024-11-01") + pd.Timedelta(days=day)
    known = small(30, seed)[lambda frame: frame["when"] <= as_of]
    if known.empty:
        return
    later = small(30, seed + 1)[lambda frame: frame["when"] > as_of].assign(
        splurge=7.0, bargain=1.0
    )
    before = survey_features(cs.Survey(known, **SMALL_ROLES), as_of=as_of, **SMALL)
    after = survey_features(
        cs.Survey(pd.concat([known, later]), **SMALL_ROLES), as_of=as_of, **SMALL
    )
    pd.testing.assert_frame_equal(before, after)
    assert after.attrs["as_of"] == as_of.date().isoformat()


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["keep", "center", "standardize"]))
def test_row_order_changes_nothing(seed, style):
    frame = small(20, seed)
    expected = survey_features(cs.Survey(frame, **SMALL_ROLES), response_style=style, **SMALL)
    shuffled = frame.sample(frac=1, random_state=seed)
    found = survey_features(cs.Survey(shuffled, **SMALL_ROLES), response_style=style, **SMALL)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@given(st.integers(0, 10_000))
def test_reversing_twice_is_the_identity(seed):
    answers = small(10, seed)[["bargain", "splurge"]]
    pd.testing.assert_frame_equal(
        reverse_code(reverse_code(answers, ["splurge"]), ["splurge"]), answers
    )


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(-20, 20))
def test_a_shift_of_the_scale_shifts_scores_and_not_centred_ones(seed, shift):
    frame = small(15, seed)
    shifted = frame.copy()
    shifted[SMALL_ROLES["items"]] += shift
    for style, want in (("keep", shift), ("center", 0), ("standardize", 0)):
        found, moved = (
            survey_features(
                cs.Survey(rows, **SMALL_ROLES),
                response_style=style,
                answer_range=(1 + step, 7 + step),
                **SMALL,
            )["thrift"]
            for rows, step in ((frame, 0), (shifted, shift))
        )
        np.testing.assert_allclose(moved, found + want, atol=1e-9)


@given(st.integers(0, 10_000))
def test_a_personal_shift_does_not_change_centred_scores(seed):
    rng = np.random.default_rng(seed)
    answers = pd.DataFrame(rng.integers(3, 6, (9, 4)), columns=list("abcd"))
    shifted = answers.add(rng.integers(-2, 3, 9), axis=0)
    np.testing.assert_allclose(person_center(shifted), person_center(answers), atol=1e-12)


@pytest.mark.parametrize(("min_answered", "scored"), [(0.01, 3), (0.5, 2), (0.67, 1), (1.0, 1)])
def test_the_stated_minimum_of_answers_makes_a_score(min_answered, scored):
    frame = pd.DataFrame(
        {
            "who": [1, 2, 3, 4],
            "bargain": [5, 5, 5, None],
            "coupon": [4, 4, None, None],
            "splurge": [2, None, None, None],
        }
    )
    survey = cs.Survey(frame, customer_id="who", items=["bargain", "coupon", "splurge"])
    found = survey_features(
        survey, scales=SMALL["scales"], reverse=["splurge"], min_answered=min_answered
    )
    assert found["thrift"].notna().sum() == scored
    assert found["thrift"].iloc[0] == 5


def test_who_answers_all_alike_has_no_standardised_score():
    frame = small(6, missing=0).assign(bargain=4.0, coupon=4.0, splurge=4.0)
    found = survey_features(cs.Survey(frame, **SMALL_ROLES), response_style="standardize", **SMALL)
    assert found["thrift"].isna().all()
    found = survey_features(cs.Survey(frame, **SMALL_ROLES), response_style="center", **SMALL)
    assert (found["thrift"] == 0).all()


def test_ranges_by_item():
    frame = small(8, missing=0).assign(advice=lambda rows: rows["advice"].clip(upper=5))
    ranges = dict.fromkeys(["bargain", "coupon", "splurge"], (1, 7)) | {"advice": (0, 5)}
    declared = SMALL | {"importance": ["advice"]}
    found = survey_features(
        cs.Survey(frame, **SMALL_ROLES), answer_range=ranges, importance_as="share", **declared
    )
    assert (found["advice"] == 1).all()
    mixed = ranges | {"coupon": (1, 5)}
    with pytest.raises(errors.ParameterError, match="'thrift' mixes answers 1 to 5 and 1 to 7"):
        survey_features(cs.Survey(frame, **SMALL_ROLES), answer_range=mixed, **declared)


def test_a_survey_without_dates_says_so():
    roles = {role: name for role, name in SMALL_ROLES.items() if role != "timestamp"}
    found = survey_features(cs.Survey(small(), **roles), as_of="2024-12-01", **SMALL)
    described = describe_columns(found)
    assert described["source"].str.contains("undated").all()
    assert (described["as_of"] == "2024-12-01").all()


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # called by ibis
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
@pytest.mark.parametrize("engine", ["polars", "pyarrow", "path", "relation", "ibis"])
def test_every_engine_gives_the_same_table(shop, tmp_path, engine):
    answers = shop.survey.head(300)
    path = tmp_path / "survey.parquet"
    duckdb.from_df(answers).write_parquet(str(path))
    if engine in ("polars", "pyarrow"):
        polars = pytest.importorskip("polars")
        data = polars.from_pandas(answers)
        data = data.to_arrow() if engine == "pyarrow" else data
    elif engine == "ibis":
        data = pytest.importorskip("ibis").duckdb.connect().read_parquet(path)
    else:
        data = path if engine == "path" else duckdb.from_df(answers)
    options = {"response_style": "center", "themes": 4, **DECLARED}
    expected = survey_features(cs.Survey(answers, **ROLES), **options)
    found = survey_features(cs.Survey(data, **ROLES), **options)
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-12)


def test_reliability_equals_the_pure_function_and_a_deletion_by_hand():
    frame = small(40, missing=0.05)
    found = scale_reliability(
        cs.Survey(frame, **SMALL_ROLES), scales=SMALL["scales"], reverse=["splurge"]
    )
    keyed = frame[["bargain", "coupon", "splurge"]].assign(splurge=8 - frame["splurge"]).dropna()
    alpha = cronbach_alpha(keyed)
    row = found.scales.iloc[0]
    assert tuple(row[["alpha", "ci_low", "ci_high", "n"]]) == alpha[:4]
    pairs = keyed.corr().to_numpy()[np.triu_indices(3, 1)]
    assert row["mean_correlation"] == pytest.approx(pairs.mean())
    items = found.to_frame().set_index("item")
    for item in keyed:
        rest = keyed.drop(columns=item)
        assert items.loc[item, "item_rest"] == pytest.approx(keyed[item].corr(rest.sum(axis=1)))
        want = cronbach_alpha(rest).estimate
        assert items.loc[item, "alpha_if_deleted"] == pytest.approx(want)
        assert items.loc[item, "n"] == frame[item].notna().sum()
    assert items["reversed"].tolist() == [False, False, True]
    left_out = len(frame) - len(keyed)
    assert found.notes[0].startswith(f"thrift: {left_out} of 40 customers left an item out")


def test_a_forgotten_reversal_is_named(shop):
    found = scale_reliability(cs.Survey(shop.survey, **ROLES), scales=SCALES)
    assert all("_4 runs against the other items" in note for note in found.notes)
    assert "name it in reverse" in found.notes[0]
    found = scale_reliability(
        cs.Survey(shop.survey, **ROLES),
        scales={"price": SCALES["price_consciousness"]},
        reverse=["price_consciousness_1", "price_consciousness_4"],
    )
    assert "price_consciousness_1 runs against" in found.notes[0]
    assert "take it out of reverse" in found.notes[0]


def test_items_that_everybody_answers_alike():
    frame = small(10, missing=0).assign(bargain=4.0)
    survey = cs.Survey(frame, **SMALL_ROLES)
    found = scale_reliability(survey, scales=SMALL["scales"])
    assert np.isnan(found.to_frame().set_index("item").loc["bargain", "item_rest"])
    assert any("everybody answered bargain alike" in note for note in found.notes)
    survey = cs.Survey(frame.assign(coupon=4.0, splurge=4.0), **SMALL_ROLES)
    found = scale_reliability(survey, scales=SMALL["scales"])
    assert found.scales["alpha"].isna().all()
    assert "alpha is undefined" in found.notes[0]
    assert "thrift undefined" in found.summary()


def test_reliability_can_be_drawn(shop):
    found = scale_reliability(cs.Survey(shop.survey, **ROLES), scales=SCALES, reverse=REVERSED)
    ax = found.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ITEMS
    assert "Cronbach's alpha: price_consciousness 0.90" in repr(found)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            pd.concat([small(5), small(2)]),
            r"2 customers answered more than once \(4 responses\).*clean",
        ),
        (small(5).assign(who=["a", "b", None, "d", "e"]), "1 responses without customer_id"),
        (small(5).assign(when=pd.NaT), "5 responses without timestamp"),
        (small(5).assign(coupon=99.0), "'coupon' is 99 in one of 5 responses outside 1 to 7"),
        (small(5).assign(advice=0.0), "'advice' is 0 in one of 5 responses outside 1 to 7"),
        (small(5).assign(recommend=11), "'nps' is 11 in one of 5 responses outside 0 to 10"),
        (small(5).assign(coupon="agree"), "item 'coupon' of the survey holds String"),
    ],
)
def test_bad_answers_are_refused(frame, words):
    frame = frame.assign(when=pd.to_datetime(frame["when"]))
    with pytest.raises(errors.DataError, match=words):
        survey_features(cs.Survey(frame, **SMALL_ROLES), **SMALL)


def test_a_date_before_all_answers_is_refused():
    with pytest.raises(errors.DataError, match="nobody answered by 2001-01-01"):
        survey_features(cs.Survey(small(), **SMALL_ROLES), as_of="2001-01-01", **SMALL)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"scales": {"thrift": ["bargian"]}}, errors.ColumnError, "Did you mean 'bargain'"),
        ({"importance": ["speeed"]}, errors.ColumnError, "Did you mean 'speed'"),
        (
            {"scales": {"thrift": ["bargain"]}, "reverse": ["coupon"]},
            errors.ColumnError,
            "the scales' list of items has no column 'coupon'",
        ),
        ({"scales": {"thrift": "bargain"}}, errors.ParameterError, "must be a list of columns"),
        ({"scales": {"thrift": []}}, errors.ParameterError, "each of its items once"),
        ({"scales": ["bargain"]}, errors.ParameterError, "scales must name the items"),
        ({"scales": {"nps": ["bargain"]}}, errors.ParameterError, "two columns would be named"),
        ({"response_style": "centre"}, errors.ParameterError, "Did you mean 'center'"),
        ({"importance_as": "shares"}, errors.ParameterError, "Did you mean 'share'"),
        ({"min_answered": 0}, errors.ParameterError, "min_answered is 0"),
        (
            {"scales": {"thrift": ["bargain"]}, "answer_range": (7, 1)},
            errors.ParameterError,
            "answer_range is 7 to 1",
        ),
        (
            {"scales": {"thrift": ["bargain", "coupon"]}, "response_style": "center"},
            errors.ParameterError,
            "nothing of the opinion is left",
        ),
    ],
)
def test_bad_parameters_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        survey_features(cs.Survey(small(), **SMALL_ROLES), **options)


def test_what_was_not_named_is_asked_for():
    survey = cs.Survey(small(), customer_id="who")
    with pytest.raises(errors.ParameterError, match="nothing to make features of"):
        survey_features(survey)
    with pytest.raises(errors.ColumnError, match="scales need the role items"):
        survey_features(survey, scales=SMALL["scales"])
    with pytest.raises(errors.ColumnError, match="comment_themes needs the role comment"):
        survey_features(survey, themes=3)
