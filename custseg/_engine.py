"""One door for every kind of table: any frame, relation or file becomes a lazy Narwhals frame.

Local frames and files go to the in-process DuckDB, so that one set of semantics holds for all of
them; PySpark frames and Ibis tables run where they are, as do Polars frames that are only summed.
"""

import math
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import narwhals as nw
import numpy as np
from narwhals.exceptions import DuplicateError

from custseg.errors import ColumnError, DataError, MissingFileError, ParameterError, nearest

if TYPE_CHECKING:
    import pandas as pd

_EPOCH = date(1970, 1, 1).toordinal()
_MICROSECONDS = {10: 1_000_000, 13: 1_000, 16: 1}
"""Digits of a whole number that counts from 1970 (2001 to 2286), and the length of its unit."""
_READERS: dict[str, Callable[[str], duckdb.DuckDBPyRelation]] = {
    ".parquet": duckdb.read_parquet,
    ".csv": duckdb.read_csv,
    ".csv.gz": duckdb.read_csv,
    ".tsv": duckdb.read_csv,
}


def to_lazy(data: Any, *, in_polars: bool = False) -> nw.LazyFrame:
    """Return any kind of table as a lazy Narwhals frame.

    Parameters
    ----------
    data
        A pandas, Polars or PyArrow table, a DuckDB relation, a PySpark frame, an Ibis table, or
        the path of a CSV or Parquet file. The index of a pandas frame counts as a column where it
        has a name. Times with a zone become the wall time of that zone;
        in DuckDB relations and files, which keep instants only, the wall time in UTC. PySpark and
        Ibis tables are left to the zone of their session.
    in_polars
        Leave a Polars frame to Polars, whose sums need no copy of its text, and not to DuckDB.

    Returns
    -------
    narwhals.LazyFrame
        The same rows and columns; NaN counts as missing. Nothing is read yet, and `data` is not
        changed.

    Raises
    ------
    ColumnError
        If two columns have one name, or the name of a column of a PySpark frame has a dot or a
        backtick.
    MissingFileError
        If `data` is a path and there is no such file.
    DataError
        If `data` is no table.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = to_lazy(pd.DataFrame({"customer_id": [1, 2], "spend": [3.5, None]}))
    >>> frame.collect_schema().names()
    ['customer_id', 'spend']
    """
    if isinstance(data, str | Path):
        data = _read(Path(data))
    if isinstance(data, duckdb.DuckDBPyRelation):
        return _without_nan(_from_relation(data))
    try:
        frame = nw.from_native(data)
    except TypeError:
        kind = type(data).__name__
        raise DataError(
            f"the data are of type {kind}, which is no table. Give a pandas, Polars or PyArrow "
            "table, a DuckDB relation, a PySpark frame, an Ibis table, or the path of a CSV or "
            "Parquet file."
        ) from None
    except DuplicateError:
        names = data.column_names if hasattr(data, "column_names") else list(data.columns)
        twice = next(name for name in names if names.count(name) > 1)
        raise ColumnError(
            f"{names.count(twice)} columns are called {twice!r}. Rename or drop all but one first."
        ) from None
    if isinstance(frame, nw.LazyFrame) and frame.implementation.is_polars():
        frame = frame.collect()
    if frame.implementation.is_spark_like():
        _refuse_paths(frame.collect_schema().names())
    if isinstance(frame, nw.DataFrame):
        stays = in_polars and frame.implementation.is_polars()
        frame = _without_zones(frame).lazy() if stays else _from_local(frame)
    return _without_nan(frame)


def collect(lazy: nw.LazyFrame) -> "pd.DataFrame":
    """Run a lazy frame where it lives and return its rows as a pandas frame.

    Parameters
    ----------
    lazy
        A lazy Narwhals frame.

    Returns
    -------
    pandas.DataFrame
        With a fresh index; the order of the rows is not defined.

    Examples
    --------
    >>> import pandas as pd
    >>> collect(to_lazy(pd.DataFrame({"spend": [3.5]})))
       spend
    0    3.5
    """
    if lazy.implementation.is_spark_like():  # its road to pandas fetches row by row
        return lazy.collect(backend="pyarrow").to_pandas()
    if lazy.implementation.is_polars():
        rows = lazy.collect(backend="polars", engine="streaming")
        # its order is that of the rows
        names = [name for name, kind in rows.schema.items() if kind == nw.Categorical]
        rows = rows.with_columns(nw.col(*names).cast(nw.String)) if names else rows
        return rows.to_native().to_pandas(integer_object_nulls=True)
    return lazy.collect(backend="pandas").to_native()


