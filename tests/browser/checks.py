"""What can be wrong with a page as a browser shows it, each as a list of sentences: none is good."""

from urllib.parse import urldefrag, urljoin, urlparse

from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from chromium import ALL_IMAGES

BROKEN_IMAGES = "() => [...document.images].filter(i => !i.hidden && !i.naturalWidth).map(i => i.src.slice(0, 80))"
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
# A formula wider than its place, where neither that nor the formula's own box scrolls.
CUT = """() => [...document.querySelectorAll('main .math')].filter(e =>
    ![e, ...e.querySelectorAll('mjx-container')].some(box => ['auto', 'scroll'].includes(getComputedStyle(box).overflowX))
    && [...e.querySelectorAll('svg, mjx-math')].some(m => m.getBoundingClientRect().right > e.getBoundingClientRect().right + 1))
    .map(e => e.textContent.slice(0, 60))"""
# A reference that found nothing shows question marks, a formula that was not set its TeX.
UNRESOLVED = r"""() => [...document.querySelectorAll('main a')].map(e => e.textContent).filter(t => t.includes('??'))
    .concat([...document.querySelectorAll('.math')].map(e => e.textContent).filter(t => /\?\?|\\/.test(t)))"""


def watch(tab, host):
    """A list that fills with what goes wrong while the tab loads pages from ``host``."""
    faults = []
    tab.on("console", lambda message: message.type == "error" and faults.append(f"console: {message.text}"))
    tab.on("pageerror", lambda error: faults.append(f"script: {error}"))
    tab.on("requestfailed", lambda request: faults.append(f"not loaded: {request.url}"))
    tab.on("response", lambda response: response.status >= 400 and faults.append(f"{response.status}: {response.url}"))

    def asked(request):
        if not request.url.startswith((host, "data:", "blob:")):
            faults.append(f"other host: {request.url}")

    tab.on("request", asked)
    return faults


def page_faults(tab):
    """What is wrong with the page that the tab shows."""
    tab.evaluate(ALL_IMAGES)
    faults = [f"image missing: {source}" for source in tab.evaluate(BROKEN_IMAGES)]
    faults += [f"unresolved: {text}" for text in tab.evaluate(UNRESOLVED)]
    faults += [f"formula cut off: {text}" for text in tab.evaluate(CUT)]
    wider = tab.evaluate(WIDER)
    if wider > 0:
        faults.append(f"scrolls sideways by {wider} px")
    return faults


def barriers(tab, without=None):
    """What axe finds that keeps people from the page; it leaves out what the selector ``without`` finds."""
    faults, context = [], {"exclude": [[without]]} if without else None
    only = {"resultTypes": ["violations"]}  # else half of the time goes to describing what is right
    for violation in Axe().run(tab, context=context, options=only).response["violations"]:
        where = "; ".join(node["html"][:120] for node in violation["nodes"][:3])
        faults.append(f"axe {violation['id']} ({len(violation['nodes'])}): {where}")
    return faults


def link_faults(pages):
    """The links between pages, ``{address: html}``, that lead nowhere. Other files are looked up by the caller."""
    soups = {address: BeautifulSoup(html, "html.parser") for address, html in pages.items()}
    anchors = {
        address: {e.get("id") for e in soup.find_all(id=True)} | {e["name"] for e in soup.find_all("a", attrs={"name": True})}
        for address, soup in soups.items()
    }
    for address, soup in soups.items():
        for link in soup.find_all("a", href=True):
            if urlparse(link["href"]).scheme:
                continue
            target, anchor = urldefrag(urljoin(address, link["href"]))
            if target in anchors and anchor and anchor not in anchors[target]:
                yield f"{address}: no #{anchor} in {target}"
            elif target not in anchors:
                yield f"{address}: no file {target}"
