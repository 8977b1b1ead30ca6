"""A link to a paper shows the paper's entry in the references, on hover and from the keyboard, without a script."""

import copy

from bs4 import BeautifulSoup


def references(page):
    """{address of the paper: its entry} of the references page."""
    found = {}
    for entry in page.select("div.citation[id]"):
        for link in entry.select("a.external"):
            found[link["href"]] = entry
    return found


def explain(page, entries, address):
    """Beside each link of ``page`` to a paper put its entry, with a link to it on the references page at ``address``."""
    blank = BeautifulSoup("", "html.parser")
    for k, link in enumerate(page.select("article a.external, main a.external")):
        entry = entries.get(link.get("href"))
        if entry is None or link.find_parent(class_="citation") or link.find_parent(class_="cite"):
            continue
        box, note = blank.new_tag("span", **{"class": "cite"}), blank.new_tag("span", role="tooltip", id=f"cite-{k}")
        for part in copy.copy(entry.find("p")).contents[:]:
            note.append(part)
        note.append(" ")
        more = blank.new_tag("a", href=f"{address}#{entry['id']}")
        more.string = "In the references"
        note.append(more)
        link["aria-describedby"] = note["id"]
        link.wrap(box)
        box.append(note)
