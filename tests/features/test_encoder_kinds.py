"""The encoder on variables of every kind: what it does, what it weighs, and back again."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import custseg as cs
from custseg.errors import DataError, ParameterError
from custseg.features.dictionary import Column, attach, describe_columns
from custseg.features.encoder import Encoder

INCOMES = ["low", "middle", "high", "very high"]
REFUSED = {
    "check_complex_data": "the error names the column and says where a number belongs",
    "check_dtype_object": "numbers kept as objects are refused: nobody said what they are",
    "check_estimators_empty_data_messages": "the error counts rows and columns in its own words",
}


@parametrize_with_checks(
    [Encoder(), Encoder(missing="impute", winsorize=0.05)],
    expected_failed_checks=lambda _: REFUSED,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


DICTIONARY = {
    "age": {"family": "demographic", "kind": "numeric"},
    "spend": {"family": "value", "kind": "numeric"},
    "visits": {"family": "journey", "kind": "count"},
    "web_share": {"family": "journey", "kind": "share"},
    "income": {"family": "demographic", "kind": "ordinal"},
    "stars": {"family": "satisfaction", "kind": "ordinal"},
    "region": {"family": "geographic", "kind": "nominal"},
    "member": {"family": "journey", "kind": "binary"},
    "opted_in": {"family": "journey", "kind": "binary"},
}


def shoppers(n: int = 400, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    income = rng.choice(INCOMES[:3], n, p=[0.5, 0.3, 0.2])
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "spend": rng.lognormal(4, 1.2, n),
            "visits": rng.poisson(1.5, n),
            "web_share": rng.beta(0.6, 0.8, n).round(2),
            "income": pd.Categorical(income, INCOMES, ordered=True),
            "stars": rng.choice([1, 2, 4, 5], n, p=[0.1, 0.2, 0.3, 0.4]),
            "region": rng.choice(["North", "South", "West", "Isle"], n, p=[0.5, 0.3, 0.192, 0.008]),
            "member": rng.random(n) < 0.2,
            "opted_in": rng.choice(["yes", "no"], n),
        },
        index=pd.RangeIndex(1, n + 1, name="customer_id"),
    )


def with_gaps(seed: int = 4) -> pd.DataFrame:
    customers = shoppers()
    rng = np.random.default_rng(seed)
    silent = rng.random(len(customers)) < 0.4
    customers["stars"] = customers["stars"].where(~silent)
    customers["web_share"] = customers["web_share"].where(~silent)
    for name in ("age", "income", "region", "member"):
        customers[name] = customers[name].where(rng.random(len(customers)) < 0.9)
    return customers.astype({"member": "boolean"})


def fitted(customers: pd.DataFrame, **options) -> tuple[Encoder, pd.DataFrame]:
    encoder = Encoder(dictionary=DICTIONARY, **options)
    encoder.set_output(transform="pandas")
    return encoder, encoder.fit_transform(customers)


def test_what_is_done_follows_from_the_kind():
    encoder, _ = fitted(shoppers())
    assert encoder.to_frame().set_index("column")["treatment"].to_dict() == {
        "age": "standardised",
        "spend": "log1p, standardised",
        "visits": "log1p, standardised",
        "web_share": "arcsine of the root, standardised",
        "income": "ridits of 4 levels, standardised",
        "stars": "ridits of 4 levels, standardised",
        "region": "one-hot of 4 levels, 1 rare ones as (other)",
        "member": "0 or 1, standardised",
        "opted_in": "0 or 1, standardised",
    }
    assert encoder.get_feature_names_out().tolist() == [
        *("age", "spend", "visits", "web_share", "income", "stars"),
        *("region=North", "region=South", "region=West", "region=(other)", "member", "opted_in"),
    ]
    assert encoder.notes == ()
    assert "web_share (share: arcsine of the root, standardised)" in repr(encoder)


def test_every_variable_has_variance_one():
    _, encoded = fitted(shoppers())
    np.testing.assert_allclose(encoded.mean(), 0, atol=1e-12)
    variance = encoded.var(ddof=0)
    by_variable = variance.groupby(variance.index.str.split("=").str[0]).sum()
    np.testing.assert_allclose(by_variable, 1, rtol=1e-12)


def test_ridits_are_mean_ranks():
    customers = shoppers()
    _, encoded = fitted(customers)
    for name, values in (("stars", customers["stars"]), ("income", customers["income"].cat.codes)):
        ridits = (rankdata(values) - 0.5) / len(values)
        expected = (ridits - ridits.mean()) / ridits.std()
        assert ridits.mean() == pytest.approx(0.5)
        np.testing.assert_allclose(encoded[name], expected, rtol=0, atol=1e-12)


def test_shares_and_levels_have_the_geometry_that_is_stated():
    customers = shoppers()
    _, encoded = fitted(customers)
    root = np.arcsin(np.sqrt(customers["web_share"]))
    np.testing.assert_allclose(encoded["web_share"], (root - root.mean()) / root.std(ddof=0))
    columns = encoded[[name for name in encoded if name.startswith("region=")]].to_numpy()
    one_of_each = columns[
        [customers["region"].tolist().index(r) for r in ("North", "South", "West")]
    ]
    apart = [np.linalg.norm(one_of_each[i] - one_of_each[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    shares = customers["region"].value_counts(normalize=True)
    np.testing.assert_allclose(apart, np.sqrt(2 / (1 - (shares**2).sum())))


def test_a_nominal_variable_of_two_levels_counts_as_a_binary_one():
    customers = shoppers()[["opted_in"]]
    flag = Encoder(dictionary={"opted_in": "binary"}).fit_transform(customers)
    levels = Encoder(dictionary={"opted_in": "nominal"}).fit_transform(customers)
    between = np.abs(flag - flag.T)
    apart = np.sqrt(((levels[:, None] - levels[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(apart, between, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"family_weights": "balanced"}])
@pytest.mark.parametrize("gaps", [False, True])
def test_inverse_transform_returns_the_customers(options, gaps):
    customers = (with_gaps() if gaps else shoppers()).replace({"region": {"Isle": "(other)"}})
    encoder, encoded = fitted(customers, missing="impute", **options)
    back = encoder.inverse_transform(encoded)
    expected = customers.astype({"income": object, "member": float})
    pd.testing.assert_frame_equal(
        back, expected, check_dtype=False, check_names=False, rtol=1e-9, atol=1e-9
    )


levels = st.sampled_from(["North", "South", "West"]) | st.none()
rows = st.tuples(
    st.floats(0, 1e6) | st.none(),
    st.floats(0, 1) | st.none(),
    st.integers(1, 7) | st.none(),
    levels,
)


@settings(max_examples=30)
@given(st.lists(rows, min_size=1, max_size=25))
def test_any_table_comes_back_with_its_gaps(values):
    customers = pd.DataFrame(values, columns=["spend", "share", "stars", "region"])
    customers[["spend", "share", "stars"]] = customers[["spend", "share", "stars"]].astype(float)
    customers["region"] = customers["region"].astype("str")
    customers = customers.loc[:, customers.notna().any()]
    if customers.empty:
        return
    kinds = {"spend": "numeric", "share": "share", "stars": "ordinal", "region": "nominal"}
    encoder = Encoder(dictionary=kinds, missing="impute", min_frequency=0).fit(customers)
    encoded = encoder.transform(customers)
    assert np.isfinite(encoded).all()
    back = encoder.inverse_transform(encoded)
    pd.testing.assert_frame_equal(back, customers, check_dtype=False, rtol=1e-6, atol=1e-6)


def test_the_mean_of_a_segment_is_the_mean_of_those_who_answered():
    customers = with_gaps()
    encoder, encoded = fitted(customers, missing="impute", family_weights="balanced")
    segment = customers.index[customers["age"].fillna(0) < 40]
    center = encoder.inverse_transform(encoded.loc[segment].mean().to_frame().T).iloc[0]
    members = customers.loc[segment]
    assert center["age"] == pytest.approx(members["age"].mean())
    assert center["member"] == pytest.approx(members["member"].mean())
    root = np.arcsin(np.sqrt(members["web_share"])).mean()
    assert center["web_share"] == pytest.approx(np.sin(root) ** 2)
    assert center["region"] == members["region"].mode().iloc[0]
    silent = encoded[customers["stars"].isna()].mean().to_frame().T
    assert encoder.inverse_transform(silent)[["stars", "web_share"]].isna().all(axis=None)


def test_missing_values_are_the_mean_and_marked_once_for_all_that_lack_together():
    customers = with_gaps()
    encoder, encoded = fitted(customers, missing="impute")
    assert [name for name in encoded if name.endswith("(missing)")] == [
        *("age=(missing)", "web_share=(missing)", "income=(missing)"),
        *("region=(missing)", "member=(missing)"),
    ]
    silent = customers["stars"].isna()
    np.testing.assert_array_equal(encoded.loc[silent, ["stars", "web_share"]], 0)
    mark = encoded["web_share=(missing)"]
    assert mark[silent].unique() - mark[~silent].unique() == pytest.approx(1)
    assert mark.mean() == pytest.approx(0)
    for name in ("age", "stars"):
        known = encoded.loc[customers[name].notna(), name]
        assert (known.mean(), known.std(ddof=0)) == pytest.approx((0, 1))
    assert f"{int(silent.sum())} missing as the mean and marked" in repr(encoder)
    complete = encoder.transform(shoppers())
    assert complete[[name for name in complete if name.endswith("(missing)")]].nunique().max() == 1


def test_a_gap_that_fit_did_not_see_is_the_mean():
    encoder, encoded = fitted(shoppers(), missing="impute")
    new = shoppers().iloc[:2].astype({"age": float})
    new.loc[1, "age"] = np.nan
    expected = encoded.iloc[:2].copy()
    expected.loc[1, "age"] = 0
    pd.testing.assert_frame_equal(encoder.transform(new), expected)


@pytest.mark.parametrize("gaps", [False, True])
def test_families_are_balanced(gaps):
    customers = with_gaps() if gaps else shoppers()
    plain, unweighted = fitted(customers, missing="impute")
    balanced, encoded = fitted(customers, missing="impute", family_weights="balanced")
    family = pd.Series(encoded.columns.str.split("=").str[0], encoded.columns)
    family = family.map(lambda name: DICTIONARY[name]["family"])
    totals = encoded.var(ddof=0).groupby(family).sum()
    np.testing.assert_allclose(totals, unweighted.var(ddof=0).sum() / 5, rtol=1e-12)
    ratio = encoded / unweighted.where(unweighted != 0)
    assert ratio.std().max() < 1e-12

    weights = {"value": 3.0, "journey": 0.5}
    _, weighted = fitted(customers, missing="impute", family_weights=weights)
    totals = weighted.var(ddof=0).groupby(family).sum()
    np.testing.assert_allclose(totals / totals["geographic"], [1, 1, 0.5, 1, 3], rtol=1e-12)
    assert set(plain.to_frame()["weight"]) == {1.0}
    assert balanced.to_frame()["weight"].nunique() == 5


def test_one_family_alone_keeps_its_numbers():
    customers = shoppers()[["visits", "web_share"]]
    _, plain = fitted(customers)
    _, balanced = fitted(customers, family_weights="balanced")
    pd.testing.assert_frame_equal(plain, balanced, rtol=0, atol=1e-15)


def test_winsorising_stops_at_the_quantiles_of_fit():
    customers = shoppers()
    encoder, encoded = fitted(customers, winsorize=0.05)
    low, high = customers["spend"].quantile([0.05, 0.95])
    logged = np.log1p(customers["spend"].clip(low, high))
    np.testing.assert_allclose(encoded["spend"], (logged - logged.mean()) / logged.std(ddof=0))
    assert f"winsorised to {low:.4g} and {high:.4g}, log1p" in repr(encoder)
    rich = encoder.transform(customers.iloc[:1].assign(spend=1e9))
    assert encoder.inverse_transform(rich)["spend"].iloc[0] == pytest.approx(high)
    untouched = encoder.inverse_transform(encoded)
    np.testing.assert_allclose(untouched["web_share"], customers["web_share"], atol=1e-12)


def test_new_levels_are_others_where_there_are_others_and_an_error_where_not():
    customers = shoppers()
    encoder, _ = fitted(customers)
    new = customers.iloc[:1].assign(region="Moon")
    other = encoder.transform(customers[customers["region"] == "Isle"])
    pd.testing.assert_series_equal(
        encoder.transform(new).iloc[0].filter(like="region="),
        other.iloc[0].filter(like="region="),
        check_names=False,
    )
    common = customers[customers["region"] != "Isle"]
    encoder, _ = fitted(common)
    with pytest.raises(DataError, match=r"'region' has the value 'Moon'.*'North', 'South', 'West'"):
        encoder.transform(new)
    with pytest.raises(DataError, match=r"'opted_in' has the value 'Yes'.*Did you mean 'yes'"):
        encoder.transform(customers.iloc[:1].assign(opted_in="Yes"))
    with pytest.raises(DataError, match="'income' has the value 'none'"):
        encoder.transform(customers.iloc[:1].assign(income="none"))


def test_an_ordinal_level_that_fit_did_not_see_lies_where_its_order_puts_it():
    encoder, encoded = fitted(shoppers())
    new = (
        shoppers()
        .iloc[[0, 0, 0]]
        .assign(
            income=pd.Categorical(["high", "very high", "high"], INCOMES, ordered=True),
            stars=[2, 3, 4],
        )
    )
    found = encoder.transform(new)
    assert found["income"].iloc[1] > found["income"].iloc[0]
    assert found["stars"].is_monotonic_increasing
    assert found["stars"].is_unique
    assert encoder.inverse_transform(found)["stars"].tolist() == pytest.approx([2, 3, 4])
    assert found["stars"].iloc[2] in set(encoded["stars"])


def test_the_type_says_what_nobody_stated_and_a_note_says_so():
    customers = shoppers().astype({"region": "category"}).drop(columns="opted_in")
    encoder = Encoder().fit(customers)
    kinds = {name: known.kind for name, known in encoder.kinds_.items()}
    assert kinds == {
        **dict.fromkeys(["age", "spend", "visits", "web_share", "stars"], "numeric"),
        "income": "ordinal",
        "region": "nominal",
        "member": "binary",
    }
    assert not encoder.to_frame()["given"].any()
    (note,) = encoder.notes
    assert note.startswith("the kind of age, spend, visits, web_share, income, stars, region, memb")


def test_what_is_attached_to_a_table_changes_nothing():
    customers = shoppers()[["web_share", "stars"]]
    entries = {
        "web_share": Column("journey", "share", "share of orders on the web", "transactions"),
        "stars": Column("satisfaction", "ordinal", "stars given", "survey"),
    }
    attached = attach(customers, entries, as_of=None)
    np.testing.assert_array_equal(
        Encoder().fit_transform(attached), Encoder().fit_transform(customers)
    )
    stated = Encoder(dictionary=describe_columns(attached))
    again = Encoder(dictionary={"web_share": "share", "stars": "ordinal"})
    np.testing.assert_array_equal(stated.fit_transform(attached), again.fit_transform(customers))
    assert clone(stated).fit(customers).kinds_["web_share"].family == "journey"


def test_a_file_that_makes_levels_text_makes_no_silent_change(tmp_path):
    customers = shoppers()
    encoder, encoded = fitted(customers)
    customers.to_csv(tmp_path / "customers.csv")
    back = pd.read_csv(tmp_path / "customers.csv", index_col="customer_id")
    with pytest.raises(DataError, match="'income' holds text"):
        Encoder().fit(back)
    with pytest.raises(DataError, match=r"'income' is ordinal, but its levels .* have no order"):
        fitted(back)
    pd.testing.assert_frame_equal(encoder.transform(back), encoded, rtol=0, atol=1e-12)
    back["income"] = pd.Categorical(back["income"], INCOMES, ordered=True)
    pd.testing.assert_frame_equal(fitted(back)[1], encoded, rtol=0, atol=1e-12)


def test_a_segmentation_by_all_kinds_needs_nothing_but_the_encoder():
    customers = with_gaps()
    encoder = Encoder(dictionary=DICTIONARY, missing="impute", family_weights="balanced")
    model = cs.SegmentationModel(
        "kmeans", n_segments=3, variables=list(DICTIONARY), encoder=encoder, random_state=0
    ).fit(customers)
    shuffled = customers.sample(frac=1, random_state=1)
    again = clone(model).fit(shuffled).segments_
    pd.testing.assert_series_equal(again.sort_index(), model.segments_, check_index_type=False)
    pd.testing.assert_series_equal(model.predict(customers), model.segments_)


@pytest.mark.parametrize(
    ("change", "kinds", "words"),
    [
        ({}, {"region": "numeric"}, "'region' holds text"),
        ({"web_share": 1.2}, {}, "'web_share' is a share, but 400 of its values .* such as 1.2"),
        ({"stars": [1, 2, 3, 4] * 100}, {"stars": "binary"}, "'stars' is binary, but has 4 values"),
        ({}, {"region": "ordinal"}, "'region' is ordinal, but its levels .* have no order"),
        ({"region": [f"R{i}" for i in range(400)]}, {}, "400 levels, and none of them has 1.0%"),
        ({"region": None}, {}, "'region' has 400 missing"),
        ({"spend": np.inf}, {}, "'spend' has 400 infinite"),
    ],
)
def test_values_that_do_not_fit_their_kind_are_named(change, kinds, words):
    with pytest.raises(DataError, match=words):
        Encoder(dictionary=DICTIONARY | kinds).fit(shoppers().assign(**change))


def test_more_errors():
    with pytest.raises(DataError, match="'region' has no value at all"):
        Encoder(dictionary=DICTIONARY, missing="impute").fit(shoppers().assign(region=None))
    with pytest.raises(DataError, match=r"'age' has \d+ missing \(NaN\) of 400.*missing='impute'"):
        Encoder(dictionary=DICTIONARY).fit(with_gaps())
    with pytest.raises(DataError, match="'age' has 1 missing"):
        Encoder(dictionary=DICTIONARY).fit(shoppers()).transform(
            shoppers().iloc[:1].assign(age=np.nan)
        )
    with pytest.raises(ParameterError, match="Did you mean 'journey'"):
        Encoder(dictionary=DICTIONARY, family_weights={"journy": 2}).fit(shoppers())
    with pytest.raises(ParameterError, match="'age' appears twice"):
        Encoder().fit(shoppers()[["age", "spend", "age"]])