def beside(table: "pd.DataFrame", lazy: nw.LazyFrame) -> nw.LazyFrame:
    """Return a small pandas frame as a table where another one lives, to be joined with it.

    Parameters
    ----------
    table
        A pandas frame; its index is left out.
    lazy
        A lazy Narwhals frame.

    Returns
    -------
    narwhals.LazyFrame
        The rows of `table`, in the connection or session of `lazy`.

    Examples
    --------
    >>> import duckdb
    >>> import pandas as pd
    >>> elsewhere = to_lazy(duckdb.connect().sql("SELECT 7 AS customer_id, 3.5 AS spend"))
    >>> groups = beside(pd.DataFrame({"customer_id": [7], "segment": ["A"]}), elsewhere)
    >>> collect(elsewhere.join(groups, on="customer_id"))
       customer_id  spend segment
    0            7    3.5       A
    """
    native = lazy.to_native()
    if isinstance(native, duckdb.DuckDBPyRelation):
        _custseg_beside = table  # the query finds it by its name
        return nw.from_native(native.query("custseg_other", "FROM _custseg_beside"))
    import pyarrow as pa

    rows = pa.Table.from_pandas(table, preserve_index=False)
    if lazy.implementation.is_spark_like():
        return nw.from_native(native.sparkSession.createDataFrame(rows))
    import ibis

    return nw.from_native(ibis.memtable(rows))


def text_to_time(lazy: nw.LazyFrame, column: str, *, what: str) -> nw.LazyFrame:
    """Parse a column of ISO text, of whole numbers such as 20110131, or of time since 1970.

    Parameters
    ----------
    lazy
        A lazy Narwhals frame.
    column
        The column to parse; text that is blank counts as missing. Whole numbers, also as text,
        must all have the same number of digits: 8 are a date, 10, 13 and 16 are seconds,
        milliseconds and microseconds since 1970 (UTC).
    what
        What the column is, for the message.

    Returns
    -------
    narwhals.LazyFrame
        The frame with `column` as times.

    Raises
    ------
    DataError
        If a value does not parse, with examples, or if the engine has no such parser.
    """
    relation = lazy.to_native()
    if not isinstance(relation, duckdb.DuckDBPyRelation):
        kind = lazy.collect_schema()[column]
        raise DataError(f"{what} holds {kind}. Cast it to a timestamp in your own engine first.")
    name = '"' + column.replace('"', '""') + '"'
    text = f"nullif(trim(CAST({name} AS VARCHAR)), '')"
    parsed = _time_parser(relation.filter(f"{text} IS NOT NULL"), text)
    wrong = relation.filter(f"{text} IS NOT NULL AND {parsed} IS NULL")
    rows = wrong.aggregate("count(*)").fetchall()[0][0]
    if rows:
        shown = wrong.project(text).distinct().order("1").limit(3).fetchall()
        examples = ", ".join(repr(value) for (value,) in shown)
        raise DataError(
            f"{what} does not parse as a time in {rows:,} rows, such as {examples}. Text is read "
            "as ISO 8601; whole numbers, all of one length, as dates (8 digits: YYYYMMDD) or as "
            "seconds, milliseconds or microseconds since 1970 (10, 13 or 16 digits). Parse it "
            "first, for example with pandas.to_datetime(column, format=...)."
        )
    return nw.from_native(relation.project(f"* REPLACE ({parsed} AS {name})"))


