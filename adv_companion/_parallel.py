"""Independent calls, spread over cores or machines by joblib, with or without a progress bar."""

from joblib import Parallel
from tqdm import tqdm


def results(tasks, total, what, n_jobs, progress):
    """The results of ``total`` joblib tasks, in their order.

    Threads, unless ``joblib.parallel_config`` says otherwise: the work is NumPy's, which lets other threads run.
    """
    if not progress:
        return Parallel(n_jobs, prefer="threads")(tasks)
    return tqdm(Parallel(n_jobs, prefer="threads", return_as="generator")(tasks), what, total)
