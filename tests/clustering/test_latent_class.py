"""Latent classes against published fits, scikit-learn, simulation and their own promises."""

import os
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

import custseg as cs
from custseg.clustering.latent_class import LatentClass
from custseg.errors import ColumnError, DataError, ParameterError

mpl.use("Agg")

CARCINOMA = {
    "0000000": 34,
    "0000100": 2,
    "0100000": 6,
    "0100001": 1,
    "0100100": 4,
    "0100101": 5,
    "1000000": 2,
    "1010101": 1,
    "1100000": 2,
    "1100001": 1,
    "1100100": 2,
    "1100101": 7,
    "1100111": 1,
    "1101001": 1,
    "1101101": 2,
    "1101111": 3,
    "1110101": 13,
    "1110111": 5,
    "1111101": 10,
    "1111111": 16,
}
"""Seven pathologists on 118 slides (Agresti 2002, Categorical Data Analysis, table 13.1)."""

PATTERNS = pd.DataFrame([list(map(int, p)) for p in CARCINOMA], columns=list("ABCDEFG"))
COUNTS = np.array(list(CARCINOMA.values()))


def shoppers(n: int = 1_500, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Three planted classes in items of every kind."""
    rng = np.random.default_rng(seed)
    z = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    other = rng.choice(3, n)
    frame = pd.DataFrame(
        {
            "member": rng.random(n) < np.array([0.1, 0.5, 0.95])[z],
            "region": np.array(["East", "North", "South"])[np.where(rng.random(n) < 0.8, z, other)],
            "stars": np.clip(np.round(rng.normal(1.5 * z + 1.5, 0.8)), 1, 5).astype(int),
            "income": pd.Categorical.from_codes(
                np.clip(np.round(rng.normal(z, 0.6)), 0, 2).astype(int),
                ["low", "middle", "high"],
                ordered=True,
            ),
            "spend": rng.normal(100 * z, 40 + 10 * z),
        }
    )
    return frame, z


ITEMS = {"stars": "ordinal"}


@pytest.fixture(scope="module")
def planted():
    frame, z = shoppers()
    return frame, z, LatentClass(3, items=ITEMS, random_state=0).fit(frame)


@parametrize_with_checks([LatentClass(n_init=3, random_state=0)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("k", "log_likelihood", "aic", "bic", "g2", "x2"),
    [
        (2, -317.2568, 664.5137, 706.0739, 62.36543, 92.64814),
        (3, -293.705, 633.41, 697.1357, 15.26171, 20.50336),
    ],
)
def test_carcinoma_as_published_by_polca(k, log_likelihood, aic, bic, g2, x2):
    assert COUNTS.sum() == 118
    model = LatentClass(k, random_state=0).fit(PATTERNS, sample_weight=COUNTS)
    assert model.log_likelihood_ == pytest.approx(log_likelihood, abs=6e-4)
    assert model.aic_ == pytest.approx(aic, abs=1e-3)
    assert model.bic_ == pytest.approx(bic, abs=1e-3)
    assert model.g2_ == pytest.approx(g2, abs=1e-4)
    assert model.x2_ == pytest.approx(x2, abs=1e-3)
    assert (model.n_parameters_, model.df_) == (8 * k - 1, 128 - 8 * k)
    assert model.converged_
    assert (model.log_likelihoods_ > model.log_likelihood_ - 0.01).mean() > 0.5


FITTED = """
34: 1.1 23.0 33.8; 2: 1.6 6.6 2.0; 6: 2.2 12.7 6.3; 1: 2.8 1.7 1.5; 4: 3.3 3.6 3.0; 5: 4.2 0.5 4.7;
2: 1.4 3.0 2.1; 1: 1.6 0.2 0.2; 2: 2.8 1.7 1.3; 1: 3.5 0.3 1.6; 2: 4.2 0.5 2.9; 7: 5.3 3.7 6.5;
1: 1.4 2.6 1.4; 1: 1.3 0.1 0.1; 2: 2.0 4.3 2.6; 3: 0.5 3.1 2.0; 13: 3.3 11.5 9.6; 5: 0.9 8.4 8.7;
10: 1.2 13.5 13.6; 16: 0.3 9.9 12.3"""
"""Counts, and what one, two and three classes expect, from the same table."""


@pytest.mark.parametrize("k", [1, 2, 3])
def test_carcinoma_expects_the_published_counts(k):
    model = LatentClass(k, random_state=0).fit(PATTERNS, sample_weight=COUNTS)
    table = model.item_probabilities_.set_index(["item", "level", "class"])["probability"]
    density = [
        sum(
            model.class_weights_[c] * np.prod([table[item, x, c] for item, x in row.items()])
            for c in range(k)
        )
        for _, row in PATTERNS.iterrows()
    ]
    rows = [line.split(":") for line in FITTED.split(";")]
    assert [int(count) for count, _ in rows] == COUNTS.tolist()
    published = [float(fitted.split()[k - 1]) for _, fitted in rows]
    np.testing.assert_allclose(118 * np.array(density), published, atol=0.051)


def test_carcinoma_probabilities_at_the_boundary_have_no_standard_error():
    model = LatentClass(3, random_state=0).fit(PATTERNS, sample_weight=COUNTS)
    table = model.item_probabilities_
    p = table["probability"].to_numpy()
    at_edge = (p < 1e-5) | (p > 1 - 1e-5)
    assert at_edge.sum() == 20
    np.testing.assert_array_equal(table["se"].isna(), at_edge)
    assert (table["se"][~at_edge] > 0.01).all()
    assert model.identified_
    assert "20 probabilities are 0 or 1" in " ".join(model.profile().notes)


def test_bic_chooses_three_classes_of_carcinoma():
    fits = [LatentClass(k, random_state=0).fit(PATTERNS, sample_weight=COUNTS) for k in range(1, 5)]
    likelihoods = [fit.log_likelihood_ for fit in fits]
    assert likelihoods == sorted(likelihoods)
    assert np.argmin([fit.bic_ for fit in fits]) == 2


@pytest.mark.realdata
@pytest.mark.skipif(not os.environ.get("CUSTSEG_DATA"), reason="CUSTSEG_DATA is not set")
@pytest.mark.parametrize(("k", "best"), [(2, -7610.8361), (3, -7311.4778), (4, -7111.1081)])
def test_mcdonalds_reaches_the_best_of_a_thousand_starts(k, best):
    items = pd.read_parquet(Path(os.environ["CUSTSEG_DATA"]) / "mcdonalds.parquet").iloc[:, :11]
    for seed in range(3):
        model = LatentClass(k, random_state=seed).fit(items)
        assert model.log_likelihood_ == pytest.approx(best, abs=1e-3)


def test_planted_classes_of_mixed_items_are_found(planted):
    frame, z, model = planted
    assert adjusted_rand_score(z, model.labels_) > 0.9
    assert model.items_ == {
        "member": "binary",
        "region": "nominal",
        "stars": "ordinal",
        "income": "ordinal",
        "spend": "gaussian",
    }
    assert model.levels_["income"] == ["low", "middle", "high"]
    assert model.n_parameters_ == 2 + 3 + 6 + (4 + 2) + (2 + 2) + 6
    assert (np.diff(model.class_weights_) < 0).all()
    inside = (model.class_weights_ - np.array([0.5, 0.3, 0.2])) / model.class_weights_se_
    assert np.abs(inside).max() < 3
    means = model.item_means_
    assert (np.abs(means["mean"] - [0, 100, 200]) < 3 * means["se"]).all()
    assert (np.abs(means["sd"] - [40, 50, 60]) < 3 * means["sd_se"]).all()
    member = model.item_probabilities_.query("item == 'member' and level == 1")
    assert (np.abs(member["probability"] - [0.1, 0.5, 0.95]) < 3 * member["se"]).all()
    np.testing.assert_array_equal(model.predict(frame), model.labels_)
    np.testing.assert_allclose(model.predict_proba(frame).sum(axis=1), 1)


def test_intervals_cover_what_was_planted():
    inside, errors, found = [], [], []
    truth = np.array([[0.9, 0.8, 0.7, 0.3, 0.2], [0.2, 0.3, 0.2, 0.8, 0.7]])
    for seed in range(60):
        rng = np.random.default_rng(seed)
        z = (rng.random(400) > 0.7).astype(int)
        answers = pd.DataFrame(rng.random((400, 5)) < truth[z], columns=list("abcde"))
        model = LatentClass(2, n_init=4, random_state=0).fit(answers)
        table = model.item_probabilities_.query("level == 1")
        aim = truth.T.ravel()
        inside.append((table["ci_low"] <= aim) & (aim <= table["ci_high"]))
        errors.append(table["se"])
        found.append(table["probability"])
    assert 0.92 <= np.mean(inside) <= 0.98
    spread = np.std(found, axis=0) / np.sqrt(np.mean(np.square(errors), axis=0))
    assert 0.85 <= spread.mean() <= 1.15


def test_gaussian_items_are_scikit_learns_diagonal_mixture():
    frame, _ = shoppers()
    numbers = frame[["spend"]].assign(age=np.random.default_rng(1).normal(frame["stars"], 2))
    model = LatentClass(3, n_init=10, random_state=0).fit(numbers)
    means, sd = (
        model.item_means_.pivot(index="class", columns="item", values=what)[["spend", "age"]]
        for what in ("mean", "sd")
    )
    options = {"covariance_type": "diag", "reg_covar": 0, "max_iter": 5_000, "random_state": 0}
    from_here = GaussianMixture(
        3,
        tol=1e-13,
        weights_init=model.class_weights_,
        means_init=means.to_numpy(),
        precisions_init=1 / sd.to_numpy() ** 2,
        **options,
    ).fit(numbers)
    np.testing.assert_allclose(from_here.means_, means, rtol=1e-4)
    np.testing.assert_allclose(np.sqrt(from_here.covariances_), sd, rtol=1e-4)
    assert model.bic_ == pytest.approx(from_here.bic(numbers), abs=1e-5)
    assert model.n_parameters_ == from_here._n_parameters()
    alone = GaussianMixture(3, tol=1e-7, n_init=3, **options).fit(numbers)
    assert model.log_likelihood_ >= alone.score(numbers) * len(numbers) - 1e-6
    assert np.isnan([model.df_, model.g2_, model.x2_]).all()


def test_ordinal_lies_between_equal_classes_and_nominal():
    frame, _ = shoppers(600)
    stars = frame[["stars"]].assign(
        again=np.clip(frame["stars"] + np.random.default_rng(2).integers(-1, 2, 600), 1, 5),
        income=frame["income"],
    )
    kinds = {"stars", "again", "income"}
    ordinal = LatentClass(2, items=dict.fromkeys(kinds, "ordinal"), random_state=0).fit(stars)
    nominal = LatentClass(2, items=dict.fromkeys(kinds, "nominal"), random_state=0).fit(stars)
    one = LatentClass(1, items=dict.fromkeys(kinds, "ordinal")).fit(stars)
    assert one.log_likelihood_ < ordinal.log_likelihood_ <= nominal.log_likelihood_ + 1e-6
    assert ordinal.n_parameters_ == 1 + (4 + 1) + (4 + 1) + (2 + 1)
    free = LatentClass(1, items=dict.fromkeys(kinds, "nominal")).fit(stars)
    assert one.log_likelihood_ == pytest.approx(free.log_likelihood_, abs=1e-6)
    assert one.n_parameters_ == free.n_parameters_


def test_log_odds_of_neighbouring_levels_differ_alike_between_classes():
    answers = pd.DataFrame(np.random.default_rng(9).integers(1, 6, (400, 4)), columns=list("abcd"))
    answers["b"] = np.clip(answers["a"] + answers["b"] % 3 - 1, 1, 5)
    model = LatentClass(2, items=dict.fromkeys("abcd", "ordinal"), random_state=0).fit(answers)
    table = model.item_probabilities_.query("probability > 1e-8")
    odds = table.query("item == 'c'").pivot(index="level", columns="class", values="probability")
    apart = np.log(odds[0] / odds[1]).diff().dropna()
    assert abs(apart.iloc[0]) > 0.01
    np.testing.assert_allclose(apart, apart.iloc[0], atol=1e-8)


def test_two_ordered_levels_are_as_free_as_nominal_ones():
    answers = pd.DataFrame(np.random.default_rng(3).integers(0, 2, (300, 4)), columns=list("abcd"))
    fits = [
        LatentClass(2, items=dict.fromkeys("abcd", kind), random_state=0).fit(answers)
        for kind in ("ordinal", "nominal", "binary")
    ]
    assert len({round(fit.log_likelihood_, 6) for fit in fits}) == 1
    assert len({fit.n_parameters_ for fit in fits}) == 1


def test_scores_of_an_ordinal_item_are_its_numbers():
    """A level in the middle that nobody has keeps the ends apart."""
    frame, _ = shoppers()
    numbers = frame.assign(stars=frame["stars"].map({1: 1, 2: 2, 3: 4, 4: 5, 5: 9}))
    one = LatentClass(3, items=ITEMS, random_state=0).fit(numbers)
    ordered = pd.Categorical(numbers["stars"], [*range(1, 10)], ordered=True)
    other = LatentClass(3, items=ITEMS, random_state=0).fit(numbers.assign(stars=ordered))
    assert one.log_likelihood_ == pytest.approx(other.log_likelihood_, abs=1e-6)
    even = LatentClass(3, items=ITEMS, random_state=0).fit(frame)
    assert abs(one.log_likelihood_ - even.log_likelihood_) > 1


def test_missing_answers_are_left_out_of_the_likelihood():
    frame, z = shoppers(3_000)
    rng = np.random.default_rng(5)
    holes = frame.astype({"member": object}).where(rng.random(frame.shape) > 0.25)
    holes["income"] = frame["income"].where(rng.random(len(frame)) > 0.25)
    model = LatentClass(3, items=ITEMS | {"member": "binary"}, random_state=0).fit(holes)
    whole = LatentClass(3, items=ITEMS, random_state=0).fit(frame)
    found = model.item_means_["mean"] - whole.item_means_["mean"]
    assert (np.abs(found) < 3 * model.item_means_["se"]).all()
    assert (model.item_means_["se"] > whole.item_means_["se"]).all()
    assert adjusted_rand_score(z, model.labels_) > 0.7
    assert np.isnan([model.g2_, model.x2_]).all()


def test_missing_at_random_does_not_bias_what_listwise_deletion_does():
    """Who has `a` is rarely asked `b`: the mean of `b` among those asked is not that of all."""
    rng = np.random.default_rng(6)
    z = rng.random(20_000) < 0.5
    answers = rng.random((20_000, 4)) < np.where(z, 0.9, 0.1)[:, None]
    frame = pd.DataFrame(answers.astype(float), columns=list("abcd"))
    frame.loc[answers[:, 0] & (rng.random(20_000) < 0.8), "b"] = np.nan
    model = LatentClass(2, n_init=3, random_state=0).fit(frame)
    table = model.item_probabilities_.query("item == 'b' and level == 1")
    share = float(model.class_weights_ @ table["probability"])
    assert share == pytest.approx(0.5, abs=0.015)
    assert frame["b"].mean() < 0.4


def test_a_customer_without_answers_has_the_shares_of_the_classes(planted):
    frame, _, model = planted
    nobody = frame.head(1).astype(object)
    nobody[:] = np.nan
    np.testing.assert_allclose(model.predict_proba(nobody)[0], model.class_weights_)
    more = pd.concat([frame.astype({"member": object, "income": object}), nobody])
    more["income"] = pd.Categorical(more["income"], ["low", "middle", "high"], ordered=True)
    again = LatentClass(3, items=ITEMS | {"member": "binary"}, random_state=0).fit(more)
    assert again.log_likelihood_ == pytest.approx(model.log_likelihood_, abs=1e-6)
    assert again.bic_ == pytest.approx(model.bic_, abs=1e-6)


def test_an_unknown_level_says_nothing(planted):
    frame, _, model = planted
    strange = frame.head(3).assign(region="West")
    unknown = frame.head(3).assign(region=None)
    np.testing.assert_array_equal(model.predict_proba(strange), model.predict_proba(unknown))


def test_weights_count_customers():
    rows = PATTERNS.loc[np.repeat(PATTERNS.index, COUNTS)]
    one = LatentClass(3, random_state=0).fit(rows)
    other = LatentClass(3, random_state=0).fit(PATTERNS, sample_weight=COUNTS)
    assert one.log_likelihood_ == other.log_likelihood_
    pd.testing.assert_frame_equal(one.item_probabilities_, other.item_probabilities_)
    assert one.n_customers_ == other.n_customers_ == 118
    none = np.where(PATTERNS["A"] == 1, 0, COUNTS)
    kept = PATTERNS[PATTERNS["A"] == 0]
    less = LatentClass(2, random_state=0).fit(PATTERNS, sample_weight=none)
    alone = LatentClass(2, random_state=0).fit(kept, sample_weight=none[none > 0])
    assert less.bic_ == alone.bic_
    assert less.levels_["A"] == [0]
    assert len(less.labels_) == len(PATTERNS)


def test_row_order_and_threads_change_nothing(planted):
    frame, _, model = planted
    order = np.random.default_rng(0).permutation(len(frame))
    again = LatentClass(3, items=ITEMS, random_state=0).fit(frame.iloc[order])
    np.testing.assert_array_equal(again.labels_, model.labels_[order])
    pd.testing.assert_frame_equal(again.item_means_, model.item_means_, check_exact=True)
    assert again.log_likelihoods_.tolist() == model.log_likelihoods_.tolist()
    fewer = LatentClass(3, items=ITEMS, n_init=1, random_state=0).fit(frame)
    assert fewer.log_likelihoods_[0] == pytest.approx(model.log_likelihoods_[0], abs=1e-6)


def test_threads_change_nothing(planted, monkeypatch):
    frame, _, model = planted
    monkeypatch.setattr("custseg.clustering._latent_em.cpu_count", lambda: 1)
    again = clone(model).fit(frame)
    pd.testing.assert_frame_equal(
        again.item_probabilities_, model.item_probabilities_, check_exact=True
    )
    np.testing.assert_array_equal(again.log_likelihoods_, model.log_likelihoods_)


def test_arrays_lists_and_positions():
    values = PATTERNS.to_numpy()
    for X in (values, values.tolist(), values.astype(object), values.astype(bool)):
        model = LatentClass(2, random_state=0).fit(X, sample_weight=COUNTS)
        assert model.log_likelihood_ == pytest.approx(-317.2568, abs=1e-3)
        assert list(model.items_.values()) == ["binary"] * 7
    named = LatentClass(2, items={0: "nominal", "B": "ordinal"}).fit(PATTERNS)
    assert [named.items_[name] for name in "ABC"] == ["nominal", "ordinal", "binary"]


def test_criteria_are_what_they_are_called():
    model = LatentClass(2, random_state=0).fit(PATTERNS, sample_weight=COUNTS)
    p, n, likelihood = model.n_parameters_, 118, model.log_likelihood_
    assert model.aic_ == pytest.approx(-2 * likelihood + 2 * p)
    assert model.bic_ == pytest.approx(-2 * likelihood + p * np.log(n))
    assert model.sabic_ == pytest.approx(-2 * likelihood + p * np.log((n + 2) / 24))
    shares = model.predict_proba(PATTERNS)
    unsure = -(COUNTS[:, None] * shares * np.log(np.maximum(shares, 1e-300))).sum()
    assert model.icl_ == pytest.approx(model.bic_ + 2 * unsure)
    assert model.entropy_ == pytest.approx(1 - unsure / (n * np.log(2)))
    assert LatentClass(1).fit(PATTERNS).entropy_ == 1


def test_g2_is_the_gain_of_the_saturated_table():
    model = LatentClass(3, random_state=0).fit(PATTERNS, sample_weight=COUNTS)
    saturated = (COUNTS * np.log(COUNTS / 118)).sum()
    assert model.g2_ == pytest.approx(2 * (saturated - model.log_likelihood_))


def test_not_identified_is_said():
    two = PATTERNS[["A", "B"]]
    model = LatentClass(2, random_state=0).fit(two, sample_weight=COUNTS)
    assert not model.identified_
    assert model.df_ == -2
    assert np.isnan(model.class_weights_se_).all()
    notes = " ".join(model.profile().notes)
    assert "do not determine" in notes
    assert "5 parameters, but only 3 frequencies" in notes


def test_not_converged_is_said():
    model = LatentClass(3, max_iter=4, n_init=2, random_state=0)
    model.fit(PATTERNS, sample_weight=COUNTS)
    assert not model.converged_
    assert model.n_iter_ <= 4
    assert "not converged after 4 passes" in model.profile().notes[0]


def test_constant_items_and_equal_customers():
    same = PATTERNS.assign(shop="only", height=1.7)
    model = LatentClass(3, items={"height": "gaussian"}, random_state=0)
    model.fit(same, sample_weight=COUNTS)
    assert model.bic_ == pytest.approx(697.1357, abs=1e-3)
    height = model.item_means_.query("item == 'height'")
    assert height["mean"].tolist() == [1.7] * 3
    assert height["sd"].tolist() == [0.0] * 3
    spikes = pd.DataFrame({"spend": np.r_[np.zeros(50), np.random.default_rng(0).normal(9, 1, 50)]})
    found = LatentClass(2, random_state=0).fit(spikes)
    assert found.item_means_["at_floor"].sum() == 1
    assert "variances stand at their floor" in " ".join(found.profile().notes)
    assert np.isfinite(found.bic_)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"items": {"Z": "binary"}}, ColumnError, "'Z', which is neither a column nor a position"),
        ({"items": {"A": "likert"}}, ParameterError, "the kind of item 'A' is 'likert'"),
        ({"items": ["A"]}, ParameterError, "items is a list"),
        ({"n_classes": 0}, ParameterError, "n_classes is 0"),
        ({"n_classes": 21}, ParameterError, "only 20 samples of distinct answers"),
        ({"n_init": 0}, ParameterError, "n_init is 0"),
        ({"max_iter": 0}, ParameterError, "max_iter is 0"),
        ({"tol": -1}, ParameterError, "tol is -1"),
    ],
)
def test_parameters_that_cannot_be(change, error, words):
    with pytest.raises(error, match=words):
        LatentClass(**change).fit(PATTERNS)


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ([None, None, None], None, "has no value at all"),
        ([1.0, np.inf, 2.0], "gaussian", "infinite"),
        (["a", "b", "c"], "binary", "is binary, but has 3 values"),
        (["a", "b", "c"], "gaussian", "holds text"),
        (["a", "b", "c"], "ordinal", "have no order"),
    ],
)
def test_columns_that_cannot_be(values, kind, words):
    frame = PATTERNS.head(3).assign(item=values)
    with pytest.raises(DataError, match=words):
        LatentClass(items={"item": kind} if kind else None).fit(frame)


def test_names_are_no_items():
    frame = pd.DataFrame({"name": [f"customer {i}" for i in range(150)], "yes": [0, 1] * 75})
    with pytest.raises(DataError, match="'name' is nominal, but has 150 levels"):
        LatentClass().fit(frame)


def test_local_dependence_shows_in_the_residual_of_its_pair():
    rng = np.random.default_rng(8)
    z = rng.random(3_000) < 0.5
    answers = rng.random((3_000, 6)) < np.where(z, 0.85, 0.15)[:, None]
    copied = rng.random(3_000) < 0.5
    answers[:, 5] = np.where(copied, answers[:, 4], answers[:, 5])
    frame = pd.DataFrame(answers, columns=list("abcdef"))
    model = LatentClass(2, n_init=5, random_state=0).fit(frame)
    found = model.bivariate_residuals(frame)
    table = found.to_frame()
    assert table.loc[0, ["item_a", "item_b"]].tolist() == ["e", "f"]
    assert table.loc[0, "residual"] > 10 * table.loc[1, "residual"]
    assert len(table) == 15
    pair = pd.crosstab(frame["e"], frame["f"]).to_numpy()
    p = model.item_probabilities_.pivot_table("probability", ["item", "level"], "class")
    expected = 3_000 * (p.loc["e"] * model.class_weights_).to_numpy() @ p.loc["f"].to_numpy().T
    assert table.loc[0, "residual"] == pytest.approx(((pair - expected) ** 2 / expected).sum())
    assert "most of all e and f" in found.summary()


def test_residuals_of_independent_mixed_items_are_small(planted):
    frame, _, model = planted
    table = model.bivariate_residuals(frame).to_frame()
    assert len(table) == 10
    assert set(table["n"]) == {len(frame)}
    assert table["residual"].max() < 3
    assert 0.05 < table["residual"].mean() < 1.5
    dependent = frame.assign(fee=frame["spend"] + np.random.default_rng(0).normal(0, 5, len(frame)))
    again = LatentClass(3, items=ITEMS, random_state=0).fit(dependent)
    first = again.bivariate_residuals(dependent).to_frame().iloc[0]
    assert {first["item_a"], first["item_b"]} == {"spend", "fee"}


def test_classification_adds_up(planted):
    frame, z, model = planted
    found = model.classification(frame)
    np.testing.assert_allclose(found.to_frame().sum(axis=1), 1)
    order = [0, 1, 2]
    right = np.mean(np.array(order)[model.labels_] == z)
    assert found.correct == pytest.approx(right, abs=0.02)


def test_profile_shows_and_draws(planted):
    frame, _, model = planted
    profile = model.profile()
    text = repr(profile)
    assert text.startswith("ClassProfiles: 3 classes of 1,500 customers by 5 items")
    assert "(weight)" in text
    assert "<table" in profile._repr_html_()
    table = profile.to_frame()
    assert len(table) == 3 * (2 + 3 + 5 + 3 + 1)
    ax = profile.plot()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [
        *("member = 1", "region = East", "region = North", "region = South"),
        *(f"stars = {s}" for s in range(1, 6)),
        *("income = low", "income = middle", "income = high", "spend"),
    ]
    assert len(ax.patches) == 3 * len(labels)
    assert model.bivariate_residuals(frame).plot().get_xlabel().startswith("residual")
    assert model.classification(frame).plot().get_ylabel() == "class"
    mpl.pyplot.close("all")


def test_the_catalogue_has_it():
    frame, z = shoppers(400)
    frame.index.name = "customer_id"
    model = cs.SegmentationModel(
        "latent_class", n_segments=3, variables=list(frame), random_state=0
    ).fit(frame)
    assert adjusted_rand_score(z, model.segments_) > 0.9
