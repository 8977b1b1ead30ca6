"""The student's book holds no answer: not in a page, nor in its source, nor in the search index. The full book does."""

import html
import json
import re
import subprocess

import pytest
from exercises import HIDDEN, REGION, leaks, names, read, secrets, squashed, tagged
from record import ROOT

CELLS = [cell for name in names() for cell in read(name).cells]
TEXT = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)
WORD = re.compile(r"[a-z]{7,}")


def strings(value):
    """Every text in a JSON value, as a reader sees it: lines joined."""
    if isinstance(value, dict):
        return "\n".join(strings(inner) for inner in value.values())
    if isinstance(value, list):
        return "".join(value) if all(isinstance(inner, str) for inner in value) else "\n".join(map(strings, value))
    return value if isinstance(value, str) else ""


def public():
    """What a student may read: every notebook without exercises, with its outputs, the other pages, and the package."""
    paths = [*ROOT.glob("chapters/*.ipynb"), *ROOT.glob("beyond/*.ipynb")]
    chapters = [strings(json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    files = [*ROOT.glob("*.md"), *ROOT.glob("*.bib"), *ROOT.glob("adv_companion/*.py")]
    others = [path.read_text(encoding="utf-8") for path in files]
    return "\n".join([*chapters, *others])


def secret_words():
    """Words that only answers, hidden tests and solutions use; the index holds the stems of words."""
    hidden = " ".join(
        cell.source
        if tagged(cell, "solution")
        else " ".join(m["body"] for r in (REGION, HIDDEN) for m in r.finditer(cell.source))
        for cell in CELLS
    )
    shown = " ".join(HIDDEN.sub("", REGION.sub("", cell.source)) for cell in CELLS if not tagged(cell, "solution"))
    known = " ".join(set(WORD.findall((shown + public()).lower())))
    return {word for word in WORD.findall(hidden.lower()) if word not in known}


def readable(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        return html.unescape(TEXT.sub(" ", text))
    return strings(json.loads(text)) if path.suffix == ".ipynb" else text


def given_away(book):
    """{kind of file: what it gives away} of a built book."""
    secret, found = secrets(CELLS, squashed(public())), {}
    for path in book.rglob("*"):
        if path.suffix in (".html", ".ipynb", ".md", ".txt", ".json") and "_static" not in path.relative_to(book).parts:
            kind = "source" if "_sources" in path.parts else "page"
            found.setdefault(kind, set()).update(leaks(secret, readable(path)))
    terms = set(re.findall(r'"?([a-z]+)"?:', (book / "searchindex.js").read_text(encoding="utf-8")))
    return found | {"search index": terms & secret_words()}


def build(*arguments):
    run = subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_students_book_gives_no_answer_away():
    build("book", "STUDENT=1")
    assert given_away(ROOT / "_build/student/_build/html") == {"page": set(), "source": set(), "search index": set()}


@pytest.mark.parametrize("kind", ["page", "source", "search index"])
def test_the_scan_finds_the_answers_of_the_full_book(kind, full_book):
    assert len(full_book[kind]) >= 10


@pytest.fixture(scope="module")
def full_book():
    build("test-book")
    return given_away(ROOT / "_build/test/_build/html")
