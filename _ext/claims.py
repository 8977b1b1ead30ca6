"""The claims of the chapter: what claims.csv says, which tests guard each row, and the pages of the book drawn from both.

A test says which claim it is about, and which side of it it shows::

    @pytest.mark.claim("C28", "limits")

``supports``: the claim is right here. ``limits``: here it fails, though under a condition it is right. ``refutes``: as it
stands it is wrong. A verdict follows from the sides that its tests show; ``tests/test_claims.py`` holds them together.
"""

import ast
import csv
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[1]
SIDES_OF = {
    "holds": {"supports"},
    "holds if": {"supports", "limits"},
    "does not hold": {"supports", "refutes"},  # the test that supports shows where a repaired statement is right
    "not testable here": set(),
}
SIGNS = {"holds": "✓", "holds if": "◐", "does not hold": "✗", "not testable here": "–"}


class Test(NamedTuple):
    name: str  # file::function
    side: str
    source: str
    runs: bool  # not marked to be skipped or to fail


def rows():
    """The rows of claims.csv, a dict each."""
    with open(ROOT / "claims.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def marked_tests():
    """The tests of each claim, by its id, read from the test files without running them."""
    found = {}
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for function in ast.parse(text).body:
            if not isinstance(function, ast.FunctionDef):
                continue
            marks = {ast.unparse(mark) for mark in function.decorator_list}
            runs = not any(re.match(r"pytest\.mark\.(skip|xfail)", mark) for mark in marks)
            for mark in function.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.claim":
                    claim, side = (argument.value for argument in mark.args)
                    source = ast.get_source_segment(text, function)
                    found.setdefault(claim, []).append(Test(f"{path.name}::{function.name}", side, source, runs))
    return found


def counts():
    """How often each verdict was given to the sixty claims, and to the others."""
    sixty = Counter(row["verdict"] for row in rows() if row["id"].startswith("C"))
    return {verdict: sixty[verdict] for verdict in SIDES_OF}


def _plain(text):
    """Text in which Markdown finds nothing to mark up."""
    return re.sub(r"([\\`*_\[\]|<>#$])", r"\\\1", text)


class FromClaims(SphinxDirective):
    """A directive that writes Markdown out of claims.csv, so that each link is checked by the build."""

    def run(self):
        self.env.note_dependency(str(ROOT / "claims.csv"))
        body = nodes.container()
        self.state.nested_parse(StringList(self.markdown().splitlines(), "claims.csv"), self.content_offset, body)
        return body.children


class Table(FromClaims):
    """All claims and their verdicts; ``claims.js`` lets a reader sort and filter them."""

    def markdown(self):
        lines = [":::{list-table}", ":header-rows: 1", ":class: claims", ""]
        lines += ["* - Claim", "  - What the chapter says", "  - Verdict", "  - What was measured", "  - Tests"]
        for row in rows():
            where = f"[{row['id']}]({row['page']}#{row['anchor']})"
            section = f"Section {row['section']}" + (f", Eq. {row['equation']}" if row["equation"] else "")
            verdict = f"{SIGNS[row['verdict']]} **{row['verdict']}** {_plain(row['condition'])}"
            tests = f"[{len(row['test'].split())}](#tests-{row['id'].lower()})"
            cells = [where, f"{_plain(row['claim'])} *{section}*", verdict, _plain(row["numbers"]), tests]
            lines += [("* - " if k == 0 else "  - ") + cell for k, cell in enumerate(cells)]
        return "\n".join([*lines, ":::"])


class Counts(FromClaims):
    """The number of each verdict, in a sentence."""

    def markdown(self):
        given = " · ".join(f"{SIGNS[verdict]} {verdict}: **{number}**" for verdict, number in counts().items())
        others = sum(not row["id"].startswith("C") for row in rows())
        return f"The sixty claims: {given}. Beyond them we found {others} more, marked X."


class Sources(FromClaims):
    """The source of each claim's tests."""

    def markdown(self):
        parts, tests = [], marked_tests()
        for row in rows():
            parts += [f"(tests-{row['id'].lower()})=", f"## {row['id']}: {row['verdict']}", "", _plain(row["claim"]), ""]
            for test in tests.get(row["id"], []):
                parts += [f"`tests/{test.name.split('::')[0]}`, *{test.side}*:", "", "```python", test.source, "```", ""]
        return "\n".join(parts)


def setup(app):
    app.add_directive("claims-table", Table)
    app.add_directive("claims-counts", Counts)
    app.add_directive("claims-tests", Sources)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
