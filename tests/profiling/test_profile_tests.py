"""Tests of descriptors against SciPy and statsmodels, and their level with weights."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from custseg.profiling import profile
from custseg.profiling._descriptor_tests import descriptor_tests
from custseg.profiling._measures import Measure
from custseg.stats import holm


def described(seed: int, n: int = 150) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    segments = rng.choice(["A", "B", "C"], n, p=[0.5, 0.3, 0.2])
    grades = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    customers = pd.DataFrame(
        {
            "orders": rng.poisson(3, n),
            "age": rng.normal(40, 10, n) + 8 * (segments == "C"),
            "spend": rng.gamma(1, 50, n) * np.where(segments == "A", 1, 3),
            "grade": pd.Series(rng.choice(["low", "mid", "high"], n)).astype(grades),
            "member": rng.random(n) < np.where(segments == "B", 0.7, 0.3),
            "region": rng.choice(["north", "south", "west"], n),
        }
    )
    customers.loc[rng.random(n) < 0.1, "age"] = np.nan
    return customers, segments


OWN = ["age", "spend", "grade", "member", "region"]


def test_every_descriptor_has_the_test_of_its_kind():
    customers, segments = described(0)
    found = profile(customers, segments, variables=["orders"], descriptors=OWN)
    tests = found.tests
    assert tests.index.tolist() == OWN
    assert tests["test"].tolist() == [
        *["Welch's ANOVA"] * 2,
        "Kruskal-Wallis",
        *["chi-square"] * 2,
    ]
    assert tests.loc["age", "n"] == customers["age"].notna().sum()
    for name in ("age", "spend"):
        groups = [customers.loc[segments == s, name].dropna() for s in ("A", "B", "C")]
        oracle = anova_oneway(groups, use_var="unequal", welch_correction=True)
        np.testing.assert_allclose(
            tests.loc[name, ["statistic", "df_1", "df_2", "p_value"]].astype(float),
            [oracle.statistic, *oracle.df, oracle.pvalue],
            rtol=1e-9,
        )
        plain = stats.f_oneway(*groups).statistic
        n = sum(map(len, groups))
        np.testing.assert_allclose(tests.loc[name, "size"], 2 * plain / (2 * plain + n - 3))
    codes = customers["grade"].cat.codes
    kruskal = stats.kruskal(*(codes[segments == s] for s in ("A", "B", "C")))
    found_kruskal = tests.loc["grade", ["statistic", "p_value"]].astype(float)
    np.testing.assert_allclose(found_kruskal, kruskal, rtol=1e-9)
    for name in ("member", "region"):
        table = pd.crosstab(segments, customers[name])
        oracle = stats.chi2_contingency(table, correction=False)
        np.testing.assert_allclose(
            tests.loc[name, ["statistic", "df_1", "p_value", "least_expected"]].astype(float),
            [oracle.statistic, oracle.dof, oracle.pvalue, oracle.expected_freq.min()],
            rtol=1e-9,
        )
        strength = stats.contingency.association(table, method="cramer")
        np.testing.assert_allclose(tests.loc[name, "size"], strength, rtol=1e-9)
    np.testing.assert_allclose(tests["p_holm"].astype(float), holm(tests["p_value"].astype(float)))


def test_segmentation_variables_are_not_tested_and_the_note_says_why_and_where():
    customers, segments = described(1)
    found = profile(customers, segments, variables=["orders"])
    assert found.tests.empty
    note = next(note for note in found.notes if "no p-value" in note)
    assert "'orders'" in note
    assert "honest_differences" in note
    assert "p_holm" not in repr(found)


def test_differences_are_told_with_their_size():
    customers, segments = described(2, n=600)
    found = profile(customers, segments, variables=["orders"], descriptors=OWN)
    tests = found.tests
    assert set(tests.index[tests["p_holm"] <= 0.05]) == {"age", "spend", "member"}
    assert f"member (Cramér's V {tests.loc['member', 'size']:.3f})" in found.summary()
    assert f"age (η² {tests.loc['age', 'size']:.3f}" in found.summary()
    assert "Of 5 descriptors, by more than chance differ: " in found.summary()
    assert "p_holm" in repr(found)
    assert repr(found).count("<.001") == 3
    none = profile(customers, segments, variables=["orders"], descriptors=["region"])
    assert none.summary().endswith("No descriptor differs by more than chance.")


def test_untestable_descriptors_are_named():
    customers = pd.DataFrame({"fee": 1.0, "card": [1, 1, 1, 0], "visits": [1.0, 1.0, 2.0, 5.0]})
    found = profile(customers, list("AABB"), variables=[], descriptors=["fee", "card", "visits"])
    assert found.tests.loc["fee", ["p_value", "p_holm"]].isna().all()
    assert any(note.startswith("no test of 'fee'") for note in found.notes)
    assert any("expected counts below 5 in 'card'" in note for note in found.notes)
    assert found.tests.loc["visits", "test"] == "ANOVA"
    oracle = stats.f_oneway([1.0, 1.0], [2.0, 5.0])
    np.testing.assert_allclose(found.tests.loc["visits", "p_value"], oracle.pvalue, rtol=1e-9)
    single = profile(customers, ["A"] * 4, variables=[], descriptors=["card", "visits"])
    assert single.tests["p_value"].isna().all()


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        ("numeric", "Welch's ANOVA"),
        ("ordinal", "Welch's ANOVA of ranks"),
        ("binary", "Rao-Scott"),
        ("nominal", "Rao-Scott"),
    ],
)
def test_weighted_tests_keep_their_level_where_unadjusted_ones_do_not(kind, test):
    rng = np.random.default_rng(3)
    rejected, plain, tables, n = 0, 0, 300, 150
    for _ in range(tables):
        levels = rng.integers(2 if kind == "binary" else 4, size=n)
        values = rng.normal(size=n) if kind == "numeric" else levels
        codes, weights = rng.integers(2, size=n), rng.lognormal(0, 0.8, n)
        columns = np.eye(4)[levels].T if kind == "nominal" else [values.astype(float)]
        measures = [
            Measure(
                "own",
                str(i) if kind == "nominal" else "",
                "descriptor",
                kind in ("binary", "nominal"),
                x,
            )
            for i, x in enumerate(columns)
        ]
        found = descriptor_tests(measures, {"own": kind}, codes, weights, 0.95).iloc[0]
        assert found["test"] == test
        rejected += found["p_value"] < 0.05
        if kind == "nominal":
            cells = np.zeros((2, 4))
            np.add.at(cells, (codes, levels), weights * n / weights.sum())
            plain += stats.chi2_contingency(cells, correction=False).pvalue < 0.05
    low, high = stats.binom.ppf([0.001, 0.999], tables, 0.05)
    assert low <= rejected <= high
    assert kind != "nominal" or plain > high