def day_number(column: str) -> nw.Expr:
    """Return the calendar day of a time as whole days since 1970-01-01, on every engine.

    Examples
    --------
    >>> import pandas as pd
    >>> times = pd.DataFrame({"t": pd.to_datetime(["1970-01-01 23:59", "2000-03-01", "2099-12-31"],
    ...                                           format="ISO8601")})
    >>> sorted(collect(to_lazy(times).select(day_number("t")))["t"])
    [0, 11017, 47481]
    """
    past_years = nw.col(column).dt.year().cast(nw.Int64) - 1
    middle = past_years + 0.5  # so far from whole multiples that no rounding crosses one
    leap_days = (middle * 0.25).floor() - (middle * 0.01).floor() + (middle * 0.0025).floor()
    days = past_years * 365 + leap_days.cast(nw.Int64) + nw.col(column).dt.ordinal_day()
    return (days - _EPOCH).cast(nw.Int64)


def one_if(mark: nw.Expr) -> nw.Expr:
    """Return 1 where a mark holds and 0 elsewhere; not every database casts truth to numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> spend = to_lazy(pd.DataFrame({"spend": [1.0, 5.0, None]}))
    >>> sorted(collect(spend.select(large=one_if(nw.col("spend") > 2)))["large"])
    [0, 0, 1]
    """
    return nw.when(mark).then(nw.lit(1)).otherwise(nw.lit(0))


def keep_middle(lazy: nw.LazyFrame, column: str, by: Sequence[str]) -> nw.LazyFrame:
    """Blank all but the middle values of each group: their mean is the median, on every engine.

    Parameters
    ----------
    lazy
        A lazy Narwhals frame.
    column
        The column of numbers, none of them missing.
    by
        The columns that make the groups, one at least.

    Returns
    -------
    narwhals.LazyFrame
        The same rows; `column` is left where it is the middle one, or one of the two middle ones.

    Examples
    --------
    >>> import pandas as pd
    >>> spend = pd.DataFrame({"arm": ["a", "a", "a", "b"], "spend": [1.0, 2.0, 9.0, 4.0]})
    >>> middle = keep_middle(to_lazy(spend), "spend", ["arm"])
    >>> found = collect(middle.group_by("arm").agg(nw.col("spend").mean()))
    >>> found.sort_values("arm", ignore_index=True)
      arm  spend
    0   a    2.0
    1   b    4.0
    """
    value, twice, rows = nw.col(column), 2 * nw.col("_nth"), nw.col("_rows")
    nth = value.cum_count().over(*by, order_by=column)
    ranked = lazy.with_columns(_nth=nth, _rows=nw.len().over(*by))
    middle = (twice >= rows) & (twice <= rows + 2)
    return ranked.with_columns(nw.when(middle).then(value).alias(column))


