"""The data dictionary: what a table carries, what it loses, and what the doors read."""

import numpy as np
import pandas as pd
import pytest

from custseg.errors import ColumnError, ParameterError
from custseg.features.dictionary import (
    FAMILIES,
    INFERRED,
    KINDS,
    Column,
    attach,
    describe_columns,
    infer_kind,
    read_kinds,
)

ENTRIES = {
    "frequency": Column("behavioural", "count", "number of orders", "transactions"),
    "store": Column("geographic", "nominal", "number of the home store", "customers"),
    "hobby": Column(None, "nominal", "as given", "customers"),
}


def table() -> pd.DataFrame:
    frame = pd.DataFrame(
        {"frequency": [2, 5], "store": [101, 102], "hobby": ["tennis", "chess"], "spend": [1.5, 2]},
        index=pd.Index([7, 9], name="customer_id"),
    )
    return attach(frame, ENTRIES, as_of=pd.Timestamp("2024-12-31").date())


def expected(as_of: str | None = "2024-12-31") -> pd.DataFrame:
    rows = [(name, *entry, as_of) for name, entry in ENTRIES.items()]
    rows.append(("spend", None, "numeric", None, INFERRED, as_of))
    return pd.DataFrame(rows, columns=["column", *Column._fields, "as_of"])


def test_a_table_describes_itself():
    pd.testing.assert_frame_equal(describe_columns(table()), expected())
    part = describe_columns(table()[["spend", "store"]])
    pd.testing.assert_frame_equal(part, expected().iloc[[3, 1]].reset_index(drop=True))


def test_what_a_merge_loses_can_be_given_back():
    merged = table().merge(
        pd.DataFrame({"age": [30, 41]}, index=[7, 9]), left_index=True, right_index=True
    )
    merged.attrs = {}
    lost = describe_columns(merged)
    assert set(lost["source"]) == {INFERRED}
    assert lost["as_of"].isna().all()
    assert lost.set_index("column")["kind"].to_dict() == {
        "frequency": "numeric",
        "store": "numeric",
        "hobby": "nominal",
        "spend": "numeric",
        "age": "numeric",
    }
    back = describe_columns(merged, dictionary=describe_columns(table()), as_of="2024-12-31")
    pd.testing.assert_frame_equal(back.iloc[:4], expected())


def test_the_dictionary_survives_a_file(tmp_path):
    describe_columns(table()).to_csv(tmp_path / "dictionary.csv", index=False)
    read = pd.read_csv(tmp_path / "dictionary.csv")
    plain = pd.DataFrame(table().reset_index(drop=True))
    plain.attrs = {}
    back = describe_columns(plain, dictionary=read, as_of="2024-12-31")
    pd.testing.assert_frame_equal(back, expected())


def test_an_inferred_kind_is_inferred_again_and_a_stated_family_stays():
    said = describe_columns(table(), dictionary={"spend": {"family": "value"}})
    assert said.set_index("column").loc["spend", ["family", "kind", "source"]].tolist() == [
        "value",
        "numeric",
        INFERRED,
    ]
    flags = table().assign(spend=[True, False])
    again = describe_columns(flags, dictionary=said).set_index("column").loc["spend"]
    assert again[["family", "kind", "source"]].tolist() == ["value", "binary", INFERRED]


def test_doors_read_what_is_given_and_never_what_is_attached():
    assert read_kinds(table(), None)["store"] == ("numeric", False, None)
    known = read_kinds(table(), describe_columns(table()))
    assert known["store"] == ("nominal", True, "geographic")
    assert known["hobby"] == ("nominal", True, None)
    assert known["spend"] == ("numeric", False, None)
    assert read_kinds(table(), {"spend": "count"})["spend"] == ("count", True, None)


def test_kinds_are_what_the_type_says():
    values = {
        "binary": [pd.Series([True, False]), pd.Series([0.0, 1.0, np.nan]), pd.Series([1, 1])],
        "ordinal": [pd.Series(pd.Categorical(["a", "b"], ordered=True))],
        "nominal": [pd.Series(["a", None]), pd.Series(pd.Categorical([1, 2]))],
        "numeric": [
            pd.Series([0, 2]),
            pd.Series([np.nan, np.nan]),
            pd.Series(pd.to_datetime(["2024-01-01"])),
        ],
    }
    for kind, columns in values.items():
        assert [infer_kind(column) for column in columns] == [kind] * len(columns)
    assert set(values) < set(KINDS)


def test_attaching_does_not_change_the_frame():
    plain = pd.DataFrame({"frequency": [1]})
    attach(plain, {"frequency": ENTRIES["frequency"]}, as_of=None)
    assert plain.attrs == {}


@pytest.mark.parametrize(
    ("dictionary", "error", "words"),
    [
        ({"store": {"family": "geografic", "kind": "nominal"}}, ParameterError, "'geographic'"),
        ({"store": "nominl"}, ParameterError, "the kind of 'store' is 'nominl'"),
        ({"store": {"type": "nominal"}}, ParameterError, "a part of the entry of 'store'"),
        (pd.DataFrame({"columns": ["store"], "kind": "nominal"}), ColumnError, "'column'"),
        (pd.DataFrame({"column": ["store"] * 2, "kind": "count"}), ParameterError, "two entries"),
        (["store"], ParameterError, "dictionary is a list"),
    ],
)
def test_a_dictionary_that_cannot_be_read_says_why(dictionary, error, words):
    with pytest.raises(error, match=words):
        describe_columns(table(), dictionary=dictionary)


def test_an_entry_needs_its_column():
    with pytest.raises(ParameterError, match="'recency'"):
        attach(table(), {"recency": ENTRIES["frequency"]}, as_of=None)
    with pytest.raises(ParameterError, match="Did you mean 'value'"):
        attach(table(), {"spend": Column("values", "numeric", "", "")}, as_of=None)
    assert len(FAMILIES) == 9
