"""Borders between segments: against counts by hand, and on shapes whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

import custseg as cs
from custseg._kernels.gaps import BINS, REACH, along
from custseg.clustering import KModes, KPrototypes
from custseg.errors import DataError, ParameterError
from custseg.evaluation import _borders
from custseg.evaluation._borders import POSITIONS, level, measure
from custseg.evaluation._lines import Lines, make_space
from custseg.evaluation.gaps import gaps, natural

NUMBERS = np.zeros(2, dtype=bool)


def groups(*centers, n: int = 200, seed: int = 0, spread: float = 1.0) -> tuple:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(centers)), n)
    return np.array(centers)[truth] + spread * rng.normal(size=(len(truth), len(centers[0]))), truth


def bins_by_hand(values, codes, i, j) -> np.ndarray:
    """Return the counts of `along` from centres that are computed again without each customer."""
    centers = np.array([values[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    counts = np.zeros(int(BINS * (1 + 2 * REACH)), dtype=int)
    for row, value in enumerate(values):
        middle = ((value - (centers[i] + centers[j]) / 2) ** 2).sum()
        third = [((value - c) ** 2).sum() for q, c in enumerate(centers) if q not in (i, j)]
        if third and min(third) < middle:
            continue
        others = np.arange(len(values)) != row
        start, end = (values[others & (codes == code)].mean(axis=0) for code in (i, j))
        place = (value - start) @ (end - start) / ((end - start) @ (end - start))
        place = int(np.floor((place + REACH) * BINS))
        if 0 <= place < len(counts):
            counts[place] += 1
    return counts


@pytest.mark.parametrize("seed", range(4))
def test_customers_along_a_line_are_counted_as_by_hand(seed):
    rng = np.random.default_rng(seed)
    values, codes = groups([0, 0, 0], [2, 0, 0], [0, 3, 0], [3, 3, 3], n=30, seed=seed)
    codes[rng.random(120) < 0.2] = -1 if seed % 2 else 2
    sizes = np.bincount(codes[codes >= 0])
    centers = np.array([values[codes == code].mean(axis=0) for code in range(4)])
    found = along(
        values,
        np.zeros_like(values),
        np.empty((0, 0)),
        codes,
        sizes,
        centers,
        np.zeros((120, 4)),
        3,
        0,
        1,
    )
    np.testing.assert_array_equal(found, bins_by_hand(values, codes, 0, 1))
    assert found.sum() > 20


def test_spread_values_lie_in_their_intervals():
    rng = np.random.default_rng(0)
    low, width, draw = rng.normal(size=(50, 2)), rng.random((50, 2)), rng.random((50, 2))
    codes = np.repeat([0, 1], 25)
    middles = low + width / 2
    centers = np.array([middles[codes == code].mean(axis=0) for code in (0, 1)])
    found = along(low, width, draw, codes, np.array([25, 25]), centers, np.zeros((50, 2)), 2, 0, 1)
    counts = np.zeros_like(found)
    for row, code in enumerate(codes):
        ends = [centers[q] + (q == code) * (centers[q] - middles[row]) / 24 for q in (0, 1)]
        step = ends[1] - ends[0]
        place = (low[row] + width[row] * draw[row] - ends[0]) @ step / (step @ step)
        if -REACH <= place < 1 + REACH:
            counts[int(np.floor((place + REACH) * BINS))] += 1
    np.testing.assert_array_equal(found, counts)


def test_counts_ratio_and_p_values_are_those_of_the_strips():
    values, codes = groups([0, 0], [6, 0], [0, 9], seed=1)
    found = measure(values, codes, categorical=NUMBERS, seed=0, thorough=True)
    np.testing.assert_array_equal(found.neighbour, [1, 0, 0])
    np.testing.assert_array_equal(found.pairs, [[0, 1], [0, 2]])
    within = np.array(
        [values[codes == code] - values[codes == code].mean(axis=0) for code in (0, 1, 2)]
    )
    units = np.sqrt((within**2).mean(axis=(0, 1)))
    for place, (i, j) in enumerate(found.pairs):
        fine = bins_by_hand(values / units, codes, i, j)
        starts = np.round((POSITIONS + REACH - 0.125) * BINS).astype(int)
        strips = np.array([fine[low : low + BINS // 4].sum() for low in starts])
        np.testing.assert_array_equal(found.profiles[place], strips)
        assert found.between[place] == fine.sum()
        centre = min(strips[5], strips[25])
        border = strips[12:19].min()
        assert found.ratio[place] == (border + 1) / (centre + 1)
        assert found.p_value[place] == pytest.approx(binom.cdf(border, border + centre, 0.5))
    joint = norm.isf(found.p_value).sum() / np.sqrt(2)
    assert found.p_joint == pytest.approx(norm.sf(joint))
    assert found.natural


def test_the_level_of_one_border_grows_with_their_number():
    assert [level(k) for k in (2, 3, 5, 8, 20)] == pytest.approx([0.05, 0.1, 0.2, 0.35, 0.35])


def test_rows_and_units_and_names_of_segments_do_not_matter():
    values, codes = groups([0, 0], [5, 0], [0, 5], [5, 5], seed=2)
    values = np.round(values)  # ties
    first = measure(values, codes, categorical=NUMBERS, seed=3, thorough=True)
    order = np.random.default_rng(0).permutation(len(values))
    again = measure(values[order], codes[order], categorical=NUMBERS, seed=3, thorough=True)
    for name in ("profiles", "ratio", "p_value", "links", "rest", "hollow"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    scaled = measure(values * [1024, 0.125], codes, categorical=NUMBERS, seed=3, thorough=True)
    np.testing.assert_array_equal(first.profiles, scaled.profiles)
    np.testing.assert_array_equal(first.hollow, scaled.hollow)
    turned = measure(values, 3 - codes, categorical=NUMBERS, seed=3)
    assert turned.natural == first.natural
    assert sorted(turned.ratio) == pytest.approx(sorted(first.ratio), rel=0.2)


def test_customers_in_no_segment_are_counted_where_they_lie():
    values, codes = groups([0, 0], [8, 0])
    between = np.column_stack([np.linspace(2, 6, 300), np.zeros(300)])
    all_values = np.vstack([values, between])
    noise = np.append(codes, np.full(300, -1))
    assert measure(values, codes, categorical=NUMBERS, seed=0).natural
    found = measure(all_values, noise, categorical=NUMBERS, seed=0)
    assert found.ratio[0] > 1
    assert not found.natural


def test_levels_are_ordered_by_how_much_they_tell_two_segments_apart():
    levels = np.array([0] * 6 + [1] * 3 + [2] * 1 + [0] * 1 + [1] * 4 + [2] * 5 + [1, 1])
    codes = np.array([0] * 10 + [1] * 10 + [-1, -1])
    space = make_space(levels[:, None].astype(float), codes, np.array([True]))
    line = Lines(space).between(0, 1)
    unit = line.width[0, 0] / (7 / 20)
    other = codes == -1
    assert line.low[other, 0] / unit == pytest.approx([7 / 20] * 2)  # level 1 follows level 0
    assert (line.width[levels == 2] / unit).ravel() == pytest.approx([6 / 20] * 6)
    middles = {0: 7 / 40, 1: 7 / 20 + 7 / 40, 2: 14 / 20 + 6 / 40}
    mean = np.mean([middles[level] for level in levels[codes == 0]])
    assert line.centers[0, 0] / unit == pytest.approx(mean)


def test_a_level_of_one_customer_tells_nothing_of_that_customer():
    levels = np.array([0, 0, 0, 3, 1, 1, 1, 1])
    codes = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    space = make_space(levels[:, None].astype(float), codes, np.array([True]))
    line = Lines(space).between(0, 1)
    unit = line.width[0, 0] / (3 / 8)
    # without its customer the third level is as frequent in both segments: between the other two
    assert line.low[3, 0] / unit == pytest.approx(3 / 8)
    assert line.low[4, 0] / unit == pytest.approx(4 / 8)


def ring(n: int, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi, n)
    return (1 + 0.1 * rng.normal(size=n))[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_arcs_of_a_ring_are_no_segments(k):
    values = ring(1_000, np.random.default_rng(k))
    codes = KMeans(k, n_init=10, random_state=0).fit_predict(values)
    found = measure(values, codes, categorical=NUMBERS, seed=0, thorough=True)
    assert not found.natural
    assert found.links.max() > 0.7 or found.hollow.max() > 1.5
    if k < 4:
        assert found.hollow.max() > 1.5
        assert found.ratio.max() < 1.0


def test_compact_groups_are_not_hollow_and_hardly_linked():
    values, codes = groups([0, 0], [6, 0], [0, 6])
    found = measure(values, codes, categorical=NUMBERS, seed=0, thorough=True)
    assert found.hollow.max() < -1
    assert found.links.max() < 0.3


@pytest.mark.parametrize("shape", ["flat", "skewed", "heavy"])
def test_groups_need_not_be_normal(shape):
    rng = np.random.default_rng(0)
    draws = {
        "flat": (rng.random((600, 2)) - 0.5) * np.sqrt(12),
        "skewed": rng.exponential(size=(600, 2)),
        "heavy": rng.standard_t(5, (600, 2)) / np.sqrt(5 / 3),
    }
    truth = np.repeat([0, 1, 2], 200)
    values = np.array([[0, 0], [6, 0], [0, 6]])[truth] + draws[shape]
    assert natural(values).best_k == 3
    assert natural(draws[shape]).best_k is None


def test_one_yes_or_no_answer_makes_no_gap_and_its_repetition_neither():
    rng = np.random.default_rng(0)
    answers = (rng.random((800, 6)) < 0.5).astype(float)
    answers[:, 5] = np.where(rng.random(800) < 0.97, answers[:, 4], 1 - answers[:, 4])
    codes = answers[:, 4].astype(int)
    six = np.zeros(6, dtype=bool)
    once = measure(answers[:, :5], codes, categorical=six[:5], seed=0, thorough=True)
    assert once.ratio[0] > 0.75
    twice = measure(answers, codes, categorical=six, seed=0, thorough=True)
    assert twice.ratio[0] < 0.75
    assert twice.rest[0] > 0.85
    assert not twice.natural
    note = gaps(answers, codes).notes[-1]
    assert "0 | 1 rests on one coarse column" in note


def test_several_answers_that_go_together_make_a_gap():
    rng = np.random.default_rng(1)
    truth = rng.integers(2, size=600)
    answers = (rng.random((600, 9)) < np.where(truth[:, None] == 1, 0.85, 0.15)).astype(float)
    assert natural(answers, k=range(2, 5)).best_k == 2


def test_a_heap_of_zeros_makes_no_gap_by_itself():
    rng = np.random.default_rng(2)
    spend = np.log1p(np.exp(rng.normal(3, 1, (900, 3))))
    spend[rng.random((900, 3)) < 0.5] = 0.0
    assert natural(spend).best_k is None
    codes = (spend[:, 0] > 0).astype(int)
    assert not gaps(spend, codes).natural


def test_wide_columns_without_groups_do_not_hide_the_others():
    values, truth = groups([0, 0], [5, 0], [0, 5], [5, 5], n=150, seed=3)
    noise = values.std() * np.random.default_rng(4).normal(size=(600, 4))
    table = np.hstack([values, noise])
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    plain = pd.DataFrame(
        {k: KMeans(k, n_init=10, random_state=0).fit_predict(table) for k in (3, 4, 5)}
    )
    assert natural(table, plain).best_k != 4
    found = natural(table)
    assert found.best_k == 4
    crossed = pd.crosstab(truth, found.labelings[4]).to_numpy()
    assert (crossed.max(axis=1) / crossed.sum(axis=1)).min() > 0.97


@pytest.mark.parametrize(
    "divide",
    [
        lambda X: KMeans(3, n_init=5, random_state=0).fit_predict(X),
        lambda X: GaussianMixture(3, random_state=0).fit_predict(X),
        lambda X: AgglomerativeClustering(3).fit_predict(X),
        lambda X: KPrototypes(3, categorical=[], random_state=0).fit(X).labels_,
    ],
    ids=["k-means", "mixture", "ward", "k-prototypes"],
)
def test_segments_of_any_algorithm_are_judged(divide):
    values, _ = groups([0, 0], [6, 0], [0, 6], seed=5)
    assert gaps(values, divide(values)).natural
    flat = np.random.default_rng(5).random((600, 2))
    assert not gaps(flat, divide(flat)).natural


def test_categories_that_go_together_make_gaps_and_others_do_not():
    rng = np.random.default_rng(6)
    truth = rng.integers(3, size=500)
    own = np.array(["north", "south", "west"])
    answers = own[
        np.where(rng.random((500, 8)) < 0.7, truth[:, None], rng.integers(3, size=(500, 8)))
    ]
    alone = own[rng.integers(3, size=(500, 8))]
    for table, expected in ((answers, 3), (alone, None)):
        frame = pd.DataFrame(table, columns=list("abcdefgh"))
        labels = {k: KModes(k, n_init=5, random_state=0).fit(frame).labels_ for k in range(2, 6)}
        found = natural(frame, pd.DataFrame(labels))
        assert found.best_k == expected
    assert not found.gaps[2].borders["gap"].any()


def test_numbers_and_categories_are_judged_together():
    rng = np.random.default_rng(7)
    values, truth = groups([0, 0], [3.2, 0], [0, 3.2], seed=7)
    frame = pd.DataFrame(values, columns=["visits", "basket"])
    assert not gaps(frame, truth).natural
    for name in "abcd":
        told = np.where(rng.random(600) < 0.75, truth, rng.integers(3, size=600))
        frame[name] = np.array(["x", "y", "z"])[told]
    assert gaps(frame, truth).natural
    assert (
        gaps(frame, truth).to_frame()["ratio"].max() < gaps(values, truth).to_frame()["ratio"].max()
    )


def test_a_gap_in_categories_keeps_what_is_missing_a_level():
    rng = np.random.default_rng(8)
    truth = rng.integers(2, size=400)
    frame = pd.DataFrame(
        {
            name: np.where(rng.random(400) < 0.87, truth, 1 - truth).astype(object)
            for name in "abcdefg"
        }
    )
    frame.loc[::50, "a"] = None
    assert gaps(frame, truth, categorical=list("abcdefg")).natural


def test_the_table_has_a_row_per_segment_by_name():
    values, truth = groups([0, 0], [6, 0], [0, 9], n=100)
    ids = pd.Index(np.arange(300) + 7, name="customer_id")
    frame = pd.DataFrame(values, columns=["visits", "basket"], index=ids)
    labels = pd.Series(pd.Categorical.from_codes(truth, ["rare", "often", "rich"]), index=ids)
    found = gaps(frame, labels)
    table = found.to_frame()
    assert table["segment"].tolist() == ["rare", "often", "rich"]
    assert table["neighbour"].tolist() == ["often", "rare", "rare"]
    assert table.columns.tolist() == [
        *("segment", "neighbour", "n", "position", "border", "centre", "centre_neighbour"),
        *("ratio", "p_value", "links", "rest", "hollow", "gap"),
    ]
    rare, often = table.iloc[0], table.iloc[1]
    assert (rare["centre"], rare["centre_neighbour"]) == (
        often["centre_neighbour"],
        often["centre"],
    )
    assert rare["position"] == pytest.approx(1 - often["position"])
    assert rare["ratio"] == often["ratio"]
    line = found.profiles[found.profiles["segment"] == "often"]
    assert line["customers"].to_numpy()[[5, 25]].tolist() == [
        often["centre"],
        often["centre_neighbour"],
    ]
    assert found.natural
    assert found.summary().startswith("natural: every border of these 3 segments is a gap")
    assert "often" in repr(found)
    assert found.n_customers == 300


def test_the_summary_says_what_is_missing():
    rng = np.random.default_rng(0)
    flat = rng.random((300, 2))
    halves = (flat[:, 0] > 0.5).astype(int)
    assert gaps(flat, halves).summary().startswith("not natural: 0 of 2 segments have a gap")
    values = ring(1_500, rng)
    halves = (values[:, 0] > 0).astype(int)
    assert "not natural" in gaps(values, halves).summary()
    four, _ = groups([0, 0], [9, 0], [0, 7], [9, 7], n=150)
    found = gaps(four, (four[:, 0] > 4.5).astype(int))
    assert "but hollow: 0, 1" in found.summary()


def test_the_largest_number_with_gaps_all_around_counts():
    values, _ = groups([0, 0], [6, 0], [0, 12], [6, 12], seed=1)
    found = natural(values)
    assert found.best_k == 4
    assert found.to_frame()["labelling"].tolist() == list(range(2, 9))
    assert found.to_frame().set_index("k")["natural"][4]
    assert found.summary().startswith("natural with 4 segments")
    assert list(found.labelings.columns) == list(range(2, 9))
    shuffled = pd.DataFrame(values).sample(frac=1, random_state=3)
    again = natural(shuffled)
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame())
    pd.testing.assert_series_equal(again.labelings[4].sort_index(), found.labelings[4])
    nothing = natural(np.random.default_rng(0).normal(size=(400, 3)), k=[2, 3, 4])
    assert nothing.best_k is None
    assert nothing.summary().startswith("no number of segments has gaps all around")


def test_large_tables_are_counted_in_part(monkeypatch):
    monkeypatch.setattr(_borders, "MOST", 300)
    values, truth = groups([0, 0], [7, 0], n=400)
    found = gaps(values, truth)
    assert found.natural
    assert found.n_customers == 300
    assert "counted are 300 of 800 customers" in found.notes[-1]
    order = np.random.default_rng(1).permutation(800)
    pd.testing.assert_frame_equal(gaps(values[order], truth[order]).to_frame(), found.to_frame())
    assert natural(values, k=[2, 3]).best_k == 2
    alone = truth.copy()
    alone[5] = 2  # one customer, perhaps not drawn
    assert gaps(values, alone).to_frame()["segment"].tolist() == [0, 1, 2]


def test_few_customers_are_said_to_be_too_few():
    values, truth = groups([0, 0], [3.5, 0], n=12, seed=3)
    found = gaps(values, truth)
    assert not found.natural
    assert any("too few to show a gap" in note for note in found.notes)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda X, y: gaps(X[:-1], y), DataError, "the same customers in the same order"),
        (lambda X, y: gaps(X, np.zeros(len(y))), DataError, "has 1 segment"),
        (lambda X, y: gaps(np.where(X > 2, np.nan, X), y), DataError, "missing"),
        (
            lambda X, y: gaps(pd.DataFrame({"city": ["a"] * len(y)}), y, categorical=[]),
            DataError,
            "'city'",
        ),
        (lambda X, y: natural(X, k=[1]), ParameterError, "k is 1"),
        (lambda X, y: natural(np.ones_like(X)), DataError, "same values"),
        (lambda X, y: natural(X, categorical=[0]), ParameterError, "are categories"),
        (lambda X, y: natural(X[:3], k=[4]), ParameterError, "at most 3"),
        (lambda X, y: natural(X, random_state=-1), ParameterError, "random_state"),
    ],
)
def test_bad_input_is_refused(call, error, words):
    values, truth = groups([0, 0], [6, 0], n=20)
    with pytest.raises(error, match=words):
        call(values, truth)


def test_pictures_show_the_counts():
    values, truth = groups([0, 0], [6, 0], [0, 9], n=100)
    found = gaps(values, truth)
    ax = found.plot()
    panels = [panel for panel in ax.figure.axes if panel.lines]
    assert len(panels) == 2
    fullest = found.to_frame().sort_values("ratio", kind="stable", ascending=False).iloc[0]
    assert [text.get_text() for text in ax.get_xticklabels()] == [
        str(fullest["segment"]),
        str(fullest["neighbour"]),
    ]
    drawn = found.profiles[found.profiles["segment"] == fullest["segment"]]["customers"]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), drawn)
    many = natural(values, k=[2, 3, 4])
    ax = many.plot()
    dots = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "o"])
    ratios = np.concatenate([one.borders["ratio"] for one in many.gaps.values()])
    assert sorted(dots) == pytest.approx(sorted(ratios))
    own = cs.evaluation.gaps(values, truth).plot(ax=ax)
    assert own is ax


def test_iris_has_two_natural_groups_in_any_unit():
    values = load_iris().data
    assert natural(values).best_k == 2
    assert natural((values - values.mean(axis=0)) / values.std(axis=0)).best_k == 2


@pytest.mark.realdata("wholesale", "mcdonalds")
def test_wholesale_and_mcdonalds_have_no_gaps():
    wholesale = np.log(cs.datasets.load_wholesale().iloc[:, 2:].astype(float))
    perceptions = cs.datasets.load_mcdonalds().iloc[:, :11].eq("Yes").astype(float)
    for table in (wholesale, perceptions):
        assert natural(table).best_k is None
        labels = {k: KMeans(k, n_init=10, random_state=0).fit_predict(table) for k in range(2, 9)}
        assert natural(table, pd.DataFrame(labels, index=table.index)).best_k is None


@pytest.mark.realdata("online_retail", "cdnow_sample")
def test_customers_of_shops_are_a_continuum():
    retail = cs.Transactions(
        cs.datasets.load_online_retail(),
        customer_id="CustomerID",
        timestamp="InvoiceDate",
        order_id="InvoiceNo",
        quantity="Quantity",
        unit_price="UnitPrice",
    )
    discs = cs.Transactions(
        cs.datasets.load_cdnow(), customer_id="sample_id", timestamp="date", amount="dollar_value"
    )
    for tx in (retail, discs):
        table = np.log1p(cs.features.rfm(tx.clean())[["recency", "frequency", "monetary"]])
        found = natural(table, k=range(2, 6))
        assert found.best_k is None
        assert found.to_frame()["ratio"].min() > 1.1
