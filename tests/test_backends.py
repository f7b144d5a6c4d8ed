"""One code for every engine: the same tables come back, to 1e-9, wherever the rows live."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg import errors, features, value
from custseg._engine import collect
from custseg.joins import audit_join

pa = pytest.importorskip("pyarrow")

pytestmark = [  # what Ibis asks of DuckDB and pandas, and PySpark of pandas, is deprecated there
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

AS_OF = "2024-06-30"
ITEMS = tuple(f"price_consciousness_{i}" for i in (1, 2, 3, 4))
BENEFITS = ("benefit_low_price", "benefit_quality", "benefit_advice")

# ---------------------------------------------------------------------------------- the raw tables


def order_lines() -> list[tuple[Any, ...]]:
    """Return lines at the borders of every rule, by customer."""
    return [
        # once: on the last day that counts, in its last microsecond, or just too late
        ("ann", "2024-06-30 00:00:00", "E01", "Basic Lamp", "Home", "app", 1, 9.99, 0.0),
        ("Ann", "2024-06-30 23:59:59.999999", "E02", "Basic Lamp", "Home", "app", 1, 9.99, 0.0),
        ("late", "2024-07-01 00:00:00", "E03", "Basic Lamp", "Home", "app", 1, 9.99, 0.0),
        # leap day, year's end, before 1970, and an order that goes on past midnight
        ("leap", "2024-02-29 23:59:59", "E04", "Basic Lamp", "Home", "web", 2, 5.0, 0.1),
        ("leap", "2024-03-01 00:00:00", "E04", "Basic Chair", "Home", "web", 1, 45.1, 0.1),
        ("leap", "2023-12-31 23:59:59", "E05", "Basic Lamp", "Home", "web", 2, 5.0, None),
        ("leap", "2024-01-01 00:00:00", "E06", "Basic Lamp", "home ", "store", 2, 5.0, 0.0),
        ("old", "1969-12-31 23:00:00", "E07", "Basic Lamp", "Home", "store", 1, 5.0, 0.0),
        ("old", "2000-02-29 12:00:00", "E08", "Basic Lamp", "HOME", "store", 1, 5.0, 0.0),
        # two orders at the same moment, two on one day, equal lines in one order
        ("Zoë", "2024-05-05 10:00:00", "E09", "Basic Lamp", "Home", "app", 1, 7.5, 0.0),
        ("Zoë", "2024-05-05 10:00:00", "E10", "Basic Mug", "Kitchen", "web", 1, 7.5, 0.0),
        ("Zoë", "2024-05-05 18:00:00", "E11", "Basic Mug", "Kitchen", None, 1, 7.5, 0.5),
        ("Zoë", "2024-05-05 18:00:00", "E11", "Basic Mug", "Kitchen", None, 1, 7.5, 0.5),
        # gaps where they may be
        ("o'brien", "2024-04-01 09:00:00", "E12", None, None, None, 1, 3.0, None),
        ("o'brien", "2024-04-08 09:00:00", "E13", "POST", " ", "web", None, 4.0, None),
        ("o'brien", "2024-04-15 09:00:00", None, "Basic Mug", "Kitchen", "web", 1, 4.0, 0.0),
        # returns: of all, of more than was bought, of nothing that was bought, and nothing else
        ("back", "2024-01-10 09:00:00", "E14", "Basic Mug", "Kitchen", "web", 3, 4.0, 0.0),
        ("back", "2024-02-10 09:00:00", "E14", "Basic Mug", "Kitchen", "web", -1, 4.0, 0.0),
        ("back", "2024-07-10 09:00:00", "E14", "Basic Mug", "Kitchen", "web", -5, 4.0, 0.0),
        ("back", "2024-03-10 09:00:00", "E15", "Basic Lamp", "Home", "web", -1, 9.0, 0.0),
        ("gone", "2024-03-10 09:00:00", "E16", "Basic Lamp", "Home", "web", -1, 9.0, 0.0),
        # nobody, never, nothing, for nothing, without a price, and in the next decade
        (None, "2024-03-10 09:00:00", "E17", "Basic Lamp", "Home", "web", 1, 9.0, 0.0),
        ("  ", "2024-03-10 09:00:00", "E18", "Basic Lamp", "Home", "web", 1, 9.0, 0.0),
        ("ann", None, "E19", "Basic Lamp", "Home", "web", 1, 9.0, 0.0),
        ("leap", "2024-03-10 09:00:00", "E20", "Basic Lamp", "Home", "web", 0, 9.0, 0.0),
        ("leap", "2024-03-11 09:00:00", "E21", "Basic Lamp", "Home", "web", 1, 0.0, 1.0),
        ("leap", "2024-03-12 09:00:00", "E22", "Basic Lamp", "Home", "web", 1, None, 0.0),
        ("leap", "2024-03-13 09:00:00", "E23", "Basic Lamp", "Home", "web", 1, np.inf, 0.0),
        ("leap", "2034-03-13 09:00:00", "E24", "Basic Lamp", "Home", "web", 1, 9.0, 0.0),
    ]


def contacts() -> list[tuple[Any, ...]]:
    """Return contacts at the borders of every rule, by customer."""
    return [
        ("ann", "2024-06-30 23:59:59.999999", "app", "visit", "consideration"),
        ("late", "2024-07-01 00:00:00", "app", "visit", "consideration"),
        # at the same moment: which was first?
        ("tie", "2024-05-01 00:00:00", "web", "visit", "consideration"),
        ("tie", "2024-05-01 00:00:00", "app", "purchase", "purchase"),
        ("tie", "2024-05-01 00:00:00", "web", "email_opened", "awareness"),
        # to and fro, a millionth of a second apart, and over leap day
        ("loop", "2024-02-28 12:00:00.000001", "web", "visit", "consideration"),
        ("loop", "2024-02-28 12:00:00.000002", "web", "purchase", "purchase"),
        ("loop", "2024-02-29 12:00:00", "web", "visit", "consideration"),
        ("loop", "2024-03-01 12:00:00", "web", "purchase", "purchase"),
        # gaps
        ("gap", "2024-03-01 12:00:00", None, "visit", "consideration"),
        ("gap", "2024-03-02 12:00:00", " ", None, None),
        ("gap", "2024-03-03 12:00:00", "web", " ", "purchase"),
        (None, "2024-03-03 12:00:00", "web", "visit", "consideration"),
        ("gap", None, "web", "visit", "consideration"),
        ("gap", "2044-03-03 12:00:00", "Web", "Visit", "consideration"),
    ]


@pytest.fixture(scope="module")
def raw() -> dict[str, pd.DataFrame]:
    """Return the raw tables: a small shop with planted faults, and the borders of every rule."""
    shop = cs.datasets.make_shop(80, defects=True, random_state=5)
    names = ["customer_id", "timestamp", "order_id", "product", "category", "channel"]
    lines = pd.DataFrame(order_lines(), columns=[*names, "quantity", "unit_price", "discount"])
    lines["amount"] = lines["quantity"] * lines["unit_price"]
    lines["line_id"] = np.arange(len(lines)) + 1_000_000
    names = ["customer_id", "timestamp", "channel", "touchpoint", "stage"]
    visits = pd.DataFrame(contacts(), columns=names)
    for table in (lines, visits):
        table["timestamp"] = pd.to_datetime(table["timestamp"], format="ISO8601").astype(
            "datetime64[us]"
        )
    survey = shop.survey.astype({"nps": "float64", ITEMS[0]: "float64"})
    survey.loc[::7, [ITEMS[0], "nps"]] = np.nan
    survey.loc[::5, "comment"] = None
    people = shop.customers.astype({"income_band": "str"})
    people = pd.concat([people, people.iloc[[3, 3, 5]].assign(region=["North", "south ", None])])
    campaign = pd.concat([shop.campaign, shop.campaign.iloc[:2].assign(arm="discount")])
    campaign.loc[campaign.index[5], "spend"] = np.nan
    campaign.loc[campaign.index[7], "arm"] = None
    rng = np.random.default_rng(0)
    shown = [rng.permutation(["price", "staff", "range", "speed"]) for _ in range(36)]
    tasks = pd.DataFrame(
        {
            "customer_id": np.repeat(shop.customers["customer_id"].iloc[:12], 12).to_numpy(),
            "task": np.tile(np.repeat([1, 2, 3], 4), 12),
            "item": np.concatenate(shown),
            "choice": np.tile([1, 0, 0, -1], 36),
        }
    )
    return {
        "transactions": pd.concat([shop.transactions, lines], ignore_index=True),
        "touchpoints": pd.concat([shop.touchpoints, visits], ignore_index=True),
        "survey": survey,
        "customers": people.reset_index(drop=True),
        "campaign": campaign.reset_index(drop=True),
        "tasks": tasks,
        "sales": sales(shop.transactions.dropna()),
    }


def sales(lines: pd.DataFrame) -> pd.DataFrame:
    """Return order lines without a clock, with numbers for ids, some of them missing."""
    known = lines[["timestamp", "order_id", "channel", "quantity", "amount"]]
    ids = lines["customer_id"].str[1:].astype("float64")
    day = known["timestamp"].dt.normalize()
    return known.assign(customer_id=ids.mask(ids % 7 == 0), timestamp=day)


def arrow(table: pd.DataFrame) -> Any:
    return pa.Table.from_pandas(table, preserve_index=False)


def in_other_types(sold: pd.DataFrame) -> Any:
    """Return sales as warehouses hold them: dates, decimals, small numbers, categories."""
    cents = (sold["amount"] * 100).round().astype("int64")
    columns = {
        "customer_id": pa.array(sold["customer_id"], from_pandas=True).cast(pa.int32()),
        "timestamp": pa.array(sold["timestamp"].dt.date),
        "order_id": pa.array(sold["order_id"]),
        "channel": pa.array(sold["channel"]).dictionary_encode(),
        "quantity": pa.array(sold["quantity"]).cast(pa.float32()),
        "amount": pa.array([Decimal(cent) / 100 for cent in cents], pa.decimal128(12, 2)),
    }
    return pa.table(columns)


# -------------------------------------------------------------------------------------- the engines


class Place(NamedTuple):
    """Where tables can be put."""

    folder: Path
    connection: duckdb.DuckDBPyConnection
    session: Any


def in_polars(table: Any, name: str, place: Place) -> Any:
    return pytest.importorskip("polars").from_arrow(table)


def in_polars_with_nan(table: Any, name: str, place: Place) -> Any:
    numbers = pytest.importorskip("polars.selectors").float()
    return in_polars(table, name, place).with_columns(numbers.fill_null(np.nan))


def in_ibis(table: Any, name: str, place: Place) -> Any:
    backend = pytest.importorskip("ibis").duckdb.from_connection(place.connection)
    return backend.create_table(name, table)


def in_postgres(table: Any, name: str, place: Place) -> Any:
    return place.session.create_table(name, without_dictionaries(table), temp=True)


def in_parquet(table: Any, name: str, place: Place) -> Path:
    path = place.folder / f"{name}.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(table, path)
    return path


def in_csv(table: Any, name: str, place: Place) -> Path:
    table.to_pandas().to_csv(place.folder / f"{name}.csv", index=False)
    return place.folder / f"{name}.csv"


def without_dictionaries(table: Any) -> Any:
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table[i].cast(pa.string()))
    return table


def in_spark(table: Any, name: str, place: Place) -> Any:
    """Return a Spark frame; its times are instants in some tables and wall times in others."""
    frame = place.session.createDataFrame(without_dictionaries(table))
    for column, kind in frame.dtypes:
        if kind == "timestamp" and name in ("touchpoints", "customers"):
            frame = frame.withColumn(column, frame[column].cast("timestamp_ntz"))
    return frame.cache()


ENGINES: dict[str, Callable[[Any, str, Place], Any]] = {
    "pandas": lambda table, name, place: table.to_pandas(),
    "polars": in_polars,
    "polars lazy": lambda table, name, place: in_polars(table, name, place).lazy(),
    "polars with NaN": in_polars_with_nan,
    "pyarrow": lambda table, name, place: table,
    "duckdb": lambda table, name, place: duckdb.from_arrow(table),
    "duckdb, own connection": lambda table, name, place: place.connection.from_arrow(table),
    "ibis": in_ibis,
    "postgres": in_postgres,
    "parquet": in_parquet,
    "csv": in_csv,
    "spark": in_spark,
}


@pytest.fixture(scope="module", params=ENGINES)
def tables(
    request: pytest.FixtureRequest,
    raw: dict[str, pd.DataFrame],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """Return the raw tables as one engine holds them, their rows in an order of its own."""
    served = request.param in ("spark", "postgres")
    session = request.getfixturevalue(request.param) if served else None
    place = Place(tmp_path_factory.mktemp("tables"), duckdb.connect(), session)
    seed = list(ENGINES).index(request.param)
    shuffled = {name: table.sample(frac=1, random_state=seed) for name, table in raw.items()}
    rows = {name: arrow(table) for name, table in shuffled.items()}
    rows["sales"] = in_other_types(shuffled["sales"])
    return {name: ENGINES[request.param](table, name, place) for name, table in rows.items()}


# ----------------------------------------------------------------------------------- the questions


def transactions(tables: Mapping[str, Any], **roles: str | None) -> cs.Transactions:
    every = ("order_id", "line_id", "product", "category", "channel", "quantity", "unit_price")
    named = {role: role for role in (*every, "amount", "discount")} | roles
    given = {role: column for role, column in named.items() if column}
    return cs.Transactions(
        tables["transactions"], customer_id="customer_id", timestamp="timestamp", **given
    )


def touchpoints(tables: Mapping[str, Any]) -> cs.Touchpoints:
    roles = ("customer_id", "timestamp", "touchpoint", "channel", "stage")
    return cs.Touchpoints(tables["touchpoints"], **{role: role for role in roles})


def survey(tables: Mapping[str, Any]) -> cs.Survey:
    return cs.Survey(
        tables["survey"],
        customer_id="customer_id",
        timestamp="responded",
        duration="duration_seconds",
        items=[*ITEMS, *BENEFITS],
        nps="nps",
        csat="csat",
        ces="ces",
        comment="comment",
    )


def customers(tables: Mapping[str, Any]) -> cs.Customers:
    return cs.Customers(
        tables["customers"],
        customer_id="customer_id",
        age="age",
        sign_up="sign_up",
        income="income_band",
        region="region",
        categories=["gender", "acquisition_channel"],
    )


def experiment(tables: Mapping[str, Any]) -> cs.Experiment:
    return cs.Experiment(
        tables["campaign"],
        arm="arm",
        customer_id="customer_id",
        timestamp="exposed",
        outcomes=["visit", "spend"],
    )


def segments(tables: Mapping[str, Any]) -> pd.Series:
    """Return a segment for most customers; some are nobody's, and some are of no segment."""
    ids = [f"C{i:07}" for i in range(1, 75)] + ["tie", "loop", "ann", "nobody"]
    labels = pd.Series(np.resize(["A", "B", "B", None], len(ids)), index=ids, dtype="category")
    return labels.rename_axis("customer_id")


