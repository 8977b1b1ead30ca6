"""The report counts what pytest says, and an explanation of a fault that no test sees belongs to a line that is there."""

import csv
import json

import mutants
import pytest
import report


def test_the_last_lines_of_all_runs_are_added_up():
    said = "1 passed in 2 words\n12 passed in 3.21s\n== 1 failed, 30 passed, 2 warnings in 75.00s (0:01:15) ==\n3 errors in 0.10s\n"
    assert report.counts(said) == {"passed": 42, "failed": 1, "errors": 3}
    assert report.counts("nothing was run") == {}


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [
        ({"passed": True, "counts": {"passed": 3}}, "3 passed"),
        ({"passed": False, "counts": {"failed": 1, "passed": 2}}, "**failed** 1 failed, 2 passed"),
        ({"passed": True, "counts": {"passed": 3}, "covered": "100%"}, "3 passed; 100% covered"),
        ({"passed": True, "counts": {}}, "passed"),
        ({"passed": False, "counts": {}, "unanswered": True}, "not answered: the database cannot be reached from this machine"),
    ],
)
def test_a_failure_is_said_and_so_is_what_was_not_answered(outcome, wanted):
    assert report.result({"covered": None, "unanswered": False} | outcome) == wanted


def test_every_check_of_the_report_is_a_command():
    makefile = (report.ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{check}:" in makefile for check in report.CHECKS)


def lines(path):
    return {line.strip() for line in path.read_text(encoding="utf-8").splitlines()}


def test_every_explanation_belongs_to_a_line_of_the_module():
    source = {}
    for module, function, was, became in mutants.explanations():
        source.setdefault(module, lines(mutants.ROOT / "adv_companion" / f"{module}.py"))
        assert was != became and set(was.split("\n")) <= source[module], (module, function, was)


def test_no_explanation_is_given_twice():
    with open(mutants.ROOT / "tests" / "survivors.csv", newline="", encoding="utf-8") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) and all(all(row) for row in rows)


def test_what_failed_no_test_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(mutants, "COPY", tmp_path)
    folder = tmp_path / "mutants" / "adv_companion"
    folder.mkdir(parents=True)
    (folder / "norms.py.meta").write_text('{"exit_code_by_key": {"a": 0, "b": 1, "c": 33, "d": 36}}')
    mutants.forget_unseen()
    assert mutants.outcomes() == {"norms": {"a": None, "b": 1, "c": None, "d": None}}


def test_the_page_says_what_is_kept_and_what_was_not_run():
    kept = json.loads(report.KEPT.read_text(encoding="utf-8"))
    page = report.page(kept)
    assert page == (report.ROOT / "report.md").read_text(encoding="utf-8")
    kept.pop("test-lite")
    assert f"| `make test-lite` | {report.CHECKS['test-lite']} | not run | | |" in report.page(kept)
