"""Grade what students handed in: `make grade NAME=hw1 SUBMISSIONS=folder`.

Each submission is graded by nbgrader in a process of its own, against a copy of the package that is thrown away.
Every student gets a row of COURSE/grades/NAME.csv, whatever the submission does.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import psutil
from assignment import Refused, course_config, nbgrader
from exercises import kind
from grading import errors, grade_id, marks, parts, probes, restored
from nbgrader.api import Gradebook, MissingEntry
from record import ROOT

STUDENT = re.compile(r"\w[\w.@ -]*")
MAX_FILE = 200 * 2**20  # bytes


def handed_in(folder, name):
    """{student: file, or None where there is no NAME.ipynb} from <student>.ipynb or <student>/NAME.ipynb."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        inside = [path / f"{name}.ipynb", path / name / f"{name}.ipynb"]  # the second as `nbgrader collect` leaves it
        file = next((file for file in inside if file.is_file()), None) if path.is_dir() else path
        student = path.name if path.is_dir() else path.stem
        if not STUDENT.fullmatch(student):
            raise Refused(f"SUBMISSIONS: {path.name!r} is no student's name: letters, digits, space and . _ @ -")
        if student in found:
            raise Refused(f"SUBMISSIONS: {student} handed in twice")
        found[student] = file
    return found


