"""Who is assigned to which arm: documented, repeatable, balanced, independent between salts."""

import hashlib
import json
from itertools import combinations, product

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import custseg as cs
from custseg.campaigns.allocation import by_threshold, hash_uniform, within_strata
from custseg.campaigns.balance import _drawn
from custseg.errors import ColumnError, DataError, ParameterError

ARMS = {"control": 0.5, "email": 0.3, "letter": 0.2}


@pytest.fixture(scope="module")
def customers():
    rng = np.random.default_rng(8)
    n = 4_000
    return pd.DataFrame(
        {
            "region": rng.choice(["north", "south", "west", None], n, p=[0.5, 0.3, 0.15, 0.05]),
            "tier": rng.choice(["gold", "basic"], n, p=[0.1, 0.9]),
            "age": rng.normal(45, 12, n),
            "vip": rng.random(n) < 0.2,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
        },
        index=pd.Index([f"C{i}" for i in range(n)], name="customer_id"),
    )


def declare(**changes):
    return cs.CampaignDesign(**({"arms": ARMS, "salt": "spring"} | changes))


def test_the_hash_is_the_documented_one():
    digest = hashlib.sha256(b"spring:arm:C7").hexdigest()
    expected = (int(digest[:16], 16) >> 11) / 2**53
    assert hash_uniform(["C7"], "spring:arm")[0] == expected
    assert np.ptp(hash_uniform([7, "7", 7.0, np.int64(7)], "k")) == 0


def test_a_database_with_the_same_hash_assigns_the_same_arms(customers):
    ids = duckdb.from_df(pd.DataFrame({"customer_id": customers.index}))
    digest = "('0x' || sha256('spring:arm:' || customer_id)[1:16])::UBIGINT"
    found = ids.project(f"customer_id, ({digest} >> 11) / pow(2, 53) AS u").df()
    u = found.set_index("customer_id")["u"]
    assigned = declare().assign(customers).customers["arm"]
    there = pd.cut(u, [-1, 0.5, 0.8, 1], right=False, labels=list(ARMS))
    assert there.loc[assigned.index].tolist() == assigned.tolist()


def test_hashes_are_uniform_and_independent_between_keys():
    ids = range(20_000)
    u, v = hash_uniform(ids, "spring:arm"), hash_uniform(ids, "autumn:arm")
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    counts = np.histogram2d(u, v, bins=8)[0]
    assert stats.chi2_contingency(counts).pvalue > 1e-4
    assert stats.kstest(u[1:] - u[:-1], stats.triang(0.5, -1, 2).cdf).pvalue > 1e-4


def test_salted_arms_stick_to_the_customer_and_have_their_shares(customers):
    design = declare(holdout=0.1)
    whole = design.assign(customers)
    assert whole.method == "hash"
    part = design.assign(customers.sample(500, random_state=1))
    pd.testing.assert_frame_equal(part.customers, whole.customers.loc[part.customers.index])
    inside = whole.counts.drop("holdout")
    assert stats.chisquare(inside, np.array(list(ARMS.values())) * inside.sum()).pvalue > 1e-4
    assert whole.counts["holdout"] == pytest.approx(400, abs=4 * np.sqrt(360))
    other = declare(salt="autumn", holdout=0.1).assign(customers)
    table = pd.crosstab(whole.customers["arm"], other.customers["arm"])
    assert stats.chi2_contingency(table).pvalue > 1e-4
    assert (whole.customers["holdout"] & other.customers["holdout"]).sum() < 80


def test_campaigns_that_share_a_holdout_salt_hold_out_the_same_customers(customers):
    first = declare(holdout=0.1, holdout_salt="always").assign(customers)
    second = declare(salt="autumn", holdout=0.1, holdout_salt="always").assign(customers)
    assert first.customers["holdout"].equals(second.customers["holdout"])
    assert not first.customers["arm"].equals(second.customers["arm"])
    inside = ~first.customers["holdout"]
    table = pd.crosstab(first.customers["arm"][inside], second.customers["arm"][inside])
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_stratified_arms_have_their_planned_sizes_in_every_stratum(customers):
    design = declare(strata=["region", "tier"], holdout=0.05)
    found = design.assign(customers)
    assert found.method == "stratified"
    rows = found.customers
    counts = pd.crosstab(rows["stratum"], rows["arm"].astype(object).fillna("holdout"))
    assert len(counts) == 8  # a missing region is a stratum
    assert any("(missing)" in name for name in counts.index)
    n = counts.sum(axis=1)
    inside = n - counts["holdout"]
    assert (counts["holdout"] - 0.05 * n).abs().max() < 1
    assert (counts["control"] - 0.5 * inside).abs().max() < 1
    for arm in ("email", "letter"):
        assert (counts[arm] - ARMS[arm] * inside).abs().max() < 2
    total = found.counts
    assert total["holdout"] == pytest.approx(200, abs=1)
    assert total["control"] == pytest.approx(1_900, abs=1)


