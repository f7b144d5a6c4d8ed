"""Make exercises from notebooks that hold the solutions."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from custseg.errors import DataError

if TYPE_CHECKING:
    from nbformat import NotebookNode

SOLUTION = "solution"
"""The tag of a cell that only the solution has."""

PLACEHOLDER = "# Write your code here."

_MARK = re.compile(r"^# solution *$.*", re.MULTILINE | re.DOTALL)
_HINT = re.compile(r"^# hint: *(.+)$", re.MULTILINE)
_CHECK = re.compile(r"^cs\.notebook\.check\(\"([^\"]+)\"", re.MULTILINE)


def make_exercise(notebook: "NotebookNode") -> "NotebookNode":
    r"""Return the notebook that a learner gets.

    Parameters
    ----------
    notebook
        The notebook with the solutions. A cell tagged ``solution`` belongs to the solution, and
        so does what follows a line ``# solution`` in a code cell.

    Returns
    -------
    nbformat.NotebookNode
        The notebook without outputs, tagged cells left out, ``# Write your code here.`` in the
        place of solutions.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> cell = new_code_cell("answer = ...\n# solution\nanswer = 6 * 7")
    >>> print(make_exercise(new_notebook(cells=[cell])).cells[0].source)
    answer = ...
    # Write your code here.
    """
    exercise = deepcopy(notebook)
    exercise.cells = [
        cell for cell in exercise.cells if SOLUTION not in cell.metadata.get("tags", [])
    ]
    for cell in exercise.cells:
        if cell.cell_type == "code":
            cell.source = _MARK.sub(PLACEHOLDER, cell.source)
            cell.outputs = []
            cell.execution_count = None
    exercise.metadata.pop("language_info", None)
    return exercise


def read_hints(notebook: "NotebookNode") -> dict[str, str]:
    """Return the hint of each exercise of a notebook with solutions.

    Parameters
    ----------
    notebook
        A hint is a line ``# hint: …`` in a solution; it belongs to the next exercise that is
        checked.

    Returns
    -------
    dict
        From the name of the exercise to its hint, in the order in which they are checked.

    Raises
    ------
    DataError
        When an exercise has no hint or is checked twice.
    """
    hints: dict[str, str] = {}
    waiting = ""
    for cell in notebook.cells:
        waiting = " ".join(_HINT.findall(cell.source)) or waiting
        for name in _CHECK.findall(cell.source):
            if name in hints or not waiting:
                problem = "is checked twice" if name in hints else "has no line '# hint: ...'"
                raise DataError(f"Exercise {name} {problem}.")
            hints[name], waiting = waiting, ""
    return hints


def write_exercise(notebook: "NotebookNode", target: Path, recorded: Mapping[str, Any]) -> None:
    """Write the exercise of a notebook, and its answers beside it; nothing when it has none.

    Parameters
    ----------
    notebook
        The notebook with the solutions.
    target
        The exercise to write, ``NN_topic.ipynb``; its exercises are called ``NN-1``, ``NN-2``, …
    recorded
        What `custseg.exercises.describe_answer` returned for each exercise when the solutions
        were executed.

    Raises
    ------
    DataError
        When exercises are not called so, lack a hint, or were not all recorded.
    """
    import nbformat

    hints = read_hints(notebook)
    number = target.stem.partition("_")[0]
    names = [f"{number}-{place}" for place in range(1, len(hints) + 1)]
    if list(hints) != names or set(recorded) != set(names):
        raise DataError(
            f"{target.stem} checks {', '.join(hints) or 'nothing'} and ran "
            f"{', '.join(recorded) or 'nothing'}; both must be {', '.join(names) or 'nothing'}."
        )
    answers_file = target.with_name("answers.json")
    stored = json.loads(answers_file.read_text(encoding="utf-8")) if answers_file.is_file() else {}
    others = {name: entry for name, entry in stored.items() if not name.startswith(f"{number}-")}
    answers = others | {name: recorded[name] | {"hint": hint} for name, hint in hints.items()}
    if answers != stored:
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(answers, indent=1, sort_keys=True, ensure_ascii=False)
        answers_file.write_text(f"{text}\n", encoding="utf-8")
    if hints:
        nbformat.write(make_exercise(notebook), target)
    else:
        target.unlink(missing_ok=True)
