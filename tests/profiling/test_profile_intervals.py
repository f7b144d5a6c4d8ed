"""Medians, indices, standardised differences and weights of profiles against oracles."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

import custseg as cs
from custseg.profiling import profile
from custseg.profiling._estimates import (
    Sample,
    distances,
    medians,
    moments,
    values_with_intervals,
)
from custseg.stats import wilson


def shoppers(seed: int, n: int = 200) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    gold = rng.random(n) < 0.3
    customers = pd.DataFrame(
        {
            "spend": rng.gamma(2, 50, n) * np.where(gold, 2, 1),
            "visits": rng.poisson(3 + 2 * gold),
            "member": (rng.random(n) < 0.2 + 0.4 * gold).astype(int),
            "region": rng.choice(["north", "south", "west"], n),
            "weight": rng.uniform(0.5, 2, n),
        },
        index=pd.RangeIndex(n, name="customer_id"),
    )
    return customers, np.where(gold, "Gold", "Basic")


NAMES = {"variables": ["spend", "visits"], "descriptors": ["member", "region"]}


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_medians_and_their_bounds_equal_scipy(level):
    customers, segments = shoppers(0)
    found = profile(customers, segments, **NAMES, level=level)
    table = found.to_frame().set_index(["segment", "variable"])
    for segment in ("Gold", "Basic"):
        x = customers.loc[segments == segment, "spend"]
        row = table.loc[(segment, "spend")]
        assert row["median"] == np.median(x)
        oracle = stats.quantile_test(x, p=0.5).confidence_interval(level)
        assert (row["median_low"], row["median_high"]) == (oracle.low, oracle.high)
    assert table.loc[("Gold", "member"), "median"] != table.loc[("Gold", "member"), "median"]
    assert found.overall.loc[("spend", ""), "median"] == np.median(customers["spend"])


def test_a_median_of_few_customers_has_no_bounds():
    customers = pd.DataFrame({"spend": np.arange(1.0, 12.0)})
    found = profile(customers, ["A"] * 5 + ["B"] * 6, variables=["spend"]).to_frame()
    assert found["median"].tolist() == [3.0, 8.5]
    assert np.isnan(found.loc[0, "median_low"])
    assert found.loc[1, ["median_low", "median_high"]].tolist() == [6.0, 11.0]


@pytest.mark.parametrize("weighted", [False, True])
def test_reaches_of_numbers_equal_the_jackknife(weighted):
    customers, segments = shoppers(1, n=150)
    weights = customers["weight"].to_numpy() if weighted else np.ones(150)
    every = Sample(customers["spend"].to_numpy(), weights, (segments == "Gold").astype(int), 2)

    def gold(sample: Sample) -> tuple[float, float]:
        index, d = distances(sample, moments(sample), 0.95, is_share=False)
        return float(index[0][1]), float(d[0][1])

    rows = np.arange(150)
    without = [gold(Sample(*(part[rows != left] for part in every[:3]), 2)) for left in rows]
    errors = np.std(without, axis=0) * np.sqrt(149)
    found = moments(every)
    t = stats.t.isf(0.025, found.equal[1] - 1)
    (index, low, high), (_, down, up) = distances(every, found, 0.95, is_share=False)
    reach = np.log(high[1] / low[1]) / 2 / t * index[1]
    np.testing.assert_allclose([reach, (up[1] - down[1]) / 2 / t], errors, rtol=0.06)
    np.testing.assert_allclose(index**2, low * high)


def estimates(customers: pd.DataFrame, segments: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return by variable, estimate and segment: the estimate and its bounds."""
    rows = []
    for name in ("spend", "visits", "member"):
        values = customers[name].to_numpy(dtype=float)
        sample = Sample(values, weights, (segments == "Gold").astype(int), 2)
        found, share = moments(sample), name == "member"
        rows.append(values_with_intervals(found, 0.95, is_share=share))
        rows += distances(sample, found, 0.95, is_share=share)
        rows.append(medians(sample, 0.95))
    return np.array(rows).reshape(3, 4, 3, 2)