def cleaned(table: Any, **policies: Any) -> tuple[Any, pd.DataFrame]:
    """Return the account of a raw table and the rows that remain, without their times."""
    clean = table.clean(**policies)
    rows = collect(clean.frame)
    rows = rows.drop(columns=[name for name in ("timestamp", "sign_up", "exposed") if name in rows])
    order = sorted(rows)
    return clean.account, rows[order].sort_values(order, ignore_index=True)


def campaign(tables: Mapping[str, Any]) -> Any:
    test = cs.CampaignTest(
        arm="arm",
        control="control",
        metrics={
            "visit": cs.Proportion("visit"),
            "spend": cs.Mean("spend", covariate="pre_spend"),
        },
        segments=segments(tables),
        customer_id="customer_id",
    )
    return test.analyze(experiment(tables).clean())


QUESTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "transactions": lambda t: cleaned(transactions(t)),
    "transactions, strictly": lambda t: cleaned(
        transactions(t),
        duplicates="drop",
        returns="net",
        non_products="drop",
        impossible_date="drop",
        inconsistent_labels="unify",
        as_of=AS_OF,
    ),
    "transactions without line numbers": lambda t: cleaned(
        transactions(t, line_id=None, amount=None),
        duplicates="drop",
        returns="keep",
        nonpositive="keep",
        missing_id="keep",
        future="keep",
    ),
    "touchpoints": lambda t: cleaned(
        touchpoints(t), duplicates="drop", inconsistent_labels="unify"
    ),
    "survey": lambda t: cleaned(survey(t), straight_lining="drop", speeders="drop"),
    "customers": lambda t: cleaned(customers(t), repeated_id="latest", inconsistent_labels="unify"),
    "experiment": lambda t: cleaned(experiment(t)),
    "join": lambda t: audit_join(
        transactions(t).clean(), t["customers"], expect="many-to-one", names=("lines", "people")
    ),
    "rfm": lambda t: features.rfm(transactions(t).clean(), AS_OF),
    "rfm to the last date": lambda t: features.rfm(transactions(t, order_id=None).clean()),
    **{
        f"repeat purchases by {unit}": lambda t, unit=unit: value.btyd_summary(
            transactions(t).clean(returns="net"), AS_OF, unit
        )
        for unit in ("D", "W", "M")
    },
    "purchases": lambda t: features.purchase_features(
        transactions(t).clean(returns="keep"), AS_OF, windows=[30]
    ),
    "purchases without roles": lambda t: features.purchase_features(
        cs.Transactions(t["transactions"], customer_id="customer_id", timestamp="timestamp").clean()
    ),
    "sales in other types": lambda t: features.purchase_features(
        cs.Transactions(
            t["sales"],
            **{name: name for name in ("customer_id", "timestamp", "order_id", "channel")},
            **{name: name for name in ("quantity", "amount")},
        ).clean()
    ),
    "journeys": lambda t: features.journey_features(
        touchpoints(t).clean(), AS_OF, windows=[30], max_values=4
    ),
    "journey map": lambda t: features.journey_map(touchpoints(t).clean(), as_of=AS_OF),
    "journey map by segment": lambda t: features.journey_map(
        touchpoints(t).clean(), by=segments(t), as_of=AS_OF, of="touchpoint", max_values=4
    ),
    "exposure": lambda t: features.exposure(touchpoints(t).clean(), segments(t), AS_OF, window=365),
    "answers": lambda t: features.survey_features(
        survey(t).clean(),
        scales={"price": ITEMS},
        reverse=ITEMS[3:],
        importance=BENEFITS,
        themes={"service": ["help", "advice"], "delivery": ["sending", "late"]},
    ),
    "best and worst": lambda t: features.maxdiff(t["tasks"]),
    "ages": lambda t: features.age_bands(customers(t).clean(), "age"),
    "regions": lambda t: features.roll_up_regions(
        customers(t).clean(), "region", {"North": "far", "South": "far", "West": "near"}
    ),
    "customer table": lambda t: features.build_customer_table(
        as_of="2024-12-31",
        transactions=features.rfm(transactions(t, product=None).clean(), "2024-12-31"),
        survey=survey(t).clean(),
        customers=customers(t).clean(),
    ),
    "campaign": campaign,
}


