"""Run a series of notebooks and write the report, page by page."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent
from typing import TYPE_CHECKING

from custseg.errors import CustsegError, DataError, ParameterError
from custseg.reporting.pages import Page, index_html, page_html
from custseg.reporting.series import missing_data, read_head, requirements

if TYPE_CHECKING:
    from nbformat import NotebookNode


class NotebookError(CustsegError, RuntimeError):
    """A notebook stopped with an error."""


def write_report(notebooks: Sequence[Path], out: Path, *, code: bool = False) -> list[Page]:
    """Run notebooks and write one HTML page for each, and an index.

    A notebook whose data are missing is not run: its page shows the stored outputs under a banner.
    The notebooks themselves are never changed.

    Parameters
    ----------
    notebooks
        Paths of ``.ipynb`` files, in the order of the index.
    out
        The folder for the pages; made when it does not exist, written over when it does.
    code
        Whether the pages show the code.

    Returns
    -------
    list of Page
        One per notebook, with its status: ``"run"`` or ``"stored"``.

    Raises
    ------
    DataError
        When a notebook's first cell does not say what the series needs to know.
    ParameterError
        When `out` is a file.
    NotebookError
        When a notebook stops: its partial page and the index are written, the notebooks after it
        are not run.
    """
    pages = [_plan(path) for path in notebooks]
    if out.exists() and not out.is_dir():
        raise ParameterError(f"out is {str(out)!r}, but that is a file; name a folder.")
    out.mkdir(parents=True, exist_ok=True)
    for position, path in enumerate(notebooks):
        notebook, error = _outputs(path, pages[position])
        status = "failed" if error else "stored" if pages[position].missing else "run"
        pages[position] = replace(pages[position], status=status)
        html = page_html(
            notebook,
            pages[position],
            code=code,
            previous=pages[position - 1] if position else None,
            following=None if error or path == notebooks[-1] else pages[position + 1],
        )
        (out / pages[position].file).write_text(html, encoding="utf-8")
        (out / "index.html").write_text(index_html(pages), encoding="utf-8")
        if error:
            raise NotebookError(f"{error}\nThe partial page is {out / pages[position].file}.")
    return pages


def _plan(path: Path) -> Page:
    """Read what the index says of a notebook before anything runs."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    try:
        head = read_head(notebook.cells[0].source if notebook.cells else "")
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error
    missing = tuple(missing_data(requirements(path)))
    return Page(file=f"{path.stem}.html", head=head, status="waiting", missing=missing)


def _outputs(path: Path, page: Page) -> "tuple[NotebookNode, str | None]":
    """Return the notebook with its outputs, fresh or stored, and what stopped it, if it did."""
    import nbformat

    if page.missing:
        return nbformat.read(path, as_version=4), None

    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    with TemporaryDirectory() as folder:
        executed = Path(folder, path.name)
        error = None
        try:
            papermill.execute_notebook(
                path,
                executed,
                kernel_name="python3",
                cwd=path.parent,
                progress_bar={"desc": path.stem},
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
            )
        except PapermillExecutionError as stop:
            error = f"{stop.ename}: {stop.evalue}"
        except DeadKernelError:
            error = "the Python process ended"
        notebook = papermill.execute.remove_error_markers(nbformat.read(executed, as_version=4))
    if error:
        reached = [cell for cell in notebook.cells if cell.metadata.papermill.start_time]
        notebook.cells = reached
        source = indent(reached[-1].source, "    ")
        error = f"{path.name} stopped at cell {len(reached)}: {error}\n{source}"
    return notebook, error
