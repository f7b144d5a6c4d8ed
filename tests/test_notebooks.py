"""Every committed notebook is executed, in order, clean, and the twin of its source."""

import ast
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from custseg.errors import DataError
from custseg.reporting.authoring import KERNEL, read_source
from custseg.reporting.figures import fingerprints, pictures
from custseg.reporting.series import read_head

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MAX_BYTES = 500_000
MAX_HELPER_LINES = 10
IGNORED = "nbval-ignore-output"

NETWORK = re.compile(r"https?://|\b(requests|urllib|httpx|socket|aiohttp)\b|^\s*[!%]", re.MULTILINE)
PATH = re.compile(
    r"(?<![\w.<])(/(home|Users|root|tmp|work|usr|opt|var|mnt|private)/|\b[A-Z]:\\\\?\w+\\)"
)
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
FORBIDDEN_OUTPUTS = {"image/svg+xml", "application/vnd.jupyter.widget-view+json"}


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def helpers(notebook: NotebookNode) -> list[ast.FunctionDef]:
    """Return the functions that a notebook defines."""
    trees = [ast.parse(cell.source) for cell in code_cells(notebook)]
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def output_texts(cell: NotebookNode) -> list[str]:
    texts = [output.text for output in cell.outputs if output.output_type == "stream"]
    bundles = [output.data for output in cell.outputs if "data" in output]
    return texts + [
        text for data in bundles for kind, text in data.items() if kind.startswith("text/")
    ]


def problems(notebook: NotebookNode) -> list[str]:
    """Return what is wrong with a notebook; see CONTRIBUTING.md for the rules."""
    return [
        *structure_problems(notebook),
        *metadata_problems(notebook),
        *helper_problems([notebook]),
        *(
            f"cell {number}: {problem}"
            for number, cell in enumerate(code_cells(notebook), start=1)
            for problem in [
                *order_problems(cell, number),
                *source_problems(cell),
                *output_problems(cell),
                *figure_problems(cell),
            ]
        ),
    ]


def structure_problems(notebook: NotebookNode) -> list[str]:
    found = []
    try:
        read_head(notebook.cells[0].source)
    except DataError as error:
        found.append(f"head: {error}")
    if "cs.notebook.setup(" not in code_cells(notebook)[0].source:
        found.append("the first code cell does not call cs.notebook.setup()")
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found += [
        f"there is no heading '## {heading}'"
        for heading in ("Key points", "Decision")
        if not re.search(rf"^## {heading}$", prose, re.MULTILINE)
    ]
    if re.search(r"!\[.*\]\(|<img|<script|<iframe", prose):
        found.append("prose loads a picture, a frame or a script")
    last = notebook.cells[-1]
    if last.cell_type != "code" or last.source != "cs.notebook.session_info()":
        found.append("the last cell is not cs.notebook.session_info()")
    ignored = [cell for cell in notebook.cells if IGNORED in cell.metadata.get("tags", [])]
    if ignored != [last]:
        found.append(f"only the last cell is tagged {IGNORED}, and it must be")
    return found


def metadata_problems(notebook: NotebookNode) -> list[str]:
    found = []
    if notebook.metadata.get("kernelspec") != KERNEL:
        found.append(f"kernelspec is not {KERNEL}")
    if "version" in notebook.metadata.get("language_info", {}):
        found.append("language_info has a version")
    extra = set(notebook.metadata) - {"custseg", "kernelspec", "language_info"}
    timed = {key for cell in notebook.cells for key in cell.metadata} - {"tags"}
    if extra | timed:
        found.append(f"metadata that depend on the run: {', '.join(sorted(extra | timed))}")
    loaded = set(re.findall(r"load_(?!shop|dataset|model)(\w+)\(", sources(notebook)))
    loaded |= set(re.findall(r"load_dataset\(\"(\w+)\"", sources(notebook)))
    required = notebook.metadata.get("custseg", {}).get("requires", [])
    undeclared = [name for name in loaded if not any(need.startswith(name) for need in required)]
    if undeclared:
        found.append(f"custseg.requires does not name {', '.join(sorted(undeclared))}")
    return found


def sources(notebook: NotebookNode) -> str:
    return "\n".join(cell.source for cell in code_cells(notebook))


def helper_problems(notebooks: list[NotebookNode]) -> list[str]:
    defined = [helper for notebook in notebooks for helper in helpers(notebook)]
    twice = [
        name for name, count in Counter(helper.name for helper in defined).items() if count > 1
    ]
    long = [h.name for h in defined if (h.end_lineno or 0) - h.lineno + 1 > MAX_HELPER_LINES]
    return [
        *(f"{name}() is defined twice: it belongs in custseg" for name in twice),
        *(f"{name}() has over {MAX_HELPER_LINES} lines: it belongs in custseg" for name in long),
    ]


def order_problems(cell: NotebookNode, number: int) -> list[str]:
    if cell.execution_count != number:
        return [f"executed as {cell.execution_count}: run all cells in order"]
    return []


