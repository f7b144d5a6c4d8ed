"""Every kind of table goes through one door and comes out with the same values."""

import datetime as dt
from pathlib import Path

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import pytest

from custseg import errors
from custseg._engine import beside, collect, day_number, from_day, text_to_time, to_day, to_lazy

pytestmark = [  # what Ibis asks of DuckDB and pandas is deprecated there
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated"),
]

VISITS = pd.DataFrame(
    {
        "customer": ["ann", "bob", None],
        "spend": [1.5, np.nan, 3.0],
        "time": pd.to_datetime(["2024-02-29 23:59", "2023-12-31 00:00", "1999-01-01 12:00"]),
    }
)


@pytest.fixture(
    params=["pandas", "polars", "polars_lazy", "pyarrow", "duckdb", "parquet", "csv", "ibis"]
)
def visits(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    polars = pytest.importorskip("polars") if request.param.startswith("polars") else None
    match request.param:
        case "pandas":
            return VISITS
        case "polars":
            return polars.from_pandas(VISITS)
        case "polars_lazy":
            return polars.from_pandas(VISITS).lazy()
        case "pyarrow":
            return pytest.importorskip("pyarrow").Table.from_pandas(VISITS)
        case "duckdb":
            return duckdb.from_df(VISITS)
        case "ibis":
            return pytest.importorskip("ibis").duckdb.connect().create_table("visits", VISITS)
    path = tmp_path / f"visits.{request.param}"
    if request.param == "csv":
        VISITS.to_csv(path, index=False)
    else:
        duckdb.from_df(VISITS).write_parquet(str(path))
    return path


def test_every_kind_of_table_gives_the_same_rows(visits: object) -> None:
    read = collect(to_lazy(visits).select("customer", "spend", day=day_number("time")))
    read = read.sort_values("day", ignore_index=True)
    assert read["day"].tolist() == [10592, 19722, 19782]
    assert read["spend"].tolist()[0] == 3.0
    assert read["spend"].isna().tolist() == [False, True, False]
    assert read["customer"].isna().tolist() == [True, False, False]


def test_day_number_is_the_calendar_day_over_four_centuries() -> None:
    days = [dt.date(1700, 3, 1) + dt.timedelta(days=997 * step) for step in range(200)]
    table = pd.DataFrame({"day": pd.to_datetime(pd.Series(days))})
    got = sorted(collect(to_lazy(table).select(day=day_number("day")))["day"])
    assert [from_day(day) for day in got] == days


def test_text_is_parsed_only_where_the_rules_for_it_are_ours() -> None:
    rows = pytest.importorskip("pyarrow").table({"when": ["2024-01-31"], "day": [20240131]})
    frame = to_lazy(pytest.importorskip("ibis").duckdb.connect().create_table("rows", rows))
    for column, kind in (("when", "String"), ("day", "Int64")):
        with pytest.raises(errors.DataError, match=f"'{column}' holds {kind}. Cast it to a time"):
            text_to_time(frame, column, what=f"column {column!r}")


def test_times_with_a_zone_count_by_their_own_calendar() -> None:
    late = pd.to_datetime(["2024-01-01 23:30"]).tz_localize("America/New_York")
    table = pd.DataFrame({"t": late})
    for data in (table, pytest.importorskip("polars").from_pandas(table)):
        day = collect(to_lazy(data).select(day=day_number("t")))["day"][0]
        assert from_day(day) == dt.date(2024, 1, 1)


def test_a_file_with_instants_counts_in_utc_whatever_the_session_says(tmp_path: Path) -> None:
    path = tmp_path / "late.parquet"
    late = pd.to_datetime(["2024-01-01 23:30"]).tz_localize("America/New_York")
    duckdb.from_df(pd.DataFrame({"t": late})).write_parquet(str(path))
    day = collect(to_lazy(path).select(day=day_number("t")))["day"][0]
    assert from_day(day) == dt.date(2024, 1, 2)


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "duckdb", "parquet", "ibis"])
def test_nan_counts_as_missing_and_infinity_does_not(kind: str, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    spend = np.array([1.0, np.nan, np.inf, -np.inf, 5.0])
    table = pa.table({"spend": spend, "small": spend.astype("float32"), "whole": range(5)})
    match kind:
        case "polars":
            data = pytest.importorskip("polars").from_arrow(table)
        case "pyarrow":
            data = table
        case "duckdb":
            data = duckdb.connect().from_arrow(table)
        case "parquet":  # whose statistics say nothing of NaN
            data = tmp_path / "spend.parquet"
            pytest.importorskip("pyarrow.parquet").write_table(table, data)
        case "ibis":
            data = pytest.importorskip("ibis").duckdb.connect().create_table("spend", table)
    found = collect(to_lazy(data).select("spend", "small", "whole"))
    for name in ("spend", "small"):
        assert found[name].isna().tolist() == [False, True, False, False, False]
        assert found[name].dropna().tolist() == [1.0, np.inf, -np.inf, 5.0]
    counted = to_lazy(data).select(nw.col("spend").count(), nw.col("small").max())
    assert collect(counted).iloc[0].tolist() == [4, np.inf]


@pytest.mark.parametrize("kind", ["pandas", "duckdb", "elsewhere", "ibis"])
def test_a_small_table_joins_where_the_large_one_lives(kind: str) -> None:
    match kind:
        case "pandas":
            large = VISITS
        case "duckdb":
            large = duckdb.from_df(VISITS)
        case "elsewhere":
            large = duckdb.connect().from_df(VISITS)
        case "ibis":
            rows = pytest.importorskip("pyarrow").Table.from_pandas(VISITS)
            large = pytest.importorskip("ibis").duckdb.connect().create_table("visits", rows)
    lazy = to_lazy(large)
    names = pd.DataFrame(
        {"customer": ["ann", "bob", "o'brien"], "code": [1, 2, 3]}, index=[9, 9, 9]
    )
    joined = collect(lazy.join(beside(names, lazy), on="customer", how="inner"))
    assert sorted(zip(joined["customer"], joined["code"], strict=True)) == [("ann", 1), ("bob", 2)]


def test_the_given_frame_is_not_changed() -> None:
    before = VISITS.copy(deep=True)
    collect(to_lazy(VISITS))
    pd.testing.assert_frame_equal(VISITS, before)


def test_a_reversed_frame_is_read() -> None:
    frame = pd.DataFrame(
        {"n": range(5), "yes": [True, False, True, True, False], "x": np.arange(5.0)}
    )
    for given in (frame.iloc[::-1], frame.iloc[::2], frame.sort_values("n", ascending=False)):
        read = collect(to_lazy(given))
        pd.testing.assert_frame_equal(read, given.reset_index(drop=True), check_dtype=False)


def test_a_named_index_is_a_column() -> None:
    indexed = VISITS.set_index("customer")
    assert set(to_lazy(indexed).collect_schema().names()) == set(VISITS)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "orders.parquet").touch()
    with pytest.raises(errors.MissingFileError, match=r"Did you mean 'orders\.parquet'"):
        to_lazy(tmp_path / "order.parquet")
    with pytest.raises(FileNotFoundError):
        to_lazy(tmp_path / "nowhere" / "order.parquet")


