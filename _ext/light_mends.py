"""Faults of the theme's pages, mended where they are written: what a screen reader would stumble on."""


def mend(page):
    for head in page.select("table th"):
        if not head.get_text(strip=True) and not head.find("img"):
            head.name = "td"  # the corner of a table of numbers heads nothing
    for entry in page.select("[role=doc-biblioentry], .citation-list[role=list]"):
        del entry["role"]  # deprecated, and a list without list items
    for logo in page.select(".sidebar-primary-item:has(> .navbar-brand)"):
        logo["role"], logo["aria-label"] = "region", "The book"  # all of a page stands in some landmark
