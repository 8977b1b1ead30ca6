"""The claims of the chapter: what claims.csv says, and which tests guard each row.

A test says which claim it is about, and which side of it it shows::

    @pytest.mark.claim("C28", "limits")

``supports``: the claim is right here. ``limits``: here it fails, though under a condition it is right. ``refutes``:
as it stands it is wrong. A verdict follows from the sides that its tests show; ``tests/test_claims.py`` holds them together.
"""

import ast
import csv
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SIDES_OF = {
    "holds": {"supports"},
    "holds if": {"supports", "limits"},
    "does not hold": {"supports", "refutes"},  # the test that supports shows where a repaired statement is right
    "not testable here": set(),
}


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
