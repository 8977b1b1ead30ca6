"""Numbers that lead somewhere: each table of a chapter page gets a caption and one, and "Eq. 62.1" leads to the equation.

A caption stands in an HTML comment above its table, which no other reader of the notebook shows:
``<!-- table balls: The nearest point of two balls. -->``. So {numref}`tab-balls` works on any page. The table of claims at
the end of a page needs no comment.
"""

import re

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from terms import inside

CAPTION = re.compile(r"<!--\s*table (?P<name>[\w-]+): (?P<text>.*?)\s*-->", re.DOTALL)
CLAIMS = "The chapter's claims, and what was measured."
TAG = re.compile(r"\\tag\{(62\.\d)\}")
MENTION = re.compile(r"\b(?:Eq\.|Equation)[ \N{NO-BREAK SPACE}](62\.\d)\b")
CLOSED = (nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.title)
logger = logging.getLogger(__name__)


class Captions(SphinxTransform):
    """Tables get their captions before Sphinx counts what can be referred to."""

    default_priority = 500

    def apply(self, **options):
        if not self.env.docname.startswith("chapters/"):
            return
        for table in self.document.findall(nodes.table):
            above = table.parent[table.parent.index(table) - 1]
            found = CAPTION.search(above.astext()) if isinstance(above, nodes.raw) else None
            if found:
                name, text = f"tab-{found['name']}", found["text"]
                above.parent.remove(above)
            elif table.next_node(nodes.entry).astext().startswith("claim of the chapter"):
                name, text = f"tab-claims-{self.env.docname.partition('/')[2][:2]}", CLAIMS
            else:
                logger.warning("a table without a caption", location=table)
                continue
            table.insert(0, nodes.title("", *self.parsed(text)))
            table["names"].append(name)
            self.document.note_explicit_target(table)

    def parsed(self, text):
        """Formulas between dollars, the rest as it is."""
        parts = re.split(r"\$([^$]+)\$", text)
        return [nodes.math("", part) if k % 2 else nodes.Text(part) for k, part in enumerate(parts)]


def note_equations(app, doctree):
    """Give the chapter's own equations an address, where they stand."""
    places = app.env.__dict__.setdefault("chapter_equations", {})
    for block in doctree.findall(nodes.math_block):
        found = TAG.search(block.astext())
        if found:
            block["ids"].append("equation-" + found[1].replace(".", "-"))
            places[found[1]] = app.env.docname, block["ids"][-1]


def link_equations(app, doctree, docname):
    places = app.env.chapter_equations
    for text in list(doctree.findall(nodes.Text)):
        if MENTION.search(text) and not inside(text, CLOSED):
            text.parent.replace(text, linked(text, places, lambda page: app.builder.get_relative_uri(docname, page)))


def linked(text, places, address):
    """The nodes in place of a text: each mention of an equation leads to it."""
    parts, end = [], 0
    for match in MENTION.finditer(text):
        if match[1] not in places:
            logger.warning(f"there is no equation {match[1]}", location=text.parent)
            continue
        page, anchor = places[match[1]]
        parts.append(nodes.Text(text[end : match.start()]))
        parts.append(nodes.reference("", match[0], refuri=f"{address(page)}#{anchor}", internal=True))
        end = match.end()
    return [*parts, nodes.Text(text[end:])]


def setup(app):
    app.add_transform(Captions)
    app.connect("doctree-read", note_equations)
    app.connect("doctree-resolved", link_equations)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
