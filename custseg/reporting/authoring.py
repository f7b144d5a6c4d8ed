"""Write the notebooks: execute each source in ``notebooks/src`` and store it with its outputs.

A source with solutions also gives the exercise of the same name in ``notebooks/exercises``.

Run as ``python -m custseg.reporting.authoring [NAME ...]``.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from custseg.errors import CustsegError, MissingFileError, nearest
from custseg.exercises import RECORD
from custseg.reporting.exercises import write_exercise
from custseg.reporting.figures import add_alternative_texts, shrink_pictures
from custseg.reporting.series import missing_data

if TYPE_CHECKING:
    from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3 (ipykernel)", "name": "python3"}


def read_source(source: Path) -> "NotebookNode":
    """Read a notebook's source.

    Parameters
    ----------
    source
        A Python file in jupytext's percent format; a header ``custseg: requires: [...]`` below
        ``jupyter:`` names the data sets it needs.

    Returns
    -------
    nbformat.NotebookNode
        The notebook without outputs. Cell ids follow from the text of the cells, so that a cell
        keeps its id when others move.
    """
    import jupytext

    notebook = jupytext.read(source, fmt="py:percent")
    requires = notebook.metadata.get("custseg", {}).get("requires", [])
    notebook.metadata.clear()
    notebook.metadata.update({"custseg": {"requires": list(requires)}, "kernelspec": KERNEL})
    seen: set[str] = set()
    for cell in notebook.cells:
        text, copies = f"{cell.cell_type}:{cell.source}", 0
        while (name := sha256(f"{text}:{copies}".encode()).hexdigest()[:8]) in seen:
            copies += 1
        seen.add(name)
        cell.id = name
        cell.metadata.pop("lines_to_next_cell", None)
    return notebook


def execute(source: Path, target: Path) -> None:
    """Execute a notebook's source and write the notebook with its outputs, and its exercise.

    Parameters
    ----------
    source
        See `read_source`.
    target
        The ``.ipynb`` to write. Nothing in it depends on when or where it was executed. It is left
        as it was when a cell fails. The exercise goes to the folder ``exercises`` beside it.

    Raises
    ------
    CustsegError
        When a cell fails, with the cell and its error.
    DataError
        When the exercises are not as `write_exercise` needs them.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from tqdm import tqdm

    notebook = read_source(source)
    with (
        tqdm(total=len(notebook.cells), desc=source.stem, unit="cell") as progress,
        TemporaryDirectory() as folder,
    ):
        record = Path(folder, "answers.jsonl")
        client = NotebookClient(
            notebook,
            kernel_name=KERNEL["name"],
            record_timing=False,
            resources={"metadata": {"path": str(target.parent)}},
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            on_cell_complete=lambda cell, cell_index: progress.update(  # noqa: ARG005
                cell_index + 1 - progress.n
            ),
        )
        try:
            client.execute(env=os.environ | {RECORD: str(record)})
        except (CellExecutionError, DeadKernelError) as error:
            raise CustsegError(f"{source.name} stopped: {error}") from error
        progress.update(progress.total - progress.n)
        lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    answers = {name: entry for line in lines for name, entry in json.loads(line).items()}
    notebook.metadata.language_info.pop("version")
    add_alternative_texts(notebook)
    shrink_pictures(notebook)
    write_exercise(notebook, target.parent / "exercises" / target.name, answers)
    nbformat.write(notebook, target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the sources named on the command line, or all whose data are present."""
    parser = argparse.ArgumentParser(
        prog="python -m custseg.reporting.authoring",
        description="Execute notebooks/src/NAME.py and write notebooks/NAME.ipynb.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"), metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        written = _write(options.notebooks, options.names)
    except CustsegError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(f"Wrote {options.notebooks}: {', '.join(written) or 'nothing'}.")  # noqa: T201
    return 0


def _write(folder: Path, names: Sequence[str]) -> list[str]:
    sources = {path.stem: path for path in sorted((folder / "src").glob("*.py"))}
    for name in names:
        if name not in sources:
            where = folder / "src" / f"{name}.py"
            raise MissingFileError(f"There is no {where}.{nearest(name, sources)}")
    written = []
    for name in names or sources:
        missing = missing_data(read_source(sources[name]).metadata.custseg.requires)
        if missing:
            wanted = f"{name} needs CUSTSEG_DATA ({', '.join(missing)})"
            if names:
                raise MissingFileError(f"{wanted}.")
            print(f"{wanted}: left as it is.", file=sys.stderr)  # noqa: T201
        else:
            execute(sources[name], folder / f"{name}.ipynb")
            written.append(name)
    return written


if __name__ == "__main__":
    sys.exit(main())
