"""Where a page stands in the chapter: a strip of the ten pages above each of them, and above its exercises."""

import re
from html import escape

SECTION = re.compile(r"[Ss]ections? (62(?:\.\d+)*(?:(?:,| and|, and) 62(?:\.\d+)+)*)")


def sections(doctree):
    """The chapter's sections that a page says it treats: the first it names."""
    found = SECTION.search(doctree.astext())
    return found[1] if found else None


def strip(chapters, titles, present, link, other):
    """The strip as HTML. ``chapters`` are (name, sections); ``present`` one of the names; ``other`` text and address."""
    steps = []
    for k, (name, _) in enumerate(chapters, 1):
        here = ' aria-current="page"' if name == present else ""
        steps.append(f'<li><a href="{link(name)}" title="{escape(titles[name])}"{here}><span>Page </span>{k}</a></li>')
    k = [name for name, _ in chapters].index(present)
    where = f"Page {k + 1} of {len(chapters)}" + (f", section {chapters[k][1]} of the chapter" if chapters[k][1] else "")
    text, address = other
    return (
        f'<nav class="whereabouts" aria-label="Where you are in the chapter"><ol>{"".join(steps)}</ol>'
        f'<p>{where} · <a href="{address}">{escape(text)}</a></p></nav>'
    )


def add_strip(app, pagename, templatename, context, doctree):
    folder, _, rest = pagename.partition("/")
    if folder not in ("chapters", "exercises") or doctree is None:
        return
    env, link = app.env, lambda name: app.builder.get_relative_uri(pagename, name)
    names = sorted(name for name in env.found_docs if name.startswith("chapters/"))
    titles = {name: env.titles[name].astext() for name in names}
    if folder == "chapters":
        name, topic = pagename, rest.partition("_")[2]
        other = "its exercises", link(f"exercises/{topic}/{topic}")
    else:
        name = next(name for name in names if name.endswith(f"_{rest.partition('/')[0]}"))
        other = f"exercises to “{titles[name]}”", link(name)
    chapters = [(name, sections(env.get_doctree(name))) for name in names]
    context["body"] = strip(chapters, titles, name, link, other) + context["body"]


def setup(app):
    app.connect("html-page-context", add_strip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
