"""Journeys against a row-by-row count: features, transitions, loops, times, and their intervals."""

import datetime as dt
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt

import custseg as cs
from custseg import errors
from custseg.features._touchpoints import clustered_wilson
from custseg.features.dictionary import describe_columns
from custseg.features.journey_map import JourneyMap, journey_map
from custseg.features.journeys import journey_features
from custseg.stats import wilson

ROLES = {
    "customer_id": "who",
    "timestamp": "when",
    "touchpoint": "what",
    "channel": "where",
    "stage": "step",
}
STAGES = ["awareness", "consideration", "purchase", "service", "loyalty"]
WHATS = {
    "newsletter": "awareness",
    "visit": "consideration",
    "search": "consideration",
    "purchase": "purchase",
    "return": "service",
    "review": "loyalty",
}
START = pd.Timestamp("2023-03-01")


def contacts(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """Return contacts of 25 customers over 300 days, many of them at the same second."""
    rng = np.random.default_rng(seed)
    what = rng.choice(list(WHATS), n)
    minutes = pd.to_timedelta(rng.integers(0, 300, n) * 1440 + rng.integers(0, 4, n) * 300, "min")
    return pd.DataFrame(
        {
            "who": rng.integers(1, 26, n),
            "when": START + minutes + pd.to_timedelta(rng.integers(0, 2, n), "us"),
            "what": what,
            "where": rng.choice(["web", "store", "app"], n),
            "step": [WHATS[name] for name in what],
        }
    )


def touchpoints(data: object, **roles: str | None) -> cs.Touchpoints:
    named = {**ROLES, **roles}
    return cs.Touchpoints(data, **{role: name for role, name in named.items() if name})


def known(rows: pd.DataFrame, as_of: str) -> pd.DataFrame:
    return rows[rows["when"].dt.date <= dt.date.fromisoformat(as_of)]


def after(as_of: str, seed: int) -> pd.DataFrame:
    return contacts(seed=seed)[lambda rows: rows["when"].dt.date > dt.date.fromisoformat(as_of)]


def by_hand(rows: pd.DataFrame, as_of: str, windows: Iterable[int]) -> pd.DataFrame:
    """Count every feature row by row, in plain Python."""
    end = dt.date.fromisoformat(as_of)
    rows = known(rows, as_of)
    values = {
        "touchpoint": ("what", sorted(set(rows["what"]))),
        "contact_channel": ("where", sorted(set(rows["where"]))),
    }
    table = {}
    for who in sorted(set(rows["who"])):
        own = [row for row in rows.itertuples() if row.who == who]
        ages = [(end - row.when.date()).days for row in own]
        features: dict[str, object] = {"contacts": len(own)}
        for w in windows:
            features[f"contacts_{w}d"] = sum(age < w for age in ages)
        features |= {"contact_recency": min(ages), "contact_tenure": max(ages)}
        features["contact_days"] = len(set(ages))
        for prefix, (column, levels) in values.items():
            for level in levels:
                hits = [
                    a for a, row in zip(ages, own, strict=True) if getattr(row, column) == level
                ]
                features[f"{prefix}_{level}_count"] = len(hits)
                for w in windows:
                    features[f"{prefix}_{level}_count_{w}d"] = sum(age < w for age in hits)
                features[f"{prefix}_{level}_share"] = len(hits) / len(own)
                features[f"{prefix}_{level}_recency"] = float(min(hits)) if hits else np.nan
            features[f"{prefix}s_used"] = len({getattr(row, column) for row in own})
            in_order = sorted((row.when, getattr(row, column)) for row in own)
            features[f"first_{prefix}"] = in_order[0][1]
            features[f"last_{prefix}"] = in_order[-1][1]
        features |= stages_by_hand(own)
        table[who] = features
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("customer_id")


def stages_by_hand(own: list) -> dict[str, object]:
    steps = sorted((row.when, STAGES.index(row.step)) for row in own)
    first = {stage: min(t for t, s in steps if s == stage) for stage in {s for _, s in steps}}
    features: dict[str, object] = {
        f"stage_{name}_reached": int(place in first) for place, name in enumerate(STAGES)
    }
    features["stages_reached"] = len(first)
    features["furthest_stage"] = STAGES[max(first)]
    features["last_stage"] = STAGES[steps[-1][1]]
    for place in range(1, len(STAGES)):
        name = f"days_{STAGES[place - 1]}_to_{STAGES[place]}"
        both = place in first and place - 1 in first
        features[name] = (first[place] - first[place - 1]) / pd.Timedelta("1D") if both else np.nan
    pairs = [(a, b) for a, b in pairwise(steps) if a[1] != b[1]]
    features["stage_changes"] = len(pairs)
    features["stage_loops"] = sum(b[1] < a[1] for a, b in pairs)
    gaps = [(b[0] - a[0]) / pd.Timedelta("1D") for a, b in pairs]
    features["days_between_stages"] = float(np.median(gaps)) if gaps else np.nan
    return features


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=False, rtol=1e-12, atol=1e-12)


