"""Notebooks become pages: run, stored or partial; nothing on a page loads or runs anything."""

import json
import re
import subprocess
import sys
from base64 import b64decode, b64encode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import custseg
from custseg.cli import main
from custseg.errors import CustsegError, DataError, MissingFileError, ParameterError
from custseg.reporting import authoring
from custseg.reporting.figures import shrink_pictures
from custseg.reporting.pages import Page, _arrange_tables, index_html, page_html
from custseg.reporting.run import NotebookError, write_report
from custseg.reporting.series import find_series, missing_data, read_head, requirements

HEAD = """# {title}

**Question.** Which customers come *back*?

**Objectives.**

- Count.
- Decide.

**Minutes.** 5

**Prerequisites.** None.

**Data.** A handful of orders."""

FIGURE = """import matplotlib.pyplot as plt

import custseg as cs

plt.bar(["A", "B"], [3, 5])
cs.notebook.describe_figure()
plt.show()"""

HTML_TABLE = """from IPython.display import HTML

HTML("<table><tr><th>name</th><th>n</th><th>why</th></tr>"
     "<tr><td>ada</td><td>4,338</td><td>the smallest segment is smaller than a tenth</td></tr>"
     "</table>"
     "<script src='https://example.org/x.js'></script><img onerror='x' src='https://a.b/c.png'>")"""


def notebook(path: Path, *sources: str, title: str = "Who comes back?", requires=()) -> Path:
    """Write a notebook with the head and these cells; a source that starts with # is prose."""
    cells = [new_markdown_cell(HEAD.format(title=title))]
    cells += [
        new_markdown_cell(source) if source.startswith("#") else new_code_cell(source)
        for source in sources
    ]
    metadata = {"custseg": {"requires": list(requires)}}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


class Loads(HTMLParser):
    """Collects what a page would load, and the ids, links and alternative texts on it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.alternatives: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.sources += [values["src"] or ""] if "src" in values else []
        self.links += [values["href"] or ""] if "href" in values else []
        self.ids += [values["id"] or ""] if "id" in values else []
        if tag == "img":
            self.alternatives.append(values.get("alt"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a report with a notebook that runs and one whose data are missing."""
    folder = tmp_path_factory.mktemp("series")
    notebook(
        folder / "00_first.ipynb",
        "## Counts",
        FIGURE,
        "print('<b>5</b> from /home/ada/secret/customers.csv')",
        "### In detail",
        "## Counts",
        "import sys; print('careful', file=sys.stderr)",
    )
    path = notebook(
        folder / "01_real.ipynb", "print('no')", title="A & B", requires=["no_such_data"]
    )
    stored = nbformat.read(path, as_version=4)
    stored.cells[1].outputs = [new_output("stream", text="4338 customers\n")]
    nbformat.write(stored, path)
    out = folder / "made" / "report"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUSTSEG_DATA", str(folder))
        pages = write_report(find_series(folder), out)
    assert [page.status for page in pages] == ["run", "stored"]
    return out


def text_of(path: Path) -> str:
    return re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))


def test_the_page_of_a_run_notebook(site: Path) -> None:
    html = text_of(site / "00_first.html")
    assert "<title>Who comes back?</title>" in html
    assert "&lt;b&gt;5&lt;/b&gt; from customers.csv" in html
    assert "careful" in html
    assert "x axis (A, B); y axis from 0 to 5.25; 2 bars (mean 4.00)" in html
    assert "describe_figure" not in html
    assert "banner" not in re.sub(r"<style>.*?</style>", "", html)


def test_the_contents_point_to_anchors_that_are_unique(site: Path) -> None:
    page = Loads((site / "00_first.html").read_text(encoding="utf-8"))
    assert len(page.ids) == len(set(page.ids))
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert inside == ["Counts", "In-detail", "Counts-2"]
    assert set(inside) <= set(page.ids)


