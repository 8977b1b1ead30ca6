"""Links between the glossary and the pages: a term's first use on a page leads to its entry, and the entry to the pages."""

import re

from docutils import nodes

GLOSSARY = "glossary"
# Where a link would be noise, or is one already.
CLOSED = (nodes.reference, nodes.literal, nodes.math, nodes.title, nodes.caption, nodes.term, nodes.table)


def entries(doctree):
    """{term: id} of the glossary."""
    return {term.astext(): term["ids"][0] for term in doctree.findall(nodes.term) if term["ids"]}


def first_uses(doctree, terms):
    """[(text node, match, term)], the first use of each term in a page's prose, in order; the longest term wins."""
    by_name = {term.lower(): term for term in terms}
    names = sorted(map(re.escape, by_name), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])({'|'.join(names)})(?![\w-])", re.IGNORECASE)
    found, seen = [], set()
    for paragraph in doctree.findall(nodes.paragraph):
        for text in paragraph.findall(nodes.Text):
            if inside(text, CLOSED):
                continue
            for match in pattern.finditer(text.astext()):
                term = by_name[match[1].lower()]
                if term not in seen:
                    seen.add(term)
                    found.append((text, match, term))
    return found


def inside(node, kinds):
    """Whether a node stands inside one of these kinds."""
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False


def link(uses, terms, glossary):
    """Put a link around each use."""
    by_text = {}
    for text, match, term in uses:
        by_text.setdefault(id(text), (text, []))[1].append((match, term))
    for text, matches in by_text.values():
        parts, end = [], 0
        for match, term in matches:
            address = f"{glossary}#{terms[term]}"
            parts += [nodes.Text(text.astext()[end : match.start()])]
            parts += [nodes.reference("", match[1], refuri=address, internal=True, classes=["term"])]
            end = match.end()
        text.parent.replace(text, [*parts, nodes.Text(text.astext()[end:])])


def add_links(app, doctree, docname):
    if GLOSSARY not in app.env.found_docs:
        return
    pages = sorted(name for name in app.env.found_docs if name.startswith("chapters/"))
    terms = entries(app.env.get_doctree(GLOSSARY))
    if docname in pages:
        link(first_uses(doctree, terms), terms, app.builder.get_relative_uri(docname, GLOSSARY))
    elif docname == GLOSSARY:
        used = {page: {term for _, _, term in first_uses(app.env.get_doctree(page), terms)} for page in pages}
        for term in doctree.findall(nodes.term):
            where = [page for page in pages if term.astext() in used[page]]
            if where:
                term.parent[-1].append(_pages(app, docname, where))


def _pages(app, docname, where):
    line = nodes.paragraph("", "On page ", classes=["used-on"])
    for k, page in enumerate(where):
        number = page.partition("/")[2][:2].lstrip("0")
        line += [nodes.Text(", ")] * (k > 0)
        address, title = app.builder.get_relative_uri(docname, page), app.env.titles[page].astext()
        line += nodes.reference("", number, refuri=address, internal=True, reftitle=title)
    return line


def setup(app):
    app.connect("doctree-resolved", add_links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
