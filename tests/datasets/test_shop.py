import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from custseg.datasets import Shop, _shop, load_shop, make_shop
from custseg.datasets._planted import ATTITUDES
from custseg.errors import MissingFileError, ParameterError

DATA = Path(__file__).parents[2] / "data" / "shop"
TABLES = ("customers", "transactions", "touchpoints", "survey", "campaign", "truth")
START, END = pd.Timestamp("2023-01-01"), pd.Timestamp("2025-01-01")


def test_the_same_seed_gives_the_same_shop_and_another_seed_another(same_tables):
    one, again, other = (make_shop(200, random_state=seed) for seed in (3, 3, 4))
    same_tables(one, again, TABLES)
    for name in TABLES:
        assert not getattr(one, name).equals(getattr(other, name)), name


def test_a_table_that_draws_more_changes_no_other_table(monkeypatch, same_tables):
    usual = make_shop(200, random_state=3)
    make_survey = _shop.make_survey

    def greedy(ids, traits, touchpoints, rng):
        rng.random(1_000)
        return make_survey(ids, traits, touchpoints, rng)

    monkeypatch.setattr(_shop, "make_survey", greedy)
    changed = make_shop(200, random_state=3)
    assert not changed.survey.equals(usual.survey)
    same_tables(usual, changed, [name for name in TABLES if name != "survey"])


def test_the_shipped_copy_is_the_generated_shop_to_the_bit(made, same_tables):
    loaded = load_shop()
    same_tables(made, loaded, TABLES)
    pd.testing.assert_frame_equal(made.planted_defects, loaded.planted_defects)
    assert sum(path.stat().st_size for path in DATA.glob("*.parquet")) < 4_000_000


def test_the_shipped_copy_is_read_without_pyarrow():
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from custseg.datasets import load_shop, make_shop\n"
        "shop, made = load_shop(), make_shop(5_000)\n"
        f"for name in {TABLES}:\n"
        "    assert getattr(shop, name).equals(getattr(made, name)), name\n"
        "print(shop.transactions['amount'].sum().round(2))"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) == load_shop().transactions["amount"].sum().round(2)


def test_an_installation_without_the_files_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(_shop, "__file__", str(tmp_path / "a" / "b" / "_shop.py"))
    with pytest.raises(MissingFileError, match=r"make_shop\(5_000\)"):
        load_shop()


def test_the_data_card_names_every_column(made):
    card = (DATA / "README.md").read_text(encoding="utf-8")
    for table in TABLES:
        assert f"`{table}`" in card
        missing = [name for name in getattr(made, table) if f"`{name}`" not in card]
        assert not missing, f"{table}: {missing}"


def test_repr_shows_sizes_and_no_customer(made):
    assert repr(made).splitlines()[:3] == [
        "Shop (rows x columns)",
        "  customers             5,000 x 8",
        f"  transactions    {len(made.transactions):>11,} x 11",
    ]
    html = made._repr_html_()
    assert "<th>customers</th><td>5,000</td><td>8</td>" in html
    assert "C0000001" not in html + repr(made)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_customers": 9}, "n_customers is 9"),
        ({"n_customers": 2_000_000}, "<= 1000000"),
        ({"n_customers": 99.5}, "whole number"),
        ({"random_state": -1}, "random_state is -1"),
        ({"random_state": None}, "random_state is None"),
        ({"defects": "yes"}, "defects is 'yes'"),
    ],
)
def test_parameters_out_of_bounds_are_refused(arguments, message):
    with pytest.raises(ParameterError, match=message):
        make_shop(**arguments)


@pytest.mark.parametrize("n_customers", [10, 11, 37])
@pytest.mark.parametrize("random_state", range(4))
def test_small_shops_are_whole(n_customers, random_state):
    shop = make_shop(n_customers, defects=True, random_state=random_state)
    assert len(shop.customers) == len(shop.truth) == len(shop.campaign) == n_customers
    assert shop.planted_defects["rows"].ge(1).all()


def test_shop_is_frozen(made):
    with pytest.raises(AttributeError):
        made.customers = None
    assert isinstance(made, Shop)


# --- coherence ---------------------------------------------------------------------------------


