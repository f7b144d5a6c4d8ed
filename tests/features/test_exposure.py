"""Exposure by segment against a count by hand, its gaps and its intervals."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

import custseg as cs
from custseg import errors
from custseg.features.exposure import Exposure, exposure

PEOPLE = pd.Series(
    ["young"] * 40 + ["old"] * 60 + ["rich"] * 20 + [None] * 5,
    index=pd.RangeIndex(1, 126),
    dtype=pd.CategoricalDtype(["young", "old", "rich"], ordered=True),
)


def contacts(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Return contacts in which the old are seldom seen in the app; ids 126 to 130 are strangers."""
    rng = np.random.default_rng(seed)
    who = rng.integers(1, 131, n)
    where = rng.choice(["app", "web", "store"], n)
    stays_away = (where == "app") & (who > 40) & (who <= 100) & (rng.random(n) < 0.9)
    return pd.DataFrame(
        {
            "who": who,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n), "D"),
            "where": where,
            "what": rng.choice(["mail", "offer", "visit"], n),
            "campaign": rng.choice(["spring", "summer"], n),
        }
    )[~stays_away].reset_index(drop=True)


def touchpoints(data: object, *, touchpoint: str | None = "what") -> cs.Touchpoints:
    return cs.Touchpoints(
        data, customer_id="who", timestamp="when", channel="where", touchpoint=touchpoint
    )


def test_shares_and_contacts_equal_a_count_by_hand() -> None:
    rows = contacts()
    found = exposure(touchpoints(rows), PEOPLE).to_frame()
    assert found["segment"].tolist() == ["young"] * 4 + ["old"] * 4 + ["rich"] * 4
    assert found["channel"].tolist() == ["(any)", "app", "store", "web"] * 3
    for row in found.itertuples():
        own = PEOPLE.index[PEOPLE.eq(row.segment)]
        others = PEOPLE.index[PEOPLE.notna() & PEOPLE.ne(row.segment)]
        hits = rows if row.channel == "(any)" else rows[rows["where"] == row.channel]
        per_customer = hits["who"].value_counts().reindex(own, fill_value=0)
        elsewhere = hits["who"].value_counts().reindex(others, fill_value=0)
        assert (row.n, row.reached) == (len(own), (per_customer > 0).sum())
        assert row.share == pytest.approx((per_customer > 0).mean())
        assert row.elsewhere == pytest.approx((elsewhere > 0).mean())
        assert row.gap == pytest.approx(row.share - row.elsewhere)
        assert row.contacts == pytest.approx(per_customer.mean())
        student = stats.t.interval(
            0.95, len(own) - 1, loc=per_customer.mean(), scale=stats.sem(per_customer)
        )
        assert (row.contacts_low, row.contacts_high) == pytest.approx(student)


def test_intervals_are_those_of_statsmodels() -> None:
    found = exposure(touchpoints(contacts()), PEOPLE).to_frame()
    for row in found.itertuples():
        wilson = proportion_confint(row.reached, row.n, method="wilson")
        assert (row.ci_low, row.ci_high) == pytest.approx(wilson)
        n_others = 120 - row.n
        newcombe = confint_proportions_2indep(
            row.reached,
            row.n,
            round(row.elsewhere * n_others),
            n_others,
            method="newcomb",
            alpha=0.05 / len(found),
        )
        assert (row.gap_low, row.gap_high) == pytest.approx(newcombe, abs=1e-9)


def test_the_gap_that_was_planted_is_found_and_no_other() -> None:
    found = exposure(touchpoints(contacts()), PEOPLE)
    gaps = found.to_frame().query("coverage == 'gap'")
    assert gaps[["segment", "channel"]].to_numpy().tolist() == [["old", "app"]]
    assert "Widest: app reaches" in found.summary()
    assert "of old" in found.summary()


