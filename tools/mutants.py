"""Mutation testing: `make test-mutants`. Small faults are planted one at a time, and the tests must see nearly all of them.

mutmut works in a copy of the project under _build/mutants and goes on where it was interrupted; what no test saw is tried
again with the tests of today. A fault that no test sees must be explained in tests/survivors.csv; an explanation belongs to a function and to its line before and after.
"""

import csv
import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "_build" / "mutants"
SUMMARY = ROOT / "_build" / "mutants.json"
LEAST = 0.95  # of the faults in each module
FAILED = {1, 3}  # exit codes of the tests
SEEN = FAILED | {36, 24, 152, 255, -24, -11, -9}  # and endless loops and crashes


def copy_project():
    """The project as git knows it, over what the last run left."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if name.startswith(("adv_companion/", "tests/", "tools/", "_ext/", "claims.csv", "pyproject.toml")):
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            if not ((COPY / name).exists() and filecmp.cmp(ROOT / name, COPY / name, shallow=False)):
                shutil.copy(ROOT / name, COPY / name)  # with the time of now: mutmut looks at what is newer than its own


def forget_unseen():
    """Let mutmut try again all that did not fail a test when it last ran: a wait is not always an endless loop."""
    for path in (COPY / "mutants" / "adv_companion").glob("*.py.meta"):
        kept = json.loads(path.read_text())
        kept["exit_code_by_key"] = {name: code if code in FAILED else None for name, code in kept["exit_code_by_key"].items()}
        path.write_text(json.dumps(kept, indent=4))


def outcomes():
    """{module: {name of a mutant: exit code of the tests, or None}}."""
    files = sorted((COPY / "mutants" / "adv_companion").glob("*.py.meta"))
    found = {path.name.removesuffix(".py.meta"): json.loads(path.read_text())["exit_code_by_key"] for path in files}
    return {module: codes for module, codes in found.items() if codes}


def change(module, name):
    """What a mutant changes: (module, function, the lines as they were, the lines as they became)."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    diff = get_diff_for_mutant(name, path=Path("adv_companion") / f"{module}.py").splitlines()[2:]
    was, became = ("\n".join(line[1:].strip() for line in diff if line[0] == sign) for sign in "-+")
    function = name.split(".")[-1].rpartition("__mutmut_")[0].removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return module, function, was, became


def explanations():
    """{change: why no test can see it}."""
    with open(ROOT / "tests" / "survivors.csv", newline="", encoding="utf-8") as file:
        return {(row["module"], row["function"], row["was"], row["became"]): row["why"] for row in csv.DictReader(file)}


def summary():
    """{module: numbers of faults planted and seen, and the explained survivors}, and the survivors without explanation."""
    known, modules, unexplained = explanations(), {}, []
    os.chdir(COPY)
    for module, codes in outcomes().items():
        unseen = [change(module, name) for name, code in codes.items() if code not in SEEN]
        unexplained += [each for each in unseen if each not in known]
        explained = sum(each in known for each in unseen)
        modules[module] = {"planted": len(codes), "seen": len(codes) - len(unseen), "explained": explained}
    return modules, unexplained


def main():
    copy_project()
    forget_unseen()
    # One thread each: a process that is forked off waits for ever for the threads of PyTorch that it did not inherit.
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = os.environ | one | {"PYTHONDONTWRITEBYTECODE": "1"}
    mutmut = Path(sys.executable).with_name("mutmut")
    with open(COPY / "mutmut.log", "w") as log:
        run = subprocess.run([mutmut, "run", "--max-children", sys.argv[1]], cwd=COPY, env=environment, stdout=log, stderr=log)
    if run.returncode:
        sys.exit(f"mutmut could not do its work: see {COPY / 'mutmut.log'}")
    modules, unexplained = summary()
    SUMMARY.write_text(json.dumps(modules, indent=1))
    for module, numbers in modules.items():
        share = numbers["seen"] / numbers["planted"]
        print(f"{module:10} {numbers['seen']:4} of {numbers['planted']:4} faults seen, {share:.1%}; {numbers['explained']} explained")
    for each in unexplained:
        print("not seen, not explained:", *each, sep="\n  ")
    low = [module for module, numbers in modules.items() if numbers["seen"] < LEAST * numbers["planted"]]
    sys.exit(bool(unexplained or low))


if __name__ == "__main__":
    main()
