"""What is shared by all that shows the built book, or a part of it, to the system's Chromium."""

import os
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
# JavaScript: all pictures of a page are there, those that wait to be near included.
ALL_IMAGES = """() => Promise.all([...document.images].map(image => {
    image.loading = 'eager';
    return image.decode().catch(() => {});
}))"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and writes nothing about it."""

    def log_message(self, *arguments):
        pass


@contextmanager
def served(folder, handler=Quiet):
    """The address of a server of ``folder`` on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def launched():
    """A running Chromium."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
