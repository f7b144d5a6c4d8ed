"""Bands, regions, location quotients and accounts against counts by hand and statsmodels."""

import datetime as dt

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

import custseg as cs
from custseg import errors
from custseg.features.accounts import roll_up_accounts
from custseg.features.attributes import age_bands, band, income_bands, roll_up_regions
from custseg.features.dictionary import describe_columns
from custseg.features.location import location_quotients, quotient_interval


def people(**columns) -> cs.Customers:
    length = len(next(iter(columns.values())))
    return cs.Customers(pd.DataFrame({"id": range(1, length + 1), **columns}), customer_id="id")


# --- bands ---


def test_age_bands_begin_at_their_cut_points():
    ages = [0, 17, 18, 24, 25, 64, 65, 120, None]
    found = age_bands(people(age=ages), "age")
    want = ["under 18", "under 18", "18-24", "18-24", "25-34", "55-64"]
    assert found["age_band"].tolist()[:8] == [*want, "65 and over", "65 and over"]
    assert pd.isna(found["age_band"].iloc[8])
    assert found["age_band"].cat.ordered
    assert list(found) == ["age_band"]
    row = describe_columns(found).iloc[0]
    assert (row["family"], row["kind"]) == ("demographic", "ordinal")


@given(st.lists(st.floats(0, 120), min_size=1, max_size=20))
def test_bands_equal_a_comparison_by_hand(ages):
    points = [18, 40, 65]
    found = band(pd.Series(ages), points)
    for age, code in zip(ages, found.cat.codes, strict=True):
        assert code == sum(age >= point for point in points)


@given(
    st.dates(dt.date(1905, 1, 1), dt.date(2020, 12, 31)),
    st.dates(dt.date(2021, 1, 1), dt.date(2024, 12, 31)),
)
def test_ages_are_completed_years(born, day):
    found = age_bands(people(born=pd.to_datetime([born])), birth="born", as_of=day)
    age = found["age"].iloc[0]
    birthdays = sum(
        (year, born.month, born.day) <= (day.year, day.month, day.day)
        for year in range(born.year + 1, day.year + 1)
    )
    assert age == birthdays


def test_ages_from_years_of_birth():
    found = age_bands(people(born=[1990, 2000]), birth="born", as_of="2024-06-30")
    assert found["age"].tolist() == [34, 24]
    assert found["age"].dtype == "int64"
    described = describe_columns(found).set_index("column")
    assert described.loc["age", "definition"] == "2024 minus born"
    assert described.loc["age", "as_of"] == "2024-06-30"
    found = age_bands(people(born=[1990, None]), birth="born", as_of="2024-06-30")
    assert found["age"].isna().tolist() == [False, True]


def test_income_bands_are_those_of_the_shop(shop):
    lowest = {"under 25k": 20_000, "25k-40k": 25_000, "40k-60k": 59_999.99, "60k-90k": 60_000}
    income = shop.customers["income_band"].astype(str).map(lowest).fillna(90_000)
    found = income_bands(
        cs.Customers(shop.customers.assign(income=income), customer_id="customer_id"), "income"
    )
    own = shop.customers.set_index("customer_id")["income_band"].astype(str)
    want = own.replace({"over 90k": "90k and over"})
    assert (found["income_band"].astype(str) == want).all()


def test_named_bands():
    found = income_bands(
        people(income=[0, 30_000, 2_000_000]),
        "income",
        cut_points={"modest": 0, "middle": 25_000, "well off": 1_000_000},
    )
    assert found["income_band"].tolist() == ["modest", "middle", "well off"]
    assert found["income_band"].cat.categories.tolist() == ["modest", "middle", "well off"]
    with pytest.raises(errors.DataError, match="1 customers lie below 10, where the first band"):
        band(pd.Series([5, 20]), {"low": 10, "high": 30})


def test_names_of_bands():
    assert band(pd.Series([0.0]), [1_250, 15_500, 1_500_000]).cat.categories.tolist() == [
        *("under 1250", "1250-15.5k", "15.5k-1.5m", "1.5m and over")
    ]
    assert band(pd.Series([0]), [18, 19], whole=True).cat.categories.tolist() == [
        *("under 18", "18", "19 and over")
    ]


