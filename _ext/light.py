"""Make the built book light: what no page uses is left out, and what remains comes from the book itself.

Runs after the build, on the files that were written: one style sheet and one script for all pages, an icon font of the icons
in use, pictures with their sizes, no search index where nobody searches, and the theme's small faults mended.
"""

import re
import shutil
from pathlib import Path

import citations
import light_mends
import light_styles
from bs4 import BeautifulSoup
from PIL import Image

WORD = re.compile(r"[A-Za-z_][\w-]*")
IMPORT = re.compile(r"@import\s+(?:url\()?[\"']?([^\"');]+)[\"']?\)?;")
REFERENCES = "references.html"
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
UNUSED = ("fontawesome.js", "design-tabs.js")
KEPT = ("documentation_options.js", *SEARCH)  # served as they are


def lighten(app, error):
    if error or app.builder.format != "html" or app.builder.name == "singlehtml":
        return
    root = Path(app.outdir)
    files = [path for path in sorted(root.rglob("*.html")) if "_static" not in path.relative_to(root).parts]
    pages = {path: BeautifulSoup(path.read_bytes(), "html.parser") for path in files}
    pages = {path: page for path, page in pages.items() if page.find("link", rel="stylesheet")}  # not a redirect
    scripts, sheets, entries = {}, {}, citations.references(pages[root / REFERENCES])
    for path, page in pages.items():
        scripts |= _taken(page.find_all("script", src=True), "src", path, root)
        sheets |= _taken(page.find_all("link", rel="stylesheet"), "href", path, root)
        citations.explain(page, entries, _up(path, root) + REFERENCES)
        light_mends.mend(page)
    script = "\n;\n".join(["", *scripts.values()])  # begins with no directive, lest one file's "use strict" rule all
    _write_styles(root, sheets, _known(pages.values(), script))
    (root / "_static" / "book.js").write_text(script, encoding="utf-8")
    for path, page in pages.items():
        _point_to_joined(page, _up(path, root) + "_static/")
        _lighten_images(page, path.parent)
        path.write_text(str(page), encoding="utf-8")
    _remove_unserved(root)


def _up(path, root):
    """The way from a page to the root of the book."""
    return "../" * (len(path.relative_to(root).parts) - 1)


def _taken(elements, attribute, path, root):
    """The texts of the files that elements of a page link to, by their address; the elements leave the page."""
    texts = {}
    for element in elements:
        address = element[attribute].split("?")[0]
        if any(name in address for name in KEPT):
            if Path(address).name in SEARCH and path.name != "search.html":
                element.decompose()
            continue
        if not any(name in address for name in UNUSED):
            texts |= _with_imports((path.parent / address).resolve(), root.resolve())
        element.decompose()
    return texts


def _with_imports(file, root):
    """The text of a file by its address, after those of the style sheets that it imports."""
    texts, text = {}, file.read_text(encoding="utf-8")
    if file.suffix == ".css":
        for imported in IMPORT.findall(text):
            texts |= _with_imports((file.parent / imported).resolve(), root)
        text = IMPORT.sub("", text)
    return texts | {file.relative_to(root).as_posix(): text}


def _known(pages, script):
    """Every class and id of every page, and every word of the scripts, which add some later."""
    words = set(WORD.findall(script))
    for page in pages:
        words.update(WORD.findall(" ".join(inline.get_text() for inline in page.find_all("script"))))
        for element in page.find_all(True):
            words.update(element.get("class", []))
            words.add(element.get("id"))
    return words


def _write_styles(root, sheets, known):
    css = light_styles.joined({address.removeprefix("_static/"): text for address, text in sheets.items()}, known)
    characters = light_styles.icons(css)
    font = next((root / "_static").rglob("fa-solid-900.ttf")).read_bytes()
    (root / "_static" / "icons.woff").write_bytes(light_styles.icon_font(font, characters))
    css = light_styles.without_unused_fonts(css, characters)
    (root / "_static" / "styles.css").write_text(css, encoding="utf-8")


def _point_to_joined(page, static):
    for preload in page.find_all("link", rel="preload"):
        preload.decompose()
    head = page.head
    head.append(page.new_tag("link", rel="stylesheet", href=f"{static}styles.css"))
    head.append(page.new_tag("link", rel="preload", href=f"{static}icons.woff", crossorigin="", **{"as": "font"}))
    head.append(page.new_tag("script", src=f"{static}book.js", defer=""))
    for search in page.find_all("script", src=lambda address: address and address.split("?")[0].endswith(SEARCH)):
        search["defer"] = ""
        head.append(search.extract())  # it needs what book.js defines


def _lighten_images(page, folder):
    """Each picture says its size, so that nothing jumps when it comes, comes when it is near, and has not a bit too many."""
    for k, image in enumerate(page.find_all("img")):
        if re.match(r"data:|https?:", image["src"]):
            continue
        file = folder / image["src"].split("?")[0]
        if file.suffix == ".png":
            lighter = file.with_suffix(".webp")
            with Image.open(file if file.exists() else lighter) as picture:
                image["width"], image["height"] = (str(side) for side in picture.size)
                if not lighter.exists():
                    picture.save(lighter, lossless=True, method=2)  # the same picture, in 40 % of the bytes
            file.unlink(missing_ok=True)
            image["src"] = image["src"].replace(".png", ".webp")
        image["decoding"] = "async"
        if k > 1:
            image["loading"] = "lazy"


def _remove_unserved(root):
    static = root / "_static"
    for folder in ("vendor", "scripts", "styles", "locales"):
        shutil.rmtree(static / folder, ignore_errors=True)
    keep = {"book.js", "styles.css", "icons.woff", *KEPT}
    for file in static.iterdir():
        if file.is_file() and file.suffix in (".js", ".css", ".map") and file.name not in keep:
            file.unlink()


def setup(app):
    app.connect("build-finished", lighten, priority=900)  # after all who add files
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
