"""Gower's dissimilarity: a pair at a time, in R, in another package, and by its laws."""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custseg.errors import ColumnError, CustsegError, DataError, ParameterError
from custseg.features.dictionary import Column, attach, describe_columns
from custseg.features.gower import gower, learn, place, rows_between, rows_of, square

module = import_module("custseg.features.gower")
INCOMES = ["low", "middle", "high"]
BASKETS = [[23, 10.5, -3.0], [35, 0.0, 1.5], [51, 35.25, 0.0], [64, 18.0, 7.25]]


def shoppers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [23, 35, np.nan, 51, 64, 42],
            "spend": [10.5, 0, 220, 35.25, 18, np.nan],
            "region": ["North", "South", "South", None, "West", "North"],
            "income": pd.Categorical(
                ["low", "high", "middle", "high", "low", "middle"], INCOMES, ordered=True
            ),
            "member": ["yes", "no", "no", "yes", "no", None],
            "store": 7,
        },
        index=pd.Index([f"C{i}" for i in range(6)], name="customer_id"),
    )


def upper(square: np.ndarray) -> np.ndarray:
    return square[np.triu_indices(len(square), 1)]


def pair_by_pair(frame: pd.DataFrame, kinds: dict[str, str], weights: dict[str, float]):
    """The definition, one pair and one variable at a time."""
    square = np.zeros((len(frame), len(frame)))
    for a, b in combinations(range(len(frame)), 2):
        apart, together = 0.0, 0.0
        for name, kind in kinds.items():
            values = frame[name]
            if pd.isna(values.iloc[a]) or pd.isna(values.iloc[b]):
                continue
            together += weights.get(name, 1)
            if kind in ("nominal", "binary"):
                apart += weights.get(name, 1) * (values.iloc[a] != values.iloc[b])
                continue
            if kind == "ordinal":
                values = values.cat.codes.where(values.notna())
            low, high = values.min(), values.max()
            if high > low:
                step = abs(float(values.iloc[a]) - float(values.iloc[b])) / float(high - low)
                apart += weights.get(name, 1) * step
        square[a, b] = square[b, a] = apart / together if together else np.nan
    return square


def test_it_is_daisy_of_r():
    """cluster 2.1.4 of R 4.2.2, daisy(metric = "gower"), with and without weights."""
    plain = [
        *(0.55673503325942353, 0.69045454545454543, 0.35908536585365852, 0.50568181818181823),
        *(0.24085365853658536, 0.29999999999999999, 0.31009423503325945, 0.46485587583148558),
        *(0.41768292682926833, 0.58494318181818183, 0.48363636363636359, 0.33333333333333331),
        *(0.47909645232815967, 0.23983739837398374, 0.50914634146341464),
    ]
    weighted = [
        *(0.57507499673927231, 0.65393939393939393, 0.48849085365853662, 0.30213903743315512),
        *(0.35698447893569846, 0.46666666666666667, 0.21383730598669623, 0.51422981609495244),
        *(0.39467849223946788, 0.59707792207792210, 0.51151515151515148, 0.11111111111111110),
        *(0.55923641906873611, 0.34390243902439022, 0.46119733924611972),
    ]
    weights = {"spend": 2, "region": 0.5, "income": 3}
    np.testing.assert_allclose(upper(gower(shoppers())), plain, rtol=0, atol=1e-15)
    found = upper(gower(shoppers(), weights=weights))
    np.testing.assert_allclose(found, weighted, rtol=0, atol=1e-15)