def test_stratified_arms_do_not_depend_on_the_order_of_rows(customers):
    design = declare(strata=["region"])
    first = design.assign(customers)
    again = design.assign(customers.sample(frac=1, random_state=2))
    assert first.fingerprint == again.fingerprint
    assert again.customers["arm"].equals(first.customers["arm"].loc[again.customers.index])
    assert declare(strata=["region"], salt="x").assign(customers).fingerprint != first.fingerprint


def test_every_customer_has_the_planned_chance_of_every_arm():
    # strata of 1, 2, 5 and 30 customers, drawn 6,000 times
    rng = np.random.default_rng(9)
    strata = np.repeat([0, 1, 2, 3], [1, 2, 5, 30])
    shares = [0.5, 0.3, 0.2]
    seen = np.zeros((len(strata), 3))
    repeats = 6_000
    for _ in range(repeats):
        arm = within_strata(rng.random(len(strata)), strata, shares, rng.random(2))
        seen[np.arange(len(strata)), arm] += 1
        for stratum, n in enumerate([1, 2, 5, 30]):
            assert abs((arm[strata == stratum] == 0).sum() - 0.5 * n) < 1
    error = np.sqrt(np.array(shares) * (1 - np.array(shares)) / repeats)
    assert (np.abs(seen / repeats - shares) < 4.5 * error).all()


def test_thresholds_part_the_unit_interval():
    assert by_threshold(
        np.array([0.0, 0.4999, 0.5, 0.7999, 0.8, 1 - 1e-16]), [0.5, 0.3, 0.2]
    ).tolist() == [*(0, 0, 1, 1, 2, 2)]


def test_the_record_says_how_to_make_the_assignment_again(customers, tmp_path):
    design = declare(strata=["tier"], holdout=0.1)
    found = design.assign(customers)
    record = json.loads(json.dumps(found.record()))
    again = cs.CampaignDesign(
        **{k: record[k] for k in ("arms", "control", "strata", "holdout", "salt", "holdout_salt")}
    )
    assert again.assign(customers, method=record["method"]).fingerprint == record["fingerprint"]
    found.save(tmp_path)
    stored = pd.read_csv(tmp_path / "assignment.csv", index_col="customer_id")
    assert stored["arm"].value_counts().to_dict() == {
        arm: n for arm, n in record["customers"].items() if arm != "holdout"
    }
    assert json.loads((tmp_path / "plan.json").read_text()) == record
    with pytest.raises(ParameterError, match="there is no folder 'nowhere'"):
        found.save(tmp_path / "nowhere")


def test_the_test_of_a_design_has_its_control_and_allocation(customers):
    design = declare(arms={"email": 0.3, "none": 0.7}, control="none", holdout=0.1)
    assert list(design.arms) == ["none", "email"]
    assigned = design.assign(customers).to_frame()
    outcome = assigned.assign(spend=np.arange(len(assigned), dtype=float))
    segments = customers["tier"].astype("category")
    impact = design.test({"spend": cs.Mean("spend")}, segments=segments).analyze(outcome)
    assert impact.srm.status == "ok"
    assert impact.srm.expected.index.tolist() == ["none", "email"]
    account = impact.account.loc["spend"]
    assert account["no_arm"] == assigned["holdout"].sum()
    assert impact.to_frame()["segment"].tolist() == ["(all)", "basic", "gold"]


def test_ids_alone_are_enough_without_strata():
    design = declare()
    frame = design.assign(pd.DataFrame({"customer_id": [3, 1, 2]}))
    assert frame.customers.index.tolist() == [3, 1, 2]
    assert design.assign([3, 1, 2]).fingerprint == frame.fingerprint
    assert (
        design.assign(pd.Series(["A", "B", "C"], index=[1, 2, 3])).fingerprint == frame.fingerprint
    )


