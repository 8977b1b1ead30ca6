"""The exercise notebooks, taken apart: what belongs to which exercise, what is an answer, what a student may not see.

An exercise begins with a markdown cell that opens with a ``## `` heading and holds an ``{exercise}`` directive, and
reaches to the next such cell. CONTRIBUTING.md has the whole form. No nbgrader is needed here.
"""

import contextlib
import io
import re
import runpy
import warnings
from dataclasses import dataclass, field

import nbformat
from record import ROOT

EXERCISES = ROOT / "exercises"
BEGINS = re.compile(r"\A## .*^:::\{exercise\} *(?P<title>[^\n]*)\n:label: *(?P<label>\S+)", re.DOTALL | re.MULTILINE)
REGION = re.compile(r"^(?P<indent> *)### BEGIN SOLUTION\n(?P<body>.*?)^ *### END SOLUTION *$", re.DOTALL | re.MULTILINE)
HIDDEN = re.compile(r"^ *### BEGIN HIDDEN TESTS\n(?P<body>.*?)^ *### END HIDDEN TESTS *$", re.DOTALL | re.MULTILINE)
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"


def names():
    """Every exercise notebook, by the name of its folder."""
    return sorted(path.parent.name for path in EXERCISES.glob("[!.]*/*.ipynb") if path.stem == path.parent.name)


def read(name):
    return nbformat.read(EXERCISES / name / f"{name}.ipynb", as_version=4)


def tagged(cell, tag):
    return tag in cell.metadata.get("tags", [])


def kind(cell):
    """What nbgrader makes of a cell: "answer", "tests", "manual", "locked", or None for a cell that it leaves alone."""
    about = cell.metadata.get("nbgrader")
    if not about:
        return None
    kinds = {(0, 1): "answer", (1, 0): "tests", (1, 1): "manual", (0, 0): "locked"}
    return kinds[bool(about.get("grade")), bool(about.get("solution"))]


def defines(answer):
    """Whether an answer cell defines something. One that does not is an experiment: slow, and no check reads what it prints."""
    return re.search(r"^(def|class) ", answer.source, re.MULTILINE) is not None


@dataclass
class Exercise:
    notebook: str
    number: int  # from 1, in the order of the notebook
    title: str
    label: str
    imports: nbformat.NotebookNode = field(repr=False)
    cells: list = field(repr=False)

    def __str__(self):
        return f"{self.notebook}:{self.number}"

    @property
    def runnable(self):
        """An exercise stands alone: its cells and the imports are all that runs."""
        return [self.imports, *self.cells]

    def of_kind(self, *kinds):
        return [cell for cell in self.cells if kind(cell) in kinds]


def exercises(name):
    """The exercises of a notebook, in order."""
    cells = read(name).cells
    imports = next(cell for cell in cells if cell.id == "imports")
    found = []
    for cell in cells:
        match = BEGINS.search(cell.source) if cell.cell_type == "markdown" else None
        if match:
            found.append(Exercise(name, len(found) + 1, match["title"], match["label"], imports, []))
        if found:
            found[-1].cells.append(cell)
    return found


def stubbed(source):
    """The source of an answer cell as the student gets it: nbgrader's stub in place of the answer."""
    return REGION.sub(lambda match: re.sub("^", match["indent"], STUB, flags=re.MULTILINE), source)


def run(cells, replace=None, enough=()):
    """Run code cells in a namespace of their own, each whatever the others did; a cell's file name is its id.

    ``replace`` maps ids of cells to another source. The first of the cells ``enough`` that raises is the last to run.
    Returns {cell id: the exception that it raised, or None}.
    """
    namespace, raised = {"__name__": "__main__"}, {}
    for cell in cells:
        if cell.cell_type != "code":
            continue
        source = (replace or {}).get(cell.id, cell.source)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a notebook a warning stops nothing
            try:
                exec(compile(source, cell.id, "exec"), namespace)
                raised[cell.id] = None
            except Exception as error:
                raised[cell.id] = error
        if cell.id in enough and raised[cell.id] is not None:
            break
    return raised


def wrong_answers(name):
    """The mistakes that a notebook's checks must catch: {answer cell: {what is wrong: source}}."""
    path = ROOT / "tests" / "wrong_answers" / f"{name}.py"
    return runpy.run_path(path)["WRONG"] if path.exists() else {}


def squashed(text):
    """Letters and digits only, so that markup, quoting and line breaks do not matter."""
    return re.sub(r"[\W_]", "", text)


def secrets(cells, public=""):
    """What a student may not see: each longer line of the answers, hidden tests and solutions that nothing public says.

    ``public`` is further text, squashed, that a student may see. Lines are squashed.
    """
    hidden, shown = [], [public]
    for cell in cells:
        if tagged(cell, "solution"):
            hidden.append(cell.source)
            continue
        hidden += [match["body"] for region in (REGION, HIDDEN) for match in region.finditer(cell.source)]
        shown.append(squashed(HIDDEN.sub("", REGION.sub("", cell.source))))
    shown = "\n".join(shown)
    lines = {squashed(line) for text in hidden for line in text.splitlines()}
    return {line for line in lines if len(line) >= 12 and line not in shown}


def leaks(secret, text):
    """The secret lines that a text gives away."""
    text = squashed(text)
    return sorted(line for line in secret if line in text)
