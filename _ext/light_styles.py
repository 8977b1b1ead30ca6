"""One style sheet for the book, with the rules that some page can use, and an icon font with the icons they show."""

import io
import logging
import re
from pathlib import PurePosixPath

import tinycss2
from fontTools import subset, ttLib

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells every table it cuts

NAME = re.compile(r"[.#]((?:[\w-]|\\.)+)")
INNER = re.compile(r":(?:not|is|where|has)\((?:[^()]|\([^()]*\))*\)")
ICON = re.compile("[\uf000-\uf8ff]")  # the private place where the font keeps its pictures


def joined(sheets, known):
    """The rules of ``sheets`` (address: text) in their order, those that need an unknown class or id left out.

    ``known`` is the set of words that stand as a class or an id in a page, or anywhere in a script.
    """
    return "\n".join(_rules(_with_addresses(text, address), known) for address, text in sheets.items())


def _with_addresses(text, address):
    """``text`` with each url() relative to the folder that holds ``styles.css``, one above every sheet's own or its own."""
    folder = PurePosixPath(address).parent

    def moved(match):
        url = match[1].strip("\"'")
        if re.match(r"data:|https?:|#", url):
            return match[0]
        parts = []
        for part in (folder / url).parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        return f"url({'/'.join(parts)})"

    return re.sub(r"url\(((?:[^()\\]|\\.)*)\)", moved, text)


def _rules(text, known):
    kept = []
    for rule in tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True):
        if rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            inner = _rules(tinycss2.serialize(rule.content), known)
            if inner:
                kept.append(f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inner}}}")
        elif rule.type == "qualified-rule":
            selectors = [s for s in _selectors(rule.prelude) if _can_match(s, known)]
            if selectors:
                kept.append(f"{','.join(selectors)}{{{_tight(rule.content)}}}")
        elif rule.type == "at-rule" and rule.lower_at_keyword != "charset":
            kept.append(_tight([rule]))
    return "\n".join(kept)


def _tight(tokens):
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", tinycss2.serialize(tokens), flags=re.DOTALL)).strip()


def _selectors(prelude):
    """The selectors of a rule: split at the commas that stand in no bracket."""
    parts = [[]]
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return [_tight(part) for part in parts]


def _can_match(selector, known):
    """Whether all classes and ids that an element must have are known; what stands in :not() or :is() is not asked."""
    return all(re.sub(r"\\(.)", r"\1", name) in known for name in NAME.findall(INNER.sub("", selector)))


def icons(css):
    """The characters of the icon font that a style sheet shows."""
    return {ord(character) for character in ICON.findall(css)}


def without_unused_fonts(css, used):
    """``css`` with the faces of icon fonts that show no icon left out, and one short source for the one that does."""

    def face(match):
        if "Awesome" not in match[0]:
            return match[0]
        return re.sub(r"src:[^;}]*", "src:url(icons.woff)", match[0]) if used and "fa-solid" in match[0] else ""

    return re.sub(r"@font-face ?\{[^}]*\}", face, css)


def icon_font(data, characters):
    """The bytes of a woff font that holds ``characters`` of the font file ``data``, and no others."""
    font = ttLib.TTFont(io.BytesIO(data))
    cutter = subset.Subsetter(subset.Options(layout_features=[], hinting=False, notdef_outline=True))
    cutter.populate(unicodes=characters)
    cutter.subset(font)
    font.flavor = "woff"
    out = io.BytesIO()
    font.save(out)
    return out.getvalue()
