"""The gate proves itself: each fault planted in a copy of the project must turn the real command red, by name.

The copies are small: one notebook for the notebooks' faults, two pages for the book's. They run in this environment, with
the copy's own package in front of the installed one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import test_notebooks
from record import METADATA, ROOT, as_recorded, notebooks

KEPT = "chapters/02_fgsm_holder.ipynb"
SHORT = {"index.md": "# A short book\n", "_toc.yml": "format: jb-book\nroot: index\nchapters:\n- file: references\n"}


def edited(change):
    """A fault that changes the notebook that is kept."""

    def plant(project):
        path = project / KEPT
        notebook = json.loads(path.read_text(encoding="utf-8"))
        change([cell for cell in notebook["cells"] if cell["cell_type"] == "code"])
        path.write_text(as_recorded(notebook), encoding="utf-8")

    return plant


def change_a_digit(cells):
    stream = next(o for c in cells for o in c["outputs"] if re.search(r"\d", "".join(o.get("text", ""))))
    stream["text"] = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), "".join(stream["text"]), count=1)


def clear(cells):
    for cell in cells:
        cell.update(outputs=[], execution_count=None)


def break_a_cell(cells):
    cells[-1]["source"] = "raise RuntimeError('planted')"


def appended(name, text):
    """A fault that adds text to the end of a file."""

    def plant(project):
        with open(project / name, "a", encoding="utf-8") as file:
            file.write(text)

    return plant


STALE = "\n_true = dual_norm\n\n\ndef dual_norm(g, p):\n    return 1.001 * _true(g, p)\n"

# name: (the command, the fault, what the output must say). That the project as it is passes, `make test` shows itself.
CASES = {
    "a digit of an output": ("test-notebooks", edited(change_a_digit), "mismatch 'stdout'"),
    "a cleared notebook": ("test-notebooks", edited(clear), "code cell 1 is recorded as None"),
    "a stale helper": ("test-notebooks", appended("adv_companion/norms.py", STALE), "mismatch 'stdout'"),
    "a failing cell": ("test-notebooks", edited(break_a_cell), "Cell execution caused an exception"),
    "no notebook": ("test-notebooks", lambda project: (project / KEPT).unlink(), "no notebook under"),
    "a broken reference": ("test-book", appended("index.md", "\n{doc}`chapters/none`\n"), "chapters/none"),
}


def not_the_project(folder, names):
    """Hidden files, what was built, and environments, wherever they lie."""
    return [n for n in names if n.startswith((".", "_build", "__pycache__", "node_modules")) or Path(folder, n, "pyvenv.cfg").exists()]


def make(target, project):
    # Nothing of the pytest or make around this test reaches the inner one. --old-file: the environment is ready,
    # and must not be installed again from the copy.
    outer = ("PYTEST_", "MAKE", "MFLAGS")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(outer)}
    environment["PYTHONPATH"] = str(project)
    command = ["make", target, "WORKERS=0", f"VENV={sys.prefix}", f"--old-file={sys.prefix}/.installed"]
    return subprocess.run(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize(("target", "plant", "reason"), CASES.values(), ids=CASES)
def test_gate(target, plant, reason, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(ROOT, project, ignore=not_the_project)
    if target == "test-notebooks":
        for path in notebooks():
            if path != ROOT / KEPT:
                (project / path.relative_to(ROOT)).unlink()
    else:
        for name, text in SHORT.items():
            (project / name).write_text(text, encoding="utf-8")
    plant(project)
    run = make(target, project)
    assert run.returncode != 0 and reason in run.stdout, run.stdout


# claims.csv, the pages and the tests, which test_claims.py compares.


def replaced(name, old, new):
    def plant(project):
        path = project / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    return plant


PAGE, TESTS_OF_IT = "chapters/05_tradeoff.ipynb", "tests/test_tradeoff.py"
MARK = '@pytest.mark.claim("C28", "limits")\n'
LIMIT = "def test_at_a_budget_of_one_or_more_no_classifier_beats_a_coin"
IN_LIST, ON_PAGE = 'so x₁ alone keeps accuracy p",holds if,', "keeps $p$ under that budget | **holds if**"


def verdict_changed(project):
    replaced("claims.csv", IN_LIST, IN_LIST.replace("holds if", "does not hold"))(project)
    replaced(PAGE, ON_PAGE, ON_PAGE.replace("holds if", "does not hold"))(project)


CLAIMS = {
    "as it is": (None, None),
    "a test deleted": (replaced(TESTS_OF_IT, MARK + LIMIT, "def left_over"), "the column names other tests"),
    "a test skipped": (replaced(TESTS_OF_IT, MARK, "@pytest.mark.skip\n" + MARK), "guards nothing"),
    "a verdict without its test": (verdict_changed, "verdict 'does not hold', but the tests show"),
    "a side without its verdict": (replaced(TESTS_OF_IT, MARK, MARK.replace("limits", "refutes")), "but the tests show"),
    "another verdict on the page": (replaced(PAGE, ON_PAGE, ON_PAGE.replace(" if", "")), "assert '**holds if**' in"),
    "no such place": (replaced(PAGE, "## How many features", "## How few"), "how-many-features-does-it-take"),
    "a claim left out": (replaced("claims.csv", "\nC28,", "\nX99,"), "At index 27 diff"),
}


@pytest.mark.parametrize(("plant", "reason"), CLAIMS.values(), ids=CLAIMS)
def test_claims(plant, reason, tmp_path):
    for name in ("tests", "_ext", "tools", "chapters"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=not_the_project)
    for name in ("claims.csv", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    if plant:
        plant(tmp_path)
    command = [sys.executable, "-m", "pytest", "tests/test_claims.py", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode == 0) == (reason is None), run.stdout
    assert reason is None or reason in run.stdout, run.stdout


# The form of a notebook.

FIGURE = {"output_type": "display_data", "data": {"image/png": ""}, "metadata": {}}
WARNING = {"output_type": "stream", "name": "stderr", "text": ["careful"]}
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}

# what to set in a sound code cell: the one check that must then complain
SPOILED = {
    "recorded_in_order": {"execution_count": 2},
    "no_warning": {"outputs": [WARNING]},
    "no_error": {"outputs": [ERROR]},
    "short_cells": {"source": "x = 1\n" * 13},
    "described_figures": {"outputs": [FIGURE]},
    "unique_ids": {"id": "prose"},
    "nothing_uncompared": {"source": "# NBVAL_IGNORE_OUTPUT\n1"},
    "clean_file": {"metadata": {"collapsed": True}},
    "no_machine_path": {"source": "open('/" + "tmp/x')"},
}


@pytest.mark.parametrize("check", test_notebooks.CHECKS, ids=lambda check: check.__name__)
def test_each_check_of_a_notebook_can_fail(check):
    prose = {"cell_type": "markdown", "id": "prose", "metadata": {}, "source": ["words"]}
    code = {"cell_type": "code", "id": "code", "metadata": {}, "source": ["1"], "outputs": [], "execution_count": 1}
    sound = {"cells": [prose, code], "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    spoiled = {**sound, "cells": [prose, {**code, **SPOILED[check.__name__]}]}
    for notebook in (sound, spoiled):
        text = json.dumps(notebook, indent=1, sort_keys=True) + "\n"
        assert bool(list(check(notebook, text))) == (notebook is spoiled)