def test_pages_load_and_run_nothing(site: Path) -> None:
    for path in site.glob("*.html"):
        page = Loads(path.read_text(encoding="utf-8"))
        assert not page.tags & {"script", "link", "iframe", "object", "embed"}
        assert all(source.startswith("data:image/png;base64,") for source in page.sources)
        assert "default-src 'none'" in path.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(", path.read_text(encoding="utf-8"))


def test_every_picture_has_its_alternative_text(site: Path) -> None:
    page = Loads((site / "00_first.html").read_text(encoding="utf-8"))
    (text,) = page.alternatives
    assert text == "Figure with 1 panel. x axis (A, B); y axis from 0 to 5.25; 2 bars (mean 4.00)."


def test_no_page_names_a_path_of_this_machine(site: Path) -> None:
    for path in site.glob("*.html"):
        html = path.read_text(encoding="utf-8")
        for folder in (site, Path(custseg.__file__).parents[1], Path.home()):
            assert f"{folder}/" not in html


def test_a_notebook_without_its_data_shows_stored_outputs_under_a_banner(site: Path) -> None:
    html = text_of(site / "01_real.html")
    assert "needs data that were not found: no_such_data. What you see are its stored" in html
    assert "<code>no_such_data.parquet</code>" in html
    assert "4338 customers" in html


def test_the_index_lists_title_question_minutes_and_status(site: Path) -> None:
    html = text_of(site / "index.html")
    assert '<a href="00_first.html">Who comes back?</a>' in html
    assert '<a href="01_real.html">A &amp; B</a>' in html
    assert "Which customers come *back*?" in html
    assert "5 minutes" in html
    assert "run for this report" in html
    assert "shown with stored outputs: needs no_such_data" in html


def test_links_between_pages_lead_somewhere(site: Path) -> None:
    for path in site.glob("*.html"):
        for link in Loads(path.read_text(encoding="utf-8")).links:
            assert link.startswith(("#", "http")) or (site / link).is_file()


def test_command_line_counts_what_was_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUSTSEG_DATA", raising=False)
    path = notebook(tmp_path / "nb" / "00_x.ipynb", "print('shown')", HTML_TABLE)
    before = path.read_bytes()
    words = ["report", "--out", str(tmp_path / "out"), "--code", "--notebooks", str(path.parent)]
    assert main(words) == 0
    first = capfd.readouterr()
    html = (tmp_path / "out" / "00_x.html").read_bytes()
    assert first.out.splitlines()[-1] == (
        f"Wrote {tmp_path / 'out' / 'index.html'}: 1 notebook run, 0 shown with stored outputs."
    )
    assert "00_x:" in first.err, "progress is shown"
    assert main(words) == 0
    assert (tmp_path / "out" / "00_x.html").read_bytes() == html, "a second run changes nothing"
    assert path.read_bytes() == before, "the notebook itself is never changed"
    text = html.decode()
    assert "highlight" in text, "--code shows the code"
    assert '<td class="number">4,338</td>' in text
    assert '<th class="number">n</th>' in text
    assert "<td>ada</td>" in text
    assert '<td class="sentence">the smallest' in text
    assert '<div class="table"><table>' in text
    assert "<script" not in text


def test_numbers_line_up_below_levels_that_span_rows_and_columns() -> None:
    keys = pd.MultiIndex.from_product([["north", "south"], ["a", "b"]], names=["region", "arm"])
    heads = pd.MultiIndex.from_product([["spend"], ["mean", "sd"]])
    table = pd.DataFrame([[1.5, 2.0]] * 4, index=keys, columns=heads)
    soup = BeautifulSoup(table.to_html(), "html.parser")
    _arrange_tables(soup)
    cells = soup.find_all("td")
    assert len(cells) == 8
    assert all(cell["class"] == "number" for cell in cells)
    heads = [cell.text for cell in soup.find_all("th", class_="number")]
    assert [text for text in heads if text] == ["mean", "sd"]


def test_a_failing_notebook_leaves_the_partial_page(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    notebook(
        tmp_path / "00_fails.ipynb",
        "print('before')",
        "## Where it stops",
        "open('/home/ada/orders.csv')",
        "# Never reached",
        "print('after')",
    )
    notebook(tmp_path / "01_next.ipynb", "print('next')")
    out = tmp_path / "out"
    assert main(["report", "--out", str(out), "--notebooks", str(tmp_path)]) == 1
    error = capfd.readouterr().err
    assert "00_fails.ipynb stopped at cell 4: FileNotFoundError" in error
    assert "open('/home/ada/orders.csv')" in error
    assert f"The partial page is {out / '00_fails.html'}." in error
    html = text_of(out / "00_fails.html")
    assert "before" in html
    assert "<b>FileNotFoundError</b>: [Errno 2] No such file or directory: 'orders.csv'" in html
    assert "Never reached" not in html
    assert not (out / "01_next.html").exists()
    index = text_of(out / "index.html")
    assert "stopped with an error" in index
    assert "not run" in index
    assert "01_next.html" not in index


def test_a_process_that_dies_is_named(tmp_path: Path) -> None:
    path = notebook(tmp_path / "00_dies.ipynb", "import os; os._exit(3)", "print('after')")
    with pytest.raises(
        NotebookError, match=r"00_dies\.ipynb stopped at cell 2: the Python process"
    ):
        write_report([path], tmp_path / "out")
    assert "stopped before the end" in text_of(tmp_path / "out" / "00_dies.html")


def test_out_that_is_a_file_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = notebook(tmp_path / "00_x.ipynb", "print(1)")
    out = tmp_path / "out"
    out.write_text("precious", encoding="utf-8")
    with pytest.raises(ParameterError, match="that is a file"):
        write_report([path], out)
    assert out.read_text(encoding="utf-8") == "precious"


def test_a_notebook_without_its_head_is_refused_before_anything_runs(tmp_path: Path) -> None:
    good = notebook(tmp_path / "00_x.ipynb", "print(1)")
    bad = tmp_path / "01_y.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title")]), bad)
    with pytest.raises(DataError, match=r"01_y\.ipynb: .* lacks \*\*Question"):
        write_report([good, bad], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_notebooks_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MissingFileError, match="There is no notebook"):
        find_series(tmp_path)
    assert main(["report", "--out", str(tmp_path), "--notebooks", str(tmp_path / "no")]) == 1
    assert "There is no notebook" in capsys.readouterr().err


