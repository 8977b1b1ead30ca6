"""claims.csv, the pages and the tests say the same of each claim that a page takes up."""

import csv
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
VERDICTS = {"holds", "holds if", "does not hold", "not testable here"}
CLAIMS = list(csv.DictReader((ROOT / "claims.csv").read_text().splitlines()))
MARKED = set(re.findall(r'mark\.claim\("(C\d\d)"\)', "".join(p.read_text() for p in (ROOT / "tests").glob("test_*.py"))))


def test_there_are_claims_each_with_an_id_of_its_own():
    ids = [row["id"] for row in CLAIMS]
    assert ids and len(set(ids)) == len(ids)


def markdown_of(page):
    return "\n".join(cell.source for cell in nbformat.read(ROOT / page, 4).cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: row["id"])
def test_a_claim_has_one_verdict_on_its_page_and_a_test(row):
    assert row["verdict"] in VERDICTS
    assert bool(row["condition"]) == (row["verdict"] != "holds"), "a verdict other than 'holds' states its condition"
    text = markdown_of(row["page"])
    anchors = {re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") for heading in re.findall(r"^#+ (.*)$", text, re.M)}
    assert row["anchor"] in anchors
    lines = [line for line in text.splitlines() if line.startswith("| C") and row["id"] in line.split("|")[1]]
    assert len(lines) == 1, f"{row['page']} has {len(lines)} rows for {row['id']}"
    assert f"**{row['verdict']}**" in lines[0]
    assert row["id"] in MARKED, f"no test is marked as guarding {row['id']}"


def test_every_claim_on_a_page_is_in_the_list():
    listed = {row["id"] for row in CLAIMS}
    for page in sorted((ROOT / "chapters").glob("*.ipynb")):
        rows = re.findall(r"^\| (C[^|]*?):", markdown_of(page), re.M)
        assert rows, f"{page.name} gives no verdict"
        assert set(re.findall(r"C\d\d", " ".join(rows))) <= listed
