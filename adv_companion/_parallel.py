"""Independent calls, spread over cores or machines by joblib, with or without a progress bar."""

from joblib import Parallel
from tqdm import tqdm

from adv_companion import _checks


def results(tasks, total, what, n_jobs, progress):
    """The results of ``total`` joblib tasks, in their order.

    Raises ValueError for an ``n_jobs`` that is neither None nor an integer other than 0, and a ``progress`` that is no flag.
    Threads, unless ``joblib.parallel_config`` says otherwise: the work is NumPy's, which lets other threads run.
    """
    if n_jobs is not None and _checks.count("n_jobs", n_jobs, low=-(2**31)) == 0:
        raise ValueError("n_jobs must be None, a number of workers, or -1 for all cores, got 0")
    if not _checks.flag("progress", progress):
        return Parallel(n_jobs, prefer="threads")(tasks)
    return tqdm(Parallel(n_jobs, prefer="threads", return_as="generator")(tasks), what, total)
