"""Segments where the customers live: a fitted assignment as expressions that any engine runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw

from custseg._engine import to_lazy
from custseg.clustering._sql_rules import plan
from custseg.errors import check_columns

_NOBODYS = ""
"""What stands for a label that is no segment's until the last step."""


def assign_in(
    table: Any,
    *,
    encoder: Any,
    estimator: Any,
    variables: Sequence[Any],
    names: Mapping[int, str],
    customer_id: str,
) -> Any:
    """Return the segment of every customer of a table, in the engine where the table is.

    Parameters
    ----------
    table
        As in `SegmentationModel.assign_in`.
    encoder, estimator
        As fitted.
    variables
        The columns to segment by, in the order of the fit.
    names
        From the labels of the estimator to the names of the segments.
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
    encoding, assignment = plan(encoder, estimator, variables, schema)

    nobody = (nw.col("customer_id").is_null(), f"{customer_id} is missing")
    problems = [nw.when(at).then(nw.lit(why)) for at, why in (nobody, *encoding.problems)]
    frame = frame.select(nw.col(customer_id).alias("customer_id"), **encoding.read)
    frame = frame.select("customer_id", problem=nw.coalesce(*problems), **encoding.encoded)
    if assignment.problems:
        more = [nw.when(at).then(nw.lit(why)) for at, why in assignment.problems]
        frame = frame.with_columns(problem=nw.coalesce("problem", *more))
    for step in assignment.steps:
        frame = frame.with_columns(**step)
    found = [
        nw.when(holds).then(nw.lit(names.get(label, _NOBODYS)))
        for label, holds in enumerate(assignment.labels)
    ]
    named = nw.when(nw.col("problem").is_null()).then(nw.coalesce(*found))
    frame = frame.select("customer_id", "problem", segment=named)
    segment = nw.when(nw.col("segment") != _NOBODYS).then(nw.col("segment"))
    return _as_given(frame.select("customer_id", segment=segment, problem="problem"), table)


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
