"""What every test run shares: one thread, no windows, and skips that say which data they need."""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

# Before numpy is imported here and in the kernels that notebooks start.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

import matplotlib as mpl
import pandas as pd
import pytest
from hypothesis import settings

import custseg as cs
from custseg.reporting.series import missing_data, requirements

mpl.use("agg")
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

collect_ignore_glob = ["notebooks/src/*", "notebooks/exercises/*"]
"""Sources are not tests; exercises hold nothing to compare, and their solutions are executed."""


@pytest.fixture(scope="session")
def shop() -> "cs.datasets.Shop":
    """Return the shop data that ships with the package."""
    return cs.datasets.load_shop()


@pytest.fixture(autouse=True)
def _keep_display() -> Iterator[None]:
    """Undo what a notebook's set-up does to the display of pandas, for the doctests after it."""
    names = [f"display.{name}" for name in ("max_rows", "max_columns", "width", "precision")]
    shown = chain.from_iterable((name, pd.get_option(name)) for name in names)
    with pd.option_context(*shown):
        yield


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    from matplotlib import pyplot as plt

    plt.close("all")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``realdata`` when no data are named; the marker may name data sets."""
    if os.environ.get("CUSTSEG_DATA"):
        return
    for item in items:
        marker = item.get_closest_marker("realdata")
        if marker:
            names = f" ({', '.join(marker.args)})" if marker.args else ""
            item.add_marker(pytest.mark.skip(reason=f"needs CUSTSEG_DATA{names}"))


class NotebookWithoutData(pytest.File):
    """A notebook that cannot run here: one skipped item that says what it needs."""

    def collect(self) -> Iterator[pytest.Item]:
        names = ", ".join(missing_data(requirements(self.path)))
        item = _Notebook.from_parent(self, name=self.path.stem)
        item.add_marker(pytest.mark.skip(reason=f"needs CUSTSEG_DATA ({names})"))
        yield item


class _Notebook(pytest.Item):
    def runtest(self) -> None:
        raise AssertionError("a notebook without its data is never run")

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Iterator[list[pytest.Collector]]:
    """Replace nbval's collector where a notebook's data are missing."""
    collectors = yield
    if collectors and file_path.suffix == ".ipynb" and missing_data(requirements(file_path)):
        return [NotebookWithoutData.from_parent(parent, path=file_path)]
    return collectors
