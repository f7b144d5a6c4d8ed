"""Profiles against hand-computed frames, independent oracles and what must hold for any data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

import custseg as cs
from custseg.profiling import profile

COLUMNS = [
    "segment",
    "variable",
    "level",
    "role",
    "n",
    "value",
    "ci_low",
    "ci_high",
    "overall",
    "index",
    "std_diff",
]


@pytest.fixture
def shoppers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "monetary": [10.0, 20.0, 30.0, 100.0, 120.0],
            "loyalty_card": [False, False, True, True, True],
            "channel": ["web", "web", "store", "store", None],
        },
        index=pd.Index([101, 102, 103, 104, 105], name="customer_id"),
    )


@pytest.fixture
def segments(shoppers: pd.DataFrame) -> pd.Series:
    names = pd.CategoricalDtype(["Gold", "Basic"], ordered=True)
    return pd.Series(["Basic", "Basic", "Basic", "Gold", "Gold"], shoppers.index, dtype=names)


def random_customers(seed: int, n: int = 60) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(seed)
    index = pd.Index(rng.permutation(10 * n)[:n], name="customer_id")
    customers = pd.DataFrame(
        {
            "monetary": rng.gamma(2, 50, n),
            "orders": rng.poisson(3, n),
            "churned": rng.random(n) < 0.3,
            "region": rng.choice(["north", "south", "west"], n),
        },
        index=index,
    )
    customers.loc[rng.random(n) < 0.2, ["monetary", "region"]] = None
    names = pd.Series(rng.choice(["A", "B", "C"], n), index)
    return customers, names.mask(rng.random(n) < 0.1)


def test_profile_of_five_customers_is_the_one_worked_by_hand(shoppers, segments):
    found = profile(
        shoppers,
        segments,
        variables=["monetary"],
        descriptors=["loyalty_card", "channel"],
    ).to_frame()

    sd = np.sqrt(((np.array([10, 20, 30, 100, 120]) - 56) ** 2).sum() / 4)
    t_gold = stats.t.ppf(0.975, 1) * np.sqrt(200) / np.sqrt(2)
    t_basic = stats.t.ppf(0.975, 2) * 10 / np.sqrt(3)
    share = {(x, n): proportion_confint(x, n, method="wilson") for x, n in [(2, 2), (1, 1), (0, 1)]}
    share |= {(x, 3): proportion_confint(x, 3, method="wilson") for x in (1, 2)}
    card, half = np.sqrt(0.6 * 0.4), 0.5
    rows = [
        ("Gold", "monetary", "", "segmentation", 2, 110, 110 - t_gold, 110 + t_gold, 56,
         11000 / 56, 54 / sd),
        ("Gold", "loyalty_card", "", "descriptor", 2, 1, *share[2, 2], 0.6, 100 / 0.6, 0.4 / card),
        ("Gold", "channel", "store", "descriptor", 1, 1, *share[1, 1], 0.5, 200, 0.5 / half),
        ("Gold", "channel", "web", "descriptor", 1, 0, *share[0, 1], 0.5, 0, -0.5 / half),
        ("Basic", "monetary", "", "segmentation", 3, 20, 20 - t_basic, 20 + t_basic, 56,
         2000 / 56, -36 / sd),
        ("Basic", "loyalty_card", "", "descriptor", 3, 1 / 3, *share[1, 3], 0.6, 100 / 1.8,
         (1 / 3 - 0.6) / card),
        ("Basic", "channel", "store", "descriptor", 3, 1 / 3, *share[1, 3], 0.5, 200 / 3,
         -1 / 6 / half),
        ("Basic", "channel", "web", "descriptor", 3, 2 / 3, *share[2, 3], 0.5, 400 / 3,
         1 / 6 / half),
    ]  # fmt: skip
    expected = pd.DataFrame(rows, columns=COLUMNS)
    expected["segment"] = pd.Categorical(expected["segment"], ["Gold", "Basic"], ordered=True)
    for name in ("value", "overall", "index"):
        expected[name] = expected[name].astype(float)
    pd.testing.assert_frame_equal(found[COLUMNS], expected, rtol=1e-12, atol=1e-14)


def test_sizes_account_and_overall(shoppers, segments):
    segments = segments.copy()
    segments.loc[103] = None
    found = profile(shoppers, segments, variables=["monetary"], descriptors=["channel"])

    assert found.sizes.index.tolist() == ["Gold", "Basic"]
    assert found.sizes["n"].tolist() == [2, 2]
    assert found.sizes["share"].tolist() == [0.5, 0.5]
    low, high = proportion_confint(2, 4, method="wilson")
    np.testing.assert_allclose(found.sizes[["ci_low", "ci_high"]], [[low, high]] * 2, rtol=1e-12)
    expected = pd.DataFrame(
        {"customers": 5, "used": [4, 3], "missing": [0, 1], "not_assigned": 1},
        index=pd.Index(["monetary", "channel"], name="variable"),
    )
    pd.testing.assert_frame_equal(found.account, expected)
    assert found.overall.loc[("monetary", ""), "value"] == 62.5
    assert found.overall.loc[("monetary", ""), "sd"] == pytest.approx(
        np.std([10, 20, 100, 120], ddof=1)
    )
    assert any("'channel' is missing for 1 customer, counted out: Gold 1" in n for n in found.notes)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_intervals_equal_scipy_and_statsmodels(level):
    customers, segments = random_customers(3)
    found = profile(
        customers, segments, variables=["monetary"], descriptors=["churned", "region"], level=level
    ).to_frame()
    for row in found.itertuples():
        x = customers.loc[segments == row.segment, row.variable].dropna()
        if row.variable == "monetary":
            oracle = stats.t.interval(level, len(x) - 1, x.mean(), stats.sem(x))
        else:
            hits = int((x == (row.level or True)).sum())
            oracle = proportion_confint(hits, len(x), alpha=1 - level, method="wilson")
        assert row.n == len(x)
        np.testing.assert_allclose([row.ci_low, row.ci_high], oracle, rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_levels_share_out_every_customer_and_segments_average_to_the_whole(seed):
    customers, segments = random_customers(seed)
    found = profile(
        customers, segments, variables=["monetary", "orders"], descriptors=["churned", "region"]
    )
    table = found.to_frame()
    levels = table[table["variable"] == "region"].groupby("segment", observed=True)["value"].sum()
    np.testing.assert_allclose(levels, 1, rtol=1e-12)
    assert found.sizes["share"].sum() == pytest.approx(1, abs=1e-12)
    for _, rows in table.groupby(["variable", "level"]):
        present = rows[rows["n"] > 0]
        weighted = np.average(present["value"], weights=present["n"])
        np.testing.assert_allclose(weighted, rows["overall"], rtol=1e-12)
    account = found.account
    parts = account["used"] + account["missing"] + account["not_assigned"]
    assert (parts == account["customers"]).all()


@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.01, 3.0, 1000.0]))
@settings(max_examples=25, deadline=None)
def test_index_and_standardised_difference_ignore_the_unit(seed, scale):
    customers, segments = random_customers(seed)
    euros = profile(customers, segments, variables=["monetary"]).to_frame()
    cents = profile(
        customers.assign(monetary=customers["monetary"] * scale), segments, variables=["monetary"]
    ).to_frame()
    np.testing.assert_allclose(cents["index"], euros["index"], rtol=1e-9)
    np.testing.assert_allclose(cents["std_diff"], euros["std_diff"], rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(cents["value"], euros["value"] * scale, rtol=1e-12)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_rows_changes_no_bit(seed):
    customers, segments = random_customers(seed)
    order = np.random.default_rng(seed + 1).permutation(len(customers))
    names = {"variables": ["monetary", "orders"], "descriptors": ["churned", "region"]}
    one = profile(customers, segments, **names)
    two = profile(customers.iloc[order], segments.sample(frac=1, random_state=1), **names)
    three = profile(customers.iloc[order], segments.iloc[order].to_numpy(), **names)
    for other in (two, three):
        pd.testing.assert_frame_equal(one.to_frame(), other.to_frame(), check_exact=True)
        pd.testing.assert_frame_equal(one.sizes, other.sizes, check_exact=True)


def test_new_names_only_move_rows():
    customers, segments = random_customers(5)
    renamed = segments.map({"A": "late", "B": "early", "C": "never"})
    names = {"variables": ["monetary"], "descriptors": ["region"]}
    one = profile(customers, segments, **names).to_frame().astype({"segment": str})
    two = profile(customers, renamed, **names).to_frame().astype({"segment": str})
    two["segment"] = two["segment"].map({"late": "A", "early": "B", "never": "C"})
    keys = ["segment", "variable", "level"]
    pd.testing.assert_frame_equal(
        one.sort_values(keys, ignore_index=True), two.sort_values(keys, ignore_index=True)
    )


@pytest.mark.parametrize(
    "labels",
    [
        [1, 1, 0, 0, 0],
        [1.0, 1.0, 0.0, 0.0, 0.0],
        np.array([1, 1, 0, 0, 0], dtype=np.int8),
        pd.array([1, 1, 0, 0, 0], dtype="Int64"),
        ["1", "1", "0", "0", "0"],
        pd.Categorical(["1", "1", "0", "0", "0"]),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_plain_labels_are_matched_by_position(shoppers, labels):
    found = profile(shoppers, labels, variables=["monetary"])
    assert found.sizes.index.tolist() == ["0", "1"]
    assert found.to_frame()["value"].tolist() == [pytest.approx(250 / 3), 15.0]
    assert any("matched by position" in note for note in found.notes)


def test_series_is_matched_by_customer_id_whatever_its_order(shoppers):
    labels = pd.Series(["b", "a", "a"], index=[105, 101, 102])
    found = profile(shoppers, labels, variables=["monetary"])
    assert found.to_frame()["value"].tolist() == [15.0, 120.0]
    assert found.account.loc["monetary", "not_assigned"] == 2
    assert any("2 customers without a label" in note for note in found.notes)


def test_minus_one_and_missing_labels_are_not_assigned(shoppers):
    found = profile(shoppers, [-1, 0, 0, 1, 1], variables=["monetary"])
    assert found.sizes.index.tolist() == ["0", "1"]
    assert any("-1" in note for note in found.notes)
    found = profile(shoppers, [None, "new", "new", "old", np.nan], variables=["monetary"])
    assert found.sizes["n"].to_dict() == {"new": 2, "old": 1}
    assert found.account.loc["monetary", "not_assigned"] == 2


def test_numbers_sort_as_numbers_and_empty_categories_are_told(shoppers):
    found = profile(shoppers, [10, 9, 2, 2, 10], variables=["monetary"])
    assert found.sizes.index.tolist() == ["2", "9", "10"]
    labels = pd.Categorical(["B"] * 5, categories=["A", "B"], ordered=True)
    found = profile(shoppers, labels, variables=["monetary"])
    assert found.sizes.index.tolist() == ["B"]
    assert any("no customer here is in 'A'" in note for note in found.notes)
    assert any("only one segment" in note for note in found.notes)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2, None, 4, 5], "Int64"),
        ([1, 2, None, 4, 5], "Float64"),
        ([1, 2, None, 4, 5], "float32"),
        ([1, 2, None, 4, 5], object),
    ],
)
def test_number_columns_of_every_dtype(shoppers, segments, values, dtype):
    customers = shoppers.assign(visits=pd.Series(values, shoppers.index, dtype=dtype))
    found = profile(customers, segments, variables=[], descriptors=["visits"]).to_frame()
    assert found["value"].tolist() == [4.5, 1.5]
    assert found["n"].tolist() == [2, 2]


@pytest.mark.parametrize("dtype", ["boolean", object, "Int64", float])
def test_yes_no_columns_of_every_dtype_get_wilson_intervals(shoppers, segments, dtype):
    card = pd.Series([True, False, None, True, True], shoppers.index, dtype=object).astype(dtype)
    found = profile(shoppers.assign(card=card), segments, variables=[], descriptors=["card"])
    table = found.to_frame()
    assert table["value"].tolist() == [1.0, 0.5]
    assert table["level"].tolist() == ["", ""]
    np.testing.assert_allclose(
        table[["ci_low", "ci_high"]],
        [proportion_confint(x, 2, method="wilson") for x in (2, 1)],
        rtol=1e-12,
    )


@pytest.mark.parametrize("dtype", [object, "str", "category", "string"])
def test_text_of_every_dtype_is_told_by_level(shoppers, segments, dtype):
    customers = shoppers.assign(channel=shoppers["channel"].astype(dtype))
    table = profile(customers, segments, variables=[], descriptors=["channel"]).to_frame()
    assert table["level"].tolist() == ["store", "web"] * 2
    assert table["value"].tolist() == [1.0, 0.0, pytest.approx(1 / 3), pytest.approx(2 / 3)]


def test_categories_keep_their_order_and_text_goes_by_frequency(shoppers, segments):
    bands = pd.CategoricalDtype(["low", "mid", "high", "top"], ordered=True)
    customers = shoppers.assign(
        income=pd.Series(["mid", "mid", "high", "low", "mid"], shoppers.index, dtype=bands),
        region=["south", "south", "south", "north", "west"],
    )
    found = profile(customers, segments, variables=["income"], descriptors=["region"])
    levels = found.overall.index.get_level_values("level").tolist()
    assert levels == ["low", "mid", "high", "south", "north", "west"]
    assert found.overall["role"].tolist() == ["segmentation"] * 3 + ["descriptor"] * 3


def test_without_lists_every_number_is_a_segmentation_variable(shoppers, segments):
    found = profile(shoppers, segments)
    assert found.overall.index.get_level_values("variable").tolist() == ["monetary", "loyalty_card"]
    assert set(found.to_frame()["role"]) == {"segmentation"}
    assert any("variables was not given" in note for note in found.notes)
    assert any("not profiled" in note and "'channel'" in note for note in found.notes)
    found = profile(shoppers, segments, descriptors=["loyalty_card"])
    assert found.overall["role"].tolist() == ["segmentation", "descriptor"]


def test_no_p_value_on_what_made_the_segments(shoppers, segments):
    found = profile(shoppers, segments, variables=["monetary"], descriptors=["loyalty_card"])
    note = next(note for note in found.notes if "p-value" in note)
    assert "'monetary'" in note
    assert "loyalty_card" not in note
    assert not any(name.startswith("p_") for name in found.to_frame().columns)
    plain = profile(shoppers, segments, variables=[], descriptors=["loyalty_card"])
    assert not any("p-value" in note for note in plain.notes)


def test_no_index_where_a_ratio_misleads_and_no_std_diff_without_spread(shoppers, segments):
    customers = shoppers.assign(margin=[-5.0, 1, 2, 10, 12], fee=7.1, refunds=0.0)
    found = profile(customers, segments, variables=["margin", "fee", "refunds"])
    table = found.to_frame().set_index("variable")
    assert table.loc["margin", "index"].isna().all()
    assert table.loc["margin", "std_diff"].notna().all()
    assert table.loc["fee", "std_diff"].isna().all()
    np.testing.assert_allclose(table.loc["fee", "index"], 100, rtol=1e-12)
    assert table.loc["refunds", "index"].isna().all()
    assert any(note.startswith("no index for 'margin', 'refunds'") for note in found.notes)
    assert any(note.startswith("no std_diff for 'fee', 'refunds'") for note in found.notes)


def test_identical_customers_have_no_traits(segments):
    customers = pd.DataFrame({"orders": 3, "spend": 0.1}, index=segments.index)
    found = profile(customers, segments, variables=["orders", "spend"])
    assert found.to_frame()["std_diff"].isna().all()
    assert found.summary().count("nothing stands out") == 2


def test_a_segment_without_values_keeps_its_row(shoppers, segments):
    customers = shoppers.assign(age=[30.0, 40.0, 50.0, np.nan, np.nan])
    found = profile(customers, segments, variables=[], descriptors=["age"])
    gold = found.to_frame().iloc[0]
    assert gold["n"] == 0
    assert gold[["value", "ci_low", "ci_high", "index", "std_diff"]].isna().all()


def test_summary_tells_the_marked_traits_with_their_numbers():
    rng = np.random.default_rng(0)
    index = pd.RangeIndex(1, 401, name="customer_id")
    gold = index.to_numpy() > 300
    customers = pd.DataFrame(
        {
            "monetary": np.where(gold, 4000, 1000) + rng.normal(0, 50, 400).round(),
            "recency": 30 + rng.normal(0, 5, 400).round(),
            "channel": np.where(gold | (index.to_numpy() % 3 == 0), "web", "store"),
        },
        index=index,
    )
    labels = pd.Series(np.where(gold, "Gold", "Basic"), index)
    found = profile(customers, labels, variables=["monetary", "recency"], descriptors=["channel"])
    table = found.to_frame().set_index(["segment", "variable", "level"])
    value, overall, index_ = table.loc[("Gold", "monetary", ""), ["value", "overall", "index"]]
    assert found.summary() == (
        "400 customers in 2 segments. "
        f"Basic (75%): monetary {table.loc[('Basic', 'monetary', ''), 'value']:,.0f} against "
        f"{overall:,.0f} on average (index 57), channel store 67% against 50% (index 133). "
        f"Gold (25%): monetary {value:,.0f} against {overall:,.0f} on average "
        f"(index {index_:.0f}), channel web 100% against 50% (index 200). "
        "Of 1 descriptor, by more than chance differ: channel (Cramér's V 0.577)."
    )


def test_a_trait_without_an_interval_beside_the_average_is_not_told(shoppers):
    found = profile(shoppers, ["B", "B", "B", "B", "A"], variables=["monetary"])
    assert found.to_frame()["std_diff"].abs().min() > 0.2
    assert "A (20%): nothing stands out from the average." in found.summary()
    assert "B (80%): nothing stands out from the average." in found.summary()
    assert any(note.startswith("fewer than 30 customers: A (1), B (4)") for note in found.notes)


def test_display_shows_intervals_and_no_customer(shoppers, segments):
    found = profile(shoppers, segments, variables=["monetary"], descriptors=["channel"])
    text, html = repr(found), found._repr_html_()
    assert "Gold (n=2)" in text
    assert "channel: web" in text
    assert "20.0 [-4.84, 44.8]" in text
    assert "104" not in text.split("note:")[0].replace("2,", "")
    assert "Gold (n=2)" in html
    assert repr(found) == text


def test_result_does_not_change_when_its_frame_is_edited(shoppers, segments):
    found = profile(shoppers, segments, variables=["monetary"])
    frame = found.to_frame()
    frame["value"] = 0.0
    assert (found.to_frame()["value"] > 0).all()
    with pytest.raises(AttributeError):
        found.level = 0.5


def test_the_inputs_stay_as_they_were():
    customers, segments = random_customers(1)
    before, labels = customers.copy(), segments.copy()
    profile(customers, segments, variables=["monetary"], descriptors=["region"])
    pd.testing.assert_frame_equal(customers, before)
    pd.testing.assert_series_equal(segments, labels)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"variables": ["monetry"]}, cs.errors.ColumnError, ["'monetry'", "'monetary'"]),
        ({"descriptors": ["chanel"]}, cs.errors.ColumnError, ["'chanel'", "'channel'"]),
        (
            {"variables": ["monetary"], "descriptors": ["monetary"]},
            cs.errors.ParameterError,
            ["'monetary'", "Keep it in one list"],
        ),
        (
            {"variables": ["channel"]},
            cs.errors.DataError,
            ["'channel'", "text", "give it as descriptor"],
        ),
        ({"variables": ["monetary"] * 2}, cs.errors.ParameterError, ["more than once"]),
        ({"variables": "monetary"}, cs.errors.ParameterError, ["must be a list: ['monetary']"]),
        ({"variables": []}, cs.errors.ParameterError, ["no column to profile"]),
        ({"level": 95}, cs.errors.ParameterError, ["level is 95", "< 1"]),
    ],
)
def test_wrong_columns_and_levels_say_what_to_do(shoppers, segments, change, error, words):
    with pytest.raises(error) as caught:
        profile(shoppers, segments, **change)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["A", "B"], ["2 labels", "5 customers", "one per customer"]),
        ([None] * 5, ["all 5 labels are missing"]),
        (pd.Series(["A"] * 5, range(5)), ["5 of the 5 labels", "segments.to_numpy()"]),
        (pd.Series(["A"] * 6, range(100, 106)), ["1 of the 6 labels", "reindex"]),
        (pd.Series(["A", "A"], [101, 101]), ["2 of the 2 labels", "one label per customer"]),
        (["(all)"] * 5, ["'(all)'", "Rename"]),
        ([1, "1", 1, 1, 1], ["read the same"]),
        ([["A"], ["B"]], ["2 dimensions"]),
        (None, ["NoneType", "one label per customer"]),
    ],
)
def test_wrong_labels_say_what_to_do(shoppers, labels, words):
    with pytest.raises(cs.errors.DataError) as caught:
        profile(shoppers, labels, variables=["monetary"])
    for word in words:
        assert word in str(caught.value)


def test_wrong_tables_say_what_to_do(shoppers, segments):
    def message(customers: object, **lists: list[str]) -> str:
        with pytest.raises(cs.errors.DataError) as caught:
            profile(customers, segments, **(lists or {"variables": ["monetary"]}))
        return str(caught.value)

    assert "is empty" in message(shoppers.iloc[:0])
    assert "2 rows" in message(pd.concat([shoppers, shoppers.iloc[:1]]))
    assert "dict" in message({"monetary": [1]})
    assert "set_index('customer_id')" in message(shoppers.reset_index(), variables=["customer_id"])
    infinite = shoppers.assign(monetary=[1, 2, 3, np.inf, -np.inf])
    assert "'monetary' has 2 infinite values" in message(infinite)
    assert "no value" in message(shoppers.assign(monetary=np.nan))
    dated = shoppers.assign(first=pd.Timestamp("2024-01-01"))
    assert "'first'" in message(dated, variables=["first"])
    twins = pd.concat([shoppers, shoppers[["monetary"]]], axis=1)
    assert "more than one column named 'monetary'" in message(twins)
    ids = pd.DataFrame({"name": [f"n{i}" for i in range(200)]})
    with pytest.raises(cs.errors.DataError, match="200 different values"):
        profile(ids, ["A"] * 200, variables=[], descriptors=["name"])


def test_ids_of_mixed_types_are_fine(shoppers):
    customers = shoppers.set_axis(["a", 2, "b", 4, 5])
    found = profile(customers, ["A", "A", "B", "B", "B"], variables=["monetary"])
    assert found.to_frame()["value"].tolist() == [15.0, pytest.approx(250 / 3)]


@pytest.mark.parametrize(("k", "columns"), [(1, 1), (2, 3), (8, 15)])
def test_picture_has_a_column_of_bars_per_segment(k, columns):
    rng = np.random.default_rng(k)
    names = [f"v{i}" for i in range(columns)]
    customers = pd.DataFrame(rng.normal(size=(200, columns)), columns=names)
    found = profile(customers, rng.integers(k, size=200), variables=names)
    ax = found.plot()
    try:
        widths = [bar.get_width() for bar in ax.patches]
        np.testing.assert_allclose(widths, found.to_frame()["std_diff"], atol=1e-12)
        assert [text.get_text().split("\n")[0] for text in ax.texts] == found.sizes.index.tolist()
        assert [tick.get_text() for tick in ax.get_yticklabels()] == names
        assert "standard deviations" in ax.get_xlabel()
    finally:
        import matplotlib.pyplot as plt

        plt.close(ax.figure)


def test_picture_on_given_axes_marks_the_descriptors(shoppers, segments):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    found = profile(
        shoppers.assign(fee=1.5),
        segments,
        variables=["monetary", "fee"],
        descriptors=["loyalty_card", "channel"],
    )
    assert found.plot(ax=ax) is ax
    words = [text.get_text() for text in ax.texts]
    assert words == ["Gold\n40%", "Basic\n60%", "segmentation", "descriptors"]
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == ["monetary", "fee", "loyalty_card", "channel: store", "channel: web"]
    plt.close(figure)
