"""Every page in a real browser: `make test-pages` once each, `make test-browser` in every view and with axe."""

import re

import checks
import pytest
from bs4 import BeautifulSoup
from conftest import BOOK, PAGES, SHOTS


@pytest.mark.parametrize("address", PAGES)
def test_page(address, view, site, browser, request):
    scheme, width = view
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    try:
        tab = context.new_page()
        faults = checks.watch(tab, site)
        tab.goto(site + address)
        faults += checks.page_faults(tab)
        if request.config.getoption("--matrix"):
            # Its twenty thousand coloured words would take half a minute; listings are looked at on all other pages.
            faults += checks.barriers(tab, ".highlight pre" if address == "claim_tests.html" else None)
            SHOTS.mkdir(parents=True, exist_ok=True)
            name = address.removesuffix(".html").replace("/", "-")
            tab.screenshot(path=SHOTS / f"{name}-{scheme}-{width}.png", full_page=True)
    finally:
        context.close()
    assert not faults, "\n".join(faults)


def test_internal_links_resolve():
    assert len(PAGES) > 25
    pages = {address: (BOOK / address).read_text(encoding="utf-8") for address in PAGES}
    faults = [f for f in checks.link_faults(pages) if "no file" not in f or not (BOOK / f.split("no file ")[1]).is_file()]
    assert not faults, "\n".join(faults)


def test_every_table_has_its_number_and_every_mention_of_an_equation_leads_to_it():
    mention = re.compile(r"\b(Eq\.|Equation) 62\.\d")
    for address in PAGES:
        page = BeautifulSoup((BOOK / address).read_text(encoding="utf-8"), "html.parser")
        if address.startswith("chapters/"):
            tables = page.select("main table:not(.cell_output table)")
            assert tables and all(re.match(r"Table \d+\.\d", table.caption.get_text()) for table in tables), address
        for output in page.select("main .cell_output, main pre, main h1, main h2, main h3, main a"):
            output.decompose()
        assert not page.main.find_all(string=mention), address


def test_every_page_says_what_it_is_about():
    said = {}
    for address in PAGES:
        page = BeautifulSoup((BOOK / address).read_text(encoding="utf-8"), "html.parser")
        text = page.find("meta", attrs={"name": "description"})["content"]
        assert 30 <= len(text) <= 160, f"{address}: {text}"
        assert text not in said, f"{address} says the same as {said[text]}"
        said[text] = address
        assert page.find("meta", property="og:title")["content"] and page.find("link", rel="icon"), address
