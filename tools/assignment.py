"""Put an assignment together from exercises of any pages: `make assignment NAME=hw1 PICK="pgd:2 tradeoff:1"`.

It writes COURSE/source/NAME/NAME.ipynb, and nbgrader makes the student's version in COURSE/release out of it.
"""

import argparse
import copy
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
from exercises import exercises, leaks, names, secrets, tagged
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from record import METADATA, ROOT
from traitlets.config import Config, PyFileConfigLoader

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
PICK = re.compile(r"(?P<notebook>\w+):(?P<number>[1-9]\d*)")
FENCE = re.compile(r":{3,}\{(?P<directive>[\w-]+)\} *(?P<title>.*)")
LINK = re.compile(r"\[([^\]]*)\]\((?:[^()\s]*\.(?:ipynb|md)[^()\s]*|#[^()\s]*)\)")
ROLE = re.compile(r"\{[\w:.-]+\}`([^`<]*[^`<\s]) *(?:<[^`>]*>)?`")
INSTRUCTIONS = """# {name}

{points} points, {exercises} exercises. Write where a cell says *YOUR CODE HERE* or *Write your answer here*. You may
add cells, below the first cell of the exercise that needs them: each exercise is run without the others. Before you
hand in, restart the kernel and run all cells; then send in this one file under its own name, `{name}.ipynb`.
"""


# nbgrader calls alembic by its bare name, so the environment must be on the path also where nobody activated it.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


class Refused(Exception):
    """What the instructor asked for cannot be done; the text says why."""


def plain(text, number=None):
    """Markdown without the book's directives, and without links and roles that lead to other pages of it."""
    lines, out = text.splitlines(), []
    while lines:
        line = lines.pop(0)
        fence = FENCE.fullmatch(line.strip())
        if fence:
            while lines and re.fullmatch(r":[\w-]+:.*", lines[0].strip()):  # :label:, :class:
                lines.pop(0)
            directive, title = fence["directive"], fence["title"]
            if directive == "exercise":
                out = [f"## Exercise {number}: {title}"]  # in place of the page's own heading
            elif directive != "solution-end":
                out.append(
                    "**Solution**" if directive.startswith("solution") else f"**{title or directive.capitalize()}**"
                )
        elif not re.fullmatch(r":{3,}", line.strip()):
            out.append(line)
    return ROLE.sub(r"\1", LINK.sub(r"\1", "\n".join(out))).strip()


def picked(text):
    """The exercises that PICK asks for, in its order."""
    found = []
    for word in text.split():
        match = PICK.fullmatch(word)
        if not match:
            raise Refused(f"PICK: {word!r} is not of the form notebook:number, as pgd:2")
        if match["notebook"] not in names():
            raise Refused(f"PICK: there are no exercises {match['notebook']!r}; there are {', '.join(names())}")
        available = exercises(match["notebook"])
        if int(match["number"]) > len(available):
            raise Refused(f"PICK: {match['notebook']} has {len(available)} exercises, so there is no {word}")
        exercise = available[int(match["number"]) - 1]
        if not exercise.of_kind("tests", "manual"):
            raise Refused(f"PICK: {word} cannot be graded yet, since its cells have no nbgrader metadata")
        if str(exercise) in map(str, found):
            raise Refused(f"PICK: {word} is there twice")
        found.append(exercise)
    if not found:
        raise Refused('PICK is empty: choose exercises, as in PICK="pgd:2 tradeoff:1"')
    return found


def as_source(cell, exercise, number=None):
    """A cell of a page as a cell of the assignment: same text and grading, no directives, no metadata of the book."""
    cell = copy.deepcopy(cell)
    cell.id = f"{exercise.notebook}-{cell.id}"
    tags = ["solution"] if tagged(cell, "solution") else None
    cell.metadata = {
        key: value for key, value in (("nbgrader", cell.metadata.get("nbgrader")), ("tags", tags)) if value
    }
    if cell.cell_type == "markdown":
        cell.source = plain(cell.source, number)
    else:
        cell.outputs, cell.execution_count = [], None
    return cell


def assembled(name, chosen):
    """The assignment's source notebook; the imports of each page stand once, at the top."""
    cells = []
    for exercise in {exercise.notebook: exercise for exercise in chosen}.values():
        imports = as_source(exercise.imports, exercise)
        about = dict(grade=False, solution=False, locked=True, task=False, schema_version=3, grade_id=imports.id)
        imports.metadata["nbgrader"] = about
        cells.append(imports)
    for number, exercise in enumerate(chosen, 1):
        cells += [as_source(cell, exercise, number) for cell in exercise.cells]
    points = sum(cell.metadata["nbgrader"].get("points", 0) for cell in cells if "nbgrader" in cell.metadata)
    title = nbformat.v4.new_markdown_cell(
        INSTRUCTIONS.format(name=name, points=points, exercises=len(chosen)), id="title"
    )
    return nbformat.v4.new_notebook(cells=[title, *(cell for cell in cells if cell.source)], metadata=METADATA)


def course_config(course):
    """The settings of a course folder; a new one gets the template."""
    file = course / "nbgrader_config.py"
    if not file.exists():
        course.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tools" / "nbgrader_config.py", file)
    return Config(PyFileConfigLoader(file.name, path=str(course)).load_config())


def nbgrader(config):
    return NbGraderAPI(config=config)


def known(config, name):
    api = nbgrader(config)
    with Gradebook(api.coursedir.db_url, api.coursedir.course_id) as gradebook:
        return name in [assignment.name for assignment in gradebook.assignments]


def withdraw(config, course, name):
    """Leave nothing of an assignment that could not be made."""
    for stage in ("source", "release"):
        shutil.rmtree(course / stage / name, ignore_errors=True)
    api = nbgrader(config)
    with Gradebook(api.coursedir.db_url, api.coursedir.course_id) as gradebook:
        try:
            gradebook.remove_assignment(name)
        except MissingEntry:
            pass


def make(name, pick, course):
    """Write the source, and let nbgrader make the release; returns its path."""
    if not NAME.fullmatch(name):
        raise Refused(f"NAME: {name!r} must be letters, digits, _ and -, beginning with a letter")
    notebook = assembled(name, picked(pick))
    source, release = (course / stage / name / f"{name}.ipynb" for stage in ("source", "release"))
    if source.parent.exists() or release.parent.exists():
        raise Refused(f"NAME: {name} is there already, in {course}")
    config = course_config(course)
    if known(config, name):
        raise Refused(f"NAME: {name} is in the gradebook already")
    try:
        source.parent.mkdir(parents=True)
        nbformat.write(notebook, source)
        result = nbgrader(config).generate_assignment(name)
        if not result["success"]:
            raise Refused(f"nbgrader could not make {name}:\n{result.get('error') or result.get('log')}")
        if leaks(secrets(notebook.cells), release.read_text(encoding="utf-8")):
            raise Refused(f"the student's version of {name} would hold answers: see GenerateAssignment in {course}")
    except BaseException:
        withdraw(config, course, name)
        raise
    return release


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--pick", required=True)
    parser.add_argument("--course", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        release = make(arguments.name, arguments.pick, arguments.course.resolve())
    except Refused as reason:
        sys.exit(f"no assignment made. {reason}")
    print(f"for you:      {arguments.course}/source/{arguments.name}/{arguments.name}.ipynb")
    print(f"for students: {release}")


if __name__ == "__main__":
    main()