def table(path, *columns):
    """The rows of a CSV file that must have these columns."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: {error}") from error
    lacking = [column for column in columns if rows and column not in rows[0]]
    if not rows or lacking:
        raise Refused(f"{path}: needs rows, and columns {', '.join(columns)}")
    return rows


def manual_points(path, maxima, students):
    """{student: {grade_id: points}} from a table of student, grade_id, points."""
    found = {}
    for number, row in enumerate(table(path, "student", "grade_id", "points") if path else [], 2):
        where = f"{path}, line {number}"
        if row["student"] not in students:
            raise Refused(f"{where}: no student {row['student']!r}")
        if row["grade_id"] not in maxima:
            raise Refused(f"{where}: no graded cell {row['grade_id']!r}; there are {', '.join(maxima)}")
        try:
            points = float(row["points"])
        except (TypeError, ValueError):
            raise Refused(f"{where}: points must be a number, not {row['points']!r}") from None
        if not 0 <= points <= maxima[row["grade_id"]]:
            raise Refused(f"{where}: points must be between 0 and {maxima[row['grade_id']]:g}, not {row['points']}")
        if row["grade_id"] in found.setdefault(row["student"], {}):
            raise Refused(f"{where}: {row['student']} has points for {row['grade_id']} already")
        found[row["student"]][row["grade_id"]] = points
    return found


# One submission, in a process of its own.


def restore(course, name, student, file):
    """Write the submission with its locked cells restored where nbgrader looks for it; returns why not, or nothing."""
    release = nbformat.read(course / "release" / name / f"{name}.ipynb", as_version=4)
    target = course / "restored" / student / name
    for stage in ("restored", "autograded", "feedback"):
        shutil.rmtree(course / stage / student / name, ignore_errors=True)
    if file is None:
        return "missing", f"no {name}.ipynb"
    if file.suffix != ".ipynb" or file.stat().st_size > MAX_FILE:
        return "unreadable", "not a notebook, or larger than 200 MiB"
    try:
        submission = nbformat.read(file, as_version=4)
        ours = {cell.source for cell in release.cells if kind(cell) is None and cell.source.startswith("## ")}
        names = {grade_id(cell) or cell.id for cell in release.cells}
        if not any(
            cell.source in ours or grade_id(cell) in names or cell.get("id") in names for cell in submission.cells
        ):
            return "unreadable", f"no cell of {name} is in it"
        target.mkdir(parents=True)
        nbformat.write(restored(release, submission), target / f"{name}.ipynb")
    except Exception as error:  # whatever is wrong with this file, the others are graded
        return "unreadable", f"{type(error).__name__}: {str(error)[:200]}"
    when = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    (target / "timestamp.txt").write_text(f"{when:%Y-%m-%d %H:%M:%S} UTC")
    for beside in ("timestamp.txt", "submission_secret.txt"):  # as `nbgrader collect` leaves them
        if file.stem == name and (file.parent / beside).is_file():
            shutil.copy(file.parent / beside, target / beside)
    return None


def grade_one(course, name, student, points):
    """Run by a worker: autograde, enter manual points, write the feedback. Prints what went wrong, if anything."""
    import resource

    config = course_config(course)
    config.CourseDirectory.submitted_directory = "restored"
    config.GuardedExecute.probes = str(course / "probes" / f"{name}.json")
    resource.setrlimit(resource.RLIMIT_AS, (config.GuardedExecute.memory_gib * 2**30,) * 2)
    api = nbgrader(config)
    results = [api.autograde(name, student)]
    if results[0]["success"]:
        with Gradebook(api.coursedir.db_url, api.coursedir.course_id) as gradebook:
            for cell, value in points.items():
                grade = gradebook.find_grade(cell, name, name, student)
                grade.manual_score, grade.needs_manual_grade = value, False
            gradebook.db.commit()
        results.append(api.generate_feedback(name, student))
    print("\n".join(f"{result.get('log')}\n{result.get('error')}" for result in results if not result["success"]))
    return 0 if all(result["success"] for result in results) else 1


def graded(course, name, student, points, seconds):
    """Grade one submission in a process and with a package of its own; returns (status, remark)."""
    with tempfile.TemporaryDirectory() as own:
        shutil.copytree(ROOT / "adv_companion", Path(own) / "adv_companion")
        path = os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--one", student, "--name", name, "--course", str(course)]
        worker = subprocess.Popen(
            [*command, "--points", json.dumps(points)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            said, _ = worker.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            for process in [*psutil.Process(worker.pid).children(recursive=True), worker]:
                process.kill()  # the kernel is in a session of its own, so each is ended by its id
            worker.communicate()
            return "timed out", f"stopped after {seconds} s"
    (course / "logs" / name).mkdir(parents=True, exist_ok=True)
    (course / "logs" / name / f"{student}.txt").write_text(said, encoding="utf-8")
    if worker.returncode:
        return "failed", f"see logs/{name}/{student}.txt"
    notebook = nbformat.read(course / "autograded" / student / name / f"{name}.ipynb", as_version=4)
    found = [error for cell in notebook.cells if cell.cell_type == "code" for error in errors(cell)]
    for error, status in (("KernelDied", "crashed"), ("CellTimeoutError", "timed out")):
        if error in found:
            return status, f"{found.count(error)} cells"
    return "graded", ""


# The class.


def fingerprint(*folders):
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".ipynb")):
        digest.update(path.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def attainable(source):
    """The points of each graded cell, by its grade_id."""
    return {grade_id(c): c.metadata.nbgrader.points for c in source.cells if kind(c) in ("tests", "manual")}


def row(course, name, student, outcome, source, api, due):
    """A student's row of the table."""
    status, remark = outcome
    cells = attainable(source)
    scores, waiting, look = dict.fromkeys(cells, 0.0), [], []
    late = ""
    if status in ("graded", "timed out", "crashed"):
        with Gradebook(api.coursedir.db_url, api.coursedir.course_id) as gradebook:
            try:
                submission = gradebook.find_submission(name, student)
                for grade in submission.notebooks[0].grades:
                    scores[grade.name] = grade.score
                    waiting += [grade.name] if grade.needs_manual_grade else []
                late = round(submission.total_seconds_late / 60) if due else ""
            except MissingEntry:
                pass
        look = looked_at(course, name, student)
    exercises = {
        part: sum(scores[grade_id(cell)] for cell in inside if grade_id(cell) in scores)
        for part, inside in parts(source).items()
    }
    return {
        "student": student,
        "status": status,
        "score": round(sum(scores.values()), 6),
        "max_score": sum(cells.values()),
        **exercises,
        "late_minutes": late,
        "to_mark": " ".join(waiting),
        "look_at": " ".join(look),
        "remark": remark,
    }


