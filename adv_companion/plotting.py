"""How the pages look: one style, colours that a colour-blind reader can tell apart, and listings of the package.

The only module that imports matplotlib; nothing else in the package imports this one.
"""

import ast
import inspect
import textwrap

import matplotlib.pyplot as plt

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#5F6368"
CLASS_COLOURS = (ORANGE, BLUE)
CLASS_MARKERS = ("o", "^")  # the marker tells the classes apart where the colour does not


def use_style():
    """Set matplotlib's defaults for every figure of the book."""
    plt.rcParams.update(
        {
            "figure.figsize": (8, 3.6),
            "figure.dpi": 120,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, PURPLE, GREY]),
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "lines.linewidth": 1.8,
        }
    )


def scatter_classes(axes, x, y):
    """Scatter points ``x`` (n, 2) on ``axes``, each class 0/1 of ``y`` (n,) in its own colour and marker."""
    for label in (0, 1):
        axes.scatter(
            *x[y == label].T,
            s=22,
            color=CLASS_COLOURS[label],
            marker=CLASS_MARKERS[label],
            alpha=0.75,
            linewidths=0,
            label=f"class {label}",
        )


class Listing:
    """The source of a function or class without its docstrings, as a page shows it: coloured where it can be.

    Its plain text is recorded beside the coloured one, so that a page whose listing is out of date fails the tests.
    """

    def __init__(self, thing):
        source = textwrap.dedent(inspect.getsource(thing))
        self.source = _without_docstrings(source).strip()

    def __repr__(self):
        return self.source

    def _repr_markdown_(self):
        return f"```python\n{self.source}\n```"


def _without_docstrings(source):
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            doc = node.body[0]
            lines[doc.lineno - 1 : doc.end_lineno] = [None] * (doc.end_lineno - doc.lineno + 1)
    return "\n".join(line for line in lines if line is not None)
