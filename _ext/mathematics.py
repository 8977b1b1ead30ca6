"""Set every formula when the book is built, so that a page shows it at once, without a script and without a network.

MathJax does it, in the JavaScript engine of a locked package; its code comes from another, which keeps both out of this
repository. A page carries what a browser's MathJax would have written there, with the hidden MathML that a screen reader
reads; the book carries the style sheet and the fonts.
"""

import html
import re
import shutil
from functools import cache, partial
from importlib.metadata import files
from pathlib import Path

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.ext.mathjax import html_visit_displaymath, html_visit_math
from sphinx.util import logging

PACKAGE = "sphinx-mathjax-offline"
PARTS = ("startup", "core", "adaptors/liteDOM", "input/tex", "output/chtml", "output/chtml/fonts/tex", "a11y/assistive-mml")
FONTS = "output/chtml/fonts/woff-v2"
# em and ex in the ratio of MathJax's own font: our style sheet makes that ex the ex of the words around a formula.
SET_UP = f"""
globalThis.global = globalThis;
globalThis.MathJax = {{
    loader: {{load: [], ready: () => {{}}}},
    startup: {{adaptor: "liteDOM", ready: () => {{}}}},
    options: {{enableAssistiveMml: true}},
    tex: {{packages: ["base", "ams", "newcommand"]}},
    chtml: {{fontURL: "mathjax/{FONTS}", adaptiveCSS: false}},
}};"""
FUNCTIONS = """
MathJax.startup.defaultReady();
const typeset = (tex, display) =>
    MathJax.startup.adaptor.outerHTML(MathJax.tex2chtml(tex, {display, em: 1000, ex: 442, containerWidth: 1e6}));
const sheet = () => MathJax.startup.adaptor.textContent(MathJax.chtmlStylesheet());"""
FORMULA = re.compile(r"\\\((?P<inline>.*?)\\\)|\\\[(?P<display>.*?)\\\]", re.DOTALL)

logger = logging.getLogger(__name__)


def mathjax():
    """The folder that holds MathJax. The package's own folder has hyphens in its name and so cannot be imported."""
    return Path(next(f for f in files(PACKAGE) if f.match("static/mathjax/startup.js")).locate()).parent


@cache
def engine():
    """A JavaScript engine with MathJax in it."""
    context, folder = MiniRacer(), mathjax()
    context.eval(SET_UP)
    for part in PARTS:
        context.eval((folder / f"{part}.js").read_text(encoding="utf-8"))
    context.eval(FUNCTIONS)
    return context


@cache
def typeset(tex, display):
    """The HTML of a formula given in TeX."""
    return engine().call("typeset", tex, display)


def visit(of_sphinx, translator, node):
    """What Sphinx writes for a formula, its number included, with the TeX in it set."""
    start = len(translator.body)
    try:
        of_sphinx(translator, node)
    except nodes.SkipNode:
        written = "".join(translator.body[start:])
        translator.body[start:] = [FORMULA.sub(lambda match: _set(match, node), written)]
        raise


def _set(match, node):
    markup = typeset(html.unescape(match[match.lastgroup]), match.lastgroup == "display")
    if "data-mjx-error" in markup:
        logger.warning("TeX that MathJax does not understand: %s", match[0], location=node)
    return markup


def write_style(app):
    if app.builder.format == "html":
        folder = Path(app.outdir, "_static", "mathjax")
        shutil.copytree(mathjax() / FONTS, folder / FONTS, dirs_exist_ok=True)
        Path(app.outdir, "_static", "mathjax.css").write_text(engine().eval("sheet()"), encoding="utf-8")


def setup(app):
    app.add_html_math_renderer("set", (partial(visit, html_visit_math), None), (partial(visit, html_visit_displaymath), None))
    app.config.html_math_renderer = "set"
    app.add_css_file("mathjax.css")
    app.connect("builder-inited", write_style)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
