"""Time the grading of a class: 30 submissions of four exercises, right, wrong and untouched. `make time-grading`."""

import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import assignment
import nbformat
import psutil
from exercises import kind, tagged, wrong_answers
from grading import grade_id
from record import ROOT

CLASS, PICK = 30, "tradeoff:1 tradeoff:2 tradeoff:3 tradeoff:5"


def submissions(source, release, folder):
    """Every third is right, every third has a wrong answer in each place, the rest is untouched but for words."""
    wrong = wrong_answers("tradeoff")
    for number in range(CLASS):
        notebook = nbformat.from_dict(source if number % 3 < 2 else release)
        notebook.cells = [cell for cell in notebook.cells if not tagged(cell, "solution")]
        for cell in notebook.cells:
            answers = list(wrong.get(str(grade_id(cell)).removeprefix("tradeoff-"), {}).values())
            if kind(cell) == "manual":
                cell.source = f"Words of student {number}."
            elif number % 3 == 1 and answers:
                cell.source = answers[number // 3 % len(answers)]
        nbformat.write(notebook, folder / f"student{number:02}.ipynb")


def watch(process, peaks):
    """Keep the largest resident memory of the process and all its children together."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        for one in [process, *process.children(recursive=True)]:
            try:
                total += one.memory_info().rss
            except psutil.NoSuchProcess:
                pass
        peaks.append(total)
        time.sleep(0.2)


def main():
    with tempfile.TemporaryDirectory() as folder:
        course, inbox = Path(folder) / "course", Path(folder) / "in"
        release = assignment.make("hw", PICK, course)
        inbox.mkdir()
        source = nbformat.read(course / "source" / "hw" / "hw.ipynb", as_version=4)
        submissions(source, nbformat.read(release, as_version=4), inbox)
        command = [
            sys.executable,
            ROOT / "tools" / "grade.py",
            "--course",
            course,
            "--name",
            "hw",
            "--submissions",
            inbox,
        ]
        start, peaks = time.perf_counter(), []
        run = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
        watcher = threading.Thread(target=watch, args=(psutil.Process(run.pid), peaks))
        watcher.start()
        code, seconds = run.wait(), time.perf_counter() - start
        watcher.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{CLASS} submissions of {PICK}: {seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor time, ",
        end="",
    )
    print(
        f"at most {max(peaks) / 2**20:.0f} MiB; load average {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores"
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
