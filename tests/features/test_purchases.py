"""Purchase features against a count by hand, line by line, and against published numbers."""

import datetime as dt
import itertools
import math
import statistics
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import custseg as cs
from custseg import errors
from custseg.features.dictionary import describe_columns
from custseg.features.purchases import purchase_features
from custseg.features.transactions import rfm

ROLES = {
    "customer_id": "who",
    "timestamp": "when",
    "order_id": "order",
    "amount": "paid",
    "quantity": "pieces",
    "category": "range",
    "channel": "via",
    "discount": "off",
}
START = pd.Timestamp("2023-03-01")


def sales(n_orders: int = 150, seed: int = 0, n_customers: int = 25) -> pd.DataFrame:
    """Return order lines; an order number may belong to two customers, lines have gaps."""
    rng = np.random.default_rng(seed)
    order = np.repeat(np.arange(n_orders), rng.integers(1, 4, n_orders))
    n = len(order)
    minutes = rng.integers(0, 300 * 24 * 60, n_orders)[order] + rng.integers(0, 3, n)
    who = rng.integers(1, n_customers + 1, n_orders)[order]
    return pd.DataFrame(
        {
            "who": np.where(rng.random(n) < 0.02, 1, who),
            "when": START + pd.to_timedelta(minutes, unit="min"),
            "order": order,
            "paid": rng.gamma(2, 20, n).round(2),
            "pieces": rng.integers(1, 6, n),
            "range": rng.choice(["Garden", "Books", "Kids", None], n, p=[0.5, 0.3, 0.15, 0.05]),
            "via": rng.choice(["web", "store", None], n_orders, p=[0.6, 0.35, 0.05])[order],
            "off": rng.choice([0.0, 0.0, 0.1, 0.25, np.nan], n),
        }
    )


