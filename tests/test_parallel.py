"""Independent calls on several workers: the results in order, whoever does the work and whenever it ends."""

import os
import sys
import threading
import time

import pytest
from helpers import assert_ends_when_interrupted
from joblib import cpu_count, delayed, parallel_config

from adv_companion._parallel import checkpoint, results


def run(tasks, n_jobs=None, progress=False):
    return results(tasks, 10, "calls", n_jobs, progress)


def test_results_come_in_the_order_of_the_tasks_though_the_first_ends_last():
    second = threading.Event()

    def first():
        assert second.wait(60)
        return "first"

    tasks = [delayed(first)(), delayed(second.set)(), delayed(pow)(2, exp=3)]
    assert list(run(tasks, n_jobs=2)) == ["first", None, 8]


@pytest.mark.parametrize("n_jobs, threads", [(None, 1), (1, 1), (3, 3), (-1, cpu_count())])
def test_as_many_threads_work_as_asked_for(n_jobs, threads):
    meet = threading.Barrier(threads)  # passed only by so many at a time

    def work(name):
        meet.wait(60)
        return threading.get_ident()

    assert len(set(run((delayed(work)(name=k) for k in range(4 * threads)), n_jobs))) == threads


def test_one_worker_is_the_caller():
    assert set(run([delayed(threading.get_ident)() for _ in range(3)])) == {threading.get_ident()}


def test_joblibs_configuration_says_how_many_where_the_call_does_not():
    meet = threading.Barrier(3)
    with parallel_config("threading", n_jobs=3):
        assert len(list(run([delayed(meet.wait)(60) for _ in range(3)]))) == 3
    with parallel_config("sequential"):
        assert set(run([delayed(threading.get_ident)() for _ in range(3)], n_jobs=2)) == {threading.get_ident()}


def test_joblibs_configuration_sends_the_work_to_other_processes():
    def slow_at_first(k):
        time.sleep(k == 0)
        return k, os.getpid()

    with parallel_config("loky"):
        order, processes = zip(*run([delayed(slow_at_first)(k) for k in range(4)], n_jobs=2))
    assert order == (0, 1, 2, 3) and os.getpid() not in processes


@pytest.mark.parametrize("n_jobs, most", [(1, 1), (2, 5), (3, 7)])
def test_few_tasks_are_made_before_they_are_needed(n_jobs, most):
    made = []

    def tasks():
        for k in range(50):
            made.append(k)
            yield delayed(abs)(k)

    found = run(tasks(), n_jobs)
    assert next(found) == 0 and len(made) == most
    assert list(found) == list(range(1, 50))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_of_a_task_reaches_the_caller(n_jobs):
    with pytest.raises(ZeroDivisionError):
        list(run([delayed(abs)(1), delayed(divmod)(1, 0), delayed(abs)(2)], n_jobs))


def test_an_error_waits_neither_for_what_runs_nor_for_what_is_ahead():
    end, ran, others = threading.Event(), [], set(threading.enumerate())
    tasks = [delayed(divmod)(1, 0), delayed(end.wait)(60), delayed(end.wait)(60), *(delayed(ran.append)(k) for k in range(2))]
    with pytest.raises(ZeroDivisionError):
        list(run(tasks, n_jobs=2))
    end.set()
    for thread in set(threading.enumerate()) - others:
        thread.join(60)
    assert ran == []


def test_an_interrupted_program_does_not_wait_for_what_runs():
    assert_ends_when_interrupted(
        "import os, signal, time\nfrom joblib import delayed\nfrom adv_companion._parallel import checkpoint, results\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job would ignore it
        "def work(k):\n    os.write(1, b'x')\n    while True:\n        checkpoint()\n        time.sleep(0.01)\n"
        "list(results((delayed(work)(k) for k in range(4)), 4, 'calls', 2, False))\n"
    )


def test_whatever_ends_a_task_reaches_the_caller():
    with pytest.raises(SystemExit):
        list(run([delayed(abs)(1), delayed(sys.exit)(3)], n_jobs=2))


def test_no_more_threads_are_started_than_there_are_tasks():
    before, seen = threading.active_count(), []
    assert list(run([delayed(lambda: seen.append(threading.active_count()))() for _ in range(2)], n_jobs=500)) == [None] * 2
    assert max(seen) <= before + 2


def test_where_nobody_waits_any_more_a_long_task_ends_at_its_next_checkpoint():
    begun, ended = threading.Event(), threading.Event()

    def long():
        begun.set()
        try:
            while True:
                checkpoint()
        finally:
            ended.set()

    found = run([delayed(begun.wait)(60), delayed(long)(), *(delayed(abs)(k) for k in range(8))], n_jobs=2)
    assert next(found) and not ended.is_set()
    found.close()
    assert ended.wait(60)
    checkpoint()  # where nobody has stopped it, nothing happens


@pytest.mark.parametrize("backend", ["multiprocessing", "loky", "threading"])
def test_any_backend_may_have_a_bar(backend, capsys):
    with parallel_config(backend):
        assert list(run([delayed(abs)(k) for k in range(10)], 2, progress=True)) == list(range(10))
    assert "calls: 100%" in capsys.readouterr().err


def test_no_work_starts_before_the_flag_is_checked():
    def none():
        raise AssertionError("a task was asked for")
        yield

    with parallel_config("loky"), pytest.raises(ValueError, match="progress"):
        run(none(), n_jobs=2, progress="no")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_bar_counts_the_results_only_if_asked_for(n_jobs, capsys):
    tasks = [delayed(abs)(k) for k in range(10)]
    assert list(run(tasks, n_jobs)) == list(range(10))
    assert capsys.readouterr() == ("", "")
    assert list(run(tasks, n_jobs, progress=True)) == list(range(10))
    assert "calls: 100%" in capsys.readouterr().err
