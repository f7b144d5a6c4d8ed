"""The same numbers by segment wherever the order lines live."""

import duckdb
import numpy as np
import pandas as pd
import pytest

import custseg as cs
from custseg import value

pytestmark = [  # what Ibis asks of DuckDB and pandas, and PySpark of pandas, is deprecated there
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

rng = np.random.default_rng(0)
N = 600
LINES = pd.DataFrame(
    {
        "who": [f"c{number:03}" for number in rng.integers(0, 70, N)],
        "when": (pd.Timestamp("2023-11-20") + pd.to_timedelta(rng.integers(0, 300, N), "D")).astype(
            "datetime64[us]"
        ),
        "order": rng.integers(0, 300, N),
        "what": rng.choice(["toys", "books", " ", "tools"], N),
        "pieces": rng.integers(1, 5, N).astype(float),
        "paid": rng.gamma(2, 10, N).round(2) * np.where(rng.random(N) < 0.05, -1, 1),
        "off": rng.choice([0.0, 0.0, 0.2], N),
    }
)
SEGMENTS = pd.Series(
    rng.choice(["A", "B", "C"], 66), index=[f"c{number:03}" for number in range(66)]
)


def polars(_):
    return pytest.importorskip("polars").from_pandas(LINES)


def relation(_):
    return duckdb.connect().from_df(LINES)


def ibis(_):
    table = pytest.importorskip("pyarrow").Table.from_pandas(LINES)
    return pytest.importorskip("ibis").memtable(table)


def spark(request):
    return request.getfixturevalue("spark").createDataFrame(LINES)


def numbers(source) -> dict[str, pd.DataFrame]:
    tx = cs.Transactions(
        source,
        customer_id="who",
        timestamp="when",
        order_id="order",
        product="what",
        category="what",
        quantity="pieces",
        amount="paid",
        discount="off",
    )
    visits = cs.Touchpoints(source, customer_id="who", timestamp="when")
    return {
        **{period: value.retention(tx, period).to_frame() for period in "WMQ"},
        "silence": value.churn_by_silence(tx, 45),
        "demand": value.segment_demand(tx, SEGMENTS).to_frame(),
        "prices": value.price_sensitivity(tx, SEGMENTS, period="M").to_frame(),
        "figures": value.purchase_figures(
            tx, SEGMENTS, visits=visits, since="2024-01-01"
        ).to_frame(),
    }


@pytest.fixture(scope="module")
def want() -> dict[str, pd.DataFrame]:
    return numbers(LINES)


SLOW_SPARK = pytest.param(spark, marks=pytest.mark.slow)


@pytest.mark.parametrize("kind", [polars, relation, ibis, SLOW_SPARK])
def test_every_engine_gives_the_same_numbers(kind, request, want):
    found = numbers(kind(request))
    for name, frame in want.items():
        pd.testing.assert_frame_equal(
            found[name], frame, rtol=1e-9, check_dtype=False, check_index_type=False
        )
