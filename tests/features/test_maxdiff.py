"""Best-worst scores against a simulation with known utilities, brute force and an optimiser."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import custseg as cs
from custseg import errors
from custseg.features import _best_worst as model
from custseg.features.dictionary import describe_columns
from custseg.features.maxdiff import maxdiff

BENEFITS = ["advice", "convenience", "low price", "parking", "quality", "range", "returns", "staff"]


def exercise(
    n: int = 300, tasks: int = 10, shown: int = 4, seed: int = 1
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Return best-worst tasks with the utilities of every customer, their mean and covariance."""
    rng = np.random.default_rng(seed)
    k = len(BENEFITS)
    mean = np.linspace(1.5, -1.5, k)
    factor = rng.normal(0, 0.8, (k, 2))
    centre = np.eye(k) - 1 / k
    spread = centre @ (factor @ factor.T + 0.5 * np.eye(k)) @ centre
    utilities = rng.multivariate_normal(mean, spread, n, method="svd")
    rows = []
    for customer in range(n):
        for task in range(tasks):
            items = rng.permutation(k)[:shown]
            own = utilities[customer, items]
            best = int((own + rng.gumbel(size=shown)).argmax())
            disliked = -own + rng.gumbel(size=shown)
            disliked[best] = -np.inf
            worst = int(disliked.argmax())
            choice = np.zeros(shown, dtype=int)
            choice[[best, worst]] = 1, -1
            rows += [
                (f"C{customer:04d}", task, BENEFITS[i], c)
                for i, c in zip(items, choice, strict=True)
            ]
    frame = pd.DataFrame(rows, columns=["customer_id", "task", "item", "choice"])
    return frame, utilities, mean, spread


@pytest.fixture(scope="module")
def planted():
    return exercise()


@pytest.fixture(scope="module")
def found(planted):
    return maxdiff(planted[0])


def error(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(((estimate - truth) ** 2).mean()))


def test_individual_utilities_are_as_close_as_if_the_population_were_known(planted, found):
    tasks, truth, mean, spread = planted
    estimate = found.utilities.to_numpy()
    basis = model.contrasts(len(BENEFITS))
    choices = choices_of(tasks)
    start = np.zeros((len(truth), len(BENEFITS) - 1))
    known = model._posterior(choices, basis, mean @ basis, basis.T @ spread @ basis, start)
    assert error(estimate, truth) < 1.05 * error(known.means @ basis.T, truth)
    assert error(estimate, truth) < 0.75 * error(np.tile(mean, (len(truth), 1)), truth)


def test_individual_utilities_beat_counts(planted, found):
    truth = planted[1]
    pairs = {
        "utilities": found.utilities.to_numpy(),
        "counts": found.counts.fillna(0).to_numpy(),
    }
    right = {
        name: np.mean([np.corrcoef(*row)[0, 1] for row in zip(score, truth, strict=True)])
        for name, score in pairs.items()
    }
    assert right["utilities"] > 0.87
    assert right["utilities"] > right["counts"] + 0.02


def test_standard_errors_cover_the_planted_utilities(planted, found):
    away = (found.utilities.to_numpy() - planted[1]) / found.standard_errors.to_numpy()
    assert 0.92 <= (np.abs(away) < 1.96).mean() <= 0.97


def test_means_and_spread_are_recovered_without_bias():
    slopes, spreads, inside = [], [], []
    for seed in range(24):
        tasks, _, mean, spread = exercise(100, 8, seed=100 + seed)
        table = maxdiff(tasks).to_frame().set_index("item").loc[BENEFITS]
        slopes.append(np.polyfit(mean, table["utility"], 1)[0])
        spreads.append((table["sd"] / np.sqrt(np.diag(spread))).mean())
        inside.append(((table["ci_low"] < mean) & (mean < table["ci_high"])).mean())
    assert np.mean(slopes) == pytest.approx(1, abs=0.05)
    assert np.mean(spreads) == pytest.approx(1, abs=0.08)
    simulation_error = np.std(inside) / np.sqrt(len(inside))
    assert abs(np.mean(inside) - 0.95) < 3 * simulation_error < 0.1


def choices_of(tasks: pd.DataFrame) -> model.Choices:
    from custseg.features.maxdiff import _choice_sets, _read

    return _choice_sets(_read(tasks, {name: name for name in tasks.columns}))[0]


