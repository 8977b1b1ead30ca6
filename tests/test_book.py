"""What the build adds to a page: strips, terms, citations, descriptions, the API page, and a style sheet without ballast."""

import importlib
import inspect
import io
import re
from pathlib import Path
from types import SimpleNamespace

import api_pages
import citations
import descriptions
import light_mends
import light_styles
import mathematics
import numbering
import pytest
import terms
import whereabouts
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.core import publish_doctree
from fontTools import ttLib
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).parents[1]
MODULES = sorted(p.stem for p in (ROOT / "adv_companion").glob("*.py") if not p.stem.startswith("_"))


def page(text):
    return BeautifulSoup(text, "html.parser")


# numbers
def test_a_mention_of_an_equation_leads_to_it():
    places = {"62.1": ("chapters/a", "equation-62-1")}
    text = "By Eq. 62.1, and Equation 62.1 of 62.1."
    parts = numbering.linked(nodes.Text(text), places, lambda page: f"../{page}.html")
    assert "".join(part.astext() for part in parts) == text
    links = [part for part in parts if isinstance(part, nodes.reference)]
    assert [link.astext() for link in links] == ["Eq. 62.1", "Equation 62.1"]
    assert {link["refuri"] for link in links} == {"../chapters/a.html#equation-62-1"}


# where a page stands
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Section 62.1.2 of the chapter: PGD, which section 62.7 comes back to.", "62.1.2"),
        ("Sections 62.2 and 62.2.1 of the chapter.", "62.2 and 62.2.1"),
        ("This is section 62, 62.1 and more", "62, 62.1"),
        ("No section at all, version 62.1", None),
    ],
)
def test_the_sections_a_page_treats(text, wanted):
    assert whereabouts.sections(publish_doctree(text)) == wanted


def test_the_strip_marks_the_present_page_and_links_the_others():
    chapters, titles = [("a", "62"), ("b", None)], {"a": "First & best", "b": "Second"}
    html = page(whereabouts.strip(chapters, titles, "a", lambda name: f"{name}.html", ("its exercises", "x.html")))
    links = html.select("li a")
    assert [(link["href"], link["title"], link.get("aria-current")) for link in links] == [
        ("a.html", "First & best", "page"),
        ("b.html", "Second", None),
    ]
    assert "Page 1 of 2, section 62 of the chapter" in html.p.get_text() and html.p.a["href"] == "x.html"


def test_every_chapter_page_names_its_section():
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        assert whereabouts.SECTION.search(path.read_text(encoding="utf-8")), path.name


# terms
def test_only_the_first_use_in_prose_is_linked_and_the_longest_term_wins():
    doctree = publish_doctree(
        "Robust training here\n====================\n\n``robust`` *robust accuracy* and Robust, robust; robustness and non-robust.\n"
    )
    found = terms.first_uses(doctree, {"robust": "t1", "robust accuracy": "t2", "absent": "t3"})
    assert [(match[1], term) for _, match, term in found] == [("robust accuracy", "robust accuracy"), ("Robust", "robust")]
    terms.link(found, {"robust": "t1", "robust accuracy": "t2"}, "glossary.html")
    assert [r["refuri"] for r in doctree.findall(nodes.reference)] == ["glossary.html#t2", "glossary.html#t1"]
    assert doctree.findall(nodes.paragraph).__next__().astext().endswith("and Robust, robust; robustness and non-robust.")


# citations
def test_a_link_to_a_paper_gets_its_entry_and_other_links_none():
    entries = citations.references(
        page('<div class="citation" id="id7"><p>A. Author. <em>Title</em>. <a class="external" href="http://p/1">x</a></p></div>')
    )
    text = page('<main><a class="external" href="http://p/1">Title</a> <a class="external" href="http://p/2">other</a></main>')
    citations.explain(text, entries, "../references.html")
    (note,) = text.select("[role=tooltip]")
    assert "A. Author. Title." in note.get_text() and note.select("a")[-1]["href"] == "../references.html#id7"
    assert text.a["aria-describedby"] == note["id"] and "other" not in str(text.select(".cite"))


# descriptions
def test_a_description_is_the_idea_or_the_first_prose_in_whole_words():
    idea = "Title\n=====\n\nFirst words.\n\nThe idea in words\n-----------------\n\nThe idea is " + "long " * 60
    text = descriptions.description(publish_doctree(idea, settings_overrides={"doctitle_xform": False}))
    assert text.startswith("The idea is long") and text.endswith("long …") and len(text) <= descriptions.MOST + 2
    assert descriptions.description(publish_doctree("Title\n=====\n\nOnly this.")) == "Only this."
    assert descriptions.description(publish_doctree("")) is None


# the package's page
def test_every_module_is_on_the_page():
    text = (ROOT / "api.md").read_text(encoding="utf-8")
    assert [module for module in MODULES if f"automodule:: adv_companion.{module}\n" not in text] == []


@pytest.mark.parametrize("module", [module for module in MODULES if module != "pytorch"])
def test_every_public_name_has_a_docstring(module):
    loaded = importlib.import_module(f"adv_companion.{module}")
    for name, value in vars(loaded).items():
        if name.startswith("_") or getattr(value, "__module__", None) != loaded.__name__:
            continue
        members = {name: value}
        if inspect.isclass(value):
            members |= {f"{name}.{k}": v for k, v in vars(value).items() if not k.startswith("_") and (callable(v) or isinstance(v, property))}
        for member, found in members.items():
            assert inspect.getdoc(found), f"{module}.{member} has no docstring"