def test_an_array_of_numbers_is_as_in_the_gower_package():
    """gower 0.1.2, gower_matrix, which computes in single precision."""
    expected = [0.34319323, 0.5592458, 0.73758864, 0.5121951, 0.592977, 0.504584]
    np.testing.assert_allclose(upper(gower(BASKETS)), expected, rtol=0, atol=2e-7)
    weighted = [0.31655422, 0.6381496, 0.550152, 0.70383275, 0.5740233, 0.4712729]
    found = gower(np.array(BASKETS), weights={"x1": 2, "x2": 0.5})
    np.testing.assert_allclose(upper(found), weighted, rtol=0, atol=2e-7)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    size = draw(st.integers(2, 9))

    def column(values: st.SearchStrategy) -> list:
        return draw(st.lists(st.none() | values, min_size=size, max_size=size))

    spend = st.floats(-1e6, 1e6, allow_nan=False)
    return pd.DataFrame(
        {
            "visits": pd.array(column(st.integers(0, 50)), dtype="Int64"),
            "spend": np.array(column(spend), dtype=float),
            "income": pd.Categorical(column(st.sampled_from(INCOMES)), INCOMES, ordered=True),
            "region": pd.array(column(st.sampled_from(["North", "South", "West"])), dtype="str"),
            "member": pd.array(column(st.booleans()), dtype="boolean"),
            "known": 1.0,
        }
    )


KINDS = {
    "visits": "count",
    "spend": "numeric",
    "income": "ordinal",
    "region": "nominal",
    "member": "binary",
    "known": "numeric",
}


@settings(max_examples=60)
@given(tables(), st.sampled_from([{}, {"spend": 2.5, "region": 0.5}, {"member": 0.0}]))
def test_it_is_the_definition_pair_by_pair(customers, weights):
    expected = pair_by_pair(customers, KINDS, weights)
    found = gower(customers, dictionary=KINDS, weights=weights)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 0)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-12


@settings(max_examples=30)
@given(tables(), st.floats(0.01, 1e4), st.floats(-1e4, 1e4), st.randoms(use_true_random=False))
def test_units_and_the_order_of_rows_do_not_matter(customers, factor, shift, random):
    base = gower(customers)
    moved = customers.assign(visits=customers["visits"].astype("Float64") * -factor + shift)
    np.testing.assert_allclose(gower(moved), base, rtol=0, atol=1e-7)
    order = random.sample(range(len(customers)), len(customers))
    np.testing.assert_array_equal(gower(customers.iloc[order]), base[np.ix_(order, order)])


def many(n: int = 700, *, missing: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "recency": rng.integers(0, 365, n),
            "spend": rng.lognormal(3, 1, n),
            "share": rng.random(n),
            "region": rng.choice(["North", "South", "West"], n),
            "member": rng.random(n) < 0.4,
        }
    )
    if missing:
        for name in ("spend", "share", "region"):
            frame[name] = frame[name].where(rng.random(n) < 0.8)
    return frame


@pytest.mark.parametrize("missing", [True, False])
def test_compiled_bands_are_the_plain_numpy_of_them(missing, monkeypatch):
    customers = many(missing=missing)
    table = place(customers, learn(customers))
    assert table.complete is not missing
    numbers = np.abs(table.numbers[:, :, None] - table.numbers[:, None, :])
    codes = (table.codes[:, :, None] != table.codes[:, None, :]).astype(float)
    lacking = table.codes < 0
    codes[lacking[:, :, None] | lacking[:, None, :]] = np.nan
    every = np.concatenate([numbers, codes])
    weights = np.where(np.isnan(every), 0.0, table.weights[:, None, None])
    expected = np.nansum(every, axis=0) / weights.sum(axis=0)

    found = gower(customers)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(found, found.T)
    monkeypatch.setattr(module, "cpu_count", lambda: 1)
    np.testing.assert_array_equal(gower(customers), found)
    for rows in (slice(0, 1), slice(100, 400), slice(690, 700)):
        np.testing.assert_array_equal(rows_between(rows_of(table, rows), table), found[rows])


def test_single_precision_is_the_same_rounded_once():
    for missing in (True, False):
        customers = many(300, missing=missing)
        table = place(customers, learn(customers))
        found = square(table, dtype=np.float32)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, gower(customers).astype(np.float32))


