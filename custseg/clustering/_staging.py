"""Customers of a table that need not fit into memory: on disk, in random order, batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd

from custseg._engine import to_lazy
from custseg.errors import DataError, check_columns

LEVELS = (nw.Enum, nw.Categorical)

VECTOR = 2048
"""The engine hands over whole vectors of this many rows."""


@dataclass(frozen=True)
class Staged:
    """Customers in a file of their own, in an order that depends on their ids alone.

    Parameters
    ----------
    path
        The Parquet file.
    variables
        Its columns to segment by.
    others
        Its other columns besides ``customer_id``.
    n
        The number of customers.
    account
        Rows in = rows used + rows set aside: ``rows`` by ``reason``, with ``examples`` of ids.
    """

    path: Path
    variables: list[str]
    others: list[str]
    n: int
    account: pd.DataFrame

    def batches(self, size: int) -> Iterator[pd.DataFrame]:
        """Yield the customers, about `size` at a time, their ids as index."""
        with duckdb.connect() as connection:
            connection.execute(f"FROM read_parquet({_text(str(self.path))})")
            while len(batch := connection.fetch_df_chunk(max(size // VECTOR, 1))):
                yield batch.set_index("customer_id")

    def sample(self, size: int, seed: int) -> pd.DataFrame:
        """Return `size` customers drawn at random, all where there are fewer, sorted by id."""
        with duckdb.connect() as connection:
            drawn = connection.read_parquet(str(self.path)).order(_by_chance(seed)).limit(size)
            return drawn.df().set_index("customer_id").sort_index()

    def lowest(self) -> pd.DataFrame:
        """Return the customers with the least value of each number, and one for each level."""
        with duckdb.connect() as connection:
            rows = connection.read_parquet(str(self.path))
            kinds = dict(zip(rows.columns, rows.types, strict=True))
            found = []
            for name in self.variables:
                if str(kinds[name]) == "VARCHAR":
                    rank = f"row_number() OVER (PARTITION BY {_name(name)} ORDER BY customer_id)"
                    found.append(rows.project(f"*, {rank} AS _rank").filter("_rank = 1").df())
                else:
                    found.append(rows.order(f"{_name(name)}, customer_id").limit(1).df())
        table = pd.concat(found).drop(columns="_rank", errors="ignore")
        return table.drop_duplicates("customer_id").set_index("customer_id").sort_index()


def stage(
    table: Any,
    folder: Path,
    *,
    customer_id: str,
    variables: Sequence[str] | None,
    others: Sequence[str],
    categories: bool,
    keep_missing: bool,
    seed: int,
) -> Staged:
    """Write the customers that can be used into a file, in random order.

    Parameters
    ----------
    table
        A table that runs in DuckDB: a path, a relation, or a frame in memory.
    folder
        Where the file goes.
    customer_id
        The column that names customers.
    variables
        The columns to segment by; ``None`` takes every number and boolean.
    others
        Further columns to keep.
    categories
        Whether ``None`` takes text and categories too.
    keep_missing
        Whether customers who lack a variable are used.
    seed
        Decides the order, together with the ids.

    Raises
    ------
    ColumnError
        If a column is missing.
    DataError
        If the table does not run in DuckDB, or no customer is left.
    """
    lazy = to_lazy(table)
    relation = lazy.to_native()
    if not isinstance(relation, duckdb.DuckDBPyRelation):
        raise DataError(
            f"a {type(relation).__name__} is not read in batches. Write it to a Parquet file and "
            "give its path."
        )
    schema = lazy.collect_schema()
    check_columns(schema.names(), [customer_id, *(variables or ()), *others], where="the table")
    if variables is None:
        kinds = (nw.Boolean, *((*LEVELS, nw.String) if categories else ()))
        able = [name for name, kind in schema.items() if kind.is_numeric() or kind in kinds]
        variables = [name for name in able if name != customer_id]
        if not variables:
            raise DataError("the table has no numeric column to segment by.")
    names = list(dict.fromkeys([*variables, *others]))
    columns = ", ".join(_plain(name, schema[name], keep_missing=keep_missing) for name in names)
    rows = relation.project(f"{_name(customer_id)} AS customer_id, {columns}")
    floats = [name for name in names if schema[name].is_float()]
    problems = [("customer_id IS NULL", f"{customer_id} is missing")]
    if rows.aggregate("customer_id, count(*) AS copies").filter("copies > 1").limit(1).fetchall():
        rows = rows.project("*, count(*) OVER (PARTITION BY customer_id) AS _copies")
        problems.append(("_copies > 1", f"{customer_id} is repeated"))
    needed = [name for name in names if name in others or not keep_missing]
    problems += [(f"{_name(name)} IS NULL", f"{name} is missing") for name in needed]
    problems += [(f"isinf({_name(name)})", f"{name} is infinite") for name in floats]
    cases = " ".join(f"WHEN {holds} THEN {_text(why)}" for holds, why in problems)
    marked = rows.project(f"customer_id, {', '.join(map(_name, names))}, CASE {cases} END AS _why")
    account = _account(marked, [why for _, why in problems])
    n = int(account["rows"].iloc[1])
    if not n:
        raise DataError(
            f"no customer is left: {account['rows'].iloc[0]:,} rows, "
            + "; ".join(f"{row.rows:,} because {row.reason}" for row in account[2:].itertuples())
        )
    used = marked.filter("_why IS NULL").project("* EXCLUDE (_why)")
    path = folder / "customers.parquet"
    used.order(_by_chance(seed)).write_parquet(str(path), compression="uncompressed")
    return Staged(path, list(variables), list(others), n, account)


def _account(marked: duckdb.DuckDBPyRelation, reasons: Sequence[str]) -> pd.DataFrame:
    counted = marked.aggregate("_why, count(*), min(CAST(customer_id AS VARCHAR), 3)").fetchall()
    found = {why: (rows, examples) for why, rows, examples in counted}
    rows = [("read", sum(rows for rows, _ in found.values()), "")]
    rows.append(("used", found.get(None, (0, ()))[0], ""))
    rows += [
        (why, found[why][0], ", ".join(found[why][1] or ())) for why in reasons if why in found
    ]
    return pd.DataFrame(rows, columns=["reason", "rows", "examples"])


def _plain(name: str, kind: nw.dtypes.DType, *, keep_missing: bool) -> str:
    """Return a column in a type that pandas has: levels as text, exact numbers as floats."""
    number = kind.is_decimal() or kind in (nw.Int128, nw.UInt128)
    number = number or (keep_missing and kind == nw.Boolean)
    target = "DOUBLE" if number else "VARCHAR" if kind in LEVELS else None
    return _name(name) if target is None else f"CAST({_name(name)} AS {target}) AS {_name(name)}"


def _by_chance(seed: int) -> str:
    return f"hash(CAST(customer_id AS VARCHAR), {seed}), customer_id"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
