"""Lighthouse on a chapter page, and how soon each chapter page shows its slider, served as a web host would.

`make test-lighthouse` prints what it measures, with nothing else running, and holds it. Speed is measured three times, or
until it suffices, five times at most. The best run counts: what else the machine does only ever makes a page slower. Where
most runs meet a processor slower than those that Lighthouse simulates a phone on, speed is printed and not held: the
machine would be judged, not the page. Everything else must be right in every run.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from chromium import CHROMIUM, launched, served
from conftest import BOOK, CHAPTERS, Compressed

PAGE = "chapters/03_pgd.html"
NEEDED = {
    "mobile": {"performance": 80, "accessibility": 100, "best-practices": 100, "seo": 100},
    "desktop": {"performance": 90, "accessibility": 100, "best-practices": 100, "seo": 100},
}
SLOW = 1500  # the index of a processor that, slowed down four times, is the phone that Lighthouse has in mind
# An element's own handler works as soon as it is there; the time is that of the first frame with a slider in it.
WHEN_PAINTED = """(() => {
    const look = () => document.querySelector('.slider input')?.getClientRects().length
        ? requestAnimationFrame(() => { window.sliderPainted = performance.now(); }) : requestAnimationFrame(look);
    requestAnimationFrame(look);
})()"""
SECOND = 1000
PROGRAM = Path(__file__).parent / "lighthouse" / "node_modules" / ".bin" / "lighthouse"


def scores(url, device):
    """The scores of one run, 0 to 100; what was found wrong outside of speed; and the processor's index, by Lighthouse."""
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
    return found, faults, round(report["environment"]["benchmarkIndex"])


def first_slider(browser, url):
    """Milliseconds until a page shows its first slider, in a browser that has never seen it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.add_init_script(WHEN_PAINTED)
    tab.goto(url)
    tab.wait_for_function("() => window.sliderPainted")
    painted = tab.evaluate("() => window.sliderPainted")
    context.close()
    return round(painted)


def repeated(measure, suffices):
    """What ``measure`` gives in three runs, or in as many as it takes until one suffices, five at most."""
    runs = [measure() for _ in range(3)]
    while not any(suffices(run) for run in runs) and len(runs) < 5:
        runs.append(measure())
    return runs


def scored(address, device, needed):
    """Print the scores of a device; whether they are right but for speed, whether speed is, and the processor's indexes."""
    runs = repeated(lambda: scores(address + PAGE, device), lambda run: run[0]["performance"] >= needed["performance"])
    enough = {}
    for name, least in needed.items():
        found = [score[name] for score, *_ in runs]
        counts = max(found) if name == "performance" else min(found)
        enough[name] = counts >= least
        print(f"{device:8} {name:15} {counts:4} of at least {least:3}   runs: {found}")
    fast = enough.pop("performance")
    print(f"{device:8} faults: {sorted(set().union(*(faults for _, faults, _ in runs))) or 'none'}")
    indexes = [index for *_, index in runs]
    print(f"{device:8} processor: {indexes}")
    return all(enough.values()), fast, indexes


def main():
    with served(BOOK, Compressed) as address:
        devices = [scored(address, device, needed) for device, needed in NEEDED.items()]
        soon = True
        with launched() as browser:
            for page in CHAPTERS:
                runs = repeated(lambda page=page: first_slider(browser, address + page), lambda time: time < SECOND)
                soon = soon and min(runs) < SECOND
                print(f"first slider {min(runs):5} of less than {SECOND} ms   {page}, runs: {runs}")
    right, fast, indexes = zip(*devices)
    judged = statistics.median(sum(indexes, [])) >= SLOW
    if not judged:
        print(f"speed is NOT HELD: most runs met a processor below {SLOW}")
    sys.exit(not (all(right) and (all(fast) and soon or not judged)))


if __name__ == "__main__":
    main()
