"""How fast, beside other libraries: `make bench` writes benchmarks.md and its figure.

Every contender waits in a process of its own and runs when it is its turn, so that all of them meet the same moods of the
machine. The minimum is what the code can do; the median is what to expect here.
"""

import datetime
import json
import os
import random
import statistics
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import contenders
import matplotlib.pyplot as plt
import numpy as np
from imagenet import seconds_per_answer
from machine import machine

from adv_companion import plotting
from adv_companion.attacks import pgd
from adv_companion.smoothing import SmoothedClassifier

ROOT = Path(__file__).resolve().parents[1]
TURNS = {  # rounds, and runs in a row in each, the first of them with cold caches
    ("PGD", "64-64-10"): (40, 5), ("PGD", "784-256-10"): (10, 3), ("certify", "64-64-10"): (11, 5), ("certify", "784-256-10"): (6, 2),
}  # fmt: skip
NAMES = {
    "pgd_floor": "matrix products alone", "pgd_ours": "adv_companion", "pgd_ours_shared": "adv_companion, 2 workers",
    "pgd_ours_torch": "adv_companion, on PyTorch",
    "pgd_torch": "plain PyTorch", "pgd_torchattacks": "torchattacks", "pgd_foolbox": "Foolbox", "pgd_art": "ART",
    "certify_floor": "matrix products alone", "certify_ours": "adv_companion, 2 workers", "certify_torch": "plain PyTorch",
    "certify_art": "ART",
}  # fmt: skip
LIBRARIES = ("pgd_torchattacks", "pgd_foolbox", "pgd_art")
AIMS = [
    ("PGD, times as fast as the fastest of the three libraries", "PGD", LIBRARIES, (1.5, 1.1)),
    ("PGD, times its floor at most", "PGD", ("pgd_floor",), (2.2, 1.3)),
    ("certification, times as fast as plain PyTorch", "certify", ("certify_torch",), (2, 1.3)),
]
WORKERS = {"pgd_ours_shared", "certify_ours"}  # two threads of its own, each with one of BLAS


def start(name, sizes):
    threads = "1" if name in WORKERS else "2"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-W", "ignore", str(ROOT / "benchmarks" / "contenders.py"), name, sizes]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    said = process.stdout.readline()
    if not said:
        raise RuntimeError(f"{name} on {sizes} did not start")
    return process, json.loads(said)


def race(names, sizes, rounds, in_a_row):
    """{name: (seconds of each run, last result, MiB taken)}, all in one run, their order another in each round."""
    started = {name: start(name, sizes) for name in names}
    processes = {name: process for name, (process, _) in started.items()}
    found = {name: ([], None, taken) for name, (_, taken) in started.items()}
    for k in range(rounds):
        order = random.Random(k).sample(list(names), len(names))
        for name in order:
            processes[name].stdin.write(f"{in_a_row}\n")
            processes[name].stdin.flush()
            seconds, result = json.loads(processes[name].stdout.readline())
            found[name] = found[name][0] + seconds, result, found[name][2]
    for process in processes.values():
        process.stdin.close()
        process.wait()
    return found


def table(found, floor, last):
    lines = [f"| who | minimum, ms | median, ms | times the floor | memory, MiB | {last} |", "|---|---:|---:|---:|---:|---|"]
    least = min(found[floor][0])
    for name, (seconds, result, taken) in sorted(found.items(), key=lambda item: min(item[1][0])):
        shown = "" if name == floor else " · ".join(str(part) for part in result[: 1 + (last != "accuracy left")])
        low, middle = min(seconds), statistics.median(seconds)
        lines.append(f"| {NAMES[name]} | {1e3 * low:.1f} | {1e3 * middle:.1f} | {low / least:.2f} | {taken:.0f} | {shown} |")
    return "\n".join(lines)


def aims(races, powers):
    """What was aimed at, and what the least times give, as the rows of a table."""
    lines = ["| what | aim | 64-64-10 | aim | 784-256-10 |", "|---|---:|---|---:|---|"]
    least = {key: {name: min(seconds) for name, (seconds, *_) in found.items()} for key, found in races.items()}
    for what, kind, than, goals in AIMS:
        row = [what]
        for sizes, goal in zip(("64-64-10", "784-256-10"), goals):
            times = least[kind, sizes]
            ours = min((name for name in times if name.endswith(("_ours", "_shared"))), key=times.get)
            ratio = min(times[name] for name in than) / times[ours]
            value, reached = (1 / ratio, 1 / ratio <= goal) if than[0].endswith("floor") else (ratio, ratio >= goal)
            row += [f"{goal}", f"{value:.2f}, {'reached' if reached else '**missed**'}{', with 2 workers' * (ours in WORKERS)}"]
        lines.append(f"| {' | '.join(row)} |")
    steady = all(0.9 <= power <= 1.1 for power in powers)
    lines.append(f"| growth in rows, steps and samples, exponents | 0.9 to 1.1 | {'reached' if steady else '**missed**'} | | |")
    return "\n".join(lines)