@pytest.mark.parametrize(
    ("data", "words"),
    [("orders.xlsx", "read_excel"), ("orders", "without an ending"), ([1, 2], "type list")],
)
def test_what_is_no_table_is_refused_with_the_remedy(data: object, words: str) -> None:
    with pytest.raises(errors.DataError, match=words):
        to_lazy(data)


def test_columns_of_one_name_are_refused_by_name() -> None:
    rows = pytest.importorskip("pyarrow").table([[1], [2]], names=["paid", "paid"])
    for data in (pd.concat([VISITS, VISITS[["spend"]]], axis=1), rows):
        with pytest.raises(errors.ColumnError, match=r"2 columns are called '(spend|paid)'"):
            to_lazy(data)


def test_whole_numbers_and_iso_text_parse_as_times() -> None:
    table = pd.DataFrame(
        {"number": [19970131, 19980228], "text": ["1997-01-31", "1998-02-28 10:00"]}
    )
    frame = to_lazy(table)
    for column in ("number", "text"):
        frame = text_to_time(frame, column, what=column)
    read = collect(frame.select(number=day_number("number"), text=day_number("text")))
    assert read["number"].tolist() == read["text"].tolist()


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("kind", ["int64", "str"])
def test_time_since_1970_is_read_by_its_digits(unit: str, kind: str) -> None:
    times = pd.to_datetime(["2001-09-09 01:46:40", "2024-02-29 23:59:59", "2286-11-20 17:46:39"])
    numbers = pd.Series(times.as_unit(unit).astype("int64"))
    values = numbers.astype(kind)
    frame = text_to_time(to_lazy(pd.DataFrame({"when": values})), "when", what="when")
    assert collect(frame)["when"].tolist() == times.tolist()


@pytest.mark.parametrize(
    "values",
    [
        [1609459200, 1609459200000],  # seconds and milliseconds
        [999999999, 1000000000],  # nine digits: seconds before September 2001, or something else
        [123456789],
        [1609459200000000000],
        [-1609459200],
        ["20240131", "1706659200"],
        ["2024-01-31", "1706659200"],
    ],
)
def test_numbers_of_unclear_meaning_are_no_times(values: list[object]) -> None:
    frame = to_lazy(pd.DataFrame({"when": values}))
    with pytest.raises(errors.DataError, match=r"10, 13 or 16 digits"):
        text_to_time(frame, "when", what="column 'when'")


def test_dates_of_eight_digits_may_be_text() -> None:
    frame = to_lazy(pd.DataFrame({"when": ["20240229", None, " 20231231 ", ""]}))
    read = collect(text_to_time(frame, "when", what="when"))["when"]
    assert read[0] == pd.Timestamp("2024-02-29")
    assert read.isna().tolist() == [False, True, False, True]


@pytest.mark.parametrize("values", [["2024-01-31", "31/01/2024"], [20240131, 20241331]])
def test_times_that_do_not_parse_are_shown(values: list[object]) -> None:
    frame = to_lazy(pd.DataFrame({"when": values}))
    with pytest.raises(errors.DataError, match=rf"in 1 rows, such as '{values[1]}'.*to_datetime"):
        text_to_time(frame, "when", what="column 'when'")


@pytest.mark.parametrize(
    "value", ["2011-12-10", dt.date(2011, 12, 10), pd.Timestamp("2011-12-10 09:00")]
)
def test_a_date_may_be_text_a_date_or_a_time(value: object) -> None:
    assert from_day(to_day(value, "as_of")) == dt.date(2011, 12, 10)


@pytest.mark.parametrize("value", ["10.12.2011", 20111210, pd.NaT, None])
def test_what_is_no_date_is_refused(value: object) -> None:
    with pytest.raises(errors.ParameterError, match="as_of must be a date"):
        to_day(value, "as_of")


def test_lazy_frames_stay_lazy() -> None:
    assert isinstance(to_lazy(VISITS), nw.LazyFrame)
