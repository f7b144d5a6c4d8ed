"""What gamma does: costs in their parts, what is explained, when clusters change."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from custseg.clustering import GammaSweep, KPrototypes, gamma_sweep
from custseg.errors import ParameterError


def two_stories(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Two groups by the number, two others by the categories."""
    rng = np.random.default_rng(seed)
    high, web = rng.integers(0, 2, (2, 500))
    table = pd.DataFrame({"spend": 2.0 * high + rng.normal(0, 0.4, 500)})
    for name in ("first", "last", "usual"):
        table[name] = np.where(rng.random(500) < 0.9, web, 1 - web).astype(str)
    return table, high, web


MODEL = KPrototypes(2, random_state=0)


def test_gamma_chooses_between_two_stories():
    table, high, web = two_stories()
    sweep = gamma_sweep(table, MODEL)
    frame = sweep.to_frame()
    assert isinstance(sweep, GammaSweep)
    assert frame["times_usual"].tolist() == [0, 0.25, 0.5, 1, 2, 4, 8]
    assert sweep.usual == 0.5 * table["spend"].std(ddof=0)
    assert adjusted_rand_score(high, sweep.labels.iloc[:, 0]) > 0.9
    assert adjusted_rand_score(web, sweep.labels.iloc[:, -1]) > 0.85
    assert frame["numeric_explained"].is_monotonic_decreasing
    assert frame["categorical_explained"].is_monotonic_increasing
    assert frame["categorical_share"].is_monotonic_increasing
    assert frame["ari_previous"].min() < 0.1
    assert frame["ari_previous"].isna().tolist() == [True] + [False] * 6
    assert f"{frame['numeric_explained'].iloc[0]:.0%} to" in sweep.summary()


def test_every_number_of_the_table():
    table, *_ = two_stories(1)
    table.loc[3, "spend"] = np.nan
    table.loc[4, "last"] = None
    weights = np.random.default_rng(1).integers(1, 4, len(table))
    frame = gamma_sweep(table, MODEL, gammas=[2, 0.5], sample_weight=weights).to_frame()
    assert frame["gamma"].tolist() == [0.5, 2]
    spend, letters = table[["spend"]].to_numpy(), table.iloc[:, 1:]
    known = ~np.isnan(spend[:, 0])
    mean = np.average(spend[known, 0], weights=weights[known])
    total = weights[known] @ (spend[known, 0] - mean) ** 2
    votes = letters.apply(
        lambda column: column.groupby(column).apply(lambda x: weights[x.index].sum())
    )
    differ = ((letters != votes.idxmax()) & letters.notna()).sum(axis=1)
    most = weights @ differ.to_numpy()
    for row in frame.itertuples():
        found = KPrototypes(2, gamma=row.gamma, random_state=0).fit(table, sample_weight=weights)
        own = found.cluster_centroids_[found.labels_]
        squares = np.nan_to_num((spend[:, 0] - own[:, 0].astype(float)) ** 2)
        wrong = ((letters.to_numpy() != own[:, 1:]) & letters.notna().to_numpy()).sum(axis=1)
        assert row.cost == found.cost_
        assert row.numeric_cost == pytest.approx(weights @ squares)
        assert row.categorical_cost == pytest.approx(row.gamma * (weights @ wrong))
        assert row.cost == pytest.approx(row.numeric_cost + row.categorical_cost)
        assert row.numeric_explained == pytest.approx(1 - row.numeric_cost / total)
        assert row.categorical_explained == pytest.approx(1 - (weights @ wrong) / most)
        assert row.categorical_share == pytest.approx(row.gamma * most / (total + row.gamma * most))


def test_it_says_what_not_to_compare_and_leaves_the_estimator_alone():
    table, *_ = two_stories()
    model = KPrototypes(3, gamma=7, random_state=0)
    sweep = gamma_sweep(table, model, gammas=(0.1, 0.2, 0.4))
    assert model.gamma == 7
    assert not hasattr(model, "labels_")
    assert "must not be compared" in repr(sweep)
    assert "categorical_explained" in sweep._repr_html_()


def test_the_picture_has_both_sides_and_the_usual_gamma():
    table, *_ = two_stories()
    sweep = gamma_sweep(table, MODEL)
    ax = sweep.plot()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [
        "explained of numbers",
        "explained of categories",
        "agreement of neighbours (ARI)",
    ]
    lines = ax.get_lines()
    np.testing.assert_array_equal(lines[0].get_ydata(), sweep.to_frame()["numeric_explained"])
    np.testing.assert_array_equal(lines[2].get_ydata(), sweep.to_frame()["ari_previous"][1:])
    assert lines[3].get_xdata() == pytest.approx([3, 3])
    assert sweep.plot(ax=ax) is ax
    without = gamma_sweep(table, MODEL, gammas=[2 * sweep.usual, 3 * sweep.usual]).plot()
    assert len(without.get_lines()) == 3


@pytest.mark.parametrize(
    ("columns", "estimator", "gammas", "words"),
    [
        (None, KPrototypes, None, ["must be a KPrototypes"]),
        (None, MODEL, [0.5], ["two different values"]),
        (None, MODEL, [0.5, 0.5], ["two different values"]),
        (None, MODEL, [0.5, -1], ["each of gammas is -1"]),
        (["spend"], MODEL, None, ["1 numeric, 0 categorical"]),
        (["first", "last"], MODEL, None, ["0 numeric, 2 categorical"]),
    ],
)
def test_a_bad_question_is_named(columns, estimator, gammas, words):
    table = two_stories()[0]
    with pytest.raises(ParameterError) as error:
        gamma_sweep(table[columns or list(table)], estimator, gammas=gammas)
    assert all(word in str(error.value) for word in words), str(error.value)
