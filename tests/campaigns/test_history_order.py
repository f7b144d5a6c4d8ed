"""What is simulated on a history, or planned from it, does not depend on the order of its rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import custseg as cs
from custseg.campaigns import aa_simulation, baselines
from custseg.errors import DataError, ParameterError

N = 800


@pytest.fixture(scope="module")
def history():
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "spend": rng.gamma(0.4, 40.0, N).round(),
            "before": np.where(rng.random(N) < 0.1, np.nan, rng.gamma(0.5, 30.0, N).round()),
            "tier": rng.choice(["gold", "basic", None], N),
            "region": pd.Categorical(rng.choice(["north", "south", "west"], N)),
        }
    )


def declare(**changes):
    metrics = {"spend": cs.Mean("spend", covariate="before"), "median": cs.Quantile("spend")}
    given = {"arm": "arm", "control": "control", "metrics": metrics, "segments": "tier"}
    return cs.CampaignTest(**(given | changes))


DESIGN = cs.CampaignDesign(
    arms={"control": 0.4, "email": 0.6}, strata=["region"], holdout=0.1, salt="spring"
)


@pytest.mark.parametrize("design", [None, DESIGN])
def test_without_ids_shuffled_rows_and_other_engines_simulate_the_same(history, design):
    def simulate(table):
        return aa_simulation(table, declare(), design=design, n_simulations=20)

    there = simulate(history)
    for table in (
        history.sample(frac=1, random_state=1),
        history.iloc[::-1],
        pl.from_pandas(history).sample(fraction=1, shuffle=True, seed=2),
    ):
        here = simulate(table)
        pd.testing.assert_frame_equal(here.to_frame(), there.to_frame())
        pd.testing.assert_frame_equal(here.familywise, there.familywise)


def test_a_column_of_words_and_numbers_has_an_order_too(history):
    mixed = history.assign(tier=np.resize(np.array([1, "gold", None], dtype=object), N))
    there = aa_simulation(mixed, declare(), n_simulations=20).to_frame()
    shuffled = aa_simulation(mixed.sample(frac=1, random_state=1), declare(), n_simulations=20)
    pd.testing.assert_frame_equal(shuffled.to_frame(), there)


def test_baselines_of_shuffled_rows_are_equal_to_the_last_digit(history):
    test = declare(metrics={"spend": cs.Mean("spend", covariate="before")})
    there = baselines(history, test, strata=["region"]).to_frame()
    here = baselines(history.sample(frac=1, random_state=5), test, strata=["region"]).to_frame()
    pd.testing.assert_frame_equal(here, there, check_exact=True)


@pytest.mark.parametrize(
    ("rows", "words"),
    [(1, "1 infinite value. Make it a number, or"), (2, "2 infinite values. Make them numbers")],
)
def test_infinite_values_are_counted_and_the_remedy_is_said(history, rows, words):
    spoilt = history.copy()
    spoilt.loc[: rows - 1, "spend"] = np.inf
    with pytest.raises(DataError, match=f"column 'spend' of the history holds {words}"):
        aa_simulation(spoilt, declare())


def test_rounding_errors_of_sums_do_not_draw_other_campaigns(history):
    noise = np.random.default_rng(0).uniform(-1e-12, 1e-12, (N, 2))
    noisy = history.assign(**(history[["spend", "before"]] + noise))
    there = aa_simulation(history, declare(), n_simulations=20).to_frame()
    here = aa_simulation(noisy, declare(), n_simulations=20).to_frame()
    pd.testing.assert_frame_equal(here, there, check_exact=True)


def test_a_design_that_is_none_is_refused(history):
    for design in ("spring", {"control": 0.5, "email": 0.5}, cs.CampaignDesign):
        with pytest.raises(
            ParameterError, match=r"design is .*, but must be a CampaignDesign, suc"
        ):
            aa_simulation(history, declare(), design=design, n_simulations=20)
