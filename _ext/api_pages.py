"""The API page, made of the package's docstrings, and its links to and from the pages that use each function."""

import ast
import json
import re
from functools import cache
from pathlib import Path

from docutils import nodes

PACKAGE = "adv_companion"
CODE = re.compile(r"(``.*?``)", re.DOTALL)
ROOT = Path(__file__).parents[1]


@cache
def uses():
    """{page: the names, such as "norms.project", that its notebook takes from the package}."""
    return {path.stem: _taken(path) for path in sorted((ROOT / "chapters").glob("*.ipynb"))}


def _taken(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names, modules = set(), {}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
                modules |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
                names |= {f"{node.module.removeprefix(PACKAGE + '.')}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                names.add(f"{modules[node.value.id]}.{node.attr}")
    return names


def plain(text):
    """A docstring's text in which reStructuredText finds code and emphasis, and nothing else to mark up."""
    parts = CODE.split(text)
    parts[::2] = [re.sub(r"(\w)_(?!\w)", r"\1\\_", part.replace("|", r"\|")) for part in parts[::2]]
    return re.sub(r"^(\s*)\(", r"\1\\(", "".join(parts), flags=re.MULTILINE)  # "(i)" begins no list


def docstring(app, what, name, obj, options, lines):
    lines[:] = plain("\n".join(lines)).splitlines()
    short = name.removeprefix(f"{PACKAGE}.")
    pages = [page for page, names in uses().items() if short in names]
    if pages:
        lines += ["", "On page " + ", ".join(f":doc:`{page[:2].lstrip('0')} <chapters/{page}>`" for page in pages) + "."]


def add_links(app, doctree, docname):
    """At the end of a chapter page: the functions it uses, each with a link to its entry."""
    names = uses().get(docname.removeprefix("chapters/"), set())
    if not docname.startswith("chapters/") or "api" not in app.env.found_docs:
        return
    known = app.env.domaindata["py"]["objects"]
    line = nodes.paragraph("", "", nodes.strong("", "From the package:"), nodes.Text(" "), classes=["from-package"])
    for k, name in enumerate(sorted(name for name in names if f"{PACKAGE}.{name}" in known)):
        address = f"{app.builder.get_relative_uri(docname, 'api')}#{PACKAGE}.{name}"
        link = nodes.reference("", "", nodes.literal("", name), refuri=address, internal=True)
        line += [nodes.Text(", ")] * (k > 0) + [link]
    last = list(doctree.findall(nodes.section))[-1]
    last.append(line)


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", docstring)
    app.connect("doctree-resolved", add_links)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
