"""Links that open a page's notebook where it runs, and the book as a PDF: each only where there is something to open.

JupyterLite and the PDF are built beside the book by `make site`, which says so in ``BOOK_SITE``. Binder and Colab fetch the
notebooks from a public repository, whose address the publisher gives in ``BOOK_REPOSITORY`` (https://github.com/owner/name)
and, if it is not ``main``, its branch in ``BOOK_BRANCH``.
"""

import os
import re

REPOSITORY = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
HOSTED = "notebooks"  # the branch with the notebooks that know the repository's address (`make hosted`)
PDF = "adversarial-learning.pdf"


def links(notebook, environment):
    """[(name, address)] of the places that run a notebook, a path in the repository; addresses hold from its root."""
    found = []
    if environment.get("BOOK_SITE"):
        found.append(("JupyterLite", f"lite/lab/index.html?path={notebook.rpartition('/')[2]}"))
    address = environment.get("BOOK_REPOSITORY")
    if address:
        match = REPOSITORY.fullmatch(address)
        if not match:
            raise ValueError(f"BOOK_REPOSITORY must be https://github.com/owner/name, got {address!r}")
        name, branch = match[1], environment.get("BOOK_BRANCH") or "main"
        found.append(("Binder", f"https://mybinder.org/v2/gh/{name}/{branch}?urlpath=lab/tree/{notebook}"))
        found.append(("Colab", f"https://colab.research.google.com/github/{name}/blob/{HOSTED}/{notebook}"))
    return found


def add_links(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    root = "../" * pagename.count("/")
    if pagename.startswith("chapters/"):
        found = links(f"{pagename}.ipynb", os.environ)
        running = f'<a href="{root}running.html">how, and what was tried</a>'
        line = " · ".join([*(f'<a href="{_at(root, address)}">{name}</a>' for name, address in found), running])
        context["body"] = context["body"].replace("</nav>", f"<p>Run it: {line}</p></nav>", 1)
    elif pagename == app.config.master_doc and os.environ.get("BOOK_SITE"):
        line = f'<p class="whole-book"><a href="{PDF}">The whole book as one PDF</a></p>'
        context["body"] = context["body"].replace("</h1>", "</h1>\n" + line, 1)


def _at(root, address):
    return address if address.startswith("https:") else root + address


def setup(app):
    app.connect("html-page-context", add_links, priority=600)  # after the strip that it writes into
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
