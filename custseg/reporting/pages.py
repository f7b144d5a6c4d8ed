"""Turn an executed notebook into one page that needs no network and runs no script."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from custseg import __version__
from custseg.reporting.figures import add_alternative_texts, move_fingerprints_below
from custseg.reporting.series import Head

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag
    from jinja2 import Environment
    from nbformat import NotebookNode

TEMPLATES = Path(__file__).parent / "templates"
STATUS_WORDS = {
    "run": "run for this report",
    "stored": "shown with stored outputs",
    "failed": "stopped with an error",
    "waiting": "not run",
}
_ABSOLUTE_PATH = re.compile(r"(?<![\w./:-])/(?:[\w.+-]+/)+(?=[\w.+-])")
_SENTENCE = 30
_NUMBER = re.compile(r"[<>~]?\s*[-\u2212+]?[\d,]*\.?\d+(e[-+]?\d+)?\s*%?")


@dataclass(frozen=True)
class Page:
    """One page of the report: a notebook's head, its file and how its outputs came about."""

    file: str
    head: Head
    status: str
    missing: Sequence[str] = ()


def page_html(
    notebook: "NotebookNode",
    page: Page,
    *,
    code: bool,
    previous: Page | None = None,
    following: Page | None = None,
) -> str:
    """Return the page of an executed notebook.

    Parameters
    ----------
    notebook
        The notebook with its outputs; changed in place (alternative texts, paths taken out).
    page
        What the page is about.
    code
        Whether the code is shown.
    previous, following
        The neighbours that the foot of the page links to.

    Returns
    -------
    str
        A complete HTML document with its pictures and style inside.
    """
    add_alternative_texts(notebook)
    move_fingerprints_below(notebook)
    _hide_paths(notebook)
    soup = _parse(_body(notebook, code=code))
    contents = _contents(soup)
    _arrange_tables(soup)
    has_outputs = any(cell.get("outputs") for cell in notebook.cells)
    return _render(
        "page.html.j2",
        page=page,
        body=str(soup),
        contents=contents,
        has_outputs=has_outputs,
        previous=previous,
        next=following,
        style=_style(code=code),
    )


def index_html(pages: Sequence[Page]) -> str:
    """Return the page that lists the series: title, question, minutes and status of each."""
    return _render("index.html.j2", pages=pages, words=STATUS_WORDS, style=_style(code=False))


def _body(notebook: "NotebookNode", *, code: bool) -> str:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="body",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input=not code,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    return exporter.from_notebook_node(notebook)[0]


def _parse(body: str) -> "BeautifulSoup":
    """Parse the body without what could run or load, and with anchors that are unique."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(body, "html.parser")
    for tag in soup.find_all(["script", "link", "iframe", "object", "embed", "meta", "base"]):
        tag.decompose()
    # nbconvert's marks beside headings; pandas' alignment of tables, where ours follows the values
    for tag in soup.select("a.anchor-link, style[scoped]"):
        tag.decompose()
    for tag in soup.select("table.dataframe tr[style]"):
        del tag["style"]
    seen: set[str] = set()
    for tag in soup.find_all(id=True):
        anchor, number = str(tag["id"]), 1
        while tag["id"] in seen:
            number += 1
            tag["id"] = f"{anchor}-{number}"
        seen.add(str(tag["id"]))
    return soup


def _contents(soup: "BeautifulSoup") -> list[dict[str, Any]]:
    entries = []
    for heading in soup.find_all(["h2", "h3"], id=True):
        text = heading.get_text(" ", strip=True)
        entries.append({"level": int(heading.name[1]), "anchor": heading["id"], "text": text})
    return entries


def _arrange_tables(soup: "BeautifulSoup") -> None:
    """Let each table scroll by itself, align its numbers, leave room for its sentences."""
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "table"}))
        for column in _columns(table):
            texts = [cell.get_text(strip=True) for cell in column if cell.name == "td"]
            filled = [text for text in texts if text not in ("", "NaN", "<NA>", "...", "inf")]
            if filled and all(_NUMBER.fullmatch(text) for text in filled):
                for cell in column:
                    cell["class"] = "number"
            elif any(len(text) > _SENTENCE for text in filled):
                for cell in column:
                    cell["class"] = "sentence"


def _columns(table: "Tag") -> "list[list[Tag]]":
    """Return the cells of each column, also where cells of an outer level span several rows."""
    places: dict[tuple[int, int], Tag] = {}
    for line, row in enumerate(table.find_all("tr")):
        position = 0
        for cell in row.find_all(["th", "td"]):
            while (line, position) in places:
                position += 1
            for below in range(int(str(cell.get("rowspan", "1")))):
                for beside in range(int(str(cell.get("colspan", "1")))):
                    places[line + below, position + beside] = cell
    width = 1 + max((position for _, position in places), default=-1)
    columns: list[list[Tag]] = [[] for _ in range(width)]
    for (_, position), cell in places.items():
        if not cell.has_attr("colspan"):
            columns[position].append(cell)
    return columns


def _hide_paths(notebook: "NotebookNode") -> None:
    """Leave only the last part of absolute paths in texts that the run printed."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.evalue = _ABSOLUTE_PATH.sub("", output.evalue)
            elif output.output_type == "stream":
                output.text = _ABSOLUTE_PATH.sub("", output.text)
            elif "text/plain" in output.data:
                output.data["text/plain"] = _ABSOLUTE_PATH.sub("", output.data["text/plain"])


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, *, style: str, **values: Any) -> str:
    from markupsafe import Markup

    if "body" in values:
        values["body"] = Markup(values["body"])  # noqa: S704 (made by nbconvert)
    shown = Markup(style)  # noqa: S704 (our own style sheet)
    return _environment().get_template(template).render(style=shown, version=__version__, **values)


def _style(*, code: bool) -> str:
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    if code:
        from pygments.formatters import HtmlFormatter

        style += HtmlFormatter(style="default").get_style_defs(".highlight")
    return style
