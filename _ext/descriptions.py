"""What a search engine or a shared link says of a page: its first words of prose, and the book's title."""

from html import escape

from docutils import nodes

LEAST, MOST = 50, 155


def description(doctree):
    """The first whole words of a page's prose, of its idea if it has one; None where there is no prose."""
    sections = [s for s in doctree.findall(nodes.section) if "the-idea-in-words" in s["ids"]]
    start = sections[0] if sections else doctree
    words, length = [], 0
    for paragraph in start.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, (nodes.section, nodes.document)):
            continue
        for word in paragraph.astext().split():
            if length + len(word) + 1 > MOST:
                return " ".join(words) + " …"
            words.append(word)
            length += len(word) + 1
        if length >= LEAST:
            return " ".join(words)
    return " ".join(words) or None


def add_tags(app, pagename, templatename, context, doctree):
    text = description(doctree) if doctree else None
    if not text:
        text = f"{context.get('title', pagename)}: a page of {app.config.html_title or app.config.project}"
    tags = {"og:type": "article", "og:title": context.get("title") or pagename, "og:description": text}
    tags["og:site_name"] = app.config.html_title or app.config.project
    lines = [f'<meta name="description" content="{escape(text)}"/>']
    lines += [f'<meta property="{name}" content="{escape(value)}"/>' for name, value in tags.items()]
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def setup(app):
    app.connect("html-page-context", add_tags)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
