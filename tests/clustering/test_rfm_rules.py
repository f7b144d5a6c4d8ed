"""Segments by rule: the customary cells, cells of one's own, and bad tables of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from custseg.clustering.rules import RFMRules
from custseg.errors import ColumnError, DataError, ParameterError
from custseg.features import RFM_CELLS, rfm_scores

COLUMNS = ["recency", "frequency", "monetary"]
CUTS = {"recency": [30, 90], "frequency": [1, 5], "monetary": [50, 500]}
REFUSED = {
    "check_dtype_object": "numbers kept as objects are refused: nobody said what they are",
    "check_clustering": "a label is a place in the table of cells: nobody may be in some",
    "check_clustering(readonly_memmap=True)": "as above",
}


@parametrize_with_checks(
    [RFMRules(columns=(0, 0, 0)), RFMRules(columns=(0, 0, 0), bins=2)],  # tables of any width
    expected_failed_checks=lambda _: REFUSED,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def shoppers(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frequency = rng.geometric(0.3, n)
    return pd.DataFrame(
        {
            "recency": rng.integers(0, 365, n),
            "frequency": frequency,
            "monetary": (frequency * rng.lognormal(3, 0.7, n)).round(2),
        },
        index=pd.Index(rng.permutation(n) + 1, name="customer_id"),
    )


def grid_of(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


@pytest.mark.parametrize("bins", [2, 3, 4, 5, 7, 10])
@pytest.mark.filterwarnings("ignore:frequency has")
def test_the_customary_cells_are_those_of_the_scores(bins):
    customers, later = shoppers(), shoppers(seed=1)
    scores = rfm_scores(customers, bins)
    rules = RFMRules(bins=bins).fit(customers)
    names = np.array(rules.segment_names_)
    assert names[rules.labels_].tolist() == scores["cell"].tolist()
    assert rules.cut_points_ == scores.attrs["cut_points"]
    assert list(rules.notes_)[: len(scores.attrs["notes"])] == scores.attrs["notes"]
    new = rfm_scores(later, bins, cut_points=scores.attrs["cut_points"])
    assert names[rules.predict(later)].tolist() == new["cell"].tolist()
    assert set(names) <= {cell.name for cell in RFM_CELLS}
    assert bins != 5 or names.tolist() == [cell.name for cell in RFM_CELLS]


@given(arrays(np.int64, (30, 3), elements=st.integers(0, 6)), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_equal_customers_share_a_segment_whatever_the_order(values, bins):
    customers = pd.DataFrame(values, columns=COLUMNS)
    labels = RFMRules(bins=bins).fit(customers).labels_
    together = customers.assign(label=labels).groupby(COLUMNS)["label"].nunique()
    assert (together == 1).all()
    again = RFMRules(bins=bins).fit(customers[::-1])
    np.testing.assert_array_equal(again.labels_[::-1], labels)


def test_rules_in_words_say_what_predict_does():
    customers = shoppers()
    for rules in (RFMRules(), RFMRules(bins=3), RFMRules(bins=3, cells=own_cells())):
        fitted = rules.fit(customers)
        held = np.full(len(customers), -1)
        for code, rule in enumerate(fitted.rules_["rule"]):
            if rule.startswith("nobody"):
                continue
            words = rule.replace(" and ", " & ").replace(" or ", " | ")
            members = customers.eval(words).to_numpy()
            assert (held[members] == -1).all()
            held[members] = code
        np.testing.assert_array_equal(held, fitted.labels_)
        assert (
            fitted.rules_["n"].tolist()
            == np.bincount(fitted.labels_, minlength=len(fitted.rules_)).tolist()
        )
        assert fitted.rules_["share"].sum() == pytest.approx(1)


def own_cells() -> pd.DataFrame:
    """Three segments by three scores each; "other" is two rectangles."""
    return pd.DataFrame(
        [
            ("big spenders", 1, 3, 1, 3, 3, 3),
            ("active", 2, 3, 1, 3, 1, 2),
            ("other", 1, 1, 1, 1, 1, 2),
            ("other", 1, 1, 2, 3, 1, 2),
        ],
        columns=["segment", "r_min", "r_max", "f_min", "f_max", "m_min", "m_max"],
    )


def test_cells_of_ones_own_by_given_cut_points():
    rules = RFMRules(bins=3, cells=own_cells(), cut_points=CUTS)
    customers = pd.DataFrame(
        [(10, 1, 501.0), (400, 9, 500.5), (90, 1, 500.0), (91, 1, 500.0), (91, 7, 0.0)],
        columns=COLUMNS,
    )
    fitted = rules.fit(customers)
    assert fitted.segment_names_ == ("big spenders", "active", "other")
    assert fitted.labels_.tolist() == [0, 0, 1, 2, 2]
    assert fitted.cut_points_ == {name: [float(x) for x in cuts] for name, cuts in CUTS.items()}
    other = "recency > 90 and frequency {} 1 and monetary <= 500"
    other = f"{other.format('<=')} or {other.format('>')}"
    assert fitted.rules_["rule"].tolist() == [
        "monetary > 500",
        "recency <= 90 and monetary <= 500",
        other,
    ]
    assert fitted.notes_ == ()
    only_rich = fitted.fit(customers[:2])
    assert only_rich.notes_ == ("nobody is in active, other.",)
    assert only_rich.predict(customers).tolist() == [0, 0, 1, 2, 2]


def test_a_sum_that_misses_a_cut_point_by_noise_is_equal_to_it():
    cuts = CUTS | {"monetary": [0.3, 5.0]}
    customers = pd.DataFrame({"recency": [1, 1], "frequency": 1, "monetary": [0.3, 0.1 + 0.2]})
    assert customers["monetary"].nunique() == 2
    cells = grid_of(segment=["small", "large"], m_min=[1, 2], m_max=[1, 3])
    fitted = RFMRules(bins=3, cells=cells, cut_points=cuts).fit(customers)
    assert fitted.labels_.tolist() == [0, 0]
    above = (customers[COLUMNS].to_numpy()[:, :, None] > fitted.bounds_[None]).sum(axis=2)
    assert above.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_weights_are_customers():
    customers = shoppers(60)
    weights = np.random.default_rng(2).integers(0, 4, 60)
    weighted = RFMRules(bins=4).fit(customers, sample_weight=weights)
    repeated = RFMRules(bins=4).fit(customers.loc[customers.index.repeat(weights)])
    assert weighted.cut_points_ == repeated.cut_points_
    np.testing.assert_allclose(weighted.rules_["share"], repeated.rules_["share"])
    assert weighted.rules_["n"].sum() == 60


def test_columns_of_other_names_and_bare_arrays():
    customers = shoppers()
    plain = RFMRules().fit(customers)
    renamed = customers.rename(columns={"recency": "days", "frequency": "orders"})[
        ["monetary", "orders", "days"]
    ].assign(city="Leeds")
    named = RFMRules(columns=("days", "orders", "monetary")).fit(renamed)
    np.testing.assert_array_equal(named.labels_, plain.labels_)
    assert "days <=" in named.rules_["rule"][0]
    np.testing.assert_array_equal(RFMRules().fit(customers.to_numpy()).labels_, plain.labels_)
    turned = customers.to_numpy()[:, ::-1]
    by_place = RFMRules(columns=(2, 1, 0)).fit(turned)
    np.testing.assert_array_equal(by_place.predict(turned), plain.labels_)
    assert not hasattr(by_place, "feature_names_in_")


def test_it_follows_scikit_learn():
    rules = RFMRules(bins=3, cells=own_cells(), cut_points=CUTS)
    copy = clone(rules)
    assert copy.get_params()["bins"] == 3
    assert repr(copy).startswith("RFMRules(")
    customers = shoppers()
    np.testing.assert_array_equal(copy.fit_predict(customers), rules.fit(customers).labels_)
    assert rules._repr_mimebundle_() == {"text/plain": repr(rules)}


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (own_cells()[:3], "4 of 27 .* the first with recency score 1, frequency score 2, monetary"),
        (
            grid_of(segment=["a", "b"], r_min=[1, 2], r_max=[2, 3]),
            "'b' and 'a' overlap .* both hold recency score 2, frequency score 1. Every",
        ),
        (grid_of(segment=["a"], r_min=[0], r_max=[3]), "r_min of 'a' .* is 0, but must be"),
        (grid_of(segment=["a"], f_min=[3], f_max=[2]), "f_max of 'a' .* is 2, but must be .* >= 3"),
        (grid_of(segment=["a"], f_min=[1], f_max=[4]), "f_max of 'a' .* is 4, .* <= 3"),
        (grid_of(segment=["a"], f_min=[1.5], f_max=[3]), "is 1.5, but must be a whole number"),
        (grid_of(segment=["a", " "]), "the name ' '; every segment needs a name"),
        (grid_of(segment=["(all)"]), r"the name '\(all\)'"),
        (grid_of(segment=[]), "no rows"),
        (RFM_CELLS, "must be a whole number >= 1 and <= 3"),
    ],
)
def test_bad_cells_are_refused(cells, words):
    with pytest.raises(ParameterError, match=words):
        RFMRules(bins=3, cells=cells).fit(shoppers(30))


def test_bad_input_is_refused():
    customers = shoppers(30)
    with pytest.raises(ColumnError, match="no column 'r_max'"):
        RFMRules(cells=grid_of(segment=["a"], r_min=[1])).fit(customers)
    with pytest.raises(ColumnError, match="no column 'segment'"):
        RFMRules(cells=grid_of(name=["a"])).fit(customers)
    with pytest.raises(ColumnError, match="Did you mean 'recencey'"):
        RFMRules().fit(customers.rename(columns={"recency": "recencey"}))
    with pytest.raises(DataError, match=r"'recency' has 30 missing .* who never bought"):
        RFMRules().fit(customers.assign(recency=np.nan))
    with pytest.raises(DataError, match="'monetary' holds text"):
        RFMRules().fit(customers.assign(monetary="12 GBP"))
    with pytest.raises(DataError, match="2 feature\\(s\\) was given where three columns"):
        RFMRules().fit(customers.to_numpy()[:, :2])
    with pytest.raises(ParameterError, match="bins is 1, but must be"):
        RFMRules(bins=1).fit(customers)
    with pytest.raises(
        ParameterError, match=r"cut_points\['recency'\] is \[30, 90\], but must be 4"
    ):
        RFMRules(cut_points=CUTS).fit(customers)
    with pytest.raises(ColumnError, match="cut_points has no column 'monetary'"):
        RFMRules(bins=3, cut_points={k: CUTS[k] for k in COLUMNS[:2]}).fit(customers)
    with pytest.raises(ParameterError, match="must name recency, frequency and monetary"):
        RFMRules(columns=("recency", "frequency")).fit(customers)
    with pytest.raises(ParameterError, match="a position in columns is 3"):
        RFMRules(columns=(1, 2, 3)).fit(customers.to_numpy())
    with pytest.raises(DataError, match="sample_weight has 2 values for 30 rows"):
        RFMRules().fit(customers, sample_weight=[1, 2])
    with pytest.raises(DataError, match="numbers of 0 or more"):
        RFMRules().fit(customers, sample_weight=np.full(30, -1.0))
