"""The exercise notebooks, taken apart: what belongs to which exercise, what is an answer, what a student may not see.

An exercise begins with a markdown cell that opens with a ``## `` heading and holds an ``{exercise}`` directive, and
reaches to the next such cell. CONTRIBUTING.md has the whole form. No nbgrader is needed here.
"""

import contextlib
import io
import re
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


def run(exercise, replace=None):
    """Run the imports and one exercise's code cells in a namespace of its own, each cell whatever the others did.

    ``replace`` maps ids of cells to another source. Returns {cell id: the exception that it raised, or None}.
    """
    namespace, raised = {"__name__": "__main__"}, {}
    for cell in [exercise.imports, *exercise.cells]:
        if cell.cell_type != "code":
            continue
        source = (replace or {}).get(cell.id, cell.source)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a notebook a warning stops nothing
            try:
                exec(compile(source, f"{exercise} {cell.id}", "exec"), namespace)
                raised[cell.id] = None
            except Exception as error:
                raised[cell.id] = error
    return raised
