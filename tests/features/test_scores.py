"""Scores of recency, frequency and money: equal customers, old cut points, named cells."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import custseg as cs
from custseg import errors
from custseg.features.dictionary import describe_columns
from custseg.features.scores import RFM_CELLS, rfm_scores
from custseg.plots.features import rfm_cells

QUIET = pytest.mark.filterwarnings("ignore:.*bins instead of:UserWarning")


def customers(n: int = 500, seed: int = 0) -> pd.DataFrame:
    """Return customers whose values have no ties."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "recency": rng.permutation(n),
            "frequency": rng.permutation(n) + 1,
            "monetary": rng.gamma(1, 200, n),
        },
        index=pd.Index(rng.permutation(n) + 10_000, name="customer_id"),
    )


def counted_by_hand(values: list[float], bins: int) -> list[int]:
    """Score each value by counting customers: the definition of the cut points, row by row."""
    cuts = []
    for j in range(1, bins):
        enough = [v for v in values if sum(w <= v for w in values) * bins >= j * len(values)]
        cuts.append(min(enough))
    return [1 + sum(value > cut for cut in cuts) for value in values]


@pytest.mark.parametrize("bins", [2, 3, 4, 5, 10])
def test_without_ties_the_bins_are_equal_parts(bins: int) -> None:
    scores = rfm_scores(customers(600), bins)
    for name in ("r_score", "f_score", "m_score"):
        counts = scores[name].value_counts().sort_index()
        assert counts.index.tolist() == list(range(1, bins + 1))
        assert counts.max() - counts.min() <= 1
    assert scores.attrs["notes"] == []


def test_the_best_score_is_recent_frequent_and_rich() -> None:
    table = customers()
    scores = rfm_scores(table)
    assert table["recency"][scores["r_score"] == 5].max() == 99
    assert table["frequency"][scores["f_score"] == 5].min() == 401
    assert table["monetary"][scores["m_score"] == 5].min() > table["monetary"].quantile(0.79)
    assert scores.index.equals(table.index)
    assert scores.columns.tolist() == ["r_score", "f_score", "m_score", "cell"]


@QUIET
@given(
    values=st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.5, 8.0, 8.25, 90.0]), min_size=1),
    bins=st.integers(2, 7),
)
def test_ties_follow_the_definition_and_never_split(values: list[float], bins: int) -> None:
    table = pd.DataFrame({"recency": values, "frequency": values, "monetary": values})
    scores = rfm_scores(table, bins)
    by_hand = counted_by_hand(values, bins)
    assert scores["f_score"].tolist() == by_hand
    assert scores["m_score"].tolist() == by_hand
    assert scores["r_score"].tolist() == [bins + 1 - score for score in by_hand]
    assert (scores.groupby(table["recency"])["r_score"].nunique() == 1).all()


def test_sums_that_differ_by_rounding_noise_are_equal() -> None:
    noise = [0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1]
    assert noise[0] != noise[1]
    table = customers(9).assign(monetary=[*noise, 0.2, 0.3, 0.4, 0.7, 0.8, 0.9, 1.0])
    scores = rfm_scores(table, 2)
    cut = scores.attrs["cut_points"]["monetary"][0]
    assert cut in noise
    assert scores["m_score"].iloc[0] == scores["m_score"].iloc[1]


def test_row_order_changes_nothing() -> None:
    table = customers().round({"monetary": -2})
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(rfm_scores(shuffled).sort_index(), rfm_scores(table).sort_index())


def test_fewer_bins_are_said_aloud() -> None:
    table = customers().assign(frequency=[1] * 300 + [2] * 60 + list(range(3, 143)))
    with pytest.warns(UserWarning, match=r"frequency has 3 bins instead of 5.*f_score 2, 3\.$"):
        scores = rfm_scores(table)
    assert scores["f_score"].value_counts().to_dict() == {1: 300, 4: 100, 5: 100}
    assert scores.attrs["notes"][0].startswith("frequency has 3 bins")


def test_old_cut_points_give_new_customers_their_old_scores() -> None:
    table = customers()
    scores = rfm_scores(table)
    part = table.iloc[:40]
    again = rfm_scores(part, cut_points=scores.attrs["cut_points"])
    pd.testing.assert_frame_equal(again, scores.iloc[:40])
    assert again.attrs["cut_points"] == scores.attrs["cut_points"]
    everybody_now = rfm_scores(part.assign(frequency=10**6), cut_points=scores.attrs["cut_points"])
    assert (everybody_now["f_score"] == 5).all()


def test_the_cells_are_disjoint_and_complete() -> None:
    owners: dict[tuple[int, int], list[str]] = {
        (r, f): [
            cell.name
            for cell in RFM_CELLS
            if cell.recency[0] <= r <= cell.recency[1]
            and cell.frequency[0] <= f <= cell.frequency[1]
        ]
        for r in range(1, 6)
        for f in range(1, 6)
    }
    assert all(len(names) == 1 for names in owners.values())
    assert len({cell.name for cell in RFM_CELLS}) == len(RFM_CELLS) == 11
    assert sum(
        (cell.recency[1] - cell.recency[0] + 1) * (cell.frequency[1] - cell.frequency[0] + 1)
        for cell in RFM_CELLS
    ) == len(owners)


