"""claims.csv, the pages and the tests say the same of each claim."""

import json
import re
from functools import cache

import claims
import pytest
from claims import ROOT, SIDES_OF

ROWS = claims.rows()
TESTS = claims.marked_tests()
SIXTY = [f"C{number:02}" for number in range(1, 61)]


@cache
def markdown_of(page):
    cells = json.loads((ROOT / page).read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def anchors(markdown):
    """The ids that the book gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", markdown, re.M)
    return {re.sub(r"[^a-z0-9]+", "-", re.sub(r"['$\\]", "", heading).lower()).strip("-") for heading in headings}


def test_the_sixty_claims_and_those_found_beyond_them_stand_in_order():
    beyond = [f"X{number:02}" for number in range(1, len(ROWS) - 59)]
    assert [row["id"] for row in ROWS] == SIXTY + beyond


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_is_complete_and_its_verdict_follows_from_the_tests_that_it_names(row):
    assert row["verdict"] in SIDES_OF
    assert all(row[key] for key in ("section", "claim", "numbers", "page", "anchor"))
    assert bool(row["condition"]) == (row["verdict"] != "holds"), "a verdict other than 'holds' states its condition"
    tests = TESTS.get(row["id"], [])
    assert row["test"].split() == [test.name for test in tests], "the column names other tests than those marked"
    assert all(test.runs for test in tests), "a test that does not run guards nothing"
    shown = {test.side for test in tests}
    assert shown == SIDES_OF[row["verdict"]], f"verdict '{row['verdict']}', but the tests show {sorted(shown)}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_claim_has_its_place_and_the_same_verdict_on_its_page(row):
    text = markdown_of(row["page"])
    assert row["anchor"] in anchors(text)
    lines = [line for line in text.splitlines() if re.match(r"\| [CX]\d\d", line) and row["id"] in line.split("|")[1]]
    assert len(lines) == 1, f"{row['page']} has {len(lines)} rows for {row['id']}"
    assert f"**{row['verdict']}**" in lines[0]


def test_no_page_and_no_test_speaks_of_a_claim_that_is_not_listed():
    listed = {row["id"] for row in ROWS}
    assert set(TESTS) <= listed
    for page in sorted((ROOT / "chapters").glob("*.ipynb")):
        rows = re.findall(r"^\| ([CX]\d\d[^|]*?):", markdown_of(page), re.M)
        assert rows, f"{page.name} gives no verdict"
        assert set(re.findall(r"[CX]\d\d", " ".join(rows))) <= listed
