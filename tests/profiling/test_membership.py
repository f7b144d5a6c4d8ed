"""Rules, questions and customers in between, against brute force, scikit-learn and known truth."""

import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import custseg as cs
from custseg.profiling import _discriminant, _placement, describe_membership
from custseg.profiling._columns import read_columns
from custseg.profiling._discriminant import (
    Answers,
    between,
    learn_discriminant,
    quantile_cuts,
    telling_cuts,
)
from custseg.profiling._logistic import learn_points
from custseg.profiling._placement import mean_dissimilarity, positions
from custseg.profiling._rules import grow_tree, rule_list

mpl.use("Agg")


def shoppers(n: int = 900, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Three segments told by orders and channel; age and region tell nothing."""
    rng = np.random.default_rng(seed)
    index = pd.Index(rng.permutation(5 * n)[:n], name="customer_id")
    truth = rng.choice(["Gold", "Silver", "Basic"], n, p=[0.2, 0.3, 0.5])
    customers = pd.DataFrame(
        {
            "orders": np.select([truth == "Gold"], [rng.integers(9, 20, n)], rng.integers(1, 9, n)),
            "channel": np.select(
                [truth == "Silver"],
                [rng.choice(["web", "store"], n, p=[0.9, 0.1])],
                rng.choice(["web", "store"], n, p=[0.1, 0.9]),
            ),
            "age": rng.integers(18, 80, n),
            "region": rng.choice(["North", "South", "West"], n),
        },
        index=index,
    )
    return customers, pd.Series(truth, index)


def evaluate(rule: str, customers: pd.DataFrame) -> np.ndarray:
    """Return whom a rule in words holds for, read by other means than it was written."""
    found = np.ones(len(customers), dtype=bool)
    if rule == "everybody else":
        return found
    for part in rule.split(" and "):
        missing = part.endswith(" or missing)")
        part = part.removeprefix("(").removesuffix(" or missing)")
        if " is not " in part:
            name, levels = part.split(" is not ")
            holds = ~customers[name].isin(levels.split(" or ")).to_numpy()
        elif " is " in part:
            name, level = part.split(" is ")
            holds = (customers[name] == level).to_numpy()
        else:
            part = part.replace(",", "")
            name = re.search(r"[a-z_]+", part)[0]
            holds = customers.eval(part) | (missing & customers[name].isna())
        found &= holds
    return found


@pytest.mark.parametrize("seed", [0, 1])
def test_rules_do_among_the_customers_held_out_what_the_table_says(seed):
    customers, segments = shoppers(seed=seed)
    customers.loc[customers.index[::9], "orders"] = np.nan
    found = describe_membership(customers, segments)
    held_out = found.customers["held_out"].to_numpy(dtype=bool)
    new, truth = customers[held_out], segments[held_out].to_numpy()
    for kind, rules in found.to_frame().groupby("kind", sort=False):
        caught = np.zeros(len(new), dtype=bool)
        right = 0
        for row in rules.to_dict("records"):
            own = evaluate(row["rule"], new)
            if kind == "tree":
                assert not (own & caught).any()
            own &= ~caught
            caught |= own
            hits = own & (truth == row["segment"])
            right += hits.sum()
            assert row["n"] == own.sum()
            assert row["precision"] == pytest.approx(hits.sum() / own.sum())
            assert row["coverage"] == pytest.approx(hits.sum() / (truth == row["segment"]).sum())
            bounds = cs.stats.wilson(hits.sum(), own.sum())
            assert (row["ci_low"], row["ci_high"]) == pytest.approx(bounds, rel=1e-12)
        assert caught.all()
        assert found.accuracy.loc[f"rule {kind}", "accuracy"] == pytest.approx(right / len(new))


def test_weights_judge_as_repeating_the_customers_held_out_does():
    customers, segments = shoppers()
    counts = pd.Series(np.random.default_rng(1).integers(1, 5, 900), customers.index)
    found = describe_membership(customers, segments, weights=counts)
    held_out = found.customers["held_out"].to_numpy(dtype=bool)
    new = customers[held_out].loc[lambda own: own.index.repeat(counts[own.index])]
    truth = segments.loc[new.index].to_numpy()
    placed = found.typing_tool.assign(customers[held_out]).loc[new.index, "segment"].astype(str)
    right = (placed == truth).mean()
    assert found.accuracy.loc["typing tool", "accuracy"] == pytest.approx(right)
    assert found.accuracy.loc["typing tool", "n"] == held_out.sum()
    shares = found.confusion.to_numpy() / found.confusion.to_numpy().sum()
    assert np.trace(shares) == pytest.approx(right)
    want = pd.crosstab(truth, placed.to_numpy(), normalize=True)
    np.testing.assert_allclose(shares, want)
    for kind, rules in found.to_frame().groupby("kind", sort=False):
        caught, hits = np.zeros(len(new), dtype=bool), 0
        for row in rules.to_dict("records"):
            own = evaluate(row["rule"], new) & ~caught
            caught |= own
            good = own & (truth == row["segment"])
            hits += good.sum()
            assert row["precision"] == pytest.approx(good.sum() / own.sum())
            assert row["coverage"] == pytest.approx(good.sum() / (truth == row["segment"]).sum())
        assert found.accuracy.loc[f"rule {kind}", "accuracy"] == pytest.approx(hits / len(new))
    everybody = found.customers.loc[customers.index.repeat(counts)]
    share = found.borderline().groupby("segment", observed=True)["share"].sum()
    between = everybody["borderline"].astype(float).groupby(everybody["segment"], observed=True)
    pd.testing.assert_series_equal(share, between.mean()[lambda x: x > 0], check_names=False)
    assert any(note.startswith("weighted:") for note in found.notes)
    assert f"({everybody['borderline'].mean():.1%}) are borderline" in found.summary()


def test_a_column_of_weights_is_not_asked_for():
    customers, segments = shoppers(300)
    named = customers.assign(factor=np.random.default_rng(0).gamma(4, 1, 300))
    found = describe_membership(named, segments, weights="factor")
    assert "factor" not in found.questions.index
    again = describe_membership(customers, segments, weights=named["factor"])
    pd.testing.assert_frame_equal(found.accuracy, again.accuracy)
    assert found.customers["weight"].mean() == pytest.approx(1)
    profiled = cs.profiling.profile(named, segments, weights="factor", descriptors=["channel"])
    assert "factor" not in profiled.to_frame()["variable"].tolist()


def test_weights_widen_intervals_and_equal_ones_change_nothing():
    customers, segments = shoppers()
    counts = np.random.default_rng(1).gamma(1, 1, 900) + 0.05
    found = describe_membership(customers, segments, weights=counts)
    held_out = found.customers["held_out"].to_numpy(dtype=bool)
    w = counts[held_out] / counts[held_out].sum()
    placed = found.typing_tool.assign(customers[held_out])["segment"].astype(str)
    right = (placed == segments[held_out]).to_numpy()
    share = w @ right
    size = share * (1 - share) / (w**2 @ (right - share) ** 2)
    row = found.accuracy.loc["typing tool"]
    bounds = cs.stats.wilson(share * size, size)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(bounds)
    plain = describe_membership(customers, segments, weights=np.full(900, 3.0))
    alone = describe_membership(customers, segments)
    pd.testing.assert_frame_equal(plain.accuracy, alone.accuracy)
    pd.testing.assert_frame_equal(plain.to_frame(), alone.to_frame())


def test_weights_learn_as_repeating_the_customers_does():
    rng = np.random.default_rng(9)
    n, k = 400, 3
    counts = rng.integers(1, 4, n)
    times = np.repeat(np.arange(n), counts)
    segments = rng.integers(k, size=n)
    orders = np.where(segments == 0, rng.integers(6, 12, n), rng.integers(1, 9, n)).astype(float)
    web = np.where(segments == 1, rng.random(n) < 0.8, rng.random(n) < 0.2).astype(float)
    one = read_columns(pd.DataFrame({"orders": orders, "web": web}), ["orders", "web"])
    many = [column._replace(values=column.values[times]) for column in one]
    w, ones = counts.astype(float), np.ones(len(times))
    assert telling_cuts(orders, segments, w).tolist() == (
        telling_cuts(orders[times], segments[times], ones).tolist()
    )
    trees = [
        grow_tree(columns, own, part, max_depth=2, seed=0)
        for columns, own, part in ((one, segments, w), (many, segments[times], ones))
    ]
    assert trees[0] == trees[1]
    lists = [
        rule_list(columns, own, part, k, max_conditions=2, max_rules=4)
        for columns, own, part in ((one, segments, w), (many, segments[times], ones))
    ]
    assert lists[0] == lists[1]
    codes = np.column_stack([np.minimum(orders // 5, 3), web]).astype(int)
    answers = Answers(codes, [4, 2], w), Answers(codes[times], [4, 2], ones)
    np.testing.assert_allclose(answers[0].centre, answers[1].centre)
    sums = [
        own.sums(np.arange(len(own.codes)), labels, k)
        for own, labels in zip(answers, (segments, segments[times]), strict=True)
    ]
    for mine, theirs in zip(*sums, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)
    points = [
        learn_points(own, labels, np.arange(len(own.codes)), [0, 1])
        for own, labels in zip(answers, (segments, segments[times]), strict=True)
    ]
    np.testing.assert_allclose(points[0].points, points[1].points, atol=2e-3)
    np.testing.assert_allclose(points[0].start, points[1].start, atol=2e-3)


def test_what_was_planted_is_found_and_nothing_else_is_asked():
    customers, segments = shoppers(2000)
    found = describe_membership(customers, segments)
    assert set(found.typing_tool.questions) == {"orders", "channel"}
    assert found.questions["asked"].tolist() == [True, True, False, False]
    rules = " ".join(found.rules["rule"])
    assert "orders > 8" in rules
    assert "age" not in rules
    assert "region" not in rules
    best = 0.2 + 0.9 * 0.8
    for method in ("rule tree", "rule list", "typing tool", "all questions"):
        row = found.accuracy.loc[method]
        assert row["ci_low"] < best < row["ci_high"] + 0.01
    gold = found.rules[(found.rules["segment"] == "Gold") & (found.rules["kind"] == "list")]
    assert gold["precision"].iloc[0] == gold["coverage"].iloc[0] == 1


def test_noise_is_not_told_better_than_by_the_largest_segment():
    customers, segments = shoppers(3000)
    shuffled = pd.Series(np.random.default_rng(4).permutation(segments), segments.index)
    found = describe_membership(customers, shuffled, variables=["orders", "channel"])
    shown = found.accuracy
    assert (shown["ci_low"] <= shown.loc["largest segment", "accuracy"]).all()
    assert (found.rules["ci_low"] < 0.56).all()
    even = np.random.default_rng(4).choice(list("ABC"), len(segments))
    found = describe_membership(customers, even, variables=["orders", "channel"])
    assert found.customers["borderline"].mean() > 0.95


def test_the_typing_tool_adds_the_points_that_it_shows():
    customers, segments = shoppers(600)
    customers.loc[customers.index[:40], "channel"] = None
    found = describe_membership(customers, segments, variables=["orders", "channel"])
    tool = found.typing_tool
    points = tool.points.set_index(["question", "answer"])
    placed = tool.assign(customers)
    for row in customers.head(80).itertuples():
        total = points.loc[("(start)", "")].copy()
        if isinstance(row.channel, str):
            total += points.loc[("channel", row.channel)]
        for answer in points.loc["orders"].index:
            bounds = re.fullmatch(r"(?:over (\d+))?(?:, )?(?:up to (\d+))?", answer)
            low, high = float(bounds[1] or -np.inf), float(bounds[2] or np.inf)
            if low < row.orders <= high:
                total += points.loc[("orders", answer)]
        chance = np.exp(total) / np.exp(total).sum()
        assert placed.loc[row.Index, "segment"] == total.idxmax()
        assert placed.loc[row.Index, "probability"] == pytest.approx(chance.max())
        assert placed.loc[row.Index, "answered"] == 1 + isinstance(row.channel, str)
    held_out = found.customers["held_out"].to_numpy(dtype=bool)
    counts = pd.crosstab(segments[held_out], placed.loc[held_out, "segment"].astype(str))
    assert (counts.to_numpy() == found.confusion.to_numpy()).all()
    share = np.diag(found.confusion).sum() / held_out.sum()
    assert found.accuracy.loc["typing tool", "accuracy"] == pytest.approx(share)
    nobody = pd.DataFrame({"orders": [np.nan], "channel": [None]})
    assert tool.assign(nobody)["answered"].tolist() == [0]
    assert tool.assign(nobody.assign(channel="never seen"))["answered"].tolist() == [0]


def test_the_typing_tool_reads_levels_of_any_type_again():
    rng = np.random.default_rng(8)
    n = 300
    truth = rng.integers(3, size=n)
    customers = pd.DataFrame(
        {
            "plan": pd.Categorical(10 * truth, [0, 10, 20], ordered=True),
            "vip": truth == 2,
            "kind": pd.Series(truth).map({0: "a", 1: "b", 2: None}),
        }
    )
    tool = describe_membership(customers, truth, variables=["plan"]).typing_tool
    plain = pd.DataFrame({"plan": [0, 10, 20, 15]})
    placed = tool.assign(plain)
    assert placed["segment"].tolist()[:3] == ["0", "1", "2"]
    assert placed["answered"].tolist() == [1, 1, 1, 0]
    tool = describe_membership(customers, truth, variables=["vip"]).typing_tool
    said = ([True, False], [1, 7], pd.array([True, None], dtype="boolean"), ["yes", "maybe"])
    answers = [tool.assign(pd.DataFrame({"vip": vip}))["answered"].tolist() for vip in said]
    assert answers == [[1, 1], [1, 0], [1, 0], [1, 0]]
    tool = describe_membership(customers, truth, variables=["kind"]).typing_tool
    assert tool.assign(pd.DataFrame({"kind": ["a", None]}))["answered"].tolist() == [1, 0]


def test_points_are_where_the_penalised_likelihood_is_flat():
    rng = np.random.default_rng(4)
    n, k = 500, 3
    segments = rng.integers(k, size=n)
    codes = np.column_stack([rng.integers(3, size=n), np.where(segments == 0, 0, 1)])
    answers = Answers(codes, [3, 2], np.ones(n))
    rule = learn_points(answers, segments, np.arange(n), [0, 1])
    X, one = answers.matrix(np.arange(n), [0, 1]), np.eye(k)[segments]

    scores = X @ rule.points + rule.start
    chance = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert np.abs((chance - one).sum(axis=0)).max() / n < 1e-3
    assert np.abs(X.T @ (chance - one) + rule.points).max() / n < 1e-3
    two = learn_points(answers, np.minimum(segments, 1), np.arange(n), [0, 1])
    assert two.points[:, 0].tolist() == (-two.points[:, 1]).tolist()


def test_the_order_of_questions_uses_fishers_discriminant(monkeypatch):
    monkeypatch.setattr(_discriminant, "RIDGE", 1e-9)
    rng = np.random.default_rng(3)
    n, k = 400, 3
    segments = rng.integers(k, size=n)
    codes = np.column_stack([rng.integers(4, size=n), (rng.random(n) < 0.2 + 0.3 * segments) * 1])
    codes[:, 0] = np.where(segments == 1, np.minimum(codes[:, 0], 2), codes[:, 0])
    answers = Answers(codes, [4, 2], np.ones(n))
    rule = learn_discriminant(answers.sums(np.arange(n), segments, k), answers.columns([0, 1]))
    scores = answers.matrix(np.arange(n), [0, 1]) @ rule.points + rule.start

    class Unbiased(EmpiricalCovariance):
        def fit(self, X, y=None):
            super().fit(X)
            self.covariance_ = self.covariance_ * n / (n - k)
            return self

    X = np.column_stack([codes[:, [0]] == [[1, 2, 3]], codes[:, 1]]).astype(float)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Unbiased())
    expected = oracle.fit(X, segments).decision_function(X)
    gaps = scores - scores[:, [0]]
    np.testing.assert_allclose(gaps, expected - expected[:, [0]], rtol=1e-5, atol=1e-6)


def test_borderline_customers_stand_where_the_odds_are_even():
    rng = np.random.default_rng(5)
    n = 4000
    side = rng.integers(2, size=n)
    customers = pd.DataFrame({"spend": rng.normal(3 * side, 1), "noise": rng.normal(size=n)})
    found = describe_membership(customers, np.where(side == 1, "high", "low")).customers
    log_odds = 3 * (customers["spend"] - 1.5) * np.where(side == 1, 1, -1)
    truly = log_odds < np.log(2)
    agree = (found["borderline"].astype(bool) == truly).mean()
    assert agree > 0.93
    assert (found["second"].astype(str) != found["segment"].astype(str)).all()


def test_borderline_table_counts_the_customers_in_between():
    customers, segments = shoppers()
    found = describe_membership(customers, segments)
    table = found.borderline()
    people = found.customers[found.customers["borderline"].astype(bool)]
    assert table["n"].sum() == len(people)
    size = segments.value_counts()
    for row in table.itertuples():
        own = (people["segment"] == row.segment) & (people["second"] == row.second)
        assert row.n == own.sum()
        assert row.share == pytest.approx(own.sum() / size[row.segment])


def test_the_order_of_the_rows_does_not_matter_and_unassigned_customers_are_left_out():
    customers, segments = shoppers()
    segments = segments.mask(customers["age"] > 75)
    one = describe_membership(customers, segments)
    shuffled = customers.sample(frac=1, random_state=1)
    two = describe_membership(shuffled, segments)
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame())
    pd.testing.assert_frame_equal(one.confusion, two.confusion)
    pd.testing.assert_frame_equal(one.customers, two.customers.reindex(one.customers.index))
    outside = one.customers[segments.isna()]
    assert outside.isna().all().all()
    assert repr(one) == repr(two)


def test_the_words_follow_from_the_numbers():
    customers, segments = shoppers()
    found = describe_membership(customers, segments)
    text = found.summary()
    tool = found.accuracy.loc["typing tool"]
    assert text.startswith("2 questions (orders, channel) put")
    assert f"{tool['accuracy']:.0%} ({tool['ci_low']:.0%} to {tool['ci_high']:.0%})" in text
    assert f"({found.customers['borderline'].mean():.1%}) are borderline" in text


def test_every_column_that_can_be_asked_is_asked_by_default():
    customers, segments = shoppers(300)
    customers = customers.assign(
        channel=customers["channel"].astype(object).where(customers["age"] > 20, None),
        name=[f"name {i}" for i in range(300)],
        since=pd.Timestamp("2024-01-01"),
        plan=pd.Categorical(np.where(customers["age"] > 40, "big", "small")),
        vip=customers["orders"] > 12,
    )
    found = describe_membership(customers, segments, max_questions=20)
    asked = {"orders", "channel", "age", "region", "plan", "vip"}
    assert set(found.questions.index) == asked


def test_a_sample_is_learned_from_where_there_are_many_and_no_segment_is_lost(monkeypatch):
    monkeypatch.setattr(_placement, "LEARN", 300)
    customers, segments = shoppers(2000)
    segments = segments.mask(segments == "Gold", "Basic")
    segments.iloc[:12] = "Tiny"
    customers.iloc[:12, 0] = 40
    found = describe_membership(customers, segments)
    assert any("learned from 300 of them, a sample" in note for note in found.notes)
    assert np.isfinite(found.typing_tool.points.iloc[:, 2:].to_numpy()).all()
    tiny = found.typing_tool.assign(customers.iloc[:12])["segment"]
    assert (tiny == "Tiny").all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"variables": ["order"]}, cs.errors.ColumnError, ["'order'", "'orders'"]),
        ({"variables": "orders"}, cs.errors.ParameterError, ["must be a list: ['orders']"]),
        ({"variables": []}, cs.errors.ParameterError, ["at least one column"]),
        ({"variables": ["age", "age"]}, cs.errors.ParameterError, ["more than once"]),
        ({"max_conditions": 0}, cs.errors.ParameterError, ["max_conditions is 0", ">= 1"]),
        ({"max_questions": 1.5}, cs.errors.ParameterError, ["whole number"]),
        ({"holdout": 0}, cs.errors.ParameterError, ["holdout is 0"]),
        ({"level": 95}, cs.errors.ParameterError, ["level is 95"]),
        ({"weights": [-1.0] * 100}, cs.errors.DataError, ["100 customers", "not above 0"]),
    ],
)
def test_wrong_parameters_say_what_to_do(change, error, words):
    customers, segments = shoppers(100)
    with pytest.raises(error) as caught:
        describe_membership(customers, segments, **change)
    for word in words:
        assert word in str(caught.value)


def test_wrong_data_say_what_to_do():
    customers, segments = shoppers(100)
    with pytest.raises(cs.errors.DataError, match="one segment only"):
        describe_membership(customers, ["A"] * 100)
    with pytest.raises(cs.errors.DataError, match="fewer than 10 customers are in 'Z'"):
        describe_membership(customers, ["Z"] * 3 + ["A"] * 97)
    day = customers.assign(day=pd.Timestamp("2024-01-01"))
    with pytest.raises(cs.errors.DataError, match="'day' is of type datetime"):
        describe_membership(day, segments, variables=["day"])
    with pytest.raises(cs.errors.DataError, match="infinite"):
        describe_membership(customers.assign(orders=np.inf), segments)
    tool = describe_membership(customers, segments, variables=["orders"]).typing_tool
    with pytest.raises(cs.errors.ColumnError, match="'orders'"):
        tool.assign(customers[["age"]])
    with pytest.raises(cs.errors.DataError, match=r"pandas\.to_numeric"):
        tool.assign(pd.DataFrame({"orders": ["many"]}))
    with pytest.raises(cs.errors.DataError, match="customers is a NoneType"):
        tool.assign(None)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_mean_dissimilarity_equals_a_double_loop(weighted):
    rng = np.random.default_rng(6)
    n = 40
    customers = pd.DataFrame(
        {
            "spend": rng.gamma(1, 50, n).round(),
            "band": pd.Categorical(rng.choice(list("abc"), n), list("abc"), ordered=True),
            "region": rng.choice(["North", "South", "West"], n),
        }
    )
    customers.loc[[3, 7], "spend"] = np.nan
    counts = rng.integers(1, 4, n) if weighted else np.ones(n, dtype=int)
    spaces = positions(read_columns(customers, list(customers)), counts.astype(float))
    rows = np.flatnonzero(rng.random(n) < 0.7)
    repeated = customers.iloc[np.repeat(np.arange(n), counts)]
    ranks = [repeated["spend"].rank(pct=True), repeated["band"].cat.codes.rank(pct=True)]
    ranks = [column[~column.index.duplicated()] for column in ranks]
    total = np.zeros(len(rows))
    for column in (*ranks, customers["region"]):
        own = column.iloc[rows].tolist()
        means = []
        others = np.repeat(own, counts[rows]).tolist()
        others = [y for y in others if y == y and y != "nan"]
        for x in own:
            if x != x:
                means.append(np.nan)
                continue
            gaps = [(x != y) if isinstance(x, str) else abs(x - y) for y in others]
            means.append(np.mean(gaps))
        means = np.array(means)
        average = np.nanmean(np.repeat(means, counts[rows]))
        total += np.where(np.isnan(means), average, means)
    found = mean_dissimilarity(spaces, rows, counts.astype(float))
    np.testing.assert_allclose(found, total / 3, rtol=1e-12)


@pytest.mark.parametrize(("low", "high"), [(1.0, 2.0), (0.30000001, 0.30000002), (-5.0, -4.5)])
def test_a_cut_parts_its_neighbours(low, high):
    assert low <= between(low, high) < high


def test_cuts_part_evenly_and_never_split_equal_values():
    rng = np.random.default_rng(7)
    values = rng.gamma(1, 100, 1000)
    cuts = quantile_cuts(values, 6)
    shares = np.bincount(np.searchsorted(cuts, values, side="left")) / 1000
    np.testing.assert_allclose(shares, 1 / 6, atol=0.01)
    few = quantile_cuts(np.array([1.0, 1, 1, 2, 2, 5, np.nan]), 6)
    assert few.tolist() == [1, 4]
    assert len(quantile_cuts(np.ones(5), 6)) == 0
