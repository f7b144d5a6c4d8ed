"""Pictures show the numbers of their tables, and nothing else."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import custseg as cs
from custseg.profiling import (
    attractiveness,
    cross_classify,
    describe_membership,
    markers,
    profile,
    recruiting_list,
    scorecard,
    segment_cards,
    separation,
)

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def shoppers(n: int = 400) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    index = pd.Index(rng.permutation(5 * n)[:n], name="customer_id")
    truth = rng.choice(["Gold", "Silver", "Basic"], n, p=[0.2, 0.3, 0.5])
    lift = pd.Series(truth).map({"Gold": 3.0, "Silver": 1.0, "Basic": 0.0}).to_numpy()
    customers = pd.DataFrame(
        {
            "orders": lift + rng.normal(0, 1, n),
            "spend": 2 * lift + rng.normal(0, 1, n),
            "noise": rng.normal(0, 1, n),
            "card": rng.random(n) < 0.2 + 0.2 * lift,
            "fee": 1.5,
        },
        index=index,
    )
    return customers, pd.Series(truth, index)


def survey(n: int = 500) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(1)
    truth = rng.choice(["A", "B"], n)
    yes = {"cheap": (0.9, 0.3), "tasty": (0.5, 0.5), "healthy": (0.03, 0.21), "fast": (0.4, 0.6)}
    table = {k: rng.random(n) < np.where(truth == "A", *v) for k, v in yes.items()}
    return pd.DataFrame(table), pd.Series(truth)


def test_markers_follow_the_rule():
    customers, segments = shoppers()
    found = profile(customers, segments, variables=["orders", "spend", "noise", "card"])
    frame = (
        markers(found)
        .to_frame()
        .merge(
            found.to_frame()[["segment", "variable", "ci_low", "ci_high"]],
            on=["segment", "variable"],
        )
    )
    for row in frame.itertuples():
        gap = row.value - row.overall
        assert row.difference == gap
        far = abs(row.std_diff) >= 0.5
        if row.variable == "card":
            far = abs(gap) >= 0.25 or abs(gap) >= 0.5 * row.overall
        outside = not row.ci_low <= row.overall <= row.ci_high
        assert row.marker == (far and outside)
    assert frame["marker"].any()
    assert not frame.loc[frame["variable"] == "noise", "marker"].any()


def test_a_share_is_a_marker_by_points_or_relative_to_the_average():
    answers, segments = survey()
    found = markers(profile(answers, segments, variables=list(answers)))
    marked = found.wide("marker").any(axis=1)
    assert marked.to_dict() == {"cheap": True, "tasty": False, "healthy": True, "fast": False}
    assert found.shares
    assert found.summary().startswith("A: + cheap, - healthy")
    assert found.wide().index.tolist() == ["cheap", "tasty", "fast", "healthy"]


def test_a_variable_that_is_the_same_for_all_is_left_out():
    customers, segments = shoppers()
    found = markers(profile(customers, segments, variables=["orders", "fee"]))
    assert set(found.to_frame()["variable"]) == {"orders"}
    assert "left out, the same for every customer: 'fee'." in found.notes
    with pytest.raises(cs.errors.DataError, match="no variable differs"):
        markers(profile(customers, segments, variables=["fee"]))


def test_panels_show_shares_with_the_average_and_markers_in_colour():
    answers, segments = survey()
    found = markers(profile(answers, segments, variables=list(answers)))
    ax = found.plot()
    widths = [bar.get_width() for bar in ax.patches]
    np.testing.assert_allclose(widths, found.to_frame()["value"])
    coloured = [bar.get_facecolor()[:3] != (0.8, 0.8, 0.8) for bar in ax.patches]
    assert coloured == found.to_frame()["marker"].tolist()
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    lefts = [bar.get_x() for bar in ax.patches]
    at = np.concatenate([line.get_xdata() for line in dots])
    np.testing.assert_allclose(at - lefts, found.to_frame()["overall"])
    assert [text.get_text() for text in ax.texts] == [
        f"{name}\n{share:.0%}" for name, share in found.sizes["share"].items()
    ]


@pytest.mark.parametrize("kind", ["panels", "snake", "heat", "radar"])
def test_every_kind_shows_the_same_table(kind):
    customers, segments = shoppers()
    names = ["orders", "spend", "noise", "card"]
    found = markers(profile(customers, segments, variables=names))
    wide = found.wide()
    ax = found.plot(kind=kind)
    if kind == "panels":
        shown = np.array([bar.get_width() for bar in ax.patches]).reshape(wide.shape[::-1]).T
    elif kind == "heat":
        shown = ax.collections[0].get_array().reshape(wide.shape)
        words = [text.get_text() for text in ax.texts]
        assert sum("*" in word for word in words) == found.to_frame()["marker"].sum()
        assert not any(word.startswith("-0.0") for word in words)
    else:
        lines = ax.lines[: wide.shape[1]]
        data = [line.get_xdata() if kind == "snake" else line.get_ydata()[:-1] for line in lines]
        shown = np.column_stack(data)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == list(wide.columns)
    np.testing.assert_allclose(shown, wide)


def test_kinds_and_axes_that_do_not_exist():
    customers, segments = shoppers()
    found = markers(profile(customers, segments, variables=["orders", "spend", "noise"]))
    with pytest.raises(cs.errors.ParameterError, match="'snake'"):
        found.plot(kind="snail")
    with pytest.raises(cs.errors.ParameterError, match="polar axes"):
        found.plot(kind="radar", ax=plt.subplots()[1])
    few = markers(profile(customers, segments, variables=["orders"]))
    with pytest.raises(cs.errors.ParameterError, match="at least 3 variables"):
        few.plot(kind="radar")


def test_principal_components_are_those_of_scikit_learn():
    customers, segments = shoppers()
    names = ["orders", "spend", "noise"]
    found = separation(customers, segments, variables=names)
    X = customers[names].sort_index()
    X = (X - X.mean()) / X.std(ddof=0)
    oracle = PCA(2).fit(X)
    np.testing.assert_allclose(found.axes["explained"], oracle.explained_variance_ratio_)
    plane = oracle.transform(X)
    plane /= plane.std(axis=0)
    np.testing.assert_allclose(np.abs(found.points[["axis_1", "axis_2"]]), np.abs(plane), atol=1e-8)
    expected = np.corrcoef(np.column_stack([X, plane]).T)[:3, 3:]
    np.testing.assert_allclose(np.abs(found.loadings), np.abs(expected), atol=1e-8)
    own = segments.sort_index().to_numpy()
    grand = (plane**2).sum(axis=0)
    between = sum((own == s).sum() * plane[own == s].mean(axis=0) ** 2 for s in set(own))
    np.testing.assert_allclose(found.axes["between"], between / grand)


def test_discriminant_axes_are_those_of_scikit_learn_on_the_other_half():
    customers, segments = shoppers()
    names = ["orders", "spend", "noise"]
    found = separation(customers, segments, variables=names, method="discriminant")
    X = customers[names].sort_index()
    X = (X - X.mean()) / X.std(ddof=0)
    shown = found.points[["axis_1", "axis_2"]].to_numpy()
    assert len(shown) == found.table["n"].sum() == 200
    sizes = segments.value_counts().sort_index() / 2
    assert (found.table["n"] - sizes).abs().max() <= 1
    first = np.abs(found.loadings["axis_1"])
    assert first["spend"] > 0.9
    assert first["noise"] < 0.2
    oracle = LinearDiscriminantAnalysis(solver="eigen").fit(X, segments.sort_index())
    axis = oracle.transform(X)[:, 0]
    by_hand = [abs(np.corrcoef(axis, X[name])[0, 1]) for name in names]
    np.testing.assert_allclose(first, by_hand, atol=0.12)


def test_discriminant_axes_of_noise_do_not_look_separate():
    rng = np.random.default_rng(2)
    customers = pd.DataFrame(rng.normal(size=(120, 40))).add_prefix("v")
    segments = rng.choice(["A", "B"], 120)
    found = separation(customers, segments, method="discriminant")
    assert found.axes["between"].max() < 0.08
    naive = LinearDiscriminantAnalysis().fit(customers, segments)
    assert naive.score(customers, segments) > 0.7
    assert found.table["nearer_other"].min() > 0.25


def test_the_plane_draws_centres_ellipses_and_variables():
    customers, segments = shoppers()
    found = separation(customers, segments, variables=["orders", "spend", "noise"])
    ax = found.plot()
    words = [text.get_text() for text in ax.texts if text.get_text()]
    assert words[:3] == ["Basic", "Gold", "Silver"]
    assert set(words[3:]) == {"orders", "spend", "noise"}
    centres = np.array([text.xy for text in ax.texts[:3]])
    np.testing.assert_allclose(centres, found.table[["axis_1", "axis_2"]])
    for ellipse, (segment, own) in zip(
        ax.patches, found.points.groupby("segment", observed=True), strict=True
    ):
        inside = ellipse.get_patch_transform().inverted().transform(own[["axis_1", "axis_2"]])
        share = (np.hypot(*inside.T) <= 1).mean()
        assert share == pytest.approx(0.5, abs=0.15), segment
    low, high = ax.get_xlim()
    assert all(low < text.xy[0] < high for text in ax.texts)


def test_a_plane_needs_segments_columns_and_values():
    customers, segments = shoppers()
    for change, words in [
        ({"segments": ["A"] * 400}, "one segment only"),
        ({"variables": ["orders", "fee"]}, "at least two columns"),
        ({"customers": customers.mask(customers["noise"] > 1)}, "missing values"),
        ({"segments": ["A"] * 5 + ["B"] * 395, "method": "discriminant"}, "method='pca'"),
    ]:
        options = {"customers": customers, "segments": segments, "variables": ["orders", "spend"]}
        options |= change
        with pytest.raises(cs.errors.DataError, match=words):
            separation(options.pop("customers"), options.pop("segments"), **options)
    with pytest.raises(cs.errors.ParameterError, match="'discriminant'"):
        separation(customers, segments, method="lda")


def test_the_mosaic_is_as_wide_and_high_as_the_table():
    customers, segments = shoppers()
    found = cross_classify(segments.rename("tier"), customers["card"].rename("card"))
    ax = found.plot()
    table = found.table
    widths = [bar.get_width() for bar in ax.patches]
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(widths, np.repeat(table.sum(axis=1) / table.to_numpy().sum(), 2))
    np.testing.assert_allclose(heights, found.to_frame()["share_of_first"])
    grey = [bar.get_facecolor()[:3] == (0.88, 0.88, 0.88) for bar in ax.patches]
    assert grey == (found.to_frame()["residual"].abs() < 2).tolist()
    repr(found)
    assert ax.get_xlabel() == "tier"
    assert found.table.index.name == "tier"


LONG = [
    *("Convenience seekers who pay online", "Bargain hunters in the store", "Loyal $1 to $2"),
    *("Occasional gift buyers at Christmas", "New", "Advice first, price second", "Sleeping"),
]


def drawn(texts) -> list:
    """Return what is written and the boxes that it takes on the page."""
    return [
        (text.get_text(), text.get_window_extent())
        for text in texts
        if text.get_text() and text.get_visible()
    ]


@pytest.mark.parametrize("given", [False, True])
def test_long_names_of_many_segments_do_not_lie_on_each_other(given):
    rng = np.random.default_rng(3)
    codes = rng.choice(7, 900)
    customers = pd.DataFrame(rng.normal(size=(900, 3)) + codes[:, None], columns=list("abc"))
    customers["town"] = rng.choice(["here", "there"], 900)
    segments = pd.Series(pd.Categorical.from_codes(codes, LONG, ordered=True), name="segment")
    found = profile(customers, segments, variables=list("abc"), descriptors=["town"])
    marked, crossed = markers(found), cross_classify(segments, customers["town"])
    for draw in (found.plot, marked.plot, lambda ax: marked.plot(kind="heat", ax=ax), crossed.plot):
        ax = plt.subplots(figsize=(8, 4), layout="constrained")[1] if given else None
        ax = draw(ax=ax)
        ax.figure.draw_without_rendering()
        heads = drawn([*ax.texts, *ax.get_xticklabels()])
        heads = [(text, box) for text, box in heads if any(c.isalpha() for c in text)]
        heads = [(text, box) for text, box in heads if text not in ("segmentation", "descriptors")]
        joined = [text.replace("\n", "").replace(" ", "") for text, _ in heads]
        for name in LONG:
            plain = name.replace(" ", "").replace("$", "\\$")
            assert sum(text.startswith(plain) for text in joined) == 1
        boxes = sorted((box for _, box in heads), key=lambda box: box.x0)
        assert all(one.x1 <= two.x0 for one, two in pairwise(boxes))
        plt.close(ax.figure)


def test_confusion_and_questions_show_their_tables():
    customers, segments = shoppers()
    found = describe_membership(customers, segments, variables=["orders", "spend", "noise"])
    ax = found.plot()
    shares = found.confusion / found.confusion.sum(axis=1).to_numpy()[:, None]
    np.testing.assert_allclose(ax.collections[0].get_array().reshape(3, 3), shares)
    assert ax.texts[0].get_text().endswith(f"{found.confusion.iloc[0, 0]:,}")
    ax = found.plot(kind="questions")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), found.questions["accuracy"])
    assert ax.lines[1].get_xdata()[0] == found.questions["asked"].sum()


def test_cards_places_scorecard_and_evaluation_show_their_tables():
    customers, segments = shoppers()
    cards = segment_cards(customers, segments, variables=["orders"], value="orders")
    ax = cards.plot()
    np.testing.assert_allclose(ax.lines[0].get_xdata(), cards.to_frame()["share"])
    people = recruiting_list(customers, segments, variables=["orders"])
    ax = people.plot()
    assert [bar.get_width() for bar in ax.patches] == people.account["filled"].tolist()
    brief = cs.Brief(goal="g", success_metric="s", min_share=0.1)
    card = scorecard(customers, segments, brief, variables=["orders"])
    ax = card.plot()
    share = card.to_frame().set_index("measure").loc["smallest share"]
    shown = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert share["number"] / share["bound"] in shown
    assert [text.get_text() for text in ax.texts].count("not measured") == 4
    table = pd.DataFrame({"x": [9, 5, 2], "y": [4, 7, 3]}, index=list("ABC"))
    found = attractiveness(table, table, sizes={"A": 4, "B": 1, "C": 2})
    ax = found.plot()
    frame = found.to_frame()
    at = np.concatenate([c.get_offsets() for c in ax.collections if len(c.get_offsets())])
    assert {tuple(point) for point in at.tolist()} >= {
        (row.attractiveness, row.competitiveness) for row in frame.itertuples()
    }