@pytest.mark.parametrize("engine", ["path", "relation", "polars"])
def test_engines_agree(shop, tmp_path, engine):
    path = tmp_path / "customers.parquet"
    duckdb.from_df(shop.customers.astype({"income_band": "str"})).write_parquet(str(path))
    if engine == "polars":
        data = pytest.importorskip("polars").read_parquet(path)
    else:
        data = path if engine == "path" else duckdb.read_parquet(str(path))
    found = age_bands(cs.Customers(data, customer_id="customer_id"), "age")
    want = age_bands(cs.Customers(shop.customers, customer_id="customer_id"), "age")
    pd.testing.assert_frame_equal(found, want)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: age_bands(people(age=[30, 190]), "age"), errors.DataError, "age is 190 in one"),
        (lambda: age_bands(people(age=["30"]), "age"), errors.DataError, "holds String"),
        (lambda: age_bands(people(age=[30]), "aeg"), errors.ColumnError, "Did you mean 'age'"),
        (lambda: age_bands(people(age=[30])), errors.ParameterError, "name either age"),
        (
            lambda: age_bands(people(born=[1990]), birth="born"),
            errors.ParameterError,
            "give as_of",
        ),
        (
            lambda: age_bands(people(born=[2030]), birth="born", as_of="2024-01-01"),
            errors.DataError,
            "age is -6 in one of 1 rows outside 0 to 120",
        ),
        (
            lambda: age_bands(people(born=["May 1990"]), birth="born", as_of="2024-01-01"),
            errors.DataError,
            "neither years nor dates",
        ),
        (
            lambda: age_bands(people(age=[30]), "age", cut_points=[40, 30]),
            errors.ParameterError,
            "cut_points are 40, 30, but must be numbers that increase",
        ),
        (
            lambda: income_bands(people(income=[-1.0]), "income"),
            errors.DataError,
            "income is -1 in one of 1 rows outside 0 and more",
        ),
        (
            lambda: age_bands(
                cs.Customers(pd.DataFrame({"id": [1, 1], "age": [3, 4]}), customer_id="id"), "age"
            ),
            errors.DataError,
            "1 rows that repeat a customer",
        ),
    ],
)
def test_bad_bands_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


# --- regions ---

TOWNS = ["Kiel", "Kiel", "Bonn", "bonn", None, "Ulm"]
MAPPING = {"Kiel": "North", "Bonn": "West", "Jena": "East"}


def test_regions_roll_up_and_report_what_did_not_map():
    found = roll_up_regions(people(town=TOWNS), "town", MAPPING, name="area")
    got = found.regions["area"]
    assert got.tolist()[:3] == ["North", "North", "West"]
    assert got.isna().tolist() == [False, False, False, True, True, True]
    want = pd.DataFrame(
        {
            "region": ["Kiel", "Bonn", "Ulm", "bonn"],
            "rolled_up": ["North", "West", None, None],
            "customers": [2, 1, 1, 1],
            "share": [2 / 6, 1 / 6, 1 / 6, 1 / 6],
        }
    )
    pd.testing.assert_frame_equal(found.to_frame(), want, check_dtype=False)
    assert found.notes == (
        "1 customers in 'Ulm' did not map.",
        "1 customers in 'bonn' did not map. Did you mean 'Bonn'?",
        "1 customers have no region.",
        "1 regions of the mapping have no customer, such as 'Jena'.",
    )
    assert found.summary() == ("3 of 6 customers in 2 regions, rolled up from 2; 3 did not map.")
    assert describe_columns(found.regions)["family"].tolist() == ["geographic"]
    assert len(found.plot().patches) == 3


def test_a_mapping_that_fits_nothing_is_refused():
    with pytest.raises(errors.DataError, match="no region maps: the data have 'Kiel'"):
        roll_up_regions(people(town=TOWNS), "town", {"KIEL": "North"})
    with pytest.raises(errors.ColumnError, match="Did you mean 'town'"):
        roll_up_regions(people(town=TOWNS), "twon", MAPPING)
    with pytest.raises(errors.ParameterError, match="mapping must give"):
        roll_up_regions(people(town=TOWNS), "town", {})


# --- location quotients ---