def test_a_difference_below_the_bound_is_no_gap() -> None:
    rows = contacts()
    gap = exposure(touchpoints(rows), PEOPLE).to_frame().query("coverage == 'gap'")["gap"].iloc[0]
    kept = exposure(touchpoints(rows), PEOPLE, min_gap=-gap - 1e-9).to_frame()
    lost = exposure(touchpoints(rows), PEOPLE, min_gap=-gap + 1e-9).to_frame()
    assert (kept["coverage"] == "gap").sum() == 1
    assert (lost["coverage"] == "gap").sum() == 0


def test_gaps_are_rare_where_there_are_none() -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(30):
        who, where = rng.integers(1, 121, 300), rng.choice(["app", "web", "store"], 300)
        rows = pd.DataFrame({"who": who, "when": pd.Timestamp("2024-01-01"), "where": where})
        found = exposure(touchpoints(rows, touchpoint=None), PEOPLE, min_gap=0)
        alarms += found.to_frame()["coverage"].ne("").any()
    assert alarms <= 4


def test_customers_nobody_reached_count_and_strangers_do_not() -> None:
    rows = contacts(60)
    found = exposure(touchpoints(rows), PEOPLE)
    assigned = PEOPLE.dropna().index
    never = len(assigned.difference(rows["who"]))
    strangers = (~rows["who"].isin(assigned)).sum()
    assert found.to_frame().query("channel == '(any)'")["n"].sum() == 120
    assert f"{never} customers with a segment had no such contact; they count." in found.notes
    assert f"{strangers} contacts of customers without a segment set aside." in found.notes


def test_windows_messages_and_other_columns_choose_the_contacts() -> None:
    rows = contacts()
    recent = rows[rows["when"] > rows["when"].max().normalize() - pd.Timedelta(days=30)]
    narrowed = exposure(touchpoints(rows), PEOPLE, window=30).to_frame()
    pd.testing.assert_frame_equal(
        narrowed, exposure(touchpoints(recent), PEOPLE, rows["when"].max().date()).to_frame()
    )
    told = exposure(touchpoints(rows), PEOPLE, messages=["mail", "offer"]).to_frame()
    only = rows[rows["what"].isin(["mail", "offer"])]
    pd.testing.assert_frame_equal(
        told, exposure(touchpoints(only), PEOPLE, rows["when"].max().date()).to_frame()
    )
    campaigns = exposure(touchpoints(rows), PEOPLE, of="campaign")
    assert campaigns.to_frame()["campaign"].unique().tolist() == ["(any)", "spring", "summer"]
    assert campaigns.consistency.empty


def test_any_name_may_break_the_exposure_down() -> None:
    rows = contacts()
    expected = exposure(touchpoints(rows), PEOPLE, of="campaign").to_frame()
    for name in ("day", "moment", "customer_segment"):
        named = touchpoints(rows.rename(columns={"campaign": name}))
        found = exposure(named, PEOPLE, of=name).to_frame()
        assert (found["reached"] == expected["reached"]).all()
    with pytest.raises(errors.ParameterError, match="'segment', a column of the result"):
        exposure(touchpoints(rows.rename(columns={"campaign": "segment"})), PEOPLE, of="segment")


def test_consistency_compares_the_channels_that_carry_a_touchpoint() -> None:
    rows = contacts(1_500)
    rows = rows[(rows["what"] != "mail") | (rows["where"] == "web")]
    found = exposure(touchpoints(rows), PEOPLE).consistency
    assert set(found["touchpoint"]) == {"offer", "visit"}  # mails come through the web alone
    for row in found.itertuples():
        own = PEOPLE.index[PEOPLE.eq(row.segment)]
        shares = {
            channel: rows[(rows["where"] == channel) & (rows["what"] == row.touchpoint)]["who"]
            .drop_duplicates()
            .isin(own)
            .sum()
            / len(own)
            for channel in ("app", "store", "web")
        }
        assert row.best_share == pytest.approx(max(shares.values()))
        assert row.worst_share == pytest.approx(min(shares.values()))
        assert shares[row.best] == max(shares.values())
        assert row.spread == pytest.approx(row.best_share - row.worst_share)
        assert row.channels == 3
    uneven = found[~found["consistent"]]
    assert set(uneven["segment"]) == {"old"}
    assert set(uneven["worst"]) == {"app"}