def test_words_that_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["report"], ["repotr", "--out", "x"]):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"custseg {custseg.__version__}\n"


def test_a_missing_extra_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook(tmp_path / "00_x.ipynb", "print(1)")
    monkeypatch.setitem(sys.modules, "papermill", None)
    assert main(["report", "--out", str(tmp_path / "out"), "--notebooks", str(tmp_path)]) == 1
    assert "pip install 'custseg[notebooks]'" in capsys.readouterr().err


def test_text_from_notebooks_is_escaped() -> None:
    page = Page("x.html", read_head(HEAD.format(title="<script>alert(1)</script>")), "waiting")
    html = index_html([page])
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_a_banner_does_not_promise_outputs_that_are_not_there() -> None:
    page = Page("x.html", read_head(HEAD.format(title="T")), "stored", ["online_retail"])
    bare = new_notebook(cells=[new_markdown_cell(HEAD), new_code_cell("print(1)")])
    assert "It has no stored outputs." in page_html(bare, page, code=False)


@pytest.mark.parametrize("field", ["Question", "Objectives", "Minutes", "Prerequisites", "Data"])
def test_a_head_without_a_field_names_it(field: str) -> None:
    with pytest.raises(DataError, match=rf"lacks \*\*{field}\.\*\*"):
        read_head(HEAD.format(title="T").replace(f"**{field}.**", ""))


def test_a_head_is_read_field_by_field() -> None:
    head = read_head(HEAD.format(title="Who comes back?"))
    assert head.objectives == "- Count.\n- Decide."
    assert (head.minutes, head.data) == (5, "A handful of orders.")
    with pytest.raises(DataError, match="whole number"):
        read_head(HEAD.format(title="T").replace("5", "five"))
    with pytest.raises(DataError, match="'# Title'"):
        read_head("Question.")


def test_required_data_are_looked_for_in_the_folder_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = notebook(tmp_path / "00_x.ipynb", requires=["cdnow_master", "hillstrom"])
    assert requirements(path) == ["cdnow_master", "hillstrom"]
    monkeypatch.delenv("CUSTSEG_DATA", raising=False)
    assert missing_data(requirements(path)) == ["cdnow_master", "hillstrom"]
    monkeypatch.setenv("CUSTSEG_DATA", str(tmp_path))
    (tmp_path / "hillstrom.parquet").touch()
    assert missing_data(requirements(path)) == ["cdnow_master"]