def test_blocks_may_be_asked_for_from_several_threads():
    customers = many()
    table = place(customers, learn(customers))
    blocks = [slice(low, low + 70) for low in range(0, 700, 70)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda rows: rows_between(rows_of(table, rows), table), blocks))
    np.testing.assert_array_equal(np.vstack(found), gower(customers))


def test_new_customers_are_compared_on_the_scale_that_was_learned():
    known = shoppers().dropna()
    comparisons = learn(known)
    table = place(known, comparisons)
    new = known.iloc[:1].assign(age=23 + 2 * (64 - 23), region="Moon")
    found = rows_between(place(new, comparisons), table)
    same = rows_between(rows_of(table, slice(0, 1)), table)
    ages = np.abs(known["age"] - 105) / (64 - 23) - np.abs(known["age"] - 23) / (64 - 23)
    elsewhere = known["region"] == known["region"].iloc[0]
    np.testing.assert_allclose(found[0], same[0] + (ages + elsewhere) / 6, rtol=0, atol=1e-12)
    new["income"] = "none"
    with pytest.raises(DataError, match="'income' has the value 'none', which was not there"):
        place(new, comparisons)
    with pytest.raises(ColumnError, match="'spend'"):
        place(new.drop(columns="spend"), comparisons)


def test_pairs_without_a_common_variable_are_an_error_and_nan_in_a_block():
    customers = pd.DataFrame({"spend": [1.0, 2.0, np.nan], "region": [None, "North", "South"]})
    with pytest.raises(DataError, match="1 pairs of customers have no variable that both have"):
        gower(customers)
    table = place(customers, learn(customers))
    np.testing.assert_array_equal(np.isnan(rows_between(table, table)), np.eye(3)[::-1] * [1, 0, 1])
    customers.loc[1, ["spend", "region"]] = None
    with pytest.raises(DataError, match="1 of 3 customers have no value in any variable"):
        gower(customers)


def test_the_dictionary_says_what_numbers_mean():
    stores = pd.DataFrame({"store": [1, 2, 9], "stars": [1, 4, 5]})
    np.testing.assert_allclose(upper(gower(stores)), [(1 / 8 + 3 / 4) / 2, 1, (7 / 8 + 1 / 4) / 2])
    said = {"store": "nominal", "stars": {"kind": "ordinal"}}
    expected = [(1 + 1 / 2) / 2, 1, (1 + 1 / 2) / 2]
    np.testing.assert_allclose(upper(gower(stores, dictionary=said)), expected)
    entries = {
        "store": Column("geographic", "nominal", "home store", "crm"),
        "stars": Column("satisfaction", "ordinal", "stars given", "survey"),
    }
    framed = describe_columns(attach(stores, entries, as_of=None))
    np.testing.assert_allclose(upper(gower(stores, dictionary=framed)), expected)


def test_attrs_change_nothing():
    stores = pd.DataFrame({"store": [1, 2, 9], "spend": [1.0, 4.0, 5.0]})
    entry = {"store": Column("geographic", "nominal", "home store", "crm")}
    np.testing.assert_array_equal(gower(attach(stores, entry, as_of=None)), gower(stores))


def test_families_share_their_weight():
    customers = many(40)
    said = {
        "recency": {"family": "behavioural", "kind": "count"},
        "spend": {"family": "value", "kind": "numeric"},
        "share": {"family": "behavioural", "kind": "share"},
        "region": {"family": "geographic", "kind": "nominal"},
        "member": {"family": "behavioural", "kind": "binary"},
    }
    by_family = gower(customers, dictionary=said, weights={"behavioural": 3, "value": 2})
    by_column = gower(customers, weights={"spend": 2})
    np.testing.assert_allclose(by_family, by_column, rtol=0, atol=1e-15)
    third = gower(customers, dictionary=said, weights={"behavioural": 1, "value": 0, "region": 1})
    thirds = {"recency": 1 / 3, "share": 1 / 3, "member": 1 / 3, "spend": 0}
    np.testing.assert_allclose(third, gower(customers, weights=thirds), rtol=0, atol=1e-15)


