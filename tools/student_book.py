"""Copy the book's sources to a folder without any answer, for `make book STUDENT=1`.

Hiding solutions in the built book is not enough: each page also carries its source. So the exercise notebooks are
stripped first, by the steps of nbgrader that make a student's version, and then the book is built.
"""

import shutil
import sys
from pathlib import Path

import nbformat
from exercises import names, read
from nbconvert.preprocessors import ClearOutputPreprocessor, TagRemovePreprocessor
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions
from record import ROOT

SOURCES = ("*.md", "*.yml", "*.bib", "*.png", "claims.csv", "chapters", "beyond", "exercises", "_ext", "_static")
STEPS = [
    TagRemovePreprocessor(enabled=True, remove_cell_tags={"solution"}),
    ClearSolutions(enforce_metadata=False),
    ClearHiddenTests(enforce_metadata=False),
    ClearOutputPreprocessor(enabled=True),  # an output prints what the reference answer found
]


def stripped(notebook):
    resources = {}
    for step in STEPS:
        notebook, resources = step.preprocess(notebook, resources)
    return notebook


def main(target):
    shutil.rmtree(target, ignore_errors=True)
    for pattern in SOURCES:
        for path in ROOT.glob(pattern):
            copy, place = shutil.copytree if path.is_dir() else shutil.copy, target / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            copy(path, place)
    for name in names():
        nbformat.write(stripped(read(name)), target / "exercises" / name / f"{name}.ipynb")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
