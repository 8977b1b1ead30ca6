"""Lighthouse on a chapter page, served as a web host would: `make test-lighthouse` prints the scores and holds them.

Speed is measured three times, or until it suffices, five times at most. The best run counts: what else the machine does
only ever makes a page slower. On a processor slower than those that Lighthouse simulates a phone on, a phone's speed is
printed and not held. Everything else must be right in every run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from chromium import CHROMIUM, served
from conftest import BOOK, Compressed

PAGE = "chapters/03_pgd.html"
NEEDED = {
    "mobile": {"performance": 80, "accessibility": 100, "best-practices": 100, "seo": 100},
    "desktop": {"performance": 90, "accessibility": 100, "best-practices": 100, "seo": 100},
}
SLOW = 1500  # the index of a processor that, slowed down four times, is the phone that Lighthouse has in mind
PROGRAM = Path(__file__).parent / "lighthouse" / "node_modules" / ".bin" / "lighthouse"


def scores(url, device):
    """The scores of one run, 0 to 100; what was found wrong outside of speed; and whether the processor allows a verdict on it."""
    command = [PROGRAM, url, "--quiet", "--output=json", f"--only-categories={','.join(NEEDED[device])}"]
    command += ["--chrome-flags=--headless=new --no-sandbox"] + ["--preset=desktop"] * (device == "desktop")
    run = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "CHROME_PATH": CHROMIUM})
    report = json.loads(run.stdout)
    faults = {
        audit["id"]
        for name in ("accessibility", "best-practices", "seo")
        for audit in (report["audits"][ref["id"]] for ref in report["categories"][name]["auditRefs"] if ref["weight"])
        if audit["score"] is not None and audit["score"] < 1
    }
    found = {name: round(100 * report["categories"][name]["score"]) for name in NEEDED[device]}
    return found, faults, report["environment"]["benchmarkIndex"] >= SLOW


def main():
    good = True
    with served(BOOK, Compressed) as address:
        for device, needed in NEEDED.items():
            runs = [scores(address + PAGE, device) for _ in range(3)]
            while max(score["performance"] for score, *_ in runs) < needed["performance"] and len(runs) < 5:
                runs.append(scores(address + PAGE, device))
            for name, least in needed.items():
                found = [score[name] for score, *_ in runs]
                counts = max(found) if name == "performance" else min(found)
                held = (device, name) != ("mobile", "performance") or any(fast for *_, fast in runs)
                good = good and (counts >= least or not held)
                print(f"{device:8} {name:15} {counts:4} of at least {least:3}   runs: {found}{'' if held else '   NOT HELD: a slow processor'}")
            print(f"{device:8} faults: {sorted(set().union(*(faults for _, faults, _ in runs))) or 'none'}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
