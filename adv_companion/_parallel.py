"""Independent calls, spread over cores or machines by joblib, with or without a progress bar."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from threading import Event, local

from joblib import Parallel
from joblib.parallel import get_active_backend
from tqdm import tqdm

from adv_companion import _checks

_worker = local()
"""What a thread of ``_by_threads`` knows: ``stopped``, set once nobody waits for its result any more."""


def results(tasks, total, what, n_jobs, progress):
    """The results of ``total`` joblib tasks, in their order.

    Raises ValueError for an ``n_jobs`` that is neither None nor an integer other than 0, and a ``progress`` that is no flag.
    Threads, unless ``joblib.parallel_config`` says otherwise: the work is NumPy's, which lets other threads run.
    """
    if n_jobs is not None and _checks.count("n_jobs", n_jobs, low=-(2**31)) == 0:
        raise ValueError("n_jobs must be None, a number of workers, or -1 for all cores, got 0")
    progress = _checks.flag("progress", progress)
    backend, configured = get_active_backend(prefer="threads")
    if getattr(backend, "supports_sharedmem", False):  # as joblib itself asks
        found = _by_threads(tasks, backend.effective_n_jobs(configured if n_jobs is None else n_jobs))
    else:
        one_by_one = progress and getattr(backend, "supports_return_generator", False)
        found = Parallel(n_jobs, return_as="generator" if one_by_one else "list")(tasks)
    return tqdm(found, what, total) if progress else found


def checkpoint():
    """For the loops of long tasks to call: ends a task whose result nobody waits for any more."""
    if hasattr(_worker, "stopped") and _worker.stopped.is_set():
        raise SystemExit


def _by_threads(tasks, workers):
    """The results one after the other. joblib would look only every 10 ms whether its threads have come to an end."""
    if workers == 1:
        yield from (function(*values, **names) for function, values, names in tasks)
        return
    stopped, ahead = Event(), deque()
    pool = ThreadPoolExecutor(workers, initializer=setattr, initargs=(_worker, "stopped", stopped))
    try:
        for function, values, names in tasks:
            ahead.append(pool.submit(function, *values, **names))
            if len(ahead) > 2 * workers:  # few, since a task may hold a large array
                yield ahead.popleft().result()
        yield from (future.result() for future in ahead)
    finally:
        stopped.set()  # who interrupts waits neither for what was ahead nor, at the program's end, for long what runs
        pool.shutdown(wait=False, cancel_futures=True)
