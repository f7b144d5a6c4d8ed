"""Roles, audit and cleaning: every row is accounted for."""

from importlib import import_module
from inspect import signature

import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg import errors

LINES = pd.DataFrame(
    {
        "Customer": ["ann", "ann", "ann", None, "", "bob", "bob", "cat", "cat", "dan", "dan"],
        "When": pd.to_datetime(
            [
                *("2024-01-05", "2024-01-05", "2024-01-09", "2024-01-10", "2024-01-11"),
                *("2024-02-01", "2024-02-03", "2024-02-04", None, "2024-02-06", "2024-02-07"),
            ]
        ),
        "Order": ["1", "1", "C1", "2", "3", "4", "5", "6", "7", "8", "9"],
        "Code": [
            "85123A",
            "85123A",
            "85123A",
            "22423",
            "22423",
            "POST",
            "22423",
            " m ",
            "22423",
            "22423",
            "22423",
        ],
        "Pieces": [2, 2, -1, 1, 1, 1, 3, 1, 1, -2, 4],
        "Price": [5.0, 5.0, 5.0, 4.0, 4.0, 9.0, 0.0, 7.0, 4.0, 0.0, np.inf],
    }
)
ROLES = {
    "customer_id": "Customer",
    "timestamp": "When",
    "order_id": "Order",
    "product": "Code",
    "quantity": "Pieces",
    "unit_price": "Price",
}


def transactions(data: pd.DataFrame = LINES, **roles: str) -> cs.Transactions:
    return cs.Transactions(data, **(ROLES | roles))


def test_the_audit_counts_every_check_and_sets_each_row_aside_once() -> None:
    audit = transactions().audit()
    frame = audit.to_frame()
    assert list(frame.columns) == ["check", "rows", "share", "action", "examples"]
    assert dict(zip(frame["check"], frame["rows"], strict=True)) == {
        "duplicates": 1,
        "missing_id": 2,
        "missing_timestamp": 1,
        "impossible_date": 0,
        "future": 0,
        "unmatched_returns": 0,
        "partial_returns": 0,
        "returns": 1,
        "nonpositive": 2,
        "missing_amount": 1,
        "non_products": 2,
        "missing_order_id": 0,
        "inconsistent_labels": 0,
        "outliers": 0,
    }
    assert frame.set_index("check").loc["returns", "examples"] == ("C1",)
    assert frame.set_index("check").loc["missing_id", "share"] == pytest.approx(2 / 11)
    assert audit.rows_set_aside[lambda n: n > 0].to_dict() == {
        "missing_id": 2,
        "missing_timestamp": 1,
        "returns": 1,
        "nonpositive": 2,
        "missing_amount": 1,
    }
    assert list(audit.rows_set_aside.index) == list(audit.remedies.index) == list(frame["check"])
    assert audit.remedies.str.len().min() > 10
    assert (audit.rows_in, audit.rows_used) == (11, 4)


def test_a_row_with_two_faults_counts_under_the_first_reason() -> None:
    both = LINES.assign(Customer=None)
    audit = transactions(pd.concat([LINES.iloc[:1], both])).audit()
    assert audit.rows_set_aside["missing_id"] == 11
    assert audit.rows_set_aside.sum() == 11
    assert audit.to_frame().set_index("check").loc["returns", "rows"] == 1


def test_clean_leaves_what_the_audit_says() -> None:
    tx = transactions()
    cleaned = tx.clean()
    assert cleaned.account.summary() == tx.audit().summary()
    assert cleaned.audit().rows_in == tx.audit().rows_used
    assert cleaned.clean().account.rows_set_aside.sum() == 0
    assert tx.account is None


def test_nothing_left_is_an_error_with_the_account() -> None:
    with pytest.raises(errors.DataError, match="no row would remain: 1 rows in = 0 used"):
        transactions(LINES.iloc[[3]]).clean()


def test_copies_are_dropped_only_when_asked() -> None:
    assert transactions().clean(duplicates="drop").account.rows_set_aside["duplicates"] == 1
    assert transactions().clean().account.rows_set_aside["duplicates"] == 0


def test_a_line_id_says_which_lines_are_copies() -> None:
    lines = LINES.assign(Line=[1, 2, 2, 3, 4, 5, 6, 7, 8, None, None])
    audit = transactions(lines, line_id="Line").audit(duplicates="drop")
    assert audit.rows_set_aside["duplicates"] == 1
    shuffled = transactions(lines.sample(frac=1, random_state=1), line_id="Line")
    assert shuffled.audit(duplicates="drop").rows_set_aside.equals(audit.rows_set_aside)


