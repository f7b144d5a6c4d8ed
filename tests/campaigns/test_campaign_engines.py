import duckdb
import numpy as np
import pandas as pd
import pytest

import custseg as cs


@pytest.fixture(scope="module")
def sent():
    rng = np.random.default_rng(3)
    n = 3_000
    history = rng.gamma(2, 60, n)
    return pd.DataFrame(
        {
            "customer": [f"c{i:04}" for i in range(n)],
            "mail": pd.Series(rng.choice(["none", "offer", "voucher"], n)).mask(
                rng.random(n) < 0.01
            ),
            "region": pd.Series(rng.choice(["north", "south", "west"], n)).mask(
                rng.random(n) < 0.02
            ),
            "visit": rng.random(n) < 0.2,
            "spend": pd.Series(history * rng.random(n)).mask(rng.random(n) < 0.05),
            "history": history,
            "orders": rng.poisson(2, n),
        }
    )


@pytest.fixture(scope="module", params=["column", "series"])
def test_declared(request, sent):
    by_customer = sent.set_index("customer")["region"].iloc[100:]
    return cs.CampaignTest(
        arm="mail",
        control="none",
        metrics={
            "visit": cs.Proportion("visit"),
            "spend": cs.Mean("spend", covariate="history"),
            "money": cs.Mean("spend"),
            "capped": cs.Mean("spend", covariate=["history", "orders"], winsorize=0.9),
            "value": cs.Ratio("spend", "orders", covariate="history", margin=1.0),
            "median": cs.Quantile("spend", 0.6),
        },
        segments="region" if request.param == "column" else by_customer,
        customer_id="customer",
    )


def polars(sent, _):
    return pytest.importorskip("polars").from_pandas(sent)


def polars_lazy(sent, _):
    return pytest.importorskip("polars").from_pandas(sent).lazy()


def polars_nan(sent, _):
    frame = pytest.importorskip("polars").from_pandas(sent)
    return frame.with_columns(frame["spend"].fill_null(float("nan")))


def pyarrow(sent, _):
    return pytest.importorskip("pyarrow").Table.from_pandas(sent)


def relation(sent, _):
    return duckdb.from_df(sent)


def relation_elsewhere(sent, _):
    return duckdb.connect().from_df(sent)


def parquet(sent, folder):
    duckdb.from_df(sent).write_parquet(str(folder / "sent.parquet"))
    return folder / "sent.parquet"


def csv(sent, folder):
    sent.to_csv(folder / "sent.csv", index=False)
    return str(folder / "sent.csv")


def ibis(sent, _):
    table = pytest.importorskip("pyarrow").Table.from_pandas(sent)
    return pytest.importorskip("ibis").memtable(table)


def experiment(sent, _):
    return cs.Experiment(sent, arm="mail", customer_id="customer")


SOURCES = [
    polars,
    polars_lazy,
    polars_nan,
    pyarrow,
    relation,
    relation_elsewhere,
    parquet,
    csv,
    ibis,
    experiment,
]


# what ibis asks of pandas is deprecated in pandas 3
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_every_engine_gives_the_same_numbers(source, sent, test_declared, tmp_path):
    same_numbers(test_declared.analyze(source(sent, tmp_path)), test_declared.analyze(sent))


# what pyspark asks of pandas is deprecated in pandas 3
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_spark_gives_the_same_numbers(spark, sent, test_declared):
    rows = pytest.importorskip("pyarrow").Table.from_pandas(sent)
    found = test_declared.analyze(spark.createDataFrame(rows).repartition(3))
    same_numbers(found, test_declared.analyze(sent))


def same_numbers(found, want):
    pd.testing.assert_frame_equal(found.to_frame(), want.to_frame(), rtol=1e-10, atol=1e-13)
    pd.testing.assert_frame_equal(found.margins, want.margins, rtol=1e-9, atol=1e-13)
    pd.testing.assert_frame_equal(found.posterior, want.posterior, rtol=1e-8, atol=1e-13)
    pd.testing.assert_frame_equal(found.account, want.account)
    pd.testing.assert_frame_equal(found.srm.by_segment, want.srm.by_segment)
    assert found.notes == want.notes


@pytest.fixture
def reads(monkeypatch):
    """How many rows came back each time that the engine was asked."""
    from custseg.campaigns import _cells

    seen = []

    def spy(lazy):
        frame = collect(lazy)
        seen.append(len(frame))
        return frame

    collect = _cells.collect
    monkeypatch.setattr(_cells, "collect", spy)
    return seen


def test_the_data_are_grouped_once_after_a_look_at_the_first_rows(sent, reads):
    metrics = {f"m{i}": cs.Mean("spend", covariate="history") for i in range(5)}
    cs.CampaignTest(arm="mail", control="none", metrics=metrics, segments="region").analyze(sent)
    assert reads == [1_000, 16]  # 4 regions (one missing) x 4 arms (one missing)