def source_problems(cell: NotebookNode) -> list[str]:
    found = []
    if match := NETWORK.search(cell.source):
        found.append(f"uses the network or a shell: {match[0].strip()!r}")
    if match := PATH.search(cell.source):
        found.append(f"names an absolute path: {match[0]!r}")
    if "simplefilter(" in cell.source or "filterwarnings(" in cell.source:
        found.append("silences warnings")
    if set(cell.metadata.get("tags", [])) & {"raises-exception", "nbval-skip", "skip-execution"}:
        found.append("is skipped or expected to fail")
    if "NBVAL_" in cell.source:
        found.append("switches the comparison of outputs off")
    return found


def output_problems(cell: NotebookNode) -> list[str]:
    found = []
    for output in cell.outputs:
        if output.output_type == "error":
            found.append(f"stores the error {output.ename}")
        if output.output_type == "stream" and output.name == "stderr":
            found.append("stores a warning or another text on stderr")
        if kinds := FORBIDDEN_OUTPUTS & set(output.get("data", {})):
            found.append(f"stores {', '.join(sorted(kinds))}, which differs between runs")
    for text in output_texts(cell):
        if match := ADDRESS.search(text):
            found.append(f"shows an address in memory: {match[0]}")
        if match := PATH.search(text):
            found.append(f"shows an absolute path: {match[0]!r}")
        if "sk-top-container" in text:
            found.append("shows an estimator as a diagram")
    return found


def figure_problems(cell: NotebookNode) -> list[str]:
    if not pictures(cell):
        return []
    found = []
    if "plt.show()" not in cell.source:
        found.append("draws without plt.show()")
    if len(fingerprints(cell)) != len(pictures(cell)):
        found.append("draws without cs.notebook.describe_figure()")
    elif any(
        picture.metadata.get("image/png", {}).get("alt") != text
        for picture, text in zip(pictures(cell), fingerprints(cell), strict=True)
    ):
        found.append("has a picture without alternative text")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_clean(path: Path) -> None:
    assert problems(nbformat.read(path, as_version=4)) == []
    assert path.stat().st_size <= MAX_BYTES


def test_no_helper_is_defined_twice_across_the_series() -> None:
    assert helper_problems([nbformat.read(path, as_version=4) for path in NOTEBOOKS]) == []