def quotient_by_statsmodels(n, n_region, successes, total, level):
    """Turn the score interval of region over rest into one of region over everywhere."""
    ratio = confint_proportions_2indep(
        *(n, n_region, successes - n, total - n_region),
        method="score", compare="ratio", alpha=1 - level, correction=False,
    )  # fmt: skip
    part = n_region / total
    return [r / (part * r + 1 - part) for r in ratio]


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(
    "counts", [(30, 40, 50, 100), (3, 12, 60, 400), (90, 100, 300, 1000), (11, 200, 20, 5000)]
)
def test_the_interval_is_that_of_statsmodels(counts, level):
    n, n_region, successes, total = counts
    found = quotient_interval(
        *(np.array([float(x)]) for x in (n, n_region, successes)), total=total, level=level
    )
    want = quotient_by_statsmodels(*counts, level)
    np.testing.assert_allclose([found[0][0], found[1][0]], want, rtol=1e-6)


def test_the_interval_covers():
    rng = np.random.default_rng(3)
    n_region, n_rest, p_region, p_rest = 40, 360, 0.15, 0.1
    part = n_region / (n_region + n_rest)
    truth = p_region / (part * p_region + (1 - part) * p_rest)
    n = rng.binomial(n_region, p_region, 5_000).astype(float)
    successes = n + rng.binomial(n_rest, p_rest, 5_000)
    low, high = quotient_interval(
        n, np.full(5_000, n_region * 1.0), successes, total=n_region + n_rest, level=0.95
    )
    assert 0.94 <= ((low <= truth) & (truth <= high)).mean() <= 0.965


def test_nobody_and_everybody_have_open_intervals():
    low, high = quotient_interval(
        np.array([0.0, 20.0, 20.0]),
        np.array([20.0, 20.0, 20.0]),
        np.array([30.0, 20.0, 100.0]),
        total=100,
        level=0.95,
    )
    assert low[0] == 0
    assert 0 < high[0] < 1
    assert high[1] == 5
    assert 1 < low[1] < 5
    assert low[2] < 1 < high[2]


def by_region() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    region = rng.choice(["Capital", "North", "Island"], 600, p=[0.5, 0.47, 0.03])
    segment = np.where(rng.random(600) < np.where(region == "North", 0.6, 0.3), "A", "B")
    index = pd.Index(range(600), name="customer_id")
    return pd.DataFrame({"region": region, "segment": segment}, index=index)


def test_quotients_are_those_of_a_count_by_hand():
    table = by_region()
    found = location_quotients(table, "region", "segment")
    for row in found.to_frame().itertuples():
        there = [r for r in table.itertuples() if r.region == row.region]
        share = sum(r.segment == row.level for r in there) / len(there)
        overall = (table["segment"] == row.level).mean()
        assert row.n_region == len(there)
        assert row.quotient == pytest.approx(share / overall)
        assert row.small == (len(there) < 30)
        assert row.ci_low < row.quotient < row.ci_high
    frame = found.to_frame().set_index(["region", "level"])
    assert frame.loc[("North", "A"), "ci_low"] > 1
    assert "fewer than 30 customers in Island" in found.notes[0]
    assert "most of all A in North" in found.summary()
    weighted = (frame["n_region"] * frame["quotient"]).groupby("level").sum() / len(table)
    np.testing.assert_allclose(weighted, 1)


def test_segments_are_matched_by_customer_and_all_are_accounted_for():
    table = by_region()
    segments = table["segment"].sample(frac=0.9, random_state=1)
    found = location_quotients(table.assign(region=table["region"].mask(table.index < 5)),
                               "region", segments)  # fmt: skip
    assert found.account.sum() == len(table)
    assert found.account["no_region"] == 5
    assert found.account["no_level"] == 600 - found.account["used"] - 5
    assert "5 have no region" in found.notes[0]
    whole = location_quotients(table, "region", table["segment"].sample(frac=1, random_state=2))
    want = location_quotients(table, "region", "segment")
    pd.testing.assert_frame_equal(whole.to_frame(), want.to_frame())


def test_row_order_changes_nothing():
    table = by_region()
    shuffled = table.sample(frac=1, random_state=4)
    pd.testing.assert_frame_equal(
        location_quotients(shuffled, "region", "segment").to_frame(),
        location_quotients(table, "region", "segment").to_frame(),
    )


