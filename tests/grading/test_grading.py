"""The whole pipeline in the instructor's environment: `make test-grading`."""

import csv
import subprocess
import sys

import assignment
import nbformat
import pytest
import submissions as hard
from exercises import exercises, kind, leaks, names, secrets
from grading import grade_id, marks
from record import ROOT

HARD = "tradeoff:1 tradeoff:2 tradeoff:5"  # for the hard submissions: a derive exercise and two coded ones
SLOW = {"dann:5", "smoothing:5", "danskin:5"}  # they train for minutes, and are graded like their like
CODED = [e for name in names() for e in exercises(name) if e.of_kind("tests")]


def command(tool, *arguments, **options):
    run = subprocess.run(
        [sys.executable, ROOT / "tools" / tool, *map(str, arguments)], capture_output=True, text=True, **options
    )
    return run.returncode, run.stdout + run.stderr


def make(course, name, pick):
    code, said = command("assignment.py", "--course", course, "--name", name, "--pick", pick)
    assert code == 0, said
    return [nbformat.read(course / stage / name / f"{name}.ipynb", as_version=4) for stage in ("source", "release")]


def grade(course, name, folder, *more):
    code, said = command("grade.py", "--course", course, "--name", name, "--submissions", folder, *more)
    assert code == 0, said
    with open(course / "grades" / f"{name}.csv", newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def reset(course, setting, other):
    """Change a line of the course's settings."""
    path = course / "nbgrader_config.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(f".{setting}\n") == 1
    path.write_text(text.replace(f".{setting}\n", f".{other}\n"), encoding="utf-8")


def points(source, *kinds):
    return sum(cell.metadata.nbgrader.points for cell in source.cells if kind(cell) in kinds)


# make assignment


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """An assignment of nearly all exercises that can be graded, with a full and an untouched submission, graded."""
    course = tmp_path_factory.mktemp("everything")
    assignment.course_config(course)
    # Fifty exercises in one: on a slow machine they take longer than an assignment may.
    reset(course, "timeout = 20", "timeout = 200")
    reset(course, "submission_timeout = 300", "submission_timeout = 3000")
    gradable = [str(e) for name in names() for e in exercises(name) if e.of_kind("tests", "manual")]
    pick = " ".join(e for e in gradable if e not in SLOW)
    source, release = make(course, "all", pick)
    hard.write(hard.reference(source), course / "in" / "full.ipynb")
    hard.write(release, course / "in" / "untouched" / "all.ipynb")
    return course, source, release, grade(course, "all", course / "in")


def test_the_reference_answers_have_full_marks(everything):
    _, source, _, rows = everything
    row = rows["full"]
    assert row["status"] == "graded" and not row["look_at"], row
    assert float(row["score"]) == points(source, "tests") > 0
    assert row["to_mark"].split() == [grade_id(cell) for cell in source.cells if kind(cell) == "manual"]


def test_the_untouched_version_has_no_points_and_raises_not_implemented_only(everything):
    course, source, _, rows = everything
    assert float(rows["untouched"]["score"]) == 0 and rows["untouched"]["status"] == "graded"
    assert not rows["untouched"]["to_mark"], "an answer that was not touched needs no marking"
    notebook = nbformat.read(course / "autograded" / "untouched" / "all" / "all.ipynb", as_version=4)
    raised = [
        [output.ename for output in cell.outputs if output.output_type == "error"]
        for cell in notebook.cells
        if kind(cell) == "tests"
    ]
    assert raised == [["NotImplementedError"]] * len([cell for cell in source.cells if kind(cell) == "tests"])


def test_the_student_version_holds_no_answer_and_nothing_of_the_book(everything):
    course, source, release, _ = everything
    secret = secrets(source.cells)
    assert len(secret) > 50
    assert not leaks(secret, (course / "release" / "all" / "all.ipynb").read_text(encoding="utf-8"))
    for cell in release.cells:
        assert cell.metadata.keys() <= {"nbgrader", "deletable", "editable"}
        assert not cell.get("outputs") and ":::" not in cell.source and ".ipynb)" not in cell.source
        assert "SOLUTION" not in cell.source and "HIDDEN" not in cell.source
    assert len({cell.id for cell in release.cells}) == len(release.cells)
    imports = [cell.id for cell in release.cells if cell.id.endswith("-imports")]
    assert sorted(imports) == sorted({f"{e.notebook}-imports" for e in CODED})


@pytest.mark.parametrize("planted", ["an answer", "a hidden test", "a solution in words", "in metadata"])
def test_a_planted_leak_is_found(everything, planted):
    _, source, release, _ = everything
    secret = secrets(source.cells)
    text = {
        "an answer": next(c.source for c in source.cells if kind(c) == "answer"),
        "a hidden test": next(c.source for c in source.cells if "HIDDEN TESTS" in c.source),
        "a solution in words": next(c.source for c in source.cells if "solution" in c.metadata.get("tags", [])),
        "in metadata": next(c.source for c in source.cells if kind(c) == "answer").splitlines()[-2],
    }[planted]
    leaky = nbformat.from_dict(release)
    if planted == "in metadata":
        leaky.cells[0].metadata["kept"] = text
    else:
        leaky.cells.append(nbformat.v4.new_markdown_cell(text))
    assert leaks(secret, nbformat.writes(leaky))


def test_no_assignment_is_made_where_the_student_would_see_answers(tmp_path):
    assignment.course_config(tmp_path)
    reset(tmp_path, "enabled = True", "enabled = False")
    code, said = command("assignment.py", "--course", tmp_path, "--name", "hw", "--pick", "tradeoff:1")
    assert code and "would hold answers" in said and "Traceback" not in said
    assert not list(tmp_path.glob("*/hw")) and not assignment.known(assignment.course_config(tmp_path), "hw")


REFUSED = {
    "unknown notebook": ("hw", "nothing:1", "there are no exercises 'nothing'"),
    "unknown exercise": ("hw", "tradeoff:6", "tradeoff has 5 exercises"),
    "exercise 0": ("hw", "tradeoff:0", "not of the form"),
    "no number": ("hw", "tradeoff", "not of the form"),
    "a comma": ("hw", "tradeoff:1,tradeoff:2", "not of the form"),
    "twice": ("hw", "tradeoff:1 tradeoff:1", "twice"),
    "nothing": ("hw", " ", "PICK is empty"),
    "a path for a name": ("../hw", "tradeoff:1", "NAME"),
    "no name": ("", "tradeoff:1", "NAME"),
    "a space in the name": ("a b", "tradeoff:1", "NAME"),
    "a name that is there": ("there", "tradeoff:1", "there already"),
}


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    course = tmp_path_factory.mktemp("taken")
    make(course, "there", "tradeoff:1")
    return course


@pytest.mark.parametrize(("name", "pick", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_made_is_refused_in_one_message(taken, name, pick, reason):
    files = {path: path.read_bytes() for path in taken.rglob("*") if path.is_file()}
    code, said = command("assignment.py", "--course", taken, f"--name={name}", "--pick", pick)
    assert code != 0 and reason in said and said.count("\n") == 1, said
    assert files == {path: path.read_bytes() for path in taken.rglob("*") if path.is_file()}


# make grade: hard submissions, all in one run


@pytest.fixture(scope="module")
def hard_run(tmp_path_factory):
    course = tmp_path_factory.mktemp("hard")
    source, release = make(course, "hw", HARD)
    reset(course, "timeout = 20", "timeout = 5")
    full, folder = hard.reference(source), course / "in"
    made = {f"attack {n}": hard.with_cell(full, hard.KEPT, code) for n, (code, _) in enumerate(hard.ATTACKS.values())}
    made |= {
        "full": full,
        "loop": hard.with_cell(full, hard.KEPT, hard.LOOP),
        "deaf loop": hard.with_cell(full, hard.KEPT, hard.DEAF_LOOP),
        "long output": hard.before(full, hard.LONG_OUTPUT),
        "many lines": hard.before(full, hard.MANY_LINES),
        "killed": hard.before(full, hard.KILLED),
        "hungry": hard.before(full, hard.HUNGRY),
        "writes": hard.before(full, hard.WRITES),
        "warns": hard.with_cell(
            full, hard.KEPT, next(c.source for c in full.cells if grade_id(c) == hard.KEPT) + "\n" + hard.WARNS
        ),
        "split": hard.split(full),
        "new ids": hard.elsewhere(full, metadata=False),
        "no metadata": hard.elsewhere(full, metadata=True),
        "no tests": hard.without(full, "tests"),
        "no tests nor data": hard.without(full, "tests", "locked"),
        "no answers": hard.without(full, "answer", "manual"),
        "weakened": hard.weakened(hard.with_cell(full, hard.KEPT, hard.WRONG)),
    }
    for student, notebook in made.items():
        hard.write(notebook, folder / f"{student}.ipynb")
    (folder / "not json.ipynb").write_text("{ this is no notebook")
    (folder / "empty.ipynb").write_text("")
    (folder / "other json.ipynb").write_text('{"a": 1}')
    (folder / "essay.pdf").write_bytes(b"%PDF")
    hard.write(nbformat.v4.new_notebook(), folder / "nothing in it.ipynb")
    (folder / "no file").mkdir()
    roster = course / "roster.csv"
    roster.write_text("student,email\nabsent,a@example.org\nfull,f@example.org\n")
    manual = course / "manual.csv"
    manual.write_text("student,grade_id,points\nfull,tradeoff-crowd-answer,7.5\n")
    due = "2026-01-01T00:00+01:00"
    return course, source, grade(course, "hw", folder, "--roster", roster, "--manual", manual, "--due", due)


def scores(row):
    return {key: float(value) for key, value in row.items() if key.startswith("tradeoff-")}


FULL = {"tradeoff-crowd": 0, "tradeoff-kept": 10, "tradeoff-frontier": 10}
SPOILED = FULL | {"tradeoff-kept": 0}
ENDS = {
    "full": ("graded", FULL | {"tradeoff-crowd": 7.5}),
    "loop": ("timed out", SPOILED),
    "deaf loop": ("timed out", SPOILED),
    "long output": ("graded", FULL),
    "many lines": ("graded", FULL),
    "killed": ("crashed", SPOILED),
    "hungry": (None, SPOILED),
    "writes": ("graded", FULL | {"tradeoff-frontier": 0}),  # what it spoils is its own copy of the package
    "warns": ("graded", FULL),
    "split": ("graded", FULL),
    "new ids": ("graded", FULL),
    "no metadata": ("graded", FULL),
    "no tests": ("graded", FULL),
    "no tests nor data": ("graded", FULL),
    "no answers": ("graded", dict.fromkeys(FULL, 0)),
    "weakened": ("graded", SPOILED),
    "not json": ("unreadable", None),
    "empty": ("unreadable", None),
    "other json": ("unreadable", None),
    "essay": ("unreadable", None),
    "nothing in it": ("unreadable", None),
    "no file": ("missing", None),
    "absent": ("missing", None),
}


def test_everybody_has_a_row(hard_run):
    _, _, rows = hard_run
    assert rows.keys() == ENDS.keys() | {f"attack {n}" for n in range(len(hard.ATTACKS))}
    assert all(row["max_score"] == "30" for row in rows.values())


@pytest.mark.parametrize(("student", "status", "found"), [(name, *end) for name, end in ENDS.items()], ids=ENDS)
def test_a_hard_submission_ends_as_it_should(hard_run, student, status, found):
    row = hard_run[2][student]
    assert row["status"] == status or status is None, row
    assert scores(row) == (found if found is not None else scores(row))
    assert found is not None or scores(row)["tradeoff-kept"] == 0


@pytest.mark.parametrize("number", range(len(hard.ATTACKS)), ids=list(hard.ATTACKS))
def test_a_submission_that_turns_on_its_checks(hard_run, number):
    row, (_, end) = hard_run[2][f"attack {number}"], list(hard.ATTACKS.values())[number]
    assert scores(row)["tradeoff-frontier"] == 10, "the other exercise is not harmed"
    assert (end == "no points") == (scores(row)["tradeoff-kept"] == 0), row
    assert end == "no points" or row["look_at"]


def test_points_by_hand_and_lateness(hard_run):
    _, _, rows = hard_run
    assert not rows["full"]["to_mark"] and rows["loop"]["to_mark"] == "tradeoff-crowd-answer"
    assert float(rows["full"]["late_minutes"]) > 0 and rows["absent"]["late_minutes"] == ""


NOT_GRADED = {
    "no such assignment": (["--name", "none"], "there is no assignment 'none'"),
    "no folder": (["--submissions", "/nowhere"], "is not a folder"),
    "no time": (["--due", "tomorrow"], "DUE"),
    "no roster": (["--roster", "/nowhere.csv"], "/nowhere.csv"),
    "unknown student": ("nobody,tradeoff-crowd-answer,1", "line 2: no student 'nobody'"),
    "unknown cell": ("full,tradeoff-crowd,1", "line 2: no graded cell 'tradeoff-crowd'"),
    "too many points": ("full,tradeoff-crowd-answer,11", "between 0 and 10"),
    "negative points": ("full,tradeoff-crowd-answer,-1", "between 0 and 10"),
    "no number": ("full,tradeoff-crowd-answer,nan", "between 0 and 10"),
    "no points": ("full,tradeoff-crowd-answer,", "must be a number"),
    "twice": ("full,tradeoff-crowd-answer,1\nfull,tradeoff-crowd-answer,2", "line 3"),
}


@pytest.mark.parametrize(("what", "reason"), NOT_GRADED.values(), ids=NOT_GRADED)
def test_what_cannot_be_graded_is_refused_in_one_message(hard_run, tmp_path, what, reason):
    course, before = hard_run[0], (hard_run[0] / "grades" / "hw.csv").read_bytes()
    if isinstance(what, str):
        (tmp_path / "manual.csv").write_text(f"student,grade_id,points\n{what}\n")
        what = ["--manual", tmp_path / "manual.csv"]
    code, said = command("grade.py", "--course", course, "--name", "hw", "--submissions", course / "in", *what)
    assert code != 0 and reason in said and said.count("\n") == 1, said
    assert before == (course / "grades" / "hw.csv").read_bytes()


def test_feedback_is_there_and_small(hard_run):
    course, _, rows = hard_run
    for student, row in rows.items():
        file = course / "feedback" / student / "hw" / "hw.html"
        assert file.exists() == (row["status"] in ("graded", "timed out", "crashed")), student
        assert not file.exists() or file.stat().st_size < 2_000_000, (student, file.stat().st_size)


def test_the_package_is_as_it_was(hard_run):
    assert "raise RuntimeError" != (ROOT / "adv_companion" / "tradeoff.py").read_text()


def test_no_reference_answer_is_marked():
    for exercise in CODED:
        for cell in exercise.of_kind("answer"):
            assert not marks(cell.source), (exercise, marks(cell.source))