@pytest.fixture(scope="module")
def wanted(raw: dict[str, pd.DataFrame]) -> Callable[[str], Any]:
    """Return what pandas frames in their own order give to a question."""
    found: dict[str, Any] = {}

    def ask(question: str) -> Any:
        if question not in found:
            found[question] = QUESTIONS[question](raw)
        return found[question]

    return ask


def check_same(found: Any, want: Any, what: str) -> None:
    """Compare results part by part: tables and numbers to 1e-9, words and counts exactly."""
    exact = {"rtol": 1e-9, "atol": 1e-9, "obj": what}
    if isinstance(want, pd.DataFrame):
        pd.testing.assert_frame_equal(found, want, **exact)
        check_same(found.attrs, want.attrs, f"{what}.attrs")
    elif isinstance(want, pd.Series):
        pd.testing.assert_series_equal(found, want, **exact)
    elif dataclasses.is_dataclass(want):
        for field in dataclasses.fields(want):
            one, other = getattr(found, field.name), getattr(want, field.name)
            check_same(one, other, f"{what}.{field.name}")
    elif isinstance(want, Mapping):
        assert list(found) == list(want), what
        for key in want:
            check_same(found[key], want[key], f"{what}[{key!r}]")
    elif isinstance(want, tuple | list):
        assert len(found) == len(want), what
        for place, (one, other) in enumerate(zip(found, want, strict=True)):
            check_same(one, other, f"{what}[{place}]")
    elif isinstance(want, float):
        assert found == pytest.approx(want, rel=1e-9, abs=1e-9, nan_ok=True), what
    else:
        assert found == want, what


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_engine_gives_the_same_answer(
    question: str, tables: dict[str, Any], wanted: Callable[[str], Any]
) -> None:
    check_same(QUESTIONS[question](tables), wanted(question), question)


