"""Segments as leaves: what the tree asks, what it is grown for, and what is said of the target."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from custseg.clustering._questions import round_cut
from custseg.clustering._trees import LEAF, explain, grow, ranks, squared_errors
from custseg.clustering.tree_rules import TreeRules
from custseg.errors import ColumnError, DataError, ParameterError

REFUSED = {
    "check_dtype_object": "a dictionary in a cell is refused in Python's words",
    "check_sample_weight_equivalence_on_dense_data": (
        "who is held out, and the folds, are drawn among rows: repeated rows are more of them"
    ),
}


@parametrize_with_checks(
    [TreeRules(3), TreeRules(3, holdout=0, min_share=0.1)],
    expected_failed_checks=lambda _: REFUSED,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def shoppers(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Customers who spend by a rule of orders and region; age has nothing to do with it."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "orders": rng.integers(1, 15, n),
            "age": rng.normal(45, 12, n).round(1),
            "region": rng.choice(["North", "South", "West"], n),
            "member": rng.random(n) < 0.4,
        },
        index=pd.Index(rng.permutation(n) + 1, name="customer_id"),
    )
    frame["truth"] = np.where(frame["orders"] <= 6, 0, np.where(frame["region"] == "South", 1, 2))
    frame["spend"] = frame["truth"].map({0: 20, 1: 60, 2: 100}) + rng.normal(0, 6, n)
    return frame


def differing(**options) -> TreeRules:
    return TreeRules(**({"target": "spend", "random_state": 0} | options))


def holds(frame: pd.DataFrame, rule: str) -> np.ndarray:
    """Return for whom a rule about numbers holds, read as it is written."""
    return frame.eval(" & ".join(f"({part})" for part in rule.split(" and "))).to_numpy()


def test_planted_rules_are_found_and_said():
    customers = shoppers()
    rules = differing().fit(customers.drop(columns="truth"))
    assert adjusted_rand_score(customers["truth"], rules.labels_) > 0.99
    assert rules.rules_["rule"].tolist() == [
        "orders <= 6",
        "orders > 6 and region is not South",
        "orders > 6 and region is South",
    ]
    table = rules.rules_
    assert table["n"].tolist() == np.bincount(rules.labels_).tolist()
    assert table["share"].sum() == pytest.approx(1)
    held_out = customers["spend"][rules.held_out_]
    assert len(held_out) == round(0.3 * 600) == table["n_judged"].sum()
    expected = held_out.groupby(rules.labels_[rules.held_out_]).mean()
    np.testing.assert_allclose(table["mean"], expected)
    assert ((table["ci_low"] < expected) & (expected < table["ci_high"])).all()
    assert 0.9 < rules.explained_ < 1
    needed = customers[["region", "orders"]]  # not the target, nor what no rule asks about
    np.testing.assert_array_equal(rules.predict(needed), rules.labels_)


def test_a_target_beside_the_table_is_the_target_in_it():
    customers = shoppers().drop(columns="truth")
    within = differing().fit(customers)
    features = customers.drop(columns="spend")
    beside = differing(target=None).fit(features, customers["spend"])
    shuffled = differing(target=None).fit(
        features, customers["spend"].sample(frac=1, random_state=1)
    )
    by_place = differing(target=1).fit(customers[["orders", "spend"]].to_numpy())
    for other in (beside, shuffled):
        pd.testing.assert_frame_equal(other.rules_, within.rules_)
    assert "that differ in x1" in by_place.summary()
    with pytest.raises(DataError, match="different customer ids"):
        differing(target=None).fit(features, customers["spend"].reset_index(drop=True))
    with pytest.raises(ParameterError, match="two targets: the column 'spend' and y"):
        differing().fit(customers, customers["spend"])


@pytest.mark.parametrize("kind", ["number", "categories"])
def test_growing_is_scikit_learns_best_first_tree(kind):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 4)).round(1)
    y = X[:, 0] * (X[:, 1] > 0) + rng.normal(0, 0.5, 400)
    weights = rng.integers(1, 4, 400).astype(float)
    oracle = DecisionTreeRegressor
    target = y[:, None]
    if kind == "categories":
        y = np.digitize(y, [-0.5, 0.5])
        target, oracle = np.eye(3)[y], DecisionTreeClassifier
    tree = grow(X, target, weights, max_leaves=9, min_share=0.03, seed=0)
    errors = squared_errors(tree, (X, target, weights), (X, target))
    for leaves in range(2, 10):
        options = {"max_leaf_nodes": leaves, "min_weight_fraction_leaf": 0.03, "random_state": 0}
        expected = oracle(**options).fit(X, y, sample_weight=weights)
        found = grow(X, target, weights, max_leaves=leaves, min_share=0.03, seed=0)
        assert adjusted_rand_score(expected.apply(X), found.nodes(X)) == 1
        if kind == "number":
            np.testing.assert_allclose(errors[:, leaves - 1], (y - expected.predict(X)) ** 2)
        else:
            shares = ((target - expected.predict_proba(X)) ** 2).sum(axis=1)
            np.testing.assert_allclose(errors[:, leaves - 1], shares)


def test_answers_that_single_precision_cannot_tell_apart():
    X = 1e9 + np.arange(40.0)[:, None]
    y = (X > 1e9 + 20).astype(float)
    assert len(np.unique(X.astype(np.float32))) == 2
    tree = grow(X, y, np.ones(40), max_leaves=2, min_share=0.05, seed=0)
    np.testing.assert_array_equal(tree.nodes(X) == tree.nodes(X)[-1], y[:, 0] == 1)


def mistakes(values, labels, centers, cut):
    return int(((values <= cut) != (centers[labels] <= cut)).sum())


@given(arrays(np.int64, (24, 2), elements=st.integers(0, 6)), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_the_first_cut_between_clusters_parts_the_fewest(values, seed):
    labels = np.random.default_rng(seed).integers(0, 3, 24)
    X = values + 2.0 * labels[:, None]
    tree = explain(X, labels, np.ones(24), min_share=1e-9)
    known = np.unique(labels)
    centers = np.array(
        [np.sort(X[labels == c], axis=0)[(sum(labels == c) - 1) // 2] for c in known]
    )
    codes = np.searchsorted(known, labels)
    every = {
        (q, cut): mistakes(X[:, q], codes, centers[:, q], cut)
        for q in range(2)
        for cut in np.unique(X[:, q])
        if centers[:, q].min() <= cut < centers[:, q].max()
    }
    if not every:
        assert tree.n_leaves == 1
        return
    q, cut = int(tree.question[0]), tree.cut[0]
    assert mistakes(X[:, q], codes, centers[:, q], cut) == min(every.values())
    assert tree.n_leaves <= len(known)


@pytest.mark.parametrize("seed", range(6))
def test_clusters_become_rules_at_little_cost(seed):
    X, truth = make_blobs(1500, 5, centers=7, cluster_std=1.0, random_state=seed)
    rules = TreeRules(7, random_state=0).fit(X)
    assert adjusted_rand_score(truth, rules.labels_) > 0.9
    matrix = (X - X.mean(axis=0)) / X.std(axis=0)
    best = KMeans(7, n_init=10, random_state=0).fit(matrix).inertia_
    within = sum(
        ((matrix[rules.labels_ == leaf] - matrix[rules.labels_ == leaf].mean(axis=0)) ** 2).sum()
        for leaf in range(7)
    )
    assert rules.price_ == pytest.approx(within / best, rel=1e-6)
    assert rules.explained_ == pytest.approx(1 - within / (matrix**2).sum())
    assert 0.999 < rules.price_ < 1.25


def test_another_models_segments_are_imitated():
    X, _ = make_blobs(2000, 3, centers=5, cluster_std=1.2, random_state=4)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    names = np.array(list("VWXYZ"))
    frame["segment"] = names[KMeans(5, n_init=10, random_state=0).fit_predict(X)]
    rules = TreeRules(12, target="segment", random_state=0).fit(frame)
    majority = rules.rules_["level"].to_numpy()[rules.labels_]
    held_out = rules.held_out_
    assert rules.fidelity_ == (majority == frame["segment"])[held_out].mean() > 0.95
    assert "that tell segment: right for 9" in rules.summary()
    assert set(rules.rules_["level"]) == set(names)


def test_rules_are_read_as_they_are_written():
    customers = shoppers(seed=5)[["orders", "age"]]
    customers["spend"] = customers["orders"] * (customers["age"] - 40)
    for rules in (differing(min_share=0.03, n_clusters=14), TreeRules(9, random_state=1)):
        table = rules.fit(customers).rules_
        members = np.array([holds(customers, rule) for rule in table["rule"]])
        assert (members.sum(axis=0) == 1).all()
        np.testing.assert_array_equal(members.argmax(axis=0), rules.labels_)
        np.testing.assert_array_equal(rules.predict(customers), rules.labels_)
        assert table["share"].min() > 0.02


def test_a_value_on_the_cut_goes_below_it():
    customers = pd.DataFrame({"orders": [1, 2, 3, 4] * 30})
    rules = TreeRules(2).fit(customers)
    assert rules.rules_["rule"].tolist() == ["orders <= 2", "orders > 2"]
    assert rules.predict(pd.DataFrame({"orders": [2, 2 + 1e-9]})).tolist() == [0, 1]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_a_round_cut_lies_between(low, width):
    high = low + width
    cut = round_cut(low, high)
    assert low <= cut < high


def test_numbers_of_few_digits():
    pairs = [(28, 31), (0, 1), (-5, -3), (0.1234, 0.1412), (1.0, 1.0 + 2**-52), (-np.inf, 3)]
    assert [round_cut(*pair) for pair in pairs] == [30, 0, -4, 0.13, 1.0, -np.inf]


def test_levels_orders_and_truths_in_words():
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"member": rng.random(500) < 0.5})
    frame["income"] = pd.Categorical(
        rng.choice(["low", "middle", "high"], 500), ["low", "middle", "high"], ordered=True
    )
    frame["plan"] = pd.Categorical(
        rng.choice(["free", "basic", "pro", "rare"], 500, p=[0.4, 0.3, 0.28, 0.02])
    )
    frame["y"] = (
        10.0 * frame["member"]
        + 40 * (frame["income"] > "low")
        + 100 * (frame["plan"] == "pro")
        + 200 * (frame["plan"] == "basic")
        + rng.normal(0, 1, 500)
    )
    rules = TreeRules(12, target="y", min_share=0.02, random_state=0).fit(frame)
    first = rules.rules_["rule"][0]
    assert first == "plan is none of basic, pro and income <= low and member is False"
    assert "income > low" in rules.rules_["rule"][2]
    assert rules.explained_ > 0.99
    strange = frame.iloc[[0]].assign(plan="gold", member=False, income=frame["income"].iloc[[0]])
    strange["income"] = pd.Categorical(["low"], ["low", "middle", "high"], ordered=True)
    assert rules.predict(strange).tolist() == [
        0
    ]  # a level nobody asks about is none of those asked
    with pytest.raises(DataError, match="'income' has the value 'huge'"):
        rules.predict(strange.assign(income=pd.Categorical(["huge"], ["huge"], ordered=True)))


def test_missing_counts_as_lower_than_any_number():
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"nps": rng.integers(0, 11, 600).astype(float)})
    frame["region"] = rng.choice(["North", "South"], 600)
    frame.loc[rng.random(600) < 0.3, "nps"] = np.nan
    frame.loc[rng.random(600) < 0.1, "region"] = None
    frame["spend"] = np.where(frame["nps"].isna(), 50.0, np.where(frame["nps"] > 6, 90, 10))
    frame["spend"] += 5.0 * (frame["region"] == "South") + rng.normal(0, 1, 600)
    rules = differing(n_clusters=3).fit(frame)
    assert sorted(rules.rules_["rule"]) == ["nps <= 6", "nps > 6", "nps is missing"]
    low = differing(n_clusters=2).fit(frame.assign(spend=frame["nps"] > 6))
    assert low.rules_["rule"].tolist() == ["(nps <= 6 or missing)", "nps > 6"]
    six = differing(n_clusters=6).fit(frame)
    assert "nps > 6 and region is South" in six.rules_["rule"].tolist()
    np.testing.assert_array_equal(six.predict(frame), six.labels_)
    whole = differing().fit(frame.dropna())
    with pytest.raises(DataError, match="had none when the rules were learned"):
        whole.predict(frame)
    with pytest.raises(DataError, match=r"'nps' has .* missing"):
        TreeRules(3).fit(frame[["nps"]])


def test_no_structure_is_an_answer():
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        noise = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
        noise["spend"] = rng.lognormal(0, 1, 300)
        found.append(len(differing(random_state=seed).fit(noise).rules_))
    assert np.mean(np.array(found) > 1) <= 0.1
    last = differing().fit(noise.assign(spend=rng.normal(size=300)))
    assert last.rules_["rule"].tolist() == ["everybody"]
    assert "no question predicts spend" in last.notes_[1]
    assert set(last.labels_) == {0}


def test_what_is_said_of_the_target_is_honest():
    """Leaves chosen by their target look too different where they were chosen, not elsewhere."""
    inside, outside = {0.0: 0, 0.5: 0}, {0.0: 0, 0.5: 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.normal(size=(400, 6)), columns=list("abcdef"))
        frame["spend"] = 0.5 * frame["a"] + rng.normal(0, 2, 400)
        truth = pd.DataFrame(rng.normal(size=(20_000, 6)), columns=list("abcdef"))
        for holdout in inside:
            rules = differing(holdout=holdout, min_share=0.02, random_state=seed).fit(frame)
            expected = (0.5 * truth["a"]).groupby(rules.predict(truth)).mean()
            table = rules.rules_.loc[expected.index]
            covered = (table["ci_low"] <= expected) & (expected <= table["ci_high"])
            inside[holdout] += int(covered.sum())
            outside[holdout] += int((~covered).sum())
    share = {h: inside[h] / (inside[h] + outside[h]) for h in inside}
    assert share[0.5] > 0.92
    assert share[0.0] < share[0.5] - 0.03
    assert "too large" in rules.set_params(holdout=0).fit(frame).notes_[0]


def test_customers_without_a_target_get_a_segment_and_no_say():
    customers = shoppers().drop(columns="truth")
    customers.loc[customers.index[:50], "spend"] = np.nan
    rules = differing().fit(customers)
    assert not rules.held_out_[:50].any()
    assert rules.rules_["n_judged"].sum() == round(0.3 * 550)
    assert rules.notes_[-1] == "50 customers without spend had no part in this."
    np.testing.assert_array_equal(rules.predict(customers), rules.labels_)


def test_weights_count_customers_when_squares_are_summed():
    X, _ = make_blobs(300, 3, centers=4, random_state=8)
    weights = np.random.default_rng(8).integers(0, 4, 300)
    weighted = TreeRules(4, random_state=0).fit(X, sample_weight=weights)
    repeated = TreeRules(4, random_state=0).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))
    np.testing.assert_allclose(weighted.rules_["share"], repeated.rules_["share"])


def test_it_follows_scikit_learn_and_is_deterministic():
    customers = shoppers().drop(columns="truth")
    rules = differing()
    copy = clone(rules)
    assert repr(copy).startswith("TreeRules(")
    assert repr(copy.fit(customers)) == repr(rules.fit(customers))
    np.testing.assert_array_equal(copy.labels_, rules.labels_)
    assert rules._repr_mimebundle_() == {"text/plain": repr(rules)}
    only = TreeRules(5, random_state=0).fit(customers[["member"]])
    assert only.notes_ == (
        "2 segments instead of 5: no further question leaves 0.05 of the customers on both sides.",
    )
    assert (
        grow(np.empty((5, 0)), np.ones((5, 1)), np.ones(5), max_leaves=3, min_share=0.1, seed=0)
        is LEAF
    )
    assert ranks(np.array([[3.0], [-np.inf], [3.0]]))[0].tolist() == [[1], [0], [1]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_clusters": 0}, "n_clusters is 0, but must be a whole number >= 1"),
        ({"min_share": 0}, "min_share is 0, but must be a number"),
        ({"min_share": 0.6}, "min_share is 0.6"),
        ({"holdout": 1.0}, "holdout is 1.0"),
        ({"encoder": "scale", "target": None}, "encoder is 'scale'"),
        ({"random_state": -1}, "random_state is -1"),
    ],
)
def test_bad_parameters_are_refused(options, words):
    with pytest.raises(ParameterError, match=words):
        differing(**options).fit(shoppers(50).drop(columns="truth"))


def test_bad_tables_are_refused():
    customers = shoppers(50)
    with pytest.raises(ColumnError, match="Did you mean 'spend'"):
        differing(target="spent").fit(customers)
    with pytest.raises(DataError, match="target 'spend' has 1 distinct value"):
        differing().fit(customers.assign(spend=1))
    with pytest.raises(DataError, match="target 'spend' holds dates"):
        differing().fit(customers.assign(spend=pd.date_range("2024-01-01", periods=50)))
    with pytest.raises(DataError, match="'age' has 50 infinite"):
        differing().fit(customers.assign(age=np.inf))
    with pytest.raises(DataError, match="y has 3 values for 50 customers"):
        TreeRules().fit(customers, [1, 2, 3])
    fitted = differing().fit(customers.drop(columns="truth"))
    with pytest.raises(ColumnError, match="no column"):
        fitted.predict(customers[["age"]])
