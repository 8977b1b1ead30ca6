"""The package away from its folder: `make test-wheel` from its own wheel, `make test-lowest` with its oldest companions.

Both make an environment of their own and run the tests of the package there, on a copy that lacks the package.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What tests need that look at the book, at the exercises or at the gate.
LEFT_OUT = {"test_book.py", "test_claims.py", "test_exercises.py", "test_gate.py", "test_hosted.py", "test_notebooks.py",
            "test_report.py"}  # fmt: skip
TOOLS = ["pytest", "pytest-xdist", "pytest-random-order", "hypothesis", "pyyaml", "nbformat", "nbclient", "ipykernel"]


def run(*command, **options):
    print("$", *command, flush=True)
    subprocess.run(list(map(str, command)), check=True, **options)


def built(folder):
    """The wheel made from the sdist, so that both have been built."""
    run(sys.executable, "-m", "pip", "install", "--quiet", "--target", folder / "tools", "build")
    environment = os.environ | {"PYTHONPATH": str(folder / "tools")}
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "source", env=environment,
        stdout=subprocess.DEVNULL)  # fmt: skip
    (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    print(sdist.name, wheel.name)
    return wheel


def environment(folder, kind):
    """A Python with the package and what tests need: locked versions for the wheel, the lowest for the other."""
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", folder / "venv")
    wheel = built(folder)
    if kind == "wheel":
        run(python, "-m", "pip", "install", "--quiet", "-c", versions(folder), f"{wheel}[book,digits]", *TOOLS)
        return python
    run(python, "-m", "pip", "install", "--quiet", "uv==0.13.9")
    wanted = [folder / "source" / "pyproject.toml", "--extra", "book", "--extra", "digits", "--resolution", "lowest-direct"]
    run(python, "-m", "uv", "pip", "compile", "--quiet", *wanted, "-o", folder / "lowest.txt", stdout=subprocess.DEVNULL)
    run(python, "-m", "pip", "install", "--quiet", "-c", folder / "lowest.txt", f"{wheel}[book,digits]", *TOOLS)
    return python


def versions(folder):
    """The lock without its hashes, as constraints."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    path = folder / "constraints.txt"
    path.write_text("\n".join(line.split(" \\")[0] for line in lines if "==" in line and not line.startswith(" ")))
    return path


def main(kind, workers):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        ignored = shutil.ignore_patterns("_build", ".*", "*.egg-info", "__pycache__", "node_modules")
        shutil.copytree(ROOT, folder / "source", ignore=ignored)
        python = environment(folder, kind)
        shutil.rmtree(folder / "source" / "adv_companion")
        for suite in ("grading", "browser", "lite", "peers", "oracles"):
            shutil.rmtree(folder / "source" / "tests" / suite)
        for name in LEFT_OUT:
            (folder / "source" / "tests" / name).unlink()
        where = "import adv_companion, numpy, scipy, joblib; print(adv_companion.__file__, numpy.__version__, scipy.__version__)"
        run(python, "-c", where, cwd=folder / "source")
        # Old libraries warn of what newer ones beside them will no longer do.
        warnings = ["-o", "filterwarnings=default"] if kind == "lowest" else []
        run(python, "-m", "pytest", "tests", "-q", "-n", workers, "-p", "no:cacheprovider", *warnings, cwd=folder / "source")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
