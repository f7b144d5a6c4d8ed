"""The series of notebooks: where it is, what each asks, which data it needs."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custseg.errors import DataError, MissingFileError

FIELDS = ("Question", "Objectives", "Minutes", "Prerequisites", "Data")


@dataclass(frozen=True)
class Head:
    """What a notebook's first cell says: its title and one text per field, as written."""

    title: str
    question: str
    objectives: str
    minutes: int
    prerequisites: str
    data: str


def read_head(source: str) -> Head:
    """Read the first cell of a notebook.

    Parameters
    ----------
    source
        Markdown: a heading ``# Title`` and a paragraph per field, each starting with the field's
        name in bold and a full stop: Question, Objectives, Minutes, Prerequisites, Data.

    Returns
    -------
    Head
        The title and the fields.

    Raises
    ------
    DataError
        When the heading or a field is missing, or Minutes is not a whole number.

    Examples
    --------
    >>> head = read_head('''# Who are our customers?
    ...
    ... **Question.** Which customers buy often?
    ...
    ... **Objectives.** Count orders per customer.
    ...
    ... **Minutes.** 15
    ...
    ... **Prerequisites.** None.
    ...
    ... **Data.** The shop data.''')
    >>> head.title, head.minutes
    ('Who are our customers?', 15)
    """
    title = re.match(r"# +(\S.*)", source)
    pieces = re.split(r"^\*\*(\w+)\.\*\*", source, flags=re.MULTILINE)
    found = {name: text.strip() for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}
    missing = [name for name in FIELDS if not found.get(name)]
    if not title or missing:
        what = "a heading '# Title'" if not title else f"**{missing[0]}.** with its text"
        raise DataError(f"The first cell of a notebook lacks {what}; it needs {', '.join(FIELDS)}.")
    if not found["Minutes"].isdecimal():
        raise DataError(f"**Minutes.** is {found['Minutes']!r}, but must be a whole number.")
    texts = {name.lower(): found[name] for name in FIELDS if name != "Minutes"}
    return Head(title=title[1].strip(), minutes=int(found["Minutes"]), **texts)


def requirements(notebook: Path) -> list[str]:
    """Return the names of the data sets that a notebook says it requires.

    Parameters
    ----------
    notebook
        Path of an ``.ipynb`` file; its metadata ``custseg.requires`` lists the names.

    Returns
    -------
    list of str
        Empty when it needs none.
    """
    metadata: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    return list(metadata.get("custseg", {}).get("requires", []))


def missing_data(required: Iterable[str]) -> list[str]:
    """Return those of the required data sets that the folder in ``CUSTSEG_DATA`` does not hold."""
    folder = os.environ.get("CUSTSEG_DATA")
    return [
        name for name in required if not folder or not Path(folder, f"{name}.parquet").is_file()
    ]


def find_series(folder: Path | None = None) -> list[Path]:
    """Return the notebooks of a folder in the order of their names.

    Parameters
    ----------
    folder
        Where to look; ``None`` takes the series that ships with the package, or in a checkout the
        folder ``notebooks`` beside it.

    Raises
    ------
    MissingFileError
        When the folder does not exist or holds no notebook.
    """
    if folder is None:
        shipped = Path(__file__).parent / "notebooks"
        checkout = Path(__file__).parents[2] / "notebooks"
        folder = shipped if shipped.is_dir() else checkout
    notebooks = sorted(folder.glob("*.ipynb"))
    if not notebooks:
        raise MissingFileError(f"There is no notebook (*.ipynb) in {str(folder)!r}.")
    return notebooks
