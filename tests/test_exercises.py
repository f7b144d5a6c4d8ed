"""Exercises are made from their solutions, and answers are judged as a teacher would."""

import ast
import builtins
import json
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sklearn.metrics import adjusted_rand_score

import custseg as cs
from custseg import exercises
from custseg.errors import DataError, ParameterError
from custseg.exercises import compare_answer, describe_answer
from custseg.reporting import authoring
from custseg.reporting.authoring import read_source
from custseg.reporting.exercises import PLACEHOLDER, make_exercise, read_hints

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOURCES = sorted((NOTEBOOKS / "src").glob("*.py"))
WITH_EXERCISES = [path for path in SOURCES if "\ncs.notebook.check(" in path.read_text("utf-8")]
ANSWERS = json.loads((NOTEBOOKS / "exercises" / "answers.json").read_text("utf-8"))

series = pytest.mark.parametrize("source", WITH_EXERCISES, ids=lambda path: path.stem)


def exercise_file(source: Path) -> Path:
    return NOTEBOOKS / "exercises" / f"{source.stem}.ipynb"


@series
def test_the_committed_exercise_is_what_its_solution_gives(source: Path) -> None:
    made = json.loads(nbformat.writes(make_exercise(read_source(source))))
    assert json.loads(exercise_file(source).read_text("utf-8")) == made


def test_there_is_no_exercise_and_no_answer_without_a_source() -> None:
    folder = NOTEBOOKS / "exercises"
    assert sorted(path.stem for path in folder.glob("*.ipynb")) == [
        path.stem for path in WITH_EXERCISES
    ]
    checked = [name for source in WITH_EXERCISES for name in read_hints(read_source(source))]
    assert list(ANSWERS) == sorted(checked)


@series
def test_the_stored_answers_are_those_of_the_solutions(source: Path) -> None:
    """The outputs are compared with a fresh run by nbval, so none of the three can drift."""
    hints = read_hints(read_source(source))
    notebook = nbformat.read(NOTEBOOKS / f"{source.stem}.ipynb", as_version=4)
    said = [
        output.text.strip()
        for cell in notebook.cells
        if cell.cell_type == "code" and "cs.notebook.check(" in cell.source
        for output in cell.outputs
    ]
    assert said == [f"Exercise {name}: correct." for name in hints]
    assert {name: ANSWERS[name]["hint"] for name in hints} == hints


@series
def test_an_exercise_shows_no_solution(source: Path) -> None:
    exercise = nbformat.read(exercise_file(source), as_version=4)
    code = [cell for cell in exercise.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    text = "\n".join(cell.source for cell in exercise.cells)
    assert "# solution" not in text
    assert "# hint" not in text
    assert text.count(PLACEHOLDER) == len(read_hints(read_source(source)))


@series
def test_an_exercise_runs_with_nothing_answered(source: Path) -> None:
    """No cell that a learner gets needs a name that only the solution defines."""
    assert unknown_names(nbformat.read(exercise_file(source), as_version=4)) == set()


def unknown_names(notebook: NotebookNode) -> set[str]:
    """Return names that cells use before any cell binds them."""
    known, unknown = set(dir(builtins)), set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            nodes = list(ast.walk(ast.parse(cell.source)))
            names = [node for node in nodes if isinstance(node, ast.Name)]
            known |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
            known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
            named = (ast.FunctionDef, ast.ExceptHandler)
            known |= {node.name for node in nodes if isinstance(node, named) and node.name}
            imports = [node for node in nodes if isinstance(node, ast.alias)]
            known |= {(node.asname or node.name).split(".")[0] for node in imports}
            unknown |= {node.id for node in names if isinstance(node.ctx, ast.Load)} - known
    return unknown


def test_a_name_of_the_solution_is_missed() -> None:
    source = "total = ...\n# solution\nmoney = 3\ntotal = money"
    used = new_code_cell("print(total, money)")
    exercise = make_exercise(new_notebook(cells=[new_code_cell(source), used]))
    assert unknown_names(exercise) == {"money"}


def test_solutions_are_taken_out_and_the_rest_stays() -> None:
    source = new_notebook(
        cells=[
            new_markdown_cell("How many? # solution is a word here"),
            new_code_cell(
                "lines = ...\n# solution\n# hint: count\nlines = 3",
                execution_count=1,
                outputs=[nbformat.v4.new_output("stream", text="3\n")],
            ),
            new_code_cell("see = '# solution'", metadata={"tags": ["keep"]}),
            new_markdown_cell("Three.", metadata={"tags": ["solution"]}),
            new_code_cell("print(lines)", metadata={"tags": ["solution"]}),
        ]
    )
    before = nbformat.writes(source)
    made = make_exercise(source)
    assert [cell.source for cell in made.cells] == [
        "How many? # solution is a word here",
        f"lines = ...\n{PLACEHOLDER}",
        "see = '# solution'",
    ]
    assert made.cells[1].outputs == []
    assert made.cells[1].execution_count is None
    assert made.cells[2].metadata == {"tags": ["keep"]}
    assert nbformat.writes(source) == before


def judge(answer: object, right: object) -> str:
    return compare_answer("07-1", answer, describe_answer("07-1", right))


@given(st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-6))
def test_a_number_is_right_however_it_is_rounded(right: float) -> None:
    digits = 3 - 1 - (int(np.floor(np.log10(abs(right)))) if right else 0)
    for more in range(4):
        assert judge(round(right, digits + more), right) == ""
    assert judge(right, right) == ""