def plain(features: pd.DataFrame) -> pd.DataFrame:
    """Return categories as text, to compare with what was counted by hand."""
    return features.astype({"furthest_stage": "str", "last_stage": "str"})


@pytest.mark.parametrize("as_of", ["2023-03-20", "2023-07-05", "2023-12-31"])
def test_features_equal_a_count_by_hand(as_of: str) -> None:
    rows = contacts()
    features = journey_features(touchpoints(rows), as_of, windows=(1, 30))
    expected = by_hand(rows, as_of, (1, 30))
    same(plain(features)[list(expected)], expected)
    assert set(features) == set(expected)


def test_every_column_is_in_the_dictionary() -> None:
    features = journey_features(touchpoints(contacts()), "2023-07-05")
    described = describe_columns(features).set_index("column")
    assert (described["family"] == "journey").all()
    assert described["definition"].notna().all()
    assert described["as_of"].eq("2023-07-05").all()
    assert described.loc["furthest_stage", "kind"] == "ordinal"
    assert list(features["furthest_stage"].cat.categories) == STAGES


@given(day=st.integers(0, 299), later=st.integers(0, 2**32 - 1))
@settings(max_examples=8)
def test_nothing_later_than_as_of_leaks_in(day: int, later: int) -> None:
    as_of = (START + pd.Timedelta(days=day)).date().isoformat()
    rows = known(contacts(), as_of)
    rows = rows if len(rows) else contacts(3).assign(when=START)
    more = pd.concat([rows, after(as_of, later)])
    same(*(journey_features(touchpoints(data), as_of, max_values=4) for data in (rows, more)))
    maps = [journey_map(touchpoints(data), as_of) for data in (rows, more)]
    same(maps[0].to_frame(), maps[1].to_frame())
    same(maps[0].pain_points, maps[1].pain_points)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_the_order_of_rows_changes_nothing(seed: int) -> None:
    rows = contacts(seed=1)
    shuffled = rows.sample(frac=1, random_state=seed)
    same(*(journey_features(touchpoints(data)) for data in (rows, shuffled)))
    maps = [journey_map(touchpoints(data), of="touchpoint") for data in (rows, shuffled)]
    same(maps[0].to_frame(), maps[1].to_frame())


def test_without_roles_contacts_are_counted_and_nothing_else() -> None:
    bare = touchpoints(contacts(), touchpoint=None, channel=None, stage=None)
    features = journey_features(bare, windows=())
    assert list(features) == ["contacts", "contact_recency", "contact_tenure", "contact_days"]


def test_what_is_missing_or_blank_is_counted_but_is_no_touchpoint() -> None:
    rows = pd.DataFrame(
        {
            "who": ["ann", "ann", "ann", "bob"],
            "when": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
            "what": ["visit", None, " ", "visit"],
        }
    )
    table = cs.Touchpoints(rows, customer_id="who", timestamp="when", touchpoint="what")
    features = journey_features(table, windows=())
    assert features["touchpoint_(missing)_count"].tolist() == [2, 0]
    assert features["touchpoint_(missing)_share"].tolist() == [2 / 3, 0]
    assert features["touchpoints_used"].tolist() == [1, 1]
    assert features["last_touchpoint"].tolist() == ["(missing)", "visit"]
    account = journey_map(table).account
    assert account.to_dict() == {"used": 2, "no touchpoint in the map": 2, "no segment": 0}


