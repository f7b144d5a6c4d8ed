"""What each raw table marks and sets aside, and that no row is lost, whatever the faults."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import custseg as cs
from custseg import errors
from custseg.datasets import make_shop
from custseg.tables.customers import POLICIES as CUSTOMER_POLICIES
from custseg.tables.experiment import POLICIES as EXPERIMENT_POLICIES
from custseg.tables.survey import POLICIES as SURVEY_POLICIES
from custseg.tables.touchpoints import POLICIES as TOUCHPOINT_POLICIES
from custseg.tables.transactions import POLICIES as TRANSACTION_POLICIES

PEOPLE = pd.DataFrame(
    {
        "id": ["ann", "bob", "bob", "cat", "cat", None, "dan", "eve"],
        "years": [31.0, 40.0, 40.0, 150.0, 51.0, 33.0, np.nan, 22.0],
        "since": pd.to_datetime(
            [
                *("2021-01-05", "2021-02-01", "2021-02-01", "2021-03-01", "2021-03-02"),
                *("2021-03-03", None, "2021-06-01"),
            ]
        ),
        "area": ["North", "north ", "north ", "North", "North", "South", "South", "South"],
    }
)
ANSWERS = pd.DataFrame(
    {
        "id": ["ann", "bob", "cat", "dan", "dan", "eve", "fay"],
        "on": pd.to_datetime(
            ["2024-05-01"] * 3 + ["2024-05-02", "2024-05-04"] + ["2024-05-01"] * 2
        ),
        "seconds": [300.0, 90.0, 300.0, 320.0, 310.0, 290.0, 305.0],
        "q1": [5.0, 4.0, 2.0, 1.0, 7.0, np.nan, np.nan],
        "q2": [3.0, 4.0, 2.0, 2.0, 7.0, np.nan, 2.0],
        "q3": [2.0, 4.0, 1.0, 5.0, 1.0, np.nan, 2.0],
        "q4_reversed": [3.0, 4.0, 6.0, 5.0, 1.0, np.nan, 2.0],
        "recommend": [9.0, 10.0, 99.0, 5.0, np.nan, 0.0, 8.0],
    }
)
SENT = pd.DataFrame(
    {
        "id": ["ann", "bob", "bob", "cat", "cat", "dan", None, "eve", "fay"],
        "arm": ["control", "offer", "offer", "control", "offer", None, "offer", "Offer", "offer"],
        "spend": [0.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 0.0, np.nan],
    }
)


def customers(data: Any = PEOPLE, **roles: Any) -> cs.Customers:
    named = {"age": "years", "sign_up": "since", "region": "area"}
    return cs.Customers(data, customer_id="id", **(named | roles))


def survey(data: Any = ANSWERS, **roles: Any) -> cs.Survey:
    named = {
        "timestamp": "on",
        "duration": "seconds",
        "items": ["q1", "q2", "q3", "q4_reversed"],
        "nps": "recommend",
    }
    return cs.Survey(data, customer_id="id", **(named | roles))


def experiment(data: Any = SENT, **roles: Any) -> cs.Experiment:
    return cs.Experiment(data, arm="arm", **({"customer_id": "id", "outcomes": ["spend"]} | roles))


def rows(table: Any, *columns: str) -> list[tuple[Any, ...]]:
    frame = table.frame.select(*columns).collect(backend="pandas").to_native()
    frame = frame.astype(object).where(frame.notna(), None)
    return sorted(frame.itertuples(index=False, name=None), key=str)


def test_customers_are_kept_once_and_without_impossible_ages() -> None:
    audit = customers().audit()
    expected = pd.DataFrame(
        {
            "check": [
                *("duplicates", "missing_id", "missing_sign_up", "impossible_date", "future"),
                *("impossible_age", "repeated_id", "inconsistent_labels"),
            ],
            "rows": [1, 1, 1, 0, 0, 1, 1, 2],
            "share": [n / 8 for n in (1, 1, 1, 0, 0, 1, 1, 2)],
            "action": ["drop", "drop", "keep", "keep", "drop", "blank", "drop", "keep"],
            "examples": [("bob",), (), ("dan",), (), (), ("cat",), ("cat",), ("bob",)],
        }
    )
    pd.testing.assert_frame_equal(audit.to_frame(), expected)
    assert audit.rows_set_aside[lambda n: n > 0].to_dict() == {
        "duplicates": 1,
        "missing_id": 1,
        "repeated_id": 1,
    }
    cleaned = customers().clean(inconsistent_labels="unify")
    assert rows(cleaned, "customer_id", "age", "region") == [
        ("ann", 31.0, "North"),
        ("bob", 40.0, "North"),
        ("cat", None, "North"),
        ("dan", None, "South"),
        ("eve", 22.0, "South"),
    ]
    latest = customers().clean(repeated_id="latest", impossible_age="keep")
    assert ("cat", 51.0) in rows(latest, "customer_id", "age")
    dropped = customers().clean(impossible_age="drop")
    assert ("cat", 51.0) in rows(dropped, "customer_id", "age")
    assert dropped.account.rows_set_aside[["impossible_age", "repeated_id"]].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("as_of", "since", "wrong"),
    [(None, None, 1), ("2020-12-31", None, 2), (None, "since", 3), ("2015-01-01", "since", 2)],
)
def test_years_of_birth_are_judged_by_the_date_that_is_known(
    as_of: str | None, since: str | None, wrong: int
) -> None:
    born = pd.DataFrame(
        {
            "id": range(4),
            "born": [1893, 1905, 1980, 2018],
            "since": pd.to_datetime(["2016-01-01"] * 4),
        }
    )
    table = cs.Customers(born, customer_id="id", birth_year="born", sign_up=since)
    found = table.audit(as_of=as_of).to_frame().set_index("check")["rows"]
    assert found["impossible_age"] == wrong


def test_responses_without_reading_are_found() -> None:
    audit = survey().audit()
    frame = audit.to_frame()
    assert dict(zip(frame["check"], frame["rows"], strict=True)) == {
        "duplicates": 0,
        "missing_id": 0,
        "missing_timestamp": 0,
        "impossible_date": 0,
        "future": 0,
        "straight_lining": 2,  # bob; fay, who left an item out
        "no_answers": 1,
        "item_nonresponse": 1,
        "speeders": 1,
        "impossible_nps": 1,
        "repeated_id": 1,
    }
    examples = frame.set_index("check")["examples"]
    assert examples["straight_lining"] == ("bob", "fay")
    assert (examples["speeders"], examples["impossible_nps"]) == (("bob",), ("cat",))
    assert "q1 is missing most often (28.6%)" in audit.remedies["item_nonresponse"]
    assert audit.rows_set_aside[lambda n: n > 0].to_dict() == {"repeated_id": 1}


def test_one_response_of_each_customer_stays() -> None:
    first, latest = survey().clean(), survey().clean(repeated_id="latest")
    assert ("dan", 1.0) in rows(first, "customer_id", "q1")
    assert ("dan", 7.0) in rows(latest, "customer_id", "q1")
    by_then = survey().clean(repeated_id="latest", as_of="2024-05-03")
    assert ("dan", 1.0) in rows(by_then, "customer_id", "q1")
    assert by_then.account.rows_set_aside[["future", "repeated_id"]].tolist() == [1, 0]
    strict = survey().clean(straight_lining="drop", speeders="drop")
    assert [name for (name,) in rows(strict, "customer_id")] == ["ann", "cat", "dan", "eve"]


def test_items_may_be_text_and_few_items_make_no_line() -> None:
    words = ANSWERS.assign(
        **{
            item: ANSWERS[item].map({4.0: "agree", 2.0: "disagree"})
            for item in ("q1", "q2", "q3", "q4_reversed")
        }
    )
    found = survey(words).audit().to_frame().set_index("check")["examples"]
    assert found["straight_lining"] == ("bob", "fay")
    few = survey(items=["q1", "q2"]).audit().to_frame().set_index("check")["rows"]
    assert few["straight_lining"] == 0


def test_customers_in_two_arms_and_in_none_are_found() -> None:
    audit = experiment().audit()
    frame = audit.to_frame()
    assert dict(zip(frame["check"], frame["rows"], strict=True)) == {
        "duplicates": 0,
        "missing_id": 1,
        "missing_arm": 1,
        "two_arms": 2,
        "repeated_id": 1,
        "inconsistent_labels": 1,
        "missing_outcomes": 1,
        "outliers": 0,
    }
    assert frame.set_index("check").loc["two_arms", "examples"] == ("cat",)
    cleaned = experiment().clean(inconsistent_labels="unify")
    assert cleaned.account.rows_set_aside[lambda n: n > 0].to_dict() == {
        "missing_id": 1,
        "missing_arm": 1,
        "two_arms": 2,
        "repeated_id": 1,
    }
    assert rows(cleaned, "id", "arm") == [
        ("ann", "control"),
        ("bob", "offer"),
        ("eve", "offer"),
        ("fay", "offer"),
    ]
    assert cleaned.frame.collect_schema().names() == list(SENT.columns)


def test_an_experiment_needs_no_customers() -> None:
    audit = experiment(customer_id=None).audit()
    assert list(audit.to_frame()["check"]) == [
        *("duplicates", "missing_arm", "inconsistent_labels", "missing_outcomes", "outliers"),
    ]
    assert audit.rows_used == 8


def test_dates_of_assignment_may_be_text() -> None:
    sent = SENT.assign(on=["2024-01-05"] * 8 + ["2024-03-01"])
    found = experiment(sent, timestamp="on").audit(as_of="2024-02-01").rows_set_aside
    assert found["future"] == 1


def test_contacts_of_one_kind_are_written_in_one_way() -> None:
    visits = pd.DataFrame(
        {
            "who": ["ann", "ann", "ann", "bob", "bob", None],
            "when": pd.to_datetime(["2024-01-05"] * 6),
            "what": ["visit", "visit", "Visit ", "VISIT", None, "visit"],
            "where": ["web", "web", "web", "web", "web", "web"],
        }
    )
    table = cs.Touchpoints(
        visits, customer_id="who", timestamp="when", touchpoint="what", channel="where"
    )
    frame = table.audit().to_frame()
    assert dict(zip(frame["check"], frame["rows"], strict=True)) == {
        "duplicates": 1,
        "missing_id": 1,
        "missing_timestamp": 0,
        "impossible_date": 0,
        "future": 0,
        "missing_touchpoint": 1,
        "inconsistent_labels": 2,
    }
    unified = table.clean(inconsistent_labels="unify", duplicates="drop")
    assert rows(unified, "customer_id", "touchpoint") == [
        ("ann", "visit"),
        ("ann", "visit"),
        ("bob", "visit"),
        ("bob", None),
    ]


def test_dates_before_a_silence_and_placeholders_are_impossible() -> None:
    days = pd.date_range("2022-01-01", periods=300)
    odd = pd.to_datetime(["1970-01-01"] * 20 + ["2016-05-05"])
    visits = pd.DataFrame({"who": "ann", "when": days.append(odd)})
    table = cs.Touchpoints(visits, customer_id="who", timestamp="when")
    found = table.audit().to_frame().set_index("check")["rows"]
    assert found["impossible_date"] == 21
    assert table.clean(impossible_date="drop").account.rows_used == 300
    early = pd.DataFrame({"who": "ann", "when": days.append(days - pd.Timedelta(5_000, "D"))})
    both = cs.Touchpoints(early, customer_id="who", timestamp="when")
    assert both.audit().to_frame().set_index("check").loc["impossible_date", "rows"] == 0


def test_values_that_few_rows_move_a_mean_with_are_marked() -> None:
    rng = np.random.default_rng(0)
    paid = np.append(rng.lognormal(3, 0.5, 500), [3_000.0, 0.01, 0.0])
    lines = pd.DataFrame({"who": range(503), "when": pd.Timestamp("2024-01-05"), "paid": paid})
    tx = cs.Transactions(lines, customer_id="who", timestamp="when", amount="paid")
    found = tx.audit().to_frame().set_index("check")
    assert found.loc["outliers", ["rows", "action", "examples"]].tolist() == [1, "keep", (500,)]
    same = lines.assign(paid=np.append(np.ones(502), 9.0))
    tx = cs.Transactions(same, customer_id="who", timestamp="when", amount="paid")
    assert tx.audit().to_frame().set_index("check").loc["outliers", "rows"] == 0
    rich = pd.DataFrame({"id": range(503), "earned": paid})
    table = cs.Customers(rich, customer_id="id", income="earned")
    assert table.audit().to_frame().set_index("check").loc["outliers", "examples"] == (500,)


@pytest.mark.parametrize(
    ("table", "policies", "words"),
    [
        (customers(), {"impossible_age": "dorp"}, "'blank', 'drop', 'keep'"),
        (survey(), {"returns": "net"}, "the policy is 'returns'"),
        (experiment(), {"two_arms": "first"}, "two_arms is 'first'"),
    ],
)
def test_a_policy_that_does_not_exist_is_named(
    table: Any, policies: dict[str, str], words: str
) -> None:
    with pytest.raises(errors.ParameterError, match=words):
        table.audit(**policies)


def test_roles_that_do_not_exist_are_named() -> None:
    with pytest.raises(errors.ColumnError, match="Did you mean 'region'"):
        customers(categories=["regions"])
    with pytest.raises(errors.ColumnError, match="Did you mean 'spend'"):
        experiment(outcomes=["spent"])
    with pytest.raises(errors.DataError, match=r"role age.*to_numeric"):
        customers(PEOPLE.assign(years="old"))


def test_nothing_left_is_an_error_with_the_account() -> None:
    with pytest.raises(errors.DataError, match="no row would remain: 1 rows in = 0 used"):
        customers(PEOPLE.iloc[[5]]).clean()


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
@pytest.mark.parametrize("engine", ["parquet", "ibis", "polars"])
def test_every_engine_gives_the_same_account(engine: str, tmp_path: Path) -> None:
    shop = make_shop(60, defects=True, random_state=1)

    def elsewhere(frame: pd.DataFrame) -> Any:
        if engine == "polars":
            return pytest.importorskip("polars").from_pandas(frame)
        if engine == "ibis":
            return pytest.importorskip("ibis").duckdb.connect().create_table("rows", frame)
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
        duckdb.from_df(frame).write_parquet(str(path))
        return path

    def tables(read: Any) -> list[Any]:
        return [
            cs.Transactions(
                read(shop.transactions),
                customer_id="customer_id",
                timestamp="timestamp",
                order_id="order_id",
                product="product",
                category="category",
                quantity="quantity",
                amount="amount",
            ),
            customers(read(PEOPLE)),
            survey(read(ANSWERS)),
            experiment(read(SENT)),
        ]

    for here, there in zip(tables(lambda frame: frame), tables(elsewhere), strict=True):
        options = {"inconsistent_labels": "unify"} if hasattr(here, "region") else {}
        options |= {"returns": "net", "duplicates": "drop"} if hasattr(here, "product") else {}
        want, found = here.clean(**options), there.clean(**options)
        pd.testing.assert_frame_equal(found.account.to_frame(), want.account.to_frame())
        pd.testing.assert_series_equal(found.account.rows_set_aside, want.account.rows_set_aside)
        columns = [name for name in want.frame.collect_schema().names() if name != "_day"]
        assert [str(row) for row in rows(found, *columns)] == [
            str(row) for row in rows(want, *columns)
        ]


FAULTS = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["ann", "bob", "cat", " ", None]),
        "day": st.sampled_from([0, 1, 2, 400, -19_723, None]),
        "order": st.sampled_from(["1", "2", None]),
        "label": st.sampled_from(["Home", "home", "HOME ", None]),
        "pieces": st.sampled_from([1.0, 2.0, -1.0, 0.0, None]),
        "price": st.sampled_from([5.0, 9.0, 0.0, float("inf")]),
        "years": st.sampled_from([30.0, -3.0, 170.0, None]),
        "q1": st.sampled_from([1.0, 5.0, None]),
        "q2": st.sampled_from([1.0, 5.0, None]),
        "q3": st.sampled_from([1.0, 5.0, None]),
    }
)


def faulty_table(kind: str, frame: pd.DataFrame) -> Any:
    match kind:
        case "transactions":
            return cs.Transactions(
                frame,
                customer_id="who",
                timestamp="when",
                order_id="order",
                product="label",
                quantity="pieces",
                unit_price="price",
            )
        case "touchpoints":
            return cs.Touchpoints(frame, customer_id="who", timestamp="when", touchpoint="label")
        case "survey":
            return cs.Survey(
                frame,
                customer_id="who",
                timestamp="when",
                duration="price",
                items=["q1", "q2", "q3"],
                nps="pieces",
            )
        case "customers":
            return cs.Customers(
                frame, customer_id="who", age="years", sign_up="when", categories=["label"]
            )
    return cs.Experiment(
        frame, arm="label", customer_id="who", timestamp="when", outcomes=["pieces"]
    )


KINDS = {
    "transactions": TRANSACTION_POLICIES,
    "touchpoints": TOUCHPOINT_POLICIES,
    "survey": SURVEY_POLICIES,
    "customers": CUSTOMER_POLICIES,
    "experiment": EXPERIMENT_POLICIES,
}


@pytest.mark.parametrize("kind", list(KINDS))
@given(data=st.data(), faults=st.lists(FAULTS, min_size=1, max_size=25))
@settings(max_examples=8)
def test_rows_in_are_rows_used_and_rows_set_aside(
    kind: str, data: st.DataObject, faults: list[dict[str, Any]]
) -> None:
    policies = {
        name: data.draw(st.sampled_from(options), label=name)
        for name, options in KINDS[kind].items()
    }
    frame = pd.DataFrame(faults)
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        frame["day"].astype("float64"), unit="D"
    )
    text = ["who", "order", "label"]
    frame = frame.astype(dict.fromkeys(text, "str") | dict.fromkeys(["pieces", "years"], "float64"))
    frame[text] = frame[text].where(pd.DataFrame(faults)[text].notna(), None)
    as_of = data.draw(st.sampled_from([None, "2024-01-02"]), label="as_of")
    table = faulty_table(kind, frame)
    audit = table.audit(as_of=as_of, **policies)
    checks = audit.to_frame().set_index("check")
    assert audit.rows_in == len(faults) == audit.rows_used + audit.rows_set_aside.sum()
    assert (audit.rows_set_aside <= checks["rows"]).all()
    assert (audit.rows_set_aside[checks["action"] != "drop"] == 0).all()
    assert checks["share"].to_list() == (checks["rows"] / len(faults)).to_list()
    if not audit.rows_used:
        with pytest.raises(errors.DataError, match="no row would remain"):
            table.clean(as_of=as_of, **policies)
        return
    cleaned = table.clean(as_of=as_of, **policies)
    assert cleaned.frame.collect().shape[0] == audit.rows_used
    again = cleaned.audit(as_of=as_of or "2030-01-01", **policies)
    settled = checks.index[checks["action"] == "drop"].difference(["future", "speeders"])
    assert again.rows_set_aside[settled].sum() == 0