def test_what_a_page_takes_from_the_package():
    taken = api_pages.uses()["03_pgd"]
    assert {"attacks.pgd", "norms.project", "plotting.Listing"} <= taken
    assert "gan.train_gan" not in taken and "danskin.moving_point_term" in api_pages.uses()["04_danskin"]


def test_a_docstring_keeps_its_code_and_loses_what_rst_would_read():
    assert api_pages.plain("||g||_q of lambda_, ``||a_||`` and *so*\n  (i) first") == (
        r"\|\|g\|\|_q of lambda\_, ``||a_||`` and *so*" + "\n  \\(i) first"
    )


# the style sheet
def test_a_rule_is_kept_if_each_of_its_classes_and_ids_is_known():
    css = """@charset "utf-8"; /* words */ .a .b, .c { color: red } #d.e > p:not(.gone) { margin: 0 } p { top: 0 }
    .\\31 a { left: 0 } @media print { .a { x: y } .gone { z: w } } @media screen { .gone { z: w } } :is(.gone, p) em { q: r }"""
    kept = light_styles.joined({"styles/x.css": css}, {"a", "b", "d", "e"})
    for wanted in (".a .b{color: red}", "#d.e > p:not(.gone)", "p{top: 0}", "@media print {.a{x: y}}", ":is(.gone, p) em"):
        assert wanted in kept
    assert ".c" not in kept and "words" not in kept and "screen" not in kept and "charset" not in kept and "z: w" not in kept


def test_addresses_in_a_sheet_hold_from_the_folder_of_the_joined_one():
    css = "p{a:url(../x/y.png);b:url('z.svg');c:url(data:abc);d:url(#e)}"
    kept = light_styles.joined({"styles/deep/s.css": css}, set())
    for wanted in ("styles/x/y.png", "styles/deep/z.svg", "data:abc", "#e"):
        assert f"url({wanted})" in kept


def test_the_icon_font_holds_the_icons_in_use_and_no_others():
    import pydata_sphinx_theme

    data = next(Path(pydata_sphinx_theme.__file__).parent.rglob("fa-solid-900.ttf")).read_bytes()
    characters = light_styles.icons('.a:before{content:"\uf185"} .b{content:"x"}')
    assert characters == {0xF185}
    small = light_styles.icon_font(data, characters)
    assert set(ttLib.TTFont(io.BytesIO(small)).getBestCmap()) == characters and len(small) < 3000 < len(data)


def test_faces_of_fonts_without_icons_leave_the_sheet():
    css = '@font-face{font-family:"Font Awesome 6 Free";src:url(fa-solid-900.woff2),url(b)}@font-face{font-family:"Font Awesome 6 Brands";src:url(c)}'
    assert light_styles.without_unused_fonts(css, {1}).count("@font-face") == 1
    assert re.search(r"src:url\(icons.woff\)\}$", light_styles.without_unused_fonts(css, {1}))
    assert light_styles.without_unused_fonts(css, set()) == ""


def test_a_formula_keeps_its_bracket_and_its_comma_and_nothing_else():
    page = BeautifulSoup('<p>at (<span class="math">x</span>), <span class="math">y</span> and <span class="math">z</span>.</p>', "html.parser")
    words = page.get_text()
    light_mends.mend(page)
    light_mends.mend(page)  # a page that has been mended stays as it is
    assert [kept.get_text() for kept in page.select(".unbroken")] == ["(x),", "z."]
    assert page.get_text() == words


def test_the_theme_is_known_before_the_page_is_drawn_and_said_once():
    page = BeautifulSoup('<script data-cfasync="false">first;</script>', "html.parser")
    light_mends.mend(page)
    light_mends.mend(page)
    assert page.script.string == f"first;{light_mends.THEME}"


def test_what_carries_the_colour_of_all_text_in_code_needs_no_element_of_its_own():
    highlight = HtmlFormatter(style="a11y-high-contrast-light").get_style_defs(".highlight")
    of_all = re.search(r"^\.highlight \{.*?(color: #\w+)", highlight, re.MULTILINE)[1]
    assert all(f".highlight .{name} {{ {of_all} }}" in highlight for name in light_mends.PLAIN)
    code = page('<div class="highlight"><pre><span></span><span class="k">def</span><span class="w"> </span><span class="n">f</span></pre></div>')
    light_mends.mend(code)
    assert str(code.pre) == '<pre><span class="k">def</span> f</pre>'


def test_a_formula_is_set_with_what_a_screen_reader_reads():
    shown = page(mathematics.typeset(r"\|w\|_1 < \epsilon", True))
    assert shown.find("mjx-math")["aria-hidden"] == "true"
    assert shown.select_one("mjx-assistive-mml math").get_text() == "‖w‖1<ϵ"


@pytest.mark.parametrize("tex", [r"\(\frac{1\)", r"\(\nosuchmacro\)", r"\[x_1_2\]"])
def test_tex_that_cannot_be_set_is_a_warning(tex, monkeypatch):
    warned = []
    monkeypatch.setattr(mathematics.logger, "warning", lambda text, *values, location: warned.append(text % values))
    node, translator = nodes.math(), SimpleNamespace(body=["before"])

    def of_sphinx(translator, node):
        translator.body.append(tex)
        raise nodes.SkipNode

    with pytest.raises(nodes.SkipNode):
        mathematics.visit(of_sphinx, translator, node)
    assert translator.body[0] == "before"
    assert len(warned) == 1 and tex in warned[0]