def test_rare_values_share_a_column() -> None:
    rows = contacts()
    counts = rows["what"].value_counts()
    features = journey_features(touchpoints(rows), windows=(), max_values=2)
    frequent = counts.sort_index().sort_values(ascending=False, kind="stable").index[:2]
    rest = rows[~rows["what"].isin(frequent)].groupby("who").size()
    got = features["touchpoint_(other)_count"]
    assert got[got > 0].to_dict() == rest.to_dict()
    shares = features.filter(regex=r"^touchpoint_.*_share$").sum(axis=1)
    np.testing.assert_allclose(shares, 1)
    kinds = rows["what"].where(rows["what"].isin(frequent), "other").groupby(rows["who"]).nunique()
    assert (features["touchpoints_used"] == kinds).all()


def test_stages_may_be_made_of_touchpoints() -> None:
    rows = contacts()
    stages = {stage: [what for what, own in WHATS.items() if own == stage] for stage in STAGES}
    from_list = journey_features(touchpoints(rows), stages=STAGES)
    from_touchpoints = journey_features(touchpoints(rows, stage=None), stages=stages)
    same(from_list, from_touchpoints)


def test_stages_in_an_order_of_ones_own_and_contacts_without_stage() -> None:
    rows = contacts()
    turned = journey_features(touchpoints(rows), stages=["purchase", "consideration"])
    both = rows[rows["step"].isin(["purchase", "consideration"])].sort_values(["who", "when"])
    assert list(turned["furthest_stage"].cat.categories) == ["purchase", "consideration"]
    never = turned.index.difference(both["who"].unique())
    assert turned.loc[never, "furthest_stage"].isna().all()
    assert turned.loc[never, "days_between_stages"].isna().all()
    assert (turned.loc[never, "stage_changes"] == 0).all()


def test_unusual_stage_names_without_an_order_give_no_stage_columns() -> None:
    features = journey_features(touchpoints(contacts().assign(step="phase 1")))
    assert not [name for name in features if "stage" in name]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"windows": (0,)}, "each of windows is 0"),
        ({"windows": "90"}, "windows is '90'"),
        ({"max_values": 0}, "max_values is 0"),
        ({"stages": "purchase"}, "stages must be a list"),
        ({"stages": ["purchase", "purchase"]}, "names a stage twice"),
        ({"stages": ["awareness", "purchse"]}, "'purchse'.*Did you mean 'purchase'"),
        ({"stages": {"buy": "purchase"}}, "in a list"),
        ({"stages": {"buy": ["purchase"], "pay": ["purchase"]}}, "each touchpoint once"),
        ({"stages": {"buy": ["bought"]}}, "no contact so far has this touchpoint"),
        ({"stages": []}, "at least one"),
    ],
)
def test_options_out_of_bounds_are_refused(options: dict, words: str) -> None:
    with pytest.raises(errors.ParameterError, match=words):
        journey_features(touchpoints(contacts()), **options)


def test_bad_rows_and_dates_are_refused() -> None:
    rows = contacts()
    with pytest.raises(errors.DataError, match="1 rows without customer_id"):
        journey_features(touchpoints(rows.assign(who=[np.nan] + [1.0] * 299)))
    with pytest.raises(errors.DataError, match="nobody was in contact by 2001-01-01"):
        journey_features(touchpoints(rows), "2001-01-01")
    with pytest.raises(errors.ColumnError, match="needs the role stage"):
        journey_features(touchpoints(rows, stage=None), stages=STAGES)


def engines(rows: pd.DataFrame, folder: Path) -> Iterable[object]:
    polars = pytest.importorskip("polars")
    ibis = pytest.importorskip("ibis")
    path = folder / "contacts.parquet"
    duckdb.from_df(rows).write_parquet(str(path))
    yield path
    yield polars.from_pandas(rows)
    yield polars.from_pandas(rows).to_arrow()
    yield duckdb.connect().from_df(rows)
    yield ibis.duckdb.connect().create_table("contacts", rows)


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option is deprecated")
def test_every_engine_gives_the_same_tables(tmp_path: Path) -> None:
    rows = contacts()
    by = pd.Series(["young", "old"] * 12, index=range(1, 25))
    features = journey_features(touchpoints(rows), "2023-09-30")
    journeys = journey_map(touchpoints(rows), "2023-09-30", by=by)
    for data in engines(rows, tmp_path):
        table = touchpoints(data)
        same(journey_features(table, "2023-09-30"), features)
        other = journey_map(table, "2023-09-30", by=by)
        same(other.to_frame(), journeys.to_frame())
        same(other.pain_points, journeys.pain_points)


