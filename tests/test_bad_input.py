"""Bad input at every door: the error is the right one, names what is wrong and says what to do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg.errors import ColumnError, DataError, MissingFileError, ParameterError

VARIABLES = ["recency", "frequency", "monetary"]
Case = tuple[Callable[[], Any], type[Exception], list[str]]


def order_lines(**change: Any) -> pd.DataFrame:
    lines = pd.DataFrame(
        {
            "CustomerID": [17850, 17850, 13047, 12583],
            "InvoiceDate": ["2011-01-05", "2011-02-01", "2011-02-02", "2011-02-03"],
            "Amount": [20.0, 35.0, 10.0, 7.5],
        }
    )
    return lines.assign(**change)


def transactions(data: Any, **roles: str) -> cs.Transactions:
    named = {"customer_id": "CustomerID", "timestamp": "InvoiceDate", "amount": "Amount"}
    return cs.Transactions(data, **(named | roles))


def customer_table(**change: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "recency": rng.integers(0, 300, 40),
            "frequency": rng.integers(1, 20, 40),
            "monetary": rng.gamma(2, 100, 40).round(2),
            "country": ["France", "Spain"] * 20,
        },
        index=pd.RangeIndex(12346, 12386, name="customer_id"),
    )
    return table.assign(**change)


def with_value(value: float) -> pd.DataFrame:
    table = customer_table()
    table.loc[12350, "monetary"] = value
    return table


def identical() -> pd.DataFrame:
    return customer_table(recency=3, frequency=1, monetary=9.5)


def three_kinds() -> pd.DataFrame:
    kinds = np.arange(40) % 3
    return customer_table(recency=kinds, frequency=kinds, monetary=kinds)


def repeated_ids() -> pd.DataFrame:
    table = customer_table()
    return pd.concat([table, table.iloc[:2]])


def fit(customers: pd.DataFrame, variables: list[str] = VARIABLES, k: int = 3) -> Any:
    model = cs.SegmentationModel("kmeans", n_segments=k, variables=variables, random_state=0)
    return model.fit(customers)


def compare(customers: pd.DataFrame, variables: list[str] = VARIABLES, k: Any = (2, 3)) -> Any:
    return cs.evaluation.compare_segmentations(customers, variables, k=k)


def profile(customers: pd.DataFrame, variables: list[str] = VARIABLES) -> Any:
    labels = ["A", "B"] * (len(customers) // 2)
    return cs.profiling.profile(customers, labels, variables=variables)


def mailing(**change: Any) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    sent = pd.DataFrame(
        {
            "customer_id": np.arange(60),
            "arm": ["No E-Mail", "Mens E-Mail"] * 30,
            "visit": rng.integers(0, 2, 60),
            "spend": rng.gamma(1, 20, 60),
        }
    )
    return sent.assign(**change)


def analyze(data: Any, *, control: str = "No E-Mail", spend: str = "spend", **options: Any) -> Any:
    metrics = {"visit": cs.Proportion("visit"), "spend": cs.Mean(spend)}
    test = cs.CampaignTest(arm="arm", control=control, metrics=metrics, **options)
    return test.analyze(data)


CASES: dict[str, Case] = {
    "missing column, transactions": (
        lambda: transactions(order_lines(), customer_id="CustmerID"),
        ColumnError,
        ["'CustmerID'", "Did you mean 'CustomerID'?"],
    ),
    "missing column, rfm": (
        lambda: cs.features.rfm(
            cs.Transactions(order_lines(), customer_id="CustomerID", timestamp="InvoiceDate")
        ),
        ColumnError,
        ["rfm needs the role amount", "amount='column'"],
    ),
    "missing column, model": (
        lambda: fit(customer_table(), ["recencey"]),
        ColumnError,
        ["'recencey'", "Did you mean 'recency'?"],
    ),
    "missing column, evidence": (
        lambda: compare(customer_table(), ["recencey"]),
        ColumnError,
        ["'recencey'", "Did you mean 'recency'?"],
    ),
    "missing column, profile": (
        lambda: profile(customer_table(), ["recencey"]),
        ColumnError,
        ["'recencey'", "Did you mean 'recency'?"],
    ),
    "missing column, campaign": (
        lambda: analyze(mailing(), spend="spent"),
        ColumnError,
        ["'spent'", "Did you mean 'spend'?"],
    ),
    "missing arm column, campaign": (
        lambda: analyze(mailing().rename(columns={"arm": "arms"})),
        ColumnError,
        ["'arm'", "Did you mean 'arms'?"],
    ),
    "empty table, transactions": (
        lambda: transactions(order_lines().iloc[:0]),
        DataError,
        ["the transactions have no rows"],
    ),
    "empty table, model": (
        lambda: fit(customer_table().iloc[:0]),
        DataError,
        ["is empty", "Check the filter or the join"],
    ),
    "empty table, evidence": (
        lambda: compare(customer_table().iloc[:0]),
        DataError,
        ["is empty", "Check the filter or the join"],
    ),
    "empty table, profile": (
        lambda: profile(customer_table().iloc[:0]),
        DataError,
        ["is empty", "check the filter or the join"],
    ),
    "empty table, campaign": (
        lambda: analyze(mailing().iloc[:0]),
        DataError,
        ["the campaign data have no rows"],
    ),
    "identical customers, model": (
        lambda: fit(identical()),
        DataError,
        ["all 40 customers", "'monetary'", "Choose variables"],
    ),
    "identical customers, evidence": (
        lambda: compare(identical()),
        DataError,
        ["all 40 customers", "'monetary'", "Choose variables"],
    ),
    "k above the distinct rows, model": (
        lambda: fit(three_kinds(), k=4),
        ParameterError,
        ["n_segments is 4", "at most 3", "distinct"],
    ),
    "k above the distinct rows, evidence": (
        lambda: compare(three_kinds(), k=4),
        ParameterError,
        ["4", "at most 3", "distinct"],
    ),
    "NaN, model": (
        lambda: fit(with_value(np.nan)),
        DataError,
        ["'monetary'", "1 missing (NaN)", "Fill"],
    ),
    "NaN, evidence": (
        lambda: compare(with_value(np.nan)),
        DataError,
        ["'monetary'", "1 missing (NaN)", "Fill"],
    ),
    "infinity, model": (
        lambda: fit(with_value(np.inf)),
        DataError,
        ["'monetary'", "1 infinite", "Fill"],
    ),
    "infinity, evidence": (
        lambda: compare(with_value(-np.inf)),
        DataError,
        ["'monetary'", "1 infinite", "Fill"],
    ),
    "infinity, profile": (
        lambda: profile(with_value(np.inf)),
        DataError,
        ["'monetary'", "1 infinite value", "replace with a number"],
    ),
    "infinity, campaign": (
        lambda: analyze(mailing(spend=[np.inf, *range(59)])),
        DataError,
        ["'spend'", "1 infinite value", "Replace"],
    ),
    "duplicate ids, model": (
        lambda: fit(repeated_ids()),
        DataError,
        ["2 duplicate customer ids", "aggregate or drop"],
    ),
    "duplicate ids, evidence": (
        lambda: compare(repeated_ids()),
        DataError,
        ["2 duplicate customer ids", "aggregate or drop"],
    ),
    "duplicate ids, profile": (
        lambda: profile(repeated_ids()),
        DataError,
        ["4 rows", "customer_id", "one row per customer"],
    ),
    "duplicate ids, campaign": (
        lambda: analyze(pd.concat([mailing(), mailing().iloc[:3]]), customer_id="customer_id"),
        DataError,
        ["3 customers have more than one row", "one row and one arm per customer"],
    ),
    "text for a number, transactions": (
        lambda: transactions(order_lines(Amount=["20,00", "35,00", "10,00", "7,50"])),
        DataError,
        ["'Amount'", "not numbers", "pandas.to_numeric"],
    ),
    "text for a number, model": (
        lambda: fit(customer_table(), ["recency", "country"]),
        DataError,
        ["'country'", "text", "'France'", "pandas.to_numeric"],
    ),
    "text for a number, evidence": (
        lambda: compare(customer_table(), ["recency", "country"]),
        DataError,
        ["'country'", "text", "'France'", "pandas.to_numeric"],
    ),
    "text for a number, profile": (
        lambda: profile(customer_table(), ["recency", "country"]),
        DataError,
        ["'country'", "text", "descriptors=['country']"],
    ),
    "text for a number, campaign": (
        lambda: analyze(mailing(spend=["12.5", "none"] * 30)),
        DataError,
        ["'spend'", "must hold numbers", "Convert it first"],
    ),
    "times that do not parse": (
        lambda: transactions(
            order_lines(InvoiceDate=["2011-01-05", "31.12.2011", "last week", "2011-02-03"])
        ),
        DataError,
        ["'InvoiceDate'", "2 rows", "'31.12.2011'", "pandas.to_datetime"],
    ),
    "unknown control arm": (
        lambda: analyze(mailing(), control="No Email"),
        ParameterError,
        ["'No Email'", "'Mens E-Mail'", "Did you mean 'No E-Mail'?"],
    ),
    "missing file, transactions": (
        lambda: transactions("online_retial.parquet"),
        MissingFileError,
        ["'online_retial.parquet'"],
    ),
    "missing file, campaign": (
        lambda: analyze("hillstorm.csv"),
        MissingFileError,
        ["'hillstorm.csv'"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_named_with_its_remedy(name: str) -> None:
    call, error, words = CASES[name]
    with pytest.raises(error) as caught:
        call()
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"


def test_the_same_tables_pass_when_nothing_is_wrong() -> None:
    assert transactions(order_lines()).clean().audit().rows_used == 4
    assert len(fit(customer_table()).segments_) == 40
    assert len(compare(customer_table()).to_frame()) >= 2
    assert len(profile(customer_table()).to_frame()) == 6
    assert set(analyze(mailing()).to_frame()["metric"]) == {"visit", "spend"}


def test_a_range_of_k_beyond_the_distinct_rows_keeps_what_can_be_measured() -> None:
    table = compare(three_kinds(), k=range(2, 6)).to_frame().set_index("k")
    assert table["reason"].tolist()[:2] == ["", ""]
    assert table.loc[4, "reason"] == "only 3 distinct rows for 4 segments"
    assert table.loc[5, "reason"] == "only 3 distinct rows for 5 segments"


def test_a_misspelt_file_is_answered_with_the_one_beside_it(tmp_path: Any) -> None:
    order_lines().to_csv(tmp_path / "online_retail.csv", index=False)
    with pytest.raises(MissingFileError, match=r"Did you mean 'online_retail\.csv'\?"):
        transactions(tmp_path / "online_retial.csv")


def test_missing_and_infinite_amounts_are_accounted_for() -> None:
    lines = order_lines(Amount=[20.0, np.nan, np.inf, 7.5])
    account = transactions(lines).audit()
    assert account.rows_set_aside["missing_amount"] == 2
    assert account.rows_used == 2


def test_missing_values_in_a_profile_and_a_campaign_are_accounted_for() -> None:
    found = profile(with_value(np.nan))
    assert found.account.loc["monetary", "missing"] == 1
    assert any("'monetary' is missing for 1 customer" in note for note in found.notes)
    impact = analyze(mailing(spend=[np.nan, *range(59)]))
    row = impact.to_frame().query("metric == 'spend' and segment == '(all)'").iloc[0]
    assert row["n_control"] + row["n_treatment"] == 59


def test_identical_customers_in_a_profile_have_no_spread_to_measure_by() -> None:
    found = profile(identical())
    assert found.to_frame()["std_diff"].isna().all()
    assert any("no std_diff for 'recency'" in note for note in found.notes)