@given(day=st.integers(0, 88), later=st.integers(0, 2**32 - 1))
@settings(max_examples=8)
def test_nothing_later_than_as_of_leaks_in(day: int, later: int) -> None:
    as_of = pd.Timestamp("2024-01-01") + pd.Timedelta(days=day)
    rows = contacts()
    before = rows[rows["when"] <= as_of]
    more = contacts(seed=later)
    more = pd.concat([before, more[more["when"] > as_of]]).sample(frac=1, random_state=day)
    first, second = (exposure(touchpoints(data), PEOPLE, as_of) for data in (before, more))
    pd.testing.assert_frame_equal(first.to_frame(), second.to_frame())
    pd.testing.assert_frame_equal(first.consistency, second.consistency)


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
def test_every_engine_gives_the_same_table(tmp_path: Path) -> None:
    ibis = pytest.importorskip("ibis")
    rows = contacts()
    path = tmp_path / "contacts.parquet"
    duckdb.from_df(rows).write_parquet(str(path))
    expected = exposure(touchpoints(rows), PEOPLE).to_frame()
    for data in (path, ibis.duckdb.connect().create_table("contacts", rows)):
        pd.testing.assert_frame_equal(exposure(touchpoints(data), PEOPLE).to_frame(), expected)


def test_one_segment_has_nobody_to_be_compared_with() -> None:
    found = exposure(touchpoints(contacts()), pd.Series("all of us", index=range(1, 126)))
    assert found.to_frame()["gap"].isna().all()
    assert (found.to_frame()["coverage"] == "").all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"of": "chanel"}, errors.ColumnError, "no column 'chanel'"),
        ({"of": "stage"}, errors.ColumnError, "needs the role stage"),
        ({"messages": "mail"}, errors.ParameterError, "must be a list"),
        ({"messages": ["mial"]}, errors.ParameterError, "Did you mean 'mail'"),
        ({"window": 0}, errors.ParameterError, "window is 0"),
        ({"min_gap": 1}, errors.ParameterError, "min_gap is 1"),
        ({"as_of": "2020-01-01"}, errors.DataError, "nobody was in contact"),
    ],
)
def test_options_out_of_bounds_are_refused(
    options: dict, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        exposure(touchpoints(contacts()), PEOPLE, **options)


def test_segments_of_other_customers_are_refused() -> None:
    with pytest.raises(errors.DataError, match="no contact is by a customer with a segment"):
        exposure(touchpoints(contacts()), pd.Series(["a", "b"], index=[900, 901]))
    with pytest.raises(errors.DataError, match="Give both the same type"):
        exposure(touchpoints(contacts()), pd.Series(["a", "b"], index=["1", "2"]))


def test_the_picture_frames_the_gaps() -> None:
    found: Exposure = exposure(touchpoints(contacts()), PEOPLE)
    ax = found.plot()
    rows = found.to_frame()
    words = [text.get_text() for text in ax.texts]
    assert words[5] == f"{rows['share'][5]:.0%}\n{rows['contacts'][5]:.1f}"
    assert len(ax.patches) == (rows["coverage"] == "gap").sum() == 1
    assert ax.patches[0].get_xy() == pytest.approx((1 - 0.46, 1 - 0.46))  # old, app


def test_the_shop_reaches_the_store_segments_less_in_the_app(shop: "cs.datasets.Shop") -> None:
    roles = ("customer_id", "timestamp", "touchpoint", "channel")
    table = cs.Touchpoints(shop.touchpoints, **{role: role for role in roles})
    segments = shop.truth.set_index("customer_id")["segment"]
    gaps = exposure(table, segments).to_frame().query("coverage == 'gap'")
    assert {"Gift Givers", "Thrifty Families"} == set(gaps.loc[gaps["channel"] == "app", "segment"])
    assert set(gaps.loc[gaps["channel"] == "store", "segment"]) == {"Online Browsers"}
