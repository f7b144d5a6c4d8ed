"""Three-step estimates against other implementations, simulation and their own promises."""

from itertools import permutations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.cluster import KMeans

from custseg.clustering.latent_class import LatentClass
from custseg.clustering.three_step import three_step
from custseg.errors import ConvergenceError, DataError, ParameterError

mpl.use("Agg")

MEANS = np.array([0.0, 1.0, 3.0])
SHARES = np.array([0.2, 0.5, 0.8])


def survey(n: int, seed: int, p: float = 0.85, j: int = 6) -> tuple[np.ndarray, ...]:
    """Return binary answers of three classes; a number, a covariate and a yes/no; the classes."""
    rng = np.random.default_rng(seed)
    z = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    chances = np.array([[p] * j, [1 - p] * j, [p] * (j // 2) + [1 - p] * (j - j // 2)])
    answers = (rng.random((n, j)) < chances[z]).astype(int)
    spend = rng.normal(MEANS[z], 1)
    covariate = rng.normal(np.array([0, 0.5, -0.5])[z], 1)
    member = rng.random(n) < SHARES[z]
    return answers, spend, covariate, member, z


@pytest.fixture(scope="module")
def fitted():
    answers, spend, covariate, member, _ = survey(1_000, 7)
    return LatentClass(3, random_state=0).fit(answers), answers, spend, covariate, member


STEPMIX = {
    "none": ([0.013966, 1.044822, 2.362504], [0.21875, 0.513333, 0.7]),
    "bch": ([-0.123455, 0.978865, 2.856633], [0.189728, 0.504206, 0.791688]),
    "ml": (None, [0.189728, 0.504206, 0.791688]),
}
"""Means and shares by stepmix 3.0.0, n_steps=3, abs_tol=1e-12. Its "ML" keeps the first step's
weights where a number's distribution is fitted, and is no oracle there."""

STEPMIX_LOGITS = {
    "none": [[0.460295, -0.010271], [-0.090513, 0.351516], [-0.365172, -0.339582]],
    "bch": [[0.488402, 0.029318], [-0.040052, 0.42606], [-0.443739, -0.453714]],
    "ml": [[0.489959, 0.040735], [-0.046073, 0.458337], [-0.471818, -0.496813]],
}
"""Intercepts and slopes of the classes by stepmix 3.0.0, up to a constant per column."""


@pytest.mark.parametrize("correction", ["none", "bch", "ml"])
def test_outcomes_are_those_of_stepmix(fitted, correction):
    model, answers, spend, _, member = fitted
    means, shares = STEPMIX[correction]
    if means is not None:
        found = three_step(model, answers, outcome=spend, correction=correction)
        np.testing.assert_allclose(found.to_frame()["estimate"], means, atol=1e-5)
    found = three_step(model, answers, outcome=member, correction=correction).to_frame()
    yes = found[found["level"]]
    np.testing.assert_allclose(yes["estimate"], shares, atol=1e-5)
    np.testing.assert_allclose(
        yes["estimate"], 1 - found.loc[~found["level"].astype(bool), "estimate"]
    )


@pytest.mark.parametrize("correction", ["none", "bch", "ml"])
def test_logits_are_those_of_stepmix(fitted, correction):
    model, answers, _, covariate, _ = fitted
    found = three_step(model, answers, covariates=covariate[:, None], correction=correction)
    published = np.array(STEPMIX_LOGITS[correction])
    expected = (published - published[0])[1:].ravel()
    np.testing.assert_allclose(found.to_frame()["estimate"], expected, atol=2e-4)


def test_uncorrected_logits_and_robust_errors_are_those_of_statsmodels(fitted):
    model, answers, spend, covariate, _ = fitted
    design = np.column_stack([covariate, 100 + 20 * spend])
    found = three_step(model, answers, covariates=design, correction="none").to_frame()
    oracle = sm.MNLogit(model.labels_, sm.add_constant(design)).fit(
        disp=0, cov_type="HC0", maxiter=200, tol=1e-12
    )
    np.testing.assert_allclose(found["estimate"], np.asarray(oracle.params).T.ravel(), rtol=1e-5)
    np.testing.assert_allclose(found["se"], np.asarray(oracle.bse).T.ravel(), rtol=1e-4)
    np.testing.assert_allclose(found["odds_ratio"], np.exp(found["estimate"]))


def test_uncorrected_means_have_the_errors_of_their_groups(fitted):
    model, answers, spend, _, _ = fitted
    found = three_step(model, answers, outcome=spend, correction="none").to_frame()
    groups = pd.Series(spend).groupby(model.labels_)
    np.testing.assert_allclose(found["estimate"], groups.mean())
    np.testing.assert_allclose(found["se"], groups.std(ddof=0) / np.sqrt(groups.size()), rtol=1e-6)


def test_ml_of_a_number_is_the_maximum_of_its_likelihood(fitted):
    model, answers, spend, _, _ = fitted
    found = three_step(model, answers, outcome=spend, correction="ml")
    table, assigned = found.classification.table, found.classification.assigned

    def lack(theta):
        weights = np.append(0, theta[:2]) - logsumexp(np.append(0, theta[:2]))
        log = weights + np.log(table[:, assigned].T) - theta[5:]
        log = log - 0.5 * ((spend[:, None] - theta[2:5]) / np.exp(theta[5:])) ** 2
        return -logsumexp(log, axis=1).sum()

    start = np.concatenate([[-0.5, -1], found.to_frame()["estimate"] + 0.1, np.zeros(3)])
    best = minimize(lack, start, method="BFGS", options={"gtol": 1e-4})
    np.testing.assert_allclose(found.to_frame()["estimate"], best.x[2:5], atol=1e-4)


def by_truth(model: LatentClass, answers: np.ndarray, z: np.ndarray) -> list[int]:
    """Return the true class that each class of the model stands for."""
    counts = pd.crosstab(model.predict(answers), z).reindex(range(3), fill_value=0).to_numpy()
    return list(max(permutations(range(3)), key=lambda p: sum(counts[c, p[c]] for c in range(3))))


def simulate(n: int, repeats: int, p: float) -> pd.DataFrame:
    """Return the errors of repeated surveys: correction, what, class, error, covered, se."""
    rows = []
    for seed in range(repeats):
        answers, spend, _, member, z = survey(n, 1_000 + seed, p)
        model = LatentClass(3, n_init=4, random_state=0).fit(answers)
        order = by_truth(model, answers, z)
        for correction in ("none", "bch", "ml"):
            for what, values, truth in (("mean", spend, MEANS), ("share", member, SHARES)):
                table = three_step(model, answers, outcome=values, correction=correction).to_frame()
                table = table[table["level"]] if what == "share" else table
                aim = truth[order]
                covered = (table["ci_low"] <= aim) & (aim <= table["ci_high"])
                errors = (table["estimate"] - aim, covered, table["se"])
                rows += [
                    (correction, what, c, *each) for c, *each in zip(order, *errors, strict=True)
                ]
    return pd.DataFrame(rows, columns=["correction", "what", "class", "error", "covered", "se"])


def test_the_correction_removes_the_bias():
    found = simulate(1_500, 15, 0.85)
    bias = found.groupby(["what", "correction", "class"])["error"].mean()
    assert bias["mean", "none"][2] < -0.4
    assert bias["share", "none"][2] < -0.06
    for correction in ("bch", "ml"):
        assert bias["mean", correction].abs().max() < 0.1
        assert bias["share", correction].abs().max() < 0.025


@pytest.mark.slow
def test_intervals_cover_the_truth():
    found = simulate(1_000, 120, 0.9)
    by = found.groupby(["what", "correction"])
    cover = by["covered"].mean()
    assert cover["mean", "none"] < 0.75
    for what in ("mean", "share"):
        for correction in ("bch", "ml"):
            assert 0.93 <= cover[what, correction] <= 0.97
    one = found.groupby(["what", "correction", "class"])
    ratio = np.sqrt(one["se"].apply(lambda se: (se**2).mean())) / one["error"].std()
    assert ratio.drop("none", level="correction").between(0.85, 1.25).all()


def test_errors_include_that_classes_are_estimated():
    """With the table taken as known they would be those of the sandwich alone."""
    answers, spend, *_ = survey(400, 3, 0.8)
    model = LatentClass(3, random_state=0).fit(answers)
    full = three_step(model, answers, outcome=spend).to_frame()["se"]
    known = LatentClass(3, random_state=0).fit(answers)
    known._covariance = np.zeros_like(known._covariance)
    alone = three_step(known, answers, outcome=spend).to_frame()["se"]
    assert (full > 1.02 * alone).all()


def test_no_difference_is_rarely_found():
    """Under no effect the Wald test must not reject more often than it says."""
    rejected = []
    for seed in range(60):
        answers, *_ = survey(600, seed, 0.85)
        model = LatentClass(3, n_init=3, random_state=0).fit(answers)
        noise = np.random.default_rng(seed).normal(size=600)
        rejected.append(three_step(model, answers, outcome=noise).tests["p_value"].item() < 0.05)
    assert np.mean(rejected) <= 0.12


def test_weights_count_customers(fitted):
    model, answers, spend, covariate, _ = fitted
    counts = np.random.default_rng(1).integers(0, 3, len(answers))
    rows = np.repeat(np.arange(len(answers)), counts)
    once = three_step(model, answers, outcome=spend, sample_weight=counts).to_frame()
    many = three_step(model, answers[rows], outcome=spend[rows]).to_frame()
    np.testing.assert_allclose(once["estimate"], many["estimate"], rtol=1e-9)
    np.testing.assert_allclose(once["se"], many["se"], rtol=1e-6)
    once = three_step(model, answers, covariates=covariate[:, None], sample_weight=counts)
    many = three_step(model, answers[rows], covariates=covariate[rows, None])
    np.testing.assert_allclose(once.to_frame()["se"], many.to_frame()["se"], rtol=1e-5)


def test_row_order_changes_nothing(fitted):
    model, answers, spend, *_ = fitted
    order = np.random.default_rng(0).permutation(len(answers))
    one = three_step(model, answers, outcome=spend).to_frame()
    other = three_step(model, answers[order], outcome=spend[order]).to_frame()
    pd.testing.assert_frame_equal(one, other, rtol=1e-9)


def test_the_unit_of_an_outcome_and_a_covariate_does_not_matter(fitted):
    model, answers, spend, covariate, _ = fitted
    for correction in ("bch", "ml"):
        one = three_step(model, answers, outcome=spend, correction=correction).to_frame()
        other = three_step(
            model, answers, outcome=1e6 + 1e3 * spend, correction=correction
        ).to_frame()
        np.testing.assert_allclose(other["estimate"], 1e6 + 1e3 * one["estimate"], rtol=1e-9)
        np.testing.assert_allclose(other["se"], 1e3 * one["se"], rtol=1e-5)
        one = three_step(model, answers, covariates=covariate[:, None], correction=correction)
        other = three_step(
            model, answers, covariates=1e4 + 100 * covariate[:, None], correction=correction
        )
        slopes = (
            one.to_frame().query("covariate == 'z0'"),
            other.to_frame().query("covariate == 'z0'"),
        )
        np.testing.assert_allclose(slopes[0]["estimate"], 100 * slopes[1]["estimate"], rtol=1e-6)
        np.testing.assert_allclose(slopes[0]["se"], 100 * slopes[1]["se"], rtol=1e-4)
        np.testing.assert_allclose(one.tests["statistic"], other.tests["statistic"], rtol=1e-4)


def test_differences_and_tests_follow_from_the_estimates(fitted):
    model, answers, spend, *_ = fitted
    found = three_step(model, answers, outcome=spend)
    means = found.to_frame()["estimate"]
    table = found.differences
    assert table[["class_a", "class_b"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 2]]
    expected = [means[0] - means[1], means[0] - means[2], means[1] - means[2]]
    np.testing.assert_allclose(table["difference"], expected)
    assert (table["p_holm"] >= table["p_value"]).all()
    two = LatentClass(2, random_state=0).fit(answers)
    pair = three_step(two, answers, outcome=spend)
    z = pair.differences["difference"].item() / pair.differences["se"].item()
    assert pair.tests["statistic"].item() == pytest.approx(z**2)
    assert pair.tests["df"].item() == 1
    assert pair.tests["p_value"].item() == pytest.approx(pair.differences["p_value"].item())


def test_levels_of_text_add_up_to_one(fitted):
    model, answers, _, covariate, _ = fitted
    often = pd.cut(covariate, [-9, -0.5, 0.5, 9], labels=["rarely", "monthly", "weekly"])
    for correction in ("none", "bch", "ml"):
        found = three_step(model, answers, outcome=pd.Series(often), correction=correction)
        table = found.to_frame()
        assert table["level"].head(3).tolist() == ["rarely", "monthly", "weekly"]
        np.testing.assert_allclose(table.groupby("class")["estimate"].sum(), 1)
        assert found.tests["df"].item() == 4
        assert len(found.differences) == 9


def test_covariates_of_text_have_one_test(fitted):
    model, answers, _, covariate, member = fitted
    columns = pd.DataFrame(
        {
            "income": covariate,
            "region": np.random.default_rng(0).choice(["East", "North", "South"], len(answers)),
            "member": member,
        }
    )
    found = three_step(model, answers, covariates=columns)
    assert found.to_frame()["covariate"].head(5).tolist() == [
        *("(intercept)", "income", "region=North", "region=South", "member")
    ]
    assert found.tests["what"].tolist() == ["income", "region", "member"]
    assert found.tests["df"].tolist() == [2, 4, 2]
    p = found.tests.set_index("what")["p_value"]
    assert p["income"] < 1e-4
    assert p["region"] > 0.01


def test_gaps_are_set_aside_and_counted(fitted):
    model, answers, spend, *_ = fitted
    holes = np.where(np.arange(len(spend)) % 4 == 0, np.nan, spend)
    found = three_step(model, answers, outcome=holes)
    assert "250 of 1,000 customers have a gap here" in found.notes[0]
    whole = three_step(model, answers, outcome=spend)
    np.testing.assert_array_equal(found.classification.table, whole.classification.table)
    assert (found.to_frame()["se"] > whole.to_frame()["se"]).all()


def test_rows_are_matched_by_their_index(fitted):
    _, answers, spend, *_ = fitted
    frame = pd.DataFrame(answers, columns=list("abcdef")).rename_axis("customer_id")
    model = LatentClass(3, random_state=0).fit(frame)
    values = pd.Series(spend, frame.index, name="spend")
    shuffled = values.sample(frac=1, random_state=0)
    one = three_step(model, frame, outcome=values).to_frame()
    pd.testing.assert_frame_equal(one, three_step(model, frame, outcome=shuffled).to_frame())
    with pytest.raises(DataError, match="not all in the index"):
        three_step(model, frame, outcome=values.iloc[1:])
    with pytest.raises(DataError, match="'a' is one of the items that made the classes"):
        three_step(model, frame, outcome=frame["a"])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ParameterError, "either outcome or covariates"),
        ({"outcome": [1.0] * 1_000, "covariates": [[1.0]] * 1_000}, ParameterError, "not both"),
        ({"outcome": [1.0] * 1_000}, DataError, "has only one value"),
        ({"outcome": [np.nan] * 1_000}, DataError, "no customer has a value"),
        ({"outcome": [1.0, 2.0]}, DataError, "but 2 values came beside them"),
        ({"outcome": [[1.0, 2.0]] * 1_000}, DataError, "an outcome is one column, not 2"),
        ({"covariates": [[1.0]] * 1_000}, DataError, "'z0' has only one value"),
        ({"outcome": [0, 1] * 500, "correction": "BCH"}, ParameterError, "Did you mean 'bch'"),
        ({"outcome": [0, 1] * 500, "level": 95}, ParameterError, "level is 95"),
    ],
)
def test_what_cannot_be_asked(fitted, options, error, words):
    model, answers, *_ = fitted
    with pytest.raises(error, match=words):
        three_step(model, answers, **options)


