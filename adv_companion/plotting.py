"""How the pages look: one style, colours that a colour-blind reader can tell apart, sliders, and listings of the package.

The only module that imports matplotlib; nothing else in the package imports this one.
"""

import ast
import html
import inspect
import io
import re
import textwrap
from urllib.parse import quote

import matplotlib.pyplot as plt

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#B53A8C", "#5F6368"
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


class Slider:
    """A figure with a frame for each position of a slider: every frame is drawn beforehand, so no server is needed.

    ``label`` names what moves. ``positions`` maps the words for each position, in their order, to a value.
    ``draw(value)`` returns a figure and a sentence that says what it shows, with its numbers; the figures must agree
    in size and limits, lest the picture jump. ``start`` is the words of the position shown first.

    In a page it is a picture, a slider and the sentence, for keyboard and screen reader too; as text it is all the
    sentences. Raises ValueError if there are fewer than two positions, or if ``start`` is none of them.
    """

    def __init__(self, label, positions, draw, start):
        if len(positions) < 2:
            raise ValueError(f"positions must be at least two, got {len(positions)}")
        if start not in positions:
            raise ValueError(f"start must be one of the positions, got {start!r}")
        self.label, self.start, self.frames = label, list(positions).index(start), []
        for words, value in positions.items():
            figure, sentence = draw(value)
            self.frames.append((words, sentence, _light_svg(figure)))
            plt.close(figure)

    def __repr__(self):
        return "\n".join(f"{self.label} = {words}: {sentence}" for words, sentence, _ in self.frames)

    def _repr_html_(self):
        pictures, sentences = [], []
        for k, (words, sentence, svg) in enumerate(self.frames):
            said, hidden = html.escape(sentence), "" if k == self.start else " hidden"
            source = "data:image/svg+xml," + quote(svg, safe=" '()*,/:;=@$!+-")
            pictures.append(f'<img src="{source}" alt="{said}" data-value="{html.escape(words)}"{hidden}>')
            sentences.append(f"<li>{html.escape(words)}: {said}</li>")
        words, sentence, _ = self.frames[self.start]
        return SLIDER.format(
            label=html.escape(self.label),
            last=len(self.frames) - 1,
            start=self.start,
            words=html.escape(words),
            sentence=html.escape(sentence),
            move=html.escape(SLIDER_MOVE),
            pictures="\n".join(pictures),
            sentences="\n".join(sentences),
        )


SLIDER = """<div class="slider">
{pictures}
<div><label>{label} <input type="range" min="0" max="{last}" value="{start}" aria-valuetext="{words}" oninput="{move}"></label>
<output>{words}: {sentence}</output></div>
<details><summary>Every position in words</summary><ul>
{sentences}
</ul></details>
</div>"""
# In the element itself: a notebook keeps it, and no page has to load it.
SLIDER_MOVE = (
    "const s = this.closest('.slider'); s.querySelectorAll('img').forEach((f, k) => { f.hidden = k != this.value; "
    "if (!f.hidden) { this.setAttribute('aria-valuetext', f.dataset.value); s.querySelector('output').textContent = `${f.dataset.value}: ${f.alt}` } })"
)


def _light_svg(figure):
    """The figure as SVG, light, and the same on every processor: coordinates to a tenth of a point, short names."""
    file = io.StringIO()
    with plt.rc_context({"svg.hashsalt": "adv"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    svg = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", "", file.getvalue(), flags=re.DOTALL)
    names = dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))
    used = {name: f"n{k}" for k, name in enumerate(n for n in names if f"#{n}" in svg)}
    svg = re.sub(r'\s+id="([^"]+)"', lambda m: f' id="{used[m[1]]}"' if m[1] in used else "", svg)
    svg = re.sub(r"#([^\s\")]+)(?=[\")])", lambda m: "#" + used.get(m[1], m[1]), svg)
    svg = re.sub(r'\b(?:d|x|y)="[^"]+"|translate\([^)]+\)', lambda m: re.sub(r"-?\d+\.\d+", _tenth, m[0]), svg)
    return re.sub(r"\s+", " ", svg).replace("> <", "><").replace('"', "'").strip()


def _tenth(match):
    return f"{float(match[0]):.1f}".replace("-0.0", "0.0").removesuffix(".0")
