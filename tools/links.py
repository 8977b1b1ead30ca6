"""The links that leave the book: listed with the pages they stand on, and asked whether they answer. `make links`."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from bs4 import BeautifulSoup


def external(book):
    """Each address outside of the book, with the pages that link to it."""
    found = {}
    for path in sorted(Path(book).rglob("*.html")):
        if "_static" in path.parts or "lite" in path.parts:
            continue
        for link in BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find_all("a", href=True):
            if link["href"].startswith(("http://", "https://")):
                found.setdefault(link["href"], set()).add(path.relative_to(book).as_posix())
    return dict(sorted(found.items()))


def answer(address):
    """What a server says to a request for this address: a status, or why there was none."""
    try:
        with urlopen(Request(address, headers={"User-Agent": "Mozilla/5.0 (link check)"}), timeout=20) as response:
            return str(response.status)
    except HTTPError as error:
        return str(error.code)
    except (URLError, OSError) as error:
        return f"no answer: {getattr(error, 'reason', error)}"


def main():
    links = external(sys.argv[1])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(answer, links))
    for (address, pages), said in zip(links.items(), answers):
        print(f"{said:12.60}  {address}  ({', '.join(sorted(pages)[:3])}{' …' if len(pages) > 3 else ''})")
    # Publishers turn programs away with 403 or 429; whoever follows the link in a browser gets through.
    bad = [said for said in answers if said not in ("200", "403", "429")]
    print(f"{len(links)} links, {len(bad)} without an answer")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