def test_dates_after_a_year_of_silence_are_future_unless_they_are_many() -> None:
    days = pd.date_range("2023-01-01", periods=500).append(
        pd.DatetimeIndex(["2031-05-05", "2099-01-01"])
    )
    sales = pd.DataFrame({"who": "ann", "when": days, "paid": 1.0})
    tx = cs.Transactions(sales, customer_id="who", timestamp="when", amount="paid")
    assert tx.audit().rows_set_aside["future"] == 2
    assert tx.audit(as_of="2023-12-31").rows_set_aside["future"] == 137
    assert tx.clean(future="keep").account.rows_set_aside["future"] == 0
    rare = pd.DataFrame(
        {
            "who": "ann",
            "when": pd.to_datetime(["2001-01-01", "2005-01-01", "2010-01-01"]),
            "paid": 1.0,
        }
    )
    few = cs.Transactions(rare, customer_id="who", timestamp="when", amount="paid")
    assert few.audit().rows_set_aside["future"] == 0


def test_without_money_roles_there_are_no_money_checks() -> None:
    tx = cs.Transactions(LINES, customer_id="Customer", timestamp="When")
    assert "returns" not in set(tx.audit().to_frame()["check"])


@pytest.mark.parametrize(
    ("data", "roles", "error", "words"),
    [
        (LINES, {"customer_id": "Costumer"}, errors.ColumnError, "Did you mean 'Customer'"),
        (LINES.iloc[:0], {}, errors.DataError, "the transactions have no rows"),
        (LINES.assign(Price="five"), {}, errors.DataError, "'Price'.*to_numeric"),
        (LINES.assign(When="soon"), {}, errors.DataError, "such as 'soon'"),
        (LINES.assign(When=1.5), {}, errors.DataError, "holds Float64, not times"),
    ],
)
def test_bad_input_is_named_before_any_work(
    data: pd.DataFrame, roles: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        transactions(data, **roles)


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ({"returns": "dorp"}, "returns is 'dorp'.*Did you mean 'drop'"),
        ({"return": "drop"}, "'returns'"),
    ],
)
def test_a_policy_that_does_not_exist_is_named(policies: dict[str, str], words: str) -> None:
    with pytest.raises(errors.ParameterError, match=words):
        transactions().audit(**policies)


def test_source_columns_with_the_name_of_a_role_do_no_harm() -> None:
    lines = LINES.rename(columns={"Customer": "amount", "Order": "customer_id"})
    tx = cs.Transactions(
        lines, customer_id="amount", timestamp="When", quantity="Pieces", unit_price="Price"
    )
    assert tx.audit().rows_used == 4


def test_a_source_column_with_the_name_of_a_role_is_no_role() -> None:
    lines = LINES.assign(product="one", quantity="two")
    tx = cs.Transactions(
        lines, customer_id="Customer", timestamp="When", amount="Price", order_id="Order"
    )
    assert "non_products" not in set(tx.audit().to_frame()["check"])
    with pytest.raises(errors.ColumnError, match="needs the role product: name the column"):
        tx.audit(returns="net")


@pytest.mark.parametrize(
    "kind", [cs.Transactions, cs.Touchpoints, cs.Survey, cs.Customers, cs.Experiment]
)
def test_the_defaults_of_clean_are_those_of_the_audit(kind: type) -> None:
    options = import_module(kind.__module__).POLICIES
    parameters = signature(kind.clean).parameters
    defaults = {name: value.default for name, value in parameters.items() if name != "self"}
    assert defaults == {name: allowed[0] for name, allowed in options.items()} | {"as_of": None}


def test_displays_show_no_ids() -> None:
    audit = transactions().audit()
    assert "C1" not in repr(audit) + audit._repr_html_()
    assert "ann" not in repr(transactions())


def test_the_picture_shows_each_check_that_marks_rows() -> None:
    import matplotlib.pyplot as plt

    ax = transactions().audit().plot()
    assert [tick.get_text() for tick in ax.get_yticklabels()][::-1] == [
        *("duplicates", "missing_id", "missing_timestamp", "returns", "nonpositive"),
        *("missing_amount", "non_products"),
    ]
    plt.close(ax.figure)


@pytest.mark.realdata
def test_every_row_of_a_real_retailer_is_accounted_for() -> None:
    retail = cs.datasets.load_online_retail()
    tx = cs.Transactions(
        retail,
        customer_id="CustomerID",
        timestamp="InvoiceDate",
        order_id="InvoiceNo",
        product="StockCode",
        quantity="Quantity",
        unit_price="UnitPrice",
    )
    audit = tx.audit()
    rows = dict(zip(audit.to_frame()["check"], audit.to_frame()["rows"], strict=True))
    assert audit.rows_in == 541_909
    assert (rows["missing_id"], rows["returns"], rows["duplicates"]) == (135_080, 9_288, 5_268)
    assert audit.rows_set_aside[lambda n: n > 0].to_dict() == {
        "missing_id": 135_080,
        "returns": 8_905,
        "nonpositive": 40,
    }
    customers = cs.features.rfm(tx.clean(), as_of="2011-12-10")
    assert (len(customers), customers["frequency"].sum()) == (4_338, 18_532)
    assert customers["monetary"].sum() == pytest.approx(8_911_407.90, abs=0.005)
