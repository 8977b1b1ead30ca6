"""The notebooks' edition in the browser: what can be tried without Pyodide's servers. `make test-lite`.

The runtime of Pyodide comes from npm, in the release that the kernel pins, and runs in the system's Chromium. Its compiled
packages (NumPy, SciPy) are on no registry, so of them only the list is checked: that they are there, for each import.
"""

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from chromium import Quiet, launched, served
from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

ROOT = Path(__file__).parents[2]
PYODIDE = ROOT / "lite" / "node_modules" / "pyodide"
LOCK = json.loads((PYODIDE / "pyodide-lock.json").read_text(encoding="utf-8"))
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
BROUGHT = {"adv_companion", "array_api_compat", "piplite"}  # by the book, and by the edition itself
PACKAGE = [path for path in sorted((ROOT / "adv_companion").glob("*.py")) if path.stem != "pytorch"]  # no page here needs it


def provided():
    """Every module that can be imported: of Pyodide's packages, and of Python itself."""
    modules = {name for package in LOCK["packages"].values() for name in package["imports"]}
    return modules | set(sys.stdlib_module_names) | BROUGHT


def imports(source):
    """The modules that some code imports, by their first name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.partition(".")[0])
    return found


def code(path):
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_the_release_looked_at_is_the_one_that_the_kernel_starts():
    assert json.loads((PYODIDE / "package.json").read_text(encoding="utf-8"))["version"] == PYODIDE_VERSION


@pytest.mark.parametrize("path", [*CHAPTERS, *PACKAGE], ids=lambda path: path.name)
def test_every_import_is_provided(path):
    optional = {"torch"} if path.suffix == ".py" else set()  # asked for only where a tensor has come in
    assert imports(code(path)) <= provided() | optional


def test_an_import_that_nobody_provides_is_found():
    assert not imports("import math\nfrom torch.nn import functional") <= provided()
    assert imports("import a.b, c\nfrom d.e import f\nfrom . import g") == {"a", "c", "d"}


class WithModules(Quiet):
    extensions_map = {**Quiet.extensions_map, ".mjs": "text/javascript", ".wasm": "application/wasm"}


def bring_pyodide(folder):
    """Pyodide's runtime, and from PyPI the pure packages that a kernel starts with; the list names their hashes."""
    shutil.copytree(PYODIDE, folder, ignore=shutil.ignore_patterns("*.map", "*.html", "*.d.ts"))
    lock, wanted, seen = json.loads(json.dumps(LOCK)), ["micropip", "ipython", "packaging"], set()
    names = {name.replace("_", "-"): name for name in lock["packages"]}
    while wanted:
        name = names[wanted.pop().replace("_", "-")]
        if name not in seen:
            seen.add(name)
            wanted += lock["packages"][name]["depends"]
    pins = [f"{lock['packages'][name]['name']}=={lock['packages'][name]['version']}" for name in seen]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version=3.14"]
    subprocess.run([*command, f"--dest={folder}", *pins], check=True)
    for name in seen:
        package = lock["packages"][name]
        package["sha256"] = hashlib.sha256((folder / package["file_name"]).read_bytes()).hexdigest()
    (folder / "pyodide-lock.json").write_text(json.dumps(lock), encoding="utf-8")


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    """The address of an edition built as `make lite` builds it, with Pyodide beside it and a console to type into."""
    folder = tmp_path_factory.mktemp("lite")
    bring_pyodide(folder / "static" / "pyodide")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, f"--wheel-dir={folder}", str(ROOT)], check=True)
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # what setuptools leaves
    pure = ["array-api-compat", "comm==0.2.3", "prompt_toolkit", "wcwidth", "jedi", "parso"]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}", *pure], check=True)
    wheels = [f"--piplite-wheels={path.name}" for path in folder.glob("*.whl")]
    command = [Path(sys.executable).with_name("jupyter-lite"), "build", "--lite-dir=.", "--output-dir=out", "--no-sourcemaps"]
    subprocess.run([*command, f"--contents={ROOT / 'chapters'}", *wheels], cwd=folder, check=True, capture_output=True)
    with served(folder / "out", WithModules) as address:
        yield address


@pytest.fixture(scope="module")
def tab():
    with launched() as browser:
        yield browser.new_page()


def test_the_kernel_runs_and_installs_the_package_that_the_book_brings(edition, tab):
    typed = "import piplite\nawait piplite.install('adv-companion', deps=False)\nimport adv_companion, sys\n"
    typed += "await piplite.install('array-api-compat')\nimport array_api_compat\n"
    typed += "print('found', adv_companion.__name__, 6 * 7, sys.platform)"
    tab.goto(f"{edition}repl/index.html?kernel=python&execute=1&code={quote(typed)}")
    tab.get_by_text("found adv_companion 42 emscripten").last.wait_for(timeout=120_000)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_a_notebook_opens(path, edition, tab):
    tab.goto(f"{edition}lab/index.html?path={path.name}")
    title = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][1]["source"]).splitlines()[0].removeprefix("# ")
    tab.locator(".jp-Notebook h1", has_text=title.split(":")[0]).first.wait_for(timeout=60_000)
    tab.locator(".jp-Notebook .jp-CodeCell").nth(1).wait_for(state="attached", timeout=60_000)  # cells come as one scrolls
