"""What a slider shows: a frame and a sentence for each position, the same on every processor."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

from adv_companion import plotting

LABEL, POSITIONS = 'step "a" < b', {"small & sure": 0.5, "1.0": 1.0, "2.0": 2.0}


def draw(value, shift=0.0):
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot(np.linspace(0, 1, 50) + shift, value * np.linspace(0, 1, 50) ** 2 + shift, marker="o")
    axes.scatter([0.2, 0.4], [1, 2])
    axes.set(xlabel=r"budget $\epsilon$", ylim=(0, 3))
    return figure, f'height < {value:.1f} & "more"'


class Elements(HTMLParser):
    """The elements of some HTML, each with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for found, attributes in self.found if found == tag]


@pytest.fixture(scope="module")
def slider():
    return plotting.Slider(LABEL, POSITIONS, draw, start="1.0")


def test_a_slider_shows_one_frame_and_says_each(slider):
    elements = Elements(slider._repr_html_())
    images, (control,) = elements.all("img"), elements.all("input")
    assert [image["alt"] for image in images] == [draw(value)[1] for value in POSITIONS.values()]
    assert [image["data-value"] for image in images] == list(POSITIONS)
    assert ["hidden" in image for image in images] == [True, False, True]
    assert (control["type"], control["min"], control["max"], control["value"]) == ("range", "0", "2", "1")
    assert control["aria-valuetext"] == "1.0"
    assert len(elements.all("output")) == 1 and len(elements.all("li")) == 3
    plt.close("all")


def test_each_frame_is_a_whole_picture_of_its_own(slider):
    sources = [image["src"] for image in Elements(slider._repr_html_()).all("img")]
    assert len(set(sources)) == 3
    for source in sources:
        svg = unquote(source.removeprefix("data:image/svg+xml,"))
        root = ElementTree.fromstring(svg)
        ids = [e.get("id") for e in root.iter() if e.get("id")]
        assert len(ids) == len(set(ids))
        used = set(re.findall(r"(?:href='|url\()#([^')]+)", svg))
        assert used and used == set(ids)


def test_a_slider_as_text_is_all_its_sentences(slider):
    assert repr(slider).splitlines() == [f"{LABEL} = {words}: {draw(v)[1]}" for words, v in POSITIONS.items()]
    plt.close("all")


def test_a_difference_of_another_processor_does_not_show():
    first = plotting.Slider(LABEL, POSITIONS, draw, "1.0")._repr_html_()
    assert first == plotting.Slider(LABEL, POSITIONS, lambda v: draw(v, 1e-9), "1.0")._repr_html_()
    assert first != plotting.Slider(LABEL, POSITIONS, lambda v: draw(v, 1e-2), "1.0")._repr_html_()


def test_a_slider_leaves_no_figure_open(slider):
    assert not plt.get_fignums()
    plotting.Slider(LABEL, POSITIONS, draw, "1.0")
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("positions", (LABEL, {}, draw, "1.0")),
        ("positions", (LABEL, {"1.0": 1.0}, draw, "1.0")),
        ("start", (LABEL, POSITIONS, draw, 1.0)),
        ("start", (LABEL, POSITIONS, draw, "3.0")),
    ],
)
def test_a_slider_that_cannot_be_is_refused(name, arguments):
    with pytest.raises(ValueError, match=f"^{name}\\b"):
        plotting.Slider(*arguments)


# What a person sees who lacks one kind of cone: Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
BLIND = {
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "none": np.eye(3),
}
PALETTE = {name: getattr(plotting, name) for name in ("BLUE", "ORANGE", "GREEN", "PURPLE", "GREY")}


def seen(colour, kind):
    """A colour in CIELAB (D65) as that person sees it."""
    rgb = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(BLIND[kind]) @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ linear / to_xyz.sum(axis=1), 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", BLIND)
def test_the_colours_can_be_told_apart(kind):
    names = list(PALETTE)
    for k, first in enumerate(names):
        for second in names[:k]:
            apart = np.linalg.norm(seen(PALETTE[first], kind) - seen(PALETTE[second], kind))
            assert apart > 10, f"{first} and {second}: {apart:.1f}"  # two patches side by side differ plainly from about 5


def test_red_and_green_of_one_lightness_would_be_caught():
    assert np.linalg.norm(seen("#C8502A", "green") - seen("#7F7A1F", "green")) < 10


# Listings, and the style.


def documented(x):
    """Words for the API page."""

    def inner(y):
        """More words."""
        return y  # a remark that stays

    return inner(x)


def test_a_listing_is_the_source_without_its_docstrings():
    listing = plotting.Listing(documented)
    wanted = "def documented(x):\n\n    def inner(y):\n        return y  # a remark that stays\n\n    return inner(x)"
    assert repr(listing) == wanted
    assert listing._repr_markdown_() == f"```python\n{wanted}\n```"


def test_the_classes_differ_in_colour_and_in_marker():
    with plt.rc_context():
        plotting.use_style()
        assert plt.rcParams["figure.dpi"] == 120 and plt.rcParams["axes.prop_cycle"].by_key()["color"][0] == plotting.BLUE
        figure, axes = plt.subplots()
        plotting.scatter_classes(axes, np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), np.array([0, 1, 1]))
        zero, one = axes.collections
        assert zero.get_offsets().tolist() == [[0, 1]] and one.get_offsets().tolist() == [[2, 3], [4, 5]]
        assert (zero.get_facecolor() != one.get_facecolor()).any()
        assert zero.get_paths()[0].vertices.shape != one.get_paths()[0].vertices.shape
        assert [each.get_label() for each in (zero, one)] == ["class 0", "class 1"]
        plt.close(figure)