def test_dates_without_a_time_of_day_will_do() -> None:
    rows = contacts().assign(when=lambda frame: frame["when"].dt.normalize())
    dates = duckdb.from_df(rows).project('* REPLACE (CAST("when" AS DATE) AS "when")')
    same(journey_features(touchpoints(dates)), journey_features(touchpoints(rows)))


# The journey map


def moves_by_hand(rows: pd.DataFrame, as_of: str, silence: float, order: list[str]) -> dict:
    """Return moves (from, to) with their customers and gaps, and the number of open journeys."""
    end = pd.Timestamp(as_of) + pd.Timedelta(days=1)
    limit = pd.Timedelta(days=silence)
    moves: dict[tuple[str, str], list] = {}
    n_open = 0
    for who, own in known(rows, as_of).groupby("who"):
        steps = sorted((t, order.index(s)) for t, s in zip(own["when"], own["step"], strict=True))
        before = None
        for when, place in steps:
            if before is None or when - before[0] > limit:
                if before is not None:
                    moves.setdefault((order[before[1]], "(exit)"), []).append((who, np.nan))
                moves.setdefault(("(entry)", order[place]), []).append((who, np.nan))
            else:
                gap = (when - before[0]) / pd.Timedelta("1D")
                moves.setdefault((order[before[1]], order[place]), []).append((who, gap))
            before = when, place
        if end - before[0] > limit:
            moves.setdefault((order[before[1]], "(exit)"), []).append((who, np.nan))
        else:
            n_open += 1
    return {"moves": moves, "open": n_open}


@pytest.mark.parametrize("silence", [3, 20, 1000])
@pytest.mark.parametrize("as_of", ["2023-06-30", "2023-12-31"])
def test_moves_equal_a_count_by_hand(silence: float, as_of: str) -> None:
    rows = contacts(600, seed=4)
    found = journey_map(touchpoints(rows), as_of, silence=silence)
    expected = moves_by_hand(rows, as_of, silence, STAGES)
    totals: dict[str, int] = {}
    for (origin, _), who in expected["moves"].items():
        totals[origin] = totals.get(origin, 0) + len(who)
    for row in found.to_frame().itertuples(index=False):
        origin, to = row[1], row[2]
        made = expected["moves"].get((origin, to), [])
        assert row.n == len(made)
        assert row.n_from == totals.get(origin, 0)
        assert row.customers == len({who for who, _ in made})
        if row.n_from:
            assert row.probability == pytest.approx(row.n / row.n_from)
        gaps = [gap for _, gap in made if gap == gap]
        assert row.median_days == pytest.approx(np.median(gaps) if gaps else np.nan, nan_ok=True)
    ends = found.transitions.query("`from` != '(entry)'")["n"].sum()
    assert ends + expected["open"] == found.account["used"] == len(known(rows, as_of))


def test_intervals_are_wilson_at_the_worth_of_clustered_moves() -> None:
    rows = contacts(600, seed=4)
    found = journey_map(touchpoints(rows), "2023-12-31", silence=20)
    made = moves_by_hand(rows, "2023-12-31", 20, STAGES)["moves"]
    leaving = {to: who for (origin, to), who in made.items() if origin == "purchase"}
    trials = pd.DataFrame(
        [(who, to) for to, own in leaving.items() for who, _ in own], columns=["who", "to"]
    )
    for row in found.transitions.query("`from` == 'purchase'").itertuples(index=False):
        hit = (trials["to"] == row.to).astype(float)
        if not 0 < hit.mean() < 1:
            continue
        model = sm.OLS(hit, np.ones(len(hit)))
        fitted = model.fit(cov_type="cluster", cov_kwds={"groups": trials["who"]})
        variance = float(fitted.bse.iloc[0]) ** 2
        worth = min(hit.mean() * (1 - hit.mean()) / variance, len(hit))
        low, high = wilson(hit.mean() * worth, worth)
        assert (row.ci_low, row.ci_high) == pytest.approx((low, high), abs=1e-10)


def test_intervals_cover_when_customers_differ() -> None:
    rng = np.random.default_rng(5)
    truth, covered, naive = 0.2, 0, 0
    for _ in range(1_000):
        n = rng.integers(1, 30, 150).astype(float)
        x = rng.binomial(n.astype(int), rng.beta(0.8, 3.2, 150)).astype(float)
        low, high = clustered_wilson(
            x.sum(), n.sum(), (x * x).sum(), (x * n).sum(), (n * n).sum(), 150, level=0.95
        )
        covered += low <= truth <= high
        low, high = wilson(x.sum(), n.sum())
        naive += low <= truth <= high
    assert 930 <= covered <= 975
    assert naive < 700