SOURCE = f"""# %% [markdown]
{"".join(f"# {line}".rstrip() + chr(10) for line in HEAD.format(title="T").splitlines())}
# %%
{FIGURE}
"""


def test_authoring_executes_the_same_file_twice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "00_toy.py").write_text(SOURCE, encoding="utf-8")
    assert authoring.main(["--notebooks", str(tmp_path)]) == 0
    assert capfd.readouterr().out == f"Wrote {tmp_path}: 00_toy.\n"
    target = tmp_path / "00_toy.ipynb"
    first = target.read_bytes()
    assert authoring.main(["00_toy", "--notebooks", str(tmp_path)]) == 0
    assert target.read_bytes() == first
    made = json.loads(first)
    (words, picture) = made["cells"][1]["outputs"]
    alternative = picture["metadata"]["image/png"]["alt"]
    assert alternative == "".join(words["data"]["text/plain"])
    assert words["metadata"] == {"custseg": "figure"}
    assert made["metadata"]["kernelspec"] == authoring.KERNEL
    assert "version" not in made["metadata"]["language_info"]


def test_nbval_accepts_what_authoring_wrote_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "00_toy.py").write_text(SOURCE, encoding="utf-8")
    assert authoring.main(["--notebooks", str(tmp_path)]) == 0
    target = tmp_path / "00_toy.ipynb"

    def nbval() -> int:
        words = ["-m", "pytest", "-q", "--nbval", "--nbval-current-env", str(target)]
        words += ["--rootdir", str(tmp_path), "-c", "/dev/null"]
        done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
        return done.returncode

    assert nbval() == 0
    text = target.read_text(encoding="utf-8")
    target.write_text(text.replace("2 bars (mean 4.00)", "2 bars (mean 4.01)"), encoding="utf-8")
    assert nbval() == 1


def test_authoring_leaves_a_notebook_alone_when_a_cell_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "00_toy.py").write_text("# %%\n1 / 0\n", encoding="utf-8")
    target = notebook(tmp_path / "00_toy.ipynb", "print('kept')")
    before = target.read_bytes()
    assert authoring.main(["--notebooks", str(tmp_path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert target.read_bytes() == before


def test_authoring_passes_over_what_has_no_data_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "src").mkdir()
    header = "# ---\n# jupyter:\n#   custseg:\n#     requires: [no_such_data]\n# ---\n\n"
    source = tmp_path / "src" / "01_real.py"
    source.write_text(f"{header}# %%\nprint(1)\n", encoding="utf-8")
    assert authoring.main(["--notebooks", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "01_real needs CUSTSEG_DATA (no_such_data): left as it is." in shown.err
    assert authoring.main(["01_real", "--notebooks", str(tmp_path)]) == 1
    assert authoring.main(["01_reel", "--notebooks", str(tmp_path)]) == 1
    assert "Did you mean '01_real'?" in capsys.readouterr().err


def test_errors_of_the_report_are_custseg_errors() -> None:
    assert issubclass(NotebookError, CustsegError)


def test_pictures_are_stored_small_with_the_colours_of_their_marks() -> None:
    rng = np.random.default_rng(0)
    figure, axes = plt.subplots(figsize=(5, 4), dpi=90)
    for colour in ("#0173b2", "#de8f05", "#029e73", "#d55e00"):
        axes.scatter(*rng.normal(size=(2, 300)), s=6, color=colour, alpha=0.4, linewidths=0)
    axes.plot([0, 1], [0, 1], color="#cc78bc", linewidth=1)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    plt.close(figure)
    data = {"image/png": b64encode(drawn.getvalue()).decode()}
    cell = new_code_cell("1", outputs=[new_output("display_data", data=dict(data))])
    shrink_pictures(new_notebook(cells=[new_markdown_cell("text"), cell]))
    stored = b64decode(cell.outputs[0].data["image/png"])
    assert len(stored) < len(drawn.getvalue()) / 2
    before, after = (
        np.asarray(Image.open(BytesIO(png)).convert("RGB"), dtype=int)
        for png in (drawn.getvalue(), stored)
    )
    assert before.shape == after.shape
    assert np.abs(before - after).max() < 30