@given(st.floats(1e-6, 1e9), st.floats(0.02, 0.9), st.sampled_from([-1, 1]))
def test_a_number_off_by_two_percent_is_wrong(right: float, off: float, side: int) -> None:
    assert judge(right * (1 + side * off), right)


@pytest.mark.parametrize(
    ("answer", "right", "wrong"),
    [
        (92_788, 92_788, ""),
        (92_788.0, np.int64(92_788), ""),
        (92_789, 92_788, "Close, but not equal; the exact count is asked for."),
        (92_788.4, 92_788, "The number is another one."),
        (12, 92_788, "The number is another one."),
        (-5, 5, "The size is right, the sign is not."),
        (0.325, 0.32477, ""),
        (np.float32(0.325), 0.32477, ""),
        (0.33, 0.32477, "Close, but not equal; 3 significant digits is asked for."),
        (32.477, 0.32477, "This looks like a percentage; a share between 0 and 1 is asked for."),
        (0.325, 32.477, "This looks like a share; a percentage is asked for."),
        (0.675, 0.32477, "One minus this would be right: this is the share of the others."),
        (float("nan"), 0.325, "The number is another one."),
        (float("inf"), 92_788, "The number is another one."),
        (1e308, 1e-6, "The number is another one."),
        ("0.325", 0.325, "A number is asked for, and this is a str."),
        (None, 0.325, "A number is asked for, and this is a NoneType."),
        (True, 1, "A number is asked for, and this is a bool."),
        (" Early_Access", "early_access", ""),
        ("discount", "early_access", "The word is another one."),
        (3, "early_access", "A word is asked for."),
        (["lost", "at risk"], ["at risk", "lost"], ""),
        (pd.Index(["At risk", "lost"]), {"at risk", "lost"}, ""),
        (pd.Categorical(["lost", "at risk", "lost"]), ["at risk", "lost"], ""),
        (["lost", "new"], ["at risk", "lost"], "1 of 2 words are there, and 1 others."),
        (["lost", "new", "at risk"], ["at risk", "lost"], "2 of 2 words are there, and 1 others."),
        (True, True, ""),
        (False, True, "The word is another one."),
    ],
)
def test_numbers_and_words(answer: object, right: object, wrong: str) -> None:
    assert judge(answer, right) == wrong


SCORES = pd.Series({"store": 23.63, "search": 15.22}, name="nps")


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (SCORES.iloc[::-1].round(1), ""),
        ({"Store": 23.63, "search": 15.2}, ""),
        (SCORES.set_axis(pd.CategoricalIndex(SCORES.index)), ""),
        ({"store": 23.63, "search": 23.63}, "'search': The number is another one."),
        ({"store": 23.63}, "1 of the 2 names are not there."),
        ({"store": 23.63, "search": 15.22, "social": 1.0}, "'social' is not asked for."),
        (SCORES.to_frame(), "Named numbers are asked for: a Series or a dictionary."),
        (23.63, "Named numbers are asked for: a Series or a dictionary."),
    ],
)
def test_numbers_by_name(answer: object, wrong: str) -> None:
    assert judge(answer, SCORES) == wrong


@given(st.lists(st.integers(0, 3), min_size=4, max_size=12), st.randoms())
def test_segments_are_right_when_the_adjusted_rand_index_is_one(codes: list[int], rng) -> None:
    right = pd.Series(
        [f"segment {code}" for code in codes], [f"C{n:02}" for n in range(len(codes))]
    )
    rename = dict(zip(range(4), rng.sample(range(10, 20), 4), strict=True))
    same = pd.Series([rename[code] for code in codes], right.index)
    assert judge(same.sample(frac=1, random_state=1), right) == ""
    assert judge(same.tolist(), right) == ""
    other = pd.Series(rng.choices(range(4), k=len(codes)), right.index)
    assert (judge(other, right) == "") == (adjusted_rand_score(codes, other) == 1)


