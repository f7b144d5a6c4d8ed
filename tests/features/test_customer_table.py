"""The customer table: who is in it, what each column is, what matched, and nothing in silence."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import custseg as cs
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.features import Encoder, describe_columns, rfm
from custseg.features.customer_table import build_customer_table, describe_sources
from custseg.features.dictionary import FAMILIES, INFERRED, KINDS
from custseg.features.gower import gower

AS_OF = "2024-06-30"
INCOMES = ["under 20k", "20k-40k", "over 40k"]


def lines() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer": ["ann", "ann", "bob", "eve", "fay"],
            "at": pd.to_datetime(
                ["2024-01-05", "2024-06-01", "2024-05-31", "2024-06-30", "2024-07-02"]
            ),
            "order": [1, 2, 3, 4, 5],
            "paid": [20.0, 35.0, 8.0, 99.0, 5.0],
            "where": ["web", "store", "web", "store", "web"],
        }
    )


def visits() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer": ["ann", "cem", "cem", "ann"],
            "at": pd.to_datetime(["2024-06-01", "2024-06-02", "2024-06-20", "2024-07-01"]),
            "what": ["visit", "mail", "visit", "mail"],
        }
    )


def answers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer": ["bob", "cem"],
            "at": pd.to_datetime(["2024-06-10", "2024-06-11"]),
            "recommend": [9, 4],
        }
    )


def people() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer": ["cem", "ann", "bob", "dee"],
            "age": [51, 30, 42, 28],
            "income_band": pd.Categorical(
                ["over 40k", "20k-40k", "under 20k", "20k-40k"], INCOMES, ordered=True
            ),
            "town_region": ["West", "North", None, "North"],
            "sign_up": pd.to_datetime(["2023-01-01", "2024-01-01", "2024-06-30", "2024-07-05"]),
            "hobby": ["chess", "chess", "tennis", "tennis"],
        }
    )


def sources(**change) -> dict:
    return {
        "transactions": cs.Transactions(
            change.get("lines", lines()),
            customer_id="customer",
            timestamp="at",
            order_id="order",
            amount="paid",
            channel="where",
        ),
        "touchpoints": cs.Touchpoints(
            change.get("visits", visits()),
            customer_id="customer",
            timestamp="at",
            touchpoint="what",
        ),
        "survey": cs.Survey(
            change.get("answers", answers()),
            customer_id="customer",
            timestamp="at",
            nps="recommend",
        ),
        "customers": cs.Customers(change.get("people", people()), customer_id="customer"),
    }


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return build_customer_table(as_of=AS_OF, **sources())


SHOWN = ["age", "recency", "frequency", "monetary", "contacts", "contact_recency", "nps"]


def test_customers_anchor_the_table_and_missing_stays_missing(table):
    nan = np.nan
    expected = pd.DataFrame(
        {
            "age": [30, 42, 51, 28],
            "recency": [29.0, 30, nan, nan],
            "frequency": [2.0, 1, nan, nan],
            "monetary": [55.0, 8, nan, nan],
            "contacts": [1.0, nan, 2, nan],
            "contact_recency": [29.0, nan, 10, nan],
            "nps": [nan, 9.0, 4, nan],
        },
        index=pd.Index(["ann", "bob", "cem", "dee"], name="customer_id"),
    )
    pd.testing.assert_frame_equal(table[SHOWN], expected, check_index_type=False)
    assert table.columns[:5].tolist() == [
        *("age", "income_band", "town_region", "days_since_sign_up", "hobby")
    ]
    assert table["income_band"].cat.categories.tolist() == INCOMES
    assert table["days_since_sign_up"].tolist()[:3] == [181, 0, 546]
    notes = table.attrs["notes"]
    assert "customers: 1 dates of sign_up lie after as_of and are missing." in notes
    assert "customers: the family of hobby is not known; dictionary= states it." in notes
    assert "2 of 4 customers are not in survey: its columns are missing for them, not 0." in notes
    assert "1 of 3 ids of transactions are not among customers and are left out." in notes


def test_without_customers_everybody_is_in_the_table():
    raw = sources()
    del raw["customers"]
    found = build_customer_table(as_of=AS_OF, **raw)
    assert found.index.tolist() == ["ann", "bob", "cem", "eve"]
    assert found.loc["cem", ["recency", "frequency", "monetary"]].isna().all()
    assert describe_sources(found)["left_out"].tolist() == [0, 0, 0]
    alone = build_customer_table(as_of=AS_OF, transactions=raw["transactions"])
    assert alone["frequency"].dtype == "int64"
    assert describe_sources(alone)["match_rate"].isna().all()


def test_the_account_of_the_sources(table):
    expected = pd.DataFrame(
        {
            "source": ["customers", "transactions", "touchpoints", "survey"],
            "ids": [4, 3, 2, 2],
            "matched": [3, 2, 2, 2],
            "match_rate": [3 / 4, 2 / 3, 1, 1],
            "only_here": [1, 1, 0, 0],
            "in_table": [4, 2, 2, 2],
            "left_out": [0, 1, 0, 0],
        }
    )
    pd.testing.assert_frame_equal(describe_sources(table).drop(columns="columns"), expected)
    assert describe_sources(table)["columns"].sum() == table.shape[1]


ids = st.lists(st.integers(1, 12), min_size=1, max_size=8, unique=True)


@settings(max_examples=15)
@given(st.tuples(ids, ids, ids), st.booleans())
def test_every_id_is_accounted_for(drawn, anchored):
    names = ["customers" if anchored else "survey", "transactions", "touchpoints"]
    frames = {
        name: pd.DataFrame({f"x_{name}": 1.0}, index=pd.Index(found, name="customer_id"))
        for name, found in zip(names, drawn, strict=True)
    }
    found = build_customer_table(as_of=AS_OF, **frames)
    everybody = set(drawn[0]) if anchored else set().union(*drawn)
    assert found.index.tolist() == sorted(everybody)
    report = describe_sources(found).set_index("source")
    for name, own in zip(names, map(set, drawn), strict=True):
        others = set().union(*(set(d) for n, d in zip(names, drawn, strict=True) if n != name))
        others = set(drawn[0]) if anchored and name != "customers" else others
        row = report.loc[name]
        assert (row["ids"], row["matched"]) == (len(own), len(own & others))
        assert (row["in_table"], row["left_out"]) == (len(own & everybody), len(own - everybody))
        assert row["ids"] == row["matched"] + row["only_here"] == row["in_table"] + row["left_out"]
        assert found[f"x_{name}"].notna().sum() == row["in_table"]


def test_the_dictionary_knows_every_column(table):
    described = describe_columns(table)
    assert described["column"].tolist() == table.columns.tolist()
    assert set(described["kind"]) <= set(KINDS)
    assert set(described["family"].dropna()) <= set(FAMILIES)
    assert described["as_of"].unique().tolist() == [AS_OF]
    assert described["definition"].str.len().min() > 5
    by_name = described.set_index("column")
    assert by_name["family"].isna().sum() == 1
    parts = ["family", "kind", "definition", "source"]
    assert by_name.loc["income_band", parts].tolist() == [
        "demographic",
        "ordinal",
        "income_band as given (kind by its type): under 20k < 20k-40k < over 40k",
        "customers",
    ]
    assert by_name.loc["town_region", parts[:2]].tolist() == ["geographic", "nominal"]
    assert by_name.loc["days_since_sign_up", parts].tolist() == [
        *("behavioural", "count", "days from sign_up to as_of", "customers")
    ]
    assert by_name.loc["channel_share_web", "kind"] == "share"
    assert by_name.loc["contacts", "source"] == "touchpoints"


def test_a_dictionary_says_what_the_sources_do_not():
    said = {
        "hobby": {"family": "psychographic"},
        "age": {"kind": "count", "definition": "age in years"},
        "nps": "numeric",
    }
    found = build_customer_table(as_of=AS_OF, **sources(), dictionary=said)
    described = describe_columns(found).set_index("column")
    assert described.loc["hobby", ["family", "kind"]].tolist() == ["psychographic", "nominal"]
    assert described.loc["age", ["family", "kind", "definition"]].tolist() == [
        *("demographic", "count", "age in years")
    ]
    assert described.loc["nps", ["family", "kind"]].tolist() == ["satisfaction", "numeric"]
    assert not any("family of hobby" in note for note in found.attrs["notes"])
    with pytest.raises(ColumnError, match="Did you mean 'hobby'"):
        build_customer_table(as_of=AS_OF, **sources(), dictionary={"hoby": "nominal"})


def test_ready_frames_and_lists_of_them_are_joined_as_they_are():
    tx = sources()["transactions"]
    spend = pd.DataFrame({"wishlist": [4, 1]}, index=pd.Index(["ann", "cem"], name="customer_id"))
    members = pd.DataFrame(
        {"vip": [True, False]}, index=pd.Index(["ann", "bob"], name="customer_id")
    )
    found = build_customer_table(
        as_of=AS_OF,
        transactions=[rfm(tx, as_of=AS_OF), spend, rfm(tx, as_of=AS_OF)[["recency"]]],
        touchpoints=members,
    )
    assert found.columns.tolist() == [
        *("recency", "frequency", "monetary", "tenure", "wishlist", "vip")
    ]
    assert found.index.tolist() == ["ann", "bob", "cem", "eve"]
    assert found["vip"].dtype == "boolean"
    described = describe_columns(found).set_index("column")
    assert described.loc["wishlist", ["family", "kind", "source"]].tolist() == [
        *("behavioural", "numeric", "transactions")
    ]
    assert described.loc["vip", ["family", "kind"]].tolist() == ["journey", "binary"]
    trust = "a frame came without its date; that nothing is later was taken on trust."
    assert [note for note in found.attrs["notes"] if trust in note] == [
        f"transactions: {trust}",
        f"touchpoints: {trust}",
    ]


def test_text_that_looks_like_bands_is_not_called_ordinal_or_nominal_in_silence():
    found = build_customer_table(
        as_of=AS_OF, **sources(people=people().astype({"income_band": str}))
    )
    assert describe_columns(found).set_index("column").loc["income_band", "kind"] == "nominal"
    assert any("income_band holds text that looks like bands" in n for n in found.attrs["notes"])
    said = build_customer_table(
        as_of=AS_OF,
        **sources(people=people().astype({"income_band": str})),
        dictionary={"income_band": "nominal"},
    )
    assert not any("income_band" in note for note in said.attrs["notes"])


@pytest.mark.parametrize("roles", [{}, {"income": "income_band"}, {"categories": ["income_band"]}])
def test_only_categories_with_an_order_are_ordinal(roles):
    unordered = people().astype({"hobby": "category", "town_region": "category"})
    customers = cs.Customers(unordered, customer_id="customer", **roles).clean(as_of=AS_OF)
    found = build_customer_table(as_of=AS_OF, customers=customers)
    income = "income" if "income" in roles else "income_band"
    kinds = describe_columns(found).set_index("column")["kind"]
    assert kinds[[income, "hobby", "town_region"]].tolist() == ["ordinal", "nominal", "nominal"]
    assert found[income].cat.categories.tolist() == INCOMES
    assert found[income].tolist() == ["20k-40k", "under 20k", "over 40k", "20k-40k"]


def later(frame: pd.DataFrame, drawn: list[tuple[str, int]]) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "customer": [who for who, _ in drawn],
            "at": [pd.Timestamp(AS_OF) + pd.Timedelta(days=after) for _, after in drawn],
        }
    )
    rows = rows.assign(order=range(100, 100 + len(rows)), paid=7.5, where="app", what="chat")
    rows["recommend"] = 1
    extra = rows[frame.columns].drop_duplicates("customer") if "recommend" in frame else rows
    return pd.concat([frame, extra[frame.columns]], ignore_index=True)


moments = st.tuples(st.sampled_from(["ann", "bob", "dee", "gus"]), st.integers(1, 400))


@settings(max_examples=5)
@given(st.lists(moments, max_size=6), st.randoms(use_true_random=False))
def test_nothing_later_and_no_order_of_rows_changes_the_table(drawn, random):
    raw = {"lines": lines(), "visits": visits(), "answers": answers(), "people": people()}
    base = build_customer_table(as_of=AS_OF, **sources(**raw))
    answered_once = [one for one in drawn if one[0] != "bob"]
    moved = {
        "lines": later(lines(), drawn),
        "visits": later(visits(), drawn),
        "answers": later(answers(), answered_once),
        "people": people(),
    }
    shuffled = {
        name: frame.sample(frac=1, random_state=random.randrange(2**31))
        for name, frame in moved.items()
    }
    found = build_customer_table(as_of=AS_OF, **sources(**shuffled))
    pd.testing.assert_frame_equal(found, base)
    assert found.attrs == base.attrs


def test_joins_files_and_lost_attrs_change_no_number_in_silence(table, tmp_path):
    dictionary = describe_columns(table)
    names = ["age", "income_band", "hobby", "frequency", "channel_share_web", "nps"]
    options = {"dictionary": dictionary, "missing": "impute", "min_frequency": 0}
    encoded = Encoder(**options).fit_transform(table[names])
    inferred = Encoder(missing="impute").fit_transform(table[["age", "frequency", "nps"]])
    apart = gower(table[names], dictionary=dictionary)

    extra = pd.DataFrame({"extra": 1}, index=table.index)
    lost = {
        "merged": table.merge(extra, left_index=True, right_index=True),
        "joined": extra.join(table),
        "concatenated": pd.concat([table.iloc[:2], table.iloc[2:]]),
        "plain": pd.DataFrame(dict(table.items())),
    }
    for frame in lost.values():
        frame.attrs = {}
        described = describe_columns(frame[table.columns], dictionary=dictionary, as_of=AS_OF)
        pd.testing.assert_frame_equal(described, dictionary)
        assert set(describe_columns(frame)["source"]) == {INFERRED}
        np.testing.assert_array_equal(Encoder(**options).fit_transform(frame[names]), encoded)
        np.testing.assert_array_equal(gower(frame[names], dictionary=dictionary), apart)
        numbers = Encoder(missing="impute").fit(frame[["age", "frequency", "nps"]])
        np.testing.assert_array_equal(
            numbers.transform(frame[["age", "frequency", "nps"]]), inferred
        )
        assert "age, frequency, nps" in numbers.notes[0]
        with pytest.raises(DataError, match="merges and files lose"):
            describe_sources(frame)

    table.to_csv(tmp_path / "table.csv")
    dictionary.to_csv(tmp_path / "dictionary.csv", index=False)
    back = pd.read_csv(tmp_path / "table.csv", index_col="customer_id")
    said = pd.read_csv(tmp_path / "dictionary.csv")
    pd.testing.assert_frame_equal(describe_columns(back, dictionary=said, as_of=AS_OF), dictionary)
    with pytest.raises(DataError, match=r"'income_band' .* have no order: a file keeps text only"):
        Encoder(**options | {"dictionary": said}).fit(back[names])
    with pytest.raises(DataError, match=r"'income_band' .* have no order"):
        gower(back[names], dictionary=said)
    with pytest.raises(DataError, match="'income_band' holds text"):
        Encoder(missing="impute").fit(back[names])
    with pytest.raises(DataError, match="'income_band' holds text that looks like bands"):
        gower(back[names])
    back["income_band"] = pd.Categorical(back["income_band"], INCOMES, ordered=True)
    again = Encoder(**options | {"dictionary": said}).fit_transform(back[names])
    np.testing.assert_allclose(again, encoded, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gower(back[names], dictionary=said), apart, rtol=0, atol=1e-12)


def indexed(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.Index(["ann", "bob"], name="customer_id"))


def test_ids_are_compared_as_what_they_are():
    whole = pd.DataFrame({"spend": [1.0, 2.0]}, index=pd.Index([7.0, 9.0], name="customer_id"))
    labels = pd.DataFrame(
        {"visits": [3]}, index=pd.CategoricalIndex([9], categories=[9], name="customer_id")
    )
    found = build_customer_table(as_of=AS_OF, transactions=whole, touchpoints=labels)
    assert found.index.tolist() == [7, 9]
    assert describe_sources(found)["matched"].tolist() == [1, 1]
    upper = indexed(visits=[1, 2]).rename(index=str.upper)
    near = build_customer_table(as_of=AS_OF, transactions=indexed(spend=[1, 2]), touchpoints=upper)
    assert any("would match if case and outer blanks" in note for note in near.attrs["notes"])


def test_attributes_are_the_same_from_a_file(tmp_path):
    raw = people().assign(
        vip=[True, None, False, True],
        born=pd.to_datetime(["1973-02-28", "1994-01-01", None, "1996-05-06"]),
        balance=[1.25, None, 0.5, 2.0],
    )
    raw = raw.astype({"income_band": "str", "vip": "boolean"})
    duckdb.from_df(raw).select(
        "* REPLACE (CAST(born AS DATE) AS born, CAST(balance AS DECIMAL(9, 2)) AS balance)"
    ).write_parquet(str(tmp_path / "people.parquet"))
    tables = [
        build_customer_table(as_of=AS_OF, customers=cs.Customers(data, customer_id="customer"))
        for data in (raw, tmp_path / "people.parquet")
    ]
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["vip"].dtype == "boolean"
    assert tables[0]["balance"].dtype == "float64"
    assert tables[0]["days_since_born"].tolist()[0] == 11138


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda: {"transactions": lines()}, DataError, "index None.*cs.Transactions"),
        (
            lambda: {"transactions": sources()["touchpoints"]},
            DataError,
            "is a Touchpoints, but must be",
        ),
        (lambda: {"transactions": "lines.csv"}, DataError, "transactions is a str, but must be"),
        (lambda: {"survey": []}, ParameterError, "survey is an empty list"),
        (lambda: {"survey": indexed().iloc[:0]}, DataError, "survey frame is empty: 0 rows"),
        (
            lambda: {"survey": indexed(nps=[1, 2]).rename(index={"bob": "ann"})},
            DataError,
            "0 rows without customer_id and 1 rows that repeat a customer, which would multiply",
        ),
        (
            lambda: {"survey": indexed(nps=[1, 2]).rename(index={"bob": None})},
            DataError,
            "1 rows without",
        ),
        (
            lambda: {
                "customers": cs.Customers(pd.concat([people(), people()]), customer_id="customer")
            },
            DataError,
            r"4 rows that repeat a customer.*customers\.clean\(\)",
        ),
        (
            lambda: {"survey": pd.DataFrame({"nps": [1]}, index=pd.Index([7], name="customer_id"))},
            DataError,
            "the ids of transactions are text and those of survey are not",
        ),
        (
            lambda: {"survey": indexed(frequency=[1, 2])},
            DataError,
            "transactions and survey both have a column 'frequency', with different values",
        ),
        (
            lambda: {"touchpoints": rfm(sources()["transactions"], as_of="2024-05-31")},
            ParameterError,
            "counts up to 2024-05-31, but as_of is 2024-06-30. Build it again",
        ),
        (lambda: {"as_of": None}, ParameterError, "as_of must be a date"),
        (lambda: {"as_of": "2020-01-01"}, DataError, "nobody bought by 2020-01-01"),
        (
            lambda: {"transactions": None},
            ParameterError,
            "no source is given. Name at least one of cust",
        ),
    ],
)
def test_bad_input_is_named(change, error, words):
    given = {"as_of": AS_OF, "transactions": sources()["transactions"]} | change()
    with pytest.raises(error, match=words):
        build_customer_table(**given)


def shop_sources(shop: "cs.datasets.Shop") -> dict:
    items = [name for name in shop.survey if name[-1].isdigit() or name.startswith("benefit")]
    return {
        "transactions": cs.Transactions(
            shop.transactions,
            customer_id="customer_id",
            timestamp="timestamp",
            order_id="order_id",
            category="category",
            channel="channel",
            quantity="quantity",
            amount="amount",
            discount="discount",
        ).clean(),
        "touchpoints": cs.Touchpoints(
            shop.touchpoints,
            customer_id="customer_id",
            timestamp="timestamp",
            touchpoint="touchpoint",
            channel="channel",
            stage="stage",
        ),
        "survey": cs.Survey(
            shop.survey,
            customer_id="customer_id",
            timestamp="responded",
            items=items,
            nps="nps",
            csat="csat",
            ces="ces",
        ),
        "customers": cs.Customers(shop.customers, customer_id="customer_id"),
    }


def test_the_shop_becomes_one_table_that_can_be_segmented(shop):
    as_of = shop.transactions["timestamp"].max().date()
    found = build_customer_table(as_of=as_of, **shop_sources(shop))
    assert found.index.tolist() == sorted(shop.customers["customer_id"])
    report = describe_sources(found).set_index("source")
    assert report.loc["survey", "ids"] == shop.survey["customer_id"].nunique() == 1982
    assert report["left_out"].sum() == 0
    assert found["nps"].notna().sum() == 1982
    bought = shop.transactions.query("amount > 0")["customer_id"].nunique()
    assert found["frequency"].notna().sum() == bought

    described = describe_columns(found)
    assert (
        described["family"].notna().all()
        or set(described.loc[described["family"].isna(), "column"]) == set()
    )
    names = ["age", "income_band", "region", "frequency", "discount_share", "contacts_365d", "nps"]
    encoder = Encoder(dictionary=described, missing="impute", family_weights="balanced")
    model = cs.SegmentationModel(
        "kmeans", n_segments=6, variables=names, encoder=encoder, random_state=0
    ).fit(found)
    assert model.sizes_["n"].sum() == 5000
    frame = model.encoder_.to_frame().set_index("column")
    assert frame["given"].all()
    assert frame.loc["nps", "missing"] == 5000 - 1982
    centers = model.encoder_.inverse_transform(model.estimator_.cluster_centers_)
    assert centers["region"].isin(shop.customers["region"].unique()).all()
