"""The mixed encoder: one column per variable, categories as codes, and back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import custseg as cs
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.features import Encoder, MixedEncoder

REFUSED = {
    "check_complex_data": "the error names the column and says where a number belongs",
    "check_estimators_empty_data_messages": "the error counts rows and columns in its own words",
    "check_dtype_object": "objects are levels, and a level of everybody's own is refused",
}
BANDS = ["low", "middle", "high", "very high"]
KINDS = {
    "age": "numeric",
    "spend": "numeric",
    "visits": "count",
    "web_share": "share",
    "band": "ordinal",
    "stars": "ordinal",
    "region": "nominal",
    "member": "binary",
    "opted_in": "binary",
}


@parametrize_with_checks(
    [MixedEncoder(), MixedEncoder(numbers="range", ordinal="positions")],
    expected_failed_checks=lambda _: REFUSED,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def shoppers(n: int = 300, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    band = rng.choice(BANDS[:3], n, p=[0.5, 0.3, 0.2])
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "spend": rng.lognormal(4, 1.2, n),
            "visits": rng.poisson(1.5, n),
            "web_share": rng.beta(0.6, 0.8, n).round(2),
            "band": pd.Categorical(band, BANDS, ordered=True),
            "stars": rng.choice([1, 2, 4, 5], n, p=[0.1, 0.2, 0.3, 0.4]),
            "region": rng.choice(["North", "South", "West", "Isle"], n, p=[0.5, 0.3, 0.17, 0.03]),
            "member": rng.random(n) < 0.2,
            "opted_in": rng.choice(["yes", "no"], n),
        },
        index=pd.RangeIndex(n, name="customer_id"),
    )


def with_gaps(customers: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    gaps = np.random.default_rng(seed).random(customers.shape) < 0.1
    return customers.convert_dtypes().astype({"band": customers["band"].dtype}).mask(gaps)


def test_numbers_are_standardised_as_the_encoder_does():
    customers = shoppers()
    numbers = ["age", "spend", "visits", "web_share", "band", "stars"]
    known = {name: KINDS[name] for name in numbers}
    expected = Encoder(dictionary=known, winsorize=0.02).fit_transform(customers[numbers])
    mixed = MixedEncoder(dictionary=known, winsorize=0.02).fit(customers[numbers])
    np.testing.assert_allclose(mixed.transform(customers), expected, atol=1e-12)
    assert mixed.categorical_ == []
    assert mixed.encoded_kinds_ == ("numeric",) * 6


def test_every_variable_is_one_column_and_categories_are_codes():
    customers = shoppers()
    encoder = MixedEncoder(dictionary=KINDS).fit(customers)
    matrix = encoder.transform(customers)
    assert matrix.shape == customers.shape
    assert encoder.get_feature_names_out().tolist() == list(customers)
    assert encoder.categorical_ == [6, 7, 8]
    assert encoder.encoded_kinds_[6:] == ("nominal", "binary", "binary")
    assert encoder.levels_["region"] == ("Isle", "North", "South", "West")
    for position in encoder.categorical_:
        values = customers.iloc[:, position].astype(str)
        np.testing.assert_array_equal(matrix[:, position], values.rank(method="dense") - 1)
    np.testing.assert_array_equal(encoder.center_[6:], 0)
    np.testing.assert_array_equal(encoder.scale_[6:], 1)


def test_the_three_forms_of_numbers_and_of_ordinal_levels():
    customers = shoppers()
    ranged = MixedEncoder(numbers="range", ordinal="positions", dictionary=KINDS).fit(customers)
    matrix = ranged.transform(customers)
    for position, name in enumerate(["age", "spend", "visits", "web_share"]):
        values = customers[name]
        expected = (values - values.min()) / (values.max() - values.min())
        np.testing.assert_allclose(matrix[:, position], expected, atol=1e-15)
    codes = customers["band"].cat.codes.to_numpy()
    np.testing.assert_allclose(matrix[:, 4], codes / codes.max())
    np.testing.assert_allclose(matrix[:, 5], (rankdata(customers["stars"], "dense") - 1) / 3)

    levels = MixedEncoder(ordinal="levels", dictionary=KINDS).fit(customers)
    assert levels.encoded_kinds_[4:6] == ("ordinal", "ordinal")
    np.testing.assert_array_equal(levels.transform(customers)[:, 4], codes)
    assert levels.levels_["stars"] == (1.0, 2.0, 4.0, 5.0)

    counted = customers[["visits", "stars"]]
    every = MixedEncoder(numbers="levels", ordinal="levels").fit(counted)
    assert every.encoded_kinds_ == ("nominal", "nominal")
    expected = counted.apply(lambda column: rankdata(column, "dense") - 1)
    np.testing.assert_array_equal(every.transform(counted), expected)


def test_gower_of_the_codes_is_gower_of_the_customers():
    customers = with_gaps(shoppers(60))
    encoder = MixedEncoder(numbers="range", ordinal="positions", dictionary=KINDS).fit(customers)
    columns = [f"x{position}" for position in range(customers.shape[1])]
    encoded = pd.DataFrame(encoder.transform(customers), columns=columns)
    known = dict(zip(columns, encoder.encoded_kinds_, strict=True))
    np.testing.assert_allclose(
        cs.features.gower(encoded, dictionary=known),
        cs.features.gower(customers, dictionary=KINDS),
        atol=1e-12,
    )


def test_missing_values_stay_and_new_levels_equal_none():
    customers = with_gaps(shoppers())
    encoder = MixedEncoder(ordinal="levels", dictionary=KINDS).fit(customers)
    matrix = encoder.transform(customers)
    np.testing.assert_array_equal(np.isnan(matrix), customers.isna())
    np.testing.assert_array_equal(encoder.missing_, customers.isna().sum())
    other = customers.assign(region="East", opted_in="perhaps")
    codes = encoder.transform(other)
    assert set(codes[:, 6]) == {len(encoder.levels_["region"])}
    assert set(codes[:, 8]) == {2}
    assert encoder.inverse_transform(codes)["region"].isna().all()
    with pytest.raises(DataError, match=r"'stars' has the value 3\.0, which was not there"):
        encoder.transform(customers.assign(stars=3.0))


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.floats(0, 1e6) | st.none(),
            st.sampled_from(["North", "South", "West"]) | st.none(),
            st.sampled_from([1, 2, 5]) | st.none(),
        ),
        min_size=3,
        max_size=30,
    ),
    numbers=st.sampled_from(["standardise", "range"]),
    ordinal=st.sampled_from(["ridits", "positions", "levels"]),
)
def test_inverse_transform_returns_the_customers(rows, numbers, ordinal):
    customers = pd.DataFrame(rows, columns=["spend", "region", "stars"])
    kinds = {"spend": "numeric", "region": "nominal", "stars": "ordinal"}
    encoder = MixedEncoder(numbers=numbers, ordinal=ordinal, dictionary=kinds)
    if customers.isna().all().any():
        with pytest.raises(DataError, match="has no value at all"):
            encoder.fit(customers)
        return
    back = encoder.fit(customers).inverse_transform(encoder.transform(customers))
    np.testing.assert_allclose(back["spend"], customers["spend"].astype(float), 1e-7, 1e-6)
    assert back["region"].fillna("").tolist() == customers["region"].fillna("").tolist()
    np.testing.assert_allclose(
        back["stars"].astype(float), customers["stars"].astype(float), atol=1e-9
    )


def test_what_is_inferred_is_said():
    customers = shoppers()
    encoder = MixedEncoder(dictionary={"age": "numeric"}).fit(customers)
    assert encoder.notes[0].startswith("the kind of spend, visits, web_share, band")
    assert "age (numeric: standardised); spend (log1p, standardised)" in repr(encoder)
    assert "region (codes of 4 levels)" in repr(encoder)
    assert MixedEncoder(dictionary=KINDS).fit(customers).notes == ()
    table = MixedEncoder(numbers="range", dictionary=KINDS).fit(customers).to_frame()
    assert table["treatment"].tolist()[:2] == ["over its range"] * 2
    assert table["encoded"].tolist()[-3:] == ["nominal", "binary", "binary"]
    assert repr(MixedEncoder(numbers="range")) == "MixedEncoder(numbers='range')"
    assert clone(encoder).get_params()["dictionary"] == {"age": "numeric"}


def test_columns_are_found_by_name_and_constants_are_nothing():
    customers = shoppers().assign(store=7.0, note="text that is not asked for")
    chosen = [*KINDS, "store"]
    encoder = MixedEncoder(dictionary=KINDS).fit(customers[chosen])
    turned = customers[customers.columns[::-1]]
    np.testing.assert_array_equal(encoder.transform(turned), encoder.transform(customers[chosen]))
    np.testing.assert_array_equal(encoder.transform(customers)[:, -1], 0)
    framed = encoder.set_output(transform="pandas").fit_transform(customers[chosen])
    assert framed.index.equals(customers.index)


@pytest.mark.parametrize(
    ("options", "change", "words"),
    [
        ({}, {"age": np.nan}, "'age' has no value at all. Leave it out"),
        ({}, {"age": pd.date_range("2020-01-01", periods=300)}, "'age' holds dates"),
        ({}, {"spend": np.inf}, "'spend' has 300 infinite"),
        ({}, {"spend": np.where(np.arange(300) < 150, 1e200, -1e200)}, "'spend' has values too l"),
        ({}, {"income": ["20-29", "30-39"] * 150}, "'income' holds text that looks like bands"),
        ({}, {"name": [f"Ann {i}" for i in range(300)]}, "'name' has 300 different values for 300"),
        ({"numbers": "levels"}, {}, r"'age' has \d+ different numbers, of which two"),
        ({"numbers": "levels"}, {"age": np.inf}, "'age' has 300 infinite"),
    ],
)
def test_bad_columns_are_named(options, change, words):
    known = {name: kind for name, kind in KINDS.items() if name != "income"}
    customers = shoppers().assign(**change)
    with pytest.raises(DataError, match=words):
        MixedEncoder(dictionary=known, **options).fit(customers)


def test_text_of_any_number_of_levels_is_taken_when_it_is_called_a_category():
    names = pd.DataFrame({"name": [f"Ann {i}" for i in range(80)]})
    encoder = MixedEncoder(dictionary={"name": "nominal"}).fit(names)
    assert len(encoder.levels_["name"]) == 80


def test_bad_parameters_and_tables():
    customers = shoppers()
    for options, words in (
        ({"numbers": "ranges"}, "Did you mean 'range'"),
        ({"ordinal": "ridit"}, "Did you mean 'ridits'"),
        ({"winsorize": 0.5}, "winsorize is 0.5"),
        ({"max_skewness": -1}, "max_skewness is -1"),
    ):
        with pytest.raises(ParameterError, match=words):
            MixedEncoder(**options).fit(customers)
    with pytest.raises(DataError, match="is empty: 0 rows"):
        MixedEncoder().fit(customers.iloc[:0])
    encoder = MixedEncoder(dictionary=KINDS).fit(customers)
    with pytest.raises(ColumnError, match="Did you mean 'regions'"):
        encoder.transform(customers.rename(columns={"region": "regions"}))
    with pytest.raises(DataError, match=r"9 columns are needed, not the shape \(2, 3\)"):
        encoder.inverse_transform(np.ones((2, 3)))
    with pytest.raises(DataError, match="'spend' has the negative value -3"):
        encoder.transform(customers.assign(spend=-3.0))
