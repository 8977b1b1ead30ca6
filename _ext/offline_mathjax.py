"""Let the book carry its own MathJax, so that a page shows its equations without a network.

MathJax comes at build time from a locked package, which keeps third-party code out of this repository. Only the parts that
a page loads are copied: no menu, no speech rules, but the hidden MathML that a screen reader reads.
"""

import shutil
from importlib.metadata import files
from pathlib import Path

PACKAGE = "sphinx-mathjax-offline"
LOAD = ["input/tex", "output/chtml", "a11y/assistive-mml"]
FOLDERS = ("output/chtml/fonts/woff-v2",)
PARTS = ("startup.js", "core.js", "output/chtml/fonts/tex.js", *(f"{part}.js" for part in LOAD))


def copy_mathjax(app, error):
    if error:
        return
    # The package's folder has hyphens in its name and so cannot be imported.
    script = next(f for f in files(PACKAGE) if f.match(f"static/mathjax/{PARTS[0]}"))
    source = Path(script.locate()).parent
    target = Path(app.outdir, "_static", "mathjax")
    for part in PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / part, target / part)
    for folder in FOLDERS:
        shutil.copytree(source / folder, target / folder, dirs_exist_ok=True)


def load_parts(app, config):
    config.mathjax3_config = {**(config.mathjax3_config or {}), "loader": {"load": LOAD}}


def setup(app):
    app.config.mathjax_path = f"mathjax/{PARTS[0]}"
    app.connect("config-inited", load_parts)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