def draw(races):
    fig, panels = plt.subplots(2, 2, figsize=(8.4, 5.2))
    for axes, ((kind, sizes), found) in zip(panels.flat, races.items()):
        order = sorted(found, key=lambda name: -min(found[name][0]))
        colours = [plotting.GREY if "floor" in name else plotting.BLUE if "ours" in name else plotting.ORANGE for name in order]
        times = [1e3 * min(found[name][0]) for name in order]
        axes.barh([NAMES[name] for name in order], times, color=colours)
        for k, value in enumerate(times):
            axes.annotate(f"{value:.0f}" if value >= 20 else f"{value:.1f}", (value, k), (3, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set(title=f"{'PGD' if kind == 'PGD' else 'Certification'}, {sizes}", xlabel="ms (log)", xscale="log", xlim=(min(times) / 2, max(times) * 2.5))
        axes.xaxis.set_minor_formatter("")  # the bars say their numbers
    fig.savefig(ROOT / "benchmarks.png", metadata={"Software": None})


def exponent(sizes, run):
    """The fitted exponent of the time in the size, from the least of 25 interleaved runs each."""
    least = dict.fromkeys(sizes, np.inf)
    for _ in range(25):
        for size in sizes:
            begin = time.perf_counter()
            run(size)
            least[size] = min(least[size], time.perf_counter() - begin)
    return np.polyfit(np.log(list(least)), np.log(list(least.values())), 1)[0], least


def growth():
    lines = ["| what grows | times, ms | exponent |", "|---|---|---|"]
    layers, x, y = contenders.task([64, 64, 10], 8000)
    model = contenders.ours(layers)
    smooth = SmoothedClassifier(model, contenders.SIGMA, 10)
    rng = np.random.default_rng(0)
    runs = {
        "PGD, rows n (40 steps)": ((1000, 2000, 4000, 8000), lambda n: pgd(model, x[:n], y[:n], 0.1)),
        "PGD, steps K (1000 rows)": ((20, 40, 80, 160), lambda k: pgd(model, x[:1000], y[:1000], 0.1, steps=k)),
        "certify, samples (10 points)": ((5000, 10_000, 20_000, 40_000), lambda n: smooth.certify(x[:10], 100, n, 0.001, rng)),
    }
    powers = []
    for name, (sizes, run) in runs.items():
        power, least = exponent(sizes, run)
        powers.append(power)
        times = ", ".join(f"{size}: {1e3 * seconds:.1f}" for size, seconds in least.items())
        lines.append(f"| {name} | {times} | {power:.2f} |")
    lines += ["", "Features d, 1000 rows, 40 steps of PGD on d-64-10, ms: "]
    widths = {}
    for d in (64, 256, 1024):
        layers, x, y = contenders.task([d, 64, 10], 1000)
        widths[d] = exponent((1000, 500), lambda n, m=contenders.ours(layers): pgd(m, x[:n], y[:n], 0.1))[1][1000]
    lines[-1] += ", ".join(f"{d}: {1e3 * seconds:.1f}" for d, seconds in widths.items()) + "."
    return "\n".join(lines), powers, peaks(smooth, contenders.task([64, 64, 10], 10)[1])


def peaks(smooth, x):
    """The most memory that NumPy holds at a time while one point is certified, by the number of samples."""
    found = {}
    for n in (10_000, 100_000, 1_000_000):
        tracemalloc.start()
        smooth.certify(x[:1], 100, n, 0.001, np.random.default_rng(0))
        found[n] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    return ", ".join(f"{megabytes:.1f} MiB for n = {n}" for n, megabytes in found.items())


def main():
    plotting.use_style()
    groups = {"PGD": [n for n in NAMES if n.startswith("pgd")], "certify": [n for n in NAMES if n.startswith("certify")]}
    races = {(kind, sizes): race(groups[kind], sizes, *turns) for (kind, sizes), turns in TURNS.items()}
    text = [(ROOT / "benchmarks" / "head.md").read_text(encoding="utf-8").strip()]
    with_what = machine("numpy", "torch", "foolbox", "torchattacks", "adversarial-robustness-toolbox")
    grown, powers, memory = growth()
    text.append(f"Measured on {datetime.date.today()}: {with_what}. Two threads each, but one for growth.")
    text.append(aims(races, powers))
    text.append("```{figure} benchmarks.png\n:name: fig-benchmarks\n:alt: Bars of the least time of each contender, in four panels: "
                "PGD and certification, on a small and a large network. The numbers are in the tables below.\n\n"
                "The least time of each contender, on a logarithmic scale: grey the floor, blue this package, orange the others.\n```")  # fmt: skip
    for (kind, sizes), found in races.items():
        floor, last = ("pgd_floor", "accuracy left") if kind == "PGD" else ("certify_floor", "certified, mean radius")
        heading = "PGD: 40 steps, 1000 points" if kind == "PGD" else "Certification: 50 points, 10 000 votes"
        text += [f"## {heading}, {sizes}", table(found, floor, last)]
    text += ["## Growth", "One thread, and no box: not to be compared with the tables above.", grown]
    text.append(f"Certifying one point holds at most {memory}.")
    text.append(f"One noisy answer of a ResNet-50 to an image of ImageNet's size: {1e3 * seconds_per_answer():.0f} ms.")
    draw(races)
    (ROOT / "benchmarks.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    print("\n\n".join(text))


if __name__ == "__main__":
    main()