def test_what_else_is_read_is_read_where_it_is_needed(sent, reads):
    metrics = {"a": cs.Quantile("spend"), "b": cs.Mean("spend", winsorize=0.9)}
    test = cs.CampaignTest(arm="mail", control="none", metrics=metrics, customer_id="customer")
    test.analyze(sent)
    in_arms = sent["mail"].notna().sum()
    assert reads == [1, 1, 1_000, 4, in_arms]  # repeats, the cap, first rows, sums, the rows


def by_numpy(frame):
    """Effect, standard error and skewness of the arms, from deviations from their own means."""
    arms = [frame.loc[frame["mail"] == arm, "spend"].to_numpy() for arm in ("none", "offer")]
    away = [arm - arm.mean() for arm in arms]
    return arms[1].mean() - arms[0].mean(), np.sqrt(
        sum((a @ a) / (len(a) - 1) / len(a) for a in away)
    )


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
def test_a_large_offset_costs_no_digits(sent, reads, offset):
    rng = np.random.default_rng(4)
    noise = rng.integers(0, 1_000, len(sent)) / 64  # sums of these are exact beside 1e9
    frame = sent.assign(spend=noise + offset)
    test = cs.CampaignTest(arm="mail", control="none", metrics={"spend": cs.Mean("spend")})
    row = test.analyze(frame).to_frame().iloc[0]
    effect, se = by_numpy(frame.assign(spend=noise))
    assert row["effect"] == pytest.approx(effect, rel=1e-9, abs=abs(offset) * 3e-16)
    assert row["se"] == pytest.approx(se, rel=1e-9)
    assert len(reads) == 2


def test_first_rows_unlike_the_rest_cost_a_second_reading_and_no_digits(sent, reads):
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 1_000, len(sent)) / 64
    first = np.arange(len(sent)) < 1_000
    region = np.where(first, "north", np.where(np.arange(len(sent)) % 2, "south", "west"))
    frame = sent.assign(spend=np.where(first, noise, noise + 1e9), region=region)
    test = cs.CampaignTest(
        arm="mail", control="none", metrics={"spend": cs.Mean("spend")}, segments="region"
    )
    rows = test.analyze(frame).to_frame().set_index(["segment", "arm"])
    for region in ("south", "west"):
        part = frame[frame["region"] == region]
        effect, se = by_numpy(part.assign(spend=part["spend"] - 1e9))
        row = rows.loc[(region, "offer")]
        assert row["effect"] == pytest.approx(effect, abs=3e-7)  # the means have ten digits
        assert row["se"] == pytest.approx(se, rel=1e-7)
    assert reads == [1_000, 12, 12]


@pytest.mark.parametrize("kind", ["Categorical", "Enum", "integers", "truth values", "dates"])
def test_polars_sums_what_duckdb_sums(sent, kind):
    """A Polars frame stays in Polars; the same rows from pandas or Arrow go to DuckDB."""
    pl = pytest.importorskip("polars")
    start = pd.Timestamp("2026-03-27 22:00", tz="Europe/Berlin")
    entered = start + pd.to_timedelta(np.arange(len(sent)) % 200, unit="h")
    frame = pl.from_pandas(sent.assign(entered=entered)).sort("region", descending=True)
    regions = pl.Enum(["west", "south", "north"])
    arm, region = {
        "Categorical": (pl.col("mail").cast(pl.Categorical), pl.col("region").cast(pl.Categorical)),
        "Enum": (pl.col("mail").cast(pl.Enum(["voucher", "none", "offer"])), regions),
        "integers": (pl.col("mail").str.len_chars(), pl.col("region").str.len_chars()),
        "truth values": (pl.col("mail") != "offer", pl.col("region") == "north"),
        "dates": (pl.col("mail"), pl.col("entered").dt.date()),
    }[kind]
    region = pl.col("region").cast(region) if region is regions else region
    frame = frame.with_columns(arm.alias("mail"), region.alias("region"))
    control = {"integers": 4, "truth values": True}.get(kind, "none")
    test = cs.CampaignTest(
        arm="mail",
        control=control,
        metrics={
            "spend": cs.Mean("spend", covariate="history", winsorize=0.95),
            "visit": cs.Proportion("visit"),
            "median": cs.Quantile("spend", 0.5),
        },
        segments="region",
        customer_id="customer",
        checks=cs.campaigns.Checks(balance=["history"], entered="entered"),
    )
    other = frame.to_pandas() if kind == "Enum" else frame.to_arrow()
    stays, moved = test.analyze(frame), test.analyze(other)
    same_numbers(stays, moved)
    pd.testing.assert_frame_equal(stays.checks, moved.checks, rtol=1e-7, atol=1e-12)


def test_times_that_are_text_are_read_from_polars_as_from_pandas(sent):
    pl = pytest.importorskip("polars")
    dated = sent.assign(day=[f"2026-03-{1 + i % 28:02}" for i in range(len(sent))])
    test = cs.CampaignTest(
        arm="mail",
        control="none",
        metrics={"spend": cs.Mean("spend")},
        checks=cs.campaigns.Checks(entered="day"),
    )
    found, want = test.analyze(pl.from_pandas(dated)), test.analyze(dated)
    pd.testing.assert_frame_equal(found.checks, want.checks, rtol=1e-9)
