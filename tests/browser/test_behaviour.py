"""What a reader does on a page, done in a real browser."""

import checks
import nbformat
import pytest
from chromium import ALL_IMAGES
from conftest import BOOK, CHAPTERS
from nbclient import NotebookClient

SIZES = """() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
    .reduce((sum, entry) => sum + entry.transferSize, 0)"""
# How many things scroll sideways, and how many of them the keyboard does not reach.
SCROLLING = """() => {
    const wide = [...document.querySelectorAll('main .math, main mjx-container, main pre')].filter(e => e.getClientRects().length
        && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX != 'visible');
    return [wide.length, wide.filter(e => e.tabIndex != 0).length];
}"""
VISIBLE = "e => e.getClientRects().length > 0"


@pytest.mark.parametrize("address", CHAPTERS)
def test_a_slider_moves_by_arrow_keys_and_says_its_value(address, site, tab):
    tab.goto(site + address)
    slider = tab.locator("figure .slider").first
    control, said = slider.locator("input[type=range]"), slider.locator("output")
    control.focus()
    tab.keyboard.press("Home")
    seen = set()
    for k in range(int(control.get_attribute("max")) + 1):
        words, sentence = control.get_attribute("aria-valuetext"), said.text_content()
        shown = [image for image in slider.locator("img").all() if image.evaluate(VISIBLE)]
        assert [image.get_attribute("data-value") for image in shown] == [words]
        assert sentence == f"{words}: {shown[0].get_attribute('alt')}"
        assert control.input_value() == str(k)
        seen.add((words, sentence))
        tab.keyboard.press("ArrowRight")
    assert len(seen) == k + 1 >= 5
    tab.keyboard.press("ArrowLeft")
    assert control.input_value() == str(k - 1)
    assert control.get_attribute("aria-valuetext") != words


@pytest.mark.parametrize("address", CHAPTERS)
def test_a_page_is_light(address, site, tab):
    tab.goto(site + address)
    tab.evaluate(ALL_IMAGES)
    assert 50_000 < tab.evaluate(SIZES) < 700_000


def test_a_search_for_danskin_finds_its_page(site, tab):
    tab.goto(site + "index.html")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("Danskin")
    tab.keyboard.press("Enter")
    tab.locator("#search-results ul.search li").first.wait_for()
    found = tab.locator("#search-results ul.search li a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert any("chapters/04_danskin.html" in link for link in found[:3]), found


def test_a_solution_opens_from_the_keyboard(site, tab):
    tab.goto(site + "exercises/tradeoff/tradeoff.html")
    solution = tab.locator(".solution.dropdown, .admonition.dropdown").first
    text = solution.locator("section p, section li").first
    assert not text.is_visible()
    solution.locator("button").first.focus()
    tab.keyboard.press("Enter")
    text.wait_for(state="visible")


def test_what_scrolls_in_an_opened_solution_can_be_reached(site, tab):
    tab.set_viewport_size({"width": 375, "height": 900})
    tab.goto(site + "exercises/smoothing/smoothing.html")
    tab.wait_for_timeout(500)
    closed, out_of_reach = tab.evaluate(SCROLLING)
    assert out_of_reach == 0
    for button in tab.locator("button.toggle-button").all():
        button.click()
    tab.wait_for_timeout(500)
    opened, out_of_reach = tab.evaluate(SCROLLING)
    assert opened > closed > 0 and out_of_reach == 0


def test_the_download_button_gives_a_notebook_that_runs(site, tab, tmp_path):
    tab.goto(site + "chapters/02_fgsm_holder.html")
    link = tab.locator("a.btn-download-source-button")
    with tab.expect_download() as waiting:
        link.evaluate("a => { a.setAttribute('download', ''); a.removeAttribute('target'); a.click(); }")
    waiting.value.save_as(tmp_path / "page.ipynb")
    notebook = nbformat.read(tmp_path / "page.ipynb", as_version=4)
    assert sum(cell.cell_type == "code" for cell in notebook.cells) > 10
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()


def test_the_theme_can_be_switched_from_the_keyboard(site, tab):
    tab.goto(site + "index.html")
    button, modes = tab.locator("button.theme-switch-button:visible").first, set()
    button.focus()
    for _ in range(3):
        modes.add(tab.evaluate("() => document.documentElement.dataset.mode"))
        tab.keyboard.press("Enter")
        tab.wait_for_function("() => document.activeElement.matches('.theme-switch-button')")
    assert modes == {"auto", "light", "dark"}


def test_no_file_of_the_book_is_left_out_of_reach():
    served = {path.suffix for path in BOOK.rglob("*") if path.is_file() and "lite" not in path.parts}
    assert ".map" not in served
    assert (BOOK / "_static" / "icons.woff").stat().st_size < 20_000