def test_covariates_and_outcomes_that_cannot_be(fitted):
    model, answers, _, covariate, member = fitted
    with pytest.raises(DataError, match="not normal within classes"):
        three_step(model, answers, outcome=member.astype(float), correction="ml")
    twice = np.column_stack([covariate, 2 * covariate])
    with pytest.raises(DataError, match="linear combinations"):
        three_step(model, answers, covariates=twice)
    apart = (model.labels_ == 1).astype(float)[:, None]
    with pytest.raises(ConvergenceError, match="separates classes"):
        three_step(model, answers, covariates=apart, correction="none")


def test_models_that_cannot_be(fitted):
    _, answers, spend, *_ = fitted
    with pytest.raises(ParameterError, match="model is a KMeans, but must be a fitted"):
        three_step(KMeans(3), answers, outcome=spend)
    with pytest.raises(ParameterError, match="one class"):
        three_step(LatentClass(1).fit(answers), answers, outcome=spend)
    early = LatentClass(3, max_iter=2, n_init=1, random_state=0).fit(answers)
    with pytest.raises(ConvergenceError, match="larger max_iter"):
        three_step(early, answers, outcome=spend)
    noise = np.random.default_rng(0).integers(0, 2, (300, 3))
    alike = LatentClass(3, n_init=3, random_state=0).fit(noise)
    alike._theta = alike._theta.copy()
    alike._theta[1:, :3] = alike._theta[1:, [0]]
    with pytest.raises(DataError, match="cannot be told apart"):
        three_step(alike, noise, outcome=spend[:300])


def test_it_says_what_it_is_and_draws(fitted):
    model, answers, spend, covariate, member = fitted
    found = three_step(model, answers, outcome=pd.Series(spend, name="spend"))
    assert found.summary().startswith("the mean of spend runs from -0.123 in class 0 to 2.86")
    assert "p below .001" in found.summary()
    ax = found.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["class 0", "class 1", "class 2"]
    naive = three_step(model, answers, outcome=member, correction="none")
    assert "not corrected: " in naive.notes[0]
    assert "share of True in outcome" in naive.summary()
    assert len(naive.plot().get_yticklabels()) == 3
    logit = three_step(model, answers, covariates=pd.DataFrame({"income": covariate}))
    assert "income tells the classes apart most surely" in logit.summary()
    assert [label.get_text() for label in logit.plot().get_yticklabels()] == [
        *("income, class 1", "income, class 2")
    ]
    assert "<table" in logit._repr_html_()
    mpl.pyplot.close("all")