def test_of_yes_and_no_only_yes_is_shown():
    table = by_region().assign(app=lambda t: t["segment"] == "A")
    found = location_quotients(table, "region", "app").to_frame()
    assert len(found) == 3
    number = location_quotients(table.astype({"app": int}), "region", "app").to_frame()
    np.testing.assert_allclose(number["quotient"], found["quotient"])


def test_quotients_can_be_drawn():
    ax = location_quotients(by_region(), "region", "segment").plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Capital", "Island", "North"]


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        (by_region().assign(region="North"), errors.DataError, "1 regions and 2 levels"),
        (by_region().rename(columns={"region": "area"}), errors.ColumnError, "no column 'region'"),
        (pd.concat([by_region(), by_region()]), errors.DataError, "600 rows repeat a customer"),
    ],
)
def test_bad_tables_are_refused(table, error, words):
    with pytest.raises(error, match=words):
        location_quotients(table, "region", "segment")


# --- accounts ---

CONTACTS = pd.DataFrame(
    {
        "company": ["Acme", "Acme", "Acme", "Bolt", "Bolt", "Crux"],
        "orders": [3, 4, 0, 1, 5, 2],
        "spend": [10.0, None, 20.0, 5.0, 1.0, None],
        "recency": [5, 9, 2, 40, 3, 8],
        "channel": ["web", "phone", "web", "web", "phone", None],
        "opted_in": [True, False, False, True, True, False],
    },
    index=pd.Index([11, 12, 13, 14, 15, 16], name="customer_id"),
)
RULES = {
    "orders": "sum",
    "spend": "mean",
    "recency": "min",
    "channel": "most_frequent",
    "opted_in": "mean",
}


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_accounts_equal_a_count_by_hand(seed):
    contacts = CONTACTS if seed is None else CONTACTS.sample(frac=1, random_state=seed)
    found = roll_up_accounts(contacts, "company", RULES)
    want = pd.DataFrame(
        {
            "n_contacts": [3, 2, 1],
            "orders": [7, 6, 2],
            "spend": [15.0, 3.0, None],
            "recency": [2, 3, 8],
            "channel": ["web", "phone", None],
            "opted_in": [1 / 3, 1.0, 0.0],
        },
        index=pd.Index(["Acme", "Bolt", "Crux"], name="customer_id"),
    )
    pd.testing.assert_frame_equal(found, want, check_dtype=False)


def test_a_sum_of_nothing_is_missing():
    found = roll_up_accounts(CONTACTS, "company", {"spend": "sum"})
    assert found["spend"].isna().tolist() == [False, False, True]


def test_the_dictionary_comes_along():
    contacts = CONTACTS.copy()
    entry = {
        "family": "behavioural",
        "kind": "count",
        "definition": "number of orders",
        "source": "transactions",
    }
    contacts.attrs = {"dictionary": {"orders": entry}, "as_of": "2024-12-31"}
    described = describe_columns(roll_up_accounts(contacts, "company", RULES)).set_index("column")
    assert described.loc["orders", "family"] == "behavioural"
    assert described.loc["orders", "kind"] == "count"
    assert described.loc["orders", "definition"] == "sum over contacts: number of orders"
    assert described.loc["opted_in", "kind"] == "share"
    assert described.loc["channel", "kind"] == "nominal"
    assert described.loc["n_contacts", "family"] == "firmographic"
    assert (described["as_of"] == "2024-12-31").all()


@pytest.mark.parametrize(
    ("contacts", "rules", "error", "words"),
    [
        (CONTACTS, {"channel": "sum"}, errors.DataError, "'channel' holds str, which has no sum"),
        (CONTACTS, {"orders": "total"}, errors.ParameterError, "rule of 'orders' is 'total'"),
        (CONTACTS, {"order": "sum"}, errors.ColumnError, "Did you mean 'orders'"),
        (CONTACTS, {}, errors.ParameterError, "rules must say"),
        (
            CONTACTS.assign(company=[None] + ["Acme"] * 5),
            RULES,
            errors.DataError,
            "1 contacts have no 'company'",
        ),
        (pd.concat([CONTACTS, CONTACTS]), RULES, errors.DataError, "6 rows repeat a contact"),
    ],
)
def test_bad_contacts_are_refused(contacts, rules, error, words):
    with pytest.raises(error, match=words):
        roll_up_accounts(contacts, "company", rules)
