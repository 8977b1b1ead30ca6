"""Run a notebook check as other processors would: `make test-portability`.

The last bits of a matrix product or an exponential depend on the kernels that OpenBLAS and NumPy pick for the
processor, and training amplifies them. Each setting below forces other kernels and repeats the check given on the
command line. A variable that is misspelt or no longer known is ignored in silence, so a probe in a Jupyter kernel
first has to show that the setting took effect.
"""

import json
import os
import re
import subprocess
import sys
import time

import nbformat
from nbclient import NotebookClient
from record import METADATA, QUIET, notebooks

# NumPy's dispatch groups: V2 is SSE4.2 and always on, V3 is AVX2 with FMA, V4 and ICL are AVX-512.
PROBE = """
import json, numpy, scipy.linalg, threadpoolctl
blas = [lib for lib in threadpoolctl.threadpool_info() if lib["internal_api"] == "openblas"]
exp = numpy.lib.introspect.opt_func_info(func_name="^exp$", signature="float64")
features = numpy.show_config(mode="dicts")["SIMD Extensions"]
print(json.dumps({
    "architecture": sorted({lib["architecture"] for lib in blas}),
    "threads": sorted({lib["num_threads"] for lib in blas}),
    "numpy": exp["exp"]["dd"]["current"],
    "has": features["baseline"] + features.get("found", []) + ["OpenBLAS"] * bool(blas),
}))
"""

# A processor: its kernels of OpenBLAS; the group of NumPy's that a machine must have to run them (OpenBLAS's for the Sandybridge
# use AVX, for which NumPy has no group); the newer groups of NumPy's that it lacks; and what NumPy then takes.
# The timeout: a thread that waits gives its core back soon, since two notebooks share two cores.
V4 = "X86_V4 AVX512_ICL AVX512_SPR"
PROCESSORS = {
    "Nehalem": ("X86_V2", f"X86_V3 {V4}", "baseline(X86_V2)"),
    "Sandybridge": ("X86_V3", f"X86_V3 {V4}", "baseline(X86_V2)"),
    "Haswell": ("X86_V3", V4, "X86_V3"),
    "SkylakeX": ("X86_V4", "AVX512_ICL AVX512_SPR", "X86_V4"),
}


def as_on(core, level, lacks, numpy):
    variables = {"OPENBLAS_CORETYPE": core, "NPY_DISABLE_CPU_FEATURES": lacks}
    return f"as on a {core}", {"OpenBLAS", level}, variables, {"architecture": [core], "numpy": numpy}


# (what it is, what it needs, the environment, what the probe must then find)
SETTINGS = [
    ("1 thread", {"OpenBLAS"}, {"OPENBLAS_NUM_THREADS": "1"}, {"threads": [1]}),
    ("2 threads", {"OpenBLAS"}, {"OPENBLAS_NUM_THREADS": "2", "OPENBLAS_THREAD_TIMEOUT": "4"}, {"threads": [2]}),
    *(as_on(core, *about) for core, about in PROCESSORS.items()),
]


def probe(environment):
    """What a Jupyter kernel started with this environment runs on."""
    notebook = nbformat.v4.new_notebook(metadata=METADATA, cells=[nbformat.v4.new_code_cell(PROBE)])
    NotebookClient(notebook, kernel_name="python3", extra_arguments=QUIET).execute(env=environment)
    return json.loads(notebook.cells[0].outputs[0].text)


def code_cells():
    cells = [cell for path in notebooks() for cell in nbformat.read(path, as_version=4).cells]
    return sum(cell.cell_type == "code" for cell in cells)


def check(command, variables, expected):
    """(whether the check passed under the setting, what to say of it)"""
    environment = {**os.environ, **variables}
    found = probe(environment)
    wrong = {key: found[key] for key, value in expected.items() if found[key] != value}
    if wrong:
        return False, f"took no effect: found {wrong}"
    start = time.perf_counter()
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    passed = sum(int(n) for n in re.findall(r"(\d+) passed", run.stdout))
    if run.returncode or passed != code_cells():
        print(run.stdout + run.stderr)
        return False, f"{passed} of {code_cells()} cells passed, {seconds:.1f} s"
    return True, f"{passed} cells passed, {seconds:.1f} s"


def main(command):
    native = probe(os.environ)
    print("this machine:", native, flush=True)
    outcomes = []
    for name, needs, variables, expected in SETTINGS:
        lacking = needs - set(native["has"])
        if lacking:
            print(f"{name:24} not run: this machine has no {' or '.join(sorted(lacking))}", flush=True)
            continue
        if all(native[key] == value for key, value in expected.items()):
            print(f"{name:24} this machine does so by itself, and so do the other checks", flush=True)
            continue
        good, words = check(command, variables, expected)
        print(f"{name:24} {words}", flush=True)
        outcomes.append(good)
    print(f"{sum(outcomes)} of {len(outcomes)} settings passed, {len(SETTINGS) - len(outcomes)} cannot or need not run here")
    return 0 if outcomes and all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
