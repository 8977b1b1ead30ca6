"""The whole book as one PDF: `make pdf`. Each page as Chromium prints it, joined in the book's order.

A link from page to page becomes a link inside the document, and the bookmarks are the book's parts and pages.
"""

import io
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import yaml
from chromium import ALL_IMAGES, CHROMIUM, launched, served
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, NameObject

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = ("claim_tests",)  # two hundred pages of test code, which nobody reads on paper


def contents():
    """[(part, [page, ...])] in the order of the table of contents; the front page stands in a part of its own."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [(part["caption"], [chapter["file"] for chapter in part["chapters"]]) for part in toc["parts"]]
    return [("", [toc["root"]]), *((part, [page for page in pages if page not in LEFT_OUT]) for part, pages in parts)]


def printed(base, pages):
    """{page: its title and the bytes of its PDF}."""
    documents = {}
    with launched() as browser:
        for page in pages:
            tab = browser.new_page()
            tab.goto(urljoin(base, page + ".html"))
            tab.evaluate(ALL_IMAGES)
            margins = dict.fromkeys(("top", "bottom", "left", "right"), "18mm")
            title = tab.locator("h1").first.inner_text().strip("# \n")
            documents[page] = title, tab.pdf(format="A4", margin=margins, scale=0.8, print_background=True)
            tab.close()
    return documents


def joined(documents, base):
    """One document of all, with bookmarks and inner links."""
    writer, first = PdfWriter(), {}
    for part, pages in contents():
        above = None
        for page in pages:
            title, data = documents[page]
            first[page] = len(writer.pages)
            writer.append(PdfReader(io.BytesIO(data)), import_outline=False)
            if part and above is None:
                above = writer.add_outline_item(title=part, page_number=first[page])
            writer.add_outline_item(title=title, page_number=first[page], parent=above)
    for sheet in writer.pages:
        _link_inside(writer, sheet, base, first)
    writer.compress_identical_objects(remove_unreferenced=True)
    return writer


def _link_inside(writer, sheet, base, first):
    for reference in sheet.get("/Annots", []):
        note = reference.get_object()
        address = str(note.get("/A", {}).get("/URI", ""))
        page = unquote(urldefrag(address)[0]).removeprefix(base).removesuffix(".html")
        if address.startswith(base) and page in first:
            target = writer.pages[first[page]].indirect_reference
            note[NameObject("/Dest")] = ArrayObject([target, NameObject("/Fit")])
            del note["/A"]


def main():
    book, out = Path(sys.argv[1]), Path(sys.argv[2])
    if not Path(CHROMIUM).exists():
        sys.exit(f"The PDF is printed by Chromium, and there is no {CHROMIUM}: name one, as in make pdf CHROMIUM=...")
    with served(book) as base:
        writer = joined(printed(base, [page for _, pages in contents() for page in pages]), base)
    writer.write(out)
    print(f"{out}: {len(writer.pages)} pages, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