def test_ids_are_unique_sorted_and_known_everywhere(made):
    ids = made.customers["customer_id"]
    assert ids.is_unique
    assert ids.is_monotonic_increasing
    for table in TABLES[1:]:
        assert getattr(made, table)["customer_id"].isin(ids).all(), table
    for table in ("truth", "campaign"):
        assert getattr(made, table)["customer_id"].equals(ids)
    assert made.survey["customer_id"].is_unique
    assert made.transactions["line_id"].is_unique


def test_nothing_is_missing_in_clean_tables(made):
    for table in TABLES[:-1]:
        assert not getattr(made, table).isna().any(axis=None), table
    assert made.truth.drop(columns="dropout").notna().all(axis=None)


def test_ages_and_dates_are_possible(made):
    assert made.customers["age"].between(18, 90).all()
    assert made.customers["sign_up"].lt(END).all()
    assert made.customers["income_band"].cat.ordered
    for table in ("transactions", "touchpoints"):
        assert getattr(made, table)["timestamp"].between(START, END, inclusive="left").all()
        assert getattr(made, table)["timestamp"].is_monotonic_increasing


def test_lines_add_up(made):
    lines = made.transactions
    paid = lines["quantity"] * lines["unit_price"] * (1 - lines["discount"])
    assert (lines["amount"] - paid).abs().max() <= 0.005 + 1e-9
    assert lines["discount"].between(0, 0.5).all()
    assert lines["unit_price"].gt(0).all()
    assert lines["quantity"].ne(0).all()
    assert (lines["amount"] * lines["quantity"]).gt(0).all()
    categories = lines.groupby("product")["category"].nunique()
    assert categories.eq(1).all()
    assert lines["category"].str.istitle().all()


def test_no_line_and_no_event_stands_twice(made):
    assert not made.transactions.drop(columns="line_id").duplicated().any()
    bought = made.transactions.query("quantity > 0")
    assert not bought.duplicated(["order_id", "product"]).any()
    assert not made.touchpoints.duplicated().any()


def test_an_order_is_one_moment_of_one_customer_in_one_channel(made):
    bought = made.transactions.query("quantity > 0").groupby("order_id")
    assert bought[["customer_id", "timestamp", "channel"]].nunique().eq(1).all(axis=None)


def test_every_return_follows_its_purchase(made):
    lines = made.transactions
    back = lines[lines["quantity"] < 0]
    assert 0.04 < len(back) / len(lines) < 0.12
    pair = back.merge(
        lines[lines["quantity"] > 0],
        on=["order_id", "product", "customer_id"],
        suffixes=("", "_bought"),
        validate="one_to_one",
    )
    assert len(pair) == len(back)
    delay = pair["timestamp"].dt.normalize() - pair["timestamp_bought"].dt.normalize()
    assert delay.dt.days.between(1, 30).all()
    assert (-pair["quantity"] <= pair["quantity_bought"]).all()
    assert pair["unit_price"].equals(pair["unit_price_bought"])
    assert pair["discount"].equals(pair["discount_bought"])


def test_touchpoints_lie_after_sign_up_and_agree_with_the_lines(made):
    events, lines = made.touchpoints, made.transactions
    signed = made.customers.set_index("customer_id")["sign_up"]
    assert (events["timestamp"] >= events["customer_id"].map(signed)).all()
    assert (lines["timestamp"] >= lines["customer_id"].map(signed)).all()

    keys = ["customer_id", "timestamp", "channel"]
    orders = lines.query("quantity > 0").drop_duplicates("order_id")[keys]
    purchases = events.query("touchpoint == 'purchase'")[keys]
    pd.testing.assert_frame_equal(
        orders.sort_values(keys, ignore_index=True), purchases.sort_values(keys, ignore_index=True)
    )
    back = lines.query("quantity < 0")[keys].drop_duplicates()
    returns = events.query("touchpoint == 'return'")[keys]
    pd.testing.assert_frame_equal(
        back.sort_values(keys, ignore_index=True), returns.sort_values(keys, ignore_index=True)
    )


def test_every_purchase_has_a_visit_in_its_channel_just_before(made):
    events = made.touchpoints
    visits = events.query("touchpoint == 'visit'").assign(visited=lambda frame: frame["timestamp"])
    before = pd.merge_asof(
        events.query("touchpoint == 'purchase'"),
        visits[["customer_id", "channel", "timestamp", "visited"]],
        on="timestamp",
        by=["customer_id", "channel"],
        allow_exact_matches=False,
    )
    assert (before["timestamp"] - before["visited"]).dt.total_seconds().between(1, 5_400).all()


