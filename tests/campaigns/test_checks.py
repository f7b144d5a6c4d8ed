"""What is checked before any effect, against scipy and on campaigns with planted faults."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

import custseg as cs
from custseg.campaigns import Checks
from custseg.errors import ColumnError, DataError, ParameterError

PERIODS = ["week_1", "week_2", "week_3"]


def campaign(seed=3, n=6_000):
    rng = np.random.default_rng(seed)
    arm = rng.choice(["none", "mail", "call"], n)
    taste = rng.gamma(2, 5, n)
    sent = pd.Timestamp("2024-03-01 09:00") + pd.to_timedelta(rng.integers(0, 72, n), unit="h")
    frame = pd.DataFrame(
        {
            "customer_id": np.arange(n),
            "arm": arm,
            "tier": rng.choice(list("ab"), n),
            "region": pd.Series(rng.choice(["north", "south", "west"], n)).mask(
                rng.random(n) < 0.02
            ),
            "age": rng.normal(45, 12, n),
            "vip": rng.random(n) < 0.1,
            "history": taste * rng.random(n),
            "spend_before": taste * rng.random(n),
            "visit_before": (rng.random(n) < 0.2).astype(int),
            "sent": sent,
            "bought": (sent + pd.to_timedelta(rng.exponential(50, n), unit="h")).where(
                rng.random(n) < 0.4
            ),
            "spend": pd.Series(taste * rng.random(n)).mask(rng.random(n) < 0.05),
        }
    )
    lift = 2.0 * (arm == "mail")
    for week, name in enumerate(PERIODS):
        frame[name] = taste / 3 * rng.random(n) + lift / 2**week + 0.1 * week
    return frame


CHECKS = Checks(
    balance=["age", "vip", "region"],
    before={"spend": cs.Mean("spend_before"), "visit": cs.Proportion("visit_before")},
    exposed="sent",
    outcome_time="bought",
    periods={"spend": PERIODS},
)


def declare(checks=CHECKS, **options):
    return cs.CampaignTest(
        arm="arm",
        control="none",
        metrics={"spend": cs.Mean("spend", covariate="history")},
        checks=checks,
        **{"segments": "tier", "customer_id": "customer_id"} | options,
    )


@pytest.fixture(scope="module")
def data():
    return campaign()


@pytest.fixture(scope="module")
def impact(data):
    return declare().analyze(data)


def of(impact, check):
    return impact.checks[impact.checks["check"] == check]


def test_one_table_in_the_order_in_which_to_read_it(impact):
    checks = impact.checks
    assert checks["check"].unique().tolist() == [
        "sample ratio",
        "customers in two arms",
        "missing outcomes",
        "covariate balance",
        "before the campaign",
        "effect over time",
        "outcome before exposure",
    ]
    assert set(checks["status"]) <= {"ok", "suspect", "alarm"}
    bad = checks[checks["status"] != "ok"]
    assert bad[["check", "arm"]].to_numpy().tolist() == [["effect over time", "mail"]]


def test_what_was_not_named_is_not_checked_and_says_how(data):
    checks = declare(Checks(), customer_id=None).analyze(data).checks
    missing = checks[checks["status"] == "not checked"].set_index("check")["what"]
    assert missing["customers in two arms"] == "name customer_id"
    assert list(missing.index) == [
        "customers in two arms",
        "before the campaign",
        "outcome before exposure",
        "effect over time",
    ]
    assert missing.str.startswith("name ").all()
    assert (
        of(declare(Checks()).analyze(data), "covariate balance")["what"].tolist() == ["history"] * 2
    )


def test_the_checks_do_not_change_the_effects(impact, data):
    bare = declare(Checks()).analyze(data)
    pd.testing.assert_frame_equal(bare.to_frame(), impact.to_frame())
    pd.testing.assert_frame_equal(bare.account, impact.account)


def test_the_sample_ratio_is_that_of_srm(impact):
    rows = of(impact, "sample ratio")
    assert rows["p_value"].tolist() == [impact.srm.p_value, *impact.srm.by_segment["p_value"]]
    assert rows["segment"].tolist() == ["(all)", "a", "b"]


def test_numbers_are_balanced_by_welch_and_standard_deviations(impact, data):
    rows = of(impact, "covariate balance").set_index(["what", "arm"])
    for column in ("age", "vip"):
        for arm in ("mail", "call"):
            row = rows.loc[(column, arm)]
            a, b = (data.loc[data["arm"] == x, column].astype(float) for x in ("none", arm))
            assert row["p_value"] == pytest.approx(stats.ttest_ind(b, a, equal_var=False).pvalue)
            want = (b.mean() - a.mean()) / np.sqrt((a.var() + b.var()) / 2)
            assert row["std_diff"] == pytest.approx(want, rel=1e-9)
            assert row["treatment"] == pytest.approx(b.mean(), rel=1e-11)
    used = data.dropna(subset="spend")
    a, b = (used.loc[used["arm"] == x, "history"] for x in ("none", "call"))
    want = stats.ttest_ind(b, a, equal_var=False).pvalue
    assert rows.loc[("history", "call"), "p_value"] == pytest.approx(want)
    assert len(rows) == 8


def test_categories_are_balanced_by_chi_square(impact, data):
    rows = of(impact, "covariate balance")
    for arm in ("mail", "call"):
        (row,) = rows[rows["what"].str.startswith("region") & (rows["arm"] == arm)].to_dict(
            "records"
        )
        both = data[data["arm"].isin(["none", arm])]
        table = pd.crosstab(both["arm"], both["region"].fillna("(missing)"))
        assert row["p_value"] == pytest.approx(stats.chi2_contingency(table).pvalue)
        share = table.loc[["none", arm]].div(table.sum(axis=1), axis=0)
        away = (share.loc[arm] - share.loc["none"]) / np.sqrt((share * (1 - share)).mean())
        assert row["what"] == f"region (most: {away.abs().idxmax()})"
        assert row["std_diff"] == pytest.approx(away[away.abs().idxmax()])


def test_p_values_are_adjusted_within_a_check(impact):
    for check in ("covariate balance", "before the campaign", "missing outcomes"):
        rows = of(impact, check)
        want = multipletests(rows["p_value"], method="holm")[1]
        np.testing.assert_allclose(rows["p_holm"], want)


def test_the_time_before_is_compared_by_segment_too(impact, data):
    rows = of(impact, "before the campaign")
    assert len(rows) == 2 * 3 * 2
    (row,) = rows.query("what == 'spend' and segment == 'b' and arm == 'mail'").to_dict("records")
    part = data[data["tier"] == "b"]
    a, b = (part.loc[part["arm"] == x, "spend_before"] for x in ("none", "mail"))
    assert row["p_value"] == pytest.approx(stats.ttest_ind(b, a, equal_var=False).pvalue)


def test_missing_outcomes_are_compared_by_the_score_test(impact, data):
    rows = of(impact, "missing outcomes").set_index("arm")
    missing = data["spend"].isna().groupby(data["arm"]).agg(["sum", "size"])
    for arm in ("mail", "call"):
        part = missing.loc[[arm, "none"]]
        want = proportions_ztest(part["sum"], part["size"])[1]
        assert rows.loc[arm, "p_value"] == pytest.approx(want)


def test_the_trend_is_that_of_the_customers_slopes(impact, data):
    rows = of(impact, "effect over time").set_index("arm")
    slope = (data["week_3"] - data["week_1"]) / 2
    for arm in ("mail", "call"):
        a, b = (slope[data["arm"] == x] for x in ("none", arm))
        want = stats.ttest_ind(b, a, equal_var=False).pvalue
        assert rows.loc[arm, "p_value"] == pytest.approx(want, rel=1e-6)
        assert rows.loc[arm, "treatment"] == pytest.approx(b.mean())
    over_time = impact.over_time
    assert over_time["period"].tolist() == PERIODS * 2
    for row in over_time.itertuples():
        a, b = (data.loc[data["arm"] == x, row.period] for x in ("none", row.arm))
        found = stats.ttest_ind(b, a, equal_var=False).confidence_interval()
        assert row.effect == pytest.approx(b.mean() - a.mean())
        assert (row.ci_low, row.ci_high) == pytest.approx((found.low, found.high))
    (note,) = [note for note in impact.notes if note.startswith("Effect over time")]
    assert "spend: change per period (mail, p < .001)" in note
    assert impact.summary().startswith(note)
    assert impact.decision(metric="spend").warnings == (note,)


def test_the_trend_by_entry_is_that_of_least_squares_in_each_arm(data):
    entered = data.assign(
        entered=pd.Timestamp("2024-02-01") + pd.to_timedelta(data["customer_id"] % 28, unit="D")
    )
    fading = entered.assign(
        spend=entered["spend"] + (entered["arm"] == "mail") * (28 - data["customer_id"] % 28) / 7
    )
    test = declare(Checks(entered="entered"))
    rows = of(test.analyze(fading), "effect over time").set_index("arm")
    assert set(rows["what"]) == {"spend: change per day of entry"}
    used = fading.dropna(subset="spend")
    for arm in ("mail", "call"):
        fits = [
            stats.linregress(part["customer_id"] % 28, part["spend"])
            for part in (used[used["arm"] == "none"], used[used["arm"] == arm])
        ]
        assert rows.loc[arm, "treatment"] == pytest.approx(fits[1].slope)
        t = (fits[1].slope - fits[0].slope) / np.hypot(fits[0].stderr, fits[1].stderr)
        assert rows.loc[arm, "p_value"] == pytest.approx(2 * stats.norm.sf(abs(t)), abs=2e-4)
    assert rows["status"].to_dict() == {"call": "ok", "mail": "alarm"}
    same_day = test.analyze(entered.assign(entered=pd.Timestamp("2024-02-01")))
    assert set(of(same_day, "effect over time")["status"]) == {"not checked"}


def test_planted_faults_are_found_and_said(data):
    rng = np.random.default_rng(1)
    mail = data["arm"] == "mail"
    faulty = data.assign(
        age=data["age"] + 3 * mail,
        region=data["region"].mask(mail & (rng.random(len(data)) < 0.2), "west"),
        spend_before=data["spend_before"] + 1.5 * (mail & (data["tier"] == "b")),
        spend=data["spend"].mask(mail & (rng.random(len(data)) < 0.1)),
        bought=data["bought"].mask(mail & (data["customer_id"] < 30), pd.Timestamp("2024-02-01")),
    )
    impact = declare().analyze(faulty)
    bad = impact.checks[impact.checks["status"].isin(["suspect", "alarm"])]
    assert set(bad["arm"]) == {"mail"}
    found = set(zip(bad["check"], bad["what"].str.split(" ").str[0], bad["segment"], strict=True))
    assert found >= {
        ("missing outcomes", "spend", "(all)"),
        ("covariate balance", "age", "(all)"),
        ("covariate balance", "region", "(all)"),
        ("before the campaign", "spend", "(all)"),
        ("before the campaign", "spend", "b"),
    }
    early = of(impact, "outcome before exposure").set_index("arm")
    count = (mail & (data["customer_id"] < 30)).sum()
    assert early.loc["mail", "what"].startswith(f"{count} of ")
    assert early["status"].to_dict() == {"none": "ok", "call": "ok", "mail": "suspect"}
    notes = " ".join(impact.notes)
    assert "Covariate balance: arms differ in what was known before" in notes
    assert "Before the campaign: arms differed before the campaign" in notes
    assert "spend in b (mail" in notes
    assert "Missing outcomes: outcomes are missing more often in one arm" in notes
    assert "Outcome before exposure: outcomes came before the exposure" in notes


def test_days_are_compared_where_one_of_the_times_is_a_day(data):
    by_day = data.assign(bought=data["sent"].dt.normalize())
    assert (of(declare().analyze(by_day), "outcome before exposure")["status"] == "suspect").all()
    duckdb = pytest.importorskip("duckdb")
    days = duckdb.from_df(by_day).query(
        "t", "SELECT * REPLACE (CAST(bought AS DATE) AS bought) FROM t"
    )
    assert (of(declare().analyze(days), "outcome before exposure")["status"] == "ok").all()


@pytest.mark.slow
def test_fair_campaigns_are_suspected_as_seldom_as_promised():
    suspected = []
    for seed in range(60):
        checks = declare().analyze(campaign(seed + 100, 600)).checks
        fair = checks["check"].isin(["covariate balance", "before the campaign"])
        suspected.append((checks["p_holm"][fair] < 0.05).groupby(checks["check"][fair]).any())
    rate = pd.DataFrame(suspected).mean()
    assert (rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)).all()


# what ibis asks of pandas is deprecated in pandas 3
@pytest.mark.parametrize("kind", ["polars", "parquet", "ibis"])
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")
def test_every_engine_checks_alike(kind, data, impact, tmp_path):
    if kind == "parquet":
        source = tmp_path / "sent.parquet"
        pytest.importorskip("duckdb").from_df(data).write_parquet(str(source))
    elif kind == "polars":
        source = pytest.importorskip("polars").from_pandas(data)
    else:
        table = pytest.importorskip("pyarrow").Table.from_pandas(data)
        source = pytest.importorskip("ibis").memtable(table)
    found = declare().analyze(source)
    pd.testing.assert_frame_equal(found.checks, impact.checks, rtol=1e-9)
    pd.testing.assert_frame_equal(found.over_time, impact.over_time, rtol=1e-9)


# what pyspark asks of pandas is deprecated in pandas 3
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_spark_checks_alike(spark, data, impact):
    table = pytest.importorskip("pyarrow").Table.from_pandas(data)
    found = declare().analyze(spark.createDataFrame(table))
    pd.testing.assert_frame_equal(found.checks, impact.checks, rtol=1e-9)
    pd.testing.assert_frame_equal(found.over_time, impact.over_time, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"balance": "age"}, ParameterError, "must be a list of columns"),
        ({"exposed": "sent"}, ParameterError, "name both or none"),
        ({"before": {"spend": "spend_before"}}, ParameterError, "must be a metric"),
        ({"periods": {"spend": ["week_1"]}}, ParameterError, "two columns or more"),
        ({"balance": ["ages"]}, ColumnError, "Did you mean 'age'"),
        ({"balance": ["sent"]}, DataError, "Make it a number"),
        ({"balance": ["arm"]}, DataError, "the arm itself"),
        ({"balance": ["text"]}, DataError, "more than 50"),
        ({"exposed": "sent", "outcome_time": "age"}, DataError, "both hold times"),
        ({"entered": "region"}, DataError, "must hold dates"),
        ({"exposed": "region", "outcome_time": "bought"}, DataError, "must hold dates"),
    ],
)
def test_what_cannot_be_checked_says_what_to_do(data, options, error, words):
    with pytest.raises(error, match=words):
        declare(Checks(**options)).analyze(data.assign(text=data["customer_id"].astype(str)))
    with pytest.raises(ParameterError, match="must be Checks"):
        declare({"balance": ["age"]})
