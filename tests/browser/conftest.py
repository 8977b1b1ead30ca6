"""The built book, served to Chromium: what the tests in a browser share."""

import gzip
from pathlib import Path

import pytest
from chromium import Quiet, launched, served

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "_build" / "test" / "_build" / "html"
SHOTS = ROOT / "_build" / "browser"
PAGES = sorted(p.relative_to(BOOK).as_posix() for p in BOOK.rglob("*.html") if not {"_static", "lite"} & set(p.parts))
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]


class Compressed(Quiet):
    """Serves a folder as a web host does: compressed, and with leave to keep what was loaded."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        body, kind = path.read_bytes(), self.guess_type(str(path))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "max-age=604800")
        if kind.startswith(("text/", "application/javascript", "application/json", "image/svg")):
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def pytest_addoption(parser):
    parser.addoption("--matrix", action="store_true", help="every page, light and dark, wide and narrow; screenshots kept")


def pytest_generate_tests(metafunc):
    if "view" in metafunc.fixturenames:
        full = metafunc.config.getoption("--matrix")
        views = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 375)] if full else [("light", 1280)]
        metafunc.parametrize("view", views, ids=lambda view: f"{view[0]}-{view[1]}")


@pytest.fixture(scope="session")
def site():
    with served(BOOK, Compressed) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    with launched() as chromium:
        yield chromium


@pytest.fixture
def tab(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    yield context.new_page()
    context.close()