def test_touchpoints_are_in_one_stage_each(made):
    pairs = made.touchpoints[["touchpoint", "stage"]].drop_duplicates()
    assert dict(pairs.to_numpy()) == {
        "email_opened": "awareness",
        "visit": "consideration",
        "purchase": "purchase",
        "support_ticket": "service",
        "return": "service",
        "review": "loyalty",
    }


def test_nobody_buys_after_dropping_out_and_newcomers_buy_on_the_first_day(made):
    first_last = (
        made.transactions.query("quantity > 0")
        .groupby("customer_id")["timestamp"]
        .agg(["min", "max"])
        .join(made.truth.set_index("customer_id")["dropout"])
        .join(made.customers.set_index("customer_id")["sign_up"])
    )
    gone = first_last.dropna(subset="dropout")
    assert (gone["max"].dt.normalize() <= gone["dropout"]).all()
    new = first_last[first_last["sign_up"] >= START]
    assert new["min"].dt.normalize().equals(new["sign_up"].rename("min"))
    assert (made.customers["sign_up"] >= START).sum() == len(new)


# --- the survey --------------------------------------------------------------------------------


def items_of(attitude: str) -> list[str]:
    return [f"{attitude}_{number}" for number in (1, 2, 3, 4)]


def test_about_forty_percent_respond_and_loyal_regulars_more(made):
    answered = made.truth["customer_id"].isin(made.survey["customer_id"])
    assert 0.36 < answered.mean() < 0.44
    share = answered.groupby(made.truth["segment"]).mean()
    assert share.idxmax() == "Loyal Regulars"
    assert share.max() - share.min() < 0.35
    signed = made.customers.set_index("customer_id")["sign_up"]
    assert (made.survey["responded"] > made.survey["customer_id"].map(signed)).all()


def test_answers_stay_on_their_scales(made):
    bounds = dict.fromkeys(made.survey.columns[3:21], (1, 7))
    bounds |= {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7), "duration_seconds": (220, 1_500)}
    for name, (low, high) in bounds.items():
        assert made.survey[name].between(low, high).all(), name
    assert len(bounds) == 22
    assert made.survey["comment"].str.len().between(15, 120).all()


def test_the_fourth_item_of_each_attitude_is_reversed(made):
    for attitude in ATTITUDES:
        correlation = made.survey[items_of(attitude)].corr().to_numpy()
        straight, reversed_ = correlation[:3, :3], correlation[:3, 3]
        assert straight.min() > 0.4
        assert reversed_.max() < -0.3


def test_scales_measure_the_planted_attitudes(made):
    truth = made.truth.set_index("customer_id").loc[made.survey["customer_id"]]
    for attitude in ATTITUDES:
        items = made.survey[items_of(attitude)]
        scale = items.iloc[:, :3].sum(axis=1) + 8 - items.iloc[:, 3]
        assert np.corrcoef(scale, truth[attitude])[0, 1] > 0.85


def test_people_answer_in_their_own_style(made):
    truth = made.truth.set_index("customer_id").loc[made.survey["customer_id"]]
    items = made.survey[[name for attitude in ATTITUDES for name in items_of(attitude)]].to_numpy()
    # Straight and reversed items together: what is left of the attitude does not reach the mean.
    straight = items.reshape(-1, 3, 4)[:, :, :3].mean(axis=2)
    balanced = ((straight + items.reshape(-1, 3, 4)[:, :, 3]) / 2).mean(axis=1)
    assert np.corrcoef(balanced, truth["acquiescence"])[0, 1] > 0.7
    away = np.abs(items - 4).mean(axis=1)
    assert np.corrcoef(away, truth["extremity"])[0, 1] > 0.4


def test_nobody_gives_one_answer_to_all_items_in_clean_data(big):
    items = big.survey[[name for attitude in ATTITUDES for name in items_of(attitude)]]
    assert items.nunique(axis=1).min() >= 2


def test_trouble_shows_in_scores_and_comments(made):
    events = made.touchpoints.query("touchpoint in ('support_ticket', 'return')")
    before = events[events["timestamp"] < "2024-11-04"]
    count = before["customer_id"].value_counts()
    trouble = made.survey["customer_id"].map(count).fillna(0)
    assert made.survey["nps"].corr(trouble) < -0.2
    complains = made.survey["comment"].str.contains("refund|Nobody could|tedious|far too long")
    assert trouble[complains].min() >= 2
