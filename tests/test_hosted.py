"""Where a notebook runs other than here: its first cell, the links to those places, the copies made for Colab."""

import json
import subprocess
import sys
from pathlib import Path

import hosted
import launch
import pytest

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
REPOSITORY = "https://github.com/someone/companion"

# The cell in an IPython shell whose pip only writes down what it was asked for; $before sets the scene.
RUN = """
import sys, types
from IPython.core.interactiveshell import InteractiveShell
shell, asked = InteractiveShell.instance(), []
shell.register_magic_function(lambda line: asked.append(line), magic_name="pip")
class Piplite:
    async def install(self, what):
        asked.append(f"piplite {what}")
sys.modules["piplite"] = Piplite()
BEFORE
result = shell.run_cell(CELL)
sys.platform = "linux"
print(asked, result.success)
"""


def run(cell, before=""):
    script = RUN.replace("BEFORE", before).replace("CELL", repr(cell))
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_every_chapter_begins_with_the_cell(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first = {key: value for key, value in cells[0].items() if key != "execution_count"}
    assert first == {key: value for key, value in hosted.setup_cell().items() if key != "execution_count"}
    assert sum("google.colab" in "".join(cell["source"]) for cell in cells) == 1


def test_the_cell_does_nothing_here():
    assert run(hosted.SETUP) == "[] True\n"


def test_on_colab_it_installs_the_package_from_the_repository():
    cell = hosted.with_address(json.dumps(hosted.SETUP), REPOSITORY)
    said = run(json.loads(cell), "sys.modules['google.colab'] = types.ModuleType('google.colab')")
    assert said == f"['install -q adv-companion[book,digits]@git+{REPOSITORY}'] True\n"


def test_in_jupyterlite_it_installs_what_the_book_brings():
    assert run(hosted.SETUP, "sys.platform = 'emscripten'") == "['piplite adv-companion[book,digits]'] True\n"


def test_the_address_is_written_into_every_notebook_and_nothing_else_changes():
    for path in CHAPTERS:
        text = path.read_text(encoding="utf-8")
        written = hosted.with_address(text, REPOSITORY)
        assert written.replace(REPOSITORY, "") == text and f"REPOSITORY = \\\"{REPOSITORY}\\\"" in written
    with pytest.raises(ValueError, match="no first cell"):
        hosted.with_address("{}", REPOSITORY)


def test_no_link_points_nowhere():
    assert launch.links("chapters/01_geometry.ipynb", {}) == []
    site = launch.links("chapters/01_geometry.ipynb", {"BOOK_SITE": "1"})
    assert site == [("JupyterLite", "lite/lab/index.html?path=01_geometry.ipynb")]


def test_links_to_a_public_repository():
    found = dict(launch.links("chapters/01_geometry.ipynb", {"BOOK_REPOSITORY": REPOSITORY + ".git", "BOOK_BRANCH": "next"}))
    assert found == {
        "Binder": "https://mybinder.org/v2/gh/someone/companion/next?urlpath=lab/tree/chapters/01_geometry.ipynb",
        "Colab": "https://colab.research.google.com/github/someone/companion/blob/notebooks/chapters/01_geometry.ipynb",
    }
    for bad in ("someone/companion", "http://github.com/a/b", "https://github.com/a", "https://example.org/a/b"):
        with pytest.raises(ValueError, match="BOOK_REPOSITORY"):
            launch.links("chapters/01_geometry.ipynb", {"BOOK_REPOSITORY": bad})