@pytest.mark.parametrize("weighted", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(weighted):
    customers, segments = shoppers(2, n=200_000)
    truth = estimates(customers, segments, np.ones(len(customers)))[:, :, 0]
    rng = np.random.default_rng(3)
    held, draws = np.zeros(truth.shape), 300
    for _ in range(draws):
        rows = rng.choice(len(customers), 150)
        weights = rng.uniform(0.4, 2.5, 150) if weighted else np.ones(150)
        found = estimates(customers.iloc[rows], segments[rows], weights)
        held += (found[:, :, 1] <= truth) & (truth <= found[:, :, 2])
    shares = held / draws
    rest, error = shares[:, :3], np.sqrt(0.95 * 0.05 / draws)
    assert shares[0, 3].min() > 0.91
    assert shares[1, 3].min() > 0.95, "a count has few values, and bounds are among them"
    assert (np.abs(rest - 0.95) < 3.5 * error).all()
    assert abs(rest.mean() - 0.95) < 2 * error


def test_shares_of_none_and_of_all_have_bounds():
    customers = pd.DataFrame({"card": [1] * 20 + [0] * 20, "zero": [0.5] * 20 + [0.0] * 20})
    found = profile(customers, ["A"] * 20 + ["B"] * 20, variables=["card"], descriptors=["zero"])
    table = found.to_frame().set_index(["segment", "variable"])
    none, every = table.loc[("B", "card")], table.loc[("A", "card")]
    assert none["index"] == 0
    assert none["index_low"] == 0
    np.testing.assert_allclose(none["index_high"], 100 * wilson(0, 20)[1] / 0.5, rtol=1e-12)
    assert every["index"] == 200
    assert 0 < every["index_low"] < 200 < every["index_high"]
    assert every["std_diff_low"] < 1 == every["std_diff"]
    assert table.loc[("A", "zero"), "index_high"] <= 200


def test_one_segment_is_its_own_average():
    customers, _ = shoppers(4)
    table = profile(customers, ["A"] * 200, **NAMES).to_frame()
    np.testing.assert_allclose(table[["index", "index_low", "index_high"]], 100, rtol=1e-9)
    np.testing.assert_allclose(table[["std_diff", "std_diff_low", "std_diff_high"]], 0, atol=1e-7)


def test_whole_weights_count_like_copies_of_customers():
    customers, segments = shoppers(5, n=60)
    times = np.random.default_rng(5).integers(1, 4, size=60)
    copied = customers.loc[customers.index.repeat(times)].reset_index(drop=True)
    weighted = profile(customers, segments, **NAMES, weights=times).to_frame()
    plain = profile(copied, np.repeat(segments, times), **NAMES).to_frame()
    for name in ("value", "overall", "index", "median"):
        np.testing.assert_allclose(weighted[name], plain[name], rtol=1e-12)
    assert weighted["n"].sum() < plain["n"].sum()


def test_weighted_means_and_shares_have_linearised_errors():
    customers, segments = shoppers(6)
    found = profile(customers, segments, **NAMES, weights="weight")
    gold = customers[segments == "Gold"]
    oracle = DescrStatsW(gold["spend"], weights=gold["weight"])
    row = found.to_frame().query("segment == 'Gold' and variable == 'spend'").iloc[0]
    n, total = len(gold), gold["weight"].sum()
    hc2 = sm.WLS(gold["spend"], np.ones(n), weights=gold["weight"]).fit(cov_type="HC2")
    free = total**2 / (gold["weight"] ** 2).sum() - 1
    half = stats.t.isf(0.025, free) * hc2.bse.iloc[0]
    np.testing.assert_allclose(
        row[["value", "ci_low", "ci_high"]].astype(float),
        [oracle.mean, oracle.mean - half, oracle.mean + half],
        rtol=1e-12,
    )
    member = found.to_frame().query("segment == 'Gold' and variable == 'member'").iloc[0]
    score = cs.stats.csat(gold["member"], gold["weight"], satisfied=1, scale=(0, 1))
    np.testing.assert_allclose(
        member[["value", "ci_low", "ci_high"]].astype(float),
        np.array([score.estimate, score.ci_low, score.ci_high]) / 100,
        rtol=1e-9,
    )
    share = customers["weight"][segments == "Gold"].sum() / customers["weight"].sum()
    assert found.sizes.loc["Gold", "share"] == pytest.approx(share, rel=1e-12)
    assert found.sizes.loc["Gold", "n"] == n
    assert any("are worth" in note and "Kish" in note for note in found.notes)


def test_equal_weights_and_their_unit_change_nothing():
    customers, segments = shoppers(7)
    plain = profile(customers, segments, **NAMES)
    equal = profile(customers, segments, **NAMES, weights=np.full(200, 7.0))
    pd.testing.assert_frame_equal(plain.to_frame(), equal.to_frame(), rtol=1e-10)
    pd.testing.assert_frame_equal(plain.tests, equal.tests, rtol=1e-10)
    one = profile(customers, segments, **NAMES, weights=customers["weight"])
    two = profile(customers, segments, **NAMES, weights=100 * customers["weight"].sample(frac=1))
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame(), rtol=1e-10)
    pd.testing.assert_frame_equal(one.tests, two.tests, rtol=1e-9)


