"""claims.csv, the pages and the tests say the same of each claim."""

import re
import shutil
import subprocess
import sys
from functools import cache

import claims
import nbformat
import pytest
from claims import ROOT, SIDES_OF

ROWS = claims.rows()
TESTS = claims.marked_tests()
SIXTY = [f"C{number:02}" for number in range(1, 61)]


@cache
def markdown_of(page):
    return "\n".join(cell.source for cell in nbformat.read(ROOT / page, 4).cells if cell.cell_type == "markdown")


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


# The checks above prove themselves: each fault in a copy must turn them red, and say what is wrong.


def replaced(name, old, new):
    def plant(project):
        path = project / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    return plant


PAGE, TESTS_OF_IT = "chapters/05_tradeoff.ipynb", "tests/test_tradeoff.py"
MARK = '@pytest.mark.claim("C28", "limits")\n'
LIMIT = "def test_at_a_budget_of_one_or_more_no_classifier_beats_a_coin"
IN_LIST, ON_PAGE = 'so x₁ alone keeps accuracy p",holds if,', "keeps $p$ under that budget | **holds if**"


def verdict_changed(project):
    replaced("claims.csv", IN_LIST, IN_LIST.replace("holds if", "does not hold"))(project)
    replaced(PAGE, ON_PAGE, ON_PAGE.replace("holds if", "does not hold"))(project)


FAULTS = {
    "as it is": (None, None),
    "a test deleted": (replaced(TESTS_OF_IT, MARK + LIMIT, "def left_over"), "the column names other tests"),
    "a test skipped": (replaced(TESTS_OF_IT, MARK, "@pytest.mark.skip\n" + MARK), "guards nothing"),
    "a verdict without its test": (verdict_changed, "verdict 'does not hold', but the tests show"),
    "a side without its verdict": (replaced(TESTS_OF_IT, MARK, MARK.replace("limits", "refutes")), "but the tests show"),
    "another verdict on the page": (replaced(PAGE, ON_PAGE, ON_PAGE.replace(" if", "")), "assert '**holds if**' in"),
    "no such place": (replaced(PAGE, "## How many features", "## How few"), "how-many-features-does-it-take"),
    "a claim left out": (replaced("claims.csv", "\nC28,", "\nX99,"), "At index 27 diff"),
}


@pytest.mark.parametrize(("plant", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_turns_the_checks_red(plant, reason, tmp_path):
    for name in ("tests", "_ext", "tools", "chapters"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("claims.csv", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    if plant:
        plant(tmp_path)
    command = [sys.executable, "-m", "pytest", "tests/test_claims.py", "-q", "-p", "no:cacheprovider", "-k", "not red"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode == 0) == (reason is None), run.stdout
    assert reason is None or reason in run.stdout, run.stdout