def test_each_notebook_has_a_source_and_each_source_a_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(
        path.stem for path in (FOLDER / "src").glob("*.py")
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_agrees_with_its_source(path: Path) -> None:
    assert twin_of(nbformat.read(path, as_version=4)) == twin_of(
        read_source(FOLDER / "src" / f"{path.stem}.py")
    )


def twin_of(notebook: NotebookNode) -> dict[str, object]:
    """Return what a notebook and its source share."""
    return {
        "custseg": notebook.metadata.custseg,
        "cells": [
            (cell.id, cell.cell_type, cell.source, cell.metadata.get("tags", []))
            for cell in notebook.cells
        ],
    }


HEAD = """# Who comes back?

**Question.** Which customers come back?

**Objectives.** Count.

**Minutes.** 5

**Prerequisites.** None.

**Data.** The shop data."""


@pytest.fixture
def clean() -> NotebookNode:
    """Return a small notebook without a fault."""
    text = "Figure with 1 panel."
    picture = new_output(
        "display_data", {"image/png": "iVBORw0="}, metadata={"image/png": {"alt": text}}
    )
    words = new_output("display_data", {"text/plain": text}, metadata={"custseg": "figure"})
    cells = [
        new_markdown_cell(HEAD),
        new_code_cell("import custseg as cs\n\ncs.notebook.setup()"),
        new_code_cell("cs.notebook.describe_figure()\nplt.show()", outputs=[picture, words]),
        new_code_cell("print(4_338)", outputs=[new_output("stream", text="4338\n")]),
        new_markdown_cell("## Key points\n\n- Few come back.\n\n## Decision\n\nWhom to ask?"),
        new_code_cell("cs.notebook.session_info()", metadata={"tags": [IGNORED]}),
    ]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    for number, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = number
    return notebook


def test_a_clean_notebook_passes(clean: NotebookNode) -> None:
    assert problems(clean) == []


def long_helper(notebook: NotebookNode) -> None:
    notebook.cells[3].source = "def f():\n" + "    x = 1\n" * 10


def twice_defined(notebook: NotebookNode) -> None:
    notebook.cells[2].source += "\ndef f(): pass"
    notebook.cells[3].source = "def f(): pass"


def shown(text: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[3].outputs[0].update(text=text)


def written(source: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[3].update(source=source)


def stored(**output: object) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[3].outputs.append(new_output(**output))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda nb: nb.cells[3].update(execution_count=None), "executed as None"),
        (lambda nb: nb.cells[3].update(execution_count=7), "executed as 7"),
        (lambda nb: nb.cells.pop(0), "head: "),
        (lambda nb: nb.cells[0].update(source=HEAD.replace("Minutes", "Time")), "**Minutes.**"),
        (lambda nb: nb.cells[0].update(source=HEAD.replace("5", "five")), "whole number"),
        (lambda nb: nb.cells[1].update(source="import custseg as cs"), "setup()"),
        (lambda nb: nb.cells[4].update(source="## Key points"), "'## Decision'"),
        (lambda nb: nb.cells[4].update(source="## Decision"), "'## Key points'"),
        (lambda nb: nb.cells[0].update(source=f"{HEAD}\n![x](y.png)"), "prose loads"),
        (lambda nb: nb.cells[-1].update(source="1"), "the last cell is not"),
        (lambda nb: nb.cells[-1].metadata.clear(), "only the last cell"),
        (lambda nb: nb.cells[3].metadata.update(tags=[IGNORED]), "only the last cell"),
        (lambda nb: nb.cells[3].metadata.update(tags=["raises-exception"]), "expected to fail"),
        (lambda nb: nb.cells[3].metadata.update(execution={}), "depend on the run: execution"),
        (lambda nb: nb.metadata.update(papermill={}), "depend on the run: papermill"),
        (lambda nb: nb.metadata.kernelspec.update(name="custseg"), "kernelspec"),
        (lambda nb: nb.metadata.update(language_info={"version": "3.11.7"}), "version"),
        (lambda nb: nb.cells[2].update(source="plt.plot([1]);"), "without plt.show()"),
        (lambda nb: nb.cells[2].outputs.pop(), "without cs.notebook.describe_figure()"),
        (lambda nb: nb.cells[2].outputs[0].metadata.clear(), "without alternative text"),
        (long_helper, "f() has over 10 lines"),
        (twice_defined, "f() is defined twice"),
        (written("cs.datasets.load_hillstrom()"), "does not name hillstrom"),
        (written('cs.datasets.load_dataset("mall_customers")'), "does not name mall_customers"),
        (written("pd.read_csv('https://example.org/a.csv')"), "network"),
        (written("import requests"), "network"),
        (written("pd.read_csv('/home/ada/a.csv')"), "absolute path"),
        (written("warnings.filterwarnings('ignore')"), "silences warnings"),
        (written("# NBVAL_IGNORE_OUTPUT\nprint(1)"), "comparison of outputs"),
        (shown("<Thing at 0x7f3b2c1d9e80>"), "address in memory"),
        (shown("read /tmp/ipykernel_1/2.py"), "absolute path"),
        (shown("read C:\\Users\\ada\\a.csv"), "absolute path"),
        (shown('<div class="sk-top-container">'), "diagram"),
        (stored(output_type="stream", name="stderr", text="careful"), "stderr"),
        (stored(output_type="error", ename="KeyError", evalue="x"), "the error KeyError"),
        (stored(output_type="display_data", data={"image/svg+xml": "<svg>"}), "svg"),
    ],
)
def test_a_fault_is_found(
    clean: NotebookNode, spoil: Callable[[NotebookNode], object], problem: str
) -> None:
    spoil(clean)
    assert any(problem in found for found in problems(clean)), problems(clean)


def test_a_changed_source_no_longer_agrees(tmp_path: Path) -> None:
    source = tmp_path / "00_toy.py"
    source.write_text("# %%\nprint(1)\n", encoding="utf-8")
    before = twin_of(read_source(source))
    source.write_text("# %%\nprint(2)\n", encoding="utf-8")
    assert twin_of(read_source(source)) != before


def test_cell_ids_stay_when_a_cell_is_inserted(tmp_path: Path) -> None:
    source = tmp_path / "00_toy.py"
    source.write_text("# %%\nprint(1)\n\n# %%\nprint(1)\n", encoding="utf-8")
    first, second = (cell.id for cell in read_source(source).cells)
    source.write_text("# %%\nx = 0\n\n# %%\nprint(1)\n\n# %%\nprint(1)\n", encoding="utf-8")
    assert [cell.id for cell in read_source(source).cells][1:] == [first, second]
    assert first != second


def test_sources_declare_what_they_need(tmp_path: Path) -> None:
    source = tmp_path / "01_real.py"
    header = "# ---\n# jupyter:\n#   custseg:\n#     requires: [hillstrom]\n# ---\n\n"
    source.write_text(f"{header}# %%\nprint(1)\n", encoding="utf-8")
    assert json.loads(nbformat.writes(read_source(source)))["metadata"] == {
        "custseg": {"requires": ["hillstrom"]},
        "kernelspec": KERNEL,
    }


def test_the_template_in_the_guide_keeps_the_rules(tmp_path: Path) -> None:
    guide = (FOLDER.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (template,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    source = tmp_path / "NN_topic.py"
    source.write_text(template, encoding="utf-8")
    assert structure_problems(read_source(source)) == []