def looked_at(course, name, student):
    """Graded cells whose checks are not to be trusted, and what the answers reach for."""
    file = course / "autograded" / student / name / f"{name}.ipynb"
    if not file.exists():
        return []
    code = [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
    distrusted = [grade_id(cell) for cell in code if "NotTrusted" in errors(cell)]
    found = {mark for cell in code if kind(cell) in (None, "answer") for mark in marks(cell.source)}
    return distrusted + sorted(re.sub(r"\s+", "_", mark) for mark in found)


def prepare(arguments):
    """(course, source notebook, nbgrader, its settings), after the checks of what was asked for."""
    course, name = arguments.course.resolve(), arguments.name
    file = course / "source" / name / f"{name}.ipynb"
    if not file.is_file() or not (course / "release" / name / f"{name}.ipynb").is_file():
        raise Refused(f"NAME: there is no assignment {name!r} in {course}; make assignment makes one")
    if not arguments.submissions or not arguments.submissions.is_dir():
        raise Refused(f"SUBMISSIONS: {arguments.submissions} is not a folder")
    config = course_config(course)
    api = nbgrader(config)
    if arguments.due:
        try:
            due = datetime.fromisoformat(arguments.due).astimezone(UTC).replace(tzinfo=None)
        except ValueError:
            raise Refused(f"DUE: {arguments.due!r} is not a time such as 2027-03-31T23:59+02:00") from None
        with Gradebook(api.coursedir.db_url, api.coursedir.course_id) as gradebook:
            gradebook.update_or_create_assignment(name, duedate=due)
    return course, nbformat.read(file, as_version=4), api, config.GuardedExecute


def grade(arguments):
    course, source, api, limits = prepare(arguments)
    name, files = arguments.name, handed_in(arguments.submissions, arguments.name)
    roster = [line["student"].strip() for line in table(arguments.roster, "student")] if arguments.roster else []
    students = sorted({*files, *roster})
    manual = manual_points(arguments.manual, attainable(source), students)
    watched = [ROOT / "adv_companion", ROOT / "tools", course / "source", course / "release"]
    before = fingerprint(*watched)
    (course / "probes").mkdir(exist_ok=True)
    (course / "probes" / f"{name}.json").write_text(json.dumps(probes(source)), encoding="utf-8")

    def one(student):
        problem = restore(course, name, student, files.get(student))
        outcome = problem or graded(course, name, student, manual.get(student, {}), limits.submission_timeout)
        if fingerprint(*watched) != before:
            raise Refused(f"while {student} was graded, the package, the tools or the course changed: stopped")
        result = row(course, name, student, outcome, source, api, arguments.due)
        if roster and student not in roster:
            result["remark"] = (result["remark"] + " not on the roster").strip()
        print(f"{student:24} {result['status']:10} {result['score']:g} of {result['max_score']:g}", flush=True)
        return result

    with ThreadPoolExecutor(arguments.workers) as pool:
        rows = list(pool.map(one, students))
    target = course / "grades" / f"{name}.csv"
    target.parent.mkdir(exist_ok=True)
    with open(target, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys() if rows else ["student"])
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows: {target}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--course", type=Path, required=True)
    parser.add_argument("--submissions", type=Path)
    parser.add_argument("--roster", type=Path)
    parser.add_argument("--manual", type=Path)
    parser.add_argument("--due")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--points", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        sys.exit(grade_one(arguments.course, arguments.name, arguments.one, arguments.points))
    try:
        grade(arguments)
    except Refused as reason:
        sys.exit(f"not graded. {reason}")


if __name__ == "__main__":
    main()
