"""Every exercise has the form that nbgrader and the book need, its checks pass the reference answer, and they catch the
untouched stub and every wrong answer of tests/wrong_answers. The cells run here without a kernel and without nbgrader.
"""

import ast
import re

import matplotlib
import pytest
from exercises import HIDDEN, REGION, defines, exercises, kind, names, read, run, stubbed, tagged, wrong_answers

matplotlib.use("Agg")

EXERCISES = [exercise for name in names() for exercise in exercises(name)]
STATEMENT = re.compile(
    r"^\*\*Level:\*\* (core|challenge) · \*\*Time:\*\* \d+ minutes · "
    r"\*\*Points:\*\* (?P<points>\d+)[^·\n]* · \*\*Chapter:\*\* section 62[^\n]*$",
    re.MULTILINE,
)
KEYS = {"grade", "solution", "locked", "grade_id", "schema_version", "task"}
LOCKED = {"answer": False, "manual": False, "tests": True, "locked": True}
RUBRIC = re.compile(r"^\| points[^\n]*\n\|[-| ]+\n(?P<rows>(?:\|[^\n]*\n?)+)", re.MULTILINE)
TYPOS = (SyntaxError, NameError, ImportError)  # of a wrong answer that is not even an answer

each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=str)


def coded_answers(exercise):
    return [cell for cell in exercise.of_kind("answer") if defines(cell)]


def without_experiments(exercise):
    """No experiment: what it prints is compared where the notebook runs whole."""
    return {cell.id: "" for cell in exercise.of_kind("answer") if not defines(cell)}


def graded(exercise):
    return [cell.id for cell in exercise.of_kind("tests")]


# The form.


@pytest.mark.parametrize("name", names())
def test_a_notebook_begins_with_title_and_imports_and_has_five_exercises(name):
    cells = read(name).cells
    assert [cell.id for cell in cells[:2]] == ["title", "imports"] and cells[2].id == exercises(name)[0].cells[0].id
    assert len(exercises(name)) == 5
    kinds = [["manual" in map(kind, e.cells), bool(coded_answers(e))] for e in exercises(name)]
    assert sorted(kinds) == [[False, True]] * 2 + [[True, False]] * 2 + [[True, True]], (
        "two derive, two code, one explore"
    )


@each_exercise
def test_the_statement_says_level_minutes_points_and_section(exercise):
    statement = exercise.cells[0]
    assert STATEMENT.search(statement.source), "no line as in CONTRIBUTING.md"
    assert exercise.label == f"ex-{exercise.notebook}-{statement.id}"
    assert all(cell.id.startswith(statement.id) for cell in exercise.cells), "each cell's id begins with the exercise's"


@each_exercise
def test_nbgrader_metadata(exercise):
    for cell in exercise.cells:
        if kind(cell):
            about = cell.metadata.nbgrader
            assert about.keys() == KEYS | ({"points"} if about.grade else set())
            assert about.grade_id == f"{exercise.notebook}-{cell.id}"
            assert (about.schema_version, about.task) == (3, False)
            assert about.locked == LOCKED[kind(cell)]
        if kind(cell) == "answer":
            assert REGION.search(cell.source), f"{cell.id}: no solution region"
            assert "BEGIN SOLUTION" not in stubbed(cell.source)
        else:
            assert "### BEGIN SOLUTION" not in cell.source, f"{cell.id} has a solution, but is no answer cell"
        if kind(cell) != "tests":
            assert "HIDDEN TESTS" not in cell.source, f"{cell.id} hides tests, but is not graded"
        assert kind(cell) or cell.cell_type == "markdown", f"{cell.id}: code that nbgrader would leave to the student"


@each_exercise
def test_points_add_up(exercise):
    stated = int(STATEMENT.search(exercise.cells[0].source)["points"])
    assert stated == sum(cell.metadata.nbgrader.points for cell in exercise.of_kind("tests", "manual"))
    tables = [rows for cell in exercise.cells if tagged(cell, "solution") for rows in RUBRIC.findall(cell.source)]
    rubric = [int(points) for rows in tables for points in re.findall(r"^\| *(\d+) *\|", rows, re.MULTILINE)]
    assert sum(rubric) == sum(cell.metadata.nbgrader.points for cell in exercise.of_kind("manual"))


@each_exercise
def test_what_a_student_may_not_see_is_marked(exercise):
    for cell in exercise.cells:
        assert tagged(cell, "solution") or "{solution" not in cell.source, f"{cell.id}: tag `solution` is missing"
        assert not (tagged(cell, "solution") and kind(cell)), f"{cell.id} would be dropped, but nbgrader needs it"
        hides = "HIDDEN TESTS" in cell.source
        assert tagged(cell, "remove-cell") == (hides or kind(cell) == "manual"), f"{cell.id}: tag `remove-cell`"
        assert not hides or not HIDDEN.sub("", cell.source).strip(), f"{cell.id}: a line outside of the hidden tests"
    if coded_answers(exercise):
        hidden = ["HIDDEN TESTS" in cell.source for cell in exercise.of_kind("tests")]
        assert True in hidden and False in hidden, "visible and hidden tests are needed"


@each_exercise
def test_a_check_needs_no_function_of_another_check(exercise):
    # The grader asks each check on its own whether it still rejects wrong answers; what they share is a locked cell.
    trees = {cell.id: list(ast.walk(ast.parse(cell.source))) for cell in exercise.of_kind("tests")}
    own = {name: {node.name for node in tree if isinstance(node, ast.FunctionDef)} for name, tree in trees.items()}
    for name, tree in trees.items():
        others = set().union(*(functions for cell, functions in own.items() if cell != name)) - own[name]
        words = [node for node in tree if isinstance(node, ast.Name) and node.id in others]
        assert all(isinstance(node.ctx, ast.Store) for node in words[:1]), f"{name} uses another check's function"


# The checks. An exercise runs with the imports alone, so it also stands alone.


@each_exercise
def test_the_reference_answer_passes(exercise):
    failed = {name: error for name, error in run(exercise.runnable, without_experiments(exercise)).items() if error is not None}
    assert not failed


@each_exercise
def test_the_untouched_stub_fails_with_not_implemented_and_nothing_else(exercise):
    raised = run(exercise.runnable, {cell.id: stubbed(cell.source) for cell in exercise.of_kind("answer")})
    assert {raised[name].__class__ for name in graded(exercise)} <= {NotImplementedError}, raised


WRONG = [
    pytest.param(exercise, cell, what, source, id=f"{exercise}-{cell}-{what}")
    for exercise in EXERCISES
    for cell, answers in wrong_answers(exercise.notebook).items()
    if cell in [answer.id for answer in coded_answers(exercise)]
    for what, source in answers.items()
]


@pytest.mark.parametrize(("exercise", "cell", "what", "source"), WRONG)
def test_a_wrong_answer_is_caught(exercise, cell, what, source):
    raised = run(exercise.runnable, without_experiments(exercise) | {cell: source}, enough=graded(exercise))  # one is enough
    caught = [raised[name] for name in graded(exercise) if raised.get(name) is not None]
    assert raised[cell] is None and not any(isinstance(error, TYPOS) for error in caught), raised
    assert caught, f"no check minds: {what}"


@pytest.mark.parametrize("name", names())
def test_each_coded_answer_has_three_wrong_ones(name):
    wrong = wrong_answers(name)
    assert wrong.keys() == {cell.id for exercise in exercises(name) for cell in coded_answers(exercise)}
    assert all(len(answers) >= 3 for answers in wrong.values())
