"""A small part of the simulation in benchmarks/verdict.py: how often 'natural' is right."""

import sys
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from custseg.clustering import KModes
from custseg.evaluation.gaps import natural

PATH = Path(__file__).parents[2] / "benchmarks" / "_verdict_data.py"


@pytest.fixture(scope="module")
def data():
    spec = spec_from_file_location("_verdict_data", PATH)
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_groups_are_where_they_were_planted(data):
    for seed in range(10):
        table = data.make("planted", [seed], n=20_000, d=3, groups=4, separation=5.0)
        parts = [table.values[table.truth == group] for group in range(4)]
        unit = np.mean([part.std(axis=0) for part in parts], axis=0)  # standardising undone
        centers = np.array([part.mean(axis=0) / unit for part in parts])
        spread = np.array([(part / unit).std(axis=0).mean() for part in parts])
        apart = np.linalg.norm(centers[:, None] - centers, axis=2)
        separation = apart / ((spread[:, None] + spread) / 2) + np.diag([np.inf] * 4)
        np.testing.assert_allclose(separation.min(axis=1), 5.0, rtol=0.05)
        assert spread.max() / spread.min() < 2.05
        sizes = np.bincount(table.truth)
        assert sizes.max() / sizes.min() < 4.5


def test_tables_without_groups_are_hardly_ever_natural(data):
    """Of the ten families; the uniform one, on the edge of what is no gap, more often."""
    called = Counter()
    for family, d in product(data.WITHOUT, (2, 5)):
        for seed in range(12 if family == "uniform" else 4):
            table = data.make("without", [seed, d], family=family, n=300, d=d)
            called[family] += natural(table.values, random_state=seed).best_k is not None
    # in the full simulation 1 in 500 at most; two of 96 happen in 2 % of such tests
    assert sum(called.values()) <= 1, called


@pytest.mark.parametrize(("separation", "least"), [(5.0, 0.93), (4.0, 0.6)])
def test_planted_groups_are_counted(data, separation, least):
    answers = []
    for seed, (groups, noise, n) in enumerate(product(range(2, 9), (0, 3), (500, 1_000))):
        options = {"n": n, "d": 4, "groups": groups, "separation": separation}
        table = data.make("planted", [seed], **options, noise=noise, wide=True)
        answers.append((groups, natural(table.values, random_state=seed).best_k or 0))
    true, found = np.array(answers).T
    assert (true == found).mean() >= least
    assert (found <= true).all()


def test_latent_classes_are_counted(data):
    for groups, likely in ((2, 0.8), (3, 0.9)):
        found = [
            natural(
                data.make("classes", [seed], n=600, groups=groups, items=12, likely=likely).values,
                random_state=seed,
            ).best_k
            for seed in range(5)
        ]
        assert found.count(groups) >= 4, found


def test_categories_have_the_number_of_groups_that_they_were_given(data):
    for groups in (0, 3):
        found = []
        for seed in range(4):
            table = data.make("nominal", [seed], n=500, d=9, groups=groups, likely=0.7)
            labels = {
                k: KModes(k, n_init=3, random_state=seed).fit(table.values).labels_
                for k in range(2, 6)
            }
            judged = natural(table.values, pd.DataFrame(labels), categorical=range(9))
            found.append(judged.best_k or 0)
        assert found.count(groups) >= 3, found


def test_shapes_without_compact_groups_are_not_natural(data):
    called = Counter()
    for family in data.SHAPES:
        for seed in range(4):
            table = data.make("without", [seed], family=family, n=1_000, d=2)
            called[family] += natural(table.values, k=range(2, 6)).best_k is not None
    assert sum(called.values()) <= 1, called