def test_customers_in_no_segment_need_no_weight():
    customers, segments = shoppers(8)
    labels = pd.Series(segments, customers.index).mask(customers.index < 50)
    weights = customers["weight"].iloc[50:]
    found = profile(customers, labels, **NAMES, weights=weights)
    assert found.sizes["n"].sum() == 150


def test_the_dictionary_says_what_numbers_mean():
    customers, segments = shoppers(9)
    customers = customers.assign(
        plan=np.random.default_rng(9).integers(1, 4, 200), grade=customers["visits"] % 5
    )
    kinds = {"member": "count", "plan": "nominal", "grade": {"kind": "ordinal", "source": "survey"}}
    described = {"variables": ["spend"], "descriptors": ["member", "plan", "grade"]}
    found = profile(customers, segments, **described, dictionary=kinds)
    assert found.overall.index.tolist() == [
        ("spend", ""),
        ("member", ""),
        ("plan", "1"),
        ("plan", "2"),
        ("plan", "3"),
        ("grade", ""),
    ]
    assert not found.overall.loc[("member", ""), "is_share"]
    assert found.tests["test"].tolist() == ["Welch's ANOVA", "chi-square", "Kruskal-Wallis"]
    assert any("not in the dictionary" in note and "'spend'" in note for note in found.notes)
    frame = cs.features.describe_columns(customers, dictionary=kinds)
    again = profile(customers, segments, **described, dictionary=frame)
    pd.testing.assert_frame_equal(found.to_frame(), again.to_frame())
    pd.testing.assert_frame_equal(found.tests, again.tests)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"weights": "wieght"}, cs.errors.ColumnError, ["'wieght'", "'weight'"]),
        ({"weights": [1.0, 2.0]}, cs.errors.DataError, ["(2,)", "200 customers"]),
        ({"weights": np.zeros(200)}, cs.errors.DataError, ["200 customers", "not above 0"]),
        ({"weights": ["a"] * 200}, cs.errors.DataError, ["text"]),
        ({"weights": pd.Series([1.0], [5])}, cs.errors.DataError, ["199 customers", "missing"]),
        ({"weights": pd.Series([1.0, 2.0], [5, 5])}, cs.errors.DataError, ["one for each"]),
        ({"dictionary": {"spend": "money"}}, cs.errors.ParameterError, ["'money'", "'numeric'"]),
        ({"dictionary": {"spend": "binary"}}, cs.errors.DataError, ["'spend'", "0 and 1"]),
        ({"dictionary": ["spend"]}, cs.errors.ParameterError, ["list", "describe_columns"]),
        ({"dictionary": pd.DataFrame({"a": [1]})}, cs.errors.ColumnError, ["'column'"]),
    ],
)
def test_wrong_weights_and_dictionaries_say_what_to_do(change, error, words):
    customers, segments = shoppers(10)
    with pytest.raises(error) as caught:
        profile(customers, segments, **NAMES, **change)
    for word in words:
        assert word in str(caught.value)
