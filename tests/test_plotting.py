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
