"""Segments are named alike in every room."""

import numpy as np
import pandas as pd
import pytest

from custseg._labels import name_labels
from custseg.errors import DataError


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["b", "a", None, "b"], ["a", "b"]),
        ([2, 10, 1], ["1", "2", "10"]),
        ([2.0, np.nan, 10.0], ["2", "10"]),
        ([0.5, 1.0], ["0.5", "1"]),
        ([True, False], ["False", "True"]),
        ([1, "b", 1], ["1", "b"]),
        (pd.array([3, None, 1], dtype="Int64"), ["1", "3"]),
        (pd.Categorical(["b", "a"], categories=["b", "a", "c"]), ["b", "a", "c"]),
        (pd.cut([1, 5], [4, 9, 12]), ["(4, 9]", "(9, 12]"]),
    ],
    ids=["text", "numbers", "floats", "parts", "truth", "mixed", "nullable", "categories", "bands"],
)
def test_labels_become_names_in_order(labels, names):
    found = name_labels(pd.Series(labels))
    assert found.cat.categories.tolist() == names
    assert found.cat.ordered
    assert found.isna().tolist() == pd.Series(labels).isna().tolist()


@pytest.mark.parametrize("kind", ["int64", "float64", "Int64", "category"])
def test_the_mark_of_noise_is_no_segment(kind):
    found = name_labels(pd.Series([1, -1, 0, -1], dtype="int64").astype(kind))
    assert found.cat.categories.tolist() == ["0", "1"]
    assert found.isna().tolist() == [False, True, False, True]


def test_the_text_of_the_mark_is_a_name():
    assert name_labels(pd.Series(["-1", "1"])).tolist() == ["-1", "1"]


@pytest.mark.parametrize("order", [[1, "b", "a"], ["a", 1, "b"], ["b", "a", 1]])
def test_the_order_of_rows_names_nothing(order):
    assert name_labels(pd.Series(order, dtype=object)).cat.categories.tolist() == ["1", "a", "b"]


def test_names_must_differ_and_not_mean_everybody():
    with pytest.raises(DataError, match="read the same \\('1'\\)"):
        name_labels(pd.Series([1, "1"], dtype=object))
    with pytest.raises(DataError, match=r"called '\(all\)'"):
        name_labels(pd.Series(["a", "(all)"]))