def picks(tasks: pd.DataFrame) -> list[tuple[list[str], str, str]]:
    """Return what each task showed and which items were picked as best and worst."""
    return [
        (
            list(task["item"]),
            task.loc[task["choice"] == 1, "item"].item(),
            task.loc[task["choice"] == -1, "item"].item(),
        )
        for _, task in tasks.groupby("task")
    ]


def by_hand(tasks: list[tuple[list[str], str, str]], utility: dict[str, np.ndarray]) -> np.ndarray:
    """Return the log likelihood of one customer, task by task, at one or many utilities."""
    total = 0.0
    for shown, best, worst in tasks:
        total += utility[best] - np.log(sum(np.exp(utility[i]) for i in shown))
        rest = [i for i in shown if i != best]
        total += -utility[worst] - np.log(sum(np.exp(-utility[i]) for i in rest))
    return total


def test_the_posterior_is_what_an_optimiser_and_differences_find(planted):
    tasks, _, mean, spread = planted
    tasks = tasks[tasks["customer_id"] <= "C0002"]
    basis = model.contrasts(len(BENEFITS))
    inner_mean, inner_spread = mean @ basis, basis.T @ spread @ basis
    start = np.zeros((3, len(BENEFITS) - 1))
    found = model._posterior(choices_of(tasks), basis, inner_mean, inner_spread, start)
    precision = np.linalg.inv(inner_spread)

    for number, (_, own) in enumerate(tasks.groupby("customer_id")):

        def loss(at, own=picks(own)):  # noqa: B008
            utility = dict(zip(BENEFITS, basis @ at, strict=True))
            away = at - inner_mean
            return -by_hand(own, utility) + away @ precision @ away / 2

        best = minimize(loss, np.zeros(len(inner_mean)), method="BFGS", options={"gtol": 1e-7})
        np.testing.assert_allclose(found.modes[number], best.x, atol=1e-5)
        curvature = np.linalg.inv(found.covariances[number])
        np.testing.assert_allclose(hessian(loss, found.modes[number]), curvature, atol=1e-4)


def hessian(f, at: np.ndarray, step: float = 1e-3) -> np.ndarray:
    eye = step * np.eye(len(at))
    return np.array(
        [
            [
                (f(at + a + b) - f(at + a - b) - f(at - a + b) + f(at - a - b)) / (4 * step**2)
                for b in eye
            ]
            for a in eye
        ]
    )


def test_the_posterior_mean_is_that_of_an_integral():
    tasks = exercise(2, 6, 3)[0].replace({"item": dict(zip(BENEFITS, "abcabcab", strict=True))})
    tasks = tasks.drop_duplicates(["customer_id", "task", "item"])
    full = tasks.groupby(["customer_id", "task"])["choice"].transform(lambda c: set(c) >= {1, -1})
    tasks = tasks[full]
    basis = model.contrasts(3)
    found = model._posterior(
        choices_of(tasks), basis, np.zeros(2), 2.0 * np.eye(2), np.zeros((2, 2))
    )
    axis = np.linspace(-9, 9, 241)
    grid = np.array([(x, y) for x in axis for y in axis])
    for number, (_, own) in enumerate(tasks.groupby("customer_id")):
        utility = dict(zip("abc", basis @ grid.T, strict=True))
        log = by_hand(picks(own), utility) - (grid**2).sum(axis=1) / 4
        weight = np.exp(log - log.max())
        exact = weight @ grid / weight.sum()
        corrected = np.abs(found.means[number] - exact).max()
        assert corrected < 0.35 * np.abs(found.modes[number] - exact).max()


def test_counts_are_those_of_a_count_by_hand(planted, found):
    tasks = planted[0]
    own = tasks[tasks["customer_id"] == "C0007"]
    for item in BENEFITS:
        rows = own[own["item"] == item]
        want = rows["choice"].sum() / len(rows) if len(rows) else np.nan
        assert found.counts.loc["C0007", f"maxdiff_count_{item}"] == pytest.approx(
            want, nan_ok=True
        )
    table = found.to_frame().set_index("item")
    for item in BENEFITS:
        rows = tasks[tasks["item"] == item]
        assert table.loc[item, "shown"] == len(rows)
        assert table.loc[item, "best"] == (rows["choice"] == 1).sum()
        assert table.loc[item, "worst"] == (rows["choice"] == -1).sum()


