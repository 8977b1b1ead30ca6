"""Submissions that a grader must survive, made from an assignment's reference answers."""

import copy

import nbformat
from exercises import kind
from grading import grade_id

KEPT = "tradeoff-kept-answer"  # the answer cell that the hard submissions misuse; its function is `kept`
WRONG = "def kept(coef, p, c, eps):\n    return 0.5\n"

# Programs for that cell, and how each must end for the exercise: "no points", or "marked" (points, but in look_at).
ATTACKS = {
    "prints the answer": (
        "def kept(coef, p, c, eps):\n    print('0.9772499')\n    print('All checks passed.')\n",
        "no points",
    ),
    "syntax error": ("def kept(coef, p, c, eps)\n    return 0.5\n", "no points"),
    "exits": ("import sys\ndef kept(coef, p, c, eps):\n    sys.exit(0)\n", "no points"),
    "patches AssertionError": (
        "import builtins\nclass Quiet(BaseException): pass\nbuiltins.AssertionError = Quiet\n" + WRONG,
        "no points",
    ),
    "patches abs": ("import builtins\nbuiltins.abs = lambda x: 0.0\n" + WRONG, "no points"),
    "shadows abs": ("def abs(x):\n    return 0.0\n" + WRONG, "no points"),
    "patches abs when called": (
        "def kept(coef, p, c, eps):\n    import builtins\n    builtins.abs = lambda x: 0.0\n    return 0.5\n",
        "no points",
    ),
    "patches numpy": (
        "np.testing.assert_allclose = lambda *a, **k: None\nnp.mean = lambda *a, **k: 0.5\n" + WRONG,
        "no points",
    ),
    "patches the package": (
        "TsiprasDistribution.linear_accuracy = lambda *a, **k: 0.5\n"
        "TsiprasDistribution.sample = lambda self, n, rng: (np.zeros((n, self.d + 1)), np.zeros(n))\n" + WRONG,
        "no points",
    ),
    "blanks later cells": (
        "get_ipython().input_transformers_post.append(lambda lines: ['pass\\n'])\n" + WRONG,
        "no points",
    ),
    "hides tracebacks": ("get_ipython().showtraceback = lambda *a, **k: None\n" + WRONG, "no points"),
    "hides errors": (
        "get_ipython().run_cell = lambda *a, **k: None\nget_ipython().run_cell_async = None\n" + WRONG,
        "no points",
    ),
    "an object equal to everything": (
        "class Any(float):\n    def __sub__(self, other): return 0.0\n    __rsub__ = __sub__\n"
        "    def __lt__(self, other): return True\n"
        "def kept(coef, p, c, eps):\n    return Any(0.5)\n",
        "marked",
    ),
    "reads the caller": (
        "import sys\ndef kept(coef, p, c, eps):\n    frame = sys._getframe(1)\n"
        "    frame.f_globals['abs'] = lambda x: 0.0\n    frame.f_globals['kept'] = kept\n    return 0.5\n",
        "no points",
    ),
    "patches abs for a while": (
        "import builtins\n_abs, _calls = abs, []\n"
        "def patched(x):\n    _calls.append(x)\n    return 0.0 if len(_calls) < 99 else _abs(x)\n"
        "def kept(coef, p, c, eps):\n    _calls.clear()\n    builtins.abs = patched\n    return 0.5\n",
        "no points",
    ),
    "patches abs for one call": (
        "import builtins\n_abs = abs\ndef patched(x):\n    builtins.abs = _abs\n    return 0.0\n"
        "def kept(coef, p, c, eps):\n    builtins.abs = patched\n    return 0.5\n",
        "marked",
    ),
}
LOOP = "def kept(coef, p, c, eps):\n    while True:\n        pass\n"
DEAF_LOOP = (
    "def kept(coef, p, c, eps):\n    while True:\n        try:\n            while True:\n                pass\n"
    "        except BaseException:\n            pass\n"
)
LONG_OUTPUT = "print('x' * 50_000_000)\n"
MANY_LINES = "for _ in range(50_000):\n    print('x' * 999)\n"
KILLED = "import os\nos._exit(1)\n"
HUNGRY = "hoard = []\nwhile True:\n    hoard.append(bytearray(10**8))\n"
WRITES = "import adv_companion.tradeoff as t\nopen(t.__file__, 'w').write('raise RuntimeError')\n"
WARNS = "import warnings\nwarnings.warn('a warning of NumPy')\n"


def reference(source):
    """The reference answers as a student would hand them in, answers to be marked by hand included."""
    notebook = copy.deepcopy(source)
    notebook.cells = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        if kind(cell) == "manual":
            cell.source = "By symmetry."
    return notebook


def with_cell(notebook, name, program):
    """A copy in which one cell has another source."""
    notebook = copy.deepcopy(notebook)
    (cell,) = [cell for cell in notebook.cells if grade_id(cell) == name]
    cell.source = program
    return notebook


def before(notebook, program):
    """A copy that runs a program of the student's first in the answer cell, and is else as it was."""
    (cell,) = [cell for cell in notebook.cells if grade_id(cell) == KEPT]
    return with_cell(notebook, KEPT, program + cell.source)


def split(notebook):
    """A copy in which the constants of an answer stand in a cell that the student added, right below the statement."""
    notebook = copy.deepcopy(notebook)
    at = next(n for n, cell in enumerate(notebook.cells) if grade_id(cell) == KEPT)
    answer = notebook.cells[at]
    answer.source = answer.source.replace("eps * ", "ONE * eps * ")
    notebook.cells.insert(at, nbformat.v4.new_code_cell("ONE = 1.0"))
    return notebook


def elsewhere(notebook, metadata):
    """A copy as another editor may write it: with new ids, or without nbgrader's metadata."""
    notebook = copy.deepcopy(notebook)
    for number, cell in enumerate(notebook.cells):
        if metadata:
            cell.metadata.pop("nbgrader", None)
        else:
            cell.id = f"cell{number}"
    return notebook


def without(notebook, *kinds):
    """A copy in which the cells of these kinds are deleted."""
    notebook = copy.deepcopy(notebook)
    notebook.cells = [cell for cell in notebook.cells if kind(cell) not in kinds]
    return notebook


def weakened(notebook):
    """A copy in which every check is empty and worth 100 points."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if kind(cell) == "tests":
            cell.source = "pass"
            cell.metadata.nbgrader["points"] = 100
    return notebook


def write(notebook, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, file)
