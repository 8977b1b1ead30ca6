"""Pages of the book that are drawn from claims.csv and the tests: the table of claims, and the tests themselves."""

import re

from claims import ROOT, counts, marked_tests, rows
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

SIGNS = {"holds": "✓", "holds if": "◐", "does not hold": "✗", "not testable here": "–"}


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
            if not tests:  # a student's book comes without them
                parts += [f"- `{name}`" for name in row["test"].split()] + [""]
            for test in tests.get(row["id"], []):
                parts += [f"`tests/{test.name.split('::')[0]}`, *{test.side}*:", "", "```python", test.source, "```", ""]
        return "\n".join(parts)


def setup(app):
    app.add_directive("claims-table", Table)
    app.add_directive("claims-counts", Counts)
    app.add_directive("claims-tests", Sources)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
