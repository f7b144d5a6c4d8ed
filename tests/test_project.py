"""The project files agree with each other, and importing the package stays cheap."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
OWN_ENVIRONMENT = {"bench"}
CONDA_NAMES = {"duckdb": "python-duckdb", "ibis-framework": "ibis-duckdb"}
STANDARD = re.search(r"EXTRAS := (.+)", (ROOT / "Makefile").read_text(encoding="utf-8"))[1].split(
    ","
)

HEAVY = {"pandas", "scipy", "sklearn", "duckdb", "numba", "matplotlib", "seaborn", "statsmodels"}


def requirements(*groups: list[str]) -> dict[str, Requirement]:
    found = [Requirement(text) for group in groups for text in group]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def pins() -> list[tuple[str, Version, Marker | None]]:
    """Return the lines of constraints.txt; a line of any other form does not parse."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pattern = re.compile(r"([a-z0-9][a-z0-9.-]*)==([0-9][\w.]*)(?: ; (.+))?")
    found = []
    for line in lines:
        parts = pattern.fullmatch(line)
        assert parts, f"constraints.txt holds only 'name==version ; marker', not {line!r}"
        found.append((parts[1], Version(parts[2]), Marker(parts[3]) if parts[3] else None))
    return found


def test_conda_environment_names_the_same_packages() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    named = [line for line in environment["dependencies"] if isinstance(line, str)]
    conda = {name: str(req.specifier) for name, req in requirements(named).items()}
    assert conda.pop("python") == PROJECT["requires-python"]
    assert conda.pop("pip") == ""
    extras = [EXTRAS[name] for name in STANDARD if name != "dev"]
    expected = requirements(PROJECT["dependencies"], *extras)
    assert conda == {
        CONDA_NAMES.get(name, name): str(req.specifier) for name, req in expected.items()
    }


def test_set_up_with_and_without_make_brings_the_same_extras() -> None:
    assert set(STANDARD) == set(EXTRAS) - OWN_ENVIRONMENT
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    by_hand = re.findall(r'-e "\.\[(.+)\]"', readme)
    assert by_hand
    assert all(extras.split(",") == STANDARD for extras in by_hand)


def test_every_direct_dependency_is_pinned_within_its_bounds() -> None:
    groups = [group for name, group in EXTRAS.items() if name not in OWN_ENVIRONMENT]
    for name, requirement in requirements(PROJECT["dependencies"], *groups).items():
        versions = [version for pin, version, _ in pins() if canonicalize_name(pin) == name]
        assert versions, f"{name} is not pinned in constraints.txt"
        assert all(version in requirement.specifier for version in versions), name


@pytest.mark.parametrize("python", ["3.11.7", "3.12.1", "3.13.0"])
def test_a_package_has_at_most_one_pin_for_a_python(python: str) -> None:
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    names = [name for name, _, marker in pins() if not marker or marker.evaluate(environment)]
    assert len(names) == len(set(names))


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_import_loads_no_heavy_package() -> None:
    code = "import sys, custseg as cs; dir(cs); print(*sys.modules)"
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "custseg" in loaded
    assert not loaded & HEAVY


def test_command_line_starts_without_heavy_packages() -> None:
    done = run_python("import sys, custseg.cli; print(*sys.modules)")
    assert not {name.split(".")[0] for name in done.stdout.split()} & (HEAVY | {"nbconvert"})


WITHOUT_PYARROW = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def test_the_road_works_without_pyarrow() -> None:
    code = f"""{WITHOUT_PYARROW}
import custseg as cs
shop = cs.datasets.load_shop()
tx = cs.Transactions(
    "data/shop/transactions.parquet", customer_id="customer_id", timestamp="timestamp",
    order_id="order_id", quantity="quantity", unit_price="unit_price",
).clean()
customers = cs.features.rfm(tx)
model = cs.SegmentationModel(
    "kmeans", n_segments=4, variables=["recency", "frequency", "monetary"], random_state=0
).fit(customers)
print(len(customers), model.segments_.nunique(), "pyarrow" in sys.modules)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    customers, segments, loaded = done.stdout.split()
    assert int(customers) > 1_000
    assert (segments, loaded) == ("4", "False")


def test_every_raw_table_becomes_features_without_pyarrow() -> None:
    code = f"""{WITHOUT_PYARROW}
import custseg as cs
shop = cs.datasets.make_shop(60, defects=True, random_state=0)
who = {{"customer_id": "customer_id"}}
roles = ["timestamp", "order_id", "line_id", "product", "category", "quantity", "unit_price"]
lines = cs.Transactions(shop.transactions, **who, **dict(zip(roles, roles)))
roles = ["timestamp", "touchpoint", "channel", "stage"]
visits = cs.Touchpoints(shop.touchpoints, **who, **dict(zip(roles, roles))).clean()
table = cs.features.build_customer_table(
    as_of="2024-12-31",
    transactions=lines.clean(returns="net", duplicates="drop", inconsistent_labels="unify"),
    touchpoints=visits,
    survey=cs.Survey(shop.survey, **who, timestamp="responded", nps="nps").clean(),
    customers=cs.Customers(shop.customers, **who, age="age", income="income_band").clean(),
)
group = table["region"]
print(len(table), len(cs.features.journey_map(visits, by=group).to_frame()["segment"].unique()))
print(len(cs.features.exposure(visits, group).to_frame()["segment"].unique()))
print("pyarrow" in sys.modules)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["60", "6", "5", "False"]


def test_pyarrow_is_really_blocked() -> None:
    done = run_python(f"{WITHOUT_PYARROW}\nimport pyarrow")
    assert "No module named 'pyarrow'" in done.stderr
