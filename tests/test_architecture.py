"""The house of DESIGN.md, as a table: which room may import which, and what no room may do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import custseg

PACKAGE = Path(custseg.__file__).parent
MAX_LINES = 500

GROUND = {
    *("errors", "results", "tables", "audit", "checks", "joins", "stats", "brief", "_engine"),
    *("_kernels", "_labels"),
}
ARROWS = {
    **dict.fromkeys(GROUND, GROUND),
    "datasets": GROUND,
    "features": GROUND,
    "clustering": GROUND | {"features"},
    "evaluation": GROUND | {"clustering", "features"},
    "profiling": GROUND,
    "value": GROUND,
    "campaigns": GROUND,
    "monitoring": GROUND,
    "privacy": GROUND,
    "plots": GROUND,
    "exercises": GROUND,
    "notebook": GROUND | {"exercises"},
    "reporting": GROUND | {"exercises", "notebook"},
    "cli": GROUND | {"reporting"},
    "__init__": set(),
}
IMPORT_BY_NAME = {"__init__", "results"}
"""The package loads its rooms on first use; a result loads its picture inside ``plot()``."""

PICTURES = {"matplotlib", "seaborn"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
UNSAFE_NAMES = {"eval", "exec", "__import__"}
UNSAFE_ATTRIBUTES = {"read_pickle", "to_pickle"}
GENERATORS = {"Generator", "default_rng", "SeedSequence", "BitGenerator", "PCG64", "Philox"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def modules_named(node: ast.AST, package: str) -> list[str]:
    """Return the dotted names that an import statement names, relative ones resolved."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
    if base == "custseg":
        return [f"custseg.{alias.name}" for alias in node.names]
    return [base]


def walk(node: ast.AST, inside: tuple[str, ...] = ()) -> Iterator[tuple[ast.AST, tuple[str, ...]]]:
    """Yield each node with what it stands in: "function", "typing"."""
    yield node, inside
    for child in ast.iter_child_nodes(node):
        place = inside
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            place = (*inside, "function")
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            place = inside if child in node.orelse else (*inside, "typing")
        yield from walk(child, place)


def problems(source: str, room: str, package: str = "custseg") -> list[str]:
    """Return what a module of a room does that the house forbids."""
    found = []
    for node, inside in walk(ast.parse(source)):
        for name in modules_named(node, package):
            found += import_problems(name, room, inside)
        found += call_problems(node, room) + random_problems(node, room)
    return found


def import_problems(name: str, room: str, inside: tuple[str, ...]) -> list[str]:
    top, _, rest = name.partition(".")
    if top in UNSAFE_MODULES:
        return [f"imports {top}, which runs what it reads"]
    if top in PICTURES:
        fine = room == "plots" or "typing" in inside or (room == "notebook" and inside)
        return [] if fine else [f"imports {top}; only plots draws"]
    if top != "custseg":
        return []
    target = rest.split(".")[0]
    if target == "__version__" or target == room or target in ARROWS.get(room, set()):
        return []
    if room == "plots" and "typing" in inside:  # the types of the results that it draws
        return []
    return [f"{room} imports {target or 'the whole of custseg'}"]


def call_problems(node: ast.AST, room: str) -> list[str]:
    if isinstance(node, ast.Attribute) and node.attr in UNSAFE_ATTRIBUTES:
        return [f"uses {node.attr}"]
    if not isinstance(node, ast.Call):
        return []
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    if isinstance(node.func, ast.Name) and name in UNSAFE_NAMES:
        return [f"calls {name}()"]
    if name == "import_module" and room not in IMPORT_BY_NAME:
        return ["imports a module by name, past the table of arrows"]
    return []


def random_problems(node: ast.AST, room: str) -> list[str]:
    """Return uses of the legacy random state of numpy; only `notebook.setup` may seed it."""
    if isinstance(node, ast.ImportFrom) and node.module == "numpy.random":
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(
        ("np.random", "numpy.random")
    ):
        names = [node.attr]
    else:
        return []
    allowed = GENERATORS | ({"seed"} if room == "notebook" else set())
    return [f"uses the legacy np.random.{name}" for name in names if name not in allowed]


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_keeps_to_its_room(path: Path) -> None:
    package = ".".join(["custseg", *path.relative_to(PACKAGE).parts[:-1]])
    source = path.read_text(encoding="utf-8")
    assert room_of(path) in ARROWS, "a new room: give it a row in ARROWS and in DESIGN.md"
    assert problems(source, room_of(path), package) == []
    assert len(source.splitlines()) <= MAX_LINES


def test_table_has_no_arrow_up() -> None:
    order = ["datasets", "features", "clustering", "evaluation"]
    order += ["exercises", "notebook", "reporting", "cli"]
    for room, targets in ARROWS.items():
        above = [target for target in targets - GROUND if order.index(target) >= order.index(room)]
        assert not above, f"{room} reaches up to {above}"
    assert all(ARROWS[room] == GROUND for room in GROUND)


@pytest.mark.parametrize(
    ("room", "source", "problem"),
    [
        ("profiling", "from custseg.clustering import SegmentationModel", "imports clustering"),
        ("profiling", "def f():\n    import custseg.value", "imports value"),
        ("profiling", "from ..campaigns import Impact", "imports campaigns"),
        ("profiling", "from .. import monitoring", "imports monitoring"),
        ("features", "from custseg import clustering", "imports clustering"),
        ("stats", "from custseg.features import rfm", "imports features"),
        ("results", "import custseg.plots.campaigns", "imports plots"),
        ("plots", "from custseg.campaigns import Impact", "imports campaigns"),
        ("value", "import custseg", "the whole of custseg"),
        ("value", "import importlib\nimportlib.import_module('custseg.cli')", "by name"),
        ("campaigns", "import matplotlib.pyplot as plt", "only plots draws"),
        ("campaigns", "def f():\n    import seaborn", "only plots draws"),
        ("notebook", "import seaborn", "only plots draws"),
        ("clustering", "import pickle", "imports pickle"),
        ("clustering", "frame = pd.read_pickle(path)", "read_pickle"),
        ("clustering", "value = eval(text)", "calls eval()"),
        ("clustering", "exec(text)", "calls exec()"),
        ("clustering", "np.random.seed(0)", "legacy np.random.seed"),
        ("clustering", "rng = numpy.random.RandomState(0)", "legacy np.random.RandomState"),
        ("clustering", "from numpy.random import rand", "legacy np.random.rand"),
    ],
)
def test_forbidden_source_is_caught(room: str, source: str, problem: str) -> None:
    (found,) = problems(source, room, f"custseg.{room}")
    assert problem in found


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("clustering", "from custseg.features import Encoder"),
        ("evaluation", "from ..clustering import SegmentationModel"),
        ("profiling", "from custseg.errors import DataError\nfrom . import cards"),
        ("campaigns", "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"),
        ("plots", "import seaborn as sns\nfrom custseg.results import Result"),
        ("plots", "if TYPE_CHECKING:\n    from custseg.campaigns import Impact"),
        ("notebook", "def setup():\n    import seaborn\n    np.random.seed(0)"),
        ("cli", "from custseg import __version__"),
        ("datasets", "rng = np.random.default_rng(0)\nframe.eval"),
    ],
)
def test_allowed_source_passes(room: str, source: str) -> None:
    assert problems(source, room, f"custseg.{room}") == []