WAREHOUSES = ("bigquery", "snowflake", "trino")


@pytest.mark.parametrize("tables", ["ibis"], indirect=True, scope="module")
@pytest.mark.parametrize("question", QUESTIONS)
def test_every_query_can_be_written_in_the_sql_of_warehouses(
    question: str, tables: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ibis = pytest.importorskip("ibis")
    run, written = nw.LazyFrame.collect, []

    def write_and_run(lazy: nw.LazyFrame, *args: Any, **options: Any) -> Any:
        query = lazy.to_native()
        if isinstance(query, ibis.Table):
            written.extend(ibis.to_sql(query, dialect=name, pretty=False) for name in WAREHOUSES)
        return run(lazy, *args, **options)

    monkeypatch.setattr(nw.LazyFrame, "collect", write_and_run)
    QUESTIONS[question](tables)
    assert written


# -------------------------------------------------------------------------------- Spark by itself


def one_order(spark: Any, when: Any, who: str = "who") -> Any:
    """Return a Spark frame with an order at a time."""
    return spark.createDataFrame(pa.table({who: ["ann"], "when": [when], "paid": [5.0]}))


def last_bought(frame: Any) -> str:
    tx = cs.Transactions(frame, customer_id="who", timestamp="when", amount="paid")
    return features.rfm(tx).attrs["as_of"]


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", "2024-03-01"), ("America/New_York", "2024-02-29")]
)
def test_spark_counts_instants_in_the_zone_of_its_session(spark: Any, zone: str, day: str) -> None:
    instant = one_order(spark, datetime(2024, 3, 1, 4, 30, tzinfo=UTC))
    wall_time = instant.withColumn("when", instant["when"].cast("timestamp_ntz")).localCheckpoint()
    assert [dict(frame.dtypes)["when"] for frame in (instant, wall_time)] == [
        "timestamp",
        "timestamp_ntz",
    ]
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        assert last_bought(instant) == day
        assert last_bought(wall_time) == "2024-03-01"
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.mark.parametrize(("when", "kind"), [("2024-03-01", "String"), (20240301, "Int64")])
def test_spark_has_to_parse_times_itself(spark: Any, when: object, kind: str) -> None:
    with pytest.raises(errors.DataError, match=f"holds {kind}. Cast it to a timestamp in your own"):
        last_bought(one_order(spark, when))


def test_names_that_spark_reads_as_paths_are_refused_by_name(spark: Any) -> None:
    frame = one_order(spark, datetime(2024, 3, 1), who="user.id")
    with pytest.raises(errors.ColumnError, match=r"withColumnRenamed\('user.id', 'user_id'\)"):
        cs.Transactions(frame, customer_id="user.id", timestamp="when")