def test_an_ordinal_column_that_a_file_made_text_is_not_taken_for_nominal(tmp_path):
    bands = ["under 20k", "20k-40k", "over 40k"]
    customers = shoppers().assign(band=pd.Categorical(bands * 2, bands, ordered=True))
    customers.to_csv(tmp_path / "customers.csv")
    back = pd.read_csv(tmp_path / "customers.csv", index_col="customer_id")
    with pytest.raises(DataError, match="'band' holds text that looks like bands with an order"):
        gower(back)
    with pytest.raises(DataError, match=r"'band' is ordinal, but its levels .* have no order"):
        gower(back, dictionary={"band": "ordinal"})
    back["income"] = pd.Categorical(back["income"], INCOMES, ordered=True)
    nominal = gower(back, dictionary={"band": "nominal"})
    assert not np.allclose(nominal, gower(customers))
    back["band"] = pd.Categorical(back["band"], bands, ordered=True)
    np.testing.assert_array_equal(gower(back), gower(customers))


def test_dates_are_days():
    joined = pd.DataFrame({"joined": pd.to_datetime(["2024-01-01", "2024-01-11", "2024-02-10"])})
    np.testing.assert_allclose(upper(gower(joined)), [0.25, 1, 0.75])
    zoned = joined.assign(joined=joined["joined"].dt.tz_localize("Europe/Rome"))
    np.testing.assert_allclose(upper(gower(zoned)), [0.25, 1, 0.75])


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        ({"spend": np.inf}, {}, DataError, "'spend' has 6 infinite values"),
        ({"spend": [1e308, -1e308, 0, 0, 0, 0]}, {}, DataError, "too large to take a range"),
        ({"spend": 1j}, {}, DataError, "'spend' is said to be a number"),
        ({}, {"dictionary": {"region": "numeric"}}, DataError, "'region' is said to be a number"),
        ({}, {"dictionary": {"age": "binary"}}, DataError, "'age' is binary, but has 5 values"),
        ({}, {"dictionary": {"region": "ordinal"}}, DataError, "'region' is ordinal, but"),
        ({}, {"dictionary": {"region": "nomnal"}}, ParameterError, "Did you mean 'nominal'"),
        ({}, {"dictionary": "nominal"}, ParameterError, "dictionary is a str"),
        ({}, {"dictionary": {"age": {"kinds": "count"}}}, ParameterError, "Did you mean 'kind'"),
        ({}, {"weights": {"age": -1}}, ParameterError, "the weight of 'age' is -1"),
        ({}, {"weights": {"agee": 1}}, ColumnError, "Did you mean 'age'"),
        ({}, {"weights": dict.fromkeys(shoppers(), 0)}, ParameterError, "all weights are 0"),
    ],
)
def test_bad_input_is_named(change, options, error, words):
    with pytest.raises(error, match=words) as caught:
        gower(shoppers().assign(**change), **options)
    assert isinstance(caught.value, CustsegError)


def test_bad_tables():
    with pytest.raises(DataError, match="0 rows, 6 columns"):
        gower(shoppers().iloc[:0])
    with pytest.raises(ParameterError, match="'age' appears twice"):
        gower(shoppers()[["age", "spend", "age"]])
    said = {"age": {"family": "demographic", "kind": "numeric"}}
    with pytest.raises(ParameterError, match="'age' has a weight itself and with its family"):
        gower(shoppers(), dictionary=said, weights={"age": 1, "demographic": 2})
    assert gower(shoppers().iloc[:1]).tolist() == [[0.0]]


def test_a_square_that_does_not_fit_is_refused_before_work(monkeypatch):
    monkeypatch.setattr(module.os, "sysconf", lambda name: 4096 if "SIZE" in name else 1000)
    with pytest.raises(DataError, match=r"of 800 customers need 0\.00512 GB, and this"):
        gower(many(800))