def test_utilities_sum_to_zero_and_shares_to_one(found):
    assert found.utilities.sum(axis=1).abs().max() < 1e-9
    assert found.to_frame()["share"].sum() == pytest.approx(1)
    assert found.to_frame()["utility"].is_monotonic_decreasing


def test_order_of_rows_and_names_of_items_change_nothing(planted):
    tasks = planted[0][planted[0]["customer_id"] < "C0060"]
    expected = maxdiff(tasks)
    shuffled = maxdiff(tasks.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(shuffled.utilities, expected.utilities)
    pd.testing.assert_frame_equal(shuffled.to_frame(), expected.to_frame())
    mirrored = dict(zip(BENEFITS, BENEFITS[::-1], strict=True))
    renamed = maxdiff(tasks.replace({"item": mirrored})).utilities
    for item, name in mirrored.items():
        np.testing.assert_allclose(
            renamed[f"maxdiff_{name}"], expected.utilities[f"maxdiff_{item}"], atol=1e-4
        )


def test_fewer_tasks_are_drawn_closer_to_the_mean(planted):
    tasks = planted[0]
    short = tasks[(tasks["customer_id"] >= "C0100") | (tasks["task"] < 2)]
    found = maxdiff(short)
    few = found.utilities.index < "C0100"
    errors_ = found.standard_errors.mean(axis=1)
    assert errors_[few].min() > errors_[~few].max()
    spread = found.utilities.std()
    assert (found.utilities[few].std() < spread).all()
    assert "2 to 10 tasks" in found.notes[0]


@pytest.mark.parametrize("agree", [["a", "b", "c"], ["c", "a", "b"]])
def test_total_agreement_of_few_settles(agree):
    rows = [
        (who, task, item, choice)
        for who in ("ann", "bob")
        for task in range(3)
        for item, choice in zip(agree, (1, 0, -1), strict=True)
    ]
    found = maxdiff(pd.DataFrame(rows, columns=["customer_id", "task", "item", "choice"]))
    assert list(found.to_frame()["item"]) == agree
    assert np.isfinite(found.utilities.to_numpy()).all()


def test_dictionary_and_words(found):
    described = describe_columns(found.utilities)
    assert set(described["family"]) == {"benefits"}
    assert described["definition"].notna().all()
    assert found.summary().startswith("300 customers value advice most")
    assert "MaxDiff" in repr(found)


def test_a_path_and_other_names_are_read(planted, tmp_path):
    tasks = planted[0][planted[0]["customer_id"] < "C0030"]
    path = tmp_path / "tasks.csv"
    names = {"customer_id": "who", "task": "screen", "item": "benefit", "choice": "pick"}
    tasks.rename(columns=names).to_csv(path, index=False)
    found = maxdiff(path, **names)
    pd.testing.assert_frame_equal(found.utilities, maxdiff(tasks).utilities)


def test_it_can_be_drawn(found):
    assert len(found.plot().get_yticklabels()) == len(BENEFITS)


SMALL = pd.DataFrame(
    {
        "customer_id": ["ann"] * 3 + ["bob"] * 3,
        "task": 1,
        "item": ["a", "b", "c"] * 2,
        "choice": [1, 0, -1, 0, 1, -1],
    }
)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (SMALL.assign(choice=[1, 0, -1, 0, 1, 5]), "'choice' is 5 in 1 rows"),
        (SMALL.assign(choice=[1, 1, -1, 0, 1, -1]), "1 of 2 tasks do not have exactly one best"),
        (SMALL.assign(choice=[1, 0, 0, 0, 1, -1]), "1 of 2 tasks do not have exactly one best"),
        (SMALL.assign(item=["a", "a", "c"] * 2), "2 rows show an item twice"),
        (SMALL.assign(item=["a", None, "c"] * 2), "2 without item"),
        (SMALL.assign(choice="best"), "holds String, not numbers"),
        (SMALL.head(3), "1 customers and 3 items"),
        (SMALL.head(0), "no rows"),
    ],
)
def test_bad_tasks_are_refused(tasks, words):
    with pytest.raises(errors.DataError, match=words):
        maxdiff(tasks)


def test_a_missing_column_names_the_nearest():
    with pytest.raises(errors.ColumnError, match=r"no column 'choise'.*Did you mean 'choice'"):
        maxdiff(SMALL, choice="choise")


def test_what_does_not_settle_says_so():
    with pytest.raises(cs.CustsegError, match=r"did not settle in 1 rounds.*Allow more rounds"):
        maxdiff(SMALL, max_iter=1)
