"""All checks of the project on one page: `make report`.

Each check is a command of the Makefile. Its outcome is kept in report.json with date, commit and machine, and report.md is
written from that; what it printed lies under _build/report. With names of checks, only these are run, and the others keep the
outcome that they had. What passed on the present commit is not run again, so that an interrupted report goes on.
"""

import json
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import mutants
from machine import machine

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "report.json"
LOGS = ROOT / "_build" / "report"
COUNTS = re.compile(r"^(?:=+ )?((?:\d+ \w+(?:, )?)+) in [\d.]+s", re.MULTILINE)  # pytest's last line

# command: what it shows
CHECKS = {
    "test": "functions, the recorded outputs of the chapters, the book without a warning",
    "test-gate": "faults planted in copies of the project, which the checks must find",
    "test-exercises": "every exercise with its recorded outputs, and wrong answers, which its checks must catch",
    "test-portability": "the recorded outputs again, with the kernels of other processors",
    "test-pythons": "functions and recorded outputs under other Pythons",
    "test-order": "functions in random order, twice at the same time",
    "test-offline": "functions and recorded outputs with the network cut off",
    "test-wheel": "functions, from the wheel alone",
    "test-lowest": "functions, with the oldest NumPy, SciPy, joblib, tqdm, array-api-compat, matplotlib and scikit-learn",
    "test-oracles": "attacks, fits, bounds, distances and gradients beside public libraries",
    "test-peers": "PyTorch tensors, a cluster, and the page on your own model",
    "test-properties": "invariants, with 1000 random examples each",
    "test-coverage": "every line and every branch of the package",
    "test-mutants": "faults planted in the mathematics (the numbers are below)",
    "test-grading": "assignments and grading from end to end, and the student's book",
    "test-browser": "every page light and dark, wide and narrow, with axe; what a reader does there; Lighthouse",
    "test-lite": "the notebooks' edition for the browser",
    "audit": "known vulnerabilities of what is locked",
}


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def run(check):
    """Run a check and return its outcome; what it prints goes to a file."""
    begin = time.monotonic()
    with open(LOGS / f"{check}.log", "w", encoding="utf-8") as log:
        code = subprocess.run(["make", check], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL).returncode
    said = (LOGS / f"{check}.log").read_text(encoding="utf-8", errors="replace")
    outcome = {
        "passed": code == 0,
        "unanswered": check == "audit" and "could not be audited" in said,
        "counts": counts(said),
        "covered": (re.findall(r"^TOTAL .* (\d+%)", said, re.MULTILINE) or [None])[-1],
        "minutes": round((time.monotonic() - begin) / 60, 2),
        "date": date.today().isoformat(),
        "commit": git("rev-parse", "--short", "HEAD"),
        "machine": machine("numpy", "scipy", "hypothesis", "pytest"),
    }
    print(f"{check:18} {'passed' if code == 0 else 'FAILED'} {outcome['minutes']:5.1f} min  {outcome['counts']}", flush=True)
    return outcome


def counts(said):
    """{"passed": ..., "failed": ...} summed over all runs of pytest in an output."""
    total = {}
    for line in COUNTS.findall(said):
        for number, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", line):
            total[word] = total.get(word, 0) + int(number)
    return total


def result(outcome):
    if outcome["unanswered"]:
        return "not answered: the database cannot be reached from this machine"
    numbers = ", ".join(f"{number} {word}" for word, number in outcome["counts"].items()) or ("passed" if outcome["passed"] else "")
    covered = f"; {outcome['covered']} covered" if outcome["covered"] else ""
    return ("" if outcome["passed"] else "**failed** ") + numbers + covered


def planted_faults(modules):
    """The table of planted faults, and why some cannot be seen."""
    numbers = {name: (each["planted"], each["seen"], each["explained"]) for name, each in modules.items()}
    lines = ["| module | planted | seen | share | explained |", "|---|---:|---:|---:|---:|"]
    for name, (planted, seen, explained) in (numbers | {"all": [sum(column) for column in zip(*numbers.values())]}).items():
        lines.append(f"| {name} | {planted} | {seen} | {seen / planted:.1%} | {explained} |")
    reasons = {}
    for (module, function, _, _), why in sorted(mutants.explanations().items(), key=lambda item: item[1]):
        reasons.setdefault(why, set()).add(f"`{module}.{function}`")
    return "\n".join(lines), "\n".join(f"- {why} ({', '.join(sorted(where))})" for why, where in reasons.items())


def page(outcomes):
    """report.md, from what is kept."""
    rows = [
        f"| `make {check}` | {shows} | {result(found)} | {found['minutes']:.1f} | {found['date']} |"
        if (found := outcomes.get(check))
        else f"| `make {check}` | {shows} | not run | | |"
        for check, shows in CHECKS.items()
    ]
    table, reasons = planted_faults(outcomes["test-mutants"]["faults"])
    parts = {"CHECKS": "\n".join(rows), "MACHINE": "; ".join(sorted({found["machine"] for found in outcomes.values()}))}
    text = (ROOT / "tools" / "report_page.md").read_text(encoding="utf-8")
    for name, part in (parts | {"MUTANTS": table, "REASONS": reasons}).items():
        text = text.replace("{" + name + "}", part)
    return text


def keep(outcomes):
    """Write both files at once, since the checks compare them."""
    KEPT.write_text(json.dumps(outcomes, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (ROOT / "report.md").write_text(page(outcomes), encoding="utf-8")


def main():
    LOGS.mkdir(parents=True, exist_ok=True)
    outcomes = json.loads(KEPT.read_text(encoding="utf-8"))
    keep(outcomes)  # the page's words may have changed
    for check in sys.argv[1:] or CHECKS:
        known = outcomes.get(check, {})
        if not (known.get("passed") and known["commit"] == git("rev-parse", "--short", "HEAD")):
            outcomes[check] = run(check)
            if check == "test-mutants":
                outcomes[check]["faults"] = json.loads(mutants.SUMMARY.read_text())
            keep(outcomes)
    sys.exit(bool(set(CHECKS) - set(outcomes)) or not all(found["passed"] or found["unanswered"] for found in outcomes.values()))


if __name__ == "__main__":
    main()
