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
    want = test_declared.analyze(sent)
    found = test_declared.analyze(source(sent, tmp_path))
    pd.testing.assert_frame_equal(found.to_frame(), want.to_frame(), rtol=1e-10, atol=1e-13)
    pd.testing.assert_frame_equal(found.account, want.account)
    pd.testing.assert_frame_equal(found.srm.by_segment, want.srm.by_segment)
    assert found.notes == want.notes


def test_the_data_are_grouped_once_after_a_look_at_the_first_rows(sent, monkeypatch):
    from custseg.campaigns import _cells

    seen = []

    def spy(lazy):
        frame = collect(lazy)
        seen.append(len(frame))
        return frame

    collect = _cells.collect
    monkeypatch.setattr(_cells, "collect", spy)
    metrics = {f"m{i}": cs.Mean("spend", covariate="history") for i in range(5)}
    cs.CampaignTest(arm="mail", control="none", metrics=metrics, segments="region").analyze(sent)
    assert seen == [1_000, 16]  # 4 regions (one missing) x 4 arms (one missing)