def to_day(value: Any, name: str) -> int:
    """Return a calendar date as days since 1970-01-01.

    Parameters
    ----------
    value
        A date, a time (its own wall date counts) or ISO text.
    name
        What the date is, for the message.

    Raises
    ------
    ParameterError
        If it is no date.

    Examples
    --------
    >>> to_day("1970-01-02", "as_of")
    1
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            value = None
    if isinstance(value, date) and value == value:
        return value.toordinal() - _EPOCH
    raise ParameterError(f"{name} must be a date, such as '2011-12-10' or datetime.date(...).")


def from_day(day: int) -> date:
    """Return days since 1970-01-01 as a calendar date.

    Examples
    --------
    >>> from_day(1).isoformat()
    '1970-01-02'
    """
    return date.fromordinal(int(day) + _EPOCH)


def _time_parser(relation: duckdb.DuckDBPyRelation, text: str) -> str:
    """Return the SQL that makes times of `text`: by its digits if it is whole numbers, or ISO."""
    lengths = f"bool_and(regexp_full_match({text}, '[0-9]+')), min(len({text})), max(len({text}))"
    whole, shortest, longest = relation.aggregate(lengths).fetchall()[0]
    if not whole:
        return f"TRY_CAST({text} AS TIMESTAMP)"
    if shortest == longest and shortest in _MICROSECONDS:
        return f"make_timestamp(CAST({text} AS BIGINT) * {_MICROSECONDS[shortest]})"
    return f"try_strptime({text}, '%Y%m%d')" if shortest == longest == 8 else "NULL::TIMESTAMP"


def _read(path: Path) -> duckdb.DuckDBPyRelation:
    kind = "".join(path.suffixes[-2:]).lower()
    reader = _READERS.get(kind) or _READERS.get(path.suffix.lower())
    if reader is None:
        hint = " Read it with pandas.read_excel first." if path.suffix.startswith(".xls") else ""
        raise DataError(
            f"files of type {path.suffix or 'without an ending'!r} cannot be read, only "
            f"{', '.join(_READERS)}.{hint}"
        )
    if not path.exists():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise MissingFileError(f"there is no file {path.name!r} there.{nearest(path.name, beside)}")
    return reader(str(path))


def _from_relation(relation: duckdb.DuckDBPyRelation) -> nw.LazyFrame:
    zoned = [
        '"' + name.replace('"', '""') + '"'
        for name, kind in zip(relation.columns, relation.types, strict=True)
        if str(kind) == "TIMESTAMP WITH TIME ZONE"
    ]
    if zoned:
        parts = ", ".join(f"timezone('UTC', {name}) AS {name}" for name in zoned)
        relation = relation.project(f"* REPLACE ({parts})")
    return nw.from_native(relation)


def _from_local(frame: nw.DataFrame) -> nw.LazyFrame:
    if not frame.columns:
        raise DataError("the table has no columns.")
    if frame.implementation.is_pandas():
        native = frame.to_native()
        if native.index.name not in (None, *native.columns):
            native = native.reset_index()
        native = _readable(_without_zones_in_pandas(native.rename(columns=str)))
        return nw.from_native(duckdb.from_df(_forward(native)))
    return nw.from_native(duckdb.from_arrow(_without_zones(frame).to_arrow()))


def _refuse_paths(names: Sequence[str]) -> None:
    """Refuse names that Spark reads as the path of a field."""
    unclear = [name for name in names if "." in name or "`" in name]
    if unclear:
        raise ColumnError(
            f"Spark reads the name of column {unclear[0]!r} as a path. Rename it first, for "
            f"example with table.withColumnRenamed({unclear[0]!r}, "
            f"{unclear[0].replace('.', '_').replace('`', '_')!r})."
        )


def _without_nan(frame: nw.LazyFrame) -> nw.LazyFrame:
    floats = [name for name, kind in frame.collect_schema().items() if kind.is_float()]
    if floats and frame.implementation.is_polars():
        return frame.with_columns(nw.col(*floats).fill_nan(None))
    # DuckDB takes is_nan() for never true in a Parquet file whose statistics leave NaN out.
    known = {name: nw.col(name).is_finite() | (nw.col(name).abs() == math.inf) for name in floats}
    values = [nw.when(mark).then(nw.col(name)).alias(name) for name, mark in known.items()]
    return frame.with_columns(*values) if values else frame


def _without_zones(frame: nw.DataFrame) -> nw.DataFrame:
    zoned = [
        name
        for name, dtype in frame.schema.items()
        if isinstance(dtype, nw.Datetime) and dtype.time_zone
    ]
    return frame.with_columns(nw.col(*zoned).dt.replace_time_zone(None)) if zoned else frame


def _without_zones_in_pandas(frame: "pd.DataFrame") -> "pd.DataFrame":
    local = {
        name: values.dt.tz_localize(None)
        for name, values in frame.select_dtypes("datetimetz").items()
    }
    return frame.assign(**local)


def _readable(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a pandas frame of kinds that DuckDB reads: intervals and periods as text, in order."""
    import pandas as pd

    changed = {}
    for name, column in frame.items():
        kind = column.dtype
        inner = kind.categories.dtype if isinstance(kind, pd.CategoricalDtype) else kind
        if isinstance(inner, pd.IntervalDtype | pd.PeriodDtype):
            named = column.astype("category").cat
            changed[name] = named.rename_categories([str(label) for label in named.categories])
        elif isinstance(kind, pd.SparseDtype):
            changed[name] = column.sparse.to_dense()
        elif inner.kind == "c":
            raise DataError(
                f"column {name!r} holds complex numbers, of which nothing can be told here. Give "
                "their real part or their size, or drop the column."
            )
    return frame.assign(**changed)


def _forward(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a frame whose values do not lie backwards in memory, which DuckDB cannot read."""
    strides = (
        stride
        for _, column in frame.items()
        if isinstance(column.dtype, np.dtype)
        for stride in column.to_numpy().strides
    )
    return frame.copy() if any(stride < 0 for stride in strides) else frame
