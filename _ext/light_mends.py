"""Faults of the theme's pages, mended where they are written: what a screen reader or a reader's eye would stumble on."""

import re

OPENING, CLOSING = re.compile(r"[(\[“]+$"), re.compile(r"^[.,;:!?)\]’”]+")

PLAIN = ("n", "nn", "p", "w")  # names, marks and blanks in code: Pygments gives them the colour of all text
# The theme knows at the page's end only whether "auto" is dark, and then has the whole page drawn again.
THEME = """
    if (document.documentElement.dataset.mode == "auto")
      document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  """


def mend(page):
    for head in page.select("table th"):
        if not head.get_text(strip=True) and not head.find("img"):
            head.name = "td"  # the corner of a table of numbers heads nothing
    for entry in page.select("[role=doc-biblioentry], .citation-list[role=list]"):
        del entry["role"]  # deprecated, and a list without list items
    for logo in page.select(".sidebar-primary-item:has(> .navbar-brand)"):
        logo["role"], logo["aria-label"] = "region", "The book"  # all of a page stands in some landmark
    for plain in page.select(",".join(f".highlight span.{name}" for name in PLAIN) + ",.highlight span:empty"):
        plain.unwrap()  # more than half of a page's elements
    for script in page.select("script[data-cfasync]"):
        script.string = script.string.removesuffix(THEME) + THEME
    for formula in page.select(":not(.unbroken) > span.math"):
        keep_together(page, formula)


def keep_together(page, formula):
    """No line ends between a formula and the bracket before it or the comma after it."""
    before, after = formula.previous_sibling, formula.next_sibling
    opening = OPENING.search(before) if isinstance(before, str) else None
    closing = CLOSING.search(after) if isinstance(after, str) else None
    if not (opening or closing):
        return
    formula.wrap(page.new_tag("span", **{"class": "unbroken"}))
    if opening:
        before.replace_with(before[: opening.start()])
        formula.insert_before(opening[0])
    if closing:
        after.replace_with(after[closing.end() :])
        formula.insert_after(closing[0])
