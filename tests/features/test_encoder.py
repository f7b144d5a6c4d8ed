"""The encoder: what it does with each column, and back again."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import skew
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from custseg.errors import ColumnError, DataError, ParameterError
from custseg.features.encoder import Encoder, numeric_matrix


def shoppers(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "monetary": rng.lognormal(4, 1.2, n),
            "balance": rng.normal(0, 100, n) ** 3,
            "member": rng.random(n) < 0.03,
            "store": 7,
        },
        index=pd.RangeIndex(n, name="customer_id"),
    )


def test_the_treatment_of_every_column_is_chosen_by_the_stated_rule():
    customers = shoppers()
    encoder = Encoder().fit(customers)
    assert encoder.to_frame()["treatment"].tolist() == [
        "standardised",
        "log1p, standardised",
        "standardised",  # it has negative values
        "standardised",  # it has two values only
        "constant, encoded as 0",
    ]
    assert encoder.constant_ == ["store"]
    numbers = customers.astype(float)
    np.testing.assert_allclose(encoder.skewness_, [*skew(numbers.iloc[:, :4]), 0], rtol=1e-10)
    assert repr(encoder) == (
        "Encoder: age (standardised); monetary (log1p, standardised); balance (standardised); "
        "member (standardised); store (constant, encoded as 0)\n"
        "note: the kind of age, monetary, balance, member, store was inferred from the type; "
        "Encoder(dictionary=...) states it."
    )
    assert encoder._repr_mimebundle_() == {"text/plain": repr(encoder)}


def test_the_matrix_is_scikit_learns_scaler_after_the_logarithm():
    customers = shoppers()
    numbers = customers.astype(float)
    numbers["monetary"] = np.log1p(numbers["monetary"])
    expected = StandardScaler().fit_transform(numbers)
    np.testing.assert_allclose(Encoder().fit_transform(customers), expected, rtol=0, atol=1e-12)


def test_a_logarithm_that_makes_it_worse_is_not_taken():
    spend = pd.DataFrame({"spend": [0.0, *range(95, 115), 240.0]})
    assert skew(spend["spend"]) > 1
    assert skew(np.log1p(spend["spend"])) < -skew(spend["spend"])
    assert not Encoder().fit(spend).logged_.any()
    without_zero = spend.iloc[1:]
    assert Encoder().fit(without_zero).logged_.all()
    assert not Encoder(max_skewness=float("inf")).fit(without_zero).logged_.any()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6), st.booleans()), min_size=2, max_size=40
    )
)
def test_inverse_transform_returns_the_customers(rows):
    customers = pd.DataFrame(rows, columns=["spend", "margin", "member"])
    encoder = Encoder().fit(customers)
    back = encoder.inverse_transform(encoder.transform(customers))
    np.testing.assert_allclose(back, customers.astype(float), rtol=1e-7, atol=1e-6)


def test_columns_are_found_by_name_and_nullable_types_are_numbers():
    customers = shoppers()
    encoder = Encoder().fit(customers)
    nullable = customers.astype({"age": "Int64", "member": "boolean", "monetary": "Float64"})
    nullable["note"] = "text that is not asked for"
    np.testing.assert_array_equal(
        encoder.transform(nullable[nullable.columns[::-1]]), encoder.transform(customers)
    )
    assert encoder.get_feature_names_out().tolist() == list(customers.columns)


def test_it_is_a_scikit_learn_transformer():
    encoder = Encoder(max_skewness=2.5)
    assert clone(encoder).get_params()["max_skewness"] == 2.5
    assert repr(encoder) == "Encoder(max_skewness=2.5)"
    customers = shoppers()
    framed = encoder.set_output(transform="pandas").fit_transform(customers)
    assert framed.index.equals(customers.index)
    assert framed.columns.tolist() == list(customers.columns)
    array = Encoder().fit(customers[["age", "monetary"]].to_numpy())
    assert array.feature_names_in_.tolist() == ["x0", "x1"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"age": ["young"] * 200}, ["'age'", "text", "'young'", "pandas.to_numeric"]),
        ({"age": pd.date_range("2020-01-01", periods=200)}, ["'age'", "dates", "days first"]),
        ({"age": [np.nan, np.nan, *range(198)]}, ["'age'", "2 missing (NaN) of 200", "Fill"]),
        ({"age": [np.inf, np.nan, *range(198)]}, ["1 missing (NaN) and 1 infinite of 200"]),
        ({"age": [1e200, -1.0, *range(198)]}, ["'age'", "too large"]),
        ({"age": np.arange(200) * 1j}, ["'age'", "where a number belongs"]),
    ],
)
def test_bad_columns_are_named(change, words):
    with pytest.raises(DataError) as caught:
        Encoder().fit(shoppers().assign(**change))
    for word in words:
        assert word in str(caught.value)


def test_bad_tables_and_parameters():
    with pytest.raises(DataError, match="0 rows, 5 columns"):
        Encoder().fit(shoppers().iloc[:0])
    with pytest.raises(DataError, match="not 1 dimensions"):
        Encoder().fit([1, 2, 3])
    with pytest.raises(DataError, match="sparse input is not supported"):
        Encoder().fit(csr_array(np.eye(3)))
    with pytest.raises(DataError, match="X has 3 features, but Encoder is expecting 2"):
        Encoder().fit(np.eye(2)).transform(np.eye(3))
    with pytest.raises(DataError, match=r"5 columns are needed, not the shape \(2, 4\)"):
        Encoder().fit(shoppers()).inverse_transform(np.ones((2, 4)))
    encoder = Encoder().fit(shoppers())
    with pytest.raises(ColumnError, match=r"no column 'monetary'\. Did you mean 'monetry'"):
        encoder.transform(shoppers().rename(columns={"monetary": "monetry"}))
    with pytest.raises(DataError, match="'monetary' has the negative value -3"):
        encoder.transform(shoppers().assign(monetary=-3.0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_skewness": -1}, "max_skewness is -1"),
        ({"winsorize": 0.5}, "winsorize is 0.5"),
        ({"min_frequency": 1}, "min_frequency is 1"),
        ({"missing": "imputed"}, "Did you mean 'impute'"),
        ({"family_weights": "equal"}, "family_weights is 'equal'"),
        ({"family_weights": {"value": 0}}, "the weight of the family 'value' is 0"),
        ({"family_weights": "balanced"}, "5 have none: 'age', 'monetary'"),
        ({"dictionary": ["age"]}, "dictionary is a list"),
    ],
)
def test_bad_parameters_are_named(options, words):
    with pytest.raises(ParameterError, match=words):
        Encoder(**options).fit(shoppers())


def test_a_table_without_columns_has_an_empty_matrix():
    assert numeric_matrix(pd.DataFrame(index=range(3))).shape == (3, 0)
