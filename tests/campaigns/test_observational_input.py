"""What an observational estimate refuses, and what it says of covariates that explain nothing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import custseg as cs
from custseg.campaigns import difference_in_differences, observational_effect
from custseg.errors import DataError, ParameterError, check_option

N = 300


@pytest.fixture(scope="module")
def customers():
    rng = np.random.default_rng(6)
    loyal = rng.random(N)
    mailed = rng.random(N) < 0.3 + 0.4 * loyal
    return pd.DataFrame(
        {
            "who": np.arange(N),
            "mailed": mailed,
            "spend": 10 * loyal + mailed + rng.normal(size=N),
            "loyal": loyal,
            "number": rng.permutation(N) + 10_000,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta((900 * loyal).round(), "D"),
        }
    )


def estimate(table, covariates=("loyal",), **options):
    roles = {"customer_id": "who", "treated": "mailed", "outcome": "spend"}
    return observational_effect(table, **(roles | options), covariates=list(covariates))


def test_covariates_that_explain_nothing_are_named(customers):
    table = customers.assign(one=1, word="a", empty=np.nan)
    found = estimate(table, ["loyal", "one", "word", "empty", "number"])
    assert found.notes[-4:] == (
        "one is the same for all customers: it explains nothing.",
        "word is the same for all customers: it explains nothing.",
        "empty holds no value: it explains nothing.",
        "number has another whole number for every customer: if it is an id, leave it out.",
    )
    alone = estimate(table)
    assert not any("explains nothing" in note or "an id" in note for note in alone.notes)
    without = estimate(table, ["loyal", "one"]).table["effect"]
    np.testing.assert_allclose(without, alone.table["effect"], rtol=1e-9)


def test_dates_count_as_days(customers):
    days = (customers["since"] - pd.Timestamp("2019-01-01")) / pd.Timedelta(days=1)
    dates = estimate(customers, ["since"])
    assert dates.balance["covariate"].tolist() == ["since"]
    numbers = estimate(customers.assign(since=days), ["since"])
    pd.testing.assert_frame_equal(dates.table, numbers.table)


def test_text_that_is_an_id_is_refused_however_few_there_are(customers):
    table = customers.assign(code=[f"C{i}" for i in range(N)])
    with pytest.raises(DataError, match="'code' has 300 values, at most 50"):
        estimate(table, ["loyal", "code"])
    with pytest.raises(DataError, match="'code' has another text for every customer"):
        estimate(table.head(40), ["loyal", "code"], n_folds=2)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {"covariates": ["who"]}, ParameterError, "nor what tells customers apart"),
        ({}, {"covariates": 3}, ParameterError, "covariates is 3, but must be a list"),
        ({}, {"propensity_model": 3}, ParameterError, "propensity_model is 3, .* predict_proba"),
        ({}, {"propensity_model": LinearRegression()}, ParameterError, "with predict_proba"),
        ({}, {"outcome_model": LogisticRegression}, ParameterError, "outcome_model is <class"),
        ({"mailed": [2.0, 3.0] * (N // 2)}, {}, DataError, "must hold 0 and 1 only, but also"),
        ({"who": [np.nan, *range(1, N)]}, {}, DataError, "column 'who' lacks 1 ids"),
        ({"spend": [np.inf] + [1.0] * (N - 1)}, {}, DataError, "'spend' holds 1 infinite value. M"),
        ({"spend": [-np.inf] * 2 + [1.0] * (N - 2)}, {}, DataError, "2 infinite values. Make them"),
        ({"loyal": [np.inf] + [1.0] * (N - 1)}, {}, DataError, "'loyal' holds 1 infinite value. M"),
    ],
)
def test_bad_input_names_column_value_and_remedy(customers, change, options, error, message):
    given = {"customer_id": "who", "treated": "mailed", "outcome": "spend", "covariates": ["loyal"]}
    with pytest.raises(error, match=message):
        observational_effect(customers.assign(**change), **(given | options))


def test_infinite_values_of_a_panel_have_a_remedy():
    panel = pd.DataFrame(
        {"who": [1, 1, 2, 2], "month": [1, 2] * 2, "first": [2, 2, None, None], "spend": 1.0}
    )
    panel.loc[0, "spend"] = np.inf
    with pytest.raises(DataError, match="'spend' holds 1 infinite value"):
        difference_in_differences(
            panel, customer_id="who", period="month", outcome="spend", first_treated="first"
        )


def test_an_arm_in_quotes_that_is_no_text_is_explained(customers):
    test = cs.CampaignTest(arm="mailed", control="False", metrics={"spend": cs.Mean("spend")})
    words = "control is 'False', but must be one of False, True. It is no text there"
    with pytest.raises(ParameterError, match=words):
        test.analyze(customers)
    with pytest.raises(ParameterError, match=words):
        cs.CampaignDesign(arms={False: 0.5, True: 0.5}, control="False")
    with pytest.raises(ParameterError, match=r"one of 'False', 'True'. Did you mean 'False'?"):
        check_option(False, "control", ["False", "True"])