def test_customers_may_come_from_another_engine(customers):
    pl = pytest.importorskip("polars")
    design = declare(strata=["region", "tier"], holdout=0.1)
    there = pl.from_pandas(customers.reset_index())
    assert design.assign(there).fingerprint == design.assign(customers).fingerprint
    relation = duckdb.from_df(customers.reset_index())
    assert design.assign(relation).fingerprint == design.assign(customers).fingerprint


def test_the_display_and_words_of_an_assignment(customers):
    found = declare(strata=["tier"], holdout=0.1).assign(customers)
    assert "within 2 strata, seeded by salt 'spring'" in found.summary()
    assert "1,800" in repr(found)
    assert "holdout_salt" in found.notes[0]
    hashed = declare(strata=["tier"]).assign(customers, method="hash")
    assert "on average only" in hashed.notes[0]
    small = declare(strata=["age"]).assign(customers.round({"age": 2}).head(500))
    assert "fewer customers than there are arms" in small.notes[0]


def test_balance_is_that_of_chance_and_finds_what_is_not(customers):
    design = declare(strata=["region"])
    found = design.balance(design.assign(customers), customers)
    table = found.to_frame()
    assert found.overall["p_value"].min() > 1e-3
    assert "as alike as chance makes them" in found.summary()
    row = table[(table["column"] == "age") & (table["arm"] == "email")].iloc[0]
    arm = design.assign(customers).customers["arm"]
    age = {name: customers["age"][arm == name] for name in ("control", "email")}
    assert row["treatment"] == pytest.approx(age["email"].mean())
    pooled = np.sqrt((age["control"].var() + age["email"].var()) / 2)
    assert row["std_diff"] == pytest.approx((age["email"].mean() - age["control"].mean()) / pooled)
    p = stats.ttest_ind(age["email"], age["control"]).pvalue
    assert row["p_value"] == pytest.approx(p, abs=2e-3)
    region = table[table["column"] == "region"]
    assert region["p_value"].isna().all()  # the strata leave nothing to chance
    levels = set(region["level"])
    assert levels == {"north", "south", "west", "(missing)"}
    older = customers.assign(age=customers["age"] + 6 * (arm == "letter"))
    broken = design.balance(design.assign(customers), older)
    assert broken.overall.set_index("arm")["p_value"]["letter"] < 1e-6
    assert "letter and control differ more than chance allows" in broken.summary()


@pytest.mark.parametrize("strata", [[], ["region"]])
def test_the_test_of_balance_keeps_its_level(strata):
    rng = np.random.default_rng(10)
    region = rng.choice(list("abc"), 300)
    rows = pd.DataFrame(
        {"spend": rng.lognormal(0, 1, 300) + 5 * (region == "a"), "vip": rng.random(300) < 0.3},
        index=pd.RangeIndex(300, name="customer_id"),
    ).assign(region=region)
    p = []
    for i in range(200):
        design = cs.CampaignDesign(arms={"none": 0.5, "email": 0.5}, salt=f"s{i}", strata=strata)
        p.append(design.balance(design.assign(rows), rows).overall["p_value"][0])
    assert np.mean(np.array(p) < 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_the_variances_of_balance_are_those_of_all_possible_draws():
    rng = np.random.default_rng(11)
    numbers = rng.lognormal(0, 1, (9, 2))
    strata, sizes = np.repeat([0, 1], [4, 5]), (2, 3)
    pairs = product(combinations(range(4), sizes[0]), combinations(range(4, 9), sizes[1]))
    draws = [np.isin(np.arange(9), [*first, *second]) for first, second in pairs]
    weights = np.array([4 / 4, 6 / 5])  # treated times untreated over all
    differences = [
        sum(
            weights[s] * (numbers[t & (strata == s)].mean(0) - numbers[~t & (strata == s)].mean(0))
            for s in (0, 1)
        )
        for t in draws
    ]
    covariance = np.cov(np.array(differences), rowvar=False, ddof=0)
    z, correlation = _drawn(numbers, draws[3], strata)
    np.testing.assert_allclose(z, differences[3] / np.sqrt(np.diag(covariance)))
    error = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(correlation, covariance / np.outer(error, error))


def test_balance_needs_the_assigned_customers(customers):
    design = declare()
    found = design.assign(customers)
    with pytest.raises(DataError, match="1 assigned customers are not in the table, such as 'C0'"):
        design.balance(found, customers.iloc[1:])
    with pytest.raises(ColumnError, match="no column 'agee'"):
        design.balance(found, customers, columns=["agee"])
    with pytest.raises(ParameterError, match="assignment is a DataFrame"):
        design.balance(found.to_frame(), customers)
    with pytest.raises(DataError, match="no column to compare"):
        design.balance(found, customers[[]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {"control": 1.0}}, "at least two arms"),
        ({"arms": {"a": 0.5, "b": 0.6}}, "add up to 1.1"),
        ({"arms": {"a": 0.5, "holdout": 0.5}}, "give its share as holdout="),
        ({"control": "contrl"}, "Did you mean 'control'"),
        ({"holdout": 1}, "holdout is 1"),
        ({"salt": ""}, "salt is ''"),
    ],
)
def test_a_wrong_design_is_refused(changes, message):
    with pytest.raises(ParameterError, match=message):
        declare(**changes)


