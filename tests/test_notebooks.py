"""What a recorded notebook must hold, read from its file without running it.

nbval compares outputs, but a cleared notebook has none to compare and a figure's pixels are not compared, so these
checks see to the rest.
"""

import json
import re
from functools import cache

import pytest
from record import ROOT, as_recorded, notebooks

NOTEBOOKS = [*notebooks(), *sorted((ROOT / "beyond").glob("*.ipynb"))]  # those need PyTorch to run, but not to be looked at
MAX_LINES = 12
FOLDED = {"hide-input", "remove-input", "remove-cell"}
UNCOMPARED = re.compile(r"nbval[-_](skip|ignore[-_]output)", re.IGNORECASE)
# A root folder at the start of a path, not inside a URL, a longer path or an encoded image.
MACHINE_PATH = re.compile(r"(?<![\w.:/+=])/(home|root|tmp|work|mnt|opt|private|usr|var|Users)/\w|[A-Z]:\\+Users")


@cache
def as_read(path):
    """A notebook, and its file's text."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text), text


def code_cells(notebook):
    """(number in running order, cell, its text) of each code cell that runs something."""
    texts = [(c, "".join(c["source"])) for c in notebook["cells"] if c["cell_type"] == "code"]
    return [(n, c, text) for n, (c, text) in enumerate(((c, t) for c, t in texts if t.strip()), 1)]


def outputs(notebook):
    return [(n, cell, output) for n, cell, _ in code_cells(notebook) for output in cell["outputs"]]


def is_slider(output):
    return '<div class="slider">' in "".join(output.get("data", {}).get("text/html", ""))


def recorded_in_order(notebook, text):
    for n, cell, _ in code_cells(notebook):
        if cell["execution_count"] != n:
            yield f"code cell {n} is recorded as {cell['execution_count']}: run make record"


def no_warning(notebook, text):
    for n, _, output in outputs(notebook):
        if output.get("name") == "stderr":
            yield f"code cell {n} wrote to stderr"


def no_error(notebook, text):
    for n, _, output in outputs(notebook):
        if output["output_type"] == "error":
            yield f"code cell {n} recorded {output['ename']}"


def short_cells(notebook, text):
    for n, cell, source in code_cells(notebook):
        lines = [line for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]
        if len(lines) > MAX_LINES and not FOLDED & set(cell["metadata"].get("tags", [])):
            yield f"code cell {n} shows {len(lines)} lines, more than {MAX_LINES}: split it or fold it"


def described_figures(notebook, text):
    for n, cell, output in outputs(notebook):
        drawn = any(kind.startswith("image/") for kind in output.get("data", {}))
        if not drawn and not is_slider(output):
            continue
        book = cell["metadata"].get("mystnb", {})
        wanted = [("figure", "caption"), ("figure", "name"), ("image", "alt")]
        for group, key in wanted if drawn else wanted[:2]:  # a slider's frames have an alt each, from the package
            if not book.get(group, {}).get(key):
                yield f"code cell {n} draws a figure without mystnb {group} {key}"


def unique_ids(notebook, text):
    ids = [cell.get("id") for cell in notebook["cells"]]
    if len(set(ids)) != len(ids) or None in ids:
        yield "a cell id is missing or used twice"


def nothing_uncompared(notebook, text):
    for n, cell, source in code_cells(notebook):
        if UNCOMPARED.search(" ".join([source, *cell["metadata"].get("tags", [])])):
            yield f"code cell {n} asks not to be compared"


def clean_file(notebook, text):
    if text != as_recorded(notebook):
        yield "the file is not as make record leaves it"


def no_machine_path(notebook, text):
    for match in MACHINE_PATH.finditer(text):
        yield f"a path of a machine: ...{text[match.start() : match.end() + 30]}..."


CHECKS = [
    recorded_in_order,
    no_warning,
    no_error,
    short_cells,
    described_figures,
    unique_ids,
    nothing_uncompared,
    clean_file,
    no_machine_path,
]


def test_the_book_has_notebooks():
    assert notebooks(), f"no notebook under {ROOT}/chapters or {ROOT}/exercises"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_notebook(path, check):
    faults = list(check(*as_read(path)))
    assert not faults, f"{path.relative_to(ROOT)}: " + "; ".join(faults)


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.parent.name == "chapters"], ids=lambda path: path.name)
def test_every_page_has_something_to_move(path):
    assert any(is_slider(output) for _, _, output in outputs(as_read(path)[0]))