def share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def one_customer(lines: list, end: dt.date, windows: list[int]) -> dict[str, float]:
    """Count one customer's features by their definitions, with the standard library only."""
    orders: dict[object, list] = {}
    for line in lines:
        orders.setdefault(line.order, []).append(line)
    placed = {order: min(line.when for line in own) for order, own in orders.items()}
    values = {order: sum(line.paid for line in own) for order, own in orders.items()}
    days = sorted({time.date() for time in placed.values()})
    gaps = [(later - earlier).days for earlier, later in itertools.pairwise(days)]
    tenure, n = (end - days[0]).days, len(orders)
    row: dict[str, float] = {
        "recency": (end - days[-1]).days,
        "frequency": n,
        "monetary": sum(line.paid for line in lines),
        "tenure": tenure,
        "purchase_days": len(days),
        "gap_mean": statistics.fmean(gaps) if gaps else math.nan,
        "gap_sd": statistics.stdev(gaps) if len(gaps) > 1 else math.nan,
        "days_to_second": gaps[0] if gaps else math.nan,
    }
    row["regularity"] = 1 / (1 + row["gap_sd"] / row["gap_mean"]) if gaps else math.nan
    # Every later purchase day is one of the days 1 to tenure after the first; each day stands at
    # the middle of its part of the line from -1 to 1.
    places = [(2 * (day - days[0]).days - 1 - tenure) / tenure for day in days[1:]]
    row["trend"] = statistics.fmean(places) if places else math.nan
    row["weekend_share"] = sum(time.isoweekday() > 5 for time in placed.values()) / n
    for i, part in enumerate(["night", "morning", "afternoon", "evening"]):
        row[f"{part}_share"] = sum(time.hour // 6 == i for time in placed.values()) / n
    quarters = Counter((time.month + 2) // 3 for time in placed.values())
    for quarter in (1, 2, 3, 4):
        row[f"quarter_{quarter}_share"] = quarters[quarter] / n
    row["top_quarter_share"] = max(quarters.values()) / n
    row["basket_lines_mean"] = len(lines) / n
    row["basket_pieces_mean"] = sum(line.pieces for line in lines) / n
    row["basket_value_mean"] = sum(values.values()) / n
    row["basket_value_sd"] = statistics.stdev(values.values()) if n > 1 else math.nan
    ranges = Counter(line.range for line in lines if isinstance(line.range, str))
    total = sum(ranges.values())
    row["category_count"] = len(ranges)
    row["category_entropy"] = (
        sum(-c / total * math.log(c / total) for c in ranges.values()) if total else math.nan
    )
    row["category_top_share"] = max(ranges.values()) / total if total else math.nan
    off = [line.off for line in lines if line.off == line.off]
    row["discount_share"] = share(sum(x > 0 for x in off), len(off))
    row["discount_mean"] = share(sum(off), len(off))
    used = Counter(
        via for own in orders.values() for via in {line.via for line in own} if via in VIA
    )
    row["channel_count"] = len(used)
    for via in VIA:
        row[f"channel_share_{via}"] = share(used[via], used.total())
    row["omnichannel_index"] = (
        1 - sum((c / used.total()) ** 2 for c in used.values()) if used else math.nan
    )
    for w in windows:
        recent = [o for o, time in placed.items() if (end - time.date()).days < w]
        row[f"orders_{w}d"] = len(recent)
        row[f"amount_{w}d"] = math.fsum(values[order] for order in recent)
    return row


VIA = ("store", "web")


def by_hand(lines: pd.DataFrame, as_of: str, windows: list[int]) -> pd.DataFrame:
    end = dt.date.fromisoformat(as_of)
    lines = lines.assign(order=lines["order"] if "order" in lines else range(len(lines)))
    known = [line for line in lines.itertuples() if line.when.date() <= end]
    rows = {
        who: one_customer([line for line in known if line.who == who], end, windows)
        for who in sorted({line.who for line in known})
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("customer_id")


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        left, right, check_exact=False, rtol=1e-9, atol=1e-9, check_like=True
    )


@pytest.mark.parametrize("as_of", ["2023-05-20", "2023-12-31"])
@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_a_count_by_hand(seed: int, as_of: str) -> None:
    lines = sales(seed=seed)
    table = purchase_features(cs.Transactions(lines, **ROLES), as_of, windows=[7, 60])
    same(table, by_hand(lines, as_of, [7, 60]).astype(table.dtypes))


def test_without_an_order_every_line_is_one() -> None:
    lines = sales().drop(columns="order")
    roles = {role: column for role, column in ROLES.items() if role != "order_id"}
    table = purchase_features(cs.Transactions(lines, **roles), "2023-10-01", windows=[30])
    expected = by_hand(lines, "2023-10-01", [30]).drop(columns="basket_lines_mean")
    same(table, expected.astype(table.dtypes))
    assert table.attrs["notes"][0] == "no order_id: basket_lines_mean is left out."


@given(day=st.integers(5, 299), later=st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None)
def test_nothing_later_than_as_of_leaks_in(day: int, later: int) -> None:
    as_of = (START + pd.Timedelta(days=day)).date()
    lines = sales(60)
    lines = lines[(lines["when"].dt.date <= as_of) | (lines.index == lines["when"].idxmin())]
    as_of = max(as_of, lines["when"].max().date())
    added = sales(60, seed=later).assign(
        via="kiosk", range="Novelties", who=lambda frame: frame["who"] + 10
    )
    added = added[added["when"].dt.date > as_of]
    before = purchase_features(cs.Transactions(lines, **ROLES), as_of)
    after = purchase_features(cs.Transactions(pd.concat([lines, added]), **ROLES), as_of)
    same(before, after)
    assert before.attrs == after.attrs


def test_row_order_changes_nothing() -> None:
    lines = sales()
    shuffled = lines.sample(frac=1, random_state=3)
    same(
        purchase_features(cs.Transactions(lines, **ROLES)),
        purchase_features(cs.Transactions(shuffled, **ROLES)),
    )


def test_every_engine_gives_the_same_table(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    lines = sales()
    path = tmp_path / "lines.parquet"
    duckdb.from_df(lines).write_parquet(str(path))
    expected = purchase_features(cs.Transactions(lines, **ROLES), "2023-10-01")
    for data in (polars.from_pandas(lines), path, duckdb.from_df(lines)):
        table = purchase_features(cs.Transactions(data, **ROLES), "2023-10-01")
        same(table, expected)
        assert table.attrs == expected.attrs


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
def test_an_ibis_table_gives_the_same_table() -> None:
    ibis = pytest.importorskip("ibis")
    lines = sales()
    data = ibis.duckdb.connect().create_table("lines", lines)
    same(
        purchase_features(cs.Transactions(data, **ROLES), "2023-10-01"),
        purchase_features(cs.Transactions(lines, **ROLES), "2023-10-01"),
    )


def test_the_first_columns_are_those_of_rfm() -> None:
    tx = cs.Transactions(sales(), **ROLES)
    table, expected = purchase_features(tx, "2023-10-01"), rfm(tx, "2023-10-01")
    assert table.columns[:4].tolist() == expected.columns.tolist()
    pd.testing.assert_frame_equal(table[expected.columns], expected)


def test_who_bought_once_has_no_rhythm_rather_than_zero() -> None:
    lines = sales().drop_duplicates("who")
    table = purchase_features(cs.Transactions(lines, **ROLES))
    undefined = ["gap_mean", "gap_sd", "regularity", "days_to_second", "trend", "basket_value_sd"]
    assert table[undefined].isna().all(axis=None)
    assert table.drop(columns=[*undefined, "category_entropy"]).notna().any().all()


def clockwork(days: list[int], as_of_day: int) -> pd.Series:
    lines = pd.DataFrame({"who": 1, "when": [START + pd.Timedelta(days=d) for d in days]})
    tx = cs.Transactions(lines, customer_id="who", timestamp="when")
    return purchase_features(tx, START + pd.Timedelta(days=as_of_day)).loc[1]


def test_regularity_is_one_for_clockwork_and_a_half_for_chance() -> None:
    assert clockwork([0, 30, 60, 90], 100)["regularity"] == 1
    rng = np.random.default_rng(5)
    days = np.cumsum(rng.exponential(100, 2000)).astype(int).tolist()
    assert clockwork(days, days[-1])["regularity"] == pytest.approx(0.5, abs=0.02)


def test_trend_is_zero_at_a_steady_pace_and_turns_with_time() -> None:
    assert clockwork([0, *range(1, 101)], 100)["trend"] == 0
    assert clockwork([0, 1], 100)["trend"] == pytest.approx(-0.99)
    assert clockwork([0, 100], 100)["trend"] == pytest.approx(0.99)
    early, late = clockwork([0, 3, 8, 20], 100), clockwork([0, 81, 93, 98], 100)
    assert early["trend"] == pytest.approx(-late["trend"])


def test_trend_has_the_spread_of_the_laplace_test() -> None:
    """With n later days at random, sqrt(3 n) x trend is standard normal (Cox & Lewis 1966)."""
    rng = np.random.default_rng(2)
    customers, later, tenure = 2000, 12, 5000
    days = np.array([rng.choice(tenure, later, replace=False) + 1 for _ in range(customers)])
    days = np.column_stack([np.zeros(customers, int), days])
    lines = pd.DataFrame(
        {
            "who": np.repeat(np.arange(customers), later + 1),
            "when": START.normalize() + pd.to_timedelta(days.ravel(), unit="D"),
        }
    )
    tx = cs.Transactions(lines, customer_id="who", timestamp="when")
    trend = purchase_features(tx, START + pd.Timedelta(days=tenure))["trend"]
    z = np.sqrt(3 * later) * trend
    assert z.mean() == pytest.approx(0, abs=4 / np.sqrt(customers))
    assert z.std() == pytest.approx(1, abs=0.07)


def test_two_orders_on_one_day_are_one_purchase_day() -> None:
    row = clockwork([0, 0, 10, 10, 10, 20], 20)
    assert (row["frequency"], row["purchase_days"]) == (6, 3)
    assert (row["gap_mean"], row["gap_sd"], row["days_to_second"]) == (10, 0, 10)


def test_what_the_roles_do_not_give_is_left_out_and_said() -> None:
    tx = cs.Transactions(sales(), customer_id="who", timestamp="when")
    table = purchase_features(tx)
    left_out = (
        "monetary",
        "amount_",
        "basket",
        "category",
        "discount",
        "channel",
        "omni",
        "return",
    )
    assert not [name for name in table if name.startswith(left_out)]
    said = " ".join(table.attrs["notes"])
    for role in ("order_id", "amount", "quantity", "category", "discount", "channel"):
        assert f"no {role}: " in said
    assert "return_rate is left out" in said


def test_a_column_that_is_no_role_is_not_read_as_one() -> None:
    lines = sales().rename(columns={"range": "category", "via": "channel", "off": "discount"})
    table = purchase_features(cs.Transactions(lines, customer_id="who", timestamp="when"))
    assert not [name for name in table if name.startswith(("category", "channel", "discount"))]


def test_quantity_and_unit_price_make_an_amount() -> None:
    lines = sales().assign(price=2.5)
    roles = {role: column for role, column in ROLES.items() if role != "amount"}
    table = purchase_features(cs.Transactions(lines, **roles, unit_price="price"))
    expected = lines.groupby("who")["pieces"].sum() * 2.5
    assert table["monetary"].tolist() == pytest.approx(expected.tolist())


def with_returns(lines: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return lines of different products, and what of them comes back, in full, ten days later."""
    lines = lines.assign(product=[f"item {i}" for i in range(len(lines))])
    back = lines[lines.index % 7 == 0].copy()
    back["when"] += pd.Timedelta(days=10)
    back[["paid", "pieces"]] *= -1
    return lines, back.assign(via="post", off=0.9)


@pytest.mark.parametrize("as_of", ["2023-06-01", "2023-12-31"])
def test_a_netted_return_is_money_back_on_its_own_date_and_no_purchase(as_of: str) -> None:
    lines, back = with_returns(sales())
    roles = ROLES | {"product": "product"}
    tx = cs.Transactions(pd.concat([lines, back]), **roles).clean(returns="net")
    assert tx.account.rows_set_aside.sum() == 0
    table = purchase_features(tx, as_of, windows=[60])
    bought = purchase_features(cs.Transactions(lines, **roles), as_of, windows=[60])
    back = back[back["when"].dt.date <= dt.date.fromisoformat(as_of)]
    recent = back[back["when"] > pd.Timestamp(as_of) - pd.Timedelta(days=59)]

    def returned(rows: pd.DataFrame) -> pd.Series:
        return rows.groupby("who")["paid"].sum().reindex(table.index, fill_value=0.0)

    assert returned(back).min() < 0
    expected = bought.assign(
        monetary=bought["monetary"] + returned(back),
        amount_60d=bought["amount_60d"] + returned(recent),
    )
    same(table.drop(columns="return_rate"), expected)
    same(
        table[["return_rate"]],
        (-returned(back) / bought["monetary"]).rename("return_rate").to_frame(),
    )
    pd.testing.assert_frame_equal(table[rfm(tx, as_of).columns], rfm(tx, as_of))
    assert not [note for note in table.attrs["notes"] if "return" in note]


@pytest.mark.parametrize("times", ["date", "midnight"])
def test_times_without_a_clock_have_no_parts_of_the_day(times: str) -> None:
    lines = sales()
    when = lines["when"].dt.normalize()
    lines = duckdb.from_df(lines.assign(when=when))
    if times == "date":
        lines = lines.project('* REPLACE (CAST("when" AS DATE) AS "when")')
    table = purchase_features(cs.Transactions(lines, **ROLES))
    assert not [name for name in table if name.startswith(("night", "morning", "evening"))]
    assert "the times carry no time of day" in " ".join(table.attrs["notes"])
    assert "weekend_share" in table


def test_too_many_channels_are_left_out() -> None:
    lines = sales().assign(via=lambda frame: "shop " + (frame["order"] % 21).astype(str))
    table = purchase_features(cs.Transactions(lines, **ROLES))
    assert not [name for name in table if "channel" in name]
    assert "channel has no value, or more than 20" in " ".join(table.attrs["notes"])


def test_every_column_has_its_entry() -> None:
    table = purchase_features(cs.Transactions(sales(), **ROLES), "2023-12-31")
    entries = describe_columns(table).set_index("column")
    assert entries.index.tolist() == table.columns.tolist()
    assert entries.notna().all(axis=None)
    assert set(entries["source"]) == {"transactions"}
    shares = table[entries.index[entries["kind"] == "share"]]
    assert ((shares >= 0) & (shares <= 1) | shares.isna()).all(axis=None)
    counts = table[entries.index[entries["kind"] == "count"]]
    assert (counts.dtypes == "int64").all()
    assert (entries.loc[["amount_30d", "basket_value_mean", "monetary"], "family"] == "value").all()


@pytest.mark.parametrize("windows", [[0], [30, 30], [1.5], ["30"], 30])
def test_bad_windows_are_refused(windows: object) -> None:
    with pytest.raises(errors.ParameterError, match="window"):
        purchase_features(cs.Transactions(sales(), **ROLES), windows=windows)


def test_no_windows_are_fine() -> None:
    table = purchase_features(cs.Transactions(sales(), **ROLES), windows=())
    assert not [name for name in table if name.endswith("d") and name.startswith("orders_")]


def test_missing_values_and_early_dates_are_refused() -> None:
    lines = sales().astype({"who": "float64"})
    with pytest.raises(errors.DataError, match="nobody bought by 2001-01-01"):
        purchase_features(cs.Transactions(lines, **ROLES), "2001-01-01")
    lines.loc[3, "who"] = np.nan
    with pytest.raises(errors.DataError, match=r"1 rows without customer_id.*clean"):
        purchase_features(cs.Transactions(lines, **ROLES))


def test_the_shop_shows_what_was_planted(shop: "cs.datasets.Shop") -> None:
    roles = ("customer_id", "timestamp", "order_id", "amount", "category", "channel", "discount")
    tx = cs.Transactions(shop.transactions, **{role: role for role in roles}).clean()
    table = purchase_features(tx)
    kept = shop.transactions[shop.transactions["amount"] > 0]
    assert table["frequency"].sum() == kept.groupby("customer_id")["order_id"].nunique().sum()
    assert table["monetary"].sum() == pytest.approx(kept["amount"].sum())
    shares = table[[name for name in table if name.startswith("channel_share_")]]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1)


@pytest.mark.realdata("cdnow_sample", "cdnow_sample_summary")
def test_cdnow_gives_the_published_summary() -> None:
    """Fader, Hardie & Lee (2005): x, t_x and T in weeks at the end of week 39."""
    lines = cs.datasets.load_dataset("cdnow_sample")
    tx = cs.Transactions(lines, customer_id="sample_id", timestamp="date", amount="dollar_value")
    table = purchase_features(tx, "1997-09-30")
    repeats = table["purchase_days"] - 1
    last, age = (table["tenure"] - table["recency"]) / 7, table["tenure"] / 7
    assert len(table) == 2_357
    first = table.index[0]
    assert (repeats[first], round(last[first], 2), round(age[first], 2)) == (2, 30.43, 38.86)
    published = cs.datasets.load_dataset("cdnow_sample_summary").set_index("ID")
    assert repeats.tolist() == published["frequency"].tolist()
    assert last.tolist() == pytest.approx(published["recency"].tolist(), abs=0.0051)
    assert age.tolist() == pytest.approx(published["T"].tolist(), abs=0.0051)
    same(
        rfm(tx, "1997-09-30")[["recency", "tenure"]].astype(float),
        table[["recency", "tenure"]].astype(float),
    )
