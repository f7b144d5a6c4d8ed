"""Recency, frequency, monetary value and tenure against a row-by-row count."""

import datetime as dt
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import custseg as cs
from custseg import errors

ROLES = {"customer_id": "who", "timestamp": "when", "order_id": "order", "amount": "paid"}


def sales(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    minutes = pd.to_timedelta(rng.integers(0, 300 * 24 * 60, n), unit="min")
    return pd.DataFrame(
        {
            "who": rng.integers(1, 40, n),
            "when": pd.Timestamp("2023-03-01") + minutes,
            "order": rng.integers(1, 150, n),
            "paid": rng.gamma(2, 20, n).round(2),
        }
    )


def counted_by_hand(lines: pd.DataFrame, as_of: str) -> pd.DataFrame:
    end = dt.date.fromisoformat(as_of)
    rows = {}
    for who in sorted(set(lines["who"])):
        bought = [
            line for line in lines.itertuples() if line.who == who and line.when.date() <= end
        ]
        if bought:
            days = [line.when.date() for line in bought]
            orders = {line.order for line in bought}
            paid = sum(line.paid for line in bought)
            rows[who] = ((end - max(days)).days, len(orders), paid, (end - min(days)).days)
    names = ["recency", "frequency", "monetary", "tenure"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names).rename_axis("customer_id")


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=False, rtol=1e-12)


@pytest.mark.parametrize("as_of", ["2023-05-05", "2023-12-31"])
def test_equal_to_a_count_by_hand(as_of: str) -> None:
    lines = sales()
    same(
        cs.features.rfm(cs.Transactions(lines, **ROLES), as_of=as_of), counted_by_hand(lines, as_of)
    )


def test_the_default_date_is_the_last_one_present() -> None:
    lines = sales()
    table = cs.features.rfm(cs.Transactions(lines, **ROLES))
    assert table.attrs["as_of"] == lines["when"].max().date().isoformat()
    assert table["recency"].min() == 0


@given(day=st.integers(0, 299), later=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_nothing_later_than_as_of_leaks_in(day: int, later: int) -> None:
    lines = sales()
    as_of = (pd.Timestamp("2023-03-02") + pd.Timedelta(days=day)).date().isoformat()
    known = lines["when"].dt.date <= dt.date.fromisoformat(as_of)
    changed = sales(seed=later)[lambda frame: frame["when"].dt.date > dt.date.fromisoformat(as_of)]
    lines = pd.concat([lines[known], lines[known].head(1)])
    before = cs.features.rfm(cs.Transactions(lines, **ROLES), as_of=as_of)
    after = cs.features.rfm(cs.Transactions(pd.concat([lines, changed]), **ROLES), as_of=as_of)
    same(before, after)


def test_row_order_changes_nothing() -> None:
    lines = sales()
    shuffled = lines.sample(frac=1, random_state=3)
    same(
        cs.features.rfm(cs.Transactions(lines, **ROLES)),
        cs.features.rfm(cs.Transactions(shuffled, **ROLES)),
    )


def test_without_orders_every_row_is_one() -> None:
    roles = {role: column for role, column in ROLES.items() if role != "order_id"}
    table = cs.features.rfm(cs.Transactions(sales(), **roles))
    assert table["frequency"].sum() == 400


def test_ids_that_are_whole_numbers_stay_whole() -> None:
    lines = sales().astype({"who": "float64"})
    assert cs.features.rfm(cs.Transactions(lines, **ROLES)).index.dtype == "int64"


def test_every_engine_gives_the_same_table(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    lines = sales()
    path = tmp_path / "lines.parquet"
    duckdb.from_df(lines).write_parquet(str(path))
    expected = cs.features.rfm(cs.Transactions(lines, **ROLES))
    for data in (
        polars.from_pandas(lines),
        polars.from_pandas(lines).to_arrow(),
        path,
        duckdb.from_df(lines),
    ):
        same(cs.features.rfm(cs.Transactions(data, **ROLES)), expected)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (sales().assign(who=[None] + [1.0] * 399), "1 rows without customer_id.*clean"),
        (
            sales().assign(when=[pd.NaT] * 2 + [pd.Timestamp("2024-01-01")] * 398),
            "2 rows without timestamp",
        ),
        (sales().assign(paid=[np.nan] * 3 + [1.0] * 397), "3 rows without amount"),
    ],
)
def test_missing_ids_times_and_amounts_are_refused(lines: pd.DataFrame, words: str) -> None:
    with pytest.raises(errors.DataError, match=words):
        cs.features.rfm(cs.Transactions(lines, **ROLES))


def test_money_needs_a_role() -> None:
    tx = cs.Transactions(sales(), customer_id="who", timestamp="when")
    with pytest.raises(errors.ColumnError, match="rfm needs the role amount"):
        cs.features.rfm(tx)


def test_a_date_before_all_rows_is_refused() -> None:
    with pytest.raises(errors.DataError, match="nobody bought by 2001-01-01"):
        cs.features.rfm(cs.Transactions(sales(), **ROLES), as_of="2001-01-01")