def test_an_interval_of_no_success_counts_customers_not_moves() -> None:
    low, high = clustered_wilson(0, 100, 0, 0, 10 * 10**2, 10, level=0.95)
    assert (low, high) == pytest.approx(wilson(0, 10))
    assert np.isnan(clustered_wilson(0, 0, 0, 0, 0, 0, level=0.95)).all()


def test_segments_add_up_and_strangers_are_set_aside() -> None:
    rows = contacts(600, seed=4)
    by = pd.Series(["young", "old", None] * 7, index=range(1, 22))
    found = journey_map(touchpoints(rows), by=by, silence=20)
    counts = found.to_frame().pivot_table(
        index=["from", "to"], columns="segment", values="n", observed=True
    )
    assert (counts["old"] + counts["young"] == counts["(all)"]).all()
    for name in ("old", "young"):
        own = rows[rows["who"].isin(by.index[by == name])]
        alone = journey_map(touchpoints(own), rows["when"].max().date(), silence=20)
        part = found.to_frame().query("segment == @name").reset_index(drop=True)
        same(part.drop(columns="segment"), alone.to_frame().drop(columns="segment"))
    assigned = rows["who"].isin(by.dropna().index)
    assert found.account.to_dict() == {
        "used": int(assigned.sum()),
        "no stage in the map": 0,
        "no segment": int((~assigned).sum()),
    }
    assert any("set aside: no segment" in note for note in found.notes)


