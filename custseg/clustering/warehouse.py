"""Segments where the customers live: a fitted assignment as expressions that any engine runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import narwhals as nw

from custseg._engine import to_lazy
from custseg.clustering._sql_rules import plan
from custseg.clustering.assignment import Assignment
from custseg.errors import check_columns

_NOBODYS = ""
"""What stands for no segment until the last step."""


def assign_in(
    table: Any,
    *,
    encoder: Any,
    estimator: Any,
    assignment: Assignment,
    variables: Sequence[Any],
    names: Sequence[str],
    customer_id: str,
) -> Any:
    """Return the segment of every customer of a table, in the engine where the table is.

    Parameters
    ----------
    table
        As in `SegmentationModel.assign_in`.
    encoder, estimator, assignment
        As fitted.
    variables
        The columns to segment by, in the order of the fit.
    names
        The names of the segments, in canonical order.
    customer_id
        The column that names customers.

    Raises
    ------
    ColumnError
        If the table lacks a variable or the id.
    DataError
        If a column is of another type than in the fit.
    ParameterError
        If the encoder or the estimator cannot be expressed.
    """
    frame = to_lazy(table)
    schema = frame.collect_schema()
    needed = [customer_id, *(str(name) for name in variables)]
    check_columns(schema.names(), needed, where="the table")
    encoding, rule = plan(encoder, estimator, assignment, variables, schema)

    nobody = (nw.col("customer_id").is_null(), f"{customer_id} is missing")
    problems = [nw.when(at).then(nw.lit(why)) for at, why in (nobody, *encoding.problems)]
    frame = frame.select(nw.col(customer_id).alias("customer_id"), **encoding.read)
    frame = frame.select("customer_id", problem=nw.coalesce(*problems), **encoding.encoded)
    if rule.problems:
        more = [nw.when(at).then(nw.lit(why)) for at, why in rule.problems]
        frame = frame.with_columns(problem=nw.coalesce("problem", *more))
    for step in rule.steps:
        frame = _apart(frame).with_columns(**step)
    frame = _apart(frame)
    found = [
        nw.when(holds).then(nw.lit(_NOBODYS if place < 0 else names[place]))
        for holds, place in rule.labels
    ]
    named = nw.when(nw.col("problem").is_null()).then(nw.coalesce(*found))
    frame = frame.select("customer_id", "problem", segment=named)
    segment = nw.when(nw.col("segment") != _NOBODYS).then(nw.col("segment"))
    return _as_given(frame.select("customer_id", segment=segment, problem="problem"), table)


def _apart(frame: nw.LazyFrame) -> nw.LazyFrame:
    """Keep PostgreSQL from writing out a column wherever a later one uses it, which grows fast.

    It does so with every subquery but those with a limit; this one is beyond any number of rows.
    """
    native = frame.to_native()
    if frame.implementation.is_ibis() and native.get_backend().name == "postgres":
        return nw.from_native(native.limit(2**62))
    return frame


def _as_given(result: nw.LazyFrame, table: Any) -> Any:
    """Return a lazy result as the kind of table that was given: at once where that is in memory."""
    if isinstance(table, str | Path):
        return result.to_native()
    given = nw.from_native(table)
    found: nw.LazyFrame | nw.DataFrame = result
    if isinstance(given, nw.DataFrame):
        found = result.collect(backend=given.implementation)
    elif given.implementation.is_polars():
        found = result.collect(backend="polars").lazy()
    return found if given is table else found.to_native()