def test_every_cell_is_named_by_the_table() -> None:
    grid = [(r, f) for r in range(1, 6) for f in range(1, 6)]
    table = pd.DataFrame(
        {"recency": [-r for r, _ in grid], "frequency": [f for _, f in grid], "monetary": range(25)}
    )
    scores = rfm_scores(table)
    for (r, f), (_, row) in zip(grid, scores.iterrows(), strict=True):
        assert (row["r_score"], row["f_score"]) == (r, f)
        (name,) = [
            cell.name
            for cell in RFM_CELLS
            if cell.recency[0] <= r <= cell.recency[1]
            and cell.frequency[0] <= f <= cell.frequency[1]
        ]
        assert row["cell"] == name
    assert scores["cell"].cat.categories.tolist() == [cell.name for cell in RFM_CELLS]


@pytest.mark.parametrize(
    ("bins", "fifths"),
    [
        (2, [2, 4]),
        (3, [1, 3, 5]),
        (4, [1, 2, 4, 5]),
        (7, [1, 2, 2, 3, 4, 4, 5]),
        (10, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
    ],
)
def test_other_numbers_of_bins_go_to_the_cell_of_their_fifth(bins: int, fifths: list[int]) -> None:
    table = customers(840)
    table["frequency"] = 841 - table["recency"]
    scores = rfm_scores(table, bins)
    names = {5: "champions", 4: "loyal customers", 3: "need attention", 2: "hibernating", 1: "lost"}
    expected = scores["r_score"].map(lambda score: names[fifths[score - 1]])
    assert (scores["r_score"] == scores["f_score"]).all()
    assert scores["cell"].astype(str).tolist() == expected.tolist()


def test_the_dictionary_goes_along() -> None:
    table = customers()
    table.attrs["as_of"] = "2024-06-30"
    entries = describe_columns(rfm_scores(table)).set_index("column")
    assert entries["kind"].to_dict() == {
        "r_score": "ordinal",
        "f_score": "ordinal",
        "m_score": "ordinal",
        "cell": "nominal",
    }
    assert set(entries["as_of"]) == {"2024-06-30"}
    assert "5 = most recent" in entries.loc["r_score", "definition"]


def test_scores_of_counted_lines(shop: "cs.datasets.Shop") -> None:
    tx = cs.Transactions(
        shop.transactions,
        **{name: name for name in ("customer_id", "timestamp", "order_id", "amount")},
    )
    counted = cs.features.rfm(tx.clean())
    scores = rfm_scores(counted)
    assert scores["cell"].notna().all()
    best = counted[scores["cell"] == "champions"]
    lost = counted[scores["cell"] == "lost"]
    assert best["recency"].max() < lost["recency"].min()
    assert best["frequency"].min() > lost["frequency"].max()


def test_the_picture_counts_every_customer_once_and_names_every_cell() -> None:
    table = customers()
    scores = rfm_scores(table)
    ax = rfm_cells(scores, table.iloc[::-1])
    texts = [text.get_text() for text in ax.texts]
    assert sum(int(text) for text in texts if text.isdigit()) == len(table)
    assert {text for text in texts if not text.isdigit()} == set(scores["cell"])
    square = table["monetary"][(scores["r_score"] == 2) & (scores["f_score"] == 3)]
    drawn = ax.collections[0].get_array()
    assert drawn[2, 1] == pytest.approx(square.median())
    assert ax.get_xlabel().startswith("recency score")


def test_the_picture_leaves_empty_squares_blank_and_takes_money_below_zero() -> None:
    table = customers(12)
    table["monetary"] -= table["monetary"].max()
    ax = rfm_cells(rfm_scores(table, 3), table)
    squares = ax.collections[0].get_array()
    assert squares.shape == (3, 3)
    assert squares.mask.sum() == 9 - sum(text.get_text().isdigit() for text in ax.texts)
    with pytest.raises(errors.ColumnError, match="scores has no columns 'r_score'"):
        rfm_cells(table, table)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"frequency": "many"}, errors.DataError, "'frequency' holds str, not numbers"),
        ({"recency": np.nan}, errors.DataError, "'recency' has 500 missing"),
        ({"monetary": np.inf}, errors.DataError, "'monetary' has 500 missing or infinite"),
    ],
)
def test_bad_values_are_refused(
    change: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        rfm_scores(customers().assign(**change))


def test_bad_tables_and_parameters_are_refused() -> None:
    table = customers()
    with pytest.raises(errors.ColumnError, match="no column 'monetary'"):
        rfm_scores(table.drop(columns="monetary"))
    with pytest.raises(errors.DataError, match="no customers"):
        rfm_scores(table.head(0))
    with pytest.raises(errors.ParameterError, match="bins is 1, but must be a whole number >= 2"):
        rfm_scores(table, 1)
    cuts = rfm_scores(table).attrs["cut_points"]
    with pytest.raises(errors.ColumnError, match="cut_points has no column 'frequency'"):
        rfm_scores(table, cut_points={"recency": cuts["recency"], "monetary": cuts["monetary"]})
    for wrong in ([1, 2, 3], [4, 3, 2, 1], [1, 2, 3, np.inf], ["a", "b", "c", "d"]):
        with pytest.raises(errors.ParameterError, match="must be 4 finite numbers in increasing"):
            rfm_scores(table, cut_points=cuts | {"recency": wrong})