def test_wrong_segments_are_told_why() -> None:
    right = pd.Series(["A", "A", "B", None], ["C1", "C2", "C3", "C4"], dtype="category")
    assert judge([1, 1, 2, None], right) == ""
    assert judge({"C4": None, "C3": "x", "C2": "y", "C1": "y"}, right) == ""
    assert judge([1, 1, 2], right) == "4 customers are asked for, and these are 3."
    assert judge([1, 2, 3, None], right) == "2 segments are asked for, and these are 3."
    assert "another segment" in judge([1, 2, 2, None], right)
    for other in ("A", 3, {"A", "B"}, right.to_frame(), [], ...):
        assert judge(other, right) == "Segments are asked for: one label per customer."
    with pytest.raises(DataError, match="stands twice"):
        judge(pd.Series(["A", "B"], ["C1", "C1"]), right)


@pytest.mark.parametrize("answer", [None, float("nan"), SCORES.to_frame(), [], {"a", 1}])
def test_what_cannot_be_kept_is_refused(answer: object) -> None:
    with pytest.raises(DataError, match="07-1"):
        describe_answer("07-1", answer)


def test_answers_are_not_readable_and_salted() -> None:
    entry = describe_answer("07-1", ["lost", "at risk"])
    assert "lost" not in json.dumps(entry)
    assert entry != describe_answer("07-2", ["lost", "at risk"])
    assert "store" not in json.dumps(describe_answer("07-1", SCORES))


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "answers.json"
    entry = describe_answer("07-1", 0.25) | {"hint": "Divide by all customers."}
    path.write_text(json.dumps({"07-1": entry}), encoding="utf-8")
    monkeypatch.setattr(exercises, "ANSWERS", path)
    return path


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (0.25, "correct."),
        (np.array(0.25), "correct."),
        (..., "no answer yet. Replace the dots by your answer."),
        (0.5, "not yet. The number is another one. Hint: Divide by all customers."),
    ],
)
@pytest.mark.usefixtures("answers")
def test_check_says(answer: object, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cs.notebook.check("07-1", answer) is None
    assert capsys.readouterr().out == f"Exercise 07-1: {said}\n"


@pytest.mark.usefixtures("answers")
def test_an_unknown_exercise_names_the_nearest() -> None:
    with pytest.raises(ParameterError, match=r"no exercise '7-1'\. Did you mean '07-1'\?"):
        cs.notebook.check("7-1", 0.25)


TOY = """# %%
import custseg as cs

# %%
total = ...
# solution
# hint: Add them.
total = 40 + 2

# %%
cs.notebook.check("07-1", total)

# %% [markdown] tags=["solution"]
# Forty-two.
"""


def test_authoring_writes_the_exercise_and_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "exercises"
    folder.mkdir()
    other = {"06-1": describe_answer("06-1", 1) | {"hint": "One."}}
    old = {"07-2": describe_answer("07-2", 1) | {"hint": "No longer asked."}}
    (folder / "answers.json").write_text(json.dumps(other | old), encoding="utf-8")
    source = tmp_path / "src" / "07_toy.py"
    source.parent.mkdir()
    source.write_text(TOY, encoding="utf-8")
    assert authoring.main(["--notebooks", str(tmp_path)]) == 0

    answers = json.loads((folder / "answers.json").read_text("utf-8"))
    assert answers == other | {"07-1": describe_answer("07-1", 42) | {"hint": "Add them."}}
    made = nbformat.read(folder / "07_toy.ipynb", as_version=4)
    assert [cell.source for cell in made.cells] == [
        "import custseg as cs",
        f"total = ...\n{PLACEHOLDER}",
        'cs.notebook.check("07-1", total)',
    ]
    solved = nbformat.read(tmp_path / "07_toy.ipynb", as_version=4)
    assert solved.cells[2].outputs[0].text == "Exercise 07-1: correct.\n"

    source.write_text("# %%\nprint(1)\n", encoding="utf-8")
    assert authoring.main(["--notebooks", str(tmp_path)]) == 0
    assert json.loads((folder / "answers.json").read_text("utf-8")) == other
    assert not (folder / "07_toy.ipynb").exists()


@pytest.mark.parametrize(
    ("spoiled", "problem"),
    [
        (TOY.replace("# hint: Add them.", ""), "has no line '# hint: ...'"),
        (TOY.replace('"07-1"', '"08-1"'), "checks 08-1"),
        (TOY.replace("cs.notebook", "if True:\n    cs.notebook"), "ran 07-1"),
    ],
)
def test_authoring_refuses_exercises_that_do_not_fit(
    tmp_path: Path, spoiled: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "src" / "07_toy.py"
    source.parent.mkdir()
    source.write_text(spoiled, encoding="utf-8")
    assert authoring.main(["--notebooks", str(tmp_path)]) == 1
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "07_toy.ipynb").exists()