@pytest.mark.parametrize(
    ("customers", "options", "message"),
    [
        ([1, 1, 2], {}, "1 repeated and 0 missing"),
        ([1, None], {}, "1 missing"),
        ([], {}, "no customers"),
        ("abc", {}, "customers is a str"),
        (pd.DataFrame({"id": [1]}), {}, "no column 'customer_id'"),
        ([1, 2], {"strata": ["region"]}, "no column 'region'"),
    ],
)
def test_customers_that_cannot_be_assigned_are_refused(customers, options, message):
    with pytest.raises((DataError, ColumnError), match=message):
        declare(**options).assign(customers)


def test_an_unknown_method_is_refused():
    with pytest.raises(ParameterError, match="method is 'random'"):
        declare().assign([1, 2], method="random")


def test_sizes_of_a_design_use_its_shares_and_leave_out_the_holdout():
    design = declare(holdout=0.2)
    free = cs.campaigns.sample_size(0.02, baseline=0.1, allocation=ARMS)
    assert design.sample_size(0.02, baseline=0.1).n == free.n
    least = design.minimum_detectable_effect(free.n / 0.8, baseline=0.1).to_frame()
    assert least["effect"].max() == pytest.approx(0.02, rel=1e-3)
    found = design.power(free.n / 0.8, 0.02, baseline=0.1).to_frame()
    assert found["power"].min() == pytest.approx(0.8, abs=1e-3)
    assert design.duration(free.n, free.n / 8).days == 10


def test_duration_reads_returning_customers_and_says_when_they_do_not_suffice():
    reached = pd.Series([400, 700, 850, 930, 980])
    found = cs.campaigns.duration(800, reached, follow_up=7)
    assert (found.enrolment, found.days) == (3, 10)
    assert cs.campaigns.duration(980, reached).enrolment == 5
    short = cs.campaigns.duration(981, reached)
    assert short.days is None
    assert "do not come in 5 days: 980 do" in short.summary()
    assert cs.campaigns.duration(7_000, 1_000).notes == ()
    assert "14 days of enrolment are whole weeks" in cs.campaigns.duration(8_000, 1_000).notes[0]
    with pytest.raises(DataError, match="never fall"):
        cs.campaigns.duration(10, pd.Series([5, 4]))
    with pytest.raises(ParameterError, match="share is 0"):
        cs.campaigns.duration(10, 5, share=0)


def test_customers_by_day_counts_each_once_in_any_engine():
    pl = pytest.importorskip("polars")
    shop = cs.datasets.make_shop(200)
    points = shop.touchpoints[["customer_id", "timestamp"]]
    first = points.groupby("customer_id")["timestamp"].min().dt.normalize()
    expected = first.value_counts().sort_index().cumsum()
    roles = {"customer_id": "customer_id", "timestamp": "timestamp"}
    found = cs.campaigns.customers_by_day(points, **roles)
    assert found.index.freq is None or found.index.is_monotonic_increasing
    assert found.loc[expected.index].tolist() == expected.tolist()
    assert found.index[-1] == points["timestamp"].max().normalize()
    assert cs.campaigns.customers_by_day(pl.from_pandas(points), **roles).equals(found)
    with pytest.raises(DataError, match="has a customer and a time"):
        cs.campaigns.customers_by_day(points.head(0), **roles)
