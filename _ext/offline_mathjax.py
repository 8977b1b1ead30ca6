"""Let the book carry its own MathJax, so that a page shows its equations without a network.

MathJax comes at build time from a locked package, which keeps third-party code out of this repository.
Only what a page can ask for is copied: the script, its fonts, and the TeX extensions it loads on first use.
"""

import shutil
from importlib.metadata import files
from pathlib import Path

PACKAGE = "sphinx-mathjax-offline"
SCRIPT = "tex-chtml.js"
FOLDERS = ("output/chtml/fonts/woff-v2", "input/tex/extensions")


def copy_mathjax(app, error):
    if error:
        return
    # The package's folder has hyphens in its name and so cannot be imported.
    script = next(f for f in files(PACKAGE) if f.match(f"static/mathjax/{SCRIPT}"))
    source = Path(script.locate()).parent
    target = Path(app.outdir, "_static", "mathjax")
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / SCRIPT, target)
    for folder in FOLDERS:
        shutil.copytree(source / folder, target / folder, dirs_exist_ok=True)


def setup(app):
    app.config.mathjax_path = f"mathjax/{SCRIPT}"
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
