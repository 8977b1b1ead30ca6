"""Small faults of the theme's pages, mended where they are written: what a screen reader or a keyboard would stumble on."""


def mend(page):
    for head in page.select("table th"):
        if not head.get_text(strip=True) and not head.find(True):
            head.name = "td"  # the corner of a table of numbers heads nothing
