"""Each check of a page finds the fault that it is there for."""

import checks
import pytest
from chromium import served

GOOD = """<!DOCTYPE html><html lang="en"><head><title>A page</title><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"></head><body><main><h1>A page</h1>{}</main></body></html>"""
FAULTS = {
    "a script that fails": ("<script>nothing.at.all</script>", "script: "),
    "an error in the console": ("<script>console.error('broken')</script>", "console: broken"),
    "a picture that is not there": ('<img src="gone.png" alt="gone">', "image missing"),
    "a file that is not there": ('<script src="gone.js"></script>', "404: "),
    "a request to another host": ('<img src="http://192.0.2.1/a.png" alt="a">', "other host"),
    "a picture without words": ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">', "axe image-alt"),
    "grey on grey": ('<p style="color:#999;background:#888">words</p>', "axe color-contrast"),
    "a page too wide": ('<div style="width:3000px">wide</div>', "scrolls sideways"),
    "a formula not set": (r'<p class="math">\(x\)</p>', "unresolved"),
    "a formula cut off": ('<p class="math" style="width:9px;overflow:hidden"><svg width="99" height="9"></svg></p>', "formula cut off"),
    "a reference to no equation": ('<p><a href="#a">Equation (??)</a><span id="a">a</span></p>', "unresolved"),
}


def faults_of(body, browser, folder):
    (folder / "page.html").write_text(GOOD.format(body), encoding="utf-8")
    with served(folder) as address:
        tab = browser.new_page()
        faults = checks.watch(tab, address)
        tab.goto(address + "page.html", wait_until="domcontentloaded")
        tab.wait_for_timeout(200)
        faults += checks.page_faults(tab) + checks.barriers(tab)
        tab.close()
        return faults


def test_a_good_page_has_no_fault(browser, tmp_path):
    assert faults_of("<p>Words.</p>", browser, tmp_path) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name, browser, tmp_path):
    body, wanted = FAULTS[name]
    assert any(wanted in fault for fault in faults_of(body, browser, tmp_path)), name


def test_links_that_lead_nowhere_are_found():
    pages = {
        "a.html": '<a href="b.html#here">x</a><a href="b.html#gone">x</a><a href="c.html">x</a><p id="top"></p>',
        "b.html": '<p id="here"></p><a href="a.html#top">x</a><a href="http://elsewhere">x</a><a href="#here">x</a>',
    }
    assert list(checks.link_faults(pages)) == ["a.html: no #gone in b.html", "a.html: no file c.html"]