def planted(rate: float, n: int = 400) -> JourneyMap:
    """Return the map of customers who return more often after a purchase in an app (by rate)."""
    rng = np.random.default_rng(1)
    rows = []
    for who in range(n):
        day, app = 0, who % 2
        for _ in range(rng.integers(2, 6)):
            day += int(rng.integers(1, 9))
            rows += [(who, day, "visit"), (who, day + 1, "purchase")]
            if rng.random() < (0.1 + rate * app):
                rows.append((who, day + 2, "return"))
    frame = pd.DataFrame(rows, columns=["who", "day", "what"])
    frame["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["day"], "D")
    by = pd.Series(np.where(np.arange(n) % 2, "app", "store"), index=range(n))
    table = cs.Touchpoints(frame, customer_id="who", timestamp="when", touchpoint="what")
    return journey_map(table, "2024-12-31", by=by, silence=30)


def test_pain_points_are_where_they_were_planted() -> None:
    flagged = planted(0.3).pain_points.query("flagged")
    found = set(zip(flagged["segment"], flagged["from"], flagged["to"], strict=True))
    assert ("app", "purchase", "return") in found
    assert ("(all)", "purchase", "return") in found
    assert not any(segment == "store" and to == "return" for segment, _, to in found)


def test_without_differences_segments_have_no_pain_points() -> None:
    flagged = planted(0.0).pain_points.query("flagged")
    assert set(flagged["segment"]) <= {"(all)"}


def test_the_rule_of_pain_points_follows_from_the_table() -> None:
    pains = planted(0.3).pain_points
    above = pains["ci_low"] > pains["reference_high"]
    assert (pains["flagged"] == above).all()
    extra = (pains["probability"] - pains["reference_probability"]) * pains["n_from"]
    np.testing.assert_allclose(pains["extra"], extra)
    assert pains["extra"].is_monotonic_decreasing


def test_false_alarms_stay_below_the_level() -> None:
    """Customers who all behave alike: hardly a map shows a segment that stands out."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(15):
        n = 2_000
        rows = pd.DataFrame(
            {
                "who": rng.integers(0, 150, n),
                "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, n), "D"),
                "what": rng.choice(["visit", "purchase", "return"], n, p=[0.6, 0.3, 0.1]),
            }
        )
        table = cs.Touchpoints(rows, customer_id="who", timestamp="when", touchpoint="what")
        by = pd.Series(rng.choice(["a", "b", "c"], 150), index=range(150))
        alarms += journey_map(table, by=by).pain_points["flagged"].any()
    assert alarms <= 2


def test_trouble_can_be_named_and_recognised() -> None:
    rows = contacts()
    by_name = journey_map(touchpoints(rows), of="touchpoint", trouble=["search"])
    assert set(by_name.pain_points["to"]) == {"search", "(exit)"}
    customary = journey_map(touchpoints(rows), of="touchpoint")
    assert set(customary.pain_points["to"]) == {"return", "(exit)"}
    nothing = journey_map(touchpoints(rows), of="channel")
    assert set(nothing.pain_points["to"]) == {"(exit)"}
    assert any("no state is trouble" in note for note in nothing.notes)


def test_one_open_contact_makes_a_map_without_moves() -> None:
    rows = contacts(1)
    found = journey_map(touchpoints(rows))
    assert found.to_frame().query("`from` != '(entry)'")["n"].sum() == 0
    assert len(found.pain_points) == 0
    assert "0 of 0 possible pain points" in found.summary()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"silence": 0}, errors.ParameterError, "silence is 0"),
        ({"level": 1}, errors.ParameterError, "level is 1"),
        ({"of": "chanel"}, errors.ParameterError, "Did you mean 'channel'"),
        ({"of": "stage", "stages": STAGES}, errors.ParameterError, "of= or stages="),
        ({"trouble": "return"}, errors.ParameterError, "must be a list"),
        ({"trouble": ["returns"]}, errors.ParameterError, "each of trouble is 'returns'"),
        ({"by": ["a", "b"]}, errors.DataError, "a Series of segments"),
        ({"by": pd.Series(["a", "b"], index=[1, 1])}, errors.DataError, "two segments"),
        ({"by": pd.Series(["(all)"], index=[1])}, errors.DataError, "Rename it"),
        ({"by": pd.Series([None], index=[1], dtype="str")}, errors.DataError, "all labels"),
        ({"by": pd.Series(["a"], index=[99])}, errors.DataError, "no contact is left"),
        ({"by": pd.Series(["a"], index=["x"])}, errors.DataError, "Give both the same type"),
    ],
)
def test_a_map_of_nonsense_is_refused(options: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        journey_map(touchpoints(contacts()), **options)


def test_a_map_needs_a_role() -> None:
    with pytest.raises(errors.ColumnError, match="the journey map needs the role touchpoint"):
        journey_map(touchpoints(contacts(), touchpoint=None, stage=None))


def test_words_and_matrix_follow_from_the_table() -> None:
    found = planted(0.3)
    worst = found.pain_points.iloc[0]
    assert f"from {worst['from']} to {worst['to']}" in found.summary()
    matrix = found.matrix("app")
    np.testing.assert_allclose(matrix.loc[list(found.states)].sum(axis=1), 1)
    assert found.matrix(values="n").loc["(entry)"].sum() == 400
    with pytest.raises(errors.ParameterError, match="segment is 'phone'"):
        found.matrix("phone")


def test_pictures_have_a_cell_per_move_and_frame_the_pain_points() -> None:
    found = planted(0.3)
    panels = found.plot()
    assert [panel.get_title() for panel in panels] == ["(all)", "app", "store"]
    ax = found.plot(segment="app")
    words = [text.get_text() for text in ax.texts]
    share, n = found.matrix("app"), found.matrix("app", "n")
    cell = share.index.get_loc("purchase") * share.shape[1] + share.columns.get_loc("return")
    assert words[cell] == f"{share.loc['purchase', 'return']:.0%}\n{n.loc['purchase', 'return']:,}"
    flagged = found.pain_points.query("flagged and segment == 'app'")
    assert len(ax.patches) == len(flagged) > 0
    _, own = plt.subplots()
    assert found.plot(ax=own) is own


def test_the_shop_shows_what_was_planted(shop: "cs.datasets.Shop") -> None:
    names = {role: role for role in ROLES}
    table = cs.Touchpoints(shop.touchpoints, **names)
    segments = shop.truth.set_index("customer_id")["segment"]
    flagged = journey_map(table, by=segments, of="touchpoint").pain_points.query("flagged")
    returning = flagged[(flagged["to"] == "return") & (flagged["segment"] != "(all)")]
    assert set(returning["segment"]) == {"Trend Seekers"}
    leaving = flagged[(flagged["to"] == "(exit)") & (flagged["segment"] != "(all)")]
    assert "Online Browsers" in set(leaving["segment"])
    assert not {"Loyal Regulars", "Deal Hunters", "Trend Seekers"} & set(leaving["segment"])
